#!/usr/bin/env bats
# lessons/33-socks-proxy/network: where a proxy must not connect to, by a table.

load ../lib/common

tell=$BUILD/tests/tell-network

# told WORD...: what tell-network prints for these, on one line.
told() {
    try "$tell" "$@"
    expect_result 0 ""
    paste -sd ' ' "$OUT"
}

# all EXPECTED ADDRESS...: each of them is that.
all() {
    local address
    for address in "${@:2}"; do
        expect_equal "$address" "$1" "$(told inside "$address")"
    done
}

@test "network_is_inside knows both edges of each network in its list" {
    # For each network: the last address before it that is outside, its first,
    # its last, and the first one after it that is outside; - where there is none.
    while read -r before first last after; do
        all inside "$first" "$last"
        [[ $before == - ]] || all outside "$before"
        [[ $after == - ]] || all outside "$after"
    done <<'END'
- 0.0.0.0 0.255.255.255 1.0.0.0
9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0
100.63.255.255 100.64.0.0 100.127.255.255 100.128.0.0
126.255.255.255 127.0.0.0 127.255.255.255 128.0.0.0
169.253.255.255 169.254.0.0 169.254.255.255 169.255.0.0
172.15.255.255 172.16.0.0 172.31.255.255 172.32.0.0
191.255.255.255 192.0.0.0 192.0.0.255 192.0.1.0
192.167.255.255 192.168.0.0 192.168.255.255 192.169.0.0
198.17.255.255 198.18.0.0 198.19.255.255 198.20.0.0
223.255.255.255 224.0.0.0 239.255.255.255 -
- 240.0.0.0 255.255.255.255 -
- :: ::1 ::101:101
64:ff9b:0:ffff:ffff:ffff:ffff:ffff 64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b:2::
2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003::
fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00::
fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80:: febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff -
- fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -
- ff00:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -
END
}

@test "network_is_inside judges IPv6 that has IPv4 in it by the latter" {
    local prefix
    for prefix in ::ffff: 64:ff9b:: ::; do
        all inside "${prefix}127.0.0.1" "${prefix}10.255.255.255" \
            "${prefix}169.254.169.254" "${prefix}192.168.0.0"
        all outside "${prefix}126.255.255.255" "${prefix}11.0.0.0" \
            "${prefix}8.8.8.8" "${prefix}172.32.0.0"
    done
    # These do not have one of IPv4 at their end.
    all outside 64:ff9b::1:7f00:1 2001:db8::7f00:1 ::1:ffff:7f00:1 ::fffe:0:7f00:1
}

@test "network_is_inside lets everything else pass, but no other family" {
    all outside 1.1.1.1 8.8.8.8 203.0.113.1 2001:db8::1 2606:4700::1111
    all inside -
}

@test "network_parse reads networks of both families" {
    expect_equal "networks" "00000000000000000000ffff0a000000/104 \
00000000000000000000ffff00000000/96 00000000000000000000ffff7f000001/128 \
00000000000000000000ffff7f000001/128 20010db8000000000000000000000000/32 \
00000000000000000000000000000001/128 00000000000000000000000000000000/0 \
80000000000000000000000000000000/1 00000000000000000000ffff80000000/97 \
00000000000000000000ffff7f000001/128" "$(told parse 10.0.0.0/8 0.0.0.0/0 \
        127.0.0.1 127.0.0.1/32 2001:db8::/32 ::1 ::/0 8000::/1 128.0.0.0/1 \
        ::ffff:127.0.0.1)"
}

@test "network_parse refuses what is no network" {
    local text
    for text in "" / /8 10.0.0.0/ 10.0.0.0/33 10.0.0.0/-1 10.0.0.0/+8 \
        "10.0.0.0/ 8" "10.0.0.0/8 " 10.0.0.0/8/8 10.0.0.0/8x 10.0.0.1/31 \
        10.0.0.0/4294967304 10/8 10.0.0/8 010.0.0.0/8 0x7f.1 localhost ::/129 \
        ::1/127 2001:db8::1/64 :::/8 1::2::3 "[::1]" ::1%lo 1.2.3.4.5 \
        "$(printf '%0200d' 1)" "::1$(printf '%070d' 0)"; do
        expect_equal "$text" "no network" "$(told parse "$text")"
    done
}

@test "network_has and network_is_same compare addresses of both families" {
    expect_equal "10.0.0.0/8" "yes yes no no yes no no" \
        "$(told has 10.0.0.0/8 10.0.0.0 10.255.255.255 9.255.255.255 11.0.0.0 \
            ::ffff:10.1.2.3 64:ff9b::10.1.2.3 -)"
    expect_equal "10.1.2.4/30" "no yes yes no" \
        "$(told has 10.1.2.4/30 10.1.2.3 10.1.2.4 10.1.2.7 10.1.2.8)"
    expect_equal "2001:db8::/33" "yes yes no no" \
        "$(told has 2001:db8::/33 2001:db8:: 2001:db8:7fff:ffff::1 \
            2001:db8:8000:: 10.0.0.1)"
    expect_equal "0.0.0.0/0" "yes no" "$(told has 0.0.0.0/0 1.2.3.4 ::1)"
    expect_equal "::/0" "yes yes" "$(told has ::/0 1.2.3.4 ::1)"
    expect_equal "the same" "yes yes no no" \
        "$(told same 127.0.0.1 127.0.0.1 ::ffff:127.0.0.1 127.0.0.2 -)"
    expect_equal "the same" "no no" "$(told same - - 127.0.0.1)"
}
