# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# What every test file begins with: `load ../lib/common`. Starts programs,
# waits for what they say, stops them, and compares what came out.
bats_require_minimum_version 1.5.0

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
BUILD=${BUILD:-build}
SECONDS_ALLOWED=${SECONDS_ALLOWED:-5}
# bats traces each line that runs, to be able to tell where a test failed. That
# doubles the time of all tests, so it is done on demand: TRACE=1 bats FILE.
[[ -n ${TRACE-} ]] || set +T
# No test reads a learner's settings, colours or language.
unset NO_COLOR PYTHONUNBUFFERED
export LC_ALL=C TERM=dumb
export LSAN_OPTIONS=suppressions=$PWD/tests/lib/leaks:print_suppressions=0

# With FAIL_FAST set, what follows a failure in the same file is skipped.
setup() {
    if [[ -n ${FAIL_FAST-} && -e $BATS_FILE_TMPDIR/failed ]]; then
        skip "an earlier one failed"
    fi
}

teardown() {
    [[ -n ${BATS_TEST_COMPLETED-} ]] || : >"$BATS_FILE_TMPDIR/failed"
    stop_all
    # What a sanitizer found is a failure, whatever the test was looking at.
    if [[ $BUILD == *asan* ]]; then
        run ! grep -hE 'Sanitizer|runtime error' "$BATS_TEST_TMPDIR"/*err
    fi
}

# skip_unless COMMAND...: skips the test, aloud, where a command is missing.
skip_unless() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}

# bounded COMMAND...: runs it for SECONDS_ALLOWED at most. A line about how it
# ended, when it did not end by itself, is left in $BATS_TEST_TMPDIR/ending.
bounded() {
    choose_lens "$SECONDS_ALLOWED" "$@"
    "$BUILD/tests/bounded" -r "$BATS_TEST_TMPDIR/ending" \
        "$allowed" "${lens[@]}" "$@"
}

# choose_lens SECONDS COMMAND...: sets lens to what a command is looked at with,
# and allowed to the seconds that both may take.
choose_lens() {
    allowed=$1
    lens=()
}

# start NAME COMMAND...: runs it in the background. Its input is empty; what it
# prints is in $BATS_TEST_TMPDIR/NAME.out and NAME.err.
start() {
    local name=$1
    shift
    : >"$BATS_TEST_TMPDIR/$name.out"
    choose_lens "${START_SECONDS:-30}" "$@"
    "$BUILD/tests/bounded" -r "$BATS_TEST_TMPDIR/$name.ending" \
        "$allowed" "${lens[@]}" "$@" </dev/null \
        >"$BATS_TEST_TMPDIR/$name.out" 2>"$BATS_TEST_TMPDIR/$name.err" 3>&- &
    echo $! >"$BATS_TEST_TMPDIR/$name.pid"
}

# start_server NAME COMMAND...: starts it, waits until it listens, sets PORT.
start_server() {
    start "$@"
    wait_for "$1" 'listening on *'
    port_of "$1"
}

# port_of NAME: sets PORT to what the first line of NAME's output ends in.
port_of() {
    read -r PORT <"$BATS_TEST_TMPDIR/$1.out"
    PORT=${PORT##*:}
    [[ $PORT =~ ^[1-9][0-9]*$ ]]
}

# pid_in NAME: sets pid to the process that `start` started under that name.
pid_in() {
    read -r pid <"$BATS_TEST_TMPDIR/$1.pid"
}

# pause: ten milliseconds between two looks, without a process.
pause() {
    [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never" || true
    read -rt 0.01 <>"$BATS_RUN_TMPDIR/never" || true
}

# until_true COMMAND...: looks until COMMAND succeeds, 20 seconds at most: that
# is for a machine that is busy with something else.
until_true() {
    local end=$((${EPOCHREALTIME/./} + 20000000))
    until "$@"; do
        if ((${EPOCHREALTIME/./} > end)); then
            echo "waited 20 seconds in vain for: $*" >&2
            return 1
        fi
        pause
    done
}

# says NAME PATTERN: a whole line that matches is in NAME's output so far.
says() {
    local line
    while IFS= read -r line; do
        # shellcheck disable=SC2053 # the pattern is one
        [[ $line == $2 ]] && return
    done <"$BATS_TEST_TMPDIR/$1.${3:-out}"
    return 1
}

# wait_for NAME PATTERN [err]: waits for a line of NAME's output (or errors);
# fails at once when NAME has ended without it.
wait_for() {
    until_true says_or_ended "$@"
    says "$@" && return
    echo "$1 ended before it said: $2" >&2
    cat "$BATS_TEST_TMPDIR/$1.out" "$BATS_TEST_TMPDIR/$1.err" >&2
    return 1
}

says_or_ended() {
    says "$@" || ! is_running "$1"
}

# is_running NAME: it was started, and has not ended.
is_running() {
    local pid
    pid_in "$1"
    kill -0 "$pid" 2>/dev/null
}

# finish NAME: waits until it has ended by itself; sets ended to its status.
finish() {
    local pid
    ended=0
    pid_in "$1"
    wait "$pid" || ended=$?
    : >"$BATS_TEST_TMPDIR/$1.pid"
}

# stop NAME [SIGNAL]: tells it to end, and waits; sets ended to its status.
stop() {
    local pid
    pid_in "$1"
    kill -s "${2:-TERM}" "$pid"
    finish "$1"
}

stop_all() {
    local file pid
    for file in "$BATS_TEST_TMPDIR"/*.pid; do
        [[ -s $file ]] || continue
        read -r pid <"$file"
        kill "$pid" 2>/dev/null || true
        # What does not heed SIGTERM is killed by its guard.
        until_gone "$pid" || kill -USR1 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
        : >"$file"
    done
}

until_gone() {
    local i
    for ((i = 0; i < 100; i++)); do
        kill -0 "$1" 2>/dev/null || return 0
        pause
    done
    return 1
}

# The program's own process, which `start` put under a guard.
pid_of() {
    local pid child=
    pid_in "$1"
    until_true has_child "$pid" # its guard may not have come to it yet
    echo "$child"
}

# has_child PID: sets child to its first; or PID has gone.
has_child() {
    child=$(cat "/proc/$1/task/$1/children" 2>/dev/null) || return 0
    child=${child%% *}
    [[ $child ]]
}

# frozen COMMAND...: while the one that was started as `server` is not looking;
# what COMMAND does has happened before the server's next step.
frozen() {
    local pid result=0
    pid=$(pid_of server)
    kill -STOP "$pid"
    until_true is_stopped "$pid"
    "$@" || result=$?
    kill -CONT "$pid"
    return "$result"
}

is_stopped() {
    local state
    read -r _ _ state _ <"/proc/$1/stat"
    [[ $state == T ]]
}

# in_state STATE: a connection of the server at PORT is in that state; 08 is
# CLOSE_WAIT: what the client said, and its end, have come.
in_state() {
    local port
    printf -v port '%04X' "$PORT"
    grep -q "[0-9]: 0100007F:$port [0-9A-F:]* $1 " /proc/net/tcp
}

# wanted_processor: sets wanted to the nanoseconds in which `server` ran or, on a
# busy machine, waited for its turn to.
wanted_processor() {
    local ran waited
    read -r ran waited _ <"/proc/$(pid_of server)/schedstat"
    wanted=$((ran + waited))
}

# expect WHAT EXPECTED GOT: both as strings; says where they first differ.
expect() {
    [[ $3 == "$2" ]] && return
    printf '%s\nexpected: %q\n     got: %q\n' "$1" "$2" "$3" >&2
    return 1
}

# expect_lines NAME PATTERN...: the whole output of NAME, line by line.
expect_lines() {
    local name=$1 pattern i=0
    local -a lines
    shift
    mapfile -t lines <"$BATS_TEST_TMPDIR/$name.out"
    for pattern in "$@"; do
        # shellcheck disable=SC2053 # the pattern is one
        if [[ ${lines[i]-} != $pattern ]]; then
            printf '%s: line %d should be: %s\n' "$name" "$((i + 1))" \
                "$pattern" >&2
            printf '  %s\n' "its output:" "${lines[@]}" >&2
            return 1
        fi
        i=$((i + 1))
    done
    expect "$name: number of lines" "$#" "${#lines[@]}"
}

# try COMMAND...: runs it, bounded; sets status and errors (what it printed on
# standard error); what it printed on standard output is in the file $OUT.
try() {
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    bounded "$@" </dev/null >"$OUT" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    IFS= read -rd '' errors <"$BATS_TEST_TMPDIR/err" || errors=${errors%$'\n'}
}

# expect_result STATUS ERRORS: how the last `try` ended, and all it said of it.
expect_result() {
    expect "status" "$1" "$status"
    expect "standard error" "$2" "$errors"
}

# expect_bytes FILE [GOT]: the same bytes as in FILE are in GOT ($OUT).
expect_bytes() {
    cmp "$1" "${2:-$OUT}" >&2
}

# expect_text TEXT [GOT]: TEXT, with printf's escapes, is all that is in GOT.
expect_text() {
    expect_bytes <(printf '%b' "$1") "${2:-$OUT}"
}

# need_faults: sets faulty, what goes before NAME=VALUE... COMMAND... to run a
# command with the faults that faults.c knows.
need_faults() {
    [[ $BUILD != *asan* ]] || skip "no faults under the sanitizers"
    # A relative path: LD_PRELOAD takes a blank in a name for the next name.
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so")
}
