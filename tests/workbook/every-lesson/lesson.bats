#!/usr/bin/env bats
# What every lesson promises: its text says what happens, its picture shows what
# happens, and its twin in Python does the same, with the same calls of sockets
# but for those that tests/twins has, each with its reason. LESSON says whose.

load ../../lib/common

readme=lessons/$LESSON/README.md
program=lessons/$LESSON/${LESSON#*-}.c
# Whose place the twin takes in the scene: that of our program, unless it says
# whose part it plays. Where that is a client, tests/twins says why.
twinned=$(sed -n 's/^# It plays the part of \(.*\)\.$/\1/p' "lessons/$LESSON/twin.py")
twinned=${twinned:-build/$LESSON}

setup_file() {
    # What belongs to this machine or this moment is not compared: times, ports,
    # descriptors, process numbers, and how long what is encrypted is.
    export UNIQUE='s/ class="t">[^<]*/ class="t">/
        s/(127\.0\.0\.1|\[::1\])(:[0-9]+)?/ADDRESS/g
        s/:[0-9]{2,5}/:PORT/g; s/( class="w">):PORT /\1/
        s/"[0-9]+\.[0-9]{6}/"TIME/g; s/Date: [A-Z][a-z]*/Date: D/g
        s/\[[0-9]{2}\/[A-Z][a-z]{2}\/[0-9]{2}/[DAY/g
        s/(<|&lt;)[0-9a-f]{4,}/\1BYTES/g; s/"[0-9a-f]{24}"/"BYTES"/g
        s/( ?) *\b[0-9]+ ms\b/\1N ms/g; s/(POLL[A-Z]+\], )[0-9]+</\1N</
        s/OpenSSL [0-9][^"]*/OpenSSL VERSION/; s/\(([0-9]+)/(FD/g; s/\[[0-9]+ POLL/[FD POLL/g
        s/((socket|accept4?)(\(.*\))?) = [0-9]+/\1 = FD/
        s/, [0-9]+ unacked//; s/[0-9]+ encryp/N encryp/g; s/FIN_WAIT[12]/FIN_WAIT/
        s/\.\.\.(, [A-Z_|]+)?\) = [0-9]+/...\1) = N/; s/, [0-9]+\) = [0-9]+ \.\.\./, N) = N .../
        s/\) = [0-9]{3,}</) = N</
        s/ = [0-9]+ \.\.\./ = N .../; s/process [0-9]+[^"]*"/process PID"/g'
}

# A lesson about io_uring shows nothing where there is none.
setup() {
    ! grep -qs '<linux/io_uring.h>' "$program" || need_ring
}

# at_once SCRIPT...: scripts/test has built everything; it need not look again.
at_once() (
    # shellcheck disable=SC2317 # what is called calls it
    make() {
        :
    }
    export -f make
    "$@"
)

# private COMMAND...: in a network of its own, and with names of its own, if the
# system allows that, or the text does without.
private() {
    local -a options=(-e tests/lib/etc)
    if ! "$BUILD/tests/private" "${options[@]}" true 2>/dev/null; then
        ! grep -q 'tests/private -e' "$readme" ||
            skip "this system allows no private names"
        options=()
        "$BUILD/tests/private" true 2>/dev/null ||
            skip "this system allows no private network"
    fi
    # Under bounded, for which Ctrl-C is never ignored.
    "$BUILD/tests/bounded" 120 "$BUILD/tests/private" "${options[@]}" "$@"
}

@test "$LESSON: every console block names its terminal, and no line has two pipes" {
    "$BUILD/tests/transcript" -n "$readme"
}

@test "$LESSON: every console transcript is what happens" {
    local said=$BATS_TEST_TMPDIR/said status=0
    # The solution stands in the place of the reader's answer.
    sed 's|build/work/|build/solution/|g' "$readme" >"$BATS_TEST_TMPDIR/README.md"
    private "$BUILD/tests/transcript" "$BATS_TEST_TMPDIR/README.md" >"$said" || status=$?
    ((status != 125)) || skip "this system makes no pseudo-terminal"
    expect_equal "status of the transcript" 0 "$status"
    # Each command was typed; but for Python's, where there is none.
    expect_equal commands "$(grep -c '^\$ ' "$readme")" \
        "$(awk '/^not run/ { n++ } END { print n + $1 }' "$said")"
}

