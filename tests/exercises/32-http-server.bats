#!/usr/bin/env bats
# The exercise of 32-http-server: parts of a file, `32-http-server FILE PORT`.
# Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

range=$BUILD/peers/range
FILE=$BATS_TEST_TMPDIR/32.file
BODY=$BATS_TEST_TMPDIR/32.body

setup_file() {
    trap '' PIPE # a server that has gone is no end of this shell
    head -c 9040000 /dev/urandom >"$BATS_FILE_TMPDIR/large"
}

# serves SIZE: the answer, with a file of so many bytes.
serves() {
    by_hand "head -c $1 /dev/urandom >$FILE"
    tail -c "+$((RANDOM + 1))" "$BATS_FILE_TMPDIR/large" 2>/dev/null |
        head -c "$1" >"$FILE"
    size=$1
    answer_serves "$FILE" 0 --hint "$serve_hint"
    shared=${#HAND[@]}
}

# serves_some: a file of a size that nobody has seen before.
serves_some() {
    serves $((RANDOM % 500 + 1000))
}

# asks [OPTION...] [VALUE]: a request, with the field Range if there is a VALUE.
# The head of the reply is in $OUT, the body in $BODY.
asks() {
    local -a options=()
    while [[ ${1-} == -* ]]; do
        options+=("$1")
        [[ $1 == -H ]] || { options+=("$2") && shift; }
        shift
    done
    HAND=("${HAND[@]::shared}") # what was asked before was answered well
    by_hand "$range" "${options[@]}" -o "$BODY" "$PORT" "$@"
    : >"$BODY"
    try "$range" "${options[@]}" -o "$BODY" "$PORT" "$@"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_reply STATUS [--hint TEXT]: the reply has this status, and a body as
# long as it says.
expect_reply() {
    ((status != 124)) || fail "a client waits for a reply, and it does not come" \
        --hint "${3-}"
    ((status == 0)) || fail "a client did not get a whole reply" \
        ${errors:+--show "It said: $errors"} "${@:2}"
    [[ $(head -n 1 "$OUT") == "HTTP/1.1 $1 "* ]] ||
        fail "the reply does not have the status $1" \
            --show "     Got: $(head -n 1 "$OUT")" "${@:2}"
}

# expect_field LINE [--hint TEXT]: such a line is in the head of the reply.
expect_field() {
    grep -qiFx -- "$1" "$OUT" || fail "the reply has no field $1" \
        --show "$(sed '/^$/d; s/^/     Got: /' "$OUT")" "${@:2}"
}

# expect_bytes FIRST COUNT [--hint TEXT]: these bytes of the file are the body.
# (busybox's tail knows no number of more than 32 bits.)
expect_bytes() {
    dd if="$FILE" iflag=skip_bytes skip="$1" bs=64k 2>/dev/null | head -c "$2" \
        >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted" --in "$BODY" "${@:3}"
}

# expect_part VALUE FIRST LAST [--hint TEXT]: that is what comes for VALUE.
expect_part() {
    asks "$1"
    expect_reply 206 "${@:4}"
    expect_field "Content-Range: bytes $2-$3/$size" "${@:4}"
    expect_bytes "$2" $(($3 - $2 + 1)) "${@:4}"
}

# expect_whole [--hint TEXT]: the last reply has the whole file.
expect_whole() {
    expect_reply 200 "$@"
    expect_bytes 0 "$size" "$@"
    ! grep -qi '^Content-Range:' "$OUT" ||
        fail "a reply with the whole file has the field Content-Range" "$@"
}

# expect_no_part VALUE [--hint TEXT]: the file has no such bytes.
expect_no_part() {
    asks "$1"
    expect_reply 416 "${@:2}"
    expect_field "Content-Range: bytes */$size" "${@:2}"
}

serve_hint="The starter opens the file and listens: leave that as it is."
accept_hint="Add the line Accept-Ranges: bytes to the head of the reply, with \
CR LF at its end."
part_hint="The part from 2 to 4 has three bytes: the last one belongs to it. \
Content-Length is the length of the part, and the length of the file stands \
behind the slash of Content-Range."
open_hint="When nothing stands behind the hyphen, the part ends with the last \
byte of the file."
last_hint="In bytes=-100 there is no first byte: 100 is how many bytes the \
client wants of the end. If the file has fewer, it gets all of them."
many_last_hint="A number of bytes may have more digits than fit into 64 bits. It \
is larger than any file then, so send the whole file, with the status 206."
beyond_hint="If the last byte is beyond the end of the file, the part ends \
with the file. Look before each digit whether the number becomes too large, and \
take the largest number then."
none_hint="If the first byte is not in the file, the status is 416, and the \
field is Content-Range: bytes */ with the length of the file. bytes=-0 asks for \
the last 0 bytes: there is no such part either."
ignore_hint="A Range that you do not understand does not count: send the whole \
file. Look at what stands before, between and behind the two numbers."
condition_hint="If-Range has the ETag of the file whose part the client has. \
Compare all of it, with its quotes, with the ETag of the file, byte for byte: \
http_text_is does not look at the case. If they differ, send the whole file."
condition_first_hint="Look at If-Range before the range. If the ETag differs, \
the range counts for nothing, even if there are no such bytes: send the whole \
file, and no 416."
head_hint="A range is for GET only. The reply to HEAD has the head that GET \
without a range would get, and no body."
large_hint="Numbers of bytes do not fit into an int: use uint64_t for all of \
them, and off_t with pread. Read from the first byte of the part."
silent_hint="The starter has a thread for each client. If you use a variable \
of all threads, or a lock, while you send, others have to wait."

@test "sends the whole file when there is no Range" {
    serves_some
    asks
    expect_whole --hint "Without a field Range, send the whole file, as the \
starter does."
    expect_field "Accept-Ranges: bytes" --hint "$accept_hint"
    expect_field "Content-Length: $size" --hint "$accept_hint"
}

@test "sends a part from one byte to another" {
    local first last
    serves_some
    expect_part bytes=2-4 2 4 --hint "$part_hint"
    first=$((RANDOM % 400 + 10))
    last=$((first + RANDOM % 400))
    expect_part "bytes=$first-$last" "$first" "$last" --hint "$part_hint"
    expect_part bytes=0-0 0 0 --hint "$part_hint"
    expect_part "bytes=0-$((size - 1))" 0 $((size - 1)) --hint "$part_hint"
    expect_field "Accept-Ranges: bytes" --hint "$accept_hint"
}

@test "sends a part up to the end" {
    serves_some
    expect_part bytes=900- 900 $((size - 1)) --hint "$open_hint"
    expect_part "bytes=$((size - 1))-" $((size - 1)) $((size - 1)) \
        --hint "$open_hint"
    expect_part bytes=0- 0 $((size - 1)) --hint "$open_hint"
}

@test "sends the last bytes" {
    serves_some
    expect_part bytes=-100 $((size - 100)) $((size - 1)) --hint "$last_hint"
    expect_part bytes=-1 $((size - 1)) $((size - 1)) --hint "$last_hint"
    expect_part "bytes=-$size" 0 $((size - 1)) --hint "$last_hint"
    expect_part bytes=-5000 0 $((size - 1)) --hint "$last_hint"
}

@test "ends a part at the end of the file" {
    serves_some
    expect_part bytes=900-5000 900 $((size - 1)) --hint "$beyond_hint"
    expect_part "bytes=900-$size" 900 $((size - 1)) --hint "$beyond_hint"
    expect_part bytes=900-18446744073709551620 900 $((size - 1)) \
        --hint "$beyond_hint"
    expect_part bytes=900-99999999999999999999999999999999 900 $((size - 1)) \
        --hint "$beyond_hint"
    # As numbers of 64 bits, these two would be 4, and less than the size.
    expect_part bytes=-18446744073709551620 0 $((size - 1)) \
        --hint "$many_last_hint"
    expect_part bytes=-36893488147419103236 0 $((size - 1)) \
        --hint "$many_last_hint"
}

@test "says that there is no such part, with the status 416, when the first byte is not in the file" {
    serves_some
    expect_no_part bytes=5000- --hint "$none_hint"
    expect_no_part "bytes=$size-" --hint "$none_hint"
    expect_no_part "bytes=$size-$((size + 5))" --hint "$none_hint"
    expect_no_part bytes=-0 --hint "$none_hint"
    expect_no_part bytes=18446744073709551620- --hint "$none_hint"
    expect_no_part bytes=99999999999999999999999999999999- --hint "$none_hint"
    expect_no_part bytes=18446744073709551620-18446744073709551630 \
        --hint "$none_hint"
    # An empty file has no byte at all.
    next_run
    serves 0
    expect_no_part bytes=0- --hint "$none_hint"
    expect_no_part bytes=0-5 --hint "$none_hint"
    expect_no_part bytes=-5 --hint "$none_hint"
    expect_no_part bytes=-0 --hint "$none_hint"
}

@test "sends the whole file when it does not understand the Range" {
    local value
    serves_some
    for value in lines=1-2 bytes=5-2 bytes=5-4 bytes=a-b bytes=2-4x \
        bytes=x2-4 bytes=2 bytes= bytes=- 2-4 bytes=+2-4 bytes=2-+4 bytes=--4 \
        bytes=0-1,5-6 'bytes=0-1, 5-6' bytes=-2,0-1 bytes=2000-3000,0-1; do
        asks "$value"
        expect_whole --hint "$ignore_hint"
    done
    asks "bytes=$((size + 50))-$((size + 20))"
    expect_whole --hint "Look whether the last byte is before the first one \
before you look at the size of the file: such a Range is not understood, and so \
the status is not 416."
}

@test "looks at If-Range" {
    local etag value
    serves_some
    asks
    etag=$(sed -n 's/^ETag: *//Ip' "$OUT")
    asks -e "$etag" bytes=2-4
    expect_reply 206 --hint "$condition_hint"
    expect_bytes 2 3 --hint "$condition_hint"
    asks -e "$etag" "bytes=$size-"
    expect_reply 416 --hint "If-Range has the ETag of this file, so the range \
counts: the file has no such bytes."
    for value in '"other"' "W/$etag" "${etag%\"}" "${etag//\"/}" "${etag}x" \
        "\"x${etag:2}" "${etag~~}" 'Sun, 06 Nov 1994 08:49:37 GMT' '' '*' \
        "\"other\", $etag" "$etag, \"other\""; do
        [[ $value != "$etag" ]] || continue # it has no letters
        asks -e "$value" bytes=2-4
        expect_whole --hint "$condition_hint"
    done
    # The client's part is of another file: whether this file has such bytes does
    # not matter.
    asks -e '"other"' "bytes=$size-"
    expect_whole --hint "$condition_first_hint"
    asks -e '"other"' bytes=-0
    expect_whole --hint "$condition_first_hint"
    # The file has changed.
    by_hand "echo more >>$FILE"
    shared=${#HAND[@]}
    echo more >>"$FILE"
    size=$((size + 5))
    asks -e "$etag" bytes=2-4
    expect_whole --hint "$condition_hint"
    # Without a range the field has no meaning.
    asks -e "$etag"
    expect_whole --hint "$condition_hint"
}

@test "ignores Range in a HEAD request" {
    serves_some
    asks -H bytes=2-4
    expect_reply 200 --hint "$head_hint"
    expect_field "Content-Length: $size" --hint "$head_hint"
    asks -H bytes=-2
    expect_reply 200 --hint "$head_hint"
    expect_field "Content-Length: $size" --hint "$head_hint"
    asks -H bytes=5000-
    expect_reply 200 --hint "$head_hint"
}

@test "sends a large part of a large file, byte for byte" {
    serves 6000000
    expect_part bytes=1000000-4999999 1000000 4999999 --hint "$large_hint"
    expect_part bytes=-3000000 3000000 5999999 --hint "$large_hint"
    next_run
    by_hand "truncate -s 5G $FILE && echo hello $RANDOM >>$FILE"
    (ulimit -Sf unlimited && truncate -s 5G "$FILE" &&
        echo "hello $RANDOM" >>"$FILE") 2>/dev/null ||
        environment "no file of 5 GiB can be made in $BATS_TEST_TMPDIR"
    answer_serves "$FILE" 0 --hint "$serve_hint"
    shared=${#HAND[@]}
    size=$(stat -c %s "$FILE")
    expect_part bytes=5368709115-5368709123 5368709115 5368709123 \
        --hint "$large_hint"
    expect_part bytes=-9 $((size - 9)) $((size - 1)) --hint "$large_hint"
    asks -H
    expect_reply 200 --hint "$large_hint"
    expect_field "Content-Length: $size" --hint "$large_hint"
}

@test "serves others while a client takes nothing" {
    local i client
    serves 9000000
    by_hand "exec 7<>/dev/tcp/127.0.0.1/$PORT"
    by_hand "printf 'GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n' >&7"
    shared=${#HAND[@]}
    for i in 1 2 3; do
        exec {client}<>"/dev/tcp/127.0.0.1/$PORT" ||
            fail "nobody answers" --hint "$serve_hint"
        printf 'GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n' >&"$client"
    done
    pause
    expect_part bytes=2-4 2 4 --hint "$silent_hint"
}
