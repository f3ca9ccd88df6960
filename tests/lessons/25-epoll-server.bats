#!/usr/bin/env bats
# 25-epoll-server [-e] [-b BACKLOG] [-m MAXCLIENTS] [-r BYTES] PORT: echo for a
# crowd.

load ../lib/common

server=$BUILD/25-epoll-server
rude=$BUILD/peers/rude
many=$BUILD/peers/many

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" 0
    server_pid=$(pid_of server)
}

# crowd OPTION...: clients of build/peers/many that all get back what they say.
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

# come NAME FACE [OPTION...]: a rude client that stays.
come() {
    start "$1" "$rude" -s 7 "${@:3}" connect "$2" "$PORT"
    wait_for "$1" 'connected from *'
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# connections STATE: how many of the server's port are in it, and have bytes
# that nobody has taken yet, if QUEUE says `tx` or `rx`.
connections() {
    local port
    printf -v port '%04X' "$PORT"
    awk -v port="$port" -v state="$1" -v queue="${QUEUE-}" '
        substr($2, 10) == port && $4 == state {
            split($5, bytes, ":")
            if (queue == "tx" && bytes[1] ~ /^0*$/) next
            if (queue == "rx" && bytes[2] ~ /^0*$/) next
            n++
        }
        END { print n + 0 }' /proc/net/tcp
}

has() {
    [[ $(connections "$2") == "$1" ]]
}

@test "25-epoll-server says back what it hears, and nothing of ordinary days" {
    serve
    call whole
    call dribble
    call join
    call half-close -k 17
    call garbage
    for bytes in 0 1 65535 65536 65537; do
        call whole -n "$bytes"
    done
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT"
    said ""
}

@test "25-epoll-server serves a thousand clients at once, and keeps nothing" {
    local before
    serve
    before=$(descriptors "$server_pid")
    crowd -c 1000 -n 64 -r 3
    crowd -c 50 -n 16384 -r 3
    crowd -c 3 -n 300000
    until_true holds_descriptors "$server_pid" "$before"
    try "$rude" -c 20 connect reset "$PORT"
    until_true holds_descriptors "$server_pid" "$before"
    until_true is_quiet "$server_pid"
    expect_equal "resets" 20 \
        "$(grep -cE '^25-epoll-server: (recv|send): (Connection reset by peer|Broken pipe)$' \
            "$BATS_TEST_TMPDIR/server.err")"
    expect_lines server "listening on *"
}

@test "25-epoll-server sends back all that came before a client's end" {
    serve
    frozen came
    finish early
    expect_lines early "connected from *" "got 60000 bytes, then end of stream"
}

came() {
    come early whole -n 60000
    until_true has 1 08
}

@test "25-epoll-server does not read from who does not read, and serves on" {
    local before count
    serve
    before=$(memory "$server_pid")
    count=$(descriptors "$server_pid")
    come deaf deaf -n 20000000
    crowd -c 20 -n 1000 -r 20
    QUEUE=tx until_true has 1 01
    until_true is_quiet "$server_pid"
    (($(memory "$server_pid") - before < 2000))
    stop deaf
    until_true holds_descriptors "$server_pid" "$count"
    crowd -c 2 -n 8000000 -b 4096
    until_true is_quiet "$server_pid"
    said "25-epoll-server: send: Connection reset by peer"
}

@test "25-epoll-server gives a flooding client a turn, and no more" {
    serve
    start flood "$many" -c 1 -n 16000000 -r 1000 "$PORT"
    until_true has 1 01
    crowd -c 10 -n 64 -r 50
    is_running flood
}

@test "25-epoll-server takes no more than -m allows, and then others again" {
    local count
    serve -m 3
    count=$(descriptors "$server_pid")
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT" \
        7<>"/dev/tcp/127.0.0.1/$PORT"
    for i in 1 2; do
        call_away
    done
    until_true is_quiet "$server_pid"
    expect_lines server "listening on *" "full with 3 clients"
    echo hello >&5
    read -r line <&5
    expect_equal "echo" hello "$line"
    exec 5>&-
    until_true holds_descriptors "$server_pid" $((count + 2))
    call whole
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    call_away
    expect_lines server "listening on *" "full with 3 clients" \
        "full with 3 clients"
    exec 5>&- 6>&- 7>&-
    until_true holds_descriptors "$server_pid" "$count"
    call whole
}

call_away() {
    try "$rude" -k 0 connect stall "$PORT"
    [[ $(<"$OUT") == *"got 0 bytes, then end of stream" ]]
}

@test "25-epoll-server closes at once whom it has no descriptor for" {
    local i
    serve_with 12
    for i in {1..30}; do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    done
    wait_for server "25-epoll-server: accept: *" err
    until_true is_quiet "$server_pid"
    call_away
    until_true is_quiet "$server_pid"
    expect_lines server "listening on *"
    expect_equal "lines" 1 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
}

@test "25-epoll-server takes as many descriptors as it may" {
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -Sn 12 && exec "$0" 0' "$server"
    crowd -c 50
    said ""
}

# serve_with DESCRIPTORS: as many as that, and no more, for the server.
serve_with() {
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -n "$1" && exec "$2" 0' - "$1" "$server"
    server_pid=$(pid_of server)
}

@test "25-epoll-server outlives what accept may fail with, and does not spin" {
    local errno
    need_faults
    for errno in 4 11 103 105; do
        # shellcheck disable=SC2054 # the comma is FAULT_CALL's
        faulty+=(FAULT_CALL=accept4 FAULT_ERRNO="$errno" FAULT_TIMES=3)
        serve
        call whole -n 7
        stop server
        expect_equal "status with $errno" 0 "$ended"
        need_faults
    done
    for errno in 23 24; do
        faulty+=(FAULT_CALL=accept4 FAULT_ERRNO="$errno")
        serve
        call_away
        call whole -n 7
        stop server
        need_faults
    done
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=105 FAULT_TIMES=1000000)
    serve
    come first stall
    until_true says server '25-epoll-server: accept: *' err
    # It asks again every 20 ms; is_quiet looks for twice that time.
    until_true is_quiet "$server_pid"
}

