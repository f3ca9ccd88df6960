#!/usr/bin/env bats
# common/http and lessons/31-http-client/url: tables of what goes in and what
# comes out.

load ../lib/common

tell=$BUILD/tests/tell-http
tell_url=$BUILD/tests/tell-url

# expect_table KIND [BEGINNING]: each line of standard input is `BYTES ->
# RESULT`, BYTES with printf's escapes, and BEGINNING stands before them.
expect_table() {
    local line count=0
    while IFS= read -r line; do
        expect_equal "${line% -> *}" "${line##* -> }" \
            "$(printf '%b' "${2-}${line% -> *}" | bounded "$tell" "$1")"
        count=$((count + 1))
    done
    ((count > 0))
}

@test "http_parse_reply reads a first line, and refuses what is none" {
    expect_table reply <<'END'
HTTP/1.1 200 OK\r\n\r\n -> 200 [OK] 1.1, 0 left, until the end
HTTP/1.0 404 Not Found\r\n\r\nabc -> 404 [Not Found] 1.0, 3 left, until the end
HTTP/1.1 200 \r\n\r\n -> 200 [] 1.1, 0 left, until the end
HTTP/1.1 200\r\n\r\n -> 200 [] 1.1, 0 left, until the end
HTTP/1.9 999 x\r\n\r\n -> 999 [x] 1.9, 0 left, until the end
HTTP/1.1 100 x\n\n -> 100 [x] 1.1, 0 left, no body
HTTP/1.1 200 \xe4\r\n\r\n -> 200 [\e4] 1.1, 0 left, until the end
 -> unfinished
H -> unfinished
HTTP/1.1 200 OK -> unfinished
HTTP/1.1 200 OK\r\n -> unfinished
HTTP/1.1 200 OK\r\n\r -> unfinished
\r\n -> no HTTP/1 in its first line
\r\nHTTP/1.1 200 OK\r\n\r\n -> no HTTP/1 in its first line
HTTP/2 200 OK\r\n -> no HTTP/1 in its first line
HTTP/2.0 200 OK\r\n -> no HTTP/1 in its first line
HTTP/1. 200 OK\r\n -> no HTTP/1 in its first line
HTTP/1.10 200 OK\r\n -> no HTTP/1 in its first line
HTTP/1.x 200 OK\r\n -> no HTTP/1 in its first line
http/1.1 200 OK\r\n -> no HTTP/1 in its first line
 HTTP/1.1 200 OK\r\n -> no HTTP/1 in its first line
HTTP/1.1\r\n -> a status that is not a number of three digits
HTTP/1.1  200 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 20 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 2000 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 099 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 +20 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 2/0 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 2:0 OK\r\n -> a status that is not a number of three digits
HTTP/1.1 200 O\rK\r\n -> a CR that ends no line
HTTP/1.1 200 O\0K\r\n -> a NUL
END
}

