#!/usr/bin/env bats
# The exercise of 22-fork-server: an echo server with workers that are there
# before the clients come, `22-fork-server WORKERS PORT`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

many=$BUILD/peers/many
rude=$BUILD/peers/rude

begin_hint="Call listener_open and listener_announce before you start the \
workers. Each worker calls accept4, recv and send in a loop."
workers_hint="Call fork once for each worker, right after the line is printed. \
In the child, fork returns 0: there, run the worker's loop, which never comes \
back to the parent's code."
serve_hint="A worker calls recv until it returns 0, sends back each piece, \
closes the client, and calls accept4 again."
same_hint="A worker accepts the next client when it has closed one. It ends \
only when it is told to."
reset_hint="A client that resets its connection makes recv or send fail. Close \
this client, and accept the next one. Ignore SIGPIPE: otherwise a send to a \
client that has gone ends the worker."
term_hint="A handler for SIGTERM only sets a variable. The worker looks at it \
before it accepts another client, not while it serves one. A recv that a signal \
has interrupted (EINTR) is called again."
idle_hint="A worker that waits for a client must wake up when it is told to \
end. Block the signals, and wait for the listener with ppoll: it unblocks them \
while it sleeps."
parent_hint="Send SIGTERM to each worker with kill. Then call waitpid for each \
of them, and end with status 0."

# serves WORKERS: the answer with so many workers. Sets PORT and server_pid.
serves() {
    answer_serves "$1" 0 --hint "$begin_hint"
    server_pid=$(pid_of server)
}

# try_alone WORKERS COMMANDS: instead of all that was to be tried by hand so far,
# one line that starts the answer in the background, runs COMMANDS, and ends it.
# In COMMANDS, $p is its process number.
try_alone() {
    HAND=("$PROGRAM $1 $HAND_PORT & p=\$!; sleep 1; $2; kill \$p")
}

see_processes="$BUILD/peers/processes \$p"

# look_at_workers: sets workers to the children that have not ended, and zombies
# to the number of those that have.
look_at_workers() {
    local child state
    local -a children=()
    workers=()
    zombies=0
    read -ra children 2>/dev/null \
        <"/proc/$server_pid/task/$server_pid/children" || true
    for child in "${children[@]}"; do
        read -r _ _ state _ 2>/dev/null <"/proc/$child/stat" || continue
        if [[ $state == Z ]]; then
            zombies=$((zombies + 1))
        else
            workers+=("$child")
        fi
    done
}