@test "25-epoll-server does not pause when accept has lost one connection" {
    local errno began
    # With 20 ms for each it would take four seconds.
    for errno in 71 103 113; do
        need_faults
        faulty+=(FAULT_CALL=accept4 FAULT_ERRNO="$errno" FAULT_TIMES=200)
        serve
        began=${EPOCHREALTIME/./}
        call whole -n 7
        ((${EPOCHREALTIME/./} - began < 2000000))
        stop server
        expect_equal "status with $errno" 0 "$ended"
        expect_equal "lines" 200 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
    done
}

@test "25's solution does not pause when accept has lost one connection" {
    [[ -x $BUILD/solution/25-epoll-server ]] || skip "it is not built"
    local errno began
    # With 20 ms for each it would take four seconds.
    for errno in 71 103 113; do
        need_faults
        start_server solution "${faulty[@]}" FAULT_CALL=accept4 \
            FAULT_ERRNO="$errno" FAULT_TIMES=200 \
            "$BUILD/solution/25-epoll-server" -i 10 0
        began=${EPOCHREALTIME/./}
        call whole -n 7
        ((${EPOCHREALTIME/./} - began < 2000000))
        expect_equal "lines" 200 "$(wc -l <"$BATS_TEST_TMPDIR/solution.err")"
        stop solution
    done
}

@test "25-epoll-server reads on with -r 2, but not with -e as well" {
    local heard status=0
    serve -r 2
    call whole -n 7
    stop server
    serve -e -r 2
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    echo hello >&5
    read -rN 2 -u 5 heard
    expect_equal "echo" he "$heard"
    read -rt 0.2 -N 1 -u 5 heard || status=$?
    ((status > 128)) # nothing came, and no end
    # More input is news, and with it the next two bytes are read.
    echo again >&5
    read -rN 2 -u 5 heard
    expect_equal "echo" ll "$heard"
    exec 5>&-
}

