/*
 * 34-tls-hello: reads the first message of each TLS client, prints what it says
 * to everybody on the way, and passes the connection on to the server that the
 * client wants.
 *
 * Shows how to look at bytes and leave them in the socket (MSG_PEEK), how to
 * wait until there are more of them (SO_RCVLOWAT), and what of TLS is not
 * encrypted. common/hello.c reads the message. It belongs to this lesson, so
 * read it too.
 *
 * usage: 34-tls-hello [-p] NAME=HOST:PORT... PORT
 *
 * A client that asks for NAME is connected to HOST:PORT. With -p, everything
 * that the message says is printed. SIGINT or SIGTERM ends the program, and all
 * connections with it.
 *
 * Left out: the server does not learn the address of the client, because the
 * connection to the server is ours.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dial.h"
#include "hello.h"
#include "listener.h"
#include "number.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    LABEL_BYTES = 63, /* of a host name, between its dots: RFC 1035 */
    NAME_BYTES = 253, /* of a host name */
    ROUTES = 64,
    HOST_BYTES = 256,
    PORT_BYTES = sizeof "65535",
    CONNECTIONS = 256, /* at the same time; others wait in the queue */
    STACK_BYTES = 256 * 1024,
    PEEK_BYTES = 2 * HELLO_MESSAGE_BYTES, /* the message, in short records */
    PIECE_BYTES = 16384,
    HELLO_MS = 5 * 1000,     /* for the whole first message */
    CONNECT_MS = 5 * 1000,   /* to the server */
    IDLE_MS = 5 * 60 * 1000, /* nobody says anything */
    PAUSE_MS = 100,          /* after a call that failed */
    FINGERPRINT_BYTES = 6,   /* we print so many of SHA-256's 32 */
    NUMBERS_A_LINE = 8,
};

/* Descriptions of alerts: RFC 8446, section 6. */
enum {
    INTERNAL_ERROR = 80,
    UNRECOGNIZED_NAME = 112,
};

/* A name, and the server for it. */
struct route {
    const char *name;
    size_t name_length;
    const char *address; /* HOST:PORT, as it was given */
    char host[HOST_BYTES];
    char port[PORT_BYTES];
};

struct options {
    bool prints_all;
    in_port_t port;
    size_t route_count;
    struct route routes[ROUTES];
};

/* One client, which has a thread of its own. */
struct client {
    const struct options *options;
    sem_t *places; /* one is free again when the client has gone */
    int fd;
    char name[ADDR_TEXT_BYTES];
    uint8_t seen[PEEK_BYTES]; /* a copy of what is still in the socket */
    uint8_t message[HELLO_MESSAGE_BYTES];
    size_t message_length;
    struct hello hello;
};

/* The bytes that go one way. */
struct direction {
    int from;
    int to;
    const char *sender; /* the address of each, for messages */
    const char *receiver;
    size_t begin; /* the bytes from begin to end have not been sent yet */
    size_t end;
    bool has_ended; /* no more bytes come */
    bool is_closed; /* and the other side has been told */
    unsigned long long total;
    char bytes[PIECE_BYTES];
};

/* Set by the signal handler: the program is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 34-tls-hello [-p] NAME=HOST:PORT... PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- Arguments -------------------------------------------------------------
 */

/* Copies length bytes of a text into place, which has size bytes. */
static void copy_part(char *place, size_t size, const char *text, size_t length,
                      const char *argument) {
    if (length >= size)
        errx(1, "%s is too long", argument);
    memcpy(place, text, length);
    place[length] = '\0';
}

/* How many characters at the beginning of a text, which ends behind length
 * bytes, may stand in a label of a host name. */
static size_t label_length(const char *text, size_t length) {
    size_t count = 0;
    while (count < length) {
        char character = text[count];
        bool is_sign = character == '-' || character == '_';
        if (!is_sign && !isalnum((unsigned char)character))
            return count;
        count++;
    }
    return count;
}

