# shellcheck shell=bash disable=SC2034,SC2154 # scripts/setup's variables
# Whether a tool that scripts/setup looks for is there, and works.

# have NAME: is what that line of needs is about there? Asking the compiler takes
# longer than all the rest of this script, so we look for the headers first.
have() {
    if [[ $1 != openssl-headers ]]; then
        command -v "$1" >/dev/null
    elif [[ ! -e /usr/include/openssl/ssl.h ]]; then
        echo '#include <openssl/ssl.h>' | cc -E - >/dev/null 2>&1
    fi
}

# works NAME: does what is there end well when it is called? Sets asked to what was
# called. is_old_bats has asked bats already. Headers cannot be called, and
# busybox's patch and pgrep do not say their versions.
works() {
    asked="$1 --version"
    case $1 in
    openssl-headers | patch | pgrep) return 0 ;;
    bats) return "$bats_status" ;;
    openssl) asked="openssl version" ;;
    esac
    # shellcheck disable=SC2086 # a command and its argument
    # Whatever TMPDIR is: the script that asks says so itself.
    env -u TMPDIR $asked </dev/null >/dev/null 2>&1
}
