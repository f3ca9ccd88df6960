# shellcheck shell=bash disable=SC2034 # the tests read these variables
# For tests that run the workbook's own commands: they run in a copy of it, in a
# folder with a space in its name, so that nobody's answers are touched.
load ../lib/common

# make_copy [LESSON...]: a copy with everything built is in $COPY; of these
# lessons only, if any are named.
make_copy() {
    local name
    local -a files=(Makefile README.md common scripts lessons/README.md)
    local -a built=(certs common common.a flags peers tests)
    COPY="$BATS_FILE_TMPDIR/a copy"
    export COPY
    mkdir -p "$COPY/build"
    # shellcheck disable=SC2046 # names without blanks
    (($# > 0)) || set -- $(basename -a lessons/[0-9]*/)
    for name in tests/*; do
        [[ $name == tests/@(right|wrong) ]] || files+=("$name")
    done
    for name; do
        files+=("lessons/$name" "tests/right/$name" "tests/wrong/$name")
        built+=({,exercise/,lessons/,solution/}"$name"{,.d} "${name%%-*}-tls.so")
    done
    copy_there . "${files[@]}"
    # What is built stays built: with its times, so that make believes it.
    find "$COPY" -exec touch -d '2020-01-01' {} +
    copy_there "$BUILD" "${built[@]}"
    remove_tools_of_others
}

# copy_there FOLDER NAME...: copies these, as far as they are there, from FOLDER
# (or from its like, build/) to the same place in the copy.
copy_there() {
    local there=$COPY name
    local -a names=()
    [[ $1 == . ]] || there+=/build
    for name in "${@:2}"; do
        [[ ! -e $1/$name ]] || names+=("$name")
    done
    (cd "$1" && cp -a --parents "${names[@]}" "$there/")
}

# remove_tools_of_others: those of the tests' tools that include a module of a
# lesson which is not in the copy.
remove_tools_of_others() {
    local file lesson
    while IFS=: read -r file lesson; do
        [[ -e $COPY$lesson ]] || rm -f "$COPY/$file"
    done < <(cd "$COPY" && grep -o '/lessons/[0-9][^/]*' tests/*/*.c)
}

in_copy() {
    cd "$COPY" || return 1
    rm -rf work
}

# keep_requirements LESSON PATTERN: in the copy, its check has only the
# requirements whose names match PATTERN, until this is called again. For tests
# of what is done with a check, whatever it asks for.
keep_requirements() {
    awk -v pattern="^@test \"($2)" '
        /^@test / { left_out = $0 !~ pattern }
        !left_out { print }
        /^}/ { left_out = 0 }' \
        "$BATS_TEST_DIRNAME/../exercises/$1.bats" >"tests/exercises/$1.bats"
}

# keep_few_requirements: some of lessons 01 and 02 that most tests can do with.
keep_few_requirements() {
    keep_requirements 01-tcp-client "connects to the|ends with|copies NUL|refuses a wrong"
    keep_requirements 02-tcp-server "says where|serves one|refuses a wrong"
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
    local line count=0
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line != *@('Enter check'|'(y/n)'|'watching work')* ]] || count=$((count + 1))
    done <"$2"
    ((count >= $3)) || ! kill -0 "$1" 2>/dev/null
}
