#!/usr/bin/env bats
# scripts/learn on a terminal: the keys of the desk, and watch.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
    requirements=$(grep -c '^@test' "tests/exercises/$first.bats")
}

@test "learn's desk: Enter checks, h hints, n goes on, q ends" {
    answer_badly
    at_desk $'\rhnq'
    [[ $out == *"of $requirements requirements met"* ]]
    [[ $out == *"Hint 1 of 3"* ]]
    [[ $out == *"02 "*": work/02-"* ]]
}

@test "learn's desk: r runs the scene, l shows the text, ? the keys" {
    at_desk 'rl?q'
    [[ $out == *"client | hello"*"You will build"*"s      our solution"* ]]
}

@test "learn's desk: s shows the solution only to who agrees" {
    at_desk snq
    [[ $out == *"not passed 01 yet. Show the solution? (y/n)"* ]]
    [[ $out != *"one good answer of many"* ]]
    at_desk syq
    [[ $out == *"one good answer of many"* ]]
}

@test "learn's desk: p shows the questions first, and then our answers" {
    at_desk pnq
    # shellcheck disable=SC2016 # these backquotes are the text's
    [[ $out == *'Does `connect` wait'* && $out != *"Lesson 02 shows that queue"* &&
        $out != *'`recv` returns the 6'* ]]
    at_desk pyq
    # shellcheck disable=SC2016 # these backquotes are the text's
    [[ $out == *'Does `connect` wait'*'`recv` returns the 6'* ]]
}

@test "learn's desk: e opens the editor" {
    # shellcheck disable=SC2016 # expanded by the editor
    printf '#!/bin/sh\necho "edited $*"\n' >"$BATS_TEST_TMPDIR/editor"
    chmod +x "$BATS_TEST_TMPDIR/editor"
    VISUAL='' EDITOR="$BATS_TEST_TMPDIR/editor -x" at_desk eq
    [[ $out == *"edited -x work/$first.c"* ]]
    unset VISUAL EDITOR
    at_desk eq
    [[ $out == *"EDITOR is not set"* ]]
}

@test "learn's desk: d compares the answer with ours, after a pass" {
    answer_well
    echo '/* mine */' >>"work/$first.c"
    at_desk $'d\rdq'
    [[ $out == *"not passed it yet"*"all $requirements requirements met"*"-/* mine */"* ]]
}

# at_desk_burst TEXT: all of TEXT at once, and then q.
at_desk_burst() {
    local keys=$BATS_TEST_TMPDIR/keys desk=$BATS_TEST_TMPDIR/desk
    need_terminal
    mkfifo "$keys"
    : >"$desk"
    on_terminal "stty cols 80; scripts/learn" <"$keys" >"$desk" 2>&1 3>&- &
    exec 7>"$keys"
    until_true has_asked $! "$desk" 1
    printf '%s' "$1" >&7
    until_true has_asked $! "$desk" 2
    printf q >&7
    wait $! || { cat "$desk" >&2; false; }
    exec 7>&-
    rm "$keys"
    out=$(<"$desk")
}

@test "a command that is pasted at the desk's prompt presses no keys" {
    answer_badly
    at_desk_burst $'scripts/learn check 01\n'
    [[ $out == *"several keys at once, so nothing was done"* ]]
    [[ $out != *"requirements"* && $out != *"solution?"* && $out != *"client |"* ]]
}

@test "an arrow key does nothing at the desk" {
    answer_badly
    at_desk_burst $'\e[A'
    [[ $out != *"several keys"* && $out != *"not a key"* ]]
    expect_equal prompts 2 "$(grep -c 'Enter check' <<<"$out")"
}

@test "learn's desk ends with Ctrl-D, too" {
    at_desk $'\4'
    [[ $out == *"Next: "* ]]
}

@test "learn watch checks when the file is saved, and not otherwise" {
    answer_badly
    start watch scripts/learn watch 1
    wait_for watch 'watching work/01*'
    answer_well
    wait_for watch 'ok * requirements met'
    stop watch
    expect_equal checks 2 "$(grep -c 'requirements met' \
        "$BATS_TEST_TMPDIR/watch.out")"
}

@test "learn watch goes on to the next lesson after a pass" {
    answer_well
    start watch scripts/learn watch 1
    wait_for watch 'watching work/02-tcp-server.c*'
    cmp work/02-tcp-server.c lessons/02-tcp-server/exercise.c
    cp lessons/02-tcp-server/solution.c work/02-tcp-server.c
    wait_for watch 'ok 02-tcp-server: *'
    wait_for watch 'watching work/05-byte-streams.c*'
    stop watch
}

@test "watch at the desk takes h and q, and clears the screen" {
    answer_badly
    at_desk whqq
    [[ $out == *$'\e[H\e[2J'*"requirements met"*"watching work/$first.c"* ]]
    [[ $out == *"Hint 1 of 3"* ]]
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
    answer_badly
    at_desk $'\rq' 40
    local long
    long=$(sed $'s/^checking .*\r\e\[K//; s/\r$//; s/\e[^m]*m//g' <<<"$out" | grep -E '^.{41,}' |
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

@test "Ctrl-C at the desk ends the check, and not the desk" {
    local keys=$BATS_TEST_TMPDIR/keys desk=$BATS_TEST_TMPDIR/desk pid
    need_terminal
    mkdir work
    sed 's/return total;/continue;/' "lessons/$first/solution.c" \
        >"work/$first.c"
    mkfifo "$keys"
    : >"$desk"
    on_terminal "exec scripts/learn" <"$keys" >"$desk" 2>&1 3>&- &
    pid=$! # which answer_runs would change
    exec 7>"$keys"
    until_true has_asked "$pid" "$desk" 1
    printf '\r' >&7
    until_true answer_runs
    printf '\003' >&7
    until_true has_asked "$pid" "$desk" 2
    run ! answer_runs
    printf q >&7
    wait "$pid" || { cat "$desk" >&2; false; }
    exec 7>&-
    run ! grep 'requirements met' "$desk"
}

# is_back DESK: the shell on it has said which command it goes on with.
is_back() {
    awk '/Stopped/ { stopped = 1; next }
        stopped && /scripts\/learn/ { back = 1 }
        END { exit !back }' "$1"
}

# has_prompted DESK N: the shell on it has.
has_prompted() {
    (($(grep -c 'bash-[0-9.]*[#$] ' "$1") >= $2))
}

@test "keys work at the desk after Ctrl-Z and fg" {
    local keys=$BATS_TEST_TMPDIR/keys desk=$BATS_TEST_TMPDIR/desk
    need_terminal
    mkfifo "$keys"
    : >"$desk"
    # A shell with job control, as a learner's is.
    on_terminal "bash --norc -i" <"$keys" >"$desk" 2>&1 3>&- &
    exec 7>"$keys"
    printf 'scripts/learn\n' >&7
    until_true has_asked $! "$desk" 1
    printf '\032' >&7
    until_true grep -q Stopped "$desk"
    printf 'fg\n' >&7
    until_true is_back "$desk"
    until_true has_asked $! "$desk" 2
    printf '?' >&7
    until_true grep -q 'go on to the next lesson' "$desk"
    until_true has_asked $! "$desk" 3
    printf q >&7
    until_true has_prompted "$desk" 3
    printf 'exit\n' >&7
    wait $! || { cat "$desk" >&2; false; }
    exec 7>&-
}
