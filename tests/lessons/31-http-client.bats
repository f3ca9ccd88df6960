#!/usr/bin/env bats
# 31-http-client [-C CAFILE] [-d SERVER | -x PROXY] [-i] [-o FILE] [-t SECONDS]
# URL: fetches what a URL names. What its parsers make of each byte,
# tests/workbook/http.bats has; how it asks a name server, the test of lesson 30.

load ../lib/common
load ../lib/clock

client=$BUILD/31-http-client
pages=$BUILD/peers/pages
rude=$BUILD/peers/rude-http
certs=build/certs
page=$BATS_TEST_TMPDIR/page

# serve_pages [OPTION...]: our web server, at $PORT.
serve_pages() {
    start_server pages "$pages" "$@" 0
}

# get PATH [OPTION...]: the client fetches that page from $PORT.
get() {
    try "${faulty[@]}" "$client" "${@:2}" "http://127.0.0.1:$PORT$1"
}
faulty=()

# expect_page TEXT: it went well, and this is what came.
expect_page() {
    expect_result 0 ""
    expect_output --text "$1"
}

# expect_requests TARGET...: the server has got these, in this order; a
# `connected` stands where a connection began.
expect_requests() {
    until_true has_requests "$*" || true
    expect_equal requests "$*" "$(requests)"
}

has_requests() {
    [[ $(requests) == "$1" ]]
}

requests() {
    sed -nE 's/^GET ([^ ]*) HTTP.*/\1/p; /^connected/p' \
        "$BATS_TEST_TMPDIR/pages.out" | paste -sd ' '
}

# expect_only FILE...: these files are in the folder of the test's pages, and no
# others.
expect_only() {
    expect_equal files "$*" "$(cd "$BATS_TEST_TMPDIR/files" && echo *)"
}

@test "31-http-client prints a page, and asks for it in four lines" {
    serve_pages
    get /hello
    expect_page 'hello\n'
    expect_lines pages "listening on *" connected 'GET /hello HTTP/1.1' \
        "Host: 127.0.0.1:$PORT" 'User-Agent: 31-http-client' 'Accept: \*/\*'
}

@test "31-http-client -i prints the head first, as it came" {
    serve_pages
    get /hello -i
    expect_page 'HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 6\n\nhello\n'
    get /early -i
    expect_page 'HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 6\n\nhello\n'
    get /old -i
    expect_page 'HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 6\n\nhello\n'
    start_server peer "$rude" serve escape-in-value
    get / -i
    expect_page 'HTTP/1.1 200 OK\nX-A: ?[2J\nContent-Length: 6\n\nhello\n'
}

@test "31-http-client reads bodies with a length, in chunks, and up to the end" {
    local size
    serve_pages
    get /chunks
    expect_page 'This came in three chunks.\n'
    get /end
    expect_page 'This is all.\n'
    for size in 0 1 65535 65536 65537 3000000; do
        get "/bytes?$size"
        expect_result 0 ""
        expect_equal "bytes of $size" "$size" "$(wc -c <"$OUT")"
        mv "$OUT" "$BATS_TEST_TMPDIR/bytes"
        get "/many?$size"
        expect_result 0 ""
        expect_output "$BATS_TEST_TMPDIR/bytes"
    done
}

@test "31-http-client reads what comes in pieces of one byte" {
    need_faults
    serve_pages
    faulty+=('FAULT_SHORT=recv,send')
    get /chunks
    expect_page 'This came in three chunks.\n'
    get /old
    expect_page 'hello\n'
}

@test "31-http-client takes a status of 200 to 299 for a success" {
    local code
    serve_pages
    for code in 200 201 205 299; do
        get "/status?$code"
        expect_page 'So it is.\n'
    done
    get '/status?204'
    expect_page ''
    for code in 206 300 304 400 404 500 503 999; do
        get "/status?$code" -o "$page"
        expect_equal "status of $code" 1 "$status"
        [[ $errors == "31-http-client: 127.0.0.1: $code "* ]]
        expect_output --text ''
        [[ ! -e $page ]]
    done
    get /nothing
    expect_result 1 "31-http-client: 127.0.0.1: 404 Not Found"
    expect_output --text 'There is no such page.\n'
}

@test "31-http-client follows redirects of every kind, over one connection" {
    local code url
    for code in 301 302 303 307 308; do
        serve_pages
        for url in /hello hello ./a/../hello "//127.0.0.1:$PORT/./hello" \
            "http://127.0.0.1:$PORT/a/../hello#there"; do
            get "/$code?$url"
            expect_page 'hello\n'
        done
        expect_equal connections 5 \
            "$(grep -c connected "$BATS_TEST_TMPDIR/pages.out")"
        stop pages
    done
    serve_pages
    get /old
    expect_requests connected /old /hello
    get '/300?/hello'
    expect_equal status 1 "$status"
    get '/304?/hello'
    expect_equal status 1 "$status"
}

@test "31-http-client follows ten redirects, and not eleven" {
    serve_pages
    get '/count?10'
    expect_page 'hello\n'
    get '/count?11'
    expect_result 1 "31-http-client: 127.0.0.1: more than 10 redirects"
    expect_output --text ''
    get /round
    expect_result 1 "31-http-client: 127.0.0.1: more than 10 redirects"
}

@test "31-http-client goes on at another server, over another connection" {
    local first
    serve_pages
    first=$PORT
    start_server other "$pages" 0
    try "$client" "http://127.0.0.1:$first/to?http://127.0.0.1:$PORT/hello"
    expect_page 'hello\n'
    expect_requests connected "/to?http://127.0.0.1:$PORT/hello"
    says other connected
}

