# shellcheck shell=bash disable=SC2154 # its variables are tests/mutate's
# What each worker of tests/mutate does: builds a program that is broken, and runs
# the tests of its lesson.

# make_folder HERE: looks like build/, but has no program of the lesson, if that
# is what is broken. A broken solution has a folder of its own, HERE/broken,
# since its check may need the lesson's program. The sources are in HERE/source.
make_folder() {
    local part
    mkdir -p "$1/source" "$1/tests" "$1/broken"
    for part in build/*; do
        case ${part#*/} in
        "$lesson")
            [[ ! $of_exercise ]] || ln -s "$PWD/$part" "$1/"
            ;;
        *.d | mutants | tests | source | broken) ;;
        *) ln -s "$PWD/$part" "$1/" ;;
        esac
    done
    ln -s "$PWD"/build/tests/* "$1/tests/"
    if [[ $of_exercise ]]; then
        cp "lessons/$lesson/solution.c" "$1/source/"
    else
        cp "lessons/$lesson"/*.[ch] "$1/source/"
        rm -f "$1/source/"{exercise,solution}.c
    fi
}

# list_suites: sets suites to the files of tests that are to notice a mutant.
list_suites() {
    suites=(tests/lessons/"$lesson"*.bats)
    [[ -z $of_exercise ]] || suites=("tests/exercises/$lesson.bats")
}

# place_of HERE: where the program is that is broken.
place_of() {
    echo "$1/${of_exercise:+broken/}$lesson"
}

# build_program HERE FILE...: compiles these of its sources, and takes the rest
# of the objects from the program as it is. A variable that has no value gets an
# odd one, if the compiler can do that.
build_program() {
    local here=$1 file object
    local -a objects=() undefined=(-ftrivial-auto-var-init=pattern)
    cc "${undefined[@]}" -E - </dev/null >/dev/null 2>&1 || undefined=()
    shift
    for file; do
        cc -std=c17 -O1 -w "${undefined[@]}" -Icommon -c \
            -o "$here/source/$file.o" "$here/source/$file" 2>/dev/null || return
    done
    for object in "$work"/as-it-is/source/*.o; do
        file=$here/source/${object##*/}
        [[ -e $file ]] || file=$object
        objects+=("$file")
    done
    # A check may want to build it once more, in another way.
    [[ ! $of_exercise ]] ||
        echo "$here/source/solution.c" >"$(place_of "$here").d"
    cc -o "$(place_of "$here")" "${objects[@]}" build/common.a -ldl -lpthread \
        -lssl -lcrypto 2>/dev/null
}

# run_tests HERE FILE FILTER OUTPUT: whether these tests of the file pass.
run_tests() {
    local program=
    [[ -z $of_exercise ]] || program=$(place_of "$1")
    FAIL_FAST=1 START_SECONDS=10 BUILD=$1 PROGRAM=$program \
        build/tests/bounded 120 bats --timing --formatter tap -f "$3" "$2" \
        >"$4" 2>&1 </dev/null
}

# filter_of: a filter for the tests whose names are read; nothing if none is.
filter_of() {
    # shellcheck disable=SC2016 # the $ is sed's
    sed 's/[][\.*^$()+?{}|]/\\&/g; s/.*/^&$/' | paste -sd '|'
}

# names_of OUTPUT RESULT [LEAST MOST]: the tests with that result which took so
# many milliseconds.
names_of() {
    sed -nE "s/^$2 [0-9]+ (.*) in ([0-9]+)ms( # skip.*)?\$/\2 \1/p" "$1" |
        awk -v least="${3-0}" -v most="${4-1000000}" \
            '$1 >= least && $1 < most { sub(/^[0-9]+ /, ""); print }'
}

# fails_twice HERE FILE FILTER: whether one of these tests fails, and fails again
# when it is run alone. Sets name to its name. On a busy machine, a test may fail
# once: then all of them are run anew.
fails_twice() {
    for _ in 1 2 3; do
        ! run_tests "$1" "$2" "$3" "$1/tap" || return 1
        name=$(names_of "$1/tap" "not ok" | head -n 1)
        [[ $name ]] || return 0
        run_tests "$1" "$2" "$(filter_of <<<"$name")" "$1/tap" || return 0
    done
    return 1
}

# judge_mutant HERE MUTANT: prints whether a test notices it.
judge_mutant() {
    local part filter file name
    local -a suites
    list_suites
    for part in quick slow; do
        for file in "${suites[@]}"; do
            filter=$(<"$work/$part-${file##*/}")
            if [[ $filter ]] && fails_twice "$1" "$file" "$filter"; then
                echo "noticed: $2: ${name:-bats}"
                return
            fi
        done
    done
    echo "unnoticed: $2"
}

# try_mutant FILE KIND START LENGTH LINE: prints noticed, unnoticed or void.
try_mutant() {
    local here=$work/${1%.c}-$2-$3
    make_folder "$here"
    awk -v kind="$2" -v start="$3" -v count="$4" -f tests/lib/mutants.awk \
        "lessons/$lesson/$1" >"$here/source/$1"
    if build_program "$here" "$1"; then
        judge_mutant "$here" \
            "lessons/$lesson/$1:$5: $2: $(sed -n "$5p" "lessons/$lesson/$1")"
    else
        echo void
    fi
    rm -rf "$here"
}
