#!/usr/bin/env bats
# 04-addresses [-4|-6] [-u] HOST [PORT]: all addresses of a name, and their
# bytes.
#
# What a name means is said by a hosts file in a private namespace, or, where a
# failure has to be provoked, by the preloaded tests/lib/names.c; never by the
# machine's own files, and never by a server.

load ../lib/common

addresses=$BUILD/04-addresses

# in_private FOLDER COMMAND...: tries it with the files of FOLDER in /etc.
in_private() {
    try "$BUILD/tests/private" -e "$@"
    ((status != 125)) || skip "this system allows no private network"
}

# at_home ARGUMENT...: what tests/lib/etc says is so.
at_home() {
    in_private tests/lib/etc "$addresses" "$@"
}

# etc FILE LINE...: a folder with tests/lib/etc's files, but this one; sets ETC.
etc() {
    ETC=$BATS_TEST_TMPDIR/etc
    mkdir -p "$ETC"
    [[ -e $ETC/hosts ]] || cp tests/lib/etc/* "$ETC/"
    printf '%s\n' "${@:2}" >"$ETC/$1"
}

# No name means anything. (A path from here, because a blank in it would end
# it; and a sanitizer wants to be loaded first, but need not be.)
no_names=(env "LD_PRELOAD=$BUILD/tests/names.so"
    ASAN_OPTIONS=verify_asan_link_order=0)

# named NAMES [VARIABLE=VALUE...] -- ARGUMENT...: this is what a name means.
named() {
    local -a variables=("NAMES=$1")
    shift
    while [[ $1 != -- ]]; do
        variables+=("$1")
        shift
    done
    try "${no_names[@]}" "${variables[@]}" "$addresses" "${@:2}"
}

# number ARGUMENT...: tries it with a number in the place of a name.
number() {
    try "${no_names[@]}" "$addresses" "$@"
}

# expect_answers LINE...: the first line of each answer.
expect_answers() {
    expect_equal answers "$(printf '%s\n' "$@")" "$(grep '^[0-9]' "$OUT")"
}

expect_field() {
    expect_equal "$1" "   $(printf %-9s "$1") $2" "$(grep "^   $1 " "$OUT")"
}

four='   family    02 00
   port      1f 90
   address   7f 00 00 01
   padding   00 00 00 00 00 00 00 00
   name      localhost'
six='   family    0a 00
   port      1f 90
   flowinfo  00 00 00 00
   address   00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01
   scope     00 00 00 00
   name      localhost'
if [[ $(printf '\1\0' | od -An -tu2) -ne 1 ]]; then # the high byte is first
    four=${four/02 00/00 02} six=${six/0a 00/00 0a}
fi

@test "04-addresses prints each answer, its bytes, and the name back" {
    at_home localhost 8080
    expect_result 0 ""
    expect_output --text "1  AF_INET6 SOCK_STREAM IPPROTO_TCP ::1
$six
2  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1
$six
3  AF_INET6 SOCK_RAW    IPPROTO_IP  ::1
$six
4  AF_INET  SOCK_STREAM IPPROTO_TCP 127.0.0.1
$four
5  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.1
$four
6  AF_INET  SOCK_RAW    IPPROTO_IP  127.0.0.1
$four
"
}

@test "04-addresses asks for one family with -4 or -6, for datagrams with -u" {
    at_home -4 four
    expect_result 0 ""
    expect_answers "1  AF_INET  SOCK_STREAM IPPROTO_TCP 127.0.0.4" \
        "2  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.4" \
        "3  AF_INET  SOCK_RAW    IPPROTO_IP  127.0.0.4"
    at_home -6 -u localhost
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1"
    at_home -6u localhost
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1"
    at_home -u localhost
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1" \
        "2  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.1"
}

@test "04-addresses shows a port with its high byte first, and 0 for none" {
    local port
    for port in 0:"00 00" 1:"00 01" 256:"01 00" 65535:"ff ff" 0080:"00 50"; do
        number -4u 127.0.0.1 "${port%%:*}"
        expect_result 0 ""
        expect_field port "${port#*:}"
    done
    number -4u 127.0.0.1
    expect_field port "00 00"
}

@test "04-addresses shows each byte of an address in its place" {
    number -u 1.2.253.254
    expect_field address "01 02 fd fe"
    number -u 102:304:506:708:90a:b0c:d0e:f10
    expect_answers \
        "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP 102:304:506:708:90a:b0c:d0e:f10"
    expect_field address "01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10"
    number -u ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP \
ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
}

@test "04-addresses shows the interface of a link-local address as its scope" {
    at_home -u fe80::1%lo
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP fe80::1"
    [[ $six == *"0a 00"* ]] || skip "the scope has its high byte first here"
    expect_field scope "01 00 00 00"
}

@test "04-addresses keeps the order of the list, and numbers its answers" {
    local i names=many=::2
    local -a wanted=("1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::2")
    for ((i = 2; i < 13; i++)); do
        names+=+127.0.0.$((20 - i))
        printf -v wanted[i] '%-2d AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.%d' \
            "$i" "$((20 - i))"
    done
    named "$names" -- -u many
    expect_result 0 ""
    expect_answers "${wanted[@]}"
}

# The claims of the README about the order.
@test "04-addresses shows getaddrinfo's order: IPv6 first, out of reach last" {
    etc hosts "192.0.2.1 many" "127.0.0.1 many" "::1 many"
    in_private "$ETC" "$addresses" -u many
    expect_answers "1  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1" \
        "2  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.1" \
        "3  AF_INET  SOCK_DGRAM  IPPROTO_UDP 192.0.2.1"
    [[ -e /etc/gai.conf ]] || skip "this machine has no gai.conf to replace"
    etc gai.conf "precedence ::ffff:0:0/96 100"
    in_private "$ETC" "$addresses" -u many
    expect_answers "1  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.1" \
        "2  AF_INET6 SOCK_DGRAM  IPPROTO_UDP ::1" \
        "3  AF_INET  SOCK_DGRAM  IPPROTO_UDP 192.0.2.1"
}

@test "04-addresses says so of an address that has no name" {
    at_home -u 127.0.0.9
    expect_result 0 ""
    expect_field name "none (Name or service not known)"
    etc nsswitch.conf "hosts: dns" # whose server nobody is
    in_private "$ETC" "$addresses" -u 127.0.0.9
    expect_result 0 ""
    expect_field name "none (Temporary failure in name resolution)"
}

@test "04-addresses tells a name that is not from a server that is silent" {
    at_home nobody.invalid
    expect_result 1 "04-addresses: getaddrinfo nobody.invalid: Name or service \
not known"
    expect_output --text ''
    etc nsswitch.conf "hosts: dns"
    in_private "$ETC" "$addresses" nobody.invalid
    expect_result 1 "04-addresses: getaddrinfo nobody.invalid: Temporary \
failure in name resolution"
    expect_output --text ''
}

@test "04-addresses says so when a number is of the other family" {
    local words="Address family for hostname not supported"
    number -6 127.0.0.1
    expect_result 1 "04-addresses: getaddrinfo 127.0.0.1: $words"
    number -4 ::1
    expect_result 1 "04-addresses: getaddrinfo ::1: $words"
}

@test "04-addresses has errno's words for EAI_SYSTEM, and only for that" {
    named any=::1 NAMES_ERROR=-11 NAMES_ERRNO=24 -- any
    expect_result 1 "04-addresses: getaddrinfo any: Too many open files"
    named any=::1 NAMES_ERROR=-4 NAMES_ERRNO=24 -- any
    expect_result 1 "04-addresses: getaddrinfo any: Non-recoverable failure \
in name resolution"
    named any=::1 NAMES_ERROR=-10 NAMES_ERRNO=0 -- any
    expect_result 1 "04-addresses: getaddrinfo any: Memory allocation failure"
}

# The claim of the README about errno.
@test "04-addresses with errno's words would report Success" {
    sed 's/errx(1, "getaddrinfo.*/err(1, "getaddrinfo");/' \
        lessons/04-addresses/addresses.c >"$BATS_TEST_TMPDIR/errno.c"
    cc -w -o "$BATS_TEST_TMPDIR/errno" "$BATS_TEST_TMPDIR/errno.c"
    in_private tests/lib/etc "$BATS_TEST_TMPDIR/errno" nobody.invalid
    expect_result 1 "errno: getaddrinfo: Success"
}