@test "31-http-client does not wait for the body of a redirect to another server" {
    local other
    serve_pages
    other=$PORT
    printf '%s\r\n' 'HTTP/1.1 302 x' "Location: http://127.0.0.1:$other/hello" \
        'Content-Length: 500' '' >"$BATS_TEST_TMPDIR/moved"
    start_server peer "$BUILD/peers/rude" -l -f "$BATS_TEST_TMPDIR/moved" \
        -k "$(wc -c <"$BATS_TEST_TMPDIR/moved")" serve stall
    try "$client" -t 5 "http://127.0.0.1:$PORT/"
    expect_page 'hello\n'
}

@test "31-http-client asks again if the server has left, or resets" {
    serve_pages
    get /leave
    expect_page 'hello\n'
    expect_requests connected /leave connected /hello
    get /reset
    expect_page 'hello\n'
    expect_requests connected /leave connected /hello \
        connected /reset /hello connected /hello
}

@test "31-http-client asks only once over a new connection" {
    local face
    for face in nothing only-continue; do
        start_server peer "$rude" serve "$face"
        get /
        expect_result 1 "31-http-client: 127.0.0.1: it has ended without a reply"
        stop peer
    done
}

@test "31-http-client takes nothing behind a redirect for the next reply" {
    printf '%s\r\n' 'HTTP/1.1 301 x' 'Location: /b' 'Content-Length: 0' '' \
        'HTTP/1.1 200 x' 'Content-Length: 4' '' 'evil' >"$BATS_TEST_TMPDIR/both"
    start_server peer "$BUILD/peers/rude" -c 11 -l -f "$BATS_TEST_TMPDIR/both" \
        serve whole
    get /
    expect_result 1 "31-http-client: 127.0.0.1: more than 10 redirects"
    expect_output --text ''
}

@test "31-http-client asks not again when a part of a reply has come" {
    serve_pages
    get /busy
    expect_result 1 "31-http-client: 127.0.0.1: it has ended without a reply"
    expect_requests connected /busy /hello
}

@test "31-http-client follows no redirect that it should not" {
    local url
    serve_pages
    while IFS='|' read -r url said; do
        get "/to?$url"
        expect_result 1 "31-http-client: 127.0.0.1: a redirect that we cannot \
follow: $said"
    done <<'END'
ftp://127.0.0.1/|it does not begin with http:// or https://
file:///etc/passwd|it does not begin with http:// or https://
javascript:alert|it does not begin with http:// or https://
http://user@127.0.0.1/|it has a user name
http://127.0.0.1:0/|its port is not a number from 1 to 65535
http:///hello|it has no host
END
}

@test "31-http-client -o writes the file when the body is whole" {
    local mask
    mkdir "$BATS_TEST_TMPDIR/files"
    page=$BATS_TEST_TMPDIR/files/page
    serve_pages
    get /hello -o "$page"
    expect_page ''
    expect_output --text 'hello\n' --in "$page"
    expect_only page
    get /chunks -i -o "$page"
    expect_output --text 'This came in three chunks.\n' --in "$page"
    expect_output --text 'HTTP/1.1 200 OK\nContent-Type: text/plain\nTransfer-Encoding: chunked\n\n'
    for mask in 022 077 000; do
        rm "$page"
        (umask "$mask" && get /hello -o "$page")
        expect_equal "mode with $mask" "$(printf %o $((0666 & ~mask)))" \
            "$(stat -c %a "$page")"
    done
    get /old -o "$page"
    expect_output --text 'hello\n' --in "$page"
}

@test "31-http-client -o leaves the old file, and no other, when it fails" {
    local path
    mkdir "$BATS_TEST_TMPDIR/files"
    page=$BATS_TEST_TMPDIR/files/page
    echo old >"$page"
    serve_pages
    for path in /cut /two-lengths /nothing /round; do
        get "$path" -o "$page"
        expect_equal "status of $path" 1 "$status"
        expect_output --text 'old\n' --in "$page"
        expect_only page
    done
    get /cut -o "$page"
    expect_result 1 "31-http-client: 127.0.0.1: the body is cut"
    # A cut page that goes to standard output is shown as far as it came.
    get /cut
    expect_equal "bytes shown" 400 "$(wc -c <"$OUT")"
}

@test "31-http-client -o leaves the old file when the new one gets no name" {
    page=$BATS_TEST_TMPDIR/files/page
    need_faults
    serve_pages
    mkdir "$BATS_TEST_TMPDIR/files"
    echo old >"$page"
    try "${faulty[@]}" FAULT_CALL=rename FAULT_ERRNO=5 "$client" -o "$page" \
        "http://127.0.0.1:$PORT/hello"
    expect_result 1 "31-http-client: $page: Input/output error"
    expect_output --text 'old\n' --in "$page"
    expect_only page
}

@test "31-http-client -o says when it cannot write the file" {
    local long
    mkdir "$BATS_TEST_TMPDIR/files"
    page=$BATS_TEST_TMPDIR/files/page
    serve_pages
    get /hello -o "$BATS_TEST_TMPDIR/no/page"
    [[ $errors == "31-http-client: $BATS_TEST_TMPDIR/no/page."??????": No such \
file or directory" ]]
    expect_equal status 1 "$status"
    get /hello -o "$BATS_TEST_TMPDIR/files"
    expect_result 1 "31-http-client: $BATS_TEST_TMPDIR/files: it is there, and \
is not a regular file"
    get /hello -o /dev/null
    expect_result 1 "31-http-client: /dev/null: it is there, and is not a \
regular file"
    [[ -c /dev/null ]]
    printf -v long '%5000s' ''
    get /hello -o "${long// /a}"
    expect_result 1 "31-http-client: ${long// /a}: the name is too long"
    echo old >"$page"
    run -1 --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 1; "$@"' - \
        "$client" -o "$page" "http://127.0.0.1:$PORT/bytes?200000"
    expect_equal said "31-http-client: $page: File too large" "$stderr"
    expect_output --text 'old\n' --in "$page"
    expect_only page
}

