/* user_data is a pointer to the client, with the kind of request in its lowest
 * bits. Each client has a timeout of its own. When it ends and the client has
 * spoken meanwhile, the timeout is asked for anew, for what is left: a request
 * that updates a timeout makes the kernel look through all timeouts.
 * The descriptors are shut down first; the client is freed when nothing of its
 * is pending. */
#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <netinet/in.h>
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

enum { READ = 1, WRITE, TIMER, UPDATE, ACCEPT, KIND_MASK = 7 };
enum { SIZE = 2048, COUNT = 1024, LENGTH = 2048, FULL = 20000 };

struct client {
    int fd;
    int pending;
    int is_reading; /* 2: no more, but it is not over */
    int is_writing;
    int is_timed;
    int leaves; /* 1: when all is written; 2: at once */
    char *out, *in;
    size_t out_length, out_done, in_length;
    int64_t ends; /* ms, on the monotonic clock */
    struct __kernel_timespec left;
};

static int ring, listener;
static struct io_uring_params p;
static struct io_uring_sqe *sq;
static struct io_uring_cqe *cq;
static atomic_uint *sq_head, *sq_tail, *cq_head, *cq_tail;
static struct io_uring_buf_ring *pool;
static char *memory;
static uint16_t pool_tail;
static int limit_ms;

static void call(unsigned least) {
    unsigned count = atomic_load_explicit(sq_tail, memory_order_relaxed) -
                     atomic_load_explicit(sq_head, memory_order_acquire);
    long done = syscall(SYS_io_uring_enter, ring, count, least,
                        IORING_ENTER_GETEVENTS, NULL, 0);
    if (done < 0 && errno != EINTR && errno != EBUSY && errno != EAGAIN)
        err(1, "io_uring_enter");
}

/* The tail moves in publish, when the request is filled in. */
static struct io_uring_sqe *fresh(int opcode, struct client *client, int kind) {
    unsigned tail = atomic_load_explicit(sq_tail, memory_order_relaxed);
    while (tail - atomic_load_explicit(sq_head, memory_order_acquire) == SIZE)
        call(0);
    struct io_uring_sqe *s = &sq[tail % SIZE];
    memset(s, 0, sizeof *s);
    s->opcode = (uint8_t)opcode;
    s->user_data = (uintptr_t)client | (unsigned)kind;
    s->fd = client != NULL ? client->fd : listener;
    return s;
}

static void publish(struct client *client) {
    atomic_fetch_add_explicit(sq_tail, 1, memory_order_release);
    if (client != NULL)
        client->pending++;
}

static void ask_accept(void) {
    struct io_uring_sqe *s = fresh(IORING_OP_ACCEPT, NULL, ACCEPT);
    s->ioprio = IORING_ACCEPT_MULTISHOT;
    s->accept_flags = SOCK_CLOEXEC;
    publish(NULL);
}

static void ask_read(struct client *c) {
    struct io_uring_sqe *s = fresh(IORING_OP_RECV, c, READ);
    s->ioprio = IORING_RECV_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
    c->is_reading = 1;
    publish(c);
}

static void ask_write(struct client *c) {
    struct io_uring_sqe *s = fresh(IORING_OP_SEND, c, WRITE);
    s->addr = (uintptr_t)(c->out + c->out_done);
    s->len = (unsigned)(c->out_length - c->out_done);
    s->msg_flags = MSG_WAITALL;
    c->is_writing = 1;
    publish(c);
}

static int64_t now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void ask_time(struct client *c) {
    int64_t ms = c->ends - now_ms();
    c->left.tv_sec = ms / 1000;
    c->left.tv_nsec = ms % 1000 * 1000000;
    struct io_uring_sqe *s = fresh(IORING_OP_TIMEOUT, c, TIMER);
    s->addr = (uintptr_t)&c->left;
    s->len = 1;
    c->is_timed = 1;
    publish(c);
}

static void forget_time(struct client *c) {
    struct io_uring_sqe *s = fresh(IORING_OP_TIMEOUT_REMOVE, c, UPDATE);
    s->addr = (uintptr_t)c | TIMER;
    s->fd = -1;
    publish(c);
}

static void stop_reading(struct client *c) {
    struct io_uring_sqe *s = fresh(IORING_OP_ASYNC_CANCEL, c, UPDATE);
    s->addr = (uintptr_t)c | READ;
    s->fd = -1;
    c->is_reading = 2;
    publish(c);
}

static void leave(struct client *c) {
    if (c->leaves == 2)
        return;
    c->leaves = 2;
    (void)shutdown(c->fd, SHUT_RDWR);
    if (c->is_timed)
        forget_time(c);
    if (c->is_reading == 1)
        stop_reading(c);
    if (c->is_writing) {
        struct io_uring_sqe *s = fresh(IORING_OP_ASYNC_CANCEL, c, UPDATE);
        s->addr = (uintptr_t)c | WRITE;
        s->fd = -1;
        publish(c);
    }
}

static void go_on(struct client *c) {
    if (c->leaves == 1 && c->in_length == 0 && c->out == NULL)
        leave(c);
    if (c->leaves < 2) {
        if (c->out == NULL && c->in != NULL) {
            c->out = c->in;
            c->out_length = c->in_length;
            c->out_done = 0;
            c->in = NULL;
            c->in_length = 0;
            ask_write(c);
        }
        if (c->is_reading == 1 && c->in_length > FULL)
            stop_reading(c);
        if (!c->is_reading && !c->leaves && c->in_length <= FULL)
            ask_read(c);
    }
    if (c->pending == 0) {
        close(c->fd);
        free(c->in);
        free(c->out);
        free(c);
    }
}

