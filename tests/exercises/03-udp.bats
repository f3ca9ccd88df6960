#!/usr/bin/env bats
# The exercise of 03-udp: a time client (RFC 868), `03-udp ADDRESS PORT`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

SECONDS_TO_1970=2208988800

# random_between LOW HIGH: sets number.
random_between() {
    local bits=$((RANDOM << 30 | RANDOM << 15 | RANDOM))
    number=$(($1 + bits % ($2 - $1 + 1)))
}

# date_of SECONDS: sets text to what these seconds since 1900 are printed as.
date_of() {
    TZ=UTC0 printf -v text '%(%Y-%m-%d %H:%M:%S UTC)T' \
        $(($1 - SECONDS_TO_1970))
}

# server OPTIONS FACE: as `peer rude-udp` would start it, without its payload.
server() {
    local -a options
    read -ra options <<<"$1"
    start_server peer "$BUILD/tests/rude-udp" "${options[@]}" serve "$2" ||
        environment "rude-udp cannot listen on 127.0.0.1"
    by_hand "$BUILD/tests/rude-udp" "${options[@]}" -p "$PORT" serve "$2"
}

# another: the next one has a server of its own.
another() {
    stop_all
    HAND=()
}

# typed LINE: what to type, where by_hand would quote too much.
typed() {
    HAND+=("$1")
}

# expect_date SECONDS: the date of these seconds since 1900, or the hint for
# what has been printed in its place.
expect_date() {
    local printed='' text
    date_of "$1"
    IFS= read -r printed <"$OUT" || true
    [[ $printed == "$text" ]] || hint_for_date "$1" "$printed"
    echo "$text" >"$BATS_TEST_TMPDIR/date"
    expect_output "$BATS_TEST_TMPDIR/date"
}

# is_date PRINTED SECONDS: those seconds, with all their bits, give that date.
is_date() {
    local text
    date_of "$2"
    [[ $1 == "$text" ]]
}

# as_signed SECONDS: sets signed to what an int32_t makes of them.
as_signed() {
    signed=$(($1 < 1 << 31 ? $1 : $1 - (1 << 32)))
}

hint_for_date() {
    local n=$1 swapped signed offset
    swapped=$((n >> 24 | n >> 8 & 0xff00 | (n & 0xff00) << 8))
    swapped=$((swapped | (n & 0xff) << 24))
    as_signed "$swapped"
    if is_date "$2" "$swapped" || is_date "$2" "$signed"; then
        hint "the most significant byte comes first. Your machine most likely \
has it last, and ntohl turns the four round, as htons does with a port's two."
        return
    fi
    as_signed "$n"
    if is_date "$2" "$signed"; then
        hint "the seconds have no sign: since 1968 the first of their 32 bits \
is set, and an int32_t takes that for a minus. A uint32_t does not."
    elif is_date "$2" $((n + SECONDS_TO_1970)); then
        hint "the server counts from 1900, time_t from 1970. Between them lie \
2208988800 seconds."
    elif is_date "$2" $((n + (1 << 32))); then
        hint "before 1970 a time_t is negative. uint32_t minus 2208988800U is \
a uint32_t again, and never negative: turn it into a time_t first."
    else
        hint "one line, as in 2026-11-22 14:05:09 UTC: gmtime_r, and then \
strftime with %Y-%m-%d %H:%M:%S. In a struct tm the years count from 1900, and \
the months from 0."
        for offset in {1..11}; do
            ! is_date "$2" $((n + offset * 3600 + 1800)) ||
                hint "localtime, mktime and ctime ask where the machine \
stands. gmtime_r does not."
        done
    fi
}

# hasten TIMES: sets hasty, what goes before a command that shall wait a part as
# long, where that is to be had, and haste to how many times shorter that is.
hasten() {
    haste=1
    hasty=(env)
    [[ -e $BUILD/tests/faults.so && $BUILD != *asan* ]] || return 0
    haste=$1
    hasty+=(LD_PRELOAD="$BUILD/tests/faults.so" FAULT_HASTE="$1")
}

