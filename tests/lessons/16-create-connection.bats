#!/usr/bin/env bats
# 16-create-connection [-4|-6] [-d MILLISECONDS] [-t SECONDS] HOST PORT: one
# line, from whichever address of a name answers. Its twin prints less on
# standard error. tests/workbook/dial.bats has what this program does not show.

load ../lib/common
load ../lib/clock

client=$BUILD/16-create-connection
rude=$BUILD/peers/rude
private=$BUILD/tests/private

# names ADDRESS+...: sets named, to run a command for which `host` has these.
names() {
    need_faults
    named=("${faulty[@]/faults/names}" NAMES=host="$1")
}

# with_faults FAULT...: sets named, so that these faults happen too.
with_faults() {
    named[1]="LD_PRELOAD=$PWD/$BUILD/tests/faults.so:$PWD/${named[1]#*=}"
    named+=("$@")
}

# nobody refuse: sets PORT to one where every SYN is refused; nobody swallow: to
# one where none is answered.
nobody() {
    start nobody "$rude" "$1"
    wait_for nobody '* on *'
    port_of nobody
}

# steps [FILE]: sets step to what was told, without the times, and time to the
# milliseconds of each.
steps() {
    local line file=${1:-$BATS_TEST_TMPDIR/err}
    step=()
    time=()
    while IFS= read -r line; do
        [[ $line =~ ^\ *([0-9]+)\ ms\ \ (.*)$ ]] || continue
        time+=("${BASH_REMATCH[1]}")
        step+=("${BASH_REMATCH[2]}")
    done <"$file"
}

# expect_steps TEXT: these steps, a line each.
expect_steps() {
    steps
    expect_equal steps "$1" "$(printf '%s\n' "${step[@]}")"
}

# expect_apart FIRST SECOND LEAST: from one step to another it took so many
# milliseconds, or more.
expect_apart() {
    ((time[$2] - time[$1] >= $3)) ||
        fail "step $2 came too early" --show "${time[*]}"
}

# summary: sets said to what was told that is no step.
summary() {
    said=$(grep -v ' ms  ' "$BATS_TEST_TMPDIR/err") || true
}

@test "16-create-connection prints the line of the only address" {
    start_server peer "$rude" serve whole
    try "$client" 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    "$rude" payload whole | cmp - "$OUT"
    expect_steps "127.0.0.1:$PORT: trying
127.0.0.1:$PORT: connected"
}

past_refusals() {
    try "${named[@]}" "$client" host "$PORT"
    steps
    took=$((time[5] - time[0]))
}

@test "16-create-connection tries the next address at once after a refusal" {
    local named
    names 127.0.0.3+127.0.0.2+127.0.0.1
    start_server peer "$rude" -c 5 serve whole
    for _ in 1 2 3 4 5; do
        past_refusals
        ((took > 150)) || break
    done
    ((took <= 150))
    expect_equal status 0 "$status"
    "$rude" payload whole | cmp - "$OUT"
    expect_steps "127.0.0.3:$PORT: trying
127.0.0.3:$PORT: Connection refused
127.0.0.2:$PORT: trying
127.0.0.2:$PORT: Connection refused
127.0.0.1:$PORT: trying
127.0.0.1:$PORT: connected"
}

# The copy of dial.c that the text makes.
@test "16-create-connection without one line of dial waits after a refusal" {
    local named step time patient=$BATS_TEST_TMPDIR/patient
    names 127.0.0.2+127.0.0.3
    nobody refuse
    grep -v -e '== &race->dial->attempts' -e 'need not wait' \
        common/dial.c >"$patient.c"
    cc -Icommon -o "$patient" "$patient.c" \
        "$SOURCE/create-connection.c" \
        common/{addr,deadline,number}.c
    try "${named[@]}" "$patient" host "$PORT"
    steps
    expect_equal third "127.0.0.3:$PORT: trying" "${step[2]}"
    expect_apart 0 2 250
}

