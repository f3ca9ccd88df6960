/*
 * tell-url: what the functions of lesson 31's url.c make of a text.
 *
 *     tell-url URL
 *     tell-url BASE REFERENCE
 *     tell-url same URL URL
 *
 * Prints the parts of the URL, or of what the REFERENCE means in a page at
 * BASE, or why there is none. `same` says whether both have the same server.
 */
#define _GNU_SOURCE

#include "../../lessons/31-http-client/url.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void parse(struct url *url, const char *text) {
    const char *flaw;
    if (url_parse(url, text, strlen(text), &flaw) == 0)
        return;
    puts(flaw);
    exit(fflush(stdout) == EOF);
}

static void print_url(const struct url *url) {
    const char *scheme = "http";
    const char *host_kind = "";
    if (url->is_secure)
        scheme = "https";
    if (url->is_ipv6)
        host_kind = "IPv6 ";
    printf("%s %s%s %s %s\n", scheme, host_kind, url->host, url->port,
           url->target);
}

int main(int argc, char **argv) {
    static struct url url;
    static struct url base;
    const char *flaw;
    if (argc == 2) {
        parse(&url, argv[1]);
        print_url(&url);
    } else if (argc == 3) {
        parse(&base, argv[1]);
        if (url_resolve(&url, &base, argv[2], strlen(argv[2]), &flaw) == 0)
            print_url(&url);
        else
            puts(flaw);
    } else if (argc == 4 && strcmp(argv[1], "same") == 0) {
        parse(&base, argv[2]);
        parse(&url, argv[3]);
        puts(url_has_same_server(&base, &url) ? "same" : "another");
    } else {
        errx(2, "usage: tell-url URL | BASE REFERENCE | same URL URL");
    }
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
