/*
 * A right answer in which the line stays in the kernel until it is whole
 * (MSG_PEEK), and sendfile is called until EAGAIN.
 */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE /* for sendfile64, in musl */

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_CLIENTS = 900, LINE_BYTES = 64 };

struct range {
    off64_t offset; /* of the next byte in the file */
    off64_t unsent; /* how many bytes of the file; 0: not known yet */
    size_t seen;    /* bytes of an unfinished line, which wait in the kernel */
};

static struct pollfd fds[MOST_CLIENTS + 1]; /* the listener is the first */
static struct range ranges[MOST_CLIENTS + 1];
static int count = 1; /* of the entries in use: the listener and the clients */
static int file;

/* Closes client i, and moves the last client into its place. */
static void close_client(int i) {
    (void)close(fds[i].fd);
    count--;
    fds[i] = fds[count];
    ranges[i] = ranges[count];
}

static void reset_client(int i) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fds[i].fd, SOL_SOCKET, SO_LINGER, &at_once,
                     sizeof at_once);
    close_client(i);
}

/* Reads the range from a line of length bytes with a NUL behind it. Returns 0,
 * or -1 if it is not a range of a file of this size. */
static int parse_range(char *line, size_t length, uintmax_t size,
                       struct range *range) {
    unsigned long long first;
    unsigned long long last;
    if (strlen(line) != length)
        return -1; /* there is a NUL in it */
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        return -1;
    *blank = '\0';
    if (number_parse(line, 0, LLONG_MAX, &first) != 0)
        return -1;
    if (number_parse(blank + 1, 0, LLONG_MAX, &last) != 0)
        return -1;
    if (last < first || last >= size)
        return -1;
    range->offset = (off64_t)first;
    range->unsent = (off64_t)(last - first) + 1;
    return 0;
}

/* Sends a short text whole. There is always room for it: nothing has been sent
 * before it. */
static int send_text(int fd, const char *text, int flags) {
    size_t length = strlen(text);
    size_t done = 0;
    while (done < length) {
        ssize_t sent =
            send(fd, text + done, length - done, MSG_NOSIGNAL | flags);
        if (sent == -1)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

/* The line of client i is not whole. poll would report its bytes again at once,
 * because they stay in the kernel. SO_RCVLOWAT makes poll wait for more. */
static void wait_for_more(int i, size_t seen) {
    int least = (int)seen + 1;
    ranges[i].seen = seen;
    (void)setsockopt(fds[i].fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* The line of client i is whole, and has length bytes without its newline. */
static void begin_reply(int i, char *line, size_t length) {
    char reply[32];
    struct stat status;
    struct range *range = &ranges[i];
    /* Take the line and its newline out of the kernel. */
    (void)recv(fds[i].fd, line, length + 1, 0);
    line[length] = '\0';
    int result = fstat(file, &status);
    if (result == 0)
        result = parse_range(line, length, (uintmax_t)status.st_size, range);
    if (result != 0) {
        (void)send_text(fds[i].fd, "bad range\n", 0);
        close_client(i);
        return;
    }
    (void)snprintf(reply, sizeof reply, "%jd\n", (intmax_t)range->unsent);
    if (send_text(fds[i].fd, reply, MSG_MORE) != 0) {
        reset_client(i);
        return;
    }
    fds[i].events = POLLOUT;
}

/* Looks at what client i has sent so far of its line. */
static void peek_at_line(int i) {
    char line[LINE_BYTES + 1] = {0};
    ssize_t got = recv(fds[i].fd, line, LINE_BYTES, MSG_PEEK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        reset_client(i);
        return;
    }
    size_t length = (size_t)got;
    char *newline = memchr(line, '\n', length);
    int is_too_long = length == LINE_BYTES;
    /* At the end of the stream poll reports the client, but nothing is new. */
    int has_ended = length == 0 || length == ranges[i].seen;
    if (newline != NULL)
        begin_reply(i, line, (size_t)(newline - line));
    else if (is_too_long || has_ended)
        close_client(i);
    else
        wait_for_more(i, length);
}

/* Sends until the kernel has no room for more. */
static void send_bytes(int i) {
    struct range *range = &ranges[i];
    while (range->unsent > 0) {
        ssize_t sent =
            sendfile64(fds[i].fd, file, &range->offset, (size_t)range->unsent);
        if (sent == -1 && errno == EINTR)
            continue;
        if (sent == -1 && errno == EAGAIN)
            return;
        if (sent <= 0) {
            reset_client(i); /* 0: the file has become shorter */
            return;
        }
        range->unsent -= sent;
    }
    close_client(i);
}

static void accept_client(void) {
    int fd = accept(fds[0].fd, NULL, NULL);
    if (fd == -1) {
        warn("accept");
        deadline_pause(5);
        return;
    }
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fds[count] = (struct pollfd){.fd = fd, .events = POLLIN};
    ranges[count] = (struct range){0};
    count++;
}

int main(int argc, char *argv[]) {
    unsigned long long port;
    const char *failed;
    if (argc != 3) {
        (void)fprintf(stderr, "usage: 20-sendfile FILE PORT\n");
        return 2;
    }
    if (number_parse(argv[2], 0, 65535, &port) != 0)
        errx(1, "bad port");
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file == -1)
        err(1, "%s", argv[1]);
    struct sockaddr_in own;
    memset(&own, 0, sizeof own);
    own.sin_family = AF_INET;
    own.sin_port = htons((in_port_t)port);
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fds[0].events = POLLIN;
    fds[0].fd =
        listener_open((struct sockaddr *)&own, sizeof own, 512, 0, &failed);
    if (fds[0].fd == -1)
        err(1, "%s", failed);
    if (listener_announce(fds[0].fd, &failed) == -1)
        err(1, "%s", failed);
    while (1) {
        int ready = poll(fds, (nfds_t)count, -1);
        if (ready == -1 && errno != EINTR)
            err(1, "poll");
        if (ready <= 0)
            continue;
        /* From the last to the first: close_client moves the last client into
         * the place of the closed one, and it has been handled already. */
        for (int i = count - 1; i > 0; i--) {
            if (fds[i].revents == 0)
                continue;
            if (fds[i].events == POLLOUT)
                send_bytes(i);
            else
                peek_at_line(i);
        }
        if (fds[0].revents != 0 && count <= MOST_CLIENTS)
            accept_client();
    }
}
