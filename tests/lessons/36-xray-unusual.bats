#!/usr/bin/env bats
# 36-xray on systems that forbid something, and of programs that are unusual.

load ../lib/common
load ../lib/xray

@test "36-xray does not take calls of another architecture for its own" {
    draw -l -c "$traced" foreign say hello foreign exit 5
    ((status != 77)) || skip "this machine runs no 32-bit programs"
    expect_result 5 ""
    lacks 'socket('
    expect_equal notes 1 \
        "$(grep -cxF $'program\tcalls of another architecture: not shown\t' "$OUT")"
    # Its own calls are shown.
    has $'program\twrite(1, "hello\\n") = 6\t'
    draw -a -l -c "$traced" foreign
    lacks 'socket('
    has 'another architecture'
}

@test "36-xray does not take calls of x32 for those of its own table" {
    draw -l -c "$traced" x32 say hello x32
    ((status != 77)) || skip "only x86-64 has x32"
    expect_result 0 ""
    lacks 'socket('
    expect_equal notes 1 \
        "$(grep -cxF $'program\tcalls of another architecture: not shown\t' "$OUT")"
    has $'program\twrite(1, "hello\\n") = 6\t'
    draw -a -l -c "$traced" x32
    lacks 'socket('
    lacks 'call 1073741865'
    has 'another architecture'
}

# draw_without CALL ARGUMENT...: draws with these arguments where CALL is
# forbidden; `-` is the scene on standard input.
draw_without() {
    need_tracing
    local -a words=("${@:2}")
    if [[ ${words[-1]} == - ]]; then
        words[-1]=$BATS_TEST_TMPDIR/scene
        cat >"$BATS_TEST_TMPDIR/scene"
    fi
    try "$BUILD/tests/private" "$BUILD/tests/forbid" "$1" "$xray" "${words[@]}"
    ((status != 77)) || skip "this machine lets nobody forbid a call"
}

# is_as_ever: the list in $OUT is what it is where nothing is forbidden.
is_as_ever() {
    listed | grep -v $'\tACK$' >"$BATS_TEST_TMPDIR/forbidden"
    draw_hello
    diff <(listed | grep -v $'\tACK$') "$BATS_TEST_TMPDIR/forbidden" >&2
}

@test "36-xray says what it lacks without pidfd_getfd, and shows all the rest" {
    draw_without pidfd_getfd -l - < <(hello)
    expect_result 0 "36-xray: no round trips will be seen, and states only as \
/proc has them: pidfd_getfd: Operation not permitted"
    is_as_ever
}

@test "36-xray reads memory by ptrace where process_vm_readv is forbidden" {
    draw_without process_vm_readv -l - < <(hello)
    expect_result 0 ""
    is_as_ever
}

@test "36-xray says so where /proc does not tell what descriptors are" {
    [[ $BUILD != *asan* ]] || skip "a sanitizer needs /proc itself"
    local forbidden=readlinkat
    [[ $(uname -m) != x86_64 ]] || forbidden=readlink,readlinkat
    draw_without "$forbidden" -l - < <(hello)
    expect_result 1 "36-xray: which descriptors are sockets cannot be seen: \
/proc: Operation not permitted"
    expect_equal picture "" "$(<"$OUT")"
    unshare -rm true 2>/dev/null || skip "no private mounts here"
    # shellcheck disable=SC2016 # expanded by the shell that is started
    try unshare -rm sh -c 'mount -t tmpfs none /proc && exec "$@"' - \
        "$xray" -l "$BATS_TEST_TMPDIR/scene"
    expect_equal picture "" "$(<"$OUT")"
    has "36-xray: which descriptors are sockets cannot be seen: /proc: No such \
file or directory" "$BATS_TEST_TMPDIR/err"
    expect_equal status 1 "$status"
}

