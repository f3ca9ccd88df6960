#!/usr/bin/env bats
# 33-socks-proxy [-a NETWORK]... [-u FILE] PORT: SOCKS 5 for whoever may go where
# it asks to go.
# Its twin prints less: only what comes out at the two ends. Compared at the end.

load ../lib/common
load ../lib/clock
load ../lib/races

proxy=$BUILD/33-socks-proxy
socks=$BUILD/peers/socks
rude_socks=$BUILD/peers/rude-socks
rude=$BUILD/peers/rude
sources=("$SOURCE"/{network,socks-proxy,socks5,target,tunnel,users}.c)

# with_limits FILE SED...: the program with other limits, which its sources have.
with_limits() {
    local source copy is_changed=
    mkdir "$1.sources"
    for source in "${sources[@]}"; do
        copy=$1.sources/${source##*/}
        sed "${@:2}" "$source" >"$copy"
        cmp -s "$source" "$copy" || is_changed=1
    done
    [[ $is_changed ]]
    "${CC:-cc}" -std=gnu17 -g -w -Icommon -I"$SOURCE" -o "$1" "$1.sources"/*.c \
        common/{addr,deadline,dial,listener,loop,number}.c -lpthread
}

# serve [OPTION...]: the proxy on a port of its own, behind faulty, if set. It may
# connect to this machine by IPv4.
serve() {
    start_server server "${faulty[@]}" "$proxy" -a 127.0.0.0/8 "$@" 0
    server_pid=$(pid_of server)
}

# through OPTION... HOST PORT TEXT: a client, to its end.
through() {
    try "$socks" "${@:1:$#-3}" "$PORT" "${@: -3}"
}

# passes OPTION...: a client that plays the server too, to its end.
passes() {
    through -q "$@" 127.0.0.1 own hello
    expect_result 0 ""
}

# said LINE...: all that the proxy has said on standard error, without its name,
# and without the ports of its clients.
said() {
    local got
    got=$(sed -E 's/^[^ ]*: //; s/^127.0.0.1:[0-9]+/CLIENT/' \
        "$BATS_TEST_TMPDIR/server.err")
    expect_equal "standard error" "$(printf '%s\n' "$@")" "$got"
}

@test "33-socks-proxy passes on what a client and a server say, and tells who" {
    serve -a ::1
    through localhost own hello
    expect_result 0 ""
    local port
    port=$(sed -n 's/.* localhost port \([0-9]*\): .*/\1/p' \
        "$BATS_TEST_TMPDIR/server.out")
    expect_output --text "to the proxy    05 01 00
from the proxy  05 00
to the proxy    05 01 00 03 09 6c 6f 63 61 6c 68 6f 73 74 $(
        printf '%02x %02x' $((port / 256)) $((port % 256)))
from the proxy  05 00 00 01 00 00 00 00 00 00
at the server   hello
from the server hello\n"
    until_true says server '*closed*'
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "127.0.0.1:* to localhost port $port: connected" \
        "127.0.0.1:* to localhost port $port closed: 5 bytes there, 5 back"
    stop server
    expect_equal "status" 0 "$ended"
    said ""
}

@test "33-socks-proxy connects to IPv4, IPv6 and names" {
    serve -a ::1
    passes
    [[ $(<"$OUT") == "at the server   hello"$'\n'"from the server hello" ]]
    through -q localhost own hello
    expect_result 0 ""
    # IPv4 within IPv6 is the same address.
    start_server echo "$rude" -n 9 -s 7 serve whole
    local server=$PORT
    port_of server
    through -q ::ffff:127.0.0.1 "$server" ""
    expect_result 0 ""
    [[ -e /proc/net/if_inet6 ]] || skip "there is no IPv6"
    through -q ::1 own hello
    expect_result 0 ""
}

@test "33-socks-proxy loses no byte, in whatever pieces they come" {
    local bytes
    serve
    passes -t
    passes -d
    passes -d -t
    passes -e
    for bytes in 1 4096 65535 65536 65537 3000000; do
        through -q -n "$bytes" 127.0.0.1 own "$RANDOM"
        expect_result 0 ""
        expect_output --text "all is well\n"
    done
    until_true says server "* closed: 3000000 bytes there, 3000000 back"
    stop server
    said ""
    need_faults
    faulty+=(FAULT_SHORT="splice,recv,send")
    serve
    passes -t
    through -q -n 3000 127.0.0.1 own 1
    expect_result 0 ""
    faulty=()
}

@test "33-socks-proxy serves a thousand tunnels at once, and keeps nothing" {
    local before memory
    (($(ulimit -Hn) >= 6100)) || skip "this system allows no 6100 descriptors"
    serve
    passes
    before=$(descriptors "$server_pid")
    memory=$(memory "$server_pid")
    mkfifo "$BATS_TEST_TMPDIR/key"
    # shellcheck disable=SC2016 # for the other bash to expand
    start crowd bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/key" \
        "$socks" -q -c 1000 "$PORT" 127.0.0.1 own hello
    exec 8<>"$BATS_TEST_TMPDIR/key"
    wait_for crowd "1000 tunnels"
    # Two sockets and two pipes for each.
    until_true holds_descriptors "$server_pid" $((before + 6000))
    [[ $BUILD == *asan* ]] || (($(memory "$server_pid") - memory < 1500))
    until_true is_quiet "$server_pid"
    echo >&8
    finish crowd
    expect_equal "status" 0 "$ended"
    expect_lines crowd "1000 tunnels" "all is well"
    until_true holds_descriptors "$server_pid" "$before"
    until_true is_quiet "$server_pid"
    said ""
}

@test "33-socks-proxy goes on with one way when the other one has ended" {
    serve
    passes    # the client ends first, then the server answers
    passes -e # and the other way round
    until_true says server "* closed: 5 bytes there, 5 back"
    said ""
}

# knock HOST PORT: opens a tunnel as descriptor 7.
knock() {
    local octets
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    IFS=. read -ra octets <<<"$1"
    # shellcheck disable=SC2059 # it has escapes
    printf "$(printf '\\x%02x' 5 1 0 5 1 0 1 "${octets[@]}" $(($2 / 256)) \
        $(($2 % 256)))" >&7
    head -c 12 <&7 >"$BATS_TEST_TMPDIR/knocked"
    expect_equal "the reply" "050005000001000000000000" \
        "$(od -An -v -tx1 "$BATS_TEST_TMPDIR/knocked" | tr -d ' \n')"
}

@test "33-socks-proxy does not read for a server that does not read" {
    local server before
    serve
    before=$(memory "$server_pid")
    start_server deaf "$rude" serve deaf
    server=$PORT
    port_of server
    knock 127.0.0.1 "$server"
    start writer bash -c 'exec yes >&7'
    until_true is_quiet "$server_pid"
    [[ $BUILD == *asan* ]] || (($(memory "$server_pid") - before < 500))
    passes
    is_running writer
    stop writer
    exec 7>&-
    stop deaf
}

# Sixteen pages of any length fill a pipe. If the proxy then waited for the
# client's next byte, it would wake again and again.
@test "33-socks-proxy sleeps while a pipe is full, and then goes on" {
    skip_unless python3
    serve
    cat >"$BATS_TEST_TMPDIR/trickle.py" <<'END'
import socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen()
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
port = listener.getsockname()[1]
s.sendall(b"\5\1\0\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
reply = b""
while len(reply) < 12:
    reply += s.recv(12 - len(reply))
server, _ = listener.accept()
sent = 0
s.setblocking(False)
last = time.monotonic()
while time.monotonic() < last + 0.5:
    try:
        sent += s.send(b"x" * 65536)
        last = time.monotonic()
    except BlockingIOError:
        time.sleep(0.01)
print("full", flush=True)
sys.stdin.readline()
server.setblocking(False)
got = 0
s.setblocking(False)
last = time.monotonic()
ended = False
while True:
    try:
        piece = server.recv(300)
        if not piece:
            break
        got += len(piece)
        last = time.monotonic()
    except BlockingIOError:
        if not ended and time.monotonic() > last + 0.2:
            s.shutdown(socket.SHUT_WR)
            ended = True
        time.sleep(0.001)
print("sent", sent, "got", got, flush=True)
END
    mkfifo "$BATS_TEST_TMPDIR/key"
    # shellcheck disable=SC2016 # for the other bash to expand
    start trickle bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/key" \
        python3 "$BATS_TEST_TMPDIR/trickle.py" "$PORT"
    exec 8<>"$BATS_TEST_TMPDIR/key"
    wait_for trickle full
    until_true is_quiet "$server_pid"
    echo >&8
    finish trickle
    read -r _ sent _ got < <(tail -n 1 "$BATS_TEST_TMPDIR/trickle.out")
    expect_equal "bytes" "$sent" "$got"
    said ""
}

# asks FACE...: what comes of a rude client, a line each.
asks() {
    local face
    for face; do
        try "$rude_socks" connect "$face" "$PORT"
        expect_result 0 ""
        printf '%s: %s\n' "$face" "$(sed 's/^got //; s/, then end of stream$//
            s/ 00 01 00 00 00 00 00 00$//' "$OUT")"
    done
}

@test "33-socks-proxy answers every kind of bad request, and goes on" {
    local before
    serve
    passes
    before=$(descriptors "$server_pid")
    # The reply's code is what is left of its ten bytes.
    expect_equal "replies" "good: 05 00 05 05
dribble: 05 00 05 05
many-methods: 05 00 05 05
request-dribble: 05 00 05 05
reserved: 05 00 05 05
port-0: 05 00 05 05
empty: nothing
reset: reset
version-0: nothing
version-4: nothing
version-6: nothing
http: nothing
tls: nothing
version-alone: nothing
version-reset: reset
no-method: 05 ff
gssapi: 05 ff
unknown-methods: 05 ff
password-only: 05 ff
methods-cut: nothing
request-missing: 05 00 05 01
request-reset: reset
request-version: 05 00 05 01
command-0: 05 00 05 07
bind: 05 00 05 07
udp: 05 00 05 07
command-255: 05 00 05 07
kind-0: 05 00 05 08
kind-2: 05 00 05 08
kind-5: 05 00 05 08
kind-255: 05 00 05 08
kind-flood: 05 00 05 08
ipv4-cut: 05 00 05 01
ipv6-cut: 05 00 05 01
port-missing: 05 00 05 01
port-cut: 05 00 05 01
name-empty: 05 00 05 01
name-cut: 05 00 05 01
name-nul: 05 00 05 01
name-line: 05 00 05 01
name-newline: 05 00 05 01
name-escape: 05 00 05 01
name-latin: 05 00 05 01
name-long-label: 05 00 05 04
name-longest: 05 00 05 04" "$(asks good dribble many-methods request-dribble \
        reserved port-0 empty reset version-0 version-4 version-6 http tls \
        version-alone version-reset no-method gssapi unknown-methods \
        password-only methods-cut request-missing request-reset \
        request-version command-0 bind udp command-255 kind-0 kind-2 kind-5 \
        kind-255 kind-flood ipv4-cut ipv6-cut port-missing port-cut \
        name-empty name-cut name-nul name-line name-newline name-escape \
        name-latin name-long-label name-longest)"
    # Not a byte of theirs that a terminal would obey, and no line of theirs.
    LC_ALL=C run ! grep -q $'[^\n -~]' "$BATS_TEST_TMPDIR/server.err"
    run ! grep -qv '^33-socks-proxy: 127.0.0.1:' "$BATS_TEST_TMPDIR/server.err"
    until_true holds_descriptors "$server_pid" "$before"
    passes
}

@test "33-socks-proxy wants a name and a password of the file's" {
    local user
    printf '%s\n' "ann:one" "bob:two:three" "empty:" ":nobody" \
        "long:$(printf '%0250d' 7)" >"$BATS_TEST_TMPDIR/users"
    printf 'last:line' >>"$BATS_TEST_TMPDIR/users"
    serve -u "$BATS_TEST_TMPDIR/users"
    for user in ann:one bob:two:three empty: :nobody last:line \
        "long:$(printf '%0250d' 7)"; do
        passes -u "$user"
    done
    said ""
    for user in ann:two ann: ann:on ann:onee an:one Ann:one bob:two one:ann \
        "" : $'ann:one\nbob' "long:$(printf '%0250d' 8)" "ann:one "; do
        through -q -u "$user" 127.0.0.1 own hello
        expect_result 1 "socks: the proxy says: wrong name or password"
    done
    through -q 127.0.0.1 own hello
    expect_result 1 "socks: the proxy does not want this method"
    expect_equal "replies" "good: 05 ff
password-only: 05 02
password-version: 05 02
password-empty: 05 02 01 01
password-cut: 05 02
password-nul: 05 02
password-line: 05 02 01 01
user-colon: 05 02 01 01" "$(asks good password-only password-version \
        password-empty password-cut password-nul password-line user-colon)"
    grep -q ': wrong name or password$' "$BATS_TEST_TMPDIR/server.err"
    # The password itself is in no report.
    run ! grep -qE 'onee|0007' "$BATS_TEST_TMPDIR/server.err"
}

@test "33-socks-proxy reads a file of users that another system has written" {
    printf 'ann:one\r\nbob:two\r\n' >"$BATS_TEST_TMPDIR/users"
    serve -u "$BATS_TEST_TMPDIR/users"
    passes -u ann:one
    passes -u bob:two
}

@test "33-socks-proxy reads a file of users up to its limit" {
    local users=$BATS_TEST_TMPDIR/users
    { printf '%065520d\n' 0 && printf 'ann:one\n1234567'; } >"$users"
    truncate -s 65536 "$users"
    serve -u "$users"
    passes -u ann:one
    stop server
    printf x >>"$users"
    try "$proxy" -u "$users" 0
    expect_result 1 "33-socks-proxy: $users: longer than 65536 bytes"
    : >"$users"
    serve -u "$users"
    through -q -u : 127.0.0.1 own hello
    expect_result 1 "socks: the proxy says: wrong name or password"
    try "$proxy" -u "$BATS_TEST_TMPDIR/nobody" 0
    expect_result 1 \
        "33-socks-proxy: $BATS_TEST_TMPDIR/nobody: No such file or directory"
    try "$proxy" -u "$BATS_TEST_TMPDIR" 0
    expect_result 1 "33-socks-proxy: $BATS_TEST_TMPDIR: Is a directory"
}

# refuses CODE HOST: a client is refused HOST, with that reply.
refuses() {
    through "$2" 9 hello
    expect_equal "status of $2" 1 "$status"
    expect_equal "reply to $2" "from the proxy  05 $1 00 01 00 00 00 00 00 00" \
        "$(tail -n 1 "$OUT")"
}

@test "33-socks-proxy refuses its own machine and private networks" {
    local host
    start_server server "$proxy" 0
    for host in 127.0.0.1 127.255.255.255 0.0.0.0 10.1.2.3 192.168.1.1 \
        172.31.0.1 169.254.169.254 ::1 ::ffff:127.0.0.1 ::127.0.0.1 :: \
        64:ff9b::127.0.0.1 fe80::1 fd00::1 localhost 127.1 2130706433 \
        0x7f000001 0177.0.0.1; do
        refuses 02 "$host"
    done
    run ! grep -qv ' port 9: not allowed$' "$BATS_TEST_TMPDIR/server.err"
}

@test "33-socks-proxy looks at the addresses of a name, and at each of them" {
    local names
    need_faults
    names=("${faulty[@]/faults/names}")
    start_server server "${names[@]}" \
        NAMES=trick.example=127.0.0.1+::1+::ffff:10.0.0.1 "$proxy" 0
    refuses 02 trick.example
    refuses 04 nobody.example
    stop server
    # Of several addresses, it connects to one that is allowed.
    start_server server "${names[@]}" \
        NAMES=trick.example=127.0.0.2+127.0.0.1+127.0.0.3 \
        "$proxy" -a 127.0.0.1 0
    through -q trick.example own hello
    expect_result 0 ""
    refuses 05 trick.example # that of the one address to which it may connect
    refuses 02 127.0.0.2
}

@test "33-socks-proxy refuses the addresses of its own interfaces" {
    skip_unless ip
    "$BUILD/tests/private" true 2>/dev/null ||
        skip "this system allows no private network"
    # shellcheck disable=SC2016 # for the other bash to expand
    try "$BUILD/tests/private" bash -c '
        ip address add 203.0.113.5/32 dev lo || exit 77
        "$0" 0 >"$2" 2>&1 &
        until [[ -s $2 ]]; do sleep 0.01; done
        port=$(sed "s/.*://" "$2")
        for host in 203.0.113.5 ::ffff:203.0.113.5 203.0.113.6; do
            "$1" "$port" "$host" 9 x 2>&1 | tail -n 1
        done
        kill %1' "$proxy" "$socks" "$BATS_TEST_TMPDIR/said"
    ((status != 77)) || skip "ip adds no address here"
    expect_output --text "socks: the proxy says: not allowed
socks: the proxy says: not allowed
socks: the proxy says: network unreachable\n"
    need_faults
    start_server server "${faulty[@]}" FAULT_CALL=getifaddrs FAULT_ERRNO=24 \
        "$proxy" 0
    refuses 02 203.0.113.5 # it cannot find out
}

@test "33-socks-proxy says what failed, to its client and in its report" {
    serve
    start refuser "$rude" refuse
    wait_for refuser '* on *'
    port_of refuser
    local nobody=$PORT
    port_of server
    through -q 127.0.0.1 "$nobody" hello
    expect_result 1 "socks: the proxy says: connection refused"
    through -q nobody.invalid 80 hello
    expect_result 1 "socks: the proxy says: host unreachable"
    until_true says server '*nobody.invalid port 80: *' err
    head -n 1 "$BATS_TEST_TMPDIR/server.err" >"$BATS_TEST_TMPDIR/first"
    [[ $(<"$BATS_TEST_TMPDIR/first") == \
        "33-socks-proxy: 127.0.0.1:"*" to 127.0.0.1 port $nobody: Connection refused" ]]
    # Errors of connect, and the replies to them.
    local error
    for error in "101 3" "113 4" "111 5" "110 6" "13 2" "12 1"; do
        stop server
        need_faults
        faulty+=(FAULT_CALL=connect FAULT_ERRNO="${error% *}")
        serve
        refuses "0${error#* }" 127.0.0.1
    done
}

@test "33-socks-proxy lets no client wait for ever" {
    local face short=$BATS_TEST_TMPDIR/33-socks-proxy
    [[ $BUILD != *asan* ]] || skip "it is built here without sanitizers"
    with_limits "$short" 's/_MS = 10 \* 1000/_MS = 300/'
    proxy=$short serve
    for face in silent version-stall methods-stall; do
        expect_equal "reply" "$face: nothing" "$(asks "$face")"
    done
    for face in request-stall ipv4-stall port-stall name-stall; do
        expect_equal "reply" "$face: 05 00 05 01" "$(asks "$face")"
    done
    start swallower "$rude" swallow
    wait_for swallower '* on *'
    port_of swallower
    local server=$PORT
    port_of server
    timed "$socks" -q "$PORT" 127.0.0.1 "$server" hello
    expect_result 1 "socks: the proxy says: time is up"
    ((took >= 29))
    # A tunnel has no such limit.
    knock_own 0.5
}

# knock_own SECONDS: a tunnel to an echo server, silent for so long.
knock_own() {
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT
    port_of server
    knock 127.0.0.1 "$server"
    read -rt "$1" <&7 || true
    echo hello >&7
    read -rt 5 line <&7
    expect_equal "echo" hello "$line"
    exec 7>&-
}

@test "33-socks-proxy ends a tunnel in which nothing comes" {
    local short=$BATS_TEST_TMPDIR/33-socks-proxy before
    [[ $BUILD != *asan* ]] || skip "it is built here without sanitizers"
    with_limits "$short" 's/IDLE_MS = .*/IDLE_MS = 300,/'
    proxy=$short serve
    before=$(descriptors "$server_pid")
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT
    port_of server
    knock 127.0.0.1 "$server"
    # Each byte begins the time anew.
    for _ in {1..5}; do
        read -rt 0.1 <&7 || true
        echo hello >&7
        read -rt 5 line <&7
        expect_equal "echo" hello "$line"
    done
    run -1 read -rt 5 line <&7 # a reset
    exec 7>&-
    knock 127.0.0.1 "$server" # this one says nothing at all
    run -1 read -rt 5 line <&7
    exec 7>&-
    until_true holds_descriptors "$server_pid" "$before"
    said "CLIENT to 127.0.0.1 port $server: nothing moved for 0 minutes" \
        "CLIENT to 127.0.0.1 port $server: nothing moved for 0 minutes"
}

@test "33-socks-proxy has only so many handshakes at once, and any number of tunnels" {
    local short=$BATS_TEST_TMPDIR/33-socks-proxy
    [[ $BUILD != *asan* ]] || skip "it is built here without sanitizers"
    with_limits "$short" 's/THREADS = 256/THREADS = 2/'
    proxy=$short serve
    through -q -c 5 127.0.0.1 own hello
    expect_result 0 ""
    start first "$rude_socks" connect silent "$PORT"
    passes
    start second "$rude_socks" connect silent "$PORT"
    until_true has_threads "$server_pid" 3
    start third "$socks" -q "$PORT" 127.0.0.1 own hello
    until_true is_quiet "$server_pid"
    is_running third
    stop first
    finish third
    expect_equal "status" 0 "$ended"
}

@test "33-socks-proxy serves the tunnels while accept fails" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=24 FAULT_AT=2 FAULT_TIMES=3)
    serve
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT began
    port_of server
    knock 127.0.0.1 "$server"
    exec 8<>"/dev/tcp/127.0.0.1/$PORT"
    began=${EPOCHREALTIME/./}
    for _ in {1..50}; do
        echo hello >&7
        read -rt 5 line <&7
    done
    exec 7>&-
    # With a pause of 100 ms in the loop, it would take longer than that.
    ((${EPOCHREALTIME/./} - began < 300000))
    passes
    exec 8>&-
    said "accept: Too many open files" "accept: Too many open files" \
        "accept: Too many open files"
    stop server
    for error in 103 11; do
        need_faults
        faulty+=(FAULT_CALL=accept4 FAULT_ERRNO="$error")
        serve
        passes
        said ""
        stop server
    done
}

