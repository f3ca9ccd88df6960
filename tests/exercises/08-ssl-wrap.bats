#!/usr/bin/env bats
# The exercise of 08-ssl-wrap: the client of 2008, made safe, `08-ssl-wrap [-t
# SECONDS] CAFILE NAME HOST PORT`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/tests/rude-tls
taken=server.example
faulty=()

# draw BYTES NAME: that many bytes that nobody has seen before, in file NAME.
draw() {
    "$BUILD/tests/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$1" payload \
        garbage >"$BATS_TEST_TMPDIR/$2" ||
        environment "$BUILD/tests/rude does not run"
}

# server MANNER CERTIFICATE [OPTION...]: that one, whose answer is in $ANSWER,
# and which keeps what it hears in $HEARD. With size=0 it has an answer of its
# own, which is to be seen by nobody.
server() {
    local -a options=("${@:3}")
    HAND=()
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    ANSWER=$BATS_TEST_TMPDIR/answer
    HEARD=$BATS_TEST_TMPDIR/heard
    INPUT=/dev/null
    if [[ ${size:-300} != 0 ]]; then
        draw "${size:-300}" answer
        options+=(-f "$ANSWER")
    fi
    start_server peer "$rude_tls" -o "$HEARD" "${options[@]}" "$1" \
        "$certs/$2.pem" "$certs/$2.key" ||
        environment "$rude_tls cannot listen on 127.0.0.1"
    options=("${@:3}")
    HAND=("$rude_tls ${options[*]}${options:+ }-p $HAND_PORT $1 $certs/$2.pem \
$certs/$2.key")
}

# ask [-t SECONDS]: an answer, which is to talk to $taken and to nobody else. It
# may meet faults: see need_faults.
ask() {
    local input=
    [[ $INPUT == /dev/null ]] || input='echo hello | '
    HAND+=("$input${faulty[*]}${faulty:+ }$PROGRAM $*${*:+ }$certs/root.pem $taken 127.0.0.1 $HAND_PORT")
    about=answer
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    : >"$BATS_TEST_TMPDIR/ending"
    bounded "${faulty[@]}" "$PROGRAM" "$@" "$certs/root.pem" "$taken" \
        127.0.0.1 "$PORT" <"$INPUT" >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    ((status != 126 && status != 127)) || environment "$PROGRAM does not run"
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || errors=${errors%$'\n'}
}

# The server heard nothing of what was to be said, and the program printed
# nothing of what the server said.
expect_refusal() {
    expect_status 1
    expect_true "it printed what this server says" is_empty "$OUT"
    soon says peer 'got *' || true # it may hear later than we look
    expect_true "it sent its input to this server" is_empty "$HEARD"
    expect_true "it does not say why" says_why
}

is_empty() {
    [[ ! -s $1 ]]
}

says_why() {
    [[ -n $errors ]]
}

# refuses CERTIFICATE: a server that has that one, and would listen.
refuses() {
    size=0 server honest "$1" -n 5
    INPUT=$BATS_TEST_TMPDIR/input
    echo hello >"$INPUT"
    ask
    expect_refusal
    stop_all
}

expect_heard() {
    wait_for peer 'got *'
    cmp -s "$INPUT" "$HEARD" ||
        not_yet "the server did not hear what was on standard input" \
            < <(show_difference "$INPUT" "$HEARD")
}

@test "talks to a server that is who it should be, both ways" {
    size=40000 server honest good -n 30000 -w 20
    draw 30000 input
    INPUT=$BATS_TEST_TMPDIR/input
    hint "this certificate is good: root.pem has the root that it leads to, \
and it is made out to NAME. On a socket with O_NONBLOCK a call that fails with \
SSL_ERROR_WANT_READ or SSL_ERROR_WANT_WRITE is made again, after poll."
    ask
    expect_status 0
    expect_output "$ANSWER"
    expect_heard
}

@test "refuses a certificate that no root in CAFILE vouches for" {
    local name
    hint "by default a client of OpenSSL's verifies nothing, whatever roots it \
has loaded: SSL_CTX_set_verify with SSL_VERIFY_PEER makes SSL_connect fail. \
Only then may you send."
    for name in self-signed unknown-root; do
        refuses "$name"
    done
}

@test "refuses a certificate that is out of date" {
    hint "the certificate is verified as a whole, with its dates, or not at \
all: a callback that turns errors into 1 takes anything."
    refuses expired
    refuses by-early-authority
}

@test "refuses a certificate that is made out to somebody else" {
    hint "whoever has a certificate for his own name has a good one, and it is \
no proof that he is NAME. SSL_set1_host, before SSL_connect, says who is \
meant."
    refuses wrong-name
    refuses good-other
    hint "a name is the same name to its last letter; \
SSL_set1_host compares as RFC 6125 has it; strstr and strcmp don't."
    refuses name-and-more
    refuses more-and-name
}

@test "looks for NAME among the alternative names only" {
    hint "the common name of the subject, CN, was never meant for this, and no \
browser has looked at it since 2017: X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, in \
SSL_set_hostflags."
    refuses name-in-subject-only
    refuses name-in-subject-too
    server honest good-other-cn
    hint "the certificate is made out to NAME, in its subjectAltName. What \
stands in its CN is nothing to you."
    ask
    expect_status 0
    expect_output "$ANSWER"
}

