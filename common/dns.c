/* dns: reads and writes the messages of the Domain Name System. */
#define _GNU_SOURCE

#include "dns.h"

#include "number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The bits of the header's second number: RFC 1035, section 4.1.1. */
enum {
    IS_REPLY = 0x8000,
    IS_AUTHORITATIVE = 0x0400,
    IS_CUT = 0x0200,
    WANTS_RECURSION = 0x0100,
    OFFERS_RECURSION = 0x0080,
    OPERATION_SHIFT = 11,
    FOUR_BITS = 0xf,
};

/* The first two bits of a length say what it is: section 4.1.4. */
enum {
    POINTER = 0xc0,
    LENGTH_KINDS = 0xc0,
    HIGH_OFFSET = 0x3f, /* the other bits of a pointer's first byte */
};

enum {
    FIXED_RECORD_BYTES = 10, /* type, class, TTL and length */
    LARGEST_BYTE = 255,
    SPACE = ' ',
    DELETE = 127, /* the first byte of ASCII behind the visible ones */
};

static const struct {
    uint16_t type;
    const char *name;
} types[] = {
    {DNS_A, "A"},     {DNS_NS, "NS"},     {DNS_CNAME, "CNAME"},
    {DNS_SOA, "SOA"}, {DNS_PTR, "PTR"},   {DNS_MX, "MX"},
    {DNS_TXT, "TXT"}, {DNS_AAAA, "AAAA"}, {DNS_SRV, "SRV"},
    {DNS_OPT, "OPT"},
};

static int fail(int error) {
    errno = error;
    return -1;
}

/* ---- Names as text ---------------------------------------------------------
 */

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static bool is_visible(char character) {
    return character > SPACE && character < DELETE;
}

/* Reads the three digits of a byte's number. */
static int parse_decimal(const char **text, uint8_t *byte) {
    int number = 0;
    for (int i = 0; i < 3; i++) {
        char digit = **text;
        if (!is_digit(digit))
            return fail(EINVAL);
        number = number * 10 + (digit - '0');
        (*text)++;
    }
    if (number > LARGEST_BYTE)
        return fail(EINVAL);
    *byte = (uint8_t)number;
    return 0;
}

/* Reads one byte of a label, and sets *text behind it. */
static int parse_byte(const char **text, uint8_t *byte) {
    if (**text == '\\') {
        (*text)++;
        if (is_digit(**text))
            return parse_decimal(text, byte);
    }
    if (!is_visible(**text))
        return fail(EINVAL);
    *byte = (uint8_t) * *text;
    (*text)++;
    return 0;
}

/* Reads a label up to a dot or the end of the text, and appends it. */
static int parse_label(struct dns_name *name, const char **text) {
    uint8_t label[DNS_LABEL_BYTES];
    size_t length = 0;
    while (**text != '\0' && **text != '.') {
        uint8_t byte;
        if (parse_byte(text, &byte) < 0)
            return -1;
        if (length == DNS_LABEL_BYTES)
            return fail(ENAMETOOLONG);
        label[length] = byte;
        length++;
    }
    if (length == 0)
        return fail(EINVAL);
    /* Behind this label there must be room for the 0 that ends the name. */
    if (name->length + 1 + length + 1 > DNS_NAME_BYTES)
        return fail(ENAMETOOLONG);
    name->bytes[name->length] = (uint8_t)length;
    memcpy(name->bytes + name->length + 1, label, length);
    name->length += 1 + length;
    return 0;
}

int dns_name_parse(struct dns_name *name, const char *text) {
    name->length = 0;
    if (strcmp(text, ".") != 0) {
        do {
            if (parse_label(name, &text) < 0)
                return -1;
            if (*text == '.')
                text++;
        } while (*text != '\0');
    }
    name->bytes[name->length] = 0;
    name->length++;
    return 0;
}

/* A text that is being written. Its owner has made sure that there is room. */
struct text {
    char *bytes;
    size_t length;
};

static void add_character(struct text *text, char character) {
    text->bytes[text->length] = character;
    text->length++;
    text->bytes[text->length] = '\0';
}

