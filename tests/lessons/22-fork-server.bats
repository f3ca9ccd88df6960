#!/usr/bin/env bats
# 22-fork-server [-m MAXCHILDREN] PORT: echo, a process for each client.

load ../lib/common
load ../lib/clock

server=$BUILD/22-fork-server
client=$BUILD/01-tcp-client
rude=$BUILD/peers/rude
many=$BUILD/peers/many
processes=$BUILD/peers/processes

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" 0
    server_pid=$(pid_of server)
}

# serve_below_shell [COMMAND...]: the same as the child of a shell that stays
# when the server ends. (Otherwise our guard would end the children.)
serve_below_shell() {
    local child=''
    # shellcheck disable=SC2016 # for the inner shell
    start server bash -c '"$@" & wait; sleep 29' - "${@:-$server}" 0
    wait_for server 'listening on *'
    port_of server
    until_true has_child "$(pid_of server)"
    server_pid=$child
}

# crowd OPTION...: clients that all get back what they send.
crowd() {
    try "$many" -s 7 "$@" "$PORT"
    expect_result 0 ""
    [[ $(<"$OUT") == *"all is well"* ]]
}

# call FACE [OPTION...]: a rude client, to its end; it hears what it said.
call() {
    "$rude" -s 7 "${@:2}" payload "$1" >"$BATS_TEST_TMPDIR/payload"
    try "$rude" -s 7 "${@:2}" -o "$BATS_TEST_TMPDIR/heard" connect "$1" "$PORT"
    expect_result 0 ""
    expect_output "$BATS_TEST_TMPDIR/payload" --in "$BATS_TEST_TMPDIR/heard"
}

# stay NAME [COUNT]: so many clients that say nothing, each with its child.
stay() {
    local before
    before=$(count_lines '* connected: *')
    start "$1" "$many" -i "${2-1}" -w "$PORT"
    until_true has_lines $((before + ${2-1})) '* connected: *'
}

# count_lines PATTERN: of the server's lines, so many match.
count_lines() {
    local line count=0
    while IFS= read -r line; do
        # shellcheck disable=SC2053 # the pattern is one
        [[ $line != $1 ]] || count=$((count + 1))
    done <"$BATS_TEST_TMPDIR/server.out"
    echo "$count"
}