@test "16-create-connection goes on at once from an unreachable address" {
    local name=host=192.0.2.1+127.0.0.1
    need_faults
    "$private" true 2>/dev/null || skip "this system allows no private network"
    # Only the loopback is there, so there is no way to 192.0.2.1.
    # shellcheck disable=SC2016 # the inner shell expands them
    try "$private" bash -c '
        trap "kill %1" EXIT
        coproc "$1" -p 8080 serve whole
        read -r <&"${COPROC[0]}"
        env LD_PRELOAD="$2" NAMES="$3" "$4" host 8080' - "$rude" \
        "$BUILD/tests/names.so" "$name" "$client"
    steps
    expect_equal first "192.0.2.1:8080: trying" "${step[0]}"
    expect_equal second "192.0.2.1:8080: Network is unreachable" "${step[1]}"
    expect_equal third "127.0.0.1:8080: trying" "${step[2]}"
    ((time[2] - time[0] < 250))
    "$rude" payload whole | cmp - "$OUT"
}

@test "16-create-connection reports all of eight addresses that fail" {
    local named i list=127.0.0.1 told='' reasons=''
    for i in {2..8}; do
        list+=+127.0.0.$i
    done
    names "$list"
    nobody refuse
    try "${named[@]}" "$client" host "$PORT"
    expect_equal status 1 "$status"
    expect_output --text ''
    for i in {1..8}; do
        told+="127.0.0.$i:$PORT: trying
127.0.0.$i:$PORT: Connection refused
"
        reasons+="16-create-connection: connect 127.0.0.$i:$PORT: Connection \
refused
"
    done
    expect_steps "${told%$'\n'}"
    summary
    expect_equal reasons "${reasons%$'\n'}" "$said"
}

@test "16-create-connection starts no two attempts within 250 ms, if none fails" {
    local named said step time i
    names 127.0.0.1+127.0.0.1+127.0.0.1+127.0.0.1
    nobody swallow
    try "${named[@]}" "$client" -t 0.7 host "$PORT"
    expect_equal status 1 "$status"
    expect_steps "127.0.0.1:$PORT: trying
127.0.0.1:$PORT: trying
127.0.0.1:$PORT: trying
127.0.0.1:$PORT: Connection timed out
127.0.0.1:$PORT: Connection timed out
127.0.0.1:$PORT: Connection timed out"
    expect_apart 0 1 250
    expect_apart 1 2 250
    summary
    expect_equal "last line" \
        "16-create-connection: 127.0.0.1:$PORT: there was no time to try it" \
        "${said##*$'\n'}"
}

# has_told PATTERN: the client in the background has told such a step.
has_told() {
    says client "$1" err
}

# order ADDRESS...: what is tried, if all fail at once.
order() {
    local IFS=+
    names "$*"
    with_faults FAULT_CALL=connect FAULT_ERRNO=111 FAULT_TIMES=99
    try "${named[@]}" "$client" host 8080
    steps
    tried=$(printf '%s\n' "${step[@]}" | sed -n 's/:8080: trying//p' | paste -sd ' ')
}

@test "16-create-connection lets the families take turns, from the first one on" {
    local named tried
    order ::1 ::2 ::3 ::4 127.0.0.1 127.0.0.2
    expect_equal order \
        "[::1] 127.0.0.1 [::2] 127.0.0.2 [::3] [::4]" "$tried"
    order 127.0.0.1 127.0.0.2 127.0.0.3 ::1
    expect_equal order "127.0.0.1 [::1] 127.0.0.2 127.0.0.3" "$tried"
    order ::1 127.0.0.1 127.0.0.2 127.0.0.3 ::2
    expect_equal order "[::1] 127.0.0.1 [::2] 127.0.0.2 127.0.0.3" "$tried"
    order 127.0.0.2 127.0.0.1
    expect_equal order "127.0.0.2 127.0.0.1" "$tried"
    order ::2 ::1
    expect_equal order "[::2] [::1]" "$tried"
}

@test "16-create-connection -4 and -6 try one family only" {
    local named
    names ::1+127.0.0.1
    nobody refuse
    try "${named[@]}" "$client" -4 host "$PORT"
    expect_steps "127.0.0.1:$PORT: trying
127.0.0.1:$PORT: Connection refused"
    with_faults FAULT_CALL=connect FAULT_ERRNO=111
    try "${named[@]}" "$client" -6 host "$PORT"
    expect_steps "[::1]:$PORT: trying
[::1]:$PORT: Connection refused"
    names 127.0.0.1
    try "${named[@]}" "$client" -6 host "$PORT"
    expect_result 1 "16-create-connection: host: Name or service not known"
}

