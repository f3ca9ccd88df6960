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
    "$BUILD/peers/rude" "${options[@]}" payload "${!#}" >"$PAYLOAD" ||
        environment "$BUILD/peers/rude does not run"
    start_server peer "$BUILD/peers/rude" "${options[@]}" serve "$@" ||
        environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    by_hand "$BUILD/peers/rude" "${options[@]}" -p "$PORT" serve "$@"
}

# nobody refuse: a port where every SYN is refused. nobody swallow: one where
# none is answered.
nobody() {
    HAND=()
    start nobody "$BUILD/peers/rude" "$1"
    wait_for nobody '* on *' || environment "$BUILD/peers/rude has no port"
    port_of nobody
    [[ $1 == refuse ]] || by_hand "$BUILD/peers/rude" -p "$PORT" "$1"
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
    look_at_clock
    start=$now
    run_answer "${with[@]}" "$PROGRAM" "$@" 127.0.0.1 "$PORT"
    look_at_clock
    took=$((now - start))
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
        [[ $BUILD != *asan* ]] || break
        stop_all
    done
}

# expect_at_least HUNDREDTHS [--hint TEXT]: it took so long, or longer.
expect_at_least() {
    ((took < $1)) || return 0
    HAND[-1]="time -p ${HAND[-1]}"
    fail "it did not wait as long as it should" --show "$(tell_time)" "${@:2}"
}

# expect_less_than HUNDREDTHS [--hint TEXT]: but a program that looks for its
# own mistakes with memory may start too slowly for that.
expect_less_than() {
    ((took >= $1)) || return 0
    [[ $BUILD != *asan* ]] || return 0
    HAND[-1]="time -p ${HAND[-1]}"
    fail "it took too long" --show "$(tell_time)" "${@:2}"
}

tell_time() {
    printf '     Got: %d.%02d seconds\n' $((took / 100)) $((took % 100))
}

line_hint="A line ends with its newline. recv returns what has arrived so far: \
a part of a line, or a line and a part of the next one."
left_hint="Each byte ends one wait, and the next wait must be shorter. Before \
each poll, work out what is left until the deadline, and give it that."
again_hint="poll fails with EINTR when a signal comes, and that is no failure. \
Wait again, but only for what is left until the deadline: the whole wait anew \
would never end here."
deadline_hint="Work out the deadline once, before the first try. Each later \
try has only the time that is left until then."
pause_hint="Compare the end of the pause with the deadline before you sleep: \
the third pause would end at 0.35 s, after the deadline, so end at once."
last_hint="After the last try there is nothing to wait for: end at once."
next_hint="If a try fails, make the next one, with a new socket and an empty \
buffer: what came of the line in one try is of no use in the next."
address_hint="A HOST may have several addresses: getaddrinfo gives a list. Each \
try goes to the first one of the list, and none to ai_next."
tries_hint="TRIES is how often your program tries in all."

@test "prints the line that the server sends, with its newline, and nothing after it" {
    fetch_from "-n 12" dribble -t 5 -n 1
    expect_output "$PAYLOAD" --hint "$line_hint"
    expect_status 0 --hint "The line has come: end with status 0."
    fetch_from "" join -t 5 -n 1
    head -n 1 "$PAYLOAD" >"$BATS_TEST_TMPDIR/line"
    expect_output "$BATS_TEST_TMPDIR/line" --hint "$line_hint"
    expect_status 0 --hint "The line has come: end with status 0."
    fetch_from "-k 40" stall -t 5 -n 1
    expect_end --hint "This server sends a line and keeps the connection open. \
Do not wait for its end: the newline is the end of the line."
    expect_output "$PAYLOAD" --hint "$line_hint"
    expect_status 0 --hint "The line has come: end with status 0."
}

