/* url: takes a URL of HTTP apart, and works out where a redirect leads. */
#define _GNU_SOURCE

#include "url.h"

#include "addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char plain_scheme[] = "http://";
static const char secure_scheme[] = "https://";

static int fail(const char **flaw, const char *text) {
    *flaw = text;
    return -1;
}

/* ---- One URL ---------------------------------------------------------------
 */

static bool begins_with(const char *text, size_t length,
                        const char *beginning) {
    size_t wanted = strlen(beginning);
    return length >= wanted && strncasecmp(text, beginning, wanted) == 0;
}

static bool is_escape(const char *text, size_t length) {
    return length >= 3 && isxdigit((unsigned char)text[1]) &&
           isxdigit((unsigned char)text[2]);
}

static int check_characters(const char *text, size_t length,
                            const char **flaw) {
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == ' ')
            return fail(flaw, "it has a blank");
        if (iscntrl(byte))
            return fail(flaw, "it has a control character");
        if (byte > 126)
            return fail(flaw, "it has a character that must be escaped");
        if (byte == '%' && !is_escape(text + i, length - i))
            return fail(flaw, "it has a % without two digits behind it");
    }
    return 0;
}

/* DNS has a name with other letters in ASCII, such as xn--bcher-kva.example. An
 * escape in a host is allowed, but hardly used: we do not undo it. */
static int check_host(const char *text, size_t length, const char **flaw) {
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] > 127)
            return fail(flaw,
                        "its host is not in ASCII (DNS has it as xn--...)");
        if (text[i] == '%')
            return fail(flaw, "its host has a %");
    }
    return 0;
}

/* Copies length bytes into place, and puts a NUL behind them. */
static int copy(char *place, size_t size, const char *text, size_t length,
                const char **flaw) {
    if (length >= size)
        return fail(flaw, "it is too long");
    memcpy(place, text, length);
    place[length] = '\0';
    return 0;
}

static int read_port(struct url *url, const char *text, size_t length,
                     const char **flaw) {
    in_port_t port = 80;
    if (url->is_secure)
        port = 443;
    if (length > 0 && addr_parse_port(text, length, 1, &port) < 0)
        return fail(flaw, "its port is not a number from 1 to 65535");
    (void)snprintf(url->port, sizeof url->port, "%d", port);
    return 0;
}

/* Reads "example.com:8080" or "[::1]:8080". The port may be missing. */
static int read_server(struct url *url, const char *text, size_t length,
                       const char **flaw) {
    if (memchr(text, '@', length) != NULL)
        return fail(flaw, "it has a user name");
    const char *host = text;
    const char *host_end = memchr(text, ':', length);
    if (length > 0 && text[0] == '[') {
        url->is_ipv6 = true;
        host = text + 1;
        host_end = memchr(text, ']', length);
        if (host_end == NULL)
            return fail(flaw, "its address has no closing bracket");
    }
    if (host_end == NULL)
        host_end = text + length;
    if (host_end == host)
        return fail(flaw, "it has no host");
    if (copy(url->host, sizeof url->host, host, (size_t)(host_end - host),
             flaw) < 0)
        return -1;
    struct in6_addr bytes; /* which we do not need */
    if (url->is_ipv6 && inet_pton(AF_INET6, url->host, &bytes) != 1)
        return fail(flaw, "its brackets have no IPv6 address");

    const char *rest = host_end;
    if (url->is_ipv6)
        rest++; /* the bracket */
    size_t rest_length = length - (size_t)(rest - text);
    if (rest_length == 0)
        return read_port(url, rest, 0, flaw);
    if (rest[0] != ':')
        return fail(flaw, "there is something behind its address");
    return read_port(url, rest + 1, rest_length - 1, flaw);
}

/* Reads the path and the query. An empty path is "/". */
static int read_target(struct url *url, const char *text, size_t length,
                       const char **flaw) {
    const char *end = memchr(text, '#', length);
    if (end != NULL)
        length = (size_t)(end - text);
    if (length > 0 && text[0] == '/')
        return copy(url->target, sizeof url->target, text, length, flaw);
    url->target[0] = '/';
    return copy(url->target + 1, sizeof url->target - 1, text, length, flaw);
}

