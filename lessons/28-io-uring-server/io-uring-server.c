/*
 * 28-io-uring-server: send back what clients send, with few system calls.
 *
 * Shows io_uring(7): the program puts requests into one queue, and the kernel
 * puts its answers, the completions, into another. Both queues are in memory
 * that the two share. One request may have many completions: we ask for clients
 * once, and for what a client sends once.
 *
 * usage: 28-io-uring-server [-m MAXCLIENTS] PORT
 *
 * MAXCLIENTS may be connected. Port 0 is any free port. At its end the server
 * prints how many requests and completions there were, and how many system
 * calls. It needs Linux 6.1.
 *
 * Left out: a limit for clients that send nothing (this lesson's exercise), and
 * TLS.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
    LARGEST_NUMBER = 65535, /* on the command line */
    /* These three are powers of two. */
    REQUESTS = 1024,    /* places in the submission queue */
    COMPLETIONS = 4096, /* places in the completion queue */
    BUFFERS = 128,      /* that the kernel may fill; it divides 65536 */
    BUFFER_BYTES = 16 * 1024,
    BUFFER_GROUP = 1,        /* our number for these buffers */
    MOST_UNSENT = 64 * 1024, /* with so many bytes, a client must wait */
    MOST_FOR_ONE = 2, /* requests that we make because of one completion */
    DESCRIPTORS = 128 * 1024,     /* ours are below this */
    KEPT_BYTES = 8 * 1024 * 1024, /* free memory that malloc may keep */
    PAUSE_MS = 20, /* after a call failed because something had run out */
    QUIET_MS = 20, /* so long no completion, and we may end */
    STOP_MS = 1000 /* but after this we end in any case */
};

/* What a request asks for. Its completion says so, too. */
enum kind { ACCEPT, RECV, SEND, SIGNALS, CANCEL, KINDS };

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
    unsigned new_tail; /* with the requests that the kernel may not see yet */
    /* The completion queue: the kernel adds, and we take. */
    struct io_uring_cqe *completions;
    unsigned completions_mask;
    _Atomic unsigned *completions_head; /* only we write this */
    _Atomic unsigned *completions_tail; /* only the kernel writes this */
    /* Buffers for recv: we add those that are free, and the kernel takes one
     * when bytes have come. */
    struct io_uring_buf_ring *free_buffers;
    uint16_t free_tail;
    char *buffers;
};

/* Where a request for a client is. */
enum state {
    NOT_ASKED,
    ASKED,    /* it has no last completion yet */
    CANCELLED /* the same, but we have asked the kernel to end it */
};

enum phase {
    SERVED,
    LEAVING, /* it will send nothing more, but what it sent goes back to it */
    FAILED   /* nothing more is sent to it */
};

/* Client N is at index N, its descriptor. */
struct client {
    enum phase phase;
    enum state input;  /* of the request RECV */
    enum state output; /* of the request SEND */
    char *sending;     /* the kernel may read this while output is not NOT_ASKED
                        */
    unsigned sending_bytes;
    unsigned sent; /* so many of these have been sent */
    char *waiting; /* what has come since then, to be sent next, or NULL */
    unsigned waiting_bytes;
    unsigned waiting_room; /* so many bytes fit into it */
};

