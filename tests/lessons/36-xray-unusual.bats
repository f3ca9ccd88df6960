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

@test "36-xray draws every actor before a second process of any" {
    local scene=$BATS_TEST_TMPDIR/forks
    cat >"$scene" <<END
server: $traced forks 8 socket*1
client: $BUILD/01-tcp-client 127.0.0.1 9 hello
END
    draw -l <"$scene"
    has $'client\tconnect(3 tcp, 127.0.0.1:9) = -1 ECONNREFUSED\tCLOSE'
    has $'server 5\tsocket('
    lacks 'server 6'
    # No call is lost.
    expect_equal calls 8 "$(grep -c $'^server.*\tsocket(' "$OUT")"
    draw <"$scene"
    has 'No column was left for 3 processes: they are drawn in that of another one'
}

@test "36-xray draws a listener at the server's side from its beginning on" {
    draw -l <<<"both: $BUILD/06-closing in-turn 0"
    expect_result 0 ""
    has $'both (server)\tlisten(3 tcp, '
    has $'both (server)\tbind(3 tcp, '
    expect_equal "sockets of the server" 1 \
        "$(grep -c $'^both (server)\tsocket(' "$OUT")"
    expect_equal "sockets of the client" 1 \
        "$(grep -c $'^both (client)\tsocket(' "$OUT")"
}

@test "36-xray tells which of several calls returns" {
    draw -c "$traced" pairs 3
    expect_result 0 ""
    # recv(4) and so on, each once, the last thread's first.
    grep -oE 'recv\([0-9]+ unix, 1\) \.\.\.' "$OUT" | sed -E 's/ .*//; s/$/)/' |
        tac >"$BATS_TEST_TMPDIR/begun"
    grep -oE '\.\.\. recv(\([0-9]+\))? = 1' "$OUT" | sed -E 's/^\.\.\. //; s/ =.*//' \
        >"$BATS_TEST_TMPDIR/returned"
    expect_equal calls 3 "$(wc -l <"$BATS_TEST_TMPDIR/returned")"
    # The last one to return is alone, but was not while it waited.
    diff "$BATS_TEST_TMPDIR/begun" "$BATS_TEST_TMPDIR/returned" >&2
}

@test "36-xray knows by listen(2) that a server is ready, and where" {
    skip_unless python3
    draw -t 8 -l <<END
server: python3 -m http.server --bind 127.0.0.1 0
client: $BUILD/01-tcp-client 127.0.0.1 {port} hello
END
    has $'server\tlisten(3 tcp, '
    has $'client\tconnect(3 tcp, 127.0.0.1:'
    has $'wire\tclient > server\tPSH ACK "hello\\n"'
    expect_equal status 0 "$status"
}

@test "36-xray says why an actor was not started" {
    draw -t 0.3 -l <<END
server: $traced hang
client: $traced say hello
END
    expect_result 124 "36-xray: the scene did not end in time, and was ended
36-xray: client was not started: server has neither called listen nor printed \
\"listening on\""
}
