#!/usr/bin/env bats
# 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] [-t SECONDS] HOST PORT: TLS with
# whom it wanted. What it makes of each certificate and each manner of a server,
# tests/torture/tls-matrix shows.

load ../lib/copy # for a terminal
load ../lib/clock

client=$BUILD/08-ssl-wrap
rude_tls=$BUILD/peers/rude-tls
certs=build/certs
hello='hello from behind the certificate\n'

setup_file() {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
}

# server MANNER [CERTIFICATE [OPTION...]]: it listens on $PORT.
server() {
    local name=${2:-good}
    start_server peer "$rude_tls" "${@:3}" "$1" "$certs/$name.pem" \
        "$certs/$name.key"
}

# ask [OPTION...]: the client asks it for server.example, and trusts our root.
ask() {
    try "${faulty[@]}" "$client" -C "$certs/root.pem" -n server.example "$@" \
        127.0.0.1 "$PORT"
}
faulty=()

@test "08-ssl-wrap says who it is, who says so, and how it is encrypted" {
    server honest
    ask
    expect_result 0 "it is CN=good
says  CN=root
TLSv1.3 TLS_AES_256_GCM_SHA384"
    expect_output --text "$hello"
    wait_for peer 'got *'
    expect_lines peer 'listening on *' 'taken for server.example' TLSv1.3 \
        'got 0 bytes, then close_notify'
}

@test "08-ssl-wrap wants HOST, unless it is given a NAME; addresses too" {
    local named
    need_faults
    named=("${faulty[0]}" "${faulty[1]/faults/names}" NAMES=localhost=127.0.0.1)
    faulty=()
    server honest good -c 9
    try "${named[@]}" "$client" -C "$certs/root.pem" localhost "$PORT"
    expect_equal status 0 "$status"
    wait_for peer 'taken for localhost'
    try "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    wait_for peer 'taken for nobody'
    try "$client" -C "$certs/root.pem" -n 127.0.0.2 127.0.0.1 "$PORT"
    expect_result 1 "08-ssl-wrap: SSL_connect 127.0.0.2: not believed: IP \
address mismatch"
    try "$client" -C "$certs/root.pem" -n ::1 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    ask -n elsewhere.example
    expect_result 1 "08-ssl-wrap: SSL_connect elsewhere.example: not believed: \
hostname mismatch"
    expect_output --text ''
}

@test "08-ssl-wrap takes no name for any name, and no dot for all below it" {
    local name long
    printf -v long '%300s' ''
    server honest
    for name in '' . .example .server.example "${long// /a}" '[::1]' \
        'server.example ' $'server.example\n' bücher.example; do
        ask -n "$name"
        expect_result 1 "08-ssl-wrap: '$name' is not a name"
    done
    expect_lines peer 'listening on *' # it has not even connected
}

@test "08-ssl-wrap knows a name with a dot at its end, and an address with a zone" {
    server honest good -c 9
    ask -n server.example.
    expect_equal status 0 "$status"
    wait_for peer 'taken for server.example'
    ask -n elsewhere.example.
    expect_result 1 "08-ssl-wrap: SSL_connect elsewhere.example.: not believed: \
hostname mismatch"
    stop_all
    server honest good-zone -c 9
    ask -n fe80::1%lo
    expect_equal status 0 "$status"
    wait_for peer 'taken for nobody'
    ask -n fe80::1%eth0.100 # a VLAN's interface
    expect_equal status 0 "$status"
    ask -n fe80::2%lo
    expect_result 1 "08-ssl-wrap: SSL_connect fe80::2%lo: not believed: IP \
address mismatch"
}

@test "08-ssl-wrap refuses what is neither a host name nor an address" {
    local name long
    printf -v long '%64s' ''
    server honest
    for name in '[::1]' 'server.example ' ' server.example' \
        $'server.example\n' bücher.example server.example%lo server,example \
        server.example:443 https://server.example server.example.. \
        server..example "${long// /a}.example" 127.0.0.1. +127.0.0.1 \
        '127.0.0.1 ' ' 127.0.0.1' $'127.0.0.1\n' '127.0.0.1 evil.example' \
        127.0.0.1%lo ::1% $'::1%\t'; do
        ask -n "$name"
        expect_result 1 "08-ssl-wrap: '$name' is not a name"
    done
    expect_lines peer 'listening on *' # it has not even connected
}

