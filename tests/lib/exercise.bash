# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# How an exercise is checked: `load ../lib/exercise`. The tests run whatever
# program PROGRAM names: a learner's answer, the solution, the starter, a wrong
# answer. A test that fails explains itself to a learner, between the lines
# `>>>` and `<<<`: what is missing, expected and got, the way to see it by hand,
# and the hint of the expectation that failed.
load ../lib/common

lesson=${BATS_TEST_FILENAME##*/}
lesson=${lesson%.bats}
PROGRAM=${PROGRAM:-$BUILD/solution/$lesson}
# The port in the commands that a learner is told to try.
HAND_PORT=80${lesson%%-*}
FAIL_FAST=${FAIL_FAST-1}
SECONDS_ALLOWED=2
[[ $BUILD != *asan* ]] || SECONDS_ALLOWED=10
# What prints more bytes than this, and does not end, is in a loop that prints.
most_printed=1100000
HAND=()
# The name of the learner's program in the background that a failure is about;
# empty for the one that ran last in the foreground.
about=

PAUSE_SECONDS=0.002 # somebody waits for the verdict

# With XRAY set, each run of the learner's program is X-rayed; the picture of a
# test's last one is in $XRAY.N, where N is the number of the test. What ends a
# program that hangs is then the X-ray, which takes its time to draw; and as it
# looks at each call, the program has some more time.
if [[ -n ${XRAY-} ]]; then
    choose_lens() {
        local argument
        allowed=$((${1%.*} + 22)) # of 0.5 too
        lens=()
        for argument in "${@:2}"; do
            [[ $argument != "$PROGRAM" ]] || lens=("$BUILD/36-xray" -t
                "$((${1%.*} + 1)).7" -o "$XRAY.$BATS_TEST_NUMBER" -c)
        done
    }
fi

# report_failure SENTENCE LINES HINT: common.bash's, for a learner: what is
# missing, lines that show it, and the hint. But a program that crashed or did
# not end shows nothing of what was asked for: then that is said, and how to
# find it.
report_failure() {
    end_background
    if has_crashed; then
        report_crash
    elif [[ -z $about && -s $BATS_TEST_TMPDIR/ending ]]; then
        report_ending ''
    else
        report "$@"
    fi
}

# report SENTENCE LINES HINT: the block that scripts/learn reads.
report() {
    {
        echo '>>>'
        printf 'But: %s\n' "$1"
        [[ -z $2 ]] || printf '%s\n' "$2"
        if [[ -s $BATS_TEST_TMPDIR/ending ]]; then
            printf 'Ended: %s\n' "$(<"$BATS_TEST_TMPDIR/ending")"
        fi
        if [[ -s $BATS_TEST_TMPDIR/err ]]; then
            head -n 5 "$BATS_TEST_TMPDIR/err" | cut -c 1-500 |
                sed 's/^/It said: /'
        fi
        ((${#HAND[@]} == 0)) || printf 'Try: %s\n' "${HAND[@]}"
        printf 'Hint: %s\n' "$3"
        echo '<<<'
    } >&2
    return 1
}

# has_crashed: a signal ended the program, and none that a test sent to it.
has_crashed() {
    local ending=''
    [[ ! -e $BATS_TEST_TMPDIR/ending ]] || ending=$(<"$BATS_TEST_TMPDIR/ending")
    [[ $ending == "it was ended by "* && $ending != *SIGTERM* ]]
}

report_crash() {
    local hint sanitize="Build it with \`make SANITIZE=1 BUILD=build/asan \
build/asan/work/$lesson\` and run build/asan/work/$lesson: that names the line."
    case $(<"$BATS_TEST_TMPDIR/ending") in
    *SIGSEGV* | *SIGBUS*) hint="Your program used memory that is not its own: \
most often a pointer is NULL or points to freed memory, or an index is beyond \
the end of an array. $sanitize" ;;
    *SIGABRT*)
        case $(<"$BATS_TEST_TMPDIR/err") in
        *"buffer overflow"* | *"stack smashing"* | *fd_set*) hint="Your \
program wrote more into an array than there is room for. (An fd_set is an \
array too, for descriptors 0 to 1023.) $sanitize" ;;
        *) hint="The last line on standard error says why it was stopped. If \
that is about free or malloc, memory was freed twice or written beyond its \
end. $sanitize" ;;
        esac
        ;;
    *SIGPIPE*) hint="A write to a connection or a pipe that nobody reads any \
more raises SIGPIPE, and that signal ends your program. Call signal(SIGPIPE, \
SIG_IGN) at the start: then the write returns -1 instead, with EPIPE." ;;
    *SIGFPE*) hint="Your program divided a number by 0: look at each / and %. \
$sanitize" ;;
    *SIGXFSZ*)
        report_endless_output
        return
        ;;
    *) hint=$sanitize ;;
    esac
    report "it crashed" '' "$hint"
}

report_endless_output() {
    report "it printed without end" '' "The loop that prints never ends. It \
has to end when a call in it returns 0 (the end) or -1 (an error)."
}

