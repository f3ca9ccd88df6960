/*
 * socks: a client of a proxy, which prints what is said to the proxy.
 *
 *     socks [OPTION...] PROXYPORT HOST PORT TEXT
 *
 * Connects to the proxy on 127.0.0.1, and asks it for HOST and PORT. Sends TEXT
 * through the tunnel, ends its half, and prints what comes back. If PORT is
 * `own`, we play the server too: on a free port of ::1 if that is HOST, or else
 * of 127.0.0.1. It answers when it has received all, and says it back.
 *
 * With -h it speaks HTTP to the proxy, or else SOCKS 5.
 * With -H NAME the field Host of HTTP is NAME, and not the target.
 * With -u NAME:PASSWORD it can log in.
 * With -t TEXT leaves together with the request, in one segment.
 * With -d the request leaves byte by byte.
 * With -e the server ends its half first, when it has sent TEXT (`own` only).
 * With -k no side ends its half before all has come through (`own` only).
 * With -n BYTES the two sides send each other so many bytes at the same time,
 * and compare them (`own` only; TEXT is the seed).
 * With -c COUNT there are COUNT tunnels (`own` only). When all stand, it prints
 * `COUNT tunnels`, and waits for a line or the end of its standard input. Then
 * TEXT goes through each of them and back.
 * With -b MIB the client sends so many MiB of zeros as fast as it can, and
 * prints how many MiB a second reached the server (`own` only).
 * With -q it does not print what is said to the proxy.
 *
 * The exit status is 1 if the proxy refuses, or if anything else came through
 * than was sent.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_BYTES = 2048,
    PIECE_BYTES = 1 << 16,
    THROWN_AWAY_BYTES = 1 << 20,
    MOST_TUNNELS = 4096,
    DRIBBLE_US = 300,
};

struct options {
    bool is_http;
    bool is_together;
    bool is_dribbling;
    bool server_ends_first;
    bool keeps_halves;
    bool is_quiet;
    const char *field_host; /* or NULL */
    const char *user;       /* NAME:PASSWORD, or NULL */
    size_t bytes;           /* 0: TEXT is sent */
    int count;              /* 0: one tunnel, at once */
    size_t mebibytes;       /* 0: speed is not measured */
    in_port_t proxy;
    const char *host;
    in_port_t port;
    const char *text;
    int listener; /* of our own server, or -1 */
};

struct message {
    uint8_t bytes[MESSAGE_BYTES];
    size_t length;
};

static _Noreturn void usage(void) {
    errx(2, "usage: socks [OPTION...] PROXYPORT HOST PORT TEXT");
}

static in_port_t parse_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || port > 65535)
        errx(1, "%s is not a port", text);
    return (in_port_t)port;
}

/* ---- What is said to the proxy --------------------------------------------
 */

static void print_hex(const char *who, const uint8_t *bytes, size_t length) {
    printf("%s", who);
    for (size_t i = 0; i < length; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

static void print_bytes(const struct options *options, const char *who,
                        const uint8_t *bytes, size_t length) {
    if (!options->is_quiet)
        print_hex(who, bytes, length);
}

static void send_all(int fd, const void *bytes, size_t length) {
    const uint8_t *rest = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, rest, length, MSG_NOSIGNAL);
        if (sent < 0)
            err(1, "send");
        rest += sent;
        length -= (size_t)sent;
    }
}

/* Sends a message, at once or byte by byte. */
static void send_message(const struct options *options, int fd,
                         const struct message *message) {
    if (!options->is_dribbling) {
        send_all(fd, message->bytes, message->length);
        return;
    }
    for (size_t i = 0; i < message->length; i++) {
        send_all(fd, message->bytes + i, 1);
        (void)usleep(DRIBBLE_US);
    }
}

static void receive_all(int fd, uint8_t *bytes, size_t length) {
    size_t received = 0;
    while (received < length) {
        ssize_t count = recv(fd, bytes + received, length - received, 0);
        if (count < 0)
            err(1, "recv");
        if (count == 0)
            errx(1, "the proxy has ended");
        received += (size_t)count;
    }
}

static void append(struct message *message, const void *bytes, size_t length) {
    if (length > sizeof message->bytes - message->length)
        errx(1, "too long");
    memcpy(message->bytes + message->length, bytes, length);
    message->length += length;
}

