#!/usr/bin/env bats
# The exercise of 26-load-generator: the rate at which p99 breaks,
# `26-load-generator -l MICROSECONDS -t MILLISECONDS HOST PORT`. Each test's name
# is a requirement, as a learner reads it.

load ../lib/exercise
load ../lib/clock

queue=$BUILD/peers/queue
patience=5000

# ask LIMIT OPTION...: an answer looks for the highest rate of a server with these
# options (see tests/peers/queue.c), at which p99 is LIMIT at the most.
ask() {
    local -a with=()
    limit=$1
    shift
    HAND=()
    stop_all
    best=$("$queue" "$@" best "$limit") || environment "$queue does not run"
    start_server peer "$queue" "$@" serve ||
        environment "$queue cannot listen on 127.0.0.1"
    by_hand "$queue" -P "$PORT" "$@" serve
    if [[ -n $fault ]]; then
        need_faults
        with=(env LD_PRELOAD="$PWD/$BUILD/tests/faults.so" "$fault")
    fi
    by_hand "${with[@]/"$PWD/"/}" "$PROGRAM" -l "$limit" -t "$patience" \
        127.0.0.1 "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    timed "${with[@]}" "$PROGRAM" -l "$limit" -t "$patience" 127.0.0.1 "$PORT"
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
}
fault=

# between LEAST MOST: a number that nobody has seen before.
between() {
    number=$(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1 + 1)))
}

# expect_best: it has printed the rate, or one that is off by one in a hundred.
expect_best() {
    local got=
    expect_end
    expect_true "its exit status was $status, and there is such a rate" \
        test "$status" = 0
    IFS= read -r got <"$OUT" || true
    [[ $got =~ ^[1-9][0-9]{0,6}$ && $(<"$OUT") == "$got" ]] &&
        ((100 * got >= 99 * best && 100 * got <= 101 * best)) && return
    not_yet "it did not find the highest rate" \
        < <(printf 'Expected: %s (or off by one in a hundred)\n     Got: %s\n' \
            "$best" "$(head -c 60 "$OUT")")
}

# expect_none: no rate will do, and it says so.
expect_none() {
    expect_status 1
    expect_output /dev/null
    expect_true "it said nothing on standard error" test -n "$errors"
}

# expect_run LINE: what the server says of a run.
expect_run() {
    soon says peer "$1: *" || true
    says peer "$1: $2" && return
    not_yet "a run of its was another one" \
        < <(printf 'Expected: %s: %s\n     Got: %s\n' "$1" "$2" \
            "$(grep -m 1 "^$1: " "$BATS_TEST_TMPDIR/peer.out")")
}

@test "sends each request when it is due, whatever became of the others" {
    # It takes longer for each than there is between two of them.
    between 11000 20000
    ask 3000000 -s "$number"
    hint "at 100 a second they are due at 0, 10000, 20000, up to 1090000: 110 of \
them. Who waits for a reply before the next one is due measures only what a \
server that is late lets through, and finds it fast. That is a closed loop."
    expect_run "run 1" "0 to 1090000, 110 requests"
    hint "the rates are 100, 200, 400, and so on, while p99 is not above the \
limit: 220 requests in the second run."
    expect_run "run 2" "0 to 1095000, 220 requests"
}

@test "takes what 99 of 100 are not above, and no mean" {
    local offset slow
    between 2000 4000
    slow=$number
    between 0 49
    offset=$number
    between 50000 90000
    ask "$number" -s "$slow" -x 50 -o "$offset" -d $((number * 2))
    hint "two of 100 are late here, at each rate: p99 is above the limit, \
though the mean and the median are not. Sort the latencies; with n of them p99 \
is the one that ceil(0.99 n) of them are not above."
    expect_none
    ask "$number" -s "$slow" -x 200 -o "$offset" -d $((number * 50))
    hint "one of 200 is late here, and by a lot: the mean is above the limit, \
and the largest too, but p99 is not."
    expect_best
}

@test "leaves the warm-up out" {
    local slow
    between 1000 3000
    slow=$number
    between 20000 80000
    ask "$number" -s "$slow" -c $((number * 3))
    hint "what is due before 100000 is sent and answered, and not counted: the \
server has to read its files first, and that is not what you want to know."
    expect_best
}

@test "takes an error for slower than any reply" {
    local slow
    between 1000 3000
    slow=$number
    between 40000 80000
    ask "$number" -s "$slow" -q $((number / slow / 3))
    hint "a server that turns requests away does so at once: who counts that as \
a reply finds it fast, and who leaves it out finds all others fast. It counts, \
and as slower than any limit."
    expect_best
}

