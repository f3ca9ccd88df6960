/*
 * numbered: sends packets with numbers, in any order, to a port of 127.0.0.1.
 *
 *     numbered [-b BYTES] [-m MODE] PORT PACKET...
 *
 * A PACKET is one of these:
 *
 *     7        the packet with number 7; it has BYTES bytes (64)
 *     7-9      the packets 7, 8 and 9; 4294967295-1 are three packets
 *     7:5      the packet with number 7, of 5 bytes
 *     7x3+10   the packets 7, 17 and 27; the receiver reads them meanwhile
 *     +3       3 bytes of a packet that is too short to have a number
 *     end      an empty datagram, when the receiver has read all before it
 *
 * The number is in the first four bytes, the most significant byte first. The
 * bytes behind it are drawn anew for each run.
 *
 * MODE is ONE (a call for each packet), MANY (sendmmsg, up to 64 packets), or
 * SEGMENT (UDP_SEGMENT: up to 64 packets in one call, of one size; only the
 * last may be shorter). Without -m it is ONE.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    LARGEST_DATAGRAM = 65507,
    LARGEST_PORT = 65535,
    NUMBER_BYTES = 4,
    BATCH = 64,
    LINE_BYTES = 512, /* of /proc/net/udp */
    HEXADECIMAL = 16,
    PATIENCE = 10000, /* looks at the receiver's buffer, 1 ms apart */
    LOOK_NS = 1 * 1000 * 1000,
};

enum mode { ONE, MANY, SEGMENT };

struct sender {
    int fd;
    unsigned port;
    enum mode mode;
    size_t bytes; /* of a packet */
    size_t count; /* packets that wait to be sent */
    size_t used;  /* their bytes */
    struct iovec parts[BATCH];
    char waiting[BATCH * LARGEST_DATAGRAM];
    char noise[LARGEST_DATAGRAM];
};

static _Noreturn void usage(void) {
    fputs("usage: numbered [-b BYTES] [-m ONE|MANY|SEGMENT] PORT PACKET...\n",
          stderr);
    exit(2);
}

static void send_segments(struct sender *sender) {
    int size = (int)sender->parts[0].iov_len;
    if (setsockopt(sender->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) < 0)
        err(1, "setsockopt UDP_SEGMENT");
    if (send(sender->fd, sender->waiting, sender->used, 0) < 0)
        err(1, "send");
    size = 0;
    if (setsockopt(sender->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) < 0)
        err(1, "setsockopt UDP_SEGMENT");
}

