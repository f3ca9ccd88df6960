/*
 * rude-udp: a UDP peer with bad manners, the same ones each time it is asked.
 *
 *     rude-udp [OPTION...] serve FACE
 *     rude-udp [OPTION...] connect FACE PORT
 *     rude-udp [OPTION...] payload FACE
 *     rude-udp refuse | faces
 *
 * The counterpart of rude, for datagrams. It has a payload, drawn from a seed
 * unless given, and a face: what is said to a datagram, and by whom. `payload`
 * prints the payload and `faces` the names, so that a test can know what to
 * expect; `refuse` holds a port and refuses whoever sends there, until it is
 * ended. As a server it takes a port of its own, says `listening on
 * 127.0.0.1:PORT`, and answers until it has heard -c datagrams. As a client it
 * says what its face says, -c times, from a new port each time, and waits for
 * as many answers. What it hears is one line: `got N bytes from ADDRESS:PORT`.
 *
 * Two strangers can answer in its place: one from another port, one from the
 * same port of 127.0.0.2. They say the payload with one bit of each byte
 * turned over, which makes a text's letters capitals.
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
#include <unistd.h>

enum {
    TEXT_BYTES = 24,
    GARBAGE_BYTES = 4096,
    LARGEST_DATAGRAM = 65507, /* 65535 less the headers of IP and UDP */
    DEAF_RECEIVE_BUFFER = 1,  /* the least the kernel gives: one datagram */
    ANSWER_SECONDS = 5,       /* that a client waits */
};

struct face {
    const char *name;
    const char *says; /* to a datagram: p the payload, e the datagram itself,
                         s and n the strangers of another port and address */
    int listens;      /* 0: never calls recv */
    int silences;     /* the first datagrams, as many as -k says, get nothing */
    int surplus;      /* bytes more than -n, or the next, have it */
    int bytes;        /* the payload's size, by habit */
    int noise;        /* any bytes, and not only letters */
};

static const struct face faces[] = {
    {"echo", "e", 1, 0, 0, TEXT_BYTES, 0},
    {"whole", "p", 1, 0, 0, TEXT_BYTES, 0},
    {"short", "p", 1, 0, -1, TEXT_BYTES, 0},
    {"long", "p", 1, 0, 1, TEXT_BYTES, 0},
    {"empty", "p", 1, 0, 0, 0, 0},
    {"garbage", "p", 1, 0, 0, GARBAGE_BYTES, 1},
    {"twice", "pp", 1, 0, 0, TEXT_BYTES, 0},
    {"silent", "p", 1, 1, 0, TEXT_BYTES, 0},
    {"stranger", "sn", 1, 0, 0, TEXT_BYTES, 0},
    {"stranger-first", "snp", 1, 0, 0, TEXT_BYTES, 0},
    {"mute", "", 1, 0, 0, TEXT_BYTES, 0},
    {"deaf", "p", 0, 0, 0, TEXT_BYTES, 0},
};
enum { FACES = sizeof faces / sizeof faces[0] };

struct options {
    uint64_t seed;
    long long bytes;   /* -1: as many as the face has by habit */
    long long silent;  /* datagrams that a face with silences does not answer */
    long long count;   /* datagrams; -1: no end to them, or one as a client */
    long long seconds; /* -1: the payload is not a time */
    in_port_t port;
    const char *file; /* the payload's bytes, instead of a seed's */
    FILE *record;     /* what the other side said goes here, if anywhere */
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
    long long length = options->bytes < 0 ? face->bytes : options->bytes;
    payload->length = length > 0 ? (size_t)(length + face->surplus) : 0;
    for (size_t i = 0; i < payload->length; i++) {
        unsigned char byte = next_byte(&state);
        payload->bytes[i] = face->noise ? byte : 'a' + byte % 26;
    }
}

/* What this face says. It lives as long as we do. */
static struct datagram *make_payload(const struct face *face,
                                     const struct options *options) {
    static struct datagram payload;
    if (options->file != NULL) {
        read_payload(&payload, options->file);
    } else if (options->seconds >= 0) {
        uint32_t time = htonl((uint32_t)options->seconds);
        memcpy(payload.bytes, &time, sizeof time);
        payload.length = sizeof time;
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

/* The port of this end. */
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
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "bind port %d", port);
    return fd;
}

static void say(int fd, const struct sockaddr_in *peer,
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
    say(fd, peer, &other);
    (void)close(fd);
    puts("a stranger answered");
}

/* All that the face has to say to this peer, who said `heard`. */
static void speak(int fd, const struct sockaddr_in *peer,
                  const struct face *face, const struct datagram *payload,
                  const struct datagram *heard) {
    for (const char *what = face->says; *what != '\0'; what++) {
        if (*what == 'p')
            say(fd, peer, payload);
        else if (*what == 'e')
            say(fd, peer, heard);
        else if (*what == 's')
            send_as_stranger(INADDR_LOOPBACK, 0, peer, payload);
        else
            send_as_stranger(INADDR_LOOPBACK + 1, own_port(fd), peer, payload);
    }
}

