#!/usr/bin/env bats
# The exercise of 24-poll-chat: a chat with private messages, `24-poll-chat
# PORT`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

rude=$BUILD/peers/rude
chatters=$BUILD/peers/chatters
no="a name is 1 to 16 letters, digits, - and _, not taken"
# A kernel that has no room for what is sent.
full=(FAULT_CALL="send,write" FAULT_NONBLOCKING=1 FAULT_ERRNO=11)

setup_file() {
    trap '' PIPE # a server that has gone is no end of this shell
}

# serves: the answer, and the way to talk to it by hand.
serves() {
    HAND=()
    answer_serves 0 --hint "main calls socket, bind and listen, and prints the \
line. After that call poll in a loop that never ends, with the listener in the \
array."
    by_hand "build/peers/talk $HAND_PORT"
}

# show_faulty VARIABLE...: the way to start it by hand without room in the kernel.
show_faulty() {
    HAND=("LD_PRELOAD=build/tests/faults.so ${full[*]} $* $PROGRAM $HAND_PORT")
}

# come NAME: a client that has connected, and not said its name.
come() {
    local -n descriptor=fd_$1
    exec {descriptor}<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers at port $PORT" --hint "Whatever a client does, \
the server goes on and listens."
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

# hears NAME LINE... [--hint TEXT]: these lines are what it is told next.
hears() {
    local line status heard hint='' more
    local -a arguments
    take_options + "$@" || return
    local -n descriptor=fd_${arguments[0]}
    for line in "${arguments[@]:1}"; do
        status=0
        IFS= read -rt "$SECONDS_ALLOWED" -u "$descriptor" heard || status=$?
        ((status != 0)) || [[ $heard != "$line" ]] || continue
        more=
        printf '%s\n' "$line" >"$BATS_TEST_TMPDIR/wanted"
        printf '%s\n' "$heard" >"$BATS_TEST_TMPDIR/got"
        if ((status != 0)); then
            printf '%s' "$heard" >"$BATS_TEST_TMPDIR/got"
            more=$'\n'"Nothing more came: $(why "$status")"
        fi
        fail "${arguments[0]} was not told what it should be" \
            --show "$(show_difference "$BATS_TEST_TMPDIR/wanted" \
                "$BATS_TEST_TMPDIR/got")$more" --hint "$hint"
    done
}

why() {
    if (($1 > 128)); then
        echo "it waited for $SECONDS_ALLOWED seconds."
    else
        echo "the server has closed."
    fi
}

# has_taken_all: the server has received all that was sent to it, and each of its
# threads waits.
has_taken_all() {
    local port state line
    printf -v port '%04X' "$PORT"
    ! grep -q ": 0100007F:$port [0-9A-F:]* [0-9A-F]* [0-9A-F]*:[0-9A-F]*[1-9A-F]" \
        /proc/net/tcp || return 1
    for state in "/proc/$(pid_of server)/task"/*/stat; do
        { read -r line <"$state"; } 2>/dev/null || continue # this one has ended
        [[ $line == *') S '* ]] || return 1
    done
}

# settles: waits until the server has taken all. If it never waits, go on.
settles() {
    local tries=50
    until has_taken_all || ((tries-- == 0)); do
        pause
    done
}

# join NAME [OTHER...]: it comes, and the others hear that. A server with more
# than one thread may look at two clients in any order, so wait until it has the
# name before another client says something.
join() {
    local other
    come "$1"
    say "$1" "$1\n"
    settles
    for other in "${@:2}"; do
        hears "$other" "$1 joined" --hint "$join_hint"
    done
}

# crowd OPTION...: chatters; judges nothing yet.
crowd() {
    by_hand "$chatters" "$@" "$PORT"
    SECONDS_ALLOWED=6 try "$chatters" -t 1 "$@" "$PORT"
    cp "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/crowd"
}

# expect_content SENTENCE [--hint TEXT]: all went well with the crowd.
expect_content() {
    ((status == 0)) || fail "$1" "${@:2}" \
        --show "$(sed 's/^/The crowd: /' "$BATS_TEST_TMPDIR/crowd")"
}

join_hint="When a client's first line is a name that is free, send NAME joined \
to all others that have a name."
line_hint="Send each line of a client, as NAME: text with its newline, to all \
others that have a name, and not to itself."
left_hint="recv returns 0 when a client has ended. Then send NAME left to all \
others that have a name."
name_hint="If the first line is no name, or a name that is taken, answer \
\`$no\`. The next line is another try."
byte_hint="Any byte may come: a NUL or a carriage return is no letter, digit, \
- or _."
end_hint="A name ends at its newline. What comes after it in the same recv is \
the next line, because TCP knows no messages (lesson 05)."
compare_hint="Compare names to their ends: al is not alice. When a client \
leaves, its name is free again."
keep_hint="What recv returns is not a line. Keep it until its newline has \
come, for each client separately (lesson 05)."
bytes_hint="Any byte but a newline is part of a line, a NUL too. Keep a length \
for each line, because strlen and %s stop at a NUL."
revents_hint="Only poll writes revents: an entry that you have added or moved \
after the call has old revents, so set them to 0. If recv fails with EAGAIN, \
nothing has come yet: that is no end."
private_hint="Send the text of /to bob text to bob alone, as alice (private): \
text."
private_only_hint="A private message goes to NAME and nobody else, and not to \
its sender either."
text_hint="NAME ends at the first blank after it. All that is behind that \
blank is the text, with its blanks."
to_hint="A line is private only if it is /to, or begins with /to and a blank."
nobody_hint="If nobody has that name, tell the sender: nobody is called NAME. \
Compare names to their ends, in length and letters."
cut_hint="NAME may be longer than any name of a client: then nobody is called \
so. Look for the whole NAME, with its real length, and do not cut it."
needs_hint="If NAME or the text is missing, tell the sender: /to needs a name \
and a text."
sender_hint="What is wrong with a private message is told to its sender and to \
nobody else."
limit_hint="Without a limit, the queue of a client that does not read grows \
for ever. If it would have more than 256 KiB, close that client, and tell the \
others that it left."
reset_left_hint="If a client has reset, recv fails with ECONNRESET and send \
with EPIPE, and SIGPIPE is raised: ignore that signal. The client has left, \
like any other."

@test "listens, and says where" {
    serves
    come alice
}

@test "tells the others who joins" {
    serves
    join alice
    join bob alice
    join carol alice bob
}

@test "sends each line of a client to the others" {
    serves
    join alice
    join bob alice
    join carol alice bob
    say alice "hello $RANDOM, all\n"
    read -rt "$SECONDS_ALLOWED" -u "$fd_bob" heard || true
    [[ $heard == "alice: hello "*", all" ]] || fail "bob was told: $heard" \
        --show "Expected: alice: hello ..., all" --hint "$line_hint"
    say bob 'one\n\ntwo\n'
    hears alice "bob: one" "bob: " "bob: two" --hint "$line_hint"
    hears carol "$heard" "bob: one" "bob: " "bob: two" --hint "$line_hint"
}

@test "tells the others who leaves" {
    serves
    join alice
    join bob alice
    join carol alice bob
    come nameless
    go nameless
    settles # or bob's end might be looked at first
    go bob
    hears alice "bob left" --hint "$left_hint Nobody is told of a client that \
had no name."
    hears carol "bob left" --hint "$left_hint"
}

@test "refuses a name that is invalid or taken" {
    local name
    serves
    join alice
    come bob
    for name in '' abcdefghijklmnopq 'b b' 'b:' alice; do
        say bob "$name\n"
        hears bob "$no" --hint "$name_hint"
    done
    for name in 'bob\0' 'bob\r'; do
        say bob "$name\n"
        hears bob "$no" --hint "$byte_hint"
    done
    say bob '0_A-z45678901234\n'
    hears alice "0_A-z45678901234 joined" --hint "A name may have 16 bytes."
    come al
    say al 'al\n'
    settles
    for name in alice bob; do
        hears "$name" "al joined" --hint "$compare_hint"
    done
    go al
    hears alice "al left" --hint "$compare_hint"
    hears bob "al left" --hint "$compare_hint"
    join al alice bob
    come Alice
    say Alice 'Alice\n'
    for name in alice bob al; do
        hears "$name" "Alice joined" --hint "Capitals are different letters: \
the name Alice is free when alice is taken."
    done
}

@test "waits for the end of a line" {
    serves
    join alice
    join bob alice
    join carol alice bob
    say alice 'hel'
    say bob 'between\n'
    hears carol "bob: between" --hint "$keep_hint"
    hears alice "bob: between" --hint "$keep_hint"
    say alice 'lo\nand '
    hears carol "alice: hello" --hint "$keep_hint"
    hears bob "alice: hello" --hint "$keep_hint"
    go alice
    hears carol "alice left" --hint "Bytes without a newline are no line: when \
their client ends, send them to nobody."
    hears bob "alice left" --hint "$left_hint"
    come ann
    # In one piece: bash would send each line by itself.
    printf '0_Az-\nhello\n' >"$BATS_TEST_TMPDIR/said"
    cat "$BATS_TEST_TMPDIR/said" >&"$fd_ann"
    hears bob "0_Az- joined" "0_Az-: hello" --hint "$end_hint"
}

@test "sends every byte of a line as it is" {
    local i all
    serves
    join alice
    join bob alice
    all=$(for i in 0 1 13 27 37 127 128 $((160 + RANDOM % 90)) 255; do
        printf '\\x%02x' "$i"
    done)
    # shellcheck disable=SC2059 # it has escapes
    printf "bob: $all\n" >"$BATS_TEST_TMPDIR/wanted"
    say bob "$all\n"
    gets alice "$(wc -c <"$BATS_TEST_TMPDIR/wanted")"
    expect_got "$BATS_TEST_TMPDIR/wanted" alice
}

@test "takes lines of up to 1024 bytes" {
    local text
    serves
    join alice
    join bob alice
    printf -v text '%*s' 1023 ''
    text=${text// /$((RANDOM % 10))}
    say bob "$text\n"
    hears alice "bob: $text" --hint "A line may have 1024 bytes, with its \
newline."
    say bob "$text"
    settles
    say bob '\n'
    hears alice "bob: $text" --hint "A line may have 1024 bytes, with its \
newline, which may come in a piece of its own: 1023 bytes without a newline are \
not too many."
    say bob "${text}x"
    hears alice "bob left" --hint "If a client has sent 1024 bytes without a \
newline, close it: it has left."
    # The longest reply.
    join abcdefghijklmnop alice
    join x alice abcdefghijklmnop
    printf -v text '%*s' $((1023 - 6)) ''
    text=${text// /$((RANDOM % 10))}
    say abcdefghijklmnop "/to x $text\n"
    hears x "abcdefghijklmnop (private): $text" --hint "A line may have 1024 \
bytes, and the sender may have 16 letters. Is there room for all of it in your \
reply?"
}

# gets NAME BYTES: what it is told next, into the file got.
gets() {
    local -n descriptor=fd_$1
    got_status=0
    bounded head -c "$2" <&"$descriptor" >"$BATS_TEST_TMPDIR/got" ||
        got_status=$?
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_got FILE NAME: what is in the file got is what NAME should be told.
expect_got() {
    cmp -s "$1" "$BATS_TEST_TMPDIR/got" ||
        fail "$2 was not told what it should be" \
            --show "$(show_difference "$1" "$BATS_TEST_TMPDIR/got")" \
            --hint "$bytes_hint"
}

@test "serves clients that come after others have left" {
    local i
    serves
    join alice
    for i in 1 2 3; do
        join bob alice
        join carol alice bob
        say carol "$i\n"
        hears alice "carol: $i" --hint "$revents_hint"
        hears bob "carol: $i" --hint "$revents_hint"
        go bob
        hears alice "bob left" --hint "$revents_hint"
        hears carol "bob left" --hint "$revents_hint"
        go carol
        hears alice "carol left" --hint "$revents_hint"
    done
    come slow
    come slower
    come bob
    say bob 'bob\n'
    hears alice "bob joined" --hint "$revents_hint"
    say bob 'still there?\n'
    hears alice "bob: still there?" --hint "$revents_hint"
    say slower 'slower\n'
    hears alice "slower joined" --hint "$revents_hint"
    say slow 'slow\n'
    hears alice "slow joined" --hint "$revents_hint"
    hears slower "slow joined" --hint "A client that has no name yet is told \
nothing: leave it out when you go through all clients."
}

@test "sends a private message to one client alone" {
    local number=$RANDOM
    serves
    join alice
    join bo alice
    join bob alice bo
    join carol alice bo bob
    say alice "/to bob it is $number\nto all\n"
    hears bob "alice (private): it is $number" "alice: to all" \
        --hint "$private_hint"
    hears carol "alice: to all" --hint "$private_only_hint"
    hears bo "alice: to all" --hint "$private_only_hint"
    say carol '/to bo  a  b \n/to carol to myself\n/to bo  \n'
    hears bo "carol (private):  a  b " "carol (private):  " --hint "$text_hint"
    hears carol "carol (private): to myself" --hint "A client may send a \
private message to its own name, as to any other."
    say bo '/tokyo bob\n/ to bob\n /to bob x\n/TO bob x\n'
    hears bob "bo: /tokyo bob" "bo: / to bob" "bo:  /to bob x" "bo: /TO bob x" \
        --hint "$to_hint"
    hears alice "bo: /tokyo bob" "bo: / to bob" "bo:  /to bob x" "bo: /TO bob x" \
        --hint "$to_hint"
    # A NUL is a byte as others are.
    printf 'bob (private): a\0b\n' >"$BATS_TEST_TMPDIR/wanted"
    say bob '/to alice a\0b\n'
    gets alice 19
    expect_got "$BATS_TEST_TMPDIR/wanted" alice
}

@test "tells the sender what is wrong with a private message" {
    local line
    serves
    join alice
    join bob alice
    come stranger
    for line in nobody bo bobby Bob; do
        say alice "/to $line hello\n"
        hears alice "nobody is called $line" --hint "$nobody_hint"
    done
    for line in /to '/to ' '/to bob' '/to bob ' '/to  bob'; do
        say alice "$line\n"
        hears alice "/to needs a name and a text" --hint "$needs_hint"
    done
    say alice '/to  bob hello\n'
    hears alice "/to needs a name and a text" --hint "Behind /to is one blank, \
and NAME ends at the next blank. If that comes at once, NAME is missing: pass \
over no blanks."
    printf 'nobody is called bob\0x\n' >"$BATS_TEST_TMPDIR/wanted"
    say alice '/to bob\0x hello\n'
    gets alice 23
    expect_got "$BATS_TEST_TMPDIR/wanted" alice
    # A client with the longest name, and lines with longer ones.
    local long=abcdefghijklmnop
    join "$long" alice bob
    for line in "${long}q" "$long$long" "$long$(printf 'x%.0s' {1..900})"; do
        say alice "/to $line hello\n"
        hears alice "nobody is called $line" --hint "$cut_hint"
    done
    say alice "/to $long hello\n"
    hears "$long" "alice (private): hello" --hint "$cut_hint"
    go "$long"
    hears alice "$long left" --hint "$left_hint"
    hears bob "$long left" --hint "$left_hint"
    join carol alice bob
    go carol
    hears alice "carol left" --hint "$left_hint"
    hears bob "carol left" --hint "$sender_hint"
    say alice '/to carol hello\nall\n'
    hears alice "nobody is called carol" --hint "When a client leaves, nobody \
has its name any more."
    hears bob "alice: all" --hint "$sender_hint"
}

@test "does not wait for a client that does not read" {
    local hint="send on a blocking socket waits for a client that does not \
read, and all others wait with you. Accept with SOCK_NONBLOCK; on EAGAIN keep \
the rest in a queue, and send it when poll says POLLOUT."
    serves
    # Some megabytes for each, far more than the kernel keeps.
    crowd -c 3 -k 3 -n 5000 -b 1000 -r 50000
    [[ $errors != *"should get line"* ]] || hint="A line was lost. Either send \
took a part of it, and the rest has to go to the front of the queue; or a \
client was removed from the array during a loop over it, so that the next one \
was skipped: mark it, and remove it after the loop."
    expect_content "a chat with some in it that never read did not go well" \
        --hint "$hint"
}

@test "closes a client that has not read for long" {
    local line
    serves
    crowd -q -c 2 -k 1 -n 6000 -b 1000
    expect_content "a chat with a client that never read did not go well" \
        --hint "Close the client that does not read, and no other."
    expect_true "nobody was told that the client that never read has left" \
        --hint "$limit_hint" -- grep -q 'were let go' "$OUT"
    # A kernel without room: all that is for bob has to wait.
    next_run
    need_faults
    faulty+=("${full[@]}" FAULT_TIMES=1000000000)
    serves
    show_faulty FAULT_TIMES=1000000000
    by_hand "$rude" -n 600000 connect whole "$PORT"
    join bob
    # From here on the server never waits: poll always reports room for bob.
    come alice
    # In large pieces: bash would send each line by itself.
    printf -v line '%1000s' ''
    { echo alice && printf "%.0s$line\n" {1..500}; } >"$BATS_TEST_TMPDIR/said"
    cat "$BATS_TEST_TMPDIR/said" >&"$fd_alice"
    gets bob 1
    expect_true "500 KiB wait for a client, and it is still there" \
        --hint "$limit_hint" -- has_heard_end
}

# has_heard_end: after gets, which has not been ended by its guard.
has_heard_end() {
    ((got_status == 0)) && [[ ! -s $BATS_TEST_TMPDIR/got ]]
}

@test "goes on when clients reset their connection" {
    local i
    serves
    join alice
    join bob alice
    by_hand "$rude" -k 4 connect reset "$PORT"
    "$rude" -k 4 connect reset "$PORT" >/dev/null
    settles
    say bob 'hello\n'
    hears alice "bob: hello" --hint "A client that resets before it has a name \
was not there for the others: its end is announced to nobody."
    unset 'HAND[-1]'
    reset_some
    say bob 'still here\n'
    hears_at_last alice "bob: still here"
    # A program that closes with unread bytes resets its connection.
    say alice 'this is not read\n'
    until_true has_taken_all || true
    go bob
    hears_at_last alice "bob left"
}

# reset_some: three clients join, and reset. Each may have gone before the
# server sees that it came.
reset_some() {
    local i
    by_hand "$rude" -k 4 -f NAME connect reset "$PORT"
    printf 'rex\n....' >"$BATS_TEST_TMPDIR/name"
    for i in 1 2 3; do
        "$rude" -f "$BATS_TEST_TMPDIR/name" -k 4 connect reset "$PORT" \
            >/dev/null
        say bob "$i\n"
        hears_at_last alice "bob: $i"
    done
}

@test "closes the descriptor of each client that has left" {
    local before
    serves
    join alice
    join bob alice
    before=$(descriptors "$(pid_of server)")
    # A client with the longest name, and lines with longer ones.
    local long=abcdefghijklmnop
    join "$long" alice bob
    for line in "${long}q" "$long$long" "$long$(printf 'x%.0s' {1..900})"; do
        say alice "/to $line hello\n"
        hears alice "nobody is called $line" --hint "$cut_hint"
    done
    say alice "/to $long hello\n"
    hears "$long" "alice (private): hello" --hint "$cut_hint"
    go "$long"
    hears alice "$long left" --hint "$left_hint"
    hears bob "$long left" --hint "$left_hint"
    join carol alice bob
    go carol
    hears alice "carol left" --hint "$left_hint"
    reset_some
    SECONDS_ALLOWED=1 soon holds_descriptors "$(pid_of server)" "$before" ||
        fail "it had $before descriptors, and \
$(descriptors "$(pid_of server)") when others had come and gone" --hint "close the descriptor of each client that has left."
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
        fail "$1 was not told what it should be when another had reset" \
            --show "Expected: $2" --hint "$reset_left_hint"
}

@test "sends what is queued to a client that has ended its half" {
    local half_hint="A client that has ended its half (recv returned 0) may \
still read. Close it only when its queue is empty."
    # A kernel that has no room for a while.
    need_faults
    faulty+=("${full[@]}" FAULT_TIMES=300)
    serves
    printf '!\n%.0s' {1..40} >"$BATS_TEST_TMPDIR/said"
    # shellcheck disable=SC2059 # it is no format of strangers
    printf "$no\n%.0s" {1..40} >"$BATS_TEST_TMPDIR/wanted"
    show_faulty FAULT_TIMES=300
    by_hand "$rude" -n 400 connect whole "$PORT"
    frozen ended_its_half
    soon says client 'got *' ||
        fail "a client that had ended its half waits for your end" \
            --hint "When the queue of such a client is empty, close it."
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/heard" ||
        fail "a client was not told what it should be" \
            --show "$(show_difference "$BATS_TEST_TMPDIR/wanted" \
                "$BATS_TEST_TMPDIR/heard")" --hint "$half_hint"
    next_run
    has_left_and_not_read
    next_run
    resets_after_its_end
}

# has_left_and_not_read: bob has ended his half, and something in his queue
# cannot be sent to him.
has_left_and_not_read() {
    local free_hint="bob has ended his half, so he has left, although his queue \
is not empty. From then on his name is free, and no private message goes to him."
    need_faults # anew, without those from before
    faulty+=("${full[@]}" FAULT_TIMES=1000000000 FAULT_CLIENT=2)
    serves
    show_faulty FAULT_TIMES=1000000000 FAULT_CLIENT=1
    by_hand "printf 'bob\\n/to x y\\n' >$BUILD/said"
    by_hand "$rude -f $BUILD/said connect whole $HAND_PORT & sleep 0.2; \
$rude -f $BUILD/said -o /dev/stdout connect whole $HAND_PORT"
    printf 'bob\n/to x y\n' >"$BATS_TEST_TMPDIR/said"
    join alice
    start client "$rude" -f "$BATS_TEST_TMPDIR/said" connect whole "$PORT"
    hears alice "bob joined" --hint "$join_hint"
    # The server has seen his end, so what alice says now comes later.
    soon has_taken_an_end || true
    say alice '/to alice later\n'
    hears alice "bob left" "alice (private): later" --hint "$left_hint Do that \
at once, also when his queue is not empty."
    say alice '/to bob hello\n'
    hears alice "nobody is called bob" --hint "$free_hint"
    come another
    say another 'bob\n'
    hears alice "bob joined" --hint "$free_hint"
}

# resets_after_its_end: bob has ended his half, and is there no more before his
# queue is empty. What he has not read makes his kernel reset the connection.
resets_after_its_end() {
    local before
    need_faults # anew, without those from before
    faulty+=("${full[@]}" FAULT_TRICKLE=100 FAULT_CLIENT=2)
    serves
    show_faulty FAULT_TRICKLE=100 FAULT_CLIENT=1
    by_hand "printf 'bob\\n/to x y\\n' >$BUILD/said"
    by_hand "timeout 0.3 $rude -f $BUILD/said -e connect deaf $HAND_PORT"
    printf 'bob\n/to x y\n' >"$BATS_TEST_TMPDIR/said"
    join alice
    before=$(descriptors "$(pid_of server)")
    start client "$rude" -f "$BATS_TEST_TMPDIR/said" -e connect deaf "$PORT"
    hears alice "bob joined" --hint "$join_hint"
    hears alice "bob left" --hint "$left_hint"
    until_true has_unread || true
    stop client || true
    soon holds_descriptors "$(pid_of server)" "$before" || true
    say alice '/to alice later\n'
    hears alice "alice (private): later" --hint "bob has left when he ended his \
half, and the others know it. When his connection breaks after that, or his \
second is over, only close it."
}

# has_unread: a client has ended its half, and not read what it was sent.
has_unread() {
    local port
    printf -v port '%04X' "$PORT"
    grep -q "[0-9A-F]*:[0-9A-F]* 0100007F:$port 0[45] [0-9A-F]*:0*[1-9A-F]" \
        /proc/net/tcp
}

# has_taken_an_end: a client has ended its half, and the server has received all
# that came before. (It may spin then, so has_taken_all has no answer.)
has_taken_an_end() {
    local port
    printf -v port '%04X' "$PORT"
    grep -q ": 0100007F:$port [0-9A-F:]* 08 [0-9A-F]*:00000000 " /proc/net/tcp
}

# bats test_tags=waits
@test "gives a client that has ended its half one second to read" {
    local began took
    # A kernel that takes a byte now and then, as for a client that reads slowly.
    need_faults
    faulty+=("${full[@]}" FAULT_TRICKLE=400)
    serves
    echo '!' >"$BATS_TEST_TMPDIR/said"
    show_faulty FAULT_TRICKLE=400
    by_hand "$rude" -n 1 connect whole "$PORT"
    began=${EPOCHREALTIME/./}
    frozen ended_its_half
    SECONDS_ALLOWED=3 soon says client 'got *' ||
        fail "a client that has left and hardly reads is still there" \
            --hint "A client that has ended its half and does not read its \
queue would keep its place for ever. Give it one deadline (lesson 07) when it \
ends its half, which does not begin anew with the bytes that you send, and let \
poll wake up for that."
    took=$((${EPOCHREALTIME/./} - began))
    ((took >= 950000)) ||
        fail "it closed such a client after $((took / 1000)) ms" --hint "Keep \
the connection while something is in the queue, and the second is not over."
}

# ended_its_half: a client has said all, and that it will say no more.
ended_its_half() {
    start client "$rude" -f "$BATS_TEST_TMPDIR/said" \
        -o "$BATS_TEST_TMPDIR/heard" connect whole "$PORT"
    until_true in_state 08
}

@test "waits without using the processor while it has no descriptor left" {
    local began i
    faulty=(bash -c 'ulimit -Sn 14; exec "$@"' -)
    serves
    for i in a b c d e f g h i j k l; do
        come "$i"
    done
    # That it waited for its turn on a busy machine counts too, so it has more
    # than one chance.
    for i in {1..8}; do
        times_of "$(pid_of server)"
        began=$wanted
        pause_for 120
        ! wanted_little || break
    done
    expect_true "it took the processor all the time" --hint "accept fails \
while no descriptor is left, but the listener stays readable, so poll returns \
at once. Leave the listener out of the array for a tenth of a second, or until \
a client leaves." \
        -- wanted_little
    for i in a b c d e f g h i j k; do
        go "$i"
    done
    say l 'l\n'
    settles
    come m
    say m 'm\n'
    hears l "m joined" --hint "A client that came while no descriptor was left \
waits in the kernel. Call accept again when a client has left."
}

wanted_little() {
    times_of "$(pid_of server)"
    ((wanted - began < 60000000))
}
