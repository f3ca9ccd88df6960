#!/usr/bin/env bats
# 15-deprecated-api [NAME...]: notes on dead calls, as a program in C: what each
# compiler and linker says of the old, and what old and new make of the same. And
# socket.ssl, which warns its caller.

load ../lib/common

program=$BUILD/15-deprecated-api
folder=lessons/15-deprecated-api
source=$SOURCE/deprecated-api.c
certs=build/certs
warned="DeprecationWarning: socket_ssl() is deprecated. Use tls_client() instead."

# Those that libc has still, and those that OpenSSL has.
libc="gethostbyname gethostbyaddr inet_addr inet_aton inet_ntoa getservbyname \
bzero bcopy select usleep"
openssl="SSLv23_method TLSv1_method SSL_library_init RAND_pseudo_bytes"

# each_compiler FUNCTION: calls it with compiler set to each that there is.
each_compiler() {
    local compiler
    skip_unless gcc
    for compiler in gcc clang; do
        command -v "$compiler" >/dev/null || continue
        echo "with $compiler:" >&2
        "$1"
    done
}

# note NAME...: these notes, as a program, in $BATS_TEST_TMPDIR/note.c
note() {
    "$program" "$@" >"$BATS_TEST_TMPDIR/note.c"
}

# compile ARGUMENT...: compiles that; sets words to what is said of it, without
# where, and with quotes that are the same everywhere; fails as the compiler does.
compile() {
    local failed=0
    "$compiler" -Wall -Wextra -o "$BATS_TEST_TMPDIR/note" "$@" \
        >"$BATS_TEST_TMPDIR/words" 2>&1 || failed=$?
    words=$(sed -nE "s/‘|’/'/g; s/^.*(warning|error): //p; s/.*(undefined ref)/\\1/p" \
        "$BATS_TEST_TMPDIR/words" | sed -E 's/; did you mean .*\?//; s/`/'"'/")
    return "$failed"
}

@test "15-deprecated-api: the compiler says nothing of what libc still has" {
    local compiler=gcc
    skip_unless gcc
    # Death comes by the manual: there each is said to be obsolete, or to be
    # avoided.
    # shellcheck disable=SC2086 # these are words
    note $libc
    compile -O2 -D_FORTIFY_SOURCE=3 "$BATS_TEST_TMPDIR/note.c"
    expect_equal words "" "$words"
}

