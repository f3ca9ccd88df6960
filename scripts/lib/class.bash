# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# All answers at once, for a teacher: in words, or as JSON.

# check_all [--json]: every answer in work/. Status 0 if each one that was begun
# passes, 1 if one does not, 3 if a check could not be made.
check_all() {
    local name state result worst=0 passed=0 begun=0 separator='['
    local outcomes_file said here
    local -a names
    [[ -d work || (! -e work && ! -L work) ]] || fail 3 "work/ is not a folder"
    make_temporary_folder
    outcomes_file=$here/outcomes
    said=$here/said
    mapfile -t names < <(list_lessons)
    for name in "${names[@]}"; do
        result=0
        : >"$outcomes_file"
        if [[ ! -e work/$name.c && ! -L work/$name.c ]]; then
            state=absent
        elif [[ -f work/$name.c ]] && cmp -s "work/$name.c" "lessons/$name/exercise.c"; then
            state=starter
        else
            begun=$((begun + 1))
            do_action check_lesson "$name" >"$said" 2>&1 || result=$?
            ((result < 130)) || exit "$result"
            ((result <= worst)) || worst=$result
            case $result in
            0) state=passed && passed=$((passed + 1)) ;;
            1) state=failed ;;
            *) state=unchecked ;;
            esac
        fi
        if [[ ${1-} ]]; then
            printf '%s' "$separator"
            print_json "$name" "$state" <"$outcomes_file"
            separator=$',\n '
        else
            print_words "$name" "$state"
        fi
    done
    rm -r "$here"
    if [[ ${1-} ]]; then
        echo ']'
    else
        echo
        echo "$passed of $begun answers pass"
    fi
    return "$worst"
}

# print_words LESSON STATE: what the check said in the first place.
print_words() {
    case $2 in
    absent) wrap_item "$dash" "$1: no answer" "${#dash}" ;;
    starter) wrap_item "$dash" "$1: not begun" "${#dash}" ;;
    failed)
        grep -E "^.*$no.* ${1}: |does not compile$|^.*It |^learn: " "$said" | head -n 2 |
            sed 's/^/  /'
        ;;
    *) sed 's/^/  /' "$said" ;;
    esac
}

# print_json LESSON STATE: an object; on standard input, the requirements that were
# looked at, each with its state before it. What has not been compiled has none.
print_json() {
    awk -F '\t' -v lesson="$1" -v state="$2" '
        function quoted(text) {
            gsub(/\\/, "\\\\", text)
            gsub(/"/, "\\\"", text)
            return "\"" text "\""
        }
        {
            if ($1 == "met") met++
            list = list (NR > 1 ? ", " : "") "{\"name\": " quoted($2) \
                ", \"state\": " quoted($1) "}"
        }
        END {
            printf "{\"lesson\": %s, \"state\": %s, \"met\": %d, \"of\": %d, " \
                "\"requirements\": [%s]}", quoted(lesson), quoted(state), met,
                NR, list
        }'
}

# print_outcomes: what print_json reads.
print_outcomes() {
    local requirement state
    for requirement in "${requirements[@]}"; do
        case ${outcome[$requirement]-} in
        '') state='not reached' ;;
        skipped*) state='not checked' ;;
        *) state=${outcome[$requirement]} ;;
        esac
        printf '%s\t%s\n' "$state" "$requirement"
    done
}
