# shellcheck shell=bash disable=SC2034 # the tests read these variables
# For tests that run the workbook's own commands: they run in a copy of it, in a
# folder with a space in its name, so that nobody's answers are touched.
load ../lib/common

# make_copy [LESSON...]: a copy with everything built is in $COPY; of these
# lessons only, if any are named.
make_copy() {
    local lesson
    local -a built=()
    COPY="$BATS_FILE_TMPDIR/a copy"
    export COPY
    mkdir -p "$COPY/build"
    cp -R Makefile README.md common lessons scripts tests "$COPY/"
    if (($# > 0)); then
        for lesson in "$COPY"/lessons/[0-9]*; do
            [[ " $* " != *" ${lesson##*/} "* ]] || continue
            rm -r "$lesson"
            # The tests' tools that include one of its modules go with it.
            (cd "$COPY" && grep -l "/lessons/${lesson##*/}/" tests/*/*.c |
                xargs -r rm)
        done
    fi
    # What is built stays built: with its times, so that make believes it.
    mapfile -t built < <(find "$BUILD" -mindepth 1 -maxdepth 1 ! -name asan \
        ! -name fuzz ! -name torture ! -name wrong)
    cp -a "${built[@]}" "$COPY/build/"
    find "$COPY/lessons" "$COPY/tests" "$COPY/common" "$COPY/scripts" \
        "$COPY/Makefile" -exec touch -d '2020-01-01' {} +
}

in_copy() {
    cd "$COPY" || return 1
    rm -rf work
}

# learn ARGUMENT...: as from a script: no terminal; sets status, out, errors.
learn() {
    local file=$BATS_TEST_TMPDIR/learn
    status=0
    scripts/learn "$@" </dev/null >"$file.out" 2>"$file.err" 3>&- || status=$?
    out=$(<"$file.out")
    errors=$(<"$file.err")
}

# answer_with OLD NEW: the solution of lesson 01, with the first OLD replaced.
answer_with() {
    local text
    mkdir -p work
    text=$(<lessons/01-tcp-client/solution.c)
    [[ $text == *"$1"* ]] || return 1
    printf '%s\n' "${text/"$1"/"$2"}" >work/01-tcp-client.c
}

# answer_badly: the starter of lesson 01, but somebody has begun.
answer_badly() {
    mkdir -p work
    cp lessons/01-tcp-client/exercise.c work/01-tcp-client.c
    echo '/* begun */' >>work/01-tcp-client.c
}

# answer_well: a good answer to lesson 01.
answer_well() {
    mkdir -p work
    cp lessons/01-tcp-client/solution.c work/01-tcp-client.c
}

# need_terminal: where the system can make one, for script(1).
need_terminal() {
    skip_unless script
    script -qec true /dev/null >/dev/null 2>&1 </dev/null 3>&- ||
        skip "this system makes no pseudo-terminal: is /dev/pts mounted?"
}

# on_terminal COMMAND: as a learner's shell on a terminal runs it, the plainest
# one. It finds bats where a learner does: this run of bats has put its own parts
# into PATH, among them a `bats` that needs a function which only bash hands on.
on_terminal() {
    PATH=${PATH//"$BATS_LIBEXEC:"/} SHELL=/bin/sh TERM=xterm PAGER=cat \
        exec build/tests/bounded 30 script -qec "$1" /dev/null
}

# at_desk KEYS [COLUMNS]: as on a terminal, where somebody types KEYS, each when
# asked for it; sets out.
at_desk() {
    local typed status=0 keys=$BATS_TEST_TMPDIR/keys desk=$BATS_TEST_TMPDIR/desk
    need_terminal
    mkfifo "$keys"
    : >"$desk"
    on_terminal "stty cols ${2:-80}; scripts/learn" <"$keys" >"$desk" \
        2>&1 3>&- &
    exec 7>"$keys"
    for ((typed = 0; typed < ${#1}; typed++)); do
        until_true has_asked $! "$desk" $((typed + 1))
        printf '%s' "${1:typed:1}" >&7
    done
    wait $! || status=$?
    exec 7>&-
    rm "$keys"
    out=$(<"$desk")
    expect_equal "status of the desk" 0 "$status"
}

# has_asked PID DESK N: the desk has asked for the Nth key; or has ended.
has_asked() {
    (($(grep -cE 'Enter check|\(y/n\)|watching work' "$2") >= $3)) || ! kill -0 "$1" 2>/dev/null
}
