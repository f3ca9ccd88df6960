#!/usr/bin/env bats
# The checks, checked: what must pass passes, and what must fail fails in the
# test meant for it, with the hint meant for it. LESSON says whose.

load ../../lib/common
load ../../lib/check

setup_file() {
    [[ -n ${LESSON-} ]] || skip "run by scripts/test, once for each lesson"
}

# A check of an answer with io_uring judges nothing where there is none.
setup() {
    ! grep -qs '<linux/io_uring.h>' "lessons/$LESSON/solution.c" || need_ring
}

# caught MISTAKE TEST HINT: that wrong answer fails there, with that hint. Under
# the sanitizers no fault can be made, so a test that needs one judges nothing.
# Nor does one that needs ThreadSanitizer, where there is none.
caught() {
    local failed='nothing' hint='none'
    if check "$BUILD/wrong/$LESSON/$1" "$2"; then
        [[ $BUILD != *asan* || $report != *" # skip no faults"* ]] || return 0
        [[ $report != *" # skip no ThreadSanitizer"* ]] || return 0
    else
        failed=$(sed -n 's/^not ok [0-9]* //p' <<<"$report")
        hint=$(sed -n 's/^# Hint: //p' <<<"$report")
        [[ $failed != "$2" || $hint != *"$3"* ]] || return 0
    fi
    printf '%s should fail in: %s\n  with a hint: %s\n' "$1" "$2" "$3" >&2
    printf '  but failed in: %s\n  with a hint: %s\n%s\n' "$failed" "$hint" \
        "$report" >&2
    return 1
}

@test "$LESSON: the starter compiles, and fails its check" {
    [[ -z ${WRONG-} ]] || skip "scripts/test has little time: FULL=1 has it"
    ! check "$BUILD/exercise/$LESSON" || false
    [[ $report == *"# Hint: "* ]]
}

@test "$LESSON: a program that does nothing fails" {
    [[ -z ${WRONG-} ]] || skip "scripts/test has little time: FULL=1 has it"
    echo 'int main(void) { return 0; }' >"$BATS_TEST_TMPDIR/empty.c"
    cc -o "$BATS_TEST_TMPDIR/empty" "$BATS_TEST_TMPDIR/empty.c"
    ! check "$BATS_TEST_TMPDIR/empty" || false
    [[ $report == *"# Hint: "* ]]
}

# What the solution printed in one run of the check, in the order of its calls,
# is printed again in a second one.
@test "$LESSON: a program that prints canned answers fails" {
    local tape=$BATS_TEST_TMPDIR/tape actor=$BATS_TEST_TMPDIR/actor
    [[ -z ${WRONG-} ]] || skip "takes two checks: FULL=1 has it"
    mkdir "$tape"
    cat >"$actor" <<END
#!/usr/bin/env bash
shopt -s nullglob
taken=("$tape"/*.call)
n=\$(printf %03d \${#taken[@]})
: >"$tape/\$n.call"
trap 'kill \$!; wait \$!; exit' TERM INT
mkfifo "$tape/\$n.1" "$tape/\$n.2"
tee "$tape/\$n.out" <"$tape/\$n.1" &
tees=\$!
tee "$tape/\$n.err" <"$tape/\$n.2" >&2 &
tees+=" \$!"
"$PWD/$BUILD/tests/bounded" 60 "$PWD/$BUILD/solution/$LESSON" "\$@" \\
    >"$tape/\$n.1" 2>"$tape/\$n.2" <&0 &
wait \$!
status=\$?
wait \$tees # what it printed may still be on its way
echo \$status >"$tape/\$n.status"
exit \$status
END
    chmod +x "$actor"
    check "$actor" || true # a tape in between is no use for a full disk
    # A program that writes into files only may say something on standard error.
    [[ -n $(find "$tape" -name '*.out' -size +0) ||
        -n $(find "$tape" -name '*.err' -size +0) ]]
    rm "$tape"/*.call
    cat >"$actor" <<END
#!/usr/bin/env bash
shopt -s nullglob
taken=("$tape"/*.call)
n=\$(printf %03d \${#taken[@]})
: >"$tape/\$n.call"
cat "$tape/\$n.out"
cat "$tape/\$n.err" >&2
exit "\$(cat "$tape/\$n.status" 2>/dev/null || echo 0)"
END
    ! check "$actor" || false
}

# With WRONG set, only so many of these too.
@test "$LESSON: each right answer in another style passes its check" {
    local answer
    local -a answers=("tests/right/$LESSON"/*.c) programs
    [[ -e ${answers[0]} ]] || skip "there is none yet"
    ((${#answers[@]} >= 2))
    answers=("${answers[@]:0:${WRONG:-1000}}")
    programs=("${answers[@]/#tests/$BUILD}")
    programs=("${programs[@]%.c}")
    make --silent "${programs[@]}" 3>&-
    for answer in "${programs[@]}"; do
        if ! check "$answer"; then
            printf '%s should pass:\n%s\n' "$answer" "$report" >&2
            return 1
        fi
    done
}

# With WRONG set, only so many of them: scripts/test has little time.
@test "$LESSON: each wrong answer fails where it should, with its hint" {
    local patch mistake test hint
    local -a patches=("tests/wrong/$LESSON"/*.patch) programs
    ((${#patches[@]} >= 4))
    patches=("${patches[@]:0:${WRONG:-1000}}")
    programs=("${patches[@]/#tests/$BUILD}")
    make --silent "${programs[@]%.patch}" 3>&-
    for patch in "${patches[@]}"; do
        mistake=${patch##*/}
        mistake=${mistake%.patch}
        test=$(sed -n 's/^Fails: //p' "$patch")
        hint=$(sed -n 's/^Hint: //p' "$patch")
        if [[ -z $test || -z $hint ]]; then
            echo "$patch has no line Fails: or no line Hint:" >&2
            return 1
        fi
        # What is about time may look different once on a busy machine.
        caught "$mistake" "$test" "$hint" || caught "$mistake" "$test" "$hint" ||
            caught "$mistake" "$test" "$hint"
    done
}
