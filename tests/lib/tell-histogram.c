/*
 * tell-histogram: what the functions of histogram.h make of what they are
 * given.
 *
 *     tell-histogram PERMILLE... <VALUES    percentiles of these values
 *     tell-histogram bars <VALUES
 *     tell-histogram rows PREFIX <VALUES
 *     tell-histogram edges                  checks the edges of each bucket
 */
#define _GNU_SOURCE

#include "../../lessons/26-load-generator/histogram.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct histogram histogram;

/* What the histogram reports for this value. It reports the last value of its
 * bucket, but never more than the largest value that was added. So we add a
 * larger one, too. */
static int64_t reported(int64_t value) {
    static struct histogram alone;
    memset(&alone, 0, sizeof alone);
    histogram_add(&alone, value);
    histogram_add(&alone, INT64_MAX);
    return histogram_percentile(&alone, 500);
}

/* Goes from the first value of each bucket to its last. A value must not be
 * reported as smaller than it is, nor as larger by more than a STEPS-th. */
static void check_edges(void) {
    const int64_t end = INT64_C(1) << 42;
    long buckets = 0;
    int64_t first = 0;
    while (first < end) {
        int64_t last = reported(first);
        int64_t middle = first + (last - first) / 2;
        if (last < first || last - first > first / HISTOGRAM_STEPS)
            errx(1, "%" PRId64 " is told as %" PRId64, first, last);
        /* The smallest values have a bucket each. */
        if (first < INT64_C(2) * HISTOGRAM_STEPS && last != first)
            errx(1, "%" PRId64 " is told as %" PRId64, first, last);
        if (reported(last) != last || reported(middle) != last)
            errx(1, "%" PRId64 " is in another bucket", last);
        buckets++;
        first = last + 1;
    }
    (void)printf("%ld buckets of %d\n", buckets, HISTOGRAM_BUCKETS);
}

static void tell_percentiles(char **permilles) {
    for (size_t i = 0; permilles[i] != NULL; i++) {
        int permille = (int)strtol(permilles[i], NULL, 10);
        (void)printf("%" PRId64 "\n",
                     histogram_percentile(&histogram, permille));
    }
}

int main(int argc, char **argv) {
    char line[64];
    if (argc < 2)
        errx(2, "usage: tell-histogram PERMILLE...|bars|rows PREFIX|edges");
    if (strcmp(argv[1], "edges") == 0) {
        check_edges();
        return 0;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        histogram_add(&histogram, strtoll(line, NULL, 10));
    if (strcmp(argv[1], "bars") == 0)
        histogram_write_bars(stdout, &histogram);
    else if (strcmp(argv[1], "rows") == 0)
        histogram_write_percentiles(stdout, &histogram, argv[2]);
    else
        tell_percentiles(argv + 1);
    return 0;
}