static void add_string(struct text *text, const char *string) {
    while (*string != '\0') {
        add_character(text, *string);
        string++;
    }
}

static void add_number(struct text *text, unsigned long number) {
    char digits[sizeof "18446744073709551615"];
    (void)snprintf(digits, sizeof digits, "%lu", number);
    add_string(text, digits);
}

/* Adds a byte. The special characters get a backslash, and bytes below first or
 * from 127 on are written as their number. */
static void add_byte(struct text *text, uint8_t byte, int first,
                     const char *special) {
    if (byte < first || byte >= DELETE) {
        char escape[sizeof "\\255"];
        (void)snprintf(escape, sizeof escape, "\\%03d", byte);
        add_string(text, escape);
        return;
    }
    if (strchr(special, byte) != NULL)
        add_character(text, '\\');
    add_character(text, (char)byte);
}

static void add_name(struct text *text, const struct dns_name *name) {
    size_t at = 0;
    if (name->bytes[0] == 0)
        add_character(text, '.');
    while (name->bytes[at] != 0) {
        size_t end = at + 1 + name->bytes[at];
        for (at++; at < end; at++)
            add_byte(text, name->bytes[at], SPACE + 1, ".\\\"();@$");
        add_character(text, '.');
    }
}

const char *dns_name_format(const struct dns_name *name, char *text) {
    struct text out = {.bytes = text};
    text[0] = '\0';
    add_name(&out, name);
    return text;
}

static uint8_t to_small(uint8_t byte) {
    if (byte >= 'A' && byte <= 'Z')
        return (uint8_t)(byte - 'A' + 'a');
    return byte;
}

/* The lengths of the labels may be compared in the same way as their letters: a
 * length is at most 63, and 'A' is 65. */
bool dns_name_equals(const struct dns_name *a, const struct dns_name *b) {
    if (a->length != b->length)
        return false;
    for (size_t i = 0; i < a->length; i++) {
        if (to_small(a->bytes[i]) != to_small(b->bytes[i]))
            return false;
    }
    return true;
}

int dns_name_reverse(struct dns_name *name, const char *address) {
    char text[DNS_NAME_TEXT_BYTES];
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, address, &ipv4) == 1) {
        uint8_t bytes[sizeof ipv4];
        memcpy(bytes, &ipv4, sizeof ipv4);
        (void)snprintf(text, sizeof text, "%d.%d.%d.%d.in-addr.arpa.", bytes[3],
                       bytes[2], bytes[1], bytes[0]);
        return dns_name_parse(name, text);
    }
    if (inet_pton(AF_INET6, address, &ipv6) != 1)
        return fail(EINVAL);
    /* Each half of a byte is a label, a hexadecimal digit. The last comes
     * first. */
    size_t length = 0;
    for (size_t i = sizeof ipv6.s6_addr; i > 0; i--) {
        unsigned byte = ipv6.s6_addr[i - 1];
        (void)snprintf(text + length, sizeof text - length, "%x.%x.",
                       byte & FOUR_BITS, byte >> 4);
        length += strlen("0.0.");
    }
    (void)snprintf(text + length, sizeof text - length, "ip6.arpa.");
    return dns_name_parse(name, text);
}

/* ---- Types -----------------------------------------------------------------
 */

int dns_type_parse(uint16_t *type, const char *text) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(types[i].name, text) == 0) {
            *type = types[i].type;
            return 0;
        }
    }
    static const char prefix[] = "TYPE";
    size_t length = strlen(prefix);
    unsigned long long number;
    if (strncasecmp(text, prefix, length) != 0)
        return fail(EINVAL);
    if (number_parse(text + length, 0, UINT16_MAX, &number) < 0)
        return fail(EINVAL);
    *type = (uint16_t)number;
    return 0;
}

const char *dns_type_format(uint16_t type, char *text) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].type == type) {
            (void)snprintf(text, DNS_TYPE_TEXT_BYTES, "%s", types[i].name);
            return text;
        }
    }
    (void)snprintf(text, DNS_TYPE_TEXT_BYTES, "TYPE%d", type);
    return text;
}