# With POSIX.1-2008 and no more there are four that nobody has declared; of the
# others that is a part. Newer compilers call it an error.
standard() {
    # shellcheck disable=SC2086 # these are words
    note ${libc#gethostbyname gethostbyaddr}
    compile -D_POSIX_C_SOURCE=200809L -fsyntax-only "$BATS_TEST_TMPDIR/note.c" ||
        true
    expect_equal "$compiler" "inet_aton bzero bcopy usleep" \
        "$(sed -nE "/mplicit|undeclared function/ s/[^']*'([a-z_]+)'.*/\\1/p" \
            <<<"$words" | uniq | paste -sd ' ')"
    # This one has its own place for errors, which went with it.
    note gethostbyname
    ! compile -D_POSIX_C_SOURCE=200809L -fsyntax-only "$BATS_TEST_TMPDIR/note.c" ||
        false
    [[ $words == *"h_errno"* ]]
}

@test "15-deprecated-api: the standard has dropped some, and the headers say so" {
    each_compiler standard
}

deprecated() {
    # shellcheck disable=SC2086 # these are words
    note $openssl
    compile "$BATS_TEST_TMPDIR/note.c" -lssl -lcrypto
    mv "$BATS_TEST_TMPDIR/note" "$BATS_TEST_TMPDIR/openssl"
    expect_equal "$compiler" "TLSv1_method RAND_pseudo_bytes" \
        "$(sed -nE "s/^'([A-Za-z0-9_]+)' is deprecated.*/\\1/p" <<<"$words" |
            paste -sd ' ')"
    # The note declares it, so the compiler says nothing.
    note RAND_egd
    ! compile "$BATS_TEST_TMPDIR/note.c" -lcrypto || false
    [[ $words == "undefined reference to 'RAND_egd'"* ]]
}

@test "15-deprecated-api: OpenSSL's header warns, the linker refuses, and the rest" {
    local compiler=gcc
    each_compiler deprecated
    try "$BATS_TEST_TMPDIR/openssl"
    expect_result 0 ""
    expect_output --text 'SSLv23_method
  old: a macro
  new: there
TLSv1_method
  old: TLSv1
  new: TLSv1.3
SSL_library_init
  old: a macro
  new: ready
RAND_pseudo_bytes
  old: bytes
  new: bytes\n'
    # A generator that fails: the old one has weak bytes, and the new one none.
    note RAND_pseudo_bytes
    compile "$BATS_TEST_TMPDIR/note.c" -lcrypto
    printf '%s\n' 'openssl_conf=a' '[a]' 'random=b' '[b]' 'random=none' \
        >"$BATS_TEST_TMPDIR/cnf"
    try env OPENSSL_CONF="$BATS_TEST_TMPDIR/cnf" "$BATS_TEST_TMPDIR/note"
    expect_output --text 'RAND_pseudo_bytes\n  old: weak bytes\n  new: none\n'
}

@test "15-deprecated-api: old and new, side by side, where the old goes wrong" {
    local compiler=gcc services="http: 22" new="http: 80"
    skip_unless gcc
    # shellcheck disable=SC2086 # these are words
    note $libc
    compile "$BATS_TEST_TMPDIR/note.c"
    # shellcheck disable=SC2016 # it is another shell's
    try bash -c 'ulimit -Sn "$(ulimit -Hn)"; exec "$@"' - "$BATS_TEST_TMPDIR/note"
    expect_result 0 ""
    if ! getent services http/tcp ssh/tcp >/dev/null; then # no /etc/services
        services='' new=''
    fi
    expect_output --text "gethostbyname
  old: Unknown host
  new: ::1 is an address
gethostbyaddr
  old: Unknown host
  new: ::
inet_addr
  old: no address
  new: an address
inet_aton
  old: 8.0.0.1
  new: no address
inet_ntoa
  old: 5.6.7.8
  new: 1.2.3.4
getservbyname
${services:+  old: $services
}${new:+  new: $new
}bzero
  old: one byte is 0
  new: one byte is 0
bcopy
  old: nothing
  new: a copy
select
  old: 1024: byte 128 of a set of 128
  new: 1024: ready
usleep
  old: 71 minutes, over at once
  new: Invalid argument\n"
}

# A set of select, descriptor 1024, and what stands behind the set.
overrun() {
    cat >"$BATS_TEST_TMPDIR/overrun.c" <<'END'
#include <stdio.h>
#include <sys/select.h>
struct { fd_set set; long next; } all;
int main(void) {
    FD_ZERO(&all.set);
    FD_SET(1024, &all.set);
    printf("next: %ld\n", all.next);
    return 0;
}
END
    compile -O0 -U_FORTIFY_SOURCE "$BATS_TEST_TMPDIR/overrun.c"
    case $compiler in
    gcc) expect_equal "$compiler" "" "$words" ;;
    *) [[ $words == "array index 16 is past the end of the array"* ]] ;;
    esac
    try "$BATS_TEST_TMPDIR/note"
    expect_output --text 'next: 1\n'
    "$compiler" -w -O2 -D_FORTIFY_SOURCE=2 -o "$BATS_TEST_TMPDIR/note" \
        "$BATS_TEST_TMPDIR/overrun.c"
    try "$BATS_TEST_TMPDIR/note"
    expect_equal status 134 "$status"
    [[ $errors == "*** b"*" ***: terminated" ]]
}

@test "select's descriptor 1024 is written behind its set, or ends the program" {
    each_compiler overrun
}

@test "a program linked statically cannot hold what gethostbyname needs" {
    skip_unless gcc
    note gethostbyname
    gcc -static -w -o "$BATS_TEST_TMPDIR/note" "$BATS_TEST_TMPDIR/note.c" \
        >"$BATS_TEST_TMPDIR/words" 2>&1 || skip "there is no static libc"
    grep -q "warning: Using 'gethostbyname' in statically linked applications \
requires at runtime the shared libraries" "$BATS_TEST_TMPDIR/words"
}

