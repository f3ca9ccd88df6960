/*
 * 30-dns-client: asks name servers what they know of a name, and prints it.
 *
 * Shows what a question and an answer of DNS look like on the wire, which
 * replies a client may believe, and what it does when none comes.
 * common/dns.c reads and writes the messages. It belongs to this lesson, so
 * read it too.
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
#include "deadline.h"
#include "dns.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SERVERS = 3, /* the C library asks no more than three, either */
    DEFAULT_TIMEOUT_SECONDS = 5,
    LONGEST_TIMEOUT_SECONDS = 30,
    DEFAULT_ATTEMPTS = 2,
    MOST_ATTEMPTS = 5,
    /* We say that we take replies of so many bytes over UDP. They fit into one
     * packet almost everywhere, and so they are not cut apart on the way. */
    UDP_BYTES = 1232,
    QUERY_BYTES = 512, /* more than any question has */
    LENGTH_BYTES = 2,  /* over TCP, each message has its length before it */
    ALIASES = 16,      /* so many CNAMEs may follow each other */
};

static const char settings_path[] = "/etc/resolv.conf";

struct options {
    const char *server; /* or NULL */
    const char *port;
    const char *type_text;
    const char *name_text;
    struct dns_question question;
};

struct server {
    struct sockaddr_storage address;
    socklen_t address_length;
    char text[ADDR_TEXT_BYTES];
};

/* Whom to ask, and how patiently. */
struct settings {
    struct server servers[SERVERS];
    size_t count;
    unsigned timeout_seconds; /* for one try at one server */
    unsigned attempts;        /* so often all of them are asked */
};

/* A question as it is sent. */
struct query {
    struct dns_question question;
    uint16_t id;
    uint8_t bytes[LENGTH_BYTES + QUERY_BYTES]; /* with its length in front */
    size_t length;                             /* without that */
};

/* A reply that answers our question. */
struct reply {
    uint8_t bytes[DNS_MESSAGE_BYTES];
    size_t length;
    struct dns_header header;
    size_t answers_at; /* where its answers begin */
};

/* What became of a try. */
enum outcome {
    ANSWERED,
    CUT,         /* the reply did not fit, so we ask again over TCP */
    WITHOUT_OPT, /* the server does not know our OPT record */
    FAILED,      /* and why has been reported */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 30-dns-client [-s SERVER] [-p PORT] [-t TYPE] [-x] NAME\n",
          out);
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

/* Adds the server with this address in numbers. Returns 0, or the error of
 * getaddrinfo. With these flags it asks nobody: lesson 04. */
static int add_server(struct settings *settings, const char *address,
                      const char *port) {
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_DGRAM,
    };
    struct addrinfo *list;
    int error = getaddrinfo(address, port, &hints, &list);
    if (error != 0)
        return error;
    struct server *server = &settings->servers[settings->count];
    memcpy(&server->address, list->ai_addr, list->ai_addrlen);
    server->address_length = list->ai_addrlen;
    (void)addr_format(list->ai_addr, list->ai_addrlen, server->text);
    settings->count++;
    freeaddrinfo(list);
    return 0;
}

/* Reads the number behind the colon of "timeout:2". Like the C library, we take
 * the largest allowed number when it is larger, and ignore what is no number.
 */
static void read_option(const char *option, const char *name, unsigned most,
                        unsigned *value) {
    size_t length = strlen(name);
    unsigned long long number;
    if (strncmp(option, name, length) != 0)
        return;
    if (number_parse(option + length, 1, UINT32_MAX, &number) < 0)
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
        if (add_server(settings, address, port) != 0)
            warnx("%s: %s is not an address", settings_path, address);
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
    else if (add_server(settings, options->server, options->port) != 0)
        errx(1, "%s is not an address", options->server);
}

/* ---- The question ----------------------------------------------------------
 */

/* Returns a number that nobody can guess: lesson 12. */
static uint16_t random_id(void) {
    uint16_t id;
    if (getrandom(&id, sizeof id, 0) != sizeof id)
        err(1, "getrandom");
    return id;
}

