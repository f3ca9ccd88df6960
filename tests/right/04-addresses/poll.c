/*
 * A right answer with connects that do not block: poll waits for each, and
 * SO_ERROR says how it ended. Addresses are written with inet_ntop.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns ADDRESS:PORT as a text that the caller frees. */
static char *format_address(const struct sockaddr *address) {
    char number[INET6_ADDRSTRLEN];
    char *text;
    int length;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        (void)inet_ntop(AF_INET, &four->sin_addr, number, sizeof number);
        length = asprintf(&text, "%s:%u", number, ntohs(four->sin_port));
    } else {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, number, sizeof number);
        length = asprintf(&text, "[%s]:%u", number, ntohs(six->sin6_port));
    }
    if (length < 0)
        abort();
    return text;
}

/* Connects a socket that does not block. Returns 0, or the errno that says why
 * it is not connected. */
static int connect_and_wait(int fd, const struct addrinfo *entry) {
    if (connect(fd, entry->ai_addr, entry->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    if (poll(&waiting, 1, -1) < 0)
        return errno;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return errno;
    return error;
}

/* Returns 0 if this address answers, or the errno that says why not. */
static int try_entry(const struct addrinfo *entry) {
    int fd = socket(entry->ai_family,
                    entry->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    entry->ai_protocol);
    if (fd < 0)
        return errno;
    int error = connect_and_wait(fd, entry);
    (void)close(fd); /* also a connected socket: nothing is to be sent */
    return error;
}

static int is_port(const char *text) {
    int has_only_digits = strspn(text, "0123456789") == strlen(text);
    unsigned long number = strtoul(text, NULL, 10);
    int is_in_range = number >= 1 && number <= 65535;
    return has_only_digits && is_in_range;
}

/* Tries the addresses in order, and says how each try ended. Returns 1 if an
 * address answered, and 0 if none did. */
static int try_entries(const struct addrinfo *list) {
    for (const struct addrinfo *entry = list; entry != NULL;
         entry = entry->ai_next) {
        char *text = format_address(entry->ai_addr);
        int error = try_entry(entry);
        if (error == 0)
            printf("connected to %s\n", text);
        else
            fprintf(stderr, "%s: %s\n", text, strerror(error));
        free(text);
        if (error == 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    if (argc != 3) {
        fputs("usage: poll HOST PORT\n", stderr);
        return 2;
    }
    if (!is_port(argv[2])) {
        fprintf(stderr, "%s: not a port\n", argv[2]);
        return 1;
    }
    int status = getaddrinfo(argv[1], argv[2], &hints, &list);
    if (status != 0) {
        fprintf(stderr, "%s\n", gai_strerror(status));
        return 1;
    }
    int is_connected = try_entries(list);
    freeaddrinfo(list);
    if (fclose(stdout) == EOF) {
        perror("stdout");
        return 1;
    }
    if (!is_connected)
        return 1; /* try_entries has said why */
    return 0;
}