@test "the exercise's solution knows a dot at the end of a name, and refuses what is none" {
    local name
    server honest good -c 9
    run -0 "$BUILD/solution/08-ssl-wrap" "$certs/root.pem" server.example. \
        127.0.0.1 "$PORT" </dev/null
    wait_for peer 'taken for server.example'
    for name in '[::1]' 'server.example ' bücher.example server.example:443; do
        run -1 "$BUILD/solution/08-ssl-wrap" "$certs/root.pem" "$name" \
            127.0.0.1 "$PORT" </dev/null
        expect_equal output "08-ssl-wrap: '$name' is not a name" "$output"
    done
    expect_equal connections 1 "$(grep -c '^taken for' "$BATS_TEST_TMPDIR/peer.out")"
}

@test "08-ssl-wrap sends its input, all of it, and prints the answer, all" {
    "$BUILD/peers/rude" -s 7 -n 100000 payload garbage >"$BATS_TEST_TMPDIR/in"
    "$BUILD/peers/rude" -s 8 -n 100000 payload garbage >"$BATS_TEST_TMPDIR/answer"
    server honest good -n 100000 -o "$BATS_TEST_TMPDIR/heard" \
        -f "$BATS_TEST_TMPDIR/answer"
    OUT=$BATS_TEST_TMPDIR/out
    bounded "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT" \
        <"$BATS_TEST_TMPDIR/in" >"$OUT" 2>/dev/null
    expect_output "$BATS_TEST_TMPDIR/answer"
    wait_for peer 'got 100000 bytes, then close_notify'
    cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/heard"
}

@test "08-ssl-wrap waits for its input, and for a server that dribbles" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    server dribble good -d 0 -n 3
    # shellcheck disable=SC2016 # for the inner shell
    start client bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/in" "$client" \
        -C "$certs/root.pem" 127.0.0.1 "$PORT"
    exec 8>"$BATS_TEST_TMPDIR/in"
    wait_for client 'says  CN=root' err
    printf a >&8
    printf bc >&8
    exec 8>&-
    finish client
    expect_equal status 0 "$ended"
    expect_output --text "$hello" --in "$BATS_TEST_TMPDIR/client.out"
    wait_for peer 'got 3 bytes, then close_notify'
}

# reverser: a server that answers each line at once, with its letters in reverse
# order, and closes when its client has sent close_notify.
reverser() {
    start reverser openssl s_server -rev -naccept 1 -accept 127.0.0.1:0 \
        -cert "$certs/good.pem" -cert_chain "$certs/good.pem" \
        -key "$certs/good.key"
    wait_for reverser 'ACCEPT *'
    PORT=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$BATS_TEST_TMPDIR/reverser.out")
}

# answers_at_once FILE: lines that go into descriptor 8 are answered in FILE, one
# by one, before the input has ended.
answers_at_once() {
    until_true grep -q 'TLSv1' "$2"
    echo hello >&8
    until_true grep -qx $'olleh\r*' "$1"
    echo again >&8
    until_true grep -qx $'niaga\r*' "$1"
}

@test "08-ssl-wrap has a request answered before its input has ended" {
    local out=$BATS_TEST_TMPDIR/client.out
    mkfifo "$BATS_TEST_TMPDIR/in"
    reverser
    # shellcheck disable=SC2016 # for the inner shell
    start client bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/in" "$client" \
        -C "$certs/root.pem" 127.0.0.1 "$PORT"
    exec 8>"$BATS_TEST_TMPDIR/in"
    answers_at_once "$out" "${out%out}err"
    exec 8>&-
    # It ends because it has said so to its server, long before its deadline.
    finish client
    expect_equal status 0 "$ended"
    expect_output --text 'olleh\nniaga\n' --in "$out"
}

@test "08-ssl-wrap has a request answered that is typed at a terminal" {
    local keys=$BATS_TEST_TMPDIR/keys screen=$BATS_TEST_TMPDIR/screen ended=0
    need_terminal
    mkfifo "$keys"
    reverser
    on_terminal "exec $client -C $certs/root.pem 127.0.0.1 $PORT" <"$keys" \
        >"$screen" 2>&1 3>&- &
    exec 8>"$keys"
    answers_at_once "$screen" "$screen"
    printf '\004' >&8 # Ctrl-D
    wait $! || ended=$?
    exec 8>&-
    expect_equal status 0 "$ended"
}

@test "08-ssl-wrap hears a server that speaks first, while its input is silent" {
    mkfifo "$BATS_TEST_TMPDIR/in"
    server honest
    # shellcheck disable=SC2016 # for the inner shell
    start client bash -c 'exec "$@" <>"$0"' "$BATS_TEST_TMPDIR/in" "$client" \
        -C "$certs/root.pem" 127.0.0.1 "$PORT"
    finish client # its input has not ended; the answer has
    expect_equal status 0 "$ended"
    expect_output --text "$hello" --in "$BATS_TEST_TMPDIR/client.out"
}

