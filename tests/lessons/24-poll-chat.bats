#!/usr/bin/env bats
# 24-poll-chat PORT: what one client says goes to all others, and nobody is kept
# by one who does not read.
# Its twin prints less: it tells of nobody who comes or goes.

load ../lib/common
load ../lib/clock

program=$BUILD/24-poll-chat
rude=$BUILD/peers/rude
chatters=$BUILD/peers/chatters
LINE_BYTES=1024
QUEUE_BYTES=262144

setup_file() {
    trap '' PIPE # a server that has gone is no end of this shell
}

# serve [COMMAND...]: the server on a port of its own, behind that command. It
# has no descriptor of bats, so that 3 is its listener, and 4 the first client.
serve() {
    start_server server bash -c 'exec 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec "$@"' \
        - "$@" "$program" 0
}

# come NAME: a client that has connected, and has not said who it is; its
# descriptor is in fd_NAME.
come() {
    local -n descriptor=fd_$1
    exec {descriptor}<>"/dev/tcp/127.0.0.1/$PORT"
}

# go NAME: it leaves.
go() {
    local -n descriptor=fd_$1
    exec {descriptor}>&-
}

# say NAME TEXT: TEXT is for printf.
say() {
    local -n descriptor=fd_$1
    # shellcheck disable=SC2059 # it is one
    printf "$2" >&"$descriptor"
}

# hears NAME LINE...: these lines are what it is told next.
hears() {
    local -n descriptor=fd_$1
    local line
    for line in "${@:2}"; do
        IFS= read -rt 20 -u "$descriptor" heard || heard+="(and no more)"
        expect_equal "what $1 hears" "$line" "$heard"
    done
}

# hears_end NAME: the server has closed.
hears_end() {
    local -n descriptor=fd_$1
    local status=0
    IFS= read -rt 20 -u "$descriptor" heard || status=$?
    expect_equal "what $1 hears" "" "$heard"
    ((status == 1)) # and not more, which would be that nothing came
}

# join NAME [OTHER...]: it comes, and the others hear that.
join() {
    local other
    come "$1"
    say "$1" "$1\n"
    wait_for server "* is $1"
    for other in "${@:2}"; do
        hears "$other" "$1 joined"
    done
}

# crowd OPTION...: chatters, in whose time all has to go well.
crowd() {
    SECONDS_ALLOWED=20 try "$chatters" "$@" "$PORT"
}

