#!/usr/bin/env bats
# 27-tls-event-loop [-k] [-m MAXCLIENTS] [-t SECONDS] PORT CERT KEY: echo over
# TLS for a crowd, in one thread.
#
# Its twin prints other words: Python can choose no cipher of TLS 1.3 before 3.15.

load ../lib/common
load ../lib/clock

server=$BUILD/27-tls-event-loop
rude=$BUILD/peers/rude-tls-client
load_generator=$BUILD/26-load-generator
certs=build/certs
cut="cut short: it ended without close_notify"

setup_file() {
    [[ -e build/certs/table ]] || skip "there are no certificates"
}

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" 0 "$certs/good.pem" \
        "$certs/good.key"
    server_pid=$(pid_of server)
}

# call MANNER [OPTION...]: a client, to its end.
call() {
    try "$rude" "${@:2}" "$1" "$PORT"
    expect_result 0 ""
}

# come NAME [OPTION...]: a client that makes its handshake, and is then silent.
come() {
    start "$1" "$rude" "${@:2}" mute "$PORT"
    wait_for "$1" "TLSv1.3 *"
}

# come_halfway NAME [OPTION...]: a client that stays in its handshake.
come_halfway() {
    start "$1" "$rude" "${@:2}" half "$PORT"
    wait_for "$1" "all is said"
}

expect_served() {
    call honest -b 100
    grep -q '^got 100 bytes, the same, then close_notify$' "$OUT"
}

