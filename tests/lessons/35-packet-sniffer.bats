#!/usr/bin/env bats
# What 35-packet-sniffer must do, in a network of its own. What it makes of
# frames is common/packet's: see tests/workbook/packet.bats.

# shellcheck disable=SC2016 # the other shell expands them
load ../lib/common

program=$BUILD/35-packet-sniffer
inject=$BUILD/tests/inject

setup_file() {
    "$BUILD/tests/private" "$inject" </dev/null 2>/dev/null ||
        skip "this system allows nobody to look at packets"
}

# in_private SCRIPT [ARGUMENT...]: runs the script there, with the helpers below.
# What the sniffer has said is in the file $said, and $errors, as after `try`.
in_private() {
    said=$BATS_TEST_TMPDIR/said
    : >"$said"
    export -f sniff sniff_with until_said converse quit pause
    export said program inject BUILD BATS_TEST_TMPDIR BATS_RUN_TMPDIR PAUSE_SECONDS
    try "$BUILD/tests/private" bash -euc "$@"
}

# sniff ARGUMENT...: starts it, and waits until it captures.
sniff() {
    sniff_with env "$program" "$@"
}

# sniff_with COMMAND...
sniff_with() {
    "$@" >"$said" 2>"$BATS_TEST_TMPDIR/sniffer.err" </dev/null &
    sniffer=$!
    until_said 1 '^capturing on lo$'
}

# until_said COUNT PATTERN: waits for so many lines of that kind.
until_said() {
    until (($(grep -cE "$2" "$said") >= $1)) || ! kill -0 "$sniffer"; do
        pause
    done 2>/dev/null
}

# converse: a client of lesson 01 and a server of lesson 02, on port 8080, until
# both FIN are shown.
converse() {
    local server out=$BATS_TEST_TMPDIR/server
    : >"$out"
    "$BUILD/02-tcp-server" 8080 >"$out" &
    server=$!
    until grep -q listening "$out"; do
        pause
    done
    "$BUILD/01-tcp-client" 127.0.0.1 8080 hello
    until_said 2 " FIN "
    kill "$server"
    wait "$server"
}

# quit [SIGNAL]: tells it to end; what comes of it is the script's status.
quit() {
    kill -s "${1:-TERM}" "$sniffer"
    wait "$sniffer"
}

# expect_said LINE...: all that it has said, its times left out.
expect_said() {
    sed -E 's/^-?[0-9]+\.[0-9]{6} //' "$said" |
        diff <(printf '%s\n' "$@") - >&2
}

# Frames that nobody takes for their own. Ports: 1000 (03e8) and 80 (0050).
eth4="020000000002 020000000001 0800"
eth6="020000000002 020000000001 86dd"
four="4000 40 06 0000 0a000001 0a000002"
four_udp="4000 40 11 0000 0a000001 0a000002"
ends="0a000001 0a000002"
six="40 fd000000000000000000000000000001 fd000000000000000000000000000002"
syn="000001f4 00000000 5002 ffff 0000 0000"
tcp4="$eth4 4500 0028 0001 $four 03e8 0050 $syn"
tcp4_back="$eth4 4500 0028 0001 $four 0050 03e8 $syn"
udp4="$eth4 4500 001d 0001 $four_udp 03e8 0050 0009 0000 61"
tcp6="$eth6 60000000 0014 06 $six 03e8 0050 $syn"
udp6_back="$eth6 60000000 0009 11 $six 0050 03e8 0009 0000 61"
icmp="$eth4 4500 001c 0001 4000 40 01 0000 $ends 08000000 00000050"
arp="ffffffffffff 020000000001 0806 0001080006040001"
said_tcp4="10.0.0.1:1000 > 10.0.0.2:80 TCP SYN seq 0, 0 bytes"
said_udp4="10.0.0.1:1000 > 10.0.0.2:80 UDP, 1 byte"

