#!/usr/bin/env bats
# common/tls, function by function, and the certificates of scripts/certs.

load ../lib/common

certs=build/certs
tell=$BUILD/tests/tell-tls

setup_file() {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
}

server() {
    start_server peer "$BUILD/peers/rude-tls" -c 20 "$1" "$certs/${2:-good}.pem" \
        "$certs/${2:-good}.key"
}

# told LINE...: that is all that tell-tls has printed.
told() {
    expect_result 0 ""
    expect_equal "what it tells" "$(printf '%s\n' "$@")" "$(<"$OUT")"
}

as_client() {
    try "$tell" client "${1:-$certs/root.pem}" "${2:--}" "${3-server.example}" \
        "$PORT"
}

@test "tls_client makes a client that believes whom it wanted" {
    server honest
    as_client
    told TLSv1.3 "hello from behind the certificate" "the end"
    as_client "" "$certs/crl.pem"
    told TLSv1.3 "hello from behind the certificate" "the end"
    as_client "" "" 127.0.0.1
    wait_for peer 'taken for nobody'
    as_client "" "" elsewhere.example
    told "not believed: hostname mismatch"
}

@test "tls_client takes nothing for anybody, and no text for a name" {
    local name
    server honest
    for name in '' . .example '[::1]' 'server.example ' $'server.example\n' \
        bücher.example server.example%lo server..example 127.0.0.1. \
        '127.0.0.1 ' '127.0.0.1 evil.example' ::1%; do
        as_client "" "" "$name"
        told "not a host name or an address"
    done
}

@test "tls_client knows a name with a dot at its end, and an address with a zone" {
    server honest
    as_client "" "" server.example.
    told TLSv1.3 "hello from behind the certificate" "the end"
    wait_for peer 'taken for server.example'
    stop_all
    server honest good-zone
    as_client "" "" fe80::1%lo
    told TLSv1.3 "hello from behind the certificate" "the end"
    wait_for peer 'taken for nobody'
    as_client "" "" fe80::2%lo
    told "not believed: IP address mismatch"
}

@test "tls_client_context looks for the list of every authority in the chain" {
    local list=$BATS_TEST_TMPDIR/list
    server honest by-revoked-authority
    as_client
    told TLSv1.3 "hello from behind the certificate" "the end"
    as_client "" "$certs/crl.pem"
    told "not believed: certificate revoked"
    stop_all
    sed '/END X509 CRL/q' "$certs/crl.pem" >"$list" # the root's alone
    server honest good
    as_client "" "$list"
    told "not believed: unable to get certificate CRL"
}

@test "tls_client_context says which file it cannot use, and why" {
    PORT=1
    as_client "$BATS_TEST_TMPDIR/none"
    told "No such file or directory"
    as_client "$certs/good.key"
    told "it holds nothing useful in PEM form"
    as_client "" "$BATS_TEST_TMPDIR/none"
    told "No such file or directory"
}

@test "tls_explain has a sentence for each way to fail" {
    local manner sentence said
    while IFS=: read -r manner sentence; do
        server "$manner"
        as_client
        said=$(tail -n 1 "$OUT")
        # OpenSSL 3.5 has other words than 3.0.
        said=${said/#provider signature failure/bad signature}
        expect_equal "$manner" "$sentence" "$said"
        stop_all
    done <<'END'
cut:cut short: it ended without close_notify
broken-off:Connection reset by peer
http:it does not speak TLS
garbage:it does not speak TLS
rsa-only:refused by the other side: handshake failure
tls-1.1:refused by the other side: protocol version
impostor:bad signature
END
    server honest revoked
    as_client "" "$certs/crl.pem"
    told "not believed: certificate revoked"
}

@test "tls_server_context refuses a key that is another's" {
    PORT=1
    try "$tell" server "$certs/good.pem" "$certs/client.key" "$PORT"
    told "key values mismatch"
    try "$tell" server "$certs/good.pem" "$BATS_TEST_TMPDIR/none" "$PORT"
    told "key $BATS_TEST_TMPDIR/none: No such file or directory"
    try "$tell" server "$certs/good.key" "$certs/good.key" "$PORT"
    told "it holds nothing useful in PEM form"
    try "$tell" server "$certs/small-key.pem" "$certs/small-key.key" "$PORT"
    told "ee key too small"
}

@test "tls_server_context refuses a key that is not ours alone" {
    local key=$BATS_TEST_TMPDIR/key mode
    PORT=1
    cp "$certs/good.key" "$key"
    for mode in 640 620 604 644; do
        chmod "$mode" "$key"
        try "$tell" server "$certs/good.pem" "$key" "$PORT"
        told "key $key: other users may use it"
    done
    if ((EUID == 0)); then # nobody else can give a file away
        chmod 600 "$key"
        chown 65534 "$key"
        try "$tell" server "$certs/good.pem" "$key" "$PORT"
        told "key $key: it belongs to another user"
    fi
}

@test "tls_server_context makes a server that tells who does not speak TLS" {
    start_server peer "$BUILD/peers/rude" serve garbage
    try "$tell" server "$certs/good.pem" "$certs/good.key" "$PORT"
    told "it does not speak TLS"
}

# ---- scripts/certs -----------------------------------------------------------

@test "scripts/certs does nothing when all is there" {
    local before
    before=$(ls -l --time-style=full-iso "$certs")
    run -0 scripts/certs
    expect_equal output "" "$output"
    expect_equal "the files" "$before" "$(ls -l --time-style=full-iso "$certs")"
}

@test "scripts/certs makes what its table says, for nobody else to read" {
    local role name verdict taken trust why count=0
    while read -r role name verdict taken trust why; do
        [[ $role == @(server|client) && -s $certs/$name.pem ]]
        [[ -s $certs/$trust && $taken && ($why || $verdict == accept) ]]
        expect_equal "mode of $name.key" 600 "$(stat -c %a "$certs/$name.key")"
        count=$((count + 1))
    done <"$certs/table"
    ((count >= 80))
    expect_equal "keys for others" "" \
        "$(find "$certs" -name '*.key' -perm /077)"
}

@test "no private key is in the repository" {
    skip_unless git
    git rev-parse 2>/dev/null || skip "this is no repository"
    run ! git grep -lE 'BEGIN ([A-Z]+ )?PRIVATE KEY'
    git check-ignore -q build/certs/good.key
}

@test "certificates are made again when one of them has been emptied" {
    local folder=$BATS_TEST_TMPDIR/certs
    cp -a build/certs "$folder"
    : >"$folder/good.key"
    scripts/certs "$folder"
    [[ -s $folder/good.key ]]
    openssl x509 -in "$folder/good.pem" -noout -pubkey |
        diff - <(openssl pkey -in "$folder/good.key" -pubout) >&2
}
