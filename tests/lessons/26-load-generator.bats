#!/usr/bin/env bats
# 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] [-r RATE] [-p PID]
# [-C CAFILE] [-u PATH] HOST PORT: an echo server or a web server, measured.
#
# Its twin prints less: one line.

load ../lib/common
load ../lib/clock

program=$BUILD/26-load-generator
number='[0-9]*([0-9])?(.+([0-9]))'

# loaded OPTIONS FACE ARGUMENT...: measures a server with that face.
loaded() {
    local -a options
    read -ra options <<<"$1"
    start_server peer "$BUILD/peers/echo" "${options[@]}" "$2"
    timed "$program" "${@:3}" 127.0.0.1 "$PORT"
}

# said KEY: sets value to the number behind it, without its point.
said() {
    local key rest
    value=
    while read -r key value rest; do
        value=${value/./}
        [[ $key != "$1" ]] || return 0
    done <"$OUT"
    echo "there is no line $1" >&2
    cat "$OUT" >&2
    return 1
}

# expect_said KEY LEAST MOST: its number is one from LEAST to MOST; times are
# tenths of a microsecond.
expect_said() {
    local value
    said "$1"
    ((value >= $2 && value <= $3)) && return
    echo "$1 is $value, and not from $2 to $3" >&2
    return 1
}

# keys: the first word of each line, but for the bars.
keys() {
    sed -E '/^ /d; s/ .*//' "$OUT" | paste -sd ' '
}

rows="p50 p90 p99 p99.9 max"

