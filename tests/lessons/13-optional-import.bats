#!/usr/bin/env bats
# 13-optional-import [-s] [-t SECONDS] HOST PORT: what a server says, through
# TLS if that is asked for and to be had. Built in three ways: with OpenSSL;
# without its headers; and with them, where its library is not found.
# Its twin prints less: what it says of TLS is in Python's words.

load ../lib/common

client=$BUILD/13-optional-import
rude=$BUILD/peers/rude
certs=build/certs
unheard="13-optional-import: TLS was asked for, but there is none: not connecting"
plain="plain text: nobody has proved who this is"

# All the headers of this machine but OpenSSL's are in $headers, and $bare is
# the program that our Makefile builds with them.
setup_file() {
    local folder i=0
    local -a hide=(cc -nostdinc)
    export BARE=$BATS_FILE_TMPDIR/bare NO_HEADERS
    while read -r folder; do
        i=$((i + 1))
        mkdir -p "$BATS_FILE_TMPDIR/include/$i"
        ln -s "$folder"/* "$BATS_FILE_TMPDIR/include/$i"
        rm -f "$BATS_FILE_TMPDIR/include/$i/openssl"
        hide+=(-isystem "$BATS_FILE_TMPDIR/include/$i")
    done < <(cc -E -Wp,-v -x c /dev/null 2>&1 >/dev/null | grep '^ /')
    NO_HEADERS=${hide[*]}
    make_bare -s "$BARE/13-optional-import" >"$BATS_FILE_TMPDIR/make" 2>&1
}

# make_bare ARGUMENT...: the one Makefile, for a compiler without OpenSSL.
make_bare() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make BUILD="$BARE" CFLAGS=-O1 \
        CC="$NO_HEADERS" "$@"
}

# choose with | bare | hidden | any: sets program to what runs it so, and found
# to what it says of TLS then; any is as it was built on this machine.
choose() {
    program=("$client")
    case $1 in
    any) found="*TLS: *" ;;
    with) found="TLS: OpenSSL 3.*" ;;
    bare)
        program=("$BARE/13-optional-import")
        found="no TLS: built without the headers of OpenSSL"
        ;;
    hidden) # the linker takes the first that it finds
        : >"$BATS_TEST_TMPDIR/libssl.so.3"
        program=(env LD_LIBRARY_PATH="$BATS_TEST_TMPDIR" "$client")
        found="no TLS: $BATS_TEST_TMPDIR/libssl.so.3: file too short"
        ;;
    esac
    [[ $1 != with || -e $BUILD/13-tls.so ]] ||
        skip "there are no headers of OpenSSL"
}

# expect_said STATUS PATTERN: how the last `try` ended, and all it said.
expect_said() {
    expect_equal status "$1" "$status"
    # shellcheck disable=SC2053 # the pattern is one
    [[ $errors == $2 ]] || expect_equal "standard error" "$2" "$errors"
}

# tls MANNER CERTIFICATE [ARGUMENT...]: asks such a server, through TLS. With
# `host` set, it has that name, which nobody else knows.
tls() {
    local -a settings=(SSL_CERT_FILE="$certs/root.pem")
    choose with
    [[ -z ${host-} ]] ||
        settings+=(LD_PRELOAD="$BUILD/tests/names.so" NAMES="$host=127.0.0.1")
    start_server peer "$BUILD/peers/rude-tls" -d "${pause_ms:-20}" "$1" \
        "$certs/$2.pem" "$certs/$2.key"
    try env "${settings[@]}" "$client" -s "${@:3}" "${host:-127.0.0.1}" "$PORT"
    stop_all
}

@test "13-optional-import prints what a server says, built and run in each way" {
    local way
    for way in with bare hidden; do
        choose "$way"
        start_server peer "$rude" -s 7 -n 100000 -c 2 serve whole
        try "${program[@]}" 127.0.0.1 "$PORT"
        expect_said 0 "$found
$plain"
        "$rude" -s 7 -n 100000 payload whole | cmp - "$OUT"
        stop_all
    done
}

@test "13-optional-import does not connect when TLS is asked for and missing" {
    local way
    for way in bare hidden; do
        choose "$way"
        start_server peer "$rude" -c 2 serve whole
        try "${program[@]}" -s 127.0.0.1 "$PORT"
        expect_said 1 "$found
$unheard"
        expect_output --text ''
        try "${program[@]}" 127.0.0.1 "$PORT"
        wait_for peer 'got *'
        expect_equal connections 1 \
            "$(grep -c connected "$BATS_TEST_TMPDIR/peer.out")"
        stop_all
    done
}

@test "13-optional-import is built without a warning where OpenSSL is missing" {
    expect_equal make "" "$(<"$BATS_FILE_TMPDIR/make")"
    # What can't do without is left out, and this one is linked with nothing.
    run -0 make_bare -nB left-out "$BARE/13-optional-import"
    [[ $output == *"left out, for want of the headers of OpenSSL: "*08-ssl-wrap* ]]
    [[ $output != *"left out"*13-optional-import\'* ]]
    [[ $output == *" -o $BARE/13-optional-import "* && $output != *-lssl* ]]
}

@test "13-optional-import has no TLS when it is built with WITHOUT_OPENSSL" {
    local bare=$BATS_TEST_TMPDIR/bare
    cc -Icommon -D WITHOUT_OPENSSL -o "$bare" \
        lessons/13-optional-import/optional-import.c common/addr.c \
        common/deadline.c
    start_server peer "$rude" serve whole
    try "$bare" 127.0.0.1 "$PORT"
    expect_said 0 "no TLS: built without the headers of OpenSSL
$plain"
}

@test "13-optional-import is not linked with OpenSSL in any way" {
    local file
    skip_unless readelf
    for file in "$client" "$BARE/13-optional-import"; do
        run -0 readelf -d "$file"
        [[ $output == *libc.so* && $output != *libssl* && $output != *libcrypto* ]]
    done
}

@test "13-optional-import uses TLS with a server that proves that it is HOST" {
    tls honest good
    expect_said 0 "TLS: OpenSSL 3.*
verified: this is 127.0.0.1"
    expect_output --text 'hello from behind the certificate\n'
    pause_ms=0 tls dribble good
    expect_said 0 "*verified*"
    tls renegotiate good
    expect_said 1 "*SSL_read 127.0.0.1: *"
}

@test "13-optional-import refuses every other server, and prints nothing it sends" {
    local host name reason
    tls honest wrong-address
    expect_said 1 "*not believed: IP address mismatch"
    tls impostor good
    expect_said 1 "*SSL_connect 127.0.0.1: *"
    expect_output --text ''
    # The roots of this machine vouch for none of ours.
    start_server peer "$BUILD/peers/rude-tls" honest "$certs/good.pem" \
        "$certs/good.key"
    try env -u SSL_CERT_FILE "$client" -s 127.0.0.1 "$PORT"
    expect_said 1 "*not believed: unable to get local issuer certificate"
    stop_all
    need_faults
    host=server.example
    tls honest good
    expect_said 0 "*
verified: this is server.example"
    while read -r name reason; do
        tls honest "$name"
        expect_said 1 "TLS: OpenSSL 3.*
13-optional-import: SSL_connect server.example: not believed: $reason"
        expect_output --text ''
    done <<'END'
self-signed self-signed certificate
unknown-root unable to get local issuer certificate
expired certificate has expired
wrong-name hostname mismatch
name-in-subject-only hostname mismatch
small-key EE certificate key too weak
END
}

@test "13-optional-import treats no error of TLS as if there were no TLS" {
    local manner reason
    while read -r manner reason; do
        tls "$manner" good
        expect_said 1 "TLS: OpenSSL 3.*
13-optional-import: SSL_connect 127.0.0.1: $reason"
        expect_output --text ''
    done <<'END'
http it does not speak TLS
reset Connection reset by peer
bye it has closed
tls-1.1 *protocol*
END
    need_faults
    host=.example tls honest good
    expect_said 1 "*
13-optional-import: TLS with .example: not a host name or an address"
}

@test "13-optional-import reports TLS that ends without close_notify as cut short" {
    tls cut good
    expect_said 1 "*
13-optional-import: SSL_read 127.0.0.1: cut short: it ended without close_notify"
    expect_output --text 'hello from behind the certificate\n'
    tls broken-off good
    expect_said 1 "*SSL_read 127.0.0.1: Connection reset by peer"
}

@test "13-optional-import is done by its deadline, whatever a server does" {
    local manner
    for manner in silent half dribble mute flood; do
        tls "$manner" good -t 0.06
        # On a busy machine it may not have come to TLS by then.
        [[ $errors == *": Connection timed out" ]] ||
            expect_said 1 "*13-optional-import: SSL_* 127.0.0.1: deadline passed"
        expect_equal status 1 "$status"
    done
    choose any
    for manner in stall flood; do
        start_server peer "$rude" -n 100000000 serve "$manner"
        try "${program[@]}" -t 0.05 127.0.0.1 "$PORT"
        expect_said 1 "*
13-optional-import: *: Connection timed out"
        stop_all
    done
}

@test "13-optional-import works where 13-tls.so is missing, or lacks a function" {
    local name
    choose with
    cp "$client" "$BATS_TEST_TMPDIR"
    program=("$BATS_TEST_TMPDIR/13-optional-import")
    start_server peer "$rude" -c 9 serve whole
    try "${program[@]}" 127.0.0.1 "$PORT"
    expect_said 0 "no TLS: *13-tls.so: cannot open shared object file: No such \
file or directory
$plain"
    for name in tls_client_context tls_wait tls_explain; do
        sed "s/$name/_${name#?}/g" "$BUILD/13-tls.so" \
            >"$BATS_TEST_TMPDIR/13-tls.so"
        try "${program[@]}" 127.0.0.1 "$PORT"
        expect_said 0 "no TLS: *: undefined symbol: ?${name#?}
$plain"
        try "${program[@]}" -s 127.0.0.1 "$PORT"
        expect_said 1 "no TLS: *: undefined symbol: ?${name#?}
$unheard"
    done
}

@test "13-optional-import works where OpenSSL's library lacks a function" {
    choose with
    echo 'int none;' | cc -shared -o "$BATS_TEST_TMPDIR/libssl.so.3" -x c -
    start_server peer "$rude" serve whole
    try env LD_LIBRARY_PATH="$BATS_TEST_TMPDIR" "$client" 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    [[ $errors == "no TLS: "*13-tls.so*"OPENSSL_3.0.0"*"
$plain" || $errors == "no TLS: "*13-tls.so*"undefined symbol: "*"
$plain" ]]
}

@test "13-optional-import reports a reset, and a server that refuses" {
    choose any
    start_server peer "$rude" -s 7 -d 50 serve reset
    try "${program[@]}" 127.0.0.1 "$PORT"
    expect_said 1 "$found
$plain
13-optional-import: recv: Connection reset by peer"
    "$rude" -s 7 -d 50 payload reset | cmp - "$OUT"
    start nobody "$rude" refuse
    wait_for nobody '* on *'
    port_of nobody
    try "${program[@]}" 127.0.0.1 "$PORT"
    expect_said 1 "$found
13-optional-import: connect 127.0.0.1:$PORT: Connection refused"
}

@test "13-optional-import tries each address of a name" {
    local -a named
    choose any
    need_faults
    named=("${faulty[@]/faults/names}" NAMES=host=127.0.0.2+127.0.0.1)
    start_server peer "$rude" -s 7 -d 999 serve stall
    start client "${named[@]}" NAMES_LOG="$BATS_TEST_TMPDIR/log" \
        "${program[@]}" host "$PORT"
    wait_for peer connected
    # It says so of the first; and has one socket, which is close-on-exec.
    wait_for client "*connect 127.0.0.2:$PORT: Connection refused" err
    until_true holds_sockets "$(pid_of client)" 1
    until_true grep -q back "$BATS_TEST_TMPDIR/log"
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
    flags_of "$(pid_of client)" 3
    expect_equal flags 02004002 "$flags"
    try "${named[@]}" "${program[@]}" nobody 80
    expect_said 1 "*
13-optional-import: nobody: Name or service not known"
}

@test "13-optional-import names the call that failed, and why" {
    local at call
    choose any
    need_faults
    start_server peer "$rude" -c 9 serve whole
    while read -r at call; do
        # shellcheck disable=SC2059 # some of them have a place for the port
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_AT="$at" \
            FAULT_ERRNO=5 "${program[@]}" 127.0.0.1 "$PORT"
        expect_equal status 1 "$status"
        # shellcheck disable=SC2059
        [[ $errors == *"13-optional-import: $(printf "${call#* - }" "$PORT"): \
Input/output error" ]] || expect_equal "standard error" "$call" "$errors"
    done <<'END'
1 socket - socket 127.0.0.1:%s
1 connect - connect 127.0.0.1:%s
1 recv - recv
1 close - close
1 fcntl - descriptor 0
3 fcntl - descriptor 2
END
}

@test "13-optional-import says so when standard output is full, gone or closed" {
    choose any
    start_server peer "$rude" -c 3 serve whole
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - \
        "${program[@]}" 127.0.0.1 "$PORT"
    [[ $stderr == *"standard output: No space left on device" ]]
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "${program[@]}" 127.0.0.1 "$PORT"
    [[ $stderr == *"standard output: Broken pipe" ]]
    run -1 --separate-stderr bash -c '"$@" >&-' - "${program[@]}" 127.0.0.1 \
        "$PORT"
    expect_equal closed \
        "13-optional-import: descriptor 1: Bad file descriptor" \
        "$stderr"
}

@test "13-optional-import explains itself when asked, and when called wrongly" {
    local usage="usage: 13-optional-import [-s] [-t SECONDS] HOST PORT" bad
    choose any
    try "${program[@]}" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for bad in "" 127.0.0.1 "127.0.0.1 80 more" -s; do
        read -ra bad <<<"$bad"
        try "${program[@]}" "${bad[@]}"
        expect_result 2 "$usage"
    done
    try "${program[@]}" -x 127.0.0.1 80
    expect_equal status 2 "$status"
    [[ $errors == *"$usage" ]]
    for bad in 0 65536 80x; do
        try "${program[@]}" 127.0.0.1 "$bad"
        expect_result 1 "13-optional-import: $bad is not a port: 1 to 65535"
    done
    for bad in 0 86401 1x; do
        try "${program[@]}" -t "$bad" 127.0.0.1 80
        expect_result 1 "13-optional-import: $bad is not a number of seconds \
above 0, up to a day"
    done
}

@test "Python without _ssl has sockets, and no ssl" {
    skip_unless python3
    try python3 -c "import sys
sys.modules['_ssl'] = None
import socket
print(len(socket.socketpair()))
import ssl"
    expect_equal status 1 "$status"
    expect_output --text '2\n'
    [[ $errors == *"ImportError: "* || $errors == *ModuleNotFoundError:* ]]
}

@test "Python's else is what lets an ImportError of its body out" {
    local body='from _ssl import RAND_status, RAND_egd'
    skip_unless python3
    try python3 -c "try:
    import _ssl
    $body
except ImportError:
    pass
print('RAND_status' in dir(), '_ssl' in dir())
try:
    import _ssl
except ImportError:
    pass
else:
    $body"
    expect_equal status 1 "$status"
    [[ $(<"$OUT") == "True True" && $errors == *"cannot import name 'RAND_egd'"* ]] ||
        skip "this Python has no _ssl, or RAND_egd"
}

# twin CODE: runs it, in which run(ARGUMENT...) is the twin.
twin() {
    try python3 -c "import os, runpy, sys
def run(*arguments):
    sys.argv = ['twin', *arguments]
    runpy.run_path('lessons/13-optional-import/twin.py')
    sys.stdout.flush()
$1"
}

@test "13-optional-import's twin does without _ssl, too" {
    skip_unless python3
    start_server peer "$rude" -s 7 serve whole
    twin "sys.modules['_ssl'] = None
run('127.0.0.1', '$PORT')
run('-s', '127.0.0.1', '$PORT')"
    expect_said 1 "no TLS: *_ssl*
no TLS: *_ssl*
TLS was asked for, but there is none: not connecting"
    "$rude" -s 7 payload whole | cmp - "$OUT"
}

@test "13-optional-import's twin verifies, too" {
    choose with
    skip_unless python3
    start_server peer "$BUILD/peers/rude-tls" -c 2 honest "$certs/good.pem" \
        "$certs/good.key"
    twin "os.environ['SSL_CERT_FILE'] = '$certs/root.pem'
run('-s', '127.0.0.1', '$PORT')
del os.environ['SSL_CERT_FILE']
run('-s', '127.0.0.1', '$PORT')"
    [[ $errors != "no TLS: "* ]] || skip "this Python has no _ssl"
    expect_said 1 "TLS: *CERTIFICATE_VERIFY_FAILED*"
    expect_output --text 'hello from behind the certificate\n'
}

@test "the solution of 13-optional-import speaks as the real zlib does" {
    skip_unless python3
    try "$BUILD/solution/13-optional-import"
    [[ $errors != *"no zlib"* ]] || skip "there is no zlib"
    run -0 python3 -c "
import subprocess, zlib
data = bytes(range(256)) * 256
pack = ['$BUILD/solution/13-optional-import']
message = subprocess.run(pack, input=data, capture_output=True).stdout
head, _, body = message.partition(b'\n')
assert head == b'zlib 65536' and len(body) < 2000, head
assert zlib.decompress(body) == data
back = subprocess.run(pack + ['-d'], input=message, capture_output=True).stdout
assert back == data"
}
