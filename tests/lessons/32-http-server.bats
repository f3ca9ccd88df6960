#!/usr/bin/env bats
# 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT: a web server.

load ../lib/common
load ../lib/browser

server=$BUILD/32-http-server
range=$BUILD/peers/range
talk=$BUILD/peers/talk
rude=$BUILD/peers/rude
site=$BATS_TEST_TMPDIR/site
body=$BATS_TEST_TMPDIR/body
heard=$BATS_TEST_TMPDIR/heard
OUT=$BATS_TEST_TMPDIR/out

# make_site: a folder with all kinds of things in it, and a secret beside it.
make_site() {
    mkdir -p "$site/folder/deep" "$site/indexed" "$site/.git"
    echo secret >"$BATS_TEST_TMPDIR/secret"
    echo hello >"$site/hello.txt"
    printf '0123456789' >"$site/ten"
    echo '<p>start</p>' >"$site/indexed/index.html"
    echo deep >"$site/folder/deep/file"
    echo hidden >"$site/.hidden"
    echo hidden >"$site/.git/config"
    echo 'a blank' >"$site/a blank"
    : >"$site/empty"
    head -c 1024 /dev/zero >"$site/1k"
    head -c 300000 /dev/urandom >"$site/large"
    ln -s hello.txt "$site/link-inside"
    ln -s ../ten "$site/folder/link-up-inside"
    ln -s folder "$site/link-folder"
    ln -s ../secret "$site/link-outside"
    ln -s "$BATS_TEST_TMPDIR/secret" "$site/link-absolute"
    ln -s .. "$site/link-parent"
    ln -s / "$site/link-root"
    ln -s /proc/self/root "$site/link-magic"
    ln -s round-two "$site/round-one"
    ln -s round-one "$site/round-two"
    mkfifo "$site/pipe"
}

# serve [OPTION...]: the server on a port of its own, behind faulty, if set.
serve() {
    start_server server "${faulty[@]}" "$server" "$@" "$site" 0
    server_pid=$(pid_of server)
}

# say TEXT: sends it, with printf's escapes, and then ends its half. All that
# comes back is in $heard.
say() {
    printf '%b' "$1" >"$BATS_TEST_TMPDIR/said"
    try_with "$BATS_TEST_TMPDIR/said" "$heard" "$talk" "$PORT"
}

# ask TEXT: the same for a request after which the server closes: then bash can
# be the client itself, and need not end its half. What comes is in $reply.
ask() {
    local connection
    exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
    printf '%b' "$1" >"$BATS_TEST_TMPDIR/said"
    cat "$BATS_TEST_TMPDIR/said" >&"$connection" # by one write
    IFS= read -rd '' -t 10 reply <&"$connection" || (($? == 1))
    exec {connection}>&-
}

# count TEXT: how often TEXT came.
count() {
    grep -aoF -- "$1" "$heard" | wc -l
}

# What a status is called: RFC 9110, section 15.
declare -gA reason=([200]="OK" [206]="Partial Content" [301]="Moved Permanently"
    [304]="Not Modified" [404]="Not Found" [405]="Method Not Allowed"
    [412]="Precondition Failed" [416]="Range Not Satisfiable")

# get STATUS [OPTION...] PATH [RANGE]: asks for a path. The head of the reply is
# in $OUT, the body in $body.
get() {
    local wanted="$1 ${reason[$1]-}"
    local -a options=()
    shift
    while [[ $1 == -* ]]; do
        options+=("$1")
        [[ $1 == -H ]] || { options+=("$2") && shift; }
        shift
    done
    : >"$body"
    try "$range" "${options[@]}" -o "$body" -p "$1" "$PORT" "${@:2}"
    expect_result 0 ""
    [[ $(head -n 1 "$OUT") == "HTTP/1.1 $wanted"* ]] || {
        echo "$1 gets $(head -n 1 "$OUT")" >&2
        return 1
    }
}

has_field() {
    grep -qx -- "$1" "$OUT"
}

field() {
    sed -n "s/^$1: //p" "$OUT"
}

is_body() {
    expect_output --text "$1" --in "$body"
}

# log COUNT: waits for so many lines behind the first one, and prints them.
log() {
    until_true has_lines "$(($1 + 1))"
    tail -n +2 "$BATS_TEST_TMPDIR/server.out"
}

has_lines() {
    (($(wc -l <"$BATS_TEST_TMPDIR/server.out") >= $1))
}

# is_well: it still serves others.
is_well() {
    get 200 /hello.txt
    is_body 'hello\n'
}

said_nothing() {
    expect_equal "standard error" "" "$(<"$BATS_TEST_TMPDIR/server.err")"
}

# ---- files -------------------------------------------------------------------

@test "32-http-server serves files, with types, lengths and dates" {
    local root
    make_site
    serve
    get 200 /hello.txt
    is_body 'hello\n'
    has_field 'Content-Type: text/plain; charset=utf-8'
    has_field 'Content-Length: 6'
    has_field 'Accept-Ranges: bytes'
    touch -d '2024-05-05 05:05:05.000001 UTC' "$site/hello.txt"
    get 200 /hello.txt
    has_field 'ETag: "66371381-000003e8-6"'
    [[ $(date -u -d "$(field Last-Modified)" +%s) == $(stat -c %Y "$site/hello.txt") ]]
    (($(date -u +%s) - $(date -u -d "$(field Date)" +%s) <= 2))
    get 200 /ten
    has_field 'Content-Type: application/octet-stream'
    get 200 /empty
    is_body ''
    get 200 /a%20blank
    is_body 'a blank\n'
    cp "$site/ten" "$site/ten.XYZ"
    get 200 /ten.XYZ
    has_field 'Content-Type: application/octet-stream'
    cp "$site/ten" "$site/ten.HTM"
    get 200 /ten.HTM
    has_field 'Content-Type: text/html; charset=utf-8'
    get 200 /%68%65ll%6f.t%78%74
    get 200 /hell%6F.txt
    get 200 /%68%65llo.txt?a=b
    is_body 'hello\n'
    get 200 //folder//deep/file
    is_body 'deep\n'
    get 200 /large
    cmp "$site/large" "$body"
    get 200 http://example.org/hello.txt
    is_body 'hello\n'
    get 200 HTTPS://example.org/hello.txt
    is_body 'hello\n'
    for root in http://example.org http://example.org?a=b; do
        get 200 "$root"
        grep -q '^<title>/</title>$' "$body"
    done
    get 404 /nothing
    is_body '404 Not Found\n'
    get 404 /hello.txt/
    say 'POST /ten HTTP/1.1\r\nHost: a\r\n\r\n'
    grep -qax $'Allow: GET, HEAD\r' "$heard"
    get 200 -H /hello.txt
    has_field 'Content-Length: 6'
    is_body ''
    said_nothing
}

@test "32-http-server follows links that stay inside" {
    make_site
    serve
    get 200 /link-inside
    is_body 'hello\n'
    get 200 /folder/link-up-inside
    is_body '0123456789'
    get 200 /link-folder/deep/file
    is_body 'deep\n'
}

