#!/usr/bin/env bats
# The exercise of 13-optional-import: messages, compressed where zlib is to be
# had, `13-optional-import [-d]`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

standin=$BUILD/tests/zlib.so
faulty=()
standing=
# What is found as libz.so.1 is in this folder, and a learner's in that one.
shelf=$BATS_TEST_TMPDIR/shelf
hand_shelf=build/z

# zlib_is VERSION [SED]: there is one, of that version, which adds $key to each
# byte. SED is what is done to it before.
zlib_is() {
    key=$((RANDOM % 200 + 20))
    [[ -d $shelf ]] || mkdir "$shelf"
    if [[ $standing != "it ${2-}" ]]; then
        sed "${2-}" "$standin" >"$shelf/libz.so.1" ||
            environment "$standin is missing: make tools"
        standing="it ${2-}"
    fi
    export ZLIB_IS=$1 ZLIB_KEY=$key
    HAND=("mkdir -p $hand_shelf; sed '${2-}' $standin >$hand_shelf/libz.so.1")
}

# rename FUNCTION: for sed, so that a zlib has all functions but that one. The
# name compress is in the file as the end of uncompress.
rename() {
    case $1 in
    compress) printf 's/uncompress/uncompres_/' ;;
    *) printf 's/%s/_%s/' "$1" "${1#?}" ;;
    esac
}

# no_zlib: what is found is none, whatever this machine has.
no_zlib() {
    [[ -d $shelf ]] || mkdir "$shelf"
    : >"$shelf/libz.so.1"
    standing=
    unset ZLIB_IS ZLIB_KEY
    HAND=("mkdir -p $hand_shelf; : >$hand_shelf/libz.so.1")
}

# draw BYTES: an input that nobody has seen before is in $INPUT.
draw() {
    INPUT=$BATS_TEST_TMPDIR/input
    "$BUILD/tests/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$1" payload \
        garbage >"$INPUT" || environment "$BUILD/tests/rude does not run"
    SHOWN="head -c $1 /dev/urandom"
}

# text TEXT: that is the input, with printf's escapes.
text() {
    INPUT=$BATS_TEST_TMPDIR/input
    printf '%b' "$1" >"$INPUT"
    SHOWN="printf '%b' '$1'"
}

# expected KIND: what packing $INPUT should give is in $WANTED.
expected() {
    local length
    WANTED=$BATS_TEST_TMPDIR/wanted
    length=$(wc -c <"$INPUT")
    {
        printf '%s %d\n' "$1" "$length"
        if [[ $1 == zlib ]]; then
            printf z
            compressed
        else
            cat "$INPUT"
        fi
    } >"$WANTED"
}

# $INPUT with $key added to each byte, modulo 256.
compressed() {
    local from to
    printf -v from '\\%03o-\\377\\000-\\%03o' "$key" "$((key - 1))"
    to='\000-\377'
    tr "$to" "$from" <"$INPUT"
}

# answer_reads [-d]: an answer whose standard input is $INPUT.
answer_reads() {
    local program=${PROGRAM_NOW:-$PROGRAM}
    HAND+=("$SHOWN |${ZLIB_IS+ ZLIB_IS=$ZLIB_IS}${ZLIB_FAILS+ \
ZLIB_FAILS=$ZLIB_FAILS} LD_LIBRARY_PATH=$hand_shelf $PROGRAM${*:+ }$* | od -c")
    about=answer
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    : >"$BATS_TEST_TMPDIR/ending"
    LD_LIBRARY_PATH=$shelf bounded "${faulty[@]}" "$program" "$@" \
        <"$INPUT" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    ((status != 126 && status != 127)) || environment "$program does not run"
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || errors=${errors%$'\n'}
}

# packs KIND: that is what becomes of $INPUT.
packs() {
    expected "$1"
    answer_reads
    expect_status 0
    expect_output "$WANTED"
}

