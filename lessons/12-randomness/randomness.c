/*
 * 12-randomness: where keys come from, and what RAND_egd asked a daemon for.
 *
 * Shows the kernel's generator, and OpenSSL's, which gets its key from the
 * kernel. Also shows both ends of EGD's protocol, which helped programs on a
 * kernel without a generator.
 *
 * usage: 12-randomness status|bytes N|egd serve PATH|egd get PATH N
 *
 * Left out: the file that stays behind when the daemon is killed; many clients
 * at the same time (lesson 24).
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The commands of EGD's protocol. A request begins with one of them, in one
 * byte. */
enum command {
    GET_ENTROPY = 0, /* how many random bits do you have? */
    READ_NOW = 1,    /* give me bytes, as many as you have now */
    READ_WAIT = 2,   /* give me bytes, and wait until you have enough */
    WRITE = 3,       /* here are bytes for you */
    GET_PID = 4,     /* what is your process number? */
};

enum {
    COMMANDS = 5,     /* how many commands there are */
    READ_COUNT = 1,   /* where the count is in READ_NOW and READ_WAIT */
    WRITE_COUNT = 3,  /* where the count is in a WRITE */
    WRITE_HEADER = 4, /* a WRITE has four bytes in front of its data */
    MOST_BYTES = 255, /* a count in EGD's protocol is one byte */
    KEY_BYTES = 32,   /* the length of a generator's key */
    TALK_MS = 1000,   /* the longest conversation, for daemon and client */
    PAUSE_MS = 100,   /* after an accept that failed */
};

/* How many bytes a request has, by its command. After the four bytes of a WRITE
 * comes its data, and the count says how many bytes of data there are. */
static const size_t request_bytes[COMMANDS] = {
    [GET_ENTROPY] = 1,      [READ_NOW] = 2, [READ_WAIT] = 2,
    [WRITE] = WRITE_HEADER, [GET_PID] = 1,
};

/* The daemon's listener, which the signal handler shuts down. A handler may run
 * between any two instructions. A variable of this type is nevertheless always
 * read and written as a whole. */
static volatile sig_atomic_t listener;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness status|bytes N|egd serve PATH|egd get PATH N\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

static size_t parse_count(const char *text) {
    unsigned long long count;
    if (number_parse(text, 1, MOST_BYTES, &count) < 0)
        errx(1, "%s is not a number of bytes: 1 to %d", text, MOST_BYTES);
    return (size_t)count;
}

/* Ends the program if its standard output or standard error is closed. The
 * kernel would give the free number to our socket, and what we print would go
 * to the peer: lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Prints the bytes in hexadecimal, as one line with the label in front. */
static void print_bytes(const char *label, const unsigned char *bytes,
                        size_t count) {
    (void)printf("%s", label);
    for (size_t i = 0; i < count; i++)
        (void)printf("%02x", bytes[i]);
    /* stdio keeps the line until its newline, and only then writes it. So only
     * this printf can report an error. */
    if (printf("\n") < 0)
        err(1, "standard output");
}

/* The two generators. */

/* Fills the bytes from OpenSSL's generator. Returns 0. Otherwise it returns -1,
 * and the bytes are as they were before: a caller that ignores this would use
 * their old contents as if they were random. */
static int fill_from_openssl(unsigned char *bytes, size_t count) {
    if (RAND_bytes(bytes, (int)count) != 1) {
        warnx("RAND_bytes: OpenSSL has given no bytes");
        return -1;
    }
    return 0;
}

/* Prints bytes from both generators. For up to 256 bytes, getrandom(2) gives
 * either all of them or an error. */
static void show_bytes(size_t count) {
    unsigned char bytes[MOST_BYTES];

    if (getrandom(bytes, count, 0) != (ssize_t)count)
        err(1, "getrandom");
    print_bytes("getrandom:  ", bytes, count);
    if (fill_from_openssl(bytes, count) < 0)
        exit(1);
    print_bytes("RAND_bytes: ", bytes, count);
}

static void show_rand_status(void) {
    if (printf("RAND_status: %d\n", RAND_status()) < 0)
        err(1, "standard output");
}

/* Adds zeros to OpenSSL's generator, and claims that each of them is a random
 * byte: that is the last argument of RAND_add(3). */
