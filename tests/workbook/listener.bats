#!/usr/bin/env bats
# common/listener: what listener_open opens, what it says when a call fails, and
# the line of listener_announce. tests/lessons/17-create-server.bats has what
# clients see.

load ../lib/common

tell=$BUILD/tests/tell-listener

# expect_listener LINE FACTS ADDRESS OPTIONS
expect_listener() {
    local -a lines
    try "$tell" "$3" 0 8 "$4"
    expect_result 0 ""
    mapfile -t lines <"$OUT"
    expect_equal "lines" 2 "${#lines[@]}"
    # shellcheck disable=SC2053 # the pattern is one
    [[ ${lines[0]} == $1[1-9]* ]] || fail "got ${lines[0]}"
    expect_equal "facts of $3 with $4" "$2" "${lines[1]}"
}

need_ipv6() {
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null ||
        skip "this machine has no IPv6"
}

@test "listener_open sets the options that it is asked for, and no others" {
    local common="close-on-exec, blocking, reuseaddr"
    expect_listener "listening on 127.0.0.1:" "$common" 127.0.0.1 0
    expect_listener "listening on 0.0.0.0:" "$common, reuseport" 0.0.0.0 2
    # The option is for IPv6 alone.
    expect_listener "listening on 127.0.0.1:" "$common" 127.0.0.1 1
    need_ipv6
    expect_listener "listening on \[::\]:" "$common" :: 0
    expect_listener "listening on \[::\]:" "$common, v6only" :: 1
    # The kernel sets it for an address that no IPv4 client can reach.
    expect_listener "listening on \[::1\]:" "$common, reuseport, v6only" ::1 2
    expect_listener "listening on \[::1\]:" "$common, reuseport, v6only" ::1 3
}

# The administrator's choice is not ours.
@test "listener_open does not depend on what the system prefers" {
    # shellcheck disable=SC2016 # for the other bash to expand
    local script='echo "$1" >/proc/sys/net/ipv6/bindv6only || exit 125
        "$2" :: 0 8 0; "$2" :: 0 8 1'
    need_ipv6
    for preferred in 0 1; do
        try "$BUILD/tests/private" bash -c "$script" - "$preferred" "$tell"
        [[ $status != 125 ]] || skip "no private network here that we may change"
        expect_equal "with $preferred" \
            "close-on-exec, blocking, reuseaddr
close-on-exec, blocking, reuseaddr, v6only" "$(grep -v listening "$OUT")"
    done
}

@test "listener_open names the call that failed, and leaves nothing open" {
    local at call
    need_faults
    while read -r at call; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_AT="$at" \
            FAULT_ERRNO=105 "$tell" ::1 0 8 3
        expect_output --text "$call: No buffer space available\n"
    done <<'END'
1 socket
1 setsockopt SO_REUSEADDR
2 setsockopt SO_REUSEPORT
3 setsockopt IPV6_V6ONLY
1 bind
1 listen
END
    try "${faulty[@]}" FAULT_CALL=getsockname FAULT_ERRNO=105 "$tell" 127.0.0.1 \
        0 8 0
    expect_result 1 "getsockname: No buffer space available"
}

@test "listener_open keeps the reason, whatever close makes of errno" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=5 FAULT_TIMES=99 "$tell" 8.8.8.8 0 8 0
    expect_output --text "bind: Cannot assign requested address\n"
}

@test "listener_announce says when its line cannot be written" {
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c '"$@" >/dev/full' - "$tell" 127.0.0.1 0 8 0
    expect_result 1 "standard output: No space left on device"
}

# stdio keeps what goes to a file until there is much of it. tell-listener looks.
@test "listener_announce flushes its line" {
    try "$tell" 127.0.0.1 0 8 0
    expect_result 0 ""
    [[ $(head -n 1 "$OUT") == "listening on 127.0.0.1:"* ]]
}
