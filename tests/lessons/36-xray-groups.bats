#!/usr/bin/env bats
# 36-xray and multicast: one datagram that arrives at several actors.

load ../lib/common
load ../lib/xray

setup() {
    skip_unless python3
    python=$(python3 -c 'import sys; print(sys.executable)')
    cat >"$BATS_TEST_TMPDIR/group.py" <<'END'
import os
import signal
import socket
import struct
import sys

what, group, bound = sys.argv[1:4]
six = ":" in group
family = socket.AF_INET6 if six else socket.AF_INET
address = socket.inet_pton(family, group)
lo = socket.if_nametoindex("lo")
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if six:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, lo)
else:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                 socket.inet_aton("127.0.0.1"))
if what not in ("say", "ask"):
    s.bind((bound, 5007))
if what in ("join", "self", "answer"):
    if six:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                     address + struct.pack("@I", lo))
    else:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     address + socket.inet_aton("127.0.0.1"))
if what == "strict":
    s.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
if what in ("say", "ask", "self"):
    s.sendto(b"hello", (group, 5007))
if what == "self":
    s.recvfrom(100)
elif what == "once":
    s.close()
    print("listening on nothing", flush=True)
    signal.pause()
elif what == "end":
    os._exit(0)
elif what == "ask":
    s.recvfrom(100)
    s.recvfrom(100)
elif what != "say":
    print("listening on %s:5007" % group, flush=True)
    _, asker = s.recvfrom(100)
    if what == "answer":
        s.sendto(b"here", asker)
END
}