static void send_many(struct sender *sender) {
    struct mmsghdr messages[BATCH] = {0};
    for (size_t i = 0; i < sender->count; i++) {
        messages[i].msg_hdr.msg_iov = &sender->parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    size_t done = 0;
    while (done < sender->count) {
        int sent = sendmmsg(sender->fd, messages + done,
                            (unsigned)(sender->count - done), 0);
        if (sent < 0)
            err(1, "sendmmsg");
        done += (size_t)sent;
    }
}

/* Sends what waits, by one call. */
static void flush_packets(struct sender *sender) {
    if (sender->count == 0)
        return;
    if (sender->mode == SEGMENT)
        send_segments(sender);
    else
        send_many(sender);
    sender->count = 0;
    sender->used = 0;
}

/* Whether a packet of so many bytes can go with those that wait. */
static int fits(const struct sender *sender, size_t length) {
    if (sender->count == 0)
        return 1;
    if (sender->mode == ONE || sender->count == BATCH)
        return 0;
    if (sender->mode == MANY)
        return 1;
    return sender->parts[sender->count - 1].iov_len ==
               sender->parts[0].iov_len &&
           length <= sender->parts[0].iov_len &&
           sender->used + length <= LARGEST_DATAGRAM;
}

static void add(struct sender *sender, const char *packet, size_t length) {
    if (!fits(sender, length))
        flush_packets(sender);
    char *place = sender->waiting + sender->used;
    memcpy(place, packet, length);
    sender->parts[sender->count].iov_base = place;
    sender->parts[sender->count].iov_len = length;
    sender->count++;
    sender->used += length;
}

static void add_number(struct sender *sender, uint32_t number, size_t length) {
    uint32_t in_network_order = htonl(number);
    memcpy(sender->noise, &in_network_order, sizeof in_network_order);
    add(sender, sender->noise, length);
}

/* Returns how many bytes the socket at our port has not read yet. Its line has
 * the address and the port, the peer's, the state, and then two lengths. */
static unsigned long unread(unsigned port) {
    char line[LINE_BYTES];
    char own[sizeof ": 0100007F:FFFF "];
    unsigned long result = 0;
    (void)snprintf(own, sizeof own, ": 0100007F:%04X ", port);
    FILE *table = fopen("/proc/net/udp", "re");
    if (table == NULL)
        err(1, "/proc/net/udp");
    while (fgets(line, sizeof line, table) != NULL) {
        const char *lengths = strstr(line, own);
        if (lengths == NULL)
            continue;
        lengths = strchr(lengths + sizeof own, ':'); /* the peer's port */
        if (lengths != NULL)
            lengths = strchr(lengths + 1, ':');
        if (lengths != NULL)
            result = strtoul(lengths + 1, NULL, HEXADECIMAL);
    }
    (void)fclose(table);
    return result;
}

/* Waits until the receiver has read all. */
static void wait_for_receiver(struct sender *sender) {
    const struct timespec look = {.tv_nsec = LOOK_NS};
    flush_packets(sender);
    for (int i = 0; i < PATIENCE && unread(sender->port) > 0; i++)
        (void)nanosleep(&look, NULL);
}

/* An empty datagram that found no room would leave the receiver waiting. */
static void send_end(struct sender *sender) {
    wait_for_receiver(sender);
    if (send(sender->fd, "", 0, 0) < 0)
        err(1, "send");
}

static unsigned long parse_number(const char *text, char **end) {
    if (*text < '0' || *text > '9')
        usage();
    unsigned long number = strtoul(text, end, 10);
    if (number > UINT32_MAX)
        usage();
    return number;
}

/* Adds so many packets, whose numbers are that far apart. So many would not all
 * find room in the receive buffer. */
static void add_steps(struct sender *sender, uint32_t number,
                      unsigned long count, uint32_t step) {
    for (unsigned long i = 0; i < count; i++) {
        if (i % BATCH == 0)
            wait_for_receiver(sender);
        add_number(sender, number, sender->bytes);
        number += step;
    }
}

static void add_word(struct sender *sender, const char *word) {
    char *end;
    if (strcmp(word, "end") == 0) {
        send_end(sender);
        return;
    }
    if (*word == '+') {
        unsigned long length = parse_number(word + 1, &end);
        if (*end != '\0' || length < 1 || length >= NUMBER_BYTES)
            usage();
        add(sender, sender->noise + NUMBER_BYTES, length);
        return;
    }
    uint32_t number = (uint32_t)parse_number(word, &end);
    if (*end == ':') {
        unsigned long length = parse_number(end + 1, &end);
        if (*end != '\0' || length < NUMBER_BYTES || length > LARGEST_DATAGRAM)
            usage();
        add_number(sender, number, length);
        return;
    }
    if (*end == 'x') {
        unsigned long count = parse_number(end + 1, &end);
        if (*end != '+')
            usage();
        uint32_t step = (uint32_t)parse_number(end + 1, &end);
        if (*end != '\0')
            usage();
        add_steps(sender, number, count, step);
        return;
    }
    uint32_t last = number;
    if (*end == '-')
        last = (uint32_t)parse_number(end + 1, &end);
    if (*end != '\0')
        usage();
    for (; number != last; number++)
        add_number(sender, number, sender->bytes);
    add_number(sender, last, sender->bytes);
}

static enum mode parse_mode(const char *text) {
    if (strcmp(text, "MANY") == 0)
        return MANY;
    if (strcmp(text, "SEGMENT") == 0)
        return SEGMENT;
    if (strcmp(text, "ONE") != 0)
        usage();
    return ONE;
}

static void parse_options(struct sender *sender, int argc, char **argv) {
    char *end;
    for (;;) {
        int option = getopt(argc, argv, "+b:m:");
        if (option == -1)
            break;
        if (option == 'b')
            sender->bytes = parse_number(optarg, &end);
        else if (option == 'm')
            sender->mode = parse_mode(optarg);
        else
            usage();
    }
    if (argc - optind < 2)
        usage();
    if (sender->bytes < NUMBER_BYTES || sender->bytes > LARGEST_DATAGRAM)
        usage();
    sender->port = (unsigned)parse_number(argv[optind], &end);
    if (*end != '\0' || sender->port < 1 || sender->port > LARGEST_PORT)
        usage();
}

static void draw_noise(struct sender *sender) {
    size_t done = 0;
    while (done < sizeof sender->noise) {
        ssize_t drawn =
            getrandom(sender->noise + done, sizeof sender->noise - done, 0);
        if (drawn < 0)
            err(1, "getrandom");
        done += (size_t)drawn;
    }
}

static void connect_sender(struct sender *sender) {
    struct sockaddr_in peer = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)sender->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    sender->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sender->fd < 0)
        err(1, "socket");
    if (connect(sender->fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        err(1, "connect");
}

int main(int argc, char **argv) {
    static struct sender sender = {.bytes = BATCH};
    parse_options(&sender, argc, argv);
    draw_noise(&sender);
    connect_sender(&sender);
    for (int i = optind + 1; i < argc; i++)
        add_word(&sender, argv[i]);
    flush_packets(&sender);
    if (close(sender.fd) < 0)
        err(1, "close");
    return 0;
}
