#!/usr/bin/env bats
# The exercise of 12-randomness: a die without bias, `12-randomness SIDES ROLLS`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

most=4294967295 # of what four bytes can be

# some FROM TO: sets SOME to a number between them, both included.
some() {
    SOME=$(($1 + (RANDOM << 30 | RANDOM << 15 | RANDOM) % ($2 - $1 + 1)))
}

# come NUMBER...: standard input will have these, four bytes each.
come() {
    local number part
    BYTES=
    for number; do
        printf -v part '\\x%02x' $((number >> 24)) $((number >> 16 & 255)) \
            $((number >> 8 & 255)) $((number & 255))
        BYTES+=$part
    done
}

# roll SIDES ROLLS: runs the learner's program on what has come.
roll() {
    # shellcheck disable=SC2059 # it is a format
    printf "$BYTES" >"$BATS_TEST_TMPDIR/bytes"
    HAND+=("printf '$BYTES' | $PROGRAM $*")
    roll_from "$BATS_TEST_TMPDIR/bytes" "$@"
}

# roll_from FILE SIDES ROLLS
roll_from() {
    local from=$1
    shift
    OUT=$BATS_TEST_TMPDIR/out
    : >"$BATS_TEST_TMPDIR/ending"
    status=0
    bounded "${faulty[@]}" "$PROGRAM" "$@" <"$from" >"$OUT" \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || errors=${errors%$'\n'}
    case $status in
    126 | 127) environment "$PROGRAM does not run" ;;
    esac
}

# expect_rolls ROLL...: status 0, and these, a line each.
expect_rolls() {
    expect_printed "$@"
    expect_status 0
}