@test "04-addresses gives the list back, whole" {
    named three=::1+127.0.0.2+127.0.0.3 NAMES_LOG="$BATS_TEST_TMPDIR/log" -- \
        three
    expect_result 0 ""
    expect_output --text 'given\ngiven back\n' --in "$BATS_TEST_TMPDIR/log"
}

@test "04-addresses names the call that failed, and why" {
    need_faults
    try "${faulty[@]}" FAULT_CALL=inet_ntop FAULT_ERRNO=28 "$addresses" \
        127.0.0.1
    expect_result 1 "04-addresses: inet_ntop: No space left on device"
    named odd=127.0.0.1+? -- -u odd
    expect_result 1 "04-addresses: an address of family 1"
    expect_answers "1  AF_INET  SOCK_DGRAM  IPPROTO_UDP 127.0.0.1"
}

# What getaddrinfo takes for a number: three octets of four, and a leading zero
# for base eight. The README says so.
@test "04-addresses shows what getaddrinfo takes for a number" {
    local host
    for host in 127.1:127.0.0.1 2130706433:127.0.0.1 0x7f.1:127.0.0.1 \
        010.0.0.1:8.0.0.1; do
        number -u "${host%%:*}"
        expect_answers "1  AF_INET  SOCK_DGRAM  IPPROTO_UDP ${host#*:}"
    done
    for host in 256.1.1.1 08.0.0.1 1.2.3.4.5 '[::1]' ::1::1 '127.0.0.1 x' ''; do
        number "$host"
        expect_result 1 \
            "04-addresses: getaddrinfo $host: Name or service not known"
    done
}

