#!/usr/bin/env bats
# 34-tls-hello [-p] NAME=HOST:PORT... PORT: reads the ClientHello of each client,
# and passes the connection on.

load ../lib/common
load ../lib/clock
load ../lib/browser

program=$BUILD/34-tls-hello
rude=$BUILD/peers/rude
hellos=$BUILD/peers/hellos
tls_client=$BUILD/peers/rude-tls-client
certs=build/certs
usage="usage: 34-tls-hello [-p] NAME=HOST:PORT... PORT"

setup_file() {
    [[ -e build/certs/table ]] || skip "there are no certificates"
}

# origin [NAME]: a TLS server behind our program, which sends back what it hears.
# Sets ORIGIN to its port.
origin() {
    start_server "${1-origin}" "$BUILD/09-ssl-server" -t 20 0 \
        "$certs/good.pem" "$certs/good.key"
    ORIGIN=$PORT
}

# recorder FACE [OPTION...]: a server without TLS in its place. What it hears is
# in the file heard.
recorder() {
    start_server origin "$rude" "${@:2}" -o "$BATS_TEST_TMPDIR/heard" \
        serve "$1"
    ORIGIN=$PORT
}

# serve [ARGUMENT...]: our program on a port of its own, with a route to ORIGIN,
# behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$program" "$@" \
        "server.example=127.0.0.1:$ORIGIN" 0
    server_pid=$(pid_of server)
}