struct server {
    struct ring ring;
    int listener;
    int signals; /* SIGINT and SIGTERM arrive here */
    int spare;   /* open on /dev/null; -1 while we do without it */
    int clients; /* how many are connected */
    int most_clients;
    int has_reported_full; /* and no client has been admitted since then */
    int is_stop_requested; /* a signal has come */
    unsigned long requests[KINDS];
    unsigned long completions[KINDS];
    unsigned long calls; /* of io_uring_enter */
    unsigned long overflows;
    struct client all[DESCRIPTORS];
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 28-io-uring-server [-m MAXCLIENTS] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * smallest to LARGEST_NUMBER, in digits alone. */
static int parse_number(const char *text, unsigned smallest) {
    unsigned long long number;
    if (number_parse(text, smallest, LARGEST_NUMBER, &number) < 0)
        errx(1, "%s is not a number from %u to %d", text, smallest,
             LARGEST_NUMBER);
    return (int)number;
}

/* If 1 or 2 were closed, a socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
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

/* glibc gives memory back to the kernel as soon as much of it is free. But we
 * need it again at once, for the next messages. */
static void keep_free_memory(void) {
#ifdef M_TRIM_THRESHOLD
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

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

/* Makes the two queues. */
static void open_ring(struct ring *ring) {
    struct io_uring_params made = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    ring->fd = (int)syscall(SYS_io_uring_setup, REQUESTS, &made);
    if (ring->fd < 0)
        refuse_to_run();
    /* Both queues are in one piece of memory. It ends where the array of the
     * one queue ends, or that of the other, whichever comes later. */
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
    /* Place N of the queue says which request it is. Ours is always request N.
     */
    unsigned *array = (unsigned *)(memory + made.sq_off.array);
    for (unsigned i = 0; i < made.sq_entries; i++)
        array[i] = i;
}

/* Gives a buffer to the kernel, to be filled. The tail is in the same memory as
 * the last member of the first struct, resv; so we must not write to that. */
static void give_buffer(struct ring *ring, unsigned id) {
    struct io_uring_buf *place =
        &ring->free_buffers->bufs[ring->free_tail % BUFFERS];
    place->addr = (uintptr_t)(ring->buffers + (size_t)id * BUFFER_BYTES);
    place->len = BUFFER_BYTES;
    place->bid = (uint16_t)id;
    ring->free_tail++; /* from 65535 it goes on to 0: see BUFFERS */
    /* Only after the three lines above may the kernel see the new tail. */
    atomic_store_explicit((_Atomic uint16_t *)&ring->free_buffers->tail,
                          ring->free_tail, memory_order_release);
}

/* Makes the buffers, and the ring by which the kernel gets them. */
static void open_buffers(struct ring *ring) {
    const size_t bytes = BUFFERS * sizeof(struct io_uring_buf);
    ring->free_buffers = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ring->free_buffers == MAP_FAILED)
        err(1, "mmap");
    ring->buffers = malloc((size_t)BUFFERS * BUFFER_BYTES);
    if (ring->buffers == NULL)
        err(1, "malloc");
    struct io_uring_buf_reg group = {
        .ring_addr = (uintptr_t)ring->free_buffers,
        .ring_entries = BUFFERS,
        .bgid = BUFFER_GROUP,
    };
    if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_PBUF_RING,
                &group, 1) < 0)
        err(1, "io_uring_register");
    for (unsigned id = 0; id < BUFFERS; id++)
        give_buffer(ring, id);
}

/* From now on these two signals do not interrupt anything. They wait until we
 * read them from a descriptor: lesson 25. */
static int open_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        err(1, "sigprocmask");
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0)
        err(1, "signalfd");
    return fd;
}

