/* buffers: the stock of buffers that the kernel fills. */
#define _GNU_SOURCE

#include "buffers.h"

#include <err.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many buffers there are: a power of two, which divides 65536. */
enum { BUFFERS = 128 };

/* The tail is in the same memory as resv, a member of bufs[0]. So we must not
 * write to resv. */
void buffers_give(struct buffers *buffers, unsigned id) {
    struct io_uring_buf *place =
        &buffers->free_buffers->bufs[buffers->free_tail % BUFFERS];
    place->addr = (uintptr_t)(buffers->bytes + (size_t)id * BUFFER_BYTES);
    place->len = BUFFER_BYTES;
    place->bid = (uint16_t)id;
    buffers->free_tail++; /* from 65535 it goes on to 0: see BUFFERS */
    /* Only after the three members may the kernel see the new tail. */
    atomic_store_explicit((_Atomic uint16_t *)&buffers->free_buffers->tail,
                          buffers->free_tail, memory_order_release);
}

void buffers_open(struct buffers *buffers, int ring_fd) {
    const size_t bytes = BUFFERS * sizeof(struct io_uring_buf);
    buffers->free_buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffers->free_buffers == MAP_FAILED)
        err(1, "mmap");
    buffers->bytes = malloc((size_t)BUFFERS * BUFFER_BYTES);
    if (buffers->bytes == NULL)
        err(1, "malloc");
    struct io_uring_buf_reg group = {
        .ring_addr = (uintptr_t)buffers->free_buffers,
        .ring_entries = BUFFERS,
        .bgid = BUFFER_GROUP,
    };
    if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PBUF_RING,
                &group, 1) < 0)
        err(1, "io_uring_register");
    for (unsigned id = 0; id < BUFFERS; id++)
        buffers_give(buffers, id);
}