@test "25-epoll-server lets one client go when a call fails, and no other" {
    need_faults
    faulty+=(FAULT_CALL=epoll_ctl FAULT_ERRNO=28 FAULT_AT=3)
    serve
    call_away
    call whole
    stop server
    said "25-epoll-server: epoll_ctl: No space left on device"
    need_faults
    faulty+=(FAULT_CALL=epoll_ctl FAULT_ERRNO=12 FAULT_AT=4)
    serve
    come deaf deaf -n 20000000
    until_true says server '25-epoll-server: epoll_ctl: *' err
    call whole
    stop server
    need_faults
    for call in recv send; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_ERRNO=104)
        serve
        try "$rude" connect whole "$PORT"
        call whole
        stop server
        expect_equal "status" 0 "$ended"
        said "25-epoll-server: $call: Connection reset by peer"
    done
}

@test "25-epoll-server makes a call again that was not for now" {
    local errno call
    need_faults
    for errno in 4 11; do
        for call in recv send; do
            faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
                FAULT_ERRNO="$errno" FAULT_TIMES=3)
            serve
            call whole
            stop server
        done
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT="send,recv")
    serve
    call whole -n 60
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SIGNALS=300)
    stop server
    serve
    crowd -c 5 -n 5000 -r 2
    stop server
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=epoll_wait
        FAULT_ERRNO=4)
    serve
    call whole
}

@test "25-epoll-server finishes what it owes when it is told to end" {
    local signal
    for signal in TERM INT; do
        serve
        come idle stall -k 0
        mkfifo "$BATS_TEST_TMPDIR/key-$signal"
        # shellcheck disable=SC2016 # for the other bash to expand
        start slow bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/key-$signal" \
            "$many" -g -c 1 -n 8000000 -b 4096 "$PORT"
        exec 8<>"$BATS_TEST_TMPDIR/key-$signal"
        wait_for slow "nothing more fits"
        QUEUE=tx until_true has 1 01
        kill -s "$signal" "$server_pid"
        echo >&8
        finish server
        expect_equal "status after SIG$signal" 0 "$ended"
        finish slow
        expect_lines slow "nothing more fits" "all is well"
        finish idle
        expect_lines idle "*" "got 0 bytes, then end of stream"
        run -1 bash -c ": <>/dev/tcp/127.0.0.1/$PORT"
    done
}

@test "25-epoll-server ends in a second, whatever it owes" {
    local begin now
    serve
    come deaf deaf -n 20000000
    QUEUE=tx until_true has 1 01
    begin=${EPOCHREALTIME/./}
    stop server
    now=${EPOCHREALTIME/./}
    expect_equal "status" 0 "$ended"
    ((now - begin >= 990000 && now - begin < 5000000))
}

@test "25-epoll-server ends at once when nobody is owed anything" {
    local begin i now=0
    for i in 1 2 3 4 5; do # what was late on a busy machine is tried again
        serve
        come deaf deaf -n 20000000
        QUEUE=tx until_true has 1 01
        stop deaf # who was owed something has gone
        wait_for server '25-epoll-server: send: *' err
        exec 5<>"/dev/tcp/127.0.0.1/$PORT"
        begin=${EPOCHREALTIME/./}
        stop server
        now=${EPOCHREALTIME/./}
        expect_equal "status" 0 "$ended"
        ((now - begin > 500000)) || break
    done
    ((now - begin <= 500000))
}

@test "25-epoll-server takes 12 bytes of its own for an idle client" {
    local before
    (($(ulimit -Hn) >= 10100)) || skip "this system allows no 10100 descriptors"
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    serve
    crowd -c 1
    before=$(memory "$server_pid")
    start crowd "$many" -i 10000 -c 50 -w "$PORT"
    wait_for crowd 'all is well'
    # Some pages are touched that have been nobody's: hence the 64 KiB.
    (($(memory "$server_pid") - before <= 10000 * 12 / 1024 + 64))
    stop crowd
}

# cost IDLE: sets took to the nanoseconds that a request takes the server beside
# so many silent clients.
cost() {
    crowd -i "$1" -c 50 -r 100 -p "$server_pid"
    read -r took <"$OUT"
}

