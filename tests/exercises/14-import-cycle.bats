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

# expect_logged LINE... [--hint TEXT]: these lines are logged, in whatever
# order.
expect_logged() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    printf '%s\n' "${arguments[@]}" | sort >"$BATS_TEST_TMPDIR/wanted"
    grep -av ' starts$' "$OUT" | sort >"$BATS_TEST_TMPDIR/logged" || true
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/logged" ||
        fail "what it logged is not what it should be" --show "$(show_difference \
            "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/logged")" --hint \
"$hint"
}

# expect_starts [--hint TEXT]: each module has started, once.
expect_starts() {
    printf '%s\n' "clock starts" "config starts" "log starts" \
        >"$BATS_TEST_TMPDIR/wanted"
    grep -a ' starts$' "$OUT" | sort >"$BATS_TEST_TMPDIR/starts" || true
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/starts" ||
        fail "not each module has started once" --show "$(show_difference \
            "$BATS_TEST_TMPDIR/wanted" "$BATS_TEST_TMPDIR/starts")" "$@"
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
config is not ready, because it is calling log."
line_hint="A line is its time, a blank, and its text. The time is seconds, \
plus 3600 for each hour of zone."
ended_hint="Nothing failed: end with status 0."
once_hint="Between the look at a flag and its change, other threads run, and \
each of them starts the module again. pthread_once calls a function once for \
all threads."
wait_hint="A flag that is set when the body begins says that the module is \
ready while its body is still running. Other threads must wait until the body \
has returned: pthread_once makes them wait."
told_hint="Log each unknown setting once, from one thread: do it at a place \
that only one thread reaches."

@test "logs one line for each thread, with the right time" {
    local SECONDS_SET ZONE TIME
    draw
    ZONE=$((1 + RANDOM % 14))
    answer 1 "seconds=$SECONDS_SET" "zone=$ZONE"
    expect_status 0 --hint "$ended_hint"
    expect_logged "$((SECONDS_SET + 3600 * ZONE)) line 1" --hint "$line_hint"
    HAND=()
    ZONE=$((-1 - RANDOM % 12))
    answer 1 "seconds=$SECONDS_SET" "zone=$ZONE"
    expect_status 0 --hint "$ended_hint"
    expect_logged "$((SECONDS_SET + 3600 * ZONE)) line 1" --hint "This zone is \
less than 0. Keep it in a type that has a sign, and let no unsigned number into \
the sum: C would then count without a sign, and the time would be much too large."
    expect_starts --hint "Each module says that it starts when its body runs: \
call say_start in the body, and nowhere else."
}

@test "has the right time beyond the year 2038" {
    local SECONDS_SET ZONE TIME
    draw
    SECONDS_SET=$((SECONDS_SET + (2 + RANDOM % 99) * 4294967296))
    TIME=$((SECONDS_SET + 3600 * ZONE))
    answer 1 "zone=$ZONE" "seconds=$SECONDS_SET"
    expect_status 0 --hint "$ended_hint"
    expect_logged "$TIME line 1" --hint "Such a time does not fit into an int: \
use long long everywhere. clock_now returns long long, but the copy of its \
declaration says int, and no compiler sees both: the copy has drifted. Have one \
declaration, and let all who need it use that."
}

@test "logs each unknown setting, with the right time" {
    local SECONDS_SET ZONE TIME WORD first second
    draw
    word && first=$WORD
    word && second=$WORD
    answer 1 "$first" "seconds=$SECONDS_SET" "$second" "zone=$ZONE"
    expect_end --hint "$circle A module that waits for its own start waits for \
ever: keep the unknown settings in config's body, and log them later."
    expect_status 0 --hint "$ended_hint"
    expect_true "it does not name each unknown setting" --hint "A setting that \
is neither seconds nor zone is logged: its time, unknown setting:, and the \
setting as it was given. The strings in config_arguments stay until the end, so \
keep a pointer to each unknown one." -- names "$first" "$second"
    expect_logged "$TIME unknown setting: $first" \
        "$TIME unknown setting: $second" "$TIME line 1" \
        --hint "$circle A guard stops the endless calls, but lets a module be \
used before it is ready. Log the unknown settings when all modules have \
started."
    answer 1 zone=15 "seconds=$SECONDS_SET" zone=-13 "zone=$ZONE"
    expect_status 0 --hint "$ended_hint"
    expect_logged "$TIME unknown setting: zone=15" \
        "$TIME unknown setting: zone=-13" "$TIME line 1" --hint "A zone is a \
number from -12 to 14, and each other one is an unknown setting."
    logs_all_of_many
}

# logs_all_of_many: there are as many unknown settings as main allows, and they
# are long, one of them very long.
logs_all_of_many() {
    local i WORD LONG length=300
    local -a settings=() logged=("0 line 1")
    for ((i = 0; i < 64; i++)); do
        word
        ((i < 63)) || length=9000
        printf -v LONG '%s-%0*d' "$WORD" "$length" "$i"
        settings+=("$LONG")
        logged+=("0 unknown setting: $LONG")
    done
    HAND=("$PROGRAM 1 \$(printf '%0300d ' \$(seq 63)) \$(printf %09000d 64) | awk '{ print length }'")
    run_answer "$PROGRAM" 1 "${settings[@]}"
    expect_status 0 --hint "$ended_hint"
    expect_logged "${logged[@]}" --hint "There may be MOST_SETTINGS unknown \
settings, and each is logged whole, however long it is. If you keep pointers to \
them, you need no copies. And put_line has a place for what stands before the \
setting, so you need no array for the line."
}

names() {
    local name
    for name; do
        grep -qaF "unknown setting: $name" "$OUT" || return 1
    done
}

@test "starts each module once, when many threads need it at the same moment" {
    local SECONDS_SET ZONE TIME
    draw
    answer $((16 + RANDOM % 16)) "zone=$ZONE" "seconds=$SECONDS_SET"
    expect_status 0 --hint "$ended_hint"
    expect_starts --hint "$once_hint"
    # Without a setting the time is 0.
    answer 16
    expect_status 0 --hint "$ended_hint"
    expect_starts --hint "The time may be 0, so it cannot say whether the clock \
has started: pthread_once can."
}

@test "lets no thread use a module before the module is ready" {
    local SECONDS_SET ZONE TIME LINES_OUT count=$((16 + RANDOM % 16))
    draw
    answer "$count" "seconds=$SECONDS_SET" "zone=$ZONE"
    lines "$count"
    expect_status 0 --hint "$ended_hint"
    expect_logged "${LINES_OUT[@]}" --hint "$wait_hint"
    waits_for_each
}

# waits_for_each: one of the three bodies takes longer than all the rest, and one
# of the threads comes only when that body runs. Before it has ended, no thread
# logs its line.
waits_for_each() {
    local slow seen
    need_faults
    lines 8
    for slow in 1 2 3; do
        HAND=()
        by_hand "${faulty[@]}" FAULT_NAP="$slow" "$PROGRAM" 8 \
            "seconds=$SECONDS_SET" "zone=$ZONE"
        run_answer "${faulty[@]}" FAULT_NAP="$slow" "$PROGRAM" 8 \
            "seconds=$SECONDS_SET" "zone=$ZONE"
        expect_status 0 --hint "$ended_hint"
        seen=$(sed '/^(a nap ends)$/,$d' "$OUT" | grep -ac ' line ') || true
        sed -i '/^(a nap ends)$/d' "$OUT"
        expect_logged "${LINES_OUT[@]}" --hint "$wait_hint"
        expect_true "$seen threads have logged a line before a body has ended" \
            --hint "$wait_hint" -- [ "$seen" = 0 ]
    done
}

@test "logs each unknown setting once, however many threads there are" {
    local SECONDS_SET ZONE TIME WORD LINES_OUT count=$((16 + RANDOM % 16))
    draw
    word
    answer "$count" "seconds=$SECONDS_SET" "$WORD" "zone=$ZONE"
    lines "$count"
    expect_status 0 --hint "$ended_hint"
    expect_logged "$TIME unknown setting: $WORD" "${LINES_OUT[@]}" \
        --hint "$told_hint"
}

@test "starts no module that is not needed" {
    local SECONDS_SET ZONE TIME WORD
    draw
    word
    answer 0 "seconds=$SECONDS_SET" "$WORD" "zone=$ZONE"
    expect_status 0 --hint "$ended_hint"
    expect_output /dev/null --hint "Without a thread there is no line, so \
nobody needs log, or what log needs. Start a module at the first call that \
needs it, and not before."
}