@test "sends an empty datagram to the address and port it is given" {
    server "-t $SECONDS_TO_1970" whole
    answer 127.0.0.1 "$PORT"
    hint "send(fd, \"\", 0, 0) is a datagram: it has a sender, a receiver, and \
no bytes. An end of line would be one."
    ! says peer "got [1-9]* bytes from *" ||
        not_yet "its datagram was not empty" </dev/null
    hint "socket(AF_INET, SOCK_DGRAM, 0), connect, and send. With no bytes at \
all, send still sends a datagram."
    expect_true "no datagram came to port $PORT" \
        says peer "got 0 bytes from *"
}

@test "prints the seconds that it is answered as a date in UTC, and ends" {
    local zone=XYZ-$((1 + RANDOM % 11)):30
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-c 1 -t $number" whole
    typed "TZ=$zone $PROGRAM 127.0.0.1 $HAND_PORT"
    TZ=$zone try "$PROGRAM" 127.0.0.1 "$PORT"
    hint "the first answer is the last: print it, and return 0."
    expect_status 0
    expect_date "$number"
}

@test "knows all the dates that 32 bits can say, from 1900 to 2036" {
    local seconds
    random_between 1 $(((1 << 31) - 1))
    # The ends of the range, of February and of a leap year; the days of
    # 1900, which was none.
    for seconds in "$number" 0 $(((1 << 32) - 1)) \
        $(((RANDOM % 59) * 86400)) 5097599 \
        $((SECONDS_TO_1970 + 951782400 + RANDOM)) \
        $((SECONDS_TO_1970 + 1735689599)); do
        server "-c 1 -t $seconds" whole
        answer 127.0.0.1 "$PORT"
        hint "no number of seconds is wrong: 0 is the first second of 1900."
        expect_status 0
        expect_date "$seconds"
        another
    done
}

@test "refuses an answer that is not four bytes long, with status 1" {
    local length
    for length in $((1 + RANDOM % 3)) $((5 + RANDOM % 1000)) 0; do
        server "-s $((RANDOM + 2)) -n $length" garbage
        answer 127.0.0.1 "$PORT"
        if ((length > 4)); then
            hint "a longer datagram is cut to the size of the buffer, and recv \
says nothing of it: a buffer of four bytes can't tell 4 from $length. Have \
room for one more."
        else
            hint "recv returns how many bytes the datagram had. Fewer than \
four are no time: say so on standard error, print no date, status 1."
        fi
        expect_end
        ((status != 0)) ||
            not_yet "it took $length bytes for an answer" </dev/null
        expect_status 1
        expect_output /dev/null
        expect_true "it did not say why, on standard error" test -n "$errors"
        hint "who answers like that is no time server, and to ask again does \
not help: say why, and end."
        expect_true "it asked again" \
            test "$(grep -c '^got' "$BATS_TEST_TMPDIR/peer.out")" -eq 1
        another
    done
}

@test "believes nobody but the server it asked" {
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-c 1 -t $number" stranger-first
    answer 127.0.0.1 "$PORT"
    hint "anybody may send to your port. After connect(2) the kernel lets only \
the peer's datagrams in. And a stranger is no reason to give up: here the \
server's own answer comes right after."
    expect_status 0
    date_of "$number"
    echo "$text" >"$BATS_TEST_TMPDIR/date"
    expect_output "$BATS_TEST_TMPDIR/date"
}

@test "says at once that a port is closed, with status 1" {
    start refuser "$BUILD/tests/rude-udp" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    hint "the kernel over there says that nobody lives at that port. Only a \
socket that has called connect(2) is told: the next recv fails with \
ECONNREFUSED, which err(3) says in words. To ask again would not help."
    expect_status 1
    expect_stderr "*Connection refused*"
    expect_output /dev/null
}