@test "33-socks-proxy lives when a descriptor, a thread or memory is missing" {
    local i
    skip_unless prlimit
    serve
    prlimit --pid "$server_pid" --nofile=$(($(descriptors "$server_pid") + 7))
    for i in {1..3}; do
        try "$socks" -q -c 3 "$PORT" 127.0.0.1 own hello
        expect_equal "status" 1 "$status"
    done
    passes
    until_true is_quiet "$server_pid"
    stop server
    need_faults
    for i in 2 3; do
        faulty+=(FAULT_CALL=pipe2 FAULT_ERRNO=24 FAULT_AT="$i")
        serve
        try "$socks" -q "$PORT" 127.0.0.1 own hello
        expect_equal "status" 1 "$status"
        passes
        says server "33-socks-proxy: 127.0.0.1:* to *: pipe2: Too many open files" err
        stop server
        need_faults
    done
    for i in 4 5; do
        faulty+=(FAULT_CALL=epoll_ctl FAULT_ERRNO=28 FAULT_AT="$i")
        serve
        try "$socks" -q "$PORT" 127.0.0.1 own hello
        expect_equal "status" 1 "$status"
        passes
        says server "33-socks-proxy: 127.0.0.1:* to *: epoll_ctl: No space left on device" err
        stop server
        need_faults
    done
}

