#!/usr/bin/env bats
# The exercise of 27-tls-event-loop: a client that sends and receives at the
# same time over TLS, `27-tls-event-loop CAFILE NAME HOST PORT`. Each test's
# name is a requirement, as a learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/peers/rude-tls
name=server.example
typed='echo hello' # what to give to it by hand

# server MANNER BYTES [OPTION...]: rude-tls with that manner. Its answer has so
# many bytes, drawn anew each time; they are in the file $ANSWER. CERTIFICATE
# says which certificate it shows.
server() {
    local certificate=${CERTIFICATE:-good}
    HAND=()
    [[ -e $certs/table ]] ||
        environment "the certificates are missing: make tools"
    ANSWER=$BATS_TEST_TMPDIR/answer
    draw "$2" "$ANSWER"
    start_server peer "$rude_tls" -f "$ANSWER" "${@:3}" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key" ||
        environment "$rude_tls cannot listen on 127.0.0.1"
    by_hand "$rude_tls" -f README.md "${@:3}" -p "$PORT" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key"
}

# echo_server: the server of this lesson.
echo_server() {
    HAND=()
    [[ -e $certs/table ]] ||
        environment "the certificates are missing: make tools"
    start_server peer "$BUILD/27-tls-event-loop" 0 "$certs/good.pem" \
        "$certs/good.key" || environment "$BUILD/27-tls-event-loop does not run"
    by_hand "$BUILD/27-tls-event-loop" "$PORT" "$certs/good.pem" \
        "$certs/good.key"
}

# draw BYTES FILE: so many bytes that nobody has seen before.
draw() {
    "$BUILD/peers/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$1" payload \
        garbage >"$2" || environment "$BUILD/peers/rude does not run"
}

# ask: runs the learner's program to its end, with the input $INPUT.
ask() {
    local shown="$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT"
    if [[ ${INPUT:-/dev/null} == /dev/null ]]; then
        by_hand "$shown </dev/null"
    else
        by_hand "$typed | $shown"
    fi
    run_answer "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
}

# start_ask: the same, without waiting for its end. Its input is a pipe, into
# which descriptor 9 writes.
start_ask() {
    local fifo=$BATS_TEST_TMPDIR/typed.$RANDOM
    mkfifo "$fifo"
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT"
    about=answer
    # shellcheck disable=SC2016 # for the other bash to expand
    start answer bash -c 'exec "$@" <"$0"' "$fifo" "$PROGRAM" \
        "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    exec 9<>"$fifo" # only now, so that nobody else has it open
    OUT=$BATS_TEST_TMPDIR/answer.out
}

is_printed_or_ended() {
    cmp -s "$1" "$OUT" || ! is_running answer
}

# expect_printed FILE --hint TEXT: soon it has printed that, and it goes on.
expect_printed() {
    soon is_printed_or_ended "$1" || true
    expect_output "$1" "${@:2}"
}

