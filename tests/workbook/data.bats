#!/usr/bin/env bats
# lessons/36-xray/lookup, head and socks: what the data of a segment are called, by
# tables.

load ../lib/common

# hex TEXT: its bytes, in hexadecimal. printf's escapes stand for bytes.
hex() {
    printf %b "$1" | od -An -v -tx1 | tr -d ' \n'
}

# tells NAME KIND HEX
tells() {
    expect_equal "$2 ${3:0:80}" "$1" "$("$BUILD/tests/tell-data" "$2" "$3")"
}

# ---- HTTP

# names NAME TEXT: a segment that begins with TEXT.
names() {
    tells "$1" head "$(hex "$2")"
}

@test "head_write names requests and replies of HTTP" {
    names "GET /index.html HTTP/1.1" 'GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n'
    names "GET / HTTP/1.0" 'GET / HTTP/1.0\n'
    names "OPTIONS * HTTP/1.1" 'OPTIONS * HTTP/1.1\r\nHo'
    names "CONNECT a.example:443 HTTP/1.1" 'CONNECT a.example:443 HTTP/1.1\r\n\r\n'
    names "HTTP/1.1 200 OK" 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'
    names "HTTP/1.1 404 Not Found" 'HTTP/1.1 404 Not Found\r\n'
    names "HTTP/1.0 204" 'HTTP/1.0 204 \r\n'
    names "HTTP/1.0 204" 'HTTP/1.0 204\r\n'
    # What follows the line is in its own order, and is not read.
    names "GET / HTTP/1.1" 'GET / HTTP/1.1\r\n\0\0\0'
}

@test "head_write names no other text" {
    names "no name" ''
    names "no name" '\n'
    names "no name" 'hello\n'
    names "no name" 'GET / HTTP/1.1'        # the line does not end
    names "no name" 'GET /\r\n'
    names "no name" 'GET  / HTTP/1.1\r\n'
    names "no name" 'GET / HTTP/2.0\r\n'
    names "no name" 'GET / HTTP/1.1 \r\n'
    names "no name" 'GET / FTP/1.1\r\n'
    names "no name" 'G(T / HTTP/1.1\r\n'
    names "no name" 'GET /\x01 HTTP/1.1\r\n'
    names "no name" '\r\nGET / HTTP/1.1\r\n'
    names "no name" 'HTTP/1.1 20 OK\r\n'
    names "no name" 'HTTP/1.1 2000 OK\r\n'
    names "no name" 'HTTP/1.1 OK\r\n'
    names "no name" ' HTTP/1.1 200 OK\r\n'
}

@test "head_write cuts a long target, and hides what cannot be read" {
    local long
    printf -v long '%064d' 0
    names "GET /${long:1} HTTP/1.1" "GET /${long:1} HTTP/1.1\r\n"
    names "GET /${long:1}... HTTP/1.1" "GET /$long HTTP/1.1\r\n"
    names 'HTTP/1.1 200 \x1b[0m\x80' 'HTTP/1.1 200 \x1b[0m\x80\r\n'
    # The longest line that is read has 8192 bytes with its end.
    printf -v long '%08176d' 0
    names "GET /${long:0:63}... HTTP/1.1" "GET /$long HTTP/1.1\r\n"
    names "no name" "GET /0$long HTTP/1.1\r\n"
}

# ---- DNS

www=03777777076578616d706c6500 # www.example.
a_of_www=${www}00010001

# header FLAGS QUESTIONS ANSWERS AUTHORITIES ADDITIONS
header() {
    printf 1234%s%04x%04x%04x%04x "$@"
}

