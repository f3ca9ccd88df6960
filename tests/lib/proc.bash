# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# What the kernel tells of a process in /proc. Nothing here starts a program, so a
# test can look often. common.bash loads this.

# state_of PID: sets state to its letter, such as S while it sleeps; X if it has
# gone.
state_of() {
    local line
    state=X
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
    line=${line##*) } # in front is its name, which may have blanks
    state=${line%% *}
}

# is_asleep PID: it waits for something.
is_asleep() {
    local state
    state_of "$1"
    [[ $state == S ]]
}

is_stopped() {
    local state
    state_of "$1"
    [[ $state == T ]]
}

# is_over PID: it has ended, whether somebody has asked how (it has gone) or not (it
# is a zombie).
is_over() {
    local state
    state_of "$1"
    [[ $state == [XZ] ]]
}

# are_over PID...: all of them have ended.
are_over() {
    local pid
    for pid; do
        is_over "$pid" || return
    done
}

# descriptors PID: prints how many it has open.
descriptors() {
    local -a all=("/proc/$1/fd"/*)
    echo "${#all[@]}"
}

# holds_descriptors PID COUNT: it has so many open.
holds_descriptors() {
    local -a all=("/proc/$1/fd"/*)
    ((${#all[@]} == $2))
}

# holds_at_most PID COUNT: it has so many open, or fewer.
holds_at_most() {
    local -a all=("/proc/$1/fd"/*)
    ((${#all[@]} <= $2))
}

# sockets_of PID: sets sockets to the numbers of its descriptors that are sockets.
sockets_of() {
    local file
    sockets=()
    for file in "/proc/$1/fd"/*; do
        [[ ! -S $file ]] || sockets+=("${file##*/}")
    done
}

# holds_sockets PID COUNT: it has so many open. Sets sockets, too.
holds_sockets() {
    sockets_of "$1"
    ((${#sockets[@]} == $2))
}

# flags_of PID DESCRIPTOR: sets flags to those of open(2), an octal number: O_CLOEXEC
# is 02000000, O_NONBLOCK 04000.
flags_of() {
    local key value
    flags=0
    while read -r key value; do
        [[ $key != flags: ]] || flags=$value
    done <"/proc/$1/fdinfo/$2"
}

# all_cloexec PID COUNT [PATTERN]: so many of its descriptors lead to what matches
# PATTERN, which is socket:* unless given, and all of these are close-on-exec.
all_cloexec() {
    local file flags count=0
    for file in "/proc/$1/fd"/*; do
        # shellcheck disable=SC2053 # the pattern is one
        [[ $(readlink "$file") == ${3-socket:*} ]] || continue
        flags_of "$1" "${file##*/}"
        (((8#$flags & 8#2000000) != 0)) || return
        count=$((count + 1))
    done
    ((count == $2))
}

# has_threads PID COUNT: it has so many, the first one among them.
has_threads() {
    local -a all=("/proc/$1/task"/*)
    ((${#all[@]} == $2))
}

# children_of PID: sets children to the numbers of its processes, zombies among
# them.
children_of() {
    children=()
    { read -ra children <"/proc/$1/task/$1/children"; } 2>/dev/null || true
}

# has_children PID COUNT: it has so many. Sets children, too.
has_children() {
    children_of "$1"
    ((${#children[@]} == $2))
}

# children_are_over PID: all of its children have ended.
children_are_over() {
    children_of "$1"
    are_over "${children[@]}"
}

# status_of PID KEY: prints the number that the kernel has of it under that name in
# /proc/PID/status; 0 if it has gone.
status_of() {
    local key value found=0
    while read -r key value _; do
        [[ $key != "$2:" ]] || found=$value
    done 2>/dev/null <"/proc/$1/status" || true
    echo "$found"
}

# memory PID: prints the KiB that are its own.
memory() {
    status_of "$1" RssAnon
}

# switches PID: prints how often its first thread has gone to sleep.
switches() {
    status_of "$1" voluntary_ctxt_switches
}

# times_of PID: sets ran to the nanoseconds in which its threads had a processor,
# and wanted to these and those in which, on a busy machine, they waited for one.
times_of() {
    local file has_run has_waited
    ran=0
    wanted=0
    for file in "/proc/$1/task"/*/schedstat; do
        # A thread may have ended since.
        { read -r has_run has_waited _ <"$file"; } 2>/dev/null || continue
        ran=$((ran + has_run))
        wanted=$((wanted + has_run + has_waited))
    done
}

# is_quiet PID: for 40 milliseconds it needs no processor to speak of. One that
# spins may get none on a busy machine, but it does not sleep.
is_quiet() {
    local ran wanted before
    times_of "$1"
    before=$ran
    pause_for 40
    times_of "$1"
    ((ran - before < 1000000)) && is_asleep "$1"
}