@test "31-http-client says so when standard output is full, gone or closed" {
    serve_pages
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - \
        "$client" "http://127.0.0.1:$PORT/hello"
    expect_equal full "31-http-client: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - \
        "$client" "http://127.0.0.1:$PORT/bytes?900000"
    expect_equal full "31-http-client: standard output: No space left on device" \
        "$stderr"
    # The head goes there also when the body goes into a file.
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - "$client" -i \
        -o "$BATS_TEST_TMPDIR/page" "http://127.0.0.1:$PORT/hello"
    expect_equal full "31-http-client: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "$client" "http://127.0.0.1:$PORT/hello"
    expect_equal gone "31-http-client: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bash -c '"$@" >&-' - \
        "$client" "http://127.0.0.1:$PORT/hello"
    expect_equal closed "31-http-client: descriptor 1: Bad file descriptor" \
        "$stderr"
}

@test "31-http-client refuses wrong arguments, and URLs that it cannot fetch" {
    local bad said usage="usage: 31-http-client [-C CAFILE] \
[-d SERVER | -x PROXY] [-i] [-o FILE]
                      [-t SECONDS] URL"
    try "$client"
    expect_result 2 "$usage"
    try "$client" http://a http://b
    expect_result 2 "$usage"
    try "$client" -o
    [[ $errors == *"$usage" ]]
    expect_equal status 2 "$status"
    try "$client" -y http://a
    [[ $errors == *"$usage" ]]
    try "$client" -d 127.0.0.1 -x 127.0.0.1:1080 http://a
    expect_result 2 "$usage"
    for bad in localhost 127.0.0.1: 127.0.0.1:0 127.0.0.1:65536 127.0.0.1:x \
        ::1:53:x '[::1]' '[::1]:' 127.0.0.256 ""; do
        try "$client" -d "$bad" http://127.0.0.1:1
        expect_result 1 "31-http-client: $bad is not an address, with a port or \
without"
    done
    for bad in localhost 127.0.0.1 127.0.0.1: :1080 127.0.0.1:0 ::1 "" \
        "$(printf 'a%.0s' {1..256}):1"; do
        try "$client" -x "$bad" http://127.0.0.1:1
        expect_result 1 "31-http-client: $bad is not a HOST:PORT"
    done
    for bad in 0 -1 nan 1x '' 86401; do
        try "$client" -t "$bad" http://127.0.0.1:1
        expect_result 1 "31-http-client: $bad is not a number of seconds above 0, up to \
a day"
    done
    while IFS='|' read -r bad said; do
        try "$client" "$(printf '%b' "$bad")"
        expect_result 1 "31-http-client: not a URL that we can fetch: $said"
    done <<'END'
|it does not begin with http:// or https://
example.com|it does not begin with http:// or https://
http://a/b c|it has a blank
http://a/b\nEvil: yes|it has a control character
http://a/ü|it has a character that must be escaped
http://a/%2|it has a % without two digits behind it
http://bank.example@evil.example/|it has a user name
http://a:99999/|its port is not a number from 1 to 65535
http://[::1/|its address has no closing bracket
END
}

# nobody refuse|swallow: PORT is one where every SYN is refused, or none is
# answered.
nobody() {
    start nobody "$BUILD/peers/rude" "$1"
    wait_for nobody '* on *'
    port_of nobody
}

@test "31-http-client says why it cannot connect" {
    nobody refuse
    get /
    expect_result 1 "31-http-client: connect 127.0.0.1 port $PORT: Connection \
refused"
    stop nobody
    nobody swallow
    get / -t 0.2
    expect_result 1 "31-http-client: connect 127.0.0.1 port $PORT: Connection \
timed out"
    need_faults
    try "${faulty[@]/faults/names}" NAMES=host=127.0.0.1 "$client" http://nobody/
    expect_result 1 "31-http-client: nobody: Name or service not known"
}

# stalled FACE: a server that does not send all, and a deadline of 0.2 seconds.
stalled() {
    start_server peer "$rude" serve "$1"
    timed "$client" -t 0.2 "http://127.0.0.1:$PORT/"
}

@test "31-http-client has one deadline for all of it" {
    local face
    for face in silent stall-head stall-body stall-chunk; do
        measured 19 60 stalled "$face"
        expect_result 1 "31-http-client: recv from 127.0.0.1: Connection timed \
out"
        stop peer
    done
    # Each byte comes in time, and all of them do not.
    start_server peer "$rude" serve dribble
    for _ in {1..10}; do # on a busy machine, even connect may take that long
        get / -t 0.02
        [[ $errors == *": connect "* ]] || break
    done
    expect_result 1 "31-http-client: recv from 127.0.0.1: Connection timed out"
}

@test "31-http-client names the call that failed" {
    local call said
    serve_pages
    need_faults
    while read -r call said; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=5 \
            "$client" "http://127.0.0.1:$PORT/hello"
        expect_result 1 "31-http-client: $said 127.0.0.1: Input/output error"
    done <<'END'
recv recv from
send send to
END
    for call in socket connect; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=5 \
            "$client" "http://127.0.0.1:$PORT/hello"
        expect_result 1 "31-http-client: connect 127.0.0.1 port $PORT: \
Input/output error"
    done
    # A kept connection that fails is no reason to give up: see above.
    try "${faulty[@]}" FAULT_CALL=send FAULT_AT=2 FAULT_ERRNO=32 \
        "$client" "http://127.0.0.1:$PORT/old"
    expect_page 'hello\n'
    try "${faulty[@]}" FAULT_CALL=send,connect FAULT_AT=3 FAULT_TIMES=2 FAULT_ERRNO=32 \
        "$client" "http://127.0.0.1:$PORT/old"
    expect_result 1 "31-http-client: connect 127.0.0.1 port $PORT: Broken pipe"
    try "${faulty[@]}" FAULT_CALL=poll FAULT_ERRNO=4 \
        "$client" "http://127.0.0.1:$PORT/old"
    expect_page 'hello\n'
}

# Over TLS.

# serve_secure [CERTIFICATE]: the same pages, by HTTPS.
serve_secure() {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
    local name=${1:-good-address}
    serve_pages -s "$certs/$name.pem" "$certs/$name.key"
}

