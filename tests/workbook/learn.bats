#!/usr/bin/env bats
# scripts/learn, as a learner meets it.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams 36-xray
}

setup() {
    in_copy
    first=01-tcp-client
}

# learn ARGUMENT...: as from a script: no terminal; sets status, out, errors.
learn() {
    local file=$BATS_TEST_TMPDIR/learn
    status=0
    scripts/learn "$@" </dev/null >"$file.out" 2>"$file.err" 3>&- || status=$?
    out=$(<"$file.out")
    errors=$(<"$file.err")
}

# A good answer to the first lesson.
answer_well() {
    mkdir -p work
    cp "lessons/$first/solution.c" "work/$first.c"
}

@test "learn, without a terminal, says where you are and what to do, and ends" {
    learn
    expect_result 0 ""
    [[ $out == *" 0 of "*" lessons done"* ]]
    [[ $out == *"Next: 01 · A TCP client"* ]]
    [[ $out == *"Its idea: a connection is a descriptor."* ]]
    [[ $out == *"edit   work/$first.c"* ]]
    [[ $out == *"check  scripts/learn check 01"* ]]
    cmp "work/$first.c" "lessons/$first/exercise.c"
}

@test "learn explains itself when asked, and when called wrongly" {
    learn --help
    expect_result 0 ""
    [[ $out == "usage: scripts/learn "* ]]
    learn dance
    expect_equal status 2 "$status"
    [[ $errors == "learn: no such verb: dance"*"usage: "* ]]
    learn read
    expect_result 2 "learn: read which lesson? scripts/learn list"
    learn read 99
    expect_result 2 \
        "learn: no lesson is called 99; scripts/learn list shows them all"
    learn check 1 2
    expect_equal status 2 "$status"
}

@test "learn knows a lesson by 1, 01 and its full name" {
    local name
    for name in 1 01 "$first"; do
        learn which "$name"
        expect_result 0 ""
        expect_equal lesson "$first" "$out"
    done
}

@test "learn list names every lesson, with what became of it" {
    learn list
    expect_result 0 ""
    expect_equal "lines with a number" "$(find lessons -mindepth 1 -maxdepth 1 \
        -type d | wc -l)" "$(grep -cE '^. [0-9]{2} · ' <<<"${out//ok/o}")"
    answer_well
    learn check 1
    learn list
    [[ $out == *"ok 01 · A TCP client"* ]]
}

@test "learn check fails the starter, with the requirement and a hint" {
    learn check 1
    expect_result 1 ""
    [[ $out == "no $first: 0 of "*" requirements met"* ]]
    [[ $out == *"It connects to the address and port it is given"* ]]
    [[ $out == *"But nobody connected to port "* ]]
    [[ $out == *"build/work/$first 127.0.0.1 8001"* ]]
    [[ $out == *"Hint: "*htons* ]]
}

@test "learn check passes a good answer, and remembers it" {
    answer_well
    learn check
    expect_result 0 ""
    [[ $out == "ok $first: all "*" requirements met" ]]
    learn
    [[ $out == *" 1 of "*" lessons done"*"Next: 02 "* ]]
}

@test "learn check says what it could not check, and passes all the same" {
    answer_well
    cp "tests/exercises/$first.bats" "$BATS_TEST_TMPDIR/kept"
    printf '@test "flies" {\n skip "no wings"\n}\n' \
        >>"tests/exercises/$first.bats"
    learn check 1
    cp "$BATS_TEST_TMPDIR/kept" "tests/exercises/$first.bats"
    expect_result 0 ""
    [[ $out == *"not checked: flies (no wings)"*"ok $first: "*" of "* ]]
}

@test "learn notices an answer that was edited, and a check that got better" {
    answer_well
    learn check 1
    echo '/* better */' >>"work/$first.c"
    learn
    [[ $out == *"$first: edited since it passed; check it again"* ]]
    learn check 1
    learn
    [[ $out != *"check it again"* ]]
    cp "tests/exercises/$first.bats" "$BATS_TEST_TMPDIR/kept"
    echo '# better' >>"tests/exercises/$first.bats"
    learn
    [[ $out == *"$first: its check got better; check it again"* ]]
    cp "$BATS_TEST_TMPDIR/kept" "tests/exercises/$first.bats"
}

@test "learn check shows the compiler's words for what does not compile" {
    mkdir work
    echo 'int main(void) { return here; }' >"work/$first.c"
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"work/$first.c:1:"*here*undeclared* ]]
    [[ $out == *"does not compile"* ]]
    [[ $out != *-std=c17* && $out != *"make"*Error* ]]
}

@test "learn check makes what differs visible, with a caret below it" {
    mkdir work
    make --silent "build/wrong/$first/string.c" 3>&-
    cp "build/wrong/$first/string.c" "work/$first.c"
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *Expected:*'\0'*Got:*'^ byte '* ]]
}

@test "learn check says what a program hung in" {
    mkdir work
    sed 's/return total;/(void)recv(socket(AF_INET, SOCK_DGRAM, 0), NULL, 0, 0);/' \
        "lessons/$first/solution.c" >"work/$first.c"
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"did not end within 2 seconds"* ]]
    [[ $out == *"It was waiting in recv on descriptor "* ]]
}

# answer_that STATEMENTS: a good answer to the first lesson, which does this as
# soon as it has connected.
answer_that() {
    mkdir work
    sed "s/    size_t total = copy_all(fd);/&\n    $1/" \
        "lessons/$first/solution.c" >"work/$first.c"
    grep -qF "$1" "work/$first.c"
}

@test "learn check says what signal a program died of, with a hint about that" {
    answer_that 'raise(SIGSEGV);'
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"But it crashed."*"It was ended by SIGSEGV ("* ]]
    [[ $out == *"Hint: Your program used memory that is not its own"* ]]
}

