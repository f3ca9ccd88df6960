# shellcheck shell=bash
# The learner's answers, in work/: nothing there is ever deleted.

# put_in_place LESSON: its starter into work/, unless an answer is there.
put_in_place() {
    mkdir -p work
    [[ -e work/$1.c ]] || cp "lessons/$1/exercise.c" "work/$1.c"
}

# start_lesson LESSON
start_lesson() {
    if [[ -e work/$1.c ]]; then
        echo "work/$1.c is there already; scripts/learn reset ${1%%-*}" \
            "begins again" | wrap
    else
        put_in_place "$1"
        echo "work/$1.c is yours now"
    fi
}

# reset_lesson LESSON: the old answer is kept, with a number behind its name.
reset_lesson() {
    local n=1
    if [[ -e work/$1.c ]]; then
        while [[ -e work/$1.c.$n ]]; do
            n=$((n + 1))
        done
        mv "work/$1.c" "work/$1.c.$n"
        echo "your old answer is work/$1.c.$n"
    fi
    put_in_place "$1"
    echo "work/$1.c is as it was in the beginning"
}
