# shellcheck shell=bash
# Sourced first by every script in scripts/, which has set script to its own
# path. Goes to the top of the checkout, and makes sure that what the caller
# has set for other programs changes nothing here.

# Functions that the caller has exported, such as a cd that prints; there are none
# of ours yet. A bats that a test of bats starts needs those of bats.
for name in $(builtin compgen -A function); do
    [[ $name == bats_* ]] || builtin unset -f "$name"
done
unset name

# Bash itself reads these when it starts, so they need a fresh bash. It always has
# the last two; what counts is whether they are exported.
if [[ -n ${BASH_ENV-} || -o posix || ${SHELLOPTS@a}${BASHOPTS@a} == *x* ]]; then
    # shellcheck disable=SC2154 # each script sets it
    exec env -u BASH_ENV -u POSIXLY_CORRECT -u SHELLOPTS -u BASHOPTS \
        bash -- "$script" "$@"
fi

# BUILD, CFLAGS and the rest of make's variables belong to the caller's own make,
# also when that make runs this script. Only CC is taken over: it says which
# compiler there is.
unset CDPATH FUNCNEST GLOBIGNORE GREP_OPTIONS
unset BUILD CFLAGS GNUMAKEFLAGS MAKEFILES MAKEFLAGS MAKELEVEL MFLAGS

cd "${script%/*}/.." || exit
# Where scripts/setup puts a bats that is newer than the system's.
newer_bats=$PWD/build/npm/node_modules/bats/bin
[[ :$PATH: == *":$newer_bats:"* ]] || PATH=$newer_bats:$PATH
script_name=${script##*/}

# fail STATUS MESSAGE
fail() {
    echo "$script_name: $2" >&2
    exit "$1"
}

# The scripts start each other, which needs a bit that a copy can lose. On a file
# system that runs no programs, the bit does not help.
if [[ ! -x scripts/setup ]]; then
    [[ -z $(find scripts/setup -perm -u+x) ]] ||
        fail 3 "no programs may be run from here: is it mounted with noexec?"
    fail 3 "the scripts may not be run: type  chmod +x scripts/*"
fi

# If it were closed, bash would report each line that it cannot print, and what is
# opened next would get its number.
{ : 3>&1; } 2>/dev/null || fail 1 "standard output is closed"

# need_proc: bash reads the output of a command as a file in /dev/fd, and that is
# in /proc. Most scripts here do so; without it they end with a sentence.
need_proc() {
    [[ -d /dev/fd/ ]] ||
        fail 3 "there is no /dev/fd, which this needs: is /proc mounted?"
}

# print_all COMMAND...: prints what COMMAND prints, when that has ended; the status
# is that of COMMAND. If it cannot be written, for example on a full disk, says so
# and ends the script.
print_all() {
    local text status
    set +e # its status says whether it has failed
    text=$(set -e && "$@")
    status=$?
    set -e
    [[ -z $text ]] || printf '%s\n' "$text" 2>/dev/null || need_written $?
    return "$status"
}

# need_written STATUS: what has printed something ended so. If it could not be
# written, ends the script: without a word if only the reader has gone (SIGPIPE).
need_written() {
    (($1 != 0)) || return 0
    (($1 != 141)) || exit 141
    fail 1 "standard output cannot be written"
}

# fail_usage [MESSAGE]: the script was called wrongly.
fail_usage() {
    [[ -z ${1-} ]] || echo "$script_name: $1" >&2
    usage >&2
    exit 2
}
