#!/usr/bin/env bats
# common/deadline, function by function.

load ../lib/common
load ../lib/clock

tell=$BUILD/tests/tell-deadline
rude=$BUILD/peers/rude

# tells TEXT ARGUMENT...: that is what tell-deadline prints.
tells() {
    timed "$tell" "${@:2}"
    expect_result 0 ""
    expect_output --text "$1\n"
}

@test "deadline_parse takes seconds, and rounds up to milliseconds" {
    local line text
    while read -r text line; do
        expect_equal "$text" "$line" \
            "$(printf '%b' "$text" | bounded "$tell" parse)"
    done <<'END'
1 1000
0.25 250
.5 500
5. 5000
0.001 1
0.0001 1
0.0010 1
0.0011 2
0.00100000000000000000000000000000000000001 2
0.0000000000000000000000000000000000000000001 1
1.2345 1235
1.999 1999
1.9991 2000
00012 12000
12345.678 12345678
86399.9991 86400000
86400 86400000
86400.000 86400000
86400.0001 Numerical result out of range
86400.001 Numerical result out of range
86401 Numerical result out of range
864000 Numerical result out of range
9223372036854775808 Numerical result out of range
18446744073709551617 Numerical result out of range
99999999999999999999999999999999999999999999 Numerical result out of range
0 Numerical result out of range
0.0 Numerical result out of range
.0 Numerical result out of range
. Invalid argument
.. Invalid argument
1..5 Invalid argument
1.5.5 Invalid argument
-1 Invalid argument
+1 Invalid argument
1x Invalid argument
x1 Invalid argument
1,5 Invalid argument
1e3 Invalid argument
0x10 Invalid argument
nan Invalid argument
inf Invalid argument
1\0 Invalid argument
1\0005 Invalid argument
\n Invalid argument
1\n Invalid argument
1/ Invalid argument
1: Invalid argument
END
    expect_equal nothing "Invalid argument" "$("$tell" parse </dev/null)"
    expect_equal blank "Invalid argument" "$(printf ' 1' | "$tell" parse)"
}

@test "deadline_left is the milliseconds until then, and never negative" {
    local left
    for left in 0 -1 -2147483648; do
        tells 0 left "$left"
    done
    for left in 1 1000 86400000 2147483647; do
        try "$tell" left "$left"
        # Rounded up, so all of it, unless we were held up in between.
        ((left >= $(<"$OUT") && left - 5000 < $(<"$OUT")))
    done
}

@test "deadline_share is an equal part of the time that is left" {
    local left parts
    for parts in 1 2 3 64; do
        tells 0 share 0 "$parts"
        tells 0 share -1000 "$parts"
        left=86400000
        try "$tell" share "$left" "$parts"
        ((left / parts >= $(<"$OUT") && left / parts - 5000 < $(<"$OUT")))
    done
}

@test "deadline_wait waits until then, whatever signals come" {
    need_faults
    measured 10 25 tells "Connection timed out" wait 100 -1 0
    tell="env"
    measured 10 25 tells "Connection timed out" "${faulty[@]:1}" \
        FAULT_SIGNALS=1000 "$BUILD/tests/tell-deadline" wait 100 -1 0
}

@test "deadline_pause sleeps until then, whatever signals come" {
    need_faults
    measured 10 25 tells paused pause 100
    tells paused pause -1
    ((took < 400))
    tell="env"
    measured 10 25 tells paused "${faulty[@]:1}" \
        FAULT_SIGNALS=1000 "$BUILD/tests/tell-deadline" pause 100
}

@test "deadline_wait returns when there is something, but not after its time" {
    local POLLIN=1 POLLOUT=4
    tells ready wait 5000 0 "$POLLIN" # what try gives: /dev/null
    ((took < 400))
    tells ready wait 5000 1 "$POLLOUT"
    tells "Connection timed out" wait 0 0 "$POLLIN"
    tells "Connection timed out" wait -1 0 "$POLLIN"
    tells "Bad file descriptor" wait 5000 99 "$POLLIN"
    ((took < 400))
}

@test "deadline_wait reports what poll cannot do" {
    need_faults
    tell="env"
    tells "Cannot allocate memory" "${faulty[@]:1}" FAULT_CALL=poll \
        FAULT_ERRNO=12 "$BUILD/tests/tell-deadline" wait 5000 0 1
}

@test "deadline_connect connects, and the socket is non-blocking then" {
    start_server peer "$rude" serve whole
    tells "connected, non-blocking" connect 5000 "$PORT"
}

