#!/usr/bin/env bats
# Whom 08-ssl-wrap believes, of all servers that tls-matrix has.

load ../lib/common

setup() {
    [[ -e build/certs/table ]] || skip "no certificates: openssl is not installed"
}

@test "08-ssl-wrap judges every server right" {
    run tests/torture/tls-matrix
    # On a busy machine one may come late, and once.
    ((status == 0)) || {
        grep -e ' <- ' <<<"$output" >&2
        run -0 tests/torture/tls-matrix
    }
    [[ ${lines[-1]} =~ ^([0-9]+)\ servers,\ ([0-9]+)\ judged\ right ]]
    expect_equal right "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    ((BASH_REMATCH[1] >= 100))
    # Without a list of what is revoked, nobody but these is let through.
    expect_equal "let through" "revoked refuse accept refuse
by-revoked-authority refuse accept refuse" \
        "$(awk '$2 != $3 && NF >= 4 && $3 ~ /^(accept|refuse|hangs)$/ {
            print $1, $2, $3, $4 }' <<<"$output")"
}

@test "the matrix tells who believes everybody from who does not" {
    local naive=$BATS_TEST_TMPDIR/naive
    # An exercise's client, called as the lesson's own is: -C FILE, perhaps -R
    # FILE, -t SECONDS -n NAME HOST PORT.
    cat >"$naive" <<END
#!/usr/bin/env bash
[[ \$3 != -R ]] || set -- "\${@:1:2}" "\${@:5}"
exec "$BUILD/exercise/08-ssl-wrap" "\$2" "\$6" "\$7" "\$8" </dev/null
END
    chmod +x "$naive"
    PATIENCE=0.5 run -1 tests/torture/tls-matrix --only good --only expired --only silent \
        --only renegotiate \
        "$naive"
    output=$(tr -s ' ' <<<"$output")
    [[ $output == *$'\ngood accept accept accept'* ]]
    [[ $output == *$'\nexpired refuse accept accept <- '* ]]
    [[ $output == *$'\nrenegotiate refuse accept accept <- '* ]]
    [[ $output == *$'\nsilent refuse hangs hangs <-'* ]]
    [[ $output == *$'\n4 servers, 1 judged right by '* ]]
}