static void append_byte(struct message *message, size_t byte) {
    const uint8_t value = (uint8_t)byte;
    append(message, &value, 1);
}

/* TEXT behind the request, if that is wanted. */
static void append_text(const struct options *options,
                        struct message *message) {
    if (options->is_together)
        append(message, options->text, strlen(options->text));
}

/* ---- SOCKS 5 ---------------------------------------------------------------
 */

static const char *const replies[] = {
    "succeeded",           "general failure",  "not allowed",
    "network unreachable", "host unreachable", "connection refused",
    "time is up",          "unknown command",  "unknown kind of address",
};

static void log_in(const struct options *options, int fd) {
    struct message message = {.length = 0};
    uint8_t answer[2];
    size_t name_length = strcspn(options->user, ":");
    const char *password = options->user + name_length;
    if (*password == ':')
        password++;
    append_byte(&message, 1);
    append_byte(&message, name_length);
    append(&message, options->user, name_length);
    append_byte(&message, strlen(password));
    append(&message, password, strlen(password));
    send_message(options, fd, &message);
    print_bytes(options, "to the proxy   ", message.bytes, message.length);
    receive_all(fd, answer, sizeof answer);
    print_bytes(options, "from the proxy ", answer, sizeof answer);
    if (answer[1] != 0)
        errx(1, "the proxy says: wrong name or password");
}

static void greet(const struct options *options, int fd) {
    struct message message = {.bytes = {5, 1, 0}, .length = 3};
    uint8_t answer[2];
    if (options->user != NULL)
        message.bytes[2] = 2;
    send_message(options, fd, &message);
    print_bytes(options, "to the proxy   ", message.bytes, message.length);
    receive_all(fd, answer, sizeof answer);
    print_bytes(options, "from the proxy ", answer, sizeof answer);
    if (answer[0] != 5 || answer[1] != message.bytes[2])
        errx(1, "the proxy does not want this method");
    if (options->user != NULL)
        log_in(options, fd);
}

static void append_host(struct message *message, const char *host) {
    uint8_t address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1) {
        append_byte(message, 1);
        append(message, address, sizeof(struct in_addr));
    } else if (inet_pton(AF_INET6, host, address) == 1) {
        append_byte(message, 4);
        append(message, address, sizeof(struct in6_addr));
    } else {
        append_byte(message, 3);
        append_byte(message, strlen(host));
        append(message, host, strlen(host));
    }
}

static void ask_socks(const struct options *options, int fd) {
    struct message message = {.bytes = {5, 1, 0}, .length = 3};
    uint8_t answer[10];
    greet(options, fd);
    append_host(&message, options->host);
    append_byte(&message, options->port >> 8);
    append_byte(&message, options->port & 0xff);
    size_t request_length = message.length;
    append_text(options, &message);
    send_message(options, fd, &message);
    print_bytes(options, "to the proxy   ", message.bytes, request_length);
    receive_all(fd, answer, sizeof answer);
    print_bytes(options, "from the proxy ", answer, sizeof answer);
    if (answer[0] != 5 || answer[2] != 0 || answer[3] != 1)
        errx(1, "this is no reply of SOCKS 5");
    if (answer[1] >= sizeof replies / sizeof replies[0])
        errx(1, "the proxy says: %d", answer[1]);
    if (answer[1] != 0)
        errx(1, "the proxy says: %s", replies[answer[1]]);
}

/* ---- HTTP ------------------------------------------------------------------
 */

/* Receives a line, byte by byte, without its CR LF. */
static void receive_line(int fd, char line[MESSAGE_BYTES]) {
    for (size_t length = 0; length < MESSAGE_BYTES; length++) {
        receive_all(fd, (uint8_t *)line + length, 1);
        if (line[length] == '\n') {
            line[length] = '\0';
            if (length > 0 && line[length - 1] == '\r')
                line[length - 1] = '\0';
            return;
        }
    }
    errx(1, "a line is too long");
}

