#!/usr/bin/env bats
# A lesson's twin in Python does what its program does. LESSON says whose. Where
# it prints less, the lesson's own tests say so and compare what it prints.

load ../../lib/common

# play FOLDER [TWIN]: plays the scene, with the twin, if named, in the place of
# the last actor that is the lesson's own program. What each actor said goes
# into FOLDER, with the numbers of ports left out; the last actor is in last.
play() {
    local name command i own=-1 final=-1 file
    local -a names=() commands=()
    while IFS=': ' read -r name command; do
        names+=("$name")
        commands+=("$command")
        final=$((final + 1))
        [[ $command != "build/$LESSON "* ]] || own=$final
    done <"lessons/$LESSON/scene"
    [[ -z ${2-} ]] || commands[own]=${commands[own]/"build/$LESSON"/"$2"}
    for i in "${!names[@]}"; do
        command=${commands[i]//'{port}'/${PORT-}}
        command=${command//build\//$BUILD/}
        start "${names[i]}" bash -c "exec $command"
        until_true ready "${names[i]}"
        ! says "${names[i]}" 'listening on *' || port_of "${names[i]}"
    done
    last=${names[final]}
    finish "$last"
    expect "status of $last" 0 "$ended"
    stop_all
    mkdir "$1"
    for name in "${names[@]}"; do
        sed -E 's/:[0-9]+/:PORT/g' "$BATS_TEST_TMPDIR/$name.out" >"$1/$name"
    done
}

ready() {
    says_or_ended "$1" '@(listening|capturing) on *'
}

# alike NAME: that actor said the same both times. One that was told to end may
# have ended before its last lines: then as far as both went.
alike() {
    local lines=1000000 folder count
    if [[ $1 != "$last" ]]; then
        for folder in "$program" "$twin"; do
            count=$(wc -l <"$folder/$1")
            lines=$((count < lines ? count : lines))
        done
        ((lines > 0))
    fi
    diff <(head -n "$lines" "$program/$1") <(head -n "$lines" "$twin/$1") >&2
}

@test "$LESSON: its scene goes the same way with its twin in Python" {
    local actor
    skip_unless python3
    program=$BATS_TEST_TMPDIR/program
    twin=$BATS_TEST_TMPDIR/twin
    play "$program"
    play "$twin" "python3 -u lessons/$LESSON/twin.py"
    ! grep -q "^# Its twin prints less" "tests/lessons/$LESSON.bats" || return 0
    for actor in "$program"/*; do
        alike "${actor##*/}"
    done
}

@test "$LESSON: its twin has 5 to 20 lines of code" {
    local lines
    lines=$(grep -cvE '^ *(#|$)' "lessons/$LESSON/twin.py")
    ((lines >= 5 && lines <= 22)) || { echo "$lines lines" >&2 && false; }
}
