# shellcheck shell=bash disable=SC2034,SC2154 # scripts/setup's variables
# Whether bats is new enough. Some systems still ship one before 1.7, which has not
# what the tests need.

# is_old_bats: is there a bats, but one before 1.7? Sets bats_status to how bats
# ended when it was asked.
is_old_bats() {
    local version
    bats_status=0
    version=$(env -u TMPDIR bats --version 2>/dev/null) || bats_status=$?
    [[ $version =~ ^Bats\ (0|1\.[0-6])(\.|$) ]]
}

# renew_bats: puts a newer one into build/, by npm, or says how to. Status 1 if it
# is not there afterwards.
renew_bats() {
    local command="npm install --no-save --prefix build/npm bats"
    echo "too old: $(bats --version) ($what): 1.7 is needed" >&2
    if command -v npm >/dev/null && agrees "$command"; then
        $command </dev/null >&2 || true
        hash -r
        is_old_bats || return 0
    fi
    echo "setup: to install a newer one, with npm: $command" >&2
    return 1
}
