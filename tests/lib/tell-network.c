/*
 * tell-network: what lesson 33's network makes of addresses, for the table in
 * tests/workbook/network.bats.
 *
 *     tell-network parse TEXT...              "16 BYTES/BITS", or "no network"
 *     tell-network inside ADDRESS...          "inside" or "outside"
 *     tell-network has NETWORK ADDRESS...     "yes" or "no"
 *     tell-network same ADDRESS ADDRESS...    the first one and each other
 *
 * Prints a line for each. An ADDRESS of - is one of AF_UNIX.
 */
#define _GNU_SOURCE

#include "../../lessons/33-socks-proxy/network.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct sockaddr *address_of(const char *text,
                                         struct sockaddr_storage *storage) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6,
                                .sin6_port = htons(443)};
    memset(storage, 0, sizeof *storage);
    if (strcmp(text, "-") == 0) {
        storage->ss_family = AF_UNIX;
    } else if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        memcpy(storage, &ipv4, sizeof ipv4);
    } else if (inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1) {
        memcpy(storage, &ipv6, sizeof ipv6);
    } else {
        errx(2, "%s is no address", text);
    }
    return (const struct sockaddr *)storage;
}

static void tell_parsed(const char *text) {
    struct network network;
    errno = 0;
    if (network_parse(&network, text) < 0) {
        printf("no network%s\n", errno == EINVAL ? "" : ", and a wrong errno");
        return;
    }
    for (size_t i = 0; i < sizeof network.bytes; i++)
        printf("%02x", network.bytes[i]);
    printf("/%u\n", network.bits);
}

static void tell_has(const char *text, const struct sockaddr *address) {
    struct network network;
    if (network_parse(&network, text) < 0)
        errx(2, "%s is no network", text);
    puts(network_has(&network, address) ? "yes" : "no");
}

int main(int argc, char **argv) {
    struct sockaddr_storage first;
    struct sockaddr_storage second;
    if (argc < 3)
        errx(2, "usage: tell-network parse|inside|has|same ARGUMENT...");
    const char *what = argv[1];
    int begin = strcmp(what, "has") == 0 || strcmp(what, "same") == 0 ? 3 : 2;
    for (int i = begin; i < argc; i++) {
        if (strcmp(what, "parse") == 0)
            tell_parsed(argv[i]);
        else if (strcmp(what, "inside") == 0)
            puts(network_is_inside(address_of(argv[i], &first)) ? "inside"
                                                                : "outside");
        else if (strcmp(what, "has") == 0)
            tell_has(argv[2], address_of(argv[i], &first));
        else
            puts(network_is_same(address_of(argv[2], &first),
                                 address_of(argv[i], &second))
                     ? "yes"
                     : "no");
    }
    return fflush(stdout) == EOF ? 1 : 0;
}
