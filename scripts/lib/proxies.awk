# From the lines of scripts/bench -p --csv to a table: medians, and the ratio of
# each round to the first proxy in it.

function add(key, value) { if (value != "-") values[key] = values[key] " " value }
function show(value) { return value == "-" ? value : sprintf("%.0f", value) }
NR == 1 { next }
!($1 in seen) { seen[$1] = 1; names[++count] = $1 }
{
    if ($1 == names[1]) first = $3
    if (first > 0 && $3 != "-") add($1 ",ratio", $3 / first)
    for (i = 3; i <= 6; i++) add($1 "," i, $i)
}
END {
    printf "\n%-15s %6s  %-18s %7s %7s\n", "", "MiB/s", "ratio", "proxy", "memory"
    for (i = 1; i <= count; i++) {
        name = names[i]
        ratio = median(name ",ratio")
        ratio = ratio == "-" ? ratio : sprintf("%.2f (%.2f-%.2f)", ratio, low, high)
        printf "%-15s %6s  %-18s %7s %7s\n", name, show(median(name ",3")), \
            ratio, show(median(name ",4")), show(median(name ",6"))
    }
}
