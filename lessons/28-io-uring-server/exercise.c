/*
 * 28 exercise: echo by io_uring, with an idle limit for each client.
 *
 * Our server keeps a silent client for ever, as that of lesson 25 did. As in
 * the exercise of lesson 25, you write an echo server with an idle limit:
 * it closes a client that has been silent for too long. But now the kernel has
 * requests for each client. A client can only be closed when the kernel has no
 * request for it. And the ring tells us when the time of a client is up: we
 * ask it for a timer.
 *
 * It is called as `28-io-uring-server -i SECONDS PORT`. Everything else is as
 * in this lesson's server, but you may leave out some parts: the option `-m`
 * (the largest number of clients), the signals, the spare descriptor, the
 * numbers at the end, and the different messages when there is no io_uring
 * (one is enough). You may copy what you like.
 *
 * There is one request that you have not seen yet. IORING_OP_TIMEOUT completes
 * when a time has come, with the result -ETIME. Its member `addr` is the
 * address of a `struct __kernel_timespec`, which has the members `tv_sec` and
 * `tv_nsec`. (The kernel reads this struct during the next `io_uring_enter`.
 * So the struct must still be there then: it cannot be a local variable of the
 * function that makes the request.) `len` is 1, because there is one such
 * struct. If `timeout_flags` is 0, the struct is a length of time. If it is
 * IORING_TIMEOUT_ABS, the struct is a point in time by CLOCK_MONOTONIC, the
 * clock of `struct deadline` (lesson 07). The member `nanoseconds` of a
 * `struct deadline` counts all nanoseconds, those of whole seconds too. In the
 * request, `off` stays 0, and `fd` is -1.
 *
 * 1. It listens, and says where. The first line that it prints is `listening
 *    on 127.0.0.1:PORT`. If PORT is 0, it takes a free port and prints that
 *    one.
 * 2. It sends back what fifty clients send at once.
 * 3. It sends back more messages than it has buffers. Two clients each send
 *    3000 messages, one after the other.
 * 4. It sends back large amounts. Twenty clients each send 300000 bytes at
 *    once.
 * 5. It sends back everything in its order when a client reads late. The
 *    kernel has room for a few kilobytes only, so most of what your server
 *    sends has to wait.
 * 6. It sends back all that came before a client ended its half. Then it
 *    closes the connection.
 * 7. It goes on when a client resets its connection, and keeps nothing of
 *    clients that have gone. It closes their descriptors, and frees their
 *    memory, also the bytes that it could not send to them.
 * 8. It serves the others while twenty clients do not read. These twenty send
 *    as much as they can.
 * 9. It uses no processor while a client does not read. When no more bytes fit
 *    anywhere, your server sleeps.
 * 10. It uses little memory for a client that does not read. The whole process
 *     uses less than 6 MB more than before this client came.
 * 11. It uses no processor when all has been sent back.
 * 12. It accepts clients again after accept has failed. In this test your
 *     server may have only 40 descriptors, and 60 clients come. You decide
 *     what happens to the clients for whom there is no descriptor. But when
 *     all of them have left, new clients are served. (When the kernel's accept
 *     has failed, it is enough to pause for some milliseconds, and then to ask
 *     for clients again.)
 * 13. It leaves its clients to the ring. Your server does not itself call
 *     `accept`, `recv` or `send`.
 * 14. It makes at most half as many system calls as there are messages. This
 *     is the average when 50 clients send at the same time. Only
 *     `io_uring_enter` is counted.
 * 15. It closes a client that is silent for SECONDS. SECONDS is a number such
 *     as 2 or 0.25, up to a day. The client is closed at most 50 milliseconds
 *     late. Its descriptor is closed and its memory is freed too, as in 7. For
 *     a client that never sends anything, the time begins when it is accepted.
 *     When your program has stopped receiving from a client that does not read,
 *     this client counts as silent, even if it still tries to send. Its time
 *     begins with the last bytes that your program has received from it. A
 *     client that has ended its half and does not read is silent too. The time
 *     of 1500 clients may be up at the same moment. Then the submission queue
 *     has no place for all that you have to ask for.
 * 16. It gives a client its time anew when it sends something. No client is
 *     closed before it has been silent for SECONDS. You decide whether the
 *     time also begins anew when your server sends something to the client.
 * 17. It closes a silent client also while others send. Again, it is at most
 *     50 milliseconds late.
 * 18. It does not take a new client for one that it has closed. The two must
 *     not be confused: a new client comes just when the time of another is up,
 *     and may get the same descriptor. It is served all the same. So do not
 *     close or use a descriptor that belongs to another client by now.
 * 19. It sleeps while nothing happens. There is no clock that ticks, neither
 *     without a client nor while a client is silent. This is so for a client
 *     that has sent many messages before, too. (One timer that ends too early,
 *     or after its client has left, does no harm.)
 * 20. It does not work more for a message when 2500 clients are silent. A
 *     message costs as much as when there are no silent clients.
 * 21. It says so if there is no io_uring, with status 1. The message on
 *     standard error names io_uring.
 * 22. It refuses an invalid number of seconds or an invalid port, with status
 *     1. It says on standard error what is wrong.
 * 23. It refuses other arguments, with status 2. It then prints a line that
 *     begins with `usage:` on standard error.
 *
 * What is here compiles, listens, and accepts nobody. The two rings are made.
 * Your part begins in handle_completions, which is called again and again.
 * Copy from this lesson's program what you like.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    /* These are powers of two. */
    REQUESTS = 1024,         /* places in the submission queue */
    COMPLETIONS = 4096,      /* places in the completion queue */
    DESCRIPTORS = 64 * 1024, /* ours are below this */
    PAUSE_MS = 10 /* after a call failed because something had run out */
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
    unsigned new_tail; /* with the requests that the kernel may not see yet */
    /* The completion queue: the kernel adds, and we take. */
    struct io_uring_cqe *completions;
    unsigned completions_mask;
    _Atomic unsigned *completions_head; /* only we write this */
    _Atomic unsigned *completions_tail; /* only the kernel writes this */
};