@test "Python has no socket.ssl, and warns of ssl.wrap_socket, or has none" {
    skip_unless python3
    try python3 -W always -c '
import socket, ssl, sys, warnings
assert not hasattr(socket, "ssl") and not hasattr(ssl, "sslwrap_simple")
assert not hasattr(ssl, "RAND_egd") or sys.version_info < (3, 10)
assert not hasattr(ssl, "RAND_pseudo_bytes") or sys.version_info < (3, 12)
if sys.version_info >= (3, 12):
    assert not hasattr(ssl, "wrap_socket")
else:
    with warnings.catch_warnings(record=True) as told, socket.socket() as sock:
        warnings.simplefilter("always")
        ssl.wrap_socket(sock).close()
    told = [str(w.message) for w in told]
    assert sys.version_info < (3, 10) or told[0].startswith(
        "ssl.wrap_socket() is deprecated"), told
context = ssl.create_default_context()
assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED'
    expect_result 0 ""
}

@test "15-deprecated-api prints the notes that are asked for, or all of them" {
    local name
    try "$program" socket.ssl inet_addr
    expect_result 0 ""
    expect_equal notes "socket.ssl inet_addr" \
        "$(sed -n 's/^    .\* \([a-z]\)/\1/p' "$OUT" | paste -sd ' ')"
    grep -qx '     \*   since    Python 2.6; never in Python 3' "$OUT"
    grep -qx '     \*   instead  inet_pton(3) \*/' "$OUT"
    try "$program"
    expect_result 0 ""
    # shellcheck disable=SC2086 # these are words
    expect_equal notes \
        "$(printf '%s\n' $libc $openssl RAND_egd ssl.wrap_socket socket.ssl)" \
        "$(sed -n 's/^    .\* \([A-Za-z]\)/\1/p' "$OUT")"
    for name in since why instead; do
        expect_equal "$name" 17 \
            "$(grep -c "^     \*   $name  *[A-Za-z]" "$OUT")"
    done
    try "$program" inet_addr no-such-call
    expect_result 1 "15-deprecated-api: no note on no-such-call"
    expect_output --text ''
}

@test "15-deprecated-api explains itself when asked, and says what it can't use" {
    try "$program" -h
    expect_result 0 ""
    expect_output --text 'usage: 15-deprecated-api [NAME...]
       15-deprecated-api connect HOST PORT CAFILE [KEYFILE CERTFILE]\n'
    local usage
    usage=$(<"$OUT")
    for port in 0 65536 80x ''; do
        try "$program" connect 127.0.0.1 "$port" "$certs/root.pem"
        expect_result 1 "15-deprecated-api: $port is not a port: 1 to 65535"
    done
    for words in "" "127.0.0.1" "127.0.0.1 80" "127.0.0.1 80 root.pem key" \
        "127.0.0.1 80 root.pem key certificate more"; do
        # shellcheck disable=SC2086 # these are words
        try "$program" connect $words
        expect_result 2 "$usage"
    done
}

@test "15-deprecated-api says so when standard output is full, gone or closed" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - "$program"
    expect_equal full \
        "15-deprecated-api: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' - "$program"
    expect_equal gone "15-deprecated-api: standard output: Broken pipe" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$program"
    expect_equal closed \
        "15-deprecated-api: descriptor 1: Bad file descriptor" "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program"
    run -1 bounded bash -c 'exec "$@" <&-' - "$program"
    serve honest good
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - "$program" \
        connect 127.0.0.1 "$PORT" "$certs/root.pem"
    [[ $stderr == *"15-deprecated-api: standard output: No space left on device" ]]
}

# serve MANNER CERTIFICATE [OPTION...]: a TLS server; sets PORT.
serve() {
    start_server peer "$BUILD/peers/rude-tls" "${@:3}" "$1" "$certs/$2.pem" \
        "$certs/$2.key"
}

