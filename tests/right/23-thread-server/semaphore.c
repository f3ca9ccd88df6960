/* A right answer in another style: semaphores count the free places and the
 * clients that wait, the queue is a linked list, and a signal handler writes
 * into a pipe that main polls beside the listener. The main thread accepts. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_THREADS = 100, NO_CLIENT = -1 };

/* The ends of the pipe. */
enum { READING, WRITING, ENDS };

struct node {
    int fd;
    struct node *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t free_places;
static sem_t waiting_clients;
static struct node *head;
static struct node *tail; /* the last one; only while head is not NULL */
static int served_fds[MOST_THREADS]; /* what each thread serves, or NO_CLIENT */
static int is_stopping;
static unsigned long served;
static unsigned long busy;
static int wake_pipe[ENDS];

static void wake_main(int signal_number) {
    int saved = errno;
    (void)signal_number;
    ssize_t written = write(wake_pipe[WRITING], "", 1);
    (void)written; /* if the pipe is full, main wakes up anyway */
    errno = saved;
}

/* Returns 0 and puts the number into *result, or returns -1. */
static int parse_number(const char *text, long least, long most, int *result) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return -1;
    long value = strtol(text, NULL, 10);
    if (value < least || value > most)
        return -1;
    *result = (int)value;
    return 0;
}

static void serve_client(int fd) {
    char bytes[700];
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0)
            return;
        ssize_t done = 0;
        while (done < got) {
            ssize_t sent = send(fd, bytes + done, (size_t)(got - done), 0);
            if (sent < 0)
                return;
            done += sent;
        }
    }
}

/* Puts the node at the end of the list. */
static void append(struct node *node) {
    pthread_mutex_lock(&mutex);
    if (head == NULL)
        head = node;
    else
        tail->next = node;
    tail = node;
    pthread_mutex_unlock(&mutex);
}

/* Waits for a client in the list, and takes it out. Puts its descriptor into
 * *served_fd. Returns 0, or -1 when we are to end. */
static int take_from_list(int *served_fd) {
    int result = sem_wait(&waiting_clients);
    while (result != 0) /* a signal has interrupted sem_wait */
        result = sem_wait(&waiting_clients);
    pthread_mutex_lock(&mutex);
    struct node *node = head;
    if (is_stopping || node == NULL) {
        pthread_mutex_unlock(&mutex);
        return -1;
    }
    head = node->next;
    *served_fd = node->fd;
    pthread_mutex_unlock(&mutex);
    free(node);
    sem_post(&free_places);
    return 0;
}

static void *run_worker(void *argument) {
    int *served_fd = argument;
    while (take_from_list(served_fd) == 0) {
        serve_client(*served_fd);
        pthread_mutex_lock(&mutex);
        close(*served_fd);
        *served_fd = NO_CLIENT;
        served++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void accept_client(int listener) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        perror("accept");
        usleep(20000);
        return;
    }
    if (sem_trywait(&free_places) != 0) {
        send(fd, "busy\n", 5, 0);
        close(fd);
        busy++;
        return;
    }
    struct node *node = malloc(sizeof *node);
    if (node == NULL)
        abort();
    node->fd = fd;
    node->next = NULL;
    append(node);
    sem_post(&waiting_clients);
}

static int start_listening(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind");
    if (listen(listener, 128) < 0)
        err(1, "listen");
    return listener;
}

static void announce_listener(int listener) {
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
        err(1, "getsockname");
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
}

/* Accepts clients until a signal comes. */
static void accept_clients(int listener) {
    for (;;) {
        struct pollfd fds[] = {
            {.fd = listener, .events = POLLIN},
            {.fd = wake_pipe[READING], .events = POLLIN},
        };
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents != 0)
            return;
        if (fds[0].revents != 0)
            accept_client(listener);
    }
}

static _Noreturn void usage(void) {
    fprintf(stderr, "usage: 23-thread-server -t THREADS -q PLACES PORT\n");
    exit(2);
}

int main(int argc, char **argv) {
    int threads;
    int places;
    int port;
    pthread_t ids[MOST_THREADS];
    if (argc != 6)
        usage();
    if (strcmp(argv[1], "-t") != 0 || strcmp(argv[3], "-q") != 0)
        usage();
    if (parse_number(argv[2], 1, MOST_THREADS, &threads) < 0)
        errx(1, "not a number of threads: %s", argv[2]);
    if (parse_number(argv[4], 1, 1000, &places) < 0)
        errx(1, "not a number of places: %s", argv[4]);
    if (parse_number(argv[5], 0, 65535, &port) < 0)
        errx(1, "not a port: %s", argv[5]);
    if (pipe(wake_pipe) < 0)
        err(1, "pipe");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, wake_main);
    signal(SIGINT, wake_main);
    sem_init(&free_places, 0, (unsigned)places);
    sem_init(&waiting_clients, 0, 0);
    int listener = start_listening(port);
    for (int i = 0; i < threads; i++) {
        served_fds[i] = NO_CLIENT;
        if (pthread_create(&ids[i], NULL, run_worker, &served_fds[i]) != 0)
            errx(1, "pthread_create");
    }
    announce_listener(listener);
    accept_clients(listener);

    pthread_mutex_lock(&mutex);
    is_stopping = 1;
    for (int i = 0; i < threads; i++) {
        if (served_fds[i] != NO_CLIENT)
            shutdown(served_fds[i], SHUT_RDWR);
    }
    pthread_mutex_unlock(&mutex);
    /* Wake up each thread that waits for a client. */
    for (int i = 0; i < threads; i++)
        sem_post(&waiting_clients);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    while (head != NULL) {
        struct node *next = head->next;
        close(head->fd);
        free(head);
        head = next;
    }
    close(listener);
    printf("%lu served, %lu busy\n", served, busy);
    if (fflush(stdout) == EOF)
        return 1;
    return 0;
}
