/* histogram: counts how often each length of time came, in little memory. */
#define _GNU_SOURCE

#include "histogram.h"

#include <inttypes.h>
#include <string.h>

enum {
    OCTAVES = 43, /* doublings of a microsecond, more than can come */
    BAR = 50,     /* the longest bar */
    NAME = 10,    /* columns for the name of a line */
    NS_PER_US = 1000,
};

static const int64_t largest_time = (INT64_C(1) << 42) - 1;

/*
 * Each time below 2 * STEPS has a bucket of its own. From there on, each
 * power of two has STEPS buckets up to the next power, and a bucket is twice as
 * wide as one of the power before. So no bucket is wider than one part in STEPS
 * of the times in it.
 *
 * How do we find the bucket? We halve the time until it is below 2 * STEPS.
 * Then it is from STEPS to 2 * STEPS - 1, and each halving counts for STEPS
 * buckets. So the buckets of one power end where those of the next begin.
 */
static int bucket_of(int64_t nanoseconds) {
    int64_t rest = nanoseconds;
    int halvings = 0;
    while (rest >= INT64_C(2) * HISTOGRAM_STEPS) {
        rest >>= 1;
        halvings++;
    }
    return halvings * HISTOGRAM_STEPS + (int)rest;
}

/* Returns the largest time that belongs to a bucket. */
static int64_t last_of(int bucket) {
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    int halvings = bucket / HISTOGRAM_STEPS - 1;
    int64_t rest = bucket - halvings * HISTOGRAM_STEPS;
    int64_t first_of_next = (rest + 1) << halvings;
    return first_of_next - 1;
}

void histogram_add(struct histogram *histogram, int64_t nanoseconds) {
    int64_t time = nanoseconds;
    if (time < 0)
        time = 0;
    if (time > largest_time)
        time = largest_time;
    if (time > histogram->largest)
        histogram->largest = time;
    histogram->count++;
    histogram->buckets[bucket_of(time)]++;
}

int64_t histogram_percentile(const struct histogram *histogram, int permille) {
    /* In order of size, which one is it, counted from 1? Half of three times
     * are two, so we round up. */
    uint64_t rank = (histogram->count * (uint64_t)permille + 999) / 1000;
    uint64_t counted = 0;
    if (rank == 0)
        rank = 1;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counted += histogram->buckets[i];
        if (counted >= rank && last_of(i) < histogram->largest)
            return last_of(i);
    }
    return histogram->largest; /* it is in the same bucket, or there is none */
}

void histogram_write_percentiles(FILE *out, const struct histogram *histogram,
                                 const char *prefix) {
    static const struct {
        const char *name;
        int permille;
    } rows[] = {
        {"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}, {"max", 1000},
    };
    int width = NAME - (int)strlen(prefix);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t time = histogram_percentile(histogram, rows[i].permille);
        (void)fprintf(out, "%s%-*s %.1f us\n", prefix, width, rows[i].name,
                      (double)time / NS_PER_US);
    }
}

/* Returns the power of two of microseconds at which the time's line begins. The
 * line of power 0 has all times below 2 microseconds. */
static int octave_of(int64_t nanoseconds) {
    int64_t rest = nanoseconds / NS_PER_US;
    int octave = 0;
    while (rest >= 2) {
        rest >>= 1;
        octave++;
    }
    return octave;
}

static void write_bar(FILE *out, int octave, uint64_t count, uint64_t most) {
    char bar[BAR + 1] = "";
    int64_t begin = 0;
    if (octave > 0)
        begin = INT64_C(1) << octave;
    /* We round up, so that a single one can be seen. */
    memset(bar, '#', (size_t)((count * BAR + most - 1) / most));
    (void)fprintf(out, "%10" PRId64 " us %-*s %" PRIu64 "\n", begin, BAR, bar,
                  count);
}

void histogram_write_bars(FILE *out, const struct histogram *histogram) {
    uint64_t sums[OCTAVES] = {0};
    uint64_t most = 0;
    int first = OCTAVES;
    int last = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        int octave = octave_of(last_of(i));
        if (histogram->buckets[i] == 0)
            continue;
        sums[octave] += histogram->buckets[i];
        if (sums[octave] > most)
            most = sums[octave];
        if (first == OCTAVES)
            first = octave;
        last = octave;
    }
    for (int octave = first; octave <= last; octave++)
        write_bar(out, octave, sums[octave], most);
}
