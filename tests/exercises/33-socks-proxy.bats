#!/usr/bin/env bats
# The exercise of 33-socks-proxy: HTTP CONNECT on the same port as SOCKS 5,
# `33-socks-proxy ALLOWED PORT`. Each test's name is a requirement, as a learner
# reads it.

load ../lib/exercise
load ../lib/clock

socks=$BUILD/peers/socks
rude=$BUILD/peers/rude
rude_socks=$BUILD/peers/rude-socks

begin_hint="Call http_parse_request after each recv, until the head is whole. \
Then take its target apart with addr_split, call connect_to, send a reply that \
ends with an empty line, and call pass_on."
refuse_hint="Send the status line, the fields and an empty line, each with \
\\r\\n at its end. Then return: serve_client's caller closes the connection."
long_host_hint="A host may be longer than your array for it. Compare the two \
before you copy it: such a host is a bad request."
port_of_target_hint="addr_split and addr_parse_port return -1 if the target is \
not HOST:PORT, or the port is not a number. Give 1 as the smallest port. Then \
the status is 400."

# serves ALLOWED: the answer, which may connect to that address.
serves() {
    answer_serves "$1" 0 --hint "The starter prints the line. Do not change \
listen_on."
}

# through OPTION... HOST PORT TEXT: a client of the proxy, to its end. Sets
# status and errors; what it printed is in $OUT.
through() {
    by_hand "$socks" "${@:1:$#-3}" "$PORT" "${@: -3}"
    try "$socks" "${@:1:$#-3}" "$PORT" "${@: -3}"
    cp "$BATS_TEST_TMPDIR/err" "$BATS_TEST_TMPDIR/client"
    : >"$BATS_TEST_TMPDIR/ending" # that was not the learner's program
}

# expect_passed [--hint TEXT]: all that the two sides said came through.
expect_passed() {
    ((status != 124)) ||
        fail "the client waits, and nothing comes" \
            --show "$(sed 's/^/The client: /' "$OUT")" "$@"
    ((status == 0)) || fail "not all came through" \
        --show "$(sed 's/^/The client: /' "$OUT" "$BATS_TEST_TMPDIR/client")" "$@"
}

# a_text: sets text to a word that nobody has seen before.
a_text() {
    text=hello-$RANDOM$RANDOM
}

# plays FACE: a client that breaks the rules, to its end. Sets said to what it
# got.
plays() {
    by_hand "$rude_socks" connect "$1" "$PORT"
    try "$rude_socks" connect "$1" "$PORT"
    : >"$BATS_TEST_TMPDIR/ending"
    said=$(<"$OUT")
}

# expect_reply STATUS FACE [--hint TEXT]: that client is told this status, once,
# and its connection ends.
expect_reply() {
    local said
    plays "$2"
    ((status != 124)) || fail "the client $2 waits, and its connection stays \
open" --hint "$refuse_hint"
    [[ $said == "got HTTP/1."[01]" $1"[,\ ]* ]] ||
        fail "the client $2 is not told $1" --show "The client: $said" "${@:3}"
}

# The port of a server, in the commands that a learner is told to try.
target_port=8099

# target [OPTION...]: a server, to which the proxy may connect, or not. Sets
# server to its port.
target() {
    start_server target "$rude" "$@" serve whole || environment "no port is free"
    server=$PORT
    PORT=
    by_hand "$rude" "$@" -p "$target_port" serve whole
}

