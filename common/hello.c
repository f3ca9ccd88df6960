/* hello: reads a ClientHello, the first message that a TLS client sends. */
#include "hello.h"

#include <errno.h>
#include <string.h>

enum {
    RECORD_HEADER_BYTES = 5, /* type, version and length: section 5.1 */
    HANDSHAKE = 22,          /* the type of a record */
    MAJOR_VERSION = 3,       /* 3.1 is TLS 1.0, and 3.3 is TLS 1.2 */
    LONGEST_RECORD = 16384,
    MESSAGE_HEADER_BYTES = 4, /* type and length: section 4 */
    CLIENT_HELLO = 1,
    RANDOM_BYTES = 32,
};

/* The types of the extensions that we read: section 4.2. */
enum {
    SERVER_NAME = 0,
    SUPPORTED_GROUPS = 10,
    ALPN = 16,
    SUPPORTED_VERSIONS = 43,
    ENCRYPTED_CLIENT_HELLO = 0xfe0d,
};

enum { HOST_NAME = 0 }; /* the only kind of server name that there is */

/* The bytes that have not been read yet. */
struct rest {
    const uint8_t *bytes;
    size_t length;
};

static int fail(void) {
    errno = EBADMSG;
    return -1;
}

/* Reads a number of so many bytes. The highest byte comes first. */
static int read_number(struct rest *rest, size_t bytes, size_t *number) {
    if (rest->length < bytes)
        return fail();
    *number = 0;
    for (size_t i = 0; i < bytes; i++)
        *number = *number << 8 | rest->bytes[i];
    rest->bytes += bytes;
    rest->length -= bytes;
    return 0;
}

/* Reads a field that begins with its own length. This length is a number of so
 * many bytes. */
static int read_field(struct rest *rest, size_t bytes, struct rest *field) {
    size_t length;
    if (read_number(rest, bytes, &length) < 0)
        return -1;
    if (rest->length < length)
        return fail();
    field->bytes = rest->bytes;
    field->length = length;
    rest->bytes += length;
    rest->length -= length;
    return 0;
}

/* ---- The records -----------------------------------------------------------
 */

/* Says what a message is, of which length bytes have come. If its header is
 * there, *whole becomes the length that it should have. */
static enum hello_kind judge_message(const uint8_t *message, size_t length,
                                     size_t *whole) {
    struct rest rest = {.bytes = message, .length = length};
    size_t type;
    size_t body;
    if (read_number(&rest, 1, &type) < 0)
        return HELLO_UNFINISHED;
    if (type != CLIENT_HELLO)
        return HELLO_NO_TLS;
    if (read_number(&rest, 3, &body) < 0)
        return HELLO_UNFINISHED;
    *whole = MESSAGE_HEADER_BYTES + body;
    if (*whole > HELLO_MESSAGE_BYTES)
        return HELLO_TOO_LONG;
    if (length < *whole)
        return HELLO_UNFINISHED;
    return HELLO_WHOLE;
}

/* Reads the header of a record, of which there may be only a part yet. */
static enum hello_kind read_record_header(struct rest *rest, size_t *length) {
    if (rest->length > 0 && rest->bytes[0] != HANDSHAKE)
        return HELLO_NO_TLS;
    if (rest->length > 1 && rest->bytes[1] != MAJOR_VERSION)
        return HELLO_NO_TLS;
    if (rest->length < RECORD_HEADER_BYTES)
        return HELLO_UNFINISHED;
    *length = (size_t)rest->bytes[3] << 8 | rest->bytes[4];
    rest->bytes += RECORD_HEADER_BYTES;
    rest->length -= RECORD_HEADER_BYTES;
    if (*length == 0 || *length > LONGEST_RECORD)
        return HELLO_NO_TLS;
    return HELLO_WHOLE;
}

enum hello_kind hello_collect(const uint8_t *bytes, size_t length,
                              uint8_t *message, size_t *message_length) {
    struct rest rest = {.bytes = bytes, .length = length};
    size_t collected = 0;
    for (;;) {
        size_t record;
        enum hello_kind kind = read_record_header(&rest, &record);
        if (kind != HELLO_WHOLE)
            return kind;
        size_t part = record;
        if (part > rest.length)
            part = rest.length; /* the others have not come yet */
        if (part > HELLO_MESSAGE_BYTES - collected)
            part = HELLO_MESSAGE_BYTES - collected; /* more is too long */
        memcpy(message + collected, rest.bytes, part);
        collected += part;
        kind = judge_message(message, collected, message_length);
        if (kind != HELLO_UNFINISHED)
            return kind;
        if (part < record)
            return HELLO_UNFINISHED;
        rest.bytes += part;
        rest.length -= part;
    }
}

