# shellcheck shell=bash
# What is done to a program, part by part: each function prints the lines of a
# plan for tests/torture/play.c. A run is SCENE.TARGET, and `options` is what
# all runs of it have in common.

# plan_reference: undisturbed, a few times: what varies then says nothing.
plan_reference() {
    local i
    for i in 1 2 3; do
        printf '%s|reference|%d\t%s\n' "$run" "$i" "$options"
    done
}

# plan_trace: once more, so that strace's log tells which calls there are.
plan_trace() {
    printf '%s|trace\t%s\twrap=strace -D -f -qq -e signal=none -o @LOG@\n' \
        "$run" "${options/rounds=4/rounds=0}"
}

plan_calls() {
    awk -v run="$run" -v options="$options" -v path="@LOG@" \
        -f tests/torture/calls.awk tests/torture/errors "$1"
}

with_memory="env=LD_PRELOAD=$BUILD/tests/memory.so	env=MEMORY_LOG=@LOG@"

plan_memory_count() {
    printf '%s|memory\t%s\t%s\n' "$run" "${options/rounds=4/rounds=0}" \
        "$with_memory"
}

# plan_memory COUNT: each of so many allocations; of many, forty and the last.
plan_memory() {
    local i step=$((($1 + 39) / 40))
    for ((i = 1; i <= $1; i += (i < 20 ? 1 : step))); do
        printf '%s|memory|%d|once\t%s\t%s\tenv=MEMORY_AT=%d\n' \
            "$run" "$i" "$options" "$with_memory" "$i"
        printf '%s|memory|%d|from then on\t%s\t%s\tenv=MEMORY_FROM=%d\n' \
            "$run" "$i" "$options" "$with_memory" "$i"
    done
}

plan_short() {
    local i with=env=LD_PRELOAD=$BUILD/tests/faults.so
    printf '%s|short|one byte\t%s\t%s\tenv=FAULT_SHORT=1\n' \
        "$run" "$options" "$with"
    for i in 1 2 3 4 5 6 7 8 9 10; do
        printf '%s|short|seed %d\t%s\t%s\tenv=FAULT_SHORT=1\tenv=FAULT_SEED=%d\n' \
            "$run" "$i" "$options" "$with" "$i"
    done
    for i in 200 1000 5000; do
        printf '%s|short|a signal every %d us\t%s\t%s\tenv=FAULT_SIGNALS=%d\n' \
            "$run" "$i" "$options" "$with" "$i"
        printf '%s|short|a signal every %d us, one byte\t%s\t%s\tenv=FAULT_SIGNALS=%d\tenv=FAULT_SHORT=1\n' \
            "$run" "$i" "$options" "$with" "$i"
    done
}

# waits_for_ever FACE: a peer that has no end, which a program without deadline
# waits for: lesson 07 builds the first one.
waits_for_ever() {
    ((10#${lesson%%-*} < 7)) &&
        [[ $1 == @(stall|deaf|swallow|silent|mute) ]]
}

# plan_peers KIND: with each face of each rude peer; KIND is server or client.
plan_peers() {
    local peer name face options_of
    for peer in tests/peers/rude*.c; do
        name=${peer##*/}
        name=${name%.c}
        [[ $name != *-udp || -n $datagrams ]] || continue
        [[ $name == *-udp || -z $datagrams ]] || continue
        while read -r face; do
            [[ $face ]] || continue
            for options_of in "" "-n 1" "-n 60000"; do
                [[ $options_of != "-n 60000" || $face != dribble ]] || continue
                if [[ $1 == server ]]; then
                    printf '%s|peers|%s\t%s\tpeer=%s\n' "$run" \
                        "$name $options_of $face" "$options" \
                        "$BUILD/tests/$name $options_of connect $face {port}"
                else
                    waits_for_ever "$face" && continue
                    replace_peer "$name $options_of serve $face"
                fi
            done
        done < <("$BUILD/tests/$name" faces)
    done
    [[ -z $datagrams ]] || return 0
    if [[ $1 == server ]]; then
        plan_crowd
    else
        replace_peer "rude refuse"
        waits_for_ever swallow || replace_peer "rude swallow"
    fi
}

# From lesson 22 on a server has many clients at a time, and 300 others keep it
# from none; before, they have their turns, and are soon gone.
plan_crowd() {
    local how stay=
    ((10#${lesson%%-*} < 22)) || stay=$'\tstay=1'
    for how in slow silent; do
        printf '%s|peers|300 %s\t%s\tpeer=%s%s\n' "$run" "$how" "$options" \
            "$BUILD/tests/crowd $how {port}" "$stay"
    done
}

# replace_peer COMMAND: that in the place of who comes first.
replace_peer() {
    printf '%s|peers|%s\t%s\tfirst=%s\n' "$run" "$1" "$options" \
        "$BUILD/tests/$1"
}

plan_places() {
    local fd
    for fd in in out err; do
        printf '%s|places|%s closed\t%s\t%s=-\n' "$run" "$fd" "$options" "$fd"
        printf '%s|places|%s full\t%s\t%s=/dev/full\n' \
            "$run" "$fd" "$options" "$fd"
    done
    printf '%s|places|16 descriptors\t%s\tfiles=16\n' "$run" "$options"
    printf '%s|places|read-only folder\t%s\tcwd=/proc\n' "$run" "$options"
}

# plan_network NAME: as it is; the network is another one.
plan_network() {
    printf '%s|places|%s\t%s\n' "$run" "$1" "$options"
}
