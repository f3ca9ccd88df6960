# From the TAP of one file of tests, run with --timing, to a <testsuite> of JUnit;
# its name is the variable suite.

function escape(text) {
    gsub(/&/, "\\&amp;", text)
    gsub(/</, "\\&lt;", text)
    gsub(/>/, "\\&gt;", text)
    gsub(/"/, "\\&quot;", text)
    gsub(/[\001-\010\013\014\016-\037]/, "?", text)
    return text
}
function finish() {
    if (open) cases = cases "</" open ">"
    if (open || in_case) cases = cases "</testcase>\n"
    open = in_case = ""
}
/^(not )?ok / {
    finish()
    name = $0
    sub(/^(not )?ok [0-9]+ /, "", name)
    skip = sub(/ # skip.*/, "", name)
    seconds = 0
    if (match(name, / in [0-9]+ms$/)) {
        seconds = substr(name, RSTART + 4, RLENGTH - 6) / 1000
        name = substr(name, 1, RSTART - 1)
    }
    tests++
    cases = cases sprintf("<testcase classname=\"%s\" " \
        "name=\"%s\" time=\"%.3f\">", escape(suite),
        escape(name), seconds)
    in_case = 1
    if (skip) { cases = cases "<skipped/>"; skips++ }
    if (/^not/) {
        cases = cases "<failure>"
        open = "failure"
        failures++
    }
    next
}
open { cases = cases escape(substr($0, 3)) "\n" }
END {
    finish()
    printf "<testsuite name=\"%s\" tests=\"%d\" " \
        "failures=\"%d\" skipped=\"%d\">\n%s</testsuite>\n",
        escape(suite), tests, failures, skips, cases
}