@test "32-http-server opens the index of a folder, or lists it" {
    local before
    make_site
    touch "$site/folder/<b>&\"'" "$site/folder/100%"
    serve
    get 200 /indexed/
    is_body '<p>start</p>\n'
    has_field 'Content-Type: text/html; charset=utf-8'
    get 301 /folder
    has_field 'Location: /folder/'
    get 301 /folder?a=b
    has_field 'Location: /folder/?a=b'
    get 301 //folder
    has_field 'Location: /folder/'
    get 200 /folder/
    expect_equal "first lines" '<!DOCTYPE html>
<meta charset="utf-8">
<title>/folder/</title>' "$(head -n 3 "$body")"
    grep -qF '<a href="deep/">deep/</a>' "$body"
    grep -qF '<a href="100%25">100%</a>' "$body"
    grep -qF "<a href=\"%3Cb%3E%26%22%27\">&lt;b&gt;&amp;&quot;'</a>" "$body"
    get 200 /
    grep -qF 'hello.txt' "$body"
    run ! grep -F hidden "$body"
    run ! grep -F .git "$body"
    # A folder is no index either. Nothing stays open.
    mkdir -p "$site/odd/index.html"
    before=$(descriptors "$server_pid")
    get 200 /odd/
    grep -qF '<a href="index.html/">' "$body"
    get 301 /odd
    get 200 /indexed/
    until_true holds_descriptors "$server_pid" "$before"
    # An index may be a link that stays inside the root.
    mkdir "$site/linked"
    ln -s ../indexed/index.html "$site/linked/index.html"
    get 200 /linked/
    is_body '<p>start</p>\n'
    # If there is an index, but it leads out of the root, there is no list.
    ln -s ../../secret "$site/folder/index.html"
    get 404 /folder/
    run ! grep -F 'secret' "$body"
}

@test "32-http-server serves others while one client asks for many lists" {
    local i
    make_site
    mkdir "$site/full"
    touch "$site/full/"{1..2000}
    serve
    for i in {1..300}; do
        printf 'HEAD /full/ HTTP/1.1\r\nHost: a\r\n\r\n'
    done >"$BATS_TEST_TMPDIR/said"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    cat "$BATS_TEST_TMPDIR/said" >&7
    get 200 /ten
    log 301 >"$BATS_TEST_TMPDIR/lines"
    expect_equal lists 300 "$(grep -c '"HEAD /full/ HTTP/1.1" 200' "$BATS_TEST_TMPDIR/lines")"
    # The other client's line does not stand behind all of them.
    run ! grep -q '"GET /ten' <(tail -n 1 "$BATS_TEST_TMPDIR/lines")
}

@test "32-http-server sends ranges" {
    make_site
    serve
    local line
    while read -r line; do
        get 206 /ten "${line%% *}"
        is_body "${line##* }"
        has_field "Content-Range: bytes $(cut -d ' ' -f 2 <<<"$line")/10"
    done <<'END'
bytes=0-0 0-0 0
bytes=2-4 2-4 234
bytes=9- 9-9 9
bytes=0- 0-9 0123456789
bytes=-3 7-9 789
bytes=-100 0-9 0123456789
bytes=8-100 8-9 89
bytes=5-99999999999999999999999999 5-9 56789
Bytes=0-1 0-1 01
END
    for line in bytes=10- bytes=-0 bytes=99999999999999999999999999-; do
        get 416 /ten "$line"
        has_field 'Content-Range: bytes \*/10'
        is_body ''
    done
    for line in bytes=5-2 bytes=a-b lines=1-2 bytes=0-1,5-6 bytes= bytes=- \
        bytes=1 'bytes=1 -2' bytes=+1-2 bytes=1-2x; do
        get 200 /ten "$line"
        is_body '0123456789'
    done
    get 200 -H /ten bytes=2-4
    has_field 'Content-Length: 10'
    get 206 /large bytes=100000-250000
    cmp <(tail -c +100001 "$site/large" | head -c 150001) "$body"
    get 416 /empty bytes=0-
}

# RFC 9110, section 14.1.2, has these examples, for 10,000 bytes. Several ranges
# may be answered by the whole file: section 14.2.
@test "32-http-server sends the ranges that RFC 9110 has for examples" {
    local wanted asked
    make_site
    head -c 10000 "$site/large" >"$site/10000"
    serve
    while read -r asked wanted; do
        get 206 /10000 "$asked"
        has_field "Content-Range: bytes $wanted/10000"
        has_field "Content-Length: 500"
        cmp <(tail -c +$((${wanted%-*} + 1)) "$site/10000" | head -c 500) "$body"
    done <<'END'
bytes=0-499 0-499
bytes=500-999 500-999
bytes=-500 9500-9999
bytes=9500- 9500-9999
END
    for asked in bytes=0-0,-1 'bytes= 0-999, 4500-5499, -1000' \
        bytes=500-600,601-999 bytes=500-700,601-999; do
        get 200 /10000 "$asked"
        cmp "$site/10000" "$body"
    done
}

@test "32-http-server sends what lies behind 4 GiB" {
    make_site
    truncate -s 5000000000 "$site/film"
    printf 'the end' >>"$site/film"
    serve
    get 206 /film bytes=4999999998-
    is_body '\0\0the end'
    get 200 -H /film
    has_field 'Content-Length: 5000000007'
}

@test "32-http-server looks at conditions" {
    local etag date
    make_site
    touch -d '2024-05-05 05:05:05 UTC' "$site/ten"
    serve
    get 200 /ten
    etag=$(field ETag)
    date=$(field Last-Modified)
    expect_equal date 'Sun, 05 May 2024 05:05:05 GMT' "$date"
    get 304 -f "If-None-Match: $etag" /ten
    is_body ''
    has_field "ETag: $etag"
    get 304 -f "If-None-Match: \"a\", W/$etag" /ten
    get 304 -f 'If-None-Match: *' /ten
    # Two fields are as good as one with both lists.
    ask "GET /ten HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-None-Match: \"a\"\r\n\
If-None-Match: $etag\r\n\r\n"
    [[ $reply == "HTTP/1.1 304 "* ]]
    ask "GET /ten HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIf-Match: \"a\"\r\n\
If-Match: $etag\r\n\r\n"
    [[ $reply == "HTTP/1.1 200 "* ]]
    get 200 -f 'If-None-Match: "a"' /ten
    get 304 -f "If-Modified-Since: $date" /ten
    get 200 -f 'If-Modified-Since: Sun, 05 May 2024 05:05:04 GMT' /ten
    get 200 -f 'If-Modified-Since: yesterday' /ten
    get 412 -f 'If-Match: "a"' /ten
    get 412 -f "If-Match: W/$etag" /ten
    get 200 -f "If-Match: $etag" /ten
    get 412 -f 'If-Unmodified-Since: Sun, 05 May 2024 05:05:04 GMT' /ten
    get 200 -f "If-Unmodified-Since: $date" /ten
    get 206 -e "$etag" /ten bytes=2-4
    get 200 -e "$date" /ten bytes=2-4 # the file may have changed since
    get 200 -e '"a"' /ten bytes=2-4
    get 200 -e "W/$etag" /ten bytes=2-4
    get 200 -e 'Sun, 05 May 2024 05:05:06 GMT' /ten bytes=2-4
    echo more >>"$site/ten"
    get 200 -f "If-None-Match: $etag" /ten
    # No date is before 1970.
    touch -d '1969-05-05 05:05:05 UTC' "$site/ten"
    get 200 /ten
    has_field 'Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT'
    # The three forms of a date in RFC 9110, section 5.6.7. We read one of them,
    # and ignore the old ones.
    touch -d '1994-11-06 08:49:37 UTC' "$site/ten"
    get 304 -f 'If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT' /ten
    get 200 -f 'If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT' /ten
    get 200 -f 'If-Modified-Since: Sun Nov  6 08:49:37 1994' /ten
}

# Each of these paths is refused, or leads to nothing.
bad_paths='
/../secret
/../../secret
/folder/../../secret
/folder/../hello.txt
/./hello.txt
/folder/./deep/file
/.
/..
/../
/.hidden
/.git/config
/.git/
/%2ehidden
/%2e%2e/secret
/%2e./secret
/.%2e/secret
/%2E%2E/secret
/folder/%2e%2e/%2e%2e/secret
/%2e%2e%2fsecret
/..%2fsecret
/folder%2fdeep%2ffile
/%2fetc/passwd
/%252e%252e/secret
/..%5csecret
/..\\secret
/hello.txt%00
/hello.txt%00.html
/%00
/hello%
/hello%2
/hello%2g.txt
/%zz
/%-1
/%u002e%u002e/secret
/%c0%ae%c0%ae/secret
/%c0%af..%c0%afsecret
//etc/passwd
///etc/passwd
/etc/passwd
/link-outside
/link-absolute
/link-parent/secret
/link-parent/site/hello.txt
/link-root/etc/passwd
/link-magic/etc/passwd
/link-folder/../hello.txt
/round-one
/pipe
/hello.txt/
/hello.txt/.
/hello.txt/../ten
/hello.txt#part
http://a/../secret
http:///etc/passwd
http:///hello.txt
http://
file:///etc/passwd
*
hello.txt
../secret
?hello.txt
'

