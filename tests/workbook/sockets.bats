#!/usr/bin/env bats
# tests/peers/sockets.c, which shows a reader the kernel's sockets of a port.

load ../lib/common

sockets=$BUILD/peers/sockets
tcp_header="STATE        TO SEND  TO READ  INODE    PEER"
udp_header="TO READ  DROPPED  INODE"

# tcp_line STATE TO-SEND TO-READ INODE PEER: as it is printed.
tcp_line() {
    printf '%-12s %7s  %7s  %-8s %s' "$@"
}

# inode_of FILE: sets inode to that of the socket that FILE, in /proc, is.
inode_of() {
    inode=$(readlink "$1")
    inode=${inode#"socket:["}
    inode=${inode%]}
}

# show ARGUMENT...: runs it; sets lines.
show() {
    try "$sockets" "$@"
    expect_result 0 ""
    mapfile -t lines <"$OUT"
}

# shows PATTERN ARGUMENT...: all that it prints matches PATTERN.
shows() {
    "$sockets" "${@:2}" >"$BATS_TEST_TMPDIR/shown"
    # shellcheck disable=SC2053 # the pattern is one
    [[ $(<"$BATS_TEST_TMPDIR/shown") == $1 ]]
}

# queue_one: a server that does not accept, and a client at descriptor 9 that
# has sent six bytes to it. Sets client to the client's address, and inode to
# that of the listener.
queue_one() {
    local pid
    start_server server "$BUILD/02-tcp-server" 0
    pid=$(pid_of server)
    kill -STOP "$pid"
    until_true is_stopped "$pid"
    exec 9<>"/dev/tcp/127.0.0.1/$PORT"
    echo hello >&9
    until_true shows "*ESTABLISHED*       6  *" "$PORT"
    client=$(sed -n 's/^ESTABLISHED.* //p' "$BATS_TEST_TMPDIR/shown")
    inode_of "/proc/$(pid_of server)/fd/3"
}

# A stopped process ends only when it goes on.
teardown() {
    if [[ -s $BATS_TEST_TMPDIR/server.pid ]]; then
        kill -CONT "$(pid_of server)"
    fi
    stop_all
}

@test "sockets shows a listener, and a connection that waits for accept" {
    local client inode
    queue_one
    show "$PORT"
    expect_equal "columns" "$tcp_header" "${lines[0]}"
    expect_equal "listener" "$(tcp_line LISTEN 0 1 "$inode" -)" "${lines[1]}"
    expect_equal "connection" "$(tcp_line ESTABLISHED 0 6 0 "$client")" \
        "${lines[2]}"
    expect_equal "number of lines" 3 "${#lines[@]}"
}

@test "sockets counts the end of a connection as one byte, in CLOSE_WAIT" {
    local client inode
    queue_one
    exec 9>&-
    until_true shows "*CLOSE_WAIT*" "$PORT"
    show "$PORT"
    expect_equal "connection" "$(tcp_line CLOSE_WAIT 0 7 0 "$client")" \
        "${lines[2]}"
}

@test "sockets lists connections in the order of their peers' ports" {
    local client inode another
    queue_one
    for _ in {1..9}; do
        exec {another}<>"/dev/tcp/127.0.0.1/$PORT"
    done
    until_true shows "*LISTEN *      10  *" "$PORT"
    show "$PORT"
    expect_equal "number of lines" 12 "${#lines[@]}"
    [[ ${lines[1]} == LISTEN* ]]
    printf '%s\n' "${lines[@]:2}" | sed 's/.*://' | sort -cn
}

@test "sockets -p shows the sockets whose peer has the port" {
    local client inode line own=
    queue_one
    inode_of "/proc/$BASHPID/fd/9"
    show -p "$PORT"
    expect_equal "columns" "$tcp_header" "${lines[0]}"
    # Others may have used this port before: what they left is shown, too.
    for line in "${lines[@]:1}"; do
        [[ $line == *":$PORT" ]]
        [[ $line != *" $inode "* ]] || own=$line
    done
    expect_equal "client's socket" \
        "$(tcp_line ESTABLISHED 0 0 "$inode" "127.0.0.1:$PORT")" "$own"
}

@test "sockets -u shows what waits at a UDP port, and what was dropped" {
    local inode waits dropped
    start_server server "$BUILD/peers/rude-udp" serve deaf
    try "$BUILD/peers/rude-udp" -n 60000 -c 9 connect deaf "$PORT"
    inode_of "/proc/$(pid_of server)/fd/3"
    show -u "$PORT"
    expect_equal "columns" "$udp_header" "${lines[0]}"
    read -r waits dropped _ <<<"${lines[1]}"
    expect_equal "line" \
        "$(printf '%7s  %7s  %s' "$waits" 8 "$inode")" "${lines[1]}"
    ((waits >= 60000))
    expect_equal "dropped" 8 "$dropped"
    expect_equal "number of lines" 2 "${#lines[@]}"
}

@test "sockets prints only its columns where no socket has the port" {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *'
    port_of refuser
    stop refuser
    try "$sockets" "$PORT"
    expect_result 0 ""
    expect_output --text "$tcp_header\n"
    try "$sockets" -u "$PORT"
    expect_output --text "$udp_header\n"
}

@test "sockets says what is wrong with its arguments, and with its output" {
    local port
    for port in "" "-x 80" "80 81" "-u -p 80"; do
        # shellcheck disable=SC2086 # words
        try "$sockets" $port
        expect_result 2 "usage: sockets [-p|-u] PORT"
    done
    for port in 0 65536 80x -1 ''; do
        try "$sockets" -u "$port"
        expect_result 1 "sockets: $port is not a port: 1 to 65535"
    done
    try_with /dev/null /dev/full "$sockets" 80
    expect_result 1 "sockets: standard output: No space left on device"
}
