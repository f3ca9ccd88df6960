#!/usr/bin/env bats
# The exercise of 14-import-cycle: three modules whose circle is to be cut,
# `14-import-cycle THREADS [SETTING...]`. Each test's name is a requirement, as
# a learner reads it.

load ../lib/exercise

# draw: SECONDS_SET and ZONE that nobody could have known; TIME, what a line
# then begins with.
draw() {
    SECONDS_SET=$((RANDOM * 32768 + RANDOM + 1000000))
    ZONE=$((1 + RANDOM % 14))
    ((RANDOM % 2)) || ZONE=$((-ZONE + 2))
    ((ZONE != 0)) || ZONE=9
    TIME=$((SECONDS_SET + 3600 * ZONE))
}

# word: sets WORD to something that is no setting.
word() {
    printf -v WORD 'w%x=%d' "$((RANDOM * 32768 + RANDOM))" "$RANDOM"
}

# expect_logged LINE...: these lines are logged, in whatever order.
expect_logged() {
    printf '%s\n' "$@" | sort >"$BATS_TEST_TMPDIR/wanted"
    grep -av ' starts$' "$OUT" | sort >"$BATS_TEST_TMPDIR/logged" || true
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/logged"
}

# expect_starts: each module has started, once.
expect_starts() {
    printf '%s\n' "clock starts" "config starts" "log starts" \
        >"$BATS_TEST_TMPDIR/wanted"
    grep -a ' starts$' "$OUT" | sort >"$BATS_TEST_TMPDIR/starts" || true
    expect_output "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/starts"
}

# lines COUNT: sets LINES_OUT to what so many threads log.
lines() {
    local i
    LINES_OUT=()
    for ((i = 1; i <= $1; i++)); do
        LINES_OUT+=("$TIME line $i")
    done
}

circle="log asks clock for the time, clock asks config for the zone, and \
config is not ready: it is on its way to log. "

@test "logs a line at the time and in the zone that it is told" {
    local SECONDS_SET ZONE TIME
    draw
    answer 1 "seconds=$SECONDS_SET" "zone=$ZONE"
    hint "a line is its time, a blank, and its text. The time is seconds, and \
3600 more for each hour of zone."
    expect_status 0
    expect_logged "$TIME line 1"
    hint "each module says that it starts, when its body runs: say_start."
    expect_starts
}

@test "has the time right beyond the year 2038" {
    local SECONDS_SET ZONE TIME
    draw
    SECONDS_SET=$((SECONDS_SET + (2 + RANDOM % 99) * 4294967296))
    TIME=$((SECONDS_SET + 3600 * ZONE))
    answer 1 "zone=$ZONE" "seconds=$SECONDS_SET"
    hint "clock_now returns long long; who found it by name and calls it as if \
it returned int gets half of it, and no compiler sees both. A declaration that \
was copied has drifted: have one, and let all who need it use that."
    expect_status 0
    expect_logged "$TIME line 1"
}

@test "says of a setting that it is unknown, at the right time" {
    local SECONDS_SET ZONE TIME WORD first second
    draw
    word && first=$WORD
    word && second=$WORD
    answer 1 "$first" "seconds=$SECONDS_SET" "$second" "zone=$ZONE"
    hint "$circle""And one that waits for a start in which it is itself waits \
for ever. config's body need not log: it can keep what is unknown, until \
somebody asks who is ready."
    expect_status 0
    hint "a setting that is neither seconds nor zone is logged: its time, \
unknown setting:, and the setting as it was given."
    expect_true "it does not name each unknown setting" names "$first" "$second"
    hint "$circle""A guard ends the circle, and hides that: what it lets pass \
is half ready. Log what is unknown when all have started."
    expect_logged "$TIME unknown setting: $first" \
        "$TIME unknown setting: $second" "$TIME line 1"
}

names() {
    local name
    for name; do
        grep -qaF "unknown setting: $name" "$OUT" || return 1
    done
}

@test "starts each module once, when many need it at the same moment" {
    local SECONDS_SET ZONE TIME
    draw
    answer $((16 + RANDOM % 16)) "zone=$ZONE" "seconds=$SECONDS_SET"
    hint "between the look at a flag and the change of it there is time for \
other threads, and each of them starts the module again. pthread_once calls a \
function once for all threads."
    expect_status 0
    expect_starts
}

@test "lets no thread use a module before that has started" {
    local SECONDS_SET ZONE TIME LINES_OUT count=$((16 + RANDOM % 16))
    draw
    answer "$count" "seconds=$SECONDS_SET" "zone=$ZONE"
    hint "a flag that is set when the body begins tells the other threads that \
the module is ready, and its body is still running. They must wait until it \
has returned: pthread_once has them wait."
    lines "$count"
    expect_status 0
    expect_logged "${LINES_OUT[@]}"
}

@test "says once that a setting is unknown, however many lines there are" {
    local SECONDS_SET ZONE TIME WORD LINES_OUT count=$((16 + RANDOM % 16))
    draw
    word
    answer "$count" "seconds=$SECONDS_SET" "$WORD" "zone=$ZONE"
    hint "what is unknown is said once for all, by one thread: where it is \
said must be where only one comes by."
    lines "$count"
    expect_status 0
    expect_logged "$TIME unknown setting: $WORD" "${LINES_OUT[@]}"
}

@test "starts nothing that nobody needs" {
    local SECONDS_SET ZONE TIME WORD
    draw
    word
    answer 0 "seconds=$SECONDS_SET" "$WORD" "zone=$ZONE"
    hint "with no thread there is no line, and with no line nobody needs log, \
or what log needs. Start a module at the first call that needs it, not before."
    expect_status 0
    expect_output /dev/null
}
