#!/usr/bin/env bats
# 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE: echo over TLS, to clients of
# whom none can keep out another.

load ../lib/common
load ../lib/clock

program=$BUILD/09-ssl-server
rude=$BUILD/peers/rude-tls-client
certs=build/certs

setup_file() {
    [[ -e build/certs/table ]] || skip "there are no certificates"
}

# serve [-t SECONDS] [COMMAND...]: the server on a port of its own, behind that
# command.
serve() {
    local -a options=(-t 20)
    if [[ ${1-} == -t ]]; then
        options=(-t "$2")
        shift 2
    fi
    start_server server "$@" "$program" "${options[@]}" 0 "$certs/good.pem" \
        "$certs/good.key"
}

# call MANNER [OPTION...]: a client, to its end; its name is in $NAME.
call() {
    try "$rude" "${@:2}" "$1" "$PORT"
    expect_result 0 ""
    read -r NAME <"$OUT"
    NAME=${NAME#connected from }
}

# come NAME MANNER [OPTION...]: a client that stays.
come() {
    start "$1" "$rude" "${@:3}" "$2" "$PORT"
    wait_for "$1" "all is said"
}

expect_served() {
    call honest -b 100
    grep -q '^got 100 bytes, the same, then close_notify$' "$OUT"
}

# complains TEXT: a line like that on standard error, about $NAME.
complains() {
    wait_for server "09-ssl-server: $1" err
}

@test "09-ssl-server echoes, and reports protocol, cipher and end" {
    local bytes
    serve
    call honest
    expect_output --text "connected from $NAME\nTLSv1.3 TLS_AES_256_GCM_SHA384 \
good, a chain of 2\ngot 40 bytes, the same, then close_notify\nall is said\n"
    wait_for server "$NAME closed after 40 bytes"
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "$NAME TLSv1.3 TLS_AES_256_GCM_SHA384" "$NAME closed after 40 bytes"
    call honest -2
    expect_output --text "connected from $NAME\nTLSv1.2 \
ECDHE-ECDSA-AES256-GCM-SHA384 good, a chain of 2\ngot 40 bytes, the same, then close_notify\nall is said\n"
    for bytes in 0 1 16383 16384 16385 3000000; do
        call honest -b "$bytes"
        grep -qx "got $bytes bytes, the same, then close_notify" "$OUT"
        # Nor was it given a ticket, with which keys would outlive connections.
        expect_equal "lines" 4 "$(wc -l <"$OUT")"
        wait_for server "$NAME closed after $bytes bytes"
    done
    try "$BUILD/08-ssl-wrap" -C "$certs/root.pem" -n server.example -t 1 \
        127.0.0.1 "$PORT"
    [[ $errors == "it is CN=good"* ]]
    expect_equal "complaints but for the last" "" \
        "$(grep -v 'cut short' "$BATS_TEST_TMPDIR/server.err" || true)"
}

@test "09-ssl-server says that a client has closed before its handshake was over" {
    # The ClientHello of lesson 08, and then close_notify.
    start_server peer "$BUILD/peers/rude" -k 0 -o "$BATS_TEST_TMPDIR/hello" serve stall
    start client "$BUILD/08-ssl-wrap" -n server.example 127.0.0.1 "$PORT"
    until_true test -s "$BATS_TEST_TMPDIR/hello"
    stop_all
    printf '\x15\3\3\0\2\1\0' >>"$BATS_TEST_TMPDIR/hello"
    serve
    cat "$BATS_TEST_TMPDIR/hello" >"/dev/tcp/127.0.0.1/$PORT"
    wait_for server "09-ssl-server: SSL_accept 127.0.0.1:*: it has closed" err
}

@test "09-ssl-server goes on after whatever a client does, and says what" {
    serve
    call vanish
    complains "SSL_accept $NAME: cut short: it ended without close_notify"
    call reset
    complains "SSL_accept $NAME: Connection reset by peer"
    call tls-1.1
    grep -qx 'no handshake: tlsv1 alert protocol version' "$OUT"
    complains "SSL_accept $NAME: unsupported protocol"
    call rsa-only
    grep -qxE 'no handshake: (sslv3|ssl/tls) alert handshake failure' "$OUT"
    complains "SSL_accept $NAME: no shared cipher"
    call cbc-only
    complains "SSL_accept $NAME: no shared cipher"
    call dhe-only
    complains "SSL_accept $NAME: no suitable key share"
    call garbage
    complains "SSL_accept $NAME: it does not speak TLS"
    call renegotiate
    grep -qx 'another handshake: refused' "$OUT"
    call cut
    complains "SSL_read $NAME: cut short: it ended without close_notify"
    wait_for server "$NAME closed after 40 bytes"
    call broken-off
    complains "SSL_read $NAME: Connection reset by peer"
    expect_served
    until_true has_children "$(pid_of server)" 0
}

@test "09-ssl-server gives a handshake its time, and no more" {
    local manner
    serve -t 0.5
    # They all wait at the same time. By whole records, each with new time, the
    # deaf one soon has no more room for its echo.
    start half "$rude" half "$PORT"
    start dribble "$rude" -d 20 dribble "$PORT"
    start mute "$rude" mute "$PORT"
    start deaf "$rude" -b 16384 deaf "$PORT"
    for manner in half dribble mute deaf; do
        finish "$manner"
        read -r NAME <"$BATS_TEST_TMPDIR/$manner.out"
        NAME=${NAME#connected from }
        case $manner in
        half | dribble) complains "SSL_accept $NAME: deadline passed" ;;
        mute) complains "SSL_read $NAME: deadline passed" ;;
        deaf) complains "SSL_write $NAME: deadline passed" ;;
        esac
    done
    # It does not end the conversation properly, since the client has not.
    run ! says mute '*close_notify'
    until_true has_children "$(pid_of server)" 0
}