# crowd OPTION...: clients of lesson 26 that all get back what they send.
crowd() {
    try "$load_generator" -C "$certs/root.pem" "$@" 127.0.0.1 "$PORT"
    expect_result 0 ""
    grep -q '^errors  *0$' "$OUT"
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

complains() {
    wait_for server "27-tls-event-loop: $1" err
}

# has_unread QUEUE: a connection of the server's port has bytes that nobody has
# taken yet: tx, those that it has sent; rx, those that it should receive.
has_unread() {
    local port
    printf -v port '%04X' "$PORT"
    awk -v port="$port" -v queue="$1" '
        substr($2, 10) == port && $4 == "01" {
            split($5, bytes, ":")
            if (bytes[queue == "tx" ? 1 : 2] !~ /^0*$/) n++
        }
        END { exit !n }' /proc/net/tcp
}

# come_deaf: a client that sends without end, and never reads. When no more fits
# anywhere, all is quiet. Sets deaf_pid.
come_deaf() {
    start deaf "$BUILD/peers/rude-tls" -j "$PORT" flood
    deaf_pid=$(pid_of deaf)
    until_true has_unread tx
    until_true is_quiet "$server_pid"
}

@test "27-tls-event-loop says back what it hears, and nothing of ordinary days" {
    local bytes
    serve
    call honest
    grep -q '^TLSv1.3 TLS_AES_128_GCM_SHA256 good, a chain of 2$' "$OUT"
    call honest -2
    grep -q '^TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 good, a chain of 2$' "$OUT"
    for bytes in 0 1 16383 16384 16385 65536 3000000; do
        call honest -b "$bytes"
        grep -qx "got $bytes bytes, the same, then close_notify" "$OUT"
        # Nor was it given a ticket, with which keys would outlive connections.
        expect_equal "lines" 4 "$(wc -l <"$OUT")"
    done
    try "$BUILD/peers/rude-tls" -j "$PORT" -d 0 dribble
    grep -q ', then close_notify$' "$OUT"
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on 127.0.0.1:$PORT"
    said ""
}

@test "27-tls-event-loop goes on after whatever a client does, and says what" {
    local before
    serve
    before=$(descriptors "$server_pid")
    call vanish
    complains "recv: $cut"
    call reset
    complains "recv: Connection reset by peer"
    call tls-1.1
    grep -qx 'no handshake: tlsv1 alert protocol version' "$OUT"
    complains "SSL_accept: unsupported protocol"
    call rsa-only
    grep -qxE 'no handshake: (sslv3|ssl/tls) alert handshake failure' "$OUT"
    complains "SSL_accept: no shared cipher"
    call garbage
    complains "SSL_accept: it does not speak TLS"
    call renegotiate
    grep -qx 'another handshake: refused' "$OUT"
    call cut
    call broken-off
    try "$BUILD/peers/rude-tls" -j "$PORT" spoilt
    complains "SSL_read: decryption failed or bad record mac"
    expect_served
    until_true holds_descriptors "$server_pid" "$before"
    is_running server
    # The queue of errors was left empty: a client that has to wait waits.
    try "$BUILD/peers/rude-tls" -j "$PORT" -d 0 dribble
    grep -q ', then close_notify$' "$OUT"
}

@test "27-tls-event-loop serves a crowd, and keeps nothing of it" {
    local before
    serve
    before=$(descriptors "$server_pid")
    crowd -c 300 -s 64 -d 0.2
    crowd -c 20 -s 16384 -d 0.2
    crowd -c 3 -s 300000 -d 0.2
    until_true holds_descriptors "$server_pid" "$before"
    until_true is_quiet "$server_pid"
    said ""
    expect_lines server "listening on *"
}

@test "27-tls-event-loop gives a handshake its time, and no more" {
    local took
    serve -t 0.5
    look_at_clock
    took=$now
    start half "$rude" half "$PORT"
    start dribble "$rude" -d 20 dribble "$PORT"
    start silent "$BUILD/peers/rude" -k 0 connect stall "$PORT"
    wait_for half 'connected from *'
    expect_served
    finish half
    finish dribble
    finish silent
    look_at_clock
    ((now - took >= 50))
    said "27-tls-event-loop: SSL_accept: deadline passed
27-tls-event-loop: SSL_accept: deadline passed
27-tls-event-loop: SSL_accept: deadline passed"
    # After the handshake there is no limit.
    come mute
    for i in {1..60}; do
        pause
    done
    is_running mute
    until_true is_quiet "$server_pid"
}

@test "27-tls-event-loop gives a client's last bytes their time, and no more" {
    local begin
    need_faults
    # The first send is for the handshake, and the second for close_notify. The
    # kernel takes no more bytes from then on.
    faulty+=(FAULT_CALL=send FAULT_ERRNO=11 FAULT_AT=2 FAULT_TIMES=1000000000)
    serve -t 1
    look_at_clock
    begin=$now
    call honest -b 0
    look_at_clock
    ((now - begin >= 100))
    grep -q ' good, a chain of 2$' "$OUT"
    said "27-tls-event-loop: send: deadline passed"
}

beside_the_slow() {
    serve
    come_halfway slow -c "$1"
    timed "$rude" honest "$PORT"
    stop_all
}

@test "27-tls-event-loop serves at once while 100 handshakes are slow" {
    measured 0 100 beside_the_slow 100
}

@test "27-tls-event-loop does not read from a client that does not read" {
    local before count
    serve
    count=$(descriptors "$server_pid")
    come_deaf
    [[ $BUILD == *asan* ]] || (($(memory "$server_pid") < 8000))
    before=$(memory "$server_pid")
    crowd -c 10 -d 0.2
    until_true is_quiet "$server_pid"
    [[ $BUILD == *asan* ]] || (($(memory "$server_pid") - before < 2000))
    # Its memory is freed with it.
    kill -s KILL "$deaf_pid"
    until_true holds_descriptors "$server_pid" "$count"
    expect_served
}

ends_after_a_deaf_one() {
    serve
    come_deaf
    kill -s KILL "$deaf_pid"
    wait_for server '27-tls-event-loop: *' err
    look_at_clock
    took=$now
    stop server
    look_at_clock
    took=$((now - took))
    stop_all
}

@test "27-tls-event-loop ends at once when a client that did not read has gone" {
    measured 0 60 ends_after_a_deaf_one
}

@test "27-tls-event-loop gives a flooding client a turn, and no more" {
    serve
    start flood "$load_generator" -C "$certs/root.pem" -c 1 -s 4000000 -d 20 \
        127.0.0.1 "$PORT"
    wait_for flood "clients *"
    crowd -c 10 -s 64 -d 0.2
    is_running flood
}

@test "27-tls-event-loop sends the records of one answer in one piece" {
    serve
    # All records of the client are there before the server looks.
    frozen together
    finish early
    says early 'got 60000 bytes, the same, then close_notify'
}

together() {
    start early "$rude" -b 60000 honest "$PORT"
    until_true has_unread rx
}

@test "27-tls-event-loop takes no more than -m allows, and then others again" {
    local count
    serve -m 2
    come first
    come second
    wait_for server "full with 2 clients"
    count=$(descriptors "$server_pid")
    start late "$rude" honest "$PORT"
    wait_for late 'connected from *'
    until_true is_quiet "$server_pid"
    holds_descriptors "$server_pid" "$count"
    expect_lines late 'connected from *'
    stop first
    finish late
    says late 'got 40 bytes, the same, then close_notify'
    expect_served
}

@test "27-tls-event-loop lets others wait when it has no descriptor left" {
    local i
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -n 9 && exec "$@"' - "$server" 0 \
        "$certs/good.pem" "$certs/good.key"
    server_pid=$(pid_of server)
    for i in {1..8}; do
        start "client$i" "$rude" mute "$PORT"
    done
    complains "accept: Too many open files"
    until_true is_quiet "$server_pid"
    for i in {1..8}; do
        stop "client$i"
    done
    expect_served
}

@test "27-tls-event-loop takes as many descriptors as it may have" {
    # Eight clients are in the queue before the first makes its handshake. With
    # nine descriptors the server would have none left for the fourth.
    # shellcheck disable=SC2016 # for the other bash to expand
    start_server server bash -c 'ulimit -Sn 9 && exec "$@"' - "$server" 0 \
        "$certs/good.pem" "$certs/good.key"
    call honest -c 8
    said ""
}

@test "27-tls-event-loop says goodbye when it is told to end" {
    local signal
    for signal in TERM INT; do
        # The server is full. When these two are gone, it accepts no others.
        serve -m 2
        come idle
        come_halfway half
        wait_for server "full with 2 clients"
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        finish idle
        says idle 'got 0 bytes*, then close_notify'
        finish half
        said ""
    done
}

@test "27-tls-event-loop ends in a second, whatever it has not sent" {
    local begin
    serve
    come_deaf
    begin=${EPOCHREALTIME/./}
    stop server
    expect_equal "status" 0 "$ended"
    ((${EPOCHREALTIME/./} - begin >= 990000))
    ((${EPOCHREALTIME/./} - begin < 5000000))
}

@test "27-tls-event-loop takes less memory for idle clients than with -k" {
    local before option
    local -A taken
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    for option in "" -k; do
        # shellcheck disable=SC2086,SC2248 # none or one
        serve $option
        before=$(memory "$server_pid")
        # In OpenSSL 3.5 a client has no buffers before its first request.
        start idle "$load_generator" -C "$certs/root.pem" -c 200 -r 400 -d 1000 \
            127.0.0.1 "$PORT"
        wait_for idle 'clients *'
        sleep 1.5
        taken[x$option]=$((($(memory "$server_pid") - before) * 1024 / 200))
        stop idle
        stop server
    done
    echo "${taken[x]} bytes for a client, with -k ${taken[x-k]}"
    ((taken[x] < 27000)) # by OpenSSL 3.0 14000, by 3.5 22000
    ((taken[x] + 5000 < taken[x-k]))
}

@test "27-tls-event-loop holds ten thousand clients" {
    local i count
    [[ -n ${FULL-} ]] || skip "takes half a minute: FULL=1 has it"
    (($(ulimit -Hn) >= 10100)) || skip "this system allows no 10100 descriptors"
    [[ $BUILD != *asan* ]] || skip "a sanitizer is too slow"
    serve
    count=$(descriptors "$server_pid")
    start idle "$load_generator" -C "$certs/root.pem" -c 10000 -r 1 -d 1000 \
        127.0.0.1 "$PORT"
    for i in {1..5}; do
        wait_for idle 'clients *' && break
    done
    holds_descriptors "$server_pid" $((count + 10000))
    crowd -c 50 -d 0.5
    stop idle
    until_true holds_descriptors "$server_pid" "$count"
}

@test "27-tls-event-loop makes a call again that was not for now" {
    local errno call
    need_faults
    for errno in 4 11; do
        for call in recv send; do
            faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
                FAULT_ERRNO="$errno" FAULT_TIMES=3)
            serve
            expect_served
            stop server
        done
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT="send,recv")
    serve
    expect_served
    stop server
    expect_equal "status" 0 "$ended"
    said ""
}