@test "16-create-connection has one socket as soon as one attempt has won" {
    local named sockets flags port
    names 127.0.0.1+127.0.0.1+127.0.0.2
    nobody swallow
    port=$PORT
    start_server peer "$rude" -b 127.0.0.2 -p "$port" serve stall
    start client "${named[@]}" "$client" -d 20 -t 60 host "$port"
    until_true has_told "*127.0.0.1:$port: given up"
    until_true holds_sockets "$(pid_of client)" 1
    flags_of "$(pid_of client)" "${sockets[0]}"
    expect_equal flags 02004002 "$flags"
}

@test "16-create-connection sleeps while it waits" {
    local port
    nobody swallow
    start client "$client" -t 60 127.0.0.1 "$PORT"
    until_true has_told "*trying"
    until_true is_asleep "$(pid_of client)"
    stop client
    start_server peer "$rude" serve stall
    start client "$client" -t 60 127.0.0.1 "$PORT"
    wait_for peer connected
    until_true is_asleep "$(pid_of client)"
}

# knock [COMMAND...] HOST: where no address answers.
knock() {
    nobody swallow
    timed "${@:1:$#-1}" "$client" -d 10 -t 0.25 "${!#}" "$PORT"
}

@test "16-create-connection has one deadline for all attempts" {
    local named said
    names 127.0.0.1+127.0.0.1+127.0.0.1
    measured 24 40 knock "${named[@]}" host
    expect_equal status 1 "$status"
    summary
    expect_equal said \
        "16-create-connection: connect 127.0.0.1:$PORT: Connection timed out
16-create-connection: connect 127.0.0.1:$PORT: Connection timed out
16-create-connection: connect 127.0.0.1:$PORT: Connection timed out" "$said"
}

@test "16-create-connection has one deadline for connecting and receiving" {
    local step time said
    start_server peer "$rude" -d 40 serve dribble
    measured 9 25 dribbled
    expect_equal status 1 "$status"
    summary
    expect_equal said "16-create-connection: recv: deadline passed before the \
end of the line" "$said"
}

dribbled() {
    start_server peer "$rude" -d 40 serve dribble
    timed "$client" -t 0.1 127.0.0.1 "$PORT"
}

@test "16-create-connection does not wait longer for a storm of signals" {
    local named
    names 127.0.0.1+127.0.0.1
    with_faults FAULT_SIGNALS=1000
    measured 24 40 knock "${named[@]}" host
    expect_equal status 1 "$status"
    names 127.0.0.1+127.0.0.2
    with_faults FAULT_SIGNALS=1000
    nobody swallow
    start_server peer "$rude" -b 127.0.0.2 -p "$PORT" serve whole
    try "${named[@]}" "$client" -d 50 host "$PORT"
    expect_equal status 0 "$status"
    "$rude" payload whole | cmp - "$OUT"
}

# against FACE [OPTION...]: a line is asked for.
against() {
    local face=$1
    shift
    start_server peer "$rude" -s 7 "$@" serve "$face"
    "$rude" -s 7 "$@" payload "$face" >"$BATS_TEST_TMPDIR/payload"
    try "$client" -t "${limit:-5}" 127.0.0.1 "$PORT"
    summary
}

payload() {
    echo "$BATS_TEST_TMPDIR/payload"
}

cut="16-create-connection: peer closed before the end of the line"

@test "16-create-connection prints a line that comes in pieces, or with another" {
    local face
    for face in dribble deaf; do
        against "$face"
        expect_equal status 0 "$status"
        expect_output "$(payload)"
    done
    for face in join garbage; do
        against "$face"
        expect_equal status 0 "$status"
        head -n 1 "$(payload)" >"$BATS_TEST_TMPDIR/line"
        expect_output "$BATS_TEST_TMPDIR/line"
    done
}

@test "16-create-connection prints what came, and says why a line has no end" {
    against half-close
    expect_equal status 1 "$status"
    expect_output "$(payload)"
    expect_equal said "$cut" "$said"
    against flood
    expect_equal status 1 "$status"
    expect_output "$(payload)"
    expect_equal said "$cut" "$said"
    against reset -d 50
    expect_equal status 1 "$status"
    expect_output "$(payload)"
    expect_equal said "16-create-connection: recv: Connection reset by peer" \
        "$said"
    limit=0.1 against stall
    expect_equal status 1 "$status"
    expect_output "$(payload)"
}

