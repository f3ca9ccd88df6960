#!/usr/bin/env bats
# The exercise of 07-timeouts: a line fetched with retries and a deadline,
# `07-timeouts -t SECONDS -n TRIES HOST PORT`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise
load ../lib/clock

# peers OPTIONS FACE...: a server that shows each client the next face. What
# the last one has to say is in $PAYLOAD.
peers() {
    local -a options
    HAND=()
    read -ra options <<<"-s $((RANDOM * 32768 + RANDOM + 2)) $1"
    shift
    PAYLOAD=$BATS_TEST_TMPDIR/payload
    "$BUILD/tests/rude" "${options[@]}" payload "${!#}" >"$PAYLOAD" ||
        environment "$BUILD/tests/rude does not run"
    start_server peer "$BUILD/tests/rude" "${options[@]}" serve "$@" ||
        environment "$BUILD/tests/rude cannot listen on 127.0.0.1"
    by_hand "$BUILD/tests/rude" "${options[@]}" -p "$PORT" serve "$@"
}

# nobody refuse: a port where every SYN is refused. nobody swallow: one where
# none is answered.
nobody() {
    HAND=()
    start nobody "$BUILD/tests/rude" "$1"
    wait_for nobody '* on *' || environment "$BUILD/tests/rude has no port"
    port_of nobody
    [[ $1 == refuse ]] || by_hand "$BUILD/tests/rude" -p "$PORT" "$1"
}

# fetch ARGUMENT...: an answer, asked for a line from PORT, perhaps with a fault
# (see tests/lib/faults.c). Sets took: how many hundredths of a second it was at
# it, by a clock that nobody can set.
fetch() {
    local start now
    local -a with=()
    if [[ -n $fault ]]; then
        need_faults
        with=(env LD_PRELOAD="$PWD/$BUILD/tests/faults.so" "$fault")
    fi
    by_hand "${with[@]/"$PWD/"/}" "$PROGRAM" "$@" 127.0.0.1 "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    look_at_clock
    start=$now
    try "${with[@]}" "$PROGRAM" "$@" 127.0.0.1 "$PORT"
    look_at_clock
    took=$((now - start))
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
}
fault=

# fetch_from OPTIONS FACES ARGUMENT...: from new peers.
fetch_from() {
    local -a faces
    read -ra faces <<<"$2"
    peers "$1" "${faces[@]}"
    fetch "${@:3}"
}

fetch_from_nobody() {
    nobody "$1"
    fetch "${@:2}"
}

# within LIMIT COMMAND...: what COMMAND does; again, while it takes LIMIT
# hundredths of a second or more.
within() {
    local i
    for i in {1..10}; do
        "${@:2}"
        ((took >= $1 && status != 124)) || break
        stop_all
    done
}

expect_at_least() {
    ((took >= $1)) || tell_time | not_yet "it did not wait as long as it should"
}

expect_less_than() {
    ((took < $1)) || tell_time | not_yet "it took too long"
}

tell_time() {
    printf '     Got: %d.%02d seconds\n' $((took / 100)) $((took % 100))
}

a_line_is="a line ends with its newline. recv returns what has arrived: a part \
of a line, or a line and a part of the next."

