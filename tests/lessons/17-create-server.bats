#!/usr/bin/env bats
# 17-create-server [-6] [-r] [-b BACKLOG] [ADDRESS] PORT: a listener for clients
# of IPv4 and IPv6, each of which is told its own address.

# shellcheck disable=SC2016 # in single quotes: for another bash to expand

load ../lib/common
load ../lib/clock

server=$BUILD/17-create-server
client=$BUILD/07-timeouts
rude=$BUILD/peers/rude
waiters=$BUILD/peers/waiters
binds=$BUILD/peers/binds
readme=lessons/17-create-server/README.md
usage="usage: 17-create-server [-6] [-r] [-b BACKLOG] [ADDRESS] PORT"

# serve [ARGUMENT...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" 0
}

# said ERRORS: all that the server has said on standard error.
said() {
    expect_equal "standard error" "$1" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# greeted HOST: a client of HOST is told an address, which goes into $NAME.
greeted() {
    try "$client" "$1" "$PORT"
    expect_result 0 ""
    NAME=$(<"$OUT")
    [[ $NAME == "you are "* ]]
    NAME=${NAME#you are }
}

refused() {
    try "$client" "$1" "$PORT"
    [[ $status == 1 && $errors == *": Connection refused" ]]
}

need_ipv6() {
    grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null ||
        skip "this machine has no IPv6"
}

# in_private [-4] SCRIPT [ARGUMENT...]: a script of bash in a network of its own,
# where it may use any port.
in_private() {
    local -a option=()
    [[ $1 != -4 ]] || { option=(-4) && shift; }
    SECONDS_ALLOWED=20 try "$BUILD/tests/private" "${option[@]}" bash -euc "$@"
    [[ $status != 125 ]] || skip "this machine allows no private network"
}

# listening: in a script of in_private, waits until the file $1 has a line that
# says so.
listening='listening() { until grep -q "^listening" "$1"; do sleep 0.01; done; }
'

# ---- who can connect --------------------------------------------------------

@test "17-create-server has one listener for IPv4 and IPv6" {
    need_ipv6
    serve
    wait_for server "clients: IPv4 and IPv6"
    greeted 127.0.0.1
    [[ $NAME == 127.0.0.1:[1-9]* ]]
    wait_for server "$NAME greeted"
    greeted ::1
    [[ $NAME == "[::1]:"[1-9]* ]]
    wait_for server "[[]${NAME#[} greeted"
    stop server
    expect_equal "status" 0 "$ended"
    expect_lines server "listening on [[]::]:$PORT" "clients: IPv4 and IPv6" \
        "127.0.0.1:* greeted" "[[]::1]:* greeted"
    said ""
}

@test "17-create-server tells each client its own address" {
    local address
    serve
    for address in 127.0.0.1 127.0.0.77; do
        try "$rude" -b "$address" -k 0 -o "$BATS_TEST_TMPDIR/told" connect \
            stall "$PORT"
        expect_result 0 ""
        read -r line <"$OUT"
        expect_output --text "you are ${line#connected from }\n" \
            --in "$BATS_TEST_TMPDIR/told"
    done
}

@test "17-create-server serves strangers: socat, ncat and python3" {
    local count=0
    need_ipv6
    serve
    if command -v socat >/dev/null; then
        try socat -u "TCP6:[::1]:$PORT" -
        [[ $(<"$OUT") == "you are [::1]:"* ]]
        try socat -u "TCP4:127.0.0.1:$PORT" -
        [[ $(<"$OUT") == "you are 127.0.0.1:"* ]]
        count=1
    fi
    if command -v ncat >/dev/null; then
        try ncat --recv-only ::1 "$PORT"
        [[ $(<"$OUT") == "you are [::1]:"* ]]
        count=1
    fi
    if command -v python3 >/dev/null; then
        try python3 -c '
import socket, sys
for family, host, shape in ((socket.AF_INET, "127.0.0.1", "{}:{}"),
                            (socket.AF_INET6, "::1", "[{}]:{}"),
                            (socket.AF_INET6, "::ffff:127.0.0.1", "")):
    with socket.socket(family) as s:
        s.settimeout(5)
        s.connect((host, int(sys.argv[1])))
        name = s.getsockname()
        shape = shape or "127.0.0.1:{1}"
        wanted = "you are " + shape.format(*name) + "\n"
        got = b"".join(iter(lambda: s.recv(100), b"")).decode()
        assert got == wanted, (got, wanted)
print("all is well")
' "$PORT"
        expect_result 0 ""
        expect_output --text 'all is well\n'
        count=1
    fi
    ((count > 0)) || skip "none of them is installed"
}

@test "17-create-server -6 has no IPv4 client" {
    need_ipv6
    serve -6
    wait_for server "clients: IPv6 only"
    refused 127.0.0.1
    greeted ::1
    stop server
    expect_lines server "listening on [[]::]:$PORT" "clients: IPv6 only" \
        "[[]${NAME#[} greeted"
}

@test "17-create-server listens at the one address that it is given" {
    serve 127.0.0.3
    expect_lines server "listening on 127.0.0.3:$PORT"
    refused 127.0.0.1
    refused ::1
    greeted 127.0.0.3
    stop server
    need_ipv6
    serve ::1
    expect_lines server "listening on [[]::1]:$PORT"
    refused 127.0.0.1
    greeted ::1
    stop server
    serve 0.0.0.0
    expect_lines server "listening on 0.0.0.0:$PORT"
    refused ::1
    greeted 127.0.0.1
}

@test "17-create-server -6 takes no IPv4 address, and no name without IPv6" {
    try "$server" -6 127.0.0.1 0
    [[ $status == 1 && $errors == "17-create-server: 127.0.0.1: "* ]]
    expect_output --text ''
    # The names are those of tests/lib/etc.
    try "$BUILD/tests/private" -e tests/lib/etc "$server" nothing.invalid 0
    [[ $status != 125 ]] || skip "no files in the place of those in /etc here"
    [[ $status == 1 && $errors == "17-create-server: nothing.invalid: "* ]]
}

@test "17-create-server takes a name, and listens at its first address" {
    try "$BUILD/tests/private" -e tests/lib/etc bash -c "$listening"'
        "$1" localhost 8017 >"$3" & trap "kill $!" EXIT
        listening "$3"; head -n 1 "$3"' - "$server" "$client" \
        "$BATS_TEST_TMPDIR/said"
    [[ $status != 125 ]] || skip "no files in the place of those in /etc here"
    [[ $(<"$OUT") == "listening on "@(127.0.0.1|"[::1]")":8017" ]]
}

@test "17-create-server greets IPv4 clients in a network without IPv6" {
    in_private -4 "$listening"'
        "$1" 8017 >"$3" & trap "kill $!" EXIT
        listening "$3"
        "$2" 127.0.0.1 8017
        ! "$2" ::1 8017' - "$server" "$client" "$BATS_TEST_TMPDIR/said"
    [[ $(<"$OUT") == "you are 127.0.0.1:"* ]]
    [[ $errors == "07-timeouts: connect [::1]:8017: "* ]]
    expect_equal "lines" "listening on [::]:8017
clients: IPv4 and IPv6" "$(head -n 2 "$BATS_TEST_TMPDIR/said")"
    in_private -4 '! "$1" ::1 8017' - "$server"
    expect_equal "error" \
        "17-create-server: bind [::1]:8017: Cannot assign requested address" \
        "$errors"
}

@test "17-create-server serves IPv4 only where the kernel knows no IPv6" {
    need_faults
    faulty+=(FAULT_CALL=socket FAULT_ERRNO=97)
    serve
    wait_for server "clients: IPv4 only"
    greeted 127.0.0.1
    refused ::1
    expect_lines server "listening on 0.0.0.0:$PORT" "clients: IPv4 only" \
        "$NAME greeted"
}

@test "17-create-server serves IPv4 only where IPV6_V6ONLY cannot be 0" {
    need_faults
    faulty+=(FAULT_CALL=setsockopt FAULT_ERRNO=22)
    serve
    expect_lines server "listening on 0.0.0.0:$PORT" "clients: IPv4 only"
    greeted 127.0.0.1
}

@test "17's question: Python's create_server takes no IPv6 client by itself" {
    skip_unless python3
    need_ipv6
    try python3 -c '
import socket
s = socket.create_server(("", 0))
port = s.getsockname()[1]
socket.create_connection(("127.0.0.1", port)).close()
try:
    socket.create_connection(("::1", port))
except ConnectionRefusedError:
    print("refused")
try:
    socket.create_server(("::", 0), dualstack_ipv6=True)
except ValueError:
    print("ValueError")
s = socket.create_server(("::", 0), family=socket.AF_INET6)
print(s.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
s = socket.create_server(("::", 0), family=socket.AF_INET6,
                         dualstack_ipv6=True)
socket.create_connection(("127.0.0.1", s.getsockname()[1]))
print(s.accept()[1][0])'
    expect_output --text 'refused\nValueError\n1\n::ffff:127.0.0.1\n'
}

# ---- the tables -------------------------------------------------------------

# table_of N: the N-th table of the text whose corner says "first, second":
# `ROW COLUMN CELL` for each cell, where a cell is yes or in-use.
table_of() {
    awk -F ' *[|] *' -v wanted="$1" '
        function plain(text) {
            gsub(/`/, "", text)
            gsub(/ /, "-", text)
            return text
        }
        /^[|] first, second / {
            tables++
            columns = NF - 1
            for (i = 3; i <= columns; i++) name[i] = plain($i)
            next
        }
        !/^[|]/ { columns = 0 }
        columns && tables == wanted && !/^[|] ---/ {
            for (i = 3; i <= columns; i++) print plain($2), name[i], plain($i)
        }' "$readme"
}

# expect_cell FIRST SECOND CELL: what binds says of these two.
expect_cell() {
    local wanted="bind: Address already in use"
    [[ $3 == in-use ]] || wanted=yes
    try "$binds" "$1" "$2"
    [[ $errors != *"Address family not supported"* ]] ||
        skip "this machine has no IPv6"
    expect_equal "$1, then $2" "$wanted" "$(<"$OUT")"
}

@test "17's table of addresses is true, cell by cell" {
    local row column cell count=0
    need_ipv6
    while read -r row column cell; do
        expect_cell "$row,reuseaddr" "$column,reuseaddr" "$cell"
        count=$((count + 1))
    done < <(table_of 1)
    expect_equal "cells" 25 "$count"
}

@test "17's table of options is true, cell by cell" {
    local row column cell count=0
    while read -r row column cell; do
        row=127.0.0.1,$row
        column=127.0.0.1,$column
        expect_cell "${row%,none}" "${column%,none}" "$cell"
        count=$((count + 1))
    done < <(table_of 2)
    expect_equal "cells" 32 "$count"
}

@test "17's tables are alike for the address of every interface" {
    local row column cell
    while read -r row column cell; do
        row=0.0.0.0,$row
        column=0.0.0.0,$column
        expect_cell "${row%,none}" "${column%,none}" "$cell"
    done < <(table_of 2)
}

@test "17-create-server says so when its port is taken" {
    need_ipv6
    serve
    try "$server" "$PORT"
    expect_result 1 \
        "17-create-server: bind [::]:$PORT: Address already in use"
    expect_output --text ''
    try "$server" -r 127.0.0.1 "$PORT"
    expect_result 1 \
        "17-create-server: bind 127.0.0.1:$PORT: Address already in use"
    # IPv6 alone, and IPv4 beside it.
    stop server
    serve -6
    start_server other "$server" 0.0.0.0 "$PORT"
    greeted 127.0.0.1
    greeted ::1
}

@test "17-create-server can be restarted at once, in spite of TIME_WAIT" {
    local port
    serve 127.0.0.1
    port=$PORT
    # This client waits until the server has closed.
    try "$rude" -k 0 connect stall "$PORT"
    stop server
    until_true grep -q "$(printf ':%04X [0-9A-F:]* 06 ' "$port")" /proc/net/tcp
    start_server server "$server" 127.0.0.1 "$port"
    expect_equal "port" "$port" "$PORT"
    greeted 127.0.0.1
}

# ---- several listeners on one port ------------------------------------------

# share ADDRESS...: two servers with -r, `server` and `other`, at one port.
share() {
    serve -r "$@"
    start_server other "$server" -r "$@" "$PORT"
}

@test "17-create-server -r shares 1000 clients with another process" {
    local ours theirs
    share 127.0.0.1
    try "$waiters" -q 1000 "$PORT"
    expect_result 0 ""
    expect_output --text '1000 of 1000 clients are connected
1000 of 1000 clients got a line\n'
    stop server
    stop other
    ours=$(grep -c greeted "$BATS_TEST_TMPDIR/server.out")
    theirs=$(grep -c greeted "$BATS_TEST_TMPDIR/other.out")
    expect_equal "together" 1000 "$((ours + theirs))"
    ((ours >= 300 && theirs >= 300)) || fail "$ours and $theirs"
}

@test "17-create-server -r shares no port with a server without -r" {
    serve 127.0.0.1
    try "$server" -r 127.0.0.1 "$PORT"
    expect_result 1 \
        "17-create-server: bind 127.0.0.1:$PORT: Address already in use"
    stop server
    serve -r 127.0.0.1
    try "$server" 127.0.0.1 "$PORT"
    expect_result 1 \
        "17-create-server: bind 127.0.0.1:$PORT: Address already in use"
}

@test "17-create-server -r shares no port with another user" {
    ((EUID == 0)) || skip "only root can be another user"
    skip_unless setpriv
    serve -r 127.0.0.1
    try setpriv --reuid 65534 --clear-groups "$server" -r 127.0.0.1 "$PORT"
    [[ $status != 126 && $status != 127 ]] || skip "this user cannot run it"
    expect_result 1 \
        "17-create-server: bind 127.0.0.1:$PORT: Address already in use"
}

@test "17: the clients of a stopped server wait, and are lost when it ends" {
    local pid waiting
    share 127.0.0.1
    pid=$(pid_of other)
    kill -STOP "$pid"
    until_true is_stopped "$pid"
    start crowd "$waiters" -q 20 "$PORT"
    wait_for crowd "* of 20 clients wait for a line"
    expect_lines crowd "20 of 20 clients are connected" \
        "* of 20 clients wait for a line"
    waiting=$(sed -n 's/ of 20 clients wait.*//p' "$BATS_TEST_TMPDIR/crowd.out")
    ((waiting >= 1 && waiting < 20))
    kill -KILL "$pid"
    finish crowd
    says crowd "$((20 - waiting)) of 20 clients got a line"
}

# ---- the backlog ------------------------------------------------------------

@test "17-create-server's queue holds its backlog and one more" {
    local backlog
    for backlog in 0 1 2 5; do
        serve -b "$backlog" 127.0.0.1
        frozen full "$((backlog + 1))"
        stop_all
    done
}

# full N: N of N + 2 clients are connected, and the others have no answer.
full() {
    start crowd "$waiters" "$(($1 + 2))" "$PORT"
    wait_for crowd "$1 of $(($1 + 2)) clients are connected"
    expect_true "client $1" -- says crowd "client $1: connected"
    says crowd "client $(($1 + 1)): no answer to its SYN"
    says crowd "client $(($1 + 2)): no answer to its SYN"
}

@test "17-create-server's backlog is no larger than the system allows" {
    in_private "$listening"'
        echo 3 >/proc/sys/net/core/somaxconn || exit 125
        "$1" -b 100 127.0.0.1 8017 >"$3" & trap "kill -9 $!" EXIT
        listening "$3"
        kill -STOP $!
        until grep -q ") T " "/proc/$!/stat"; do sleep 0.01; done
        timeout 4 "$2" -q 6 8017' - "$server" "$waiters" \
        "$BATS_TEST_TMPDIR/said"
    [[ $(<"$OUT") == "4 of 6 clients are connected"* ]]
}

# The kernel sends a SYN again after a second.
@test "17: a client that found the queue full comes in a second later" {
    local took
    serve -b 0 127.0.0.1
    frozen full 1
    finish crowd
    expect_equal "status" 0 "$ended"
    says crowd "3 of 3 clients got a line"
    took=$(sed -n 's/client 2: connected after \(.*\) seconds/\1/p' \
        "$BATS_TEST_TMPDIR/crowd.out")
    ((10#${took/./} >= 10)) || fail "it took only $took seconds"
}

@test "17-create-server takes backlogs from 0 to 65535" {
    local backlog
    for backlog in 65536 -1 x '' 0x10 18446744073709551617; do
        try "$server" -b "$backlog" 127.0.0.1 0
        expect_result 1 \
            "17-create-server: $backlog is not a backlog: 0 to 65535"
    done
    serve -b 65535 127.0.0.1
    greeted 127.0.0.1
}

# ---- clients that go, and calls that fail -----------------------------------

@test "17-create-server goes on after clients that have gone" {
    local -a option=()
    for _ in 1 2; do
        serve 127.0.0.1
        frozen "$rude" "${option[@]}" -k 0 connect reset "$PORT" \
            >"$BATS_TEST_TMPDIR/gone"
        option=(-e)
        greeted 127.0.0.1
        [[ $(<"$BATS_TEST_TMPDIR/server.err") == \
            "17-create-server: send to 127.0.0.1:"*": "@(*reset*|Broken*) ]]
        expect_lines server "listening on *" "$NAME greeted"
        stop server
        expect_equal "status" 0 "$ended"
    done
}

@test "17-create-server meets each of the rude peer's faces" {
    local face
    serve 127.0.0.1
    for face in $("$rude" faces); do
        SECONDS_ALLOWED=1 try "$rude" connect "$face" "$PORT"
        greeted 127.0.0.1
    done
    stop server
    expect_equal "status" 0 "$ended"
}

@test "17-create-server sends all of its line, a byte at a time if it must" {
    need_faults
    faulty+=(FAULT_SHORT=send)
    serve 127.0.0.1
    greeted 127.0.0.1
    [[ $NAME =~ ^127.0.0.1:[1-9][0-9]*$ ]]
    wait_for server "$NAME greeted"
}

@test "17-create-server waits a tenth of a second after an accept that failed" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=24 FAULT_TIMES=3)
    measured 30 60 accept_again
    expect_equal "complaints" 3 \
        "$(grep -c 'accept: ' "$BATS_TEST_TMPDIR/server.err")"
}

# accept_again: sets took to the time until a client is greeted.
accept_again() {
    local start now
    look_at_clock
    start=$now
    serve 127.0.0.1
    greeted 127.0.0.1
    look_at_clock
    took=$((now - start))
}

@test "17-create-server makes accept4 again that a signal interrupted" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_ERRNO=4 FAULT_TIMES=3)
    serve 127.0.0.1
    greeted 127.0.0.1
    said ""
}

@test "17-create-server goes on when a call fails for one client" {
    need_faults
    faulty+=(FAULT_CALL=send FAULT_ERRNO=105)
    serve 127.0.0.1
    try "$client" 127.0.0.1 "$PORT"
    expect_equal "status" 1 "$status"
    greeted 127.0.0.1
    [[ $(<"$BATS_TEST_TMPDIR/server.err") == \
        "17-create-server: send to 127.0.0.1:"*": No buffer space available" ]]
    stop server
    faulty=("${faulty[@]:0:2}" FAULT_CALL=close FAULT_ERRNO=5)
    serve 127.0.0.1
    try "$client" -t 0.3 127.0.0.1 "$PORT"
    wait_for server "17-create-server: close 127.0.0.1:*: Input/output error" err
    greeted 127.0.0.1
}

@test "17-create-server names the call that failed, and why" {
    local at call
    need_faults
    while read -r at call; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_AT="$at" \
            FAULT_ERRNO=105 "$server" -r 0
        expect_result 1 "17-create-server: $call: No buffer space available"
        expect_output --text ''
    done <<'END'
1 socket
2 socket [::]:0
2 setsockopt SO_REUSEADDR [::]:0
3 setsockopt SO_REUSEPORT [::]:0
4 setsockopt IPV6_V6ONLY [::]:0
1 bind [::]:0
1 listen [::]:0
1 getsockname
END
    # EAI_SYSTEM: errno says why.
    try env LD_PRELOAD="$BUILD/tests/names.so" NAMES=any=::1 \
        NAMES_ERROR=-11 NAMES_ERRNO=24 "$server" any 0
    expect_result 1 "17-create-server: any: Too many open files"
}

@test "17-create-server closes its listener, and says if that fails" {
    need_faults
    faulty+=(FAULT_CALL=close FAULT_AT=2 FAULT_ERRNO=5)
    serve
    stop server
    expect_equal "status" 1 "$ended"
    said "17-create-server: close: Input/output error"
}

@test "17-create-server keeps no descriptor of a client, or of its question" {
    local before
    serve
    before=$(descriptors "$(pid_of server)")
    try "$waiters" -q 50 "$PORT"
    expect_result 0 ""
    try "$rude" -c 20 -k 0 connect reset "$PORT"
    greeted 127.0.0.1
    until_true holds_descriptors "$(pid_of server)" "$before"
    # Standard input, output and error, and the listener; and what the machine
    # that runs the tests has left open for everybody.
    until_true holds_sockets "$(pid_of server)" 1
}

@test "17-create-server ends with status 0 when it is told to" {
    local signal
    for signal in INT TERM; do
        serve 127.0.0.1
        greeted 127.0.0.1
        stop server "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
        said ""
    done
}

# Where it comes too early to wake anybody, the alarm does, a second later.
@test "17-create-server ends with status 0 when it is told to before it sleeps" {
    need_faults
    faulty+=(FAULT_CALL=accept4 FAULT_SIGNAL=15)
    serve 127.0.0.1
    finish server
    expect_equal "status" 0 "$ended"
    said ""
}

# ---- output and arguments ---------------------------------------------------

@test "17-create-server says so when standard output cannot take its lines" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - \
        "$server" 0
    expect_equal "full" \
        "17-create-server: standard output: No space left on device" "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$server" 0
    expect_equal "closed" "17-create-server: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$server" 0
}

@test "17-create-server serves on when nobody reads what it says" {
    start_server server bash -c 'exec "$@" > >(exec head -n 1)' - \
        "$server" 127.0.0.1 0
    greeted 127.0.0.1
    greeted 127.0.0.1
    stop server
    expect_equal "status" 1 "$ended"
    grep -q 'standard output: Broken pipe' "$BATS_TEST_TMPDIR/server.err"
    expect_equal "the last line" \
        "17-create-server: standard output: not every line could be written" \
        "$(tail -n 1 "$BATS_TEST_TMPDIR/server.err")"
}

@test "17-create-server takes ports from 0 to 65535, and says what is wrong" {
    local port
    for port in 65536 -- +80 80x 0x ' 80' '' http 18446744073709551617; do
        [[ $port != -- ]] || continue
        try "$server" 127.0.0.1 "$port"
        expect_result 1 "17-create-server: $port is not a port: 0 to 65535"
    done
    need_faults
    for port in 1 65535; do # somebody may live there: not our concern
        try "${faulty[@]}" FAULT_CALL=bind FAULT_ERRNO=13 "$server" 127.0.0.1 \
            "$port"
        expect_result 1 \
            "17-create-server: bind 127.0.0.1:$port: Permission denied"
    done
}

@test "17-create-server explains itself when asked, and when called wrongly" {
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$server"
    expect_result 2 "$usage"
    try "$server" ::1 80 81
    expect_result 2 "$usage"
    try "$server" -x 80
    [[ $status == 2 && $errors == *"$usage" ]]
    try "$server" -b
    [[ $status == 2 && $errors == *"$usage" ]]
    expect_output --text ''
}

# ---- the exercise -----------------------------------------------------------

# systemd opens the listeners, and starts the server when the first client comes.
# Newer ones also set LISTEN_PIDFDID, which our COMMAND may see.
@test "17's solution is started by systemd-socket-activate" {
    skip_unless systemd-socket-activate
    [[ -x $BUILD/solution/17-create-server ]] || skip "it is not built"
    in_private 'cd "$1"
        systemd-socket-activate -l 127.0.0.1:8017 -l "[::1]:8018" \
            "$2/solution/17-create-server" 8019 \
            "env | grep -e LISTEN_FD -e LISTEN_PID=; echo hello" \
            >"$3" 2>"$3.err" & trap "kill $!" EXIT
        for i in {1..200}; do
            grep -q "as 4" "$3.err" && break
            sleep 0.02
        done
        "$2/solution/01-tcp-client" 127.0.0.1 8017
        "$2/07-timeouts" ::1 8018
        "$2/07-timeouts" 127.0.0.1 8017
        ! "$2/07-timeouts" 127.0.0.1 8019' - "$PWD" "$BUILD" \
        "$BATS_TEST_TMPDIR/said"
    expect_equal "status" 0 "$status"
    expect_output --text 'hello\nhello\nhello\n'
    expect_equal "said" "listening on 127.0.0.1:8017
listening on [::1]:8018" "$(<"$BATS_TEST_TMPDIR/said")"
}

@test "17's solution serves a listener of AF_UNIX too" {
    skip_unless python3
    [[ -x $BUILD/solution/17-create-server ]] || skip "it is not built"
    start server "$BUILD/peers/activate" unix -- \
        "$BUILD/solution/17-create-server" 0 "echo hello"
    wait_for server "listening on family 1"
    try python3 -c '
import socket
# The kernel has given it a name: the one that belongs to its inode.
name = [line.split()[-1] for line in open("/proc/net/unix")
        if " 00010000 " in line and line.split()[-1].startswith("@")]
for candidate in name:
    if len(candidate) != 6:
        continue
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(2)
        try:
            s.connect("\0" + candidate[1:])
            if s.recv(100) == b"hello\n":
                print("hello")
                break
        except OSError:
            pass'
    expect_output --text 'hello\n'
}
