#!/usr/bin/env bats
# 02-tcp-server PORT: every client gets back what it says, one at a time.

load ../lib/common

server=$BUILD/02-tcp-server
client=$BUILD/01-tcp-client
rude=$BUILD/peers/rude

# serve [COMMAND...]: the server on a port of its own, behind that command.
serve() {
    start_server server "$@" "$server" 0
}

# call FACE [OPTION...]: a rude client, to its end. Its name is in $NAME, what
# it said in the file payload, and what it heard in the file heard.
call() {
    local face=$1
    shift
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$rude" -s 7 "$@" -o "$BATS_TEST_TMPDIR/heard" connect "$face" "$PORT"
    expect_result 0 ""
    name_of out
}

# come NAME FACE [OPTION...]: a rude client that stays; returns when it is
# connected.
come() {
    local name=$1 face=$2
    shift 2
    start "$name" "$rude" -s 7 "$@" connect "$face" "$PORT"
    wait_for "$name" 'connected from *'
    name_of "$name.out"
}

name_of() {
    read -r NAME <"$BATS_TEST_TMPDIR/$1"
    NAME=${NAME#connected from }
}

# expect_echo: the client heard all that it said, and nothing else.
expect_echo() {
    expect_output "$BATS_TEST_TMPDIR/payload" --in "$BATS_TEST_TMPDIR/heard"
}

# expect_served: another client still gets its turn.
expect_served() {
    try "$client" 127.0.0.1 "$PORT" "still there?"
    expect_result 0 ""
    expect_output --text 'still there?\n'
}

# said ERRORS: all that the server has said on standard error; waits for it.
said() {
    local all
    until_true has_said "$1" || {
        all=$(<"$BATS_TEST_TMPDIR/server.err")
        expect_equal "standard error" "$1" "$all"
    }
}

# said_of_output REASON: at each of four lines, and what it means in the end.
said_of_output() {
    local line="02-tcp-server: standard output: "
    said "$line$1
$line$1
$line$1
$line$1
${line}not every line could be written"
}

has_said() {
    [[ $(<"$BATS_TEST_TMPDIR/server.err") == "$1" ]]
}

# sleeps_in CALL: the server waits in that system call. Their numbers are those
# of x86-64, and of most other machines; where a system hides them, we go on.
sleeps_in() {
    local number
    local -A numbers=([send]=" 44 206 " [recv]=" 45 207 " [accept]=" 288 242 ")
    read -r number _ <"/proc/$(pid_of server)/syscall" || return 0
    [[ ${numbers[$1]} == *" $number "* ]]
}

# sockets LOCAL-PORT STATE: prints the rest of each line of /proc/net/tcp about
# that; 0A is a listener, 06 TIME_WAIT, 01 a connection.
sockets() {
    local port
    printf -v port '%04X' "$1"
    awk -v port="$port" -v state="$2" '
        substr($2, 10) == port && $4 ~ state {
            print substr($2, 1, 8), $5, $10
        }' /proc/net/tcp
}

# waiting COUNT: so many connections wait for accept.
waiting() {
    [[ $(sockets "$PORT" 0A) == *":$(printf %08X "$1") "* ]]
}

@test "02-tcp-server says what it hears, and reports each client's turn" {
    serve
    call whole
    expect_echo
    expect_output \
        --text "connected from $NAME\ngot 40 bytes, then end of stream\n"
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT" "$NAME connected" \
        "$NAME closed after 40 bytes"
    said ""
}

@test "02-tcp-server echoes bytes that come singly, in a heap, or not at all" {
    local bytes
    serve
    call dribble
    expect_echo
    call join
    expect_echo
    call garbage
    expect_echo
    for bytes in 0 1 65535 65536 65537; do
        call whole -n "$bytes"
        expect_echo
        until_true says server "$NAME closed after $bytes bytes"
    done
    call half-close -k 17
    expect_echo
    said ""
}

@test "02-tcp-server echoes NUL bytes, and a file as it is" {
    printf 'a\0b\0\0c\nd\377' >"$BATS_TEST_TMPDIR/nul"
    serve
    call whole -f "$BATS_TEST_TMPDIR/nul"
    expect_echo
    until_true says server "$NAME closed after 9 bytes"
    call whole -f "$server"
    expect_echo
}

@test "02-tcp-server echoes a flood of 16 MB" {
    serve
    call flood
    expect_echo
    until_true says server "$NAME closed after 16777216 bytes"
}

@test "02-tcp-server echoes 10 MB of bytes that differ" {
    serve
    call whole -n 10000000
    expect_echo
}

@test "02-tcp-server sends the rest when send takes less than it was given" {
    need_faults
    serve "${faulty[@]}" FAULT_SHORT=send
    call whole -n 20000
    expect_echo
    said ""
}

@test "02-tcp-server serves 200 clients in turn, and keeps no descriptor" {
    local before
    serve
    call whole
    until_true says server "$NAME closed after 40 bytes"
    before=$(descriptors "$(pid_of server)")
    try "$rude" -s 7 -c 200 -o "$BATS_TEST_TMPDIR/heard" connect whole "$PORT"
    expect_result 0 ""
    expect_equal "answers" 200 \
        "$(grep -c 'got 40 bytes, then end of stream' "$OUT")"
    try "$rude" -c 20 connect reset "$PORT"
    expect_result 0 ""
    expect_served
    until_true holds_descriptors "$(pid_of server)" "$before"
}

@test "02-tcp-server serves strangers: 200 in turn, 50 at once, 10 that reset" {
    skip_unless python3
    serve
    try python3 -c '
import os, socket, struct, sys
def call():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
def read_all(s):
    return b"".join(iter(lambda: s.recv(65536), b""))
for i in range(200):
    with call() as s:
        said = os.urandom(i)
        s.sendall(said)
        s.shutdown(socket.SHUT_WR)
        assert read_all(s) == said, i
clients = [(call(), os.urandom(1000 + i)) for i in range(50)]
for i, (s, said) in enumerate(clients):
    s.sendall(said)
    if i % 5 == 4:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     struct.pack("ii", 1, 0))
        s.close()
    else:
        s.shutdown(socket.SHUT_WR)
for i, (s, said) in enumerate(clients):
    assert i % 5 == 4 or read_all(s) == said, i
print("all is well")
' "$PORT"
    expect_result 0 ""
    expect_output --text 'all is well\n'
    expect_served
    expect_equal "resets" 10 "$(grep -c 'Connection reset by peer' \
        "$BATS_TEST_TMPDIR/server.err")"
    stop server
    expect_equal "status" 0 "$ended"
    expect_equal "turns" 251 \
        "$(grep -c connected "$BATS_TEST_TMPDIR/server.out")"
}

