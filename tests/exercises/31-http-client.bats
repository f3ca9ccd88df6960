#!/usr/bin/env bats
# The exercise of 31-http-client: a download that goes on where it was cut,
# `31-http-client [-t SECONDS] HOST PORT PATH FILE`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

resume=$BUILD/peers/resume
FILE=$BATS_TEST_TMPDIR/31.file

# draw: chooses what a server is called with: a seed, a size, and where to cut.
draw() {
    seed=$((RANDOM * 32768 + RANDOM + 2))
    size=$((RANDOM % 500 + 900))
    cut=$((RANDOM % 300 + 100))
    etag="\"$RANDOM\""
    options=(-s "$seed" -n "$size" -k "$cut" -e "$etag")
    PAYLOAD=$BATS_TEST_TMPDIR/payload
}

# serve OPTION...: a server with a file that nobody has seen before; it cuts the
# first download, unless an OPTION says something else. Sets PORT. The bytes of
# its file are in $PAYLOAD.
serve() {
    "$resume" "${options[@]}" "$@" payload >"$PAYLOAD" ||
        environment "$resume does not run"
    start_server peer "$resume" "${options[@]}" "$@" 0 ||
        environment "$resume cannot listen on 127.0.0.1"
    by_hand "$resume" "${options[@]}" "$@" "$PORT"
    by_hand "rm -f $FILE $FILE.part $FILE.etag"
    by_hand "$(printf '%q ' "$resume" "${options[@]}" "$@")payload >$PAYLOAD"
    rm -f "$FILE" "$FILE.part" "$FILE.etag"
}

# serve_anew OPTION...: forgets the server before, and draws another one.
serve_anew() {
    next_run
    draw
    serve "$@"
}

# have COUNT [ETAG]: the first COUNT bytes of the file are there, with this
# ETag; that of the file if it is missing.
have() {
    local kept=${2-$etag}
    head -c "$1" "$PAYLOAD" >"$FILE.part"
    printf '%s\n' "$kept" >"$FILE.etag"
    by_hand "head -c $1 $PAYLOAD >$FILE.part"
    by_hand "printf '%s\n' '$kept' >$FILE.etag"
}

# fetch [OPTION...]: the answer downloads the file. By hand one then looks what
# there is.
fetch() {
    answer "$@" 127.0.0.1 "$PORT" /file "$FILE"
    by_hand "cmp $PAYLOAD $FILE; cmp $PAYLOAD $FILE.part; cat $FILE.etag"
}

# request N: prints the head of the Nth request.
request() {
    awk -v RS= -v n="$1" 'NR == 1 { sub(/^listening[^\n]*\n/, "") }
        NR == n' "$BATS_TEST_TMPDIR/peer.out"
}

# has_line N PATTERN: the Nth request has such a line.
has_line() {
    request "$1" | grep -qixE -- "$2"
}

has_no_line() {
    ! has_line "$@"
}

# expect_request N PATTERN HINT: the Nth request has a line like this.
expect_request() {
    soon has_line "$1" "$2" ||
        fail "its request has no line like: $2" --show "$(show_request "$1")" \
            --hint "$3"
}

expect_no_range() {
    has_no_line "$1" 'range:.*' ||
        fail "its request has a field Range" --show "$(show_request "$1")" \
            --hint "$2"
}

show_request() {
    request "$1" | sed 's/^/     Got: /'
}

# expect_whole [--hint TEXT]: FILE is whole, and nothing else is left.
expect_whole() {
    expect_end --hint "$end_hint"
    expect_status 0 "$@"
    expect_true "there is no FILE" "$@" -- test -e "$FILE"
    expect_output "$PAYLOAD" --in "$FILE" "$@"
    expect_true "FILE.part is still there" --hint "$left_hint" \
        -- test ! -e "$FILE.part"
    expect_true "FILE.etag is still there" --hint "$left_hint" \
        -- test ! -e "$FILE.etag"
}

