#!/usr/bin/env bats
# The exercise of 36-xray: how often a command makes each call, `36-xray COMMAND
# [ARGUMENT...]`. Each test's name is a requirement, as a learner reads it.

load ../lib/exercise

traced=$BUILD/peers/traced
# Two tracers are one too many: nothing looks for leaks in what is traced.
[[ $BUILD != *asan* ]] || export ASAN_OPTIONS=detect_leaks=0:handle_segv=0

# count COMMAND...: an answer counts the calls of COMMAND, where this machine
# lets anybody do so.
count() {
    if [[ ! -e $BATS_FILE_TMPDIR/may_trace ]]; then
        "$traced" probe || skip "this machine lets nobody trace a process"
        : >"$BATS_FILE_TMPDIR/may_trace"
    fi
    HAND=()
    answer "$@"
}

# draw: sets N and M, of calls; and STATUS.
draw() {
    N=$((2 + RANDOM % 50))
    M=$((60 + RANDOM % 50))
    STATUS=$((40 + RANDOM % 50))
}

# counted STATUS LINE...: it ended with that status, and said these lines.
counted() {
    local wanted
    printf -v wanted '%s\n' "${@:2}"
    [[ -n ${2-} ]] || wanted=
    printf '%s' "$wanted" >"$BATS_TEST_TMPDIR/counts"
    expect_end_of "$1"
    expect_output "$BATS_TEST_TMPDIR/counts" "$BATS_TEST_TMPDIR/err"
    expect_status_of "$1"
}

# A status above 128 may be what is asked for.
expect_end_of() {
    if ((status == 124 || $1 < 128)); then
        expect_end
    fi
}

expect_status_of() {
    ((status == $1)) ||
        not_yet "its exit status was $status, and should be $1" </dev/null
}

own_status="the status is COMMAND's own: waitpid tells it, of the process that \
you started, and WEXITSTATUS takes it out."

@test "runs the command, with its own standard input and output" {
    local N M STATUS
    draw
    count "$traced" say "$N.$M"
    hint "start_command forks, and the new process becomes COMMAND. Who stops \
for you goes on by PTRACE_SYSCALL, and by nothing else; its last argument is a \
signal, or 0. A stop at a call hands no signal on."
    [[ $errors != *"signal 5"* ]] ||
        hint "for PTRACE_TRACEME, execve ends in a SIGTRAP, and COMMAND was \
killed by it. Nobody sent it: with PTRACE_SEIZE, or PTRACE_O_TRACEEXEC, there \
is none."
    expect_status 0
    hint "that goes to standard error, and only where there is something to \
say."
    counted 0
    hint "what COMMAND prints goes where your program's own output goes."
    printf '%s\n' "$N.$M" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted"
    HAND=("echo $N.$M | $PROGRAM cat")
    status=0
    bounded "$PROGRAM" cat <"$BATS_TEST_TMPDIR/wanted" >"$OUT" \
        2>"$BATS_TEST_TMPDIR/err" 3>&- || status=$?
    hint "COMMAND inherits your standard input; execvp looks for it in PATH."
    counted 0
    expect_output "$BATS_TEST_TMPDIR/wanted"
}

@test "counts each call once, and says them in the order of the table" {
    local N M STATUS
    draw
    count "$traced" "sendto*$N"
    hint "trace COMMAND from before its execvp on, and resume it with \
PTRACE_SYSCALL: it stops at its calls. With PTRACE_O_TRACESYSGOOD, \
PTRACE_GET_SYSCALL_INFO says which call that is. A line is the call's name, a blank, and how often it was made; it goes \
to standard error."
    expect_true "it said nothing of sendto" says_something
    hint "a traced process stops twice at each call: where it begins, and \
where it returns. PTRACE_GET_SYSCALL_INFO tells one from the other: op."
    counted 0 "sendto $N"
    count "$traced" lures "sendto*$M"
    hint "at a return there is no number of a call: what stands in its place is \
the result, which may be 41 as well. Look at op first."
    counted 0 "sendto $M"
    count "$traced" "recvmsg*$M" "socket*$N" "listen*$M" "socket*$M" "bind*$N"
    hint "one line for each call that was made, in the order of the table, and \
none for the others."
    counted 0 "socket $((N + M))" "bind $N" "listen $M" "recvmsg $M"
}

says_something() {
    [[ -s $BATS_TEST_TMPDIR/err ]] || ((status == 124))
}

@test "ends with the command's own status" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" exit "$STATUS"
    hint "$own_status"
    counted "$STATUS" "bind $N"
}

@test "follows the command when it becomes another program" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" exec "bind*$M" exec "listen*$N" exit "$STATUS"
    hint "after execve it is the same process, still traced. But ptrace tells \
of it by a SIGTRAP, and whoever hands that on kills it. With \
PTRACE_O_TRACEEXEC that stop is an event, which no signal is."
    counted "$STATUS" "bind $((N + M))" "listen $N"
}

