#!/usr/bin/env bats
# The exercise of 08-ssl-wrap: the client of 2008, made safe, `08-ssl-wrap [-t
# SECONDS] CAFILE NAME HOST PORT`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/peers/rude-tls
taken=server.example
faulty=()
typed='echo hello' # what to give to it by hand

# draw BYTES NAME: that many bytes that nobody has seen before, in file NAME.
draw() {
    "$BUILD/peers/rude" -s "$((RANDOM * 32768 + RANDOM + 2))" -n "$1" payload \
        garbage >"$BATS_TEST_TMPDIR/$2" ||
        environment "$BUILD/peers/rude does not run"
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
    local shown="${faulty[*]}${faulty:+ }$PROGRAM $*${*:+ }$certs/root.pem \
$taken 127.0.0.1 $HAND_PORT"
    case $INPUT in
    /dev/null) by_hand "$shown </dev/null" ;;
    *) by_hand "$typed | $shown" ;;
    esac
    run_answer "${faulty[@]}" "$PROGRAM" "$@" "$certs/root.pem" "$taken" \
        127.0.0.1 "$PORT"
}

# expect_refusal [--hint TEXT]: the server heard nothing of what was to be said,
# and the program printed nothing of what the server said.
expect_refusal() {
    expect_status 1 "$@"
    expect_true "it printed what this server says" "$@" -- is_empty "$OUT"
    soon says peer 'got *' || true # it may hear later than we look
    expect_true "it sent its input to this server" "$@" -- is_empty "$HEARD"
    expect_true "it does not say why" --hint "When SSL_connect fails, say why \
on standard error: tls_explain, or ERR_reason_error_string of ERR_peek_error." \
        -- test -n "$errors"
}

is_empty() {
    [[ ! -s $1 ]]
}

# refuses CERTIFICATE [--hint TEXT]: a server that has that one, and would
# listen.
refuses() {
    size=0 server honest "$1" -n 5
    INPUT=$BATS_TEST_TMPDIR/input
    echo hello >"$INPUT"
    ask
    expect_refusal "${@:2}"
    stop_all
}

# expect_heard [--hint TEXT]: the server heard what was on standard input.
expect_heard() {
    wait_for peer 'got *'
    cmp -s "$INPUT" "$HEARD" ||
        fail "the server did not hear what was on standard input" \
            --show "$(show_difference "$INPUT" "$HEARD")" "$@"
}

name_hint="Compare names to their last letter: SSL_set1_host compares as RFC \
6125 says, but strstr and a strncmp of a part do not."
other_hint="Anybody may have a good certificate for a name of their own, and \
that is no proof of NAME. Call SSL_set1_host with NAME before SSL_connect."
subject_hint="The common name (CN) of the subject was never meant for this, \
and anything may stand in it. Set X509_CHECK_FLAG_NEVER_CHECK_SUBJECT with \
SSL_set_hostflags."
weak_hint="Security level 2 refuses SHA-1 and RSA keys under 2048 bits, and \
the old client's level 0 accepts them. Call SSL_CTX_set_security_level with 2."
flood_hint="This server always has something to say, so SSL_read never has to \
wait. Look at the time before each call: deadline_left."