# report_ending HINT: the program did not end by itself. HINT is there if that
# is what the requirement is about.
report_ending() {
    local hint=$1 ending call
    ending=$(<"$BATS_TEST_TMPDIR/ending")
    if has_crashed; then
        report_crash
        return
    fi
    if [[ -n $(find "$OUT" "$BATS_TEST_TMPDIR/err" -size "+${most_printed}c" \
        2>/dev/null) ]]; then
        report_endless_output
        return
    fi
    if [[ -z $hint && $ending == *"waiting in "* ]]; then
        call=${ending#*waiting in }
        hint="Your program was waiting in ${call%% on *}, and nothing came \
that would end that wait. Find this call: should the loop around it have ended \
before, or should something else have been done first?"
    elif [[ -z $hint ]]; then
        hint="One of your loops never ends. A loop around a call has to end \
when the call returns 0 or -1; in any other loop, something has to change its \
condition."
    fi
    report "it did not end within $SECONDS_ALLOWED seconds" '' "$hint"
}

# end_background: ends the program of the learner that is running in the
# background, so that a report can tell what it said, and how it ended or what
# it was doing.
end_background() {
    local name=$BATS_TEST_TMPDIR/$about signal=USR1
    [[ $about ]] || return 0
    if [[ -s $name.pid ]]; then
        # An X-ray has to be finished: its program is asked to end, not made to.
        [[ -z ${XRAY-} ]] || signal=TERM
        # What of this lands where its guard is not waiting is said again.
        while is_running "$about"; do
            kill -s "$signal" "$(<"$name.pid")" 2>/dev/null || true
            pause
        done
        finish "$about"
        [[ -s $name.ending ]] ||
            echo "it ended, with status $ended" >"$name.ending"
    fi
    cp "$name.err" "$BATS_TEST_TMPDIR/err"
    if [[ -s $name.ending && $(<"$name.ending") != *SIGTERM* ]]; then
        cp "$name.ending" "$BATS_TEST_TMPDIR/ending"
    fi
}

# environment SENTENCE: the check itself could not be made. No fault of the
# learner's.
environment() {
    printf '>>>\nEnvironment: %s\n<<<\n' "$1" >&2
    return 1
}

# by_hand COMMAND...: the way to see the same thing in a terminal. A COMMAND of
# several words is quoted as a shell needs it; a single one is a whole line, as
# it is typed. What is in a folder of the test is shown in $BUILD instead.
by_hand() {
    local line=${1//"$BATS_TEST_TMPDIR"/$BUILD}
    if (($# > 1)); then
        printf -v line '%q ' "${@//"$BATS_TEST_TMPDIR"/$BUILD}"
        line=${line% }
    fi
    [[ -z ${PORT-} ]] || line=${line//"$PORT"/$HAND_PORT}
    HAND+=("$line")
}

# next_run: what follows in the same test is another run: what was started is
# stopped, and what was to be tried by hand forgotten.
next_run() {
    stop_all
    HAND=()
}

# peer PROGRAM OPTIONS FACE: starts the server side of tests/peers/PROGRAM with
# a payload that nobody has seen before; sets PORT; the payload is in
# $PAYLOAD. OPTIONS is one string, possibly empty.
peer() {
    local program=$BUILD/peers/$1
    local -a options
    read -ra options <<<"$2"
    options=(-s "$((RANDOM * 32768 + RANDOM + 2))" "${options[@]}")
    PAYLOAD=$BATS_TEST_TMPDIR/payload
    "$program" "${options[@]}" payload "$3" >"$PAYLOAD" ||
        environment "$program does not run"
    start_server peer "$program" "${options[@]}" serve "$3" ||
        environment "$program cannot listen on 127.0.0.1"
    by_hand "$program" "${options[@]}" -p "$PORT" serve "$3"
}

# answer ARGUMENT...: runs the learner's program with the input $INPUT, or none.
# Sets status and errors, and OUT, the file with what it printed. Judges nothing
# yet.
answer() {
    by_hand "$PROGRAM" "$@"
    run_answer "$PROGRAM" "$@"
}

# run_answer COMMAND...: the same for a COMMAND that has the learner's program
# in it; what to try by hand is told by its caller.
run_answer() {
    run_answer_to "$BATS_TEST_TMPDIR/out" "$@"
}

# run_answer_to OUTPUT COMMAND...: the same, with another file for standard
# output, or with a standard output as it is for an OUTPUT of -.
run_answer_to() {
    about=
    try_with "${INPUT:-/dev/null}" "$@"
    case $status in
    126 | 127) environment "$PROGRAM does not run" ;;
    esac
}

# start_answer ARGUMENT...: starts the learner's program, under the name
# `answer`, and does not wait for it.
start_answer() {
    by_hand "$PROGRAM" "$@"
    about=answer
    start answer "$PROGRAM" "$@"
}

# finish_answer [NAME]: waits for what was started under that name, `answer` if
# there is none; then all is as after `answer`.
finish_answer() {
    local name=${1:-answer}
    finish "$name"
    about=
    status=$ended
    OUT=$BATS_TEST_TMPDIR/$name.out
    cp "$BATS_TEST_TMPDIR/$name.err" "$BATS_TEST_TMPDIR/err"
    : >"$BATS_TEST_TMPDIR/ending"
    if [[ -e $BATS_TEST_TMPDIR/$name.ending ]]; then
        cp "$BATS_TEST_TMPDIR/$name.ending" "$BATS_TEST_TMPDIR/ending"
    fi
    read_errors
}

# answer_serves ARGUMENT... [--hint TEXT]: starts the learner's program as a
# server; sets PORT to the one it says that it listens on. Where it says nothing
# of the kind, or ends first, it is explained to the learner. With `faulty` set
# (see need_faults) it meets these faults.
answer_serves() {
    local line='' argument hint=''
    local -a shown=() arguments
    take_options + "$@" || return
    for argument in "${arguments[@]}"; do
        # A port that the kernel chooses is of no use by hand.
        [[ $argument != 0 ]] || argument=$HAND_PORT
        shown+=("$argument")
    done
    by_hand "${faulty[@]}" "$PROGRAM" "${shown[@]}"
    PORT=
    about=server
    : >"$BATS_TEST_TMPDIR/ending"
    : >"$BATS_TEST_TMPDIR/server.ending"
    start server "${faulty[@]}" "$PROGRAM" "${arguments[@]}"
    soon says_or_ended server '*' || true
    if ! is_running server && ! says server '*'; then
        end_background
        case $ended in
        126 | 127) environment "$PROGRAM does not run" ;;
        esac
        fail "it ended before it said what it listens on" --hint "$hint"
    fi
    IFS= read -r line <"$BATS_TEST_TMPDIR/server.out" || {
        HAND[-1]+=" | cat" # to a terminal, a line goes without fflush too
        fail "it runs, but has not said what it listens on" \
            --show "$(show_listening)" --hint "$hint"
    }
    [[ $line =~ ^'listening on 127.0.0.1:'([0-9]+)$ ]] ||
        fail "its first line does not say what it listens on" \
            --show "$(show_listening)" --hint "$hint"
    PORT=${line##*:}
}

show_listening() {
    local example='listening on 127.0.0.1:54321\n'
    head -n 1 "$BATS_TEST_TMPDIR/server.out" >"$BATS_TEST_TMPDIR/line"
    # shellcheck disable=SC2059 # it has an escape for printf
    show_difference <(printf "$example") "$BATS_TEST_TMPDIR/line" |
        sed '1s/$/ (or another port)/; 3d'
}

# soon COMMAND...: looks until COMMAND succeeds, SECONDS_ALLOWED at most.
soon() {
    local end=$((${EPOCHREALTIME/./} + SECONDS_ALLOWED * 1000000))
    until "$@"; do
        ((${EPOCHREALTIME/./} < end)) || return 1
        pause
    done
}

# expect_usage: the answer, called with the wrong number of arguments, says how it
# is called.
expect_usage() {
    expect_end --hint "$usage_hint"
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
    HAND=()
}

# open_unread_pipe: descriptor 7 is a pipe whose reader has gone.
open_unread_pipe() {
    mkfifo "$BATS_TEST_TMPDIR/unread"
    exec 8<>"$BATS_TEST_TMPDIR/unread"
    exec 7>"$BATS_TEST_TMPDIR/unread" 8<&-
}

# prints_more_than FILE: the output is what FILE holds, and something after it.
prints_more_than() {
    local wanted got
    wanted=$(wc -c <"$1")
    got=$(wc -c <"$OUT")
    ((got > wanted)) && cmp -sn "$wanted" "$1" "$OUT"
}

# expect_no_loss FILE: write has taken only a part, and all that FILE holds was
# printed, or else it was said that something was not.
expect_no_loss() {
    [[ $status == 1 && -n $errors ]] ||
        expect_output "$1" --hint "$short_write_hint"
}

# ---- hints that many exercises give ---------------------------------------

usage_hint="argc counts the program's own name too. If the number of arguments \
is wrong, print the usage on standard error and end with status 2."
port_hint="Check the port yourself: it has digits and nothing else, and is at \
most 65535. atoi stops at the first letter and reports no error, and a larger \
number loses its top bits in the 16 bits of a port."
output_hint="printf, fwrite and fflush return whether the bytes could be \
written: check that. Call fflush before the end, because until then the bytes \
may still be in a buffer."
fwrite_hint="Check what each fwrite returns. Where it has written a piece at \
once and failed, nothing of that is left in its buffer, so the last fflush knows \
nothing of it and returns 0."
short_write_hint="write may take only a part of what you give it, as it does \
here, and on a disk that is nearly full. It returns how many bytes it took: call \
it again with the rest. fwrite does that for you."
reset_hint="recv returns the number of bytes, or 0 at the end, or -1 for an \
error. A reset is an error: print what came before it, then the reason on \
standard error, and end with status 1."
bytes_hint="Bytes from a socket are not a C string: a NUL may be among them, \
and none is behind them. Use fwrite, which takes a length; printf's %s stops \
at the first NUL."
short_recv_hint="recv returns what has arrived so far, which may be less than \
was sent. Call it again until it returns 0."
end_hint="recv returns 0 when the server has ended its side of the connection. \
That is the end of your loop: no more bytes will come."
