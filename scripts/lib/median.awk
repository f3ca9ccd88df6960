# For the tables of scripts/bench.

# median(KEY): of the numbers in values[KEY], or "-" if there are none. Sets low and
# high to the smallest and the largest of them.
function median(key, sort, n, i, j, t) {
    n = split(values[key], sort, " ")
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && sort[j - 1] + 0 > sort[j] + 0; j--) {
            t = sort[j]; sort[j] = sort[j - 1]; sort[j - 1] = t
        }
    low = sort[1]; high = sort[n]
    if (!n) return "-"
    return n % 2 ? sort[(n + 1) / 2] : (sort[n / 2] + sort[n / 2 + 1]) / 2
}