@test "33-socks-proxy says nothing when a server ends, and then resets" {
    local server
    for _ in 1 2 3; do
        start_server origin "$rude" -e -k 0 serve reset
        server=$PORT
        serve
        knock 127.0.0.1 "$server"
        run -1 read -rt 5 line <&7 # the end
        exec 7>&-
        until_true says server "*closed*"
        said ""
        stop_all
    done
}

@test "33-socks-proxy closes both ends when its reply cannot be sent" {
    local before
    need_faults
    faulty+=(FAULT_CALL=send FAULT_ERRNO=104 FAULT_AT=2)
    serve
    before=$(descriptors "$server_pid")
    through -q 127.0.0.1 own hello
    expect_equal "status" 1 "$status"
    until_true holds_descriptors "$server_pid" "$before"
    said "CLIENT: send: Connection reset by peer"
    expect_lines server "listening on *"
    passes
    stop server
    # Nor is a client served that has not been told that its password is right.
    printf 'ann:one' >"$BATS_TEST_TMPDIR/users"
    serve -u "$BATS_TEST_TMPDIR/users"
    through -q -u ann:one 127.0.0.1 own hello
    expect_equal "status" 1 "$status"
    until_true says server "*send: Connection reset by peer" err
    said "CLIENT: send: Connection reset by peer"
    passes -u ann:one
}

