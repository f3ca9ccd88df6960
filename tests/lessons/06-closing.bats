#!/usr/bin/env bats
# 06-closing ENDING PORT: five ways a connection ends, and both sides of each.

load ../lib/common

program=$BUILD/06-closing
endings=(in-turn half-close reset unread killed)

# Each ending is played once, in a network of its own: what it printed is in
# $BATS_FILE_TMPDIR/ENDING, and how many resets that network has then seen in
# ENDING.resets. Where that isn't allowed, it is played here, and not counted.
setup_file() {
    local ending
    for ending in "${endings[@]}"; do
        # shellcheck disable=SC2016 # for that shell
        "$BUILD/tests/private" bash -c '
            "$1" 5 "$2" "$3" 8080 >"$4"
            awk "/^Tcp: [0-9]/ { print \$15 }" /proc/net/snmp >"$4.resets"
        ' - "$BUILD/tests/bounded" "$program" "$ending" \
            "$BATS_FILE_TMPDIR/$ending" 3>&- ||
            "$BUILD/tests/bounded" 5 "$program" "$ending" 0 \
                >"$BATS_FILE_TMPDIR/$ending" 3>&- || true
    done
}

# expect_rows ENDING: its output is what is on standard input, but for the ports.
expect_rows() {
    sed -E '1s/[0-9]{1,5} *server [0-9]+$/PORT   server PORT/' \
        "$BATS_FILE_TMPDIR/$1" >"$BATS_TEST_TMPDIR/rows"
    diff - "$BATS_TEST_TMPDIR/rows" >&2
}

@test "06-closing in-turn: who ends first has TIME_WAIT" {
    expect_rows in-turn <<'END'
                                   client PORT   server PORT
client connect = 0                 ESTABLISHED    ESTABLISHED
client send = 5                    ESTABLISHED    ESTABLISHED
server recv = 5                    ESTABLISHED    ESTABLISHED
server close = 0                   CLOSE_WAIT    (FIN_WAIT2)
client recv = 0                    CLOSE_WAIT    (FIN_WAIT2)
client close = 0                  (none)         (TIME_WAIT)
END
}

@test "06-closing half-close: who has ended its half still hears the answer" {
    expect_rows half-close <<'END'
                                   client PORT   server PORT
client connect = 0                 ESTABLISHED    ESTABLISHED
client send = 5                    ESTABLISHED    ESTABLISHED
client shutdown = 0                FIN_WAIT2      CLOSE_WAIT
server recv = 5                    FIN_WAIT2      CLOSE_WAIT
server recv = 0                    FIN_WAIT2      CLOSE_WAIT
server send = 5                    FIN_WAIT2      CLOSE_WAIT
client recv = 5                    FIN_WAIT2      CLOSE_WAIT
server close = 0                   CLOSE         (none)
client recv = 0                    CLOSE         (none)
client close = 0                  (TIME_WAIT)    (none)
END
}

@test "06-closing reset: the error is told once, then SIGPIPE, and then 0" {
    expect_rows reset <<'END'
                                   client PORT   server PORT
client connect = 0                 ESTABLISHED    ESTABLISHED
server setsockopt = 0              ESTABLISHED    ESTABLISHED
server close = 0                   CLOSE         (none)
client recv = -1 ECONNRESET        CLOSE         (none)
client send = -1 EPIPE, SIGPIPE    CLOSE         (none)
client recv = 0                    CLOSE         (none)
END
}

@test "06-closing unread: what came before the reset is there, then an error" {
    expect_rows unread <<'END'
                                   client PORT   server PORT
client connect = 0                 ESTABLISHED    ESTABLISHED
client send = 5                    ESTABLISHED    ESTABLISHED
server send = 5                    ESTABLISHED    ESTABLISHED
server close = 0                   CLOSE         (none)
client recv = 5                    CLOSE         (none)
client send = -1 ECONNRESET        CLOSE         (none)
client recv = 0                    CLOSE         (none)
END
}

