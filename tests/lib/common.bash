# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# What every test file begins with: `load ../lib/common`. Starts programs,
# waits for what they say, stops them, and compares what came out.
bats_require_minimum_version 1.5.0

cd "${BASH_SOURCE[0]%/*}/../.." || exit 1
. tests/lib/proc.bash
BUILD=${BUILD:-build}
# How long a command may take, and a program in the background, and how long one
# may take to end when it is told to. Under the sanitizers, a program takes many
# times as long to start and to end: each of its processes looks for leaks.
patience=3
if [[ $BUILD == *asan* ]]; then
    SECONDS_ALLOWED=${SECONDS_ALLOWED:-30}
    START_SECONDS=${START_SECONDS:-100}
    patience=30
fi
SECONDS_ALLOWED=${SECONDS_ALLOWED:-10}
START_SECONDS=${START_SECONDS:-30}
# The folder of the lesson's sources. tests/mutate has some of its own.
SOURCE=${BATS_TEST_FILENAME##*/}
SOURCE=lessons/${SOURCE%.bats}
[[ ! -d $BUILD/source ]] || SOURCE=$BUILD/source
# bats traces each line that runs, to be able to tell where a test failed. That
# doubles the time of all tests, so it is done on demand: TRACE=1 bats FILE.
[[ -n ${TRACE-} ]] || set +T
# No test reads a learner's settings, colours or language.
unset NO_COLOR PYTHONUNBUFFERED
export LC_ALL=C TERM=dumb
export LSAN_OPTIONS=suppressions=$PWD/tests/lib/leaks:print_suppressions=0

setup() {
    skip_after_failure
}

# skip_after_failure: with FAIL_FAST set, what follows a failure in the same file
# is skipped. For a setup of a file's own.
skip_after_failure() {
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

# need_ring: skips the test, aloud, where io_uring cannot be used.
need_ring() {
    local reason
    reason=$("$BUILD/tests/ring") || skip "$reason"
}

# bounded COMMAND...: runs it for SECONDS_ALLOWED at most. A line about how it
# ended, when it did not end by itself, is left in $BATS_TEST_TMPDIR/ending.
bounded() {
    choose_lens "$SECONDS_ALLOWED" "$@"
    "$BUILD/tests/bounded" -p "$patience" -r "$BATS_TEST_TMPDIR/ending" \
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
    choose_lens "$START_SECONDS" "$@"
    "$BUILD/tests/bounded" -p "$patience" -r "$BATS_TEST_TMPDIR/$name.ending" \
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

# pause: PAUSE_SECONDS between two looks, without a process; but with one where the
# disk is full.
PAUSE_SECONDS=0.01
pause() {
    if [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never"; then
        read -rt "$PAUSE_SECONDS" <>"$BATS_RUN_TMPDIR/never" || true
    else
        sleep "$PAUSE_SECONDS"
    fi
}

# pause_for MS: so many milliseconds, by the clock.
pause_for() {
    local end=$((${EPOCHREALTIME/./} + $1 * 1000))
    while ((${EPOCHREALTIME/./} < end)); do
        pause
    done
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
    is_alive "$pid"
}

has_ended() {
    ! is_running "$1"
}

# is_alive PID: that process has not ended. In some versions of bash, a `read -t`
# whose time is up can leave SIGCHLD blocked. Then a child that has ended stays a
# zombie (state Z), for which `kill -0` succeeds.
is_alive() {
    local line=
    kill -0 "$1" 2>/dev/null || return
    read -r line 2>/dev/null <"/proc/$1/stat" || true
    [[ $line != *") Z "* ]]
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
        is_alive "$1" || return 0
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
    local file=/proc/$1/task/$1/children
    child=
    [[ -e $file ]] || return 0
    read -r child _ 2>/dev/null <"$file" || [[ $child ]] # it ends without newline
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

# in_state STATE: a connection of the server at PORT is in that state; 08 is
# CLOSE_WAIT: what the client said, and its end, have come.
in_state() {
    local port
    printf -v port '%04X' "$PORT"
    grep -q "[0-9]: 0100007F:$port [0-9A-F:]* $1 " /proc/net/tcp
}

# try COMMAND...: runs it, bounded, with an empty standard input; sets status
# and errors (what it printed on standard error); what it printed on standard
# output is in the file $OUT.
try() {
    try_with /dev/null "$BATS_TEST_TMPDIR/out" "$@"
}

# try_with INPUT OUTPUT COMMAND...: the same, with these two files for standard
# input and output. An OUTPUT of - leaves standard output as it is.
try_with() {
    local input=$1 output=$2
    shift 2
    OUT=$BATS_TEST_TMPDIR/out
    status=0
    : >"$BATS_TEST_TMPDIR/ending"
    if [[ $output == - ]]; then
        bounded "$@" <"$input" 2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    else
        bounded "$@" <"$input" >"$output" 2>"$BATS_TEST_TMPDIR/err" 3>&- ||
            status=$?
    fi
    read_errors
}

# read_errors: sets errors to what the last `try` printed on standard error,
# without the last newline. A megabyte of it is enough.
read_errors() {
    IFS= read -rd '' -n 1000000 errors <"$BATS_TEST_TMPDIR/err" || true
    if [[ ${errors: -1} == $'\n' ]]; then
        errors=${errors:0:-1}
    fi
}

# ---- expectations: tests/README.md has an example of each ------------------

# take_options COUNT ARGUMENT...: for the functions below. Sets hint, show, text
# and got from --hint, --show, --text and --in, and arguments to what is left,
# of which there must be COUNT, or any number for a COUNT of +. Behind a --
# nothing is an option.
take_options() {
    local count=$1
    shift
    arguments=()
    while (($# > 0)); do
        case $1 in
        --hint | --show | --text | --in)
            if (($# < 2)); then
                echo "${FUNCNAME[1]}: $1 needs an argument" >&2
                return 1
            fi
            ;;&
        --hint) hint=$2 && shift ;;
        --show) show=$2 && shift ;;
        --text) text=$2 && has_text=1 && shift ;;
        --in) got=$2 && shift ;;
        --)
            shift
            arguments+=("$@")
            break
            ;;
        *) arguments+=("$1") ;;
        esac
        shift
    done
    if [[ $count != + ]] && ((${#arguments[@]} != count)); then
        echo "${FUNCNAME[1]}: wrong arguments: ${arguments[*]}" >&2
        return 1
    fi
}

# fail SENTENCE [--show LINES] [--hint TEXT]: ends the test. SENTENCE says what
# is wrong, LINES show it.
fail() {
    local hint='' show=''
    local -a arguments
    take_options 1 "$@" || return
    report_failure "${arguments[0]}" "$show" "$hint"
}

# report_failure SENTENCE LINES HINT: how a failure is said. (exercise.bash says
# it for a learner.)
report_failure() {
    printf '%s\n' "$1" ${2:+"$2"} ${3:+"Hint: $3"} >&2
    return 1
}

# expect_end [--hint TEXT]: the last `try` ended by itself, within its time.
expect_end() {
    local hint=''
    local -a arguments
    take_options 0 "$@" || return
    [[ ! -s $BATS_TEST_TMPDIR/ending ]] || report_ending "$hint"
}

# report_ending HINT: how it is said that a command did not end by itself.
report_ending() {
    report_failure "$(<"$BATS_TEST_TMPDIR/ending")" '' "$1"
}

# expect_status N [--hint TEXT]: the last `try` ended with status N.
expect_status() {
    local hint=''
    local -a arguments
    take_options 1 "$@" || return
    ((status == arguments[0])) ||
        report_failure "its exit status was $status, and should be \
${arguments[0]}" '' "$hint"
}

# expect_stderr PATTERN [--hint TEXT]: all that the last `try` printed on
# standard error matches PATTERN.
expect_stderr() {
    local hint=''
    local -a arguments
    take_options 1 "$@" || return
    # shellcheck disable=SC2053 # the pattern is one
    [[ $errors == ${arguments[0]} ]] ||
        report_failure "standard error is not what it should be" \
            "Expected: ${arguments[0]//\*/...}" "$hint"
}

# expect_result STATUS TEXT: the last `try` ended with STATUS, and printed
# exactly TEXT on standard error.
expect_result() {
    [[ $status == "$1" && $errors == "$2" ]] ||
        report_failure "its end is not what it should be" \
            "$(printf 'Expected: status %s, %q\n     Got: status %s, %q' "$1" \
                "$2" "$status" "$errors")" ''
}

# expect_output FILE|--text TEXT [--in GOT] [--hint TEXT]: exactly the bytes of
# FILE, or of TEXT with printf's escapes, are in the file GOT, which is standard
# output of the last `try` if it is not named.
expect_output() {
    local hint='' text='' has_text='' got=$OUT wanted
    local what="what it printed"
    local -a arguments
    take_options + "$@" || return
    if [[ $has_text ]]; then
        ! is_text "$text" "$got" || return 0
        wanted=$BATS_TEST_TMPDIR/expected-text
        printf '%b' "$text" >"$wanted"
    else
        wanted=${arguments[0]}
    fi
    cmp -s "$wanted" "$got" && return
    ! ends_before_ff "$wanted" "$got" || hint="It ends where a byte ff comes, \
and that is a byte as others are. getc returns an int, so that EOF differs from \
every byte: keep it in an int, not in a char."
    [[ $got == "$OUT" ]] || what=${got##*/}
    report_failure "$what is not what it should be" \
        "$(show_difference "$wanted" "$got")" "$hint"
}

# ends_before_ff WANTED GOT: the second file is the beginning of the first one,
# up to a byte ff.
ends_before_ff() {
    local size
    size=$(wc -c <"$2")
    [[ $(tail -c "+$((size + 1))" "$1" | head -c 1) == $'\xff' ]] &&
        head -c "$size" "$1" | cmp -s - "$2"
}

# is_text TEXT FILE: TEXT is all that is in FILE. No process is started for
# this; so where there is a NUL, the answer is always no.
is_text() {
    local wanted found
    [[ $1 != *'\0'* ]] || return
    printf -v wanted '%b' "$1"
    ! IFS= read -rd '' found <"$2" && [[ $found == "$wanted" ]]
}

# expect_equal WHAT EXPECTED GOT [--hint TEXT]: the two strings are equal; WHAT
# says what they are.
expect_equal() {
    local hint=''
    local -a arguments
    [[ ${3-} != "${2-}" || $# != 3 ]] || return 0
    take_options 3 "$@" || return
    [[ ${arguments[2]} == "${arguments[1]}" ]] ||
        report_failure "${arguments[0]} is not what it should be" \
            "$(printf 'Expected: %q\n     Got: %q' "${arguments[@]:1}")" "$hint"
}

# expect_lines NAME PATTERN... [--hint TEXT]: what `start` NAME has printed so
# far, line by line.
expect_lines() {
    local hint='' pattern i=0
    local -a arguments lines
    take_options + "$@" || return
    mapfile -t lines <"$BATS_TEST_TMPDIR/${arguments[0]}.out"
    for pattern in "${arguments[@]:1}"; do
        # shellcheck disable=SC2053 # the pattern is one
        if ((i >= ${#lines[@]})) || [[ ${lines[i]} != $pattern ]]; then
            report_failure "line $((i + 1)) of what ${arguments[0]} printed is \
not what it should be" "Expected: $pattern
     Got: ${lines[i]-(no such line)}" "$hint" || return
        fi
        i=$((i + 1))
    done
    ((${#lines[@]} == i)) ||
        report_failure "${arguments[0]} printed more lines than it should" \
            "     Got: ${lines[i]}" "$hint"
}

# expect_true SENTENCE [--hint TEXT] -- COMMAND...: COMMAND succeeds. SENTENCE
# says what is wrong when it does not.
expect_true() {
    local hint=''
    local -a arguments
    take_options + "$@" || return
    "${arguments[@]:1}" || report_failure "${arguments[0]}" '' "$hint"
}

# show_difference EXPECTED GOT: the two around the first byte that differs,
# what is invisible made visible, and a caret below it.
show_difference() {
    local columns=${COLUMNS:-80}
    {
        head -c 1000000 "$1" | od -An -v -tu1
        echo end
        head -c 1000000 "$2" | od -An -v -tu1
    } | awk -v width="$((columns > 80 ? 68 : columns - 12))" '
        function visible(byte) {
            if (byte == 10) return "\\n"
            if (byte == 13) return "\\r"
            if (byte == 9) return "\\t"
            if (byte == 0) return "\\0"
            if (byte == 92) return "\\\\"
            if (byte < 32 || byte > 126) return sprintf("\\x%02x", byte)
            return sprintf("%c", byte)
        }
        # From byte number start, as much as fits; -1 if it is not in the row.
        function row(which, start, caret,    i, text, column) {
            column = -1
            text = start > 1 ? "..." : ""
            for (i = start; i <= length_of[which]; i++) {
                if (i == caret) column = length(text)
                if (length(text) > width - 6) return text "..." SUBSEP column
                text = text visible(bytes[which, i])
            }
            if (column < 0) column = length(text)
            return text "(end)" SUBSEP column
        }
        $1 == "end" { which = 1; next }
        { for (i = 1; i <= NF; i++) bytes[which + 0, ++length_of[which + 0]] = $i }
        END {
            first = 1
            while (first <= length_of[0] && first <= length_of[1] &&
                   bytes[0, first] == bytes[1, first]) first++
            start = first > 12 ? first - 11 : 1
            split(row(0, start, first), wanted, SUBSEP)
            split(row(1, start, first), got, SUBSEP)
            printf "Expected: %s\n     Got: %s\n", wanted[1], got[1]
            printf "          %" got[2] + 1 "s byte %d\n", "^", first
        }'
}

# need_faults: sets faulty, what goes before NAME=VALUE... COMMAND... to run a
# command with the faults that faults.c knows.
need_faults() {
    [[ $BUILD != *asan* ]] || skip "no faults under the sanitizers"
    # A relative path: LD_PRELOAD takes a blank in a name for the next name.
    faulty=(env LD_PRELOAD="$BUILD/tests/faults.so")
}

# odd_files: files that are no certificates and no keys in PEM form, or only parts
# of them: cert.der, key.der, public, cut.pem, cut.key and empty, in
# $BATS_TEST_TMPDIR.
odd_files() {
    local folder=$BATS_TEST_TMPDIR
    openssl x509 -in "build/certs/good.pem" -outform DER -out "$folder/cert.der"
    openssl pkey -in "build/certs/good.key" -outform DER -out "$folder/key.der"
    openssl pkey -in "build/certs/good.key" -pubout -out "$folder/public"
    head -c 100 "build/certs/good.pem" >"$folder/cut.pem"
    head -c 100 "build/certs/good.key" >"$folder/cut.key"
    : >"$folder/empty"
    chmod 600 "$folder"/*
}
