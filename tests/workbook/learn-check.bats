#!/usr/bin/env bats
# scripts/learn check: what a learner reads when an answer passes or fails.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
    requirements=$(grep -c '^@test' "tests/exercises/$first.bats")
}

@test "learn check names the requirement that is not met, and gives a hint" {
    answer_badly
    learn check 1
    expect_result 1 ""
    [[ $out == "no $first: "*" of $requirements requirements met"* ]]
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
    printf '@test "flies" {\n skip "no wings"\n}\n' \
        >>"tests/exercises/$first.bats"
    learn check 1
    expect_result 0 ""
    [[ $out == *"not checked: flies (no wings)"*"ok $first: "*" of "* ]]
}

@test "learn check shows the compiler's words for what does not compile" {
    mkdir work
    echo 'int main(void) { return here; }' >"work/$first.c"
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"work/$first.c:1:"*here*undeclared* ]]
    [[ $out == *"does not compile"* ]]
    [[ $out != *-std=* && $out != *"make"*Error* ]]
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
    keep_requirements "$first" "ends with|refuses a wrong" # each run takes its time
    answer_that 'static char page[1000000]; for (;;) fwrite(page, 1, sizeof page, stdout);'
    learn check 1
    expect_equal status 1 "$status"
    [[ $out == *"But it printed without end."* ]]
    [[ $out == *"Hint: The loop that prints never ends"* ]]
}

@test "learn check blames the machine, not the learner, for what it lacks" {
    local bare=$BATS_TEST_TMPDIR/bin tool
    answer_badly
    mkdir "$bare"
    for tool in bash sed awk cat mkdir cp grep cut readlink tput make cc fold \
        sha256sum sort env rm mv cmp stat id mktemp touch nproc \
        chmod df; do
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

@test "learn check lists all requirements, and what became of each" {
    answer_with 'argc != 3' 'argc < 0'
    learn check 1
    expect_equal status 1 "$status"
    expect_equal "lines of the list" "$requirements" \
        "$(grep -cE '^  (ok|no|- ) [a-z]' <<<"$out")"
    [[ $out == "no $first: $((requirements - 1)) of $requirements requirements \
met"* ]]
    grep -qx '  ok connects to the address and port it is given' <<<"$out"
    grep -qx '  no refuses a wrong number of arguments, with status 2' <<<"$out"
}

@test "learn check counts what is met behind what is not" {
    answer_badly
    learn check 1
    [[ $out != *": 0 of $requirements"* ]]
    grep -qx '  ok refuses a wrong number of arguments, with status 2' <<<"$out"
}

@test "learn check tells of an untouched starter what the exercise is" {
    learn check 1
    expect_result 1 ""
    [[ $out == "work/$first.c is still the starter, so there is nothing to check."* ]]
    [[ $out == *"The exercise of 01"*daytime*"lessons/$first/README.md"* ]]
    [[ $(tr -s '[:space:]' ' ' <<<"$out") == *"builds your program, and says \
which requirement it does not meet yet."* ]] # no line of the text is left out
    [[ $out != *Hint* && $out != *"requirements met"* && $out != *'**'* ]]
}

@test "learn check says on a terminal that it is checking, until it ends" {
    need_terminal
    answer_well
    run -0 on_terminal "exec scripts/learn check 1" </dev/null
    [[ $output == *$'checking 01 ...\r\e[K'*"all $requirements requirements met"* ]]
}
