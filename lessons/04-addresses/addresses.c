/*
 * 04-addresses: print all addresses that a name has, and the bytes of each.
 *
 * Shows what getaddrinfo(3) makes of a name: a family, a type and a protocol,
 * which socket(2) wants, and the bytes that connect(2) or bind(2) wants.
 *
 * usage: 04-addresses [-4|-6] [-u] HOST [PORT]
 *     -4, -6  only addresses of that family
 *     -u      only for datagrams (SOCK_DGRAM); else for every type there is
 *
 * Left out: how a name server is asked (30); which of the addresses to take
 * (the exercise, and 16).
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535, /* a port is 16 bits wide: RFC 9293, section 3.1 */
    FIELDS = 5,           /* the most that an address of ours has */
};

struct field {
    const char *name;
    size_t start;
    size_t length;
};

/* The kernel takes an address as so many bytes. Their first two are the family,
 * and say what the others are: ip(7), ipv6(7). */
struct family {
    int number;
    const char *name;
    size_t address; /* where it starts */
    struct field fields[FIELDS];
};

static const struct family families[] = {
    {AF_INET,
     "AF_INET",
     offsetof(struct sockaddr_in, sin_addr),
     {{"family", offsetof(struct sockaddr_in, sin_family), 2},
      {"port", offsetof(struct sockaddr_in, sin_port), 2},
      {"address", offsetof(struct sockaddr_in, sin_addr), 4},
      {"padding", offsetof(struct sockaddr_in, sin_zero), 8}}},
    {AF_INET6,
     "AF_INET6",
     offsetof(struct sockaddr_in6, sin6_addr),
     {{"family", offsetof(struct sockaddr_in6, sin6_family), 2},
      {"port", offsetof(struct sockaddr_in6, sin6_port), 2},
      {"flowinfo", offsetof(struct sockaddr_in6, sin6_flowinfo), 4},
      {"address", offsetof(struct sockaddr_in6, sin6_addr), 16},
      {"scope", offsetof(struct sockaddr_in6, sin6_scope_id), 4}}},
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 04-addresses [-4|-6] [-u] HOST [PORT]\n", out);
    exit(status);
}

/* Digits and nothing else, 0 to 65535. getaddrinfo takes 65536 for port 0 and
 * "+80" for 80, and says nothing. */
static void require_port(const char *text) {
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 ||
        port > LARGEST_PORT)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
}

/* The caller frees the list. A failure is the value returned, with words of its
 * own: most of the time errno has nothing to do with it. */
static struct addrinfo *look_up(const char *host, const char *port, int family,
                                int type) {
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV, /* "http" for 80 is more than we teach */
        .ai_family = family,        /* AF_UNSPEC: any */
        .ai_socktype = type,        /* 0: any */
    };
    struct addrinfo *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error == EAI_SYSTEM)
        err(1, "getaddrinfo %s", host);
    if (error != 0)
        errx(1, "getaddrinfo %s: %s", host, gai_strerror(error));
    return list;
}

static const char *type_name(int type) {
    switch (type) {
    case SOCK_STREAM:
        return "SOCK_STREAM";
    case SOCK_DGRAM:
        return "SOCK_DGRAM";
    case SOCK_RAW:
        return "SOCK_RAW";
    default:
        return "?";
    }
}

static const char *protocol_name(int protocol) {
    switch (protocol) {
    case IPPROTO_TCP:
        return "IPPROTO_TCP";
    case IPPROTO_UDP:
        return "IPPROTO_UDP";
    case IPPROTO_IP: /* 0: the kernel chooses */
        return "IPPROTO_IP";
    default:
        return "?";
    }
}

/* The bytes as they lie in memory, each field on a line of its own. */
static void print_fields(const struct family *family,
                         const unsigned char *bytes) {
    for (size_t i = 0; i < FIELDS && family->fields[i].name != NULL; i++) {
        const struct field *field = &family->fields[i];
        printf("   %-9s", field->name);
        for (size_t byte = 0; byte < field->length; byte++)
            printf(" %02x", bytes[field->start + byte]);
        putchar('\n');
    }
}

/* The way back, from an address to a name; not every address has one. */
static void print_name(const struct addrinfo *answer) {
    char name[NI_MAXHOST];
    int error = getnameinfo(answer->ai_addr, answer->ai_addrlen, name,
                            sizeof name, NULL, 0, NI_NAMEREQD);
    if (error == 0)
        printf("   %-9s %s\n", "name", name);
    else
        printf("   %-9s none (%s)\n", "name", gai_strerror(error));
}

static void print_answer(int number, const struct addrinfo *answer) {
    const struct family *family = &families[answer->ai_family == AF_INET6];
    const unsigned char *bytes = (const unsigned char *)answer->ai_addr;
    char address[INET6_ADDRSTRLEN];

    if (answer->ai_family != family->number)
        errx(1, "an address of family %d", answer->ai_family);
    if (inet_ntop(family->number, bytes + family->address, address,
                  sizeof address) == NULL)
        err(1, "inet_ntop");
    printf("%-2d %-8s %-11s %-11s %s\n", number, family->name,
           type_name(answer->ai_socktype), protocol_name(answer->ai_protocol),
           address);
    print_fields(family, bytes);
    print_name(answer);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

int main(int argc, char **argv) {
    int family = AF_UNSPEC;
    int type = 0;
    int option;
    opterr = 0; /* usage says it all */
    while ((option = getopt(argc, argv, "+46uh")) != -1) {
        if (option == 'h' && argc == 2)
            usage(stdout, 0);
        else if ((option == '4' || option == '6') && family == AF_UNSPEC)
            family = option == '4' ? AF_INET : AF_INET6;
        else if (option == 'u')
            type = SOCK_DGRAM;
        else
            usage(stderr, 2);
    }
    argv += optind;
    argc -= optind;
    if (argc < 1 || argc > 2)
        usage(stderr, 2);
    if (argc == 2)
        require_port(argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */

    struct addrinfo *list = look_up(argv[0], argv[1], family, type);
    int number = 1;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        print_answer(number++, a);
    freeaddrinfo(list);
    return 0;
}
