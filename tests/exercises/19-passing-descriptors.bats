#!/usr/bin/env bats
# The exercise of 19-passing-descriptors: a server that is replaced without
# losing a client, `19-passing-descriptors PATH PORT`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

pass=$BUILD/peers/pass
callers=$BUILD/peers/callers
talk=$BUILD/peers/talk
rude=$BUILD/peers/rude

# serves: the answer as the first process at $path, which sets PORT.
serves() {
    path=$BATS_TEST_TMPDIR/19.socket
    rm -f "$path"
    answer_serves "$path" 0 --hint "$begin_hint"
    server_pid=$(pid_of server)
}

# start_next NAME [--hint TEXT]: the answer as the next process at $path. What
# fails from now on is about it.
start_next() {
    by_hand "$PROGRAM" "$path" "$HAND_PORT"
    about=$1
    start "$1" "$PROGRAM" "$path" 0 6>&- 7>&-
    soon says_or_ended "$1" '*' || true
    says "$1" "listening on 127.0.0.1:$PORT" ||
        fail "the new process does not take the listener at port \
$PORT" "${@:2}"
}

# ask OPTION...: a process that asks the answer for its listener, and has got
# it. With -n it does not confirm.
ask() {
    by_hand "$pass" "$@" take "$path"
    start heir "$pass" "$@" take "$path" 6>&- 7>&-
    soon says_or_ended heir 'a listener*' || true
    is_running server || says heir 'a listener at port *' || {
        about=server
        fail "it has ended" --hint "${end_hint_now-$give_hint}"
    }
    says heir 'a listener at port *' ||
        fail "a process at PATH has not got the listener" \
            --show "$(sed 's/^/The process said: /' \
                "$BATS_TEST_TMPDIR"/heir.{out,err})" --hint "$give_hint"
}

# offer OPTION... COUNT: a process that the answer is to replace. It offers so
# many descriptors.
offer() {
    path=$BATS_TEST_TMPDIR/19.socket
    by_hand "$pass" "${@:1:$#-1}" give "$path" "${@: -1}"
    start old "$pass" "${@:1:$#-1}" give "$path" "${@: -1}"
    wait_for old 'waiting at *' || environment "$pass cannot listen at $path"
}

# call [--hint TEXT]: a client connects, as descriptor 7. Sets process to the
# number with which it is greeted.
call() {
    local line=''
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || fail "nobody answers" "$@"
    read -rt "$SECONDS_ALLOWED" line <&7 || true
    [[ $line =~ ^process\ ([0-9]+)$ ]] ||
        fail "a client is not greeted" --show "Expected: process 4711
     Got: $line" "$@"
    process=${BASH_REMATCH[1]}
}

# expect_echo CLIENT [--hint TEXT]: what the client with this descriptor sends
# comes back.
expect_echo() {
    local line='' sent="line $RANDOM"
    echo "$sent" >&"$1" || true
    read -rt "$SECONDS_ALLOWED" line <&"$1" || true
    [[ $line == "$sent" ]] ||
        fail "what a client sent does not come back" --show "Expected: $sent
     Got: $line" "${@:2}"
}

