#!/usr/bin/env bats
# 36-xray and UNIX sockets: what one process says to another over no wire.

load ../lib/common
load ../lib/xray

setup() {
    skip_unless python3
    python=$(python3 -c 'import sys; print(sys.executable)')
}

# write_talk: a program that serves one client on a UNIX socket, or is it.
write_talk() {
    talk="$python $BATS_TEST_TMPDIR/talk.py"
    cat >"$BATS_TEST_TMPDIR/talk.py" <<'END'
import socket
import sys

kind, what, name = sys.argv[1:]
kind = getattr(socket, kind)
if name[0] == "@":
    name = "\0" + name[1:]
s = socket.socket(socket.AF_UNIX, kind)
if what == "serve" and kind == socket.SOCK_DGRAM:
    s.bind(name)
    print("listening on it", flush=True)
    data, client = s.recvfrom(100)
    s.sendto(data.upper(), client)
elif what == "serve":
    s.bind(name)
    s.listen()
    c, _ = s.accept()
    c.send(c.recv(100).upper())
elif kind == socket.SOCK_DGRAM:
    s.bind(name + ".client")
    s.sendto(b"hello\n", name)
    s.recv(100)
else:
    s.connect(name)
    s.send(b"hello\n")
    s.recv(100)
END
}

# messages: of the list in $OUT, a line each.
messages() {
    grep ^message "$OUT" | cut -f 2-
}

# says_hello KIND NAME: the picture of such a server and client has both
# messages, each after the call that sends it and before it has arrived.
says_hello() {
    rm -f "$2"*
    draw -l <<END
server: $talk $1 serve $2
client: $talk $1 send $2
END
    expect_result 0 ""
    expect_equal messages \
        $'client > server\t"hello\\n" 6 bytes\nserver > client\t"HELLO\\n" 6 bytes' \
        "$(messages)"
    awk -F '\t' '
        $1 == "client" && $2 ~ /^send/ { sent = NR }
        $1 == "message" && !came { came = NR }
        $1 == "server" && $2 ~ /^send/ { answered = NR }
        END { exit !(sent > 0 && came == sent + 1 && answered > came) }' "$OUT" || {
        cat "$OUT" >&2
        false
    }
    lacks wire
}

@test "36-xray draws the messages of each kind of UNIX socket as arrows" {
    local kind
    write_talk
    for kind in SOCK_STREAM SOCK_SEQPACKET SOCK_DGRAM; do
        says_hello "$kind" "$BATS_TEST_TMPDIR/socket"
        says_hello "$kind" "@36-xray"
    done
}

@test "36-xray without pidfd_getfd pairs UNIX sockets all the same" {
    need_tracing
    write_talk
    local kind
    for kind in SOCK_STREAM SOCK_SEQPACKET SOCK_DGRAM; do
        cat >"$BATS_TEST_TMPDIR/scene" <<END
server: $talk $kind serve @36-xray
client: $talk $kind send @36-xray
END
        try "$BUILD/tests/private" "$BUILD/tests/forbid" pidfd_getfd "$xray" -l \
            "$BATS_TEST_TMPDIR/scene"
        ((status != 77)) || skip "this machine lets nobody forbid a call"
        expect_equal messages \
            $'client > server\t"hello\\n" 6 bytes\nserver > client\t"HELLO\\n" 6 bytes' \
            "$(messages)"
    done
}

# draw_python [OPTION...]: X-rays the Python program on standard input.
draw_python() {
    cat >"$BATS_TEST_TMPDIR/program.py"
    draw "$@" -c "$python" "$BATS_TEST_TMPDIR/program.py"
}

@test "36-xray draws what a parent and its child say over a pair of sockets" {
    draw_python -l <<'END'
import os, socket
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    a.close()
    b.send(b.recv(100) * 100)
    os._exit(0)
b.close()
os.write(a.fileno(), b"one")
a.recv(300, socket.MSG_WAITALL)
os.waitpid(child, 0)
END
    expect_result 0 ""
    expect_equal messages $'program > program 2\t"one" 3 bytes
program 2 > program\t"oneoneoneoneoneoneoneone"... 300 bytes' "$(messages)"
}

@test "36-xray draws a message at that process of several which receives it" {
    draw_python -l <<'END'
import os, socket
a, b = socket.socketpair()
r, w = os.pipe()
first = os.fork()
if first == 0:
    socket.socket().close()
    os.close(w)
    os.read(r, 1)
    os._exit(0)
second = os.fork()
if second == 0:
    b.recv(100)
    os._exit(0)
a.send(b"one")
os.waitpid(second, 0)
os.close(w)
os.waitpid(first, 0)
END
    expect_result 0 ""
    expect_equal messages $'program > program 3\t"one" 3 bytes' "$(messages)"
}

