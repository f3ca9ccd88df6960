#!/usr/bin/env bats
# The exercise of 13-optional-import: messages that are compressed if zlib can be
# used, `13-optional-import [-d]`. Each test's name is a requirement, as a learner
# reads it.

load ../lib/exercise
. scripts/lib/place.bash

standin=$BUILD/tests/zlib.so
faulty=()
standing=
# What is found as libz.so.1 is in this folder, and a learner's in that one.
shelf=$BATS_TEST_TMPDIR/shelf
hand_shelf=build/z

# make_shelf: the folder. A library that is loaded from it has to be executable.
make_shelf() {
    [[ ! -d $shelf ]] || return 0
    mkdir "$shelf"
    may_run_in "$shelf" || environment "no library may be loaded from TMPDIR: is \
it mounted with noexec?"
}

# zlib_is VERSION [SED]: there is one, of that version, which adds $key to each
# byte. SED is what is done to it before.
zlib_is() {
    key=$((RANDOM % 200 + 20))
    make_shelf
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
    make_shelf
    : >"$shelf/libz.so.1"
    standing=
    unset ZLIB_IS ZLIB_KEY
    HAND=("mkdir -p $hand_shelf; : >$hand_shelf/libz.so.1")
}

# draw BYTES: an input that nobody has seen before is in $INPUT.
draw() {
    INPUT=$BATS_TEST_TMPDIR/input
    SHOWN="$BUILD/peers/rude -s $((RANDOM + 2)) -n $1 payload garbage"
    $SHOWN >"$INPUT" || environment "$BUILD/peers/rude does not run"
}

# text TEXT: that is the input, with printf's escapes.
text() {
    INPUT=$BATS_TEST_TMPDIR/input
    printf '%b' "$1" >"$INPUT"
    SHOWN="printf '%b' '$1'"
}

# expected KIND: what packing $INPUT should give is in $WANTED.
expected() {
    local length beginning
    WANTED=$BATS_TEST_TMPDIR/wanted
    length=$(wc -c <"$INPUT")
    {
        printf '%s %d\n' "$1" "$length"
        if [[ $1 == zlib ]]; then
            printf -v beginning '%*s' "$((1 + ${ZLIB_MORE:-0}))" ''
            printf '%s' "${beginning// /z}"
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
    by_hand "$SHOWN |${ZLIB_IS+ ZLIB_IS=$ZLIB_IS}${ZLIB_FAILS+ \
ZLIB_FAILS=$ZLIB_FAILS}${ZLIB_MORE+ ZLIB_MORE=$ZLIB_MORE} LD_LIBRARY_PATH=$hand_shelf ${PROGRAM_NOW:-$PROGRAM}${*:+ }$* | od -c"
    LD_LIBRARY_PATH=$shelf run_answer "${faulty[@]}" \
        "${PROGRAM_NOW:-$PROGRAM}" "$@"
}

# packs KIND [--hint TEXT]: that is what becomes of $INPUT.
packs() {
    expected "$1"
    answer_reads
    expect_status 0 "${@:2}"
    expect_output "$WANTED" "${@:2}"
}

# expect_error [--hint TEXT]: it fails, says why, and prints nothing.
expect_error() {
    expect_status 1 "$@"
    expect_output /dev/null --hint "Print nothing on standard output if the \
program fails: first check everything, then print."
    expect_true "it does not say why" --hint "Say on standard error what is \
wrong, before you end." -- test -n "$errors"
}

# expect_reason PATTERN [--hint TEXT]: it says what is missing.
expect_reason() {
    expect_stderr "*no zlib: *$1*" "${@:2}"
}

pack_hint="The first line is zlib, a blank, and the length of the input. Then \
come the bytes that compress wrote: after the call, *to_length says how many. \
compress needs as much room as compressBound returns."
plain_hint="dlopen returned NULL, so there is no zlib. That is no error here: \
write a plain message, and end with status 0."
missing_hint="dlsym returns NULL for a function that is missing, and a call of \
NULL crashes. Look up all four before you call one. If one is missing, there \
is no zlib."
at_once_hint="Call dlerror right after the call that returned NULL, and only \
once: a later dlsym overwrites the reason, and a second dlerror returns NULL."
old_hint="This zlib is too old: it must be 1.2.11 or newer. Call \
zlibVersion, and compare number by number. As text, 1.2.9 would be greater \
than 1.2.11."
new_hint="1.3 and 1.10 are newer than 1.2.11. Compare number by number, and \
take 0 for a number that is left out."
other_hint="If the first number is not 1, nothing is known about this zlib. \
Do not use it."
unpack_hint="A message is a line and bytes. Give the bytes after the newline \
to uncompress. Before the call, *to_length says how much room there is. As many bytes come out as the line says."
without_hint="Without zlib this message cannot be unpacked. Say why, end with \
status 1, and do not print its bytes as they are."
line_hint="The first line is zlib or plain, then one blank, then LENGTH up to \
the newline, and nothing else: a NUL is not the end of the line."
long_hint="This message is valid. compress may make its input longer, up to \
compressBound(65536) bytes, which is 65569, and before these bytes is the first \
line. An array of 131072 bytes has room for all that."
believe_hint="The message comes from somebody else, so check it before you \
believe it. LENGTH is decimal digits, at most 65536, and exactly so many bytes \
must come out."
most_hint="More than 65536 bytes of input are an error. Do not pack only a part \
of it."

@test "packs its input with zlib, if zlib can be used" {
    zlib_is 1.2.13
    draw "$((RANDOM % 5000 + 1000))"
    packs zlib --hint "$pack_hint"
    HAND=("${HAND[0]}")
    text ''
    packs zlib --hint "$pack_hint"
    HAND=("${HAND[0]}")
    [[ $BUILD != *asan* ]] || return 0
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=read)
    draw 100
    packs zlib --hint "read may return fewer bytes than you asked for, and \
only 0 is the end. read_all in exercise.c reads all of them."
}