@test "deadline_connect says why there is no connection" {
    local call
    need_faults
    start nobody "$rude" refuse
    wait_for nobody 'refusing on *'
    port_of nobody
    tells "Connection refused" connect 5000 "$PORT"
    start_server peer "$rude" -c 9 serve whole
    tell="env"
    for call in "fcntl FAULT_AT=1" "fcntl FAULT_AT=2" connect poll getsockopt; do
        # shellcheck disable=SC2086 # two words, if there are two
        tells "Input/output error" "${faulty[@]:1}" FAULT_CALL=$call \
            "$BUILD/tests/tell-deadline" connect 5000 "$PORT"
    done
}

@test "deadline_connect ends at the deadline when nobody answers" {
    start nobody "$rude" swallow
    wait_for nobody 'swallowing on *'
    port_of nobody
    timed "$tell" connect 100 "$PORT"
    expect_output --text 'Connection timed out\n'
    ((took >= 10 && took < 400))
    tells "Connection timed out" connect 0 "$PORT"
}

@test "deadline_recv gives what comes, until the end" {
    start_server peer "$rude" -c 3 serve dribble
    tells "40 bytes, then the end" recv 5000 "$PORT" 100
    tells "40 bytes, then the end" recv 5000 "$PORT" 3
    tells "40 bytes, then the end" -b recv 5000 "$PORT" 100
    stop_all
    reset_after 50 || reset_after 1000 # who is so late meets it in connect
}

reset_after() {
    start_server peer "$rude" -d "$1" serve reset
    tells "20 bytes, then Connection reset by peer" recv 5000 "$PORT" 100
}

@test "deadline_recv waits again when what came is gone again" {
    need_faults
    start_server peer "$rude" serve whole
    tell="env"
    tells "40 bytes, then the end" "${faulty[@]:1}" FAULT_CALL=recv \
        FAULT_ERRNO=11 "$BUILD/tests/tell-deadline" -b recv 5000 "$PORT" 100
}

recv_from() {
    start_server peer "$rude" -d 35 serve "$1"
    timed "${@:2}" recv 100 "$PORT" 1
    [[ $(<"$OUT") == [0-9]*" bytes, then Connection timed out" ]]
}

@test "deadline_recv ends at the deadline, with a byte now and then, or always" {
    measured 10 25 recv_from dribble "$tell"
    measured 10 25 recv_from dribble "$tell" -b
    measured 10 25 recv_from stall "$tell"
    # A system call for each byte of 16 MB takes longer than that.
    measured 10 25 recv_from flood "$tell"
    need_faults
    measured 10 25 recv_from dribble "${faulty[@]}" FAULT_SIGNALS=1000 "$tell"
}

@test "deadline_recv_all receives so many bytes, and not one more" {
    start_server peer "$rude" -c 4 serve dribble
    tells "all, then 0 bytes, then the end" recv-all 5000 "$PORT" 40
    tells "all, then 1 bytes, then the end" -b recv-all 5000 "$PORT" 39
    tells "all, then 40 bytes, then the end" recv-all 5000 "$PORT" 0
    tells "Protocol error" recv-all 5000 "$PORT" 41
    stop_all
    start_server peer "$rude" serve stall
    tells "Connection timed out" recv-all 100 "$PORT" 40
}

@test "deadline_send sends all, however little is taken at once" {
    local fault
    need_faults
    for fault in NONE= FAULT_SHORT=1 FAULT_SIGNALS=1000; do
        start_server peer "$rude" -k 0 -o "$BATS_TEST_TMPDIR/heard" \
            serve stall
        try "${faulty[@]}" "$fault" "$tell" send 5000 "$PORT" 100000
        expect_output --text 'all: sent\n'
        finish peer
        head -c 100000 /dev/zero | tr '\0' x | cmp - "$BATS_TEST_TMPDIR/heard"
    done
    start_server peer "$rude" -k 0 -o "$BATS_TEST_TMPDIR/heard" serve stall
    tells "all: sent" send 5000 "$PORT" 0
    finish peer
    expect_output --text '' --in "$BATS_TEST_TMPDIR/heard"
}

send_to_deaf() {
    start_server peer "$rude" serve deaf
    timed "$tell" "$@" send 100 "$PORT" 20000000
    expect_output --text 'a part: Connection timed out\n'
}

@test "deadline_send ends at the deadline when nobody reads" {
    measured 10 100 send_to_deaf
    measured 10 100 send_to_deaf -b
}

@test "deadline_send says so when the other side has gone" {
    start_server peer "$rude" -d 50 serve reset
    try "$tell" send 5000 "$PORT" 20000000
    expect_equal status 0 "$status" # and no SIGPIPE
    [[ $(<"$OUT") == "a part: "@("Broken pipe"|"Connection reset by peer") ]]
}
