#!/usr/bin/env bats
# common/dial: its contract, where lesson 16's program does not show it.

load ../lib/common
load ../lib/clock

tell=$BUILD/tests/tell-dial
rude=$BUILD/peers/rude

# named ADDRESS+...: runs tell-dial for `host`, which has these addresses.
named() {
    need_faults
    timed "${faulty[@]/faults/names}" NAMES=host="$1" \
        NAMES_LOG="$BATS_TEST_TMPDIR/log" "$tell" "${@:2}"
}

nobody() {
    start nobody "$rude" "$1"
    wait_for nobody '* on *'
    port_of nobody
}

@test "dial_connect needs no observer, and hands each failure back" {
    start_server peer "$rude" serve whole
    named 127.0.0.3+127.0.0.2+127.0.0.1+127.0.0.4 0 250 5000 host "$PORT"
    expect_result 0 ""
    expect_output --text "127.0.0.3:$PORT failed: connect: Connection refused
127.0.0.2:$PORT failed: connect: Connection refused
127.0.0.1:$PORT connected
127.0.0.4:$PORT untried
non-blocking close-on-exec
3 is free\n"
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
}

@test "dial_connect closes every socket, and its errno is the last error" {
    nobody refuse
    named 127.0.0.1+::1+127.0.0.2 4 250 5000 host "$PORT"
    expect_result 0 ""
    expect_output --text "127.0.0.1:$PORT failed: connect: Connection refused
127.0.0.2:$PORT failed: connect: Connection refused
-1: Connection refused
3 is free\n"
    stop_all
    nobody swallow
    named 127.0.0.1+127.0.0.1+127.0.0.1 0 200 390 host "$PORT"
    expect_result 0 ""
    expect_output --text "127.0.0.1:$PORT failed: connect: Connection timed out
127.0.0.1:$PORT failed: connect: Connection timed out
127.0.0.1:$PORT untried
-1: Connection timed out
3 is free\n"
}

@test "dial_connect tries nothing when the deadline has passed" {
    nobody refuse
    named 127.0.0.1 0 250 0 host "$PORT"
    expect_result 0 ""
    expect_output --text "127.0.0.1:$PORT untried
-1: Connection timed out
3 is free\n"
}

@test "dial_connect says when the host cannot be looked up" {
    named 127.0.0.1 0 250 1000 nobody 80
    expect_output --text "lookup: Name or service not known\n3 is free\n"
    named 127.0.0.1 0 250 1000 host 65536
    expect_output --text "lookup: Servname not supported for ai_socktype\n3 is \
free\n"
}

crowd() {
    nobody swallow
    named 127.0.0.1+127.0.0.1+127.0.0.1+127.0.0.1+127.0.0.1+127.0.0.1 \
        0 "$1" 45 host "$PORT"
}

@test "dial_connect takes a delay of less than 10 ms for 10 ms" {
    local delay
    for delay in 9 1 0 -1; do
        crowd "$delay"
        # At 0, 10, 20, 30 and 40 ms; later on a busy machine.
        expect_true "six attempts in 45 ms" -- grep -q untried "$OUT"
    done
}

@test "dial_connect may be called again with the same struct" {
    start_server peer "$rude" -c 3 serve whole
    named 127.0.0.3+127.0.0.1 0 250 5000 host "$PORT" 3
    expect_result 0 ""
    expect_output --text "127.0.0.3:$PORT failed: connect: Connection refused
127.0.0.1:$PORT connected
non-blocking close-on-exec
3 is free\n"
}

# wrong COUNT: sets list to so many addresses that refuse.
wrong() {
    local i
    list=127.0.0.2
    for ((i = 1; i < $1; i++)); do
        list+=+127.0.0.2
    done
}

@test "dial_connect tries 64 addresses, and no more" {
    local list
    start_server peer "$rude" serve whole
    wrong 63
    named "$list+127.0.0.1" 0 250 5000 host "$PORT"
    expect_equal lines 66 "$(wc -l <"$OUT")"
    grep -q "^127.0.0.1:$PORT connected$" "$OUT"
    wrong 64
    named "$list+127.0.0.1" 0 250 5000 host "$PORT"
    expect_equal lines 66 "$(wc -l <"$OUT")"
    grep -q "^-1: Connection refused$" "$OUT"
}

@test "dial_connect asks a filter about each address just before it tries it" {
    start_server peer "$rude" serve whole
    named 127.0.0.3+::1+127.0.0.1+127.0.0.4 4 250 5000 host "$PORT" 1 127.0.0.3
    expect_result 0 ""
    expect_output --text "asked 127.0.0.3:$PORT
asked 127.0.0.1:$PORT
127.0.0.3:$PORT failed: connect: Permission denied
127.0.0.1:$PORT connected
127.0.0.4:$PORT untried
non-blocking close-on-exec
3 is free\n"
    # The one that it forbids costs no delay.
    expect_true "it waited for a forbidden one" -- test "$took" -lt 20
}

@test "dial_connect opens no socket for an address that the filter forbids" {
    named 127.0.0.3+127.0.0.1 0 250 5000 host 80 1 127.
    expect_result 0 ""
    expect_output --text "asked 127.0.0.3:80
asked 127.0.0.1:80
127.0.0.3:80 failed: connect: Permission denied
127.0.0.1:80 failed: connect: Permission denied
-1: Permission denied
3 is free\n"
    faulty+=(FAULT_CALL=socket FAULT_ERRNO=24)
    try "${faulty[@]}" "$tell" 0 250 5000 127.0.0.1 80 1 127.
    expect_output --text "asked 127.0.0.1:80
127.0.0.1:80 failed: connect: Permission denied
-1: Permission denied
3 is free\n"
}

@test "dial_connect's errno is that of an attempt which the filter allowed" {
    local order
    nobody refuse
    for order in 127.0.0.3+127.0.0.1 127.0.0.1+127.0.0.3; do
        named "$order" 0 250 5000 host "$PORT" 1 127.0.0.3
        expect_result 0 ""
        grep -q "^-1: Connection refused$" "$OUT"
        expect_equal "forbidden" 1 "$(grep -c 'Permission denied' "$OUT")"
    done
}