# call MANNER [OPTION...]: a TLS client, to its end.
call() {
    try "$tls_client" -n server.example "${@:2}" "$1" "$PORT"
    expect_result 0 ""
    read -r NAME <"$OUT"
    NAME=${NAME#connected from }
}

# expect_served: our program is alive, and passes on.
expect_served() {
    call honest -b 100
    grep -q '^got 100 bytes, the same, then close_notify$' "$OUT"
}

# hello OPTIONS KIND: the first bytes of a client are in the file hello.
hello() {
    local -a options
    read -ra options <<<"$1"
    "$hellos" "${options[@]}" "$2" >"$BATS_TEST_TMPDIR/hello"
}

# send_hello [FACE [OPTION...]]: a client that sends them, to its end. NAME is
# its address, and what came back is in the file back.
send_hello() {
    try "$rude" -f "$BATS_TEST_TMPDIR/hello" -o "$BATS_TEST_TMPDIR/back" \
        "${@:2}" connect "${1-whole}" "$PORT"
    read -r NAME <"$OUT"
    NAME=${NAME#connected from }
}

# complains TEXT: a line like that on standard error.
complains() {
    wait_for server "34-tls-hello: $1" err
}

# says_line PATTERN: a line like that on standard output.
says_line() {
    wait_for server "$1"
}

expect_alert() {
    expect_equal "what came back" "15 03 03 00 02 02 $1" \
        "$(od -An -v -tx1 "$BATS_TEST_TMPDIR/back" | xargs)"
}

@test "34-tls-hello passes each connection to the server, and tells how much went" {
    local bytes
    origin
    serve
    for bytes in 0 1 40 16384 16385 3000000; do
        call honest -b "$bytes"
        grep -qx "got $bytes bytes, the same, then close_notify" "$OUT"
        says_line "$NAME asks for server.example: passed on to 127.0.0.1:$ORIGIN"
        says_line "$NAME closed: +([0-9]) bytes there, +([0-9]) back"
    done
    until_true has_threads "$server_pid" 1
    until_true holds_sockets "$server_pid" 1
    stop server
    expect_equal status 0 "$ended"
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

@test "34-tls-hello passes on every byte, the first ones too, and none else" {
    local kind good length
    while read -r kind good; do
        [[ $good == good && $kind != no-* ]] || continue
        recorder whole -n 777
        serve
        hello "-s $RANDOM" "$kind"
        send_hello
        finish origin
        cmp "$BATS_TEST_TMPDIR/hello" "$BATS_TEST_TMPDIR/heard"
        "$rude" -n 777 payload whole | cmp - "$BATS_TEST_TMPDIR/back"
        length=$(wc -c <"$BATS_TEST_TMPDIR/hello")
        says_line "$NAME closed: $length bytes there, 777 back"
        stop_all
    done < <("$hellos" kinds)
}

@test "34-tls-hello -p prints all that a ClientHello says" {
    local fingerprint
    recorder whole
    serve -p
    hello "-s 7 -m 7" sorted
    send_hello
    says_line "$NAME closed: *"
    fingerprint=$("$hellos" -s 7 -t sorted | tr -d '\n' | sha256sum)
    expect_output --in "$BATS_TEST_TMPDIR/server.out" --text "listening on 127.0.0.1:$PORT
$NAME sent a ClientHello of $(($(wc -c <"$BATS_TEST_TMPDIR/hello") - 5)) bytes
  name         server.example
  protocols    h2 http/1.1
  versions     TLS-1.3 TLS-1.2
$(numbers groups 7 3)
$(numbers suites 7 1)
$(numbers extensions 7 2)
  fingerprint  ${fingerprint:0:12}
$NAME asks for server.example: passed on to 127.0.0.1:$ORIGIN
$NAME closed: $(wc -c <"$BATS_TEST_TMPDIR/hello") bytes there, 40 back
"
}

# numbers TITLE SEED FIELD: a list of that client, as it should be printed.
numbers() {
    "$hellos" -s "$2" -t sorted | cut -d , -f "$3" | tr - '\n' |
        awk -v title="$1" '$1 != "" {
            if (n % 8 == 0)
                printf "%s  %-12s", n == 0 ? "" : "\n", n == 0 ? title : ""
            printf " 0x%04x", $1
            n++
        } END { print "" }'
}

@test "34-tls-hello -p says what is GREASE, and its fingerprint leaves it out" {
    recorder whole -c 4
    serve -p
    hello "-s 7 -m 7" sorted
    send_hello
    says_line "$NAME closed: *"
    hello "-s 7 -m 7" grease
    send_hello
    says_line "$NAME closed: *"
    expect_equal "different fingerprints" 1 \
        "$(grep fingerprint "$BATS_TEST_TMPDIR/server.out" | sort -u | wc -l)"
    expect_equal GREASE 48 \
        "$(grep -o GREASE "$BATS_TEST_TMPDIR/server.out" | wc -l)"
    # A version may be GREASE, too.
    sed -i 's/\x00\x2b\x00\x05\x04\x03\x04\x03\x03/\x00\x2b\x00\x05\x04\x03\x04\xfa\xfa/' \
        "$BATS_TEST_TMPDIR/hello"
    send_hello
    says_line "  versions     TLS-1.3 GREASE"
    # In another order it is another one. The exercise mends that.
    hello "-s 7 -m 8" shuffled
    send_hello
    says_line "$NAME closed: *"
    expect_equal "different fingerprints" 2 \
        "$(grep fingerprint "$BATS_TEST_TMPDIR/server.out" | sort -u | wc -l)"
}

@test "34-tls-hello -p says that a name may not be the true one" {
    recorder whole
    serve -p
    hello "" ech
    send_hello
    says_line "  name         server.example (the outer name: another one may be encrypted)"
}

@test "34-tls-hello -p prints none of a name's bytes that stand in no name" {
    recorder whole
    serve -p
    hello '-n a_b/\000\033[2J\377é-.Z' plain
    send_hello
    says_line '  name         a_b/???2J???-.Z'
    says_line "$NAME asks for a_b/???2J???-.Z: refused"
    run ! grep -qP '\x00' "$BATS_TEST_TMPDIR/server.out"
    hello "" no-extensions
    send_hello
    says_line "  name         none"
    says_line "  protocols    none"
    says_line "  versions     TLS-1.2"
    says_line "  groups       none"
    says_line "  extensions   none"
}

@test "34-tls-hello chooses the server by the name, whatever its letters" {
    local first second name
    origin one
    first=$ORIGIN
    origin two
    second=$ORIGIN
    start_server server "$program" "one.example=127.0.0.1:$first" \
        "TWO.example=localhost:$second" 0
    for name in one.example ONE.Example; do
        call honest -n "$name"
        says_line "$NAME asks for one.example: passed on to 127.0.0.1:$first"
    done
    for name in two.example tWo.eXAMPLE; do
        call honest -n "$name"
        says_line "$NAME asks for TWO.example: passed on to localhost:$second"
    done
    for name in one.exampl one.examples xone.example; do
        call honest -n "$name"
        says_line "$NAME asks for $name: refused"
        grep -q "^no handshake: .*unrecognized name" "$OUT"
    done
}

@test "34-tls-hello refuses a name that it does not know by an alert, and no reset" {
    local kind
    recorder whole
    serve
    for kind in plain records no-name no-extensions behind; do
        hello "-n other.example" "$kind"
        send_hello
        expect_alert 70
        grep -qx "got 7 bytes, then end of stream" "$OUT"
        case $kind in
        no-*) says_line "$NAME asks for no name: refused" ;;
        *) says_line "$NAME asks for other.example: refused" ;;
        esac
    done
    stop origin
    expect_equal "what the server heard" "" \
        "$(grep -v '^listening' "$BATS_TEST_TMPDIR/origin.out" || true)"
}