get_secure() {
    try "$client" -C "$certs/root.pem" "${@:2}" "https://127.0.0.1:$PORT$1"
}

@test "31-http-client fetches over TLS, and keeps the connection" {
    serve_secure
    get_secure /hello
    expect_page 'hello\n'
    get_secure /many?300000
    expect_result 0 ""
    expect_equal bytes 300000 "$(wc -c <"$OUT")"
    get_secure /end
    expect_page 'This is all.\n'
    get_secure /old
    expect_page 'hello\n'
    expect_requests connected /hello connected '/many?300000' connected /end \
        connected /old /hello
    get_secure /leave
    expect_page 'hello\n'
    get_secure /reset
    expect_page 'hello\n'
}

@test "31-http-client believes no server without a good certificate" {
    serve_secure
    try "$client" "https://127.0.0.1:$PORT/hello"
    expect_equal status 1 "$status"
    [[ $errors == "31-http-client: SSL_connect 127.0.0.1: not believed: "* ]]
    expect_output --text ''
    stop pages
    serve_secure good-other # for another name
    get_secure /hello
    expect_result 1 "31-http-client: SSL_connect 127.0.0.1: not believed: IP \
address mismatch"
    run ! grep -q GET "$BATS_TEST_TMPDIR/pages.out"
    try "$client" -C "$BATS_TEST_TMPDIR/none.pem" "https://127.0.0.1:$PORT/"
    expect_result 1 "31-http-client: trust $BATS_TEST_TMPDIR/none.pem: No such \
file or directory"
    # This cannot be a name in a certificate.
    need_faults
    try "${faulty[@]/faults/names}" NAMES=host~lo=127.0.0.1 "$client" \
        -C "$certs/root.pem" "https://host~lo:$PORT/"
    expect_result 1 \
        "31-http-client: SSL_new host~lo: not a host name or an address"
}

@test "31-http-client follows from http to https, and never back" {
    local plain
    start_server plain "$pages" 0
    plain=$PORT
    serve_secure
    try "$client" -C "$certs/root.pem" \
        "http://127.0.0.1:$plain/to?https://127.0.0.1:$PORT/hello"
    expect_page 'hello\n'
    get_secure "/to?http://127.0.0.1:$plain/hello"
    expect_result 1 "31-http-client: 127.0.0.1: a redirect from https to http"
    expect_output --text ''
    expect_equal connections 1 "$(grep -c connected "$BATS_TEST_TMPDIR/plain.out")"
}

@test "31-http-client reports a body over TLS that ends without close_notify" {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
    printf 'HTTP/1.1 200 OK\r\n\r\nhello\n' >"$BATS_TEST_TMPDIR/reply"
    start_server peer "$BUILD/peers/rude-tls" -c 2 -f "$BATS_TEST_TMPDIR/reply" \
        honest "$certs/good-address.pem" "$certs/good-address.key"
    get_secure /
    expect_page 'hello\n'
    # We end with close_notify ourselves, also if the reply is not what we wanted.
    printf 'HTTP/1.1 404 Not Found\r\n\r\nnothing\n' >"$BATS_TEST_TMPDIR/reply"
    get_secure /
    expect_result 1 "31-http-client: 127.0.0.1: 404 Not Found"
    finish peer
    (($(grep -c 'then close_notify' "$BATS_TEST_TMPDIR/peer.out") == 2))
    printf 'HTTP/1.1 200 OK\r\n\r\nhello\n' >"$BATS_TEST_TMPDIR/reply"
    start_server peer2 "$BUILD/peers/rude-tls" -f "$BATS_TEST_TMPDIR/reply" \
        cut "$certs/good-address.pem" "$certs/good-address.key"
    get_secure / -o "$page"
    expect_equal status 1 "$status"
    [[ $errors == "31-http-client: SSL_read 127.0.0.1: "* ]]
    [[ ! -e $page ]]
}

# With a name server of our own.

# serve_zone TEXT: a name server with these records, at $name_server.
serve_zone() {
    printf '%b' "$1" >"$BATS_TEST_TMPDIR/zone"
    start_server zone "$BUILD/peers/zone" "$BATS_TEST_TMPDIR/zone" 0
    name_server=127.0.0.1:$PORT
}

# ask HOST[:PORT] [OPTION...]: fetches /hello from this host, whose addresses
# come from $name_server.
ask() {
    try "${faulty[@]}" "$client" -d "$name_server" "${@:2}" "http://$1/hello"
}

@test "31-http-client -d asks this server for IPv6 addresses, then for IPv4" {
    serve_zone 'here.test 5 A 127.0.0.1\n'
    serve_pages
    ask "here.test:$PORT"
    expect_page 'hello\n'
    expect_lines zone "listening on *" "AAAA here.test. over UDP" \
        "A here.test. over UDP"
    says pages "Host: here.test:$PORT"
    # An address needs no question.
    ask "127.0.0.1:$PORT"
    expect_page 'hello\n'
    expect_equal questions 2 "$(grep -c over "$BATS_TEST_TMPDIR/zone.out")"
}

@test "31-http-client -d goes on to the next address, of either type" {
    serve_zone 'alias.test 5 CNAME here.test
here.test 5 AAAA ::1\nhere.test 5 A 127.0.0.2\nhere.test 5 A 127.0.0.1\n'
    serve_pages
    ask "alias.test:$PORT"
    expect_page 'hello\n'
    # Nobody listens on port 1.
    ask here.test:1
    expect_result 1 "31-http-client: connect here.test port 1: Connection refused"
}

@test "31-http-client -d uses a name that has IPv6 addresses only" {
    local files
    skip_unless python3
    make_files
    serve_zone 'six.test 5 AAAA ::1\n'
    serve_python ::1
    try "$client" -d "$name_server" "http://six.test:$PORT/below"
    expect_page 'inside\n'
}

