#!/usr/bin/env bats
# 07-timeouts [-t SECONDS] HOST PORT: one line, before a deadline.

load ../lib/common
load ../lib/clock

client=$BUILD/07-timeouts
rude=$BUILD/peers/rude

# against FACE [OPTION...]: a line is asked for, with $limit for all.
against() {
    local face=$1
    shift
    start_server peer "$rude" -s 7 "$@" serve "$face"
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    timed "$client" -t "$limit" 127.0.0.1 "$PORT"
}
limit=5
late="07-timeouts: recv: deadline passed before the end of the line"

payload() {
    echo "$BATS_TEST_TMPDIR/payload"
}

# nobody refuse: sets PORT to one where every SYN is refused; nobody swallow: to
# one where none is answered.
nobody() {
    start nobody "$rude" "$1"
    wait_for nobody '* on *'
    port_of nobody
}

@test "07-timeouts prints the line that comes, with its newline" {
    against whole
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "07-timeouts prints a line that comes a byte at a time, in time" {
    against dribble
    expect_result 0 ""
    expect_output "$(payload)"
}

# A byte each 0.2 s: at 0, 0.2, 0.4, 0.6, 0.8 s, and the newline after 7.8 s. One
# program is left alone and the other gets a signal each millisecond.
dribble_at_two() {
    local start now name
    start_server other "$rude" -s 7 -d 200 serve dribble
    start_server peer "$rude" -s 7 -d 200 serve dribble
    look_at_clock
    start=$now
    start quiet "$client" -t 1 127.0.0.1 "$PORT"
    port_of other
    start stormy "${faulty[@]}" FAULT_SIGNALS=1000 "$client" -t 1 127.0.0.1 \
        "$PORT"
    for name in quiet stormy; do
        finish "$name"
        expect_equal status 1 "$ended"
        expect_output --text "$late\n" --in "$BATS_TEST_TMPDIR/$name.err"
    done
    look_at_clock
    took=$((now - start))
}

@test "07-timeouts ends after 1 s with a byte each 0.2 s, and with signals" {
    local name
    need_faults
    measured 99 160 dribble_at_two
    "$rude" -s 7 payload dribble >"$BATS_TEST_TMPDIR/payload"
    for name in quiet stormy; do
        head -c "$(wc -c <"$BATS_TEST_TMPDIR/$name.out")" "$(payload)" |
            cmp - "$BATS_TEST_TMPDIR/$name.out"
    done
}

@test "07-timeouts ends at the deadline when nothing comes any more" {
    limit=0.1
    measured 9 25 against stall
    expect_result 1 "$late"
    expect_output "$(payload)"
}

drown() {
    start_server peer "$rude" serve flood
    timed "${faulty[@]}" FAULT_SHORT=1 "$client" -t 0.1 127.0.0.1 "$PORT"
}

@test "07-timeouts ends at the deadline though there is always something" {
    need_faults
    measured 9 25 drown
    expect_result 1 "$late"
}

# knock [COMMAND...] HOST: where nobody answers.
knock() {
    nobody swallow
    timed "${@:1:$#-1}" "$client" -t 0.1 "${!#}" "$PORT"
}

@test "07-timeouts ends at the deadline in a connect that nobody answers" {
    measured 9 25 knock 127.0.0.1
    expect_result 1 "07-timeouts: connect 127.0.0.1:$PORT: Connection timed out"
}

@test "07-timeouts waits longer than that when no deadline is given" {
    start_server peer "$rude" serve stall
    SECONDS_ALLOWED=0.15 try "$client" 127.0.0.1 "$PORT"
    expect_equal status 124 "$status"
    expect_equal ending "it was waiting in poll" \
        "$(<"$BATS_TEST_TMPDIR/ending")"
}

@test "07-timeouts does not look at the time of day" {
    local seconds
    need_faults
    for seconds in 3600 -3600; do
        start_server peer "$rude" -n 9 serve dribble
        try "${faulty[@]}" FAULT_CLOCK="$seconds" "$client" 127.0.0.1 "$PORT"
        expect_result 0 ""
        stop_all
    done
}

@test "07-timeouts prints one line when two come at once" {
    against join
    expect_result 0 ""
    head -n 1 "$(payload)" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line"
}

@test "07-timeouts prints what came, and says so, when the line has no end" {
    against half-close
    expect_result 1 "07-timeouts: peer closed before the end of the line"
    expect_output "$(payload)"
}

@test "07-timeouts prints nothing when the server closes without a word" {
    against half-close -k 0
    expect_result 1 "07-timeouts: peer closed before the end of the line"
    expect_output --text ''
}

@test "07-timeouts reports a reset, after what came before it" {
    against reset -d 50
    expect_result 1 "07-timeouts: recv: Connection reset by peer"
    expect_output "$(payload)"
}

@test "07-timeouts is content with a server that never reads" {
    against deaf
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "07-timeouts takes a flood in no more memory than a line" {
    against flood
    expect_result 1 "07-timeouts: peer closed before the end of the line"
    expect_output "$(payload)"
}

@test "07-timeouts prints garbage as it is, up to its first newline" {
    against garbage
    expect_result 0 ""
    head -n 1 "$(payload)" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line"
}

@test "07-timeouts meets each of the rude peer's faces above" {
    local face
    for face in $("$rude" faces); do
        grep -qE "against $face|serve $face" "$BATS_TEST_FILENAME"
    done
}

@test "07-timeouts prints a line with NUL bytes, and one of a million, whole" {
    printf 'a\0b\0\0c\nd' >"$BATS_TEST_TMPDIR/nul"
    against whole -f "$BATS_TEST_TMPDIR/nul"
    expect_result 0 ""
    expect_output --text 'a\0000b\0000\0000c\n'
    against whole -n 1000000
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "07-timeouts says who refused it, at once" {
    nobody refuse
    try "$client" 127.0.0.1 "$PORT"
    expect_result 1 "07-timeouts: connect 127.0.0.1:$PORT: Connection refused"
}

# names ADDRESS+...: sets named, to run a command for which `host` has these.
names() {
    need_faults
    named=("${faulty[@]/faults/names}" NAMES=host="$1")
}

@test "07-timeouts tries each address of a name" {
    local named
    names ::1+127.0.0.2+127.0.0.1
    start_server peer "$rude" serve whole
    try "${named[@]}" NAMES_LOG="$BATS_TEST_TMPDIR/log" "$client" host "$PORT"
    expect_equal status 0 "$status"
    [[ $errors == "07-timeouts: connect [::1]:$PORT: "*"
07-timeouts: connect 127.0.0.2:$PORT: Connection refused" ]]
    "$rude" payload whole | cmp - "$OUT"
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
    stop_all
    nobody refuse
    try "${named[@]}" "$client" host "$PORT"
    expect_equal status 1 "$status"
    [[ $errors == *"
07-timeouts: connect 127.0.0.1:$PORT: Connection refused" ]]
}

@test "07-timeouts has one deadline for all addresses, and time for each" {
    local named
    names 127.0.0.1+127.0.0.2+127.0.0.1
    measured 9 18 knock "${named[@]}" host
    expect_result 1 "07-timeouts: connect 127.0.0.1:$PORT: Connection timed out
07-timeouts: connect 127.0.0.2:$PORT: Connection refused
07-timeouts: connect 127.0.0.1:$PORT: Connection timed out"
}

@test "07-timeouts says why a name means nothing" {
    local named
    names 127.0.0.1
    try "${named[@]}" "$client" nobody 80
    expect_result 1 "07-timeouts: nobody: Name or service not known"
}

@test "07-timeouts has one socket, which is non-blocking and close-on-exec" {
    local named sockets flags
    names 127.0.0.3+127.0.0.2+127.0.0.1
    start_server peer "$rude" serve stall
    start client "${named[@]}" "$client" host "$PORT"
    wait_for peer connected
    until_true holds_sockets "$(pid_of client)" 1
    flags_of "$(pid_of client)" "${sockets[0]}"
    expect_equal flags 02004002 "$flags"
}

@test "07-timeouts sleeps while it waits" {
    start_server peer "$rude" serve stall
    start client "$client" 127.0.0.1 "$PORT"
    wait_for peer connected
    until_true is_asleep "$(pid_of client)"
}

@test "07-timeouts names the call that failed, and why" {
    local at call
    need_faults
    start_server peer "$rude" -c 99 serve whole
    # The first two calls of fcntl are for descriptors 1 and 2.
    while read -r at call; do
        # shellcheck disable=SC2059 # connect's message has the address
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_AT="$at" \
            FAULT_ERRNO=5 "$client" 127.0.0.1 "$PORT"
        # shellcheck disable=SC2059
        expect_result 1 "07-timeouts: $(printf "$call" "$PORT"): \
Input/output error"
    done <<'END'
1 clock_gettime
2 clock_gettime
3 fcntl
4 fcntl
1 connect 127.0.0.1:%s
1 poll
2 poll
1 getsockopt SO_ERROR
1 recv
1 close
END
}

@test "07-timeouts goes on to the next address when there is no socket" {
    local named
    names 127.0.0.1+127.0.0.1
    start_server peer "$rude" serve whole
    named[1]="LD_PRELOAD=$PWD/$BUILD/tests/faults.so:${named[1]#*=}"
    try "${named[@]}" FAULT_CALL=socket FAULT_ERRNO=97 "$client" host "$PORT"
    expect_result 0 "07-timeouts: socket 127.0.0.1:$PORT: Address family not \
supported by protocol"
    "$rude" payload whole | cmp - "$OUT"
}

@test "07-timeouts waits again after a signal, and when there is nothing yet" {
    local fault
    need_faults
    # EINTR; EAGAIN.
    for fault in poll=4 recv=11; do
        start_server peer "$rude" serve whole
        try "${faulty[@]}" FAULT_CALL="${fault%=*}" FAULT_ERRNO="${fault#*=}" \
            "$client" 127.0.0.1 "$PORT"
        expect_result 0 ""
        "$rude" payload whole | cmp - "$OUT"
    done
}

@test "07-timeouts says so when standard output is full, gone or closed" {
    start_server peer "$rude" -c 3 serve whole
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - \
        "$client" 127.0.0.1 "$PORT"
    expect_equal "full" \
        "07-timeouts: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "$client" 127.0.0.1 "$PORT"
    expect_equal "gone" "07-timeouts: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bash -c '"$@" >&-' - "$client" 127.0.0.1 "$PORT"
    expect_equal "closed" "07-timeouts: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bash -c '"$@" 2>&-' - "$client" 127.0.0.1 "$PORT"
}

@test "07-timeouts takes up to a day of seconds, and says what is wrong" {
    local seconds
    for seconds in 0 0.0 86400.1 86401 -1 +1 ' 1' '1 ' 1x x '' . 1.5.5 1,5 \
        1e3 0x10 nan inf 1000000000000000000000; do
        try "$client" -t "$seconds" 127.0.0.1 80
        expect_result 1 \
            "07-timeouts: $seconds is not a number of seconds above 0, up to 86400"
    done
    start_server peer "$rude" -c 6 serve whole
    for seconds in 86400 86400.0 1.5 .5 5. 0002; do
        try "$client" -t "$seconds" 127.0.0.1 "$PORT"
        expect_result 0 ""
    done
    # Long past before the first wait, and a deadline nevertheless.
    for seconds in 0.000001 0.0000000000000001; do
        try "$client" -t "$seconds" 127.0.0.1 "$PORT"
        expect_result 1 \
            "07-timeouts: connect 127.0.0.1:$PORT: Connection timed out"
    done
}

@test "07-timeouts takes ports from 1 to 65535, and says what is wrong" {
    local port
    need_faults
    for port in 0 65536 -1 +80 80x ' 80' '' http 18446744073709551617; do
        try "$client" -- 127.0.0.1 "$port"
        expect_result 1 "07-timeouts: $port is not a port: 1 to 65535"
    done
    for port in 1 65535; do # nobody lives there; or somebody: not our concern
        try "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
            "$client" 127.0.0.1 "$port"
        expect_result 1 \
            "07-timeouts: connect 127.0.0.1:$port: Connection refused"
    done
}

@test "07-timeouts explains itself when asked, and when called wrongly" {
    local usage="usage: 07-timeouts [-t SECONDS] HOST PORT"
    try "$client" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$client"
    expect_result 2 "$usage"
    try "$client" 127.0.0.1
    expect_result 2 "$usage"
    try "$client" 127.0.0.1 80 more
    expect_result 2 "$usage"
    try "$client" -x 127.0.0.1 80
    expect_equal status 2 "$status"
    [[ $errors == *"$usage" ]]
    try "$client" 127.0.0.1 80 -t
    expect_result 2 "$usage"
    expect_output --text ''
}

twin=lessons/07-timeouts/twin.py

@test "07-timeouts's twin in Python prints a line, and has a deadline" {
    skip_unless python3
    start_server peer "$rude" serve whole
    try python3 "$twin" -t 5 127.0.0.1 "$PORT"
    expect_result 0 ""
    "$rude" payload whole | cmp - "$OUT"
    start_server peer "$rude" -d 200 serve dribble
    timed python3 "$twin" -t 0.2 127.0.0.1 "$PORT"
    expect_equal status 1 "$status"
    # In recv; or between two of them, when the machine was slow.
    [[ $errors == *"timed out" || $errors == "deadline passed before "* ]]
    ((took >= 19))
}

@test "Python's settimeout is for each call, and a poll of its own" {
    skip_unless python3
    start_server peer "$rude" -s 7 -d 150 -n 6 serve dribble
    "$rude" -s 7 -n 6 payload dribble >"$BATS_TEST_TMPDIR/payload"
    timed python3 -c "
import os, socket, sys
s = socket.create_connection(('127.0.0.1', $PORT), timeout=0.4)
assert s.getblocking() and not os.get_blocking(s.fileno())
sys.stdout.buffer.write(s.makefile('rb').readline())"
    expect_result 0 ""
    expect_output "$(payload)"
    ((took >= 74)) # five pauses: nearly twice the timeout
}

@test "Python's create_connection has its timeout again for each address" {
    local named
    skip_unless python3
    names 127.0.0.1+127.0.0.1
    nobody swallow
    timed "${named[@]}" python3 -c "
import socket
socket.create_connection(('host', $PORT), timeout=0.1)"
    # In recv; or between two of them, when the machine was slow.
    [[ $errors == *"timed out" || $errors == "deadline passed before "* ]]
    ((took >= 19))
}
