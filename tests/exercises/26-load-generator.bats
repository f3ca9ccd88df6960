#!/usr/bin/env bats
# The exercise of 26-load-generator: the rate at which p99 breaks,
# `26-load-generator -l MICROSECONDS -t MILLISECONDS HOST PORT`. Each test's
# name is a requirement, as a learner reads it.

load ../lib/exercise
load ../lib/clock

queue=$BUILD/peers/queue
patience=5000

# ask LIMIT OPTION...: an answer looks for the highest rate of a server with
# these options (see tests/peers/queue.c), at which p99 is LIMIT at the most.
ask() {
    local -a with=()
    limit=$1
    shift
    next_run
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
    about=
    timed "${with[@]}" "$PROGRAM" -l "$limit" -t "$patience" 127.0.0.1 "$PORT"
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
}
fault=

# between LEAST MOST: a number that nobody has seen before.
between() {
    number=$(($1 + (RANDOM * 32768 + RANDOM) % ($2 - $1 + 1)))
}

# expect_best [--hint TEXT]: it has printed the rate, or one that is off by one
# in a hundred.
expect_best() {
    local got=
    expect_true "its exit status was $status, and there is such a rate" "$@" \
        -- test "$status" = 0
    IFS= read -r got <"$OUT" || true
    [[ $got =~ ^[1-9][0-9]{0,6}$ && $(<"$OUT") == "$got" ]] &&
        ((100 * got >= 99 * best && 100 * got <= 101 * best)) && return
    if [[ $got =~ ^[1-9][0-9]{0,6}$ ]] &&
        ((100 * got >= 85 * best && 100 * got <= 115 * best)); then
        set -- --hint "This is near, but a result may be off by one in a \
hundred at the most. Go on until the highest good rate and the lowest bad one \
are neighbours."
    fi
    fail "it did not find the highest rate" --show "Expected: $best (or off by \
one in a hundred)
     Got: $(head -c 60 "$OUT")" "$@"
}

# expect_none [--hint TEXT]: no rate will do, and it says so.
expect_none() {
    expect_status 1 "$@"
    expect_output /dev/null "$@"
    expect_true "it said nothing on standard error" --hint "Say on standard \
error why there is no rate." -- test -n "$errors"
}

# expect_run RUN LINE [--hint TEXT]: what the server says of a run.
expect_run() {
    soon says peer "$1: *" || true
    says peer "$1: $2" && return
    fail "a run of its was another one" --show "Expected: $1: $2
     Got: $(grep -m 1 "^$1: " "$BATS_TEST_TMPDIR/peer.out")" "${@:3}"
}

loop_hint="At 100 a second requests are due at 0, 10000, 20000, up to 1090000 \
microseconds: 110 of them. If you wait for a reply before you send the next \
request, that is a closed loop: a slow server then makes you ask less often."
rates_hint="The rates are 100, 200, 400 and so on, while p99 is not above the \
limit: the second run has 220 requests."
mean_hint="Two of 100 replies are late here, at each rate: p99 is above the \
limit, but the mean and the median are not. Sort the n latencies and take the \
one at position ceil(0.99 n)."
largest_hint="One of 200 replies is late here, and very late: the mean and the \
largest are above the limit, but p99 is not. Sort the n latencies and take the \
one at position ceil(0.99 n)."
position_hint="At 100 a second one of the 100 replies that count is late here, \
and 99 of 100 are not: p99 is the 99th latency, and not the largest. In an array \
that counts from 0 it has the index 98: ceil(0.99 n) - 1."
warm_hint="Send what is due before 100000 microseconds and read the replies, \
but do not count them: the server may be slow at its start. It matters when a \
request is due, and not when its reply comes."
error_hint="A server that refuses a request does so at once. Count that as \
slower than any limit; if it counts as fast, or is left out, the server looks \
faster than it is."
search_hint="Double the rate while p99 is not above the limit. Then try the \
middle between a rate that is good and one that is not, until they are \
neighbours: that is about 20 runs, and a 41st run gets no reply here."
top_hint="Doubling goes from 6400 to 12800, but the highest rate to try is \
10000: try that, and then what lies between."
one_deadline_hint="Each run takes 30 milliseconds here, and all of them \
together take more than MILLISECONDS. Make one deadline at the start, and give \
it to each run: do not begin it anew."
deadline_hint="The server stopped answering in the third run. When -t \
MILLISECONDS have passed since the start, say so and end with status 1."
clock_hint="The clock was set forward while your program ran. time, \
gettimeofday and CLOCK_REALTIME give the time of day; use CLOCK_MONOTONIC, \
which nobody can set."
sense_hint="This reply is not a number, a blank, and ok or busy. Check all of \
it, and end with status 1."

