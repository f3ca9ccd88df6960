#!/usr/bin/env bats
# 21-multicast listen [-i INTERFACE] GROUP PORT and 21-multicast say [-n] [-i
# INTERFACE] [-t TTL] GROUP PORT MESSAGE: one datagram, many receivers.
# shellcheck disable=SC2016,SC2030,SC2031,SC2153,SC2154 # scripts; the library

load ../lib/common

program=$BUILD/21-multicast
usage="usage: 21-multicast listen [-i INTERFACE] GROUP PORT
       21-multicast say [-n] [-i INTERFACE] [-t TTL] GROUP PORT MESSAGE"

# in_private OPTIONS SCRIPT [ARGUMENT...]: runs the script in a private network,
# with the helpers below; all programs in it are stopped at its end.
in_private() {
    # shellcheck disable=SC2206 # several options
    local -a options=($1)
    "$BUILD/tests/private" "${options[@]}" true 2>/dev/null ||
        skip "this machine allows no such private network"
    SECONDS_ALLOWED=20 try env PROGRAM="$program" BUILD="$BUILD" \
        FOLDER="$BATS_TEST_TMPDIR" "$BUILD/tests/private" "${options[@]}" \
        bash -euc "$helpers
$2" - "${@:3}"
}

helpers='
trap "kill \$(jobs -p) 2>/dev/null || true; wait" EXIT
pause() { read -rt 0.01 <> <(:) || true; }
# await COMMAND...: until it succeeds, 10 seconds at most.
await() {
    local end=$((SECONDS + 10))
    until "$@"; do
        ((SECONDS < end)) || { echo "never: $*" >&2; exit 1; }
        pause
    done
}
# listen NAME ARGUMENT...: a listener; what it prints is in $FOLDER/NAME.
listen() {
    : >"$FOLDER/$1"
    "$PROGRAM" listen "${@:2}" >"$FOLDER/$1" &
    await grep -q "^listening" "$FOLDER/$1"
    PORT=$(sed -n "1s/.*://p" "$FOLDER/$1")
}
say() { "$PROGRAM" say "$@"; }
# heard NAME WORD: the listener has printed a message that ends so.
heard() { grep -q " said $2\$" "$FOLDER/$1"; }
'

@test "21-multicast sends one datagram, and all listeners of the group get it" {
    local i
    start_server one "$program" listen 239.1.2.3 0
    for i in two three; do
        start "$i" "$program" listen 239.1.2.3 "$PORT"
        wait_for "$i" "listening on 239.1.2.3:$PORT"
    done
    try "$program" say 239.1.2.3 "$PORT" "hello to all"
    expect_result 0 ""
    expect_output --text ''
    for i in one two three; do
        wait_for "$i" "*:[1-9]* said hello to all"
        stop "$i"
        expect_equal "status of $i" 0 "$ended"
        expect_lines "$i" "listening on 239.1.2.3:$PORT" "* said hello to all"
    done
}

@test "21-multicast takes any bytes, no byte, and 65507, and no more" {
    local message
    start_server listener "$program" listen 239.1.2.3 0
    message=$(printf '%065507d' 7)
    for message in '' $'two\nlines\tand \e[31m\x7f' 'größe' "$message"; do
        try "$program" say 239.1.2.3 "$PORT" "$message"
        expect_result 0 ""
    done
    wait_for listener "*0007"
    expect_lines listener "listening on *" "*:[1-9]* said " \
        "*:[1-9]* said two?lines?and ?\[31m?" "*:[1-9]* said größe" \
        "*:[1-9]* said 0000*0007"
    try "$program" say 239.1.2.3 "$PORT" "${message}8"
    expect_result 1 "21-multicast: sendto 239.1.2.3:$PORT: Message too long"
}

