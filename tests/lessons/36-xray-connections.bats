#!/usr/bin/env bats
# 36-xray and several connections in one picture.

load ../lib/common
load ../lib/xray

# marked LETTER: how many lines of the list have this letter.
marked() {
    grep -cE $'\t'"$1"'( |$)' "$OUT"
}

# ports_of LETTER: whence the connections are that the server's calls have it of.
ports_of() {
    sed -nE $'s/^server\t[a-z]*\([0-9]+ from (:[0-9]+).*\t'"$1"'$/\1/p' "$OUT" | sort -u
}

@test "36-xray gives each connection of one client a letter" {
    draw -l <<END
server: $BUILD/24-poll-chat 0
crowd: $BUILD/peers/chatters -q -n 2 -b 24 {port}
END
    expect_result 0 ""
    has $'wire\tcrowd > server\tA SYN'
    has $'wire\tcrowd > server\tB SYN'
    lacks $'\tC '
    # So has each call of the client, also while the other connection begins.
    expect_equal "letters of 3" A "$(grep -P '^crowd\t[a-z]+\(3 ' "$OUT" | sed 's/.*\t//' | sort -u)"
    expect_equal "letters of 4" B "$(grep -P '^crowd\t[a-z]+\(4 ' "$OUT" | sed 's/.*\t//' | sort -u)"
    # The server's calls on the connection of one port have one letter.
    local a b
    a=$(ports_of A)
    b=$(ports_of B)
    [[ $a =~ ^:[0-9]+$ && $b =~ ^:[0-9]+$ && $a != "$b" ]]
    (($(marked A) > 10 && $(marked B) > 10))
}

@test "36-xray gives no letter where there is one connection, or a client each" {
    local svg=$BATS_TEST_TMPDIR/picture.svg
    draw -l -s "$svg" < <(hello)
    expect_equal letters 0 "$(marked A)"
    lacks '<g class=' "$svg"
    draw -l -s "$svg" < <(hello ann bob)
    expect_equal letters 0 "$(marked A)"
    # But a colour.
    has '<g class="c0">' "$svg"
    has '<g class="c1">' "$svg"
    lacks '<g class="c2">' "$svg"
    has '.c1 text,.c1 .h{fill:' "$svg"
}

# write_race: a server, a second address that is silent, since its queue is full,
# and a client that tries both of them and one that refuses.
write_race() {
    skip_unless python3
    python=$(python3 -c 'import sys; print(sys.executable)')
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    cat >"$BATS_TEST_TMPDIR/server.py" <<'END'
import socket
full = socket.socket()
full.bind(("127.0.0.2", 0))
full.listen(0)
port = full.getsockname()[1]
waits = socket.create_connection(("127.0.0.2", port))
s = socket.socket()
s.bind(("127.0.0.1", port))
s.listen()
print("listening on 127.0.0.1:%d" % port, flush=True)
while True:
    c, _ = s.accept()
    c.sendall(c.recv(100))
    c.close()
END
    cat >"$BATS_TEST_TMPDIR/client.py" <<'END'
import select, socket, sys
port = int(sys.argv[1])
all = []
for family, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2"),
                        (socket.AF_INET, "127.0.0.1")):
    s = socket.socket(family)
    s.setblocking(False)
    s.connect_ex((address, port))
    all.append(s)
    if address == "127.0.0.2":
        select.select([], [s], [], 0.1)
for s in all:
    s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
for s in all[:2]:
    s.close()
all[2].setblocking(True)
all[2].send(b"hello\n")
all[2].recv(100)
END
    printf '%s\n' "server: $python $BATS_TEST_TMPDIR/server.py" \
        "client: $python $BATS_TEST_TMPDIR/client.py {port}" >"$BATS_TEST_TMPDIR/race"
}

# calls LETTER: the client's calls on that connection, each with its state.
calls() {
    listed | sed -nE $'s/^client\t([a-z]*)\(.*\) = ([^\t]*)\t([A-Z_0-9]*)\t'"$1"'$/\1 \2 \3/p' |
        grep -v '^ioctl\|^fcntl' | sed 's/socket [0-9]*/socket N/; s/  *$//'
}

@test "36-xray tells the attempts of one client apart, each with its state" {
    write_race
    draw -l <"$BATS_TEST_TMPDIR/race"
    expect_result 0 ""
    expect_equal "refused attempt" \
        $'socket N CLOSE\nconnect -1 EINPROGRESS CLOSE\ngetsockopt 0 [ECONNREFUSED] CLOSE\nclose 0' \
        "$(calls A)"
    expect_equal "silent attempt" \
        $'socket N CLOSE\nconnect -1 EINPROGRESS SYN_SENT\ngetsockopt 0 [0] SYN_SENT\nclose 0' \
        "$(calls B)"
    [[ $(calls C) == $'socket N CLOSE\nconnect -1 EINPROGRESS ESTABLISHED\n'*send* ]]
    has $'wire\tclient > others\tA SYN'
    has $'wire\tothers > client\tA RST ACK'
    has $'wire\tclient > server (server)\tB SYN'
    has $'wire\tserver (server) > client\tC SYN ACK'
    lacks $'\tB SYN ACK'
    grep -qE $'^server \(server\)\taccept4.*\tC$' "$OUT"
}

@test "36-xray draws the letters on the lifelines, and in the arrows" {
    local svg=$BATS_TEST_TMPDIR/picture.svg picture=$BATS_TEST_TMPDIR/picture
    write_race
    COLUMNS=80 draw -s "$svg" -o "$picture" <"$BATS_TEST_TMPDIR/race"
    expect_result 0 ""
    grep -qE '^ +[0-9.]+  A connect\(3' "$picture"
    grep -qE '^ +[0-9.]+  B \.\.\. connect' "$picture"
    grep -qE '^ +[0-9.]+  \|-+ B SYN -+>[|#]' "$picture"
    has 'Each connection has a letter, which stands before its calls and in its arrows.' \
        "$picture"
    grep -qE '^<text .* class="k">B</text>$' "$svg"
    grep -qE '^<text .* class="w">C SYN ACK</text>$' "$svg"
    has '<circle class="h" ' "$svg"
    # Whose connection an accept will return is not known while it waits.
    run ! grep -qE 'C accept4\(' "$picture"
    grep -qE 'C \.\.\. accept4' "$picture"
    ! command -v xmllint >/dev/null || xmllint --noout "$svg" >&2
    draw < <(hello)
    lacks 'has a letter'
}

@test "36-xray tells several pairs of UNIX sockets apart" {
    skip_unless python3
    python=$(python3 -c 'import sys; print(sys.executable)')
    cat >"$BATS_TEST_TMPDIR/pairs.py" <<'END'
import os, socket
pairs = [socket.socketpair() for _ in range(2)]
if os.fork() == 0:
    for a, b in pairs:
        b.send(b.recv(10))
    os._exit(0)
for a, b in pairs:
    a.send(b"one")
    a.recv(10)
os.wait()
END
    draw -l -c "$python" "$BATS_TEST_TMPDIR/pairs.py"
    expect_result 0 ""
    expect_equal messages $'program > program 2\tA "one" 3 bytes
program 2 > program\tA "one" 3 bytes
program > program 2\tB "one" 3 bytes
program 2 > program\tB "one" 3 bytes' "$(grep ^message "$OUT" | cut -f 2-)"
    grep -qE $'^program\tsend\(.*\tA$' "$OUT"
    grep -qE $'^program 2\trecv\(.*\tB$' "$OUT"
}
