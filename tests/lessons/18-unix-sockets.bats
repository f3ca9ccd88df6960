#!/usr/bin/env bats
# 18-unix-sockets [-m] serve PATH|send PATH MESSAGE|pair: a server, a client and
# a pair of sockets without a network.

load ../lib/common
load ../lib/clock

program=$BUILD/18-unix-sockets
solution=$BUILD/solution/18-unix-sockets
rude=$BUILD/peers/rude-unix

# serve [COMMAND...] [-m]: starts the server; its path is $socket, and SERVER its
# process number.
serve() {
    local option=
    if [[ ${*: -1} == -m ]]; then
        option=-m
        set -- "${@:1:$#-1}"
    fi
    socket=${socket:-$BATS_TEST_TMPDIR/socket}
    start server "$@" "$program" ${option:+"$option"} serve "$socket"
    wait_for server "listening on $socket"
    SERVER=$(pid_of server)
}

# send [OPTION] MESSAGE: our client; what it printed is in $OUT.
send() {
    local message=${*: -1}
    try "$program" "${@:1:$#-1}" send "$socket" "$message"
}

# expect_echo MESSAGE: the last `send` got its own message back.
expect_echo() {
    expect_result 0 ""
    expect_output --text "connected to process $SERVER, user $(id -u), group $(id -g)\n$1\n"
}

expect_served() {
    send hello
    expect_echo hello
}

# said TEXT: that is all that the server has printed on standard error.
said() {
    until_true is_said "$1"
}

is_said() {
    [[ $(<"$BATS_TEST_TMPDIR/server.err") == "$1" ]]
}

# ---- a server and a client ----------------------------------------------------

@test "18-unix-sockets: a client gets its message back, and both say who the peer is" {
    serve
    # shellcheck disable=SC2016 # for the other bash
    try bash -c 'echo $$ && exec "$@"' - "$program" send "$socket" hello
    expect_result 0 ""
    read -r pid <"$OUT"
    expect_output --text "$pid\nconnected to process $SERVER, user $(id -u), group $(id -g)\nhello\n"
    wait_for server "process $pid: closed after 6 bytes"
    expect_lines server "listening on $socket" \
        "process $pid, user $(id -u), group $(id -g): connected" \
        "process $pid: closed after 6 bytes"
    said ''
}

@test "18-unix-sockets says which user and which group have connected" {
    skip_unless setpriv
    ((UID == 0)) || skip "only root can be another user"
    socket=@18-user-$$
    serve
    # An abstract name has no permissions, so everybody can connect.
    try setpriv --reuid=65534 --regid=65533 --clear-groups "$program" send \
        "$socket" hello
    expect_result 0 ""
    wait_for server "*closed after 6 bytes"
    expect_lines server "*" "process *, user 65534, group 65533: connected" "*"
}

@test "18-unix-sockets: the credentials are those of the process that connected" {
    skip_unless python3
    serve
    try python3 -c '
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
if os.fork() == 0:
    s.sendall(b"from the child")
    s.shutdown(socket.SHUT_WR)
    while s.recv(100):
        pass
    os._exit(0)
os.wait()
print(os.getpid())
' "$socket"
    expect_result 0 ""
    wait_for server "process $(<"$OUT"): closed after 14 bytes"
    expect_lines server "*" "process $(<"$OUT"), *" "*"
}