# serves_no_bad_path: each of them has a status from 400 to 499, and no secret.
serves_no_bad_path() {
    local path count=0 reply
    while read -r path; do
        [[ $path ]] || continue
        ask "GET $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        [[ $reply == "HTTP/1.1 4"* ]] || fail "$path gets ${reply%%$'\r'*}"
        count=$((count + 1))
    done <<<"$bad_paths"
    ((count >= 55))
    # So has a path that is too long, and one of too many parts.
    printf -v path '%04096d' 0
    say "GET /$path HTTP/1.1\r\nHost: a\r\n\r\n"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 400 "* ]]
    get 404 "/${path::300}"
    get 404 "/$(printf '%0.sa/' {1..1000})"
}

@test "32-http-server serves none of sixty bad paths" {
    local before
    make_site
    serve
    before=$(descriptors "$server_pid")
    serves_no_bad_path
    until_true holds_descriptors "$server_pid" "$before"
    is_well
    # What is no path ends the connection, and what leads to nothing does not.
    say 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\nGET /ten HTTP/1.1\r\nHost: a\r\n\r\n'
    expect_equal "replies after a bad path" 1 "$(count HTTP/1.1)"
    say 'GET /.a HTTP/1.1\r\nHost: a\r\n\r\nGET /ten HTTP/1.1\r\nHost: a\r\n\r\n'
    expect_equal "replies after a hidden one" 2 "$(count HTTP/1.1)"
}

@test "32-http-server serves none of them without openat2, and follows no link" {
    make_site
    faulty=("$BUILD/tests/forbid" openat2)
    "${faulty[@]}" true || skip "no call can be forbidden here"
    serve
    serves_no_bad_path
    get 404 /link-inside
    get 404 /link-folder/deep/file
    get 200 /folder/deep/file
    is_body 'deep\n'
    get 200 /indexed/
    is_body '<p>start</p>\n'
    get 200 /folder/
    is_well
}

# ---- requests ------------------------------------------------------------------

# Each of these is refused with a status from 400 to 499, or the connection is
# closed without one. Nothing behind it is handled.
bad_requests='
hello\r\n
\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n
GET\r\n\r\n
GET /hello.txt\r\n\r\n
GET  /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
GET /hello.txt  HTTP/1.1\r\nHost: a\r\n\r\n
 GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
