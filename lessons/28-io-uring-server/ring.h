/*
 * ring: the two queues that we share with the kernel. We put requests into one
 * of them, and take their completions out of the other: io_uring(7). Built by
 * lesson 28.
 */
#ifndef IO_URING_SERVER_RING_H
#define IO_URING_SERVER_RING_H

#include <linux/io_uring.h>

/* What a request asks for. Its completion says so, too. */
enum kind { ACCEPT, RECV, SEND, SIGNALS, CANCEL, KINDS };

/* What the server prints at its end. */
struct ring_counts {
    unsigned long requests[KINDS];
    unsigned long completions[KINDS];
    unsigned long calls; /* of io_uring_enter */
    unsigned long overflows;
};

/* The memory that we share with the kernel. A head or a tail counts on and on.
 * Its place in an array is what its lowest bits say: the mask has these bits.
 */
struct ring {
    int fd;
    /* The submission queue: we add at its tail, the kernel takes at its head.
     */
    struct io_uring_sqe *requests;
    unsigned requests_mask;
    _Atomic unsigned *requests_head; /* only the kernel writes this */
    _Atomic unsigned *requests_tail; /* only we write this */
    _Atomic unsigned *flags;         /* only the kernel writes this */
    unsigned new_tail; /* the tail, with requests that we have not shown yet */
    /* The completion queue: the kernel adds, and we take. */
    struct io_uring_cqe *completions;
    unsigned completions_mask;
    _Atomic unsigned *completions_head; /* only we write this */
    _Atomic unsigned *completions_tail; /* only the kernel writes this */
    struct ring_counts counts;
};

/* Makes the two queues, in a ring that is all zero: io_uring_setup(2). They
 * last as long as the program. If they cannot be made, says why, and ends the
 * program with status 1. */
void ring_open(struct ring *ring);

/* Returns a request for this descriptor, or for none (-1). All of it is
 * zero, except the descriptor and the tag. The caller fills it in, before
 * anything else is called here. The kernel sees it at the next
 * ring_submit_and_wait. There must be a place for it: see ring_has_places. */
struct io_uring_sqe *ring_new_request(struct ring *ring, enum kind kind,
                                      int fd);

/* Asks the kernel to end the request of this kind for this descriptor. That one
 * then has its last completion, with -ECANCELED, unless it has ended already.
 * This request needs a place too, and has a completion of its own, of the kind
 * CANCEL. */
void ring_cancel(struct ring *ring, enum kind kind, int fd);

/* Returns 1 if there are places for so many more requests, else 0. */
int ring_has_places(const struct ring *ring, unsigned count);

/* Gives all new requests to the kernel, and waits until there is a completion;
 * for so many milliseconds, or for ever (-1): io_uring_enter(2). If the call
 * fails, says so, and pauses. */
void ring_submit_and_wait(struct ring *ring, int milliseconds);

/* Takes the next completion out of the queue. It is a copy, and the caller's.
 * Returns 1, or 0 if there is none; then *completion stays as it was. */
int ring_take_completion(struct ring *ring, struct io_uring_cqe *completion);

/* Each of these returns a part of the tag of a completion: what the request
 * asked for, and the descriptor that it was for. */
enum kind ring_kind(const struct io_uring_cqe *completion);
int ring_descriptor(const struct io_uring_cqe *completion);

/* Returns 1 for errors of a completion that are not failures: the client is
 * still there, and we may ask again. ENOBUFS says that no buffer was free (for
 * accept, it says that memory has run out); ECANCELED, that we have cancelled
 * it.
 */
int ring_is_worth_another_try(int error);

/* Says on standard error what failed, and why (errno). Without the pause, a
 * call that goes on failing would use a whole processor. */
void ring_warn_and_pause(const char *failed);

#endif
