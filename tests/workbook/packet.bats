#!/usr/bin/env bats
# common/packet, as tables: frames in hexadecimal digits, and what they say.

load ../lib/common

tell=$BUILD/tests/tell-packet

# Pieces of frames. A header's length and what is in it are its last arguments.
eth4="020000000002 020000000001 0800"
eth6="020000000002 020000000001 86dd"
arp="ffffffffffff 020000000001 0806"
A4=0a000001 B4=0a000002 # 10.0.0.1, 10.0.0.2
A6=fd000000000000000000000000000001 B6=fd000000000000000000000000000002

# four LENGTH PROTOCOL [FRAGMENT [FIRST_BYTE]]: an IPv4 header, 10.0.0.1 to .2
four() {
    printf '%s00 %04x 0001 %s 40 %02x 0000 %s %s' \
        "${4:-45}" "$1" "${3:-0000}" "$2" "$A4" "$B4"
}

# six LENGTH NEXT: an IPv6 header, fd00::1 to fd00::2; LENGTH is of what follows
six() {
    printf '60000000 %04x %02x 40 %s %s' "$1" "$2" "$A6" "$B6"
}

# tcp FLAGS [SEQUENCE ACKNOWLEDGEMENT [OFFSET]]: from 1000 to 80
tcp() {
    printf '03e8 0050 %08x %08x %s0 %02x ffff 0000 0000' \
        "${2:-0}" "${3:-0}" "${4:-5}" "$1"
}

# back FLAGS SEQUENCE ACKNOWLEDGEMENT: from 80 to 1000
back() {
    printf '0050 03e8 %08x %08x 50 %02x ffff 0000 0000' "$2" "$3" "$1"
}

# udp LENGTH: from 1000 to 53
udp() {
    printf '03e8 0035 %04x 0000' "$1"
}

# says_of RESULT FRAME...: that is what all lines of packet_format say of it.
says_of() {
    local wanted=$1
    shift
    frames+="$*"$'\n'
    results+="$wanted"$'\n'
}

# expect_all: what the frames were said to say since the test began.
expect_all() {
    [[ -n $frames ]]
    printf '%s' "$frames" >"$BATS_TEST_TMPDIR/frames"
    bounded "$tell" <"$BATS_TEST_TMPDIR/frames" >"$BATS_TEST_TMPDIR/told"
    diff <(printf '%s' "$results") "$BATS_TEST_TMPDIR/told" >&2
}

frames='' results=''
ends4="10.0.0.1 > 10.0.0.2"
ends6="fd00::1 > fd00::2"
tcp4="10.0.0.1:1000 > 10.0.0.2:80"
tcp6="[fd00::1]:1000 > [fd00::2]:80"
udp4="10.0.0.1:1000 > 10.0.0.2:53"
udp6="[fd00::1]:1000 > [fd00::2]:53"

@test "packet_parse reads TCP, with its flags and all of its numbers" {
    local flag i=0
    for flag in FIN SYN RST PSH; do
        says_of "$tcp4 TCP $flag seq $((i == 1 ? 0 : 1)), 0 bytes" \
            "$eth4 $(four 40 6) $(tcp $((1 << i)))"
        i=$((i + 1))
        expect_all
        frames='' results=''
    done
    says_of "$tcp4 TCP URG seq 1, 0 bytes" "$eth4 $(four 40 6) $(tcp 32)"
    # Two more bits are flags today (RFC 3168), and none that we know.
    says_of "$tcp4 TCP seq 1, 0 bytes" "$eth4 $(four 40 6) $(tcp 192)"
    says_of "$tcp6 TCP FIN SYN RST PSH ACK URG seq 0 ack 1, 0 bytes" \
        "$eth6 $(six 20 6) $(tcp 63)"
    says_of "$tcp4 TCP ACK seq 1 ack 1, 3 bytes" \
        "$eth4 $(four 47 6) $(tcp 16 0 0 6) 01010101 616263"
    says_of "$tcp4 TCP seq 1, 1 byte" "$eth4 $(four 61 6) $(tcp 0 0 0 a)" \
        "0101010101010101010101010101010101010101 61"
    expect_all
    expect_equal numbers "seq 4294967294 ack 2147483649 win 65535" \
        "$("$tell" -e <<<"$eth4 $(four 40 6) $(tcp 16 4294967294 2147483649)" |
            sed -n '$p')"
}

