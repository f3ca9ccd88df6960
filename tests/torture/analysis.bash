# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# What finds mistakes without running into them, or before they show.

# analyse LESSON...: a line each; fails when there was a finding.
analyse() {
    local lesson found=0
    for lesson; do
        run_valgrind "$lesson" "$BUILD/$lesson" "lessons/$lesson/scene" ||
            found=1
    done
    run_analyzer || found=1
    run_tidy || found=1
    report_run "fuzzing, ${FUZZ_SECONDS:-60} s a parser" \
        make --silent FUZZ_SECONDS="${FUZZ_SECONDS:-60}" fuzz || found=1
    report_run "the tests under sanitizers" make --silent sanitize || found=1
    return "$found"
}

# report_run WHAT COMMAND...: what it said is shown when it failed.
report_run() {
    local what=$1 log=$results/analysis.log begin=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        echo "$what: no finding, in $((SECONDS - begin)) s"
    else
        echo "$what: findings"
        grep -vE '^ok|no finding' "$log" | tail -n 40
        return 1
    fi
}

# run_valgrind NAME PROGRAM SCENE: errors, memory lost, and descriptors that
# were open at the end beside 0, 1 and 2.
run_valgrind() {
    local folder=$results/$1/valgrind run=1 target found=0 counts blind=
    command -v valgrind >/dev/null || {
        [[ -n ${no_valgrind-} ]] || echo "valgrind: skipped, it is not installed"
        no_valgrind=1
        return 0
    }
    mkdir -p "$folder"
    # What ptrace(2) fills in, valgrind takes for memory that nobody has filled.
    ! nm -D "$2" 2>/dev/null | grep -q ' ptrace' ||
        blind=' --undef-value-errors=no'
    while read -r target; do
        printf 'valgrind\tscene=%s\ttarget=%s\trounds=1\twrap=%s\n' "$3" "$target" \
            "valgrind -q --track-fds=yes --leak-check=full$blind --log-file=@LOG@" |
            run_one >/dev/null
        counts=$(awk '
            /Open (AF_|file descriptor)/ { open++; opened = 1; next }
            /inherited from parent/ && opened { open-- }
            { opened = 0 }
            # A child that ends by _exit frees nothing; who ends last is no child.
            /definitely lost/ { lost[$1]++ }
            /Invalid (read|write)|uninitialised|Mismatched|Process terminating.*signal 11/ { errors++ }
            END { print errors + lost[$1], open + 0 }' "$folder/slot-0/log")
        echo "valgrind: $1, actor $target:" \
            "${counts% *} errors, ${counts#* } descriptors open at the end"
        [[ ${counts% *} == 0 ]] || found=1
    done < <(targets "$3" "$2")
    return "$found"
}

# Without optimization: in what that has rearranged, gcc 12 takes a file that is
# open when err(3) ends the program for one that was lost. And a pointer whose
# bytes are copied it takes for one without a value; valgrind knows better.
run_analyzer() {
    local file log=$results/analyzer.log
    command -v gcc >/dev/null || return 0
    : >"$log"
    for file in common/*.c lessons/*/*.c; do
        gcc -std=c17 -O0 -Icommon -fanalyzer \
            -Wno-analyzer-use-of-uninitialized-value -S -o /dev/null "$file" \
            2>>"$log" || true
    done
    report_run "gcc -fanalyzer" refute 'warning:' "$log"
}

# refute PATTERN FILE: shows where it is, and fails, when it is there.
refute() {
    ! grep -E "$1" "$2"
}

run_tidy() {
    command -v clang-tidy >/dev/null || {
        echo "clang-tidy: skipped, it is not installed"
        return 0
    }
    report_run clang-tidy tidy_all
}

tidy_all() {
    # shellcheck disable=SC2016 # for that shell
    printf '%s\n' common/*.c lessons/*/*.c tests/*/*.c |
        xargs -P "$(nproc)" -n 1 \
            sh -c 'clang-tidy --quiet "$1" -- -std=c17 -Icommon 2>/dev/null' -
}

# find_flakes: all tests, twenty times, beside a loop on each core; goes on where
# it was left.
find_flakes() {
    local passed=0 print state=$results/flakes log=$results/flakes.log i
    mkdir -p "$results"
    print=$(cat Makefile common/* lessons/*/* scripts/* scripts/lib/* tests/*/*.* 2>/dev/null |
        sha256sum)
    [[ ! -e $state ]] || read -r print_before passed <"$state"
    [[ ${print_before-} == "${print%% *}" ]] || passed=0
    for ((i = 0; i < $(nproc); i++)); do
        "$BUILD/tests/bounded" 7200 bash -c 'while :; do :; done' &
        # shellcheck disable=SC2064 # as it is now
        trap "kill $! $(jobs -p | tr '\n' ' ') 2>/dev/null" EXIT
    done
    while ((passed < 20)); do
        # shellcheck disable=SC2065 # it is not test(1)
        scripts/test >"$log" 2>&1 || {
            grep -A 20 '^FAIL' "$log"
            echo "flakes: after $passed runs without one, this"
            return 1
        }
        passed=$((passed + 1))
        echo "${print%% *} $passed" >"$state"
        echo "torture: $passed of 20 runs of all tests under load" >&2
    done
    echo "flakes: none in 20 runs under load"
}
