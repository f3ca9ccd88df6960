/*
 * sockets: list this machine's IPv4 sockets that have a given local port.
 *
 *     sockets PORT       TCP
 *     sockets -p PORT    TCP, and it is the peer that has this port
 *     sockets -u PORT    UDP
 *
 * The kernel shows them in /proc/net/tcp and /proc/net/udp, in hexadecimal: see
 * proc(5). This program prints the same facts in words, a line for each socket:
 *
 *     STATE        TO SEND  TO READ  INODE    PEER
 *     LISTEN             0        1  48291    -
 *     ESTABLISHED        0        7  0        127.0.0.1:52610
 *
 *     TO READ  DROPPED  INODE
 *       61184        8  48307
 *
 * The listeners come first. Then come the sockets that a process has, in the
 * order of their inodes. As a rule this is the order in which they were made or
 * accepted: each core counts up, with numbers of its own. The others are
 * last, in the order of their peers' ports. TO SEND and TO READ are
 * numbers of bytes that wait in the kernel. For a listener, TO READ is the
 * number of connections that wait for accept(2). For UDP, TO READ is the memory
 * that the waiting datagrams take, and DROPPED is how many datagrams the kernel
 * has thrown away. The inode is 0 while no process has a descriptor for the
 * socket.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_PORT = 65535,
    MOST_SOCKETS = 1024,
    LINE_BYTES = 512,
    STATE_LISTEN = 10, /* as <netinet/tcp.h> numbers the states */
    STATES = 13,
};

enum protocol { TCP, UDP };

/* Whose port is looked for. */
enum end { LOCAL, PEER };

/* The numbers at the beginning of a line in the kernel's table. Between two of
 * them there is a blank or a colon. Those before UID are hexadecimal, but for
 * LINE, which nobody needs.
 */
enum field {
    LINE,
    LOCAL_ADDRESS,
    LOCAL_PORT,
    PEER_ADDRESS,
    PEER_PORT,
    STATE,
    TO_SEND,
    TO_READ,
    TIMER,
    TIMER_END,
    RETRANSMISSIONS,
    UID,
    TIMEOUT,
    INODE,
    FIELDS,
};

struct shown_socket {
    unsigned state;
    uint32_t to_send; /* bytes */
    uint32_t to_read; /* bytes, or connections of a listener */
    uint64_t dropped; /* datagrams; UDP alone */
    uint64_t inode;
    struct in_addr peer_address;
    unsigned peer_port; /* in the machine's own byte order */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: sockets [-p|-u] PORT\n", out);
    exit(status);
}

static unsigned parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_all_number = begins_with_digit && *end == '\0';
    if (!is_all_number || errno != 0 || port < 1 || port > LARGEST_PORT)
        errx(1, "%s is not a port: 1 to %d", text, LARGEST_PORT);
    return (unsigned)port;
}

static const char *name_of_state(unsigned state) {
    static const char *const names[STATES] = {
        "?",         "ESTABLISHED", "SYN_SENT",     "SYN_RECV",   "FIN_WAIT1",
        "FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT", "LAST_ACK",
        "LISTEN",    "CLOSING",     "NEW_SYN_RECV",
    };
    return state < STATES ? names[state] : "?";
}

/* Reads the numbers at the beginning of a line. Returns -1 if there are fewer,
 * as in the line with the columns' names.
 */
static int parse_fields(const char *line, unsigned long fields[FIELDS]) {
    const char *next = line;
    for (int i = 0; i < FIELDS; i++) {
        char *end;
        fields[i] = strtoul(next, &end, i < UID ? 16 : 10);
        if (end == next)
            return -1;
        next = end;
        if (*next == ':')
            next++;
    }
    return 0;
}

/* Reads one line of the kernel's table into *found. Returns 1 if it is a socket
 * with this port at this end, else 0. The kernel prints an address as the
 * number that its four bytes are in this machine's memory, and a port in the
 * usual order.
 */