GET\t/hello.txt\tHTTP/1.1\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.1 \r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.1 x\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/2.0\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/0.9\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.10\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.x\r\nHost: a\r\n\r\n
GET /hello.txt http/1.1\r\nHost: a\r\n\r\n
GET /hello.txt HTTPS/1.1\r\nHost: a\r\n\r\n
GET /hello.txt\x01 HTTP/1.1\r\nHost: a\r\n\r\n
GET /hello.txt\x7f HTTP/1.1\r\nHost: a\r\n\r\n
GET /hel\x00lo.txt HTTP/1.1\r\nHost: a\r\n\r\n
GET /hello.txt\r HTTP/1.1\r\nHost: a\r\n\r\n
GET /hello txt HTTP/1.1\r\nHost: a\r\n\r\n
G(T /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
G\xc4T /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
get /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
Get /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
POST /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
PUT /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx
DELETE /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n
TRACE / HTTP/1.1\r\nHost: a\r\n\r\n
CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n
PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n
GET /hello.txt HTTP/1.1\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a/b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a@b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a,b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: \x01\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost : a\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost\t: a\r\n\r\n
GET /hello.txt HTTP/1.1\r\n Host: a\r\n\r\n
GET /hello.txt HTTP/1.1\r\n\tHost: a\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\n b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX(): b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\r\n
GET /hello.txt HTTP/1.1\rHost: a\r\r
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nxx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\nx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: a\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1.0\r\n\r\nx
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n
GET /hello.txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n
GET /hello.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
\r\n\r\n GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n
GET http://a/hello.txt HTTP/1.1\r\n\r\n
'

@test "32-http-server refuses eighty bad requests, and what comes behind them" {
    local request count=0 reply
    make_site
    serve
    while IFS= read -r request; do
        [[ $request ]] || continue
        ask "${request}GET /ten HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"
        [[ $reply == "HTTP/1.1 4"* ]] || fail "$request gets ${reply%%$'\r'*}"
        [[ ${reply#H} != *HTTP/1.1* ]] || fail "$request has two replies"
        [[ $reply == *$'\r\nConnection: close\r\n'* ]] ||
            fail "the connection stays after $request"
        count=$((count + 1))
    done <<<"$bad_requests"
    ((count >= 80))
    is_well
    said_nothing
}

@test "32-http-server refuses a head that is longer than 8192 bytes" {
    local most
    make_site
    serve
    # The head has 8192 bytes then.
    printf -v most '%0*d' $((8192 - 41)) 0
    say "GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: $most\r\n\r\n"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 200 "* ]]
    say "GET /hello.txt HTTP/1.1\r\nHost: a\r\nX: 0$most\r\n\r\n"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 431 Request Header Fields Too Large"* ]]
    say "GET /$most$most"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 431 "* ]]
    # There is also a limit for the number of fields.
    say "GET /hello.txt HTTP/1.1\r\nHost: a\r\n$(printf 'X:\\r\\n%.0s' {1..200})\r\n"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 400 "* ]]
}

@test "32-http-server keeps the connection, and handles what comes at once in order" {
    local i requests=""
    make_site
    serve
    for i in {1..50}; do
        requests+='GET /ten HTTP/1.1\r\nHost: a\r\n\r\nHEAD /large HTTP/1.1\r\nHost: a\r\n\r\n'
    done
    requests+='\r\nGET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /ten HTTP/1.1\nHost: a\n\n'
    say "$requests"
    expect_equal replies 102 "$(count 'HTTP/1.1 200 OK')"
    [[ $(tail -c 10 "$heard") == 0123456789 ]]
    cmp "$site/large" <(grep -aob 'Content-Length: 300000' "$heard" | tail -n 1 |
        cut -d : -f 1 | {
            read -r at
            tail -c +"$at" "$heard" | sed '1,/^\r$/d' | head -c 300000
        })
    # The last line of the log is that of the last request.
    [[ $(log 102 | tail -n 1) == *'"GET /ten HTTP/1.1" 200 10 '* ]]
    # A request in pieces.
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    for i in GET ' /ten HT' TP/1.1 $'\r' $'\nHost: a\r\n\r' $'\nGET /hel' \
        $'lo.txt HTTP/1.0\r\n\r\n'; do
        printf '%s' "$i" >&7
        pause
        get 404 /nothing # another client, whose request is not mixed with this
    done
    cat <&7 >"$heard"
    expect_equal replies 2 "$(count 'HTTP/1.1 200 OK')"
    [[ $(tail -n 1 "$heard") == hello ]]
}

@test "32-http-server closes after HTTP/1.0 and after Connection: close" {
    make_site
    serve
    say 'GET /ten HTTP/1.0\r\n\r\nGET /ten HTTP/1.0\r\n\r\n'
    expect_equal replies 1 "$(count 'HTTP/1.1 200')"
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET /ten HTTP/1.0\r\n\r\n'
    expect_equal replies 1 "$(count 'HTTP/1.1 200')"
    say 'GET /ten HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /ten HTTP/1.0\r\n\r\n'
    expect_equal replies 2 "$(count 'HTTP/1.1 200')"
}

@test "32-http-server passes over the body of a request" {
    make_site
    serve
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /GET /hello.txt HTTP/1.0\r\n\r\n'
    expect_equal replies 2 "$(count 'HTTP/1.1 200')"
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcdeGET /hello.txt HTTP/1.0\r\n\r\n'
    expect_equal first 'HTTP/1.1 100 Continue' "$(head -n 1 "$heard" | tr -d '\r')"
    expect_equal replies 2 "$(count 'HTTP/1.1 200')"
    # One of a mebibyte, and one that is longer.
    say "GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n"
    grep -qa '^Connection: keep-alive' "$heard"
    say "GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\nGET /ten HTTP/1.0\r\n\r\n"
    grep -qa '^Connection: close' "$heard"
    expect_equal replies 1 "$(count 'HTTP/1.1')"
    # Chunks are not read: the connection is closed.
    say "GET /ten HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /ten HTTP/1.0\r\n\r\n"
    grep -qa '^Connection: close' "$heard"
    expect_equal replies 1 "$(count 'HTTP/1.1')"
    # HTTP/1.0 has no 100, and nobody waits for one without a body.
    say 'GET /ten HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\na'
    expect_equal replies 1 "$(count 'HTTP/1.1')"
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n'
    expect_equal replies 1 "$(count 'HTTP/1.1')"
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\na'
    expect_equal replies 1 "$(count 'HTTP/1.1')"
}

@test "32-http-server writes a line for each request, and no stranger writes others" {
    make_site
    serve
    get 200 -f 'Referer: http://a/' /ten
    say 'GET /ten HTTP/1.1\r\nHost: a\r\nUser-Agent: a"b\\c\x1b[31m\xe4\r\n\r\n'
    say 'hello\n'
    say 'bad\x07\r\n'
    log 4 >"$OUT"
    [[ $(sed 's/\[[^]]*\]/[]/' "$OUT") == '127.0.0.1 - - [] "GET /ten HTTP/1.1" 200 10 "http://a/" "-"
127.0.0.1 - - [] "GET /ten HTTP/1.1" 200 10 "-" "a\x22b\x5cc\x1b[31m\xe4"
127.0.0.1 - - [] "hello" 400 16 "-" "-"
127.0.0.1 - - [] "bad\x07" 400 16 "-" "-"' ]]
    run grep -Ec '^127.0.0.1 - - \[[0-3][0-9]/[A-Z][a-z][a-z]/20[0-9][0-9]:[0-9:]{8} \+0000\] ' "$OUT"
    expect_equal lines 4 "$output"
}

@test "32-http-server looks at the clock for each reply" {
    local first second
    need_faults
    make_site
    faulty+=(FAULT_CLOCK=60)
    serve
    get 200 /ten
    first=$(date -u -d "$(field Date)" +%s)
    get 200 /ten
    second=$(date -u -d "$(field Date)" +%s)
    ((second >= first + 60))
    log 2 >"$OUT"
    [[ $(sed -n '1s/.*\[\([^]]*\).*/\1/p' "$OUT") != "$(sed -n '2s/.*\[\([^]]*\).*/\1/p' "$OUT")" ]]
}

# ---- rude clients ------------------------------------------------------------

# fast: the clock of the server runs so many times as fast.
fast() {
    need_faults
    faulty+=(FAULT_FAST="$1")
}

# begin: from now on, lasted counts.
begin() {
    begun=${EPOCHREALTIME/./}
}

# lasted FD: reads to the end of that connection, and sets lasted to the
# milliseconds since begin; what came is in $heard.
lasted() {
    timeout 20 cat <&"$1" >"$heard"
    lasted=$(((${EPOCHREALTIME/./} - begun) / 1000))
}

# Of this clock, 10 seconds are a third of a second. All of them wait at once.
@test "32-http-server gives a head 10 seconds, a reader 30, an idle client 60" {
    local lasted begun before
    make_site
    truncate -s 100M "$site/film"
    fast 30
    serve
    before=$(descriptors "$server_pid")
    begin
    exec 4<>"/dev/tcp/127.0.0.1/$PORT" 5<>"/dev/tcp/127.0.0.1/$PORT" \
        6<>"/dev/tcp/127.0.0.1/$PORT" 7<>"/dev/tcp/127.0.0.1/$PORT" \
        8<>"/dev/tcp/127.0.0.1/$PORT"
    # Empty lines are no request, though one comes from time to time. To send all
    # of them takes longer than the server may wait.
    # shellcheck disable=SC2016 # for the other bash to expand
    start empty bash -c 'for i in {1..60}; do echo || exit; sleep 0.05; done >&8
        : >"$1"' - "$BATS_TEST_TMPDIR/all-taken"
    # A head that does not become whole, though a byte comes from time to time.
    start dribble bash -c 'for i in {1..60}; do printf G || exit; sleep 0.05; done >&4'
    # The body of a request that does not come.
    printf 'GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na' >&5
    # One that takes nothing. The last one is silent.
    printf 'GET /film HTTP/1.1\r\nHost: a\r\n\r\n' >&6
    lasted 5
    ((lasted >= 320))
    expect_equal "replies to the one without a body" 1 "$(count HTTP/1.1)"
    lasted 4
    ((lasted >= 320))
    [[ $(head -n 1 "$heard") == "HTTP/1.1 408 "* ]]
    grep -qx $'Connection: close\r' "$heard"
    until_true holds_at_most "$server_pid" $((before + 2)) # the film is closed, too
    (((${EPOCHREALTIME/./} - begun) / 1000 >= 980))
    is_well
    lasted 7
    ((lasted >= 1980 && lasted < 15000))
    [[ ! -s $heard ]]
    lasted 8
    ((lasted >= 1980))
    [[ ! -s $heard && ! -e $BATS_TEST_TMPDIR/all-taken ]]
    until_true holds_descriptors "$server_pid" "$before"
    says server '* "G*" 408 20 "-" "-"'
}

@test "32-http-server gives each head a time of its own, and says the time" {
    local begun lasted first
    make_site
    fast 10 # so a head has a second
    faulty+=(FAULT_CLOCK=60)
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /ten HT' >&7
    get 200 /ten # this takes time, too
    first=$(date -u -d "$(field Date)" +%s)
    sleep 0.15
    begin
    printf 'TP/1.1\r\nHost: a\r\n\r\nGET' >&7
    lasted 7
    ((lasted >= 970))
    tr -d '\r' <"$heard" >"$OUT"
    expect_equal replies "HTTP/1.1 200 OK
HTTP/1.1 408 Request Timeout" "$(grep -ao 'HTTP/1.1 .*' "$OUT")"
    # It has looked at its clock for the first bytes, for the rest, and now.
    (($(date -u -d "$(field Date | tail -n 1)" +%s) >= first + 120))
    # So has a head behind a body that was passed over.
    exec 8<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /ten HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n' >&8
    sleep 0.2
    begin
    printf '12345GET' >&8
    lasted 8
    ((lasted >= 970))
}

# refuses_others: nobody can connect any more.
refuses_others() {
    # shellcheck disable=SC2016 # for the other bash to expand
    ! bash -c ': <>"/dev/tcp/127.0.0.1/$0"' "$PORT" 2>/dev/null
}

# Of this clock, a second is a third of one.
@test "32-http-server says goodbye to a client, and waits for its end, but not long" {
    local before reply
    make_site
    fast 3
    serve
    before=$(descriptors "$server_pid")
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'bad\r\n\r\n' >&7
    timeout 20 cat <&7 >"$heard"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 400 Bad Request"* ]]
    holds_descriptors "$server_pid" $((before + 1)) # it has ended its own half only
    # What the client still sends changes nothing.
    start dribble bash -c 'for i in {1..400}; do printf x || exit; sleep 0.05; done >&7'
    until_true holds_descriptors "$server_pid" "$before"
    is_running dribble
    said_nothing
}

@test "32-http-server serves others while clients flood, stall, reset and never read" {
    local i connection
    make_site
    truncate -s 100M "$site/film"
    serve
    for i in {1..20}; do
        exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET /film HTTP/1.1\r\nHost: a\r\n\r\n%.0s' {1..10} >&"$connection"
        exec {connection}<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET /film HT' >&"$connection"
    done
    "$rude" -c 20 -n 3000 connect reset "$PORT" >/dev/null 2>&1 || true
    "$rude" -c 5 -n 0 connect reset "$PORT" >/dev/null 2>&1 || true
    start flood "$rude" -n 20000000 connect flood "$PORT"
    is_well
    get 200 /large
    cmp "$site/large" "$body"
    # It says why a client has gone, and nothing else.
    run ! grep -vE '(recv|send|sendfile): (Connection reset by peer|Broken pipe)$' \
        "$BATS_TEST_TMPDIR/server.err"
}

@test "32-http-server keeps nothing of clients that have gone" {
    local before i
    make_site
    serve
    is_well
    before=$(descriptors "$server_pid")
    for i in {1..30}; do
        exec 7<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n' >&7
        exec 7>&-
        exec 7<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET /la' >&7
        exec 7>&-
    done
    until_true holds_descriptors "$server_pid" "$before"
    is_well
}

# The kernel sends a reset for a client that closes with unread bytes.
@test "32-http-server lets a client go that resets while it is served" {
    local before file begun
    make_site
    head -c 30000 /dev/zero >"$site/30k"
    truncate -s 100M "$site/film"
    serve
    before=$(descriptors "$server_pid")
    for file in 30k film; do
        exec 7<>"/dev/tcp/127.0.0.1/$PORT"
        printf "GET /$file HTTP/1.1\r\nHost: a\r\n\r\n%.0s" {1..300} >"$body"
        cat "$body" >&7 # by one write: it answers as many as it can send
        until_true grep -q "GET /$file" "$BATS_TEST_TMPDIR/server.out"
        exec 7>&-
        until_true holds_descriptors "$server_pid" "$before"
    done
    expect_equal "lines of errors" 2 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
    says server '32-http-server: send: *' err
    says server '32-http-server: sendfile: *' err
    # It owes nobody a reply, so it ends at once.
    begin
    stop server
    expect_equal status 0 "$ended"
    (((${EPOCHREALTIME/./} - begun) / 1000 < 900))
}

@test "32-http-server lets others wait when MAXCLIENTS are there" {
    local before line
    make_site
    serve -m 2
    before=$(descriptors "$server_pid")
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
    until_true holds_descriptors "$server_pid" $((before + 2))
    start late "$range" -p /ten "$PORT" 5>&- 6>&-
    printf 'GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' >&5
    read -r line <&5
    [[ $line == "HTTP/1.1 200"* ]]
    [[ ! -s $BATS_TEST_TMPDIR/late.out ]]
    exec 6>&-
    wait_for late 'HTTP/1.1 200 OK'
    finish late
    expect_equal status 0 "$ended"
}

@test "32-http-server holds 10,000 idle clients, at 256 bytes each" {
    local before
    (($(ulimit -Hn) >= 10100)) || skip "this system allows no 10100 descriptors"
    [[ $BUILD != *asan* ]] || skip "a sanitizer has memory of its own"
    make_site
    ulimit -Sn 256
    serve -m 11000
    is_well
    before=$(memory "$server_pid")
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    start crowd "$BUILD/peers/many" -i 10000 -c 0 -w "$PORT"
    until_true holds_at_least 10000
    is_well
    echo "memory: $(($(memory "$server_pid") - before)) KiB" >&2
    (($(memory "$server_pid") - before <= 10000 * 256 / 1024 + 64))
    stop crowd
}

holds_at_least() {
    (($(descriptors "$server_pid") >= $1))
}

@test "32-http-server opens a file anew for what comes later, and closes it" {
    local i before line
    make_site
    serve
    is_well
    before=$(descriptors "$server_pid")
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    for i in {1..5}; do
        echo "version $i" >"$site/new"
        mv "$site/new" "$site/changing"
        printf 'GET /changing HTTP/1.1\r\nHost: a\r\n\r\n' >&7
        until [[ $line == version* ]]; do
            read -rt 5 line <&7
        done
        expect_equal "the file" "version $i" "$line"
        line=''
        get 200 /changing
        is_body "version $i\n"
    done
    until_true holds_descriptors "$server_pid" $((before + 1)) # there is still our connection
    exec 7>&-
    until_true holds_descriptors "$server_pid" "$before"
}

# traces CALLS: from now on, the server's calls are in the file calls.
traces() {
    skip_unless strace
    [[ $BUILD != *asan* ]] || skip "no strace under the sanitizers"
    faulty=(strace -D -qq -s 40 -e "trace=$1" -o "$BATS_TEST_TMPDIR/calls")
}

@test "32-http-server opens a file once for requests that come together" {
    local name calls=$BATS_TEST_TMPDIR/calls
    make_site
    traces openat2,write
    serve
    for name in ten ten ten hello.txt ten 1{1..95}; do
        printf 'GET /%s HTTP/1.1\r\nHost: a\r\n\r\n' "$name"
    done >"$BATS_TEST_TMPDIR/said"
    try_with "$BATS_TEST_TMPDIR/said" "$heard" "$talk" "$PORT"
    expect_equal replies 5 "$(count 'HTTP/1.1 200 OK')"
    expect_equal "replies with ten" 4 "$(count 0123456789)"
    expect_equal "what is opened" "ten hello.txt ten" \
        "$(sed -n 's/^openat2([0-9]*, "\([^1"]*\)".*/\1/p' "$calls" | paste -sd ' ')"
    # One write has the whole log of a turn, and an error is one write, too.
    expect_equal "writes behind the first" 1 "$(($(grep -c '^write(1,' "$calls") - 1))"
    expect_equal "lines" 100 "$(log 100 | wc -l)"
}

@test "32-http-server sends a head together with its file" {
    local calls=$BATS_TEST_TMPDIR/calls
    make_site
    truncate -s 100K "$site/middle"
    traces sendto,sendfile,setsockopt
    serve
    get 200 /1k
    get 200 /middle
    get 200 /large
    stop server
    expect_equal "calls" "sendto 0
sendto MSG_MORE
sendfile
sendto MSG_MORE
setsockopt TCP_CORK [1]
sendfile
setsockopt TCP_CORK [0]" "$(sed -nE '
        s/^sendto\(.*, ([A-Z_0]+), NULL, 0\).*/sendto \1/p
        s/^(sendfile)\(.*/\1/p
        s/^(setsockopt)\(.*(TCP_CORK), (\[[01]\]).*/\1 \2 \3/p' "$calls" | uniq)"
}

@test "32-http-server finishes a reply that is being sent when it is told to end" {
    local signal
    make_site
    head -c 20000000 /dev/zero >"$site/film"
    for signal in TERM INT; do
        serve
        exec 7<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT"
        printf 'GET /film HTTP/1.0\r\n\r\n' >&7
        log 1 >/dev/null
        kill -s "$signal" "$server_pid"
        cat <&7 >"$heard"
        (($(wc -c <"$heard") > 20000000))
        finish server
        expect_equal "status after SIG$signal" 0 "$ended"
        run -1 bash -c ": <>/dev/tcp/127.0.0.1/$PORT"
    done
}

@test "32-http-server ends in about a second, whatever it owes" {
    local begun now
    make_site
    truncate -s 100M "$site/film"
    fast 4
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /film HTTP/1.0\r\n\r\n' >&7
    log 1 >/dev/null
    begin
    kill "$server_pid"
    until_true refuses_others
    is_running server
    finish server
    now=${EPOCHREALTIME/./}
    expect_equal "status" 0 "$ended"
    ((now - begun >= 240000 && now - begun < 5000000))
}

@test "32-http-server closes the connection when a file becomes shorter" {
    make_site
    head -c 20000000 /dev/zero >"$site/film"
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /film HTTP/1.1\r\nHost: a\r\n\r\n' >&7
    log 1 >/dev/null
    truncate -s 10 "$site/film"
    cat <&7 >"$heard"
    (($(wc -c <"$heard") < 20000000))
    wait_for server '32-http-server: a file became shorter while we sent it' err
    is_well
}

# ---- TLS ---------------------------------------------------------------------

secure() {
    skip_unless openssl
    make_site
    serve -s build/certs/good.pem build/certs/good.key
}

@test "32-http-server -s serves the same over TLS, large files too" {
    skip_unless curl
    secure
    curl -sS --cacert build/certs/root.pem -o "$body" \
        --resolve "localhost:$PORT:127.0.0.1" \
        "https://localhost:$PORT/large" "https://localhost:$PORT/ten" >"$OUT"
    cmp "$site/large" "$body"
    expect_output --text 0123456789
    head -c 20000000 /dev/urandom >"$site/film"
    curl -sS --cacert build/certs/root.pem -o "$body" \
        --resolve "localhost:$PORT:127.0.0.1" "https://localhost:$PORT/film"
    cmp "$site/film" "$body"
    curl -sS --cacert build/certs/root.pem -r 5-7 --tls-max 1.2 \
        --resolve "localhost:$PORT:127.0.0.1" "https://localhost:$PORT/ten" >"$OUT"
    expect_output --text 567
}

# speak_tls REQUEST...: sends each text over TLS at once, ends its side of TLS,
# and prints what comes, then whether the server has ended its side, too.
speak_tls() {
    python3 - "$PORT" "$@" <<'END'
import socket, ssl, sys
context = ssl.create_default_context(cafile="build/certs/root.pem")
raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
with context.wrap_socket(raw, server_hostname="localhost",
                         suppress_ragged_eofs=False) as tls:
    for text in sys.argv[2:]:
        tls.sendall(text.encode().decode("unicode_escape").encode())
    while True:
        data = tls.recv(65536)
        if not data:
            break
        sys.stdout.write(data.decode("latin1"))
    print("closed")
END
}

@test "32-http-server -s says at the end that it is one" {
    skip_unless python3
    secure
    run -0 speak_tls 'GET /ten HTTP/1.0\r\n\r\n'
    [[ $output == "HTTP/1.1 200 OK"*0123456789closed ]]
    # Several requests in several records, and one that is bad.
    run -0 speak_tls 'GET /ten HTTP/1.1\r\nHo' 'st: a\r\n\r\nGET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n' 'bad\r\n\r\n'
    expect_equal replies 3 "$(grep -oF 'HTTP/1.1 ' <<<"$output" | wc -l)"
    [[ $output == *"400 Bad Request"*closed ]]
}

@test "32-http-server -s answers a client that ends its side of TLS" {
    skip_unless python3
    secure
    run -0 python3 - "$PORT" <<'END'
import socket, ssl, sys
context = ssl.create_default_context(cafile="build/certs/root.pem")
raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
tls = context.wrap_socket(raw, server_hostname="localhost")
tls.sendall(b"HEAD /ten HTTP/1.1\r\nHost: a\r\n\r\n")
tls.recv(65536)
tls.unwrap()
print("unwrapped")
END
    expect_equal output unwrapped "$output"
}

@test "32-http-server -s lets go of clients that speak no TLS, or nothing" {
    local before slow lasted begun
    make_site
    fast 60
    serve -s build/certs/good.pem build/certs/good.key
    before=$(descriptors "$server_pid")
    say 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    run ! grep -a HTTP "$heard"
    head -c 20000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
    try_with "$BATS_TEST_TMPDIR/noise" "$heard" "$talk" "$PORT"
    begin
    exec {slow}<>"/dev/tcp/127.0.0.1/$PORT"
    printf '\x16\x03\x01\x02' >&"$slow"
    lasted "$slow"
    ((lasted >= 160 && lasted < 900))
    until_true holds_descriptors "$server_pid" "$before"
    # It says what it has against an old version.
    run openssl s_client -connect "127.0.0.1:$PORT" -tls1_1 \
        -cipher DEFAULT@SECLEVEL=0 </dev/null
    [[ $output == *"alert protocol version"* ]]
    # What OpenSSL has found wrong with others is no matter for the next one.
    run -0 speak_tls 'GET /ten HTTP/1.0\r\n\r\n'
    [[ $output == "HTTP/1.1 200 OK"*0123456789closed ]]
    said_nothing
}

# Its minute for a request is a second of ours, and the record takes two.
@test "32-http-server -s gives an idle client 60 seconds, whatever parts of a record come" {
    make_site
    fast 60
    serve -s build/certs/good.pem build/certs/good.key
    run -0 python3 - "$PORT" <<'END'
import socket, ssl, sys, time
context = ssl.create_default_context(cafile="build/certs/root.pem")
inputs, outputs = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(inputs, outputs, server_hostname="localhost")
raw = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
while True:
    try:
        tls.do_handshake()
        break
    except ssl.SSLWantReadError:
        raw.sendall(outputs.read())
        inputs.write(raw.recv(65536))
raw.sendall(outputs.read())
tls.write(b"GET /ten HTTP/1.1\r\nHost: a\r\n\r\n")
record = outputs.read()
try:
    for i in range(10):
        raw.sendall(record[i : i + 1])
        time.sleep(0.2)
    raw.sendall(record[10:])
    while raw.recv(65536):
        pass # tickets, and the goodbye
except (BrokenPipeError, ConnectionResetError):
    pass
END
    stop server
    run ! grep GET "$BATS_TEST_TMPDIR/server.out"
}

# ---- faults ------------------------------------------------------------------

@test "32-http-server tries again when its listener cannot be watched" {
    need_faults
    make_site
    # With one place, the listener is not watched while there is a client.
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL=epoll_ctl
        FAULT_ERRNO=28 FAULT_AT=6)
    serve -m 1
    faulty=()
    get 200 /ten
    get 200 /ten
    says server "32-http-server: epoll_ctl: No space left on device" err
}

# Which call fails, with which error and at which time, how many of four requests
# are still served, and what the server says.
failures='
recv 104 3 3 recv: Connection reset by peer
recv 11 3 4
send 104 3 3 send: Connection reset by peer
send 11 3 4
sendfile 32 2 3 sendfile: Broken pipe
sendfile 11 2 4
pread 5 2 3 pread: Input/output error
fstat 5 3 3 open ten: Input/output error
openat2 24 3 3 open ten: Too many open files
openat2 13 3 3
openat2 38 3 4
openat2 1 3 4
accept4 24 3 4 accept: Too many open files
accept4 103 3 4
accept4 11 3 4
epoll_ctl 12 3 3 epoll_ctl: Cannot allocate memory
epoll_wait 5 3 4 epoll_wait: Input/output error
epoll_wait 4 3 4
'

# serves COUNT: so many of four requests get a whole file.
serves() {
    local name whole=0
    for name in ten large ten large; do
        if "$range" -o "$body" -p "/$name" "$PORT" >"$OUT" 2>/dev/null &&
            [[ $(head -n 1 "$OUT") == "HTTP/1.1 200 OK" ]]; then
            cmp "$site/$name" "$body"
            whole=$((whole + 1))
        fi
    done
    expect_equal "served of four" "$1" "$whole"
}

@test "32-http-server goes on when a call fails for one client" {
    local call error at count message before
    need_faults
    make_site
    while read -r call error at count message; do
        [[ $call ]] || continue
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_CALL="$call"
            FAULT_ERRNO="$error" FAULT_AT="$at" FAULT_LOG="$BATS_TEST_TMPDIR/$call")
        serve
        before=$(descriptors "$server_pid")
        serves "$count"
        [[ -s $BATS_TEST_TMPDIR/$call ]] || fail "$call did not fail"
        rm "$BATS_TEST_TMPDIR/$call"
        until_true holds_descriptors "$server_pid" "$before"
        stop server
        expect_equal "status with $call" 0 "$ended"
        expect_equal "what it says with $call $error" \
            "${message:+32-http-server: $message}" \
            "$(<"$BATS_TEST_TMPDIR/server.err")"
    done <<<"$failures"
}

@test "32-http-server pauses after a call that failed" {
    local call begun
    need_faults
    make_site
    for call in accept4:accept epoll_wait:epoll_wait; do
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_ERRNO=23
            FAULT_CALL="${call%:*}" FAULT_TIMES=10)
        begin
        serve
        is_well
        (((${EPOCHREALTIME/./} - begun) / 1000 >= 190))
        expect_equal "times it failed" 10 "$(grep -c \
            "^32-http-server: ${call#*:}: Too many open files in system$" \
            "$BATS_TEST_TMPDIR/server.err")"
        stop server
    done
}

@test "32-http-server says which call failed when it cannot start" {
    local call name more
    local -a options
    need_faults
    make_site
    for call in socket bind listen epoll_create1 getsockname \
        "setsockopt setsockopt\ TCP_NODELAY FAULT_OPTION=1" \
        "epoll_ctl epoll_ctl FAULT_AT=1" "epoll_ctl epoll_ctl FAULT_AT=2" \
        "fcntl fcntl FAULT_AT=4"; do
        # shellcheck disable=SC2162 # a backslash keeps a blank
        read call name more <<<"$call"
        # shellcheck disable=SC2086 # there may be no more
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=12 $more \
            "$server" "$site" 0
        expect_status 1
        expect_stderr "32-http-server: ${name:-$call}*: Cannot allocate memory"
    done
    # The first three allocations are malloc's, and there are two more.
    for call in 1:malloc 2:malloc 3:malloc 4:realloc 5:realloc; do
        try env LD_PRELOAD="$BUILD/tests/memory.so" MEMORY_AT="${call%:*}" \
            "$server" "$site" 0
        expect_result 1 "32-http-server: ${call#*:}: Cannot allocate memory"
    done
    # With TLS, OpenSSL has many in between, and the last realloc is the wire's.
    options=(-s build/certs/good.pem build/certs/good.key "$site" 0)
    faulty+=(MEMORY_LOG="$BATS_TEST_TMPDIR/allocations")
    faulty[1]=LD_PRELOAD=$BUILD/tests/memory.so
    serve "${options[@]:0:3}"
    stop server
    call=$(grep -n 'realloc 32-http-server' "$BATS_TEST_TMPDIR/allocations" | tail -n 1)
    try "${faulty[@]}" MEMORY_AT="${call%%:*}" "$server" "${options[@]}"
    expect_result 1 "32-http-server: wire_open: Cannot allocate memory"
}

@test "32-http-server sends no part of a file that becomes shorter" {
    local reply
    need_faults
    make_site
    faulty+=(FAULT_SHORT=pread FAULT_FAST=30)
    serve
    exec 7<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /ten HT' >&7
    ask 'GET /ten HTTP/1.1\r\nHost: a\r\n\r\n'
    expect_equal "reply" "" "$reply"
    says server '32-http-server: a file became shorter while we sent it' err
    # The next reply, to a request that does not become whole, has none of it.
    timeout 20 cat <&7 >"$heard"
    [[ $(head -n 1 "$heard") == "HTTP/1.1 408 "* ]]
    expect_equal replies 1 "$(count HTTP/1.1)"
}

@test "32-http-server -s sends no part of a file that becomes shorter" {
    need_faults
    skip_unless curl
    make_site
    faulty+=(FAULT_SHORT=pread)
    serve -s build/certs/good.pem build/certs/good.key
    run ! curl -sS --cacert build/certs/root.pem -o "$body" \
        --resolve "localhost:$PORT:127.0.0.1" "https://localhost:$PORT/large"
    [[ ! -s $body ]]
    until_true says server '32-http-server: a file became shorter while we sent it' err
    expect_equal "lines" 1 "$(wc -l <"$BATS_TEST_TMPDIR/server.err")"
}

# allocations: those that the server, and not OpenSSL, has made: N:made NAME FILE.
allocations() {
    grep -nv 'libcrypto\|libssl' "$BATS_TEST_TMPDIR/allocations"
}

# asks_for_memory: requests for which the server allocates something: for a
# client, the list of a folder, an unfinished request, and a file. They come from
# one client, so the server handles them in the same order each time.
asks_for_memory() {
    # By one write each: bash's printf makes one for each line.
    printf 'GET /folder/ HTTP/1.1\r\nHost: a\r\n\r\nGET /ten HT' >"$BATS_TEST_TMPDIR/1"
    printf 'TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >"$BATS_TEST_TMPDIR/2"
    # shellcheck disable=SC2016 # for the other bash to expand
    timeout 20 bash -c 'exec 7<>"/dev/tcp/127.0.0.1/$0"
        cat "$1/1" >&7
        while read -r line && echo "$line"; do
            [[ $line != "</ul>" && $line != 500* ]] || break
        done <&7
        cat "$1/2" >&7
        cat <&7' "$PORT" "$BATS_TEST_TMPDIR" >"$heard" 2>/dev/null || true
}

# A reply is put together by realloc. The server says that it cannot go on
# without one.
@test "32-http-server goes on when there is no memory for one client" {
    local i before descriptors
    local -a all
    need_faults
    make_site
    faulty=(env LD_PRELOAD="$BUILD/tests/memory.so"
        MEMORY_LOG="$BATS_TEST_TMPDIR/allocations")
    serve
    before=$(allocations | wc -l)
    descriptors=$(descriptors "$server_pid")
    asks_for_memory
    mapfile -t all < <(allocations | tail -n "+$((before + 1))")
    stop server
    for i in "${all[@]}"; do
        faulty=(env LD_PRELOAD="$BUILD/tests/memory.so" MEMORY_AT="${i%%:*}")
        serve
        asks_for_memory
        if [[ $i == *"realloc 32-http-server" ]]; then
            finish server
            expect_equal "status without allocation $i" 1 "$ended"
        else
            until_true "$range" -o "$body" -p /ten "$PORT" >"$OUT" 2>&1
            cmp "$site/ten" "$body"
            until_true holds_descriptors "$server_pid" "$descriptors"
            stop server
            expect_equal "status without allocation $i" 0 "$ended"
        fi
        echo "$(grep -ao 'HTTP/1.1 [0-9]*' "$heard" | cut -c 10- | paste -sd ' ')" \
            "$(<"$BATS_TEST_TMPDIR/server.err")" \
            >>"$BATS_TEST_TMPDIR/all"
    done
    # libc can go on without some of its own.
    expect_equal "what is replied and said" "\
 32-http-server: calloc: Cannot allocate memory
 32-http-server: realloc: Cannot allocate memory
200 200 
200 32-http-server: malloc: Cannot allocate memory
200 500 32-http-server: open ten: Cannot allocate memory
500 200 32-http-server: a list of /folder/: Cannot allocate memory
500 200 32-http-server: open folder/: Cannot allocate memory" "$(LC_ALL=C sort -u "$BATS_TEST_TMPDIR/all")"
}

@test "32-http-server sends all in pieces, when the kernel takes little" {
    need_faults
    make_site
    faulty+=('FAULT_SHORT=send,recv,sendfile' FAULT_SEED=7)
    serve
    get 200 /large
    cmp "$site/large" "$body"
    say 'GET /ten HTTP/1.1\r\nHost: a\r\n\r\nGET /1k HTTP/1.1\r\nHost: a\r\n\r\nGET /ten HTTP/1.0\r\n\r\n'
    expect_equal replies 3 "$(count 'HTTP/1.1 200 OK')"
}

@test "32-http-server -s puts together what comes in pieces" {
    need_faults
    skip_unless curl
    make_site
    faulty+=('FAULT_SHORT=recv' FAULT_SEED=7)
    serve -s build/certs/good.pem build/certs/good.key
    curl -sS --cacert build/certs/root.pem -o "$body" \
        --resolve "localhost:$PORT:127.0.0.1" \
        "https://localhost:$PORT/large" "https://localhost:$PORT/ten" >"$OUT"
    cmp "$site/large" "$body"
    expect_output --text 0123456789
}

@test "32-http-server ends when the log cannot be written" {
    make_site
    exec 7> >(head -n 1 >"$BATS_TEST_TMPDIR/first")
    # shellcheck disable=SC2016 # for the other bash to expand
    start server bash -c 'exec "$@" >&7' - "$server" "$site" 0
    until_true test -s "$BATS_TEST_TMPDIR/first"
    PORT=$(sed 's/.*://' "$BATS_TEST_TMPDIR/first")
    exec 7>&-
    printf 'GET /ten HTTP/1.0\r\n\r\n' >"/dev/tcp/127.0.0.1/$PORT"
    finish server
    expect_equal status 1 "$ended"
    expect_equal errors "32-http-server: standard output: Broken pipe" \
        "$(<"$BATS_TEST_TMPDIR/server.err")"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" "$1" 0 >/dev/full' "$server" "$site"
    expect_status 1
    expect_stderr "32-http-server: *: No space left on device"
}

@test "32-http-server: how it is called" {
    local usage="usage: 32-http-server [-s CERT KEY] [-m MAXCLIENTS] ROOT PORT"
    local -a call
    make_site
    try "$server" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for arguments in "" "$site" "$site 0 0" "-x $site 0" "-m" "-s a" "-s"; do
        read -ra call <<<"$arguments"
        try "$server" "${call[@]}"
        expect_status 2
        expect_stderr "*usage: 32-http-server *"
    done
    try "$server" "$site" 65536
    expect_result 1 "32-http-server: 65536 is not a port: 0 to 65535"
    try "$server" -m 0 "$site" 0
    expect_result 1 "32-http-server: 0 is not a number of clients: 1 to 1000000"
    try "$server" "$site/nothing" 0
    expect_result 1 "32-http-server: $site/nothing: No such file or directory"
    try "$server" "$site/ten" 0
    expect_result 1 "32-http-server: $site/ten: Not a directory"
    try "$server" -s "$site/ten" "$site/ten" "$site" 0
    expect_status 1
    expect_stderr "32-http-server: $site/ten with $site/ten: *"
    serve
    try "$server" "$site" "$PORT"
    expect_result 1 "32-http-server: bind 127.0.0.1:$PORT: Address already in use"
    # shellcheck disable=SC2016 # for the other bash to expand
    try bash -c 'exec "$0" "$1" 0 <&-' "$server" "$site"
    expect_result 1 "32-http-server: descriptor 0: Bad file descriptor"
}

# ---- strangers ---------------------------------------------------------------

@test "32-http-server serves curl, and beside it wrk without one error" {
    local url
    skip_unless curl wrk
    make_site
    serve
    url=http://127.0.0.1:$PORT
    start wrk wrk -t 1 -c 50 -d 1 "$url/1k"
    curl -sS "$url/large" -o "$body" "$url/ten" >"$OUT"
    cmp "$site/large" "$body"
    expect_output --text 0123456789
    head -c 1000 "$site/large" >"$body"
    curl -sS -C - -o "$body" "$url/large"
    cmp "$site/large" "$body"
    curl -sSL "$url/indexed" >"$OUT"
    expect_output --text '<p>start</p>\n'
    curl -sS --etag-save "$BATS_TEST_TMPDIR/etag" "$url/ten" -o "$body"
    [[ $(curl -sS --etag-compare "$BATS_TEST_TMPDIR/etag" -w '%{http_code}' "$url/ten" -o /dev/null) == 304 ]]
    [[ $(curl -sS -d body -w '%{http_code}' "$url/ten" -o /dev/null) == 405 ]]
    finish wrk
    expect_equal "status of wrk" 0 "$ended"
    run ! grep -E 'Socket errors|Non-2xx' "$BATS_TEST_TMPDIR/wrk.out"
}

# make_page: a page with a style sheet, and one picture by twenty names. When all
# of that has come, the page says so itself, in its title.
make_page() {
    mkdir -p "$site"
    cat >"$site/index.html" <<'END'
<!DOCTYPE html>
<title>loading</title>
<link rel="stylesheet" href="style.css">
<p>a paragraph</p>
<script>
for (let i = 1; i <= 20; i++) {
    const picture = new Image();
    picture.src = "picture.svg?" + i;
    document.body.append(picture);
}
addEventListener("load", () => {
    const width = getComputedStyle(document.querySelector("p")).width;
    let pictures = 0;
    for (const picture of document.images)
        if (picture.naturalWidth === 12 && picture.naturalHeight === 7)
            pictures++;
    document.title = pictures + " pictures, a paragraph of " + width;
});
</script>
END
    echo 'p { width: 37px }' >"$site/style.css"
    echo '<svg xmlns="http://www.w3.org/2000/svg" width="12" height="7"/>' \
        >"$site/picture.svg"
}

# shows_page STATUS [LOADS]: the browser has shown all of that page, for the first
# time or the second (2), and our log has each of its requests with this status.
shows_page() {
    expect_end
    expect_status 0
    grep -qF '<title>20 pictures, a paragraph of 37px</title>' "$OUT" ||
        fail "the page is not complete" --show "$(<"$OUT")"
    expect_equal requests "$(requests_of_page "$1")" \
        "$(log $((22 * ${2-1})) | tail -n 22 |
            sed -E 's/^[^"]*"([^"]*)" ([0-9]*) .*/\1 \2/' | sort)"
}

requests_of_page() {
    local path
    for path in / /style.css /picture.svg\?{1..20}; do
        echo "GET $path HTTP/1.1 $1"
    done | sort
}

# closed: prints how many connections to our server have been closed, by the side
# that was first to do so. They stay in TIME_WAIT (06) for a minute.
closed() {
    local port
    printf -v port '%04X' "$PORT"
    grep -cE ":( [0-9A-F]{8}:[0-9A-F]{4} 0100007F:$port| 0100007F:$port [0-9A-F]{8}:[0-9A-F]{4}) 06" \
        /proc/net/tcp || true
}

@test "32-http-server serves Chromium a page, with style and pictures, and then 304" {
    local before
    need_browser
    make_page
    serve
    before=$(closed)
    browse one "http://127.0.0.1:$PORT/"
    shows_page 200
    # It has 6 connections at once, at most. Without keep-alive there would be
    # 22 of them.
    until_true closes_between $((before + 1)) $((before + 10))
    # Another time it has all in its cache, and only asks whether that is new.
    browse one "http://127.0.0.1:$PORT/"
    shows_page 304 2
    said_nothing
}

closes_between() {
    local count
    count=$(closed)
    ((count >= $1 && count <= $2))
}

@test "32-http-server -s serves Chromium over TLS, if it trusts our root" {
    need_browser
    make_page
    serve -s build/certs/good.pem build/certs/good.key
    browse one "https://server.example:$PORT/"
    expect_status 1
    [[ $errors == *ERR_CERT_AUTHORITY_INVALID* ]]
    trust_root
    browse two "https://server.example:$PORT/"
    shows_page 200
    said_nothing
}