@test "24-poll-chat tells all others who joins, what is said, and who leaves" {
    serve
    join alice
    join bob alice
    join carol alice bob
    say alice 'hello, all\n'
    hears bob "alice: hello, all"
    hears carol "alice: hello, all"
    say bob 'one\n\ntwo\r\n'
    hears alice "bob: one" "bob: " "bob: two"$'\r'
    hears carol "bob: one" "bob: " "bob: two"$'\r'
    # Nobody hears his own, and none who has not said his name hears anything.
    come stranger
    say alice 'again\n'
    hears bob "alice: again"
    go bob
    hears alice "bob left"
    hears carol "alice: again" "bob left"
    say stranger 'bob\n'
    hears alice "bob joined"
    hears carol "bob joined"
    say carol 'bye\n'
    hears alice "carol: bye"
    hears stranger "carol: bye"
    stop server
    expect_equal "status" 0 "$ended"
    hears_end alice
    expect_lines server "listening on 127.0.0.1:$PORT" "4 connected" \
        "4 is alice" "5 connected" "5 is bob" "6 connected" "6 is carol" \
        "7 connected" "5 left" "7 is bob"
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

@test "24-poll-chat takes names of 1 to 16 letters, digits, - and _, once each" {
    local name no="a name is 1 to 16 letters, digits, - and _, not taken"
    serve
    join a
    come b
    for name in '' abcdefghijklmnopq 'b b' b: 'b\0b' 'b\r' $'\xc3\xa4' a '/b'; do
        say b "$name\n"
        hears b "$no"
    done
    # One segment with a name and a line in it.
    say b 'Az09-_3456789abc\nhello\n'
    hears a "Az09-_3456789abc joined" "Az09-_3456789abc: hello"
    # A part of a name is another one.
    join A a b
    join aa a b A
    # And one that has become free is free.
    go a
    hears b "a left"
    hears A "a left"
    hears aa "a left"
    join a b A aa
}

@test "24-poll-chat sends on whole lines, of up to 1024 bytes, and any bytes" {
    local longest
    printf -v longest '%*s' "$((LINE_BYTES - 1))" ''
    longest=${longest// /x}
    serve
    join alice
    join bob alice
    join carol alice bob
    say alice 'hel'
    say bob 'between\n'
    hears carol "bob: between"
    say alice 'lo\n'
    hears carol "alice: hello"
    hears bob "alice: hello"
    say alice "$longest\n"
    hears carol "alice: $longest"
    # All bytes but the newline are a client's own affair.
    for i in {0..255}; do
        ((i == 10)) || printf '\\x%02x' "$i"
    done >"$BATS_TEST_TMPDIR/bytes"
    say bob "$(<"$BATS_TEST_TMPDIR/bytes")\n"
    # shellcheck disable=SC2059 # it has escapes
    printf "bob: $(<"$BATS_TEST_TMPDIR/bytes")\n" >"$BATS_TEST_TMPDIR/wanted"
    bounded head -c "$(wc -c <"$BATS_TEST_TMPDIR/wanted")" <&"$fd_carol" \
        >"$BATS_TEST_TMPDIR/got"
    expect_output "$BATS_TEST_TMPDIR/wanted" --in "$BATS_TEST_TMPDIR/got"
    # A byte too many, and who said it is let go.
    say alice "before\n${longest}x"
    hears carol "alice: before" "alice left"
    wait_for server '4 let go: its line is too long'
    # What has no newline in the end is no line.
    say bob 'half a li'
    go bob
    hears carol "bob left"
}

@test "24-poll-chat keeps nobody waiting for one who does not read" {
    local p50 i
    serve
    # As fast as it goes: some megabytes for each, of which one takes none.
    crowd -c 5 -k 2 -n 4500 -b 1000
    expect_result 0 ""
    grep -qx '5 clients chat, 2 never read, and were let go' "$OUT"
    grep -q '^4500 lines sent, 18000 arrived, all in order' "$OUT"
    wait_for server '4 let go: it does not read'
    # In their own time, and a line waits for no ACK of another.
    for i in 1 2 3 4 5; do
        crowd -c 50 -k 1 -n 200 -r 400 -b 400
        expect_result 0 ""
        grep -q '^200 lines sent, 9800 arrived, all in order' "$OUT"
        p50=$(sed -n 's/.*p50 \([0-9]*\)\..*/\1/p' "$OUT")
        ((p50 >= 20)) || break
    done
    ((p50 < 20))
}

# Each says 1024 empty lines, in one turn of the server: more than a queue holds.
@test "24-poll-chat lets nobody go who reads, however much comes at once" {
    local i
    serve
    come reader
    say reader 'reader\n'
    cat <&"$fd_reader" >"$BATS_TEST_TMPDIR/heard" &
    for ((i = 10; i < 25; i++)); do
        come "c$i"
        say "c$i" "abcdefghijklmn$i\n"
        wait_for server "* is abcdefghijklmn$i"
    done
    printf '%1024s' '' | tr ' ' '\n' >"$BATS_TEST_TMPDIR/lines"
    frozen say_much
    until_true has_heard $((15 * 1024 + 15))
    run ! grep 'let go' "$BATS_TEST_TMPDIR/server.out"
    stop_all
}

say_much() {
    local i
    for ((i = 10; i < 25; i++)); do
        local -n descriptor=fd_c$i
        cat "$BATS_TEST_TMPDIR/lines" >&"$descriptor"
        unset -n descriptor
    done
}

# has_heard COUNT: the reader, so many lines.
has_heard() {
    (($(wc -l <"$BATS_TEST_TMPDIR/heard") >= $1))
}

@test "24-poll-chat's twin, which sends in its loop, waits for one" {
    skip_unless python3
    start_server server python3 lessons/24-poll-chat/twin.py 0
    crowd -t 1 -c 2 -k 1 -n 9000 -b 1000
    expect_status 1
    expect_stderr "chatters: frozen: *"
}

# fill SPARE: a client that is sent nothing has so many bytes less in its queue
# than may be there, when the other one has left.
fill() {
    local line i
    serve "${faulty[@]}" FAULT_CALL=send FAULT_ERRNO=11 FAULT_TIMES=100000000
    join bob
    join alice
    # For bob each is `alice: TEXT`, and a newline: 1024 bytes.
    printf -v line '%1016s\\n' ''
    for ((i = 0; i < QUEUE_BYTES / 1024 - 1; i++)); do
        say alice "$line"
    done
    i=$((1024 - $1 - 8 - 13 - 11)) # alice joined, alice left
    printf -v line '%*s\\n' "$i" ''
    say alice "$line"
    go alice
    wait_for server '5 left'
    go bob
}

@test "24-poll-chat queues 256 KiB for a client, and not a byte more" {
    need_faults
    fill 0
    expect_lines server "listening *" "4 connected" "4 is bob" "5 connected" \
        "5 is alice" "5 left"
    stop server
    fill -1
    expect_lines server "listening *" "4 connected" "4 is bob" "5 connected" \
        "5 is alice" "4 let go: it does not read" "5 left"
}

@test "24-poll-chat sends what is queued to who has ended its half" {
    local no="a name is 1 to 16 letters, digits, - and _, not taken" i
    printf '%0.s\n' {1..6000} >"$BATS_TEST_TMPDIR/said"
    printf "$no\n%.0s" {1..6000} >"$BATS_TEST_TMPDIR/wanted"
    serve
    for i in 1 2; do
        try "$rude" -f "$BATS_TEST_TMPDIR/said" -o "$BATS_TEST_TMPDIR/heard" \
            connect whole "$PORT"
        expect_result 0 ""
        expect_output "$BATS_TEST_TMPDIR/wanted" --in "$BATS_TEST_TMPDIR/heard"
        wait_for server '4 left'
        [[ -z ${LATER-} && $BUILD != *asan* ]] || return 0
        # Again, with a kernel that takes nothing for a while, and then a byte
        # at a time.
        LATER=1
        stop server
        need_faults
        printf '%0.s\n' {1..30} >"$BATS_TEST_TMPDIR/said"
        printf "$no\n%.0s" {1..30} >"$BATS_TEST_TMPDIR/wanted"
        serve "${faulty[@]}" FAULT_CALL=send FAULT_ERRNO=11 FAULT_TIMES=1000 \
            FAULT_SHORT=send
    done
}

@test "24-poll-chat gives a client that has left one second to read" {
    local began
    # A kernel that never has room.
    need_faults
    serve "${faulty[@]}" FAULT_CALL=send FAULT_ERRNO=11 FAULT_TIMES=100000000
    echo '!' >"$BATS_TEST_TMPDIR/said"
    began=${EPOCHREALTIME/./}
    start client "$rude" -f "$BATS_TEST_TMPDIR/said" connect whole "$PORT"
    until_true in_state 08
    wait_for server '4 left'
    ((${EPOCHREALTIME/./} - began >= 1000000))
    finish client
    expect_lines client "*" "got 0 bytes, then end of stream"
    is_running server
}

# alive: two clients can talk.
alive() {
    crowd -q
    expect_result 0 ""
    expect_output --text '2 clients chat, 0 never read, and stay
10 lines sent, 10 arrived, all in order: 0.0 MB\n'
}

@test "24-poll-chat lives through each of the rude peer's faces" {
    local face before
    serve
    before=$(descriptors "$(pid_of server)")
    join alice
    for face in $("$rude" faces); do
        case $face in
        stall | deaf)
            start "$face" "$rude" connect "$face" "$PORT"
            wait_for "$face" 'connected from *'
            ;;
        *) try "$rude" connect "$face" "$PORT" ;;
        esac
    done
    printf 'rude\nI am\n' >"$BATS_TEST_TMPDIR/said"
    try "$rude" -f "$BATS_TEST_TMPDIR/said" -k 10 connect reset "$PORT"
    hears alice "rude joined" "rude: I am" "rude left"
    wait_for server "24-poll-chat: recv from *: Connection reset by peer" err
    alive
    hears alice "c0 joined" "c1 joined"
    stop stall
    stop deaf
    go alice
    until_true holds_descriptors "$(pid_of server)" "$before"
}