static void ask_http(const struct options *options, int fd) {
    struct message message = {.length = 0};
    char target[MESSAGE_BYTES / 4];
    char head[MESSAGE_BYTES];
    char status[MESSAGE_BYTES];
    char line[MESSAGE_BYTES];
    if (strchr(options->host, ':') != NULL)
        (void)snprintf(target, sizeof target, "[%s]:%d", options->host,
                       options->port);
    else
        (void)snprintf(target, sizeof target, "%s:%d", options->host,
                       options->port);
    int length = snprintf(
        head, sizeof head, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target,
        options->field_host != NULL ? options->field_host : target);
    append(&message, head, (size_t)length);
    append_text(options, &message);
    send_message(options, fd, &message);
    if (!options->is_quiet)
        printf("to the proxy    CONNECT %s HTTP/1.1\n", target);
    receive_line(fd, status);
    if (!options->is_quiet)
        printf("from the proxy  %s\n", status);
    do
        receive_line(fd, line);
    while (line[0] != '\0');
    if (strncmp(status, "HTTP/1.1 200", 12) != 0 &&
        strncmp(status, "HTTP/1.0 200", 12) != 0)
        errx(1, "the proxy says: %s", status);
}

/* ---- Tunnels ---------------------------------------------------------------
 */

/* Small messages of ours leave at once. */
static void set_no_delay(int fd) {
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Returns a connection to the server, through the proxy. */
static int open_tunnel(const struct options *options) {
    struct sockaddr_in proxy = {
        .sin_family = AF_INET,
        .sin_port = htons(options->proxy),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&proxy, sizeof proxy) < 0)
        err(1, "connect 127.0.0.1:%d", options->proxy);
    if (options->is_dribbling || options->bytes > 0)
        set_no_delay(fd);
    if (options->is_http)
        ask_http(options, fd);
    else
        ask_socks(options, fd);
    return fd;
}

static void send_text(const struct options *options, int fd) {
    if (!options->is_together)
        send_all(fd, options->text, strlen(options->text));
}

/* Prints all that comes until the peer ends. */
static void print_all(int fd, const char *label) {
    char piece[PIECE_BYTES];
    printf("%s ", label);
    for (;;) {
        ssize_t count = recv(fd, piece, sizeof piece, 0);
        if (count < 0)
            err(1, "recv");
        if (count == 0)
            break;
        (void)fwrite(piece, 1, (size_t)count, stdout);
    }
    printf("\n");
}

/* Through a tunnel to somebody else's server. */
static void talk(const struct options *options) {
    int fd = open_tunnel(options);
    send_text(options, fd);
    if (shutdown(fd, SHUT_WR) < 0)
        err(1, "shutdown");
    print_all(fd, "from the server");
    (void)close(fd);
}

static int accept_from_proxy(const struct options *options) {
    int server = accept(options->listener, NULL, NULL);
    if (server < 0)
        err(1, "accept");
    return server;
}

/* Receives TEXT, no more than that, and prints it behind a label. Returns
 * whether it is TEXT. */
static bool receive_exactly(const struct options *options, int fd,
                            const char *label) {
    char text[PIECE_BYTES] = "";
    size_t wanted = strlen(options->text);
    size_t length = 0;
    while (length < wanted) {
        ssize_t count = recv(fd, text + length, wanted - length, 0);
        if (count < 0)
            err(1, "recv");
        if (count == 0)
            errx(1, "only %zu bytes came", length);
        length += (size_t)count;
    }
    if (label != NULL)
        printf("%s %.*s\n", label, (int)length, text);
    return memcmp(text, options->text, length) == 0;
}

static void expect_end(int fd, const char *whose) {
    char byte;
    ssize_t count = recv(fd, &byte, 1, 0);
    if (count < 0)
        err(1, "recv");
    if (count != 0)
        errx(1, "the %s has not ended, but said more", whose);
}

/* TEXT there and back. One side ends its half before the other one answers.
 * Returns whether all of it came through. */