struct server {
    struct ring ring;
    int listener;
    int milliseconds; /* how long a client may be silent */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 28-io-uring-server -i SECONDS PORT\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

/* If one of 0, 1 and 2 were closed, a socket would get that number: see lesson
 * 01. */
static void require_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Takes as many descriptors as we may have without special rights, but not more
 * than our array has places. If that fails, fewer must do. */
static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    if (files.rlim_cur > DESCRIPTORS)
        files.rlim_cur = DESCRIPTORS;
    (void)setrlimit(RLIMIT_NOFILE, &files);
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

/* Makes the two queues. */
static void open_ring(struct ring *ring) {
    struct io_uring_params made = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    ring->fd = (int)syscall(SYS_io_uring_setup, REQUESTS, &made);
    if (ring->fd < 0)
        err(1, "io_uring_setup");
    /* Both queues are in one piece of memory, but for the requests themselves.
     * It ends where the array of the one queue ends, or that of the other,
     * whichever comes later. */
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

/* Returns a listener at 127.0.0.1, as in lesson 02. The sockets that it accepts
 * inherit TCP_NODELAY: lesson 05. It is not SOCK_NONBLOCK: then the kernel
 * would answer EAGAIN, and not wait. */
static int open_listener(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    return fd;
}

/* Says where we listen. */
static void announce(int listener) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port)) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Without the pause, a call that goes on failing would use a whole processor.
 */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    deadline_pause(PAUSE_MS);
}

/* Returns how many requests the kernel has not taken yet. */
static unsigned waiting_requests(const struct ring *ring) {
    return ring->new_tail -
           atomic_load_explicit(ring->requests_head, memory_order_acquire);
}

/* These errors of io_uring_enter are no failures: a signal has come, or we have
 * to take completions out of their queue first (EBUSY). */
static int is_harmless(int error) {
    return error == EINTR || error == EBUSY;
}

/* Gives all new requests to the kernel, and waits until there is a completion.
 */
static void submit_and_wait(struct ring *ring) {
    /* Only after a request is filled in may the kernel see the new tail. */
    atomic_store_explicit(ring->requests_tail, ring->new_tail,
                          memory_order_release);
    long submitted =
        syscall(SYS_io_uring_enter, ring->fd, waiting_requests(ring), 1,
                IORING_ENTER_GETEVENTS, NULL, 0);
    if (submitted < 0 && !is_harmless(errno))
        warn_and_pause("io_uring_enter");
}

/* Takes the next completion out of the queue. Returns 0 if there is none. */
static int take_completion(struct ring *ring, struct io_uring_cqe *completion) {
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
    return 1;
}

static void handle_completions(struct server *server) {
    struct io_uring_cqe completion;
    /* 1. Before you come here for the first time, give buffers to the kernel,
     *    and ask for clients. */
    submit_and_wait(&server->ring);
    while (take_completion(&server->ring, &completion)) {
        /* 2. Do what this completion leads to. */
    }
    /* 3. Give up the clients whose time is up. Whose time is up first? */
    /* 4. Ask for a timer that ends at that time. */
}

int main(int argc, char **argv) {
    static struct server server; /* all zero to begin with; it will be large */

    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 4 || strcmp(argv[1], "-i") != 0)
        usage(stderr, 2);
    if (deadline_parse(argv[2], strlen(argv[2]), &server.milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", argv[2]);
    in_port_t port = parse_port(argv[3]);
    require_standard_streams();
    raise_descriptor_limit();

    open_ring(&server.ring);
    server.listener = open_listener(port);
    announce(server.listener);
    for (;;)
        handle_completions(&server);
}
