#!/usr/bin/env bats
# The exercise of 02-tcp-server: a server that tells each client who it is,
# `02-tcp-server PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

rude=$BUILD/tests/rude

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
        end_server # while the client is there, so that it can be seen waiting
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

has_ended() {
    ! is_running "$1"
}

# expect_told: each of these clients was told who it is, and nothing else, and
# then the server closed.
expect_told() {
    [[ -s $WANTED ]] || not_yet "nobody answers at port $PORT" </dev/null
    hint_at_told
    cmp -s "$WANTED" "$TOLD" ||
        not_yet "a client was not told what it should be" \
            < <(show_difference "$WANTED" "$TOLD")
    hint "until you close its descriptor, the client waits for more."
    [[ -n $ending ]] ||
        not_yet "the server has not closed the connection" </dev/null
    hint "leave SO_LINGER alone: close does what is wanted."
    [[ $ending == "end of stream" ]] ||
        not_yet "the connection did not end, it broke: $ending" </dev/null
}

# A mistake that can be seen in what was told gets a hint of its own.
hint_at_told() {
    local wanted told='' port swapped
    read -r wanted <"$WANTED"
    port=${wanted##*:}
    swapped=$((port % 256 * 256 + port / 256))
    if ! read -r told <"$TOLD" && [[ $told == "$wanted" ]]; then
        hint "what you say to a client is a line, and ends with a newline."
        return
    fi
    case $told in
    '') [[ -n $ending ]] || hint "wait for nobody: a client may say nothing, \
and stay for ever. Send, close, and accept the next one." ;;
    "${wanted%:*}:$swapped") hint "a port in a struct sockaddr_in has its most \
significant byte first: ntohs." ;;
    *:"$PORT") hint "that is the server's own port. accept writes the \
client's address where its second argument points; getsockname asks for your \
own." ;;
    "you are 0.0.0.0:0") hint "accept writes no more than the third argument \
allows: set it to the size of the struct before each call." ;;
    "$wanted") hint "count what you send: strlen does not count a string's \
NUL, sizeof does." ;;
    esac
}

