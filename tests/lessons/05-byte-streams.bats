#!/usr/bin/env bats
# 05-byte-streams serve PORT: three lines, cut. 05-byte-streams read HOST PORT:
# lines, however cut. (tests/workbook/stream.bats is about common/stream.)

load ../lib/common

program=$BUILD/05-byte-streams
rude=$BUILD/peers/rude
three=(one two ten)

# serve ARGUMENT...: starts the server on a port of the kernel's, without pauses
# unless the arguments have one. Options come before the sizes.
serve() {
    local -a options=(-p 0)
    while [[ ${1-} == -* ]]; do
        options+=("$1" "$2")
        shift 2
    done
    start_server server "$program" "${options[@]}" serve 0 "$@"
}

# against FACE [OPTION...]: the client reads from a rude server.
against() {
    local face=$1
    shift
    start_server peer "$rude" -s 5 "$@" serve "$face"
    "$rude" -s 5 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$program" read 127.0.0.1 "$PORT"
}

# expect_counts PIECE...: what the client should print when the lines come in
# pieces of these sizes, each alone.
expect_counts() {
    local line have=0 calls
    {
        for line in "${three[@]}"; do
            for ((calls = 0; have < 4; calls++)); do
                have=$((have + $1))
                shift
            done
            have=$((have - 4))
            echo "$calls recv: $line"
        done
        echo "1 recv: (end)"
    } >"$BATS_TEST_TMPDIR/counts"
    expect_output "$BATS_TEST_TMPDIR/counts"
}