# The header of IPv6 does not count among the 65535 bytes that a length may be.
@test "21-multicast takes 65527 bytes over IPv6" {
    in_private -6 '
        listen one ff15::21 0
        message=$(printf "%065527d" 7)
        say ff15::21 "$PORT" "$message"
        await grep -q said "$FOLDER/one"
        sed -n "s/.* said //p" "$FOLDER/one" | tr -d "\n" | wc -c'
    expect_result 0 ""
    expect_output --text '65527\n'
}

@test "21-multicast listen hears its group, and no other on the same port" {
    local own
    start_server listener "$program" listen 239.1.2.3 0
    own=$PORT
    start other "$program" listen 239.1.2.4 "$own"
    wait_for other "listening on *"
    "$program" say 239.1.2.4 "$own" "not for you"
    wait_for other "* said not for you"
    "$program" say 239.1.2.3 "$own" "for you"
    wait_for listener "* said for you"
    expect_lines listener "listening on *" "* said for you"
}

@test "21-multicast: a socket that never joined hears the group, or with IP_MULTICAST_ALL 0 does not" {
    local own
    start_server listener "$program" listen 239.1.2.3 0
    own=$PORT
    start loose "$BUILD/peers/broadcast" hear "$own"
    start strict "$BUILD/peers/broadcast" hear -o "$own"
    wait_for loose "listening on *"
    wait_for strict "listening on *"
    "$program" say 239.1.2.3 "$own" "for members only"
    wait_for loose "heard for members only"
    wait_for listener "* said for members only"
    # What comes last is for everybody, and the first thing that strict hears.
    "$BUILD/peers/broadcast" send -b "$own" everybody
    wait_for strict "heard everybody"
    wait_for loose "heard everybody"
    expect_lines strict "listening on *" "heard everybody"
    expect_lines listener "listening on *" "* said for members only"
    # Without a member on this machine, nothing comes in.
    stop listener
    "$program" say 239.1.2.3 "$own" "nobody is a member"
    "$BUILD/peers/broadcast" send -b "$own" "everybody again"
    wait_for loose "heard everybody again"
    expect_lines loose "listening on *" "heard for members only" \
        "heard everybody" "heard everybody again"
}

@test "21-multicast: a broadcast needs SO_BROADCAST, and a unicast has one receiver" {
    local heard
    start_server one "$BUILD/peers/broadcast" hear 0
    start two "$BUILD/peers/broadcast" hear "$PORT"
    wait_for two "listening on *"
    try "$BUILD/peers/broadcast" send "$PORT" hello
    expect_result 1 \
        "broadcast: sendto 127.255.255.255:$PORT: Permission denied"
    try "$BUILD/03-udp" send 127.255.255.255 "$PORT" hello
    expect_result 1 \
        "03-udp: connect 127.255.255.255:$PORT: Permission denied"
    exec 7<>"/dev/udp/127.0.0.1/$PORT"
    printf alone >&7
    try "$BUILD/peers/broadcast" send -b "$PORT" hello
    expect_result 0 ""
    wait_for one "heard hello"
    wait_for two "heard hello"
    heard=$(cat "$BATS_TEST_TMPDIR/one.out" "$BATS_TEST_TMPDIR/two.out" |
        grep -c "heard alone")
    expect_equal "receivers of a unicast" 1 "$heard"
}

@test "21-multicast listen joins at its interface, and leaves when it ends" {
    in_private "-p" '
        listen one -i left 239.1.2.3 0
        listen two -i left 239.1.2.3 "$PORT"
        # Groups and their users, each below its interface.
        members() {
            awk "\$3 == \":\" { device = \$2 }
                \$1 == \"030201EF\" || \$1 == \"EF010203\" { print device, \$2 }
            " /proc/net/igmp
        }
        members
        kill $(jobs -p)
        wait
        members
        echo end'
    expect_result 0 ""
    expect_output --text 'left 2\nend\n'
}

