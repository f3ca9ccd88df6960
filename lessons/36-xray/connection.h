/*
 * connection: tells the connections of a picture apart. Built by lesson 36.
 */
#ifndef XRAY_CONNECTION_H
#define XRAY_CONNECTION_H

#include "record.h"

/*
 * Where a record has several connections, gives each a number: to its segments
 * and messages, and to the calls on its sockets. Connections that come from the
 * same column also get a letter. The columns of all events must be known.
 */
void connection_tell_apart(struct record *record);

#endif
