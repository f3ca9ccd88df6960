/* histogram: how often each length of time came, in little memory. */
#define _GNU_SOURCE

#include "histogram.h"

#include <inttypes.h>
#include <string.h>

enum { OCTAVES = 43, BAR = 50, NS_PER_US = 1000 };

static const int64_t largest = (INT64_C(1) << 42) - 1;

/*
 * Up to 2 * STEPS each value has a bucket of its own. From there on their width
 * doubles with each power of two: each has STEPS of them, none wider than a
 * STEPS-th of where it begins. What is left of a value, shifted, is STEPS to
 * 2 * STEPS - 1, so those of one power end where those of the next begin.
 */
static int bucket_of(int64_t value) {
    int shift = 0;
    while (value >> shift >= INT64_C(2) * HISTOGRAM_STEPS)
        shift++;
    return shift * HISTOGRAM_STEPS + (int)(value >> shift);
}

/* The largest value that belongs to a bucket. */
static int64_t edge_of(int bucket) {
    int shift = bucket < 2 * HISTOGRAM_STEPS ? 0 : bucket / HISTOGRAM_STEPS - 1;
    return ((int64_t)(bucket - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, int64_t nanoseconds) {
    int64_t value = nanoseconds < 0 ? 0 : nanoseconds;
    if (value > largest)
        value = largest;
    if (value > histogram->largest)
        histogram->largest = value;
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
}

int64_t histogram_percentile(const struct histogram *histogram, int permille) {
    /* The how many-th is it, in order of size? Half of three are two. */
    uint64_t rank = (histogram->count * (uint64_t)permille + 999) / 1000;
    uint64_t seen = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank && edge_of(i) < histogram->largest && seen > 0)
            return edge_of(i);
    }
    return histogram->largest;
}

void histogram_write_percentiles(FILE *out, const struct histogram *histogram,
                                 const char *prefix) {
    static const struct {
        const char *name;
        int permille;
    } rows[] = {
        {"p50", 500}, {"p90", 900}, {"p99", 990}, {"p99.9", 999}, {"max", 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = histogram_percentile(histogram, rows[i].permille);
        (void)fprintf(out, "%s%-*s %.1f us\n", prefix,
                      (int)(10 - strlen(prefix)), rows[i].name,
                      (double)value / NS_PER_US);
    }
}

/* Which power of two of microseconds: 0 is all below 2. */
static int octave_of(int64_t nanoseconds) {
    int octave = 0;
    while (nanoseconds / NS_PER_US >> octave >= 2)
        octave++;
    return octave;
}

void histogram_write_bars(FILE *out, const struct histogram *histogram) {
    uint64_t sums[OCTAVES] = {0};
    uint64_t most = 1;
    int first = OCTAVES;
    int last = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        int octave = octave_of(edge_of(i));
        if (histogram->buckets[i] == 0)
            continue;
        sums[octave] += histogram->buckets[i];
        if (sums[octave] > most)
            most = sums[octave];
        if (first == OCTAVES)
            first = octave;
        last = octave;
    }
    for (int octave = first; octave <= last; octave++) {
        char bar[BAR + 1] = "";
        memset(bar, '#', (size_t)((sums[octave] * BAR + most - 1) / most));
        (void)fprintf(out, "%10" PRId64 " us %-*s %" PRIu64 "\n",
                      octave == 0 ? 0 : INT64_C(1) << octave, BAR, bar,
                      sums[octave]);
    }
}