# expect_part COUNT [--hint TEXT]: FILE.part has the first bytes of the file.
expect_part() {
    head -c "$1" "$PAYLOAD" >"$BATS_TEST_TMPDIR/wanted"
    expect_true "there is no FILE.part" "${@:2}" -- test -e "$FILE.part"
    expect_output "$BATS_TEST_TMPDIR/wanted" --in "$FILE.part" "${@:2}"
}

# not_in TEXT FILE: FILE, if there is one, does not have this text.
not_in() {
    ! grep -qF -e "$1" "$2" 2>/dev/null
}

left_hint="When the download is whole, rename FILE.part to FILE, and delete \
FILE.etag with unlink."
host_hint="In HTTP/1.1, a request is a line such as GET /file HTTP/1.1, then a \
line Host: HOST:PORT, then an empty line. Each line ends with \\r\\n."
body_hint="The first bytes of the body may have come together with the head. \
Write them first: they begin behind the empty line."
end_reset_hint="A body without a length ends where recv returns 0. When recv \
returns -1, the body has not ended: it is cut."
cut_hint="Count the bytes of the body. If the connection ends before there are \
as many as Content-Length says, or before the chunk of size 0, it is a cut: \
status 1."
keep_hint="At every error, what has come has to be in FILE.part: call fflush \
or fclose before the end, also when the body is cut."
range_hint="Before the request, look how long FILE.part is, and read \
FILE.etag. For a part of 400 bytes send Range: bytes=400- and If-Range: with \
the ETag, as it stands in the file, with its quotes."
append_hint="Open FILE.part for appending (fopen with a, or O_APPEND) when the \
status is 206, and write nothing twice."
content_range_hint="Read all three numbers of Content-Range: the first must be \
the length of the part, and the second one less than the third."
anew_hint="At a 200 the body is the whole file: open FILE.part with w, so that \
the old bytes are thrown away."
weak_hint="Keep an ETag only if it begins with a quote. Delete FILE.etag if \
the new reply has none, or a weak one: without an ETag, ask for the whole file."

@test "downloads a file" {
    draw
    serve -c 0
    fetch
    expect_whole --hint "$body_hint"
    expect_request 1 'get /file http/1\.1' "$host_hint"
    expect_request 1 'host: *127\.0\.0\.1:[0-9]+' "$host_hint"
    expect_no_range 1 "Without FILE.part and FILE.etag, ask for the whole file."
}

# bats test_tags=waits
@test "reads a body with a Content-Length, one in chunks, and one that ends with the connection" {
    local face hint="The size of a chunk is in hexadecimal digits, and its line \
ends with CR LF. Behind its bytes there is another CR LF. http_chunks_read can \
read all that."
    for face in length chunks end; do
        serve_anew -c 0 -f "$face"
        fetch
        expect_whole --hint "$hint"
    done
    # A few bytes at a time, and with another head before that of the reply.
    for face in dribble busy; do
        serve_anew -c 0 -f "$face"
        fetch
        expect_whole --hint "A head may come in many pieces: receive until \
there is an empty line. A head with a status from 100 to 199 is not the reply \
yet: read another one."
    done
}

@test "reports a body that is cut, with status 1" {
    local face
    for face in length chunks reset end-reset; do
        [[ $face != end-reset ]] || cut_hint=$end_reset_hint
        serve_anew -f "$face"
        echo old >"$FILE"
        by_hand "echo old >$FILE"
        fetch
        expect_end --hint "$end_hint"
        expect_status 1 --hint "$cut_hint"
        expect_output --text 'old\n' --in "$FILE" --hint "Write to FILE.part \
only. FILE gets its bytes by rename, when all have come."
        expect_part "$cut" --hint "$keep_hint"
        expect_true "it said nothing on standard error" --hint "$cut_hint" \
            -- test -n "$errors"
        expect_true "FILE.etag does not have the ETag" --hint "Write the ETag \
into FILE.etag before the first byte of the body: as one line, with its quotes." \
            -- is_text "$etag\n" "$FILE.etag"
    done
}

