#!/usr/bin/env bats
# The exercise of 09-ssl-server: a certificate for each name, `09-ssl-server
# PORT CERTFILE KEYFILE [NAME CERTFILE KEYFILE]...`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise
load ../lib/clock

certs=build/certs
wrap=$BUILD/08-ssl-wrap
rude=$BUILD/peers/rude-tls-client

# serves FIRST [NAME CERTIFICATE]...: the answer, with these certificates.
serves() {
    need_certificates
    local -a files=("$certs/$1.pem" "$certs/$1.key")
    shift
    while (($# > 0)); do
        files+=("$1" "$certs/$2.pem" "$certs/$2.key")
        shift 2
    done
    HAND=()
    answer_serves 0 "${files[@]}" --hint "Make the contexts, then listen, \
print the line, and accept in a loop that never ends: main does that already. \
Your program may end only if something is wrong at its start."
}

need_certificates() {
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
}

# ask NAME [OPTION...]: a careful client, which asks for NAME unless that is an
# address. Sets result to how it ended, said to what it said, and shown to the
# name in the certificate that it was shown, if it was content with that.
ask() {
    local -a command=("$wrap" -C "$certs/root.pem" -t 3 "${@:2}" -n "$1"
        127.0.0.1)
    by_hand "${command[*]} $HAND_PORT </dev/null"
    TOLD=$BATS_TEST_TMPDIR/told
    result=0
    "$BUILD/tests/bounded" 4 "${command[@]}" "$PORT" </dev/null >"$TOLD" \
        2>"$BATS_TEST_TMPDIR/said" 3>&- || result=$?
    said=$(<"$BATS_TEST_TMPDIR/said")
    shown=none
    [[ $said != "it is CN="* ]] || { shown=${said#it is CN=} shown=${shown%%$'\n'*}; }
}

# expect_shown CERTIFICATE [--hint TEXT]: and that it is a good one for whom it
# is shown to.
expect_shown() {
    [[ $shown == "$1" ]] || fail "the client was not shown $1.pem" \
        --show "It said: ${said%%$'\n'*}" "${@:2}"
}

# expect_told NAME [--hint TEXT]: the client was told that it asked for NAME,
# and then that this is the end.
expect_told() {
    printf 'you asked for %s\n' "$1" >"$BATS_TEST_TMPDIR/wanted"
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$TOLD" ||
        fail "the client was not told what it should be" \
            --show "$(show_difference "$BATS_TEST_TMPDIR/wanted" "$TOLD")" \
            "${@:2}"
    ((result == 0)) || fail "the client was not content with the end" \
        --show "It said: ${said##*$'\n'}" --hint "$(print_end_hint)"
}

# print_end_hint: a hint for a client that was not content with the end.
print_end_hint() {
    case $said in
    *"reset by peer"*) echo "The kernel sends a reset if you call close while \
something that the client has sent is unread, and here that was its \
close_notify. First read until the client closes too, or its time is over: \
linger does that, in the file that you began with." ;;
    *) echo "After the line call SSL_shutdown, which sends close_notify, and \
then close." ;;
    esac
}

accept_hint="On a socket with O_NONBLOCK, SSL_accept has to be called again, \
after tls_wait, until it returns 1. Then call SSL_write."
line_hint="Send one line: you asked for, the name that the client asked for, \
and a newline. Then call SSL_shutdown, which sends close_notify, and close."
unknown_hint="A name that you do not know is no reason to fail. Return \
SSL_TLSEXT_ERR_NOACK from the callback: then the first context is used."
choose_hint="Set SSL_CTX_set_tlsext_servername_callback on the context that \
SSL_new gets. In the callback SSL_get_servername returns the name, and \
SSL_set_SSL_CTX gives this connection the context of that name."
number_hint="There may be any number of names, here 35: compare with each of \
them, and let argc say how many there are."
last_hint="Names are the same only if all of them is the same: compare both to \
their ends, and not a prefix or a suffix."
case_hint="Names have no case (RFC 4343), and a client sends what its user \
typed: compare with strcasecmp."
handshake_hint="This client did not complete the handshake. Warn, call \
SSL_free and close, and accept the next client."
mode_hint="stat(2) gives the rights of a file in st_mode: S_IRWXG for its \
group, S_IRWXO for all others. A key is for its owner alone, so refuse it if \
any of these bits is set."
kind_hint="A context keeps one key of each kind, and does not compare a key of \
another kind with the certificate. Call SSL_CTX_check_private_key."
file_hint="A file that is missing or is no certificate has to be reported at \
once: check what each call returns."

# odd_case NAME: sets odd to it with some letters turned into capitals.
odd_case() {
    local i letter
    odd=
    for ((i = 0; i < ${#1}; i++)); do
        letter=${1:i:1}
        ((RANDOM % 2)) || letter=${letter^}
        odd+=$letter
    done
    odd=${odd^}
}

@test "shows its first certificate, and all that is in the file" {
    local hint=$accept_hint
    serves good-long-chain
    ask server.example
    [[ $said != *"local issuer"* ]] || hint="A client knows only the root. The \
certificates between the root and yours stand in CERTFILE behind your own: \
SSL_CTX_use_certificate_chain_file sends them all, \
SSL_CTX_use_certificate_file only the first."
    [[ $said != *"unrecognized name"* ]] || hint=$unknown_hint
    expect_shown good-long-chain --hint "$hint"
    expect_told server.example --hint "$line_hint"
}

@test "shows each client the certificate of the name that it asks for" {
    local hint=$choose_hint i
    local -a names=(other.example good-other localhost good) more=()
    ((RANDOM % 2)) || names=(localhost good other.example good-other)
    for ((i = 1; i <= 33; i++)); do
        more+=("n$i.example" good)
    done
    serves good-wildcard "${names[@]:0:2}" "${more[@]}" "${names[@]:2}"
    show_loop "$certs/good.pem $certs/good.key"
    for i in 0 2; do
        ask "${names[i]}"
        [[ $said != *"local issuer"* ]] || hint="The certificate is the right \
one, but the certificates between it and the root are missing. \
SSL_CTX_use_certificate_chain_file sends them all, for each name."
        expect_shown "${names[i + 1]}" --hint "$hint"
        expect_told "${names[i]}" --hint "$line_hint"
        hint=$number_hint
    done
    ask "w$RANDOM.server.example"
    expect_shown good-wildcard --hint "A choice is for one connection only. \
Call SSL_set_SSL_CTX with the SSL of the callback; a change to a context would \
be for all clients that come later."
    local long
    printf -v long '%s.server.example' "$(printf '%060d' "$RANDOM")"
    ask "$long"
    expect_told "$long" --hint "$long_hint"
    # No certificate here is for the longest that there may be.
    long+=.$(printf 'x%.0s' {1..60}).$(printf 'y%.0s' {1..60})
    long+=.$(printf 'z%.0s' $(seq $((252 - ${#long}))))
    TOLD=$BATS_TEST_TMPDIR/told
    rudely honest -b 268 -n "$long" -o "$TOLD" # that is how long the line is
    by_hand "cat -v $TOLD"
    printf 'you asked for %s\n' "$long" >"$BATS_TEST_TMPDIR/wanted"
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$TOLD" ||
        fail "a client that asks for a name of 253 letters is not told the whole \
name" --show "$(show_difference "$BATS_TEST_TMPDIR/wanted" "$TOLD")" \
            --hint "$long_hint"
}

long_hint="A name may have up to 253 letters. Is there room for it in your line? \
If not, snprintf cuts the line, but returns how long it would have been: with \
that as its length, the client gets bytes from behind your array."

# show_loop FILES: the 33 names with these files are in what to try by hand as a
# loop.
show_loop() {
    local names
    printf -v names "n%d.example $1 " {1..33}
    HAND[0]=${HAND[0]/"$names"/"\$(for i in \$(seq 33); do echo n\$i.example $1; done) "}
}

@test "ignores the case of letters in a name" {
    local odd
    odd_case other.example
    serves good "$odd" good-other
    ask other.example
    expect_shown good-other --hint "$case_hint"
    odd_case other.example
    ask "$odd"
    expect_shown good-other --hint "$case_hint"
    expect_told "$odd" --hint "Send the name as the client wrote it, with its \
capitals."
}

@test "shows the first certificate for a name that it does not have" {
    local name="w$RANDOM.server.example"
    serves good-wildcard other.example good-other
    ask "$name"
    expect_shown good-wildcard --hint "$unknown_hint"
    expect_told "$name" --hint "$line_hint"
    stop_all
    serves good-wildcard server.example good-other www.server.exampl good-other \
        ww good-other www.server.example.org good-other
    ask www.server.example
    expect_shown good-wildcard --hint "$last_hint"
}

@test "shows the first certificate to a client that asks for no name" {
    local hint="A client that connects to an address asks for no name, and \
SSL_get_servername returns NULL: check for that in the callback and after it."
    serves good other.example good-other
    ask other.example # the next client must not get this one's name
    ask 127.0.0.1
    expect_shown good --hint "$hint"
    expect_told nobody --hint "$hint"
    next_run
    sends_much
    [[ $(<"$TOLD") == "you asked for nobody" ]] ||
        fail "a client that was still sending lost its line" --hint \
            "$much_hint"
}

# sends_much: a client sends 12 MB, and only then reads what it is told.
sends_much() {
    local rude_tls=$BUILD/peers/rude-tls
    serves good
    by_hand "head -c 12000000 /dev/zero >$BUILD/much; $rude_tls -j $HAND_PORT \
-f $BUILD/much cut"
    TOLD=$BATS_TEST_TMPDIR/told
    : >"$TOLD"
    head -c 12000000 /dev/zero >"$BATS_TEST_TMPDIR/much"
    bounded "$rude_tls" -j "$PORT" -f "$BATS_TEST_TMPDIR/much" -o "$TOLD" cut \
        </dev/null >"$BATS_TEST_TMPDIR/client" 2>&1 3>&- || true
    : >"$BATS_TEST_TMPDIR/ending" # that was the client's
}

much_hint="This client sends 12 megabytes, and then reads. If you call close \
while some of them are unread, the kernel sends a reset, and the client never \
comes to your line. First read until the client closes too, or its time is over: \
linger does that, in the file that you began with."

# rudely MANNER [OPTION...]: a client like that, which is over then.
rudely() {
    by_hand "$rude" "${@:2}" "$1" "$PORT"
    "$BUILD/tests/bounded" 3 "$rude" "${@:2}" "$1" "$PORT" \
        >"$BATS_TEST_TMPDIR/rude.out" 2>&1 3>&- || true
}

@test "goes on after clients that vanish, or that send nonsense" {
    local manner before
    serves good other.example good-other
    for manner in vanish reset rsa-only broken-off; do
        rudely "$manner" -n other.example
        expect_true "it has ended, after a client like that" \
            --hint "$handshake_hint" -- is_running server
    done
    ask other.example
    expect_shown good-other --hint "$handshake_hint"
    expect_told other.example --hint "$handshake_hint"
    # One descriptor may still be open, when the last client has just gone.
    before=$(descriptors "$(pid_of server)")
    rudely vanish -c 20
    rudely honest -b 0
    ask other.example
    by_hand "ls -l /proc/\$(pgrep -f ^$PROGRAM)/fd"
    expect_true "it has more descriptors open than before, after 21 clients that \
have gone" --hint "Each client has a descriptor, which stays yours until you \
call close: also when its handshake has failed. Else accept fails after a \
thousand clients." -- soon holds_at_most "$(pid_of server)" "$before"
}

# bats test_tags=waits
@test "gives each client one second, and not more" {
    local i took
    for i in 1 2 3; do # what was late on a busy machine is tried again
        next_run
        ask_behind_a_slow_one
        ((took > 160)) || return 0
    done
    HAND[-1]="time ${HAND[-1]}"
    fail "another client takes longer than a second, and the next one was served \
after $(printf %d.%02d $((took / 100)) $((took % 100))) seconds" --hint "A client \
has one second for everything. Make one deadline, before its first call, and give \
it to the handshake and to linger alike."
}

# ask_behind_a_slow_one: a client asks while another is served, which takes
# several seconds for its handshake and does not end before that. Sets took.
ask_behind_a_slow_one() {
    local now began
    serves good
    by_hand "$rude -d 20 dribble $HAND_PORT"
    start slow "$rude" -d 20 dribble "$PORT"
    wait_for slow 'connected from *' || environment "$rude does not run"
    look_at_clock
    began=$now
    ask 127.0.0.1
    look_at_clock
    took=$((now - began))
    expect_shown good --hint "Another client sends its handshake byte by byte. \
accept4 with SOCK_NONBLOCK gives you a socket on which SSL_accept does not \
wait; tls_wait waits, but only until the deadline. Make one deadline for each \
client, before its first call."
}

@test "speaks only modern TLS, whatever name it is asked for" {
    local name
    serves good-rsa other.example good-other rsa.example good-rsa
    for name in other.example rsa.example server.example; do
        rudely tls-1.1 -n "$name"
        expect_true "it speaks TLS 1.1" --hint "RFC 8996 forbids TLS 1.1. Call \
SSL_CTX_set_min_proto_version on every context." -- says rude 'no handshake: *'
        rudely cbc-only -n "$name"
        expect_true "it takes a cipher that is no AEAD" --hint "Ciphers in CBC \
mode can be attacked. Allow only ECDHE with an AEAD cipher, with \
SSL_CTX_set_cipher_list on every context." -- says rude 'no handshake: *'
        rudely rsa-only -n "$name"
        expect_true "it takes a cipher without ECDHE" --hint "Without ECDHE, \
whoever steals the key can read all that was ever recorded. Allow only ECDHE \
with an AEAD cipher, with SSL_CTX_set_cipher_list on every context." \
            -- says rude 'no handshake: *'
        rudely honest -2 -n "$name" -b 0
        expect_true "it does not speak TLS 1.2" --hint "TLS 1.2 is modern \
enough: set TLS1_2_VERSION as the oldest version, not TLS1_3_VERSION." \
            -- says rude 'TLSv1.2 *'
    done
}

# refuses_files FILE... [--hint TEXT]: as its certificates and keys.
refuses_files() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    HAND=()
    answer 0 "${arguments[@]}"
    [[ -z ${key-} || ${arguments[*]} != *"$key"* ]] || loosely "$mode"
    expect_end --hint "It listens in spite of that. $hint"
    expect_status 1 --hint "$hint"
    expect_stderr "?*" --hint "Say on standard error what is wrong with the \
file, before you end."
}

# loosely MODE: what to try by hand has a key of that mode, in build/.
loosely() {
    HAND=("cp $certs/good.key $BUILD/loose.key; chmod $1 $BUILD/loose.key"
        "${HAND[@]//"$key"/$BUILD/loose.key}")
}

@test "refuses a private key that others may read or write, with status 1" {
    local mode key=$BATS_TEST_TMPDIR/loose.key
    SECONDS_ALLOWED=1
    need_certificates
    cp "$certs/good.key" "$key"
    for mode in 640 604 620 602; do
        chmod "$mode" "$key"
        refuses_files "$certs/good.pem" "$key" --hint "$mode_hint"
    done
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/good-other.pem" "$key" --hint "Check the keys of the other \
names as you check the first key."
    # The certificate is for everybody.
    cp "$certs/good.pem" "$BATS_TEST_TMPDIR/open.pem"
    chmod 644 "$BATS_TEST_TMPDIR/open.pem"
    HAND=("cp $certs/good.pem $BUILD/open.pem; chmod 644 $BUILD/open.pem")
    answer_serves 0 "$BATS_TEST_TMPDIR/open.pem" "$certs/good.key" --hint "Only \
the key is secret. Everybody may read the certificate: do not look at the \
rights of its file."
}

@test "refuses a key that is not the key of its certificate, with status 1" {
    SECONDS_ALLOWED=1
    need_certificates
    refuses_files "$certs/good.pem" "$certs/client.key" --hint \
        "SSL_CTX_use_PrivateKey_file returns 1 if it accepts the key: check that."
    refuses_files "$certs/good.pem" "$certs/good-rsa.key" --hint "$kind_hint"
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/good-other.pem" "$certs/good-rsa.key" --hint "$kind_hint"
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/none.pem" "$certs/good.key" --hint "$file_hint"
}