# sources: the program, and the modules that the lesson builds, for itself or
# for later ones.
sources() {
    local header builder
    find "lessons/$LESSON" -name '*.[ch]' ! -name exercise.c ! -name solution.c
    for header in common/*.h; do
        builder=$(grep -oE 'lesson [0-9]{2}' "$header" | head -n 1)
        [[ $builder != "lesson ${LESSON%%-*}" ]] || echo "${header%.h}".[hc]
    done
}

# A quotation may leave out the lines before and after it, never inside.
@test "$LESSON: every line of C that is quoted stands in its program" {
    local block code
    # shellcheck disable=SC2046 # names without blanks
    code=$(cat $(sources))
    while IFS= read -rd '' block; do
        [[ $code == *"$block"* ]] ||
            { echo "not in $program:" "$block" >&2 && false; }
    done < <(awk '/^```c$/ { inside = 1; next }
                  /^```$/  { if (inside) printf "%c", 0; inside = 0 }
                  inside' "$readme")
}

@test "$LESSON: every link in it leads somewhere" {
    local target
    while IFS= read -r target; do
        [[ $target == https://* || -e lessons/$LESSON/${target%%#*} ]] ||
            { echo "leads nowhere: $target" >&2 && false; }
    done < <(grep -oE '\]\([^)]+\)' "$readme" | sed 's/^](//; s/)$//')
}

@test "$LESSON: its sections are the ones every lesson has, in their order" {
    expect_equal sections "The question|Predict|Run it|X-ray|How it works|\
Break it|In socket.py|Exercise|Left out|Read on" \
        "$(sed -n 's/^## //p' "$readme" | paste -sd '|')"
    [[ $(head -n 1 "$readme") == "# ${LESSON%%-*} · "* ]]
    # shellcheck disable=SC2016 # backquotes of Markdown
    grep -qF "\`scripts/learn check ${LESSON%%-*}\`" "$readme"
    expect_equal "folded hints" 3 "$(grep -c '<summary>Hint [123]' "$readme")"
    for part in "You will build" "New calls" Needs About; do
        grep -qF "**$part**" "$readme"
    done
    # The line that builds it by hand; a long one goes on behind a `>`.
    grep -qE "^(\\$ cc|>) .*$program" "$readme"
}

@test "$LESSON: it has every part, and no line over 80 columns" {
    local part
    for part in "$program" "lessons/$LESSON"/{exercise.c,solution.c,twin.py} \
        "lessons/$LESSON/scene" "tests/lessons/$LESSON.bats" \
        "tests/exercises/$LESSON.bats" "tests/wrong/$LESSON"; do
        [[ -e $part ]] || { echo "missing: $part" >&2 && false; }
    done
    LC_ALL=C.UTF-8 run ! grep -nE '^.{81,}' "$program" "$readme"
    run ! grep -nE '[[:alnum:]].*\| --- \|' "$readme" # a table in one paragraph
    grep -qF "($LESSON/)" README.md || grep -qF "lessons/$LESSON/" README.md
}

@test "$LESSON: its program explains itself, and refuses what it cannot use" {
    try "$BUILD/$LESSON" -h
    expect_result 0 ""
    read -r line <"$OUT"
    [[ $line == "usage: $LESSON"* ]]
    grep -qF " * $line" "$program"
    bash -c 'exec "$0" -h >/dev/full' "$BUILD/$LESSON" \
        2>"$BATS_TEST_TMPDIR/full" && return 1
    [[ $(<"$BATS_TEST_TMPDIR/full") == *": standard output: No space left on device" ]]
    try "$BUILD/$LESSON" --no-such-option and more words than it takes
    ((status == 1 || status == 2))
    [[ -n $errors ]]
}

@test "$LESSON: its scene plays to the end" {
    at_once scripts/learn run "$LESSON" >"$BATS_TEST_TMPDIR/scene"
    [[ -s $BATS_TEST_TMPDIR/scene ]]
}

# The picture.

need_private() {
    "$BUILD/tests/private" -e tests/lib/etc true 2>/dev/null ||
        skip "this machine allows no private network"
}

# whole_labels PICTURE: its lines, without heights. A label that goes on in the
# next line is joined: where it is broken depends on how long its numbers are.
whole_labels() {
    awk '
        { sub(/ y="[0-9]+"/, "") }
        match($0, /^<text x="[0-9]+">    /) {
            sub(/<\/text>$/, "", held)
            held = held " " substr($0, RSTART + RLENGTH)
            next
        }
        NR > 1 { print held }
        { held = $0 }
        END { print held }' "$1"
}

# told PICTURE: what it tells, a line each: where it stands from left to right,
# and what it says. Left out: when, how much is not acknowledged, and the legend;
# and a lone ACK, which comes with data or without, as the timers have it, which
# also part FIN_WAIT1 from FIN_WAIT2; but for the ACK of the handshake. Each
# connection may have a letter.
told() {
    whole_labels "$1" | sed -E "/ class=\"s\">/d; $UNIQUE" | awk '
        !/^<text/ || / class="[td]"/ { next }
        / class="s / {
            split($0, part, "\"")
            same = state[part[2]] == $0
            state[part[2]] = $0
            if (same && />FIN_WAIT</) next
        }
        / class="w"/ {
            letter = match($0, />[A-Za-z+] /) ? substr($0, RSTART, RLENGTH) : ""
            shaking = last[letter] ~ />([A-Za-z+] )?SYN ACK</
            last[letter] = $0
            if (/>([A-Za-z+] )?ACK</ && !shaking) next
        }
        { print }'
}

# apart: what was called, in its order, and then what was sent, in its own. On a
# busy machine a segment may leave sooner or later, in two parts or twice, and a
# FIN alone or with data; and a server be told to end before it waits again.
apart() {
    grep -v ' class="w"' "$1" | awk '
        { line[++count] = $0 }
        END {
            if (line[count] ~ /\.\.\.<\/text>$/) count--
            for (i = 1; i <= count; i++) print line[i]
        }'
    grep ' class="w"' "$1" | uniq | sed '/>FIN PSH ACK/ {
        h; s/FIN PSH ACK/PSH ACK/p; g; s/FIN PSH ACK[^<]*/FIN ACK/; }' | uniq
}

