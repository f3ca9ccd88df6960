#!/usr/bin/env bats
# The exercise of 06-closing: say all, end your half, hear all, `06-closing HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

# input BYTES: what is said to the answer: bytes that nobody has seen before, of
# all values, in the file $INPUT.
input() {
    local seed=$((RANDOM * 32768 + RANDOM + 2))
    INPUT=$BATS_TEST_TMPDIR/input
    "$BUILD/tests/rude" -s "$seed" -n "$1" payload garbage >"$INPUT" ||
        environment "$BUILD/tests/rude does not run"
    HAND+=("$BUILD/tests/rude -s $seed -n $1 payload garbage >input")
}

# talk: an answer with that input; sets what `answer` sets. It may meet faults:
# see need_faults.
talk() {
    HAND+=("${faulty[*]/"$PWD/"/}${faulty:+ }$PROGRAM 127.0.0.1 $HAND_PORT <input")
    listen_to "${faulty[@]}" "$PROGRAM" 127.0.0.1 "$PORT" <"$INPUT"
}
faulty=()

# listen_to COMMAND...: what `try` does, but its input is ours.
listen_to() {
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    : >"$BATS_TEST_TMPDIR/ending"
    bounded "$@" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || errors=${errors%$'\n'}
}

# hearer OPTIONS FACE: a peer that keeps what it hears in $HEARD.
hearer() {
    HEARD=$BATS_TEST_TMPDIR/heard
    peer rude "$1 -o $HEARD" "$2"
    HAND[-1]=${HAND[-1]/"$HEARD"/heard}
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

# expect_heard: the peer has heard the whole input, and nothing else.
expect_heard() {
    expect_true "nobody connected to port $PORT" was_reached
    finish peer
    cmp -s "$INPUT" "$HEARD" && return
    if (($(wc -c <"$INPUT") > 10000)); then
        printf 'Expected: %s bytes\n     Got: %s bytes\n' \
            "$(wc -c <"$INPUT")" "$(wc -c <"$HEARD")"
    else
        show_difference "$INPUT" "$HEARD"
    fi | not_yet "what its peer heard is not its input"
}

@test "copies standard input to its peer, byte for byte" {
    input $((2000 + RANDOM % 1000))
    hearer "-n 0" whole
    talk
    hint "read returns how many bytes there are, 0 when there will be no more, \
and -1 for an error. These bytes are no C string: there may be a NUL among \
them, and there is none after them."
    expect_heard
    HAND=()
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    need_faults
    faulty+=('FAULT_SHORT=send,write')
    input $((200 + RANDOM % 100))
    hearer "-n 0" whole
    talk
    hint "send may take fewer bytes than you gave it, and says how many. Give \
it the rest, again and again, until all are taken: stream_write_all does."
    expect_heard
    stop_all
    HAND=()
    faulty+=('FAULT_SHORT=read')
    hearer "-n 0" whole
    talk
    hint "read returns what is there: fewer bytes than you asked for are not \
the end. That is 0."
    expect_heard
}

@test "sends all of its input, a megabyte too, before it waits for an answer" {
    SECONDS_ALLOWED=5 # a byte at a time is slow, and not wrong
    input $((1000000 + RANDOM))
    hearer -w whole
    talk
    hint "read returns a piece of the input: ask again until it returns 0."
    ((status != 124)) || hint "this peer answers when it has heard the end of \
what you say. If you wait for its answer before you have said all, each waits \
for the other, for ever. First send everything; then end your half; then \
receive."
    expect_heard
}

@test "ends its half when its input has ended" {
    hint "the peer cannot know that there is no more, unless you say so: \
shutdown(fd, SHUT_WR) sends a FIN, and its recv returns 0."
    input $((20 + RANDOM % 80))
    peer rude -w whole
    talk
    expect_end
    stop_all
    HAND=()
    input 0
    peer rude -w whole
    talk
    expect_end
}

@test "prints the whole answer to that" {
    input $((20 + RANDOM % 80))
    peer rude -w whole
    talk
    hint "shutdown(fd, SHUT_WR) ends what you say, and leaves you your ears. \
close takes them too, and so does SHUT_RDWR: the answer comes, and there is \
nobody whom it could come to."
    expect_status 0
    ! prints_more_than "$PAYLOAD" ||
        hint "Standard output is for what the peer said, and nothing else."
    expect_output "$PAYLOAD"
    stop_all
    HAND=()
    input $((20 + RANDOM % 80))
    peer rude "-w -n 30" dribble
    talk
    hint "recv returns what has arrived, not what was sent: ask again until \
it returns 0."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "copies every byte of the answer, NUL bytes among them" {
    input 0
    peer rude "-w -n $((5000 + RANDOM % 1000))" garbage
    talk
    hint "bytes from a socket are no C string: there may be a NUL among them, \
and there is none after them. fwrite takes a length; printf's %s looks for a \
NUL."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "copies a megabyte each way" {
    SECONDS_ALLOWED=10
    input $((1000000 + RANDOM))
    peer rude "-w -n $((1000000 + RANDOM))" whole
    talk
    hint "neither what you send nor what you receive has a size that you could \
know before. Copy a piece, then the next one, in a buffer that you use again."
    expect_status 0
    expect_true "$(wc -c <"$OUT") of $(wc -c <"$PAYLOAD") bytes of the answer \
were printed, or others" cmp -s "$PAYLOAD" "$OUT"
}

@test "does not take a reset for the end" {
    input $((20 + RANDOM % 80))
    peer rude "-w -n 60 -k 30" reset
    talk
    hint "recv has three answers: bytes, 0 for the end, and -1 for a failure. \
A reset is a failure: what came is printed, then the reason, and the status \
is 1."
    expect_status 1
    expect_output "$PAYLOAD"
    expect_stderr "*Connection reset by peer*"
}

@test "says why when its peer has gone, and does not die of it" {
    input 300000
    peer rude "-e -k 0" reset
    HAND+=("(sleep 1; cat input) | $PROGRAM 127.0.0.1 $HAND_PORT; echo \$?")
    listen_to "$PROGRAM" 127.0.0.1 "$PORT" < <(
        until_true says peer 'got *' && cat "$INPUT"
    )
    hint "to send to a peer that has gone raises SIGPIPE, which ends a program \
without a word. Ignore it, signal(SIGPIPE, SIG_IGN), or give send the flag \
MSG_NOSIGNAL: then send returns -1, and errno says why. That is an error, \
with words and with status 1."
    expect_status 1
    expect_stderr "?*"
}

@test "says so when standard input cannot be read" {
    peer rude "-w" whole
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT </; echo \$?")
    listen_to "$PROGRAM" 127.0.0.1 "$PORT" </
    hint "a folder can be opened, and not be read: read returns -1. That is \
not the end of the input, it is a failure, and who ends its half after it \
says that this was all."
    expect_status 1
    expect_stderr "*Is a directory*"
}

@test "says so when standard output cannot be written" {
    input 10
    peer rude "-w" whole
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT <input >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" 127.0.0.1 "$PORT" <"$INPUT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || true
    hint "fwrite, printf and fflush return what became of the bytes. Nothing \
is on its way before fflush: without it the loss shows only at exit."
    expect_status 1
    expect_stderr "?*"
    stop_all
    peer rude "-w" whole
    HAND=("$PROGRAM 127.0.0.1 $HAND_PORT <input | true")
    status=0
    open_unread_pipe
    bounded "$PROGRAM" 127.0.0.1 "$PORT" <"$INPUT" >&7 \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    exec 7>&-
    hint "a write to a pipe that nobody reads ends you by SIGPIPE, without a \
word, unless you say signal(SIGPIPE, SIG_IGN). Then it fails with EPIPE."
    expect_status 1
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    hint "connect returns -1 when it fails, and errno says why. The file that \
you began with prints that already."
    expect_status 1
    expect_stderr "*Connection refused*"
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1
    expect_status 2
    answer 127.0.0.1 80 more
    expect_status 2
}