@test "21-multicast listen hears only its interface, and -n sends no copy" {
    in_private "-p" '
        listen left -i left 239.1.2.3 0
        listen right -i right 239.1.2.3 "$PORT"
        listen lo 239.1.2.3 "$PORT"
        for i in left right lo; do
            say -i "$i" 239.1.2.3 "$PORT" "copy-$i"
            say -n -i "$i" 239.1.2.3 "$PORT" "none-$i"
        done
        # One after the other, so that all that comes has come.
        for i in left right lo; do await heard "$i" "none-.*"; done
        for i in left right; do await heard "$i" "copy-right"; done
        await heard left none-right
        await heard lo none-lo
        for i in left right lo; do
            sed -n "s/.* said /$i /p" "$FOLDER/$i" | sort
        done'
    expect_result 0 ""
    # What goes out of one end comes in at the other; the loopback needs no copy.
    expect_output --text 'left copy-left
left copy-right
left none-right
right copy-left
right copy-right
right none-left
lo copy-lo
lo none-lo
'
}

@test "21-multicast say sends with a TTL of 1, or with what -t says" {
    start_server peer "$BUILD/peers/discover" offer none 239.1.2.3
    try "$program" say 239.1.2.3 "$PORT" one
    try "$program" say -t 255 239.1.2.3 "$PORT" two
    try "$program" say -t 0 239.1.2.3 "$PORT" three
    expect_result 0 ""
    wait_for peer 'got "three"*'
    expect_lines peer "listening on *" 'got "one" from *, TTL 1' \
        'got "two" from *, TTL 255' 'got "three" from *, TTL 0'
}

# Three networks in a row. The one in the middle passes the group on.
@test "21-multicast say stays in its network, and with -t 2 passes one router" {
    skip_unless ip unshare nsenter python3
    cat >"$BATS_TEST_TMPDIR/router.py" <<'END'
import socket, struct, sys
MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC = 200, 202, 204
router = socket.socket(socket.AF_INET, socket.SOCK_RAW, 2)
router.setsockopt(0, MRT_INIT, 1)
for number, address in enumerate(("10.1.0.1", "10.2.0.1")):
    router.setsockopt(0, MRT_ADD_VIF, struct.pack("@HBBI4s4s", number, 0, 1, 0,
        socket.inet_aton(address), bytes(4)))
ttls = bytes([0, 1] + [0] * 30)
router.setsockopt(0, MRT_ADD_MFC, struct.pack("@4s4sH32sIIIi",
    socket.inet_aton("10.1.0.2"), socket.inet_aton("239.1.2.3"), 0, ttls,
    0, 0, 0, 0))
print("ready", flush=True)
sys.stdin.read()
END
    in_private "" 'exit 0'
    SECONDS_ALLOWED=20 try env PROGRAM="$program" FOLDER="$BATS_TEST_TMPDIR" \
        unshare -Urn bash -euc "$helpers"'
        unshare -n sleep 20 & near=$!
        unshare -n sleep 20 & far=$!
        other() { [[ $(readlink /proc/$1/ns/net) != $(readlink /proc/self/ns/net) ]]; }
        await other $near
        await other $far
        ip link add name to_near type veth peer name near netns $near || exit 77
        ip link add name to_far type veth peer name far netns $far
        ip addr add 10.1.0.1/24 dev to_near
        ip link set to_near up
        ip addr add 10.2.0.1/24 dev to_far
        ip link set to_far up
        echo 1 >/proc/sys/net/ipv4/ip_forward
        nsenter -n -t $near ip addr add 10.1.0.2/24 dev near
        nsenter -n -t $near ip link set near up
        nsenter -n -t $far ip addr add 10.2.0.2/24 dev far
        nsenter -n -t $far ip link set far up
        nsenter -n -t $far ip route add 10.1.0.0/24 via 10.2.0.1
        mkfifo "$FOLDER/never"
        : >"$FOLDER/router"
        : >"$FOLDER/why"
        python3 "$FOLDER/router.py" <>"$FOLDER/never" >"$FOLDER/router" \
            2>"$FOLDER/why" &
        await grep -q ready "$FOLDER/router" "$FOLDER/why"
        : >"$FOLDER/listener"
        nsenter -n -t $far "$PROGRAM" listen -i far 239.1.2.3 8080 \
            >"$FOLDER/listener" &
        await grep -q listening "$FOLDER/listener"
        tell() {
            nsenter -n -t $near "$PROGRAM" say -i near "$@"
        }
        # The first packets may be lost while the kernels learn who is there.
        passed() {
            tell -t 2 239.1.2.3 8080 "two hops"
            pause
            heard listener "two hops"
        }
        await passed
        tell 239.1.2.3 8080 "one hop"
        tell -t 1 239.1.2.3 8080 "one hop"
        tell -t 2 239.1.2.3 8080 "the end"
        await heard listener "the end"
        ! grep "one hop" "$FOLDER/listener"' || true
    if [[ $status == 77 || $errors == *"Operation not permitted"* ||
        $errors == *"Operation not supported"* || -s $BATS_TEST_TMPDIR/why ]]; then
        skip "this machine allows no router of groups"
    fi
    expect_result 0 ""
    expect_output --text ''
}

