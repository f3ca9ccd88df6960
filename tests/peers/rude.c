/*
 * rude: a TCP peer with bad manners, which are the same each time it runs.
 *
 *     rude [OPTION...] serve FACE...
 *     rude [OPTION...] connect FACE PORT
 *     rude [OPTION...] payload FACE
 *     rude [-b ADDRESS] [-p PORT] refuse
 *     rude [-b ADDRESS] [-p PORT] swallow
 *     rude faces
 *
 * It sends its payload: bytes that are drawn from a seed, or read from a file.
 * A FACE says how it cuts the payload, whether it receives, and how it ends.
 *
 * `serve` listens on a port of 127.0.0.1, or of another address (-b), prints
 * `listening on 127.0.0.1:PORT`, and serves one client with each FACE. With -c
 * COUNT it serves COUNT clients, and those that are left over get the last
 * FACE. `connect` is a client with this FACE. At the end of each connection we
 * print a line such as `got N bytes, then end of stream`.
 *
 * `payload` prints the payload of a FACE and `faces` the names of all faces, so
 * that a test knows what to expect. `refuse` holds a port where every connect
 * is refused. A connect to the port of `swallow` gets no answer at all.
 *
 * One poll loop sends and receives at the same time. A peer that first sends
 * and then receives would itself be caught in the deadlocks that it is there to
 * provoke.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* The sizes of a payload without -n: */
    LINE_BYTES = 40,
    GARBAGE_BYTES = 4096,
    FLOOD_BYTES = 16 << 20,
    DEAF_RECEIVE_BUFFER = 4096, /* for a peer that never receives */
    PIECE_BYTES = 1 << 16,      /* the most that is received at once */
};

/* What we do when all is sent. */
enum ending { HALF_CLOSES, RESETS, STAYS };

/* What the bytes of a payload look like. */
enum content { A_LINE, NOISE, ONE_LETTER };

struct face {
    const char *name;
    size_t step;      /* bytes a send; 0: as many as the kernel takes */
    int is_cut;       /* sends only the first -k bytes */
    int times;        /* how often the payload is sent */
    int is_deaf;      /* never calls recv */
    enum ending then; /* when all is sent */
    enum content content;
};

static const struct face faces[] = {
    {.name = "whole", .times = 1},
    {.name = "dribble", .times = 1, .step = 1},
    {.name = "join", .times = 2},
    {.name = "half-close", .times = 1, .is_cut = 1},
    {.name = "reset", .times = 1, .is_cut = 1, .then = RESETS},
    {.name = "stall", .times = 1, .is_cut = 1, .then = STAYS},
    {.name = "deaf", .times = 1, .is_deaf = 1, .then = STAYS},
    {.name = "flood", .times = 1, .content = ONE_LETTER},
    {.name = "garbage", .times = 1, .content = NOISE},
};
enum { FACES = sizeof faces / sizeof faces[0] };

struct options {
    uint64_t seed;
    long bytes; /* -1: as many as the face has without -n */
    long cut;   /* -1: half of the payload */
    long connections;
    long pause; /* milliseconds after each send; -1: as the face has it */
    in_port_t port;
    int waits_for_line;    /* sends nothing until it has received a line */
    int waits_for_end;     /* sends nothing until the other side has ended */
    int half_closes_first; /* before it resets, or stays */
    const char *own;       /* our own address */
    const char *file;      /* has the payload's bytes; NULL: draw them */
    FILE *record;          /* what we receive is kept here; NULL: nowhere */
};

struct payload {
    unsigned char *bytes;
    size_t length;
};

static _Noreturn void usage(void) {
    fputs("usage: rude [OPTION...] serve FACE...\n"
          "       rude [OPTION...] connect FACE PORT\n"
          "       rude [OPTION...] payload FACE\n"
          "       rude [-b ADDRESS] [-p PORT] refuse\n"
          "       rude [-b ADDRESS] [-p PORT] swallow\n"
          "       rude faces\n"
          "  -s SEED   which payload (1)\n"
          "  -n BYTES  its size\n"
          "  -f FILE   the payload itself\n"
          "  -k BYTES  where half-close, reset and stall cut it (half)\n"
          "  -d MILLISECONDS  pauses after each send (1 for dribble, else 0)\n"
          "  -l        says nothing before it has been told a line\n"
          "  -w        says nothing before the other side has ended\n"
          "  -e        as reset: ends its half, then resets; as deaf or stall: "
          "ends\n"
          "            its half, and stays\n"
          "  -b ADDRESS  connects from there, or listens there (127.0.0.1)\n"
          "  -o FILE   keeps what the other side said\n"
          "  -p PORT   listens there\n"
          "  -c COUNT  connections, one after another (1)\n",
          stderr);
    exit(2);
}

