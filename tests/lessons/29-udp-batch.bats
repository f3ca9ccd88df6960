#!/usr/bin/env bats
# 29-udp-batch serve [-m MODE] [-r BYTES] PORT and 29-udp-batch send [-b BYTES]
# [-d SECONDS] [-m MODE] [-n PACKETS] HOST PORT: many packets in one call.
#
# Its twin prints less: nothing of how fast it was.
# shellcheck disable=SC2153,SC2154 # the library

load ../lib/common
load ../lib/clock

program=$BUILD/29-udp-batch
usage="usage: 29-udp-batch serve [-m MODE] [-r BYTES] PORT
       29-udp-batch send [-b BYTES] [-d SECONDS] [-m MODE] [-n PACKETS]
                         HOST PORT"

# need_segments: this kernel knows UDP_SEGMENT and UDP_GRO.
need_segments() {
    local said
    said=$("$BUILD/peers/numbered" -m SEGMENT 9 1-2 2>&1 3>&-) || true
    [[ $said != *UDP_SEGMENT* ]] || skip "this kernel has no UDP_SEGMENT"
}

# said FILE NAME: prints the number behind the last such name in that report.
said() {
    awk -v name="$2" '$1 == name { said = $2 } END { print said }' "$1"
}

# reports COUNT: the server has printed so many reports.
reports() {
    (($(grep -c '^calls ' "$BATS_TEST_TMPDIR/server.out") == $1))
}

# came NAME: what the server's last report says under that name.
came() {
    said "$BATS_TEST_TMPDIR/server.out" "$1"
}

# pause_server, continue_server: stop it, and let it go on. When pause_server is
# over, it stands still.
pause_server() {
    paused=$(pid_of server)
    kill -STOP "$paused"
    until_true is_stopped "$paused"
}

continue_server() {
    kill -CONT "$paused"
}

# buffered: prints what the kernel says of the server's socket: the bytes that
# wait, and how many messages it has dropped.
buffered() {
    "$BUILD/peers/sockets" -u "$PORT" | awk 'NR == 2 { print $1, $2 }'
}

@test "29-udp-batch sends 64 packets by 64 calls or one, and each server gets them all" {
    local server client lines
    need_segments
    for server in ONE MANY SEGMENT; do
        start_server server "$program" serve -m "$server" 0
        for client in ONE MANY SEGMENT; do
            try "$program" send -m "$client" -n 64 127.0.0.1 "$PORT"
            expect_result 0 ""
            expect_equal "lines of the client" "packets calls rate cost " \
                "$(awk '{ printf "%s ", $1 }' "$OUT")"
            expect_equal packets 64 "$(said "$OUT" packets)"
            expect_equal "calls of $client" "$([[ $client != ONE ]] || echo 64)" \
                "$(said "$OUT" calls | grep -vx 1 || true)"
            until_true reports 1
            expect_equal "packets that came, by $client, to $server" 64 \
                "$(came packets)"
            expect_equal lost 0 "$(came lost)"
            expect_equal dropped 0 "$(came dropped)"
            case $server-$client in
            ONE-*) expect_equal "calls of the server" 64 "$(came calls)" ;;
            SEGMENT-SEGMENT)
                expect_equal "calls of the server" 1 "$(came calls)"
                ;;
            *) (($(came calls) >= 1 && $(came calls) <= 64)) ;;
            esac
            # With one call, there is no time between the first and the last.
            lines="packets lost dropped calls "
            (($(came calls) == 1)) || lines+="rate cost "
            expect_equal "lines of the server" "$lines" \
                "$(awk 'NR > 1 { printf "%s ", $1 }' \
                    "$BATS_TEST_TMPDIR/server.out")"
            stop server
            expect_equal status 0 "$ended"
            start_server server "$program" serve -m "$server" 0
        done
        stop server
    done
}

