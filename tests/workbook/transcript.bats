#!/usr/bin/env bats
# tests/lib/transcript.c, which types all console transcripts, notices what it is
# there for.
#
# shellcheck disable=SC1003,SC2016 # the shell in the terminal reads it

load ../lib/common

setup() {
    transcript=$PWD/$BUILD/tests/transcript
    [[ $BUILD != /* ]] || transcript=$BUILD/tests/transcript
    cd "$BATS_TEST_TMPDIR" || return
    printf '%s\n' 'In terminal 1:' '```console 1' '$ true' '```' >README.md
    run "$transcript" README.md
    ((status != 125)) || skip "this system makes no pseudo-terminal"
}

# text LINE...: a README of these lines. T1 stands for the text above a block of
# terminal 1, and its first line; T2 for that of terminal 2; END for its last.
text() {
    local line
    for line in "$@"; do
        case $line in
        T[0-9]) printf '\nIn terminal %s:\n\n```console %s\n' "${line#T}" "${line#T}" ;;
        END) printf '```\n' ;;
        *) printf '%s\n' "$line" ;;
        esac
    done >README.md
}

# compare [OPTION...]: types README.md.
compare() {
    LIMIT_SECONDS=${LIMIT_SECONDS-20} run "$transcript" "$@" README.md
}

# accept COUNT: the text is true, and has so many commands.
accept() {
    compare
    expect_equal output "$1 commands" "$output"
    expect_equal status 0 "$status"
}

# refuse PATTERN: the text is not true, and what is said about it has a line
# like that.
refuse() {
    LIMIT_SECONDS=1 compare
    expect_equal status 1 "$status"
    grep -qx -e "$1" <<<"$output" ||
        { printf 'no line "%s" in:\n%s\n' "$1" "$output" >&2 && false; }
}

text_with_everything() {
    mkfifo pipe
    text T2 '$ echo begins; read -r <>pipe; echo ends' begins END \
        T1 "\$ printf 'one (1)\\ntwo 2.5\\n'; false" 'one (1)' 'two ...' \
        '$ echo $?' 1 \
        '$ seq 9' 1 ... 9 \
        '$ echo three \' '>    four' 'three four' \
        '$ echo >pipe' END \
        T2 ends '$ cat' 'five⏎' five END \
        T1 '$ echo six' six END \
        T2 ^D END
}

@test "a transcript of what happens is taken" {
    text_with_everything
    accept 8
}

@test "one altered line of output is noticed, whichever it is" {
    local kept line altered=0
    local -a lines=()
    text_with_everything
    kept=$(<README.md)
    mapfile -t lines < <(awk '/^```/ { inside = /console/; next }
        inside && !/^[$>^]|^\.\.\.$|⏎$/ { print NR }' README.md)
    for line in "${lines[@]}"; do
        sed "${line}s/\$/!/" <<<"$kept" >README.md
        refuse "  README.md:$line: .*!"
        altered=$((altered + 1))
    done
    expect_equal "altered lines" 10 "$altered"
}

@test "a line too few and a line too many are noticed" {
    text T1 '$ seq 3' 1 3 END
    refuse "but said:"
    text T1 '$ seq 3' 1 2 3 4 END
    refuse "but said:"
    text T1 '$ seq 3' 1 2 END
    refuse "but said:"
    text T1 '$ seq 3' END
    refuse "but said:"
    # What a command says after the last line that a text shows of it.
    text T1 '$ echo one; cat; echo two' one '^D' END
    refuse "but said:"
}

@test "it says where, what it should say, and what was said instead" {
    text T3 '$ echo a word' 'another word' END
    compare
    expect_equal status 1 "$status"
    expect_equal output 'terminal 3: $ echo a word
should say:
  README.md:6: another word
but said:
  a word' "$output"
}

@test "a terminal keeps its directory and its variables, for itself" {
    mkdir below
    text T1 '$ cd below; word=mine; export other=too' END \
        T2 '$ echo "${PWD##*/} $word"' "${PWD##*/} " END \
        T1 '$ echo "${PWD##*/} $word"; bash -c '\''echo $other'\' 'below mine' too END
    accept 3
}

@test "a terminal is one of 80 columns and 40 rows, with a keyboard" {
    text T1 '$ stty size' '40 80' '$ [[ -t 0 && -t 1 && -t 2 ]]; echo $?' 0 \
        '$ read -r first second' 'one two⏎' '$ echo "$second $first"' 'two one' END
    accept 4
}

@test "a terminal shares no descriptor with who runs the test" {
    exec 9</dev/null
    text T1 '$ ls -1 /proc/self/fd' 0 1 2 3 END
    accept 1
    exec 9<&-
}

@test "^C, ^D and ^Z are keys" {
    text T1 '$ sleep 100' ^C '$ echo $?' 130 \
        '$ bash -c "trap \"echo caught; exit\" INT; echo; read -r"' '' ^C caught \
        '$ cat' 'word⏎' word ^D \
        '$ sleep 100' ^Z '[1]+  Stopped...sleep 100' \
        '$ fg' 'sleep 100' ^C END
    accept 6
}

@test "^C is pressed again when nothing comes of it" {
    text T1 '$ bash -c "trap \"trap exit INT\" INT; echo; while :; do read -r; done"' \
        '' ^C END
    accept 1
}

@test "what ^C ends has ended when another terminal is used" {
    text T1 "\$ bash -c 'trap \"sleep 0.3; touch gone; exit\" INT; echo on; sleep 9'" \
        on END T1 ^C END T2 '$ ls gone' gone END
    accept 2
}

@test "a command goes on while other terminals are used" {
    mkfifo pipe
    text T1 '$ cat pipe; echo end' END T2 '$ echo one >pipe' END T1 one end END
    accept 2
    text T1 '$ cat pipe; echo end' END T2 '$ echo one >pipe' END T1 two end END
    refuse '  README.md:[0-9]*: two'
}

@test "a command in the background may be left until its end" {
    text T1 '$ sleep 0.1 &' '[1] ...' END
    accept 1
    text T1 '$ (sleep 0.3; echo late) &' '[1] ...' END
    refuse '  late'
}

@test "a command that still runs when the next one is typed is refused" {
    text T1 '$ cat' '$ echo one' one END
    refuse 'still runs in terminal 1: $ cat'
    # Not even if it ends before the next one.
    mkfifo pipe
    text T1 '$ cat pipe' END T2 '$ echo one >pipe' END T1 '$ echo two' two END
    refuse 'still runs in terminal 1: $ cat pipe'
}

@test "a command that still runs at the end is refused" {
    text T2 '$ cat' END T1 '$ echo one' one END
    refuse 'still runs in terminal 2: $ cat'
    text T1 '$ echo one' one END T2 '$ sleep 100 &' '[1] ...' END
    refuse 'left running in terminal 2: sleep'
    text T1 '$ (setsid sleep 100 &)' END
    refuse 'left running in terminal 1: sleep'
}

@test "nothing that was typed outlives it" {
    local pid
    text T1 '$ sleep 100 & echo $! >pids' '[1] ...' \
        "\$ (setsid -f bash -c 'echo \$BASHPID >>pids; echo >pipe; exec sleep 100')" \
        '$ cat pipe' '' \
        "\$ bash -c 'echo \$\$ >>pids; trap \"\" HUP INT TERM; echo on; cat'" on END
    mkfifo pipe
    refuse 'still runs in .*'
    expect_equal "written down" 3 "$(wc -l <pids)"
    while read -r pid; do
        run ! kill -0 "$pid" 2>/dev/null
    done <pids
}

@test "a key or a line for a program that has ended is refused" {
    text T1 '$ true' ^C END
    refuse 'README.md:6: nothing runs in terminal 1'
    text T1 '$ true' 'word⏎' END
    refuse 'README.md:6: nothing runs in terminal 1'
}

@test "the end of a terminal's shell is noticed" {
    text T1 '$ exit' exit END
    refuse 'the shell has ended in terminal 1'
}

@test "a command that does not go on after its end is refused" {
    text T1 '$ echo one \' 'one' END
    refuse 'README.md:6: after \\, .*'
    text T1 '$ echo one # \' '> two' END
    refuse 'terminal 1: $ echo one # \\'
}

@test "a block without a number is refused" {
    local name
    for name in '' ' ' ' server' ' 0' ' 1a' ' -1' 1; do
        text 'In terminal 1:' "\`\`\`console$name" '$ echo one' one END
        refuse 'README.md:2: a console block needs the number of its terminal'
    done
}

@test "a block whose terminal is not named above it is refused" {
    local paragraph
    for paragraph in '' 'In terminal 2:' 'In terminal 12:' 'In a terminal:' \
        $'In terminal 1:\n\nThen:'; do
        text "$paragraph" '```console 1' '$ echo one' one END
        refuse 'README.md:[24]: the paragraph above .*'
    done
    for paragraph in 'Terminal 1 it is:' $'In **terminal\n1**:' 'terminal 2, terminal 1'; do
        text "$paragraph" '' '```console 1' '$ echo one' one END
        accept 1
    done
    text 'In terminal 1, and terminal 2:' '```console 1' '$ echo one' one END \
        '```console 2' '$ echo two' two END '```c' 'terminal 3' END \
        '```console 3' '$ echo three' three END
    refuse 'README.md:13: the paragraph above .*'
}

@test "a text that does not begin with a command, or does not end, is refused" {
    text T1 one END
    refuse 'README.md:5: the first line of a terminal must be a command'
    text T1 '$ echo one' one
    refuse 'README.md:6: the last block has no end'
}

@test "more than one pipe in a line is refused; || and what is quoted is none" {
    text T1 '$ echo one | cat | cat' one END
    refuse 'README.md:5: more than one pipe .*'
    text T1 '$ echo one \' '> | cat | cat' one END
    refuse 'README.md:6: more than one pipe .*'
    text T1 "\$ false || echo 'a|\"b' \"|'\\\"|\" \\| | cat" "a|\"b |'\"| |" END
    accept 1
}

@test "only its form is looked at with -n" {
    text T1 '$ touch file; false' 'not said' END
    compare -n
    expect_equal status 0 "$status"
    expect_equal output "" "$output"
    [[ ! -e file ]]
    text T1 '$ echo | cat | cat' END
    compare -n
    expect_equal status 1 "$status"
}

@test "a slow reader waits before each line, and still reads what comes" {
    local begin=${EPOCHREALTIME/./}
    text T1 '$ seq 20000' ... 20000 '$ cat' 'word⏎' word ^D END
    compare -s 0.2
    expect_equal status 0 "$status"
    ((${EPOCHREALTIME/./} - begin >= 800000))
}

@test "where there is no python3, what it would say is left out, aloud" {
    mkdir bin
    ln -s "$(command -v bash)" bin/bash
    text T1 '$ python3 -c "print(input())"' 'one⏎' one '$ echo two' two END
    PATH=$PWD/bin compare
    expect_equal status 0 "$status"
    expect_equal output 'not run, because python3 is not installed: $ python3 -c "print(input())"
1 commands' "$output"
}

@test "wrong arguments are refused" {
    local -a arguments
    for arguments in '' '-x README.md' '-s README.md' '-s -1 README.md' 'a b'; do
        # shellcheck disable=SC2086 # several words
        run "$transcript" $arguments
        expect_equal "status of $arguments" 2 "$status"
    done
    run "$transcript" nowhere.md
    expect_equal status 1 "$status"
}
