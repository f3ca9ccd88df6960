#!/usr/bin/env bats
# The exercise of 12-randomness: a fair die, `12-randomness SIDES ROLLS`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

faulty=()
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
    by_hand "printf '$BYTES' | ${faulty[*]}${faulty:+ }$PROGRAM $*"
    roll_from "$BATS_TEST_TMPDIR/bytes" "$@"
}

# roll_from FILE SIDES ROLLS
roll_from() {
    INPUT=$1
    run_answer "${faulty[@]}" "$PROGRAM" "${@:2}"
}

# expect_rolls ROLL... [--hint TEXT]: status 0, and these, a line each.
expect_rolls() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    expect_printed "${arguments[@]}" --hint "$hint"
    expect_status 0 --hint "All rolls were made: end with status 0. Do not read \
a number that no roll needs."
}

# expect_printed ROLL... [--hint TEXT]: these, a line each.
expect_printed() {
    local hint='' text=''
    local -a arguments
    take_options + "$@" || return
    ((${#arguments[@]} == 0)) || printf -v text '%s\n' "${arguments[@]}"
    expect_output --text "$text" --hint "$hint"
}

fair_hint="4294967296 numbers cannot be shared out evenly among 6 sides, because \
4 are left over. With a plain remainder, sides 1 to 4 are a little more likely. A \
number that is left over makes no roll: take the next four bytes instead. They \
may be left over too, so this takes a loop, and not an if."
limit_hint="The numbers that are left over begin with 4294967296 - 4294967296 \
% SIDES. This first one is left over, too. The number before it is good."
many_hint="With so many sides, nearly half of the numbers may be left over. The \
numbers that are left over begin with 4294967296 - 4294967296 % SIDES."
end_hint="Standard input ended before there were four bytes for a roll, so \
there is no roll. Do not use old bytes of the buffer, no zeros and no clock. \
End with status 1."
end_word_hint="Say on standard error that standard input has ended. The \
message must contain the word \"end\"."

@test "rolls what the bytes say" {
    local sides byte a b c
    some 100000 999999
    sides=$SOME
    byte=$((1 + RANDOM % 127))
    come $((byte * 0x01010101))
    roll "$sides" 1
    expect_rolls $((byte * 0x01010101 % sides + 1)) --hint "Print the \
remainder of the number divided by SIDES, plus 1: a die has no 0. Only the bytes \
of standard input decide, not rand() and not the clock."
    some 0x01020304 0x01020384
    a=$SOME
    some 0x10203040 0x10203060
    b=$SOME
    come "$a" "$b"
    roll "$sides" 2
    expect_rolls $((a % sides + 1)) $((b % sides + 1)) --hint "The first of \
the four bytes is the most significant one, in whatever order your machine \
stores numbers: (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | ..."
    some 0x81828384 0x818283f0
    a=$SOME
    some 0xb0b1b2b3 0xb0b1b2f0
    b=$SOME
    c=$((0x7f00807e))
    come "$a" "$b" "$c"
    roll "$sides" 3
    expect_rolls $((a % sides + 1)) $((b % sides + 1)) $((c % sides + 1)) --hint \
        "Use unsigned char for the bytes, because a char above 127 may be \
negative. Convert a byte to uint32_t before you shift it by 24: without that it \
is an int, which has no room for the result."
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
    expect_rolls "${rolls[@]}" --hint "A newline, a NUL and a byte 255 are as \
random as any other byte. scanf and fgets look for text, so use read or fread. \
Keep what getchar returns in an int, where EOF differs from every byte."
}

@test "throws away the numbers that would make some sides more likely" {
    local sides fair
    come $((most - RANDOM % 3)) $((most - 2)) "$most" 10 3 8
    roll 6 3
    expect_rolls 5 4 3 --hint "$fair_hint"
    come $((most - 4)) $((most - 3)) 7
    roll 6 2
    expect_rolls 6 2 --hint "$limit_hint"
    some 0x80000001 0xf0000000
    sides=$SOME
    fair=$sides
    some 0 $((most - fair))
    come $((fair + SOME)) "$fair" $((fair - 1)) 0 "$most" 1
    roll "$sides" 3
    expect_rolls "$sides" 1 2 --hint "$many_hint"
    some 1000000 1000000000
    sides=$SOME
    fair=$(((most + 1) / sides * sides))
    ((fair <= most)) || return 0
    come "$fair" $((fair - 1)) "$most" 5
    roll "$sides" 2
    expect_rolls "$sides" 6 --hint "$many_hint"
}

@test "throws away no other numbers" {
    local sides=$((1 << RANDOM % 30 + 1))
    come "$most" $((most - 1)) 0
    roll "$sides" 3
    expect_rolls "$sides" $((sides - 1)) 1 --hint "If SIDES divides \
4294967296, no number is left over. There are 4294967296 numbers, one more \
than UINT32_MAX, the largest of them."
}

@test "rolls a die of one side, and one of 4294967296 sides" {
    local a
    some 0 "$most"
    a=$SOME
    come "$a" "$most" 0
    roll 1 3
    expect_rolls 1 1 1 --hint "A die of one side always shows 1. That is not an \
error."
    come "$a" "$most" 0
    roll 4294967296 3
    expect_rolls $((a + 1)) 4294967296 1 --hint "4294967296 does not fit into \
32 bits: it becomes 0. Use uint64_t for SIDES and for the roll."
}

@test "puts a number together when its bytes come one at a time" {
    local a
    need_faults
    some 0 "$most"
    a=$SOME
    come "$a" 3
    faulty+=(FAULT_SHORT=read)
    roll 4294967296 2
    expect_rolls $((a + 1)) 4 --hint "read may return fewer bytes than you \
asked for, and the rest of your buffer then has old bytes. Call it again for \
the rest."
}

@test "reports an end of standard input before the last roll, with status 1" {
    local a cut
    some 0 65535
    a=$SOME
    for cut in '' '\x07' '\x07\x07\x07'; do
        come "$a"
        BYTES+=$cut
        roll 65536 2
        expect_status 1 --hint "$end_hint"
        expect_stderr "*end*" --hint "$end_word_hint"
        expect_printed $((a + 1)) --hint "The rolls before the end are good: \
print them."
    done
    come 4 "$most"
    roll 6 2
    expect_status 1 --hint "The last number must be thrown away, and there \
are no four bytes for another one. Standard input has ended, so end with \
status 1."
    expect_stderr "*end*" --hint "$end_word_hint"
    expect_printed 5 --hint "The rolls before the end are good: print them."
    come 9
    roll 1 2
    expect_status 1 --hint "A die of one side takes four bytes for each roll, as \
every die does. Here there are only four bytes for two rolls."
    expect_stderr "*end*" --hint "$end_word_hint"
}

@test "makes 100000 rolls, and does not wait for the end of standard input" {
    local endless=$BATS_TEST_TMPDIR/endless
    local hint="Standard input need not end, and /dev/urandom never does. Read \
the four bytes of the next roll, or at most what all rolls need."
    mkfifo "$endless" # it has more than enough, and while 7 is open no end
    exec 7<>"$endless"
    head -c 1000000 /dev/zero >"$endless" 2>/dev/null 3>&- 7>&- &
    yes 1 | head -n 100000 >"$BATS_TEST_TMPDIR/wanted"
    by_hand "$PROGRAM 6 100000 </dev/zero | wc -l"
    SECONDS_ALLOWED=10 # some read one byte at a time, on a busy machine
    roll_from "$endless" 6 100000
    exec 7>&-
    wait $! || true
    expect_end --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_output "$BATS_TEST_TMPDIR/wanted" --hint "$hint"
    needs_no_more
}

# needs_no_more: the bytes of its rolls come, and then neither more nor an end.
needs_no_more() {
    local hint="The bytes for both rolls were there, and your program waited for \
more. fread waits until it has as many as you ask for: ask for four at a time. \
read returns what is there."
    HAND=("(printf '\\0\\0\\0\\7\\0\\0\\0\\2'; sleep 3) | timeout 2 $PROGRAM 6 2")
    exec 7<>"$endless"
    printf '\0\0\0\7\0\0\0\2' >&7
    roll_from "$endless" 6 2
    exec 7>&-
    expect_end --hint "$hint"
    expect_rolls 2 3 --hint "$hint"
}

@test "says why standard input cannot be read, with status 1" {
    by_hand "$PROGRAM 6 1 </"
    roll_from / 6 1
    expect_status 1 --hint "When read fails, it returns -1, and there \
are no bytes for a roll. End with status 1."
    expect_stderr "*Is a directory*" --hint "An error is not the end: read \
returns -1 for an error and 0 at the end. With stdio, ferror tells you which it \
was. err(1, \"standard input\") prints the reason."
}

@test "reports output that cannot be written, with status 1" {
    by_hand "$PROGRAM 6 1 </dev/urandom >/dev/full; echo \$?"
    INPUT=/dev/zero
    run_answer_to /dev/full "$PROGRAM" 6 1
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    need_faults
    faulty+=(FAULT_SHORT=write)
    come 999999 1
    roll 1000003 2
    printf '%s\n' 1000000 2 >"$BATS_TEST_TMPDIR/wanted"
    expect_no_loss "$BATS_TEST_TMPDIR/wanted"
}

@test "refuses numbers that are out of range or invalid, with status 1, before the first roll" {
    local wrong hint="SIDES is 1 to 4294967296 and ROLLS 1 to 100000, in \
digits and nothing else. atoi takes 6x for 6, and six for 0. strtoull takes -6 \
for a huge number, and reports a number that is too large only in errno. Compare \
a number with its limits before you put it into a type of 32 bits."
    head -c 400020 /dev/zero >"$BATS_TEST_TMPDIR/zeros"
    for wrong in '0 1' '4294967297 1' '18446744073709551622 1' '-6 1' '6x 1' \
        '+6 1' 'six 1' '6 0' '6 100001' '6 3x' '6 -1' '6 18446744073709551617'; do
        HAND=("$PROGRAM $wrong </dev/urandom; echo \$?")
        # shellcheck disable=SC2086 # words
        roll_from "$BATS_TEST_TMPDIR/zeros" $wrong
        if [[ $wrong == *18446744073709551* && $status == 0 ]]; then
            fail "its exit status was 0, and should be 1" --hint "2 to the 64th \
and more does not fit into 64 bits: such a number begins again at 0. Compare \
with the limit after each digit, or look whether strtoull sets errno to ERANGE."
        fi
        expect_status 1 --hint "$hint"
        expect_output /dev/null --hint "Check both numbers before the first \
roll: print nothing if one is wrong."
    done
    come 9
    roll 010 1
    expect_rolls 10 --hint "010 is ten: digits are decimal here. With the base \
0, strtoull takes a number with a 0 in front for octal."
    roll_from "$BATS_TEST_TMPDIR/zeros" '' 1
    expect_status 1 --hint "$hint"
    expect_stderr "?*" --hint "Say on standard error what is wrong with the \
number."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer 6
    expect_status 2 --hint "$usage_hint"
    answer 6 1 more
    expect_status 2 --hint "$usage_hint"
}
