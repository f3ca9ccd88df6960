#!/usr/bin/env bats
# 20-sendfile [-c] FILE PORT: each client gets the length of a file, and then
# its bytes, or a reset.

load ../lib/common

server=$BUILD/20-sendfile
fetch=$BUILD/peers/fetch
rude=$BUILD/peers/rude
FILE=$BATS_TEST_TMPDIR/file

setup_file() {
    head -c 20000000 /dev/urandom >"$BATS_FILE_TMPDIR/large"
}

teardown() {
    stop_all
    rm -rf "${hole:-$BATS_TEST_TMPDIR/hole}"
}

# has SIZE: FILE has so many bytes, drawn by chance.
has() {
    head -c "$1" "$BATS_FILE_TMPDIR/large" >"$FILE"
}

# serve [OPTION...]: the server of FILE, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" "$FILE" 0
}

# expect_fetched COUNT [OPTION...]: a client gets these bytes, all of the file.
expect_fetched() {
    try "$fetch" -f "$FILE" "${@:2}" "$PORT"
    expect_result 0 ""
    expect_output --text "$1: $1 bytes, then end of stream\n"
}

# expect_reset ANNOUNCED: the client gets a reset. If it has been told a length
# before that, it is this one.
expect_reset() {
    try "$fetch" "$PORT"
    expect_result 1 ""
    [[ $(<"$OUT") == @("$1"|)": "*" bytes, then Connection reset by peer" ]]
}

# pauses [OPTION...]: a client that reads the first line and then pauses, until
# goes_on.
pauses() {
    mkfifo "$BATS_TEST_TMPDIR/keys"
    # shellcheck disable=SC2016 # for the other bash to expand
    start client bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/keys" \
        "$fetch" -k 0 "$@" "$PORT"
    exec 8<>"$BATS_TEST_TMPDIR/keys"
    wait_for client 'paused *'
}

goes_on() {
    echo >&8
    exec 8>&-
    rm "$BATS_TEST_TMPDIR/keys"
    finish client
    said=$(tail -n 1 "$BATS_TEST_TMPDIR/client.out")
}

# rests: the server sleeps, in the middle of a file.
rests() {
    local before i wanted
    times_of "$(pid_of server)"
    before=$wanted
    for i in 1 2 3; do
        pause
    done
    times_of "$(pid_of server)"
    ((wanted - before < 500000))
}

# errors_of_server: all that it has said on standard error.
errors_of_server() {
    cat "$BATS_TEST_TMPDIR/server.err"
}

@test "20-sendfile sends the length and the bytes, and reports each client" {
    has 1000
    serve
    expect_fetched 1000
    expect_fetched 1000
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "127.0.0.1:*: 1000 bytes; calls of sendfile: 1" \
        "127.0.0.1:*: 1000 bytes; calls of sendfile: 1"
    expect_equal "standard error" "" "$(errors_of_server)"
    serve -c
    expect_fetched 1000
    stop server
    expect_lines server "listening on *" \
        "127.0.0.1:*: 1000 bytes; calls of read and send: 2"
}

@test "20-sendfile sends files of every size, both ways" {
    local option size
    for option in "" -c; do
        has 0
        serve ${option:+"$option"}
        for size in 0 1 65535 65536 65537 131072 3000000; do
            has "$size"
            expect_fetched "$size"
        done
        expect_fetched 3000000 -b 4096
        stop server
        expect_equal "standard error" "" "$(errors_of_server)"
    done
}

# make_hole: sets FILE to a file of 5 GiB, nearly all a hole. Where there is a
# folder in memory it is there, because the kernel keeps no pages for its holes.
make_hole() {
    local offset
    hole=$(mktemp -d /dev/shm/20-XXXXXX 2>/dev/null) || {
        hole=$BATS_TEST_TMPDIR/hole
        mkdir "$hole"
    }
    FILE=$hole/file
    (ulimit -Sf unlimited && truncate -s 5G "$FILE" &&
        for offset in 0 1000000 2147479550 2147483640 4294967290 5368709112; do
            printf %08d "$RANDOM" | dd of="$FILE" bs=8 seek="$offset" \
                oflag=seek_bytes conv=notrunc status=none || exit
        done) || skip "no file of 5 GiB can be made here"
}

