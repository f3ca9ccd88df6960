# Finds what tests/mutate can break in a C file: prints `KIND START LENGTH LINE`
# for each statement and each condition, with offsets from 1. The source is as
# clang-format lays it out: a body's brace has a blank before it, an
# initializer's has none, or an equals sign. With -v kind=KIND -v start=START
# -v count=LENGTH it prints the file with that one broken.
{ text = text $0 "\n" }
END {
    if (kind == "")
        list()
    else
        write()
}
# Without its last line, a function may return what it would have returned, by
# chance. So it ends the program.
function write(    part, rest) {
    part = substr(text, start, count)
    rest = substr(text, start + count)
    if (kind == "negate")
        part = "!(" part ")"
    else if (part ~ /^return ./ && rest ~ /^\n}\n/)
        part = "__builtin_trap();"
    else
        part = ";"
    printf "%s%s%s", substr(text, 1, start - 1), part, rest
}
function list() {
    n = length(text)
    line = 1
    start = 0
    for (i = 1; i <= n; i++) {
        c = substr(text, i, 1)
        two = substr(text, i, 2)
        if (c == "\n") line++
        if (c == "\n" && skip == "#") skip = ""
        if (skip == "*" && two == "*/") { skip = ""; i++; continue }
        if (skip == "#" || skip == "*") continue
        if (skip != "") {
            if (c == "\\") i++
            else if (c == skip) skip = ""
            continue
        }
        if (two == "/*") { skip = "*"; i++; continue }
        if (c == "#" && !body) { skip = "#"; continue }
        if (c == "\"" || c == "\047") {
            if (body && !start) begin()
            skip = c
            continue
        }
        if (c == "{" && opens_body()) {
            body++
            start = 0
        } else if (c == "{") {
            nested++
        } else if (c == "}" && nested) {
            nested--
        } else if (c == "}" && body) {
            body--
            start = 0
        } else if (body && c !~ /[ \n]/) {
            if (!start) begin()
            step()
        }
    }
}
function begin() { start = i; first = line; parens = 0 }
function opens_body(    before) {
    if (nested) return 0
    before = substr(text, i - 2, 2)
    return before == ") " || before ~ /[a-z] / && body
}
function step(    word, name) {
    if (c == "(") {
        if (parens++ == 0) {
            open = i
            name = substr(text, start, i - start)
            control = name ~ /^(if|while|for|switch) $/ ? name : ""
        }
    } else if (c == ")") {
        if (--parens == 0 && control != "") {
            condition(control, open + 1, i - 1)
            start = 0
            control = ""
        }
    } else if (c == ";" && parens == 0 && !nested) {
        if (matters(substr(text, start)))
            print "delete", start, i - start + 1, first
        start = 0
    } else if (c == ":" && parens == 0 && !nested &&
               substr(text, start, i - start) ~ \
                   /^(case .*|default|[a-z_]+)$/) {
        start = 0
    } else if (parens == 0 && substr(text, start, i - start + 1) == \
                   "else" && substr(text, i + 1, 1) ~ /[ \n]/) {
        start = 0
    }
}
# Whether a test could notice that this text's first statement is gone. Without
# its last line, main returns 0 all the same. `(void)name;` does nothing, and a
# mask of signals that is all zeros is empty. What is not freed is for `make
# sanitize`.
function matters(rest) {
    return rest !~ /^return 0;( \/[*][^*]*[*]\/)?\n}\n$/ &&
        rest !~ /^\(void\)([a-z_]+;|sigemptyset\(&action)/ &&
        rest !~ /^(\(void\))?[A-Za-z_]*free[a-z]*\(/
}
function condition(kind, from, to,    part, header) {
    if (kind == "switch ") return
    if (kind != "for ") {
        print "negate", from, to - from + 1, first
        return
    }
    header = substr(text, from, to - from + 1)
    split(header, part, ";")
    if (part[2] ~ /[^ ]/)
        print "negate", from + length(part[1]) + 1, length(part[2]),
            first
}
