# shellcheck shell=bash disable=SC2034,SC2154 # the desk's files share variables
# Checks an answer: builds it, runs its tests, and shows what came out.

# build_answer LESSON: builds it from the bytes that work/LESSON.c has now, and
# sets answer to their fingerprint. make looks only at times, which tell nothing
# about a file that was moved there. Status 1 if it does not compile.
build_answer() {
    local program=build/work/$1 said='' status
    type cc make >/dev/null ||
        fail 3 "nothing can be checked without a compiler and make"
    command -v bats >/dev/null || fail 3 "nothing can be checked without bats"
    ! is_old_bats || fail 3 "nothing can be checked with $(bats --version): 1.7 is needed"
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
    [[ -z $said ]] || hide_busy
    [[ -z $said ]] || sed '/^make.*Error/d; / -std=/d' <<<"$said"
    if ((status == 0)); then
        echo "$answer" >"$program.made"
        return 0
    fi
    build tools "build/solution/$1" >&2 ||
        fail 3 "the check itself does not build"
    hide_busy
    [[ $said != *"Too many open files"* ]] ||
        fail 3 "the check itself could not be made: too few descriptors are allowed: ulimit -n"
    echo "$red$no$plain work/$1.c does not compile" | wrap
    return 1
}

# check_lesson LESSON: status 0 if it passes, 1 if not. Checks of one lesson take
# turns, because they have one program.
check_lesson() {
    put_in_place "$1"
    if cmp -s "work/$1.c" "lessons/$1/exercise.c"; then
        echo "work/$1.c is still the starter, so there is nothing to check." | wrap
        echo
        show_exercise "$1"
        return 1
    fi
    need_build_folder
    announce_build
    {
        hold_lock 9
        check_answer "$1"
    } 9>>"build/work/$1.lock"
}

# check_answer LESSON: what check_lesson does.
check_answer() {
    local name=$1 answer check failure='' here result=0
    local -a requirements running=()
    show_busy "checking ${name%%-*}"
    put_files_in_memory
    make_temporary_folder
    trap clean_up_check EXIT
    if ! build_answer "$name"; then
        clean_up_check
        trap - EXIT
        return 1
    fi
    check=$(fingerprint "tests/exercises/$name.bats")
    mkfifo "$here/never"
    run_check "$name"
    hide_busy
    [[ -z ${outcomes_file-} ]] || print_outcomes >"$outcomes_file"
    judge_answer "$name" || result=$?
    clean_up_check
    trap - EXIT
    return "$result"
}

# clean_up_check: nothing that belongs to the check is left.
clean_up_check() {
    stop_tests
    rm -rf "$here"
}

# judge_answer LESSON: says what came out.
judge_answer() {
    if [[ $(fingerprint "work/$1.c") != "$answer" ]]; then
        echo "work/$1.c has changed during its check: check it again" | wrap
        return 1
    fi
    if find_failure; then
        show_failure "$1"
        return
    fi
    if (($(count_outcomes '') > 0)); then
        cat "$here"/part-*.tap | make_visible >&2
        fail 3 "the check itself could not be made"
    fi
    if (($(count_outcomes met) == 0)); then # so nothing is known of the answer
        fail 3 "nothing can be checked on this machine: ${outcome[${requirements[0]}]#*, }"
    fi
    show_pass "$1"
    record_pass "$1" "$answer" "$check" ||
        fail 3 "it passed, but work/.passed could not be written"
}
