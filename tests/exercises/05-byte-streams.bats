#!/usr/bin/env bats
# The exercise of 05-byte-streams: a reader of netstrings, `05-byte-streams HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

# peers FACE COUNT...: starts a peer for each FACE, all at once, for so many
# clients. `stall` and `reset` say all they have before they do so.
peers() {
    while (($# > 0)); do
        : >"$BATS_TEST_TMPDIR/$1.said"
        start "$1" "$BUILD/peers/rude" -f "$BATS_TEST_TMPDIR/$1.said" \
            -k 9999999 -c "$2" serve "$1"
        shift 2
    done
}

# will_say FACE TEXT: to its next client, that peer says what printf makes of
# TEXT. Sets PORT, and what to do by hand.
will_say() {
    wait_for "$1" 'listening on *' ||
        environment "$BUILD/peers/rude cannot listen on 127.0.0.1"
    port_of "$1"
    # shellcheck disable=SC2059 # it is a format
    printf "$2" >"$BATS_TEST_TMPDIR/$1.said"
    HAND=("printf '$2' >$BUILD/said")
    case $1 in
    stall | reset) set -- "$1" "-k 9999999 " ;;
    *) set -- "$1" "" ;;
    esac
    HAND+=("$BUILD/peers/rude -f $BUILD/said -p $HAND_PORT $2""serve $1")
}

# hear FACE TEXT: runs the learner's program against that peer.
hear() {
    will_say "$@"
    answer 127.0.0.1 "$PORT"
}

# expect_said TEXT [--hint TEXT]: standard output is what printf makes of TEXT.
expect_said() {
    local wanted
    if [[ $1 != *'\0'* ]]; then
        # shellcheck disable=SC2059 # it is a format
        printf -v wanted "$1"
        ! is_text "${wanted//\\/\\\\}" "$OUT" || return 0
    fi
    # shellcheck disable=SC2059
    printf "$1" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted" "${@:2}"
}

end_hint="Nothing came in the place of the comma: recv returned 0, or getc \
returned EOF. Ask for the end first, and then whether the byte is a comma."

# expect_wrong WORD TEXT --hint TEXT: it printed TEXT, and ended with status 1
# and a sentence that has WORD. The hint is about noticing what is wrong.
expect_wrong() {
    expect_end "${@:3}"
    expect_said "$2" "${@:3}"
    # With an error said, it has noticed.
    if [[ $status == 0 && $errors == *"$1"* ]]; then
        expect_status 1 --hint "Your program says what is wrong, and then ends \
as if all was well. Whoever called it sees only the status: end with status 1."
    fi
    expect_status 1 "${@:3}"
    if [[ $1 == end && $errors == *comma* && $errors != *end* ]]; then
        fail "it takes the end for a wrong byte" --hint "$end_hint"
    fi
    expect_stderr "*$1*" --hint "Say on standard error what was wrong; the \
sentence has to have the word: $1."
}