@test "31-http-client -d takes 32 addresses of each type, and no more" {
    local i web text=''
    for ((i = 1; i <= 32; i++)); do
        text+="full.test 5 AAAA ::1\nfull.test 5 A 127.0.0.9\n"
    done
    serve_pages
    web=$PORT
    serve_zone "${text}full.test 5 A 127.0.0.1\n"
    ask "full.test:$web"
    expect_result 1 "31-http-client: connect full.test port $web: Connection \
refused"
    stop zone
    serve_zone "${text/127.0.0.9/127.0.0.1}"
    ask "full.test:$web"
    expect_page 'hello\n'
}

@test "31-http-client -d asks again for the host of a redirect" {
    serve_zone 'one.test 5 A 127.0.0.1\ntwo.test 5 A 127.0.0.1\n'
    serve_pages
    try "$client" -d "$name_server" \
        "http://one.test:$PORT/to?http://two.test:$PORT/hello"
    expect_page 'hello\n'
    expect_lines zone "listening on *" "AAAA one.test. over UDP" \
        "A one.test. over UDP" "AAAA two.test. over UDP" "A two.test. over UDP"
    try "$client" -d "$name_server" \
        "http://one.test:$PORT/to?http://three.test:$PORT/hello"
    expect_result 1 "31-http-client: there is no name three.test."
}

@test "31-http-client -d says why a name has no address" {
    local label
    serve_zone 'mail.test 5 MX 10 here.test\nalias.test 5 CNAME nowhere.test
round.test 5 CNAME round.test\n'
    ask nowhere.test
    expect_result 1 "31-http-client: there is no name nowhere.test."
    expect_lines zone "listening on *" "AAAA nowhere.test. over UDP"
    ask alias.test
    expect_result 1 "31-http-client: there is no name nowhere.test."
    ask mail.test
    expect_result 1 "31-http-client: mail.test. has no address"
    ask round.test
    expect_result 1 "31-http-client: over 16 aliases follow each other"
    for label in a..b "$(printf 'a%.0s' {1..64})"; do
        ask "$label"
        expect_result 1 "31-http-client: $label is not a name"
    done
}

# meets FACE REASON: that is what is said of a rude-dns. @ is its address.
meets() {
    start_server peer "$BUILD/peers/rude-dns" -d 20 "$1" 0
    name_server=127.0.0.1:$PORT
    ask www.example -t 2
    expect_equal "status with $1" 1 "$status"
    expect_equal "what is said of $1" "31-http-client: $2" \
        "${errors//$name_server/@}"
    stop peer
}

@test "31-http-client -d believes no bad reply, and says what was wrong" {
    local face said
    while IFS='|' read -r face said; do
        meets "$face" "$said"
    done <<'END'
pointer-to-itself|@: the reply is damaged
pointers-in-a-circle|@: the reply is damaged
label-outside|@: the reply is damaged
address-of-3|@: the reply is damaged
address-of-15|@: the reply is damaged
half-a-record|@: the reply is damaged
server-failure|@: it could not find out (SERVFAIL)
refused|@: it refused to answer
format-error|@: it did not understand the question
another-name-alone|www.example. has no address
another-class|www.example. has no address
another-type|www.example. has no address
alias-of-itself|over 16 aliases follow each other
tcp-refused|connect @: Connection refused
tcp-half|@: the connection ended before the reply did
tcp-cut|@: the reply over TCP is cut, too
tcp-wrong-id|@: the reply answers another question
END
}

@test "31-http-client -d asks again over TCP when the reply is cut" {
    local i text=''
    for ((i = 0; i < 100; i++)); do
        text+="many.test 5 A 127.0.0.$((i == 1 ? 1 : 9))\n"
    done
    serve_zone "$text"
    serve_pages
    ask "many.test:$PORT"
    expect_page 'hello\n'
    says zone "A many.test. over TCP"
}

# waits_for FACE: sets took to how long we wait for this rude-dns.
waits_for() {
    start_server peer "$BUILD/peers/rude-dns" "$1" 0
    name_server=127.0.0.1:$PORT
    timed "$client" -d "$name_server" -t 0.3 http://www.example/
}

@test "31-http-client -d ends at its deadline if the server is silent" {
    local face
    for face in silent endless tcp-silent; do
        measured 30 60 waits_for "$face"
        expect_result 1 "31-http-client: $name_server: no answer in time"
    done
}

@test "31-http-client -d says so if there is no name server" {
    nobody refuse
    name_server=127.0.0.1:$PORT
    stop nobody
    ask here.test
    expect_result 1 "31-http-client: recv from $name_server: Connection refused"
}

@test "31-http-client -d asks twice, because UDP loses datagrams" {
    need_faults
    serve_zone 'here.test 5 A 127.0.0.1\n'
    serve_pages
    faulty+=(FAULT_CALL=send FAULT_ERRNO=5)
    ask "here.test:$PORT"
    expect_page 'hello\n'
    faulty+=(FAULT_TIMES=2)
    ask "here.test:$PORT"
    expect_result 1 "31-http-client: send to $name_server: Input/output error"
}

# Through a proxy.

# serve_proxy [OPTION...]: that of lesson 33, at $via.
serve_proxy() {
    start_server proxy "$BUILD/33-socks-proxy" "$@" 0
    via=127.0.0.1:$PORT
}

# through URL [OPTION...]
through() {
    try "${faulty[@]}" "$client" -x "$via" "${@:2}" "$1"
}

@test "31-http-client -x fetches through the proxy of lesson 33" {
    local first
    serve_proxy -a 127.0.0.0/8
    serve_pages
    first=$PORT
    through "http://127.0.0.1:$PORT/old"
    expect_page 'hello\n'
    expect_requests connected /old /hello
    # The proxy looks up the name.
    through "http://localhost:$PORT/bytes?3000000" -o "$page"
    expect_result 0 ""
    expect_equal bytes 3000000 "$(wc -c <"$page")"
    until_true says proxy "127.0.0.1:* to localhost port $PORT: connected"
    # A redirect to another server asks the proxy again.
    start_server other "$pages" 0
    through "http://127.0.0.1:$first/to?http://127.0.0.1:$PORT/hello"
    expect_page 'hello\n'
    until_true says proxy "127.0.0.1:* to 127.0.0.1 port $PORT: connected"
}

