/*
 * 20-sendfile: send a file to each client, without reading it.
 *
 * Shows that sendfile(2) moves bytes from a file to a socket inside the kernel,
 * so they never come into our program. A client gets a line with the length of
 * the file in bytes, and then these bytes. If they cannot all be sent, it gets
 * a reset, and never an answer that looks whole.
 *
 * usage: 20-sendfile [-c] FILE PORT      (0: any free port)
 *
 * With -c it copies: it reads each piece into memory, and sends it from there.
 * It does the same for a file that sendfile cannot read, such as a pipe. A pipe
 * has no length, so the line is "unknown", and the end of the stream is the end
 * of the bytes.
 *
 * Left out: several clients at the same time, which the exercise adds, and a
 * deadline (lesson 07). A client that reads nothing keeps its turn for ever.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "listener.h"
#include "number.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 65536, /* copied at once; any size works */
    BACKLOG = 128,
    LARGEST_PORT = 65535,
    PAUSE_NANOSECONDS = 100 * 1000 * 1000, /* after an accept that failed */
    HEADER_BYTES = 32,                     /* for a number and a newline */
};

enum { UNKNOWN = -1 }; /* a length, if the file has none */

/* What sendfile sends in one call at the most: sendfile(2). We never ask for
 * more. */
static const size_t most_in_a_call = 0x7ffff000;

struct file {
    const char *name;
    int fd;
    int is_copied; /* by read and send, and not by sendfile */
};

/* One answer to one client, and how far we are with it. */
struct answer {
    int fd; /* the client's */
    const char *client;
    const struct file *file;
    off_t length; /* what we have announced; or UNKNOWN */
    off_t offset; /* where the next byte is: so many bytes are sent already */
    unsigned long calls; /* how many we made for the bytes of the file */
    const char *names_of_calls;
};

enum outcome {
    COMPLETE,    /* all that was announced is sent */
    CUT_SHORT,   /* the file ended before that */
    STOPPED,     /* the server is to end */
    UNSUPPORTED, /* sendfile cannot read such a file, and has sent nothing */
    FAILED,      /* a call failed, and we have printed why */
};

/* Set by the signal handler: the server is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 20-sendfile [-c] FILE PORT\n", out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
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

/* If 1 or 2 were closed, a file or a socket would get that number: see lesson
 * 01. */
