/*
 * tell-stream: what the functions of common/stream make of what they are given.
 *
 *     tell-stream [-b] PIECE... -- READ...
 *     tell-stream -w LENGTH TAKEN [SIGNALS]
 *
 * Each PIECE is what one recv(2) gives, because the socket is of the kind that
 * keeps messages apart (SOCK_SEQPACKET); with -b it is one for bytes, as TCP's
 * are. `\n`, `\0` and `\\` in a PIECE mean what they mean in C. Each READ is
 * `line:LIMIT` or `exactly:LENGTH`, and prints a line: the result, the length,
 * the recv calls so far, and the bytes.
 *
 * -w sends LENGTH bytes to a reader that takes TAKEN of them and goes, and says
 * how far it came. The reader begins when SIGNALS signals, one a millisecond,
 * have come to the sender.
 */
#define _GNU_SOURCE

#include "stream.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LARGEST = 1 << 24, /* number on our command line */
    PATTERN = 251,     /* bytes after which what is sent begins again */
};

static volatile sig_atomic_t signals_to; /* where the reader hears of them */

static _Noreturn void usage(void) {
    fputs("usage: tell-stream [-b] PIECE... -- READ...\n"
          "       tell-stream -w LENGTH TAKEN [SIGNALS]\n",
          stderr);
    exit(2);
}

static size_t number(const char *text) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > LARGEST)
        usage();
    return value;
}

static char *room(size_t length) {
    char *bytes = malloc(length + 1);
    if (bytes == NULL)
        err(1, "malloc");
    return bytes;
}

/* What the text means goes to bytes, which has room; returns its length. */
static size_t decode(const char *text, char *bytes) {
    size_t length = 0;
    for (; *text != '\0'; text++) {
        bytes[length] = *text;
        if (*text == '\\' && text[1] != '\0') {
            text++;
            bytes[length] = *text;
            if (*text == 'n')
                bytes[length] = '\n';
            if (*text == '0')
                bytes[length] = '\0';
        }
        length++;
    }
    return length;
}

static void encode(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            (void)fputs("\\n", stdout);
        else if (bytes[i] == '\0')
            (void)fputs("\\0", stdout);
        else if (bytes[i] == '\\')
            (void)fputs("\\\\", stdout);
        else
            (void)putchar(bytes[i]);
    }
}

static void send_piece(int fd, const char *text) {
    char *bytes = room(strlen(text));
    size_t length = decode(text, bytes);
    if (send(fd, bytes, length, MSG_DONTWAIT) != (ssize_t)length)
        err(1, "send");
    free(bytes);
}

/* One READ, and the line about it. */
static void read_one(struct stream *stream, const char *read) {
    static const char *const results[] = {
        [STREAM_OK] = "OK",
        [STREAM_LINE] = "LINE",
        [STREAM_END] = "END",
        [STREAM_CUT] = "CUT",
        [STREAM_TOO_LONG] = "TOO_LONG",
        [STREAM_ERROR] = "ERROR",
    };
    const char *colon = strchr(read, ':');
    if (colon == NULL)
        usage();
    size_t limit = number(colon + 1);
    size_t length = 12345; /* to be overwritten */
    char *bytes = room(limit);
    bytes[limit] = '#'; /* not to be */
    enum stream_result result =
        strncmp(read, "line:", 5) == 0
            ? stream_read_line(stream, bytes, limit, &length)
            : stream_read_exactly(stream, bytes, limit, &length);
    int saved = errno;
    (void)printf("%s %zu %lu%s", results[result], length, stream->receives,
                 length > 0 ? " " : "");
    encode(bytes, length);
    if (result == STREAM_ERROR)
        (void)printf(" (%s)", strerror(saved));
    (void)printf("%s\n", bytes[limit] == '#' ? "" : " and a byte too far");
    free(bytes);
}

static void tell_reads(int type, char **argument) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        err(1, "socketpair");
    for (; *argument != NULL && strcmp(*argument, "--") != 0; argument++)
        send_piece(ends[1], *argument);
    if (*argument == NULL)
        usage();
    (void)close(ends[1]);
    struct stream stream = {.fd = ends[0]};
    while (*++argument != NULL)
        read_one(&stream, *argument);
    (void)close(ends[0]);
}

static void note(int signal_number) {
    int saved = errno;
    (void)signal_number;
    if (write((int)signals_to, "", 1) < 0)
        _exit(1);
    errno = saved;
}

static void ring_each_millisecond(int where) {
    struct sigaction action = {.sa_handler = note};
    struct itimerval when = {{0, 1000}, {0, 1000}};
    signals_to = where;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        setitimer(ITIMER_REAL, &when, NULL) < 0)
        err(1, "setitimer");
}

/* The reader's process: its status is 0 when all was as it was sent. */
static _Noreturn void take_bytes(int fd, size_t wanted, int signals,
                                 size_t how_many) {
    char bytes[4096];
    size_t taken = 0;
    ssize_t received = 1;
    while (how_many-- > 0)
        if (read(signals, bytes, 1) != 1)
            _exit(1);
    while (taken < wanted && received > 0) {
        size_t most = wanted - taken;
        received =
            recv(fd, bytes, most < sizeof bytes ? most : sizeof bytes, 0);
        for (ssize_t i = 0; i < received; i++)
            if (bytes[i] != (char)(taken++ % PATTERN))
                _exit(1);
    }
    _exit(received < 0);
}

static void tell_write(size_t length, size_t taken, size_t signals) {
    int ends[2];
    int notes[2];
    int status;
    size_t sent = 12345; /* to be overwritten */
    char *bytes = room(length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)(i % PATTERN);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0 || pipe(notes) < 0)
        err(1, "socketpair");
    pid_t reader = fork();
    if (reader < 0)
        err(1, "fork");
    if (reader == 0) {
        (void)close(ends[0]);
        take_bytes(ends[1], taken, notes[0], signals);
    }
    (void)close(ends[1]);
    if (signals > 0)
        ring_each_millisecond(notes[1]);
    int result = stream_write_all(ends[0], bytes, length, &sent);
    int saved = errno;
    (void)setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    (void)close(ends[0]);
    if (waitpid(reader, &status, 0) < 0)
        err(1, "waitpid");
    (void)printf("%d %zu%s%s\n", result, sent, result < 0 ? " " : "",
                 result < 0 ? strerror(saved) : "");
    if (status != 0)
        errx(1, "what arrived is not what was sent");
    free(bytes);
}

int main(int argc, char **argv) {
    if (argc >= 4 && argc <= 5 && strcmp(argv[1], "-w") == 0)
        tell_write(number(argv[2]), number(argv[3]),
                   argc == 5 ? number(argv[4]) : 0);
    else if (argc >= 3 && strcmp(argv[1], "-b") == 0)
        tell_reads(SOCK_STREAM, argv + 2);
    else if (argc >= 2)
        tell_reads(SOCK_SEQPACKET, argv + 1);
    else
        usage();
    return fflush(stdout) == EOF;
}