@test "06-closing killed: a clean end, one send that succeeds, and SIGPIPE" {
    expect_rows killed <<'END'
                                   client PORT   server PORT
client connect = 0                 ESTABLISHED    ESTABLISHED
client send = 5                    ESTABLISHED    ESTABLISHED
server recv = 5                    ESTABLISHED    ESTABLISHED
server fork = 0                    ESTABLISHED   (ESTABLISHED)
server kill = 0                    CLOSE_WAIT    (FIN_WAIT2)
client recv = 0                    CLOSE_WAIT    (FIN_WAIT2)
client send = 5                    CLOSE         (none)
client send = -1 EPIPE, SIGPIPE    CLOSE         (none)
END
}

# row_of ENDING: what the README's table says of it, a cell a line: what the
# client sends, and the server; the other side's recv, and its send; the states
# that the client is in after ESTABLISHED, and the server.
row_of() {
    awk -F ' [|] ' -v ending="$1" '
        NF == 7 && $1 == ending { for (i = 2; i <= NF; i++) print $i }
    ' lessons/06-closing/README.md
}

# played ENDING: the last four of these, from what the program printed.
played() {
    awk '
        function seen(side, state) {
            gsub(/[ ()]/, "", state)
            if (state != is_in[side] && is_in[side] != "")
                states[side] = states[side] " " state
            is_in[side] = state
        }
        NR == 1 { next }
        {
            result = $4 == "-1" ? $5 : $4
            sub(/,$/, "", result)
            if (ended && $1 != ended) results[$2] = results[$2] ", " result
            if (!ended && $2 ~ /^(close|shutdown|kill)$/) ended = $1
            seen("client", substr($0, 35, 15))
            seen("server", substr($0, 50))
        }
        END {
            print substr(results["recv"], 3)
            print results["send"] == "" ? "–" : substr(results["send"], 3)
            print substr(states["client"], 2)
            print substr(states["server"], 2)
        }' "$BATS_FILE_TMPDIR/$1"
}

@test "the table of 06's README says of each ending what the program prints" {
    local ending
    for ending in "${endings[@]}"; do
        echo "$ending:" >&2
        row_of "$ending" | sed 1,2d >"$BATS_TEST_TMPDIR/table"
        played "$ending" | diff "$BATS_TEST_TMPDIR/table" - >&2
    done
}

@test "the table of 06's README has these five endings, in this order" {
    # shellcheck disable=SC2016 # awk's
    expect_equal endings "ending --- ${endings[*]}" "$(awk -F ' [|] ' \
        'NF == 7 { print $1 }' lessons/06-closing/README.md | paste -sd ' ')"
}

# A side that comes to CLOSE_WAIT or TIME_WAIT has got a FIN, and no other has.
# How many resets were sent, the kernel counts.
@test "the table of 06's README has the FINs and RSTs that were sent" {
    local ending client server states fins
    [[ -s $BATS_FILE_TMPDIR/killed.resets ]] ||
        skip "this system allows no private network"
    for ending in "${endings[@]}"; do
        echo "$ending:" >&2
        { read -r client && read -r server; } < <(row_of "$ending")
        mapfile -t states < <(played "$ending")
        fins=
        [[ ! ${states[3]} =~ CLOSE_WAIT|TIME_WAIT ]] || fins+="client "
        [[ ! ${states[2]} =~ CLOSE_WAIT|TIME_WAIT ]] || fins+=server
        expect_equal "FINs" "$fins" \
            "$([[ $client != *FIN* ]] || printf 'client '
                [[ $server != *FIN* ]] || printf server)"
        expect_equal "RSTs" "$(<"$BATS_FILE_TMPDIR/$ending.resets")" \
            "$(grep -o RST <<<"$client $server" | wc -l)"
    done
}

