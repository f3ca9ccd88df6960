#!/usr/bin/env bats
# The exercise of 11-ssl-errors: all that a server says through TLS, read from
# a non-blocking socket, `11-ssl-errors [-k FILE] [-t SECONDS] CAFILE NAME HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/tests/rude-tls
name=server.example

# server MANNER BYTES [OPTION...]: that one, which answers with so many bytes
# that nobody has seen before, in $ANSWER. CERTIFICATE says which it shows.
server() {
    local certificate=${CERTIFICATE:-good}
    HAND=()
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    ANSWER=$BATS_TEST_TMPDIR/answer
    "$BUILD/tests/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$2" payload \
        garbage >"$ANSWER" || environment "$BUILD/tests/rude does not run"
    start_server peer "$rude_tls" -f "$ANSWER" "${@:3}" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key" ||
        environment "$rude_tls cannot listen on 127.0.0.1"
    by_hand "$rude_tls" -f README.md "${@:3}" -p "$PORT" "$1" \
        "$certs/$certificate.pem" "$certs/$certificate.key"
}

# ask [OPTION...]: an answer, which is to hear $name and nobody else.
ask() {
    answer "$@" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    stop_all
}

# ask_in_background [OPTION...]: the same, without waiting for its end.
ask_in_background() {
    set -- "$@" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    by_hand "$PROGRAM" "$@"
    : >"$BATS_TEST_TMPDIR/ending"
    start answer "$PROGRAM" "$@"
    OUT=$BATS_TEST_TMPDIR/answer.out
}

@test "prints all that comes, byte for byte" {
    server honest $((40000 + RANDOM % 1000)) -w 20
    hint "on a non-blocking socket SSL_connect and SSL_read return -1 whenever \
they would have to wait. SSL_get_error says for what: SSL_ERROR_WANT_READ is no \
failure, but to be answered by poll, for POLLIN, and the same call again."
    ask
    expect_status 0
    hint "one SSL_read gives what one record has left, and no more than you \
asked for: go on until SSL_get_error says SSL_ERROR_ZERO_RETURN. What comes may \
have a NUL in it: fwrite takes a length."
    expect_output "$ANSWER"
    server dribble 30 -d 0
    ask
    expect_status 0
    expect_output "$ANSWER"
    server honest 0
    hint "a server may end, with close_notify, before it has said anything."
    ask
    expect_status 0
    expect_output "$ANSWER"
}

@test "hears NAME, and nobody else" {
    local CERTIFICATE
    hint "tls_client_context and tls_client make SSL_connect fail when the \
certificate is not NAME's: SSL_ERROR_SSL is no call to try again."
    for CERTIFICATE in wrong-name self-signed; do
        server honest 100
        ask
        expect_status 1
        expect_output /dev/null
    done
}

@test "prints what has come before it waits for more" {
    server stall $((9000 + RANDOM % 1000))
    ask_in_background
    hint "TLS takes a whole record off the socket, up to 16384 bytes, and gives \
you the piece that you asked for: SSL_pending says how many it still has, and \
poll, which looks at the socket, knows nothing of them. Call SSL_read first; \
wait only when it says SSL_ERROR_WANT_READ. And fflush what you print."
    soon is_printed_or_ended || true
    expect_output "$ANSWER"
}

is_printed_or_ended() {
    cmp -s "$ANSWER" "$OUT" || ! is_running answer
}

@test "sleeps while it waits" {
    local pid before after
    server stall 100
    ask_in_background
    hint "first of all it has to print what came: see the requirement before."
    soon is_printed_or_ended || true
    expect_output "$ANSWER"
    pid=$(pid_of answer)
    hint "SSL_ERROR_WANT_READ means: wait until the socket can be read. Who \
calls SSL_read again at once is told the same, a million times a second; who \
naps in between wakes for nothing, and comes late. poll sleeps until there is \
something: for POLLIN, and not for POLLOUT, which a socket nearly always is."
    soon is_asleep_or_ended || tell_work | not_yet "it never sleeps"
    expect_true "it has ended, and the server has not" is_running answer
    before=$(work)
    read -rt 0.1 <>"$BATS_RUN_TMPDIR/never" || true
    after=$(work)
    ((after - before <= 4)) || tell_work | not_yet "it keeps waking up"
}