@test "36-xray without pidfd_getfd tells UDP, IPv6 and UNIX sockets apart" {
    draw_without pidfd_getfd -l - <<END
server: $BUILD/03-udp serve 0
client: $BUILD/03-udp send 127.0.0.1 {port} hello
END
    has $'client\tsend(3 udp to :'
    has $'wire\tclient > server\tUDP "hello"'
    draw_without pidfd_getfd -l - <<END
server: $BUILD/12-randomness egd serve $BATS_TEST_TMPDIR/socket
client: $BUILD/12-randomness egd get $BATS_TEST_TMPDIR/socket 16
END
    has $'server\taccept4(3 listener'
    has $'client\tconnect(3 unix, '
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    draw_without pidfd_getfd -l -c "$BUILD/07-timeouts" ::1 9
    has 'connect(3 tcp, [::1]:9) = -1 EINPROGRESS'
    has $'\tCLOSE'
}

@test "36-xray draws every actor before a second process of any" {
    local scene=$BATS_TEST_TMPDIR/forks
    cat >"$scene" <<END
server: $traced forks 8 socket*1
client: $BUILD/01-tcp-client 127.0.0.1 9 hello
END
    draw -l <"$scene"
    has $'client\tconnect(3 tcp, 127.0.0.1:9) = -1 ECONNREFUSED\tCLOSE'
    has $'server 5\tsocket('
    lacks 'server 6'
    # No call is lost.
    expect_equal calls 8 "$(grep -c $'^server.*\tsocket(' "$OUT")"
    draw <"$scene"
    has 'No column was left for 3 processes: they are drawn in that of another one'
}

@test "36-xray draws a listener at the server's side from its beginning on" {
    draw -l <<<"both: $BUILD/06-closing in-turn 0"
    expect_result 0 ""
    has $'both (server)\tlisten(3 tcp, '
    has $'both (server)\tbind(3 tcp, '
    expect_equal "sockets of the server" 1 \
        "$(grep -c $'^both (server)\tsocket(' "$OUT")"
    expect_equal "sockets of the client" 1 \
        "$(grep -c $'^both (client)\tsocket(' "$OUT")"
}

@test "36-xray tells which of several calls returns" {
    draw -c "$traced" pairs 3
    expect_result 0 ""
    # recv(4) and so on, each once, the last thread's first.
    grep -oE 'recv\([0-9]+ unix, 1\) \.\.\.' "$OUT" | sed -E 's/ .*//; s/$/)/' |
        tac >"$BATS_TEST_TMPDIR/begun"
    grep -oE '\.\.\. recv(\([0-9]+\))? = 1' "$OUT" | sed -E 's/^\.\.\. //; s/ =.*//' \
        >"$BATS_TEST_TMPDIR/returned"
    expect_equal calls 3 "$(wc -l <"$BATS_TEST_TMPDIR/returned")"
    # The last one to return is alone, but was not while it waited.
    diff "$BATS_TEST_TMPDIR/begun" "$BATS_TEST_TMPDIR/returned" >&2
}

@test "36-xray knows by listen(2) that a server is ready, and where" {
    skip_unless python3
    draw -t 8 -l <<END
server: python3 -m http.server --bind 127.0.0.1 0
client: $BUILD/01-tcp-client 127.0.0.1 {port} hello
END
    has $'server\tlisten(3 tcp, '
    has $'client\tconnect(3 tcp, 127.0.0.1:'
    has $'wire\tclient > server\tPSH ACK "hello\\n"'
    expect_equal status 0 "$status"
}

@test "36-xray says why an actor was not started" {
    draw -t 0.3 -l <<END
server: $traced hang
client: $traced say hello
END
    expect_result 124 "36-xray: the scene did not end in time, and was ended
36-xray: client was not started: server has not called listen, nor bound a \
socket for datagrams, nor printed \"listening on\""
}