@test "what a stranger's ears hear on the wire is what 06's table says" {
    local ending status=0
    skip_unless python3
    cat >"$BATS_TEST_TMPDIR/listen.py" <<'END'
import socket
import subprocess
import sys

try:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
except PermissionError:
    sys.exit(77)
for ending in sys.argv[2:]:
    subprocess.run([sys.argv[1], ending, "8080"], stdout=subprocess.DEVNULL)
    said = {"client": [], "server": []}
    wire.setblocking(False)
    heard = set()
    while True:
        try:
            frame, where = wire.recvfrom(65536)
        except BlockingIOError:
            break
        tcp = frame[14 + (frame[14] & 15) * 4 :]
        if where[2] == 4 or bytes(tcp[:8]) in heard:
            continue  # on its way out, where it is heard again; or sent again
        who = "server" if tcp[:2] == b"\x1f\x90" else "client"
        for bit, name in (1, "FIN"), (4, "RST"):
            if tcp[13] & bit:
                said[who].append(name)
                heard.add(bytes(tcp[:8]))
    print(*(", ".join(names) or "–" for names in said.values()), sep="\n")
END
    PYTHONUTF8=1 "$BUILD/tests/private" python3 "$BATS_TEST_TMPDIR/listen.py" \
        "$program" "${endings[@]}" >"$BATS_TEST_TMPDIR/wire" 3>&- || status=$?
    ((status != 77 && status != 125)) ||
        skip "this system lets nobody listen to a network"
    ((status == 0))
    for ending in "${endings[@]}"; do
        row_of "$ending" | head -n 2
    done | diff - "$BATS_TEST_TMPDIR/wire" >&2
}

