/*
 * tell-addr: what the functions of common/addr make of what they are given.
 *
 *     tell-addr port SMALLEST              a port, from standard input
 *     tell-addr split                      HOST:PORT, from standard input
 *     tell-addr resolve FAMILY TYPE HOST PORT
 *     tell-addr format FAMILY LENGTH       an address of that family, all zero
 *
 * Prints what came out, or the error in words. Standard input, because an
 * argument cannot hold a NUL; and it is put into a buffer that ends where the
 * text does, so that a sanitizer sees one byte too far.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_BYTES = 4096, UNTOUCHED = 7 };

static _Noreturn void usage(void) {
    fputs("usage: tell-addr port|split|resolve|format ...\n", stderr);
    exit(2);
}

static char *read_all(size_t *length) {
    char *text = malloc(INPUT_BYTES);
    if (text == NULL)
        err(1, "malloc");
    *length = fread(text, 1, INPUT_BYTES, stdin);
    char *exact = realloc(text, *length > 0 ? *length : 1);
    if (exact == NULL)
        err(1, "realloc");
    return exact;
}

static void tell_port(unsigned smallest) {
    size_t length;
    char *text = read_all(&length);
    in_port_t port = UNTOUCHED;
    if (addr_parse_port(text, length, smallest, &port) == 0)
        printf("%d\n", port);
    else
        printf("%s%s\n", strerror(errno),
               port == UNTOUCHED ? "" : ", and wrote a port");
    free(text);
}

static void tell_split(void) {
    size_t length;
    size_t host_length = UNTOUCHED;
    size_t port_length = UNTOUCHED;
    char *text = read_all(&length);
    const char *host = NULL;
    const char *port = NULL;
    if (addr_split(text, length, &host, &host_length, &port, &port_length) == 0)
        printf("host %.*s port %.*s\n", (int)host_length, host,
               (int)port_length, port);
    else
        printf("%s%s\n", strerror(errno),
               host == NULL && port == NULL ? "" : ", and wrote");
    free(text);
}

static void tell_resolved(int family, int type, const char *host,
                          const char *port) {
    struct addrinfo *list;
    char text[ADDR_TEXT_BYTES];
    int error = addr_resolve(host, port, family, type, &list);
    if (error != 0) {
        printf("%s\n", gai_strerror(error));
        return;
    }
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        printf("type %d %s\n", a->ai_socktype,
               addr_format(a->ai_addr, a->ai_addrlen, text));
    freeaddrinfo(list);
}

static void tell_format(sa_family_t family, socklen_t length) {
    struct sockaddr_storage address = {.ss_family = family};
    char text[ADDR_TEXT_BYTES];
    puts(addr_format((struct sockaddr *)&address, length, text));
}

static int number(const char *text) {
    return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "port") == 0)
        tell_port((unsigned)number(argv[2]));
    else if (argc == 2 && strcmp(argv[1], "split") == 0)
        tell_split();
    else if (argc == 6 && strcmp(argv[1], "resolve") == 0)
        tell_resolved(number(argv[2]), number(argv[3]), argv[4], argv[5]);
    else if (argc == 4 && strcmp(argv[1], "format") == 0)
        tell_format((sa_family_t)number(argv[2]), (socklen_t)number(argv[3]));
    else
        usage();
    return fflush(stdout) == EOF;
}
