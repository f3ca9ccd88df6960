#!/usr/bin/env bats
# Nothing that an answer starts or prints gets out of its check.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
}

# runs PROGRAM: a process of this test's own copy runs it.
runs() {
    local file
    while IFS= read -r file; do
        [[ ! ${file%cmdline}cwd -ef . ]] || return 0
    done < <(grep -lsa "^build/work/$1" /proc/[0-9]*/cmdline)
    return 1
}

# start_more WHERE CODE: an answer that is right, and runs CODE where main
# begins.
start_more() {
    answer_with '    if (argc == 2' "    $1
    if (argc == 2"
}

@test "a client that becomes a daemon leaves no process behind" {
    start_more 'if (fork() == 0) { setsid(); if (fork() == 0) { (void)close(1);
        (void)close(2); for (;;) pause(); } _exit(0); }'
    learn check 1
    run ! runs "$first"
}

@test "a server that forks for ever leaves no process behind" {
    mkdir work
    sed 's/^int main.*{/&\n    for (int i = 0; i < 4; i++) if (fork() == 0) { setpgid(0, 0); break; }/' \
        lessons/02-tcp-server/solution.c >work/02-tcp-server.c
    learn check 2
    run ! runs 02-tcp-server
}

@test "an answer that ignores SIGTERM leaves no process behind" {
    start_more '(void)signal(SIGTERM, SIG_IGN); (void)signal(SIGINT, SIG_IGN);
        if (fork() == 0) for (;;) pause();'
    learn check 1
    run ! runs "$first"
}

@test "endless output ends, is told as that, and fills no disk" {
    local begin=$SECONDS
    keep_requirements "$first" "ends with|refuses a wrong" # each run takes its time
    answer_with '    size_t total' '    static char much[1 << 20];
    for (;;) (void)!write(1, much, sizeof much);
    size_t total'
    learn check 1
    expect_equal status 1 "$status"
    echo "$out" >&2
    [[ $out == *"But it printed without end."* ]]
    ((SECONDS - begin < 30))
    expect_equal "files in /dev/shm" "" "$(find /dev/shm -maxdepth 1 -name 'tmp.*' \
        -newer "work/$first.c" -user "$(id -u)" -size +1M 2>/dev/null)"
}

@test "a loop in every run is told within seconds" {
    local begin=$SECONDS
    keep_requirements "$first" . # all of them
    start_more 'for (;;) { }'
    learn check 1
    expect_equal status 1 "$status"
    # 5 for us, and 15 for a slow machine that is busy. Ten loops that each ran
    # until a limit of theirs would take longer.
    ((SECONDS - begin <= 20))
}

@test "control characters of an answer are shown, and not obeyed" {
    keep_requirements "$first" "says on standard error"
    answer_with '    size_t total' '    fputs("\033]0;title\007\033[31mred\302\233\177\n", stderr);
    size_t total'
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *'\x1b]0;title\x07\x1b[31mred\x9b\x7f'* ]]
    run ! grep -q $'[\001-\010\013-\037\177]' <<<"$out$errors"
}
