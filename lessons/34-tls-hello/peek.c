/* peek: looks at the first message of a client, and leaves it in the socket. */
#define _GNU_SOURCE

#include "peek.h"

#include "deadline.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum {
    HELLO_MS = 5 * 1000, /* for the whole first message */
};

/* Waits until there are more bytes in the socket than before, or the client
 * ends. Usually poll(2) says that a socket is ready as soon as it has one byte,
 * and those at which we have looked are still there. SO_RCVLOWAT makes it wait
 * for more of them: socket(7). */
static int wait_for_more(int fd, struct deadline deadline, size_t before) {
    int wanted = (int)before + 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted) < 0)
        return -1;
    return deadline_wait(deadline, fd, POLLIN);
}

/* Says why a client's first bytes are of no use to us. */
static const char *kind_text(enum hello_kind kind) {
    if (kind == HELLO_NO_TLS)
        return "this is no ClientHello";
    return "the ClientHello is too long";
}

/* Looks until there is a whole ClientHello. Returns false after it has said why
 * there is none. */
static bool wait_for_hello(struct client *client) {
    struct deadline deadline = deadline_after(HELLO_MS);
    size_t before = 0; /* so many bytes were there when we last looked */
    for (;;) {
        ssize_t result = -1;
        if (wait_for_more(client->fd, deadline, before) == 0)
            result = recv(client->fd, client->seen, sizeof client->seen,
                          MSG_PEEK | MSG_DONTWAIT);
        if (result < 0 && errno == EINTR)
            continue;
        if (result < 0) {
            warn("first message of %s", client->name);
            return false;
        }
        size_t length = (size_t)result;
        enum hello_kind kind = hello_collect(
            client->seen, length, client->message, &client->message_length);
        if (kind == HELLO_WHOLE)
            return true;
        if (length == before) {
            warnx("%s: it ended before its ClientHello did", client->name);
            return false;
        }
        if (length == sizeof client->seen)
            kind = HELLO_TOO_LONG; /* there is no room for the rest */
        if (kind != HELLO_UNFINISHED) {
            warnx("%s: %s", client->name, kind_text(kind));
            return false;
        }
        before = length;
    }
}

bool peek_hello(struct client *client) {
    const int one = 1; /* from now on, any byte is enough */
    if (!wait_for_hello(client))
        return false;
    if (setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one) < 0) {
        warn("setsockopt SO_RCVLOWAT");
        return false;
    }
    return true;
}
