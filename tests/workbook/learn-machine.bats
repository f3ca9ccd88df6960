#!/usr/bin/env bats
# What fails because of the machine is never said to be the learner's mistake.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams 13-optional-import \
        32-http-server
}

setup() {
    in_copy
    keep_few_requirements
    first=01-tcp-client
}

@test "learn check says what on this machine fails with our solution, too" {
    answer_well
    printf '@test "flies" {\n answer 127.0.0.1 1\n' \
        >>"tests/exercises/$first.bats"
    printf ' expect_true "there are no wings" false\n}\n' \
        >>"tests/exercises/$first.bats"
    learn check 1
    expect_result 3 ""
    [[ $out == "the check itself could not be made: on this machine our own"* ]]
    [[ $out == *"it flies"*"But there are no wings."* ]]
    [[ $out == *"connect 127.0.0.1:1: Connection refused"* ]]
    [[ $out != *Hint* && $out != *" requirements met"* ]]
    learn
    [[ $out == *" 0 of "*" lessons done"* ]]
}

@test "learn check passes no answer of which nothing could be checked" {
    answer_well
    printf 'setup() {\n skip "no wings"\n}\n' >>"tests/exercises/$first.bats"
    learn check 1
    expect_result 3 "learn: nothing can be checked on this machine: no wings"
    learn
    [[ $out == *" 0 of "*" lessons done"* ]]
}

@test "learn check blames a limit of descriptors on nobody" {
    keep_requirements 02-tcp-server . # all of them
    mkdir work
    cp lessons/02-tcp-server/solution.c work/02-tcp-server.c
    status=0
    (ulimit -n 16 && exec scripts/learn check 2) >"$BATS_TEST_TMPDIR/out" 2>&1 \
        </dev/null 3>&- || status=$?
    cat "$BATS_TEST_TMPDIR/out" >&2
    ((status == 0 || status == 3))
    run ! grep -q Hint: "$BATS_TEST_TMPDIR/out"
}

@test "learn works with busybox's tools" {
    local tools=$BATS_TEST_TMPDIR/busybox verb
    skip_unless busybox
    mkdir "$tools"
    busybox --install -s "$tools"
    answer_well
    for verb in "check 1" list "read 1" "predict 1" "run 1" "hint 2" "compare 1" \
        "find EADDRINUSE" "reset 1" "start 2" ""; do
        # shellcheck disable=SC2086 # a verb and its arguments
        PATH=$tools:$PATH learn $verb
        expect_equal "status of $verb" 0 "$status"
        expect_equal "errors of $verb" "" "$errors"
    done
    PATH=$tools:$PATH learn check 2
    expect_equal "status of the starter" 1 "$status"
    expect_equal "errors of the starter" "" "$errors"
    if [[ -e build/solution/32-http-server ]]; then # its check has a large file
        cp lessons/32-http-server/solution.c work/32-http-server.c
        PATH=$tools:$PATH learn check 32
        expect_equal "status of check 32" 0 "$status"
    fi
    rm -rf build/wrong
    PATH=$tools:$PATH run -0 make -s build/wrong/01-tcp-client/always-loopback
}

@test "learn says in one sentence that an answer is a link to nothing" {
    local verb
    mkdir work
    ln -s /nowhere "work/$first.c"
    for verb in "check 1" "start 1" "reset 1" ""; do
        # shellcheck disable=SC2086 # a verb and its argument
        learn $verb
        expect_equal "status of $verb" 3 "$status"
        expect_equal "errors of $verb" \
            "learn: work/$first.c is a link to a file that is not there" "$errors"
    done
    expect_equal files "work/$first.c" "$(find work -name '*.c*')"
}

@test "learn run and xray say that a program of the scene is not built" {
    local command
    for command in "learn run" xray; do
        rm -f build/01-tcp-client
        sed -i 's/^all: /all: ; @true\nnothing: /' Makefile
        # shellcheck disable=SC2086 # two words
        run -3 scripts/$command 1
        [[ $output == *": build/01-tcp-client is not built, for want of something: "* ]]
    done
}