# ssl [ARGUMENT...]: socket.ssl to it; sets errors to what is said beyond the
# warning, which comes first.
ssl() {
    try "${before[@]}" "$program" connect "${host:-127.0.0.1}" "$PORT" \
        "${roots:-$certs/root.pem}" "$@"
    [[ ${errors%%$'\n'*} =~ \
        ^"15-deprecated-api: $program:0x"[0-9a-f]+": $warned"$ ]] || {
        echo "no warning: $errors" >&2
        return 1
    }
    errors=${errors#*"$warned"}
    errors=${errors#$'\n'}
}
before=()

@test "15-deprecated-api's socket.ssl warns, wraps, and prints what it hears" {
    serve honest good -o "$BATS_TEST_TMPDIR/heard"
    ssl
    expect_result 0 ""
    expect_output --text 'hello from behind the certificate\n'
    finish peer
    grep -q close_notify "$BATS_TEST_TMPDIR/peer.out"
    head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/answer"
    serve honest good -f "$BATS_TEST_TMPDIR/answer"
    ssl
    expect_result 0 ""
    expect_output "$BATS_TEST_TMPDIR/answer"
}

@test "15-deprecated-api's socket.ssl believes nobody without proof" {
    local roots host certificate
    for certificate in "good-address=" "good-other=IP address mismatch" \
        "good-from-root=IP address mismatch" \
        "self-signed=self-signed certificate" "address-as-name=IP address mismatch"; do
        serve honest "${certificate%%=*}"
        ssl
        if [[ $certificate == *= ]]; then
            expect_result 0 ""
        else
            expect_result 1 "15-deprecated-api: ssl 127.0.0.1: not believed: \
${certificate#*=}"
            expect_output --text ''
        fi
        stop_all
    done
    serve honest good
    roots=$certs/other-root.pem ssl
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: not believed: unable to get \
local issuer certificate"
}

@test "15-deprecated-api's socket.ssl takes no other end than close_notify" {
    serve cut good
    ssl
    expect_result 1 "15-deprecated-api: ssl read: cut short: it ended without \
close_notify"
    expect_output --text 'hello from behind the certificate\n'
    serve bye good
    ssl
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: it has closed"
    serve http good
    ssl
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: it does not speak TLS"
}

@test "15-deprecated-api's socket.ssl waits for nobody beyond its deadline" {
    [[ $BUILD != *asan* ]] || skip "no preloaded clock under the sanitizers"
    # A clock that is two seconds later at each look.
    cc -xc -shared -fPIC -o "$BATS_TEST_TMPDIR/clock.so" - <<'END'
#include <errno.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int looks;
    (void)clock;
    errno = 0;
    *now = (struct timespec){.tv_sec = 1000 + 2 * looks++};
    return 0;
}
END
    before=(env "LD_PRELOAD=$BATS_TEST_TMPDIR/clock.so")
    serve flood good
    ssl
    expect_result 1 "15-deprecated-api: ssl read: deadline passed"
    stop_all
    before=(env "LD_PRELOAD=$BUILD/tests/faults.so:$BATS_TEST_TMPDIR/clock.so"
        FAULT_HASTE=1000)
    serve silent good
    ssl
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: deadline passed"
}

@test "15-deprecated-api's socket.ssl shows the certificate of its own" {
    skip_unless python3
    start_server peer python3 -uc '
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/good.pem", sys.argv[1] + "/good.key")
context.load_verify_locations(sys.argv[1] + "/root.pem")
context.verify_mode = ssl.CERT_REQUIRED
s = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % s.getsockname()[1])
while True:
    sock = s.accept()[0]
    try:
        c = context.wrap_socket(sock, server_side=True)
        c.sendall(repr(c.getpeercert()["subject"]).encode())
        c.unwrap()
    except OSError as error:
        pass' "$certs"
    ssl "$certs/client.key" "$certs/client.pem"
    expect_result 0 ""
    grep -q commonName "$OUT"
    ssl
    expect_equal status 1 "$status"
    expect_output --text ''
    ssl "$certs/good.key" "$certs/client.pem"
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: key values mismatch"
    ssl "$certs/client.key" "$certs/no-such.pem"
    expect_result 1 "15-deprecated-api: ssl 127.0.0.1: No such file or directory"
}