/* Waits for a datagram, says and keeps what came. Returns 0 if nothing did. */
static int hear(int fd, struct datagram *heard, struct sockaddr_in *peer,
                const struct options *options) {
    socklen_t length = sizeof *peer;
    ssize_t got = recvfrom(fd, heard->bytes, sizeof heard->bytes, 0,
                           (struct sockaddr *)peer, &length);
    if (got < 0) {
        puts("no answer");
        return 0;
    }
    heard->length = (size_t)got;
    if (options->record != NULL)
        (void)fwrite(heard->bytes, 1, heard->length, options->record);
    printf("got %zu bytes from %s:%d\n", heard->length,
           inet_ntoa(peer->sin_addr), ntohs(peer->sin_port));
    return 1;
}

static void serve(const struct face *face, const struct options *options) {
    static struct datagram heard;
    struct sockaddr_in peer = {0};
    const struct datagram *payload = make_payload(face, options);
    int fd = bound_socket(INADDR_LOOPBACK, options->port);
    const int little = DEAF_RECEIVE_BUFFER;
    if (!face->listens &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little) < 0)
        err(1, "setsockopt SO_RCVBUF");
    printf("listening on 127.0.0.1:%d\n", own_port(fd));
    while (!face->listens)
        (void)pause();
    for (long long i = 0; options->count < 0 || i < options->count; i++)
        if (hear(fd, &heard, &peer, options) &&
            (!face->silences || i >= options->silent))
            speak(fd, &peer, face, payload, &heard);
}

static void connect_to(in_port_t port, const struct face *face,
                       const struct options *options) {
    static struct datagram heard;
    const struct timeval wait = {.tv_sec = ANSWER_SECONDS};
    const struct sockaddr_in server = address_of(INADDR_LOOPBACK, port);
    const struct datagram *payload = make_payload(face, options);
    for (long long i = 0; i < (options->count < 0 ? 1 : options->count); i++) {
        struct sockaddr_in from = server;
        int fd = bound_socket(INADDR_LOOPBACK, 0);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
            connect(fd, (const struct sockaddr *)&server, sizeof server) < 0)
            err(1, "connect 127.0.0.1:%d", port);
        speak(fd, &server, face, payload, payload);
        for (size_t n = strlen(face->says); face->listens && n > 0; n--)
            (void)hear(fd, &heard, &from, options);
        (void)close(fd);
    }
}

/* A socket that is connected, here to itself, gets nothing from anybody else:
 * to all others its port is closed, and yet nobody can take it. */
static void refuse(void) {
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

static in_port_t port_number(const char *text) {
    long long value = number(text);
    if (value > 65535)
        usage();
    return (in_port_t)value;
}

static void set_option(struct options *options, int option) {
    if (option == 's')
        options->seed = (uint64_t)number(optarg);
    else if (option == 'n' && number(optarg) <= LARGEST_DATAGRAM)
        options->bytes = number(optarg);
    else if (option == 'f')
        options->file = optarg;
    else if (option == 't' && number(optarg) <= UINT32_MAX)
        options->seconds = number(optarg);
    else if (option == 'k')
        options->silent = number(optarg);
    else if (option == 'p')
        options->port = port_number(optarg);
    else if (option == 'c')
        options->count = number(optarg);
    else if (option != 'o')
        usage();
    else if ((options->record = fopen(optarg, "we")) == NULL)
        err(1, "%s", optarg);
    else
        (void)setvbuf(options->record, NULL, _IONBF, 0);
}

int main(int argc, char **argv) {
    struct options options = {
        .seed = 1, .bytes = -1, .silent = 2, .count = -1, .seconds = -1};
    int option;
    while ((option = getopt(argc, argv, "+s:n:f:t:k:o:p:c:")) != -1)
        set_option(&options, option);
    argv += optind;
    argc -= optind;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 1 && strcmp(argv[0], "faces") == 0) {
        for (size_t i = 0; i < FACES; i++)
            puts(faces[i].name);
    } else if (argc == 1 && strcmp(argv[0], "refuse") == 0) {
        refuse();
    } else if (argc == 2 && strcmp(argv[0], "payload") == 0) {
        const struct datagram *payload =
            make_payload(face_named(argv[1]), &options);
        (void)fwrite(payload->bytes, 1, payload->length, stdout);
    } else if (argc == 2 && strcmp(argv[0], "serve") == 0) {
        serve(face_named(argv[1]), &options);
    } else if (argc == 3 && strcmp(argv[0], "connect") == 0) {
        connect_to(port_number(argv[2]), face_named(argv[1]), &options);
    } else {
        usage();
    }
    return fflush(stdout) == EOF || ferror(stdout) ? 1 : 0;
}