@test "31-http-client -x says what the proxy of lesson 33 refuses" {
    serve_proxy
    through http://127.0.0.1:1/
    expect_result 1 "31-http-client: proxy 127.0.0.1 port ${via#*:}: it does not \
allow this server"
    through 'http://[::1]:1/'
    expect_result 1 "31-http-client: proxy 127.0.0.1 port ${via#*:}: it does not \
allow this server"
    stop proxy
    through http://127.0.0.1:1/
    expect_result 1 "31-http-client: connect 127.0.0.1 port ${via#*:}: \
Connection refused"
    serve_proxy -a 127.0.0.0/8
    through http://127.0.0.1:1/
    expect_result 1 "31-http-client: proxy 127.0.0.1 port ${via#*:}: the server \
refuses the connection"
}

@test "31-http-client -x sends what RFC 1928 says, for each kind of address" {
    local host length wanted long
    local reply=485454502f312e3120323034204e6f0d0a0d0a # HTTP/1.1 204 No
    printf -v long 'a%.0s' {1..255}
    while read -r host length wanted; do
        start_server proxy "$BUILD/peers/proxy" -3 0500 "-$length" \
            "05000001000000000000$reply" stall
        via=127.0.0.1:$PORT
        through "http://$host:258/"
        expect_page ''
        expect_lines proxy "listening on *" 050100 "$wanted"
        stop proxy
    done <<END
1.2.3.4 10 05010001010203040102
[1:2::3] 22 05010004000100020000000000000000000000030102
a.b 10 0501000303612e620102
$long 262 05010003ff${long//a/61}0102
END
}

@test "31-http-client -x takes each form of reply, in pieces, and no byte more" {
    local address reply
    need_faults
    reply=$(printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n' |
        od -An -v -tx1 | tr -d ' \n')
    for address in 01010203040050 \
        04000000000000000000000000000000010050 0303612e620050 03000050; do
        start_server proxy "$BUILD/peers/proxy" -3 0500 -10 \
            "050000$address$reply" stall
        via=127.0.0.1:$PORT
        through http://1.2.3.4/
        expect_page 'hi\n'
        faulty+=('FAULT_SHORT=recv,send')
        through http://1.2.3.4/
        expect_page 'hi\n'
        unset 'faulty[-1]'
        stop proxy
    done
}

@test "31-http-client -x says why a proxy has not connected" {
    local step said
    local -a steps
    while IFS='|' read -r step said; do
        read -ra steps <<<"$step"
        start_server proxy "$BUILD/peers/proxy" -3 "${steps[@]}"
        via=127.0.0.1:$PORT
        through http://1.2.3.4/ -t 0.3
        expect_equal "status after $step" 1 "$status"
        expect_equal "what is said after $step" \
            "31-http-client: proxy 127.0.0.1 port $PORT: $said" "$errors"
        stop proxy
    done <<'END'
05ff|it wants a password
0502|it has chosen a method that we do not know
0400|it does not speak SOCKS 5
4854|it does not speak SOCKS 5
05|it has ended the connection
reset|Connection reset by peer
stall|Connection timed out
0500 -10|it has ended the connection
0500 -10 reset|Connection reset by peer
0500 -10 stall|Connection timed out
0500 -10 05|it has ended the connection
0500 -10 04000001010203040050|it does not speak SOCKS 5
0500 -10 05010001010203040050|it has failed
0500 -10 05020001010203040050|it does not allow this server
0500 -10 05030001010203040050|it cannot reach the network of the server
0500 -10 05040001010203040050|it cannot reach the server
0500 -10 05050001010203040050|the server refuses the connection
0500 -10 05060001010203040050|the server is too far away
0500 -10 05070001010203040050|it does not know how to connect
0500 -10 05080001010203040050|it does not know this kind of address
0500 -10 05090001010203040050|it reports an unknown error
0500 -10 05000002010203040050|its reply has an unknown kind of address
0500 -10 05000001010203|it has ended the connection
0500 -10 05000003|it has ended the connection
0500 -10 0500000305616263|it has ended the connection
END
}

@test "31-http-client -x fetches over TLS, end to end" {
    serve_proxy -a 127.0.0.0/8
    serve_secure
    through "https://127.0.0.1:$PORT/hello" -C "$certs/root.pem"
    expect_page 'hello\n'
    through "https://localhost:$PORT/hello" -C "$certs/root.pem"
    expect_equal status 1 "$status"
    [[ $errors == "31-http-client: SSL_connect localhost: not believed: "* ]]
}

# Bad replies. This is the verdict of two clients on each face of rude-http:
# FACE|STATUS OF CURL 7.88|WHAT WE SAY, which is nothing where we fetch the page.
# Where the status of curl is 0, and we refuse the reply, curl has fetched it.
# "recv from" stands for a call that failed; all else is said of 127.0.0.1.
verdicts() {
    cat <<'END'
good|0|
dribble|0|
stays-open|0|
lf-only|0|
no-reason|0|
empty-reason|0|
long-reason|0|
version-1.0|0|
version-1.9|1|
small-names|0|
no-blank|0|
many-blanks|0|
folded|0|
folded-length|8|
empty-value|0|
eight-bits|0|
escape-in-value|0|
continue|0|
hundred-hints|0|
until-end|0|
until-end-close|0|
no-fields|0|
length-0|0|
length-zeros|0|
same-length-twice|0|
same-length-listed|0|
more-than-length|0|
second-reply|0|
no-content|0|
no-content-with-body|0|
chunks|0|
chunks-dribble|0|
chunks-lf|0|the body has a chunk size whose line has no CR
chunks-capitals|0|
chunk-extension|0|
chunk-blank|0|
chunk-trailer|0|
chunks-and-length|0|
many-chunks|0|
fields-199|0|
head-60000|0|
not-found|22|404 Not Found
status-299|0|
status-999|22|999 What
escape-in-reason|22|404 ?[2JGone
moved-nowhere|0|302 Found
nothing|52|it has ended without a reply
reset-at-once|56|recv from: Connection reset by peer
silent|28|recv from: Connection timed out
cut-in-version|52|the head of the reply is cut
cut-in-status|52|the head of the reply is cut
cut-in-field|0|the head of the reply is cut
cut-before-empty-line|18|the head of the reply is cut
cut-in-continue|52|the head of the reply is cut
only-continue|52|it has ended without a reply
cut-body|18|the body is cut
cut-body-close|18|the body is cut
cut-empty-body|18|the body is cut
reset-body|56|recv from: Connection reset by peer
reset-until-end|56|recv from: Connection reset by peer
stall-head|28|recv from: Connection timed out
stall-body|28|recv from: Connection timed out
stall-chunk|28|recv from: Connection timed out
cut-chunk-size|18|the body is cut
cut-chunk|18|the body is cut
cut-behind-chunk|18|the body is cut
cut-before-last-chunk|18|the body is cut
cut-last-chunk|18|the body is cut
cut-trailer|18|the body is cut
no-end-of-trailer|18|the body is cut
no-http|1|the reply has no HTTP/1 in its first line
another-protocol|1|the reply has no HTTP/1 in its first line
http-2|0|the reply has no HTTP/1 in its first line
version-2.0|0|the reply has no HTTP/1 in its first line
version-1.|1|the reply has no HTTP/1 in its first line
version-1.11|1|the reply has no HTTP/1 in its first line
version-small|0|the reply has no HTTP/1 in its first line
icy|1|the reply has no HTTP/1 in its first line
status-20|1|the reply has a status that is not a number of three digits
status-2000|1|the reply has a status that is not a number of three digits
status-099|1|the reply has a status that is not a number of three digits
status-2x0|1|the reply has a status that is not a number of three digits
status-negative|1|the reply has a status that is not a number of three digits
no-status|1|the reply has a status that is not a number of three digits
two-blanks|0|the reply has a status that is not a number of three digits
blank-first|1|the reply has no HTTP/1 in its first line
empty-line-first|1|the reply has no HTTP/1 in its first line
switching-protocols|0|it wants another protocol
part-not-asked-for|0|206 Partial Content
no-colon|8|the reply has a line without a colon
blank-before-colon|0|the reply has a space before a colon
no-name|0|the reply has a wrong name of a field
blank-in-name|0|the reply has a wrong name of a field
folded-first|43|the reply has a line that begins with a blank
cr-in-value|0|the reply has a CR that ends no line
cr-before-cr-lf|0|the reply has a CR that ends no line
nul-in-value|8|the reply has a NUL
nul-in-name|8|the reply has a NUL
fields-201|0|the reply has too many fields
head-too-long|0|the reply has a head that is too long
endless-head|56|the reply has too many fields
endless-line|27|the reply has a head that is too long
endless-first-line|1|the reply has a head that is too long
two-lengths|0|the reply has two different lengths
lengths-listed|0|the reply has two different lengths
length-plus|0|the reply has a Content-Length that is not a number
length-minus|8|the reply has a Content-Length that is not a number
length-empty|8|the reply has a Content-Length that is not a number
length-word|8|the reply has a Content-Length that is not a number
length-x|0|the reply has a Content-Length that is not a number
length-hex|0|the reply has a Content-Length that is not a number
length-point|0|the reply has a Content-Length that is not a number
length-two-words|0|the reply has a Content-Length that is not a number
length-2-64|0|the reply has a Content-Length that is not a number
length-huge|0|the body is cut
length-comma|0|
coding-unknown|61|the reply has an unknown Transfer-Encoding
coding-not-last|61|the reply has an unknown Transfer-Encoding
chunked-twice|0|the reply has an unknown Transfer-Encoding
coding-empty|0|the reply has an unknown Transfer-Encoding
coding-xchunked|61|the reply has an unknown Transfer-Encoding
chunk-no-size|56|the body has a chunk size that is not a number
chunk-word|56|the body has a chunk size that is not a number
chunk-0x6|43|the body has a chunk size that is not a number
chunk-plus|56|the body has a chunk size that is not a number
chunk-minus|56|the body has a chunk size that is not a number
chunk-blank-first|56|the body has a chunk size that is not a number
chunk-overflow|56|the body has a chunk size that is too large
chunk-17-digits|56|the body has a chunk size that is too large
chunk-huge|56|the body is cut
chunk-too-long|56|the body has a chunk without CR LF behind its data
chunk-too-short|0|the body has a chunk without CR LF behind its data
chunk-cr|18|the body has a CR that ends no line
chunk-cr-behind|56|the body has a chunk without CR LF behind its data
chunk-no-end-of-line|56|the body has a chunk without CR LF behind its data
endless-size|56|the body has a line beside the chunks that is too long
endless-extension|28|the body has a line beside the chunks that is too long
endless-trailer|28|the body has a trailer that is too long
moved-round|47|more than 10 redirects
moved-empty|0|more than 10 redirects
moved-to-a-file|1|a redirect that we cannot follow: it does not begin with http:// or https://
moved-to-ftp|7|a redirect that we cannot follow: it does not begin with http:// or https://
moved-to-port-0|7|a redirect that we cannot follow: its port is not a number from 1 to 65535
moved-to-port-65536|3|a redirect that we cannot follow: its port is not a number from 1 to 65535
moved-to-no-host|6|a redirect that we cannot follow: it has no host
END
}

# reason_of WHAT: sets reason to all that is said then.
reason_of() {
    reason=
    case $1 in
    '') ;;
    'recv from: '*) reason="31-http-client: recv from 127.0.0.1:${1#*:}" ;;
    *) reason="31-http-client: 127.0.0.1: $1" ;;
    esac
}