# holds_listener: the first process still has the socket that `heir` has, too.
# (-ef compares what two names lead to.)
holds_listener() {
    local mine its
    for mine in "/proc/$server_pid/fd"/*; do
        [[ -S $mine ]] || continue
        for its in "/proc/$heir_pid/fd"/*; do
            [[ ! -S $its || ! $mine -ef $its ]] || return 0
        done
    done
    return 1
}

has_lost_listener() {
    ! holds_listener
}

# closes_listener: soon it has it no more.
closes_listener() {
    local heir_pid
    heir_pid=$(pid_of heir)
    soon has_lost_listener
}

# expect_end_of NAME [--hint TEXT]: this process ends soon, with status 0.
expect_end_of() {
    about=$1
    soon has_ended "$1" ||
        fail "the old process does not end" "${@:2}"
    finish "$1"
    ((ended == 0)) ||
        fail "the old process ended with status $ended" "${@:2}"
}

begin_hint="The starter does this. Keep its open_listener and announcement for \
the case that no server answers at PATH."
give_hint="Listen at PATH, with a UNIX socket, and put it into the array for \
poll. When a process connects, send it one byte and the listener, with \
SCM_RIGHTS."
wait_hint="That you have sent the listener does not mean that the other process \
has it and works. Go on accepting until recv on its connection returns 1. If \
it returns 0, close that connection and go on."
unread_hint="A new process has ended before it read your message. Then recv \
on its connection returns -1, with ECONNRESET, and not 0. Only a byte confirms."
stop_hint="After the confirmation, close the listener. What is in its queue is \
not lost: the new process has the same open socket."
finish_hint="Only the listener and the socket at PATH are closed after the \
confirmation. The clients stay in the array for poll. End when the last has left."
take_hint="Connect to PATH first. If that succeeds, receive the listener with \
recvmsg, and take its port from getsockname. Only if connect fails with ENOENT \
or ECONNREFUSED, open a listener."
none_hint="CMSG_FIRSTHDR returns NULL if no control message came, and recvmsg \
returns 0 at the end of the connection. Check both before you read a number."
more_hint="With CMSG_SPACE as msg_controllen, there is room for two \
descriptors. Use CMSG_LEN, or close all descriptors but the first."
cloexec_hint="The flag belongs to the number, so the new process sets it \
itself: MSG_CMSG_CLOEXEC for recvmsg, SOCK_CLOEXEC for socket and accept4."
lost_hint="The new process has to be ready before it confirms, and the old one \
may close the listener only after that. Never call shutdown for the listener: \
it ends the open socket, also for the other process."
next_hint="The process at PATH has to be the one that was started last. So the \
old one does not unlink the file at PATH, which belongs to the new one by then."
early_hint="The confirmation is the last step: listen at PATH first. Here listen \
fails, as it may. Then end with status 1, and do not confirm, so that the old \
process goes on."
leak_hint="Close the connection between the two processes when the new one has \
confirmed, on both sides."

@test "listens, and says where" {
    serves
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    exec 7>&-
}

@test "greets each client with the number of its process" {
    local process first program
    serves
    by_hand "$talk" "$PORT"
    call --hint "$begin_hint"
    first=$process
    program=$(readlink "/proc/$first/exe") || true
    [[ ${program##*/} == "${PROGRAM##*/}" ]] ||
        fail "$first is not the number of its process" --hint "getpid returns it."
    call --hint "$begin_hint"
    expect_equal "the number" "$first" "$process" --hint "Call getpid once, in \
the process that was started."
}

@test "sends back what several clients send" {
    local process
    serves
    by_hand "$talk" "$PORT"
    by_hand "$talk" "$PORT"
    call --hint "$begin_hint"
    exec 6<&7
    call --hint "$begin_hint"
    expect_echo 7 --hint "$begin_hint"
    expect_echo 6 --hint "$begin_hint"
    expect_echo 6 --hint "$begin_hint"
    by_hand "$rude" -n 300 connect half-close "$PORT"
    try "$rude" -n 300 connect half-close "$PORT"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    [[ $(<"$OUT") == *" bytes, then end of stream" ]] ||
        fail "it does not close the connection at a client's end" \
            --show "$(sed 's/^/The client said: /' "$OUT")" --hint "$begin_hint"
    expect_echo 7 --hint "$begin_hint"
    exec 6>&- 7>&-
}

@test "gives its listener to a process that connects to PATH" {
    serves
    ask -n
    says heir 'received 1 byte and 1 descriptor' ||
        fail "the message is not one byte and one descriptor" \
            --show "$(sed 's/^/The process said: /' \
                "$BATS_TEST_TMPDIR/heir.out")" --hint "$give_hint"
    says heir "a listener at port $PORT, *" ||
        fail "this is not its listener" --hint "$give_hint"
}

@test "gives away a non-blocking listener" {
    serves
    ask -n
    says heir '*, non-blocking' ||
        fail "the listener is blocking" --hint "fcntl(F_SETFL, O_NONBLOCK) \
makes it non-blocking, for all processes that have it."
}

@test "goes on serving until the new process has confirmed" {
    local process
    serves
    ask -n
    by_hand "$talk" "$PORT"
    call --hint "$wait_hint"
    expect_echo 7 --hint "$wait_hint"
    stop heir
    call --hint "$wait_hint"
    expect_echo 7 --hint "$wait_hint"
    ask -n
    stop heir
    # And one that ends before it has read what it was sent.
    HAND=("${HAND[0]}")
    by_hand "$pass" -u take "$path"
    by_hand "$talk" "$PORT"
    try "$pass" -u take "$path"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    call --hint "$unread_hint"
    ask -n # after this, it has met the end of that process
    call --hint "$unread_hint"
    expect_echo 7 --hint "$unread_hint"
    stop heir
}