@test "talks to a server that is who it should be, in both directions" {
    local again_hint="On a socket with O_NONBLOCK a call may fail with \
SSL_ERROR_WANT_READ or SSL_ERROR_WANT_WRITE. Wait with poll, and make the same \
call again. SSL_write returns how many bytes it has taken: with \
SSL_MODE_ENABLE_PARTIAL_WRITE these may be fewer than you gave it."
    local pieces_hint="SSL_read returns a piece of the answer: print exactly so \
many bytes with fwrite, as a NUL may be among them, and call it again, until \
the server has sent close_notify."
    local typed="head -c 30000 /dev/urandom"
    size=40000 server honest good -n 30000 -w 20
    draw 30000 input
    INPUT=$BATS_TEST_TMPDIR/input
    ask
    expect_end --hint "$again_hint"
    expect_status 0 --hint "This certificate is good: its root is in root.pem, \
and it is made out to NAME. $again_hint"
    HAND=("$BUILD/peers/rude -n 40000 payload garbage >$BUILD/answer"
        "${HAND[0]/ -p / -f $BUILD/answer -p }" "${HAND[1]} >$BUILD/got"
        "cmp $BUILD/answer $BUILD/got")
    expect_output "$ANSWER" --hint "$pieces_hint"
    expect_heard --hint "$again_hint"
    [[ $BUILD != *asan* ]] || return 0 # no faults under the sanitizers
    stop_all
    # There is no room in the socket for the first record of the input. (Where the
    # socket blocks, write waits until there is.)
    server honest good -n 30000
    INPUT=$BATS_TEST_TMPDIR/input
    need_faults
    faulty+=(FAULT_NONBLOCKING=1 FAULT_CALL=write FAULT_ERRNO=11 FAULT_AT=3)
    ask
    expect_status 0 --hint "$again_hint"
    expect_heard --hint "When SSL_write fails with SSL_ERROR_WANT_WRITE, it has \
sent nothing of these bytes. Wait with deadline_wait, and give it the same \
bytes again."
}

@test "refuses a certificate that has no chain to a root in CAFILE" {
    refuses self-signed --hint "By default an OpenSSL client does not refuse a \
bad certificate, whatever roots it has loaded. SSL_CTX_set_verify with \
SSL_VERIFY_PEER makes SSL_connect fail; only send after it has succeeded."
    refuses unknown-root --hint "Your program refuses a certificate that has \
signed itself, but not one whose root is unknown. An error anywhere in the chain \
counts, not only one in the server's own certificate. So give \
SSL_CTX_set_verify NULL, and no function of yours that returns 1 for an error."
    faulty=(env "SSL_CERT_FILE=$certs/other-root.pem")
    refuses unknown-root --hint "This system trusts a root that is not in \
CAFILE. Trust only what is in CAFILE: do not call \
SSL_CTX_set_default_verify_paths."
}

@test "refuses a certificate that is out of date" {
    local hint="SSL_VERIFY_PEER checks the whole certificate, with its dates. \
Do not give SSL_CTX_set_verify a callback that turns errors into 1."
    refuses expired --hint "$hint"
    refuses by-early-authority --hint "$hint"
}

@test "refuses a certificate that is for another name" {
    refuses wrong-name --hint "$other_hint"
    refuses good-other --hint "$other_hint"
    refuses name-and-more --hint "$name_hint"
    refuses more-and-name --hint "$name_hint"
    refuses name-with-nul --hint "This certificate is for another name that \
begins with NAME and a NUL. SSL_set1_host compares all of it, but strcmp stops \
at the NUL."
}

@test "looks for NAME only in the alternative names of the certificate" {
    local alternative_hint="The certificate is made out to NAME in its \
subjectAltName. Look only there, and not at the CN."
    refuses name-in-subject-only --hint "$subject_hint"
    refuses name-in-subject-too --hint "$subject_hint"
    server honest good-other-cn
    ask
    expect_status 0 --hint "$alternative_hint"
    expect_output "$ANSWER" --hint "$alternative_hint"
    server honest good -c 2
    for taken in '' .example; do
        answer "$certs/root.pem" "$taken" 127.0.0.1 "$PORT"
        expect_status 1 --hint "An empty name, or one that begins with a dot, \
proves nothing: SSL_set1_host accepts an empty name for any name, and one that \
begins with a dot for all names that end so. Refuse both, with status 1."
    done
}

@test "compares an address with the addresses in the certificate" {
    local address_hint="NAME may be an address, and a certificate keeps \
addresses apart from names. X509_VERIFY_PARAM_set1_ip_asc, with what \
SSL_get0_param returns, takes an address, and returns 0 if NAME is none."
    taken=127.0.0.1
    server honest good-address
    ask
    expect_status 0 --hint "$address_hint"
    expect_output "$ANSWER" --hint "$address_hint"
    stop_all
    taken=::1
    server honest good-address-6
    ask
    expect_status 0 --hint "NAME may be an IPv6 address. $address_hint"
    stop_all
    taken=127.0.0.1
    refuses wrong-address --hint "$address_hint"
    refuses address-as-name --hint "A certificate that has 127.0.0.1 as a DNS \
name does not prove the address: do not give an address to SSL_set1_host."
}