@test "packet_parse reads UDP and ICMP, over IPv4 and IPv6" {
    says_of "$udp4 UDP, 0 bytes" "$eth4 $(four 28 17) $(udp 8)"
    says_of "$udp4 UDP, 2 bytes" "$eth4 $(four 30 17) $(udp 10) 6162"
    says_of "$udp6 UDP, 2 bytes" "$eth6 $(six 10 17) $(udp 10) 6162"
    says_of "$udp4 UDP, 1 byte" "$eth4 $(four 30 17) $(udp 9) 6162"
    says_of "$ends4 ICMP type 8 code 0, 4 bytes" \
        "$eth4 $(four 32 1) 08000000 00000000 61626364"
    says_of "$ends4 ICMP type 3 code 13, 0 bytes" \
        "$eth4 $(four 28 1) 030d0000 00000000"
    says_of "$ends6 ICMPv6 type 128 code 0, 1 byte" \
        "$eth6 $(six 9 58) 80000000 00000000 61"
    expect_all
}

@test "packet_parse tells what it doesn't know from what is damaged" {
    says_of "Ethernet type 0x0806, 4 bytes" "$arp 00010800"
    says_of "Ethernet type 0x0026, 0 bytes" "$A4$A4$A4 0026"
    says_of "$ends4 IP protocol 132, 3 bytes" "$eth4 $(four 23 132) 616263"
    says_of "$ends6 IP protocol 59, 0 bytes" "$eth6 $(six 0 59)"
    # Each version has an ICMP of its own.
    says_of "$ends4 IP protocol 58, 8 bytes" \
        "$eth4 $(four 28 58) 8000000000000000"
    says_of "$ends6 IP protocol 1, 8 bytes" "$eth6 $(six 8 1) 0800000000000000"
    # Encrypted from here on (RFC 4303).
    says_of "$ends6 IP protocol 50, 8 bytes" \
        "$eth6 $(six 8 50) 0600000000000000"
    expect_all
}

@test "packet_parse passes over what stands between the headers it looks for" {
    local option=01010101
    # Options of IPv4, the longest; tags of virtual networks; padding.
    says_of "$udp4 UDP, 1 byte" "$eth4 $(four 33 17 0000 46) $option $(udp 9) 61"
    says_of "$udp4 UDP, 1 byte" "$eth4 $(four 69 17 0000 4f)" \
        "$option$option$option$option$option$option$option$option$option$option" \
        "$(udp 9) 61"
    says_of "$udp4 UDP, 1 byte" \
        "020000000002020000000001 8100 0001 0800 $(four 29 17) $(udp 9) 61"
    says_of "$udp4 UDP, 1 byte" "020000000002020000000001 88a8 0001 8100 0002" \
        "0800 $(four 29 17) $(udp 9) 61"
    says_of "$udp4 UDP, 1 byte" "$eth4 $(four 29 17) $(udp 9) 61 0000000000"
    says_of "$udp6 UDP, 1 byte" "$eth6 $(six 9 17) $(udp 9) 61 0000000000"
    # Headers of IPv6: hop by hop, routing, destination, authentication.
    says_of "$udp6 UDP, 1 byte" "$eth6 $(six 17 0) 1100010400000000 $(udp 9) 61"
    says_of "$udp6 UDP, 1 byte" "$eth6 $(six 25 43)" \
        "11010000 00000000 0000000000000000 $(udp 9) 61"
    says_of "$udp6 UDP, 1 byte" "$eth6 $(six 25 51)" \
        "11020000 00000000 0000000000000000 $(udp 9) 61"
    says_of "$udp6 UDP, 1 byte" "$eth6 $(six 25 0)" \
        "3c00010400000000 1100010400000000 $(udp 9) 61"
    expect_all
}