@test "compares an address with addresses" {
    taken=127.0.0.1
    server honest good-address
    hint "NAME may be an address, and a certificate has addresses apart from \
names: X509_VERIFY_PARAM_set1_ip_asc, with what SSL_get0_param gives, takes \
one, and returns 0 for what is none."
    ask
    expect_status 0
    expect_output "$ANSWER"
    stop_all
    refuses wrong-address
    hint "a certificate that has 127.0.0.1 as a name is none for the address."
    refuses address-as-name
}

@test "asks for NAME, so that a server of many names can choose" {
    server honest good
    hint "the handshake says to whom it speaks, in the clear: \
SSL_set_tlsext_host_name, before SSL_connect. SSL_set1_host does not do that."
    ask
    expect_status 0
    wait_for peer 'got *'
    expect_true "the server was not asked for $taken" says peer \
        "taken for $taken"
    stop_all
    taken=127.0.0.1
    server honest good
    hint "only names are asked for, never addresses: RFC 6066, section 3."
    ask
    expect_status 0
    wait_for peer 'got *'
    expect_true "the server was asked for an address" says peer \
        'taken for nobody'
}

@test "does without what is too weak to prove anything" {
    local name
    hint "security level 2 refuses RSA keys under 2048 bits, and SHA-1: \
SSL_CTX_set_security_level. It is the level 0 of the old client that takes \
them."
    for name in small-key sha1; do
        # Some systems refuse to make them.
        [[ ! -e $certs/$name.pem ]] || refuses "$name"
    done
    server tls-1.1 good-rsa
    hint "TLS 1.1 has been dead since RFC 8996: \
SSL_CTX_set_min_proto_version, TLS1_2_VERSION."
    ask
    expect_refusal
}

@test "takes an end without close_notify for an error, and prints what came" {
    server cut good
    hint "SSL_read returned 0 or less, and that is no end by itself: only \
SSL_ERROR_ZERO_RETURN is, from SSL_get_error. Anybody between you and the \
server can end a connection early; none but the server can say close_notify."
    ask
    expect_status 1
    expect_output "$ANSWER"
    stop_all
    server broken-off good
    ask
    expect_status 1
}

# gives_up MANNER [SECONDS]: that is not what the server gives up.
gives_up() {
    size=0 server "$1" good
    ask -t "${2:-0.05}"
    expect_status 1
    stop_all
}

@test "gives up when its time is over, whatever the server does" {
    local seconds
    hint "this one accepts, and says nothing. SSL_connect waits for it, on a \
blocking socket for ever. deadline_connect leaves yours non-blocking: then \
SSL_connect fails with SSL_ERROR_WANT_READ, and deadline_wait waits, as long as \
there is time."
    gives_up silent
    hint "this one says a byte now and then. There is one deadline for \
everything, and no timeout for each call."
    gives_up dribble
    hint "this one shakes hands and then says nothing: the deadline is for the \
answer too."
    gives_up mute
    hint "this one always has something to say, so that SSL_read never has to \
wait: ask for the time before each call, deadline_left."
    # By single bytes it takes longer than the server: no read has to wait.
    [[ $BUILD == *asan* ]] ||
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=read)
    for seconds in 0.05 0.3 1; do # or it was busy with shaking hands till then
        gives_up flood "$seconds"
        [[ ! -s $OUT ]] || break
    done
    faulty=()
    HAND=()
    start nobody "$BUILD/tests/rude" swallow
    wait_for nobody 'swallowing on *' ||
        environment "$BUILD/tests/rude has no port"
    port_of nobody
    HAND=("$BUILD/tests/rude -p $HAND_PORT swallow")
    hint "nobody answers its SYN: deadline_connect, in the place of connect."
    ask -t 0.05
    expect_status 1
}

@test "waits for a server that is slow, while there is time" {
    size=30 server dribble good -d 0
    hint "the handshake comes a byte at a time, and the answer too. \
SSL_ERROR_WANT_READ is no failure while there is time."
    ask
    expect_status 0
    expect_output "$ANSWER"
}

@test "says so when standard output cannot be written" {
    server honest good
    HAND+=("$PROGRAM $certs/root.pem $taken 127.0.0.1 $HAND_PORT >/dev/full; echo \$?")
    status=0
    bounded "$PROGRAM" "$certs/root.pem" "$taken" 127.0.0.1 "$PORT" \
        >/dev/full 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- || status=$?
    hint "fwrite and fflush return what became of the bytes."
    expect_status 1
}

@test "refuses wrong arguments" {
    hint "usage goes to standard error, and the status is 2."
    answer "$certs/root.pem" server.example 127.0.0.1
    expect_status 2
    expect_stderr "*usage: *"
    answer -x "$certs/root.pem" server.example 127.0.0.1 80
    expect_status 2
    server honest good -c 3
    hint "a CAFILE that is none, and a name that is empty, can prove nothing: \
that is a failure, and no reason to trust. SSL_set1_host takes an empty name for \
any name, and one that begins with a dot for all that end so."
    answer "$BATS_TEST_TMPDIR/none" server.example 127.0.0.1 "$PORT"
    expect_status 1
    answer "$certs/root.pem" "" 127.0.0.1 "$PORT"
    expect_status 1
    answer "$certs/root.pem" .example 127.0.0.1 "$PORT"
    expect_status 1
}
