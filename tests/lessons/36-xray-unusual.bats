#!/usr/bin/env bats
# 36-xray on systems that forbid something, and of programs that are unusual.

load ../lib/common
load ../lib/xray

@test "36-xray does not take calls of another architecture for its own" {
    draw -l -c "$traced" foreign say hello foreign exit 5
    ((status != 77)) || skip "this machine runs no 32-bit programs"
    expect_result 5 ""
    lacks 'socket('
    expect_equal notes 1 \
        "$(grep -cxF $'program\tcalls of another architecture: not shown\t' "$OUT")"
    # Its own calls are shown.
    has $'program\twrite(1, "hello\\n") = 6\t'
    draw -a -l -c "$traced" foreign
    lacks 'socket('
    has 'another architecture'
}

# draw_without CALL ARGUMENT...: draws with these arguments where CALL is
# forbidden; `-` is the scene on standard input.
draw_without() {
    need_tracing
    local -a words=("${@:2}")
    if [[ ${words[-1]} == - ]]; then
        words[-1]=$BATS_TEST_TMPDIR/scene
        cat >"$BATS_TEST_TMPDIR/scene"
    fi
    try "$BUILD/tests/private" "$BUILD/tests/forbid" "$1" "$xray" "${words[@]}"
    ((status != 77)) || skip "this machine lets nobody forbid a call"
}

# is_as_ever: the list in $OUT is what it is where nothing is forbidden.
is_as_ever() {
    listed | grep -v $'\tACK$' >"$BATS_TEST_TMPDIR/forbidden"
    draw_hello
    diff <(listed | grep -v $'\tACK$') "$BATS_TEST_TMPDIR/forbidden" >&2
}

@test "36-xray says what it lacks without pidfd_getfd, and shows all the rest" {
    draw_without pidfd_getfd -l - < <(hello)
    expect_result 0 "36-xray: no round trips will be seen, and states only as \
/proc has them: pidfd_getfd: Operation not permitted"
    is_as_ever
}

@test "36-xray reads memory by ptrace where process_vm_readv is forbidden" {
    draw_without process_vm_readv -l - < <(hello)
    expect_result 0 ""
    is_as_ever
}

@test "36-xray without pidfd_getfd tells UDP, IPv6 and UNIX sockets apart" {
    draw_without pidfd_getfd -l - <<END
server: $BUILD/03-udp serve 0
client: $BUILD/03-udp send 127.0.0.1 {port} hello
END
    has $'client\tsend(3 udp to :'
    has $'wire\tclient > server\tUDP "hello"'
    draw_without pidfd_getfd -l - <<END
server: $BUILD/12-randomness egd serve $BATS_TEST_TMPDIR/socket
client: $BUILD/12-randomness egd get $BATS_TEST_TMPDIR/socket 16
END
    has $'server\taccept4(3 listener'
    has $'client\tconnect(3 unix, '
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    draw_without pidfd_getfd -l -c "$BUILD/07-timeouts" ::1 9
    has 'connect(3 tcp, [::1]:9) = -1 EINPROGRESS'
    has $'\tCLOSE'
}
