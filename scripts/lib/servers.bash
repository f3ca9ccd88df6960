# shellcheck shell=bash disable=SC2034,SC2154 # scripts/bench's variables
# The servers that scripts/bench measures: chooses, starts and stops them.

# For each: its name, what must be installed, where its work is (in one process, in
# threads of it, in many processes, or in a few that are there from the beginning),
# and the command.
servers="\
25-epoll-server|lessons/25-epoll-server|one|build/25-epoll-server {port}
28-io-uring-server|lessons/28-io-uring-server|one|build/28-io-uring-server {port}
22-fork-server|lessons/22-fork-server|many|build/22-fork-server -m 4096 {port}
22-prefork|lessons/22-fork-server|few|build/solution/22-fork-server 64 {port}
23-thread-server|lessons/23-thread-server|threads|build/23-thread-server {port}
23-pool|lessons/23-thread-server|threads|build/23-thread-server -t 1024 {port}
libuv|/usr/include/uv.h|one|build/bench/libuv-echo {port}
asyncio-protocol|python3|one|python3 tests/bench/echo.py protocol {port}
asyncio-streams|python3|one|python3 tests/bench/echo.py streams {port}
socketserver|python3|threads|python3 tests/bench/echo.py socketserver {port}
socat|socat|many|socat TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork PIPE
ncat|ncat|many|ncat -lk --max-conns 4000 -e /bin/cat 127.0.0.1 {port}"

# field SERVER NUMBER: that column of its line in servers.
field() {
    awk -F '|' -v name="$1" -v number="$2" \
        '$1 == name { print $number; found = 1 } END { exit !found }' \
        <<<"$servers"
}

# is_there SERVER: is it installed?
is_there() {
    local need
    need=$(field "$1" 2)
    [[ -z $need || -e $need ]] || command -v "$need" >/dev/null
}

# choose_servers [NAME...]: sets chosen to those that are installed.
choose_servers() {
    local name
    local -a names
    for name; do
        field "$name" 1 >/dev/null || fail_usage "no such server: $name"
    done
    names=("$@")
    (($# > 0)) || mapfile -t names < <(cut -d '|' -f 1 <<<"$servers")
    for name in "${names[@]}"; do
        if is_there "$name"; then
            chosen+=("$name")
        elif [[ -z ${BENCH_PRIVATE-} ]]; then
            echo "bench: not installed: $name" >&2
        fi
    done
    ((${#chosen[@]} > 0)) || fail 1 "none of these servers is installed"
}

# can_do SERVER CASE: it can be measured in that case.
can_do() {
    case $2 in
    handshakes) ;;
    # A process or thread for each of so many would not fit.
    *+*) [[ $(field "$1" 3) == one ]] ;;
    # Of these, each process serves one client at a time.
    [0-9][0-9][0-9]*x*) [[ $(field "$1" 3) != few ]] ;;
    *) [[ $(field "$1" 3) != no-echo ]] ;;
    esac
}

# listens: something listens on the port. State 0A is LISTEN.
listens() {
    grep -q "$(printf '0100007F:%04X 00000000:0000 0A' "$port")" /proc/net/tcp
}

# until_true COMMAND...: waits until it succeeds, one minute at most.
until_true() {
    local i
    for ((i = 1; i <= 6000; i++)); do
        "$@" && return
        sleep 0.01
        ((i % 100 != 0)) || need_room
    done
    fail 1 "waited a minute in vain for: $*"
}

# is_free: nothing listens on the port.
is_free() {
    ! listens
}

# start_server SERVER: sets server to its process, when it listens.
start_server() {
    local command
    command=$(field "$1" 4)
    until_true is_free # the last one's children may still be leaving
    command=${command//'{port}'/$port}
    command=${command//'{files}'/$here/files}
    [[ $command != *'{conf}'* ]] ||
        "write_${1}_conf" "$here/server.conf" 2>/dev/null || fail_without_room 1
    # shellcheck disable=SC2086 # the command and its arguments
    "${on_first[@]}" ${command//'{conf}'/$here/server.conf} >/dev/null 2>"$here/server.err" &
    server=$!
    until_true listens_or_ended
    kill -0 "$server" 2>/dev/null || {
        need_room
        fail 1 "$1 does not run: $(head -n 1 "$here/server.err")"
    }
}

# listens_or_ended: what start_server waits for.
listens_or_ended() {
    listens || ! kill -0 "$server" 2>/dev/null
}

# stop_server: its children end with their connections, which we have closed.
stop_server() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

# choose_congestion_control: where bbr is the default, it spreads out what is sent,
# and that would be measured. In a network of our own all servers use reno.
choose_congestion_control() {
    [[ -z ${BENCH_PRIVATE-} ]] ||
        echo reno 2>/dev/null >/proc/sys/net/ipv4/tcp_congestion_control || true
}

# choose_cores: one for the servers, one for the load.
choose_cores() {
    if command -v taskset >/dev/null && taskset -c 0,1 true 2>/dev/null; then
        on_first=(taskset -c 0)
        on_second=(taskset -c 1)
    else
        echo "bench: server and load share what cores there are" >&2
    fi
    # For ten thousand clients. A program that may not have so many says so.
    ulimit -n "$(ulimit -Hn)"
}