static bool echo_text(const struct options *options, int client, int server,
                      bool is_printed) {
    const char *at_server = is_printed ? "at the server  " : NULL;
    const char *at_client = is_printed ? "from the server" : NULL;
    bool is_well;
    if (options->keeps_halves) {
        send_text(options, client);
        is_well = receive_exactly(options, server, at_server);
        send_all(server, options->text, strlen(options->text));
        is_well = receive_exactly(options, client, at_client) && is_well;
    } else if (options->server_ends_first) {
        send_all(server, options->text, strlen(options->text));
        is_well = receive_exactly(options, client, at_client);
        (void)shutdown(server, SHUT_WR);
        expect_end(client, "server");
        send_text(options, client);
        is_well = receive_exactly(options, server, at_server) && is_well;
        (void)shutdown(client, SHUT_WR);
        expect_end(server, "client");
    } else {
        send_text(options, client);
        is_well = receive_exactly(options, server, at_server);
        (void)shutdown(client, SHUT_WR);
        expect_end(server, "client");
        send_all(server, options->text, strlen(options->text));
        is_well = receive_exactly(options, client, at_client) && is_well;
        (void)shutdown(server, SHUT_WR);
        expect_end(client, "server");
    }
    (void)close(server);
    (void)close(client);
    return is_well;
}

/* One side of a tunnel that sends and receives noise. */
struct side {
    int fd;
    uint64_t sending;   /* the states of two generators */
    uint64_t receiving; /* the same as the other side's sending */
    size_t to_send;
    size_t to_receive;
    bool has_ended; /* the other side */
};

static uint8_t next_byte(uint64_t *state) {
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint8_t)(*state >> 56);
}