@test "packet_parse takes a fragment for what it is" {
    # The first has the ports, and a length beyond itself; the others don't.
    says_of "$udp4 UDP, a fragment, 8 bytes" \
        "$eth4 $(four 36 17 2000) $(udp 100) 6162636465666768"
    says_of "$ends4 IP protocol 17, a fragment, 8 bytes" \
        "$eth4 $(four 28 17 2001) $(udp 100)"
    says_of "$ends4 IP protocol 6, a fragment, 1 byte" \
        "$eth4 $(four 21 6 1fff) 61"
    # Not to be taken apart (0x4000) is not taken apart.
    says_of "$udp4 UDP, 1 byte" "$eth4 $(four 29 17 4000) $(udp 9) 61"
    says_of "$udp6 UDP, a fragment, 8 bytes" "$eth6 $(six 24 44)" \
        "11000001 00000001 $(udp 100) 6162636465666768"
    says_of "$ends6 IP protocol 17, a fragment, 8 bytes" \
        "$eth6 $(six 16 44) 11000008 00000001 $(udp 100)"
    # In a later one, what would be a header is not (RFC 8200, 4.5).
    says_of "$ends6 IP protocol 0, a fragment, 8 bytes" \
        "$eth6 $(six 16 44) 00000009 00000001 1100010400000000"
    # All of it in one: no fragment (RFC 6946). Its length says nothing of it.
    says_of "$udp6 UDP, 1 byte" \
        "$eth6 $(six 17 44) 11ff0006 00000001 $(udp 9) 61"
    expect_all
}

@test "packet_parse says which length is damaged" {
    says_of "Ethernet type 0x0800: an IPv4 header of another version" \
        "$eth4 $(four 20 17 0000 65)"
    says_of "Ethernet type 0x86dd: an IPv6 header of another version" \
        "$eth6 4$(six 0 59 | cut -c 2-)"
    says_of "$ends4 IP protocol 17: an IPv4 header of under 20 bytes" \
        "$eth4 $(four 28 17 0000 44) $(udp 8)"
    says_of "$ends4 IP protocol 17: an IPv4 length below its header's" \
        "$eth4 $(four 19 17) $(udp 8)"
    says_of "$ends4 IP protocol 17: an IPv4 length below its header's" \
        "$eth4 $(four 23 17 0000 46) $(udp 8)"
    says_of "$ends4 IP protocol 17: an IPv4 length beyond the frame" \
        "$eth4 $(four 29 17) $(udp 8)"
    says_of "$ends6 IP protocol 17: an IPv6 length beyond the frame" \
        "$eth6 $(six 9 17) $(udp 8)"
    says_of "10.0.0.1:0 > 10.0.0.2:0 TCP: too short for its TCP header" \
        "$eth4 $(four 39 6) $(tcp 2)"
    says_of "$tcp4 TCP: a TCP header of under 20 bytes" \
        "$eth4 $(four 40 6) $(tcp 2 0 0 4)"
    says_of "$tcp4 TCP: too short for its TCP header" \
        "$eth4 $(four 40 6) $(tcp 2 0 0 6) 01010101"
    says_of "10.0.0.1:0 > 10.0.0.2:0 UDP: too short for its UDP header" \
        "$eth4 $(four 27 17) $(udp 8)"
    says_of "$udp4 UDP: a UDP length of under 8 bytes" \
        "$eth4 $(four 28 17) $(udp 7)"
    says_of "$udp4 UDP: a UDP length beyond its packet" \
        "$eth4 $(four 28 17) $(udp 9) 61"
    says_of "$ends4 ICMP: too short for its ICMP header" \
        "$eth4 $(four 27 1) 08000000 00000000"
    says_of "$ends6 IP protocol 0: too short for its IPv6 extension header" \
        "$eth6 $(six 7 0) 11000104000000"
    says_of "$ends6 IP protocol 0: too short for its IPv6 extension header" \
        "$eth6 $(six 9 0) 1101010400000000 61"
    says_of "Ethernet type 0x0000: too short for its tag of a virtual network" \
        "020000000002020000000001 8100 0001 08"
    expect_all
}

