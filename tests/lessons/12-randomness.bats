#!/usr/bin/env bats
# 12-randomness status|bytes N|egd serve PATH|egd get PATH N: randomness, and
# both ends of EGD's protocol, byte for byte.
# Its twin prints less: other bytes each time, so it is compared here.

load ../lib/common
load ../lib/clock

program=$BUILD/12-randomness
rude=$BUILD/peers/rude-unix

# serve [COMMAND...]: starts the daemon; its socket is $socket.
serve() {
    socket=$BATS_TEST_TMPDIR/egd
    start server "$@" "$program" egd serve "$socket"
    wait_for server "listening on $socket"
}

# talk STEP...: a client's side of a conversation; what came is in $OUT.
talk() {
    try "$rude" connect "$socket" "$@"
}

# against COUNT STEP...: asks a daemon that does these steps for so many bytes.
against() {
    local count=$1
    shift
    socket=$BATS_TEST_TMPDIR/peer.socket
    rm -f "$socket"
    start peer "$rude" serve "$socket" "$@"
    wait_for peer "listening on $socket"
    try "${faulty[@]}" "$program" egd get "$socket" "$count"
}

# not_given ERRORS COUNT: the last try failed, printed nothing, and said so.
not_given() {
    expect_result 1 "${1:+12-randomness: $1
}12-randomness: $socket has not given $2 bytes"
    expect_output --text ''
}

# without_seed: sets unseeded, which runs a command with an OpenSSL that has no
# generator.
without_seed() {
    printf '%s\n' 'openssl_conf = all' '[all]' 'random = none' '[none]' \
        'random = NONE' >"$BATS_TEST_TMPDIR/none.cnf"
    unseeded=(env OPENSSL_CONF="$BATS_TEST_TMPDIR/none.cnf")
}

# watched: sets watched, which runs a command and says on its standard error
# what RAND_add is called with.
watched() {
    [[ $BUILD != *asan* ]] || skip "nothing is preloaded under the sanitizers"
    cc -shared -fPIC -o "$BATS_TEST_TMPDIR/watch.so" -x c - <<'END'
#include <stdio.h>
void RAND_add(const unsigned char *bytes, int count, double worth) {
    fprintf(stderr, "RAND_add(");
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%02x", bytes[i]);
    fprintf(stderr, ", %d, %g)\n", count, worth);
}
END
    watched=(env LD_PRELOAD="$BATS_TEST_TMPDIR/watch.so")
}

hex() { # of COUNT bytes
    printf '%*s' "$((2 * $1))" '' | tr ' ' h | sed 's/h/[0-9a-f]/g'
}

# matches NAME PATTERN...: the lines in file NAME of this test's folder.
matches() {
    local -a lines
    local name=$1 line
    mapfile -t lines <"$BATS_TEST_TMPDIR/$name"
    shift
    for line in "${lines[@]}"; do
        # shellcheck disable=SC2053 # the pattern is one
        [[ $line == ${1-no more lines} ]] ||
            { echo "$line is not ${1-}" >&2 && false; }
        shift
    done
    expect_equal "lines that are missing" "" "$*"
}

# ---- generators -------------------------------------------------------------

@test "12-randomness status: OpenSSL is seeded, and zeros don't change that" {
    local zeros
    printf -v zeros '%064d' 0
    try "$program" status
    expect_result 0 ""
    matches out 'RAND_status: 1' "RAND_add:    $zeros" 'RAND_status: 1' \
        "getrandom:  $(hex 32)" "RAND_bytes: $(hex 32)"
}

@test "12-randomness status adds 32 zeros, as if they were worth 32 bytes" {
    local watched zeros
    printf -v zeros '%064d' 0
    watched
    try "${watched[@]}" "$program" status
    expect_result 0 "RAND_add($zeros, 32, 32)"
}

@test "12-randomness without a seed says so, and makes up no bytes" {
    local unseeded
    without_seed
    try "${unseeded[@]}" "$program" status
    expect_result 1 "12-randomness: RAND_bytes: OpenSSL has given no bytes"
    matches out 'RAND_status: 0' 'RAND_add:*' 'RAND_status: 0' 'getrandom: *'
    try "${unseeded[@]}" "$program" bytes 16
    expect_result 1 "12-randomness: RAND_bytes: OpenSSL has given no bytes"
    matches out "getrandom:  $(hex 16)"
    serve "${unseeded[@]}" # it has none to give, and none comes
    talk 0110 end
    expect_output --text '00end\n'
    talk 00 -4 end
    expect_output --text '00000000\nend\n'
    # It closes: the next reply could be taken for the bytes.
    talk 0210 00 -4
    run ! grep 00000000 "$OUT"
    stop server
    expect_equal status 0 "$ended"
}