@test "33-socks-proxy tries again when its listener cannot be watched" {
    need_faults
    # With one thread, no client is accepted during a handshake.
    with_limits "$BATS_TEST_TMPDIR/narrow" 's/THREADS = 256/THREADS = 1/'
    proxy=$BATS_TEST_TMPDIR/narrow
    faulty+=(FAULT_CALL=epoll_ctl FAULT_ERRNO=28 FAULT_AT=5)
    serve
    passes
    passes
    said "epoll_ctl: No space left on device"
}

@test "33-socks-proxy tells when a call in a tunnel fails, and closes both ends" {
    local before i
    need_faults
    for i in 1 2 3; do
        faulty+=(FAULT_CALL=splice FAULT_ERRNO=104 FAULT_AT="$i")
        serve
        before=$(descriptors "$server_pid")
        try "$socks" -q "$PORT" 127.0.0.1 own hello
        expect_equal "status" 1 "$status"
        until_true says server "*closed*"
        until_true holds_descriptors "$server_pid" "$before"
        grep -qE '^33-socks-proxy: 127.0.0.1:[0-9]+ to 127.0.0.1 port [0-9]+: splice: Connection reset by peer$' \
            "$BATS_TEST_TMPDIR/server.err"
        passes
        stop server
        need_faults
    done
    faulty+=(FAULT_CALL=splice FAULT_ERRNO=11 FAULT_TIMES=2)
    serve
    passes
    said ""
}

