/*
 * 29-udp-batch: sends datagrams as fast as it can; or receives them, and counts
 * how many came.
 *
 * Shows that a system call costs more than a packet: one call for one packet
 * (send, recvmsg), one call for many (sendmmsg, recvmmsg), and one call and one
 * trip through the kernel for many (UDP_SEGMENT, UDP_GRO).
 *
 * usage: 29-udp-batch serve [-m MODE] [-r BYTES] PORT      (0: any free port)
 *        29-udp-batch send [-b BYTES] [-d SECONDS] [-m MODE] [-n PACKETS]
 *                          HOST PORT
 *
 * MODE is ONE, MANY or SEGMENT; without -m it is ONE. The server asks for a
 * receive buffer of BYTES (-r). The client sends packets of BYTES (64) for
 * SECONDS (1), or until it has sent PACKETS. Each packet begins with its
 * number, counted from 0.
 *
 * Left out: packets that come twice or late (they are the exercise); a client
 * that sends only as fast as the server can receive; two clients at the same
 * time are counted as one.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Linux has both since 5.0, but some C libraries do not name them yet. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    LARGEST_DATAGRAM = 65507, /* lesson 03 */
    LARGEST_JOINED = 65535,   /* what UDP_GRO joins has no more bytes */
    LARGEST_PORT = 65535,
    LARGEST_BUFFER = 1 << 30,
    LONGEST_MS = 60 * 1000, /* in this time we don't run out of numbers */
    BATCH = 64,             /* messages in one call */
    SEGMENTS = 64, /* packets in one message: what every kernel accepts */
    PACKET_BYTES = 64,
    HEADER_BYTES = 5,       /* the number of a packet, and its kind */
    COLLECT_NS = 10 * 1000, /* how long the server lets packets collect */
    PAUSE_MS = 100,         /* before the last packet */
    QUIET_SECONDS = 1,      /* after this time without packets, it reports */
    NS_PER_MS = 1000 * 1000,
    NS_PER_SECOND = 1000 * NS_PER_MS,
};

/* How many packets a system call sends or receives. */
enum mode {
    ONE,     /* one packet */
    MANY,    /* up to BATCH packets, each a message of its own */
    SEGMENT, /* messages that the kernel cuts up, or has joined */
};

/* The kind of a packet stands in the byte behind its number. */
enum kind {
    DATA,
    END, /* the last packet of a client */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 29-udp-batch serve [-m MODE] [-r BYTES] PORT\n"
          "       29-udp-batch send [-b BYTES] [-d SECONDS] [-m MODE] [-n "
          "PACKETS]"
          "\n                         HOST PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number that the text is. Ends the program unless it is one from
 * least to most, in digits alone; `noun` says what it should be. */
static unsigned parse_number(const char *text, const char *noun, unsigned least,
                             unsigned most) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s is not a %s: %u to %u", text, noun, least, most);
    return (unsigned)number;
}

static enum mode parse_mode(const char *text) {
    if (strcmp(text, "ONE") == 0)
        return ONE;
    if (strcmp(text, "MANY") == 0)
        return MANY;
    if (strcmp(text, "SEGMENT") == 0)
        return SEGMENT;
    errx(1, "%s is not a mode: ONE, MANY or SEGMENT", text);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    int result = deadline_parse(text, strlen(text), &milliseconds);
    if (result < 0 || milliseconds > LONGEST_MS)
        errx(1, "%s is not a number of seconds up to %d", text,
             LONGEST_MS / 1000);
    return milliseconds;
}

/* If 1 or 2 were closed, our socket would get that number: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* Returns the nanoseconds of a clock: CLOCK_MONOTONIC (lesson 07), or
 * CLOCK_PROCESS_CPUTIME_ID, the processor time that we have used. Neither call
 * can fail, because both clocks exist. */
static int64_t read_clock(clockid_t clock) {
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

/* Sets an option whose value is a number. `name` is for the error message. */
static void set_option(int fd, int level, int option, int value,
                       const char *name) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        err(1, "setsockopt %s", name);
}

/* Prints one line of a report: what was counted, and how many. The caller looks
 * for errors when it flushes the whole report. */
static void print_count(const char *name, long long count) {
    (void)printf("%-10s %lld\n", name, count);
}

/* Prints the three lines that both sides print: how many calls there were, how
 * many packets in a second, and how many nanoseconds of processor time each
 * packet has cost. `elapsed` and `processor` are in nanoseconds. */
static void print_speed(long long packets, long long calls, int64_t elapsed,
                        int64_t processor) {
    print_count("calls", calls);
    if (packets == 0 || elapsed <= 0)
        return;
    double rate = (double)packets * NS_PER_SECOND / (double)elapsed;
    print_count("rate", (long long)rate);
    print_count("cost", processor / packets);
}

