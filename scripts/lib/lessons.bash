# shellcheck shell=bash
# Which lessons there are.

# list_lessons: the names of all lessons, one a line.
list_lessons() {
    local folder
    for folder in lessons/[0-9][0-9]-*/; do
        folder=${folder%/}
        echo "${folder##*/}"
    done
}

# find_lesson NAME: sets lesson to the full name of the lesson that NAME means: 1,
# 01 or 01-tcp-client. Status 1 if there is no such lesson.
find_lesson() {
    local folder number=$1
    [[ ! $number =~ ^[0-9]$ ]] || number=0$number
    for folder in lessons/[0-9][0-9]-*/; do
        lesson=${folder#lessons/}
        lesson=${lesson%/}
        [[ $lesson != "$1" && ${lesson%%-*} != "$number" ]] || return 0
    done
    return 1
}

# traces LESSON: its exercise is a tracer. A process has only one tracer, so what
# the X-ray traces can trace nothing.
traces() {
    [[ $1 == 36-xray ]]
}

# need_lesson NAME: the same, but ends the script if there is no such lesson.
need_lesson() {
    find_lesson "$1" ||
        fail 2 "no lesson is called $1; scripts/learn list shows them all"
}
