# shellcheck shell=bash disable=SC2154 # scripts/test's variables
# The jobs of scripts/test: which there are, and how they are run. A job is a file
# of tests, or FILE=LESSON for a file in tests/workbook/every-lesson, which is run
# once for each lesson.

# list_jobs_for_file FILE
list_jobs_for_file() {
    if [[ $1 == */every-lesson/* ]]; then
        list_lessons | sed "s|^|$1=|"
    else
        echo "$1"
    fi
}

# is_wanted FILE: it has something to run. What is typed by hand only HAND=1 types.
is_wanted() {
    [[ $1 != */every-lesson/hand.bats || -n ${HAND-} ]]
}

# list_jobs_for_lesson LESSON
list_jobs_for_lesson() {
    local file
    for file in "tests/lessons/$1"*.bats "tests/exercises/$1.bats"; do
        [[ ! -e $file ]] || echo "$file"
    done
    for file in tests/workbook/every-lesson/*.bats; do
        ! is_wanted "$file" || echo "$file=$1"
    done
}

# list_jobs_for NAME: one a line; NAME is a lesson, a file or a folder.
list_jobs_for() {
    local file lesson
    if [[ -d $1 ]]; then
        while IFS= read -r file; do
            ! is_wanted "$file" || list_jobs_for_file "$file"
        done < <(find "$1" -name '*.bats' | sort)
    elif [[ -f $1 && $1 == *.bats ]]; then
        list_jobs_for_file "$1"
    elif find_lesson "$1"; then
        list_jobs_for_lesson "$lesson"
    else
        echo "test: no lesson, file or folder: $1" >&2
        return 1
    fi
}

# sort_jobs: the longest first, so that no long one is left to run alone in the end.
# The tests of scripts and of make take long, and so does each wrong answer; of
# other files the number of tests counts.
sort_jobs() {
    local job weight
    while IFS= read -r job; do
        weight=$(grep -c '^@test' "${job%=*}") || true
        case $job in
        */answers.bats=*)
            weight=$((1000 + $(find "tests/wrong/${job#*=}" -type f | wc -l)))
            ;;
        tests/workbook/*.bats) weight=$((weight + 500)) ;;
        esac
        echo "$weight $job"
    done | sort -rn | cut -d' ' -f2-
}

# run_job JOB NUMBER CORE
run_job() {
    local file=${1%=*} lesson='' begin=${EPOCHREALTIME/./}
    [[ $1 != *=* ]] || lesson=${1#*=}
    stay_on "$3"
    LESSON=$lesson bats ${junit:+--timing} --formatter tap "$file" \
        >"$results/$2.tap" 2>&1 </dev/null || true
    echo "$(((${EPOCHREALTIME/./} - begin) / 100000))" >"$results/$2.took"
    echo "$1" >"$results/$2.job"
}

# starts_slowly: this machine needs more than two milliseconds to start a program.
# Some virtual machines do.
starts_slowly() {
    local true begin=${EPOCHREALTIME/./}
    true=$(type -P true)
    for _ in {1..20}; do
        "$true"
    done
    ((${EPOCHREALTIME/./} - begin > 20 * 2000))
}

# run_jobs: runs the jobs on its standard input, and reports each when it ends.
# A test waits half of its time, so a core takes three jobs. Where programs start
# slowly, it takes one, or tests would come too late for their own deadlines.
run_jobs() {
    local job number i=1
    local -a cores=() # that are free
    local -A core_of=()
    mapfile -t cores < <(list_cores)
    starts_slowly || cores+=("${cores[@]}" "${cores[@]}")
    set -m # each job is a process group, so that Ctrl-C can end all of it
    trap 'end_jobs; exit 130' INT TERM
    while IFS= read -r job; do
        while ((${#cores[@]} == 0)); do
            # A job that was killed reports nothing, but its core is free too.
            wait -n || cores+=("${core_of[$number]}")
            report_finished
        done
        printf -v number %03d "$((i++))"
        core_of[$number]=${cores[0]}
        cores=("${cores[@]:1}")
        run_job "$job" "$number" "${core_of[$number]}" &
    done
    wait
    report_finished
}

# run_failed_again: each job that failed is run again, when nothing else runs, and
# if it fails, once more. Where a machine is busy a test can come too late for its
# own deadlines; alone it does not. What failed only beside others is named, and
# counted apart.
run_failed_again() {
    local file number try
    trap 'end_jobs; exit 130' INT TERM
    for file in "$results"/*.tap; do
        if [[ ! -e ${file%.tap}.done ]] || ! has_failed "$file"; then
            continue
        fi
        mv "$file" "${file%.tap}.before"
        number=${file##*/}
        number=${number%.tap}
        for try in "again, alone" "once more, alone"; do
            run_job_alone "$(<"$results/$number.done")" "$number"
            mv "$results/$number.job" "$results/$number.done"
            report_job "$(<"$results/$number.done")" "$file" "$try: "
            has_failed "$file" || break
        done
        has_failed "$file" || alone=$((alone + 1))
    done
}

# run_job_alone JOB NUMBER: on any core.
run_job_alone() {
    run_job "$1" "$2" "$(list_cores | paste -sd ,)" &
    wait
}

# end_jobs: ends all that runs.
end_jobs() {
    local pid
    for pid in $(jobs -p); do
        kill -TERM -- "-$pid" 2>/dev/null || true
    done
}

# report_finished: reports the jobs that have ended, and frees their cores.
report_finished() {
    local file number
    for file in "$results"/*.job; do
        [[ -e $file ]] || continue
        report_job "$(<"$file")" "${file%.job}.tap"
        mv "$file" "${file%.job}.done"
        number=${file##*/}
        cores+=("${core_of[${number%.job}]}")
    done
}
