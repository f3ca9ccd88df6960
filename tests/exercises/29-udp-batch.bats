#!/usr/bin/env bats
# The exercise of 29-udp-batch: what became of numbered packets, `29-udp-batch
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

numbered=$BUILD/peers/numbered

# random_between LOW HIGH: sets number.
random_between() {
    local bits=$((RANDOM << 30 | RANDOM << 15 | RANDOM))
    number=$(($1 + bits % ($2 - $1 + 1)))
}

# draw_base: sets base to a number with room for all of a test behind it. Half
# of these numbers have their first bit set.
draw_base() {
    random_between 10 4290000000
    base=$number
}

# station: the learner's program receives at $PORT.
station() {
    answer_serves 0 --hint "$listening_hint"
}

# sends OPTIONS PACKET...: the buoy sends these packets.
sends() {
    local -a options
    read -ra options <<<"$1"
    by_hand "$numbered" "${options[@]}" "$PORT" "${@:2}"
    # A program that has crashed, or does not read, is found out below.
    bounded "$numbered" "${options[@]}" "$PORT" "${@:2}" >/dev/null 2>&1 3>&- ||
        true
    : >"$BATS_TEST_TMPDIR/ending"
}

# expect_report CAME LOST DOUBLED LATE BAD --hint TEXT: what it prints when the
# empty datagram has come.
expect_report() {
    local hint='' report
    local -a arguments
    take_options 5 "$@" || return
    soon has_ended server || fail "it goes on, although an empty datagram came" \
        --hint "recvmsg returns 0 for an empty datagram. Print the report then, \
and end. And do not wait until many packets have come: recvmmsg needs \
MSG_WAITFORONE."
    finish_answer server
    expect_end --hint "$hint"
    printf -v report '%s\\n' "came ${arguments[0]}" "lost ${arguments[1]}" \
        "doubled ${arguments[2]}" "late ${arguments[3]}" "bad ${arguments[4]}"
    expect_output --text "listening on 127.0.0.1:$PORT\n$report" --hint "$hint"
    expect_status 0 --hint "The report is no error: end with status 0."
}

# need_segments: this kernel can do what the next test is about.
need_segments() {
    # Port 9 need not be anybody's: what counts is that the kernel knows it.
    local said
    said=$("$numbered" -m SEGMENT 9 1-2 2>&1 3>&-) || true
    [[ $said != *UDP_SEGMENT* ]] || skip "this kernel has no UDP_SEGMENT"
}

listening_hint="Call bind, then getsockname, which says the port. Print the line \
with ntohs(port), and call fflush: into a pipe or a file, a line is not written \
at once."
count_hint="Count each datagram of 4 to 1400 bytes. Its number is in network \
order: ntohl. The first number may be any: none before it is lost."
lost_hint="When a number is ahead of the highest one by n, then n - 1 numbers \
were skipped, and count as lost."
many_lost_hint="Numbers have 32 bits, but more of them may be lost than 32 bits \
can count, because they begin again at 0. Count in 64 bits, and add what was \
skipped at each packet: the highest number less the first one is too small when \
the numbers have gone around."
doubled_hint="Remember for each number whether its packet has come, also after \
it has come twice. came counts these packets too."
late_hint="A lower number whose packet has not come is late: count it as late, \
and take it from the lost ones. Remember that it has come."
window_hint="When the highest number grows, the places of the numbers that were \
skipped still have marks of older numbers. Empty them. And the array needs more \
than 1000 places."
wrap_hint="Let the difference tell what is ahead: (int32_t)(number - highest), \
with both as uint32_t, is positive if number is ahead, also when it has begun \
again at 0. A size of the array that is a power of two suits this."
skipped_hint="Numbers were skipped while the numbers began again at 0. Empty \
the places of all of them: a loop that goes on while n < number does nothing \
then. Let it go on until n is the number."
bad_hint="Look at the length first. If it is less than 4 or more than 1400, \
count the datagram as bad, and do nothing else. With a buffer of only 1400 bytes \
you would not see that a longer one was cut: MSG_TRUNC."
joined_hint="With UDP_GRO, what recvmsg returns may be many packets. The control \
message says their size; the last may be shorter, and is a packet too. Give \
recvmsg 65535 bytes, and set msg_controllen again before each call."
still_hint="64 packets in one message need far less of the receive buffer than \
64 messages. Set UDP_GRO with setsockopt, level SOL_UDP, before packets come."

@test "says where it listens" {
    station
    by_hand "$BUILD/peers/sockets" -u "$PORT"
    expect_true "nothing receives at port $PORT" \
        --hint "Bind the socket to 127.0.0.1 and the port. If the port is 0, \
getsockname says which one the kernel has chosen." \
        -- grep -qi "0100007F:$(printf %04x "$PORT") " /proc/net/udp
}

@test "counts the packets that come, and ends at an empty datagram" {
    local count
    station
    draw_base
    count=$((5 + RANDOM % 50))
    sends "-b $((4 + RANDOM % 1397))" "$base-$((base + count - 1))" end
    expect_report "$count" 0 0 0 0 --hint "$count_hint"
    next_run
    station
    sends "" end
    expect_report 0 0 0 0 0 --hint "$count_hint"
}

@test "counts the lost packets" {
    local gap
    station
    draw_base
    gap=$((2 + RANDOM % 30))
    sends "" "$base" $((base + 1)) $((base + 1 + gap)) end
    expect_report 3 $((gap - 1)) 0 0 0 --hint "$lost_hint"
    next_run
    station
    gap=$((70000 + RANDOM))
    sends "" "$base-$((base + 9))" $((base + 10 + gap)) \
        $((base + 12 + gap)) end
    expect_report 12 $((gap + 1)) 0 0 0 --hint "$lost_hint"
}