# send_hole: a client fetches FILE from a server in a network of their own. There
# no congestion control holds back what one sends to oneself, as bbr does. What
# they say is in the files said and client, the most memory of the server, in
# KiB, in the file memory.
send_hole() {
    local -a private=("$BUILD/tests/private")
    "${private[@]}" true 2>/dev/null || private=()
    # shellcheck disable=SC2016 # for the other bash to expand
    SECONDS_ALLOWED=100 try "${private[@]}" bash -c '
        cd "$4"
        (echo reno >/proc/sys/net/ipv4/tcp_congestion_control) 2>/dev/null
        mkfifo listening
        "$1" "$3" 0 >listening &
        exec 7<listening
        read -r line <&7
        "$2" -f "$3" "${line##*:}" >client
        read -r said <&7
        sed -n "s/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$!/status" >memory
        echo "$said" >said
        kill $!
        wait' - "$PWD/$server" "$PWD/$fetch" "$FILE" "$BATS_TEST_TMPDIR"
}

@test "20-sendfile sends 5 GiB by three calls, with less than 2 MiB of memory" {
    make_hole
    send_hole
    expect_equal "the client" "5368709120: 5368709120 bytes, then end of stream" \
        "$(<"$BATS_TEST_TMPDIR/client")"
    [[ $(<"$BATS_TEST_TMPDIR/said") == *": 5368709120 bytes; calls of sendfile: 3" ]]
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    (($(<"$BATS_TEST_TMPDIR/memory") < 2048))
}

@test "20-sendfile resets the connection when the file shrinks" {
    local option said
    for option in "" -c; do
        has 20000000
        serve ${option:+"$option"}
        pauses
        until_true rests
        truncate -s 1000 "$FILE"
        goes_on
        [[ $said == "20000000: "*" bytes, then Connection reset by peer" ]]
        expect_equal "status of the client" 1 "$ended"
        wait_for server "20-sendfile: 127.0.0.1:*: $FILE ended after * of \
20000000 bytes" err
        expect_fetched 1000
        stop server
    done
}

@test "20-sendfile sends what it has announced when the file grows" {
    local option said
    for option in "" -c; do
        has 19000000
        serve ${option:+"$option"}
        pauses -f "$FILE"
        until_true rests
        head -c 100000 "$BATS_FILE_TMPDIR/large" >>"$FILE"
        goes_on
        expect_equal "the client" \
            "19000000: 19000000 bytes, then end of stream" "$said"
        expect_fetched 19100000
        stop server
        expect_equal "standard error" "" "$(errors_of_server)"
    done
}

# overwrite [OPTION]: the server has sent a file, and a client has not read it;
# then it is overwritten. Sets said to what the client says when it compares what
# it gets with the new bytes.
overwrite() {
    has 50000
    serve "$@"
    head -c 100000 "$BATS_FILE_TMPDIR/large" | tail -c 50000 \
        >"$BATS_TEST_TMPDIR/new"
    pauses -f "$BATS_TEST_TMPDIR/new"
    wait_for server '*: 50000 bytes; *'
    dd if="$BATS_TEST_TMPDIR/new" of="$FILE" conv=notrunc status=none
    goes_on
    stop server
}

@test "20-sendfile does not keep the bytes that it has sent, but with -c" {
    local said
    overwrite
    expect_equal "the client" "50000: 50000 bytes, then end of stream" "$said"
    overwrite -c
    [[ $(<"$BATS_TEST_TMPDIR/client.err") == "fetch: byte "*" is not that of "* ]]
}