@test "33-socks-proxy outlives clients and servers that reset" {
    local before server face
    serve
    before=$(descriptors "$server_pid")
    local server_port=$PORT
    start_server peer "$rude" -c 3 serve reset
    server=$PORT
    for _ in 1 2 3; do # the reset may come before the reply, or before the text
        try "$socks" -q "$server_port" 127.0.0.1 "$server" hello
        expect_equal "status" 1 "$status"
        [[ $errors == @("socks: "@(recv|send|shutdown)": "*|"socks: the proxy \
says: general failure") ]]
    done
    start_server sink "$rude" -c 9 serve stall
    server=$PORT
    port_of server
    for _ in 1 2 3; do
        knock 127.0.0.1 "$server"
        exec 7>&-
    done
    stop sink
    until_true holds_descriptors "$server_pid" "$before"
    passes
}

@test "33-socks-proxy tells both sides at once, byte by byte" {
    skip_unless python3
    serve
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT
    port_of server
    # Nagle's algorithm would hold the second byte back until the first one is
    # acknowledged: 40 milliseconds each time.
    cat >"$BATS_TEST_TMPDIR/bytes.py" <<'END'
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
port = listener.getsockname()[1]
s.sendall(b"\5\1\0\5\1\0\1\x7f\0\0\1" + port.to_bytes(2, "big"))
s.recv(12, socket.MSG_WAITALL)
server, _ = listener.accept()
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for i in range(20):
    begin = time.monotonic()
    s.send(b"a")
    time.sleep(0.002)
    s.send(b"b")
    server.recv(2, socket.MSG_WAITALL)
    server.send(b"c")
    time.sleep(0.002)
    server.send(b"d")
    s.recv(2, socket.MSG_WAITALL)
    times.append(time.monotonic() - begin)
times.sort()
sys.exit(times[10] > 0.03)
END
    try python3 "$BATS_TEST_TMPDIR/bytes.py" "$PORT"
    expect_result 0 ""
}