# slowly NAME: a client that sends on, as we write to the descriptor $to.
slowly() {
    mkfifo "$BATS_TEST_TMPDIR/$1.in"
    # shellcheck disable=SC2016 # for the inner shell
    start "$1" bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/$1.in" \
        "$BUILD/08-ssl-wrap" -C "$certs/root.pem" -t 60 127.0.0.1 "$PORT"
    # To write and to read: so no write here can fail when the client has gone.
    exec {to}<>"$BATS_TEST_TMPDIR/$1.in"
    wait_for "$1" 'TLSv1.3 *' err
}

@test "09-ssl-server gives new time for a line, and for 16 KiB, not for a byte" {
    local to bytes lines pieces begun
    serve -t 1
    slowly bytes
    bytes=$to
    slowly lines
    lines=$to
    slowly pieces
    pieces=$to
    begun=${EPOCHREALTIME/./}
    while ((${EPOCHREALTIME/./} - begun < 2200000)); do
        is_running lines && is_running pieces
        printf x >&"$bytes"
        echo line >&"$lines"
        printf '%16384s' '' >&"$pieces"
        pause
    done
    # Each byte was echoed, and it had its one second.
    finish bytes
    expect_equal "status of the one with bytes" 1 "$ended"
    grep -qE '^x{10,}$' "$BATS_TEST_TMPDIR/bytes.out"
    wait_for server '09-ssl-server: SSL_read 127.0.0.1:*: deadline passed' err
    exec {bytes}>&- {lines}>&- {pieces}>&-
    finish lines
    expect_equal "status of the one with lines" 0 "$ended"
    finish pieces
    expect_equal "status of the one with 16 KiB" 0 "$ended"
    expect_equal "complaints" 1 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
}

@test "09-ssl-server does not try to end a connection that has failed" {
    local manner
    serve
    # SSL_shutdown after such an error would fail too, and we would say so.
    try "$BUILD/peers/rude-tls" -j "$PORT" spoilt
    wait_for server '09-ssl-server: SSL_read *: decryption failed or bad record mac' err
    for manner in cut broken-off; do
        call "$manner"
        complains "SSL_read $NAME: *"
        wait_for server "$NAME closed after 40 bytes"
    done
    until_true has_children "$(pid_of server)" 0
    expect_equal "complaints" 3 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
}

# beside_the_slow COUNT: how long a good client takes beside that many others.
beside_the_slow() {
    serve
    come slow half -c "$1"
    timed "$rude" honest "$PORT"
    expect_equal "status" 0 "$status"
}

