#!/usr/bin/env bats
# The exercise of 10-mutual-tls: a server with a list of guests, `10-mutual-tls
# PORT CERT KEY CLIENT_CA NAME...`. Each test's name is a requirement, as a
# learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/tests/rude-tls

# invite NAME...: the learner's server, which has these on its list, and
# somebody who never comes.
invite() {
    [[ -e $certs/table ]] || environment "the certificates are missing: make tools"
    welcomed=()
    answer_serves 0 "$certs/good.pem" "$certs/good.key" "$certs/root.pem" "$@" \
        "$RANDOM.example"
}

# come CERTIFICATE [MANNER]: a client shows that one, or `none`, and hears what
# the server says to it: that is in $TOLD.
come() {
    local -a own=() shown=()
    if [[ $1 != none ]]; then
        own=("$certs/$1.pem" "$certs/$1.key")
    fi
    shown=("$BUILD/10-mutual-tls" connect 127.0.0.1 "$HAND_PORT"
        "$certs/root.pem" "${own[@]}")
    [[ -z ${2-} ]] || shown=("$rude_tls" -j "$HAND_PORT" "$2" "${own[@]}")
    HAND=("${HAND[0]}" "${shown[*]}")
    TOLD=$BATS_TEST_TMPDIR/told
    : >"$TOLD"
    bounded "$rude_tls" -j "$PORT" -n 99999 -o "$TOLD" "${2:-mute}" "${own[@]}" \
        </dev/null >"$BATS_TEST_TMPDIR/client" 2>&1 3>&- || true
    : >"$BATS_TEST_TMPDIR/ending" # that was the client's
    is_running server || not_yet "it has ended" </dev/null
}

# is_welcome CERTIFICATE NAME: and is told so, and is printed.
is_welcome() {
    come "$1"
    echo "welcome $2" >"$BATS_TEST_TMPDIR/wanted"
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$TOLD" ||
        not_yet "a client with $1.pem was not told what it should be" \
            < <(show_difference "$BATS_TEST_TMPDIR/wanted" "$TOLD")
    welcomed+=("welcome $2")
    soon prints_welcomes ||
        not_yet "on standard output is not what it should be" \
            < <(show_difference <(print_wanted) "$BATS_TEST_TMPDIR/server.out")
}

print_wanted() {
    printf '%s\n' "listening on 127.0.0.1:$PORT" "${welcomed[@]}"
}

prints_welcomes() {
    cmp -s <(print_wanted) "$BATS_TEST_TMPDIR/server.out"
}

# is_refused CERTIFICATE [MANNER]: it hears nothing at all, and is not printed.
is_refused() {
    come "$@"
    [[ ! -s $TOLD ]] || not_yet "a client with $1.pem was told something" \
        < <(head -n 1 "$TOLD" | tr -c '[:print:]\n' '?' | sed 's/^/Told: /')
    prints_welcomes ||
        not_yet "it printed that it has let in one with $1.pem" \
            < <(show_difference <(print_wanted) "$BATS_TEST_TMPDIR/server.out")
    says_why || not_yet "it does not say why on standard error" </dev/null
    : >"$BATS_TEST_TMPDIR/server.err"
}

says_why() {
    soon test -s "$BATS_TEST_TMPDIR/server.err"
}

# goes_on: after all that, somebody who is on the list is welcome.
goes_on() {
    hint "that one must not cost the next one anything."
    is_welcome client alice.example
}

@test "welcomes who has a certificate with a name that is on the list" {
    hint "the certificate is good, and made out to alice.example, which is one \
of the NAMEs: X509_check_host, with SSL_get0_peer_certificate, once for each \
NAME. Say the one that it is."
    invite bob.example alice.example
    is_welcome client alice.example
    is_welcome client-bob bob.example
    is_welcome client alice.example
}