@test "33-socks-proxy ends when it is told to, whatever goes on" {
    local signal
    for signal in TERM INT; do
        serve
        start_server echo "$BUILD/02-tcp-server" 0
        local server=$PORT
        port_of server
        knock 127.0.0.1 "$server"
        start staller "$rude_socks" connect request-stall "$PORT"
        until_true has_threads "$server_pid" 2
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        exec 7>&-
        stop_all
    done
    need_faults
    faulty+=(FAULT_SIGNALS=300)
    serve
    passes
}

@test "33-socks-proxy's descriptors are close-on-exec" {
    local fd count=0 before sleeper
    start sleeper sleep 20
    sleeper=$(pid_of sleeper)
    serve
    before=$(descriptors "$server_pid")
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT
    port_of server
    knock 127.0.0.1 "$server"
    until_true holds_descriptors "$server_pid" $((before + 6))
    for fd in "/proc/$server_pid/fd"/*; do
        # What every program inherits here is not its own.
        [[ ! -e /proc/$sleeper/fd/${fd##*/} ]] || continue
        flags_of "$server_pid" "${fd##*/}"
        (((8#$flags & 8#2000000) != 0)) # O_CLOEXEC
        count=$((count + 1))
    done
    exec 7>&-
    # epoll, signals, a pipe, the listener; two sockets and two pipes.
    expect_equal "descriptors" 11 "$count"
}

@test "33-socks-proxy has no data race" {
    local races=$BATS_TEST_TMPDIR/33-socks-proxy
    build_for_races "$races" "${sources[@]}" common/{dial,loop}.c
    proxy=$races serve
    through -q -c 20 127.0.0.1 own hello </dev/null
    expect_result 0 ""
    refuses 05 127.0.0.1
    refuses 02 10.0.0.1
    start staller "$rude_socks" connect request-stall "$PORT"
    stop server
    expect_equal "races" "" "$(race_of server)"
}

@test "33-socks-proxy names the call that failed, and why" {
    local call
    need_faults
    for call in socket setsockopt bind listen getsockname pipe2 fcntl; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$proxy" 0
        case $call in
        socket) call="socket 127.0.0.1:0" ;;
        setsockopt) call="setsockopt SO_REUSEADDR 127.0.0.1:0" ;;
        bind) call="bind 127.0.0.1:0" ;;
        listen) call="listen 127.0.0.1:0" ;;
        fcntl) call="descriptor 0" ;;
        esac
        expect_result 1 "33-socks-proxy: $call: No buffer space available"
        expect_output --text ''
    done
    for call in 1 2 3; do
        try "${faulty[@]}" FAULT_CALL=epoll_ctl FAULT_AT="$call" \
            FAULT_ERRNO=105 "$proxy" 0
        expect_result 1 "33-socks-proxy: epoll_ctl: No buffer space available"
    done
    faulty+=(FAULT_CALL=epoll_wait FAULT_ERRNO=105)
    serve
    passes
    said "epoll_wait: No buffer space available"
}

