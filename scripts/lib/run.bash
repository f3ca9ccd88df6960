# shellcheck shell=bash disable=SC2034,SC2154 # the desk's files share variables
# Runs the tests of a check, and reads what came out of them.

# When the first requirement that is not met is known, the check goes on for the
# others until it has taken so many microseconds; but at least for so many more.
TIME_FOR_ALL=3000000
TIME_FOR_MORE=1000000

# list_requirements LESSON: the requirements of its check, one a line.
list_requirements() {
    sed -n 's/^@test "\(.*\)" {$/\1/p' "tests/exercises/$1.bats"
}

# start_tests LESSON PROGRAM OUTPUT CORE FILTER: runs those tests of the check
# whose names match FILTER, in the background, for PROGRAM. bounded ends
# everything that the program starts, when the tests have ended and when we are
# ended. What bats says goes to OUTPUT.
start_tests() {
    {
        stay_on "$4"
        LC_ALL=C COLUMNS=$columns NO_COLOR=1 TMPDIR=$here PROGRAM=$2 FAIL_FAST="" \
            exec build/tests/bounded 600 bats --formatter tap --filter "$5" \
            "tests/exercises/$1.bats"
    } >"$3" 2>&1 </dev/null 8>&- 9>&- &
    running+=($!)
}

# filter_for: a pattern that only these requirements match: on standard input, one
# a line.
filter_for() {
    # shellcheck disable=SC2016 # these dollars are sed's
    sed 's/[][\.*^$()+?{}|]/\\&/g' | paste -sd '|' | sed 's/.*/^(&)$/'
}

# run_check LESSON: sets requirements, and outcome[REQUIREMENT], which is met,
# failed, "skipped, and why", or nothing if it was not reached. What bats said is
# in $here/part-N.tap.
run_check() {
    local end='' now begin=${EPOCHREALTIME/./}
    declare -gA outcome=()
    mapfile -t requirements < <(list_requirements "$1")
    start_parts "$1"
    while is_running "${running[@]}"; do
        pause
        read_outcomes "$here"/part-*.tap
        now=${EPOCHREALTIME/./}
        if [[ -z $end ]] && find_failure; then
            end=$((begin + TIME_FOR_ALL))
            ((end - now > TIME_FOR_MORE)) || end=$((now + TIME_FOR_MORE))
        fi
        [[ -z $end ]] || ((now < end)) || break
    done
    stop_tests
    read_outcomes "$here"/part-*.tap
}

# list_part LESSON PART: the requirements of a part, one a line. Those whose test
# waits for long, so has the tag `waits`, are in parts 2 to 4, in turn; the others
# are in parts 0 and 1, in turn.
list_part() {
    awk -v part="$2" '
        /^# bats test_tags=waits$/ { waits = 1 }
        /^@test "/ {
            if (waits)
                belongs_to = 2 + waiting++ % 3
            else
                belongs_to = working++ % 2
            if (belongs_to == part) print
            waits = 0
        }' "tests/exercises/$1.bats" | sed 's/^@test "\(.*\)" {$/\1/'
}

# start_parts LESSON: starts the tests of its check, in parts that run side by side.
start_parts() {
    local part names
    local -a cores
    mapfile -t cores < <(list_cores | tail -n 2)
    for part in 0 1 2 3 4; do
        names=$(list_part "$1" "$part")
        [[ -n $names ]] || continue
        # It is read before the tests in the background may have made it.
        : >"$here/part-$part.tap"
        start_tests "$1" "build/work/$1" "$here/part-$part.tap" \
            "${cores[part % ${#cores[@]}]}" \
            "$(filter_for <<<"$names")"
    done
}

# is_running PID...: at least one of them is. A zombie (state Z) has ended: some
# versions of bash forget it after a `read -t` whose time was up.
is_running() {
    local pid line
    for pid; do
        line=
        kill -0 "$pid" 2>/dev/null || continue
        read -r line 2>/dev/null <"/proc/$pid/stat" || true
        [[ $line == *") Z "* ]] || return 0
    done
    return 1
}

# pause: for two hundredths of a second, without a process.
pause() {
    read -rt 0.02 <>"$here/never" || true
}

# stop_tests: ends the tests that still run, and all that they have started.
stop_tests() {
    local pid
    for pid in "${running[@]}"; do
        kill -USR1 "$pid" 2>/dev/null || true
    done
    for pid in "${running[@]}"; do
        wait "$pid" || true
    done
    running=()
}

# read_outcomes FILE...: from what bats has said so far.
read_outcomes() {
    local line file name
    for file; do
        while IFS= read -r line; do
            name=${line#not }
            name=${name#ok * }
            case $line in
            'ok '*' # skip'*)
                name=${name% # skip*}
                outcome[$name]="skipped, ${line#* # skip }"
                ;;
            'ok '*) outcome[$name]=met ;;
            'not ok '*) outcome[$name]=failed ;;
            esac
        done <"$file"
    done
}

# find_failure: sets failure to the first requirement that is not met, if
# everything before it is known; status 1 if there is none.
find_failure() {
    local requirement
    for requirement in "${requirements[@]}"; do
        case ${outcome[$requirement]-} in
        '') return 1 ;;
        failed)
            failure=$requirement
            return 0
            ;;
        esac
    done
    return 1
}

# is_met_by_solution LESSON REQUIREMENT: our own solution passes that test here.
# If it does not, then it is the machine that lacks something.
is_met_by_solution() {
    local core
    core=$(list_cores | tail -n 1)
    build "build/solution/$1" >&2 || fail 3 "the check itself does not build"
    start_tests "$1" "build/solution/$1" "$here/solution.tap" "$core" \
        "$(filter_for <<<"$2")"
    wait "${running[@]}" || true
    running=()
    grep -q '^ok ' "$here/solution.tap"
}
