#!/usr/bin/env bats
# tests/lib/transcript, which all console transcripts are compared with, notices
# what it is there for.

load ../lib/common

setup() {
    readme=$BATS_TEST_TMPDIR/README.md
    cat >"$readme" <<'END'
```console other
$ echo begins; read -rt 10 <>pipe; echo ends
begins
```
```console
$ printf 'one (1)\ntwo 2.5\n'; false
one (1)
two ...
$ echo $?
1
$ seq 9
1
...
9
```
```console other
ends
```
END
    cd "$BATS_TEST_TMPDIR" || return
    mkfifo pipe
    sed -i 's/^9$/&\n$ echo >pipe/' "$readme"
}

# compare: what tests/lib/transcript says to the text.
compare() {
    LIMIT_SECONDS=${1-20} run "$OLDPWD/tests/lib/transcript" "$readme"
}

@test "a transcript of what happens is taken" {
    compare
    expect_equal status 0 "$status"
    expect_equal output "5 commands" "$output"
}

@test "one altered line of output is noticed, whichever it is" {
    local kept line
    local -a lines=()
    kept=$(<"$readme")
    mapfile -t lines < <(grep -nvE '^(```|\$|\.\.\.$)' "$readme" | cut -d: -f1)
    for line in "${lines[@]}"; do
        sed "${line}s/\$/!/" <<<"$kept" >"$readme"
        compare 0
        expect_equal "status, line $line" 1 "$status"
        [[ $output == *"but said:"* ]]
    done
}

@test "a line too few and a line too many are noticed" {
    local kept
    kept=$(<"$readme")
    sed '/^two/d' <<<"$kept" >"$readme"
    compare 0
    expect_equal status 1 "$status"
    printf '%s\n' "${kept/$'\n1\n...'/$'\n1\n1.5\n2.5'}" >"$readme"
    compare 0
    expect_equal status 1 "$status"
    sed '/^begins/d' <<<"$kept" >"$readme"
    compare 0
    expect_equal status 1 "$status"
}

@test "a command that does not end is noticed" {
    sed -i '/echo >pipe/d' "$readme"
    compare 0
    expect_equal status 1 "$status"
}