# has_workers COUNT: so many, and no zombie.
has_workers() {
    look_at_workers
    ((${#workers[@]} == $1 && zombies == 0))
}

# expect_workers COUNT [--hint TEXT]: soon there are so many workers, and no
# zombie.
expect_workers() {
    local wanted=$1
    shift
    soon has_workers "$wanted" || fail "it should have $wanted workers; it has \
${#workers[@]}, and $zombies zombies" "$@"
}

# crowd OPTION...: clients that compare what comes back.
crowd() {
    by_hand "$many" "$@" "$PORT"
    try "$many" -s "$((RANDOM + 1))" "$@" "$PORT"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_served [--hint TEXT]: that crowd got its bytes back.
expect_served() {
    ((status == 0)) || fail "not every client got its bytes back" \
        --show "It was said by the clients: ${errors:-nothing}" "$@"
}

# says_back DESCRIPTOR [--hint TEXT]: a client sends a line, and gets it back.
says_back() {
    local line=$RANDOM$RANDOM heard=''
    local fd=$1
    shift
    { printf '%s\n' "$line" >&"$fd"; } 2>/dev/null || true
    read -rt "$SECONDS_ALLOWED" heard <&"$fd" || true
    [[ $heard == "$line" ]] ||
        fail "a client sent a line, and did not get it back" "$@"
}

# all_descriptors: prints how many the parent has, and each worker.
all_descriptors() {
    local pid
    for pid in "$server_pid" "${workers[@]}"; do
        descriptors "$pid"
    done
}

hold_descriptors() {
    [[ $(all_descriptors) == "$1" ]]
}

# expect_clean_end [--hint TEXT]: the program ends soon, with status 0.
expect_clean_end() {
    soon has_ended server ||
        fail "all its clients have left, and it has not ended" "$@"
    finish server
    expect_equal "exit status" 0 "$ended" "$@"
}

@test "says where it listens, once" {
    local lines
    serves 3
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    exec 7>&-
    HAND[0]+=" | cat"
    kill "$server_pid" || true
    # How it ends comes later.
    soon has_ended server || kill -KILL "$server_pid" || true
    lines=$(grep -c '^listening' "$BATS_TEST_TMPDIR/server.out")
    ((lines == 1)) || fail "it said $lines times where it listens" --hint "What \
printf has in its buffer is copied by fork, too. Call fflush before fork, and \
end a worker with _exit."
}

@test "sends back what a client sends" {
    serves 2
    crowd -c 1 -k 2 -n "$((20000 + RANDOM % 1000))"
    expect_served --hint "$serve_hint"
    by_hand "$rude" -n 20000 -o /dev/null connect whole "$PORT"
    start client "$rude" -s "$RANDOM" -n 20000 connect whole "$PORT"
    soon says client 'got *' ||
        fail "the client has ended its half, and waits for ever" \
            --hint "When recv returns 0, close the client: it waits for your end."
    expect_true "not all of 20000 bytes came back" --hint "$serve_hint" \
        -- says client 'got 20000 bytes, then end of stream'
}

@test "has WORKERS workers before the first client comes" {
    local count
    export MALLOC_PERTURB_=165 # in glibc: new memory is not zero
    for count in "$((2 + RANDOM % 4))" 64; do
        next_run
        serves "$count"
        try_alone "$count" "$see_processes"
        expect_workers "$count" --hint "$workers_hint"
    done
}

@test "serves WORKERS clients at the same time" {
    serves 2
    try_alone 2 "$rude -k 0 connect stall $HAND_PORT & sleep 1; \
timeout 2 $BUILD/01-tcp-client 127.0.0.1 $HAND_PORT hello; kill %2"
    exec 6<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    says_back 6 --hint "$serve_hint"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    says_back 7 --hint "While one worker is busy, the others can accept: give \
all of them the same listener, and let each call accept4 itself."
    exec 8<>"/dev/tcp/127.0.0.1/$PORT"
    exec 6>&-
    says_back 8 --hint "A worker that has closed its client accepts the next \
one, which is still in the queue."
    says_back 7 --hint "$serve_hint"
    exec 7>&- 8>&-
}

@test "serves all clients with the same workers" {
    local -a before
    serves 3
    expect_workers 3 --hint "$workers_hint"
    before=("${workers[@]}")
    crowd -c 3 -k 10
    expect_served --hint "$same_hint"
    try_alone 3 "$see_processes; $many -c 3 -k 10 $HAND_PORT; $see_processes"
    look_at_workers
    expect_equal "the list of the workers" "${before[*]}" "${workers[*]}" \
        --hint "$same_hint"
    bounded "$rude" -s "$RANDOM" -c 20 -n 3000 connect reset "$PORT" \
        >/dev/null 2>&1 || true
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    crowd -c 3 -k 10
    try_alone 3 "$see_processes; $rude -c 20 -n 3000 connect reset $HAND_PORT; \
$see_processes"
    expect_served --hint "$reset_hint"
    look_at_workers
    expect_equal "the list of the workers" "${before[*]}" "${workers[*]}" \
        --hint "$reset_hint"
}

@test "keeps no descriptor of a client that has gone" {
    local before
    serves 2
    expect_workers 2 --hint "$workers_hint"
    before=$(all_descriptors)
    crowd -c 2 -k 10
    expect_served --hint "$serve_hint"
    bounded "$rude" -s "$RANDOM" -c 20 -n 3000 connect reset "$PORT" \
        >/dev/null 2>&1 || true
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    try_alone 2 "$rude -c 20 -n 3000 connect reset $HAND_PORT; $see_processes"
    expect_true "the clients have gone, and it has descriptors of theirs" \
        --hint "Call close for each client when you have finished with it, also \
if recv or send has failed. A descriptor that accept4 returned in the parent is \
copied into each worker." \
        -- soon hold_descriptors "$before"
}

# kill_workers PID...: ends them, and waits until they are zombies.
kill_workers() {
    kill -KILL "$@"
    until_true are_over "$@"
}

@test "replaces each worker that has died" {
    local hint="waitpid says which worker has ended. Start another one in its \
place."
    serves 9
    expect_workers 9 --hint "$workers_hint"
    try_alone 9 "read -r a b </proc/\$p/task/\$p/children; kill -KILL \$a; \
sleep 1; $see_processes"
    kill_workers "${workers[1]}"
    expect_workers 9 --hint "$hint"
    try_alone 9 "kill -STOP \$p; kill -KILL \$(cat /proc/\$p/task/*/children); \
kill -CONT \$p; sleep 1; $see_processes"
    frozen kill_workers "${workers[@]:0:8}"
    expect_workers 9 --hint "Eight workers died before the parent could look, \
and one SIGCHLD stands for all of them. Call waitpid with WNOHANG in a loop, until \
it returns 0 or -1. And do not sleep in this loop, once for each of them: keep for \
each place when the next worker may be started there."
    crowd -c 4
    expect_served --hint "A new worker does the same as those at the beginning."
}

@test "says how a worker ended" {
    local number
    # What ends a worker: no sanitizer catches one of these two.
    local -a numbers=(9 27)
    serves 2
    expect_workers 2 --hint "$workers_hint"
    number=${numbers[RANDOM % 2]}
    try_alone 2 "kill -$number \$(cat /proc/\$p/task/*/children); sleep 1"
    kill "-$number" "${workers[0]}"
    expect_true "worker ${workers[0]} was ended by signal $number, and standard \
error has no line with these two numbers" --hint "waitpid stores how a child \
ended in its second argument. WIFSIGNALED says whether it was a signal, and \
WTERMSIG which one. Print it with the number of the process on standard error." \
        -- soon reported "${workers[0]}" "$number"
}

# reported PID SIGNAL: a line on standard error has both numbers, as words.
reported() {
    grep -w -- "$1" "$BATS_TEST_TMPDIR/server.err" | grep -qw -- "$2"
}

# start_of PID: sets started to when it was started, in hundredths of a second.
start_of() {
    local -a fields
    read -ra fields <"/proc/$1/stat"
    started=${fields[21]}
}

@test "waits before it replaces a worker that died at once" {
    local before started which ran wanted begin
    serves 2
    expect_workers 2 --hint "$workers_hint"
    start_of "${workers[-1]}"
    try_alone 1 "for i in \$(seq 300); do \
kill -KILL \$(cat /proc/\$p/task/*/children); sleep 0.001; done"
    times_of "$server_pid"
    begin=$ran
    for which in "" "second "; do
        before=$started
        kill_workers "${workers[-1]}" # the one that was started last
        expect_workers 2 --hint "waitpid says which worker has ended. Start \
another one in its place."
        start_of "${workers[-1]}"
        # The kernel rounds both times down, so 0.3 seconds are 29 at least.
        expect_true "a ${which}worker was replaced \
$(((started - before) * 10)) milliseconds after its start" --hint "Keep when a \
worker was started, also one that has replaced another. Start the one that \
replaces it at the earliest 0.3 seconds after that." \
            -- [ "$((started - before))" -ge 29 ]
    done
    times_of "$server_pid"
    try_alone 2 "read -r a b </proc/\$p/task/\$p/children; kill -KILL \$a; \
sleep 2; cut -d ' ' -f 14,15 /proc/\$p/stat"
    ((ran - begin < 30000000)) || fail "in 0.6 seconds, the parent used a \
processor for $(((ran - begin) / 1000000)) milliseconds" --hint "The parent \
sleeps until a worker ends, or until the time of an empty place has come. Only \
empty places count for that: the time of a place with a worker has passed long \
ago, so ppoll would return at once, again and again."
}

# one_left: all workers but one have ended.
one_left() {
    look_at_workers
    ((${#workers[@]} == 1))
}

one_left_or_ended() {
    one_left || has_ended server
}

# ends_politely BY-HAND COMMAND...: COMMAND tells a server to end that has a
# client and two workers without one. BY-HAND does it in a terminal.
ends_politely() {
    local finish_hint="$term_hint And the parent has to wait: $parent_hint"
    [[ $2 != tell_all ]] || finish_hint="With Ctrl-C, the workers get SIGINT as \
well, and by default it ends them at once: let them take it like SIGTERM. \
$finish_hint"
    serves 3
    expect_workers 3 --hint "$workers_hint"
    try_alone 3 "$rude -k 0 connect stall $HAND_PORT & sleep 1; $1; sleep 1; \
$see_processes; $rude -k 0 connect stall $HAND_PORT & sleep 1; kill %2; sleep 1; \
kill -0 \$p"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    says_back 7 --hint "$serve_hint"
    "${@:2}"
    soon one_left_or_ended || true
    if has_ended server; then
        about= # the signal that ended it was ours, so this is no crash
        fail "a client is still there, and your program has ended" \
            --hint "$finish_hint"
    fi
    ((${#workers[@]} == 1)) || fail "it was told to end. Of three workers one has a client, \
and ${#workers[@]} go on" --hint "$idle_hint"
    says_back 7 --hint "$finish_hint"
    says_back 7 --hint "$finish_hint"
    expect_true "a client is still there, and your program has ended" \
        --hint "$finish_hint" -- is_running server
    # Now the last worker has been told too. Another client comes, which is
    # refused, or waits in the queue.
    soon is_asleep "$server_pid" || true
    { exec 8<>"/dev/tcp/127.0.0.1/$PORT"; } 2>/dev/null || true
    exec 7>&-
    expect_clean_end --hint "$parent_hint When a worker has been told to end and \
its client has left, it ends: it does not accept the next client from the queue. \
(While a client is in the queue, ppoll lets no signal in: unblock the signals for a \
moment after each client.)"
    exec 8>&-
}

tell() {
    kill "$server_pid"
}

# tell_all: as a terminal does it for Ctrl-C.
tell_all() {
    kill -INT "$server_pid" "${workers[@]}"
}

# idle_worker: prints the one of two workers that has no client, and so fewer
# descriptors.
idle_worker() {
    local -a first=("/proc/${workers[0]}/fd"/*) second=("/proc/${workers[1]}/fd"/*)
    if ((${#first[@]} <= ${#second[@]})); then
        echo "${workers[0]}"
    else
        echo "${workers[1]}"
    fi
}

# bats test_tags=waits
@test "lets each worker finish its client when it is told to end" {
    local killed
    ends_politely "kill \$p" tell
    next_run
    serves 2
    expect_workers 2 --hint "$workers_hint"
    try_alone 2 "kill -KILL \$(cat /proc/\$p/task/*/children); sleep 0.1; \
kill -KILL \$(cat /proc/\$p/task/*/children); kill \$p; sleep 1; kill -0 \$p"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    says_back 7 --hint "$serve_hint"
    kill_workers "$(idle_worker)"
    expect_workers 2 --hint "waitpid says which worker has ended. Start another \
one in its place."
    # It was started just now, so unless this machine is slow it is not replaced
    # before the end.
    killed=$(idle_worker)
    kill_workers "$killed"
    soon reported "$killed" 9 || true
    tell
    # The other worker has a client until the place could be filled.
    pause_for 400
    look_at_workers
    ((${#workers[@]} < 2)) || fail "it was told to end when a worker had just \
died, and it has started another one in its place" --hint "When your program has \
been told to end, it starts no worker any more, also not in a place that has been \
empty since before."
    exec 7>&-
    expect_clean_end --hint "A worker had died just before, and its place was \
empty when your program was told to end. It waits for the workers that there \
are, so it ends when waitpid says that there is no child any more (ECHILD), or \
when all places are empty. It does not count the ends of WORKERS workers."
    next_run
    serves_below_shell 2
    expect_workers 2 --hint "$workers_hint"
    # A worker has died, and its place is still empty.
    kill_workers "${workers[0]}"
    soon reported "${workers[0]}" 9 || true
    tell
    HAND=("bash -c '$PROGRAM 2 $HAND_PORT & sleep 0.1; read -r a b \
</proc/\$!/task/\$!/children; kill -KILL \$a; sleep 0.1; kill \$!; wait \$!; \
echo status \$?'")
    soon says_or_ended server 'status *' || true
    about= # a signal that ended the shell came from it, so this is no crash
    says server 'status *' || fail "it was told to end when a worker had just \
died, and it has ended the shell from which it was started" --hint "Where the \
process number of a worker has been 0 since it died, kill would send the signal \
to all processes of your group: leave out empty places."
    says server 'status 0' || fail "it was told to end when a worker had just \
died, and its exit status was not 0" --hint "$parent_hint Leave out a worker \
that has ended already."
    ends_after_a_race
}

# ends_after_a_race: several workers wake up for one client, and one gets it. The
# others must not wait in accept4, where they are not told that it is time to end.
# Here accept4 begins late, so all three have woken up before one calls it.
ends_after_a_race() {
    local slow
    [[ $BUILD != *asan* ]] || return 0
    next_run
    need_faults
    faulty+=(FAULT_CALL="accept,accept4" FAULT_TIMES=100 FAULT_SLOW=30)
    slow=${faulty[*]}
    serves 3
    faulty=()
    expect_workers 3 --hint "$workers_hint"
    try_alone 3 "$many -c 1 $HAND_PORT; sleep 1; kill \$p; sleep 1; kill -0 \$p; \
pkill -KILL -P \$p"
    HAND[0]="$slow ${HAND[0]}"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    says_back 7 --hint "$serve_hint"
    exec 7>&-
    tell
    expect_clean_end --hint "When a client comes, all workers wake up that wait for \
one, and only one of them gets it. For the others accept4 must fail with EAGAIN, and \
not wait for the next client: make the listener non-blocking, with fcntl, F_SETFL and \
O_NONBLOCK."
}

@test "does the same on SIGINT" {
    ends_politely "kill -INT \$p" tell_all
}

@test "leaves no worker when it is killed" {
    serves_below_shell 3
    expect_workers 3 --hint "$workers_hint"
    try_alone 3 "cp /proc/\$p/task/\$p/children $BUILD/children; kill -KILL \$p; \
sleep 1; kill -0 \$(cat $BUILD/children)"
    kill -KILL "$server_pid"
    expect_true "your program was killed, and its workers go on" --hint "Let \
each worker ask for a SIGTERM when its parent ends: prctl with PR_SET_PDEATHSIG. \
Or give it the end of a pipe whose other end only the parent has." \
        -- soon are_over "${workers[@]}"
}

# serves_below_shell WORKERS: the answer as the child of a shell that stays when
# the answer ends. (Otherwise our guard would end the workers.) Sets server_pid.
serves_below_shell() {
    local child=''
    by_hand "$PROGRAM" "$1" "$HAND_PORT"
    about=server
    # What the shell says of a signal is not the answer's.
    start server bash -c '"$@" & exec 2>/dev/null; wait "$!"; echo "status $?"; sleep 9' \
        "$lesson" "$PROGRAM" "$1" 0
    soon says_or_ended server 'listening on *' || true
    says server 'listening on *' ||
        fail "it does not say what it listens on" --hint "$begin_hint"
    until_true has_child "$(pid_of server)"
    server_pid=$child
}

@test "refuses an invalid number of workers or an invalid port, with status 1" {
    local arguments
    for arguments in "0 0" "65 0" "x 0" "2x 0" "2 65536" "2 80x"; do
        # shellcheck disable=SC2086 # two words
        answer $arguments
        expect_end --hint "$number_hint"
        expect_status 1 --hint "$number_hint"
        expect_stderr "?*" --hint "Say on standard error what is wrong."
    done
}

number_hint="number_parse knows what is a number within limits. It returns -1 \
if the text is not one: check that, print what is wrong, and end with status 1."

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 2
    expect_usage
    answer 2 0 0
    expect_usage
}
