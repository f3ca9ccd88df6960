#!/usr/bin/env bats
# The map of socket.py in lessons/README.md: no public name of Python's socket
# and ssl is missing, and every row tells the truth about our lessons.

load ../lib/common

map=lessons/README.md

# rows: the rows of the map, each as OWNER, NAMES, BENEATH and WHERE with tabs
# between them. OWNER is what the names belong to, the head of the table's first
# column, as in `socket.socket`.
rows() {
    awk -F ' *[|] *' -v OFS='\t' '
        /^## / { inside = ($0 == "## The map of socket.py") }
        !inside { next }
        !/^\|/ { owner = ""; next }
        /^\| --- / { owner = head; next }
        owner == "" { head = $2; gsub(/`/, "", head); next }
        { names = $2; gsub(/[`,]/, "", names); print owner, names, $3, $4 }
    ' "$map"
}

# names_in_map: every name of the map, a line each, as in socket.socket.recv.
names_in_map() {
    rows | awk -F '\t' '{
        count = split($2, names, " ")
        for (i = 1; i <= count; i++) print $1 "." names[i]
    }'
}

# names_in_python MODULE: every public name of the installed Python, a line each.
# What an SSLSocket inherits unchanged from socket.socket belongs to the latter.
names_in_python() {
    python3 - "$1" <<'END'
import importlib, sys, types

def show(owner, thing, names):
    for name in names:
        is_module = isinstance(getattr(thing, name), types.ModuleType)
        if not name.startswith("_") and not is_module:
            print(f"{owner}.{name}")

module = importlib.import_module(sys.argv[1])
show(sys.argv[1], module, dir(module))
if sys.argv[1] == "socket":
    show("socket.socket", module.socket, dir(module.socket))
    show("socket.SocketIO", module.SocketIO, dir(module.SocketIO))
else:
    show("ssl.SSLContext", module.SSLContext, dir(module.SSLContext))
    show("ssl.SSLSocket", module.SSLSocket, [
        name for name in dir(module.SSLSocket)
        if name in vars(module.SSLSocket) or not hasattr(module.socket, name)])
END
}

# missing_in_map: those names of standard input that no row of the map has, by
# itself or in a group such as AF_*.
missing_in_map() {
    local name group
    local -A known=()
    local -a groups=()
    while IFS= read -r name; do
        if [[ $name == *'_*' ]]; then
            groups+=("$name")
        else
            known[$name]=yes
        fi
    done < <(names_in_map)
    while IFS= read -r name; do
        [[ -z ${known[$name]-} ]] || continue
        for group in "${groups[@]}"; do
            # shellcheck disable=SC2053 # the group is a pattern
            [[ $name != $group ]] || continue 2
        done
        echo "$name"
    done
}

# words_of LESSON: each word of its text and its programs, and of the modules in
# common/ that it built.
words_of() {
    local module
    local -a files=("lessons/$1"-*/README.md "lessons/$1"-*/*.[ch])
    for module in common/*.h; do
        if [[ $(grep -oEm 1 'lesson [0-9]{2}' "$module") == "lesson $1" ]]; then
            files+=("$module" "${module%.h}.c")
        fi
    done
    grep -ohE '[A-Za-z0-9_]+' "${files[@]}" | sort -u
}

# rows_with_lessons: of each row that names lessons, its NAMES, the numbers of
# these lessons, and the calls in its second column, with tabs between them.
rows_with_lessons() {
    rows | awk -F '\t' -v OFS='\t' '$4 ~ /^\[/ {
        calls = ""
        count = split($3, parts, "`")
        for (i = 2; i <= count; i += 2) calls = calls " " parts[i]
        gsub(/[][,]/, "", $4)
        print $2, $4, calls
    }'
}

@test "the map has every public name of the installed Python's socket" {
    skip_unless python3
    names_in_python socket >"$BATS_TEST_TMPDIR/names"
    grep -qx socket.socket.recv "$BATS_TEST_TMPDIR/names"
    expect_equal "not in $map" "" "$(missing_in_map <"$BATS_TEST_TMPDIR/names")"
}

@test "the map has every public name of the installed Python's ssl" {
    skip_unless python3
    python3 -c 'import ssl' 2>/dev/null || skip "this Python has no ssl"
    names_in_python ssl >"$BATS_TEST_TMPDIR/names"
    grep -qx ssl.SSLSocket.unwrap "$BATS_TEST_TMPDIR/names"
    expect_equal "not in $map" "" "$(missing_in_map <"$BATS_TEST_TMPDIR/names")"
}

@test "the map has no name twice" {
    expect_equal "twice in $map" "" "$(names_in_map | sort | uniq -d)"
}

@test "each row of the map names lessons, or a planned one, or says none" {
    local owner names beneath where lesson='\[[0-9]{2}\]'
    while IFS=$'\t' read -r owner names beneath where; do
        if [[ ! $where =~ ^$lesson(, $lesson)*$ && $where != none &&
            ! $where =~ ^'lesson '[0-9]{2}', not written yet'$ ]]; then
            echo "$owner: $names: this is no lesson: $where" >&2
            return 1
        fi
        if [[ $where == '['* && $beneath != *'`'*'`'* ]]; then
            echo "$owner: $names: the second column names no call" >&2
            return 1
        fi
        if [[ $where == none && $beneath != *' '*' '* ]]; then
            echo "$owner: $names: the second column says no reason" >&2
            return 1
        fi
    done < <(rows)
}

@test "each lesson that the map names exists, and one not written yet does not" {
    local number target
    for number in $(rows | grep -oE '\[[0-9]{2}\]' | tr -d '[]' | sort -u); do
        target=$(sed -n "s/^\[$number\]: //p" "$map")
        if [[ $target != "$number"-* || ! -e lessons/$target ]]; then
            echo "$map: [$number] leads nowhere: $target" >&2
            return 1
        fi
    done
    for number in $(rows | sed -n 's/.*lesson \([0-9]*\), not written yet$/\1/p' |
        sort -u); do
        expect_equal "lessons that are written now" "" \
            "$(compgen -G "lessons/$number-*" || true)"
    done
}

@test "the map says how many of its rows wait for a lesson" {
    local waiting stated
    waiting=$(rows | grep -c ', not written yet$' || true)
    stated=$(sed -n '/^## The map/,/^###/p' "$map" | tr '\n' ' ' |
        grep -oE 'At present, [0-9]+ rows?')
    expect_equal "$map says" "At present, $waiting row" "${stated%s}"
}

@test "each call that the map puts beside a lesson is in that lesson" {
    local names lessons calls lesson call word
    local -A known=() used=()
    for lesson in $(rows_with_lessons | cut -f 2 | tr ' ' '\n' | sort -u); do
        while IFS= read -r word; do
            known["$lesson $word"]=yes
        done < <(words_of "$lesson")
    done
    while IFS=$'\t' read -r names lessons calls; do
        used=()
        for lesson in $lessons; do
            for call in $calls; do
                [[ -n ${known["$lesson $call"]-} ]] || continue
                used[$lesson]=yes
                used[$call]=yes
            done
        done
        for word in $lessons $calls; do
            if [[ -z ${used[$word]-} ]]; then
                echo "$names: $calls in $lessons: this is not so of $word" >&2
                return 1
            fi
        done
    done < <(rows_with_lessons)
}
