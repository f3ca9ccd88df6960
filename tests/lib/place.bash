# shellcheck shell=bash
# Where checks and certificates are made, to be quick: sourced by scripts/test,
# scripts/learn and scripts/certs.

# files_in_memory: temporary files need no disk, where memory takes them, and
# lets programs run from it.
files_in_memory() {
    local probe free=0
    [[ -z ${TMPDIR-} && -w /dev/shm ]] || return 0
    probe=$(mktemp -d /dev/shm/probe.XXXXXX 2>/dev/null) || return 0
    printf '#!/bin/sh\n' >"$probe/run"
    chmod +x "$probe/run"
    ! "$probe/run" 2>/dev/null || free=$(df -Pm /dev/shm | awk 'END { print $4 }')
    rm -r "$probe"
    ((free < 500)) || export TMPDIR=/dev/shm
}

# allowed_cores: those that this process may use, one a line; 0 if nobody knows.
allowed_cores() {
    local first last list
    list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status) || true
    while IFS=- read -r first last; do
        seq "$first" "${last:-$first}"
    done < <(tr , '\n' <<<"${list:-0}")
}

# stay_on CORE: this shell, and all that it starts. Programs that talk to each
# other then never wake another core, which on a virtual machine costs as much as
# what they do.
stay_on() {
    taskset -p -c "$1" "$BASHPID" >/dev/null 2>&1 || true
}
