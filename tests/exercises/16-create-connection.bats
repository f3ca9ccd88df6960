#!/usr/bin/env bats
# The exercise of 16-create-connection: the fastest mirror,
# `16-create-connection -d MILLISECONDS -t SECONDS HOST PORT [HOST PORT]...`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise
load ../lib/clock

# Before its name, if system calls are to fail.
faulty=()

# What the answer is called with: HOST and PORT of each server; and the same as
# a learner types it, where the first server is at port 8016.
targets=()
typed=()

# forget_servers: another run in the same test, with other servers.
forget_servers() {
    next_run
    targets=()
    typed=()
}

# add_target: the server at PORT is one more.
add_target() {
    targets+=(127.0.0.1 "$PORT")
    typed+=(127.0.0.1 "$next_port")
}

# look_for_port: sets next_port to what a learner types for the next server.
look_for_port() {
    next_port=$((HAND_PORT + ${#typed[@]} / 2))
}

# mirror OPTIONS FACE: one more server. What it has to say is in $PAYLOAD; its
# name is serverN, from 0 on.
mirror() {
    local -a options
    read -ra options <<<"-s $((RANDOM * 32768 + RANDOM + 2)) $1"
    look_for_port
    PAYLOAD=$BATS_TEST_TMPDIR/payload
    "$BUILD/peers/rude" "${options[@]}" payload "$2" >"$PAYLOAD" ||
        environment "$BUILD/peers/rude does not run"
    start_server "server$((${#typed[@]} / 2))" \
        "$BUILD/peers/rude" "${options[@]}" serve "$2" ||
        environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    by_hand "$BUILD/peers/rude ${options[*]} -p $next_port serve $2"
    add_target
}

# nobody refuse: a port where every SYN is refused. nobody swallow: one where
# none is answered.
nobody() {
    look_for_port
    start "server$((${#typed[@]} / 2))" "$BUILD/peers/rude" "$1"
    wait_for "server$((${#typed[@]} / 2))" '* on *' ||
        environment "$BUILD/peers/rude has no port"
    port_of "server$((${#typed[@]} / 2))"
    [[ $1 == refuse ]] || by_hand "$BUILD/peers/rude -p $next_port $1"
    add_target
}

# fetch ARGUMENT...: an answer, asked to take the fastest of these servers. Sets
# took, in hundredths of a second.
fetch() {
    local start now
    by_hand "${faulty[*]/"$PWD/"/}${faulty:+ }$PROGRAM $* ${typed[*]}"
    look_at_clock
    start=$now
    run_answer "${faulty[@]}" "$PROGRAM" "$@" "${targets[@]}"
    look_at_clock
    took=$((now - start))
}

# start_with ARGUMENT...: the answer, in the background, with these servers.
start_with() {
    start_answer "$@" "${targets[@]}"
    HAND[-1]="$PROGRAM $* ${typed[*]}"
}

# within LIMIT COMMAND...: what COMMAND does; again, while it takes LIMIT
# hundredths of a second or more.
within() {
    for _ in {1..10}; do
        forget_servers
        "${@:2}"
        ((took >= $1 && status != 124)) || break
        [[ $BUILD != *asan* ]] || break
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

first_hint="A connection is not enough: take the server whose first line is \
complete first. Until then, keep what has come from each server in a buffer of \
its own, and print nothing."
block_hint="Your program waits for one server alone. Give socket SOCK_NONBLOCK, \
and let one poll wait for all servers at the same time."
delay_hint="Remember when the next server is to be started: MILLISECONDS after \
the start of the one before it. Give poll no more time than is left until then."
next_hint="When a server has failed, start the next one at once: set the time \
of the next start to now. That holds for a lookup, for connect, for an end of \
the stream and for an error of recv."
start_hint="The time between two starts counts from the moment when the one \
before was really started. If servers have failed, that was early, and then all \
behind it are earlier too: do not multiply MILLISECONDS with the server's place."
deadline_hint="Work out the deadline once, at the start. Each wait, before the \
first line and after it, has only the time that is left until then."

@test "copies everything that the server sends to standard output" {
    local file=$BATS_TEST_TMPDIR/mirror hint="Write everything that comes from \
the server you have taken, also what was in the buffer behind its first line. \
Go on until recv returns 0."
    {
        printf 'a\0%d\n' "$RANDOM"
        head -c 100000 /dev/urandom
    } >"$file"
    mirror "-f $file" whole
    fetch -d 250 -t 5
    HAND=("printf 'a\\0b\\nc\\nd' >$BUILD/mirror" "${HAND[@]}")
    HAND[-1]+=" | od -c"
    [[ -s $OUT ]] || hint="There is a NUL before the first newline. strchr stops \
there, so look for the newline with memchr, which takes a length. $hint"
    expect_end --hint "recv returns 0 when the server has closed: end then."
    expect_output "$file" --hint "$hint"
    expect_status 0 --hint "The server has sent everything: end with status 0."
    forget_servers
    printf '%d\n%d\nno newline' "$RANDOM" "$RANDOM" >"$file"
    mirror "-d 2 -f $file" dribble
    fetch -d 250 -t 5
    HAND=("printf 'one\\ntwo\\nthree' >$BUILD/mirror" "${HAND[@]}")
    expect_end --hint "recv returns 0 when the server has closed: end then."
    expect_output "$file" --hint "$hint"
    expect_status 0 --hint "The server has sent everything: end with status 0."
    forget_servers
    mirror "-d 50 -k 8 -f $file" reset
    fetch -d 250 -t 5
    HAND=("printf 'one\\ntwo\\nthree' >$BUILD/mirror" "${HAND[@]}")
    HAND[-1]+="; echo \$?"
    hint="While you copy, recv may also return -1: the connection has broken, and \
the rest will never come. That is an error, and not the end of the stream."
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*Connection reset by peer*" --hint "If the connection breaks, \
say why on standard error: errno has the reason."
}

@test "takes the server whose first line is complete first" {
    local hint=$first_hint
    mirror "-k 5" stall
    mirror "-k 0" stall
    mirror "" whole
    fetch -d 10 -t 1
    expect_end --hint "$block_hint"
    [[ -s $OUT ]] || hint=$block_hint
    expect_output "$PAYLOAD" --hint "$hint"
    expect_status 0 --hint "$first_hint"
    # The same the other way round: bytes of both come in turn.
    forget_servers
    mirror "-n 40 -d 8" dribble
    mirror "-n 5 -d 8" dribble
    fetch -d 10 -t 1
    expect_end --hint "$block_hint"
    expect_output "$PAYLOAD" --hint "Each server needs a buffer of its own, \
with the bytes of its first line so far. $first_hint"
    expect_status 0 --hint "$first_hint"
}

# past_two: of three servers, the first one fails when the second one has been
# started. That is no reason to start the third one.
past_two() {
    local start now
    mirror "-k 5" stall
    mirror "-k 5" stall
    mirror "" whole
    HAND[0]=${HAND[0]/-k 5/-k 5 -d 1500}
    HAND[0]=${HAND[0]/stall/reset}
    look_at_clock
    start=$now
    START_SECONDS=$SECONDS_ALLOWED start_with -d 250 -t 1.5
    HAND[-1]="$PROGRAM -d 1000 -t 5 ${typed[*]}"
    soon second_begins || true
    stop server0 || true
    finish_answer
    look_at_clock
    took=$((now - start))
}

second_begins() {
    says server1 connected || ! is_running answer
}

# bats test_tags=waits
@test "starts the next server MILLISECONDS after the one before it" {
    local hint=$delay_hint
    within 95 past_two
    # A calm machine needs little more than 0.5 seconds. If it took much longer,
    # the third server may have been started too early, and nobody would notice.
    if ((took >= 64 && took < 95)); then
        within 64 past_two
        ((took < 95)) || within 95 past_two
    fi
    expect_end --hint "$block_hint"
    [[ -z $errors ]] || hint="A server that has failed does not end the program: \
go on with the others."
    expect_output "$PAYLOAD" --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_at_least 25 --hint "Do not start all servers together. $delay_hint"
    expect_at_least 50 --hint "The first server has failed while the second was \
still trying, and so the third was started too early. Only when the server that \
you started last has failed is the next one started at once."
    expect_less_than 95 --hint "$delay_hint"
}

@test "does not give up a server when it starts the next one" {
    local hint="The servers that have been started go on, also when their \
MILLISECONDS are over: keep their sockets open, and poll them all."
    mirror "-n 3 -d 40" dribble
    cp "$PAYLOAD" "$BATS_TEST_TMPDIR/slow"
    mirror "-k 5" stall
    nobody swallow
    fetch -d 25 -t 1
    expect_end --hint "$block_hint"
    expect_output "$BATS_TEST_TMPDIR/slow" --hint "$hint"
    expect_status 0 --hint "$hint"
}

# add_unknown: a HOST that is no name. Nobody has to be asked to know that.
add_unknown() {
    PORT=8080
    targets+=(mirror..test "$PORT")
    typed+=(mirror..test "$PORT")
}

past_failures() {
    add_unknown
    nobody refuse
    refused=$PORT
    mirror "" half-close
    mirror "-d 30" reset
    mirror "" whole
    fetch -d 600 -t 1.9
}

@test "starts the next server at once when the one before it has failed" {
    local refused hint=$next_hint
    within 40 past_failures
    expect_end --hint "$next_hint"
    [[ $errors == *"$refused"* ]] || hint="A HOST that cannot be looked up is one \
server that has failed. Say so, and go on with the next server."
    expect_output "$PAYLOAD" --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_less_than 40 --hint "$next_hint"
    within 44 past_a_new_start
    expect_end --hint "$start_hint"
    expect_output "$PAYLOAD" --hint "$start_hint"
    expect_at_least 12 --hint "A server that was started early, because the one \
before it had failed, has MILLISECONDS of its own: set the time of the next \
start anew. $start_hint"
    expect_less_than 44 --hint "$start_hint"
    need_faults
    faulty+=(FAULT_CALL=socket FAULT_ERRNO=97 FAULT_FAMILY=10 FAULT_TIMES=9)
    within 40 past_no_ipv6
    expect_end --hint "$socket_hint"
    expect_output "$PAYLOAD" --hint "$socket_hint"
    expect_status 0 --hint "$socket_hint"
    expect_less_than 40 --hint "$socket_hint"
    expect_stderr "*::1*" --hint "$socket_hint"
}

socket_hint="Here the system has no IPv6, so socket returns -1 for the first \
server. That is one server that has failed: say so, and start the next one at \
once. A poll with the descriptor -1 waits for nothing."

# past_no_ipv6: there is no socket for the first server.
past_no_ipv6() {
    PORT=8080
    targets+=(::1 "$PORT")
    typed+=(::1 "$PORT")
    mirror "" whole
    fetch -d 600 -t 1.9
}

# past_a_new_start: six servers fail, the last of them after 30 milliseconds.
# The next one is started at once, and 40 milliseconds later the last one.
past_a_new_start() {
    for _ in {1..5}; do
        add_unknown
    done
    mirror "-d 60" reset
    HAND[-1]=${HAND[-1]/-d 60/-d 400}
    mirror "-k 5" stall
    mirror "" whole
    fetch -d 80 -t 2
    HAND[-1]="$PROGRAM -d 500 -t 9 ${typed[*]}"
}

@test "says on standard error which server has failed, in which call, and why" {
    local connect_hint="poll reports POLLOUT when connect is over, whether it \
has succeeded or not. getsockopt with SOL_SOCKET and SO_ERROR gives its error, \
or 0. Print the call, the address with its port, and the reason."
    local cut_hint="If recv returns 0 before the first line is complete, the \
server has failed. Print recv, the address with its port, and the words closed \
before the end of the line."
    local reset_hint="If recv returns -1, the server has failed, and errno has \
the reason. Print recv, the address with its port, and that reason."
    add_unknown
    nobody refuse
    fetch -d 50 -t 1
    expect_stderr "*mirror..test*" --hint "If HOST cannot be looked up, print \
lookup, the name, and the reason. gai_strerror has the words for what \
getaddrinfo returns."
    expect_end --hint "$connect_hint"
    expect_stderr "*connect*127.0.0.1:$PORT*Connection refused*" \
        --hint "$connect_hint"
    forget_servers
    mirror "" half-close
    fetch -d 50 -t 1
    expect_end --hint "$cut_hint"
    expect_stderr "*recv*127.0.0.1:$PORT*closed before the end of the line*" \
        --hint "$cut_hint"
    expect_output /dev/null --hint "Print nothing of a server that has failed."
    forget_servers
    # Not before it waits in recv: a connect can meet the reset too.
    mirror "-d 50" reset
    fetch -d 50 -t 1
    expect_end --hint "$reset_hint"
    expect_stderr "*recv*127.0.0.1:$PORT*Connection reset by peer*" \
        --hint "$reset_hint"
}

@test "accepts a first line of up to 4096 bytes, and no longer one" {
    local long_hint="The server decides how much it sends, but you decide how \
much you take. If 4096 bytes have come without a newline, the server has \
failed."
    mirror "-n 4096" whole
    fetch -d 50 -t 1
    expect_output "$PAYLOAD" --hint "This line has 4096 bytes with its newline: \
is there room for all of them in your buffer?"
    expect_status 0 --hint "A line of 4096 bytes with its newline is not too \
long."
    forget_servers
    mirror "-n 4097" whole
    fetch -d 50 -t 1
    expect_end --hint "$long_hint"
    expect_output /dev/null --hint "$long_hint"
    expect_stderr "*recv*127.0.0.1:$PORT*" --hint "$long_hint"
}

@test "closes all other connections as soon as it has taken a server" {
    local hint="A server that has lost still waits for you. Close all sockets \
but that of the winner, before you copy what it sends: also those that are \
still connecting."
    nobody swallow
    mirror "-k 5" stall
    mirror "-k 99" stall
    start_with -d 10 -t 60
    # What is printed comes after that; a terminal shows what has been printed.
    soon is_copied || true
    HAND+=("sleep 1; $BUILD/peers/sockets -p $((HAND_PORT + 1))")
    expect_true "it has ended, but the server has not" --hint "The server may \
send more: go on until recv returns 0." -- is_running answer
    expect_true "the server that has lost still has its client" \
        --hint "$hint" -- soon says server1 "got 0 bytes, then *"
    expect_true "it holds more sockets than that of the winner" \
        --hint "$hint" -- soon holds_one_socket
}

# holds_one_socket: or none.
holds_one_socket() {
    sockets_of "$(pid_of answer)"
    ((${#sockets[@]} <= 1))
}

is_copied() {
    cmp -s "$PAYLOAD" "$BATS_TEST_TMPDIR/answer.out" || ! is_running answer
}

past_nobody() {
    mirror "-k 5" stall
    nobody swallow
    mirror "-k 0" stall
    fetch -d 150 -t 0.25
}

past_the_line() {
    mirror "-d 90 -f $BATS_TEST_TMPDIR/mirror" dribble
    fetch -d 100 -t 0.15
    HAND=("(echo; date; date) >$BUILD/mirror" "${HAND[@]}")
}

# bats test_tags=waits
@test "has one deadline for everything, SECONDS after its start" {
    within 50 past_nobody
    expect_end --hint "$deadline_hint"
    expect_status 1 --hint "$deadline_hint"
    expect_at_least 24 --hint "SECONDS may have a fraction: 0.25 is 250 \
milliseconds."
    expect_stderr "*deadline passed*" --hint "When the deadline has passed, say \
so on standard error, with the words deadline passed."
    expect_less_than 50 --hint "$deadline_hint"
    printf '\n%0100d\n' "$RANDOM" >"$BATS_TEST_TMPDIR/mirror"
    within 40 past_the_line
    expect_end --hint "$deadline_hint"
    expect_status 1 --hint "$deadline_hint"
    expect_stderr "*deadline passed*" --hint "When the deadline has passed, say \
so on standard error, with the words deadline passed."
    expect_less_than 40 --hint "$deadline_hint"
}

past_refusals() {
    nobody refuse
    nobody refuse
    fetch -d 10 -t 1.5
}

@test "ends at once, with status 1, when every server has failed" {
    local hint="If no server is left to start, and none is open any more, \
nothing can come: end at once, with status 1."
    within 50 past_refusals
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_less_than 50 --hint "$hint"
}

@test "sleeps while it waits" {
    local hint="Something in your loop is always ready. Once a server is \
connected, poll it for POLLIN alone: there is always room to send, so POLLOUT \
is always ready. And give poll the time until the next start or the deadline, \
and not 0."
    nobody swallow
    mirror "-k 5" stall
    start_with -d 10 -t 60
    expect_true "it did not connect to the second server" \
        --hint "$block_hint" -- soon says server1 connected
    expect_true "it has ended, while its servers were silent" --hint "A server \
that is silent may still send its line, until the deadline." \
        -- is_running answer
    HAND[-1]="time -p ${HAND[-1]/-t 60/-t 2}"
    expect_true "it does not sleep" --hint "$hint" -- soon sleeps_on
    stop answer || true
    forget_servers
    mirror "-k 99" stall
    start_with -d 10 -t 60
    soon is_copied || true
    HAND[-1]="time -p ${HAND[-1]/-t 60/-t 2}"
    expect_true "it has taken a server, which is silent now, and it does not \
sleep" --hint "The socket is non-blocking, so recv fails with EAGAIN while \
nothing comes. Wait with deadline_recv, or with poll, before you call it again." \
        -- soon sleeps_on
}

# sleeps_on: it has used no processor between two looks, and sleeps.
sleeps_on() {
    local pid ran wanted before
    pid=$(pid_of answer)
    times_of "$pid"
    before=$ran
    pause
    pause
    pause
    times_of "$pid"
    ((ran == before)) && is_asleep "$pid"
}

@test "reports output that cannot be written, with status 1" {
    mirror "" whole
    by_hand "$PROGRAM -d 50 -t 1 ${typed[*]} >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" -d 50 -t 1 "${targets[@]}"
    expect_status 1 --hint "$output_hint"
}

@test "refuses wrong arguments" {
    local bad hint="Print the usage on standard error and end with status 2, if \
a HOST has no PORT, if there are none or more than 16, or if an option is \
missing or unknown."
    local -a words
    answer -d 50 -t 1 127.0.0.1
    expect_status 2 --hint "$hint"
    expect_stderr "*usage:*" --hint "$hint"
    for bad in "-d 50 -t 1" "-d 50 127.0.0.1 80" "-t 1 127.0.0.1 80" \
        "-x -d 50 -t 1 127.0.0.1 80" "-d 50 -t 1 127.0.0.1 80 127.0.0.1"; do
        HAND=()
        read -ra words <<<"$bad"
        answer "${words[@]}"
        expect_status 2 --hint "$hint"
    done
    words=()
    for bad in {1..17}; do
        words+=(127.0.0.1 "$bad")
    done
    HAND=()
    answer -d 50 -t 1 "${words[@]}"
    expect_status 2 --hint "$hint"
    mirror "-c 20" whole
    for bad in "-d 9 -t 1" "-d 2001 -t 1" "-d 50x -t 1" "-d -50 -t 1"; do
        HAND=("${HAND[0]}")
        read -ra words <<<"$bad"
        fetch "${words[@]}"
        expect_status 1 --hint "MILLISECONDS has digits and nothing else, and \
is from 10 to 2000. atoi stops at the first letter and reports no error."
    done
    for bad in 0 nan 1x -1; do
        HAND=("${HAND[0]}")
        fetch -d 50 -t "$bad"
        expect_status 1 --hint "SECONDS is a decimal number, more than 0. \
strtod accepts nan, and like atof it stops at the first letter and reports no \
error: check for both."
    done
    for bad in 0 "${PORT}x" $((PORT + 65536)); do
        HAND=()
        answer -d 50 -t 1 127.0.0.1 "$bad"
        expect_status 1 --hint "$port_hint"
    done
}
