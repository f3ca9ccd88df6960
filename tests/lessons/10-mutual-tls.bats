#!/usr/bin/env bats
# 10-mutual-tls [-2] [-t SECONDS] serve PORT CERT KEY CLIENT_CA · connect HOST
# PORT CA [CERT KEY]: a server and a client that each prove who they are.

load ../lib/common
load ../lib/clock

program=$BUILD/10-mutual-tls
rude_tls=$BUILD/peers/rude-tls
certs=build/certs
ours=("$certs/good.pem" "$certs/good.key" "$certs/root.pem")
readme=lessons/10-mutual-tls/README.md
done_with_good='10-mutual-tls: SSL_connect: done, it is CN=good'
faulty=()

setup_file() {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
}

# serve [OPTION...]: the server listens on $PORT, and trusts our root.
serve() {
    start_server server "${faulty[@]}" "$program" "$@" serve 0 "${ours[@]}"
}

# ask [-2] [CERTIFICATE]: a client with that one, or with none.
ask() {
    local -a options=()
    if [[ ${1-} == -2 ]]; then
        options=(-2)
        shift
    fi
    try "${faulty[@]}" "$program" "${options[@]}" connect 127.0.0.1 "$PORT" \
        "$certs/root.pem" ${1:+"$certs/$1.pem" "$certs/$1.key"}
}

# accepts CERTIFICATE: and both sides say so.
accepts() {
    ask "$1"
    expect_result 0 "$done_with_good"
    expect_output --text "you are CN=$1\n"
    wait_for server "127.0.0.1:* is CN=$1"
}

# rude MANNER [OPTION...]: such a client, with a good certificate.
rude() {
    start client "$rude_tls" -j "$PORT" "${@:2}" "$1" "$certs/client.pem" \
        "$certs/client.key"
}

# A server's verdicts on clients, as the README has them.
@test "10-mutual-tls judges six of six kinds of client as its README says" {
    local shown says hears count=0
    serve
    while IFS='|' read -r _ shown says hears _; do
        read -r shown <<<"$shown"
        read -r says <<<"$says"
        read -r hears <<<"$hears"
        : >"$BATS_TEST_TMPDIR/server.err"
        ask "${shown#nothing}"
        if [[ $says == 'is '* ]]; then
            expect_result 0 "$done_with_good"
            expect_output --text "$hears\n"
            wait_for server "127.0.0.1:* $says"
        else
            expect_result 1 "$done_with_good
10-mutual-tls: SSL_read 127.0.0.1: refused by the other side: $hears"
            expect_output --text ''
            until_true eval "grep -q '$says\$' '$BATS_TEST_TMPDIR/server.err'"
        fi
        count=$((count + 1))
    done < <(sed -n '/^| the client shows/,/^$/p' "$readme" | tail -n +3 | grep .)
    expect_equal "kinds" 6 "$count"
    expect_equal "let in" 2 "$(grep -c '' "$BATS_TEST_TMPDIR/server.out")"
    accepts client-bob
    stop server
    expect_equal "status" 0 "$ended"
}

@test "10-mutual-tls judges every client's certificate that scripts/certs makes" {
    local role name verdict why count=0
    serve
    while read -r role name verdict _ _ why; do
        [[ $role == client ]] || continue
        ask "$name"
        expect_equal "$name" "$([[ $verdict == accept ]] || echo 1)" \
            "${status#0}"
        [[ $verdict == accept ]] ||
            wait_for server "*: SSL_accept 127.0.0.1:*: not believed: $why" err
        count=$((count + 1))
    done <"$certs/table"
    ((count >= 18))
}

@test "10-mutual-tls is told of its refusal by the handshake in TLS 1.2" {
    local config=$BATS_TEST_TMPDIR/old
    printf '%s\n' openssl_conf=a '[a]' ssl_conf=b '[b]' system_default=c \
        '[c]' MaxProtocol=TLSv1.2 >"$config"
    serve
    export OPENSSL_CONF=$config
    accepts client
    ask client-expired
    expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: refused by the \
other side: certificate expired"
    ask
    expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: refused by the \
other side: handshake failure"
}

@test "10-mutual-tls -2 speaks TLS 1.2, as a client and as a server" {
    serve
    ask -2 client-expired
    expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: refused by the \
other side: certificate expired"
    ask -2 client
    expect_result 0 "$done_with_good"
    stop server
    serve -2
    ask client-expired
    expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: refused by the \
other side: certificate expired"
    accepts client
}

