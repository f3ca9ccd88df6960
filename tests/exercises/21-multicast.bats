#!/usr/bin/env bats
# The exercise of 21-multicast: who offers what? `21-multicast offer [-i
# INTERFACE] GROUP PORT NAME SERVICE` and `21-multicast ask [-i INTERFACE] -t
# SECONDS GROUP PORT NAME`. Each test's name is a requirement, as a learner
# reads it.

load ../lib/exercise
load ../lib/clock

discover=$BUILD/peers/discover

# A group that nobody else on this machine has, and a name.
setup() {
    GROUP=239.$((RANDOM % 256)).$((RANDOM % 256)).$((1 + RANDOM % 254))
    draw_name
    NAME=$name
    SERVICE=$((1024 + RANDOM % 30000))
}

# draw_name: sets name to eight letters.
draw_name() {
    local letters=abcdefghijklmnopqrstuvwxyz i
    name=
    for i in {1..8}; do
        name+=${letters:RANDOM % 26:1}
    done
}

# draw_port: sets PORT to one that no socket for datagrams has.
draw_port() {
    start_server drawer "$discover" offer none "$GROUP" ||
        environment "no group can be joined at the loopback"
    stop drawer
}

# offered FACE [OPTION...]: the other side, which offers; sets PORT. What counts
# of its answers is in $WANTED, a line each, once it has answered.
offered() {
    local face=$1 seed=$RANDOM
    shift
    WANTED=$BATS_TEST_TMPDIR/wanted
    rm -f "$WANTED"
    start_server peer "$discover" -s "$seed" "$@" -a "$WANTED" \
        offer "$face" "$GROUP" ||
        environment "no group can be joined at the loopback"
    by_hand "$discover" -s "$seed" "$@" -p "$PORT" offer "$face" "$GROUP"
}

# starts_offer NAME SERVICE [OPTION...]: the learner's program offers, in the
# background, at $PORT. It listens when this is over.
starts_offer() {
    local service=$2
    by_hand "$PROGRAM" offer "${@:3}" "$GROUP" "$PORT" "$NAME" "$service"
    about=$1
    start "$1" "$PROGRAM" offer "${@:3}" "$GROUP" "$PORT" "$NAME" "$service"
    soon says_or_ended "$1" '*' || true
    says "$1" "listening on $GROUP:$PORT" || fail_to_listen "$1"
}

fail_to_listen() {
    local said=nothing
    ! is_running "$1" || end_background
    [[ ! -s $BATS_TEST_TMPDIR/$1.out ]] ||
        said=$(head -n 1 "$BATS_TEST_TMPDIR/$1.out")
    fail "it did not print the line \"listening on $GROUP:$PORT\"" \
        --show "It printed: $said" --hint "$listening_hint"
}

# asks OPTION... : the other side asks for $NAME; what it got is in $HEARD.
asks() {
    HEARD=$BATS_TEST_TMPDIR/heard
    by_hand "$discover" "$@" ask "$GROUP" "$PORT" "$NAME"
    bounded "$discover" "$@" ask "$GROUP" "$PORT" "$NAME" >"$HEARD" 3>&- ||
        environment "$discover does not run"
}

# is_answered: it got that answer, and nothing else.
is_answered() {
    [[ $(<"$HEARD") == "got \"$NAME $SERVICE\" from "*" ms" ]]
}

# answer_in_time COMMAND... -- ARGUMENT...: the learner's program asks for a
# part of a second. COMMAND says whether it printed what it should. If not, the
# machine may be busy: then it asks once more, and has more time. Sets runs.
answer_in_time() {
    local seconds
    local -a command=()
    while [[ $1 != -- ]]; do
        command+=("$1")
        shift
    done
    shift
    by_hand "$PROGRAM" ask -t 1 "$@"
    runs=0
    for seconds in 0.06 0.8; do
        runs=$((runs + 1))
        [[ ! -e ${WANTED-} ]] || : >"$WANTED"
        run_answer "$PROGRAM" ask -t "$seconds" "$@"
        ! "${command[@]}" || break
    done
}

