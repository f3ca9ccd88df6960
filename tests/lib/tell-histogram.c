/*
 * tell-histogram: what the functions of histogram.h make of what they are
 * given.
 *
 *     tell-histogram PERMILLE... <VALUES    percentiles of these values
 *     tell-histogram bars <VALUES
 *     tell-histogram rows PREFIX <VALUES
 *     tell-histogram edges                  looks at each edge of each bucket
 */
#define _GNU_SOURCE

#include "../../lessons/26-load-generator/histogram.h"

#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct histogram histogram;

/* What is told of a value alone, beside a larger one that shows its bucket. */
static int64_t told(int64_t value) {
    static struct histogram alone;
    memset(&alone, 0, sizeof alone);
    histogram_add(&alone, value);
    histogram_add(&alone, INT64_MAX);
    return histogram_percentile(&alone, 500);
}

/* Goes from each bucket's first value to its last, and says where one is told
 * as smaller than it is, or as larger by more than a STEPS-th. */
static void look_at_edges(void) {
    const int64_t end = INT64_C(1) << 42;
    long buckets = 0;
    for (int64_t first = 0; first < end; buckets++) {
        int64_t last = told(first);
        if (last < first || last - first > first / HISTOGRAM_STEPS ||
            (first < INT64_C(2) * HISTOGRAM_STEPS && last != first))
            errx(1, "%" PRId64 " is told as %" PRId64, first, last);
        if (told(last) != last || told(first + (last - first) / 2) != last)
            errx(1, "%" PRId64 " is in another bucket", last);
        first = last + 1;
    }
    (void)printf("%ld buckets of %d\n", buckets, HISTOGRAM_BUCKETS);
}

int main(int argc, char **argv) {
    char line[64];
    if (argc < 2)
        errx(2, "usage: tell-histogram PERMILLE...|bars|rows PREFIX|edges");
    if (strcmp(argv[1], "edges") == 0) {
        look_at_edges();
        return 0;
    }
    while (fgets(line, sizeof line, stdin) != NULL)
        histogram_add(&histogram, strtoll(line, NULL, 10));
    if (strcmp(argv[1], "bars") == 0)
        histogram_write_bars(stdout, &histogram);
    else if (strcmp(argv[1], "rows") == 0)
        histogram_write_percentiles(stdout, &histogram, argv[2]);
    else
        for (int i = 1; i < argc; i++)
            (void)printf("%" PRId64 "\n",
                         histogram_percentile(&histogram,
                                              (int)strtol(argv[i], NULL, 10)));
    return 0;
}