/* ---- Reading ---------------------------------------------------------------
 */

/* Returns whether count bytes are left to be read. */
static bool has_bytes(const struct dns_message *message, size_t count) {
    return message->length - message->at >= count;
}

/* These three read numbers that has_bytes has found to be there. The wire is
 * big-endian, whatever this machine is. */
static uint8_t read8(struct dns_message *message) {
    uint8_t byte = message->bytes[message->at];
    message->at++;
    return byte;
}

static uint16_t read16(struct dns_message *message) {
    unsigned high = read8(message);
    unsigned low = read8(message);
    return (uint16_t)(high << 8 | low);
}

static uint32_t read32(struct dns_message *message) {
    uint32_t high = read16(message);
    uint32_t low = read16(message);
    return high << 16 | low;
}

int dns_read_header(struct dns_message *message, struct dns_header *header) {
    if (!has_bytes(message, DNS_HEADER_BYTES))
        return fail(EBADMSG);
    header->id = read16(message);
    unsigned bits = read16(message);
    header->is_reply = (bits & IS_REPLY) != 0;
    header->operation = bits >> OPERATION_SHIFT & FOUR_BITS;
    header->is_authoritative = (bits & IS_AUTHORITATIVE) != 0;
    header->is_cut = (bits & IS_CUT) != 0;
    header->wants_recursion = (bits & WANTS_RECURSION) != 0;
    header->offers_recursion = (bits & OFFERS_RECURSION) != 0;
    header->status = bits & FOUR_BITS;
    header->questions = read16(message);
    header->answers = read16(message);
    header->authorities = read16(message);
    header->additions = read16(message);
    return 0;
}

/* Appends a label to the name. Its length, which is not 0, has been read. */
static int read_label(struct dns_message *message, struct dns_name *name,
                      size_t length) {
    if (!has_bytes(message, length))
        return fail(EBADMSG);
    /* Behind this label there must be room for the 0 that ends the name. */
    if (name->length + 1 + length + 1 > DNS_NAME_BYTES)
        return fail(EBADMSG);
    name->bytes[name->length] = (uint8_t)length;
    memcpy(name->bytes + name->length + 1, message->bytes + message->at,
           length);
    name->length += 1 + length;
    message->at += length;
    return 0;
}

/* Reads where a pointer leads, which must be before began_at. Its first byte
 * has been read already. In the header there is no name, so no pointer may lead
 * there. */
static int read_pointer(struct dns_message *message, unsigned first,
                        size_t began_at, size_t *target) {
    if ((first & LENGTH_KINDS) != POINTER)
        return fail(EBADMSG);
    if (!has_bytes(message, 1))
        return fail(EBADMSG);
    *target = (first & HIGH_OFFSET) << 8 | read8(message);
    if (*target >= began_at || *target < DNS_HEADER_BYTES)
        return fail(EBADMSG);
    return 0;
}

/*
 * A name is labels until one of length 0, or until a pointer: two bytes that
 * say where in the message the rest of the name stands. A pointer may lead to
 * another pointer, so a wrong message could send us round for ever. We follow a
 * pointer only to a place before the one where we began to read. Then every
 * pointer leads further to the front, and in the end no place is left for
 * another pointer.
 */
int dns_read_name(struct dns_message *message, struct dns_name *name) {
    struct dns_message part = *message; /* where we read labels */
    size_t began_at = part.at;
    bool followed_pointer = false;
    name->length = 0;
    for (;;) {
        if (!has_bytes(&part, 1))
            return fail(EBADMSG);
        unsigned length = read8(&part);
        if (length == 0)
            break;
        if ((length & LENGTH_KINDS) == 0) {
            if (read_label(&part, name, length) < 0)
                return -1;
        } else {
            size_t target;
            if (read_pointer(&part, length, began_at, &target) < 0)
                return -1;
            if (!followed_pointer)
                message->at = part.at; /* behind the first pointer */
            followed_pointer = true;
            began_at = target;
            part.at = target;
        }
    }
    if (!followed_pointer)
        message->at = part.at;
    name->bytes[name->length] = 0;
    name->length++;
    return 0;
}