@test "35-packet-sniffer shows a conversation, from SYN to FIN" {
    in_private '
        sniff
        converse
        quit'
    expect_result 0 ""
    expect_equal "the client's" hello "$(<"$OUT")"
    local c='127.0.0.1:[0-9]+' s='127.0.0.1:8080' n='^[0-9]+\.[0-9]{6}'
    mapfile -t lines < <(sed -E "s/$n/T/; s/127.0.0.1:[0-9]{5}/CLIENT/" "$said")
    expect_equal 1 "capturing on lo" "${lines[0]}"
    expect_equal 2 "T CLIENT > $s TCP SYN seq 0, 0 bytes" "${lines[1]}"
    expect_equal 3 "T $s > CLIENT TCP SYN ACK seq 0 ack 1, 0 bytes" \
        "${lines[2]}"
    expect_equal 4 "T CLIENT > $s TCP ACK seq 1 ack 1, 0 bytes" "${lines[3]}"
    expect_equal 5 "T CLIENT > $s TCP PSH ACK seq 1 ack 1, 6 bytes" \
        "${lines[4]}"
    grep -qE "$n $s > $c TCP PSH ACK seq 1 ack 7, 6 bytes$" "$said"
    grep -qE "$n $c > $s TCP FIN ACK seq 7 ack 7, 0 bytes$" "$said"
    grep -qE "$n $s > $c TCP FIN ACK seq 7 ack [78], 0 bytes$" "$said"
}

@test "35-packet-sniffer shows each frame on the loopback once, and then ends" {
    local damaged="$eth4 4500 0029 0001 $four 03e8 0050 $syn"
    printf '%s\n' "$tcp4" "$udp4" "$tcp6" "$udp6_back" "$icmp" "$arp" \
        "$damaged" 020000000002 "$tcp4" >"$BATS_TEST_TMPDIR/frames"
    sed -i 's/^020000000002$/020000000002 020000000001 0800 45/' \
        "$BATS_TEST_TMPDIR/frames"
    in_private '
        sniff -i lo -c 9
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        wait "$sniffer"'
    expect_result 0 ""
    expect_said "capturing on lo" "$said_tcp4" "$said_udp4" \
        "[fd00::1]:1000 > [fd00::2]:80 TCP SYN seq 0, 0 bytes" \
        "[fd00::1]:80 > [fd00::2]:1000 UDP, 1 byte" \
        "10.0.0.1 > 10.0.0.2 ICMP type 8 code 0, 0 bytes" \
        "Ethernet type 0x0806, 8 bytes" \
        "10.0.0.1 > 10.0.0.2 IP protocol 6: an IPv4 length beyond the frame" \
        "Ethernet type 0x0800: too short for its IPv4 header" \
        "$said_tcp4" "9 shown; 9 came through the filter, 0 were lost"
    expect_equal "the first time" 0.000000 "$(sed -n '2s/ .*//p' "$said")"
}

