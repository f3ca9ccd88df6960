#!/usr/bin/env bats
# lessons/26-load-generator/histogram, function by function.

load ../lib/common

tell=$BUILD/tests/tell-histogram

# told EXPECTED ARGUMENT...: what tell-histogram says of its standard input.
told() {
    expect_equal "${*:2}" "$1" "$(bounded "$tell" "${@:2}" | paste -sd ' ')"
}

@test "histogram_add keeps each value to one part in 64, at each bucket's edges" {
    told "2368 buckets of 2368" edges
}

@test "histogram_percentile counts in order of size, and rounds its rank up" {
    told "0 0 0" 0 500 1000 </dev/null
    printf '%s\n' 3 1 2 | told "1 1 1 2 2 3 3" 0 1 333 334 666 667 1000
    seq 100 | told "1 50 51 99 100 100" 10 500 501 990 991 1000
    # 990 and 991 are one bucket; 1000, as the largest, is told as it is.
    seq 1000 | told "503 991 999 1000" 500 990 999 1000
    printf '%s\n' 5 5 5 1000000 | told "5 5 1000000" 500 750 751
}

@test "histogram_add takes what is negative for 0, and what is huge as it can" {
    printf '%s\n' -1 -9223372036854775808 7 | told "0 7" 500 1000
    printf '%s\n' 4398046511102 | told 4398046511102 1000
    printf '%s\n' 4398046511103 | told 4398046511103 1000
    printf '%s\n' 4398046511104 9223372036854775807 | told 4398046511103 1000
}

@test "histogram_write_percentiles writes microseconds, a line each" {
    run -0 bash -c "seq 100 100 100000 | '$tell' rows sent-"
    expect_equal rows "sent-p50   50.2 us
sent-p90   90.1 us
sent-p99   99.3 us
sent-p99.9 100.0 us
sent-max   100.0 us" "$output"
}

@test "histogram_write_bars has a bar for each doubling, to scale" {
    local full='##################################################'
    told "" bars </dev/null
    run -0 bash -c "{ printf '%s\n' 0 1999 2000 9000; seq 16000 16099; } |
        '$tell' bars"
    expect_equal bars "         0 us $(printf '%-50s' '#') 2
         2 us $(printf '%-50s' '#') 1
         4 us $(printf '%-50s' '') 0
         8 us $(printf '%-50s' '#') 1
        16 us $full 100" "$output"
}