is_asleep() {
    [[ -e /proc/$pid/stat && $(<"/proc/$pid/stat") == *') S '* ]]
}

is_asleep_or_ended() {
    is_asleep || ! is_running answer
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

@test "waits to write, when that is what a call wants" {
    need_faults
    server honest 100
    hint "SSL_ERROR_WANT_WRITE: the call has something to send, and the socket \
took nothing. Wait for POLLOUT, and make the same call again. Whoever waits for \
POLLIN then waits for a server that waits for him."
    by_hand env "LD_PRELOAD=$BUILD/tests/faults.so" FAULT_CALL=write \
        FAULT_ERRNO=11 "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    try "${faulty[@]}" FAULT_CALL=write FAULT_ERRNO=11 "$PROGRAM" \
        "$certs/root.pem" "$name" 127.0.0.1 "$PORT"
    expect_status 0
    expect_output "$ANSWER"
}

@test "takes no end for the end but close_notify" {
    server cut 300
    ask
    hint "SSL_read returned 0, and that may be two things: SSL_ERROR_ZERO_RETURN \
is close_notify, the only end that the server itself has said; SSL_ERROR_SSL is \
an end that anybody on the way can make. Ask SSL_get_error."
    expect_status 1
    expect_output "$ANSWER"
    expect_stderr "*cut short*"
}

@test "says which error broke the connection" {
    server broken-off 300
    ask
    hint "SSL_ERROR_SYSCALL: the reason is in errno, if you look before another \
call changes it, and OpenSSL's queue is empty. A reset is not the end."
    expect_status 1
    expect_stderr "*Connection reset by peer*"
    server spoilt 300
    ask
    hint "SSL_ERROR_SSL: the reason is in OpenSSL's queue, and errno is about \
something else. tls_explain says it, or ERR_reason_error_string of \
ERR_peek_error. What came before it is printed."
    expect_status 1
    expect_output "$ANSWER"
    expect_stderr "*bad record mac*"
}

@test "gives up when its time is over" {
    local manner
    hint "deadline_wait returns -1 when the deadline has passed: then it is \
over, with status 1, and the words deadline passed."
    for manner in silent mute; do
        server "$manner" 1
        ask -t 0.1
        expect_status 1
        expect_stderr "*deadline passed*"
    done
}

@test "takes no old error for a new one" {
    local pid missing=$BATS_TEST_TMPDIR/no/such/folder
    server stall 100
    hint "that FILE could not be written has left an error in OpenSSL's queue. \
SSL_get_error looks there first, and takes it for the last call's: \
ERR_clear_error, before each call."
    ask_in_background -k "$missing"
    soon is_printed_or_ended || true
    expect_output "$ANSWER"
    pid=$(pid_of answer)
    soon is_asleep_or_ended || true
    cp "$BATS_TEST_TMPDIR/answer.err" "$BATS_TEST_TMPDIR/err"
    expect_true "it did not wait for what comes next" is_asleep
    stop_all
    server cut 100
    ask -k "$missing"
    expect_status 1
    expect_stderr "*cut short*"
    server honest 100
    ask -k "$missing"
    expect_status 0
    expect_output "$ANSWER"
}

@test "says so when standard output cannot be written" {
    server honest 100
    HAND+=("$PROGRAM $certs/root.pem $name 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" "$certs/root.pem" "$name" 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "fwrite and fflush return what became of the bytes."
    expect_status 1
}

@test "refuses wrong arguments" {
    hint "usage goes to standard error, and the status is 2."
    answer "$certs/root.pem" "$name" 127.0.0.1
    expect_status 2
    expect_stderr "*usage: *"
}
