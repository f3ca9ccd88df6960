# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154
# bats and tests share variables, and tests give hello its arguments.
# What the tests of 36-xray share: `load ../lib/xray`, after common.

xray=$BUILD/36-xray
traced=$BUILD/peers/traced
# Nothing looks for leaks in what is traced: that would need a second tracer.
[[ $BUILD != *asan* ]] || export ASAN_OPTIONS=detect_leaks=0:handle_segv=0
SECONDS_ALLOWED=10
unset COLUMNS

# draw [OPTION...] [-c COMMAND...]: X-rays the scene on standard input, or
# COMMAND, in a network of its own.
draw() {
    local scene=(-)
    export MARK=$BATS_TEST_TMPDIR
    need_tracing
    [[ " $* " != *" -c "* ]] || scene=()
    [[ -z ${scene-} ]] || cat >"$BATS_TEST_TMPDIR/scene"
    [[ -z ${scene-} ]] || scene=("$BATS_TEST_TMPDIR/scene")
    try "$BUILD/tests/private" "$xray" "$@" "${scene[@]}"
}

need_tracing() {
    [[ ! -e $BATS_FILE_TMPDIR/may ]] || return 0
    "$traced" probe || skip "this machine lets nobody trace a process"
    "$BUILD/tests/private" true 2>/dev/null ||
        skip "this machine allows no private network"
    : >"$BATS_FILE_TMPDIR/may"
}

# hello [NAME...]: lesson 01's scene, with a client for each NAME.
hello() {
    local name
    echo "server: $BUILD/02-tcp-server 0"
    for name in "${@:-client}"; do
        echo "$name: $BUILD/01-tcp-client 127.0.0.1 {port} hello"
    done
}

# listed: the list in $OUT, without what another run has otherwise.
listed() {
    sed -E 's/:[0-9]+/:PORT/g' "$OUT"
}

# lists LINE...: $OUT is that list. A kernel that is busy may confirm with the
# next data what it confirms alone at other times: then, draw again.
lists() {
    local i
    printf '%s\n' "${@:2}" | tr '>' '\t' | sed 's/\t\t/>/' >"$BATS_TEST_TMPDIR/list"
    for i in 1 2 3 4; do
        $1
        ! diff "$BATS_TEST_TMPDIR/list" <(listed) >"$BATS_TEST_TMPDIR/diff" ||
            return 0
    done
    cat "$BATS_TEST_TMPDIR/diff" >&2
    return 1
}

# wire: the flags of all segments, a word each: `c>s` is from client to server.
wire() {
    sed -nE 's/^wire\t([a-z ()]*) > ([a-z ()]*)\t/\1>\2 /p' "$OUT" |
        sed -E 's/both \((.)[a-z]*\)/\1/g; s/ /:/; s/ /+/g' | paste -sd ' '
}

has() {
    grep -qF -- "$1" "${2:-$OUT}" || {
        echo "has no: $1" >&2
        cat "${2:-$OUT}" "$BATS_TEST_TMPDIR/err" >&2
        return 1
    }
}

# none_runs PROGRAM: none that this test has started, by its unique MARK.
none_runs() {
    local file command environment
    for file in /proc/[0-9]*/cmdline; do
        { IFS= read -rd '' command <"$file"; } 2>/dev/null || continue
        [[ $command == "$1" ]] || continue
        { environment=$(tr '\0' '\n' <"${file%cmdline}environ"); } 2>/dev/null
        [[ $environment != *"MARK=$BATS_TEST_TMPDIR"* ]] ||
            { echo "runs on: $file" >&2 && return 1; }
    done
}

lacks() {
    ! grep -F -- "$1" "${2:-$OUT}" >&2 || return 1
}

draw_hello() {
    draw -l < <(hello)
    expect_result 0 ""
}