@test "25-epoll-server does no more work when 900 clients are silent" {
    local i alone took
    serve
    for i in 1 2 3 4 5; do # on a busy machine it is tried again
        cost 0
        alone=$took
        cost 900
        ((took > alone * 2)) || break
    done
    ((took <= alone * 2))
}

@test "25-epoll-server lets as many wait as -b says" {
    local i connection
    serve -b 2
    frozen crowded
    call whole
}

crowded() {
    for i in 1 2 3; do # a backlog of 2 holds one more
        # shellcheck disable=SC2034 # it is open, that is all
        exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
    done
    start late "$rude" connect whole "$PORT"
    until_true eval "grep -q ':$(printf %04X "$PORT") 02 ' /proc/net/tcp"
}

@test "25-epoll-server's descriptors are close-on-exec, and few" {
    serve
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    until_true has 1 01
    call whole
    # Epoll, signals, listener and a client.
    until_true all_cloexec "$server_pid" 4 "@(socket:*|anon_inode:*)"
}

@test "25-epoll-server names the call that failed, and why" {
    local call
    need_faults
    for call in socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$server" 0
        case $call in
        setsockopt) call="setsockopt SO_REUSEADDR" ;;
        bind) call="bind 127.0.0.1:0" ;;
        esac
        expect_result 1 "25-epoll-server: $call: No buffer space available"
        expect_output --text ''
    done
    try "${faulty[@]}" FAULT_CALL=epoll_ctl FAULT_ERRNO=105 "$server" 0
    expect_result 1 "25-epoll-server: epoll_ctl: No buffer space available"
    try "${faulty[@]}" FAULT_CALL=epoll_ctl FAULT_AT=2 FAULT_ERRNO=105 "$server" 0
    expect_result 1 "25-epoll-server: epoll_ctl: No buffer space available"
    expect_output --text ''
    faulty+=(FAULT_CALL=epoll_wait FAULT_ERRNO=105)
    serve
    call whole
    said "25-epoll-server: epoll_wait: No buffer space available"
    stop server
    # shellcheck disable=SC2016 # for the other bash to expand
    bounded bash -c 'for fd in /proc/self/fd/*; do
            ((${fd##*/} < 3)) || eval "exec ${fd##*/}>&-"
        done
        ulimit -n 5
        exec "$0" 0' "$server" 2>"$BATS_TEST_TMPDIR/few" || true
    [[ $(<"$BATS_TEST_TMPDIR/few") == "25-epoll-server: epoll_create1: "* ]]
}

@test "25-epoll-server says so when its output cannot be written" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >/dev/full' "$server"
    expect_result 1 "25-epoll-server: standard output: No space left on device"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >&-' "$server"
    expect_equal "status" 1 "$status"
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$server" -m 1 0
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
    read -r <&6 || true
    stop server
    expect_equal "status" 1 "$ended"
    said "25-epoll-server: standard output: Broken pipe
25-epoll-server: standard output: not every line could be written"
}

@test "25-epoll-server explains itself when asked, and when called wrongly" {
    local number usage="usage: 25-epoll-server [-e] [-b BACKLOG] \
[-m MAXCLIENTS] [-r BYTES] PORT"
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "1 2" "-m 1" "-b 1 -m 1"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        expect_result 2 "$usage"
    done
    for number in 65536 -1 80x '' 18446744073709551617; do
        try "$server" -- "$number"
        expect_result 1 "25-epoll-server: $number is not a number from 0 to 65535"
        try "$server" -m "$number" 0
        expect_result 1 "25-epoll-server: $number is not a number from 1 to 65535"
    done
    try "$server" -b 0 0
    expect_result 1 "25-epoll-server: 0 is not a number from 1 to 65535"
    try "$server" -r 0 0
    expect_result 1 "25-epoll-server: 0 is not a number from 1 to 65535"
    serve
    try "$server" "$PORT"
    [[ $errors == "25-epoll-server: bind 127.0.0.1:$PORT: Address "*"in use" ]]
}