# datagrams [unix PATH | first PORT]: the line of an actor that binds a socket for
# datagrams, prints "ready" and no port, and answers what it receives; with
# "first" it is a client, which sends to PORT first.
datagrams() {
    cat >"$BATS_TEST_TMPDIR/ready.py" <<'END'
import socket
import sys

if "unix" in sys.argv:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(sys.argv[2])
else:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
print("ready", flush=True)
if "first" in sys.argv:
    s.sendto(b"first", ("127.0.0.1", int(sys.argv[2])))
data, peer = s.recvfrom(100)
if peer and "first" not in sys.argv:
    s.sendto(data, peer)
END
    echo "ready: $(python3 -c 'import sys; print(sys.executable)')" \
        "$BATS_TEST_TMPDIR/ready.py $*"
}

@test "36-xray knows by bind(2) that a server of datagrams is ready, and where" {
    skip_unless python3
    draw -t 8 -l < <(
        datagrams
        echo "client: $BUILD/03-udp send 127.0.0.1 {port} hello"
    )
    expect_result 0 ""
    has $'wire\tclient > ready\tUDP "hello"'
    has $'wire\tready > client\tUDP "hello"'
    draw -t 8 -l < <(
        datagrams unix "$BATS_TEST_TMPDIR/socket"
        echo "client: $traced say hello"
    )
    expect_result 0 ""
    has $'client\twrite(1, "hello\\n") = 6'
}

@test "36-xray takes no client for a server because it binds its socket" {
    skip_unless python3
    # The first client waits for its answer, the second one asks the server.
    draw -t 8 -l < <(
        echo "server: $BUILD/03-udp serve 0"
        datagrams first '{port}'
        echo "client: $BUILD/03-udp send 127.0.0.1 {port} hello"
    )
    expect_result 0 ""
    has $'wire\tclient > server\tUDP "hello"'
}

@test "36-xray says that no program has a port where one is wanted" {
    draw -l <<<"client: $BUILD/01-tcp-client 127.0.0.1 {port} hello"
    expect_result 1 "36-xray: client needs {port}, but no program above it has a port"
    draw -l <<END
server: $traced say ready
client: $BUILD/01-tcp-client 127.0.0.1 {port} hello
END
    expect_result 1 "36-xray: client needs {port}, but no program above it has a port"
}

# is_image FILE: it is XML, and has no control characters.
is_image() {
    run ! grep -P '[\x00-\x08\x0b-\x1f]' "$1"
    run ! grep -vaxP '(*UTF8).*' "$1"
    ! command -v xmllint >/dev/null || xmllint --noout "$1" >&2
}

@test "36-xray draws names with any bytes in them, in text and as an image" {
    local svg=$BATS_TEST_TMPDIR/picture.svg
    skip_unless python3
    draw -s "$svg" -l -c python3 -c "
import socket
socket.socket(socket.AF_UNIX).bind(b'\0a\x01b\xff')
socket.socket(socket.AF_UNIX).bind(b'$BATS_TEST_TMPDIR/\x1b')"
    expect_result 0 ""
    has ', @a\x01b\xff) = 0'
    has '/\x1b) = 0'
    run ! grep -P '[\x01-\x08\x0b-\x1f\x7f-\xff]' "$OUT"
    is_image "$svg"
    # A name that is UTF-8, one that is not, and one with a control character.
    draw -s "$svg" -o "$BATS_TEST_TMPDIR/text" < <(printf '%s: true\n' \
        $'s\xc3\xa9rveur' $'s\xe9rveur' $'\x1b[1m')
    expect_result 0 ""
    is_image "$svg"
    has '>sérveur</text>' "$svg"
    has '>s\xe9rveur</text>' "$svg"
    has 's\xe9rveur' "$BATS_TEST_TMPDIR/text"
    has '\x1b[1m' "$BATS_TEST_TMPDIR/text"
    LC_ALL=C.UTF-8 draw < <(hello $'s\xc3\xa9rveur' $'\xf0\x9f\x98\x80')
    has '─' || skip "this machine has no locale C.UTF-8"
    has 'sérveur '
    has $'\xf0\x9f\x98\x80 '
    # A character takes one place: all lifelines stand below their names.
    python3 -c '
import sys
names, line = open(sys.argv[1], encoding="utf-8").readlines()[:2]
bars = [i for i, character in enumerate(line) if character == "\u2502"]
assert names.index("\U0001f600") == bars[0], (names, line)
assert names.index("s\u00e9rveur") == bars[1], (names, line)' "$OUT" >&2
}