static void send_noise(struct side *side) {
    uint8_t piece[PIECE_BYTES];
    size_t length = sizeof piece;
    uint64_t state = side->sending;
    if (length > side->to_send)
        length = side->to_send;
    for (size_t i = 0; i < length; i++)
        piece[i] = next_byte(&state);
    ssize_t sent = send(side->fd, piece, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        err(1, "send");
    for (ssize_t i = 0; i < sent; i++)
        (void)next_byte(&side->sending);
    if (sent > 0)
        side->to_send -= (size_t)sent;
    if (side->to_send == 0 && shutdown(side->fd, SHUT_WR) < 0)
        err(1, "shutdown");
}

static void receive_noise(struct side *side) {
    uint8_t piece[PIECE_BYTES];
    ssize_t count = recv(side->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count < 0)
        err(1, "recv");
    if (count == 0) {
        side->has_ended = true;
        if (side->to_receive > 0)
            errx(1, "%zu bytes did not come", side->to_receive);
        return;
    }
    if ((size_t)count > side->to_receive)
        errx(1, "more came than was sent");
    for (ssize_t i = 0; i < count; i++) {
        if (piece[i] != next_byte(&side->receiving))
            errx(1, "another byte came than was sent");
    }
    side->to_receive -= (size_t)count;
}

/* What we wait for at one side. */
static struct pollfd entry_of(const struct side *side) {
    struct pollfd entry = {.fd = side->fd};
    if (!side->has_ended)
        entry.events |= POLLIN;
    if (side->to_send > 0)
        entry.events |= POLLOUT;
    if (entry.events == 0)
        entry.fd = -1; /* poll ignores it */
    return entry;
}

static void serve_side(struct side *side, short events) {
    if (side->to_send > 0 && (events & POLLOUT) != 0)
        send_noise(side);
    if (!side->has_ended && events != 0)
        receive_noise(side);
}

/* Both sides send and receive at the same time. */
static void exchange_noise(const struct options *options) {
    uint64_t seed = strtoull(options->text, NULL, 10);
    int client = open_tunnel(options);
    int server = accept_from_proxy(options);
    struct side sides[] = {
        {.fd = client, .sending = seed, .receiving = seed + 1},
        {.fd = server, .sending = seed + 1, .receiving = seed},
    };
    for (int i = 0; i < 2; i++) {
        sides[i].to_send = options->bytes;
        sides[i].to_receive = options->bytes;
    }
    while (!sides[0].has_ended || !sides[1].has_ended) {
        struct pollfd polled[2];
        for (int i = 0; i < 2; i++)
            polled[i] = entry_of(&sides[i]);
        if (poll(polled, 2, -1) < 0)
            err(1, "poll");
        for (int i = 0; i < 2; i++)
            serve_side(&sides[i], polled[i].revents);
    }
    printf("all is well\n");
}

static double seconds_now(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A child sends, and we receive. MSG_TRUNC throws the bytes away, so that the
 * two of us do not take long. */
static void measure_speed(const struct options *options) {
    size_t wanted = options->mebibytes << 20;
    size_t count = 0;
    int client = open_tunnel(options);
    int server = accept_from_proxy(options);
    double begin = seconds_now();
    (void)fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        static const uint8_t piece[PIECE_BYTES];
        for (size_t left = wanted; left > 0; left -= sizeof piece)
            send_all(client, piece, sizeof piece);
        (void)shutdown(client, SHUT_WR);
        _exit(0);
    }
    for (;;) {
        ssize_t received = recv(server, NULL, THROWN_AWAY_BYTES, MSG_TRUNC);
        if (received < 0)
            err(1, "recv");
        if (received == 0)
            break;
        count += (size_t)received;
    }
    printf("%.0f MiB/s\n",
           (double)options->mebibytes / (seconds_now() - begin));
    if (count != wanted)
        errx(1, "%zu bytes came of %zu", count, wanted);
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Many tunnels at once. */
static void hold_tunnels(const struct options *options) {
    static int clients[MOST_TUNNELS];
    static int servers[MOST_TUNNELS];
    raise_descriptor_limit();
    for (int i = 0; i < options->count; i++) {
        clients[i] = open_tunnel(options);
        servers[i] = accept_from_proxy(options);
    }
    printf("%d tunnels\n", options->count);
    (void)fflush(stdout);
    int byte = getchar();
    while (byte != EOF && byte != '\n')
        byte = getchar();
    for (int i = 0; i < options->count; i++) {
        if (!echo_text(options, clients[i], servers[i], false))
            errx(1, "tunnel %d: something else came through", i);
    }
    printf("all is well\n");
}

/* ---- Arguments -------------------------------------------------------------
 */

/* Listens on a free port, and puts it into options. */
static void listen_on_own(struct options *options) {
    struct sockaddr_in ipv4 = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr_in6 ipv6 = {
        .sin6_family = AF_INET6,
        .sin6_addr = in6addr_loopback,
    };
    struct sockaddr *address = (struct sockaddr *)&ipv4;
    socklen_t length = sizeof ipv4;
    if (strcmp(options->host, "::1") == 0) {
        address = (struct sockaddr *)&ipv6;
        length = sizeof ipv6;
    }
    options->listener =
        socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (options->listener < 0)
        err(1, "socket");
    if (bind(options->listener, address, length) < 0)
        err(1, "bind");
    if (listen(options->listener, SOMAXCONN) < 0)
        err(1, "listen");
    if (getsockname(options->listener, address, &length) < 0)
        err(1, "getsockname");
    /* The port stands at the same place in both. */
    options->port = ntohs(((struct sockaddr_in *)address)->sin_port);
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "hH:u:tdekn:c:b:q");
        if (option == -1)
            break;
        switch (option) {
        case 'h':
            options->is_http = true;
            break;
        case 'H':
            options->field_host = optarg;
            break;
        case 'u':
            options->user = optarg;
            break;
        case 't':
            options->is_together = true;
            break;
        case 'd':
            options->is_dribbling = true;
            break;
        case 'e':
            options->server_ends_first = true;
            break;
        case 'k':
            options->keeps_halves = true;
            break;
        case 'n':
            options->bytes = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            options->count = (int)strtol(optarg, NULL, 10);
            break;
        case 'b':
            options->mebibytes = strtoul(optarg, NULL, 10);
            break;
        case 'q':
            options->is_quiet = true;
            break;
        default:
            usage();
        }
    }
}

int main(int argc, char **argv) {
    struct options options = {.listener = -1};
    parse_options(&options, argc, argv);
    if (argc - optind != 4 || options.count > MOST_TUNNELS)
        usage();
    options.proxy = parse_port(argv[optind]);
    options.host = argv[optind + 1];
    options.text = argv[optind + 3];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(argv[optind + 2], "own") != 0) {
        options.port = parse_port(argv[optind + 2]);
        talk(&options);
        return 0;
    }
    listen_on_own(&options);
    if (options.count > 0) {
        hold_tunnels(&options);
    } else if (options.bytes > 0) {
        exchange_noise(&options);
    } else if (options.mebibytes > 0) {
        measure_speed(&options);
    } else {
        int client = open_tunnel(&options);
        int server = accept_from_proxy(&options);
        if (!echo_text(&options, client, server, true))
            errx(1, "something else came through");
    }
    return 0;
}
