/* No multishot requests, and no provided buffers: each client has a buffer, and
 * takes turns between a recv and a send, each linked to a timeout of its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4096
#define ROOM 16384

struct client {
    char *room;
    unsigned have, sent;
    int pending; /* completions that are still to come */
    int leaves;
};

static struct client clients[65536];
static struct __kernel_timespec limit;
static struct io_uring_params p;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static atomic_uint *sq_tail, *sq_head, *cq_head, *cq_tail;
static unsigned *array, tail;
static int ring, listener;

enum { A_CLIENT = 1, RECEIVED, SENT, TIME };

static void enter(unsigned least) {
    atomic_store_explicit(sq_tail, tail, memory_order_release);
    unsigned count = tail - atomic_load_explicit(sq_head, memory_order_acquire);
    if (syscall(SYS_io_uring_enter, ring, count, least,
                least ? IORING_ENTER_GETEVENTS : 0, NULL, 0) < 0 &&
        errno != EINTR && errno != EBUSY && errno != EAGAIN) {
        perror("io_uring_enter");
        exit(1);
    }
}

static struct io_uring_sqe *request(int opcode, int fd, int kind) {
    struct io_uring_sqe *sqe = &sqes[tail & (p.sq_entries - 1)];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = (unsigned char)opcode;
    sqe->fd = fd;
    sqe->user_data = (unsigned long long)kind << 32 | (unsigned)fd;
    tail++;
    return sqe;
}

static void make_room(void) {
    if (tail - atomic_load_explicit(sq_head, memory_order_acquire) >
        ENTRIES - 8)
        enter(0);
}

static void limit_last(struct io_uring_sqe *sqe, int fd) {
    sqe->flags |= IOSQE_IO_LINK;
    struct io_uring_sqe *timeout = request(IORING_OP_LINK_TIMEOUT, -1, TIME);
    timeout->user_data = (unsigned long long)TIME << 32 | (unsigned)fd;
    timeout->addr = (unsigned long)&limit;
    timeout->len = 1;
    clients[fd].pending += 2;
}

static void ask(int fd) {
    struct client *c = &clients[fd];
    make_room();
    struct io_uring_sqe *sqe;
    if (c->sent < c->have) {
        sqe = request(IORING_OP_SEND, fd, SENT);
        sqe->addr = (unsigned long)(c->room + c->sent);
        sqe->len = c->have - c->sent;
        sqe->msg_flags = MSG_NOSIGNAL;
    } else {
        sqe = request(IORING_OP_RECV, fd, RECEIVED);
        sqe->addr = (unsigned long)c->room;
        sqe->len = ROOM;
    }
    limit_last(sqe, fd);
}

static void go_on(int fd) {
    struct client *c = &clients[fd];
    if (c->pending > 0)
        return; /* the timeout has not said its word yet */
    if (c->leaves) {
        free(c->room);
        memset(c, 0, sizeof *c);
        close(fd);
        return;
    }
    ask(fd);
}

static void accept_one(void) {
    make_room();
    request(IORING_OP_ACCEPT, listener, A_CLIENT)->accept_flags = SOCK_CLOEXEC;
}

static void handle(int kind, int fd, int result) {
    struct client *c = &clients[fd];
    switch (kind) {
    case A_CLIENT:
        if (result < 0 && result != -EINTR && result != -ECONNABORTED)
            usleep(10000);
        accept_one();
        if (result < 0)
            return;
        clients[result].room = malloc(ROOM);
        if (clients[result].room == NULL)
            close(result);
        else
            ask(result);
        return;
    case RECEIVED:
        c->have = result > 0 ? (unsigned)result : 0;
        c->sent = 0;
        if (result <= 0 && result != -EINTR)
            c->leaves = 1;
        break;
    case SENT:
        if (result > 0)
            c->sent += (unsigned)result;
        else if (result != -EINTR)
            c->leaves = 1;
        break;
    case TIME: /* ECANCELED: the request that it limits was faster. Otherwise
                * that one is cancelled, and may say EINTR, as for a signal. */
        if (result != -ECANCELED)
            c->leaves = 1;
        break;
    }
    c->pending--;
    go_on(fd);
}

static void start_ring(void) {
    p.flags =
        IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN;
    p.cq_entries = 4 * ENTRIES;
    ring = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring < 0) {
        perror("io_uring_setup");
        exit(1);
    }
    size_t sq = p.sq_off.array + p.sq_entries * 4;
    size_t cq = p.cq_off.cqes + p.cq_entries * sizeof *cqes;
    char *a = mmap(NULL, sq, 3, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *b = mmap(NULL, cq, 3, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    sqes = mmap(NULL, p.sq_entries * sizeof *sqes, 3, MAP_SHARED, ring,
                IORING_OFF_SQES);
    if (a == MAP_FAILED || b == MAP_FAILED || sqes == MAP_FAILED) {
        perror("io_uring: mmap");
        exit(1);
    }
    sq_head = (atomic_uint *)(void *)(a + p.sq_off.head);
    sq_tail = (atomic_uint *)(void *)(a + p.sq_off.tail);
    array = (unsigned *)(void *)(a + p.sq_off.array);
    cq_head = (atomic_uint *)(void *)(b + p.cq_off.head);
    cq_tail = (atomic_uint *)(void *)(b + p.cq_off.tail);
    cqes = (struct io_uring_cqe *)(void *)(b + p.cq_off.cqes);
    for (unsigned i = 0; i < p.sq_entries; i++)
        array[i] = i;
}

static void start_listening(long port) {
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t length = sizeof a;
    int on = 1;
    a.sin_port = htons((in_port_t)port);
    a.sin_addr.s_addr = inet_addr("127.0.0.1");
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, length) < 0 ||
        listen(listener, 4096) < 0 ||
        getsockname(listener, (struct sockaddr *)&a, &length) < 0) {
        perror("listen");
        exit(1);
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 4 || strcmp(argv[1], "-i") != 0) {
        fprintf(stderr, "usage: %s -i SECONDS PORT\n", argv[0]);
        return 2;
    }
    char *end;
    double seconds = strtod(argv[2], &end);
    if (*end || end == argv[2] || !(seconds > 0) || seconds > 86400) {
        fprintf(stderr, "bad seconds\n");
        return 1;
    }
    long port = strtol(argv[3], &end, 10);
    if (*end || end == argv[3] || port < 0 || port > 65535) {
        fprintf(stderr, "bad port\n");
        return 1;
    }
    limit.tv_sec = (long long)seconds;
    limit.tv_nsec = (long long)((seconds - (double)limit.tv_sec) * 1e9);
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max < 65536 ? r.rlim_max : 65536;
    setrlimit(RLIMIT_NOFILE, &r);
    start_ring();
    start_listening(port);
    accept_one();
    for (;;) {
        enter(1);
        unsigned head = atomic_load(cq_head);
        while (head != atomic_load_explicit(cq_tail, memory_order_acquire)) {
            struct io_uring_cqe c = cqes[head & (p.cq_entries - 1)];
            head++;
            atomic_store_explicit(cq_head, head, memory_order_release);
            handle((int)(c.user_data >> 32), (int)c.user_data, c.res);
        }
    }
}
