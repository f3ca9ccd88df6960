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
    start_server peer "$BUILD/peers/rude-udp" "${options[@]}" serve "$2" ||
        environment "rude-udp cannot listen on 127.0.0.1"
    by_hand "$BUILD/peers/rude-udp" "${options[@]}" -p "$PORT" serve "$2"
}

# expect_date SECONDS: the date of these seconds since 1900 was printed. What
# was printed instead may show the mistake.
expect_date() {
    local printed='' text date_hint
    date_of "$1"
    IFS= read -r printed <"$OUT" || true
    [[ $printed == "$text" ]] || find_date_hint "$1" "$printed"
    expect_output --text "$text\n" --hint "${date_hint-}"
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

# find_date_hint SECONDS PRINTED: sets date_hint to what the printed date shows.
find_date_hint() {
    local n=$1 swapped signed offset
    swapped=$((n >> 24 | n >> 8 & 0xff00 | (n & 0xff00) << 8))
    swapped=$((swapped | (n & 0xff) << 24))
    as_signed "$swapped"
    if is_date "$2" "$swapped" || is_date "$2" "$signed"; then
        date_hint="The four bytes come most significant byte first, and your \
machine most likely stores the least significant one first. Convert them with \
ntohl."
        return
    fi
    as_signed "$n"
    if is_date "$2" "$signed"; then
        date_hint="The seconds have no sign. Since 1968 their first bit is \
set, and an int32_t takes that for a minus: use a uint32_t."
    elif is_date "$2" $((n + SECONDS_TO_1970)); then
        date_hint="The server counts from 1900, but time_t counts from 1970. \
Subtract the 2208988800 seconds between them."
    elif is_date "$2" $((n + (1 << 32))); then
        date_hint="Before 1970 a time_t is negative, but uint32_t minus \
2208988800U is a uint32_t again and never negative. Convert the seconds to a \
time_t first."
    elif is_date "$2" $((n + 86400)) || is_date "$2" $((n - 86400)); then
        date_hint="The date is a day off. Most years that can be divided by 4 \
are leap years, but 1900 is not. Or do your days count from 0?"
    else
        date_hint="Print one line such as 2026-11-22 14:05:09 UTC: gmtime_r, \
then strftime with %Y-%m-%d %H:%M:%S. (%G is another year in some days around \
New Year.) If you use a struct tm yourself, its years count from 1900 and its \
months from 0."
        for offset in {1..11}; do
            ! is_date "$2" $((n + offset * 3600 + 1800)) ||
                date_hint="localtime, mktime and ctime use the time zone of \
this machine. Use gmtime_r, which is always UTC."
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

send_hint="Call socket(AF_INET, SOCK_DGRAM, 0), connect, and send. A send of 0 \
bytes still sends a datagram."
answered_hint="The first answer is the last one: print it, and end with status \
0."

@test "sends an empty datagram to the address and port it is given" {
    server "-t $SECONDS_TO_1970" whole
    answer 127.0.0.1 "$PORT"
    ! says peer "got [1-9]* bytes from *" ||
        fail "its datagram was not empty" --hint "send(fd, \"\", 0, 0) sends \
an empty datagram. An end of line would be a byte."
    expect_true "no datagram came to port $PORT" --hint "$send_hint" \
        -- says peer "got 0 bytes from *"
}

@test "prints the answer as a date in UTC, and ends with status 0" {
    local zone=XYZ-$((1 + RANDOM % 11)):30
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-c 1 -t $number" whole
    by_hand "TZ=$zone $PROGRAM 127.0.0.1 $HAND_PORT"
    TZ=$zone run_answer "$PROGRAM" 127.0.0.1 "$PORT"
    expect_end --hint "$answered_hint"
    expect_date "$number"
    expect_status 0 --hint "$answered_hint"
}

@test "prints every date that 32 bits can hold" {
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
        expect_date "$seconds"
        expect_status 0 --hint "No number of seconds is an error: 0 is the \
first second of 1900."
        next_run
    done
}

@test "refuses an answer that is not four bytes long, with status 1" {
    local length length_hint end_hint
    for length in $((1 + RANDOM % 3)) $((5 + RANDOM % 1000)) 0; do
        server "-s $((RANDOM + 2)) -n $length" garbage
        answer 127.0.0.1 "$PORT"
        length_hint="recv returns how many bytes the datagram has. If they are \
not four, print no date, say so on standard error, and end with status 1."
        if ((length > 4)); then
            length_hint="A longer datagram is cut to the size of the buffer, \
and recv does not say so. Give the buffer room for one more byte than four: \
then recv returns 5."
        fi
        end_hint="A server that answers like this is no time server. Say so on \
standard error, and end with status 1."
        ((length > 0)) || end_hint="This answer has no bytes, so recv returns 0. \
It is an answer all the same, and not \"nothing has come\": say that it is wrong, \
and end with status 1."
        expect_end --hint "$end_hint"
        ((status != 0)) ||
            fail "it took $length bytes for an answer" --hint "$length_hint"
        expect_status 1 --hint "$length_hint"
        expect_output /dev/null --hint "$length_hint"
        expect_true "it did not say why, on standard error" \
            --hint "errx(1, ...) prints a message and ends with status 1." \
            -- test -n "$errors"
        expect_true "it asked again" --hint "A server that answers like this \
is no time server, so do not ask it again: say why, and end." \
            -- test "$(grep -c '^got' "$BATS_TEST_TMPDIR/peer.out")" -eq 1
        next_run
    done
}

@test "believes only the server it asked" {
    local stranger_hint="Anybody may send to your port. Call connect(2), and \
the kernel passes you only datagrams of your peer; wait for one, because a \
stranger's datagram is no reason to give up."
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-c 1 -t $number" stranger-first
    answer 127.0.0.1 "$PORT"
    date_of "$number"
    expect_output --text "$text\n" --hint "$stranger_hint"
    expect_status 0 --hint "$stranger_hint"
}

@test "says at once when the port is closed, with status 1" {
    local refused_hint="The other kernel reports that nobody listens at that \
port, but only to a socket that has called connect(2). Then recv fails with \
ECONNREFUSED: print that with err(3), and do not ask again."
    start refuser "$BUILD/peers/rude-udp" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
    answer 127.0.0.1 "$PORT"
    expect_end --hint "$refused_hint"
    expect_status 1 --hint "$refused_hint"
    expect_stderr "*Connection refused*" --hint "$refused_hint"
    expect_output /dev/null --hint "There is no answer, so print no date."
}

@test "asks again when no answer has come for a second" {
    local again_hint="recv waits for ever when nothing comes. Set SO_RCVTIMEO \
with setsockopt to a struct timeval of one second: then recv fails with EAGAIN \
after a second, and you send again."
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    server "-k 1 -c 2 -t $number" silent
    hasten 30
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    run_answer "${hasty[@]}" "$PROGRAM" 127.0.0.1 "$PORT"
    # A machine that is very busy may be too slow for a part of a second.
    if ((status != 0 && status != 124)); then
        next_run
        server "-k 1 -c 2 -t $number" silent
        answer 127.0.0.1 "$PORT"
    fi
    expect_end --hint "$again_hint"
    expect_status 0 --hint "$again_hint"
    expect_date "$number"
    ! says peer "got [1-9]* bytes from *" ||
        fail "its second datagram was not empty" --hint "Each try sends the \
same: an empty datagram."
}

@test "gives up after three tries of a second each, with status 1" {
    local took asked number
    local waits_hint="A struct timeval has seconds in tv_sec and microseconds \
in tv_usec. Each of the three waits is one second, the last one too."
    local tries_hint="Ask three times, and no more. Then say on standard error \
that there is no answer, and end with status 1."
    local third_hint="The answer to the third datagram has a second to come, \
too: wait for it as for the others, and give up only when that second is over."
    random_between "$SECONDS_TO_1970" $(((1 << 32) - 1))
    ask_in_vain 30
    # Did it wait too long, or was it the machine? Let it take its time.
    if ((status == 1 && asked == 3)) && ! is_in_time; then
        next_run
        ask_in_vain 1
    fi
    expect_end --hint "$tries_hint"
    ((haste > 1 || took < 180 || took >= 260)) || waits_hint=$third_hint
    ((asked != 3)) || expect_true "its three waits were not one second each" \
        --hint "$waits_hint" -- is_in_time
    expect_true "it asked $asked times, and not three times" \
        --hint "$tries_hint" -- test "$asked" -eq 3
    expect_status 1 --hint "$tries_hint"
    expect_output /dev/null --hint "Standard output is for the date. Say on \
standard error that no answer came."
    expect_true "it did not say so on standard error" \
        --hint "When no answer came to the third try, say so on standard \
error: errx(1, ...)." -- test -n "$errors"
    HAND=()
    by_hand "$BUILD/peers/rude-udp -d 500 -p $HAND_PORT serve stranger"
    by_hand "time -p $PROGRAM 127.0.0.1 $HAND_PORT"
    pester_while misled
    judge misled
    expect_end --hint "A stranger's datagram is no answer, and the second \
does not begin anew with it. A call such as recvfrom waits a second each time: \
wait only for what is left of it."
    expect_status 1 --hint "A stranger's datagram is no answer: only datagrams \
of the server count."
    expect_output /dev/null --hint "A stranger's datagram is no answer: print \
no date for it."
    judge late
    if ((status != 0 && haste > 1)); then # a busy machine has to have its time
        next_run
        server "-k 2 -c 3 -d 250 -t $number" silent
        answer 127.0.0.1 "$PORT"
    fi
    expect_status 0 --hint "$waits_hint $third_hint"
    expect_date "$number"
}

# ask_in_vain TIMES: asks one who never answers, so many times faster, and at
# the same time one whom only strangers answer for, and one who answers the third
# datagram with $number, a quarter of a second later. Judges the first; sets took
# to its time in hundredths of a second, and asked to how often it asked.
ask_in_vain() {
    local began now stranger_port late_port
    start_server other "$BUILD/peers/rude-udp" serve stranger
    stranger_port=$PORT
    start_server third "$BUILD/peers/rude-udp" -k 2 -c 3 -d "$((250 / $1))" \
        -t "$number" serve silent
    late_port=$PORT
    server "" mute
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    hasten "$1"
    read -r began _ </proc/uptime
    ask_in_background in-vain "$PORT"
    ask_in_background misled "$stranger_port"
    ask_in_background late "$late_port"
    pester_while in-vain
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

# pester_while NAME: while NAME runs, a stranger sends a datagram to `misled` every
# few milliseconds.
pester_while() {
    local line stranger
    soon says other 'got *' || return 0
    while read -r line; do
        [[ $line != got* ]] || break
    done <"$BATS_TEST_TMPDIR/other.out"
    exec {stranger}<>"/dev/udp/127.0.0.1/${line##*:}"
    while is_running "$1"; do
        send_as_stranger "$stranger"
        pause
    done
    exec {stranger}>&-
}

# It fails when `misled` has ended, which is no matter.
send_as_stranger() {
    printf stranger >&"$1" || true
} 2>/dev/null

ask_in_background() {
    START_SECONDS=5 start "$1" "${hasty[@]}" "$PROGRAM" 127.0.0.1 "$2"
}

# judge NAME: waits for it, and sets what `answer` sets.
judge() {
    finish_answer "$1"
    # shellcheck disable=SC2034 # for the sentence about who did not end
    SECONDS_ALLOWED=5
}

@test "reports output that cannot be written, with status 1" {
    server "-c 1 -t $SECONDS_TO_1970" whole
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 127.0.0.1
    expect_usage
    answer 127.0.0.1 80 more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local port
    server "-t $SECONDS_TO_1970" whole
    for port in "${PORT}x" $((PORT + 65536)) "+$PORT" " $PORT" \
        "-$((65536 - PORT))" ""; do
        HAND=("${HAND[0]}") # the server, and this run alone
        answer 127.0.0.1 "$port"
        expect_status 1 --hint "$port_hint"
    done
}
