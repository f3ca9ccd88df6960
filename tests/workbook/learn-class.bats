#!/usr/bin/env bats
# scripts/learn check --all: for a teacher, and for a CI.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams
}

setup() {
    in_copy
    keep_few_requirements
    requirements=$(grep -c '^@test' tests/exercises/01-tcp-client.bats)
}

@test "learn check --all checks each answer that was begun" {
    answer_well
    cp lessons/02-tcp-server/exercise.c work/02-tcp-server.c
    learn check --all
    expect_result 0 ""
    [[ $out == *"ok 01-tcp-client: all $requirements requirements met"* ]]
    [[ $out == *"- 02-tcp-server: not begun"*"- 05-byte-streams: no answer"* ]]
    [[ $out == *"1 of 1 answers pass" ]]
}

@test "learn check --all fails if one answer does not pass" {
    answer_with 'argc != 3' 'argc < 0'
    cp lessons/02-tcp-server/solution.c work/02-tcp-server.c
    echo 'int main(void) { return here; }' >work/05-byte-streams.c
    learn check --all
    expect_result 1 ""
    [[ $out == *"no 01-tcp-client: $((requirements - 1)) of $requirements \
requirements met"* ]]
    [[ $out == *"It refuses a wrong number of arguments"* ]]
    [[ $out == *"ok 02-tcp-server: "* ]]
    [[ $out == *"work/05-byte-streams.c does not compile"*"1 of 3 answers pass" ]]
}

@test "learn check --all --json is JSON, with each requirement" {
    skip_unless python3
    answer_with 'argc != 3' 'argc < 0'
    cp lessons/02-tcp-server/exercise.c work/02-tcp-server.c
    learn check --all --json
    expect_result 1 ""
    python3 -c 'import json, sys
first, second, third = json.load(sys.stdin)
assert first["lesson"] == "01-tcp-client" and first["state"] == "failed", first
all = first["requirements"]
assert first["met"] == len(all) - 1 and first["of"] == len(all), first
failed = [r["name"] for r in all if r["state"] == "failed"]
assert failed == ["refuses a wrong number of arguments, with status 2"], failed
assert sum(r["state"] == "met" for r in all) == len(all) - 1, all
assert second["state"] == "starter" and second["of"] == 0, second
assert third["state"] == "absent", third' <<<"$out"
}

@test "learn check --all says that it could not check a link to nothing" {
    mkdir -p work
    ln -s /nowhere work/02-tcp-server.c
    learn check --all
    expect_result 3 ""
    [[ $out == *"work/02-tcp-server.c is a link to a file that is not there"* ]]
    rm -r work
    ln -s /nowhere work
    learn check --all
    expect_result 3 "learn: work/ is not a folder"
}

@test "learn check --all takes no other option" {
    learn check --all --xml
    expect_equal status 2 "$status"
}
