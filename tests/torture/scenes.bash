# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# Which scenes a program plays in. A lesson's has its own. For an exercise's
# answer they are taken from its check: what the check runs is written down, and
# a peer and an answer that met become a scene.

# targets SCENE PROGRAM [NAME]: the numbers of the actors that are PROGRAM.
targets() {
    awk -v program="$2" -v name="${3-}" '{
        sub(/^[^:]*: /, "")
        for (i = 1; i <= NF; i++)
            if ($i == program || $i == name) { print NR; break }
    }' "$1"
}

# record_check LESSON FOLDER: runs the check of LESSON's solution; each run of
# the solution and of a peer is a line of FOLDER/record: the test's number, the
# program, its arguments.
record_check() {
    local shadow=$2/shadow tool
    rm -rf "$shadow" "$2/record" "$2/files"
    mkdir -p "$shadow/peers" "$shadow/solution" "$2/files"
    for tool in "$BUILD"/peers/*; do
        case ${tool##*/} in
        *.d) ;;
        rude* | queue) write_recorder "$tool" "$shadow/peers/${tool##*/}" "$2" ;;
        *) ln -s "$PWD/$tool" "$shadow/peers/" ;;
        esac
    done
    for tool in "$BUILD"/*; do
        [[ -e $shadow/${tool##*/} || $tool == */torture ]] ||
            ln -s "$PWD/$tool" "$shadow/"
    done
    write_recorder "$BUILD/solution/$1" "$shadow/solution/$1" "$2"
    BUILD=$shadow PROGRAM=$shadow/solution/$1 bats --formatter tap \
        "tests/exercises/$1.bats" >"$2/check.tap" 2>&1 </dev/null || true
    touch "$2/record"
}

# A file that the check made is gone when the check is over, so it is copied.
write_recorder() {
    cat >"$2" <<END
#!/usr/bin/env bash
line=\${BATS_TEST_NUMBER-0}$'\t'$1
[[ -z \${LD_PRELOAD-} ]] || exec "$PWD/$1" "\$@"
stdin=
if [[ -f /dev/stdin && $1 == */solution/* ]]; then
    stdin=$3/files/\$\$
    cp /dev/stdin "\$stdin"
fi
for word; do
    if [[ \$word == /*/* && -f \$word && ! -x \$word && \$before != -o ]]; then
        cp -p "\$word" "$3/files/\$\$-\${word##*/}"
        word=$3/files/\$\$-\${word##*/}
    fi
    [[ \$before != -o ]] || word=/dev/null
    before=\$word
    line+=\$'\t'\$word
done
[[ -z \$stdin ]] || line+=\$'\t<'\$stdin
printf '%s\n' "\$line" >>"$3/record"
exec "$PWD/$1" "\$@"
END
    chmod +x "$2"
}

# candidate_scenes PROGRAM FOLDER: files FOLDER/candidate-N from the record. A
# peer that serves, and then an answer with a port among its arguments; or an
# answer, and a peer that connects; or an answer alone, or with anybody. What a
# peer still hears that breaks off tells nothing of the answer.
candidate_scenes() {
    rm -f "$2"/candidate-*
    awk -F '\t' -v program="$1" -v folder="$2" '
        function words(from,    i, text) {
            for (i = from; i <= NF; i++) {
                if ($i == "" || $i ~ /[^A-Za-z0-9_.,:\/@%+=<-]/) return ""
                text = text " " $i
            }
            return text
        }
        function port_at(from,    i) {
            for (i = NF; i >= from; i--)
                if ($i ~ /^[0-9]+$/ && $i >= 1024) return i
            return 0
        }
        function write_scene(text) {
            if (text in written) return
            written[text] = 1
            printf "%s", text >(folder "/candidate-" sprintf("%02d", ++n))
        }
        $1 != test { test = $1; peer = answer = "" }
        $2 != program {
            if ($3 == "payload" || / faces/ || /broken-off/) next
            is_serve = $2 ~ /rude-tls$/ # unless it is told to join somebody
            for (i = 3; i <= NF; i++) {
                if ($i == "payload") next
                if ($i == "serve") is_serve = 1
                if ($i == "connect" || $i == "-j") is_serve = 0
            }
            if (is_serve) { peer = "peer: " $2 words(3) "\n"; next }
            if ($2 ~ /rude/ && answer != "" && (at = port_at(3))) {
                $at = "{port}"
                OFS = "\t"
                command = $2
                for (i = 3; i <= NF; i++) command = command " " $i
                write_scene("answer: " answer "\npeer: " command "\n")
            }
            next
        }
        {
            command = words(3)
            if (NF > 2 && command == "") next
            if (peer != "" && (at = port_at(3))) {
                $at = "{port}"
                command = ""
                for (i = 3; i <= NF; i++) command = command " " $i
                write_scene(peer "answer: " program command "\n")
            } else {
                answer = program command
                write_scene("answer: " answer "\n")
                if ($NF == "0" || $0 ~ /\t0\t/)
                    write_scene("answer: " answer \
                        "\nanybody: build/peers/rude -n 40 connect whole {port}\n")
            }
        }' "$2/record"
}