@test "http_parse_reply reads fields, and refuses what are none" {
    expect_table reply 'HTTP/1.1 204 x\r\n' <<'END'
A: b\r\n\r\n -> 204 [x] 1.1 [A][b], 0 left, no body
A:b\n\n -> 204 [x] 1.1 [A][b], 0 left, no body
A: \t b c \t \r\n\r\n -> 204 [x] 1.1 [A][b c], 0 left, no body
A:\r\nB:\r\n\r\n -> 204 [x] 1.1 [A][] [B][], 0 left, no body
A: b:c\r\n\r\n -> 204 [x] 1.1 [A][b:c], 0 left, no body
!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n -> 204 [x] 1.1 [!#$%&'*+-.^_`|~09azAZ][b], 0 left, no body
A: b\r\n c\r\n\t d\r\n\r\n -> 204 [x] 1.1 [A][b   c  \09 d], 0 left, no body
A:\r\n c\r\n\r\n -> 204 [x] 1.1 [A][c], 0 left, no body
A: b\r\n \r\nC: d\r\n\r\n -> 204 [x] 1.1 [A][b] [C][d], 0 left, no body
A: b\r\n c -> unfinished
A: \x1b\xff\r\n\r\n -> 204 [x] 1.1 [A][\1b\ff], 0 left, no body
A: b\r\n\r\nA: c\r\n\r\n -> 204 [x] 1.1 [A][b], 8 left, no body
A: b\r\n\r -> unfinished
A -> unfinished
A\r\n -> a line without a colon
: b\r\n -> a wrong name of a field
A b: c\r\n -> a wrong name of a field
A(: c\r\n -> a wrong name of a field
\xe4: c\r\n -> a wrong name of a field
A : b\r\n -> a space before a colon
A\t: b\r\n -> a space before a colon
 A: b\r\n -> a line that begins with a blank
A: b\rC: d\r\n -> a CR that ends no line
A: b\r\r\n -> a CR that ends no line
A: b\0\r\n -> a NUL
A\0: b\r\n -> a NUL
END
}

@test "http_parse_request reads a request, and is stricter than with a reply" {
    expect_table request <<'END'
GET / HTTP/1.1\r\nHost: a\r\n\r\n -> [GET][/] 1.1 [Host][a], 0 left, no body
GET / HTTP/1.0\n\n -> [GET][/] 1.0, 0 left, no body
M-SEARCH * HTTP/1.1\r\n\r\n -> [M-SEARCH][*] 1.1, 0 left, no body
GET /\xe4 HTTP/1.1\r\n\r\n -> [GET][/\e4] 1.1, 0 left, no body
GET / HTTP/1.1\r\n\r\nGET -> [GET][/] 1.1, 3 left, no body
GET / HTTP/1.1\r\nA: b\r\n -> unfinished
GET / HTTP/1.1\r\nA: b\r\n c\r\n -> a line that begins with a blank
GET\r\n -> no target
GET / \r\n -> no HTTP/1 in its first line
GET /\r\n -> no HTTP/1 in its first line
GET  / HTTP/1.1\r\n -> no target
GET /  HTTP/1.1\r\n -> no HTTP/1 in its first line
GET / a HTTP/1.1\r\n -> no HTTP/1 in its first line
GET / HTTP/1.1 \r\n -> no HTTP/1 in its first line
GET / HTTP/2.0\r\n -> no HTTP/1 in its first line
GET /\x01 HTTP/1.1\r\n -> a control character in the target
GET /\x7f HTTP/1.1\r\n -> a control character in the target
G(T / HTTP/1.1\r\n -> a wrong method
 GET / HTTP/1.1\r\n -> a wrong method
\r\n -> a wrong method
POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n -> [POST][/] 1.1 [Content-Length][5], 0 left, 5 bytes
POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][chunked], 0 left, chunks
POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][gzip], 0 left, confused: an unknown Transfer-Encoding
POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][chunked] [Content-Length][5], 0 left, confused: a length and chunks
POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n -> [POST][/] 1.1 [Content-Length][5] [Content-Length][6], 0 left, confused: two different lengths
END
}

# The examples of RFC 9112: the four forms of a target (section 3.2), and those
# of section 11.2 by which a request is smuggled past a proxy. A proxy and a
# server that find the end of such a request in different places take the bytes
# behind it for something else.
@test "http_parse_request reads the examples of RFC 9112 and RFC 9110" {
    expect_table request <<'END'
GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n\r\n -> [GET][/where?q=now] 1.1 [Host][www.example.org], 0 left, no body
GET http://www.example.org/pub/WWW/TheProject.html HTTP/1.1\r\n\r\n -> [GET][http://www.example.org/pub/WWW/TheProject.html] 1.1, 0 left, no body
CONNECT www.example.com:80 HTTP/1.1\r\nHost: www.example.com\r\n\r\n -> [CONNECT][www.example.com:80] 1.1 [Host][www.example.com], 0 left, no body
OPTIONS * HTTP/1.1\r\nHost: www.example.org:8001\r\n\r\n -> [OPTIONS][*] 1.1 [Host][www.example.org:8001], 0 left, no body
GET /hello.txt HTTP/1.1\r\nUser-Agent: curl/7.64.1\r\nHost: www.example.com\r\nAccept-Language: en, mi\r\n\r\n -> [GET][/hello.txt] 1.1 [User-Agent][curl/7.64.1] [Host][www.example.com] [Accept-Language][en, mi], 0 left, no body
END
    expect_table request 'POST / HTTP/1.1\r\n' <<'END'
Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /a -> [POST][/] 1.1 [Content-Length][13] [Transfer-Encoding][chunked], 11 left, confused: a length and chunks
Content-Length: 42, 42\r\n\r\n -> [POST][/] 1.1 [Content-Length][42, 42], 0 left, 42 bytes
Content-Length: 42, 43\r\n\r\n -> [POST][/] 1.1 [Content-Length][42, 43], 0 left, confused: two different lengths
Content-Length: 5\r\nContent-Length: 5\r\n\r\n -> [POST][/] 1.1 [Content-Length][5] [Content-Length][5], 0 left, 5 bytes
Content-Length: 0x5\r\n\r\n -> [POST][/] 1.1 [Content-Length][0x5], 0 left, confused: a Content-Length that is not a number
Transfer-Encoding: gzip, chunked\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][gzip, chunked], 0 left, confused: an unknown Transfer-Encoding
Transfer-Encoding: chunked, gzip\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][chunked, gzip], 0 left, confused: an unknown Transfer-Encoding
Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][chunked] [Transfer-Encoding][identity], 0 left, confused: an unknown Transfer-Encoding
Transfer-Encoding: xchunked\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][xchunked], 0 left, confused: an unknown Transfer-Encoding
Transfer-Encoding: \x0bchunked\r\n\r\n -> [POST][/] 1.1 [Transfer-Encoding][\0bchunked], 0 left, confused: an unknown Transfer-Encoding
Transfer-Encoding : chunked\r\n\r\n -> a space before a colon
X: y\r\n Transfer-Encoding: chunked\r\n\r\n -> a line that begins with a blank
X: y\rTransfer-Encoding: chunked\r\n\r\n -> a CR that ends no line
END
    expect_table reply <<'END'
