#!/usr/bin/env bats
# The exercise of 34-tls-hello: a fingerprint that stays the same,
# `34-tls-hello FILE...`. Each test's name is a requirement, as a learner reads
# it.

load ../lib/exercise

hellos=$BUILD/peers/hellos

# setup: no file yet, and a client that nobody has seen before.
setup() {
    FILES=()
    SEED=$((RANDOM * 32768 + RANDOM))
    NAME=server$RANDOM.example
}

# hello OPTIONS KIND: the first bytes of that client, in the next file. Its name
# is in FILES, and in FILE.
hello() {
    local -a options
    read -ra options <<<"-m $RANDOM $1"
    FILE=$BATS_TEST_TMPDIR/hello-$((${#FILES[@]} + 1))
    FILES+=("$FILE")
    "$hellos" -s "$SEED" -n "$NAME" "${options[@]}" "$2" >"$FILE" ||
        environment "$hellos does not run"
    by_hand "$hellos -s $SEED -n '$NAME' ${options[*]} $2 >$FILE"
}

# fresh: before another run in the same test.
fresh() {
    next_run
    FILES=()
    SEED=$((RANDOM * 32768 + RANDOM))
}

# read_files: the learner's program reads all files.
read_files() {
    answer "${FILES[@]}"
}

# fingerprint KIND: sets fingerprint to that of the client.
fingerprint() {
    local text
    text=$("$hellos" -s "$SEED" -t "$1" 3>&-)
    fingerprint=$(printf %s "$text" | sha256sum)
    fingerprint=${fingerprint:0:12}
    by_hand "$hellos -s $SEED -t $1"
}

# expect_hellos LINE... [--hint TEXT]: its lines, and status 0.
expect_hellos() {
    local text
    local -a arguments
    local hint=''
    take_options + "$@" || return
    expect_end --hint "$hint"
    printf -v text '%s\\n' "${arguments[@]}"
    expect_output --text "$text" --hint "$hint"
    expect_status 0 --hint "All files had a ClientHello: end with status 0."
}

# expect_names NAME... [--hint TEXT]: the names that it prints, whatever stands
# in place of the fingerprints.
expect_names() {
    local text
    local -a arguments
    local hint=''
    take_options + "$@" || return
    expect_end --hint "$hint"
    printf -v text '%s\\n' "${arguments[@]}"
    local list="$BATS_TEST_TMPDIR/the list of names"
    sed 's/^[^ ]* //' "$OUT" >"$list"
    expect_output --text "$text" --in "$list" --hint "$hint"
}

# expect_same KIND [--hint TEXT]: it prints the same line for each file: the
# fingerprint of this client, and its name.
expect_same() {
    local i
    local -a arguments lines=()
    local hint=''
    take_options 1 "$@" || return
    fingerprint "${arguments[0]}"
    for i in "${FILES[@]}"; do
        lines+=("$fingerprint $NAME")
    done
    expect_hellos "${lines[@]}" --hint "$hint"
}

# expect_report [--hint TEXT]: FILE is the second of three. It is reported, and
# the other two are read.
expect_report() {
    local hint='' lines
    local -a arguments
    take_options 0 "$@" || return
    expect_end --hint "$hint"
    lines=$(wc -l <"$OUT")
    ((lines <= 2)) || fail "it printed a line for $(shown_file), which has no \
ClientHello that can be read" --hint "$hint"
    ((lines == 2)) || fail "it did not print a line for each of the other two \
files" --hint "Go on with the next file: use warn or warnx, which print the \
reason and return. err and errx end the program."
    expect_names "$NAME" "$NAME" --hint "$hint"
    expect_stderr "*${FILE##*/}*" --hint "Say on standard error which file it \
is: warnx(\"%s: ...\", path)."
    # An empty line, or one that names no file, may belong to another reason.
    lines=$(grep -c "${FILE##*/}" "$BATS_TEST_TMPDIR/err")
    ((lines == 1)) || fail "it gave $lines reasons for $(shown_file)" --hint "A \
file has one reason: when you have given it, leave this file at once. A case of \
a switch goes on into the next case if it does not end with break or return."
    expect_status 1 --hint "Remember that a file could not be read, and end \
with status 1 when all files are done."
}

shown_file() {
    printf %s "$BUILD/${FILE##*/}"
}

# between OPTIONS KIND: three files, of which the second is of that kind.
between() {
    fresh
    hello "" sorted
    hello "$1" "$2"
    local second=$FILE
    hello "" sorted
    FILE=$second
    read_files
}

hello_hint="Read the file with fread, take the message out of it by \
hello_collect, and read that by hello_parse. Then print the fingerprint, \
which has 12 hexadecimal digits, a blank and the name."
name_hint="hello.name has bytes and a length, and no NUL behind them. Print \
each byte by itself: as tolower(byte), if that is a letter, a digit, a dot or \
a hyphen, and as ? if it is not."
no_name_hint="If hello.name.length is 0, print -."
text_hint="hellos -t prints the text of which the fingerprint is made. Print \
yours, and compare. A hyphen stands behind each number, a comma behind each \
list: first the suites, then the extensions, then the groups. All numbers are \
decimal, sorted by their value, and hello_number reads them. The fingerprint is six bytes: print each \
by %02x."
grease_hint="hello_is_grease says whether a number is one of the 16: both bytes \
are the same, and the last four bits of each are 0xa. Leave it out in all three \
lists."
near_hint="This number looks like GREASE, but is not: 0x0a1a has two different \
bytes, and 0x0b0b does not end with a. hello_is_grease knows that."
sort_hint="Copy the numbers of each list into an array, and sort it by their \
value: as text, 10 would come before 9. The comparison for qsort returns a \
negative number, 0, or a positive one. Sort all three lists."
records_hint="A record's header has five bytes: they are not a part of the \
message. hello_collect puts the message together. The file may be longer than \
the message: with records of one byte, six times as long."
behind_hint="The message ends where its own length says. Use message_length, \
and not the length of the file or of the record."
none_hint="hello_collect returns HELLO_WHOLE only if there is a ClientHello."
damaged_hint="hello_parse returns -1 if a length in the message leads outside. \
Then nothing in the struct hello has a meaning."
cut_hint="The file ends before the ClientHello does. hello_collect returns \
HELLO_UNFINISHED then."
file_hint="fopen returns NULL if it cannot open a file. It can open a folder, \
but then fread fails: ferror says so. warn prints the reason in words."

@test "prints a line for each file" {
    local -a names=()
    local i
    for i in 1 2 3; do
        NAME=server$i-$RANDOM.example
        names+=("$NAME")
        hello "" sorted
    done
    read_files
    expect_end --hint "$hello_hint"
    sed -E 's/^[0-9a-f]{12} /FINGERPRINT /' "$OUT" >"$BATS_TEST_TMPDIR/lines"
    expect_output --in "$BATS_TEST_TMPDIR/lines" --hint "$hello_hint" --text \
        "$(printf 'FINGERPRINT %s\\n' "${names[@]}")"
    expect_status 0 --hint "All files had a ClientHello: end with status 0."
}

@test "prints the name in small letters" {
    local long
    NAME=Server-$RANDOM.EXAMPLE
    hello "" sorted
    read_files
    expect_names "${NAME,,}" --hint "$name_hint"
    # A blank, a control character, an underscore, a NUL, two bytes of UTF-8.
    fresh
    NAME='a b\007c_d\000e\303\244@Z[`{/:'
    hello "" sorted
    read_files
    expect_names 'a?b?c?d?e???z?????' --hint "$name_hint"
    fresh
    printf -v long '%0250d' "$RANDOM"
    NAME=A$long.Z
    hello "" sorted
    read_files
    expect_names "a$long.z" --hint "$name_hint"
    # Longer than the name of a host can be.
    fresh
    printf -v long '%01500d' "$RANDOM"
    NAME=$long
    hello "" sorted
    read_files
    expect_names "$long" --hint "The name may be longer than that of any host. \
Print all hello.name.length bytes of it, one by one."
    fresh
    hello "" no-name
    read_files
    expect_names - --hint "$no_name_hint"
}

@test "makes the fingerprint as the text above says" {
    local first
    hello "" sorted
    read_files
    expect_same sorted --hint "$text_hint"
    # Two clients, and each has its own.
    fresh
    hello "" sorted
    fingerprint sorted
    first=$fingerprint
    SEED=$((SEED + 1))
    hello "" sorted
    fingerprint sorted
    read_files
    expect_hellos "$first $NAME" "$fingerprint $NAME" --hint "$text_hint \
Begin anew for each file."
}

@test "leaves out GREASE" {
    hello "" grease
    read_files
    expect_same grease --hint "$grease_hint"
    fresh
    hello "" near-grease
    read_files
    expect_same near-grease --hint "$near_hint"
}

@test "prints the same fingerprint when the lists are in another order" {
    hello "" shuffled
    hello "" shuffled
    hello "" plain
    hello "" shuffled
    read_files
    expect_same shuffled --hint "$sort_hint"
    # No extensions, and so no groups; a ClientHello with the most extensions.
    fresh
    NAME=-
    hello "" no-extensions
    read_files
    expect_same no-extensions --hint "A list without numbers is a comma alone."
    fresh
    NAME=full.example
    hello "" full
    read_files
    expect_same full --hint "Is there room for 128 extensions?"
    fresh
    hello "" many
    read_files
    expect_same many --hint "A list may have 1500 numbers, or more. The message \
has at most HELLO_MESSAGE_BYTES, so a list has fewer than half as many numbers. \
The text may be much longer than the message."
    fresh
    hello "" doubled
    read_files
    expect_same doubled --hint "A suite or a group comes twice in its list here: \
write it twice. Sorting does not take one of two equal numbers away."
}

@test "reads a ClientHello that is divided into several records" {
    hello "" two-records
    hello "" two-records
    hello "" late-record
    read_files
    expect_same two-records --hint "$records_hint"
    fresh
    hello "" records
    read_files
    expect_same records --hint "$records_hint"
    fresh
    hello "" full-records
    read_files
    expect_same full --hint "$records_hint"
}

@test "ignores what stands behind the ClientHello" {
    local kind
    for kind in behind behind-in-record; do
        fresh
        hello "" "$kind"
        read_files
        expect_same "$kind" --hint "$behind_hint"
    done
}

@test "reports a file without a ClientHello" {
    local kind
    for kind in http other-message other-record; do
        between "" "$kind"
        expect_report --hint "$none_hint"
    done
}

@test "reports a ClientHello that is cut or damaged" {
    local kind extra
    for kind in cut cut-end cut-end cut-end cut-header long-message; do
        between "" "$kind"
        expect_report --hint "$cut_hint"
    done
    for kind in long-{session,suites,extensions,extension} \
        long-{name,name-list,groups} odd-suites odd-groups short-body; do
        extra=1
        # A session has only one byte for its length.
        ((RANDOM % 2)) || [[ $kind == long-session ]] ||
            extra=$((20000 + RANDOM))
        between "-x $extra" "$kind"
        expect_report --hint "$damaged_hint"
    done
}

@test "reports a file that it cannot read, in the same way" {
    hello "" sorted
    FILE=$BATS_TEST_TMPDIR/nowhere
    FILES+=("$FILE")
    hello "" sorted
    FILE=$BATS_TEST_TMPDIR/nowhere
    read_files
    expect_report --hint "$file_hint"
    expect_stderr "*No such file or directory*" --hint "$file_hint"
    fresh
    hello "" sorted
    FILE=$BATS_TEST_TMPDIR/folder
    mkdir "$FILE"
    by_hand "mkdir -p $FILE"
    FILES+=("$FILE")
    hello "" sorted
    FILE=$BATS_TEST_TMPDIR/folder
    read_files
    expect_report --hint "$file_hint"
    expect_stderr "*Is a directory*" --hint "$file_hint"
}

@test "reports output that cannot be written, with status 1" {
    hello "" sorted
    by_hand "$PROGRAM $FILE >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$FILE"
    expect_end --hint "$output_hint"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses to run without arguments, with status 2" {
    answer
    expect_usage
}
