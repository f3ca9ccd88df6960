/*
 * 30-dns-client: asks name servers what they know of a name, and prints it.
 *
 * Shows what a question and an answer of DNS look like on the wire, which
 * replies a client may believe, and what it does when none comes.
 * common/query.c asks one server, and common/dns.c reads and writes the
 * messages. Both belong to this lesson, so read them too.
 *
 * usage: 30-dns-client [-s SERVER] [-p PORT] [-t TYPE] [-x] NAME
 *
 * Without -s it asks the servers of /etc/resolv.conf, one after the other. TYPE
 * is A unless -t says otherwise. With -x, NAME is an address, and we ask for
 * the name that it has.
 *
 * Left out: names without their domain, such as "www" (`search` in
 * resolv.conf); asking the servers of the world ourselves, from the root on;
 * signatures (DNSSEC); questions over TLS.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "dns.h"
#include "number.h"
#include "query.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERVERS = 3, /* the C library asks no more than three, either */
    DEFAULT_TIMEOUT_SECONDS = 5,
    LONGEST_TIMEOUT_SECONDS = 30,
    DEFAULT_ATTEMPTS = 2,
    MOST_ATTEMPTS = 5,
};

static const char settings_path[] = "/etc/resolv.conf";

struct options {
    const char *server; /* or NULL */
    const char *port;
    const char *type_text;
    const char *name_text;
    struct dns_question question;
};

/* Whom to ask, and how patiently. */
struct settings {
    struct query_server servers[SERVERS];
    size_t count;
    unsigned timeout_seconds; /* for one try at one server */
    unsigned attempts;        /* how many times each of them is asked */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 30-dns-client [-s SERVER] [-p PORT] [-t TYPE] [-x] NAME\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- What we are asked to do -----------------------------------------------
 */

static void parse_name(struct dns_question *question, const char *text) {
    if (dns_name_parse(&question->name, text) == 0)
        return;
    if (errno == ENAMETOOLONG)
        errx(1, "%s is too long for a name", text);
    errx(1, "%s is not a name", text);
}

static struct options parse_options(int argc, char **argv) {
    struct options options = {.port = "53"};
    bool is_address = false;
    for (;;) {
        int option = getopt(argc, argv, "+hs:p:t:x");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 's')
            options.server = optarg;
        else if (option == 'p')
            options.port = optarg;
        else if (option == 't')
            options.type_text = optarg;
        else if (option == 'x')
            is_address = true;
        else
            usage(stderr, 2);
    }
    if (argc - optind != 1)
        usage(stderr, 2);
    options.name_text = argv[optind];

    struct dns_question *question = &options.question;
    if (options.type_text == NULL)
        options.type_text = is_address ? "PTR" : "A";
    if (dns_type_parse(&question->type, options.type_text) < 0)
        errx(1, "%s is not a type of records", options.type_text);
    question->class = DNS_IN;
    if (!is_address)
        parse_name(question, options.name_text);
    else if (dns_name_reverse(&question->name, options.name_text) < 0)
        errx(1, "%s is not an address", options.name_text);
    return options;
}

/* Adds the server with this address in numbers. Returns 0, or -1 if it is no
 * address, or if this machine does not have the interface behind its %. */
static int add_server(struct settings *settings, const char *address,
                      const char *port) {
    if (query_server_set(&settings->servers[settings->count], address, port) <
        0)
        return -1;
    settings->count++;
    return 0;
}

/* Reads the number behind the colon of "timeout:2". As in the C library, a
 * number above most becomes most. What is no number, we ignore. */
static void read_option(const char *option, const char *name, unsigned most,
                        unsigned *value) {
    size_t length = strlen(name);
    unsigned long long number;
    if (strncmp(option, name, length) != 0)
        return;
    if (number_parse(option + length, 1, ULLONG_MAX, &number) < 0)
        return;
    if (number > most)
        number = most;
    *value = (unsigned)number;
}

