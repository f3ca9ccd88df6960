#!/usr/bin/env bats
# The exercise of 28-io-uring-server: echo by io_uring with an idle limit for
# each client, `28-io-uring-server -i SECONDS PORT`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

many=$BUILD/peers/many
rude=$BUILD/peers/rude

setup() {
    skip_after_failure
    need_ring
}

# serves SECONDS: the answer, with that limit.
serves() {
    local hint="open_listener and announce print the line. After it comes a \
loop around io_uring_enter that never ends."
    [[ $1 != *.* ]] || hint="SECONDS may have a fraction, such as $1: \
deadline_parse reads it."
    answer_serves -i "$1" 0 --hint "$hint"
    server_pid=$(pid_of server)
}

# crowd OPTION...: clients of build/peers/many, to their end. Sets status and
# errors; what they said is in $OUT.
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

# expect_right --hint TEXT: the crowd heard nothing but what it said. If clients
# wait in vain, it is for the next expectation to say so.
expect_right() {
    ! grep -q "not what was said" "$BATS_TEST_TMPDIR/crowd" ||
        fail "clients got back other bytes than they said" "$@"
}

begin_hint="Ask for clients by IORING_OP_ACCEPT with \
IORING_ACCEPT_MULTISHOT, for each client's input by IORING_OP_RECV with \
IORING_RECV_MULTISHOT, and send by IORING_OP_SEND, as in accept.c and client.c."
buffer_hint="Each completion of recv has a buffer of yours. When you have \
copied or sent what is in it, give it back: write it into the buffer ring, and \
then move the ring's tail."
again_hint="A completion without IORING_CQE_F_MORE is the last of its request. \
If you still want input, ask again. This is so after ENOBUFS, and after you \
have cancelled the request."
short_hint="send may take a part of what you give it: its completion says how \
many bytes. Ask again for the rest, and only then for what came later."
order_hint="Let the kernel have at most one send of a client at a time. Two \
that wait for room may overtake each other. What comes in the meantime has to \
wait in memory of its own: the kernel still reads the memory of a send that has \
no completion yet."
timeout_hint="Ask for a timer by IORING_OP_TIMEOUT. Its timespec must still be \
there when io_uring_enter reads it. (If it has the point in time of a deadline, set \
IORING_TIMEOUT_ABS in timeout_flags.) When the timer is over, cancel the requests \
of the clients whose time is up, and close each of them after the last of its \
completions. Then ask for the next timer."
renew_hint="A client's time begins anew with each byte that it sends. A timer \
may end before the first client's time is up, because that client has spoken: \
then close nobody, and ask for another timer."
early_hint="Round milliseconds up. A timer may end before the first client's \
time is up: look at the clock before you close a client."
day_hint="SECONDS may be up to a day. Counted in microseconds or nanoseconds, \
such a time does not fit into 32 bits: use int64_t, and make it one before you \
multiply."
number_hint="deadline_parse knows what is a number of seconds, and \
number_parse what is a number, such as a port. Both return -1 if it is none: \
check that."
list_hint="Look for clients whose time is up after each batch of completions. \
Keep a list in which a client that has just spoken goes to the end: then the \
first one has waited longest."
close_hint="Call close for each client that has gone, after its last \
completion: also when recv or send has failed."

@test "listens, and says where" {
    serves 9
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "Call listen before you print the line."
    exec 7>&-
}

@test "sends back what fifty clients send at once" {
    serves 9
    crowd -c 50 -n "$((1 + RANDOM % 60))"
    expect_right --hint "A completion of recv says in its flags which buffer \
has the bytes: flags >> IORING_CQE_BUFFER_SHIFT. This must be the number under \
which you gave that buffer to the kernel."
    expect_served --hint "$begin_hint"
}

@test "sends back more messages than it has buffers" {
    serves 9
    crowd -c 2 -n "$((1 + RANDOM % 60))" -r 3000
    expect_served --hint "$buffer_hint"
}

@test "sends back large amounts" {
    serves 9
    crowd -c 20 -n 300000
    expect_right --hint "$order_hint"
    expect_served --hint "$again_hint"
}

# serves_tightly SECONDS: the answer; the kernel has room for a few kilobytes of
# what it sends to a client. glibc gives memory back to the kernel when it is freed.
serves_tightly() {
    need_faults
    export MALLOC_MMAP_THRESHOLD_=4096
    faulty+=(FAULT_SEND_BUFFER=1)
    serves "$1"
    faulty=()
}

