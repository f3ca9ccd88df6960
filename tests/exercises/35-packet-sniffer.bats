#!/usr/bin/env bats
# The exercise of 35-packet-sniffer: the handshake in a capture file,
# `35-packet-sniffer FILE`. Each test's name is a requirement, as a learner
# reads it.

load ../lib/exercise

captures=$BUILD/peers/captures

# capture FACE [OPTION...]: a file that nobody has seen before. Sets SEED, and
# FILE; what is to be said of it is in $BATS_TEST_TMPDIR/wanted.
capture() {
    local face=$1
    shift
    SEED=$((RANDOM * 32768 + RANDOM))
    FILE=$BATS_TEST_TMPDIR/capture
    "$captures" -s "$SEED" -a "$BATS_TEST_TMPDIR/wanted" "$@" "$face" \
        >"$FILE" || environment "$captures does not run"
    HAND=("$captures -s $SEED${*:+ $*} $face >$BUILD/capture")
}

# finds FACE [--hint TEXT]: the handshake in a file of that kind.
finds() {
    capture "$1"
    answer "$FILE"
    expect_output "$BATS_TEST_TMPDIR/wanted" "${@:2}"
    expect_status 0 --hint "The handshake was found: end with status 0."
}

# refuses WORD [--hint TEXT]: it is given FILE, prints nothing, and says why
# not. A word that is in its own name, or the file's, is not counted.
refuses() {
    local hint=''
    local -a arguments
    take_options 1 "$@" || return
    answer "$FILE"
    expect_status 1 --hint "$hint"
    expect_output /dev/null --hint "$hint"
    errors=${errors//"$FILE"/}
    errors=${errors//"${PROGRAM##*/}"/}
    expect_stderr "*${arguments[0]}*" --hint "$hint Say so on standard error, \
with these words in the sentence: ${arguments[0]}."
}

plain_hint="A pcap file is a header of 24 bytes; then, for each packet, 16 \
bytes with its time and lengths, and its bytes. Look for SYN, then SYN and \
ACK, then ACK, none of them with RST; other flags, such as PSH, don't matter. Print each time with six digits after \
the point."
six_hint="IPv6 has the same handshake: packet_parse reads both, and \
packet_format_end writes the brackets. Compare all 16 bytes of an address."
slow_hint="1 second and 7 microseconds are 1.000007: six digits, with zeros \
before the 7. The later time may have the smaller fraction, so subtract the \
times and not their parts. Use integers: in a double, 0.001001 may be a little \
less than that. Several seconds in nanoseconds need 64 bits."
fine_hint="The first number of the file tells the unit of its fractions: \
a1b2c3d4 is microseconds, a1b23c4d is nanoseconds. First take the \
difference of the two times, and then cut off what is less than a microsecond."
swapped_hint="The first number of the file is a1b2c3d4 in the byte order of \
the machine that wrote it. If you read d4c3b2a1, swap the bytes of all numbers \
in the headers of the file; those in the packets are in network order as \
always."
unanswered_hint="A SYN counts only if it was answered: by a SYN ACK between \
the same addresses and ports the other way, which acknowledges its number plus \
1. And that answer has to be answered, too, by an ACK; RST is a refusal."
answers_hint="A SYN may be answered by several SYN ACKs with different numbers. \
Try each of them: the handshake is the one whose number plus 1 an ACK behind it \
acknowledges."
crossed_hint="Compare both addresses and both ports, and the numbers: the ACK \
has the SYN's number plus 1, and acknowledges the SYN ACK's number plus 1. Of \
all handshakes, print the one whose SYN comes first."
neighbours_hint="Two machines may use the same ports, and even the same \
numbers: compare the whole addresses, too."
again_hint="A SYN that is lost is sent again with the same number. The program \
that called connect has waited since the first one, so count from that."
wrapped_hint="A sequence number has 32 bits: after 4294967295 comes 0. Use \
uint32_t for the sum, and for what you compare with it."
headers_hint="A packet has two lengths: how many bytes were captured, which \
are in the file, and how many were on the wire. The captured length tells \
where the next packet begins; a packet of which only the headers were captured \
counts too."
stale_hint="This ACK was cut before its flags, so your buffer still has bytes \
of another packet there. Tell packet_parse how much was captured, and skip the \
packet if it returns -1."
largest_hint="A packet may have up to 262144 captured bytes: read it, or skip \
it."
length_hint="Compare a length with the room that you have before you use it. \
It is a number without a sign: as an int, 4294967295 would be -1, which is \
less than any limit."
cut_hint="fread returns how many bytes it has read: fewer are the end of the \
file, or an error. The file may end only between two packets, so print only \
after you have reached its end."
magic_hint="The first four bytes show whether this is a pcap file, and its \
header has 24 bytes. Check both."
type_hint="The last number of the header is the link type: 1 is Ethernet. \
Refuse all others."
none_hint="If you reach the end of the file without all three packets, say \
that there is no handshake, and end with status 1."

@test "finds the handshake of a connection, and prints both addresses with their ports, and the times" {
    local SEED FILE
    finds plain --hint "$plain_hint"
    finds six --hint "$six_hint"
}

@test "reads times in microseconds and in nanoseconds" {
    local SEED FILE
    finds slow --hint "$slow_hint"
    finds fine --hint "$fine_hint"
    finds fine-slow --hint "$fine_hint"
}

@test "reads a file that a machine with the other byte order wrote" {
    local SEED FILE
    finds swapped --hint "$swapped_hint"
    finds fine-swapped --hint "$swapped_hint"
}

@test "passes over a SYN that nobody answered, and over one whose handshake was not completed" {
    local SEED FILE
    finds unanswered --hint "$unanswered_hint"
    finds second-answer --hint "$answers_hint"
    finds first-answer --hint "$answers_hint"
    finds scan --hint "Nobody has answered the first 1500 SYNs of this file. Is \
there room for so many?"
}

@test "takes no packet of another connection for one of these three" {
    local SEED FILE
    finds crossed --hint "$crossed_hint"
    finds neighbours --hint "$neighbours_hint"
    finds six-neighbours --hint "$six_hint"
}

@test "takes the first one if a packet was sent again" {
    local SEED FILE
    finds again --hint "$again_hint"
}

@test "knows that 0 comes after the largest number" {
    local SEED FILE
    finds wrapped --hint "$wrapped_hint"
}

@test "reads packets that were captured only in part, and nothing beyond that part" {
    local SEED FILE
    finds headers --hint "$headers_hint"
    finds nothing-captured --hint "The captured length of a packet may be 0. \
Such a packet is not the end of the file: pass over it."
    finds stale --hint "$stale_hint"
}

@test "refuses a captured length above 262144" {
    local SEED FILE
    finds largest --hint "$largest_hint"
    capture larger
    refuses length --hint "$length_hint"
    capture endless
    refuses length --hint "$length_hint"
}

@test "reports a file that is cut behind its first 24 bytes, even if the handshake comes before that" {
    local SEED FILE size at
    capture plain
    size=$(wc -c <"$FILE")
    # The last packet has 54 bytes, and before them a header of 16.
    for at in $((size - 1 - RANDOM % 53)) $((size - 54)) \
        $((size - 55 - RANDOM % 15)) $((24 + 1 + RANDOM % 15)); do
        capture plain -k "$at"
        refuses cut --hint "$cut_hint"
    done
}

@test "reports a file that it cannot read" {
    local SEED FILE
    capture plain
    printf 'No. Time Source\n%0200d\n' "$RANDOM" >"$FILE"
    HAND=("(echo No. Time; seq 1 99) >$BUILD/capture")
    refuses pcap --hint "$magic_hint"
    printf '\n\r\r\n\034\0\0\0\115\074\053\032%0200d' "$RANDOM" >"$FILE"
    HAND=("printf '\\n\\r\\r\\n%0200d' 0 >$BUILD/capture")
    refuses pcap --hint "$magic_hint"
    : >"$FILE"
    HAND=(": >$BUILD/capture")
    refuses pcap --hint "$magic_hint"
    capture plain -k $((4 + RANDOM % 20))
    refuses pcap --hint "$magic_hint"
    capture wireless
    refuses "link type" --hint "$type_hint"
    FILE=$BATS_TEST_TMPDIR/nowhere
    HAND=()
    refuses "No such file or directory" --hint "fopen returns NULL, and errno \
has the reason: err(3) prints it in words."
}

@test "reports a file without a handshake" {
    local SEED FILE
    capture none
    refuses "no handshake" --hint "$none_hint"
    capture empty
    refuses "no handshake" --hint "$none_hint"
}

@test "reports output that cannot be written, with status 1" {
    local SEED FILE
    capture plain
    by_hand "$PROGRAM $BUILD/capture >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$FILE"
    expect_status 1 --hint "$output_hint"
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer one two
    expect_status 2 --hint "$usage_hint"
}
