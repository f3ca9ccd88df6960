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

# read_lesson LESSON: the answers to its questions and its hints stay folded.
read_lesson() {
    awk '/<details>/   { sub(/.*<summary>/, ""); sub(/<\/summary>.*/, "")
                         print "[" $0 ": folded]"; folded = 1 }
         !folded
         /<\/details>/ { folded = 0 }' "lessons/$1/README.md" |
        page
}

# show_progress: how many lessons are done, and which one is next.
show_progress() {
    local i width=$((columns < 60 ? 10 : 30)) bar=''
    find_state
    for ((i = 0; i < width; i++)); do
        if ((i * ${#all_lessons[@]} < done_count * width)); then
            bar+=$full
        else
            bar+=$empty
        fi
    done
    echo "${bold}Sockets from the Bottom Up$plain"
    echo "$green$bar$plain $done_count of ${#all_lessons[@]} lessons done"
    show_stale
    echo
    if [[ -z $next ]]; then
        echo "All lessons that there are yet: done."
        return
    fi
    put_in_place "$next"
    {
        echo "Next: $bold$(title_of "$next")$plain"
        echo "Its idea: $(idea_of "$next")."
    } | wrap
    echo "  read   scripts/learn read ${next%%-*}"
    echo "  edit   work/$next.c"
    echo "  check  scripts/learn check ${next%%-*}"
}

# show_stale: the lessons that were passed and should be checked again.
show_stale() {
    local name
    for name in "${all_lessons[@]}"; do
        case ${state[$name]} in
        edited) echo "$name: edited since it passed; check it again" | wrap ;;
        newer) echo "$name: its check got better; check it again" | wrap ;;
        esac
    done
}

# show_list: all lessons, with what became of each.
show_list() {
    local name mark
    find_state
    for name in "${all_lessons[@]}"; do
        case ${state[$name]} in
        passed) mark=$green$yes$plain ;;
        edited | newer) mark='?' ;;
        started) mark=$dash ;;
        *) mark=' ' ;;
        esac
        printf '%s %s\n' "$mark" "$(title_of "$name")"
    done
    echo
    echo "$yes passed  ? check again  $dash started"
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
    if [[ ${state[$1]} != passed ]] && (($(count_asked solution "$1") < 2)); then
        echo "You have not passed it yet. Ask once more, and it is yours." | wrap
        return 1
    fi
    cat "lessons/$1/solution.c"
}