@test "29-udp-batch send numbers its packets from 0, and the last one says how many" {
    local mode bytes
    skip_unless python3
    need_segments
    cat >"$BATS_TEST_TMPDIR/receiver.py" <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
s.settimeout(10)
print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
for expected in range(70):
    packet = s.recv(70000)
    number = int.from_bytes(packet[:4], "big")
    if number != expected or any(packet[4:]):
        raise SystemExit(f"{number}, {packet[4:]} instead of {expected}")
    size = len(packet)
last = s.recv(70000)
print(size, int.from_bytes(last[:4], "big"), last[4], len(last), flush=True)
END
    for mode in ONE MANY SEGMENT; do
        for bytes in 5 64 1400; do
            start_server receiver python3 "$BATS_TEST_TMPDIR/receiver.py"
            try "$program" send -m "$mode" -b "$bytes" -n 70 127.0.0.1 "$PORT"
            expect_result 0 ""
            finish receiver
            expect_lines receiver "listening on *" "$bytes 70 1 $bytes"
        done
    done
}

@test "29-udp-batch send makes 1000 calls for 1000 packets, or 16" {
    local mode calls
    need_segments
    start_server server "$program" serve 0
    for mode in ONE MANY SEGMENT; do
        try "$program" send -m "$mode" -n 1000 127.0.0.1 "$PORT"
        expect_result 0 ""
        calls=16
        [[ $mode != ONE ]] || calls=1000
        expect_equal "calls of $mode" "$calls" "$(said "$OUT" calls)"
    done
    # No more than 65,507 bytes go into one message: 46 packets of 1400.
    try "$program" send -m SEGMENT -b 1400 -n 1000 127.0.0.1 "$PORT"
    expect_equal "calls for large packets" 22 "$(said "$OUT" calls)"
    try "$program" send -m SEGMENT -b 65507 -n 3 127.0.0.1 "$PORT"
    expect_equal "calls for the largest" 3 "$(said "$OUT" calls)"
}

@test "29-udp-batch serve makes one call for all messages that wait" {
    need_segments
    start_server server "$program" serve -m MANY 0
    pause_server
    "$program" send -n 50 127.0.0.1 "$PORT" >/dev/null
    continue_server
    until_true reports 1
    expect_equal packets 50 "$(came packets)"
    expect_equal calls 1 "$(came calls)"
}

@test "29-udp-batch send sends for as long as -d says" {
    start_server server "$program" serve 0
    timed "$program" send -m MANY -d 0.3 127.0.0.1 "$PORT"
    expect_result 0 ""
    # And a tenth of a second before the last packet.
    ((took >= 39))
    (($(said "$OUT" packets) > 64))
    expect_equal "packets are whole calls" 0 $(($(said "$OUT" packets) % 64))
}

@test "29-udp-batch serve counts what is lost, and the kernel says the same" {
    need_segments
    freeze_server ONE
    (($(came lost) > 0))
    expect_equal dropped "$(came lost)" "$(came dropped)"
    # The kernel counts messages.
    freeze_server SEGMENT
    (($(came dropped) > 0))
    expect_equal lost $((64 * $(came dropped))) "$(came lost)"
}

@test "29-udp-batch serve reports each of two clients whose packets one call receives" {
    local mode
    need_segments
    for mode in MANY SEGMENT; do
        start_server server "$program" serve -m "$mode" 0
        pause_server
        "$program" send -n 50 127.0.0.1 "$PORT" >/dev/null
        "$program" send -n 30 127.0.0.1 "$PORT" >/dev/null
        continue_server
        until_true reports 2
        expect_equal "packets in the mode $mode" "50 30" \
            "$(awk '$1 == "packets" { print $2 }' "$BATS_TEST_TMPDIR/server.out" | paste -sd ' ')"
        run ! grep -q 'lost  *[^ 0]' "$BATS_TEST_TMPDIR/server.out"
        stop_all
    done
}

# freeze_server MODE: sends to a server that is stopped in the middle. On a busy
# machine the last packet may be dropped, too; then it is done again.
freeze_server() {
    local sent
    for _ in 1 2 3 4 5; do
        stop_all
        start_server server "$program" serve -m "$1" 0
        SECONDS_ALLOWED=20 try "$BUILD/peers/freeze" "$(pid_of server)" 100 \
            200 "$program" send -m "$1" -d 1 127.0.0.1 "$PORT"
        expect_result 0 ""
        until_true reports 1
        sent=$(said "$OUT" packets)
        ((sent != $(came packets) + $(came lost))) || return 0
    done
    fail "$sent packets were sent" --show "$(<"$BATS_TEST_TMPDIR/server.out")"
}

