/*
 * 17-create-server: tell each client its own address, over IPv4 and IPv6.
 *
 * Shows what Python's socket.create_server does: one listener for the clients
 * of two families (IPV6_V6ONLY), several listeners on one port (SO_REUSEPORT),
 * and how many clients may wait (the backlog).
 *
 * usage: 17-create-server [-6] [-r] [-b BACKLOG] [ADDRESS] PORT
 *
 * Without ADDRESS, programs on other machines can connect too: over IPv4 and
 * IPv6, or with -6 over IPv6 only. -r lets other servers listen on the port as
 * well, if they have -r too. BACKLOG connections and one more may wait for
 * accept. Port 0 is any free port.
 *
 * Left out: several addresses of one name (we take the first), and listeners
 * that another program has opened for us (this lesson's exercise).
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "listener.h"
#include "number.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    LARGEST_BACKLOG = 65535,
    PAUSE_MS = 100, /* after an accept that failed */
};

struct arguments {
    int options; /* of enum listener_option, joined by | */
    int backlog;
    const char *address; /* NULL: every address of this machine */
    const char *port;
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 17-create-server [-6] [-r] [-b BACKLOG] [ADDRESS] PORT\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* Returns the number in this text. Ends the program unless the text is a number
 * from 0 to largest, in digits alone. */
static int parse_number(const char *text, int largest, const char *what) {
    unsigned long long number;
    if (number_parse(text, 0, (unsigned)largest, &number) < 0)
        errx(1, "%s is not a %s: 0 to %d", text, what, largest);
    return (int)number;
}

static void read_arguments(int argc, char **argv, struct arguments *arguments) {
    for (;;) {
        int option = getopt(argc, argv, "+h6rb:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == '6')
            arguments->options |= LISTENER_ONLY_IPV6;
        else if (option == 'r')
            arguments->options |= LISTENER_REUSE_PORT;
        else if (option == 'b')
            arguments->backlog =
                parse_number(optarg, LARGEST_BACKLOG, "backlog");
        else
            usage(stderr, 2);
    }
    int words = argc - optind;
    if (words == 1) {
        arguments->port = argv[optind];
    } else if (words == 2) {
        arguments->address = argv[optind];
        arguments->port = argv[optind + 1];
    } else {
        usage(stderr, 2);
    }
    (void)parse_number(arguments->port, LARGEST_PORT, "port");
}

/* If descriptor 1 or 2 were closed, a socket would get that number, and what we
 * print would go to a client: see lesson 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The signal handler. It asks for another signal, because this one may arrive
 * just before accept sleeps, and then it interrupts nothing: see lesson 02. */
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
    /* When a client has left, send must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Returns whether one socket can have clients of IPv4 and of IPv6. There are
 * kernels without IPv6, and systems on which IPV6_V6ONLY cannot be 0. */
static int has_dualstack_ipv6(void) {
    const int off = 0;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT)
        return 0;
    if (fd < 0)
        err(1, "socket");
    int result = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    (void)close(fd);
    return result == 0;
}

static int is_only_ipv6(const struct arguments *arguments) {
    return (arguments->options & LISTENER_ONLY_IPV6) != 0;
}

/* Opens the listener at the first address that the text stands for. */
static int listen_on(const char *address, const struct arguments *arguments) {
    int family = AF_UNSPEC;
    if (is_only_ipv6(arguments))
        family = AF_INET6;
    struct addrinfo *list;
    int error =
        addr_resolve(address, arguments->port, family, SOCK_STREAM, &list);
    if (error == EAI_SYSTEM)
        err(1, "%s", address);
    if (error != 0)
        errx(1, "%s: %s", address, gai_strerror(error));

    const char *failed;
    char name[ADDR_TEXT_BYTES];
    (void)addr_format(list->ai_addr, list->ai_addrlen, name);
    int listener =
        listener_open(list->ai_addr, list->ai_addrlen, arguments->backlog,
                      arguments->options, &failed);
    if (listener < 0)
        err(1, "%s %s", failed, name);
    freeaddrinfo(list);
    return listener;
}

static void announce(int listener) {
    const char *failed;
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
}

static void print_families(const char *families) {
    if (printf("clients: %s\n", families) < 0)
        err(1, "standard output");
}

/* Listens at every address of this machine. Prints where that is, and which
 * clients can come. */
static int listen_everywhere(const struct arguments *arguments) {
    const char *address;
    const char *families;
    if (is_only_ipv6(arguments)) {
        address = "::";
        families = "IPv6 only";
    } else if (has_dualstack_ipv6()) {
        address = "::";
        families = "IPv4 and IPv6";
    } else {
        address = "0.0.0.0";
        families = "IPv4 only";
    }
    int listener = listen_on(address, arguments);
    announce(listener);
    print_families(families);
    return listener;
}

/* Listens where the arguments say, and prints where that is. */
static int create_server(const struct arguments *arguments) {
    if (arguments->address == NULL)
        return listen_everywhere(arguments);
    int listener = listen_on(arguments->address, arguments);
    announce(listener);
    return listener;
}

/* If this is an IPv4 address that is written as an IPv6 address, such as
 * ::ffff:127.0.0.1, turns it into an IPv4 address: RFC 4291, section 2.5.5.2.
 * C does not allow us to use the storage as a struct of another type, so we
 * copy the bytes out of it, and back into it. */
static void unmap(struct sockaddr_storage *address, socklen_t *length) {
    if (address->ss_family != AF_INET6)
        return;
    struct sockaddr_in6 mapped;
    memcpy(&mapped, address, sizeof mapped);
    if (!IN6_IS_ADDR_V4MAPPED(&mapped.sin6_addr))
        return;
    struct sockaddr_in plain = {
        .sin_family = AF_INET,
        .sin_port = mapped.sin6_port, /* both have the network's byte order */
    };
    /* The last four of the 16 bytes are the IPv4 address. */
    memcpy(&plain.sin_addr, mapped.sin6_addr.s6_addr + 12,
           sizeof plain.sin_addr);
    memcpy(address, &plain, sizeof plain);
    *length = sizeof plain;
}

/* Tells the client its own address. A new socket has room for thousands of
 * bytes, so send does not have to wait here. */
static void greet(int fd, const char *name) {
    /* Room for the words, the name, and the NUL at the end. */
    char line[sizeof "you are \n" + ADDR_TEXT_BYTES];
    int length = snprintf(line, sizeof line, "you are %s\n", name);
    size_t sent;
    if (stream_write_all(fd, line, (size_t)length, &sent) < 0) {
        warn("send to %s", name);
        return;
    }
    /* If the report cannot be printed, we go on serving. When the server ends,
     * main says that not every line could be written. */
    if (printf("%s greeted\n", name) < 0)
        warn("standard output");
}

/* Accepts one client after another, until the server is to end. After an error,
 * accept could fail again at once, so we pause: see lesson 02. */
static void serve(int listener) {
    while (!stopping) {
        struct sockaddr_storage peer = {0};
        socklen_t length = sizeof peer;
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR)
            continue; /* look at `stopping` */
        if (fd < 0) {
            warn("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        char name[ADDR_TEXT_BYTES];
        unmap(&peer, &length);
        (void)addr_format((struct sockaddr *)&peer, length, name);
        greet(fd, name);
        if (close(fd) < 0)
            warn("close %s", name);
    }
}

int main(int argc, char **argv) {
    struct arguments arguments = {.backlog = SOMAXCONN};
    read_arguments(argc, argv, &arguments);
    require_output();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    catch_signals();

    int listener = create_server(&arguments);
    serve(listener);
    if (close(listener) < 0)
        err(1, "close");
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
