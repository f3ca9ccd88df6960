/*
 * rude-socks: a client of a proxy that breaks the rules of SOCKS 5 or of HTTP.
 *
 *     rude-socks connect FACE PORT
 *     rude-socks faces
 *
 * Connects to the proxy at PORT of 127.0.0.1, and sends what FACE says. Then it
 * receives until the proxy ends, and prints that: `got BYTES, then end of
 * stream`. BYTES is hexadecimal; but of HTTP it is the first line, and how many
 * replies there were if not one.
 *
 * Where a request is good, it asks for port 1 of 127.0.0.1. `faces` lists the
 * faces.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FLOOD_BYTES = 4 << 20,
    LONG_BYTES = 20000,
    ANSWER_BYTES = 4096,
    DRIBBLE_US = 2000,
};

/* How the bytes of a face leave, and what comes after them. */
enum manner {
    ENDS,     /* at once, and then the end of our half */
    STALLS,   /* at once, and then nothing */
    DRIBBLES, /* byte by byte, and then the end */
    RESETS,   /* at once, and then a reset */
    FLOODS,   /* and then many more bytes */
    PADS,     /* LONG_BYTES letters instead of the first "%" */
};

struct face {
    const char *name;
    const char *bytes;
    size_t length;
    enum manner manner;
};

#define HELLO "\5\1\0"
#define GOOD "\5\1\0\1\177\0\0\1\0\1"
#define NAME_63 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TARGET "CONNECT 127.0.0.1:1 HTTP/1.1\r\n"
#define FIELD "Host: 127.0.0.1:1\r\n"
#define BYTES(text) (text), sizeof(text) - 1