@test "learn check says that a program prints without end" {
    answer_that 'static char page[1000000]; for (;;) fwrite(page, 1, sizeof page, stdout);'
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"But it printed without end."* ]]
    [[ $out == *"Hint: The loop that prints never ends"* ]]
}

@test "learn check blames the machine, not the learner, for what it lacks" {
    local bare=$BATS_TEST_TMPDIR/bin tool
    mkdir "$bare"
    for tool in bash sed awk cat mkdir cp grep cut dirname tput make cc fold \
        sha256sum sort env rm mv id mktemp touch nproc; do
        ln -s "$(command -v "$tool")" "$bare/$tool"
    done
    PATH=$bare learn check 1
    expect_equal status 3 "$status"
    [[ $errors == *"nothing can be checked without bats" ]]
    [[ $errors == *"missing: bats (checks your exercises, runs the tests)"* ]]
    rm "$bare/cc"
    PATH=$bare learn check 1
    expect_equal status 3 "$status"
    [[ $errors == *"without a compiler and make" ]]
    PATH=$bare learn read 1
    expect_equal status 0 "$status"
}

@test "learn hint gives one hint after another" {
    local n
    for n in 1 2 3 1; do
        learn hint 1
        [[ $out == "Hint $n of 3"*?????* ]]
    done
}

@test "learn solution waits until it is passed, or asked for twice" {
    learn solution 1
    expect_equal status 1 "$status"
    [[ $out == *"not passed it yet"* ]]
    learn solution 1
    expect_equal status 0 "$status"
    expect_equal solution "$(<"lessons/$first/solution.c")" "$out"
}

@test "learn start and reset never lose an answer" {
    learn start 1
    expect_result 0 ""
    echo 'mine' >"work/$first.c"
    learn start 1
    [[ $out == *"is there already"* ]]
    expect_equal answer mine "$(<"work/$first.c")"
    learn reset 1
    learn reset 1
    expect_equal "old answer" mine "$(<"work/$first.c.1")"
    cmp "work/$first.c.2" "lessons/$first/exercise.c"
    cmp "work/$first.c" "lessons/$first/exercise.c"
}

@test "learn read shows the text, with answers and hints folded" {
    learn read 1
    expect_result 0 ""
    [[ $out == "# 01 · A TCP client"* ]]
    [[ $out == *"[Our answers: folded]"* && $out == *"[Hint 3: folded]"* ]]
    [[ $out != *"nothing made for strings"* && $out != *"</details>"* ]]
}

@test "learn run plays the lesson's scene" {
    learn run 1
    expect_result 0 ""
    [[ $out == *"client | hello"* ]]
    [[ $out == *"server | listening on 127.0.0.1:"* ]]
}

@test "learn's desk: Enter checks, h hints, n goes on, q ends" {
    at_desk $'\rhnq'
    [[ $out == *"0 of "*" requirements met"* ]]
    [[ $out == *"Hint 1 of 3"* ]]
    [[ $out == *"02 "*": work/02-"* ]]
}

@test "learn's desk: s shows the solution the second time, r the scene" {
    at_desk srq
    [[ $out == *"not passed it yet"*"client | hello"* ]]
    [[ $out != *"one good answer of many"* ]]
    at_desk sq
    [[ $out == *"one good answer of many"* ]]
}

@test "learn's desk ends with Ctrl-D, too" {
    at_desk $'\4'
    [[ $out == *"Next: "* ]]
}

@test "learn watch checks when the file is saved, and not otherwise" {
    mkdir work
    cp "lessons/$first/exercise.c" "work/$first.c"
    start watch scripts/learn watch 1
    wait_for watch 'no * requirements met'
    answer_well
    wait_for watch 'ok * requirements met'
    stop watch
    expect_equal checks 2 "$(grep -c 'requirements met' \
        "$BATS_TEST_TMPDIR/watch.out")"
}

@test "learn colours a terminal, and no pipe, nor where NO_COLOR is set" {
    learn
    [[ $out != *$'\e'* ]]
    at_desk q
    [[ $out == *$'\e[1m'* ]]
    NO_COLOR=1 at_desk q
    [[ $out != *$'\e[1m'* && $out != *$'\e[3'* ]]
}

@test "learn fits a terminal of 40 columns" {
    at_desk $'\rq' 40
    local long
    long=$(sed $'s/\r$//; s/\e[^m]*m//g' <<<"$out" | grep -E '^.{41,}' |
        grep -vE '^    ') || true
    expect_equal "lines too long" "" "$long"
    [[ $out == *"requirements met"* ]]
}

@test "Ctrl-C during a check leaves no process behind" {
    local keys=$BATS_TEST_TMPDIR/keys
    need_terminal
    mkdir work
    sed 's/return total;/continue;/' "lessons/$first/solution.c" \
        >"work/$first.c"
    mkfifo "$keys"
    on_terminal "scripts/learn check 1" <"$keys" >"$BATS_TEST_TMPDIR/desk" \
        2>&1 3>&- &
    exec 7>"$keys"
    until_true answer_runs # and goes round its loop
    printf '\003' >&7
    until_true nothing_runs
    exec 7>&-
    wait
    run ! grep 'requirements met' "$BATS_TEST_TMPDIR/desk"
}

# answer_runs: this test's own; another's may run at the same time.
answer_runs() {
    local file
    while IFS= read -r file; do
        [[ ! ${file%cmdline}cwd -ef . ]] || return 0
    done < <(grep -lsa "^build/work/$first" /proc/[0-9]*/cmdline)
    return 1
}

nothing_runs() {
    ! answer_runs
}
