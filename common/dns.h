/*
 * dns: reads and writes the messages of the Domain Name System.
 * Built by lesson 30.
 *
 * Nothing here touches a socket. A message may come from anybody, so nothing in
 * it is believed: no length, no count, and no pointer from one name to another.
 * Unless it says something else, a section number is one of RFC 1035.
 */
#ifndef COMMON_DNS_H
#define COMMON_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_HEADER_BYTES = 12,
    DNS_LABEL_BYTES = 63,      /* the longest label: section 2.3.4 */
    DNS_NAME_BYTES = 255,      /* the longest name: section 2.3.4 */
    DNS_MESSAGE_BYTES = 65535, /* the longest message, over TCP */

    /* The longest texts, with the NUL behind them. A byte takes four characters
     * at most, such as "\009". */
    DNS_NAME_TEXT_BYTES = 4 * DNS_NAME_BYTES + 1,
    DNS_DATA_TEXT_BYTES = 4 * DNS_MESSAGE_BYTES + 64,
    DNS_TYPE_TEXT_BYTES = sizeof "TYPE65535",
};

/* The types of records that we know. A record may have any other type, too. */
enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28, /* RFC 3596 */
    DNS_SRV = 33,  /* RFC 2782 */
    DNS_OPT = 41,  /* RFC 6891 */
};

enum { DNS_IN = 1 }; /* the class of the Internet: section 3.2.4 */

/* What became of a question: section 4.1.1. */
enum dns_status {
    DNS_NO_ERROR = 0,
    DNS_FORMAT_ERROR = 1,
    DNS_SERVER_FAILURE = 2,
    DNS_NO_SUCH_NAME = 3,
    DNS_NOT_IMPLEMENTED = 4,
    DNS_REFUSED = 5,
};

/*
 * A name as a message has it, without pointers: labels, each with its length
 * before it, and a label of length 0 at the end. "www.example." is
 * 3 w w w 7 e x a m p l e 0, and so it has 13 bytes.
 */
struct dns_name {
    size_t length; /* how many of the bytes are used, with the 0 */
    uint8_t bytes[DNS_NAME_BYTES];
};

/* The header of a message: section 4.1.1. */
struct dns_header {
    uint16_t id;
    bool is_reply;
    unsigned operation; /* 0 to 15; 0 is an ordinary question */
    bool is_authoritative;
    bool is_cut; /* TC: the whole answer did not fit */
    bool wants_recursion;
    bool offers_recursion;
    unsigned status; /* 0 to 15: an enum dns_status, or another */
    uint16_t questions;
    uint16_t answers;
    uint16_t authorities;
    uint16_t additions;
};

struct dns_question {
    struct dns_name name;
    uint16_t type;
    uint16_t class;
};

struct dns_record {
    struct dns_name name;
    uint16_t type;
    uint16_t class;
    uint32_t ttl;   /* for so many seconds the record may be kept */
    size_t data_at; /* where its data begin in the message */
    size_t data_length;
};

/* A message that is being read. Set at to 0 before you read the header. */
struct dns_message {
    const uint8_t *bytes; /* the owner keeps them until all has been read */
    size_t length;
    size_t at; /* what comes next begins here */
};

/* A message that is being written. Set length to 0 before you write. */
struct dns_writer {
    uint8_t *bytes;
    size_t size;   /* how many bytes there is room for */
    size_t length; /* how many have been written */
};

/*
 * Reads a name as people write it from the C string text: labels with dots
 * between them. A dot at the end makes no difference, and "." alone is the
 * root. A backslash before a character takes away its meaning, and before three
 * digits it is the byte with that number, up to 255: section 5.1.
 *
 * Returns 0. Otherwise it returns -1 with errno EINVAL for an empty label, a
 * wrong escape, or a character that is not a visible one of ASCII; or with
 * errno ENAMETOOLONG for a label or a name that is too long. Then *name has no
 * meaning.
 */
int dns_name_parse(struct dns_name *name, const char *text);

/* Writes the name into text, which has DNS_NAME_TEXT_BYTES, as dns_name_parse
 * reads it, with the dot at the end. Returns text. It never fails. */
const char *dns_name_format(const struct dns_name *name, char *text);

/* Returns whether two names are the same. Large and small letters of ASCII make
 * no difference: RFC 4343. */
bool dns_name_equals(const struct dns_name *a, const struct dns_name *b);

/*
 * Makes the name under which one asks who has an address: for "192.0.2.7" it is
 * "7.2.0.192.in-addr.arpa." (section 3.5), and for an IPv6 address it ends with
 * "ip6.arpa." (RFC 3596, section 2.5).
 *
 * Returns 0, or -1 with errno EINVAL when the C string address is no address in
 * numbers.
 */
int dns_name_reverse(struct dns_name *name, const char *address);

/* Reads the number of a type from a C string: "MX" or "mx", but also "TYPE15"
 * (RFC 3597). Returns 0, or -1 with errno EINVAL. */
int dns_type_parse(uint16_t *type, const char *text);

/* Writes a type into text, which has DNS_TYPE_TEXT_BYTES: "MX", or "TYPE999" if
 * we have no name for it. Returns text. */
const char *dns_type_format(uint16_t type, char *text);

/*
 * The next four functions read what comes next in the message, and set
 * message->at behind it. They return 0. They return -1 with errno EBADMSG when
 * the message ends too early, or when a name in it is wrong. Then the message
 * is of no more use. A pointer must lead to a name before it, so the name of
 * the first question can have none.
 */
int dns_read_header(struct dns_message *message, struct dns_header *header);
int dns_read_question(struct dns_message *message,
                      struct dns_question *question);
int dns_read_record(struct dns_message *message, struct dns_record *record);
int dns_read_name(struct dns_message *message, struct dns_name *name);

/*
 * Reads the name that the data of a record are: for DNS_CNAME, DNS_NS and
 * DNS_PTR. The message is the one from which the record was read; its at stays
 * as it was.
 *
 * Returns 0, or -1 with errno EBADMSG when the data are something else.
 */
int dns_data_name(const struct dns_message *message,
                  const struct dns_record *record, struct dns_name *name);

/*
 * Writes the data of a record into text, which has DNS_DATA_TEXT_BYTES, as a
 * file for name servers has them: section 5.1; for a type that we do not know,
 * RFC 3597, section 5. The message is the one from which the record was read;
 * its at stays as it was.
 *
 * Returns 0, or -1 with errno EBADMSG when the data do not have the form of
 * their type. Then text has no meaning.
 */
int dns_data_format(const struct dns_message *message,
                    const struct dns_record *record, char *text);

/*
 * The next three functions append to what has been written. They return 0. They
 * return -1 with errno EMSGSIZE when there is no room. Then nothing was
 * appended.
 *
 * dns_write_record takes length bytes of data, at most 65535. No name is
 * compressed.
 */
int dns_write_header(struct dns_writer *writer,
                     const struct dns_header *header);
int dns_write_question(struct dns_writer *writer,
                       const struct dns_question *question);
int dns_write_record(struct dns_writer *writer, const struct dns_name *name,
                     uint16_t type, uint16_t class, uint32_t ttl,
                     const uint8_t *data, size_t length);

#endif
