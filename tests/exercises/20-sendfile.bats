#!/usr/bin/env bats
# The exercise of 20-sendfile: ranges of a file for many clients at once,
# `20-sendfile FILE PORT`. Each test's name is a requirement, as a learner reads
# it.

load ../lib/exercise

fetch=$BUILD/peers/fetch
rude=$BUILD/peers/rude
FILE=$BATS_TEST_TMPDIR/20.file

setup_file() {
    trap '' PIPE # a server that has gone is no end of this shell
    local piece=$BATS_FILE_TMPDIR/piece
    head -c 4000000 /dev/urandom >"$piece"
    cat "$piece" "$piece" "$piece" "$piece" "$piece" >"$BATS_FILE_TMPDIR/large"
}

# serves SIZE: the answer, with a file of that many bytes, drawn afresh.
serves() {
    by_hand "head -c $1 /dev/urandom >$FILE"
    head -c "$1" "$BATS_FILE_TMPDIR/large" >"$FILE"
    answer_serves "$FILE" 0 --hint "$serve_hint"
}

# serves_large: the same with 20000000 bytes, for a test that leaves them as they
# are.
serves_large() {
    by_hand "head -c 20000000 /dev/urandom >$FILE"
    ln "$BATS_FILE_TMPDIR/large" "$FILE"
    answer_serves "$FILE" 0 --hint "$serve_hint"
}

# serves_by_bytes SIZE: the same once more, and send takes one byte of what it is
# given. Under the sanitizers, where that can't be done, it returns 1.
serves_by_bytes() {
    [[ $BUILD != *asan* ]] || return 1
    need_faults
    faulty+=('FAULT_SHORT=send,write')
    next_run
    serves "$1"
}

# serves_hole: the same with a file of 5 GiB and a few bytes. The 5 GiB are a
# hole: they are all 0, and take no room on the disk.
serves_hole() {
    by_hand "truncate -s 5G $FILE && echo hello $RANDOM >>$FILE"
    (ulimit -Sf unlimited && truncate -s 5G "$FILE" &&
        echo "hello $RANDOM" >>"$FILE") 2>/dev/null ||
        environment "no file of 5 GiB can be made in $BATS_TEST_TMPDIR"
    answer_serves "$FILE" 0 --hint "$serve_hint"
}

