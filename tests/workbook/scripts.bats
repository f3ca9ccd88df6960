#!/usr/bin/env bats
# What holds for every script: how it is laid out, and that it does the same
# whatever the caller has set, and however it is called.

load ../lib/copy

setup_file() {
    make_copy 01-tcp-client 02-tcp-server 05-byte-streams 36-xray
}

setup() {
    in_copy
    folder=$BATS_TEST_TMPDIR/elsewhere
    mkdir "$folder"
}

# list_scripts: one a line.
list_scripts() {
    find scripts -maxdepth 1 -type f | sort
}

@test "no script is over 200 lines" {
    local file lines
    for file in scripts/* scripts/lib/* tests/torture/*.bash; do
        [[ -f $file ]] || continue
        lines=$(wc -l <"$file")
        ((lines <= 200)) || { echo "$file: $lines lines" >&2 && false; }
    done
}

# shellcheck disable=SC2016 # what is looked for is not expanded
@test "every script says what it is for, checks for bash, and ends with main" {
    local file
    for file in $(list_scripts); do
        echo "$file" >&2
        expect_equal "first line" '#!/usr/bin/env bash' "$(head -n 1 "$file")"
        [[ $(sed -n 2p "$file") == "# "* ]]
        grep -q '^\[ -n "${BASH_VERSION-}" \] ||' "$file"
        grep -qx 'set -euo pipefail' "$file"
        expect_equal "last line" 'main "$@"' "$(tail -n 1 "$file")"
    done
}

# shellcheck disable=SC2016 # these dollars are awk's
@test "every function of a script has a comment" {
    run -0 xargs awk '/^[a-z_]+\(\) *[{(]/ && before !~ /^#/ && !/^(main|usage)\(/ {
        print FILENAME ": " $0 } { before = $0 }' \
        < <(list_scripts && ls scripts/lib/*.bash)
    expect_equal "without one" "" "$output"
}

# tell_all [SETTING]: what some commands say and return, in no order, and without
# the ports.
tell_all() {
    local status command
    {
        for command in "learn check 1" "learn check 9" "learn run 1" \
            "learn list" "test --help" "test no-such" "xray --help" certs \
            setup; do
            status=0
            # shellcheck disable=SC2086 # a command and its arguments
            build/tests/bounded 30 env "$@" scripts/$command </dev/null || status=$?
            echo "status $status"
        done
    } 2>&1 3>&- | sed -E 's/[0-9]{4,}/N/g' | sort
}

# shellcheck disable=SC2016 # the functions are not ours
@test "what the caller has set for other programs changes nothing" {
    local group
    local -a settings
    mkdir work
    cp lessons/01-tcp-client/solution.c work/01-tcp-client.c
    # Where CDPATH leads.
    mkdir -p "$folder/scripts/lib" "$folder/lib" "$folder/.."
    echo 'set -f; shopt -s failglob; IFS=e' >"$folder/env"
    # An old grep, which heeds GREP_OPTIONS.
    # shellcheck disable=SC2016 # expanded when it runs
    printf '#!/bin/sh\nexec %s $GREP_OPTIONS "$@"\n' "$(type -P grep)" \
        >"$folder/grep"
    chmod +x "$folder/grep"
    PATH=$folder:$PATH
    tell_all >"$BATS_TEST_TMPDIR/usual"
    grep -q '^ok 01-tcp-client: all' "$BATS_TEST_TMPDIR/usual"
    # What makes a script start bash anew is set alone: that undoes more than it.
    for group in "BASH_ENV=$folder/env" POSIXLY_CORRECT=1 \
        SHELLOPTS=noglob:noclobber BASHOPTS=failglob:nocaseglob variables \
        functions; do
        settings=("$group")
        case $group in
        variables)
            settings=("CDPATH=$folder:." GREP_OPTIONS=-v "BUILD=$folder/build"
                MAKEFLAGS=n MAKEFILES=/dev/zero)
            ;;
        functions)
            settings=('BASH_FUNC_cd%%=() { printf "here\n"; builtin cd "$@"; }'
                'BASH_FUNC_sed%%=() { printf "mine\n"; }' 'BASH_FUNC_echo%%=() { :; }')
            ;;
        esac
        tell_all "${settings[@]}" >"$BATS_TEST_TMPDIR/now"
        echo "with ${settings[*]}:" >&2
        diff "$BATS_TEST_TMPDIR/usual" "$BATS_TEST_TMPDIR/now" >&2
    done
}

@test "a script can be called through a symlink, and from anywhere" {
    local name
    ln -s "$PWD/scripts/learn" "$folder/desk"
    ln -s "$PWD/scripts" "$folder/tools"
    cd "$folder"
    for name in ./desk ./tools/learn tools/learn "$PWD/desk"; do
        run -0 "$name" which 1
        expect_equal "$name" 01-tcp-client "$output"
    done
    PATH=$folder:$PATH run -0 desk which 1
    expect_equal "by PATH" 01-tcp-client "$output"
}

@test "a shell that is not bash is told so in one line" {
    local file name
    skip_unless dash
    for file in $(list_scripts); do
        name=${file##*/}
        run -2 dash "$file"
        expect_equal "$name" "$name: this needs bash: type scripts/$name" "$output"
    done
}

