# shellcheck shell=bash disable=SC2034,SC2154 # the desk's files share variables
# What the desk remembers in work/. The file .passed has a line for each lesson
# that was passed: its name, and the fingerprints of the answer and of its check.
# The file .asked has a line for each hint and each solution that was shown.

# find_state: sets all_lessons, done_count, next (the first lesson that is not
# done) and state[LESSON], which is passed, edited (since it passed), newer (its
# check has changed since), started or empty.
find_state() {
    local name answer check sum file
    declare -gA state=() sums=()
    local -A passed=()
    done_count=0 next=''
    mapfile -t all_lessons < <(list_lessons)
    shopt -s nullglob
    local -a files=(tests/exercises/[0-9]*.bats)
    for file in work/[0-9]*.c; do
        [[ ! -f $file ]] || files+=("$file")
    done
    shopt -u nullglob
    while read -r sum file; do
        sums[$file]=${sum:0:16}
    done < <(sha256sum -- "${files[@]}" 2>/dev/null)
    if [[ -e work/.passed ]]; then
        while read -r name answer check; do
            passed[$name]="$answer $check"
        done <work/.passed
    fi
    for name in "${all_lessons[@]}"; do
        answer=${sums[work/$name.c]-}
        check=${sums[tests/exercises/$name.bats]-}
        case ${passed[$name]-} in
        '') state[$name]=${answer:+started} ;;
        "$answer $check") state[$name]=passed ;;
        "$answer "*) state[$name]=newer ;;
        *) state[$name]=edited ;;
        esac
        if [[ -n ${passed[$name]-} ]]; then
            done_count=$((done_count + 1))
        elif [[ -z $next ]]; then
            next=$name
        fi
    done
}

# choose_lesson [NAME]: sets lesson to the one named; without a name to the next
# one to do, or to the last if all are done.
choose_lesson() {
    if [[ -n ${1-} ]]; then
        need_lesson "$1"
    else
        find_state
        lesson=${next:-${all_lessons[-1]}}
    fi
}

# choose_following LESSON: sets lesson to the one after it; after the last one, to
# the first.
choose_following() {
    local i
    for i in "${!all_lessons[@]}"; do
        [[ ${all_lessons[i]} != "$1" ]] || break
    done
    lesson=${all_lessons[(i + 1) % ${#all_lessons[@]}]}
}

# can_remember: can anything be written to work/?
can_remember() {
    { mkdir -p work && : >>work/.lock; } 2>/dev/null
}

# record_pass LESSON ANSWER CHECK: the last two are fingerprints. Status 1 if it
# could not be written; then the record is as it was.
record_pass() {
    local others=''
    can_remember || return 1
    {
        hold_lock 9
        if [[ -e work/.passed ]]; then
            others=$(awk -v name="$1" '$1 != name' work/.passed) || return 1
        fi
        replace_file work/.passed "${others:+$others$'\n'}$1 $2 $3"
    } 9>>work/.lock
}

# count_asked WHAT LESSON: remembers that WHAT of LESSON was asked for, and prints
# how often that is now.
count_asked() {
    local before='' count
    if ! can_remember; then
        echo "learn: work/ cannot be written, so this is not remembered" >&2
        [[ ! -r work/.asked ]] || count=$(grep -cx "$1 $2" work/.asked) || true
        echo $((${count:-0} + 1))
        return
    fi
    {
        hold_lock 9
        [[ ! -e work/.asked ]] || before=$(<work/.asked)
        count=$(grep -cx "$1 $2" <<<"$before") || true
        replace_file work/.asked "${before:+$before$'\n'}$1 $2" ||
            echo "learn: work/.asked could not be written" >&2
    } 9>>work/.lock
    echo $((count + 1))
}
