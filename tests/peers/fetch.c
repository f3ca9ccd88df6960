/*
 * fetch: a client of the file servers of lesson 20, which counts and compares.
 *
 *     fetch [-f FILE] [-b BUFFER] [-k BYTES] [-x] [-c CLIENTS] [-r TIMES]
 *           [-p PID] [-q REQUEST] [-e] [-s SEED] PORT
 *
 * Connects to 127.0.0.1. The server sends a line with a number, or another
 * word, and then bytes. When the connection has ended, we print what came and
 * how it ended, such as `100: 100 bytes, then end of stream`. The exit status
 * is 1 if the line is a number and another number of bytes came, or if the
 * connection was broken.
 *
 * With -f each byte has to be the one of FILE.
 * With -b our receive buffer has BUFFER bytes.
 * With -q we first send REQUEST and a newline. If REQUEST is two numbers, FIRST
 * and LAST, we expect the bytes of FILE from FIRST to LAST, and their number.
 * With -e we end our half of the connection after REQUEST.
 * With -k we pause after BYTES bytes. We print `paused after N bytes`, and go
 * on when there is a line on our standard input, or its end. With -x we do not
 * go on: we end our half, and then reset the connection.
 * With -c that many clients connect and send their request first. Then they
 * read, the last one first. With -f and without -q each client asks for a range
 * of FILE of its own, which is drawn from SEED.
 * With -r all this is done TIMES times, and only the last time is printed.
 * With -p we print before that how much processor time process PID, the server,
 * has used for each client, in nanoseconds.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 20,
    LINE_BYTES = 64,
    MOST_CLIENTS = 500,
};

struct options {
    const char *name; /* of FILE, or NULL */
    int file;
    long long size;        /* of FILE */
    int buffer;            /* 0: the kernel's default */
    long long pause_after; /* -1: never */
    int clients;
    int times;
    long pid; /* 0: measure no process */
    const char *request;
    int half_closes; /* after the request */
    int resets;      /* after the pause */
    in_port_t port;
};

struct client {
    int fd;
    long long offset; /* of FILE, where its bytes begin */
    long long wanted; /* how many bytes it asked for; -1: as the server says */
};

static _Noreturn void usage(void) {
    errx(2, "usage: fetch [OPTION...] PORT");
}

static int connect_to(const struct options *options) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(options->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (options->buffer > 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &options->buffer,
                   sizeof options->buffer) < 0)
        err(1, "setsockopt");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        err(1, "connect");
    return fd;
}

static void send_line(int fd, const char *line) {
    char text[LINE_BYTES * 4];
    int length = snprintf(text, sizeof text, "%s\n", line);
    if (send(fd, text, (size_t)length, MSG_NOSIGNAL) < 0)
        err(1, "send");
}

/* Asks for a range of the file that is drawn by chance. */
static void ask_for_range(const struct options *options,
                          struct client *client) {
    char line[LINE_BYTES];
    long long first = lrand48() % options->size;
    long long last = first + lrand48() % (options->size - first);
    client->offset = first;
    client->wanted = last - first + 1;
    (void)snprintf(line, sizeof line, "%lld %lld", first, last);
    send_line(client->fd, line);
}

/* Reads FIRST and LAST from a request, if it is two numbers. */
static void expect_range(struct client *client, const char *request) {
    char *blank;
    char *end;
    long long first = strtoll(request, &blank, 10);
    if (blank == request || *blank != ' ')
        return;
    long long last = strtoll(blank, &end, 10);
    if (*end != '\0' || first < 0 || last < first || last == LLONG_MAX)
        return;
    client->offset = first;
    client->wanted = last - first + 1;
}

static void start_client(const struct options *options, struct client *client) {
    *client = (struct client){.fd = connect_to(options), .wanted = -1};
    if (options->request != NULL) {
        expect_range(client, options->request);
        send_line(client->fd, options->request);
        if (options->half_closes)
            (void)shutdown(client->fd, SHUT_WR);
    } else if (options->clients > 1 && options->name != NULL) {
        ask_for_range(options, client);
    }
}

/* Reads the first line, a byte at a time, without its newline. Returns -1 if
 * the connection ended before it did. */
static int read_line(int fd, char line[LINE_BYTES]) {
    for (int i = 0; i < LINE_BYTES; i++) {
        ssize_t got = recv(fd, line + i, 1, 0);
        if (got <= 0) {
            line[i] = '\0';
            return -1;
        }
        if (line[i] == '\n') {
            line[i] = '\0';
            return 0;
        }
    }
    errx(1, "the first line is too long");
}

/* The bytes that came are those of the file from there on. */
static void compare(const struct options *options, const char *bytes,
                    size_t length, long long offset) {
    static char own[BUFFER_BYTES];
    size_t done = 0;
    while (done < length) {
        ssize_t got = pread(options->file, own + done, length - done,
                            offset + (long long)done);
        if (got <= 0)
            errx(1, "there is no byte %lld in %s", offset + (long long)done,
                 options->name);
        done += (size_t)got;
    }
    if (memcmp(own, bytes, length) == 0)
        return;
    for (size_t i = 0; i < length; i++) {
        if (own[i] != bytes[i])
            errx(1, "byte %lld is not that of %s", offset + (long long)i,
                 options->name);
    }
}

