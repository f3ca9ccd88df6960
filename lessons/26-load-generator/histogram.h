/*
 * histogram: counts how often each length of time came, in little memory, and
 * says below which time most of them were. Built by lesson 26.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets from each power of two to the next */
    HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 37,
};

/* Times are in nanoseconds. Set all of it to zero before the first call. */
struct histogram {
    uint64_t count;
    int64_t largest; /* exactly, and not only its bucket */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts a time. A negative one is counted as 0, and one of 2^42 or more, which
 * is an hour and thirteen minutes, as 2^42 - 1. */
void histogram_add(struct histogram *histogram, int64_t nanoseconds);

/*
 * Returns the time that so many of 1000 do not exceed: 500 is the median, 990
 * is what people write as p99, and 1000 is the largest. It may be too large, by
 * at most one part in HISTOGRAM_STEPS, and is never too small. A time below
 * 2 * HISTOGRAM_STEPS is exact. Returns 0 if nothing was counted.
 */
int64_t histogram_percentile(const struct histogram *histogram, int permille);

/* Writes p50, p90, p99, p99.9 and max, a line each, in microseconds. prefix
 * stands at the beginning of each line. Errors stay in out: ferror(3). */
void histogram_write_percentiles(FILE *out, const struct histogram *histogram,
                                 const char *prefix);

/* Writes a line for each doubling of the time, from the smallest time that came
 * to the largest: a bar, and how many times fell into it. Errors stay in out:
 * ferror(3). */
void histogram_write_bars(FILE *out, const struct histogram *histogram);

#endif
