# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# Runs the plans of a program, for all programs that are asked for.
results=$BUILD/torture

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

progress() {
    current=$((current + 1))
    echo "torture: $current of $total: $1" >&2
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
    ((total == 0)) || print_all print_table "${done[@]}"
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
    print_all print_table "${done[@]}"
}
