/*
 * 28 solution: echo by io_uring, with an idle limit for each client; one good
 * answer of many.
 *
 * usage: 28-io-uring-server -i SECONDS PORT
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
    /* These three are powers of two. */
    REQUESTS = 1024,    /* places in the submission queue */
    COMPLETIONS = 4096, /* places in the completion queue */
    BUFFERS = 64,       /* that the kernel may fill; it divides 65536 */
    BUFFER_BYTES = 8 * 1024,
    BUFFER_GROUP = 1,        /* our number for these buffers */
    MOST_UNSENT = 64 * 1024, /* with so many bytes, a client must wait */
    MOST_FOR_ONE = 2, /* requests that we make because of one completion */
    DESCRIPTORS = 64 * 1024, /* ours are below this */
    PAUSE_MS = 10, /* after a call failed because something had run out */
    LIST_HEAD = 0  /* no client has this number: see require_standard_streams */
};

/* What a request asks for. Its completion says so, too. */
enum kind { ACCEPT, RECV, SEND, TIMER, CANCEL };

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
    FAILED   /* nothing more is sent to it, and it is not in the list */
};

/* Client N is at index N, its descriptor. Those whose time runs are in a list,
 * in the order in which it will be up: previous and next are numbers of
 * clients. Place LIST_HEAD belongs to no client: its next is the first client,
 * its previous is the last, and both are LIST_HEAD in an empty list. Because
 * LIST_HEAD is 0, memory that is all zero is an empty list. */
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
    int previous;
    int next;
    struct deadline deadline;
};