static int status_main(void) {
    const unsigned char zeros[KEY_BYTES] = {0};

    show_rand_status();
    RAND_add(zeros, sizeof zeros, sizeof zeros);
    print_bytes("RAND_add:    ", zeros, sizeof zeros);
    show_rand_status();
    show_bytes(KEY_BYTES);
    return 0;
}

static int bytes_main(const char *count) {
    show_bytes(parse_count(count));
    return 0;
}

/* What both ends of EGD's protocol need. */

/* Returns the address that names this path. The family is AF_UNIX: both ends
 * are on this machine, and the address is the path of a file. unix(7) */
static struct sockaddr_un parse_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    /* One byte of the array is for the NUL at the end. */
    if (length < 1 || length >= sizeof address.sun_path)
        errx(1, "not a path of 1 to 107 bytes: %s", path);
    memcpy(address.sun_path, path, length);
    return address;
}

static int make_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Receives exactly count bytes. They may come in several pieces. Returns 0, or
 * -1 when the peer ends the stream before that, or when a call fails. If a
 * call fails, it also prints the error. */
static int receive_all(struct deadline end, int fd, unsigned char *bytes,
                       size_t count) {
    if (deadline_recv_all(end, fd, bytes, count) == 0)
        return 0;
    if (errno != EPROTO) /* which means that the peer has ended */
        warn("recv");
    return -1;
}

/* The daemon. */

/* Receives one request. Returns 0, or -1 when there is no request: then the
 * client has left, or has sent something wrong, or its time is over. */
static int receive_request(struct deadline end, int fd,
                           unsigned char *request) {
    if (receive_all(end, fd, request, 1) < 0)
        return -1;
    unsigned char command = request[0];
    if (command >= COMMANDS) {
        warnx("there is no command %d", command);
        return -1;
    }
    size_t bytes_after_command = request_bytes[command] - 1;
    if (receive_all(end, fd, request + 1, bytes_after_command) < 0)
        return -1;
    if (command == WRITE)
        return receive_all(end, fd, request + WRITE_HEADER,
                           request[WRITE_COUNT]);
    return 0;
}

/* Writes the number in four bytes, the most significant one first. */
static void put_big_endian32(unsigned char bytes[4], uint32_t number) {
    bytes[0] = (unsigned char)(number >> 24);
    bytes[1] = (unsigned char)(number >> 16);
    bytes[2] = (unsigned char)(number >> 8);
    bytes[3] = (unsigned char)number;
}

/* Writes the reply to READ_NOW: one byte with the count, and then so many
 * random bytes. If OpenSSL has no random bytes, the count is 0. Returns the
 * length of the reply. */
static ssize_t write_counted_bytes(unsigned char *reply, unsigned char count) {
    if (fill_from_openssl(reply + 1, count) < 0) {
        reply[0] = 0;
        return 1;
    }
    reply[0] = count;
    return 1 + count;
}

/* Writes the reply to READ_WAIT: count random bytes. Returns the length of the
 * reply, or -1 if OpenSSL has no random bytes. */
static ssize_t write_bytes(unsigned char *reply, unsigned char count) {
    if (fill_from_openssl(reply, count) < 0)
        return -1;
    return count;
}

/* Writes the reply to GET_PID: one byte with the number of digits, and then the
 * digits. Returns the length of the reply. */
static ssize_t write_pid(unsigned char *reply) {
    char *digits = (char *)(reply + 1);
    int count = sprintf(digits, "%d", getpid());
    reply[0] = (unsigned char)count;
    return 1 + count;
}

/* Does what a request asks for, and writes the reply. Returns the length of the
 * reply, or -1 if there can be none. */
static ssize_t write_reply(const unsigned char *request, unsigned char *reply) {
    switch (request[0]) {
    case GET_ENTROPY:
        /* A generator with a seed always has as many bits as its key. */
        put_big_endian32(reply, RAND_status() == 1 ? KEY_BYTES * 8 : 0);
        return 4;
    case READ_NOW:
        return write_counted_bytes(reply, request[READ_COUNT]);
    case READ_WAIT:
        return write_bytes(reply, request[READ_COUNT]);
    case WRITE:
        /* The client says in request[1] and request[2] how many random bits its
         * data is worth. Any client can claim any number. So we do not believe
         * the client, and tell OpenSSL that the data is worth 0 bits. */
        RAND_add(request + WRITE_HEADER, request[WRITE_COUNT], 0);
        return 0;
    case GET_PID:
        return write_pid(reply);
    default: /* receive_request has refused all other commands */
        return 0;
    }
}