# prints_wanted: the lines of $WANTED, each once, in strcmp's order.
prints_wanted() {
    [[ -e $WANTED ]] || : >"$WANTED"
    LC_ALL=C sort -u "$WANTED" >"$BATS_TEST_TMPDIR/sorted"
    cmp -s "$BATS_TEST_TMPDIR/sorted" "$OUT"
}

# need_pair: a network with two more interfaces, or an end to this test.
need_pair() {
    "$BUILD/tests/private" -p true 2>/dev/null ||
        skip "this machine allows no private network with two interfaces"
}

listening_hint="Bind the socket to the group and the port, join the group with \
IP_ADD_MEMBERSHIP, then print \"listening on GROUP:PORT\" and call fflush: into \
a pipe or a file, a line is not written at once."
answer_hint="Send NAME, a blank and SERVICE with sendto, to the address that \
recvfrom wrote. Add no newline and no NUL."
asking_hint="Send one datagram to GROUP and PORT: ask, a blank, the name, and \
nothing behind it. Set IP_MULTICAST_IF to the number of the interface, which \
if_nametoindex tells."
line_hint="Print a line ADDRESS:SERVICE for each answer: the address of the \
program that answered, as recvfrom writes it, and the number in the answer."
deadline_hint="The time begins once, before the question is sent. Work out a \
deadline then, and wait only for what is left of it, however many answers come."

@test "says that it listens when it can hear questions" {
    draw_port
    starts_offer answer "$SERVICE"
    asks -d 700
    # Whatever it answers, and to whom.
    grep -q 'got "' "$HEARD" ||
        fail "it said that it listens, but did not hear a question" \
            --hint "Before you print the line, join the group with \
IP_ADD_MEMBERSHIP, at the interface whose number if_nametoindex tells."
    [[ $BUILD != *asan* ]] || return 0 # there are no faults
    next_run
    need_faults
    faulty+=(FAULT_CALL=setsockopt FAULT_TIMES=9 FAULT_ERRNO=19
        'FAULT_OPTION=35,42')
    by_hand "${faulty[@]}" "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" "$SERVICE"
    start unable "${faulty[@]}" \
        "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" "$SERVICE"
    soon says_or_ended unable '*' || true
    about=unable
    ! says unable "listening on *" ||
        fail "it could not join the group, and said that it listens" \
            --show "It printed: $(<"$BATS_TEST_TMPDIR/unable.out")" \
            --hint "Join the group first, look at what setsockopt returns, and \
print the line after that: a question that comes before you have joined is lost."
}

# bats test_tags=waits
@test "answers a question for its name" {
    draw_port
    starts_offer answer "$SERVICE"
    asks -d 700
    ! grep -q '^the group' "$HEARD" ||
        fail "it sent its answer to the group" \
            --show "$(grep '^the group' "$HEARD")" \
            --hint "All members receive what is sent to the group. Answer only \
the program that asked: sendto, with the address that recvfrom wrote."
    expect_equal "answers" 1 "$(grep -c '^got "' "$HEARD")" \
        --hint "$answer_hint"
    expect_true "its answer is not \"$NAME $SERVICE\"" --hint "$answer_hint" \
        -- test "$(grep -c "^got \"$NAME $SERVICE\" from" "$HEARD")" -eq 1
}

