#!/usr/bin/env bats
# What every lesson's README promises. LESSON says which lesson.

load ../../lib/common

readme=lessons/$LESSON/README.md
program=lessons/$LESSON/${LESSON#*-}.c

# private COMMAND...: in a network of its own, and with names of its own, if the
# system allows that, or the text does without.
private() {
    local -a options=(-e tests/lib/etc)
    if ! "$BUILD/tests/private" "${options[@]}" true 2>/dev/null; then
        ! grep -q 'tests/private -e' "$readme" ||
            skip "this system allows no private names"
        options=()
        "$BUILD/tests/private" true 2>/dev/null ||
            skip "this system allows no private network"
    fi
    # Under bounded, for which Ctrl-C is never ignored.
    "$BUILD/tests/bounded" 120 "$BUILD/tests/private" "${options[@]}" "$@"
}

@test "$LESSON: every console transcript is what happens" {
    private tests/lib/transcript "$readme" >&2
}

@test "$LESSON: a transcript with one altered line of output is noticed" {
    awk '/^```console$/ { inside = 1 }
         /^```$/        { inside = 0 }
         inside && !done && !/^(```|\$ |\.\.\.$)/ { $0 = $0 "!"; done = 1 }
                        { print }
         END            { exit !done }' "$readme" >"$BATS_TEST_TMPDIR/altered"
    ! LIMIT_SECONDS=1 private tests/lib/transcript \
        "$BATS_TEST_TMPDIR/altered" >"$BATS_TEST_TMPDIR/report" || false
    grep -q 'but said:' "$BATS_TEST_TMPDIR/report"
}

# A quotation may leave out the lines before and after it, never inside.
@test "$LESSON: every line of C that is quoted stands in its program" {
    local block code
    code=$(<"$program")
    while IFS= read -rd '' block; do
        [[ $code == *"$block"* ]] ||
            { echo "not in $program:" "$block" >&2 && false; }
    done < <(awk '/^```c$/ { inside = 1; next }
                  /^```$/  { if (inside) printf "%c", 0; inside = 0 }
                  inside' "$readme")
}

@test "$LESSON: every link in it leads somewhere" {
    local target
    while IFS= read -r target; do
        [[ $target == https://* || -e lessons/$LESSON/${target%%#*} ]] ||
            { echo "leads nowhere: $target" >&2 && false; }
    done < <(grep -oE '\]\([^)]+\)' "$readme" | sed 's/^](//; s/)$//')
}

@test "$LESSON: its sections are the ones every lesson has, in their order" {
    expect sections "The question|Predict|Run it|X-ray|How it works|Break it|\
In socket.py|Exercise|Left out|Read on" \
        "$(sed -n 's/^## //p' "$readme" | paste -sd '|')"
    [[ $(head -n 1 "$readme") == "# ${LESSON%%-*} · "* ]]
    # shellcheck disable=SC2016 # backquotes of Markdown
    grep -qF "\`scripts/learn check ${LESSON%%-*}\`" "$readme"
    expect "folded hints" 3 "$(grep -c '<summary>Hint [123]' "$readme")"
    for part in "You will build" "New calls" Needs About; do
        grep -qF "**$part**" "$readme"
    done
}

@test "$LESSON: it has every part, and none is too long" {
    local part count
    for part in "$program" "lessons/$LESSON"/{exercise.c,solution.c,twin.py} \
        "lessons/$LESSON/scene" "tests/lessons/$LESSON.bats" \
        "tests/exercises/$LESSON.bats" "tests/wrong/$LESSON"; do
        [[ -e $part ]] || { echo "missing: $part" >&2 && false; }
    done
    count=$(wc -l <"$readme")
    ((count >= 80 && count <= 200)) ||
        { echo "$readme has $count lines" >&2 && false; }
    count=$(wc -l <"$program")
    ((count >= 80 && count <= 220)) || # about 200
        { echo "$program has $count lines" >&2 && false; }
    LC_ALL=C.UTF-8 run ! grep -nE '^.{81,}' "$program" "$readme"
    grep -qF "($LESSON/)" README.md || grep -qF "lessons/$LESSON/" README.md
}

@test "$LESSON: its README gives the cc line that builds it by hand" {
    grep -qE "^\\$ cc .*$program" "$readme"
}

@test "$LESSON: its program explains itself, and refuses what it cannot use" {
    try "$BUILD/$LESSON" -h
    expect_result 0 ""
    read -r line <"$OUT"
    [[ $line == "usage: $LESSON"* ]]
    grep -qF " * $line" "$program"
    try "$BUILD/$LESSON" --no-such-option and more words than it takes
    ((status == 1 || status == 2))
    [[ -n $errors ]]
}

@test "$LESSON: its scene plays to the end" {
    scripts/learn run "$LESSON" >"$BATS_TEST_TMPDIR/scene"
    [[ -s $BATS_TEST_TMPDIR/scene ]]
}
