#!/usr/bin/env bats
# The exercise of 11-ssl-errors: read everything that a server sends through
# TLS, on a non-blocking socket. It is called as `11-ssl-errors [-k FILE]
# [-t SECONDS] CAFILE NAME HOST PORT`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise
load ../lib/clock

certs=build/certs
rude_tls=$BUILD/peers/rude-tls
name=server.example

# server MANNER BYTES [OPTION...]: starts rude-tls with that manner. Its answer
# has so many bytes, drawn anew each time; they are in the file $ANSWER.
# CERTIFICATE says which certificate it shows.
server() {
    local certificate=${CERTIFICATE:-good}
    HAND=()
    [[ -e $certs/table ]] ||
        environment "the certificates are missing: make tools"
    ANSWER=$BATS_TEST_TMPDIR/answer
    "$BUILD/peers/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$2" payload \
        garbage >"$ANSWER" || environment "$BUILD/peers/rude does not run"
    start_server peer "$rude_tls" -f "$ANSWER" "${@:3}" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key" ||
        environment "$rude_tls cannot listen on 127.0.0.1"
    by_hand "$rude_tls" -f README.md "${@:3}" -p "$PORT" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key"
}

# ask [OPTION...]: runs the learner's program, which wants the server $name.
ask() {
    answer "$@" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    stop_all
}

# start_ask [OPTION...]: the same, without waiting for its end.
start_ask() {
    start_answer "$@" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    OUT=$BATS_TEST_TMPDIR/answer.out
}

want_read_hint="On a non-blocking socket SSL_connect and SSL_read return -1 \
instead of waiting. If SSL_get_error says SSL_ERROR_WANT_READ, that is no \
failure: wait with poll for POLLIN, and make the same call again."
pending_hint="OpenSSL takes a whole record off the socket, up to 16384 bytes. \
poll does not see the bytes that OpenSSL still holds (SSL_pending counts \
them). Call SSL_read first, and wait only after SSL_ERROR_WANT_READ."
flush_hint="What you print stays in a buffer of your program until the buffer \
is full. Call fflush(stdout) after each piece."
sleep_hint="After SSL_ERROR_WANT_READ, wait with poll for POLLIN: it sleeps \
until something arrives. If you call SSL_read again at once, sleep for fixed \
times, or wait for POLLOUT, your program keeps waking up."
first_hint="The program has to print what has arrived before it waits for \
more: see that requirement."
close_hint="SSL_read returned 0 or less: ask SSL_get_error. \
SSL_ERROR_ZERO_RETURN is close_notify, the end that the server itself has \
sent. Any other end is an error, because somebody between the two could have \
cut the connection."
queue_hint="The FILE that could not be written left an error in OpenSSL's \
queue, and SSL_get_error looks there first. Call ERR_clear_error before each \
SSL_connect and SSL_read."

@test "prints everything that the server sends, byte for byte" {
    local all_hint="One SSL_read returns at most one record: call it until \
SSL_get_error says SSL_ERROR_ZERO_RETURN. Each time, print as many bytes as it \
has returned. They may contain a NUL, so use fwrite, which takes a length."
    server honest $((40000 + RANDOM % 1000)) -w 20
    ask
    expect_status 0 --hint "$want_read_hint"
    expect_output "$ANSWER" --hint "$all_hint"
    server dribble 30 -d 0
    ask
    expect_status 0 --hint "$want_read_hint"
    expect_output "$ANSWER" --hint "$all_hint"
    server honest 0
    ask
    expect_status 0 --hint "A server may send close_notify before any other \
byte. That is a normal end: status 0."
    expect_output "$ANSWER" --hint "The server has sent nothing, so print \
nothing."
}

@test "accepts only a server with a valid certificate for NAME" {
    local CERTIFICATE hint="tls_client_context and tls_client make SSL_connect \
fail if the certificate is not for NAME. Then SSL_get_error says \
SSL_ERROR_SSL: say why, and end with status 1."
    for CERTIFICATE in wrong-name self-signed; do
        server honest 100
        ask
        expect_status 1 --hint "$hint"
        expect_output /dev/null --hint "$hint"
    done
    CERTIFICATE=good
    hint="This server sends close_notify in the place of its certificate, and \
anybody could send that. SSL_connect has not returned 1, so the handshake has \
failed: say so, and end with status 1."
    server bye 1
    ask
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_output /dev/null --hint "$hint"
}

@test "prints what has arrived before it waits for more" {
    local hint=$flush_hint printed
    server stall $((9000 + RANDOM % 1000))
    start_ask
    soon is_printed_or_ended || true
    # A buffer of standard output has 4096 bytes when it is a file, or ends with
    # a newline. It is printed when it is full, and the rest is not. Or else what
    # is printed are pieces of PIECE_BYTES.
    printed=$(wc -c <"$OUT")
    ((printed % 1000 != 0 || printed % 4096 == 0)) || hint=$pending_hint
    HAND[-1]="timeout 2 ${HAND[-1]} | cat" # to a terminal it need not flush
    HAND=("printf 'this has no newline' >$BUILD/answer"
        "${HAND[@]/README.md/$BUILD/answer}")
    expect_output "$ANSWER" --hint "$hint"
    next_run
    # Each piece fills the array of PIECE_BYTES.
    server stall $((1000 * (1 + RANDOM % 9)))
    start_ask
    soon is_printed_or_ended || true
    HAND[-1]="timeout 2 ${HAND[-1]} | cat"
    HAND=("head -c 3000 README.md >$BUILD/answer"
        "${HAND[@]/README.md/$BUILD/answer}")
    expect_output "$ANSWER" --hint "Call fflush(stdout) after each piece, also \
after one that fills your array. It may be the last one for a long time."
}

