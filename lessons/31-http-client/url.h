/*
 * url: takes a URL of HTTP apart, and works out where a redirect leads: RFC
 * 3986. Built by lesson 31.
 */
#ifndef HTTP_CLIENT_URL_H
#define HTTP_CLIENT_URL_H

#include <stdbool.h>
#include <stddef.h>

enum {
    URL_BYTES = 8192, /* the longest path with its query, and a NUL */
    URL_HOST_BYTES = 256,
    URL_PORT_BYTES = sizeof "65535",
};

struct url {
    bool is_secure;            /* https, and not http */
    bool is_ipv6;              /* the host is an IPv6 address */
    char host[URL_HOST_BYTES]; /* without the brackets of an IPv6 address */
    char port[URL_PORT_BYTES]; /* in digits: 80 or 443 unless given */
    char target[URL_BYTES];    /* the path and the query: "/a?b=c" */
};

/*
 * Reads a URL, which has length bytes: "http://example.com:8080/a?b#c". What
 * stands behind # is left out, because it is never sent. Escapes such as %20
 * stay as they are.
 *
 * Returns 0. Otherwise it returns -1, and *flaw is a constant text such as "it
 * has a user name". A URL must not have a blank, a control character, a byte
 * above 126, or an escape without two hexadecimal digits. Its host must not
 * have any escape.
 */
int url_parse(struct url *url, const char *text, size_t length,
              const char **flaw);

/*
 * Reads the length bytes of a reference, as they stand in a Location field. It
 * is a URL, or a part of one that begins where base is: RFC 3986, section 5.2.
 * Returns what url_parse returns. *url and *base are not the same.
 */
int url_resolve(struct url *url, const struct url *base, const char *reference,
                size_t length, const char **flaw);

/* Returns whether both have the same server: scheme, host and port. */
bool url_has_same_server(const struct url *a, const struct url *b);

#endif
