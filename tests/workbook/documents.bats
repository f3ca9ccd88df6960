#!/usr/bin/env bats
# README.md and the texts beside it: what they show is what happens.

load ../lib/copy

setup_file() {
    make_copy
}

setup() {
    in_copy
}

@test "every console transcript of README.md is what happens" {
    local status=0
    TMPDIR=$BATS_TEST_TMPDIR build/tests/bounded 120 build/tests/private env -u MAKEFLAGS -u MAKELEVEL \
        PATH="${PATH//"$BATS_LIBEXEC:"/}" \
        build/tests/transcript README.md >&2 || status=$?
    ((status != 125)) || skip "this system allows no private network, or no pseudo-terminal"
    expect_equal status 0 "$status"
}

@test "every link in the texts beside the lessons leads somewhere" {
    local text target
    for text in README.md lessons/README.md tests/README.md common/README.md; do
        while IFS= read -r target; do
            [[ $target == https://* || -e ${text%/*}/${target%%#*} ||
                -e ${target%%#*} ]] ||
                { echo "$text: leads nowhere: $target" >&2 && false; }
        done < <(grep -oE '\]\([^)]+\)' "$text" | sed 's/^](//; s/)$//')
    done
}

@test "no text has a line over 80 columns, but in a table" {
    LC_ALL=C.UTF-8 run ! grep -nE '^[^|].{80,}' README.md lessons/README.md tests/README.md \
        common/README.md
}

@test "README.md names each verb of scripts/learn that it promises" {
    local verb
    for verb in read check xray doctor; do
        grep -q "scripts/learn $verb" README.md
        scripts/learn --help | grep -q "scripts/learn $verb"
    done
}

@test "a text says so before a command that only bash knows" {
    local text
    for text in README.md lessons/*/README.md; do
        awk '/bash/ { is_said = 1 }
            /^[$>] (.*[ (])?time -p/ && !is_said { exit 1 }
            /^[$>] .*\/dev\/tcp/ && !/^[$>] bash -c/ { exit 1 }' "$text" ||
            { echo "$text: does not say that this is bash's" >&2 && false; }
    done
}

# They are run side by side.
@test "no two lessons' transcripts write the same file" {
    local text shared
    shared=$(for text in lessons/*/README.md; do
        awk '/^```console/ { inside = 1 } /^```$/ { inside = 0 } inside && /^\$/' "$text" |
            grep -oE '(>|-[osw] |cp [^ ]+ |tee )(build|work)/[^ ;]+' |
            sed 's/^.*[> ]//' | sort -u
    done | sort | uniq -d)
    expect_equal "written by more than one" "" "$shared"
}

# A reader takes her time. What a program does by a clock of its own, such as to
# end after two seconds, may then come before she types the next line. Lessons
# are read side by side: that is mostly waiting.
@test "every lesson's transcript is what happens to a slow reader, too" {
    local text name failed=''
    local -A slow=()
    [[ -n ${FULL-} ]] || skip "it takes minutes: FULL=1 does it"
    build/tests/private -e tests/lib/etc true 2>/dev/null ||
        skip "this system allows no private names"
    # 16 says that the folder's name may have no blank, so we come by another way.
    ln -s "$PWD" "$BATS_TEST_TMPDIR/workbook"
    cd "$BATS_TEST_TMPDIR/workbook"
    for text in lessons/[0-9]*/README.md; do
        name=${text%/*}
        name=${name#*/}
        [[ -x build/$name ]] || continue # left out, for want of OpenSSL
        # The solution stands in the place of the reader's answer.
        sed 's|build/work/|build/solution/|g' "$text" >"$BATS_TEST_TMPDIR/$name.md"
        build/tests/bounded 900 build/tests/private -e tests/lib/etc \
            build/tests/transcript -s 2 "$BATS_TEST_TMPDIR/$name.md" >"$BATS_TEST_TMPDIR/$name" 2>&1 3>&- &
        slow[$name]=$!
    done
    for name in "${!slow[@]}"; do
        wait "${slow[$name]}" && continue
        failed+=" $name"
        printf '%s:\n%s\n' "$name" "$(<"$BATS_TEST_TMPDIR/$name")" >&2
    done
    expect_equal "lessons in which a slow reader sees something else" "" "$failed"
}

# pgrep and pkill know only the first 15 characters of a name.
@test "no check finds a learner's program by its name alone" {
    # shellcheck disable=SC2016 # this dollar stands in the checks
    run ! grep -nE 'p(grep|kill) [^|;]*\$lesson' tests/exercises/*.bats
}

@test "tests/README describes every helper that a test uses" {
    local helper missing=''
    while IFS= read -r helper; do
        grep -qE "^# $helper( .*)?:" tests/README.md || missing+=" $helper"
    done < <(sed -n 's/^\([a-z_]*\)() {$/\1/p' tests/lib/{common,proc,exercise,check,clock,copy}.bash |
        sort -u | grep -xFf <(grep -ohE '[a-z_]{4,}' tests/*/*.bats |
            sort -u) | grep -vxE 'setup|teardown|report')
    expect_equal "what tests/README lacks" "" "$missing"
}