@test "08-ssl-wrap copes with reads and writes of a byte each" {
    need_faults
    server honest
    faulty+=(FAULT_SHORT=1)
    ask
    expect_equal status 0 "$status"
    expect_output --text "$hello"
}

@test "08-ssl-wrap trusts this system's roots, and not ours, unless told to" {
    server honest good -c 3
    try env SSL_CERT_FILE="$certs/root.pem" "$client" 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    for trust in /dev/null/none "$certs/other-root.pem"; do
        try env SSL_CERT_FILE="$trust" SSL_CERT_DIR=/dev/null \
            "$client" 127.0.0.1 "$PORT"
        expect_result 1 "08-ssl-wrap: SSL_connect 127.0.0.1: not believed: \
unable to get local issuer certificate"
    done
}

@test "08-ssl-wrap refuses files that it cannot use" {
    local file
    PORT=1
    for file in "$BATS_TEST_TMPDIR/none:No such file or directory" \
        "/dev/null:it holds nothing useful in PEM form" \
        "$BATS_TEST_TMPDIR:it is a folder" \
        "$certs/good.key:it holds nothing useful in PEM form"; do
        ask -C "${file%:*}"
        expect_result 1 "08-ssl-wrap: trust ${file%:*}: ${file#*:}"
    done
    file=$BATS_TEST_TMPDIR/cut.pem # a line is missing in it
    sed 4d "$certs/root.pem" >"$file"
    ask -C "$file"
    expect_equal status 1 "$status"
    [[ $errors == "08-ssl-wrap: trust $file: damaged: "* ]]
    ask -R "$BATS_TEST_TMPDIR/none"
    expect_result 1 "08-ssl-wrap: revoked $BATS_TEST_TMPDIR/none: No such file \
or directory"
    ask -R "$certs/root.pem"
    expect_equal status 1 "$status"
    [[ $errors == "08-ssl-wrap: revoked $certs/root.pem: "* ]]
}

@test "08-ssl-wrap looks into the list of what is revoked, if it has one" {
    server honest revoked -c 3
    ask
    expect_equal status 0 "$status"
    ask -R "$certs/crl.pem"
    expect_result 1 "08-ssl-wrap: SSL_connect server.example: not believed: \
certificate revoked"
    server honest good
    ask -R "$certs/crl.pem"
    expect_equal status 0 "$status"
}

@test "08-ssl-wrap looks into the list of every authority in the chain" {
    local list=$BATS_TEST_TMPDIR/list
    server honest by-revoked-authority -c 3
    ask
    expect_equal status 0 "$status"
    # The server's own authority has not revoked it. The root has revoked that
    # authority.
    ask -R "$certs/crl.pem"
    expect_result 1 "08-ssl-wrap: SSL_connect server.example: not believed: \
certificate revoked"
    stop_all
    # The list of the root alone, the first one.
    sed '/END X509 CRL/q' "$certs/crl.pem" >"$list"
    server honest good -c 3
    ask -R "$list"
    expect_result 1 "08-ssl-wrap: SSL_connect server.example: not believed: \
unable to get certificate CRL"
    stop_all
    server honest good-from-root
    ask -R "$list"
    expect_equal status 0 "$status"
    stop_all
    # The lists of all but the root.
    sed '1,/END X509 CRL/d' "$certs/crl.pem" >"$list"
    server honest good
    ask -R "$list"
    expect_result 1 "08-ssl-wrap: SSL_connect server.example: not believed: \
unable to get certificate CRL"
}

# within_time COMMAND...: it ends at a deadline of 0.2 s, and no earlier.
at_deadline() {
    stop_all
    server "$@"
    timed "${faulty[@]}" "$client" -C "$certs/root.pem" -n server.example \
        -t 0.2 127.0.0.1 "$PORT"
}

@test "08-ssl-wrap ends at the deadline, whatever the server does" {
    local manner call
    for manner in silent mute flood; do
        call=SSL_read
        [[ $manner != silent ]] || call=SSL_connect
        measured 19 60 at_deadline "$manner"
        expect_equal status 1 "$status"
        [[ $errors == *"08-ssl-wrap: $call server.example: deadline passed" ]]
    done
}

@test "08-ssl-wrap ends at the deadline when it always has something to read" {
    need_faults
    faulty+=(FAULT_SHORT=read)
    at_deadline flood
    expect_equal status 1 "$status"
    ((took < 300))
    [[ $errors == *"08-ssl-wrap: SSL_read server.example: deadline passed" ]]
}

