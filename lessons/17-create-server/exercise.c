/*
 * 17 exercise: a server whose listeners were opened by another program.
 *
 * A server can be started before anybody needs it, or when the first client
 * comes. On many Linux systems, the program `systemd` does the second: it
 * opens the listeners of all servers itself, and starts a server only when a
 * client connects. The new server inherits the listeners as descriptors. This
 * is called socket activation. In this exercise you write a server that can be
 * started like this, and also by hand. For each client it runs a command, and
 * sends the client what the command prints.
 *
 * It is called as `17-create-server PORT COMMAND`. How does it know that there
 * are listeners for it? Two environment variables say so (sd_listen_fds(3)).
 * LISTEN_PID is the number of the process that the listeners are for. A
 * process inherits the variables of its parent, so they may be meant for
 * another process. LISTEN_FDS says how many listeners there are. They are the
 * descriptors 3, 4 and so on. `getenv` returns the text of a variable, or
 * NULL. `unsetenv` removes a variable. `popen(COMMAND, "r")` runs a command in
 * a shell, and returns a `FILE *` from which you read what the command prints;
 * `pclose` closes it.
 *
 * Is a descriptor a listener at all? `getsockopt` with the option
 * `SO_ACCEPTCONN`, at the level `SOL_SOCKET`, puts 1 into your `int` if the
 * socket listens, and 0 if it does not. And a listener that you have inherited
 * is not close-on-exec: `fcntl(fd, F_SETFD, FD_CLOEXEC)` makes it so.
 *
 * 1. It opens its own listener when there are none for it. Here, LISTEN_PID is
 *    not set. It listens at 127.0.0.1 and PORT, and its first line is
 *    `listening on 127.0.0.1:PORT`, with the port that it really has, also
 *    when PORT is 0.
 * 2. It sends each client what COMMAND prints. It runs COMMAND anew for each
 *    client, sends every byte, NUL bytes too, and closes the connection when
 *    COMMAND has ended. Then it serves the next client.
 * 3. It goes on after clients that leave early. SIGPIPE does not end it. But
 *    SIGPIPE ends COMMAND as usual, so that a COMMAND that prints without end
 *    ends too when its client has left.
 * 4. It takes a listener that was opened for it. Here, LISTEN_PID is its own
 *    process id, and LISTEN_FDS is 1. It says `listening on ADDRESS:PORT` with
 *    the address and port of that listener, and opens none itself.
 * 5. It takes listeners of IPv4 and of IPv6. An IPv6 address stands in
 *    brackets, as in `listening on [::1]:8019`.
 * 6. It serves all listeners at the same time. There are up to 16. It prints a
 *    line for each, in the order of the descriptors. A client of one listener
 *    is served while no client comes to the others.
 * 7. It ignores listeners for another process. Unless LISTEN_PID is its own
 * process id, in digits alone, it opens its own listener, as in requirement 1.
 * 8. It refuses a LISTEN_FDS that is not a number from 1 to 16, with status 1.
 *    It does so only if LISTEN_PID is its own process id. The number has
 *    digits alone. On standard error it says why. If LISTEN_FDS is not set at
 * all, it is refused too.
 * 9. It refuses a descriptor that is not a listener, with status 1. This may
 *    be a file, a socket that does not listen, or a descriptor that is not
 *    open. The message on standard error has the number of the descriptor.
 * 10. It hides the variables from COMMAND. These are LISTEN_PID, LISTEN_FDS
 *     and LISTEN_FDNAMES. COMMAND never gets them, also if they were meant for
 *     another process.
 * 11. It gives COMMAND none of its sockets. COMMAND must have neither a
 *     listener nor a client's connection.
 * 12. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 * 13. It refuses an invalid port, with status 1. A port is a number from 0 to
 *     65535, in digits alone.
 *
 * What is here compiles, checks its arguments, and listens nowhere. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "listener.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGEST_PORT = 65535 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 17-create-server PORT COMMAND\n", out);
    exit(status);
}

/* Returns the port that the text names. Ends the program unless the text is a
 * number from 0 to 65535, in digits alone. */
static in_port_t parse_port(const char *text) {
    unsigned long long port;
    if (number_parse(text, 0, LARGEST_PORT, &port) < 0)
        errx(1, "%s is not a port: 0 to %d", text, LARGEST_PORT);
    return (in_port_t)port;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[1]);

    /* 1. Open a listener at 127.0.0.1 and the port, and print where it is. */
    (void)port; /* delete this line when you use the port */
    /* 2. For ever: accept a client, send it what COMMAND prints, close. */
    /* 3. If LISTEN_PID is your process id, take the listeners from descriptor
     * 3 on instead. Check each of them, and wait for all of them with poll. */
    return 0;
}
