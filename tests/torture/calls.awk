# Makes the plan of which call fails when, from strace's log of a run in which
# none does: each call from the first socket on, each time it is made (of one
# that is made often: the first three times, the middle one, the last), each
# error that tests/torture/errors has, once, and those that can happen also three
# times running.
#
# awk -v run=SCENE.TARGET -v options=KEY=VALUE... -v path=FILE -f calls.awk \
#     tests/torture/errors TRACE
FILENAME ~ /errors$/ {
    if (/^#/) next
    call = $1
    for (i = 2; i <= NF; i++) of[call] = of[call] " " $i
    next
}

# PID call(arguments) = result; what is resumed was counted when it began.
$2 ~ /^[a-z_0-9]+\(/ {
    call = $2
    sub(/\(.*/, "", call)
    time = ++made[$1, call]
    if (call == "socket" || call == "socketpair") begun = 1
    if (!begun || call ~ /^(exit|exit_group|brk|rt_sigreturn|restart_syscall|clone3?|vfork|execve|arch_prctl|rseq|set_robust_list|set_tid_address)$/)
        next
    # Nobody can say that nothing can be said.
    if ($2 ~ /^writev?\(2,/ ) next
    if (!((call, time) in seen)) {
        seen[call, time] = 1
        times[call] = times[call] " " time
        if (!(call in order)) { order[call] = ++calls; name[calls] = call }
    }
}

END {
    for (c = 1; c <= calls; c++) {
        call = name[c]
        n = split(times[call], when)
        m = split(call in of ? of[call] : of["*"], errors)
        for (i = 1; i <= n; i++) {
            if (i > 3 && i < n && i != int((n + 3) / 2)) continue
            own = 0
            for (e = 1; e <= m; e++) {
                own = own || errors[e] == "|"
                if (errors[e] == "|") continue
                plan(call, when[i], when[i], errors[e], "once")
                if (!own) plan(call, when[i], when[i] + 2, errors[e], "burst")
            }
        }
    }
}

function plan(call, first, last, error, how) {
    printf "%s|calls|%s %d|%s|%s|%s\t%s\twrap=strace -D -f -qq --seccomp-bpf " \
           "-o %s -e signal=none -e trace=%s -e inject=%s:error=%s:when=%d..%d\n",
           run, call, first, error, call, how, options, path, call, call, error,
           first, last
}