@test "prints the line that it is sent, and nothing after it" {
    fetch_from "-n 12" dribble -t 5 -n 1
    hint "$a_line_is"
    expect_status 0
    expect_output "$PAYLOAD"
    fetch_from "" join -t 5 -n 1
    expect_status 0
    head -n 1 "$PAYLOAD" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line"
    fetch_from "-k 40" stall -t 5 -n 1
    hint "$a_line_is This server says one and then keeps the connection: who \
waits for its end waits in vain."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "prints a line of 4096 bytes, NUL bytes among them, and no longer one" {
    fetch_from "-n 4096" whole -t 5 -n 1
    hint "4096 bytes with the newline: is there room for all of them?"
    expect_status 0
    expect_output "$PAYLOAD"
    printf '%d\0%d\n' "$RANDOM" "$RANDOM" >"$BATS_TEST_TMPDIR/nul"
    fetch_from "-f $BATS_TEST_TMPDIR/nul" whole -t 5 -n 1
    hint "bytes from a socket are no C string: there may be a NUL among them. \
memchr and fwrite take a length."
    expect_status 0
    expect_output "$PAYLOAD"
    fetch_from "-n 4097" whole -t 5 -n 1
    hint "the peer decides how much it says, and you how much you take: a \
line of more than 4096 bytes is a failed try, and nothing of it is printed."
    expect_status 1
    expect_output /dev/null
}

@test "says which try failed, in which call, and why" {
    nobody refuse
    fetch -t 5 -n 1
    hint "poll says POLLOUT when connect is over, and not how it went: that \
is what getsockopt tells, SOL_SOCKET, SO_ERROR. On standard error: try 1: \
connect: Connection refused."
    expect_status 1
    expect_stderr "*try 1: *connect*Connection refused*"
    fetch_from "" half-close -t 5 -n 1
    hint "recv returned 0, and there was no newline yet: the line was cut \
short, and the try has failed. Nothing of it is printed."
    expect_status 1
    expect_output /dev/null
    expect_stderr "*try 1: *recv*"
    fetch_from "" reset -t 5 -n 1
    hint "recv returns -1 when it fails, and errno says why; strerror(errno) \
says it in words."
    expect_status 1
    expect_output /dev/null
    expect_stderr "*try 1: *Connection reset by peer*"
}

@test "does not look at the time of day, which somebody may set" {
    fault=FAULT_CLOCK=60
    fetch_from "-n 10" dribble -t 5 -n 1
    hint "somebody set the clock forward while it waited. time, gettimeofday \
and CLOCK_REALTIME are the time of day; CLOCK_MONOTONIC can't be set."
    expect_status 0
    expect_output "$PAYLOAD"
}

@test "ends a connect that nobody answers when the deadline comes" {
    fetch_from_nobody swallow -t 0.05 -n 1
    hint "connect waits for minutes where nobody answers, unless the socket \
has O_NONBLOCK: then it returns EINPROGRESS, and poll waits, as long as you \
say, for POLLOUT."
    expect_status 1
    expect_stderr "*try 1: *deadline passed*"
    hint "SECONDS may have a fraction: 0.05 is fifty milliseconds, and \
neither 0 nor 1 second."
    expect_at_least 4
}

@test "ends at the deadline, though a byte comes now and then" {
    # Bytes at 0, 0.09 and 0.18: who looks at the clock only when a wait is over
    # ends with the third.
    within 17 fetch_from "-n 99 -d 90" dribble -t 0.12 -n 1
    hint "each byte ends one wait, and the next one must be shorter: what poll \
gets is what is left until the deadline, looked up each time."
    expect_status 1
    expect_output /dev/null
    expect_stderr "*try 1: *deadline passed*"
    expect_at_least 11
    expect_less_than 17
}

@test "ends at the deadline, though a signal comes each millisecond" {
    fault=FAULT_SIGNALS=1000
    fetch_from "" stall -t 0.05 -n 1
    hint "a signal ends poll with EINTR: that is no failure. Wait again, but \
only for what is left until the deadline: who begins the same wait anew with \
each signal waits for ever."
    expect_status 1
    expect_stderr "*try 1: *deadline passed*"
    expect_at_least 4
}

@test "closes the socket of a failed try, and sleeps while it waits" {
    local pid
    nobody refuse
    by_hand "$PROGRAM" -t 60 -n 9 127.0.0.1 "$PORT"
    start answer "$PROGRAM" -t 60 -n 9 127.0.0.1 "$PORT"
    hint "TRIES is how often it tries in all; and each failed try is a line \
on standard error."
    expect_true "it did not say that its first try had failed" \
        soon says answer "*try 1: *" err
    pid=$(pid_of answer)
    hint "a try that failed still has its socket: close it before you pause."
    expect_true "it pauses with the socket of its first try" soon holds 0
    stop_all
    peers "" reset stall
    by_hand "$PROGRAM" -t 60 -n 2 127.0.0.1 "$PORT"
    start answer "$PROGRAM" -t 60 -n 2 127.0.0.1 "$PORT"
    hint "TRIES is how often it tries in all."
    expect_true "it did not try a second time" soon has_met_both
    pid=$(pid_of answer)
    hint "a try that failed still has its socket: close it before the next."
    expect_true "it holds the socket of its first try" soon holds 1
    hint "recv on a socket with O_NONBLOCK returns at once, with EAGAIN. Who \
asks again and again keeps a processor busy with it: poll sleeps until there \
is something."
    expect_true "it does not sleep" soon is_asleep
}

# soon COMMAND...: within a second or so.
soon() {
    local i
    for ((i = 0; i < 50; i++)); do
        "$@" && return
        pause
    done
    return 1
}

has_met_both() {
    [[ $(grep -c '^connected' "$BATS_TEST_TMPDIR/peer.out") == 2 ]]
}

# holds COUNT: the program runs, and has that many sockets.
holds() {
    local fd count=0
    for fd in "/proc/$pid/fd"/*; do
        [[ $(readlink "$fd") != socket:* ]] || count=$((count + 1))
    done
    is_running answer && ((count == $1))
}

is_asleep() {
    [[ $(<"/proc/$pid/stat") == *') S '* ]]
}

@test "tries again, after 0.05 s, and then after twice as long each time" {
    fault=FAULT_SIGNALS=1000
    [[ $BUILD != *asan* ]] || fault=
    within 25 fetch_from "" "half-close reset whole" -t 5 -n 3
    hint "TRIES is how often it tries in all; what came of the line in one try \
is of no use in the next."
    expect_status 0
    expect_output "$PAYLOAD"
    expect_stderr $'*try 1: *recv*\n*try 2: *reset by peer*'
    hint "0.05 s after the first failed try, 0.1 s after the second. A signal \
ends a pause too soon, as it ends every wait: pause until a point in time."
    expect_at_least 14
    hint "0.05 s after the first failed try, 0.1 s after the second: 0.15 s in \
all."
    expect_less_than 25
}

@test "makes no more than TRIES tries, and no pause after the last" {
    within 10 fetch_from_nobody refuse -t 5 -n 1
    hint "after the last try there is nothing to wait for, and no other try."
    expect_status 1
    expect_less_than 10
    expect_true "there was a second try" misses "try 2:"
}

misses() {
    [[ $errors != *"$1"* ]]
}

@test "has one deadline for all tries" {
    within 28 fetch_from "" "half-close half-close stall" -t 0.17 -n 4
    hint "the deadline is worked out once, before the first try: a later one \
has only what the tries and pauses before it have left."
    expect_status 1
    expect_less_than 28
}

@test "begins no pause that would end after the deadline" {
    within 12 fetch_from_nobody refuse -t 0.12 -n 9
    hint "the second pause would end at 0.15 s: compare that with the deadline \
before you sleep, and end at once."
    expect_status 1
    expect_less_than 12
    expect_true "there was a third try" misses "try 3:"
}

@test "says so when standard output cannot be written" {
    peers "" whole
    HAND+=("$PROGRAM -t 5 -n 1 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" -t 5 -n 1 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "fwrite, printf and fflush return what became of the bytes. Nothing \
is on its way before fflush: without it the loss shows only at exit."
    expect_status 1
}

@test "refuses wrong arguments" {
    local bad
    hint "usage goes to standard error, and the status is 2: for too few \
arguments, too many, an option that is missing or that there is not."
    answer -t 1 -n 1 127.0.0.1
    expect_status 2
    expect_stderr "*usage: *"
    for bad in "-t 1" "-n 1" "-t 1 -n 1 -x" "-t 1 -n 1 more"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 2
    done
    peers "-c 20" whole
    hint "SECONDS is a decimal number, more than 0 and at most 3600. strtod \
takes nan for one, and stops at the first letter without a word; atoi, too."
    for bad in 0 nan 3601 1x; do
        fetch -t "$bad" -n 1
        expect_status 1
    done
    hint "TRIES is digits and nothing else, from 1 to 100. atoi stops at the \
first letter without a word."
    for bad in 0 101 1x; do
        fetch -t 1 -n "$bad"
        expect_status 1
    done
    hint "a port is digits and nothing else, from 1 to 65535."
    for bad in "${PORT}x" $((PORT + 65536)); do
        answer -t 1 -n 1 127.0.0.1 "$bad"
        expect_status 1
    done
}
