# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# Shows what came out of a check.

# show_requirements: all of them, and what is known of each.
show_requirements() {
    local requirement mark note unknown
    printf -v unknown "%-${#yes}s" "$dash"
    for requirement in "${requirements[@]}"; do
        note=''
        case ${outcome[$requirement]-} in
        met) mark=$green$yes$plain ;;
        failed) mark=$red$no$plain ;;
        skipped*) mark=$unknown note=" (not checked: ${outcome[$requirement]#*, })" ;;
        *) mark=$unknown note=' (not reached)' ;;
        esac
        wrap_item "$mark" "$requirement$note"
    done
}

# show_failure LESSON: the first requirement that is not met, and why. Status 1,
# or 3 if the check itself could not be made.
show_failure() {
    local met
    if grep -q '^Environment: ' < <(print_block "$failure"); then
        print_block "$failure" | show_environment
        return 3
    fi
    if ! is_met_by_solution "$1" "$failure"; then
        rm "$here"/part-*.tap
        cp "$here/solution.tap" "$here/part-0.tap"
        echo "the check itself could not be made: on this machine our own" \
            "solution does not meet this requirement:" | wrap
        echo "  it $failure" | wrap
        print_block "$failure" | show_reason
        return 3
    fi
    met=$(count_outcomes met)
    echo "$red$no$plain $1: $met of ${#requirements[@]} requirements met" | wrap
    echo
    show_requirements
    echo
    echo "${bold}It $failure$plain" | wrap
    print_block "$failure" | show_block
    traces "$1" ||
        printf '\n%s\n' "What it did: scripts/learn xray work ${1%%-*}" | wrap
    return 1
}

# count_outcomes OUTCOME: how many requirements have it.
count_outcomes() {
    local requirement count=0
    for requirement in "${requirements[@]}"; do
        [[ ${outcome[$requirement]-} != "$1" ]] || count=$((count + 1))
    done
    echo "$count"
}

# show_pass LESSON: what this machine has no means to check is said, but not
# counted against the learner.
show_pass() {
    local requirement met
    for requirement in "${requirements[@]}"; do
        [[ ${outcome[$requirement]} != skipped* ]] ||
            echo "not checked: $requirement (${outcome[$requirement]#*, })" | wrap
    done
    met=$(count_outcomes met)
    if ((met == ${#requirements[@]})); then
        met="all $met"
    else
        met="$met of ${#requirements[@]}"
    fi
    echo "$green$yes$plain $1: $met requirements met" | wrap
}

# make_visible: control characters as \x1b and the like, because the terminal
# would obey them. Very long lines are cut.
make_visible() {
    LC_ALL=C awk '
        BEGIN {
            for (i = 1; i < 32; i++)
                if (i != 9) shown[sprintf("%c", i)] = sprintf("\\x%02x", i)
            shown[sprintf("%c", 127)] = "\\x7f"
            # In UTF-8, 128 to 159 are control characters, too.
            for (i = 128; i < 160; i++)
                shown[sprintf("%c%c", 194, i)] = sprintf("\\x%02x", i)
        }
        {
            line = length($0) > 1000 ? substr($0, 1, 1000) "..." : $0
            if (line ~ /[\001-\010\013-\037\177]|\302[\200-\237]/)
                for (c in shown)
                    while ((at = index(line, c)) > 0)
                        line = substr(line, 1, at - 1) shown[c] \
                            substr(line, at + length(c))
            print line
        }'
}

# print_block REQUIREMENT: what the test of that name said between >>> and <<<.
print_block() {
    cat "$here"/part-*.tap | awk -v wanted="$1" '
        /^(not )?ok /   { mine = sub(/^not ok [0-9]+ /, "") && $0 == wanted }
        /^# <<<$/       { inside = 0 }
        mine && inside  { print substr($0, 3) }
        /^# >>>$/       { inside = mine }' | make_visible
}

# show_block: the lines of such a block, for a person.
show_block() {
    local line tries='' said='' by_hand='See it by hand'
    local -a lines
    mapfile -t lines
    (($(printf '%s\n' "${lines[@]}" | grep -c '^Try: ') < 2)) ||
        by_hand+=' (each in its own terminal)'
    for line in "${lines[@]}"; do
        case $line in
        'But: '*) echo "  But ${line#*: }." | wrap ;;
        'Ended: '*) echo "  It ${line#*: it }." | wrap ;;
        'It said: '*)
            [[ -n $said ]] || echo "  On standard error:"
            said=1
            echo "    ${line#*: }"
            ;;
        'Try: '*)
            [[ -n $tries ]] || echo "  $by_hand:" | wrap
            tries=1
            echo "    ${line#*: }"
            ;;
        'Hint:') ;;
        'Hint: '*)
            echo
            echo "${bold}Hint:$plain ${line#*: }" | wrap
            ;;
        *) echo "    $line" ;;
        esac
    done
}

# show_reason: of such a block, only what happened.
show_reason() {
    grep -v -e '^Hint:' -e '^Try: ' | show_block
}

# show_environment: what the test itself says about the machine.
show_environment() {
    sed -n 's/^Environment: /the check itself could not be made: /p' | wrap
}
