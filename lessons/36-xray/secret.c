#include "secret.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* How data begin that are a TLS record with a handshake (RFC 8446, section
 * 5.1). They are no text, so bytes_write has written them in hexadecimal. */
static const char tls_begins[] = "<1603";

static const char dots[] = "...";

static bool begins_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static bool is_hidden(const struct record_use *use,
                      const struct endpoint *endpoint) {
    if (endpoint->family == AF_NETLINK || endpoint->family == AF_PACKET)
        return true;
    return use != NULL && use->encrypted;
}

/* The end of data that begin at `first` with a quotation mark or "<": behind
 * the mark that closes them, and behind the dots that bytes_write may have put
 * there. NULL if there is nothing between the marks. */
static char *end_of_data(char *first) {
    int closing = '"';
    if (*first == '<')
        closing = '>';
    char *last = strrchr(first, closing);
    if (last == NULL || last - first < 2)
        return NULL;
    char *end = last + 1;
    if (begins_with(end, dots))
        end += strlen(dots);
    return end;
}

void secret_hide(struct record_use *use, const struct endpoint *endpoint,
                 char *text) {
    if (text == NULL)
        return;
    char *first = strpbrk(text, "\"<");
    if (first == NULL)
        return;
    bool is_tls =
        endpoint->type == SOCK_STREAM && begins_with(first, tls_begins);
    if (use != NULL && is_tls)
        use->encrypted = true;
    if (!is_hidden(use, endpoint))
        return;
    char *end = end_of_data(first);
    if (end == NULL)
        return;
    /* What stands behind the data, with its NUL, moves to behind the dots. The
     * text does not grow: there are two marks and a byte at least. */
    memmove(first + strlen(dots), end, strlen(end) + 1);
    memset(first, '.', strlen(dots));
}
