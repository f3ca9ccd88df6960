#!/usr/bin/env bats
# lessons/36-xray/control, peer, report and group: what a message on a UNIX socket
# carries, to whom it goes, and what is told of multicast groups, by tables.

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
    tells " and 24 bytes of control" control "$(part 0 8 "$one")"
    tells " and 56 bytes of control" control "$(part 0 8 "$one")$(part 1 29 "$three")"
    tells " + descriptor 7 and 32 bytes of control" control \
        "$(part 1 1 "$one")$(part 1 29 "$three")"
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

# frame_of_igmp BYTES, frame_of_mld TYPE BYTES: Ethernet, IP, and these.
frame_of_igmp() {
    printf '%024d0800' 0
    printf '4600%04x000040000102' $((24 + ${#1} / 2))
    printf '00007f000001e000001694040000%s' "$1"
}

frame_of_mld() {
    printf '%024d86dd60000000' 0
    printf '%04x0001' $((16 + ${#2} / 2))
    printf '%032dff020000000000000000000000000016' 0
    printf '3a00050200000100%02x00000000000001%s' "$1" "$2"
}

@test "report_parse names what a host tells of its groups" {
    local group=ef010203 all6=ff120000000000000000000000001234 type
    tells "IGMPv1 report: joins 239.1.2.3" report "$(frame_of_igmp "12000000$group")"
    tells "IGMPv2 report: joins 239.1.2.3" report "$(frame_of_igmp "16000000$group")"
    tells "IGMPv2 leave: leaves 239.1.2.3" report "$(frame_of_igmp "17000000$group")"
    tells "IGMP query: who is in 239.1.2.3" report "$(frame_of_igmp "11640000$group")"
    tells "IGMP query" report "$(frame_of_igmp 1164000000000000)"
    tells "IGMPv3 report: joins 239.1.2.3" report \
        "$(frame_of_igmp "220000000000000104000000$group")"
    # What each type of record means, without sources and with one.
    local -a verbs=([1]=leaves [2]="is in" [3]=leaves [4]=joins [5]=joins [6]=leaves)
    for type in "${!verbs[@]}"; do
        tells "IGMPv3 report: ${verbs[type]} 239.1.2.3" report \
            "$(frame_of_igmp "22000000000000010${type}000000$group")"
    done
    for type in 1:"is in" 3:joins; do
        tells "IGMPv3 report: ${type#*:} 239.1.2.3" report \
            "$(frame_of_igmp "22000000000000010${type%:*}000001${group}7f000001")"
    done
    # Sources and additional data are passed over.
    tells "IGMPv3 report: joins 239.1.2.3, leaves 239.1.2.4" report \
        "$(frame_of_igmp "220000000000000204010001${group}7f0000010000000003000000ef010204")"
    tells "MLDv1 report: joins ff12::1234" report "$(frame_of_mld 131 "$all6")"
    tells "MLDv1 done: leaves ff12::1234" report "$(frame_of_mld 132 "$all6")"
    tells "MLD query: who is in ff12::1234" report "$(frame_of_mld 130 "$all6")"
    tells "MLD query" report "$(frame_of_mld 130 "$(printf %032d 0)")"
    tells "MLDv2 report: joins ff12::1234, leaves ff12::1234" report \
        "$(frame_of_mld 143 "04000000${all6}03000000$all6")"
}

@test "report_parse takes no byte that is not there" {
    local group=ef010203 record=04000000ef010203 whole i
    whole=220000000000000104000000$group
    tells "IGMPv3 report" report "$(frame_of_igmp "${whole:0:16}")"
    tells "IGMPv3 report" report "$(frame_of_igmp "${whole:0:30}")"
    tells "no report" report "$(frame_of_igmp "${whole:0:14}")"
    tells "no report" report "$(frame_of_igmp "99000000$group")"
    # More sources than there are: the group is whole.
    tells "IGMPv3 report: joins 239.1.2.3" report \
        "$(frame_of_igmp "220000000000000104ffffff$group")"
    tells "IGMPv3 report: joins 239.1.2.3, joins 239.1.2.3, joins 239.1.2.3, \
joins 239.1.2.3 ..." report \
        "$(frame_of_igmp "2200000000000005$record$record$record$record$record")"
    tells "no report" report "$(frame_of_mld 128 "")"
    tells "MLDv1 report" report "$(frame_of_mld 131 ff12)"
    # The frame is cut anywhere.
    whole=$(frame_of_igmp "$whole")
    for ((i = 0; i < ${#whole}; i += 2)); do
        tells "no report" report "${whole:0:i}"
    done
}

@test "group_parse reads each option that joins or leaves a group" {
    local group=ef010203 on=7f000001 six=ff120000000000000000000000001234 any
    tells "joins 239.1.2.3 on 127.0.0.1" group 0 35 "$group$on"
    tells "leaves 239.1.2.3 on 127.0.0.1" group 0 36 "$group$on"
    tells "joins 239.1.2.3" group 0 35 "${group}00000000"
    tells "joins 239.1.2.3 on interface 7" group 0 35 "$group$on$(number 4 7)"
    tells "joins 239.1.2.3 on 127.0.0.1" group 0 39 "$group${on}7f000002"
    tells "leaves 239.1.2.3 on 127.0.0.1" group 0 40 "$group${on}7f000002"
    tells "joins ff12::1234 on interface 1" group 41 20 "$six$(number 4 1)"
    tells "leaves ff12::1234" group 41 21 "$six$(number 4 0)"
    # struct group_req: the interface, then an address of any family.
    any=$(number 8 1)$(number 2 2)1234$group
    any+=$(printf "%0$((272 - ${#any}))d" 0)
    tells "joins 239.1.2.3 on interface 1" group 0 42 "$any"
    tells "leaves 239.1.2.3 on interface 1" group 0 45 "$any"
    any=$(number 8 1)$(number 2 10)123400000000$six
    any+=$(printf "%0$((272 - ${#any}))d" 0)
    tells "joins ff12::1234 on interface 1" group 41 42 "$any"
    tells "no group" group 0 42 "${any:0:270}"
    tells "no group" group 0 42 "$(printf %0272d 0)"
    # Other options, another level, and too few bytes.
    tells "no group" group 0 33 "$group$on"
    tells "no group" group 6 35 "$group$on"
    tells "no group" group 0 35 "${group}7f0000"
    tells "no group" group 0 39 "$group$on"
    tells "no group" group 41 20 "$six"
}