want_hint="The socket is non-blocking, so SSL_connect, SSL_read and SSL_write \
may return -1 because they have to wait. Ask SSL_get_error: for WANT_READ wait \
for POLLIN, for WANT_WRITE for POLLOUT. Then make the same call again."
notify_hint="When read returns 0, call SSL_shutdown: it sends close_notify, and \
returns 0 or 1 (0 is no failure: the server has not sent its own yet). \
shutdown(2) sends only a FIN, which anybody on the way could send too, and without \
either of them the server waits for more input."
goodbye_hint="close_notify needs room in the socket, too. If SSL_shutdown \
returns -1 because there is none, SSL_get_error says WANT_WRITE: wait for \
POLLOUT, and call it again."
error_hint="POLLERR and POLLHUP say that something has happened to the \
connection, not that nothing is left to read. Call SSL_read in any case: it \
returns what came before the end, and then says why there is no more."
both_hint="Do not send all of the input before you read the answer. When the \
server has no more room for its answer, it stops reading, so SSL_write has to \
wait for the server, and the server waits for you. Let poll wait for both \
directions at once."
retry_hint="SSL_write that has to wait must be called again with the same \
bytes at the same address, and the same length. So do not read more input into \
the array before SSL_write has taken all of it."
server_ends_hint="The server has sent close_notify, and your input goes on: \
nobody will read the rest of it. End with status 0 at once, and do not wait for \
the end of the input."
both_wait_hint="Do not wait in read while the server may have something, and \
not in SSL_read or poll on the socket alone while there may be input. One poll \
has both descriptors."
pending_hint="OpenSSL takes a whole record off the socket, up to 16384 bytes, \
and poll does not see what OpenSSL still holds (SSL_pending). Call SSL_read \
again until SSL_get_error says WANT_READ, and only then wait. If you want to see in \
between whether there is input, call poll with a timeout of 0."
flush_hint="What you print stays in a buffer of your program until the buffer \
is full. Call fflush(stdout) after each piece."
end_of_input_hint="The end of the input ends only your direction. Go on with \
SSL_read until SSL_get_error says SSL_ERROR_ZERO_RETURN."
sleep_hint="Give poll only what you wait for at this moment. POLLOUT is nearly \
always ready: wait for it only after WANT_WRITE. An input that has ended is \
always ready, so take it out of poll (fd = -1). And let poll wait for ever (-1), but \
when OpenSSL may have more bytes for you: nothing has to be done at a fixed time."
cut_hint="When SSL_read returns 0 or less, ask SSL_get_error. Only \
SSL_ERROR_ZERO_RETURN, close_notify, is the end. Any other end can be made by \
anybody on the way, so say why, and end with status 1."
believe_hint="tls_client_context and tls_client make SSL_connect fail if the \
certificate is not good or not for NAME. Then SSL_get_error says SSL_ERROR_SSL: \
say why, and end with status 1. Send nothing before SSL_connect has returned 1."
room_hint="When SSL_write has to wait because the socket is full, SSL_get_error \
says WANT_WRITE: then wait for POLLOUT. A server that only reads never makes \
POLLIN true."
memory_hint="Read more input only when SSL_write has taken all that you have \
read before. One array of a fixed size is enough."

@test "sends its input, tells the server that the input has ended, and prints the answer" {
    echo_server
    INPUT=$BATS_TEST_TMPDIR/input
    draw $((5000 + RANDOM % 300)) "$INPUT"
    ask
    HAND=("${HAND[0]}" "printf 'one\\0two\\n' >$BUILD/typed"
        "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT <$BUILD/typed | wc -c")
    expect_end --hint "$notify_hint $both_wait_hint $pending_hint"
    expect_true "it printed nothing" --hint "$want_hint $end_of_input_hint" \
        -- test -s "$OUT"
    expect_output "$INPUT" --hint "Send what read returns with SSL_write, and \
print what SSL_read returns with fwrite, which takes a length: a NUL may be \
among the bytes."
    expect_status 0 --hint "The server has sent close_notify: that is a normal \
end, status 0. $notify_hint"
    INPUT=/dev/null ask
    expect_end --hint "$notify_hint"
    expect_status 0 --hint "The input may be empty. $notify_hint"
    stop_all
    expect_true "the server says: $(<"$BATS_TEST_TMPDIR/peer.err")" \
        --hint "$notify_hint" -- test ! -s "$BATS_TEST_TMPDIR/peer.err"
    # The server ends first, and the input goes on.
    next_run
    server honest $((3000 + RANDOM % 300)) -n 6
    start_ask
    HAND[-1]="(echo hello; sleep 5) | ${HAND[-1]} | wc -c"
    echo hello >&9
    finish_answer
    exec 9>&-
    expect_end --hint "$server_ends_hint"
    expect_output "$ANSWER" --hint "$server_ends_hint"
    expect_status 0 --hint "$server_ends_hint"
}

