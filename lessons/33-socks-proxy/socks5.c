/* socks5: the handshake of SOCKS 5 with a client. */
#define _GNU_SOURCE

#include "socks5.h"

#include "deadline.h"
#include "target.h"
#include "users.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    HANDSHAKE_MS = 10 * 1000,
    DRAIN_BYTES = 4096,
};

/* RFC 1928. */
enum {
    SOCKS_VERSION = 5,
    NO_PASSWORD = 0, /* methods of the greeting */
    PASSWORD = 2,
    NO_METHOD = 0xff,
    PASSWORD_VERSION = 1, /* RFC 1929 */
    CONNECT = 1,          /* the only command that we know */
    ADDRESS_IPV4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_IPV6 = 4,
};

/* Receives exactly so many bytes. We ask for no more than belong to a message
 * of the handshake. So what the client sends behind it stays in the socket, for
 * the server. Returns false when they do not come. */
static bool receive_bytes(const struct tunnel *tunnel, struct deadline deadline,
                          uint8_t *bytes, size_t length) {
    if (deadline_recv_all(deadline, tunnel->client, bytes, length) == 0)
        return true;
    if (errno != EPROTO) /* EPROTO: the client has ended, as it may */
        warn("%s: recv", tunnel->client_name);
    return false;
}

/* Receives a text with its length, one byte, in front, and puts a NUL behind
 * it. A text that has a NUL in it is refused. */
static bool receive_text(const struct tunnel *tunnel, struct deadline deadline,
                         char text[SHORT_TEXT_BYTES]) {
    uint8_t length;
    if (!receive_bytes(tunnel, deadline, &length, 1))
        return false;
    if (!receive_bytes(tunnel, deadline, (uint8_t *)text, length))
        return false;
    text[length] = '\0';
    return strlen(text) == length;
}

static bool send_bytes(const struct tunnel *tunnel, struct deadline deadline,
                       const uint8_t *bytes, size_t length) {
    size_t sent;
    if (deadline_send(deadline, tunnel->client, (const char *)bytes, length,
                      &sent) == 0)
        return true;
    warn("%s: send", tunnel->client_name);
    return false;
}

/* A name and a password: RFC 1929. */
static bool check_password(const struct tunnel *tunnel,
                           struct deadline deadline) {
    char name[SHORT_TEXT_BYTES];
    char password[SHORT_TEXT_BYTES];
    uint8_t version;
    if (!receive_bytes(tunnel, deadline, &version, 1))
        return false;
    if (version != PASSWORD_VERSION) {
        warnx("%s: no password message that we understand",
              tunnel->client_name);
        return false;
    }
    if (!receive_text(tunnel, deadline, name))
        return false;
    if (!receive_text(tunnel, deadline, password))
        return false;
    /* A colon in the name could be taken for the one behind it. */
    bool is_right = strchr(name, ':') == NULL &&
                    users_have(tunnel->proxy->options.users, name, password);
    uint8_t answer[] = {PASSWORD_VERSION, 0};
    if (!is_right)
        answer[1] = 1;
    if (!send_bytes(tunnel, deadline, answer, sizeof answer))
        return false;
    if (!is_right)
        warnx("%s: wrong name or password", tunnel->client_name);
    return is_right;
}

/* The greeting lists the methods that the client knows. We choose one. */
static bool greet(const struct tunnel *tunnel, struct deadline deadline) {
    uint8_t greeting[2]; /* the version, and how many methods follow */
    uint8_t methods[UINT8_MAX];
    uint8_t answer[] = {SOCKS_VERSION, NO_METHOD};
    uint8_t wanted = NO_PASSWORD;
    if (tunnel->proxy->options.users != NULL)
        wanted = PASSWORD;
    if (!receive_bytes(tunnel, deadline, greeting, sizeof greeting))
        return false;
    if (greeting[0] != SOCKS_VERSION) {
        warnx("%s: this is not SOCKS 5", tunnel->client_name);
        return false;
    }
    if (!receive_bytes(tunnel, deadline, methods, greeting[1]))
        return false;
    if (memchr(methods, wanted, greeting[1]) != NULL)
        answer[1] = wanted;
    if (!send_bytes(tunnel, deadline, answer, sizeof answer))
        return false;
    if (answer[1] == NO_METHOD) {
        warnx("%s: it knows no method that we want", tunnel->client_name);
        return false;
    }
    if (wanted == PASSWORD)
        return check_password(tunnel, deadline);
    return true;
}

