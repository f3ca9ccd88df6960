#!/usr/bin/env bats
# The exercise of 10-mutual-tls: a server with a list of guests, called as
# `10-mutual-tls PORT CERT KEY CLIENT_CA NAME...`. Each test's name is a
# requirement, as a learner reads it.

load ../lib/exercise

certs=build/certs
rude_tls=$BUILD/peers/rude-tls

# invite NAME...: starts the learner's server. Its list has these names, and in
# their midst one that no certificate has.
invite() {
    [[ -e $certs/table ]] ||
        environment "the certificates are missing: make tools"
    welcomed=()
    before=() # what comes before that by hand
    answer_serves 0 "$certs/good.pem" "$certs/good.key" "$certs/root.pem" \
        "${@:1:$#/2}" "$RANDOM.example" "${@:$#/2+1}" --hint "Listen, print the line, and call \
fflush(stdout). Then accept clients in a loop that never ends."
}

# come CERTIFICATE [MANNER]: a client connects with that certificate, or with
# none if it is `none`. $TOLD is a file with what the server sends it.
come() {
    local -a own=() shown=()
    if [[ $1 != none ]]; then
        own=("$certs/$1.pem" "$certs/$1.key")
    fi
    shown=("$BUILD/10-mutual-tls" connect 127.0.0.1 "$HAND_PORT"
        "$certs/root.pem" "${own[@]}")
    [[ -z ${2-} ]] || shown=("$rude_tls" -j "$HAND_PORT" "$2" "${own[@]}")
    HAND=("${HAND[0]}" "${before[@]}" "${shown[*]}")
    TOLD=$BATS_TEST_TMPDIR/told
    : >"$TOLD"
    bounded "$rude_tls" -j "$PORT" -n 99999 -o "$TOLD" "${2:-mute}" \
        "${own[@]}" \
        </dev/null >"$BATS_TEST_TMPDIR/client" 2>&1 3>&- || true
    : >"$BATS_TEST_TMPDIR/ending" # that was the client's
    expect_true "it has ended" --hint "Whatever a client does, the server must \
go on: warn, call SSL_free and close, and accept the next \
client." -- is_running server
}

# is_welcome CERTIFICATE NAME [--hint TEXT]: a client with that certificate gets
# the line `welcome NAME`, and the server prints it.
is_welcome() {
    come "$1"
    echo "welcome $2" >"$BATS_TEST_TMPDIR/wanted"
    cmp -s "$BATS_TEST_TMPDIR/wanted" "$TOLD" ||
        fail "a client with $1.pem was not told what it should be" \
            --show "$(show_difference "$BATS_TEST_TMPDIR/wanted" "$TOLD")" \
            "${@:3}"
    welcomed+=("welcome $2")
    soon prints_welcomes || fail "what it printed is not what it should be" \
        --show "$(show_difference <(print_wanted) "$BATS_TEST_TMPDIR/server.out")" \
        --hint "Print the line that you send to a client on standard output, \
too, and call fflush(stdout) after it."
}

print_wanted() {
    printf '%s\n' "listening on 127.0.0.1:$PORT" "${welcomed[@]}"
}

prints_welcomes() {
    cmp -s <(print_wanted) "$BATS_TEST_TMPDIR/server.out"
}

# is_refused CERTIFICATE [MANNER] [--hint TEXT]: such a client gets not one
# byte, and nothing about it is printed on standard output.
is_refused() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    come "${arguments[@]}"
    [[ ! -s $TOLD ]] || fail "a client with $1.pem was told something" \
        --show "$(head -n 1 "$TOLD" | tr -c '[:print:]\n' '?' | sed 's/^/Told: /')" \
        --hint "$hint"
    [[ $(tail -n 1 "$BATS_TEST_TMPDIR/server.out") == "welcome "* ]] ||
        hint="Standard output is for the welcomes alone. Say on standard error \
why a client was refused: warnx prints there."
    prints_welcomes || fail "it printed something about a client with $1.pem" \
        --show "$(show_difference <(print_wanted) "$BATS_TEST_TMPDIR/server.out")" \
        --hint "$hint"
    expect_true "it does not say why on standard error" --hint "Warn about \
each client that you refuse, and say why." \
        -- soon test -s "$BATS_TEST_TMPDIR/server.err"
    : >"$BATS_TEST_TMPDIR/server.err"
}

