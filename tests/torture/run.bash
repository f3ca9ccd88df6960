# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# Runs the plans of a program, judges what came out, and prints the table.
results=$BUILD/torture

list_lessons() {
    local lesson
    for lesson in lessons/[0-9][0-9]-*/; do
        lesson=${lesson%/}
        echo "${lesson##*/}"
    done
}

# strace is a package that not every machine has: it is installed where we may,
# and done without, aloud, where not.
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

# torture_program NAME PROGRAM SCENE...: unless that has been done.
torture_program() {
    local name=$1 program=$2 folder=$results/$1 run scene target print
    local begin=$SECONDS played planned
    shift 2
    print=$(cat "$program" "$@" tests/torture/*.* tests/torture/{errors,reasons,varies,known} tests/lib/faults.c \
        tests/lib/memory.c tests/peers/*.c | sha256sum)
    print+=$mode
    if [[ -e $folder/done && $(<"$folder/done") == "$print" ]]; then
        progress "$name: as before"
        return
    fi
    rm -rf "$folder"/{done,plan*,reference*,results*,verdicts*,scene-*}
    mkdir -p "$folder"
    touch "$folder"/{reference,results,plan,plan-4,plan-68,plan-hosts}
    for scene; do
        with_deadline "$program" "$scene" >"$folder/scene-${scene##*[-/]}"
        while read -r target; do
            torture_target "$folder/scene-${scene##*[-/]}" "$target"
        done < <(targets "$scene" "$program" "${program##*/}")
    done
    order_plan
    run_networks
    run_plan "$folder/plan" "$folder/results" "${budget[least]}" "$(seconds_left)"
    planned=$(cat "$folder"/plan{,-4,-68,-hosts} | wc -l)
    echo "$planned" >"$folder/planned"
    judge "$folder/results" >"$folder/verdicts"
    confirm
    echo "$print" >"$folder/done"
    played=$(wc -l <"$folder/verdicts")
    progress "$name: $played of $planned runs in $((SECONDS - begin)) s"
}

# with_deadline PROGRAM SCENE: the scene, and PROGRAM has two seconds, where it
# can be told so and is not: nobody wants to wait for its ten.
with_deadline() {
    if "$1" -h 2>&1 </dev/null | grep -q -e '-t SECONDS'; then
        sed "/ -t /! s#\( [^ ]*${1##*/}\)\( \|\$\)#\1 -t 2\2#" "$2"
    else
        cat "$2"
    fi
}

# run_networks: in other networks than the usual; in a short run in one of them.
run_networks() {
    local number=${name%%[!0-9]*}
    local -a all=(4 68 hosts)
    [[ $mode != short ]] || all=("${all[10#${number:-0} % 3]}")
    for number in "${all[@]}"; do
        case $number in
        4) run_plan "$folder/plan-4" "$folder/results" 99 0 -4 ;;
        68) run_plan "$folder/plan-68" "$folder/results" 99 0 -m 68 ;;
        *) run_plan "$folder/plan-hosts" "$folder/results" 99 0 -e tests/torture/etc ;;
        esac
    done
}

judge() {
    awk -v lesson="$name" -f tests/torture/judge.awk tests/torture/reasons \
        tests/torture/varies tests/torture/known "$folder/reference" "$1"
}

# order_plan: in an order of which any beginning is an even choice: the golden
# section never comes back to where it was.
order_plan() {
    awk '{ at = NR * 0.6180339887498949
           printf "%.9f\t%s\n", at - int(at), $0 }' "$folder/plan" |
        sort -n | cut -f 2- >"$folder/plan-ordered"
    mv "$folder/plan-ordered" "$folder/plan"
}

# seconds_left: for the plan of this program, of what all have, or each.
seconds_left() {
    local left=${budget[each]-}
    if [[ -z $left ]]; then
        # As much as for each that is still to come; what one leaves, they have.
        left=$(((ends - SECONDS) / (total - current) - (SECONDS - begin)))
    fi
    echo "$((left > 0 ? left : 0))"
}

