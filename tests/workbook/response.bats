#!/usr/bin/env bats
# lessons/26-load-generator/response: a table of what goes in and what comes out.

load ../lib/common

tell=$BUILD/tests/tell-response

# expect_table [BEGINNING]: each line of standard input is `BYTES -> RESULT`, BYTES
# with printf's escapes, and BEGINNING stands before them.
expect_table() {
    local line count=0
    while IFS= read -r line; do
        expect_equal "${line% -> *}" "${line##* -> }" \
            "$(printf '%b' "${1-}${line% -> *}" | bounded "$tell")"
        count=$((count + 1))
    done
    ((count > 0))
}

@test "response_read reads a status line, and refuses what is none" {
    expect_table <<'END'
HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n -> whole, 200
HTTP/1.0 404 Not Found\nContent-Length: 0\n\n -> whole, 404
HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n -> whole, 200
HTTP/1.9 999 \xe4\r\nContent-Length: 0\r\n\r\n -> whole, 999
 -> unfinished
H -> unfinished
HTTP/1.1 200 OK -> unfinished
HTTP/1.1 200 OK\r\n -> unfinished
\r\n -> this is not HTTP/1
hello\n -> this is not HTTP/1
http/1.1 200 OK\r\n -> this is not HTTP/1
HTTP/2 200 OK\r\n -> this is not HTTP/1
HTTP/1.x 200 OK\r\n -> this is not HTTP/1
HTTP/1.11 200 OK\r\n -> this is not HTTP/1
HTTP/1.1  200 OK\r\n -> this is not HTTP/1
HTTP/1.1 20 OK\r\n -> this is not HTTP/1
HTTP/1.1 2000 OK\r\n -> this is not HTTP/1
HTTP/1.1 2/0 OK\r\n -> this is not HTTP/1
HTTP/1.1 2:0 OK\r\n -> this is not HTTP/1
HTTP/1.1\n -> this is not HTTP/1
HTTP/1.1 199 OK\r\n -> a status below 200
HTTP/1.1 100 Continue\r\n\r\n -> a status below 200
HTTP/1.1 200 O\0K\r\n -> a NUL in the head
END
}

@test "response_read reads fields, and wants one Content-Length" {
    expect_table 'HTTP/1.1 200 OK\r\n' <<'END'
Content-Length: 3\r\n\r\nabc -> whole, 200
content-length:3\r\n\r\nabc -> whole, 200
CONTENT-LENGTH: \t 0003 \t \r\nX:\r\n\r\nabc -> whole, 200
Content-Length-X: 2\r\nContent-Length: 3\n\nabc -> whole, 200
\r\n -> no Content-Length
X: y\r\n\r\n -> no Content-Length
Content-Length: 3\r\n\r -> unfinished
Content-Length: 3\r\nContent-Length: 3\r\n -> two fields Content-Length
Content-Length: 3\r\nContent-Length: 4\r\n -> two fields Content-Length
Content-Length:\r\n -> a Content-Length that is not a number
Content-Length: \t\r\n -> a Content-Length that is not a number
Content-Length: 3 3\r\n -> a Content-Length that is not a number
Content-Length: 3, 3\r\n -> a Content-Length that is not a number
Content-Length: -3\r\n -> a Content-Length that is not a number
Content-Length: +3\r\n -> a Content-Length that is not a number
Content-Length: 0x3\r\n -> a Content-Length that is not a number
Content-Length: 18446744073709551619\r\n -> a Content-Length that is not a number
Content-Length : 3\r\n -> a line in the head that is not a field
Content-Length\r\n -> a line in the head that is not a field
: 3\r\n -> a line in the head that is not a field
 X: y\r\n -> a line in the head that is not a field
X: a\0b\r\n -> a NUL in the head
Transfer-Encoding: chunked\r\n -> a body in chunks, which we do not read
transfer-encoding:chunked\r\n -> a body in chunks, which we do not read
END
}

@test "response_read counts the bytes of the body, to the last one" {
    expect_table 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n' <<'END'
 -> unfinished
ab -> unfinished
a\r\n -> whole, 200
abcd -> more bytes than Content-Length says
abcHTTP/1.1 200 OK\r\n -> more bytes than Content-Length says
END
    # Without a body, whatever the head says.
    expect_table 'HTTP/1.1 ' <<'END'
204 No Content\r\n\r\n -> whole, 204
204 No Content\r\nContent-Length: 3\r\n\r\n -> whole, 204
304 Not Modified\r\nContent-Length: 3\r\n\r\n -> whole, 304
304 Not Modified\r\n\r\na -> more bytes than Content-Length says
END
}

# head_of BYTES: a reply whose head has so many bytes.
head_of() {
    local begin=$'HTTP/1.1 204 No Content\r\nX: ' end=$'\r\n\r\n'
    printf '%s%*s%s' "$begin" $(($1 - ${#begin} - ${#end})) '' "$end"
}

@test "response_read reads a head of 8192 bytes, and no longer one" {
    local too_long="a head of more than 8192 bytes"
    expect_equal "8192" "whole, 204" "$(head_of 8192 | bounded "$tell")"
    expect_equal "8193" "$too_long" "$(head_of 8193 | bounded "$tell")"
    expect_equal "endless" "$too_long" "$(head_of 100000 | bounded "$tell")"
    expect_equal "no line" "$too_long" \
        "$(printf '%8193s' '' | bounded "$tell")"
}
