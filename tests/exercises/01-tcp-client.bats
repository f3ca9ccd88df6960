#!/usr/bin/env bats
# The exercise of 01-tcp-client: a daytime client, `01-tcp-client ADDRESS PORT`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

@test "connects to the address and port it is given" {
    peer rude "" whole
    start_answer 127.0.0.1 "$PORT"
    soon has_connected_or_ended || true
    expect_true "nobody connected to port $PORT" \
        --hint "sin_port in a struct sockaddr_in is in network byte order, the \
most significant byte first. Convert the port with htons." \
        -- says peer connected
}

has_connected_or_ended() {
    says_or_ended peer connected || ! is_running answer
}

@test "connects to no other address" {
    peer rude "" whole
    HAND=()
    answer 127.0.0.2 "$PORT"
    expect_true "it connected to 127.0.0.1, and was told 127.0.0.2" \
        --hint "inet_pton writes an address into the struct sockaddr_in. Give \
it the address from the command line, and not always 127.0.0.1." \
        -- [ "$status" != 0 ]
}

@test "ends when the server has ended, with status 0" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    expect_end --hint "$end_hint"
    expect_status 0 --hint "The server ended, and nothing failed: return 0 \
from main."
}

@test "copies all that comes, however it is cut" {
    peer rude "-n 30" dribble
    answer 127.0.0.1 "$PORT"
    expect_copy
    next_run
    peer rude "-n $((150000 + RANDOM))" whole
    answer 127.0.0.1 "$PORT"
    expect_copy
}

# expect_copy: the answer printed what the peer said, and nothing else.
expect_copy() {
    local hint=$short_recv_hint
    expect_end --hint "$end_hint"
    if prints_more_than "$PAYLOAD"; then
        hint="Standard output is for what the server said, and nothing else. \
Print the count on standard error."
    fi
    expect_output "$PAYLOAD" --hint "$hint"
    expect_status 0 --hint "All of it was printed, and nothing failed: return \
0 from main."
}

# With haste, a second in which nothing comes is over in ten milliseconds.
@test "waits for a server that takes its time" {
    local wait_hint="A server that is silent for a while has not ended. Let \
recv wait as long as it takes: it returns 0 when the server has ended."
    need_faults
    peer rude "-n 4 -d 40" dribble
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" FAULT_HASTE=100 "$PROGRAM" 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "$wait_hint"
    expect_status 0 --hint "$wait_hint"
}

@test "copies every byte, NUL bytes among them" {
    peer rude "-n $((5000 + RANDOM % 1000))" garbage
    answer 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "$bytes_hint"
    expect_status 0 --hint "No byte that the server sends is an error: end \
with status 0."
}

@test "says on standard error how many bytes there were" {
    local bytes=$((100 + RANDOM % 900))
    local count_hint="Print one line on standard error: the number of all \
bytes that came, a space, and the word bytes."
    peer rude "-n $bytes" whole
    answer 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "Standard output is for what the server \
said, and nothing else."
    expect_stderr "$bytes bytes" --hint "$count_hint"
    expect_status 0 --hint "Nothing failed: end with status 0."
    next_run
    peer rude "-k 0" half-close
    answer 127.0.0.1 "$PORT"
    expect_stderr "0 bytes" --hint "The server ended without a byte. That is \
no error: print 0 bytes."
    expect_status 0 --hint "The server ended without a byte. That is no error: \
end with status 0."
}

@test "sends nothing" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    finish peer
    expect_true "it sent something to the server" \
        --hint "A daytime server speaks first, as soon as a client connects \
(RFC 867). Send nothing." -- says peer "got 0 bytes, then end of stream"
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "connect returns -1 when it fails. Check that, and \
end with status 1."
    expect_stderr "*connect*Connection refused*" --hint "When connect returns \
-1, errno has the reason, and err(3) prints it in words: err(1, \"connect \
%s:%s\", address, port)."
}

@test "does not take a reset for the end" {
    peer rude "-n 60 -k 30" reset
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "$reset_hint"
    expect_output "$PAYLOAD" --hint "Print each piece as it comes: what came \
before the reset is to be printed, too."
    expect_stderr "*Connection reset by peer*" --hint "recv returned -1, and \
errno has the reason: err(1, \"recv\") prints it in words."
}

@test "says so when standard output cannot be written" {
    peer rude "" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When fwrite or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
    next_run
    peer rude "" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT | true"
    open_unread_pipe
    run_answer_to - "$PROGRAM" 127.0.0.1 "$PORT" >&7
    exec 7>&-
    expect_status 1 --hint "Nobody reads the pipe, so the write fails with \
EPIPE. Check what fwrite and fflush return."
}

@test "refuses wrong arguments with its usage, status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "usage: *" --hint "$usage_hint"
    answer 127.0.0.1 "80" more
    expect_status 2 --hint "$usage_hint"
    peer rude "" whole
    answer 127.0.0.1 "${PORT}x"
    expect_status 1 --hint "$port_hint"
    answer 127.0.0.1 "$((PORT + 65536))"
    expect_status 1 --hint "$port_hint"
}
