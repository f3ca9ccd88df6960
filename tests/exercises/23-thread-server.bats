#!/usr/bin/env bats
# The exercise of 23-thread-server: echo with a pool of threads that says when it
# is busy, `23-thread-server -t THREADS -q PLACES PORT`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise
load ../lib/races

many=$BUILD/peers/many
rude=$BUILD/peers/rude

# serves THREADS PLACES: the answer with so many threads, and places to wait.
serves() {
    answer_serves -t "$1" -q "$2" 0 --hint "Open the listener with \
listener_open, and print the line with listener_announce, as the starter does. \
Then serve must not return before a signal comes."
    server_pid=$(pid_of server)
}

# source_of PROGRAM: prints the name of its source. Fails if it has none.
source_of() {
    local name=${1#"$BUILD/"} source=$1.c
    case $name in
    work/*) source=$name.c ;;
    right/*) source=tests/$name.c ;;
    exercise/*) source=lessons/$lesson/exercise.c ;;
    solution/*) source=lessons/$lesson/solution.c ;;
    esac
    [[ -r $source ]] && echo "$source"
}

# client NAME: a client connects; its descriptor is in the variable NAME.
client() {
    eval "exec {$1}<>/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "Call listen before you print the line."
    by_hand "build/peers/talk $PORT"
}

# leave DESCRIPTOR: this client closes its connection.
leave() {
    eval "exec $1>&-"
}

# say DESCRIPTOR TEXT: sends the line, if there is somebody to send it to.
say() {
    (echo "$2" >&"$1") 2>/dev/null || true
}

# hears DESCRIPTOR TEXT [SECONDS]: this line comes within SECONDS (2).
hears() {
    local line=''
    read -rt "${3:-2}" line <&"$1" || true
    [[ $line == "$2" ]]
}

# expect_echo DESCRIPTOR SENTENCE [--hint TEXT]: this client gets back what it
# says, or it was SENTENCE.
expect_echo() {
    local line=$RANDOM$RANDOM
    say "$1" "$line"
    hears "$1" "$line" || fail "$2" "${@:3}"
}

# expect_nothing DESCRIPTOR SENTENCE [--hint TEXT]: nothing comes to this client.
expect_nothing() {
    local byte='' result=0
    read -rt 0.05 -N 1 byte <&"$1" || result=$?
    ((result > 128)) || fail "$2" "${@:3}"
}

# crowd OPTION...: clients of build/peers/many that all get back what they say.
# Sets status; what they said is in $OUT.
crowd() {
    by_hand "$many" "$@" "$PORT"
    try "$many" -s "$((RANDOM + 1))" "$@" "$PORT"
    cp "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/crowd"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_served [--hint TEXT]: the crowd got back all that it said.
expect_served() {
    ((status != 124)) ||
        fail "clients wait for their bytes, and none come" "$@"
    ((status == 0)) || fail "clients did not get back what they said" \
        --show "$(sed 's/^/They said: /' "$BATS_TEST_TMPDIR/crowd" "$OUT")" "$@"
}

# expect_busy [--hint TEXT]: a client that connects now reads `busy`, and then
# the end.
expect_busy() {
    by_hand "$rude" -k 0 connect half-close "$PORT"
    try "$rude" -k 0 -o "$BATS_TEST_TMPDIR/told" connect half-close "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    ((status != 124)) ||
        fail "a client for which there is no place is not closed" "$@"
    is_text 'busy\n' "$BATS_TEST_TMPDIR/told" ||
        fail "a client for which there is no place was not told so" --show \
            "$(show_difference <(printf 'busy\n') "$BATS_TEST_TMPDIR/told")" "$@"
}

# fill: with one thread and one place, a client that is served, and one that
# waits. Their descriptors are in served and waiting.
fill() {
    client served
    expect_echo "$served" "the first client gets nothing back" \
        --hint "$begin_hint"
    client waiting
    soon holds_sockets "$server_pid" 3 || true
}

# tasks: prints the numbers of the server's threads.
tasks() {
    ls "/proc/$server_pid/task"
}

begin_hint="A thread of the pool takes a client from the queue, and then calls \
recv and send until recv returns 0: echo in thread-server.c does that."
busy_hint="If all places of the queue are taken when you have accepted a client, \
send it the line \`busy\` and close it. Do not wait for a free place."
end_hint="sigwait returns in main when the signal comes, if all threads block \
it. Then wake up every thread: pthread_cond_broadcast for those that wait for a \
client, shutdown for the sockets of those that are in recv or send. A thread \
that goes on then takes no other client from the queue."

@test "listens, and says where" {
    serves 2 2
    client first
}

@test "sends back what a client sends" {
    local bytes=$((50000 + RANDOM))
    serves 2 9
    crowd -c 1 -n 1 -r 3
    expect_served --hint "$begin_hint"
    crowd -c 1 -n 70000
    expect_served --hint "Send back exactly as many bytes as recv has returned: \
they are no string, and may have a NUL among them."
    by_hand "$rude" -n "$bytes" -o /dev/null connect whole "$PORT"
    start client "$rude" -s "$RANDOM" -n "$bytes" connect whole "$PORT"
    soon says client 'got *' ||
        fail "the client has ended its half, and waits for ever" --hint "When \
recv returns 0, close the client: it waits for your end."
    expect_true "not all of $bytes bytes came back" --hint "Send back all that \
recv has returned, before you call it again." \
        -- says client "got $bytes bytes, then end of stream"
    next_run
    need_faults
    faulty+=(FAULT_SHORT=send)
    serves 2 9
    crowd -c 1 -n 100
    expect_served --hint "send may take only a part of what you give it: use \
stream_write_all."
}

@test "has no data race" {
    local source race i is_of_descriptor=yes
    source=$(source_of "$PROGRAM") || skip "its source is not known"
    # It does not know the threads of C11.
    ! grep -q '<threads[.]h>' "$source" || skip "no ThreadSanitizer for threads.h"
    build_for_races "$BATS_TEST_TMPDIR/watched" "$source"
    by_hand "cc -g -fsanitize=thread -Icommon -o build/23-races $source \
common/{addr,deadline,listener,number,stream}.c -lm"
    by_hand "build/23-races -t 8 -q 1000 $HAND_PORT"
    start server "$BATS_TEST_TMPDIR/watched" -t 8 -q 1000 0
    soon says server 'listening on *' ||
        fail "it does not say where it listens" --hint "$begin_hint"
    port_of server
    server_pid=$(pid_of server)
    for i in 1 8 8; do
        HAND=("${HAND[@]:0:2}")
        crowd -c "$i" -n 100
        soon holds_sockets "$server_pid" 1 || true
    done
    try "$rude" connect reset "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || true
    say 7 hello
    hears 7 hello || true
    by_hand "build/peers/talk $PORT"
    HAND+=("kill \$(pgrep 23-races)")
    kill -s TERM "$server_pid" || true
    soon eval "! is_running server" || true
    exec 7>&-
    stop_all
    race=$(race_of server)
    ! grep 'Location is' "$BATS_TEST_TMPDIR/server.err" |
        grep -qv 'file descriptor' || is_of_descriptor=
    : >"$BATS_TEST_TMPDIR/ending"
    sed -i '/^listening/!d' "$BATS_TEST_TMPDIR/server.err"
    # That it has ended too early is for another test to say.
    [[ $race != "thread leak"* ]] || ! says server "* served, * busy" ||
        fail "a thread is neither joined nor detached: ${race#*leak }" \
            --hint "Call pthread_join for each thread before main returns. For \
a thread that nobody waits for, call pthread_detach."
    [[ $race != "thread leak"* ]] || return 0
    [[ -z $race || -z $is_of_descriptor ]] ||
        fail "ThreadSanitizer says: $race, on a descriptor" --hint "One thread \
closes a descriptor that another one uses. To wake up a thread in recv, call \
shutdown, and let the thread itself close the descriptor. Or two threads have \
taken the same descriptor from the queue: pthread_cond_wait belongs into a loop."
    [[ -z $race ]] || fail "ThreadSanitizer says: $race" --hint "Two threads use \
the same variable at the same time, and one of them changes it. Lock the mutex \
around each use of a variable that threads share. What belongs to one thread \
alone should be a local variable of it: neither static, nor another one's."
}

@test "serves THREADS clients at the same time, and no more" {
    local one two three four before name
    serves 3 9
    for name in one two three; do
        client "$name"
        expect_echo "${!name}" "with three threads, three clients are not served at \
once" --hint "Start THREADS threads, and let each of them take a client from \
the queue. Each needs its own descriptor: do not let two threads read the same \
variable."
    done
    before=$(tasks)
    client four
    say "$four" hello
    expect_nothing "$four" "a fourth client is served by one of three threads" \
        --hint "A thread serves one client until that has gone. Do not start a \
thread for a client."
    leave "$one"
    hears "$four" hello || fail "a thread is free, and a client still waits" \
        --hint "When a client has gone, its thread takes the next one from the \
queue: put a loop around both."
    expect_equal "threads" "$before" "$(tasks)" --hint "Start THREADS threads \
in the beginning, and none for a client."
    next_run
    serves 100 1000
    crowd -c 1 -n 10
    expect_served --hint "THREADS may be up to 100, and PLACES up to 1000: are \
your arrays large enough?"
}

@test "lets PLACES more clients wait, and serves them in the order in which they came" {
    local served first second third
    serves 1 3
    client served
    expect_echo "$served" "the first client gets nothing back" \
        --hint "$begin_hint"
    client first
    client second
    client third
    soon holds_sockets "$server_pid" 5 || true
    say "$first" one
    say "$second" two
    say "$third" three
    for fd in "$first" "$second" "$third"; do
        expect_nothing "$fd" "a client that should wait is told something" \
            --hint "There are PLACES places in the queue, here three, for \
clients that no thread serves yet. Only when all are taken is a client told \
\`busy\`."
    done
    leave "$served"
    hears "$first" one || fail "the client that has waited longest is not the \
next" --hint "Take from the front of the queue what was put at its end."
    leave "$first"
    hears "$second" two || fail "the second of those that waited is not served \
second" --hint "Take from the front of the queue what was put at its end."
    leave "$second"
    hears "$third" three || fail "the last of those that waited is not served" \
        --hint "If the queue is a ring, the place after the last is the first: \
(place + 1) % PLACES."
    next_run
    many_wait
}

# many_wait: with one thread, 150 clients connect, say something, and are served
# one after another.
many_wait() {
    serves 1 1000
    in_turn 150 "PLACES may be up to 1000: has your queue room for so many?"
}

# in_turn COUNT HINT: so many clients are in the queue at the same time, but for
# the first one, which the only thread serves. Each is served in its turn.
in_turn() {
    local fd i
    local -a all=()
    by_hand "timeout 2 $rude -k 0 connect stall $HAND_PORT & sleep 1; \
for i in \$(seq $1); do timeout 5 $rude -n 9 connect whole $HAND_PORT & done | \
grep -c 'got 9'"
    for ((i = 0; i < $1; i++)); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT" || break
        all+=("$fd")
        { echo "$i" >&"$fd"; } 2>/dev/null || true
    done
    expect_true "it has ended" --hint "$2" -- is_running server
    ((${#all[@]} == $1)) || environment "$1 clients cannot connect"
    # A server that is slow to accept would have few of them in its queue.
    soon holds_sockets "$server_pid" $(($1 + 1)) || true
    for ((i = 0; i < $1; i++)); do
        hears "${all[i]}" "$i" || fail "$1 clients came at once for one thread, \
and number $((i + 1)) is not served when it is its turn" --hint "$2"
        leave "${all[i]}"
    done
}

@test "tells the next client that it is busy, and closes the connection" {
    local served waiting i
    serves 1 1
    fill
    for i in 1 2; do
        expect_busy --hint "$busy_hint"
    done
    leave "$served"
    expect_echo "$waiting" "the client that waits is not served" \
        --hint "Only the client that finds no place is closed."
}

# bats test_tags=waits
@test "takes clients again when there is a place" {
    local served waiting i
    serves 1 1
    # More often than the queue has places: the ring goes round.
    fill
    for i in 1 2 3; do
        expect_busy --hint "$busy_hint"
        leave "$served"
        expect_echo "$waiting" "the client that waits is not served" \
            --hint "The queue is a ring: the place after the last is the first."
        served=$waiting
        client waiting
        soon holds_sockets "$server_pid" 3 || true
        expect_nothing "$waiting" "there is a place, and a client is told that \
it is busy" --hint "A client that a thread has taken waits no more: count one \
less in the queue."
    done
    # More clients than the largest queue has places: 990 one after another, with
    # one descriptor, and then 20 at once, each with a descriptor of its own.
    next_run
    serves 1 1000
    crowd -c 1 -n 1 -k 990
    expect_true "it has ended" --hint "$ring_hint" -- is_running server
    expect_served --hint "$ring_hint"
    in_turn 20 "$ring_hint"
}

ring_hint="More than a thousand clients have come, one after another. If your \
queue is an array, the place after its last one is the first one again."

@test "serves the others while it tells a client that it is busy" {
    local took i
    for i in 1 2 3 4 5; do # what was late on a busy machine is tried again
        next_run
        measure_others || return 0
        ((took > 500)) || return 0
    done
    fail "a client that has waited is served $took milliseconds later, because \
another one is told that it is busy" --hint "While you hold the lock, no thread \
can take a client from the queue. Unlock the mutex before you call send."
}

# measure_others: the second send, which says `busy`, takes a second. Sets took
# to the milliseconds in which the client that waits is served meanwhile.
measure_others() {
    local served waiting began line
    need_faults
    : >"$BATS_TEST_TMPDIR/slow"
    faulty+=(FAULT_CALL="send,sendto,write" FAULT_AT=2 FAULT_SLOW=1000
        FAULT_LOG="$BATS_TEST_TMPDIR/slow")
    serves 1 1
    client served
    say "$served" ''
    hears "$served" '' || fail "the first client gets nothing back" \
        --hint "$begin_hint"
    client waiting
    soon holds_sockets "$server_pid" 3 || true
    say "$waiting" hello
    by_hand "$rude" -k 0 connect half-close "$PORT"
    # A copy of its descriptor would keep the first client connected.
    start busy "$rude" -k 0 connect half-close "$PORT" {served}>&-
    soon test -s "$BATS_TEST_TMPDIR/slow" || return 1 # it uses another call
    began=${EPOCHREALTIME/./}
    leave "$served"
    read -rt 3 line <&"$waiting" || true
    took=$(((${EPOCHREALTIME/./} - began) / 1000))
    leave "$waiting"
    stop_all
}

@test "wakes up a thread for each client" {
    local one two three four i
    serves 4 4
    for i in {1..5}; do
        HAND=("${HAND[0]}")
        frozen four_come
        for fd in "$one" "$two" "$three" "$four"; do
            hears "$fd" hello || fail "a thread is free, and a client waits" \
                --hint "Call pthread_cond_signal each time that you put a client \
into the queue, not only when the queue was empty: the thread that you woke up \
then takes one client, and no more."
        done
        for fd in "$one" "$two" "$three" "$four"; do
            leave "$fd"
        done
        soon holds_sockets "$server_pid" 1 || true
    done
}

four_come() {
    local name
    for name in one two three four; do
        client "$name"
        say "${!name}" hello
    done
}

@test "goes on when a thread wakes up without a reason" {
    local i
    need_faults
    faulty=(env LD_PRELOAD="$BUILD/tests/wakes.so")
    serves 3 3
    for i in 1 2 3 4; do
        crowd -c 3 -n 10 -r 2
        expect_true "it has ended" --hint "$spurious_hint" -- is_running server
        expect_served --hint "$spurious_hint"
        soon holds_sockets "$server_pid" 1 || true
    done
}

spurious_hint="pthread_cond_wait may return although nothing has happened, or \
another thread was faster. Put it into a while loop that looks at the queue \
again, not into an if."

@test "goes on when a client resets its connection, and keeps no descriptor" {
    serves 2 40 # room for all of them: none is told `busy`
    by_hand "$rude" -c 20 -n 3000 connect reset "$PORT"
    bounded "$rude" -s "$RANDOM" -c 20 -n 3000 connect reset "$PORT" \
        >/dev/null 2>&1 || true
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    soon holds_sockets "$server_pid" 1 || true
    expect_true "it has ended" --hint "A client that resets its connection \
makes recv or send fail. Close this client, and take the next one. And send must \
not raise SIGPIPE: stream_write_all sees to that." -- is_running server
    expect_true "all clients have gone, and it still has sockets of theirs" \
        --hint "Call close for each client that has gone: also when recv or \
send has failed." -- soon holds_sockets "$server_pid" 1
    crowd -c 2 -n 10
    expect_true "it has ended" --hint "A client that resets its connection \
makes recv or send fail. Close this client, and take the next one." \
        -- is_running server
    expect_served --hint "A client that resets its connection makes recv or \
send fail. Close this client, and take the next one."
    # Clients that are told `busy` are closed, too.
    next_run
    serves 2 2
    fill_two
    expect_busy --hint "$busy_hint"
    expect_true "it keeps the socket of a client that it has told \`busy\`" \
        --hint "Call close for the client that you have told \`busy\`." \
        -- soon holds_sockets "$server_pid" 5
}

# fill_two: with two threads and two places, nobody else can come.
fill_two() {
    local one two three four
    soon holds_sockets "$server_pid" 1 || true
    client one
    client two
    expect_echo "$one" "a client gets nothing back" --hint "$begin_hint"
    expect_echo "$two" "a client gets nothing back" --hint "$begin_hint"
    client three
    client four
    soon holds_sockets "$server_pid" 5 || true
}

@test "goes on when accept fails, and says why" {
    need_faults
    faulty+=(FAULT_CALL="accept,accept4" FAULT_ERRNO=24 FAULT_AT=2 FAULT_TIMES=3)
    serves 2 2
    crowd -c 2 -n 10
    expect_true "it has ended" --hint "When accept fails, report that, wait a \
moment, and call it again." -- is_running server
    expect_served --hint "When accept fails, report that, wait a moment, and \
call it again."
    expect_true "it does not say why accept has failed" --hint "warn prints the \
name of the call, and the reason." -- soon says server "*Too many open files*" err
}

# bats test_tags=waits
@test "ends within a second of SIGTERM or SIGINT, with status 0" {
    local i took
    end_idle
    for i in 1 2 3 4 5; do # what was late on a busy machine is tried again
        next_run
        end_busy
        ((took > 1000)) || return 0
    done
    fail "it ends $took milliseconds after SIGINT" --hint "Do not give the \
clients time to end, as the lesson's own server does: call shutdown with \
SHUT_RDWR at once. $end_hint"
}

# end_idle: ends the answer by SIGTERM without a client; all threads wait for one.
end_idle() {
    next_run
    serves 4 4
    crowd -c 4 -n 10
    soon holds_sockets "$server_pid" 1 || true
    HAND+=("kill \$(pgrep -f ^$PROGRAM)")
    kill -s TERM "$server_pid"
    soon eval '! is_running server' ||
        fail "without a client, it does not end after SIGTERM" --hint "$end_hint"
    finish server
    expect_equal "status after SIGTERM" 0 "$ended" --hint "$status_hint"
}

status_hint="The signal has ended your program. Block it in all threads with \
pthread_sigmask and wait for it with sigwait."

# end_busy: ends the answer by SIGINT, while one client is silent, one does not
# read, and one waits. Sets took to the milliseconds until its end.
end_busy() {
    local silent waiting began
    serves 2 2
    client silent
    expect_echo "$silent" "the first client gets nothing back" \
        --hint "$begin_hint"
    by_hand "$rude" -n 20000000 connect deaf "$PORT"
    start deaf "$rude" -n 20000000 connect deaf "$PORT"
    wait_for deaf 'connected from *' || environment "$rude does not run"
    soon owes || true
    client waiting
    soon holds_sockets "$server_pid" 4 || true
    HAND+=("kill -s INT \$(pgrep -f ^$PROGRAM)")
    began=${EPOCHREALTIME/./}
    kill -s INT "$server_pid"
    soon eval '! is_running server' ||
        fail "it does not end after SIGINT" --hint "$end_hint"
    took=$(((${EPOCHREALTIME/./} - began) / 1000))
    finish server
    expect_equal "status after SIGINT" 0 "$ended" --hint "$status_hint"
    expect_true "a client did not see a normal end of the stream" --hint "Close \
each client before the program ends." -- is_at_end "$silent"
    leave "$silent"
    leave "$waiting"
}

# owes: something of the server's waits for a client that does not read.
owes() {
    local port
    printf -v port '%04X' "$PORT"
    grep -qE "[0-9]: 0100007F:$port [0-9A-F:]* 01 0*[1-9A-F][0-9A-F]*:" /proc/net/tcp
}

# is_at_end DESCRIPTOR: the stream has ended, without a reset.
is_at_end() {
    local rest result=0
    rest=$(bounded head -c 1 <&"$1" 2>&1) || result=$?
    ((result == 0)) && [[ -z $rest ]]
}

@test "says at its end how many it has served, and how many it has told busy" {
    local served waiting i wanted=$((1 + RANDOM % 4))
    serves 1 1
    fill
    for ((i = 0; i < wanted; i++)); do
        expect_busy --hint "$busy_hint"
    done
    leave "$served"
    expect_echo "$waiting" "the client that waits is not served" \
        --hint "$begin_hint"
    leave "$waiting"
    soon holds_sockets "$server_pid" 1 || true
    HAND+=("kill \$(pgrep -f ^$PROGRAM)")
    kill -s TERM "$server_pid"
    soon eval '! is_running server' ||
        fail "it does not end after SIGTERM" --hint "$end_hint"
    finish server
    expect_output --text "listening on 127.0.0.1:$PORT\n2 served, $wanted busy\n" \
        --in "$BATS_TEST_TMPDIR/server.out" --hint "The last line that the \
server prints has the two counts. A client is served when it has gone, and not \
when it is told \`busy\`."
}

@test "refuses an invalid number or port, with status 1" {
    local arguments
    for arguments in "-t 0 -q 1 0" "-t 101 -q 1 0" "-t 2x -q 1 0" \
        "-t 1 -q 0 0" "-t 1 -q 1001 0" "-t 1 -q 1 65536" "-t 1 -q 1 80x"; do
        # shellcheck disable=SC2086 # several words
        answer $arguments
        expect_end --hint "$number_hint"
        expect_status 1 --hint "$number_hint"
        expect_stderr "?*" --hint "Say on standard error what is wrong."
    done
}

number_hint="number_parse returns -1 if the text is no number, or one outside \
the limits. Check that."

@test "refuses other arguments, with status 2" {
    local arguments
    for arguments in "0" "-t 1 0" "-x 1 -q 1 0" "-t 1 -q 1 0 0"; do
        # shellcheck disable=SC2086 # several words
        answer $arguments
        expect_end --hint "$usage_hint"
        expect_status 2 --hint "$usage_hint"
        expect_stderr "*usage:*" --hint "$usage_hint"
    done
}