# by_hand_read ADDRESS: what a shell can do to see the same.
by_hand_read() {
    HAND+=("bash -c 'cat </dev/tcp/$1/$HAND_PORT'")
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

# count_descriptors: sets descriptors to how many the server has.
count_descriptors() {
    local -a open
    open=("/proc/$(pid_of server)/fd"/*)
    descriptors=${#open[@]}
}

# loses_descriptors COUNT: it has more than that, and not only for a moment.
loses_descriptors() {
    local i
    for ((i = 0; i < 100; i++)); do
        count_descriptors
        ((descriptors > $1)) || return 1
        pause
    done
}

@test "says on which port it listens" {
    hint "socket, bind, listen; then the line, and fflush(stdout): what you \
print waits in a buffer, unless it goes to a terminal. Then accept, for ever."
    answer_serves 0
    hint "port 0 takes any that is free; after bind, getsockname says which."
    expect_true "it did not say which port it got" [ "$PORT" != 0 ]
    hint "a port in a struct sockaddr_in has its most significant byte first: \
htons on its way in, ntohs before you print it."
    expect_true "nobody listens on port $PORT" listens_at "$PORT"
}

@test "tells a client its address and port, and closes" {
    local address="127.0.0.$((2 + RANDOM % 250))"
    answer_serves 0
    by_hand "$rude" -k 0 -b "$address" -o /dev/stdout connect stall "$PORT"
    hint "accept writes the client's address, and its port, where its second \
argument points."
    call -b "$address"
    expect_told
}

@test "listens on 127.0.0.1 only" {
    answer_serves 0
    by_hand_read 127.0.0.2
    hint "INADDR_ANY is every address this machine has. INADDR_LOOPBACK is \
127.0.0.1; in a struct sockaddr_in it stands in network order: htonl."
    expect_true "it answers at 127.0.0.2 too" refuses 127.0.0.2
}

refuses() {
    ! (exec 4<>"/dev/tcp/$1/$PORT") 2>/dev/null
}

@test "tells one client after another, also while an earlier one stays" {
    local staying told
    answer_serves 0
    by_hand_read 127.0.0.1
    exec {staying}<>"/dev/tcp/127.0.0.1/$PORT" ||
        not_yet "nobody answers at port $PORT" </dev/null
    hint "after one client comes the next: accept again."
    call -c 20
    exec {staying}>&-
    expect_told
    hint "after one client comes the next: accept again."
    told=$(wc -l <"$TOLD")
    expect_true "only $told of 20 clients were served" [ "$told" = 20 ]
}

@test "lets ten clients wait while it is busy" {
    local waiting=0
    answer_serves 0
    HAND+=("kill -STOP \$(pgrep 02-tcp-server); then call it ten times")
    hint "the second argument of listen is how many may wait for accept."
    # shellcheck disable=SC2016 # for the other bash to expand
    frozen quick bash -c 'for i in {1..10}; do
        exec {client}<>"/dev/tcp/127.0.0.1/$1" || exit
    done' - "$PORT" || waiting=$?
    expect_true "ten clients could not connect while it was busy" \
        [ "$waiting" = 0 ]
    hint "a client that has left costs you nothing: a send that fails is a \
warning."
    call
    expect_told
}

@test "goes on after clients that reset" {
    answer_serves 0
    by_hand "$rude" -k 0 connect reset "$PORT"
    hint "with a client that has reset, calls fail: ECONNRESET, ENOTCONN. \
Warn, close, and accept the next one."
    frozen quick "$rude" -k 0 connect reset "$PORT"
    call
    expect_told
    by_hand "$rude" -e -k 0 connect reset "$PORT"
    hint "send to a client that has gone ends you by SIGPIPE, unless you say \
signal(SIGPIPE, SIG_IGN) or give it MSG_NOSIGNAL. Then it fails with EPIPE."
    frozen quick "$rude" -e -k 0 connect reset "$PORT"
    call
    expect_told
}

@test "keeps no descriptor of a client that has been served" {
    local before
    answer_serves 0
    call
    count_descriptors
    before=$descriptors
    HAND+=("ls -l /proc/\$(pgrep 02-tcp-server)/fd")
    call -c 5
    hint "accept makes a descriptor for each client. close each one."
    ! loses_descriptors "$before" ||
        not_yet "it had $before descriptors, and $descriptors when 5 clients \
more had been served" </dev/null
    frozen quick "$rude" -k 0 -c 5 connect reset "$PORT"
    call
    hint "close the descriptor also when send has failed."
    ! loses_descriptors "$before" ||
        not_yet "it had $before descriptors, and $descriptors when 5 clients \
had reset" </dev/null
}

@test "says why accept fails, waits a moment, and goes on" {
    need_faults
    # ENFILE, whose words are the same in every libc; EMFILE's are not.
    faulty+=(FAULT_CALL="accept,accept4" FAULT_ERRNO=23)
    answer_serves 0
    HAND=("(ulimit -n 4; $PROGRAM $HAND_PORT)")
    by_hand_read 127.0.0.1
    hint "accept fails for reasons that pass: no descriptor is left now, or \
the client has gone. Warn, and accept again."
    call
    expect_told
    hint "accept returns -1 when it fails, and errno says why: warn(\"accept\")."
    expect_true "it did not say why: Too many open files" \
        soon says server '*Too many open files*' err
    stop_all

    faulty+=(FAULT_TIMES=100000)
    HAND=()
    BEGIN=${EPOCHREALTIME/./}
    answer_serves 0
    HAND=("(ulimit -n 4; $PROGRAM $HAND_PORT)")
    by_hand_read 127.0.0.1
    hint "what made accept fail lasts for a while. Ask a million times a \
second, and you keep a processor from the one who could end it: nanosleep."
    # Who asks poll first needs somebody to be there.
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    expect_true "it asked again and again, without a pause" asks_seldom
    exec 7>&-
}

# asks_seldom: for a while, the server's accept fails once in a hundredth of a
# second at the most. However busy the machine is, no pause is too short.
asks_seldom() {
    local passed=0 said
    while ((passed < 80000)); do
        pause
        said=$(grep -c 'Too many open files' "$BATS_TEST_TMPDIR/server.err")
        passed=$((${EPOCHREALTIME/./} - BEGIN))
        ((said <= 2 + passed / 10000)) || return 1
    done
}

@test "can be started again at once on the port that it had" {
    local port
    answer_serves 0
    port=$PORT
    call
    expect_told
    stop_all
    HAND=("$PROGRAM $HAND_PORT" "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT'")
    hint "it closed first, so its side of the connection is in TIME_WAIT, and \
the port with it. setsockopt SO_REUSEADDR, before bind."
    answer_serves "$port"
    hint "the port in the struct sockaddr_in: htons(port)."
    expect_true "it was told $port and listens on $PORT" [ "$PORT" = "$port" ]
    call
    expect_told
}

@test "says why it cannot listen, with status 1" {
    answer_serves 0
    hint "bind returns -1 when the port is taken, and errno says why: err(1, \
\"bind\"). (SO_REUSEPORT would share the port: take SO_REUSEADDR.)"
    answer "$PORT"
    expect_status 1
    expect_stderr "*Address*in use*"
    hint "listen, like bind, returns -1 when it fails: and say \`listening on\` \
only after it has succeeded."
    need_faults
    faulty+=(FAULT_CALL=listen FAULT_ERRNO=98)
    try "${faulty[@]}" "$PROGRAM" 0
    expect_status 1
    expect_true "it said \`listening on\` before it was" says_nothing_of_it
}

says_nothing_of_it() {
    ! grep -q 'listening on' "$OUT"
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 0 more
    expect_status 2
    hint "a port is digits and nothing else, from 0 to 65535. atoi stops at \
the first letter without a word, and a number that is too large loses its top \
bits in a port's sixteen."
    answer 0x
    expect_status 1
    answer ""
    expect_status 1
    answer 65536
    expect_status 1
}