# What looks bad is run again: on a busy machine a thing may have come late.
confirm() {
    awk -F '\t' '$1 !~ /^(idle|same|said|half|floor|excused)$/ { print $2 }' "$folder/verdicts" \
        >"$folder/suspects"
    [[ -s $folder/suspects ]] || return 0
    cat "$folder"/plan "$folder"/plan-{4,68,hosts} |
        awk -F '\t' 'NR == FNR { bad[$1]; next } $1 in bad' \
            "$folder/suspects" - >"$folder/again"
    grep -vE '\|places\|(no |packets)' "$folder/again" >"$folder/plan-again" ||
        true
    : >"$folder/results-again"
    run_plan "$folder/plan-again" "$folder/results-again" 9999 0
    judge "$folder/results-again" >"$folder/verdicts-again"
    awk -F '\t' 'NR == FNR { if ($1 ~ /^(idle|same|said|half|floor|excused)$/) good[$2] = $0; next }
                 $2 in good { print good[$2]; next } { print }' \
        "$folder/verdicts-again" "$folder/verdicts" >"$folder/verdicts-new"
    mv "$folder/verdicts-new" "$folder/verdicts"
}

progress() {
    current=$((current + 1))
    echo "torture: $current of $total: $1" >&2
}

# The scenes of a solution, at most two: those with the most different calls,
# and of these the shortest; without a peer only where there is none.
solution_scenes() {
    local folder=$results/$1.solution run=0.1 weighed='' candidate
    mkdir -p "$folder"
    record_check "$1" "$folder"
    candidate_scenes "$BUILD/solution/$1" "$folder"
    rm -f "$folder"/chosen-*
    weigh_all "$BUILD/solution/$1" < <(grep -l '^peer:' "$folder"/candidate-*)
    if [[ -n $weighed && $weighed != *$'\n'* ]]; then
        # A second one: the same, of a host with a name.
        sed '/^answer:/ s/ 127[.]0[.]0[.]1 / localhost /' "$weighed" >"$folder/named"
        cmp -s "$folder/named" "$weighed" ||
            [[ $(weigh "$folder/named" "$BUILD/solution/$1") == 0* ]] ||
            echo "$folder/named"
    fi
    weigh_all "$BUILD/solution/$1" < <(grep -L '^peer:' "$folder"/candidate-*)
}

# weigh_all PROGRAM: of the scenes on standard input, the two best, or a single
# one that takes long; none when there were some already.
weigh_all() {
    [[ -z ${weighed-} ]] || return 0
    weighed=$(head -n 12 | while read -r candidate; do
        echo "$(weigh "$candidate" "$1") $candidate"
    done | sort -k1,1nr -k2,2n | awk '$1 > 1 || ($1 == 1 && NR == 1) { print $3 }' | head -n 2)
    [[ -z $weighed ]] || echo "$weighed"
}

