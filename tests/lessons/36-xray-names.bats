#!/usr/bin/env bats
# 36-xray: what it calls the data that cross the wire, and how labels and names are
# made to fit.

load ../lib/common
load ../lib/xray

setup() {
    picture=$BATS_TEST_TMPDIR/picture
    svg=$BATS_TEST_TMPDIR/picture.svg
}

# arrows: the arrows of the list in $OUT that carry data.
arrows() {
    sed -En 's/:[0-9]{4,5}$/:PORT/
        s/^(wire|message)\t(.*)\t(.*)/\2: \3/p' "$OUT" |
        grep -vE ': ([A-Z] )?(SYN|SYN ACK|ACK|FIN ACK)$'
}

# resolve ARGUMENT...: the scene of lesson 30, with these questions.
resolve() {
    echo "server: build/peers/zone lessons/30-dns-client/example.zone 0"
    echo "client: $BUILD/30-dns-client -s 127.0.0.1 -p {port} $*"
}

@test "36-xray names a question and an answer of DNS" {
    draw -l < <(resolve www.example)
    expect_result 0 ""
    expect_equal arrows "client > server: UDP DNS question www.example A
server > client: UDP DNS answer: 2 addresses" "$(arrows)"
    draw -l < <(resolve -t MX none.example)
    expect_equal arrows "client > server: UDP DNS question none.example MX
server > client: UDP DNS answer: NXDOMAIN" "$(arrows)"
    draw -l < <(resolve -t AAAA mail.example)
    expect_equal arrows "client > server: UDP DNS question mail.example AAAA
server > client: UDP DNS answer: no records" "$(arrows)"
}

@test "36-xray names what DNS says over TCP" {
    draw -l < <(resolve many.example)
    expect_result 0 ""
    has 'A UDP DNS answer: cut'
    has 'B PSH ACK DNS question many.example A'
    arrows | grep -qE '^server > client: B PSH ACK DNS answer: [0-9]+ addresses$'
}

@test "36-xray names the requests and replies of HTTP" {
    draw -l <lessons/31-http-client/scene
    expect_result 0 ""
    expect_equal arrows "client > server: PSH ACK GET /old HTTP/1.1
server > client: PSH ACK HTTP/1.1 301 Moved
client > server: PSH ACK GET /hello HTTP/1.1
server > client: PSH ACK HTTP/1.1 200 OK" "$(arrows)"
}

@test "36-xray names what is said to a proxy" {
    draw -l <lessons/33-socks-proxy/scene
    expect_result 0 ""
    expect_equal arrows 'client > proxy: PSH ACK SOCKS greeting
proxy > client: PSH ACK SOCKS method: no password
client > proxy: PSH ACK SOCKS request 127.0.0.1:PORT
proxy > client: PSH ACK SOCKS reply: succeeded
client > proxy: PSH ACK "hello"
proxy > client: PSH ACK "hello"
client > proxy: PSH ACK "hello"
proxy > client: PSH ACK "hello"' "$(arrows)"
}

# through_proxy: an HTTP server, a proxy, and a client of both.
through_proxy() {
    echo "server: $BUILD/32-http-server lessons/32-http-server 8080"
    echo "proxy: $BUILD/33-socks-proxy -a 127.0.0.0/8 0"
    echo "client: curl -sS -o /dev/null --socks5-hostname 127.0.0.1:{port}" \
        "http://127.0.0.1:8080/scene"
}

@test "36-xray names in one picture what client, proxy and server say" {
    skip_unless curl
    draw -l < <(through_proxy)
    expect_result 0 ""
    expect_equal arrows "client > proxy: PSH ACK SOCKS greeting
proxy > client: PSH ACK SOCKS method: no password
client > proxy: PSH ACK SOCKS request 127.0.0.1:PORT
proxy > client: PSH ACK SOCKS reply: succeeded
client > proxy: PSH ACK GET /scene HTTP/1.1
proxy > server: PSH ACK GET /scene HTTP/1.1
server > proxy: PSH ACK HTTP/1.1 200 OK
proxy > client: PSH ACK HTTP/1.1 200 OK" "$(arrows)"
    # In narrow columns, a name goes on in the next row.
    COLUMNS=80 LC_ALL=C draw < <(through_proxy)
    grep -A 1 '\-> *SOCKS\|- SOCKS\|- GET\|- HTTP' "$OUT" |
        cut -c 10- | sed 's/#/|/g; s/ *$//' >"$picture"
    has '|--- SOCKS request --->|' "$picture"
    has '|    127.0.0.1:8080    |' "$picture"
    has '|<--- SOCKS reply: ----|' "$picture"
    has '|      succeeded       |' "$picture"
    has '|----- GET /scene ---->|' "$picture"
    has '|<- HTTP/1.1 200 OK ---|' "$picture"
    # Nothing is written over a lifeline, and no row is too long.
    ! grep -E '^[ 0-9.]{9}[^|#]' "$OUT" | grep -v ' ms' || false
    expect_equal "rows that are too long" "" "$(grep -E '.{81}' "$OUT")"
}

@test "36-xray names the bytes of other protocols by no name of theirs" {
    # The first bytes of a greeting, but not at the beginning of a connection;
    # and a text with the name of HTTP in it.
    echo "server: $BUILD/02-tcp-server 0" >"$BATS_TEST_TMPDIR/other"
    cat >"$BATS_TEST_TMPDIR/talk" <<END
exec 3<>/dev/tcp/127.0.0.1/\$1
printf 'a\n' >&3; read -r line <&3
printf '\5\1\n' >&3; read -r line <&3
printf 'GET HTTP/1.1\n' >&3; read -r line <&3
END
    echo "client: bash $BATS_TEST_TMPDIR/talk {port}" >>"$BATS_TEST_TMPDIR/other"
    draw -l <"$BATS_TEST_TMPDIR/other"
    expect_result 0 ""
    has 'PSH ACK <05010a>'
    has 'PSH ACK "GET HTTP/1.1\n"'
    lacks 'SOCKS'
}