@test "sends back everything in its order when a client reads late" {
    serves_tightly 9
    crowd -c 3 -n 400000 -b 4096
    expect_right --hint "$order_hint $short_hint"
    expect_served --hint "$short_hint"
}

@test "sends back all that came before a client ended its half" {
    serves 9
    by_hand "$rude" -n 60000 -o /dev/null connect whole "$PORT"
    frozen came
    soon says client 'got *' ||
        fail "the client has ended its half, and waits for ever" --hint "When \
recv completes with 0 and everything is sent, close the client: it waits for \
your end."
    expect_true "not all of 60000 bytes came back" --hint "A completion of 0 \
says that the client will send nothing more, not that everything has been sent \
back. Close the client when its last send is complete." \
        -- says client 'got 60000 bytes, then end of stream'
}

came() {
    start client "$rude" -s "$RANDOM" -n 60000 connect whole "$PORT"
    until_true in_state 08
}

# no_sockets_left: all clients have gone.
no_sockets_left() {
    expect_true "all clients have gone, and it still has sockets of theirs" \
        --hint "$close_hint" -- soon holds_sockets "$server_pid" 1
}

@test "goes on when a client resets its connection, and keeps nothing of clients that have gone" {
    local grown
    serves 9
    # A client that resets without a byte: recv is the call that fails.
    by_hand "$rude" -c 5 -n 0 connect reset "$PORT"
    bounded "$rude" -c 5 -n 0 connect reset "$PORT" >/dev/null 2>&1 || true
    by_hand "$rude" -c 20 -n 3000 connect reset "$PORT"
    bounded "$rude" -s "$RANDOM" -c 20 -n 3000 connect reset "$PORT" \
        >/dev/null 2>&1 || true
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    by_hand "$many" -c 300 -n 10 -r 5 "$PORT"
    HAND+=("ls /proc/\$(pgrep -f ^$PROGRAM)/fd; grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
    find_growth come_and_go
    ((grown < 16)) ||
        fail "300 clients have come and gone, and it has $grown KiB of memory \
more than before them" --hint "Free what you have allocated for a client when \
you close it."
    next_run
    serves_tightly 9
    HAND+=("grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
    use_all_buffers
    find_growth come_and_leave
    ((grown < 16)) ||
        fail "clients have left while bytes for them were unsent, and it has \
$grown KiB of memory more than before them" --hint "Free the bytes that have not \
been sent too, when you close their client."
}

# come_and_go: clients that are served.
come_and_go() {
    try "$many" -s "$((RANDOM + 1))" -c 300 -n 10 -r 5 "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    expect_true "it has ended" --hint "A client that resets its connection \
makes recv or send fail, for example with ECONNRESET. Close this client, and go \
on." -- is_running server
    expect_served --hint "A client that resets its connection makes recv or \
send fail. Close this client, and go on with the others."
}

# use_all_buffers: a crowd makes it use all of its buffers, so that this memory
# does not grow later.
use_all_buffers() {
    "$many" -s "$((RANDOM + 1))" -c 20 -n 150000 "$PORT" >/dev/null 2>&1 || true
    no_sockets_left
}

# find_growth COMMAND: sets grown to how many KiB of memory more it has with each
# of the clients that COMMAND brings. libc may keep the memory of so many for the
# next ones, so only memory that grows each time is lost. A sanitizer keeps what is
# freed.
find_growth() {
    local before i
    for i in 1 2 3 4 5 6; do
        before=$(memory "$server_pid")
        "$@"
        no_sockets_left
        grown=$(($(memory "$server_pid") - before))
        [[ ! -e $BATS_TEST_TMPDIR/deaf.pid ]] || ! is_running deaf || stop deaf
        [[ $BUILD != *asan* ]] || grown=0
        ((grown >= 16 || i == 1)) || break
    done
}

# come_and_wait: a client sends and reads nothing, until the server has closed it.
come_and_wait() {
    start_deaf 1
}

# come_and_leave: the same, but they leave.
come_and_leave() {
    come_and_wait
    stop deaf
}

# start_deaf COUNT: so many clients that send, and do not read. When no client can
# send any more, or they have ended, we go on.
start_deaf() {
    local -a deaf=("$many" -g -c "$1" -n 16000000 -b 4096 "$PORT")
    local key=$BATS_TEST_TMPDIR/key
    [[ -p $key ]] || mkfifo "$key"
    # shellcheck disable=SC2016 # for the other bash to expand
    start deaf bash -c 'exec "$@" <>"$0"' "$key" "${deaf[@]}"
    by_hand "sleep 9 | ${deaf[*]}"
    soon says_or_ended deaf "nothing more fits" || true
}

@test "serves the others while twenty clients do not read" {
    serves_tightly 9
    start_deaf 20
    crowd -c 10 -n 1000 -r 10
    expect_served --hint "These twenty must not keep all buffers: copy what is \
left to send, and give the buffers back. And let io_uring_enter wait for any \
completion, and not for that of one send."
}

@test "uses no processor while a client does not read" {
    serves 9
    start_deaf 1
    HAND[0]="time -p ${HAND[0]}"
    expect_true "this client can take no more, and keeps a processor busy" \
        --hint "Let io_uring_enter wait for at least one completion, with \
IORING_ENTER_GETEVENTS. If it does, look for a request that completes at once, \
and that you ask for again each time: a send with MSG_DONTWAIT, or a recv while \
no buffer is free." -- soon is_quiet "$server_pid"
}

@test "uses little memory for a client that does not read" {
    local before after
    serves_tightly 9
    crowd -c 20 -n 300000 # now it has used all of its buffers
    expect_served --hint "$again_hint"
    HAND=("${HAND[0]}")
    before=$(memory "$server_pid")
    start_deaf 1
    HAND+=("grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
    soon is_quiet "$server_pid" || true
    after=$(memory "$server_pid")
    expect_true "it took $((after - before)) KiB of memory for one client" \
        --hint "A client that sends and never reads would fill your memory. \
When much of it is unsent, cancel its recv by IORING_OP_ASYNC_CANCEL, and ask \
anew when it has taken what you have for it." \
        -- [ "$((after - before))" -lt 6000 ]
}

@test "uses no processor when all has been sent back" {
    serves 9
    start crowd "$many" -c 1 -n 3000000 -b 4096 -w "$PORT"
    by_hand "$many" -c 1 -n 3000000 -b 4096 -w "$PORT"
    HAND[0]="time -p ${HAND[0]}"
    soon says crowd 'all is well' ||
        fail "clients wait for their bytes, and none come" --hint "$again_hint"
    expect_true "its clients say nothing, and it keeps a processor busy" \
        --hint "io_uring_enter should wait for at least one completion, with \
IORING_ENTER_GETEVENTS, and you should take all of them out of the queue." \
        -- soon is_quiet "$server_pid"
}

@test "accepts clients again after accept has failed" {
    local i fd
    local -a idle=()
    # shellcheck disable=SC2016 # for the other bash to expand
    faulty=(bash -c 'ulimit -n 40 && exec "$@"' -)
    serves 9
    faulty=()
    HAND=("(ulimit -n 40; $PROGRAM -i 9 $HAND_PORT)" "timeout 1 $many -i 60 -w \
$HAND_PORT")
    for ((i = 0; i < 60; i++)); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$PORT" || break
        idle+=("$fd")
    done
    soon has_none_left || true
    for fd in "${idle[@]}"; do
        exec {fd}>&-
    done
    crowd -c 3 -n 10
    expect_true "it has ended" --hint "When accept fails with EMFILE, go on." \
        -- is_running server
    expect_served --hint "A completion without IORING_CQE_F_MORE is the last of \
its request, so nobody accepts any more: ask for clients again. Pause before \
that if accept has failed because something had run out."
}

has_none_left() {
    local -a all=("/proc/$server_pid/fd"/*)
    ((${#all[@]} >= 38))
}

@test "leaves its clients to the ring" {
    "$BUILD/tests/forbid" accept true 2>/dev/null ||
        skip "this system forbids no calls"
    faulty=("$BUILD/tests/forbid"
        "accept,accept4,recvfrom,recvmsg,sendto,sendmsg")
    [[ $(uname -m) == x86_64 ]] || faulty[1]="accept4,recvfrom,recvmsg,sendto,sendmsg"
    serves 9
    faulty=()
    crowd -c 10 -n 1000 -r 2
    expect_served --hint "Here accept, recv and send fail when your program \
calls them itself. Make a request for each of them: IORING_OP_ACCEPT, \
IORING_OP_RECV, IORING_OP_SEND."
}

@test "makes at most half as many system calls as there are messages" {
    local count i
    need_faults
    # It is busy for a millisecond after each call, so that messages gather.
    faulty+=(FAULT_COUNT="$BATS_TEST_TMPDIR/count" FAULT_LATE=1)
    serves 9
    faulty=()
    HAND=("strace -fc $PROGRAM -i 9 $HAND_PORT")
    for i in 1 2 3 4 5; do # a slow machine has smaller batches
        : >"$BATS_TEST_TMPDIR/count"
        HAND=("${HAND[0]}")
        crowd -c 50 -n 10 -r 5
        expect_served --hint "$begin_hint"
        count=$(wc -c <"$BATS_TEST_TMPDIR/count")
        ((count > 125)) || return 0
    done
    fail "for 250 messages it called io_uring_enter $count times" --hint "Take \
all completions that are in the queue, and make a request for each. Only then \
call io_uring_enter: one call gives all requests to the kernel, and waits for \
the next completion."
}

# lives OPTION...: a crowd with a limit of 0.08 seconds, of whom one is silent.
# Sets spoke and silent to the milliseconds after which a client was closed that
# spoke, or that did not; they are empty if none was.
lives() {
    crowd -i 1 -w "$@"
    spoke=$(sed -n 's/^spoke \([0-9]*\) to.*/\1/p
        s/^closed after \([0-9]*\).*/\1/p' "$OUT")
    silent=$(sed -n 's/^silent \([0-9]*\) to.*/\1/p' "$OUT")
}

# expect_closed HINT OPTION...: the silent one of that crowd is closed in time.
# What was late on a busy machine is tried again.
expect_closed() {
    local i spoke silent
    for i in 1 2 3 4 5; do
        HAND=("${HAND[0]}")
        lives "${@:2}"
        ((status != 124)) || fail "it closes nobody" --hint "$timeout_hint"
        ((${silent:-999} > 130)) || return 0
    done
    fail "the silent one was closed after $silent milliseconds, not 80" \
        --hint "$1"
}

last_hint="Close a descriptor only when all requests for it have had their last \
completion, and only once."

# bats test_tags=waits
@test "closes a client that is silent for SECONDS" {
    serves 0.08
    expect_closed "$timeout_hint"
    no_sockets_left
    next_run
    local grown
    serves_tightly 0.1
    HAND+=("grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
    use_all_buffers
    find_growth come_and_wait
    ! says server '*Bad file descriptor*' err ||
        fail "it has used a descriptor that it had closed" --hint "$last_hint"
    ((grown < 16)) ||
        fail "clients were closed while bytes for them were unsent, and it has \
$grown KiB of memory more than before them" --hint "Free the bytes that have not \
been sent, also when you close a client because its time is up."
    next_run
    serves_tightly 0.2
    expect_half_closed
    next_run
    expire_together
}

# expect_half_closed: a client that has ended its half, and does not read, is silent
# too. Most of what it has sent is still unsent, so its end is not the reason why it
# is closed.
expect_half_closed() {
    by_hand "$rude" -e -n 30000 connect deaf "$PORT"
    start deaf "$rude" -e -n 30000 connect deaf "$PORT"
    wait_for deaf 'connected from *' || environment "$rude does not run"
    soon holds_sockets "$server_pid" 2 || true # until it is accepted
    expect_true "a client has ended its half and does not read, and it is not \
closed" --hint "A client that has ended its half is silent too: it stays in the \
list until you close it." -- soon holds_sockets "$server_pid" 1
    ! is_running deaf || stop deaf # a server that has not read all resets it
}

# has_accepted COUNT: the server has descriptors for so many clients, or has ended.
has_accepted() {
    local -a all=("/proc/$server_pid/fd"/*)
    ((${#all[@]} > $1)) || ! is_running server
}

# expire_together: the time of more clients is up at the same moment than the
# submission queue has places for. The server is stopped until they have connected,
# so it accepts all of them at once; and then until the time of all is up.
expire_together() {
    local count=1500
    (($(ulimit -Hn) >= 3000 && $(</proc/sys/net/core/somaxconn) > count)) ||
        return 0
    [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never"
    serves 0.2
    kill -s STOP "$server_pid"
    by_hand "$many -i $count -w $HAND_PORT"
    start crowd "$many" -i "$count" -w "$PORT"
    soon says_or_ended crowd "all is well" || true
    kill -s CONT "$server_pid"
    soon has_accepted "$count" || true
    kill -s STOP "$server_pid"
    read -rt 0.2 <>"$BATS_RUN_TMPDIR/never" || true
    kill -s CONT "$server_pid"
    soon has_ended crowd || true
    is_running crowd || { no_sockets_left && return; }
    fail "the time of $count clients was up at once, and it has not closed all" \
        --hint "Before each request, look whether the submission queue still has \
a place. If not, close the other clients after the next io_uring_enter."
}

@test "gives a client its time anew when it sends something" {
    local spoke silent
    serves 0.08
    lives -c 1 -n 1 -r 50 -d 2
    [[ $spoke ]] || expect_served --hint "$renew_hint"
    expect_true "a client was closed after $spoke milliseconds, not 80" \
        --hint "$renew_hint" -- [ "$spoke" -ge 79 ]
    expect_true "a client was closed after ${silent:-0} milliseconds, not 80" \
        --hint "$early_hint" -- [ "${silent:-80}" -ge 79 ]
    # Of these microseconds, 32 bits hold only the last 33 milliseconds.
    next_run
    serves 4295
    crowd -c 1 -n 1 -r 2 -d 50
    ((status == 0)) || fail "a client was closed although it may be silent for \
4295 seconds" --hint "$day_hint"
}

@test "closes a silent client also while others send" {
    serves 0.08
    expect_closed "$list_hint" -c 1 -n 1 -r 50 -d 2
}

# What it is told of has been so for 80 milliseconds. In this time a client comes
# whose descriptor may be that of one whose time is up: that client is accepted
# after 80 milliseconds, its time is up after 180, and then it is cancelled. The
# server is told of that after 260, and of the last completion after 340. So a second
# client comes between these two.
# bats test_tags=waits
@test "does not take a new client for one that it has closed" {
    local fd heard count served=0 failed=0
    serves 0.03
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    read -rt "$SECONDS_ALLOWED" -u 7 || true # until it is closed
    exec 7>&-
    by_hand "bash -c 'cat </dev/tcp/127.0.0.1/$HAND_PORT'"
    pause_for 20
    ! says server '*Bad file descriptor*' err ||
        fail "it has used a descriptor that it had closed" --hint "$last_hint"
    while ((served < 2 && failed < 2)); do # a busy machine may be late
        next_run
        need_faults
        faulty+=(FAULT_LATE=80)
        serves 0.1
        faulty=()
        exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
            fail "nobody answers" --hint "$begin_hint"
        pause_for 220
        exec 8<>"/dev/tcp/127.0.0.1/$PORT" ||
            fail "nobody answers" --hint "$begin_hint"
        echo hello >&8
        pause_for 80
        exec 9<>"/dev/tcp/127.0.0.1/$PORT" ||
            fail "nobody answers" --hint "$begin_hint"
        echo hello >&9
        count=0
        for fd in 8 9; do
            ! read -rt 1 heard <&"$fd" 2>/dev/null || [[ $heard != hello ]] ||
                count=$((count + 1))
        done
        if ((count == 2)); then
            served=$((served + 1))
        else
            failed=$((failed + 1))
        fi
        exec 7>&- 8>&- 9>&-
        expect_true "it has ended" --hint "$close_hint" -- is_running server
    done
    by_hand "bash -c 'exec 7<>/dev/tcp/127.0.0.1/$HAND_PORT; sleep 0.22; \
exec 8<>/dev/tcp/127.0.0.1/$HAND_PORT; echo hello >&8; cat <&8'"
    ((failed < 2)) || fail "a new client was not served, just after another was \
closed" --hint "A completion for the old client came when its descriptor was \
already the new client's. $last_hint"
}

# bats test_tags=waits
@test "sleeps while nothing happens" {
    local before woken
    serves 30
    by_hand "bash -c 'sleep 9 </dev/tcp/127.0.0.1/$HAND_PORT' &"
    by_hand "sleep 3; grep ^voluntary /proc/\$(pgrep -f ^$PROGRAM)/status"
    expect_sleep "without a client"
    crowd -c 1 -n 1
    expect_served --hint "$begin_hint"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    expect_sleep "while its client is silent"
    exec 7>&-
    next_run
    serves 0.2
    crowd -c 1 -n 1 -r 60 -d 2
    HAND+=("sleep 1; grep ^voluntary /proc/\$(pgrep -f ^$PROGRAM)/status")
    before=$(switches "$server_pid")
    pause_for 250 # until the time of all is up
    woken=$(($(switches "$server_pid") - before))
    ((woken <= 10)) || fail "a client sent 60 messages and left, and 0.2 seconds \
later it woke $woken times" --hint "For each message you ask for a timer, and \
each of them ends. Ask for a timer only if there is none yet: one that ends before \
the first client's time is up does no harm, for then you ask for the next."
}

# expect_sleep WHEN: it wakes at most once within a tenth of a second.
expect_sleep() {
    local try before begin
    times_of "$server_pid"
    begin=$ran
    for try in 1 2 3; do
        soon is_quiet "$server_pid" || true
        times_of "$server_pid"
        ((ran - begin < 300000000)) ||
            fail "it keeps a processor busy $1" --hint "Let \
io_uring_enter wait for a completion. And look at the result of the timer: \
-ETIME is right. -EINVAL says that its time makes no sense, for example because \
it is negative. $day_hint"
        before=$(switches "$server_pid")
        pause_for 100
        (($(switches "$server_pid") > before + 1)) || return 0
    done
    fail "it wakes $1, and nothing has happened" --hint "Do not let a timer \
tick: ask for one that ends when the first client's time is up, and for none \
while there is no client."
}

@test "does not work more for a message when 2500 clients are silent" {
    local i cost alone
    (($(ulimit -Hn) >= 3000)) || skip "this system allows no 3000 descriptors"
    serves 60
    # Alone, and at once after that in a crowd: the machine is not always equally
    # fast.
    for i in 1 2 3 4 5; do
        find_cost 0
        alone=$cost
        find_cost 2500
        ((cost > alone * 2)) || return 0
    done
    HAND=("time -p ${HAND[0]}" "$many -i 2500 -c 1 -n 1 -r 20000 $HAND_PORT")
    fail "a request takes $alone ns, and $cost when 2500 others are silent" \
        --hint "On each turn you look at each client, to see whose time is up. \
Keep a list in the order in which they spoke: then you only need to look at the \
first."
}

# find_cost IDLE: sets cost to the nanoseconds that a request costs the server
# beside so many silent clients.
find_cost() {
    HAND=("${HAND[0]}")
    crowd -i "$1" -c 1 -n 1 -r 600 -p "$server_pid"
    expect_served --hint "$begin_hint"
    read -r cost <"$OUT"
}

@test "says so if there is no io_uring, with status 1" {
    "$BUILD/tests/forbid" io_uring_setup true 2>/dev/null ||
        skip "this system forbids no calls"
    by_hand "$BUILD/tests/forbid" io_uring_setup "$PROGRAM" -i 1 "$HAND_PORT"
    run_answer "$BUILD/tests/forbid" io_uring_setup "$PROGRAM" -i 1 0
    expect_end --hint "io_uring_setup returns -1 if it is forbidden: check that."
    expect_status 1 --hint "io_uring_setup returns -1 if it is forbidden. Say so \
with err, which ends the program with status 1."
    expect_stderr "*io_uring*" --hint "Say on standard error which call has \
failed: io_uring_setup."
}

@test "refuses an invalid number of seconds or an invalid port, with status 1" {
    local arguments
    for arguments in "0 0" "x 0" "86401 0" "1 65536" "1 80x"; do
        # shellcheck disable=SC2086 # two words
        answer -i $arguments
        expect_end --hint "$number_hint"
        expect_status 1 --hint "$number_hint"
        expect_stderr "?*" --hint "Say on standard error what is wrong."
    done
}

@test "refuses other arguments, with status 2" {
    local arguments
    for arguments in "0" "-i 1" "-x 1 0" "-i 1 0 0"; do
        # shellcheck disable=SC2086 # several words
        answer $arguments
        expect_end --hint "$usage_hint"
        expect_status 2 --hint "$usage_hint"
        expect_stderr "*usage:*" --hint "$usage_hint"
    done
}