@test "finds the highest rate, in no more than 40 runs" {
    local slow
    hint "double the rate while p99 is not above the limit; then there is one \
that is good and one that is not, and the next to try is in the middle, until \
they are neighbours: 20 runs. A 41st is closed here without a word."
    between 150 5000
    slow=$number
    between 15000 90000
    ask "$number" -r 40 -s "$slow"
    expect_best
    hint "doubling goes from 6400 to 12800: the highest rate to be tried is \
10000, and what is between has to be found as well."
    ask "$number" -r 40 -s 50
    expect_best
}

@test "says so when 100 a second is too much" {
    hint "a latency that is the limit is not above it."
    ask 9000 -s 9000
    expect_best
    hint "no rate keeps to the limit: print none, but a line on standard error, \
and end with status 1."
    ask 8999 -s 9000
    expect_none
}

@test "has one deadline for all, and does not look at the time of day" {
    patience=150
    ask 50000 -s 2000 -m 3
    hint "the server stopped answering in the third run: when -t MILLISECONDS \
have passed since the start, say so, and end with status 1."
    expect_none
    hint "the deadline is 150 milliseconds after the start, and not before."
    expect_true "it did not wait for that long" test "$took" -ge 14
    patience=5000
    fault=FAULT_CLOCK=60
    ask 50000 -s 2000
    hint "somebody set the clock forward while it ran. time, gettimeofday and \
CLOCK_REALTIME are the time of day; CLOCK_MONOTONIC can't be set."
    expect_best
}

@test "says so when the server ends too early, or makes no sense" {
    ask 50000 -s 2000 -e 2
    hint "each line that you send is answered by one. The server closed before \
the last answer of the second run: there is nothing to be learned from it."
    expect_none
    start_server rude "$BUILD/peers/rude" serve garbage ||
        environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    HAND=()
    by_hand "$BUILD/peers/rude" -p "$PORT" serve garbage
    answer -l 50000 -t 1000 127.0.0.1 "$PORT"
    hint "this was no number, followed by ok or busy: don't take it for one."
    expect_none
    : >"$BATS_TEST_TMPDIR/sense"
    printf '%d okay\n' "$RANDOM" >"$BATS_TEST_TMPDIR/sense"
    start_server rude "$BUILD/peers/rude" -f "$BATS_TEST_TMPDIR/sense" serve \
        whole || environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    answer -l 50000 -t 1000 127.0.0.1 "$PORT"
    expect_none
}

@test "closes the connection of a run before the next" {
    start_server peer "$queue" -s 500 serve ||
        environment "$queue cannot listen on 127.0.0.1"
    best=$("$queue" -s 500 best 50000)
    by_hand "$queue" -P "$PORT" -s 500 serve
    HAND+=("(ulimit -n 12; $PROGRAM -l 50000 -t 5000 127.0.0.1 $HAND_PORT)")
    about=answer
    : >"$BATS_TEST_TMPDIR/ending"
    try bash -c 'ulimit -n 12 && exec "$@"' - "$PROGRAM" -l 50000 -t 5000 \
        127.0.0.1 "$PORT"
    hint "a run is a connection, and a connection a descriptor, of which there \
are few: close it when its answers are there."
    expect_best
}

@test "says so when standard output cannot be written" {
    start_server peer "$queue" -s 2000 serve ||
        environment "$queue cannot listen on 127.0.0.1"
    by_hand "$queue" -P "$PORT" -s 2000 serve
    HAND+=("$PROGRAM -l 50000 -t 5000 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" -l 50000 -t 5000 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "printf and fflush return what became of the bytes. Nothing is on its \
way before fflush: without it the loss shows only at exit."
    expect_status 1
}

@test "refuses wrong arguments" {
    local bad
    hint "usage goes to standard error, and the status is 2: for too few \
arguments, too many, an option that is missing or that there is not."
    answer -l 1 -t 1 127.0.0.1
    expect_status 2
    expect_stderr "*usage: *"
    for bad in "-l 1" "-t 1" "-l 1 -t 1 -x" "-l 1 -t 1 more"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 2
    done
    hint "MICROSECONDS and MILLISECONDS are digits and nothing else, from 1 to \
1000000000. atoi stops at the first letter without a word."
    for bad in "-l 0 -t 1" "-l 1 -t 0" "-l 1x -t 1" "-l 1 -t 1000000001"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 1
    done
    hint "nobody listens there: say so, with status 1."
    start nobody "$BUILD/peers/rude" refuse
    wait_for nobody '* on *' || environment "$BUILD/peers/rude has no port"
    port_of nobody
    answer -l 1000 -t 1000 127.0.0.1 "$PORT"
    expect_none
}
