#!/usr/bin/env bats
# The exercise of 05-byte-streams: a reader of netstrings, `05-byte-streams HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

# peers FACE COUNT...: starts a peer for each FACE, all at once, for so many
# clients. `stall` and `reset` say all they have before they do so.
peers() {
    while (($# > 0)); do
        : >"$BATS_TEST_TMPDIR/$1.said"
        start "$1" "$BUILD/tests/rude" -f "$BATS_TEST_TMPDIR/$1.said" \
            -k 9999999 -c "$2" serve "$1"
        shift 2
    done
}

# will_say FACE TEXT: to its next client, that peer says what printf makes of
# TEXT. Sets PORT, and what to do by hand.
will_say() {
    wait_for "$1" 'listening on *' ||
        environment "$BUILD/tests/rude cannot listen on 127.0.0.1"
    port_of "$1"
    # shellcheck disable=SC2059 # it is a format
    printf "$2" >"$BATS_TEST_TMPDIR/$1.said"
    HAND=("printf '$2' >/tmp/said")
    case $1 in
    stall | reset) set -- "$1" "-k 9999999 " ;;
    *) set -- "$1" "" ;;
    esac
    HAND+=("$BUILD/tests/rude -f /tmp/said -p $HAND_PORT $2""serve $1")
}

# hear FACE TEXT: runs the learner's program against that peer.
hear() {
    will_say "$@"
    answer 127.0.0.1 "$PORT"
}

