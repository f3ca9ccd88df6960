/*
 * server: receives packets, and counts how many came. Built by lesson 29.
 */
#ifndef UDP_BATCH_SERVER_H
#define UDP_BATCH_SERVER_H

#include "batch.h"

#include <netinet/in.h>

/*
 * Receives packets at 127.0.0.1 and this port (0: any free one), and counts
 * them. It prints where it listens, and a report when a client has sent its
 * last packet, or is silent for a second. It ends at SIGINT or SIGTERM. The
 * kernel is asked for a receive buffer of `buffer` bytes, at most INT_MAX:
 * SO_RCVBUF in socket(7). If `buffer` is 0, the kernel chooses the size. In the
 * modes MANY and SEGMENT it uses recvmmsg(2), and in the mode SEGMENT also
 * UDP_GRO: udp(7).
 *
 * It ends the program with status 1, and says why, when it cannot get ready, or
 * cannot close its socket. If a receive fails, or a report cannot be written,
 * it says so and goes on. But if a report could not be written, the status is 1
 * in the end.
 */
void server_run(enum mode mode, in_port_t port, unsigned buffer);

#endif
