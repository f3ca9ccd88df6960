/*
 * picture: what several processes did, and what crossed the wire between them,
 * in one order of time. Built by lesson 36. The modules text and svg draw it.
 */
#ifndef XRAY_PICTURE_H
#define XRAY_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In the place of a column: a process that we do not watch. */
enum { PICTURE_NOBODY = -1 };

enum picture_kind {
    PICTURE_CALL,    /* a system call of the process in column */
    PICTURE_SEGMENT, /* what was sent from column to the column `to` */
    PICTURE_MESSAGE, /* the same, but over no wire: by a UNIX socket */
    PICTURE_REPORT,  /* what the kernel told routers, if there are any, about
                        the groups of the process in column */
    PICTURE_NOTE,    /* something else that happened to that process */
};

struct picture_event {
    enum picture_kind kind;
    int column;     /* or PICTURE_NOBODY */
    int to;         /* of an arrow: its receiver, or PICTURE_NOBODY */
    int64_t began;  /* nanoseconds on CLOCK_REALTIME */
    int64_t ended;  /* likewise; 0 while a call has not returned */
    bool waited;    /* other things happened during the call: it is drawn in two
                       rows, where it began and where it returned */
    bool slept;     /* the process slept in the call, until it returned or for
                       good */
    bool closes;    /* the call is close(2) on a socket */
    bool ends;      /* of a note: nothing of the column's process goes on */
    char *text;     /* "recv(3 to :80, 100", "SYN ACK", in ASCII: malloc(3)ed */
    char *result;   /* " = 6 \"hello\\n\"", likewise; NULL while a call has not
                       returned */
    char *extra;    /* of an arrow: what stands below it, "+ descriptor 7 -> 5",
                       "to 239.1.2.3:80": malloc(3)ed; or NULL */
    bool is_copy;   /* of a segment: the same as the one before it, which has
                       arrived at another socket too */
    bool both_ways; /* of an arrow: it stands for segments both ways */
    unsigned acknowledgements; /* folded into the arrow: see fold.h */
    unsigned connection; /* its number, from 1 on, where the picture has several
                            connections; or 0 */
    bool makes_it;       /* the call is of this connection only when it returns:
                            accept(2) */
    char mark;         /* the connection's letter, where columns do not tell the
                          connections apart; or 0 */
    uint64_t socket;   /* the inode of the socket that the state is of, or 0 */
    const char *state; /* "ESTABLISHED", or "": never freed */
    unsigned unacknowledged; /* bytes that were sent and not acknowledged */
};

/*
 * The caller fills it in, with its events in any order, and gives it to
 * picture_free. The columns are drawn from the last to the first: the process
 * that was started first, the server, stands at the right.
 */
struct picture {
    size_t columns;
    char **names; /* of the columns, in UTF-8, as utf8_escape writes it:
                     malloc(3)ed, as the array is */
    size_t count;
    struct picture_event *events; /* malloc(3)ed */
};

/* Whether an event is drawn as an arrow: a segment or a message. */
bool picture_is_arrow(const struct picture_event *event);

/* Brings the events into the order in which they began. */
void picture_sort(struct picture *picture);

/*
 * Where three or more calls in a row are the same in all that is shown of them,
 * keeps the first, and a note that says how many followed. The picture must be
 * sorted. Returns 0, or -1 and ENOMEM: then some of them are left as they are.
 */
int picture_fold(struct picture *picture);

/* The name of a column, or "others" for PICTURE_NOBODY. */
const char *picture_name(const struct picture *picture, int column);

/* When the first event began. */
int64_t picture_beginning(const struct picture *picture);

/* Writes a line for each event, without its time, for programs that compare:
 * the name of its column (or `wire` or `message`), what it is, the state, and
 * the letter of its connection if it has one, with tabs between them. */
void picture_write_list(FILE *out, const struct picture *picture);

/* Frees all that the picture owns, and makes it empty. */
void picture_free(struct picture *picture);

#endif