# expect_error: it fails, says why, and prints nothing.
expect_error() {
    expect_status 1
    expect_true "it printed something, and had failed" is_empty "$OUT"
    expect_true "it does not say why" says_why
}

is_empty() {
    [[ ! -s $1 ]]
}

says_why() {
    [[ -n $errors ]]
}

# expect_reason PATTERN: it says what is missing.
expect_reason() {
    expect_stderr "*no zlib: *$1*"
}

@test "packs with zlib, when that is to be had" {
    zlib_is 1.2.13
    draw "$((RANDOM % 5000 + 1000))"
    hint "the first line is zlib, a blank, and how long the input is; then \
comes what compress gave: as many bytes as *to_length says then. compress wants \
the room that compressBound asks for. Any byte may be in it, NUL too."
    packs zlib
    text ''
    packs zlib
    [[ $BUILD != *asan* ]] || return 0
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=read)
    draw 100
    hint "read may give fewer bytes than there are to come, from a pipe or a \
socket: only 0 is the end. read_all, in exercise.c, has them all."
    packs zlib
}

@test "packs plain text, when there is no zlib, and says so" {
    no_zlib
    draw "$((RANDOM % 5000 + 1000))"
    hint "dlopen has returned NULL. That is no error here: the message is \
plain, and the status 0."
    packs plain
    hint "who gets less than he could have should know why: a line on standard \
error, no zlib: and what dlerror says."
    expect_reason libz.so.1
}

@test "does without zlib, when a function is missing in it" {
    local name
    draw 100
    for name in zlibVersion compressBound compress uncompress; do
        zlib_is 1.2.13 "$(rename "$name")"
        hint "dlsym returns NULL for what is not there, and to call that is the \
end. Ask for all four before you call one of them: without one of them there is \
no zlib."
        packs plain
        hint "say which one is missing: dlerror knows."
        expect_reason "$name"
    done
}

@test "does without a zlib that is too old, and takes what is newer" {
    local version
    draw 100
    for version in 1.2.10 1.2.9 1.1.4 0.95.12; do
        zlib_is "$version"
        hint "a function that is there may be one of long ago: 1.2.11 is asked \
for at least. Call zlibVersion, and compare number by number: as text, 1.2.9 is \
the greater one."
        packs plain
        expect_reason "$version"
    done
    for version in 1.2.11 1.2.12.1-motley 1.3 1.10.1; do
        zlib_is "$version"
        hint "1.3 is newer than 1.2.11, though it has no third number, and 1.10 \
newer than 1.2: compare number by number, and what is left out is 0."
        packs zlib
    done
    zlib_is 2.0.1
    hint "another first number says that nothing is as it was: a zlib 2 is none \
for you."
    packs plain
    expect_reason 2.0.1
}

@test "takes an error of compress for an error, and not for no zlib" {
    zlib_is 1.2.13
    export ZLIB_FAILS=compress
    draw 100
    hint "zlib was found, and then compress returned something other than 0. \
That is no absence: status 1, a reason, and no plain message. It is what else is \
for: try holds the import, and nothing more."
    answer_reads
    expect_error
}

@test "unpacks both kinds" {
    zlib_is 1.2.13
    draw 5000
    cp "$INPUT" "$BATS_TEST_TMPDIR/original"
    expected plain
    cp "$WANTED" "$BATS_TEST_TMPDIR/plain"
    expected zlib
    INPUT=$WANTED
    HAND+=("printf hello | LD_LIBRARY_PATH=$hand_shelf $PROGRAM >$hand_shelf/5")
    SHOWN="cat $hand_shelf/5"
    hint "a message is a line, and bytes: those behind the newline go to \
uncompress, and as many as it says come out."
    answer_reads -d
    expect_status 0
    expect_output "$BATS_TEST_TMPDIR/original"
    no_zlib
    INPUT=$BATS_TEST_TMPDIR/plain
    SHOWN="printf 'plain 5\\nhello'"
    hint "a plain message needs no zlib."
    answer_reads -d
    expect_status 0
    expect_output "$BATS_TEST_TMPDIR/original"
}

