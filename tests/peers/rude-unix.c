/*
 * rude-unix: one end of an AF_UNIX connection, which sends and receives exactly
 * the bytes that it is told to.
 *
 *     rude-unix serve PATH STEP...     listens, and accepts one client
 *     rude-unix connect PATH STEP...
 *     rude-unix faces                  lists steps that are rude to any peer
 *
 * It does the steps one after another, and then closes:
 *
 *     0110     sends these bytes, which are written in hexadecimal, in one send
 *     -4       receives 4 bytes, and prints them in hexadecimal as one line
 *     end      receives until the peer ends, and prints the bytes the same way
 *     stall    waits until a signal ends us
 *
 * If the peer ends before all bytes have come, the line ends with "end".
 */
#define _GNU_SOURCE

#include <err.h>
#include <limits.h>
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

static int accept_client(int fd, const struct sockaddr_un *own) {
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
    while (length < sizeof bytes) {
        unsigned byte;
        int taken;
        // NOLINTNEXTLINE(cert-err34-c): two digits cannot overflow
        if (sscanf(text, "%2x%n", &byte, &taken) != 1)
            break;
        bytes[length] = (unsigned char)byte;
        length++;
        text += taken;
    }
    if (*text != '\0')
        errx(2, "%s is not a step", text);
    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        warn("send");
}

/* Receives so many bytes, or fewer if the peer ends before. */
static void receive_hex(int fd, unsigned long count) {
    const char *line_end = "";
    for (unsigned long i = 0; i < count; i++) {
        unsigned char byte;
        ssize_t received = recv(fd, &byte, 1, 0);
        if (received < 0)
            warn("recv");
        if (received <= 0) {
            line_end = "end";
            break;
        }
        (void)printf("%02x", byte);
    }
    (void)puts(line_end);
    (void)fflush(stdout);
}

static void do_step(int fd, const char *step) {
    if (strcmp(step, "stall") == 0)
        (void)pause();
    else if (strcmp(step, "end") == 0)
        receive_hex(fd, ULONG_MAX);
    else if (step[0] == '-')
        receive_hex(fd, strtoul(step + 1, NULL, 10));
    else
        send_hex(fd, step);
}

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (argc == 2 && strcmp(argv[1], "faces") == 0) {
        for (size_t i = 0; i < sizeof faces / sizeof faces[0]; i++)
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
        fd = accept_client(fd, &address);
    else if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        err(1, "connect %s", argv[2]);
    for (int i = 3; i < argc; i++)
        do_step(fd, argv[i]);
    return 0;
}
