#!/usr/bin/env bats
# scripts/xray, as a learner meets it. What it draws: tests/lessons/36-xray.bats.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams 36-xray
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
    build/tests/private -e tests/lib/etc true 2>/dev/null ||
        skip "this machine allows no private network"
}

# xray ARGUMENT...: sets status, out, errors.
xray() {
    local file=$BATS_TEST_TMPDIR/xray
    status=0
    scripts/xray "$@" </dev/null >"$file.out" 2>"$file.err" 3>&- || status=$?
    out=$(<"$file.out")
    errors=$(<"$file.err")
}

# answer [OLD NEW]: the solution, with OLD replaced, is the learner's answer.
answer() {
    local text
    mkdir -p work
    text=$(<"lessons/$first/solution.c")
    printf '%s\n' "${text/"${1-}"/"${2-}"}" >"work/$first.c"
}

@test "xray draws a lesson's scene, by its number" {
    xray 1
    expect_result 0 ""
    [[ $out == *"client"*"server"*" SYN "*" SYN ACK "*" FIN ACK "* ]]
    xray -l "$first"
    [[ $out == *$'client\tsend('*'"hello\n") = 6'* ]]
}

@test "xray --twin draws Python's program in the place of ours" {
    skip_unless python3
    xray --twin -l 1
    [[ $out == *$'client\tsend('*'"hello\n") = 6'*"recv(3 to "*") = 6"* ]]
}

@test "xray draws any programs, and keeps their words as they are" {
    # shellcheck disable=SC2016 # it is no variable
    local words='two  words; $HOME'
    xray -- build/02-tcp-server 0 -- build/02-tcp-server 0 -- \
        build/01-tcp-client 127.0.0.1 '{port}' "$words"
    [[ $out == *"ms  01-tcp-client"*"02-tcp-server"*"02-tcp-server 2"* ]]
    xray -l -- build/02-tcp-server 0 -- build/01-tcp-client 127.0.0.1 '{port}' "$words"
    [[ $out == *"\"$words\\n\""* ]]
    xray --
    expect_equal status 2 "$status"
    [[ $errors == *"which commands?"* ]]
}

@test "xray draws a program whatever its name is" {
    local name
    # shellcheck disable=SC2016 # that is its name
    for name in '#k' 'a:b' "it's" 'a]' '@' '$(id)' $'t\tb'; do
        ln -sf "$PWD/build/02-tcp-server" "$BATS_TEST_TMPDIR/$name"
        xray -l -- "$BATS_TEST_TMPDIR/$name" 0 -- \
            "$BATS_TEST_TMPDIR/$name" 0 -- \
            build/01-tcp-client 127.0.0.1 '{port}' "a"$'\t'"'b"
        expect_result 0 ""
        [[ $out == *$'01-tcp-client\tsend('*"\"a\\t'b\\n\""* ]]
    done
    xray -l -- "$BATS_TEST_TMPDIR/#k" 0 -- build/01-tcp-client 127.0.0.1 '{port}' hi
    [[ $out == *$'./#k\tlisten('* ]]
}

@test "xray refuses commands that no scene can have" {
    xray -- ''
    ((status == 2)) && [[ $errors == "xray: a command without a name"* ]]
    xray -- true -- '' x
    ((status == 2)) && [[ $errors == "xray: a command without a name"* ]]
    xray -- true $'a\nb'
    ((status == 2)) && [[ $errors == "xray: a command with a newline in it"* ]]
    xray -- -- --
    ((status == 2)) && [[ $errors == "xray: which commands?"* ]]
}

# commands OPTION...: xray of lesson 01's programs, as any programs.
commands() {
    xray "$@" -- build/02-tcp-server 0 -- build/01-tcp-client 127.0.0.1 '{port}' hello
}