@test "21-multicast hears and sends to groups of IPv6, link-local ones too" {
    in_private "-6 -p" '
        listen wide ff15::21 0
        say ff15::21 "$PORT" wide
        await heard wide wide
        listen left -i left ff02::21 "$PORT"
        listen lo ff02::21 "$PORT"
        say -i left ff02::21 "$PORT" from-left
        say -n -i left ff02::21 "$PORT" no-copy
        say -i right ff02::21 "$PORT" from-right
        say -i lo ff02::21 "$PORT" from-lo
        await heard left from-right
        await heard lo from-lo
        head -n 1 "$FOLDER/left" | sed "s/:[0-9]*\$//"
        sed -n "s/.* said /left /p" "$FOLDER/left" | sort
        sed -n "s/.* said /lo /p" "$FOLDER/lo"
        sed -n "s/:[0-9]* said / /p" "$FOLDER/wide"
        grep -c "^3 *left *ff0200.*0021 " /proc/net/igmp6'
    expect_result 0 ""
    expect_output --text 'listening on [ff02::21%left]
left from-left
left from-right
lo from-lo
[::1] wide
1
'
}

# For IPv4 the kernel compares the interface too. For IPv6 it does only where the
# group is link-local, and its number is a part of the address.
@test "21-multicast listen hears a wide group of IPv6 wherever somebody has joined" {
    in_private "-6 -p" '
        listen left -i left ff15::21 0
        say ff15::21 "$PORT" before
        listen lo ff15::21 "$PORT"
        say ff15::21 "$PORT" at-lo
        await heard lo at-lo
        await heard left at-lo
        cat "$FOLDER/left" "$FOLDER/lo" | sed -n "s/.* said //p"'
    expect_result 0 ""
    expect_output --text 'at-lo\nat-lo\n'
}

@test "21-multicast says that IPv6 needs a route through the loopback" {
    in_private "" '"$PROGRAM" say ff15::21 8080 hello'
    expect_result 1 \
        "21-multicast: sendto [ff15::21]:8080: Network is unreachable"
}

@test "21-multicast: the sniffer of lesson 35 shows the reports of IGMP and MLD" {
    in_private "" '
        : >"$FOLDER/reports"
        "$BUILD/35-packet-sniffer" >"$FOLDER/reports" &
        await grep -q capturing "$FOLDER/reports"
        listen four 239.9.9.9 0
        listen six ff15::21 0
        await grep -q "224.0.0.22" "$FOLDER/reports"
        await grep -q "ff02::16" "$FOLDER/reports"
        grep -m 1 224.0.0.22 "$FOLDER/reports" | cut -d " " -f 2-
        grep -m 1 ff02::16 "$FOLDER/reports" | cut -d " " -f 2-'
    expect_result 0 ""
    expect_output --text '0.0.0.0 > 224.0.0.22 IP protocol 2, 16 bytes
:: > ff02::16 ICMPv6 type 143 code 0, 20 bytes
'
}