/* Whether a client can ask for a name: labels with dots between them, and the
 * last one is no number, as it is in an address (RFC 6066, section 3). */
static bool is_host_name(const char *name, size_t length) {
    const char *end = name + length;
    const char *label = name;
    for (;;) {
        size_t count = label_length(label, (size_t)(end - label));
        if (count == 0 || count > LABEL_BYTES)
            return false;
        if (label + count == end)
            break;
        if (label[count] != '.')
            return false;
        label += count + 1;
    }
    size_t digits = strspn(label, "0123456789");
    return length <= NAME_BYTES && label + digits < end;
}

/* Ends the program if there is a route for the name already: only the first one
 * would ever be used. */
static void refuse_second(const struct options *options, const char *name,
                          size_t length) {
    for (size_t i = 0; i < options->route_count; i++) {
        const struct route *route = &options->routes[i];
        bool is_same = route->name_length == length &&
                       strncasecmp(route->name, name, length) == 0;
        if (is_same)
            errx(1, "%.*s stands there twice", (int)length, name);
    }
}

/* Reads NAME=HOST:PORT. A dot at the end of NAME counts for nothing: no client
 * sends it. */
static void add_route(struct options *options, const char *argument) {
    const char *equals = strchr(argument, '=');
    const char *host;
    const char *port;
    size_t host_length;
    size_t port_length;
    in_port_t number;
    if (options->route_count == ROUTES)
        errx(1, "there are more than %d names", ROUTES);
    if (equals == NULL || equals == argument)
        errx(1, "%s is not NAME=HOST:PORT", argument);
    if (addr_split(equals + 1, strlen(equals + 1), &host, &host_length, &port,
                   &port_length) < 0)
        errx(1, "%s is not NAME=HOST:PORT", argument);
    if (addr_parse_port(port, port_length, 1, &number) < 0)
        errx(1, "%.*s is not a port: 1 to %d", (int)port_length, port,
             LARGEST_PORT);
    size_t name_length = (size_t)(equals - argument);
    if (equals[-1] == '.')
        name_length--;
    if (!is_host_name(argument, name_length))
        errx(1, "%.*s is not a name that a client can ask for",
             (int)(equals - argument), argument);
    refuse_second(options, argument, name_length);
    struct route *route = &options->routes[options->route_count];
    route->name = argument;
    route->name_length = name_length;
    route->address = equals + 1;
    copy_part(route->host, sizeof route->host, host, host_length, argument);
    (void)snprintf(route->port, sizeof route->port, "%d", number);
    options->route_count++;
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+hp");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'p')
            options->prints_all = true;
        else
            usage(stderr, 2);
    }
    if (argc - optind < 2)
        usage(stderr, 2);
    const char *port = argv[argc - 1];
    if (addr_parse_port(port, strlen(port), 0, &options->port) < 0)
        errx(1, "%s is not a port: 0 to %d", port, LARGEST_PORT);
    for (int i = optind; i < argc - 1; i++)
        add_route(options, argv[i]);
}

/* ---- What the message says -------------------------------------------------
 */

static bool is_name_byte(uint8_t byte) {
    if (isalnum(byte))
        return true;
    return byte == '.' || byte == '-' || byte == '_' || byte == '/';
}

/* Writes bytes of the message. They may be anything, so only those that stand
 * in names are printed as they are. */
static void print_text(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (is_name_byte(bytes[i]))
            (void)putchar(bytes[i]);
        else
            (void)putchar('?');
    }
}

/* All threads print to standard output. A report belongs to one of them until
 * it is complete. */
static void begin_report(void) {
    flockfile(stdout);
}

/* When a report cannot be written, the client still gets its connection. */
static void end_report(void) {
    if (fflush(stdout) == EOF)
        warn("standard output");
    funlockfile(stdout);
}

