/* ring: the two queues that we share with the kernel. */
#define _GNU_SOURCE

#include "ring.h"

#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    /* These two are powers of two. */
    REQUESTS = 1024,    /* places in the submission queue */
    COMPLETIONS = 4096, /* places in the completion queue */
    PAUSE_MS = 20       /* after a call failed because something had run out */
};

/* Reads the digit by which the system's administrator forbids io_uring. '0'
 * allows it; so does a kernel that has no such setting. */
static char read_setting(void) {
    char setting;
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return '0';
    ssize_t length = read(fd, &setting, 1);
    (void)close(fd);
    if (length != 1)
        return '0';
    return setting;
}

/* Call this right after io_uring_setup has failed: errno is still its reason.
 */
static _Noreturn void refuse_to_run(void) {
    int error = errno;
    struct utsname system = {0};
    char setting = read_setting();
    if (uname(&system) < 0)
        err(1, "uname");
    errno = error;
    if (error == EPERM && setting != '0')
        err(1, "io_uring_setup: kernel.io_uring_disabled is %c", setting);
    if (error == EPERM)
        err(1, "io_uring_setup: a filter forbids it");
    if (error == ENOSYS)
        err(1, "io_uring_setup: Linux %s has no io_uring, or hides it",
            system.release);
    if (error == EINVAL)
        err(1, "io_uring_setup: Linux %s is older than 6.1", system.release);
    err(1, "io_uring_setup");
}

/* Maps a part of the ring's memory into ours. */
static char *map_ring(const struct ring *ring, size_t bytes, off_t part) {
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, ring->fd, part);
    if (memory == MAP_FAILED)
        err(1, "mmap");
    return memory;
}

/* Finds a head, a tail or the like, which lies so many bytes behind the
 * beginning. The kernel has aligned it as such a number has to be. The compiler
 * cannot know that, and so the cast goes by way of void *. */
static _Atomic unsigned *shared_number(char *memory, unsigned offset) {
    return (_Atomic unsigned *)(void *)(memory + offset);
}

void ring_open(struct ring *ring) {
    struct io_uring_params made = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    ring->fd = (int)syscall(SYS_io_uring_setup, REQUESTS, &made);
    if (ring->fd < 0)
        refuse_to_run();
    /* Both queues are in one piece of memory; only the requests themselves are
     * in another. The first piece ends where the array of the one queue ends,
     * or that of the other, whichever comes later. */
    size_t requests_end =
        made.sq_off.array + made.sq_entries * sizeof(unsigned);
    size_t completions_end =
        made.cq_off.cqes + made.cq_entries * sizeof(struct io_uring_cqe);
    size_t bytes = requests_end;
    if (bytes < completions_end)
        bytes = completions_end;
    char *memory = map_ring(ring, bytes, IORING_OFF_SQ_RING);
    ring->requests_mask = made.sq_entries - 1;
    ring->requests_head = shared_number(memory, made.sq_off.head);
    ring->requests_tail = shared_number(memory, made.sq_off.tail);
    ring->flags = shared_number(memory, made.sq_off.flags);
    ring->completions_mask = made.cq_entries - 1;
    ring->completions_head = shared_number(memory, made.cq_off.head);
    ring->completions_tail = shared_number(memory, made.cq_off.tail);
    ring->completions = (struct io_uring_cqe *)(memory + made.cq_off.cqes);
    ring->requests = (struct io_uring_sqe *)map_ring(
        ring, made.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    /* The queue itself has numbers of requests. Place N always has number N. */
    unsigned *array = (unsigned *)(memory + made.sq_off.array);
    for (unsigned i = 0; i < made.sq_entries; i++)
        array[i] = i;
}

/* The kernel gives this number back with each completion of the request. Its
 * upper half is the kind, and its lower half the descriptor. */
static uint64_t tag(enum kind kind, int fd) {
    return ((uint64_t)kind << 32) | (uint32_t)fd;
}

enum kind ring_kind(const struct io_uring_cqe *completion) {
    return (enum kind)(completion->user_data >> 32);
}

int ring_descriptor(const struct io_uring_cqe *completion) {
    return (int)(uint32_t)completion->user_data;
}

struct io_uring_sqe *ring_new_request(struct ring *ring, enum kind kind,
                                      int fd) {
    struct io_uring_sqe *request =
        &ring->requests[ring->new_tail & ring->requests_mask];
    ring->new_tail++;
    ring->counts.requests[kind]++;
    memset(request, 0, sizeof *request);
    request->fd = fd;
    request->user_data = tag(kind, fd);
    return request;
}

void ring_cancel(struct ring *ring, enum kind kind, int fd) {
    struct io_uring_sqe *request = ring_new_request(ring, CANCEL, -1);
    request->opcode = IORING_OP_ASYNC_CANCEL;
    request->addr = tag(kind, fd);
}

/* Returns how many requests the kernel has not taken yet. */
static unsigned waiting_requests(const struct ring *ring) {
    return ring->new_tail -
           atomic_load_explicit(ring->requests_head, memory_order_acquire);
}

int ring_has_places(const struct ring *ring, unsigned count) {
    return waiting_requests(ring) + count <= REQUESTS;
}

int ring_is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR || error == ENOBUFS ||
           error == ECANCELED;
}

void ring_warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* These errors of io_uring_enter are no failures: a signal has come, the time
 * is over (ETIME), or we have to take completions out of their queue first
 * (EBUSY). */
static int is_harmless(int error) {
    return error == EINTR || error == ETIME || error == EBUSY;
}

void ring_submit_and_wait(struct ring *ring, int milliseconds) {
    struct __kernel_timespec limit = {0};
    struct io_uring_getevents_arg argument = {0};
    if (milliseconds >= 0) {
        limit.tv_sec = milliseconds / 1000;
        limit.tv_nsec = milliseconds % 1000 * 1000000LL;
        argument.ts = (uintptr_t)&limit;
    }
    /* Only after a request is filled in may the kernel see the new tail. */
    atomic_store_explicit(ring->requests_tail, ring->new_tail,
                          memory_order_release);
    ring->counts.calls++;
    long submitted =
        syscall(SYS_io_uring_enter, ring->fd, waiting_requests(ring), 1,
                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                sizeof argument);
    if (submitted < 0 && !is_harmless(errno))
        ring_warn_and_pause("io_uring_enter");
    unsigned flags = atomic_load_explicit(ring->flags, memory_order_relaxed);
    if ((flags & IORING_SQ_CQ_OVERFLOW) != 0)
        ring->counts.overflows++;
}

int ring_take_completion(struct ring *ring, struct io_uring_cqe *completion) {
    unsigned head =
        atomic_load_explicit(ring->completions_head, memory_order_relaxed);
    unsigned tail =
        atomic_load_explicit(ring->completions_tail, memory_order_acquire);
    if (head == tail)
        return 0;
    *completion = ring->completions[head & ring->completions_mask];
    /* Only after the copy is made may the kernel write into this place. */
    atomic_store_explicit(ring->completions_head, head + 1,
                          memory_order_release);
    ring->counts.completions[ring_kind(completion)]++;
    return 1;
}