@test "33-socks-proxy says so when its output cannot be written, and serves" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >/dev/full' "$proxy"
    expect_result 1 "33-socks-proxy: standard output: No space left on device"
    for closed in '<&-' '>&-' '2>&-'; do
        try bash -c "exec \"\$0\" 0 $closed" "$proxy"
        expect_equal "status without $closed" 1 "$status"
    done
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$proxy" \
        -a 127.0.0.1 0
    passes
    passes
    grep -q '^33-socks-proxy: standard output: Broken pipe$' \
        "$BATS_TEST_TMPDIR/server.err"
}

@test "33-socks-proxy explains itself when asked, and when called wrongly" {
    local arguments usage="usage: 33-socks-proxy [-a NETWORK]... [-u FILE] PORT"
    try "$proxy" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "1 2" "-a ::1" "-a ::1 1 2"; do
        # shellcheck disable=SC2086 # several words
        try "$proxy" $arguments
        expect_result 2 "$usage"
    done
    try "$proxy" -x 0
    expect_equal "status" 2 "$status"
    for arguments in 65536 -1 80x ''; do
        try "$proxy" -- "$arguments"
        expect_result 1 "33-socks-proxy: $arguments is not a port: 0 to 65535"
    done
    for arguments in '' x 10.0.0.0/33 10.0.0.1/8 10.0.0.0/ 10.0.0.0/8x ::/129 \
        ::1/127 10/8 1.2.3.4.5; do
        try "$proxy" -a "$arguments" 0
        expect_result 1 \
            "33-socks-proxy: $arguments is not a network such as 10.0.0.0/8"
    done
    local -a networks
    mapfile -t networks < <(printf -- '-a\n10.0.0.%d\n' {1..65})
    try "$proxy" "${networks[@]}" 0
    expect_result 1 "33-socks-proxy: there are more than 64 networks"
    start_server server "$proxy" -a 127.0.0.1 "${networks[@]:0:126}" 0
    passes
    try "$proxy" "$PORT"
    expect_result 1 \
        "33-socks-proxy: bind 127.0.0.1:$PORT: Address already in use"
}