@test "21-multicast and strangers hear each other: python3" {
    skip_unless python3
    cat >"$BATS_TEST_TMPDIR/stranger.py" <<'END'
import socket, struct, sys
group, own = socket.inet_aton("239.1.2.3"), socket.inet_aton("127.0.0.1")
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("239.1.2.3", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + own)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
s.settimeout(10)
print("listening on", s.getsockname()[1], flush=True)
print(s.recvfrom(100)[0].decode(), flush=True)
s.sendto(b"hello from Python", ("239.1.2.3", int(sys.argv[1])))
END
    start_server listener "$program" listen 239.1.2.3 0
    start python python3 "$BATS_TEST_TMPDIR/stranger.py" "$PORT"
    wait_for python "listening on *"
    try "$program" say 239.1.2.3 "$PORT" "hello from C"
    wait_for listener "* said hello from C"
    wait_for listener "* said hello from Python"
    finish python
    expect_lines python "listening on $PORT" "hello from C"
}

@test "21-multicast and strangers hear each other: socat" {
    skip_unless socat
    start_server listener "$program" listen 239.1.2.3 0
    start socat socat -u \
        "UDP4-RECV:$PORT,reuseaddr,ip-add-membership=239.1.2.3:127.0.0.1" -
    # It says nothing when it is ready, so we ask until it hears us.
    until_true socat_hears
    printf 'hello from socat' | bounded socat -u - \
        "UDP4-DATAGRAM:239.1.2.3:$PORT,ip-multicast-if=127.0.0.1" 3>&-
    wait_for listener "* said hello from socat"
}

socat_hears() {
    "$program" say 239.1.2.3 "$PORT" "hello from C"
    grep -q "hello from C" "$BATS_TEST_TMPDIR/socat.out"
}

@test "21-multicast listen ends with status 0 when it is told to" {
    local signal
    for signal in INT TERM; do
        start_server listener "$program" listen 239.1.2.3 0
        stop listener "$signal"
        expect_equal "status after SIG$signal" 0 "$ended"
    done
}

@test "21-multicast listen ends also when the signal comes before it sleeps" {
    need_faults
    start_server listener "${faulty[@]}" FAULT_CALL=recvfrom FAULT_SIGNAL=15 \
        "$program" listen 239.1.2.3 0
    finish listener
    expect_equal "status" 0 "$ended"
}

@test "21-multicast listen goes on when nothing can be received, and says so" {
    need_faults
    start_server listener "${faulty[@]}" FAULT_CALL=recvfrom FAULT_ERRNO=105 \
        "$program" listen 239.1.2.3 0
    wait_for listener "21-multicast: recvfrom: No buffer space available" err
    "$program" say 239.1.2.3 "$PORT" "still there?"
    wait_for listener "* said still there?"
}

@test "21-multicast listen is not disturbed by a signal that does not mean the end" {
    need_faults
    start_server listener "${faulty[@]}" FAULT_CALL=recvfrom FAULT_ERRNO=4 \
        FAULT_TIMES=3 "$program" listen 239.1.2.3 0
    "$program" say 239.1.2.3 "$PORT" hello
    wait_for listener "* said hello"
    stop listener
    expect_equal "errors" "" "$(<"$BATS_TEST_TMPDIR/listener.err")"
}