@test "02-tcp-server serves socat and ncat" {
    local name count=0
    serve
    "$rude" -s 9 -n 200000 payload whole >"$BATS_TEST_TMPDIR/payload"
    for name in socat ncat; do
        command -v "$name" >/dev/null || continue
        "stranger_$name" <"$BATS_TEST_TMPDIR/payload" \
            >"$BATS_TEST_TMPDIR/heard" 3>&-
        expect_echo
        count=$((count + 1))
    done
    ((count > 0)) || skip "neither socat nor ncat is installed"
    said ""
}

stranger_socat() {
    bounded socat -t 5 - "TCP:127.0.0.1:$PORT"
}

stranger_ncat() {
    bounded ncat 127.0.0.1 "$PORT"
}

@test "02-tcp-server lets clients wait in the kernel, connected, in order" {
    serve
    come first stall -k 0
    wait_for server "$NAME connected"
    come second whole
    come third whole -n 7
    # Two wait for accept, which has made no file for them: their inode is 0.
    until_true waiting 2
    expect_equal "sockets without a file" 2 \
        "$(sockets "$PORT" 0[18] | grep -c ' 0$')"
    expect_lines server "listening on *" "127.0.0.1:* connected"
    stop first
    finish second
    finish third
    stop server
    expect_lines second "connected from *" "got 40 bytes, then end of stream"
    expect_lines third "connected from *" "got 7 bytes, then end of stream"
    expect_lines server "listening on *" "*connected" "*closed after 0 bytes" \
        "*connected" "*closed after 40 bytes" "*connected" \
        "*closed after 7 bytes"
}