HTTP/1.1 200 OK\r\nDate: Mon, 27 Jul 2009 12:28:53 GMT\r\nServer: Apache\r\nContent-Length: 51\r\n\r\nHello World! -> 200 [OK] 1.1 [Date][Mon, 27 Jul 2009 12:28:53 GMT] [Server][Apache] [Content-Length][51], 12 left, 51 bytes
END
}

# framing_of STATUS FIELDS: sets framing to how the body of such a reply ends.
framing_of() {
    framing=$(printf 'HTTP/1.1 %s x\r\n%b\r\n' "$1" "$2" | "$tell" "${3:-reply}")
    framing=${framing##* left, }
}

@test "http_reply_framing says where a body ends" {
    local framing line fields
    while IFS= read -r line; do
        fields=${line% -> *}
        framing_of 200 "$fields"
        expect_equal "$fields" "${line##* -> }" "$framing"
    done <<'END'
 -> until the end
Content-Length: 0\r\n -> 0 bytes
content-length: 17\r\n -> 17 bytes
Content-Length: 007\r\n -> 7 bytes
Content-Length: 18446744073709551615\r\n -> 18446744073709551615 bytes
Content-Length: 18446744073709551616\r\n -> confused: a Content-Length that is not a number
Content-Length: 99999999999999999999\r\n -> confused: a Content-Length that is not a number
Content-Length: 340282366920938463463374607431768211461\r\n -> confused: a Content-Length that is not a number
Content-Length: 5\r\nContent-Length: 5\r\n -> 5 bytes
Content-Length: 5\r\nContent-Length: 6\r\n -> confused: two different lengths
Content-Length: 5, 5\r\n -> 5 bytes
Content-Length: 5, 6\r\n -> confused: two different lengths
Content-Length: 5\r\ncontent-length: 5, 7\r\n -> confused: two different lengths
Content-Length: ,5\r\n -> confused: a Content-Length that is not a number
Content-Length: 5,,5\r\n -> confused: a Content-Length that is not a number
Content-Length:\r\n -> confused: a Content-Length that is not a number
Content-Length: +5\r\n -> confused: a Content-Length that is not a number
Content-Length: -5\r\n -> confused: a Content-Length that is not a number
Content-Length: 5x\r\n -> confused: a Content-Length that is not a number
Content-Length: 0x5\r\n -> confused: a Content-Length that is not a number
Content-Length: 5 5\r\n -> confused: a Content-Length that is not a number
Transfer-Encoding: chunked\r\n -> chunks
Transfer-Encoding: CHUNKED\r\n -> chunks
Transfer-Encoding: chunked\r\nContent-Length: 5\r\n -> chunks
Transfer-Encoding: chunked\r\nContent-Length: x\r\n -> chunks
Transfer-Encoding: chunked, chunked\r\n -> confused: an unknown Transfer-Encoding
Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n -> confused: an unknown Transfer-Encoding
Transfer-Encoding: gzip, chunked\r\n -> confused: an unknown Transfer-Encoding
Transfer-Encoding: identity\r\n -> confused: an unknown Transfer-Encoding
Transfer-Encoding:\r\n -> confused: an unknown Transfer-Encoding
END
    for line in 100 199 204 304; do
        framing_of "$line" 'Content-Length: 5\r\n'
        expect_equal "$line" "no body" "$framing"
    done
    for line in 200 205 206 301 404 500 999; do
        framing_of "$line" 'Content-Length: 5\r\n'
        expect_equal "$line" "5 bytes" "$framing"
        framing_of "$line" 'Content-Length: 5\r\n' head-reply
        expect_equal "$line" "no body" "$framing"
    done
}

# Chunks as in RFC 9112, section 7.1.
@test "http_chunks_read reads chunks, in pieces of any size" {
    expect_table chunks <<'END'
0\r\n\r\n -> [] end, 0 left
6\r\nhello\n\r\n0\r\n\r\n -> [hello\0a] end, 0 left
2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\nHTTP -> [hello\0a] end, 4 left
a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n -> [01234567890123456789] end, 0 left
0006\r\nhello\n\r\n0\r\n\r\n -> [hello\0a] end, 0 left
6;a=b\r\nhello\n\r\n0;c="d"\r\n\r\n -> [hello\0a] end, 0 left
6 \t;a\r\nhello\n\r\n0\r\n\r\n -> [hello\0a] end, 0 left
6\r\nhello\n\r\n0\r\nA: b\r\nC: d\r\n\r\nx -> [hello\0a] end, 1 left
6\r\nhello\n\r\n0\r\nA: b\n\nx -> [hello\0a] end, 1 left
0\r\nA: b\n\r\nx -> [] end, 1 left
0\r\nA: b\rC\r\n\r\n -> [] a CR that ends no line
0\r\n\r\r\n -> [] a CR that ends no line
4\r\n\r\n\r\n\r\n0\r\n\r\n -> [\0d\0a\0d\0a] end, 0 left
 -> [] unfinished
6 -> [] unfinished
6\r -> [] unfinished
6\r\n -> [] unfinished
6\r\nhel -> [hel] unfinished
6\r\nhello\n -> [hello\0a] unfinished
6\r\nhello\n\r -> [hello\0a] unfinished
6\r\nhello\n\r\n -> [hello\0a] unfinished
6\r\nhello\n\r\n0 -> [hello\0a] unfinished
6\r\nhello\n\r\n0\r\n -> [hello\0a] unfinished
6\r\nhello\n\r\n0\r\n\r -> [hello\0a] unfinished
6\r\nhello\n\r\n0\r\nA: b\r\n -> [hello\0a] unfinished
ffffffffffffffff\r\nhello -> [hello] unfinished
10000000000000000\r\nhello -> [] a chunk size that is too large
ffffffffffffffff1\r\nhello -> [] a chunk size that is too large
10000000000000006\r\nhello -> [] a chunk size that is too large
\r\nhello -> [] a chunk size that is not a number
x\r\nhello -> [] a chunk size that is not a number
6x\r\nhello -> [] a chunk size that is not a number
0x6\r\nhello -> [] a chunk size that is not a number
+6\r\nhello -> [] a chunk size that is not a number
-6\r\nhello -> [] a chunk size that is not a number
 6\r\nhello -> [] a chunk size that is not a number
;a\r\nhello -> [] a chunk size that is not a number
g\r\nhello -> [] a chunk size that is not a number
6\nhello\n -> [] a chunk size whose line has no CR
6;a\nhello\n -> [] a chunk size whose line has no CR
6\rhello\n -> [] a CR that ends no line
6;a\rb\r\nhello -> [] a CR that ends no line
5\r\nhello\n\r\n -> [hello] a chunk without CR LF behind its data
5\r\nhello!\r\n -> [hello] a chunk without CR LF behind its data
5\r\nhello\rx -> [hello] a chunk without CR LF behind its data
5\r\nhello\r\r\n -> [hello] a chunk without CR LF behind its data
END
}

# repeat TIMES TEXT: TEXT so many times.
repeat() {
    local text
    printf -v text '%*s' "$1" ''
    printf '%s' "${text// /$2}"
}

@test "a head has at most 65,536 bytes and 200 fields" {
    local start=$'HTTP/1.1 204 x\r\nA: ' line=$'A: b\r\n'
    # 19 bytes of the start, and 4 of two line ends.
    expect_equal 65536 "204 [x] 1.1 [A]" "$(
        printf '%s%s\r\n\r\n' "$start" "$(repeat $((65536 - 23)) b)" |
            "$tell" reply | cut -c -15)"
    expect_equal 65537 "a head that is too long" "$(
        printf '%s%s\r\n\r\n' "$start" "$(repeat $((65537 - 23)) b)" |
            "$tell" reply)"
    expect_equal "65535, unfinished" "unfinished" "$(
        printf '%s%s' "$start" "$(repeat $((65535 - 19)) b)" | "$tell" reply)"
    expect_equal "65536, unfinished" "a head that is too long" "$(
        printf '%s%s' "$start" "$(repeat $((65536 - 19)) b)" | "$tell" reply)"
    [[ $(printf 'HTTP/1.1 204 x\r\n%s\n\r\n' "$(repeat 200 "$line")" |
        "$tell" reply) == *" 200 fields, 0 left, no body" ]]
    expect_equal 201 "too many fields" "$(
        printf 'HTTP/1.1 204 x\r\n%s\n\r\n' "$(repeat 201 "$line")" |
            "$tell" reply)"
}

