# shellcheck shell=bash disable=SC2034,SC2154 # they share variables
# What became of the runs: judges them, and prints the table and what should not
# be there.

# judge RESULTS
judge() {
    awk -v lesson="$name" -f tests/torture/judge.awk tests/torture/reasons \
        tests/torture/varies tests/torture/known "$folder/reference" "$1"
}

# confirm: what looks bad is run again: on a busy machine a thing may have come late.
confirm() {
    awk -F '\t' '$1 !~ /^(idle|same|said|half|floor|excused)$/ { print $2 }' "$folder/verdicts" \
        >"$folder/suspects"
    [[ -s $folder/suspects ]] || return 0
    cat "$folder"/plan "$folder"/plan-{4,68,hosts} |
        awk -F '\t' 'NR == FNR { bad[$1]; next } $1 in bad' \
            "$folder/suspects" - >"$folder/again"
    grep -vE '\|places\|(no |packets)' "$folder/again" >"$folder/plan-again" ||
        true
    : >"$folder/results-again"
    run_plan "$folder/plan-again" "$folder/results-again" 9999 0
    judge "$folder/results-again" >"$folder/verdicts-again"
    awk -F '\t' 'NR == FNR { if ($1 ~ /^(idle|same|said|half|floor|excused)$/) good[$2] = $0; next }
                 $2 in good { print good[$2]; next } { print }' \
        "$folder/verdicts-again" "$folder/verdicts" >"$folder/verdicts-new"
    mv "$folder/verdicts-new" "$folder/verdicts"
}

# print_table FOLDER...: a row a program; then what should not be there.
print_table() {
    local folder
    for folder; do
        awk -F '\t' -v name="${folder##*/}" -v planned="$(<"$folder/planned")" '
            { if ($1 !~ /^(idle|floor|excused)$/) { n[$1]++; all++ } }
            END { printf "%s %d %d %d %d %d %d %d %d %d %d\n", name, NR, planned, all, n["same"],
                  n["said"], n["half"], n["crash"] + n["dead"], n["hang"] + n["unserved"],
                  n["wrong"] + n["silent"], n["lost"] }' "$folder/verdicts"
    done | awk '
        BEGIN { row = "%-27s %6s %6s %6s %6s %5s %5s %5s %5s %6s %5s\n"
                printf row, "", "", "of", "", "did it", "said", "not", "", "", "wrong", "lost"
                printf row, "program", "played", "all", "fired", "anyway", "why", "why", "died", "hung", "silent", "a fd" }
        { printf row, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
          for (i = 2; i <= 11; i++) sum[i] += $i }
        END { printf row, "all", sum[2], sum[3], sum[4], sum[5], sum[6], sum[7], sum[8], sum[9], sum[10], sum[11]
              exit sum[8] + sum[9] + sum[10] + sum[11] > 0 }' || {
        echo
        print_findings "$@"
        return 1
    }
}

print_findings() {
    local folder
    for folder; do
        awk -F '\t' -v name="${folder##*/}" '
            $1 !~ /^(idle|same|said|half|floor|excused)$/ {
                printf "%s: %s: %s: %s: %s\n", $1, name, $2, $3, substr($4, 1, 100)
            }' "$folder/verdicts"
    done
}
