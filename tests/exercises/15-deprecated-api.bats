#!/usr/bin/env bats
# The exercise of 15-deprecated-api: a program of 1999, brought up to date,
# `15-deprecated-api HOST PORT [HOST PORT]...`. Each test's name is a
# requirement, as a learner reads it.
#
# What a name means is said by a preloaded library, tests/lib/names.c. IPv6 is
# spoken with servers of IPv4: ::ffff:127.0.0.1 is 127.0.0.1, seen from there.

load ../lib/exercise
load ../lib/clock

names=$BUILD/tests/names.so
if [[ $BUILD == *asan* ]]; then
    # Which wants to be loaded first, but need not be.
    export ASAN_OPTIONS=verify_asan_link_order=0
fi

# A name that nobody has used before, and means something only here.
letters=abcdefghijklmnopqrstuvwxyz
HOST=
for ((i = 0; i < 6; i++)); do
    HOST+=${letters:RANDOM % 26:1}
done
HOST+=.test

# serve NAME FACE [OPTION...]: a rude server; sets PORT, and NAME to it, and adds
# it to what is to be tried by hand.
ports=0
serve() {
    start_server "$1" "$BUILD/tests/rude" -s "$((RANDOM + 2))" "${@:3}" \
        serve "$2" || environment "rude cannot listen on 127.0.0.1"
    printf -v "$1" '%s' "$PORT"
    HAND_PORT=80${lesson%%-*}
    HAND_PORT=$((HAND_PORT + 100 * ports))
    HAND+=("$BUILD/tests/rude -p $HAND_PORT ${*:3} serve $2")
    shown[PORT]=$HAND_PORT
    ports=$((ports + 1))
}
shown=()

