/* client: the life of a client. */
#define _GNU_SOURCE

#include "client.h"

#include "buffers.h"
#include "ring.h"
#include "server.h"

#include <err.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_UNSENT = 64 * 1024 }; /* with so many bytes, a client must wait */

/* For all that the client will send: a completion for each piece, and each in a
 * buffer that the kernel takes from our group. */
static void ask_for_input(struct server *server, int fd) {
    struct io_uring_sqe *request = ring_new_request(&server->ring, RECV, fd);
    request->opcode = IORING_OP_RECV;
    request->ioprio = IORING_RECV_MULTISHOT;
    request->flags = IOSQE_BUFFER_SELECT;
    request->buf_group = BUFFER_GROUP;
    server->all[fd].input = ASKED;
}

/* For what is left of client->sending to be sent. */
static void ask_to_send(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    struct io_uring_sqe *request = ring_new_request(&server->ring, SEND, fd);
    request->opcode = IORING_OP_SEND;
    request->addr = (uintptr_t)(client->sending + client->sent);
    request->len = client->sending_bytes - client->sent;
    client->output = ASKED;
}

void client_serve(struct server *server, int fd) {
    server->clients++;
    ask_for_input(server, fd);
}

/* The kernel has no request for this client any more. So no completion can come
 * that we would take for another client's, which gets the same number. */
static void close_client(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    free(client->sending);
    free(client->waiting);
    memset(client, 0, sizeof *client);
    (void)close(fd);
    server->clients--;
}

/* Looks at a client after each of its completions, and does what is to be done
 * next: at most two requests. */
static void go_on_with_client(struct server *server, int fd) {
    struct client *client = &server->all[fd];
    unsigned unsent =
        client->sending_bytes - client->sent + client->waiting_bytes;
    int wants_input = client->phase == SERVED && unsent < MOST_UNSENT;
    int wants_output = client->phase != FAILED && unsent > 0;

    if (client->input == NOT_ASKED && wants_input)
        ask_for_input(server, fd);
    if (client->input == ASKED && !wants_input) {
        ring_cancel(&server->ring, RECV, fd);
        client->input = CANCELLED;
    }
    if (client->output == NOT_ASKED && wants_output)
        ask_to_send(server, fd);
    if (client->output == ASKED && client->phase == FAILED) {
        ring_cancel(&server->ring, SEND, fd);
        client->output = CANCELLED;
    }
    int has_request = client->input != NOT_ASKED || client->output != NOT_ASKED;
    if (client->phase != SERVED && !has_request)
        close_client(server, fd);
}

/* Gives a client up. */
static void fail_client(struct client *client, const char *failed, int error) {
    if (client->phase == FAILED)
        return;
    errno = error;
    warn("%s", failed);
    client->phase = FAILED;
}

/* All of client->sending has been sent, or there was none. Next is what has
 * come in the meantime. */
static void take_waiting(struct client *client) {
    free(client->sending);
    client->sending = client->waiting;
    client->sending_bytes = client->waiting_bytes;
    client->sent = 0;
    client->waiting = NULL;
    client->waiting_bytes = 0;
    client->waiting_room = 0;
}

/* Makes room for so many more bytes in client->waiting. If there is some
 * already, it doubles: with many small steps, realloc would copy the same bytes
 * again and again. Returns 0, or -1 and errno. */
static int make_room(struct client *client, size_t length) {
    size_t needed = client->waiting_bytes + length;
    if (needed <= client->waiting_room)
        return 0;
    size_t room = (size_t)client->waiting_room * 2;
    if (room < needed)
        room = needed;
    char *waiting = realloc(client->waiting, room);
    if (waiting == NULL)
        return -1;
    client->waiting = waiting;
    client->waiting_room = (unsigned)room;
    return 0;
}

/* Keeps a copy of what has come, to be sent back. While the kernel is sending,
 * the copy has to wait. */
static void store_input(struct client *client, const char *bytes,
                        size_t length) {
    if (make_room(client, length) < 0) {
        fail_client(client, "realloc", errno);
        return;
    }
    memcpy(client->waiting + client->waiting_bytes, bytes, length);
    client->waiting_bytes += (unsigned)length;
    if (client->sending == NULL)
        take_waiting(client);
}

void client_handle_input(struct server *server, int fd, int result,
                         unsigned flags) {
    struct client *client = &server->all[fd];
    int is_last = (flags & IORING_CQE_F_MORE) == 0;
    if (is_last)
        client->input = NOT_ASKED;
    if (result < 0 && !ring_is_worth_another_try(-result))
        fail_client(client, "recv", -result);
    if (result == 0 && client->phase == SERVED)
        client->phase = LEAVING;
    if ((flags & IORING_CQE_F_BUFFER) != 0) {
        unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
        const char *bytes = server->buffers.bytes + (size_t)id * BUFFER_BYTES;
        if (result > 0 && client->phase != FAILED)
            store_input(client, bytes, (size_t)result);
        buffers_give(&server->buffers, id);
    }
    go_on_with_client(server, fd);
}

void client_handle_sent(struct server *server, int fd, int result) {
    struct client *client = &server->all[fd];
    client->output = NOT_ASKED;
    if (result < 0 && !ring_is_worth_another_try(-result))
        fail_client(client, "send", -result);
    if (result > 0)
        client->sent += (unsigned)result;
    if (client->sent == client->sending_bytes)
        take_waiting(client);
    go_on_with_client(server, fd);
}
