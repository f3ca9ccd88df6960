/* epoll, with a timer for the next start and one for the deadline, and memory
 * from malloc for each server. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    MOST_SERVERS = 16,
    LINE_BYTES = 4096, /* the longest line, with its newline */
};

/* A server or a timer: epoll watches its descriptor. */
struct source {
    int fd; /* -1: not open */
    const char *host;
    const char *port;
    int is_connected;
    size_t length;
    char *line;
};

static struct source *servers[MOST_SERVERS];
static int count;
static int begun;
static int open_count;
static int epoll;
static struct source next_timer;
static struct source end_timer;
static long delay_ms;

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: 16-create-connection -d MILLISECONDS -t SECONDS "
                    "HOST PORT [HOST PORT]...\n");
    exit(2);
}

static void set_timer(const struct source *timer, double seconds) {
    struct itimerspec when = {0};
    when.it_value.tv_sec = (time_t)seconds;
    double fraction = seconds - (double)when.it_value.tv_sec;
    when.it_value.tv_nsec = (long)(fraction * 1e9);
    /* A time of 0 would stop the timer. One nanosecond means "at once". */
    if (when.it_value.tv_sec == 0 && when.it_value.tv_nsec == 0)
        when.it_value.tv_nsec = 1;
    if (timerfd_settime(timer->fd, 0, &when, NULL) < 0)
        err(1, "timerfd_settime");
}

static void watch(struct source *source, unsigned events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(epoll, operation, source->fd, &event) < 0)
        err(1, "epoll_ctl");
}

/* Waits until a server or a timer is ready. */
static struct source *wait_for_source(void) {
    for (;;) {
        struct epoll_event event;
        int ready = epoll_wait(epoll, &event, 1, -1);
        if (ready == 1)
            return event.data.ptr;
        if (errno != EINTR)
            err(1, "epoll_wait");
    }
}

static void fail_server(struct source *server, const char *call,
                        const char *reason) {
    warnx("%s %s:%s: %s", call, server->host, server->port, reason);
    if (server->fd >= 0) {
        close(server->fd);
        open_count--;
    }
    server->fd = -1;
    if (server == servers[begun - 1])
        set_timer(&next_timer, 0);
    if (open_count == 0 && begun == count)
        exit(1);
}

static void begin_connect(struct source *server, const struct addrinfo *info) {
    server->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (server->fd < 0) {
        fail_server(server, "socket", strerror(errno));
        return;
    }
    open_count++;
    int result = connect(server->fd, info->ai_addr, info->ai_addrlen);
    if (result < 0 && errno != EINPROGRESS) {
        fail_server(server, "connect", strerror(errno));
        return;
    }
    watch(server, EPOLLOUT, EPOLL_CTL_ADD);
}

static void begin_next(void) {
    if (begun == count)
        return;
    struct source *server = servers[begun];
    begun++;
    set_timer(&next_timer, (double)delay_ms / 1000);

    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    int error = getaddrinfo(server->host, server->port, &hints, &info);
    if (error != 0) {
        fail_server(server, "lookup", gai_strerror(error));
        return;
    }
    begin_connect(server, info);
    freeaddrinfo(info);
}

static void finish_connect(struct source *server) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(server->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        fail_server(server, "connect", strerror(error));
        return;
    }
    server->line = malloc(LINE_BYTES);
    if (server->line == NULL)
        err(1, "malloc");
    server->is_connected = 1;
    watch(server, EPOLLIN, EPOLL_CTL_MOD);
}

/* Receives what has come. Returns 1 when the line is whole, and 0 otherwise. */
static int receive(struct source *server) {
    ssize_t received = recv(server->fd, server->line + server->length,
                            LINE_BYTES - server->length, 0);
    if (received < 0 && errno == EAGAIN)
        return 0;
    if (received < 0) {
        fail_server(server, "recv", strerror(errno));
        return 0;
    }
    if (received == 0) {
        fail_server(server, "recv", "closed before the end of the line");
        return 0;
    }
    server->length += (size_t)received;
    if (memchr(server->line, '\n', server->length) != NULL)
        return 1;
    if (server->length == LINE_BYTES)
        fail_server(server, "recv", "the line is longer than 4096 bytes");
    return 0;
}