static int open_spare(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns a listener at 127.0.0.1, as in lesson 02, and puts the port that it
 * has into *port. The sockets that it accepts inherit TCP_NODELAY: lesson 05.
 * It is not SOCK_NONBLOCK: then the kernel would answer EAGAIN, and not wait.
 */
static int open_listener(in_port_t *port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(*port),
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
        err(1, "bind 127.0.0.1:%d", *port);
    if (listen(fd, SOMAXCONN) < 0)
        err(1, "listen");
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    *port = ntohs(own.sin_port);
    return fd;
}

/* Without the pause, a call that goes on failing would use a whole processor.
 */
static void warn_and_pause(const char *failed) {
    warn("%s", failed);
    (void)deadline_wait(deadline_after(PAUSE_MS), -1, 0);
}

/* The kernel gives this number back with each completion of the request. Its
 * upper half is the kind, and its lower half the descriptor. */
static uint64_t tag(enum kind kind, int fd) {
    return ((uint64_t)kind << 32) | (uint32_t)fd;
}

/* Returns a request for this descriptor, all zero but for its tag. The caller
 * fills it in. The kernel sees it at the next io_uring_enter. */
static struct io_uring_sqe *new_request(struct server *server, enum kind kind,
                                        int fd) {
    struct ring *ring = &server->ring;
    struct io_uring_sqe *request =
        &ring->requests[ring->new_tail & ring->requests_mask];
    ring->new_tail++;
    server->requests[kind]++;
    memset(request, 0, sizeof *request);
    request->fd = fd;
    request->user_data = tag(kind, fd);
    return request;
}

/* Returns how many requests the kernel has not taken yet. */
static unsigned waiting_requests(const struct ring *ring) {
    return ring->new_tail -
           atomic_load_explicit(ring->requests_head, memory_order_acquire);
}

/* For as many clients as come: a completion for each. The flag for that is in
 * ioprio, a field that has another purpose in other requests. */
static void ask_for_clients(struct server *server) {
    struct io_uring_sqe *request =
        new_request(server, ACCEPT, server->listener);
    request->opcode = IORING_OP_ACCEPT;
    request->ioprio = IORING_ACCEPT_MULTISHOT;
    request->accept_flags = SOCK_CLOEXEC;
}

/* For all that the client will send: a completion for each piece, and each in a
 * buffer that the kernel takes from our group. */
static void ask_for_input(struct server *server, int fd) {
    struct io_uring_sqe *request = new_request(server, RECV, fd);
    request->opcode = IORING_OP_RECV;
    request->ioprio = IORING_RECV_MULTISHOT;
    request->flags = IOSQE_BUFFER_SELECT;
    request->buf_group = BUFFER_GROUP;
    server->all[fd].input = ASKED;
}

/* For what is left of client->sending to be sent. */
static void ask_to_send(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    struct io_uring_sqe *request = new_request(server, SEND, fd);
    request->opcode = IORING_OP_SEND;
    request->addr = (uintptr_t)(client->sending + client->sent);
    request->len = client->sending_bytes - client->sent;
    client->output = ASKED;
}

/* For a completion when a signal has come. */
static void ask_for_signals(struct server *server) {
    struct io_uring_sqe *request =
        new_request(server, SIGNALS, server->signals);
    request->opcode = IORING_OP_POLL_ADD;
    request->poll32_events = POLLIN;
}

/* Ends another request, which then has its last completion. */
static void ask_to_cancel(struct server *server, enum kind kind, int fd) {
    struct io_uring_sqe *request = new_request(server, CANCEL, -1);
    request->opcode = IORING_OP_ASYNC_CANCEL;
    request->addr = tag(kind, fd);
}

/* Opens all that the server needs to listen. */
static void start(struct server *server, in_port_t port) {
    server->spare = open_spare();
    if (server->spare < 0)
        err(1, "open /dev/null");
    server->signals = open_signals();
    open_ring(&server->ring);
    open_buffers(&server->ring);
    server->listener = open_listener(&port);
    ask_for_signals(server);
    ask_for_clients(server);
    if (printf("listening on 127.0.0.1:%d\n", port) < 0)
        err(1, "standard output");
}

/* The kernel has no request for this client any more. So no completion can come
 * that we would take for another client's, which gets the same number. */
static void close_client(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    free(client->sending);
    free(client->waiting);
    memset(client, 0, sizeof *client);
    (void)close(fd);
    server->clients--;
}

/* Looks at a client after each of its completions, and does what is to be done
 * next: at most two requests. */
static void go_on_with_client(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    unsigned unsent =
        client->sending_bytes - client->sent + client->waiting_bytes;
    int wants_input = client->phase == SERVED && unsent < MOST_UNSENT;
    int wants_output = client->phase != FAILED && unsent > 0;

    if (client->input == NOT_ASKED && wants_input)
        ask_for_input(server, fd);
    if (client->input == ASKED && !wants_input) {
        ask_to_cancel(server, RECV, fd);
        client->input = CANCELLED;
    }
    if (client->output == NOT_ASKED && wants_output)
        ask_to_send(server, fd);
    if (client->output == ASKED && client->phase == FAILED) {
        ask_to_cancel(server, SEND, fd);
        client->output = CANCELLED;
    }
    int has_request = client->input != NOT_ASKED || client->output != NOT_ASKED;
    if (client->phase != SERVED && !has_request)
        close_client(server, fd);
}

/* Gives a client up. */
static void fail_client(struct client *client, const char *failed, int error) {
    if (client->phase == FAILED)
        return;
    errno = error;
    warn("%s", failed);
    client->phase = FAILED;
}

/* All of client->sending has been sent, or there was none. Next is what has
 * come in the meantime. */
static void take_waiting(struct client *client) {
    free(client->sending);
    client->sending = client->waiting;
    client->sending_bytes = client->waiting_bytes;
    client->sent = 0;
    client->waiting = NULL;
    client->waiting_bytes = 0;
    client->waiting_room = 0;
}

/* Makes room for so many more bytes in client->waiting. If there is some
 * already, it doubles: with many small steps, realloc would copy the same bytes
 * again and again. Returns 0, or -1 and errno. */
static int make_room(struct client *client, size_t length) {
    size_t needed = client->waiting_bytes + length;
    if (needed <= client->waiting_room)
        return 0;
    size_t room = (size_t)client->waiting_room * 2;
    if (room < needed)
        room = needed;
    char *waiting = realloc(client->waiting, room);
    if (waiting == NULL)
        return -1;
    client->waiting = waiting;
    client->waiting_room = (unsigned)room;
    return 0;
}

/* Keeps a copy of what has come, to be sent back. While the kernel is sending,
 * the copy has to wait. */
static void store_input(struct client *client, const char *bytes,
                        size_t length) {
    if (make_room(client, length) < 0) {
        fail_client(client, "realloc", errno);
        return;
    }
    memcpy(client->waiting + client->waiting_bytes, bytes, length);
    client->waiting_bytes += (unsigned)length;
    if (client->sending == NULL)
        take_waiting(client);
}

/* These are not failures: the client is still there, and we may ask again.
 * ENOBUFS says that no buffer was free; ECANCELED, that we have cancelled it.
 */
static int is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR || error == ENOBUFS ||
           error == ECANCELED;
}

