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
    FILE=$BATS_TEST_TMPDIR/$face
    "$captures" -s "$SEED" -a "$BATS_TEST_TMPDIR/wanted" "$@" "$face" \
        >"$FILE" || environment "$captures does not run"
    HAND=("$captures -s $SEED${*:+ $*} $face >/tmp/capture")
}

# look: the learner's program is given FILE.
look() {
    local written=${#HAND[@]}
    answer "$FILE"
    HAND[written]=${HAND[written]//"$FILE"//tmp/capture}
}

# finds FACE: the handshake in a file of that kind.
finds() {
    capture "$1"
    look
    expect_output "$BATS_TEST_TMPDIR/wanted"
    expect_status 0
}

# refuses WORD: it is given FILE, prints nothing, and says why not. A word that
# is in its own name, or the file's, is not counted.
refuses() {
    look
    expect_status 1
    expect_output /dev/null
    errors=${errors//"$FILE"/}
    errors=${errors//"${PROGRAM##*/}"/}
    expect_stderr "*$1*"
}

@test "finds the handshake of a connection, and prints ends and times" {
    local SEED FILE
    hint "a pcap file is a header of 24 bytes; then, for each packet, 16 bytes \
that say when it came and how long it is, and its bytes. Not all packets are \
TCP, and not all TCP begins in the file: look for SYN; SYN and ACK; ACK; and \
none of them with RST. A time has six digits behind its point, zeros and all."
    finds plain
    hint "IPv6 is a handshake like any other: packet_parse reads both, and \
packet_format_end writes the brackets. An address has 16 bytes to compare."
    finds six
}

@test "reads times in microseconds and in nanoseconds" {
    local SEED FILE
    hint "a time is seconds and a fraction: 1 second and 7 microseconds are \
1.000007, six digits, with zeros before the 7. And the fraction of a later \
time can be the smaller one: subtract the times, not their parts."
    finds slow
    hint "the first number of the file tells the unit of its fractions: \
a1b2c3d4 microseconds, a1b23c4d nanoseconds. What is less than a microsecond \
is cut off."
    finds fine
    finds fine-slow
}

@test "reads a file that a machine with the other byte order wrote" {
    local SEED FILE
    hint "the first number of the file is a1b2c3d4, in the order of bytes of \
who wrote it. If it reads d4c3b2a1, all numbers in the file's own headers are \
to be turned round; those in the packets are in network order as ever."
    finds swapped
    finds fine-swapped
}

@test "passes over a SYN that nobody answered, or that came to nothing" {
    local SEED FILE
    hint "a SYN is a question. It was answered by the SYN ACK that goes the \
other way between the same two addresses and ports, and acknowledges its \
number plus 1; RST is a refusal. And that answer has to be answered, too."
    finds unanswered
}

@test "takes no packet of another connection for one of these three" {
    local SEED FILE
    hint "many connections are opened at once, and packets of older ones come \
late. Compare all four: both addresses, both ports; and the numbers: the ACK's \
is the SYN's plus 1, and it acknowledges the SYN ACK's plus 1. The handshake \
asked for is the one whose SYN comes first."
    finds crossed
}

@test "counts from the first of packets that were sent again" {
    local SEED FILE
    hint "a SYN that is lost is sent again, a second later, with the same \
number. Whoever called connect has waited since the first one."
    finds again
}

@test "knows that 0 comes after the largest number" {
    local SEED FILE
    hint "a sequence number has 32 bits: 4294967295 plus 1 is 0. Compute with \
uint32_t, and what you compare is one, too."
    finds wrapped
}

@test "reads packets of which a part was captured, and nothing beyond that" {
    local SEED FILE
    hint "a packet has two lengths: what was captured stands in the file, and \
only that; what it had on the wire is often more. The captured one tells where \
the next packet begins. Its headers are there: it counts."
    finds headers
    hint "this ACK was cut before its flags. What your buffer has there is of \
another packet: packet_parse has to know how much was captured. Where it \
returns -1, pass over the packet."
    finds stale
}

@test "believes no length above 262144" {
    local SEED FILE
    hint "262144 bytes are as much as anybody captures: as long as that, a \
packet is to be read, or read over."
    finds largest
    hint "compare a length with what you have room for, before you use it. It \
is a number without a sign: as an int, 4294967295 is -1, and less than that."
    capture larger
    refuses length
    capture endless
    refuses length
}

@test "says so when a file is cut, wherever that is" {
    local SEED FILE size at
    capture plain
    size=$(wc -c <"$FILE")
    hint "fread returns how much it has read: less is the end of the file, or \
an error. Only an end between two packets is a good one, and only when you \
have come there do you know: print after that."
    # The last packet has 54 bytes, and before them a header of 16.
    for at in $((size - 1 - RANDOM % 53)) $((size - 54)) \
        $((size - 55 - RANDOM % 15)) $((24 + 1 + RANDOM % 15)); do
        capture plain -k "$at"
        refuses cut
    done
}

@test "says so when a file is none that it can read" {
    local SEED FILE
    capture plain
    FILE=$BATS_TEST_TMPDIR/text
    hint "the first four bytes tell whether it is a pcap file, if there are as \
many as its header has."
    printf 'No. Time Source\n%0200d\n' "$RANDOM" >"$FILE"
    HAND=("(echo No. Time; seq 1 99) >/tmp/capture")
    refuses pcap
    printf '\n\r\r\n\034\0\0\0\115\074\053\032%0200d' "$RANDOM" >"$FILE"
    HAND=("printf '\\n\\r\\r\\n%0200d' 0 >/tmp/capture")
    refuses pcap
    : >"$FILE"
    HAND=(": >/tmp/capture")
    refuses pcap
    capture plain -k $((4 + RANDOM % 20))
    refuses pcap
    hint "the last number of the header says what the packets begin with: 1 is \
Ethernet, all others are strangers."
    capture wireless
    refuses "link type"
    hint "fopen says why, in errno: err prints it."
    FILE=$BATS_TEST_TMPDIR/nowhere
    HAND=()
    refuses "No such file or directory"
}

@test "says so when there is no handshake" {
    local SEED FILE
    hint "at the end of the file, have all three been found?"
    capture none
    refuses "no handshake"
    capture empty
    refuses "no handshake"
}

@test "says so when standard output cannot be written" {
    local SEED FILE
    capture plain
    HAND+=("$PROGRAM /tmp/capture >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" "$FILE" >/dev/full 2>"$BATS_TEST_TMPDIR/err" \
        </dev/null 3>&- || status=$?
    hint "what you print waits in a buffer until fflush, which returns what \
became of it."
    expect_status 1
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "what you were given to start with does this."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer one two
    expect_status 2
}
