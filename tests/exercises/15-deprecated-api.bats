#!/usr/bin/env bats
# The exercise of 15-deprecated-api: a program of 1999, brought up to date,
# `15-deprecated-api HOST PORT [HOST PORT]...`. Each test's name is a
# requirement, as a learner reads it.
#
# What a name means is said by a preloaded library, tests/lib/names.c. IPv6 is
# spoken with servers of IPv4: ::ffff:127.0.0.1 is 127.0.0.1, seen from there.

load ../lib/exercise
load ../lib/clock

names=$BUILD/tests/names.so
if [[ $BUILD == *asan* ]]; then
    # Which wants to be loaded first, but need not be.
    export ASAN_OPTIONS=verify_asan_link_order=0
fi

# A name that nobody has used before, and means something only here.
letters=abcdefghijklmnopqrstuvwxyz
HOST=
for ((i = 0; i < 6; i++)); do
    HOST+=${letters:RANDOM % 26:1}
done
HOST+=.test

# serve NAME FACE [OPTION...]: a rude server; sets PORT, and NAME to it, and adds
# it to what is to be tried by hand.
ports=0
serve() {
    start_server "$1" "$BUILD/peers/rude" -s "$((RANDOM + 2))" "${@:3}" \
        serve "$2" || environment "rude cannot listen on 127.0.0.1"
    printf -v "$1" '%s' "$PORT"
    HAND_PORT=80${lesson%%-*}
    HAND_PORT=$((HAND_PORT + 100 * ports))
    HAND+=("$BUILD/peers/rude -p $HAND_PORT ${*:3} serve $2")
    shown[PORT]=$HAND_PORT
    ports=$((ports + 1))
}
shown=()

