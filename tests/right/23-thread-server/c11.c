/* A right answer in another style: the threads of C11, and a queue that is
 * moved up by one place when its first client is taken. The main thread waits
 * for signals by signalfd, and each worker has a timeout to look whether it is
 * to end. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <threads.h>
#include <unistd.h>

static struct {
    mtx_t lock;
    cnd_t changed;
    int *clients;
    int count;
    int places;
    int ends;
    long served;
    long busy;
} pool;

static int ends(void) {
    mtx_lock(&pool.lock);
    int result = pool.ends;
    mtx_unlock(&pool.lock);
    return result;
}

static void serve(int fd) {
    char bytes[5000];
    while (!ends()) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0)
            return;
        for (ssize_t sent = 0; sent < got && !ends();) {
            ssize_t part =
                send(fd, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
            if (part < 0 && errno != EAGAIN)
                return;
            if (part > 0)
                sent += part;
        }
    }
}

static int work(void *unused) {
    const struct timeval tenth = {.tv_usec = 100000};
    (void)unused;
    mtx_lock(&pool.lock);
    for (;;) {
        while (pool.count == 0 && !pool.ends)
            cnd_wait(&pool.changed, &pool.lock);
        if (pool.ends)
            break;
        int fd = pool.clients[0];
        pool.count--;
        memmove(pool.clients, pool.clients + 1,
                (size_t)pool.count * sizeof *pool.clients);
        mtx_unlock(&pool.lock);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tenth, sizeof tenth);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tenth, sizeof tenth);
        serve(fd);
        close(fd);
        mtx_lock(&pool.lock);
        pool.served++;
    }
    mtx_unlock(&pool.lock);
    return 0;
}

static void admit(int fd) {
    int is_full;
    mtx_lock(&pool.lock);
    is_full = pool.count == pool.places;
    if (!is_full)
        pool.clients[pool.count++] = fd;
    else
        pool.busy++;
    mtx_unlock(&pool.lock);
    cnd_broadcast(&pool.changed);
    if (is_full) {
        dprintf(fd, "busy\n");
        close(fd);
    }
}

static int limited(const char *text, int least, int most) {
    char *end;
    long number = strtol(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < least ||
        number > most)
        errx(1, "bad number %s", text);
    return (int)number;
}

int main(int argc, char **argv) {
    thrd_t threads[100];
    sigset_t set;
    if (argc != 6 || strcmp(argv[1], "-t") || strcmp(argv[3], "-q")) {
        fprintf(stderr, "usage: %s -t THREADS -q PLACES PORT\n", argv[0]);
        exit(2);
    }
    int count = limited(argv[2], 1, 100);
    pool.places = limited(argv[4], 1, 1000);
    int port = limited(argv[5], 0, 65535);
    pool.clients = calloc((size_t)pool.places, sizeof *pool.clients);
    mtx_init(&pool.lock, mtx_plain);
    cnd_init(&pool.changed);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t length = sizeof own;
    if (bind(listener, (struct sockaddr *)&own, length) < 0 ||
        listen(listener, 50) < 0 ||
        getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "port %d", port);
    for (int i = 0; i < count; i++)
        if (thrd_create(&threads[i], work, NULL) != thrd_success)
            errx(1, "thrd_create");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{listener, POLLIN, 0}, {signals, POLLIN, 0}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            break;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            admit(fd);
        } else {
            warn("accept");
            usleep(10000);
        }
    }
    mtx_lock(&pool.lock);
    pool.ends = 1;
    mtx_unlock(&pool.lock);
    cnd_broadcast(&pool.changed);
    for (int i = 0; i < count; i++)
        thrd_join(threads[i], NULL);
    for (int i = 0; i < pool.count; i++)
        close(pool.clients[i]);
    free(pool.clients);
    printf("%ld served, %ld busy\n", pool.served, pool.busy);
    return 0;
}