@test "prints the answer to a line before its input has ended" {
    local line
    echo_server
    start_ask
    HAND[-1]="(echo one; sleep 5) | timeout 2 ${HAND[-1]} | cat"
    : >"$BATS_TEST_TMPDIR/lines"
    for line in "first $RANDOM" "second $RANDOM" "third $RANDOM"; do
        echo "$line" >&9
        echo "$line" >>"$BATS_TEST_TMPDIR/lines"
        expect_printed "$BATS_TEST_TMPDIR/lines" \
            --hint "$both_wait_hint $flush_hint"
    done
    expect_true "it has ended, and its input has not" --hint "$both_wait_hint" \
        -- is_running answer
    exec 9>&-
    finish_answer
    expect_end --hint "$notify_hint"
    expect_status 0 --hint "$notify_hint"
}

@test "prints all that has come, also while nothing is typed" {
    server stall $((16000 + RANDOM % 300))
    start_ask
    HAND[-1]="sleep 5 | timeout 2 ${HAND[-1]} | wc -c"
    HAND=("head -c 16000 /dev/zero >$BUILD/answer"
        "${HAND[@]/README.md/$BUILD/answer}")
    soon is_printed_or_ended "$ANSWER" || true
    expect_true "it has printed nothing" --hint "$both_wait_hint $flush_hint" \
        -- test -s "$OUT"
    expect_output "$ANSWER" --hint "$pending_hint $flush_hint"
    exec 9>&-
}

@test "goes on with the answer when its input has ended" {
    server honest $((40000 + RANDOM % 1000)) -n 30 -w 20
    INPUT=$BATS_TEST_TMPDIR/input
    draw 30 "$INPUT"
    typed='head -c 30 README.md' ask
    expect_end --hint "$end_of_input_hint"
    expect_output "$ANSWER" --hint "$end_of_input_hint"
    expect_status 0 --hint "$end_of_input_hint"
}

# waits_for_room: there is no room in the socket for the first record of the
# input. (Where the socket blocks, write waits until there is.)
waits_for_room() {
    echo_server
    INPUT=$BATS_TEST_TMPDIR/input
    draw 30000 "$INPUT"
    need_faults
    faulty+=(FAULT_NONBLOCKING=1 FAULT_CALL=write FAULT_ERRNO=11 FAULT_AT=3)
    by_hand "head -c 30000 /dev/urandom | ${faulty[*]} $PROGRAM \
$certs/root.pem $name 127.0.0.1 $HAND_PORT | wc -c"
    run_answer "${faulty[@]}" "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 \
        "$PORT"
    expect_end --hint "$want_hint"
    expect_status 0 --hint "$retry_hint $want_hint"
    expect_output "$INPUT" --hint "Each byte has to be sent once and in order. \
$retry_hint"
    next_run
    # There is no room for close_notify, which is all that is to be sent.
    echo_server
    by_hand "${faulty[*]} $PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT \
</dev/null"
    INPUT=/dev/null run_answer "${faulty[@]}" "$PROGRAM" "$certs/root.pem" \
        "$name" 127.0.0.1 "$PORT"
    expect_end --hint "$goodbye_hint"
    expect_status 0 --hint "$goodbye_hint"
    next_run
}

# big_input: 30 megabytes, in $INPUT.
big_input() {
    INPUT=$BATS_TEST_TMPDIR/input
    head -c 30000000 /dev/urandom >"$INPUT"
}

# bats test_tags=waits
@test "sends and receives at the same time" {
    local SECONDS_ALLOWED=10
    [[ $BUILD == *asan* ]] || waits_for_room
    echo_server
    big_input
    # From a file: it is read without a pause, and a pipe is not.
    by_hand "head -c 30000000 /dev/urandom >$INPUT"
    ask
    HAND[-1]="$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT \
<$BUILD/input | wc -c"
    expect_end --hint "$both_hint"
    [[ $errors != *"bad write retry"* && $errors != *"bad length"* ]] ||
        fail "SSL_write failed" --hint "$retry_hint"
    expect_output "$INPUT" --hint "Each byte has to be sent once and in order. \
$retry_hint"
    expect_status 0 --hint "$want_hint"
}

