#!/usr/bin/env bats
# 36-xray on systems that forbid something, and of programs that are unusual.

load ../lib/common
load ../lib/xray

@test "36-xray does not take calls of another architecture for its own" {
    draw -l -c "$traced" foreign say hello foreign exit 5
    ((status != 77)) || skip "this machine runs no 32-bit programs"
    expect_result 5 ""
    lacks 'socket('
    expect_equal notes 1 \
        "$(grep -cxF $'program\tcalls of another architecture: not shown\t' "$OUT")"
    # Its own calls are shown.
    has $'program\twrite(1, "hello\\n") = 6\t'
    draw -a -l -c "$traced" foreign
    lacks 'socket('
    has 'another architecture'
}
