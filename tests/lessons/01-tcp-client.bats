#!/usr/bin/env bats
# 01-tcp-client ADDRESS PORT MESSAGE: one line out, one line back.

load ../lib/common

client=$BUILD/01-tcp-client
rude=$BUILD/peers/rude

# against FACE [OPTION...]: the client says hello to a rude server.
against() {
    local face=$1
    shift
    start_server peer "$rude" -l -s 7 -o "$BATS_TEST_TMPDIR/heard" "$@" \
        serve "$face"
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$client" 127.0.0.1 "$PORT" hello
}

payload() {
    echo "$BATS_TEST_TMPDIR/payload"
}

@test "01-tcp-client sends its message and a newline, and prints the answer" {
    against whole
    expect_result 0 ""
    expect_output "$(payload)"
    finish peer
    expect_output --text 'hello\n' --in "$BATS_TEST_TMPDIR/heard"
}

@test "01-tcp-client prints a line that comes a byte at a time" {
    against dribble
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "01-tcp-client prints one line when two come at once" {
    against join
    expect_result 0 ""
    head -n 1 "$(payload)" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line"
}

@test "01-tcp-client prints what came, and says so, when the line has no end" {
    against half-close
    expect_result 1 "01-tcp-client: peer closed before the end of the line"
    expect_output "$(payload)"
}

@test "01-tcp-client prints nothing when the server closes without a word" {
    against half-close -k 0
    expect_result 1 "01-tcp-client: peer closed before the end of the line"
    expect_output --text ''
}

@test "01-tcp-client reports a reset, after what came before it" {
    against reset
    expect_result 1 "01-tcp-client: recv: Connection reset by peer"
    expect_output "$(payload)"
}

@test "01-tcp-client waits, in recv, for a server that stalls" {
    SECONDS_ALLOWED=0.5 against stall
    expect_equal status 124 "$status"
    [[ $(<"$BATS_TEST_TMPDIR/ending") == "it was waiting in recv on "* ]]
    expect_output "$(payload)"
}

@test "01-tcp-client is content with an answer from a server that never reads" {
    start_server peer "$rude" -s 7 serve deaf
    "$rude" -s 7 payload deaf >"$BATS_TEST_TMPDIR/payload"
    try "$client" 127.0.0.1 "$PORT" hello
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "01-tcp-client takes a flood in no more memory than a line" {
    against flood
    expect_result 1 "01-tcp-client: peer closed before the end of the line"
    expect_output "$(payload)"
}

@test "01-tcp-client prints garbage as it is, up to its first newline" {
    against garbage
    expect_result 0 ""
    head -n 1 "$(payload)" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line"
}

@test "01-tcp-client meets each of the rude peer's faces above" {
    local face
    for face in $("$rude" faces); do
        grep -qE "against $face|serve $face" "$BATS_TEST_FILENAME"
    done
}

@test "01-tcp-client prints a line with NUL bytes whole" {
    printf 'a\0b\0\0c\nd' >"$BATS_TEST_TMPDIR/nul"
    against whole -f "$BATS_TEST_TMPDIR/nul"
    expect_result 0 ""
    expect_output --text 'a\0000b\0000\0000c\n'
}

@test "01-tcp-client prints a line of a million bytes" {
    against whole -n 1000000
    expect_result 0 ""
    expect_output "$(payload)"
}

@test "01-tcp-client sends a long message whole, also a byte at a time" {
    local message fault
    need_faults
    message=$(head -c 100000 /dev/zero | tr '\0' m)
    for fault in FAULT_SHORT=1 NONE=; do
        start_server peer "$rude" -l -s 7 -o "$BATS_TEST_TMPDIR/heard" \
            serve whole
        try "${faulty[@]}" "$fault" "$client" 127.0.0.1 "$PORT" "$message"
        expect_result 0 ""
        finish peer
        expect_output --text "$message\n" --in "$BATS_TEST_TMPDIR/heard"
    done
}

@test "01-tcp-client sends an empty message as an empty line" {
    start_server peer "$rude" -l -o "$BATS_TEST_TMPDIR/heard" serve whole
    try "$client" 127.0.0.1 "$PORT" ''
    expect_result 0 ""
    finish peer
    expect_output --text '\n' --in "$BATS_TEST_TMPDIR/heard"
}

# A server that is somebody else's work, and echoes a line.
stranger() {
    case $1 in
    python3)
        start_server stranger python3 -uc '
import socket
s = socket.create_server(("127.0.0.1", 0))
print("listening on 127.0.0.1:%d" % s.getsockname()[1])
c = s.accept()[0]
c.sendall(c.makefile("rb").readline())'
        ;;
    socat)
        start stranger socat -d -d TCP-LISTEN:0,bind=127.0.0.1 EXEC:cat
        wait_for stranger '*listening on *' err
        PORT=$(sed -n 's/.*listening on .*://p' "$BATS_TEST_TMPDIR/stranger.err")
        ;;
    ncat) # does not say what the kernel chose, so it has to be told
        until says stranger '*Listening on 127*' err; do
            PORT=$((20000 + RANDOM % 12000))
            start stranger ncat -v -l 127.0.0.1 "$PORT" -c cat
            until_true says_or_ended stranger '*Listening on 127*' err
        done
        ;;
    esac
}

