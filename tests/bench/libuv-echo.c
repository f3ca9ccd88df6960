/*
 * libuv-echo: an echo server as it is usually written with libuv. It allocates
 * a buffer for each read, and sends it with a uv_write of its own.
 * scripts/bench measures it.
 *
 * usage: libuv-echo PORT
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>

#if __has_include(<uv.h>)

#include <uv.h>

struct reply {
    uv_write_t request;
    uv_buf_t buffer;
};

static void check(int result, const char *call) {
    if (result < 0) {
        fprintf(stderr, "libuv-echo: %s: %s\n", call, uv_strerror(result));
        exit(1);
    }
}

static void allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer) {
    (void)handle;
    buffer->base = malloc(size);
    buffer->len = buffer->base == NULL ? 0 : size;
}

static void release(uv_handle_t *handle) {
    free(handle);
}

static void written(uv_write_t *request, int status) {
    struct reply *reply = (struct reply *)request;
    (void)status; /* if the client has gone, the next read reports it */
    free(reply->buffer.base);
    free(reply);
}

static void received(uv_stream_t *client, ssize_t length,
                     const uv_buf_t *buffer) {
    if (length == 0) { /* nothing to read yet */
        free(buffer->base);
        return;
    }
    if (length < 0) { /* the end, or an error */
        free(buffer->base);
        uv_close((uv_handle_t *)client, release);
        return;
    }
    struct reply *reply = malloc(sizeof *reply);
    if (reply == NULL) {
        free(buffer->base);
        uv_close((uv_handle_t *)client, release);
        return;
    }
    reply->buffer = uv_buf_init(buffer->base, (unsigned)length);
    check(uv_write(&reply->request, client, &reply->buffer, 1, written),
          "uv_write");
}

static void connected(uv_stream_t *listener, int status) {
    if (status < 0)
        return;
    uv_tcp_t *client = malloc(sizeof *client);
    if (client == NULL)
        return;
    check(uv_tcp_init(listener->loop, client), "uv_tcp_init");
    if (uv_accept(listener, (uv_stream_t *)client) < 0) {
        uv_close((uv_handle_t *)client, release);
        return;
    }
    check(uv_tcp_nodelay(client, 1), "uv_tcp_nodelay");
    check(uv_read_start((uv_stream_t *)client, allocate, received),
          "uv_read_start");
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in own;
    uv_tcp_t listener;
    if (argc != 2) {
        fputs("usage: libuv-echo PORT\n", stderr);
        return 2;
    }
    check(uv_ip4_addr("127.0.0.1", (int)strtol(argv[1], NULL, 10), &own),
          "uv_ip4_addr");
    check(uv_tcp_init(loop, &listener), "uv_tcp_init");
    check(uv_tcp_bind(&listener, (struct sockaddr *)&own, 0), "uv_tcp_bind");
    check(uv_listen((uv_stream_t *)&listener, SOMAXCONN, connected),
          "uv_listen");
    return uv_run(loop, UV_RUN_DEFAULT);
}

#else

int main(void) {
    fputs("libuv-echo: built without the headers of libuv\n", stderr);
    return 1;
}

#endif
