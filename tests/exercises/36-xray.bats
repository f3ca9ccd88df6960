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

# counted STATUS LINE... [--hint TEXT]: it ended with that status, and said
# these lines.
counted() {
    local hint='' wanted=''
    local -a arguments
    take_options + "$@" || return
    [[ -z ${arguments[1]-} ]] || printf -v wanted '%s\n' "${arguments[@]:1}"
    printf '%s' "$wanted" >"$BATS_TEST_TMPDIR/counts"
    cmp -s "$BATS_TEST_TMPDIR/counts" "$BATS_TEST_TMPDIR/err" ||
        fail "the counts are not what they should be" --show "$(show_difference \
            "$BATS_TEST_TMPDIR/counts" "$BATS_TEST_TMPDIR/err")" --hint "$hint"
    expect_status "${arguments[0]}" --hint "$hint"
}

status_hint="Your program ends with COMMAND's own status: call waitpid for the \
process that you started, and WEXITSTATUS takes the status out."
fork_hint="start_command forks, and the new process becomes COMMAND. Resume it \
after each stop with PTRACE_SYSCALL, whose last argument is 0 at a stop for a \
call: such a stop passes no signal on. If the new process waits at a pipe, it \
reads its end only when both processes have closed the other end."
trap_hint="With PTRACE_TRACEME, execve ends in a SIGTRAP, and here your \
program passed that on, so COMMAND was killed. With PTRACE_SEIZE, or \
PTRACE_O_TRACEEXEC, there is no such signal."
silent_hint="The counts go to standard error, one line for each call of the \
table that was made. Here COMMAND made none, so print nothing."
own_hint="COMMAND has your program's own standard input and output: it \
inherits them. execvp looks for it in PATH."
begin_hint="Trace COMMAND from before its execvp. Stop it once, with \
PTRACE_INTERRUPT, and resume it with PTRACE_SYSCALL: then it stops at its \
calls. With PTRACE_O_TRACESYSGOOD, PTRACE_GET_SYSCALL_INFO tells which call. \
Count it. In the end, print its name, a blank and the count to standard error."
twice_hint="A traced process stops twice at each call: where the call begins, \
and where it returns. The member op of PTRACE_GET_SYSCALL_INFO tells which: \
count one of them."
op_hint="At the return of a call there is no number of a call, and its result \
may look like one, here 41. Look at op first, and read the number only at the \
beginning of a call."
table_hint="Print one line for each call of the table that was made, in the \
order of the table, and none for the others."
exec_hint="After execve it is the same process, still traced, but ptrace \
reports the execve with a SIGTRAP, which kills it if you pass it on. With \
PTRACE_O_TRACEEXEC the stop is an event and no signal."
child_hint="A child is another process, and it is traced only with \
PTRACE_O_TRACEFORK. Its stops come from the same waitpid, so call that for -1 \
and not for COMMAND alone. What you remember of a process (such as whether it is in \
a call) must be kept for each of them."
ways_hint="There are three ways to make a process, each with its option: fork, \
vfork (posix_spawn uses it), and clone."
many_hint="Many processes may run and stop at the same time. What you remember \
of one (such as whether it is in a call) must be kept for each of them."
thread_hint="A thread has a number of its own, and stops on its own. It is \
traced only with PTRACE_O_TRACECLONE."
threads_hint="Threads stop one by one, each at a call of its own: one may be \
before a call while another is after one. Use op of each stop, not a common \
flag."
left_hint="COMMAND has ended, but its child has not. Call waitpid until it \
fails with ECHILD: only then nobody is left."
last_hint="Your program ends with the status of COMMAND, not with that of the \
process that ended last: compare what waitpid returns with COMMAND's number."
signal_hint="A signal for a traced process stops it, and you have to pass the \
signal on: give it to PTRACE_SYSCALL as the last argument. 0 passes on none."
sigtrap_hint="SIGTRAP may also be sent by kill, and then you have to pass it \
on. With PTRACE_O_TRACESYSGOOD a stop at a call is SIGTRAP | 0x80, and an \
event has a number above the lowest 16 bits of the status: neither is a signal."
stop_hint="A signal has stopped a process, and it has to stay stopped until \
SIGCONT comes, and to go on then. SIGSTOP, SIGTSTP, SIGTTIN and SIGTTOU do that. \
waitpid reports such a stop with PTRACE_EVENT_STOP in status >> 16 and a signal \
that is not SIGTRAP: call PTRACE_LISTEN there, and not PTRACE_SYSCALL."
killed_hint="A signal ended COMMAND: WIFSIGNALED says so, and WTERMSIG which. \
Print killed by signal N after the counts, and end with 128 + N, as a shell \
does."
child_killed_hint="A child of COMMAND was killed, but COMMAND itself was not: \
only COMMAND's own end counts."
doomed_hint="A child was killed while it waited in recvfrom. That call has \
begun, so it counts: count when op is PTRACE_SYSCALL_INFO_ENTRY."