@test "01-tcp-client talks to servers made by strangers" {
    local name count=0
    for name in python3 socat ncat; do
        command -v "$name" >/dev/null || continue
        : >"$BATS_TEST_TMPDIR/stranger.err"
        stranger "$name"
        try "$client" 127.0.0.1 "$PORT" "hello, $name"
        expect_result 0 ""
        expect_output --text "hello, $name\n"
        stop_all
        count=$((count + 1))
    done
    ((count > 0)) || skip "no stranger is installed: python3, socat, ncat"
}

@test "01-tcp-client says who refused it" {
    start refuser "$rude" refuse
    wait_for refuser 'refusing on *'
    port_of refuser
    try "$client" 127.0.0.1 "$PORT" hello
    expect_result 1 \
        "01-tcp-client: connect 127.0.0.1:$PORT: Connection refused"
}

@test "01-tcp-client names the call that failed, and why" {
    local call
    need_faults
    for call in socket "connect 127.0.0.1:%s" send recv close; do
        start_server peer "$rude" -l serve whole
        # shellcheck disable=SC2059 # connect's message has the address
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$client" 127.0.0.1 "$PORT" hello
        # shellcheck disable=SC2059
        expect_result 1 \
            "01-tcp-client: $(printf "$call" "$PORT"): Input/output error"
        stop_all
    done
}

@test "01-tcp-client says so when standard output is full, gone or closed" {
    start_server peer "$rude" -l -c 3 serve whole
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$client" 127.0.0.1 "$PORT" hello
    expect_equal "full" \
        "01-tcp-client: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' - "$client" 127.0.0.1 "$PORT" hello
    expect_equal "gone" "01-tcp-client: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - \
        "$client" 127.0.0.1 "$PORT" hello
    expect_equal "closed" "01-tcp-client: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$client" 127.0.0.1 "$PORT" hello
}

@test "01-tcp-client's socket is close-on-exec" {
    start_server peer "$rude" serve stall
    start client "$client" 127.0.0.1 "$PORT" hello
    wait_for peer connected
    until_true all_cloexec "$(pid_of client)" 1
}

@test "01-tcp-client takes addresses in numbers, and says what is wrong" {
    local address
    for address in localhost 256.1.1.1 127.1 ::1 '' '127.0.0.1 ' -h; do
        try "$client" "$address" 80 hello
        expect_result 1 "01-tcp-client: $address is not an IPv4 address such \
as 127.0.0.1: names come in lesson 04"
    done
}

@test "01-tcp-client takes ports from 1 to 65535, and says what is wrong" {
    local port
    need_faults
    for port in 0 65536 -1 +80 80x ' 80' '' http 18446744073709551617; do
        try "$client" 127.0.0.1 "$port" hello
        expect_result 1 "01-tcp-client: $port is not a port: 1 to 65535"
    done
    for port in 1 65535; do # nobody lives there; or somebody: not our concern
        try "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
            "$client" 127.0.0.1 "$port" hello
        expect_result 1 \
            "01-tcp-client: connect 127.0.0.1:$port: Connection refused"
    done
}

@test "01-tcp-client explains itself when asked, and when called wrongly" {
    local usage="usage: 01-tcp-client ADDRESS PORT MESSAGE"
    try "$client" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$client"
    expect_result 2 "$usage"
    try "$client" 127.0.0.1 80
    expect_result 2 "$usage"
    try "$client" 127.0.0.1 80 hello world
    expect_result 2 "$usage"
    expect_output --text ''
}