/* The client has sent something (result bytes), or nothing more will come (0),
 * or recv has failed (-errno). */
static void handle_input(struct server *server, int fd, int result,
                         unsigned flags) {
    struct client *client = &server->all[fd];
    int is_last = (flags & IORING_CQE_F_MORE) == 0;
    if (is_last)
        client->input = NOT_ASKED;
    if (result < 0 && !is_worth_another_try(-result))
        fail_client(client, "recv", -result);
    if (result == 0 && client->phase == SERVED)
        client->phase = LEAVING;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        const char *bytes = server->ring.buffers + (size_t)id * BUFFER_BYTES;
        if (result > 0 && client->phase != FAILED)
            store_input(client, bytes, (size_t)result);
        give_buffer(&server->ring, id);
    }
    go_on_with_client(server, fd);
}

/* So many bytes have been sent: perhaps not all of them. Or send has failed
 * (-errno). */
static void handle_sent(struct server *server, int fd, int result) {
    struct client *client = &server->all[fd];
    client->output = NOT_ASKED;
    if (result < 0 && !is_worth_another_try(-result))
        fail_client(client, "send", -result);
    if (result > 0)
        client->sent += (unsigned)result;
    if (client->sent == client->sending_bytes)
        take_waiting(client);
    go_on_with_client(server, fd);
}

static void report_full(struct server *server) {
    if (server->has_reported_full)
        return; /* one line, and not one for each client that we refuse */
    server->has_reported_full = 1;
    if (printf("full with %d clients\n", server->most_clients) < 0)
        warn("standard output");
}

/* Takes a client that has been accepted. If there is no place for it, closes
 * it. */
static void admit_client(struct server *server, int fd) {
    if (server->clients == server->most_clients) {
        report_full(server);
        (void)close(fd);
        return;
    }
    if (server->spare < 0) {
        server->spare = open_spare();
        if (server->spare < 0) {
            /* No descriptor is free, because this client has got the one that
             * spend_spare has given up. We refuse the client, and then that
             * descriptor is free for our spare one again. */
            (void)close(fd);
            server->spare = open_spare();
            return;
        }
    }
    server->has_reported_full = 0;
    server->clients++;
    ask_for_input(server, fd);
}

/* These errors of accept are not ours. The connection that we were about to
 * accept has failed, and the next one may be good: accept(2), "Error handling".
 */
static int is_one_connection_lost(int error) {
    switch (error) {
    case ECONNABORTED:
    case EPERM: /* a firewall forbids it */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return 1;
    default:
        return 0;
    }
}

/* Gives up the spare descriptor, so that accept has one: lesson 25. */
static void spend_spare(struct server *server) {
    if (!server->has_reported_full)
        warn("accept");
    server->has_reported_full = 1;
    (void)close(server->spare);
    server->spare = -1;
}

static void handle_failed_accept(struct server *server, int error) {
    /* From recv, ENOBUFS says that none of our buffers is free. But from
     * accept, it says that memory has run out. */
    if (is_worth_another_try(error) && error != ENOBUFS)
        return;
    int lacks_descriptor = error == EMFILE || error == ENFILE;
    errno = error; /* for the warning that each of these writes */
    if (lacks_descriptor && server->spare >= 0)
        spend_spare(server);
    else if (is_one_connection_lost(error))
        warn("accept");
    else
        warn_and_pause("accept");
}

/* The result is the descriptor of a new client, or -errno. */
static void handle_accepted(struct server *server, int result, unsigned flags) {
    if (result >= 0)
        admit_client(server, result);
    else
        handle_failed_accept(server, -result);
    int is_last = (flags & IORING_CQE_F_MORE) == 0;
    if (is_last && !server->is_stop_requested)
        ask_for_clients(server);
}