@test "prints while the server does not read" {
    local printed=0
    server flood 1
    INPUT=/dev/zero
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT </dev/zero"
    about=answer
    # shellcheck disable=SC2016 # for the other bash to expand
    start answer bash -c 'exec "$@" </dev/zero' - "$PROGRAM" \
        "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    OUT=$BATS_TEST_TMPDIR/answer.out
    # Its pace is the machine's affair: while it prints, we wait for more.
    while ((printed <= 300000)) && soon has_printed "$printed"; do
        printed=$(stat -c %s "$OUT")
    done
    expect_true "it stops printing when SSL_write has to wait" \
        --hint "$both_hint" -- has_printed 300000
    stop_all
}

has_printed() {
    (($(stat -c %s "$OUT") > $1))
}

is_asleep_or_ended() {
    is_asleep "$pid" || ! is_running answer
}

# work: how often it has gone to sleep, or been made to let others work; and how
# many hundredths of a second it has worked.
work() {
    awk '/ctxt_switches/ { sum += $2 }
         FNR == 1 && FILENAME ~ /stat$/ { sub(/.*\) /, ""); sum += $12 + $13 }
         END { print sum }' "/proc/$pid/status" "/proc/$pid/stat"
}

# expect_sleep WHEN: for a tenth of a second, it does nothing.
expect_sleep() {
    local pid before after
    pid=$(pid_of answer)
    HAND+=("grep ctxt /proc/\$(pgrep -nf ^$PROGRAM)/status # twice")
    soon is_asleep_or_ended ||
        fail "it never sleeps $1" --hint "$sleep_hint"
    expect_true "it has ended $1" --hint "$want_hint" -- is_running answer
    read -rt 0.05 <>"$BATS_RUN_TMPDIR/never" || true
    before=$(work)
    read -rt 0.1 <>"$BATS_RUN_TMPDIR/never" || true
    after=$(work)
    ((after - before <= 4)) ||
        fail "it keeps waking up $1" --hint "$sleep_hint"
}