# send_to MANNER INPUT: the client sends that input to such a server.
send_to() {
    server "$1"
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    bounded "$client" -C "$certs/root.pem" -t 0.2 127.0.0.1 "$PORT" \
        <"$2" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    errors=$(<"$BATS_TEST_TMPDIR/err")
}

@test "08-ssl-wrap ends at the deadline while it sends, or waits for its input" {
    send_to flood /dev/zero # this server never reads
    expect_equal status 1 "$status"
    [[ $errors == *"08-ssl-wrap: SSL_write 127.0.0.1: deadline passed" ]]
    stop_all
    mkfifo "$BATS_TEST_TMPDIR/in"
    exec 8<>"$BATS_TEST_TMPDIR/in"
    send_to mute "$BATS_TEST_TMPDIR/in"
    expect_equal status 1 "$status"
    [[ $errors == *"08-ssl-wrap: SSL_read 127.0.0.1: deadline passed" ]]
}

@test "08-ssl-wrap prints what came, and says so, when the answer is cut short" {
    server cut
    ask
    expect_equal status 1 "$status"
    expect_output --text "$hello"
    [[ $errors == *"08-ssl-wrap: SSL_read server.example: cut short: it ended \
without close_notify" ]]
    server broken-off
    ask
    expect_equal status 1 "$status"
    expect_output --text "$hello"
    [[ $errors == *"08-ssl-wrap: SSL_read server.example: Connection reset by \
peer" ]]
}

# The torture's bats file has all of them judged.
@test "08-ssl-wrap judges some servers of the matrix right" {
    PATIENCE=2 run -0 tests/torture/tls-matrix --only name-in-subject-only \
        --only wildcard-part --only no-authority-key --only small-key \
        --only renegotiate --only bye --only cbc-only "$client"
    [[ ${lines[-1]} == "7 servers, 7 judged right by 08-ssl-wrap" ]]
}

@test "08-ssl-wrap is as strict where the system's configuration is lax" {
    export OPENSSL_CONF=$BATS_TEST_TMPDIR/lax.cnf
    printf '%s\n' 'openssl_conf = all' '[all]' 'ssl_conf = ssl' '[ssl]' \
        'system_default = lax' '[lax]' 'CipherString = ALL:@SECLEVEL=0' \
        'MinProtocol = TLSv1' >"$OPENSSL_CONF"
    PATIENCE=2 run -0 tests/torture/tls-matrix --only small-key --only tls-1.1 \
        --only expired --only good --only cut "$client"
    [[ ${lines[-1]} == "5 servers, 5 judged right by 08-ssl-wrap" ]]
}

@test "08-ssl-wrap says who refused it, or that a name means nothing" {
    local named
    start nobody "$BUILD/peers/rude" refuse
    wait_for nobody 'refusing on *'
    port_of nobody
    ask
    expect_result 1 "08-ssl-wrap: connect 127.0.0.1:$PORT: Connection refused"
    need_faults
    named=("${faulty[0]}" "${faulty[1]/faults/names}")
    try "${named[@]}" NAMES=host=127.0.0.1 "$client" nobody 80
    expect_result 1 "08-ssl-wrap: nobody: Name or service not known"
    server honest
    # The first address has nobody; its descriptor is not kept.
    try "${named[@]}" NAMES=host=127.0.0.2+127.0.0.1 "$client" \
        -C "$certs/root.pem" -n server.example host "$PORT"
    expect_equal status 0 "$status"
    [[ $errors == "08-ssl-wrap: connect 127.0.0.2:$PORT: Connection refused"* ]]
}

@test "08-ssl-wrap has one socket, close-on-exec, and sleeps while it waits" {
    local sockets flags named
    need_faults
    named=("${faulty[0]}" "${faulty[1]/faults/names}")
    server mute
    start client "${named[@]}" NAMES=host=127.0.0.2+127.0.0.1 "$client" \
        -C "$certs/root.pem" -n server.example host "$PORT"
    wait_for client 'TLSv1.3 *' err
    until_true holds_sockets "$(pid_of client)" 1
    flags_of "$(pid_of client)" "${sockets[0]}"
    expect_equal flags 02004002 "$flags"
    until_true is_asleep "$(pid_of client)"
}