# differs_from_curl FACE: we and curl judge this face in different ways, and why.
differs_from_curl() {
    case $1 in
    # Each number behind the point is HTTP/1: RFC 9110, section 2.5.
    version-1.9) ;;
    # A folded line counts as blanks, in every field: RFC 9112, section 5.2.
    folded-length) ;;
    # An empty element of a list counts for nothing: RFC 9110, section 5.6.1.
    # Curl 8.14 takes it so too, curl 8.22 does not.
    length-comma) ;;
    *) return 1 ;;
    esac
}

@test "31-http-client judges each bad reply as it should" {
    local face said reason faces=''
    while IFS='|' read -r face _ said; do
        faces+="$face"$'\n'
        reason_of "$said"
        start_server "$face" "$rude" serve "$face"
        try "$client" -t 0.3 "http://127.0.0.1:$PORT/"
        expect_equal "what is said of $face" "$reason" "$errors"
        expect_equal "status of $face" "$((${#reason} > 0))" "$status"
        stop "$face"
    done < <(verdicts)
    expect_equal faces "$("$rude" faces)" "${faces%$'\n'}"
    expect_equal "how many, as the text says" 145 "$("$rude" faces | wc -l)"
}

@test "31-http-client fetches nothing that curl refuses, and gives the same bytes" {
    local face said
    skip_unless curl
    while IFS='|' read -r face _ said; do
        if [[ -n $said ]] || differs_from_curl "$face"; then
            continue
        fi
        start_server "$face" "$rude" serve "$face"
        try "$client" -t 2 "http://127.0.0.1:$PORT/"
        mv "$OUT" "$BATS_TEST_TMPDIR/ours"
        try curl -gsSfL --noproxy '*' -m 2 "http://127.0.0.1:$PORT/"
        expect_equal "curl's status of $face" 0 "$status"
        expect_output "$BATS_TEST_TMPDIR/ours"
        stop "$face"
    done < <(verdicts)
}

