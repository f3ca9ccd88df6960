#!/usr/bin/env bats
# scripts/test: what it prints, and its status.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
    cd "$COPY" || return 1
    # A small suite in the place of the real one.
    rm -rf tests/lessons tests/exercises tests/workbook tests/wrong tests/torture
    mkdir -p tests/lessons tests/workbook/every-lesson
    printf '@test "%s" { %s; }\n' "adds <up> & more" true "waits" true \
        >tests/lessons/01-tcp-client.bats
    printf '@test "%s" { %s; }\n' "breaks" "echo why; false" "is left out" \
        "skip 'no reason'" >tests/lessons/02-tcp-server.bats
    # shellcheck disable=SC2016 # expanded in the test
    printf '@test "$LESSON once" { [[ -d lessons/$LESSON ]]; }\n' \
        >tests/workbook/every-lesson/each.bats
}

setup() {
    in_copy
    lessons=$(find lessons -mindepth 1 -maxdepth 1 -type d | wc -l)
}

test_command() {
    env -u BATS_TEST_TMPDIR -u MAKEFLAGS -u MAKELEVEL AGAIN="${AGAIN_HERE-}" \
        PATH="${PATH//"$BATS_LIBEXEC:"/}" scripts/test "$@"
}

@test "scripts/test runs every file, and a lesson's own for each lesson" {
    run -1 test_command
    [[ $output == *"ok   tests/lessons/01-tcp-client.bats: 2 of 2"* ]]
    [[ $output == *"tests/workbook/every-lesson/each.bats=01-tcp-client: 1 of 1"* ]]
    expect_equal "closing line" "$((2 + lessons)) passed, 1 failed, 1 skipped" \
        "${lines[-1]}"
}

@test "scripts/test shows why a test failed" {
    run -1 test_command tests/lessons/02-tcp-server.bats
    [[ $output == *"FAIL tests/lessons/02-tcp-server.bats: 0 of 2"* ]]
    [[ $output == *"not ok 1 breaks"*"# why"* ]]
    expect_equal "advice" "with AGAIN=1, a file that failed is run again, alone" \
        "${lines[-2]}"
    expect_equal "closing line" "0 passed, 1 failed, 1 skipped" "${lines[-1]}"
}

@test "scripts/test runs one lesson by its number, or its name" {
    local name
    for name in 1 01 01-tcp-client; do
        run -0 test_command "$name"
        expect_equal "closing line" "3 passed, 0 failed, 0 skipped" \
            "${lines[-1]}"
    done
}

@test "scripts/test --tap prints one TAP stream" {
    run -1 --separate-stderr test_command --tap tests/lessons
    [[ $output == *"ok 1 "*"ok 4 "*"1..4"* ]]
    [[ $stderr == *"2 passed, 1 failed, 1 skipped" ]]
}

@test "scripts/test --junit writes a report that is XML" {
    run -1 test_command --junit "$BATS_TEST_TMPDIR/junit.xml" tests/lessons
    grep -q 'name="adds &lt;up&gt; &amp; more"' \
        "$BATS_TEST_TMPDIR/junit.xml"
    grep -q '<testsuite name="tests/lessons/02-tcp-server.bats" tests="2" failures="1" skipped="1">' \
        "$BATS_TEST_TMPDIR/junit.xml"
    skip_unless python3
    python3 -c 'import sys, xml.dom.minidom as x
cases = x.parse(sys.argv[1]).getElementsByTagName("testcase")
assert len(cases) == 4, len(cases)' "$BATS_TEST_TMPDIR/junit.xml"
}

@test "with AGAIN=1 scripts/test runs what failed again, and counts it apart" {
    AGAIN_HERE=1
    run -1 test_command tests/lessons
    [[ $output == *"FAIL again, alone: tests/lessons/02-tcp-server.bats: 0 of 2"* ]]
    [[ $output == *"FAIL once more, alone: tests/lessons/02-tcp-server.bats: 0 of 2"* ]]
    [[ $output != *"with AGAIN=1"* ]]
    expect_equal "closing line" "2 passed, 1 failed, 1 skipped" "${lines[-1]}"
    mkdir "$BATS_TEST_TMPDIR/not-run-yet"
    printf '@test "fails once" {\n    %s\n}\n' \
        "if rmdir $BATS_TEST_TMPDIR/not-run-yet; then false; fi" \
        >tests/lessons/busy.bats
    run -0 test_command tests/lessons/busy.bats
    rm tests/lessons/busy.bats
    [[ $output == *"FAIL tests/lessons/busy.bats: 0 of 1"* ]]
    [[ $output == *"ok   again, alone: tests/lessons/busy.bats: 1 of 1"* ]]
    expect_equal "count" "files that failed beside others, and passed alone: 1" \
        "${lines[-2]}"
    expect_equal "closing line" "1 passed, 0 failed, 0 skipped" "${lines[-1]}"
}

@test "scripts/test runs one file at a time on each core of a slow machine" {
    local i
    # We have one core here. Without the sleep, three files share it.
    mkdir "$BATS_TEST_TMPDIR/slow" tests/alone
    printf '#!/bin/sh\nsleep 0.01\n' >"$BATS_TEST_TMPDIR/slow/true"
    chmod +x "$BATS_TEST_TMPDIR/slow/true"
    for i in 1 2 3; do
        printf '@test "is alone" {\n    mkdir %s\n    sleep 0.2\n    rmdir %s\n}\n' \
            "$BATS_TEST_TMPDIR/running" "$BATS_TEST_TMPDIR/running" \
            >"tests/alone/$i.bats"
    done
    PATH=$BATS_TEST_TMPDIR/slow:$PATH run -0 test_command tests/alone
    rm -r tests/alone
    expect_equal "closing line" "3 passed, 0 failed, 0 skipped" "${lines[-1]}"
}

@test "scripts/test fails for a file that bats cannot read, and for no tests" {
    echo '@test "is cut off" {' >tests/lessons/broken.bats
    run -1 test_command tests/lessons/broken.bats
    [[ ${lines[-1]} == "0 passed, 1 failed, 0 skipped" ]]
    echo 'exit 0' >tests/lessons/broken.bats
    run -1 test_command tests/lessons/broken.bats
    rm tests/lessons/broken.bats
}

@test "scripts/test explains itself when asked, and when called wrongly" {
    run -0 test_command --help
    [[ $output == "usage: scripts/test "* ]]
    run -2 test_command --dance
    [[ $output == "test: no such option: --dance"* ]]
    run -2 test_command nothing-of-that-name
    [[ $output == "test: no lesson, file or folder: nothing-of-that-name" ]]
    run -2 test_command --junit
}