@test "10-mutual-tls tries each address of a host until one answers" {
    need_faults
    serve
    try "${faulty[0]}" "${faulty[1]/faults/names}" \
        NAMES=localhost=127.0.0.2+127.0.0.1 "$program" connect localhost \
        "$PORT" "$certs/root.pem" "$certs/client.pem" "$certs/client.key"
    expect_result 0 "10-mutual-tls: connect 127.0.0.2:$PORT: Connection refused
$done_with_good"
    expect_output --text 'you are CN=client\n'
    try "${faulty[0]}" "${faulty[1]/faults/names}" \
        NAMES=localhost=127.0.0.2+127.0.0.3 "$program" connect localhost \
        "$PORT" "$certs/root.pem"
    expect_result 1 "10-mutual-tls: connect 127.0.0.2:$PORT: Connection refused
10-mutual-tls: connect 127.0.0.3:$PORT: Connection refused"
}

@test "10-mutual-tls names the file that is of the wrong kind" {
    local odd useless="it holds nothing useful in PEM form"
    odd_files
    for odd in cert.der key.der public cut.pem empty; do
        odd=$BATS_TEST_TMPDIR/$odd
        try "$program" serve 0 "$odd" "$certs/good.key" "$certs/root.pem"
        expect_result 1 "10-mutual-tls: show $odd: $useless"
        try "$program" serve 0 "$certs/good.pem" "$certs/good.key" "$odd"
        expect_result 1 "10-mutual-tls: trust $odd: $useless"
        try "$program" connect 127.0.0.1 1 "$odd"
        expect_result 1 "10-mutual-tls: trust $odd: $useless"
    done
    for odd in cert.der key.der public cut.key empty; do
        odd=$BATS_TEST_TMPDIR/$odd
        try "$program" serve 0 "$certs/good.pem" "$odd" "$certs/root.pem"
        expect_result 1 "10-mutual-tls: show $certs/good.pem: key $odd: $useless"
    done
    try "$program" connect 127.0.0.1 1 "$certs"
    expect_result 1 "10-mutual-tls: trust $certs: Is a directory"
}

@test "10-mutual-tls says that a key has a passphrase, or that it is a folder" {
    local key=$BATS_TEST_TMPDIR/key
    openssl pkey -aes128 -passout pass:secret -in "$certs/good.key" -out "$key"
    chmod 600 "$key"
    try "$program" serve 0 "$certs/good.pem" "$key" "$certs/root.pem"
    expect_result 1 "10-mutual-tls: show $certs/good.pem: key $key: it has a \
passphrase"
    mkdir -m 700 "$BATS_TEST_TMPDIR/folder"
    try "$program" serve 0 "$certs/good.pem" "$BATS_TEST_TMPDIR/folder" \
        "$certs/root.pem"
    expect_result 1 "10-mutual-tls: key $BATS_TEST_TMPDIR/folder: it is a folder"
    try "$program" serve 0 "$BATS_TEST_TMPDIR/folder" "$certs/good.key" \
        "$certs/root.pem"
    expect_result 1 \
        "10-mutual-tls: show $BATS_TEST_TMPDIR/folder: it is a folder"
    try "$program" serve 0 "$certs/good.pem" "$certs/good.key" \
        "$BATS_TEST_TMPDIR/folder"
    expect_result 1 \
        "10-mutual-tls: trust $BATS_TEST_TMPDIR/folder: it is a folder"
}

@test "10-mutual-tls refuses what is no name, before it sends anything" {
    local name
    need_faults
    for name in '[::1]' 'server.example ' bücher.example server.example%lo; do
        serve
        try "${faulty[0]}" "${faulty[1]/faults/names}" \
            NAMES="$name=127.0.0.1" "$program" connect "$name" "$PORT" \
            "$certs/root.pem"
        expect_result 1 \
            "10-mutual-tls: SSL_new $name: not a host name or an address"
        stop server
    done
}

@test "10-mutual-tls tells a client which authorities it trusts" {
    skip_unless openssl
    serve
    try openssl s_client -connect "127.0.0.1:$PORT"
    grep -A1 '^Acceptable client certificate CA names$' "$OUT" |
        grep '^CN.*root$'
}

