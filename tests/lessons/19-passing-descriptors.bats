#!/usr/bin/env bats
# 19-passing-descriptors [-w WORKERS] PORT: accept in one process, greet in
# others; and what the text says about messages with descriptors.

load ../lib/common

server=$BUILD/19-passing-descriptors
client=$BUILD/01-tcp-client
rude=$BUILD/peers/rude
pass=$BUILD/peers/pass

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" 0
    server_pid=$(pid_of server)
}

# workers: sets workers to the numbers of their processes.
workers() {
    read -ra workers <"/proc/$server_pid/task/$server_pid/children" || true
}

# greeted: a client is greeted. Sets worker to the number that it was told.
greeted() {
    try "$client" 127.0.0.1 "$PORT" hello
    expect_result 0 ""
    [[ $(<"$OUT") =~ ^hello\ from\ worker\ ([0-9]+)$ ]]
    worker=${BASH_REMATCH[1]}
}

# come NAME: a client that says nothing, and stays.
come() {
    start "$1" "$rude" -k 0 connect stall "$PORT"
    wait_for "$1" 'connected from *'
}

# reported COUNT PROCESS: so many connections were reported of it.
reported() {
    [[ $(grep -c " of $2\$" "$BATS_TEST_TMPDIR/server.out") == "$1" ]]
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

@test "19-passing-descriptors passes a client on, and its number changes" {
    local first parent second number
    serve -w 1
    greeted
    expect_equal "worker" 1 "$worker"
    read -rd '' _ _ _ first _ _ parent _ _ _ second _ _ number _ \
        <"$BATS_TEST_TMPDIR/server.out" || true
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "127.0.0.1:* is descriptor $parent of the parent" \
        "127.0.0.1:* is descriptor $number of worker 1"
    expect_equal "the client of the worker" "$first" "$second"
    # They are entries of two tables.
    ((number != parent))
    stop server
    expect_equal "status" 0 "$ended"
    said ""
}

@test "19-passing-descriptors has the same socket at both ends, not two" {
    local inode fd found=''
    serve -w 1
    workers
    come first
    until_true reported 1 "worker 1"
    inode=$("$BUILD/peers/sockets" "$PORT" | awk '$1 == "ESTABLISHED" { print $4 }')
    until_true holds_sockets "$server_pid" 2 # a channel, the listener
    for fd in "/proc/${workers[0]}/fd"/*; do
        [[ $(readlink "$fd") != "socket:[$inode]" ]] || found=$fd
    done
    expect_equal "found in the worker" 1 "${found:+1}"
    for fd in "/proc/$server_pid/fd"/*; do
        [[ $(readlink "$fd") != "socket:[$inode]" ]]
    done
}

@test "19-passing-descriptors gives a client to a worker that has time" {
    local i
    serve -w 3
    come first
    come second
    until_true grep -q "worker" "$BATS_TEST_TMPDIR/server.out"
    for i in 1 2 3; do
        greeted
    done
    stop first
    stop second
    serve # two workers
    workers
    expect_equal "workers" 2 "${#workers[@]}"
    stop server
    serve -w 64
    workers
    expect_equal "workers" 64 "${#workers[@]}"
    greeted
    stop server
    expect_equal "status" 0 "$ended"
}

@test "19-passing-descriptors serves rude clients, and keeps nothing of them" {
    local face parent worker_count
    serve -w 1
    workers
    greeted
    parent=$(descriptors "$server_pid")
    worker_count=$(descriptors "${workers[0]}")
    for face in whole dribble half-close garbage reset; do
        "$rude" -n 300 connect "$face" "$PORT" >/dev/null || true
    done
    "$rude" -c 20 connect reset "$PORT"
    greeted
    until_true holds_descriptors "$server_pid" "$parent"
    until_true holds_descriptors "${workers[0]}" "$worker_count"
    expect_equal "workers" "${workers[0]}" \
        "$(xargs <"/proc/$server_pid/task/$server_pid/children")"
}

@test "19-passing-descriptors serves a client whose parent has been killed" {
    # As the text has it: the shell goes on until the worker has ended, too.
    # shellcheck disable=SC2016 # for the other shell to expand
    start_server server bash -c 'sh -c "echo \$\$ >$1; exec $0 -w 1 0" | cat' \
        "$server" "$BATS_TEST_TMPDIR/parent"
    read -r server_pid <"$BATS_TEST_TMPDIR/parent"
    workers
    come first
    until_true reported 1 "worker 1"
    start second "$client" 127.0.0.1 "$PORT" hello
    until_true reported 2 "the parent"
    until_true holds_sockets "$server_pid" 2 # a channel, the listener
    # Neither process has it now: it is in the message.
    until_true holds_sockets "${workers[0]}" 2
    kill -KILL "$server_pid"
    until_true gone "$server_pid"
    stop first
    finish second
    expect_equal "status" 0 "$ended"
    expect_lines second "hello from worker 1"
    finish server # the worker has come to the end of its channel
}

@test "19-passing-descriptors closes what was on its way to a dead worker" {
    serve -w 1
    workers
    come first
    until_true reported 1 "worker 1"
    come second
    until_true reported 2 "the parent"
    until_true holds_sockets "$server_pid" 2 # a channel, the listener
    kill -KILL "${workers[0]}"
    until_true is_over "${workers[0]}"
    finish first
    finish second
    expect_lines first "*" "got 20 bytes, then end of stream"
    expect_lines second "*" "got 0 bytes, then end of stream"
    try "$rude" -k 0 connect stall "$PORT"
    [[ $(<"$OUT") == *"got 0 bytes, then end of stream" ]]
    finish server
    expect_equal "status" 1 "$ended"
    said "19-passing-descriptors: sendmsg: Connection reset by peer
19-passing-descriptors: no worker is left"
}

@test "19-passing-descriptors goes on with the workers that are left" {
    serve -w 2
    workers
    kill -KILL "${workers[0]}"
    greeted
    expect_equal "worker" 2 "$worker"
    greeted
    stop server
    expect_equal "status" 1 "$ended" # a worker did not end well
    said ""
}

@test "19-passing-descriptors ends when its only, idle worker is dead" {
    serve -w 1
    workers
    kill -KILL "${workers[0]}"
    until_true is_over "${workers[0]}"
    try "$rude" -k 0 connect stall "$PORT"
    finish server
    expect_equal "status" 1 "$ended"
    said "19-passing-descriptors: sendmsg: Broken pipe
19-passing-descriptors: no worker is left"
}

@test "19-passing-descriptors says when no number was free for a descriptor" {
    skip_unless prlimit
    serve -w 1
    workers
    greeted
    prlimit --nofile=3: --pid "${workers[0]}"
    try "$rude" -k 0 connect stall "$PORT"
    [[ $(<"$OUT") == *"got 0 bytes, then end of stream" ]]
    said "19-passing-descriptors: worker 1: a message without a descriptor"
    prlimit --nofile=100: --pid "${workers[0]}"
    greeted
}

@test "19-passing-descriptors ends all its processes" {
    local signal process
    # It can be started with SIGCHLD ignored, too.
    # shellcheck disable=SC2016 # for that shell
    faulty=(bash -c 'trap "" CHLD && exec "$@"' -)
    for signal in TERM INT; do
        serve -w 3
        workers
        come first
        until_true grep -q "worker" "$BATS_TEST_TMPDIR/server.out"
        stop server "$signal"
        expect_equal "status" 0 "$ended"
        finish first
        expect_lines first "*" "got 20 bytes, then end of stream"
        for process in "${workers[@]}"; do
            gone "$process"
        done
        run -1 bash -c ": <>/dev/tcp/127.0.0.1/$PORT"
    done
}

@test "19-passing-descriptors's descriptors are close-on-exec, and few" {
    serve -w 1
    workers
    come first
    until_true reported 1 "worker 1"
    # Each has an end of the channel; and the listener, or the client.
    until_true all_cloexec "$server_pid" 2
    until_true all_cloexec "${workers[0]}" 2
}

@test "19-passing-descriptors outlives what a call may fail with" {
    local call errno
    need_faults
    for call in accept4 sendmsg recvmsg; do
        for errno in 4 11 12 105; do
            faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
                FAULT_ERRNO="$errno")
            serve -w 1
            try "$client" 127.0.0.1 "$PORT" hello # it may be lost
            greeted
            stop server
            expect_equal "status" 0 "$ended"
        done
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=sendmsg
        FAULT_ERRNO=109)
    serve -w 1
    try "$rude" -k 0 connect stall "$PORT"
    [[ $(<"$OUT") == *"got 0 bytes, then end of stream" ]]
    greeted
    said "19-passing-descriptors: sendmsg: Too many references: cannot splice"
    for call in send recv; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_ERRNO=104)
        stop server
        serve -w 1
        try "$rude" connect whole "$PORT"
        greeted
        said "19-passing-descriptors: $call: Connection reset by peer"
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SIGNALS=1000)
    stop server
    serve -w 1
    greeted
    greeted
}

@test "19-passing-descriptors does not spin when accept or recvmsg fails on" {
    local call wanted before
    for call in accept4 recvmsg; do
        need_faults
        faulty+=(FAULT_CALL="$call" FAULT_ERRNO=12 FAULT_TIMES=1000000)
        serve -w 1
        come first
        until_true says server "19-passing-descriptors: *: Cannot allocate *" err
        times_of "$server_pid"
        before=$wanted
        for _ in {1..30}; do
            pause
        done
        times_of "$server_pid"
        ((wanted - before < 100000000)) # a third of the time it slept
        (($(wc -l <"$BATS_TEST_TMPDIR/server.err") < 100))
        stop server
        finish first
    done
}

@test "19-passing-descriptors goes on when a client has left on its way" {
    serve -w 1
    come first
    until_true reported 1 "worker 1"
    "$rude" connect reset "$PORT"
    until_true reported 2 "the parent"
    stop first
    greeted
    said "19-passing-descriptors: getpeername: Transport endpoint is not connected"
}

@test "19-passing-descriptors names the call that failed, and why" {
    local call
    need_faults
    for call in fork socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$server" 0
        case $call in
        setsockopt) call="setsockopt SO_REUSEADDR 127.0.0.1:0" ;;
        socket | bind | listen) call+=" 127.0.0.1:0" ;;
        esac
        expect_result 1 "19-passing-descriptors: $call: No buffer space available"
        expect_output --text ''
    done
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'ulimit -n 4 && exec "$0" 0' "$server"
    expect_result 1 "19-passing-descriptors: socketpair: Too many open files"
}

@test "19-passing-descriptors says that its port is taken" {
    serve -w 1
    try "$server" "$PORT"
    expect_result 1 \
        "19-passing-descriptors: bind 127.0.0.1:$PORT: Address already in use"
}

@test "19-passing-descriptors ends when a signal comes just before a call" {
    local call
    need_faults
    for call in accept4 recvmsg recv; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_SIGNAL=15)
        serve -w 1
        start first "$client" 127.0.0.1 "$PORT" hello
        if [[ $call == accept4 ]]; then
            finish server # the parent ends, and so all of them
        else
            until_true worker_has_ended
            stop server
        fi
        expect_equal "status" 0 "$ended"
        finish first
    done
}

# worker_has_ended: the worker has ended, and its parent has not asked for it.
worker_has_ended() {
    workers
    is_over "${workers[0]}"
}

@test "19-passing-descriptors goes on after EINTR in each of its calls" {
    local call
    need_faults
    for call in accept4 sendmsg recvmsg recv send waitpid; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_ERRNO=4)
        serve -w 1
        greeted
        greeted
        stop server
        expect_equal "status after $call" 0 "$ended"
        said ""
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=waitpid
        FAULT_ERRNO=10)
    serve -w 1
    greeted
    stop server
    expect_equal "status" 1 "$ended"
    said "19-passing-descriptors: waitpid: No child processes"
}

@test "19-passing-descriptors does not begin with a closed output" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >&-' "$server"
    expect_result 1 "19-passing-descriptors: descriptor 1: Bad file descriptor"
    # shellcheck disable=SC2016
    try bash -c 'exec "$0" 0 2>&-' "$server"
    expect_result 1 ""
}

@test "19-passing-descriptors serves on when nobody reads its lines" {
    local line
    mkfifo "$BATS_TEST_TMPDIR/lines"
    exec 7<>"$BATS_TEST_TMPDIR/lines"
    # shellcheck disable=SC2016
    start server bash -c 'exec "$0" -w 1 0 >"$1"' "$server" \
        "$BATS_TEST_TMPDIR/lines" 7>&-
    read -rt 10 line <&7
    PORT=${line##*:}
    exec 7>&-
    greeted
    greeted
    stop server
    expect_equal "status" 1 "$ended"
    said "19-passing-descriptors: standard output: not every line could be written
19-passing-descriptors: standard output: not every line could be written"
}

@test "19-passing-descriptors says when its output cannot be written" {
    local OUT
    try_with /dev/null /dev/full "$server" 0
    expect_result 1 \
        "19-passing-descriptors: standard output: No space left on device"
}

@test "19-passing-descriptors refuses what it cannot use" {
    local arguments
    try "$server" -h
    expect_result 0 ""
    expect_output --text 'usage: 19-passing-descriptors [-w WORKERS] PORT\n'
    for arguments in "" "1 2" "-x 0" "-w" "-w 1"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        expect_status 2
        expect_stderr "*usage: 19-passing-descriptors \[-w WORKERS\] PORT"
    done
    try "$server" 65536
    expect_result 1 "19-passing-descriptors: 65536 is not a port: 0 to 65535"
    for arguments in 0 65 x -1; do
        try "$server" -w "$arguments" 0
        expect_result 1 "19-passing-descriptors: $arguments is not a number of \
workers: 1 to 64"
    done
}

# ---- what the text says about messages -------------------------------------

# passes LINES ARGUMENT...: what build/peers/pass prints, after its first line.
passes() {
    try "$pass" "${@:2}"
    expect_result 0 ""
    expect_equal "what it says" "$1" "$(tail -n +2 "$OUT")"
}

@test "a descriptor needs a byte of data beside it" {
    passes "sent 1 byte and 1 descriptor
received 1 byte and 1 descriptor
pipe 1 is open" loop 1
    passes "sent 0 bytes and 1 descriptor
received nothing
pipe 1 is closed" -b 0 loop 1
    passes "sent 0 bytes and 1 descriptor
received 0 bytes and 1 descriptor
pipe 1 is open" -q -b 0 loop 1
}

@test "CMSG_SPACE for one descriptor has room for two, CMSG_LEN has not" {
    [[ $(getconf LONG_BIT) == 64 ]] || skip "the padding is for 64 bits"
    passes "sent 1 byte and 2 descriptors
received 1 byte and 2 descriptors
pipe 1 is open
pipe 2 is open" -r 1 loop 2
    passes "sent 1 byte and 2 descriptors
received 1 byte and 1 descriptor, MSG_CTRUNC
pipe 1 is open
pipe 2 is closed" -l -r 1 loop 2
}

@test "what there is no room for is closed, and MSG_CTRUNC says so" {
    passes "sent 1 byte and 3 descriptors
received 1 byte and 2 descriptors, MSG_CTRUNC
pipe 1 is open
pipe 2 is open
pipe 3 is closed" -r 1 loop 3
    passes "sent 1 byte and 1 descriptor
received 1 byte and 0 descriptors, MSG_CTRUNC
pipe 1 is closed" -r 0 loop 1
}

@test "a message carries 253 descriptors at most" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'ulimit -n 1000 && exec "$0" loop 253' "$pass"
    expect_result 0 ""
    [[ $(<"$OUT") == *"received 1 byte and 253 descriptors"*"pipe 253 is open" ]]
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'ulimit -n 1000 && exec "$0" loop 254' "$pass"
    expect_result 1 "pass: sendmsg: Invalid argument"
}

# ---- strangers: Python's send_fds and recv_fds -----------------------------

need_solution() {
    solution=$BUILD/solution/19-passing-descriptors
    [[ -x $solution ]] || skip "it is not built"
}

@test "19's solution gives its listener to Python's recv_fds" {
    skip_unless python3
    need_solution
    local path=$BATS_TEST_TMPDIR/19.socket
    start_server solution "$solution" "$path" 0
    try python3 -c 'import socket, sys
old = socket.socket(socket.AF_UNIX)
old.connect(sys.argv[1])
data, fds, flags, address = socket.recv_fds(old, 10, 10)
listener = socket.socket(fileno=fds[0])
print(len(data), len(fds), flags, listener.getsockname()[1])
old.sendall(b"x")
old.recv(1) # until the old process has gone, it may accept the client itself
client = socket.create_connection(listener.getsockname())
connection, peer = listener.accept()
print(peer == client.getsockname())' "$path"
    expect_result 0 ""
    expect_output --text "1 1 0 $PORT\nTrue\n"
    finish solution
    expect_equal "status" 0 "$ended"
}

@test "19's solution takes a listener from Python's send_fds" {
    skip_unless python3
    need_solution
    local path=$BATS_TEST_TMPDIR/19.socket line
    start python python3 -c 'import socket, sys
control = socket.socket(socket.AF_UNIX)
control.bind(sys.argv[1])
control.listen()
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
new, _ = control.accept()
socket.send_fds(new, [b"x"], [listener.fileno()])
listener.close()
print("confirmed:", len(new.recv(10)), flush=True)' "$path"
    wait_for python 'listening on *'
    port_of python
    start solution "$solution" "$path" 0
    wait_for solution "listening on 127.0.0.1:$PORT"
    finish python
    expect_lines python "*" "confirmed: 1"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    read -rt 10 line <&7
    expect_equal "greeting" "process $(pid_of solution)" "$line"
    exec 7>&-
}

@test "Python's recv_fds leaves MSG_CTRUNC and close-on-exec to its caller" {
    skip_unless python3
    try python3 -c 'import os, socket
a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [0, 1])
data, fds, flags, address = socket.recv_fds(b, 1, 1)
print(len(fds), flags == socket.MSG_CTRUNC, os.get_inheritable(fds[0]))'
    expect_result 0 ""
    expect_output --text "1 True True\n"
}

@test "19's solution makes its socket at PATH for its own user alone" {
    need_solution
    local path=$BATS_TEST_TMPDIR/19.socket
    start_server solution "$solution" "$path" 0
    expect_equal "permissions" 700 "$(stat -c %a "$path")"
}