@test "27-tls-event-loop lets one client go when a call fails, and no other" {
    local call number
    need_faults
    for call in recv send; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_ERRNO=104)
        serve
        try "$rude" honest "$PORT"
        expect_served
        stop server
        expect_equal "status" 0 "$ended"
        said "27-tls-event-loop: $call: Connection reset by peer"
    done
    # One byte is sent at a time, so the second send is for the rest.
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=send
        FAULT_CALL=send FAULT_ERRNO=104 FAULT_AT=2)
    serve
    try "$rude" honest "$PORT"
    expect_served
    said "27-tls-event-loop: send: Connection reset by peer"
    stop server
    # The signals and the listener are watched first. Then come the client's
    # input, the room for what send did not take, and the input again.
    for number in 3 4 5; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=send
            FAULT_CALL=epoll_ctl FAULT_ERRNO=28 FAULT_AT="$number")
        serve
        try "$rude" honest "$PORT"
        expect_served
        said "27-tls-event-loop: epoll_ctl: No space left on device"
        stop server
    done
}

@test "27-tls-event-loop says for what there was no memory" {
    local log=$BATS_TEST_TMPDIR/allocations own count which said
    need_faults
    # The first send takes nothing, so a copy of the alert has to be kept.
    faulty=(env LD_PRELOAD="$BUILD/tests/memory.so:$BUILD/tests/faults.so"
        FAULT_CALL=send FAULT_ERRNO=11)
    faulty+=(MEMORY_LOG="$log")
    serve
    call tls-1.1
    stop server
    # What the server itself allocates, and not OpenSSL: two buffers, the output
    # of the wire, a client, and the copy. Just before the first, OpenSSL stores
    # the list of ciphers. Just after the client, it makes its own object.
    mapfile -t own < <(grep -n ' 27-tls-event-loop$' "$log")
    own=("${own[@]%%:*}")
    expect_equal "allocations" 5 "${#own[@]}"
    unset 'faulty[-1]'
    while read -r which said; do
        try "${faulty[@]}" MEMORY_AT="$which" "$server" 0 "$certs/good.pem" \
            "$certs/good.key"
        expect_status 1
        expect_stderr "27-tls-event-loop: $said"
    done <<<"$((own[0] - 1)) SSL_CTX_set_ciphersuites: ?*
${own[0]} malloc: Cannot allocate memory
${own[1]} malloc: Cannot allocate memory
${own[2]} wire_open: Cannot allocate memory"
    while read -r which said; do
        faulty[4]=MEMORY_AT=$which
        serve
        count=$(descriptors "$server_pid")
        call tls-1.1
        complains "$said"
        expect_served
        until_true holds_descriptors "$server_pid" "$count"
        stop server
        expect_equal "status without allocation $which" 0 "$ended"
    done <<<"${own[3]} calloc: Cannot allocate memory
$((own[3] + 1)) SSL_new: ?*
${own[4]} malloc: Cannot allocate memory"
}