@test "bash under the name of sh does as bash does" {
    ln -s "$(type -P bash)" "$folder/sh"
    run -0 "$folder/sh" scripts/learn which 1
    expect_equal lesson 01-tcp-client "$output"
}

@test "every script says how it is called, and nothing else, with -h" {
    local file help
    for file in $(list_scripts); do
        for help in -h --help; do
            run -0 --separate-stderr build/tests/bounded 20 "$file" "$help"
            [[ $output == "usage: $file"* ]]
            expect_equal "errors of $file" "" "$stderr"
        done
        run -2 --separate-stderr build/tests/bounded 20 "$file" --no-such
        [[ $stderr == *"usage: $file"* ]]
    done
}

@test "a script says so in one sentence if its help cannot be written" {
    local command name
    for command in $(list_scripts | sed 's/$/%-h/') scripts/learn%--help \
        scripts/xray%--help scripts/setup%doctor scripts/learn%doctor; do
        run -1 build/tests/bounded 20 bash -c 'exec "$@" >/dev/full' - \
            "${command%\%*}" "${command#*%}"
        name=${command%\%*}
        [[ $command != scripts/learn%doctor ]] || name=setup
        expect_equal "$command" \
            "${name##*/}: standard output cannot be written" "$output"
    done
}

# expect_sentence SENTENCE COMMAND...: status 1, and nothing else on standard error.
# Standard output is as the caller has it.
expect_sentence() {
    local status=0 sentence=$1
    shift
    "$@" 2>"$folder/said" </dev/null 3>&- || status=$?
    expect_equal "status of $*" 1 "$status"
    expect_equal "what $* says" "$sentence" "$(<"$folder/said")"
}

@test "a script says that its output is closed, or cannot be written" {
    local verb script
    keep_few_requirements
    mkdir work
    cp lessons/01-tcp-client/solution.c work/01-tcp-client.c
    for verb in '' list 'read 1' 'predict 1' 'find EPIPE' 'find nowhere' \
        'hint 1' 'solution 1' 'compare 1' 'which 1' 'start 2' 'reset 2' \
        'check 1' 'check --all' 'run 1' doctor --help; do
        # shellcheck disable=SC2086 # a verb and its argument
        expect_sentence "learn: standard output is closed" \
            scripts/learn $verb >&-
        script=learn
        [[ $verb != doctor ]] || script=setup
        # shellcheck disable=SC2086
        expect_sentence "$script: standard output cannot be written" \
            scripts/learn $verb >/dev/full
    done
    for script in bench certs setup test torture xray; do
        expect_sentence "$script: standard output is closed" \
            "scripts/$script" --help >&-
        expect_sentence "$script: standard output cannot be written" \
            "scripts/$script" --help >/dev/full
    done
    expect_sentence "xray: standard output cannot be written" \
        scripts/xray work 1 >/dev/full
    expect_sentence "test: standard output cannot be written" \
        scripts/test tests/workbook/number.bats >/dev/full
    expect_sentence "test: standard output cannot be written" \
        scripts/test --tap tests/workbook/number.bats >/dev/full
}

@test "a script says nothing when its reader has gone" {
    local command
    for command in list 'read 1' 'predict 1' 'find EPIPE' 'solution 1' doctor; do
        # shellcheck disable=SC2086 # a verb and its argument
        scripts/learn $command 2>"$folder/said" 3>&- | head -n 1 >/dev/null
        expect_equal "what $command says" "" "$(<"$folder/said")"
    done
    # What started it ignores SIGPIPE, as a service manager does.
    (trap '' PIPE && scripts/learn 'list' 2>"$folder/said" 3>&- | :)
    [[ $(<"$folder/said") == "" ||
        $(<"$folder/said") == "learn: standard output cannot be written" ]]
}