@test "35-packet-sniffer -p has the kernel drop what has another port" {
    local option=01010101
    # What has no such port, or only seems to.
    printf '%s\n' "$icmp" "$arp" \
        "$eth4 4500 0028 0001 $four 03e8 0051 $syn" \
        "$eth4 4500 0028 0001 $four 0051 03e8 $syn" \
        "$eth4 4500 0028 0001 $four 03e8 5000 $syn" \
        "$eth4 4500 0028 0001 $four 5000 03e8 $syn" \
        "$eth4 4500 0028 0001 $four 03e8 0052 00500050 $syn" \
        "$eth4 4500 001d 0001 $four_udp 03e8 0051 0009 0000 61" \
        "$eth4 4500 001d 0001 4000 40 84 0000 $ends 03e8 0050 0009 0000 61" \
        "$eth4 4500 001d 0001 2001 40 11 0000 $ends 03e8 0050 0009 0000 61" \
        "$eth4 4600 002c 0001 $four 03e80050 03e8 0051 $syn" \
        "$eth6 60000000 0014 06 $six 03e8 0051 $syn" \
        "$eth6 60000000 0009 84 $six 0050 0050 0009 0000 61" \
        "020000000002 020000000001 0805 4500 0028 0001 $four 03e8 0050 $syn" \
        >"$BATS_TEST_TMPDIR/others"
    # And what has it.
    printf '%s\n' "$tcp4" "$tcp4_back" "$udp4" "$tcp6" "$udp6_back" \
        "$eth4 4600 002c 0001 $four $option 03e8 0050 $syn" \
        "$eth4 4f00 0050 0001 $four $option$option$option$option$option\
$option$option$option$option$option 03e8 0050 $syn" \
        "$eth4 4500 001d 0001 2000 40 11 0000 $ends 03e8 0050 0099 0000 61" \
        >"$BATS_TEST_TMPDIR/ours"
    in_private '
        sniff -p 80 -c 24
        for i in 1 2 3; do
            "$inject" <"$BATS_TEST_TMPDIR/others"
            "$inject" <"$BATS_TEST_TMPDIR/ours"
        done
        wait "$sniffer"'
    expect_result 0 ""
    expect_equal "what reached it" \
        "24 shown; 24 came through the filter, 0 were lost" \
        "$(tail -n 1 "$said")"
    sed -i '10,$d' "$said"
    expect_said "capturing on lo" "$said_tcp4" \
        "10.0.0.1:80 > 10.0.0.2:1000 TCP SYN seq 0, 0 bytes" "$said_udp4" \
        "[fd00::1]:1000 > [fd00::2]:80 TCP SYN seq 0, 0 bytes" \
        "[fd00::1]:80 > [fd00::2]:1000 UDP, 1 byte" "$said_tcp4" \
        "$said_tcp4" "10.0.0.1:1000 > 10.0.0.2:80 UDP, a fragment, 1 byte"
}

@test "35-packet-sniffer -p 65535 knows the largest port, and -p 1 the smallest" {
    local port
    for port in 1 65535; do
        printf '%s %04x 03e8 %s\n' "$eth4 4500 0028 0001 $four" "$port" "$syn" \
            >"$BATS_TEST_TMPDIR/frame"
        in_private "
            sniff -p $port -c 1"'
            "$inject" <"$BATS_TEST_TMPDIR/frame"
            wait "$sniffer"'
        expect_result 0 ""
        expect_said "capturing on lo" \
            "10.0.0.1:$port > 10.0.0.2:1000 TCP SYN seq 0, 0 bytes" \
            "1 shown; 1 came through the filter, 0 were lost"
    done
}

# words FILE: its 32-bit numbers, in this machine's order, one a line.
words() {
    od -An -v -tu4 -w4 "$1" | tr -d ' '
}