int dns_read_question(struct dns_message *message,
                      struct dns_question *question) {
    if (dns_read_name(message, &question->name) < 0)
        return -1;
    if (!has_bytes(message, 4))
        return fail(EBADMSG);
    question->type = read16(message);
    question->class = read16(message);
    return 0;
}

int dns_read_record(struct dns_message *message, struct dns_record *record) {
    if (dns_read_name(message, &record->name) < 0)
        return -1;
    if (!has_bytes(message, FIXED_RECORD_BYTES))
        return fail(EBADMSG);
    record->type = read16(message);
    record->class = read16(message);
    record->ttl = read32(message);
    record->data_length = read16(message);
    record->data_at = message->at;
    if (!has_bytes(message, record->data_length))
        return fail(EBADMSG);
    message->at += record->data_length;
    return 0;
}

/* ---- The data of a record --------------------------------------------------
 */

/* Returns the message up to the end of the record's data, to be read from their
 * beginning. What stands before them can still be the target of a pointer. */
static struct dns_message data_of(const struct dns_message *message,
                                  const struct dns_record *record) {
    struct dns_message data = {
        .bytes = message->bytes,
        .length = record->data_at + record->data_length,
        .at = record->data_at,
    };
    return data;
}

/* Returns 0 if all data have been read, and no more; else -1 with EBADMSG. */
static int require_end(const struct dns_message *data) {
    if (data->at != data->length)
        return fail(EBADMSG);
    return 0;
}

int dns_data_name(const struct dns_message *message,
                  const struct dns_record *record, struct dns_name *name) {
    struct dns_message data = data_of(message, record);
    if (dns_read_name(&data, name) < 0)
        return -1;
    return require_end(&data);
}

static int format_address(struct dns_message *data, int family, size_t bytes,
                          struct text *text) {
    char address[INET6_ADDRSTRLEN];
    if (!has_bytes(data, bytes))
        return fail(EBADMSG);
    (void)inet_ntop(family, data->bytes + data->at, address, sizeof address);
    add_string(text, address);
    data->at += bytes;
    return 0;
}

static int format_name(struct dns_message *data, struct text *text) {
    struct dns_name name;
    if (dns_read_name(data, &name) < 0)
        return -1;
    add_name(text, &name);
    return 0;
}

/* Numbers of two bytes, and a name behind them: one for MX, three for SRV. */
static int format_numbers_and_name(struct dns_message *data, size_t numbers,
                                   struct text *text) {
    for (size_t i = 0; i < numbers; i++) {
        if (!has_bytes(data, 2))
            return fail(EBADMSG);
        add_number(text, read16(data));
        add_character(text, ' ');
    }
    return format_name(data, text);
}

/* Two names, and five numbers of four bytes: section 3.3.13. */
static int format_soa(struct dns_message *data, struct text *text) {
    for (int i = 0; i < 2; i++) {
        if (format_name(data, text) < 0)
            return -1;
        add_character(text, ' ');
    }
    for (int i = 0; i < 5; i++) {
        if (!has_bytes(data, 4))
            return fail(EBADMSG);
        if (i > 0)
            add_character(text, ' ');
        add_number(text, read32(data));
    }
    return 0;
}

/* One or more strings, each with its length before it: section 3.3.14. */
static int format_strings(struct dns_message *data, struct text *text) {
    do {
        if (!has_bytes(data, 1))
            return fail(EBADMSG);
        size_t length = read8(data);
        if (!has_bytes(data, length))
            return fail(EBADMSG);
        if (text->length > 0)
            add_character(text, ' ');
        add_character(text, '"');
        for (size_t i = 0; i < length; i++)
            add_byte(text, read8(data), SPACE, "\"\\");
        add_character(text, '"');
    } while (data->at < data->length);
    return 0;
}

/* Data of a type that we do not know: how many bytes, and the bytes in
 * hexadecimal digits. */
