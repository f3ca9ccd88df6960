# shellcheck shell=bash disable=SC2034,SC2154 # the desk's files share variables
# One key at a time from the terminal.

# read_key [SECONDS]: sets key to the next one: a character, enter, many or
# nothing. many is what arrives faster than a person types: text that was pasted,
# or that was typed while nobody read it. nothing is a key that sends several
# characters, as the arrows do; or no key within SECONDS. At the end of the input
# key is q. Without SECONDS it waits; but it looks again each second, because after
# Ctrl-Z and fg the terminal has to be told again that single keys are wanted.
# shellcheck disable=SC2120 # watch passes an argument
read_key() {
    local status more='' next
    while true; do
        status=0
        IFS= read -rsn1 -d '' -t "${1-1}" key || status=$?
        # A key that comes when the time is just up is in key all the same.
        if [[ $key ]] || ((status <= 128)); then
            break
        fi
        if [[ ${1-} ]]; then
            key=nothing
            return
        fi
    done
    if [[ -z $key ]]; then
        # A NUL leaves key empty, too.
        key=nothing
        ((status == 0)) || key=q
        return
    fi
    while IFS= read -rsn1 -d '' -t 0.02 next; do
        more+=$next
    done
    case $key in
    $'\e') key=nothing ;;
    $'\n' | $'\r') key=enter ;;
    $'\4') key=q ;;
    esac
    if [[ $more && $key != nothing ]]; then
        key=many
    fi
}

# agrees_to QUESTION: the next key is y.
agrees_to() {
    local key
    echo "$1 (y/n)" | wrap
    # shellcheck disable=SC2119
    read_key
    [[ $key == y ]]
}

# do_action COMMAND...: Ctrl-C ends the command, and not the desk.
do_action() {
    local status=0
    trap : INT
    (
        trap 'exit 130' INT
        "$@"
    ) || status=$?
    trap 'exit 130' INT
    return "$status"
}