@test "10-mutual-tls uses no key that another user can read" {
    local key=$BATS_TEST_TMPDIR/key mode
    for mode in 640 620 604 644; do
        cp "$certs/client.key" "$key"
        chmod "$mode" "$key"
        try "$program" connect 127.0.0.1 1 "$certs/root.pem" \
            "$certs/client.pem" "$key"
        expect_result 1 "10-mutual-tls: key $key: others may use it: its mode \
is $mode, not 600"
        try "$program" serve 0 "$certs/client.pem" "$key" "$certs/root.pem"
        expect_result 1 "10-mutual-tls: key $key: others may use it: its mode \
is $mode, not 600"
    done
    # A certificate is no secret.
    cp "$certs/good.pem" "$BATS_TEST_TMPDIR/cert"
    chmod 644 "$BATS_TEST_TMPDIR/cert"
    start_server open "$program" serve 0 "$BATS_TEST_TMPDIR/cert" "${ours[@]:1}"
    ask client
    expect_result 0 "$done_with_good"
}

@test "10-mutual-tls uses no key that belongs to another user" {
    local key=$BATS_TEST_TMPDIR/key
    need_faults
    skip_unless cc
    # A stat that says so: only root could give a file away.
    cat >"$key.c" <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
int stat(const char *restrict path, struct stat *restrict file) {
    int result = fstatat(AT_FDCWD, path, file, 0);
    file->st_uid = geteuid() + 1;
    return result;
}
END
    cc -shared -fPIC -o "$key.so" "$key.c"
    try env LD_PRELOAD="$key.so" "$program" serve 0 "${ours[@]}"
    expect_result 1 "10-mutual-tls: key $certs/good.key: it belongs to another \
user"
    try env LD_PRELOAD="$key.so" "$program" connect 127.0.0.1 1 \
        "$certs/root.pem" "$certs/client.pem" "$certs/client.key"
    expect_result 1 "10-mutual-tls: key $certs/client.key: it belongs to \
another user"
}

@test "Python takes a key that others can read, and names no authorities" {
    skip_unless python3 openssl
    cp "$certs/good.key" "$BATS_TEST_TMPDIR/key"
    chmod 644 "$BATS_TEST_TMPDIR/key"
    start_server twin python3 -uc "
import socket, ssl
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain('$certs/good.pem', '$BATS_TEST_TMPDIR/key')
server.load_verify_locations('$certs/root.pem')
server.verify_mode = ssl.CERT_OPTIONAL
listener = socket.create_server(('127.0.0.1', 0))
print('listening on 127.0.0.1:%d' % listener.getsockname()[1])
raw, _ = listener.accept()
server.wrap_socket(raw, server_side=True).close()"
    try openssl s_client -connect "127.0.0.1:$PORT"
    grep '^No client certificate CA names sent$' "$OUT"
}

# What a copy of the program does that lacks the second flag: the README has it.
@test "10-mutual-tls without its second flag takes a client without any name" {
    skip_unless cc
    sed 's/ | SSL_VERIFY_FAIL_IF_NO_PEER_CERT//' \
        lessons/10-mutual-tls/mutual-tls.c >"$BATS_TEST_TMPDIR/lax.c"
    cc -Icommon -o "$BATS_TEST_TMPDIR/lax" "$BATS_TEST_TMPDIR/lax.c" \
        common/addr.c common/deadline.c common/tls.c -lssl -lcrypto
    start_server lax "$BATS_TEST_TMPDIR/lax" serve 0 "${ours[@]}"
    ask client-expired
    expect_equal "an expired certificate" 1 "$status"
    ask
    expect_result 0 "$done_with_good"
    expect_output --text 'you are \n'
}

@test "10's solution says so when it cannot end a conversation" {
    [[ -x $BUILD/solution/10-mutual-tls ]] || skip "it is not built"
    need_faults
    local call at=2
    for call in SSL_write SSL_shutdown; do # its second write, and its third
        start_server guests "${faulty[@]}" FAULT_CALL=write FAULT_ERRNO=12 \
            FAULT_AT="$at" "$BUILD/solution/10-mutual-tls" 0 "${ours[@]}" \
            alice.example
        faulty=()
        ask client
        until_true test -s "$BATS_TEST_TMPDIR/guests.err"
        stop guests
        expect_equal "what it says" \
            "10-mutual-tls: $call: Cannot allocate memory" \
            "$(<"$BATS_TEST_TMPDIR/guests.err")"
        need_faults
        at=3
    done
}

