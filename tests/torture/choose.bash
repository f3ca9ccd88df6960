# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# Which of the scenes that a check gives are played: those with the most different
# calls.

# solution_scenes LESSON: the scenes of its solution, at most two: those with the most different calls,
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

# choose_scenes LESSON: sets scenes to those of its solution; they are kept as
# long as nothing that they come from changes.
choose_scenes() {
    local folder=$results/$1.solution print
    mkdir -p "$folder"
    print=$(cat "$BUILD/solution/$1" "tests/exercises/$1.bats" \
        tests/torture/scenes.bash tests/torture/choose.bash tests/peers/*.c | sha256sum)
    if [[ ! -e $folder/chosen || $(head -n 1 "$folder/chosen") != "$print" ]]; then
        scenes=("$(solution_scenes "$1")")
        printf '%s\n' "$print" "${scenes[@]}" >"$folder/chosen"
    fi
    mapfile -t scenes < <(tail -n +2 "$folder/chosen" | grep .)
    ((${#scenes[@]} > 0)) ||
        echo "torture: $1.solution: its check gave no scene: not covered" >&2
}
