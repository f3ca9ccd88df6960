#!/usr/bin/env bats
# 03-udp serve [-b BYTES] PORT and 03-udp send ADDRESS PORT MESSAGE: one
# datagram out, one back.
# shellcheck disable=SC2153,SC2154 # set by the library: PORT, ended, stderr

load ../lib/common

udp=$BUILD/03-udp
rude=$BUILD/peers/rude-udp
vain="03-udp: no answer: try 2 of 3
03-udp: no answer: try 3 of 3
03-udp: no answer from 127.0.0.1:%s in 3 tries"

# serve [COMMAND...]: the server on a port of its own, behind that command.
serve() {
    start_server server "$@" "$udp" serve 0
}

# call FACE [OPTION...]: a rude client, to its end. What it said is in the file
# payload, what it heard in the file heard; all it printed is in $OUT.
call() {
    local face=$1
    shift
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$rude" -s 7 "$@" -o "$BATS_TEST_TMPDIR/heard" connect "$face" "$PORT"
    expect_result 0 ""
}

# expect_echo: the client heard all that it said, and nothing else.
expect_echo() {
    expect_output "$BATS_TEST_TMPDIR/payload" --in "$BATS_TEST_TMPDIR/heard"
}

# expect_served: another client still gets its answer.
expect_served() {
    try "$udp" send 127.0.0.1 "$PORT" "still there?"
    expect_result 0 ""
    expect_output --text 'still there?\n'
}

