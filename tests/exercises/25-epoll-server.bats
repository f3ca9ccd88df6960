#!/usr/bin/env bats
# The exercise of 25-epoll-server: echo with an idle limit for each client,
# `25-epoll-server -i SECONDS PORT`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

many=$BUILD/peers/many
rude=$BUILD/peers/rude

# serves SECONDS: the answer, with that limit.
serves() {
    [[ $HINT ]] || hint "listen_on prints the line; what comes after it runs for \
ever."
    answer_serves -i "$1" 0
}

# crowd OPTION...: clients of build/peers/many, to their end. Sets status and
# errors; what they said is in $OUT.
crowd() {
    by_hand "$many" "$@" "$PORT"
    try "$many" -s "$((RANDOM + 1))" "$@" "$PORT"
}

# expect_served: the crowd got back all that it said.
expect_served() {
    ((status != 124)) || not_yet "clients wait for their bytes, and none come" \
        </dev/null
    ((status == 0)) || not_yet "clients did not get back what they said" \
        < <(sed 's/^/They said: /' "$BATS_TEST_TMPDIR/err" "$OUT")
    : >"$BATS_TEST_TMPDIR/err"
}

# cpu_time: sets used to the nanoseconds of a processor that the server has had.
cpu_time() {
    read -r used _ <"/proc/$server_pid/schedstat"
}

# is_quiet: for a twentieth of a second it needs no processor to speak of.
is_quiet() {
    local begin i
    cpu_time
    begin=$used
    for ((i = 0; i < 18; i++)); do
        pause
    done
    cpu_time
    ((used - begin < 1000000))
}

@test "sends back what its clients say, fifty at once" {
    serves 9
    hint "accept4 until it fails with EAGAIN; epoll_ctl with EPOLL_CTL_ADD for \
each client; epoll_wait, recv, send. As in epoll-server.c."
    crowd -c 50 -n "$((1 + RANDOM % 60))" -r 3
    expect_served
    hint "with EPOLLET you are told once of what has come, however much it is: \
recv until EAGAIN. Without EPOLLET you are told again."
    crowd -c 5 -n 300000
    expect_served
}

@test "needs no processor when all has been said" {
    serves 9
    server_pid=$(pid_of server)
    start crowd "$many" -c 1 -n 8000000 -b 4096 -w "$PORT"
    by_hand "$many" -c 1 -n 8000000 -b 4096 -w "$PORT"
    HAND+=("top")
    hint "send took a part. Keep the rest, wait for EPOLLOUT, and send it."
    soon says crowd 'all is well' ||
        not_yet "clients wait for their bytes, and none come" </dev/null
    hint "there is room to send nearly always, so with EPOLLOUT on epoll_wait \
returns at once, always. Turn it off when nothing is left to send."
    expect_true "its clients say nothing, and it keeps a processor busy" \
        soon is_quiet
}

@test "sends back all that came before a client ended its half" {
    serves 9
    server_pid=$(pid_of server)
    by_hand "$rude" -n 60000 -o /dev/null connect whole "$PORT"
    hint "EPOLLRDHUP says that the client will say no more, not that you have \
read what it said. recv says when that is so: it returns 0."
    frozen came
    soon says client 'got *' ||
        not_yet "the client has ended its half, and waits for ever" </dev/null
    expect_true "not all of 60000 bytes came back" \
        says client 'got 60000 bytes, then end of stream'
}

came() {
    start client "$rude" -s "$RANDOM" -n 60000 connect whole "$PORT"
    until_true in_state 08
}

@test "does not read from who does not read, and serves the others" {
    local before after
    serves 9
    server_pid=$(pid_of server)
    before=$(memory)
    start deaf "$rude" -n 32000000 connect deaf "$PORT"
    by_hand "$rude" -n 32000000 connect deaf "$PORT"
    wait_for deaf 'connected from *' || environment "$rude does not run"
    hint "send waits for this client, and all others wait with it: SOCK_NONBLOCK \
for accept4, and EAGAIN is no error."
    crowd -c 10 -n 1000 -r 10
    expect_served
    soon owes || true
    hint "it has something to say all the time, so with EPOLLIN on epoll_wait \
returns at once, always. Turn it off while you owe the client something."
    expect_true "this client can take no more, and keeps a processor busy" \
        soon is_quiet
    hint "who sends and never reads would fill your memory. Read nothing more \
from a client before it has taken what you owe it."
    after=$(memory)
    expect_true "it took $((after - before)) KiB of memory for one client" \
        [ "$((after - before))" -lt 6000 ]
}

# owes: something of the server's waits for a client that does not read.
owes() {
    local port
    printf -v port '%04X' "$PORT"
    grep -qE "[0-9]: 0100007F:$port [0-9A-F:]* 01 0*[1-9A-F][0-9A-F]*:" /proc/net/tcp
}

