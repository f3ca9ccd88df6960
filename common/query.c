/* query: asks a name server one question, and reads what it answers. */
#define _GNU_SOURCE

#include "query.h"

#include "deadline.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* What we do after a reply, or after none. */
enum step {
    ACCEPT,
    ASK_OVER_TCP,    /* the reply is cut */
    ASK_WITHOUT_OPT, /* the server does not know our OPT record */
    GIVE_UP,         /* query->result says why */
};

int query_server_set(struct query_server *server, const char *address,
                     const char *port) {
    /* With these flags, getaddrinfo asks nobody: lesson 04. */
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
        .ai_socktype = SOCK_DGRAM,
    };
    struct addrinfo *list;
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        return -1;
    if (getaddrinfo(address, port, &hints, &list) != 0) {
        errno = EINVAL;
        return -1;
    }
    memcpy(&server->address, list->ai_addr, list->ai_addrlen);
    server->address_length = list->ai_addrlen;
    (void)addr_format(list->ai_addr, list->ai_addrlen, server->text);
    freeaddrinfo(list);
    return 0;
}

static enum step give_up(struct query *query, enum query_result result) {
    query->result = result;
    return GIVE_UP;
}

/* A call has failed with errno. */
static enum step give_up_after(struct query *query, const char *call) {
    query->call = call;
    query->error = errno;
    if (errno == ETIMEDOUT)
        return give_up(query, QUERY_TIMED_OUT);
    if (errno == EPROTO)
        return give_up(query, QUERY_ENDED);
    return give_up(query, QUERY_CALL_FAILED);
}

/* ---- The question ----------------------------------------------------------
 */

/* Writes the question, with a new id that nobody can guess: lesson 12. Returns
 * -1 with errno when the kernel has no random number. QUERY_BYTES are enough
 * for a name of any length, so writing cannot fail. */
static int make_query(struct query *query, bool with_opt) {
    static const struct dns_name root = {.length = 1}; /* its byte is 0 */
    struct dns_writer writer = {
        .bytes = query->bytes + QUERY_LENGTH_BYTES,
        .size = QUERY_BYTES,
    };
    struct dns_header header = {
        .wants_recursion = true,
        .questions = 1,
    };
    if (getrandom(&query->id, sizeof query->id, 0) != sizeof query->id)
        return -1;
    header.id = query->id;
    if (with_opt)
        header.additions = 1;
    (void)dns_write_header(&writer, &header);
    (void)dns_write_question(&writer, &query->question);
    /* The class of an OPT record is a number of bytes: RFC 6891, section 6. */
    if (with_opt)
        (void)dns_write_record(&writer, &root, DNS_OPT, QUERY_UDP_BYTES, 0,
                               NULL, 0);
    query->length = writer.length;
    query->bytes[0] = (uint8_t)(writer.length >> 8);
    query->bytes[1] = (uint8_t)writer.length;
    return 0;
}

/* ---- The reply -------------------------------------------------------------
 */

/* Anybody can send us a datagram that says it comes from the server. So we
 * believe only one that has our id, and our question: RFC 5452, section 9.1. */