@test "closes everything that belongs to a new process that has gone" {
    local before i end_hint_now gone_hint="A new process may have gone before \
you send it the listener. Then sendmsg fails with EPIPE: close its connection in \
that case too, and go on."
    end_hint_now=$wait_hint
    serves
    before=$(descriptors "$server_pid")
    for i in 1 2 3; do
        ask -n
        stop heir
    done
    by_hand "ls -l /proc/\$(pgrep -of ^$PROGRAM)/fd"
    soon holds_descriptors "$server_pid" "$before" ||
        fail "it has $before descriptors, and then $(descriptors "$server_pid")" \
            --hint "When recv on the connection of a new process returns 0, \
close that connection."
    # And of one that was there when another one came.
    HAND=("${HAND[0]}")
    ask -n
    by_hand "$BUILD/peers/rude-unix" connect "$path"
    # It stays until it was met: of one that has gone, more is asked below.
    start second "$BUILD/peers/rude-unix" connect "$path" stall
    soon is_asleep "$(pid_of second)" || environment "rude-unix does not run"
    by_hand "$talk" "$PORT"
    call --hint "$wait_hint" # after this, it has met the second one
    exec 7>&-
    stop heir
    stop second
    by_hand "ls -l /proc/\$(pgrep -of ^$PROGRAM)/fd"
    soon holds_descriptors "$server_pid" "$before" ||
        fail "it has $before descriptors, and then $(descriptors "$server_pid")" \
            --hint "A second process has connected to PATH while the first one \
was there. Close the connection of the first one before you put the second one in \
its place, or leave the second one in the queue until the first one has gone."
    # And of one that has gone before the listener is sent.
    HAND=("${HAND[0]}")
    by_hand "pkill -STOP -f ^$PROGRAM"
    by_hand "$BUILD/peers/rude-unix" connect "$path"
    by_hand "$BUILD/peers/rude-unix" connect "$path"
    frozen two_come_and_go
    by_hand "pkill -CONT -f ^$PROGRAM"
    end_hint_now=$gone_hint
    ask -n # after this, it has met both
    unset 'HAND[-1]'
    stop heir
    by_hand "ls -l /proc/\$(pgrep -of ^$PROGRAM)/fd"
    soon holds_descriptors "$server_pid" "$before" ||
        fail "it has $before descriptors, and then $(descriptors "$server_pid")" \
            --hint "$gone_hint"
}

two_come_and_go() {
    try "$BUILD/peers/rude-unix" connect "$path"
    try "$BUILD/peers/rude-unix" connect "$path"
}

@test "accepts no more clients after the new process has confirmed" {
    local process
    serves
    by_hand "$talk" "$PORT"
    call --hint "$begin_hint"
    ask
    by_hand "$talk" "$PORT"
    expect_true "it still has its listener" --hint "$stop_hint" \
        -- closes_listener
}

@test "serves the clients that it has to their end" {
    local process
    serves
    by_hand "$talk" "$PORT"
    call --hint "$begin_hint"
    ask
    closes_listener || fail "it still has its listener" \
        --hint "$stop_hint"
    expect_echo 7 --hint "$finish_hint"
    expect_echo 7 --hint "$finish_hint"
    expect_true "it ends before its client" --hint "$finish_hint" \
        -- is_running server
    exec 7>&-
    expect_end_of server --hint "$finish_hint"
    # Without a client it ends at once.
    next_run
    serves
    ask
    expect_end_of server --hint "$finish_hint"
}