@test "02-tcp-server's queue holds 129: its backlog and one" {
    local i connection
    (($(</proc/sys/net/core/somaxconn) >= 128)) ||
        skip "this system allows no backlog of 128"
    serve
    come first stall -k 0
    wait_for server "$NAME connected"
    for ((i = 0; i < 129; i++)); do
        # shellcheck disable=SC2034 # it is open, that is all
        exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
    done
    until_true waiting 129
    start late "$rude" connect whole "$PORT"
    until_true eval "grep -q ':$(printf %04X "$PORT") 02 ' /proc/net/tcp"
    expect_lines late
    waiting 129
}

@test "02-tcp-server meets a client that has come, spoken and gone" {
    serve
    come first stall -k 0
    wait_for server "$NAME connected"
    echo hello >"/dev/tcp/127.0.0.1/$PORT"
    until_true eval "[[ -n \$(sockets $PORT 08) ]]"
    stop first
    wait_for server '*closed after 6 bytes'
    said ""
}

@test "02-tcp-server goes on after a client that resets" {
    serve
    call reset -k 0
    said "02-tcp-server: recv from $NAME: Connection reset by peer"
    wait_for server "$NAME closed after 0 bytes"
    expect_served
}

@test "02-tcp-server's twin does not outlive a client that resets" {
    skip_unless python3
    start_server twin python3 lessons/02-tcp-server/twin.py 0
    try "$rude" -k 0 connect reset "$PORT"
    finish twin
    expect_equal "status" 1 "$ended"
    says twin 'ConnectionResetError: *' err
}

@test "02-tcp-server goes on after a client that reset before its turn" {
    serve
    frozen call reset -k 0
    said "02-tcp-server: recv from $NAME: Connection reset by peer"
    wait_for server "$NAME closed after 0 bytes"
    expect_served
}

@test "02-tcp-server goes on after a client that has no ear for the answer" {
    serve
    frozen call reset -k 9
    said "02-tcp-server: send to $NAME: Connection reset by peer"
    wait_for server "$NAME closed after 0 bytes"
    expect_served
}

@test "02-tcp-server does not die of SIGPIPE" {
    serve
    frozen call reset -e -k 9
    said "02-tcp-server: send to $NAME: Broken pipe"
    expect_served
}

@test "02-tcp-server waits for a client that stalls, and so do the others" {
    serve
    come first stall -o "$BATS_TEST_TMPDIR/heard"
    "$rude" -s 7 payload stall >"$BATS_TEST_TMPDIR/payload"
    until_true cmp -s "$BATS_TEST_TMPDIR/payload" "$BATS_TEST_TMPDIR/heard"
    SECONDS_ALLOWED=0.2 try "$client" 127.0.0.1 "$PORT" hello
    expect_equal status 124 "$status"
    expect_output --text ''
    stop first
    wait_for server "$NAME closed after 20 bytes"
    expect_served
}

@test "02-tcp-server is held by a client that never reads, until it goes" {
    serve
    come first deaf -n 10000000
    wait_for server "$NAME connected"
    until_true sleeps_in send
    SECONDS_ALLOWED=0.2 try "$client" 127.0.0.1 "$PORT" hello
    expect_equal status 124 "$status"
    stop first
    said "02-tcp-server: send to $NAME: Connection reset by peer"
    expect_served
}

@test "02-tcp-server meets each of the rude peer's faces above" {
    local face
    for face in $("$rude" faces); do
        grep -qE "(call|come first) $face" "$BATS_TEST_FILENAME"
    done
}