@test "asks again when no answer has come for a second" {
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-k 1 -c 2 -t $number" silent
    hasten 30
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    try "${hasty[@]}" "$PROGRAM" 127.0.0.1 "$PORT"
    # A machine that is very busy may be too slow for a part of a second.
    if ((status != 0 && status != 124)); then
        another
        server "-k 1 -c 2 -t $number" silent
        answer 127.0.0.1 "$PORT"
    fi
    hint "recv waits until something comes, which may be never: setsockopt \
with SO_RCVTIMEO and a struct timeval of one second makes it fail with EAGAIN. \
Then send again."
    expect_status 0
    expect_date "$number"
}

@test "gives up after three tries of a second each, with status 1" {
    local took asked
    ask_in_vain 30
    # Did it wait too long, or was it the machine? Let it take its time.
    if ((status == 1 && asked == 3)) && ! is_in_time; then
        another
        ask_in_vain 1
    fi
    hint "a struct timeval has seconds, tv_sec, and millionths, tv_usec. Each \
of the three waits is one second, the last one too."
    ((asked > 3)) || expect_end
    ((asked != 3)) ||
        expect_true "its three waits were not one second each" is_in_time
    hint "three tries are enough: then say on standard error that there is no \
answer, and exit with 1."
    expect_true "it asked $asked times, and not three times" test "$asked" -eq 3
    expect_status 1
    hint "say on standard error that no answer came; standard output is for \
the date."
    expect_output /dev/null
    expect_true "it did not say so on standard error" test -n "$errors"
    HAND=()
    typed "$BUILD/tests/rude-udp -p $HAND_PORT serve stranger"
    typed "$PROGRAM 127.0.0.1 $HAND_PORT"
    judge misled
    hint "a stranger's answer is none."
    expect_status 1
    expect_output /dev/null
}

# ask_in_vain TIMES: asks one who never answers, so many times faster, and at
# the same time one whom only strangers answer for. Judges the first; sets took
# to its time in hundredths of a second, and asked to how often it asked.
ask_in_vain() {
    local began now stranger_port
    start_server other "$BUILD/tests/rude-udp" serve stranger
    stranger_port=$PORT
    server "" mute
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    hasten "$1"
    read -r began _ </proc/uptime
    ask_in_background in-vain "$PORT"
    ask_in_background misled "$stranger_port"
    judge in-vain
    read -r now _ </proc/uptime
    took=$((${now/./} - ${began/./}))
    asked=$(grep -c '^got' "$BATS_TEST_TMPDIR/peer.out") || true
}

# Three seconds, or what is left of them; not every way to wait can be hastened.
is_in_time() {
    ((took >= 270 / haste && took < 450 / haste + 5)) ||
        ((took >= 270 && took < 450))
}

ask_in_background() {
    START_SECONDS=5 start "$1" "${hasty[@]}" "$PROGRAM" 127.0.0.1 "$2"
}

# judge NAME: waits for it, and sets what `answer` sets.
judge() {
    finish "$1"
    # shellcheck disable=SC2154 # finish sets it
    status=$ended
    OUT=$BATS_TEST_TMPDIR/$1.out
    errors=$(<"$BATS_TEST_TMPDIR/$1.err")
    cp "$BATS_TEST_TMPDIR/$1.err" "$BATS_TEST_TMPDIR/err"
    : >"$BATS_TEST_TMPDIR/ending"
    [[ ! -e $BATS_TEST_TMPDIR/$1.ending ]] ||
        cp "$BATS_TEST_TMPDIR/$1.ending" "$BATS_TEST_TMPDIR/ending"
    # shellcheck disable=SC2034 # for the sentence about who did not end
    SECONDS_ALLOWED=5
}

@test "says so when standard output cannot be written" {
    server "-c 1 -t $SECONDS_TO_1970" whole
    typed "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    status=0
    bounded "$PROGRAM" 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "printf and fflush return what became of the bytes. Nothing is on its \
way before fflush: without it the loss shows only at exit."
    expect_status 1
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1 "80" more
    expect_status 2
    server "-t $SECONDS_TO_1970" whole
    hint "a port is digits and nothing else, from 1 to 65535: parse_port in \
exercise.c knows."
    answer 127.0.0.1 "${PORT}x"
    expect_status 1
    answer 127.0.0.1 "$((PORT + 65536))"
    expect_status 1
}
