#!/usr/bin/env bats
# What the desk writes into work/: nothing is lost, and nothing is half written.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    keep_requirements 05-byte-streams "prints each|refuses a wrong"
    first=01-tcp-client
}

# need_small_disk: where we may mount one.
need_small_disk() {
    unshare -rm mount -t tmpfs none /mnt 2>/dev/null ||
        skip "this system lets nobody mount a file system"
}

# on_full_disk COMMAND...: work/ is on a small disk, which has what work/ had
# before, and then no room left. What work/ has in the end is in $LEFT. Sets
# status, and what was said is in $SAID.
on_full_disk() {
    LEFT=$BATS_TEST_TMPDIR/left
    SAID=$BATS_TEST_TMPDIR/said
    mkdir -p work "$LEFT"
    status=0
    # shellcheck disable=SC2016 # expanded by the shell that is started
    unshare -rm bash -c 'cp -a work/. "$0/before"
        mount -t tmpfs -o size=64k none work
        cp -a "$0/before/." work
        rm -r "$0/before"
        cat /dev/zero >work/filling 2>/dev/null
        "$@"
        result=$?
        rm work/filling
        cp -a work/. "$0"
        exit $result' "$LEFT" "$@" >"$SAID" 2>&1 </dev/null 3>&- || status=$?
}

@test "a full disk does not cost the record of what has passed" {
    need_small_disk
    answer_well
    mkdir -p work
    printf '%s\n' "02-tcp-server a b" "05-byte-streams c d" >work/.passed
    on_full_disk scripts/learn check 1
    expect_equal status 3 "$status"
    grep -qx 'learn: it passed, but work/.passed could not be written' "$SAID"
    expect_equal record "$(<work/.passed)" "$(<"$LEFT/.passed")"
    expect_equal "other files" "" "$(find "$LEFT" -name '.passed.*')"
}

@test "a full disk leaves no starter that is cut off" {
    need_small_disk
    on_full_disk scripts/learn start 1
    expect_equal status 3 "$status"
    grep -qx "learn: work/$first.c could not be written" "$SAID"
    expect_equal files "" "$(find "$LEFT" -name '*.c*')"
}

@test "a full disk does not cost the answer that is reset" {
    need_small_disk
    answer_well
    on_full_disk scripts/learn reset 1
    expect_equal status 3 "$status"
    cmp "$LEFT/$first.c" "lessons/$first/solution.c"
}

@test "a hint is given on a full disk, too" {
    need_small_disk
    on_full_disk scripts/learn hint 1
    expect_equal status 0 "$status"
    grep -q '^Hint 1 of 3' "$SAID"
}

@test "checks at the same time lose nothing of the record" {
    local lesson
    mkdir work
    for lesson in 01-tcp-client 02-tcp-server 05-byte-streams; do
        cp "lessons/$lesson/solution.c" "work/$lesson.c"
        start "$lesson" scripts/learn check "$lesson"
    done
    for lesson in 01-tcp-client 02-tcp-server 05-byte-streams; do
        finish "$lesson"
        cat "$BATS_TEST_TMPDIR/$lesson".* >&2
        expect_equal "status of $lesson" 0 "$ended"
    done
    expect_equal lessons 3 "$(wc -l <work/.passed)"
}

@test "two checks of one lesson at the same time both pass" {
    local name
    answer_well
    for name in one two; do
        start "$name" scripts/learn check 1
    done
    for name in one two; do
        finish "$name"
        cat "$BATS_TEST_TMPDIR/$name".* >&2
        expect_equal "status of $name" 0 "$ended"
    done
    expect_equal lessons 1 "$(wc -l <work/.passed)"
}

@test "many records at the same time are all written" {
    local n
    mkdir work
    for ((n = 0; n < 30; n++)); do
        bash -c 'set -eu
            . scripts/lib/files.bash
            . scripts/lib/record.bash
            record_pass "$1" a b' - "$n" 3>&- &
    done
    wait
    expect_equal lessons "$(seq 0 29)" "$(cut -d ' ' -f 1 work/.passed | sort -n)"
}
