/*
 * 22 exercise: an echo server with processes that are there before the clients
 * come.
 *
 * A client has to wait until its process is made. So many servers make their
 * processes before the first client comes. This is called prefork. Each
 * process is a worker: it calls `accept` itself, serves this client, and then
 * accepts the next one. All workers have the same listener, because they
 * inherit it from their parent. The parent accepts nobody. It only takes care
 * of the workers: if a worker dies, the parent starts another one in its
 * place.
 *
 * There is one danger. Suppose that a worker dies as soon as it is started,
 * for example because the disk is full. Its parent replaces it at once, the
 * new worker dies too, and so on, thousands of times in a second. So a worker
 * must not be replaced too early.
 *
 * You write an echo server of this kind. It is called as `22-fork-server
 * WORKERS PORT`, and listens at 127.0.0.1. You may copy from this lesson's
 * program.
 *
 * 1. It says where it listens, once. The first line on standard output is
 *    `listening on 127.0.0.1:PORT`, with the port that it really has, also
 *    when PORT is 0. The line is printed at once, also into a file. It is
 *    printed one time, although there are many processes.
 * 2. It sends back what a client sends. When the client has ended its half and
 *    everything has been sent back, it closes the connection.
 * 3. It has WORKERS workers before the first client comes. Each is a child of
 *    your program. WORKERS is a number from 1 to 64.
 * 4. It serves WORKERS clients at the same time. The next client waits, and is
 *    served when a worker has finished with another client.
 * 5. It serves all clients with the same workers. A worker does not end when
 *    its client has left, not even if the client has reset the connection.
 * 6. It keeps no descriptor of a client that has gone. When all clients have
 *    gone, each of its processes has as many descriptors as before they came.
 * 7. It replaces each worker that has died. It does so too if several die at
 *    the same moment. This takes at most one second, and no zombie stays.
 * 8. It says how a worker ended. The line on standard error has the number of
 *    the process, and the number of the signal that ended it.
 * 9. It waits before it replaces a worker that died at once. Between the start
 *    of a worker and the start of the one that replaces it, there are at least
 *    0.3 seconds. In this time your program sleeps. It also sleeps as long as
 *    all workers live.
 * 10. It lets each worker finish its client when it is told to end. It is told
 *     so by SIGTERM. A worker without a client then ends within a second. A
 *     worker with a client goes on until this client has left, however long
 *     that takes. Then it ends, also if other clients are in the queue. When
 *     all workers have ended, your program ends with status 0. It sends no
 *     signal to a process that is not its worker. (Once you have called
 *     `waitpid` for a worker, its number may belong to another process.)
 * 11. It does the same on SIGINT. With Ctrl-C, the terminal sends SIGINT to
 *     the workers as well.
 * 12. It leaves no worker when it is killed. If SIGKILL ends your program, its
 *     workers end too. A worker that has a client may finish with it before it
 *     ends.
 * 13. It refuses an invalid number of workers or an invalid port, with status
 *     1. A port is a number from 0 to 65535. Both are digits alone.
 * 14. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, checks its arguments, and listens. But it starts no
 * worker. Your part begins in main.
 */
#define _GNU_SOURCE

#include "deadline.h"
#include "listener.h"
#include "number.h"
#include "stream.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LARGEST_PORT = 65535, MOST_WORKERS = 64 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 22-fork-server WORKERS PORT\n", out);
    exit(status);
}

/* Returns the number that the text is. Ends the program unless the text is a
 * number from least to most, in digits alone. */
static unsigned parse_number(const char *text, unsigned least, unsigned most,
                             const char *what) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s is not a %s: %u to %u", text, what, least, most);
    return (unsigned)number;
}

/* Returns a listener at 127.0.0.1. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int fd = listener_open((struct sockaddr *)&own, sizeof own, SOMAXCONN, 0,
                           &failed);
    if (fd < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    return fd;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    unsigned workers =
        parse_number(argv[1], 1, MOST_WORKERS, "number of workers");
    unsigned port = parse_number(argv[2], 0, LARGEST_PORT, "port");

    int listener = listen_on((in_port_t)port);
    /* 1. Block SIGINT, SIGTERM and SIGCHLD, and set their handlers. */
    /* 2. Print where it listens: listener_announce. */
    /* 3. Start the workers. Each accepts a client, sends back what it sends,
     *    closes it, and accepts the next one. */
    (void)workers; /* delete this line when you use the number */
    /* 4. Wait for signals. When workers have died, report and replace them. */
    /* 5. When you are told to end, tell the workers, and wait for them. */
    (void)close(listener);
    return 0;
}