struct server {
    struct ring ring;
    int listener;
    int milliseconds; /* how long a client may be silent */
    int is_timer_asked;
    struct __kernel_timespec timer; /* when it ends */
    struct client all[DESCRIPTORS];
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
 * 01. Here 0 matters too, because it is the head of our list. */
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

/* Ends another request, which then has its last completion. */
static void ask_to_cancel(struct server *server, enum kind kind, int fd) {
    struct io_uring_sqe *request = new_request(server, CANCEL, -1);
    request->opcode = IORING_OP_ASYNC_CANCEL;
    request->addr = tag(kind, fd);
}

/* Returns the client whose time is up first, or LIST_HEAD if the list is empty.
 */
static int first_in_list(const struct server *server) {
    return server->all[LIST_HEAD].next;
}

static void remove_from_list(struct server *server, int fd) {
    const struct client *client = &server->all[fd];
    server->all[client->previous].next = client->next;
    server->all[client->next].previous = client->previous;
}

/* The client's time begins now. All have the same limit, so its time is up
 * after that of all others: it is the last in the list. */
static void append_to_list(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    struct client *head = &server->all[LIST_HEAD];
    client->deadline = deadline_after(server->milliseconds);
    client->previous = head->previous;
    client->next = LIST_HEAD;
    server->all[head->previous].next = fd;
    head->previous = fd;
}

/* For a completion when the time of the first client in the list is up. If this
 * client sends something before that, the timer ends too early, and we ask for
 * another. It never ends too late: no client's time is up sooner. */
static void ask_for_timer(struct server *server) {
    const struct client *first = &server->all[first_in_list(server)];
    struct io_uring_sqe *request = new_request(server, TIMER, -1);
    server->timer.tv_sec = first->deadline.nanoseconds / 1000000000;
    server->timer.tv_nsec = first->deadline.nanoseconds % 1000000000;
    request->opcode = IORING_OP_TIMEOUT;
    request->addr = (uintptr_t)&server->timer;
    request->len = 1;
    request->timeout_flags = IORING_TIMEOUT_ABS;
    server->is_timer_asked = 1;
}

/* The kernel has no request for this client any more. So no completion can come
 * that we would take for another client's, which gets the same number. */
static void close_client(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    if (client->phase != FAILED)
        remove_from_list(server, fd);
    free(client->sending);
    free(client->waiting);
    memset(client, 0, sizeof *client);
    (void)close(fd);
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
static void abandon_client(struct server *server, int fd) {
    remove_from_list(server, fd);
    server->all[fd].phase = FAILED;
}

static void fail_client(struct server *server, int fd, const char *failed,
                        int error) {
    if (server->all[fd].phase == FAILED)
        return;
    errno = error;
    warn("%s", failed);
    abandon_client(server, fd);
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
}

/* Keeps a copy of what has come, to be sent back. While the kernel is sending,
 * the copy has to wait. */
static void store_input(struct server *server, int fd, const char *bytes,
                        size_t length) {
    struct client *client = &server->all[fd];
    char *waiting = realloc(client->waiting, client->waiting_bytes + length);
    if (waiting == NULL) {
        fail_client(server, fd, "realloc", errno);
        return;
    }
    memcpy(waiting + client->waiting_bytes, bytes, length);
    client->waiting = waiting;
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
        fail_client(server, fd, "recv", -result);
    if (result == 0 && client->phase == SERVED)
        client->phase = LEAVING;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        const char *bytes = server->ring.buffers + (size_t)id * BUFFER_BYTES;
        if (result > 0 && client->phase != FAILED) {
            remove_from_list(server, fd);
            append_to_list(server, fd);
            store_input(server, fd, bytes, (size_t)result);
        }
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
        fail_client(server, fd, "send", -result);
    if (result > 0)
        client->sent += (unsigned)result;
    if (client->sent == client->sending_bytes)
        take_waiting(client);
    go_on_with_client(server, fd);
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

static void report_failed_accept(int error) {
    if (error == EAGAIN || error == EINTR)
        return;
    errno = error;
    if (is_one_connection_lost(error))
        warn("accept");
    else
        warn_and_pause("accept");
}

/* The result is the descriptor of a new client, or -errno. */
static void handle_accepted(struct server *server, int result, unsigned flags) {
    if (result >= 0) {
        append_to_list(server, result);
        ask_for_input(server, result);
    } else {
        report_failed_accept(-result);
    }
    int is_last = (flags & IORING_CQE_F_MORE) == 0;
    if (is_last)
        ask_for_clients(server);
}

static void handle_completion(struct server *server,
                              const struct io_uring_cqe *completion) {
    /* The two halves of what `tag` has returned. */
    enum kind kind = (enum kind)(completion->user_data >> 32);
    int fd = (int)(uint32_t)completion->user_data;
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
    case TIMER:
        server->is_timer_asked = 0;
        break;
    default:
        break; /* what was cancelled has a completion of its own */
    }
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

/* There are places for the requests that we make because of one completion or
 * client, and for the timer. */
static int has_places(const struct ring *ring) {
    return waiting_requests(ring) + MOST_FOR_ONE + 1 <= REQUESTS;
}

/* Abandons the clients whose time is up. If there is no place for a request to
 * cancel theirs, the rest of them have to wait for the next turn. */
static void abandon_silent_clients(struct server *server) {
    while (has_places(&server->ring)) {
        int first = first_in_list(server);
        if (first == LIST_HEAD)
            return;
        if (deadline_left(server->all[first].deadline) > 0)
            return;
        abandon_client(server, first);
        go_on_with_client(server, first);
    }
}

static void handle_completions(struct server *server) {
    struct io_uring_cqe completion;
    submit_and_wait(&server->ring);
    while (has_places(&server->ring)) {
        if (!take_completion(&server->ring, &completion)) {
            /* There are no more, so we have seen all that clients have sent. */
            abandon_silent_clients(server);
            break;
        }
        handle_completion(server, &completion);
    }
    if (!server->is_timer_asked && first_in_list(server) != LIST_HEAD)
        ask_for_timer(server);
}

int main(int argc, char **argv) {
    static struct server server; /* it is large, and all zero to begin with */

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
    open_buffers(&server.ring);
    server.listener = open_listener(port);
    announce(server.listener);
    ask_for_clients(&server);
    for (;;)
        handle_completions(&server);
}
