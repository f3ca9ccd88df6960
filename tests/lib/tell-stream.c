/*
 * tell-stream: what the functions of common/stream make of what they are given.
 *
 *     tell-stream [-b] PIECE... -- READ...
 *     tell-stream -w LENGTH TAKEN [SIGNALS]
 *
 * Each PIECE is sent by one send(2), and returned by one recv(2), because the
 * socket keeps messages apart (SOCK_SEQPACKET). With -b it is a byte stream, as
 * TCP is. `\n`, `\0` and `\\` in a PIECE mean what they mean in C. Each READ is
 * `line:LIMIT` or `exactly:LENGTH`. For each we print a line: the result, the
 * length, the number of recv calls so far, and the bytes.
 *
 * -w sends LENGTH bytes to a reader that reads TAKEN of them and exits, and
 * prints how many bytes were sent. With SIGNALS the sender gets a signal each
 * millisecond, and the reader begins when there have been SIGNALS of them.
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

static volatile sig_atomic_t signals_to; /* a pipe to the reader */

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

/* Writes the bytes that the text means. Returns how many. */
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
    size_t length = 12345; /* must be overwritten */
    char *bytes = room(limit);
    bytes[limit] = '#'; /* must not be overwritten */
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
    size_t i = 0;
    while (argument[i] != NULL && strcmp(argument[i], "--") != 0) {
        send_piece(ends[1], argument[i]);
        i++;
    }
    if (argument[i] == NULL)
        usage();
    (void)close(ends[1]);
    struct stream stream = {.fd = ends[0]};
    for (i++; argument[i] != NULL; i++)
        read_one(&stream, argument[i]);
    (void)close(ends[0]);
}

/* The handler: writes a byte to the reader. */
static void report_signal(int signal_number) {
    int saved = errno;
    (void)signal_number;
    if (write((int)signals_to, "", 1) < 0)
        _exit(1);
    errno = saved;
}

static void start_signals(int pipe_end) {
    struct sigaction action = {.sa_handler = report_signal};
    struct itimerval when = {{0, 1000}, {0, 1000}};
    signals_to = pipe_end;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGALRM, &action, NULL) < 0)
        err(1, "sigaction");
    if (setitimer(ITIMER_REAL, &when, NULL) < 0)
        err(1, "setitimer");
}

/* The reader's process. It exits with status 0 if all bytes arrived as they
 * were sent. */
static _Noreturn void read_bytes(int fd, size_t wanted, int signals,
                                 size_t signal_count) {
    char bytes[4096];
    size_t taken = 0;
    for (size_t i = 0; i < signal_count; i++)
        if (read(signals, bytes, 1) != 1)
            _exit(1);
    while (taken < wanted) {
        size_t most = wanted - taken;
        if (most > sizeof bytes)
            most = sizeof bytes;
        ssize_t received = recv(fd, bytes, most, 0);
        if (received < 0)
            _exit(1);
        if (received == 0)
            break;
        for (ssize_t i = 0; i < received; i++) {
            if (bytes[i] != (char)(taken % PATTERN))
                _exit(1);
            taken++;
        }
    }
    _exit(0);
}

static void tell_write(size_t length, size_t taken, size_t signals) {
    int ends[2];
    int notes[2];
    int status;
    size_t sent = 12345; /* must be overwritten */
    const struct itimerval never = {0};
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
        read_bytes(ends[1], taken, notes[0], signals);
    }
    (void)close(ends[1]);
    if (signals > 0)
        start_signals(notes[1]);
    int result = stream_write_all(ends[0], bytes, length, &sent);
    int saved = errno;
    (void)setitimer(ITIMER_REAL, &never, NULL);
    (void)close(ends[0]);
    if (waitpid(reader, &status, 0) < 0)
        err(1, "waitpid");
    (void)printf("%d %zu", result, sent);
    if (result < 0)
        (void)printf(" %s", strerror(saved));
    (void)printf("\n");
    if (status != 0)
        errx(1, "what arrived is not what was sent");
    free(bytes);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "-w") == 0)
        tell_write(number(argv[2]), number(argv[3]), 0);
    else if (argc == 5 && strcmp(argv[1], "-w") == 0)
        tell_write(number(argv[2]), number(argv[3]), number(argv[4]));
    else if (argc >= 3 && strcmp(argv[1], "-b") == 0)
        tell_reads(SOCK_STREAM, argv + 2);
    else if (argc >= 2)
        tell_reads(SOCK_SEQPACKET, argv + 1);
    else
        usage();
    return fflush(stdout) == EOF ? 1 : 0;
}