/* Answers one client until it leaves, does something wrong, or has had its
 * time. */
static void serve_client(int fd) {
    struct deadline end = deadline_after(TALK_MS);
    unsigned char request[WRITE_HEADER + MOST_BYTES];
    unsigned char reply[1 + MOST_BYTES];

    while (receive_request(end, fd, request) == 0) {
        ssize_t length = write_reply(request, reply);
        if (length < 0)
            return; /* it would take the next reply for random bytes */
        if (printf("command %d: %zd bytes back\n", request[0], length) < 0)
            warn("standard output"); /* the client is served all the same */
        size_t sent;
        if (deadline_send(end, fd, (char *)reply, (size_t)length, &sent) < 0) {
            warn("send");
            return;
        }
    }
}

/* The signal handler. After this, accept(2) fails with EINVAL: both a call that
 * is waiting now, and every later call. */
static void shut_listener(int signal_number) {
    (void)signal_number;
    (void)shutdown(listener, SHUT_RD);
}

/* Accepts one client after another, until the listener is shut down. */
static void serve_clients(void) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINVAL)
            return;
        if (fd < 0) {
            warn("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        serve_client(fd);
        (void)close(fd); /* an error here changes nothing for other clients */
    }
}

static int egd_serve_main(const char *path) {
    struct sockaddr_un own = parse_path(path);
    listener = make_socket();
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind %s", path);
    if (listen(listener, SOMAXCONN) < 0) {
        int error = errno;
        (void)unlink(path); /* bind has made it */
        errno = error;
        err(1, "listen");
    }

    (void)signal(SIGINT, shut_listener);
    (void)signal(SIGTERM, shut_listener);
    if (printf("listening on %s\n", path) < 0)
        warn("standard output");
    else
        serve_clients();

    /* bind has made a file, and close would not remove it. */
    if (unlink(path) < 0)
        err(1, "unlink %s", path);
    return ferror(stdout) ? 1 : 0; /* the reason was printed before */
}

/* The client, which does what RAND_egd did. */

static int connect_to(struct deadline end, const char *path) {
    struct sockaddr_un peer = parse_path(path);
    int fd = make_socket();
    if (deadline_connect(end, fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        err(1, "connect %s", path);
    return fd;
}

/* Receives the reply to READ_NOW. Its first byte says how many bytes follow. We
 * have room for `count` bytes, so we accept no other number. Returns 0 when we
 * have all the bytes, and -1 otherwise. */
static int receive_reply(struct deadline end, int fd, unsigned char *bytes,
                         size_t count) {
    unsigned char given;
    if (receive_all(end, fd, &given, 1) < 0)
        return -1;
    if (given != count)
        return -1;
    return receive_all(end, fd, bytes, count);
}

static int egd_get_main(const char *path, const char *text) {
    size_t count = parse_count(text);
    struct deadline end = deadline_after(TALK_MS);
    int fd = connect_to(end, path);

    /* parse_count has made sure that the count fits into one byte. */
    const char request[] = {READ_NOW, (char)count};
    size_t sent;
    if (deadline_send(end, fd, request, sizeof request, &sent) < 0)
        err(1, "send");

    unsigned char bytes[MOST_BYTES];
    if (receive_reply(end, fd, bytes, count) < 0)
        errx(1, "%s has not given %zu bytes", path, count);
    RAND_add(bytes, (int)count, (double)count);
    print_bytes("", bytes, count);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

static int egd_main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[2], "serve") == 0)
        return egd_serve_main(argv[3]);
    if (argc == 5 && strcmp(argv[2], "get") == 0)
        return egd_get_main(argv[3], argv[4]);
    usage(stderr, 2);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    require_output();
    /* OpenSSL makes this context when it is first used, and then uses it
     * without a check whether there was memory for it. So without our check
     * here, RAND_bytes could crash. */
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        errx(1, "OpenSSL: out of memory");
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    if (argc == 2 && strcmp(argv[1], "status") == 0)
        return status_main();
    if (argc == 3 && strcmp(argv[1], "bytes") == 0)
        return bytes_main(argv[2]);
    if (argc >= 2 && strcmp(argv[1], "egd") == 0)
        return egd_main(argc, argv);
    usage(stderr, 2);
}
