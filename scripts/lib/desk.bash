# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# The desk on a terminal, and watch.

# stamp LESSON: changes when its answer is saved, or when another file is moved to
# its place.
stamp() {
    stat -c '%i %s %y' "work/$1.c" 2>/dev/null || true
}

# watch_lesson LESSON: checks at each save, until a key is pressed.
watch_lesson() {
    local now checked=''
    put_in_place "$1"
    while true; do
        now=$(stamp "$1")
        if [[ $now && $now != "$checked" ]]; then
            checked=$now
            echo
            check_lesson "$1" || true
            echo "(watching work/$1.c; any key ends that)" | wrap
        fi
        if [[ -t 0 ]]; then
            ! read -rsn1 -t 0.2 || break
        else
            sleep 0.2
        fi
    done
}

# stay: one key, one action, on one lesson until n is pressed.
stay() {
    local key prompt failed='' lesson=${next:-${all_lessons[-1]}}
    while true; do
        prompt=$(echo "${lesson%%-*}: Enter check  h hint  n next  r run" \
            " l lesson  s solution  w watch  x X-ray  q end" | wrap)
        # read prints it, because some terminals send a key as soon as they see it.
        read -rsn1 -p $'\n'"$prompt"$'\n' key || break
        case $key in
        '')
            failed=work
            ! check_lesson "$lesson" || { failed='' && echo "n goes on to the next one"; }
            ;;
        h) show_hint "$lesson" ;;
        n)
            choose_following "$lesson"
            failed=''
            put_in_place "$lesson"
            echo "$bold$(title_of "$lesson")$plain: work/$lesson.c" | wrap
            ;;
        r) run_scene "$lesson" || true ;;
        l) read_lesson "$lesson" ;;
        s) show_solution "$lesson" || true ;;
        w) watch_lesson "$lesson" ;;
        # After a check that failed, of what was checked.
        x) scripts/xray ${failed:+work} "$lesson" || true ;;
        q | $'\4') break ;;
        esac
    done
}