@test "34-tls-hello waits for the rest of a ClientHello, and uses no processor for that" {
    local before
    origin
    serve
    call dribble
    grep -q 'all is said' "$OUT"
    start half "$tls_client" half "$PORT"
    wait_for half "connected from *"
    until_true has_threads "$server_pid" 2
    # It looks at the bytes once, and sleeps. If poll returned at once, this
    # would take all of a processor.
    times_of "$server_pid"
    before=$wanted
    complains "first message of 127.0.0.1:*: Connection timed out"
    times_of "$server_pid"
    ((wanted - before < 500000000))
    finish half
    expect_lines half "connected from *" "all is said" "got 0 bytes*"
    expect_served
}

@test "34-tls-hello gives a ClientHello five seconds in all, even if it comes byte by byte" {
    SECONDS_ALLOWED=20 measured 490 560 dribble_slowly
    complains "first message of 127.0.0.1:*: Connection timed out"
    expect_served
}

# dribble_slowly: with 100 milliseconds a byte, it would take half a minute.
dribble_slowly() {
    origin
    serve
    timed "$tls_client" -d 100 dribble "$PORT"
}

@test "34-tls-hello reports a client that ends or resets before its ClientHello is there" {
    local at
    origin
    serve
    hello "" plain
    for at in 0 1 4 5 8 9 100; do
        send_hello half-close -k "$at"
        complains "$NAME: it ended before its ClientHello did"
        # The kernel still has the bytes that came before the reset.
        send_hello reset -k "$at"
        complains "@(first message of $NAME: Connection reset by peer|$NAME: it ended \
before its ClientHello did)"
    done
    expect_served
}

@test "34-tls-hello reports what is no ClientHello, and connects to nobody" {
    local kind good wanted
    recorder whole
    serve
    while read -r kind good; do
        [[ $good == bad ]] || continue
        hello "-s $RANDOM" "$kind"
        send_hello
        case $kind in
        cut* | empty | long-message)
            wanted="it ended before its ClientHello did"
            ;;
        too-long) wanted="the ClientHello is too long" ;;
        http | other-record | other-version | other-message | *-record)
            wanted="this is no ClientHello"
            ;;
        *) wanted="the ClientHello is damaged" ;;
        esac
        complains "$NAME: $wanted"
    done < <("$hellos" kinds)
    until_true holds_sockets "$server_pid" 1
    stop origin
    expect_equal "what the server heard" "" \
        "$(grep -v '^listening' "$BATS_TEST_TMPDIR/origin.out" || true)"
}

