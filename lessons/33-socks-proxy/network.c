/* network: which addresses no outsider can reach, and networks of addresses. */
#define _GNU_SOURCE

#include "network.h"

#include "number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum {
    ADDRESS_BYTES = 16,
    IPV4_AT = 12, /* where the IPv4 address stands in ::ffff:192.0.2.1 */
    IPV4_PREFIX_BITS = 8 * IPV4_AT,
    TEXT_BYTES = INET6_ADDRSTRLEN,
};

/* RFC 6890 and its registries have these, and the reasons. */
static const char *const inside[] = {
    "0.0.0.0/8",      /* this machine */
    "10.0.0.0/8",     /* private */
    "100.64.0.0/10",  /* between a provider and its customers */
    "127.0.0.0/8",    /* loopback */
    "169.254.0.0/16", /* link-local */
    "172.16.0.0/12",  /* private */
    "192.0.0.0/24",   /* special uses */
    "192.168.0.0/16", /* private */
    "198.18.0.0/15",  /* measurements */
    "224.0.0.0/4",    /* multicast */
    "240.0.0.0/4",    /* no machine, or all of them */
    "::/128",         /* this machine */
    "::1/128",        /* loopback */
    "64:ff9b:1::/48", /* translation within a network: RFC 8215 */
    "2002::/16",      /* 6to4: it has an IPv4 address in its middle */
    "fc00::/7",       /* private */
    "fe80::/10",      /* link-local */
    "fec0::/10",      /* private, in the past */
    "ff00::/8",       /* multicast */
};

/* Addresses of IPv6 that have one of IPv4 in their last four bytes. */
static const char *const translated[] = {
    "64:ff9b::/96", /* RFC 6052 */
    "::/96",        /* RFC 4291, section 2.5.5.1 */
};

/* Writes the IPv6 address that stands for an IPv4 address. */
static void map_ipv4(uint8_t bytes[ADDRESS_BYTES], const void *ipv4) {
    memset(bytes, 0, ADDRESS_BYTES);
    bytes[IPV4_AT - 2] = 0xff;
    bytes[IPV4_AT - 1] = 0xff;
    memcpy(bytes + IPV4_AT, ipv4, sizeof(struct in_addr));
}

/* Returns bit number i of the bytes; 0 is the highest of the first byte. */
static unsigned bit_of(const uint8_t *bytes, unsigned i) {
    unsigned byte = bytes[i / 8];
    return byte >> (7 - i % 8) & 1U;
}

static bool has_prefix(const struct network *network,
                       const uint8_t bytes[ADDRESS_BYTES]) {
    for (unsigned i = 0; i < network->bits; i++) {
        if (bit_of(network->bytes, i) != bit_of(bytes, i))
            return false;
    }
    return true;
}

/* Returns whether all bits behind the prefix are 0. */
static bool is_first_address(const struct network *network) {
    for (unsigned i = network->bits; i < 8 * ADDRESS_BYTES; i++) {
        if (bit_of(network->bytes, i) != 0)
            return false;
    }
    return true;
}

int network_parse(struct network *network, const char *text) {
    char address[TEXT_BYTES];
    uint8_t ipv4[sizeof(struct in_addr)];
    size_t length = strcspn(text, "/");
    unsigned long long bits;
    unsigned most = 128;
    unsigned before = 0; /* bits that the text does not count */
    errno = EINVAL;
    if (length >= sizeof address)
        return -1;
    memcpy(address, text, length);
    address[length] = '\0';
    if (inet_pton(AF_INET, address, ipv4) == 1) {
        map_ipv4(network->bytes, ipv4);
        most = 32;
        before = IPV4_PREFIX_BITS;
    } else if (inet_pton(AF_INET6, address, network->bytes) != 1) {
        errno = EINVAL;
        return -1;
    }
    bits = most;
    if (text[length] == '/' &&
        number_parse(text + length + 1, 0, most, &bits) < 0) {
        errno = EINVAL;
        return -1;
    }
    network->bits = before + (unsigned)bits;
    if (!is_first_address(network)) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

/* Writes an address as 16 bytes. Returns false for another family. */
static bool copy_address(uint8_t bytes[ADDRESS_BYTES],
                         const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, address, sizeof ipv4);
        map_ipv4(bytes, &ipv4.sin_addr);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, address, sizeof ipv6);
        memcpy(bytes, &ipv6.sin6_addr, ADDRESS_BYTES);
        return true;
    }
    return false;
}

bool network_has(const struct network *network,
                 const struct sockaddr *address) {
    uint8_t bytes[ADDRESS_BYTES];
    return copy_address(bytes, address) && has_prefix(network, bytes);
}

bool network_is_same(const struct sockaddr *a, const struct sockaddr *b) {
    uint8_t bytes[ADDRESS_BYTES];
    uint8_t others[ADDRESS_BYTES];
    return copy_address(bytes, a) && copy_address(others, b) &&
           memcmp(bytes, others, ADDRESS_BYTES) == 0;
}

/* Returns whether the bytes belong to one of the networks in a list. The texts
 * of our lists are right, so network_parse does not fail. */
static bool is_in_list(const char *const *list, size_t count,
                       const uint8_t bytes[ADDRESS_BYTES]) {
    for (size_t i = 0; i < count; i++) {
        struct network network;
        if (network_parse(&network, list[i]) == 0 &&
            has_prefix(&network, bytes))
            return true;
    }
    return false;
}

bool network_is_inside(const struct sockaddr *address) {
    const size_t inside_count = sizeof inside / sizeof inside[0];
    const size_t translated_count = sizeof translated / sizeof translated[0];
    uint8_t bytes[ADDRESS_BYTES];
    if (!copy_address(bytes, address))
        return true; /* we do not know what this is */
    if (is_in_list(inside, inside_count, bytes))
        return true;
    if (!is_in_list(translated, translated_count, bytes))
        return false;
    uint8_t ipv4[sizeof(struct in_addr)];
    memcpy(ipv4, bytes + IPV4_AT, sizeof ipv4);
    map_ipv4(bytes, ipv4);
    return is_in_list(inside, inside_count, bytes);
}