is_past() {
    ((${EPOCHREALTIME/./} > $1))
}

# have_connected COUNT: so many clients, from the beginning.
have_connected() {
    [[ $(grep -c connected "$BATS_TEST_TMPDIR/server.out") == "$1" ]]
}

@test "24-poll-chat waits when descriptors run out, and does not spin" {
    [[ $BUILD != *asan* ]] || skip "a sanitizer needs descriptors of its own"
    local before begin said
    serve bash -c 'ulimit -Sn 6; exec "$@"' -
    join alice
    join bob alice
    come carol
    say carol 'carol\n'
    wait_for server '24-poll-chat: accept: *' err
    begin=$((${EPOCHREALTIME/./}))
    times_of "$(pid_of server)"
    before=$wanted
    until_true is_past "$((begin + 300000))"
    times_of "$(pid_of server)"
    said=$(wc -l <"$BATS_TEST_TMPDIR/server.err")
    ((wanted - before < 100000000))
    ((said <= 2 + (${EPOCHREALTIME/./} - begin) / 100000))
    # The others don't notice, and when one leaves carol is let in.
    say alice 'hello\n'
    hears bob "alice: hello"
    go alice
    hears bob "alice left" "carol joined"
}

@test "24-poll-chat has 1000 clients at once; the next waits for one to leave" {
    [[ $BUILD != *asan* ]] || skip "so many are too much there"
    local i before
    serve
    before=$(descriptors "$(pid_of server)")
    START_SECONDS=60 start crowd "$BUILD/tests/crowd" silent 999 "$PORT"
    wait_for crowd 'waiting on *'
    until_true have_connected 999
    join alice
    come bob
    say bob 'bob\n'
    for i in 1 2 3 4 5; do
        say alice 'hello\n'
        pause
        have_connected 1000
    done
    stop crowd
    hears alice "bob joined"
    until_true holds_descriptors "$(pid_of server)" "$((before + 2))"
}