@test "20-sendfile falls back to read and send for a pipe" {
    mkfifo "$FILE"
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'head -c 70000 "$1" | "$2" /dev/stdin 0' - \
        "$BATS_FILE_TMPDIR/large" "$server"
    try "$fetch" -f "$BATS_FILE_TMPDIR/large" "$PORT"
    expect_result 0 ""
    expect_output --text 'unknown: 70000 bytes, then end of stream\n'
    wait_for server '*: 70000 bytes; calls of read and send: *'
    try "$fetch" "$PORT"
    expect_output --text 'unknown: 0 bytes, then end of stream\n'
    stop server
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'head -c 7 "$1" | "$2" -c /dev/stdin 0' - \
        "$BATS_FILE_TMPDIR/large" "$server"
    try "$fetch" "$PORT"
    expect_output --text 'unknown: 7 bytes, then end of stream\n'
    wait_for server '*: 7 bytes; calls of read and send: 3'
}

@test "20-sendfile falls back only before the first byte, and only if it may" {
    local errno
    has 1000
    for errno in 22 29 38; do
        need_faults
        faulty+=(FAULT_CALL=sendfile FAULT_ERRNO="$errno")
        serve
        expect_fetched 1000
        wait_for server '*: 1000 bytes; calls of read and send: 2'
        stop server
    done
    need_faults
    faulty+=(FAULT_CALL=sendfile FAULT_ERRNO=22 FAULT_AT=2 FAULT_SHORT=sendfile)
    serve
    expect_reset 1000
    wait_for server "20-sendfile: sendfile $FILE to 127.0.0.1:*: Invalid argument" err
    expect_fetched 1000
    stop server
    need_faults
    faulty+=(FAULT_CALL=sendfile FAULT_ERRNO=5)
    serve
    expect_reset 1000
    wait_for server "20-sendfile: sendfile $FILE to 127.0.0.1:*: Input/output error" err
    expect_fetched 1000
}

@test "20-sendfile makes a call again that sent less, or was interrupted" {
    local call
    has 300
    need_faults
    faulty+=(FAULT_SHORT="send,sendfile")
    serve
    expect_fetched 300
    wait_for server '*: 300 bytes; calls of sendfile: 300'
    stop server
    serve -c
    expect_fetched 300
    stop server
    for call in sendfile send accept4; do
        need_faults
        faulty+=(FAULT_CALL="$call" FAULT_ERRNO=4 FAULT_TIMES=3)
        serve
        expect_fetched 300
        stop server
        expect_equal "standard error" "" "$(errors_of_server)"
    done
    has 5000000
    need_faults
    faulty+=(FAULT_SIGNALS=500)
    for call in "" -c; do
        serve ${call:+"$call"}
        expect_fetched 5000000 -b 4096
        stop server
        expect_equal "standard error" "" "$(errors_of_server)"
    done
}

@test "20-sendfile resets the connection when send fails, and goes on" {
    has 1000
    need_faults
    faulty+=(FAULT_CALL=send FAULT_ERRNO=105)
    serve
    expect_reset ""
    wait_for server "20-sendfile: send $FILE to 127.0.0.1:*: No buffer space *" err
    expect_fetched 1000
    stop server
    need_faults
    faulty+=(FAULT_CALL=send FAULT_ERRNO=105 FAULT_AT=2)
    serve -c
    expect_reset 1000
    expect_fetched 1000
}

@test "20-sendfile sends the length and the file in one segment" {
    has 100
    "$BUILD/tests/private" true 2>/dev/null ||
        skip "this system allows no private network"
    printf 'server: %s %s 0\nclient: %s {port}\n' "$server" "$FILE" "$fetch" \
        >"$BATS_TEST_TMPDIR/scene"
    try "$BUILD/tests/private" "$BUILD/36-xray" -l "$BATS_TEST_TMPDIR/scene"
    expect_equal "segments with bytes" 1 "$(grep -c 'wire.*server >.*PSH' "$OUT")"
    grep -q 'wire.*server >.* 104 bytes' "$OUT"
    # Nothing follows: then the line is not kept back.
    : >"$FILE"
    try "$BUILD/tests/private" "$BUILD/36-xray" -l "$BATS_TEST_TMPDIR/scene"
    grep -q 'server.send(.*, "0.n") = 2' "$OUT"
}

