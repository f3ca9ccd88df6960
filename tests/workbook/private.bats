#!/usr/bin/env bats
# tests/lib/private: a network of its own, and files of its own in /etc.

load ../lib/common

private=$BUILD/tests/private

# in_private ARGUMENT...
in_private() {
    try "$private" "$@"
    ((status != 125)) || skip "this system allows no private network"
}

@test "private gives a command a network with nothing but the loopback" {
    in_private cat /proc/net/dev
    expect_result 0 ""
    expect_equal interfaces lo "$(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' "$OUT")"
    # It is up, and nobody is there, whatever listens outside.
    in_private bash -c ': <>/dev/tcp/127.0.0.1/8080'
    [[ $errors == *"Connection refused"* ]]
}

@test "private lets its command look at packets, whoever runs it" {
    local rights
    in_private sed -n 's/^CapEff:.*\(.\{8\}\)$/\1/p' /proc/self/status
    expect_result 0 ""
    rights=$(<"$OUT")
    ((16#$rights >> 13 & 1)) # CAP_NET_RAW
}

@test "private -4 leaves IPv6 out, and -m says how long a packet may be" {
    in_private bash -c 'cat /proc/net/if_inet6'
    [[ -s $OUT ]] || skip "this machine has no IPv6"
    in_private -4 cat /proc/net/if_inet6
    expect_result 0 ""
    expect_output --text ''
    # Nor has a network whose packets are shorter than 1280: RFC 8200, section 5.
    in_private -m 68 cat /proc/net/if_inet6
    expect_output --text ''
    in_private -m 1280 cat /proc/net/if_inet6
    [[ -s $OUT ]]
}

@test "private -6 lets the loopback carry the groups of IPv6" {
    in_private cat /proc/net/if_inet6
    [[ -s $OUT ]] || skip "this machine has no IPv6"
    in_private grep -c '^ff000000000000000000000000000000 08 ' \
        /proc/net/ipv6_route
    expect_output --text '0\n'
    in_private -6 grep '^ff000000000000000000000000000000 08 .* lo$' \
        /proc/net/ipv6_route
    expect_result 0 ""
}

@test "private -p has two more interfaces, the ends of one cable" {
    in_private -p cat /proc/net/dev
    expect_result 0 ""
    expect_equal interfaces "left lo right" \
        "$(sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' "$OUT" | sort | xargs)"
    # What left sends to everybody, right receives.
    # shellcheck disable=SC2016 # the other shell expands it
    in_private -p bash -euc '
        received() {
            awk "/^ *right:/ { print \$3 }" /proc/net/dev
        }
        before=$(received)
        "$0" say -i left 239.1.2.3 8080 hello
        until (($(received) > before)); do :; done' "$BUILD/21-multicast"
    expect_result 0 ""
}

@test "private -e puts files in the place of /etc's, for its command alone" {
    local etc=$BATS_TEST_TMPDIR/etc before
    [[ -e /etc/hosts ]] || skip "this machine has no /etc/hosts"
    before=$(cksum /etc/hosts)
    mkdir "$etc"
    echo "192.0.2.7 seven" >"$etc/hosts"
    echo "none" >"$etc/no-such-file.04"
    in_private -e "$etc" cat /etc/hosts
    expect_result 0 ""
    expect_output --text '192.0.2.7 seven\n'
    expect_equal "the machine's own" "$before" "$(cksum /etc/hosts)"
    expect_equal "mounts seen outside" "" \
        "$(grep "$BATS_TEST_TMPDIR" /proc/self/mountinfo)"
    [[ ! -e /etc/no-such-file.04 ]]
    in_private -e tests/lib/etc "$private" -e "$etc" cat /etc/hosts
    expect_result 0 ""
    expect_output --text '192.0.2.7 seven\n'
}

@test "private stays in the folder where it was, and passes the status on" {
    in_private -e tests/lib/etc pwd
    expect_output --text "$PWD\n"
    in_private -e tests/lib/etc sh -c 'exit 7'
    expect_result 7 ""
}

@test "private says what is wrong" {
    local usage="usage: private [-46p] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]"
    try "$private"
    expect_result 2 "$usage"
    try "$private" -e tests/lib/etc
    expect_result 2 "$usage"
    in_private no-such-command
    expect_result 126 "private: no-such-command: No such file or directory"
    in_private -e no-such-folder true
    expect_result 126 "private: no-such-folder: No such file or directory"
}
