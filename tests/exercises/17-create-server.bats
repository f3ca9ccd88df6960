#!/usr/bin/env bats
# The exercise of 17-create-server: a server that takes the listeners which
# another program has opened for it, `17-create-server PORT COMMAND`. Each
# test's name is a requirement, as a learner reads it.

load ../lib/exercise

activate=$BUILD/peers/activate
rude=$BUILD/peers/rude

# draw_word: sets word to one that no program can know.
draw_word() {
    word=w$RANDOM$RANDOM
}

# activated WHATS COMMAND [--hint TEXT]: starts the answer as systemd would, with
# these listeners, each ADDRESS:0, in one string; options of `activate` may stand
# before them. Returns when it has said where it listens, and sets PORTS to the
# ports.
activated() {
    local hint='' what line i=0
    local -a arguments whats lines addresses=()
    take_options 2 "$@" || return
    read -ra whats <<<"${arguments[0]}"
    for what in "${whats[@]}"; do
        [[ $what != *:0 ]] || addresses+=("${what%:0}")
    done
    by_hand_activated "${arguments[@]}"
    PORT=
    about=server
    : >"$BATS_TEST_TMPDIR/ending"
    : >"$BATS_TEST_TMPDIR/server.ending"
    start server "$activate" "${whats[@]}" -- "$PROGRAM" 0 "${arguments[1]}"
    soon has_lines_or_ended "${#addresses[@]}" || true
    mapfile -t lines <"$BATS_TEST_TMPDIR/server.out"
    ((${#lines[@]} > 0)) || fail "it has not said what it listens on" \
        --hint "$hint"
    PORTS=()
    for line in "${lines[@]}"; do
        ((i < ${#addresses[@]})) || fail "it says that it listens at more \
places than were opened for it" --show "     Got: $line" --hint "If there are \
listeners for your program, take them and open none: PORT is not used then."
        [[ $line == "listening on ${addresses[i]}:"[1-9]* ]] ||
            fail "line $((i + 1)) does not say where listener $((i + 1)) is" \
                --show "Expected: listening on ${addresses[i]}:$HAND_PORT (or \
another port)
     Got: $line" --hint "$hint"
        PORTS+=("${line##*:}")
        i=$((i + 1))
    done
    ((i == ${#addresses[@]})) || fail "it was given ${#addresses[@]} \
listeners, and listens at $i" --hint "LISTEN_FDS says how many listeners there \
are: descriptor 3 is the first one, 4 the second one, and so on."
}

has_lines_or_ended() {
    local -a lines
    mapfile -t lines <"$BATS_TEST_TMPDIR/server.out"
    ((${#lines[@]} >= $1)) || ! is_running server
}

# by_hand_activated WHATS COMMAND: the command that starts it like this.
by_hand_activated() {
    local what shown=''
    for what in $1; do
        [[ $what != *:0 ]] || what=${what%0}$HAND_PORT
        [[ $what != *'['* ]] || what="'$what'"
        shown+=" $what"
    done
    by_hand "$activate$shown -- $PROGRAM $HAND_PORT '$2'"
}

# fetch HOST PORT: a client that sends nothing. What it got is in the file $GOT;
# how that ended is in fetched, which is 0 if the server has closed.
fetch() {
    GOT="$BATS_TEST_TMPDIR/what the client got"
    fetched=0
    by_hand "bash -c 'cat </dev/tcp/$1/$HAND_PORT'"
    # shellcheck disable=SC2016 # for the other bash to expand
    bounded bash -c 'exec cat <"/dev/tcp/$1/$2"' - "$1" "$2" >"$GOT" \
        2>/dev/null || fetched=$?
    : >"$BATS_TEST_TMPDIR/ending" # that was the client, not the answer
}

# expect_fetched FILE|--text TEXT --hint TEXT: the last client got exactly that,
# and then the server closed.
expect_fetched() {
    local hint='' text='' has_text='' got=
    local -a arguments
    take_options + "$@" || return
    if [[ $fetched != 0 && ! -s $GOT ]]; then
        fail "a client got nothing" --hint "$hint"
    fi
    if [[ $has_text ]]; then
        expect_output --text "$text" --in "$GOT" --hint "$hint"
    else
        expect_output "${arguments[0]}" --in "$GOT" --hint "$hint"
    fi
    expect_true "the server has not closed the connection" --hint "A client \
waits for more until you close its descriptor: call close when the command has \
ended." -- test "$fetched" = 0
}

own_hint="If LISTEN_PID is not set, call listener_open with the address \
127.0.0.1 and the port, and then listener_announce."
client_hint="Call accept4. Then run the command with popen, and send the client \
everything that fread returns. Then call pclose and close, and accept the next \
client."
take_hint="getenv(\"LISTEN_PID\") is the text of that variable. If it is the \
number that getpid returns, the listener is descriptor 3: call \
listener_announce(3, ...) and accept clients from it."
family_hint="A listener may be of IPv6. Give getsockname a struct \
sockaddr_storage, which has room for every family, and addr_format its result; \
or call listener_announce, which does both."
all_hint="accept waits for a client of one listener, and meanwhile nobody looks \
at the others. Put all listeners into an array of struct pollfd, call poll, and \
then accept from those whose revents is not 0."
pid_hint="A process inherits the variables of its parent. The listeners are \
yours only if LISTEN_PID is the number that getpid returns."

@test "opens its own listener when there are none for it" {
    local word
    draw_word
    answer_serves 0 "echo $word" --hint "$own_hint"
    expect_true "it did not say which port it got" --hint "For port 0 the \
kernel chooses a free port. listener_announce asks getsockname which one." \
        -- [ "$PORT" != 0 ]
    fetch 127.0.0.1 "$PORT"
    expect_fetched --text "$word\n" --hint "$client_hint"
    HAND=("${HAND[0]}")
    by_hand "bash -c 'cat </dev/tcp/127.0.0.2/$HAND_PORT'"
    expect_true "it answers at 127.0.0.2 too" --hint "INADDR_ANY means every \
address of this machine. Use htonl(INADDR_LOOPBACK), which is 127.0.0.1." \
        -- refuses 127.0.0.2
}

refuses() {
    ! (exec 4<>"/dev/tcp/$1/$PORT") 2>/dev/null
}

@test "sends each client what COMMAND prints" {
    local file=$BATS_TEST_TMPDIR/printed
    local hint="The output is bytes, not a C string. Send exactly as many bytes \
as fread has returned, and call fread again until it returns 0."
    printf 'a\0b\0\0%s\n' "$RANDOM" >"$file"
    answer_serves 0 "cat $file" --hint "$own_hint"
    HAND=("printf 'a\\0b' >$BUILD/printed" "${HAND[@]}")
    by_hand "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT' | od -c"
    fetch 127.0.0.1 "$PORT"
    unset 'HAND[-1]'
    expect_fetched "$file" --hint "$hint"
    by_hand "head -c 300000 /dev/urandom >$BUILD/printed"
    by_hand "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT' | cmp - \
$BUILD/printed && echo the same"
    head -c 300000 /dev/urandom >"$file"
    fetch 127.0.0.1 "$PORT"
    unset 'HAND[-1]'
    expect_fetched "$file" --hint "The command prints something else each \
time, and as much as it likes. Call popen for each client, and send what fread \
returns: call fread until it returns 0."
}

@test "goes on after clients that leave early" {
    local file=$BATS_TEST_TMPDIR/printed
    local -a option=()
    head -c 50000 /dev/urandom >"$file"
    answer_serves 0 "cat $file" --hint "$own_hint"
    for _ in 1 2; do
        HAND=("head -c 50000 /dev/urandom >$BUILD/printed" "${HAND[-1]}")
        by_hand "pkill -STOP -f ^$PROGRAM"
        by_hand "$rude" "${option[@]}" -k 0 connect reset "$PORT"
        by_hand "pkill -CONT -f ^$PROGRAM"
        frozen quick "$rude" "${option[@]}" -k 0 connect reset "$PORT"
        option=(-e)
        by_hand "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT' | cmp - \
$BUILD/printed && echo the same"
        fetch 127.0.0.1 "$PORT"
        unset 'HAND[-1]'
        expect_fetched "$file" --hint "If a client has left, send fails with \
ECONNRESET or EPIPE. With MSG_NOSIGNAL, it returns -1, and no SIGPIPE comes. \
Close the client and accept the next one."
        HAND=("${HAND[1]}")
    done
    leaves_an_endless_command
    # For COMMAND it has to be as ever.
    next_run
    answer_serves 0 "kill -PIPE \$\$; echo it goes on" --hint "$own_hint"
    HAND=("$PROGRAM $HAND_PORT 'kill -PIPE \$\$; echo it goes on'")
    fetch 127.0.0.1 "$PORT"
    expect_fetched --text '' --hint "SIGPIPE did not end COMMAND: what your \
program ignores or blocks is so in COMMAND too. A command that prints without end \
would then never end when its client has left. Do not call signal(SIGPIPE, \
SIG_IGN): give send MSG_NOSIGNAL, as stream_write_all does."
}

# leaves_an_endless_command: for the first client COMMAND prints without end, and
# this client leaves.
leaves_an_endless_command() {
    local word once=$BATS_TEST_TMPDIR/once
    draw_word
    next_run
    answer_serves 0 "mkdir $once 2>/dev/null && exec yes; echo $word" \
        --hint "$own_hint"
    HAND=("$PROGRAM $HAND_PORT yes")
    by_hand "bash -c 'head -n 3 </dev/tcp/127.0.0.1/$HAND_PORT'"
    by_hand "bash -c 'head -n 3 </dev/tcp/127.0.0.1/$HAND_PORT'"
    quick "$rude" -k 0 connect reset "$PORT"
    fetch 127.0.0.1 "$PORT"
    unset 'HAND[-1]'
    expect_fetched --text "$word\n" --hint "The client has left, and COMMAND \
prints without end, so fread never returns 0. When send fails, call pclose at \
once: then nobody reads the pipe, and SIGPIPE ends COMMAND."
}

# quick COMMAND...: in a second, without its output.
quick() {
    SECONDS_ALLOWED=1 bounded "$@" >/dev/null
}

@test "takes a listener that was opened for it" {
    local word address="127.0.0.$((2 + RANDOM % 250))" sockets
    draw_word
    activated "$address:0" "echo $word" --hint "$take_hint"
    fetch "$address" "${PORTS[0]}"
    expect_fetched --text "$word\n" --hint "$take_hint"
    sockets_of "$(pid_of server)"
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    expect_true "it has ${#sockets[@]} sockets, and was given one listener" \
        --hint "If there are listeners for your program, take them and open \
none: PORT is not used then." -- [ "${#sockets[@]}" = 1 ]
}

@test "takes listeners of IPv4 and of IPv6" {
    local word
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null ||
        skip "this machine has no IPv6"
    draw_word
    activated "[::1]:0" "echo $word" --hint "$family_hint"
    fetch ::1 "${PORTS[0]}"
    expect_fetched --text "$word\n" --hint "$all_hint"
}

@test "serves all listeners at the same time" {
    local word i
    draw_word
    activated "127.0.0.2:0 127.0.0.3:0 127.0.0.4:0" "echo $word" \
        --hint "Call listener_announce for each listener, in the order of the \
descriptors."
    for i in 2 2 1 0; do
        fetch "127.0.0.$((i + 2))" "${PORTS[i]}"
        expect_fetched --text "$word\n" --hint "$all_hint"
    done
    next_run
    activated "$(printf '127.0.0.%d:0 ' {2..17})" "echo $word" \
        --hint "There may be up to 16 listeners: your array needs as many \
places."
    fetch 127.0.0.17 "${PORTS[15]}"
    expect_fetched --text "$word\n" --hint "It has 16 listeners, and this client \
came to the last one. Let poll look at all of them, and accept from each that is \
ready."
}

@test "ignores listeners for another process" {
    local word pid
    draw_word
    for pid in 1 "$BASHPID"; do
        by_hand "$activate -p $pid 127.0.0.9:$HAND_PORT -- $PROGRAM $HAND_PORT \
'echo $word'"
        PORT=
        start_own "echo $word" "$activate" -p "$pid" 127.0.0.9:0 --
        by_hand "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT'"
        expect_own
        next_run
    done
    for pid in "\${LISTEN_PID}x" "' '\$LISTEN_PID" \
        "\$((LISTEN_PID + 4294967296))"; do
        by_hand "$activate 127.0.0.9:$HAND_PORT -- sh -c 'LISTEN_PID=$pid \
exec $PROGRAM $HAND_PORT true'"
        PORT=
        start_own "echo $word" "$activate" 127.0.0.9:0 -- \
            sh -c "LISTEN_PID=$pid exec \"\$@\"" -
        expect_own "LISTEN_PID has digits alone, or it is no process id, and so \
not yours. atoi stops at the first letter, strtol skips a blank, and a number that \
is too large for an int loses its top bits: number_parse checks all this."
        next_run
    done
    by_hand "LISTEN_FDS=1 $PROGRAM $HAND_PORT 'echo $word'"
    start_own "echo $word" env LISTEN_FDS=1
    expect_own
}

# start_own COMMAND BEFORE...: the answer, which runs COMMAND for its clients,
# behind the command BEFORE.
start_own() {
    about=server
    : >"$BATS_TEST_TMPDIR/ending"
    : >"$BATS_TEST_TMPDIR/server.ending"
    start server "${@:2}" "$PROGRAM" 0 "$1"
    soon has_lines_or_ended 1 || true
}

# expect_own [HINT]: it listens at an address of its own choice. Sets PORT.
expect_own() {
    local line=''
    IFS= read -r line <"$BATS_TEST_TMPDIR/server.out" || true
    [[ $line == "listening on 127.0.0.1:"[1-9]* ]] ||
        fail "the listeners are not for it, and it does not open its own" \
            --show "Expected: listening on 127.0.0.1:$HAND_PORT (or another \
port)
     Got: ${line:-(no line)}" --hint "${1:-$pid_hint}"
    PORT=${line##*:}
}

number_hint="number_parse reads a number in digits alone, and checks its \
limits. atoi stops at the first letter and reports no error, and a number that \
is too large for an int loses its top bits."

@test "refuses a LISTEN_FDS that is not a number from 1 to 16, with status 1" {
    local number whats hint
    for number in 1x x '' 0 -1 +1 ' 1' 17 4294967297; do
        HAND=()
        whats=127.0.0.1:0
        # As many as it says, so that there is nothing else to refuse.
        [[ $number != 17 ]] || whats=$(printf '127.0.0.%d:0 ' {2..18})
        by_hand "$activate -n '$number' ${whats//:0/:$HAND_PORT} -- $PROGRAM \
$HAND_PORT true"
        # shellcheck disable=SC2086 # several words
        run_answer "$activate" -n "$number" $whats -- "$PROGRAM" 0 true
        hint=$number_hint
        [[ $number != 0 ]] || hint="LISTEN_FDS is 0. The least is 1: do not open \
a listener of your own then, but end with status 1."
        expect_end --hint "$hint"
        expect_status 1 --hint "$hint"
        expect_stderr "?*" --hint "Say on standard error what is wrong with \
LISTEN_FDS: errx(1, ...) does that."
    done
    # And if it is not set at all.
    HAND=()
    by_hand "$activate 127.0.0.1:$HAND_PORT -- env -u LISTEN_FDS $PROGRAM \
$HAND_PORT true"
    run_answer "$activate" 127.0.0.1:0 -- env -u LISTEN_FDS "$PROGRAM" 0 true
    expect_end --hint "$number_hint"
    expect_status 1 --hint "getenv returns NULL if LISTEN_FDS is not set. \
LISTEN_PID says that there are listeners, so this is an error too."
}

listener_hint="Ask each descriptor before you use it: getsockopt with \
SO_ACCEPTCONN fails if it is no socket, or not open, and puts 0 into your int \
if it does not listen."

@test "refuses a descriptor that is not a listener, with status 1" {
    local what
    for what in bound file pair udp closed; do
        HAND=()
        by_hand "$activate 127.0.0.1:$HAND_PORT $what -- $PROGRAM $HAND_PORT \
true"
        run_answer "$activate" 127.0.0.1:0 "$what" -- "$PROGRAM" 0 true
        expect_end --hint "$listener_hint"
        expect_status 1 --hint "$listener_hint"
        expect_true "standard error does not name descriptor 4" --hint "The \
message has to say which descriptor it is: err(1, \"descriptor %d\", fd)." \
            -- names_4
    done
}

names_4() {
    [[ $errors =~ (^|[^0-9])4($|[^0-9]) ]]
}

@test "hides the variables from COMMAND" {
    local word command
    draw_word
    command="env | grep LISTEN_; echo $word"
    activated 127.0.0.1:0 "$command" --hint "$take_hint"
    fetch 127.0.0.1 "${PORTS[0]}"
    expect_fetched --text "$word\n" --hint "The command inherits your \
environment. Call unsetenv for LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES when \
you have read them."
    next_run
    by_hand "$activate -p 1 127.0.0.9:$HAND_PORT -- $PROGRAM $HAND_PORT \
'$command'"
    start_own "$command" "$activate" -p 1 127.0.0.9:0 --
    expect_own
    fetch 127.0.0.1 "$PORT"
    expect_fetched --text "$word\n" --hint "Here the variables were meant for \
another process, and the command must not get them either. Call unsetenv for all \
three of them in every case."
}

@test "gives COMMAND none of its sockets" {
    local command='ls -l /proc/self/fd | grep -c socket:' wanted
    wanted=$(bounded sh -c "$command" </dev/null 2>/dev/null 3>&-) || true
    activated "127.0.0.2:0 127.0.0.3:0" "$command" --hint "$take_hint"
    fetch 127.0.0.3 "${PORTS[1]}"
    expect_fetched --text "$wanted\n" --hint "The command inherits every \
descriptor that is not close-on-exec. Set FD_CLOEXEC with fcntl for each \
listener that you take, and accept clients by accept4 with SOCK_CLOEXEC."
    next_run
    answer_serves 0 "$command" --hint "$own_hint"
    fetch 127.0.0.1 "$PORT"
    expect_fetched --text "$wanted\n" --hint "Your own listener must be \
close-on-exec too: give socket SOCK_CLOEXEC, as listener_open does, and accept4 \
as well."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 0
    expect_usage
    answer 0 true more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local port
    for port in 0x "" 65536 +0 " 0" -1; do
        HAND=()
        answer "$port" true
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
    done
}