# run_on PORT ENDING: sets PORT to the one that the server had.
run_on() {
    try "$program" "$2" "$1"
    expect_result 0 ""
    read -r PORT <"$OUT"
    PORT=${PORT##* }
}

@test "06-closing takes a port again whose last connection is in TIME_WAIT" {
    local first
    run_on 0 in-turn
    first=$PORT
    run_on "$first" in-turn
    expect_equal port "$first" "$PORT"
    skip_unless python3
    run -1 python3 -c \
        'import socket, sys; socket.socket().bind(("127.0.0.1", int(sys.argv[1])))' \
        "$first"
    [[ $output == *"Address already in use" ]]
}

@test "06-closing takes a port at once after a half-close: the client waits" {
    run_on 0 half-close
    skip_unless python3
    python3 -c \
        'import socket, sys; socket.socket().bind(("127.0.0.1", int(sys.argv[1])))' \
        "$PORT"
}

@test "06-closing says which port is taken" {
    start_server peer "$BUILD/peers/rude" serve whole
    try "$program" reset "$PORT"
    expect_result 1 "06-closing: bind 127.0.0.1:$PORT: Address already in use"
    expect_output --text ''
}

# fails_at ENDING CALL AT MESSAGE: an error in that call ends it, with words.
fails_at() {
    try "${faulty[@]}" FAULT_CALL="$2" FAULT_AT="$3" FAULT_ERRNO=5 \
        "$program" "$1" 0
    expect_result 1 "06-closing: $4: Input/output error"
}

@test "06-closing names the call that failed, and why" {
    need_faults
    fails_at reset socket 1 socket
    fails_at reset socket 2 socket
    fails_at reset setsockopt 1 "setsockopt SO_REUSEADDR"
    fails_at reset setsockopt 2 "server setsockopt"
    fails_at reset bind 1 "bind 127.0.0.1:0"
    fails_at reset listen 1 listen
    fails_at reset getsockname 1 getsockname
    fails_at reset connect 1 connect
    fails_at reset accept4 1 accept
    fails_at reset close 1 close
    fails_at reset close 2 "server close"
    fails_at reset getsockopt 1 "getsockopt TCP_INFO"
    fails_at reset fopen 1 /proc/net/tcp
    fails_at half-close send 1 "client send"
    fails_at half-close recv 1 "server recv"
    fails_at half-close shutdown 1 "client shutdown"
    fails_at killed fork 1 "server fork"
    # A program can be started with SIGCHLD ignored. Then nobody can wait for
    # a child, unless the program takes SIGCHLD back.
    # shellcheck disable=SC2016 # for that shell
    try bash -c 'trap "" CHLD && exec "$1" killed 0' - "$program"
    expect_equal status 0 "$status"
}

@test "06-closing closes what it opens: eight descriptors are enough" {
    local ending
    for ending in in-turn killed; do
        # shellcheck disable=SC2016 # for that shell
        try bash -c 'exec 3>&- 4>&- 5>&- 6>&- 7>&-
            ulimit -n 8 && exec "$@"' - "$program" "$ending" 0
        expect_result 0 ""
    done
}

@test "06-closing leaves no process behind, also when it cannot kill" {
    need_faults
    fails_at killed kill 1 "server kill"
    until_true nobody_left
    try "$program" killed 0
    expect_result 0 ""
    until_true nobody_left # not at once: others may be testing it, too
}

nobody_left() {
    local link
    for link in /proc/[0-9]*/exe; do
        [[ ! $link -ef $program ]] || return 1
    done
}

@test "06-closing says so when standard output is full, gone or closed" {
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - "$program" reset 0
    expect_equal "full" "06-closing: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "$program" reset 0
    expect_equal "gone" "06-closing: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bash -c '"$@" >&-' - "$program" reset 0
    expect_equal "closed" "06-closing: standard output: Bad file descriptor" \
        "$stderr"
    run -1 --separate-stderr bash -c '"$@" <&- >&-' - "$program" in-turn 0
    expect_equal "closed" "06-closing: standard output: Bad file descriptor" \
        "$stderr"
}

@test "06-closing takes ports from 0 to 65535, and says what is wrong" {
    local port
    need_faults
    for port in 65536 -1 +80 80x ' 80' '' http 18446744073709551617; do
        try "$program" reset "$port"
        expect_result 1 "06-closing: $port is not a port: 0 to 65535"
    done
    for port in 1 65535; do # perhaps taken, or forbidden: not our concern
        try "${faulty[@]}" FAULT_CALL=bind FAULT_ERRNO=98 "$program" reset "$port"
        expect_result 1 \
            "06-closing: bind 127.0.0.1:$port: Address already in use"
    done
}

@test "06-closing explains itself when asked, and when called wrongly" {
    local arguments
    local usage="usage: 06-closing in-turn|half-close|reset|unread|killed PORT"
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "reset" "reset 0 0" "rese 0" "reset2 0" "-h 0"; do
        # shellcheck disable=SC2086 # several words
        try "$program" $arguments
        expect_result 2 "$usage"
        expect_output --text ''
    done
    try "$program" "" 0
    expect_result 2 "$usage"
}

# Its twin prints less than the program: compared here.
@test "06's twin has the same half-close" {
    skip_unless python3
    try python3 lessons/06-closing/twin.py 0
    expect_result 0 ""
    # 5, 8 and 7 are FIN_WAIT2, CLOSE_WAIT and CLOSE.
    expect_output --text "server recv b'hello' b''
client recv b'hello'
states 5 8
client recv b'' state 7\n"
}

# The first read is the dynamic linker's.
@test "06-closing says so when /proc/net/tcp cannot be read to its end" {
    skip_unless strace
    [[ $BUILD != *asan* ]] || skip "no strace under the sanitizers"
    try strace -o "$BATS_TEST_TMPDIR/log" -e trace=read \
        -e inject=read:error=EIO:when=2+ "$BUILD/06-closing" in-turn 0
    expect_result 1 "06-closing: /proc/net/tcp: Input/output error"
}

# What the exercise's text says that its answer cannot do yet.
@test "06's solution hangs in send when the peer answers more than is held" {
    [[ -x $BUILD/solution/06-closing ]] || skip "it is not built"
    start_server echo "$BUILD/02-tcp-server" 0
    head -c 100000000 /dev/zero >"$BATS_TEST_TMPDIR/input"
    for SECONDS_ALLOWED in 0.3 1 4; do
        # shellcheck disable=SC2016 # for that shell
        try bash -c 'exec "$1" 127.0.0.1 "$2" <"$3"' - \
            "$BUILD/solution/06-closing" "$PORT" "$BATS_TEST_TMPDIR/input"
        expect_equal status 124 "$status"
        [[ $(<"$BATS_TEST_TMPDIR/ending") != "it was waiting in send on "* ]] ||
            return 0
    done
    false
}
