/*
 * 31-http-client: fetches what a URL names, over HTTP or HTTPS.
 *
 * Shows what a request and a reply look like, three ways in which a reply can
 * end, and how one notices that it was cut. This file reads the arguments and
 * follows redirects. The rest is in the modules of this lesson; read them in
 * this order:
 *
 *   url         reads URLs
 *   connection  a connection to a server, and the bytes that have come
 *   exchange    sends a request, and reads the head of the reply
 *   body        copies the body up to its end, or passes over it
 *   output      where the body goes: a file, or standard output
 *
 * common/http.c reads heads and chunks. It belongs to this lesson, so read it
 * too. resolve.c and socks.c are for -d and -x.
 *
 * usage: 31-http-client [-C CAFILE] [-d SERVER | -x PROXY] [-i] [-o FILE]
 *                       [-t SECONDS] URL
 *
 * The body goes to standard output, or to FILE. FILE appears only when the body
 * has come whole, and the status is one of success: with -o, the body of any
 * other reply is not kept. -i prints the head of the reply first. -C is a file
 * with the certificates of those whom we trust. All of it takes SECONDS at most
 * (300 unless given); only getaddrinfo may take longer, because nothing can end
 * it.
 *
 * With -d, we ask the name server SERVER for addresses, and not getaddrinfo.
 * SERVER is an address, or an address and a port: 127.0.0.1:5300. With -x, we
 * connect through PROXY, which is HOST:PORT and speaks SOCKS 5. The proxy looks
 * up the name.
 *
 * Left out: other methods than GET; cookies and passwords; compressed bodies;
 * HTTP/2.
 */
#define _GNU_SOURCE

#include "body.h"
#include "connection.h"
#include "deadline.h"
#include "exchange.h"
#include "http.h"
#include "output.h"
#include "resolve.h"
#include "socks.h"
#include "url.h"

#include <err.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEFAULT_MILLISECONDS = 300 * 1000,
    REDIRECTS = 10,    /* we follow no more */
    REASON_BYTES = 64, /* we print no more of it */
};

