#!/usr/bin/env bats
# 11-ssl-errors [NAME]...: brings about every SSL_ERROR_ that can be brought
# about.
# Its twin prints less: only what Python can bring about, without what to do
# next.

load ../lib/common

program=$BUILD/11-ssl-errors
certs=build/certs

# all: sets names to the names of all of them.
all() {
    mapfile -t names < <(sed -n 's/^SSL_ERROR_\(.*\): .*/\1/p' "$1")
}

# A file that is full shows only when the last bytes are written.
@test "11's solution says so when the certificate cannot be written" {
    [[ -x $BUILD/solution/11-ssl-errors ]] || skip "it is not built"
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
    start_server peer "$BUILD/peers/rude-tls" honest \
        "$certs/good.pem" "$certs/good.key"
    try "$BUILD/solution/11-ssl-errors" -k /dev/full "$certs/root.pem" \
        server.example 127.0.0.1 "$PORT"
    expect_result 0 "11-ssl-errors: /dev/full: the certificate is not saved"
}

# try_all COMMAND...: as try does, without what the sanitizers say of a job's
# own stack, which they don't know.
try_all() {
    try "$@"
    [[ $BUILD != *asan* ]] || errors=$(
        grep -vE '^==.*ASan is ignoring|^False positive|^For det' <<<"$errors"
    ) || true
}

@test "11-ssl-errors provokes all thirteen of OpenSSL, and one of Python's" {
    try_all "$program"
    expect_result 0 ""
    expect_output - <<'END'
SSL_ERROR_NONE: 0 in OpenSSL, - in Python
  SSL_connect: the handshake is over
  returned 1: SSL_ERROR_NONE
  next: go on
SSL_ERROR_SSL: 1 in OpenSSL, 1 in Python
  SSL_read: a record that no key has encrypted
  returned -1: SSL_ERROR_SSL, decryption failed or bad record mac
  next: close; no other call, not even SSL_shutdown
SSL_ERROR_WANT_READ: 2 in OpenSSL, 2 in Python
  SSL_connect: no answer has come yet
  returned -1: SSL_ERROR_WANT_READ
  next: poll for POLLIN, then the same call again
  again: returned 1
SSL_ERROR_WANT_WRITE: 3 in OpenSSL, 3 in Python
  SSL_write: the peer does not read
  returned -1: SSL_ERROR_WANT_WRITE
  next: poll for POLLOUT, then the same call again
SSL_ERROR_WANT_X509_LOOKUP: 4 in OpenSSL, 4 in Python
  SSL_accept: our certificate is not there yet
  returned -1: SSL_ERROR_WANT_X509_LOOKUP
  next: find what is missing, then the same call again
  again: returned 1
SSL_ERROR_SYSCALL: 5 in OpenSSL, 5 in Python
  SSL_read: the peer closed, with bytes unread
  returned -1: SSL_ERROR_SYSCALL, Connection reset by peer
  next: close; no other call, not even SSL_shutdown
SSL_ERROR_ZERO_RETURN: 6 in OpenSSL, 6 in Python
  SSL_read: close_notify has come
  returned 0: SSL_ERROR_ZERO_RETURN
  next: SSL_shutdown, then close
SSL_ERROR_WANT_CONNECT: 7 in OpenSSL, 7 in Python
  SSL_connect: TCP is not connected yet
  returned -1: SSL_ERROR_WANT_CONNECT
  next: poll for POLLOUT, then the same call again
SSL_ERROR_WANT_ACCEPT: 8 in OpenSSL, - in Python
  SSL_accept: no client has connected yet
  returned -1: SSL_ERROR_WANT_ACCEPT
  next: poll for POLLIN, then the same call again
SSL_ERROR_WANT_ASYNC: 9 in OpenSSL, - in Python
  SSL_accept: its job pauses
  returned -1: SSL_ERROR_WANT_ASYNC
  next: find what is missing, then the same call again
  again: returned 1
SSL_ERROR_WANT_ASYNC_JOB: 10 in OpenSSL, - in Python
  SSL_connect: no job is free
  returned -1: SSL_ERROR_WANT_ASYNC_JOB
  next: find what is missing, then the same call again
  again: returned 1
SSL_ERROR_WANT_CLIENT_HELLO_CB: 11 in OpenSSL, - in Python
  SSL_accept: the client's hello is not judged yet
  returned -1: SSL_ERROR_WANT_CLIENT_HELLO_CB
  next: find what is missing, then the same call again
  again: returned 1
SSL_ERROR_WANT_RETRY_VERIFY: 12 in OpenSSL, - in Python
  SSL_connect: the server is not judged yet
  returned -1: SSL_ERROR_WANT_RETRY_VERIFY
  next: find what is missing, then the same call again
  again: returned 1
SSL_ERROR_EOF: - in OpenSSL, 8 in Python
  SSL_read: the peer closed, without close_notify
  returned 0: SSL_ERROR_SSL, cut short: it ended without close_notify
  next: close; no other call, not even SSL_shutdown
SSL_ERROR_INVALID_ERROR_CODE: - in OpenSSL, 10 in Python
  not provoked: Python's word for a number that it does not know
END
}