@test "runs COMMAND with its own standard input, output and error" {
    local N M STATUS hint=$fork_hint
    draw
    count "$traced" say "$N.$M"
    [[ $errors != *"signal 5"* ]] || hint=$trap_hint
    expect_end --hint "$hint"
    expect_status 0 --hint "$hint"
    counted 0 --hint "$silent_hint"
    printf '%s\n' "$N.$M" >"$BATS_TEST_TMPDIR/wanted"
    expect_output "$BATS_TEST_TMPDIR/wanted" --hint "$own_hint"
    HAND=("echo $N.$M | $PROGRAM cat")
    INPUT=$BATS_TEST_TMPDIR/wanted
    run_answer "$PROGRAM" cat
    counted 0 --hint "$own_hint"
    expect_output "$BATS_TEST_TMPDIR/wanted" --hint "$own_hint"
}

@test "counts each call of the table once, where it begins" {
    local N M STATUS
    draw
    count "$traced" "sendto*$N"
    expect_end --hint "$begin_hint"
    expect_true "it said nothing of sendto" --hint "$begin_hint" \
        -- test -n "$errors"
    counted 0 "sendto $N" --hint "$twice_hint"
    count "$traced" lures "sendto*$M"
    counted 0 "sendto $M" --hint "$op_hint"
    count "$traced" "recvmsg*$M" "socket*$N" "listen*$M" "socket*$M" "bind*$N"
    counted 0 "socket $((N + M))" "bind $N" "listen $M" "recvmsg $M" \
        --hint "$table_hint"
}

@test "ends with the exit status of COMMAND" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" exit "$STATUS"
    counted "$STATUS" "bind $N" --hint "$status_hint"
}

@test "follows COMMAND when it becomes another program" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" exec "bind*$M" exec "listen*$N" exit "$STATUS"
    counted "$STATUS" "bind $((N + M))" "listen $N" --hint "$exec_hint"
}

@test "counts the calls of children too, and of their children" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" fork "$STATUS" "listen*$M" fork 1 "listen*$N"
    expect_end --hint "$child_hint"
    counted "$STATUS" "bind $N" "listen $((N + M))" --hint "$child_hint"
    count "$traced" vfork "bind*$N"
    expect_end --hint "$ways_hint"
    counted 0 "bind $N" --hint "$ways_hint"
    count "$traced" forks 40 "bind*3"
    expect_end --hint "$many_hint"
    counted 0 "bind 120" --hint "$many_hint"
}

@test "counts the calls of threads too" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" thread "bind*$M"
    expect_end --hint "$thread_hint"
    counted 0 "bind $((N + M))" --hint "$thread_hint"
    count "$traced" threads 10 "bind*$N"
    expect_end --hint "$threads_hint"
    counted 0 "bind $((10 * N))" --hint "$threads_hint"
}

@test "waits for all processes that COMMAND has left behind" {
    local N M STATUS
    draw
    count "$traced" "bind*$N" orphan "$STATUS" "listen*$M"
    expect_end --hint "$left_hint"
    expect_true "it did not count what was made after COMMAND had ended" \
        --hint "$left_hint" -- grep -q ^listen "$BATS_TEST_TMPDIR/err"
    counted "$STATUS" "bind $N" "listen $M" --hint "$last_hint"
}