@test "34-tls-hello looks at no more than 32,768 bytes" {
    recorder whole
    serve
    # The beginning of 16,372 bytes, in records of one byte.
    printf '\026\003\001\000\001\001\026\003\001\000\003\000\077\360' \
        >"$BATS_TEST_TMPDIR/hello"
    for _ in {1..8000}; do
        printf '\026\003\001\000\001x'
    done >>"$BATS_TEST_TMPDIR/hello"
    send_hello stall -k "$(wc -c <"$BATS_TEST_TMPDIR/hello")"
    complains "$NAME: the ClientHello is too long"
}

@test "34-tls-hello tells the client when the server cannot be reached" {
    start refuser "$rude" refuse
    wait_for refuser 'refusing on *'
    port_of refuser
    ORIGIN=$PORT
    start_server server "$program" "server.example=127.0.0.1:$ORIGIN" \
        "nowhere.example=no.such.name.invalid:443" \
        "six.example=[::1]:1" 0
    hello "" plain
    send_hello
    expect_alert 50
    complains "$NAME: connect 127.0.0.1:$ORIGIN: Connection refused"
    hello "-n nowhere.example" plain
    send_hello
    expect_alert 50
    complains "$NAME: no.such.name.invalid: *"
    hello "-n six.example" plain
    send_hello
    expect_alert 50
    complains "$NAME: connect [[]::1]:1: *"
}

@test "34-tls-hello lets each side end by itself" {
    # The client ends first, and the server answers only then.
    recorder whole -w -n 300000
    serve
    hello "" plain
    send_hello whole
    grep -qx "got 300000 bytes, then end of stream" "$OUT"
    finish origin
    # The server ends first, and the client sends more after that.
    stop_all
    recorder whole -n 10
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    cat "$BATS_TEST_TMPDIR/hello" >&7
    bounded cat <&7 >"$BATS_TEST_TMPDIR/back" # to the end
    expect_equal "bytes back" 10 "$(wc -c <"$BATS_TEST_TMPDIR/back")"
    head -c 500000 /dev/zero >&7
    exec 7>&-
    finish origin
    says origin \
        "got $(($(wc -c <"$BATS_TEST_TMPDIR/hello") + 500000)) bytes, then end of stream"
}

@test "34-tls-hello ends a connection when one side resets it, and says which" {
    hello "" plain
    echo >>"$BATS_TEST_TMPDIR/hello"
    recorder reset -l -k 5 -n 10
    serve
    send_hello stall -k "$(wc -c <"$BATS_TEST_TMPDIR/hello")"
    until_true has_threads "$server_pid" 1
    complains "@(recv from|send to) 127.0.0.1:$ORIGIN: @(Connection reset by \
peer|Broken pipe)"
    says_line "$NAME closed: *"
    stop_all
    recorder stall -k 0
    serve
    send_hello reset -k "$(wc -c <"$BATS_TEST_TMPDIR/hello")" -d 50
    complains "recv from $NAME: Connection reset by peer"
    says_line "$NAME closed: *"
    until_true has_threads "$server_pid" 1
}

@test "34-tls-hello says nothing when a side ends, and then resets" {
    local length
    hello "" plain
    length=$(wc -c <"$BATS_TEST_TMPDIR/hello")
    for _ in 1 2 3; do
        recorder reset -e -k 0
        serve
        send_hello stall -k "$length" -e
        until_true has_threads "$server_pid" 1
        says_line "$NAME closed: *"
        run ! grep 'Transport endpoint' "$BATS_TEST_TMPDIR/server.err"
        stop_all
    done
}

# stays: a server that accepts one client, and never does anything more.
stays() {
    start_server origin python3 -c '
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
client, _ = listener.accept()
time.sleep(60)'
    ORIGIN=$PORT
}