@test "$LESSON: its picture is what happens" {
    local kept=$BATS_TEST_TMPDIR/kept drawn=$BATS_TEST_TMPDIR/drawn
    need_private
    told "lessons/$LESSON/xray.svg" >"$kept"
    (($(wc -l <"$kept") > 3))
    for _ in {1..6}; do # the kernel may acknowledge late, or twice
        at_once scripts/xray -l -s "$drawn.svg" "$LESSON" \
            >"$BATS_FILE_TMPDIR/listed" 2>"$drawn.err" || true
        told "$drawn.svg" >"$drawn"
        ! cmp -s "$kept" "$drawn" || return 0
    done
    ! cmp -s <(apart "$kept") <(apart "$drawn") || return 0
    cat "$drawn.err" >&2
    diff "$kept" "$drawn" >&2
}

@test "$LESSON: its picture is legible, and small" {
    local picture=lessons/$LESSON/xray.svg port
    (($(wc -c <"$picture") < 60000))
    grep -q 'prefers-color-scheme:dark' "$picture"
    run ! grep -qiE '<script|<foreignObject|href' "$picture"
    grep -q '(xray.svg)' "lessons/$LESSON/README.md"
    # A port that the text shows from it.
    while read -r port; do
        grep -qF "$port" "$picture"
    done < <(grep -oE '(to|from) :[0-9]{5}' "lessons/$LESSON/README.md" |
        grep -oE ':[0-9]+')
}

# listed [--twin]: all calls of the scene.
listed() {
    at_once scripts/xray "$@" -l "$LESSON" 2>"$BATS_TEST_TMPDIR/err"
}