@test "36-xray draws a message that nobody has received where it waits" {
    # The child never reads, and the server has not accepted.
    draw_python -l <<'END'
import os, socket
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    a.close()
    socket.socket().close()
    os.kill(os.getpid(), 19)
    os._exit(0)
b.close()
os.waitpid(child, os.WUNTRACED)
a.send(b"one")
os.kill(child, 18)
os.waitpid(child, 0)
END
    expect_result 0 ""
    expect_equal messages $'program > program 2\t"one" 3 bytes' "$(messages)"
    printf '%s\n' "server: $python $BATS_TEST_TMPDIR/deaf.py" \
        "client: $python $BATS_TEST_TMPDIR/brief.py" >"$BATS_TEST_TMPDIR/two"
    cat >"$BATS_TEST_TMPDIR/deaf.py" <<'END'
import signal, socket
s = socket.socket(socket.AF_UNIX)
s.bind("\0u")
s.listen()
signal.pause()
END
    cat >"$BATS_TEST_TMPDIR/brief.py" <<'END'
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("\0u")
s.send(b"one")
END
    draw -l <"$BATS_TEST_TMPDIR/two"
    expect_result 0 ""
    expect_equal messages $'client > server\t"one" 3 bytes' "$(messages)"
}

@test "36-xray draws no arrow for what a process tells itself" {
    draw_python -l <<'END'
import socket
a, b = socket.socketpair()
a.send(b"one")
b.recv(100)
END
    expect_result 0 ""
    expect_equal messages "" "$(messages)"
    has ' unix, 100) = 3 "one"'
}

write_passing() {
    cat >"$BATS_TEST_TMPDIR/passing.py" <<'END'
import os, socket
a, b = socket.socketpair()
x, y = socket.socketpair()
high = [os.dup2(y.fileno(), 20 + i) for i in range(3)]
child = os.fork()
if child == 0:
    a.close()
    x.close()
    y.close()
    os.closerange(20, 23)
    _, got, _, _ = socket.recv_fds(b, 10, 3)
    os.write(got[0], b"through")
    socket.recv_fds(b, 10, 3)
    # There is room for one of them only.
    b.recvmsg(10, socket.CMSG_LEN(4))
    os._exit(0)
b.close()
socket.send_fds(a, [b"x"], high[:1])
x.recv(10)
socket.send_fds(a, [b"two"], high[1:])
socket.send_fds(a, [b"cut"], high)
os.waitpid(child, 0)
END
}

@test "36-xray says which descriptors a message carries, and their numbers there" {
    write_passing
    draw -l -c "$python" "$BATS_TEST_TMPDIR/passing.py"
    expect_result 0 ""
    has '"x" + descriptor 20) = 1'
    has 'unix, ...) = 1 "x" + descriptor 3'
    has '"two" + descriptors 21, 22) = 3'
    grep -q 'unix, ...) = 3 "two" + descriptors [0-9]*, [0-9]*' "$OUT"
    grep -q 'unix, ...) = 3 "cut" + descriptor [0-9]* MSG_CTRUNC' "$OUT"
    expect_equal messages $'program > program 2\t"x" 1 byte + descriptor 20 -> 3
program 2 > program\t"through" 7 bytes
program > program 2\t"two" 3 bytes + descriptors 21, 22 -> N, N
program > program 2\t"cut" 3 bytes + descriptors 20, 21, 22 -> N' \
        "$(messages | sed '/ descriptors /s/-> [0-9]*/-> N/; s/N, [0-9]*/N, N/')"
}

@test "36-xray draws the arrow of a descriptor below that of its bytes" {
    local svg=$BATS_TEST_TMPDIR/picture.svg
    write_passing
    COLUMNS=80 draw -s "$svg" -o "$BATS_TEST_TMPDIR/picture" \
        -c "$python" "$BATS_TEST_TMPDIR/passing.py"
    expect_result 0 ""
    grep -qE '^ +[0-9.]+  \|<\.+ "x" 1 byte \.+\|$' "$BATS_TEST_TMPDIR/picture"
    grep -qE '^ {9}\|<\.+ \+ descriptor 20 -> 3 \.+\|$' "$BATS_TEST_TMPDIR/picture"
    has '>+ descriptor 20 -&gt; 3</text>' "$svg"
    has '<path class="a m"' "$svg"
    lacks '<path class="a" ' "$svg"
    LC_ALL=C.UTF-8 draw -c "$python" "$BATS_TEST_TMPDIR/passing.py"
    has '╌ "x" 1 byte ╌' || skip "this machine has no locale C.UTF-8"
}

@test "36-xray says so where the kernel does not tell the peers" {
    need_tracing
    need_faults
    write_talk
    cat >"$BATS_TEST_TMPDIR/scene" <<END
server: env -u LD_PRELOAD $talk SOCK_STREAM serve @36-xray
client: env -u LD_PRELOAD $talk SOCK_STREAM send @36-xray
END
    try "${faulty[@]}" FAULT_CALL=socket FAULT_ERRNO=1 FAULT_TIMES=1000 \
        "$xray" -l \
        "$BATS_TEST_TMPDIR/scene"
    [[ $errors == *"36-xray: no messages on UNIX sockets will be seen: the kernel \
does not tell their peers (sock_diag)" ]]
    expect_equal status 0 "$status"
    has 'send(3 unix, "hello\n") = 6'
    expect_equal messages "" "$(messages)"
}