# read_counted SEED SIZE [PIECE]...: the server cuts into these pieces, and the
# client needs as many calls as that takes. On a busy machine a piece may wait
# until the next one has come: then once more, with longer pauses.
read_counted() {
    local pause seed=$1 size=$2
    local -a pieces
    shift 2
    for pause in 10 50 200 1000; do
        serve -p "$pause" -s "$seed" "$size"
        try "$program" read 127.0.0.1 "$PORT"
        expect_result 0 ""
        wait_for server "pieces:*"
        stop server
        last_pieces
        (($# == 0)) || expect_equal pieces "$*" "${pieces[*]}"
        ! expect_counts "${pieces[@]}" || return 0
    done
    return 1
}

# last_pieces: sets pieces to the sizes that the server's last line tells of.
last_pieces() {
    local -a said
    mapfile -t said <"$BATS_TEST_TMPDIR/server.out"
    read -ra pieces <<<"${said[-1]#pieces:}"
}

# lines_of FILE: what the client printed in it, without the counts.
lines_of() {
    sed 's/^[0-9]* recv: //' "$1"
}

@test "05-byte-streams reads three lines, sent at once, with one recv" {
    read_counted 1 12 12
}

@test "05-byte-streams reads three lines, sent a byte at a time, with twelve" {
    read_counted 1 1 1 1 1 1 1 1 1 1 1 1 1 1
}

@test "05-byte-streams reads three lines, each sent alone, with three" {
    read_counted 1 4 4 4 4
}

@test "05-byte-streams reads three lines, cut in their middle, as they come" {
    read_counted 1 3 3 3 3 3
    read_counted 1 5 5 5 2
}

@test "05-byte-streams reads three lines, cut at random, as they come" {
    read_counted "$RANDOM" 0
}

@test "05-byte-streams serve cuts as it is told, another way for each client" {
    local i
    serve 12 1 4 3 5 65535
    for ((i = 0; i < 7; i++)); do
        try "$program" read 127.0.0.1 "$PORT"
        expect_result 0 ""
        lines_of "$OUT" >"$BATS_TEST_TMPDIR/lines"
        expect_output --text 'one\ntwo\nten\n(end)\n' \
            --in "$BATS_TEST_TMPDIR/lines"
    done
    stop server
    expect_lines server "listening on 127.0.0.1:$PORT" "pieces: 12" \
        "pieces: 1 1 1 1 1 1 1 1 1 1 1 1" "pieces: 4 4 4" "pieces: 3 3 3 3" \
        "pieces: 5 5 2" "pieces: 12" "pieces: 12"
}

@test "05-byte-streams serve cuts at random when told 0, or nothing" {
    local seed first='' cuts
    for seed in 1 1 65535 ''; do
        serve ${seed:+-s "$seed"} ${first:+0}
        try "$rude" -c 9 -k 0 connect half-close "$PORT"
        until_true has_said 10
        stop server
        cuts=$(sed 1d "$BATS_TEST_TMPDIR/server.out")
        # Every size from 1 to 6, and 12 bytes in all.
        awk '{
            sum = 0
            for (i = 2; i <= NF; i++) {
                seen[$i] = 1
                sum += $i
            }
            if (sum != 12) exit 1
        }
        END {
            for (size in seen) {
                if (size < 1 || size > 6) exit 1
                sizes++
            }
            if (sizes < 6) exit 1
        }' <<<"$cuts"
        # The same seed, the same cuts; another seed, others.
        first=${first:-$cuts}
        [[ $seed == 1 || $cuts != "$first" ]]
        [[ $seed != 1 || $cuts == "$first" ]]
    done
}

# has_said COUNT: the server has said so many lines.
has_said() {
    local -a said
    mapfile -t said <"$BATS_TEST_TMPDIR/server.out"
    ((${#said[@]} == $1))
}

@test "05-byte-streams serve says the same when nobody gave a seed" {
    local i
    for i in 1 2; do
        serve
        try "$rude" -c 3 -k 0 connect half-close "$PORT"
        until_true has_said 4
        stop server
        sed 1d "$BATS_TEST_TMPDIR/server.out" >"$BATS_TEST_TMPDIR/cuts$i"
    done
    expect_output "$BATS_TEST_TMPDIR/cuts1" --in "$BATS_TEST_TMPDIR/cuts2"
}

@test "05-byte-streams serve waits after each piece" {
    local begun
    serve -p 10 1
    begun=${EPOCHREALTIME/./}
    try "$program" read 127.0.0.1 "$PORT"
    ((${EPOCHREALTIME/./} - begun >= 12 * 10000))
    stop server
    start_server server "$program" serve 0 12
    begun=${EPOCHREALTIME/./}
    try "$program" read 127.0.0.1 "$PORT"
    ((${EPOCHREALTIME/./} - begun >= 100000))
}

@test "05-byte-streams serve lives through every face of the rude peer" {
    local face before
    serve -p 1 1
    before=$(descriptors "$(pid_of server)")
    for face in $("$rude" faces); do
        try "$rude" -s 5 connect "$face" "$PORT"
        expect_equal "status against $face" 0 "$status"
    done
    try "$program" read 127.0.0.1 "$PORT"
    expect_result 0 ""
    # The last one is closed a moment after its last piece.
    until_true holds_descriptors "$(pid_of server)" "$before"
    stop server
    expect_equal status 0 "$ended"
}

@test "05-byte-streams serve goes on after a client that resets in the middle" {
    serve -p 100 1 12
    try "$rude" -k 0 connect reset "$PORT"
    wait_for server "pieces:*"
    [[ $(<"$BATS_TEST_TMPDIR/server.err") == "05-byte-streams: send: "* ]]
    try "$program" read 127.0.0.1 "$PORT"
    expect_result 0 ""
    stop server
    expect_lines server "listening on *" "pieces:*" "pieces: 12"
    ! says server "pieces: 1 1 1 1 1 1 1 1 1 1 1 1" || false
}

@test "05-byte-streams serve reports what fails with one client, and goes on" {
    need_faults
    start_server server "${faulty[@]}" FAULT_CALL=send FAULT_AT=2 \
        "$program" -p 0 serve 0 4
    try "$program" read 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_output --text '1 recv: one\n1 recv: (end)\n'
    expect_equal error "05-byte-streams: send: Input/output error" \
        "$(<"$BATS_TEST_TMPDIR/server.err")"
    try "$program" read 127.0.0.1 "$PORT"
    stop server
    expect_equal status 0 "$ended"
    expect_lines server "listening on *" "pieces: 4" "pieces: 4 4 4"
}

@test "05-byte-streams serve outlives a failing accept, without haste" {
    local begun four
    need_faults
    begun=${EPOCHREALTIME/./}
    start_server server "${faulty[@]}" FAULT_CALL=accept4 FAULT_ERRNO=24 \
        FAULT_TIMES=4 "$program" -p 50 serve 0 12
    try "$program" read 127.0.0.1 "$PORT"
    expect_result 0 ""
    ((${EPOCHREALTIME/./} - begun >= 5 * 50000))
    printf -v four '05-byte-streams: accept: Too many open files\\n%.0s' {1..4}
    expect_output --text "$four" --in "$BATS_TEST_TMPDIR/server.err"
}

@test "05-byte-streams serve ends with status 0 on SIGINT and on SIGTERM" {
    local signal
    for signal in INT TERM; do
        serve 12
        stop server "$signal"
        expect_equal "status in accept" 0 "$ended"
        serve -p 60000 12
        start client "$program" read 127.0.0.1 "$PORT"
        wait_for client '1 recv: one'
        stop server "$signal"
        expect_equal "status with a client" 0 "$ended"
        expect_lines server "listening on *" # it was in its pause
        finish client
        stop_all
    done
}

@test "05-byte-streams serve takes the port it had a moment ago" {
    local port
    serve 12
    try "$program" read 127.0.0.1 "$PORT"
    expect_result 0 ""
    stop server
    port=$PORT # and on it, in TIME_WAIT, what is left of that connection
    start_server server "$program" serve "$port" 12
    expect_equal "port" "$port" "$PORT"
    try "$program" serve "$port"
    expect_result 1 \
        "05-byte-streams: bind 127.0.0.1:$port: Address already in use"
}

@test "05-byte-streams serve names the call that failed" {
    local call at
    need_faults
    for call in socket "setsockopt SO_REUSEADDR" "setsockopt TCP_NODELAY" \
        "bind 127.0.0.1:0" listen getsockname; do
        at=1
        [[ $call != *TCP_NODELAY ]] || at=2 # the second one to be called
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_AT="$at" \
            "$program" serve 0
        expect_result 1 "05-byte-streams: $call: Input/output error"
    done
}

@test "05-byte-streams serve is for this machine only, its sockets for itself" {
    local port
    serve -p 60000 12
    start client "$program" read 127.0.0.1 "$PORT"
    wait_for client '1 recv: one'
    printf -v port %04X "$PORT"
    grep -q " 0100007F:$port 00000000:0000 0A " /proc/net/tcp
    until_true all_cloexec "$(pid_of server)" 2
    until_true all_cloexec "$(pid_of client)" 1
}

@test "05-byte-streams reads from every face of the rude peer" {
    against whole
    expect_result 0 ""
    expect_output \
        --text "1 recv: $(<"$BATS_TEST_TMPDIR/payload")\n1 recv: (end)\n"
    stop_all
    against dribble
    expect_result 0 ""
    lines_of "$OUT" >"$BATS_TEST_TMPDIR/lines"
    expect_output --text "$(<"$BATS_TEST_TMPDIR/payload")\n(end)\n" \
        --in "$BATS_TEST_TMPDIR/lines"
    stop_all
    against join
    expect_result 0 ""
    read -r line <"$BATS_TEST_TMPDIR/payload"
    expect_output --text "1 recv: $line\n0 recv: $line\n1 recv: (end)\n"
    stop_all
    start_server peer "$rude" -s 5 serve deaf
    "$rude" -s 5 payload deaf >"$BATS_TEST_TMPDIR/payload"
    start client "$program" read 127.0.0.1 "$PORT"
    wait_for client "1 recv: $(<"$BATS_TEST_TMPDIR/payload")"
}

@test "05-byte-streams does not take an end in the middle for a line" {
    printf 'one\ntwo' >"$BATS_TEST_TMPDIR/cut"
    against half-close -f "$BATS_TEST_TMPDIR/cut" -k 7
    expect_result 1 "05-byte-streams: peer ended after 3 bytes of a line"
    expect_output --text '1 recv: one\n'
    stop_all
    against half-close -k 0
    expect_result 0 ""
    expect_output --text '1 recv: (end)\n'
}

@test "05-byte-streams reports a reset, after the lines that came before it" {
    printf 'one\ntwo' >"$BATS_TEST_TMPDIR/cut"
    against reset -f "$BATS_TEST_TMPDIR/cut" -k 7
    expect_result 1 "05-byte-streams: recv: Connection reset by peer"
    expect_output --text '1 recv: one\n'
}

@test "05-byte-streams prints a line before the next one has come" {
    printf 'one\ntwo' >"$BATS_TEST_TMPDIR/cut"
    start_server peer "$rude" -f "$BATS_TEST_TMPDIR/cut" -k 7 serve stall
    start client "$program" read 127.0.0.1 "$PORT"
    wait_for client '1 recv: one'
    stop client
    expect_equal "status, of one that waited" 143 "$ended"
}

@test "05-byte-streams reads garbage as lines, whatever bytes are in it" {
    "$rude" -s 5 payload garbage >"$BATS_TEST_TMPDIR/noise"
    printf '\n' >>"$BATS_TEST_TMPDIR/noise"
    against whole -f "$BATS_TEST_TMPDIR/noise"
    expect_result 0 ""
    lines_of "$OUT" >"$BATS_TEST_TMPDIR/lines"
    { cat "$BATS_TEST_TMPDIR/noise" && echo '(end)'; } \
        >"$BATS_TEST_TMPDIR/expected"
    expect_output "$BATS_TEST_TMPDIR/expected" --in "$BATS_TEST_TMPDIR/lines"
    stop_all
    against garbage
    expect_result 1 "05-byte-streams: peer ended after \
$(($(wc -c <"$BATS_TEST_TMPDIR/payload") - \
        $(lines_of "$OUT" | wc -c))) bytes of a line"
    stop_all
    printf '\0\n\n\0\0x\0\n' >"$BATS_TEST_TMPDIR/nul"
    against whole -f "$BATS_TEST_TMPDIR/nul"
    expect_result 0 ""
    expect_output --text '1 recv: \0000\n0 recv: \n0 recv: \0000\0000x\0000\n'\
'1 recv: (end)\n'
}

@test "05-byte-streams reads lines of 1024 bytes, and not of 1025" {
    against whole -n 1024
    expect_result 0 ""
    expect_output \
        --text "1 recv: $(<"$BATS_TEST_TMPDIR/payload")\n1 recv: (end)\n"
    stop_all
    against whole -n 1025
    expect_result 1 "05-byte-streams: no newline within 1024 bytes"
    expect_output --text ''
    stop_all
    # It does not wait for more.
    against stall -n 4000 -k 1024
    expect_result 1 "05-byte-streams: no newline within 1024 bytes"
    stop_all
    against flood
    expect_result 1 "05-byte-streams: no newline within 1024 bytes"
}

@test "05-byte-streams meets each of the rude peer's faces above" {
    local face
    for face in $("$rude" faces); do
        grep -qE "against $face|serve $face" "$BATS_TEST_FILENAME"
    done
}

@test "05-byte-streams read tries each address that a name has" {
    local six=::1 six_name='[::1]' refused
    need_names
    # Where there is no IPv6, one more of the other kind.
    if ! grep -qs '^0\{31\}1 ' /proc/net/if_inet6; then
        six=127.0.0.3 six_name=127.0.0.3
    fi
    serve 12
    refused="05-byte-streams: connect $six_name:$PORT: Connection refused
05-byte-streams: connect 127.0.0.2:$PORT: Connection refused"
    try "${named[@]}" NAMES="hal=$six+127.0.0.2+127.0.0.1" \
        "$program" read hal "$PORT"
    expect_result 0 "$refused"
    expect_output \
        --text '1 recv: one\n0 recv: two\n0 recv: ten\n1 recv: (end)\n'
    try "${named[@]}" NAMES="hal=127.0.0.1+$six" \
        NAMES_LOG="$BATS_TEST_TMPDIR/log" "$program" read hal "$PORT"
    expect_result 0 ""
    expect_equal "list given, and given back" 2 \
        "$(wc -l <"$BATS_TEST_TMPDIR/log")"
    try "${named[@]}" NAMES="hal=$six+127.0.0.2" "$program" read hal "$PORT"
    expect_result 1 "$refused"
    expect_output --text ''
}

# need_names: sets named, what goes before NAMES=... COMMAND...
need_names() {
    need_faults
    named=(env LD_PRELOAD="$PWD/$BUILD/tests/names.so")
}

@test "05-byte-streams read says what is wrong with a name or a port" {
    local port
    need_names
    try "${named[@]}" NAMES=hal=127.0.0.1 "$program" read frank 80
    expect_result 1 "05-byte-streams: frank, port 80: Name or service not known"
    for port in '' 80x 65536 -1; do
        try "$program" read 127.0.0.1 "$port"
        expect_result 1 "05-byte-streams: 127.0.0.1, port $port: Servname not \
supported for ai_socktype"
    done
}

@test "05-byte-streams read names the call that failed" {
    local call
    need_faults
    for call in "socket 127.0.0.1:%s" "connect 127.0.0.1:%s" recv close; do
        serve 12
        # shellcheck disable=SC2059 # two messages have the address
        printf -v message "$call" "$PORT"
        try "${faulty[@]}" FAULT_CALL="${call%% *}" \
            "$program" read 127.0.0.1 "$PORT"
        expect_result 1 "05-byte-streams: $message: Input/output error"
        stop_all
    done
}

@test "05-byte-streams closes the socket of an address that refused it" {
    need_names
    # 20 addresses, and descriptors for 5.
    local refused
    printf -v refused '127.0.0.2+%.0s' {1..20}
    serve 12
    try bash -c 'ulimit -n 6; exec "$@"' - "${named[@]}" \
        NAMES="hal=${refused}127.0.0.1" "$program" read hal "$PORT"
    expect_equal "status" 0 "$status"
}

# shell SCRIPT COMMAND...: fails, with what it says in stderr. The script ends
# in `exec "$@"`, so that what is bounded is the command itself.
shell() {
    run -1 --separate-stderr bounded bash -c "$1" - "${@:2}"
}

# shellcheck disable=SC2016 # the other shell expands them
@test "05-byte-streams says so when standard output is full, gone or closed" {
    local -a read
    serve 12
    read=("$program" read 127.0.0.1 "$PORT")
    shell 'exec "$@" >/dev/full' "${read[@]}"
    expect_equal "full" \
        "05-byte-streams: standard output: No space left on device" \
        "$stderr"
    shell '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' "${read[@]}"
    expect_equal "gone" "05-byte-streams: standard output: Broken pipe" \
        "$stderr"
    shell 'exec "$@" >&-' "${read[@]}"
    expect_equal "closed" "05-byte-streams: descriptor 1: Bad file descriptor" \
        "$stderr"
    shell 'exec "$@" 2>&-' "${read[@]}"
}

# shellcheck disable=SC2016
@test "05-byte-streams serve says so too" {
    shell 'exec "$@" >/dev/full' "$program" serve 0
    expect_equal "full" \
        "05-byte-streams: standard output: No space left on device" \
        "$stderr"
    # Who listened to it has gone after its first line.
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    start server bash -c 'exec "$@" >"$0"' "$BATS_TEST_TMPDIR/pipe" \
        "$program" -p 0 serve 0 12
    read -r line <"$BATS_TEST_TMPDIR/pipe"
    try "$program" read 127.0.0.1 "${line##*:}"
    expect_result 0 ""
    wait_for server '05-byte-streams: standard output: Broken pipe' err
    try "$program" read 127.0.0.1 "${line##*:}"
    expect_result 0 ""
    stop server
}

@test "05-byte-streams explains itself when asked, and when called wrongly" {
    local usage="usage: 05-byte-streams [-s SEED] [-p PAUSE] serve PORT [SIZE]...
       05-byte-streams read HOST PORT" arguments
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in '' serve read 'read 127.0.0.1' 'read 127.0.0.1 80 more' \
        'write 127.0.0.1 80' 'Serve 0'; do
        # shellcheck disable=SC2086 # words
        try "$program" $arguments
        expect_result 2 "$usage"
        expect_output --text ''
    done
    for arguments in '-x serve 0' '-s' '-p'; do
        # shellcheck disable=SC2086 # words
        try "$program" $arguments
        expect_equal status 2 "$status"
        [[ $errors == *"$usage" ]]
    done
}

@test "05-byte-streams takes numbers from 0 to 65535, and says what is wrong" {
    local number arguments
    for number in -1 65536 '' x 1x ' 1' 18446744073709551617; do
        try "$program" serve "$number"
        expect_result 1 "05-byte-streams: $number is not a number from 0 to 65535"
    done
    for arguments in '-s x serve 0' '-p x serve 0' 'serve 0 4 x'; do
        # shellcheck disable=SC2086 # words
        try "$program" $arguments
        expect_result 1 "05-byte-streams: x is not a number from 0 to 65535"
        expect_output --text ''
    done
}

# Its twin prints less than the program: compared here.
@test "05-byte-streams' twin in Python prints the same lines" {
    skip_unless python3
    serve 5
    try python3 lessons/05-byte-streams/twin.py read 127.0.0.1 "$PORT"
    expect_result 0 ""
    expect_output --text 'one\ntwo\nten\n'
}

# The parser of the exercise's solution: a table.
@test "the solution's parser tells whole netstrings, beginnings and wrong ones" {
    local line big
    local -a cases=() verdicts=()
    printf -v big '%0100000d' 1
    while IFS= read -r line; do
        line=${line//BIG/$big}
        cases+=("${line% -> *}")
        verdicts+=("${line##* -> }")
    done <<'END'
5:hello, -> WHOLE 5 8
5:hello,5:wor -> WHOLE 5 8
0:, -> WHOLE 0 3
0:,, -> WHOLE 0 3
1:,, -> WHOLE 1 4
3:1:,, -> WHOLE 3 6
10:0123456789, -> WHOLE 10 14
100000:BIG, -> WHOLE 100000 100008
 -> NOT_YET
0 -> NOT_YET
5 -> NOT_YET
99999 -> NOT_YET
100000 -> NOT_YET
0: -> NOT_YET
5: -> NOT_YET
5:hell -> NOT_YET
5:hello -> NOT_YET
100000: -> NOT_YET
100000:BIG -> NOT_YET
0:x -> NO_COMMA
5:hello; -> NO_COMMA
5:helloo -> NO_COMMA
4:hello, -> NO_COMMA
100000:BIG; -> NO_COMMA
: -> WRONG_LENGTH
:, -> WRONG_LENGTH
, -> WRONG_LENGTH
x -> WRONG_LENGTH
5, -> WRONG_LENGTH
5 :hello, -> WRONG_LENGTH
5x:hello, -> WRONG_LENGTH
5.0:hello, -> WRONG_LENGTH
+5:hello, -> WRONG_LENGTH
-5:hello, -> WRONG_LENGTH
-0:, -> WRONG_LENGTH
0x5:hello, -> WRONG_LENGTH
05:hello, -> WRONG_LENGTH
00 -> WRONG_LENGTH
00:, -> WRONG_LENGTH
000000005:hello, -> WRONG_LENGTH
100001 -> WRONG_LENGTH
100001: -> WRONG_LENGTH
999999 -> WRONG_LENGTH
1000000 -> WRONG_LENGTH
4294967301:hello, -> WRONG_LENGTH
18446744073709551621:hello, -> WRONG_LENGTH
99999999999999999999999999 -> WRONG_LENGTH
END
    try "$BUILD/tests/tell-netstring" "${cases[@]}"
    expect_result 0 ""
    printf '%s\n' "${verdicts[@]}" >"$BATS_TEST_TMPDIR/verdicts"
    expect_output "$BATS_TEST_TMPDIR/verdicts"
}
