# shellcheck shell=bash disable=SC2154 # scripts/test's variables
# What scripts/test prints: a line for each job, TAP, JUnit, and a closing line.

# report_job JOB FILE [WORDS]: a line for the job, WORDS before its name, and what
# failed in full. FILE is what bats said. With --tap all is printed in the end
# instead.
report_job() {
    local job=${3-}$1 file=$2
    [[ -z $tap ]] || return 0
    awk -v job="$job" -v took="$(<"${file%.tap}.took")" '
        /^ok .*# skip/ { skipped++ }
        /^ok /         { passed++; next }
        /^not ok /     { failed++; shown = 1 }
        /^#/ && shown  { text = text $0 "\n"; next }
        /^1\.\.[0-9]+$/ { sub(/^1\.\./, ""); planned = $0; next }
                       { text = text $0 "\n" }
        END {
            if (passed + failed != planned) failed = failed ? failed : 1
            printf "%-4s %s: %d of %d%s in %.1f s\n",
                   failed ? "FAIL" : "ok", job, passed - skipped, planned,
                   skipped ? " (" skipped " skipped)" : "", took / 10
            printf "%s", text
        }' "$file" 2>/dev/null || need_written $?
}

# has_failed FILE: what bats said in FILE has a failed test, or less than it planned.
has_failed() {
    awk '/^not ok /      { failed = 1 }
         /^(not )?ok /   { seen++ }
         /^1\.\.[0-9]+$/ { sub(/^1\.\./, ""); planned = $0 }
         END             { exit !(failed || seen != planned || seen == 0) }' "$1"
}

# print_tap: one stream of TAP, numbered anew.
print_tap() {
    awk '/^1\.\.[0-9]+$/ { next }
         /^ok /          { sub(/^ok [0-9]+/, "ok " ++n) }
         /^not ok /      { sub(/^not ok [0-9]+/, "not ok " ++n) }
                         { print }
         END             { print "1.." n }' "$results"/*.tap 2>/dev/null ||
        need_written $?
}

# print_junit: the same as the XML that CI systems read.
print_junit() {
    local file
    echo '<?xml version="1.0" encoding="UTF-8"?>'
    echo '<testsuites>'
    for file in "$results"/*.tap; do
        awk -v suite="$(<"${file%.tap}.done")" -f scripts/lib/junit.awk "$file"
    done
    echo '</testsuites>'
}

# summarize: prints the closing line; status 1 if something failed. A file that
# bats could not run counts as one failure. A slow machine that is busy may be why
# a test failed, so if nothing was run again, it says what does so.
summarize() {
    local status=0
    ((alone == 0)) ||
        echo "files that failed beside others, and passed alone: $alone"
    # awk ends with 2 when it cannot write.
    awk -v again="${AGAIN-}" '
        /^ok .*# skip/  { skipped++; seen++; next }
        /^ok /          { passed++; seen++; next }
        /^not ok /      { failed++; seen++; next }
        /^1\.\.[0-9]+$/ { sub(/^1\.\./, ""); planned += $0 }
        END {
            if (seen != planned) failed += planned > seen ? planned - seen : 1
            if (seen == 0) failed = failed ? failed : 1
            if (failed && !again)
                print "with AGAIN=1, a file that failed is run again, alone"
            printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
            exit failed > 0
        }' "$results"/*.tap 2>/dev/null || status=$?
    ((status <= 1)) || need_written "$status"
    return "$status"
}