/* Reads one line of resolv.conf(5). The line is changed. */
static void read_settings_line(struct settings *settings, char *line,
                               const char *port) {
    static const char blanks[] = " \t\r\n";
    char *rest;
    const char *word = strtok_r(line, blanks, &rest);
    if (word == NULL)
        return;
    if (strcmp(word, "nameserver") == 0) {
        const char *address = strtok_r(NULL, blanks, &rest);
        if (address == NULL || settings->count == SERVERS)
            return;
        if (add_server(settings, address, port) < 0)
            warnx("%s: %s is not an address that can be used here",
                  settings_path, address);
    }
    if (strcmp(word, "options") == 0) {
        for (;;) {
            const char *option = strtok_r(NULL, blanks, &rest);
            if (option == NULL)
                break;
            read_option(option, "timeout:", LONGEST_TIMEOUT_SECONDS,
                        &settings->timeout_seconds);
            read_option(option, "attempts:", MOST_ATTEMPTS,
                        &settings->attempts);
        }
    }
}

/* Without the file, or without a server in it, there should be one on this
 * machine: resolv.conf(5). */
static void read_settings(struct settings *settings,
                          const struct options *options) {
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(settings_path, "re");
    if (file == NULL && errno != ENOENT)
        err(1, "%s", settings_path);
    if (file != NULL) {
        while (getline(&line, &size, file) >= 0)
            read_settings_line(settings, line, options->port);
        if (ferror(file))
            err(1, "%s", settings_path);
        free(line);
        (void)fclose(file); /* we have only read from it */
    }
    if (settings->count == 0)
        (void)add_server(settings, "127.0.0.1", options->port);
}

static void choose_servers(struct settings *settings,
                           const struct options *options) {
    in_port_t port;
    if (addr_parse_port(options->port, strlen(options->port), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to 65535", options->port);
    settings->timeout_seconds = DEFAULT_TIMEOUT_SECONDS;
    settings->attempts = DEFAULT_ATTEMPTS;
    if (options->server == NULL)
        read_settings(settings, options);
    else if (add_server(settings, options->server, options->port) < 0)
        errx(1, "%s is not an address that can be used here", options->server);
}

/* ---- Asking ----------------------------------------------------------------
 */

/* Asks one server after the other, until one of them answers. */
static bool ask_servers(const struct settings *settings, struct query *query) {
    char text[QUERY_TEXT_BYTES];
    query->timeout_ms = (int)settings->timeout_seconds * 1000;
    for (unsigned attempt = 0; attempt < settings->attempts; attempt++) {
        for (size_t i = 0; i < settings->count; i++) {
            query->server = &settings->servers[i];
            if (query_ask(query) == QUERY_DONE)
                return true;
            warnx("%s", query_explain(query, text));
        }
    }
    return false;
}

/* Prints a record, as a file for name servers has it. query_read calls this. */
static void print_record(void *context, const struct dns_message *message,
                         const struct dns_record *record) {
    static char data[DNS_DATA_TEXT_BYTES];
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    (void)context;                                /* we need nothing else */
    (void)dns_data_format(message, record, data); /* it has been checked */
    if (printf("%s %u IN %s %s\n", dns_name_format(&record->name, name),
               record->ttl, dns_type_format(record->type, type), data) < 0)
        err(1, "standard output");
}

/* Prints the answer. Returns the status of the program. */
static int print_answer(struct query *query) {
    char text[QUERY_TEXT_BYTES];
    if (query_read(query, print_record, NULL) == QUERY_DONE)
        return 0;
    warnx("%s", query_explain(query, text));
    return 1;
}

/* If 0, 1 or 2 were free, our socket would get that number: lesson 01. */
static void require_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

int main(int argc, char **argv) {
    static struct settings settings;
    static struct query query;
    struct options options = parse_options(argc, argv);
    require_standard_descriptors();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    choose_servers(&settings, &options);
    query.question = options.question;
    if (!ask_servers(&settings, &query))
        errx(1, "%s: no server has answered", options.name_text);
    int status = print_answer(&query);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return status;
}