@test "02-tcp-server ends with status 0 when it is told to while it waits" {
    local signal
    for signal in INT TERM; do
        serve
        until_true sleeps_in accept
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        expect_lines server "listening on 127.0.0.1:$PORT"
        said ""
    done
}

@test "02-tcp-server ends with status 0 when it is told to while it listens" {
    local signal
    for signal in INT TERM; do
        serve
        come first stall -k 0
        wait_for server "$NAME connected"
        until_true sleeps_in recv
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        finish first
        expect_lines first "*" "got 0 bytes, then end of stream"
        expect_lines server "*" "*" "$NAME closed after 0 bytes"
        said ""
    done
}

# Where it comes too early to wake anybody, the alarm does, a second later.
@test "02-tcp-server ends with status 0 when it is told to before it sleeps" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_SIGNAL=15
    finish server
    expect_equal "status" 0 "$ended"
    said ""
}

@test "02-tcp-server ends with status 0 when it is told to while it speaks" {
    local begin
    serve
    come first deaf -n 10000000
    until_true sleeps_in send
    begin=$EPOCHSECONDS
    stop server TERM
    expect_equal "status" 0 "$ended"
    ((EPOCHSECONDS - begin <= 3))
    expect_lines server "*" "*" "$NAME closed after * bytes"
    said ""
}

@test "02-tcp-server closes its descriptors when it ends" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=105 FAULT_TIMES=2
    come first stall -k 0
    wait_for server "$NAME connected"
    until_true sleeps_in recv
    stop server
    expect_equal "status" 1 "$ended"
    said "02-tcp-server: close $NAME: No buffer space available
02-tcp-server: close: No buffer space available"
}

@test "02-tcp-server can be restarted at once, in spite of TIME_WAIT" {
    local port
    serve
    port=$PORT
    come first stall -k 0
    wait_for server "$NAME connected"
    stop server
    finish first
    until_true eval "[[ -n \$(sockets $port 06) ]]"
    start_server server "$server" "$port"
    expect_equal "port" "$port" "$PORT"
    expect_served
}

@test "02-tcp-server listens on 127.0.0.1 and on nothing else" {
    local listeners
    serve
    listeners=$(sockets "$PORT" 0A)
    [[ $listeners == "0100007F "* || $listeners == "7F000001 "* ]]
    expect_equal "listeners" 1 "$(wc -l <<<"$listeners")"
    run -1 bash -c ": <>/dev/tcp/127.0.0.2/$PORT"
    [[ $output == *"Connection refused"* ]]
}

@test "02-tcp-server says so when its port is taken" {
    serve
    try "$server" "$PORT"
    expect_equal "status" 1 "$status"
    [[ $errors == "02-tcp-server: bind 127.0.0.1:$PORT: Address "*"in use" ]]
    expect_output --text ''
    expect_served
}

@test "02-tcp-server's descriptors are close-on-exec" {
    serve
    come first stall -k 0
    wait_for server "$NAME connected"
    until_true all_cloexec "$(pid_of server)" 2
}

@test "02-tcp-server names the call that failed, and why" {
    local call
    need_faults
    for call in socket "setsockopt SO_REUSEADDR" "bind 127.0.0.1:0" listen \
        getsockname; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=105 "$server" 0
        expect_result 1 "02-tcp-server: $call: No buffer space available"
        expect_output --text ''
    done
}

@test "02-tcp-server goes on when a call fails for one client" {
    local call
    need_faults
    for call in "recv from" "send to" close; do
        serve "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=105
        try "$rude" connect whole "$PORT"
        name_of out
        said "02-tcp-server: $call $NAME: No buffer space available"
        expect_served
        stop server
        expect_equal "status" 0 "$ended"
    done
}

@test "02-tcp-server makes a call again that a signal interrupted" {
    local call
    need_faults
    for call in recv send accept4; do
        serve "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=4 FAULT_TIMES=3
        call whole
        expect_echo
        said ""
        stop_all
    done
}

