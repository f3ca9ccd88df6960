/*
 * secret: which data of a socket are not shown, because they would tell a
 * reader nothing and are different in each run. Built by lesson 36.
 */
#ifndef XRAY_SECRET_H
#define XRAY_SECRET_H

#include "endpoint.h"
#include "record.h"

/*
 * Puts three dots in the place of the data in text, a call or a result, if it
 * is on a socket of AF_NETLINK (numbers), AF_PACKET (whole frames) or one that
 * speaks TLS (encrypted). use is the last use of that socket, or NULL; its
 * field encrypted is set if these data are the first of TLS. text may be NULL.
 */
void secret_hide(struct record_use *use, const struct endpoint *endpoint,
                 char *text);

#endif
