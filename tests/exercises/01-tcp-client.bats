#!/usr/bin/env bats
# The exercise of 01-tcp-client: a daytime client, `01-tcp-client ADDRESS PORT`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

@test "connects to the address and port it is given" {
    peer rude "" whole
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    start answer "$PROGRAM" 127.0.0.1 "$PORT"
    soon has_connected_or_ended || true
    cp "$BATS_TEST_TMPDIR/answer.err" "$BATS_TEST_TMPDIR/err"
    hint "a port in a struct sockaddr_in has its most significant byte first: \
htons. Without it you knock at another door."
    expect_true "nobody connected to port $PORT" says peer connected
}

has_connected_or_ended() {
    says_or_ended peer connected || ! is_running answer
}

@test "connects to no other address" {
    peer rude "" whole
    HAND=()
    by_hand "$PROGRAM" 127.0.0.2 "$PORT"
    start answer "$PROGRAM" 127.0.0.2 "$PORT"
    finish answer
    hint "inet_pton writes the address into the struct sockaddr_in: the one \
from the command line, and not always 127.0.0.1."
    expect_true "it connected to 127.0.0.1, and was told 127.0.0.2" \
        [ "$ended" != 0 ]
}

@test "ends when the server has ended, with status 0" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    hint "recv returns 0 when the server has ended its half: no error, no \
bytes, and no more of them will ever come."
    expect_status 0
}

@test "copies all that comes, however it is cut" {
    hint "recv returns what has arrived, not what was sent: ask again until \
it returns 0."
    peer rude "-n 30" dribble
    answer 127.0.0.1 "$PORT"
    expect_status 0
    ! prints_more_than "$PAYLOAD" || hint "Standard output is for what the \
server said, and nothing else: the count goes to standard error."
    expect_output "$PAYLOAD"
    stop_all
    HAND=()
    peer rude "-n $((150000 + RANDOM))" whole
    answer 127.0.0.1 "$PORT"
    expect_status 0
    expect_output "$PAYLOAD"
}

# With haste, a second in which nothing comes is over in ten milliseconds.
@test "waits for a server that takes its time" {
    need_faults
    peer rude "-n 4 -d 40" dribble
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    try "${faulty[@]}" FAULT_HASTE=100 "$PROGRAM" 127.0.0.1 "$PORT"
    hint "a server that is silent for a while has not ended: recv says when it \
has, by returning 0."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "copies every byte, NUL bytes among them" {
    peer rude "-n $((5000 + RANDOM % 1000))" garbage
    answer 127.0.0.1 "$PORT"
    hint "bytes from a socket are no C string: there may be a NUL among them, \
and there is none after them. fwrite takes a length; printf's %s looks for a \
NUL."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "says on standard error how many bytes there were" {
    local bytes=$((100 + RANDOM % 900))
    hint "one line on standard error: the number, a space, the word bytes."
    peer rude "-n $bytes" whole
    answer 127.0.0.1 "$PORT"
    expect_status 0
    expect_output "$PAYLOAD"
    expect_stderr "$bytes bytes"
    stop_all
    peer rude "-k 0" half-close
    answer 127.0.0.1 "$PORT"
    expect_status 0
    expect_stderr "0 bytes"
}

@test "sends nothing" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    finish peer
    hint "a daytime server speaks first, to whoever connects: RFC 867."
    expect_true "it sent something to the server" \
        says peer "got 0 bytes, then end of stream"
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    hint "connect returns -1 when it fails, and errno says why. err(3) prints \
that in words: err(1, \"connect %s:%s\", address, port)."
    expect_status 1
    expect_stderr "*connect*Connection refused*"
}

@test "does not take a reset for the end" {
    peer rude "-n 60 -k 30" reset
    answer 127.0.0.1 "$PORT"
    hint "recv has three answers: bytes, 0 for the end, and -1 for a failure. \
A reset is a failure: what came is printed, then the reason, and the status \
is 1."
    expect_status 1
    expect_output "$PAYLOAD"
    expect_stderr "*Connection reset by peer*"
}

@test "says so when standard output cannot be written" {
    peer rude "" whole
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    errors=$(<"$BATS_TEST_TMPDIR/err")
    hint "fwrite, printf and fflush return what became of the bytes. Nothing \
is on its way before fflush: without it the loss shows only at exit."
    expect_status 1
    expect_stderr "*No space left on device*"
    stop_all
    HAND=()
    peer rude "" whole
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT | true")
    status=0
    open_unread_pipe
    bounded "$PROGRAM" 127.0.0.1 "$PORT" >&7 \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    exec 7>&-
    hint "a write to a pipe that nobody reads ends you by SIGPIPE, without a \
word, unless you say signal(SIGPIPE, SIG_IGN). Then it fails with EPIPE."
    expect_status 1
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1 "80" more
    expect_status 2
    peer rude "" whole
    hint "a port is digits and nothing else, from 1 to 65535. atoi stops at \
the first letter without a word, and a number that is too large loses its top \
bits in a port's sixteen."
    answer 127.0.0.1 "${PORT}x"
    expect_status 1
    answer 127.0.0.1 "$((PORT + 65536))"
    expect_status 1
}
