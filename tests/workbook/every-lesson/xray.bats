#!/usr/bin/env bats
# A lesson's picture is what happens, and its twin in Python makes the same calls
# of sockets, but for those that tests/twins has, each with its reason. LESSON
# says whose.

load ../../lib/common

setup_file() {
    # What belongs to this machine or this moment is not compared: times, ports,
    # descriptors, and how long what is encrypted is.
    export UNIQUE='s/ class="t">[^<]*/ class="t">/
        s/:[0-9]{2,5}/:PORT/g
        s/(127\.0\.0\.1|\[::1\]):PORT/ADDRESS/g
        s/\b[0-9]+ ms\b/N ms/g
        s/\(([0-9]+)/(FD/g; s/\[[0-9]+ POLL/[FD POLL/g
        s/((socket|accept4?)(\(.*\))?) = [0-9]+/\1 = FD/
        s/[0-9]+ (encrypted|unacked)/N \1/g
        s/\.\.\.\) = [0-9]+/...) = N/; s/, [0-9]+\) = [0-9]+ \.\.\./, N) = N .../
        s/ = [0-9]+ \.\.\.$/ = N .../; s/ = [0-9]+ \.\.\.</ = N ...</'
}

need_private() {
    "$BUILD/tests/private" -e tests/lib/etc true 2>/dev/null ||
        skip "this machine allows no private network"
}

# draw: the scene into $drawn, as it is compared.
draw() {
    drawn=$BATS_TEST_TMPDIR/drawn
    scripts/xray -s "$drawn.svg" "$LESSON" 2>"$drawn.err" || true
    sed -E "$UNIQUE" "$drawn.svg" >"$drawn"
}

@test "$LESSON: its picture is what happens" {
    need_private
    sed -E "$UNIQUE" "lessons/$LESSON/xray.svg" >"$BATS_TEST_TMPDIR/kept"
    # A kernel that is busy confirms later, alone what else goes with data.
    for _ in 1 2 3 4; do
        draw
        ! cmp -s "$BATS_TEST_TMPDIR/kept" "$drawn" || return 0
    done
    cat "$drawn.err" >&2
    diff "$BATS_TEST_TMPDIR/kept" "$drawn" >&2
}

@test "$LESSON: its picture is legible, and small" {
    local picture=lessons/$LESSON/xray.svg
    (($(wc -c <"$picture") < 60000))
    grep -q 'prefers-color-scheme:dark' "$picture"
    run ! grep -qiE '<script|<foreignObject|href' "$picture"
    grep -q '(xray.svg)' "lessons/$LESSON/README.md"
}

# calls [OPTION]: the socket calls of the lesson's own actor, one a line.
calls() {
    local actor
    actor=$(grep "build/$LESSON " "lessons/$LESSON/scene" | tail -n 1)
    scripts/xray "$@" -l "$LESSON" 2>"$BATS_TEST_TMPDIR/err" |
        awk -F '\t' -v actor="${actor%%:*}" '
            index($1, actor) == 1 && ($2 ~ /^(socket|socketpair)\(/ ||
                $2 ~ /^(p?poll|p?select)/ ||
                $2 ~ /\([0-9]+ (tcp|udp|unix|netlink|socket|listener|to|from)/) {
                print $2
            }' |
        sed -E "$UNIQUE; s/(to|from) :PORT/\\1 PEER/
            s/(recv[a-z]*\\(.*), [0-9]+/\\1, N/"
}

@test "$LESSON: its twin makes the same calls of sockets" {
    local expected=$BATS_TEST_TMPDIR/expected got=$BATS_TEST_TMPDIR/got
    need_private
    skip_unless python3
    [[ $(python3 -V) == "Python 3.11."* ]] ||
        skip "what Python calls was written down for Python 3.11"
    if [[ -e tests/twins/$LESSON.diff ]]; then
        grep -v '^#' "tests/twins/$LESSON.diff" >"$expected"
    else
        : >"$expected"
    fi
    for _ in 1 2 3; do
        diff --unified=0 <(calls) <(calls --twin) | sed '1,2d; /^@@/d' >"$got" || true
        ! cmp -s "$expected" "$got" || return 0
    done
    cat "$BATS_TEST_TMPDIR/err" >&2
    diff "$expected" "$got" >&2
}
