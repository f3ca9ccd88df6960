#!/usr/bin/env bats
# The exercise of a lesson stands in three places: in its README, in the header
# of its starter, and in the names of the tests that check it. They say the
# same. LESSON says whose.

load ../../lib/common

readme=lessons/$LESSON/README.md

# words: standard input as one line, with single blanks.
words() {
    tr -s '[:space:]' ' '
}

@test "$LESSON: its starter begins with the text of the exercise" {
    local text header
    text=$(tests/lib/exercise-text "$readme" | words)
    header=$(sed -n '/^\/\*/,/^ \*\//p' "lessons/$LESSON/exercise.c" |
        sed 's/^ \*//' | words)
    if [[ $text != *[a-z]* || $header != *"$text"* ]]; then
        echo "the header of exercise.c lacks a part of this text:" >&2
        tests/lib/exercise-text "$readme" >&2
        return 1
    fi
}

# A requirement of the README begins with "It" and the test's name.
@test "$LESSON: its requirements are the tests of its check, in their order" {
    diff <(tests/lib/exercise-text "$readme" |
        awk '/^[0-9]+\. / { print "" } { $1 = $1; printf "%s ", $0 } END { print "" }' |
        sed -nE 's/^[0-9]+\. It ([^.:]*)[.:] .*/\1/p') \
        <(sed -n 's/^@test "\(.*\)" {$/\1/p' "tests/exercises/$LESSON.bats") >&2
}