@test "12-randomness bytes prints so many, from two generators, never the same" {
    local count
    for count in 1 2 16 255; do
        try "$program" bytes "$count"
        expect_result 0 ""
        matches out "getrandom:  $(hex "$count")" "RAND_bytes: $(hex "$count")"
    done
    try "$program" bytes 16
    cp "$OUT" "$BATS_TEST_TMPDIR/first"
    try "$program" bytes 16
    cat "$OUT" >>"$BATS_TEST_TMPDIR/first"
    expect_equal "different ones" 4 \
        "$(sed 's/.* //' "$BATS_TEST_TMPDIR/first" | sort -u | wc -l)"
    run ! grep -E '(00){8}' "$BATS_TEST_TMPDIR/first"
}

@test "12-randomness bytes notices when the kernel gives fewer, or none" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=getrandom FAULT_ERRNO=38 "$program" bytes 9
    expect_result 1 "12-randomness: getrandom: Function not implemented"
    expect_output --text ''
    try "${faulty[@]}" FAULT_SHORT=getrandom "$program" bytes 9
    expect_equal status 1 "$status"
    expect_output --text ''
}

# ---- the daemon --------------------------------------------------------------

@test "12-randomness egd serve answers each command, to the byte" {
    local pid
    serve
    pid=$(pid_of server)
    talk 00 -4 0110 -17 0201 -1 03001005aabbccddee 04 -$((1 + ${#pid})) 0100 -1 \
        0200 03000000 01ff -256 02ff -255 00 -4
    expect_result 0 ""
    matches out 00000100 "10$(hex 16)" "$(hex 1)" \
        "$(printf %02x ${#pid})$(printf '%s' "$pid" | sed 's/./3&/g')" 00 \
        "ff$(hex 255)" "$(hex 255)" 00000100
    stop server
    expect_equal status 0 "$ended"
    expect_lines server "listening on $socket" \
        "command 0: 4 bytes back" "command 1: 17 bytes back" \
        "command 2: 1 bytes back" "command 3: 0 bytes back" \
        "command 4: $((1 + ${#pid})) bytes back" "command 1: 1 bytes back" \
        "command 2: 0 bytes back" "command 3: 0 bytes back" \
        "command 1: 256 bytes back" "command 2: 255 bytes back" \
        "command 0: 4 bytes back"
    expect_output --text '' --in "$BATS_TEST_TMPDIR/server.err"
}

@test "12-randomness egd serve gives each client other bytes" {
    local i
    serve
    for i in 1 2 3; do
        talk 0110 -17 0210 -16
        cat "$OUT" >>"$BATS_TEST_TMPDIR/all"
    done
    expect_equal "different ones" 6 "$(sed 's/^10//' "$BATS_TEST_TMPDIR/all" |
        sort -u | wc -l)"
}

@test "12-randomness egd serve mixes in what it is given, and counts it as 0 bits" {
    local watched
    watched
    serve "${watched[@]}"
    talk 03ffff04deadbeef 0300080100 00 -4
    stop server
    expect_output --text 'RAND_add(deadbeef, 4, 0)\nRAND_add(00, 1, 0)\n' \
        --in "$BATS_TEST_TMPDIR/server.err"
}

@test "12-randomness egd serve takes requests in pieces, and many at once" {
    serve
    talk 01 02 03 ff ff 03 01 02 03 02 01 00 -8
    expect_result 0 ""
    matches out "02$(hex 3)00000100"
    talk 0102030000000201000400 -9
    matches out "02$(hex 3)00000100??"
    stop server
    need_faults
    serve "${faulty[@]}" FAULT_SHORT=1
    talk 01ff0300100201ee0100 -257
    expect_result 0 ""
    matches out "ff$(hex 255)00"
}

@test "12-randomness egd serve closes after a command that does not exist" {
    local wrong
    serve
    for wrong in 05 ff 2a; do
        talk "00$wrong" -4 end
        expect_result 0 ""
        expect_output --text '00000100\nend\n'
        wait_for server "12-randomness: there is no command $((16#$wrong))" err
    done
    talk 00 -4
    expect_output --text '00000100\n'
}

@test "12-randomness egd serve survives a client that leaves within a request" {
    local request
    serve
    for request in 01 02 03 0300 030010 03001004 0300100401 01ff; do
        talk "$request"
        expect_result 0 ""
    done
    talk 00 -4
    expect_output --text '00000100\n'
    stop server
    expect_equal status 0 "$ended"
    expect_equal "commands heard" 2 \
        "$(grep -c command "$BATS_TEST_TMPDIR/server.out")"
}

# One says half a request, another asks and never reads; each has a daemon of
# its own, where a third client waits for its turn.
two_who_stall() {
    local requests before start now
    serve
    talk 00 -4
    before=$(descriptors "$(pid_of server)")
    start deafened "$program" egd serve "$socket.2"
    wait_for deafened "listening on *"
    printf -v requests '01ff%.0s' {1..2000}
    look_at_clock
    start=$now
    start stalled "$rude" connect "$socket" 03 stall
    start deaf "$rude" connect "$socket.2" "$requests" stall
    until_true at_least_waiting 3
    start third "$rude" connect "$socket.2" 00 -4
    talk 00 -4
    expect_output --text '00000100\n'
    finish third
    expect_output --text '00000100\n' --in "$BATS_TEST_TMPDIR/third.out"
    look_at_clock
    took=$((now - start))
    until_true holds_descriptors "$(pid_of server)" "$before"
    says server "12-randomness: recv: Connection timed out" err
    says deafened "12-randomness: send: Connection timed out" err
}

# The kernel's table has each end that has a path: listeners, and what they
# accepted or will.
at_least_waiting() {
    (($(grep -c "$socket" /proc/net/unix) > $1))
}

@test "12-randomness egd serve gives a second to a client that stalls or never reads" {
    measured 99 160 two_who_stall
}

@test "12-randomness egd serve ends on a signal, and removes its socket" {
    local signal
    for signal in INT TERM; do
        serve
        [[ -S $socket ]]
        until_true all_cloexec "$(pid_of server)" 1
        stop server "$signal"
        expect_equal status 0 "$ended"
        [[ ! -e $socket ]]
        expect_output --text '' --in "$BATS_TEST_TMPDIR/server.err"
    done
    serve # and with a client, after its turn
    start stalled "$rude" connect "$socket" 00 -4 stall
    wait_for stalled 00000100
    kill "$(pid_of server)"
    until_true has_shut
    is_running server
    stop stalled
    finish server
    expect_equal status 0 "$ended"
    [[ ! -e $socket ]]
}

# Nobody can connect any more.
has_shut() {
    ! "$rude" connect "$socket" 2>/dev/null
}

@test "12-randomness egd serve does not overwrite a path that exists" {
    serve
    try "$program" egd serve "$socket"
    expect_result 1 "12-randomness: bind $socket: Address already in use"
    talk 00 -4
    expect_output --text '00000100\n'
    kill -KILL "$(pid_of server)"
    finish server
    try "$program" egd serve "$socket"
    expect_result 1 "12-randomness: bind $socket: Address already in use"
    [[ -S $socket ]]
    try "$program" egd get "$socket" 16
    expect_result 1 "12-randomness: connect $socket: Connection refused"
}

# shellcheck disable=SC2016 # the other shell expands them
@test "12-randomness takes paths of 1 to 107 bytes" {
    local path=$BATS_TEST_TMPDIR/ relative
    # From its own folder: a test's may have a long name.
    relative=$(printf '%0107d' 0)
    start server bash -c 'cd "$1" && exec "$2" egd serve "$3"' - "$path" \
        "$(realpath "$program")" "$relative"
    wait_for server "listening on $relative"
    [[ -S $path$relative ]]
    try bash -c 'cd "$1" && exec "$2" egd get "$3" 3' - "$path" \
        "$(realpath "$program")" "$relative"
    expect_result 0 ""
    for path in '' "${relative}0"; do
        try "$program" egd get "$path" 16
        expect_result 1 "12-randomness: not a path of 1 to 107 bytes: $path"
        try "$program" egd serve "$path"
        expect_result 1 "12-randomness: not a path of 1 to 107 bytes: $path"
    done
}

# ---- the client --------------------------------------------------------------

@test "12-randomness egd get asks with command 1, and prints what it got" {
    against 4 -2 0401fe00ff end
    expect_result 0 ""
    expect_output --text '01fe00ff\n'
    finish peer
    expect_lines peer "listening on $socket" 0104 end
    against 255 -2 "ff$(printf 'a%.0s' {1..510})" end
    expect_result 0 ""
    expect_output --text "$(printf 'a%.0s' {1..510})\n"
    finish peer
    expect_lines peer "listening on $socket" 01ff end
}

@test "12-randomness egd get adds what it got to OpenSSL's generator" {
    local watched
    watched
    faulty=("${watched[@]}")
    against 4 -2 04deadbeef
    expect_result 0 "RAND_add(deadbeef, 4, 4)"
    against 4 -2 03deadbe # and nothing when it is not what it asked for
    not_given '' 4
}

@test "12-randomness egd get takes its bytes as they come" {
    against 4 -2 04 01 fe 00 ff
    expect_result 0 ""
    expect_output --text '01fe00ff\n'
    need_faults
    faulty+=(FAULT_SHORT=1)
    against 4 -1 -1 04abcdef01
    expect_result 0 ""
    expect_output --text 'abcdef01\n'
}

@test "12-randomness egd get makes up no bytes when the daemon vanishes" {
    local step
    for step in '' 04 0401 0401fe00; do
        against 4 -2 ${step:+"$step"}
        not_given '' 4
    done
    # It closes with a request unread, which is a reset; perhaps before that.
    against 4 04
    expect_equal status 1 "$status"
    expect_output --text ''
}

@test "12-randomness egd get believes no count but the one it asked for" {
    against 4 -2 00 end
    not_given '' 4
    against 4 -2 03010203 end
    not_given '' 4
    against 4 -2 050102030405 end
    not_given '' 4
    against 4 -2 ff01020304 end
    not_given '' 4
    against 1 -2 "00" end
    not_given '' 1
}

get_from_who_stalls() {
    local start now
    look_at_clock
    start=$now
    against 4 -2 0401 stall
    look_at_clock
    took=$((now - start))
}

@test "12-randomness egd get waits a second, and no longer" {
    measured 99 160 get_from_who_stalls
    not_given 'recv: Connection timed out' 4
}

@test "12-randomness egd get says when there is no daemon" {
    try "$program" egd get "$BATS_TEST_TMPDIR/none" 16
    expect_result 1 "12-randomness: connect $BATS_TEST_TMPDIR/none: No such \
file or directory"
}

# shellcheck disable=SC2016 # the other shell expands them
@test "12-randomness: both ends understand each other, and other programs" {
    local count=0
    serve
    try "$program" egd get "$socket" 255
    expect_result 0 ""
    matches out "$(hex 255)"
    if command -v socat >/dev/null; then
        try bash -c 'printf "\1\7" | socat -t 2 - UNIX-CONNECT:"$1"' - "$socket"
        expect_equal "bytes for socat" 8 "$(wc -c <"$OUT")"
    fi
    if command -v ncat >/dev/null; then
        try bash -c 'printf "\2\7" | ncat -U "$1"' - "$socket"
        expect_equal "bytes for ncat" 7 "$(wc -c <"$OUT")"
    fi
    command -v python3 >/dev/null || return 0
    try python3 lessons/12-randomness/twin.py "$socket" 16
    expect_result 0 ""
    matches out "$(hex 16)"
    stop server
    says server "command 1: 17 bytes back"
    rm -f "$BATS_TEST_TMPDIR/peer.socket"
    start peer "$rude" serve "$BATS_TEST_TMPDIR/peer.socket" -2 03010203
    wait_for peer "listening on *"
    try python3 lessons/12-randomness/twin.py "$BATS_TEST_TMPDIR/peer.socket" 4
    expect_result 1 "$BATS_TEST_TMPDIR/peer.socket has not given 4 bytes"
}

# ---- the rest ----------------------------------------------------------------

@test "12-randomness names the call that failed, and why" {
    local call
    need_faults
    serve
    while read -r call; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 "$program" egd \
            get "$socket" 16
        expect_equal status 1 "$status"
        expect_equal "message" "12-randomness: ${call//PATH/$socket}: \
Input/output error" "${errors%%$'\n'*}"
    done <<'END'
socket
connect PATH
send
recv
END
    stop server
    while read -r call; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 "$program" egd \
            serve "$socket"
        expect_result 1 "12-randomness: ${call//PATH/$socket}: \
Input/output error"
    done <<'END'
socket
bind PATH
listen
END
    [[ ! -e $socket ]] # also when listen failed, and it had been there
    serve "${faulty[@]}" FAULT_CALL=unlink FAULT_ERRNO=5
    stop server
    expect_equal status 1 "$ended"
    expect_output --text "12-randomness: unlink $socket: Input/output error\n" \
        --in "$BATS_TEST_TMPDIR/server.err"
}

@test "12-randomness egd serve goes on after an accept that failed, and a pause" {
    local start now
    need_faults
    look_at_clock
    start=$now
    serve "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=24
    talk 00 -4
    expect_output --text '00000100\n'
    look_at_clock
    ((now - start >= 9))
    expect_output --text '12-randomness: accept: Too many open files\n' \
        --in "$BATS_TEST_TMPDIR/server.err"
}

# shell SCRIPT COMMAND...: fails, with what it says in stderr. The script ends
# in `exec "$@"`, so that what is bounded is the command itself.
shell() {
    run -1 --separate-stderr bounded bash -c "$1" - "${@:2}"
}

# shellcheck disable=SC2016 # the other shell expands them
@test "12-randomness says so when standard output is full, gone or closed" {
    local socket
    serve
    for arguments in status 'bytes 16' "egd get $socket 16" \
        "egd serve $socket.2"; do
        # shellcheck disable=SC2086 # words
        set -- "$program" $arguments
        shell 'exec "$@" >/dev/full' "$@"
        expect_equal "full" \
            "12-randomness: standard output: No space left on device" \
            "$stderr"
        shell 'exec 7> >(:)
            wait $!
            exec "$@" >&7' "$@"
        expect_equal "gone" "12-randomness: standard output: Broken pipe" \
            "$stderr"
        shell 'exec "$@" >&-' "$@"
        expect_equal "closed" \
            "12-randomness: descriptor 1: Bad file descriptor" \
            "$stderr"
        shell 'exec "$@" 2>&-' "$@"
        [[ ! -e $socket.2 ]]
    done
}

# shellcheck disable=SC2016
@test "12-randomness egd serve goes on when nobody hears its reports any more" {
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    socket=$BATS_TEST_TMPDIR/egd
    start server bash -c 'exec "$@" >"$0"' "$BATS_TEST_TMPDIR/pipe" \
        "$program" egd serve "$socket"
    read -r line <"$BATS_TEST_TMPDIR/pipe"
    expect_equal line "listening on $socket" "$line"
    talk 00 -4
    expect_output --text '00000100\n'
    wait_for server '12-randomness: standard output: Broken pipe' err
    talk 00 -4
    expect_output --text '00000100\n'
    stop server
    expect_equal status 1 "$ended"
    [[ ! -e $socket ]]
}

@test "12-randomness takes 1 to 255 bytes, and says what is wrong" {
    local count
    for count in 0 256 65536 -1 +1 16x ' 16' '' x 18446744073709551617; do
        try "$program" bytes "$count"
        expect_result 1 "12-randomness: $count is not a number of bytes: 1 to 255"
        try "$program" egd get "$BATS_TEST_TMPDIR/none" "$count"
        expect_result 1 "12-randomness: $count is not a number of bytes: 1 to 255"
        expect_output --text ''
    done
}

@test "12-randomness explains itself when asked, and when called wrongly" {
    local usage arguments
    usage="usage: 12-randomness status|bytes N|egd serve PATH|egd get PATH N"
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in '' Status 'status 1' bytes 'bytes 1 2' egd 'egd serve' \
        'egd get' 'egd get x' 'egd get x 1 2' 'egd serve x y' 'egd put x' \
        'egd put x 1' 'serve x' 'get x 1' 'x serve x' '-h -h'; do
        # shellcheck disable=SC2086 # words
        try "$program" $arguments
        expect_result 2 "$usage"
        expect_output --text ''
    done
}

@test "the linker knows no RAND_egd, nor does Python since 3.10" {
    if cc -w -o "$BATS_TEST_TMPDIR/egd" -x c - -lcrypto \
        <<<'int RAND_egd(const char *); int main() { return RAND_egd("x"); }' \
        2>"$BATS_TEST_TMPDIR/egd.err"; then
        skip "this OpenSSL was built with RAND_egd"
    fi
    grep "undefined reference to .RAND_egd" "$BATS_TEST_TMPDIR/egd.err"
    skip_unless python3
    python3 -c '
import ssl, sys
if sys.version_info >= (3, 10):
    assert not hasattr(ssl, "RAND_egd")
assert hasattr(ssl, "RAND_pseudo_bytes") == (sys.version_info < (3, 12))
assert hasattr(ssl, "RAND_add") and ssl.RAND_status()
import socket
assert not any(name.startswith("RAND_") for name in dir(socket))'
}