static const struct face faces[] = {
    /* SOCKS 5: the greeting */
    {"good", BYTES(HELLO GOOD), ENDS},
    {"dribble", BYTES(HELLO GOOD), DRIBBLES},
    {"empty", BYTES(""), ENDS},
    {"silent", BYTES(""), STALLS},
    {"reset", BYTES(""), RESETS},
    {"version-0", BYTES("\0\1\0"), ENDS},
    {"version-4", BYTES("\4\1\0\1\177\0\0\1\0"), ENDS},
    {"version-6", BYTES("\6\1\0" GOOD), ENDS},
    {"http", BYTES("get / HTTP/1.1\r\n\r\n"), ENDS},
    {"tls", BYTES("\26\3\1\0\4\1\0\0\0"), ENDS},
    {"version-alone", BYTES("\5"), ENDS},
    {"version-stall", BYTES("\5"), STALLS},
    {"version-reset", BYTES("\5"), RESETS},
    {"no-method", BYTES("\5\0" GOOD), ENDS},
    {"gssapi", BYTES("\5\1\1" GOOD), ENDS},
    {"unknown-methods", BYTES("\5\3\3\200\377" GOOD), ENDS},
    {"password-only", BYTES("\5\1\2"), ENDS},
    {"many-methods", BYTES("\5\7\6\5\4\3\2\1\0" GOOD), ENDS},
    {"methods-cut", BYTES("\5\377\0" GOOD), ENDS},
    {"methods-stall", BYTES("\5\5\0"), STALLS},
    /* SOCKS 5: the password */
    {"password-version", BYTES("\5\1\2\5\1a\1b"), ENDS},
    {"password-empty", BYTES("\5\1\2\1\0\0"), ENDS},
    {"password-cut", BYTES("\5\1\2\1\1a\5b"), ENDS},
    {"password-stall", BYTES("\5\1\2\1\1a"), STALLS},
    {"password-nul", BYTES("\5\1\2\1\1a\4b\0cd"), ENDS},
    {"password-line", BYTES("\5\1\2\1\1a\3b\nc"), ENDS},
    {"user-colon", BYTES("\5\1\2\1\3a:b\1c"), ENDS},
    /* SOCKS 5: the request */
    {"request-missing", BYTES(HELLO), ENDS},
    {"request-stall", BYTES(HELLO), STALLS},
    {"request-reset", BYTES(HELLO "\5\1"), RESETS},
    {"request-version", BYTES(HELLO "\4\1\0\1\177\0\0\1\0\1"), ENDS},
    {"request-dribble", BYTES(HELLO "\5\1\0\1\177\0\0\1\0\1"), DRIBBLES},
    {"command-0", BYTES(HELLO "\5\0\0\1\177\0\0\1\0\1"), ENDS},
    {"bind", BYTES(HELLO "\5\2\0\1\177\0\0\1\0\1"), ENDS},
    {"udp", BYTES(HELLO "\5\3\0\1\177\0\0\1\0\1"), ENDS},
    {"command-255", BYTES(HELLO "\5\377\0\1\177\0\0\1\0\1"), ENDS},
    {"reserved", BYTES(HELLO "\5\1\1\1\177\0\0\1\0\1"), ENDS},
    {"kind-0", BYTES(HELLO "\5\1\0\0\177\0\0\1\0\1"), ENDS},
    {"kind-2", BYTES(HELLO "\5\1\0\2\177\0\0\1\0\1"), ENDS},
    {"kind-5", BYTES(HELLO "\5\1\0\5\177\0\0\1\0\1"), ENDS},
    {"kind-255", BYTES(HELLO "\5\1\0\377\177\0\0\1\0\1"), ENDS},
    {"kind-flood", BYTES(HELLO "\5\1\0\5"), FLOODS},
    {"ipv4-cut", BYTES(HELLO "\5\1\0\1\177\0"), ENDS},
    {"ipv4-stall", BYTES(HELLO "\5\1\0\1\177\0"), STALLS},
    {"ipv6-cut", BYTES(HELLO "\5\1\0\4\0\0\0\0\0\0\0"), ENDS},
    {"port-missing", BYTES(HELLO "\5\1\0\1\177\0\0\1"), ENDS},
    {"port-cut", BYTES(HELLO "\5\1\0\1\177\0\0\1\0"), ENDS},
    {"port-stall", BYTES(HELLO "\5\1\0\1\177\0\0\1\0"), STALLS},
    {"port-0", BYTES(HELLO "\5\1\0\1\177\0\0\1\0\0"), ENDS},
    {"name-empty", BYTES(HELLO "\5\1\0\3\0\0\1"), ENDS},
    {"name-cut", BYTES(HELLO "\5\1\0\3\377localhost\0\1"), ENDS},
    {"name-stall", BYTES(HELLO "\5\1\0\3\377localhost"), STALLS},
    {"name-nul", BYTES(HELLO "\5\1\0\3\012localhost\0\0\1"), ENDS},
    {"name-line", BYTES(HELLO "\5\1\0\3\013a port 1: b\0\1"), ENDS},
    {"name-newline", BYTES(HELLO "\5\1\0\3\012local\nhost\0\1"), ENDS},
    {"name-escape", BYTES(HELLO "\5\1\0\3\004\033[2J\0\1"), ENDS},
    {"name-latin", BYTES(HELLO "\5\1\0\3\004m\374ll\0\1"), ENDS},
    {"name-long-label", BYTES(HELLO "\5\1\0\3\100" NAME_63 "a\0\1"), ENDS},
    {"name-longest",
     BYTES(HELLO "\5\1\0\3\377" NAME_63 "." NAME_63 "." NAME_63 "." NAME_63
                 "\0\1"),
     ENDS},
    /* HTTP: the request line */
    {"http-good", BYTES(TARGET FIELD "\r\n"), ENDS},
    {"http-dribble", BYTES(TARGET FIELD "\r\n"), DRIBBLES},
    {"http-get", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), ENDS},
    {"http-get-url",
     BYTES("GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"),
     ENDS},
    {"http-post",
     BYTES(
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 49\r\n\r\n" TARGET FIELD
         "\r\n"),
     ENDS},
    {"http-no-port", BYTES("CONNECT 127.0.0.1 HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-empty-port", BYTES("CONNECT 127.0.0.1: HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-port-0", BYTES("CONNECT 127.0.0.1:0 HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-port-65536",
     BYTES("CONNECT 127.0.0.1:65536 HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-port-65537",
     BYTES("CONNECT 127.0.0.1:65537 HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-port-letters",
     BYTES("CONNECT 127.0.0.1:1x HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-port-sign", BYTES("CONNECT 127.0.0.1:+1 HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-port-name",
     BYTES("CONNECT 127.0.0.1:http HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-no-host", BYTES("CONNECT :1 HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-url", BYTES("CONNECT http://127.0.0.1/ HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-open-bracket", BYTES("CONNECT [::1:1 HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-no-brackets", BYTES("CONNECT ::1:1 HTTP/1.1\r\n" FIELD "\r\n"),
     ENDS},
    {"http-no-target", BYTES("CONNECT HTTP/1.1\r\n" FIELD "\r\n"), ENDS},
    {"http-no-version", BYTES("CONNECT 127.0.0.1:1\r\n" FIELD "\r\n"), ENDS},
    {"http-version-2", BYTES("CONNECT 127.0.0.1:1 HTTP/2.0\r\n" FIELD "\r\n"),
     ENDS},
    {"http-version-letters",
     BYTES("CONNECT 127.0.0.1:1 HTTQ/1.1\r\n" FIELD "\r\n"), ENDS},
    /* HTTP: fields and ends */
    {"http-no-colon", BYTES(TARGET FIELD "no colon\r\n\r\n"), ENDS},
    {"http-blank-before-colon", BYTES(TARGET "Host : a\r\n\r\n"), ENDS},
    {"http-nul", BYTES(TARGET "Host: a\0b\r\n\r\n"), ENDS},
    {"http-cut", BYTES(TARGET FIELD), ENDS},
    {"http-stall", BYTES(TARGET FIELD), STALLS},
    {"http-reset", BYTES(TARGET), RESETS},
    {"http-letter-stall", BYTES("C"), STALLS},
    {"http-long", BYTES(TARGET "X: %"), PADS},
    {"http-long-line", BYTES("CONNECT %"), PADS},
    {"http-refused-flood", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), FLOODS},
};

static const struct face *find_face(const char *name) {
    for (size_t i = 0; i < sizeof faces / sizeof faces[0]; i++) {
        if (strcmp(faces[i].name, name) == 0)
            return &faces[i];
    }
    errx(2, "there is no face %s", name);
}

static int connect_to(const char *text) {
    struct sockaddr_in proxy = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)strtoul(text, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&proxy, sizeof proxy) < 0)
        err(1, "connect 127.0.0.1:%s", text);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Returns false when the proxy does not take more. */
static bool send_all(int fd, const void *bytes, size_t length) {
    const char *rest = bytes;
    while (length > 0) {
        ssize_t sent = send(fd, rest, length, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        rest += sent;
        length -= (size_t)sent;
    }
    return true;
}

static void send_by_bytes(int fd, const struct face *face) {
    for (size_t i = 0; i < face->length; i++) {
        if (!send_all(fd, face->bytes + i, 1))
            return;
        (void)usleep(DRIBBLE_US);
    }
}

static void send_letters(int fd, size_t count) {
    char *letters = malloc(count);
    if (letters == NULL)
        err(1, "malloc");
    memset(letters, 'a', count);
    (void)send_all(fd, letters, count);
    free(letters);
}

static _Noreturn void reset(int fd) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd);
    printf("reset\n");
    exit(0);
}

static void play(int fd, const struct face *face) {
    switch (face->manner) {
    case ENDS:
        (void)send_all(fd, face->bytes, face->length);
        (void)shutdown(fd, SHUT_WR);
        break;
    case STALLS:
        (void)send_all(fd, face->bytes, face->length);
        break;
    case DRIBBLES:
        send_by_bytes(fd, face);
        (void)shutdown(fd, SHUT_WR);
        break;
    case RESETS:
        (void)send_all(fd, face->bytes, face->length);
        reset(fd);
    case FLOODS:
        (void)send_all(fd, face->bytes, face->length);
        send_letters(fd, FLOOD_BYTES);
        (void)shutdown(fd, SHUT_WR);
        break;
    case PADS:
        (void)send_all(fd, face->bytes, face->length - 1);
        send_letters(fd, LONG_BYTES);
        (void)shutdown(fd, SHUT_WR);
        break;
    }
}

static void print_answer(char *answer, size_t length) {
    printf("got");
    if (strncmp(answer, "HTTP/", 5) != 0) {
        for (size_t i = 0; i < length; i++)
            printf(" %02x", (unsigned char)answer[i]);
        if (length == 0)
            printf(" nothing");
        return;
    }
    int replies = 0;
    const char *at = answer;
    while ((at = strstr(at, "HTTP/1.")) != NULL) {
        replies++;
        at++;
    }
    if (replies != 1)
        printf(" %d replies:", replies);
    printf(" %.*s", (int)strcspn(answer, "\r\n"), answer);
}

static void print_answers(int fd) {
    char answer[ANSWER_BYTES + 1];
    size_t length = 0;
    ssize_t count;
    do {
        count = recv(fd, answer + length, ANSWER_BYTES - length, 0);
        if (count > 0)
            length += (size_t)count;
    } while (count > 0);
    int error = errno;
    answer[length] = '\0';
    print_answer(answer, length);
    if (count < 0)
        printf(", then %s\n", strerror(error));
    else
        printf(", then end of stream\n");
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "faces") == 0) {
        for (size_t i = 0; i < sizeof faces / sizeof faces[0]; i++)
            puts(faces[i].name);
        return 0;
    }
    if (argc != 4 || strcmp(argv[1], "connect") != 0)
        errx(2, "usage: rude-socks connect FACE PORT | faces");
    const struct face *face = find_face(argv[2]);
    int fd = connect_to(argv[3]);
    play(fd, face);
    print_answers(fd);
    return 0;
}