static void format_unknown(struct dns_message *data, struct text *text) {
    char digits[sizeof "00"];
    add_string(text, "\\# ");
    add_number(text, data->length - data->at);
    if (data->at < data->length)
        add_character(text, ' ');
    while (data->at < data->length) {
        (void)snprintf(digits, sizeof digits, "%02x", read8(data));
        add_string(text, digits);
    }
}

static int format_by_type(uint16_t type, struct dns_message *data,
                          struct text *text) {
    switch (type) {
    case DNS_A:
        return format_address(data, AF_INET, sizeof(struct in_addr), text);
    case DNS_AAAA:
        return format_address(data, AF_INET6, sizeof(struct in6_addr), text);
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
        return format_name(data, text);
    case DNS_MX:
        return format_numbers_and_name(data, 1, text);
    case DNS_SRV:
        return format_numbers_and_name(data, 3, text);
    case DNS_SOA:
        return format_soa(data, text);
    case DNS_TXT:
        return format_strings(data, text);
    default:
        format_unknown(data, text);
        return 0;
    }
}

int dns_data_format(const struct dns_message *message,
                    const struct dns_record *record, char *text) {
    struct dns_message data = data_of(message, record);
    struct text out = {.bytes = text};
    text[0] = '\0';
    if (format_by_type(record->type, &data, &out) < 0)
        return -1;
    return require_end(&data);
}

/* ---- Writing ---------------------------------------------------------------
 */

/* Returns whether there is room for so many bytes more. */
static bool has_room(const struct dns_writer *writer, size_t count) {
    return writer->size - writer->length >= count;
}

/* These three append what has_room has found room for. */
static void write_bytes(struct dns_writer *writer, const uint8_t *bytes,
                        size_t count) {
    if (count > 0)
        memcpy(writer->bytes + writer->length, bytes, count);
    writer->length += count;
}

static void write16(struct dns_writer *writer, unsigned number) {
    const uint8_t bytes[] = {
        (uint8_t)(number >> 8),
        (uint8_t)number,
    };
    write_bytes(writer, bytes, sizeof bytes);
}

static void write32(struct dns_writer *writer, uint32_t number) {
    write16(writer, number >> 16);
    write16(writer, number & UINT16_MAX);
}

static unsigned bits_of(const struct dns_header *header) {
    unsigned bits = header->operation << OPERATION_SHIFT | header->status;
    if (header->is_reply)
        bits |= IS_REPLY;
    if (header->is_authoritative)
        bits |= IS_AUTHORITATIVE;
    if (header->is_cut)
        bits |= IS_CUT;
    if (header->wants_recursion)
        bits |= WANTS_RECURSION;
    if (header->offers_recursion)
        bits |= OFFERS_RECURSION;
    return bits;
}

int dns_write_header(struct dns_writer *writer,
                     const struct dns_header *header) {
    if (!has_room(writer, DNS_HEADER_BYTES))
        return fail(EMSGSIZE);
    write16(writer, header->id);
    write16(writer, bits_of(header));
    write16(writer, header->questions);
    write16(writer, header->answers);
    write16(writer, header->authorities);
    write16(writer, header->additions);
    return 0;
}

int dns_write_question(struct dns_writer *writer,
                       const struct dns_question *question) {
    if (!has_room(writer, question->name.length + 4))
        return fail(EMSGSIZE);
    write_bytes(writer, question->name.bytes, question->name.length);
    write16(writer, question->type);
    write16(writer, question->class);
    return 0;
}

int dns_write_record(struct dns_writer *writer, const struct dns_name *name,
                     uint16_t type, uint16_t class, uint32_t ttl,
                     const uint8_t *data, size_t length) {
    if (!has_room(writer, name->length + FIXED_RECORD_BYTES + length))
        return fail(EMSGSIZE);
    write_bytes(writer, name->bytes, name->length);
    write16(writer, type);
    write16(writer, class);
    write32(writer, ttl);
    write16(writer, (unsigned)length);
    write_bytes(writer, data, length);
    return 0;
}