# quickly ARGUMENT...: as learn, but for a minute at the most.
quickly() {
    local file=$BATS_TEST_TMPDIR/learn
    status=0
    build/tests/bounded 60 scripts/learn "$@" </dev/null >"$file.out" \
        2>"$file.err" 3>&- || status=$?
    out=$(<"$file.out")
    errors=$(<"$file.err")
}

@test "learn says in one sentence that an answer is no file" {
    local verb kind said name
    for kind in folder pipe; do
        rm -rf work
        mkdir work
        case $kind in
        folder)
            mkdir "work/$first.c"
            said="work/$first.c is a folder, not a file"
            ;;
        pipe)
            mkfifo "work/$first.c"
            said="work/$first.c is a pipe or a device, not a file"
            ;;
        esac
        for verb in "check 1" "start 1" "watch 1" "xray work 1" ""; do
            # shellcheck disable=SC2086 # a verb and its argument
            quickly $verb
            expect_equal "status of $verb" 1 "$status"
            name=learn
            [[ $verb != xray* ]] || name=xray
            expect_equal "errors of $verb" "$name: $said" "$errors"
        done
        quickly check --all
        expect_result 1 ""
        [[ $out == *"learn: $said"* && $out == *"0 of 1 answers pass"* ]]
        quickly check --all --json
        expect_result 1 ""
        quickly list
        expect_result 0 ""
        # The other lessons go on, and reset moves away what is there.
        quickly start 2
        expect_result 0 ""
        quickly reset 1
        expect_result 0 ""
        cmp "work/$first.c" "lessons/$first/exercise.c"
        [[ -e work/$first.c.1 && ! -f work/$first.c.1 ]]
    done
}

@test "learn says in one sentence that what it remembers is in no file" {
    local file verb
    for file in work/.passed work/.asked work/.lock; do
        rm -rf work
        mkdir work
        mkfifo "$file"
        for verb in list "hint 1" "check --all" "solution 1" ""; do
            # shellcheck disable=SC2086 # a verb and its argument
            quickly $verb
            expect_result 1 "learn: $file is a pipe or a device, not a file"
        done
    done
}

# on_read_only COMMAND...: with a checkout that cannot be written; sets status, and
# what was said is in $SAID.
on_read_only() {
    SAID=$BATS_TEST_TMPDIR/said
    status=0
    # shellcheck disable=SC2016 # expanded by the shell that is started
    unshare -rm bash -c 'mount --bind . . && cd "$PWD" &&
        mount -o remount,bind,ro . && exec "$@"' bash "$@" >"$SAID" 2>&1 \
        </dev/null 3>&- || status=$?
}

@test "learn says in one sentence that the checkout cannot be written" {
    unshare -rm true 2>/dev/null || skip "no private mounts here"
    answer_well
    on_read_only scripts/learn check 1
    expect_equal status 3 "$status"
    expect_equal said "learn: build/ cannot be written: is it another user's, or \
read-only?" "$(<"$SAID")"
    on_read_only scripts/learn start 2
    expect_equal status 3 "$status"
    expect_equal said "learn: work/02-tcp-server.c could not be written" "$(<"$SAID")"
    on_read_only scripts/learn hint 1
    expect_equal status 0 "$status"
    grep -q '^Hint 1 of 3' "$SAID"
    on_read_only scripts/learn solution 1
    expect_equal status 0 "$status"
    expect_equal said "learn: work/ cannot be written, so this is not remembered
$(<"lessons/$first/solution.c")" "$(<"$SAID")"
}

@test "a script says in one sentence that it has no room for temporary files" {
    local place command said
    answer_well
    for place in /nowhere /proc; do
        for command in "learn check 1" "learn check --all" "test 01" \
            "certs $BATS_TEST_TMPDIR/certs"; do
            # shellcheck disable=SC2086 # a command and its arguments
            TMPDIR=$place run -3 scripts/$command
            said=$(grep -c . <<<"$output")
            expect_equal "lines of $command" 1 "$said"
            [[ $output == *": no room for temporary files in $place: set TMPDIR "* ]]
        done
    done
}

