/*
 * 04-addresses: print all addresses of a name, and the bytes of each.
 *
 * Shows what getaddrinfo(3) returns for a name: a family, a type and a protocol
 * for socket(2), and the bytes of an address for connect(2) or bind(2).
 *
 * usage: 04-addresses [-4|-6] [-u] HOST [PORT]
 *     -4, -6  only addresses of that family
 *     -u      only for datagrams (SOCK_DGRAM); otherwise for every type
 *
 * Left out: how a name server is asked; which of the addresses to use (the
 * exercise tries them one after another).
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535, /* a port has 16 bits: RFC 9293, section 3.1 */
    MOST_FIELDS = 5,      /* of an address, in the families that we know */
};

/* One part of an address in memory, such as the port. */
struct field {
    const char *name;
    size_t start;  /* its first byte */
    size_t length; /* in bytes */
};

/* What the bytes of an address mean: see ip(7) and ipv6(7). The first two bytes
 * are always the family. */
struct family {
    int number;
    const char *name;
    size_t address_start;             /* where the IP address begins */
    struct field fields[MOST_FIELDS]; /* a name of NULL: no more fields */
};

static const struct family families[] = {
    {.number = AF_INET,
     .name = "AF_INET",
     .address_start = offsetof(struct sockaddr_in, sin_addr),
     .fields = {{"family", offsetof(struct sockaddr_in, sin_family), 2},
                {"port", offsetof(struct sockaddr_in, sin_port), 2},
                {"address", offsetof(struct sockaddr_in, sin_addr), 4},
                {"padding", offsetof(struct sockaddr_in, sin_zero), 8}}},
    {.number = AF_INET6,
     .name = "AF_INET6",
     .address_start = offsetof(struct sockaddr_in6, sin6_addr),
     .fields = {{"family", offsetof(struct sockaddr_in6, sin6_family), 2},
                {"port", offsetof(struct sockaddr_in6, sin6_port), 2},
                {"flowinfo", offsetof(struct sockaddr_in6, sin6_flowinfo), 4},
                {"address", offsetof(struct sockaddr_in6, sin6_addr), 16},
                {"scope", offsetof(struct sockaddr_in6, sin6_scope_id), 4}}},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* What the command line asks for. */
struct options {
    int family; /* AF_UNSPEC: any */
    int type;   /* 0: any */
    const char *host;
    const char *port; /* NULL: none was given */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 04-addresses [-4|-6] [-u] HOST [PORT]\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Ends the program unless the text is a number from 0 to 65535, in digits
 * alone. getaddrinfo(3) does not check this: it takes 65536 for port 0, and
 * "+80" for 80. */
static void require_port(const char *text) {
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    /* strtoul(3) alone would also take blanks and a sign in front. */
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_number = begins_with_digit && *end == '\0';
    int is_in_range = port <= LARGEST_PORT;
    if (!is_number || !is_in_range)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
}

/* Returns the addresses that the options ask for, as a list that the caller
 * gives to freeaddrinfo(3). getaddrinfo(3) is no system call: it returns its
 * own error numbers. errno has a meaning only with one of them, EAI_SYSTEM. */
static struct addrinfo *look_up(const struct options *options) {
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV, /* not a word such as "http" */
        .ai_family = options->family,
        .ai_socktype = options->type,
    };
    struct addrinfo *list;
    int error = getaddrinfo(options->host, options->port, &hints, &list);
    if (error == EAI_SYSTEM)
        err(1, "getaddrinfo %s", options->host);
    if (error != 0)
        errx(1, "getaddrinfo %s: %s", options->host, gai_strerror(error));
    return list;
}

/* Returns what we know of this family. Ends the program for any other. */
static const struct family *find_family(int number) {
    for (size_t i = 0; i < FAMILIES; i++) {
        if (families[i].number == number)
            return &families[i];
    }
    errx(1, "an address of family %d", number);
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

/* Prints the bytes as they are in memory, a line for each field. */
static void print_fields(const struct family *family,
                         const unsigned char *bytes) {
    for (size_t i = 0; i < MOST_FIELDS; i++) {
        const struct field *field = &family->fields[i];
        if (field->name == NULL)
            return; /* this family has fewer than MOST_FIELDS */
        printf("   %-9s", field->name);
        for (size_t byte = 0; byte < field->length; byte++)
            printf(" %02x", bytes[field->start + byte]);
        putchar('\n');
    }
}

/* Prints the name that belongs to the address. Not every address has one. */
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
    const struct family *family = find_family(answer->ai_family);
    const unsigned char *bytes = (const unsigned char *)answer->ai_addr;
    char address[INET6_ADDRSTRLEN];

    const unsigned char *ip_address = bytes + family->address_start;
    if (inet_ntop(family->number, ip_address, address, sizeof address) == NULL)
        err(1, "inet_ntop");
    printf("%-2d %-8s %-11s %-11s %s\n", number, family->name,
           type_name(answer->ai_socktype), protocol_name(answer->ai_protocol),
           address);
    print_fields(family, bytes);
    print_name(answer);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
}

/* Keeps the family that -4 or -6 asks for. There may be only one of them, and
 * only once. */
static void choose_family(struct options *options, int family) {
    if (options->family != AF_UNSPEC)
        usage(stderr, 2);
    options->family = family;
}

static struct options parse_options(int argc, char **argv) {
    struct options options = {.family = AF_UNSPEC};
    opterr = 0; /* our usage says what is wrong */

    for (;;) {
        int option = getopt(argc, argv, "+46uh");
        if (option == -1)
            break;
        if (option == 'h' && argc == 2) /* -h is right only alone */
            usage(stdout, 0);
        else if (option == '4')
            choose_family(&options, AF_INET);
        else if (option == '6')
            choose_family(&options, AF_INET6);
        else if (option == 'u')
            options.type = SOCK_DGRAM;
        else
            usage(stderr, 2);
    }
    int operand_count = argc - optind;
    if (operand_count != 1 && operand_count != 2)
        usage(stderr, 2);
    options.host = argv[optind];
    if (operand_count == 2) {
        options.port = argv[optind + 1];
        require_port(options.port);
    }
    return options;
}

int main(int argc, char **argv) {
    struct options options = parse_options(argc, argv);
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    struct addrinfo *list = look_up(&options);
    int number = 0;
    for (const struct addrinfo *answer = list; answer != NULL;
         answer = answer->ai_next) {
        number++;
        print_answer(number, answer);
    }
    freeaddrinfo(list);
    return 0;
}