@test "packs its input as plain text if there is no zlib, and says why" {
    no_zlib
    draw "$((RANDOM % 5000 + 1000))"
    packs plain --hint "$plain_hint"
    expect_reason libz.so.1 --hint "Say why the message is plain, in a line on \
standard error: no zlib: and what dlerror returns. $at_once_hint"
}

@test "works without zlib if one of the four functions is missing" {
    local name
    draw 100
    for name in zlibVersion compressBound compress uncompress; do
        zlib_is 1.2.13 "$(rename "$name")"
        packs plain --hint "$missing_hint"
        expect_reason "$name" --hint "Say which function is missing: no zlib: \
and what dlerror returns. $at_once_hint"
    done
}

@test "does not use a zlib that is too old, and uses one that is newer" {
    local version reason_hint="Say which version it is: no zlib: and a \
sentence with what zlibVersion returns."
    draw 100
    for version in 1.2.10 1.2.9 1.1.4 0.95.12 1.1.1211; do
        [[ $version != 1.1.1211 ]] || old_hint="1.1.1211 is older than 1.2.11, \
because 1 is less than 2. A sum such as 10000 * first + 100 * second + third is \
wrong if a number is 100 or more: compare number by number."
        zlib_is "$version"
        packs plain --hint "$old_hint"
        expect_reason "$version" --hint "$reason_hint"
    done
    for version in 1.2.11 1.2.12.1-motley 1.3 1.10.1; do
        zlib_is "$version"
        packs zlib --hint "$new_hint"
    done
    for version in 2.0.1 10.3.0; do
        zlib_is "$version"
        packs plain --hint "$other_hint"
        expect_reason "$version" --hint "$reason_hint"
    done
}

@test "reports an error of compress as an error, with status 1" {
    zlib_is 1.2.13
    export ZLIB_FAILS=compress
    draw 100
    answer_reads
    expect_error --hint "zlib was found, but compress returned an error: a \
number that is not 0. Say so, and end with status 1. A plain message is only for a \
missing zlib."
}

@test "unpacks both kinds of messages, with -d" {
    local plain_hint="A plain message needs no zlib: print the bytes after its \
first line."
    zlib_is 1.2.13
    draw 5000
    cp "$INPUT" "$BATS_TEST_TMPDIR/original"
    expected plain
    cp "$WANTED" "$BATS_TEST_TMPDIR/plain"
    expected zlib
    INPUT=$WANTED
    by_hand "printf hello | LD_LIBRARY_PATH=$hand_shelf $PROGRAM >$hand_shelf/5"
    SHOWN="cat $hand_shelf/5"
    answer_reads -d
    expect_status 0 --hint "$unpack_hint"
    expect_output "$BATS_TEST_TMPDIR/original" --hint "$unpack_hint"
    no_zlib
    INPUT=$BATS_TEST_TMPDIR/plain
    SHOWN="printf 'plain 5\\nhello'"
    answer_reads -d
    expect_status 0 --hint "$plain_hint"
    expect_output "$BATS_TEST_TMPDIR/original" --hint "$plain_hint"
}

@test "refuses to unpack a zlib message if zlib cannot be used, with status 1" {
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
        answer_reads -d
        expect_error --hint "$without_hint"
        expect_reason '' --hint "Say why there is no zlib: no zlib: and the \
reason."
    done
}

