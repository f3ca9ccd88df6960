/* send: sends replies and files to a client. */
#define _GNU_SOURCE

#include "send.h"

#include "files.h"
#include "output.h"
#include "wire.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SENDFILE_BYTES = 1 << 20, /* before other clients are served */
    CORK_BYTES = 256 * 1024,  /* with fewer bytes left, it saves nothing */
};

bool send_is_worth_another_try(int error) {
    return error == EAGAIN || error == EINTR;
}

/* Copies the bytes that send did not take. */
static bool store_unsent(struct client *client, const char *bytes,
                         size_t length) {
    client->unsent = malloc(length);
    if (client->unsent == NULL) {
        warn("malloc");
        return false;
    }
    memcpy(client->unsent, bytes, length);
    client->unsent_length = length;
    return true;
}

/* Sends bytes, and stores what the kernel does not take. */
static bool send_bytes(struct client *client, const char *bytes, size_t length,
                       int flags) {
    if (length == 0)
        return true;
    ssize_t sent = send(client->watcher.fd, bytes, length, flags);
    if (sent < 0 && !send_is_worth_another_try(errno)) {
        warn("send");
        return false;
    }
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == length)
        return true;
    return store_unsent(client, bytes + sent, length - (size_t)sent);
}

/* Encrypts all of the output: what fits into one record becomes one record.
 * What OpenSSL itself has to say leaves by the same send. */
static bool send_encrypted(struct client *client) {
    struct output *output = &client->server->output;
    struct wire *wire = &client->server->wire;
    int result = 1;
    if (output->length > 0)
        result = SSL_write(client->ssl, output->bytes, (int)output->length);
    output->length = 0;
    if (result <= 0)
        return false;
    bool is_good = send_bytes(client, wire->output, wire->output_length, 0);
    wire_empty_output(wire);
    return is_good;
}

bool send_output(struct client *client) {
    struct output *output = &client->server->output;
    int flags = 0;
    if (client->ssl != NULL)
        return send_encrypted(client);
    if (client->file != NULL)
        flags = MSG_MORE; /* the file leaves together with its head */
    bool is_good = send_bytes(client, output->bytes, output->length, flags);
    output->length = 0;
    return is_good;
}

/* Sends more of the unsent bytes. */
static bool send_unsent(struct client *client) {
    ssize_t sent =
        send(client->watcher.fd, client->unsent, client->unsent_length, 0);
    if (sent < 0 && send_is_worth_another_try(errno))
        return true;
    if (sent < 0) {
        warn("send");
        return false;
    }
    client->unsent_length -= (size_t)sent;
    memmove(client->unsent, client->unsent + sent, client->unsent_length);
    if (client->unsent_length == 0) {
        free(client->unsent);
        client->unsent = NULL;
    }
    return true;
}

/* Says whether the kernel may hold back bytes until a segment is full: tcp(7),
 * TCP_CORK. A large file then costs less of the processor. */
static void set_cork(struct client *client, bool is_corked) {
    const int value = is_corked;
    (void)setsockopt(client->watcher.fd, IPPROTO_TCP, TCP_CORK, &value,
                     sizeof value);
    client->is_corked = is_corked;
}

/* Sends more of the file, without TLS: lesson 20. */
static bool send_file(struct client *client) {
    size_t length = SENDFILE_BYTES;
    if (length > client->left)
        length = (size_t)client->left;
    if (client->left > CORK_BYTES && !client->is_corked)
        set_cork(client, true);
    ssize_t sent =
        sendfile(client->watcher.fd, client->file->fd, &client->at, length);
    if (sent < 0 && send_is_worth_another_try(errno))
        return true;
    if (sent < 0) {
        warn("sendfile");
        return false;
    }
    if (sent == 0) {
        warnx("a file became shorter while we sent it");
        return false;
    }
    client->left -= (uint64_t)sent;
    if (client->left == 0 && client->is_corked)
        set_cork(client, false); /* the last bytes leave at once */
    return true;
}

bool send_add_file(struct output *output, const struct file *file, off_t at,
                   size_t length) {
    output_require(output, length);
    ssize_t got = pread(file->fd, output->bytes + output->length, length, at);
    if (got < 0) {
        warn("pread");
        return false;
    }
    if ((size_t)got != length) {
        warnx("a file became shorter while we sent it");
        return false;
    }
    output->length += length;
    return true;
}

/* Reads more of the file behind the output, as much as fits, and sends it. The
 * records leave in one send. */
static bool send_encrypted_file(struct client *client) {
    struct output *output = &client->server->output;
    size_t length = 0;
    if (output->length < OUTPUT_FULL)
        length = OUTPUT_FULL - output->length;
    if (length > client->left)
        length = (size_t)client->left;
    if (!send_add_file(output, client->file, client->at, length))
        return false;
    client->at += (off_t)length;
    client->left -= length;
    return send_output(client);
}

void send_close_file(struct client *client) {
    files_release(client->file);
    client->file = NULL;
}

bool send_is_pending(const struct client *client) {
    return client->unsent != NULL || client->file != NULL;
}

bool send_more(struct client *client) {
    if (client->unsent != NULL)
        return send_unsent(client);
    bool is_good;
    if (client->ssl == NULL)
        is_good = send_file(client);
    else
        is_good = send_encrypted_file(client);
    if (client->left == 0)
        send_close_file(client);
    return is_good;
}

bool send_reply(struct client *client) {
    if (client->file != NULL && client->ssl != NULL)
        return send_more(client); /* the head leaves together with the file */
    if (!send_output(client))
        return false;
    if (client->file != NULL && client->unsent == NULL)
        return send_more(client);
    return true;
}