static void require_output(void) {
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The signal handler. It asks for another signal, because this one may arrive
 * just before a call sleeps, and then it interrupts nothing: see lesson 02. */
static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

/* These calls fail only for a signal number that does not exist. */
static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
    /* When a client has left, sendfile must fail, and not kill us. It has
     * no flag MSG_NOSIGNAL, so we ignore the signal everywhere. */
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Opens the file, once for all clients. If it is a named pipe, this waits until
 * another program opens the pipe for writing. */
static void open_file(struct file *file) {
    struct stat status;
    file->fd = open(file->name, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        err(1, "open %s", file->name);
    if (fstat(file->fd, &status) < 0)
        err(1, "fstat %s", file->name);
    if (S_ISDIR(status.st_mode))
        errx(1, "%s is a folder", file->name);
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

/* Sends all the bytes, with these flags of send(2). Returns 0, or -1 and errno;
 * EINTR means that the server is to end. */
static int send_all(struct answer *answer, const char *bytes, size_t length,
                    int flags) {
    size_t done = 0;
    while (done < length) {
        ssize_t sent = send(answer->fd, bytes + done, length - done, flags);
        answer->calls++;
        if (sent < 0 && errno == EINTR && !stopping)
            continue; /* this signal does not stop us: try again */
        if (sent < 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

/* Returns the outcome when this call has failed, and says why it failed. Only a
 * signal that stops the server is no failure: then the outcome is STOPPED.
 * report_failure must come right after the call, while errno has its reason. */
static enum outcome report_failure(const struct answer *answer,
                                   const char *call) {
    if (errno == EINTR)
        return STOPPED;
    warn("%s %s to %s", call, answer->file->name, answer->client);
    return FAILED;
}

/* Finds out how long the file is now, and says so in the first line. */
static enum outcome send_header(struct answer *answer) {
    char header[HEADER_BYTES] = "unknown\n";
    int flags = 0;
    struct stat status;
    if (fstat(answer->file->fd, &status) < 0)
        return report_failure(answer, "fstat");
    answer->length = UNKNOWN;
    if (S_ISREG(status.st_mode)) {
        answer->length = status.st_size;
        (void)snprintf(header, sizeof header, "%lld\n",
                       (long long)answer->length);
    }
    /* More bytes follow at once, so the kernel need not send a segment for this
     * line alone: send(2). When none follow, it should not wait for them. */
    if (answer->length > 0)
        flags = MSG_MORE;
    if (send_all(answer, header, strlen(header), flags) < 0)
        return report_failure(answer, "send");
    return COMPLETE;
}

/* Returns how many bytes are still to be sent, but not more than most. If the
 * length is unknown, there may be any number of them, and it returns most. */
static size_t bytes_left(const struct answer *answer, size_t most) {
    if (answer->length == UNKNOWN)
        return most;
    unsigned long long left =
        (unsigned long long)(answer->length - answer->offset);
    if (left > most)
        return most;
    return (size_t)left;
}

/* What the end of the file means: it is an error, if it comes before the last
 * byte that we have announced. */
static enum outcome judge_end_of_file(const struct answer *answer) {
    if (answer->length != UNKNOWN && answer->offset < answer->length)
        return CUT_SHORT;
    return COMPLETE;
}

/* With these errors sendfile says that the file is of a kind that it cannot
 * read: sendfile(2). ESPIPE is that of a pipe, which has no offset. */
static int is_wrong_kind(int error) {
    return error == EINVAL || error == ENOSYS || error == ESPIPE;
}

/* Lets the kernel send the bytes. sendfile may send less than we ask for, so it
 * is a loop. It moves our offset forward by what it has sent. */
static enum outcome send_by_sendfile(struct answer *answer) {
    answer->calls = 0;
    answer->names_of_calls = "sendfile";
    while (!stopping) {
        size_t count = bytes_left(answer, most_in_a_call);
        if (count == 0)
            return COMPLETE;
        ssize_t sent =
            sendfile(answer->fd, answer->file->fd, &answer->offset, count);
        answer->calls++;
        if (sent < 0 && errno == EINTR)
            continue; /* look at `stopping` */
        if (sent < 0 && is_wrong_kind(errno) && answer->offset == 0)
            return UNSUPPORTED;
        if (sent < 0)
            return report_failure(answer, "sendfile");
        if (sent == 0)
            return judge_end_of_file(answer);
    }
    return STOPPED;
}

/* Reads the next piece. A file with a length is read at our offset: all clients
 * share one descriptor, so they would share its offset. A pipe has none. */
static ssize_t read_piece(struct answer *answer, char *piece, size_t count) {
    answer->calls++;
    if (answer->length == UNKNOWN)
        return read(answer->file->fd, piece, count);
    return pread(answer->file->fd, piece, count, answer->offset);
}

/* Sends the bytes by copying: we read each piece of the file into our memory,
 * and send it from there. */
static enum outcome send_by_copying(struct answer *answer) {
    char piece[PIECE_BYTES];
    answer->calls = 0;
    answer->names_of_calls = "read and send";
    while (!stopping) {
        size_t count = bytes_left(answer, sizeof piece);
        if (count == 0)
            return COMPLETE;
        ssize_t got = read_piece(answer, piece, count);
        if (got < 0 && errno == EINTR)
            continue; /* look at `stopping` */
        if (got < 0)
            return report_failure(answer, "read");
        if (got == 0)
            return judge_end_of_file(answer);
        if (send_all(answer, piece, (size_t)got, 0) < 0)
            return report_failure(answer, "send");
        answer->offset += got;
    }
    return STOPPED;
}

static enum outcome send_answer(struct answer *answer) {
    enum outcome outcome = send_header(answer);
    if (outcome != COMPLETE)
        return outcome;
    if (answer->file->is_copied)
        return send_by_copying(answer);
    outcome = send_by_sendfile(answer);
    if (outcome == UNSUPPORTED)
        return send_by_copying(answer);
    return outcome;
}

/* Makes the coming close send a reset and not a normal end: lesson 06. If this
 * fails, the client has left already. */
static void ask_for_reset(int fd) {
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/* If the report cannot be printed, we go on serving. At the end, main says that
 * a line is missing. */
static void report_complete(const struct answer *answer) {
    int printed = printf("%s: %lld bytes; calls of %s: %lu\n", answer->client,
                         (long long)answer->offset, answer->names_of_calls,
                         answer->calls);
    if (printed < 0)
        warn("standard output");
}

static void report_cut_short(const struct answer *answer) {
    warnx("%s: %s ended after %lld of %lld bytes", answer->client,
          answer->file->name, (long long)answer->offset,
          (long long)answer->length);
}

/* Sends one client its answer, and closes its descriptor. */
static void serve_client(int fd, const struct sockaddr_in *peer,
                         const struct file *file) {
    char name[ADDR_TEXT_BYTES];
    (void)addr_format((const struct sockaddr *)peer, sizeof *peer, name);
    struct answer answer = {.fd = fd, .client = name, .file = file};
    enum outcome outcome = send_answer(&answer);
    if (outcome == COMPLETE)
        report_complete(&answer);
    if (outcome == CUT_SHORT)
        report_cut_short(&answer);
    if (outcome != COMPLETE)
        ask_for_reset(fd);
    if (close(fd) < 0)
        warn("close %s", answer.client);
}

/* Takes one client after another, until the server is to end. After an accept
 * that failed, it waits a moment: see lesson 02. */
static void serve(int listener, const struct file *file) {
    const struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};

    while (!stopping) {
        struct sockaddr_in peer = {0};
        socklen_t length = sizeof peer;
        int fd =
            accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve_client(fd, &peer, file);
        } else if (errno != EINTR) {
            warn("accept");
            (void)nanosleep(&pause, NULL); /* a signal may end it earlier */
        }
    }
}

int main(int argc, char **argv) {
    struct file file = {0};
    for (;;) {
        int option = getopt(argc, argv, "+hc");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 'c')
            file.is_copied = 1;
        else
            usage(stderr, 2);
    }
    if (optind != argc - 2)
        usage(stderr, 2);
    file.name = argv[optind];
    in_port_t port = parse_port(argv[optind + 1]);

    require_output();
    /* Before catch_signals, so that Ctrl-C ends us also while open waits. */
    open_file(&file);
    catch_signals();
    /* Print each line at once, also into a file or a pipe. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    int listener = listen_on(port);
    serve(listener, &file);
    if (close(listener) < 0)
        err(1, "close");
    if (close(file.fd) < 0)
        err(1, "close %s", file.name);
    /* If a report could not be printed, we went on, but it is an error. */
    if (ferror(stdout))
        errx(1, "standard output: not every line could be written");
    return 0;
}
