/*
 * histogram: how often each length of time came, in little memory, and what
 * most of them were below. Built by lesson 26.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

enum {
    HISTOGRAM_STEPS = 64, /* buckets from each power of two to the next */
    HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 37,
};

/* Nanoseconds. Zero it before the first call. */
struct histogram {
    uint64_t count;
    int64_t largest; /* exactly */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts a length of time; a negative one as 0, and one of 2^42 and more, an
 * hour and thirteen minutes, as 2^42 - 1. */
void histogram_add(struct histogram *histogram, int64_t nanoseconds);

/*
 * What so many of 1000 are not above: 500 is the median, 990 what people write
 * as p99, 1000 the largest. The true one is never larger than what is returned,
 * nor smaller by more than one part in HISTOGRAM_STEPS; below
 * 2 * HISTOGRAM_STEPS it is exact. 0 when nothing was counted.
 */
int64_t histogram_percentile(const struct histogram *histogram, int permille);

/* Writes p50, p90, p99, p99.9 and max, a line each, in microseconds, with
 * prefix before them. */
void histogram_write_percentiles(FILE *out, const struct histogram *histogram,
                                 const char *prefix);

/* Writes a line for each power of two of microseconds, from the smallest to the
 * largest that came: a bar, and how often. */
void histogram_write_bars(FILE *out, const struct histogram *histogram);

#endif