@test "04-addresses takes ports from 0 to 65535, and says what is wrong" {
    local port
    for port in 65536 -1 +80 80x ' 80' '' http 18446744073709551617; do
        number 127.0.0.1 "$port"
        expect_result 1 "04-addresses: $port is not a port: 0 to 65535"
        expect_output --text ''
    done
}

@test "04-addresses says so when standard output is full, gone or closed" {
    local -a print=("${no_names[@]}" "$addresses" 127.0.0.1)
    run -1 --separate-stderr bash -c '"$@" >/dev/full' - "${print[@]}"
    expect_equal "full" \
        "04-addresses: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bash -c '
        exec 7> >(:)
        wait $!
        "$@" >&7' - "${print[@]}"
    expect_equal "gone" "04-addresses: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bash -c '"$@" >&-' - "${print[@]}"
    expect_equal "closed" "04-addresses: standard output: Bad file descriptor" \
        "$stderr"
}

# Its twin prints less than the program: compared here.
@test "04-addresses says in Python what it says in C" {
    skip_unless python3
    in_private tests/lib/etc python3 lessons/04-addresses/twin.py localhost 8080
    expect_result 0 ""
    expect_output --text 'AF_INET6 SOCK_STREAM 6 ::1 8080 0 0 localhost
AF_INET6 SOCK_DGRAM 17 ::1 8080 0 0 localhost
AF_INET6 SOCK_RAW 0 ::1 8080 0 0 localhost
AF_INET SOCK_STREAM 6 127.0.0.1 8080 localhost
AF_INET SOCK_DGRAM 17 127.0.0.1 8080 localhost
AF_INET SOCK_RAW 0 127.0.0.1 8080 localhost
'
}

# The claims of the README about socket.py: connect tries the first address
# only, and create_connection all of them.
@test "04-addresses knows what Python's connect and create_connection do" {
    skip_unless python3
    etc hosts "127.0.0.1 two" "127.0.0.2 two"
    in_private "$ETC" python3 -c '
import socket
listener = socket.create_server(("127.0.0.2", 0))
port = listener.getsockname()[1]
print(socket.create_connection(("two", port)).getpeername()[0])
socket.socket().connect(("two", port))'
    expect_equal status 1 "$status"
    [[ $errors == *"Connection refused" ]]
    expect_output --text '127.0.0.2\n'
}

@test "04-addresses explains itself when asked, and when called wrongly" {
    local usage="usage: 04-addresses [-4|-6] [-u] HOST [PORT]" wrong
    try "$addresses" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    for wrong in "" -u "-4 -6 127.0.0.1" "-6 -4 ::1" "-x 127.0.0.1" \
        "127.0.0.1 80 90" "-h 127.0.0.1" "-4 -4 127.0.0.1"; do
        # shellcheck disable=SC2086 # a word each
        number $wrong
        expect_result 2 "$usage"
        expect_output --text ''
    done
}

@test "04's solution does not take its socket for standard output" {
    [[ -x $BUILD/solution/04-addresses ]] || skip "it is not built"
    start_server peer "$BUILD/peers/rude" serve whole
    # shellcheck disable=SC2016 # for that shell
    try bash -c 'exec "$@" >&-' - "$BUILD/solution/04-addresses" 127.0.0.1 "$PORT"
    expect_result 1 "04-addresses: standard output: Bad file descriptor"
}