@test "34-tls-hello uses no processor when a client has gone and its server says nothing" {
    hello "" plain
    stays
    serve
    # It ends its half, and then resets.
    send_hello reset -e -k "$(wc -c <"$BATS_TEST_TMPDIR/hello")"
    says_line "* asks for server.example: passed on to *"
    times_of "$server_pid"
    before=$wanted
    for _ in {1..20}; do
        pause
    done
    times_of "$server_pid"
    ((wanted - before < 100000000))
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
    run ! grep closed "$BATS_TEST_TMPDIR/server.out"
}

@test "34-tls-hello reads no more from a client while the server does not read" {
    local most
    recorder deaf
    serve
    { "$hellos" plain && head -c 60000000 /dev/zero; } >"$BATS_TEST_TMPDIR/hello"
    start client "$rude" -f "$BATS_TEST_TMPDIR/hello" connect whole "$PORT"
    says_line "* asks for server.example: passed on to *"
    until_true is_stuck
    most=$(status_of "$server_pid" VmHWM)
    ((most < 60000)) || [[ $BUILD == *asan* ]]
    # It waits, and uses no processor.
    times_of "$server_pid"
    before=$wanted
    for _ in {1..20}; do
        pause
    done
    times_of "$server_pid"
    ((wanted - before < 100000000))
}

# is_stuck: our program has sent something to the server, which does not read it.
is_stuck() {
    local port
    printf -v port '%04X' "$ORIGIN"
    grep -qE "[0-9]: [0-9A-F:]* 0100007F:$port 01 0*[1-9A-F][0-9A-F]*:" /proc/net/tcp
}

@test "34-tls-hello serves a hundred clients at once" {
    local count=100
    # The clients are sanitized too, and have five seconds for a ClientHello.
    [[ $BUILD != *asan* ]] || count=20
    origin
    serve
    try "$tls_client" -n server.example -c "$count" -b 5000 honest "$PORT"
    expect_result 0 ""
    expect_equal served "$count" \
        "$(grep -c '^got 5000 bytes, the same, then close_notify$' "$OUT")"
    until_true has_threads "$server_pid" 1
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

@test "34-tls-hello has room for 256 clients, and the next one waits" {
    recorder whole -n 5
    serve
    hello "" plain
    start first "$rude" -f "$BATS_TEST_TMPDIR/hello" -k 0 connect stall "$PORT"
    # shellcheck disable=SC2016 # for the other bash
    start others bash -c 'for i in {1..255}; do exec {fd}<>"/dev/tcp/127.0.0.1/$0"
        done; exec sleep 20' "$PORT"
    until_true has_threads "$server_pid" 257
    start late "$rude" -f "$BATS_TEST_TMPDIR/hello" connect whole "$PORT"
    wait_for late "connected from *"
    for _ in {1..10}; do
        pause
    done
    has_threads "$server_pid" 257
    run ! says server "* asks for *"
    stop first
    finish late
    says late "got 5 bytes, then end of stream"
    stop others
    until_true has_threads "$server_pid" 1
}

@test "34-tls-hello lets a connection go when nobody says anything for too long" {
    need_faults
    faulty+=(FAULT_HASTE=1000)
    recorder stall -k 0
    serve
    hello "" plain
    send_hello stall -k "$(wc -c <"$BATS_TEST_TMPDIR/hello")"
    complains "$NAME: nobody has said anything for too long"
    until_true has_threads "$server_pid" 1
}

@test "34-tls-hello ends with status 0 when it is told to, whatever its clients do" {
    local signal
    for signal in INT TERM; do
        origin
        serve
        start mute "$tls_client" -n server.example mute "$PORT"
        says_line "* passed on to *"
        start half "$tls_client" half "$PORT"
        wait_for half "connected from *"
        stop server "$signal"
        expect_equal "status after $signal" 0 "$ended"
        finish mute
        finish half
        stop_all
    done
}

@test "34-tls-hello goes on when a call fails for one client" {
    local call errno text
    while read -r call errno text; do
        need_faults
        faulty+=(FAULT_CALL="${call%-again}" FAULT_ERRNO="$errno")
        # The first socket is the listener.
        [[ $call != socket ]] || faulty+=(FAULT_AT=2)
        [[ $call != setsockopt* ]] || faulty+=(FAULT_OPTION=18) # SO_RCVLOWAT
        [[ $call != setsockopt-again ]] || faulty+=(FAULT_AT=2)
        origin
        serve
        try "$tls_client" -n server.example honest "$PORT"
        complains "$text"
        expect_served
        stop_all
    done <<'END'
accept4 24 accept: Too many open files
accept4 103 accept: Software caused connection abort
setsockopt 105 first message of 127.0.0.1:*: No buffer space available
setsockopt-again 105 setsockopt SO_RCVLOWAT: No buffer space available
poll 12 first message of 127.0.0.1:*: Cannot allocate memory
recv 12 first message of 127.0.0.1:*: Cannot allocate memory
send 32 send to 127.0.0.1:*: Broken pipe
connect 101 127.0.0.1:*: connect 127.0.0.1:*: Network is unreachable
socket 24 127.0.0.1:*: connect 127.0.0.1:*: Too many open files
END
}

@test "34-tls-hello waits a tenth of a second after an accept that failed" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=24 FAULT_TIMES=3)
    measured 30 100 accept_again
    expect_equal "complaints" 3 \
        "$(grep -c 'accept: ' "$BATS_TEST_TMPDIR/server.err")"
}