@test "xray folds the rows of any programs, and none of a lesson" {
    commands
    expect_result 0 ""
    [[ $out == *"set-up: 6 calls"*"handshake: 3 segments"* && $out != *" SYN "* ]]
    for words in -v -lv -a; do
        commands "$words"
        [[ $out != *"set-up: "* && $out != *"handshake: "* ]]
        [[ $out == *"listen("*"SYN ACK"* ]]
    done
    commands -a -f
    [[ $out == *"set-up: "*"handshake: "* ]]
    xray 1
    [[ $out != *"set-up: "* && $out == *" SYN ACK "* ]]
    xray -f 1
    [[ $out == *"set-up: 6 calls"*"handshake: 3 segments"* ]]
}

@test "xray work draws the run in which an answer fails its check" {
    answer "received == 0" "received == 12345"
    xray work 1
    expect_result 0 ""
    [[ $out == "It ends with status 0 when the server closes the connection: not yet"* ]]
    [[ $out == *"program"*"others"*" FIN ACK "*"recv("*" = 0 "* ]]
    [[ $out == *"the same "*" times more"* ]]
}

@test "xray work says in what call an answer hangs, and since when" {
    answer "received = recv(" "received = 1 || recv("
    sed -i 's/^#include <err.h>/&\n#include <poll.h>/
        s/ssize_t received =/(void)poll(NULL, 0, -1); &/' "work/$first.c"
    xray work 1
    expect_result 0 ""
    [[ $out == "It "*": not yet"* ]]
    [[ $out == *"program is in poll("*"), since "*" ms; nothing has come to it since "* ]]
}

@test "xray work draws an answer that is right in the first test of its check" {
    answer
    xray work 1
    expect_result 0 ""
    [[ $out == "It connects to the address and port it is given: yes"* ]]
    [[ $out == *"ends, status 0"* ]]
    # The folder of somebody called O'Brien.
    mkdir "$BATS_TEST_TMPDIR/o'b"
    TMPDIR="$BATS_TEST_TMPDIR/o'b" xray work 1
    expect_result 0 ""
    expect_equal "what is left there" "" "$(ls "$BATS_TEST_TMPDIR/o'b")"
}

# Under the X-ray its workers have another parent: that is not held against it.
@test "xray work says what an answer meets when nobody traces it" {
    local second=22-fork-server
    keep_requirements "$second" "has WORKERS workers"
    cp -r "$BATS_TEST_DIRNAME/../../lessons/$second" lessons/
    mkdir -p work
    cp "lessons/$second/solution.c" "work/$second.c"
    xray work 22
    expect_result 0 ""
    [[ $out == "It has WORKERS workers before the first client comes: yes"* ]]
}

@test "xray work says of a tracer that it cannot be traced, and the check offers none" {
    local second=36-xray
    keep_requirements "$second" "refuses to run without COMMAND"
    mkdir -p work
    sed 's/return 2;/return 3;/' "lessons/$second/solution.c" >"work/$second.c"
    xray work 36
    expect_result 1 "xray: a process has only one tracer: while the X-ray traces \
your program, that can trace nothing"
    run -1 scripts/learn check 36
    [[ $output == *"0 of 1 requirements met"* && $output != *"xray work"* ]]
}

@test "xray says how it is called, and what it lacks" {
    xray --help
    expect_result 0 ""
    [[ $out == "usage: scripts/xray "*"-v   "* ]]
    xray
    ((status == 2)) && [[ $errors == "xray: which lesson?"*"usage: scripts/xray "* ]]
    xray -x 1
    ((status == 2)) && [[ $errors == "xray: no such option: -x"*"usage: scripts/xray "* ]]
    xray -fx 1
    ((status == 2)) && [[ $errors == "xray: no such option: -fx"* ]]
    xray 99
    expect_result 2 "xray: no lesson is called 99; scripts/learn list shows \
them all"
    xray work 1
    expect_result 2 "xray: work/$first.c is not there yet"
}

@test "learn offers the X-ray of what failed, and x at the desk draws it" {
    keep_requirements "$first" "says on standard error"
    answer "return total;" "return 1;"
    run -1 scripts/learn check 1
    [[ $output == *"What it did: scripts/learn xray work 01" ]]
    at_desk $'x\rxq'
    [[ $out == *"client"*"server"*"requirements met"*"others"* ]]
}
