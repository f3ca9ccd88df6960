# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# Checks an answer: builds it, runs its tests, and shows what came out.

# list_requirements LESSON: the requirements of its check, one a line.
list_requirements() {
    sed -n 's/^@test "\(.*\)" {$/\1/p' "tests/exercises/$1.bats"
}

# run_half LESSON N CORE: runs the Nth of its tests and every second one after it.
run_half() {
    local names
    # shellcheck disable=SC2016 # these dollars are sed's
    names=$(list_requirements "$1" | awk -v n="$2" 'NR % 2 == n % 2' |
        sed 's/[][\.*^$()+?{}|]/\\&/g' | paste -sd '|')
    stay_on "$3"
    LC_ALL=C COLUMNS=$columns PROGRAM=build/work/$1 NO_COLOR=1 \
        bats --formatter tap --filter "^($names)\$" "tests/exercises/$1.bats" \
        2>&1 </dev/null || true
}

# run_check LESSON: its tests in two halves side by side, because most machines
# have a second core. Both are in one pipeline, so that Ctrl-C ends both.
run_check() {
    local -a cores
    put_files_in_memory
    mapfile -t cores < <(list_cores | tail -n 2)
    run_half "$1" 1 "${cores[0]}" |
        { run_half "$1" 2 "${cores[-1]}" && cat; }
}

# build_answer LESSON: builds it from the bytes that work/LESSON.c has now, and
# sets answer to their fingerprint. make looks only at times, which tell nothing
# about a file that was moved there. Status 1 if it does not compile.
build_answer() {
    local program=build/work/$1 said='' status
    type cc make >/dev/null ||
        fail 3 "nothing can be checked without a compiler and make"
    command -v bats >/dev/null || fail 3 "nothing can be checked without bats"
    answer=''
    until [[ $answer && $answer == "$(fingerprint "work/$1.c")" ]]; do
        put_in_place "$1"
        [[ -r work/$1.c ]] || fail 3 "work/$1.c cannot be read"
        answer=$(fingerprint "work/$1.c")
        [[ -e $program.made && $(<"$program.made") == "$answer" ]] ||
            rm -f "$program" "$program.made"
        status=0
        said=$(build tools "$program" 2>&1) || status=$?
    done
    [[ -z $said ]] || sed '/^make.*Error/d; /-std=gnu17/d' <<<"$said"
    if ((status == 0)); then
        echo "$answer" >"$program.made"
        return 0
    fi
    build tools "build/solution/$1" >&2 ||
        fail 3 "the check itself does not build"
    echo "$red$no$plain work/$1.c does not compile" | wrap
    return 1
}

# check_lesson LESSON: status 0 if it passes, 1 if not. Checks of one lesson take
# turns, because they have one program.
check_lesson() {
    mkdir -p build/work
    {
        hold_lock 9
        check_answer "$1"
    } 9>>"build/work/$1.lock"
}

# check_answer LESSON: what check_lesson does.
check_answer() {
    local name=$1 answer check report met planned
    build_answer "$name" || return 1
    check=$(fingerprint "tests/exercises/$name.bats")
    report=$(run_check "$name" 9>&-)
    planned=$(list_requirements "$name" | wc -l)
    if (($(grep -cE '^(not )?ok ' <<<"$report") != planned)); then
        echo "$report" >&2
        fail 3 "the check itself could not be made"
    fi
    if [[ $(fingerprint "work/$name.c") != "$answer" ]]; then
        echo "work/$name.c has changed during its check: check it again" | wrap
        return 1
    fi
    met=$(grep '^ok ' <<<"$report" | grep -vc '# skip') || true
    if grep -q '^not ok ' <<<"$report"; then
        show_failure "$name" "$met of $planned" <<<"$report"
        return
    fi
    # What this machine has no means to check is said, but not counted against
    # the learner.
    sed -n 's/^ok [0-9]* \(.*\) # skip \(.*\)/not checked: \1 (\2)/p' \
        <<<"$report" | wrap
    if ((met == planned)); then
        met="all $planned"
    else
        met="$met of $planned"
    fi
    echo "$green$yes$plain $name: $met requirements met" | wrap
    record_pass "$name" "$answer" "$check" ||
        fail 3 "it passed, but work/.passed could not be written"
}