# asks HEAD: sends these bytes, with printf's escapes, to the proxy as
# descriptor 7, and sets line to the first line of the reply.
asks() {
    local shown=$1
    [[ -z $server ]] || shown=${shown//":$server "/":$target_port "}
    by_hand "printf '$shown' | $BUILD/peers/talk $PORT"
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || fail "nobody answers" \
        --hint "$begin_hint"
    # In one piece: bash itself would send line by line.
    # shellcheck disable=SC2059 # it has escapes
    printf "$1" >"$BATS_TEST_TMPDIR/asked"
    cat "$BATS_TEST_TMPDIR/asked" >&7 2>/dev/null || true
    line=
    IFS= read -rt "$SECONDS_ALLOWED" line <&7 || true
    line=${line%$'\r'}
}

# is_connected: a client has come to the target.
is_connected() {
    says target 'connected from *'
}

server=

@test "still connects clients that speak SOCKS 5" {
    local text
    a_text
    serves 127.0.0.1
    through -k 127.0.0.1 own "$text"
    expect_passed --hint "serve_socks does this. Call it when the first byte is \
5, as the starter does."
    through 127.0.0.2 9 "$text"
    [[ $(<"$OUT") == *"05 02 00 01 "* ]] || fail "a client of SOCKS 5 may go where \
it is not allowed to" --hint "Do not change is_allowed and connect_to."
    next_run
    need_faults
    faulty=("${faulty[@]/faults/names}" NAMES=fine.example=127.0.0.1)
    serves 127.0.0.1
    through -k fine.example own "$text"
    expect_passed --hint "A client of SOCKS 5 may name its target by a name, too: \
the kind of address is 3, and the first byte is the length of the name. The \
starter reads that."
}

@test "connects a client to the target of its CONNECT" {
    local text
    local hint=$begin_hint
    a_text
    serves 127.0.0.1
    through -h -k 127.0.0.1 own "$text"
    [[ $(<"$OUT") != *"at the server"* ]] || hint="Something too much was passed \
on. Only what stands behind the head is for the server: head.length is the length \
of the head. The reply ends with its empty line, and not with a NUL."
    expect_passed --hint "$hint"
    # All of the reply: status, fields, an empty line, and then the server's.
    next_run
    start_server echo "$BUILD/02-tcp-server" 0 || environment "no port is free"
    server=$PORT
    PORT=
    by_hand "$BUILD/02-tcp-server" "$target_port"
    serves 127.0.0.1
    asks "CONNECT 127.0.0.1:$server HTTP/1.1\r\nHost: 127.0.0.1:$server\r\n\r\n"
    [[ $line == "HTTP/1."[01]" 200"* ]] || fail "the reply is not 200" \
        --show "Its first line: $line" --hint "$begin_hint"
    while IFS= read -rt "$SECONDS_ALLOWED" line <&7 && [[ $line != $'\r' ]]; do
        [[ $line == *:*$'\r' ]] || fail "the reply has a line that is no field" \
            --show "It is: $line" --hint "Each line ends with \\r\\n, and the \
head of the reply ends with an empty line."
    done
    echo "$text" >&7
    IFS= read -rt "$SECONDS_ALLOWED" line <&7 || true
    expect_equal "what the server says back" "$text" "$line" \
        --hint "After the reply, call pass_on with a struct direction for each \
way."
    exec 7>&-
}

@test "uses the target in the first line, and not the field Host" {
    local text
    a_text
    serves 127.0.0.1
    through -h -k -H "127.0.0.1:1" 127.0.0.1 own "$text"
    expect_passed --hint "The target stands behind CONNECT, in head.target. A \
client may write something else into the field Host."
    through -h -k -H "somewhere.invalid" 127.0.0.1 own "$text"
    expect_passed --hint "The target stands behind CONNECT, in head.target. A \
client may write something else into the field Host."
}

@test "reads a target with an IPv6 address, which has brackets" {
    local text
    a_text
    [[ -e /proc/net/if_inet6 ]] && "$socks" 1 ::1 own "$text" 2>&1 |
        grep -q 'connect 127' || skip "this system has no IPv6"
    serves ::1
    through -h -k ::1 own "$text"
    expect_passed --hint "addr_split takes [::1]:443 apart: the host has no \
brackets then, as getaddrinfo wants it, and a colon in it is not the one before \
the port."
}

@test "passes on the bytes that come together with the head" {
    local text
    a_text
    serves 127.0.0.1
    through -h -k -t 127.0.0.1 own "$text"
    expect_passed --hint "One recv may return the head and more. What is behind \
head.length bytes is for the server: copy it into there.bytes, and set \
there.end."
    a_text
    through -h -k -t 127.0.0.1 own "$(printf '%0150d' "$RANDOM")"
    expect_passed --hint "The number of bytes behind the head is what recv has \
returned so far, less head.length."
    # NUL is a byte as any other.
    next_run
    target -n 8
    serves 127.0.0.1
    asks "CONNECT 127.0.0.1:$server HTTP/1.1\r\nHost: a\r\n\r\na\0b\n"
    exec 7>&-
    soon says target 'got 4 bytes, *' || fail "the server does not get 4 bytes \
behind the head, with a NUL among them" --hint "These bytes are no C string: copy \
them with memcpy, and count them."
}

@test "reads a head that comes in many pieces" {
    local text
    a_text
    serves 127.0.0.1
    through -h -k -d 127.0.0.1 own "$text"
    expect_passed --hint "One recv may return a part of the head. Receive behind \
what you have, and call http_parse_request again, until it does not return \
HTTP_UNFINISHED."
    through -h -k -d -t 127.0.0.1 own "$text"
    expect_passed --hint "One recv may return the end of the head and bytes for \
the server."
}

@test "ends each way by itself" {
    local text
    a_text
    serves 127.0.0.1
    through -h 127.0.0.1 own "$text"
    expect_passed --hint "When one side has ended, call shutdown with SHUT_WR for \
the other one, as pass_on does, and go on with the other way."
    through -h -e 127.0.0.1 own "$text"
    expect_passed --hint "When the server has ended first, the client may still \
send."
    # Much, both ways at the same time.
    next_run
    serves 127.0.0.1
    through -h -n 3000000 127.0.0.1 own "$RANDOM"
    expect_passed --hint "While one side does not take any more, the other way \
goes on: call pass_on, which waits for both."
}

@test "refuses a target that has another address than ALLOWED, with the status 403" {
    local hint="connect_to calls is_allowed for each address, and returns \
NOT_ALLOWED: then reply with the status 403."
    local line
    target -b 127.0.0.2
    serves 127.0.0.1
    asks "CONNECT 127.0.0.2:$server HTTP/1.1\r\nHost: 127.0.0.1:$server\r\n\r\n"
    exec 7>&-
    ! is_connected || fail "it has connected to another address than \
ALLOWED" --hint "$hint"
    [[ $line == "HTTP/1."[01]" 403"* ]] ||
        fail "the client is not told 403" --show "It is told: $line" --hint "$hint"
    # A name means what its owner says.
    need_faults
    next_run
    faulty=("${faulty[@]/faults/names}" NAMES=trick.example=127.0.0.2)
    target -b 127.0.0.2
    serves 127.0.0.1
    asks "CONNECT trick.example:$server HTTP/1.1\r\nHost: a\r\n\r\n"
    exec 7>&-
    [[ $line != "HTTP/1."[01]" 200"* ]] || fail "it has connected to another \
address than ALLOWED, because a name led there" --hint "What counts is the address to which a \
name leads, and not the name: let connect_to look at it, immediately before it \
connects."
    [[ $line == "HTTP/1."[01]" 403"* ]] ||
        fail "the client is not told 403" --show "It is told: $line" --hint "$hint"
    next_run
    faulty=("${faulty[@]:0:2}" NAMES=fine.example=127.0.0.1)
    serves 127.0.0.1
    through -h -k fine.example own hello
    expect_passed --hint "A name that leads to ALLOWED is allowed."
}

@test "refuses another method than CONNECT, with the status 405" {
    local face said method
    serves 127.0.0.1
    for face in http-get http-get-url; do
        expect_reply 405 "$face" --hint "Compare head.method: only CONNECT is \
served. Look at it before the target: that of GET is not HOST:PORT."
    done
    asks "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    local field found=''
    while IFS= read -rt "$SECONDS_ALLOWED" field <&7; do
        [[ ${field,,} != "allow: connect"$'\r' ]] || found=yes
    done
    exec 7>&-
    [[ $found ]] || fail "the reply has no field Allow: CONNECT" \
        --hint "A reply with the status 405 says in the field Allow which methods \
there are: RFC 9110, section 15.5.6."
    for method in CONNECTED CONNEC; do
        asks "$method 127.0.0.1:9 HTTP/1.1\r\nHost: a\r\n\r\n"
        exec 7>&-
        [[ $line == "HTTP/1."[01]" 405"* ]] || fail "$method is not told 405" \
            --hint "The method has no NUL behind it. Compare its length, too, \
and not only its first bytes."
    done
    asks "Connect 127.0.0.1:9 HTTP/1.1\r\nHost: a\r\n\r\n"
    exec 7>&-
    [[ $line == "HTTP/1."[01]" 405"* ]] ||
        fail "Connect is not told 405" --hint "The name of a method has capital \
letters. http_text_is does not look at the case, so compare head.method with memcmp."
}

# long_host: a client asks for a host that is longer than a name can be.
long_host() {
    local line long
    printf -v long '%0400d' 0
    asks "CONNECT $long:80 HTTP/1.1\r\nHost: a\r\n\r\n"
    exec 7>&-
    HAND[-1]="printf 'CONNECT %0400d:80 HTTP/1.1\\r\\n\\r\\n' 0 | \
$BUILD/peers/talk $HAND_PORT"
    [[ $line == "HTTP/1."[01]" "[45]0[02]* ]] || {
        [[ $line ]] || SECONDS_ALLOWED=2 soon has_ended server || true
        end_background
        # Here a crash has most often this reason.
        ! has_crashed || report "it crashed" '' "$long_host_hint"
        fail "a client that asks for a host of 400 bytes is not told 400 or 502" \
            --show "It is told: $line" --hint "$long_host_hint"
    }
}

@test "refuses a bad request, with the status 400" {
    local face
    serves 127.0.0.1
    for face in http-no-port http-empty-port http-port-0 http-port-65536 \
        http-port-65537 http-port-letters http-port-sign http-port-name; do
        expect_reply 400 "$face" --hint "$port_of_target_hint"
    done
    long_host
    for face in http-no-colon http-version-2 http-version-letters \
        http-no-version; do
        expect_reply 400 "$face" --hint "http_parse_request returns HTTP_BAD for \
this: then the status is 400."
    done
    # It serves the next client.
    through -h -k 127.0.0.1 own hello
    expect_passed --hint "$refuse_hint"
}

# long_head BYTES: sets head to the head of a CONNECT to server that is so long.
long_head() {
    local begin="CONNECT 127.0.0.1:$server HTTP/1.1\r\nHost: a\r\nX: "
    local count
    printf -v count '%b' "$begin"
    printf -v head '%s%0*d\\r\\n\\r\\n' "$begin" $(($1 - ${#count} - 4)) 0
}

@test "refuses a head of more than 8192 bytes, with the status 431" {
    local head line
    target -n 8
    serves 127.0.0.1
    long_head 8192
    asks "$head"
    exec 7>&-
    HAND[-1]="printf 'CONNECT 127.0.0.1:1 HTTP/1.1\\r\\nX: %08155d\\r\\n\\r\\n' 0 | \
$BUILD/peers/talk $HAND_PORT"
    [[ $line == "HTTP/1."[01]" 200"* ]] || fail "a head of 8192 bytes is refused" \
        --show "The reply: $line" --hint "Your buffer has to have room for 8192 \
bytes. Ask http_parse_request before you say that it is full."
    unset 'HAND[-1]'
    expect_reply 431 http-long --hint "When 8192 bytes have come and the head is \
not whole, reply with the status 431."
    unset 'HAND[-1]'
    expect_reply 431 http-long-line --hint "When 8192 bytes have come and the \
head is not whole, reply with the status 431."
    long_head 8193
    asks "$head"
    exec 7>&-
    HAND[-1]="printf 'CONNECT 127.0.0.1:1 HTTP/1.1\\r\\nX: %08156d\\r\\n\\r\\n' 0 | \
$BUILD/peers/talk $HAND_PORT"
    [[ $line == "HTTP/1."[01]" 431"* ]] || fail "a head of 8193 bytes is not \
refused with 431" --show "The reply: $line" --hint "The head may have 8192 bytes, \
and not one more."
}

@test "says that a server cannot be reached, with the status 502" {
    local line
    serves 127.0.0.1
    expect_reply 502 http-good --hint "When connect_to returns NOT_REACHED, reply \
with the status 502."
    need_faults
    next_run
    faulty=("${faulty[@]/faults/names}" NAMES=a.example=127.0.0.1)
    serves 127.0.0.1
    asks "CONNECT nobody.invalid:80 HTTP/1.1\r\nHost: a\r\n\r\n"
    exec 7>&-
    [[ $line == "HTTP/1."[01]" 502"* ]] || fail "a client that asks for a name \
that does not exist is not told 502" --show "It is told: $line" --hint "connect_to \
returns NOT_REACHED also for a name that does not exist."
}

@test "closes the connection after it has refused a request" {
    local said face second
    target -n 8
    serves 127.0.0.1
    for face in http-post http-no-port; do
        plays "$face"
        ((status != 124)) || fail "its connection stays open" --hint "$refuse_hint"
        [[ $said != *replies* ]] || fail "it has sent more than one reply" \
            --show "The client: $said" --hint "The body of a request that you \
refuse looks like another request here. Close the connection after the reply."
    done
    for second in "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0" \
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60" \
        "CONNECT 127.0.0.2:1 HTTP/1.1\r\nHost: a" \
        "CONNECT 127.0.0.1 HTTP/1.1\r\nHost: a"; do
        asks "$second\r\n\r\nCONNECT 127.0.0.1:$server HTTP/1.1\r\nHost: a\r\n\r\n"
        timeout 1 cat <&7 >"$BATS_TEST_TMPDIR/rest" 2>/dev/null || [[ $? != 124 ]] ||
            fail "its connection stays open" --hint "$refuse_hint"
        exec 7>&-
        ! is_connected || fail "it has answered a request that stands behind \
the one that it refused" --hint "What is behind a refused request may be its \
body. Close the connection after the reply."
    done
}

# trickles: a client that sends a byte of its head now and then. Sets took.
trickles() {
    local now start result
    look_at_clock
    start=$now
    exec 7<>"/dev/tcp/127.0.0.1/$PORT" || fail "nobody answers" \
        --hint "$begin_hint"
    trap '' PIPE # the proxy may close first
    # It has ended when there is something to read: a reply, or the end.
    for _ in {1..35}; do
        printf C >&7 2>/dev/null || break
        result=0
        read -rt 0.06 -N 1 <&7 || result=$?
        ((result > 128)) || break
    done
    look_at_clock
    took=$((now - start))
    exec 7>&-
}

# stall: two clients begin a head, and then send nothing more. They are the
# descriptors 5 and 6.
stall() {
    exec 5<>"/dev/tcp/127.0.0.1/$PORT" 6<>"/dev/tcp/127.0.0.1/$PORT" ||
        fail "nobody answers" --hint "$begin_hint"
    printf 'CONNECT 127.0.0.1:1 HTTP/1.1\r\n' >&5
    printf C >&6
}

# is_prompt: beside clients that stall, another one is served at once. What was
# late on a busy machine is tried again.
is_prompt() {
    local i now start
    for i in 1 2 3; do
        exec 5>&- 6>&-
        stall
        HAND=("${HAND[@]:0:2}")
        look_at_clock
        start=$now
        through -h -k 127.0.0.1 own hello
        look_at_clock
        ((status != 0 || now - start > 70)) || return 0
    done
    return 1
}

# bats test_tags=waits
@test "gives up on a client that has not sent its whole head after one second" {
    local took result fd
    serves 127.0.0.1
    by_hand "$rude_socks" connect http-stall "$PORT"
    stall
    is_prompt || fail "a client waits while others send nothing" --hint "While \
one client sends nothing, the threads of others go on: wait in no place for all \
of them."
    HAND=("${HAND[@]:0:2}")
    trickles
    ((took >= 90)) || fail "it has given up on a client after $took hundredths of \
a second" --hint "client->deadline says until when a client has time: give it to \
deadline_recv."
    # What they sent before is more than a second ago, and so is what they were
    # told then.
    for fd in 5 6; do
        result=0
        read -rt 0.5 -d '' -u "$fd" || result=$?
        ((result <= 128)) || fail "it has not given up on a client that sends \
nothing more" --hint "recv waits for ever. Give client->deadline to \
deadline_recv."
    done
    exec 5>&- 6>&-
    ((took < 190)) || fail "it has not given up on a client that sends a byte now \
and then" --hint "One second is for the whole head, and not for each recv: give \
client->deadline to deadline_recv, and do not begin it anew."
}

@test "closes the connection of a client whose first byte is neither 5 nor a capital letter" {
    local face said
    serves 127.0.0.1
    for face in http tls version-4 version-6 version-0; do
        plays "$face"
        ((status != 124)) || fail "its connection stays open" --hint "The first \
byte is neither 5 nor a letter from A to Z: return from serve_client at once."
        [[ $said == "got nothing, "* ]] || fail "the client $face gets an answer" \
            --show "The client: $said" --hint "The first byte of a method is a \
capital letter. A client with another one speaks neither protocol: send it \
nothing."
    done
    through -h -k 127.0.0.1 own hello
    expect_passed --hint "$refuse_hint"
}
