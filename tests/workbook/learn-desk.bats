#!/usr/bin/env bats
# scripts/learn on a terminal: the keys of the desk, and watch.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    first=01-tcp-client
}

@test "learn's desk: Enter checks, h hints, n goes on, q ends" {
    at_desk $'\rhnq'
    [[ $out == *"0 of "*" requirements met"* ]]
    [[ $out == *"Hint 1 of 3"* ]]
    [[ $out == *"02 "*": work/02-"* ]]
}

@test "learn's desk: s shows the solution the second time, r the scene" {
    at_desk srq
    [[ $out == *"not passed it yet"*"client | hello"* ]]
    [[ $out != *"one good answer of many"* ]]
    at_desk sq
    [[ $out == *"one good answer of many"* ]]
}

@test "learn's desk ends with Ctrl-D, too" {
    at_desk $'\4'
    [[ $out == *"Next: "* ]]
}

@test "learn watch checks when the file is saved, and not otherwise" {
    mkdir work
    cp "lessons/$first/exercise.c" "work/$first.c"
    start watch scripts/learn watch 1
    wait_for watch 'no * requirements met'
    answer_well
    wait_for watch 'ok * requirements met'
    stop watch
    expect_equal checks 2 "$(grep -c 'requirements met' \
        "$BATS_TEST_TMPDIR/watch.out")"
}

@test "learn colours a terminal, and no pipe, nor where NO_COLOR is set" {
    learn
    [[ $out != *$'\e'* ]]
    at_desk q
    [[ $out == *$'\e[1m'* ]]
    NO_COLOR=1 at_desk q
    [[ $out != *$'\e[1m'* && $out != *$'\e[3'* ]]
}

@test "learn fits a terminal of 40 columns" {
    at_desk $'\rq' 40
    local long
    long=$(sed $'s/\r$//; s/\e[^m]*m//g' <<<"$out" | grep -E '^.{41,}' |
        grep -vE '^    ') || true
    expect_equal "lines too long" "" "$long"
    [[ $out == *"requirements met"* ]]
}

@test "Ctrl-C during a check leaves no process behind" {
    local keys=$BATS_TEST_TMPDIR/keys
    need_terminal
    mkdir work
    sed 's/return total;/continue;/' "lessons/$first/solution.c" \
        >"work/$first.c"
    mkfifo "$keys"
    on_terminal "scripts/learn check 1" <"$keys" >"$BATS_TEST_TMPDIR/desk" \
        2>&1 3>&- &
    exec 7>"$keys"
    until_true answer_runs # and goes round its loop
    printf '\003' >&7
    until_true nothing_runs
    exec 7>&-
    wait
    run ! grep 'requirements met' "$BATS_TEST_TMPDIR/desk"
}

# answer_runs: this test's own; another's may run at the same time.
answer_runs() {
    local file
    while IFS= read -r file; do
        [[ ! ${file%cmdline}cwd -ef . ]] || return 0
    done < <(grep -lsa "^build/work/$first" /proc/[0-9]*/cmdline)
    return 1
}

nothing_runs() {
    ! answer_runs
}
