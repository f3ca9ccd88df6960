#include "secret.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* How the data of a call begin that are a TLS record with a handshake
 * (RFC 8446, section 5.1): bytes_write shows them in hexadecimal. */
static const char tls_begins[] = "<1603";

enum { DOTS = 3 }; /* that stand for data */

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_hidden(const struct record_use *use,
                      const struct endpoint *endpoint) {
    if (endpoint->family == AF_NETLINK || endpoint->family == AF_PACKET)
        return true;
    return use != NULL && use->encrypted;
}

/* The end of data that begin at `first`, with the dots that bytes_write may
 * have put behind them; or NULL if there is nothing in them. */
static char *end_of_data(char *first) {
    char *last = strrchr(first, *first == '<' ? '>' : '"');
    if (last == NULL || last - first < 2)
        return NULL;
    char *end = last + 1;
    if (begins_with(end, "..."))
        end += DOTS;
    return end;
}

void secret_hide(struct record_use *use, const struct endpoint *endpoint,
                 char *text) {
    if (text == NULL)
        return;
    char *first = strpbrk(text, "\"<");
    if (first == NULL)
        return;
    if (use != NULL && endpoint->type == SOCK_STREAM &&
        begins_with(first, tls_begins))
        use->encrypted = true;
    if (!is_hidden(use, endpoint))
        return;
    char *end = end_of_data(first);
    if (end == NULL)
        return;
    size_t length = strlen(end) + 1; /* of what stands behind the data */
    memmove(first + DOTS, end, length);
    memset(first, '.', DOTS);
}