@test "prints a line of up to 4096 bytes, and refuses a longer line" {
    local long_hint="The peer decides how much it sends, but you decide how \
much you take. A line of more than 4096 bytes is a failed try, and nothing of \
it is printed."
    fetch_from "-n 4096" whole -t 5 -n 1
    expect_output "$PAYLOAD" --hint "The line has 4096 bytes with its newline: \
is there room for all of them in your buffer?"
    expect_status 0 --hint "A line of 4096 bytes with its newline is not too \
long."
    printf '%d\0%d\n' "$RANDOM" "$RANDOM" >"$BATS_TEST_TMPDIR/nul"
    fetch_from "-f $BATS_TEST_TMPDIR/nul" whole -t 5 -n 1
    HAND=("printf 'a\\0b\\n' >$BUILD/nul" \
        "${HAND[@]}")
    expect_output "$PAYLOAD" --hint "Bytes from a socket are not a C string: a \
NUL may be among them. Use memchr and fwrite, which take a length."
    expect_status 0 --hint "A NUL in a line is no error: use memchr, which \
takes a length, to find the newline."
    if [[ $BUILD != *asan* ]]; then
        fault=FAULT_SHORT=recv
        fetch_from "-n 4096" whole -t 5 -n 1
        expect_output "$PAYLOAD" --hint "4095 bytes have come, and then the \
newline: this line is not too long."
        fault=
    fi
    fetch_from "-n 4097" whole -t 5 -n 1
    expect_status 1 --hint "$long_hint"
    expect_output /dev/null --hint "$long_hint"
    next_run
    fetch_from "-n 6000 -k 5000" stall -t 5 -n 1
    expect_status 1 --hint "$long_hint"
    expect_true "it says that this server closed, which it did not" --hint "If \
your array is full, recv has room for 0 bytes and returns 0, which here is not \
the end. First look whether the array is full: then the line is too long." \
        -- misses closed
}

@test "says on standard error which try failed, in which call, and why" {
    local cut_hint="recv returned 0 before a newline came, so the line was cut \
short and the try has failed. Print nothing of the line, and say that recv \
failed."
    nobody refuse
    fetch -t 5 -n 1
    expect_status 1 --hint "poll reports POLLOUT when connect is over, whether \
it succeeded or not. getsockopt with SOL_SOCKET and SO_ERROR gives its error, \
or 0."
    expect_stderr "*try 1: *connect*Connection refused*" --hint "Print on \
standard error which try failed, in which call, and why: try 1: connect: \
Connection refused. getsockopt with SO_ERROR gives the reason, strerror its \
words."
    fetch_from "" half-close -t 5 -n 1
    expect_status 1 --hint "$cut_hint"
    expect_output /dev/null --hint "$cut_hint"
    expect_stderr "*try 1: *recv*" --hint "$cut_hint"
    # Not before it waits in recv: a connect can meet the reset too.
    fetch_from "-d 50" reset -t 5 -n 1
    expect_status 1 --hint "recv returns -1 for an error, and a reset is one: \
the try has failed."
    expect_output /dev/null --hint "Print nothing of a line that has no \
newline."
    expect_stderr "*try 1: *Connection reset by peer*" --hint "When recv \
returns -1, errno has the reason, and strerror(errno) its words."
}

@test "does not use the time of day" {
    local hint="The clock was set forward while your program waited. time, \
gettimeofday and CLOCK_REALTIME give the time of day; use CLOCK_MONOTONIC, \
which nobody can set."
    fault=FAULT_CLOCK=60
    fetch_from "-n 10" dribble -t 5 -n 1
    expect_status 0 --hint "$hint"
    expect_output "$PAYLOAD" --hint "$hint"
}

@test "ends at the deadline even if connect is not answered" {
    local hint="Where nobody answers, connect waits for minutes. On a socket \
with O_NONBLOCK it returns EINPROGRESS at once, and poll for POLLOUT waits as \
long as you say."
    fetch_from_nobody swallow -t 0.05 -n 3
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*try 1: *deadline passed*" --hint "If poll returns 0, the \
deadline has passed: say so on standard error, with the words deadline passed."
    expect_true "there was a second try" --hint "When the deadline has \
passed, there is no time for another try: end with status 1." \
        -- misses "try 2:"
    expect_at_least 4 --hint "SECONDS may have a fraction: 0.05 is 50 \
milliseconds, and not 0."
}

@test "ends at the deadline even if a byte comes now and then" {
    # Bytes at 0, 0.2 and 0.4: who looks at the clock only when a wait is over
    # ends with the third.
    within 39 fetch_from "-n 99 -d 200" dribble -t 0.25 -n 1
    expect_end --hint "$left_hint"
    expect_status 1 --hint "$left_hint"
    expect_output /dev/null --hint "Print nothing of a line that has no \
newline."
    expect_stderr "*try 1: *deadline passed*" --hint "$left_hint"
    expect_at_least 24 --hint "SECONDS may have a fraction: 0.25 is 250 \
milliseconds."
    HAND=("$BUILD/peers/rude -n 99 -d 900 -p $HAND_PORT serve dribble"
        "$PROGRAM -t 1.2 -n 1 127.0.0.1 $HAND_PORT")
    expect_less_than 39 --hint "$left_hint"
}

@test "ends at the deadline even if a signal comes each millisecond" {
    fault=FAULT_SIGNALS=1000
    fetch_from "" stall -t 0.05 -n 1
    expect_end --hint "$again_hint"
    expect_status 1 --hint "$again_hint"
    expect_stderr "*try 1: *deadline passed*" --hint "$again_hint"
    expect_at_least 4 --hint "$again_hint"
}

