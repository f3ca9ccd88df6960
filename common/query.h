/*
 * query: asks a name server one question, and reads what it answers.
 * Built by lesson 30.
 *
 * A reply may come from anybody. So only one with our id and our question is
 * believed: RFC 5452, section 9.1. common/dns reads and writes the messages.
 */
#ifndef COMMON_QUERY_H
#define COMMON_QUERY_H

#include "addr.h"
#include "dns.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    /* We say that we take replies of so many bytes over UDP. They fit into one
     * packet almost everywhere, and so they are not cut apart on the way. */
    QUERY_UDP_BYTES = 1232,
    QUERY_BYTES = 512, /* more than any question has */
    QUERY_LENGTH_BYTES =
        2,              /* over TCP, each message has its length before it */
    QUERY_ALIASES = 16, /* so many CNAMEs may follow each other */
    QUERY_TEXT_BYTES = DNS_NAME_TEXT_BYTES + ADDR_TEXT_BYTES + 256,
};

/* What became of a question. query_explain says it in words. */
enum query_result {
    QUERY_DONE,
    /* From query_ask: the server has not answered. */
    QUERY_CALL_FAILED,    /* the members call and error say why */
    QUERY_TIMED_OUT,      /* no reply has come in time */
    QUERY_ENDED,          /* the connection ended before the reply did */
    QUERY_OTHER_QUESTION, /* the reply over TCP is for another question */
    QUERY_STILL_CUT,      /* the reply is cut, even over TCP */
    QUERY_DAMAGED,        /* the reply cannot be read */
    QUERY_SERVER_ERROR,   /* reply.header.status says which */
    /* From query_read: the server has answered that there is nothing. */
    QUERY_NO_NAME,      /* there is no such name */
    QUERY_NO_RECORD,    /* the name has no record of this type */
    QUERY_MANY_ALIASES, /* more than QUERY_ALIASES follow each other */
};

struct query_server {
    struct sockaddr_storage address;
    socklen_t address_length;
    char text[ADDR_TEXT_BYTES]; /* the address, as addr_format writes it */
};

/* A reply that answers our question. */
struct query_reply {
    uint8_t bytes[DNS_MESSAGE_BYTES];
    size_t length;
    struct dns_header header;
    size_t answers_at; /* where its answers begin */
};

/* A question, and all that belongs to it. It is large (about 330 KB), so it
 * should not lie on the stack. There is nothing to free. */
struct query {
    /* The caller fills these in. */
    struct dns_question question;
    const struct query_server *server;
    int timeout_ms; /* for all that query_ask does */

    /* query_ask and query_read fill these in. */
    enum query_result result;
    const char *call; /* QUERY_CALL_FAILED: what failed, such as "send to" */
    int error;        /* QUERY_CALL_FAILED: its error, as in errno */
    struct query_reply reply;
    struct dns_name name; /* the last name of the chain of aliases */

    /* Only for the functions below. */
    uint16_t id;
    uint8_t bytes[QUERY_LENGTH_BYTES + QUERY_BYTES]; /* length, question */
    size_t length;                                   /* of the question */
    char data[DNS_DATA_TEXT_BYTES]; /* the data of a record, as a text */
};

/* A function of the caller, which query_read calls for a record. The data of
 * the record have the form of their type. The context is the one that
 * query_read was given. */
typedef void query_reader(void *context, const struct dns_message *message,
                          const struct dns_record *record);

/* Sets the server from C strings: an IPv4 or IPv6 address in numbers, and a
 * port from 1 to 65535. No name is looked up. Returns 0, or -1 with errno
 * EINVAL when they are something else. */
int query_server_set(struct query_server *server, const char *address,
                     const char *port);

/*
 * Asks the server once: over UDP, and when the reply is cut, over TCP. When the
 * server does not know the OPT record, it asks again without it. Each datagram
 * has a new id, and leaves from a new port.
 *
 * Returns query->result: QUERY_DONE when there is a reply that answers the
 * question, even if it says that there is no such name. UDP loses datagrams, so
 * after another result the caller may try again, or ask another server.
 */
enum query_result query_ask(struct query *query);

/*
 * Follows the aliases from the name of the question to its records, in the
 * reply for which query_ask has returned QUERY_DONE. For each CNAME of this
 * chain, and for each record of the type that was asked for, it calls the
 * reader. Other records of the reply, which nobody has asked for, are passed
 * over.
 *
 * Returns query->result: QUERY_DONE when there were records of this type,
 * QUERY_NO_NAME, QUERY_NO_RECORD or QUERY_MANY_ALIASES.
 */
enum query_result query_read(struct query *query, query_reader *reader,
                             void *context);

/* Writes into text, which has QUERY_TEXT_BYTES, what query->result means:
 * "there is no name a.example.". Returns text. It never fails. */
const char *query_explain(const struct query *query, char *text);

#endif
