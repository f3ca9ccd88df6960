#!/usr/bin/env bats
# A lesson's twin in Python does what its program does. LESSON says whose. Where
# it prints less, the lesson's own tests say so and compare what it prints.

load ../../lib/common

# play [TWIN]: plays the scene, with the twin, if named, in the place of the
# last actor that is the lesson's own program. What each actor said is in
# $BATS_TEST_TMPDIR/said, with the numbers of ports left out.
play() {
    local name command i own=-1 last=-1 file
    local -a names=() commands=()
    while IFS=': ' read -r name command; do
        names+=("$name")
        commands+=("$command")
        last=$((last + 1))
        [[ $command != "build/$LESSON "* ]] || own=$last
    done <"lessons/$LESSON/scene"
    [[ -z ${1-} ]] || commands[own]=${commands[own]/"build/$LESSON"/"$1"}
    for i in "${!names[@]}"; do
        command=${commands[i]//'{port}'/${PORT-}}
        command=${command//build\//$BUILD/}
        start "${names[i]}" bash -c "exec $command"
        until_true ready "${names[i]}"
        ! says "${names[i]}" 'listening on *' || port_of "${names[i]}"
    done
    finish "${names[last]}"
    expect "status of ${names[last]}" 0 "$ended"
    # A server in Python does not live to say its last line after SIGTERM.
    [[ ! -e $BATS_TEST_TMPDIR/program ]] || until_true said_as_much
    stop_all
    for file in "$BATS_TEST_TMPDIR"/*.out; do
        echo "${file##*/}"
        sed -E 's/:[0-9]+/:PORT/g' "$file"
    done >"$BATS_TEST_TMPDIR/said"
}

# said_as_much: there are as many lines as the program's, which have a heading
# for each actor among them.
said_as_much() {
    local file count=0
    local -a lines program
    prints_less && return
    mapfile -t program <"$BATS_TEST_TMPDIR/program"
    for file in "$BATS_TEST_TMPDIR"/*.out; do
        mapfile -t lines <"$file"
        count=$((count + 1 + ${#lines[@]}))
    done
    ((count >= ${#program[@]}))
}

prints_less() {
    grep -q "^# Its twin prints less" "tests/lessons/$LESSON.bats"
}

ready() {
    says_or_ended "$1" 'listening on *'
}

@test "$LESSON: its scene goes the same way with its twin in Python" {
    skip_unless python3
    play
    mv "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/program"
    play "python3 -u lessons/$LESSON/twin.py"
    ! prints_less || return 0
    diff "$BATS_TEST_TMPDIR/program" "$BATS_TEST_TMPDIR/said" >&2
}

@test "$LESSON: its twin has 5 to 20 lines of code" {
    local lines
    lines=$(grep -cvE '^ *(#|$)' "lessons/$LESSON/twin.py")
    ((lines >= 5 && lines <= 22)) || { echo "$lines lines" >&2 && false; }
}