@test "20-sendfile leaves the offset of the file alone" {
    local option
    has 1000
    for option in "" -c; do
        serve ${option:+"$option"}
        expect_fetched 1000
        grep -qx 'pos:.0' "/proc/$(pid_of server)/fdinfo/3"
        stop server
    done
}

@test "20-sendfile goes on after clients that leave" {
    local before i
    has 20000000
    serve
    before=$(descriptors "$(pid_of server)")
    for i in 1 2 3; do
        try "$rude" -k 0 connect reset "$PORT"
    done
    # This one ends its half first, so sendfile fails with EPIPE, and SIGPIPE.
    pauses -x
    until_true rests
    goes_on
    wait_for server "20-sendfile: sendfile $FILE to 127.0.0.1:*: Broken pipe" err
    expect_fetched 20000000
    until_true holds_descriptors "$(pid_of server)" "$before"
}

@test "20-sendfile goes on after accept has failed, and does not spin" {
    has 10
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=23 FAULT_TIMES=2)
    serve
    expect_fetched 10
    [[ $(errors_of_server) == "20-sendfile: accept: Too many open files in system
20-sendfile: accept: Too many open files in system" ]]
    stop server
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=23 FAULT_TIMES=100000)
    serve
    until_true says server '*accept*' err
    until_true rests
}

@test "20-sendfile ends when it is told to, and resets what it cannot finish" {
    local signal said
    has 20000000
    for signal in TERM INT; do
        serve
        stop server "$signal"
        expect_equal "status" 0 "$ended"
        for option in "" -c; do
            serve ${option:+"$option"}
            pauses
            until_true rests
            stop server "$signal"
            expect_equal "status" 0 "$ended"
            expect_equal "standard error" "" "$(errors_of_server)"
            run -1 bash -c ": <>/dev/tcp/127.0.0.1/$PORT"
            goes_on
            [[ $said == "20000000: "*" bytes, then Connection reset by peer" ]]
        done
    done
}

@test "20-sendfile ends when the signal comes just before a call sleeps" {
    has 20000000
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_SIGNAL=15)
    serve
    finish server
    expect_equal "status" 0 "$ended"
    need_faults
    faulty+=(FAULT_CALL=sendfile FAULT_SIGNAL=15)
    serve
    pauses
    finish server
    expect_equal "status" 0 "$ended"
    goes_on
}

@test "20-sendfile says which close has failed at its end" {
    local at
    local -a what=(close "close $FILE")
    has 100
    for at in 1 2; do
        need_faults
        faulty+=(FAULT_CALL=close FAULT_AT="$at" FAULT_ERRNO=5)
        serve
        stop server
        expect_equal "status" 1 "$ended"
        expect_equal "standard error" \
            "20-sendfile: ${what[at - 1]}: Input/output error" \
            "$(errors_of_server)"
    done
}

@test "20-sendfile's descriptors are close-on-exec, and few" {
    has 20000000
    serve
    pauses
    # The file, the listener and a client.
    until_true all_cloexec "$(pid_of server)" 3 "@(socket:*|$FILE)"
}

# cost OPTION TIMES: sets took to the nanoseconds of processor time that a client
# takes.
cost() {
    serve ${1:+"$1"}
    try "$fetch" -r "$2" -p "$(pid_of server)" "$PORT"
    expect_result 0 ""
    read -r took _ <"$OUT"
    stop server
}

# costs TIMES LEAST MOST: copying takes at least LEAST and at most MOST hundredths
# of what sendfile takes. On a busy machine it is measured again.
costs() {
    local i sent ratio took
    for i in 1 2 3 4 5; do
        cost "" "$1"
        sent=$took
        cost -c "$1"
        ratio=$((took * 100 / sent))
        ((ratio < $2 || ratio > $3)) || return 0
    done
    fail "copying takes $ratio hundredths of what sendfile takes"
}