@test "36-xray escapes what would change how a name is read, in all it writes" {
    local svg=$BATS_TEST_TMPDIR/picture.svg name at=0 raw
    # From right to left, an isolate, no width, a tag, C1, and no character.
    local -a names=($'\xe2\x80\xae' $'\xe2\x81\xa7' $'\xe2\x80\x8b'
        $'\xf3\xa0\x81\x81' $'\xc2\x85' $'\xef\xbf\xbf')
    local -a shown=('\u202e' '\u2067' '\u200b' '\ue0041' '\u0085' '\uffff')
    raw=$(printf '|%s' "${names[@]}")
    for name in "${names[@]}"; do
        LC_ALL=C.UTF-8 draw -t 0.3 -s "$svg" -o "$BATS_TEST_TMPDIR/text" <<END
a${name}b: $traced hang
c$name: $traced say hello
END
        ((status == 124))
        is_image "$svg"
        has ">a${shown[at]}b</text>" "$svg"
        has "a${shown[at]}b" "$BATS_TEST_TMPDIR/text"
        has "c${shown[at]} was not started: a${shown[at]}b" "$BATS_TEST_TMPDIR/err"
        run ! grep -aE "${raw#|}" "$svg" "$BATS_TEST_TMPDIR/text" "$BATS_TEST_TMPDIR/err"
        at=$((at + 1))
    done
    draw <<<$'no\xe2\x80\xae colon'
    expect_result 1 "36-xray: $BATS_TEST_TMPDIR/scene: no NAME: COMMAND: no\\u202e colon"
}

@test "36-xray cuts between words, and keeps how many bytes there were" {
    local many
    printf -v many '%0100d' 0
    COLUMNS=100 draw < <(hello ann bob | sed "2s/hello/${many//0/.}/")
    expect_result 0 ""
    has 'PSH ACK ... 101 bytes'
    local columns seconds
    # A unit does not leave its number, nor the dots of a call that waits its end.
    for columns in 64 67 70; do
        for seconds in 0.2 3; do # a slow machine needs longer until it waits
            COLUMNS=$columns draw -t "$seconds" < <(hello |
                sed 's/01-tcp-client/07-timeouts -t 600/; s/ hello//')
            ! grep -qF ' ms) ...' "$OUT" || break
        done
        has ' ms) ...'
        run ! grep -E '[|#] +(ms\)|\.\.\. *[|#]?$)' "$OUT"
    done
    for columns in 60 80 100; do
        COLUMNS=$columns draw < <(hello)
        expect_equal "whole constants" 4 "$(grep -c 'SOCK_CLOEXEC' "$OUT")"
        expect_equal "whole constants" 2 "$(grep -c 'SOCK_STREAM|' "$OUT")"
    done
}

# whole WORD: as many rows of text and of the image have it as calls in the list.
whole() {
    local calls
    calls=$(grep -cF -- "$1" "$OUT")
    expect_equal "calls with $1" yes "$( ((calls > 0)) && echo yes)"
    expect_equal "rows of text with $1" "$calls" \
        "$(grep -cF -- "$1" "$BATS_TEST_TMPDIR/text")"
    expect_equal "rows of the image with $1" "$calls" \
        "$(grep -cF -- "$1" "$BATS_TEST_TMPDIR/svg")"
}