static void print_name(const struct hello *hello) {
    if (hello->name.length == 0) {
        printf("  name         none\n");
        return;
    }
    printf("  name         ");
    print_text(hello->name.bytes, hello->name.length);
    if (hello->has_inner_hello)
        printf(" (the outer name: another one may be encrypted)");
    printf("\n");
}

static void print_protocols(const struct hello *hello) {
    const uint8_t *bytes = hello->protocols.bytes;
    size_t at = 0;
    printf("  protocols   ");
    if (hello->protocols.length == 0)
        printf(" none");
    while (at < hello->protocols.length) {
        size_t length = bytes[at];
        printf(" ");
        print_text(bytes + at + 1, length);
        at += 1 + length;
    }
    printf("\n");
}

static void print_versions(const struct hello *hello) {
    printf("  versions    ");
    if (hello->versions.count == 0)
        printf(" 0x%04x", hello->version);
    for (size_t i = 0; i < hello->versions.count; i++) {
        unsigned version = hello_number(&hello->versions, i);
        if (version == 0x0304)
            printf(" TLS-1.3");
        else if (version == 0x0303)
            printf(" TLS-1.2");
        else if (hello_is_grease(version))
            printf(" GREASE");
        else
            printf(" 0x%04x", version);
    }
    printf("\n");
}

/* Prints the numbers of a list. Those that mean nothing are called GREASE. */
static void print_list(const char *title, const struct hello_list *list) {
    printf("  %-12s", title);
    if (list->count == 0)
        printf(" none");
    for (size_t i = 0; i < list->count; i++) {
        unsigned number = hello_number(list, i);
        if (i > 0 && i % NUMBERS_A_LINE == 0)
            printf("\n  %-12s", "");
        if (hello_is_grease(number))
            printf(" GREASE");
        else
            printf(" 0x%04x", number);
    }
    printf("\n");
}

static void print_extensions(const struct hello *hello) {
    printf("  %-12s", "extensions");
    if (hello->extension_count == 0)
        printf(" none");
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (i > 0 && i % NUMBERS_A_LINE == 0)
            printf("\n  %-12s", "");
        if (hello_is_grease(hello->extensions[i]))
            printf(" GREASE");
        else
            printf(" 0x%04x", hello->extensions[i]);
    }
    printf("\n");
}

/* Adds a number to what the fingerprint is made of, as decimal digits. */
static void hash_number(EVP_MD_CTX *hash, unsigned number) {
    char text[sizeof "65535-"];
    int length = snprintf(text, sizeof text, "%u-", number);
    if (EVP_DigestUpdate(hash, text, (size_t)length) != 1)
        errx(1, "EVP_DigestUpdate");
}

static void hash_list(EVP_MD_CTX *hash, const struct hello_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        unsigned number = hello_number(list, i);
        if (!hello_is_grease(number))
            hash_number(hash, number);
    }
    if (EVP_DigestUpdate(hash, ",", 1) != 1)
        errx(1, "EVP_DigestUpdate");
}

/* Prints the beginning of a hash of what programs do not change from one
 * connection to the next: the cipher suites, the extensions and the groups. */
static void print_fingerprint(const struct hello *hello) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        warnx("EVP_DigestInit_ex: no memory");
        printf("  fingerprint  unknown\n");
        return;
    }
    hash_list(hash, &hello->suites);
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (!hello_is_grease(hello->extensions[i]))
            hash_number(hash, hello->extensions[i]);
    }
    if (EVP_DigestUpdate(hash, ",", 1) != 1)
        errx(1, "EVP_DigestUpdate");
    hash_list(hash, &hello->groups);
    if (EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        errx(1, "EVP_DigestFinal_ex");
    EVP_MD_CTX_free(hash);
    printf("  fingerprint  ");
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        printf("%02x", digest[i]);
    printf("\n");
}