@test "sends a line for each request, with the time at which it is due" {
    # It takes longer for each than there is between two of them.
    between 11000 20000
    ask 3000000 -s "$number"
    expect_run "run 1" "0 to 1090000, 110 requests" --hint "$loop_hint"
    expect_run "run 2" "0 to 1095000, 220 requests" --hint "$rates_hint"
    ask 3000000 -s 50
    expect_run "run 6" "0 to 1099687, 3520 requests" --hint "The sixth rate is \
3200. Multiply before you divide: i * 1000000 / RATE. If you divide 1000000 by \
RATE first, its fraction is lost, and that again for each request."
}

@test "uses p99, and not the mean or the largest" {
    local offset slow
    between 2000 4000
    slow=$number
    between 0 9
    offset=$number
    between 50000 90000
    ask "$number" -s "$slow" -x 50 -o "$offset" -d $((number * 2))
    expect_none --hint "$mean_hint"
    ask "$number" -s "$slow" -x 200 -o "$offset" -d $((number * 50))
    expect_best --hint "$largest_hint"
    # At 100 a second, one of the hundred is late: the one that is due when the
    # warm-up is over. At 101 a second, all are too late.
    between 9990 9999
    ask 15000 -s "$number" -x 100 -o 10 -d 5000000
    expect_best --hint "$position_hint"
}

@test "leaves out the warm-up" {
    local slow
    between 1000 3000
    slow=$number
    between 20000 80000
    ask "$number" -s "$slow" -c $((number * 3))
    expect_best --hint "$warm_hint"
    # At 100 a second, one of the hundred is late, which does no harm; but one of
    # 99 would. At 101 a second, all are too late.
    between 11 99
    ask 15000 -s 9999 -x 100 -o "$number" -d 5000000
    expect_best --hint "The request that is due at 100000 microseconds counts: \
the warm-up is over."
}

@test "takes an error for slower than any reply" {
    local slow
    between 1000 3000
    slow=$number
    between 40000 80000
    ask "$number" -s "$slow" -q $((number / slow / 3))
    expect_best --hint "$error_hint"
    # Also when the limit is long.
    ask 2000000 -s 1900 -q 9
    expect_best --hint "A request that was refused is slower than any limit, also \
than one of two seconds. $error_hint"
}

@test "finds the highest rate in no more than 40 runs" {
    local slow
    between 150 5000
    slow=$number
    between 15000 90000
    ask "$number" -r 40 -s "$slow"
    expect_best --hint "$search_hint"
    ask "$number" -r 40 -s 50
    expect_best --hint "$top_hint"
}

@test "says so when 100 requests in a second are too much, with status 1" {
    ask 9000 -s 9000
    expect_best --hint "A latency that is equal to the limit is not above it."
    ask 8999 -s 9000
    expect_none --hint "If 100 a second is too much, print no rate: say so on \
standard error, and end with status 1."
}

@test "has one deadline for everything, MILLISECONDS after its start, by a clock that nobody can set" {
    patience=150
    ask 50000 -s 2000 -m 3
    expect_end --hint "$deadline_hint"
    expect_none --hint "$deadline_hint"
    expect_true "it did not wait for that long" --hint "The deadline is 150 \
milliseconds after the start: do not end before." -- test "$took" -ge 14
    ask 50000 -s 2000 -t 30
    expect_end --hint "$one_deadline_hint"
    expect_none --hint "$one_deadline_hint"
    patience=5000
    fault=FAULT_CLOCK=60
    ask 50000 -s 2000
    expect_best --hint "$clock_hint"
}