@test "11-ssl-errors knows OpenSSL's numbers, and Python's" {
    local name number
    "$program" >"$BATS_TEST_TMPDIR/all"
    sed -n 's/^# *define SSL_ERROR_\([A-Z0-9_]*\).*/"\1" SSL_ERROR_\1/p' \
        /usr/include/openssl/ssl.h | cc -E -P -include openssl/ssl.h -x c - |
        grep '^"' | tr -d '"' >"$BATS_TEST_TMPDIR/openssl"
    expect_equal "how many" 13 "$(wc -l <"$BATS_TEST_TMPDIR/openssl")"
    while read -r name number; do
        grep -q "^SSL_ERROR_$name: $number in OpenSSL, " "$BATS_TEST_TMPDIR/all"
    done <"$BATS_TEST_TMPDIR/openssl"
    expect_equal "how many" 13 \
        "$(grep -c ': [0-9]* in OpenSSL' "$BATS_TEST_TMPDIR/all")"
    skip_unless python3
    python3 -c '
import ssl
for error in ssl.SSLErrorNumber:
    print(f"{error.name} {error.value}")' | sort >"$BATS_TEST_TMPDIR/python"
    sed -n 's/^\(SSL_ERROR_.*\): .* in OpenSSL, \([0-9]*\) in Python/\1 \2/p' \
        "$BATS_TEST_TMPDIR/all" | sort | diff "$BATS_TEST_TMPDIR/python" - >&2
}

@test "11-ssl-errors provokes those that it is asked for, in their order" {
    try "$program" EOF WANT_READ EOF
    expect_result 0 ""
    expect_equal "names" "EOF WANT_READ EOF" \
        "$(sed -n 's/^SSL_ERROR_\(.*\):.*/\1/p' "$OUT" | paste -sd ' ')"
    try "$program" NONE none
    expect_result 2 "11-ssl-errors: there is no SSL_ERROR_none"
    try "$program" -h
    expect_result 0 ""
    expect_output --text 'usage: 11-ssl-errors [NAME]...\n'
    try "$program" -x
    expect_result 2 'usage: 11-ssl-errors [NAME]...'
}

@test "11-ssl-errors keeps no descriptor, however often it is asked" {
    local -a names
    "$program" >"$BATS_TEST_TMPDIR/all"
    all "$BATS_TEST_TMPDIR/all"
    # Three are open, two are a pair's, two at most OpenSSL's for looking up.
    # shellcheck disable=SC2016 # expanded by the shell it is for
    try_all bash -c 'ulimit -n 7; exec "$0" "$@"' "$program" "${names[@]}" \
        "${names[@]}" "${names[@]}"
    expect_result 0 ""
    cat "$BATS_TEST_TMPDIR"/all{,,} >"$BATS_TEST_TMPDIR/thrice"
    expect_output "$BATS_TEST_TMPDIR/thrice"
}

@test "11-ssl-errors says what is missing" {
    # shellcheck disable=SC2016
    try bash -c 'ulimit -n 4; exec "$0" NONE' "$program"
    expect_result 1 "11-ssl-errors: socketpair: Too many open files"
    # shellcheck disable=SC2016
    try bash -c 'cd / && exec "$0" NONE' "$(realpath "$program")"
    expect_result 1 \
        "11-ssl-errors: build/certs/good.pem: No such file or directory"
    # The reason is the real one: here the file is there, and is no certificate.
    mkdir -p "$BATS_TEST_TMPDIR/build/certs"
    cp "$certs/good.pem" "$certs/good.key" "$BATS_TEST_TMPDIR/build/certs"
    echo nothing >"$BATS_TEST_TMPDIR/build/certs/root.pem"
    # shellcheck disable=SC2016
    try bash -c 'cd "$1" && exec "$0" NONE' "$(realpath "$program")" \
        "$BATS_TEST_TMPDIR"
    expect_result 1 "11-ssl-errors: build/certs/root.pem: it holds nothing \
useful in PEM form"
}