@test "does not unpack with zlib what zlib is missing for" {
    local broken
    for broken in absent no-uncompress old; do
        zlib_is 1.2.13
        text hello
        expected zlib
        INPUT=$WANTED
        SHOWN="printf 'zlib 5\\nz.....'"
        case $broken in
        absent) no_zlib ;;
        no-uncompress) zlib_is 1.2.13 "$(rename uncompress)" ;;
        old) zlib_is 1.2.3 ;;
        esac
        hint "without zlib nobody can read this message: status 1, and why. Its \
bytes as they are would be rubbish that looks like an answer."
        answer_reads -d
        expect_error
        expect_reason ''
    done
}

@test "refuses a message that is not what it says" {
    local bad
    zlib_is 1.2.13
    hint "the message comes from somebody else. LENGTH is decimal digits, at \
most 65536, and as many bytes must come out, no more and no fewer: look before \
you believe it."
    for bad in 'plain 5\nhell' 'plain 5\nhello!' 'plain 5' 'plain \nhello' \
        'plain 5x\nhello' 'plain +5\nhello' 'plain 18446744073709551621\nhello' \
        'gzip 5\nhello' ''; do
        text "$bad"
        answer_reads -d
        expect_error
    done
    for bad in 'zlib 5\nzabc' 'zlib 2\nzabc' 'zlib 65537\nzabc'; do
        text "$bad"
        answer_reads -d
        expect_error
    done
    hint "uncompress returns what became of it, and anything but 0 is an error."
    text 'zlib 3\nabc'
    answer_reads -d
    expect_error
}

@test "packs up to 65536 bytes" {
    zlib_is 1.2.13
    draw 65536
    hint "the room that compress wants is more than the input has: \
compressBound says how much."
    packs zlib
    draw 65537
    hint "more than 65536 bytes are an error, and not what fits."
    answer_reads
    expect_error
}

@test "builds, and finds zlib, where there is no zlib.h" {
    local source bare=$BATS_TEST_TMPDIR/bare
    # Beside it lies what the compiler said that it is made of.
    source=$(grep -om 1 '[^ ]*\.c' "$PROGRAM.d") ||
        environment "nobody knows what $PROGRAM is made of"
    sed 's/zlib\.h/no-zlib.h/' "$source" >"$bare.c"
    zlib_is 1.2.13
    HAND+=("sed 's/zlib\\.h/no-zlib.h/' $source >$hand_shelf/bare.c; cc -Icommon \
-o $hand_shelf/bare $hand_shelf/bare.c $BUILD/common.a")
    about=answer
    hint "zlib.h may be missing where your program is built: #if \
__has_include(<zlib.h>), or do without. The four functions are in exercise.c, \
and pointers to them need no header."
    : >"$BATS_TEST_TMPDIR/ending"
    cc -std=c17 -w -Icommon -o "$bare" "$bare.c" "$BUILD/common.a" \
        2>"$BATS_TEST_TMPDIR/err" ||
        not_yet "it does not build without zlib.h" </dev/null
    draw 100
    PROGRAM_NOW=$bare
    hint "zlib.h is for the compiler. That it was missing then says nothing \
about what there is now: libz.so.1 is looked for when the program runs."
    packs zlib
}

@test "says so when standard output cannot be written" {
    no_zlib
    draw 100
    hint "printf, fwrite and fflush return what became of the bytes."
    HAND+=("$SHOWN | $PROGRAM >/dev/full; echo \$?")
    about=answer
    status=0
    : >"$BATS_TEST_TMPDIR/ending"
    LD_LIBRARY_PATH=$shelf bounded "$PROGRAM" <"$INPUT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    expect_status 1
}

@test "refuses wrong arguments" {
    hint "usage goes to standard error, and the status is 2."
    answer -x
    expect_status 2
    expect_stderr "*usage: *"
    answer -d more
    expect_status 2
}
