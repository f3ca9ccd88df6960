# From the lines of scripts/bench --csv to a table for each case: medians, and the
# ratio of each round to the first server in it.

function add(key, value) { if (value != "-") values[key] = values[key] " " value }
function print_case(    i, name, ratio, with) {
    if (last == "") return
    printf "\n%s\n%-17s %9s  %-18s %7s %7s %8s %8s", last, "", "req/s", \
        "ratio", "server", "load", "p50", "p99"
    if (idle) printf " %6s %7s", "memory", "idle"
    printf "\n"
    for (i = 1; i <= count; i++) {
        name = names[i]
        ratio = median(name ",ratio")
        ratio = ratio == "-" ? ratio : sprintf("%.2f (%.2f-%.2f)", ratio, low, high)
        printf "%-17s %9s  %-18s %7s %7s %8s %8s", name, \
            show(median(name ",4"), "%.0f"), ratio, show(median(name ",5"), "%.2f"), \
            show(median(name ",6"), "%.2f"), show(median(name ",7"), "%.0f"), \
            show(median(name ",8"), "%.0f")
        if (idle) printf " %6s %7s", show(median(name ",10"), "%.0f"), \
            show(median(name ",with"), "%.3f")
        printf "\n"
    }
    fflush() # a case may take a minute
    split("", values); split("", seen); count = 0; idle = 0
}
function show(value, format) { return value == "-" ? value : sprintf(format, value) }
NR == 1 { next }
$1 != last { print_case(); last = $1 }
!($2 in seen) { seen[$2] = 1; names[++count] = $2 }
{
    for (i = 4; i <= 11; i++) add($2 "," i, $i)
    if ($2 == names[1]) { first = $4; round = $3 }
    if ($3 == round && first > 0 && $4 != "-") add($2 ",ratio", $4 / first)
    if ($11 != "-" && $11 > 0 && $4 != "-") { add($2 ",with", $4 / $11); idle = 1 }
}
END { print_case() }