@test "learn says so when the temporary folder is full, and heeds TMPDIR" {
    local filled
    unshare -rm true 2>/dev/null || skip "no private mounts here"
    mkdir "$BATS_TEST_TMPDIR/full"
    answer_well
    for filled in 500 0; do # or there is room for a part of the check only
        # shellcheck disable=SC2016 # expanded by the shell that is started
        run -3 unshare -rm bash -c 'mount -t tmpfs -o size=500k none "$1"
            head -c "$2k" /dev/zero >"$1/filling" 2>/dev/null
            TMPDIR=$1 exec scripts/learn check 1' bash "$BATS_TEST_TMPDIR/full" "$filled"
        expect_equal output "learn: no room for temporary files in \
$BATS_TEST_TMPDIR/full: set TMPDIR to a folder that can be written" "$output"
    done
    expect_equal left "" "$(ls "$BATS_TEST_TMPDIR/full")"
    TMPDIR=$BATS_TEST_TMPDIR/full learn check 1
    expect_equal status 0 "$status"
}

# in_mounts MOUNT COMMAND...: where MOUNT, words of a shell, has been done; sets
# status, and said.
in_mounts() {
    status=0
    # shellcheck disable=SC2016 # expanded by the shell that is started
    unshare -rm bash -c 'eval "$1" && cd "$PWD" && shift && exec "$@"' bash "$@" \
        >"$BATS_TEST_TMPDIR/said" 2>&1 </dev/null 3>&- || status=$?
    said=$(<"$BATS_TEST_TMPDIR/said")
}

@test "a script says in one sentence that programs in build/ may not be run" {
    local command said
    local mount='mount --bind build build && mount -o remount,bind,noexec build'
    unshare -rm bash -c "$mount" 2>/dev/null || skip "no such mounts here"
    answer_well
    for command in "learn check 1" "learn run 1" "xray 1" "test 01"; do
        # shellcheck disable=SC2086 # a command and its arguments
        in_mounts "$mount" scripts/$command
        expect_equal "status of $command" 3 "$status"
        expect_equal "what $command said" "${command%% *}: programs in build/ may \
not be run: is it mounted with noexec?" "$said"
    done
}

@test "learn check says that nothing may be loaded from the temporary folder" {
    local said mount='mount -t tmpfs -o noexec none tmp'
    mkdir tmp
    unshare -rm bash -c "$mount" 2>/dev/null || skip "no such mounts here"
    mkdir work
    cp lessons/13-optional-import/solution.c work/13-optional-import.c
    in_mounts "$mount" env TMPDIR="$PWD/tmp" scripts/learn check 13
    expect_equal status 3 "$status"
    said=${said//$'\n'/ } # it is folded
    [[ $said == *"no library may be loaded from TMPDIR: is it mounted with noexec?"* ]]
}

@test "a script says in one sentence that the scripts are no programs any more" {
    local name
    answer_well
    find scripts -type f -exec chmod -x {} +
    for name in "learn check 1" "xray 1" "test 01"; do
        # shellcheck disable=SC2086 # a command and its arguments
        run -3 bash scripts/$name
        expect_equal "what $name said" \
            "${name%% *}: the scripts may not be run: type  chmod +x scripts/*" "$output"
    done
    chmod +x scripts/*
    learn check 1
    expect_equal status 0 "$status"
    local said mount='mount --bind . . && mount -o remount,bind,noexec .'
    unshare -rm bash -c "$mount" 2>/dev/null || skip "no such mounts here"
    in_mounts "$mount" bash scripts/learn check 1
    expect_equal status 3 "$status"
    expect_equal "what learn said" "learn: no programs may be run from here: is it \
mounted with noexec?" "$said"
}

@test "a script says in one sentence that there is no /proc" {
    local command said
    local mount='mount -t tmpfs none /proc'
    unshare -rm bash -c "$mount" 2>/dev/null || skip "no such mounts here"
    answer_well
    for command in "learn check 1" "learn list" learn "xray 1" "test 01"; do
        # shellcheck disable=SC2086 # a command and its arguments
        in_mounts "$mount" scripts/$command
        expect_equal "status of $command" 3 "$status"
        expect_equal "what $command said" "${command%% *}: there is no /dev/fd, \
which this needs: is /proc mounted?" "$said"
    done
}