@test "20-sendfile saves time for large files, and none for small ones" {
    local cores
    [[ $BUILD != *asan* ]] || skip "a sanitizer has work of its own"
    skip_unless taskset
    # On two cores, the kernel does a part of the work on the client's.
    cores=$(taskset -pc "$BASHPID")
    taskset -pc "${cores##*[ ,-]}" "$BASHPID" >/dev/null
    has 10485760
    costs 15 150 100000
    has 102400
    costs 100 101 1000
    has 1024
    costs 200 60 150
}

@test "20's twin ends a file that shrinks as if it were whole, and no pipe" {
    local said
    skip_unless python3
    has 20000000
    start_server server python3 lessons/20-sendfile/twin.py "$FILE" 0
    expect_fetched 20000000
    pauses
    until_true rests
    truncate -s 1000 "$FILE"
    goes_on
    [[ $said == "20000000: "*" bytes, then end of stream" ]]
    expect_equal "status of the client" 1 "$ended"
    stop server
    try python3 -c '
import os, socket
ours, theirs = socket.socketpair()
reading, writing = os.pipe()
os.write(writing, b"hello")
os.close(writing)
print(ours.sendfile(os.fdopen(reading, "rb")))'
    expect_output --text '0\n'
}

@test "20-sendfile serves strangers" {
    local stranger
    skip_unless socat nc
    has 3000000
    serve
    (echo 3000000 && cat "$FILE") >"$BATS_TEST_TMPDIR/wanted"
    for stranger in "socat -u TCP:127.0.0.1:$PORT -" "nc 127.0.0.1 $PORT"; do
        # shellcheck disable=SC2086 # several words
        try $stranger
        expect_output "$BATS_TEST_TMPDIR/wanted"
    done
}

@test "20-sendfile names the call that failed, and why" {
    local call
    has 10
    for call in socket setsockopt bind listen; do
        need_faults
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$server" "$FILE" 0
        [[ $call != setsockopt ]] || call+=" SO_REUSEADDR"
        expect_result 1 "20-sendfile: $call 127.0.0.1:0: No buffer space available"
        expect_output --text ''
    done
    need_faults
    try "${faulty[@]}" FAULT_CALL=getsockname FAULT_ERRNO=105 "$server" "$FILE" 0
    expect_result 1 "20-sendfile: getsockname: No buffer space available"
    try "$server" "$FILE.absent" 0
    expect_result 1 "20-sendfile: open $FILE.absent: No such file or directory"
    try "$server" "$BATS_TEST_TMPDIR" 0
    expect_result 1 "20-sendfile: $BATS_TEST_TMPDIR is a folder"
    serve
    try "$server" "$FILE" "$PORT"
    expect_result 1 "20-sendfile: bind 127.0.0.1:$PORT: Address already in use"
}

@test "20-sendfile says so when its output cannot be written" {
    has 10
    try_with /dev/null /dev/full "$server" "$FILE" 0
    expect_result 1 "20-sendfile: standard output: No space left on device"
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$server" \
        "$FILE" 0
    expect_fetched 10
    expect_fetched 10
    stop server
    expect_equal "status" 1 "$ended"
    expect_equal "standard error" "20-sendfile: standard output: Broken pipe
20-sendfile: standard output: Broken pipe
20-sendfile: standard output: not every line could be written" \
        "$(errors_of_server)"
    for fd in 1 2; do
        # shellcheck disable=SC2016 # for the other bash to expand
        run -1 bounded bash -c "exec $fd>&-;"' exec "$@"' - "$server" "$FILE" 0
    done
}

@test "20-sendfile refuses what it cannot use" {
    local port
    has 10
    for arguments in "" "$FILE" "$FILE 0 0" "-x $FILE 0"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        expect_status 2
        expect_stderr "*usage: 20-sendfile \[-c\] FILE PORT"
    done
    for port in 65536 80x "" -1; do
        try "$server" "$FILE" "$port"
        expect_result 1 "20-sendfile: $port is not a port: 0 to 65535"
    done
    try "$server" -h
    expect_result 0 ""
    expect_output --text 'usage: 20-sendfile [-c] FILE PORT\n'
}
