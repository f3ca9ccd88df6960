#!/usr/bin/env bats
# No castles in the air: nothing is called before it has been built.

load ../lib/common

# calls_of LESSON: the calls that its README says are new, a line each.
calls_of() {
    tr '\n' ' ' <"lessons/$1/README.md" |
        sed 's/.*\*\*New calls\*\*//; s/\*\*Needs\*\*.*//' |
        grep -oE '[A-Za-z0-9_]+\([23]' | sed 's/(.//'
}

lessons() {
    local folder
    for folder in lessons/[0-9]*/; do
        basename "$folder"
    done
}

# What a program of ours may call only when a lesson has taught it.
network_calls="socket connect send recv close bind listen accept accept4 \
setsockopt getsockname getpeername getsockopt sendto recvfrom shutdown poll \
select epoll_create1 getaddrinfo getnameinfo inet_ntop socketpair sendmsg \
recvmsg sendfile splice sendmmsg recvmmsg fork pthread_create ioctl dlopen"

# What a lesson needs before its turn comes, and explains where it is used.
borrowed="inet_ntop" # in 02, to print an address: 04 teaches it
borrowed+=" fork"    # in 06, for a process that can be killed: 22 teaches it
borrowed+=" pthread_create" # in 14, for calls at the same moment: 23 teaches it
borrowed+=" ioctl"   # in 36, for the width of a terminal
borrowed+=" socketpair" # in 11, for both ends in one program: 18 teaches it

@test "a lesson includes only modules that lessons up to it have built" {
    local module builder lesson
    for module in common/*.h; do
        [[ -e $module ]] || continue
        builder=$(grep -oE 'lesson [0-9]{2}' "$module" | head -n 1)
        [[ -n $builder ]]
        for lesson in $(lessons); do
            if ((10#${lesson%%-*} < 10#${builder#lesson })); then
                run ! grep -l "\"${module#common/}\"" "lessons/$lesson"/*.[ch]
            fi
        done
    done
}

# A module that only its builder includes belongs into that lesson's folder. The
# solution of the builder counts as little as its program.
@test "each module in common/ is included by a lesson that did not build it" {
    local module builder others
    for module in common/*.h; do
        builder=$(grep -oE 'lesson [0-9]{2}' "$module" | head -n 1)
        others=$(grep -l "\"${module#common/}\"" lessons/*/*.[ch] |
            grep -v "^lessons/${builder#lesson }-") ||
            { echo "no lesson but its builder includes $module" >&2 && false; }
    done
}

@test "a lesson's programs make no call before the lesson that teaches it" {
    local lesson call known=" $borrowed "
    for lesson in $(lessons); do
        known+=$(calls_of "$lesson" | tr '\n' ' ')
        # accept4(2) is one page with accept(2), as RAND_* is one with RAND.
        [[ $known != *" accept "* ]] || known+=" accept4 "
        for call in $network_calls; do
            [[ $known != *" $call "* ]] || continue
            # A comment names a page of the manual: select(2).
            ! grep -nE "(^|[^a-z_])$call\(($|[^0-9]|[0-9]+[^)0-9])" \
                "lessons/$lesson"/*.c >&2 || false
        done
    done
}

@test "a call is announced as new by one lesson only" {
    local lesson
    for lesson in $(lessons); do
        calls_of "$lesson"
    done >"$BATS_TEST_TMPDIR/calls"
    expect_equal "announced twice" "" \
        "$(sort "$BATS_TEST_TMPDIR/calls" | uniq -d)"
}

@test "the table in README.md has every lesson, and no other" {
    local lesson
    for lesson in $(lessons); do
        echo "lessons/$lesson/"
    done >"$BATS_TEST_TMPDIR/lessons"
    grep -oE '\(lessons/[0-9][^)]*/\)' README.md | tr -d '()' | sort -u |
        diff "$BATS_TEST_TMPDIR/lessons" - >&2
}