# Strangers.

# make_files: a folder with files of many sizes, and one in a folder below.
make_files() {
    local size
    files=$BATS_TEST_TMPDIR/root
    mkdir -p "$files/below"
    for size in 0 1 4095 65536 1000001; do
        head -c "$size" /dev/urandom >"$files/$size.bin"
    done
    echo inside >"$files/below/index.html"
}

# fetch_files: the client gets each file from $PORT, as it is, and follows the
# redirect of a folder without a slash. If there is curl, it gets the same.
fetch_files() {
    local path
    for path in 0.bin 1.bin 4095.bin 65536.bin 1000001.bin; do
        get "/$path" -o "$page"
        expect_result 0 ""
        cmp "$files/$path" "$page"
    done
    get /below
    expect_page 'inside\n'
    get /no/such
    expect_equal status 1 "$status"
    [[ $errors == "31-http-client: 127.0.0.1: 404 "* ]]
    command -v curl >/dev/null || return 0
    cp "$OUT" "$BATS_TEST_TMPDIR/ours"
    try curl -sSL --noproxy '*' -A 31-http-client "http://127.0.0.1:$PORT/no/such"
    expect_output "$BATS_TEST_TMPDIR/ours"
}

# serve_python ADDRESS: python3's web server with these files.
serve_python() {
    start python python3 -u -m http.server -b "$1" -d "$files" 0
    until_true says_or_ended python 'Serving HTTP on *'
    is_running python || skip "python3 cannot listen on $1"
    PORT=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$BATS_TEST_TMPDIR/python.out")
}

@test "31-http-client fetches from python3's http.server" {
    local files
    skip_unless python3
    make_files
    serve_python 127.0.0.1
    fetch_files
}

@test "31-http-client fetches over IPv6" {
    local files
    skip_unless python3
    make_files
    serve_python ::1
    try "$client" -o "$page" "http://[::1]:$PORT/65536.bin"
    expect_result 0 ""
    cmp "$files/65536.bin" "$page"
    try "$client" "http://[::1]:$PORT/below"
    expect_page 'inside\n'
}

# write_nginx_conf: nginx serves the same files. Below /chunked/ it looks for
# commands in them, so it does not know how long they will be.
write_nginx_conf() {
    local folder=$BATS_TEST_TMPDIR
    cat >"$folder/nginx.conf" <<END
daemon off; master_process off; pid $folder/nginx.pid;
error_log $folder/nginx.log;
events {}
http {
    access_log off;
    client_body_temp_path $folder/t1; proxy_temp_path $folder/t2;
    fastcgi_temp_path $folder/t3; uwsgi_temp_path $folder/t4;
    scgi_temp_path $folder/t5;
    server {
        listen 127.0.0.1:$PORT;
        root $files;
        location /chunked/ { alias $files/; ssi on; ssi_types *; }
    }
}
END
}

# start_nginx: on a port that is free.
start_nginx() {
    local i
    for i in {1..5}; do
        PORT=$((20000 + RANDOM % 12000))
        write_nginx_conf
        start "nginx$i" nginx -e "$BATS_TEST_TMPDIR/nginx.log" \
            -c "$BATS_TEST_TMPDIR/nginx.conf"
        until_true nginx_answers "nginx$i" || true
        ! is_running "nginx$i" || return 0
    done
    skip "nginx does not start here"
}

nginx_answers() {
    ! is_running "$1" || (: <>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

@test "31-http-client fetches from nginx, in chunks too" {
    local files
    skip_unless nginx
    make_files
    start_nginx
    fetch_files
    get /chunked/65536.bin -i
    expect_result 0 ""
    grep -qa '^Transfer-Encoding: chunked$' "$OUT"
    get /chunked/65536.bin -o "$page"
    expect_result 0 ""
    cmp "$files/65536.bin" "$page"
}