@test "refuses an invalid message, with status 1" {
    local bad
    zlib_is 1.2.13
    for bad in 'plain 5\nhell' 'plain 5\nhello!' 'plain 5' 'plain \nhello' 'plain \n' \
        'plain 5x\nhello' 'plain +5\nhello' 'plain 18446744073709551621\nhello' \
        'gzip 5\nhello' ''; do
        HAND=("${HAND[0]}")
        text "$bad"
        answer_reads -d
        expect_error --hint "$believe_hint"
    done
    for bad in 'plain5\nhello' 'plain-5\nhello' 'plain  5\nhello' \
        'plain 5 \nhello' 'plain 5\0000\nhello' ' plain 5\nhello' \
        'plain\n5\nhello'; do
        HAND=("${HAND[0]}")
        text "$bad"
        answer_reads -d
        expect_error --hint "$line_hint"
    done
    for bad in 'zlib 5\nzabc' 'zlib 2\nzabc' 'zlib 65537\nzabc'; do
        HAND=("${HAND[0]}")
        text "$bad"
        answer_reads -d
        expect_error --hint "$believe_hint"
    done
    HAND=("${HAND[0]}")
    text 'zlib 3\nabc'
    answer_reads -d
    expect_error --hint "uncompress returns 0, or the number of an error. Check \
what it returns."
    # zlib itself makes at most 65569 bytes of 65536: compressBound says so.
    export ZLIB_MORE=32
    HAND=("${HAND[0]}" "head -c 65536 /dev/urandom | ZLIB_MORE=$ZLIB_MORE \
LD_LIBRARY_PATH=$hand_shelf $PROGRAM >$hand_shelf/long")
    draw 65536
    cp "$INPUT" "$BATS_TEST_TMPDIR/original"
    expected zlib
    INPUT=$WANTED
    SHOWN="cat $hand_shelf/long"
    answer_reads -d
    expect_status 0 --hint "$long_hint"
    expect_output "$BATS_TEST_TMPDIR/original" --hint "$long_hint"
}

@test "packs up to 65536 bytes, and refuses more, with status 1" {
    zlib_is 1.2.13
    draw 65536
    packs zlib --hint "65536 bytes are not too many. For them compress may need \
more room than the input has: compressBound returns how much."
    HAND=("${HAND[0]}")
    draw 65537
    answer_reads
    expect_error --hint "$most_hint"
}

@test "builds without zlib's header, and still finds zlib" {
    local source bare=$BATS_TEST_TMPDIR/bare
    # Beside it lies what the compiler said that it is made of.
    source=$(grep -om 1 '[^ ]*\.c' "$PROGRAM.d") ||
        environment "nobody knows what $PROGRAM is made of"
    sed 's/zlib\.h/no-zlib.h/' "$source" >"$bare.c"
    zlib_is 1.2.13
    by_hand "sed 's/zlib\\.h/no-zlib.h/' $source >$BUILD/bare.c; cc \
-Icommon -o $BUILD/bare $BUILD/bare.c $BUILD/common.a"
    about=
    : >"$BATS_TEST_TMPDIR/ending"
    cc -std=c17 -w -Icommon -o "$bare" "$bare.c" "$BUILD/common.a" \
        2>"$BATS_TEST_TMPDIR/err" ||
        fail "it does not build without zlib.h" --hint "zlib.h may be missing \
where your program is built: write #if __has_include(<zlib.h>), or do not \
include it. The pointers to the four functions in exercise.c need no header."
    draw 100
    PROGRAM_NOW=$bare
    packs zlib --hint "Whether zlib.h was there when the program was built \
says nothing about libz.so.1 when it runs. Call dlopen in any case."
}

@test "reports output that cannot be written, with status 1" {
    no_zlib
    draw 100
    by_hand "$SHOWN | $PROGRAM >/dev/full; echo \$?"
    LD_LIBRARY_PATH=$shelf run_answer_to /dev/full "$PROGRAM"
    expect_status 1 --hint "$output_hint"
    text 'plain 5\nhello'
    HAND=("$SHOWN | $PROGRAM -d >/dev/full; echo \$?")
    LD_LIBRARY_PATH=$shelf run_answer_to /dev/full "$PROGRAM" -d
    expect_status 1 --hint "$output_hint"
}

@test "refuses wrong arguments, with status 2" {
    answer -x
    expect_status 2 --hint "Print the usage and end with status 2, if there is \
an option that you do not know: getopt returns '?' for it."
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer -d more
    expect_status 2 --hint "$usage_hint"
}