@test "16-create-connection says why a name means nothing" {
    local named
    names 127.0.0.1
    try "${named[@]}" "$client" nobody 80
    expect_result 1 "16-create-connection: nobody: Name or service not known"
    try "${named[@]}" NAMES_ERROR=-11 NAMES_ERRNO=13 "$client" host 80
    expect_result 1 "16-create-connection: host: Permission denied"
    try "${named[@]}" NAMES_LOG="$BATS_TEST_TMPDIR/log" "$client" -t 0.1 host 1
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
}

@test "16-create-connection names the call that failed, and goes on if it can" {
    local named at call
    start_server peer "$rude" -c 20 serve whole
    for call in socket connect 'getsockopt SO_ERROR' poll; do
        names 127.0.0.1+127.0.0.1
        with_faults FAULT_CALL="${call%% *}" FAULT_ERRNO=5
        try "${named[@]}" "$client" host "$PORT"
        expect_equal "status after $call" 0 "$status"
        steps
        expect_equal "second step" "127.0.0.1:$PORT: Input/output error" \
            "${step[1]}"
        names 127.0.0.1
        with_faults FAULT_CALL="${call%% *}" FAULT_ERRNO=5
        try "${named[@]}" "$client" host "$PORT"
        expect_equal "status after $call" 1 "$status"
        summary
        expect_equal said "16-create-connection: $call 127.0.0.1:$PORT: \
Input/output error" "$said"
    done
    # The first two calls of fcntl are for descriptors 1 and 2.
    while read -r at call; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_AT="$at" FAULT_ERRNO=5 \
            "$client" 127.0.0.1 "$PORT"
        expect_equal "status after $call" 1 "$status"
        summary
        expect_equal said "16-create-connection: $call: Input/output error" \
            "$said"
    done <<'END'
1 clock_gettime
1 recv
1 close
END
}

@test "16-create-connection polls again after a signal" {
    need_faults
    start_server peer "$rude" serve whole
    try "${faulty[@]}" FAULT_CALL=poll FAULT_ERRNO=4 "$client" 127.0.0.1 "$PORT"
    expect_equal status 0 "$status"
    "$rude" payload whole | cmp - "$OUT"
}