@test "18-unix-sockets: a server's credentials are those of the process that listened" {
    skip_unless python3
    try python3 -c '
import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
if os.fork() == 0:
    listener.accept()[0].recv(1)
    os._exit(0)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
pid, = struct.unpack("i8x", s.getsockopt(
    socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
print(pid == os.getpid())
s.close()
os.wait()
' "$BATS_TEST_TMPDIR/socket"
    expect_result 0 ""
    expect_output --text 'True\n'
}

@test "18-unix-sockets serves 100 clients in turn, and keeps no descriptor" {
    local before i
    serve
    expect_served
    before=$(descriptors "$(pid_of server)")
    for ((i = 0; i < 100; i++)); do
        "$rude" connect "$socket" 00ff0a -3 >>"$BATS_TEST_TMPDIR/heard"
    done
    expect_equal "answers" 100 "$(grep -cx 00ff0a "$BATS_TEST_TMPDIR/heard")"
    expect_served
    until_true holds_descriptors "$(pid_of server)" "$before"
    said ''
}

# poll reports such a byte, and recv does not return it.
@test "18-unix-sockets is not kept waiting by a byte that is out of band" {
    skip_unless python3
    serve
    start rude_client python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.send(b"x", socket.MSG_OOB)
print("sent", flush=True)
time.sleep(60)' "$socket"
    wait_for rude_client sent
    wait_for server "18-unix-sockets: recv from process *: *" err
    expect_served
}

@test "18-unix-sockets' client prints what comes, to the end, in whatever pieces" {
    local peer_socket=$BATS_TEST_TMPDIR/peer
    start peer "$rude" serve "$peer_socket" -6 61 620a63 0a
    wait_for peer "listening on *"
    socket=$peer_socket
    send hello
    expect_result 0 ""
    [[ $(tail -n +2 "$OUT") == $'ab\nc' ]]
    finish peer
    expect_lines peer "*" 68656c6c6f0a
}

@test "18-unix-sockets goes on after clients that leave" {
    serve
    "$rude" connect "$socket"
    "$rude" connect "$socket" 0102
    frozen "$rude" connect "$socket" 0102
    expect_served
    is_running server
}

# Two clients wait for each other: one says nothing, and the other is behind it.
one_who_stalls() {
    local start now
    serve
    look_at_clock
    start=$now
    start stalled "$rude" connect "$socket" 01 stall
    wait_for server "*: connected"
    expect_served
    look_at_clock
    took=$((now - start))
    [[ $(<"$BATS_TEST_TMPDIR/server.err") == "18-unix-sockets: recv from process \
$(pid_of stalled): Connection timed out" ]]
    stop_all
}

@test "18-unix-sockets gives a second to a client that stalls" {
    measured 99 160 one_who_stalls
}

get_from_who_stalls() {
    local start now
    rm -f "$BATS_TEST_TMPDIR/peer"
    start peer "$rude" serve "$BATS_TEST_TMPDIR/peer" stall
    wait_for peer "listening on *"
    look_at_clock
    start=$now
    try "$program" send "$BATS_TEST_TMPDIR/peer" hello
    look_at_clock
    took=$((now - start))
    stop peer
}

@test "18-unix-sockets' client waits a second for the answer, and no longer" {
    measured 99 160 get_from_who_stalls
    expect_result 1 "18-unix-sockets: recv: Connection timed out"
}

# ---- the file, and its permissions ---------------------------------------------

@test "18-unix-sockets ends on a signal with status 0, and removes its socket" {
    local signal
    for signal in INT TERM; do
        serve
        [[ -S $socket ]]
        until_true all_cloexec "$SERVER" 1
        stop server "$signal"
        expect_equal status 0 "$ended"
        [[ ! -e $socket ]]
        said ''
    done
    serve # and with a client, after its time
    start stalled "$rude" connect "$socket" 00 -1 stall
    wait_for stalled 00
    stop server
    expect_equal status 0 "$ended"
    [[ ! -e $socket ]]
}

@test "18-unix-sockets' file is private from its first moment, whatever the umask" {
    need_faults
    # It is stopped behind bind, before anybody can connect.
    socket=$BATS_TEST_TMPDIR/socket
    # shellcheck disable=SC2016
    start server "${faulty[@]}" FAULT_CALL=listen FAULT_SIGNAL=19 \
        bash -c 'umask 0; exec "$@"' - "$program" serve "$socket"
    until_true is_stopped "$(pid_of server)"
    expect_equal permissions 600 "$(stat -c %a "$socket")"
    kill -CONT "$(pid_of server)"
    wait_for server "listening on *"
    expect_equal permissions 600 "$(stat -c %a "$socket")"
}

@test "18-unix-sockets: without the umask, the file is open between bind and chmod" {
    need_faults
    sed -e 's/umask(PRIVATE)/umask(0)/' -e 's/if (listen(fd/(void)chmod(path, 0600);\n    &/' \
        "$SOURCE/unix-sockets.c" >"$BATS_TEST_TMPDIR/careless.c"
    cc -Icommon -o "$BATS_TEST_TMPDIR/careless" "$BATS_TEST_TMPDIR/careless.c" \
        "$BUILD/common.a"
    socket=$BATS_TEST_TMPDIR/socket
    start server "${faulty[@]}" FAULT_CALL=chmod FAULT_SIGNAL=19 \
        "$BATS_TEST_TMPDIR/careless" serve "$socket"
    until_true is_stopped "$(pid_of server)"
    expect_equal permissions 777 "$(stat -c %a "$socket")"
    kill -CONT "$(pid_of server)"
    wait_for server "listening on *"
    expect_equal permissions 600 "$(stat -c %a "$socket")"
}

@test "18-unix-sockets: permissions are checked in connect, and never again" {
    skip_unless python3
    # Root may do everything, so it becomes somebody else.
    try python3 -c '
import os, socket, sys
path = sys.argv[1]
os.umask(0)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
os.chmod(os.path.dirname(path), 0o777)
if os.getuid() == 0:
    os.setresuid(65534, 65534, 0)
first = socket.socket(socket.AF_UNIX)
first.connect(path)
if os.getresuid()[2] == 0:
    os.setresuid(0, 0, 0)
os.chmod(path, 0o444)
if os.getuid() == 0:
    os.setresuid(65534, 65534, 0)
try:
    socket.socket(socket.AF_UNIX).connect(path)
    print("connected")
except PermissionError:
    print("refused")
listener.accept()
print("accepted")
' "$(short_folder)/socket"
    expect_result 0 ""
    expect_output --text 'refused\naccepted\n'
}

# short_folder: prints a folder of the test that every user may enter.
short_folder() {
    local folder=$BATS_TEST_TMPDIR
    if ((UID == 0)); then
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test" "$folder"
    fi
    echo "$folder"
}

@test "18-unix-sockets: only the user of the server can connect to its file" {
    skip_unless setpriv
    ((UID == 0)) || skip "only root can be another user"
    socket=$(short_folder)/socket
    serve
    try setpriv --reuid=65534 --regid=65534 --clear-groups "$program" send \
        "$socket" hello
    expect_result 1 "18-unix-sockets: connect $socket: Permission denied"
    expect_served
}

@test "18-unix-sockets tells a dead server's file from a live one's" {
    local option
    for option in '' -m; do
        serve ${option:+"$option"}
        try "$program" ${option:+"$option"} serve "$socket"
        expect_result 1 "18-unix-sockets: bind $socket: a server is listening there"
        kill -KILL "$SERVER"
        finish server
        [[ -S $socket ]]
        try "$program" ${option:+"$option"} send "$socket" hello
        expect_result 1 "18-unix-sockets: connect $socket: Connection refused"
        try "$program" ${option:+"$option"} serve "$socket"
        expect_result 1 "18-unix-sockets: bind $socket: in use, but no server is listening"
        expect_output --text ''
        rm "$socket"
    done
}

@test "18-unix-sockets refuses a live server of another type" {
    serve
    try "$program" -m serve "$socket"
    expect_result 1 "18-unix-sockets: bind $socket: Address already in use; \
connect: Protocol wrong type for socket"
    send -m hello
    expect_result 1 "18-unix-sockets: connect $socket: Protocol wrong type for socket"
    expect_served
}

@test "18-unix-sockets knows a live server that is too busy for another client" {
    skip_unless python3
    socket=$BATS_TEST_TMPDIR/socket
    start server python3 -c '
import signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(0)
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
print("full", flush=True)
signal.pause()
' "$socket"
    wait_for server full
    try "$program" serve "$socket"
    expect_result 1 "18-unix-sockets: bind $socket: a server is listening there"
    send hello
    expect_result 1 "18-unix-sockets: connect $socket: Resource temporarily unavailable"
}

@test "18-unix-sockets removes what has its path at the end, as its text says" {
    serve
    rm "$socket"
    start second "$program" serve "$socket"
    wait_for second "listening on *"
    stop server
    expect_equal status 0 "$ended"
    [[ ! -e $socket ]]
    is_running second
}

@test "18-unix-sockets says so when the file is no socket, and leaves it alone" {
    socket=$BATS_TEST_TMPDIR/text
    echo diary >"$socket"
    send hello
    expect_result 1 "18-unix-sockets: connect $socket: Connection refused"
    try "$program" serve "$socket"
    expect_result 1 "18-unix-sockets: bind $socket: there is a file, and it is not a socket"
    expect_output --text 'diary\n' --in "$socket"
    ln -s "$BATS_TEST_TMPDIR/nothing" "$BATS_TEST_TMPDIR/link"
    try "$program" serve "$BATS_TEST_TMPDIR/link"
    expect_result 1 "18-unix-sockets: bind $BATS_TEST_TMPDIR/link: there is a \
file, and it is not a socket"
    try "$program" serve "$BATS_TEST_TMPDIR/none/socket"
    expect_result 1 "18-unix-sockets: bind $BATS_TEST_TMPDIR/none/socket: No \
such file or directory"
    socket=$BATS_TEST_TMPDIR/nothing
    send hello
    expect_result 1 "18-unix-sockets: connect $socket: No such file or directory"
}

# start_many COMMAND...: ten at the same time; sets winners to how many listen
# when the others have ended, and loser to the status of one that does not.
start_many() {
    local i
    winners=0 loser=
    for ((i = 0; i < 10; i++)); do
        start "many$i" "$@"
    done
    for ((i = 0; i < 10; i++)); do
        until_true says_or_ended "many$i" "listening on *"
        if says "many$i" "listening on *"; then
            winners=$((winners + 1))
        else
            finish "many$i"
            loser+=$ended
        fi
    done
}

@test "18-unix-sockets: of ten servers that start at the same time, one wins" {
    local winners loser
    socket=$BATS_TEST_TMPDIR/socket
    start_many "$program" serve "$socket"
    expect_equal winners 1 "$winners"
    expect_equal "the others" 111111111 "$loser"
    send hello
    expect_equal status 0 "$status"
}

# shellcheck disable=SC2016 # the other shell expands them
@test "18-unix-sockets takes paths of 1 to 107 bytes, and abstract names as long" {
    local path=$BATS_TEST_TMPDIR/ relative own
    own=$(realpath "$program")
    relative=$(printf '%0107d' 0)
    start server bash -c 'cd "$1" && exec "$2" serve "$3"' - "$path" "$own" \
        "$relative"
    wait_for server "listening on $relative"
    [[ -S $path$relative ]]
    try bash -c 'cd "$1" && exec "$2" send "$3" hello' - "$path" "$own" "$relative"
    expect_result 0 ""
    stop server
    socket=@$(printf '%0106d' $$)
    serve
    expect_served
    for path in '' "${relative}0" "${socket}0"; do
        try "$program" send "$path" hello
        expect_result 1 "18-unix-sockets: not a path of 1 to 107 bytes: $path"
        try "$program" serve "$path"
        expect_result 1 "18-unix-sockets: not a path of 1 to 107 bytes: $path"
    done
}

@test "18-unix-sockets: an abstract name has no file, and does not stay behind" {
    socket=@18-abstract-$$
    serve
    expect_served
    grep -q "$socket\$" /proc/net/unix
    [[ ! -e $socket ]]
    try "$program" serve "$socket"
    expect_result 1 "18-unix-sockets: bind $socket: a server is listening there"
    kill -KILL "$SERVER"
    finish server
    send hello
    expect_result 1 "18-unix-sockets: connect $socket: Connection refused"
    serve
    expect_served
    stop server
    expect_equal status 0 "$ended"
    said ''
}

# ---- messages -------------------------------------------------------------------

@test "18-unix-sockets -m keeps messages whole, up to 4096 bytes" {
    local long
    serve -m
    send -m hello
    expect_echo hello
    printf -v long '%04095d' 7
    send -m "$long"
    expect_echo "$long"
    send -m "0$long"
    expect_result 0 ""
    expect_equal "lines" 1 "$(grep -c '' "$OUT")"
    said "18-unix-sockets: recv from process $(sed -n \
        's/^process \([0-9]*\): closed after 0.*/\1/p' "$BATS_TEST_TMPDIR/server.out"): Message too long"
    send -m hello
    expect_echo hello
}

@test "18-unix-sockets -m answers a stranger message by message" {
    skip_unless python3
    serve -m
    try python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
s.connect(sys.argv[1])
for message in b"one", b"two", b"three":
    s.send(message)
print([s.recv(100) for i in range(3)])
s.send(b"")
print(s.recv(100))
' "$socket"
    expect_result 0 ""
    # An empty message looks like the end.
    expect_output --text "[b'one', b'two', b'three']\nb''\n"
    wait_for server "*closed after 11 bytes"
}

@test "18-unix-sockets: a message that is too long loses its rest, without MSG_TRUNC" {
    skip_unless python3
    try python3 -c '
import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
a.send(b"hello")
a.send(b"world")
print(b.recv(2), b.recv(100))
a.send(b"hello")
print(b.recv_into(bytearray(2), 2, socket.MSG_TRUNC))
'
    expect_result 0 ""
    expect_output --text "b'he' b'world'\n5\n"
}

@test "18-unix-sockets: a datagram waits for room, and none is lost" {
    skip_unless python3
    try python3 -c '
import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.setblocking(False)
b.setblocking(False)
sent = got = 0
try:
    while True:
        a.send(b"x%d" % sent)
        sent += 1
except BlockingIOError:
    pass
try:
    while True:
        assert b.recv(100) == b"x%d" % got
        got += 1
except BlockingIOError:
    pass
print(sent > 0, sent == got)
'
    expect_result 0 ""
    expect_output --text 'True True\n'
}

# ---- a pair ----------------------------------------------------------------------

# expect_pair LINE...: the lines of the child.
expect_pair() {
    local parent child i=1 line
    local -a lines
    mapfile -t lines <"$OUT"
    parent=${lines[0]#parent }
    parent=${parent%%:*}
    child=${lines[1]#child }
    child=${child%%:*}
    [[ $parent != "$child" ]]
    expect_equal "line 1" "parent $parent: my peer is process $parent" "${lines[0]}"
    expect_equal "line 2" "child $child: my peer is process $parent" "${lines[1]}"
    for line; do
        i=$((i + 1))
        expect_equal "line $((i + 1))" "child $child: received $line" "${lines[i]}"
    done
    expect_equal "the last line" "parent $parent: received thanks" "${lines[i + 1]}"
    expect_equal "lines" $((i + 2)) "${#lines[@]}"
}

@test "18-unix-sockets pair gives all to one recv, but with -m each message to its own" {
    # It can be started with SIGCHLD ignored, too.
    # shellcheck disable=SC2016 # for that shell
    try bash -c 'trap "" CHLD && exec "$1" pair' - "$program"
    expect_result 0 ""
    expect_pair onetwothree
    try "$program" -m pair
    expect_result 0 ""
    expect_pair one two three
}

@test "18-unix-sockets pair learns that its child has ended without an answer" {
    need_faults
    # The parent sends three messages, and the fourth is the child's.
    try "${faulty[@]}" FAULT_CALL=send FAULT_ERRNO=105 FAULT_AT=4 "$program" pair
    expect_result 1 "18-unix-sockets: send: No buffer space available
18-unix-sockets: the child has not answered"
    # The parent asks first, then the child, which has not received anything.
    try "${faulty[@]}" FAULT_CALL=getsockopt FAULT_ERRNO=105 FAULT_AT=2 \
        "$program" pair
    expect_result 1 "18-unix-sockets: getsockopt SO_PEERCRED: No buffer space available
18-unix-sockets: recv: Connection reset by peer"
}

# ---- strangers --------------------------------------------------------------------

@test "18-unix-sockets serves socat, by file, by abstract name and with messages" {
    skip_unless socat
    serve
    "$BUILD/peers/rude" -s 9 -n 200000 payload whole >"$BATS_TEST_TMPDIR/payload"
    try_with "$BATS_TEST_TMPDIR/payload" "$BATS_TEST_TMPDIR/out" \
        socat -t 3 - "UNIX-CONNECT:$socket"
    expect_result 0 ""
    expect_output "$BATS_TEST_TMPDIR/payload"
    stop server
    serve -m
    echo hello >"$BATS_TEST_TMPDIR/hello"
    try_with "$BATS_TEST_TMPDIR/hello" "$BATS_TEST_TMPDIR/out" \
        socat -t 3 - "UNIX-CONNECT:$socket,type=5"
    expect_result 0 ""
    expect_output --text 'hello\n'
    stop server
    socket=@18-socat-$$
    serve
    try_with "$BATS_TEST_TMPDIR/hello" "$BATS_TEST_TMPDIR/out" \
        socat -t 3 - "ABSTRACT-CONNECT:${socket#@}"
    expect_result 0 ""
    expect_output --text 'hello\n'
}

@test "18-unix-sockets' client talks to socat" {
    skip_unless socat
    socket=$BATS_TEST_TMPDIR/socket
    start server socat "UNIX-LISTEN:$socket" PIPE
    until_true test -S "$socket"
    until_true served_by_socat
    [[ $(tail -n +2 "$OUT") == hello ]]
}

# It takes one client; before it listens, it takes none.
served_by_socat() {
    send hello
    ((status == 0))
}

@test "18-unix-sockets serves python3, and talks to it" {
    skip_unless python3
    serve
    try python3 -c '
import os, socket, struct, sys
for i in range(50):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(sys.argv[1])
        pid, uid, gid = struct.unpack("3i", s.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        assert (pid, uid, gid) == (int(sys.argv[2]), os.getuid(), os.getgid())
        said = os.urandom(i * 100)
        s.sendall(said)
        s.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: s.recv(65536), b"")) == said
print("all is well")
' "$socket" "$SERVER"
    expect_result 0 ""
    expect_output --text 'all is well\n'
    stop server
    start server python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("\0" + sys.argv[1])
listener.listen()
print("listening", flush=True)
s, peer = listener.accept()
s.sendall(s.recv(100).upper())
' "18-python-$$"
    wait_for server listening
    SERVER=$(pid_of server)
    socket=@18-python-$$
    send hello
    expect_echo HELLO
}

@test "18-unix-sockets: what its text says of Python is so" {
    skip_unless python3
    serve
    try python3 -c '
import asyncio, os, socket, sys
path = sys.argv[1]
print(socket.socketpair()[0].family.name)
try:
    socket.socket(socket.AF_UNIX).connect("x" * 108)
except OSError as error:
    print(error)
async def main():
    server = await asyncio.start_unix_server(lambda r, w: None, path)
    print("took the path of a live server")
asyncio.run(main())
' "$socket"
    expect_result 0 ""
    expect_output --text 'AF_UNIX\nAF_UNIX path too long\ntook the path of a live server\n'
    # Its clients cannot reach it any more.
    is_running server
    send hello
    expect_equal status 1 "$status"
}

# ---- failing calls ------------------------------------------------------------------

@test "18-unix-sockets names the call that failed, and why" {
    local call
    need_faults
    socket=$BATS_TEST_TMPDIR/none
    for call in socket "bind $socket" listen; do
        rm -f "$socket"
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=105 "$program" \
            serve "$socket"
        expect_result 1 "18-unix-sockets: $call: No buffer space available"
        expect_output --text ''
    done
    socket=$BATS_TEST_TMPDIR/socket
    serve
    for call in socket "connect $socket" "getsockopt SO_PEERCRED" send shutdown \
        recv close; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=105 "$program" \
            send "$socket" hello
        expect_result 1 "18-unix-sockets: $call: No buffer space available"
    done
    for call in "getsockopt SO_PEERCRED" send fork; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=105 "$program" pair
        expect_result 1 "18-unix-sockets: $call: No buffer space available"
    done
    try "${faulty[@]}" FAULT_CALL=shutdown FAULT_ERRNO=105 "$program" pair
    expect_equal status 1 "$status"
}

@test "18-unix-sockets goes on when a call fails for one client" {
    local call
    need_faults
    for call in "recv from process *" "send to process *" "getsockopt SO_PEERCRED" \
        accept; do
        serve "${faulty[@]}" FAULT_CALL="${call%% *}4,${call%% *}" FAULT_ERRNO=105
        "$rude" connect "$socket" 61 -1 >/dev/null 2>&1 || true
        wait_for server "18-unix-sockets: $call: No buffer space available" err
        expect_served
        stop server
        expect_equal "status" 0 "$ended"
    done
}

@test "18-unix-sockets says so when it cannot remove its file, or close" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=unlink FAULT_ERRNO=30
    stop server
    expect_equal status 1 "$ended"
    said "18-unix-sockets: unlink $socket: Read-only file system"
    rm "$socket"
    serve "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=105
    stop server
    expect_equal status 1 "$ended"
    said "18-unix-sockets: close: No buffer space available"
}

@test "18-unix-sockets pauses a tenth of a second after an accept that failed" {
    local begin
    need_faults
    begin=${EPOCHREALTIME/./}
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=105 FAULT_TIMES=3
    expect_served
    ((${EPOCHREALTIME/./} - begin >= 300000))
    expect_equal "complaints" 3 "$(grep -c accept "$BATS_TEST_TMPDIR/server.err")"
    stop server
    expect_equal status 0 "$ended"
}

@test "18-unix-sockets says so when standard output cannot take its lines" {
    socket=$BATS_TEST_TMPDIR/socket
    try_with /dev/null /dev/full "$program" serve "$socket"
    expect_result 1 "18-unix-sockets: standard output: No space left on device"
    [[ ! -e $socket ]]
    try_with /dev/null /dev/full "$program" pair
    expect_result 1 "18-unix-sockets: standard output: No space left on device"
    serve
    try_with /dev/null /dev/full "$program" send "$socket" hello
    expect_result 1 "18-unix-sockets: standard output: No space left on device"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$program" pair
    expect_equal "closed" "18-unix-sockets: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" pair
}

@test "18-unix-sockets' client says so when the answer does not fit into a file" {
    local log=$BATS_TEST_TMPDIR/log
    serve
    # The file may have 1024 bytes: room for the first line, not for the answer.
    printf '%850s\n' '' >"$log"
    # shellcheck disable=SC2016
    try bash -c 'trap "" XFSZ; ulimit -f 1; log=$1; shift; exec "$@" >>"$log"' - \
        "$log" "$program" send "$socket" "$(printf %0300d 7)"
    expect_result 1 "18-unix-sockets: standard output: File too large"
}

@test "18-unix-sockets serves on when nobody reads what it says" {
    serve bash -c 'exec "$@" > >(exec head -n 1)' -
    try "$rude" connect "$socket" 61 -1
    expect_output --text '61\n'
    try "$rude" connect "$socket" 62 -1
    expect_output --text '62\n'
    stop server
    expect_equal "status" 1 "$ended"
    [[ ! -e $socket ]]
}

@test "18-unix-sockets explains itself when asked, and when called wrongly" {
    local usage="usage: 18-unix-sockets [-m] serve PATH
       18-unix-sockets [-m] send PATH MESSAGE
       18-unix-sockets [-m] pair" words
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for words in '' serve 'serve a b' 'send a' 'send a b c' 'pair a' other; do
        # shellcheck disable=SC2086 # words
        try "$program" $words
        expect_result 2 "$usage"
        expect_output --text ''
    done
    try "$program" -x pair
    expect_equal status 2 "$status"
}

# ---- the solution --------------------------------------------------------------------

need_solution() {
    [[ -x $solution ]] || skip "it is not built"
}

@test "18's solution: of ten servers at a dead server's path, one wins" {
    local i winners loser
    need_solution
    socket=$BATS_TEST_TMPDIR/control
    for i in 1 2 3; do
        start maker "$rude" serve "$socket"
        wait_for maker "listening on *"
        "$rude" connect "$socket"
        finish maker
        start_many "$solution" serve "$socket"
        expect_equal winners 1 "$winners"
        expect_equal "the others" 111111111 "$loser"
        send status
        expect_equal status 0 "$status"
        stop_all
        [[ ! -e $socket ]]
    done
}

@test "18's solution: another user is not answered, even if the file is open to all" {
    need_solution
    skip_unless setpriv
    ((UID == 0)) || skip "only root can be another user"
    socket=$(short_folder)/control
    start server "$solution" serve "$socket"
    wait_for server "listening on *"
    chmod 666 "$socket"
    try setpriv --reuid=65534 --regid=65534 --clear-groups "$rude" connect \
        "$socket" 7374617475730a end
    [[ $(<"$OUT") == end ]]
    said "18-unix-sockets: user 65534 is not allowed"
    send status
    [[ $(tail -n 1 "$OUT") == "process $(pid_of server) is running, "* ]]
}

silent_before_another() {
    local start now
    rm -f "$socket"
    start server "$solution" serve "$socket"
    wait_for server "listening on *"
    look_at_clock
    start=$now
    start stalled "$rude" connect "$socket" 73 stall
    until_true has_client
    try "$program" send "$socket" status
    look_at_clock
    took=$((now - start))
    stop_all
}

# The kernel's table has the listener, and what it has accepted or will.
has_client() {
    (($(grep -c "$socket\$" /proc/net/unix) > 1))
}

@test "18's solution gives a second to a client that says nothing" {
    need_solution
    socket=$BATS_TEST_TMPDIR/control
    measured 99 160 silent_before_another
}