static void give(unsigned id) {
    struct io_uring_buf *b = &pool->bufs[pool_tail % COUNT];
    b->addr = (uintptr_t)(memory + (size_t)id * LENGTH);
    b->len = LENGTH;
    b->bid = (uint16_t)id;
    pool_tail++;
    __atomic_store_n(&pool->tail, pool_tail, __ATOMIC_RELEASE);
}

static void on_read(struct client *c, const struct io_uring_cqe *e) {
    if (!(e->flags & IORING_CQE_F_MORE))
        c->is_reading = 0;
    if (e->flags & IORING_CQE_F_BUFFER) {
        unsigned id = e->flags >> IORING_CQE_BUFFER_SHIFT;
        if (e->res > 0) {
            size_t n = (size_t)e->res;
            c->in = realloc(c->in, c->in_length + n);
            if (c->in == NULL)
                err(1, "realloc");
            memcpy(c->in + c->in_length, memory + (size_t)id * LENGTH, n);
            c->in_length += n;
            if (c->leaves == 0)
                c->ends = now_ms() + limit_ms;
        }
        give(id);
    }
    if (e->res == 0 && c->leaves == 0)
        c->leaves = 1;
    if (e->res < 0 && e->res != -ENOBUFS && e->res != -ECANCELED &&
        e->res != -EINTR)
        leave(c);
}

static void on_write(struct client *c, int result) {
    c->is_writing = 0;
    if (result < 0 && result != -EINTR) {
        leave(c);
        return;
    }
    if (result > 0)
        c->out_done += (size_t)result;
    if (c->leaves == 2)
        return;
    if (c->out_done < c->out_length) {
        ask_write(c);
        return;
    }
    free(c->out);
    c->out = NULL;
}

static void on_accept(const struct io_uring_cqe *e) {
    if (!(e->flags & IORING_CQE_F_MORE))
        ask_accept();
    if (e->res < 0) {
        warnx("accept: %s", strerror(-e->res));
        (void)deadline_wait(deadline_after(5), -1, 0);
        return;
    }
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL)
        err(1, "calloc");
    c->fd = e->res;
    c->ends = now_ms() + limit_ms;
    ask_time(c);
    ask_read(c);
}

static void handle(const struct io_uring_cqe *e) {
    struct client *c =
        (struct client *)(uintptr_t)(e->user_data & ~(uint64_t)KIND_MASK);
    if (c == NULL) {
        on_accept(e);
        return;
    }
    if (!(e->flags & IORING_CQE_F_MORE))
        c->pending--;
    switch (e->user_data & KIND_MASK) {
    case READ:
        on_read(c, e);
        break;
    case WRITE:
        on_write(c, e->res);
        break;
    case TIMER:
        c->is_timed = 0;
        if (c->leaves != 2 && c->ends > now_ms())
            ask_time(c);
        else
            leave(c);
        break;
    }
    go_on(c);
}

static void set_up(void) {
    p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
    p.cq_entries = 8 * SIZE;
    ring = (int)syscall(SYS_io_uring_setup, SIZE, &p);
    if (ring < 0)
        err(1, "io_uring");
    char *m =
        mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof *cq + 4 * SIZE,
             PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    if (m == MAP_FAILED)
        m = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof *cq,
                 PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    sq = mmap(NULL, SIZE * sizeof *sq, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
              IORING_OFF_SQES);
    pool = mmap(NULL, COUNT * sizeof(struct io_uring_buf),
                PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = malloc((size_t)COUNT * LENGTH);
    if (m == MAP_FAILED || sq == MAP_FAILED || pool == MAP_FAILED || !memory)
        err(1, "memory");
    sq_head = (atomic_uint *)(void *)(m + p.sq_off.head);
    sq_tail = (atomic_uint *)(void *)(m + p.sq_off.tail);
    cq_head = (atomic_uint *)(void *)(m + p.cq_off.head);
    cq_tail = (atomic_uint *)(void *)(m + p.cq_off.tail);
    cq = (struct io_uring_cqe *)(void *)(m + p.cq_off.cqes);
    for (unsigned i = 0; i < SIZE; i++)
        ((unsigned *)(void *)(m + p.sq_off.array))[i] = i;
    struct io_uring_buf_reg r = {.ring_addr = (uintptr_t)pool,
                                 .ring_entries = COUNT};
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_PBUF_RING, &r, 1))
        err(1, "io_uring_register");
    for (unsigned id = 0; id < COUNT; id++)
        give(id);
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc != 4 || strcmp(argv[1], "-i") != 0) {
        fputs("usage: 28-io-uring-server -i SECONDS PORT\n", stderr);
        return 2;
    }
    if (deadline_parse(argv[2], strlen(argv[2]), &limit_ms) < 0 ||
        number_parse(argv[3], 0, 65535, &port) < 0)
        errx(1, "bad number");
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((in_port_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&a, &length) < 0)
        err(1, "listen");
    set_up();
    printf("listening on 127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    ask_accept();
    for (;;) {
        call(1);
        for (;;) {
            unsigned head = atomic_load_explicit(cq_head, memory_order_relaxed);
            if (head == atomic_load_explicit(cq_tail, memory_order_acquire))
                break;
            struct io_uring_cqe e = cq[head % p.cq_entries];
            atomic_store_explicit(cq_head, head + 1, memory_order_release);
            handle(&e);
        }
    }
}
