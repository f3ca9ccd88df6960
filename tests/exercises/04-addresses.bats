#!/usr/bin/env bats
# The exercise of 04-addresses: connect to any address of a name,
# `04-addresses HOST PORT`. Each test's name is a requirement, as a learner
# reads it.
#
# What a name means is said by a preloaded library, tests/lib/names.c, so that
# neither the machine's hosts file nor any name server is asked.

load ../lib/exercise

# A path from here, because a blank in it would end it.
names=$BUILD/tests/names.so
preloaded=$names
if [[ $BUILD == *asan* ]]; then
    # Which wants to be loaded first, but need not be.
    export ASAN_OPTIONS=verify_asan_link_order=0
fi

# A name that nobody has used before, and means something only here.
letters=abcdefghijklmnopqrstuvwxyz
HOST=
for ((i = 0; i < 6; i++)); do
    HOST+=${letters:RANDOM % 26:1}
done
HOST+=.test

# some COUNT: that many addresses of this machine at which nobody listens, all
# different; sets ADDRESSES, with a + between them.
some() {
    local i last=$((2 + RANDOM % 100))
    ADDRESSES=
    for ((i = 0; i < $1; i++)); do
        ADDRESSES+=+127.0.0.$last
        last=$((last + 1 + RANDOM % 3))
    done
    ADDRESSES=${ADDRESSES#+}
}

# What this machine says to who knocks at an IPv6 address of its own, or at an
# IPv4 address by a socket for IPv6. Where it has none, it has other words.
refused_by_6="*" refused_by_mapped="*"
if [[ -e /proc/net/if_inet6 ]]; then
    refused_by_mapped="Connection refused"
    ! grep -q '^0\{31\}1 ' /proc/net/if_inet6 ||
        refused_by_6="Connection refused"
fi

# answer_named ADDRESSES [VARIABLE=VALUE...]: runs the learner's program with a
# HOST that means these addresses.
answer_named() {
    # In glibc, what has been freed is not as it was.
    local -a with=("LD_PRELOAD=$preloaded" MALLOC_PERTURB_=165 "NAMES=$HOST=$1"
        "${@:2}")
    by_hand env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
    run_answer env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
}

# expect_failures ADDRESS[=REASON]... [--hint TEXT]: the lines on standard error
# that end in an address and a reason are these, in this order.
expect_failures() {
    local line wanted reason i=0 hint=''
    local -a lines=() arguments
    take_options + "$@" || return
    while IFS= read -r line; do
        [[ $line != *":$PORT: "* || $line == *"$HOST:$PORT: "* ]] ||
            lines+=("$line")
    done <"$BATS_TEST_TMPDIR/err"
    for wanted in "${arguments[@]}"; do
        reason="Connection refused"
        [[ $wanted != *=* ]] || reason=${wanted#*=}
        wanted=${wanted%%=*}:$PORT
        # Its beginning may be the program's name, and a call's.
        # shellcheck disable=SC2053 # the reason may be a pattern
        [[ ${lines[i]-} == "$wanted: "$reason ||
            ${lines[i]-} == *" $wanted: "$reason ]] ||
            fail "line $((i + 1)) about a failed address is not what it should \
be" --show "Expected: $wanted: ${reason/\*/...}
     Got: ${lines[i]-(no such line)}" --hint "$hint"
        i=$((i + 1))
    done
    ((i == ${#lines[@]})) ||
        fail "it says more about addresses that failed than it should" \
            --show "     Got: ${lines[i]}" --hint "$hint"
}

# expect_connected_to ADDRESS:PORT [--hint TEXT]: it printed that, and nothing
# else. What it printed instead may show the mistake.
expect_connected_to() {
    local -a options=("${@:2}")
    ! is_text "connected to $1\n" "$OUT" || return 0
    if [[ $errors == *"connected to $1"* ]]; then
        options+=(--hint "That line is the result, so it goes to standard \
output: printf, and not fprintf(stderr, ...).")
        HAND[-1]+=" 2>/dev/null"
    elif grep -qxF "connected to $1" "$OUT"; then
        options+=(--hint "Standard output is for this line alone. What you \
say about an address that failed goes to standard error: warn(3) prints there.")
        HAND[-1]+=" 2>/dev/null"
    fi
    expect_output --text "connected to $1\n" "${options[@]}"
}

# somebody [COUNT]: a server for so many clients (1); sets PORT.
somebody() {
    start_server peer "$BUILD/peers/rude" -c "${1:-1}" serve whole ||
        environment "rude cannot listen on 127.0.0.1"
    by_hand "$BUILD/peers/rude" -c "${1:-1}" -p "$PORT" serve whole
}

# is_met: somebody has been connected to, which he may say a moment later.
is_met() {
    until_true says peer connected 2>/dev/null
}

# nobody: sets PORT to one at which nobody listens.
nobody() {
    start refuser "$BUILD/peers/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
}

connect_hint="getaddrinfo takes a number like a name. Each entry of its list \
has all that socket and connect need: ai_family, ai_socktype, ai_protocol, \
ai_addr and ai_addrlen."
line_hint="Print one line on standard output, connected to ADDRESS:PORT. \
getnameinfo writes both in numbers with NI_NUMERICHOST and NI_NUMERICSERV."
next_hint="getaddrinfo returns a list. While connect fails, go on with the \
entry that ai_next points to, until that is NULL."
warn_hint="Print one line on standard error for each address that failed; it \
ends in ADDRESS:PORT: REASON. warn(3) adds the reason from errno: call it \
before another call changes errno."
first_hint="Stop at the first address that answers: no other is tried after it."

@test "connects to an address that is given as a number" {
    somebody
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    # Asked for a name for the number, this machine has one, like most.
    run_answer env "LD_PRELOAD=$preloaded" "NAMES=$HOST=127.0.0.1" \
        "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 0 --hint "$connect_hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$line_hint"
    expect_true "nobody connected to port $PORT" --hint "$connect_hint" -- is_met
}

@test "tries the next address when one fails, until one answers" {
    local hint=$next_hint
    somebody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    [[ $(<"$OUT") != "connected to ${ADDRESSES%%+*}:"* ]] || hint="Nobody \
listens at this address. Check what connect returns. If it returned 0, the \
socket was for SOCK_DGRAM, where nobody can refuse: set ai_socktype to \
SOCK_STREAM in the hints of getaddrinfo."
    expect_status 0 --hint "$hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$hint"
    expect_true "nobody connected to port $PORT" --hint "$next_hint" -- is_met
}

@test "reports each address that failed, in the order of the list" {
    somebody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    expect_status 0 --hint "$next_hint"
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ } --hint "$warn_hint"
}

@test "tries both families, and writes IPv6 in brackets" {
    local mapped=::ffff:127.0.0.$((2 + RANDOM % 200))
    local hint="An address needs a socket of its own family: make a new one \
for each try, with the ai_family of its entry. AF_UNSPEC in the hints of \
getaddrinfo asks for both families."
    somebody
    some 2
    answer_named "::1+${ADDRESSES%+*}+$mapped+${ADDRESSES#*+}+127.0.0.1" \
        NAMES_LOCAL=1
    [[ $errors == *::* ]] || hint+=" Do not ask for AI_ADDRCONFIG: where no \
address of this machine is one of IPv6, but for ::1, it leaves out all of IPv6."
    if [[ $errors == *" ::1:"* || $errors == ::1:* ]]; then
        hint="Write an IPv6 address in brackets, [::1]:80. In ::1:80 nobody \
can tell which colon separates the port (RFC 3986, section 3.2.2)."
    fi
    if [[ $errors == *"[::1]:"* && $errors == *"${ADDRESSES#*+}:"* &&
        $errors != *"$mapped"* ]]; then
        hint="Is there room for this address? As text, an IPv6 address may be \
longer than any IPv4 address: INET6_ADDRSTRLEN and NI_MAXHOST are enough."
    fi
    expect_failures "[::1]=$refused_by_6" "${ADDRESSES%+*}" \
        "[$mapped]=$refused_by_mapped" \
        "${ADDRESSES#*+}" --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$line_hint"
}

@test "stops at the first address that answers" {
    somebody 2
    some 2
    answer_named "${ADDRESSES%+*}+127.0.0.1+127.0.0.1+${ADDRESSES#*+}"
    expect_failures "${ADDRESSES%+*}" --hint "$first_hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$first_hint"
    expect_status 0 --hint "One address answered, so the program has done its \
work: end with status 0."
}

@test "ends with status 1 when none answers" {
    nobody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    expect_status 1 --hint "If no address answered by the end of the list, end \
with status 1."
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ } 127.0.0.1 --hint "$warn_hint"
    expect_output /dev/null --hint "Print nothing on standard output if no \
address answered."
    next_run
    # Somebody has a name for this port, and nobody listens there.
    PORT=1
    HAND_PORT=1
    answer_named "$ADDRESSES"
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ } --hint "Print the port as a number: give \
getnameinfo the flag NI_NUMERICSERV."
}

@test "closes what failed before it tries the next address" {
    local limited=$BATS_TEST_TMPDIR/limited
    local hint="A socket whose connect failed still holds a descriptor, and \
here there are only 16 for 40 addresses. close each socket before you try the \
next address."
    somebody
    some 40
    # shellcheck disable=SC2016 # for the shell that runs it
    printf '#!/bin/sh\nulimit -n 16\nexec "$@"\n' >"$limited"
    chmod +x "$limited"
    by_hand "(ulimit -n 16; LD_PRELOAD=$names \
NAMES=$HOST=$ADDRESSES+127.0.0.1 $PROGRAM $HOST $HAND_PORT)"
    run_answer "$limited" env LD_PRELOAD="$names" \
        NAMES="$HOST=$ADDRESSES+127.0.0.1" "$PROGRAM" "$HOST" "$PORT"
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ } --hint "$hint"
    expect_status 0 --hint "$hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$hint"
    # An X-ray has this run in its picture, and cannot be stopped as below.
    [[ -z ${XRAY-} ]] || return 0
    next_run
    expect_one_socket
}

# expect_one_socket: the answer is stopped just before it connects to its third
# address. Then no socket of an address that failed is open.
expect_one_socket() {
    local pid open_sockets=1
    local -a with
    somebody
    some 2
    with=("LD_PRELOAD=$names:$BUILD/tests/faults.so" FAULT_CALL=connect
        FAULT_AT=3 FAULT_SIGNAL=19 "NAMES=$HOST=$ADDRESSES+127.0.0.1")
    by_hand env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    about=answer
    start answer env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
    pid=$(pid_of answer)
    until_true is_stopped_or_ended "$pid"
    holds_sockets "$pid" 1 || open_sockets=several
    kill -s CONT "$pid" || true
    finish_answer
    expect_equal "the number of sockets when it connects to the third address" \
        1 "$open_sockets" --hint "close each socket as soon as its connect has \
failed, and only then try the next address. That try may take minutes, and the \
descriptor would be held all that time."
}

is_stopped_or_ended() {
    ! is_running answer || is_stopped "$1"
}

@test "counts an address as failed when socket itself fails for it" {
    local hint="A machine without IPv6 has no socket for an IPv6 address, so \
socket returns -1. Report this like an address that refuses, and go on with \
the next one."
    somebody
    some 1
    preloaded=$names:$BUILD/tests/faults.so
    answer_named "$ADDRESSES+127.0.0.1" FAULT_CALL=socket FAULT_ERRNO=97
    expect_status 0 --hint "$hint"
    expect_failures "$ADDRESSES=Address family not supported by protocol" \
        --hint "$hint"
    expect_connected_to "127.0.0.1:$PORT" --hint "$hint"
}

@test "says why a name has no address, in the words of getaddrinfo, with status 1" {
    local -a errors_of=(-2 -3 -4) errno_of=(13 24 12 1)
    local error=${errors_of[RANDOM % 3]} words
    case $error in # as glibc says it, and as musl does
    -2) words="Name or service not known|Name does not resolve" ;;
    -3) words="Temporary failure in name resolution|Try again" ;;
    -4) words="Non-recoverable failure in name resolution|Non-recoverable error" ;;
    esac
    nobody
    answer_named 127.0.0.1 NAMES_ERROR="$error" \
        NAMES_ERRNO="${errno_of[RANDOM % 4]}"
    expect_status 1 --hint "getaddrinfo returns 0 or an error number. If it is \
not 0, there is no list: end with status 1."
    expect_true "standard error does not say: ${words/|/, or: }" \
        --hint "getaddrinfo returns its error, and gai_strerror has the words \
for it. err and perror use errno, which is about something else: write errx(1, \
\"%s: %s\", host, gai_strerror(error))." -- says_one_of "$words"
    expect_output /dev/null --hint "Print nothing on standard output if no \
address answered."
}