@test "36-xray sees who says something of SOCKS, and after what" {
    # A proxy that only chooses a method; and clients that send two things before
    # it answers: a greeting and what only a proxy says, or a request twice.
    cat >"$BATS_TEST_TMPDIR/talk.py" <<'END'
import socket
import sys

greeting, choice = b"\5\1\0", b"\5\0"
request = b"\5\1\0\1\x7f\0\0\1\0\x50"
if sys.argv[1] == "proxy":
    listener = socket.create_server(("127.0.0.1", 0))
    s, _ = listener.accept()
    s.recv(100)
    s.sendall(choice)
else:
    s = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(greeting)
    if sys.argv[1] == "twice":
        s.recv(100)
        s.sendall(request)
        s.sendall(request)
    else:
        s.sendall(choice)
    s.shutdown(socket.SHUT_WR)
while s.recv(100):
    pass
END
    skip_unless python3
    local manner
    for manner in early twice; do
        draw -l <<END
proxy: $(command -v python3) $BATS_TEST_TMPDIR/talk.py proxy
client: $(command -v python3) $BATS_TEST_TMPDIR/talk.py $manner {port}
END
        arrows | grep '^client' >"$BATS_TEST_TMPDIR/$manner"
    done
    expect_equal early "client > proxy: PSH ACK SOCKS greeting
client > proxy: PSH ACK <0500>" "$(<"$BATS_TEST_TMPDIR/early")"
    expect_equal twice "client > proxy: PSH ACK SOCKS greeting
client > proxy: PSH ACK SOCKS request 127.0.0.1:80
client > proxy: PSH ACK <050100017f0000010050>" "$(<"$BATS_TEST_TMPDIR/twice")"
}

@test "36-xray names HTTP over a UNIX socket" {
    skip_unless python3
    cat >"$BATS_TEST_TMPDIR/talk.py" <<'END'
import os
import socket

one, other = socket.socketpair()
if os.fork() == 0:
    one.close()
    other.recv(100)
    other.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
    os._exit(0)
other.close()
one.sendall(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
one.recv(100)
END
    draw -l <<<"talk: $(command -v python3) $BATS_TEST_TMPDIR/talk.py"
    expect_result 0 ""
    has $'message\ttalk > talk 2\tGET /here HTTP/1.1'
    has $'message\ttalk 2 > talk\tHTTP/1.1 404 Not Found'
}

@test "36-xray leaves out the flags where a name has no room beside them" {
    COLUMNS=74 LC_ALL=C draw < <(resolve www.example)
    grep -qE '^ +[0-9.]+ +[|#]- DNS question www\.example A -+>[|#]$' "$OUT" ||
        { cat "$OUT" >&2 && false; }
    COLUMNS=90 LC_ALL=C draw < <(resolve www.example)
    grep -qE '^ +[0-9.]+ +[|#]-+ UDP DNS question www\.example A -+>[|#]$' "$OUT" ||
        { cat "$OUT" >&2 && false; }
}

@test "36-xray cuts no word in the name of data: it goes on in the next row" {
    draw -s "$svg" <lessons/09-ssl-server/scene
    expect_equal cut "" "$(grep -oE '>[^<]*ChangeC[^<]*' "$svg" | grep -v 'CipherSpec,$')"
    grep -A 1 '>ChangeCipherSpec,<' "$svg" | grep -qE '>[0-9]+ encrypted bytes<'
}

@test "36-xray takes an actor with a long name, and cuts its label" {
    local long
    printf -v long 'a%0254d' 7
    draw -l <<<"$long: $traced say hello"
    expect_result 0 ""
    has "$long"$'\twrite(1, "hello\\n")'
    COLUMNS=80 draw < <(hello one "$long")
    expect_result 0 ""
    grep -qE '^     ms  a0+\.\.\.0+7  *one +server$' "$OUT" ||
        { cat "$OUT" >&2 && false; }
    expect_equal "rows that are too long" "" "$(LC_ALL=C.UTF-8 grep -E '.{81}' "$OUT")"
    draw -s "$svg" < <(hello one "$long")
    grep -qE 'class="n">a0+\.\.\.0+7</text>' "$svg"
    # A character is kept as a whole.
    printf -v long '%0100d' 0
    COLUMNS=40 LC_ALL=C.UTF-8 draw <<<"${long//0/ä}: $traced say hello"
    LC_ALL=C.UTF-8 grep -qE '^     ms  ä{18}\.\.\.ä{9}$' "$OUT" ||
        { cat "$OUT" >&2 && false; }
}

@test "36-xray breaks long lines below a picture" {
    local name
    printf -v name 'long%028d' 0 # as long as is written
    COLUMNS=80 draw -f < <(hello one two "$name")
    expect_result 0 ""
    has 'unacknowledged 0'
    expect_equal "rows that are too long" "" "$(LC_ALL=C.UTF-8 grep -E '.{81}' "$OUT")"
    tr '\n' ' ' <"$OUT" >"$picture"
    grep -qE "$name, to :[0-9]+: round trip [0-9.]+ ms, congestion window [0-9]+, unacknowledged 0 " "$picture"
}
