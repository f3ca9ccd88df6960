# shellcheck shell=bash
# The learner's answers, in work/: nothing there is ever deleted.

# need_work_folder LESSON: ends the desk if no answer can be put into work/.
need_work_folder() {
    mkdir -p work 2>/dev/null || fail 3 "the folder work/ cannot be made"
    [[ -e work/$1.c || ! -L work/$1.c ]] ||
        fail 3 "work/$1.c is a link to a file that is not there"
}

# put_in_place LESSON: its starter into work/, unless an answer is there.
put_in_place() {
    need_work_folder "$1"
    need_file "work/$1.c"
    copy_file "lessons/$1/exercise.c" "work/$1.c" ||
        fail 3 "work/$1.c could not be written"
}

# start_lesson LESSON
start_lesson() {
    need_file "work/$1.c"
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
    need_work_folder "$1"
    # The starter is written before the answer is moved away.
    rm -f "work/$1.c.new"
    copy_file "lessons/$1/exercise.c" "work/$1.c.new" ||
        fail 3 "work/$1.c.new could not be written"
    if [[ -e work/$1.c ]]; then
        while [[ -e work/$1.c.$n ]]; do
            n=$((n + 1))
        done
        mv -n "work/$1.c" "work/$1.c.$n"
        echo "your old answer is work/$1.c.$n"
    fi
    mv -n "work/$1.c.new" "work/$1.c"
    echo "work/$1.c is as it was in the beginning"
}
