/*
 * 33-socks-proxy: connects clients to the servers that they ask for, and passes
 * everything on.
 *
 * Shows SOCKS 5 (RFC 1928), a protocol that is only a few bytes long;
 * splice(2), which moves bytes from one socket to another without our program
 * seeing them; and which addresses a proxy must not connect to. network.c knows
 * those. It belongs to this lesson, so read it too.
 *
 * usage: 33-socks-proxy [-a NETWORK]... [-u FILE] PORT
 *
 * Addresses of this machine and of private networks are refused, unless they
 * belong to a NETWORK such as 10.0.0.0/8. With -u, a client needs one of the
 * names and passwords in FILE, a NAME:PASSWORD a line. SIGINT or SIGTERM ends
 * the proxy.
 *
 * Left out: UDP and connections from servers to clients (the other two commands
 * of SOCKS 5); encryption between client and proxy.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "dial.h"
#include "listener.h"
#include "loop.h"
#include "network.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    NETWORKS = 64,
    USERS_BYTES = 65536, /* the file of users is no longer */
    THREADS = 256,       /* so many clients are at their handshake together */
    STACK_BYTES = 256 * 1024,
    HANDSHAKE_MS = 10 * 1000,
    CONNECT_MS = 10 * 1000,
    IDLE_MS = 5 * 60 * 1000,
    PAUSE_MS = 100, /* after a call that failed */
    DRAIN_BYTES = 4096,
    PIPE_BYTES = 1 << 16, /* the usual size of a pipe: pipe(7) */
    TEXT_BYTES = 256 + sizeof " port 65535", /* the target, as people read it */
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
    SHORT_TEXT_BYTES = 256, /* one byte says how long a text is; and a NUL */
};

/* What the reply to a request says: RFC 1928, section 6. */
enum reply {
    SUCCEEDED = 0,
    GENERAL_FAILURE = 1,
    NOT_ALLOWED = 2,
    NETWORK_UNREACHABLE = 3,
    HOST_UNREACHABLE = 4,
    CONNECTION_REFUSED = 5,
    TIME_IS_UP = 6,
    UNKNOWN_COMMAND = 7,
    UNKNOWN_ADDRESS = 8,
};

struct options {
    in_port_t port;
    size_t network_count;
    struct network networks[NETWORKS]; /* that are allowed */
    char *users;                       /* the lines of the file, or NULL */
};

/* The bytes that go one way: from a socket into a pipe, and from the pipe into
 * the other socket. */
struct direction {
    int from;
    int to;
    int pipe_in;
    int pipe_out;
    size_t in_pipe;
    bool is_pipe_full;
    bool has_ended; /* no more bytes come */
    bool is_closed; /* and the other side has been told */
    unsigned long long total;
};

struct proxy;

/* A client, its server, and all that goes between them. */
struct tunnel {
    struct proxy *proxy;
    int client;
    int server; /* or -1: the handshake has failed */
    char client_name[ADDR_TEXT_BYTES];
    char target[TEXT_BYTES];
    struct direction there;
    struct direction back;
    struct loop_watcher client_watcher;
    struct loop_watcher server_watcher;
    struct loop_timer idle;
    struct tunnel *next_finished;
};

/* What a thread sends us when it has done a handshake. */
struct result {
    struct tunnel *tunnel;
};