# goes_on: after all that, a client on the list is still welcome.
goes_on() {
    is_welcome client alice.example --hint "A client that was refused must not \
change anything for the next one: alice.example is on the list."
}

whole_hint="alice.example.org, malice.example and alice.exampl are other names \
than alice.example. Compare names from their first letter to their last, and \
compare their lengths too."

@test "welcomes a client whose certificate has a name of the list" {
    local hint="The certificate is good: between it and CLIENT_CA is one \
more authority, and it is made out to a NAME on the list. Call X509_check_host on SSL_get0_peer_certificate once for each NAME, and send \
the NAME that fits."
    invite bob.example alice.example
    is_welcome client alice.example --hint "$hint"
    is_welcome client-bob bob.example --hint "$hint"
    is_welcome client alice.example --hint "$hint"
}

@test "refuses a client without a certificate" {
    invite alice.example
    is_refused none --hint "SSL_VERIFY_PEER asks for a certificate, but a \
client without one is accepted all the same. Add \
SSL_VERIFY_FAIL_IF_NO_PEER_CERT."
    goes_on
}

@test "refuses a certificate that is not valid for a client" {
    local name
    SSL_CERT_FILE=$certs/other-root.pem invite alice.example
    HAND[0]="SSL_CERT_FILE=$certs/other-root.pem ${HAND[0]}"
    is_refused client-unknown-root --hint "Trust the authorities in CLIENT_CA, \
and no others. SSL_CTX_set_default_verify_paths adds those that the system \
trusts (and SSL_CERT_FILE says who they are). And do not give \
SSL_CTX_set_verify a callback that always returns 1."
    for name in client-expired client-unknown-root client-no-chain \
        server-as-client; do
        is_refused "$name" --hint "The name is right, but the certificate has \
expired, or its chain is wrong, or it is for a server. With SSL_VERIFY_PEER in \
SSL_CTX_set_verify the handshake fails. Do not give it a callback that always \
returns 1."
    done
    goes_on
}

@test "refuses a client that is not on the list" {
    local hint="A valid certificate says who a client is, but not that it may \
come in. Send nothing, not even a greeting, before you have found its name on \
the list."
    invite bob.example
    is_refused client --hint "$hint"
    is_refused client-more-and-name --hint "$whole_hint"
    is_welcome client-bob bob.example --hint "A client that was refused must \
not change anything for the next one: bob.example is on the list."
    before=("${HAND[1]}")
    is_refused client --hint "The client before was on the list, and this one is \
not. Look for the names of each client anew, and keep nothing in a static \
variable."
}

@test "refuses a client that does not have the key of its certificate" {
    invite alice.example
    is_refused client impostor --hint "Everybody can show a copy of Alice's \
certificate. That the client has the key to it is proved only at the end of \
the handshake. Decide after tls_handshake has returned 0, and not in a \
callback."
    goes_on
}

