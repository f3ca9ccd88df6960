/*
 * server: receives packets, and counts how many came. Built by lesson 29.
 */
#ifndef UDP_BATCH_SERVER_H
#define UDP_BATCH_SERVER_H

#include "batch.h"

#include <netinet/in.h>

/*
 * Receives packets at 127.0.0.1 and this port (0: any free one), and counts
 * them. It prints where it listens, and a report after each run of a client. It
 * ends at SIGINT or SIGTERM. The kernel is asked for a receive buffer of
 * `buffer` bytes, at most INT_MAX: SO_RCVBUF in socket(7). If `buffer` is 0,
 * the kernel chooses the size. In the modes MANY and SEGMENT it uses
 * recvmmsg(2), and in the mode SEGMENT also UDP_GRO: udp(7).
 *
 * Returns the exit status of the program: 0. It ends the program with status 1,
 * and says why, when there can be no socket, or when the first line cannot be
 * written. If a receive fails, or a report cannot be written, it says so and
 * goes on. But after such a report, the status is 1 in the end.
 */
int server_run(enum mode mode, in_port_t port, unsigned buffer);

#endif