@test "reports a server that ends too early or makes no sense, with status 1" {
    ask 50000 -s 2000 -e 2
    expect_none --hint "Each request is answered by a line, but here the \
server closed before the last reply of the second run. Nothing can be said \
then: end with status 1."
    ask 50000 -s 2000 -n 2
    expect_none --hint "The server closed in the middle of the last line of the \
second run: its newline is missing, and so the rest of the line may be missing \
too. Take a line only when its newline has come."
    start_server rude "$BUILD/peers/rude" serve garbage ||
        environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    HAND=()
    by_hand "$BUILD/peers/rude" -p "$PORT" serve garbage
    answer -l 50000 -t 1000 127.0.0.1 "$PORT"
    expect_none --hint "$sense_hint"
    ask 50000 -s 2000 -w 2
    expect_none --hint "Each reply of the second run says okay, and that is not \
ok. Compare the whole word, up to the end of the line."
    ask 50000 -s 2000 -b 2
    expect_none --hint "No reply can come before its request is due. Here each \
reply of the second run does. Such a server makes no sense: end with status 1."
    # Nobody listens at another HOST.
    start_server peer "$queue" -s 2000 serve ||
        environment "$queue cannot listen on 127.0.0.1"
    HAND=()
    by_hand "$queue" -P "$PORT" -s 2000 serve
    answer -l 50000 -t 1000 127.0.0.2 "$PORT"
    expect_none --hint "The server listens at 127.0.0.1, but HOST is 127.0.0.2: \
give HOST and PORT to addr_resolve, and connect to the address that it finds."
    ask 50000 -s 2000 -a 2
    expect_none --hint "After the last reply of the second run, the server sent \
one line more. When you have read a reply for each request, recv has to return \
0. If it returns more, end with status 1."
}

@test "closes the connection of a run before the next one" {
    start_server peer "$queue" -s 500 serve ||
        environment "$queue cannot listen on 127.0.0.1"
    best=$("$queue" -s 500 best 50000)
    by_hand "$queue" -P "$PORT" -s 500 serve
    by_hand "(ulimit -n 12; $PROGRAM -l 50000 -t 5000 127.0.0.1 $HAND_PORT)"
    run_answer bash -c 'ulimit -n 12 && exec "$@"' - "$PROGRAM" -l 50000 -t 5000 \
        127.0.0.1 "$PORT"
    expect_best --hint "Each run has a connection, each connection a \
descriptor, and here there are only 12. close it when the replies of the run \
are there."
}

@test "reports output that cannot be written, with status 1" {
    start_server peer "$queue" -s 2000 serve ||
        environment "$queue cannot listen on 127.0.0.1"
    by_hand "$queue" -P "$PORT" -s 2000 serve
    by_hand "$PROGRAM -l 50000 -t 5000 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" -l 50000 -t 5000 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
}

@test "refuses wrong arguments" {
    local bad hint="Print the usage on standard error and end with status 2, \
if there are too few arguments or too many, or an option is missing or unknown."
    answer -l 1 -t 1 127.0.0.1
    expect_status 2 --hint "$hint"
    expect_stderr "*usage:*" --hint "$hint"
    for bad in "-l 1" "-t 1" "-l 1 -t 1 -x" "-l 1 -t 1 more"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 2 --hint "$hint"
    done
    for bad in "-l 0 -t 1" "-l 1 -t 0" "-l 1x -t 1" "-l 1 -t 1000000001"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 1 --hint "MICROSECONDS and MILLISECONDS have digits and \
nothing else, and are from 1 to 1000000000. atoi stops at the first letter and \
reports no error."
    done
    start nobody "$BUILD/peers/rude" refuse
    wait_for nobody '* on *' || environment "$BUILD/peers/rude has no port"
    port_of nobody
    answer -l 1000 -t 1000 127.0.0.1 "$PORT"
    expect_none --hint "Nobody listens there, so connect returns -1: say why, \
and end with status 1."
}