static int parse_line(const char *line, enum end end, unsigned port,
                      struct shown_socket *found) {
    unsigned long fields[FIELDS];
    if (parse_fields(line, fields) < 0)
        return 0;
    if (fields[end == PEER ? PEER_PORT : LOCAL_PORT] != port)
        return 0;
    found->state = (unsigned)fields[STATE];
    found->to_send = (uint32_t)fields[TO_SEND];
    found->to_read = (uint32_t)fields[TO_READ];
    found->inode = fields[INODE];
    found->peer_address.s_addr = (in_addr_t)fields[PEER_ADDRESS];
    found->peer_port = (unsigned)fields[PEER_PORT];
    return 1;
}

/* Returns the number at the end of the line. In /proc/net/udp this is how many
 * datagrams were dropped. */
static uint64_t last_number(const char *line) {
    size_t length = strcspn(line, "\n");
    while (length > 0 && line[length - 1] == ' ')
        length--;
    while (length > 0 && line[length - 1] != ' ')
        length--;
    return strtoull(line + length, NULL, 10);
}

/* Orders the lines: first the listener, then the sockets that a program has a
 * descriptor for, the oldest first, then the others. */
static int compare_sockets(const void *left, const void *right) {
    const struct shown_socket *a = left;
    const struct shown_socket *b = right;
    int a_listens = a->state == STATE_LISTEN;
    int b_listens = b->state == STATE_LISTEN;
    if (a_listens != b_listens)
        return a_listens ? -1 : 1;
    int a_is_open = a->inode != 0;
    int b_is_open = b->inode != 0;
    if (a_is_open != b_is_open)
        return a_is_open ? -1 : 1;
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    if (a->peer_port != b->peer_port)
        return a->peer_port < b->peer_port ? -1 : 1;
    return 0;
}

static void print_tcp(const struct shown_socket *shown) {
    char address[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &shown->peer_address, address, sizeof address);
    printf("%-12s %7" PRIu32 "  %7" PRIu32 "  %-8" PRIu64 " ",
           name_of_state(shown->state), shown->to_send, shown->to_read,
           shown->inode);
    if (shown->state == STATE_LISTEN)
        puts("-");
    else
        printf("%s:%u\n", address, shown->peer_port);
}

static void print_udp(const struct shown_socket *shown) {
    printf("%7" PRIu32 "  %7" PRIu64 "  %" PRIu64 "\n", shown->to_read,
           shown->dropped, shown->inode);
}

/* Reads the sockets with this port at this end into found. Returns their
 * number. */
static size_t read_sockets(enum protocol protocol, enum end end, unsigned port,
                           struct shown_socket found[MOST_SOCKETS]) {
    const char *path = protocol == UDP ? "/proc/net/udp" : "/proc/net/tcp";
    char line[LINE_BYTES];
    size_t count = 0;

    FILE *table = fopen(path, "re");
    if (table == NULL)
        err(1, "%s", path);
    while (count < MOST_SOCKETS && fgets(line, sizeof line, table) != NULL) {
        if (parse_line(line, end, port, &found[count])) {
            found[count].dropped = last_number(line);
            count++;
        }
    }
    if (ferror(table))
        err(1, "%s", path);
    (void)fclose(table); /* it was only read */
    return count;
}

int main(int argc, char **argv) {
    static struct shown_socket found[MOST_SOCKETS];
    enum protocol protocol = TCP;
    enum end end = LOCAL;

    if (argc == 3 && strcmp(argv[1], "-u") == 0)
        protocol = UDP;
    else if (argc == 3 && strcmp(argv[1], "-p") == 0)
        end = PEER;
    else if (argc != 2)
        usage(stderr, 2);
    size_t count =
        read_sockets(protocol, end, parse_port(argv[argc - 1]), found);

    qsort(found, count, sizeof found[0], compare_sockets);
    if (protocol == UDP)
        puts("TO READ  DROPPED  INODE");
    else
        puts("STATE        TO SEND  TO READ  INODE    PEER");
    for (size_t i = 0; i < count; i++) {
        if (protocol == UDP)
            print_udp(&found[i]);
        else
            print_tcp(&found[i]);
    }
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
