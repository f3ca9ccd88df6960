#!/usr/bin/env bats
# The exercise of 01-tcp-client: a daytime client, `01-tcp-client ADDRESS PORT`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

@test "connects to the address and port it is given" {
    peer rude "" whole
    start_answer 127.0.0.1 "$PORT"
    soon has_connected_or_ended || true
    expect_true "nobody connected to port $PORT" \
        --hint "Does your program call socket, and then connect? If it does, \
look at the port: sin_port in a struct sockaddr_in is in network byte order, \
the most significant byte first. Convert the port with htons." \
        -- says peer connected
}

has_connected_or_ended() {
    says_or_ended peer connected || ! is_running answer
}

@test "connects to no other address" {
    peer rude "" whole
    answer 127.0.0.2 "$PORT"
    expect_true "it was told 127.0.0.2, and connected to 127.0.0.1" \
        --hint "inet_pton writes an address into the struct sockaddr_in. Give \
it the address from the command line, and not always 127.0.0.1." \
        -- is_first_client
}

# is_first_client: the peer serves one client, and that client is this test.
is_first_client() (
    exec 9<>"/dev/tcp/127.0.0.1/$PORT" && cmp -s "$PAYLOAD" - <&9
) 2>/dev/null

@test "sends nothing" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    finish peer
    expect_true "it sent something to the server" \
        --hint "A daytime server speaks first, as soon as a client connects \
(RFC 867). Send nothing." -- says peer "got 0 bytes, *"
}

@test "ends with status 0 when the server closes the connection" {
    peer rude "" whole
    answer 127.0.0.1 "$PORT"
    expect_end --hint "$end_hint"
    expect_status 0 --hint "The server closed the connection, and nothing \
failed: return 0 from main."
}

@test "copies everything that arrives to standard output, and nothing else" {
    peer rude "-n 30" dribble
    answer 127.0.0.1 "$PORT"
    expect_copy
    next_run
    peer rude "-n 30" join
    answer 127.0.0.1 "$PORT"
    expect_copy
    next_run
    peer rude "-n $((150000 + RANDOM))" whole
    answer 127.0.0.1 "$PORT"
    expect_copy
    [[ $BUILD != *asan* ]] || return 0 # there are no faults
    next_run
    need_faults
    faulty+=(FAULT_SHORT=write)
    peer rude "-n 300" whole
    by_hand "${faulty[@]}" "$PROGRAM" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" "$PROGRAM" 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "$short_write_hint"
    expect_status 0 --hint "A write that took a part is no error: write the \
rest, and end with status 0."
}

# expect_copy: the answer printed what the peer sent, and nothing else. What it
# printed instead may show the mistake.
expect_copy() {
    local hint=$short_recv_hint wanted got
    expect_end --hint "$end_hint"
    wanted=$(wc -c <"$PAYLOAD")
    got=$(wc -c <"$OUT")
    if ((got - wanted < 100)) && prints_more_than "$PAYLOAD"; then
        hint="Standard output is for what the server sent, and nothing else. \
Print the count on standard error."
        HAND[-1]+=" 2>/dev/null"
    elif ((got > wanted)); then
        hint="Write as many bytes as recv returned. sizeof gives the size of \
your array: so many bytes recv may write into it, but often they are fewer."
    elif ends_with_a_line; then
        hint="A newline is a byte like any other here, and more lines may \
follow. Only when recv returns 0 is everything there."
    elif ((got > 0 && got % 1024 == 0)); then
        hint+=" It also returns 0 if you give it room for 0 bytes, because your \
array is full: print each piece, and then use the whole array again."
    fi
    expect_output "$PAYLOAD" --hint "$hint"
}

# ends_with_a_line: the output is a part of what the peer sent, up to a newline.
ends_with_a_line() {
    [[ -s $OUT && -z $(tail -c 1 "$OUT" | tr -d '\n') ]] &&
        cmp -sn "$(wc -c <"$OUT")" "$OUT" "$PAYLOAD"
}

# With haste, a wait for a second is over in ten milliseconds. By hand there is
# none, so the pauses are longer there.
@test "waits for a slow server" {
    local wait_hint="A server that is silent for a while has not ended. Let \
recv wait as long as it takes: it returns 0 when the server has ended."
    need_faults
    peer rude "-n 4 -d 40" dribble
    HAND=()
    by_hand "$BUILD/peers/rude" -n 3 -d 3000 -p "$PORT" serve dribble
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" FAULT_HASTE=100 "$PROGRAM" 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "$wait_hint"
}