static void handle_next_timer(void) {
    unsigned long long times;
    /* epoll reports the timer until somebody has read from it. */
    if (read(next_timer.fd, &times, sizeof times) > 0)
        begin_next();
}

static struct source *find_winner(void) {
    for (;;) {
        struct source *source = wait_for_source();
        if (source == &end_timer)
            errx(1, "deadline passed");
        if (source == &next_timer) {
            handle_next_timer();
            continue;
        }
        if (!source->is_connected) {
            finish_connect(source);
            continue;
        }
        int has_line = receive(source);
        if (has_line)
            return source;
    }
}

static void write_all(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(STDOUT_FILENO, bytes + done, length - done);
        if (written < 0)
            err(1, "standard output");
        done += (size_t)written;
    }
}

static void copy_all(struct source *server) {
    write_all(server->line, server->length);
    for (;;) {
        if (wait_for_source() == &end_timer)
            errx(1, "deadline passed");
        ssize_t received = recv(server->fd, server->line, LINE_BYTES, 0);
        if (received < 0 && errno == EAGAIN)
            continue;
        if (received < 0)
            err(1, "recv %s:%s", server->host, server->port);
        if (received == 0)
            return;
        write_all(server->line, (size_t)received);
    }
}

static long parse_delay(const char *text) {
    char *end;
    long milliseconds = strtol(text, &end, 10);
    if (*end != '\0')
        errx(1, "-d %s", text);
    if (milliseconds < 10 || milliseconds > 2000)
        errx(1, "-d %s", text);
    return milliseconds;
}

static double parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    int is_in_range = seconds > 0 && seconds < 1e6; /* nan is not */
    if (*end != '\0' || !is_in_range)
        errx(1, "-t %s", text);
    return seconds;
}

static double read_options(int argc, char **argv) {
    double seconds = 0;
    for (;;) {
        int option = getopt(argc, argv, "+d:t:");
        if (option == -1)
            break;
        if (option == 'd')
            delay_ms = parse_delay(optarg);
        else if (option == 't')
            seconds = parse_seconds(optarg);
        else
            usage();
    }
    if (delay_ms == 0 || seconds == 0)
        usage();
    return seconds;
}

static void check_port(const char *text) {
    char *end;
    long port = strtol(text, &end, 10);
    if (*end != '\0')
        errx(1, "%s is not a port", text);
    if (port < 1 || port > 65535)
        errx(1, "%s is not a port", text);
}

static void read_servers(int words, char **word) {
    if (words == 0 || words % 2 == 1)
        usage();
    if (words > 2 * MOST_SERVERS)
        usage();
    for (int i = 0; i < words; i += 2) {
        struct source *server = calloc(1, sizeof *server);
        if (server == NULL)
            err(1, "calloc");
        server->fd = -1;
        server->host = word[i];
        server->port = word[i + 1];
        check_port(server->port);
        servers[count] = server;
        count++;
    }
}

static void make_timer(struct source *timer) {
    timer->fd = timerfd_create(CLOCK_MONOTONIC, 0);
    if (timer->fd < 0)
        err(1, "timerfd_create");
    watch(timer, EPOLLIN, EPOLL_CTL_ADD);
}

int main(int argc, char **argv) {
    double seconds = read_options(argc, argv);
    read_servers(argc - optind, argv + optind);
    signal(SIGPIPE, SIG_IGN);

    epoll = epoll_create1(0);
    if (epoll < 0)
        err(1, "epoll_create1");
    make_timer(&next_timer);
    make_timer(&end_timer);
    set_timer(&end_timer, seconds);
    set_timer(&next_timer, 0);

    struct source *winner = find_winner();
    close(next_timer.fd);
    for (int i = 0; i < count; i++) {
        if (servers[i] != winner && servers[i]->fd >= 0)
            close(servers[i]->fd);
    }
    copy_all(winner);
    return 0;
}