@test "29-udp-batch serve reports after a second of silence, if the last packet is lost" {
    local waiting dropped
    start_server server "$program" serve 0
    pause_server
    try "$program" send -n 20000 127.0.0.1 "$PORT"
    expect_result 0 ""
    read -r waiting dropped < <(buffered)
    ((waiting > 0 && dropped > 0))
    continue_server
    until_true reports 1
    expect_equal "of the packets and the last one" 20001 \
        $(($(came packets) + dropped))
    # What came before the gap tells nothing of it.
    expect_equal lost 0 "$(came lost)"
    expect_equal dropped 0 "$(came dropped)"
    # And the next run is not blamed for it.
    try "$program" send -n 64 127.0.0.1 "$PORT"
    until_true reports 2
    expect_equal packets 64 "$(came packets)"
    expect_equal lost 0 "$(came lost)"
    expect_equal dropped 0 "$(came dropped)"
}

@test "29-udp-batch: 1000 packets fit into the usual buffer as 16 messages" {
    local waiting dropped room
    need_segments
    read -r room </proc/sys/net/core/rmem_default
    ((room >= 100000)) || skip "the usual receive buffer is too small here"
    start_server server "$program" serve -m SEGMENT 0
    pause_server
    try "$program" send -m SEGMENT -n 1000 127.0.0.1 "$PORT"
    expect_equal calls 16 "$(said "$OUT" calls)"
    read -r waiting dropped < <(buffered)
    expect_equal dropped 0 "$dropped"
    continue_server
    until_true reports 1
    expect_equal packets 1000 "$(came packets)"
    expect_equal lost 0 "$(came lost)"
    expect_equal calls 1 "$(came calls)"
}

# The text has 832 and 4928 bytes; another kernel may have others.
@test "29-udp-batch: a packet takes far more room alone than with 63 others" {
    local alone joined _
    need_segments
    start_server server "$program" serve -m SEGMENT 0
    pause_server
    "$BUILD/peers/numbered" "$PORT" 0
    read -r alone _ < <(buffered)
    "$BUILD/peers/numbered" -m SEGMENT "$PORT" 1-64
    read -r joined _ < <(buffered)
    joined=$((joined - alone))
    if [[ $(uname -m) == x86_64 && $(uname -r) == 6.18.* ]]; then
        expect_equal "bytes of a packet" 832 "$alone"
        expect_equal "bytes of 64 joined packets" 4928 "$joined"
    fi
    ((alone > 4 * 64 && joined < 64 * alone / 4))
}

@test "29-udp-batch serve -r sets the receive buffer" {
    local dropped _
    start_server server "$program" serve -r 1 0
    pause_server
    "$program" send -n 64 127.0.0.1 "$PORT" >/dev/null
    read -r _ dropped < <(buffered)
    ((dropped > 50))
    continue_server
    stop server
    # More than the kernel allows is no error.
    start_server server "$program" serve -r 1073741824 0
    pause_server
    "$program" send -n 64 127.0.0.1 "$PORT" >/dev/null
    read -r _ dropped < <(buffered)
    expect_equal dropped 0 "$dropped"
}

@test "29-udp-batch serve ignores what is not from its client" {
    local i
    skip_unless python3
    start_server server "$program" serve -m MANY 0
    for i in 0 1 2 3; do
        python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("127.0.0.1", int(sys.argv[1])))
# Too short; of no kind; an end without a beginning.
for packet in b"", b"abcd", b"abcd\x02more", b"\0\0\0\7\1":
    s.send(packet)' "$PORT"
    done
    try "$program" send -n 10 127.0.0.1 "$PORT"
    until_true reports 1
    expect_equal packets 10 "$(came packets)"
    expect_equal lost 0 "$(came lost)"
}

@test "29-udp-batch send says that there is no server, but sendmmsg does not" {
    local mode
    need_segments
    # A port that was free a moment ago.
    start_server server "$program" serve 0
    stop server
    for mode in ONE SEGMENT; do
        try "$program" send -m "$mode" -n 640 127.0.0.1 "$PORT"
        expect_result 1 \
            "29-udp-batch: send to 127.0.0.1:$PORT: Connection refused"
    done
    try "$program" send -m MANY -n 640 127.0.0.1 "$PORT"
    expect_result 1 "29-udp-batch: sendmmsg to 127.0.0.1:$PORT: only 1 of 64 \
packets were sent"
}

