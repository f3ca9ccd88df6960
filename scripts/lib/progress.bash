# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# Shows how far the learner is.

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
        edited)
            if cmp -s "work/$name.c" "lessons/$name/exercise.c"; then
                echo "$name: passed before, and is now the starter again" | wrap
            else
                echo "$name: edited since it passed; check it again" | wrap
            fi
            ;;
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
