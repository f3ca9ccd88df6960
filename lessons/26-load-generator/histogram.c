/* histogram: counts how often each length of time came, in little memory. */
#define _GNU_SOURCE

#include "histogram.h"

#include <inttypes.h>
#include <string.h>

enum {
    OCTAVES = 43, /* more powers of two of microseconds than can come */
    BAR = 50,     /* columns of the longest bar */
    NAME = 10,    /* columns for the name of a line */
    NS_PER_US = 1000,
};

/* 2^42 - 1 nanoseconds, as the contract of histogram_add says. */
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
    int64_t halved = nanoseconds;
    int halvings = 0;
    while (halved >= INT64_C(2) * HISTOGRAM_STEPS) {
        halved >>= 1;
        halvings++;
    }
    return halvings * HISTOGRAM_STEPS + (int)halved;
}

/* Returns the largest time that belongs to a bucket. This is bucket_of
 * backwards: from the bucket's number we compute how often the time was halved,
 * and what was left then. The first time of the next bucket is one more,
 * doubled as often. */
static int64_t last_of(int bucket) {
    if (bucket < 2 * HISTOGRAM_STEPS)
        return bucket;
    int halvings = bucket / HISTOGRAM_STEPS - 1;
    int64_t halved = bucket - halvings * HISTOGRAM_STEPS;
    int64_t first_of_next = (halved + 1) << halvings;
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
    /* If all times stood in order of size, which place, counted from 1, would
     * have the time that we want? We round up: the median of three times is in
     * place 2, because half of three is 1.5. */
    uint64_t place = (histogram->count * (uint64_t)permille + 999) / 1000;
    if (place == 0)
        place = 1;
    uint64_t counted = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counted += histogram->buckets[i];
        if (counted < place)
            continue;
        /* The time is in this bucket. The largest time of all may be in it,
         * too, and we know that one exactly. */
        if (last_of(i) < histogram->largest)
            return last_of(i);
        return histogram->largest;
    }
    return 0; /* nothing was counted */
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

/* Returns the number of the line that counts a time. Line N begins at 2^N
 * microseconds, but line 0 has all times below 2 microseconds. */
static int octave_of(int64_t nanoseconds) {
    int64_t halved = nanoseconds / NS_PER_US;
    int octave = 0;
    while (halved >= 2) {
        halved >>= 1;
        octave++;
    }
    return octave;
}

/* Writes one line. `most` is the count of the line with the longest bar. */
static void write_bar(FILE *out, int octave, uint64_t count, uint64_t most) {
    char bar[BAR + 1] = "";
    int64_t begin = 0;
    if (octave > 0)
        begin = INT64_C(1) << octave;
    /* We round up, so that a single time can be seen. */
    uint64_t columns = (count * BAR + most - 1) / most;
    memset(bar, '#', (size_t)columns);
    (void)fprintf(out, "%10" PRId64 " us %-*s %" PRIu64 "\n", begin, BAR, bar,
                  count);
}

void histogram_write_bars(FILE *out, const struct histogram *histogram) {
    uint64_t sums[OCTAVES] = {0};
    uint64_t most = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        int octave = octave_of(last_of(i));
        sums[octave] += histogram->buckets[i];
        if (sums[octave] > most)
            most = sums[octave];
    }
    /* We leave out the empty lines at the beginning and at the end. */
    int first = 0;
    while (first < OCTAVES && sums[first] == 0)
        first++;
    int last = OCTAVES - 1;
    while (last >= first && sums[last] == 0)
        last--;
    for (int octave = first; octave <= last; octave++)
        write_bar(out, octave, sums[octave], most);
}
