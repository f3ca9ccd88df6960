/*
 * route: which server a client gets for the name that it asks for. Built by
 * lesson 34.
 */
#ifndef TLS_HELLO_ROUTE_H
#define TLS_HELLO_ROUTE_H

#include "hello.h"

#include <stddef.h>

enum {
    ROUTE_TABLE_SIZE = 64,
    ROUTE_HOST_BYTES = 256,
    ROUTE_PORT_BYTES = sizeof "65535",
};

/* A name, and the server for it. */
struct route {
    const char *name;
    size_t name_length;
    const char *address; /* HOST:PORT, as it was given */
    char host[ROUTE_HOST_BYTES];
    char port[ROUTE_PORT_BYTES];
};

/* It is empty when all of it is 0. */
struct route_table {
    size_t count;
    struct route routes[ROUTE_TABLE_SIZE];
};

/*
 * Reads NAME=HOST:PORT, and adds the route to the table. A dot at the end of
 * NAME counts for nothing: no client sends it. The argument stays the caller's,
 * and must live as long as the table does.
 *
 * If the argument cannot be used, or the table is full, this function says why,
 * and ends the program.
 */
void route_add(struct route_table *table, const char *argument);

/* Returns the route for the name, which is a part of the table, or NULL. Large
 * and small letters make no difference. */
const struct route *route_find(const struct route_table *table,
                               const struct hello_text *name);

#endif
