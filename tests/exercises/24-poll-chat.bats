#!/usr/bin/env bats
# The exercise of 24-poll-chat: a chat with private messages, `24-poll-chat
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

rude=$BUILD/peers/rude
chatters=$BUILD/peers/chatters
no="a name is 1 to 16 letters, digits, - and _, not taken"

setup_file() {
    trap '' PIPE # a server that has gone is no end of this shell
}

# serves: the answer, and the way to talk to it by hand.
serves() {
    HAND=()
    answer_serves 0
    HAND+=("exec 3<>/dev/tcp/127.0.0.1/$HAND_PORT; echo alice >&3; cat <&3")
    DELIVERED="until a client has said its name, it is told nothing but what is \
wrong with it. Of what a client says each line goes to all others that have a \
name, and none to itself."
}

# come NAME: a client that has connected, and not said its name.
come() {
    local -n descriptor=fd_$1
    exec {descriptor}<>"/dev/tcp/127.0.0.1/$PORT" ||
        not_yet "nobody answers at port $PORT" </dev/null
}

go() {
    local -n descriptor=fd_$1
    exec {descriptor}>&-
}

# say NAME TEXT: TEXT is for printf.
say() {
    local -n descriptor=fd_$1
    # shellcheck disable=SC2059 # it is one
    { printf "$2" >&"$descriptor"; } 2>/dev/null || true # it hears nothing then
}

# hears NAME LINE...: these lines are what it is told next.
hears() {
    local -n descriptor=fd_$1
    local line status heard
    for line in "${@:2}"; do
        status=0
        IFS= read -rt "$SECONDS_ALLOWED" -u "$descriptor" heard || status=$?
        printf '%s\n' "$line" >"$BATS_TEST_TMPDIR/wanted"
        if ((status == 0)); then
            printf '%s\n' "$heard"
        else
            printf '%s' "$heard"
        fi >"$BATS_TEST_TMPDIR/got"
        if ((status != 0)) || [[ $heard != "$line" ]]; then
            not_yet "$1 was not told what it should be" < <(
                show_difference "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/got"
                ((status == 0)) || echo "Nothing more came: $(why "$status")"
            )
        fi
    done
}

why() {
    if (($1 > 128)); then
        echo "it waited for $SECONDS_ALLOWED seconds."
    else
        echo "the server has closed."
    fi
}

# join NAME [OTHER...]: it comes, and the others hear that.
join() {
    local other
    come "$1"
    say "$1" "$1\n"
    for other in "${@:2}"; do
        hears "$other" "$1 joined"
    done
}

# crowd OPTION...: chatters; judges nothing yet.
crowd() {
    by_hand "$chatters" "$@" "$PORT"
    SECONDS_ALLOWED=6 try "$chatters" -t 1 "$@" "$PORT"
    cp "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/crowd"
}

expect_content() {
    ((status == 0)) || not_yet "$1" < <(sed 's/^/The crowd: /' \
        "$BATS_TEST_TMPDIR/crowd")
}

@test "tells all others who joins, what is said, and who leaves" {
    hint "socket, bind and listen are in main. Then poll, with the listener in \
the array; accept; and poll again with the client in it."
    serves
    hint "$DELIVERED \`NAME joined\` goes to them when it has said one."
    join alice
    join bob alice
    join carol alice bob
    hint "$DELIVERED As \`NAME: text\`, with the newline."
    say alice "hello $RANDOM, all\n"
    say bob 'one\n\ntwo\n'
    read -rt "$SECONDS_ALLOWED" -u "$fd_bob" heard || true
    [[ $heard == "alice: hello "*", all" ]] ||
        not_yet "bob was told: $heard" <<<"Expected: alice: hello ..., all"
    hears alice "bob: one" "bob: " "bob: two"
    hears carol "$heard" "bob: one" "bob: " "bob: two"
    hint "recv returns 0 when a client has ended: then it has left, and all \
others that have a name are told \`NAME left\`."
    go bob
    hears alice "bob left"
    hears carol "bob left"
}

@test "takes a name of 1 to 16 letters, digits, - and _ that nobody has" {
    local name
    hint "a first line that is no name, or is somebody's, is answered \`$no\`; \
then the next line is another try."
    serves
    join alice
    come bob
    for name in '' abcdefghijklmnopq 'b b' 'b:' alice; do
        say bob "$name\n"
        hears bob "$no"
    done
    hint "any byte may come: a NUL or a carriage return is no letter."
    for name in 'bob\0' 'bob\r'; do
        say bob "$name\n"
        hears bob "$no"
    done
    hint "a name ends at its newline, and what comes in the same recv behind it \
is the next line: TCP knows no messages (05)."
    come ann
    # In one piece: bash would send each line by itself.
    printf '0_Az-\nhello\n' >"$BATS_TEST_TMPDIR/said"
    cat "$BATS_TEST_TMPDIR/said" >&"$fd_ann"
    hears alice "0_Az- joined" "0_Az-: hello"
    hint "16 bytes are a name."
    say bob '0_A-z45678901234\n'
    hears alice "0_A-z45678901234 joined"
    hears ann "0_A-z45678901234 joined"
    hint "names are compared to their end: \`al\` is not \`alice\`. One whose \
client has left is free."
    join al alice bob ann
    go al
    hears alice "al left"
    hears bob "al left"
    join al alice bob
    hint "capitals are other letters."
    join Alice alice bob al
}

