/* route: which server a client gets for the name that it asks for. */
#define _GNU_SOURCE

#include "route.h"

#include "addr.h"

#include <ctype.h>
#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    LARGEST_PORT = 65535,
    LABEL_BYTES = 63, /* of a host name, between its dots: RFC 1035 */
    NAME_BYTES = 253, /* of a host name */
};

/* Copies length bytes of a text into place, which has size bytes. */
static void copy_part(char *place, size_t size, const char *text, size_t length,
                      const char *argument) {
    if (length >= size)
        errx(1, "%s is too long", argument);
    memcpy(place, text, length);
    place[length] = '\0';
}

/* Returns how many characters at the beginning of a text may stand in a label
 * of a host name. The text has length bytes. */
static size_t label_length(const char *text, size_t length) {
    size_t count = 0;
    while (count < length) {
        char character = text[count];
        bool is_sign = character == '-' || character == '_';
        if (!is_sign && !isalnum((unsigned char)character))
            return count;
        count++;
    }
    return count;
}

/* Returns whether a client can ask for a name: it consists of labels with dots
 * between them. If the last one were a number, it would be an address, which is
 * not allowed: RFC 6066, section 3. */
static bool is_host_name(const char *name, size_t length) {
    const char *end = name + length;
    const char *label = name;
    for (;;) {
        size_t count = label_length(label, (size_t)(end - label));
        if (count == 0 || count > LABEL_BYTES)
            return false;
        if (label + count == end)
            break;
        if (label[count] != '.')
            return false;
        label += count + 1;
    }
    size_t digits = strspn(label, "0123456789");
    return length <= NAME_BYTES && label + digits < end;
}

/* Ends the program if there is a route for the name already: only the first one
 * would ever be used. */
static void refuse_second(const struct route_table *table, const char *name,
                          size_t length) {
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        bool is_same = route->name_length == length &&
                       strncasecmp(route->name, name, length) == 0;
        if (is_same)
            errx(1, "%.*s stands there twice", (int)length, name);
    }
}

void route_add(struct route_table *table, const char *argument) {
    const char *equals = strchr(argument, '=');
    const char *host;
    const char *port;
    size_t host_length;
    size_t port_length;
    in_port_t number;
    if (table->count == ROUTE_TABLE_SIZE)
        errx(1, "there are more than %d names", ROUTE_TABLE_SIZE);
    if (equals == NULL || equals == argument)
        errx(1, "%s is not NAME=HOST:PORT", argument);
    if (addr_split(equals + 1, strlen(equals + 1), &host, &host_length, &port,
                   &port_length) < 0)
        errx(1, "%s is not NAME=HOST:PORT", argument);
    if (addr_parse_port(port, port_length, 1, &number) < 0)
        errx(1, "%.*s is not a port: 1 to %d", (int)port_length, port,
             LARGEST_PORT);
    size_t name_length = (size_t)(equals - argument);
    if (equals[-1] == '.')
        name_length--;
    if (!is_host_name(argument, name_length))
        errx(1, "%.*s is not a name that a client can ask for",
             (int)(equals - argument), argument);
    refuse_second(table, argument, name_length);
    struct route *route = &table->routes[table->count];
    route->name = argument;
    route->name_length = name_length;
    route->address = equals + 1;
    copy_part(route->host, sizeof route->host, host, host_length, argument);
    (void)snprintf(route->port, sizeof route->port, "%d", number);
    table->count++;
}

const struct route *route_find(const struct route_table *table,
                               const struct hello_text *name) {
    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        if (route->name_length != name->length)
            continue;
        const char *wanted = (const char *)name->bytes;
        if (strncasecmp(route->name, wanted, name->length) == 0)
            return route;
    }
    return NULL;
}
