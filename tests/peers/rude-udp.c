/*
 * rude-udp: a UDP peer with bad manners, which are the same each time it runs.
 *
 *     rude-udp [OPTION...] serve FACE
 *     rude-udp [OPTION...] connect FACE PORT
 *     rude-udp [OPTION...] payload FACE
 *     rude-udp refuse | faces
 *
 * This is `rude` for datagrams. Its payload is drawn from a seed, or given. A
 * FACE says which datagrams it sends as an answer, and from which address.
 *
 * `serve` listens on a port of 127.0.0.1, prints `listening on 127.0.0.1:PORT`,
 * and answers each datagram. With -c COUNT it exits after so many datagrams.
 * With -d MILLISECONDS it waits so long before each answer.
 * `connect` sends what its FACE sends, and waits for as many answers. With -c
 * COUNT it does so COUNT times, each time from a new port. Each datagram that
 * comes is one line of output: `got N bytes from ADDRESS:PORT`.
 *
 * `payload` prints the payload of a FACE and `faces` the names of all faces, so
 * that a test knows what to expect. `refuse` holds a port at which the kernel
 * refuses each datagram.
 *
 * Some faces let a stranger answer: another socket, whose datagrams do not come
 * from where the client has sent its own. One stranger has another port, the
 * other the same port of 127.0.0.2. A stranger sends the payload with one bit
 * of each byte changed, which turns small letters into capitals.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_BYTES = 24,
    GARBAGE_BYTES = 4096,
    LARGEST_DATAGRAM = 65507, /* 65535 less the headers of IP and UDP */
    DEAF_RECEIVE_BUFFER = 1,  /* the kernel rounds it up to one datagram */
    ANSWER_SECONDS = 5,       /* a client waits so long for an answer */
    MOST_REPLIES = 3,
    LARGEST_PORT = 65535,
    TIME_BYTES = 4,
    LONGEST_DELAY = 60000, /* milliseconds */
};

/* One datagram that we send as an answer. */
enum reply {
    NO_REPLY,
    PAYLOAD,
    ECHO,                 /* the datagram that we received */
    FROM_ANOTHER_PORT,    /* the stranger's payload */
    FROM_ANOTHER_ADDRESS, /* the stranger's payload */
};

struct face {
    const char *name;
    enum reply replies[MOST_REPLIES]; /* to each datagram */
    int is_deaf;                      /* never calls recvfrom */
    int starts_silent; /* does not answer the first datagrams: see -k */
    int surplus;       /* the payload has so many bytes more than -n says */
    int bytes;         /* the payload's size without -n */
    int is_noise;      /* the payload is any bytes, not only letters */
};

static const struct face faces[] = {
    {.name = "echo", .replies = {ECHO}, .bytes = TEXT_BYTES},
    {.name = "whole", .replies = {PAYLOAD}, .bytes = TEXT_BYTES},
    {.name = "short", .replies = {PAYLOAD}, .bytes = TEXT_BYTES, .surplus = -1},
    {.name = "long", .replies = {PAYLOAD}, .bytes = TEXT_BYTES, .surplus = 1},
    {.name = "empty", .replies = {PAYLOAD}, .bytes = 0},
    {.name = "garbage",
     .replies = {PAYLOAD},
     .bytes = GARBAGE_BYTES,
     .is_noise = 1},
    {.name = "twice", .replies = {PAYLOAD, PAYLOAD}, .bytes = TEXT_BYTES},
    {.name = "silent",
     .replies = {PAYLOAD},
     .bytes = TEXT_BYTES,
     .starts_silent = 1},
    {.name = "stranger",
     .replies = {FROM_ANOTHER_PORT, FROM_ANOTHER_ADDRESS},
     .bytes = TEXT_BYTES},
    {.name = "stranger-first",
     .replies = {FROM_ANOTHER_PORT, FROM_ANOTHER_ADDRESS, PAYLOAD},
     .bytes = TEXT_BYTES},
    {.name = "mute", .bytes = TEXT_BYTES},
    {.name = "deaf", .replies = {PAYLOAD}, .bytes = TEXT_BYTES, .is_deaf = 1},
};
enum { FACES = sizeof faces / sizeof faces[0] };

struct options {
    uint64_t seed;
    long long bytes;   /* -1: as many as the face has without -n */
    long long silent;  /* how many datagrams `silent` does not answer */
    long long count;   /* datagrams; -1: a server has no limit, a client one */
    long long seconds; /* -1: the payload is not a time */
    long long delay;   /* milliseconds before an answer */
    in_port_t port;
    const char *file; /* has the payload's bytes; NULL: draw them */
    FILE *record;     /* what we receive is kept here; NULL: nowhere */
};

struct datagram {
    size_t length;
    unsigned char bytes[LARGEST_DATAGRAM + 1];
};

