#!/usr/bin/env bats
# The exercise of 02-tcp-server: a server that tells each client who it is,
# `02-tcp-server PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

rude=$BUILD/peers/rude

# call [OPTION...]: a client that says nothing, and listens until the server
# closes; or several, one after another, with an option -c. What they are to be
# told is in $WANTED; what they were told is in $TOLD; how that ended is in
# ending, which is empty if it did not.
call() {
    local line hung=
    TOLD=$BATS_TEST_TMPDIR/told
    WANTED=$BATS_TEST_TMPDIR/wanted
    ending="end of stream"
    start client "$rude" "$@" -k 0 -o "$TOLD" connect stall "$PORT"
    soon has_ended client || {
        hung=1
        end_background # while the client is there, so that it is seen waiting
        stop_all
    }
    while read -r line; do
        case $line in
        "connected from "*) printf 'you are %s\n' "${line#connected from }" ;;
        "got "*"then end of stream") ;;
        "got "*) ending=${line#*then } ;;
        esac
    done <"$BATS_TEST_TMPDIR/client.out" >"$WANTED"
    [[ -z $hung ]] || ending=
}

# expect_told --hint TEXT: each of these clients was told who it is, and nothing
# else, and then the server closed. What a client was told instead may show a
# mistake that has a hint of its own.
expect_told() {
    local hint='' told_hint
    local -a arguments
    take_options 0 "$@" || return
    expect_true "nobody answers at port $PORT" --hint "$hint" -- test -s "$WANTED"
    if [[ -z $ending && ! -s $TOLD ]]; then
        fail "a client was told nothing, and the server has not closed" \
            --hint "Do not wait for a client to speak: it may say nothing and \
stay for ever. Send the line, close the connection, and accept the next client."
    fi
    find_told_hint
    cmp -s "$WANTED" "$TOLD" || fail "a client was not told what it should be" \
        --show "$(show_difference "$WANTED" "$TOLD")" --hint \
"${told_hint:-$hint}"
    expect_true "the server has not closed the connection" \
        --hint "A client waits for more until you close its descriptor: call \
close after send." -- test -n "$ending"
    expect_true "the connection did not end, it broke: $ending" \
        --hint "Do not set SO_LINGER: close does what is wanted without it." \
        -- test "$ending" = "end of stream"
}

# find_told_hint: sets told_hint, if what was told shows the mistake.
find_told_hint() {
    local wanted told='' port swapped
    told_hint=
    read -r wanted <"$WANTED"
    port=${wanted##*:}
    swapped=$((port % 256 * 256 + port / 256))
    if ! read -r told <"$TOLD" && [[ $told == "$wanted" ]]; then
        told_hint="Each client is sent a line, and a line ends with a newline."
        return
    fi
    case $told in
    "${wanted%:*}:$swapped") told_hint="sin_port is in network byte order, the \
most significant byte first. Convert it with ntohs before you print it." ;;
    *:"$PORT") told_hint="That is the server's own port. accept writes the \
client's address into the struct that its second argument points to; \
getsockname gives your own." ;;
    "you are 0.0.0.0:0") told_hint="accept writes no more bytes than its third \
argument allows. Set that to the size of the struct before each call." ;;
    "$wanted") told_hint="Send as many bytes as the line has: strlen does not \
count the NUL at the end of a string, but sizeof does." ;;
    esac
}

# by_hand_read ADDRESS: what a shell can do to see the same.
by_hand_read() {
    by_hand "bash -c 'cat </dev/tcp/$1/$HAND_PORT'"
}

# listens_at PORT: somebody does, on whatever address.
listens_at() {
    local port
    printf -v port '%04X' "$1"
    grep -q ":$port 00000000:0000 0A " /proc/net/tcp
}

# quick COMMAND...: in a second, without its output.
quick() {
    SECONDS_ALLOWED=1 bounded "$@" >/dev/null
}

# loses_descriptors COUNT: it has more than that, and not only for a moment.
loses_descriptors() {
    local i
    for ((i = 0; i < 100; i++)); do
        descriptors=$(descriptors "$(pid_of server)")
        ((descriptors > $1)) || return 1
        pause
    done
}

serve_hint="Call socket, bind and listen, then print the line. Call \
fflush(stdout) after that, because output to a pipe waits in a buffer. Then \
call accept in a loop that never ends."
next_hint="After one client comes the next one: call accept again, in a loop \
that never ends."

@test "says where it listens" {
    answer_serves 0 --hint "$serve_hint"
    HAND=("$PROGRAM 0")
    expect_true "it did not say which port it got" \
        --hint "For port 0 the kernel chooses a free port. After bind, \
getsockname says which one: print that." -- [ "$PORT" != 0 ]
    HAND=("$PROGRAM $HAND_PORT")
    by_hand_read 127.0.0.1
    expect_true "nobody listens on port $PORT" \
        --hint "sin_port in a struct sockaddr_in is in network byte order: set \
it with htons, and convert it with ntohs before you print it." \
        -- listens_at "$PORT"
}

