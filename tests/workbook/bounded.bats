#!/usr/bin/env bats
# tests/lib/bounded, which every program of a test runs under: it ends what does
# not end, and everything that was started.

load ../lib/common

bounded=$BUILD/tests/bounded

# is_gone FILE: the process whose number is in FILE has.
is_gone() {
    [[ $(<"$1") =~ ^[1-9][0-9]*$ ]]
    ! kill -0 "$(<"$1")" 2>/dev/null
}

@test "bounded hands on the status of its command" {
    run -7 "$bounded" 5 sh -c 'exit 7'
    run -143 "$bounded" 5 sh -c 'kill $$'
    run -126 "$bounded" 5 "$BATS_TEST_TMPDIR/nothing"
    run -2 "$bounded" 5
    run -2 "$bounded" -p 0 5 true
}

@test "bounded says what a command was doing when its time was up" {
    local report=$BATS_TEST_TMPDIR/report
    run -124 "$bounded" -r "$report" 0.1 sleep 9
    expect_equal report "it was waiting in sleep" "$(<"$report")"
    run -124 "$bounded" -r "$report" 0.1 sh -c 'while :; do :; done'
    grep -q 'running in a loop' "$report"
}

@test "bounded ends what its command has left behind" {
    local pid=$BATS_TEST_TMPDIR/pid
    skip_unless setsid
    # shellcheck disable=SC2016 # expanded by the shells that are started
    run -3 "$bounded" 5 sh -c 'sh -c "echo \$\$ >$1; sleep 99" &
        until [ -s "$1" ]; do :; done; exit 3' - "$pid" 3>&-
    is_gone "$pid"
    rm "$pid"
    # shellcheck disable=SC2016
    run -3 "$bounded" 5 sh -c 'setsid sh -c "setsid sh -c \"echo \\\$\\\$ >$1; \
        sleep 99\" & exit" & until [ -s "$1" ]; do :; done; exit 3' - "$pid" 3>&-
    is_gone "$pid"
}

@test "bounded ends what its command has started, when the time is up" {
    local pid=$BATS_TEST_TMPDIR/pid
    # shellcheck disable=SC2016
    run -124 "$bounded" 0.5 sh -c 'trap "" TERM; (trap "" TERM; sleep 99) &
        echo $! >"$1"; wait' - "$pid" 3>&-
    is_gone "$pid"
}

@test "bounded ends a command that prints more than 256 MiB" {
    local file=$BATS_TEST_TMPDIR/file
    # shellcheck disable=SC2016
    run -153 "$bounded" -r "$BATS_TEST_TMPDIR/report" 60 \
        sh -c 'exec cat /dev/zero >"$1"' - "$file"
    expect_equal size $((256 << 20)) "$(stat -c %s "$file")"
    rm "$file"
    grep -q 'it printed more than 256 MiB' "$BATS_TEST_TMPDIR/report"
}

@test "bounded starts its command with all signals as a new program expects them" {
    # Another caller than a shell may have blocked or ignored any of them.
    env --ignore-signal=CHLD true 2>/dev/null ||
        skip "this env knows no --ignore-signal"
    run -7 env --ignore-signal=CHLD "$bounded" 5 sh -c 'exit 7'
    run -124 env --block-signal "$bounded" 0.5 sleep 9
    run -0 env --block-signal --ignore-signal "$bounded" 5 \
        grep -E 'Sig(Blk|Ign)' /proc/self/status
    expect_equal signals $'SigBlk:\t0000000000000000
SigIgn:\t0000000000000000' "$output"
}
