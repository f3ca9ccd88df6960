#!/usr/bin/env bats
# lessons/36-xray/control and peer: what a message on a UNIX socket carries, and
# to whom it goes, by tables.

load ../lib/common

setup() {
    # The kernel lays both out as this machine does.
    [[ $(printf '\1\0' | od -An -t u2) -eq 1 ]] || skip "this machine is big-endian"
    [[ $(getconf LONG_BIT) == 64 ]] || skip "this machine has no 64 bits"
}

# number BYTES VALUE: it in hexadecimal, the lowest byte first.
number() {
    local i
    for ((i = 0; i < $1; i++)); do
        printf %02x $(($2 >> (8 * i) & 255))
    done
}

# part LEVEL TYPE BYTES: a part of control data, up to where the next begins.
part() {
    local bytes=$3
    number 8 $((16 + ${#bytes} / 2))
    number 4 "$1"
    number 4 "$2"
    while ((${#bytes} % 16)); do
        bytes+=00
    done
    printf %s "$bytes"
}

tells() {
    expect_equal "$2 ${3:0:80}" "$1" "$("$BUILD/tests/tell-message" "${@:2}")"
}

@test "control_parse finds the descriptors and the sender of a message" {
    local one two three many i
    one=$(number 4 7)
    two=$one$(number 4 20)
    tells "" control ""
    tells " + descriptor 7" control "$(part 1 1 "$one")"
    tells " + descriptors 7, 20" control "$(part 1 1 "$two")"
    tells " + descriptors 7, 7, 20" control "$(part 1 1 "$one")$(part 1 1 "$two")"
    three=$(number 4 1234)$(number 4 0)$(number 4 0)
    tells " + process 1234" control "$(part 1 2 "$three")"
    tells " + descriptor 7 + process 1234" control \
        "$(part 1 2 "$three")$(part 1 1 "$one")"
    tells " + other control data" control "$(part 0 8 "$one")"
    tells " + other control data" control "$(part 1 29 "$three")"
    many=''
    for i in {1..8}; do
        many+=$(number 4 "$i")
    done
    tells " + descriptors 1, 2, 3, 4, 5, 6, 7, 8" control "$(part 1 1 "$many")"
    tells " + descriptors 1, 2, 3, 4, 5, 6, 7, 8 ..." control \
        "$(part 1 1 "$many$one")"
}

@test "control_parse takes no byte that is not there" {
    local whole i
    whole=$(part 1 1 "$(number 4 7)")
    for ((i = 0; i < 20; i++)); do
        tells "" control "${whole:0:2 * i}"
    done
    # A last part needs no room behind its data.
    tells " + descriptor 7" control "${whole:0:40}"
    # A length below its header's, beyond what is there, or as large as may be.
    tells "" control "$(number 8 15)${whole:16}"
    tells "" control "$(number 8 0)${whole:16}"
    tells "" control "$(number 8 25)${whole:16}"
    tells "" control "$(number 8 -1)${whole:16}"
    # Bytes that are no whole descriptor, and credentials that are cut.
    tells "" control "$(part 1 1 070000)"
    tells "" control "$(part 1 2 "$(number 4 7)")"
}

# answer TYPE BYTES: a message of netlink.
answer() {
    number 4 $((16 + ${#2} / 2))
    number 2 "$1"
    number 2 0
    number 8 0
    printf %s "$2"
}

@test "peer_parse finds the peer in the kernel's answer" {
    local found peer other
    found=01010100$(number 4 99)$(number 8 0)
    peer=$(number 2 8)$(number 2 2)$(number 4 4711)
    other=$(number 2 5)$(number 2 6)00000000
    tells 4711 peer "$(answer 20 "$found$peer")"
    tells 4711 peer "$(answer 20 "$found$other$peer")"
    tells 0 peer "$(answer 20 "$found")"
    tells 0 peer "$(answer 20 "$found$other")"
    # The socket is of another network; and an error.
    tells 0 peer "$(answer 2 "$(number 4 -2)")"
    tells "Operation not permitted" peer "$(answer 2 "$(number 4 -1)")"
    # Cut, damaged, or another message.
    local protocol="Protocol error"
    tells "$protocol" peer ""
    tells "$protocol" peer "$(answer 20 "")"
    tells "$protocol" peer "$(answer 3 "$found$peer")"
    tells "$protocol" peer "$(answer 2 0000)"
    tells "$protocol" peer "$(answer 2 "$(number 4 0)")"
    found=$(answer 20 "$found$peer")
    tells "$protocol" peer "${found:0:-2}"
    found=${found:0:64}
    found=$(number 4 $((${#found} / 2 + 8)))${found:8}
    for other in 0 3 9 65535; do
        tells 0 peer "$found$(number 2 "$other")$(number 2 2)$(number 4 4711)"
    done
}