@test "asks for the rest when there is a part and an ETag" {
    draw
    serve -c 0
    have "$cut"
    fetch
    expect_end --hint "$end_hint"
    expect_request 1 "range: *bytes=$cut-" "$range_hint"
    expect_request 1 "if-range: *$etag" "$range_hint"
}

@test "appends the body of a 206 to the part" {
    local face
    for face in length chunks end; do
        serve_anew -c 0 -f "$face"
        have "$cut"
        fetch
        expect_whole --hint "$append_hint"
    done
    # This body ends with the connection, and too early.
    serve_anew -k 50 -f end
    have "$cut"
    fetch
    expect_status 1 --hint "When the body of a 206 has ended, compare the \
length of the part with the third number of Content-Range. If it is less, the \
body was cut."
    expect_true "there is a FILE that is not whole" --hint "When the body of a \
206 has ended, compare the length of the part with the third number of \
Content-Range." -- test ! -e "$FILE"
    expect_part $((cut + 50)) --hint "$keep_hint"
}

@test "looks at the Content-Range of a 206" {
    local face
    for face in early late short bare; do
        serve_anew -c 0 -f "$face"
        have "$cut"
        fetch
        expect_end --hint "$end_hint"
        expect_status 1 --hint "$content_range_hint"
        expect_part "$cut" --hint "Look at Content-Range before you write: if \
it is wrong, the part stays as it was."
        expect_true "there is a FILE" --hint "$content_range_hint" \
            -- test ! -e "$FILE"
    done
}

@test "begins anew at a 200" {
    serve_anew -c 0
    have "$cut" '"old"'
    printf 'other' | dd of="$FILE.part" conv=notrunc 2>/dev/null
    by_hand "printf other | dd of=$FILE.part conv=notrunc"
    fetch
    expect_whole --hint "$anew_hint"
    # The server knows no ranges; and it cuts again.
    serve_anew -f ignore
    have $((cut + 70)) '"old"'
    fetch
    expect_status 1 --hint "$cut_hint"
    expect_part "$cut" --hint "$anew_hint"
    expect_true "FILE.etag does not have the new ETag" --hint "A 200 is \
another file, with another ETag: write that into FILE.etag." \
        -- is_text "$etag\n" "$FILE.etag"
}

@test "turns the part into FILE if a 416 says that the file is as long as the part" {
    draw
    serve -c 0
    have "$size"
    fetch
    local hint="At a 416 with Content-Range: bytes */N, where N is the length of \
the part, you have had it all: rename FILE.part to FILE."
    expect_whole --hint "$hint"
    expect_true "it has asked for the whole file once more" --hint "$hint" \
        -- test -z "$(request 2)"
}

@test "begins anew at any other 416" {
    local hint="At a 416 with another length, your part is of no use: ask once \
more over a new connection, without Range and If-Range, and write the part anew."
    draw
    serve -c 0
    have "$size"
    head -c $((RANDOM % 90 + 10)) /dev/urandom >>"$FILE.part"
    by_hand "echo too much >>$FILE.part"
    fetch
    expect_end --hint "$hint"
    expect_whole --hint "$hint"
    expect_request 2 'get /file http/1\.1' "$hint"
    expect_no_range 2 "$hint"
}

@test "keeps the part when the server fails" {
    local face hint="At any status but 200, 206 and 416, and at no reply, \
write nothing: say what the server has said, and end with status 1. Open the \
part only when you know what the body is."
    for face in fail absent silent; do
        serve_anew -c 0 -f "$face"
        have "$cut"
        fetch
        expect_end --hint "$hint"
        expect_status 1 --hint "$hint"
        expect_part "$cut" --hint "$hint"
        expect_true "FILE.etag has changed" --hint "$hint" \
            -- is_text "$etag\n" "$FILE.etag"
        expect_true "there is a FILE" --hint "$hint" -- test ! -e "$FILE"
        expect_true "it said nothing on standard error" --hint "$hint" \
            -- test -n "$errors"
    done
}

