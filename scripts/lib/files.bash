# shellcheck shell=bash
# Files that must never be lost or half written, and builds that must not disturb
# each other.

# hold_lock DESCRIPTOR: waits until no other process holds the lock on the file
# that is open there. Whoever inherits the descriptor holds the lock, too. On a
# machine without flock(1) there is no lock.
hold_lock() {
    ! command -v flock >/dev/null || flock "$1"
}

# replace_file FILE TEXT: afterwards FILE has TEXT and a newline. If anything goes
# wrong, FILE is as it was before, and the status is 1.
replace_file() {
    local new
    new=$(mktemp "$1.XXXXXX" 2>/dev/null) || return 1
    if printf '%s\n' "$2" >"$new" && [[ $(<"$new") == "$2" ]] &&
        chmod 644 "$new" && mv "$new" "$1"; then
        return 0
    fi
    rm -f "$new"
    return 1
}

# copy_file FROM TO: TO is all of FROM, unless it was there already. If anything
# goes wrong, the status is 1, and TO is not there.
copy_file() {
    local new
    [[ ! -e $2 ]] || return 0
    new=$(mktemp "$2.XXXXXX" 2>/dev/null) || return 1
    if cp "$1" "$new" && cmp "$1" "$new" && chmod 644 "$new" &&
        mv -n "$new" "$2"; then
        rm -f "$new" # if somebody else has put TO there meanwhile
        return 0
    fi
    rm -f "$new"
    return 1
}

# need_file FILE: ends the script if FILE is something else, such as a folder, or a
# pipe, on which a reader would wait for ever.
need_file() {
    [[ ! -d $1 ]] || fail 1 "$1 is a folder, not a file"
    [[ ! -e $1 || -f $1 ]] || fail 1 "$1 is a pipe or a device, not a file"
}

# fingerprint FILE: prints it; nothing if there is no such file.
fingerprint() {
    local sum
    [[ -f $1 ]] || return 0
    sum=$(sha256sum -- "$1" 2>/dev/null) || return 0
    echo "${sum:0:16}"
}

# announce_build: if nothing is built yet, says how long that takes, but only once.
announce_build() {
    [[ ! -e build/flags && -z ${announced-} ]] || return 0
    announced=yes
    echo "${script_name-make}: building everything, once: about ten seconds" >&2
}

# need_build_folder: ends the script where nothing can be built, for example
# because somebody has called make as root.
need_build_folder() {
    { mkdir -p build/work && : >>build/lock && [[ -w build/work ]]; } 2>/dev/null ||
        fail 3 "build/ cannot be written: is it another user's, or read-only?"
    may_run_in build/work ||
        fail 3 "programs in build/ may not be run: is it mounted with noexec?"
}

# build TARGET...: as make does, but not while another script builds.
build() {
    announce_build
    mkdir -p build
    {
        hold_lock 8
        make --silent "$@" 8>&-
    } 8>>build/lock
}
