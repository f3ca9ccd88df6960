# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# The desk on a terminal, and watch.

# stamp LESSON: changes when its answer is saved, or when another file is moved to
# its place.
stamp() {
    stat -c '%i %s %y' "work/$1.c" 2>/dev/null || true
}

# watch_lesson LESSON: checks at each save, and goes on to the next lesson after a
# pass, until q is pressed. Without a terminal, until it is told to end.
watch_lesson() {
    local key='' checked='' lesson=$1 failed=''
    put_in_place "$lesson"
    while [[ $key != q ]]; do
        if [[ $(stamp "$lesson") != "$checked" ]]; then
            checked=$(stamp "$lesson")
            clear_screen
            failed=work
            if do_action check_lesson "$lesson"; then
                failed=''
                go_on || return 0
            fi
            show_watched
        fi
        if [[ ! -t 0 ]]; then
            sleep 0.2
            continue
        fi
        trap show_watched CONT
        read_key 0.2
        trap - CONT
        case $key in
        h)
            show_hint "$lesson"
            show_watched
            ;;
        x)
            do_action show_xray || true
            show_watched
            ;;
        esac
    done
}

# show_watched: which file is watched, and the keys.
show_watched() {
    echo
    echo "watching work/$lesson.c: h hint, x X-ray, q end" | wrap
}

# go_on: watch's next lesson; status 1 if all are done.
go_on() {
    find_state
    if [[ -z $next ]]; then
        echo "All lessons that there are yet: done."
        return 1
    fi
    lesson=$next
    put_in_place "$lesson"
    checked=$(stamp "$lesson")
    echo
    echo "Next: $bold$(title_of "$lesson")$plain: work/$lesson.c" | wrap
    echo "  read   scripts/learn read ${lesson%%-*}"
}

# show_xray: of the lesson; after a check that failed, of what was checked.
show_xray() {
    scripts/xray ${failed:+work} "$lesson" | page
}

# edit_answer LESSON: in the editor that the learner has chosen.
edit_answer() {
    local editor=${VISUAL:-${EDITOR-}}
    if [[ -z $editor ]]; then
        echo "EDITOR is not set. Set it before you start the desk, for example:" | wrap
        echo "  export EDITOR=nano"
        return
    fi
    $editor "work/$1.c" # a command, perhaps with options
}

# explain_keys: what each key of the desk does.
explain_keys() {
    cat <<'END'
Enter  check your answer
e      open it in your editor
w      watch: check it at each save
h      the next hint
x      X-ray: your run that failed, or ours
l      the lesson's text
p      the questions of Predict
r      run the lesson's own program
n      go on to the next lesson
s      our solution; you are asked first
d      your answer and ours compared
q      end
END
}

# ask_predict LESSON: the questions first, and the answers when they are wanted.
ask_predict() {
    show_questions "$1"
    ! agrees_to "Show our answers?" || show_answers "$1"
}

# offer_solution LESSON: asks first, because it cannot be unseen.
offer_solution() {
    find_state
    if [[ ${state[$1]} != passed ]]; then
        agrees_to "You have not passed ${1%%-*} yet. Show the solution?" ||
            return 0
        count_asked solution "$1" >/dev/null
    fi
    page <"lessons/$1/solution.c"
}

# show_keys: the lesson, and the first keys.
show_keys() {
    printf '\n%s\n' "${lesson%%-*}: Enter check, ? all keys, q end"
}

# stay: one key, one action, on one lesson until n is pressed. After Ctrl-Z and fg,
# which sends SIGCONT, the keys are shown again: the shell has printed lines of its
# own below them.
stay() {
    local key='' failed='' lesson=${next:-${all_lessons[-1]}}
    while [[ $key != q ]]; do
        show_keys
        trap show_keys CONT
        read_key
        trap - CONT
        case $key in
        enter)
            failed=work
            if do_action check_lesson "$lesson"; then
                failed=''
                echo "n goes on to the next lesson"
            fi
            ;;
        h) show_hint "$lesson" ;;
        n)
            choose_following "$lesson"
            failed=''
            put_in_place "$lesson"
            echo "$bold$(title_of "$lesson")$plain: work/$lesson.c" | wrap
            ;;
        e) do_action edit_answer "$lesson" || true ;;
        r) do_action run_scene "$lesson" || true ;;
        l) do_action read_lesson "$lesson" || true ;;
        p) ask_predict "$lesson" ;;
        s) offer_solution "$lesson" ;;
        d) do_action compare_with_solution "$lesson" || true ;;
        w) watch_lesson "$lesson" ;;
        x) do_action show_xray || true ;;
        '?') explain_keys ;;
        many) echo "Those were several keys at once, so nothing was done." | wrap ;;
        q | nothing) ;;
        *) echo "$key is not a key of the desk; ? shows all keys" | make_visible ;;
        esac
    done
}