# said ERRORS: all that the server has said on standard error; waits for it.
said() {
    until_true has_said "$1" ||
        expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# has_said PATTERN
has_said() {
    local all
    all=$(<"$BATS_TEST_TMPDIR/server.err")
    # shellcheck disable=SC2053 # the pattern is one
    [[ $all == $1 ]]
}

# against FACE [OPTION...]: the client says hello to a rude server.
against() {
    local face=$1
    shift
    start_server peer "$rude" -s 7 -o "$BATS_TEST_TMPDIR/heard" "$@" \
        serve "$face"
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$udp" send 127.0.0.1 "$PORT" hello
}

# expect_answer: the client printed the payload and a newline.
expect_answer() {
    expect_result 0 ""
    echo >>"$BATS_TEST_TMPDIR/payload"
    expect_output "$BATS_TEST_TMPDIR/payload"
}

expect_no_answer() {
    # shellcheck disable=SC2059 # vain has the place of the port
    expect_result 1 "$(printf "$vain" "$PORT")"
    expect_output --text ''
}

# need_haste: what `hasty` goes before waits a tenth as long.
need_haste() {
    need_faults
    hasty=("${faulty[@]}" FAULT_HASTE=10)
}

# sockets PORT: what /proc/net/udp has in its lines about that local port: the
# local address, the remote one, the state, and the datagrams dropped.
sockets() {
    local port
    printf -v port '%04X' "$1"
    awk -v port="$port" '
        substr($2, 10) == port { print substr($2, 1, 8), $3, $4, $NF }' \
        /proc/net/udp
}

# clock: sets now, in hundredths of a second that no wall clock can turn back.
clock() {
    read -r now _ </proc/uptime
    now=${now/./}
}

# sleeps_in NAME NUMBER...: it waits in one of these system calls.
sleeps_in() {
    local number pid
    pid=$(pid_of "$1")
    read -r number _ <"/proc/$pid/syscall"
    shift
    [[ " $* " == *" $number "* ]]
}

# What recv and recvfrom are to the kernel: 45 on x86-64, 207 on most others.
receives() {
    sleeps_in "$1" 45 207
}

# ---- the server ------------------------------------------------------------

@test "03-udp serve sends back what it gets, and says who sent how much" {
    serve
    call whole
    expect_echo
    expect_output --text "got 24 bytes from 127.0.0.1:$PORT\n"
    call whole -n 1
    expect_echo
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "24 bytes from 127.0.0.1:[1-9]*" "1 bytes from 127.0.0.1:[1-9]*"
    said ""
}

@test "03-udp serve names the port that the datagram came from" {
    serve
    exec 7<>"/dev/udp/127.0.0.1/$PORT"
    printf hello >&7
    wait_for server '5 bytes from *'
    local name port
    read -r _ _ _ name < <(tail -n 1 "$BATS_TEST_TMPDIR/server.out")
    port=${name#127.0.0.1:}
    [[ $(sockets "$port") == "0100007F 0100007F:$(printf %04X "$PORT") 01 0" ]]
}

@test "03-udp serve answers a datagram with a datagram, whatever is in it" {
    serve
    call garbage
    expect_echo
    printf 'a\0b\0\0c\nd\377' >"$BATS_TEST_TMPDIR/nul"
    call whole -f "$BATS_TEST_TMPDIR/nul"
    expect_echo
    call twice
    expect_output --text "got 24 bytes from 127.0.0.1:$PORT\n\
got 24 bytes from 127.0.0.1:$PORT\n"
    stop server
    expect_lines server "*" "4096 bytes from *" "9 bytes from *" \
        "24 bytes from *" "24 bytes from *"
}

@test "03-udp serve answers the empty datagram and the largest" {
    serve
    call empty
    expect_output --text "got 0 bytes from 127.0.0.1:$PORT\n"
    call garbage -n 65507
    expect_echo
    call garbage -n 65506
    expect_echo
    stop server
    expect_lines server "*" "0 bytes from *" "65507 bytes from *" \
        "65506 bytes from *"
}

@test "03-udp serve answers 200 clients in turn, and keeps no descriptor" {
    local before after
    serve
    call whole
    before=("/proc/$(pid_of server)/fd"/*)
    call whole -c 200
    expect_equal "answers" 200 "$(grep -c "^got 24 bytes from" "$OUT")"
    expect_output \
        --text "$(printf "%.0s$(<"$BATS_TEST_TMPDIR/payload")" {1..200})" \
        --in "$BATS_TEST_TMPDIR/heard"
    after=("/proc/$(pid_of server)/fd"/*)
    expect_equal "descriptors" "${#before[@]}" "${#after[@]}"
    stop server
    expect_equal "lines" 202 "$(wc -l <"$BATS_TEST_TMPDIR/server.out")"
}

@test "03-udp serve goes on after clients that have gone before its answer" {
    serve
    call deaf -c 50
    expect_served
    stop server
    expect_equal "status" 0 "$ended"
    expect_equal "lines" 52 "$(wc -l <"$BATS_TEST_TMPDIR/server.out")"
    said ""
}

@test "03-udp serve serves strangers: python3, and socat" {
    local count=0
    serve
    if command -v python3 >/dev/null; then
        try python3 -c '
import os, socket, sys
server = ("127.0.0.1", int(sys.argv[1]))
clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
said = [os.urandom(i * i) for i in range(20)]
for client, bytes in zip(clients, said):
    client.settimeout(5)
    assert client.sendto(bytes, server) == len(bytes)
for client, bytes in zip(clients, said):
    assert client.recvfrom(65536) == (bytes, server)
print("all is well")
' "$PORT"
        expect_result 0 ""
        expect_output --text 'all is well\n'
        count=1
    fi
    if command -v socat >/dev/null; then
        "$rude" -s 9 -n 8000 payload garbage >"$BATS_TEST_TMPDIR/payload"
        bounded socat -t 0.2 - "UDP:127.0.0.1:$PORT" \
            <"$BATS_TEST_TMPDIR/payload" >"$BATS_TEST_TMPDIR/heard" 3>&-
        expect_echo
        count=$((count + 1))
    fi
    ((count > 0)) || skip "neither python3 nor socat is installed"
    said ""
}

@test "03-udp serve goes on when an answer cannot be sent, and says so" {
    local error
    need_faults
    for error in "1 Operation not permitted" "105 No buffer space available" \
        "111 Connection refused"; do
        serve "${faulty[@]}" FAULT_CALL=sendto FAULT_ERRNO="${error%% *}"
        call deaf
        said "03-udp: sendto 127.0.0.1:[1-9]*: ${error#* }"
        expect_served
        stop server
        expect_equal "status" 0 "$ended"
        expect_lines server "*" "24 bytes from *" "12 bytes from *"
    done
}

@test "03-udp serve goes on when nothing can be received, and says so" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=recvfrom FAULT_ERRNO=105
    said "03-udp: recvfrom: No buffer space available"
    expect_served
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "*" "12 bytes from 127.0.0.1:*"
}

@test "03-udp serve is not disturbed by a signal that does not mean the end" {
    need_faults
    serve "${faulty[@]}" FAULT_CALL=recvfrom FAULT_ERRNO=4 FAULT_TIMES=3
    expect_served
    said ""
}

@test "03-udp serve ends with status 0 when it is told to" {
    local signal
    for signal in INT TERM; do
        serve
        until_true receives server
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        expect_lines server "listening on 127.0.0.1:$PORT"
        said ""
    done
}

@test "03-udp serve ends also when the signal comes before it sleeps" {
    local began now
    need_faults
    clock
    began=$now
    serve "${faulty[@]}" FAULT_CALL=recvfrom FAULT_SIGNAL=15
    finish server
    expect_equal "status" 0 "$ended"
    clock
    ((now - began >= 90 && now - began < 400))
}

@test "03-udp serve says so when its port is taken" {
    serve
    try "$udp" serve "$PORT"
    expect_result 1 "03-udp: bind 127.0.0.1:$PORT: Address already in use"
    expect_output --text ''
    expect_served
}

@test "03-udp serve can be restarted at once on the port that it had" {
    local port
    serve
    port=$PORT
    expect_served
    stop server
    start_server server "$udp" serve "$port"
    expect_equal "port" "$port" "$PORT"
    expect_served
}

@test "03-udp serve listens on 127.0.0.1 and on nothing else" {
    local listeners
    serve
    listeners=$(sockets "$PORT")
    [[ $listeners == "0100007F 00000000:0000 07 0" ||
        $listeners == "7F000001 00000000:0000 07 0" ]]
    try "$udp" send 127.0.0.2 "$PORT" hello
    expect_result 1 \
        "03-udp: recv from 127.0.0.2:$PORT: Connection refused"
}

@test "03-udp serve names the call that failed, and why" {
    local call
    need_faults
    for call in socket "bind 127.0.0.1:0" getsockname; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 "$udp" serve 0
        expect_result 1 "03-udp: $call: Input/output error"
        expect_output --text ''
    done
    serve "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=5
    stop server
    expect_equal "status" 1 "$ended"
    said "03-udp: close: Input/output error"
}

@test "03-udp serve says so when standard output cannot take its first line" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$udp" serve 0
    expect_equal "full" "03-udp: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$udp" serve 0
    expect_equal "closed" "03-udp: descriptor 1: Bad file descriptor" "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$udp" serve 0
}

@test "03-udp serve goes on when nobody reads what it says" {
    serve bash -c 'exec "$@" > >(exec head -n 1)' -
    expect_served
    expect_served
    stop server
    expect_equal "status" 1 "$ended"
    said "03-udp: standard output: Broken pipe*not every line could be written"
}

@test "03-udp serve takes ports from 0 to 65535, and says what is wrong" {
    local port
    for port in 65536 -1 +80 80x 0x ' 80' '' http 18446744073709551617; do
        try "$udp" serve "$port"
        expect_result 1 "03-udp: $port is not a port: 0 to 65535"
    done
    need_faults
    for port in 1 65535; do # somebody may live there: not our concern
        try "${faulty[@]}" FAULT_CALL=bind FAULT_ERRNO=98 "$udp" serve "$port"
        expect_result 1 "03-udp: bind 127.0.0.1:$port: Address already in use"
    done
}

@test "03-udp serve -b cuts a datagram, and takes the next one whole" {
    start_server server "$udp" serve -b 3 0
    try "$udp" send 127.0.0.1 "$PORT" hello
    expect_output --text 'hel\n'
    try "$udp" send 127.0.0.1 "$PORT" bye
    expect_output --text 'bye\n'
    stop server
    expect_lines server "*" "3 bytes from 127.0.0.1:*" \
        "3 bytes from 127.0.0.1:*"
}

@test "03-udp serve -b takes numbers from 1 to 65507, and says what is wrong" {
    local bytes
    for bytes in 0 65508 -1 3x ''; do
        try "$udp" serve -b "$bytes" 0
        expect_result 1 "03-udp: $bytes is not a number of bytes: 1 to 65507"
    done
    for bytes in 1 65507; do
        start_server server "$udp" serve -b "$bytes" 0
        stop server
    done
}

# ---- the client ------------------------------------------------------------

@test "03-udp send sends its message as it is, and prints the answer" {
    against whole
    expect_answer
    expect_lines peer "*" "got 5 bytes from 127.0.0.1:*"
    expect_output --text 'hello' --in "$BATS_TEST_TMPDIR/heard"
}

@test "03-udp send prints an answer whole: long, short, empty, or garbage" {
    local face
    for face in long short empty garbage; do
        against "$face"
        expect_answer
        stop peer
    done
    against garbage -n 65507
    expect_answer
}

@test "03-udp send takes one answer of two" {
    against twice
    expect_answer
}

@test "03-udp send is told what it said by an echo" {
    start_server peer "$rude" serve echo
    try "$udp" send 127.0.0.1 "$PORT" 'two words'
    expect_result 0 ""
    expect_output --text 'two words\n'
}

@test "03-udp send sends an empty message as an empty datagram" {
    start_server peer "$rude" serve echo
    try "$udp" send 127.0.0.1 "$PORT" ''
    expect_result 0 ""
    expect_output --text '\n'
    expect_lines peer "*" "got 0 bytes from *"
}

@test "03-udp send sends 65507 bytes, and says so when they are one too many" {
    local message
    message=$(head -c 65507 /dev/zero | tr '\0' m)
    serve
    try "$udp" send 127.0.0.1 "$PORT" "$message"
    expect_result 0 ""
    expect_output --text "$message\n"
    try "$udp" send 127.0.0.1 "$PORT" "${message}m"
    expect_result 1 "03-udp: send to 127.0.0.1:$PORT: Message too long"
    expect_output --text ''
    expect_lines server "*" "65507 bytes from *"
}

# All that takes its time, side by side.
@test "03-udp send waits a second for an answer, and asks three times in all" {
    local began now port
    local -A ports
    for port in silent mute deaf; do
        start_server "$port" "$rude" -s 7 serve "$port"
        ports[$port]=$PORT
    done
    "$rude" -s 7 payload silent >"$BATS_TEST_TMPDIR/payload"
    echo >>"$BATS_TEST_TMPDIR/payload"
    clock
    began=$now
    for port in silent mute deaf; do
        start "client-$port" "$udp" send 127.0.0.1 "${ports[$port]}" hello
    done

    finish client-silent
    clock
    expect_equal "status" 0 "$ended"
    expect_output "$BATS_TEST_TMPDIR/payload" \
        --in "$BATS_TEST_TMPDIR/client-silent.out"
    expect_output --text \
        "03-udp: no answer: try 2 of 3\n03-udp: no answer: try 3 of 3\n" \
        --in "$BATS_TEST_TMPDIR/client-silent.err"
    # The clock is read to a hundredth, and the kernel's timer may be as coarse.
    ((now - began >= 196 && now - began < 350))

    for port in mute deaf; do
        finish "client-$port"
        clock
        expect_equal "status" 1 "$ended"
        expect_output --text '' --in "$BATS_TEST_TMPDIR/client-$port.out"
        # shellcheck disable=SC2059 # vain has the place of the port
        expect_output --text "$(printf "$vain" "${ports[$port]}")\n" \
            --in "$BATS_TEST_TMPDIR/client-$port.err"
        ((now - began >= 294 && now - began < 450))
    done
    expect_lines silent "*" "got 5 bytes *" "got 5 bytes *" "got 5 bytes *"
    expect_lines mute "*" "got 5 bytes *" "got 5 bytes *" "got 5 bytes *"
}

@test "03-udp send does not believe a stranger, and does not mind him" {
    against stranger-first
    expect_answer
    need_haste
    start_server peer "$rude" -s 7 serve stranger
    try "${hasty[@]}" "$udp" send 127.0.0.1 "$PORT" hello
    expect_no_answer
    expect_equal "strangers" 6 \
        "$(grep -c '^a stranger answered' "$BATS_TEST_TMPDIR/peer.out")"
}

@test "03-udp send is told at once that a port is closed" {
    start refuser "$rude" refuse
    wait_for refuser 'refusing on *'
    port_of refuser
    try "$udp" send 127.0.0.1 "$PORT" hello
    expect_result 1 "03-udp: recv from 127.0.0.1:$PORT: Connection refused"
    expect_output --text ''
}

@test "03-udp send is told when the port is closed in mid-conversation" {
    need_haste
    start_server peer "$rude" -c 1 serve mute
    try "${hasty[@]}" "$udp" send 127.0.0.1 "$PORT" hello
    expect_result 1 "03-udp: no answer: try 2 of 3
03-udp: recv from 127.0.0.1:$PORT: Connection refused"
}

@test "03-udp send counts a wait that a signal ends as a try" {
    local began now pid
    need_faults
    serve
    try "${faulty[@]}" FAULT_CALL=recv FAULT_ERRNO=4 \
        "$udp" send 127.0.0.1 "$PORT" hello
    expect_result 0 "03-udp: no answer: try 2 of 3"
    expect_output --text 'hello\n'
    # In earnest: to be stopped and continued is such a signal.
    start_server peer "$rude" serve mute
    clock
    began=$now
    start client "$udp" send 127.0.0.1 "$PORT" hello
    for _ in 1 2 3; do
        until_true ends_or receives client
        is_running client || skip "too busy a machine to catch it in its waits"
        pid=$(pid_of client)
        kill -STOP "$pid"
        until_true is_stopped "$pid"
        kill -CONT "$pid"
        until_true ends_or leaves_that_wait
    done
    finish client
    clock
    expect_equal "status" 1 "$ended"
    # shellcheck disable=SC2059 # vain has the place of the port
    expect_output --text "$(printf "$vain" "$PORT")\n" \
        --in "$BATS_TEST_TMPDIR/client.err"
    ((now - began < 300))
}

# Each wait leaves one line on standard error.
# ends_or COMMAND...: that, or the client has ended.
ends_or() {
    ! is_running client || "$@"
}

leaves_that_wait() {
    tries=$((${tries:-0}))
    local -a lines
    mapfile -t lines <"$BATS_TEST_TMPDIR/client.err"
    ((${#lines[@]} > tries)) || return 1
    tries=${#lines[@]}
}

@test "03-udp send is answered by strangers: python3, and socat" {
    local count=0
    if command -v python3 >/dev/null; then
        start_server python python3 -uc '
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % server.getsockname()[1])
while True:
    said, client = server.recvfrom(65536)
    server.sendto(said[::-1], client)
'
        try "$udp" send 127.0.0.1 "$PORT" 'hello there'
        expect_result 0 ""
        expect_output --text 'ereht olleh\n'
        count=1
    fi
    if command -v socat >/dev/null; then
        start socat socat -dd UDP-LISTEN:0,bind=127.0.0.1 PIPE
        wait_for socat '*listening on *' err
        cp "$BATS_TEST_TMPDIR/socat.err" "$BATS_TEST_TMPDIR/socat.out"
        port_of socat
        try "$udp" send 127.0.0.1 "$PORT" 'hello there'
        expect_result 0 ""
        expect_output --text 'hello there\n'
        count=$((count + 1))
    fi
    ((count > 0)) || skip "neither python3 nor socat is installed"
}

@test "03-udp meets each of the rude peer's faces above" {
    local face
    for face in $("$rude" faces); do
        grep -qE "(against|call|serve) $face|in .*$face.*; do" \
            "$BATS_TEST_FILENAME"
    done
}

@test "03-udp send names the call that failed, and why" {
    local call
    need_faults
    serve
    for call in socket "setsockopt SO_RCVTIMEO" "connect 127.0.0.1:%s" \
        "send to 127.0.0.1:%s" "recv from 127.0.0.1:%s" close; do
        # shellcheck disable=SC2059 # some have the place of a port
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$udp" send 127.0.0.1 "$PORT" hello
        # shellcheck disable=SC2059
        expect_result 1 "03-udp: $(printf "$call" "$PORT"): Input/output error"
    done
}

@test "03-udp send says so when standard output is full, gone or closed" {
    serve
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$udp" send 127.0.0.1 "$PORT" hello
    expect_equal "full" "03-udp: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$udp" send 127.0.0.1 "$PORT" "$(printf %65000s x)"
    expect_equal "full" "03-udp: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' - "$udp" send 127.0.0.1 "$PORT" hello
    expect_equal "gone" "03-udp: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - \
        "$udp" send 127.0.0.1 "$PORT" hello
    expect_equal "closed" "03-udp: descriptor 1: Bad file descriptor" "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - \
        "$udp" send 127.0.0.1 "$PORT" hello
}

@test "03-udp's sockets are close-on-exec" {
    serve
    start_server peer "$rude" serve mute
    start client "$udp" send 127.0.0.1 "$PORT" hello
    wait_for peer 'got 5 bytes *'
    until_true all_cloexec "$(pid_of server)" 1
    until_true all_cloexec "$(pid_of client)" 1
}

@test "03-udp send takes addresses in numbers, and says what is wrong" {
    local address
    for address in localhost 256.1.1.1 127.1 ::1 '' '127.0.0.1 ' -h; do
        try "$udp" send "$address" 80 hello
        expect_result 1 "03-udp: $address is not an IPv4 address such \
as 127.0.0.1: names come in lesson 04"
    done
}

@test "03-udp send takes ports from 1 to 65535, and says what is wrong" {
    local port
    for port in 0 65536 -1 +80 80x ' 80' '' http 18446744073709551617; do
        try "$udp" send 127.0.0.1 "$port" hello
        expect_result 1 "03-udp: $port is not a port: 1 to 65535"
    done
    need_faults
    for port in 1 65535; do # somebody may live there: not our concern
        try "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
            "$udp" send 127.0.0.1 "$port" hello
        expect_result 1 \
            "03-udp: connect 127.0.0.1:$port: Connection refused"
    done
}

@test "03-udp explains itself when asked, and when called wrongly" {
    local usage="usage: 03-udp serve [-b BYTES] PORT
       03-udp send ADDRESS PORT MESSAGE"
    try "$udp" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    local -a wrong
    for wrong in "" "serve" "serve 0 0" "serve -b 3" "serve -a 3 0" \
        "send 127.0.0.1 80" "send 127.0.0.1 80 hello world" "listen 0" \
        "recv 127.0.0.1 80 hello" "-h serve"; do
        # shellcheck disable=SC2086 # words
        try "$udp" $wrong
        expect_result 2 "$usage"
        expect_output --text ''
    done
}

@test "03's solution does not take its socket for standard output" {
    [[ -x $BUILD/solution/03-udp ]] || skip "it is not built"
    start_server peer "$BUILD/peers/rude-udp" serve whole
    # shellcheck disable=SC2016 # for that shell
    try bash -c 'exec "$@" >&-' - "$BUILD/solution/03-udp" 127.0.0.1 "$PORT"
    expect_result 1 "03-udp: standard output: Bad file descriptor"
}