says_one_of() {
    [[ $errors == *"${1%|*}" || $errors == *"${1#*|}" ]]
}

@test "calls freeaddrinfo exactly once for the list, also when no address answered" {
    local log=$BATS_TEST_TMPDIR/log
    somebody
    some 2
    answer_named "$ADDRESSES+127.0.0.1+127.0.0.1" NAMES_LOG="$log"
    expect_status 0 --hint "$next_hint"
    expect_given_back "$log"
    next_run
    : >"$log"
    nobody
    answer_named "$ADDRESSES" NAMES_LOG="$log"
    expect_status 1 --hint "If no address answered by the end of the list, end \
with status 1."
    expect_given_back "$log"
}

# Each list, once, and nothing else.
expect_given_back() {
    local given back hint="Call freeaddrinfo once for each list, with the \
pointer to its first entry. Keep that pointer, and go through the list with \
another."
    given=$(grep -cx given "$1") || true
    back=$(grep -cx "given back" "$1") || true
    HAND[-1]=${HAND[-1]/"$BUILD/log"/\/dev\/stderr}
    expect_true "it called getaddrinfo $given times, and gave back $back \
lists" \
        --hint "$hint" -- test "$given" = "$back"
    expect_true "it gave freeaddrinfo what is no list" --hint "$hint" \
        -- test "$((given + back))" = "$(wc -l <"$1")"
}

@test "reports output that cannot be written, with status 1" {
    somebody
    by_hand "$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" 127.0.0.1 "$PORT"
    expect_status 1 --hint "$output_hint"
    expect_stderr "*No space left on device*" --hint "When printf or fflush \
fails, errno has the reason: err(1, \"standard output\") prints it in words."
}

@test "refuses a wrong number of arguments, with status 2" {
    answer
    expect_usage
    answer 127.0.0.1
    expect_usage
    answer 127.0.0.1 80 more
    expect_usage
}

@test "refuses an invalid port, with status 1" {
    local port hint="Check the port yourself: it has digits and nothing else, \
and is from 1 to 65535. getaddrinfo takes a port plus 65536 for the same port, \
and reports no error."
    somebody
    for port in "${PORT}x" $((PORT + 65536)) "+$PORT" " $PORT" \
        "-$((65536 - PORT))" ""; do
        HAND=("${HAND[0]}") # the server, and this run alone
        answer 127.0.0.1 "$port"
        expect_status 1 --hint "$hint"
    done
}