# bats test_tags=waits
@test "sleeps while it waits" {
    [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never"
    server silent 1
    start_ask
    expect_sleep "in the handshake"
    exec 9>&-
    next_run
    server stall 100
    start_ask
    soon is_printed_or_ended "$ANSWER" || true
    expect_sleep "while neither side has anything"
    exec 9>&- # the input ends, and the server stays
    expect_sleep "after its input has ended"
    stop_all
}

@test "reads no more input while the server does not read" {
    local pid before more=0
    [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never"
    server stall 100
    start_ask
    soon is_printed_or_ended "$ANSWER" || true
    expect_output "$ANSWER" --hint "$both_wait_hint"
    pid=$(pid_of answer)
    before=$(memory "$pid")
    kill -s STOP "$(pid_of peer)"
    HAND=("${HAND[0]}" "${HAND[1]} </dev/zero" "pkill -n -STOP rude-tls"
        "grep RssAnon /proc/\$(pgrep -nf ^$PROGRAM)/status")
    # shellcheck disable=SC2016 # for the other bash to expand
    start zeros bash -c 'exec cat /dev/zero >"$0"' "/proc/$$/fd/9"
    soon feeder_is_blocked || true
    expect_true "it keeps all of the input in memory" --hint "$memory_hint" \
        -- test $(($(memory "$pid") - before)) -lt 6000
    expect_sleep "while the server does not read"
    before=$(read_so_far)
    kill -s CONT "$(pid_of peer)"
    HAND+=("pkill -n -CONT rude-tls"
        "grep rchar /proc/\$(pgrep -nf ^$PROGRAM)/io # twice")
    # Its pace is the machine's affair: while it reads, we wait for more.
    while ((more <= 20000000)) && soon has_read "$more"; do
        more=$(($(read_so_far) - before))
    done
    expect_true "the server reads again, and it does not go on" \
        --hint "$room_hint" -- test "$more" -gt 20000000
    exec 9>&-
    stop_all
}

# read_so_far: the bytes that it has read, with read(2).
read_so_far() {
    awk '/^rchar/ { print $2 }' "/proc/$pid/io" 2>/dev/null || echo 0
}

# reads_on: after the server has read again, it has read more of its input than
# goes into all buffers.
# has_read COUNT: since `before`, it has read more bytes than that.
has_read() {
    (($(read_so_far) - before > $1))
}

# The one that writes zeros has to wait, since nobody reads them; or the program
# has taken too many.
feeder_is_blocked() {
    (($(memory "$pid") - before <= 6000)) || return 0
    is_asleep "$(pid_of zeros)" && is_asleep "$pid" && pause && is_asleep "$pid"
}

@test "accepts only a server with a valid certificate for NAME" {
    local CERTIFICATE
    INPUT=$BATS_TEST_TMPDIR/input
    echo secret >"$INPUT"
    for CERTIFICATE in wrong-name self-signed expired; do
        server honest 100
        ask
        expect_end --hint "$believe_hint"
        expect_status 1 --hint "$believe_hint"
        expect_output /dev/null --hint "$believe_hint"
        expect_true "it does not say why" --hint "$believe_hint" \
            -- test -n "$errors"
        next_run
    done
}

@test "reports an end without close_notify as an error" {
    local manner
    for manner in cut broken-off; do
        server "$manner" 300
        start_ask
        finish_answer
        exec 9>&-
        expect_end --hint "$cut_hint"
        expect_output "$ANSWER" --hint "Print each piece when it comes: what \
came before the error is to be printed, too."
        expect_status 1 --hint "$cut_hint"
        expect_true "it does not say why" --hint "$cut_hint" \
            -- test -n "$errors"
        next_run
    done
    is_reset_unseen
    finish_answer
    exec 9>&-
    expect_end --hint "$cut_hint"
    expect_output "$ANSWER" --hint "$error_hint"
    expect_status 1 --hint "$cut_hint"
}

# is_reset_unseen: it is not looking while the answer comes and, behind it, the
# reset.
is_reset_unseen() {
    local pid peer
    server broken-off 300 -n 1
    start_ask
    HAND[-1]="(sleep 1; echo hello; sleep 9) | ${HAND[-1]} | wc -c"
    by_hand "sleep 0.5; pkill -n -STOP rude-tls; sleep 1; pkill -STOP \
-f ^$PROGRAM; pkill -n -CONT rude-tls; sleep 1; pkill -CONT -f ^$PROGRAM"
    pid=$(pid_of answer)
    peer=$(pid_of peer)
    soon is_idle || true
    kill -s STOP "$peer"
    until_true is_stopped "$peer"
    echo hello >&9
    soon is_idle || true # the line has been sent
    kill -s STOP "$pid" 2>/dev/null || true
    kill -s CONT "$peer"
    soon says peer 'got *' || true
    kill -s CONT "$pid" 2>/dev/null || true
}

# is_idle: it sleeps, and has not been awake for a moment.
is_idle() {
    local before
    is_running answer || return 0
    before=$(work)
    is_asleep "$pid" && pause && pause && is_asleep "$pid" &&
        (($(work) == before))
}

@test "reports output that cannot be written, and input that cannot be read" {
    server honest 100
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT </dev/null \
>/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 \
        "$PORT"
    expect_status 1 --hint "$output_hint"
    next_run
    server stall 100
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT </; echo \$?"
    local hint="A folder can be opened but not read, so read \
returns -1. That is an error and not the end of the input: say why, and end \
with status 1."
    INPUT=/ run_answer "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
}

@test "refuses wrong arguments" {
    answer "$certs/root.pem" "$name" 127.0.0.1
    expect_usage
    echo_server
    answer "$certs/root.pem" "$name" 127.0.0.1 "${PORT}x"
    expect_status 1 --hint "$port_hint"
}
