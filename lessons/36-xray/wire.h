/*
 * wire: sees what crosses the loopback. Built by lesson 36, as lesson 35 does
 * it.
 */
#ifndef XRAY_WIRE_H
#define XRAY_WIRE_H

#include "record.h"

/* Opens a socket that sees all frames of the loopback. Returns its descriptor;
 * or -1 and errno: EPERM where we are not allowed to. */
int wire_open(void);

/* Reads, without waiting, all frames that have come, and records each one once.
 * With record NULL they are forgotten. Returns 0; or -1 and errno if frames may
 * have come that cannot be read. */
int wire_read(int wire, struct record *record);

#endif