# record TYPE DATA: one of www.example, by a pointer to the question.
record() {
    printf 'c00c%04x00010000003c%04x%s' "$1" $((${#2} / 2)) "$2"
}

address=$(record 1 c0000207)
address6=$(record 28 20010db8000000000000000000000001)
alias=$(record 5 c010)
opt=00002904d0000000000000

@test "lookup_write names a question of DNS" {
    local long
    tells "DNS question www.example A" datagram "$(header 0100 1 0 0 0)$a_of_www"
    tells "DNS question www.example AAAA" datagram \
        "$(header 0100 1 0 0 1)${www}001c0001$opt"
    tells "DNS question . NS" datagram "$(header 0000 1 0 0 0)0000020001"
    tells "DNS question www.example TYPE999" datagram \
        "$(header 0100 1 0 0 0)${www}03e70001"
    printf -v long '%060d' 0
    tells "DNS question $long.abc A" datagram \
        "$(header 0100 1 0 0 0)3c$(hex "$long")03$(hex abc)0000010001"
    tells "DNS question $long.abc... A" datagram \
        "$(header 0100 1 0 0 0)3c$(hex "$long")04$(hex abcd)0000010001"
    tells 'DNS question a\"b\009 A' datagram \
        "$(header 0100 1 0 0 0)04612262090000010001"
}

@test "lookup_write names an answer of DNS, and what became of the question" {
    tells "DNS answer: 1 address" datagram "$(header 8580 1 1 0 0)$a_of_www$address"
    tells "DNS answer: 2 addresses" datagram \
        "$(header 8580 1 3 0 1)$a_of_www$alias$address$address6$opt"
    tells "DNS answer: 1 record" datagram "$(header 8580 1 1 0 0)$a_of_www$alias"
    tells "DNS answer: 2 records" datagram \
        "$(header 8580 1 2 0 0)$a_of_www$alias$alias"
    # An address beside the answers answers nothing.
    tells "DNS answer: no records" datagram \
        "$(header 8580 1 0 0 1)$a_of_www$address"
    tells "DNS answer: cut" datagram "$(header 8780 1 0 0 0)$a_of_www"
    tells "DNS answer: FORMERR" datagram "$(header 8581 1 0 0 0)$a_of_www"
    tells "DNS answer: SERVFAIL" datagram "$(header 8582 1 0 0 0)$a_of_www"
    tells "DNS answer: NXDOMAIN" datagram "$(header 8583 1 0 0 0)$a_of_www"
    tells "DNS answer: NOTIMP" datagram "$(header 8584 1 0 0 0)$a_of_www"
    tells "DNS answer: REFUSED" datagram "$(header 8585 1 0 0 0)$a_of_www"
    tells "DNS answer: status 9" datagram "$(header 8589 1 0 0 0)$a_of_www"
}

@test "lookup_write names nothing that is not DNS from its first byte to its last" {
    local whole i
    whole=$(header 8580 1 2 0 1)$a_of_www$alias$address$opt
    tells "DNS answer: 1 address" datagram "$whole"
    for ((i = 0; i < ${#whole}; i += 2)); do
        tells "no name" datagram "${whole:0:i}"
    done
    tells "no name" datagram "${whole}00"
    tells "no name" datagram "$(hex 'hello, how are you? I am fine')"
    tells "no name" datagram "$(header 0100 0 0 0 0)"
    tells "no name" datagram "$(header 0100 2 0 0 0)$a_of_www$a_of_www"
    tells "no name" datagram "$(header 2100 1 0 0 0)$a_of_www" # another operation
    tells "no name" datagram "$(header 0100 1 1 0 0)$a_of_www$address"
    tells "no name" datagram "$(header 0100 1 0 0 0)${www}00010003" # another class
}

@test "lookup_write takes the length before a message in a stream" {
    local question
    question=$(header 0100 1 0 0 0)$a_of_www
    tells "DNS question www.example A" stream "001d$question"
    tells "no name" stream "001c$question"
    tells "no name" stream "001e$question"
    tells "no name" stream "$question"
    tells "no name" stream 00
    tells "no name" stream 
}

# ---- SOCKS

# says NAMES HEX...: client and proxy say that alternately; NAMES are lines.
says() {
    expect_equal "socks ${*:2}" "$1" "$("$BUILD/tests/tell-data" socks "${@:2}")"
}

# replies NAME HEX: after a greeting, a choice and a request.
replies() {
    says $'SOCKS greeting\nSOCKS method: no password\nSOCKS request 10.0.0.1:80\n'"$1" \
        050100 0500 050100010a0000010050 "$2"
}

# requests NAME HEX: after a greeting and a choice.
requests() {
    says $'SOCKS greeting\nSOCKS method: no password\n'"$1" 050100 0500 "$2"
}

@test "socks_write names a greeting and the method of the proxy" {
    says "SOCKS greeting" 050100
    says "SOCKS greeting" 0503000102
    says $'SOCKS greeting\nSOCKS method: none' 050100 05ff
    says $'SOCKS greeting\nSOCKS method: 1' 05020001 0501
    says "no name" 05
    says "no name" 0500
    says "no name" 0501
    says "no name" 050200
    says "no name" 05010000
    says "no name" 040100
    says $'SOCKS greeting\nno name' 050100 0400
    says $'SOCKS greeting\nno name' 050100 050000
}

@test "socks_write names the password without telling it" {
    local begin=$'SOCKS greeting\nSOCKS method: password\n'
    says "${begin}SOCKS password of ann
SOCKS password: accepted
SOCKS request 10.0.0.1:80" 05020002 0502 "0103$(hex ann)06$(hex secret)" 0100 \
        050100010a0000010050
    says "${begin}SOCKS password of ann
SOCKS password: refused
no name" 05020002 0502 "0103$(hex ann)00" 0101 050100010a0000010050
    says "${begin}no name" 05020002 0502 "0103$(hex ann)06$(hex secre)"
    says "${begin}no name" 05020002 0502 "0103$(hex ann)06$(hex secrets)"
    says "${begin}no name" 05020002 0502 "0104$(hex ann)"
    says "${begin}no name" 05020002 0502 "01ff$(hex ann)"
    says "${begin}no name" 05020002 0502 050100010a0000010050
}

@test "socks_write names whereto a client wants" {
    local long
    requests "SOCKS request 127.0.0.1:8080" 050100017f0000011f90
    requests "SOCKS request [2001:db8::1]:443" \
        0501000420010db800000000000000000000000101bb
    requests "SOCKS request www.example:80" "050100030b$(hex www.example)0050"
    requests "SOCKS request BIND 10.0.0.1:80" 050200010a0000010050
    requests "SOCKS request UDP 0.0.0.0:0" 05030001000000000000
    printf -v long '%064d' 0
    requests "SOCKS request $long:80" "0501000340$(hex "$long")0050"
    requests "SOCKS request $long...:80" "0501000341$(hex "${long}a")0050"
    requests 'SOCKS request \x1b\n:80' "0501000302$(hex '\x1b\n')0050"
    requests "no name" 050400010a0000010050 # no such command
    requests "no name" 050101010a0000010050
    requests "no name" 050100020a0000010050 # no such kind of address
    requests "no name" 050100010a00000100
    requests "no name" 050100010a000001005000
    requests "no name" 05010003
    requests "no name" "050100030c$(hex www.example)0050"
    requests "no name" "050100030a$(hex www.example)0050"
}

@test "socks_write names the reply of the proxy, and nothing after it" {
    local i=0 reply
    for reply in succeeded "general failure" "not allowed" "network unreachable" \
        "host unreachable" "connection refused" "TTL expired" \
        "command not supported" "address type not supported" 9; do
        replies "SOCKS reply: $reply" "050${i}0001000000000000"
        i=$((i + 1))
    done
    replies "SOCKS reply: succeeded" "0500000301$(hex a)0050"
    replies "no name" 0500000100000000000000
    replies "no name" "$(hex 'hello')"
    says $'SOCKS greeting\nSOCKS method: no password\nSOCKS request 10.0.0.1:80
SOCKS reply: succeeded\nno name' \
        050100 0500 050100010a0000010050 05000001000000000000 050100
}