@test "listens on the loopback address only" {
    answer_serves 0 --hint "$serve_hint"
    by_hand_read 127.0.0.2
    expect_true "it answers at 127.0.0.2 too" \
        --hint "INADDR_ANY means every address of this machine. Use \
htonl(INADDR_LOOPBACK), which is 127.0.0.1." -- refuses 127.0.0.2
}

refuses() {
    ! (exec 4<>"/dev/tcp/$1/$PORT") 2>/dev/null
}

@test "tells each client the client's own address and port" {
    local address="127.0.0.$((2 + RANDOM % 250))"
    answer_serves 0 --hint "$serve_hint"
    by_hand "$rude" -k 0 -b "$address" -o /dev/stdout connect stall "$PORT"
    call -b "$address"
    expect_told --hint "accept writes the client's address and port into the \
struct that its second argument points to: tell the client these two."
}

@test "serves one client after another" {
    local staying told
    answer_serves 0 --hint "$serve_hint"
    by_hand "bash -c 'sleep 60 </dev/tcp/127.0.0.1/$HAND_PORT' &"
    by_hand_read 127.0.0.1
    by_hand_read 127.0.0.1
    exec {staying}<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers at port $PORT" --hint "$serve_hint"
    call -c 20
    exec {staying}>&-
    expect_told --hint "$next_hint"
    told=$(wc -l <"$TOLD")
    expect_true "only $told of 20 clients were served" --hint "$next_hint" \
        -- [ "$told" = 20 ]
}

@test "lets ten clients wait while it is busy" {
    local waiting=0
    answer_serves 0 --hint "$serve_hint"
    by_hand "pkill -STOP -f ^$PROGRAM"
    by_hand "$BUILD/peers/rude -k 0 -c 10 connect reset $HAND_PORT"
    by_hand "pkill -CONT -f ^$PROGRAM"
    # shellcheck disable=SC2016 # for the other bash to expand
    frozen quick bash -c 'for i in {1..10}; do
        exec {client}<>"/dev/tcp/127.0.0.1/$1" || exit
    done' - "$PORT" || waiting=$?
    expect_true "ten clients could not connect while it was busy" \
        --hint "The second argument of listen is the backlog: how many clients \
may wait for accept. Make it at least 10." -- [ "$waiting" = 0 ]
    call
    expect_told --hint "A client that has left is no reason to end: if send \
fails, warn, close its descriptor, and accept the next client."
}

# by_hand_frozen COMMAND...: what `frozen` does, by hand.
by_hand_frozen() {
    by_hand "pkill -STOP -f ^$PROGRAM"
    by_hand "$@"
    by_hand "pkill -CONT -f ^$PROGRAM"
}

@test "goes on after clients that reset the connection" {
    answer_serves 0 --hint "$serve_hint"
    by_hand_frozen "$rude" -k 0 connect reset "$PORT"
    by_hand_read 127.0.0.1
    frozen quick "$rude" -k 0 connect reset "$PORT"
    call
    expect_told --hint "After a client has reset the connection, a call for it \
fails with ECONNRESET or ENOTCONN. Warn, close its descriptor, and accept the \
next client."
    HAND=("${HAND[0]}")
    by_hand_frozen "$rude" -e -k 0 connect reset "$PORT"
    by_hand_read 127.0.0.1
    frozen quick "$rude" -e -k 0 connect reset "$PORT"
    call
    expect_told --hint "If send fails with EPIPE, the client has gone. Warn, \
close its descriptor, and accept the next client."
}

@test "closes the descriptor of each client" {
    local before
    answer_serves 0 --hint "$serve_hint"
    call
    before=$(descriptors "$(pid_of server)")
    by_hand_read 127.0.0.1
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    call -c 5
    ! loses_descriptors "$before" ||
        fail "it had $before descriptors, and $descriptors when 5 clients \
more had been served" --hint "accept returns a new descriptor for each client. \
close each one when you have sent the line."
    HAND=("${HAND[0]}")
    by_hand_frozen "$rude" -k 0 -c 5 connect reset "$PORT"
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    frozen quick "$rude" -k 0 -c 5 connect reset "$PORT"
    call
    ! loses_descriptors "$before" ||
        fail "it had $before descriptors, and $descriptors when 5 clients \
had reset" --hint "close the client's descriptor also when send has failed."
}

