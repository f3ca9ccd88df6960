/*
 * rude: a TCP peer with bad manners, the same ones each time it is asked.
 *
 *     rude [OPTION...] serve FACE...
 *     rude [OPTION...] connect FACE PORT
 *     rude [OPTION...] payload FACE
 *     rude refuse
 *     rude [-p PORT] swallow
 *     rude faces
 *
 * It has bytes to say (its payload, drawn from a seed unless given), and a
 * face: how it cuts them, whether it listens, and how it ends. `payload` prints
 * the bytes and `faces` the names, so that a test can know what to expect;
 * `refuse` holds a port and refuses whoever knocks, until it is ended; who
 * knocks at `swallow` gets no answer at all. As a server it takes a port of its
 * own, says `listening on 127.0.0.1:PORT`, and serves a client with each FACE,
 * or as many as -c says, the last ones with the last FACE. Each connection's
 * end is one line: `got N bytes, then end of stream`.
 *
 * One poll loop sends and receives at the same time, because a peer that does
 * first the one and then the other would itself be caught in the deadlocks it
 * is there to provoke.
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
    LINE_BYTES = 40,            /* a payload's size, unless -n says otherwise */
    GARBAGE_BYTES = 4096,       /* the same for `garbage` */
    FLOOD_BYTES = 16 << 20,     /* and for `flood` */
    DEAF_RECEIVE_BUFFER = 4096, /* what a peer that never reads has room for */
    PIECE_BYTES = 1 << 16,      /* the most that is received at once */
};

enum ending { ENDS_ITS_HALF, RESETS, STAYS };
enum content { A_LINE, NOISE, ONE_LETTER };

struct face {
    const char *name;
    size_t step;      /* bytes a send; 0: as many as will go */
    int cut;          /* says only the first -k bytes */
    int times;        /* how often the payload is said */
    int reads;        /* 0: never calls recv */
    enum ending then; /* when all is said */
    enum content content;
};

static const struct face faces[] = {
    {"whole", 0, 0, 1, 1, ENDS_ITS_HALF, A_LINE},
    {"dribble", 1, 0, 1, 1, ENDS_ITS_HALF, A_LINE},
    {"join", 0, 0, 2, 1, ENDS_ITS_HALF, A_LINE},
    {"half-close", 0, 1, 1, 1, ENDS_ITS_HALF, A_LINE},
    {"reset", 0, 1, 1, 1, RESETS, A_LINE},
    {"stall", 0, 1, 1, 1, STAYS, A_LINE},
    {"deaf", 0, 0, 1, 0, STAYS, A_LINE},
    {"flood", 0, 0, 1, 1, ENDS_ITS_HALF, ONE_LETTER},
    {"garbage", 0, 0, 1, 1, ENDS_ITS_HALF, NOISE},
};
enum { FACES = sizeof faces / sizeof faces[0] };

struct options {
    uint64_t seed;
    long bytes; /* -1: as many as the face has by habit */
    long cut;   /* -1: half of the payload */
    long connections;
    long pause; /* milliseconds after each send; -1: as the face has it */
    in_port_t port;
    int listens_first; /* says nothing before it has been told a line */
    int waits_for_end; /* says nothing before the other side has ended */
    int ends_first;    /* `reset` ends its half before it resets */
    const char *from;  /* the address a client has, of this machine's many */
    const char *file;  /* the payload's bytes, instead of a seed's */
    FILE *record;      /* what the other side said goes here, if anywhere */
};

struct payload {
    unsigned char *bytes;
    size_t length;
};

