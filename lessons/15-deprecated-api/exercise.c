/*
 * 15 exercise: a program of 1999, to be brought up to date.
 *
 * A program from 1999 still works today. It connects to a few servers,
 * receives from all of them, and counts the bytes. But it was written when
 * nearly all of the internet used IPv4, and when a program had only a few
 * descriptors. It makes seven calls that you know from the notes:
 * `gethostbyname`, `inet_addr`, `inet_ntoa`, `select`, `usleep`, `bzero` and
 * `bcopy`.
 *
 * The starter is this program, whole and working. Bring it up to date.
 * Everything that it does already must still work.
 *
 * It is called as `15-deprecated-api HOST PORT [HOST PORT]...`, with 1 to 8
 * servers.
 *
 * 1. It connects to a server, and says how many bytes the server sent. It
 *    prints `connected to 127.0.0.1:8080` when it is connected, and
 *    `127.0.0.1:8080 said 42 bytes` when the server has closed the connection.
 *    When all servers have done so, it ends with status 0.
 * 2. It says of each server what that server sent. With several servers, each
 *    line names the right one. It connects to the servers in the order of the
 *    arguments.
 * 3. It receives from all servers at once, and prints each line at once. A
 *    server that is silent does not hold up the others.
 * 4. It finds a server by its name, whichever of its addresses answers. It
 *    asks `getaddrinfo`, and tries the addresses in the order in which it
 *    returns them. If `socket` or `connect` fails for an address, it goes on
 *    with the next one. The check puts a `getaddrinfo` of its own in the place
 *    of the C library's, so other ways to look up a name find nothing.
 * 5. It speaks IPv6 as well. HOST may be an IPv6 address, or a name that has
 *    one. Such an address is printed as in `[::1]:8080`.
 * 6. It takes a socket whose number is 1024 or more. The check starts the
 *    program with so many open descriptors that the kernel gives it no smaller
 *    number.
 * 7. It tries three times, with a pause of a tenth of a second. One try goes
 *    through all addresses of HOST. If the third try fails too, it ends with
 *    status 1, and says on standard error why, and which address it tried
 *    last.
 * 8. It reports a reset as an error, with status 1. On standard error it says
 *    which server it was, and the reason in words, such as "Connection reset
 *    by peer".
 * 9. It makes none of the dead calls. These are the seven calls of the
 *    program, and also `gethostbyaddr` and `inet_aton`. Declarations are no
 *    calls.
 * 10. It refuses a wrong number of arguments, with status 2. It then prints a
 *    line that begins with `usage:` on standard error.
 * 11. It refuses an unknown HOST, with status 1. The message on standard error
 *    contains the name.
 * 12. It refuses an invalid PORT, with status 1. A port is a number from 1 to
 *    65535, in digits alone; `80x` is invalid. Your program may look at a PORT
 *    before it connects to any server, or only when it comes to it.
 *
 * What is here compiles and works, and the compiler does not complain.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* The C library does not say that these calls are dead. So we declare them
 * again, as deprecated. But the line with #pragma silences the compiler, and
 * the two lines with NOLINT silence another tool. Begin there: delete all
 * three. Of bzero and bcopy the compiler says nothing even then. */
#define DEAD __attribute__((deprecated))
DEAD struct hostent *gethostbyname(const char *name);
DEAD in_addr_t inet_addr(const char *text);
DEAD char *inet_ntoa(struct in_addr address);
DEAD int select(int count, fd_set *restrict readable, fd_set *restrict writable,
                fd_set *restrict exceptional, struct timeval *restrict timeout);
DEAD int usleep(useconds_t microseconds);
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* NOLINTBEGIN(clang-analyzer-security.insecureAPI*) */

enum {
    MOST_SERVERS = 8,
    TRIES = 3,
    PAUSE_MICROSECONDS = 100000,
};

struct server {
    int fd; /* -1 when the server has ended */
    char name[32];
    unsigned long bytes;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 15-deprecated-api HOST PORT [HOST PORT]...\n", out);
    exit(status);
}

static in_port_t parse_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);

    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_all_number = begins_with_digit && *end == '\0';
    int is_in_range = errno == 0 && port >= 1 && port <= 65535;
    if (!is_all_number || !is_in_range)
        errx(1, "%s is not a port: 1 to 65535", text);
    return (in_port_t)port;
}

/* Returns the address that host names. It may also be an address in numbers. */
static struct in_addr look_up(const char *host) {
    struct in_addr address;
    address.s_addr = inet_addr(host);
    if (address.s_addr != INADDR_NONE)
        return address;

    struct hostent *entry = gethostbyname(host);
    if (entry != NULL) {
        bcopy(entry->h_addr_list[0], &address, sizeof address);
        return address;
    }
    errx(1, "%s: %s", host, hstrerror(h_errno));
}

static void connect_to(struct server *server, const char *host,
                       const char *port) {
    struct sockaddr_in address;
    bzero(&address, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(parse_port(port));
    address.sin_addr = look_up(host);
    /* The next call of inet_ntoa overwrites its text, so we copy it. */
    (void)sprintf(server->name, "%s:%d", inet_ntoa(address.sin_addr),
                  ntohs(address.sin_port));

    for (int try = 1;; try++) {
        server->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (server->fd < 0)
            err(1, "socket");
        int result =
            connect(server->fd, (struct sockaddr *)&address, sizeof address);
        if (result == 0)
            break;
        if (try == TRIES)
            err(1, "connect %s", server->name);
        (void)close(server->fd);
        (void)usleep(PAUSE_MICROSECONDS);
    }
    printf("connected to %s\n", server->name);
    (void)fflush(stdout);
}

/* Receives once, and counts the bytes. Prints the count when the server has
 * ended. */
static void receive_from(struct server *server) {
    char piece[4096];
    ssize_t received = recv(server->fd, piece, sizeof piece, 0);
    if (received < 0)
        err(1, "recv from %s", server->name);
    server->bytes += (unsigned long)received;
    if (received > 0)
        return;
    printf("%s said %lu bytes\n", server->name, server->bytes);
    (void)fflush(stdout);
    (void)close(server->fd);
    server->fd = -1;
}

/* Waits until some of the servers have sent something, and receives that.
 * Returns how many servers have not ended. */
static int receive_from_all(struct server *servers, int count) {
    fd_set readable;
    int highest = -1;
    int still_open = 0;
    FD_ZERO(&readable);
    for (int i = 0; i < count; i++) {
        if (servers[i].fd < 0)
            continue;
        FD_SET((unsigned)servers[i].fd, &readable);
        if (servers[i].fd > highest)
            highest = servers[i].fd;
    }
    if (select(highest + 1, &readable, NULL, NULL, NULL) < 0)
        err(1, "select");
    for (int i = 0; i < count; i++) {
        if (servers[i].fd < 0)
            continue;
        if (FD_ISSET((unsigned)servers[i].fd, &readable))
            receive_from(&servers[i]);
        if (servers[i].fd >= 0)
            still_open++;
    }
    return still_open;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    int words = argc - 1; /* HOST and PORT for each server */
    if (words % 2 != 0)
        usage(stderr, 2);
    int count = words / 2;
    if (count < 1 || count > MOST_SERVERS)
        usage(stderr, 2);

    struct server servers[MOST_SERVERS];
    bzero(servers, sizeof servers);
    char **word = argv + 1;
    for (int i = 0; i < count; i++) {
        connect_to(&servers[i], word[0], word[1]);
        word += 2;
    }
    int still_open = count;
    while (still_open > 0)
        still_open = receive_from_all(servers, count);
    return 0;
}
/* NOLINTEND(clang-analyzer-security.insecureAPI*) */
