#!/usr/bin/env bats
# A verdict is about the bytes that the learner's file has now.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
}

@test "learn notices an answer that was edited, and a check that got better" {
    answer_well
    learn check 1
    echo '/* better */' >>"work/$first.c"
    learn
    [[ $out == *"$first: edited since it passed; check it again"* ]]
    learn check 1
    learn
    [[ $out != *"check it again"* ]]
    echo '# better' >>"tests/exercises/$first.bats"
    learn
    [[ $out == *"$first: its check got better; check it again"* ]]
    scripts/learn reset 1 >/dev/null
    learn
    [[ $out == *"$first: passed before, and is now the starter again"* ]]
}

# make_older FILE: as if it had been written before anything else.
make_older() {
    touch -d '2020-01-01' "$1"
}

@test "learn check judges an older file that was moved over the answer" {
    answer_well
    learn check 1
    expect_equal status 0 "$status"
    cp "lessons/$first/exercise.c" work/older.c
    make_older work/older.c
    mv work/older.c "work/$first.c"
    learn check 1
    expect_equal status 1 "$status"
    learn list
    [[ $out == "? 01 "* ]]
}

@test "learn check judges an answer that was put back after a reset" {
    answer_well
    make_older "work/$first.c"
    learn reset 1
    learn check 1
    expect_equal status 1 "$status"
    mv "work/$first.c.1" "work/$first.c"
    learn check 1
    expect_result 0 ""
    [[ $out == "ok $first: all "* ]]
}

# change_during_check TEXT: what bats runs first appends that to the answer.
change_during_check() {
    local bin=$BATS_TEST_TMPDIR/bin bats
    bats=$(PATH=${PATH//"$BATS_LIBEXEC:"/} type -P bats)
    mkdir "$bin"
    # shellcheck disable=SC2016 # expanded when it runs
    printf '#!/bin/sh\n[ "$1" = --version ] || echo "%s" >>"work/%s.c"\nexec "%s" "$@"\n' \
        "$1" "$first" "$bats" >"$bin/bats"
    chmod +x "$bin/bats"
    PATH=$bin:${PATH//"$BATS_LIBEXEC:"/}
}

@test "learn check gives no verdict on a file that changed during its check" {
    answer_well
    change_during_check junk
    learn check 1
    expect_result 1 ""
    expect_equal output "work/$first.c has changed during its check: check it again" \
        "$out"
    learn
    [[ $out == *" 0 of "*" lessons done"* ]]
}

@test "what the caller has set for make does not reach a check" {
    answer_well
    learn check 1
    cp "lessons/$first/exercise.c" "work/$first.c"
    BUILD=out learn check 1
    expect_equal "status with another BUILD" 1 "$status"
    [[ ! -e out ]]
    answer_well
    CFLAGS=-Dmain=other learn check 1
    expect_result 0 ""
}

@test "learn watch notices a file that was moved over the answer" {
    answer_badly
    start watch scripts/learn watch 1
    wait_for watch 'watching work/01*'
    cp "lessons/$first/solution.c" work/older.c
    make_older work/older.c
    mv work/older.c "work/$first.c"
    wait_for watch 'ok * requirements met'
    stop watch
}