static long number(const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 0)
        usage();
    return value;
}

/* xorshift64*: small, and the same on every machine for the same seed. */
static unsigned char next_byte(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (unsigned char)((*state * 0x2545F4914F6CDD1DULL) >> 56);
}

/* malloc may return NULL for 0 bytes, so we ask for one more. */
static unsigned char *allocate(size_t length) {
    unsigned char *bytes = malloc(length + 1);
    if (bytes == NULL)
        err(1, "malloc");
    return bytes;
}

static void fill(struct payload *payload, enum content content, uint64_t seed) {
    uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
    for (size_t i = 0; i < payload->length; i++) {
        unsigned char byte = next_byte(&state);
        if (content == A_LINE)
            byte = (unsigned char)('a' + byte % 26);
        if (content == ONE_LETTER)
            byte = 'x';
        payload->bytes[i] = byte;
    }
    if (content == A_LINE && payload->length > 0)
        payload->bytes[payload->length - 1] = '\n';
}

static size_t size_of_file(FILE *file, const char *name) {
    if (fseek(file, 0, SEEK_END) < 0)
        err(1, "%s", name);
    long size = ftell(file);
    if (size < 0)
        err(1, "%s", name);
    rewind(file);
    return (size_t)size;
}

static void read_payload(struct payload *payload, const char *name) {
    FILE *file = fopen(name, "re");
    if (file == NULL)
        err(1, "%s", name);
    payload->length = size_of_file(file, name);
    payload->bytes = allocate(payload->length);
    if (fread(payload->bytes, 1, payload->length, file) != payload->length)
        err(1, "%s", name);
    (void)fclose(file);
}

static size_t drawn_length(const struct face *face, long bytes) {
    if (bytes >= 0)
        return (size_t)bytes;
    switch (face->content) {
    case ONE_LETTER:
        return FLOOD_BYTES;
    case NOISE:
        return GARBAGE_BYTES;
    default:
        return LINE_BYTES;
    }
}

/* `join` sends its payload twice, one right after the other. */
static void double_payload(struct payload *payload) {
    size_t length = payload->length;
    payload->bytes = realloc(payload->bytes, 2 * length + 1);
    if (payload->bytes == NULL)
        err(1, "realloc");
    memcpy(payload->bytes + length, payload->bytes, length);
    payload->length = 2 * length;
}

/* Returns the bytes that this face sends. The caller frees them. */
static struct payload make_payload(const struct face *face,
                                   const struct options *options) {
    struct payload payload;
    if (options->file != NULL) {
        read_payload(&payload, options->file);
    } else {
        payload.length = drawn_length(face, options->bytes);
        payload.bytes = allocate(payload.length);
        fill(&payload, face->content, options->seed);
    }
    if (face->times == 2)
        double_payload(&payload);
    if (face->is_cut) {
        size_t cut = payload.length / 2;
        if (options->cut >= 0)
            cut = (size_t)options->cut;
        if (cut < payload.length)
            payload.length = cut;
    }
    return payload;
}

/* Waits until the other side's kernel has acknowledged all that we sent. A
 * reset that is sent earlier would throw away the bytes that are still on their
 * way. */
static void wait_until_delivered(int fd) {
    int unacknowledged = 1;
    for (int i = 0; i < 1000; i++) {
        if (ioctl(fd, TIOCOUTQ, &unacknowledged) < 0 || unacknowledged == 0)
            return;
        (void)poll(NULL, 0, 1);
    }
}

static void reset(int fd) {
    wait_until_delivered(fd);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) < 0)
        err(1, "setsockopt SO_LINGER");
}

struct talk {
    int fd;
    const struct face *face;
    const struct options *options;
    struct payload payload;
    size_t sent;
    size_t received;
    int got_end;  /* the other side has half-closed */
    int may_send; /* what we had to wait for has come */
    int all_sent; /* and what the face does then is done */
    int is_over;
    const char *reason; /* why it is over */
};

static void end_talk(struct talk *talk, const char *reason) {
    talk->is_over = 1;
    talk->reason = reason;
}

