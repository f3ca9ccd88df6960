# From the lines of scripts/bench -u --csv to a table: medians, and the ratio of
# each round to the first sender in it.

NR == 1 { next }
!($1 in seen) { seen[$1] = 1; names[++count] = $1 }
{
    if ($1 == names[1]) first = $3
    values[$1 ",ratio"] = values[$1 ",ratio"] " " $3 / first
    for (i = 3; i <= 6; i++) values[$1 "," i] = values[$1 "," i] " " $i
}
END {
    printf "\n%-8s %10s  %-20s %7s %7s %6s\n", "", "packets/s", "ratio", \
        "client", "server", "lost"
    for (i = 1; i <= count; i++) {
        name = names[i]
        ratio = sprintf("%.2f", median(name ",ratio"))
        ratio = ratio sprintf(" (%.2f-%.2f)", low, high)
        printf "%-8s %10.0f  %-20s %7.0f %7.0f %6.1f\n", name, \
            median(name ",3"), ratio, median(name ",4"), median(name ",5"), \
            median(name ",6")
    }
}