@test "does not keep a weak ETag" {
    local weak
    for weak in 'W/"5"' ''; do
        serve_anew -c 1 -e "$weak"
        have 20 '"old"'
        fetch
        expect_status 1 --hint "$cut_hint"
        expect_part "$cut" --hint "$anew_hint"
        expect_true "it has kept the weak ETag in FILE.etag" --hint "$weak_hint" \
            -- not_in W/ "$FILE.etag"
        fetch
        expect_no_range 2 "$weak_hint"
        expect_whole --hint "$weak_hint"
    done
}

@test "can be cut again and again" {
    local -i runs=0
    draw
    serve -c 4 -k 150
    while ((runs < 4)); do
        runs+=1
        fetch
        expect_end --hint "$end_hint"
        expect_status 1 --hint "$cut_hint"
        expect_part $((runs * 150)) --hint "Each run goes on where the last one \
ended: the new bytes belong behind all that are in FILE.part. Do not delete \
FILE.etag at a 206."
    done
    fetch
    expect_whole --hint "$append_hint"
    expect_request 5 'range: *bytes=600-' "$range_hint"
    serve_anew -c 1 -f tagless
    have 150
    fetch
    expect_end --hint "$end_hint"
    expect_status 1 --hint "$cut_hint"
    expect_true "a 206 had no ETag, and FILE.etag has changed" --hint "A 206 need \
not have an ETag. Write or delete FILE.etag only at a 200." \
        -- is_text "$etag\n" "$FILE.etag"
}

# bats test_tags=waits
@test "waits at most SECONDS for the server to send something" {
    local hint="Give each wait for the server the time that -t says, from its \
own beginning. deadline_recv with deadline_after does that."
    draw
    serve -f stall
    fetch -t 0.2
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_part "$cut" --hint "$keep_hint"
    serve_anew -f end-stall
    fetch -t 0.2
    expect_end --hint "$hint"
    expect_status 1 --hint "$end_reset_hint"
    # The whole download takes longer than that, but no wait does.
    serve_anew -c 0 -f dribble -n 1800
    fetch -t 0.2
    expect_whole --hint "The time is for each wait, and not for the whole \
download. While bytes come, go on."
}

@test "reports a file that it cannot write, with status 1" {
    local hint="fopen, fwrite, fflush, fclose and rename tell you when they \
fail. Check each, and print strerror(errno), as err and warn do."
    draw
    serve -c 0
    answer 127.0.0.1 "$PORT" /file "$FILE.no/such"
    expect_status 1 --hint "$hint"
    expect_stderr "*No such file or directory*" --hint "$hint"
    # The shell lets no file become larger than 1 KiB.
    serve_anew -c 0 -n 5000
    by_hand "(trap '' XFSZ; ulimit -f 1; $PROGRAM 127.0.0.1 $PORT /file $FILE)"
    run_answer bash -c 'trap "" XFSZ; ulimit -f 1; exec "$@"' - \
        "$PROGRAM" 127.0.0.1 "$PORT" /file "$FILE"
    expect_end --hint "$hint"
    expect_status 1 --hint "$hint"
    expect_stderr "*File too large*" --hint "$hint"
    expect_true "there is a FILE" --hint "$hint" -- test ! -e "$FILE"
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 127.0.0.1 8031 /file
    expect_usage
    answer 127.0.0.1 8031 /file "$FILE" more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local bad
    draw
    serve -c 0
    for bad in 0 "${PORT}x" $((PORT + 65536)) -1 ''; do
        HAND=("${HAND[0]}")
        answer -- 127.0.0.1 "$bad" /file "$FILE"
        expect_end --hint "$port_hint"
        expect_status 1 --hint "$port_hint"
        expect_true "there is a FILE" --hint "$port_hint" -- test ! -e "$FILE"
    done
}
