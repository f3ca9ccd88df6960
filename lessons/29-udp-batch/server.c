/* server: receives packets, and counts how many came. */
#define _GNU_SOURCE

#include "server.h"

#include "addr.h"
#include "batch.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_JOINED = 65535, /* what UDP_GRO joins has no more bytes */
    COLLECT_NS = 10 * 1000, /* how long the server lets packets collect */
    QUIET_SECONDS = 1,      /* after this time without packets, it reports */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

/* Room for the control messages of one message: the size of the packets that
 * the kernel has joined, and how many messages it has dropped. */
struct control {
    alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int)) +
                                       CMSG_SPACE(sizeof(uint32_t))];
};

/* One run of a client, from its first packet to its last. */
struct run {
    long long packets; /* how many we have received */
    long long calls;
    long long sent; /* how many were sent, as far as their numbers tell */
    /* How many messages the kernel had dropped, since the socket was made,
     * before the first packet of this run, and before the latest one. */
    uint32_t dropped_before;
    uint32_t dropped;
    int is_over;         /* its last packet has come, or no more will come */
    int64_t begin;       /* when the first packet was received */
    int64_t end;         /* when the latest packet was received */
    int64_t used_before; /* the processor time that we had used at begin */
};

struct server {
    int fd;
    enum mode mode;
    struct run run;
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct control controls[BATCH];
    char bytes[BATCH][LARGEST_JOINED];
};

/* The signal handler, as in lesson 02: it also asks for a signal each second,
 * in case the first one came just before a call that sleeps. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* These calls fail only for a signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* Returns a socket with this port at 127.0.0.1, and writes its name. It waits
 * for at most QUIET_SECONDS when we receive. */
static int bind_to(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const struct timeval wait = {.tv_sec = QUIET_SECONDS};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        err(1, "setsockopt SO_RCVTIMEO");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (getsockname(fd, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    addr_format((struct sockaddr *)&own, length, name);
    return fd;
}

/* The kernel writes into these lengths how much it has used. So they have to be
 * set again before each call. */
static void reset_messages(struct server *server, size_t count) {
    for (size_t i = 0; i < count; i++) {
        server->parts[i].iov_base = server->bytes[i];
        server->parts[i].iov_len = sizeof server->bytes[i];
        struct msghdr *message = &server->messages[i].msg_hdr;
        *message = (struct msghdr){
            .msg_iov = &server->parts[i],
            .msg_iovlen = 1,
            .msg_control = server->controls[i].bytes,
            .msg_controllen = sizeof server->controls[i].bytes,
        };
    }
}

/* Receives messages by one system call, which waits for the first one, for
 * QUIET_SECONDS at most. Returns how many it has received, or -1. */
static int receive_messages(struct server *server) {
    if (server->mode == ONE) {
        reset_messages(server, 1);
        struct mmsghdr *only = &server->messages[0];
        ssize_t received = recvmsg(server->fd, &only->msg_hdr, 0);
        if (received < 0)
            return -1;
        only->msg_len = (unsigned)received;
        return 1;
    }
    reset_messages(server, BATCH);
    /* Wait for the first message, and then take those that are there. */
    return recvmmsg(server->fd, server->messages, BATCH, MSG_WAITFORONE, NULL);
}

/* Returns the control message behind this one, or NULL. In one C library, musl,
 * the macro CMSG_NXTHDR mixes signed and unsigned numbers. Without the pragmas,
 * gcc would warn of that. */
static struct cmsghdr *next_control(struct msghdr *message,
                                    struct cmsghdr *control) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    return CMSG_NXTHDR(message, control);
#pragma GCC diagnostic pop
}

/* Puts into *size how large the packets are that the kernel has joined into
 * this message, and into *dropped how many messages it had dropped before. If
 * the kernel does not say the one or the other, that variable stays as it is.
 */
static void read_control(struct msghdr *message, size_t *size,
                         uint32_t *dropped) {
    int bytes; /* of a packet */
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control != NULL;
         control = next_control(message, control)) {
        if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
            memcpy(&bytes, CMSG_DATA(control), sizeof bytes);
            *size = (size_t)bytes;
        } else if (control->cmsg_level == SOL_SOCKET &&
                   control->cmsg_type == SO_RXQ_OVFL) {
            memcpy(dropped, CMSG_DATA(control), sizeof *dropped);
        }
    }
}

/* Counts one packet of a run. */
static void count_packet(struct run *run, const char *packet, size_t length) {
    uint32_t number;
    if (length < HEADER_BYTES)
        return; /* it is not from our client program */
    memcpy(&number, packet, sizeof number);
    number = ntohl(number);
    char kind = packet[sizeof number];
    if (kind == DATA) {
        run->packets++;
        if (number >= run->sent)
            run->sent = (long long)number + 1;
    } else if (kind == END && run->packets > 0) {
        /* Packets are counted from 0, so this number is how many there were. */
        run->sent = number;
        run->is_over = 1;
    }
}