@test "passes each signal on to the process that it was sent to, and no other signal" {
    local N M STATUS signal
    draw
    count "$traced" catch 10 kill 10 "bind*$N" kill 10 caught 2 exit "$STATUS"
    expect_end --hint "$signal_hint"
    counted "$STATUS" "bind $N" --hint "$signal_hint"
    count "$traced" catch 5 kill 5 "bind*$N" caught 1 exit "$STATUS"
    expect_end --hint "$sigtrap_hint"
    counted "$STATUS" "bind $N" --hint "$sigtrap_hint"
    for signal in 17 18; do
        count "$traced" catch "$signal" kill "$signal" "bind*$N" caught 1 \
            exit "$STATUS"
        counted "$STATUS" "bind $N" --hint "$signal_hint That holds for \
SIGCHLD and SIGCONT, too."
    done
    count "$traced" stopped "bind*$N" exit "$STATUS"
    expect_end --hint "$stop_hint"
    counted "$STATUS" "bind $N" --hint "$stop_hint"
}

@test "says which signal ended COMMAND" {
    local N M STATUS signal
    draw
    for signal in 9 11; do
        count "$traced" "bind*$N" kill "$signal" "bind*$M"
        counted $((128 + signal)) "bind $N" "killed by signal $signal" \
            --hint "$killed_hint"
    done
    count "$traced" fork "$STATUS" "bind*$N" kill 9
    counted "$STATUS" "bind $N" --hint "$child_killed_hint"
}

@test "also counts a call that never returns" {
    local N M STATUS
    draw
    count "$traced" doomed "bind*$N" doomed
    counted 0 "socketpair 2" "bind $N" "recvfrom 2" --hint "$doomed_hint"
}

@test "leaves nothing running when it is killed" {
    local pid tracer
    count "$traced"
    HAND=("$PROGRAM $traced pid hang & sleep 1; kill -9 \$!; ps")
    # bounded ends all that is left when the program that it started has ended:
    # so that is a shell, which outlives the answer.
    # shellcheck disable=SC2016 # for that shell
    start answer bash -c '"$@"; exec "$0" hang' "$traced" \
        "$PROGRAM" "$traced" pid hang
    soon says_or_ended answer '*' || true
    expect_true "COMMAND did not run" --hint "start_command forks, and the new \
process becomes COMMAND." -- says answer '[1-9]*'
    read -r pid <"$BATS_TEST_TMPDIR/answer.out"
    tracer=$(awk '/^TracerPid:/ && $2 > 0 || /^PPid:/ { print $2 }' \
        "/proc/$pid/status" | tail -n 1)
    kill -KILL "$tracer"
    if ! soon is_over "$pid"; then
        kill -KILL "$pid"
        fail "it was killed, and COMMAND runs on" --hint "Set \
PTRACE_O_EXITKILL: then the kernel kills what is traced when its tracer ends, \
in whatever way. Without it COMMAND goes on."
    fi
}

@test "says why COMMAND cannot be run, with status 127" {
    local hint="The file that you began with does this: the new process says \
why, and ends with 127, as a shell would. Your program ends with that status, \
too."
    by_hand "$PROGRAM" build/nothing
    try "$PROGRAM" build/nothing
    expect_status 127 --hint "$hint"
    expect_stderr "*build/nothing: No such file or directory" --hint "$hint"
    HAND=()
    echo hello >"$BATS_TEST_TMPDIR/plain"
    by_hand "echo hello >$BUILD/plain"
    by_hand "$PROGRAM $BUILD/plain; echo \$?"
    try "$PROGRAM" "$BATS_TEST_TMPDIR/plain"
    hint="Here execvp fails because the file may not be executed. A shell ends \
with 126 then, but your program ends with 127 for any reason."
    expect_status 127 --hint "$hint"
    expect_stderr "*plain: Permission denied" --hint "$hint"
}

@test "refuses to run without COMMAND, with status 2" {
    answer
    expect_status 2 --hint "$usage_hint"
    expect_stderr "*usage:*" --hint "$usage_hint"
}
