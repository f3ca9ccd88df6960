/*
 * rude-unix: either end of a conversation over an AF_UNIX socket, to the byte.
 *
 *     rude-unix serve PATH STEP...     listens, takes one client
 *     rude-unix connect PATH STEP...
 *     rude-unix faces                  lists some steps that are rude anywhere
 *
 * The steps, one after the other, and then it closes:
 *
 *     0110     sends these bytes, written in hexadecimal, with one send
 *     -4       receives 4 bytes, prints them in hexadecimal, a line
 *     end      receives until the other ends, prints it the same way
 *     stall    waits until it is told to end
 *
 * A peer that ends while bytes are still expected: prints what came, "end".
 */
#define _GNU_SOURCE

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MOST_BYTES = 4096 };

static const char *const faces[] = {
    "",       "end",      "stall",          "00 end",
    "01 end", "01 stall", "0110 stall",     "0110 end",
    "02 end", "03 stall", "ffffffffff end", "0404040404040404 stall",
};

static int serve(int fd, const struct sockaddr_un *own) {
    if (bind(fd, (const struct sockaddr *)own, sizeof *own) < 0)
        err(1, "bind %s", own->sun_path);
    if (listen(fd, 1) < 0)
        err(1, "listen");
    if (printf("listening on %s\n", own->sun_path) < 0 || fflush(stdout) == EOF)
        err(1, "standard output");
    int client = accept(fd, NULL, NULL);
    if (client < 0)
        err(1, "accept");
    return client;
}

static void send_hex(int fd, const char *text) {
    unsigned char bytes[MOST_BYTES];
    size_t length = 0;
    unsigned byte;
    int taken;
    // NOLINTNEXTLINE(cert-err34-c): two digits overflow nothing
    for (; length < sizeof bytes && sscanf(text, "%2x%n", &byte, &taken) == 1;
         text += taken)
        bytes[length++] = (unsigned char)byte;
    if (*text != '\0')
        errx(2, "%s is not a step", text);
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        warn("send");
}

/* Until there are so many, or until the end. */
static void receive_hex(int fd, unsigned long count) {
    unsigned char byte;
    ssize_t received = 1;
    for (; count > 0 && (received = recv(fd, &byte, 1, 0)) > 0; count--)
        (void)printf("%02x", byte);
    if (received < 0)
        warn("recv");
    (void)puts(received > 0 ? "" : "end");
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc == 2 && strcmp(argv[1], "faces") == 0) {
        for (size_t i = 0; i < sizeof faces / sizeof *faces; i++)
            (void)puts(faces[i]);
        return 0;
    }
    if (argc < 3 || strlen(argv[2]) >= sizeof address.sun_path)
        errx(2, "usage: rude-unix serve|connect PATH STEP...");
    memcpy(address.sun_path, argv[2], strlen(argv[2]));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (strcmp(argv[1], "serve") == 0)
        fd = serve(fd, &address);
    else if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect %s", argv[2]);
    for (char **step = argv + 3; *step != NULL; step++) {
        if (strcmp(*step, "stall") == 0)
            (void)pause();
        else if (strcmp(*step, "end") == 0)
            receive_hex(fd, (unsigned long)-1);
        else if (**step == '-')
            receive_hex(fd, strtoul(*step + 1, NULL, 10));
        else
            send_hex(fd, *step);
    }
    return 0;
}