@test "copies NUL bytes too" {
    peer rude "-n $((5000 + RANDOM % 1000))" garbage
    answer 127.0.0.1 "$PORT"
    expect_output "$PAYLOAD" --hint "$bytes_hint"
    expect_status 0 --hint "No byte that the server sends is an error: end \
with status 0."
}

@test "says on standard error how many bytes arrived" {
    local bytes=$((20 + RANDOM % 30))
    expect_count "$bytes" "-n $bytes" dribble \
        "Print one line on standard error: the number of all bytes that \
arrived, a space, and the word bytes."
    bytes=$((bytes + 65536))
    expect_count "$bytes" "-n $bytes" whole \
        "Add up what every recv returned. The sum may be too large for a short \
or a uint16_t: use a size_t."
    bytes=$((5000 + RANDOM % 1000))
    expect_count "$bytes" "-n $bytes" garbage \
        "Add up what every recv returned. Every byte counts, also a NUL: \
strlen counts only up to the first NUL."
    expect_count 1 "-n 1" whole \
        "One byte arrived. The word is always bytes: print 1 bytes."
    expect_count 0 "-k 0" half-close \
        "The server closed the connection without a byte. That is no error: \
print 0 bytes."
}

# expect_count COUNT OPTIONS FACE HINT: the answer says COUNT bytes of this peer.
expect_count() {
    local hint=$4
    peer rude "$2" "$3"
    answer 127.0.0.1 "$PORT"
    [[ " $errors" != *[!0-9]"$1 bytes"* ]] || hint="The number is right. The \
line is the number, a space and the word bytes, and nothing else is on \
standard error."
    expect_stderr "$1 bytes" --hint "$hint"
    next_run
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "connect returns -1 when it fails. Check that, and \
end with status 1."
    expect_stderr "*Connection refused*" --hint "When connect returns -1, \
errno has the reason, and err(3) prints it in words: err(1, \"connect \
%s:%s\", address, port)."
}

@test "reports a reset as an error, with status 1" {
    peer rude "-n 60 -k 30" reset
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "$reset_hint"
    expect_output "$PAYLOAD" --hint "Print each piece when it arrives: what \
arrived before the reset is printed too."
    expect_stderr "*Connection reset by peer*" --hint "recv returned -1, and \
errno has the reason: err(1, \"recv\") prints it in words."
    # Both in one file: which came first?
    next_run
    peer rude "-n 60 -k 30" reset
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT 2>&1 | cat"
    run_answer sh -c 'exec "$@" 2>&1' - "$PROGRAM" 127.0.0.1 "$PORT"
    expect_true "the reason comes before what arrived" --hint "What you print \
with fwrite stays in a buffer, and err writes at once. Call fflush(stdout) \
after each piece, or before you say the reason." -- prints_more_than "$PAYLOAD"
}

@test "reports output that cannot be written, with status 1" {
    local words_hint="When fwrite or fflush fails, errno has the reason: \
err(1, \"standard output\") prints it in words."
    peer rude "" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "$words_hint"
    next_run
    peer rude "-n 4096" whole # as much as a buffer of fwrite holds
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$fwrite_hint"
    next_run
    peer rude "" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT | true"
    open_unread_pipe
    run_answer_to - "$PROGRAM" 127.0.0.1 "$PORT" >&7
    exec 7>&-
    expect_status 1 --hint "Nobody reads the pipe, so the write fails with \
EPIPE. Check what fwrite and fflush return."
    expect_stderr "*Broken pipe*" --hint "$words_hint"
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 127.0.0.1
    expect_usage
    answer 127.0.0.1 80 more
    expect_usage
}

@test "refuses an invalid address or port, with status 1" {
    local address port
    peer rude "" whole
    for address in 127.1 127.0.0.256 127.0.0.1x ""; do
        HAND=("${HAND[0]}") # the peer, and this run alone
        answer "$address" "$PORT"
        expect_status 1 --hint "inet_pton returns 1 if the text is an address \
of four numbers, and 0 if not: check that. inet_aton and getaddrinfo take \
127.1 for 127.0.0.1."
    done
    for port in "${PORT}x" $((PORT + 65536)) "+$PORT" " $PORT" \
        "-$((65536 - PORT))" ""; do
        HAND=("${HAND[0]}")
        answer 127.0.0.1 "$port"
        expect_status 1 --hint "$port_hint"
    done
}
