/* resolve: asks one name server for the addresses of a host. */
#define _GNU_SOURCE

#include "resolve.h"

#include "addr.h"
#include "dns.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum {
    TRIES = 2, /* because UDP loses datagrams */
    TRY_MS = 5000,
    MOST_OF_ONE_TYPE = RESOLVE_ADDRESSES / 2,
};

static const char usual_port[] = "53";

/* Where the addresses of one question go. */
struct target {
    struct resolve *resolve;
    uint16_t type; /* we want records of this type */
    size_t most;   /* no more addresses than these, with those before */
    in_port_t port;
};

int resolve_set_server(struct resolve *resolve, const char *text) {
    char address[ADDR_TEXT_BYTES];
    const char *host;
    const char *port;
    size_t host_length;
    size_t port_length;
    if (query_server_set(&resolve->server, text, usual_port) == 0)
        return 0;
    if (addr_split(text, strlen(text), &host, &host_length, &port,
                   &port_length) < 0)
        return -1;
    if (host_length >= sizeof address) {
        errno = EINVAL;
        return -1;
    }
    memcpy(address, host, host_length);
    address[host_length] = '\0';
    return query_server_set(&resolve->server, address, port);
}

static void add_address(struct resolve *resolve, const void *address,
                        socklen_t length) {
    size_t i = resolve->count;
    struct sockaddr *copy = (struct sockaddr *)&resolve->addresses[i];
    memcpy(copy, address, length);
    resolve->list[i] = (struct addrinfo){
        .ai_family = copy->sa_family,
        .ai_socktype = SOCK_STREAM,
        .ai_addr = copy,
        .ai_addrlen = length,
    };
    if (i > 0)
        resolve->list[i - 1].ai_next = &resolve->list[i];
    resolve->count++;
}

/* query_read calls this for each record. The data of an A record are four
 * bytes, and those of an AAAA record are sixteen: the address. The aliases
 * before them tell us nothing. */
static void take_address(void *context, const struct dns_message *message,
                         const struct dns_record *record) {
    const struct target *target = context;
    const uint8_t *data = message->bytes + record->data_at;
    if (record->type != target->type || target->resolve->count == target->most)
        return;
    if (record->type == DNS_A) {
        struct sockaddr_in address = {
            .sin_family = AF_INET,
            .sin_port = htons(target->port),
        };
        memcpy(&address.sin_addr, data, sizeof address.sin_addr);
        add_address(target->resolve, &address, sizeof address);
    } else {
        struct sockaddr_in6 address = {
            .sin6_family = AF_INET6,
            .sin6_port = htons(target->port),
        };
        memcpy(&address.sin6_addr, data, sizeof address.sin6_addr);
        add_address(target->resolve, &address, sizeof address);
    }
}

/* Asks the server, and asks again when no good reply comes. */
static int ask_patiently(struct query *query, struct deadline deadline) {
    for (int i = 0; i < TRIES; i++) {
        int left = deadline_left(deadline);
        if (i > 0 && left == 0)
            break; /* the first try has used up our time */
        query->timeout_ms = TRY_MS;
        if (left < TRY_MS)
            query->timeout_ms = left;
        if (query_ask(query) == QUERY_DONE)
            return 0;
    }
    return -1;
}

/* Asks for one type of address. Returns -1 when the server has not answered, or
 * when a further question cannot help. */
static int ask_for(struct query *query, struct target *target) {
    query->question.type = target->type;
    if (ask_patiently(query, target->resolve->deadline) < 0)
        return -1;
    enum query_result result = query_read(query, take_address, target);
    if (result == QUERY_DONE || result == QUERY_NO_RECORD)
        return 0;
    return -1;
}

int resolve_host(struct resolve *resolve, const char *host, const char *port) {
    static struct query query;
    struct query_server numeric;
    struct target target = {.resolve = resolve};
    char name[DNS_NAME_TEXT_BYTES];
    resolve->count = 0;
    if (query_server_set(&numeric, host, port) == 0) {
        add_address(resolve, &numeric.address, numeric.address_length);
        return 0;
    }
    query.server = &resolve->server;
    query.question.class = DNS_IN;
    if (addr_parse_port(port, strlen(port), 1, &target.port) < 0 ||
        dns_name_parse(&query.question.name, host) < 0) {
        (void)snprintf(resolve->reason, sizeof resolve->reason,
                       "%s is not a name", host);
        return -1;
    }
    target.type = DNS_AAAA;
    target.most = MOST_OF_ONE_TYPE;
    int result = ask_for(&query, &target);
    if (result == 0) {
        target.type = DNS_A;
        target.most = resolve->count + MOST_OF_ONE_TYPE;
        result = ask_for(&query, &target);
    }
    if (result < 0) {
        (void)query_explain(&query, resolve->reason);
        return -1;
    }
    if (resolve->count > 0)
        return 0;
    (void)snprintf(resolve->reason, sizeof resolve->reason, "%s has no address",
                   dns_name_format(&query.question.name, name));
    return -1;
}