@test "the lines between chunks, and the trailer, have limits" {
    expect_equal "a line of 4096" "[a] end, 0 left" "$(
        printf '1;%s\r\na\r\n0\r\n\r\n' "$(repeat 4092 x)" | "$tell" chunks)"
    expect_equal "a line of 4097" "[] a line beside the chunks that is too long" \
        "$(printf '1;%s\r\na\r\n0\r\n\r\n' "$(repeat 4093 x)" | "$tell" chunks)"
    expect_equal "a size of zeros" "[] a line beside the chunks that is too long" \
        "$(repeat 5000 0 | "$tell" chunks)"
    expect_equal "a trailer of 65536" "[] end, 0 left" "$(
        printf '0\r\n%s\r\n' "$(repeat 16383 $'a:b\n')"$'\n' | "$tell" chunks)"
    expect_equal "a longer trailer" "[] a trailer that is too long" "$(
        printf '0\r\n%s\r\n' "$(repeat 16384 $'a:b\n')"$'\n' | "$tell" chunks)"
}

# expect_urls [BASE]: each line is `TEXT -> RESULT`.
expect_urls() {
    local line text
    while IFS= read -r line; do
        text=$(printf '%bx' "${line% -> *}")
        expect_equal "${line% -> *}" "${line##* -> }" \
            "$(bounded "$tell_url" "$@" "${text%x}")"
    done
}

