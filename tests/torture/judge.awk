# Judges runs: for each line of RESULTS, a verdict and the label, and what there
# was to see. REFERENCE has undisturbed runs of the same scenes.
#
# awk -v lesson=NN-name -f judge.awk tests/torture/reasons tests/torture/varies \
#     tests/torture/known REFERENCE RESULTS
#
#     idle     the fault did not fire
#     same     it did its work all the same
#     said     it did not, and said in which call, and why
#     excused  tests/torture/known says why nothing else can be
#     floor    what broke is libc's own, inside of getaddrinfo or of its threads;
#              or OpenSSL or the loader made a call, or had no memory, and gave
#              another reason
#     half     it did not, and said so, but not in which call, or not why
# and what must not be:
#     crash hang wrong silent dead unserved lost
BEGIN { FS = "\t" }

FILENAME ~ /reasons$/ {
    if (/^#/) next
    name = $0
    sub(/ .*/, "", name)
    sub(/^[A-Z0-9]+ +/, "")
    reason[name] = $0
    next
}

FILENAME ~ /known$/ {
    if ($1 == lesson) excused[++excuses] = $2
    next
}

function is_excused(    i) {
    for (i = 1; i <= excuses; i++)
        if ($1 ~ excused[i]) return 1
    return 0
}

FILENAME ~ /varies$/ {
    if ($1 == lesson) varying[++vary] = $2
    next
}

# 1 label, 2 fired, and whose memory it was, 3 ready, 4 end, 5 told, 6 descriptors, 7 out, 8 err,
# 9 clients, 10... the rounds
{
    split($1, label, "|")
    run = label[1]
    part = label[2]
    for (i = 7; i <= NF; i++) {
        gsub(/:[0-9][0-9][0-9][0-9]+/, ":PORT", $i)
        gsub(/slot-[0-9]+/, "slot", $i)
        for (v = 1; v <= vary && i != 8; v++) gsub(varying[v], "(varies)", $i)
    }
}

part == "reference" {
    references[run]++
    ready[run] = $3
    end[run] = $4
    told[run] = $5
    if (!(run in holds) || $6 > holds[run]) holds[run] = $6
    if ($7 ~ /INET6|::1/) has6[run] = 1
    remember(run " out", $7)
    remember(run " clients", $9)
    for (i = 10; i <= NF; i++) remember(run " clients", $i)
    next
}

{
    verdict = judge()
    if (made_by("libc") && verdict ~ /^(crash|hang|wrong|silent|half)$/) verdict = "floor"
    # Whoever called it: what glibc says when no kernel would have said that.
    if ($8 ~ /^The futex facility returned an unexpected error code/) verdict = "floor"
    if (verdict == "half" && made_by("openssl") && $8 ~ /ssl|SSL/) verdict = "floor"
    # Once without memory, its generator may fail for ever: the server says so.
    if (part == "memory" && verdict == "unserved" && $8 != "" && $2 ~ /libcrypto/) verdict = "floor"
    if (part == "memory" && verdict == "half" && $2 ~ /libcrypto|libssl|ld-linux/) verdict = "floor"
    printf "%s\t%s\t%s\t%s\t%s\n", verdict, $1, $4, $8, $7
}

# What the plan says of who made the call: see calls.awk.
function made_by(word) {
    return index(" " label[7] " ", " " word " ") > 0
}

# Words that differ between undisturbed runs say nothing.
function remember(key, text,    words, n, i, group) {
    gsub(/\\n/, " \\n ", text)
    n = split(text, words, / +/)
    group = key SUBSEP n
    if (!(group in known)) {
        known[group] = n
        for (i = 1; i <= n; i++) word[group, i] = words[i]
    }
    for (i = 1; i <= n; i++)
        if (word[group, i] != words[i]) varies[group, i] = 1
}

function is_known(key, text,    words, n, i, group) {
    gsub(/\\n/, " \\n ", text)
    n = split(text, words, / +/)
    group = key SUBSEP n
    if (!(group in known)) return 0
    for (i = 1; i <= n; i++)
        if (word[group, i] != words[i] && !((group, i) in varies)) return 0
    return 1
}

function judge(    i, all, fault) {
    fault = part == "calls" || part == "memory"
    if (fault && $2 == 0) return "idle"
    if (is_excused()) return "excused"
    if ($4 == "hung") return "hang"
    if ($4 ~ /^signal/ && !($5 == "told" && $4 == end[run])) return "crash"
    all = is_known(run " out", $7) && is_known(run " clients", $9) && $4 == end[run]
    # Who only looks on, as a sniffer does, may end when it can't look any more.
    if (told[run] == "told" && $3 == "capturing" && $5 != "told")
        return $4 == "exit 0" ? "dead" : how_it_says($8)
    if (told[run] == "told" && $3 == "listening") {
        # Who cannot write what it is there to write may end, saying so.
        if ($5 != "told")
            return $4 == "exit 1" && says_why($8) && (label[5] ~ /^write/ ||
                label[3] ~ /^out /) ? "said" : "dead"
        # Where each client has a child or a thread, each meets the fault; and
        # where there is no memory any more, it may be that nobody is served.
        for (i = NF - 1; i <= NF; i++)
            if (i > 9 && !is_known(run " clients", $i) &&
                ((!made_by("each") && label[4] != "from then on") ||
                 $i ~ /^[^ ]+ hung/)) return "unserved"
        if ($6 > holds[run]) return "lost"
        for (i = 10; i <= NF; i++)
            all = all && is_known(run " clients", $i)
        if (all || (part == "peers" && $4 == end[run])) return "same"
        return how_it_says($8 " " new_lines())
    }
    if (all) return "same"
    if ($4 == "exit 0" && part == "peers") return "same"
    # What there is to print of addresses is another thing without IPv6, which
    # a loopback with packets of 68 bytes has not got either.
    if ($4 == "exit 0" && label[3] ~ /^(no IPv6|packets)/ && has6[run]) return "same"
    # Some are there to print what calls return.
    if ($4 == "exit 0" && part == "calls" && index($7, label[4]) && names_call($7))
        return "said"
    if ($4 == "exit 0") return "wrong"
    return how_it_says($8 == "" ? "" : $8 " " new_lines())
}

# What it printed, as far as it is not what it always does.
function new_lines() {
    return is_known(run " out", $7) ? "" : $7
}

function how_it_says(text) {
    if (part == "places" && label[3] ~ /^err /) return $4 != end[run] ? "said" : "silent"
    if (says_why(text)) return "said"
    return $8 != "" ? "half" : "silent"
}

# The call that failed, and why, in words. Where the harm shows only later (a
# connect that was never made, an answer that never came), another reason will
# do, but words it must be.
function says_why(text,    why, i) {
    if (part == "calls") {
        if (label[5] ~ /^write/ && label[6] != "once") return 1 # nor could it say
        if (text ~ /getaddrinfo|getnameinfo|pthread_create/) return 1 # in its words
        if (index(text, reason[label[4]]) && names_call(text)) return 1
        if (label[4] ~ /^(EAGAIN|EINPROGRESS|EALREADY|EINTR|ETIMEDOUT|EISCONN)$/) {
            if (text ~ /timed out|deadline passed|no answer/) return 1
            for (i in reason) if (index(text, reason[i])) return 1
        }
        return 0
    }
    if (part == "memory")
        return text ~ /Cannot allocate memory|out of memory|Memory allocation|malloc|memory|pthread_create/
    return text != ""
}

# A call's name as C has it, or what it was applied to, or what a module of ours
# made it for: deadline_connect, to connect.
function names_call(text,    call, words, i, n, what) {
    call = label[5]
    n = split(label[7], words, " ")
    for (i = 1; i <= n; i++) {
        what = words[i]
        if (sub(/^[a-z0-9]+_/, "", what) && index(text, what)) return 1
    }
    if (call ~ /^(sendto|sendmsg|sendmmsg)$/) return text ~ /send|write|SSL/
    if (call ~ /^(recvfrom|recvmsg|recvmmsg)$/) return text ~ /recv|read|SSL/
    if (call == "accept4") return text ~ /accept/
    if (call ~ /^(write|writev)$/) return text ~ /write|standard output|send|SSL|\//
    if (call ~ /^(read|readv)$/) return text ~ /read|standard input|recv|SSL|\//
    if (call ~ /^(open|openat|newfstatat|fstat|getdents64|lseek)$/) return text ~ /open|\/|stat/
    # Who waits, waits to do something, and says what.
    if (call ~ /^(ppoll|poll)$/)
        return text ~ /poll|connect|accept|recv|send|read|write|SSL_|standard/
    if (call ~ /^(select|pselect6)$/) return text ~ /select/
    if (call ~ /^(epoll_wait|epoll_pwait)$/) return text ~ /epoll_wait/
    if (call ~ /^(wait4|waitid)$/) return text ~ /wait/
    if (call ~ /nanosleep$/) return text ~ /sleep/
    if (call ~ /^(mmap|mprotect|munmap|madvise)$/) return 1
    sub(/[0-9]+$/, "", call)
    return index(text, call) > 0
}
