# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# What the desk shows of a lesson's text, and of the progress through all of them.

# title_of LESSON
title_of() {
    sed -n '1s/^# //p' "lessons/$1/README.md"
}

# idea_of LESSON: its one idea, which stands in the table of the README.
idea_of() {
    awk -F ' *[|] *' -v link="lessons/$1/" \
        'index($2, link) { print $4; exit }' README.md
}

# text_of_hint LESSON N
text_of_hint() {
    awk -v start="<details><summary>Hint $2" '
        index($0, start) { inside = 1; next }
        inside && /^<\/details>/ { exit }
        inside && (NF || begun) { begun = 1; print }
    ' "lessons/$1/README.md"
}

# print_section LESSON NAME: the lines of that section of its text.
print_section() {
    awk -v start="## $2" '
        /^## / { inside = $0 == start; next }
        inside' "lessons/$1/README.md"
}

# fold_details NUMBER: hides what the text of that lesson has folded, but for its
# title and the command that shows it.
fold_details() {
    awk -v number="$1" '
         /<details>/   { sub(/.*<summary>/, ""); sub(/<\/summary>.*/, "")
                         verb = /^Hint/ ? "hint" : "predict"
                         print "[" $0 ": scripts/learn " verb " " number "]"
                         folded = 1 }
         !folded
         /<\/details>/ { folded = 0 }'
}

# print_plain: Markdown as plain text. What is in a block of code stays as it is, and
# so do the backquotes around words of a program: they say where these end.
print_plain() {
    awk -v bold="$bold" -v plain="$plain" '
        /^```/ { code = !code; next }
        code { print; next }
        {
            sub(/<details><summary>/, "[")
            sub(/<\/summary>/, "]")
            if (/^<\/details>$/) next
            while (match($0, /!?\[[^]]*\]\([^)]*\)/)) {
                link = substr($0, RSTART, RLENGTH)
                text = link
                sub(/^!?\[/, "", text)
                sub(/\]\(.*/, "", text)
                $0 = substr($0, 1, RSTART - 1) text substr($0, RSTART + RLENGTH)
            }
            gsub(/!\[/, "[")
            gsub(/\]\([^)]*\)/, "]")
            gsub(/\*\*/, "")
            if (sub(/^#+ /, "")) $0 = bold $0 plain
            print
        }'
}

# read_lesson LESSON: the answers to its questions and its hints stay folded.
read_lesson() {
    fold_details "${1%%-*}" <"lessons/$1/README.md" | print_plain | page
}

# show_questions LESSON: those of Predict.
show_questions() {
    print_section "$1" Predict | awk '/<details>/ { folded = 1 } !folded' |
        print_plain | wrap
}

# show_answers LESSON: our answers to them.
show_answers() {
    print_section "$1" Predict | awk '/<details>/ { inside = 1 } inside' |
        print_plain | wrap
}

# show_prediction LESSON: both.
show_prediction() {
    show_questions "$1"
    show_answers "$1"
}

# show_exercise LESSON: what it asks for, and where that is written.
show_exercise() {
    {
        echo "${bold}The exercise of ${1%%-*}$plain"
        print_section "$1" Exercise | awk '/<details>/ { folded = 1 }
            folded { next }
            NF || filled { print }
            { filled = NF }' | print_plain
        echo "It is at the end of lessons/$1/README.md; scripts/learn read" \
            "${1%%-*} shows the whole lesson."
    } | wrap
}

# find_words WORDS: where the lessons tell of a call, an error or a message. Status
# 1 if none does. An error is looked for by its name and by its words.
find_words() {
    local lesson found line
    local -a patterns=("$1")
    mapfile -t -O 1 patterns < <(awk -v words="$1" '
        /^#/ { next }
        { name = $1; sub(/^[A-Z0-9]+ +/, "") }
        tolower(words) == tolower(name) { print $0 }
        tolower(words) == tolower($0) { print name }' tests/torture/reasons)
    [[ $1 != *[a-z]s ]] || patterns+=("${1%s}") # perhaps a plural
    # A write that nobody reads ends the program before it can say EPIPE.
    [[ " ${patterns[*]} " != *" EPIPE "* ]] || patterns+=(SIGPIPE)
    found=$(list_lessons | while read -r lesson; do
        printf '%s\n' "${patterns[@]}" |
            awk -f scripts/lib/find.awk - "lessons/$lesson/README.md" |
            print_plain
    done)
    if [[ -z $found ]]; then
        echo "no lesson tells of: $1" | wrap
        return 1
    fi
    while IFS= read -r line; do
        if [[ $line == "  "* ]]; then
            wrap_item '' "${line#  }" 0
        else
            echo "$bold$line$plain" | wrap
        fi
    done <<<"$found"
}

# show_hint LESSON: the next one of its three.
show_hint() {
    local asked n text
    asked=$(count_asked hint "$1")
    n=$(((asked - 1) % 3 + 1))
    text=$(text_of_hint "$1" "$n")
    echo "${bold}Hint $n of 3$plain"
    wrap <<<"$text"
}

# show_solution LESSON: before it is passed, only when asked for a second time.
show_solution() {
    find_state
    if [[ ${state[$1]} != passed ]] &&
        (($(count_asked solution "$1") < 2)) && can_remember; then
        echo "You have not passed it yet. Ask once more, and it is yours." | wrap
        return 1
    fi
    cat "lessons/$1/solution.c"
}

# compare_with_solution LESSON: your answer and ours, once yours has passed.
compare_with_solution() {
    local difference status=0
    find_state
    if [[ ${state[$1]} != passed ]]; then
        echo "You have not passed it yet: scripts/learn check ${1%%-*}" | wrap
        return 1
    fi
    difference=$(diff -u "work/$1.c" "lessons/$1/solution.c") || status=$?
    page <<<"${difference:-no difference}"
    ((status < 2))
}
