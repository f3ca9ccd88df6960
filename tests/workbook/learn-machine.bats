#!/usr/bin/env bats
# What fails because of the machine is never said to be the learner's mistake.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    first=01-tcp-client
}

@test "learn check says what on this machine fails with our solution, too" {
    cp "tests/exercises/$first.bats" "$BATS_TEST_TMPDIR/kept"
    answer_well
    printf '@test "flies" {\n answer 127.0.0.1 1\n' \
        >>"tests/exercises/$first.bats"
    printf ' expect_true "there are no wings" false\n}\n' \
        >>"tests/exercises/$first.bats"
    learn check 1
    cp "$BATS_TEST_TMPDIR/kept" "tests/exercises/$first.bats"
    expect_result 3 ""
    [[ $out == "the check itself could not be made: on this machine our own"* ]]
    [[ $out == *"it flies"*"But there are no wings."* ]]
    [[ $out == *"connect 127.0.0.1:1: Connection refused"* ]]
    [[ $out != *Hint* && $out != *"of 13 requirements"* ]]
    learn
    [[ $out == *" 0 of "*" lessons done"* ]]
}

@test "learn check blames a limit of descriptors on nobody" {
    mkdir work
    cp lessons/02-tcp-server/solution.c work/02-tcp-server.c
    status=0
    (ulimit -n 16 && exec scripts/learn check 2) >"$BATS_TEST_TMPDIR/out" 2>&1 \
        </dev/null 3>&- || status=$?
    cat "$BATS_TEST_TMPDIR/out" >&2
    ((status == 0 || status == 3))
    run ! grep -q Hint: "$BATS_TEST_TMPDIR/out"
}