# weigh SCENE PROGRAM: how many different calls are made, and how many in all; 0
# if it does not work, and 1 if that takes long.
weigh() {
    local target line begin=${EPOCHREALTIME/./} follow=-f column=2
    # Who traces others can't have them traced by strace, too.
    ! nm -D "$2" 2>/dev/null | grep -q ' ptrace' || { follow='' && column=1; }
    target=$(targets "$1" "$2" | head -n 1)
    line=$(printf 'x\tscene=%s\ttarget=%s\twrap=strace -D %s -qq -o @LOG@\n' \
        "$1" "$target" "$follow" | run_one 2>/dev/null)
    if [[ $line == *$'\texit 0\t'* || $line == *$'\tsignal 15\ttold\t'* ]]; then
        begin=$(((${EPOCHREALTIME/./} - begin) / 1000))
        awk -v took="$begin" -v column="$column" '
            { call = $column; sub(/\(.*/, "", call); if (!seen[call]++) n++ }
            END { print (took < 600 ? n + 0 : 1), NR }' "$folder/slot-0/log"
    else
        echo 0 0
    fi
}

# compare_strangers: the same for programs that everybody has.
compare_strangers() {
    local scene name program current=0 total=0 lesson=99
    local -a done=() known=()
    local -A budget=([least]=400 [each]=20)
    for scene in tests/torture/compare/*; do
        name=${scene##*/}
        program=${name%%-*}
        if command -v "$program" >/dev/null; then
            known+=("$scene")
        else
            echo "torture: $program is not installed" >&2
        fi
    done
    total=${#known[@]}
    for scene in "${known[@]}"; do
        name=${scene##*/}
        torture_program "$name" "$(command -v "${name%%-*}")" "$scene"
        done+=("$results/$name")
    done
    ((total == 0)) || print_table "${done[@]}"
}

# choose_scenes LESSON: sets scenes to those of its solution; they are kept as
# long as nothing that they come from changes.
choose_scenes() {
    local folder=$results/$1.solution print
    mkdir -p "$folder"
    print=$(cat "$BUILD/solution/$1" "tests/exercises/$1.bats" \
        tests/torture/scenes.bash tests/torture/run.bash tests/peers/*.c | sha256sum)
    if [[ ! -e $folder/chosen || $(head -n 1 "$folder/chosen") != "$print" ]]; then
        scenes=("$(solution_scenes "$1")")
        printf '%s\n' "$print" "${scenes[@]}" >"$folder/chosen"
    fi
    mapfile -t scenes < <(tail -n +2 "$folder/chosen" | grep .)
    ((${#scenes[@]} > 0)) ||
        echo "torture: $1.solution: its check gave no scene: not covered" >&2
}

torture_lessons() {
    local lesson current=0 total=$(($# * 2))
    local -A budget=([least]=250 [each]=10)
    local ends=$((SECONDS + 90))
    if [[ $mode == short ]]; then
        total=$#
        budget=([least]=8)
    fi
    local -a scenes done=()
    for lesson; do
        if [[ ! -e lessons/$lesson/scene || ! -e tests/exercises/$lesson.bats ]]; then
            progress "$lesson: has no scene, or no check: left out"
            continue
        fi
        torture_program "$lesson" "$BUILD/$lesson" "lessons/$lesson/scene"
        done+=("$results/$lesson")
        [[ $mode != short ]] || continue
        choose_scenes "$lesson"
        torture_program "$lesson.solution" "$BUILD/solution/$lesson" \
            "${scenes[@]}"
        done+=("$results/$lesson.solution")
    done
    print_table "${done[@]}"
}

# print_table FOLDER...: a row a program; then what should not be there.
print_table() {
    local folder
    for folder; do
        awk -F '\t' -v name="${folder##*/}" -v planned="$(<"$folder/planned")" '
            { if ($1 !~ /^(idle|floor|excused)$/) { n[$1]++; all++ } }
            END { printf "%s %d %d %d %d %d %d %d %d %d %d\n", name, NR, planned, all, n["same"],
                  n["said"], n["half"], n["crash"] + n["dead"], n["hang"] + n["unserved"],
                  n["wrong"] + n["silent"], n["lost"] }' "$folder/verdicts"
    done | awk '
        BEGIN { row = "%-27s %6s %6s %6s %6s %5s %5s %5s %5s %6s %5s\n"
                printf row, "", "", "of", "", "did it", "said", "not", "", "", "wrong", "lost"
                printf row, "program", "played", "all", "fired", "anyway", "why", "why", "died", "hung", "silent", "a fd" }
        { printf row, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
          for (i = 2; i <= 11; i++) sum[i] += $i }
        END { printf row, "all", sum[2], sum[3], sum[4], sum[5], sum[6], sum[7], sum[8], sum[9], sum[10], sum[11]
              exit sum[8] + sum[9] + sum[10] + sum[11] > 0 }' || {
        echo
        print_findings "$@"
        return 1
    }
}

print_findings() {
    local folder
    for folder; do
        awk -F '\t' -v name="${folder##*/}" '
            $1 !~ /^(idle|same|said|half|floor|excused)$/ {
                printf "%s: %s: %s: %s: %s\n", $1, name, $2, $3, substr($4, 1, 100)
            }' "$folder/verdicts"
    done
}