@test "11-ssl-errors says so when it has not provoked what it should" {
    need_faults
    echo 'int ASYNC_pause_job(void) { return 1; }
int ASYNC_init_thread(void) { return 0; }' |
        cc -shared -fPIC -o "$BATS_TEST_TMPDIR/jobless.so" -x c -
    try env LD_PRELOAD="$BATS_TEST_TMPDIR/jobless.so" "$program" WANT_ASYNC
    expect_result 1 "11-ssl-errors: SSL_ERROR_WANT_ASYNC was not provoked"
    try env LD_PRELOAD="$BATS_TEST_TMPDIR/jobless.so" "$program" WANT_ASYNC_JOB
    expect_result 1 "11-ssl-errors: ASYNC_init_thread: no memory"
}

@test "11-ssl-errors says so when standard output is full, gone or closed" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$program" NONE
    expect_equal "full" \
        "11-ssl-errors: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' - "$program" NONE
    expect_equal "gone" "11-ssl-errors: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - \
        "$program" NONE
    [[ $stderr == "11-ssl-errors: "* ]]
}

@test "11-ssl-errors has close-on-exec sockets, where it makes them itself" {
    skip_unless strace
    try env ASAN_OPTIONS=detect_leaks=0 strace -f -e trace=socketpair -o "$BATS_TEST_TMPDIR/calls" \
        "$program" WANT_READ
    expect_equal status 0 "$status"
    grep -q 'SOCK_CLOEXEC' "$BATS_TEST_TMPDIR/calls"
}

# ignores_a_cut: this Python is so old that it tells OpenSSL to.
ignores_a_cut() {
    python3 -c 'import ssl
option = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
assert ssl.create_default_context().options & option' 2>/dev/null
}

@test "11's twin brings four of these errors about" {
    skip_unless python3
    local cut="8 SSLEOFError"
    ! ignores_a_cut || cut="6 SSLZeroReturnError"
    try python3 lessons/11-ssl-errors/twin.py
    expect_result 0 ""
    expect_output --text "SSL_ERROR_SSL: 1 SSLError
SSL_ERROR_WANT_READ: 2 SSLWantReadError
SSL_ERROR_ZERO_RETURN: 6 SSLZeroReturnError
SSL_ERROR_EOF: $cut\n"
}

@test "Python has a class of its own for five of its nine errors" {
    skip_unless python3
    try python3 -c '
import ssl
for name in ("WantRead", "WantWrite", "ZeroReturn", "Syscall", "EOF"):
    assert issubclass(getattr(ssl, f"SSL{name}Error"), ssl.SSLError)
names = [name for name in dir(ssl) if name.startswith("SSL")]
print(*[name for name in names if name.endswith("Error")])'
    # The two others are the base of all, and the one for a bad certificate.
    expect_output --text "SSLCertVerificationError SSLEOFError SSLError \
SSLSyscallError SSLWantReadError SSLWantWriteError SSLZeroReturnError\n"
}

# A server that closes without close_notify, and one that says nothing more.
@test "Python takes a cut answer for a whole one, unless it is told not to" {
    skip_unless python3
    start_server cut "$BUILD/peers/rude-tls" -c 2 cut "$certs/good.pem" \
        "$certs/good.key"
    local cut=$PORT
    start_server mute "$BUILD/peers/rude-tls" mute "$certs/good.pem" \
        "$certs/good.key"
    try python3 -c '
import socket, ssl, sys
context = ssl.create_default_context(cafile="build/certs/root.pem")
def connect(port, **options):
    raw = socket.create_connection(("127.0.0.1", int(port)))
    return context.wrap_socket(raw, server_hostname="server.example", **options)
def read(s):
    try:
        while s.recv(1000):
            pass
        print("end")
    except ssl.SSLError as error:
        print(type(error).__name__)
read(connect(sys.argv[1]))
read(connect(sys.argv[1], suppress_ragged_eofs=False))
s = connect(sys.argv[2])
s.setblocking(False)
read(s)' "$cut" "$PORT"
    local cut=SSLEOFError
    ! ignores_a_cut || cut=end
    expect_output --text "end\n$cut\nSSLWantReadError\n"
}
