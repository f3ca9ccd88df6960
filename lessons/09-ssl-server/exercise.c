/*
 * 09 exercise: one server with several names, and a certificate for each.
 *
 * One machine often serves many names. Each name has its own certificate. The
 * client says in its ClientHello which name it wants (SNI, lesson 08), and the
 * server chooses the certificate for it. You write such a server. OpenSSL has
 * three functions for this:
 *
 * - `SSL_CTX_set_tlsext_servername_callback(context, choose)` gives a context
 *   a function of your own. OpenSSL calls it when the ClientHello has come.
 * - `SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)` returns the name, or
 *   NULL if the client asks for none. You can call it in your function, and
 *   again later, when you write the line.
 * - `SSL_set_SSL_CTX(ssl, context)` gives the connection another context. Call
 *   it in your function. If you don't, the first context stays.
 *
 * Your function is `int choose(SSL *ssl, int *alert, void *unused)`, and it
 * always returns SSL_TLSEXT_ERR_OK. You do not use `alert` and `unused`. The
 * lines `(void)alert;` and `(void)unused;` tell the compiler that this is on
 * purpose. A static pointer to the names and their contexts lets `choose` find
 * them. You may change the starter's functions as you like. (If OpenSSL's
 * manual pages are installed, SSL_CTX_set_tlsext_servername_callback(3) tells
 * more.)
 *
 * Your program is called as `09-ssl-server PORT CERTFILE KEYFILE [NAME
 * CERTFILE KEYFILE]...`. The first two files are for all clients that ask for
 * no name, or for a name that the server does not have. After them come as
 * many names as you like, each with its two files.
 *
 * Your program sends each client one line, `you asked for NAME`, or `you asked
 * for nobody`. Then it sends close_notify. Before it closes, it reads what the
 * client still sends, until the client closes too or its time is over.
 * Otherwise the kernel might send a reset, and the client could lose the line
 * (lesson 06). `linger`, which is given, does that.
 *
 * 1. It shows its first certificate, and all that is in the file.
 * 2. It shows each client the certificate of the name that it asks for. The
 *    line has that name.
 * 3. It ignores the case of letters in a name. The line has the name as the
 *    client wrote it.
 * 4. It shows the first certificate for a name that it does not have.
 * 5. It shows the first certificate to a client that asks for no name. The
 *    line is then `you asked for nobody`. A client that sends much before it
 *    reads gets its line, too.
 * 6. It goes on after clients that vanish, or that send nonsense. It keeps no
 *    descriptor of a client that has gone.
 * 7. It gives each client one second, and not more. A silent client delays the
 *    next one by no more than that. One client after another is enough.
 * 8. It speaks only modern TLS, whatever name it is asked for. That is TLS 1.2
 *    or newer, and only ciphers with ECDHE and AEAD. (AEAD means that
 *    encrypted data cannot be changed unnoticed.) `make_context` of this
 *    lesson's program shows how, and `tls_server_context` of `tls.h` does it
 *    for you. (It also does what the next two requirements want.)
 * 9. It refuses a private key that others may read or write, with status 1. It
 *    says why.
 * 10. It refuses a key that is not the key of its certificate, with status 1.
 *    It does so for keys of every kind. It also refuses files that it cannot
 *    use.
 *
 * What is here compiles, listens, and ends its half of each connection at once.
 * Your parts are A to C.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"
#include "tls.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BACKLOG = 128,
    PATIENCE_MS = 1000, /* for each client */
    PAUSE_MS = 100,     /* after an accept that failed */
    PIECE_BYTES = 4096,
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 09-ssl-server PORT CERTFILE KEYFILE "
          "[NAME CERTFILE KEYFILE]...\n",
          out);
    exit(status);
}

/* Returns a listener at 127.0.0.1 and this port, and writes its name: lesson
 * 02. */
static int listen_on(in_port_t port, char name[ADDR_TEXT_BYTES]) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    const int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0)
        err(1, "socket");
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "setsockopt");
    if (bind(listener, (struct sockaddr *)&own, length) < 0)
        err(1, "bind 127.0.0.1:%d", port);
    if (listen(listener, BACKLOG) < 0)
        err(1, "listen");
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    (void)addr_format((struct sockaddr *)&own, length, name);
    return listener;
}

/* Serves one client: makes a connection of TLS over fd, does the handshake,
 * sends the line, and then close_notify. The client has time until the
 * deadline. If something fails, that is only a warning. */
static void greet(int fd, struct deadline deadline) {
    /* C. Call SSL_new with the first context, SSL_set_fd, and SSL_accept.
     * tls_wait says whether a call is to be made again. Which name did the
     * client ask for? */
    (void)fd; /* delete these two lines when you use the arguments */
    (void)deadline;
}

/* Ends our half of the connection, and reads what the client still sends, until
 * the client closes too, or its time is over. If we closed while bytes of the
 * client are unread, the kernel would send a reset, and the client might lose
 * our line: see lesson 06. */
static void linger(int fd, struct deadline deadline) {
    char unread[PIECE_BYTES];
    ssize_t received;
    if (shutdown(fd, SHUT_WR) < 0)
        return; /* the connection has broken, so nothing more will come */
    do {
        received = deadline_recv(deadline, fd, unread, sizeof unread);
    } while (received > 0);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    int words = argc - 1; /* three words, and three more for each name */
    if (words < 3 || words % 3 != 0)
        usage(stderr, 2);
    in_port_t port;
    if (addr_parse_port(argv[1], strlen(argv[1]), 0, &port) < 0)
        errx(1, "%s is not a port: 0 to 65535", argv[1]);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */

    /* A. Make a context for each pair of files, as the lesson's program does.
     * argv[2] and argv[3] are the first pair. Then comes a name and two files,
     * and so on. */
    /* B. Give the first context a callback, which OpenSSL calls when a client
     * has said which name it wants: SSL_CTX_set_tlsext_servername_callback. */

    char name[ADDR_TEXT_BYTES];
    int listener = listen_on(port, name);
    if (printf("listening on %s\n", name) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            warn("accept");
            deadline_pause(PAUSE_MS);
            continue;
        }
        struct deadline deadline = deadline_after(PATIENCE_MS);
        greet(fd, deadline);
        linger(fd, deadline);
        (void)close(fd);
    }
}