# bats test_tags=waits
@test "ignores every other datagram" {
    local asked count=0 hint ignore_hint="Answer only if the whole datagram is \
ask, a blank and your name: compare its length too. recvfrom cuts off what does \
not fit into your array, so the array has to be longer than the question."
    draw_port
    starts_offer answer "$SERVICE"
    by_hand "$discover -d 250 ask $GROUP $HAND_PORT ${NAME}x"
    by_hand "$discover -d 250 -z junk ask $GROUP $HAND_PORT $NAME"
    # All at once, and then the real question.
    for asked in "" "${NAME}x" "${NAME%?}" "x$NAME" " $NAME" "$NAME " \
        "${NAME^^}" "$NAME"$'\n' "$(printf 'x%.0s' {1..1500})"; do
        count=$((count + 1))
        start "other-$count" "$discover" -d 250 ask "$GROUP" "$PORT" \
            "$asked"
    done
    for asked in "" junk; do
        count=$((count + 1))
        start "other-nul-$count" "$discover" -d 250 -z "$asked" ask "$GROUP" \
            "$PORT" "$NAME"
    done
    asks -d 700
    for asked in "$BATS_TEST_TMPDIR"/other-*.out; do
        asked=${asked##*/}
        hint=$ignore_hint
        finish "${asked%.out}"
        [[ $asked != other-nul-* ]] || hint="A datagram may have a NUL in \
it, and strcmp looks no further. Compare the number that recvfrom returned with \
the length of the question, and then all bytes with memcmp."
        says "${asked%.out}" 'got nothing' ||
            fail "it answered a datagram that does not ask for its name" \
                --show "$(grep '^got' "$BATS_TEST_TMPDIR/$asked")" \
                --hint "$hint"
    done
    is_running answer || {
        end_background
        fail "it ended" --hint "A datagram that is no question is no error."
    }
    is_answered || asks -d 700
    expect_true "it does not answer any more" --hint "$ignore_hint" \
        -- is_answered
}

# bats test_tags=waits
@test "shares its port with others that offer something" {
    local share_hint="Set SO_REUSEADDR before bind. Without it, bind fails \
with \"Address already in use\" if another program has this port."
    draw_port
    starts_offer one 8001
    by_hand "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" 8002
    about=answer
    start answer "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" 8002
    soon says_or_ended answer '*' || true
    says answer "listening on *" ||
        { end_background; fail "a second one cannot listen" \
            --hint "$share_hint"; }
    # Both may pause for 200 milliseconds; a busy machine is given more.
    asks -l -d 250
    both_answered || asks -l -d 1000
    both_answered || fail "one of the two did not answer" \
        --show "$(<"$HEARD")" --hint "$share_hint"
}

both_answered() {
    grep -q "\"$NAME 8001\"" "$HEARD" && grep -q "\"$NAME 8002\"" "$HEARD"
}

@test "hears no other group" {
    local other_hint="Bind to the group itself and not to \
INADDR_ANY, or set IP_MULTICAST_ALL to 0: otherwise a socket hears every group \
that a program on this machine has joined."
    draw_port
    starts_offer answer "$SERVICE"
    # The other side joins this group itself, when it asks there.
    by_hand "$discover" -d 250 ask "${GROUP%.*}.255" "$PORT" "$NAME"
    start other "$discover" -d 250 ask "${GROUP%.*}.255" "$PORT" "$NAME"
    asks -d 700
    finish other
    says other 'got nothing' || fail "it answered a question in another group" \
        --show "$(<"$BATS_TEST_TMPDIR/other.out")" --hint "$other_hint"
    expect_true "it does not answer in its own group any more" \
        --hint "$answer_hint" -- is_answered
}

# bats test_tags=waits
@test "pauses before it answers" {
    local round pause_hint="Draw a number from 0 to 200 with getrandom for \
each answer, and wait so many milliseconds before you call sendto."
    draw_port
    starts_offer answer "$SERVICE"
    # Four pauses that are drawn are rarely alike, but they may be. Nor is a
    # machine that is busy a pause: what is wrong is wrong each time.
    local late=0
    for round in 1 2 3 4 5 6; do
        HAND=("${HAND[0]}")
        asks -d 450 -n 4
        measure_pauses
        if ((count == 4 && longest <= 400)); then
            ((longest - shortest < 60)) || {
                pauses_as_others
                return
            }
        else
            late=$((late + 1))
        fi
        ((late < 3)) || break
    done
    HAND=("${HAND[0]}")
    by_hand "$discover" -d 450 -n 8 ask "$GROUP" "$PORT" "$NAME"
    ((late < 3)) || fail "it took much longer than 200 milliseconds" \
        --show "$(<"$HEARD")" --hint "$pause_hint"
    fail "its pauses are not drawn from 0 to 200 milliseconds" \
        --show "$(<"$HEARD")" --hint "$pause_hint"
}

# pauses_as_others: a second program, started at the same time, does not draw
# the same pauses. By chance it may do so once, but not ten times. A busy machine
# makes a little difference, too.
pauses_as_others() {
    local round apart=0 answered=0
    next_run
    start_two
    for round in {1..15}; do
        HAND=("${HAND[@]:0:2}")
        asks -d 250 -m 2
        measure_pauses
        ((count == 2)) || continue
        answered=$((answered + 1))
        apart=$((apart + longest - shortest))
        ((apart <= 100)) || return 0
        ((answered < 10)) || break
    done
    ((answered == 10)) || return 0
    fail "two programs that were started together draw the same pauses" \
        --show "$(grep '^got' "$HEARD")" --hint "rand draws the same numbers in \
every program, and after srand(time(NULL)) in every one that was started in the \
same second. getrandom draws different ones."
}

# start_two: two answers, at the same moment as nearly as can be.
start_two() {
    local service
    for service in 8001 8002; do
        by_hand "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" "$service"
        about=answer
        start "answer$service" "$PROGRAM" offer "$GROUP" "$PORT" "$NAME" \
            "$service"
    done
    for service in 8001 8002; do
        soon says_or_ended "answer$service" '*' || true
    done
    about=
}

# measure_pauses: sets count, shortest and longest to what is in $HEARD.
measure_pauses() {
    local line milliseconds
    count=0 shortest=1000000 longest=0
    while read -r line; do
        [[ $line == "got \""*" ms" ]] || continue
        line=${line% ms}
        milliseconds=${line##* }
        count=$((count + 1))
        ((milliseconds >= shortest)) || shortest=$milliseconds
        ((milliseconds <= longest)) || longest=$milliseconds
    done <"$HEARD"
}

@test "stops offering at SIGINT or SIGTERM, with status 0" {
    local signal
    draw_port
    for signal in INT TERM; do
        starts_offer answer "$SERVICE"
        stop answer "$signal"
        about=
        expect_equal "status after SIG$signal" 0 "$ended" --hint "Catch both \
signals with sigaction, without SA_RESTART: then recvfrom fails with EINTR. \
Leave the loop, and return 0 from main."
        HAND=()
    done
}

@test "asks once, with a TTL of 1" {
    offered one
    answer_in_time heard_question -- "$GROUP" "$PORT" "$NAME"
    says peer "got *" ||
        fail "no question came to port $PORT of the group" \
            --hint "$asking_hint"
    says peer "got \"ask $NAME\" from *" ||
        fail "its question is not \"ask $NAME\"" \
            --show "$(grep '^got' "$BATS_TEST_TMPDIR/peer.out")" \
            --hint "$asking_hint"
    says peer "got \"ask $NAME\" from *, TTL 1" ||
        fail "its TTL is not 1" \
            --show "$(grep '^got' "$BATS_TEST_TMPDIR/peer.out")" \
            --hint "Without IP_MULTICAST_TTL, the TTL of a datagram to a \
group is 1. That keeps it in this network."
    expect_equal "questions" "$runs" "$(grep -c '^got' "$BATS_TEST_TMPDIR/peer.out")" \
        --hint "Send the question once, before the loop."
}

heard_question() {
    says peer "got *"
}

@test "prints who has answered, and ends with status 0" {
    offered one
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    ! grep -q ":$PORT\$" "$OUT" ||
        fail "it took its own question for an answer" \
            --show "$(<"$OUT")" --hint "Your own question is no answer. You \
do not hear it if you do not bind the socket of ask, and do not join."
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "$line_hint"
    expect_status 0 --hint "When the time is over, end with status 0."
    next_run
    offered none
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    expect_output /dev/null --hint "If nobody answers, print nothing."
    expect_status 0 --hint "That nobody answers is no error: end with status 0."
}

@test "prints each line once, in the order of strcmp" {
    offered several
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    cmp -s <(LC_ALL=C sort "$OUT") <(LC_ALL=C sort -u "$OUT") ||
        fail "it printed a line twice" --show "$(<"$OUT")" \
            --hint "The same answer may come twice, the second time perhaps \
with zeros in front of the port. Before you keep a line, compare it, as you would \
print it, with those that you have."
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "Keep all lines until the \
time is over. Then sort them with qsort and strcmp, and print them."
}

# long_name: sets NAME to as many letters as a name may have.
long_name() {
    draw_name
    printf -v NAME '%s%055d' "$name" 0
}

@test "takes nothing else for an answer" {
    offered liar
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "Look at the whole \
datagram: your name, one blank, then digits alone up to its end, and these are \
a number from 1 to 65535, perhaps with zeros in front. Ignore everything else, \
your own question too."
    next_run
    long_name
    offered liar
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "This name has 63 letters, \
and recvfrom cuts off what does not fit into your array. What is left of 123456 \
may then look like a port. So give the array more room than an answer needs."
}

@test "prints up to a hundred answers" {
    local room_hint="Keep a hundred answers at most, and each only once: one \
that you have already takes no room, so look for it before you keep it, and not \
when you print. When the array is full, ignore what else comes."
    offered crowd -n 100
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "$room_hint"
    next_run
    offered crowd
    answer_in_time prints_hundred -- "$GROUP" "$PORT" "$NAME"
    expect_end --hint "$deadline_hint"
    expect_equal "lines" 100 "$(wc -l <"$OUT")" --hint "$room_hint"
    expect_true "a line is no answer" --hint "$room_hint" -- \
        test -z "$(LC_ALL=C sort -u "$WANTED" | comm -13 - "$OUT")"
    expect_status 0 --hint "$room_hint"
}

prints_hundred() {
    [[ $(wc -l <"$OUT") -eq 100 ]]
}

@test "waits for SECONDS in all" {
    local took round
    for round in 1 2 3; do
        ask_dripping
        ((took > 50)) || break
    done
    expect_end --hint "$deadline_hint"
    ((took >= 19)) || fail "it ended before its time was over" \
        --show "It was told 0.2 seconds, and took $(seconds_of "$took")." \
        --hint "Go on waiting after an answer. poll returns 0 when its time \
is over."
    ((took <= 50)) || fail "it did not end when its time was over" \
        --show "It was told 0.2 seconds, and took $(seconds_of "$took")." \
        --hint "$deadline_hint"
    next_run
    offered late -d 600
    answer_in_time prints_wanted -- "$GROUP" "$PORT" "$NAME"
    expect_output "$BATS_TEST_TMPDIR/sorted" --hint "$deadline_hint"
}

# ask_dripping: asks where answers come for four seconds; sets took.
ask_dripping() {
    local begin now
    next_run
    offered drip
    by_hand "time -p $PROGRAM ask -t 0.2 $GROUP $HAND_PORT $NAME"
    look_at_clock
    begin=$now
    run_answer "$PROGRAM" ask -t 0.2 "$GROUP" "$PORT" "$NAME"
    look_at_clock
    took=$((now - begin))
}

seconds_of() {
    printf '%d.%02d seconds' $(($1 / 100)) $(($1 % 100))
}

@test "uses the interface that it is told" {
    local script
    need_pair
    by_hand "$BUILD/tests/private -p bash"
    by_hand "$PROGRAM offer -i left $GROUP $HAND_PORT $NAME $SERVICE &"
    by_hand "$PROGRAM ask -i right -t 1 $GROUP $HAND_PORT $NAME"
    # shellcheck disable=SC2016 # the other shell expands it
    script='
        "$1" offer -i left "$2" 8021 "$3" "$4" >"$5" &
        until grep -q listening "$5"; do
            kill -0 $! 2>/dev/null || exit 9
        done
        "$1" ask -t 0.25 "$2" 8021 "$3" >"$5.lo" &
        "$1" ask -i right -t 0.25 "$2" 8021 "$3" >"$5.right" || exit 8
        [[ -s $5.right ]] || "$1" ask -i right -t 1 "$2" 8021 "$3" >"$5.right"
        kill $(jobs -p)
        wait'
    run_answer "$BUILD/tests/private" -p bash -c "$script" - "$PROGRAM" \
        "$GROUP" "$NAME" "$SERVICE" "$BATS_TEST_TMPDIR/pair"
    [[ ! -s $BATS_TEST_TMPDIR/pair.lo ]] ||
        fail "it offered at \"left\", but could be heard at \"lo\"" \
            --hint "$interface_hint"
    # The answer stays in this machine, so it may come from either address.
    grep -qxE "10\.21\.0\.[12]:$SERVICE" "$BATS_TEST_TMPDIR/pair.right" ||
        fail "what was asked at one end of a cable was not answered at the \
other" --hint "$interface_hint"
}

interface_hint="if_nametoindex gives you the number of the interface. Put it \
into the imr_ifindex of a struct ip_mreqn: for IP_ADD_MEMBERSHIP in offer, and \
for IP_MULTICAST_IF in ask."

@test "reports output that cannot be written, with status 1" {
    offered one
    by_hand "$PROGRAM ask -t 1 $GROUP $HAND_PORT $NAME >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" ask -t 0.1 "$GROUP" "$PORT" "$NAME"
    ((status == 1)) ||
        run_answer_to /dev/full "$PROGRAM" ask -t 1 "$GROUP" "$PORT" "$NAME"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer ask -t 1 "$GROUP" 8021
    expect_usage
    answer ask -t 1 "$GROUP" 8021 "$NAME" more
    expect_usage
    answer ask "$GROUP" 8021 "$NAME"
    expect_usage
    answer offer "$GROUP" 8021 "$NAME"
    expect_usage
    answer tell "$GROUP" 8021 "$NAME" 80
    expect_usage
}

# refuses ARGUMENT... --hint TEXT: status 1, at once, and says why.
refuses() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    HAND=()
    answer "${arguments[@]}"
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_true "it did not say why, on standard error" --hint "$hint" \
        -- test -n "$errors"
}

@test "refuses invalid values, with status 1" {
    local value group_hint="inet_pton returns 1 for an IPv4 address, and \
IN_MULTICAST says of its number in host byte order whether it is a group."
    local name_hint="A name has 1 to 63 letters, digits and hyphens. A blank \
or a newline in it would make another question of it."
    for value in 240.0.0.1 223.255.255.255 239.1.2 ff15::1; do
        refuses ask -t 0.1 "$value" 8021 "$NAME" --hint "$group_hint"
    done
    for value in 0 65536 80x ""; do
        refuses ask -t 0.1 "$GROUP" "$value" "$NAME" --hint "$port_hint"
    done
    for value in 0 65536 +80 4294967376; do
        refuses offer "$GROUP" 8021 "$NAME" "$value" --hint "$port_hint"
    done
    for value in "" "two words" "chat
" "$(printf 'x%.0s' {1..64})" "ch_t"; do
        refuses ask -t 0.1 "$GROUP" 8021 "$value" --hint "$name_hint"
    done
    refuses offer "$GROUP" 8021 "two words" 80 --hint "$name_hint"
    for value in 0 -1 1x 86401; do
        refuses ask -t "$value" "$GROUP" 8021 "$NAME" --hint "SECONDS is a \
decimal number such as 0.5, above 0 and up to 86400: see deadline_parse."
    done
    refuses ask -i nowhere -t 0.1 "$GROUP" 8021 "$NAME" \
        --hint "if_nametoindex returns 0 for what is no interface."
    # The longest name is none too many.
    value=$(printf 'x%.0s' {1..63})
    answer ask -t 0.01 "$GROUP" 8021 "$value"
    expect_status 0 --hint "$name_hint"
}
