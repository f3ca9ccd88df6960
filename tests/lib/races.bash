# shellcheck shell=bash disable=SC2154 # BUILD and pid_of are common.bash's
# Programs under ThreadSanitizer, which watches the memory that threads share. It
# does not go together with the other sanitizers, so it has a build of its own.

# build_for_races FILE SOURCE...: compiles the program FILE from these sources
# with ThreadSanitizer, and links it with the modules of common/. Skips the test
# where the compiler has no ThreadSanitizer, or the system cannot run it.
build_for_races() {
    local said
    local -a modules=(common/{addr,deadline,listener,number,stream}.c)
    said=$("${CC:-cc}" -std=gnu17 -g -O0 -w -fsanitize=thread -Icommon -o "$1" \
        "${@:2}" "${modules[@]}" -lm -lpthread 2>&1) ||
        skip "no ThreadSanitizer: $(head -n 1 <<<"$said")"
    said=$(bounded "$1" -h 2>&1) || true
    [[ $said != *"FATAL: ThreadSanitizer"* ]] ||
        skip "no ThreadSanitizer: $(head -n 1 <<<"$said")"
}

# race_of NAME: prints the line of a source where NAME, which was started and
# has ended, has a data race, a thread that nobody waits for, or the like;
# nothing if it has none.
race_of() {
    sed -n 's/^SUMMARY: ThreadSanitizer: //p' "$BATS_TEST_TMPDIR/$1.err" |
        head -n 1
}
