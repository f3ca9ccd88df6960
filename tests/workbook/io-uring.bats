#!/usr/bin/env bats
# What make and the tests do with lesson 28, where there is no io_uring.

load ../lib/common

lesson=28-io-uring-server

plain_make() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CI make "$@"
}

@test "make leaves out what needs io_uring where its header is too old, and says so" {
    local header=$BATS_TEST_TMPDIR/io_uring.h
    echo '#define IORING_SETUP_CQSIZE (1U << 3)' >"$header"
    for header in "$header" ''; do
        run -0 plain_make -n all wrong BUILD="$BATS_TEST_TMPDIR/build" \
            uring_header="$header"
        [[ $output == *"make: left out, for want of the headers of Linux 6.1: \
$lesson"* && $output == *build/25-* && $output == *build/wrong/25-* ]]
        expect_equal "what is made for it" "" "$(grep "[/]$lesson" <<<"$output")"
    done
}

@test "make says nothing of the headers of Linux where they are new enough" {
    [[ -x $BUILD/$lesson ]] || skip "they are not"
    run -0 plain_make -n all
    [[ $output != *"headers of Linux"* ]]
}

@test "make finds the header for musl, and for this lesson only" {
    skip_unless musl-gcc
    [[ -x $BUILD/$lesson ]] || skip "the headers of Linux are too old"
    run -0 --separate-stderr plain_make CC=musl-gcc BUILD=build/musl \
        "build/musl/$lesson" "build/musl/solution/$lesson"
    expect_equal "standard error" "" "$stderr"
    run -0 plain_make -n -W lessons/01-tcp-client/tcp-client.c CC=musl-gcc \
        BUILD=build/musl build/musl/01-tcp-client
    [[ $output == *tcp-client.c* && $output != *idirafter* ]]
}

@test "the tests of a lesson with io_uring are skipped, aloud, where it is forbidden" {
    local tests
    local -a forbidding=("$BUILD/tests/forbid" io_uring_setup)
    "${forbidding[@]}" true 2>/dev/null || skip "this system forbids no calls"
    for tests in lessons exercises; do
        run -0 "${forbidding[@]}" bats -F tap "tests/$tests/$lesson.bats" 3>&-
        expect_equal "tests that are not skipped" "" \
            "$(grep '^\(not \)\?ok' <<<"$output" |
                grep -v '# skip no io_uring: Operation not permitted$')"
    done
}