@test "tells the server in the ClientHello that it wants NAME, unless NAME is an address" {
    server honest good
    ask
    expect_status 0 --hint "This certificate is good, and made out to NAME."
    wait_for peer 'got *'
    expect_true "the server was not asked for $taken" --hint "The client tells \
the server at the start of the handshake, unencrypted, whom it wants to reach. \
Call SSL_set_tlsext_host_name before SSL_connect; SSL_set1_host does not do \
it." \
        -- says peer "taken for $taken"
    stop_all
    taken=127.0.0.1
    server honest good
    ask
    expect_status 0 --hint "This certificate is good, and has the address."
    wait_for peer 'got *'
    expect_true "the server was asked for an address" --hint "Call \
SSL_set_tlsext_host_name only for names and never for addresses (RFC 6066, \
section 3)." -- says peer 'taken for nobody'
}

@test "refuses what is too weak to prove anything" {
    local name
    for name in small-key sha1; do
        # Some systems refuse to make them.
        [[ ! -e $certs/$name.pem ]] || refuses "$name" --hint "$weak_hint"
    done
    server tls-1.1 good-rsa
    ask
    expect_refusal --hint "RFC 8996 forbids TLS 1.1. Call \
SSL_CTX_set_min_proto_version with TLS1_2_VERSION."
}

@test "reports an end without close_notify as an error" {
    local cut_hint="When SSL_read returns 0 or less, ask SSL_get_error: only \
SSL_ERROR_ZERO_RETURN is the end. It means that the server has sent \
close_notify; any other end can be made by anybody on the way."
    server cut good
    ask
    expect_status 1 --hint "$cut_hint"
    expect_output "$ANSWER" --hint "Print each piece as it comes: what came \
before the error is to be printed, too."
    stop_all
    server broken-off good
    ask
    expect_status 1 --hint "$cut_hint"
}

# gives_up MANNER [SECONDS] --hint TEXT: that is not what the server gives up.
# One that dribbles pauses for 10 milliseconds, so that no pause of a busy
# machine is as long as a timeout.
gives_up() {
    local seconds=0.05
    size=0 server "$1" good -d 10
    if [[ $2 != --hint ]]; then
        seconds=$2
        shift
    fi
    ask -t "$seconds"
    expect_end "${@:2}"
    expect_status 1 "${@:2}"
    stop_all
}

# stays_too_long MANNER INPUT COMMAND --hint TEXT: it ends with that input too,
# which is by hand what COMMAND prints.
stays_too_long() {
    [[ $2 == /dev/zero || -p $2 ]] || mkfifo "$2"
    exec 8<>"$2" # a pipe that somebody could write to
    size=0 server "$1" good
    INPUT=$2
    typed=$3 ask -t 0.1
    exec 8>&-
    expect_end "${@:4}"
    expect_status 1 "${@:4}"
    stop_all
}

# ends_in_one_time: the handshake and what follows have one deadline. A busy
# machine may be late, but not each time.
ends_in_one_time() {
    local begun took i
    for i in {1..5}; do
        size=0 server mute good -w 300
        begun=${EPOCHREALTIME/./}
        ask -t 0.4
        took=$((${EPOCHREALTIME/./} - begun))
        stop_all
        ((status == 1 && took > 650000)) || break
    done
    HAND[-1]="time -p ${HAND[-1]}"
    ((took <= 650000)) || fail "it took too long" \
        --hint "The server made you wait in the handshake, and then again for \
its answer. Call deadline_after once, at the start: both have the same deadline."
    expect_status 1 --hint "The deadline has passed: say so, and end with \
status 1."
}