# by_hand COMMAND...: as in exercise.bash, with the ports of these servers.
by_hand() {
    local line=$1 port
    if (($# > 1)); then
        printf -v line '%q ' "$@"
        line=${line% }
    fi
    for port in "${!shown[@]}"; do
        line=${line//$port/${shown[port]}}
    done
    HAND+=("$line")
}

# answer_named ADDRESSES ARGUMENT...: with a HOST that means these addresses.
answer_named() {
    local -a with=("LD_PRELOAD=$names" "NAMES=$HOST=$1")
    by_hand env "${with[@]}" "$PROGRAM" "${@:2}"
    run_answer env "${with[@]}" "$PROGRAM" "${@:2}"
}

# expect_said PORT BYTES [--hint TEXT]: it has printed that it connected to that
# port of 127.0.0.1, and how much was said there, and nothing else.
expect_said() {
    expect_output --text "connected to 127.0.0.1:$1
127.0.0.1:$1 said $2 bytes\n" "${@:3}"
}

all_hint="The program of 1999 does this already: keep it so. If you free the \
list of getaddrinfo, free it after the last try."
name_hint="Look the name up with getaddrinfo, which takes a name or a number, \
and a port. (The check has names of its own. Only getaddrinfo finds them; \
gethostbyname says that there is no such name.)"
list_hint="A name may have several addresses, so getaddrinfo returns a list. \
If connect fails, try the next address, with a new socket."
buffer_hint="The next call of inet_ntoa overwrites its static buffer, and a \
function of your own with a static buffer does the same. Give each server a \
buffer of its own."
six_hint="AF_INET and struct sockaddr_in are for IPv4 alone. Ask getaddrinfo \
for AF_UNSPEC, and take the family for socket, and the address and length for \
connect, from its answer."
brackets_hint="Write an IPv6 address in brackets, [::1]:80, because it has \
colons of its own. It is also longer: INET_ADDRSTRLEN has no room for it, and \
INET6_ADDRSTRLEN has."
set_hint="An fd_set of select has room for descriptors 0 to 1023, and FD_SET \
writes beyond its end for any other. Use poll, which takes any descriptor."
pause_hint="There are two pauses of a tenth of a second. usleep took 100000 \
microseconds; nanosleep takes seconds and nanoseconds, here 100000000."

@test "connects to a server, and says how many bytes the server sent" {
    local one bytes=$((70000 + RANDOM))
    serve one whole -n "$bytes"
    answer 127.0.0.1 "$one"
    expect_status 0 --hint "$all_hint"
    expect_said "$one" "$bytes" --hint "A server may send many bytes: count \
them in a size_t. $all_hint"
}

@test "says of each server what that server sent" {
    local one two three i hint=$buffer_hint
    serve one whole -n 10
    serve two whole -n 20
    serve three whole -n 30
    answer 127.0.0.1 "$one" 127.0.0.1 "$two" 127.0.0.1 "$three"
    expect_status 0 --hint "$all_hint"
    (($(grep -c ' said ' "$OUT") == 3)) || hint="Each server says something: \
go on until all of them have closed their connection."
    # Which of them ends first is theirs to say.
    {
        sed '/ said /d' "$OUT"
        sed '/ said /!d' "$OUT" | sort -k 3n
    } >"$BATS_TEST_TMPDIR/sorted"
    for i in "$one" "$two" "$three"; do
        echo "connected to 127.0.0.1:$i"
    done >"$BATS_TEST_TMPDIR/wanted"
    printf '127.0.0.1:%s\n' "$one said 10 bytes" "$two said 20 bytes" \
        "$three said 30 bytes" >>"$BATS_TEST_TMPDIR/wanted"
    OUT=$BATS_TEST_TMPDIR/sorted
    expect_output "$BATS_TEST_TMPDIR/wanted" --hint "$hint"
}

@test "receives from all servers at once, and prints each line at once" {
    local one two
    serve one stall
    start_answer 127.0.0.1 "$one"
    HAND[-1]="timeout 2 ${HAND[-1]} | cat" # to a terminal it need not flush
    expect_true "it does not say that it is connected" --hint "Call \
fflush(stdout) after each line: the server is silent, and the line is still in \
a buffer of your program." -- soon says answer "connected to 127.0.0.1:$one"
    next_run
    serve one stall
    serve two whole -n 10
    start_answer 127.0.0.1 "$one" 127.0.0.1 "$two"
    soon says_or_ended answer "* said *" || true
    expect_true "it does not say that the second server has ended" \
        --hint "The first server is silent and the second has ended. poll \
takes all descriptors, as select did, and tells which are ready; call \
fflush(stdout) after each line." -- says answer "127.0.0.1:$two said 10 bytes"
    expect_true "it did not wait for the first server" \
        --hint "The first server has not ended, it is only silent: wait until \
all servers have ended." -- is_running answer
}

@test "finds a server by its name, whichever of its addresses answers" {
    local one
    serve one whole -n 10
    answer_named 127.0.0.1 "$HOST" "$one"
    expect_status 0 --hint "$name_hint"
    expect_said "$one" 10 --hint "$name_hint"
    next_run
    serve one whole -n 10
    answer_named 127.0.0.91+127.0.0.92+127.0.0.1 "$HOST" "$one"
    expect_status 0 --hint "$list_hint"
    expect_said "$one" 10 --hint "$list_hint"
    next_run
    lacks_a_family
}

# lacks_a_family: HOST has two addresses, and socket fails for the first one, as
# if this machine did not have its family.
lacks_a_family() {
    local one hint="socket may fail for one address and work for the next one: \
for example, a machine without IPv6 has no such family. Then go on with the next \
address, as after a connect that failed."
    local -a with=("LD_PRELOAD=$BUILD/tests/faults.so $names"
        "NAMES=$HOST=127.0.0.91+127.0.0.1" FAULT_CALL=socket
        FAULT_ERRNO=97)
    need_faults
    serve one whole -n 10
    by_hand env "${with[@]}" "$PROGRAM" "$HOST" "$one"
    run_answer env "${with[@]}" "$PROGRAM" "$HOST" "$one"
    expect_status 0 --hint "$hint"
    expect_said "$one" 10 --hint "$hint"
}

@test "speaks IPv6 as well" {
    local one two address=::ffff:127.0.0.1 hint=$six_hint
    [[ -e /proc/net/if_inet6 ]] || skip "this machine has no IPv6"
    serve one whole -n 10
    answer "$address" "$one"
    expect_status 0 --hint "$six_hint"
    grep -q '^connected to 127' "$OUT" || hint=$brackets_hint
    expect_output --text "connected to [$address]:$one
[$address]:$one said 10 bytes\n" --hint "$hint"
    next_run
    serve one whole -n 10
    serve two whole -n 20
    answer_named "$address" "$HOST" "$one" 127.0.0.1 "$two"
    expect_status 0 --hint "A name may have an IPv6 address and no other."
    expect_true "it did not say which address it has found" \
        --hint "$brackets_hint" -- grep -qxF "[$address]:$one said 10 bytes" "$OUT"
    next_run
    # A long address, which nobody has.
    address=fe80::1111:2222:3333:4444%lo
    answer "$address" 8080
    expect_status 1 --hint "Nobody has this address, so no try can succeed."
    expect_stderr "*[[]$address]:8080*" --hint "An IPv6 address may have 39 \
characters, and brackets and a port: addr_format needs ADDR_TEXT_BYTES."
}

@test "takes a socket whose number is 1024 or more" {
    local one first=$((1024 + RANDOM % 64))
    (($(ulimit -Hn) > 1200)) || skip "no more descriptors are to be had here"
    serve one whole -n 10
    by_hand "bash -c 'ulimit -Sn 1200; for fd in {3..$((first - 1))}; do eval \"exec \
\$fd</dev/null\"; done; $PROGRAM 127.0.0.1 ${shown[one]}'"
    # shellcheck disable=SC2016 # these are another shell's
    run_answer bash -c 'ulimit -Sn 1200
        for ((fd = 3; fd < '"$first"'; fd++)); do
            eval "exec $fd</dev/null"
        done
        exec "$@"' - "$PROGRAM" 127.0.0.1 "$one"
    expect_end --hint "$set_hint"
    expect_status 0 --hint "$set_hint"
    expect_said "$one" 10 --hint "$set_hint"
}

# Whoever knocks at port $PORT is refused.
nobody() {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
}

@test "tries three times, with a pause of a tenth of a second" {
    local one took
    need_faults
    # Beside the other, to save time: one whose first try fails.
    serve one whole -n 10
    by_hand "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
        "$PROGRAM" 127.0.0.1 "$one"
    start answer "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
        "$PROGRAM" 127.0.0.1 "$one"
    nobody
    timed "$PROGRAM" 127.0.0.1 "$PORT"
    by_hand "time -p $PROGRAM 127.0.0.1 9"
    expect_status 1 --hint "If three tries have failed, end with status 1."
    expect_stderr "*127.0.0.1:$PORT*Connection refused*" --hint "If three \
tries have failed, say with whom and why: connect 127.0.0.1:80: Connection \
refused."
    expect_true "it gave up after 0.$(printf %02d "$took") seconds" \
        --hint "$pause_hint" -- [ "$took" -ge 19 ]
    finish_answer
    expect_said "$one" 10 --hint "A later try may succeed: make a new socket \
for each try."
    next_run
    counts_tries
    next_run
    goes_through_addresses FAULT_CALL=connect FAULT_ERRNO=111
    next_run
    goes_through_addresses FAULT_CALL=socket FAULT_ERRNO=97
}

# counts_tries: HOST has two addresses, and both refuse. On a busy machine it may
# take longer, but not each time.
counts_tries() {
    local i count took hint="One try goes through all addresses of HOST. The pause is \
after the whole list, not after each address, and there are two of them."
    local log=$BATS_TEST_TMPDIR/tries
    local -a with=("LD_PRELOAD=$BUILD/tests/faults.so $names"
        "NAMES=$HOST=127.0.0.91+127.0.0.92" FAULT_CALL=connect FAULT_ERRNO=111
        FAULT_TIMES=99)
    by_hand env "${with[@]}" "FAULT_LOG=/dev/stdout" "$PROGRAM" "$HOST" 80
    for i in 1 2 3; do
        : >"$log"
        timed env "${with[@]}" FAULT_LOG="$log" "$PROGRAM" "$HOST" 80
        expect_status 1 --hint "If three tries have failed, end with status 1."
        count=$(grep -c connect "$log") || true
        expect_true "it called connect $count times, and not 6 times" --hint "There \
are three tries, and each calls connect once for each address of HOST: here \
HOST has two." -- [ "$count" = 6 ]
        expect_stderr "*127.0.0.92:80*Connection refused*" --hint "Say which \
address was the last one, and why: connect 127.0.0.1:80: Connection refused."
        ((took > 45)) || return 0
    done
    expect_true "it gave up after $(printf %d.%02d $((took / 100)) \
        $((took % 100))) seconds" --hint "$hint" -- false
}

# goes_through_addresses FAULT...: HOST has two addresses; the call of this fault
# fails the first time. The first address would answer if it was tried again.
goes_through_addresses() {
    local one address=::ffff:127.0.0.1 hint="If socket or connect fails, the same \
try goes on with the next address of HOST, and with a new socket of its family."
    local -a with=("LD_PRELOAD=$BUILD/tests/faults.so $names"
        "NAMES=$HOST=127.0.0.1+$address" "$@")
    [[ -e /proc/net/if_inet6 ]] || return 0
    serve one whole -n 10
    by_hand env "${with[@]}" "$PROGRAM" "$HOST" "$one"
    run_answer env "${with[@]}" "$PROGRAM" "$HOST" "$one"
    expect_status 0 --hint "$hint"
    expect_output --text "connected to [$address]:$one
[$address]:$one said 10 bytes\n" --hint "$hint"
}

@test "reports a reset as an error, with status 1" {
    local one
    serve one reset -k 5
    answer 127.0.0.1 "$one"
    expect_status 1 --hint "$reset_hint"
    expect_stderr "*127.0.0.1:$one*Connection reset by peer*" --hint "recv \
returned -1, and errno has the reason: say on standard error which server it \
was, and why."
}

# holds_call NAME: PROGRAM has that name in its table of what it wants of libc,
# where a NUL or its version stands behind it.
holds_call() {
    tr '\0' '\n' <"$PROGRAM" | grep -qaxE "$1(@+GLIBC.*)?"
}

@test "makes none of the dead calls" {
    local call one hint="Replace the call by the one that the lesson names. To \
silence the compiler's warning leaves the call as it was."
    [[ $BUILD != *asan* ]] || skip "the sanitizers know all of them"
    [[ -r $PROGRAM ]] || environment "$PROGRAM cannot be read"
    by_hand "nm -uD $PROGRAM"
    for call in gethostbyname gethostbyaddr inet_addr inet_aton inet_ntoa \
        usleep bcopy bzero; do
        expect_true "it still calls $call" --hint "$hint" -- without_call "$call"
    done
    need_faults
    serve one whole -n 10
    run_answer "${faulty[@]}" FAULT_CALL=select FAULT_TIMES=9 "$PROGRAM" \
        127.0.0.1 "$one"
    expect_true "it still calls select" --hint "$hint" -- [ "$status" = 0 ]
}

without_call() {
    ! holds_call "$1"
}

@test "refuses a wrong number of arguments, with status 2" {
    local usage_hint="There is a PORT for each HOST, and there are 1 to 8 of \
them. For any other number of arguments print the usage on standard error, and \
end with status 2."
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer 127.0.0.1
    expect_status 2 --hint "$usage_hint"
    answer_named 127.0.0.1 "$HOST" 80 "$HOST"
    expect_status 2 --hint "$usage_hint"
    answer a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9
    expect_status 2 --hint "$usage_hint"
    HAND=()
    answer a 1x b 2x c 3x d 4x e 5x f 6x g 7x h 8x
    expect_status 1 --hint "Eight servers are not too many. (Here the PORTs are \
invalid, so the status is 1.)"
}

@test "refuses an unknown HOST, with status 1" {
    answer_named 127.0.0.1 "no.$HOST" 80
    expect_status 1 --hint "getaddrinfo returns 0 or an error number. If it is \
not 0, say why, and end with status 1."
    expect_stderr "*no.$HOST*" --hint "Say which name has no address, and why: \
gai_strerror has the words for what getaddrinfo returns."
}

@test "refuses an invalid PORT, with status 1" {
    local port one hint="A port is a number from 1 to 65535, in digits alone. \
getaddrinfo takes the name of a service too, and strtoul passes over blanks and \
takes a sign: so check the port yourself."
    local log=$BATS_TEST_TMPDIR/connects
    answer 127.0.0.1 80x
    expect_status 1 --hint "$hint"
    need_faults
    for port in 80x 65616 0 65536 '' ' 80' +80 -1 http; do
        HAND=()
        : >"$log"
        by_hand "$PROGRAM" 127.0.0.1 "$port"
        run_answer "${faulty[@]}" FAULT_CALL=connect FAULT_ERRNO=111 \
            FAULT_TIMES=99 FAULT_LOG="$log" "$PROGRAM" 127.0.0.1 "$port"
        expect_status 1 --hint "$hint"
        expect_true "it connects to a port that is none" --hint "$hint" \
            -- test ! -s "$log"
        expect_true "it does not say why" --hint "Say on standard error what is \
wrong with the port." -- test -n "$errors"
    done
    HAND=()
    serve one whole -n 10
    answer 127.0.0.1 "$one" 127.0.0.1 80x
    expect_status 1 --hint "Check each PORT, not only the first one."
}