@test "goes on when accept fails" {
    need_faults
    # ENFILE, whose words are the same in every libc; EMFILE's are not.
    faulty+=(FAULT_CALL="accept,accept4" FAULT_ERRNO=23)
    answer_serves 0 --hint "$serve_hint"
    HAND=("(ulimit -n 4; $PROGRAM $HAND_PORT)")
    by_hand_read 127.0.0.1
    call
    expect_told --hint "accept can fail for reasons that pass: no descriptor \
is free at the moment, or the client has gone. Warn, and call accept again."
    expect_true "it did not say why: Too many open files" \
        --hint "accept returns -1 when it fails, and errno has the reason: \
warn(\"accept\") prints it and goes on." \
        -- soon says server '*Too many open files*' err
    next_run

    # ECONNABORTED
    faulty[-1]=FAULT_ERRNO=103
    answer_serves 0 --hint "$serve_hint"
    HAND=("${faulty[*]} $PROGRAM $HAND_PORT")
    by_hand_read 127.0.0.1
    call
    expect_told --hint "accept fails with ECONNABORTED when a client has gone. \
Warn, and call accept again."
    expect_true "it did not say why accept failed" --hint "Whatever the reason \
is: warn(\"accept\") prints it, and the program goes on." \
        -- soon says server '?*' err
    next_run

    # The same two again, for as long as it asks.
    local error hint="What made accept fail may last for a while, and without a \
pause your loop calls it a million times a second. Call nanosleep before the \
next accept, for at least a hundredth of a second: 10000000 nanoseconds."
    faulty+=(FAULT_TIMES=100000)
    for error in 23 103; do
        faulty[-2]=FAULT_ERRNO=$error
        FAILED=$BATS_TEST_TMPDIR/failed-$error
        : >"$FAILED"
        BEGIN=${EPOCHREALTIME/./}
        FAULT_LOG=$FAILED answer_serves 0 --hint "$serve_hint"
        HAND=("(ulimit -n 4; $PROGRAM $HAND_PORT)")
        if [[ $error == 103 ]]; then
            HAND=("${faulty[*]} $PROGRAM $HAND_PORT")
            hint="This accept fails with ECONNABORTED. Whatever errno says, \
pause before the next accept, for at least a hundredth of a second."
        fi
        by_hand_read 127.0.0.1
        # Who asks poll first needs somebody to be there.
        exec 7<>"/dev/tcp/127.0.0.1/$PORT"
        expect_true "it calls accept again too soon, again and again" \
            --hint "$hint" -- asks_seldom
        exec 7>&-
        next_run
    done
}

# asks_seldom: for a while, the server's accept fails once in a hundredth of a
# second at the most; each time is a line in the file FAILED. However busy the
# machine is, no pause is too short.
asks_seldom() {
    local passed=0 failed
    while ((passed < 80000)); do
        pause
        failed=$(wc -l <"$FAILED")
        passed=$((${EPOCHREALTIME/./} - BEGIN))
        ((failed <= 2 + passed / 10000)) || return 1
    done
}

@test "can be started again at once on the same port" {
    local port
    answer_serves 0 --hint "$serve_hint"
    port=$PORT
    call
    expect_told --hint "$serve_hint"
    stop_all
    HAND=("$PROGRAM $HAND_PORT >$BUILD/first & sleep 1; bash -c 'cat \
</dev/tcp/127.0.0.1/$HAND_PORT'; kill \$!; wait")
    answer_serves "$port" --hint "The server closed first, so its old \
connection is in TIME_WAIT and still holds the port. Set SO_REUSEADDR with \
setsockopt before bind."
    expect_true "it was told $port and listens on $PORT" \
        --hint "Put the port from the command line into the struct \
sockaddr_in: sin_port = htons(port)." -- [ "$PORT" = "$port" ]
    call
    expect_told --hint "$serve_hint"
}

@test "says why it cannot listen, with status 1" {
    answer_serves 0 --hint "$serve_hint"
    answer "$PORT"
    expect_end --hint "Another server has this port, so bind has to fail. \
SO_REUSEPORT would share the port: set SO_REUSEADDR and nothing else."
    expect_status 1 --hint "bind returns -1 when the port is taken. Check \
that, and end with status 1."
    expect_stderr "*Address*in use*" --hint "When bind returns -1, errno has \
the reason: err(1, \"bind\") prints it in words."
    need_faults
    faulty+=(FAULT_CALL=listen FAULT_ERRNO=98)
    HAND=("${faulty[*]} $PROGRAM $HAND_PORT")
    run_answer "${faulty[@]}" "$PROGRAM" 0
    expect_status 1 --hint "listen returns -1 when it fails, as bind does. \
Check that, and end with status 1."
    expect_true "it said \`listening on\` before it was" \
        --hint "Print \`listening on\` only after listen has returned 0." \
        -- says_nothing_of_it
}

says_nothing_of_it() {
    ! grep -q 'listening on' "$OUT"
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 0 more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local port
    for port in 0x "" 65536 +0 " 0" -1; do
        HAND=()
        answer "$port"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
    done
}