accept_again() {
    local start now
    origin
    look_at_clock
    start=$now
    serve
    expect_served
    look_at_clock
    took=$((now - start))
}

@test "34-tls-hello makes a call again that was interrupted or fell short" {
    local call
    for call in recv send poll; do
        need_faults
        faulty+=(FAULT_CALL="$call" FAULT_ERRNO=4 FAULT_TIMES=3)
        origin
        serve
        expect_served
        stop_all
        expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
    done
    need_faults
    faulty+=(FAULT_CALL=poll FAULT_ERRNO=4 FAULT_AT=4) # while it passes on
    origin
    serve
    expect_served
    stop_all
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
    need_faults
    faulty+=(FAULT_SHORT="send" FAULT_SEED=7)
    origin
    serve
    expect_served
}

@test "34-tls-hello says so when its output cannot be written, and passes on" {
    origin
    try_with /dev/null /dev/full "$program" server.example=127.0.0.1:443 0
    expect_result 1 "34-tls-hello: standard output: No space left on device"
    run -1 bounded bash -c 'exec "$@" >&-' - "$program" a=b:1 0
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" a=b:1 0
    # Nobody reads even its first line.
    # shellcheck disable=SC2016 # for the other bash
    try_with /dev/null - bash -c 'exec > >(exec true) && wait "$!"
        exec "$@"' - "$program" a=b:1 0
    expect_result 1 "34-tls-hello: standard output: Broken pipe"
    # shellcheck disable=SC2016 # for the other bash
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$program" -p \
        "server.example=127.0.0.1:$ORIGIN" 0
    server_pid=$(pid_of server)
    until_true children_are_over "$server_pid"
    expect_served
    complains "standard output: Broken pipe"
    stop server
    expect_equal status 0 "$ended" # as a server, it has done its work
}

@test "34-tls-hello fails if the port is taken" {
    origin
    try "$program" server.example=127.0.0.1:443 "$ORIGIN"
    expect_result 1 \
        "34-tls-hello: bind 127.0.0.1:$ORIGIN: Address already in use"
}

@test "34-tls-hello prints its usage" {
    local arguments
    local -a wrong
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" 0 "-p 0" "a=b:1" "-x a=b:1 0" "-p"; do
        read -ra wrong <<<"$arguments"
        try "$program" "${wrong[@]}"
        expect_equal "status of $arguments" 2 "$status"
        [[ $errors == *"$usage" ]]
    done
}

