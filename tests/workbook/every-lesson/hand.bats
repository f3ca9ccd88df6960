#!/usr/bin/env bats
# What a learner is told to try by hand shows what is wrong. For each
# requirement of an exercise a wrong answer is checked, and what its report says
# under "See it by hand" is played, with the wrong answer and with the solution.
# LESSON says whose.

load ../../lib/common
load ../../lib/check

setup_file() {
    [[ -n ${LESSON-} ]] || skip "run by scripts/test, once for each lesson"
}

# make_desk FOLDER PROGRAM NAME: FOLDER looks like the top of the workbook, with
# PROGRAM, and its source beside it, as the answer to NAME.
make_desk() {
    local entry
    mkdir -p "$1/build/work"
    ln -s "$PWD"/{Makefile,README.md,common,lessons,scripts,tests} "$1"
    for entry in "$BUILD"/[0-9]* "$BUILD"/{certs,common.a,peers,solution,tests}; do
        ln -s "$PWD/$entry" "$1/build"
    done
    cp "$2" "$1/build/work/$3"
    case $2 in
    "$BUILD/solution/"*) cp "lessons/$LESSON/solution.c" "$1/build/work/$3.c" ;;
    *) cp "$2.c" "$1/build/work/$3.c" ;;
    esac
}

# play SECONDS PROGRAM NAME SEEN COMMAND...: what a learner sees is in the file
# SEEN, without what differs from run to run. How long the commands took, and
# what times they say, is in SEEN.times.
play() {
    local desk=$4.desk private=$PWD/$BUILD/tests/private
    local -a top now
    make_desk "$desk" "$2" "$3"
    top=("$desk"/*)
    (cd "$desk" && "$private" tests/lib/by-hand "$1" "${@:5}") </dev/null \
        >"$4.raw" 2>&1 3>&- || true
    now=("$desk"/*)
    if ((${#now[@]} != ${#top[@]})); then
        echo "something new is at the top of the workbook: ${now[*]##*/}"
        return 1
    fi
    if (($(grep -c '^hundredths ' "$4.raw") != $# - 4)); then
        echo "the list could not be played:"
        cat "$4.raw"
        return 1
    fi
    sed -nE 's/^(spoke|silent) ([0-9]+) to .*/milliseconds \2/
        /^(hundredths|milliseconds|real|user|sys) [0-9.]+$/p' "$4.raw" \
        >"$4.times"
    sed -E -e '/^hundredths |^(real|user|sys) [0-9.]+$/d' -e "s/$3/$LESSON/g" \
        -e 's/(127\.[0-9.]+|\]|port|::1)([: ])[0-9]{5}\b/\1\2PORT/g' \
        -e 's/^\[([0-9]+)\] [0-9]+$/[\1] PID/' \
        -e 's/\b[0-9]+\.[0-9]{2}\b/TIME/g' \
        -e 's/\b[0-9]+(\.[0-9]+)? ?(s|ms|seconds)\b/TIME/g' \
        -e 's/[0-9]+ to TIME/TIME/' \
        -e 's/[A-Z][a-z]{2} +[0-9]+ [0-9]{2}:[0-9]{2}/DATE/' \
        -e 's/socket:\[[0-9]+\]/SOCKET/' -e 's|/pts/[0-9]+|/pts/N|' "$4.raw" >"$4"
}

# differ RIGHT WRONG: a learner sees that these two plays are not the same. What
# a busy machine adds to a time is not taken for a difference.
differ() {
    ! cmp -s "$1" "$2" || ! paste -d' ' "$1.times" "$2.times" | awk '
        $1 == "hundredths" { $2 /= 100; $4 /= 100 }
        $1 == "milliseconds" { $2 /= 1000; $4 /= 1000 }
        { apart = $2 > $4 ? $2 - $4 : $4 - $2 }
        apart > ($1 == "hundredths" ? 0.5 : 0.08) &&
            ($2 > 1.4 * $4 || $4 > 1.4 * $2) { seen = 1 }
        END { exit seen }'
}

# shown MISTAKE NAME TEST: what the report on that wrong answer says that one
# should try shows something, or there is nothing that one should try.
shown() {
    local program=$BUILD/wrong/$LESSON/$1
    local -a list
    ! check "$program" "$3" || return 0 # answers.bats says that
    mapfile -t list < <(sed -n 's/^# Try: //p' <<<"$report" |
        sed "s|$program|build/work/$2|g")
    ((${#list[@]} > 0)) || return 0
    # At a desk the learner types what the hint speaks of.
    [[ ${list[-1]} != build/peers/talk* ]] || return 0
    # What is about time may look the same on a busy machine.
    shows_mistake "$@" || shows_mistake "$@" || shows_mistake "$@" ||
        shows_mistake "$@" || {
        printf '%s (%s) is not seen by:\n' "$1" "$3"
        head -c 4000 "$BATS_TEST_TMPDIR/$1/wrong.raw"
        return 1
    }
}

# shows_mistake MISTAKE NAME: the list, played with that wrong answer, shows
# something else than with the solution.
shows_mistake() {
    local limit seen=$BATS_TEST_TMPDIR/$1
    rm -rf "$seen"
    mkdir "$seen"
    play 12 "$BUILD/solution/$LESSON" "$2" "$seen/right" "${list[@]}" ||
        return
    # The wrong one may hang; then it goes on when the right one has ended.
    limit=$(awk '/^h/ { n = $2 / 50 + 2 } END { print n < 12 ? n : 12 }' \
        "$seen/right.times")
    play "$limit" "$BUILD/wrong/$LESSON/$1" "$2" "$seen/wrong" "${list[@]}" ||
        return
    differ "$seen/right" "$seen/wrong"
}

# With WRONG set, only so many lists.
@test "$LESSON: each list of commands to try by hand shows what is wrong" {
    local patch mistake test n=0
    local -a patches=("tests/wrong/$LESSON"/*.patch) chosen=()
    local -A seen=()
    [[ -n ${HAND-} ]] || skip "takes half a minute: HAND=1 plays them"
    [[ $BUILD == build ]] || skip "a learner's programs are in build/"
    script -qec true /dev/null >/dev/null 2>&1 </dev/null 3>&- ||
        skip "this system makes no pseudo-terminal, or has no script(1)"
    "$BUILD/tests/private" true 2>/dev/null ||
        skip "this system allows no private network"
    for patch in "${patches[@]}"; do
        test=$(sed -n 's/^Fails: //p' "$patch")
        [[ -z ${seen[$test]-} ]] || [[ -n ${ALL-} ]] || continue
        seen[$test]=1
        chosen+=("$patch")
    done
    chosen=("${chosen[@]:0:${WRONG:-1000}}")
    chosen=("${chosen[@]#tests/}")
    chosen=("${chosen[@]%.patch}")
    make --silent "${chosen[@]/#/$BUILD/}" 3>&-
    for mistake in "${chosen[@]##*/}"; do
        test=$(sed -n 's/^Fails: //p' "tests/wrong/$LESSON/$mistake.patch")
        n=$((n + 1))
        (($(jobs -rp | wc -l) < 4)) || wait -n || true
        shown "$mistake" "hand-$n-$BASHPID" "$test" \
            >"$BATS_TEST_TMPDIR/$mistake.said" 2>&1 3>&- ||
            : >"$BATS_TEST_TMPDIR/$mistake.failed" &
    done
    wait
    cat "$BATS_TEST_TMPDIR"/*.said >&2
    [[ -z $(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name '*.failed') ]]
}
