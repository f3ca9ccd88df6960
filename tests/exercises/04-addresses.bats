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
    local -a with=("LD_PRELOAD=$preloaded" "NAMES=$HOST=$1" "${@:2}")
    : >"$BATS_TEST_TMPDIR/ending"
    by_hand env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
    try env "${with[@]}" "$PROGRAM" "$HOST" "$PORT"
    case $status in
    126 | 127) environment "$PROGRAM does not run" ;;
    esac
}

# expect_failures ADDRESS[=REASON]...: the lines on standard error that end in
# an address and a reason are these, in this order.
expect_failures() {
    local line wanted
    local -a lines=()
    while IFS= read -r line; do
        [[ $line != *":$PORT: "* || $line == *"$HOST:$PORT: "* ]] ||
            lines+=("$line")
    done <"$BATS_TEST_TMPDIR/err"
    local i=0
    for wanted; do
        local reason="Connection refused"
        [[ $wanted != *=* ]] || reason=${wanted#*=}
        wanted=${wanted%%=*}:$PORT
        # Its beginning may be the program's name, and a call's.
        # shellcheck disable=SC2053 # the reason may be a pattern
        if [[ ${lines[i]-} != "$wanted: "$reason &&
            ${lines[i]-} != *" $wanted: "$reason ]]; then
            printf 'Expected: %s: %s\n     Got: %s\n' "$wanted" \
                "${reason/\*/...}" "${lines[i]-(no such line)}" |
                not_yet "line $((i + 1)) about a failed address is not what \
it should be"
        fi
        i=$((i + 1))
    done
    if ((i < ${#lines[@]})); then
        printf '     Got: %s\n' "${lines[i]}" |
            not_yet "it says more about addresses that failed than it should"
    fi
}

expect_connected_to() {
    printf 'connected to %s\n' "$1" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

# somebody [COUNT]: a server for so many clients (1); sets PORT.
somebody() {
    start_server peer "$BUILD/tests/rude" -c "${1:-1}" serve whole ||
        environment "rude cannot listen on 127.0.0.1"
    by_hand "$BUILD/tests/rude" -c "${1:-1}" -p "$PORT" serve whole
}

# is_met: somebody has been connected to, which he may say a moment later.
is_met() {
    until_true says peer connected 2>/dev/null
}

# nobody: sets PORT to one at which nobody listens.
nobody() {
    start refuser "$BUILD/tests/rude" refuse
    wait_for refuser 'refusing on *' || environment "cannot bind a port"
    port_of refuser
}

@test "connects to an address that is given as a number" {
    somebody
    by_hand "$PROGRAM" 127.0.0.1 "$PORT"
    # Asked for a name for the number, this machine has one, like most.
    try env "LD_PRELOAD=$preloaded" "NAMES=$HOST=127.0.0.1" \
        "$PROGRAM" 127.0.0.1 "$PORT"
    hint "getaddrinfo takes a number like a name. Its answer has all that \
socket and connect want: ai_family, ai_socktype, ai_protocol, ai_addr, \
ai_addrlen."
    expect_status 0
    [[ ! -s $OUT ]] || hint "one line on standard output: connected to \
ADDRESS:PORT, in numbers, as getnameinfo writes them with NI_NUMERICHOST and \
NI_NUMERICSERV."
    expect_connected_to "127.0.0.1:$PORT"
    expect_true "nobody connected to port $PORT" is_met
}

@test "tries the next address when one fails, until one answers" {
    somebody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    hint "the answer of getaddrinfo is a list: while connect fails, go on with \
ai_next, until that is NULL."
    [[ $(<"$OUT") != "connected to ${ADDRESSES%%+*}:"* ]] || hint "nobody is \
there. Did connect return 0? Then for SOCK_DGRAM, which sends nothing, so that \
nobody can refuse it: without a type in the hints, each address comes once for \
each type."
    expect_status 0
    expect_connected_to "127.0.0.1:$PORT"
    expect_true "nobody connected to port $PORT" is_met
}

@test "reports each address that failed, and why, in the list's order" {
    somebody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    hint "for each failure one line on standard error that ends in \
ADDRESS:PORT: REASON. err.h has warn, which adds the words of errno and goes \
on; say which address before another call changes errno."
    expect_status 0
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ }
}

@test "tries both families, and writes IPv6 in brackets" {
    local mapped=::ffff:127.0.0.$((2 + RANDOM % 200))
    somebody
    some 2
    answer_named "::1+${ADDRESSES%+*}+$mapped+${ADDRESSES#*+}+127.0.0.1"
    hint "an address of each family wants a socket of its family: a new one \
for each try, made from what the list says of it. AF_UNSPEC in the hints asks \
for both."
    if [[ $errors == *" ::1:"* || $errors == ::1:* ]]; then
        hint "[::1]:80 is an address and a port. In ::1:80 nobody can tell \
which colon is the last one of the address: RFC 3986, section 3.2.2."
    fi
    expect_failures "[::1]=$refused_by_6" "${ADDRESSES%+*}" \
        "[$mapped]=$refused_by_mapped" \
        "${ADDRESSES#*+}"
    expect_status 0
    expect_connected_to "127.0.0.1:$PORT"
}

@test "stops at the first that answers" {
    somebody 2
    some 2
    answer_named "${ADDRESSES%+*}+127.0.0.1+127.0.0.1+${ADDRESSES#*+}"
    hint "who has answered is the one you wanted: no other is tried after it."
    expect_status 0
    expect_failures "${ADDRESSES%+*}"
    expect_connected_to "127.0.0.1:$PORT"
}

@test "ends with status 1 when none answers, and has said why of each" {
    nobody
    some $((2 + RANDOM % 3))
    answer_named "$ADDRESSES+127.0.0.1"
    hint "when the list is at its end and nobody has answered, the program \
has not done what it was asked: status 1, and nothing on standard output."
    expect_status 1
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ } 127.0.0.1
    expect_output /dev/null
}

@test "closes what failed before it tries the next" {
    somebody
    some 40
    local limited=$BATS_TEST_TMPDIR/limited
    # shellcheck disable=SC2016 # for the shell that runs it
    printf '#!/bin/sh\nulimit -n 16\nexec "$@"\n' >"$limited"
    chmod +x "$limited"
    HAND+=("ulimit -n 16   # in a shell of its own: no more descriptors than 16")
    by_hand env LD_PRELOAD="$names" NAMES="$HOST=$ADDRESSES+127.0.0.1" \
        "$PROGRAM" "$HOST" "$PORT"
    try "$limited" env LD_PRELOAD="$names" NAMES="$HOST=$ADDRESSES+127.0.0.1" \
        "$PROGRAM" "$HOST" "$PORT"
    hint "a socket whose connect failed is still a descriptor. With 16 of them \
at most, 40 addresses that fail leave none for the one that answers: close \
each before the next."
    # shellcheck disable=SC2086 # a word each
    expect_failures ${ADDRESSES//+/ }
    expect_status 0
    expect_connected_to "127.0.0.1:$PORT"
}

@test "counts an address for which no socket is to be had as one that failed" {
    somebody
    some 1
    preloaded=$names:$BUILD/tests/faults.so
    answer_named "$ADDRESSES+127.0.0.1" FAULT_CALL=socket FAULT_ERRNO=97
    hint "a machine without IPv6 has no socket for such an address, and says \
so in socket. The next address may be of another family: report this one as \
you report who refuses, and go on."
    expect_status 0
    expect_failures "$ADDRESSES=Address family not supported by protocol"
    expect_connected_to "127.0.0.1:$PORT"
}

@test "says why a name has no address, in getaddrinfo's own words" {
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
    hint "getaddrinfo returns its error, and gai_strerror has the words for \
it. errno is what something else has left there, so err and perror name a \
reason that is none: errx(1, \"%s: %s\", host, gai_strerror(error))."
    expect_status 1
    expect_true "standard error does not say: ${words/|/, or: }" \
        says_one_of "$words"
    expect_output /dev/null
}

says_one_of() {
    [[ $errors == *"${1%|*}" || $errors == *"${1#*|}" ]]
}

@test "gives the list back, whole, whether somebody answered or nobody" {
    local log=$BATS_TEST_TMPDIR/log
    hint "who calls getaddrinfo gives the list to freeaddrinfo, once, from its \
first entry: keep that pointer, and go through the list with another."
    somebody
    some 2
    answer_named "$ADDRESSES+127.0.0.1+127.0.0.1" NAMES_LOG="$log"
    expect_status 0
    expect_given_back "$log"
    stop_all
    HAND=()
    : >"$log"
    nobody
    answer_named "$ADDRESSES" NAMES_LOG="$log"
    expect_status 1
    expect_given_back "$log"
}

# Each list, once, and nothing else.
expect_given_back() {
    local given back
    given=$(grep -cx given "$1") || true
    back=$(grep -cx "given back" "$1") || true
    HAND[-1]=${HAND[-1]/"$1"/\/dev\/stderr}
    expect_true "it called getaddrinfo $given times, and gave back $back lists" \
        test "$given" = "$back"
    expect_true "it gave freeaddrinfo what is no list" \
        test "$((given + back))" = "$(wc -l <"$1")"
}

@test "says so when standard output cannot be written" {
    somebody
    HAND+=("$PROGRAM 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" 127.0.0.1 "$PORT" >/dev/full \
        2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "printf and fflush return what became of the bytes. Nothing is on its \
way before fflush: without it the loss shows only at exit."
    expect_status 1
}

@test "refuses wrong arguments with its usage, status 2" {
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    answer
    expect_status 2
    expect_stderr "usage: *"
    answer 127.0.0.1
    expect_status 2
    answer 127.0.0.1 80 more
    expect_status 2
    somebody
    hint "a port is digits and nothing else, from 1 to 65535. getaddrinfo \
takes 65536 more than a port for the same port, and says nothing."
    answer 127.0.0.1 "${PORT}x"
    expect_status 1
    answer 127.0.0.1 "$((PORT + 65536))"
    expect_status 1
    answer 127.0.0.1 "+$PORT"
    expect_status 1
}