# scene GROUP ACTOR WHAT BOUND...: a line for each three words, and who says.
scene() {
    local group=$1
    shift
    while (($# > 0)); do
        echo "$1: $python $BATS_TEST_TMPDIR/group.py $2 $group $3"
        shift 3
    done
    echo "say: $python $BATS_TEST_TMPDIR/group.py say $group -"
}

# receivers WHO...: the arrows of the datagram lead to these, and these receive
# it, since arrows alone could be wrong.
receivers() {
    expect_equal arrows "$(printf 'say > %s\n' "$@")" \
        "$(wires | grep UDP | cut -f 1)"
    [[ $1 != others ]] || set --
    expect_equal "who receives" "$(printf '%s\n' "$@")" \
        "$(sed -nE 's/^([a-z]+)\trecvfrom\(.* = 5 "hello".*/\1/p' "$OUT" | sort)"
}

wires() {
    grep ^wire "$OUT" | cut -f 2-
}

@test "36-xray draws a datagram to a group at each actor that it arrives at" {
    local group=239.255.0.1
    draw -l < <(scene "$group" ann join "$group" bob join 0.0.0.0 tom join "$group")
    expect_result 0 ""
    expect_equal wires "ann > routers	IGMPv3 report: joins $group
say > ann	UDP \"hello\" to $group:5007
say > bob	UDP \"hello\"
say > tom	UDP \"hello\"" "$(wires | grep -v leaves)"
    has "setsockopt(3 udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, $group on 127.0.0.1) = 0"
    has 'setsockopt(3 udp, IPPROTO_IP, IP_MULTICAST_IF, 127.0.0.1) = 0'
    # In one order of time: the report before the next actor begins.
    awk -F '\t' '/report: joins/ { joins = NR } $1 == "bob" { exit !joins }' "$OUT"
}

@test "36-xray draws one datagram as one, however many arrows it has" {
    local group=239.255.0.1 picture=$BATS_TEST_TMPDIR/picture
    COLUMNS=80 draw -s "$picture.svg" -o "$picture" \
        < <(scene "$group" ann join "$group" bob join "$group")
    expect_result 0 ""
    grep -qE '^ +[0-9.]+  \|-+ UDP "hello" -{10,}>#' "$picture"
    grep -qE "^ {9}\| +to $group:5007 +#" "$picture"
    grep -qE '^ {9}\|- the same datagram ->#' "$picture"
    grep -qE '^ +[0-9.]+  .*# -> IGMPv3 report:' "$picture"
    has '>the same datagram</text>' "$picture.svg"
    has ">to $group:5007</text>" "$picture.svg"
    has ">-&gt; IGMPv3 report: joins $group</text>" "$picture.svg"
    expect_equal arrows 2 "$(grep -c '<path class="a"' "$picture.svg")"
}

@test "36-xray draws no arrow to a socket that a datagram does not arrive at" {
    local group=239.255.0.1
    # Bound to another group; closed; joined nothing and hears only its own.
    draw -l < <(scene "$group" ann join "$group" bob join 239.255.0.2 tom strict 0.0.0.0)
    receivers ann
    # Who has joined nothing hears what others have joined: IP_MULTICAST_ALL.
    draw -l < <(scene "$group" ann join "$group" bob listen 0.0.0.0)
    receivers ann bob
    # One has closed its socket, one has ended.
    draw -l < <(scene "$group" ann join "$group" bob once 0.0.0.0 tom end 0.0.0.0)
    receivers ann
    # Nobody has joined it. A busy machine needs more time until it is sent.
    draw -t 1 -l < <(scene "$group" ann listen 0.0.0.0)
    grep -q others "$OUT" || draw -t 4 -l < <(scene "$group" ann listen 0.0.0.0)
    receivers others
}

@test "36-xray draws each answer from the actor that sends it" {
    local group=239.255.0.1
    # All sockets of those who answer have the same address and port.
    draw -l < <(scene "$group" ann answer "$group" bob answer "$group" |
        sed 's/ say / ask /')
    expect_result 0 ""
    expect_equal answers $'ann > say\nbob > say' \
        "$(wires | grep '"here"' | cut -f 1 | sort)"
    lacks others
}

@test "36-xray draws a datagram that its sender hears itself" {
    draw -l -c "$python" "$BATS_TEST_TMPDIR/group.py" self 239.255.0.1 0.0.0.0
    expect_result 0 ""
    has $'wire\tprogram > program\tUDP "hello" to 239.255.0.1:5007'
    draw -c "$python" "$BATS_TEST_TMPDIR/group.py" self 239.255.0.1 0.0.0.0
    [[ $(head -n 1 "$OUT") =~ ^\ *ms\ +program$ ]]
}

@test "36-xray draws a broadcast at each actor that is bound to its port" {
    draw -l < <(scene 127.255.255.255 ann listen 0.0.0.0 bob listen 0.0.0.0)
    expect_result 0 ""
    receivers ann bob
}

@test "36-xray names the reports of MLD, and draws IPv6 groups" {
    local group=ff15::1234
    skip_unless ip
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    need_tracing
    scene "$group" ann join :: bob join :: >"$BATS_TEST_TMPDIR/scene"
    # shellcheck disable=SC2016 # for that shell
    try "$BUILD/tests/private" sh -c \
        'ip -6 route add local ff00::/8 dev lo table local && exec "$0" -l "$1"' \
        "$xray" "$BATS_TEST_TMPDIR/scene"
    expect_result 0 ""
    expect_equal wires "ann > routers	MLDv2 report: joins $group
say > ann	UDP \"hello\" to [$group]:5007
say > bob	UDP \"hello\"" "$(wires | grep -v leaves)"
    has 'IPPROTO_IPV6, IPV6_JOIN_GROUP, ff15::1234 on interface 1) = 0'
}

@test "36-xray tells a report of leaving, but not the same one twice" {
    cat >"$BATS_TEST_TMPDIR/leave.py" <<'END'
import select, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
which = socket.inet_aton("239.255.0.1") + socket.inet_aton("127.0.0.1")
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, which)
select.select([s], [], [], 1.2)
s.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, which)
select.select([s], [], [], 0.1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, which)
s.close()
select.select([], [], [], 0.1)
END
    draw -l -c "$python" "$BATS_TEST_TMPDIR/leave.py"
    expect_result 0 ""
    expect_equal wires $'program > routers\tIGMPv3 report: joins 239.255.0.1
program > routers\tIGMPv3 report: leaves 239.255.0.1' "$(wires | head -n 2)"
    has 'IP_DROP_MEMBERSHIP, 239.255.0.1 on 127.0.0.1'
}
