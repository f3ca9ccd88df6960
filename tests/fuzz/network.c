/* Lesson 33's network is told a network. Its text may be anything. */
#define _GNU_SOURCE

#include "../../lessons/33-socks-proxy/network.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct network network;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    char *text = malloc(length + 1);
    if (text == NULL)
        return 0;
    memcpy(text, bytes, length);
    text[length] = '\0';
    errno = 0;
    if (network_parse(&network, text) < 0) {
        if (errno != EINVAL)
            abort();
    } else {
        /* A network has its own first address. */
        memcpy(&address.sin6_addr, network.bytes, sizeof network.bytes);
        if (network.bits > 128 ||
            !network_has(&network, (struct sockaddr *)&address))
            abort();
        (void)network_is_inside((struct sockaddr *)&address);
    }
    free(text);
    return 0;
}