@test "02-tcp-server goes on when accept fails because a client has gone" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=103
    wait_for server "02-tcp-server: accept: *" err
    call whole
    expect_echo
    expect_equal "complaints" 1 "$(grep -c '^' "$BATS_TEST_TMPDIR/server.err")"
}

@test "02-tcp-server outlives a shortage of descriptors, and does not spin" {
    local begin
    skip_unless prlimit
    begin=${EPOCHREALTIME/./}
    serve bash -c 'ulimit -Sn 4; exec "$@"' -
    come first whole
    until_true says_times 3
    # The first at once, the others a tenth of a second apart.
    ((${EPOCHREALTIME/./} - begin >= 200000))
    ! says_times 100 || false
    prlimit --pid "$(pid_of server)" --nofile=64:
    finish first
    expect_lines first "*" "got 40 bytes, then end of stream"
    expect_served
    stop server
    expect_equal "status" 0 "$ended"
}

# says_times COUNT: it has complained as often, at least.
says_times() {
    local -a lines
    mapfile -t lines <"$BATS_TEST_TMPDIR/server.err"
    ((${#lines[@]} >= $1)) && [[ ${lines[0]} == "02-tcp-server: accept: "* ]]
}

@test "02-tcp-server ends at once when it is told to while it has to pause" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=105 FAULT_TIMES=1000
    wait_for server "*accept: No buffer space available" err
    stop server
    expect_equal "status" 0 "$ended"
}

@test "02-tcp-server says so when standard output cannot take its first line" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$server" 0
    expect_equal "full" \
        "02-tcp-server: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$server" 0
    expect_equal "closed" "02-tcp-server: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$server" 0
}

@test "02-tcp-server serves on when its output is full, and says so in the end" {
    local log=$BATS_TEST_TMPDIR/log
    # The file may have 1024 bytes: room for the first line, not for the next.
    printf '%990s\n' '' >"$log"
    start server bash -c 'trap "" XFSZ; ulimit -f 1; exec "$@" >>'"'$log'" - \
        "$server" 0
    until_true grep -q 'listening on .*[0-9]$' "$log"
    PORT=$(sed -n 's/^listening on .*://p' "$log")
    expect_served
    expect_served
    stop server
    expect_equal "status" 1 "$ended"
    said_of_output "File too large"
}

@test "02-tcp-server serves on when nobody reads what it says" {
    serve bash -c 'exec "$@" > >(exec head -n 1)' -
    expect_served
    expect_served
    stop server
    expect_equal "status" 1 "$ended"
    said_of_output "Broken pipe"
}

@test "02-tcp-server takes ports from 0 to 65535, and says what is wrong" {
    local port
    for port in 65536 -1 +80 80x 0x ' 80' '' http 18446744073709551617; do
        try "$server" "$port"
        expect_result 1 "02-tcp-server: $port is not a port: 0 to 65535"
    done
    need_faults
    for port in 1 65535; do # somebody may live there: not our concern
        try "${faulty[@]}" FAULT_CALL=bind FAULT_ERRNO=13 "$server" "$port"
        expect_result 1 "02-tcp-server: bind 127.0.0.1:$port: Permission denied"
    done
}

@test "02-tcp-server explains itself when asked, and when called wrongly" {
    local usage="usage: 02-tcp-server PORT"
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$server"
    expect_result 2 "$usage"
    try "$server" 80 81
    expect_result 2 "$usage"
    try "$server" -h 80
    expect_result 2 "$usage"
    expect_output --text ''
}

@test "02's solution sends its whole line, a byte at a time where it must" {
    [[ -x $BUILD/solution/02-tcp-server ]] || skip "it is not built"
    need_faults
    start_server server "${faulty[@]}" FAULT_SHORT=send \
        "$BUILD/solution/02-tcp-server" 0
    try "$BUILD/peers/rude" -k 0 -o "$BATS_TEST_TMPDIR/told" connect stall "$PORT"
    [[ $(<"$BATS_TEST_TMPDIR/told") =~ ^"you are 127.0.0.1:"[0-9]+$ ]]
}