memory() {
    awk '/^RssAnon/ { print $2 }' "/proc/$server_pid/status"
}

# lives: a crowd of two with a limit of 0.08 seconds; one speaks for a while,
# the other is silent. Sets spoke and silent to the milliseconds after which
# each was closed.
lives() {
    crowd -c 1 -n 1 -r 50 -d 2 -i 1 -w
    spoke=$(sed -n 's/^spoke \([0-9]*\) to.*/\1/p
        s/^closed after \([0-9]*\).*/\1/p' "$OUT")
    silent=$(sed -n 's/^silent \([0-9]*\) to.*/\1/p' "$OUT")
}

@test "closes who has said nothing for so long, and nobody earlier" {
    local i spoke silent
    serves 0.08
    for i in 1 2 3 4 5; do # what was late on a busy machine is tried again
        lives
        hint "how long epoll_wait may sleep is its last argument: until the time \
of the first client is up. When it returns, let go whose time is up."
        ((status != 124)) || not_yet "it closes nobody" </dev/null
        hint "a client's time begins anew with each byte that it says."
        [[ $spoke ]] || expect_served
        expect_true "a client was closed after $spoke milliseconds, not 80" \
            [ "$spoke" -ge 79 ]
        hint "round milliseconds up; and who wakes too early sleeps again."
        expect_true "a client was closed after ${silent:-0} milliseconds, not 80" \
            [ "${silent:-80}" -ge 79 ]
        ((${silent:-999} > 130 || spoke > 130)) || return 0
    done
    hint "somebody spoke all the time, so epoll_wait never had nothing to tell: \
look whose time is up on each turn. And if the head of your list is one who has \
just spoken, you don't see those behind: who speaks goes to the end."
    not_yet "the silent one was closed after $silent milliseconds, not 80" \
        </dev/null
}

@test "sleeps until somebody speaks, or the first one's time is up" {
    local number milliseconds
    serves 30
    server_pid=$(pid_of server)
    hint "with no client there is nothing to wait for but the next one: a \
timeout of -1."
    HAND+=("strace -p \$(pgrep 25-epoll)")
    expect_sleep -1
    crowd -c 1 -n 1
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || not_yet "nobody answers" </dev/null
    hint "no tick: the time of the first client, less what of it is over, is how \
long you may sleep."
    expect_sleep 30000
    exec 7>&-
}

# expect_sleep MILLISECONDS: it is in epoll_wait, for about that long; -1: for
# ever. Whoever has another clock (timerfd) sleeps for ever, too.
expect_sleep() {
    local number timeout switches later
    soon is_asleep "$1" ||
        not_yet "it wakes after $timeout milliseconds, and nothing has happened" \
            </dev/null
    switches=$(switches)
    ! soon_wakes || not_yet "it wakes, and nothing has happened" </dev/null
}

is_asleep() {
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

switches() {
    awk '/^voluntary/ { print $2 }' "/proc/$server_pid/status"
}

# soon_wakes: more than once within some hundredths of a second.
soon_wakes() {
    local i
    for ((i = 0; i < 12; i++)); do
        pause
    done
    (($(switches) > switches + 1))
}

@test "has no more work on a turn when many are silent" {
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
    hint "on each turn you look at each client, to see whose time is up. Have a \
list in the order in which they spoke: then only the first matters."
    not_yet "a request takes $alone ns, and $cost when 2500 others are silent" \
        </dev/null
}

# find_cost IDLE: sets cost to the nanoseconds that a request costs the server
# beside so many silent clients.
find_cost() {
    HAND=("${HAND[0]}")
    crowd -i "$1" -c 1 -n 1 -r 600 -p "$server_pid"
    expect_served
    read -r cost <"$OUT"
}

@test "outlives a client that speaks in the moment in which its time is up" {
    export MALLOC_PERTURB_=165 # in glibc: what has been freed is not as it was
    need_faults
    # What it is told of has been so for longer than a client's time.
    faulty+=(FAULT_LATE=40)
    serves 0.03
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || not_yet "nobody answers" </dev/null
    echo hello >&7
    hint "epoll_wait told of a client. You let that client go, and freed what you \
know of it, before its event's turn came: first the events, then those whose \
time is up."
    ((RANDOM % 2)) || read -rt 2 <&7 || true
    crowd -c 4 -n 10
    expect_true "it has ended" is_running server
    expect_served
    exec 7>&-
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard error, \
and the status is 2."
    answer 0
    expect_status 2
    expect_stderr "usage: *"
    hint "deadline_parse knows what is a number of seconds, addr_parse_port \
what is a port; both return -1 if it is none."
    answer -i 0 0
    expect_status 1
    answer -i 1 65536
    expect_status 1
}