@test "packet_parse says how much of a payload was captured, and more is none" {
    says_of "$udp4 UDP, 4 bytes, cut after 3" \
        "45/46 $eth4 $(four 32 17) $(udp 12) 61626364"
    says_of "$udp4 UDP, 4 bytes, cut after 0" \
        "42/46 $eth4 $(four 32 17) $(udp 12) 61626364"
    says_of "Ethernet type 0x0806, 46 bytes, cut after 4" "18/60 $arp 00010800"
    # The cut is in the padding.
    says_of "$udp4 UDP, 1 byte" "46/60 $eth4 $(four 29 17) $(udp 9) 61626364"
    # A length that is less than what is there is not believed.
    says_of "$udp4 UDP, 4 bytes" "46/20 $eth4 $(four 32 17) $(udp 12) 61626364"
    expect_all
}

# every_length FRAME CUT DAMAGED: what it says of all beginnings of a frame.
every_length() {
    "$tell" -e <<<"$1" >"$BATS_TEST_TMPDIR/told"
    expect_equal "cut" "$2" "$(sed -n 1p "$BATS_TEST_TMPDIR/told")"
    expect_equal "damaged" "$3" "$(sed -n 2p "$BATS_TEST_TMPDIR/told")"
}

@test "packet_parse reads no byte more than there is, cut where it may be" {
    every_length "$eth4 $(four 47 6) $(tcp 16 0 0 6) 01010101 616263" \
        "0 cut in the Ethernet header; 14 cut in the IPv4 header; \
34 cut in the TCP header; 58 no flaw" \
        "0 too short for an Ethernet header; 14 too short for its IPv4 header; \
34 an IPv4 length beyond the frame; 61 no flaw"
    every_length "$eth4 $(four 33 17 0000 46) 01010101 $(udp 9) 61" \
        "0 cut in the Ethernet header; 14 cut in the IPv4 header; \
38 cut in the UDP header; 46 no flaw" \
        "0 too short for an Ethernet header; 14 too short for its IPv4 header; \
34 an IPv4 length beyond the frame; 47 no flaw"
    every_length "020000000002020000000001 8100 0001 0800 $(four 28 1) \
0800000000000000" \
        "0 cut in the Ethernet header; 14 cut in a tag of a virtual network; \
18 cut in the IPv4 header; 38 cut in the ICMP header; 46 no flaw" \
        "0 too short for an Ethernet header; \
14 too short for its tag of a virtual network; \
18 too short for its IPv4 header; 38 an IPv4 length beyond the frame; \
46 no flaw"
    every_length "$eth6 $(six 44 0) 3c00010400000000 0601000000000000\
0000000000000000 $(tcp 2)" \
        "0 cut in the Ethernet header; 14 cut in the IPv6 header; \
54 cut in an IPv6 extension header; 78 cut in the TCP header; 98 no flaw" \
        "0 too short for an Ethernet header; 14 too short for its IPv6 header; \
54 an IPv6 length beyond the frame; 98 no flaw"
}

# What Linux sends to itself with BIG TCP: a length of 0, and for IPv6 perhaps
# the jumbo payload option (c2) of RFC 2675.
@test "packet_parse takes all of a frame that is too long for its length field" {
    local ports4="10.0.0.1:1000 > 10.0.0.2:80 TCP ACK seq 1 ack 1"
    local ports6="[fd00::1]:1000 > [fd00::2]:80 TCP ACK seq 1 ack 1"
    says_of "$ports4, 69996 bytes, cut after 0" \
        "54/70050 $eth4 $(four 0 6) $(tcp 16 1 1)"
    says_of "$ports4, 65496 bytes, cut after 0" \
        "54/65550 $eth4 $(four 0 6) $(tcp 16 1 1)"
    says_of "$ports6, 69976 bytes, cut after 0" \
        "74/70050 $eth6 $(six 0 6) $(tcp 16 1 1)"
    says_of "$ports6, 69968 bytes, cut after 0" \
        "82/70050 $eth6 $(six 0 0) 0600c20400011158 $(tcp 16 1 1)"
    # A length of 65535 needs no such way out.
    says_of "$ends4 IP protocol 6: an IPv4 length below its header's" \
        "54/65549 $eth4 $(four 0 6) $(tcp 16 1 1)"
    says_of "$ends6 IP protocol 59, 0 bytes" "74/65589 $eth6 $(six 0 59) $(tcp 16)"
    expect_all
}