@test "34-tls-hello refuses values that it cannot use" {
    local what
    local -a words
    while IFS='|' read -r words what; do
        read -ra words <<<"$words"
        try "$program" "${words[@]}"
        expect_result 1 "34-tls-hello: $what"
    done <<'END'
a=b:1 65536|65536 is not a port: 0 to 65535
a=b:1 80x|80x is not a port: 0 to 65535
a=b:1 -1|-1 is not a port: 0 to 65535
a=b:0 0|0 is not a port: 1 to 65535
a=b:65536 0|65536 is not a port: 1 to 65535
ab:1 0|ab:1 is not NAME=HOST:PORT
=b:1 0|=b:1 is not NAME=HOST:PORT
a= 0|a= is not NAME=HOST:PORT
a=b 0|a=b is not NAME=HOST:PORT
a=:1 0|a=:1 is not NAME=HOST:PORT
a=b:1 c 0|c is not NAME=HOST:PORT
*=b:1 0|* is not a name that a client can ask for
.=b:1 0|. is not a name that a client can ask for
a..b=b:1 0|a..b is not a name that a client can ask for
.a=b:1 0|.a is not a name that a client can ask for
127.0.0.1=b:1 0|127.0.0.1 is not a name that a client can ask for
[::1]=b:1 0|[::1] is not a name that a client can ask for
a/b=b:1 0|a/b is not a name that a client can ask for
a.example=b:1 A.Example.=b:2 0|A.Example stands there twice
END
}

@test "34-tls-hello takes names as long as a client can ask for" {
    local label
    printf -v label '%063d' 1
    start_server server "$program" "$label.$label.$label.${label:3}a.=b:1" 0
    stop server
    try "$program" "$label.$label.$label.${label:3}ab=b:1" 0
    expect_equal status 1 "$status"
    try "$program" "${label}1.a=b:1" 0
    expect_result 1 "34-tls-hello: ${label}1.a is not a name that a client can \
ask for"
}

@test "34-tls-hello takes 64 names, and hosts of 255 bytes" {
    local i host
    local -a routes=()
    for ((i = 0; i < 64; i++)); do
        routes+=("name$i=127.0.0.1:443")
    done
    start_server server "$program" "${routes[@]}" 0
    stop server
    try "$program" "${routes[@]}" more=127.0.0.1:443 0
    expect_result 1 "34-tls-hello: there are more than 64 names"
    printf -v host '%0255d' 1
    start_server server "$program" "a=$host:443" 0
    stop server
    try "$program" "a=${host}1:443" 0
    expect_result 1 "34-tls-hello: a=${host}1:443 is too long"
}

@test "34-tls-hello passes on openssl s_client, curl, python3 and a browser" {
    local count=0
    origin
    serve -p
    if command -v openssl; then
        count=$((count + 1))
        try bash -c 'echo hello from s_client | exec "$@"' - timeout 2 \
            openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile \
            "$certs/root.pem" -servername server.example -alpn h2,http/1.1 \
            -connect "127.0.0.1:$PORT"
        says_line "  protocols    h2 http/1.1"
    fi
    if command -v curl; then
        count=$((count + 1))
        start curl curl -sSN --http0.9 --cacert "$certs/root.pem" \
            --resolve "server.example:$PORT:127.0.0.1" \
            "https://server.example:$PORT/hello"
        wait_for curl 'GET /hello HTTP/1.1*'
        stop curl
    fi
    if command -v python3; then
        count=$((count + 1))
        try python3 -c '
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5) as s:
    with context.wrap_socket(s, server_hostname="server.example") as t:
        for i in range(1, 60):
            t.sendall(bytes(range(i)))
            assert t.recv(100) == bytes(range(i))
        t.unwrap()
print("all is well")
' "$PORT" "$certs/root.pem"
        expect_result 0 ""
        expect_output --text 'all is well\n'
    fi
    ((count > 0)) || skip "neither openssl nor curl nor python3 is installed"
    expect_equal "errors" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# A browser gets no page from an echo, but its ClientHello comes.
