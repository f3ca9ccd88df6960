/* A right answer in another style: the threads of C11, and a queue that is
 * moved up by one place when its first client is taken. The main thread waits
 * for signals by signalfd, and each worker has a timeout to look whether it is
 * to end. */
#define _GNU_SOURCE

#include <ctype.h>
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

enum { MOST_THREADS = 100 };

static struct {
    mtx_t lock;
    cnd_t changed;
    int *queue; /* the clients that wait, the first of them at index 0 */
    int count;  /* how many wait */
    int places;
    int is_stopping;
    long served;
    long busy;
} pool;

static int is_stopping(void) {
    mtx_lock(&pool.lock);
    int result = pool.is_stopping;
    mtx_unlock(&pool.lock);
    return result;
}

/* Sends all the bytes. Returns 0, or -1 if the client has left or we are
 * stopping. */
static int send_all(int fd, const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        if (is_stopping())
            return -1;
        ssize_t sent = send(fd, bytes + done, length - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            continue; /* the timeout: look at is_stopping */
        if (sent < 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

static void serve_client(int fd) {
    char bytes[5000];
    while (!is_stopping()) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            continue; /* the timeout: look at is_stopping */
        if (got <= 0)
            return;
        if (send_all(fd, bytes, (size_t)got) < 0)
            return;
    }
}

/* Waits for a client in the queue, and takes it out. Returns its descriptor, or
 * -1 when we are to end. */
static int take_from_queue(void) {
    int fd = -1;
    mtx_lock(&pool.lock);
    while (pool.count == 0 && !pool.is_stopping)
        cnd_wait(&pool.changed, &pool.lock);
    if (!pool.is_stopping) {
        fd = pool.queue[0];
        pool.count--;
        size_t bytes_left = (size_t)pool.count * sizeof *pool.queue;
        memmove(&pool.queue[0], &pool.queue[1], bytes_left);
    }
    mtx_unlock(&pool.lock);
    return fd;
}

static int run_worker(void *unused) {
    const struct timeval tenth = {.tv_usec = 100000}; /* of a second */
    (void)unused;
    for (;;) {
        int fd = take_from_queue();
        if (fd < 0)
            return 0;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tenth, sizeof tenth);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tenth, sizeof tenth);
        serve_client(fd);
        close(fd);
        mtx_lock(&pool.lock);
        pool.served++;
        mtx_unlock(&pool.lock);
    }
}

/* Puts the client into the queue, or refuses it if the queue is full. */
static void admit_client(int fd) {
    mtx_lock(&pool.lock);
    int is_full = pool.count == pool.places;
    if (is_full) {
        pool.busy++;
    } else {
        pool.queue[pool.count] = fd;
        pool.count++;
    }
    mtx_unlock(&pool.lock);
    cnd_broadcast(&pool.changed);
    if (is_full) {
        dprintf(fd, "busy\n");
        close(fd);
    }
}

static void accept_client(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) {
        admit_client(fd);
    } else {
        warn("accept");
        usleep(10000);
    }
}

static int parse_number(const char *text, int least, int most) {
    char *end;
    /* strtol would also accept a blank or a sign in front of the digits. */
    if (!isdigit((unsigned char)text[0]))
        errx(1, "bad number %s", text);
    long number = strtol(text, &end, 10);
    if (*end != '\0')
        errx(1, "bad number %s", text);
    if (number < least || number > most)
        errx(1, "bad number %s", text);
    return (int)number;
}

static int start_listening(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind to port %d", port);
    if (listen(listener, 50) < 0)
        err(1, "listen at port %d", port);
    return listener;
}

static void announce_listener(int listener) {
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &length) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
}

static _Noreturn void usage(const char *program) {
    fprintf(stderr, "usage: %s -t THREADS -q PLACES PORT\n", program);
    exit(2);
}

int main(int argc, char **argv) {
    thrd_t threads[MOST_THREADS];
    sigset_t set;
    if (argc != 6)
        usage(argv[0]);
    if (strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0)
        usage(argv[0]);
    int count = parse_number(argv[2], 1, MOST_THREADS);
    pool.places = parse_number(argv[4], 1, 1000);
    int port = parse_number(argv[5], 0, 65535);
    pool.queue = calloc((size_t)pool.places, sizeof *pool.queue);
    mtx_init(&pool.lock, mtx_plain);
    cnd_init(&pool.changed);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, 0);
    int listener = start_listening(port);
    for (int i = 0; i < count; i++) {
        if (thrd_create(&threads[i], run_worker, NULL) != thrd_success)
            errx(1, "thrd_create");
    }
    announce_listener(listener);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = listener, .events = POLLIN},
            {.fd = signals, .events = POLLIN},
        };
        poll(fds, 2, -1);
        if (fds[1].revents != 0)
            break;
        accept_client(listener);
    }
    mtx_lock(&pool.lock);
    pool.is_stopping = 1;
    mtx_unlock(&pool.lock);
    cnd_broadcast(&pool.changed);
    for (int i = 0; i < count; i++)
        thrd_join(threads[i], NULL);
    for (int i = 0; i < pool.count; i++)
        close(pool.queue[i]);
    free(pool.queue);
    printf("%ld served, %ld busy\n", pool.served, pool.busy);
    return 0;
}