struct options {
    struct connection_options connection;
    bool prints_head;
    const char *path; /* of the file to write, or NULL */
    struct deadline deadline;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client [-C CAFILE] [-d SERVER | -x PROXY] [-i] "
          "[-o FILE]\n"
          "                      [-t SECONDS] URL\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- From the request to the body ------------------------------------------
 */

/* A server may send anything, also what a terminal would obey. So all but plain
 * ASCII is printed as a question mark. */
static char visible(char character) {
    if (character >= ' ' && character <= '~')
        return character;
    return '?';
}

/* Reports a status that is not what we wanted, such as 404 Not Found. */
static void warn_of_status(const struct url *url,
                           const struct http_head *head) {
    char reason[REASON_BYTES] = "";
    for (size_t i = 0; i < head->reason.length && i < REASON_BYTES - 1; i++)
        reason[i] = visible(head->reason.bytes[i]);
    warnx("%s: %u %s", url->host, head->status, reason);
}

/* Prints the head of the reply, without the CRs at the ends of its lines. */
static void print_head(const struct connection *connection,
                       const struct http_head *head) {
    const char *bytes = connection->buffer + connection->begin - head->length;
    for (size_t i = 0; i < head->length; i++) {
        if (bytes[i] == '\n')
            (void)putchar('\n'); /* main looks whether it could */
        else if (bytes[i] != '\r')
            (void)putchar(visible(bytes[i]));
    }
}

/* Returns the field that says where to go on, or NULL if this is no redirect.
 */
static const struct http_text *location_of(const struct http_head *head) {
    switch (head->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return http_find(head, "Location");
    default:
        return NULL;
    }
}

/* Works out where a redirect leads. Returns -1 after it has said why we do not
 * follow it. */
static int find_next(struct url *next, const struct url *url,
                     const struct http_text *location) {
    const char *flaw;
    if (url_resolve(next, url, location->bytes, location->length, &flaw) < 0) {
        warnx("%s: a redirect that we cannot follow: %s", url->host, flaw);
        return -1;
    }
    if (url->is_secure && !next->is_secure) {
        warnx("%s: a redirect from https to http", url->host);
        return -1;
    }
    return 0;
}

/* Returns whether the reply is what we wanted. We have not asked for a part, so
 * 206 Partial Content is not. */
static bool is_success(const struct http_head *head) {
    return head->status >= 200 && head->status < 300 && head->status != 206;
}

/* Writes the reply that we have reached. Returns the program's status. */
static int write_reply(struct connection *connection, const struct url *url,
                       const struct http_head *head,
                       const struct options *options) {
    struct output output = {0}; /* the bytes go nowhere */
    int status = 0;
    if (options->prints_head)
        print_head(connection, head);
    if (!is_success(head)) {
        warn_of_status(url, head);
        status = 1;
    }
    /* What is not what we wanted becomes no file. */
    bool goes_nowhere = !is_success(head) && options->path != NULL;
    if (!goes_nowhere && output_open(&output, options->path) < 0)
        return 1;
    if (body_copy(connection, head, &output) < 0) {
        (void)fflush(stdout); /* what has come is shown */
        output_discard(&output);
        return 1;
    }
    if (output_finish(&output) < 0)
        return 1;
    return status;
}

/* Follows redirects until a reply is no redirect, and writes that reply.
 * Returns the program's status. */
static int fetch(struct connection *connection, struct url *url,
                 const struct options *options) {
    static struct http_head head;
    struct url next;
    for (int redirects = 0;; redirects++) {
        if (exchange(connection, url, &options->connection, &head) < 0)
            return 1;
        const struct http_text *location = location_of(&head);
        if (location == NULL)
            return write_reply(connection, url, &head, options);
        if (redirects == REDIRECTS) {
            warnx("%s: more than %d redirects", url->host, REDIRECTS);
            return 1;
        }
        if (find_next(&next, url, location) < 0)
            return 1;
        if (url_has_same_server(url, &next))
            body_skip(connection, &head);
        else
            connection_close(connection);
        *url = next;
    }
}

/* ---- Arguments -------------------------------------------------------------
 */

static struct deadline parse_deadline(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return deadline_after(milliseconds);
}

static struct resolve *parse_name_server(const char *text) {
    static struct resolve resolve;
    if (resolve_set_server(&resolve, text) < 0)
        errx(1, "%s is not an address, with a port or without", text);
    return &resolve;
}

static struct socks_proxy *parse_proxy(const char *text) {
    static struct socks_proxy proxy;
    if (socks_parse(&proxy, text) < 0)
        errx(1, "%s is not a HOST:PORT", text);
    return &proxy;
}

static void parse_options(struct options *options, int argc, char **argv) {
    options->deadline = deadline_after(DEFAULT_MILLISECONDS);
    for (;;) {
        int option = getopt(argc, argv, "+hC:d:io:t:x:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'C')
            options->connection.ca_file = optarg;
        else if (option == 'd')
            options->connection.resolve = parse_name_server(optarg);
        else if (option == 'i')
            options->prints_head = true;
        else if (option == 'o')
            options->path = optarg;
        else if (option == 't')
            options->deadline = parse_deadline(optarg);
        else if (option == 'x')
            options->connection.proxy = parse_proxy(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    if (options->connection.resolve != NULL &&
        options->connection.proxy != NULL)
        usage(stderr, 2); /* with a proxy, it is the proxy that looks up */
    if (options->connection.resolve != NULL)
        options->connection.resolve->deadline = options->deadline;
}

/* If 0, 1 or 2 were free, our socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    static struct connection connection;
    static struct url url;
    struct options options = {0};
    const char *flaw;
    parse_options(&options, argc, argv);
    const char *text = argv[optind];
    if (url_parse(&url, text, strlen(text), &flaw) < 0)
        errx(1, "not a URL that we can fetch: %s", flaw);
    require_standard_descriptors();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    connection.fd = -1;
    connection.deadline = options.deadline;
    int status = fetch(&connection, &url, &options);
    connection_close(&connection);
    SSL_CTX_free(connection.context); /* NULL is allowed */
    if (status == 0 && fflush(stdout) == EOF)
        err(1, "standard output");
    if (status == 0 && ferror(stdout))
        errx(1, "standard output: not every byte could be written");
    return status;
}
