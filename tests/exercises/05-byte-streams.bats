#!/usr/bin/env bats
# The exercise of 05-byte-streams: a reader of netstrings, `05-byte-streams HOST
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

if [[ $BUILD == *asan* ]]; then
    # Which wants to be loaded first, but need not be.
    export ASAN_OPTIONS=verify_asan_link_order=0
fi

declare -A said_by options_of face_of

# say NAME FACE TEXT [OPTION...]: starts a peer that says TEXT, which has
# printf's escapes, with that FACE. Does not wait for it, so that many can be
# started at once.
say() {
    local name=$1
    face_of[$name]=$2
    said_by[$name]=$3
    shift 3
    options_of[$name]=$*
    # shellcheck disable=SC2059 # it is a format
    printf "${said_by[$name]}" >"$BATS_TEST_TMPDIR/$name.said"
    start "$name" "$BUILD/tests/rude" -f "$BATS_TEST_TMPDIR/$name.said" "$@" \
        serve "${face_of[$name]}"
}

# ready NAME: waits until that peer listens; sets PORT, and what to do by hand.
ready() {
    local options=${options_of[$1]}
    wait_for "$1" 'listening on *' ||
        environment "$BUILD/tests/rude cannot listen on 127.0.0.1"
    port_of "$1"
    HAND=("printf '${said_by[$1]}' >/tmp/said")
    HAND+=("$BUILD/tests/rude -f /tmp/said -p $HAND_PORT${options:+ $options} \
serve ${face_of[$1]}")
}

# hear NAME: runs the learner's program against that peer.
hear() {
    ready "$1"
    answer 127.0.0.1 "$PORT"
}

# expect_lines_out TEXT: standard output is TEXT, which has printf's escapes.
expect_lines_out() {
    # shellcheck disable=SC2059 # it is a format
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

@test "prints a message on a line of its own" {
    local WORD NETSTRING
    word
    say peer whole "$NETSTRING"
    hear peer
    hint "a netstring is a length in digits, a colon, so many bytes, and a \
comma. Only the bytes between colon and comma are the message."
    expect_lines_out "$WORD\n"
    expect_status 0
    finish peer
    hint "nobody waits for you to speak."
    expect_true "it sent something to its peer" \
        says peer "got 0 bytes, then end of stream"
}

@test "puts a message together that comes in pieces" {
    local WORD NETSTRING first
    word
    first=$WORD
    word
    say peer dribble "${#first}:$first,$NETSTRING"
    hear peer
    hint "one recv is not one message: it returns what has arrived, and here \
that is a byte. Ask again until the message and its comma are there."
    expect_status 0
    expect_lines_out "$first\n$WORD\n"
}

@test "goes on with what follows a message" {
    local WORD NETSTRING text='' wanted='' i
    for ((i = 0; i < 12; i++)); do
        word
        text+=$NETSTRING
        wanted+="$WORD\n"
    done
    say peer whole "$text"
    hear peer
    hint "recv may bring the end of one message and the beginning of others: \
what you have not used yet has to stay for the next one."
    expect_lines_out "$wanted"
    expect_status 0
}

@test "prints an empty message as an empty line" {
    local WORD NETSTRING
    word
    say peer whole "0:,$NETSTRING""0:,0:,"
    hear peer
    hint "0:, is a netstring like any other, of no bytes. It is not the end."
    expect_lines_out "\n$WORD\n\n\n"
    expect_status 0
}

@test "prints every byte of a message as it is" {
    local noise=$((10000 + RANDOM))
    say peer whole "16:a\0,$noise:\n\0,\001\377\r\n,3:\0\0\0,"
    hear peer
    hint "the length alone says where a message ends. No byte in it means \
anything, be it a comma, a newline or a NUL: what is made for C strings will \
not do."
    expect_lines_out "a\0,$noise:\n\0,\001\377\r\n\n\0\0\0\n"
    expect_status 0
}

@test "takes messages of up to 100000 bytes" {
    local WORD NETSTRING start=$((10000 + RANDOM % 20000))
    word
    say peer whole "100000:$start%099995d,$NETSTRING""99999:$start%099994d,"
    hear peer
    hint "100000 bytes is allowed, and they come in many pieces. Is there room \
for digits, colon and comma too?"
    expect_status 0
    expect_lines_out "$start%099995d\n$WORD\n$start%099994d\n"
}

@test "refuses a message of more than 100000 bytes" {
    local WORD NETSTRING
    word
    say more whole "${NETSTRING}100001:%0100001d,5:never,"
    say large stall "${NETSTRING}999999999:" -k 99
    hear more
    hint "the peer chooses the length, and you choose what you put up with. \
Compare before you make room, and before you wait for the bytes."
    expect_wrong length "$WORD\n"
    hear large
    expect_wrong length "$WORD\n"
}

@test "refuses a length that no integer holds, or that has no end" {
    local WORD NETSTRING bits
    word
    # 5, when counted with 32 bits or 64; and less than 0, when with a sign.
    say bits32 whole "${NETSTRING}4294967301:hello,5:never,"
    say bits64 whole "${NETSTRING}18446744073709551621:hello,5:never,"
    say bits31 whole "${NETSTRING}2147483653:hello,5:never,"
    say endless stall "${NETSTRING}1%0300000d" -k 999999
    for bits in 32 64 31; do
        hear "bits$bits"
        hint "a length that grows digit by digit goes over the top of its type \
and begins again at the bottom: 4294967301 is 5 in 32 bits. Look at it after \
each digit, while it is still small."
        expect_wrong length "$WORD\n"
    done
    hear endless
    hint "a peer that sends digits for ever keeps you reading, or fills your \
memory. After six of them you know enough."
    expect_wrong length "$WORD\n"
}

@test "refuses a length that is not written as it should be" {
    local WORD NETSTRING text
    local -a wrong=('05:hello,' '00:,' '+5:hello,' ' 5:hello,' ':,' '5;hello,')
    word
    for text in "${!wrong[@]}"; do
        say "peer$text" whole "$NETSTRING${wrong[text]}5:never,"
    done
    say stall stall "${NETSTRING}x" -k 99
    for text in "${!wrong[@]}"; do
        hear "peer$text"
        case ${wrong[text]} in
        0* | [+\ ]*) hint "one length, one way to write it: strtoul and scanf \
pass over blanks, take signs, and don't mind zeros. Two readers who take \
different things for the same can be played off against each other." ;;
        *) hint "before the colon stands a digit at least, and nothing but \
digits; after the digits a colon, and nothing else." ;;
        esac
        expect_wrong length "$WORD\n"
    done
    hear stall
    hint "what has come is wrong already: there is nothing to wait for."
    expect_wrong length "$WORD\n"
}