@test "closes the socket of a failed try, and sleeps while it waits" {
    local pid
    nobody refuse
    start_answer -t 60 -n 9 127.0.0.1 "$PORT"
    expect_true "it did not say that its first try had failed" \
        --hint "Print a line on standard error for each try that failed, and \
then pause." -- soon says answer "*try 1: *" err
    expect_true "it has ended after its first try" --hint "$tries_hint" \
        -- is_running answer
    pid=$(pid_of answer)
    soon holds_or_ended 0 || true
    expect_true "it has ended, and had made fewer than TRIES tries" \
        --hint "$tries_hint" -- is_running answer
    HAND=("(ulimit -n 6; $PROGRAM -t 60 -n 7 127.0.0.1 $HAND_PORT)")
    expect_true "it pauses with the socket of its first try" \
        --hint "A try that failed still has its socket: close it before you \
pause." -- holds_sockets "$pid" 0
    stop_all
    peers "" reset stall
    start_answer -t 60 -n 2 127.0.0.1 "$PORT"
    expect_true "it did not try a second time" --hint "$tries_hint" \
        -- soon has_met_both
    pid=$(pid_of answer)
    soon holds_or_ended 1 || true
    expect_true "it has ended, while its peer was silent" \
        --hint "A peer that is silent may still send its line, until the \
deadline." -- is_running answer
    HAND=("$BUILD/peers/rude -p $HAND_PORT serve reset"
        "(ulimit -n 6; $PROGRAM -t 60 -n 7 127.0.0.1 $HAND_PORT)")
    expect_true "it holds the socket of its first try" \
        --hint "A try that failed still has its socket: close it before the \
next try." -- holds_sockets "$pid" 1
    HAND=("$BUILD/peers/rude -p $HAND_PORT serve stall"
        "time -p $PROGRAM -t 2 -n 1 127.0.0.1 $HAND_PORT")
    expect_true "it does not sleep" --hint "recv on a socket with O_NONBLOCK \
returns EAGAIN at once, so a loop around it keeps a processor busy. Call poll \
first: it sleeps until something comes." -- soon is_asleep "$pid"
    stop_all
    peers "-n 5000 -k 3" whole stall
    start_answer -t 60 -n 2 127.0.0.1 "$PORT"
    expect_true "its second try did not come through" --hint "Whatever the \
reason is why a try failed, here a line that is too long: close its socket." \
        -- soon has_met_both
    pid=$(pid_of answer)
    soon holds_or_ended 1 || true
    expect_true "it has ended, while its peer may still send the line" \
        --hint "$next_hint" -- is_running answer
    expect_true "it has the socket of its first try, whose line was too long" \
        --hint "Whatever the reason is why a try failed: close its socket." \
        -- holds_sockets "$pid" 1
}

has_met_both() {
    [[ $(grep -c '^connected' "$BATS_TEST_TMPDIR/peer.out") == 2 ]]
}

holds_or_ended() {
    holds_sockets "$pid" "$1" || ! is_running answer
}

# bats test_tags=waits
@test "pauses for 50 milliseconds after the first try, and twice as long after each next one" {
    fault=FAULT_SIGNALS=1000
    [[ $BUILD != *asan* ]] || fault=
    within 50 fetch_from "" "half-close reset half-close whole" -t 5 -n 4
    expect_status 0 --hint "$next_hint"
    expect_output "$PAYLOAD" --hint "$next_hint"
    expect_stderr $'*try 1: *recv*\n*try 2: *reset by peer*\n*try 3: *recv*' --hint "Print a \
line on standard error for each try that failed: try 1:, the call, and the \
reason."
    HAND=("${fault:+env LD_PRELOAD=$BUILD/tests/faults.so $fault }$PROGRAM \
-t 9 -n 6 127.0.0.1 $HAND_PORT")
    expect_at_least 34 --hint "Pause 0.05 s after the first failed try, 0.1 s \
after the second and 0.2 s after the third: each pause is twice the one before \
it. A signal ends a sleep too early: sleep again until the point in time is \
reached."
    expect_less_than 50 --hint "Pause 0.05 s after the first failed try, 0.1 s \
after the second and 0.2 s after the third: that is 0.35 s in all."
    # Two tries of 0.1 s, and pauses of 0.05 and 0.1 s.
    stop_all
    fault=
    fetch_from "-d 100" "reset reset whole" -t 5 -n 3
    expect_status 0 --hint "$next_hint"
    HAND=("$BUILD/peers/rude -d 400 -p $HAND_PORT serve reset reset reset reset \
reset whole" "$PROGRAM -t 9 -n 6 127.0.0.1 $HAND_PORT")
    expect_at_least 34 --hint "Each of these tries lasts 0.1 s before it fails. \
The pause begins when a try has failed, and not when it began: look at the clock \
then."
}

