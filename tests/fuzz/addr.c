/*
 * Feeds addr's parsers any bytes. Each time, what they accept must be so: a
 * port is what a second, slower way to read it finds; and what addr_split has
 * taken apart can be put together again to the same bytes.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void require(int truth) {
    if (!truth)
        abort();
}

/* A copy of exactly that size, so that one byte too far is noticed. */
static char *copy(const uint8_t *bytes, size_t length) {
    char *text = calloc(length, 1);
    if (text == NULL && length > 0)
        abort();
    if (length > 0)
        memcpy(text, bytes, length);
    return text;
}

static void try_port(const char *text, size_t length, unsigned smallest) {
    in_port_t port = 0;
    int is_port = length > 0;
    unsigned long value = 0;
    for (size_t i = 0; i < length; i++) {
        is_port = is_port && strchr("0123456789", text[i]) && text[i] != '\0';
        if (value < 100000)
            value = value * 10 + (unsigned long)(text[i] - '0');
    }
    is_port = is_port && value >= smallest && value <= 65535;
    require((addr_parse_port(text, length, smallest, &port) == 0) == is_port);
    require(!is_port || port == value);
}

static void try_split(const char *text, size_t length) {
    const char *host;
    const char *port;
    size_t host_length;
    size_t port_length;
    if (addr_split(text, length, &host, &host_length, &port, &port_length) < 0)
        return;
    size_t brackets = *text == '[' ? 2 : 0;
    require(host_length > 0 && port_length > 0);
    require(host_length + port_length + 1 + brackets == length);
    require(host == text + brackets / 2);
    require(port == text + length - port_length && port[-1] == ':');
    require(brackets == 0 || host[host_length] == ']');
    require((memchr(host, ':', host_length) != NULL) == (brackets != 0));
    for (const char *c = "[]"; *c != '\0'; c++)
        require(memchr(host, *c, host_length) == NULL);
    require(memchr(port, ':', port_length) == NULL);
    require(memchr(text, '\0', length) == NULL);
}

/* The kernel's form may come from a peer too: any bytes, of any length. */
static void try_format(const char *bytes, size_t length) {
    struct sockaddr_storage address = {0};
    char text[ADDR_TEXT_BYTES];
    if (length > sizeof address)
        length = sizeof address;
    memcpy(&address, bytes, length);
    if (addr_format((const struct sockaddr *)&address, (socklen_t)length,
                    text) != text)
        abort();
    require(memchr(text, '\0', sizeof text) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char *text = copy(bytes, length);
    try_port(text, length, 0);
    try_port(text, length, 1);
    try_split(text, length);
    try_format(text, length);
    free(text);
    return 0;
}
