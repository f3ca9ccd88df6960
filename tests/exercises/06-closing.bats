#!/usr/bin/env bats
# The exercise of 06-closing: say all, end your half, hear all, `06-closing HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

# input BYTES: what is said to the answer: bytes that nobody has seen before, of
# all values, in the file $INPUT.
input() {
    local seed=$((RANDOM * 32768 + RANDOM + 2))
    INPUT=$BATS_TEST_TMPDIR/input
    "$BUILD/peers/rude" -s "$seed" -n "$1" payload garbage >"$INPUT" ||
        environment "$BUILD/peers/rude does not run"
    by_hand "$BUILD/peers/rude -s $seed -n $1 payload garbage >$BUILD/input"
}

# talk: an answer with that input; sets what `answer` sets. It may meet faults:
# see need_faults.
talk() {
    by_hand "${faulty[*]/"$PWD/"/}${faulty:+ }$PROGRAM 127.0.0.1 $HAND_PORT <$BUILD/input"
    run_answer "${faulty[@]}" "$PROGRAM" 127.0.0.1 "$PORT"
}
faulty=()

# hearer OPTIONS FACE: a peer that keeps what it hears in $HEARD.
hearer() {
    HEARD=$BATS_TEST_TMPDIR/heard
    peer rude "$1 -o $HEARD" "$2"
}

# was_reached: somebody connected to the peer. It may look only after the answer
# has ended: connections wait in its queue.
was_reached() {
    local i
    for ((i = 0; i < 200; i++)); do
        ! says peer connected || return 0
        pause
    done
    return 1
}

# has_heard_more: the peer has heard the whole input, and something after it.
has_heard_more() {
    local sent
    sent=$(wc -c <"$INPUT")
    (($(wc -c <"$HEARD") > sent)) && cmp -sn "$sent" "$INPUT" "$HEARD"
}

# expect_heard [--hint TEXT]: the peer has heard the whole input, and nothing
# else.
expect_heard() {
    local hint='' show
    local -a arguments
    take_options 0 "$@" || return
    expect_true "nobody connected to port $PORT" --hint "The file that you \
began with connects: do the rest with the descriptor that it \
has." -- was_reached
    finish peer
    cmp -s "$INPUT" "$HEARD" && return
    if [[ $errors == *"Broken pipe"* ]]; then
        hint="After shutdown(fd, SHUT_WR) nothing can be sent any more. Call \
it only once: after the loop, when read has returned 0."
    elif has_heard_more; then
        hint="Send exactly what read returned, and nothing behind it. A \
newline too is a byte that your peer would hear."
    fi
    if (($(wc -c <"$INPUT") > 10000)); then
        show="Expected: $(wc -c <"$INPUT") bytes
     Got: $(wc -c <"$HEARD") bytes"
    else
        show=$(show_difference "$INPUT" "$HEARD")
    fi
    fail "what its peer heard is not its input" --show "$show" --hint "$hint"
}

fin_hint="The peer cannot know that nothing more will come until you say so. \
shutdown(fd, SHUT_WR) sends a FIN, and then the peer's recv returns 0."
half_hint="shutdown(fd, SHUT_WR) ends only your sending: you still receive the \
answer. close and SHUT_RDWR end both."

@test "copies standard input to the peer, byte for byte" {
    input $((2000 + RANDOM % 1000))
    hearer "-n 0" whole
    talk
    expect_heard --hint "read returns how many bytes there are, 0 at the end, \
and -1 for an error: send exactly that many. These bytes are not a C string: a \
NUL may be among them. A newline does not end the input either."
    HAND=()
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    need_faults
    faulty+=('FAULT_SHORT=send,write')
    input $((200 + RANDOM % 100))
    hearer "-n 0" whole
    talk
    expect_heard --hint "send may take fewer bytes than you gave it, and \
returns how many. Call it again with the rest until all are sent: \
stream_write_all does that."
    next_run
    faulty+=('FAULT_SHORT=read')
    input $((200 + RANDOM % 100))
    hearer "-n 0" whole
    talk
    expect_heard --hint "read returns what is there, which may be fewer bytes \
than you asked for. Only 0 is the end."
}

@test "ends its sending half when its input has ended" {
    input 0
    peer rude -w whole
    talk
    expect_end --hint "$fin_hint"
}

@test "sends all of its input before it waits for an answer, also a megabyte of it" {
    SECONDS_ALLOWED=5 # a byte at a time is slow, and not wrong
    input $((1050000 + RANDOM % 1000)) # more than 1 MiB
    hearer -w whole
    talk
    expect_end --hint "This peer answers after it has heard the end of your \
input. If you wait for its answer before, each of you waits for the other for \
ever: first send everything, then call shutdown(fd, SHUT_WR), then receive."
    expect_heard --hint "read returns a piece of the input: call it again \
until it returns 0, and send each piece. An array that is full is not the end \
of the input."
    next_run
    expect_much
}