@test "packet_make_relative makes numbers relative, each end's to its own first one" {
    local four six other
    four="$eth4 $(four 40 6)"
    six="$eth6 $(six 20 6)"
    says_of "$tcp4 TCP SYN seq 0, 0 bytes" "$four $(tcp 2 4294967295)"
    says_of "10.0.0.1:80 > 10.0.0.2:1000 TCP SYN ACK seq 0 ack 1, 0 bytes" \
        "$four $(back 18 500 7)"
    expect_all
    frames='' results=''
    # The same ends, each way: the addresses are turned round with the ports.
    A4=0a000002 B4=0a000001
    other="$eth4 $(four 40 6)"
    says_of "$tcp4 TCP SYN seq 0, 0 bytes" "$four $(tcp 2 4294967295)"
    says_of "10.0.0.2:80 > 10.0.0.1:1000 TCP SYN ACK seq 0 ack 1, 0 bytes" \
        "$other $(back 18 500 0)"
    says_of "$tcp4 TCP ACK seq 1 ack 1, 0 bytes" "$four $(tcp 16 0 501)"
    says_of "10.0.0.2:80 > 10.0.0.1:1000 TCP FIN ACK seq 9 ack 1001, 0 bytes" \
        "$other $(back 17 509 1000)"
    # IPv6 is another connection; here nobody has seen how it began.
    says_of "$tcp6 TCP ACK seq 1 ack 1, 0 bytes" "$six $(tcp 16 700 800)"
    says_of "$tcp6 TCP ACK seq 11 ack 21, 0 bytes" "$six $(tcp 16 710 820)"
    # The same ends begin anew, and are refused.
    says_of "$tcp4 TCP SYN seq 0, 0 bytes" "$four $(tcp 2 12345)"
    says_of "10.0.0.2:80 > 10.0.0.1:1000 TCP RST ACK seq 1 ack 1, 0 bytes" \
        "$other $(back 20 0 12346)"
    # A reset without ACK acknowledges nothing.
    says_of "$tcp4 TCP RST seq 1, 0 bytes" "$four $(tcp 4 12346)"
    expect_all
}

@test "packet_make_relative remembers 64 connections, and forgets the oldest" {
    local i frame
    for ((i = 0; i <= 64; i++)); do
        printf -v frame '%s %04x 0050 00000064 00000000 5002 ffff 0000 0000' \
            "$eth4 $(four 40 6)" "$((2000 + i))"
        says_of "10.0.0.1:$((2000 + i)) > 10.0.0.2:80 TCP SYN seq 0, 0 bytes" \
            "$frame"
        printf -v frame '%s %04x 0050 00000065 000000c9 5010 ffff 0000 0000' \
            "$eth4 $(four 40 6)" "$((2000 + i))"
        says_of "10.0.0.1:$((2000 + i)) > 10.0.0.2:80 TCP ACK seq 1 ack 1, \
0 bytes" "$frame"
    done
    # The second is still known by its SYN, 100; the first is not.
    for i in 1 0; do
        printf -v frame '%s %04x 0050 0000006e 000000c9 5010 ffff 0000 0000' \
            "$eth4 $(four 40 6)" "$((2000 + i))"
        says_of "10.0.0.1:$((2000 + i)) > 10.0.0.2:80 TCP ACK \
seq $((i == 1 ? 10 : 1)) ack 1, 0 bytes" "$frame"
    done
    expect_all
}