/* Counts the packets of one message, which the kernel may have joined. */
static void count_message(struct run *run, struct mmsghdr *received) {
    struct msghdr *message = &received->msg_hdr;
    const char *bytes = message->msg_iov->iov_base;
    size_t length = received->msg_len;
    size_t size = length; /* of a packet: unless joined, it is the message */
    uint32_t dropped = run->dropped;
    read_control(message, &size, &dropped);
    if (run->packets == 0)
        run->dropped_before = dropped;
    run->dropped = dropped;

    while (length > size) {
        count_packet(run, bytes, size);
        bytes += size;
        length -= size;
    }
    count_packet(run, bytes, length); /* the last may be shorter */
}

/* Prints what we have counted in a run, and begins a new one. */
static void report(struct run *run) {
    int64_t used =
        batch_read_clock(CLOCK_PROCESS_CPUTIME_ID) - run->used_before;
    /* The kernel's counter may have begun again at 0. The difference of two
     * unsigned numbers of 32 bits is right in that case too. */
    uint32_t dropped = run->dropped - run->dropped_before;
    batch_print_count("packets", run->packets);
    batch_print_count("lost", run->sent - run->packets);
    batch_print_count("dropped", dropped);
    batch_print_speed(run->packets, run->calls, run->end - run->begin, used);
    if (fflush(stdout) == EOF)
        warn("standard output");
    *run = (struct run){.dropped = run->dropped};
}

/* Counts the packets of the messages that one call has received. When the last
 * packet of a client has come, reports the run: what stands behind it in the
 * batch belongs to the next client. */
static void count_batch(struct run *run, struct mmsghdr *messages, int count) {
    int64_t now = batch_read_clock(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        if (run->packets == 0) {
            run->begin = now;
            run->used_before = batch_read_clock(CLOCK_PROCESS_CPUTIME_ID);
        }
        long long before = run->packets;
        count_message(run, &messages[i]);
        if (run->packets > before && run->end != now) {
            run->calls++; /* once for all messages of this call */
            run->end = now;
        }
        if (run->is_over)
            report(run);
    }
}

/* If a packet comes while we sleep in recvmmsg, the kernel has to wake us, and
 * that costs more than the packet. So we sleep here for a moment. Meanwhile
 * packets collect, and the next call receives them all. The kernel makes the
 * moment longer, by up to 50 microseconds: prctl(2), PR_SET_TIMERSLACK. */
static void let_packets_collect(void) {
    const struct timespec moment = {.tv_nsec = COLLECT_NS};
    (void)nanosleep(&moment, NULL); /* a signal may make it shorter */
}

/* Call this right after a call to receive has failed: errno is its reason. */
static void handle_failed_receive(struct server *server) {
    if (errno == EINTR)
        return;
    if (errno == EAGAIN) {
        /* Nothing came for QUIET_SECONDS. If a run had begun, its last packet
         * was lost. */
        if (server->run.packets > 0)
            server->run.is_over = 1;
        return;
    }
    if (server->mode == ONE)
        warn("recvmsg");
    else
        warn("recvmmsg");
}

/* Receives packets by one call, and counts them. */
static void receive_once(struct server *server) {
    int count = receive_messages(server);
    if (count < 0) {
        handle_failed_receive(server);
        return;
    }
    count_batch(&server->run, server->messages, count);
    /* If the batch is full, more packets may be waiting already. */
    if (server->mode != ONE && count < BATCH)
        let_packets_collect();
}

static void receive_all(struct server *server) {
    while (!stopping) {
        receive_once(server);
        if (server->run.is_over)
            report(&server->run);
    }
    if (server->run.packets > 0)
        report(&server->run);
    if (close(server->fd) < 0)
        err(1, "close");
    /* If a report could not be printed, we went on. But it is an error. */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
}

void server_run(enum mode mode, in_port_t port, unsigned buffer) {
    static struct server server;
    char name[ADDR_TEXT_BYTES];
    server.mode = mode;
    catch_signals();
    server.fd = bind_to(port, name);
    batch_set_option(server.fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
    if (buffer > 0)
        batch_set_option(server.fd, SOL_SOCKET, SO_RCVBUF, (int)buffer,
                         "SO_RCVBUF");
    if (server.mode == SEGMENT)
        batch_set_option(server.fd, SOL_UDP, UDP_GRO, 1, "UDP_GRO");
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    receive_all(&server);
}