int url_parse(struct url *url, const char *text, size_t length,
              const char **flaw) {
    memset(url, 0, sizeof *url);
    if (begins_with(text, length, secure_scheme)) {
        url->is_secure = true;
        text += strlen(secure_scheme);
        length -= strlen(secure_scheme);
    } else if (begins_with(text, length, plain_scheme)) {
        text += strlen(plain_scheme);
        length -= strlen(plain_scheme);
    } else {
        if (check_characters(text, length, flaw) < 0)
            return -1;
        return fail(flaw, "it does not begin with http:// or https://");
    }
    /* The server ends where the path, the query or the fragment begins. */
    size_t server_length = 0;
    while (server_length < length && strchr("/?#", text[server_length]) == NULL)
        server_length++;
    if (check_host(text, server_length, flaw) < 0 ||
        check_characters(text, length, flaw) < 0 ||
        read_server(url, text, server_length, flaw) < 0)
        return -1;
    return read_target(url, text + server_length, length - server_length, flaw);
}

/* ---- From one to the next --------------------------------------------------
 */

/* Returns whether a reference begins with a scheme, such as "mailto:". */
static bool has_scheme(const char *reference, size_t length) {
    size_t i = 0;
    if (length == 0 || !isalpha((unsigned char)reference[0]))
        return false;
    while (i < length && (isalnum((unsigned char)reference[i]) ||
                          strchr("+-.", reference[i]) != NULL))
        i++;
    return i < length && reference[i] == ':';
}

/* Returns how long a path is without its last part: "/a" of "/a/b". */
static size_t length_of_parent(const char *path, size_t length) {
    while (length > 0 && path[length - 1] != '/')
        length--;
    if (length > 0)
        length--;
    return length;
}

/* Takes "." and ".." out of a path, which begins with a slash, and has a query
 * behind it, perhaps: RFC 3986, section 5.2.4. The text only becomes shorter.
 */
static void remove_dots(char *text) {
    size_t written = 0; /* the new path is what stands before */
    size_t at = 0;
    while (text[at] == '/') {
        size_t length = 1 + strcspn(text + at + 1, "/?");
        bool is_last = text[at + length] != '/';
        bool is_dot = length == 2 && text[at + 1] == '.';
        bool is_two_dots =
            length == 3 && text[at + 1] == '.' && text[at + 2] == '.';
        if (is_two_dots)
            written = length_of_parent(text, written);
        if (!is_dot && !is_two_dots) {
            memmove(text + written, text + at, length);
            written += length;
        } else if (is_last) {
            text[written] = '/'; /* "/a/.." ends as a folder does */
            written++;
        }
        at += length;
    }
    memmove(text + written, text + at, strlen(text + at) + 1); /* the query */
}

/* Writes the beginning of a URL with the server of base. Returns its length. */
static size_t write_server(char *text, size_t size, const struct url *base) {
    const char *scheme = plain_scheme;
    const char *open = "";
    const char *close = "";
    if (base->is_secure)
        scheme = secure_scheme;
    if (base->is_ipv6) {
        open = "[";
        close = "]";
    }
    int length = snprintf(text, size, "%s%s%s%s:%s", scheme, open, base->host,
                          close, base->port);
    return (size_t)length;
}

/* Returns how much of base's target stands before the reference: nothing if it
 * has a path of its own, or all up to the query, or up to the last slash. */
static size_t kept_length(const struct url *base, const char *reference,
                          size_t length) {
    size_t path = strcspn(base->target, "?");
    if (length > 0 && reference[0] == '/')
        return 0;
    if (length > 0 && reference[0] == '?')
        return path;
    if (length == 0 || reference[0] == '#')
        return strlen(base->target);
    while (base->target[path - 1] != '/')
        path--;
    return path;
}

/* Parses what a server has sent: without "." and ".." in its path. */
static int parse_reference(struct url *url, const char *text, size_t length,
                           const char **flaw) {
    if (url_parse(url, text, length, flaw) < 0)
        return -1;
    remove_dots(url->target);
    return 0;
}

int url_resolve(struct url *url, const struct url *base, const char *reference,
                size_t length, const char **flaw) {
    char text[2 * URL_BYTES + URL_HOST_BYTES + sizeof "https://[]:65535"];
    if (length >= URL_BYTES)
        return fail(flaw, "it is too long");
    if (has_scheme(reference, length))
        return parse_reference(url, reference, length, flaw);
    if (begins_with(reference, length, "//")) {
        const char *scheme = "http:";
        if (base->is_secure)
            scheme = "https:";
        int all = snprintf(text, sizeof text, "%s%.*s", scheme, (int)length,
                           reference);
        return parse_reference(url, text, (size_t)all, flaw);
    }
    size_t server = write_server(text, sizeof text, base);
    size_t kept = kept_length(base, reference, length);
    memcpy(text + server, base->target, kept);
    memcpy(text + server + kept, reference, length);
    return parse_reference(url, text, server + kept + length, flaw);
}

bool url_has_same_server(const struct url *a, const struct url *b) {
    return a->is_secure == b->is_secure && strcasecmp(a->host, b->host) == 0 &&
           strcmp(a->port, b->port) == 0;
}
