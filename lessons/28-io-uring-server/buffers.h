/*
 * buffers: the stock of buffers that the kernel fills with what clients send.
 * Built by lesson 28.
 */
#ifndef IO_URING_SERVER_BUFFERS_H
#define IO_URING_SERVER_BUFFERS_H

#include <linux/io_uring.h>
#include <stdint.h>

enum {
    BUFFER_BYTES = 16 * 1024,
    BUFFER_GROUP = 1 /* our number for these buffers */
};

/* We add buffers that are free. The kernel takes one when bytes have come. */
struct buffers {
    struct io_uring_buf_ring *free_buffers;
    uint16_t free_tail;
    char *bytes; /* buffer N begins at N * BUFFER_BYTES */
};

/* Makes the buffers, and the ring by which the kernel gets them, in a struct
 * that is all zero. ring_fd is the descriptor of the ring whose requests will
 * use them: io_uring_register(2). They last as long as the program, which ends
 * with status 1 if this fails. */
void buffers_open(struct buffers *buffers, int ring_fd);

/* Gives a buffer back to the kernel, to be filled again. id is its number, as
 * the completion says that has used it. From now on the caller must not read
 * what is in it. */
void buffers_give(struct buffers *buffers, unsigned id);

#endif