@test "misses the comma" {
    local WORD NETSTRING text
    local -a wrong=('5:hello;' '4:hello,' '0:0:,')
    word
    for text in "${!wrong[@]}"; do
        say "peer$text" whole "$NETSTRING${wrong[text]}5:never,"
    done
    say stall stall "${NETSTRING}5:hellox" -k 99
    for text in "${!wrong[@]}"; do
        hear "peer$text"
        hint "the comma is how you notice that the length was wrong. A message \
without one is not to be believed, and not to be printed."
        expect_wrong comma "$WORD\n"
    done
    hear stall
    expect_wrong comma "$WORD\n"
}

@test "does not take an end in the middle for the end" {
    local WORD NETSTRING at
    word
    for at in 1 3 8 15; do
        say "peer$at" half-close "${NETSTRING}12:twelve bytes," \
            -k "$((${#NETSTRING} + at))"
    done
    say boundary half-close "${NETSTRING}12:twelve bytes," -k "${#NETSTRING}"
    say nothing half-close "$NETSTRING" -k 0
    hear boundary
    hint "the end of stream between two messages is the end: status 0."
    expect_status 0
    expect_lines_out "$WORD\n"
    hear nothing
    expect_status 0
    expect_lines_out ""
    for at in 1 3 8 15; do
        hear "peer$at"
        hint "when recv returns 0, have you used up all that came? A message \
that has begun and has not ended was cut short, and nobody told you but this 0."
        expect_wrong end "$WORD\n"
    done
}

@test "prints a message as soon as it is whole" {
    local WORD NETSTRING wanted
    word
    say peer stall "${NETSTRING}12:twelve" -k 99
    ready peer
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

@test "does not take a reset for the end" {
    local WORD NETSTRING
    word
    say peer reset "${NETSTRING}5:never," -k "${#NETSTRING}"
    hear peer
    hint "recv has three answers: bytes, 0 for the end, and -1 for a failure. \
A reset is a failure, also between two messages: say why, with status 1."
    expect_wrong "Connection reset by peer" "$WORD\n"
}

@test "connects to HOST, a name or a number, and says why it cannot" {
    local WORD NETSTRING
    word
    say peer whole "$NETSTRING"
    ready peer
    by_hand "$PROGRAM" localhost "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    hint "addr_resolve takes names and numbers. What you were given to start \
with has all of this."
    try env LD_PRELOAD="$BUILD/tests/names.so" NAMES=hal=127.0.0.1 \
        "$PROGRAM" hal "$PORT"
    expect_status 0
    expect_lines_out "$WORD\n"
    stop_all
    HAND=()
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_status 1
    expect_stderr "*Connection refused*"
}

@test "says so when standard output cannot be written" {
    local WORD NETSTRING
    word
    say peer whole "$NETSTRING"
    ready peer
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