# expect_lines_out TEXT: standard output is TEXT, which has printf's escapes.
expect_lines_out() {
    local wanted got
    # Without a process, where that can be: what has no NUL in it is read up to
    # its end, which is no success for read.
    # shellcheck disable=SC2059 # it is a format
    printf -v wanted "$1"
    ! IFS= read -rd '' got <"$OUT" && [[ $1 != *'\0'* && $got == "$wanted" ]] &&
        return
    # shellcheck disable=SC2059
    printf "$1" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

# expect_wrong WORD TEXT: it ends with status 1 and a sentence that has WORD,
# after TEXT.
expect_wrong() {
    expect_status 1
    expect_lines_out "$2"
    expect_stderr "*$1*"
}

# word: sets WORD to letters that nobody could have known, and NETSTRING.
word() {
    printf -v WORD 'w%x' "$((RANDOM * 32768 + RANDOM))"
    NETSTRING=${#WORD}:$WORD,
}

@test "prints each message on a line of its own" {
    local WORD NETSTRING
    peers whole 1
    word
    hear whole "$NETSTRING"
    hint "a netstring is a length in digits, a colon, so many bytes, and a \
comma. Only the bytes between colon and comma are the message."
    expect_lines_out "$WORD\n"
    expect_status 0
    hint "nobody waits for you to speak."
    until_true says whole "got*"
    expect_true "it sent something to its peer" \
        says whole "got 0 bytes, then end of stream"
}

@test "prints all messages, empty ones too, however they are cut" {
    local WORD NETSTRING text='' wanted='' i
    peers dribble 1 whole 2
    word
    hear dribble "$NETSTRING"
    hint "one recv is not one message: it returns what has arrived, and here \
that is a byte. Ask again until the message and its comma are there."
    expect_status 0
    expect_lines_out "$WORD\n"
    for ((i = 0; i < 12; i++)); do
        word
        text+=$NETSTRING
        wanted+="$WORD\n"
    done
    hear whole "$text"
    hint "recv may bring the end of one message and the beginning of others: \
what you have not used yet has to stay for the next one."
    expect_lines_out "$wanted"
    expect_status 0
    hear whole "0:,$NETSTRING""0:,0:,"
    hint "0:, is a netstring like any other, of no bytes. It is not the \
end."
    expect_lines_out "\n$WORD\n\n\n"
    expect_status 0
}

@test "prints every byte of a message as it is" {
    local noise=$((10000 + RANDOM))
    peers whole 1
    hear whole "16:a\0,$noise:\n\0,\001\377\r\n,3:\0\0\0,"
    hint "the length alone says where a message ends. No byte in it means \
anything, be it a comma, a newline or a NUL: what is made for C strings will \
not do."
    expect_lines_out "a\0,$noise:\n\0,\001\377\r\n\n\0\0\0\n"
    expect_status 0
}

@test "takes messages of up to 100000 bytes, and none that is longer" {
    local WORD NETSTRING start=$((10000 + RANDOM % 20000))
    peers whole 2 stall 1
    word
    hear whole "100000:$start%099995d,$NETSTRING""99999:$start%099994d,"
    hint "100000 bytes is allowed, and they come in many pieces. Is there room \
for digits, colon and comma too?"
    expect_status 0
    expect_lines_out "$start%099995d\n$WORD\n$start%099994d\n"
    hear whole "${NETSTRING}100001:%0100001d,5:never,"
    hint "the peer chooses the length, and you choose what you put up with. \
Compare before you make room, and before you wait for the bytes."
    expect_wrong length "$WORD\n"
    hear stall "${NETSTRING}999999999:"
    expect_wrong length "$WORD\n"
}

@test "refuses a length that no integer holds, or that has no end" {
    local WORD NETSTRING length
    peers whole 3 stall 1
    word
    # 5, when counted with 32 bits or 64; and less than 0, when with a sign.
    for length in 4294967301 18446744073709551621 2147483653; do
        hear whole "$NETSTRING$length:hello,5:never,"
        hint "a length that grows digit by digit goes over the top of its type \
and begins again at the bottom: 4294967301 is 5 in 32 bits. Look at it after \
each digit, while it is still small."
        expect_wrong length "$WORD\n"
    done
    hear stall "${NETSTRING}1%0300000d"
    hint "a peer that sends digits for ever keeps you reading, or fills your \
memory. After six of them you know enough."
    expect_wrong length "$WORD\n"
}

@test "refuses a length that is not written as it should be" {
    local WORD NETSTRING wrong
    peers whole 7 stall 1
    word
    for wrong in '05:hello,' '00:,' '+5:hello,' ' 5:hello,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        hint "one length, one way to write it: strtoul and scanf pass over \
blanks, take signs, and don't mind zeros. Two readers who take different \
things for the same can be played off against each other."
        expect_wrong length "$WORD\n"
    done
    for wrong in ':,' '5;hello,' '5 :hello,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        hint "before the colon stands a digit at least, and nothing but \
digits; after the digits a colon, and nothing else."
        expect_wrong length "$WORD\n"
    done
    hear stall "${NETSTRING}x"
    hint "what has come is wrong already: there is nothing to wait for."
    expect_wrong length "$WORD\n"
}

@test "misses the comma" {
    local WORD NETSTRING wrong
    peers whole 3 stall 1
    word
    hint "the comma is how you notice that the length was wrong. A message \
without one is not to be believed, and not to be printed."
    for wrong in '5:hello;' '4:hello,' '0:0:,'; do
        hear whole "$NETSTRING${wrong}5:never,"
        expect_wrong comma "$WORD\n"
    done
    hear stall "${NETSTRING}5:hellox"
    expect_wrong comma "$WORD\n"
}

@test "does not take a cut or a reset for the end" {
    local WORD NETSTRING cut
    peers whole 5 reset 1
    word
    hint "the end of stream between two messages is the end: status 0."
    hear whole ""
    expect_status 0
    expect_lines_out ""
    for cut in 1 12: 12:t '12:twelve bytes'; do
        hear whole "$NETSTRING$cut"
        hint "when recv returns 0, have you used up all that came? A message \
that has begun and has not ended was cut short, and nobody told you but this 0."
        expect_wrong end "$WORD\n"
    done
    hear reset "$NETSTRING"
    hint "recv has three answers: bytes, 0 for the end, and -1 for a failure. \
A reset is a failure, also between two messages: say why, with status 1."
    expect_wrong "Connection reset by peer" "$WORD\n"
}

@test "prints a message as soon as it is whole" {
    local WORD NETSTRING
    peers stall 1
    word
    will_say stall "${NETSTRING}12:twelve"
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    start answer "$PROGRAM" 127.0.0.1 "$PORT"
    in_time says_or_ended answer "$WORD" || true
    cp "$BATS_TEST_TMPDIR/answer.err" "$BATS_TEST_TMPDIR/err"
    hint "whoever reads what you print waits for it. Into a pipe or a file, \
stdout keeps it back until you call fflush."
    expect_true "the peer has said a whole message, and waits, but nothing \
was printed" says answer "$WORD"
    hint "the peer is silent, but it has not ended: recv waits."
    expect_true "it ended while the peer had not" is_running answer
}

# in_time COMMAND...: looks until COMMAND succeeds, SECONDS_ALLOWED at most.
in_time() {
    local end=$((${EPOCHREALTIME/./} + SECONDS_ALLOWED * 1000000))
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        pause
    done
}

@test "says why it cannot connect, with status 1" {
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    hint "what you were given to start with does this."
    answer 127.0.0.1 "$PORT"
    expect_status 1
    expect_stderr "*Connection refused*"
}

@test "says so when standard output cannot be written" {
    local WORD NETSTRING
    peers whole 1
    word
    will_say whole "$NETSTRING"
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "fwrite, putchar and fflush return what became of the bytes."
    expect_status 1
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1 80 more
    expect_status 2
}