@test "27-tls-event-loop tries again when its listener cannot be watched" {
    need_faults
    # The listener, the signals, the client; the client goes, and so does the
    # listener; and then the listener is watched again.
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=epoll_ctl
        FAULT_ERRNO=28 FAULT_AT=6)
    serve -m 1
    expect_served
    expect_served
    said "27-tls-event-loop: epoll_ctl: No space left on device"
}

@test "27-tls-event-loop outlives what accept may fail with, and does not spin" {
    local errno
    need_faults
    for errno in 4 11 24 103 105; do
        # shellcheck disable=SC2054 # the comma is FAULT_CALL's
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=accept4
            FAULT_ERRNO="$errno" FAULT_TIMES=3)
        serve
        expect_served
        stop server
        expect_equal "status with $errno" 0 "$ended"
    done
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=accept4
        FAULT_ERRNO=105 FAULT_TIMES=1000000)
    serve
    start first "$rude" honest "$PORT"
    until_true says server '27-tls-event-loop: accept: *' err
    until_true is_quiet "$server_pid"
}

@test "27-tls-event-loop names the call that failed, and why" {
    local call which shown
    need_faults
    while read -r call which shown; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 "$which" \
            "$server" 0 "$certs/good.pem" "$certs/good.key"
        expect_result 1 "27-tls-event-loop: $shown: No buffer space available"
        expect_output --text ''
    done <<'END'
fcntl FAULT_AT=1 descriptor 1
fcntl FAULT_AT=2 descriptor 2
epoll_create1 FAULT_AT=1 epoll_create1
epoll_ctl FAULT_AT=1 epoll_ctl
socket FAULT_AT=1 socket 127.0.0.1:0
setsockopt FAULT_OPTION=2 setsockopt SO_REUSEADDR 127.0.0.1:0
bind FAULT_AT=1 bind 127.0.0.1:0
listen FAULT_AT=1 listen 127.0.0.1:0
setsockopt FAULT_OPTION=1 setsockopt TCP_NODELAY
fcntl FAULT_AT=3 fcntl
epoll_ctl FAULT_AT=2 epoll_ctl
getsockname FAULT_AT=1 getsockname
END
}