@test "36-xray cuts no constant in a narrow column, and no escaped character" {
    local word columns
    local -a picture=(-s "$BATS_TEST_TMPDIR/svg" -o "$BATS_TEST_TMPDIR/text")
    hello a b c d e >"$BATS_TEST_TMPDIR/six"
    draw -l <"$BATS_TEST_TMPDIR/six"
    cp "$OUT" "$BATS_TEST_TMPDIR/list"
    for columns in 60 80 100; do
        COLUMNS=$columns draw "${picture[@]}" <"$BATS_TEST_TMPDIR/six"
        cp "$BATS_TEST_TMPDIR/list" "$OUT"
        for word in 'SOCK_STREAM|' SOCK_CLOEXEC SO_REUSEADDR; do
            whole "$word"
        done
        lacks 'more rows' "$BATS_TEST_TMPDIR/svg"
    done
    # A constant that needs a wider column gets one.
    skip_unless python3
    cat >"$BATS_TEST_TMPDIR/join.py" <<'END'
import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
             socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1"))
s.sendto(b"\r\n\r\n\r\n.\1\r\n\r\n\r\n", ("127.0.0.1", 9))
END
    for word in a b c d e f; do
        echo "$word: $(command -v python3) $BATS_TEST_TMPDIR/join.py"
    done >"$BATS_TEST_TMPDIR/six"
    draw -l <"$BATS_TEST_TMPDIR/six"
    cp "$OUT" "$BATS_TEST_TMPDIR/list"
    draw "${picture[@]}" <"$BATS_TEST_TMPDIR/six"
    cp "$BATS_TEST_TMPDIR/list" "$OUT"
    whole IP_ADD_MEMBERSHIP
    run ! grep -E '[^\\]\\ *(\||$)|[^\\]\\<' "$BATS_TEST_TMPDIR/text" \
        "$BATS_TEST_TMPDIR/svg"
}

@test "36-xray draws the state after a connect below the segments of it" {
    draw < <(hello | sed 's/01-tcp-client/07-timeouts/; s/ hello//')
    awk '/ SYN / && !/ACK/ { syn = NR } /= -1 EINPROGRESS/ { state = NR }
         END { exit !(syn > 0 && state > syn) }' "$OUT" || {
        cat "$OUT" >&2
        false
    }
}

@test "36-xray says whose calls it leaves out because the kernel hides them" {
    local user=()
    need_tracing
    if ((EUID == 0)); then
        skip_unless setpriv
        user=(setpriv --reuid 65534 --clear-groups)
        "${user[@]}" test -x "$traced" || skip "another user cannot come here"
    fi
    try "${user[@]}" "$xray" -l -c "$traced" hidden say hello
    expect_equal status 0 "$status"
    has $'program\tits sockets are hidden: not shown'
    lacks shutdown
    grep -qE '^36-xray: no calls on sockets of process [0-9]+ \(program\) will be seen: /proc/[0-9]+/fd: Permission denied$' \
        "$BATS_TEST_TMPDIR/err"
}

@test "36-xray shows an address of memory that cannot be read" {
    draw -l -c "$traced" astray
    expect_result 0 ""
    has 'bind(3 tcp, 0x1) = -1 EFAULT'
    has 'sendto(3 tcp, 0x2, 0x3) = -1'
    has 'sendmsg(3 tcp, 0x4) = -1 EFAULT'
    has 'writev(3 tcp, 0x5) = -1 EFAULT'
    has 'ppoll(0x6, for ever) = -1 EFAULT'
    has 'epoll_ctl(-1, EPOLL_CTL_ADD, 3, 0x7) = -1'
    has 'socket(AF_INET, SOCK_STREAM, 17) = -1 EPROTONOSUPPORT'
}

@test "36-xray names the interface that an address lies on" {
    draw -l -c "$traced" scoped
    expect_result 0 ""
    has 'connect(3 udp, [fe80::1%lo]:9) = '
}