@test "counts the calls of children, and of theirs" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" fork "$STATUS" "listen*$M" fork 1 "listen*$N"
    hint "a child is another process, and nobody traces it unless you said \
that children are to be: PTRACE_O_TRACEFORK. Then its stops are told by the \
same waitpid: for -1, not for COMMAND alone."
    counted "$STATUS" "bind $N" "listen $((N + M))"
    count "$traced" vfork "bind*$N"
    hint "there are three ways to make a process, and three options: fork, \
vfork (as posix_spawn makes it), and clone."
    counted 0 "bind $N"
    count "$traced" forks 40 "bind*3"
    hint "any number of them may run, and stop, at the same time: what you \
remember of one is not true of another."
    counted 0 "bind 120"
}

@test "counts the calls of threads" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" thread "bind*$M"
    hint "a thread has a number of its own, stops on its own, and is traced \
only if new ones are to be: PTRACE_O_TRACECLONE."
    counted 0 "bind $((N + M))"
    count "$traced" threads 10 "bind*$N"
    hint "threads stop one by one, and each at a call of its own: one may \
stand before a call while another stands behind one."
    counted 0 "bind $((10 * N))"
}

@test "waits for all that the command has left behind" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" orphan "$STATUS" "listen*$M"
    hint "COMMAND has ended, and a child of it has not: waitpid fails, with \
ECHILD, when really nobody is left."
    expect_true "it did not count what was made after COMMAND had ended" \
        counts_listen
    hint "$own_status It is not that of whoever ended last."
    counted "$STATUS" "bind $N" "listen $M"
}

counts_listen() {
    grep -q ^listen "$BATS_TEST_TMPDIR/err" || ((status == 124))
}

@test "hands each signal on, and no other" {
    local N M STATUS
    draw
    count "$traced" catch 10 kill 10 "bind*$N" kill 10 caught 2 exit "$STATUS"
    hint "a signal for a traced process stops it, and is then yours: the last \
argument of PTRACE_SYSCALL hands it on. 0 hands on none."
    counted "$STATUS" "bind $N"
    count "$traced" catch 5 kill 5 "bind*$N" caught 1 exit "$STATUS"
    hint "SIGTRAP may be a signal like any other, sent by kill. With \
PTRACE_O_TRACESYSGOOD a stop at a call is SIGTRAP | 0x80, and an event has a \
number above the lowest 16 bits of the status: neither is a signal."
    counted "$STATUS" "bind $N"
}

@test "says which signal ended the command" {
    local N M STATUS signal
    draw
    for signal in 9 11; do
        count "$traced" "bind*$N" kill "$signal" "bind*$M"
        hint "a signal ended COMMAND: WIFSIGNALED, WTERMSIG. Say so after the \
counts, killed by signal $signal, and end with 128 and its number, as a shell \
does."
        counted $((128 + signal)) "bind $N" "killed by signal $signal"
    done
    count "$traced" fork "$STATUS" "bind*$N" kill 9
    hint "a child of COMMAND was killed, and COMMAND itself was not."
    counted "$STATUS" "bind $N"
}

@test "counts a call that never returns" {
    local N M STATUS
    draw
    count "$traced" doomed "bind*$N" doomed
    hint "a child was waiting in recvfrom when it was killed: that call has \
begun, and so it counts. Count at the beginning, op is \
PTRACE_SYSCALL_INFO_ENTRY."
    counted 0 "socketpair 2" "bind $N" "recvfrom 2"
}

@test "takes all that it traces with it when it is killed" {
    local pid tracer
    count "$traced"
    HAND=("$PROGRAM $traced pid hang & sleep 1; kill -9 \$!; ps")
    start answer "$PROGRAM" "$traced" pid hang
    soon says_or_ended answer '*' || true
    hint "start_command forks, and the new process becomes COMMAND."
    expect_true "COMMAND did not run" says answer '[1-9]*'
    read -r pid <"$BATS_TEST_TMPDIR/answer.out"
    tracer=$(pid_of answer)
    kill -KILL "$tracer"
    hint "PTRACE_O_EXITKILL: what is traced is killed when its tracer ends, \
however that ends. Without it COMMAND goes on, and nobody looks after it."
    if ! soon is_gone "$pid"; then
        kill -KILL "$pid"
        not_yet "it was killed, and COMMAND runs on" </dev/null
    fi
}

# It may wait for somebody to ask for its status: that is no life.
is_gone() {
    local line
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
    [[ $line == *') Z '* ]]
}

@test "says why the command cannot be run, with status 127" {
    hint "what you were given to start with does this: the new process says \
so, and ends with 127, as a shell would."
    by_hand "$PROGRAM" build/nothing
    try "$PROGRAM" build/nothing
    expect_status 127
    expect_stderr "*build/nothing: No such file or directory"
}

@test "refuses to run without a command" {
    answer
    hint "argc counts the program's own name too. Usage goes to standard \
error, and the status is 2."
    expect_status 2
    expect_stderr "usage: *"
}