@test "url_parse takes a URL apart, and refuses what we could not fetch" {
    expect_urls <<'END'
http://example.com -> http example.com 80 /
http://example.com/ -> http example.com 80 /
HTTPS://Example.com/A -> https Example.com 443 /A
http://example.com:8080/a%20b?c=d#e -> http example.com 8080 /a%20b?c=d
http://example.com?c -> http example.com 80 /?c
http://example.com#e -> http example.com 80 /
http://example.com:/a -> http example.com 80 /a
http://127.0.0.1:1/ -> http 127.0.0.1 1 /
http://[::1]/a -> http IPv6 ::1 80 /a
https://[::1]:65535/a -> https IPv6 ::1 65535 /a
http://a/b/../c -> http a 80 /b/../c
http://a/?http://b -> http a 80 /?http://b
http://a/@b -> http a 80 /@b
 -> it does not begin with http:// or https://
a -> it does not begin with http:// or https://
//a/b -> it does not begin with http:// or https://
http:a -> it does not begin with http:// or https://
http:/a -> it does not begin with http:// or https://
ftp://a/ -> it does not begin with http:// or https://
file:///etc/passwd -> it does not begin with http:// or https://
http:// -> it has no host
http:///a -> it has no host
http://:80/ -> it has no host
http://[]/ -> it has no host
http://[localhost]/ -> its brackets have no IPv6 address
http://[127.0.0.1]:80/ -> its brackets have no IPv6 address
http://[::1/ -> its address has no closing bracket
http://[::1]a/ -> there is something behind its address
http://[::1]80/ -> there is something behind its address
http://user@a/ -> it has a user name
http://user:secret@a/ -> it has a user name
http://bank.example@evil.example/ -> it has a user name
http://a:0/ -> its port is not a number from 1 to 65535
http://a:65536/ -> its port is not a number from 1 to 65535
http://a:-1/ -> its port is not a number from 1 to 65535
http://a:80x/ -> its port is not a number from 1 to 65535
http://a:b:80/ -> its port is not a number from 1 to 65535
http://a/b c -> it has a blank
http://a b/ -> it has a blank
 http://a/ -> it has a blank
http://a/\t -> it has a control character
http://a/\nEvil: yes -> it has a control character
http://a/\r\nEvil:yes -> it has a control character
http://a/\x7f -> it has a control character
http://a/ü -> it has a character that must be escaped
http://ü/ -> its host is not in ASCII (DNS has it as xn--...)
http://%6cocalhost/ -> its host has a %
http://[fe80::1%25lo]/ -> its host has a %
http://a/% -> it has a % without two digits behind it
http://a/%2 -> it has a % without two digits behind it
http://a/%2g -> it has a % without two digits behind it
http://a/%00 -> http a 80 /%00
END
}