# by_hand COMMAND...: as in exercise.bash, with the ports of these servers.
by_hand() {
    local command port
    printf -v command '%q ' "$@"
    for port in "${!shown[@]}"; do
        command=${command//$port/${shown[port]}}
    done
    HAND+=("${command% }")
}

# answer_named ADDRESSES ARGUMENT...: with a HOST that means these addresses.
answer_named() {
    local -a with=("LD_PRELOAD=$names" "NAMES=$HOST=$1")
    : >"$BATS_TEST_TMPDIR/ending"
    by_hand env "${with[@]}" "$PROGRAM" "${@:2}"
    try env "${with[@]}" "$PROGRAM" "${@:2}"
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
}

# expect_said LINE...: it has printed that, and nothing else.
expect_said() {
    printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

@test "connects to a server, and says how much that said before its end" {
    local one bytes=$((5000 + RANDOM))
    serve one whole -n "$bytes"
    answer 127.0.0.1 "$one"
    hint "that is what the program of 1999 does, and it should go on doing it."
    expect_status 0
    expect_said "connected to 127.0.0.1:$one" "127.0.0.1:$one said $bytes bytes"
}

@test "knows each server by its own address, to the end" {
    local one two three i
    serve one whole -n 10
    serve two whole -n 20
    serve three whole -n 30
    answer 127.0.0.1 "$one" 127.0.0.1 "$two" 127.0.0.1 "$three"
    hint "what a static buffer holds, the next call overwrites: that is why \
inet_ntoa is dead. A function of yours with a static buffer is another one; \
give each server a buffer of its own."
    expect_status 0
    # Which of them ends first is theirs to say.
    {
        sed '/ said /d' "$OUT"
        sed '/ said /!d' "$OUT" | sort -k 3n
    } >"$BATS_TEST_TMPDIR/sorted"
    for i in "$one" "$two" "$three"; do
        echo "connected to 127.0.0.1:$i"
    done >"$BATS_TEST_TMPDIR/wanted"
    printf '127.0.0.1:%s\n' "$one said 10 bytes" "$two said 20 bytes" \
        "$three said 30 bytes" >>"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/sorted"
}

@test "hears all servers at once, and prints at once" {
    local one two
    serve one stall
    serve two whole -n 10
    by_hand "$PROGRAM" 127.0.0.1 "$one" 127.0.0.1 "$two"
    start answer "$PROGRAM" 127.0.0.1 "$one" 127.0.0.1 "$two"
    soon says_or_ended answer "* said *" || true
    cp "$BATS_TEST_TMPDIR/answer.err" "$BATS_TEST_TMPDIR/err"
    hint "the first server is silent, and the second has ended. poll takes all \
descriptors, as select did, and says which of them have something. A line is \
out when it has been flushed."
    expect_true "it does not say that the second server has ended" \
        says answer "127.0.0.1:$two said 10 bytes"
    hint "the first one has not ended: it is only silent."
    expect_true "it did not wait for the first server" is_running answer
}

@test "finds a server by its name, at whichever of its addresses" {
    local one
    serve one whole -n 10
    answer_named 127.0.0.1 "$HOST" "$one"
    hint "gethostbyname knows no name here, because it is dead. getaddrinfo \
takes a name or a number, and a port."
    expect_status 0
    expect_said "connected to 127.0.0.1:$one" "127.0.0.1:$one said 10 bytes"
    stop_all
    HAND=()
    serve one whole -n 10
    answer_named 127.0.0.91+127.0.0.92+127.0.0.1 "$HOST" "$one"
    hint "a name has several addresses: getaddrinfo gives a list. Who does not \
answer at the first may do so at the next, with a new socket."
    expect_status 0
    expect_said "connected to 127.0.0.1:$one" "127.0.0.1:$one said 10 bytes"
}

@test "speaks IPv6 as well" {
    local one two address=::ffff:127.0.0.1
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    serve one whole -n 10
    answer "$address" "$one"
    hint "AF_INET is IPv4 alone, and so is struct sockaddr_in. Ask getaddrinfo \
for AF_UNSPEC, and take from its answer the family for socket, and address and \
length for connect."
    expect_status 0
    grep -q '^connected to 127' "$OUT" || hint "an IPv6 address has colons of \
its own, so it stands in brackets: [::1]:80. It is longer, too: INET_ADDRSTRLEN \
has no room for it."
    expect_said "connected to [$address]:$one" "[$address]:$one said 10 bytes"
    stop_all
    HAND=()
    serve one whole -n 10
    serve two whole -n 20
    answer_named "$address" "$HOST" "$one" 127.0.0.1 "$two"
    hint "a name may have an IPv6 address and no other."
    expect_status 0
    expect_true "it did not say which address it has found" \
        grep -qxF "[$address]:$one said 10 bytes" "$OUT"
}

@test "takes a socket whose number is 1024 or more" {
    local one first=$((1024 + RANDOM % 64))
    (($(ulimit -Hn) > 1200)) || skip "no more descriptors are to be had here"
    serve one whole -n 10
    HAND+=("bash -c 'for fd in {3..$((first - 1))}; do eval \"exec \
\$fd</dev/null\"; done; $PROGRAM 127.0.0.1 ${shown[one]}'")
    # shellcheck disable=SC2016 # these are another shell's
    try bash -c 'ulimit -Sn 1200
        for ((fd = 3; fd < '"$first"'; fd++)); do
            eval "exec $fd</dev/null"
        done
        exec "$@"' - "$PROGRAM" 127.0.0.1 "$one"
    hint "a set of select has room for descriptors 0 to 1023. FD_SET writes \
behind its end for any other, and most do not even notice. poll takes any."
    expect_status 0
    expect_said "connected to 127.0.0.1:$one" "127.0.0.1:$one said 10 bytes"
}

# Whoever knocks at port $PORT is refused.
nobody() {
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
}

@test "tries three times, a tenth of a second apart" {
    local one took
    need_faults
    # Beside the other, to save time: one whose first try fails.
    serve one whole -n 10
    by_hand "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
        "$PROGRAM" 127.0.0.1 "$one"
    start answer "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
        "$PROGRAM" 127.0.0.1 "$one"
    nobody
    timed "$PROGRAM" 127.0.0.1 "$PORT"
    HAND+=("$PROGRAM 127.0.0.1 9   # where nobody listens")
    hint "when it has failed three times, it says with whom, and why: connect \
127.0.0.1:80: Connection refused."
    expect_status 1
    expect_stderr "*127.0.0.1:$PORT*Connection refused*"
    hint "two pauses of a tenth of a second: usleep took microseconds, 100000 of \
them. nanosleep takes seconds, and nanoseconds: 100000000."
    expect_true "it gave up after 0.$(printf %02d "$took") seconds" \
        [ "$took" -ge 19 ]
    finish answer
    OUT=$BATS_TEST_TMPDIR/answer.out
    cp "$BATS_TEST_TMPDIR/answer.err" "$BATS_TEST_TMPDIR/err"
    hint "a later try may succeed: each has a new socket."
    expect_said "connected to 127.0.0.1:$one" "127.0.0.1:$one said 10 bytes"
}

@test "does not take a reset for the end" {
    local one
    serve one reset -k 5
    answer 127.0.0.1 "$one"
    hint "recv has three answers: bytes, 0 for the end, and -1 for a failure. \
The status is 1 then; on standard error, who it was, and why."
    expect_status 1
    expect_stderr "*127.0.0.1:$one*Connection reset by peer*"
}

# holds_call NAME: PROGRAM has that name in its table of what it wants of libc,
# where a NUL or its version stands behind it.
holds_call() {
    tr '\0' '\n' <"$PROGRAM" | grep -qaxE "$1(@+GLIBC.*)?"
}

@test "calls none of the dead" {
    local call one
    [[ $BUILD != *asan* ]] || skip "the sanitizers know all of them"
    [[ -r $PROGRAM ]] || environment "$PROGRAM cannot be read"
    HAND+=("nm -uD $PROGRAM")
    for call in gethostbyname gethostbyaddr inet_addr inet_aton inet_ntoa \
        usleep bcopy bzero; do
        hint "the warning was there for a reason. Who silences it has the same \
program as before, and nobody who says so: replace the call."
        expect_true "it still calls $call" without_call "$call"
    done
    need_faults
    serve one whole -n 10
    try "${faulty[@]}" FAULT_CALL=select FAULT_TIMES=9 "$PROGRAM" 127.0.0.1 "$one"
    expect_true "it still calls select" [ "$status" = 0 ]
}

without_call() {
    ! holds_call "$1"
}

@test "says what it cannot use" {
    hint "argc counts the program's own name too. Usage goes to standard error, \
and the status is 2: there is a PORT for each HOST, and there are 1 to 8."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1
    expect_status 2
    answer_named 127.0.0.1 "$HOST" 80 "$HOST"
    expect_status 2
    answer a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9
    expect_status 2
    hint "getaddrinfo returns an error of its own, and gai_strerror has words \
for it."
    answer_named 127.0.0.1 "no.$HOST" 80
    expect_status 1
    expect_stderr "*no.$HOST*"
    hint "a port is digits and nothing else, from 1 to 65535."
    answer 127.0.0.1 80x
    expect_status 1
    answer 127.0.0.1 65616
    expect_status 1
}