# expect_much: an input that is larger than most arrays arrives, too. An answer
# that sends a byte at a time may take too long for that; that is not wrong.
expect_much() {
    local heard size=$((17000000 + RANDOM)) # more than 16 MiB
    SECONDS_ALLOWED=2
    peer rude "-w -n 0" whole
    by_hand "head -c $size /dev/zero | $PROGRAM 127.0.0.1 $HAND_PORT"
    about=
    try_with <(head -c "$size" /dev/zero) "$BATS_TEST_TMPDIR/out" \
        "$PROGRAM" 127.0.0.1 "$PORT"
    [[ ! -s $BATS_TEST_TMPDIR/ending ]] || return 0
    finish peer
    heard=$(sed -n 's/^got \([0-9]*\) bytes.*/\1/p' "$BATS_TEST_TMPDIR/peer.out")
    expect_equal "the number of bytes that its peer heard" "$size" "$heard" \
        --hint "However large your array is, an input may be larger. Send each \
piece as soon as read has returned it, and use the same array again."
}

@test "prints the whole answer" {
    local hint=$half_hint
    input $((20 + RANDOM % 80))
    peer rude -w whole
    talk
    expect_status 0 --hint "$half_hint"
    ! prints_more_than "$PAYLOAD" || hint="Standard output is for what the \
peer said, and nothing else."
    expect_output "$PAYLOAD" --hint "$hint"
    next_run
    input $((20 + RANDOM % 80))
    peer rude "-w -n 30" dribble
    talk
    expect_output "$PAYLOAD" --hint "$short_recv_hint"
    expect_status 0 --hint "The peer ended, and nothing failed: return 0 from \
main."
}

@test "copies every byte of the answer" {
    input 0
    peer rude "-w -n $((5000 + RANDOM % 1000))" garbage
    talk
    expect_output "$PAYLOAD" --hint "$bytes_hint"
    expect_status 0 --hint "No byte of the answer is an error: end with status \
0."
}

@test "copies a megabyte each way" {
    local hint="You cannot know how much there is to send or to receive. Copy \
a piece, then the next one, and use the same buffer again."
    SECONDS_ALLOWED=10
    input $((1050000 + RANDOM % 1000))
    peer rude "-w -n $((1050000 + RANDOM % 1000))" whole
    talk
    expect_end --hint "$hint"
    expect_true "$(wc -c <"$OUT") of $(wc -c <"$PAYLOAD") bytes of the answer \
were printed, or others" --hint "$hint" -- cmp -s "$PAYLOAD" "$OUT"
    expect_status 0 --hint "$hint"
}

@test "reports a reset while it receives as an error, with status 1" {
    input $((20 + RANDOM % 80))
    peer rude "-w -n 60 -k 30" reset
    talk
    expect_status 1 --hint "$reset_hint"
    expect_output "$PAYLOAD" --hint "Print each piece as it comes: what came \
before the reset is to be printed, too."
    expect_stderr "*Connection reset by peer*" --hint "recv returned -1, and \
errno has the reason: err(1, \"recv\") prints it in words."
}

@test "reports a send that fails, with status 1" {
    input 300000
    peer rude "-e -k 0" reset
    by_hand "(sleep 1; cat $BUILD/input) | $PROGRAM 127.0.0.1 $HAND_PORT; echo \$?"
    about=
    try_with <(until_true says peer 'got *' && cat "$INPUT") \
        "$BATS_TEST_TMPDIR/out" "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "send to a peer that has gone returns -1 with EPIPE \
or ECONNRESET. That is an error: say why, and end with status 1."
    expect_stderr "?*" --hint "send returned -1, and errno has the reason: \
err(1, \"send\") prints it in words."
}

@test "reports input that cannot be read, with status 1" {
    local hint="A directory can be opened but not read, so read returns -1. \
That is an error and not the end of the input: say why, end with status 1, and \
do not call shutdown."
    peer rude "-w" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT </; echo \$?"
    INPUT=/
    run_answer "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$hint"
    expect_stderr "*Is a directory*" --hint "$hint"
}

@test "reports output that cannot be written, with status 1" {
    input 10
    peer rude "-w" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT <$BUILD/input >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    expect_stderr "?*" --hint "When fwrite or fflush fails, errno has the \
reason: err(1, \"standard output\") prints it in words."
    next_run
    input 0
    peer rude "-w -n 4096" whole # as much as a buffer of fwrite holds
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT </dev/null >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$fwrite_hint"
    next_run
    input 10
    peer rude "-w" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT <$BUILD/input | true"
    open_unread_pipe
    run_answer_to - "$PROGRAM" 127.0.0.1 "$PORT" >&7
    exec 7>&-
    expect_status 1 --hint "Nobody reads the pipe, so the write fails with \
EPIPE. Check what fwrite and fflush return."
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    stop_all
    HAND=()
    peer rude "-w -n 5000" whole
    need_faults
    faulty+=(FAULT_SHORT=write)
    talk
    expect_output "$PAYLOAD" --hint "$short_write_hint"
    faulty=()
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "connect returns -1 when it fails. The file that \
you began with checks that, and ends with status 1."
    expect_stderr "*Connection refused*" --hint "When connect returns -1, \
errno has the reason. The file that you began with prints it."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer 127.0.0.1
    expect_status 2 --hint "$usage_hint"
    answer 127.0.0.1 80 more
    expect_status 2 --hint "$usage_hint"
}