struct proxy {
    struct options options;
    struct loop loop;
    int listener;
    int threads;    /* how many are at work */
    int results[2]; /* a pipe, in which threads send us their results */
    struct loop_watcher listener_watcher;
    struct loop_watcher results_watcher;
    struct loop_timeout idle_time;
    struct loop_timeout accept_pause_time;
    struct loop_timer accept_pause; /* runs while we accept nobody */
    struct tunnel *finished; /* freed when no event can mean them any more */
    pthread_attr_t detached;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 33-socks-proxy [-a NETWORK]... [-u FILE] PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- Arguments -------------------------------------------------------------
 */

static void add_network(struct options *options, const char *text) {
    if (options->network_count == NETWORKS)
        errx(1, "there are more than %d networks", NETWORKS);
    if (network_parse(&options->networks[options->network_count], text) < 0)
        errx(1, "%s is not a network such as 10.0.0.0/8", text);
    options->network_count++;
}

/* Reads the whole file. There is a newline behind its last line. */
static void read_users(struct options *options, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    options->users = malloc(USERS_BYTES + 2);
    if (options->users == NULL)
        err(1, "malloc");
    size_t length = fread(options->users, 1, USERS_BYTES + 1, file);
    if (ferror(file))
        err(1, "%s", path);
    if (length > USERS_BYTES)
        errx(1, "%s: longer than %d bytes", path, USERS_BYTES);
    (void)fclose(file); /* we have only read from it */
    options->users[length] = '\0';
}

static void parse_options(struct options *options, int argc, char **argv) {
    for (;;) {
        int option = getopt(argc, argv, "+ha:u:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'a')
            add_network(options, optarg);
        else if (option == 'u')
            read_users(options, optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    const char *port = argv[optind];
    if (addr_parse_port(port, strlen(port), 0, &options->port) < 0)
        errx(1, "%s is not a port: 0 to %d", port, LARGEST_PORT);
}

/* ---- The handshake, in a thread of its own ---------------------------------
 */

/* Receives exactly so many bytes. We ask for no more than belong to a message
 * of the handshake. So what the client sends behind it stays in the socket, for
 * the server. Returns false when they do not come. */
static bool receive_bytes(const struct tunnel *tunnel, struct deadline deadline,
                          uint8_t *bytes, size_t length) {
    if (deadline_recv_all(deadline, tunnel->client, bytes, length) == 0)
        return true;
    if (errno != EPROTO) /* that is a client that has ended */
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

/* Compares two texts of the same length. It always looks at all their bytes, so
 * the time that it takes does not say how many of them are right. */
static bool is_same(const char *a, const char *b, size_t length) {
    unsigned difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return difference == 0;
}

/* Looks whether "NAME:PASSWORD" is one of the lines of the file. All lines are
 * compared, also behind the one that is right. */
static bool is_user(const struct options *options, const char *name,
                    const char *password) {
    char wanted[2 * SHORT_TEXT_BYTES];
    size_t length =
        (size_t)snprintf(wanted, sizeof wanted, "%s:%s", name, password);
    const char *line = options->users;
    bool found = false;
    while (*line != '\0') {
        size_t line_length = strcspn(line, "\n");
        size_t user_length = line_length;
        /* Where another system has written the file, a line ends with a
         * carriage return, too. */
        if (user_length > 0 && line[user_length - 1] == '\r')
            user_length--;
        if (user_length == length && is_same(line, wanted, length))
            found = true;
        line += line_length;
        if (*line == '\n')
            line++;
    }
    return found;
}

/* A name and a password: RFC 1929. */
static bool check_password(const struct tunnel *tunnel,
                           struct deadline deadline) {
    char name[SHORT_TEXT_BYTES];
    char password[SHORT_TEXT_BYTES];
    uint8_t version;
    if (!receive_bytes(tunnel, deadline, &version, 1))
        return false;
    if (version != PASSWORD_VERSION)
        return false;
    if (!receive_text(tunnel, deadline, name))
        return false;
    if (!receive_text(tunnel, deadline, password))
        return false;
    /* A colon in the name could be taken for the one behind it. */
    bool is_right = strchr(name, ':') == NULL &&
                    is_user(&tunnel->proxy->options, name, password);
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

/* What a client asks for. */
struct request {
    char host[SHORT_TEXT_BYTES]; /* a name, or an address in numbers */
    char port[sizeof "65535"];
};

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
            return GENERAL_FAILURE;
        if (request->host[0] == '\0' || !is_printable(request->host))
            return GENERAL_FAILURE;
        return SUCCEEDED;
    case ADDRESS_IPV4:
        if (!receive_bytes(tunnel, deadline, address, sizeof(struct in_addr)))
            return GENERAL_FAILURE;
        (void)inet_ntop(AF_INET, address, request->host, sizeof request->host);
        return SUCCEEDED;
    case ADDRESS_IPV6:
        if (!receive_bytes(tunnel, deadline, address, sizeof(struct in6_addr)))
            return GENERAL_FAILURE;
        (void)inet_ntop(AF_INET6, address, request->host, sizeof request->host);
        return SUCCEEDED;
    default:
        return UNKNOWN_ADDRESS;
    }
}

static enum reply receive_request(struct tunnel *tunnel,
                                  struct deadline deadline,
                                  struct request *request) {
    uint8_t head[4]; /* version, command, a zero, kind of address */
    uint8_t port[2];
    if (!receive_bytes(tunnel, deadline, head, sizeof head))
        return GENERAL_FAILURE;
    if (head[0] != SOCKS_VERSION)
        return GENERAL_FAILURE;
    enum reply reply = receive_host(tunnel, deadline, head[3], request);
    if (reply != SUCCEEDED)
        return reply;
    if (!receive_bytes(tunnel, deadline, port, sizeof port))
        return GENERAL_FAILURE;
    (void)snprintf(request->port, sizeof request->port, "%d",
                   port[0] << 8 | port[1]);
    (void)snprintf(tunnel->target, sizeof tunnel->target, "%s port %s",
                   request->host, request->port);
    if (head[1] != CONNECT)
        return UNKNOWN_COMMAND;
    return SUCCEEDED;
}

/* Returns whether an address belongs to one of this machine's interfaces. If we
 * cannot find out, we say yes: then it is refused. */
static bool is_own(const struct sockaddr *address) {
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) < 0)
        return true;
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        const struct sockaddr *own = at->ifa_addr;
        if (own != NULL && network_is_same(own, address))
            found = true;
    }
    freeifaddrs(list);
    return found;
}

/* dial_connect asks this about each address to which a name leads, before it
 * connects to it. */
static bool is_allowed(void *context, const struct sockaddr *address) {
    const struct options *options = context;
    for (size_t i = 0; i < options->network_count; i++) {
        if (network_has(&options->networks[i], address))
            return true;
    }
    return !network_is_inside(address) && !is_own(address);
}

/* Returns the reply that fits an error. */
static enum reply reply_of(const struct dial *dial, int error) {
    if (dial->lookup_error != 0)
        return HOST_UNREACHABLE;
    switch (error) {
    case EACCES:
        return NOT_ALLOWED;
    case ENETUNREACH:
        return NETWORK_UNREACHABLE;
    case EHOSTUNREACH:
        return HOST_UNREACHABLE;
    case ECONNREFUSED:
        return CONNECTION_REFUSED;
    case ETIMEDOUT:
        return TIME_IS_UP;
    default:
        return GENERAL_FAILURE;
    }
}

static enum reply connect_to_server(struct tunnel *tunnel,
                                    const struct request *request) {
    struct dial dial = {
        .host = request->host,
        .port = request->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(CONNECT_MS),
        .filter = is_allowed,
        .context = &tunnel->proxy->options,
    };
    tunnel->server = dial_connect(&dial);
    if (tunnel->server >= 0)
        return SUCCEEDED;
    int error = errno;
    if (dial.lookup_error != 0)
        warnx("%s to %s: %s", tunnel->client_name, tunnel->target,
              gai_strerror(dial.lookup_error));
    else if (error == EACCES)
        warnx("%s to %s: not allowed", tunnel->client_name, tunnel->target);
    else
        warnx("%s to %s: %s", tunnel->client_name, tunnel->target,
              strerror(error));
    return reply_of(&dial, error);
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

/* Does the handshake. If it fails, tunnel->server is -1. */
static void shake_hands(struct tunnel *tunnel) {
    struct request request;
    struct deadline deadline = deadline_after(HANDSHAKE_MS);
    if (!greet(tunnel, deadline)) {
        drain(tunnel, deadline);
        return;
    }
    enum reply reply = receive_request(tunnel, deadline, &request);
    if (reply == SUCCEEDED)
        reply = connect_to_server(tunnel, &request);
    else
        warnx("%s: a request that we do not understand", tunnel->client_name);
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

/* What each thread does. A handshake waits for its client, and looking up a
 * name waits for name servers. So it has a thread of its own. Afterwards, the
 * tunnel goes to the first thread: a pipe passes on a pointer whole, because it
 * has fewer bytes than PIPE_BUF: pipe(7). */
static void *run_handshake(void *argument) {
    const struct result result = {.tunnel = argument};
    int results = result.tunnel->proxy->results[1];
    shake_hands(result.tunnel);
    if (write(results, &result, sizeof result) != sizeof result)
        err(1, "write to the pipe of our own");
    return NULL;
}

/* ---- The tunnel, in the loop -----------------------------------------------
 */

static void close_pipe(const struct direction *direction) {
    if (direction->pipe_in >= 0)
        (void)close(direction->pipe_in);
    if (direction->pipe_out >= 0)
        (void)close(direction->pipe_out);
}

/* Ends a tunnel. Its memory is freed later, because events that have been
 * reported together with this one may still mean it. */
static void end_tunnel(struct tunnel *tunnel) {
    struct proxy *proxy = tunnel->proxy;
    loop_stop_timer(&tunnel->idle);
    (void)loop_watch(&proxy->loop, &tunnel->client_watcher, 0);
    (void)loop_watch(&proxy->loop, &tunnel->server_watcher, 0);
    (void)close(tunnel->client);
    (void)close(tunnel->server);
    close_pipe(&tunnel->there);
    close_pipe(&tunnel->back);
    if (printf("%s to %s closed: %llu bytes there, %llu back\n",
               tunnel->client_name, tunnel->target, tunnel->there.total,
               tunnel->back.total) < 0)
        warn("standard output");
    tunnel->next_finished = proxy->finished;
    proxy->finished = tunnel;
}

/* Ends a tunnel in which something has failed. With SO_LINGER and a time of 0,
 * close sends a reset. Otherwise the other side would take this for a proper
 * end, and believe that it has received everything: lesson 06. */
static void abort_tunnel(struct tunnel *tunnel) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(tunnel->client, SOL_SOCKET, SO_LINGER, &at_once,
                     sizeof at_once);
    (void)setsockopt(tunnel->server, SOL_SOCKET, SO_LINGER, &at_once,
                     sizeof at_once);
    end_tunnel(tunnel);
}

static void free_finished(struct proxy *proxy) {
    while (proxy->finished != NULL) {
        struct tunnel *tunnel = proxy->finished;
        proxy->finished = tunnel->next_finished;
        free(tunnel);
    }
}

/* Moves bytes from the socket into the pipe. Returns -1 with errno. */
static int fill_pipe(struct direction *direction) {
    ssize_t moved = splice(direction->from, NULL, direction->pipe_in, NULL,
                           PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
        direction->in_pipe += (size_t)moved;
        return 0;
    }
    if (moved == 0) {
        direction->has_ended = true;
        return 0;
    }
    if (errno != EAGAIN)
        return -1;
    /* Either nothing has come, or the pipe is full. A pipe counts pages, and
     * not bytes, so it may be full of a few bytes. */
    direction->is_pipe_full = direction->in_pipe > 0;
    return 0;
}

/* Moves bytes from the pipe into the other socket. Returns -1 with errno. */
static int empty_pipe(struct direction *direction) {
    ssize_t moved =
        splice(direction->pipe_out, NULL, direction->to, NULL,
               direction->in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved < 0 && errno != EAGAIN)
        return -1;
    if (moved > 0) {
        direction->in_pipe -= (size_t)moved;
        direction->total += (unsigned long long)moved;
        direction->is_pipe_full = false;
    }
    return 0;
}

/* Moves bytes on, as far as both sides are ready. When the end has come and all
 * bytes before it have been sent, the other side is told. Returns -1 with
 * errno and the name of the call that failed.
 */
static int move_bytes(struct direction *direction, const char **failed) {
    *failed = "splice";
    if (!direction->has_ended && !direction->is_pipe_full &&
        fill_pipe(direction) < 0)
        return -1;
    if (direction->in_pipe > 0 && empty_pipe(direction) < 0)
        return -1;
    bool is_empty = direction->in_pipe == 0;
    if (direction->has_ended && is_empty && !direction->is_closed) {
        direction->is_closed = true;
        *failed = "shutdown";
        return shutdown(direction->to, SHUT_WR);
    }
    return 0;
}

/* Returns for what a socket has to be watched: it is the source of one
 * direction, and the target of the other. */
static uint32_t events_for(const struct direction *source,
                           const struct direction *target) {
    uint32_t events = 0;
    if (!source->has_ended && !source->is_pipe_full)
        events |= EPOLLIN;
    if (target->in_pipe > 0)
        events |= EPOLLOUT;
    return events;
}

static int watch_both(struct tunnel *tunnel, const char **failed) {
    struct loop *loop = &tunnel->proxy->loop;
    *failed = "epoll_ctl";
    uint32_t events = events_for(&tunnel->there, &tunnel->back);
    if (loop_watch(loop, &tunnel->client_watcher, events) < 0)
        return -1;
    events = events_for(&tunnel->back, &tunnel->there);
    return loop_watch(loop, &tunnel->server_watcher, events);
}

/* The loop calls this when one of the two sockets is ready. */
static void handle_tunnel(void *owner, uint32_t events) {
    struct tunnel *tunnel = owner;
    const char *failed;
    (void)events; /* we try both directions anyway */
    if (move_bytes(&tunnel->there, &failed) < 0 ||
        move_bytes(&tunnel->back, &failed) < 0 ||
        watch_both(tunnel, &failed) < 0) {
        warn("%s to %s: %s", tunnel->client_name, tunnel->target, failed);
        abort_tunnel(tunnel);
        return;
    }
    if (tunnel->there.is_closed && tunnel->back.is_closed) {
        end_tunnel(tunnel);
        return;
    }
    loop_start_timer(&tunnel->proxy->idle_time, &tunnel->idle);
}

static void handle_idle(void *owner) {
    struct tunnel *tunnel = owner;
    warnx("%s to %s: nothing came for %d minutes", tunnel->client_name,
          tunnel->target, IDLE_MS / 60000);
    abort_tunnel(tunnel);
}

static int open_pipe(struct direction *direction, const char **failed) {
    int ends[2];
    *failed = "pipe2";
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    direction->pipe_out = ends[0];
    direction->pipe_in = ends[1];
    return 0;
}

/* What has come through one connection leaves at once through the other one.
 * If this fails, some bytes only come later: lesson 05. */
static void send_at_once(int fd) {
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Begins to pass on bytes. */
static void start_tunnel(struct tunnel *tunnel) {
    tunnel->there = (struct direction){
        .from = tunnel->client,
        .to = tunnel->server,
        .pipe_in = -1,
        .pipe_out = -1,
    };
    tunnel->back = (struct direction){
        .from = tunnel->server,
        .to = tunnel->client,
        .pipe_in = -1,
        .pipe_out = -1,
    };
    tunnel->client_watcher = (struct loop_watcher){
        .handle = handle_tunnel, .owner = tunnel, .fd = tunnel->client};
    tunnel->server_watcher = (struct loop_watcher){
        .handle = handle_tunnel, .owner = tunnel, .fd = tunnel->server};
    tunnel->idle.owner = tunnel;
    send_at_once(tunnel->client);
    send_at_once(tunnel->server);
    if (printf("%s to %s: connected\n", tunnel->client_name, tunnel->target) <
        0)
        warn("standard output");
    const char *failed;
    if (open_pipe(&tunnel->there, &failed) < 0 ||
        open_pipe(&tunnel->back, &failed) < 0 ||
        watch_both(tunnel, &failed) < 0) {
        warn("%s to %s: %s", tunnel->client_name, tunnel->target, failed);
        abort_tunnel(tunnel);
        return;
    }
    loop_start_timer(&tunnel->proxy->idle_time, &tunnel->idle);
}

/* ---- Clients ---------------------------------------------------------------
 */

/* Clients are accepted only while there can be another thread, and not while
 * there is a pause. */
static void watch_listener(struct proxy *proxy) {
    uint32_t events = 0;
    bool is_pause = proxy->accept_pause.timeout != NULL;
    if (proxy->threads < THREADS && !is_pause)
        events = EPOLLIN;
    if (loop_watch(&proxy->loop, &proxy->listener_watcher, events) < 0) {
        /* The kernel has no room for it now. After a pause we try again. */
        warn("epoll_ctl");
        loop_start_timer(&proxy->accept_pause_time, &proxy->accept_pause);
    }
}

/* What made a call fail may pass. Without the pause, the listener would be
 * ready again at once, and a call that goes on failing would use a whole
 * processor. The loop goes on meanwhile, so the tunnels do not wait. */
static void warn_and_pause(struct proxy *proxy, const char *call, int error) {
    warnx("%s: %s", call, strerror(error));
    loop_start_timer(&proxy->accept_pause_time, &proxy->accept_pause);
    watch_listener(proxy);
}

/* The loop calls this when a pause is over. */
static void handle_accept_pause(void *owner) {
    watch_listener(owner);
}

/* Gives a tunnel to a thread, which begins with the handshake. All signals are
 * blocked in it: they are for the loop. */
static int start_thread(struct proxy *proxy, struct tunnel *tunnel) {
    sigset_t all;
    sigset_t usual;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &usual);
    int error =
        pthread_create(&thread, &proxy->detached, run_handshake, tunnel);
    (void)pthread_sigmask(SIG_SETMASK, &usual, NULL);
    if (error != 0) {
        warn_and_pause(proxy, "pthread_create", error);
        return -1;
    }
    proxy->threads++;
    return 0;
}

/* The loop calls this when a client is in the queue of the listener. */
static void handle_listener(void *owner, uint32_t events) {
    struct proxy *proxy = owner;
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    (void)events;
    int fd = accept4(proxy->listener, (struct sockaddr *)&peer, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
        return; /* this client has gone */
    if (fd < 0) {
        warn_and_pause(proxy, "accept", errno);
        return;
    }
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    if (tunnel == NULL) {
        (void)close(fd);
        warn_and_pause(proxy, "calloc", errno);
        return;
    }
    tunnel->proxy = proxy;
    tunnel->client = fd;
    tunnel->server = -1;
    (void)addr_format((struct sockaddr *)&peer, length, tunnel->client_name);
    if (start_thread(proxy, tunnel) < 0) {
        (void)close(fd);
        free(tunnel);
    }
    watch_listener(proxy);
}

/* The loop calls this when a thread has finished a handshake. */
static void handle_result(void *owner, uint32_t events) {
    struct proxy *proxy = owner;
    struct result result;
    (void)events;
    if (read(proxy->results[0], &result, sizeof result) != sizeof result) {
        warn("read from the pipe of our own"); /* the loop calls us again */
        return;
    }
    struct tunnel *tunnel = result.tunnel;
    proxy->threads--;
    watch_listener(proxy);
    if (tunnel->server >= 0) {
        start_tunnel(tunnel);
    } else {
        (void)close(tunnel->client);
        free(tunnel);
    }
}

/* ---- The proxy -------------------------------------------------------------
 */

/* If 0, 1 or 2 were free, a socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* A tunnel has six descriptors. We may raise our own limit as far as the hard
 * one: lesson 25. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(1, "setrlimit");
}

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
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        err(1, "fcntl");
    return fd;
}

static void open_proxy(struct proxy *proxy) {
    const char *failed;
    if (loop_open(&proxy->loop, &failed) < 0)
        err(1, "%s", failed);
    proxy->idle_time.milliseconds = IDLE_MS;
    proxy->idle_time.handle = handle_idle;
    loop_add_timeout(&proxy->loop, &proxy->idle_time);
    proxy->accept_pause_time.milliseconds = PAUSE_MS;
    proxy->accept_pause_time.handle = handle_accept_pause;
    loop_add_timeout(&proxy->loop, &proxy->accept_pause_time);
    proxy->accept_pause.owner = proxy;
    if (pipe2(proxy->results, O_CLOEXEC) < 0)
        err(1, "pipe2");
    proxy->results_watcher = (struct loop_watcher){
        .handle = handle_result, .owner = proxy, .fd = proxy->results[0]};
    if (loop_watch(&proxy->loop, &proxy->results_watcher, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    (void)pthread_attr_init(&proxy->detached);
    (void)pthread_attr_setdetachstate(&proxy->detached,
                                      PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&proxy->detached, STACK_BYTES);

    proxy->listener = listen_on(proxy->options.port);
    proxy->listener_watcher = (struct loop_watcher){
        .handle = handle_listener, .owner = proxy, .fd = proxy->listener};
    if (loop_watch(&proxy->loop, &proxy->listener_watcher, EPOLLIN) < 0)
        err(1, "epoll_ctl");
    if (listener_announce(proxy->listener, &failed) < 0)
        err(1, "%s", failed);
}

int main(int argc, char **argv) {
    static struct proxy proxy;
    parse_options(&proxy.options, argc, argv);
    require_standard_descriptors();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    /* splice has no MSG_NOSIGNAL. When a client has left, it must fail, and not
     * kill us: lesson 20. */
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    open_proxy(&proxy);
    while (!proxy.loop.is_stop_requested) {
        if (loop_turn(&proxy.loop, -1) < 0) {
            warn("epoll_wait");
            deadline_pause(PAUSE_MS); /* the next call may fail, too */
        }
        free_finished(&proxy);
    }
    return 0; /* this ends all threads and connections */
}
