/*
 * 18 exercise: a control socket.
 *
 * A server that runs for months must tell people how it is. Many servers have
 * a control socket for this: a UNIX socket at which the user of the server can
 * ask, and nobody else. You write such a server. It takes one request from
 * each client, answers it, and closes the connection.
 *
 * Its hard part is the start and the end. It must take the place of a server
 * that was killed, but never the place of one that is alive.
 *
 * Your program is called as `18-unix-sockets serve PATH`. PATH is the path of a
 * file. The server serves one client after another, and you need not end a
 * client that is silent. You may copy from this lesson's program, and include
 * `deadline.h`.
 *
 * 1. It says where it listens. Its first line is `listening on PATH`. The line
 *    is printed at once, also when standard output is a file.
 * 2. It answers a request for its status. The request is the line `status`,
 *    with a newline. It may come in several pieces, or with more bytes behind
 *    it, and the client need not end its side. The reply is one line, such as
 *    `process 4711 is running, you are process 4712`, with the server's own
 *    process number and the client's. It sends all of the reply, also when
 *    `send` takes only a part of it. Then it closes the connection, and takes
 *    the next client.
 * 3. It believes the kernel and not the client. Some clients write more behind
 *    the word, as in `status 4713`. So a line that begins with `status` and a
 *    blank is a request for the status too, and what stands behind the blank
 *    does not matter.
 * 4. It answers every other line with two words. They are `unknown request`,
 *    in one line. Any byte may be in a line, NUL too. A line has at most 100
 *    bytes, with its newline. If 100 bytes have come without a newline, then
 *    this is such an other line, and it need not read the rest.
 * 5. It goes on after clients that leave. Some leave before they have sent a
 *    whole line, and some do not wait for the reply.
 * 6. It answers only its own user. It asks the kernel for the client's user,
 *    with SO_PEERCRED. If this is not the user of the server, it sends nothing
 *    and closes the connection. root is another user too, unless the server is
 *    root's.
 * 7. It never lets another user use its file. From the moment when the file is
 *    there, its group and all others have no permission at all, whatever the
 *    umask of the caller is.
 * 8. It refuses a path that is too long, with status 1. A path has 1 to 107
 *    bytes. It says what is wrong on standard error, and makes no socket.
 * 9. It takes the place of a dead server. In this case, the socket of a server
 *    that was killed is at PATH.
 * 10. It refuses a path at which a server is alive, with status 1. It says so
 *     on standard error. This is also so if the other server's socket is of
 *     the type SOCK_SEQPACKET. If the other server is stuck and its queue is
 *     full, it does not wait for it for longer than a second. The other server
 *     and its file stay as they are.
 * 11. It removes nothing that is not a socket. If there is a file of another
 *     kind at PATH, for example a text, a folder or a symbolic link, it says
 *     so on standard error, and ends with status 1.
 * 12. It lets only one of two servers win that start at the same time. This is
 *     also so if the socket of a dead server is there. The other one ends with
 *     status 1. For this it may make a file with the name `PATH.lock`, and
 *     leave it there.
 * 13. It removes its socket when it is told to end, with status 0. It is told
 *     by SIGINT or SIGTERM, while it waits for a client.
 * 14. It refuses wrong arguments, with status 2. The first line on standard
 *     error then begins with `usage:`.
 *
 * What is here compiles, checks its arguments, and listens nowhere. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 18-unix-sockets serve PATH\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3 || strcmp(argv[1], "serve") != 0)
        usage(stderr, 2);
    const char *path = argv[2];

    /* 1. Put the path into a struct sockaddr_un, if it is not too long. */
    (void)path; /* delete this line when you use the path */
    /* 2. Take the lock, and remove a dead server's socket. */
    /* 3. Call socket, bind and listen, and print where you listen. */
    /* 4. Until you are told to end: accept a client, ask who it is, answer its
     *    request, close. */
    /* 5. Remove the socket. */
    return 0;
}