@test "26-load-generator prints what it has measured, a line each" {
    local value replies bars before=0 row
    loaded "" honest -c 3 -s 10 -d 0.1
    expect_result 0 ""
    expect_equal lines "clients replies errors rate $rows load" "$(keys)"
    shopt -s extglob
    cp "$OUT" "$BATS_TEST_TMPDIR/got.out"
    mapfile -t bars < <(grep '^ ' "$OUT")
    ((${#bars[@]} > 0))
    expect_lines got "clients    3" "replies    $number" "errors     0" \
        "rate       $number a second" "p50        $number us" \
        "p90        $number us" "p99        $number us" "p99.9      $number us" \
        "max        $number us" "load       $number us a reply" \
        "${bars[@]/*/ * us * [0-9]*}"
    for row in $rows; do
        said "$row"
        ((value >= before && value > 0))
        before=$value
    done
    said replies
    expect_equal "all that the bars show" "$value" \
        "$(awk '/^ / { sum += $NF } END { print sum }' "$OUT")"
    # It took no less than a tenth of a second, and the warm-up is not in it.
    replies=$value
    said rate
    ((replies > 0 && value <= replies * 10 && took >= 12))
}

@test "26-load-generator sends from 1 byte to 4 MiB, and has them back in pieces" {
    local size
    for size in 1 16384 4194304; do
        loaded "" honest -c 2 -s "$size" -d 0.02
        expect_result 0 ""
        expect_said errors 0 0
        expect_said replies 2 1000000
        stop_all
    done
    loaded "" dribble -c 2 -s 300 -d 0.02
    expect_result 0 ""
    expect_said errors 0 0
}

# Due are 20 in the warm-up, and 100 in the run, of 100 bytes each.
steady=(-c 2 -s 100 -r 500 -d 0.2)

@test "26-load-generator compares each byte, and counts errors apart" {
    local face reason
    local odd="these bytes were not sent"
    while read -r face reason; do
        loaded "-k 4000" "$face" "${steady[@]}"
        expect_result 1 "26-load-generator: recv: $reason"
        expect_said errors 1 1
        # The other client goes on. Who gets a byte too many has its reply first.
        expect_said replies 99 100
        stop_all
    done <<END
flip $odd
more $odd
close closed by the server
reset Connection reset by peer
END
    # Two that are on their way are different.
    loaded "-k 10" swap -c 2 -s 100 -d 0.1
    expect_result 1 "26-load-generator: recv: $odd"
    stop_all
    # In the warm-up: then nothing is measured.
    loaded "-k 1000" flip "${steady[@]}"
    expect_result 1 "26-load-generator: recv: $odd"
    expect_equal lines "clients" "$(keys)"
}

@test "26-load-generator tells at once of a server that goes away" {
    loaded "-k 4000" quit -c 3 -s 100 -r 500 -d 0.2
    expect_equal status 1 "$status"
    [[ $errors == "26-load-generator: "*": "* && $errors != *$'\n'* ]]
    expect_said errors 3 3
    expect_said replies 1 99
    stop_all
    loaded "-k 100" quit -c 3 -s 100 -d 3600
    expect_equal status 1 "$status"
    expect_equal lines "clients" "$(keys)"
}

@test "26-load-generator -r sends at that rate, replies or not" {
    loaded "" honest -c 2 -r 300 -d 0.2
    expect_result 0 ""
    expect_said replies 60 60
    expect_said rate 1 300
    expect_equal lines \
        "clients replies errors rate $rows ${rows//[pm]/sent-&} load" \
        "$(keys)"
    ((took >= 23))
}

# paused: for a fifth of a second, when 100 of 200 requests are due.
paused() {
    loaded "-k 5000" pause -c 2 -s 50 -r 400 -d 0.5
    expect_result 0 ""
    expect_said replies 200 200
    said sent-p90
    took=$((value / 100)) # in hundredths of a millisecond
}

@test "26-load-generator -r counts from when a request was due" {
    # Due while it pauses are 80, each 2.5 ms after the one before: of 200 that
    # is the 20th and the 60th. Sent are only two, one a client.
    measured 0 1000 paused
    expect_said p90 1450000 100000000
    expect_said p50 1 100000000
    expect_said max 1950000 100000000
    expect_said sent-max 1950000 100000000
}

@test "26-load-generator's server stands still also where tmux started it" {
    skip_unless python3
    local command here=$BATS_TEST_TMPDIR
    command=$(grep -m 1 '^\$ .*26.pid; exec' lessons/26-load-generator/README.md)
    command=${command#\$ }
    command=${command/build\/26.pid/"$here/pid"}
    command=${command/build\/25/"$BUILD/25"}
    # A parent that makes its child go on when it has been stopped, as tmux does.
    start_server parent python3 -c '
import os, signal, subprocess, sys
child = subprocess.Popen(["bash", "-c", sys.argv[1]]).pid
status = os.waitpid(child, os.WUNTRACED)[1]
while os.WIFSTOPPED(status):
    os.kill(child, signal.SIGCONT)
    status = os.waitpid(child, os.WUNTRACED)[1]
' "${command/8080/0}"
    try "$BUILD/peers/freeze" "$(<"$here/pid")" 400 500 "$program" -c 3 \
        -r 1000 -d 1 127.0.0.1 "$PORT"
    expect_equal "status" 0 "$status"
    expect_said p99 3000000 6000000
    kill "$(<"$here/pid")"
    finish parent
    expect_equal "status of the parent" 0 "$ended"
}

@test "26-load-generator counts in a closed loop what it sent itself" {
    # The same server, the same pause; and nobody has noticed.
    loaded "-k 400" pause -c 2 -s 1 -d 0.4
    expect_result 0 ""
    said replies
    ((value < 400)) || expect_said p90 1 500000
}

@test "26-load-generator -p tells what a reply costs the server" {
    local pid
    start_server peer "$BUILD/peers/echo" honest
    try "$program" -d 0.1 -p "$(pid_of peer)" 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_equal lines "clients replies errors rate $rows load server" "$(keys)"
    expect_said server 20 10000000 # 0.20 us; it has two decimals
    expect_said load 20 10000000
    # What was before is not in it: neither has more than the time that passed.
    try "$program" -c 1 -r 1000 -d 0.01 -p "$(pid_of peer)" 127.0.0.1 "$PORT"
    expect_said replies 10 10
    expect_said load 20 $((100 * 10000))
    said rate
    expect_said server 20 $((100 * 10 * 1000000 / value / 10))
    bash -c : &
    pid=$!
    wait "$pid"
    try "$program" -p "$pid" 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: there is no process $pid"
}

# expect_no_reply ERRORS: it prints what it has counted, and nothing else.
expect_no_reply() {
    expect_output --text "clients    1\nreplies    0\nerrors     $1\n"
}

@test "26-load-generator says that no reply came, and prints no times" {
    # In a fiftieth of a second, no request is due.
    loaded "" honest -c 1 -r 1 -d 0.02
    expect_result 1 "26-load-generator: no reply came: no request was due in so \
short a time"
    expect_no_reply 0
    stop_all
    # The first byte and the warm-up are 101 bytes. Then the server closes.
    loaded "-k 101" close -c 1 -s 100 -r 10 -d 0.5
    expect_result 1 "26-load-generator: recv: closed by the server
26-load-generator: no reply came"
    expect_no_reply 1
}

# expect_given_up NAME CLIENTS PATTERN: that load ends with status 1, and prints
# no numbers. On standard error is one line, which matches PATTERN.
expect_given_up() {
    finish "$1"
    expect_equal "status of $1" 1 "$ended"
    expect_lines "$1" "clients    $2"
    # shellcheck disable=SC2053 # it is a pattern
    [[ $(<"$BATS_TEST_TMPDIR/$1.err") == $3 ]] ||
        fail "$1 says something else" --show "$(<"$BATS_TEST_TMPDIR/$1.err")"
}

@test "26-load-generator says why it gives up: no replies, or too high a rate" {
    local silent="26-load-generator: no reply within 2 seconds for"
    # Each load waits for some seconds, so all of them wait at the same time.
    start_server peer "$BUILD/peers/echo" honest
    start fast "$program" -c 1 -r 4194304 -d 1 127.0.0.1 "$PORT"
    start_server silent "$BUILD/peers/echo" -k 2 mute
    start closed "$program" -c 2 -s 100 -d 0.1 127.0.0.1 "$PORT"
    start_server other "$BUILD/peers/echo" -k 2 mute
    start open "$program" -c 2 -s 100 -r 100 -d 0.1 127.0.0.1 "$PORT"
    start_server brief "$BUILD/peers/echo" -k 2 mute
    start short "$program" -c 2 -s 100 -d 0.001 127.0.0.1 "$PORT"
    # Its replies would take 20 seconds each, and each moment brings a part.
    start_server slow "$BUILD/peers/echo" -k 2 trickle
    start parts "$program" -c 2 -s 2000 -d 0.1 127.0.0.1 "$PORT"
    expect_given_up closed 2 "$silent 2 of 2 clients"
    expect_given_up short 2 "$silent 2 of 2 clients"
    expect_given_up open 2 "$silent 2 of 2 clients"
    expect_given_up parts 2 "$silent 2 of 2 clients"
    # In the warm-up, a request is due each 238 nanoseconds.
    expect_given_up fast 1 "26-load-generator: replies come, but too slowly: \
[1-9]* of 840336 are missing"
}

# By its clock, which is fast, all replies come too late, as if it had been stopped
# itself.
@test "26-load-generator gives up no closed loop whose replies have come" {
    need_faults
    start_server peer "$BUILD/peers/echo" honest
    try "${faulty[@]}" FAULT_FAST=100 "$program" -c 2 -d 0.1 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_said errors 0 0
}

@test "26-load-generator comes from eight addresses, and raises its limit" {
    local i
    start_server peer "$BUILD/peers/echo" honest
    # Descriptors: 0 to 2, epoll and the timer; 11 clients.
    try bash -c 'ulimit -Sn 10 && exec "$@"' - \
        "$program" -c 11 -d 0.02 127.0.0.1 "$PORT"
    expect_result 0 ""
    for ((i = 0; i < 11; i++)); do
        echo "127.0.0.$((i % 8 + 1)) connected"
    done >"$BATS_TEST_TMPDIR/connected"
    tail -n +2 "$BATS_TEST_TMPDIR/peer.out" | cmp - "$BATS_TEST_TMPDIR/connected"
    try bash -c 'ulimit -n 10 && exec "$@"' - \
        "$program" -c 11 -d 0.02 127.0.0.1 "$PORT"
    expect_result 1 \
        "26-load-generator: socket 127.0.0.1 port $PORT: Too many open files"
}

@test "26-load-generator has a descriptor for each client, close-on-exec" {
    start_server peer "$BUILD/peers/echo" honest
    start load "$program" -c 5 -r 1 -d 30 127.0.0.1 "$PORT"
    wait_for load 'clients *'
    # Sockets, epoll and timer.
    until_true all_cloexec "$(pid_of load)" 7 "@(socket|anon_inode):*"
}

@test "26-load-generator says who refused it, and tries all addresses of a name" {
    local named
    start nobody "$BUILD/peers/rude" refuse
    wait_for nobody '* on *'
    port_of nobody
    try "$program" 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: connect 127.0.0.1 port $PORT: \
Connection refused"
    need_faults
    named=("${faulty[@]/faults/names}" NAMES=host=::1+127.0.0.1)
    start_server peer "$BUILD/peers/echo" honest
    try "${named[@]}" NAMES_LOG="$BATS_TEST_TMPDIR/log" "$program" -d 0.02 host \
        "$PORT"
    expect_result 0 ""
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
    try "${named[@]}" "$program" nobody "$PORT"
    expect_result 1 "26-load-generator: nobody port $PORT: Name or service not \
known"
    # One who takes us, and says something else.
    start_server other "$BUILD/peers/rude" serve whole
    try "$program" 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: recv first byte 127.0.0.1 port $PORT: \
this byte was not sent, so this is no echo server"
    # One who takes us, and hangs up.
    start_server other "$BUILD/peers/echo" -k 1 close
    try "$program" 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: recv first byte 127.0.0.1 port $PORT: \
closed by the server"
}

@test "26-load-generator names the call that failed, and why" {
    local at call name
    need_faults
    start_server peer "$BUILD/peers/echo" honest
    while read -r at call name; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_AT="$at" FAULT_ERRNO=5 \
            "$program" -c 2 -d 0.02 127.0.0.1 "$PORT"
        expect_result 1 "26-load-generator: ${name/ PORT/ 127.0.0.1 port $PORT}: \
Input/output error"
    done <<'END'
1 fcntl standard output
2 fcntl standard output
1 epoll_create1 epoll_create1 PORT
2 socket socket PORT
1 bind bind PORT
1 setsockopt setsockopt IP_BIND_ADDRESS_NO_PORT PORT
1 connect connect PORT
2 setsockopt setsockopt TCP_NODELAY PORT
1 send send first byte PORT
2 recv recv first byte PORT
1 epoll_ctl epoll_ctl PORT
1 timerfd_create timerfd_create
3 epoll_ctl epoll_ctl
2 timerfd_settime timerfd_settime
3 epoll_wait epoll_wait
3 send send
5 recv recv
END
}

@test "26-load-generator lives through signals, and pieces of all sizes" {
    local fault
    need_faults
    start_server peer "$BUILD/peers/echo" honest
    # EINTR; EAGAIN.
    for fault in "FAULT_CALL=send FAULT_AT=5 FAULT_TIMES=3 FAULT_ERRNO=4" \
        "FAULT_CALL=send FAULT_AT=5 FAULT_TIMES=3 FAULT_ERRNO=11" \
        "FAULT_CALL=recv FAULT_AT=5 FAULT_TIMES=3 FAULT_ERRNO=4" \
        "FAULT_CALL=recv FAULT_AT=5 FAULT_TIMES=3 FAULT_ERRNO=11" \
        "FAULT_CALL=epoll_wait FAULT_TIMES=3 FAULT_ERRNO=4" \
        "FAULT_CALL=read FAULT_TIMES=3 FAULT_ERRNO=11" \
        "FAULT_SHORT=1" "FAULT_SIGNALS=500" "FAULT_CLOCK=60"; do
        # shellcheck disable=SC2086 # names and values
        try "${faulty[@]}" $fault "$program" -c 2 -s 40 -r 500 -d 0.05 \
            127.0.0.1 "$PORT"
        expect_equal "$fault" "" "$errors"
        expect_equal "$fault" 0 "$status"
        expect_said replies 25 25
        expect_said max 1 300000000 # half a minute: not the time of day's
    done
}

@test "26-load-generator says so when standard output is full, gone or closed" {
    local lost="26-load-generator: standard output"
    start_server peer "$BUILD/peers/echo" honest
    # That is seen before an hour is spent.
    run -1 --separate-stderr bounded bash -c '"$@" >/dev/full' - \
        "$program" -d 3600 127.0.0.1 "$PORT"
    expect_equal "full" "$lost: No space left on device" "$stderr"
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "$program" -d 0.02 127.0.0.1 "$PORT"
    expect_equal "gone" "$lost: Broken pipe" "$stderr"
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    head -n 1 "$BATS_TEST_TMPDIR/fifo" >"$BATS_TEST_TMPDIR/first" 3>&- &
    # shellcheck disable=SC2016 # they are the inner shell's
    run -1 --separate-stderr bash -c '"$@" >"$0"' "$BATS_TEST_TMPDIR/fifo" \
        "$program" -d 0.2 127.0.0.1 "$PORT"
    wait $!
    expect_equal "gone after a line" "$lost: Broken pipe" "$stderr"
    run -1 --separate-stderr bash -c '"$@" >&-' - "$program" 127.0.0.1 "$PORT"
    expect_equal "closed" "$lost: Bad file descriptor" "$stderr"
    run -1 bash -c '"$@" 2>&-' - "$program" 127.0.0.1 "$PORT"
}

@test "26-load-generator takes numbers up to four million, and seconds of a day" {
    local option bad i
    for option in -c -s -r -p; do
        for bad in 0 4194305 -1 1x x '' ' 1' +1 99999999999999999999; do
            try "$program" "$option" "$bad" 127.0.0.1 80
            expect_result 1 \
                "26-load-generator: $bad is not a number from 1 to 4194304"
        done
    done
    for bad in 0 86401 x ''; do
        try "$program" -d "$bad" 127.0.0.1 80
        expect_result 1 \
            "26-load-generator: $bad is not a number of seconds above 0, up to a day"
    done
    for i in {1..10}; do # a busy machine may be too slow for so many
        loaded "" honest -r 4194304 -c 1 -d 0.001
        ((status != 0)) || break
    done
    expect_result 0 ""
    expect_said replies 4201 4201
    for bad in 65536 x; do
        try "$program" 127.0.0.1 "$bad"
        expect_result 1 "26-load-generator: $bad is not a port: 1 to 65535"
    done
}

@test "26-load-generator explains itself when asked, and when called wrongly" {
    local usage="usage: 26-load-generator [-c CLIENTS] [-s BYTES] [-d SECONDS] \
[-r RATE]
                         [-p PID] [-C CAFILE] [-u PATH] HOST PORT"
    local -a wrong
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" 127.0.0.1 "127.0.0.1 80 more" "-x 127.0.0.1 80" \
        "127.0.0.1 80 -c 1" "-c" "-u" "-u / -s 64 127.0.0.1 80"; do
        read -ra wrong <<<"$arguments"
        try "$program" "${wrong[@]}"
        expect_equal status 2 "$status"
        [[ $errors == *"$usage" ]]
        expect_output --text ''
    done
}

# need_tls: skips the test where there is none. Sets tls to the options for it.
need_tls() {
    [[ -e build/certs/table && -x $BUILD/27-tls-event-loop ]] ||
        skip "OpenSSL 3 is not installed"
    tls=(-C build/certs/root.pem)
}

# serve_tls: lesson 27's server.
serve_tls() {
    start_server peer "$BUILD/27-tls-event-loop" 0 build/certs/good.pem \
        build/certs/good.key
}

@test "26-load-generator measures over TLS what it measures without" {
    local -a tls
    need_tls
    serve_tls
    for bytes in 1 64 16384 300000; do
        try "$program" "${tls[@]}" -c 5 -s "$bytes" -d 0.1 -p "$(pid_of peer)" \
            127.0.0.1 "$PORT"
        expect_result 0 ""
        expect_equal lines "clients replies errors rate $rows load server" "$(keys)"
        expect_said errors 0 0
    done
    try "$program" "${tls[@]}" -c 5 -r 200 -d 0.1 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_said replies 20 20
    # Each client has said that it sends no more.
    expect_equal "what the server said" "" "$(<"$BATS_TEST_TMPDIR/peer.err")"
}

@test "26-load-generator believes only a server with a good certificate, over TLS" {
    local certificate
    local -a tls
    need_tls
    for certificate in self-signed wrong-address; do
        start_server peer "$BUILD/peers/rude-tls" -c 2 honest \
            "build/certs/$certificate.pem" "build/certs/$certificate.key"
        try "$program" "${tls[@]}" -d 0.1 127.0.0.1 "$PORT"
        expect_equal status 1 "$status"
        [[ $errors == "26-load-generator: handshake 127.0.0.1 port $PORT: not believed: "* ]]
        expect_output --text ''
        stop peer
    done
    start_server peer "$BUILD/peers/echo" honest
    SECONDS_ALLOWED=10 try "$program" "${tls[@]}" -d 0.1 127.0.0.1 "$PORT"
    [[ $errors == "26-load-generator: handshake 127.0.0.1 port $PORT: "?* ]]
    try "$program" -C build/certs/none.pem 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: TLS with build/certs/none.pem: No such \
file or directory"
}

# A record that cannot be decrypted is a fatal error: after one SSL_shutdown(3)
# must not be called.
@test "26-load-generator does not shut down TLS after an error" {
    local -a tls
    need_tls
    echo 'extern int puts(const char *);
int SSL_shutdown(void *ssl) { (void)ssl; return -puts("shut down"); }' |
        cc -shared -fPIC -o "$BATS_TEST_TMPDIR/shutdown.so" -x c -
    start_server peer "$BUILD/peers/rude-tls" -n 1 spoilt \
        build/certs/good.pem build/certs/good.key
    try env LD_PRELOAD="$BATS_TEST_TMPDIR/shutdown.so" "$program" "${tls[@]}" \
        -c 1 -d 1 127.0.0.1 "$PORT"
    expect_status 1
    run ! grep 'shut down' "$OUT"
}

@test "26-load-generator counts a client that the server leaves, over TLS" {
    local -a tls
    need_tls
    serve_tls
    start load "$program" "${tls[@]}" -c 3 -d 20 127.0.0.1 "$PORT"
    wait_for load 'clients *'
    stop peer
    finish load
    expect_equal status 1 "$ended"
    [[ $(<"$BATS_TEST_TMPDIR/load.err") == "26-load-generator: "* ]]
}

@test "26-load-generator is built without OpenSSL too, and says so for -C" {
    # shellcheck disable=SC2086 # several words
    ${CC:-cc} -std=c17 -O0 -DWITHOUT_OPENSSL -Icommon -o "$BATS_TEST_TMPDIR/without" \
        lessons/26-load-generator/{load-generator,crowd,histogram,response,secure}.c \
        common/{addr,deadline,number}.c
    try "$BATS_TEST_TMPDIR/without" -C build/certs/root.pem 127.0.0.1 1
    expect_result 1 "without: TLS with build/certs/root.pem: this program was \
built without OpenSSL 3"
    start_server peer "$BUILD/peers/echo" honest
    try "$BATS_TEST_TMPDIR/without" -c 2 -d 0.1 127.0.0.1 "$PORT"
    expect_result 0 ""
}

# asked OPTIONS FACE ARGUMENT...: measures a web server with that face.
asked() {
    local -a options
    read -ra options <<<"$1"
    start_server peer "$BUILD/peers/rude-http" "${options[@]}" serve "$2"
    try "$program" -c 1 -u / "${@:3}" 127.0.0.1 "$PORT"
}

@test "26-load-generator -u measures a web server, in a closed and an open loop" {
    asked -m good -d 0.1 -p "$$"
    expect_result 0 ""
    expect_equal lines "clients replies errors rate $rows load server" "$(keys)"
    expect_said replies 2 1000000
    expect_said errors 0 0
    stop_all
    # One in the warm-up, and five in the run.
    for face in good length-0 lf-only no-content fields-199 version-1.0; do
        asked -m "$face" -r 50 -d 0.1
        expect_result 0 ""
        expect_said replies 5 5
        stop_all
    done
    # It comes in pieces of a byte, of which each takes a millisecond.
    asked -m dribble -r 5 -d 1
    expect_result 0 ""
    expect_said replies 5 5
    expect_said p50 $((40 * 10000)) $((10000 * 10000))
}

# The first request finds out whether all is well. Of the others, ten are in the
# warm-up, and 50 in the run.
@test "26-load-generator -u counts a reply only when it is whole and of success" {
    local face reason
    while read -r face reason; do
        asked "-k 31" "$face" -r 500 -d 0.1
        expect_result 1 "26-load-generator: recv: $reason"
        expect_said errors 1 1
        expect_said replies 20 20
        stop_all
    done <<'END'
nothing closed by the server
reset-at-once Connection reset by peer
cut-in-status closed by the server
cut-before-empty-line closed by the server
cut-body closed by the server
cut-body-close closed by the server
cut-empty-body closed by the server
reset-body Connection reset by peer
no-http this is not HTTP/1
http-2 this is not HTTP/1
status-2x0 this is not HTTP/1
continue a status below 200
no-colon a line in the head that is not a field
nul-in-value a NUL in the head
head-too-long a head of more than 8192 bytes
endless-line a head of more than 8192 bytes
two-lengths two fields Content-Length
length-2-64 a Content-Length that is not a number
until-end no Content-Length
chunks a body in chunks, which we do not read
more-than-length more bytes than Content-Length says
second-reply more bytes than Content-Length says
END
    # The server closes behind a good reply, and has said so, as all of HTTP/1.0 do.
    asked "-k 1" version-1.0 -d 0.1
    expect_result 1 "26-load-generator: recv: the server closes the connection \
after each reply"
    stop_all
    # The server closes behind a good reply. Only the next one is an error.
    asked "-k 31" good -r 500 -d 0.1
    expect_result 1 "26-load-generator: recv: closed by the server"
    expect_said errors 1 1
    expect_said replies 21 21
}

@test "26-load-generator -u goes on after another status, and counts it apart" {
    asked "-k 31 -m" not-found -r 500 -d 0.1
    expect_result 1 "26-load-generator: status 404"
    expect_said replies 20 20
    expect_said errors 30 30
    stop_all
    # In the warm-up: then nothing is measured.
    asked "-k 2 -m" not-found -r 500 -d 0.1
    expect_result 1 "26-load-generator: status 404"
    expect_equal lines "clients" "$(keys)"
}

@test "26-load-generator -u says what is wrong with the first reply" {
    local face reason
    while read -r face reason; do
        asked "" "$face" -d 3600
        expect_result 1 \
            "26-load-generator: recv first reply 127.0.0.1 port $PORT: $reason"
        expect_output --text ''
        stop_all
    done <<'END'
nothing closed by the server
cut-body closed by the server
cut-body-close closed by the server
not-found status 404
no-http this is not HTTP/1
chunks a body in chunks, which we do not read
END
    asked "" stall-body -d 3600
    expect_result 1 "26-load-generator: recv first reply 127.0.0.1 port $PORT: \
Connection timed out"
    stop_all
    # It closes after each reply.
    asked "" good -d 3600
    expect_equal status 1 "$status"
    [[ $errors == "26-load-generator: "@(recv|send)": "* ]]
    expect_equal lines "clients" "$(keys)"
}

@test "26-load-generator -u names the call that failed, and lives through signals" {
    local at call name fault
    need_faults
    start_server peer "$BUILD/peers/rude-http" -m serve good
    while read -r at call name; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_AT="$at" FAULT_ERRNO=5 \
            "$program" -u / -c 1 -d 0.02 127.0.0.1 "$PORT"
        expect_result 1 "26-load-generator: ${name/ PORT/ 127.0.0.1 port $PORT}: \
Input/output error"
    done <<'END'
1 send send first request PORT
1 recv recv first reply PORT
3 send send
3 recv recv
END
    for fault in "FAULT_CALL=send FAULT_AT=3 FAULT_TIMES=3 FAULT_ERRNO=4" \
        "FAULT_CALL=send FAULT_AT=3 FAULT_TIMES=3 FAULT_ERRNO=11" \
        "FAULT_CALL=recv FAULT_AT=3 FAULT_TIMES=3 FAULT_ERRNO=4" \
        "FAULT_SHORT=1"; do
        # shellcheck disable=SC2086 # names and values
        try "${faulty[@]}" $fault "$program" -u / -c 1 -r 100 -d 0.1 \
            127.0.0.1 "$PORT"
        expect_result 0 ""
        expect_said replies 10 10
    done
}

@test "26-load-generator -u sends a path, and the host with its port" {
    local path
    for path in '' a 'x/' '/a b' $'/a\r\nX: y' $'/\t' '/ä'; do
        try "$program" -u "$path" 127.0.0.1 80
        expect_result 1 \
            "26-load-generator: $path is not a path such as /index.html"
    done
    path=/$(printf '%05000d' 0)
    try "$program" -u "$path" 127.0.0.1 80
    expect_result 1 "26-load-generator: the request is longer than 4095 bytes"
    [[ -x $BUILD/peers/pages ]] || skip "OpenSSL 3 is not installed"
    start_server peer "$BUILD/peers/pages" 0
    try "$program" -u '/bytes?9' -c 1 -r 10 -d 0.1 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_lines peer "listening on 127.0.0.1:$PORT" connected \
        'GET /bytes?9 HTTP/1.1' "Host: 127.0.0.1:$PORT" \
        'GET /bytes?9 HTTP/1.1' "Host: 127.0.0.1:$PORT"
    stop_all
    # A host with colons, which is an address of IPv6, stands in brackets.
    need_faults
    start_server other "$BUILD/peers/pages" 0
    try "${faulty[@]/faults/names}" NAMES=a::b=127.0.0.1 "$program" -u /hello \
        -c 1 -r 10 -d 0.1 a::b "$PORT"
    expect_result 0 ""
    expect_lines other "listening on 127.0.0.1:$PORT" connected \
        'GET /hello HTTP/1.1' "Host: \[a::b\]:$PORT" \
        'GET /hello HTTP/1.1' "Host: \[a::b\]:$PORT"
}

# serve_files OPTION...: lesson 32's server, with a short and a long file.
serve_files() {
    [[ -x $BUILD/32-http-server ]] || skip "OpenSSL 3 is not installed"
    mkdir "$BATS_TEST_TMPDIR/files"
    echo hello >"$BATS_TEST_TMPDIR/files/short"
    head -c 3000000 /dev/zero >"$BATS_TEST_TMPDIR/files/long"
    start_server peer "$BUILD/32-http-server" "$@" "$BATS_TEST_TMPDIR/files" 0
}

@test "26-load-generator -u measures lesson 32's server, and over TLS" {
    local path
    serve_files
    for path in /short /long; do
        try "$program" -u "$path" -c 20 -d 0.1 -p "$(pid_of peer)" 127.0.0.1 "$PORT"
        expect_result 0 ""
        expect_equal lines "clients replies errors rate $rows load server" "$(keys)"
        expect_said errors 0 0
    done
    try "$program" -u /none -c 20 -d 0.1 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: recv first reply 127.0.0.1 port $PORT: \
status 404"
    stop_all
    rm -r "$BATS_TEST_TMPDIR/files"
    serve_files -s build/certs/good.pem build/certs/good.key
    for path in /short /long; do
        try "$program" -C build/certs/root.pem -u "$path" -c 5 -d 0.2 127.0.0.1 \
            "$PORT"
        expect_result 0 ""
        expect_said errors 0 0
    done
    try "$program" -C build/certs/root.pem -u /none -c 5 -d 0.1 127.0.0.1 "$PORT"
    expect_result 1 "26-load-generator: status 404"
}

# OpenSSL reads all three from the socket at once, and epoll reports none of them
# again.
@test "26-load-generator -u takes a reply in three records of TLS" {
    need_tls
    skip_unless python3
    start_server peer python3 -c '
import socket, ssl, threading

def serve(client):
    with context.wrap_socket(client, server_side=True) as client:
        while client.recv(4096):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
            client.send(b"abc")
            client.send(b"def")
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("build/certs/good.pem", "build/certs/good.key")
listener = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=[client], daemon=True).start()'
    try "$program" -C build/certs/root.pem -u / -c 2 -d 0.1 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_said errors 0 0
}

@test "26-load-generator's twin in Python measures an open loop" {
    skip_unless python3
    start_server peer "$BUILD/peers/echo" honest
    try python3 lessons/26-load-generator/twin.py -c 2 -r 50 -d 0.1 127.0.0.1 \
        "$PORT"
    expect_result 0 ""
    expect_said p99 1 100000000
}