@test "35-packet-sniffer -w writes what came, and when" {
    local file=$BATS_TEST_TMPDIR/file before now
    before=$EPOCHSECONDS
    printf '%s\n' "$tcp4" "$arp 00" >"$BATS_TEST_TMPDIR/frames"
    echo "was here before" >"$file"
    in_private '
        sniff -c 2 -w "$BATS_TEST_TMPDIR/file"
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        wait "$sniffer"'
    expect_result 0 ""
    now=$EPOCHSECONDS
    expect_equal "its size" $((24 + 16 + 54 + 16 + 23)) "$(wc -c <"$file")"
    mapfile -t header < <(words "$file")
    # Nanoseconds, version 2.4, 65535 bytes at most, Ethernet.
    expect_equal "its first number" $((16#a1b23c4d)) "${header[0]}"
    expect_equal "its version" "2 4" "$(od -An -tu2 -j4 -N4 "$file" | xargs)"
    expect_equal "its header" "0 0 65554 1" "${header[*]:2:4}"
    ((header[6] >= before && header[6] <= now && header[7] < 1000000000))
    expect_equal "captured, length" "54 54" "${header[*]:8:2}"
    expect_equal "the bytes" "${tcp4// /}" \
        "$(od -An -v -tx1 -j40 -N54 "$file" | tr -d ' \n')"
    mapfile -t header < <(tail -c 39 "$file" | head -c 16 >"$file.2" &&
        words "$file.2")
    expect_equal "captured, length" "23 23" "${header[*]:2:2}"
    expect_equal "the bytes" "${arp// /}00" \
        "$(tail -c 23 "$file" | od -An -v -tx1 | tr -d ' \n')"
}

@test "35-packet-sniffer's file has each packet when it is shown" {
    echo "$tcp4" >"$BATS_TEST_TMPDIR/frame"
    in_private '
        sniff -w "$BATS_TEST_TMPDIR/file"
        "$inject" <"$BATS_TEST_TMPDIR/frame"
        until_said 1 "SYN"
        wc -c <"$BATS_TEST_TMPDIR/file"
        kill -KILL "$sniffer"'
    expect_output --text '94\n'
}

# 65507 bytes are the largest datagram that there is.
@test "35-packet-sniffer captures the largest frame of the loopback whole" {
    in_private '
        sniff -p 9 -c 1 -w "$BATS_TEST_TMPDIR/file"
        head -c 65507 /dev/zero | dd bs=65507 iflag=fullblock status=none \
            >/dev/udp/127.0.0.1/9
        wait "$sniffer"'
    expect_result 0 ""
    [[ $(sed -n 2p "$said") == *" UDP, 65507 bytes" ]]
    mapfile -t header < <(words "$BATS_TEST_TMPDIR/file")
    expect_equal "captured, length" "65549 65549" "${header[*]:8:2}"
}

@test "35-packet-sniffer says how much of a packet it has cut off" {
    skip_unless ip
    # UDP over IPv6, as large as its length can say: 65589 bytes with Ethernet.
    {
        printf '%s' "$eth6 60000000 ffff 11 $six 03e8 0050 ffff 0000"
        head -c 65527 /dev/zero | od -An -v -tx1 | tr -d ' \n'
        echo
    } >"$BATS_TEST_TMPDIR/frame"
    in_private '
        ip link set lo mtu 66000
        sniff -p 80 -c 1 -w "$BATS_TEST_TMPDIR/file"
        "$inject" <"$BATS_TEST_TMPDIR/frame"
        wait "$sniffer"'
    expect_result 0 ""
    [[ $(sed -n 2p "$said") == *" UDP, 65527 bytes, cut after 65488" ]]
    expect_equal "its size" $((24 + 16 + 65550)) \
        "$(wc -c <"$BATS_TEST_TMPDIR/file")"
    mapfile -t header < <(words "$BATS_TEST_TMPDIR/file")
    expect_equal "captured, length" "65550 65589" "${header[*]:8:2}"
}

@test "35-packet-sniffer -p shows what packet_parse finds the port in, and no other" {
    local port tag=8100000a outer=88a80014 macs="020000000002 020000000001"
    local hop=0600000000000000 options=3c00000000000000
    for port in 0051 0050; do
        printf '%s\n' \
            "$macs $tag 0800 4500 0028 0001 $four 03e8 $port $syn" \
            "$macs $outer $tag 86dd 60000000 0014 06 $six $port 03e8 $syn" \
            "$eth6 60000000 001c 00 $six $hop 03e8 $port $syn" \
            "$eth6 60000000 0024 00 $six $options $hop $port 03e8 $syn"
    done >"$BATS_TEST_TMPDIR/frames"
    in_private '
        sniff -p 80 -c 4
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        wait "$sniffer"'
    expect_result 0 ""
    expect_said "capturing on lo" "$said_tcp4" \
        "[fd00::1]:80 > [fd00::2]:1000 TCP SYN seq 0, 0 bytes" \
        "[fd00::1]:1000 > [fd00::2]:80 TCP SYN seq 0, 0 bytes" \
        "[fd00::1]:80 > [fd00::2]:1000 TCP SYN seq 0, 0 bytes" \
        "4 shown; 8 came through the filter, 0 were lost"
}

# cut_short FRAME...: each frame as it is, and cut after each fourth byte, with
# the lengths that its headers had.
cut_short() {
    local frame length
    for frame in "$@"; do
        frame=${frame// /}
        echo "$frame"
        for ((length = 14; length < ${#frame} / 2; length += 4)); do
            echo "${frame::2*length}"
        done
    done
}

# sniff_all ARGUMENT...: what it says of $BATS_TEST_TMPDIR/frames, its times left
# out. The last frame, which it shows in any case, goes from port 80 to 9999.
sniff_all() {
    in_private '
        sniff "$@"
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        until_said 1 ":9999 "
        quit' - "$@"
    expect_result 0 ""
    [[ $(tail -n 1 "$said") == *" 0 were lost" ]]
    sed -E '1d; $d; s/^-?[0-9]+\.[0-9]{6} //' "$said"
}

@test "35-packet-sniffer -p agrees with packet_parse about damaged frames" {
    local hop=0600000000000000 options=3c00000000000000 words
    local macs="020000000002 020000000001" last="$eth4 4500 0028 0001 $four"
    {
        cut_short "$tcp4" "$udp4" "$tcp6" \
            "$macs 8100000a 0800 4500 0028 0001 $four 03e8 0050 $syn" \
            "$eth6 60000000 0024 00 $six $options $hop 0050 03e8 $syn"
        # Every length of the IPv4 header, and of the TCP header.
        for words in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do
            echo "$eth4 4${words}00 0028 0001 $four 03e8 0050 $syn"
            echo "$eth4 4500 0028 0001 $four 03e8 0050 000001f4 00000000 \
${words}002 ffff 0000 0000"
        done
        # An IPv4 header longer than the frame, and one of another version.
        echo "$eth4 4f00 0028 0001 $four"
        echo "$eth4 6500 0028 0001 $four 03e8 0050 $syn"
        # An extension header that says it goes beyond the packet.
        echo "$eth6 60000000 001c 00 $six 06ff000000000000 03e8 0050 $syn"
        # Ports of others, in damaged headers.
        echo "$eth4 4500 0028 0001 $four 03e8 0051 000001f4 00000000 4002"
        echo "$last 0050 270f $syn"
    } >"$BATS_TEST_TMPDIR/frames"
    sniff_all >"$BATS_TEST_TMPDIR/all"
    grep ':80 ' "$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/wanted"
    sniff_all -p 80 >"$BATS_TEST_TMPDIR/shown"
    diff "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/shown" >&2
    # Among them are damaged ones.
    grep -q 'under 20 bytes' "$BATS_TEST_TMPDIR/shown"
}

# Too large for the length field of IPv4: BIG TCP.
@test "35-packet-sniffer shows a frame that is too long for any IP length" {
    {
        printf '%s' "$eth4 4500 0000 0001 $four 03e8 0050 $syn"
        head -c 66000 /dev/zero | od -An -v -tx1 | tr -d ' \n'
        echo
    } >"$BATS_TEST_TMPDIR/frame"
    skip_unless ip
    in_private '
        ip link set lo mtu 67000
        sniff -p 80 -c 1
        "$inject" <"$BATS_TEST_TMPDIR/frame"
        wait "$sniffer"'
    expect_result 0 ""
    [[ $(sed -n 2p "$said") == *":80 TCP SYN seq 0, 66000 bytes, cut after \
65496" ]]
}

@test "35-packet-sniffer -w puts back the tag that the kernel took out" {
    local type
    skip_unless ip
    for type in 8100 88a8; do
        echo "020000000002 020000000001 ${type}000a 0800 4500 0028 0001 $four \
03e8 0050 $syn" | tr -d ' ' >"$BATS_TEST_TMPDIR/frame"
        in_private '
            ip link add v0 type veth peer name v1
            ip link set v0 up
            ip link set v1 up
            sniff_on() {
                "$program" -i v1 -p 80 -c 1 -w "$BATS_TEST_TMPDIR/file" >"$said" &
                sniffer=$!
                until_said 1 "^capturing on v1$"
            }
            sniff_on
            "$inject" -i v0 <"$BATS_TEST_TMPDIR/frame"
            wait "$sniffer"'
        expect_result 0 ""
        expect_equal "the frame in the file" "$(<"$BATS_TEST_TMPDIR/frame")" \
            "$(tail -c +41 "$BATS_TEST_TMPDIR/file" | od -An -v -tx1 | tr -d ' \n')"
    done
}

# In tshark's own words: the ends, the protocol, its flags, its numbers.
tshark_lines() {
    tshark -n -r "$1" -Y "not _ws.malformed" -T fields -E separator=/s \
        -e ip.src -e ipv6.src -e tcp.srcport -e udp.srcport \
        -e ip.dst -e ipv6.dst -e tcp.dstport -e udp.dstport -e tcp.flags \
        -e tcp.seq -e tcp.ack -e tcp.len -e udp.length \
        2>"$BATS_TEST_TMPDIR/tshark.err" | sed 's/  */ /g; s/^ //; s/ $//'
}

# The same of what was shown: tshark counts the header of UDP with its length,
# and has an acknowledgement of 0 where there is none.
shown_lines() {
    sed -nE 's/^-?[0-9]+\.[0-9]{6} //; s/[][]//g
        s/^(.*):([0-9]+) > (.*):([0-9]+) /\1 \2 \3 \4 /p' "$said" |
        awk 'BEGIN { split("FIN SYN RST PSH ACK URG", names, " ") }
            $5 == "UDP," { print $1, $2, $3, $4, $6 + 8; next }
            {
                flags = ack = 0
                for (i = 6; i <= NF; i++) {
                    for (bit = 1; bit <= 6; bit++)
                        if ($i == names[bit]) flags += 2 ^ (bit - 1)
                    if ($i == "seq") seq = $(i + 1) + 0
                    if ($i == "ack") ack = $(i + 1) + 0
                }
                print $1, $2, $3, $4, sprintf("0x%04x", flags), seq, ack,
                    $(NF - 1)
            }'
}

@test "35-packet-sniffer's file is what it has shown, also to tshark" {
    skip_unless tshark
    printf '%s\n' "$tcp4" "$tcp6" "$udp4" "$udp6_back" \
        "$eth4 4500 0029 0001 $four 03e8 0050 000001f5 00000009 5019 ffff \
0000 0000 61" "$eth4 4500 0028 0001 $four 0051 0050 00000001 00000000 5025 \
ffff 0000 0000" >"$BATS_TEST_TMPDIR/frames"
    in_private '
        sniff -w "$BATS_TEST_TMPDIR/file"
        converse
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        until_said 1 "RST"
        quit'
    expect_result 0 ""
    tshark_lines "$BATS_TEST_TMPDIR/file" >"$BATS_TEST_TMPDIR/theirs"
    expect_equal "its complaints" "" \
        "$(grep -v '^Running as user' "$BATS_TEST_TMPDIR/tshark.err")"
    diff <(shown_lines) "$BATS_TEST_TMPDIR/theirs" >&2
    (($(wc -l <"$BATS_TEST_TMPDIR/theirs") >= 14))
    expect_equal type "Wireshark/tcpdump/... - nanosecond pcap" \
        "$(capinfos -t "$BATS_TEST_TMPDIR/file" | sed -n 's/^File type: *//p')"
}

@test "35-packet-sniffer ends clean on SIGINT and on SIGTERM" {
    local signal
    for signal in INT TERM; do
        # A shell without job control starts what is in the background deaf to
        # SIGINT.
        in_private "
            set -m
            sniff
            set +m
            quit $signal"
        expect_result 0 ""
        expect_said "capturing on lo" \
            "0 shown; 0 came through the filter, 0 were lost"
    done
}

@test "35-packet-sniffer says how many it has missed" {
    local zeros
    printf -v zeros '%02000d' 0
    echo "$arp $zeros" >"$BATS_TEST_TMPDIR/frame"
    in_private '
        sniff
        kill -STOP "$sniffer"
        until grep -q "^State:.T" "/proc/$sniffer/status"; do pause; done
        "$inject" -n 2000 <"$BATS_TEST_TMPDIR/frame"
        kill -CONT "$sniffer"
        until_said 1 "Ethernet"
        quit'
    expect_result 0 ""
    [[ $(tail -n 1 "$said") =~ \
^([0-9]+)" shown; 2000 came through the filter, "([0-9]+)" were lost"$ ]]
    expect_equal "shown" "$(grep -c Ethernet "$said")" "${BASH_REMATCH[1]}"
    ((BASH_REMATCH[1] >= 1 && BASH_REMATCH[2] > 1000))
    ((BASH_REMATCH[1] + BASH_REMATCH[2] <= 2000))
}

@test "35-packet-sniffer keeps its socket and its file to itself" {
    in_private '
        sniff -w "$BATS_TEST_TMPDIR/file"
        for fd in "/proc/$sniffer/fd"/*; do
            case $(readlink "$fd") in
            socket:* | */file)
                grep flags "/proc/$sniffer/fdinfo/${fd##*/}"
                ;;
            esac
        done
        quit'
    expect_result 0 ""
    expect_equal "descriptors" 2 "$(wc -l <"$OUT")"
    expect_equal "close-on-exec" 2 "$(grep -c '2......$' "$OUT")"
}

@test "35-packet-sniffer goes on when its interface has been down" {
    skip_unless ip
    in_private '
        sniff
        ip link set lo down
        until grep -q "Network is down" "$BATS_TEST_TMPDIR/sniffer.err"; do
            pause
        done
        ip link set lo up
        converse
        quit'
    expect_result 0 ""
    expect_equal "standard error" "35-packet-sniffer: recvmsg: Network is down" \
        "$(<"$BATS_TEST_TMPDIR/sniffer.err")"
    grep -q " FIN " "$said"
}

@test "35-packet-sniffer names what it cannot use" {
    in_private '"$program" -i nowhere'
    expect_result 1 "35-packet-sniffer: if_nametoindex nowhere: No such device"
    # There is room for one descriptor, which if_nametoindex needs, too.
    in_private 'ulimit -n 4 && "$program" -p 9 -c 1 &
        for i in 1 2 3 4 5 6 7 8 9; do
            sleep 0.1
            echo >/dev/udp/127.0.0.1/9
        done
        wait $!'
    expect_result 0 ""
    # Where the system has such an interface, and lets us make one.
    in_private '
        ip tuntap add dev tunnel mode tun 2>/dev/null || exit 0
        "$program" -i tunnel'
    ((status == 0)) ||
        expect_result 1 "35-packet-sniffer: tunnel is not like Ethernet"
    in_private '"$program" -w /nowhere/file'
    expect_result 1 "35-packet-sniffer: /nowhere/file: No such file or directory"
    echo "$arp" >"$BATS_TEST_TMPDIR/frame"
    in_private '
        sniff -w /dev/full
        "$inject" <"$BATS_TEST_TMPDIR/frame"
        wait "$sniffer" || cat "$BATS_TEST_TMPDIR/sniffer.err" >&2'
    expect_result 0 "35-packet-sniffer: /dev/full: No space left on device"
    in_private '
        sniff -w /dev/full
        quit || cat "$BATS_TEST_TMPDIR/sniffer.err" >&2'
    expect_result 0 "35-packet-sniffer: /dev/full: No space left on device"
}

@test "35-packet-sniffer names the call that failed" {
    local at call message
    need_faults
    echo "$arp" >"$BATS_TEST_TMPDIR/frame"
    while IFS=/ read -r call at message; do
        in_private '
            sniff_with "$@" -c 1
            "$inject" <"$BATS_TEST_TMPDIR/frame"
            wait "$sniffer" || cat "$BATS_TEST_TMPDIR/sniffer.err" >&2' - \
            "${faulty[@]}" FAULT_CALL="$call" FAULT_AT="$at" "$program"
        expect_result 0 "35-packet-sniffer: $message: Input/output error"
    done <<'END'
socket/1/socket AF_PACKET
bind/1/bind lo
bind/2/bind lo
getsockname/1/getsockname
setsockopt/1/setsockopt SO_ATTACH_FILTER
setsockopt/2/setsockopt SO_TIMESTAMPNS
setsockopt/3/setsockopt PACKET_AUXDATA
recvmsg/1/recvmsg
getsockopt/1/getsockopt PACKET_STATISTICS
close/1/close
END
    # As an ordinary user has it, outside of a network of its own.
    try "${faulty[@]}" FAULT_CALL=socket FAULT_ERRNO=1 "$program"
    expect_result 1 "35-packet-sniffer: socket AF_PACKET: Operation not permitted"
}

@test "35-packet-sniffer says so when standard output is full, gone or closed" {
    echo "$arp" >"$BATS_TEST_TMPDIR/frame"
    in_private '"$program" >/dev/full'
    expect_result 1 \
        "35-packet-sniffer: standard output: No space left on device"
    # Who listened has gone after the first line; or before the last.
    in_private '
        mkfifo "$BATS_TEST_TMPDIR/pipe.$1"
        "$program" >"$BATS_TEST_TMPDIR/pipe.$1" &
        sniffer=$!
        read -r line <"$BATS_TEST_TMPDIR/pipe.$1"
        "$inject" <"$BATS_TEST_TMPDIR/frame"
        wait "$sniffer"' - 1
    expect_result 1 "35-packet-sniffer: standard output: Broken pipe"
    in_private '
        mkfifo "$BATS_TEST_TMPDIR/pipe.$1"
        "$program" >"$BATS_TEST_TMPDIR/pipe.$1" &
        sniffer=$!
        read -r line <"$BATS_TEST_TMPDIR/pipe.$1"
        quit' - 2
    expect_result 1 "35-packet-sniffer: standard output: Broken pipe"
    in_private '"$program" >&-'
    expect_result 1 "35-packet-sniffer: descriptor 1: Bad file descriptor"
    in_private '"$program" 2>&-'
    expect_equal status 1 "$status"
}

@test "35-packet-sniffer explains itself when asked, and when called wrongly" {
    local usage="usage: 35-packet-sniffer [-i INTERFACE] [-c COUNT] [-w FILE] \
[-p PORT]" arguments
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in lo '-c 1 lo' '-p 80 -- x'; do
        # shellcheck disable=SC2086 # words
        try "$program" $arguments
        expect_result 2 "$usage"
        expect_output --text ''
    done
    for arguments in -x -i -c -w -p; do
        try "$program" "$arguments"
        expect_equal status 2 "$status"
        [[ $errors == *"$usage" ]]
    done
}

@test "35-packet-sniffer takes numbers from 1 on, and says what is wrong" {
    local number
    for number in 0 65536 -1 '' x 1x ' 1' 18446744073709551617; do
        try "$program" -p "$number"
        expect_result 1 \
            "35-packet-sniffer: $number is not a number from 1 to 65535"
    done
    for number in 0 1000000001 -1 '' x 1x ' 1' 18446744073709551617; do
        try "$program" -c "$number"
        expect_result 1 \
            "35-packet-sniffer: $number is not a number from 1 to 1000000000"
    done
    try "$program" -w -
    expect_result 1 "35-packet-sniffer: -w needs a file: standard output has the text"
}

# Its twin prints less than the program: compared here.
@test "35-packet-sniffer's twin in Python sees the same segments" {
    skip_unless python3
    printf '%s\n' "$udp4" "$tcp4" "$tcp4_back" "$tcp6" \
        "$eth4 4500 0028 0001 $four 03e8 0051 $syn" \
        "$eth4 4500 0028 0001 $four 0050 03e8 00000001 00000001 503f ffff \
0000 0000" >"$BATS_TEST_TMPDIR/frames"
    in_private '
        sniff_with python3 lessons/35-packet-sniffer/twin.py -p 80
        "$inject" <"$BATS_TEST_TMPDIR/frames"
        until_said 1 "URG"
        kill "$sniffer"'
    expect_result 0 ""
    expect_said "capturing on lo" "10.0.0.1:1000 > 10.0.0.2:80 TCP SYN" \
        "10.0.0.1:80 > 10.0.0.2:1000 TCP SYN" \
        "10.0.0.1:80 > 10.0.0.2:1000 TCP FIN SYN RST PSH ACK URG"
}