static void print_hello(const struct client *client) {
    const struct hello *hello = &client->hello;
    begin_report();
    printf("%s sent a ClientHello of %zu bytes\n", client->name,
           client->message_length);
    print_name(hello);
    print_protocols(hello);
    print_versions(hello);
    print_list("groups", &hello->groups);
    print_list("suites", &hello->suites);
    print_extensions(hello);
    print_fingerprint(hello);
    end_report();
}

/* ---- The first message -----------------------------------------------------
 */

/* Waits until more than length bytes are in the socket, or the client ends.
 * Usually poll(2) says that a socket is ready as soon as it has one byte, and
 * those at which we have looked are still there. SO_RCVLOWAT makes it wait for
 * more of them: socket(7). */
static int wait_for_more(int fd, struct deadline deadline, size_t length) {
    int wanted = (int)length + 1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted) < 0)
        return -1;
    return deadline_wait(deadline, fd, POLLIN);
}

/* Says why a client's first bytes are of no use to us. */
static const char *kind_text(enum hello_kind kind) {
    if (kind == HELLO_NO_TLS)
        return "this is not TLS";
    return "the ClientHello is too long";
}

/* Looks at the client's first bytes until they are a ClientHello. They stay in
 * the socket. Returns false when they are none, which has been reported. */