@test "09-ssl-server serves at once while 100 handshakes are slow" {
    measured 0 100 beside_the_slow 100
}

@test "09-ssl-server has 512 clients at once; the next one waits for one's end" {
    local i
    [[ -z ${SANITIZE-} && $BUILD != *asan* ]] || skip "so many are too much there"
    serve
    come slow half -c 511
    come last half
    # The 513th is connected, and nothing more.
    start late "$rude" honest "$PORT"
    wait_for late 'connected from *'
    for i in 1 2 3 4 5; do
        pause
        expect_lines late 'connected from *'
    done
    stop last
    finish late
    says late 'got 40 bytes, the same, then close_notify'
    # Told to stop while it is full, it does.
    come last half
    stop server
    expect_equal "status" 0 "$ended"
    finish slow
}

@test "09-ssl-server ends with status 0, and its children with it" {
    local signal
    for signal in INT TERM KILL; do
        serve
        come slow half
        until_true has_children "$(pid_of server)" 1
        if [[ $signal == KILL ]]; then
            kill -KILL "$(pid_of server)"
            finish server
        else
            stop server "$signal"
            expect_equal "status after SIG$signal" 0 "$ended"
        fi
        until_true is_over "${children[0]}"
        finish slow
        expect_lines slow "*" "*" "got 0 bytes in the clear, then the end"
    done
    # A child heeds no Ctrl-C: its client is not done.
    serve
    start mute "$rude" mute "$PORT"
    wait_for server '* TLSv1.3 *'
    children_of "$(pid_of server)"
    kill -INT "${children[0]}"
    expect_served
    kill -0 "${children[0]}"
}

@test "09-ssl-server keeps no descriptor and no process of who has gone" {
    local before
    serve
    expect_served
    until_true has_children "$(pid_of server)" 0
    before=$(descriptors "$(pid_of server)")
    try "$rude" -c 20 honest "$PORT"
    try "$rude" -c 20 vanish "$PORT"
    until_true has_children "$(pid_of server)" 0
    expect_equal "descriptors" "$before" "$(descriptors "$(pid_of server)")"
    # A child has neither the listener nor the others' connections.
    come slow half -c 3
    until_true has_children "$(pid_of server)" 3
    until_true holds_sockets "${children[2]}" 1
}

@test "09-ssl-server refuses a key that is not its own, or not its own alone" {
    local key=$BATS_TEST_TMPDIR/key mode
    for name in client good-rsa; do
        try "$program" 0 "$certs/good.pem" "$certs/$name.key"
        expect_result 1 "09-ssl-server: $certs/$name.key is not the key of \
$certs/good.pem"
        expect_output --text ''
    done
    cp "$certs/good.key" "$key"
    for mode in 640 620 604 602 644 610 601; do
        chmod "$mode" "$key"
        try "$program" 0 "$certs/good.pem" "$key"
        expect_result 1 "09-ssl-server: key $key: others may use it: its mode \
is $mode, not 600"
    done
    chmod 600 "$key"
    if ((EUID == 0)); then # nobody else can give a file away
        chown 65534 "$key"
        try "$program" 0 "$certs/good.pem" "$key"
        expect_result 1 "09-ssl-server: key $key: it belongs to another user"
        chown 0 "$key"
    fi
    chmod 400 "$key"
    start_server server "$program" 0 "$certs/good.pem" "$key"
    expect_served
}

@test "09-ssl-server names the file that is of the wrong kind" {
    local odd
    odd_files
    for odd in cert.der key.der public cut.pem empty; do
        odd=$BATS_TEST_TMPDIR/$odd
        try "$program" 0 "$odd" "$certs/good.key"
        expect_result 1 "09-ssl-server: certificate $odd: it holds nothing \
useful in PEM form"
    done
    for odd in cert.der key.der public cut.key empty; do
        odd=$BATS_TEST_TMPDIR/$odd
        try "$program" 0 "$certs/good.pem" "$odd"
        expect_result 1 "09-ssl-server: key $odd: it holds nothing useful in \
PEM form"
    done
    try "$program" 0 "$certs" "$certs/good.key"
    expect_result 1 "09-ssl-server: certificate $certs: it is a folder"
}