static _Noreturn void usage(void) {
    fputs("usage: rude-udp [OPTION...] serve FACE\n"
          "       rude-udp [OPTION...] connect FACE PORT\n"
          "       rude-udp [OPTION...] payload FACE\n"
          "       rude-udp refuse | faces\n"
          "  -s SEED     which payload (1)\n"
          "  -n BYTES    its size\n"
          "  -f FILE     the payload itself\n"
          "  -t SECONDS  the payload itself: a time as in RFC 868, four bytes\n"
          "  -k COUNT    datagrams that silent does not answer (2)\n"
          "  -o FILE     keeps what the other side said\n"
          "  -d MS       waits so long before each answer (0)\n"
          "  -p PORT     listens there\n"
          "  -c COUNT    ends after so many datagrams (never; a client: 1)\n",
          stderr);
    exit(2);
}

static long long number(const char *text) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
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

static void read_payload(struct datagram *payload, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    payload->length = fread(payload->bytes, 1, sizeof payload->bytes, file);
    if (ferror(file))
        err(1, "%s", path);
    (void)fclose(file);
}

static void draw_payload(struct datagram *payload, const struct face *face,
                         const struct options *options) {
    uint64_t state = options->seed * 0x9E3779B97F4A7C15ULL + 1;
    long long length = face->bytes;
    if (options->bytes >= 0)
        length = options->bytes;
    payload->length = 0;
    if (length > 0)
        payload->length = (size_t)(length + face->surplus);
    for (size_t i = 0; i < payload->length; i++) {
        unsigned char byte = next_byte(&state);
        if (!face->is_noise)
            byte = (unsigned char)('a' + byte % 26);
        payload->bytes[i] = byte;
    }
}

/* Returns what this face sends. The payload is static: nobody frees it. */
static struct datagram *make_payload(const struct face *face,
                                     const struct options *options) {
    static struct datagram payload;
    if (options->file != NULL) {
        read_payload(&payload, options->file);
    } else if (options->seconds >= 0) {
        uint32_t time = htonl((uint32_t)options->seconds);
        memcpy(payload.bytes, &time, TIME_BYTES);
        payload.length = TIME_BYTES;
    } else {
        draw_payload(&payload, face, options);
    }
    return &payload;
}

static struct sockaddr_in address_of(in_addr_t host, in_port_t port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(host),
    };
}

static in_port_t own_port(int fd) {
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    return ntohs(own.sin_port);
}