/* The client. */

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
    (void)parse_number(port, "port", 1, LARGEST_PORT);
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
        set_option(client->fd, SOL_UDP, UDP_SEGMENT, (int)client->bytes,
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
 * given time. Returns the exit status. */
static int run_client(struct client *client, int milliseconds,
                      uint32_t packets) {
    int64_t used_before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    int64_t start = read_clock(CLOCK_MONOTONIC);
    int64_t end = start + (int64_t)milliseconds * NS_PER_MS;
    int64_t now = start;
    if (packets > 0) {
        while (client->next < packets)
            send_next(client, packets - client->next);
        now = read_clock(CLOCK_MONOTONIC);
    } else {
        while (now < end) {
            send_next(client, client->per_call);
            now = read_clock(CLOCK_MONOTONIC);
        }
    }
    int64_t used = read_clock(CLOCK_PROCESS_CPUTIME_ID) - used_before;
    print_count("packets", client->next);
    print_speed(client->next, client->calls, now - start, used);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    send_last(client);
    if (close(client->fd) < 0)
        err(1, "close");
    return 0;
}

static int send_main(int argc, char **argv) {
    static struct client client = {.mode = ONE, .bytes = PACKET_BYTES};
    static char name[ADDR_TEXT_BYTES];
    int milliseconds = 1000;
    uint32_t packets = 0; /* as many as possible in that time */
    optind = 2;           /* the options begin behind the word "send" */
    for (;;) {
        int option = getopt(argc, argv, "+b:d:m:n:");
        if (option == -1)
            break;
        if (option == 'b')
            client.bytes = parse_number(optarg, "size of a packet",
                                        HEADER_BYTES, LARGEST_DATAGRAM);
        else if (option == 'd')
            milliseconds = parse_seconds(optarg);
        else if (option == 'm')
            client.mode = parse_mode(optarg);
        else if (option == 'n')
            packets = parse_number(optarg, "number of packets", 1, UINT32_MAX);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 2)
        usage(stderr, 2);
    client.fd = connect_to(argv[optind], argv[optind + 1], name);
    client.name = name;
    prepare(&client);
    return run_client(&client, milliseconds, packets);
}

/* The server. */

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

/* Receives messages by one system call, which waits until there is one. Returns
 * how many it has received, or -1. */
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
    int joined;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = next_control(message, header)) {
        if (header->cmsg_level == SOL_UDP && header->cmsg_type == UDP_GRO) {
            memcpy(&joined, CMSG_DATA(header), sizeof joined);
            *size = (size_t)joined;
        } else if (header->cmsg_level == SOL_SOCKET &&
                   header->cmsg_type == SO_RXQ_OVFL) {
            memcpy(dropped, CMSG_DATA(header), sizeof *dropped);
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
    size_t size = length; /* of a packet. If none were joined, there is one. */
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

/* Counts the packets of the messages that one call has received. */
static void count_batch(struct run *run, struct mmsghdr *messages, int count) {
    int64_t now = read_clock(CLOCK_MONOTONIC);
    if (run->packets == 0) {
        run->begin = now;
        run->used_before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    }
    long long before = run->packets;
    for (int i = 0; i < count; i++)
        count_message(run, &messages[i]);
    if (run->packets > before) {
        run->calls++;
        run->end = now;
    }
}

/* Prints what we have counted in a run, and begins a new one. */
static void report(struct run *run) {
    int64_t used = read_clock(CLOCK_PROCESS_CPUTIME_ID) - run->used_before;
    /* The kernel's counter may have begun again at 0. The difference of two
     * unsigned numbers of 32 bits is right in that case too. */
    uint32_t dropped = run->dropped - run->dropped_before;
    print_count("packets", run->packets);
    print_count("lost", run->sent - run->packets);
    print_count("dropped", dropped);
    print_speed(run->packets, run->calls, run->end - run->begin, used);
    if (fflush(stdout) == EOF)
        warn("standard output");
    *run = (struct run){.dropped = run->dropped};
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

static int run_server(struct server *server) {
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
    return 0;
}

static int serve_main(int argc, char **argv) {
    static struct server server = {.mode = ONE};
    char name[ADDR_TEXT_BYTES];
    unsigned buffer = 0; /* the size that the kernel chooses */
    optind = 2;          /* the options begin behind the word "serve" */
    for (;;) {
        int option = getopt(argc, argv, "+m:r:");
        if (option == -1)
            break;
        if (option == 'm')
            server.mode = parse_mode(optarg);
        else if (option == 'r')
            buffer =
                parse_number(optarg, "size of a buffer", 1, LARGEST_BUFFER);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    unsigned port = parse_number(argv[optind], "port", 0, LARGEST_PORT);

    catch_signals();
    server.fd = bind_to((in_port_t)port, name);
    set_option(server.fd, SOL_SOCKET, SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
    if (buffer > 0)
        set_option(server.fd, SOL_SOCKET, SO_RCVBUF, (int)buffer, "SO_RCVBUF");
    if (server.mode == SEGMENT)
        set_option(server.fd, SOL_UDP, UDP_GRO, 1, "UDP_GRO");
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return run_server(&server);
}

int main(int argc, char **argv) {
    require_output();
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return serve_main(argc, argv);
    if (argc >= 2 && strcmp(argv[1], "send") == 0)
        return send_main(argc, argv);
    usage(stderr, 2);
}