@test "09-ssl-server says what is wrong with its files" {
    local key=$BATS_TEST_TMPDIR/key
    openssl pkey -aes128 -passout pass:secret -in "$certs/good.key" -out "$key"
    chmod 600 "$key"
    try "$program" 0 "$certs/good.pem" "$key"
    expect_result 1 "09-ssl-server: key $key: it has a passphrase"
    # The exercise's solution asks nobody at a terminal either.
    try "$BUILD/solution/09-ssl-server" 0 "$certs/good.pem" "$key"
    expect_result 1 "09-ssl-server: a key has a passphrase: this server cannot \
use it"
    try "$program" 0 "$certs/good.pem" "$certs"
    expect_result 1 "09-ssl-server: key $certs: it is a folder"
    try "$program" 0 "$certs/none.pem" "$certs/good.key"
    expect_result 1 "09-ssl-server: certificate $certs/none.pem: No such file or \
directory"
    try "$program" 0 "$certs/good.pem" "$certs/none.key"
    expect_result 1 "09-ssl-server: key $certs/none.key: No such file or directory"
    try "$program" 0 "$certs/good.key" "$certs/good.key"
    expect_result 1 "09-ssl-server: certificate $certs/good.key: it holds \
nothing useful in PEM form"
    try "$program" 0 "$certs/good.pem" "$certs/good.pem"
    expect_result 1 "09-ssl-server: key $certs/good.pem: it holds nothing \
useful in PEM form"
    # Whatever level this system has chosen for all.
    try env OPENSSL_CONF=/dev/null "$program" 0 "$certs/small-key.pem" \
        "$certs/small-key.key"
    expect_result 1 "09-ssl-server: certificate $certs/small-key.pem: ee key too \
small"
}

@test "09-ssl-server names the call that failed, and goes on where it can" {
    local call
    need_faults
    for call in socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$program" 0 \
            "$certs/good.pem" "$certs/good.key"
        expect_equal "status" 1 "$status"
        [[ $errors == "09-ssl-server: $call"*": No buffer space available" ]]
    done
    for call in accept4:accept fork:fork; do
        serve "${faulty[@]}" FAULT_CALL="${call%:*}" FAULT_ERRNO=23
        [[ $call == accept* ]] || try "$rude" honest "$PORT"
        complains "${call#*:}: Too many open files in system"
        expect_served
        stop server
        expect_equal "status" 0 "$ended"
    done
    # Again and again: not without a pause, and not beyond SIGTERM.
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=23 FAULT_TIMES=100000
    until_true eval "((\$(wc -l <$BATS_TEST_TMPDIR/server.err) >= 2))"
    stop server
    expect_equal "status" 0 "$ended"
    (($(wc -l <"$BATS_TEST_TMPDIR/server.err") < 30))
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_SIGNAL=15
    finish server
    expect_equal "status" 0 "$ended"
}

@test "09-ssl-server says so when standard output cannot be written" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - "$program" \
        0 "$certs/good.pem" "$certs/good.key"
    expect_equal "full" \
        "09-ssl-server: standard output: No space left on device" \
        "$stderr"
    serve bash -c 'exec "$@" > >(exec head -n 1)' -
    expect_served
    expect_served
    stop server
}

@test "09-ssl-server explains itself when asked, and when called wrongly" {
    local usage="usage: 09-ssl-server [-t SECONDS] PORT CERTFILE KEYFILE" port
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$program" 0 "$certs/good.pem"
    expect_result 2 "$usage"
    try "$program" 0 "$certs/good.pem" "$certs/good.key" more
    expect_result 2 "$usage"
    try "$program" -x 0 "$certs/good.pem" "$certs/good.key"
    [[ $status == 2 && $errors == *"$usage" ]]
    for port in 65536 -1 80x ''; do
        try "$program" -- "$port" "$certs/good.pem" "$certs/good.key"
        expect_result 1 "09-ssl-server: $port is not a port: 0 to 65535"
    done
    try "$program" -t 0 0 "$certs/good.pem" "$certs/good.key"
    expect_result 1 "09-ssl-server: 0 is not a number of seconds above 0, up to a day"
    serve
    try "$program" "$PORT" "$certs/good.pem" "$certs/good.key"
    [[ $status == 1 ]]
    [[ $errors == "09-ssl-server: bind 127.0.0.1:$PORT: Address "*"in use" ]]
}