@test "10's solution ends cleanly also with a client that sends much" {
    [[ -x $BUILD/solution/10-mutual-tls ]] || skip "it is not built"
    local i
    head -c 60000 /dev/zero >"$BATS_TEST_TMPDIR/much"
    start_server guests "$BUILD/solution/10-mutual-tls" 0 "${ours[@]}" \
        alice.example
    # Did it close without reading this, the kernel would send a reset.
    for i in {1..6}; do
        try "$rude_tls" -j "$PORT" -f "$BATS_TEST_TMPDIR/much" -n 99999 \
            -o "$BATS_TEST_TMPDIR/told" honest "$certs/client.pem" \
            "$certs/client.key"
        expect_result 0 ""
        expect_output \
            --text 'TLSv1.3\ngot 22 bytes, then close_notify\n'
        expect_output --text 'welcome alice.example\n' \
            --in "$BATS_TEST_TMPDIR/told"
    done
}

@test "10-mutual-tls counts its processes also if it was started with SIGCHLD ignored" {
    local ignored
    # shellcheck disable=SC2016 # for that shell
    faulty=(bash -c 'trap "" CHLD && exec "$@"' -)
    serve
    # Bit 16 is that of SIGCHLD, which has the number 17.
    read -r _ ignored < <(grep SigIgn "/proc/$(pid_of server)/status")
    (((16#$ignored & 1 << 16) == 0))
}

@test "10-mutual-tls is not deceived by who has no key, and speaks no old TLS" {
    serve
    rude impostor
    finish client
    expect_lines client TLSv1.3 'got 0 bytes, then an error'
    # The words are those of OpenSSL 3.0, or of a newer one.
    wait_for server "10-mutual-tls: SSL_accept 127.0.0.1:*: *signature*" err
    rude tls-1.1
    finish client
    says client 'no handshake: tlsv1 alert protocol version'
    rude garbage
    wait_for server "*: it does not speak TLS" err
    accepts client
    expect_lines server 'listening on *' '* is CN=client'
}

@test "10-mutual-tls says no to an honest reset, and keeps no process" {
    serve
    rude reset
    finish client
    rude broken-off
    finish client
    rude mute -n 999
    finish client
    says client 'got 18 bytes, then close_notify'
    accepts client
    accepts client
    until_true has_at_most_one_child
}

has_at_most_one_child() {
    children_of "$(pid_of server)"
    ((${#children[@]} <= 1))
}

# stall COUNT: so many come, say nothing, and stay until let_go.
stall() {
    local i
    for ((i = 0; i < $1; i++)); do
        exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
        connections+=("$connection")
    done
}

# all_have_gone: and have complained. Who has gone is looked for at an accept.
all_have_gone() {
    ask client && has_at_most_one_child
}

let_go() {
    for connection in "${connections[@]}"; do
        exec {connection}>&-
    done
}

@test "10-mutual-tls: 300 that stall in the handshake keep nobody waiting" {
    local begin connection i took
    local -a connections=()
    (($(ulimit -n) > 600)) || skip "this system allows no 600 descriptors"
    serve -t 20
    stall 300
    for ((i = 0; i < 3; i++)); do # what was late is measured again
        begin=${EPOCHREALTIME/./}
        accepts client
        took=$((${EPOCHREALTIME/./} - begin))
        ((took >= 1000000)) || break
    done
    [[ $BUILD == *asan* ]] || ((took < 1000000))
    # There may be 512 of them: another one waits until one has gone.
    stall 212
    until_true has_children "$(pid_of server)" 512
    try "$program" -t 0.1 connect 127.0.0.1 "$PORT" "$certs/root.pem"
    expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: deadline passed"
    let_go
    until_true all_have_gone
    connections=()
    stall 1
    : >"$BATS_TEST_TMPDIR/server.err"
    accepts client
    stop server
    expect_equal "status" 0 "$ended"
    run ! grep -v -e ' is CN=client$' -e '^listening on ' \
        "$BATS_TEST_TMPDIR/server.out"
    expect_equal "errors" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

@test "10-mutual-tls ends with its server, whatever its clients do" {
    local signal child pid
    for signal in INT TERM; do
        : >"$BATS_TEST_TMPDIR/bare.out"
        # Without a guard, which would end all that is below it.
        "$program" -t 30 serve 0 "${ours[@]}" </dev/null 3>&- \
            >"$BATS_TEST_TMPDIR/bare.out" 2>"$BATS_TEST_TMPDIR/bare.err" &
        pid=$!
        echo "$pid" >"$BATS_TEST_TMPDIR/bare.pid"
        wait_for bare 'listening on *'
        port_of bare
        rude half
        child=
        until_true has_child "$pid"
        stop bare "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        until_true is_over "$child"
        stop_all
    done
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_SIGNAL=15) # it wakes nobody: the alarm does
    serve
    finish server
    expect_equal "status" 0 "$ended"
}

# stalled MANNER: until a client's time is over.
stalled() {
    local now start
    serve -t 0.2
    look_at_clock
    start=$now
    rude "$1"
    wait_for server "*SSL_accept 127.0.0.1:*: deadline passed" err
    look_at_clock
    took=$((now - start))
}

@test "10-mutual-tls gives a client SECONDS, and then no more" {
    measured 19 60 stalled silent
    measured 19 60 stalled half
}

# A server that keeps the client for 0.2 seconds.
held() {
    start_server peer "$rude_tls" "$1" "${ours[@]:0:2}"
    timed "$program" -t 0.2 connect 127.0.0.1 "$PORT" "$certs/root.pem"
}

@test "10-mutual-tls gives a server SECONDS, and believes no silence" {
    local manner call
    for manner in silent mute flood; do
        call=SSL_read
        [[ $manner != silent ]] || call=SSL_connect
        measured 19 60 held "$manner"
        expect_equal status 1 "$status"
        [[ $errors == *"10-mutual-tls: $call 127.0.0.1: deadline passed" ]]
    done
    start_server empty "$rude_tls" -f /dev/null honest "${ours[@]:0:2}"
    ask client
    expect_result 1 "$done_with_good
10-mutual-tls: SSL_read 127.0.0.1: it has closed, and accepted nobody"
    start_server honest "$rude_tls" honest "${ours[@]:0:2}"
    ask client
    expect_result 0 "$done_with_good"
    wait_for honest 'got 0 bytes, then close_notify'
    start_server cut "$rude_tls" cut "${ours[@]:0:2}"
    ask client
    expect_equal status 1 "$status"
    [[ $errors == *"SSL_read 127.0.0.1: cut short"* ]]
}

@test "10-mutual-tls believes no server either without proof" {
    local name
    for name in self-signed:"self-signed certificate" \
        wrong-address:"IP address mismatch" \
        unknown-root:"unable to get local issuer certificate"; do
        start_server "${name%%:*}" "$rude_tls" honest "$certs/${name%%:*}.pem" \
            "$certs/${name%%:*}.key"
        ask client
        expect_result 1 "10-mutual-tls: SSL_connect 127.0.0.1: not believed: \
${name#*:}"
    done
}

@test "10-mutual-tls writes a name so that it can upset no terminal" {
    local own=$BATS_TEST_TMPDIR/own
    skip_unless openssl
    try openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$own.key" -out "$own.pem" -subj $'/O=a,b/CN=\033[2J\nbob' \
        -addext extendedKeyUsage=clientAuth \
        -addext basicConstraints=critical,CA:TRUE \
        -addext keyUsage=critical,digitalSignature,keyCertSign
    expect_equal status 0 "$status"
    ours[2]=$own.pem
    serve
    try "$program" connect 127.0.0.1 "$PORT" "$certs/root.pem" "$own.pem" "$own.key"
    printf '%s\n' 'you are CN=\1B[2J\0Abob,O=a\,b' >"$own.said"
    expect_output "$own.said"
}

@test "10-mutual-tls refuses files that it cannot use" {
    local none=$BATS_TEST_TMPDIR/none
    try "$program" serve 0 "$none" "${ours[@]:1}"
    expect_result 1 "10-mutual-tls: show $none: No such file or directory"
    try "$program" serve 0 "${ours[@]:0:2}" "$none"
    expect_result 1 "10-mutual-tls: trust $none: No such file or directory"
    try "$program" serve 0 "$certs/good.pem" "$certs/client.key" "${ours[2]}"
    expect_result 1 "10-mutual-tls: show $certs/good.pem: key values mismatch"
    try "$program" connect 127.0.0.1 1 "$none"
    expect_result 1 "10-mutual-tls: trust $none: No such file or directory"
    try "$program" connect 127.0.0.1 1 "$certs/root.pem" "$certs/client.pem" \
        "$certs/good-rsa.key"
    expect_equal status 1 "$status"
    [[ $errors == "10-mutual-tls: show $certs/client.pem: "* ]]
    expect_output --text ''
}

@test "10-mutual-tls names the call that failed, and why" {
    local call begin
    need_faults
    for call in socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$program" serve 0 \
            "${ours[@]}"
        expect_equal "status" 1 "$status"
        [[ $errors == "10-mutual-tls: $call"*": No buffer space available" ]]
    done
    start nobody "$BUILD/peers/rude" refuse
    wait_for nobody 'refusing on *'
    port_of nobody
    ask
    expect_result 1 \
        "10-mutual-tls: connect 127.0.0.1:$PORT: Connection refused"
    serve
    for call in socket connect close; do
        try "${faulty[@]}" FAULT_CALL="${call%:*}" FAULT_ERRNO=12 "$program" connect \
            127.0.0.1 "$PORT" "$certs/root.pem" "$certs/client.pem" \
            "$certs/client.key"
        expect_equal status 1 "$status"
        [[ $errors == *"10-mutual-tls: ${call#*:}"*": Cannot allocate memory" ]]
    done
    stop_all
    faulty+=(FAULT_CALL=write FAULT_ERRNO=12 FAULT_AT=2)
    serve
    unset "faulty[-1]" "faulty[-1]" "faulty[-1]"
    ask client
    expect_equal status 1 "$status"
    wait_for server "*: SSL_write 127.0.0.1:*: Cannot allocate memory" err
    run ! grep SSL_shutdown "$BATS_TEST_TMPDIR/server.err"
    stop_all
    faulty+=(FAULT_CALL=write FAULT_ERRNO=12 FAULT_AT=3)
    serve
    unset "faulty[-1]" "faulty[-1]" "faulty[-1]"
    ask client
    wait_for server "*: SSL_shutdown 127.0.0.1:*: Cannot allocate memory" err
    stop_all
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=24 FAULT_TIMES=3)
    begin=${EPOCHREALTIME/./}
    serve
    unset "faulty[-1]" "faulty[-1]" "faulty[-1]"
    accepts client
    ((${EPOCHREALTIME/./} - begin >= 300000)) # a pause after each
    try "${faulty[0]}" "${faulty[1]/faults/names}" NAMES=host=127.0.0.1 \
        "$program" connect nobody 80 "$certs/root.pem"
    expect_result 1 "10-mutual-tls: nobody: Name or service not known"
    for call in fork accept4:accept; do
        stop_all
        faulty+=(FAULT_CALL="${call%:*}" FAULT_ERRNO=12)
        serve
        unset "faulty[-1]" "faulty[-1]"
        ask client
        [[ $call == fork ]] || accepts client
        wait_for server "10-mutual-tls: ${call#*:}: Cannot allocate memory" err
        accepts client
    done
}

@test "10-mutual-tls has sockets that no other program inherits" {
    serve
    rude half
    until_true has_children "$(pid_of server)" 1
    accepts client
    until_true all_cloexec "$(pid_of server)" 1
    children_of "$(pid_of server)"
    until_true holds_sockets "${children[0]}" 1
}

@test "10-mutual-tls says so when its output is full, gone or closed" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$program" serve 0 "${ours[@]}"
    [[ $stderr == "10-mutual-tls: standard output: No space left on device" ]]
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$program" serve 0 \
        "${ours[@]}"
    expect_equal closed "10-mutual-tls: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" serve 0 "${ours[@]}"
    local log=$BATS_TEST_TMPDIR/log
    # The file may have 1024 bytes: room for the first line, not for the next.
    printf '%990s\n' '' >"$log"
    start server bash -c 'trap "" XFSZ; ulimit -f 1; exec "$@" >>'"'$log'" - \
        "$program" serve 0 "${ours[@]}"
    until_true grep -q 'listening on .*[0-9]$' "$log"
    PORT=$(sed -n 's/^listening on .*://p' "$log")
    ask client
    expect_result 0 "$done_with_good"
    wait_for server "10-mutual-tls: standard output: File too large" err
    stop server
    serve
    run -1 --separate-stderr bash -c 'exec "$@" >/dev/full' - "$program" connect \
        127.0.0.1 "$PORT" "$certs/root.pem" "$certs/client.pem" "$certs/client.key"
    [[ $stderr == *"standard output: No space left on device" ]]
    run -1 --separate-stderr bash -c 'exec 7> >(:); wait $!; "$@" >&7' - \
        "$program" connect 127.0.0.1 "$PORT" "$certs/root.pem" \
        "$certs/client.pem" "$certs/client.key"
    [[ $stderr == *"standard output: Broken pipe" ]]
}

@test "10-mutual-tls explains itself, and says which argument is wrong" {
    local bad usage="usage: 10-mutual-tls [-2] [-t SECONDS] serve PORT CERT KEY \
CLIENT_CA
       10-mutual-tls [-2] [-t SECONDS] connect HOST PORT CA [CERT KEY]"
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for bad in "" "serve 0 a b" "connect a 1" "connect a 1 b c" "serve a 1 b" \
        "connect a 1 b c d e" "-t" "-x"; do
        # shellcheck disable=SC2086 # words
        try "$program" $bad
        expect_equal status 2 "$status"
        [[ $errors == *"$usage" ]]
    done
    for bad in 65536 80x '' http; do
        try "$program" serve "$bad" a b c
        expect_result 1 "10-mutual-tls: $bad is not a port: 0 to 65535"
    done
    try "$program" connect a 0 b
    expect_result 1 "10-mutual-tls: 0 is not a port: 1 to 65535"
    try "$program" -t 0 connect a 1 b
    expect_result 1 "10-mutual-tls: 0 is not a number of seconds above 0, up to a day"
}

@test "10-mutual-tls has nothing that sslscan finds fault with" {
    skip_unless sslscan
    serve
    try sslscan --no-colour "127.0.0.1:$PORT"
    expect_equal status 0 "$status"
    for protocol in SSLv2 SSLv3 TLSv1.0 TLSv1.1; do
        grep -qE "^$protocol +disabled" "$OUT"
    done
    grep -q '^Session renegotiation not supported' "$OUT"
    (($(grep -cE '^(Accepted|Preferred) +TLSv1.3 .*(GCM|POLY1305)' "$OUT") >= 3))
    run ! grep -E '^(Accepted|Preferred)' <(grep -vE '(GCM|POLY1305)' "$OUT")
    run ! grep ffdhe "$OUT"
    accepts client
}

@test "strangers are let in by it, and its client by them" {
    local count=0 port
    serve
    if command -v openssl; then
        try openssl s_client -quiet -connect "127.0.0.1:$PORT" \
            -cert "$certs/client.pem" -key "$certs/client.key" \
            -cert_chain "$certs/client.pem"
        expect_output --text 'you are CN=client\n'
        count=$((count + 1))
    fi
    if command -v curl; then
        try curl -qsS --http0.9 --cacert "$certs/root.pem" --cert \
            "$certs/client.pem" --key "$certs/client.key" "https://127.0.0.1:$PORT/"
        expect_output --text 'you are CN=client\n'
        count=$((count + 1))
    fi
    ((count > 0)) || skip "neither openssl nor curl is installed"
    port=$PORT
    skip_unless python3
    # What a client sends before it is refused is taken, and read by nobody.
    try python3 -c "
import socket, ssl
client = ssl.create_default_context(cafile='$certs/root.pem')
s = client.wrap_socket(socket.create_connection(('127.0.0.1', $PORT)),
                       server_hostname='127.0.0.1')
assert s.send(b'pay 100\n') == 8
try:
    s.recv(99)
except ssl.SSLError as error:
    assert 'CERTIFICATE_REQUIRED' in str(error)
    print('refused')"
    expect_output --text 'refused\n'
    try python3 lessons/10-mutual-tls/twin.py connect 127.0.0.1 "$PORT" \
        "$certs/root.pem"
    expect_equal status 1 "$status"
    [[ $errors == TLSv1.3* ]]
    start_server twin python3 -uc "
import socket, ssl
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain('$certs/good.pem', '$certs/good.key')
server.load_verify_locations('$certs/root.pem')
server.verify_mode = ssl.CERT_REQUIRED
listener = socket.create_server(('127.0.0.1', 0))
print('listening on 127.0.0.1:%d' % listener.getsockname()[1])
for answer in b'', b'hello\n':
    raw, _ = listener.accept()
    try:
        with server.wrap_socket(raw, server_side=True) as s:
            s.sendall(answer)
            s.unwrap()
    except (ssl.SSLError, OSError) as error:
        print(error)"
    ask
    expect_equal status 1 "$status"
    ask client
    expect_result 0 "$done_with_good"
    expect_output --text 'hello\n'
}