static void handle_signals(struct server *server, int result) {
    if (result > 0) {
        server->is_stop_requested = 1;
        return;
    }
    errno = -result;
    warn_and_pause("poll");
    ask_for_signals(server);
}

static void handle_completion(struct server *server,
                              const struct io_uring_cqe *completion) {
    /* The two halves of what `tag` has returned. */
    enum kind kind = (enum kind)(completion->user_data >> 32);
    int fd = (int)(uint32_t)completion->user_data;
    server->completions[kind]++;
    switch (kind) {
    case ACCEPT:
        handle_accepted(server, completion->res, completion->flags);
        break;
    case RECV:
        handle_input(server, fd, completion->res, completion->flags);
        break;
    case SEND:
        handle_sent(server, fd, completion->res);
        break;
    case SIGNALS:
        handle_signals(server, completion->res);
        break;
    default:
        break; /* what was cancelled has a completion of its own */
    }
}

/* These errors of io_uring_enter are no failures: a signal has come, the time
 * is over (ETIME), or we have to take completions out of their queue first
 * (EBUSY). */
static int is_harmless(int error) {
    return error == EINTR || error == ETIME || error == EBUSY;
}

/* Gives all new requests to the kernel, and waits until there is a completion;
 * for so many milliseconds, or for ever (-1). */
static void submit_and_wait(struct server *server, int milliseconds) {
    struct ring *ring = &server->ring;
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
    server->calls++;
    long submitted =
        syscall(SYS_io_uring_enter, ring->fd, waiting_requests(ring), 1,
                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                sizeof argument);
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

/* Whether there are places for the requests that we make because of one
 * completion. */
static int has_places(const struct ring *ring) {
    return waiting_requests(ring) + MOST_FOR_ONE <= REQUESTS;
}

/* Handles completions, as long as there are some, and places for the requests
 * that we make because of them. Returns how many there were. */
static int handle_completions(struct server *server, int milliseconds) {
    int count = 0;
    submit_and_wait(server, milliseconds);
    unsigned flags =
        atomic_load_explicit(server->ring.flags, memory_order_relaxed);
    if ((flags & IORING_SQ_CQ_OVERFLOW) != 0)
        server->overflows++;
    struct io_uring_cqe completion;
    while (has_places(&server->ring)) {
        if (!take_completion(&server->ring, &completion))
            break; /* there are no more */
        handle_completion(server, &completion);
        count++;
    }
    return count;
}

/* Accepts no more clients. Goes on with those that are there, until nothing has
 * come for QUIET_MS and every send has its completion; or for STOP_MS. What is
 * still open then, the kernel closes. */
static void finish(struct server *server) {
    ask_to_cancel(server, ACCEPT, server->listener);
    (void)close(server->listener);
    (void)close(server->signals);
    struct deadline end = deadline_after(STOP_MS);
    while (deadline_left(end) > 0) {
        int count = handle_completions(server, QUIET_MS);
        if (count == 0 && server->requests[SEND] == server->completions[SEND])
            return;
    }
}

static void print_row(const struct server *server, const char *name,
                      enum kind kind) {
    if (printf("%-6s %8lu %11lu\n", name, server->requests[kind],
               server->completions[kind]) < 0)
        err(1, "standard output");
}

static void report_numbers(const struct server *server) {
    if (printf("       requests completions\n") < 0)
        err(1, "standard output");
    print_row(server, "accept", ACCEPT);
    print_row(server, "recv", RECV);
    print_row(server, "send", SEND);
    if (printf("calls of io_uring_enter: %lu\n", server->calls) < 0)
        err(1, "standard output");
    if (server->overflows == 0)
        return;
    if (printf("completion queue too small: %lu times\n", server->overflows) <
        0)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    static struct server server = {.most_clients = LARGEST_NUMBER};
    for (;;) {
        int option = getopt(argc, argv, "+hm:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'm')
            server.most_clients = parse_number(optarg, 1);
        else
            usage(stderr, 2);
    }
    if (optind != argc - 1)
        usage(stderr, 2);
    in_port_t port = (in_port_t)parse_number(argv[optind], 0);

    require_output();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a closed output is an error of printf */
    raise_descriptor_limit();
    keep_free_memory();
    start(&server, port);
    while (!server.is_stop_requested)
        (void)handle_completions(&server, -1);
    finish(&server);
    report_numbers(&server);
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