# page: an HTTP server of Python's, with a page of 100 KiB.
page() {
    skip_unless python3
    mkdir -p "$BATS_TEST_TMPDIR/pages"
    head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/pages/page"
    start page python3 -u -m http.server -b 127.0.0.1 -d \
        "$BATS_TEST_TMPDIR/pages" 0
    wait_for page 'Serving HTTP on *'
    page_port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$BATS_TEST_TMPDIR/page.out")
}

@test "33-socks-proxy serves curl" {
    local page_port
    skip_unless curl
    page
    printf 'ann:one\n' >"$BATS_TEST_TMPDIR/users"
    serve
    try curl -sS --noproxy '' --socks5-hostname "127.0.0.1:$PORT" \
        "http://localhost:$page_port/page"
    expect_result 0 ""
    expect_output "$BATS_TEST_TMPDIR/pages/page"
    try curl -sS --noproxy '' --socks5 "127.0.0.1:$PORT" \
        "http://127.0.0.1:$page_port/page"
    expect_output "$BATS_TEST_TMPDIR/pages/page"
    try curl -sS --noproxy '' --socks5-hostname "127.0.0.1:$PORT" \
        "http://10.0.0.1:$page_port/page"
    expect_status 97
    stop server
    serve -u "$BATS_TEST_TMPDIR/users"
    try curl -sS --noproxy '' --socks5-hostname "ann:one@127.0.0.1:$PORT" \
        "http://127.0.0.1:$page_port/page"
    expect_result 0 ""
    expect_output "$BATS_TEST_TMPDIR/pages/page"
    try curl -sS --noproxy '' --socks5-hostname "ann:two@127.0.0.1:$PORT" \
        "http://127.0.0.1:$page_port/page"
    expect_status 97
}

@test "33-socks-proxy serves ncat" {
    skip_unless ncat
    start_server echo "$BUILD/02-tcp-server" 0
    local server=$PORT
    printf 'ann:one\n' >"$BATS_TEST_TMPDIR/users"
    echo hello >"$BATS_TEST_TMPDIR/input"
    serve
    try_with "$BATS_TEST_TMPDIR/input" "$BATS_TEST_TMPDIR/out" ncat --proxy \
        "127.0.0.1:$PORT" --proxy-type socks5 127.0.0.1 "$server"
    expect_output --text 'hello\n'
    stop server
    serve -u "$BATS_TEST_TMPDIR/users"
    try_with "$BATS_TEST_TMPDIR/input" "$BATS_TEST_TMPDIR/out" ncat --proxy \
        "127.0.0.1:$PORT" --proxy-type socks5 --proxy-auth ann:one 127.0.0.1 \
        "$server"
    expect_output --text 'hello\n'
}

# bulk PORT: sets speed to how many MiB a second go through the proxy there.
bulk() {
    try "$socks" -q -b 300 "$1" 127.0.0.1 own x
    expect_result 0 ""
    read -r speed _ <"$OUT"
}

@test "33-socks-proxy passes on bytes at least 1.5 times as fast as microsocks" {
    local other speed ours
    skip_unless microsocks
    [[ $BUILD != *asan* ]] || skip "a sanitizer has work of its own"
    serve
    start_server echo "$BUILD/02-tcp-server" 0
    other=$PORT
    stop echo # its port is free now
    start other microsocks -i 127.0.0.1 -p "$other"
    until_true bash -c ": 2>/dev/null <>/dev/tcp/127.0.0.1/$other"
    port_of server
    for _ in 1 2 3; do # on a busy machine it is tried again
        bulk "$PORT"
        ours=$speed
        bulk "$other"
        ((2 * ours < 3 * speed)) || break
    done
    ((2 * ours >= 3 * speed))
}

@test "33's twin says the same to the proxy, and hears the same" {
    skip_unless python3
    serve
    try python3 lessons/33-socks-proxy/twin.py "$PORT" 127.0.0.1 own hello
    expect_result 0 ""
    expect_output --text "at the server   hello\nfrom the server hello\n"
    until_true says server "* closed: 5 bytes there, 5 back"
}