/* Writes the question, with a new id. QUERY_BYTES are enough for a name of any
 * length, so writing cannot fail. */
static void make_query(struct query *query, bool with_opt) {
    static const struct dns_name root = {.length = 1}; /* its byte is 0 */
    struct dns_writer writer = {
        .bytes = query->bytes + LENGTH_BYTES,
        .size = QUERY_BYTES,
    };
    struct dns_header header = {
        .wants_recursion = true,
        .questions = 1,
    };
    query->id = random_id();
    header.id = query->id;
    if (with_opt)
        header.additions = 1;
    (void)dns_write_header(&writer, &header);
    (void)dns_write_question(&writer, &query->question);
    /* The class of an OPT record is a number of bytes: RFC 6891, section 6. */
    if (with_opt)
        (void)dns_write_record(&writer, &root, DNS_OPT, UDP_BYTES, 0, NULL, 0);
    query->length = writer.length;
    query->bytes[0] = (uint8_t)(writer.length >> 8);
    query->bytes[1] = (uint8_t)writer.length;
}

/* ---- The reply -------------------------------------------------------------
 */

/* Anybody can send us a datagram that says it comes from the server. So we
 * believe only one that has our id, and our question: RFC 5452, section 9.1. */
static bool is_for_us(struct reply *reply, const struct query *query) {
    struct dns_message message = {
        .bytes = reply->bytes,
        .length = reply->length,
    };
    struct dns_question question;
    if (dns_read_header(&message, &reply->header) < 0)
        return false;
    const struct dns_header *header = &reply->header;
    if (header->id != query->id || !header->is_reply)
        return false;
    if (header->operation != 0)
        return false;
    /* A server that does not understand us may leave out the question. */
    if (header->status == DNS_FORMAT_ERROR && header->questions == 0)
        return true;
    if (header->questions != 1)
        return false;
    if (dns_read_question(&message, &question) < 0)
        return false;
    reply->answers_at = message.at;
    return question.type == query->question.type &&
           question.class == query->question.class &&
           dns_name_equals(&question.name, &query->question.name);
}

/* Reads all answers once, before we print the first. */
static bool has_good_answers(const struct reply *reply) {
    static char text[DNS_DATA_TEXT_BYTES];
    struct dns_message message = {
        .bytes = reply->bytes,
        .length = reply->length,
        .at = reply->answers_at,
    };
    for (unsigned i = 0; i < reply->header.answers; i++) {
        struct dns_record record;
        if (dns_read_record(&message, &record) < 0)
            return false;
        if (dns_data_format(&message, &record, text) < 0)
            return false;
    }
    return true;
}

static const char *status_text(unsigned status) {
    switch (status) {
    case DNS_FORMAT_ERROR:
        return "it did not understand the question";
    case DNS_SERVER_FAILURE:
        return "it could not find out (SERVFAIL)";
    case DNS_NOT_IMPLEMENTED:
        return "it cannot answer such a question";
    case DNS_REFUSED:
        return "it refused to answer";
    default:
        return "it reported an unknown error";
    }
}

/* Decides what to do with a reply that is for us. */
static enum outcome judge_reply(const struct reply *reply,
                                const struct server *server, bool with_opt) {
    unsigned status = reply->header.status;
    if (with_opt &&
        (status == DNS_FORMAT_ERROR || status == DNS_NOT_IMPLEMENTED))
        return WITHOUT_OPT;
    if (status != DNS_NO_ERROR && status != DNS_NO_SUCH_NAME) {
        warnx("%s: %s", server->text, status_text(status));
        return FAILED;
    }
    if (reply->header.is_cut)
        return CUT;
    if (!has_good_answers(reply)) {
        warnx("%s: the reply is damaged", server->text);
        return FAILED;
    }
    return ANSWERED;
}

/* ---- Asking ----------------------------------------------------------------
 */