is_printed_or_ended() {
    cmp -s "$ANSWER" "$OUT" || ! is_running answer
}

@test "sleeps while it waits" {
    local pid before after
    server stall 100
    start_ask
    soon is_printed_or_ended || true
    expect_output "$ANSWER" --hint "$first_hint"
    pid=$(pid_of answer)
    HAND[-1]="time -p ${HAND[-1]/ / -t 20 }"
    HAND+=("grep ctxt /proc/\$(pgrep -f ^$PROGRAM)/status")
    soon is_asleep_or_ended ||
        fail "it never sleeps" --show "$(tell_work)" --hint "$sleep_hint"
    expect_true "it has ended, and the server has not" \
        --hint "$want_read_hint" \
        -- is_running answer
    before=$(work)
    read -rt 0.1 <>"$BATS_RUN_TMPDIR/never" || true
    after=$(work)
    ((after - before <= 4)) ||
        fail "it keeps waking up" --show "$(tell_work)" --hint "$sleep_hint"
}

is_asleep_or_ended() {
    is_asleep "$pid" || ! is_running answer
}

# How often it has gone to sleep, or been made to let others work; and how many
# hundredths of a second it has worked.
work() {
    awk '/ctxt_switches/ { sum += $2 }
         FNR == 1 && FILENAME ~ /stat$/ { sub(/.*\) /, ""); sum += $12 + $13 }
         END { print sum }' "/proc/$pid/status" "/proc/$pid/stat"
}

tell_work() {
    local -a fields
    read -ra fields <<<"$(sed 's/.*) //' "/proc/$pid/stat")"
    printf '     Got: %d hundredths of a second of processor time, and %s\n' \
        $((fields[11] + fields[12])) "$(sed -n \
            's/^voluntary_ctxt_switches:\t*\(.*\)/asleep \1 times/p' \
            "/proc/$pid/status")"
}

@test "waits until it can send, if that is what a call wants" {
    local hint="SSL_ERROR_WANT_WRITE means that the call has something to send \
and the socket took nothing. Wait for POLLOUT, and make the same call again; \
POLLIN would never come."
    need_faults
    server honest 100
    by_hand env "LD_PRELOAD=$BUILD/tests/faults.so" FAULT_CALL=write \
        FAULT_ERRNO=11 "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" FAULT_CALL=write FAULT_ERRNO=11 "$PROGRAM" \
        "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    expect_end --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_output "$ANSWER" --hint "$hint"
}

@test "accepts only close_notify as the end" {
    server cut 300
    ask
    expect_status 1 --hint "$close_hint"
    expect_output "$ANSWER" --hint "Print each piece when it arrives. What \
arrived before the error must be printed too."
    expect_stderr "*cut short*" --hint "Say on standard error that the \
connection was cut short: tls_explain has these words. Ask SSL_get_error \
first, because errno has the reason only for SSL_ERROR_SYSCALL. And call nothing \
in between that empties the queue, because the reason is in there."
}

@test "says which error broke the connection" {
    server broken-off 300
    ask
    expect_status 1 --hint "SSL_ERROR_SYSCALL is an error of the socket, here \
a reset. A reset is not the end: say why, and end with status 1."
    expect_stderr "*Connection reset by peer*" --hint "For SSL_ERROR_SYSCALL \
the reason is in errno and OpenSSL's queue is empty. Read errno before another \
call changes it."
    server spoilt 300
    ask
    expect_status 1 --hint "SSL_ERROR_SSL is an error of TLS: say why, and end \
with status 1."
    expect_output "$ANSWER" --hint "Print each piece when it arrives. What \
arrived before the error must be printed too."
    expect_stderr "*bad record mac*" --hint "For SSL_ERROR_SSL the reason is \
in OpenSSL's queue, and errno is about something else. Ask SSL_get_error which \
error it is; tls_explain, or ERR_reason_error_string of ERR_peek_error, has \
the words."
    # Both in one file: which came first?
    server spoilt 300
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT 2>&1 | cat"
    HAND=("printf 'one\\ntwo\\n' >$BUILD/answer"
        "${HAND[@]/README.md/$BUILD/answer}")
    run_answer sh -c 'exec "$@" 2>&1' - "$PROGRAM" "$certs/root.pem" "$name" \
        127.0.0.1 "$PORT"
    stop_all
    expect_true "the reason comes before what arrived" --hint "What you print \
with fwrite stays in a buffer, and errx writes at once. Call fflush(stdout) \
after each piece, and not only before you wait." -- prints_more_than "$ANSWER"
}