static _Noreturn void usage(void) {
    fputs("usage: rude [OPTION...] serve FACE...\n"
          "       rude [OPTION...] connect FACE PORT\n"
          "       rude [OPTION...] payload FACE\n"
          "       rude refuse\n"
          "       rude [-p PORT] swallow\n"
          "       rude faces\n"
          "  -s SEED   which payload (1)\n"
          "  -n BYTES  its size\n"
          "  -f FILE   the payload itself\n"
          "  -k BYTES  where half-close, reset and stall cut it (half)\n"
          "  -d MILLISECONDS  pauses after each send (1 for dribble, else 0)\n"
          "  -l        says nothing before it has been told a line\n"
          "  -w        says nothing before the other side has ended\n"
          "  -e        as reset: ends its half, then resets\n"
          "  -b FROM   connects from that address (127.0.0.1)\n"
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

static size_t size_of(const struct face *face, const struct options *options,
                      FILE *file) {
    if (file != NULL) {
        if (fseek(file, 0, SEEK_END) < 0)
            err(1, "%s", options->file);
        long size = ftell(file);
        rewind(file);
        return (size_t)size;
    }
    if (options->bytes >= 0)
        return (size_t)options->bytes;
    if (face->content == ONE_LETTER)
        return FLOOD_BYTES;
    return face->content == NOISE ? GARBAGE_BYTES : LINE_BYTES;
}

/* The bytes this face says, `join`'s second helping included. The caller frees
 * them. */
static struct payload make_payload(const struct face *face,
                                   const struct options *options) {
    FILE *file = NULL;
    if (options->file != NULL && (file = fopen(options->file, "re")) == NULL)
        err(1, "%s", options->file);

    struct payload payload = {.length = size_of(face, options, file)};
    payload.bytes = malloc(payload.length * (size_t)face->times + 1);
    if (payload.bytes == NULL)
        err(1, "malloc");
    if (file == NULL) {
        fill(&payload, face->content, options->seed);
    } else {
        if (fread(payload.bytes, 1, payload.length, file) != payload.length)
            err(1, "%s", options->file);
        (void)fclose(file);
    }
    if (face->times == 2)
        memcpy(payload.bytes + payload.length, payload.bytes, payload.length);
    payload.length *= (size_t)face->times;
    if (face->cut) {
        size_t cut =
            options->cut < 0 ? payload.length / 2 : (size_t)options->cut;
        payload.length = cut < payload.length ? cut : payload.length;
    }
    return payload;
}

/* Waits until the other side's kernel has all that we sent, so that a reset
 * comes after the bytes and not instead of them. */
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
    size_t said;
    size_t heard;
    int heard_all;
    int may_speak;
    const char *end; /* how it ended, once it has */
};

static void speak(struct talk *talk) {
    size_t left = talk->payload.length - talk->said;
    size_t step = talk->face->step;
    long pause = talk->options->pause;
    if (pause < 0)
        pause = step != 0;
    ssize_t sent = send(talk->fd, talk->payload.bytes + talk->said,
                        step != 0 && step < left ? step : left,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        talk->said += (size_t)sent;
    else if (errno != EAGAIN && errno != EINTR)
        talk->end = strerror(errno);
    if (pause > 0)
        (void)poll(NULL, 0, (int)pause); /* so that each piece travels alone */
}

static void listen_to(struct talk *talk) {
    static unsigned char piece[PIECE_BYTES];
    ssize_t got = recv(talk->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        talk->end = strerror(errno);
    } else if (got == 0) {
        talk->heard_all = 1;
        talk->may_speak = 1;
    } else {
        talk->heard += (size_t)got;
        if (!talk->options->waits_for_end &&
            memchr(piece, '\n', (size_t)got) != NULL)
            talk->may_speak = 1;
        if (talk->options->record != NULL)
            (void)fwrite(piece, 1, (size_t)got, talk->options->record);
    }
}

/* Ends as the face has it. Returns 1 when there is nothing more to do. */
static int all_is_said(struct talk *talk) {
    if (talk->face->then == RESETS) {
        if (talk->options->ends_first)
            (void)shutdown(talk->fd, SHUT_WR);
        reset(talk->fd);
        talk->end = "reset by us";
        return 1;
    }
    if (talk->face->then == ENDS_ITS_HALF)
        (void)shutdown(talk->fd, SHUT_WR); /* fails only if the peer has gone */
    return 0;
}

static void play(struct talk *talk) {
    int speaking = 1;
    while (talk->end == NULL) {
        if (speaking && talk->may_speak && talk->said == talk->payload.length) {
            speaking = 0;
            if (all_is_said(talk))
                break;
        }
        if (talk->heard_all && !speaking) {
            talk->end = "end of stream";
            break;
        }
        int reads = (talk->face->reads || !talk->may_speak) && !talk->heard_all;
        int hears_end = !talk->face->reads && !speaking;
        struct pollfd events = {
            .fd = talk->fd,
            .events =
                (short)((reads ? POLLIN : 0) | (hears_end ? POLLRDHUP : 0) |
                        (speaking && talk->may_speak ? POLLOUT : 0))};
        if (poll(&events, 1, -1) < 0)
            err(1, "poll");
        if (events.revents & POLLOUT)
            speak(talk);
        if (reads && (events.revents & (POLLIN | POLLHUP | POLLERR)))
            listen_to(talk);
        else if (events.revents & (POLLRDHUP | POLLHUP | POLLERR) &&
                 (hears_end || !(events.revents & POLLOUT)))
            talk->end = "the other side went away";
    }
}

static void converse(int fd, const struct face *face,
                     const struct options *options) {
    int on = 1;
    if (face->step != 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        err(1, "setsockopt TCP_NODELAY");
    struct talk talk = {.fd = fd,
                        .face = face,
                        .options = options,
                        .payload = make_payload(face, options),
                        .may_speak =
                            !options->listens_first && !options->waits_for_end};
    play(&talk);
    free(talk.payload.bytes);
    (void)close(fd);
    if (options->record != NULL && fflush(options->record) == EOF)
        err(1, "-o");
    printf("got %zu bytes, then %s\n", talk.heard, talk.end);
}

static int tcp_socket(const struct face *face) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    int little = DEAF_RECEIVE_BUFFER;
    if (!face->reads &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    return fd;
}

static struct sockaddr_in loopback(in_port_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

/* The port this end of the connection has. */
static int own_port(int fd) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    return ntohs(own.sin_port);
}

static int bound_socket(const struct face *face, in_port_t port) {
    struct sockaddr_in address = loopback(port);
    int on = 1;
    int listener = tcp_socket(face);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    return listener;
}

/* A bound socket that does not listen keeps its port from everybody, and the
 * kernel answers every SYN to it with a reset. */
static void refuse(void) {
    int fd = bound_socket(&faces[0], 0);
    printf("refusing on 127.0.0.1:%d\n", own_port(fd));
    (void)pause();
}

/* The kernel does not answer a SYN to a listener whose queue is full, and of
 * ours nobody is ever taken. For a listener, TCP_INFO has the length of its
 * queue in tcpi_unacked, and the longest it may have in tcpi_sacked. */
static void swallow(in_port_t port) {
    int listener = bound_socket(&faces[0], port);
    if (listen(listener, 0) < 0)
        err(1, "listen");
    struct sockaddr_in address = loopback((in_port_t)own_port(listener));
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
    printf("swallowing on 127.0.0.1:%d\n", own_port(listener));
    (void)pause();
}

static const struct face *face_named(const char *name) {
    for (size_t i = 0; i < FACES; i++)
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    errx(2, "no face is called %s; `rude faces` lists them", name);
}

/* One client with each of the names' faces; more of them with the last. */
static void serve(char **names, long count, const struct options *options) {
    const struct face *face = face_named(names[0]);
    int listener = bound_socket(face, options->port);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    printf("listening on 127.0.0.1:%d\n", own_port(listener));
    for (long i = 0; i < options->connections || i < count; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            err(1, "accept");
        puts("connected");
        if (i < count)
            face = face_named(names[i]);
        converse(fd, face, options);
    }
}

static void connect_to(in_port_t port, const struct face *face,
                       const struct options *options) {
    struct sockaddr_in address = loopback(port);
    for (long i = 0; i < options->connections; i++) {
        int fd = tcp_socket(face);
        struct sockaddr_in own = loopback(0);
        if (inet_pton(AF_INET, options->from, &own.sin_addr) != 1)
            errx(2, "-b %s is not an IPv4 address", options->from);
        if (own.sin_addr.s_addr != htonl(INADDR_LOOPBACK) &&
            bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
            err(1, "bind %s", options->from);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            err(1, "connect 127.0.0.1:%d", port);
        printf("connected from %s:%d\n", options->from, own_port(fd));
        converse(fd, face, options);
    }
}

static in_port_t port_number(const char *text) {
    long value = number(text);
    if (value > 65535)
        usage();
    return (in_port_t)value;
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
        options->listens_first = 1;
        break;
    case 'w':
        options->waits_for_end = 1;
        break;
    case 'e':
        options->ends_first = 1;
        break;
    case 'b':
        options->from = optarg;
        break;
    case 'o':
        if ((options->record = fopen(optarg, "we")) == NULL)
            err(1, "%s", optarg);
        (void)setvbuf(options->record, NULL, _IONBF, 0); /* we may be ended */
        break;
    default:
        usage();
    }
}

int main(int argc, char **argv) {
    struct options options = {.seed = 1,
                              .bytes = -1,
                              .cut = -1,
                              .connections = 1,
                              .pause = -1,
                              .from = "127.0.0.1"};
    int option;
    while ((option = getopt(argc, argv, "+s:n:k:c:d:p:f:lweb:o:")) != -1)
        set_option(&options, option);
    argv += optind;
    argc -= optind;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 1 && strcmp(argv[0], "faces") == 0) {
        for (size_t i = 0; i < FACES; i++)
            puts(faces[i].name);
    } else if (argc == 1 && strcmp(argv[0], "refuse") == 0) {
        refuse();
    } else if (argc == 1 && strcmp(argv[0], "swallow") == 0) {
        swallow(options.port);
    } else if (argc == 2 && strcmp(argv[0], "payload") == 0) {
        struct payload payload = make_payload(face_named(argv[1]), &options);
        (void)fwrite(payload.bytes, 1, payload.length, stdout);
        free(payload.bytes);
    } else if (argc >= 2 && strcmp(argv[0], "serve") == 0) {
        serve(argv + 1, argc - 1, &options);
    } else if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        connect_to(port_number(argv[2]), face_named(argv[1]), &options);
    } else {
        usage();
    }
    return fflush(stdout) == EOF || ferror(stdout) ? 1 : 0;
}
