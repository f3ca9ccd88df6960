/* A right answer in another style: the queue is a pipe of descriptors, counted
 * by atomic variables. A thread in sigwait ends the others; all of them poll
 * what they wait for beside a descriptor that says when it is over. */
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
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int queue[2];
static int over;
static atomic_int waiting;
static atomic_ulong served;
static atomic_ulong busy;

/* Waits until fd is ready. Returns 0 when it is time to end. */
static int ready(int fd, short events) {
    for (;;) {
        struct pollfd both[] = {{.fd = over, .events = POLLIN},
                                {.fd = fd, .events = events}};
        int count = poll(both, 2, -1);
        if (count > 0 && both[0].revents != 0)
            return 0;
        if (count > 0)
            return 1;
    }
}

/* In small pieces. */
static void echo(int fd) {
    char piece[100];
    ssize_t got;
    while (ready(fd, POLLIN) && (got = recv(fd, piece, sizeof piece, 0)) > 0) {
        for (ssize_t done = 0; done < got;) {
            if (!ready(fd, POLLOUT))
                return;
            ssize_t sent = send(fd, piece + done, (size_t)(got - done),
                                MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent < 0 && errno != EAGAIN && errno != EINTR)
                return;
            if (sent > 0)
                done += sent;
        }
    }
}

static void *worker(void *unused) {
    static pthread_mutex_t one_reader = PTHREAD_MUTEX_INITIALIZER;
    int fd;
    for (;;) {
        pthread_mutex_lock(&one_reader);
        int goes_on = ready(queue[0], POLLIN) &&
                      read(queue[0], &fd, sizeof fd) == sizeof fd;
        pthread_mutex_unlock(&one_reader);
        if (!goes_on)
            return unused;
        atomic_fetch_sub(&waiting, 1);
        echo(fd);
        close(fd);
        atomic_fetch_add(&served, 1);
    }
}

static void *await_signal(void *set) {
    int number;
    sigwait(set, &number);
    eventfd_write(over, 1);
    return NULL;
}

static int parse(const char *text, unsigned least, unsigned most) {
    unsigned long long number;
    if (number_parse(text, least, most, &number) < 0)
        errx(1, "%s: not %u to %u", text, least, most);
    return (int)number;
}

int main(int argc, char **argv) {
    static pthread_t threads[101];
    const char *failed;
    sigset_t set;
    int fd;
    if (argc != 6 || strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0) {
        fputs("usage: 23-thread-server -t THREADS -q PLACES PORT\n", stderr);
        return 2;
    }
    int count = parse(argv[2], 1, 100);
    int places = parse(argv[4], 1, 1000);
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)parse(argv[5], 0, 65535)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    over = eventfd(0, 0);
    int listener =
        listener_open((struct sockaddr *)&own, sizeof own, 100, 0, &failed);
    if (listener < 0 || over < 0 || pipe(queue) < 0)
        err(1, "start");
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, worker, NULL) != 0)
            errx(1, "pthread_create");
    if (pthread_create(&threads[count], NULL, await_signal, &set) != 0)
        errx(1, "pthread_create");
    if (listener_announce(listener, &failed) < 0)
        err(1, "%s", failed);

    while (ready(listener, POLLIN)) {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            warn("accept");
            usleep(30000);
        } else if (atomic_load(&waiting) >= places) {
            (void)send(fd, "busy\n", 5, MSG_NOSIGNAL);
            close(fd);
            atomic_fetch_add(&busy, 1);
        } else {
            atomic_fetch_add(&waiting, 1);
            if (write(queue[1], &fd, sizeof fd) != sizeof fd)
                err(1, "write");
        }
    }
    for (int i = 0; i <= count; i++)
        pthread_join(threads[i], NULL);
    printf("%lu served, %lu busy\n", served, busy);
    return fclose(stdout) == EOF;
}