@test "24-poll-chat goes on where a call fails for once" {
    local call errno began
    need_faults
    # Passing: nobody notices.
    for call in "recv 4" "recv 11" "send 4" "send 11" "poll 4"; do
        read -r call errno <<<"$call"
        serve "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO="$errno" \
            FAULT_TIMES=3
        alive
        expect_equal "said of $call" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
        stop server
    done
    # Felt, and said.
    for call in "poll 12 Cannot allocate memory" \
        "accept4 23 Too many open files in system" \
        "accept4 103 Software caused connection abort"; do
        read -r call errno said <<<"$call"
        serve "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO="$errno"
        alive
        expect_equal "$call" "24-poll-chat: ${call%4}: $said" \
            "$(<"$BATS_TEST_TMPDIR/server.err")"
        stop server
        expect_equal "status" 0 "$ended"
    done
    # They concern one connection, and the next one does not wait a tenth of a
    # second for each of them: that would be five seconds.
    for errno in 71 103 113; do
        serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO="$errno" \
            FAULT_TIMES=50
        began=${EPOCHREALTIME/./}
        alive
        ((${EPOCHREALTIME/./} - began < 3000000))
        expect_equal "lines" 50 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
        stop server
    done
    # One client's end.
    for call in "recv recv from" "send send to"; do
        read -r call said <<<"$call"
        serve "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105
        echo '!' >"$BATS_TEST_TMPDIR/said"
        try "$rude" -f "$BATS_TEST_TMPDIR/said" connect whole "$PORT"
        wait_for server "24-poll-chat: $said 4: No buffer space available" err
        wait_for server "4 left"
        alive
        stop server
    done
    for i in 1 2 3; do
        serve env LD_PRELOAD="$BUILD/tests/memory.so" MEMORY_AT="$i"
        alive
        stop server
        expect_equal "status" 0 "$ended"
        cat "$BATS_TEST_TMPDIR/server.err" >>"$BATS_TEST_TMPDIR/memory"
    done
    expect_equal "clients without memory, at first" 2 "$(grep -cx \
        '24-poll-chat: calloc: Cannot allocate memory' "$BATS_TEST_TMPDIR/memory")"
}

@test "24-poll-chat ends with status 0 when it is told to" {
    local signal
    for signal in INT TERM; do
        serve
        join alice
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        hears_end alice
        go alice
    done
    need_faults
    # A moment before it waits, where it wakes nobody: the alarm does, later.
    serve "${faulty[@]}" FAULT_CALL=poll FAULT_SIGNAL=15
    finish server
    expect_equal "status" 0 "$ended"
}

@test "24-poll-chat says what it cannot do" {
    local call port usage="usage: 24-poll-chat PORT"
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$program"
    expect_result 2 "$usage"
    try "$program" 80 81
    expect_result 2 "$usage"
    for port in 65536 -1 80x ''; do
        try "$program" "$port"
        expect_result 1 "24-poll-chat: $port is not a port: 0 to 65535"
    done
    serve
    try "$program" "$PORT"
    [[ $status == 1 ]]
    [[ $errors == "24-poll-chat: bind 127.0.0.1:$PORT: Address "*"in use" ]]
    stop server
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$program" 0
    expect_equal "full" \
        "24-poll-chat: standard output: No space left on device" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" >&-' - "$program" 0
    serve bash -c 'exec "$@" > >(exec head -n 1)' -
    alive
    alive
    stop server
    expect_equal "status" 1 "$ended"
    need_faults
    for call in socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$program" 0
        case $call in
        setsockopt) call="setsockopt SO_REUSEADDR" ;;
        bind) call="bind 127.0.0.1:0" ;;
        esac
        expect_result 1 "24-poll-chat: $call: No buffer space available"
    done
    try "${faulty[@]}" FAULT_CALL=setsockopt FAULT_AT=2 FAULT_ERRNO=105 \
        "$program" 0
    expect_result 1 "24-poll-chat: setsockopt TCP_NODELAY: No buffer space \
available"
}