@test "takes the listener of the server at PATH" {
    local process line
    offer 1
    read -r line <"$BATS_TEST_TMPDIR/old.out"
    PORT=${line#a listener at port }
    PORT=${PORT%, *}
    start_next answer --hint "$take_hint"
    soon says old 'it confirms' || fail "it does not confirm" --hint "When you \
print the line, send one byte to the old process."
    by_hand "$talk" "$PORT"
    call --hint "Put the listener that you have received into the array for poll."
    ask -n
    says heir "a listener at port $PORT, *" ||
        fail "this is not its listener" --hint "$give_hint"
    [[ $line != *non-blocking* ]] || says heir '*, non-blocking' ||
        fail "its listener was non-blocking, and is blocking now" --hint "Leave \
the flags of the listener as they are. They belong to the old process, too, for it \
has the same open socket."
    [[ $BUILD != *asan* ]] || return 0 # there are no faults
    next_run
    need_faults
    faulty+=(FAULT_CALL=listen)
    offer 1
    by_hand "${faulty[@]}" "$PROGRAM" "$path" "$HAND_PORT"
    about=answer
    start answer "${faulty[@]}" "$PROGRAM" "$path" 0
    soon says old 'it *' || fail "it neither confirms nor ends" \
        --hint "$early_hint"
    ! says old 'it confirms' ||
        fail "it confirms, but it does not listen at PATH" --hint "$early_hint"
}

@test "opens a listener of its own if the server at PATH is dead" {
    offer 1
    stop old
    answer_serves "$path" 0 --hint "$take_hint"
}

@test "refuses an answer without a listener, with status 1" {
    local -a options
    for options in "" "-b 0"; do
        # shellcheck disable=SC2086 # two words, or none
        offer $options 0
        start_answer "$path" 0
        soon has_ended answer || fail "it does not end" \
            --hint "$none_hint"
        finish_answer
        expect_status 1 --hint "$none_hint"
        expect_stderr "?*" --hint "Say on standard error what is wrong."
        next_run
    done
}

@test "keeps one descriptor at most of an answer that has more" {
    local count
    for count in 2 3 30; do
        offer "$count"
        start_answer "$path" 0
        soon says old 'it keeps *' || fail "it neither confirms nor ends" \
            --hint "$more_hint"
        ! says old 'it keeps more *' || fail "of $count descriptors it keeps \
more than the first" --hint "$more_hint"
        if ! says old 'it confirms'; then
            soon has_ended answer || fail "it does not end" \
                --hint "$more_hint"
            finish_answer
            expect_status 1 --hint "$more_hint"
        fi
        next_run
    done
}

@test "loses no client in ten restarts" {
    local i previous=server
    serves
    by_hand "$callers" "$PORT"
    start callers "$callers" -n 2000 -e 200 "$PORT"
    for i in {1..10}; do
        ((i == 1)) || soon says_or_ended callers "$((i * 200 - 200)) clients *" ||
            fail "clients wait in vain" --hint "$lost_hint"
        start_next "next$i" --hint "$next_hint"
        expect_end_of "$previous" --hint "$finish_hint"
        about=next$i
        previous=next$i
    done
    finish callers
    ((ended == 0)) || fail "a client is lost" \
        --show "$(sed 's/^/A client said: /' "$BATS_TEST_TMPDIR/callers.err")" \
        --hint "$lost_hint"
}

@test "has as many descriptors after three restarts as before" {
    local i before previous=server
    serves
    before=$(descriptors "$server_pid")
    for i in 1 2 3; do
        start_next "next$i" --hint "$next_hint"
        expect_end_of "$previous" --hint "$finish_hint"
        about=next$i
        previous=next$i
    done
    by_hand "ls -l /proc/\$(pgrep -nf ^$PROGRAM)/fd"
    soon holds_descriptors "$(pid_of next3)" "$before" ||
        fail "it had $before descriptors, and has \
$(descriptors "$(pid_of next3)") after three restarts" --hint "$leak_hint"
}

# expect_cloexec PID: the sockets of this process are close-on-exec.
expect_cloexec() {
    local fd name value
    by_hand "grep flags /proc/\$(pgrep -nf ^$PROGRAM)/fdinfo/*"
    for fd in "/proc/$1/fd"/*; do
        [[ -S $fd ]] || continue
        while read -r name value; do
            [[ $name != flags: ]] || (((8#$value & 8#2000000) != 0)) ||
                fail "descriptor ${fd##*/} is not close-on-exec" \
                    --hint "$cloexec_hint"
        done <"/proc/$1/fdinfo/${fd##*/}"
    done
}

@test "has only descriptors that are close-on-exec" {
    local process
    serves
    call --hint "$begin_hint"
    ask -n
    expect_cloexec "$server_pid"
    stop heir
    start_next next --hint "$take_hint"
    call --hint "$begin_hint"
    expect_cloexec "$(pid_of next)"
}

@test "refuses an invalid port, with status 1" {
    local port
    for port in 65536 80x ''; do
        answer "$BATS_TEST_TMPDIR/19.socket" "$port"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
    done
}

@test "refuses other arguments, with status 2" {
    answer
    expect_usage
    answer "$BATS_TEST_TMPDIR/19.socket"
    expect_usage
    answer "$BATS_TEST_TMPDIR/19.socket" 0 0
    expect_usage
}
