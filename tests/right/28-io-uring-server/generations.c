/* Closes a client at once, and knows a late completion by the client's
 * generation. Buffers by IORING_OP_PROVIDE_BUFFERS; the time by the limit of
 * io_uring_enter, for the oldest of all clients in an array that is a heap. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { ENTRIES = 2048, BUFFERS = 512, BYTES = 4096, MOST = 1 << 16 };
enum kind { ACCEPT, RECV, SEND, BUFFER, CANCEL };

/* What is being sent. It outlives its client. */
struct block {
    size_t sent, length;
    int fd;
    uint32_t generation;
    char bytes[];
};

struct client {
    int is_open, receives, ended;
    uint32_t generation;
    int heap; /* where it is in the heap */
    int64_t until;
    struct block *sending;
    struct block *queue; /* what came in the meantime */
};

static struct client clients[MOST];
static int heap[MOST], heaped;
static int64_t idle;
static char buffers[BUFFERS][BYTES];
static struct io_uring_params params;
static int ring, listener;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static _Atomic uint32_t *shead, *stail, *chead, *ctail;
static uint32_t next;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void enter(int waits) {
    struct __kernel_timespec limit = {0};
    struct io_uring_getevents_arg arg = {0};
    if (waits && heaped > 0) {
        int64_t left = clients[heap[0]].until - now();
        if (left < 0)
            left = 0;
        limit.tv_sec = left / 1000000000;
        limit.tv_nsec = left % 1000000000;
        arg.ts = (uintptr_t)&limit;
    }
    atomic_store_explicit(stail, next, memory_order_release);
    if (syscall(SYS_io_uring_enter, ring, next - atomic_load(shead),
                waits ? 1 : 0, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                &arg, sizeof arg) < 0 &&
        errno != ETIME && errno != EINTR && errno != EBUSY)
        err(1, "io_uring_enter");
}

static struct io_uring_sqe *new_sqe(enum kind kind, uint64_t data) {
    while (next - atomic_load_explicit(shead, memory_order_acquire) >=
           params.sq_entries)
        enter(0);
    struct io_uring_sqe *s = &sqes[next++ % params.sq_entries];
    memset(s, 0, sizeof *s);
    s->user_data = data | (uint64_t)kind << 60;
    return s;
}

static uint64_t name(int fd) {
    return (uint64_t)(clients[fd].generation & 0xfffffff) << 32 | (uint32_t)fd;
}

static void put(int place, int fd) {
    heap[place] = fd;
    clients[fd].heap = place;
}