expect_printed() {
    expect_end
    printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/wanted"
    (($# > 0)) || : >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

@test "rolls what the bytes say" {
    local sides byte a b c
    some 100000 999999
    sides=$SOME
    byte=$((1 + RANDOM % 127))
    come $((byte * 0x01010101))
    roll "$sides" 1
    hint "the number's remainder by SIDES, and 1: a die has no 0. The bytes of \
standard input decide, and nothing else does: not rand(), and not the clock, \
which others have too."
    expect_rolls $((byte * 0x01010101 % sides + 1))
    some 0x01020304 0x01020384
    a=$SOME
    some 0x10203040 0x10203060
    b=$SOME
    come "$a" "$b"
    roll "$sides" 2
    hint "the first of the four bytes is the most significant one, whatever \
order your machine has: bytes[0] << 24 | bytes[1] << 16 | ..."
    expect_rolls $((a % sides + 1)) $((b % sides + 1))
    some 0x81828384 0x818283f0
    a=$SOME
    some 0xb0b1b2b3 0xb0b1b2f0
    b=$SOME
    c=$((0x7f00807e))
    come "$a" "$b" "$c"
    roll "$sides" 3
    hint "a byte is 0 to 255: unsigned char. A char above 127 is negative, and \
a byte shifted by 24 has no place in an int."
    expect_rolls $((a % sides + 1)) $((b % sides + 1)) $((c % sides + 1))
}

@test "takes every byte as it is" {
    local -a numbers=($((0x0a000a0d)) $((0x000000ff)) $((0x1affffff))
        $((0xff0a2020)) $((0x00000000)) $((0x000aff00)))
    local number
    local -a rolls=()
    for number in "${numbers[@]}"; do
        rolls+=($((number % 1000003 + 1)))
    done
    come "${numbers[@]}"
    roll 1000003 6
    hint "a newline, a NUL and a byte 255 are as random as any other. scanf \
and fgets look for text; and what getchar returns is an int, in which EOF is \
no byte."
    expect_rolls "${rolls[@]}"
}

@test "throws away the numbers that would make some sides likelier" {
    local sides fair
    come $((most - RANDOM % 3)) $((most - 2)) "$most" 10 3 8
    roll 6 3
    hint "4294967296 numbers can't be shared out evenly among 6 sides: 4 are \
left over, and with a plain remainder sides 1 to 4 get one more than the \
others. A number that is left over makes no roll: take the next four bytes."
    expect_rolls 5 4 3
    come $((most - 4)) $((most - 3)) 7
    roll 6 2
    hint "those left over begin with 4294967296 - 4294967296 % SIDES. That one \
is thrown away too; the one before it is good."
    expect_rolls 6 2
    some 0x80000001 0xf0000000
    sides=$SOME
    fair=$sides
    some 0 $((most - fair))
    come $((fair + SOME)) "$fair" $((fair - 1)) 0 "$most" 1
    roll "$sides" 3
    hint "with $sides sides nearly half of the numbers may be left over: \
sides nobody would miss in a test of 6."
    expect_rolls "$sides" 1 2
    some 1000000 1000000000
    sides=$SOME
    fair=$(((most + 1) / sides * sides))
    ((fair <= most)) || return 0
    come "$fair" $((fair - 1)) "$most" 5
    roll "$sides" 2
    expect_rolls "$sides" 6
}

@test "throws away no others" {
    local sides=$((1 << RANDOM % 30 + 1))
    come "$most" $((most - 1)) 0
    roll "$sides" 3
    hint "when SIDES divides 4294967296 none is left over. There are \
4294967296 numbers, one more than the largest of them, UINT32_MAX."
    expect_rolls "$sides" $((sides - 1)) 1
}

@test "rolls a die of one side, and one of 4294967296" {
    local a
    some 0 "$most"
    a=$SOME
    come "$a" "$most" 0
    roll 1 3
    hint "a die of one side always shows 1: nothing is wrong with that."
    expect_rolls 1 1 1
    come "$a" "$most" 0
    roll 4294967296 3
    hint "4294967296 is one more than 32 bits can hold: there it is 0. Count \
with 64."
    expect_rolls $((a + 1)) 4294967296 1
}

@test "puts a number together when its bytes come one at a time" {
    local a
    need_faults
    some 0 "$most"
    a=$SOME
    come "$a" 3
    faulty+=(FAULT_SHORT=read)
    roll 4294967296 2
    hint "read may return fewer bytes than you asked for. What you did not \
get is not random: it is what was in the buffer before. Ask for the rest."
    expect_rolls $((a + 1)) 4
}

@test "does not make up what has not come" {
    local a cut
    some 0 65535
    a=$SOME
    for cut in '' '\x07' '\x07\x07\x07'; do
        come "$a"
        BYTES+=$cut
        roll 65536 2
        hint "standard input has ended before there were four bytes for the \
last roll. Nothing else will do: no bytes that are left in a buffer, no zeros, \
and no clock. End with status 1, and a sentence that has the word end."
        expect_status 1
        expect_stderr "*end*"
        hint "the rolls before the end are good: they are printed."
        expect_printed $((a + 1))
    done
    come 4 "$most"
    roll 6 2
    hint "the number that came last was one to throw away, and there is none \
to take its place: standard input has ended."
    expect_status 1
    expect_stderr "*end*"
    expect_printed 5
}

@test "rolls 100000 times, when told so" {
    local endless=$BATS_TEST_TMPDIR/endless
    mkfifo "$endless" # it has more than enough, and while 7 is open no end
    exec 7<>"$endless"
    head -c 1000000 /dev/zero >"$endless" 2>/dev/null 3>&- 7>&- &
    yes 1 | head -n 100000 >"$BATS_TEST_TMPDIR/wanted"
    HAND+=("$PROGRAM 6 100000 </dev/zero | wc -l")
    roll_from "$endless" 6 100000
    exec 7>&-
    wait $! || true
    hint "standard input need not end, /dev/urandom never does: read what the \
next roll takes, and no more than all of them take."
    expect_status 0
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

@test "says why standard input cannot be read" {
    HAND+=("$PROGRAM 6 1 </")
    roll_from / 6 1
    hint "an error is not the end: read returns -1 for it, and 0 for the end; \
with stdio, ferror tells. err(1, \"standard input\") says the reason."
    expect_status 1
    expect_stderr "*Is a directory*"
}

@test "says so when standard output cannot be written" {
    HAND+=("$PROGRAM 6 1 </dev/urandom >/dev/full; echo \$?")
    : >"$BATS_TEST_TMPDIR/ending"
    status=0
    bounded "$PROGRAM" 6 1 </dev/zero >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    errors=$(<"$BATS_TEST_TMPDIR/err")
    hint "printf and fflush return what became of the line. Nothing is on its \
way before fflush: without it the loss shows only at exit."
    expect_status 1
    expect_stderr "*No space left on device*"
}

@test "refuses numbers that are out of range, or none" {
    local wrong
    head -c 400020 /dev/zero >"$BATS_TEST_TMPDIR/zeros"
    : >"$BATS_TEST_TMPDIR/nothing"
    for wrong in '0 1' '4294967297 1' '18446744073709551622 1' '-6 1' '6x 1' \
        '+6 1' 'six 1' '6 0' '6 100001' '6 3x' '6 -1' '6 18446744073709551617'; do
        HAND=("$PROGRAM $wrong </dev/urandom; echo \$?")
        # shellcheck disable=SC2086 # words
        roll_from "$BATS_TEST_TMPDIR/zeros" $wrong
        hint "SIDES is 1 to 4294967296, ROLLS 1 to 100000, in digits and \
nothing else. atoi takes 6x for 6 and six for 0; strtoull takes -6 for a number \
just below 2^64, and says only in errno that one was too large."
        expect_status 1
        expect_output "$BATS_TEST_TMPDIR/nothing"
    done
    roll_from "$BATS_TEST_TMPDIR/zeros" '' 1
    expect_status 1
    expect_stderr "?*"
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 6
    expect_status 2
    answer 6 1 more
    expect_status 2
}
