/*
 * tell-deadline: what the functions of common/deadline make of what they are
 * given.
 *
 *     tell-deadline parse                  SECONDS, from standard input
 *     tell-deadline left MS                of a deadline MS milliseconds away
 *     tell-deadline share MS PARTS         what is left of one part of it
 *     tell-deadline pause MS
 *     tell-deadline wait MS FD EVENTS      EVENTS of poll(2), as a number
 *     tell-deadline connect MS PORT        on 127.0.0.1
 *     tell-deadline recv MS PORT SIZE      SIZE bytes a call, until the end
 *     tell-deadline recv-all MS PORT SIZE  SIZE bytes, and then what is left
 *     tell-deadline send MS PORT LENGTH    LENGTH times the letter x
 *
 * Prints the result, or the error in words. With -b before these words the
 * socket is blocking, and its connect has no deadline.
 */
#define _GNU_SOURCE

#include "deadline.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_BYTES = 4096, UNTOUCHED = -7 };

static _Noreturn void usage(void) {
    fputs("usage: tell-deadline [-b] parse|left|pause|wait|connect|recv|"
          "recv-all|send ...\n",
          stderr);
    exit(2);
}

static int number(const char *text) {
    return (int)strtol(text, NULL, 10);
}

static char *room(size_t length) {
    char *bytes = malloc(length > 0 ? length : 1);
    if (bytes == NULL)
        err(1, "malloc");
    return bytes;
}

/* Parses in a buffer that ends where the text does, so that a sanitizer notices
 * when a byte beyond it is read. */
static void tell_parsed(void) {
    char input[INPUT_BYTES];
    size_t length = fread(input, 1, sizeof input, stdin);
    char *text = room(length);
    memcpy(text, input, length);
    int milliseconds = UNTOUCHED;
    if (deadline_parse(text, length, &milliseconds) == 0)
        printf("%d\n", milliseconds);
    else
        printf("%s%s\n", strerror(errno),
               milliseconds == UNTOUCHED ? "" : ", and wrote milliseconds");
    free(text);
}

/* Returns a socket that is connected to the port. */
static int connected(struct deadline deadline, const char *port, int blocks) {
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)number(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct sockaddr *address = (const struct sockaddr *)&server;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    int result;
    if (blocks)
        result = connect(fd, address, sizeof server);
    else
        result = deadline_connect(deadline, fd, address, sizeof server);
    if (result < 0) {
        printf("%s\n", strerror(errno));
        exit(0);
    }
    return fd;
}

static void tell_received(struct deadline deadline, int fd, size_t size) {
    char *bytes = room(size);
    size_t total = 0;
    for (;;) {
        ssize_t received = deadline_recv(deadline, fd, bytes, size);
        if (received <= 0) {
            printf("%zu bytes, then %s\n", total,
                   received == 0 ? "the end" : strerror(errno));
            break;
        }
        total += (size_t)received;
    }
    free(bytes);
}

static void tell_received_all(struct deadline deadline, int fd, size_t size) {
    char *bytes = room(size);
    if (deadline_recv_all(deadline, fd, bytes, size) == 0) {
        printf("all, then ");
        tell_received(deadline, fd, 1000);
    } else {
        printf("%s\n", strerror(errno));
    }
    free(bytes);
}

static void tell_sent(struct deadline deadline, int fd, size_t length) {
    char *bytes = room(length);
    memset(bytes, 'x', length);
    size_t sent = 1;
    int result = deadline_send(deadline, fd, bytes, length, &sent);
    int error = errno;
    printf("%s: %s\n", sent == length ? "all" : "a part",
           result == 0 ? "sent" : strerror(error));
    free(bytes);
}

static void tell_wait(struct deadline deadline, int fd, short events) {
    int result = deadline_wait(deadline, fd, events);
    puts(result == 0 ? "ready" : strerror(errno));
}

static void tell_connected(int fd) {
    int flags = fcntl(fd, F_GETFL);
    printf("connected, %s\n", flags & O_NONBLOCK ? "non-blocking" : "blocking");
}

/* The verbs that need a socket. It is connected to the port in words[0], and
 * words[1] is a number. */
static void tell_of_socket(const char *verb, struct deadline deadline,
                           char **words, int blocks) {
    int fd = connected(deadline, words[0], blocks);
    if (strcmp(verb, "recv") == 0)
        tell_received(deadline, fd, (size_t)number(words[1]));
    else if (strcmp(verb, "recv-all") == 0)
        tell_received_all(deadline, fd, (size_t)number(words[1]));
    else if (strcmp(verb, "send") == 0)
        tell_sent(deadline, fd, (size_t)number(words[1]));
    else
        usage();
}

int main(int argc, char **argv) {
    int blocks = 0;
    if (argc > 1 && strcmp(argv[1], "-b") == 0) {
        blocks = 1;
        argv++;
        argc--;
    }
    if (argc == 2 && strcmp(argv[1], "parse") == 0) {
        tell_parsed();
        return fflush(stdout) == EOF ? 1 : 0;
    }
    if (argc < 3)
        usage();
    const char *verb = argv[1];
    struct deadline deadline = deadline_after(number(argv[2]));
    if (argc == 3 && strcmp(verb, "left") == 0) {
        printf("%d\n", deadline_left(deadline));
    } else if (argc == 4 && strcmp(verb, "share") == 0) {
        struct deadline share =
            deadline_share(deadline, (size_t)number(argv[3]));
        printf("%d\n", deadline_left(share));
    } else if (argc == 3 && strcmp(verb, "pause") == 0) {
        deadline_pause(number(argv[2]));
        puts("paused");
    } else if (argc == 5 && strcmp(verb, "wait") == 0) {
        tell_wait(deadline, number(argv[3]), (short)number(argv[4]));
    } else if (argc == 4 && strcmp(verb, "connect") == 0) {
        tell_connected(connected(deadline, argv[3], blocks));
    } else if (argc == 5) {
        tell_of_socket(verb, deadline, argv + 3, blocks);
    } else {
        usage();
    }
    return fflush(stdout) == EOF ? 1 : 0;
}