static void sift(int place) {
    int fd = heap[place];
    while (place > 0 &&
           clients[heap[(place - 1) / 2]].until > clients[fd].until) {
        put(place, heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (;;) {
        int child = 2 * place + 1;
        if (child >= heaped)
            break;
        if (child + 1 < heaped &&
            clients[heap[child + 1]].until < clients[heap[child]].until)
            child++;
        if (clients[heap[child]].until >= clients[fd].until)
            break;
        put(place, heap[child]);
        place = child;
    }
    put(place, fd);
}

static void provide(unsigned id, unsigned count) {
    struct io_uring_sqe *s = new_sqe(BUFFER, 0);
    s->opcode = IORING_OP_PROVIDE_BUFFERS;
    s->fd = (int)count;
    s->addr = (uintptr_t)buffers[id];
    s->len = BYTES;
    s->off = id;
    s->buf_group = 7;
}

static void receive(int fd) {
    struct io_uring_sqe *s = new_sqe(RECV, name(fd));
    s->opcode = IORING_OP_RECV;
    s->fd = fd;
    s->ioprio = IORING_RECV_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
    s->buf_group = 7;
    clients[fd].receives = 1;
}

static void transmit(struct block *b) {
    /* A pointer has less than 60 bits. */
    struct io_uring_sqe *s = new_sqe(SEND, (uintptr_t)b);
    s->opcode = IORING_OP_SEND;
    s->fd = b->fd;
    s->addr = (uintptr_t)(b->bytes + b->sent);
    s->len = (uint32_t)(b->length - b->sent);
}

static void cancel(uint64_t data) {
    struct io_uring_sqe *s = new_sqe(CANCEL, 0);
    s->opcode = IORING_OP_ASYNC_CANCEL;
    s->addr = data;
}

static void drop(int fd) {
    struct client *c = &clients[fd];
    if (c->receives)
        cancel(name(fd) | (uint64_t)RECV << 60);
    if (c->sending)
        cancel((uintptr_t)c->sending | (uint64_t)SEND << 60);
    c->sending = NULL; /* its completion frees it */
    free(c->queue);
    c->queue = NULL;
    int place = c->heap;
    heaped--;
    if (place < heaped) {
        put(place, heap[heaped]);
        sift(place);
    }
    c->is_open = c->receives = c->ended = 0;
    c->generation++;
    enter(0); /* before the number means another socket */
    close(fd);
}

static void take(int fd, const char *bytes, size_t length) {
    struct client *c = &clients[fd];
    c->until = now() + idle;
    sift(c->heap);
    size_t old = c->queue ? c->queue->length : 0;
    c->queue = realloc(c->queue, sizeof *c->queue + old + length);
    if (!c->queue)
        err(1, "realloc");
    memcpy(c->queue->bytes + old, bytes, length);
    c->queue->length = old + length;
    c->queue->sent = 0;
    c->queue->fd = fd;
    c->queue->generation = c->generation;
}

static void go_on(int fd) {
    struct client *c = &clients[fd];
    if (!c->sending && c->queue) {
        c->sending = c->queue;
        c->queue = NULL;
        transmit(c->sending);
    }
    if (c->ended && !c->sending)
        drop(fd);
    else if (!c->receives && !c->ended && !c->queue)
        receive(fd);
    else if (c->receives == 1 && c->queue && c->queue->length > 30000) {
        cancel(name(fd) | (uint64_t)RECV << 60);
        c->receives = 2;
    }
}

static void on_recv(const struct io_uring_cqe *q) {
    int fd = (int)(uint32_t)q->user_data;
    int is_mine =
        clients[fd].is_open && (q->user_data & ~(15ULL << 60)) == name(fd);
    if (is_mine && q->res > 0)
        take(fd, buffers[q->flags >> IORING_CQE_BUFFER_SHIFT], (size_t)q->res);
    if (q->flags & IORING_CQE_F_BUFFER)
        provide(q->flags >> IORING_CQE_BUFFER_SHIFT, 1);
    if (!is_mine)
        return;
    if (!(q->flags & IORING_CQE_F_MORE))
        clients[fd].receives = 0;
    if (q->res == 0)
        clients[fd].ended = 1;
    if (q->res < 0 && q->res != -ENOBUFS && q->res != -ECANCELED &&
        q->res != -EINTR)
        drop(fd);
    else
        go_on(fd);
}

static void on_send(const struct io_uring_cqe *q) {
    struct block *b = (void *)(uintptr_t)(q->user_data & ~(15ULL << 60));
    struct client *c = &clients[b->fd];
    int fd = b->fd;
    if (!c->is_open || c->generation != b->generation) {
        free(b);
        return;
    }
    if (q->res > 0)
        b->sent += (size_t)q->res;
    if (q->res < 0 && q->res != -EINTR) {
        c->sending = NULL;
        free(b);
        drop(fd);
        return;
    }
    if (b->sent < b->length) {
        transmit(b);
        return;
    }
    c->sending = NULL;
    free(b);
    go_on(fd);
}

static void ask_for_clients(void) {
    struct io_uring_sqe *s = new_sqe(ACCEPT, 0);
    s->opcode = IORING_OP_ACCEPT;
    s->fd = listener;
    s->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void on_accept(const struct io_uring_cqe *q) {
    if (q->res >= 0) {
        struct client *c = &clients[q->res];
        c->is_open = 1;
        c->until = now() + idle;
        put(heaped++, q->res);
        sift(heaped - 1);
        receive(q->res);
    } else {
        (void)usleep(2000);
    }
    if (!(q->flags & IORING_CQE_F_MORE))
        ask_for_clients();
}

static void set_up(void) {
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 16384;
    ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring < 0)
        err(1, "cannot use io_uring");
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof *cqes;
    char *m = mmap(NULL, size + ENTRIES * 4UL, PROT_READ | PROT_WRITE,
                   MAP_SHARED, ring, IORING_OFF_SQ_RING);
    if (m == MAP_FAILED)
        m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                 IORING_OFF_SQ_RING);
    sqes = mmap(NULL, ENTRIES * sizeof *sqes, PROT_READ | PROT_WRITE,
                MAP_SHARED, ring, IORING_OFF_SQES);
    if (m == MAP_FAILED || sqes == MAP_FAILED)
        err(1, "io_uring's memory");
    shead = (_Atomic uint32_t *)(void *)(m + params.sq_off.head);
    stail = (_Atomic uint32_t *)(void *)(m + params.sq_off.tail);
    chead = (_Atomic uint32_t *)(void *)(m + params.cq_off.head);
    ctail = (_Atomic uint32_t *)(void *)(m + params.cq_off.tail);
    cqes = (void *)(m + params.cq_off.cqes);
    for (uint32_t i = 0; i < params.sq_entries; i++)
        ((uint32_t *)(void *)(m + params.sq_off.array))[i] = i;
}

int main(int argc, char **argv) {
    char *end;
    if (argc != 4 || strcmp(argv[1], "-i"))
        return fprintf(stderr, "usage: -i SECONDS PORT\n"), 2;
    double seconds = strtod(argv[2], &end);
    if (end == argv[2] || *end || !(seconds > 0 && seconds <= 86400))
        errx(1, "no seconds: %s", argv[2]);
    unsigned long port = strtoul(argv[3], &end, 10);
    if (end == argv[3] || *end || port > 65535)
        errx(1, "no port: %s", argv[3]);
    idle = (int64_t)(seconds * 1e9);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max > MOST ? MOST : files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&a, length) || listen(listener, 4096) ||
        getsockname(listener, (void *)&a, &length))
        err(1, "listen");
    set_up();
    printf("listening on 127.0.0.1:%u\n", ntohs(a.sin_port));
    fflush(stdout);
    provide(0, BUFFERS);
    ask_for_clients();
    for (;;) {
        enter(1);
        for (;;) {
            uint32_t head = atomic_load(chead);
            if (head == atomic_load_explicit(ctail, memory_order_acquire))
                break;
            struct io_uring_cqe q = cqes[head % params.cq_entries];
            atomic_store_explicit(chead, head + 1, memory_order_release);
            enum kind kind = q.user_data >> 60;
            if (kind == ACCEPT)
                on_accept(&q);
            else if (kind == RECV)
                on_recv(&q);
            else if (kind == SEND)
                on_send(&q);
        }
        while (heaped > 0 && clients[heap[0]].until <= now())
            drop(heap[0]);
    }
}