@test "21-multicast names the call that failed, and why" {
    local call
    need_faults
    for call in socket "setsockopt SO_REUSEADDR" "bind 239.1.2.3:0" \
        getsockname; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$program" listen 239.1.2.3 0
        expect_result 1 "21-multicast: $call: Input/output error"
        expect_output --text ''
    done
    for call in socket "setsockopt IP_MULTICAST_IF" "sendto 239.1.2.3:8080" \
        close; do
        try "${faulty[@]}" FAULT_CALL="${call%% *}" FAULT_ERRNO=5 \
            "$program" say 239.1.2.3 8080 hello
        expect_result 1 "21-multicast: $call: Input/output error"
    done
    start_server listener "${faulty[@]}" FAULT_CALL=close FAULT_ERRNO=5 \
        "$program" listen 239.1.2.3 0
    stop listener
    expect_equal "status" 1 "$ended"
    says listener "21-multicast: close: Input/output error" err
}

@test "21-multicast listen says so when its output cannot be written" {
    try_with /dev/null /dev/full "$program" listen 239.1.2.3 0
    expect_result 1 "21-multicast: standard output: No space left on device"
    start_server listener bash -c 'exec "$@" > >(exec head -n 1)' - \
        "$program" listen 239.1.2.3 0
    until_true broken_pipe_is_said
    stop listener
    expect_equal "status" 1 "$ended"
    says listener "*not every line could be written" err
    run -1 bounded bash -c 'exec "$@" >&-' - "$program" listen 239.1.2.3 0
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$program" listen 239.1.2.3 0
}

broken_pipe_is_said() {
    "$program" say 239.1.2.3 "$PORT" hello
    says listener "21-multicast: standard output: Broken pipe" err
}

@test "21-multicast listen does not take a port that somebody does not share" {
    skip_unless python3
    start holder python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("239.1.2.9", 0))
print("listening on 239.1.2.9:%d" % s.getsockname()[1], flush=True)
time.sleep(20)'
    wait_for holder "listening on *"
    port_of holder
    try "$program" listen 239.1.2.9 "$PORT"
    expect_result 1 "21-multicast: bind 239.1.2.9:$PORT: Address already in use"
}

@test "21-multicast prints its usage" {
    local -a wrong
    try "$program" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for wrong in "" listen "listen 239.1.2.3" "listen 239.1.2.3 80 more" say \
        "say 239.1.2.3 80" "say 239.1.2.3 80 a b" "tell 239.1.2.3 80"; do
        # shellcheck disable=SC2086 # several words
        try "$program" $wrong
        expect_result 2 "$usage"
    done
    try "$program" listen -t 1 239.1.2.3 80
    expect_equal "status" 2 "$status"
    try "$program" say -z 239.1.2.3 80 hello
    expect_equal "status" 2 "$status"
    try "$program" say -h 239.1.2.3 80 hello
    expect_equal "status" 2 "$status"
}

@test "21-multicast says what is wrong with a group, a port, a TTL or an interface" {
    local value
    for value in 127.0.0.1 223.255.255.255 240.0.0.0 ::1 feff::1; do
        try "$program" listen "$value" 0
        expect_result 1 "21-multicast: $value is not a group: 224.0.0.0 to \
239.255.255.255, or IPv6 from ff00:: on"
    done
    try "$program" listen "not a name" 0
    expect_equal "status" 1 "$status"
    [[ $errors == "21-multicast: not a name: "* ]]
    for value in 65536 80x '' ' 80'; do
        try "$program" listen 239.1.2.3 "$value"
        expect_result 1 "21-multicast: $value is not a port: 0 to 65535"
    done
    try "$program" say 239.1.2.3 0 hello
    expect_result 1 "21-multicast: 0 is not a port: 1 to 65535"
    for value in 256 -1 x '' 1x; do
        try "$program" say -t "$value" 239.1.2.3 80 hello
        expect_result 1 "21-multicast: $value is not a TTL: 0 to 255"
    done
    try "$program" say -i nowhere 239.1.2.3 80 hello
    expect_result 1 "21-multicast: interface nowhere: No such device"
    try "$program" listen ff02::5%7 0
    expect_result 1 "21-multicast: ff02::5%7 is at another interface than lo: use -i"
    for value in 224.0.0.1 239.255.255.255; do
        start_server listener "$program" listen "$value" 0
        stop listener
    done
}
