#!/usr/bin/env bats
# The exercise of 09-ssl-server: a certificate for each name, `09-ssl-server
# PORT CERTFILE KEYFILE [NAME CERTFILE KEYFILE]...`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

certs=build/certs
wrap=$BUILD/08-ssl-wrap
rude=$BUILD/tests/rude-tls-client

# serves FIRST [NAME CERTIFICATE]...: the answer, with these certificates.
serves() {
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    local -a files=("$certs/$1.pem" "$certs/$1.key")
    shift
    while (($# > 0)); do
        files+=("$1" "$certs/$2.pem" "$certs/$2.key")
        shift 2
    done
    HAND=()
    [[ $HINT ]] || hint "make the contexts, then listen, say so, accept, for ever: \
what main has already. It may end only for what is wrong at its start."
    answer_serves 0 "${files[@]}"
}

# ask NAME [OPTION...]: a careful client, which asks for NAME unless that is an
# address. Sets result to how it ended, said to what it said, and shown to the
# name in the certificate that it was shown, if it was content with that.
ask() {
    local -a command=("$wrap" -C "$certs/root.pem" -t 3 "${@:2}" -n "$1"
        127.0.0.1)
    HAND+=("${command[*]} $HAND_PORT </dev/null")
    TOLD=$BATS_TEST_TMPDIR/told
    result=0
    "$BUILD/tests/bounded" 4 "${command[@]}" "$PORT" </dev/null >"$TOLD" \
        2>"$BATS_TEST_TMPDIR/said" 3>&- || result=$?
    said=$(<"$BATS_TEST_TMPDIR/said")
    shown=none
    [[ $said != "it is CN="* ]] || { shown=${said#it is CN=} shown=${shown%%$'\n'*}; }
}

# expect_shown CERTIFICATE: and that it is a good one for whom it is shown to.
expect_shown() {
    [[ $shown == "$1" ]] || not_yet "the client was not shown $1.pem" \
        <<<"It said: ${said%%$'\n'*}"
}

expect_told() {
    printf 'you asked for %s\n' "$1" >"$BATS_TEST_TMPDIR/wanted"
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$TOLD" ||
        not_yet "the client was not told what it should be" \
            < <(show_difference "$BATS_TEST_TMPDIR/wanted" "$TOLD")
    ((result == 0)) || not_yet "the client was not content with the end" \
        <<<"It said: ${said##*$'\n'}"
}

hint_at_unknown() {
    hint "a name that you don't know is no reason to fail: \
SSL_TLSEXT_ERR_NOACK, and the first context will do."
}

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
    serves good-long-chain
    hint "a client trusts the root, and has never heard of those between it \
and you: they stand in CERTFILE behind your own. \
SSL_CTX_use_certificate_chain_file sends them all, \
SSL_CTX_use_certificate_file the first."
    ask server.example
    [[ $said != *"local issuer"* ]] || expect_shown good-long-chain
    hint "SSL_accept on a socket with O_NONBLOCK is made again, after tls_wait, \
until it returns 1. Then SSL_write."
    [[ $said != *"unrecognized name"* ]] || hint_at_unknown
    expect_shown good-long-chain
    hint "the line is what the client asked for, a newline, and then \
close_notify: SSL_shutdown, before close."
    expect_told server.example
}

@test "shows each client the certificate of the name that it asks for" {
    local -a names=(other.example good-other localhost good)
    ((RANDOM % 2)) || names=(localhost good other.example good-other)
    hint "SSL_CTX_set_tlsext_servername_callback, on the context that SSL_new \
gets: in it SSL_get_servername says which name, and SSL_set_SSL_CTX gives this \
connection the context of that one."
    serves good-wildcard "${names[@]}"
    ask other.example
    expect_shown good-other
    expect_told other.example
    hint "there may be any number of names: compare with each."
    ask localhost
    expect_shown good
    hint "a choice is for one connection. SSL_set_SSL_CTX, on the SSL of the \
callback; what you change in a context is changed for all who come later."
    ask "w$RANDOM.server.example"
    expect_shown good-wildcard
}

@test "takes capitals in a name for the same letters" {
    local odd
    odd_case other.example
    serves good "$odd" good-other
    hint "names have no case (RFC 4343), and a client sends what its user \
typed: strcasecmp."
    ask other.example
    expect_shown good-other
    odd_case other.example
    ask "$odd"
    expect_shown good-other
    hint "say what the client wrote, as it wrote it."
    expect_told "$odd"
}

@test "shows the first certificate for a name that it does not have" {
    local name="w$RANDOM.server.example"
    serves good-wildcard other.example good-other
    hint_at_unknown
    ask "$name"
    expect_shown good-wildcard
    expect_told "$name"
    stop_all
    serves good-wildcard server.example good-other www.server.exampl good-other \
        ww good-other www.server.example.org good-other
    hint "one name is another to its last letter: no prefix, no suffix, no part \
of it will do. Compare all of both."
    ask www.server.example
    expect_shown good-wildcard
}

@test "shows the first certificate to a client that asks for nobody" {
    serves good other.example good-other
    hint "who connects to an address asks for no name, and SSL_get_servername \
returns NULL: in the callback, and after it."
    ask 127.0.0.1
    expect_shown good
    expect_told nobody
}

# rudely MANNER [OPTION...]: a client like that, which is over then.
rudely() {
    by_hand "$rude" "${@:2}" "$1" "$PORT"
    "$BUILD/tests/bounded" 3 "$rude" "${@:2}" "$1" "$PORT" \
        >"$BATS_TEST_TMPDIR/rude.out" 2>&1 3>&- || true
}

@test "goes on after clients that vanish, or make no sense" {
    local manner
    serves good other.example good-other
    hint "this client came no further than the handshake. For you that is a \
warning, SSL_free and close; then the next one."
    for manner in vanish reset rsa-only broken-off; do
        rudely "$manner" -n other.example
        expect_true "it has ended, after a client like that" is_running server
    done
    ask other.example
    expect_shown good-other
    expect_told other.example
}

@test "has a second for each client, and not more" {
    serves good
    hint "this client begins a handshake, and stays. accept4 with SOCK_NONBLOCK \
gave you a socket that SSL_accept does not sleep on; tls_wait does, until the \
deadline."
    HAND+=("$rude half $HAND_PORT")
    start slow "$rude" half "$PORT"
    wait_for slow 'all is said' || environment "$rude does not run"
    ask 127.0.0.1
    expect_shown good
}

@test "speaks nothing older than TLS 1.2, whatever name it is asked for" {
    serves good other.example good-other
    hint "TLS 1.1 has been dead since RFC 8996: \
SSL_CTX_set_min_proto_version, on every context."
    rudely tls-1.1 -n other.example
    expect_true "it speaks TLS 1.1" says rude 'no handshake: *'
    hint "CBC is open to those who can try: ECDHE and AEAD only, \
SSL_CTX_set_cipher_list."
    rudely cbc-only -n other.example
    expect_true "it takes a cipher that is no AEAD" says rude 'no handshake: *'
}

# refuses_files FILE...: as its certificates and keys.
refuses_files() {
    HAND=()
    answer 0 "$@"
    if ((status == 124)); then
        not_yet "it listens, in spite of that" </dev/null
    fi
    expect_status 1
    expect_stderr "?*"
}

@test "refuses a private key that others may read" {
    local mode key=$BATS_TEST_TMPDIR/loose.key
    SECONDS_ALLOWED=1
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    cp "$certs/good.key" "$key"
    hint "stat(2) says who may use a file: st_mode has S_IRWXG for its group, \
and S_IRWXO for all others. A key is for its owner alone."
    for mode in 640 604; do
        chmod "$mode" "$key"
        refuses_files "$certs/good.pem" "$key"
    done
    hint "each key is a key: look at those of the names, too."
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/good-other.pem" "$key"
}

@test "refuses a key that is not the certificate's" {
    SECONDS_ALLOWED=1
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    hint "SSL_CTX_use_PrivateKey_file returns what it thinks of the key: look."
    refuses_files "$certs/good.pem" "$certs/client.key"
    hint "a context keeps a key of each kind, and a key of another kind than \
your certificate's is not held against it until you ask: \
SSL_CTX_check_private_key."
    refuses_files "$certs/good.pem" "$certs/good-rsa.key"
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/good-other.pem" "$certs/good-rsa.key"
    hint "a file that is not there, or no certificate, is to be said at once: \
look at what each call returns."
    refuses_files "$certs/good.pem" "$certs/good.key" other.example \
        "$certs/none.pem" "$certs/good.key"
}