@test "16-create-connection says so when standard output is full, gone or closed" {
    start_server peer "$rude" -c 3 serve whole
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - \
        "$client" 127.0.0.1 "$PORT"
    [[ $stderr == *"
16-create-connection: standard output: No space left on device" ]]
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "$client" 127.0.0.1 "$PORT"
    [[ $stderr == *"
16-create-connection: standard output: Broken pipe" ]]
    run -1 --separate-stderr bash -c '"$@" >&-' - "$client" 127.0.0.1 "$PORT"
    expect_equal closed \
        "16-create-connection: descriptor 1: Bad file descriptor" "$stderr"
    run -1 bash -c '"$@" 2>&-' - "$client" 127.0.0.1 "$PORT"
}

@test "16-create-connection takes 10 to 60000 milliseconds, and says what is wrong" {
    local bad
    for bad in 9 0 60001 -1 +10 ' 10' 10x '' 1e2 99999999999999999999; do
        try "$client" -d "$bad" 127.0.0.1 80
        expect_result 1 \
            "16-create-connection: $bad is not a number of milliseconds: 10 to \
60000"
    done
    start_server peer "$rude" -c 9 serve whole
    for bad in 10 60000 00010; do
        try "$client" -d "$bad" 127.0.0.1 "$PORT"
        expect_equal status 0 "$status"
    done
}

@test "16-create-connection takes up to a day of seconds, and says what is wrong" {
    local bad
    for bad in 0 0.0 86400.1 -1 ' 1' 1x '' . nan; do
        try "$client" -t "$bad" 127.0.0.1 80
        expect_result 1 \
            "16-create-connection: $bad is not a number of seconds above 0, up to 86400"
    done
    start_server peer "$rude" -c 9 serve whole
    for bad in 86400 1.5; do
        try "$client" -t "$bad" 127.0.0.1 "$PORT"
        expect_equal status 0 "$status"
    done
}

@test "16-create-connection takes ports from 1 to 65535, and says what is wrong" {
    local port
    for port in 0 65536 -1 +80 80x ' 80' '' http; do
        try "$client" -- 127.0.0.1 "$port"
        expect_result 1 "16-create-connection: $port is not a port: 1 to 65535"
    done
    need_faults
    for port in 1 65535; do
        try "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
            "$client" 127.0.0.1 "$port"
        expect_equal status 1 "$status"
        [[ $errors == *"
16-create-connection: connect 127.0.0.1:$port: Connection refused" ]]
    done
}

@test "16-create-connection explains itself when asked, and when called wrongly" {
    local wrong usage="usage: 16-create-connection [-4|-6] [-d MILLISECONDS] \
[-t SECONDS] HOST PORT"
    local -a words
    try "$client" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for wrong in "" "127.0.0.1" "127.0.0.1 80 more" "-4 -6 127.0.0.1 80" \
        "-6 -4 127.0.0.1 80" "127.0.0.1 80 -4"; do
        read -ra words <<<"$wrong"
        try "$client" "${words[@]}"
        expect_result 2 "$usage"
    done
    try "$client" -x 127.0.0.1 80
    expect_equal status 2 "$status"
    [[ $errors == *"$usage" ]]
    expect_output --text ''
}

@test "16-create-connection's twin in Python prints the line, or says it was cut" {
    skip_unless python3
    start_server peer "$rude" serve whole half-close
    try python3 lessons/16-create-connection/twin.py 127.0.0.1 "$PORT"
    expect_result 0 ""
    "$rude" payload whole | cmp - "$OUT"
    try python3 lessons/16-create-connection/twin.py 127.0.0.1 "$PORT"
    expect_result 1 "peer closed before the end of the line"
}

# The kernel sends a SYN again, for one after three seconds. If it is refused then,
# the first attempt has failed, but the second has not had its time.
@test "16-create-connection starts none when an attempt before the last fails" {
    local named port step time
    names 127.0.0.1+127.0.0.2+127.0.0.3
    nobody swallow
    port=$PORT
    start second "$rude" -b 127.0.0.2 -p "$port" swallow
    wait_for second '* on *'
    start_server peer "$rude" -b 127.0.0.3 -p "$port" serve whole
    start client "${named[@]}" "$client" -d 2400 host "$port"
    until_true has_told "*127.0.0.2:$port: trying"
    stop nobody
    finish client
    expect_equal status 0 "$ended"
    steps "$BATS_TEST_TMPDIR/client.err"
    expect_equal steps "127.0.0.1:$port: trying
127.0.0.2:$port: trying
127.0.0.1:$port: Connection refused
127.0.0.3:$port: trying
127.0.0.3:$port: connected
127.0.0.2:$port: given up" "$(printf '%s\n' "${step[@]}")"
    expect_apart 1 3 2400
}

@test "16-create-connection goes on with the first attempt, which may still win" {
    local named port step time
    names 127.0.0.1+127.0.0.2
    nobody swallow
    port=$PORT
    start second "$rude" -b 127.0.0.2 -p "$port" swallow
    wait_for second '* on *'
    start client "${named[@]}" "$client" -d 50 host "$port"
    until_true has_told "*127.0.0.2:$port: trying"
    stop nobody
    start_server peer "$rude" -p "$port" serve whole
    finish client
    expect_equal status 0 "$ended"
    steps "$BATS_TEST_TMPDIR/client.err"
    expect_equal steps "127.0.0.1:$port: trying
127.0.0.2:$port: trying
127.0.0.1:$port: connected
127.0.0.2:$port: given up" "$(printf '%s\n' "${step[@]}")"
}

# in_network COMMAND...: in a private network, with a hosts file of this test,
# where `mirror` has a silent address and a good one, at port 8080. Sets took to
# how long COMMAND ran, in hundredths of a second.
in_network() {
    local etc=$BATS_TEST_TMPDIR/etc
    rm -rf "$etc"
    cp -r tests/lib/etc "$etc"
    printf '127.0.0.1 mirror\n127.0.0.2 mirror\n%s\n' "$more" >>"$etc/hosts"
    # IPv4 first, where a name has both.
    [[ -z $six ]] || echo 'precedence ::ffff:0:0/96 100' >>"$etc/gai.conf"
    cat >"$BATS_TEST_TMPDIR/network" <<'END'
cd "$HERE"
trap 'kill $(jobs -p)' EXIT
"$RUDE" -p 8080 swallow >"$FOLDER/silent" &
"$RUDE" -b 127.0.0.2 -p 8080 -c 9 serve whole >"$FOLDER/good" &
[[ -z $SIX ]] || python3 -c "$SIX" >"$FOLDER/six" &
until [[ -s $FOLDER/silent && -s $FOLDER/good && (-z $SIX || -s $FOLDER/six) ]]; do
    read -rt 0.01 <>"$FOLDER/never" || true
done
read -r before _ </proc/uptime
"$@"
status=$?
read -r after _ </proc/uptime
echo $((10#${after/./} - 10#${before/./})) >"$FOLDER/took"
exit $status
END
    rm -f "$BATS_TEST_TMPDIR"/{never,silent,good,six,took}
    mkfifo "$BATS_TEST_TMPDIR/never"
    try env HERE="$PWD" RUDE="$rude" FOLDER="$BATS_TEST_TMPDIR" \
        SIX="$six" "$private" -e "$etc" bash "$BATS_TEST_TMPDIR/network" "$@"
    took=$(<"$BATS_TEST_TMPDIR/took")
}
six= # a program in Python that also serves
more=

need_names() {
    "$private" -e tests/lib/etc true 2>/dev/null ||
        skip "this system allows no private names"
}

@test "16-create-connection connects past a silent address after 250 ms" {
    need_names
    measured 25 30 in_network "$client" mirror 8080
    expect_equal status 0 "$status"
    "$rude" payload whole | cmp - "$OUT"
    expect_steps "127.0.0.1:8080: trying
127.0.0.2:8080: trying
127.0.0.2:8080: connected
127.0.0.1:8080: given up"
    expect_apart 0 1 250
}

@test "16-create-connection -d says how long it waits for a silent address" {
    need_names
    measured 5 20 in_network "$client" -d 50 mirror 8080
    expect_equal status 0 "$status"
    steps
    expect_apart 0 1 50
    measured 40 55 in_network "$client" -d 400 mirror 8080
    steps
    expect_apart 0 1 400
}

# python CODE: in that network, after `import socket, asyncio`. CODE prints how
# long it took, in hundredths of a second; Python itself takes long to start.
python() {
    in_network python3 -c "
import asyncio, socket, time
start = time.monotonic()
$1
print(int((time.monotonic() - start) * 100))"
    [[ $status == 0 ]] || return 0
    took=$(<"$OUT")
}

@test "Python's create_connection waits for a silent address with all its time" {
    need_names
    skip_unless python3
    measured 30 45 python \
        "socket.create_connection(('mirror', 8080), timeout=0.3)"
    expect_equal status 0 "$status"
    # Two silent addresses before a good one: twice.
    more='127.0.0.1 three
127.0.0.1 three
127.0.0.2 three'
    measured 60 75 python \
        "socket.create_connection(('three', 8080), timeout=0.3)"
    expect_equal status 0 "$status"
    measured 50 65 in_network "$client" three 8080
    expect_equal status 0 "$status"
}

@test "Python's asyncio does as we do, if it is asked to" {
    need_names
    skip_unless python3
    measured 25 40 python "asyncio.run(asyncio.open_connection('mirror', 8080,
    happy_eyeballs_delay=0.25))"
    expect_equal status 0 "$status"
    python "asyncio.run(asyncio.wait_for(
    asyncio.open_connection('mirror', 8080), 0.6))"
    [[ $errors == *TimeoutError* ]]
}

@test "curl waits for a silent address with half of its time" {
    need_names
    skip_unless curl
    [[ $(curl --version) == "curl 7.88."* ]] ||
        skip "what curl does was measured with curl 7.88"
    measured 200 340 in_network curl -s --http0.9 -o /dev/null \
        --connect-timeout 4 http://mirror:8080/
    expect_equal status 0 "$status"
}

@test "curl waits 200 ms for the other family" {
    need_names
    skip_unless curl python3
    [[ $(curl --version) == "curl 7.88."* ]] ||
        skip "what curl does was measured with curl 7.88"
    # The good address is one of IPv6 here, and the second.
    more='127.0.0.1 both
::1 both'
    six='
import socket
listener = socket.create_server(("::1", 8080), family=socket.AF_INET6)
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b"six\n")
    client.close()'
    measured 20 35 in_network curl -s --http0.9 --connect-timeout 2 \
        http://both:8080/
    expect_output --text 'six\n'
    measured 25 40 in_network "$client" both 8080
    expect_output --text 'six\n'
    steps
    expect_equal first "127.0.0.1:8080: trying" "${step[0]}"
}