static void send_piece(struct talk *talk) {
    size_t length = talk->payload.length - talk->sent;
    size_t step = talk->face->step;
    if (step != 0 && step < length)
        length = step;
    ssize_t sent = send(talk->fd, talk->payload.bytes + talk->sent, length,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        talk->sent += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        end_talk(talk, strerror(errno));
    long pause = talk->options->pause;
    if (pause < 0)
        pause = step == 0 ? 0 : 1;
    if (pause > 0)
        (void)poll(NULL, 0, (int)pause); /* so that each piece travels alone */
}

static void receive_piece(struct talk *talk) {
    static unsigned char piece[PIECE_BYTES];
    ssize_t got = recv(talk->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            end_talk(talk, strerror(errno));
        return;
    }
    if (got == 0) {
        talk->got_end = 1;
        talk->may_send = 1;
        return;
    }
    talk->received += (size_t)got;
    if (!talk->options->waits_for_end &&
        memchr(piece, '\n', (size_t)got) != NULL)
        talk->may_send = 1;
    if (talk->options->record != NULL)
        (void)fwrite(piece, 1, (size_t)got, talk->options->record);
}

/* All is sent. Does what the face does then. */
static void finish_sending(struct talk *talk) {
    talk->all_sent = 1;
    switch (talk->face->then) {
    case HALF_CLOSES:
        /* It fails only if the peer has gone. */
        (void)shutdown(talk->fd, SHUT_WR);
        break;
    case RESETS:
        if (talk->options->half_closes_first)
            (void)shutdown(talk->fd, SHUT_WR);
        reset(talk->fd);
        end_talk(talk, "reset by us");
        break;
    case STAYS:
        if (talk->options->half_closes_first)
            (void)shutdown(talk->fd, SHUT_WR);
        break;
    }
}

static short events_to_wait_for(const struct talk *talk) {
    short events = 0;
    /* While it waits for its turn, a deaf peer receives, too. */
    int receives = !talk->face->is_deaf || !talk->may_send;
    if (receives && !talk->got_end)
        events |= POLLIN;
    /* This is how a deaf peer learns that the other side has ended. */
    if (talk->face->is_deaf && talk->all_sent)
        events |= POLLRDHUP;
    if (talk->may_send && !talk->all_sent)
        events |= POLLOUT;
    return events;
}

static void wait_and_serve(struct talk *talk) {
    struct pollfd polled = {.fd = talk->fd, .events = events_to_wait_for(talk)};
    if (poll(&polled, 1, -1) < 0)
        err(1, "poll");
    short ready = polled.revents;
    if (ready & POLLOUT)
        send_piece(talk);
    if (polled.events & POLLIN) {
        if (ready & (POLLIN | POLLHUP | POLLERR))
            receive_piece(talk);
        return;
    }
    /* If POLLOUT was reported as well, send has met the error. */
    int is_seen_by_send = ready & POLLOUT && !(polled.events & POLLRDHUP);
    if (ready & (POLLRDHUP | POLLHUP | POLLERR) && !is_seen_by_send)
        end_talk(talk, "the other side went away");
}

static void play(struct talk *talk) {
    while (!talk->is_over) {
        if (talk->may_send && !talk->all_sent &&
            talk->sent == talk->payload.length)
            finish_sending(talk);
        else if (talk->got_end && talk->all_sent)
            end_talk(talk, "end of stream");
        else
            wait_and_serve(talk);
    }
}

static void serve_connection(int fd, const struct face *face,
                             const struct options *options) {
    int on = 1;
    if (face->step != 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    struct talk talk = {
        .fd = fd,
        .face = face,
        .options = options,
        .payload = make_payload(face, options),
        .may_send = !options->waits_for_line && !options->waits_for_end,
    };
    play(&talk);
    free(talk.payload.bytes);
    (void)close(fd);
    if (options->record != NULL && fflush(options->record) == EOF)
        err(1, "-o");
    printf("got %zu bytes, then %s\n", talk.received, talk.reason);
}

static int tcp_socket(const struct face *face) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    int little = DEAF_RECEIVE_BUFFER;
    if (face->is_deaf &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    return fd;
}

/* The IPv4 address that -b names, or 127.0.0.1, with this port. */
static struct sockaddr_in own_address(const struct options *options,
                                      in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
    };
    if (inet_pton(AF_INET, options->own, &own.sin_addr) != 1)
        errx(2, "-b %s is not an IPv4 address", options->own);
    return own;
}

/* The port of this end of the connection. */
static int own_port(int fd) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    return ntohs(own.sin_port);
}

static int bound_socket(const struct face *face,
                        const struct options *options) {
    struct sockaddr_in address = own_address(options, options->port);
    int on = 1;
    int listener = tcp_socket(face);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind %s:%d", options->own, options->port);
    return listener;
}

/* Our socket is bound, but it does not listen. So no other program gets the
 * port, and the kernel answers every SYN to it with a reset. */
static void refuse_connections(const struct options *options) {
    int fd = bound_socket(&faces[0], options);
    printf("refusing on %s:%d\n", options->own, own_port(fd));
    (void)pause();
}

/* The kernel does not answer a SYN to a listener whose queue is full, and we
 * never accept. For a listener, TCP_INFO has the length of its queue in
 * tcpi_unacked, and the limit of that length in tcpi_sacked. */