@test "refuses who has no certificate" {
    invite alice.example
    hint "SSL_VERIFY_PEER asks for one. Who has none comes in all the same: \
SSL_VERIFY_FAIL_IF_NO_PEER_CERT belongs to it."
    is_refused none
    goes_on
}

@test "refuses a certificate that CLIENT_CA does not vouch for as a client's" {
    local name
    invite alice.example
    hint "this one has the right name. But it is expired, or signed by a \
stranger, or its chain is cut short, or it is a server's: SSL_accept knows, if \
SSL_CTX_set_verify has SSL_VERIFY_PEER, and no callback that returns 1 \
whatever OpenSSL thinks (its first argument)."
    for name in client-expired client-unknown-root client-no-chain \
        server-as-client; do
        is_refused "$name"
    done
    goes_on
}

@test "says nothing to who is not on the list" {
    hint "a good certificate says who it is, and not that he may come in. \
Nothing is sent, not even a greeting, before you have found the name on the \
list: in TLS the client takes the first answer for a yes."
    invite bob.example
    is_refused client
    is_refused client-more-and-name
    is_welcome client-bob bob.example
}

@test "welcomes nobody before the handshake is over" {
    invite alice.example
    hint "a certificate is public, everybody can show Alice's. That one has her \
key is proved later in the handshake: decide after SSL_accept has returned 1, \
and not in a callback during it."
    is_refused client impostor
    goes_on
}

@test "takes a name for the same only if all of it is" {
    invite alice.guests.example alice.example
    hint "alice.example.org is somebody else, and so is malice.example: a name \
is compared from its first letter to its last, its length included."
    is_refused client-name-and-more
    is_refused client-more-and-name
    is_refused client-shorter
    hint "*.guests.example is a certificate for many servers, and on your list \
is alice.guests.example, one client: X509_CHECK_FLAG_NO_WILDCARDS."
    is_refused client-wildcard
    goes_on
}

@test "looks at DNS names among the alternative names only" {
    invite alice.example
    hint "what stands in the subject, CN, was never meant for this; the \
alternative names are: X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, or \
X509_get_ext_d2i with NID_subject_alt_name."
    is_refused client-name-in-subject
    is_refused client-other-in-subject
    hint "there are alternative names of many kinds, and a URI or an address of \
mail is no DNS name: the type of each GENERAL_NAME says what it is, GEN_DNS."
    is_refused client-name-as-uri
    is_refused client-name-as-mail
    goes_on
}

@test "is not deceived by what a name has in it" {
    invite alice.example
    hint "this name goes on after a NUL, where strcmp stops. An ASN1_STRING has \
a length: compare that, too."
    is_refused client-name-with-nul
    hint "this is one name, 'xxx, DNS:alice.example'. Written out as text it \
looks like two: compare the names, and never the text of them all."
    is_refused client-name-with-comma
    goes_on
}

@test "looks at all the names of a certificate" {
    invite alice.example
    hint "a certificate may have many names. This one's first is \
carol.example, and its second alice.example."
    is_welcome client-two-names alice.example
}

@test "takes capital letters for small ones" {
    invite alice.example
    hint "Alice.EXAMPLE and alice.example are the same name: RFC 4343. You say \
the one that is on your list."
    is_welcome client-capitals alice.example
    stop_all
    invite BOB.Example
    is_welcome client-bob BOB.Example
}

@test "refuses a NAME that is none, and a CLIENT_CA that it cannot read" {
    local name
    hint "X509_check_host takes .example for all names that end so, and that is \
no name on a list. Look at the NAMEs before you listen."
    for name in '' .example; do
        SECONDS_ALLOWED=0.5 answer 0 "$certs/good.pem" "$certs/good.key" \
            "$certs/root.pem" alice.example "$name"
        expect_status 1
    done
    hint "SSL_CTX_load_verify_file returns 1, or it has not read the file."
    SECONDS_ALLOWED=0.5 answer 0 "$certs/good.pem" "$certs/good.key" \
        "$BATS_TEST_TMPDIR/none" alice.example
    expect_status 1
}