@test "09-ssl-server has nothing that sslscan finds fault with" {
    skip_unless sslscan
    serve
    try sslscan --no-colour "127.0.0.1:$PORT"
    expect_equal "status" 0 "$status"
    for protocol in SSLv2 SSLv3 TLSv1.0 TLSv1.1; do
        grep -qE "^$protocol +disabled" "$OUT"
    done
    for protocol in TLSv1.2 TLSv1.3; do
        grep -qE "^$protocol +enabled" "$OUT"
        grep -q "^$protocol not vulnerable to heartbleed" "$OUT"
    done
    grep -q '^Session renegotiation not supported' "$OUT"
    grep -q '^Server supports TLS Fallback SCSV' "$OUT"
    (($(grep -cE '^(Accepted|Preferred) ' "$OUT") >= 6))
    run ! grep -E '^(Accepted|Preferred) +TLSv1.3' <(grep -v ' TLS_[A-Z0-9_]*\(GCM\|POLY1305\)_' "$OUT")
    run ! grep -E '^(Accepted|Preferred) +TLSv1.2' <(grep -v ' ECDHE-.*\(GCM\|POLY1305\)' "$OUT")
    run ! grep ffdhe "$OUT"
    expect_served
}

# A server that remembers sessions gives each of them a name.
@test "09-ssl-server gives a session of TLS 1.2 no name, and no ticket" {
    skip_unless openssl
    serve
    try openssl s_client -tls1_2 -connect "127.0.0.1:$PORT"
    expect_equal "names" "    Session-ID: " "$(grep -a 'Session-ID:' "$OUT")"
    run ! grep -a 'session ticket' "$OUT"
}

@test "09-ssl-server serves openssl s_client, curl and python3" {
    serve
    mkfifo "$BATS_TEST_TMPDIR/in"
    cat >"$BATS_TEST_TMPDIR/s_client" <<END
#!/bin/sh
exec openssl s_client -quiet -no_ign_eof -verify_return_error -CAfile \
    "$certs/root.pem" -verify_hostname server.example \
    -connect "127.0.0.1:$PORT" <>"$BATS_TEST_TMPDIR/in"
END
    chmod +x "$BATS_TEST_TMPDIR/s_client"
    start s_client "$BATS_TEST_TMPDIR/s_client"
    echo "hello from s_client" >"$BATS_TEST_TMPDIR/in"
    wait_for s_client "hello from s_client"
    stop s_client
    if command -v curl >/dev/null; then
        # An echo is no answer for it, so it waits for more; but it is heard.
        start curl curl -sSN --http0.9 --cacert "$certs/root.pem" \
            --resolve "server.example:$PORT:127.0.0.1" \
            "https://server.example:$PORT/hello"
        wait_for curl 'GET /hello HTTP/1.1*'
        stop curl
    fi
    if command -v python3 >/dev/null; then
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
}

@test "the solution delivers its line also to a client that sends much" {
    local i
    head -c 60000 /dev/zero >"$BATS_TEST_TMPDIR/much"
    start_server server "$BUILD/solution/09-ssl-server" 0 "$certs/good.pem" \
        "$certs/good.key"
    # Did it close without reading this, the kernel would send a reset, and the
    # line would be lost in most of these.
    for i in {1..12}; do
        try_with "$BATS_TEST_TMPDIR/much" "$BATS_TEST_TMPDIR/out" \
            "$BUILD/08-ssl-wrap" -C "$certs/root.pem" -n server.example \
            127.0.0.1 "$PORT"
        expect_equal "status" 0 "$status"
        expect_output --text 'you asked for server.example\n'
    done
}

@test "09-ssl-server refuses to start if standard output or error is closed" {
    local identity=("$certs/good.pem" "$certs/good.key")
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - \
        "$program" 0 "${identity[@]}"
    expect_equal closed "09-ssl-server: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" 0 "${identity[@]}"
}