# bats test_tags=waits
@test "ends when SECONDS are over, whatever the server or standard input does" {
    local seconds
    gives_up silent --hint "This server accepts and says nothing, and on a \
blocking socket SSL_connect waits for it for ever. deadline_connect gives you \
a non-blocking one: on SSL_ERROR_WANT_READ call deadline_wait, and try again."
    gives_up dribble --hint "This server sends a byte now and then. Have one \
deadline for everything, and not a timeout for each call."
    gives_up mute --hint "This server shakes hands and then says nothing: the \
deadline is for its answer, too."
    # By single bytes it takes longer than the server: no read has to wait.
    [[ $BUILD == *asan* ]] ||
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=read)
    most_printed=256000000 # it prints what the server sends, until it ends
    for seconds in 0.05 0.3 1; do # or it was busy with shaking hands till then
        gives_up flood "$seconds" --hint "$flood_hint"
        [[ ! -s $OUT ]] || break
    done
    faulty=()
    stays_too_long mute "$BATS_TEST_TMPDIR/silent" "sleep 9" --hint "Standard \
input has nothing to read here, and read waits for it for ever. Before each \
read, wait with deadline_wait(deadline, STDIN_FILENO, POLLIN)."
    stays_too_long flood /dev/zero "cat /dev/zero" --hint "This server never \
reads, so after some time nothing more can be sent. When SSL_write fails with \
SSL_ERROR_WANT_WRITE, call deadline_wait: it ends the wait at the deadline."
    ends_in_one_time
    HAND=()
    start nobody "$BUILD/peers/rude" swallow
    wait_for nobody 'swallowing on *' ||
        environment "$BUILD/peers/rude has no port"
    port_of nobody
    HAND=("$BUILD/peers/rude -p $HAND_PORT swallow")
    ask -t 0.05
    expect_end --hint "Nobody answers here, so connect waits for minutes. Call \
deadline_connect instead of connect."
    expect_status 1 --hint "Nobody answered before the deadline: say so, and \
end with status 1."
}

@test "waits for a slow server while there is time" {
    local hint="The handshake and the answer come a byte at a time. \
SSL_ERROR_WANT_READ is no failure while there is time: wait, and call again."
    size=30 server dribble good -d 0
    ask
    expect_status 0 --hint "$hint"
    expect_output "$ANSWER" --hint "$hint"
}

# ask_on_full_disk HINT: its answer cannot be written, and it has to say so.
ask_on_full_disk() {
    by_hand "$PROGRAM $certs/root.pem $taken 127.0.0.1 $HAND_PORT </dev/null \
>/dev/full; echo \$?"
    run_answer_to /dev/full "$PROGRAM" "$certs/root.pem" "$taken" 127.0.0.1 \
        "$PORT"
    expect_status 1 --hint "$1"
    stop_all
}

@test "reports output that cannot be written, and input that cannot be read" {
    server honest good
    ask_on_full_disk "$output_hint"
    size=4096 server honest good # as much as a buffer of fwrite holds
    HAND[0]="head -c 4096 /dev/zero >$BUILD/answer; ${HAND[0]/ -p/ -f $BUILD/answer -p}"
    ask_on_full_disk "$fwrite_hint"
    if [[ $BUILD != *asan* ]]; then # no faults under the sanitizers
        faulty=(env LD_PRELOAD="$BUILD/tests/faults.so" FAULT_SHORT=write)
        server honest good
        ask
        expect_no_loss "$ANSWER"
        faulty=()
        stop_all
    fi
    server honest good
    by_hand "$PROGRAM $certs/root.pem $taken 127.0.0.1 $HAND_PORT </; echo \$?"
    INPUT=/ run_answer "$PROGRAM" "$certs/root.pem" "$taken" 127.0.0.1 "$PORT"
    expect_status 1 --hint "A folder can be opened but not read, so read \
returns -1. That is an error and not the end of the input: say why, and end \
with status 1."
}

@test "refuses wrong arguments" {
    answer "$certs/root.pem" server.example 127.0.0.1
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    answer -x "$certs/root.pem" server.example 127.0.0.1 80
    expect_status 2 --hint "Print the usage and end with status 2, if there is \
an option that you do not know: getopt returns '?' for it."
    server honest good
    answer "$BATS_TEST_TMPDIR/none" server.example 127.0.0.1 "$PORT"
    expect_status 1 --hint "Check what SSL_CTX_load_verify_file returns: \
without a CAFILE nothing can be verified, so end with status 1."
}