@test "url_parse and url_resolve have limits for each part" {
    local host target
    host=$(repeat 255 a)
    expect_equal "host of 255" "http $host 80 /" "$("$tell_url" "http://$host")"
    expect_equal "host of 256" "it is too long" "$("$tell_url" "http://a$host")"
    target=/$(repeat 8190 b)
    expect_equal "target of 8191" "http a 80 $target" \
        "$("$tell_url" "http://a$target")"
    expect_equal "target of 8192" "it is too long" \
        "$("$tell_url" "http://a${target}b")"
    expect_equal "query of 8190" "it is too long" \
        "$("$tell_url" "http://a?${target}")"
    # The longest of all: two targets, and a host.
    expect_equal "reference of 8191" "it is too long" \
        "$("$tell_url" "https://$host:65535$target" "?${target:1}")"
    expect_equal "reference of 8192" "it is too long" \
        "$("$tell_url" http://a/ "?${target}")"
}

# The examples of RFC 3986, section 5.4, whose base is http://a/b/c/d;p?q. The
# fragment is never sent, and what has another scheme is refused.
@test "url_resolve gives what RFC 3986 says" {
    expect_urls 'http://a/b/c/d;p?q' <<'END'
g:h -> it does not begin with http:// or https://
g -> http a 80 /b/c/g
./g -> http a 80 /b/c/g
g/ -> http a 80 /b/c/g/
/g -> http a 80 /g
//g -> http g 80 /
?y -> http a 80 /b/c/d;p?y
g?y -> http a 80 /b/c/g?y
#s -> http a 80 /b/c/d;p?q
g#s -> http a 80 /b/c/g
g?y#s -> http a 80 /b/c/g?y
;x -> http a 80 /b/c/;x
g;x -> http a 80 /b/c/g;x
g;x?y#s -> http a 80 /b/c/g;x?y
 -> http a 80 /b/c/d;p?q
. -> http a 80 /b/c/
./ -> http a 80 /b/c/
.. -> http a 80 /b/
../ -> http a 80 /b/
../g -> http a 80 /b/g
../.. -> http a 80 /
../../ -> http a 80 /
../../g -> http a 80 /g
../../../g -> http a 80 /g
../../../../g -> http a 80 /g
/./g -> http a 80 /g
/../g -> http a 80 /g
g. -> http a 80 /b/c/g.
.g -> http a 80 /b/c/.g
g.. -> http a 80 /b/c/g..
..g -> http a 80 /b/c/..g
./../g -> http a 80 /b/g
./g/. -> http a 80 /b/c/g/
g/./h -> http a 80 /b/c/g/h
g/../h -> http a 80 /b/c/h
g;x=1/./y -> http a 80 /b/c/g;x=1/y
g;x=1/../y -> http a 80 /b/c/y
g?y/./x -> http a 80 /b/c/g?y/./x
g?y/../x -> http a 80 /b/c/g?y/../x
g#s/./x -> http a 80 /b/c/g
g#s/../x -> http a 80 /b/c/g
http:g -> it does not begin with http:// or https://
https://b:1/c -> https b 1 /c
mailto:a@b -> it does not begin with http:// or https://
//user@b/ -> it has a user name
/a b -> it has a blank
END
    expect_urls 'https://[::1]:8443/?a/b' <<'END'
c -> https IPv6 ::1 8443 /c
//d:1/c -> https d 1 /c
?e -> https IPv6 ::1 8443 /?e
END
}

@test "url_has_same_server compares scheme, host and port" {
    local line
    while read -r line; do
        # shellcheck disable=SC2086 # two words
        expect_equal "$line" "${line##* }" "$("$tell_url" same ${line% *})"
    done <<'END'
http://a/b http://a/c same
http://a http://A:80/ same
https://a https://a:443/ same
http://a http://b another
http://a http://a:81 another
http://a:443 https://a another
http://[::1]/ http://[::1]:80/x same
END
}