@test "compares whole names" {
    local letter long=''
    for letter in a b c; do
        printf -v long '%s%63s.' "$long" ''
        long=${long// /$letter}
    done
    long+=alice.example # the one name in client-long-name
    invite alice.guests.example alice.example
    is_refused client-name-and-more --hint "$whole_hint"
    is_refused client-more-and-name --hint "$whole_hint"
    is_refused client-shorter --hint "$whole_hint"
    is_refused client-long-name --hint "$whole_hint"
    is_refused client-odd-letter --hint "In this certificate, a byte 0e stands \
in the place of the dot. Only letters have a case: c | 0x20 changes other bytes \
too. Use strncasecmp, or tolower."
    is_refused client-wildcard --hint "*.guests.example would fit many names, \
but your list has one client, alice.guests.example. Give X509_check_host the \
flag X509_CHECK_FLAG_NO_WILDCARDS."
    goes_on
    next_run
    invite "${long%?}x" "$long.example"
    is_refused client-long-name --hint "The name in this certificate has \
${#long} bytes, and the two on the list differ from it only at the end. A name \
may have up to 253 bytes: compare all of them."
    next_run
    invite "$long"
    is_welcome client-long-name "$long" --hint "The name in this certificate is \
on the list. It has ${#long} bytes, and a name may have up to 253: is there room \
for all of them?"
}

@test "compares only the DNS names among the alternative names" {
    local subject_hint="The CN of the subject was never meant for this. Give \
X509_check_host the flag X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, or read the \
alternative names with X509_get_ext_d2i and NID_subject_alt_name."
    local kind_hint="Alternative names are of several kinds, and a URI or a \
mail address is no DNS name. The type of a GENERAL_NAME says what it is: \
compare only GEN_DNS."
    invite alice.example
    is_refused client-name-in-subject --hint "$subject_hint"
    is_refused client-other-in-subject --hint "$subject_hint"
    is_refused client-name-as-uri --hint "$kind_hint"
    is_refused client-name-as-mail --hint "$kind_hint"
    goes_on
    next_run
    invite alice.example a.bc
    is_refused client-name-as-address --hint "This certificate has the address \
97.46.98.99 and no name. These four bytes would be a.bc as text, but an address \
is no name. $kind_hint"
}

@test "compares a name to its end, even if there is a NUL or a comma in it" {
    invite alice.example
    is_refused client-name-with-nul --hint "This name goes on after a NUL, \
where strcmp stops. An ASN1_STRING has a length: compare that, too."
    is_refused client-name-with-comma --hint "This certificate has one name, \
'xxx, DNS:alice.example', which as text looks like two. Compare one name at a \
time, and never the text of all of them."
    goes_on
}

@test "compares all the DNS names of a certificate" {
    invite alice.example
    is_welcome client-two-names alice.example --hint "A certificate may have \
many names: here carol.example comes first, and then alice.example. Compare \
all of them with the list."
    is_welcome client-many-names alice.example --hint "This certificate has 35 \
names, and alice.example is the last one. A certificate may have any number of \
names: sk_GENERAL_NAME_num says how many, and X509_check_host compares all."
    is_welcome client-mixed-names alice.example --hint "Before alice.example, this \
certificate has names of other kinds: a mail address, a URI and an IP address. \
Pass over what is not GEN_DNS, and go on with the next name."
}

@test "ignores the case of letters" {
    local hint="Names have no case: Alice.EXAMPLE and alice.example are the \
same name (RFC 4343). Send the one that is on your list."
    invite alice.example
    is_welcome client-capitals alice.example --hint "$hint"
    next_run
    invite BOB.Example
    is_welcome client-bob BOB.Example --hint "$hint"
}

# refuses_to_start CLIENT_CA HINT NAME...: it says why, with status 1, and does
# not listen.
refuses_to_start() {
    SECONDS_ALLOWED=0.5 answer 0 "$certs/good.pem" "$certs/good.key" "$1" \
        "${@:3}"
    SECONDS_ALLOWED=0.5 expect_end --hint "$2"
    expect_status 1 --hint "$2"
    expect_true "it does not say why on standard error" --hint "Say on \
standard error why the server does not start: errx does that, and ends with \
status 1." \
        -- test -n "$errors"
}

@test "refuses to start if a NAME is empty or begins with a dot" {
    refuses_to_start "$certs/root.pem" "An empty NAME has no name to compare: \
somebody made a mistake when starting the server. Look at each NAME, not only at \
the first one, and say so before you listen." \
        alice.example '' bob.example
    refuses_to_start "$certs/root.pem" "X509_check_host takes a NAME that \
begins with a dot for all names that end like that. Look at each NAME, not only \
at the first one, and refuse such a NAME before you listen." \
        alice.example .example bob.example
}

@test "refuses to start if it cannot read CLIENT_CA" {
    refuses_to_start "$BATS_TEST_TMPDIR/none" "Check what \
SSL_CTX_load_verify_file returns: if it is not 1, the file was not read, so \
say why and end with status 1." \
        alice.example
}
