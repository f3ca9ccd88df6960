#!/usr/bin/env bats
# 28-io-uring-server [-m MAXCLIENTS] PORT: echo for a crowd, by io_uring.
# Its twin prints less: no numbers at its end.

load ../lib/common

server=$BUILD/28-io-uring-server
rude=$BUILD/peers/rude
many=$BUILD/peers/many

setup() {
    [[ -x $server ]] || skip "it is not built, for want of the headers of Linux 6.1"
    need_ring
}

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "${program:-$server}" "$@" 0
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

# come_deaf COUNT: so many clients that send, and read nothing. When this
# returns, nothing more fits.
come_deaf() {
    mkfifo "$BATS_TEST_TMPDIR/key"
    # shellcheck disable=SC2016 # for the other bash to expand
    start deaf bash -c 'exec "$@" <>"$0"' "$BATS_TEST_TMPDIR/key" \
        "$many" -g -c "$1" -n 8000000 -b 4096 "$PORT"
    wait_for deaf "nothing more fits"
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# number ROW COLUMN: sets number to one that the server has printed at its end.
number() {
    number=$(awk -v row="$1" -v column="$2" '$1 == row { print $column }' \
        "$BATS_TEST_TMPDIR/server.out")
}

# calls: sets number to how often the server has called io_uring_enter.
calls() {
    number=$(sed -n 's/^calls of io_uring_enter: //p' \
        "$BATS_TEST_TMPDIR/server.out")
}

# numbers ROW REQUESTS COMPLETIONS: the server has printed them at its end.
numbers() {
    number "$1" 2
    expect_equal "requests of $1" "$2" "$number"
    number "$1" 3
    expect_equal "completions of $1" "$3" "$number"
}

@test "28-io-uring-server says back what it hears, and nothing of ordinary days" {
    serve
    call whole
    call dribble
    call join
    call half-close -k 17
    call garbage
    for bytes in 0 1 16383 16384 16385 65535 65536 65537; do
        call whole -n "$bytes"
    done
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT" \
        "       requests completions" "accept        1          14" "recv  *" \
        "send  *" "calls of io_uring_enter: *"
    said ""
}

@test "28-io-uring-server asks once for its clients, and once for what each sends" {
    serve
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
    for i in {1..20}; do
        echo "hello $i" >&5
        read -r line <&5
        expect_equal "echo" "hello $i" "$line"
    done
    exec 5>&- 6>&-
    crowd -c 2 -n 10 -r 100
    stop server
    # Two clients of our own, two of many's; at the end, accept is cancelled, and
    # so completes once more. 220 messages; 4 completions say the end.
    numbers accept 1 5
    numbers recv 4 224
    numbers send 220 220
}

# It is busy for a millisecond after each call, so that messages gather. Without
# that, it depends on the machine how many are there at once.
@test "28-io-uring-server makes fewer system calls than there are messages" {
    need_faults
    faulty+=(FAULT_LATE=1)
    serve
    crowd -c 50 -n 64 -r 100
    stop server
    calls
    ((number * 5 <= 5000))
}

@test "28-io-uring-server makes no other call for its clients" {
    "$BUILD/tests/forbid" recvfrom true 2>/dev/null ||
        skip "this system forbids no calls"
    # shellcheck disable=SC2054 # the commas are for forbid
    faulty=("$BUILD/tests/forbid" accept4,recvfrom,recvmsg,sendto,sendmsg)
    serve
    crowd -c 20 -n 1000 -r 3
    said ""
}

@test "28-io-uring-server serves a thousand clients at once, and keeps nothing" {
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
        "$(grep -cE '^28-io-uring-server: (recv|send): (Connection reset by peer|Broken pipe)$' \
            "$BATS_TEST_TMPDIR/server.err")"
    expect_lines server "listening on *"
}

@test "28-io-uring-server keeps no memory of clients that have gone" {
    local i before after
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    export MALLOC_MMAP_THRESHOLD_=4096 # what is freed goes back to the kernel
    serve
    for i in 1 2 3 4 5; do
        crowd -c 100 -n 20000 -r 2
        try "$rude" -c 20 -n 3000 connect reset "$PORT"
        until_true is_quiet "$server_pid"
        after=$(memory "$server_pid")
        ((i == 1 || after > before)) || break
        before=$after
    done
    ((after <= before))
}

@test "28-io-uring-server sends back all that came before a client's end" {
    serve
    frozen came
    finish early
    expect_lines early "connected from *" "got 60000 bytes, then end of stream"
}

came() {
    come early whole -n 60000
    until_true in_state 08
}

@test "28-io-uring-server does not read from who does not read" {
    local before
    need_faults
    faulty+=(FAULT_SEND_BUFFER=1) # so little of it is in the kernel
    serve
    crowd -c 20 -n 300000 # now it has used all of its buffers
    before=$(memory "$server_pid")
    # One client alone, so that there is always a buffer for what it sends.
    come_deaf 1
    until_true is_quiet "$server_pid"
    (($(memory "$server_pid") - before < 5000))
}

@test "28-io-uring-server serves on while twenty clients do not read" {
    local count
    serve
    count=$(descriptors "$server_pid")
    come_deaf 20
    crowd -c 20 -n 1000 -r 20
    until_true is_quiet "$server_pid"
    stop deaf
    until_true holds_descriptors "$server_pid" "$count"
    crowd -c 2 -n 8000000 -b 4096
    until_true is_quiet "$server_pid"
    stop server
    # Their requests for input ended early, and the last two's were asked anew.
    number recv 2
    ((number > 42))
}

@test "28-io-uring-server sends everything in its order, in however small pieces" {
    need_faults
    faulty+=(FAULT_SEND_BUFFER=1)
    serve
    crowd -c 5 -n 300000 -b 4096
    crowd -c 20 -n 100000 -r 3
    said ""
}

@test "28-io-uring-server gives a flooding client a turn, and no more" {
    serve
    start flood "$many" -c 1 -n 16000000 -r 1000 "$PORT"
    until_true in_state 01
    crowd -c 10 -n 64 -r 50
    is_running flood
}

# with NAME=NUMBER...: builds the server with other constants, and serves.
serve_with() {
    local change
    local -a changes=()
    for change; do
        changes+=(-e "s/ ${change%=*} = [0-9]*/ ${change%=*} = ${change#*=}/")
    done
    serve_changed "${changes[@]}"
}

# serve_changed SED...: the server, after sed has changed its source so.
serve_changed() {
    local -a changes=("$@")
    skip_unless cc
    program=$BATS_TEST_TMPDIR/other
    rm -rf "$program.source"
    mkdir "$program.source"
    cp "$SOURCE"/{io-uring-server,accept,buffers,client,ring}.[ch] \
        "$SOURCE/server.h" "$program.source"
    sed -i "${changes[@]}" "$program.source"/*.c
    cc -Icommon -o "$program" "$program.source"/*.c common/deadline.c common/number.c
    serve
}

@test "28-io-uring-server loses nothing when the completion queue is full" {
    serve_with REQUESTS=4 COMPLETIONS=4
    frozen gathered # so that 200 are accepted at once
    finish gathered
    expect_equal "status of the crowd" 0 "$ended"
    crowd -c 20 -n 300000
    stop server
    expect_equal "status" 0 "$ended"
    number accept 2
    ((number > 1))
    number recv 2
    ((number > 220))
    grep -q '^completion queue too small: [1-9][0-9]* times$' \
        "$BATS_TEST_TMPDIR/server.out"
    said ""
}

# gathered: a crowd, when all its clients wait to be accepted.
gathered() {
    start gathered "$many" -s 7 -c 200 -n 64 -r 10 "$PORT"
    until_true waiting 200
}

# waiting COUNT: so many connections have come to the server.
waiting() {
    local port
    printf -v port '%04X' "$PORT"
    (($(grep -c "[0-9]: 0100007F:$port [0-9A-F:]* 01 " /proc/net/tcp) == $1))
}

@test "28-io-uring-server waits for a buffer when none is free" {
    serve_with BUFFERS=2
    crowd -c 200 -n 64 -r 10
    crowd -c 20 -n 300000
    stop server
    numbers accept 1 221
    number recv 2
    ((number > 220))
    said ""
}

@test "28-io-uring-server goes round its rings when the numbers overflow" {
    # That of the buffers counts up to 65535.
    serve
    crowd -c 10 -n 10 -r 7000
    said ""
}

@test "28-io-uring-server takes no more than -m allows, and then others again" {
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

@test "28-io-uring-server closes at once whom it has no descriptor for" {
    local i
    limited 14
    for i in {1..30}; do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
    done
    wait_for server "28-io-uring-server: accept: Too many open files" err
    until_true is_quiet "$server_pid"
    call_away
    until_true is_quiet "$server_pid"
    expect_lines server "listening on *"
    expect_equal "lines" 1 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
}

# limited DESCRIPTORS: as many as that, and no more, for the server.
limited() {
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -n "$1" && exec "$2" 0' - "$1" "$server"
    server_pid=$(pid_of server)
}

@test "28-io-uring-server serves others when those without a descriptor have gone" {
    local i fd
    local -a all=()
    limited 14
    for i in {1..30}; do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
        all+=("$fd")
    done
    wait_for server "28-io-uring-server: accept: *" err
    for fd in "${all[@]}"; do
        exec {fd}>&-
    done
    until_true is_quiet "$server_pid"
    for i in 1 2 3; do
        call whole
    done
    # Nor does it close one that it has a place for.
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    echo hello >&5
    read -r line <&5
    expect_equal "echo" hello "$line"
}

@test "28-io-uring-server takes as many descriptors as it may" {
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -Sn 14 && exec "$0" 0' "$server"
    crowd -c 50
    said ""
}

@test "28-io-uring-server finishes what it owes when it is told to end" {
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

@test "28-io-uring-server takes no new client when it is told to end" {
    serve
    come_deaf 1
    kill -s TERM "$server_pid"
    until_true is_refused
    is_running server
    finish server
    expect_equal "status" 0 "$ended"
}

is_refused() {
    ! bash -c ": <>/dev/tcp/127.0.0.1/$PORT" 2>/dev/null
}

@test "28-io-uring-server ends in a second, whatever it owes" {
    local begin now
    serve
    come_deaf 1
    begin=${EPOCHREALTIME/./}
    stop server
    now=${EPOCHREALTIME/./}
    expect_equal "status" 0 "$ended"
    ((now - begin >= 990000 && now - begin < 5000000))
}

@test "28-io-uring-server ends at once when nobody is owed anything" {
    local begin i now=0
    for i in 1 2 3 4 5; do # what was late on a busy machine is tried again
        serve
        exec 5<>"/dev/tcp/127.0.0.1/$PORT"
        crowd -c 3
        begin=${EPOCHREALTIME/./}
        stop server
        now=${EPOCHREALTIME/./}
        expect_equal "status" 0 "$ended"
        ((now - begin > 500000)) || break
    done
    ((now - begin <= 500000))
}

@test "28-io-uring-server takes little memory for an idle client" {
    local before
    (($(ulimit -Hn) >= 10100)) || skip "this system allows no 10100 descriptors"
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    serve
    crowd -c 1000 -n 8000
    before=$(memory "$server_pid")
    start crowd "$many" -i 10000 -c 50 -w "$PORT"
    wait_for crowd 'all is well'
    # struct client has 48 bytes. Some pages are touched that have been nobody's:
    # hence the 128 KiB.
    (($(memory "$server_pid") - before <= 10000 * 48 / 1024 + 128))
    stop crowd
}

# cost IDLE: sets took to the nanoseconds that a request takes the server beside
# so many silent clients.
cost() {
    crowd -i "$1" -c 50 -r 100 -p "$server_pid"
    read -r took <"$OUT"
}

@test "28-io-uring-server does no more work when 900 clients are silent" {
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

@test "28-io-uring-server's descriptors are close-on-exec, and few" {
    serve
    exec 5<>"/dev/tcp/127.0.0.1/$PORT"
    until_true in_state 01
    call whole
    # Ring, signals, listener and a client.
    until_true all_cloexec "$server_pid" 4 "@(socket:*|anon_inode:*)"
}

@test "28-io-uring-server says why there is no io_uring" {
    local setting
    need_faults
    faulty+=(FAULT_CALL=io_uring_setup)
    try "${faulty[@]}" FAULT_ERRNO=38 "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: Linux $(uname -r) has \
no io_uring, or hides it: Function not implemented"
    try "${faulty[@]}" FAULT_ERRNO=22 "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: Linux $(uname -r) is \
older than 6.1: Invalid argument"
    try "${faulty[@]}" FAULT_ERRNO=12 "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: Cannot allocate memory"
    setting=$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)
    [[ $setting == 0 ]] || skip "kernel.io_uring_disabled is $setting"
    try "${faulty[@]}" FAULT_ERRNO=1 "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: a filter forbids it: \
Operation not permitted"
    say_disabled 2
    "$BUILD/tests/forbid" io_uring_setup true 2>/dev/null ||
        skip "this system forbids no calls"
    try "$BUILD/tests/forbid" io_uring_setup "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: a filter forbids it: \
Operation not permitted"
    expect_output --text ''
}

# say_disabled SETTING: where we may mount, the file in /proc says that the
# administrator has forbidden io_uring so.
say_disabled() {
    local file=/proc/sys/kernel/io_uring_disabled
    local mount="mount --bind '$BATS_TEST_TMPDIR/setting' $file"
    echo "$1" >"$BATS_TEST_TMPDIR/setting"
    unshare -rm bash -c "$mount" 2>/dev/null || return 0
    # shellcheck disable=SC2016 # expanded by the shell that is started
    try unshare -rm bash -c 'eval "$0" && exec "$@"' "$mount" \
        "${faulty[@]}" FAULT_ERRNO=1 "$server" 0
    expect_result 1 "28-io-uring-server: io_uring_setup: kernel.io_uring_disabled \
is $1: Operation not permitted"
}

@test "28-io-uring-server names the call that failed, and why" {
    local call errno
    need_faults
    try "${faulty[@]}" FAULT_CALL=setsockopt FAULT_OPTION=1 FAULT_ERRNO=105 "$server" 0
    expect_result 1 "28-io-uring-server: setsockopt TCP_NODELAY: No buffer space available"
    for call in io_uring_register socket setsockopt bind listen getsockname; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$server" 0
        case $call in
        setsockopt) call="setsockopt SO_REUSEADDR" ;;
        bind) call="bind 127.0.0.1:0" ;;
        esac
        expect_result 1 "28-io-uring-server: $call: No buffer space available"
        expect_output --text ''
    done
    faulty+=(FAULT_CALL=io_uring_enter FAULT_ERRNO=12 FAULT_TIMES=3)
    serve
    call whole
    stop server
    expect_equal "status" 0 "$ended"
    expect_equal "lines" 3 "$(grep -cx '28-io-uring-server: io_uring_enter: Cannot allocate memory' \
        "$BATS_TEST_TMPDIR/server.err")"
}

# lose_clients ERRNO: the first 25 clients are lost by this error of accept, and then
# one is served. Sets took to the milliseconds until then.
lose_clients() {
    local i begin
    serve_changed -e "s/^void accept_handle(.* {\$/& static int failures; \
        if (failures++ < 25) { (void)close(result); result = -$1; }/"
    begin=${EPOCHREALTIME/./}
    for i in {1..25}; do
        : <>"/dev/tcp/127.0.0.1/$PORT"
    done
    call whole
    took=$(((${EPOCHREALTIME/./} - begin) / 1000))
    stop server
    expect_equal "status" 0 "$ended"
    expect_equal "lines" 25 "$(grep -c '^other: accept: ' \
        "$BATS_TEST_TMPDIR/server.err")"
}

@test "28-io-uring-server pauses when accept has failed, but not when a client is lost" {
    local try took
    lose_clients ENOMEM
    ((took >= 400)) # 25 pauses
    for try in 1 2 3 4 5; do # what was late on a busy machine is tried again
        lose_clients ECONNABORTED
        ((took >= 400)) || break
    done
    ((took < 400))
}

@test "28-io-uring-server makes a call again that was not for now" {
    local errno
    for errno in 4 16; do
        need_faults
        faulty+=(FAULT_CALL=io_uring_enter FAULT_ERRNO="$errno" FAULT_TIMES=20)
        serve
        call whole
        stop server
        expect_equal "status" 0 "$ended"
        said ""
    done
}

@test "28-io-uring-server says so when its output cannot be written" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >/dev/full' "$server"
    expect_result 1 "28-io-uring-server: standard output: No space left on device"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" 0 >&-' "$server"
    expect_equal "status" 1 "$status"
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$server" -m 1 0
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
    read -r <&6 || true
    stop server
    expect_equal "status" 1 "$ended"
    said "28-io-uring-server: standard output: Broken pipe
28-io-uring-server: standard output: Broken pipe"
}

# serve_within BYTES [OPTION...]: its output may have so many bytes, and no more.
# What it says on standard error goes through a pipe, which has no such limit.
serve_within() {
    local pipe=$BATS_TEST_TMPDIR/errors.pipe
    rm -f "$pipe"
    mkfifo "$pipe"
    cat <"$pipe" >>"$BATS_TEST_TMPDIR/server.err" 3>&- &
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'trap "" XFSZ &&
        exec prlimit --fsize="$@" 2>"$0"' "$pipe" \
        "$1:" "$server" "${@:2}" 0
}

# said_at_last LINE...: all that it has said on standard error.
said_at_last() {
    until_true says server "${*: -1}" err
    said "$(printf '%s\n' "$@")"
}

@test "28-io-uring-server says so when a line of its output is lost" {
    local bytes lost="28-io-uring-server: standard output: File too large"
    skip_unless prlimit
    # Its first line has 29 bytes. At the end come four lines of 28, and a last one.
    for bytes in 29 57 85 113 141; do
        serve_within "$bytes"
        stop server
        expect_equal "status" 1 "$ended"
        said_at_last "$lost"
    done
    # The line about a client that is refused is lost, and no other.
    serve_within 29 -m 1
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
    read -r <&6 || true
    prlimit --pid "$(pid_of server)" --fsize=unlimited:
    stop server
    expect_equal "status" 1 "$ended"
    said_at_last "$lost" \
        "28-io-uring-server: standard output: not every line could be written"
}

@test "28-io-uring-server explains itself when asked, and when called wrongly" {
    local number usage="usage: 28-io-uring-server [-m MAXCLIENTS] PORT"
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "1 2" "-m 1" "-b 1"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        [[ $status == 2 && $errors == *"$usage" ]]
    done
    for number in 65536 -1 80x '' 18446744073709551617; do
        try "$server" -- "$number"
        expect_result 1 "28-io-uring-server: $number is not a number from 0 to 65535"
        try "$server" -m "$number" 0
        expect_result 1 "28-io-uring-server: $number is not a number from 1 to 65535"
    done
    try "$server" -m 0 0
    expect_result 1 "28-io-uring-server: 0 is not a number from 1 to 65535"
    serve
    try "$server" "$PORT"
    [[ $errors == "28-io-uring-server: bind 127.0.0.1:$PORT: Address "*"in use" ]]
}

