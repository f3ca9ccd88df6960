# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# Plays one actor of a scene: its plan, part by part, on each core.

# find_strace: strace is a package that not every machine has. It is installed
# where we may; where not, that is said, and calls are not made to fail.
find_strace() {
    command -v strace >/dev/null && return
    if ((EUID == 0)) && command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends strace >/dev/null 2>&1 || true
    fi
    command -v strace >/dev/null ||
        echo "torture: there is no strace: no call is made to fail" >&2
}

# in_network OPTION... -- COMMAND: in a network of its own, with the names that
# the lessons' texts have; where that is not allowed, in the machine's.
in_network() {
    local status=0
    local -a network=()
    while [[ $1 != -- ]]; do
        network+=("$1")
        shift
    done
    shift
    "$BUILD/tests/private" -e tests/lib/etc "${network[@]}" "$@" || status=$?
    ((status == 125)) || return "$status"
    ((${#network[@]} == 0)) || return 0 # there is no such network here
    "$@"
}

# run_plan PLAN RESULTS LEAST SECONDS [OPTION...]: on each core a part of it, so
# many lines at least, and more for so many seconds.
run_plan() {
    local plan=$1 out=$2 i cores slot least=$3 seconds=$4
    shift 4
    cores=$(nproc)
    least=$(((least + cores - 1) / cores))
    for ((i = 0; i < cores; i++)); do
        slot=$folder/slot-$i
        mkdir -p "$slot"
        awk -v i="$i" -v n="$cores" -v path="$slot/log" \
            'NR % n == i { gsub(/@LOG@/, path); print }' "$plan" >"$slot/plan"
        in_network "$@" -- "$BUILD/tests/play" "$slot" "$least" "$seconds" \
            <"$slot/plan" >"$slot/results" 2>"$slot/errors" &
    done
    wait
    cat "$folder"/slot-*/results >>"$out"
    cat "$folder"/slot-*/errors >&2
}

# run_one PLAN: the one line on this core, for the log in slot-0.
run_one() {
    mkdir -p "$folder/slot-0"
    sed "s|@LOG@|$folder/slot-0/log|g" |
        in_network -- "$BUILD/tests/play" "$folder/slot-0"
}

# torture_target SCENE TARGET: all parts, for that actor of that scene.
torture_target() {
    local options made datagrams='' kind=client each='' tls='' path follow=-f holds
    run=${1##*-}.$2 # it begins the label of each of its runs
    path=$(grep -om 1 '[^ ]*[.]socket' "$1") || path=
    options="scene=$1"$'\t'"target=$2"$'\t'rounds=4
    plan_reference | run_one >"$folder/reference-$run"
    read_reference || return 0
    cat "$folder/reference-$run" >>"$folder/reference"
    options+=$'\t'holds=$holds
    : >"$folder/plan-$run"
    if command -v strace >/dev/null; then
        plan_trace | run_one >/dev/null
        # Who traces others can't have them traced by strace, too.
        if grep -qE ' ptrace\(' "$folder/slot-0/log"; then
            follow=
            plan_trace | run_one >/dev/null
            sed -i '/^ /! s/^/1 /' "$folder/slot-0/log"
        fi
        cp "$folder/slot-0/log" "$folder/trace-$run"
        plan_calls "$folder/trace-$run" >>"$folder/plan-$run"
        # A child for each client: what the server meets, each of them does.
        ! grep -qE ' (clone|v?fork)\(' "$folder/trace-$run" ||
            grep -q 'CLONE_VM' "$folder/trace-$run" || each=each
        ! grep -q 'openat(.*/libssl' "$folder/trace-$run" || tls=1
        grep -q 'socket(AF_INET6\{0,1\}, SOCK_DGRAM.*IPPROTO_IP' \
            "$folder/trace-$run" &&
            ! grep -q 'socket(.*SOCK_STREAM' "$folder/trace-$run" &&
            datagrams=1
    fi
    plan_memory_count | run_one >/dev/null
    made=$(grep -c '^made ' "$folder/slot-0/log" 2>/dev/null) || made=0
    {
        plan_memory "$made"
        plan_short
        plan_places
        [[ $kind == none ]] || plan_peers "$kind"
    } >>"$folder/plan-$run"
    cat "$folder/plan-$run" >>"$folder/plan"
    plan_network "no IPv6" >>"$folder/plan-4"
    plan_network "packets of 68 bytes" >>"$folder/plan-68"
    plan_network "no /etc/hosts" >>"$folder/plan-hosts"
}

# read_reference: sets kind and holds; fails where the scene is none: it does
# not end well, or not each time the same.
read_reference() {
    local ready end told descriptors before=
    holds=0
    while IFS=$'\t' read -r _ _ ready end told descriptors _; do
        # Who was never asked to catch SIGTERM dies of it.
        [[ $end == "exit 0" || "$end $told" == "signal 15 told" ]] || return 1
        [[ -z $before || $before == "$ready $told" ]] || return 1
        before="$ready $told"
        ((descriptors <= holds)) || holds=$descriptors
    done <"$folder/reference-$run"
    if [[ $before == "listening told" ]]; then
        kind=server
    elif ((${run#*.} == 1)) || [[ $before == capturing* ]]; then
        kind=none # nobody comes before it, or it speaks to nobody
    fi
}
