/* target: connects to the server that a client asks for, if it is allowed. */
#define _GNU_SOURCE

#include "target.h"

#include "deadline.h"
#include "dial.h"
#include "network.h"

#include <err.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECT_MS = 10 * 1000 };

/* Returns whether an address belongs to one of this machine's interfaces. If we
 * cannot find out, we say yes: then it is refused. */
static bool is_own(const struct sockaddr *address) {
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) < 0)
        return true;
    for (const struct ifaddrs *at = list; at != NULL; at = at->ifa_next) {
        const struct sockaddr *own = at->ifa_addr;
        if (own != NULL && network_is_same(own, address))
            found = true;
    }
    freeifaddrs(list);
    return found;
}

/* dial_connect asks this about each address to which a name leads, before it
 * connects to it. */
static bool is_allowed(void *context, const struct sockaddr *address) {
    const struct options *options = context;
    for (size_t i = 0; i < options->network_count; i++) {
        if (network_has(&options->networks[i], address))
            return true;
    }
    return !network_is_inside(address) && !is_own(address);
}

/* Returns the reply that fits an error. */
static enum reply reply_of(const struct dial *dial, int error) {
    if (dial->lookup_error != 0)
        return REPLY_HOST_UNREACHABLE;
    switch (error) {
    case EACCES:
        return REPLY_NOT_ALLOWED;
    case ENETUNREACH:
        return REPLY_NETWORK_UNREACHABLE;
    case EHOSTUNREACH:
        return REPLY_HOST_UNREACHABLE;
    case ECONNREFUSED:
        return REPLY_CONNECTION_REFUSED;
    case ETIMEDOUT:
        return REPLY_TIME_IS_UP;
    default:
        return REPLY_GENERAL_FAILURE;
    }
}

enum reply target_connect(struct tunnel *tunnel,
                          const struct request *request) {
    struct dial dial = {
        .host = request->host,
        .port = request->port,
        .family = AF_UNSPEC,
        .delay_ms = DIAL_DELAY_MS,
        .deadline = deadline_after(CONNECT_MS),
        .filter = is_allowed,
        .context = &tunnel->proxy->options,
    };
    tunnel->server = dial_connect(&dial);
    if (tunnel->server >= 0)
        return REPLY_SUCCEEDED;
    int error = errno;
    if (dial.lookup_error != 0)
        warnx("%s to %s: %s", tunnel->client_name, tunnel->target,
              gai_strerror(dial.lookup_error));
    else if (error == EACCES)
        warnx("%s to %s: not allowed", tunnel->client_name, tunnel->target);
    else
        warnx("%s to %s: %s", tunnel->client_name, tunnel->target,
              strerror(error));
    return reply_of(&dial, error);
}