# bats test_tags=waits
@test "ends at the deadline" {
    local manner poll_hint hint="deadline_wait returns -1 when the deadline has passed, in \
the handshake too. Then say deadline passed on standard error, and end with \
status 1."
    for manner in silent mute; do
        server "$manner" 1
        ask -t 0.1
        poll_hint=
        ! waits_in_poll || poll_hint="A poll must not wait after the deadline: \
let it wait for deadline_left(deadline) milliseconds, and not for a fixed time. "
        expect_end --hint "$poll_hint$hint"
        expect_status 1 --hint "$hint"
        expect_stderr "*deadline passed*" --hint "$hint"
    done
    is_one_deadline
    # A byte each 20 milliseconds: the whole would take half a minute.
    hint="There is one deadline for everything, and it is SECONDS after the \
start. A byte that arrives does not begin a new one."
    server dribble 1 -d 20
    ask -t 0.2
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*deadline passed*" --hint "$hint"
    stops_reading
}

# waits_in_poll: it did not end, and was waiting in poll, or a call like it.
waits_in_poll() {
    grep -qE 'waiting in .*(poll|select)' "$BATS_TEST_TMPDIR/ending"
}

# is_one_deadline: the handshake takes most of the time, and then nothing comes.
# On a busy machine it may end later, but not each time.
is_one_deadline() {
    local i took hint="There is one deadline for everything, and it is SECONDS \
after the start. The end of the handshake does not begin a new one."
    for i in 1 2 3; do
        server mute 1 -w 400
        by_hand "$PROGRAM" -t 0.5 "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
        timed "$PROGRAM" -t 0.5 "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
        stop_all
        ((took > 85)) || return 0
    done
    expect_end --hint "$hint"
    # Slower, so that a person sees it.
    HAND=("${HAND[-2]/-w 400/-w 2000}" "time -p ${HAND[-1]/-t 0.5/-t 3}")
    fail "it ended after $(printf %d.%02d $((took / 100)) $((took % 100))) seconds, \
and not after 0.5" --hint "$hint"
}

# stops_reading: the server sends without end. The program sleeps until the
# deadline has passed, as on a busy machine; so then there is much to read.
stops_reading() {
    local pid before hint="This server never stops sending, so SSL_read always \
has something and your program never waits. Look at the clock before each SSL_read too: \
deadline_left returns 0 when the deadline has passed."
    server flood 1
    start_ask -t 0.3
    HAND[-1]+=" >/dev/null"
    soon has_printed_or_ended || true
    pid=$(pid_of answer)
    kill -s STOP "$pid" 2>/dev/null || true
    before=$(wc -c <"$OUT")
    read -rt 0.35 <>"$BATS_RUN_TMPDIR/never" || true
    kill -s CONT "$pid" 2>/dev/null || true
    soon goes_on_or_has_ended || true
    ! goes_on || fail "it goes on after the deadline" --hint "$hint"
    finish_answer
    stop_all
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*deadline passed*" --hint "$hint"
}

has_printed_or_ended() {
    [[ -s $OUT ]] || ! is_running answer
}

goes_on() {
    (($(wc -c <"$OUT") > before + 20000))
}

goes_on_or_has_ended() {
    goes_on || ! is_running answer
}

@test "does not take an old error for a new one" {
    local pid missing=$BATS_TEST_TMPDIR/no/such/folder
    server stall 100
    start_ask -k "$missing"
    soon is_printed_or_ended || true
    expect_output "$ANSWER" --hint "$queue_hint"
    pid=$(pid_of answer)
    soon is_asleep_or_ended || true
    expect_true "it did not wait for more" --hint "$queue_hint" \
        -- is_asleep "$pid"
    stop_all
    server cut 100
    ask -k "$missing"
    expect_status 1 --hint "$queue_hint"
    expect_stderr "*cut short*" --hint "$queue_hint"
    server honest 100
    ask -k "$missing"
    expect_status 0 --hint "$queue_hint"
    expect_output "$ANSWER" --hint "$queue_hint"
    # That is no reason to save nothing.
    local file=$BATS_TEST_TMPDIR/saved
    server honest 100
    ask -k "$file"
    by_hand "openssl x509 -noout -subject <$file"
    cmp -s <(openssl x509 -in "$certs/good.pem") "$file" ||
        fail "FILE has not the certificate of the server" --hint "With -k, the \
certificate is saved after the handshake. Do not leave save_certificate out, \
because it may fail: empty the queue before the next call."
}

@test "reports output that cannot be written" {
    server honest 100
    by_hand "$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT >/dev/full; \
echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 \
        "$PORT"
    expect_status 1 --hint "$output_hint"
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    stop_all
    need_faults
    server honest 300
    by_hand env "LD_PRELOAD=$BUILD/tests/faults.so" FAULT_SHORT=write \
        "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" FAULT_SHORT=write "$PROGRAM" \
        "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    expect_no_loss "$ANSWER"
}

@test "refuses wrong arguments" {
    answer "$certs/root.pem" "$name" 127.0.0.1
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
}
