/*
 * Feeds lesson 31's url.c any bytes: a URL up to the first newline, and behind
 * it a reference, which is resolved there. What is accepted must have nothing
 * in it that could end a line of a request, and must give the same when it is
 * put together and read again.
 */
#define _GNU_SOURCE

#include "../../lessons/31-http-client/url.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

static void require_plain(const char *text) {
    for (size_t i = 0; text[i] != '\0'; i++)
        require(text[i] > ' ' && text[i] <= '~');
}

static void try_url(const struct url *url) {
    static struct url again;
    char text[2 * URL_BYTES];
    const char *flaw;
    const char *scheme = "http://";
    if (url->is_secure)
        scheme = "https://";
    require_plain(url->host);
    require_plain(url->port);
    require_plain(url->target);
    require(url->host[0] != '\0' && url->target[0] == '/');
    require(strchr(url->target, '#') == NULL);
    if (url->is_ipv6)
        (void)snprintf(text, sizeof text, "%s[%s]:%s%s", scheme, url->host,
                       url->port, url->target);
    else
        (void)snprintf(text, sizeof text, "%s%s:%s%s", scheme, url->host,
                       url->port, url->target);
    require(url_parse(&again, text, strlen(text), &flaw) == 0);
    require(url_has_same_server(url, &again));
    require(strcmp(url->target, again.target) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct url url;
    static struct url next;
    const char *flaw = NULL;
    size_t length = 0;
    while (length < size && bytes[length] != '\n')
        length++;
    char *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    if (url_parse(&url, copy, length, &flaw) < 0) {
        require(flaw != NULL);
        free(copy);
        return 0;
    }
    try_url(&url);
    if (length < size && url_resolve(&next, &url, copy + length + 1,
                                     size - length - 1, &flaw) == 0)
        try_url(&next);
    free(copy);
    return 0;
}
