#include "lookup.h"

#include <string.h>

#include "bytes.h"
#include "dns.h"

enum { LENGTH_BYTES = 2 }; /* before a message in a stream */

/* What a message says, as far as we write it. */
struct summary {
    struct dns_header header;
    struct dns_question question;
    unsigned addresses; /* among the records that answer the question */
};

/* The names of RFC 6895, section 2.3, by their numbers. */
static const char *const statuses[] = {
    [DNS_FORMAT_ERROR] = "FORMERR",  [DNS_SERVER_FAILURE] = "SERVFAIL",
    [DNS_NO_SUCH_NAME] = "NXDOMAIN", [DNS_NOT_IMPLEMENTED] = "NOTIMP",
    [DNS_REFUSED] = "REFUSED",
};

/* ---- reading --------------------------------------------------------------*/

/* Whether a header is one of an ordinary message with one question. */
static bool is_ordinary(const struct dns_header *header) {
    bool has_answer_to_nothing = !header->is_reply && header->answers > 0;
    return header->operation == 0 && header->questions == 1 &&
           !has_answer_to_nothing;
}

/* Reads all records, and counts the addresses among the answers. Returns
 * whether the message ends with the last record. */
static bool read_records(struct dns_message *message, struct summary *summary) {
    const struct dns_header *header = &summary->header;
    unsigned answers = header->answers;
    unsigned count = answers + header->authorities + header->additions;
    for (unsigned i = 0; i < count; i++) {
        struct dns_record record;
        if (dns_read_record(message, &record) < 0)
            return false;
        bool is_address = record.type == DNS_A || record.type == DNS_AAAA;
        if (i < answers && is_address)
            summary->addresses++;
    }
    return message->at == message->length;
}

/* Reads a message. Returns whether it is one that we can name. */
static bool read_message(struct summary *summary, const uint8_t *bytes,
                         size_t length) {
    struct dns_message message = {.bytes = bytes, .length = length};
    *summary = (struct summary){0};
    if (dns_read_header(&message, &summary->header) < 0)
        return false;
    if (!is_ordinary(&summary->header))
        return false;
    if (dns_read_question(&message, &summary->question) < 0)
        return false;
    if (summary->question.class != DNS_IN)
        return false;
    return read_records(&message, summary);
}

/* ---- words ----------------------------------------------------------------*/

/* Writes a name as people write it, so without the dot at its end. Its bytes
 * that are not printable are escaped already. */
static void write_name(FILE *out, const struct dns_name *name) {
    char text[DNS_NAME_TEXT_BYTES];
    size_t length = strlen(dns_name_format(name, text));
    bool is_root = length == 1;
    if (!is_root)
        length--;
    const char *rest = "";
    if (length > BYTES_AS_SHORT) {
        length = BYTES_AS_SHORT;
        rest = "...";
    }
    (void)fprintf(out, "%.*s%s", (int)length, text, rest);
}

static void write_question(FILE *out, const struct dns_question *question) {
    char type[DNS_TYPE_TEXT_BYTES];
    (void)fputs("DNS question ", out);
    write_name(out, &question->name);
    (void)fprintf(out, " %s", dns_type_format(question->type, type));
}

static void write_count(FILE *out, unsigned count, const char *one,
                        const char *several) {
    if (count == 1)
        (void)fprintf(out, "1 %s", one);
    else
        (void)fprintf(out, "%u %s", count, several);
}

static void write_answer(FILE *out, const struct summary *summary) {
    const struct dns_header *header = &summary->header;
    (void)fputs("DNS answer: ", out);
    if (header->is_cut)
        (void)fputs("cut", out);
    else if (header->status >= sizeof statuses / sizeof statuses[0])
        (void)fprintf(out, "status %u", header->status);
    else if (header->status != DNS_NO_ERROR)
        (void)fputs(statuses[header->status], out);
    else if (summary->addresses > 0)
        write_count(out, summary->addresses, "address", "addresses");
    else if (header->answers > 0)
        write_count(out, header->answers, "record", "records");
    else
        (void)fputs("no records", out);
}

bool lookup_write(FILE *out, const uint8_t *bytes, size_t length,
                  enum lookup_carrier carrier) {
    struct summary summary;
    if (carrier == LOOKUP_STREAM) {
        if (length < LENGTH_BYTES)
            return false;
        size_t told = ((size_t)bytes[0] << 8) | bytes[1];
        bytes += LENGTH_BYTES;
        length -= LENGTH_BYTES;
        if (told != length)
            return false;
    }
    if (!read_message(&summary, bytes, length))
        return false;
    if (summary.header.is_reply)
        write_answer(out, &summary);
    else
        write_question(out, &summary.question);
    return true;
}