@test "makes no more than TRIES tries, and no pause after the last" {
    # Pauses of 0.05 and 0.1 s; a third one would be 0.2 s.
    within 34 fetch_from_nobody refuse -t 5 -n 3
    expect_status 1 --hint "If the last try has failed, end with status 1."
    expect_true "there was a fourth try" --hint "$tries_hint" \
        -- misses "try 4:"
    expect_true "there was no third try" --hint "$tries_hint" \
        -- mentions "try 3:"
    HAND=("$PROGRAM -t 9 -n 6 127.0.0.1 $HAND_PORT")
    expect_less_than 34 --hint "$last_hint"
    [[ $BUILD != *asan* ]] || return 0 # nothing is preloaded there
    # Its second address is 127.0.0.2, where nobody listens; then the other way.
    stop_all
    peers "" half-close whole
    fetch_from_name 127.0.0.1+127.0.0.2 -t 5 -n 2
    expect_true "its second try went to the second address of HOST" \
        --hint "$address_hint" -- misses "try 2:"
    expect_output "$PAYLOAD" --hint "$next_hint"
    stop_all
    peers "-c 20" whole
    fetch_from_name 127.0.0.2+127.0.0.1 -t 5 -n 1
    expect_status 1 --hint "$address_hint"
}

# fetch_from_name ADDRESSES ARGUMENT...: from PORT of a HOST with these.
fetch_from_name() {
    local names="$BUILD/tests/names.so NAMES=two.test=$1"
    by_hand "env LD_PRELOAD=$names $PROGRAM ${*:2} two.test $HAND_PORT"
    run_answer env LD_PRELOAD="$PWD/${names% *}" "${names#* }" \
        "$PROGRAM" "${@:2}" two.test "$PORT"
}

misses() {
    [[ $errors != *"$1"* ]]
}

mentions() {
    [[ $errors == *"$1"* ]]
}

@test "has one deadline for all tries, SECONDS after its start" {
    within 39 fetch_from "" "half-close half-close stall" -t 0.25 -n 4
    expect_end --hint "$deadline_hint"
    expect_status 1 --hint "$deadline_hint"
    expect_less_than 39 --hint "$deadline_hint"
}

@test "begins no pause that would end after the deadline" {
    within 30 fetch_from_nobody refuse -t 0.3 -n 9
    expect_end --hint "$pause_hint"
    expect_status 1 --hint "$pause_hint"
    expect_less_than 30 --hint "$pause_hint"
    expect_true "there was a fourth try" --hint "$pause_hint" -- misses "try 4:"
}

@test "reports output that cannot be written, with status 1" {
    peers "" whole
    by_hand "$PROGRAM -t 5 -n 1 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" -t 5 -n 1 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    [[ $BUILD != *asan* ]] || return 0 # nothing is preloaded there
    stop_all
    fault=FAULT_SHORT=write
    fetch_from "" whole -t 5 -n 1
    expect_no_loss "$PAYLOAD"
}

@test "refuses wrong arguments" {
    local bad hint="Print the usage on standard error and end with status 2, \
if there are too few arguments or too many, or an option is missing or unknown."
    answer -t 1 -n 1 127.0.0.1
    expect_status 2 --hint "$hint"
    expect_stderr "*usage:*" --hint "$hint"
    for bad in "-t 1" "-n 1" "-t 1 -n 1 -x" "-t 1 -n 1 more"; do
        read -ra bad <<<"$bad"
        answer "${bad[@]}" 127.0.0.1 80
        expect_status 2 --hint "$hint"
    done
    peers "-c 20" whole
    for bad in 0 nan 3601 1x; do
        fetch -t "$bad" -n 1
        expect_status 1 --hint "SECONDS is a decimal number, more than 0 and \
at most 3600. strtod accepts nan, and like atof it stops at the first letter \
and reports no error: check for both."
    done
    for bad in 0 101 1x; do
        fetch -t 1 -n "$bad"
        expect_status 1 --hint "TRIES has digits and nothing else, and is from \
1 to 100. atoi stops at the first letter and reports no error."
    done
    for bad in "${PORT}x" $((PORT + 65536)); do
        answer -t 1 -n 1 127.0.0.1 "$bad"
        expect_status 1 --hint "$port_hint"
    done
}