has_lines() {
    [[ $(count_lines "$2") == "$1" ]]
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# ---- a process for each client --------------------------------------------

@test "22-fork-server echoes, and says which process served whom" {
    local line
    serve
    start first "$rude" -k 0 connect stall "$PORT"
    wait_for server "* connected: process *"
    children_of "$server_pid"
    try "$client" 127.0.0.1 "$PORT" 'me too'
    expect_result 0 ""
    expect_output --text 'me too\n'
    wait_for server "* closed after 7 bytes"
    read -r line <"$BATS_TEST_TMPDIR/first.out"
    line=${line#connected from }
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "$line connected: process ${children[0]}" \
        "127.0.0.1:* connected: process *" "127.0.0.1:* closed after 7 bytes"
    stop first
    wait_for server "$line closed after 0 bytes"
    said ""
}

@test "22-fork-server sends back whatever comes, in whatever pieces" {
    local bytes
    serve
    call whole
    call dribble
    call join
    call half-close -k 17
    call garbage
    for bytes in 0 1 16383 16384 16385; do
        call whole -n "$bytes"
    done
    crowd -c 3 -n 300000
    said ""
}

@test "22-fork-server sends all, a byte at a time if it must" {
    need_faults
    faulty+=(FAULT_SHORT=send)
    serve
    crowd -c 1 -n 500
}

@test "22-fork-server serves 10,000 short clients, and keeps nothing of them" {
    local before times=200
    [[ $BUILD != *asan* ]] || times=10 # there, a fork takes ten times as long
    # Some machines need 20 seconds for so many forks, and more when they are busy.
    START_SECONDS=300 serve
    before=$(descriptors "$server_pid")
    SECONDS_ALLOWED=300 crowd -c 50 -k "$times"
    # Without another client or signal, all zombies go.
    until_true has_children "$server_pid" 0
    expect_equal "descriptors" "$before" "$(descriptors "$server_pid")"
    expect_equal "processes" $((50 * times)) "$(count_lines '* connected: *')"
    # Fifty clients reset, and the server still serves and keeps nothing.
    try "$rude" -c 50 connect reset "$PORT"
    crowd -c 1
    until_true has_children "$server_pid" 0
    expect_equal "descriptors" "$before" "$(descriptors "$server_pid")"
}

@test "22-fork-server's parent has the listener, and each child its connection" {
    local child
    serve
    until_true holds_sockets "$server_pid" 1
    stay clients 3
    until_true has_children "$server_pid" 3
    until_true holds_sockets "$server_pid" 1
    for child in "${children[@]}"; do
        until_true holds_sockets "$child" 1
        [[ $(readlink "/proc/$child/fd"/*) != \
            *"$(readlink "/proc/$server_pid/fd"/* | grep socket)"* ]]
    done
}

@test "22-fork-server's descriptors are close-on-exec" {
    serve
    stay clients 1
    until_true all_cloexec "$server_pid" 1 # the listener
    has_children "$server_pid" 1
    until_true all_cloexec "${children[0]}" 1 # its client
}

@test "22-fork-server ends a connection when the client has ended its half" {
    serve
    try "$rude" -n 6 connect whole "$PORT"
    expect_result 0 ""
    [[ $(<"$OUT") == *"got 6 bytes, then end of stream" ]]
}

@test "22-fork-server goes on after whatever a client does" {
    local face
    serve
    for face in $("$rude" faces); do
        SECONDS_ALLOWED=0.3 bounded "$rude" -s 7 connect "$face" "$PORT" \
            >/dev/null 2>&1 </dev/null || true
    done
    crowd -c 5
    until_true has_children "$server_pid" 0
    run ! grep -q 'ended by signal' "$BATS_TEST_TMPDIR/server.err"
}

# leave_while_stopped: three clients leave. Their children end, and the parent
# can not ask for them.
leave_while_stopped() {
    stop clients
    until_true are_over "${children[@]}"
    has_children "$server_pid" 3
    # One SIGCHLD waits, or none; it is not counted.
    pending=$(awk '/^(SigPnd|ShdPnd)/ { print $2 }' "/proc/$server_pid/status")
}

@test "22-fork-server asks for three children after one SIGCHLD" {
    local pending
    serve
    stay clients 3
    until_true has_children "$server_pid" 3
    frozen leave_while_stopped
    [[ $pending == *1???? ]] # bit 16: SIGCHLD is signal 17
    until_true has_children "$server_pid" 0
}

# ---- the limit ---------------------------------------------------------------

@test "22-fork-server -m 2 lets the third client wait, and then serves it" {
    local i
    serve -m 2
    stay first 1
    stay second 1
    start third "$many" -c 1 "$PORT"
    until_true third_waits
    for i in 1 2 3 4 5; do
        pause
        expect_lines third
    done
    has_children "$server_pid" 2
    stop first
    wait_for third 'all is well'
    # Full, and it is told to end.
    stay first 1
    stop server
    expect_equal "status" 0 "$ended"
}

# third_waits: a connection that has been sent something has no descriptor.
third_waits() {
    "$BUILD/peers/sockets" "$PORT" >"$BATS_TEST_TMPDIR/sockets"
    grep -qE '^ESTABLISHED +0 +64 +0 ' "$BATS_TEST_TMPDIR/sockets"
}

@test "22-fork-server uses no processor while it is full" {
    serve -m 1
    stay first 1
    start second "$many" -i 1 -w "$PORT"
    wait_for second 'all is well'
    until_true is_quiet "$server_pid"
}

@test "22-fork-server has 512 clients at once, unless -m says otherwise" {
    [[ $BUILD != *asan* ]] || skip "so many are too much there"
    serve
    START_SECONDS=60 stay clients 512
    start last "$many" -i 1 -w "$PORT"
    wait_for last 'all is well'
    has_children "$server_pid" 512
    stop server
    expect_equal "status" 0 "$ended"
}

# ---- the end -----------------------------------------------------------------

@test "22-fork-server ends with status 0 on SIGINT and SIGTERM, its children too" {
    local signal
    for signal in INT TERM; do
        serve
        stay clients 3
        children_of "$server_pid"
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        until_true are_over "${children[@]}"
        finish clients # they have seen the end
        said ""
    done
}

# The signal comes after the server has looked whether it is to end, and before
# it sleeps.
@test "22-fork-server ends when it is told to just before it sleeps" {
    local number
    need_faults
    for number in 2 15; do
        faulty=("${faulty[@]:0:2}" FAULT_CALL=waitpid FAULT_SIGNAL="$number")
        serve
        finish server
        expect_equal "status" 0 "$ended"
        said ""
    done
    # The same after a client, who stays.
    faulty=("${faulty[@]:0:2}" FAULT_CALL=waitpid FAULT_AT=2 FAULT_SIGNAL=15)
    serve
    start client "$rude" -k 0 connect stall "$PORT"
    finish server
    expect_equal "status" 0 "$ended"
}

@test "22-fork-server ends with its children though it cannot tell them" {
    need_faults
    serve_below_shell "${faulty[@]}" FAULT_CALL=kill FAULT_ERRNO=1 "$server"
    stay clients 2
    children_of "$server_pid"
    kill "$server_pid"
    wait_for server "22-fork-server: kill: Operation not permitted" err
    until_true are_over "$server_pid" "${children[@]}"
}

# It asks once before the client comes, and once after. The third time is at the
# end.
@test "22-fork-server says so when it cannot wait for its children" {
    need_faults
    faulty+=(FAULT_CALL=waitpid FAULT_AT=3 FAULT_ERRNO=10)
    serve
    stay clients 1
    stop server
    expect_equal "status" 0 "$ended"
    said "22-fork-server: waitpid: No child processes"
}

@test "22-fork-server waits for its children when it ends" {
    serve_below_shell
    stay clients 2
    children_of "$server_pid"
    kill -STOP "${children[@]}"
    until_true is_stopped "${children[0]}"
    kill "$server_pid"
    # It sleeps in waitpid, and has closed its listener.
    until_true has_no_listener
    run ! is_over "$server_pid"
    kill -CONT "${children[@]}"
    until_true is_over "$server_pid"
    are_over "${children[@]}"
}

has_no_listener() {
    holds_sockets "$server_pid" 0
}

@test "22-fork-server's child ends when its parent has ended just before it asks" {
    local line=
    need_faults
    # The child stops before it asks for a signal at its parent's end.
    serve_below_shell "${faulty[@]}" FAULT_CALL=prctl FAULT_SIGNAL=19 "$server"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    until_true has_children "$server_pid" 1
    until_true is_stopped "${children[0]}"
    kill -KILL "$server_pid"
    until_true is_over "$server_pid"
    kill -CONT "${children[0]}"
    echo hello >&7
    read -rt 5 line <&7 || true
    expect_equal "what came back" "" "$line"
    until_true is_over "${children[0]}"
}

@test "22-fork-server's children end when it is killed" {
    serve_below_shell
    stay clients 3
    children_of "$server_pid"
    kill -KILL "$server_pid"
    until_true are_over "${children[@]}"
    finish clients
}

@test "22-fork-server's children leave Ctrl-C to their parent" {
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    wait_for server '* connected: *'
    children_of "$server_pid"
    kill -INT "${children[0]}"
    echo hello >&7
    read -rt 5 line <&7
    expect_equal "what came back" hello "$line"
    exec 7>&-
}

# queue: 30 clients are in the queue.
queue() {
    start queue "$many" -i 30 -w "$PORT"
    wait_for queue 'all is well'
}

# The signal comes just before the first of them is accepted.
@test "22-fork-server ends though more clients are in the queue" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_SIGNAL=15)
    serve
    frozen queue
    finish server
    expect_equal "status" 0 "$ended"
    (($(count_lines '* connected: *') <= 1))
}

@test "22-fork-server hears signals that its parent has blocked" {
    local signal
    skip_unless python3
    for signal in INT TERM; do
        start_server server python3 -c '
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK,
                       [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD])
os.execv(sys.argv[1], sys.argv[1:])' "$server" 0
        server_pid=$(pid_of server)
        stay clients 1
        stop clients
        until_true has_children "$server_pid" 0
        stay clients 1
        stop server "$signal"
        expect_equal "status" 0 "$ended"
    done
}

# ---- what fails --------------------------------------------------------------

@test "22-fork-server says which child crashed, and goes on" {
    local signal=SEGV words="11 (Segmentation fault)"
    # A sanitizer has a handler of its own for SIGSEGV.
    [[ $BUILD != *asan* ]] || { signal=KILL && words="9 (Killed)"; }
    serve
    stay clients 2
    children_of "$server_pid"
    kill "-$signal" "${children[0]}"
    wait_for server "22-fork-server: process ${children[0]}, for 127.1.0.1:*: \
ended by signal $words" err
    until_true has_children "$server_pid" 1
    crowd -c 3
}

@test "22-fork-server lets a client go when fork fails, and serves the next" {
    need_faults
    faulty+=(FAULT_CALL=fork FAULT_ERRNO=11 FAULT_TIMES=3)
    # It also pauses: three times a tenth of a second.
    measured 30 60 three_times_in_vain
    said "22-fork-server: fork: Resource temporarily unavailable
22-fork-server: fork: Resource temporarily unavailable
22-fork-server: fork: Resource temporarily unavailable"
    until_true holds_sockets "$server_pid" 1
}

# three_times_in_vain: sets took to the time until a client is served.
three_times_in_vain() {
    local start now i
    serve
    look_at_clock
    start=$now
    for i in 1 2 3; do
        try "$client" 127.0.0.1 "$PORT" hello
        expect_equal "status" 1 "$status"
    done
    try "$client" 127.0.0.1 "$PORT" hello
    expect_result 0 ""
    look_at_clock
    took=$((now - start))
}

@test "22-fork-server lives at the limit of its user's processes" {
    local -a user=()
    skip_unless prlimit
    if ((UID == 0)); then # root has no such limit, but any other user has
        skip_unless setpriv
        user=(setpriv --reuid "$((60000 + RANDOM % 5000))" --clear-groups)
    fi
    "${user[@]}" "$server" -h >/dev/null || skip "no other user can run it"
    start_server server prlimit --nproc=1: "${user[@]}" "$server" 0
    server_pid=$(pid_of server)
    try "$client" 127.0.0.1 "$PORT" hello
    expect_equal "status" 1 "$status"
    wait_for server \
        "22-fork-server: fork: Resource temporarily unavailable" err
    "${user[@]}" prlimit --nproc=100: --pid "$server_pid" ||
        skip "no limit can be raised"
    try "$client" 127.0.0.1 "$PORT" hello
    expect_result 0 ""
}

@test "22-fork-server waits a tenth of a second after an accept that failed" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=24 FAULT_TIMES=3)
    measured 30 60 served_late
    expect_equal "complaints" 3 \
        "$(grep -cx '22-fork-server: accept: Too many open files' \
            "$BATS_TEST_TMPDIR/server.err")"
    expect_equal "processes" 1 "$(count_lines '* connected: *')"
}

served_late() {
    local start now
    serve
    look_at_clock
    start=$now
    crowd -c 1
    look_at_clock
    took=$((now - start))
}

@test "22-fork-server does not wait for a client that is gone" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=11)
    serve
    crowd -c 1
    said ""
}

@test "22-fork-server has a listener that does not block" {
    serve
    until_true holds_sockets "$server_pid" 1
    flags_of "$server_pid" "${sockets[0]}"
    (((8#$flags & 8#4000) != 0)) # O_NONBLOCK
}

@test "22-fork-server's child says what failed, and no other client notices" {
    need_faults
    faulty+=(FAULT_CALL=recv FAULT_ERRNO=105)
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    wait_for server "22-fork-server: recv from 127.0.0.1:*: No buffer space \
available" err
    wait_for server "127.0.0.1:* closed after 0 bytes"
    exec 7>&-
    until_true has_children "$server_pid" 0
    stop server
    faulty=("${faulty[@]:0:2}" FAULT_CALL=send FAULT_ERRNO=105)
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    echo hello >&7
    wait_for server "22-fork-server: send to 127.0.0.1:*: No buffer space \
available" err
    wait_for server "127.0.0.1:* closed after 0 bytes"
    exec 7>&-
    stop server
    faulty=("${faulty[@]:0:2}" FAULT_CALL=recv FAULT_ERRNO=4 FAULT_TIMES=3)
    serve
    crowd -c 1
    said ""
}

@test "22-fork-server names the call that failed, and why" {
    local call
    need_faults
    for call in socket setsockopt bind listen fcntl getsockname; do
        set -- "$call"
        [[ $call != fcntl ]] || set -- fcntl FAULT_AT=3 # after 1 and 2
        try "${faulty[@]}" FAULT_CALL="$1" "${@:2}" FAULT_ERRNO=105 "$server" 0
        case $call in
        socket | listen) call="$call 127.0.0.1:0" ;;
        setsockopt) call="setsockopt SO_REUSEADDR 127.0.0.1:0" ;;
        bind) call="bind 127.0.0.1:0" ;;
        esac
        expect_result 1 "22-fork-server: $call: No buffer space available"
        expect_output --text ''
    done
    serve
    try "$server" "$PORT"
    expect_result 1 \
        "22-fork-server: bind 127.0.0.1:$PORT: Address already in use"
}

@test "22-fork-server can be started again at once on its port" {
    local port
    serve
    port=$PORT
    stay clients 2
    stop server
    start_server server "$server" "$port"
}

count_complaints() {
    grep -c 'standard output: Broken pipe' "$BATS_TEST_TMPDIR/server.err"
}

@test "22-fork-server says so when its output cannot be written" {
    local before
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >/dev/full' "$server"
    expect_result 1 "22-fork-server: standard output: No space left on device"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >&-' "$server"
    expect_result 1 "22-fork-server: descriptor 1: Bad file descriptor"
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$server" 0
    server_pid=$(pid_of server)
    crowd -c 2
    wait_for server "22-fork-server: standard output: Broken pipe" err
    until_true has_children "$server_pid" 0
    before=$(count_complaints)
    crowd -c 2
    until_true has_children "$server_pid" 0
    expect_equal "lines that were lost" 4 $(($(count_complaints) - before))
    stop server
    expect_equal "status" 0 "$ended"
    run ! grep -q signal "$BATS_TEST_TMPDIR/server.err"
}

@test "22-fork-server explains itself when asked, and when called wrongly" {
    local number usage="usage: 22-fork-server [-m MAXCHILDREN] PORT"
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "1 2" "-m 1" "-m 1 1 2"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        expect_result 2 "$usage"
    done
    try "$server" -x 0
    expect_equal "status" 2 "$status"
    for number in 65536 -1 80x '' 18446744073709551617; do
        try "$server" -- "$number"
        expect_result 1 "22-fork-server: $number is not a port: 0 to 65535"
    done
    for number in 0 4097 2x ''; do
        try "$server" -m "$number" 0
        expect_result 1 \
            "22-fork-server: $number is not a number of children: 1 to 4096"
    done
    serve -m 4096
    crowd -c 1
}

# ---- what the text says ------------------------------------------------------

# own_memory: sets own and tables to KiB of each of 200 children.
own_memory() {
    try "$processes" -n 200 -w sleeping -m "$server_pid"
    expect_result 0 ""
    [[ $(<"$OUT") =~ ^"200 children; for each "([0-9]+)" KiB of its own, "([0-9]+)" KiB of page tables"$ ]]
    own=${BASH_REMATCH[1]}
    tables=${BASH_REMATCH[2]}
}

@test "22: a process takes about 120 KiB, an entry of poll 4" {
    local own tables before after
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    [[ $(uname -m) == x86_64 ]] || skip "pages may have another size"
    serve
    stay clients 200
    own_memory
    expect_true "$own KiB of its own and $tables KiB of tables" -- \
        test "$((own + tables + 16))" -ge 80 -a "$((own + tables + 16))" -le 170
    stop server
    start_server server "$BUILD/24-poll-chat" 0
    server_pid=$(pid_of server)
    before=$(memory "$server_pid")
    start clients "$many" -i 900 -w "$PORT"
    until_true has_lines 900 '* connected'
    after=$(memory "$server_pid")
    expect_true "$((after - before)) KiB for 900 entries" -- \
        test "$((after - before))" -ge 3000 -a "$((after - before))" -le 6000
}

# kernel_stack: sets stack to the KiB of all kernel stacks of this machine.
kernel_stack() {
    read -r stack < <(awk '/^KernelStack/ { print $2 }' /proc/meminfo)
}

@test "22: a process takes 16 KiB in the kernel for its stack" {
    local stack before i
    [[ $(uname -m) == x86_64 ]] || skip "stacks may have another size"
    # Other programs begin and end meanwhile: once in five times they do not.
    for i in 1 2 3 4 5; do
        serve
        kernel_stack
        before=$stack
        stay clients 400
        kernel_stack
        stop_all
        ((stack - before < 400 * 14 || stack - before > 400 * 18)) || return 0
    done
    fail "400 processes took $((stack - before)) KiB"
}

has_empty_queue() {
    "$BUILD/peers/sockets" "$PORT" | grep -q '^LISTEN *0 *0 '
}

# cost_of PROGRAM: sets cost to the microseconds of processor time for a client
# that connects and leaves. They do not wait, so some may still be in the queue. An
# echo for one that comes last says that all are served; the chat has no echo, so
# there we look at the queue.
cost_of() {
    local text
    # shellcheck disable=SC2016 # for the other bash to expand
    start server bash -c 'TIMEFORMAT="%U %S"
        time { "$0" 0 & pid=$!; trap "kill $pid" TERM; wait; wait; }' "$1"
    wait_for server 'listening on *'
    port_of server
    SECONDS_ALLOWED=300 crowd -i 50 -k 60
    [[ $1 != "$server" ]] || SECONDS_ALLOWED=300 crowd -c 1
    until_true has_empty_queue
    stop server
    text=$(tail -n 1 "$BATS_TEST_TMPDIR/server.err")
    text=${text//./}
    cost=$(((10#${text% *} + 10#${text#* }) * 1000 / 3000))
}

@test "22: a process takes several times the time of an entry of poll" {
    local cost processes i
    [[ $BUILD != *asan* ]] || skip "a sanitizer has work of its own"
    for i in 1 2 3 4 5; do
        cost_of "$server"
        processes=$cost
        cost_of "$BUILD/24-poll-chat"
        echo "a process $processes us, an entry $cost us"
        ((processes < cost * 3)) || return 0
    done
    false
}

@test "22: what is in printf's buffer is printed twice after fork" {
    skip_unless python3
    try python3 -c 'import os; print("once"); os.fork()'
    expect_output --text 'once\nonce\n'
    try python3 -c 'import os; print("once", flush=True); os.fork()'
    expect_output --text 'once\n'
}

@test "22: Python's ForkingTCPServer is as the text says" {
    skip_unless python3
    try python3 -c '
import inspect, socketserver as s
print(s.ForkingMixIn.max_children, s.ForkingMixIn.block_on_close,
      inspect.signature(s.BaseServer.serve_forever))
print(issubclass(s.ForkingTCPServer, s.TCPServer))'
    expect_output --text '40 True (self, poll_interval=0.5)\nTrue\n'
    # Its child keeps the listener, and goes on when its parent is killed.
    serve_below_shell python3 lessons/22-fork-server/twin.py
    stay clients 1
    children_of "$server_pid"
    until_true holds_sockets "${children[0]}" 2
    kill -KILL "$server_pid"
    until_true is_over "$server_pid"
    run ! is_over "${children[0]}"
    try "$server" "$PORT"
    expect_result 1 \
        "22-fork-server: bind 127.0.0.1:$PORT: Address already in use"
}

@test "22: server_close of Python waits for its children, and tells them nothing" {
    skip_unless python3
    serve_below_shell python3 lessons/22-fork-server/twin.py
    stay clients 1
    children_of "$server_pid"
    kill "$server_pid"
    until_true has_no_listener
    run ! is_over "$server_pid"
    run ! is_over "${children[0]}"
    stop clients
    until_true is_over "$server_pid"
}

# ---- the exercise ------------------------------------------------------------

@test "22's solution serves 10,000 clients with two workers" {
    local before
    [[ -x $BUILD/solution/22-fork-server ]] || skip "it is not built"
    [[ $BUILD != *asan* ]] || skip "takes too long there"
    start_server server "$BUILD/solution/22-fork-server" 2 0
    server_pid=$(pid_of server)
    until_true has_children "$server_pid" 2
    before=${children[*]}
    SECONDS_ALLOWED=300 crowd -c 2 -k 5000
    children_of "$server_pid"
    expect_equal "workers" "$before" "${children[*]}"
}

@test "22's solution tries fork again when it has failed" {
    [[ -x $BUILD/solution/22-fork-server ]] || skip "it is not built"
    need_faults
    faulty+=(FAULT_CALL=fork FAULT_ERRNO=11)
    start_server server "${faulty[@]}" "$BUILD/solution/22-fork-server" 2 0
    server_pid=$(pid_of server)
    wait_for server "22-fork-server: fork: Resource temporarily unavailable" err
    until_true has_children "$server_pid" 2
    stop server
    expect_equal "status" 0 "$ended"
}