@test "29-udp-batch send takes a name, and IPv6" {
    start_server server "$program" serve 0
    # On many machines the first address of localhost is ::1.
    need_faults
    try "${faulty[0]}" "${faulty[1]/faults/names}" NAMES=four=127.0.0.1 \
        "$program" send -n 3 four "$PORT"
    expect_result 0 ""
    try "$program" send -n 3 no.such.name.invalid "$PORT"
    expect_equal status 1 "$status"
    [[ $errors == "29-udp-batch: no.such.name.invalid: "* ]]
    try "$program" send -n 3 ::1 9
    expect_equal status 1 "$status"
    [[ $errors == "29-udp-batch: "*" "[[]"::1]:9"* ]]
}

@test "29-udp-batch: a packet of UDP_SEGMENT has to fit into the MTU" {
    need_segments
    "$BUILD/tests/private" true 2>/dev/null || skip "no private network"
    skip_unless ip
    # shellcheck disable=SC2016 # for the other shell
    try "$BUILD/tests/private" bash -euc '
        ip link set lo mtu 1500
        fifo=$2/fifo
        mkfifo "$fifo"
        "$1" serve 0 >"$fifo" &
        exec 4<"$fifo"
        read -r line <&4
        port=${line##*:}
        "$1" send -m SEGMENT -n 10 -b 1472 127.0.0.1 "$port" | head -n 2
        "$1" send -n 10 -b 1473 127.0.0.1 "$port" | head -n 2
        "$1" send -m SEGMENT -n 10 -b 1473 127.0.0.1 "$port" 2>&1 || true
        kill %1
        wait' - "$program" "$BATS_TEST_TMPDIR"
    expect_result 0 ""
    sed -i 's/:[0-9]*:/:PORT:/' "$OUT"
    expect_output --text 'packets    10\ncalls      1\npackets    10
calls      10
29-udp-batch: send to 127.0.0.1:PORT: Message too long\n'
}

@test "29-udp-batch serve ends with status 0 when it is told to, and reports first" {
    local signal
    for signal in INT TERM; do
        start_server server "$program" serve 0
        "$BUILD/peers/numbered" -b 4 "$PORT" 1 # too short to count
        stop server "$signal"
        expect_equal "status after $signal" 0 "$ended"
        expect_lines server "listening on 127.0.0.1:$PORT"
        start_server server "$program" serve 0
        exec 7<>"/dev/udp/127.0.0.1/$PORT"
        printf '\0\0\0\0\0\0\0\0' >&7
        printf '\0\0\0\2\0\0\0\0' >&7
        until_true is_read
        stop server "$signal"
        expect_equal "status after $signal" 0 "$ended"
        expect_equal "packets and lost" "2 1" "$(came packets) $(came lost)"
    done
}

# is_read: nothing waits in the server's receive buffer, and it sleeps.
is_read() {
    [[ $(buffered) == "0 "* && $(cut -d ' ' -f 3 "/proc/$(pid_of server)/stat") == S ]]
}

@test "29-udp-batch serve goes on when nothing can be received, and says so" {
    local mode call
    need_faults
    for mode in ONE MANY; do
        call=recvmsg
        [[ $mode == ONE ]] || call=recvmmsg
        start_server server "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=105 \
            "$program" serve -m "$mode" 0
        wait_for server "29-udp-batch: $call: No buffer space available" err
        try "$program" send -n 10 127.0.0.1 "$PORT"
        until_true reports 1
        expect_equal packets 10 "$(came packets)"
        stop server
        expect_equal status 0 "$ended"
        # A signal that means nothing.
        start_server server "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=4 \
            FAULT_TIMES=3 "$program" serve -m "$mode" 0
        try "$program" send -n 10 127.0.0.1 "$PORT"
        until_true reports 1
        expect_equal packets 10 "$(came packets)"
        stop server
        expect_equal "errors" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
        # One that says that it is time to end.
        start_server server "${faulty[@]}" FAULT_CALL="$call" FAULT_SIGNAL=15 \
            "$program" serve -m "$mode" 0
        finish server
        expect_equal status 0 "$ended"
    done
}

@test "29-udp-batch names the call that failed, and why" {
    local call
    need_faults
    need_segments
    for call in socket "setsockopt SO_RCVTIMEO" "bind 127.0.0.1:0" \
        getsockname; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$program" serve 0
        expect_result 1 "29-udp-batch: $call: Input/output error"
        expect_output --text ''
    done
    start_server server "$program" serve -m SEGMENT 0
    for call in "socket 127.0.0.1:$PORT" "connect 127.0.0.1:$PORT" "setsockopt UDP_SEGMENT" \
        "send to 127.0.0.1:$PORT" close; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$program" send -m SEGMENT -n 64 127.0.0.1 "$PORT"
        expect_result 1 "29-udp-batch: $call: Input/output error"
    done
    try "${faulty[@]}" FAULT_CALL=sendmmsg FAULT_ERRNO=105 \
        "$program" send -m MANY -n 64 127.0.0.1 "$PORT"
    expect_result 1 "29-udp-batch: sendmmsg to 127.0.0.1:$PORT: No buffer space \
available"
    stop server
    start_server server "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=5 \
        "$program" serve 0
    stop server
    expect_equal status 1 "$ended"
    says server "29-udp-batch: close: Input/output error" err
}

@test "29-udp-batch says so when its output cannot be written" {
    try_with /dev/null /dev/full "$program" serve 0
    expect_result 1 "29-udp-batch: standard output: No space left on device"
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - \
        "$program" serve 0
    until_true broken_pipe_is_said
    stop server
    expect_equal status 1 "$ended"
    says server "*not every line could be written" err
    start_server server "$program" serve 0
    try_with /dev/null /dev/full "$program" send -n 3 127.0.0.1 "$PORT"
    expect_result 1 "29-udp-batch: standard output: No space left on device"
    run -1 bounded bash -c 'exec "$@" >&-' - "$program" serve 0
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" serve 0
}

broken_pipe_is_said() {
    "$program" send -n 3 127.0.0.1 "$PORT" >/dev/null
    says server "29-udp-batch: standard output: Broken pipe" err
}

@test "29-udp-batch prints its usage" {
    local arguments
    local -a wrong
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" serve "serve 0 1" "serve -x 0" "serve -m" send \
        "send 127.0.0.1" "send 127.0.0.1 1 2" "send -x 127.0.0.1 1" \
        "send -r 5 127.0.0.1 1" "receive 0"; do
        read -ra wrong <<<"$arguments"
        try "$program" "${wrong[@]}"
        expect_equal "status of $arguments" 2 "$status"
        [[ $errors == *"$usage" ]]
    done
}

@test "29-udp-batch refuses values that it cannot use" {
    local what
    local -a words
    while IFS='|' read -r words what; do
        read -ra words <<<"$words"
        try "$program" "${words[@]}"
        expect_result 1 "29-udp-batch: $what"
    done <<'END'
serve 65536|65536 is not a port: 0 to 65535
serve 80x|80x is not a port: 0 to 65535
serve -m one 0|one is not a mode: ONE, MANY or SEGMENT
serve -r 0 0|0 is not a size of a buffer: 1 to 1073741824
serve -r 1073741825 0|1073741825 is not a size of a buffer: 1 to 1073741824
send 127.0.0.1 0|0 is not a port: 1 to 65535
send -b 4 127.0.0.1 9|4 is not a size of a packet: 5 to 65507
send -b 65508 127.0.0.1 9|65508 is not a size of a packet: 5 to 65507
send -d 60.001 127.0.0.1 9|60.001 is not a number of seconds above 0, up to 60
send -d 0 127.0.0.1 9|0 is not a number of seconds above 0, up to 60
send -n 0 127.0.0.1 9|0 is not a number of packets: 1 to 4294967295
send -n 4294967296 127.0.0.1 9|4294967296 is not a number of packets: 1 to 4294967295
send -m SOME 127.0.0.1 9|SOME is not a mode: ONE, MANY or SEGMENT
END
}

@test "29-udp-batch: the twin sends three packets by one call, too" {
    skip_unless python3
    need_segments
    start_server server "$program" serve -m SEGMENT 0
    try python3 lessons/29-udp-batch/twin.py send 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_output --text 'packets    3\ncalls      1\n'
    until_true reports 1
    expect_equal "packets and calls" "3 1" "$(came packets) $(came calls)"
}