static void pause_for_a_line(long long count) {
    (void)printf("paused after %lld bytes\n", count);
    (void)fflush(stdout);
    for (;;) {
        char byte;
        if (read(STDIN_FILENO, &byte, 1) <= 0 || byte == '\n')
            return;
    }
}

/* Ends our half first: then the server's next call fails with EPIPE. */
static long long reset(int fd, long long count) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)shutdown(fd, SHUT_WR);
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    errno = ECONNABORTED;
    return count;
}

/* Receives all that there is. Returns how many bytes that were; errno is 0 when
 * the stream ended, or else the reason why it broke. */
static long long receive_all(const struct options *options,
                             const struct client *client) {
    static char bytes[BUFFER_BYTES];
    long long count = 0;
    long long pause_after = options->pause_after;
    for (;;) {
        size_t room = sizeof bytes;
        if (pause_after >= 0 && (long long)room > pause_after - count)
            room = (size_t)(pause_after - count);
        if (room == 0) {
            pause_for_a_line(count);
            pause_after = -1;
            if (options->resets)
                return reset(client->fd, count);
            continue;
        }
        errno = 0;
        ssize_t got = recv(client->fd, bytes, room, 0);
        if (got <= 0)
            return count;
        if (options->name != NULL)
            compare(options, bytes, (size_t)got, client->offset + count);
        count += got;
    }
}

/* Returns whether all was well, and prints it if that is wanted. */
static int finish_client(const struct options *options,
                         const struct client *client, int is_printed) {
    char line[LINE_BYTES] = "";
    char *end = line;
    long long count = 0;
    errno = 0;
    if (read_line(client->fd, line) == 0)
        count = receive_all(options, client);
    int error = errno;
    (void)close(client->fd);

    if (is_printed)
        (void)printf("%s: %lld bytes, then %s\n", line, count,
                     error == 0 ? "end of stream" : strerror(error));
    long long announced = strtoll(line, &end, 10);
    int is_number = end != line && *end == '\0';
    if (error != 0 || (is_number && announced != count))
        return 0;
    return !(is_number && client->wanted >= 0 && count != client->wanted);
}

/* How many nanoseconds of processor time a process has used. */
static unsigned long long processor_ns(long pid) {
    char path[64];
    char text[128] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/schedstat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL)
        err(1, "%s", path);
    (void)fclose(file);
    return strtoull(text, NULL, 10);
}

/* Plays it once. Returns whether all was well. */
static int play(const struct options *options, int is_printed) {
    static struct client clients[MOST_CLIENTS];
    int is_well = 1;
    for (int i = 0; i < options->clients; i++)
        start_client(options, &clients[i]);
    for (int i = options->clients - 1; i >= 0; i--) {
        if (!finish_client(options, &clients[i], is_printed))
            is_well = 0;
    }
    return is_well;
}

static void open_own_file(struct options *options, const char *name) {
    struct stat status;
    options->name = name;
    options->file = open(name, O_RDONLY | O_CLOEXEC);
    if (options->file < 0 || fstat(options->file, &status) < 0)
        err(1, "%s", name);
    options->size = status.st_size;
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "f:b:k:xc:r:p:q:es:");
        if (option == -1)
            break;
        switch (option) {
        case 'f':
            open_own_file(options, optarg);
            break;
        case 'b':
            options->buffer = (int)strtol(optarg, NULL, 10);
            break;
        case 'k':
            options->pause_after = strtoll(optarg, NULL, 10);
            break;
        case 'x':
            options->resets = 1;
            break;
        case 'e':
            options->half_closes = 1;
            break;
        case 'c':
            options->clients = (int)strtol(optarg, NULL, 10);
            break;
        case 'r':
            options->times = (int)strtol(optarg, NULL, 10);
            break;
        case 'p':
            options->pid = strtol(optarg, NULL, 10);
            break;
        case 'q':
            options->request = optarg;
            break;
        case 's':
            srand48(strtol(optarg, NULL, 10));
            break;
        default:
            exit(2); /* getopt has said what is wrong */
        }
    }
    if (optind != argc - 1 || options->clients < 1 ||
        options->clients > MOST_CLIENTS || options->times < 1)
        usage();
    options->port = (in_port_t)strtol(argv[optind], NULL, 10);
}

int main(int argc, char **argv) {
    struct options options = {.pause_after = -1, .clients = 1, .times = 1};
    unsigned long long before = 0;
    int is_well = 1;
    parse_options(&options, argc, argv);
    if (options.pid != 0)
        before = processor_ns(options.pid);
    for (int i = 1; i <= options.times; i++) {
        int is_last = i == options.times;
        if (is_last && options.pid != 0 && options.times > 1) {
            unsigned long long used = processor_ns(options.pid) - before;
            used /= (unsigned long long)(options.times - 1);
            used /= (unsigned long long)options.clients;
            (void)printf("%llu ns\n", used);
        }
        if (!play(&options, is_last))
            is_well = 0;
    }
    return is_well ? 0 : 1;
}
