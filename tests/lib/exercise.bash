# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# How an exercise is checked: `load ../lib/exercise`. The tests run whatever
# program PROGRAM names: a learner's answer, the solution, the starter, a wrong
# answer. A test that fails explains itself to a learner, between the lines
# `>>>` and `<<<`: what is missing, expected and got, the way to see it by hand,
# and the hint meant for that mistake.
load ../lib/common

lesson=${BATS_TEST_FILENAME##*/}
lesson=${lesson%.bats}
PROGRAM=${PROGRAM:-$BUILD/solution/$lesson}
# The port in the commands that a learner is told to try.
HAND_PORT=80${lesson%%-*}
FAIL_FAST=${FAIL_FAST-1}
SECONDS_ALLOWED=2
HINT=
HAND=()
# What a failure is about: the last answer, or the server that answer_serves
# started.
about=answer

# pause: common.bash's, shorter: here somebody waits for the verdict.
pause() {
    [[ -p $BATS_RUN_TMPDIR/never ]] || mkfifo "$BATS_RUN_TMPDIR/never" || true
    read -rt 0.002 <>"$BATS_RUN_TMPDIR/never" || true
}

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

# hint TEXT: for a reader whose program fails in what is asked next.
hint() {
    HINT=$*
}

# not_yet SENTENCE: ends the test, and says to the learner what is missing. On
# its standard input: lines that show it.
not_yet() {
    end_server
    {
        echo '>>>'
        printf 'But: %s\n' "$1"
        cat
        if [[ -s $BATS_TEST_TMPDIR/ending ]]; then
            printf 'Ended: %s\n' "$(<"$BATS_TEST_TMPDIR/ending")"
        fi
        if [[ -s $BATS_TEST_TMPDIR/err ]]; then
            head -n 5 "$BATS_TEST_TMPDIR/err" | sed 's/^/It said: /'
        fi
        ((${#HAND[@]} == 0)) || printf 'Try: %s\n' "${HAND[@]}"
        printf 'Hint: %s\n' "$HINT"
        echo '<<<'
    } >&2
    return 1
}

# end_server: ends the program that answer_serves started, so that not_yet can
# tell what it said and how it ended, or what it was doing.
end_server() {
    local name=$BATS_TEST_TMPDIR/server signal=USR1
    [[ $about == server && -s $name.pid ]] || return 0
    # An X-ray has to be finished: its program is asked to end, not made to.
    [[ -z ${XRAY-} ]] || signal=TERM
    # What of this lands where its guard is not waiting is said again.
    while is_running server; do
        kill -s "$signal" "$(<"$name.pid")" 2>/dev/null || true
        pause
    done
    finish server
    cp "$name.err" "$BATS_TEST_TMPDIR/err"
    [[ -s $name.ending ]] || echo "it ended, with status $ended" >"$name.ending"
    cp "$name.ending" "$BATS_TEST_TMPDIR/ending"
}

# environment SENTENCE: the check itself could not be made. No fault of the
# learner's.
environment() {
    printf '>>>\nEnvironment: %s\n<<<\n' "$1" >&2
    return 1
}

# by_hand COMMAND...: the way to see the same thing in a terminal.
by_hand() {
    local quoted
    printf -v quoted '%q ' "$@"
    quoted=${quoted% }
    HAND+=("${quoted//${PORT:-none}/$HAND_PORT}")
}

# peer PROGRAM OPTIONS FACE: starts the server side of tests/peers/PROGRAM with
# a payload that nobody has seen before; sets PORT; the payload is in
# $PAYLOAD. OPTIONS is one string, possibly empty.
peer() {
    local program=$BUILD/tests/$1
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

# answer ARGUMENT...: runs the learner's program. Sets status and errors, and
# OUT, the file with what it printed. Judges nothing yet.
answer() {
    about=answer
    : >"$BATS_TEST_TMPDIR/ending"
    by_hand "$PROGRAM" "$@"
    try "$PROGRAM" "$@"
    case $status in
    126 | 127) environment "$PROGRAM does not run" ;;
    esac
}

# answer_serves ARGUMENT...: starts the learner's program as a server; sets
# PORT to the one it says that it listens on. Where it says nothing of the kind,
# or ends first, it is explained to the learner. With `faulty` set (see
# need_faults) it meets these faults.
answer_serves() {
    local line='' argument
    local -a shown=()
    for argument; do # a port that the kernel chooses is of no use by hand
        [[ $argument != 0 ]] || argument=$HAND_PORT
        shown+=("$argument")
    done
    by_hand "$PROGRAM" "${shown[@]}"
    PORT=
    about=server
    : >"$BATS_TEST_TMPDIR/server.ending"
    start server "${faulty[@]}" "$PROGRAM" "$@"
    soon says_or_ended server '*' || true
    if ! is_running server && ! says server '*'; then
        end_server
        case $ended in
        126 | 127) environment "$PROGRAM does not run" ;;
        esac
        not_yet "it ended before it said what it listens on" </dev/null
    fi
    IFS= read -r line <"$BATS_TEST_TMPDIR/server.out" ||
        not_yet "it runs, but has not said what it listens on" \
            < <(show_listening)
    [[ $line =~ ^'listening on 127.0.0.1:'([0-9]+)$ ]] ||
        not_yet "its first line does not say what it listens on" \
            < <(show_listening)
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

# open_unread_pipe: descriptor 7 is a pipe whose reader has gone.
open_unread_pipe() {
    mkfifo "$BATS_TEST_TMPDIR/unread"
    exec 8<>"$BATS_TEST_TMPDIR/unread"
    exec 7>"$BATS_TEST_TMPDIR/unread" 8<&-
}

# expect_end: the last answer ended by itself, and not by a signal.
expect_end() {
    if ((status == 124)); then
        not_yet "it did not end within $SECONDS_ALLOWED seconds" </dev/null
    elif ((status > 128)); then
        not_yet "it crashed" </dev/null
    fi
}

expect_status() {
    expect_end
    ((status == $1)) ||
        not_yet "its exit status was $status, and should be $1" </dev/null
}

# expect_output FILE [GOT]: exactly these bytes in GOT, $OUT unless given.
expect_output() {
    cmp -s "$1" "${2:-$OUT}" && return
    not_yet "what it printed is not what it should be" \
        < <(show_difference "$1" "${2:-$OUT}")
}

# prints_more_than FILE: the output is what FILE holds, and something after it.
prints_more_than() {
    local wanted got
    wanted=$(wc -c <"$1")
    got=$(wc -c <"$OUT")
    ((got > wanted)) && cmp -sn "$wanted" "$1" "$OUT"
}

# expect_stderr PATTERN: standard error is that.
expect_stderr() {
    # shellcheck disable=SC2053 # the pattern is one
    [[ $errors == $1 ]] && return
    not_yet "standard error is not what it should be" \
        <<<"Expected: ${1//\*/...}"
}

# expect_true SENTENCE COMMAND...: COMMAND succeeds, or SENTENCE is what is
# wrong.
expect_true() {
    local sentence=$1
    shift
    "$@" || not_yet "$sentence" </dev/null
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