# calls: of those, the socket calls of the actor that has a twin, one a line.
calls() {
    local actor
    actor=$(grep "$twinned " "lessons/$LESSON/scene" | tail -n 1)
    awk -F '\t' -v actor="${actor%%:*}" '
            index($1, actor) == 1 && ($2 ~ /^(socket|socketpair)\(/ ||
                $2 ~ /^(p?poll|p?select)/ ||
                $2 ~ /\([0-9]+ (tcp|udp|unix|netlink|packet|socket|listener|to|from)/) {
                print $2
            }' |
        sed -E "$UNIQUE; s/(to|from) :PORT/\\1 PEER/
            s/(recv[a-z]*\\(.*), [0-9]+/\\1, N/" |
        # Of a loop of one call or two, one turn.
        awk '$0 != last && ($0 != second || last != third)
            { third = second; second = last; last = $0 }' |
        # A server may be told to end before it waits again.
        sed '$ { / \.\.\.$/d }'
}

@test "$LESSON: its twin makes the same calls of sockets" {
    local expected=$BATS_TEST_TMPDIR/expected got=$BATS_TEST_TMPDIR/got
    need_private
    [[ $twinned == "build/$LESSON" ]] || grep -q '^# .*client' "tests/twins/$LESSON.diff"
    skip_unless python3
    [[ $(python3 -V) == "Python 3.11."* ]] ||
        skip "what Python calls was written down for Python 3.11"
    if [[ -e tests/twins/$LESSON.diff ]]; then
        grep -v '^#' "tests/twins/$LESSON.diff" >"$expected"
    else
        : >"$expected"
    fi
    # The picture's own, first, if it has been drawn.
    [[ -e $BATS_FILE_TMPDIR/listed ]] || listed >"$BATS_FILE_TMPDIR/listed"
    for _ in 1 2 3; do
        calls <"$BATS_FILE_TMPDIR/listed" >"$got.ours"
        listed --twin | calls >"$got.twin"
        diff --unified=0 "$got.ours" "$got.twin" | sed '1,2d; /^@@/d' >"$got" || true
        ! cmp -s "$expected" "$got" || return 0
        listed >"$BATS_FILE_TMPDIR/listed"
    done
    cat "$BATS_TEST_TMPDIR/err" >&2
    diff "$expected" "$got" >&2
}

# The twin. Where it prints less, the lesson's own tests say so and compare what
# it prints.

# play FOLDER [TWIN]: plays the scene, with the twin, if named, in the place of
# the last actor that is the program it is the twin of. What each actor said goes
# into FOLDER; the last actor is in last. Left out is what each run has another of:
# the numbers of ports and processes, and the length of what a TLS server sends.
play() {
    local name command i own=-1 final=-1
    local -a names=() commands=()
    while IFS=': ' read -r name command; do
        names+=("$name")
        commands+=("$command")
        final=$((final + 1))
        [[ $command != "$twinned "* ]] || own=$final
    done <"lessons/$LESSON/scene"
    [[ -z ${2-} ]] || commands[own]=${commands[own]/"$twinned"/"$2"}
    for i in "${!names[@]}"; do
        command=${commands[i]//'{port}'/${PORT-}}
        command=${command//build\//$BUILD/}
        # The file of an AF_UNIX socket is this test's own.
        [[ $command != *' '"$BUILD"/*.socket* ]] ||
            command=${command/" $BUILD/"/" $BATS_TEST_TMPDIR/"}
        start "${names[i]}" bash -c "exec $command"
        until_true ready "${names[i]}"
        ! says "${names[i]}" 'listening on *:*' || port_of "${names[i]}"
    done
    last=${names[final]}
    finish "$last"
    # shellcheck disable=SC2154 # finish sets it
    expect_equal "status of $last" 0 "$ended"
    stop_all
    mkdir "$1"
    for name in "${names[@]}"; do
        sed -E 's/:[0-9]+/:PORT/g; s/process [0-9]+/process PID/g
            s/there, [0-9]{4} back$/there, N back/' \
            "$BATS_TEST_TMPDIR/$name.out" >"$1/$name"
    done
}

ready() {
    says_or_ended "$1" '@(listening|capturing) on *'
}

# alike NAME: that actor said the same both times. One that was told to end may
# have ended before its last lines: then as far as both went.
alike() {
    local most=1000000 folder count
    if [[ $1 != "$last" ]]; then
        for folder in "$ours" "$twin"; do
            count=$(wc -l <"$folder/$1")
            most=$((count < most ? count : most))
        done
        ((most > 0))
    fi
    diff <(head -n "$most" "$ours/$1") <(head -n "$most" "$twin/$1") >&2
}

@test "$LESSON: its scene goes the same way with its twin in Python" {
    local actor
    skip_unless python3
    ours=$BATS_TEST_TMPDIR/ours
    twin=$BATS_TEST_TMPDIR/twin
    play "$ours"
    play "$twin" "python3 -u lessons/$LESSON/twin.py"
    ! grep -qE "^# Its twin prints (less|other words)" "tests/lessons/$LESSON.bats" || return 0
    for actor in "$ours"/*; do
        alike "${actor##*/}"
    done
}