# word: sets WORD to letters that nobody could have known, and NETSTRING.
word() {
    printf -v WORD 'w%x' "$((RANDOM * 32768 + RANDOM))"
    NETSTRING=${#WORD}:$WORD,
}

piece_hint="One recv is not one message: recv returns what has arrived so far, \
here one byte. Call it again until the message and its comma are there."
rest_hint="One recv may return the end of one message and the beginning of the \
next. Keep the bytes that you have not used yet for the next message."
limit_hint="The peer chooses the length, but you choose how much you accept. \
Compare the length with 100000 before you make room or wait for the bytes."
written_hint="A length is written in one way only: strtoul and scanf skip \
blanks and accept signs and leading zeros, so check each byte yourself."

@test "prints each message on a line of its own, sends nothing, and ends with status 0 when the peer closes" {
    local WORD NETSTRING
    peers whole 1
    word
    hear whole "$NETSTRING"
    expect_said "$WORD\n" --hint "A netstring is a length in digits, a colon, \
so many bytes, and a comma. Print the bytes between colon and comma, and a \
newline."
    expect_status 0 --hint "The end of stream after a whole message is the \
end: return 0."
    until_true says whole "got*"
    expect_true "it sent something to its peer" \
        --hint "Your program only reads: send nothing." \
        -- says whole "got 0 bytes, then end of stream"
}

@test "prints all messages, in whatever pieces they arrive" {
    local WORD NETSTRING text='' wanted='' i
    local empty_hint="0:, is a netstring like any other, with a message of no \
bytes: print an empty line for it. It is not the end."
    peers dribble 1 whole 2
    word
    hear dribble "$NETSTRING"
    expect_said "$WORD\n" --hint "$piece_hint"
    expect_status 0 --hint "$piece_hint"
    for ((i = 0; i < 12; i++)); do
        word
        text+=$NETSTRING
        wanted+="$WORD\n"
    done
    hear whole "$text"
    expect_end --hint "$rest_hint"
    expect_said "$wanted" --hint "$rest_hint"
    expect_status 0 --hint "$rest_hint"
    hear whole "0:,$NETSTRING""0:,0:,"
    expect_said "\n$WORD\n\n\n" --hint "$empty_hint"
    expect_status 0 --hint "$empty_hint"
}

@test "prints every byte of a message as it is" {
    local noise=$((10000 + RANDOM))
    peers whole 1
    hear whole "16:a\0,$noise:\n\0,\001\377\r\n,3:\0\0\0,"
    expect_said "a\0,$noise:\n\0,\001\377\r\n\n\0\0\0\n" --hint "Only the \
length says where a message ends: a comma, a newline or a NUL in it is a byte \
like any other. Functions for C strings do not work here; fwrite takes a \
length."
    expect_status 0 --hint "No byte in a message is an error."
}

@test "takes messages of up to 100000 bytes, and refuses a longer one as soon as it has read its length, without waiting for the message" {
    local WORD NETSTRING start=$((10000 + RANDOM % 20000))
    local room_hint="A message may have 100000 bytes, which come in many \
pieces. Is there room in your buffer for the digits, the colon and the comma \
too?"
    peers whole 2 stall 1
    word
    hear whole "100000:$start%099995d,$NETSTRING""99999:$start%099994d,"
    [[ $errors != *length* ]] || room_hint="A message may have exactly 100000 \
bytes. Refuse a length only if it is larger than that: 100001 is the first one \
that is wrong."
    expect_said "$start%099995d\n$WORD\n$start%099994d\n" --hint "$room_hint"
    expect_status 0 --hint "$room_hint"
    hear whole "${NETSTRING}100001:%0100001d,5:never,"
    expect_wrong length "$WORD\n" --hint "$limit_hint"
    hear stall "${NETSTRING}999999999:"
    expect_wrong length "$WORD\n" --hint "$limit_hint"
}

@test "refuses a length that no integer can hold, and digits that go on for ever" {
    local WORD NETSTRING length
    peers whole 3 stall 1
    word
    # 5, when counted with 32 bits or 64; and less than 0, when with a sign.
    for length in 4294967301 18446744073709551621 2147483653; do
        hear whole "$NETSTRING$length:hello,5:never,"
        expect_wrong length "$WORD\n" --hint "A length that grows digit by \
digit overflows its type: 4294967301 becomes 5 in 32 bits. Compare it with the \
limit after each digit, while it is still small."
    done
    hear stall "${NETSTRING}1%0300000d"
    expect_wrong length "$WORD\n" --hint "A peer that sends digits without end \
keeps you reading, or fills your memory. No length that you accept has more \
than six digits: stop at the seventh."
}

@test "refuses a length that is not written as it should be, as soon as the wrong byte has arrived" {
    local WORD NETSTRING wrong
    peers whole 7 stall 2
    word
    for wrong in '05:hello,' '00:,' '+5:hello,' ' 5:hello,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        expect_wrong length "$WORD\n" --hint "$written_hint"
    done
    for wrong in ':,' '5;hello,' '5 :hello,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        expect_wrong length "$WORD\n" --hint "Before the colon there is at \
least one digit, and nothing but digits. After the digits comes the colon at \
once."
    done
    for wrong in x 05; do
        hear stall "$NETSTRING$wrong"
        expect_wrong length "$WORD\n" --hint "The last byte that came is wrong \
already: end at once, and do not wait for more."
    done
}

@test "refuses a message without its comma, and does not print it" {
    local WORD NETSTRING wrong comma_hint="The comma shows that the length was \
right. If another byte stands in its place, do not print the message, but end \
with status 1."
    peers whole 3 stall 1
    word
    for wrong in '5:hello;' '4:hello,' '0:0:,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        expect_wrong comma "$WORD\n" --hint "$comma_hint"
    done
    hear stall "${NETSTRING}5:hellox"
    expect_wrong comma "$WORD\n" --hint "$comma_hint"
}

@test "reports an end in the middle of a netstring, with status 1" {
    local WORD NETSTRING cut said_of_comma
    peers whole 6 reset 4
    word
    hear whole "${NETSTRING}12:twelve bytes;"
    said_of_comma=$errors
    hear whole ""
    expect_said "" --hint "There was no message, so print nothing."
    expect_status 0 --hint "If the stream ends between two messages, or before \
the first one, that is the end: status 0."
    for cut in 1 12: 12:t '12:twelve bytes'; do
        hear whole "$NETSTRING$cut"
        expect_wrong end "$WORD\n" --hint "When recv returns 0, check whether \
you have used all bytes. A message that has begun and has not ended was cut \
short: say so, and end with status 1."
    done
    [[ $errors != "$said_of_comma" ]] ||
        fail "it takes the end for a wrong byte" --hint "$end_hint"
    for cut in '' 1 12:tw '12:twelve bytes'; do
        hear reset "$NETSTRING$cut"
        expect_reset
    done
}

# expect_reset: it printed the message before the reset, and the reason.
expect_reset() {
    local hint="A reset is an error, between two messages and inside of one. \
recv returns -1 then, and not 0: say why, and end with status 1. (getc and \
fread return the same for the end and for an error; ferror tells which it was.)"
    expect_end --hint "$hint"
    expect_said "$WORD\n" --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*Connection reset by peer*" --hint "$hint"
}

@test "prints a message as soon as it is whole" {
    local WORD NETSTRING
    peers stall 1
    word
    will_say stall "${NETSTRING}12:twelve"
    start_answer 127.0.0.1 "$PORT"
    soon says_or_ended answer "$WORD" || true
    HAND[-1]+=" | cat" # to a terminal, a line goes without fflush too
    expect_true "the peer has said a whole message, and waits, but nothing \
was printed" --hint "Output to a pipe or a file stays in a buffer until you \
call fflush(stdout). Call it after each message." -- says answer "$WORD"
    expect_true "it ended while the peer had not" \
        --hint "The peer is silent, but it has not ended: recv has to wait." \
        -- is_running answer
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_status 1 --hint "The file that you began with does this: its main \
calls connect, and ends with status 1 if that fails."
    expect_stderr "*Connection refused*" --hint "The file that you began with \
does this: err(3) prints the reason from errno."
}

@test "reports output that cannot be written, with status 1" {
    local WORD NETSTRING long
    peers whole 3
    word
    will_say whole "$NETSTRING"
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    # With its newline it is as long as a buffer of fwrite.
    printf -v long '%04095d' 0
    will_say whole "4095:$long,"
    HAND[0]="printf '4095:%04095d,' 0 >$BUILD/said"
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$fwrite_hint"
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    need_faults
    will_say whole "$NETSTRING"
    by_hand "${faulty[@]/"$PWD/"/}" FAULT_SHORT=write "$PROGRAM" 127.0.0.1 "$PORT"
    run_answer "${faulty[@]}" FAULT_SHORT=write "$PROGRAM" 127.0.0.1 "$PORT"
    echo "$WORD" >"$BATS_TEST_TMPDIR/wanted"
    expect_no_loss "$BATS_TEST_TMPDIR/wanted"
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer 127.0.0.1 80 more
    expect_status 2 --hint "$usage_hint"
}
