/*
 * queue: descriptors that one thread puts in and other threads take out. While
 * the queue is full, queue_put waits. While it is empty, queue_take waits.
 */
#ifndef LESSON_23_QUEUE_H
#define LESSON_23_QUEUE_H

#include <pthread.h>

enum { QUEUE_PLACES = 64 };

/* Use it only through the functions below. */
struct queue {
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t not_full;
    pthread_cond_t not_empty;
    int fds[QUEUE_PLACES]; /* a ring: after the last place comes the first */
    int first;             /* the place of the fd that has waited longest */
    int count;             /* how many are in the queue */
    int is_closed;
};

/* Makes the queue ready for use. It is empty and open. Returns 0, or a number
 * of an error, as the functions of pthreads do; errno stays as it was. */
int queue_init(struct queue *queue);

/* Puts fd at the end of the queue. While the queue is full, queue_put waits.
 *
 * Returns 0. If the queue is closed before or during the call, it returns -1,
 * and the descriptor stays the caller's. */
int queue_put(struct queue *queue, int fd);

/* Takes out the descriptor that has waited longest. While the queue is empty,
 * queue_take waits.
 *
 * Returns the descriptor, which is now the caller's. When the queue is closed
 * and empty, it returns -1. */
int queue_take(struct queue *queue);

/* From now on queue_put returns -1, and no call waits any more. What is in the
 * queue can still be taken out. */
void queue_close(struct queue *queue);

#endif
