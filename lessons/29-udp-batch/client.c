/* client: sends packets as fast as it can. */
#define _GNU_SOURCE

#include "client.h"

#include "addr.h"
#include "batch.h"
#include "deadline.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SEGMENTS = 64,  /* packets in one message: what every kernel accepts */
    PAUSE_MS = 100, /* before the last packet */
    NS_PER_MS = 1000 * 1000,
};

struct client {
    int fd;
    enum mode mode;
    size_t bytes;    /* of a packet */
    size_t per_call; /* how many packets one call sends, at most */
    uint32_t next;   /* the number of the next packet */
    long long calls;
    const char *name;               /* of the server, for error messages */
    struct mmsghdr messages[BATCH]; /* one for each packet (MANY) */
    struct iovec parts[BATCH];
    char packets[BATCH * LARGEST_DATAGRAM]; /* of one call, side by side */
};

static void write_header(char *packet, uint32_t number, enum kind kind) {
    uint32_t in_network_order = htonl(number);
    memcpy(packet, &in_network_order, sizeof in_network_order);
    packet[sizeof in_network_order] = (char)kind;
}

/* Returns a socket that is connected to this address. Otherwise it returns -1
 * and errno, and puts the name of the call that failed into *failed. */
static int connect_to_address(const struct addrinfo *entry,
                              const char **failed) {
    *failed = "socket";
    int fd = socket(entry->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    *failed = "connect";
    if (connect(fd, entry->ai_addr, entry->ai_addrlen) < 0) {
        int error = errno; /* close may change it */
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Returns a socket that is connected to the first address of the host for which
 * that is possible, and writes the name of that address. */
static int connect_to(const char *host, const char *port,
                      char name[ADDR_TEXT_BYTES]) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_DGRAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));

    int fd = -1;
    const char *failed = NULL;
    const struct addrinfo *entry = list;
    while (fd < 0 && entry != NULL) {
        (void)addr_format(entry->ai_addr, entry->ai_addrlen, name);
        fd = connect_to_address(entry, &failed);
        entry = entry->ai_next;
    }
    if (fd < 0)
        err(1, "%s %s", failed, name);
    freeaddrinfo(list);
    return fd;
}

/* Decides how many packets one call sends, and fills in what all calls have in
 * common. */
static void prepare(struct client *client) {
    client->per_call = 1;
    if (client->mode == MANY)
        client->per_call = BATCH;
    if (client->mode == SEGMENT) {
        /* All packets of a call are one message, which must not be too large.
         */
        client->per_call = LARGEST_DATAGRAM / client->bytes;
        if (client->per_call > SEGMENTS)
            client->per_call = SEGMENTS;
        batch_set_option(client->fd, SOL_UDP, UDP_SEGMENT, (int)client->bytes,
                         "UDP_SEGMENT");
    }
    for (size_t i = 0; i < BATCH; i++) {
        client->parts[i].iov_base = client->packets + i * client->bytes;
        client->parts[i].iov_len = client->bytes;
        client->messages[i].msg_hdr.msg_iov = &client->parts[i];
        client->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

/* Sends `count` packets as one message, which is one packet unless we have set
 * UDP_SEGMENT: then the kernel cuts the message into packets. */
static void send_message(const struct client *client, size_t count) {
    if (send(client->fd, client->packets, count * client->bytes, 0) < 0)
        err(1, "send to %s", client->name);
}

/* Sends `count` packets, of which each is a message of its own. */
static void send_messages(struct client *client, size_t count) {
    int sent = sendmmsg(client->fd, client->messages, (unsigned)count, 0);
    if (sent < 0)
        err(1, "sendmmsg to %s", client->name);
    /* After an error in the middle, sendmmsg only says how far it came. */
    if ((size_t)sent < count)
        errx(1, "sendmmsg to %s: only %d of %zu packets were sent",
             client->name, sent, count);
}

/* Sends `count` packets, which lie one behind the other, by one system call. */
static void send_packets(struct client *client, size_t count) {
    if (client->mode == MANY)
        send_messages(client, count);
    else
        send_message(client, count);
    client->calls++;
}

/* Sends the next packets, at most `most` of them, by one system call. */
static void send_next(struct client *client, size_t most) {
    size_t count = client->per_call;
    if (count > most)
        count = most;
    for (size_t i = 0; i < count; i++) {
        char *packet = client->packets + i * client->bytes;
        write_header(packet, client->next + (uint32_t)i, DATA);
    }
    send_packets(client, count);
    client->next += (uint32_t)count;
}

/* Sends the packet that tells the server that no other packet follows. Before
 * it, a pause lets the server empty its receive buffer, so that there is room
 * for this packet. */
static void send_last(struct client *client) {
    deadline_pause(PAUSE_MS);
    write_header(client->packets, client->next, END);
    send_packets(client, 1);
}

/* Sends `packets` packets. If `packets` is 0, it sends as many as it can in the
 * given time. Then it prints the report, sends the last packet, and closes the
 * socket. */
static void send_all(struct client *client, int milliseconds,
                     uint32_t packets) {
    int64_t used_before = batch_read_clock(CLOCK_PROCESS_CPUTIME_ID);
    int64_t start = batch_read_clock(CLOCK_MONOTONIC);
    int64_t end = start + (int64_t)milliseconds * NS_PER_MS;
    int64_t now = start;
    if (packets > 0) {
        while (client->next < packets)
            send_next(client, packets - client->next);
        now = batch_read_clock(CLOCK_MONOTONIC);
    } else {
        while (now < end) {
            send_next(client, client->per_call);
            now = batch_read_clock(CLOCK_MONOTONIC);
        }
    }
    int64_t used = batch_read_clock(CLOCK_PROCESS_CPUTIME_ID) - used_before;
    batch_print_count("packets", client->next);
    batch_print_speed(client->next, client->calls, now - start, used);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    send_last(client);
    if (close(client->fd) < 0)
        err(1, "close");
}

void client_run(const struct client_options *options, const char *host,
                const char *port) {
    static struct client client;
    static char name[ADDR_TEXT_BYTES];
    client.mode = options->mode;
    client.bytes = options->bytes;
    client.fd = connect_to(host, port, name);
    client.name = name;
    prepare(&client);
    send_all(&client, options->milliseconds, options->packets);
}