@test "counts a packet as doubled when its number has come before" {
    local again i
    local -a copies=()
    station
    draw_base
    again=$((2 + RANDOM % 5))
    for ((i = 0; i < again; i++)); do
        copies+=("$base")
    done
    sends "" "$base-$((base + 4))" "${copies[@]}" $((base + 4)) \
        $((base + 5)) end
    expect_report $((7 + again)) 0 $((again + 1)) 0 0 --hint "$doubled_hint"
}

@test "counts a packet as late when its number is lower than the highest, and has not come before" {
    station
    draw_base
    sends "" "$base" $((base + 1)) $((base + 5)) $((base + 3)) $((base + 2)) \
        $((base + 3)) $((base + 6)) end
    expect_report 7 1 1 2 0 --hint "$late_hint"
    # As late as it may be. Some of the numbers, plus or minus 500, 512, 1000 or
    # 1024, have come.
    next_run
    station
    sends "" "$base-$((base + 50))" $((base + 1060)) $((base + 1030)) \
        $((base + 60)) $((base + 1010)) $((base + 60)) $((base + 548)) end
    expect_report 57 1005 1 4 0 --hint "$window_hint"
}

@test "counts on when the numbers begin again at 0" {
    local before
    station
    before=$((4294967295 - RANDOM % 5 - 1))
    # 1 and 3 are missing at first, and 3 stays away.
    sends "" "$before-0" 2 4 1 "$before" 0 4294967295 end
    expect_report $((4294967295 - before + 8)) 1 3 1 0 --hint "$wrap_hint"
    # The places of 4294966676 and 0 are the same in an array of 1001.
    next_run
    station
    sends "" 4294966670-4294966674 4294966680 0 4294966676 4294966676 end
    expect_report 9 619 1 1 0 --hint "$wrap_hint"
    # Numbers that are powers of two behind 100 and 4294967290 have come. These
    # two have not.
    local power
    local -a old=()
    for power in 65536 32768 16384 8192 4096 2048 1024; do
        old+=($((4294967290 - power)) $((4294967396 - power)))
    done
    next_run
    station
    sends "" "${old[@]}" 500 100 4294967290 end
    expect_report 17 66026 0 2 0 --hint "$skipped_hint"
    # Where an int32_t would turn negative.
    next_run
    station
    sends "" 2147483640-2147483647 2147483649-2147483655 2147483648 end
    expect_report 16 0 0 1 0 --hint "$wrap_hint"
    # More packets are lost than 32 bits count.
    next_run
    station
    draw_base
    sends "" "${base}x4400+1000000" end
    expect_report 4400 $((4399 * 999999)) 0 0 0 --hint "$many_lost_hint"
}

@test "counts a datagram with 1 to 3 bytes, or with more than 1400, as bad" {
    station
    draw_base
    sends "" +$((1 + RANDOM % 3)) "$base:4" $((base + 500)):1401 \
        $((base + 1)):1400 +3 $((base + 2)) +1 \
        $((base + 900)):$((1402 + RANDOM)) end
    expect_report 3 0 0 0 5 --hint "$bad_hint"
}

@test "counts each packet when the sender gives many to the kernel by one call" {
    local size mode
    need_segments
    for mode in SEGMENT MANY; do
        station
        draw_base
        size=$((20 + RANDOM % 80))
        # One alone. Then one call for 64, one for 11 and a shorter one, one
        # for a large and a small one, and one for 31 more.
        sends "-b $size" $((base - 1))
        sends "-b $size -m $mode" "$base-$((base + 74))" \
            $((base + 75)):$((4 + RANDOM % 16)) $((base + 76)):1000 \
            "$((base + 80))-$((base + 109))" \
            $((base + 78)) $((base + 80)) end
        expect_report 110 2 1 1 0 --hint "$joined_hint"
        next_run
    done
    # As much as fits into one message.
    station
    sends "-b 1400 -m SEGMENT" "$base-$((base + 45))" end
    expect_report 46 0 0 0 0 --hint "$joined_hint"
    next_run
    # Each of them is bad.
    station
    sends "-b 1401 -m SEGMENT" "$base-$((base + 9))" "$base:100" end
    expect_report 1 0 0 0 10 --hint "$joined_hint"
}

@test "loses none of 1000 packets while it stands still" {
    local room
    need_segments
    read -r room </proc/sys/net/core/rmem_default
    ((room >= 100000)) || skip "the usual receive buffer is too small here"
    station
    draw_base
    HAND=()
    by_hand "bash -c '$PROGRAM $HAND_PORT & sleep 0.3; kill -STOP \$!; \
$numbered -m SEGMENT $HAND_PORT 1-1000; kill -CONT \$!; \
$numbered $HAND_PORT end; wait'"
    local -a hand=("${HAND[@]}")
    frozen sends "-m SEGMENT" "$base-$((base + 999))"
    sends "" end
    HAND=("${hand[@]}")
    expect_report 1000 0 0 0 0 --hint "$still_hint"
}

@test "reports output that cannot be written, with status 1" {
    by_hand "$PROGRAM $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 0
    expect_end --hint "$output_hint"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 8029 more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local port
    for port in 65536 -1 80x "" " 80" 4294967376; do
        HAND=()
        answer "$port"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
        expect_true "it did not say why, on standard error" \
            --hint "$port_hint" -- test -n "$errors"
    done
}
