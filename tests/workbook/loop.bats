#!/usr/bin/env bats
# common/loop: what it calls, when, and in what order. tests/lib/tell-loop.c has
# the scenarios.

load ../lib/common

tell=$BUILD/tests/tell-loop

# plays SCENARIO TEXT: it prints exactly that.
plays() {
    try "${faulty[@]}" "$tell" "$1"
    expect_result 0 ""
    expect_output --text "$2"
}

@test "loop_watch waits for the events that it is asked for, and no others" {
    plays events 'first in\nturn 1\nfirst out\nturn 1\nfirst in out\nturn 1\n'\
'turn 0\nfirst in error hang-up\nturn 1\n'
}

@test "loop_watch with 0 takes the watcher out of the batch that is being handled" {
    plays batch 'one of two in\nturn 1\n'
}

@test "loop_watch makes no system call if nothing changes; a failed one changes nothing" {
    need_faults
    faulty+=(FAULT_CALL=epoll_ctl FAULT_AT=3 FAULT_ERRNO=28)
    plays change 'first: No space left on device\nfirst in\nturn 1\nfirst out\nturn 1\n'
}

@test "timers are over in the order of their deadlines, and never before them" {
    plays timers 'short is over\nlong is over\nlast is over\nrenewed is over\n'\
'in time\nstopped is over\nturn 0\n'
}

@test "a timer that starts itself again does not keep the loop in one turn" {
    plays restart 'again is over\nturn 1\nagain is over\nturn 1\nagain is over\n'\
'turn 1\nturn 0\n'
}

@test "a signal ends the wait, and a second one changes nothing" {
    plays signal 'turn 1\nstop 1\nturn 0\nin time\n'
}

@test "loop_open names the call that failed, and leaves nothing open" {
    local call
    need_faults
    for call in epoll_create1 epoll_ctl; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=12 "$tell" turn
        expect_output --text "$call: Cannot allocate memory\n"
    done
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'for fd in /proc/self/fd/*; do
            ((${fd##*/} < 3)) || eval "exec ${fd##*/}>&-"
        done
        ulimit -n 4
        exec "$0" turn' "$tell"
    expect_output --text 'signalfd: Too many open files\n'
}

@test "loop_turn says what epoll_wait fails with, but not that it was interrupted" {
    need_faults
    faulty+=(FAULT_CALL=epoll_wait FAULT_ERRNO=12)
    plays turn 'turn: Cannot allocate memory\nturn 0\n'
    need_faults
    faulty+=(FAULT_CALL=epoll_wait FAULT_ERRNO=4)
    plays turn 'turn 0\nturn 0\n'
}
