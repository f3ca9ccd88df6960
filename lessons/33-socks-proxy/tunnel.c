/* tunnel: passes on bytes between a client and its server. */
#define _GNU_SOURCE

#include "tunnel.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    IDLE_MS = 5 * 60 * 1000,
    PIPE_BYTES = 1 << 16, /* the usual size of a pipe: pipe(7) */
};

static void close_pipe(const struct direction *direction) {
    if (direction->pipe_in >= 0)
        (void)close(direction->pipe_in);
    if (direction->pipe_out >= 0)
        (void)close(direction->pipe_out);
}

/* Ends a tunnel, and frees it. The loop sees to it that no event of it is
 * handled after that. */
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
    free(tunnel);
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

/* Tells the other side that no more bytes come. If it has sent its own end, and
 * then a reset, the connection is over, and there is nobody to tell: ENOTCONN.
 * Returns -1 with errno. */
static int end_direction(struct direction *direction) {
    direction->is_closed = true;
    if (shutdown(direction->to, SHUT_WR) < 0 && errno != ENOTCONN)
        return -1;
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
        *failed = "shutdown";
        return end_direction(direction);
    }
    return 0;
}

/* Returns for what a socket has to be watched: it is the source of one
 * direction, and the sink of the other. */
static uint32_t events_for(const struct direction *source,
                           const struct direction *sink) {
    uint32_t events = 0;
    if (!source->has_ended && !source->is_pipe_full)
        events |= EPOLLIN;
    if (sink->in_pipe > 0)
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
    warnx("%s to %s: nothing moved for %d minutes", tunnel->client_name,
          tunnel->target, IDLE_MS / 60000);
    abort_tunnel(tunnel);
}

void tunnel_add_timeout(struct proxy *proxy) {
    proxy->idle_time.milliseconds = IDLE_MS;
    proxy->idle_time.handle = handle_idle;
    loop_add_timeout(&proxy->loop, &proxy->idle_time);
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

void tunnel_start(struct tunnel *tunnel) {
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