static bool is_for_us(struct query_reply *reply, const struct query *query) {
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

static struct dns_message answers_of(const struct query_reply *reply) {
    return (struct dns_message){
        .bytes = reply->bytes,
        .length = reply->length,
        .at = reply->answers_at,
    };
}

/* Reads all answers once, before we use the first. */
static bool has_good_answers(struct query *query) {
    struct dns_message message = answers_of(&query->reply);
    for (unsigned i = 0; i < query->reply.header.answers; i++) {
        struct dns_record record;
        if (dns_read_record(&message, &record) < 0)
            return false;
        if (dns_data_format(&message, &record, query->data) < 0)
            return false;
    }
    return true;
}

/* Decides what to do with a reply that is for us. */
static enum step judge_reply(struct query *query, bool with_opt) {
    const struct dns_header *header = &query->reply.header;
    unsigned status = header->status;
    if (with_opt &&
        (status == DNS_FORMAT_ERROR || status == DNS_NOT_IMPLEMENTED))
        return ASK_WITHOUT_OPT;
    if (status != DNS_NO_ERROR && status != DNS_NO_SUCH_NAME)
        return give_up(query, QUERY_SERVER_ERROR);
    if (header->is_cut)
        return ASK_OVER_TCP;
    if (!has_good_answers(query))
        return give_up(query, QUERY_DAMAGED);
    return ACCEPT;
}

/* ---- Asking ----------------------------------------------------------------
 */

/* Waits until a reply comes that is for us. Others are ignored, because a
 * stranger could otherwise end our waiting. Returns 0, or -1 with errno. */
static int receive_datagram(int fd, struct deadline deadline,
                            const struct query *query,
                            struct query_reply *reply) {
    for (;;) {
        ssize_t length =
            deadline_recv(deadline, fd, reply->bytes, sizeof reply->bytes);
        if (length < 0)
            return -1;
        reply->length = (size_t)length;
        if (is_for_us(reply, query))
            return 0;
    }
}

/* Each try has a new socket, so the kernel chooses a new port for it, which
 * nobody can know. The socket is connected, so it receives only what comes from
 * the server's address: lesson 03. */
static enum step ask_over_udp(struct query *query, struct deadline deadline,
                              bool with_opt) {
    const struct query_server *server = query->server;
    int fd = socket(server->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return give_up_after(query, "socket for");
    enum step step;
    if (connect(fd, (const struct sockaddr *)&server->address,
                server->address_length) < 0)
        step = give_up_after(query, "connect");
    else if (send(fd, query->bytes + QUERY_LENGTH_BYTES, query->length, 0) < 0)
        step = give_up_after(query, "send to");
    else if (receive_datagram(fd, deadline, query, &query->reply) < 0)
        step = give_up_after(query, "recv from");
    else
        step = judge_reply(query, with_opt);
    (void)close(fd);
    return step;
}

/* Over TCP, a message has its length before it: RFC 1035, section 4.2.2. */
static int receive_message(int fd, struct deadline deadline,
                           struct query_reply *reply) {
    uint8_t length[QUERY_LENGTH_BYTES];
    if (deadline_recv_all(deadline, fd, length, sizeof length) < 0)
        return -1;
    reply->length = (size_t)length[0] << 8 | length[1];
    return deadline_recv_all(deadline, fd, reply->bytes, reply->length);
}

static enum step ask_over_tcp(struct query *query, struct deadline deadline,
                              bool with_opt) {
    const struct query_server *server = query->server;
    int fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return give_up_after(query, "socket for");
    enum step step;
    size_t sent;
    if (deadline_connect(deadline, fd,
                         (const struct sockaddr *)&server->address,
                         server->address_length) < 0)
        step = give_up_after(query, "connect");
    else if (deadline_send(deadline, fd, (const char *)query->bytes,
                           QUERY_LENGTH_BYTES + query->length, &sent) < 0)
        step = give_up_after(query, "send to");
    else if (receive_message(fd, deadline, &query->reply) < 0)
        step = give_up_after(query, "recv from");
    else if (!is_for_us(&query->reply, query))
        step = give_up(query, QUERY_OTHER_QUESTION);
    else
        step = judge_reply(query, with_opt);
    (void)close(fd);
    return step;
}

/* Asks over UDP, and when the reply is cut, over TCP. */
static enum step ask(struct query *query, struct deadline deadline,
                     bool with_opt) {
    if (make_query(query, with_opt) < 0)
        return give_up_after(query, "getrandom for");
    enum step step = ask_over_udp(query, deadline, with_opt);
    if (step != ASK_OVER_TCP)
        return step;
    if (make_query(query, with_opt) < 0)
        return give_up_after(query, "getrandom for");
    step = ask_over_tcp(query, deadline, with_opt);
    if (step == ASK_OVER_TCP)
        return give_up(query, QUERY_STILL_CUT);
    return step;
}

enum query_result query_ask(struct query *query) {
    struct deadline deadline = deadline_after(query->timeout_ms);
    enum step step = ask(query, deadline, true);
    if (step == ASK_WITHOUT_OPT)
        step = ask(query, deadline, false);
    if (step == ACCEPT)
        query->result = QUERY_DONE;
    return query->result;
}

/* ---- The answer ------------------------------------------------------------
 */

/* What the answers say of one name. */
enum found {
    RECORDS, /* of the type that we asked for */
    ALIAS,   /* a CNAME: another name for it */
    NOTHING,
};

/* Says whether a record is one of query->name. The answers may stand in any
 * order, and there may be others among them, for which we have not asked. */
static bool is_of_name(const struct query *query,
                       const struct dns_record *record) {
    return record->class == DNS_IN &&
           dns_name_equals(&record->name, &query->name);
}

/* Says whether query->name has a record of the type that we asked for. */
static bool has_records(const struct query *query) {
    struct dns_message message = answers_of(&query->reply);
    for (unsigned i = 0; i < query->reply.header.answers; i++) {
        struct dns_record record;
        (void)dns_read_record(&message, &record); /* it has been checked */
        if (is_of_name(query, &record) && record.type == query->question.type)
            return true;
    }
    return false;
}

/* Reads the records of query->name. An alias counts only if there is no record
 * of our type. Then *target becomes the name for which it stands. */
static enum found read_records(const struct query *query, query_reader *reader,
                               void *context, struct dns_name *target) {
    enum found found = NOTHING;
    struct dns_message message = answers_of(&query->reply);
    bool has_type = has_records(query);
    for (unsigned i = 0; i < query->reply.header.answers; i++) {
        struct dns_record record;
        (void)dns_read_record(&message, &record); /* it has been checked */
        if (!is_of_name(query, &record))
            continue;
        if (record.type == query->question.type) {
            reader(context, &message, &record);
            found = RECORDS;
        } else if (record.type == DNS_CNAME && !has_type && found == NOTHING) {
            reader(context, &message, &record);
            (void)dns_data_name(&message, &record, target);
            found = ALIAS;
        }
    }
    return found;
}

enum query_result query_read(struct query *query, query_reader *reader,
                             void *context) {
    struct dns_name target;
    query->name = query->question.name;
    query->result = QUERY_MANY_ALIASES;
    for (int aliases = 0; aliases <= QUERY_ALIASES; aliases++) {
        switch (read_records(query, reader, context, &target)) {
        case RECORDS:
            query->result = QUERY_DONE;
            return query->result;
        case ALIAS:
            query->name = target;
            break;
        case NOTHING:
            query->result = QUERY_NO_RECORD;
            if (query->reply.header.status == DNS_NO_SUCH_NAME)
                query->result = QUERY_NO_NAME;
            return query->result;
        }
    }
    return query->result;
}

/* ---- In words --------------------------------------------------------------
 */

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

/* What is said of the server. */
static const char *server_text(const struct query *query) {
    switch (query->result) {
    case QUERY_TIMED_OUT:
        return "no answer in time";
    case QUERY_ENDED:
        return "the connection ended before the reply did";
    case QUERY_OTHER_QUESTION:
        return "the reply answers another question";
    case QUERY_STILL_CUT:
        return "the reply over TCP is cut, too";
    case QUERY_DAMAGED:
        return "the reply is damaged";
    default:
        return status_text(query->reply.header.status);
    }
}

const char *query_explain(const struct query *query, char *text) {
    const char *server = query->server->text;
    char name[DNS_NAME_TEXT_BYTES];
    char type[DNS_TYPE_TEXT_BYTES];
    switch (query->result) {
    case QUERY_DONE:
        (void)snprintf(text, QUERY_TEXT_BYTES, "%s: it has answered", server);
        break;
    case QUERY_CALL_FAILED:
        (void)snprintf(text, QUERY_TEXT_BYTES, "%s %s: %s", query->call, server,
                       strerror(query->error));
        break;
    case QUERY_NO_NAME:
        (void)snprintf(text, QUERY_TEXT_BYTES, "there is no name %s",
                       dns_name_format(&query->name, name));
        break;
    case QUERY_NO_RECORD:
        (void)snprintf(text, QUERY_TEXT_BYTES, "%s has no %s record",
                       dns_name_format(&query->name, name),
                       dns_type_format(query->question.type, type));
        break;
    case QUERY_MANY_ALIASES:
        (void)snprintf(text, QUERY_TEXT_BYTES,
                       "over %d aliases follow each other", QUERY_ALIASES);
        break;
    default:
        (void)snprintf(text, QUERY_TEXT_BYTES, "%s: %s", server,
                       server_text(query));
        break;
    }
    return text;
}
