# shellcheck shell=bash
# Where checks and certificates are made, so that they are made quickly, and which
# python3 is run.

# may_run_in FOLDER: programs may be run from there. Where none can be made, that
# is for others to say.
may_run_in() {
    local probe status=0
    probe=$(mktemp "$1/probe.XXXXXX" 2>/dev/null) || return 0
    printf '#!/bin/sh\n' >"$probe"
    chmod +x "$probe"
    "$probe" 2>/dev/null || status=$?
    rm -f "$probe"
    return "$status"
}

# put_files_in_memory: temporary files go to /dev/shm, if it has room and if
# programs may run from it. TMPDIR of the caller is kept.
put_files_in_memory() {
    local free=0
    [[ -z ${TMPDIR-} && -w /dev/shm ]] || return 0
    ! may_run_in /dev/shm || free=$(df -Pm /dev/shm | awk 'END { print $4 }')
    ((free < 500)) || export TMPDIR=/dev/shm
}

# make_temporary_folder: sets here to the path of a new folder. Ends the script if
# a million bytes cannot be written there: an answer would be blamed for that.
make_temporary_folder() {
    here=$(mktemp -d 2>/dev/null) &&
        printf '%1048576s' '' 2>/dev/null >"$here/room" && rm "$here/room" && return
    [[ -z $here ]] || rm -rf "$here"
    fail_without_room 3
}

# fail_without_room STATUS: ends the script so, because files cannot be written.
fail_without_room() {
    fail "$1" "no room for temporary files in ${TMPDIR:-/tmp}: set TMPDIR to a folder \
that can be written"
}

# need_room: ends the script with status 1 if nothing can be written to $here any
# more. That explains why something has failed.
need_room() {
    { printf '%8192s' '' >"$here/room"; } 2>/dev/null || fail_without_room 1
    rm "$here/room"
}

# list_cores: the numbers of the cores that this process may use, one a line; 0
# if the kernel does not say.
list_cores() {
    local first last list
    list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status) || true
    while IFS=- read -r first last; do
        seq "$first" "${last:-$first}"
    done < <(tr , '\n' <<<"${list:-0}")
}

# stay_on CORE: this shell and everything that it starts use that core only.
# Programs that talk to each other then never have to wake another core, which
# on a virtual machine takes as long as what they do.
stay_on() {
    taskset -p -c "$1" "$BASHPID" >/dev/null 2>&1 || true
}

# prefer_python_itself: a python3 that is a script, such as pyenv's, takes twice as
# long to start as the program that it starts.
prefer_python_itself() {
    local python3
    python3=$(command -v python3) && cmp -s -n 2 "$python3" - <<<'#!' || return 0
    python3=$(python3 -c 'import sys; print(sys.executable)') || return 0
    PATH=${python3%/*}:$PATH
}
