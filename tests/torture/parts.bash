# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# What is done to a program, part by part: each function prints the lines of a
# plan for tests/torture/play.c. A run is SCENE.TARGET, and `options` is what
# all runs of it have in common.

# plan_reference: undisturbed, a few times: what varies then says nothing.
plan_reference() {
    printf "$run|reference|%d\t$options\n" 1 2 3
}

# plan_trace: once more, so that strace's log tells which calls there are.
plan_trace() {
    printf '%s|trace\t%s\twrap=strace -D %s -qq%s -e signal=none -o @LOG@\n' \
        "$run" "${options/rounds=4/rounds=0}" "$follow" "$(tell_callers)"
}

# Not every strace can.
tell_callers() {
    if strace -k true 2>/dev/null >&2; then
        echo " -k"
    fi
}

plan_calls() {
    local modules
    modules=$(basename -s .h common/*.h lessons/*/*.h | paste -sd '|')
    awk -v modules="$modules" -v follow="$follow" -v run="$run" -v options="$options" -v path="@LOG@" -v kind="$kind" \
        -v faults="$BUILD/tests/faults.so" -f tests/torture/calls.awk tests/torture/errors "$1"
}

with_memory="env=LD_PRELOAD=$BUILD/tests/memory.so	env=MEMORY_ALONE=1	env=MEMORY_LOG=@LOG@"

plan_memory_count() {
    printf '%s|memory\t%s\t%s\n' "$run" "${options/rounds=4/rounds=0}" \
        "$with_memory"
}

# plan_memory COUNT: each of so many allocations; of many, forty and the last.
plan_memory() {
    local i step=$((($1 + 39) / 40))
    for ((i = 1; i <= $1; i += (i < 20 ? 1 : step))); do
        printf '%s|memory|%d|once|||%s\t%s\t%s\tenv=MEMORY_AT=%d\n' \
            "$run" "$i" "$each" "$options" "$with_memory" "$i"
        printf '%s|memory|%d|from then on|||%s\t%s\t%s\tenv=MEMORY_FROM=%d\n' \
            "$run" "$i" "$each" "$options" "$with_memory" "$i"
    done
}

plan_short() {
    local i with=env=LD_PRELOAD=$BUILD/tests/faults.so$'\t'env=FAULT_ALONE=1
    for i in 200 1000 5000; do
        printf '%s|short|a signal every %d us\t%s\t%s\tenv=FAULT_SIGNALS=%d\n' \
            "$run" "$i" "$options" "$with" "$i"
    done
    [[ -z $datagrams ]] || return 0 # one that is cut is another one
    with+=$'\tenv=FAULT_SHORT=1'
    printf '%s|short|one byte\t%s\t%s\n' "$run" "$options" "$with"
    printf '%s|short|one byte, a signal every 200 us\t%s\t%s\tenv=FAULT_SIGNALS=200\n' \
        "$run" "$options" "$with"
    for i in 1 2 3 4 5 6 7 8 9 10; do
        printf '%s|short|seed %d\t%s\t%s\tenv=FAULT_SEED=%d\n' \
            "$run" "$i" "$options" "$with" "$i"
    done
}

# waits_for_ever FACE: a peer that has no end, which a program without deadline
# waits for: lesson 07 builds the first one.
waits_for_ever() {
    ((10#${lesson%%-*} < 7)) && [[ -z $datagrams ]] &&
        [[ $1 == @(stall|deaf|swallow|silent|mute) ]]
}

# fits PEER KIND: they speak of the same things. Who speaks TLS meets those who
# don't, too.
fits() {
    [[ -x $BUILD/peers/$1 ]] || return 1
    case $1 in
    *-udp) [[ -n $datagrams ]] ;;
    *-unix) [[ -n $path ]] ;;
    *-dns) return 1 ;; # it has no faces: 30's own test meets all that it does
    *-socks) [[ $lesson == 33-* && $2 == server ]] ;;
    *-http) [[ $lesson == 31-* ]] ;;
    *-tls-client) [[ -n $tls && $2 == server ]] ;;
    *-tls) [[ -n $tls ]] ;;
    *) [[ -z $datagrams && -z $path ]] ;;
    esac
}

# plan_paths PEER KIND: as plan_peers, where the address is a path.
plan_paths() {
    local face
    while read -r face; do
        if [[ $2 == server ]]; then
            printf '%s|peers|%s\t%s\tpeer=%s\n' "$run" "$1 $face" "$options" \
                "$BUILD/peers/$1 connect $path $face"
        else
            replace_peer "$1 serve $path $face"
        fi
    done < <("$BUILD/peers/$1" faces)
}

# plan_peers KIND: with each face of each rude peer; KIND is server or client.
plan_peers() {
    local peer name face options_of
    for peer in tests/peers/rude*.c; do
        name=${peer##*/}
        name=${name%.c}
        fits "$name" "$1" || continue
        if [[ $name == *-unix ]]; then
            plan_paths "$name" "$1"
            continue
        fi
        while read -r face; do
            [[ $face ]] || continue
            for options_of in "" "-n 1" "-n 60000"; do
                [[ $name != *-@(tls*|http|socks) || -z $options_of ]] || continue
                [[ $options_of != "-n 60000" || $face != dribble ]] || continue
                if [[ $1 == server ]]; then
                    printf '%s|peers|%s\t%s\tpeer=%s\n' "$run" \
                        "$name $options_of $face" "$options" \
                        "$BUILD/peers/$name $options_of connect $face {port}"
                else
                    waits_for_ever "$face" && continue
                    replace_peer "$name $options_of serve $face"
                fi
            done
        done < <("$BUILD/peers/$name" faces)
    done
    [[ -z $datagrams && -z $path ]] || return 0
    if [[ $1 == server ]]; then
        plan_crowd
    else
        replace_peer "rude refuse"
        waits_for_ever swallow || replace_peer "rude swallow"
    fi
}

# From lesson 22 on a server has many clients at a time, and 300 others keep it
# from none. Before, each has its turn, so they are twenty, and soon gone.
plan_crowd() {
    local how stay='' count=20
    ((10#${lesson%%-*} < 22)) || stay=$'\tstay=1' count=300
    for how in slow silent; do
        printf '%s|peers|%d %s\t%s\tpeer=%s%s\n' "$run" "$count" "$how" \
            "$options" "$BUILD/tests/crowd $how $count {port}" "$stay"
    done
}

# replace_peer COMMAND: that in the place of who comes first. A program that
# takes no deadline has one of its own, ten seconds at most, from 07 on.
replace_peer() {
    local patience=0
    ((10#${lesson%%-*} < 7)) || patience=11000
    printf '%s|peers|%s\t%s\tfirst=%s\tpatience=%d\n' "$run" "$1" "$options" \
        "$BUILD/peers/$1" "$patience"
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
