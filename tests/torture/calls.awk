# Makes the plan of which call fails when, from strace's log of a run in which
# none does: each call from the first socket on (where there is none: from main
# on), each time it is made (of one
# that is made often: the first three times, the middle one, the last), each
# error that tests/torture/errors has, once, and those that can happen also three
# times running. Where that is little, also the others so, or for good.
#
# awk -v run=SCENE.TARGET -v options=KEY=VALUE... -v path=LOG \
#     -v kind=KIND -v follow=-f -v modules=NAME|NAME... -v faults=tests/lib/faults.c, BUILT -f calls.awk \
#     tests/torture/errors TRACE
BEGIN {
    number["EINTR"] = 4; number["EIO"] = 5; number["EBADF"] = 9
    number["ENOSPC"] = 28; number["EDQUOT"] = 122
}

FILENAME ~ /errors$/ {
    if (/^#/) next
    call = $1
    for (i = 2; i <= NF; i++) of[call] = of[call] " " $i
    next
}

# Where strace says who called: what getaddrinfo and its like do inside is no
# program's to mend, nor how libc keeps its memory and its threads; which module
# made the call on the program's behalf is told to the judge; and the calls of
# close that a program makes are counted apart, for a close that strace lets
# fail closes nothing, and ours does.
/^ > / {
    depth++
    if (/\(main\+/) in_main[current] = 1
    if (/\((getaddrinfo|getnameinfo|freeaddrinfo)\+/ ||
        (depth == 2 && /libc[.]so|ld-linux/ && current ~ /^(munmap|madvise|mprotect|futex) /))
        tell(current, "libc")
    if (/lib(crypto|ssl)[.]so/) tell(current, "openssl")
    if (match($0, "[(](" modules ")_[a-z0-9_]+[+]"))
        tell(current, substr($0, RSTART + 1, RLENGTH - 2))
    if (current ~ /^close / && depth == 1 && /\(close\+/ && !(current in own_close))
        own_close[current] = ++closes[caller]
    next
}

function tell(at, word) {
    if (index(" " by[at] " ", " " word " ") == 0)
        by[at] = by[at] (by[at] == "" ? "" : " ") word
}

$2 == "<..." && $4 ~ /^resumed/ {
    caller = $1
    current = pending[$1]
    depth = 0
    next
}

# PID call(arguments) = result; what is resumed was counted when it began. Each
# process and thread has counts of its own: strace counts so, and so do we.
$2 ~ /^[a-z_0-9]+\(/ {
    call = $2
    sub(/\(.*/, "", call)
    if (!(1 in first_caller)) first_caller[1] = $1
    if (!($1 in closes)) closes[$1] = closes[first_caller[1]] + 0
    caller = $1
    time = ++made[$1, call]
    current = pending[$1] = call " " time
    depth = 0
    # A child and a thread has a fault of its own, and so each client of who has a
    # child or a thread each.
    if ($1 != first_caller[1] && forks) tell(current, "each")
    if (call == "fork" || call ~ /^clone/) forks = 1
    if (call == "socket" || call == "socketpair") begun = 1
    if (call ~ /^(exit|exit_group|brk|rt_sigreturn|restart_syscall|clone3?|vfork|execve|arch_prctl|rseq|set_robust_list|set_tid_address)$/)
        next
    # Nobody can say that nothing can be said.
    if ($2 ~ /^writev?\(2,/ ) next
    if (!((call, time) in seen)) {
        seen[call, time] = 1
        key[call, time] = call in of ? call : "*"
        for (special in of)
            if (index(special, call ":") == 1 && index($0, substr(special, length(call) + 2)))
                key[call, time] = special
        if (begun) after_socket[call " " time] = 1
        times[call] = times[call] " " time
        if (!(call in order)) { order[call] = ++calls; name[calls] = call }
    }
}

END {
    for (c = 1; c <= calls; c++) {
        call = name[c]
        n = split(times[call], when)
        for (i = 1; i <= n; i++) {
            m = split(of[key[call, when[i]]], errors)
            if (!((call " " when[i]) in after_socket) &&
                (begun || !((call " " when[i]) in in_main)))
                continue
            if (++chosen[call] > 3 && i < n && i != int((n + 3) / 2)) continue
            own = 0
            for (e = 1; e <= m; e++) {
                own = own || errors[e] == "|"
                if (errors[e] == "|") continue
                plan(call, when[i], when[i], errors[e], "once")
                each[++all] = call SUBSEP when[i] SUBSEP errors[e]
                if (own) few[++fews] = call SUBSEP when[i] SUBSEP errors[e]
                if (!own) plan(call, when[i], when[i] + 2, errors[e], "burst")
            }
        }
    }
    # Who makes few calls has these three times running, too.
    for (i = 1; i <= fews && planned < 220; i++) {
        split(few[i], part, SUBSEP)
        plan(part[1], part[2], part[2] + 2, part[3], "burst")
    }
    # And so has a client all of them from then on; a server would serve nobody.
    for (i = 1; i <= all && planned < 220 && kind != "server"; i++) {
        split(each[i], part, SUBSEP)
        plan(part[1], part[2], part[2] + 999, part[3], "for good")
    }
}

function plan(call, first, last, error, how) {
    planned++
    if (call == "close") {
        if (!((call " " first) in own_close)) return
        printf "%s|calls|%s %d|%s|%s|%s\t%s\tenv=LD_PRELOAD=%s\t" \
               "env=FAULT_ALONE=1\tenv=FAULT_LOG=%s\tenv=FAULT_CALL=close\tenv=FAULT_ERRNO=%d\t" \
               "env=FAULT_AT=%d\tenv=FAULT_TIMES=%d\n",
               run, call, first, error, call, how "|" by[call " " first],
               options, faults, path, number[error], own_close[call " " first],
               last - first + 1
        return
    }
    printf "%s|calls|%s %d|%s|%s|%s|%s\t%s\twrap=strace -D %s -qq " \
           "-o %s -e signal=none -e trace=%s -e inject=%s:error=%s:when=%d..%d\n",
           run, call, first, error, call, how, by[call " " first], options,
           follow == "" ? "" : follow " --seccomp-bpf", path, call, call, error, first, last
}
