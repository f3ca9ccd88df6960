# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# Shows the report of a check: the requirement that failed, and why.

# show_failure LESSON MET: on its standard input, what bats said, both halves of
# it. Status 1, or 3 if the check itself could not be made.
show_failure() {
    local requirement report result=0
    report=$(cat)
    # Each half ends with what failed first in it: which of the two comes first?
    requirement=$(list_requirements "$1" | grep -Fxm 1 -f \
        <(sed -n 's/^not ok [0-9]* //p' <<<"$report"))
    echo "$red$no$plain $1: $2 requirements met" | wrap
    echo
    echo "${bold}It ${requirement}$plain" | wrap
    print_block "$requirement" <<<"$report" | show_block || result=$?
    ((result > 0)) || result=3
    ((result > 1)) || printf '\n%s\n' \
        "What it did: scripts/learn xray work ${1%%-*}" | wrap
    return "$result"
}

# print_block REQUIREMENT: what the test of that name says between >>> and <<<.
print_block() {
    awk -v wanted="$1" '
        /^(not )?ok /   { mine = sub(/^not ok [0-9]+ /, "") && $0 == wanted }
        /^# <<<$/       { inside = 0 }
        mine && inside  { print substr($0, 3) }
        /^# >>>$/       { inside = mine }'
}

# show_block: the lines of such a block, for a person. Status 1, or 3 if the check
# could not be made.
show_block() {
    local line tries='' said=''
    while IFS= read -r line; do
        case $line in
        'Environment: '*)
            echo "the check itself could not be made: ${line#*: }" | wrap
            return 3
            ;;
        'But: '*) echo "  But ${line#*: }." | wrap ;;
        'Ended: '*) echo "  It ${line#*: it }." | wrap ;;
        'It said: '*)
            [[ -n $said ]] || echo "  On standard error:"
            said=1
            echo "    ${line#*: }"
            ;;
        'Try: '*)
            [[ -n $tries ]] || echo "  See it by hand (each in its own terminal):" |
                wrap
            tries=1
            echo "    ${line#*: }"
            ;;
        'Hint: '*)
            echo
            echo "${bold}Hint:$plain ${line#*: }" | wrap
            ;;
        *) echo "    $line" ;;
        esac
    done
    return 1
}