@test "15-deprecated-api gives back what it has got" {
    local log=$BATS_TEST_TMPDIR/log
    need_faults
    before=(env "LD_PRELOAD=$BUILD/tests/names.so" NAMES=x.test=127.0.0.1
        NAMES_LOG="$log")
    serve honest good
    host=x.test ssl
    expect_result 0 ""
    expect_equal lists "given
given back" "$(<"$log")"
    # SIGTERM comes when it closes its socket, and not before.
    before=("${faulty[@]}" FAULT_CALL=close FAULT_SIGNAL=15)
    serve honest good
    ssl
    expect_equal status 143 "$status"
    finish peer
    grep -q close_notify "$BATS_TEST_TMPDIR/peer.out"
}

@test "15-deprecated-api tries each address of a name" {
    need_faults
    serve honest good
    try env LD_PRELOAD="$BUILD/tests/names.so" NAMES=x.test=::1+127.0.0.1 \
        "$program" connect x.test "$PORT" "$certs/root.pem"
    expect_equal status 0 "$status"
    expect_output --text 'hello from behind the certificate\n'
    [[ $errors == "15-deprecated-api: connect [::1]:$PORT: "*$'\n'*"$warned" ||
        $errors == "15-deprecated-api: socket [::1]:$PORT: "*$'\n'*"$warned" ]]
}

@test "15-deprecated-api names the call that failed, and why" {
    local call
    echo 'int setenv(char *a, char *b, int c) { return -1; }' |
        cc -w -xc -shared -fPIC -o "$BATS_TEST_TMPDIR/setenv.so" -
    if [[ $BUILD != *asan* ]]; then
        try env LD_PRELOAD="$BATS_TEST_TMPDIR/setenv.so" "$program" connect \
            127.0.0.1 80 "$certs/root.pem"
        [[ $status == 1 && $errors == "15-deprecated-api: setenv: "* ]]
    fi
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *'
    port_of refuser
    try "$program" connect 127.0.0.1 "$PORT" "$certs/root.pem"
    expect_result 1 "15-deprecated-api: connect 127.0.0.1:$PORT: Connection refused"
    need_faults
    for call in socket connect; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=5 "$program" connect \
            127.0.0.1 "$PORT" "$certs/root.pem"
        expect_result 1 \
            "15-deprecated-api: $call 127.0.0.1:$PORT: Input/output error"
    done
    try env LD_PRELOAD="$BUILD/tests/names.so" NAMES_ERROR=-2 "$program" connect \
        nobody.test 80 "$certs/root.pem"
    expect_result 1 "15-deprecated-api: nobody.test: Name or service not known"
    serve honest good
    roots=$BATS_TEST_TMPDIR/none ssl
    [[ $status == 1 && $errors == "15-deprecated-api: ssl 127.0.0.1: "* ]]
}

@test "Python shows a DeprecationWarning only for __main__, unless it is asked" {
    skip_unless python3
    local -x PYTHONPATH=$BATS_TEST_TMPDIR PYTHONDONTWRITEBYTECODE=1
    printf '%s\n' 'import warnings' 'def old():' \
        '    warnings.warn("it is old", DeprecationWarning, stacklevel=2)' \
        >"$BATS_TEST_TMPDIR/old_lib.py"
    printf '%s\n' 'import old_lib' 'def use():' '    old_lib.old()' \
        >"$BATS_TEST_TMPDIR/old_user.py"
    try python3 -c 'import old_lib; old_lib.old()'
    [[ $errors == *":1: DeprecationWarning: it is old"* ]]
    try python3 -c 'import old_user; old_user.use()'
    expect_result 0 ""
    try python3 -W default -c 'import old_user; old_user.use()'
    [[ $errors == *"old_user.py:3: DeprecationWarning: it is old"* ]]
}

# callers LINE...: a program of these lines, beside the one of ours.
callers() {
    here=$BATS_TEST_TMPDIR/callers
    mkdir -p "$here"
    cp "$BUILD/13-tls.so" "$here/"
    sed '/#pragma/d; s/^int main/int program/' "$source" >"$here/callers.c"
    printf '%s\n' "$@" >>"$here/callers.c"
}