static void swallow_connections(const struct options *options) {
    int listener = bound_socket(&faces[0], options);
    if (listen(listener, 0) < 0)
        err(1, "listen");
    struct sockaddr_in address =
        own_address(options, (in_port_t)own_port(listener));
    struct tcp_info queue = {0};
    while (queue.tcpi_unacked <= queue.tcpi_sacked) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 &&
            errno != EINPROGRESS)
            err(1, "connect");
        (void)poll(NULL, 0, 1); /* until the kernel has queued it */
        socklen_t length = sizeof queue;
        if (getsockopt(listener, IPPROTO_TCP, TCP_INFO, &queue, &length) < 0)
            err(1, "getsockopt TCP_INFO");
    }
    printf("swallowing on %s:%d\n", options->own, own_port(listener));
    (void)pause();
}

static const struct face *face_named(const char *name) {
    for (size_t i = 0; i < FACES; i++)
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    errx(2, "no face is called %s; `rude faces` lists them", name);
}

/* Serves one client with each of the named faces. If there are more clients,
 * they get the last of these faces. */
static void serve(char **names, long count, const struct options *options) {
    const struct face *face = face_named(names[0]);
    int listener = bound_socket(face, options);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    printf("listening on %s:%d\n", options->own, own_port(listener));
    for (long i = 0; i < options->connections || i < count; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        puts("connected");
        if (i < count)
            face = face_named(names[i]);
        serve_connection(fd, face, options);
    }
}

static void connect_to(in_port_t port, const struct face *face,
                       const struct options *options) {
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    for (long i = 0; i < options->connections; i++) {
        int fd = tcp_socket(face);
        struct sockaddr_in own = own_address(options, 0);
        if (own.sin_addr.s_addr != htonl(INADDR_LOOPBACK) &&
            bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
            err(1, "bind %s", options->own);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            err(1, "connect 127.0.0.1:%d", port);
        printf("connected from %s:%d\n", options->own, own_port(fd));
        serve_connection(fd, face, options);
    }
}

static in_port_t port_number(const char *text) {
    long value = number(text);
    if (value > 65535)
        usage();
    return (in_port_t)value;
}

/* A signal may end us, so nothing is left in a buffer. */
static FILE *open_record(const char *name) {
    FILE *record = fopen(name, "we");
    if (record == NULL)
        err(1, "%s", name);
    (void)setvbuf(record, NULL, _IONBF, 0);
    return record;
}

static void set_option(struct options *options, int option) {
    switch (option) {
    case 's':
        options->seed = (uint64_t)number(optarg);
        break;
    case 'n':
        options->bytes = number(optarg);
        break;
    case 'k':
        options->cut = number(optarg);
        break;
    case 'c':
        options->connections = number(optarg);
        break;
    case 'p':
        options->port = port_number(optarg);
        break;
    case 'f':
        options->file = optarg;
        break;
    case 'd':
        options->pause = number(optarg);
        break;
    case 'l':
        options->waits_for_line = 1;
        break;
    case 'w':
        options->waits_for_end = 1;
        break;
    case 'e':
        options->half_closes_first = 1;
        break;
    case 'b':
        options->own = optarg;
        break;
    case 'o':
        options->record = open_record(optarg);
        break;
    default:
        usage();
    }
}

static void print_faces(void) {
    for (size_t i = 0; i < FACES; i++)
        puts(faces[i].name);
}

static void print_payload(const struct face *face,
                          const struct options *options) {
    struct payload payload = make_payload(face, options);
    (void)fwrite(payload.bytes, 1, payload.length, stdout);
    free(payload.bytes);
}

int main(int argc, char **argv) {
    struct options options = {.seed = 1,
                              .bytes = -1,
                              .cut = -1,
                              .connections = 1,
                              .pause = -1,
                              .own = "127.0.0.1"};
    for (;;) {
        int option = getopt(argc, argv, "+s:n:k:c:d:p:f:lweb:o:");
        if (option == -1)
            break;
        set_option(&options, option);
    }
    argv += optind;
    argc -= optind;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 1 && strcmp(argv[0], "faces") == 0)
        print_faces();
    else if (argc == 1 && strcmp(argv[0], "refuse") == 0)
        refuse_connections(&options);
    else if (argc == 1 && strcmp(argv[0], "swallow") == 0)
        swallow_connections(&options);
    else if (argc == 2 && strcmp(argv[0], "payload") == 0)
        print_payload(face_named(argv[1]), &options);
    else if (argc >= 2 && strcmp(argv[0], "serve") == 0)
        serve(argv + 1, argc - 1, &options);
    else if (argc == 3 && strcmp(argv[0], "connect") == 0)
        connect_to(port_number(argv[2]), face_named(argv[1]), &options);
    else
        usage();
    return fflush(stdout) == EOF || ferror(stdout) ? 1 : 0;
}
