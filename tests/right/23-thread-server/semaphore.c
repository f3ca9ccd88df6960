/* A right answer in another style: semaphores count the free places and the
 * clients that wait, the queue is a linked list, and a signal handler writes
 * into a pipe that main polls beside the listener. The main thread accepts. */
#define _GNU_SOURCE

#include <arpa/inet.h>
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

struct node {
    int fd;
    struct node *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sem_t free_places;
static sem_t waiting_clients;
static struct node *head;
static struct node **tail = &head;
static int in_service[100];
static int is_over;
static unsigned long served;
static unsigned long busy;
static int wake_pipe[2];

static void on_signal(int number) {
    int saved = errno;
    (void)number;
    (void)!write(wake_pipe[1], "", 1);
    errno = saved;
}

static int number(const char *text, long least, long most, int *result) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return -1;
    long value = strtol(text, NULL, 10);
    if (value < least || value > most)
        return -1;
    *result = (int)value;
    return 0;
}

static void serve(int fd) {
    char byte[700];
    ssize_t got;
    while ((got = read(fd, byte, sizeof byte)) > 0) {
        for (ssize_t done = 0; done < got;) {
            ssize_t more = send(fd, byte + done, (size_t)(got - done), 0);
            if (more < 0)
                return;
            done += more;
        }
    }
}

static void *work(void *argument) {
    int *mine = argument;
    for (;;) {
        while (sem_wait(&waiting_clients) != 0)
            ;
        pthread_mutex_lock(&mutex);
        struct node *node = head;
        if (is_over || node == NULL) {
            pthread_mutex_unlock(&mutex);
            return NULL;
        }
        head = node->next;
        if (head == NULL)
            tail = &head;
        int fd = *mine = node->fd;
        pthread_mutex_unlock(&mutex);
        sem_post(&free_places);
        free(node);
        serve(fd);
        pthread_mutex_lock(&mutex);
        *mine = -1;
        close(fd);
        served++;
        pthread_mutex_unlock(&mutex);
    }
}

static void take(int listener) {
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
    pthread_mutex_lock(&mutex);
    *tail = node;
    tail = &node->next;
    pthread_mutex_unlock(&mutex);
    sem_post(&waiting_clients);
}

int main(int argc, char **argv) {
    int threads;
    int places;
    int port;
    pthread_t ids[100];
    if (argc != 6 || strcmp(argv[1], "-t") || strcmp(argv[3], "-q")) {
        fprintf(stderr, "usage: 23-thread-server -t THREADS -q PLACES PORT\n");
        return 2;
    }
    if (number(argv[2], 1, 100, &threads) ||
        number(argv[4], 1, 1000, &places) || number(argv[5], 0, 65535, &port)) {
        fprintf(stderr, "not a number in its limits\n");
        return 1;
    }
    if (pipe(wake_pipe) != 0)
        return perror("pipe"), 1;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    sem_init(&free_places, 0, (unsigned)places);
    sem_init(&waiting_clients, 0, 0);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_port = htons((in_port_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&own, size) ||
        listen(listener, 128) ||
        getsockname(listener, (struct sockaddr *)&own, &size))
        return perror("listen"), 1;
    for (int i = 0; i < threads; i++) {
        in_service[i] = -1;
        if (pthread_create(&ids[i], NULL, work, &in_service[i]) != 0)
            return fprintf(stderr, "no thread\n"), 1;
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(own.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd two[] = {{.fd = listener, .events = POLLIN},
                               {.fd = wake_pipe[0], .events = POLLIN}};
        if (poll(two, 2, -1) < 0)
            continue;
        if (two[1].revents)
            break;
        if (two[0].revents)
            take(listener);
    }
    pthread_mutex_lock(&mutex);
    is_over = 1;
    for (int i = 0; i < threads; i++)
        if (in_service[i] >= 0)
            shutdown(in_service[i], SHUT_RDWR);
    pthread_mutex_unlock(&mutex);
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
    return fflush(stdout) == EOF;
}
