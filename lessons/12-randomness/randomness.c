/*
 * 12-randomness: where keys come from, and what RAND_egd asked a daemon for.
 *
 * Shows the kernel's generator, OpenSSL's, which is seeded from it, and both
 * ends of EGD's protocol, which stood in for a kernel that had none.
 * usage: 12-randomness status|bytes N|egd serve PATH|egd get PATH N
 * Left out: the file that a killed server leaves (18); many clients (24).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    COMMANDS = 5,     /* of EGD's protocol: 0 to 4 */
    MOST_BYTES = 255, /* a count in EGD's protocol is one byte */
    KEY_BYTES = 32,   /* of a generator, the kernel's or OpenSSL's */
    TALK_MS = 1000,   /* a conversation takes no longer, on either side */
};
static const size_t lengths[COMMANDS] = {1, 2, 2, 4, 1}; /* 3 has more */
static volatile sig_atomic_t listener; /* which the handler shuts */

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness status|bytes N|egd serve PATH|egd get PATH N\n",
          out);
    exit(status);
}

static size_t parse_count(const char *text) {
    unsigned long long count;
    if (number_parse(text, 1, MOST_BYTES, &count) < 0)
        errx(1, "%s is not a number of bytes: 1 to %d", text, MOST_BYTES);
    return (size_t)count;
}

static void print(const char *label, const unsigned char *bytes, size_t count) {
    (void)printf("%s", label);
    for (size_t i = 0; i < count; i++)
        (void)printf("%02x", bytes[i]);
    (void)printf("\n");
}

/* Without a look at the result, what was in bytes before would be the key. */
static int take_from_openssl(unsigned char *bytes, size_t count) {
    int taken = RAND_bytes(bytes, (int)count) == 1;
    if (!taken)
        warnx("RAND_bytes: OpenSSL's generator is not seeded");
    return taken;
}

static void show_bytes(size_t count) {
    unsigned char bytes[MOST_BYTES];
    if (getrandom(bytes, count, 0) != (ssize_t)count) /* up to 256: whole */
        err(1, "getrandom");
    print("getrandom:  ", bytes, count);
    if (!take_from_openssl(bytes, count))
        exit(1);
    print("RAND_bytes: ", bytes, count);
}

static void show_status(void) {
    const unsigned char zeros[KEY_BYTES] = {0};
    (void)printf("RAND_status: %d\n", RAND_status());
    RAND_add(zeros, sizeof zeros, sizeof zeros);
    print("RAND_add:    ", zeros, sizeof zeros);
    (void)printf("RAND_status: %d\n", RAND_status());
    show_bytes(KEY_BYTES);
}

/* AF_UNIX: the address is a path, and both ends are on this machine. unix(7) */
static int unix_socket(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (*path == '\0' || strlen(path) >= sizeof address->sun_path)
        errx(1, "not a path of 1 to 107 bytes: %s", path);
    memcpy(address->sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Returns 1 when all have come, 0 when not; of an error it says why. */
static int receive(struct deadline end, int fd, unsigned char *bytes,
                   size_t count) {
    while (count > 0) {
        ssize_t received = deadline_recv(end, fd, bytes, count);
        if (received < 0)
            warn("recv");
        if (received <= 0)
            return 0;
        bytes += received;
        count -= (size_t)received;
    }
    return 1;
}

/* Writes the reply to a request; returns its length. */
static size_t reply_to(const unsigned char *request, unsigned char *reply) {
    switch (request[0]) {
    case 0: /* How many bits are there? The same, however many are taken. */
        memcpy(reply, (unsigned char[]){0, 0, KEY_BYTES * 8 >> 8, 0}, 4);
        return 4;
    case 1: /* So many bytes, if there are: how many, and these. */
        reply[0] = take_from_openssl(reply + 1, request[1]) ? request[1] : 0;
        return 1 + reply[0];
    case 2: /* So many bytes, as soon as there are: these. */
        return take_from_openssl(reply, request[1]) ? request[1] : 0;
    case 3: /* Here are bytes. No harm in that; but how good are they? */
        RAND_add(request + 4, request[3], 0);
        return 0;
    default: /* Who are you? So many digits, and these. */
        reply[0] = (unsigned char)sprintf((char *)reply + 1, "%d", getpid());
        return 1 + reply[0];
    }
}

/* One client's turn: until it ends, errs, or has had its time. */
static void serve_client(int fd) {
    struct deadline end = deadline_after(TALK_MS);
    unsigned char request[4 + MOST_BYTES] = {0};
    unsigned char reply[1 + MOST_BYTES];
    while (receive(end, fd, request, 1) && request[0] < COMMANDS) {
        size_t length = lengths[request[0]];
        if (!receive(end, fd, request + 1, length - 1) ||
            (request[0] == 3 && !receive(end, fd, request + 4, request[3])))
            return;
        length = reply_to(request, reply);
        if (printf("command %d: %zu bytes back\n", request[0], length) < 0)
            warn("standard output"); /* no reason not to answer */
        if (deadline_send(end, fd, (char *)reply, length, &length) < 0)
            warn("send");
    }
    if (request[0] >= COMMANDS)
        warnx("there is no command %d", request[0]);
}

/* accept fails from now on, also the one that waits, with EINVAL. */
static void stop(int signal_number) {
    (void)signal_number;
    (void)shutdown(listener, SHUT_RD);
}

static void egd_serve(const char *path) {
    struct sockaddr_un own;
    listener = unix_socket(path, &own);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind %s", path);
    if (listen(listener, SOMAXCONN) < 0)
        err(1, "listen");
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    if (printf("listening on %s\n", path) < 0) {
        warn("standard output");
        stop(0);
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINVAL)
            break;
        if (fd < 0) {
            warn("accept");
            (void)deadline_wait(deadline_after(TALK_MS / 10), -1, 0);
            continue;
        }
        serve_client(fd);
        (void)close(fd); /* whatever it says: this turn is over */
    }
    if (unlink(path) < 0)
        err(1, "unlink %s", path);
    if (ferror(stdout))
        exit(1); /* why, has been said */
}

/* What RAND_egd did. */
static void egd_get(const char *path, size_t count) {
    struct deadline end = deadline_after(TALK_MS);
    const char request[] = {1, (char)count};
    unsigned char reply[1 + MOST_BYTES];
    struct sockaddr_un peer;
    int fd = unix_socket(path, &peer);
    if (deadline_connect(end, fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        err(1, "connect %s", path);
    if (deadline_send(end, fd, request, sizeof request, &(size_t){0}) < 0)
        err(1, "send");
    if (!receive(end, fd, reply, 1) || reply[0] != count ||
        !receive(end, fd, reply + 1, count))
        errx(1, "%s has not given %zu bytes", path, count);
    RAND_add(reply + 1, reply[0], reply[0]);
    print("", reply + 1, count);
}

int main(int argc, char **argv) {
    int egd = argc > 2 && strcmp(argv[1], "egd") == 0;
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1) /* our socket would get it: lesson 01 */
            err(1, "descriptor %d", fd);
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        errx(1, "OpenSSL: out of memory"); /* and RAND_bytes would crash */
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* line by line, also in a pipe */
    if (argc == 2 && strcmp(argv[1], "status") == 0)
        show_status();
    else if (argc == 3 && strcmp(argv[1], "bytes") == 0)
        show_bytes(parse_count(argv[2]));
    else if (argc == 4 && egd && strcmp(argv[2], "serve") == 0)
        egd_serve(argv[3]);
    else if (argc == 5 && egd && strcmp(argv[2], "get") == 0)
        egd_get(argv[3], parse_count(argv[4]));
    else
        usage(stderr, 2);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
