#!/usr/bin/env bats
# common/wire: OpenSSL without a socket. tests/lib/tell-wire.c has the scenarios.

load ../lib/common

tell=$BUILD/tests/tell-wire
certificate=(build/certs/good.pem build/certs/good.key)

setup_file() {
    [[ -e build/certs/table ]] || skip "no certificates: openssl is not installed"
}

# plays SCENARIO TEXT: it prints exactly that.
plays() {
    try "$tell" "$1" "${certificate[@]}"
    expect_result 0 ""
    expect_output --text "$2"
}

# find_allocations SCENARIO: the numbers of those that common/wire itself makes.
find_allocations() {
    local log=$BATS_TEST_TMPDIR/allocations
    [[ -z ${SANITIZE-} ]] || skip "a sanitizer has allocations of its own"
    env LD_PRELOAD="$BUILD/tests/memory.so" MEMORY_LOG="$log" "$tell" "$1" \
        "${certificate[@]}" >/dev/null
    mapfile -t allocations < <(grep -n 'realloc tell-wire$' "$log" | cut -d : -f 1)
}

# fails_at NUMBER SCENARIO: this allocation fails.
fails_at() {
    try env LD_PRELOAD="$BUILD/tests/memory.so" MEMORY_AT="$1" "$tell" "$2" \
        "${certificate[@]}"
}

@test "over an empty wire, OpenSSL waits for input, and that is no error" {
    plays empty 'handshake wants input\n0 bytes of output\nshaken\n'\
'read wants input\n0 errors in the queue\n'
}

@test "OpenSSL takes all of the input, also if it comes byte by byte" {
    plays pieces 'shaken\n'
}

@test "wire_has_input says whether SSL_read has another record" {
    plays records 'shaken\nwrite done\nwrite done\nwrite done\n'\
'read 100, and there is more\nread 200, and there is more\nread 300\n'\
'read wants input\n'
}

@test "the output grows as far as it must, and keeps what is in it" {
    plays growth 'shaken\nwrite done\nthe same\n'
}

@test "wire_start empties the output of the connection before" {
    plays turns 'shaken\nwrite done\noutput: some\noutput: none\n'
}

@test "a goodbye and an alert go over the wire" {
    plays goodbye 'shaken\nread close_notify\n'
    plays garbage 'handshake failed\noutput: some\n'
}

@test "without memory, wire_open and a call of OpenSSL fail, and nothing is lost" {
    find_allocations growth
    ((${#allocations[@]} >= 2))
    fails_at "${allocations[0]}" growth
    expect_result 1 "tell-wire: wire_open: Cannot allocate memory"
    fails_at "$((allocations[0] - 1))" growth # of BIO_meth_new
    expect_result 1 "tell-wire: wire_open: Cannot allocate memory"
    fails_at "${allocations[-1]}" growth
    expect_result 0 ""
    expect_output --text 'shaken\nwrite failed\ndifferent\n'
}