@test "34-tls-hello reads the ClientHello of a browser, which is another one each time" {
    local browser
    for browser in chromium chromium-browser google-chrome; do
        ! command -v "$browser" >/dev/null || break
    done
    skip_unless "$browser"
    origin
    serve -p
    for _ in 1 2; do
        try timeout 4 "$browser" --headless --no-sandbox --disable-gpu \
            --ignore-certificate-errors --user-data-dir="$BATS_TEST_TMPDIR/chrome" \
            --host-resolver-rules="MAP server.example 127.0.0.1" --dump-dom \
            "https://server.example:$PORT/"
    done
    says_line "  protocols    h2 http/1.1"
    grep -q 'extensions .*GREASE' "$BATS_TEST_TMPDIR/server.out"
    (($(grep '  fingerprint' "$BATS_TEST_TMPDIR/server.out" | sort -u | wc -l) > 1))
    # The exercise's answer is the same for all of them: see there.
}

@test "34-tls-hello: the twin passes on, too" {
    skip_unless python3
    origin
    start_server server python3 lessons/34-tls-hello/twin.py \
        "server.example=127.0.0.1:$ORIGIN" 0
    expect_served
    says_line "$NAME asks for server.example: passed on to 127.0.0.1:$ORIGIN"
    says_line "$NAME closed: *"
}

# ---- a stranger --------------------------------------------------------------

@test "34-tls-hello passes Chromium on to a web server, and reads its ClientHello" {
    local out=$BATS_TEST_TMPDIR/server.out
    need_browser
    trust_root
    mkdir "$BATS_TEST_TMPDIR/site"
    echo '<title>it has come</title>' >"$BATS_TEST_TMPDIR/site/index.html"
    start_server origin "$BUILD/32-http-server" -s "$certs/good.pem" \
        "$certs/good.key" "$BATS_TEST_TMPDIR/site" 0
    ORIGIN=$PORT
    serve -p
    browse one "https://server.example:$PORT/"
    expect_end
    expect_status 0
    grep -qF '<title>it has come</title>' "$OUT"
    says_line "* asks for server.example: passed on to 127.0.0.1:$ORIGIN"
    says_line "* closed: +([0-9]) bytes there, +([0-9]) back"
    # It has no key for ECH here, and sends that extension nevertheless.
    says_line "  name         server.example (the outer name: another one may be encrypted)"
    says_line "  protocols    h2 http/1.1"
    says_line "  versions     GREASE TLS-1.3 TLS-1.2"
    says_line "  groups       GREASE 0x*"
    says_line "  suites       GREASE 0x1301 *"
    # It shuffles its extensions, but not the GREASE before and behind them.
    says_line "  extensions   GREASE 0x*"
    grep -qE '^ {15}.* GREASE$' "$out"
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# chromium_says_hello N: a new Chromium, through our program. The first bytes of
# its connections, as they came out again, are in the file heard-N, and our
# fingerprint of the first connection is in ours. The server behind us speaks no
# TLS, so Chromium tries again, and gives up.
chromium_says_hello() {
    recorder whole -c 20
    serve -p
    browse "$1" "https://server.example:$PORT/"
    expect_status 1
    says_line "* closed: *"
    stop_all
    mv "$BATS_TEST_TMPDIR/heard" "$BATS_TEST_TMPDIR/heard-$1"
    ours=$(sed -n 's/^  fingerprint  //p' "$BATS_TEST_TMPDIR/server.out" |
        head -n 1)
}

@test "34-tls-hello has another fingerprint of Chromium each time, and the exercise has not" {
    local ours first
    need_browser
    [[ -x $BUILD/solution/34-tls-hello ]] || skip "it is not built"
    chromium_says_hello 1
    first=$ours
    chromium_says_hello 2
    [[ $first && $ours && $first != "$ours" ]]
    try "$BUILD/solution/34-tls-hello" "$BATS_TEST_TMPDIR"/heard-[12]
    expect_result 0 ""
    expect_equal lines 2 "$(wc -l <"$OUT")"
    expect_equal "different lines" 1 "$(sort -u "$OUT" | wc -l)"
    grep -qE '^[0-9a-f]{12} server.example$' "$OUT"
}
