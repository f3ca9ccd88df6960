#!/usr/bin/env bats
# What `make` promises.

load ../lib/copy

# Few lessons are enough to see what make does: two, and one whose parser has a
# test of its own.
setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
    rm -rf "$COPY"/tests/wrong/0[3-9]* "$COPY"/tests/wrong/[1-9]*
    find "$COPY/common" "$COPY/tests/lib" "$COPY/tests/peers" \
        "$COPY/tests/torture" -name '*.[ch]' \
        ! -name 'addr.*' ! -name 'stream.*' ! -name 'deadline.*' ! -name 'number.*' \
        ! -name 'faults.c' ! -name 'names.c' ! -name 'bounded.c' \
        ! -name 'rude.c' ! -name 'zlib.*' ! -name 'memory.c' \
        ! -name 'wakes.c' -delete
}

setup() {
    in_copy
}

# As if nobody had ever set a variable for make.
plain_make() {
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u CI make "$@"
}

@test "make builds everything from clean without a warning" {
    plain_make clean
    [[ ! -e build ]]
    run -0 --separate-stderr plain_make
    expect_equal "standard error" "" "$stderr"
    local lesson
    for lesson in lessons/[0-9]*/; do
        lesson=$(basename "$lesson")
        [[ -x build/$lesson && -x build/exercise/$lesson ]]
        [[ -x build/solution/$lesson ]]
    done
}

@test "make does nothing when nothing changed" {
    plain_make -s
    run -0 plain_make
    expect_equal output "make: Nothing to be done for 'all'." "$output"
}

# A file's time is the kernel's last tick, of which there are some hundred a
# second.
touched_since() {
    touch common/probe.h
    [[ common/probe.h -nt build/01-tcp-client ]]
}

@test "make builds anew what includes a header that changed, and no more" {
    echo '#define PROBE 1' >common/probe.h
    echo '#include "probe.h"' >>lessons/01-tcp-client/tcp-client.c
    plain_make -s
    until_true touched_since
    run -0 plain_make
    [[ $output == *build/01-tcp-client* && $output != *build/02-* ]]
}

@test "make builds everything anew for another compiler or other flags" {
    local program=build/01-tcp-client
    plain_make -s "$program"
    run -0 plain_make CFLAGS=-O0 "$program"
    [[ $output == *" -O0 "*"$program"* ]]
    [[ $output == *-Wconversion* && $output == *-fstack-protector-strong* ]]
    run -0 plain_make CFLAGS=-O0 "$program"
    [[ $output == *"is up to date."* ]]
}

@test "make warns a learner of a mistake, but in CI, too, takes no error of it" {
    mkdir work
    cp lessons/01-tcp-client/solution.c work/01-tcp-client.c
    run -0 plain_make -n CI=true build/work/01-tcp-client
    grep -q -e '-Werror .* -o build/common/addr.o ' <<<"$output"
    grep -q ' -o build/work/01-tcp-client ' <<<"$output"
    run ! grep -e '-Werror .* -o build/work/' <<<"$output"
}

# change_flags: gives rude another flag in the Makefile, later than it was built.
change_flags() {
    sed -i '/^.*peers.rude: private CFLAGS/s/:= -O./:= -O3/' Makefile
    [[ Makefile -nt build/flags ]]
}

@test "make builds anew what has flags of its own when these change" {
    plain_make -s build/peers/rude
    until_true change_flags
    run -0 plain_make build/peers/rude
    [[ $output == *" -O3 "*" -o build/peers/rude "* ]]
    run -0 plain_make build/peers/rude
    [[ $output == *"is up to date."* ]]
}

@test "make forgets a module that is no longer there" {
    echo 'int probe_answer(void); int probe_answer(void) { return 42; }' \
        >common/probe.c
    plain_make -s build/common.a
    ar t build/common.a | grep -x probe.o
    rm common/probe.c
    plain_make -s build/common.a
    run ! grep -x probe.o <(ar t build/common.a)
}

@test "make lets an answer use GNU's extensions and mathematics, and warns of the rest" {
    mkdir work
    cat >work/01-tcp-client.c <<'END'
#include <errno.h>
#include <math.h>
#include <stdio.h>
int main(int argc, char *argv[]) {
    (void)argv;
    errno = ENOENT;
    printf("%g %m\n", ({ sqrt(argc + 3.0); }));
    return 0;
}
END
    run -0 --separate-stderr plain_make -s build/work/01-tcp-client
    expect_equal "standard error" "" "$stderr"
    expect_equal output "2 No such file or directory" \
        "$(build/work/01-tcp-client)"
    sed -i 's/return 0;/int less = 2.5; return less;/' work/01-tcp-client.c
    run -0 --separate-stderr plain_make -s -W work/01-tcp-client.c CI=true \
        build/work/01-tcp-client
    [[ $stderr == *warning*2.5* ]]
}

@test "make builds the answers, whatever else lies in work/" {
    local name
    answer_well
    # shellcheck disable=SC2016 # a dollar in a name
    for name in '01:old' '02-x;y' '02-x%y' '03-a b' '04-$x' '05-x=y' '01-a*'; do
        cp work/01-tcp-client.c "work/$name.c"
    done
    run -0 --separate-stderr plain_make -s build/work/01-tcp-client
    expect_equal "standard error" "" "$stderr"
    [[ -x build/work/01-tcp-client ]]
}

# All of it is built with both by .ci/run.

@test "make works under clang without a warning" {
    skip_unless clang
    run -0 --separate-stderr plain_make CC=clang BUILD=build/clang \
        build/clang/01-tcp-client build/clang/peers/rude
    expect_equal "standard error" "" "$stderr"
}

@test "make works with musl without a warning" {
    skip_unless musl-gcc
    run -0 --separate-stderr plain_make CC=musl-gcc BUILD=build/musl \
        build/musl/01-tcp-client build/musl/peers/rude
    expect_equal "standard error" "" "$stderr"
}

@test "make fuzz says so where there is no clang" {
    run -0 plain_make fuzz CLANG=no-such-clang
    expect_equal output "make: nothing is fuzzed: there is no no-such-clang" \
        "$output"
}

@test "make help names each task" {
    local task
    run -0 plain_make help
    for task in all test bench lint format sanitize fuzz torture check-NN clean help; do
        [[ $output == *"make $task "* ]]
    done
}

@test "make check-01 checks the answer to lesson 01" {
    run -2 plain_make check-01
    [[ $output == *"work/01-tcp-client.c is still the starter"* ]]
    run -0 plain_make check-NN
}

@test "make clean deletes what was built, and no answer" {
    mkdir -p work
    echo mine >work/01-tcp-client.c
    plain_make clean
    [[ ! -e build && $(<work/01-tcp-client.c) == mine ]]
}