# fetched OPTION...: clients of build/peers/fetch, to their end. Sets status;
# said is what they said of what they got.
fetched() {
    local argument line="$fetch -f $FILE"
    for argument in "$@"; do
        [[ $argument != *' '* && $argument ]] || argument="'$argument'"
        line+=" $argument"
    done
    by_hand "$line $HAND_PORT"
    try "$fetch" -f "$FILE" "$@" "$PORT"
    said=$(<"$OUT")
    [[ -z $errors ]] || said+=${said:+$'\n'}$errors
    : >"$BATS_TEST_TMPDIR/err"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_fetched PATTERN [--hint TEXT]: that is what the client got.
expect_fetched() {
    ((status != 124)) ||
        fail "a client waits for its bytes, and they do not come" "${@:2}"
    # shellcheck disable=SC2053 # it is a pattern
    [[ $said == $1 ]] || fail "a client did not get what it should" --show \
        "Expected: $1"$'\n'"Got: ${said//$'\n'/$'\n'Got: }" "${@:2}"
}

# expect_range FIRST LAST [--hint TEXT]: a client that asks for it gets it.
expect_range() {
    local count=$(($2 - $1 + 1))
    fetched -q "$1 $2"
    expect_fetched "$count: $count bytes, then end of stream" "${@:3}"
}

# expect_refused REQUEST [--hint TEXT]: that is no range of the file.
expect_refused() {
    fetched -q "$1"
    expect_fetched "bad range: 0 bytes, then end of stream" "${@:2}"
}

# connect: descriptor 7 is a client.
connect() {
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers at port $PORT" --hint "Whatever a client does, \
your server goes on and listens."
}

# say TEXT: client 7 sends it. If it cannot, it hears nothing after that.
say() {
    { printf %s "$1" >&7; } 2>/dev/null || true
}

# read_line: sets line to the next line for client 7; it is empty if none comes.
read_line() {
    IFS= read -rt "$SECONDS_ALLOWED" -u 7 line || line=
}

# expect_reset [--hint TEXT]: the connection of a client that waits ends with a
# reset.
expect_reset() {
    soon says client '*, then *' ||
        fail "a client waits for bytes that cannot come" "$@"
    says client '*, then Connection reset by peer' ||
        fail "a client did not get a reset" --show \
            "Got: $(tail -n 1 "$BATS_TEST_TMPDIR/client.out")" "$@"
}

# pauses OPTION...: a client that pauses before it reads the bytes, until
# goes_on.
pauses() {
    mkfifo "$BATS_TEST_TMPDIR/keys"
    # shellcheck disable=SC2016 # for the other bash to expand
    start client bash -c 'exec "$@" <"$0"' "$BATS_TEST_TMPDIR/keys" \
        "$fetch" -k 0 "$@" "$PORT"
    exec 8<>"$BATS_TEST_TMPDIR/keys"
    soon says client 'paused *' ||
        fail "a client that asks for a range is told nothing" \
            --hint "$begin_hint"
}

goes_on() {
    echo >&8
    exec 8>&-
}

# rests: the server sleeps: for a while it neither uses a processor to speak of,
# nor waits for its turn.
rests() {
    local before wanted
    times_of "$(pid_of server)"
    before=$wanted
    pause_for 20
    times_of "$(pid_of server)"
    ((wanted - before < 1000000))
}

serve_hint="listen_on prints the line. After it comes a loop around poll that \
never ends."
begin_hint="Accept the client, read its line, send the number of bytes and a \
newline, then call sendfile with the offset FIRST."
part_hint="send, too, may take only a part: then it returns less than the length \
of the line. Keep how much of it is sent, and send the rest when poll reports \
POLLOUT, before the first byte of the file."
last_hint="The byte LAST belongs to the range: that makes LAST - FIRST + 1 \
bytes. After the last one, close the connection."
pieces_hint="A line may come in pieces, as in lesson 05. Keep what has come, \
and look for the newline after each recv."
range_hint="fstat says how long the file is. The last byte is at length - 1: \
compare FIRST with LAST, and LAST with that, before you send anything."
number_hint="number_parse takes digits alone, and says when a number is too \
large. What is not two numbers gets the line \`bad range\` too."
loop_hint="A non-blocking sendfile sends what fits into the socket's buffer. \
Keep the offset for each client, wait for POLLOUT, and call it again for the \
rest."
large_hint="Offsets and lengths of files have more than 32 bits: use off_t or \
long long, and not int."
block_hint="One call waits for this client, and all others wait with it. Make \
the client's socket non-blocking (SOCK_NONBLOCK with accept4), and go back to \
poll when a call fails with EAGAIN."
silent_hint="Do not wait in recv for the line of a client. Make its socket \
non-blocking, and call recv only when poll reports it."
own_hint="Keep the line, the offset and the rest for each client, in a struct \
of its own, and give sendfile that offset, not NULL."
spin_hint="There is nearly always room to send, so poll with POLLOUT returns at \
once. Ask for POLLOUT only while you have bytes for the client and they do not \
fit, and for POLLIN only while you wait for its line."
shorter_hint="sendfile returns 0 at the end of the file. If you have announced \
more bytes, that is an error: set SO_LINGER with 0 seconds, and close."
longer_hint="Decide how many bytes to send when the line comes, and send that \
many, however long the file is later."
gone_hint="A client that has left is an error of recv, send or sendfile. Close \
its descriptor, and go on. Ignore SIGPIPE: sendfile has no MSG_NOSIGNAL."
close_hint="close the client's descriptor in each case: when all is sent, when \
it is refused, and when it has left."
file_hint="open and listen_on say why they fail, and end the program with \
status 1. Keep that as it was in the starter."

@test "listens, and says where" {
    serves 100
    connect
    exec 7>&-
}

@test "sends the bytes from FIRST to LAST" {
    local size=$((1000 + RANDOM % 1000))
    local first=$((1 + RANDOM % 400))
    local count=$((2 + RANDOM % 500))
    local hint=$begin_hint
    serves "$size"
    fetched -q "$first $((first + count - 1))"
    [[ $said != *"$((count - 1)) bytes"* ]] || hint=$last_hint
    expect_fetched "$count: $count bytes, then end of stream" --hint "$hint"
    expect_range "$first" "$first" --hint "$last_hint"
    expect_range 0 "$((size - 1))" --hint "$last_hint"
    serves_by_bytes 1000 || return 0
    expect_range 0 999 --hint "$part_hint"
}

@test "waits for the end of the line" {
    local line=
    serves 5000
    by_hand "build/peers/talk $HAND_PORT"
    connect
    say 12
    until_taken
    say "3 45"
    until_taken
    say $'6\n'
    read_line
    expect_equal "first line" 334 "$line" --hint "$pieces_hint"
    exec 7>&-
}

# until_taken: the server has received what was sent to it; or it leaves that in
# the kernel, and sleeps.
until_taken() {
    soon has_taken_all_or_rests || true
}

has_taken_all_or_rests() {
    local port
    printf -v port '%04X' "$PORT"
    ! grep -q ": 0100007F:$port [0-9A-F:]* [0-9A-F]* [0-9A-F]*:[0-9A-F]*[1-9A-F]" \
        /proc/net/tcp || rests
}

@test "refuses a range that is not in the file" {
    local size=$((1000 + RANDOM % 1000))
    serves "$size"
    expect_refused "0 $size" --hint "$range_hint"
    expect_refused "$size $size" --hint "$range_hint"
    expect_refused "9 8" --hint "$range_hint"
    expect_refused "0 99999999999" --hint "$range_hint"
    expect_range 7 "$((size - 1))" --hint "$range_hint"
    serves_by_bytes 1000 || return 0
    expect_refused "5 1000" --hint "$part_hint"
}

@test "refuses a line that is not two numbers" {
    local request hint=$number_hint
    serves 1000
    for request in "" "7" "x y" "1 2x" "1  2" "+1 2" "1 2 3" "-1 2" \
        $'1\t2' " 1 2" $'1 2\r' \
        "18446744073709551616 5" "0 18446744073709551617"; do
        HAND=("${HAND[@]:0:2}")
        [[ $request != "1  2" ]] || hint="There is one blank between the two \
numbers, and no more: number_parse takes no blank, so let the second number begin \
right behind the first blank."
        expect_refused "$request" --hint "$hint"
        hint=$number_hint
    done
    local line=
    HAND=("${HAND[@]:0:2}")
    by_hand "printf '5 9\\0x\\n' | build/peers/talk $HAND_PORT"
    connect
    { printf '5 9\0x\n' >&7; } 2>/dev/null || true
    read_line
    exec 7>&-
    expect_equal "answer to \"5 9\", a NUL and an x" "bad range" "$line" \
        --hint "A line may have a NUL in it, and a function for strings looks no \
further. The second number ends where the line ends: compare the two places."
}

@test "sends a range of many megabytes whole" {
    local first=$((RANDOM % 1000))
    serves 8000000
    expect_range "$first" 7999990 --hint "$loop_hint"
}

@test "answers a client that has ended its half" {
    serves 8000000
    fetched -e -q "5 7999999"
    expect_fetched "7999995: 7999995 bytes, then end of stream" \
        --hint "recv returns 0 when the client has ended its half. It may have \
sent its line before, and then it waits for its bytes."
}

@test "closes the connection of a client that sends 64 bytes without a newline" {
    serves 1000
    by_hand "$rude" -n 100 -k 64 connect stall "$PORT"
    start long "$rude" -s "$((RANDOM + 1))" -n 100 -k 64 connect stall "$PORT"
    expect_true "a client has sent 64 bytes without a newline, and is still \
connected" --hint "Give a line no more room than 64 bytes. When the room is \
full and there is no newline, close the connection." -- soon says long 'got *'
    next_run
    # With its newline this line has 64 bytes, and is no range. So it is refused.
    local line='' request
    serves 1000
    printf -v request '%063d' 7
    by_hand "(printf %063d 7; sleep 1; echo) | build/peers/talk $HAND_PORT"
    connect
    say "$request"
    until_taken
    say $'\n'
    read_line
    exec 7>&-
    expect_equal "first line" "bad range" "$line" --hint "63 bytes and a newline \
are a line. Close the connection only when 64 bytes have come and none of them is \
a newline, and give the line room for all 64."
    next_run
    serves 1000
    printf '%03000d' "$RANDOM" >"$BATS_TEST_TMPDIR/request"
    by_hand "printf %03000d 7 | build/peers/talk $HAND_PORT"
    try "$rude" -f "$BATS_TEST_TMPDIR/request" connect whole "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    expect_range 5 9 --hint "Give recv the room that is left in the line, and \
not the size of the whole array."
}

@test "goes on after sendfile has failed with EAGAIN" {
    need_faults
    faulty+=(FAULT_CALL=sendfile FAULT_ERRNO=11)
    serves 1000
    expect_range 0 999 --hint "Send the file's bytes by sendfile. When it fails \
with EAGAIN, there was no room: that is neither an error nor the end. Wait for \
POLLOUT, and call it again."
}

@test "sends bytes that are behind the first 4 GiB" {
    local first=$((4294967296 + RANDOM))
    serves_hole
    expect_range 5368709118 5368709124 --hint "$large_hint"
    expect_range "$first" "$((first + 9))" --hint "$large_hint"
}

@test "announces a range of more than 4 GiB" {
    local line=
    serves_hole
    by_hand "build/peers/talk $HAND_PORT | head -n 1"
    connect
    say $'1 5368709119\n'
    read_line
    exec 7>&-
    expect_equal "first line" 5368709119 "$line" --hint "$large_hint"
}

@test "resets the connection when sendfile fails for another reason" {
    need_faults
    faulty+=(FAULT_CALL=sendfile FAULT_ERRNO=5)
    serves 1000
    fetched -q "0 999"
    expect_fetched "*: *, then Connection reset by peer" --hint "Send the \
file's bytes by sendfile. When it fails, set SO_LINGER with 0 seconds before \
you close: lesson 06."
    next_run
    need_faults # anew, without those from before
    faulty+=(FAULT_CALL=sendfile FAULT_ERRNO=4)
    serves 1000
    expect_range 0 999 --hint "EINTR only says that a signal came before a byte \
was sent. Treat it like EAGAIN: wait for POLLOUT, and call sendfile again."
}

@test "serves the others while fifty clients send nothing" {
    local client
    serves 1000
    by_hand "bash -c 'sleep 60 </dev/tcp/127.0.0.1/$HAND_PORT' &"
    by_hand "$fetch -f $FILE -q '5 700' $HAND_PORT"
    connect
    expect_range 5 700 --hint "$silent_hint"
    say 5
    expect_range 5 700 --hint "$silent_hint"
    HAND[2]="$rude -k 0 -c 50 connect stall $HAND_PORT"
    for client in {1..49}; do
        exec {client}<>"/dev/tcp/127.0.0.1/$PORT" || break
    done
    HAND=("${HAND[@]:0:4}")
    expect_range 5 700 --hint "$silent_hint"
    # With the one that wants its bytes there are a hundred.
    HAND=("${HAND[@]:0:2}")
    by_hand "$rude -k 0 -c 99 connect stall $HAND_PORT"
    for client in {1..49}; do
        exec {client}<>"/dev/tcp/127.0.0.1/$PORT" || break
    done
    expect_range 5 700 --hint "There are a hundred clients now, and each has a \
place in the array of poll. The listener has one too, so the array needs 101."
    exec 7>&-
}

@test "serves the others while a client reads nothing" {
    serves_large
    by_hand "(sleep 1; $fetch -q '5 7999999' $HAND_PORT >&2) | $fetch -k 0 \
-q '0 19999999' $HAND_PORT"
    pauses -q "0 19999999"
    expect_range 5 7999999 --hint "$block_hint"
    HAND=("${HAND[@]:0:3}")
    goes_on
    soon says client '20000000: 20000000 bytes, then end of stream' ||
        fail "a client did not get all its bytes" --hint "$own_hint"
}

@test "serves fifty clients at once, each with its own range" {
    serves 3000000
    fetched -s "$RANDOM" -c 50
    ((status == 0)) || said=${said##*$'\n'}
    expect_true "not every client got its own bytes: $said" \
        --hint "$own_hint" -- [ "$status" = 0 ]
}

@test "uses no processor while clients send nothing" {
    local client
    serves 1000
    by_hand "bash -c 'sleep 2 </dev/tcp/127.0.0.1/$HAND_PORT'"
    HAND[1]="time -p ${HAND[1]}"
    connect
    expect_range 1 2 --hint "$begin_hint"
    expect_true "a client says nothing, and it keeps a processor busy" \
        --hint "$spin_hint" -- soon rests
    # The last of these waits in the queue.
    HAND=("${HAND[@]:0:2}")
    by_hand "build/peers/many -i 101 -w $HAND_PORT"
    for client in {1..100}; do
        exec {client}<>"/dev/tcp/127.0.0.1/$PORT" || break
    done
    expect_true "a hundred clients say nothing, one more waits in the queue, and \
it keeps a processor busy" --hint "While a hundred clients are there, you do not \
accept the next one. The listener stays readable, so poll returns at once. Leave \
it out of the array, or set its events to 0, until a client has left." \
        -- soon rests
    exec 7>&-
}

@test "uses no processor while a client reads nothing" {
    serves_large
    HAND[1]="time -p ${HAND[1]}"
    by_hand "$fetch -k 0 -e -q '0 19999999' $HAND_PORT"
    pauses -e -q "0 19999999"
    expect_true "a client reads nothing, and it keeps a processor busy" \
        --hint "$spin_hint" -- soon rests
    goes_on
}

@test "resets the connection when the file has become shorter" {
    serves 20000000
    by_hand "(sleep 1; truncate -s 1000 $FILE; echo) | $fetch -k 0 -q '0 \
19999998' $HAND_PORT"
    pauses -q "0 19999998"
    soon rests || true
    truncate -s 1000 "$FILE"
    goes_on
    expect_reset --hint "$shorter_hint"
    expect_true "it keeps a processor busy" --hint "$shorter_hint" -- soon rests
    expect_range 0 999 --hint "Ask fstat for the length of the file each time \
a line comes."
}

@test "sends what it has announced when the file has become longer" {
    serves 20000000
    by_hand "(sleep 1; head -c 1000000 /dev/zero >>$FILE; echo) | $fetch -k 0 -q '5 \
19999999' $HAND_PORT"
    pauses -f "$FILE" -q "5 19999999"
    soon rests || true
    head -c 1000000 /dev/urandom >>"$FILE"
    goes_on
    soon says client '*, then *' ||
        fail "a client waits for its bytes" --hint "$longer_hint"
    said=$(tail -n 1 "$BATS_TEST_TMPDIR/client.out")
    expect_fetched "19999995: 19999995 bytes, then end of stream" \
        --hint "$longer_hint"
    expect_range 20000000 20000100 --hint "Ask fstat for the length of the \
file each time a line comes."
}

@test "goes on when clients reset the connection" {
    serves_large
    by_hand "$rude -c 20 -n 9 connect reset $HAND_PORT"
    by_hand "sleep 1 | $fetch -k 0 -x -q '0 19999999' $HAND_PORT"
    by_hand "$fetch -q '5 700' $HAND_PORT"
    try "$rude" -c 20 -n 9 connect reset "$PORT"
    printf '0 19999999\n' >"$BATS_TEST_TMPDIR/request"
    frozen try "$rude" -e -f "$BATS_TEST_TMPDIR/request" -k 11 connect reset \
        "$PORT" || true
    HAND=("${HAND[@]:0:5}")
    expect_range 5 700 --hint "$gone_hint"
    pauses -x -q "0 19999999"
    soon rests || true
    goes_on
    soon says client '*, then *' || true
    HAND=("${HAND[@]:0:5}")
    expect_range 5 700 --hint "$gone_hint"
}

@test "closes the descriptor of each client" {
    local before
    serves_large
    expect_range 5 700 --hint "$begin_hint"
    before=$(descriptors "$(pid_of server)")
    fetched -s "$RANDOM" -r 5 -q "0 9"
    fetched -q "bad"
    try "$rude" -c 5 -n 9 connect reset "$PORT"
    try "$rude" -c 5 -n 9 connect half-close "$PORT"
    printf '0 19999999\n' >"$BATS_TEST_TMPDIR/request"
    try "$rude" -c 5 -f "$BATS_TEST_TMPDIR/request" -k 11 connect reset "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    HAND=("${HAND[@]:0:2}")
    by_hand "$fetch -c 5 -q bad $HAND_PORT"
    by_hand "$fetch -c 5 -q '0 9' $HAND_PORT"
    by_hand "$rude -c 5 -n 9 connect reset $HAND_PORT"
    by_hand "ls /proc/\$(pgrep -f ^$PROGRAM)/fd"
    expect_true "it had $before descriptors, and has more after some clients" \
        --hint "$close_hint" -- soon holds_at_most "$(pid_of server)" "$before"
}

@test "says why it cannot open the file or listen, with status 1" {
    answer "$BATS_TEST_TMPDIR/absent" 0
    expect_end --hint "$file_hint"
    expect_status 1 --hint "$file_hint"
    expect_stderr "*No such file*" --hint "$file_hint"
    HAND=()
    serves 10
    answer "$FILE" "$PORT"
    expect_end --hint "$file_hint"
    expect_status 1 --hint "$file_hint"
    expect_stderr "*ddress*in use*" --hint "$file_hint"
}

@test "refuses an invalid port, with status 1" {
    local port
    : >"$FILE"
    for port in 65536 80x "" -1; do
        HAND=()
        answer "$FILE" "$port"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
    done
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer "$FILE"
    expect_usage
    answer "$FILE" 0 more
    expect_usage
}
