/* A right answer in another style: the queue is a pipe through which the
 * numbers of descriptors go, and atomic variables count. One thread waits in
 * sigwait. When a signal comes, it makes an eventfd readable. All other threads
 * poll this eventfd together with the descriptor that they wait for. */
#define _GNU_SOURCE

#include "listener.h"
#include "number.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* The ends of the pipe. */
enum { READING, WRITING, ENDS };

enum { MOST_THREADS = 100 };

static int queue[ENDS];
static int stop_event; /* an eventfd: readable when we are to end */
static atomic_int waiting;
static atomic_ulong served;
static atomic_ulong busy;

/* Returns 1 when fd is ready, or 0 when we are to end. */
static int wait_until_ready(int fd, short events) {
    for (;;) {
        struct pollfd both[] = {{.fd = stop_event, .events = POLLIN},
                                {.fd = fd, .events = events}};
        int count = poll(both, 2, -1);
        if (count > 0 && both[0].revents != 0)
            return 0;
        if (count > 0)
            return 1;
    }
}

/* Sends all the bytes. Returns 0, or -1 if the client has left or we are
 * stopping. */
static int send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        if (!wait_until_ready(fd, POLLOUT))
            return -1;
        ssize_t sent =
            send(fd, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (sent < 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

/* Sends the client back what it sends, in small pieces. */
static void echo(int fd) {
    char piece[100];
    for (;;) {
        if (!wait_until_ready(fd, POLLIN))
            return;
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            return;
        if (send_all(fd, piece, (size_t)got) < 0)
            return;
    }
}

/* Waits for a client in the queue, and takes it out. Returns its descriptor, or
 * -1 when we are to end. With the lock, only one thread at a time waits and
 * then reads. Otherwise several could see the same client, and all but one
 * would be stuck in read. */
static int take_from_queue(void) {
    static pthread_mutex_t reader_lock = PTHREAD_MUTEX_INITIALIZER;
    int fd = -1;
    pthread_mutex_lock(&reader_lock);
    if (wait_until_ready(queue[READING], POLLIN)) {
        if (read(queue[READING], &fd, sizeof fd) != sizeof fd)
            fd = -1;
    }
    pthread_mutex_unlock(&reader_lock);
    return fd;
}

static void *run_worker(void *unused) {
    for (;;) {
        int fd = take_from_queue();
        if (fd < 0)
            return unused;
        atomic_fetch_sub(&waiting, 1);
        echo(fd);
        close(fd);
        atomic_fetch_add(&served, 1);
    }
}

static void *wait_for_signal(void *signals) {
    int signal_number;
    sigwait(signals, &signal_number);
    eventfd_write(stop_event, 1);
    return NULL;
}

static int parse_number(const char *text, unsigned least, unsigned most) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s: not %u to %u", text, least, most);
    return (int)number;
}

static _Noreturn void usage(void) {
    fputs("usage: 23-thread-server -t THREADS -q PLACES PORT\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    static pthread_t threads[MOST_THREADS];
    pthread_t signal_thread;
    const char *failed;
    sigset_t signals;
    if (argc != 6)
        usage();
    if (strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0)
        usage();
    int count = parse_number(argv[2], 1, MOST_THREADS);
    int places = parse_number(argv[4], 1, 1000);
    int port = parse_number(argv[5], 0, 65535);
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    stop_event = eventfd(0, 0);
    if (stop_event < 0)
        err(1, "eventfd");
    if (pipe(queue) < 0)
        err(1, "pipe");
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, 100, 0, &failed);
    if (listener < 0)
        err(1, "%s", failed);
    for (int i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, run_worker, NULL) != 0)
            errx(1, "pthread_create");
    }
    if (pthread_create(&signal_thread, NULL, wait_for_signal, &signals) != 0)
        errx(1, "pthread_create");
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);

    while (wait_until_ready(listener, POLLIN)) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept");
            usleep(30000);
        } else if (atomic_load(&waiting) >= places) {
            (void)send(fd, "busy\n", 5, MSG_NOSIGNAL);
            close(fd);
            atomic_fetch_add(&busy, 1);
        } else {
            atomic_fetch_add(&waiting, 1);
            if (write(queue[WRITING], &fd, sizeof fd) != sizeof fd)
                err(1, "write");
        }
    }
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_join(signal_thread, NULL);
    printf("%lu served, %lu busy\n", served, busy);
    if (fclose(stdout) == EOF)
        return 1;
    return 0;
}