/* ---- The message -----------------------------------------------------------
 */

/* Makes a list of numbers from a field, which must have an even length. */
static int make_list(struct hello_list *list, struct rest field) {
    if (field.length % 2 != 0)
        return fail();
    list->bytes = field.bytes;
    list->count = field.length / 2;
    return 0;
}

/* A list of names with their kinds. There is one kind, so there is one name. */
static int read_server_name(struct hello *hello, struct rest extension) {
    struct rest list;
    struct rest name;
    size_t kind;
    if (read_field(&extension, 2, &list) < 0)
        return -1;
    if (read_number(&list, 1, &kind) < 0)
        return -1;
    if (read_field(&list, 2, &name) < 0)
        return -1;
    if (kind != HOST_NAME || name.length == 0)
        return fail();
    hello->name.bytes = name.bytes;
    hello->name.length = name.length;
    return 0;
}

static int read_protocols(struct hello *hello, struct rest extension) {
    struct rest list;
    if (read_field(&extension, 2, &list) < 0)
        return -1;
    hello->protocols.bytes = list.bytes;
    hello->protocols.length = list.length;
    while (list.length > 0) {
        struct rest protocol;
        if (read_field(&list, 1, &protocol) < 0)
            return -1;
    }
    return 0;
}

static int read_extension(struct hello *hello, size_t type,
                          struct rest extension) {
    struct rest list;
    switch (type) {
    case SERVER_NAME:
        return read_server_name(hello, extension);
    case ALPN:
        return read_protocols(hello, extension);
    case SUPPORTED_GROUPS:
        if (read_field(&extension, 2, &list) < 0)
            return -1;
        return make_list(&hello->groups, list);
    case SUPPORTED_VERSIONS:
        if (read_field(&extension, 1, &list) < 0)
            return -1;
        return make_list(&hello->versions, list);
    case ENCRYPTED_CLIENT_HELLO:
        hello->has_inner_hello = true;
        return 0;
    default:
        return 0;
    }
}

/* Adds a type to those that the message has. None may come twice: section 4.2.
 */
static int add_type(struct hello *hello, size_t type) {
    for (size_t i = 0; i < hello->extension_count; i++) {
        if (hello->extensions[i] == type)
            return fail();
    }
    if (hello->extension_count == HELLO_EXTENSIONS)
        return fail();
    hello->extensions[hello->extension_count] = (uint16_t)type;
    hello->extension_count++;
    return 0;
}

static int read_extensions(struct hello *hello, struct rest extensions) {
    while (extensions.length > 0) {
        size_t type;
        struct rest extension;
        if (read_number(&extensions, 2, &type) < 0)
            return -1;
        if (read_field(&extensions, 2, &extension) < 0)
            return -1;
        if (add_type(hello, type) < 0)
            return -1;
        if (read_extension(hello, type, extension) < 0)
            return -1;
    }
    return 0;
}

/* Section 4.1.2 has the order of the fields. */
int hello_parse(struct hello *hello, const uint8_t *message, size_t length) {
    struct rest rest = {.bytes = message, .length = length};
    struct rest body;
    struct rest field;
    size_t number;
    memset(hello, 0, sizeof *hello);
    if (read_number(&rest, 1, &number) < 0 || number != CLIENT_HELLO)
        return fail();
    if (read_field(&rest, 3, &body) < 0)
        return -1;
    if (read_number(&body, 2, &number) < 0)
        return -1;
    hello->version = (unsigned)number;
    if (body.length < RANDOM_BYTES)
        return fail();
    body.bytes += RANDOM_BYTES;
    body.length -= RANDOM_BYTES;

    if (read_field(&body, 1, &field) < 0) /* the session to be resumed */
        return -1;
    if (read_field(&body, 2, &field) < 0)
        return -1;
    if (make_list(&hello->suites, field) < 0)
        return -1;
    if (read_field(&body, 1, &field) < 0) /* methods of compression */
        return -1;
    if (body.length == 0)
        return 0; /* a very old client has no extensions */
    if (read_field(&body, 2, &field) < 0)
        return -1;
    if (body.length != 0)
        return fail();
    return read_extensions(hello, field);
}

unsigned hello_number(const struct hello_list *list, size_t index) {
    unsigned high = list->bytes[2 * index];
    unsigned low = list->bytes[2 * index + 1];
    return high << 8 | low;
}

bool hello_is_grease(unsigned number) {
    unsigned high = number >> 8;
    unsigned low = number & 0xff;
    return high == low && (low & 0xf) == 0xa;
}
