# shellcheck shell=bash disable=SC2034,SC2154 # bats and tests share variables
# For tests of the exercises' checks themselves: `load ../../lib/check`.

# check PROGRAM [TEST]: the exercise's check, as a learner's answer would meet
# it; its report is in $report. Of TEST alone, if named; with FULL set, of that
# and all before it. (bats puts its own inner parts before PATH.)
check() {
    local tests=${2:-.}
    if [[ -n ${2-} && -n ${FULL-} ]]; then
        tests=$(sed -n 's/^@test "\(.*\)" {$/\1/p' "tests/exercises/$LESSON.bats" |
            awk -v last="$2" '{ print } $0 == last { exit }' | paste -sd '|')
    fi
    [[ -z ${2-} ]] || tests="^($tests)\$"
    report=$(env -i PATH="${PATH//"$BATS_LIBEXEC:"/}" HOME="$BATS_TEST_TMPDIR" BUILD="$BUILD" \
        TMPDIR="$BATS_TEST_TMPDIR" PROGRAM="$1" \
        bats --formatter tap --filter "$tests" "tests/exercises/$LESSON.bats" 3>&- 2>&1)
}