@test "sends on whole lines, and the bytes in them as they are" {
    local text i all
    hint "what recv gives is no line. Keep it until its newline has come, for \
each client by itself (05)."
    serves
    join alice
    join bob alice
    join carol alice bob
    say alice 'hel'
    say bob 'between\n'
    hears carol "bob: between"
    hears alice "bob: between"
    say alice 'lo\nand '
    hears carol "alice: hello"
    hears bob "alice: hello"
    hint "what has no newline when its client ends is no line: drop it."
    go alice
    hears carol "alice left"
    hears bob "alice left"
    hint "a line may have 1024 bytes, its newline included."
    printf -v text '%*s' 1023 ''
    text=${text// /$((RANDOM % 10))}
    say bob "$text\n"
    hears carol "bob: $text"
    hint "any byte but a newline is part of a line, NUL too: strlen and %s end \
there. Count bytes."
    all=$(for i in 0 1 13 27 37 127 128 $((160 + RANDOM % 90)) 255; do
        printf '\\x%02x' "$i"
    done)
    # shellcheck disable=SC2059 # it has escapes
    printf "bob: $all\n" >"$BATS_TEST_TMPDIR/wanted"
    say bob "$all\n"
    bounded head -c "$(wc -c <"$BATS_TEST_TMPDIR/wanted")" <&"$fd_carol" \
        >"$BATS_TEST_TMPDIR/got" || true
    : >"$BATS_TEST_TMPDIR/ending"
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/got"
    hint "who has said 1024 bytes and no newline among them is let go."
    say bob "${text}xx"
    hears carol "bob left"
}

@test "keeps nobody waiting who comes after others have left" {
    local i
    hint "poll writes revents, and nobody else does: for one who came after it, \
what is in the array there is another's, or nothing. And recv, when nothing is \
there, fails with EAGAIN: that is no end."
    serves
    join alice
    for i in 1 2 3; do
        join bob alice
        join carol alice bob
        say carol "$i\n"
        hears alice "carol: $i"
        hears bob "carol: $i"
        go bob
        hears alice "bob left"
        hears carol "bob left"
        go carol
        hears alice "carol left"
    done
    come slow
    come slower
    join bob alice
    say bob 'still there?\n'
    hears alice "bob: still there?"
    say slower 'slower\n'
    hears alice "slower joined"
    say slow 'slow\n'
    hears alice "slow joined"
    hears slower "slow joined"
}

@test "carries /to NAME text to NAME, and to nobody else" {
    local number=$RANDOM
    hint "\`/to bob text\` goes to bob, as \`alice (private): text\`."
    serves
    join alice
    join bo alice
    join bob alice bo
    join carol alice bo bob
    say alice "/to bob it is $number\nto all\n"
    hears bob "alice (private): it is $number" "alice: to all"
    hint "and nobody else hears of it, nor does who said it."
    hears carol "alice: to all"
    hears bo "alice: to all"
    hint "NAME ends at the next blank, and what is behind that is text, with all \
its blanks."
    say carol '/to bo  a  b \n/to carol to myself\n/to bo  \n'
    hears bo "carol (private):  a  b " "carol (private):  "
    hint "one's own name is a name like others."
    hears carol "carol (private): to myself"
    hint "only \`/to\` with a blank behind it, or nothing, is private."
    say bo '/tokyo bob\n/ to bob\n /to bob x\n/TO bob x\n'
    hears bob "bo: /tokyo bob" "bo: / to bob" "bo:  /to bob x" "bo: /TO bob x"
    # A NUL is a byte as others are.
    hint "text is bytes, NUL too: count them."
    hears alice "bo: /tokyo bob" "bo: / to bob" "bo:  /to bob x" "bo: /TO bob x"
    printf 'bob (private): a\0b\n' >"$BATS_TEST_TMPDIR/wanted"
    say bob '/to alice a\0b\n'
    bounded head -c 19 <&"$fd_alice" >"$BATS_TEST_TMPDIR/got" || true
    : >"$BATS_TEST_TMPDIR/ending"
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/got"
}

@test "says what is wrong with a private message, to its sender alone" {
    local line
    hint "where nobody has that name, the sender is told \`nobody is called \
NAME\`; compare names to their end, in length and letters."
    serves
    join alice
    join bob alice
    come stranger
    for line in nobody bo bobby Bob; do
        say alice "/to $line hello\n"
        hears alice "nobody is called $line"
    done
    hint "without a NAME or a text the sender is told \`/to needs a name and a \
text\`."
    for line in /to '/to ' '/to bob' '/to bob ' '/to  bob'; do
        say alice "$line\n"
        hears alice "/to needs a name and a text"
    done
    hint "who has left has no name any more."
    join carol alice bob
    go carol
    hears alice "carol left"
    hears bob "carol left"
    say alice '/to carol hello\nall\n'
    hears alice "nobody is called carol"
    hint "what is wrong with a private message is not for others."
    hears bob "alice: all"
}

@test "lets nobody wait for one who does not read, and lets that one go" {
    local size
    hint "send on a socket that blocks waits for one who does not read, and all \
others with you. SOCK_NONBLOCK for each that you accept; on EAGAIN the rest \
waits in a queue, until poll says POLLOUT for it."
    serves
    # Some megabytes for each, far more than the kernel keeps.
    crowd -c 3 -k 3 -n 5000 -b 1000 -r 50000
    hint_at_crowd
    expect_content "a chat with some in it that never read did not go well"
    hint "the queue of one who does not read grows for ever, unless it has a \
limit: 256 KiB. Then let that client go, and tell the others."
    expect_true "it let nobody go" grep -q 'were let go' "$OUT"
}

hint_at_crowd() {
    if [[ $errors == *"should get line"* ]]; then
        hint "a line was lost. send may take a part of what it is given, and \
the rest goes to the queue's front. And who takes a client out of an array in \
the middle of a walk along it passes over another: mark it, and take it out \
when the walk is over."
    fi
}

@test "goes on after clients that reset, and keeps no descriptor of any" {
    local before
    serves
    join alice
    join bob alice
    before=$(descriptors)
    hint "with a client that has reset, recv fails with ECONNRESET, and send \
with EPIPE, and by SIGPIPE: ignore that signal. It has left, like others."
    by_hand "$rude" -k 4 -f NAME connect reset "$PORT"
    printf 'rex\n....' >"$BATS_TEST_TMPDIR/name"
    for i in 1 2 3; do
        "$rude" -f "$BATS_TEST_TMPDIR/name" -k 4 connect reset "$PORT" >/dev/null
        # It may have gone before it was seen to come.
        say bob "$i\n"
        hears_at_last alice "bob: $i"
    done
    hint "close the descriptor of each one that has left."
    SECONDS_ALLOWED=1 soon has_descriptors "$before" ||
        not_yet "it had $before descriptors, and $(descriptors) when others had \
come and gone" </dev/null
}

# hears_at_last NAME LINE: after some words about rex, perhaps.
hears_at_last() {
    local -n descriptor=fd_$1
    local heard=
    while IFS= read -rt "$SECONDS_ALLOWED" -u "$descriptor" heard &&
        [[ $heard == "rex "* ]]; do
        :
    done
    [[ $heard == "$2" ]] ||
        not_yet "$1 was not told what bob said when another had reset" \
            <<<"Expected: $2"
}

descriptors() {
    local -a all
    all=("/proc/$(pid_of server)/fd"/*)
    echo "${#all[@]}"
}

has_descriptors() {
    [[ $(descriptors) == "$1" ]]
}

@test "sends what is queued to who has ended its half" {
    # A kernel that has no room for a while.
    need_faults
    faulty+=(FAULT_CALL=send FAULT_ERRNO=11 FAULT_TIMES=300)
    serves
    hint "who has ended its half (recv returned 0) may still read. Close when \
its queue is empty, and not before."
    printf '!\n%.0s' {1..40} >"$BATS_TEST_TMPDIR/said"
    # shellcheck disable=SC2059 # it is no format of strangers
    printf "$no\n%.0s" {1..40} >"$BATS_TEST_TMPDIR/wanted"
    HAND=("LD_PRELOAD=build/tests/faults.so FAULT_CALL=send FAULT_ERRNO=11 \
FAULT_TIMES=300 $PROGRAM $HAND_PORT")
    by_hand "$rude" -n 400 connect whole "$PORT"
    frozen ended_its_half
    soon says client 'got *' ||
        not_yet "a client that had ended its half waits for your end" </dev/null
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/heard"
}

# ended_its_half: a client has said all, and that it will say no more.
ended_its_half() {
    start client "$rude" -f "$BATS_TEST_TMPDIR/said" \
        -o "$BATS_TEST_TMPDIR/heard" connect whole "$PORT"
    until_true in_state 08
}

@test "waits without taking the processor when no descriptor is left" {
    local began
    hint "accept fails while no descriptor is left, and the listener stays \
readable, so that poll is back at once. Leave it out of the array for a tenth \
of a second, or until somebody leaves."
    faulty=(bash -c 'ulimit -Sn 14; exec "$@"' -)
    serves
    for i in a b c d e f g h i j k l; do
        come "$i"
    done
    wanted_processor
    began=$wanted
    pause_for 120000
    expect_true "it took the processor all the time" wanted_little
    for i in a b c d e f g h i j k; do
        go "$i"
    done
    hint "who came while no descriptor was left waits in the kernel. Let it in \
when somebody has left."
    say l 'l\n'
    come m
    say m 'm\n'
    hears l "m joined"
}

pause_for() {
    local end=$((${EPOCHREALTIME/./} + $1))
    while ((${EPOCHREALTIME/./} < end)); do
        pause
    done
}

wanted_little() {
    wanted_processor
    ((wanted - began < 60000000))
}
