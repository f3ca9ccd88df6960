/*
 * 20 exercise: a server that sends ranges of a file to many clients at once.
 *
 * A program that plays films does not want the whole file. It wants the part
 * that you have jumped to. So a server should be able to send a range of
 * bytes, and HTTP can do that too (lesson 31). In this exercise you write a
 * server that sends ranges of one file, to many clients at the same time. It
 * waits for all of them with one `poll` (lesson 07), so no client can block
 * another one. It serves up to 100 clients at the same time. While there are
 * 100, your program does not ask `poll` about the listener, and more clients
 * wait in the queue. For each client, such a server keeps what it has received
 * of the line, and later, which bytes it still has to send. As long as the
 * line is not complete, it waits for POLLIN. When there is something to send,
 * it waits for POLLOUT, and then calls `sendfile` once. The array of `poll`
 * has one entry for each client, and one for the listener.
 *
 * It is called as `20-sendfile FILE PORT`. A client sends the line `FIRST
 * LAST`: two numbers in digits, with one blank between them. They are the
 * numbers of the first and of the last byte that it wants, and the first byte
 * of the file has the number 0. It sends nothing behind its line. The server
 * answers with a line that says how many bytes will follow. Then it sends these
 * bytes, and closes the connection. You may copy from `sendfile.c`, and include
 * `listener.h`, `number.h` and `deadline.h` (for `deadline_pause`).
 *
 * 1. It listens, and says where. The first line that it prints is `listening
 *    on 127.0.0.1:PORT`. If PORT is 0, it takes a free port and prints that
 *    one.
 * 2. It sends the bytes from FIRST to LAST. Both belong to the range: `0 0` is
 *    the first byte. In front of them it sends their number and a newline.
 *    `send` may take only a part of a line, of this one or of `bad range`
 *    below. Then it has to send the rest.
 * 3. It waits for the end of the line. The line may come in several pieces.
 * 4. It refuses a range that is not in the file. If LAST is beyond the last
 *    byte, or FIRST is more than LAST, it answers with the line `bad range`,
 *    and closes the connection.
 * 5. It refuses a line that is not two numbers. The answer is `bad range` too.
 *    The numbers may be too large for any type of C.
 * 6. It sends a range of many megabytes whole.
 * 7. It answers a client that has ended its half. The client has sent its line
 *    before that.
 * 8. It closes the connection of a client that sends 64 bytes without a
 *    newline. A line has at most 64 bytes, and the newline counts. So 63 bytes
 *    and a newline are still a line. The client with 64 bytes and no newline
 *    needs no answer.
 * 9. It goes on after sendfile has failed with EAGAIN. The bytes of the file
 *    are sent by `sendfile`, and by no other call.
 * 10. It sends bytes that are behind the first 4 GiB.
 * 11. It announces a range of more than 4 GiB.
 * 12. It resets the connection when sendfile fails for another reason. So the
 *     client cannot take a part for the whole. (EINTR is no such reason: then
 *     it calls `sendfile` again.)
 * 13. It serves the others while fifty clients send nothing. Some of them may
 *     have sent a part of their line. There may also be 99 such clients.
 * 14. It serves the others while a client reads nothing. When this client
 *     reads again, it gets all its bytes.
 * 15. It serves fifty clients at once, each with its own range.
 * 16. It uses no processor while clients send nothing.
 * 17. It uses no processor while a client reads nothing. This client may have
 *     ended its half.
 * 18. It resets the connection when the file has become shorter. It does so if
 *     the client has been promised bytes that are not there any more. It then
 *     goes on with the other clients, and for them the file has its new
 *     length.
 * 19. It sends what it has announced when the file has become longer. Clients
 *     that come later can get the new bytes.
 * 20. It goes on when clients reset the connection.
 * 21. It closes the descriptor of each client. It does so also when the client
 *     was refused, or has left.
 * 22. It says why it cannot open the file or listen, with status 1. The reason
 *     is in words, on standard error.
 * 23. It refuses an invalid port, with status 1. A port is a number from 0 to
 *     65535, in digits alone.
 * 24. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, checks its arguments, opens the file and listens. It
 * accepts nobody. Your part begins in main.
 */
#define _GNU_SOURCE

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
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST_PORT = 65535, BACKLOG = 128 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 20-sendfile FILE PORT\n", out);
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

/* Returns a listener at 127.0.0.1, and prints its name. */
static int listen_on(in_port_t port) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const char *failed;
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, BACKLOG, 0, &failed);
    if (listener < 0)
        err(1, "%s 127.0.0.1:%d", failed, port);
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);
    return listener;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    in_port_t port = parse_port(argv[2]);
    int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0)
        err(1, "open %s", argv[1]);
    int listener = listen_on(port);

    /* 1. Call poll for the listener and all clients, again and again. */
    /* 2. Accept each client, non-blocking, and keep its line as it comes. */
    /* 3. When the line is whole, send the length, and then the bytes. */
    (void)close(listener);
    (void)close(file);
    return 0;
}
