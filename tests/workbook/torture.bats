#!/usr/bin/env bats
# scripts/torture: that it sees what is wrong. Broken programs are played, and
# judged, as the lessons' own are.

# shellcheck disable=SC2016 # programs in single quotes are for their own shell
load ../lib/common

# scene COMMAND...: an actor each. In a file of its own.
scene() {
    local i=0
    for command; do
        i=$((i + 1))
        echo "actor$i: $command"
    done >"$BATS_TEST_TMPDIR/scene"
}

# verdict PART WHAT OPTION...: of actor 1 (of 2, if there are) with that done.
verdict() {
    local label="1.1|$1|$2" here=$BATS_TEST_TMPDIR play=$BUILD/tests/play
    local common="scene=$here/scene"$'\t'target=1$'\t'rounds=2$'\t'holds=20
    local options
    options=$(printf '\t%s' "${@:3}")
    mkdir -p "$here/play"
    printf '1.1|reference|%d\t%s\n' 1 "$common" 2 "$common" |
        "$play" "$here/play" >"$here/reference"
    printf '%s\t%s%s\n' "$label" "$common" "${options%$'\t'}" |
        "$play" "$here/play" >"$here/results"
    awk -v lesson=none -f tests/torture/judge.awk tests/torture/reasons \
        tests/torture/varies tests/torture/known "$here/reference" \
        "$here/results" >"$here/verdicts"
    cut -f1 "$here/verdicts"
}

# program TEXT: a script, as $PROGRAM.
program() {
    PROGRAM=$BATS_TEST_TMPDIR/program
    printf '#!/bin/bash\n%s\n' "$1" >"$PROGRAM"
    chmod +x "$PROGRAM"
    scene "$PROGRAM"
}

@test "torture tells a right result, a wrong one, a word and silence apart" {
    program 'case $HOW in
        right | "") echo done ;;
        wrong) echo almost ;;
        said) echo "it: no" >&2; exit 1 ;;
        silent) exit 1 ;;
        crash) kill -SEGV $$ ;;
        esac'
    expect_equal right same "$(verdict places x env=HOW=right)"
    expect_equal wrong wrong "$(verdict places x env=HOW=wrong)"
    expect_equal said said "$(verdict places x env=HOW=said)"
    expect_equal silent silent "$(verdict places x env=HOW=silent)"
    expect_equal crash crash "$(verdict places x env=HOW=crash)"
}

@test "torture asks for the call and the reason" {
    program 'case $HOW in
        "") echo done ;;
        *) echo "it: $HOW" >&2; echo INJECTED >"$LOG"; exit 1 ;;
        esac'
    local log=env=LOG=$BATS_TEST_TMPDIR/play/log
    local what='connect 1|ECONNREFUSED|connect|once'
    expect_equal both said \
        "$(verdict calls "$what" "env=HOW='connect there: Connection refused'" "$log")"
    expect_equal "no call" half \
        "$(verdict calls "$what" "env=HOW='Connection refused'" "$log")"
    expect_equal "no reason" half \
        "$(verdict calls "$what" "env=HOW='connect failed'" "$log")"
    expect_equal "nothing fired" idle "$(verdict calls "$what" env=X=1)"
}

@test "torture sees a server that ends, hangs, serves nobody, or loses a descriptor" {
    program 'trap "exit 0" TERM
        echo "listening on 127.0.0.1:9"
        case $HOW in
        */dead) exit 1 ;;
        */lost) for ((i = 30; i < 60; i++)); do eval "exec $i</dev/null"; done ;;
        */hang) trap "" TERM ;;
        */unserved) rm -f "$SERVED" ;;
        *) : >"$SERVED" ;;
        esac
        while :; do read -rt 0.02 <>"$FIFO"; done'
    local served=$BATS_TEST_TMPDIR/served how
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    export FIFO=$BATS_TEST_TMPDIR/fifo SERVED=$served
    scene "$PROGRAM" "test -e $served"
    expect_equal alive same "$(verdict places x env=HOW=a/alive)"
    expect_equal dead dead "$(verdict places x env=HOW=a/dead)"
    expect_equal lost lost "$(verdict places x env=HOW=a/lost)"
    expect_equal hang hang "$(verdict places x env=HOW=a/hang)"
    expect_equal unserved unserved "$(verdict places x env=HOW=a/unserved)"
}

# peers KIND: the plan for each rude peer of a program of TCP.
peers() {
    local lesson=01-tcp-client run=1.1 options='' datagrams='' path='' tls=''
    # shellcheck source=tests/torture/parts.bash
    source tests/torture/parts.bash
    plan_peers "$1"
}

@test "torture plans its peers without a word beside the plan" {
    local kind
    for kind in client server; do
        run -0 --separate-stderr peers "$kind"
        expect_equal "beside the plan" "" "$stderr"
        [[ $output == *"peers/rude "* && $output != *rude-dns* ]]
    done
}

@test "torture refuses wrong arguments" {
    run -2 scripts/torture --nothing
    [[ $output == "torture: no such option: --nothing"*usage:* ]]
}