static bool peek_hello(struct client *client) {
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
            warn("recv from %s", client->name);
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

/* ---- The server ------------------------------------------------------------
 */

/* Returns the route for the name, or NULL. Large and small letters make no
 * difference. */
static const struct route *find_route(const struct options *options,
                                      const struct hello_text *name) {
    for (size_t i = 0; i < options->route_count; i++) {
        const struct route *route = &options->routes[i];
        if (route->name_length != name->length)
            continue;
        const char *wanted = (const char *)name->bytes;
        if (strncasecmp(route->name, wanted, name->length) == 0)
            return route;
    }
    return NULL;
}

/* Tells the client in TLS why we cannot pass it on: a record (type 21) with an
 * alert, which is fatal (2). RFC 8446, section 6.
 *
 * First we read the ClientHello. If we left it in the socket, close would reset
 * the connection (lesson 06), and the client might lose the alert. */
static void send_alert(struct client *client, uint8_t description) {
    const uint8_t alert[] = {21, 3, 3, 0, 2, 2, description};
    (void)recv(client->fd, client->seen, sizeof client->seen, MSG_DONTWAIT);
    (void)send(client->fd, alert, sizeof alert, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void refuse_name(struct client *client) {
    send_alert(client, UNRECOGNIZED_NAME);
    begin_report();
    printf("%s asks for ", client->name);
    if (client->hello.name.length == 0)
        printf("no name");
    print_text(client->hello.name.bytes, client->hello.name.length);
    printf(": refused\n");
    end_report();
}

/* Makes the kernel send what it gets without waiting for an ACK. We pass on
 * pieces that are no messages, so the end of a message may be a small segment:
 * lesson 05. */
static int send_at_once(int fd) {
    const int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int connect_to_server(const struct client *client,
                             const struct route *route) {
    struct dial dial = {
        .host = route->host,
        .port = route->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(CONNECT_MS),
    };
    int fd = dial_connect(&dial);
    if (fd < 0 && dial.lookup_error != 0)
        warnx("%s: %s: %s", client->name, route->host,
              gai_strerror(dial.lookup_error));
    else if (fd < 0)
        warn("%s: connect %s", client->name, route->address);
    else if (send_at_once(fd) < 0)
        warn("%s: setsockopt TCP_NODELAY", client->name); /* it is only slow */
    return fd;
}

/* ---- Passing on ------------------------------------------------------------
 */

/* Returns whether a call has only found that the socket is not ready, or was
 * interrupted. Then poll says when to call again. */
static bool is_no_failure(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Receives bytes into an empty buffer. Returns -1 when it cannot, which has
 * been reported. */
static int receive_piece(struct direction *direction) {
    ssize_t length = recv(direction->from, direction->bytes,
                          sizeof direction->bytes, MSG_DONTWAIT);
    if (length < 0 && is_no_failure(errno))
        return 0;
    if (length < 0) {
        warn("recv from %s", direction->sender);
        return -1;
    }
    if (length == 0)
        direction->has_ended = true;
    direction->begin = 0;
    direction->end = (size_t)length;
    return 0;
}

/* Sends what the buffer has, or a part of it. Returns -1 when it cannot, which
 * has been reported. */
static int send_piece(struct direction *direction) {
    ssize_t sent =
        send(direction->to, direction->bytes + direction->begin,
             direction->end - direction->begin, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && is_no_failure(errno))
        return 0;
    if (sent < 0) {
        warn("send to %s", direction->receiver);
        return -1;
    }
    direction->begin += (size_t)sent;
    direction->total += (unsigned long long)sent;
    return 0;
}

static bool has_bytes(const struct direction *direction) {
    return direction->begin < direction->end;
}

/* Tells the receiver that no more bytes come. If it has sent its own end, and
 * then a reset, the connection is over, and there is nobody to tell: ENOTCONN.
 */
static void end_direction(struct direction *direction) {
    direction->is_closed = true;
    if (shutdown(direction->to, SHUT_WR) < 0 && errno != ENOTCONN)
        warn("shutdown %s", direction->receiver);
}

/* Moves bytes on, as far as both sides are ready. When the end has come, and
 * all bytes before it have been sent, the receiver is told. Returns -1 when a
 * connection has failed, which has been reported. */
static int move_bytes(struct direction *direction) {
    if (direction->is_closed)
        return 0;
    bool is_empty = !has_bytes(direction);
    if (is_empty && !direction->has_ended) {
        if (receive_piece(direction) < 0)
            return -1;
    }
    if (has_bytes(direction))
        return send_piece(direction);
    if (direction->has_ended)
        end_direction(direction);
    return 0;
}

/* Sets what we wait for at a descriptor. The incoming bytes come from it, and
 * the outgoing bytes go to it. */
static void set_events(struct pollfd *entry, int fd,
                       const struct direction *incoming,
                       const struct direction *outgoing) {
    entry->events = 0;
    if (!has_bytes(incoming) && !incoming->has_ended)
        entry->events |= POLLIN;
    if (has_bytes(outgoing))
        entry->events |= POLLOUT;
    entry->fd = fd;
    if (entry->events == 0)
        entry->fd = -1; /* poll ignores it, even if the peer has gone */
}

/* Passes everything on, until both sides have ended, or a connection has
 * failed, or nobody has said anything for a long time. */
static void pass_on(struct direction *there, struct direction *back) {
    while (!there->is_closed || !back->is_closed) {
        struct pollfd entries[2];
        set_events(&entries[0], there->from, there, back);
        set_events(&entries[1], back->from, back, there);
        int ready = poll(entries, 2, IDLE_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0) {
            warn("poll %s", there->sender);
            return;
        }
        if (ready == 0) {
            warnx("%s: nobody has said anything for too long", there->sender);
            return;
        }
        if (move_bytes(there) < 0 || move_bytes(back) < 0)
            return;
    }
}

static void connect_both(struct client *client, const struct route *route) {
    int server = connect_to_server(client, route);
    if (server < 0) {
        send_alert(client, INTERNAL_ERROR);
        return;
    }
    begin_report();
    printf("%s asks for %.*s: passed on to %s\n", client->name,
           (int)route->name_length, route->name, route->address);
    end_report();
    struct direction there = {
        .from = client->fd,
        .to = server,
        .sender = client->name,
        .receiver = route->address,
    };
    struct direction back = {
        .from = server,
        .to = client->fd,
        .sender = route->address,
        .receiver = client->name,
    };
    pass_on(&there, &back);
    begin_report();
    printf("%s closed: %llu bytes there, %llu back\n", client->name,
           there.total, back.total);
    end_report();
    (void)close(server);
}

/* ---- Clients ---------------------------------------------------------------
 */

static void serve_client(struct client *client) {
    if (!peek_hello(client))
        return;
    const int one = 1; /* from now on, any byte is enough */
    if (setsockopt(client->fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one) < 0) {
        warn("setsockopt SO_RCVLOWAT");
        return;
    }
    if (hello_parse(&client->hello, client->message, client->message_length) <
        0) {
        warnx("%s: the ClientHello is damaged", client->name);
        return;
    }
    if (client->options->prints_all)
        print_hello(client);
    const struct route *route =
        find_route(client->options, &client->hello.name);
    if (route == NULL)
        refuse_name(client);
    else
        connect_both(client, route);
}

/* What each thread does. */
static void *run_client(void *argument) {
    struct client *client = argument;
    sem_t *places = client->places;
    serve_client(client);
    (void)close(client->fd);
    free(client);
    (void)sem_post(places);
    return NULL;
}

/* What made a call fail may pass. Without the pause, a call that goes on
 * failing would use a whole processor. */
static void warn_and_pause(const char *failed, int error) {
    warnx("%s: %s", failed, strerror(error));
    deadline_pause(PAUSE_MS);
}

/* Starts a thread for the client. Nobody waits for its end (lesson 23). It
 * begins with all signals blocked, so they come to the first thread. */
static bool start_thread(struct client *client,
                         const pthread_attr_t *detached) {
    sigset_t all;
    sigset_t usual;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &usual);
    int error = pthread_create(&thread, detached, run_client, client);
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    if (error != 0)
        warn_and_pause("pthread_create", error);
    return error == 0;
}

/* Takes a client out of the queue, and gives it to a thread. Returns false when
 * there was none; then the place is still free. */
static bool accept_client(int listener, const struct options *options,
                          sem_t *places, const pthread_attr_t *detached) {
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    if (fd < 0 && errno == EINTR)
        return false;
    if (fd < 0) {
        warn_and_pause("accept", errno);
        return false;
    }
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        (void)close(fd);
        warn_and_pause("calloc", errno);
        return false;
    }
    client->options = options;
    client->places = places;
    client->fd = fd;
    (void)addr_format((struct sockaddr *)&peer, length, client->name);
    if (!start_thread(client, detached)) {
        (void)close(fd);
        free(client);
        return false;
    }
    return true;
}

/* A signal that comes just before accept begins to wait does not end it. So
 * another follows every second: lesson 02. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void serve(int listener, const struct options *options) {
    sem_t places;
    pthread_attr_t detached;
    (void)sem_init(&places, 0, CONNECTIONS);
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&detached, STACK_BYTES);
    while (!stopping) {
        if (sem_wait(&places) < 0)
            continue; /* a signal has interrupted it */
        bool accepted = accept_client(listener, options, &places, &detached);
        if (!accepted)
            (void)sem_post(&places);
    }
}

static void handle_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
}

/* If 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The connections to our clients inherit TCP_NODELAY from the listener. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (send_at_once(fd) < 0)
        err(1, "setsockopt TCP_NODELAY");
    if (listener_announce(fd, &failed) < 0)
        err(1, "%s", failed);
    return fd;
}

int main(int argc, char **argv) {
    static struct options options;
    parse_options(&options, argc, argv);
    require_output();
    /* Without memory for what this sets up, EVP_DigestInit_ex would crash. */
    if (OSSL_LIB_CTX_get0_global_default() == NULL)
        errx(1, "OSSL_LIB_CTX_get0_global_default: no memory");
    handle_signals();
    int listener = listen_on(options.port);
    serve(listener, &options);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    /* This ends the threads, too, and closes their connections. exit would also
     * clean up OpenSSL, which a thread may be using. */
    _exit(0);
}
