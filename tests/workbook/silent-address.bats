#!/usr/bin/env bats
# A name has two addresses, and the first one never answers. Each client that
# has a deadline must still have time for the second.

load ../lib/common

certs=build/certs
rude=$BUILD/peers/rude

# first_is_silent: the name localhost will have the address 127.0.0.2 before
# 127.0.0.1, and at 127.0.0.2 nobody answers.
first_is_silent() {
    start silent "$rude" -b 127.0.0.2 -p "$PORT" swallow
    wait_for silent 'swallowing on *'
}

tls_server() {
    [[ -e $certs/table ]] || skip "no certificates: openssl is not installed"
    start_server peer "$BUILD/peers/rude-tls" -c 9 honest "$certs/good.pem" \
        "$certs/good.key"
    first_is_silent
}

# expect_second COMMAND...: it says that the first address did not answer,
# and succeeds with the second.
expect_second() {
    try env LD_PRELOAD="$BUILD/tests/names.so" \
        NAMES=localhost=127.0.0.2+127.0.0.1 "$@"
    expect_status 0
    expect_stderr "*connect 127.0.0.2:$PORT: *"
}

@test "07-timeouts has time for the second address of a name" {
    start_server peer "$rude" serve whole
    first_is_silent
    expect_second "$BUILD/07-timeouts" -t 1 localhost "$PORT"
    "$rude" payload whole | cmp - "$OUT"
}

@test "08-ssl-wrap has time for the second address of a name" {
    tls_server
    expect_second "$BUILD/08-ssl-wrap" -t 2 -C "$certs/root.pem" localhost \
        "$PORT"
}

@test "10-mutual-tls connect has time for the second address of a name" {
    tls_server
    expect_second "$BUILD/10-mutual-tls" -t 2 connect localhost "$PORT" \
        "$certs/root.pem"
}

@test "13-optional-import has time for the second address of a name" {
    start_server peer "$rude" serve whole
    first_is_silent
    expect_second "$BUILD/13-optional-import" -t 1 localhost "$PORT"
}

@test "15-deprecated-api connect has time for the second address of a name" {
    tls_server
    SECONDS_ALLOWED=15
    expect_second "$BUILD/15-deprecated-api" connect localhost "$PORT" \
        "$certs/root.pem"
}

@test "the solutions of 08 and 11 have time for the second address, too" {
    tls_server
    expect_second "$BUILD/solution/08-ssl-wrap" -t 2 "$certs/root.pem" \
        localhost localhost "$PORT"
    expect_second "$BUILD/solution/11-ssl-errors" -t 2 "$certs/root.pem" \
        localhost localhost "$PORT"
}

@test "the solution of 27 has time for the second address, too" {
    tls_server
    SECONDS_ALLOWED=15
    expect_second "$BUILD/solution/27-tls-event-loop" "$certs/root.pem" \
        localhost localhost "$PORT"
}
