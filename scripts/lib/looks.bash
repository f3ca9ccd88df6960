# shellcheck shell=bash disable=SC2034 # the scripts that source it use these
# How the desk's words look: colours and marks, and lines that fit.

bold='' red='' green='' plain='' yes='ok' no='no' dash='-' full='#' empty='.'

# set_looks: sets columns to the width of the terminal, and the colours and marks
# to what the terminal can show.
set_looks() {
    columns=${COLUMNS-}
    [[ -n $columns || ! -t 1 ]] || columns=$(tput cols 2>/dev/null || true)
    [[ $columns =~ ^[1-9][0-9]*$ ]] || columns=80
    ((columns >= 20)) || columns=20
    if [[ -t 1 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
        bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
    fi
    case ${LC_ALL:-${LC_CTYPE:-${LANG-}}} in
    *[uU][tT][fF]*) yes='✓' no='✗' dash='·' full='█' empty='░' ;;
    esac
}

# wrap: breaks its input into lines as wide as the terminal, at most 80 columns.
wrap() {
    fold -s -w $((columns < 80 ? columns : 80)) | sed 's/ *$//'
}

# wrap_item MARK TEXT [WIDTH]: TEXT behind MARK, in lines that fit, one below the
# other. MARK is as wide as $yes, or as WIDTH says.
wrap_item() {
    local line mark=$1
    while IFS= read -r line; do
        printf '  %s %s\n' "$mark" "${line% }"
        printf -v mark "%${3-${#yes}}s" ''
    done < <(fold -s -w $((columns < 80 ? columns - 6 : 74)) <<<"$2")
}

# page: shows its input; on a terminal one screenful at a time.
page() {
    local program=${PAGER:-less}
    type "${program%% *}" >/dev/null 2>&1 || program='more'
    [[ -t 1 ]] || program='cat'
    # less shows colours, and ends by itself if all fits on one screen.
    LESS=${LESS-FRX} $program
}


# show_busy TEXT: on a terminal, until hide_busy; nothing goes into a file.
show_busy() {
    [[ ! -t 2 || ${TERM-dumb} == dumb ]] || printf '%s ...' "$1" >&2
}

# hide_busy: clears that line.
hide_busy() {
    [[ ! -t 2 || ${TERM-dumb} == dumb ]] || printf '\r\e[K' >&2
}

# clear_screen: on a terminal.
clear_screen() {
    [[ ! -t 1 || ${TERM-dumb} == dumb ]] || printf '\e[H\e[2J'
}
