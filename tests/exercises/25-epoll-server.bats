#!/usr/bin/env bats
# The exercise of 25-epoll-server: echo with an idle limit for each client,
# `25-epoll-server -i SECONDS PORT`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

many=$BUILD/peers/many
rude=$BUILD/peers/rude

# What to try by hand: how often the server has slept, after three seconds.
wakes="sleep 3; grep ^voluntary /proc/\$(pgrep -f ^$PROGRAM)/status"

# serves SECONDS: the answer, with that limit.
serves() {
    local hint="listen_on prints the line. After it comes a loop around \
epoll_wait that never ends."
    [[ $1 != *.* ]] || hint="SECONDS may have a fraction, such as $1: \
deadline_parse reads it."
    answer_serves -i "$1" 0 --hint "$hint"
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

begin_hint="Call accept4 until it fails with EAGAIN, add each client with \
epoll_ctl and EPOLL_CTL_ADD, then epoll_wait, recv and send, as in \
epoll-server.c."
edge_hint="With EPOLLET epoll_wait tells you only once about new bytes, \
however many there are: call recv until EAGAIN. Without EPOLLET it tells you \
again."
block_hint="send waits for this client, and all others wait with it. Use \
SOCK_NONBLOCK with accept4; when send fails with EAGAIN, keep the rest and \
wait for EPOLLOUT."
timeout_hint="The last argument of epoll_wait is how long it may sleep: until \
the time of the first client is up. When it returns, close the clients whose \
time is up."
renew_hint="A client's time begins anew with each byte that it sends."
early_hint="Round milliseconds up; if epoll_wait returns too early, call it \
again. Count a client's time from when its bytes have come: look at the clock \
after epoll_wait, and not before it."
day_hint="SECONDS may be up to a day. Counted in microseconds or nanoseconds, \
such a time does not fit into 32 bits: use int64_t, and make it one before you \
multiply."
number_hint="deadline_parse knows what is a number of seconds, and \
number_parse what is a number, such as a port. Both return -1 if it is none: check that."
list_hint="Look for clients whose time is up after each epoll_wait, also when \
it returned events. Keep a list in which a client that has just spoken goes to \
the end: then the first one has waited longest."
event_hint="epoll_wait reported a client, and you closed and freed that client \
before you came to its event. First handle all events, then close the clients \
whose time is up."
turn_hint="On each turn you look at each client, to see whose time is up. Keep \
a list in the order in which they spoke: then you only need to look at the \
first."

@test "listens, and says where" {
    serves 9
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "Call listen before you print the line."
    exec 7>&-
}

@test "sends back what fifty clients send at once" {
    serves 9
    crowd -c 50 -n "$((1 + RANDOM % 60))" -r 3
    expect_served --hint "$begin_hint"
}

# is_edge_triggered: clients are on the list in the kernel with EPOLLET. Then
# nothing reports that there is room again after a send has failed that the kernel
# did not refuse.
is_edge_triggered() {
    local result=0
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || return
    printf x >&7
    read -rt "$SECONDS_ALLOWED" -N 1 -u 7 || true
    grep -Eqs '^tfd:.* events: *[89a-f][0-9a-f]{7} ' \
        "/proc/$(pid_of server)/fdinfo"/* || result=$?
    exec 7>&-
    return "$result"
}

@test "sends back large amounts" {
    serves 9
    crowd -c 5 -n 300000
    expect_served --hint "$edge_hint"
    # A kernel that has no room for a while.
    if ! is_edge_triggered; then
        next_run
        need_faults
        faulty+=(FAULT_CALL=send FAULT_ERRNO=11 FAULT_TIMES=3)
        serves 9
        crowd -c 5 -n 1000
        expect_served --hint "When send fails with EAGAIN, it has taken nothing: \
keep all that recv returned, and send it when epoll_wait reports EPOLLOUT."
    fi
    # A kernel that has room for a few kilobytes only, and clients that read late.
    next_run
    need_faults
    faulty+=(FAULT_SEND_BUFFER=1)
    serves 9
    crowd -c 3 -n 400000 -b 4096
    expect_served --hint "What you kept may have to wait more than once: send \
takes a part of it again. Then keep what is left, and begin there the next time."
}

@test "sends back all that came before a client ended its half" {
    serves 9
    server_pid=$(pid_of server)
    by_hand "$rude" -n 60000 -o /dev/null connect whole "$PORT"
    frozen came
    soon says client 'got *' ||
        fail "the client has ended its half, and waits for ever" --hint "When \
recv returns 0 and everything is sent, close the client: it waits for your end."
    expect_true "not all of 60000 bytes came back" --hint "EPOLLRDHUP says \
that the client will send nothing more, not that you have read everything. \
That is so when recv returns 0." \
        -- says client 'got 60000 bytes, then end of stream'
}

came() {
    start client "$rude" -s "$RANDOM" -n 60000 connect whole "$PORT"
    until_true in_state 08
}

@test "goes on when a client resets its connection, and keeps nothing of clients that have gone" {
    local before after i
    serves 9
    server_pid=$(pid_of server)
    # A client that resets without a byte: recv is the call that fails.
    by_hand "$rude" -c 5 -n 0 connect reset "$PORT"
    bounded "$rude" -c 5 -n 0 connect reset "$PORT" >/dev/null 2>&1 || true
    by_hand "$rude" -c 20 -n 3000 connect reset "$PORT"
    bounded "$rude" -s "$RANDOM" -c 20 -n 3000 connect reset "$PORT" \
        >/dev/null 2>&1 || true
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    by_hand "$many" -c 500 -n 10 "$PORT"
    HAND+=("ls /proc/\$(pgrep -f ^$PROGRAM)/fd; grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
    for i in 1 2 3 4; do
        try "$many" -s "$((RANDOM + 1))" -c 500 -n 10 "$PORT"
        : >"$BATS_TEST_TMPDIR/ending"
        expect_true "it has ended" --hint "A client that resets its connection \
makes recv or send fail, for example with ECONNRESET. Close this client, and go \
on." -- is_running server
        expect_served --hint "A client that resets its connection makes recv or \
send fail. Close this client, and go on with the others."
        expect_true "all clients have gone, and it still has sockets of theirs" \
            --hint "Call close for each client that has gone: also when recv or \
send has failed." -- soon holds_sockets "$server_pid" 1
        ((i > 1)) || before=$(memory "$server_pid")
    done
    [[ $BUILD != *asan* ]] || return 0 # a sanitizer keeps what is freed
    after=$(memory "$server_pid")
    expect_true "1500 clients have come and gone, and it has $((after - before)) \
KiB of memory more than before them" --hint "Free what you have allocated for a \
client when you close it." -- [ "$((after - before))" -lt 64 ]
    next_run
    keeps_no_unsent_bytes
}

# serves_slowly SECONDS: the answer, and the kernel takes a byte now and then,
# and no more.
serves_slowly() {
    need_faults
    faulty+=(FAULT_CALL="send,write" FAULT_NONBLOCKING=1 FAULT_TRICKLE=1)
    serves "$1"
    server_pid=$(pid_of server)
}

# keeps_no_unsent_bytes: clients reset while something for them is unsent.
keeps_no_unsent_bytes() {
    local grown
    serves_slowly 9
    show_waiting 15
    ! grows come_and_reset ||
        fail "15 clients have reset while bytes for them were unsent, and it has \
$grown KiB of memory more than before them" --hint "Free the bytes that send did \
not take too, when you close their client."
}

# show_waiting COUNT: what come_and_wait does, as a learner types it. At its end,
# the clients reset: there are bytes that they have not read.
show_waiting() {
    by_hand "bash -c 'for i in {1..$1}; do exec {fd}<>/dev/tcp/127.0.0.1/$HAND_PORT; \
printf %012000d 1 >&\$fd; done; sleep 1'"
    HAND+=("grep RssAnon /proc/\$(pgrep -f ^$PROGRAM)/status")
}

# grows COMMAND: with each crowd that COMMAND brings it has more memory. Sets
# grown to how much more, in KiB. How many clients of a crowd are there at the
# same time differs, and libc may keep the memory of so many for the next ones.
# So only memory that grows with each crowd is lost.
grows() {
    local before i
    local -a waiting=()
    for i in 1 2 3 4; do
        before=$(memory "$server_pid")
        "$1"
        soon has_accepted_all || true
        expect_true "all clients have gone, and it still has sockets of theirs" \
            --hint "Call close for each client that has gone: also when recv or \
send has failed." -- soon holds_sockets "$server_pid" 1
        grown=$(($(memory "$server_pid") - before))
        leave
        ((grown >= 64)) || return 1
    done
}

# has_accepted_all: no client is in the listener's queue, or there is no listener.
has_accepted_all() {
    local port
    printf -v port '%04X' "$PORT"
    ! grep -qE ": [0-9A-F]{8}:$port 00000000:0000 0A [0-9A-F]*:0*[1-9A-F]" /proc/net/tcp
}

# come_and_wait [COUNT]: so many clients, or 25, send, read nothing, and wait for
# their end. Sets waiting to their descriptors.
come_and_wait() {
    local client
    waiting=()
    trap '' PIPE # a client whose time is up is no end of this shell
    while ((${#waiting[@]} < ${1:-25})); do
        exec {client}<>"/dev/tcp/127.0.0.1/$PORT" || break
        waiting+=("$client")
        { printf '%012000d' "$RANDOM" >&"$client"; } 2>/dev/null || true
    done
}

leave() {
    local client
    for client in "${waiting[@]}"; do
        exec {client}>&-
    done
    waiting=()
}

# come_and_reset: the same, but they leave as soon as each has got something back.
# So the server has what they sent, and nearly all of it is unsent.
come_and_reset() {
    come_and_wait 15
    soon have_got_something || true
    leave
}

# have_got_something: for each client that waits, bytes have come.
have_got_something() {
    local port
    printf -v port '%04X' "$PORT"
    (($(grep -cE "[0-9]: [0-9A-F:]* 0100007F:$port 01 [0-9A-F]*:0*[1-9A-F]" \
        /proc/net/tcp) == ${#waiting[@]}))
}

# start_deaf: a client that sends all the time and never reads.
start_deaf() {
    start deaf "$rude" -n 20000000 connect deaf "$PORT"
    by_hand "$rude" -n 20000000 connect deaf "$PORT"
    wait_for deaf 'connected from *' || environment "$rude does not run"
}

@test "serves the others while a client does not read" {
    serves 9
    start_deaf
    crowd -c 10 -n 1000 -r 10
    expect_served --hint "$block_hint"
}

@test "uses no processor while a client does not read" {
    serves 9
    server_pid=$(pid_of server)
    start_deaf
    soon owes || true
    HAND[0]="time -p ${HAND[0]}"
    expect_true "this client can take no more, and keeps a processor busy" \
        --hint "This client always has something to send, so with EPOLLIN on \
epoll_wait returns at once, again and again. Turn it off while you still have \
bytes to send to the client." -- soon is_quiet "$server_pid"
}

@test "uses little memory for a client that does not read" {
    local before after
    serves 9
    server_pid=$(pid_of server)
    before=$(memory "$server_pid")
    start_deaf
    soon owes || true
    soon is_quiet "$server_pid" || true
    after=$(memory "$server_pid")
    expect_true "it took $((after - before)) KiB of memory for one client" \
        --hint "A client that sends and never reads would fill your memory. \
Read nothing more from it before it has taken what you have for it." \
        -- [ "$((after - before))" -lt 6000 ]
}

@test "uses no processor when all has been sent back" {
    serves 9
    server_pid=$(pid_of server)
    start crowd "$many" -c 1 -n 8000000 -b 4096 -w "$PORT"
    by_hand "$many" -c 1 -n 8000000 -b 4096 -w "$PORT"
    HAND[0]="time -p ${HAND[0]}"
    soon says crowd 'all is well' ||
        fail "clients wait for their bytes, and none come" --hint "send may \
take a part of what you give it. Keep the rest, wait for EPOLLOUT, and send it \
then."
    expect_true "its clients say nothing, and it keeps a processor busy" \
        --hint "There is nearly always room to send, so with EPOLLOUT on \
epoll_wait returns at once, again and again. Turn it off when nothing is left \
to send." \
        -- soon is_quiet "$server_pid"
}

# owes: something of the server's waits for a client that does not read, and more
# of that client's waits for the server.
owes() {
    local port waits='0*[1-9A-F][0-9A-F]*'
    printf -v port '%04X' "$PORT"
    grep -qE "[0-9]: 0100007F:$port [0-9A-F:]* 01 $waits:$waits " /proc/net/tcp
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

@test "closes a client that is silent for SECONDS" {
    serves 0.08
    expect_closed "$timeout_hint"
    [[ $BUILD != *asan* ]] || return 0 # a sanitizer keeps what is freed
    next_run
    local grown
    serves_slowly 0.03
    show_waiting 25
    ! grows come_and_wait ||
        fail "25 clients were closed while bytes for them were unsent, and it \
has $grown KiB of memory more than before them" --hint "Free the bytes that send \
did not take, also when you close a client because its time is up."
}

@test "gives a client its time anew when it sends something" {
    local spoke silent
    serves 0.08
    lives -c 1 -n 1 -r 50 -d 2
    [[ $spoke ]] || expect_served --hint "$renew_hint"
    ((spoke < 60)) || renew_hint=$early_hint
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

# expect_closed_while_told: it closes a client that is silent, even while it
# still sends to it. What was late on a busy machine is tried again.
expect_closed_while_told() {
    local took
    by_hand "bash -c 'exec 7<>/dev/tcp/127.0.0.1/$HAND_PORT; printf %0120d 1 >&7; time cat <&7'"
    for _ in 1 2 3; do
        be_told
        ((took >= 700000)) || return 0
    done
    fail "a client was closed after $((took / 1000)) milliseconds, not 100, while \
bytes were still sent to it" --hint "Only what a client sends begins its time \
anew. That your server sends something to it does not count."
}

# expect_half_closed: a client that has ended its half is silent too.
expect_half_closed() {
    local began took
    by_hand "printf %0120d 1 | $BUILD/peers/talk $PORT"
    for _ in 1 2 3; do
        began=${EPOCHREALTIME/./}
        printf '%0120d' "$RANDOM" | SECONDS_ALLOWED=1 bounded \
            "$BUILD/peers/talk" "$PORT" >/dev/null 2>&1 || true
        : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
        took=$((${EPOCHREALTIME/./} - began))
        ((took >= 700000)) || return 0
    done
    fail "a client that has ended its half was not closed in time, while bytes \
were still sent to it" --hint "A client that has ended its half is silent too: \
it stays in the list until you close it."
}

# be_told: a client that sends 120 bytes, and then waits for its end. Sets took
# to the microseconds until then.
be_told() {
    local began
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    began=${EPOCHREALTIME/./}
    printf '%0120d' "$RANDOM" >&7
    SECONDS_ALLOWED=1 bounded cat <&7 >/dev/null 2>&1 || true # until it closes
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
    took=$((${EPOCHREALTIME/./} - began))
    exec 7>&-
}

# bats test_tags=waits
@test "closes a silent client also while others send" {
    serves 0.08
    expect_closed "$list_hint" -c 1 -n 1 -r 50 -d 2
    # It sends back 120 bytes, one every 20 milliseconds.
    next_run
    need_faults
    faulty+=(FAULT_CALL="send,write" FAULT_NONBLOCKING=1 FAULT_TRICKLE=20)
    serves 0.1
    expect_closed_while_told
    expect_half_closed
}

@test "sleeps for ever while there is no client" {
    serves 30
    server_pid=$(pid_of server)
    by_hand "$wakes"
    expect_sleep -1 --hint "Without a client there is nothing to wait for but \
the next one: give epoll_wait a timeout of -1."
    crowd -c 1 -n 1
    expect_served --hint "$begin_hint"
    expect_sleep -1 --hint "When the last client has left, there is nothing to \
wait for but the next one: give epoll_wait a timeout of -1."
    # Also one that sleeps in epoll_pwait2 is seen to wake up.
    next_run
    serves 0.02
    server_pid=$(pid_of server)
    by_hand "cat </dev/tcp/127.0.0.1/$HAND_PORT"
    by_hand "$wakes"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    read -rt "$SECONDS_ALLOWED" -u 7 || true # until it is closed
    exec 7>&-
    expect_sleep -1 --hint "When the last client has left, there is nothing to \
wait for but the next one: sleep without a limit."
}

@test "sleeps until the first moment at which a client's time is up" {
    serves 30
    server_pid=$(pid_of server)
    by_hand "bash -c 'sleep 9 </dev/tcp/127.0.0.1/$HAND_PORT' &"
    by_hand "$wakes"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    expect_sleep 30000 --hint "Do not wake at fixed times: give epoll_wait the \
time that is left until the first client's time is up."
    exec 7>&-
}

# expect_sleep MILLISECONDS [--hint TEXT]: it is in epoll_wait, for about that
# long; -1: for ever. Whoever has another clock (timerfd) sleeps for ever, too.
expect_sleep() {
    local number timeout switches later
    soon sleeps_for "$1" ||
        fail "it wakes after $timeout milliseconds, and nothing has happened" \
            "${@:2}"
    switches=$(switches "$server_pid")
    ! soon_wakes || fail "it wakes, and nothing has happened" "${@:2}"
}

sleeps_for() {
    local call
    read -ra call <"/proc/$server_pid/syscall" || return 0
    case ${call[0]} in
    232 | 281 | 22) ;; # epoll_wait, epoll_pwait; the latter on others machines
    441) return 0 ;;   # epoll_pwait2: its time is in memory
    *) return 1 ;;
    esac
    timeout=$((call[4] & 0xffffffff))
    ((timeout < 0x80000000)) || timeout=-1
    ((timeout == -1 || ($1 > 0 && timeout > $1 - 5000 && timeout <= $1 + 1000)))
}

# soon_wakes: more than once within some hundredths of a second. A tick of 20
# milliseconds is seen three times, or once less on a busy machine.
soon_wakes() {
    pause_for 70
    (($(switches "$server_pid") > switches + 1))
}

@test "does not work more for a request when 2500 clients are silent" {
    local i cost alone
    (($(ulimit -Hn) >= 3000)) || skip "this system allows no 3000 descriptors"
    serves 60
    server_pid=$(pid_of server)
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
        --hint "$turn_hint"
}

# find_cost IDLE: sets cost to the nanoseconds that a request costs the server
# beside so many silent clients.
find_cost() {
    HAND=("${HAND[0]}")
    crowd -i "$1" -c 1 -n 1 -r 600 -p "$server_pid"
    expect_served --hint "$begin_hint"
    read -r cost <"$OUT"
}

# has_own_work: while one client sent, more than half of the processor's time
# went into the program itself. The kernel counts in hundredths of a second, so
# less than two of these say nothing.
has_own_work() {
    local -a before after
    local user system
    read -ra before <"/proc/$server_pid/stat"
    crowd -c 1 -n 1 -r 4000
    expect_served --hint "$begin_hint"
    read -ra after <"/proc/$server_pid/stat"
    user=$((after[13] - before[13]))
    system=$((after[14] - before[14]))
    ((user > 2 && user > system))
}

@test "spends most of its processor time in system calls" {
    local i
    [[ $BUILD != *asan* ]] || skip "a sanitizer has work of its own"
    serves 60
    server_pid=$(pid_of server)
    # The kernel guesses these times, so it is wrong only if it is so each time.
    for i in 1 2 3 4 5; do
        HAND=("${HAND[0]}")
        has_own_work || return 0
    done
    HAND[0]="time -p ${HAND[0]}"
    fail "most of its time goes into its own loops" --hint "For one request \
you look at many things that have nothing to do with it: for example, at each \
descriptor that there may be. Look only at what epoll_wait has reported, and at \
the first client of your list."
}

@test "goes on when a client sends just as its time is up" {
    local i
    export MALLOC_PERTURB_=165 # in glibc: what has been freed is not as it was
    need_faults
    # What it is told of has been so for longer than a client's time.
    faulty+=(FAULT_LATE=40)
    serves 0.03
    HAND[0]="MALLOC_PERTURB_=165 ${HAND[0]}"
    by_hand "bash -c 'echo hello >/dev/tcp/127.0.0.1/$HAND_PORT; sleep 1'"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    echo hello >&7
    ((RANDOM % 2)) || read -rt 2 <&7 || true
    # On a busy machine the time of these may be up too.
    for i in 1 2 3; do
        HAND=("${HAND[@]:0:2}")
        crowd -c 4 -n 10
        ((status != 0)) || break
    done
    ((status == 0)) || {
        end_background
        # Here a crash has most often this reason.
        ! has_crashed || report "it crashed" '' "$event_hint"
        expect_served --hint "$event_hint"
    }
    expect_true "it has ended" --hint "$event_hint" -- is_running server
    exec 7>&-
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
