#include "socks.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "bytes.h"

/* RFC 1928, sections 3 to 6, and RFC 1929, section 2. */
enum {
    VERSION = 5,
    PASSWORD_VERSION = 1,
    NO_PASSWORD = 0, /* methods */
    WITH_PASSWORD = 2,
    NO_METHOD = 0xff,
    CONNECT = 1, /* commands */
    BIND = 2,
    UDP_ASSOCIATE = 3,
    KIND_IPV4 = 1, /* kinds of addresses */
    KIND_NAME = 3,
    KIND_IPV6 = 4,
    BEFORE_ADDRESS = 4, /* bytes of a request, or of a reply */
    PORT_BYTES = 2,
    IPV4_BYTES = 4,
    IPV6_BYTES = 16,
};

/* RFC 1928, section 6, by their numbers. */
static const char *const replies[] = {
    "succeeded",
    "general failure",
    "not allowed",
    "network unreachable",
    "host unreachable",
    "connection refused",
    "TTL expired",
    "command not supported",
    "address type not supported",
};

/* The bytes of a segment: one at the least. */
struct data {
    const uint8_t *bytes;
    size_t length;
};

/* ---- greeting and password ------------------------------------------------*/

/* Version, number of methods, methods. */
static enum socks_step write_greeting(FILE *out, const struct data *data) {
    const uint8_t *bytes = data->bytes;
    if (data->length < 3 || bytes[0] != VERSION)
        return SOCKS_OTHER;
    if (data->length != 2U + bytes[1])
        return SOCKS_OTHER;
    (void)fputs("SOCKS greeting", out);
    return SOCKS_GREETING;
}

/* Version, method. */
static enum socks_step write_choice(FILE *out, const struct data *data) {
    if (data->length != 2 || data->bytes[0] != VERSION)
        return SOCKS_OTHER;
    unsigned method = data->bytes[1];
    switch (method) {
    case NO_PASSWORD:
        (void)fputs("SOCKS method: no password", out);
        return SOCKS_FREE;
    case WITH_PASSWORD:
        (void)fputs("SOCKS method: password", out);
        return SOCKS_PASSWORD_WANTED;
    case NO_METHOD:
        (void)fputs("SOCKS method: none", out);
        return SOCKS_END;
    default:
        (void)fprintf(out, "SOCKS method: %u", method);
        return SOCKS_END;
    }
}

/* Version, length of the name, name, length of the password, password. */
static enum socks_step write_password(FILE *out, const struct data *data) {
    const uint8_t *bytes = data->bytes;
    if (data->length < 3 || bytes[0] != PASSWORD_VERSION)
        return SOCKS_OTHER;
    size_t name = bytes[1];
    size_t before_password = 2 + name + 1;
    if (data->length < before_password)
        return SOCKS_OTHER;
    size_t password = bytes[2 + name];
    if (data->length != before_password + password)
        return SOCKS_OTHER;
    (void)fputs("SOCKS password of ", out);
    bytes_write_short(out, bytes + 2, name);
    return SOCKS_PASSWORD;
}

/* Version, status. */
static enum socks_step write_admission(FILE *out, const struct data *data) {
    if (data->length != 2 || data->bytes[0] != PASSWORD_VERSION)
        return SOCKS_OTHER;
    if (data->bytes[1] != 0) {
        (void)fputs("SOCKS password: refused", out);
        return SOCKS_END;
    }
    (void)fputs("SOCKS password: accepted", out);
    return SOCKS_ADMITTED;
}

/* ---- request and reply ----------------------------------------------------*/

/* The length of the address that begins behind the kind, with its port; or 0 if
 * there is no such kind. A name has its length before it. */
static size_t address_length(const struct data *data) {
    switch (data->bytes[BEFORE_ADDRESS - 1]) {
    case KIND_IPV4:
        return IPV4_BYTES + PORT_BYTES;
    case KIND_IPV6:
        return IPV6_BYTES + PORT_BYTES;
    case KIND_NAME:
        return 1U + data->bytes[BEFORE_ADDRESS] + PORT_BYTES;
    default:
        return 0;
    }
}

/* Whether the bytes are a version, a command or a reply, 0, the kind of an
 * address, and then nothing but that address and a port. */
static bool is_with_address(const struct data *data) {
    const uint8_t *bytes = data->bytes;
    if (data->length <= BEFORE_ADDRESS)
        return false;
    if (bytes[0] != VERSION || bytes[2] != 0)
        return false;
    size_t address = address_length(data);
    return address > 0 && data->length == BEFORE_ADDRESS + address;
}

static void write_target(FILE *out, const struct data *data) {
    char text[INET6_ADDRSTRLEN];
    const uint8_t *address = data->bytes + BEFORE_ADDRESS;
    const uint8_t *port = data->bytes + data->length - PORT_BYTES;
    switch (data->bytes[BEFORE_ADDRESS - 1]) {
    case KIND_IPV4:
        (void)inet_ntop(AF_INET, address, text, sizeof text);
        (void)fputs(text, out);
        break;
    case KIND_IPV6:
        (void)inet_ntop(AF_INET6, address, text, sizeof text);
        (void)fprintf(out, "[%s]", text);
        break;
    default:
        bytes_write_short(out, address + 1, address[0]);
        break;
    }
    (void)fprintf(out, ":%u", (unsigned)port[0] << 8 | port[1]);
}

static enum socks_step write_request(FILE *out, const struct data *data) {
    if (!is_with_address(data))
        return SOCKS_OTHER;
    switch (data->bytes[1]) {
    case CONNECT:
        (void)fputs("SOCKS request ", out);
        break;
    case BIND:
        (void)fputs("SOCKS request BIND ", out);
        break;
    case UDP_ASSOCIATE:
        (void)fputs("SOCKS request UDP ", out);
        break;
    default:
        return SOCKS_OTHER;
    }
    write_target(out, data);
    return SOCKS_REQUEST;
}

static enum socks_step write_reply(FILE *out, const struct data *data) {
    if (!is_with_address(data))
        return SOCKS_OTHER;
    unsigned reply = data->bytes[1];
    if (reply < sizeof replies / sizeof replies[0])
        (void)fprintf(out, "SOCKS reply: %s", replies[reply]);
    else
        (void)fprintf(out, "SOCKS reply: %u", reply);
    return SOCKS_END;
}

enum socks_step socks_write(FILE *out, enum socks_step before,
                            const uint8_t *bytes, size_t length) {
    struct data data = {bytes, length};
    switch (before) {
    case SOCKS_ACCEPTS:
        return write_greeting(out, &data);
    case SOCKS_GREETING:
        return write_choice(out, &data);
    case SOCKS_PASSWORD_WANTED:
        return write_password(out, &data);
    case SOCKS_PASSWORD:
        return write_admission(out, &data);
    case SOCKS_FREE:
    case SOCKS_ADMITTED:
        return write_request(out, &data);
    case SOCKS_REQUEST:
        return write_reply(out, &data);
    case SOCKS_SILENCE:
    case SOCKS_END:
    case SOCKS_OTHER:
        break;
    }
    return SOCKS_OTHER;
}