/* Reports that a call failed with errno, or that the time was over. */
static enum outcome report_failure(const char *call,
                                   const struct server *server,
                                   unsigned timeout_seconds) {
    if (errno == ETIMEDOUT)
        warnx("%s: no answer within %u s", server->text, timeout_seconds);
    else if (errno == EPROTO)
        warnx("%s: the connection ended before the reply did", server->text);
    else
        warn("%s %s", call, server->text);
    return FAILED;
}

/* Waits until a reply comes that is for us. Others are ignored, because a
 * stranger could otherwise end our waiting. */
static enum outcome receive_datagram(int fd, struct deadline deadline,
                                     const struct query *query,
                                     struct reply *reply) {
    for (;;) {
        ssize_t length =
            deadline_recv(deadline, fd, reply->bytes, sizeof reply->bytes);
        if (length < 0)
            return FAILED;
        reply->length = (size_t)length;
        if (is_for_us(reply, query))
            return ANSWERED;
    }
}

/* Each try has a new socket, so the kernel chooses a new port for it, which
 * nobody can know. The socket is connected, so it receives only what comes from
 * the server's address: lesson 03. */
static enum outcome ask_over_udp(const struct server *server,
                                 const struct query *query, struct reply *reply,
                                 unsigned timeout_seconds) {
    struct deadline deadline = deadline_after((int)timeout_seconds * 1000);
    int fd = socket(server->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    enum outcome outcome = FAILED;
    if (connect(fd, (const struct sockaddr *)&server->address,
                server->address_length) < 0)
        (void)report_failure("connect", server, timeout_seconds);
    else if (send(fd, query->bytes + LENGTH_BYTES, query->length, 0) < 0)
        (void)report_failure("send to", server, timeout_seconds);
    else if (receive_datagram(fd, deadline, query, reply) == FAILED)
        (void)report_failure("recv from", server, timeout_seconds);
    else
        outcome = ANSWERED;
    (void)close(fd);
    return outcome;
}

/* Receives exactly so many bytes. Returns -1 with errno, which is EPROTO when
 * the server ends the connection before. */
static int receive_all(int fd, struct deadline deadline, uint8_t *bytes,
                       size_t length) {
    size_t received = 0;
    while (received < length) {
        ssize_t count =
            deadline_recv(deadline, fd, bytes + received, length - received);
        if (count < 0)
            return -1;
        if (count == 0) {
            errno = EPROTO;
            return -1;
        }
        received += (size_t)count;
    }
    return 0;
}

/* Over TCP, a message has its length before it: RFC 1035, section 4.2.2. */
static int receive_message(int fd, struct deadline deadline,
                           struct reply *reply) {
    uint8_t length[LENGTH_BYTES];
    if (receive_all(fd, deadline, length, sizeof length) < 0)
        return -1;
    reply->length = (size_t)length[0] << 8 | length[1];
    return receive_all(fd, deadline, reply->bytes, reply->length);
}

/* The connection is closed before the outcome is reported. */
static enum outcome ask_over_tcp(const struct server *server,
                                 const struct query *query, struct reply *reply,
                                 unsigned timeout_seconds) {
    struct deadline deadline = deadline_after((int)timeout_seconds * 1000);
    int fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    enum outcome outcome = FAILED;
    size_t sent;
    if (deadline_connect(deadline, fd,
                         (const struct sockaddr *)&server->address,
                         server->address_length) < 0)
        (void)report_failure("connect", server, timeout_seconds);
    else if (deadline_send(deadline, fd, (const char *)query->bytes,
                           LENGTH_BYTES + query->length, &sent) < 0)
        (void)report_failure("send to", server, timeout_seconds);
    else if (receive_message(fd, deadline, reply) < 0)
        (void)report_failure("recv from", server, timeout_seconds);
    else if (!is_for_us(reply, query))
        warnx("%s: the reply answers another question", server->text);
    else
        outcome = ANSWERED;
    (void)close(fd);
    return outcome;
}

/* Asks one server: over UDP, and when the reply is cut, over TCP. */
static enum outcome ask_server(const struct server *server, struct query *query,
                               struct reply *reply, unsigned timeout_seconds,
                               bool with_opt) {
    make_query(query, with_opt);
    if (ask_over_udp(server, query, reply, timeout_seconds) == FAILED)
        return FAILED;
    enum outcome outcome = judge_reply(reply, server, with_opt);
    if (outcome != CUT)
        return outcome;

    make_query(query, with_opt);
    if (ask_over_tcp(server, query, reply, timeout_seconds) == FAILED)
        return FAILED;
    outcome = judge_reply(reply, server, with_opt);
    if (outcome == CUT) {
        warnx("%s: the reply over TCP is cut, too", server->text);
        return FAILED;
    }
    return outcome;
}

/* Asks one server after the other, until one of them answers. */
static bool ask_servers(const struct settings *settings, struct query *query,
                        struct reply *reply) {
    unsigned seconds = settings->timeout_seconds;
    for (unsigned attempt = 0; attempt < settings->attempts; attempt++) {
        for (size_t i = 0; i < settings->count; i++) {
            const struct server *server = &settings->servers[i];
            enum outcome outcome =
                ask_server(server, query, reply, seconds, true);
            if (outcome == WITHOUT_OPT)
                outcome = ask_server(server, query, reply, seconds, false);
            if (outcome == ANSWERED)
                return true;
        }
    }
    return false;
}

/* ---- The answer ------------------------------------------------------------
 */

static void print_record(const struct dns_message *message,
                         const struct dns_record *record) {
    static char data[DNS_DATA_TEXT_BYTES];
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    (void)dns_data_format(message, record, data); /* it has been checked */
    if (printf("%s %u IN %s %s\n", dns_name_format(&record->name, name),
               record->ttl, dns_type_format(record->type, type), data) < 0)
        err(1, "standard output");
}

/* What the answers say of one name. */
enum found {
    RECORDS, /* of the type that we asked for */
    ALIAS,   /* a CNAME: another name for it */
    NOTHING,
};

/* Prints the records of a name. The answers may stand in any order, and there
 * may be others among them, for which we have not asked. When the name is an
 * alias, *target becomes the name for which it stands. */
static enum found print_answers(const struct reply *reply,
                                const struct dns_name *name, uint16_t type,
                                struct dns_name *target) {
    enum found found = NOTHING;
    struct dns_message message = {
        .bytes = reply->bytes,
        .length = reply->length,
        .at = reply->answers_at,
    };
    for (unsigned i = 0; i < reply->header.answers; i++) {
        struct dns_record record;
        (void)dns_read_record(&message, &record); /* it has been checked */
        if (record.class != DNS_IN || !dns_name_equals(&record.name, name))
            continue;
        if (record.type == type) {
            print_record(&message, &record);
            found = RECORDS;
        } else if (record.type == DNS_CNAME && found == NOTHING) {
            print_record(&message, &record);
            (void)dns_data_name(&message, &record, target);
            found = ALIAS;
        }
    }
    return found;
}

/* Follows the aliases from the name of the question to its records. Returns the
 * status of the program. */
static int print_reply(const struct reply *reply,
                       const struct dns_question *question) {
    struct dns_name name = question->name;
    struct dns_name target;
    char text[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    for (int aliases = 0; aliases <= ALIASES; aliases++) {
        switch (print_answers(reply, &name, question->type, &target)) {
        case RECORDS:
            return 0;
        case ALIAS:
            name = target;
            break;
        case NOTHING:
            if (reply->header.status == DNS_NO_SUCH_NAME)
                warnx("there is no name %s", dns_name_format(&name, text));
            else
                warnx("%s has no %s record", dns_name_format(&name, text),
                      dns_type_format(question->type, type));
            return 1;
        }
    }
    warnx("over %d aliases follow each other", ALIASES);
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
    static struct reply reply;
    struct options options = parse_options(argc, argv);
    require_standard_descriptors();
    /* Without a reader, a write must fail, and not kill us: lesson 01. */
    (void)signal(SIGPIPE, SIG_IGN);

    choose_servers(&settings, &options);
    query.question = options.question;
    if (!ask_servers(&settings, &query, &reply))
        errx(1, "%s: no server has answered", options.name_text);
    int status = print_reply(&reply, &options.question);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return status;
}
