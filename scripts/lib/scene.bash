# shellcheck shell=bash disable=SC2154 # the desk's files share variables
# Plays a lesson's scene, or makes one of any commands; lessons/README.md says how a
# scene is written.

# label_output NAME FOLDER: prints each line of its input with NAME before it. A
# file FOLDER/ready says that the actor is ready, and FOLDER/port on which port it
# listens.
label_output() {
    local line
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line != "listening on "* ]] || echo "${line##*:}" >"$2/port"
        [[ $line != @(listening|capturing)" on "* ]] || : >"$2/ready"
        printf '%s | %s\n' "$1" "$line"
    done
}

# need_programs: the programs of the scene on standard input are built.
need_programs() {
    local command
    while IFS=': ' read -r _ command; do
        command=${command%% *}
        [[ $command != build/* || -x $command ]] ||
            fail 3 "$command is not built, for want of something: scripts/learn doctor \
says what is missing"
    done
}

# run_scene LESSON: in a network of its own where the machine allows one, because
# a program may also capture there.
run_scene() {
    local name command port='' here
    local -a actors=()
    if [[ -z ${SCENE_IS_PRIVATE-} ]]; then
        need_build_folder
        build all >&2 || fail 3 "the lessons do not build"
        if build/tests/private true 2>/dev/null; then
            SCENE_IS_PRIVATE=1 build/tests/private scripts/learn run "$1"
            return
        fi
    fi
    need_programs <"lessons/$1/scene"
    make_temporary_folder
    # shellcheck disable=SC2064 # as it is now
    trap "kill \$(jobs -p) 2>/dev/null; rm -rf ${here@Q}" EXIT
    while IFS=': ' read -r name command; do
        [[ -n $name ]] || continue
        rm -f "$here/port" "$here/ready"
        command=${command//'{port}'/$port}
        echo "$bold$name \$ $command$plain"
        bash -c "exec $command" > >(label_output "$name" "$here") 2>&1 \
            </dev/null &
        actors+=($!)
        while [[ ! -e $here/ready ]] && kill -0 "${actors[-1]}" 2>/dev/null; do
            sleep 0.02
        done
        [[ ! -s $here/port ]] || port=$(<"$here/port")
    done <"lessons/$1/scene"
    # The scene ends when its last actor ends; the others are then told to.
    wait "${actors[-1]}" || true
    unset 'actors[-1]'
    ((${#actors[@]} == 0)) || kill "${actors[@]}" 2>/dev/null || true
    wait
    rm -rf "$here"
    trap - EXIT
}

# print_commands WORD...: a scene of the commands that -- separates, in which each
# has the name of its program. A shell reads a command, so its words are quoted.
print_commands() {
    local word name='' command='' number quote="'\\''"
    local -A count=()
    for word in "$@" --; do
        if [[ $word != -- ]]; then
            [[ -n $command ]] || name=$(name_program "$word")
            command+=" '${word//\'/$quote}'"
        elif [[ -n $command ]]; then
            number=$((${count["$name"]-0} + 1))
            count["$name"]=$number
            ((number == 1)) || name+=" $number"
            printf '%s:%s\n' "$name" "$command"
            command=
        fi
    done
}

# name_program PATH: its name, as a scene can have it. There # begins a remark, and
# a colon ends the name.
name_program() {
    local name=${1##*/}
    [[ -n $name && $name != "#"* ]] || name=./$name
    printf '%s\n' "${name//:/ }"
}

# need_commands WORD...: the words are commands that a scene can have: a line each.
need_commands() {
    local word last=--
    for word; do
        [[ $word != *$'\n'* ]] || fail_usage "a command with a newline in it"
        [[ $last != -- || -n $word ]] || fail_usage "a command without a name"
        last=$word
    done
    [[ -n ${last#--} ]] || fail_usage "which commands?"
}