@test "15-deprecated-api warns at the caller's line, when compiled and when run" {
    local wanted
    skip_unless gcc addr2line
    [[ $BUILD != *asan* ]] || skip "built here without the sanitizers"
    local -a many
    mapfile -t many < <(yes '        socket_ssl(-1, NULL, NULL);' | head -n 64)
    callers 'int main(void) {' '    for (int i = 0; i < 3; i++)' \
        '        socket_ssl(-1, NULL, NULL); /* one */' \
        '    socket_ssl(-1, NULL, NULL); /* two */' \
        '    for (int i = 0; i < 3; i++) {' "${many[@]}" '    }' '    return 0;' '}'
    # It is not said of itself, but of each that calls it, and of nobody else.
    gcc -g -Icommon -I"$SOURCE" -o "$here/callers" "$here/callers.c" \
        "$SOURCE/notes.c" common/addr.c common/deadline.c 2>&1 | grep warning: >"$BATS_TEST_TMPDIR/words"
    expect_equal "gcc's lines" \
        "$(grep -n 'socket_ssl([^)].*;' "$here/callers.c" | sed 's/:.*//')" \
        "$(sed "s/‘\|’/'/g" "$BATS_TEST_TMPDIR/words" |
            sed -n "s/.*callers.c:\([0-9]*\):[0-9]*: warning: 'socket_ssl' is \
deprecated: use tls_client().*/\1/p")"
    expect_equal "gcc's warnings" 67 "$(wc -l <"$BATS_TEST_TMPDIR/words")"
    try "$here/callers"
    expect_equal status 0 "$status"
    expect_equal errors $((4 + 3 * 64)) \
        "$(grep -c 'ssl getpeername: Bad file descriptor' <<<"$errors")"
    # 64 are remembered, so two have said it each time.
    expect_equal warnings $((64 + 2 * 3)) "$(grep -c "$warned" <<<"$errors")"
    grep -o '0x[0-9a-f]*' <<<"$errors" | head -n 2 | addr2line -e "$here/callers" |
        sed 's/ (.*//; s/.*://' >"$BATS_TEST_TMPDIR/lines"
    wanted=$(grep -nE '/\* (one|two) \*/' "$here/callers.c" | sed 's/:.*//')
    expect_equal "its lines" "$wanted" "$(<"$BATS_TEST_TMPDIR/lines")"
}

@test "15-deprecated-api has socket.ssl only where TLS is, and looks for it then" {
    local here=$BATS_TEST_TMPDIR/alone said
    mkdir "$here"
    cp "$program" "$here/"
    try "$here/15-deprecated-api" inet_addr
    expect_result 0 ""
    try "$here/15-deprecated-api" connect 127.0.0.1 80 "$certs/root.pem"
    said=$errors
    expect_equal status 1 "$status"
    [[ $said == "15-deprecated-api: no socket.ssl: "*"13-tls.so: cannot open shared"* ]]
    try env LD_DEBUG=files "$program" inet_addr
    run ! grep -q 13-tls <<<"$errors"
    [[ $BUILD != *asan* ]] || return 0
    # Found once, bound once, and then known.
    serve honest good
    try env LD_DEBUG=files "$program" connect 127.0.0.1 "$PORT" "$certs/root.pem"
    ! grep -q 'opening file=' <<<"$errors" || # as glibc has it, once or twice
        (($(grep -c 'opening file=.*13-tls' <<<"$errors") <= 2))
    # One that lacks what we want of it is an error, and not the lack of TLS.
    echo 'int tls_client_context;' | cc -xc -shared -o "$here/13-tls.so" -
    start refuser "$BUILD/peers/rude" serve stall
    wait_for refuser 'listening on *'
    port_of refuser
    try "$here/15-deprecated-api" connect 127.0.0.1 "$PORT" "$certs/root.pem"
    [[ $status == 1 && $errors == "15-deprecated-api: import ssl: "*"tls_use_certificate" ]]
    # And without the headers of OpenSSL it is built, and does the rest.
    sed 's/__has_include(<openssl.ssl.h>)/0/' "$source" >"$here/bare.c"
    cc -std=c17 -Wall -Wextra -Werror -Icommon -I"$SOURCE" -o "$here/bare" \
        "$here/bare.c" "$SOURCE/notes.c" common/addr.c common/deadline.c
    try "$here/bare" connect 127.0.0.1 80 "$certs/root.pem"
    expect_result 1 "bare: no socket.ssl for 127.0.0.1: built without OpenSSL's headers"
    try "$here/bare" inet_addr
    expect_result 0 ""
}