/* We print the name of a host in our reports. Other bytes than these could
 * write lines of their own there, or change the terminal. */
static bool is_printable(const char *text) {
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    return true;
}

/* Receives the host of a request, in the form that kind says. */
static enum reply receive_host(const struct tunnel *tunnel,
                               struct deadline deadline, uint8_t kind,
                               struct request *request) {
    uint8_t address[sizeof(struct in6_addr)];
    switch (kind) {
    case ADDRESS_NAME:
        if (!receive_text(tunnel, deadline, request->host))
            return REPLY_GENERAL_FAILURE;
        if (request->host[0] == '\0' || !is_printable(request->host))
            return REPLY_GENERAL_FAILURE;
        return REPLY_SUCCEEDED;
    case ADDRESS_IPV4:
        if (!receive_bytes(tunnel, deadline, address, sizeof(struct in_addr)))
            return REPLY_GENERAL_FAILURE;
        (void)inet_ntop(AF_INET, address, request->host, sizeof request->host);
        return REPLY_SUCCEEDED;
    case ADDRESS_IPV6:
        if (!receive_bytes(tunnel, deadline, address, sizeof(struct in6_addr)))
            return REPLY_GENERAL_FAILURE;
        (void)inet_ntop(AF_INET6, address, request->host, sizeof request->host);
        return REPLY_SUCCEEDED;
    default:
        return REPLY_UNKNOWN_ADDRESS;
    }
}

static enum reply receive_request(struct tunnel *tunnel,
                                  struct deadline deadline,
                                  struct request *request) {
    uint8_t head[4]; /* version, command, a zero, kind of address */
    uint8_t port[2];
    if (!receive_bytes(tunnel, deadline, head, sizeof head))
        return REPLY_GENERAL_FAILURE;
    if (head[0] != SOCKS_VERSION)
        return REPLY_GENERAL_FAILURE;
    enum reply reply = receive_host(tunnel, deadline, head[3], request);
    if (reply != REPLY_SUCCEEDED)
        return reply;
    if (!receive_bytes(tunnel, deadline, port, sizeof port))
        return REPLY_GENERAL_FAILURE;
    (void)snprintf(request->port, sizeof request->port, "%d",
                   port[0] << 8 | port[1]);
    (void)snprintf(tunnel->target, sizeof tunnel->target, "%s port %s",
                   request->host, request->port);
    if (head[1] != CONNECT)
        return REPLY_UNKNOWN_COMMAND;
    return REPLY_SUCCEEDED;
}

/* Tells the client what came of its request. A reply has an address, too: our
 * own, as the server sees it. Nobody uses it, so we send zeros. */
static bool send_reply(const struct tunnel *tunnel, struct deadline deadline,
                       enum reply reply) {
    const uint8_t bytes[] = {
        SOCKS_VERSION, (uint8_t)reply, 0, ADDRESS_IPV4, 0, 0, 0, 0, 0, 0,
    };
    return send_bytes(tunnel, deadline, bytes, sizeof bytes);
}

/* Call this before a client that has been refused is closed. It may have sent
 * more than we have read. Then close would reset the connection, and the client
 * could lose our reply: lesson 06. */
static void drain(const struct tunnel *tunnel, struct deadline deadline) {
    uint8_t ignored[DRAIN_BYTES];
    ssize_t count;
    (void)shutdown(tunnel->client, SHUT_WR);
    do
        count =
            deadline_recv(deadline, tunnel->client, ignored, sizeof ignored);
    while (count > 0);
}

void socks5_shake_hands(struct tunnel *tunnel) {
    struct request request;
    struct deadline deadline = deadline_after(HANDSHAKE_MS);
    if (!greet(tunnel, deadline)) {
        drain(tunnel, deadline);
        return;
    }
    enum reply reply = receive_request(tunnel, deadline, &request);
    if (reply == REPLY_SUCCEEDED)
        reply = target_connect(tunnel, &request);
    else
        warnx("%s: no whole request that we understand", tunnel->client_name);
    /* Looking up and connecting has taken time of its own. */
    deadline = deadline_after(HANDSHAKE_MS);
    bool is_sent = send_reply(tunnel, deadline, reply);
    if (!is_sent && tunnel->server >= 0) {
        (void)close(tunnel->server);
        tunnel->server = -1;
    }
    if (tunnel->server < 0)
        drain(tunnel, deadline);
}
