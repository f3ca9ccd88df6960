#!/usr/bin/env bats
# tests/peers/processes.c, which shows a reader a process and its children.

load ../lib/common

processes=$BUILD/peers/processes

# family: a process with two children that sleep, and one that was killed. It is
# sleep, which asks for none of them. Sets parent.
family() {
    local -a children
    start family bash -c 'sleep 20 & sleep 20 & sleep 20 & exec sleep 20'
    parent=$(pid_of family)
    until_true is_sleep
    read -ra children <"/proc/$parent/task/$parent/children" || true
    kill "${children[2]}"
    until_true has_zombie
}

is_sleep() {
    [[ $(<"/proc/$parent/comm") == sleep ]]
}

# show ARGUMENT...: runs it; sets lines.
show() {
    try "$processes" "$@"
    expect_result 0 ""
    mapfile -t lines <"$OUT"
}

@test "processes shows a process and its children, zombies too" {
    local i descriptors
    local -a all states=()
    family
    show "$parent"
    expect_equal "lines" 5 "${#lines[@]}"
    expect_equal "header" "PROCESS  STATE     DESCRIPTORS" "${lines[0]}"
    all=("/proc/$parent/fd"/*)
    printf -v descriptors '%7d  %-8s  %11d' "$parent" sleeping "${#all[@]}"
    expect_equal "parent" "$descriptors" "${lines[1]}"
    for i in 2 3 4; do
        read -ra all <<<"${lines[i]}"
        states+=("${all[1]}")
    done
    expect_equal "states" "sleeping sleeping zombie" "${states[*]}"
    [[ ${lines[4]} == *" zombie              -" ]]
}

has_zombie() {
    "$processes" "$parent" | grep -q zombie
}

@test "processes waits until there are so many children in a state" {
    # shellcheck disable=SC2016 # for the inner shell
    start family bash -c 'read -rt 0.3 <>"$1"; sleep 20 & sleep 20 & wait' - \
        "$(mkfifo "$BATS_TEST_TMPDIR/never" && echo "$BATS_TEST_TMPDIR/never")"
    parent=$(pid_of family)
    show -n 2 -w sleeping "$parent"
    expect_equal "lines" 4 "${#lines[@]}"
    [[ ${lines[2]} == *" sleeping "* && ${lines[3]} == *" sleeping "* ]]
    read -ra children <"/proc/$parent/task/$parent/children" || true
    kill "${children[@]}"
    finish family
}

@test "processes shows the memory that children do not share" {
    family
    show -m "$parent"
    [[ ${lines[0]} =~ ^"2 children; for each "[1-9][0-9]*" KiB of its own, "[1-9][0-9]*" KiB of page tables"$ ]]
}

@test "processes says what is wrong" {
    local arguments
    for arguments in "" "0" "x" "1 2" "-n 1"; do
        # shellcheck disable=SC2086 # several words
        try "$processes" $arguments
        expect_result 2 \
            "processes: usage: processes [-m] [-w STATE] [-n COUNT] PID"
    done
    try "$processes" 4194304
    expect_result 1 "processes: there is no process 4194304"
}

# make_zombie: sets sleeper, and zombie to a child of its that has ended, and
# that nobody asks for.
make_zombie() {
    bash -c 'sleep 0.1 & echo $!; exec sleep 20' >"$BATS_TEST_TMPDIR/zombie" 3>&- &
    sleeper=$!
    until_true test -s "$BATS_TEST_TMPDIR/zombie"
    zombie=$(<"$BATS_TEST_TMPDIR/zombie")
    until_true grep -q '^State:.Z' "/proc/$zombie/status"
}

@test "a child that has ended does not run, even if nobody has asked for it" {
    local sleeper zombie
    make_zombie
    kill -0 "$zombie" # so this says nothing
    ! is_alive "$zombie" || false
    is_alive "$sleeper"
    . scripts/lib/run.bash
    ! is_running "$zombie" || false
    is_running "$zombie" "$sleeper"
    kill "$sleeper"
}
