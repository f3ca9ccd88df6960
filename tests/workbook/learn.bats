#!/usr/bin/env bats
# scripts/learn, as a learner meets it: progress, texts, hints, and how it is called.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams 36-xray
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
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
    [[ $out == "01 · A TCP client"* ]]
    [[ $out == *"[Our answers: scripts/learn predict 01]"* ]]
    [[ $out == *"[Hint 3: scripts/learn hint 01]"* ]]
    [[ $out != *"nothing made for strings"* && $out != *"</details>"* ]]
    run ! grep -nE '^```|^#|\*\*|\]\(' <<<"$out"
}

@test "learn run plays the lesson's scene" {
    learn run 1
    expect_result 0 ""
    [[ $out == *"client | hello"* ]]
    [[ $out == *"server | listening on 127.0.0.1:"* ]]
}

@test "learn predict shows the questions, and then our answers" {
    learn predict 1
    expect_result 0 ""
    # shellcheck disable=SC2016 # these backquotes are the text's
    [[ $out == *'Does `connect` wait'*"[Our answers]"*'`recv` returns the 6'* ]]
}

@test "learn find tells where a call, an error or a message is explained" {
    local words
    learn find SO_REUSEADDR
    expect_result 0 ""
    [[ $out == "02 · A TCP server"* ]]
    for words in EADDRINUSE "Address already in use" "address already in use"; do
        learn find "$words"
        expect_equal "status of $words" 0 "$status"
        [[ $out == *"02 · A TCP server"*"Address already in use"* ]]
    done
    learn find Broken pipe
    [[ $out == *SIGPIPE* ]]
    learn find "cipher suite" # the text has "cipher suites", and "semaphore"
    learn find semaphores
    learn find "bind"
    [[ $out == "02 · "*"bind(2)"* ]]
    learn find xyzzy
    expect_result 1 ""
    expect_equal output "no lesson tells of: xyzzy" "$out"
    learn find
    expect_equal status 2 "$status"
}

@test "learn find tells nothing of an exercise's hints" {
    learn find "nothing made for strings"
    expect_equal status 1 "$status"
}

@test "learn compare shows how an answer that passed differs from ours" {
    answer_well
    learn compare 1
    expect_equal status 1 "$status"
    learn check 1
    learn compare 1
    expect_result 0 ""
    expect_equal output "no difference" "$out"
    echo '/* mine */' >>"work/$first.c"
    learn check 1
    learn compare 1
    [[ $out == *"--- work/$first.c"*"-/* mine */"* ]]
}

@test "learn says so before it builds everything" {
    mv build "$BATS_TEST_TMPDIR/built"
    # What it builds with does nothing here.
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$(type -P true)" "$BATS_TEST_TMPDIR/bin/make"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH learn list
    expect_equal "said by a verb that builds nothing" "" "$errors"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH learn
    rm -rf build
    mv "$BATS_TEST_TMPDIR/built" build
    [[ $errors == *"learn: building everything, once: about ten seconds"* ]]
    expect_equal "times it says so" 1 "$(grep -c 'building everything' <<<"$errors")"
    learn
    expect_equal "said when all is built" "" "$errors"
}