static int bound_socket(in_addr_t host, in_port_t port) {
    struct sockaddr_in address = address_of(host, port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind port %d", port);
    return fd;
}

static void send_datagram(int fd, const struct sockaddr_in *peer,
                          const struct datagram *datagram) {
    if (sendto(fd, datagram->bytes, datagram->length, 0,
               (const struct sockaddr *)peer, sizeof *peer) < 0)
        warn("sendto");
}

static void send_as_stranger(in_addr_t host, in_port_t port,
                             const struct sockaddr_in *peer,
                             const struct datagram *payload) {
    static struct datagram other;
    other.length = payload->length;
    for (size_t i = 0; i < payload->length; i++)
        other.bytes[i] = payload->bytes[i] ^ ' ';
    int fd = bound_socket(host, port);
    send_datagram(fd, peer, &other);
    (void)close(fd);
    puts("a stranger answered");
}

/* Sends the peer all replies of the face to one datagram, `received`. */
static void send_replies(int fd, const struct sockaddr_in *peer,
                         const struct face *face,
                         const struct datagram *payload,
                         const struct datagram *received) {
    for (int i = 0; i < MOST_REPLIES; i++) {
        switch (face->replies[i]) {
        case NO_REPLY:
            break;
        case PAYLOAD:
            send_datagram(fd, peer, payload);
            break;
        case ECHO:
            send_datagram(fd, peer, received);
            break;
        case FROM_ANOTHER_PORT:
            send_as_stranger(INADDR_LOOPBACK, 0, peer, payload);
            break;
        case FROM_ANOTHER_ADDRESS:
            send_as_stranger(INADDR_LOOPBACK + 1, own_port(fd), peer, payload);
            break;
        }
    }
}

static int count_replies(const struct face *face) {
    int count = 0;
    while (count < MOST_REPLIES && face->replies[count] != NO_REPLY)
        count++;
    return count;
}

/* Waits for a datagram, and prints and records it. Returns 0, or -1 if none
 * came. */
static int receive(int fd, struct datagram *received, struct sockaddr_in *peer,
                   const struct options *options) {
    socklen_t length = sizeof *peer;
    ssize_t got = recvfrom(fd, received->bytes, sizeof received->bytes, 0,
                           (struct sockaddr *)peer, &length);
    if (got < 0) {
        puts("no answer");
        return -1;
    }
    received->length = (size_t)got;
    if (options->record != NULL)
        (void)fwrite(received->bytes, 1, received->length, options->record);
    printf("got %zu bytes from %s:%d\n", received->length,
           inet_ntoa(peer->sin_addr), ntohs(peer->sin_port));
    return 0;
}

static void serve(const struct face *face, const struct options *options) {
    static struct datagram received;
    struct sockaddr_in peer = {0};
    const struct datagram *payload = make_payload(face, options);
    int fd = bound_socket(INADDR_LOOPBACK, options->port);
    const struct timespec delay = {.tv_sec = options->delay / 1000,
                                   .tv_nsec = options->delay % 1000 * 1000000};
    const int little = DEAF_RECEIVE_BUFFER;
    if (face->is_deaf &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    printf("listening on 127.0.0.1:%d\n", own_port(fd));
    while (face->is_deaf)
        (void)pause();
    for (long long i = 0; options->count < 0 || i < options->count; i++) {
        if (receive(fd, &received, &peer, options) < 0)
            continue;
        if (face->starts_silent && i < options->silent)
            continue;
        (void)nanosleep(&delay, NULL); /* a signal ends us */
        send_replies(fd, &peer, face, payload, &received);
    }
}

static void connect_to(in_port_t port, const struct face *face,
                       const struct options *options) {
    static struct datagram received;
    const struct timeval wait = {.tv_sec = ANSWER_SECONDS};
    const struct sockaddr_in server = address_of(INADDR_LOOPBACK, port);
    const struct datagram *payload = make_payload(face, options);
    long long count = 1;
    if (options->count >= 0)
        count = options->count;
    int answers = count_replies(face);
    if (face->is_deaf)
        answers = 0;
    for (long long i = 0; i < count; i++) {
        struct sockaddr_in from = server;
        int fd = bound_socket(INADDR_LOOPBACK, 0);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
            err(1, "setsockopt SO_RCVTIMEO");
        if (connect(fd, (const struct sockaddr *)&server, sizeof server) < 0)
            err(1, "connect 127.0.0.1:%d", port);
        send_replies(fd, &server, face, payload, payload);
        for (int n = 0; n < answers; n++)
            (void)receive(fd, &received, &from, options);
        (void)close(fd);
    }
}

/* A connected socket receives only from its peer, and this one is connected to
 * itself. So the kernel refuses all other datagrams, as if the port were
 * closed, and no other program can bind the port. */
static void refuse_datagrams(void) {
    int fd = bound_socket(INADDR_LOOPBACK, 0);
    const struct sockaddr_in own = address_of(INADDR_LOOPBACK, own_port(fd));
    if (connect(fd, (const struct sockaddr *)&own, sizeof own) < 0)
        err(1, "connect");
    printf("refusing on 127.0.0.1:%d\n", own_port(fd));
    (void)pause();
}

static const struct face *face_named(const char *name) {
    for (size_t i = 0; i < FACES; i++)
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    errx(2, "no face is called %s; `rude-udp faces` lists them", name);
}

/* A number up to the given one. */
static long long number_up_to(const char *text, long long most) {
    long long value = number(text);
    if (value > most)
        usage();
    return value;
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
        options->bytes = number_up_to(optarg, LARGEST_DATAGRAM);
        break;
    case 'f':
        options->file = optarg;
        break;
    case 't':
        options->seconds = number_up_to(optarg, UINT32_MAX);
        break;
    case 'd':
        options->delay = number_up_to(optarg, LONGEST_DELAY);
        break;
    case 'k':
        options->silent = number(optarg);
        break;
    case 'p':
        options->port = (in_port_t)number_up_to(optarg, LARGEST_PORT);
        break;
    case 'c':
        options->count = number(optarg);
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
    const struct datagram *payload = make_payload(face, options);
    (void)fwrite(payload->bytes, 1, payload->length, stdout);
}

int main(int argc, char **argv) {
    struct options options = {
        .seed = 1, .bytes = -1, .silent = 2, .count = -1, .seconds = -1};
    for (;;) {
        int option = getopt(argc, argv, "+s:n:f:t:d:k:o:p:c:");
        if (option == -1)
            break;
        set_option(&options, option);
    }
    argv += optind;
    argc -= optind;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 1 && strcmp(argv[0], "faces") == 0) {
        print_faces();
    } else if (argc == 1 && strcmp(argv[0], "refuse") == 0) {
        refuse_datagrams();
    } else if (argc == 2 && strcmp(argv[0], "payload") == 0) {
        print_payload(face_named(argv[1]), &options);
    } else if (argc == 2 && strcmp(argv[0], "serve") == 0) {
        serve(face_named(argv[1]), &options);
    } else if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        in_port_t port = (in_port_t)number_up_to(argv[2], LARGEST_PORT);
        connect_to(port, face_named(argv[1]), &options);
    } else {
        usage();
    }
    return fflush(stdout) == EOF || ferror(stdout) ? 1 : 0;
}
