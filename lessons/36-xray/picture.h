/*
 * picture: what several processes did, and what crossed the wire between them,
 * in one order of time: as text, and as SVG. Built by lesson 36.
 */
#ifndef COMMON_PICTURE_H
#define COMMON_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PICTURE_NOBODY = -1 };

enum picture_kind {
    PICTURE_CALL,    /* a system call of column */
    PICTURE_SEGMENT, /* from column to the column `to` */
    PICTURE_NOTE, /* something else that column did, or that was done to it */
};

struct picture_event {
    enum picture_kind kind;
    int column; /* whose; PICTURE_NOBODY: of somebody we don't watch */
    int to;
    int64_t began, ended;    /* in nanoseconds; ended is 0 while it has not */
    bool waited;             /* it kept its process waiting: drawn twice */
    char *text;              /* "recv(3 to :80, 100", "SYN ACK": malloc(3)ed */
    char *result;            /* " = 6 \"hello\\n\"", or NULL */
    const char *state;       /* "ESTABLISHED", or "" */
    unsigned unacknowledged; /* in bytes */
};

/* The caller fills it in, events in any order, and gives it to picture_free.
 * Its columns are drawn from the last to the first: who was started first, the
 * server, stands at the right. */
struct picture {
    size_t columns;
    char **names; /* of the columns: malloc(3)ed, as the array is */
    size_t count;
    struct picture_event *events; /* malloc(3)ed */
};

/* Brings the events into the order in which they began. */
void picture_sort(struct picture *picture);

/* Puts one line in the place of calls that are the same as the one before,
 * three at the least, with nothing between them. Sort it first. */
void picture_fold(struct picture *picture);

/* Draws it, width characters wide (40 at the least), with the lines that
 * terminals have if unicode is true, else with ASCII. Returns 0;
 * or -1 when something is missing, for want of memory. */
int picture_write_text(FILE *out, const struct picture *picture, size_t width,
                       bool unicode);

/* Draws it as an SVG image, light or dark as its reader's screen is. Returns as
 * picture_write_text does. */
int picture_write_svg(FILE *out, const struct picture *picture);

/* A line for each event, without times: kind or column, what, state, with tabs
 * between them. For programs that compare. */
void picture_write_list(FILE *out, const struct picture *picture);

void picture_free(struct picture *picture);

#endif