@test "08-ssl-wrap names the call that failed, and why" {
    local call
    need_faults
    server honest good -c 9
    while read -r call; do
        try "${faulty[@]}" FAULT_CALL="${call%%:*}" FAULT_ERRNO=12 "$client" \
            -C "$certs/root.pem" -n server.example 127.0.0.1 "$PORT"
        expect_equal status 1 "$status"
        [[ $errors == *"08-ssl-wrap: ${call#*:}: Cannot allocate memory" ]]
    done <<END
socket:socket 127.0.0.1:$PORT
connect:connect 127.0.0.1:$PORT
poll:connect 127.0.0.1:$PORT
close:close
END
    server silent
    try "${faulty[@]}" FAULT_CALL=poll FAULT_AT=2 FAULT_ERRNO=12 "$client" \
        -C "$certs/root.pem" -n server.example 127.0.0.1 "$PORT"
    expect_result 1 "08-ssl-wrap: SSL_connect server.example: Cannot allocate \
memory"
    server honest
    run -1 --separate-stderr bash -c '"$@" <.' - \
        "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT"
    [[ $stderr == *"08-ssl-wrap: standard input: Is a directory" ]]
}

@test "08-ssl-wrap says so when standard output is full, gone or closed" {
    server honest good -c 3
    run -1 --separate-stderr bash -c '"$@" >/dev/full </dev/null' - \
        "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT"
    [[ $stderr == *"08-ssl-wrap: standard output: No space left on device" ]]
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7 </dev/null' - "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT"
    [[ $stderr == *"08-ssl-wrap: standard output: Broken pipe" ]]
    run -1 --separate-stderr bash -c '"$@" >&-' - "$client" 127.0.0.1 "$PORT"
    expect_equal "closed" "08-ssl-wrap: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 --separate-stderr bash -c '"$@" <&-' - "$client" 127.0.0.1 "$PORT"
    expect_equal "closed" "08-ssl-wrap: descriptor 0: Bad file descriptor" \
        "$stderr"
    run -1 bash -c '"$@" 2>&-' - "$client" 127.0.0.1 "$PORT"
}

@test "08-ssl-wrap survives a server that goes while it is being sent to" {
    server broken-off
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    bounded "$client" -C "$certs/root.pem" 127.0.0.1 "$PORT" </dev/zero \
        >"$OUT" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    expect_equal status 1 "$status" # and no SIGPIPE
    grep -qE 'SSL_write 127.0.0.1: (Connection reset by peer|Broken pipe)' \
        "$BATS_TEST_TMPDIR/err"
}

@test "08-ssl-wrap explains itself, and says which argument is wrong" {
    local bad usage="usage: 08-ssl-wrap [-C CAFILE] [-R CRLFILE] [-n NAME] \
[-t SECONDS] HOST PORT"
    try "$client" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for bad in "" 127.0.0.1 "127.0.0.1 80 more" "127.0.0.1 80 -t"; do
        # shellcheck disable=SC2086 # words
        try "$client" $bad
        expect_result 2 "$usage"
    done
    try "$client" -x 127.0.0.1 80
    expect_equal status 2 "$status"
    for bad in 0 65536 80x '' http; do
        try "$client" -- 127.0.0.1 "$bad"
        expect_result 1 "08-ssl-wrap: $bad is not a port: 1 to 65535"
    done
    for bad in 0 86401 1x '' -1; do
        try "$client" -t "$bad" 127.0.0.1 80
        expect_result 1 "08-ssl-wrap: $bad is not a number of seconds above 0, up to a day"
    done
}

@test "Python's recv takes an answer that was cut short for a whole one" {
    skip_unless python3
    server cut
    try python3 -c "
import socket, ssl
context = ssl.create_default_context(cafile='$certs/root.pem')
s = context.wrap_socket(socket.create_connection(('127.0.0.1', $PORT)),
                        server_hostname='server.example')
assert s.recv(99) and s.recv(99) == b''"
    expect_result 0 ""
    server cut
    try python3 lessons/08-ssl-wrap/twin.py -C "$certs/root.pem" \
        -n server.example 127.0.0.1 "$PORT"
    expect_equal status 1 "$status"
    server honest wrong-name
    try python3 lessons/08-ssl-wrap/twin.py -C "$certs/root.pem" \
        -n server.example 127.0.0.1 "$PORT"
    [[ $errors == *"Hostname mismatch"* ]]
}

@test "the client of 2008 believes a stranger, and sends him what it has" {
    local name old=build/exercise/08-ssl-wrap
    for name in self-signed expired wrong-name; do
        server honest "$name"
        try "$old" "$certs/root.pem" server.example 127.0.0.1 "$PORT"
        expect_result 0 "talking to server.example, safely encrypted"
        expect_output --text "$hello"
    done
}