# has_complaints COUNT: the server has printed so many lines on standard error.
has_complaints() {
    (($(wc -l <"$BATS_TEST_TMPDIR/server.err") >= $1))
}

@test "27-tls-event-loop pauses when it cannot wait, and then goes on" {
    local begin count
    need_faults
    faulty+=(FAULT_CALL=epoll_wait FAULT_ERRNO=105)
    serve
    expect_served
    said "27-tls-event-loop: epoll_wait: No buffer space available"
    stop server
    expect_equal "status" 0 "$ended"
    # Now it fails again and again, with a pause of 20 milliseconds each time.
    faulty+=(FAULT_TIMES=1000000000)
    begin=${EPOCHREALTIME/./}
    serve
    until_true has_complaints 20
    count=$(wc -l <"$BATS_TEST_TMPDIR/server.err")
    (((count - 1) * 20000 <= ${EPOCHREALTIME/./} - begin))
    # No signal can end it, because it would have to wait for that.
    kill -s KILL "$server_pid"
    finish server
}

@test "27-tls-event-loop refuses a certificate or a key that is of no use" {
    local file
    cp "$certs/good.key" "$BATS_TEST_TMPDIR/loose.key"
    chmod 644 "$BATS_TEST_TMPDIR/loose.key"
    try "$server" 0 "$certs/good.pem" "$BATS_TEST_TMPDIR/loose.key"
    expect_result 1 "27-tls-event-loop: $certs/good.pem with \
$BATS_TEST_TMPDIR/loose.key: key $BATS_TEST_TMPDIR/loose.key: other users may use it"
    try "$server" 0 "$certs/good.pem" "$certs/good-rsa.key"
    expect_equal "status" 1 "$status"
    [[ $errors == "27-tls-event-loop: $certs/good.pem with $certs/good-rsa.key: "?* ]]
    try "$server" 0 "$BATS_TEST_TMPDIR/none" "$certs/good.key"
    expect_result 1 "27-tls-event-loop: $BATS_TEST_TMPDIR/none with \
$certs/good.key: No such file or directory"
}

@test "27-tls-event-loop says so when its output cannot be written" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$@" >/dev/full' - "$server" 0 "$certs/good.pem" \
        "$certs/good.key"
    expect_result 1 "27-tls-event-loop: standard output: No space left on device"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$@" >&-' - "$server" 0 "$certs/good.pem" "$certs/good.key"
    expect_result 1 "27-tls-event-loop: descriptor 1: Bad file descriptor"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$@" 2>&-' - "$server" 0 "$certs/good.pem" "$certs/good.key"
    expect_result 1 ""
    expect_output --text ''
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$@" -h >/dev/full' - "$server"
    expect_result 1 "27-tls-event-loop: standard output: No space left on device"
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - "$server" \
        -m 1 0 "$certs/good.pem" "$certs/good.key"
    come one
    complains "standard output: Broken pipe"
    stop server
    expect_equal "status" 1 "$ended"
}

@test "27-tls-event-loop explains itself when asked, and when called wrongly" {
    local number arguments usage="usage: 27-tls-event-loop [-k] [-m MAXCLIENTS] \
[-t SECONDS] PORT CERT KEY"
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "1" "1 2" "1 2 3 4" "-x 1 2 3" "-m"; do
        # shellcheck disable=SC2086 # several words
        try "$server" $arguments
        [[ $errors == *"$usage" ]]
        expect_equal "status" 2 "$status"
    done
    for number in 65536 80x ''; do
        try "$server" -- "$number" "$certs/good.pem" "$certs/good.key"
        expect_result 1 "27-tls-event-loop: $number is not a number from 0 to 65535"
        try "$server" -m "$number" 0 "$certs/good.pem" "$certs/good.key"
        expect_result 1 "27-tls-event-loop: $number is not a number from 1 to 65535"
        try "$server" -t "x$number" 0 "$certs/good.pem" "$certs/good.key"
        expect_result 1 \
            "27-tls-event-loop: x$number is not a number of seconds above 0, up to a day"
    done
    serve
    try "$server" "$PORT" "$certs/good.pem" "$certs/good.key"
    [[ $errors == "27-tls-event-loop: bind 127.0.0.1:$PORT: Address "*"in use" ]]
}
