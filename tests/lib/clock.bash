# shellcheck shell=bash disable=SC2034 # bats and tests share variables
# For tests that measure how long something takes: `load ../lib/clock`.
#
# A program takes no less than the waits in it, so a lower bound is exact. On a
# busy machine it may take more: what came late is measured again, and wrong is
# only what is late each time.

# Sets now: hundredths of a second, by a clock that nobody can set.
look_at_clock() {
    read -r now _ </proc/uptime
    now=$((10#${now/./}))
}

# timed COMMAND...: tries it, and sets took, in hundredths of a second.
timed() {
    local start now
    look_at_clock
    start=$now
    try "$@"
    look_at_clock
    took=$((now - start))
}

# measured LEAST MOST COMMAND...: COMMAND sets took, as timed does: never to
# less than LEAST and, once in ten times, to no more than MOST. A program that
# looks for its own mistakes with memory is slow to start: it may take three times
# as long.
measured() {
    local i most=$2
    [[ $BUILD != *asan* ]] || most=$((3 * $2))
    for i in {1..10}; do
        stop_all
        "${@:3}"
        if ((took < $1)); then
            echo "took $took hundredths of a second: less than $1" >&2
            return 1
        fi
        ((took > most)) || return 0
    done
    echo "took $took hundredths of a second: more than $most" >&2
    return 1
}
