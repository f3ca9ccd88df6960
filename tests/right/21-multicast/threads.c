/*
 * A right answer with a thread for each answer, so that the pause before one
 * answer does not delay the others. It waits with SO_RCVTIMEO, and ends in its
 * signal handler.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    LINE_BYTES = 64,
    MOST_LINES = 100,
    SECONDS_A_DAY = 86400,
    LONGEST_PAUSE_MS = 200,
};

static void quit(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static _Noreturn void usage(void) {
    fputs("usage: 21-multicast ask|offer ...\n", stderr);
    exit(2);
}

/* Reads a port from the length bytes at text: 1 to 65535. Returns the port, or
 * -1 if there is none. */
static int parse_port(const char *text, size_t length) {
    int port = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        int digit = text[i] - '0';
        port = port * 10 + digit;
        if (port > LARGEST_PORT)
            return -1;
    }
    if (port == 0)
        return -1;
    return port;
}

/* Returns the time of a clock that nobody can set, in seconds. */
static double now(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What a thread answers, and to which address. */
struct task {
    int fd;
    struct sockaddr_in to;
    char text[100];
};

static void *answer_later(void *argument) {
    struct task *task = argument;
    long milliseconds = random() % LONGEST_PAUSE_MS;
    (void)usleep((useconds_t)milliseconds * 1000);
    (void)sendto(task->fd, task->text, strlen(task->text), 0, (void *)&task->to,
                 sizeof task->to);
    free(task);
    return NULL;
}

/* Makes the next recvfrom wait no longer than until this time. Returns 0 if the
 * time is over already, and otherwise 1. */
static int set_timeout(int fd, double end_of_time) {
    double left = end_of_time - now();
    if (left <= 0)
        return 0;
    struct timeval time = {.tv_sec = (time_t)left};
    double fraction = left - (double)time.tv_sec;
    /* 1 more, because a timeout of 0 would mean: wait for ever. */
    time.tv_usec = (suseconds_t)(fraction * 1e6) + 1;
    if (time.tv_usec > 999999)
        time.tv_usec = 999999;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) < 0)
        err(1, "SO_RCVTIMEO");
    return 1;
}

/* Inserts the line at its place in the order of the alphabet, unless the line
 * is there already, or the list is full. */
static void insert(char lines[][LINE_BYTES], size_t *count,
                   const char line[LINE_BYTES]) {
    size_t place = 0;
    if (*count == MOST_LINES)
        return;
    while (place < *count && strcmp(lines[place], line) < 0)
        place++;
    if (place < *count && strcmp(lines[place], line) == 0)
        return;
    size_t lines_behind = *count - place;
    memmove(lines[place + 1], lines[place], lines_behind * LINE_BYTES);
    memcpy(lines[place], line, LINE_BYTES);
    *count = *count + 1;
}

/* Reads the port from the answer "NAME PORT". Returns -1 if the length bytes at
 * text are something else. */
static int parse_answer(const char *text, size_t length, const char *name) {
    size_t name_length = strlen(name);
    if (length <= name_length)
        return -1;
    if (memcmp(text, name, name_length) != 0)
        return -1;
    if (text[name_length] != ' ')
        return -1;
    size_t begin = name_length + 1; /* of the port, behind the blank */
    return parse_port(text + begin, length - begin);
}

static int ask(int fd, const struct sockaddr_in *group, int interface,
               const char *name, double duration) {
    static char lines[MOST_LINES][LINE_BYTES];
    size_t count = 0;
    char text[200];
    char line[LINE_BYTES] = "";
    double end_of_time = now() + duration;
    struct ip_mreqn out = {.imr_ifindex = interface};
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
        err(1, "IP_MULTICAST_IF");
    int length = sprintf(text, "ask %s", name);
    if (sendto(fd, text, (size_t)length, 0, (const void *)group,
               sizeof *group) < 0)
        err(1, "sendto");
    while (set_timeout(fd, end_of_time)) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, text, sizeof text, 0, (void *)&from, &size);
        if (got < 0)
            continue;
        int port = parse_answer(text, (size_t)got, name);
        if (port < 0)
            continue;
        sprintf(line, "%s:%d", inet_ntoa(from.sin_addr), port);
        insert(lines, &count, line);
    }
    for (size_t i = 0; i < count; i++)
        printf("%s\n", lines[i]);
    if (fclose(stdout) == EOF)
        err(1, "standard output");
    return 0;
}

static int offer(int fd, const struct sockaddr_in *group, int interface,
                 const char *name, int service) {
    int on = 1;
    int off = 0;
    char wanted[100];
    char answer[100] = "";
    char text[200];
    struct group_req join = {.gr_interface = (uint32_t)interface};
    memcpy(&join.gr_group, group, sizeof *group);
    (void)signal(SIGINT, quit);
    (void)signal(SIGTERM, quit);
    /* Programs that start at the same time must not make the same pauses, so
     * the seed has the process id in it, too. */
    srandom((unsigned)getpid() * 7919U + (unsigned)(now() * 1e6));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        err(1, "SO_REUSEADDR");
    if (bind(fd, (const void *)group, sizeof *group) < 0 ||
        setsockopt(fd, IPPROTO_IP, MCAST_JOIN_GROUP, &join, sizeof join) < 0)
        err(1, "MCAST_JOIN_GROUP");
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) < 0)
        err(1, "IP_MULTICAST_ALL");
    printf("listening on %s:%d\n", inet_ntoa(group->sin_addr),
           ntohs(group->sin_port));
    fflush(stdout);
    sprintf(wanted, "ask %s", name);
    sprintf(answer, "%s %d", name, service);
    for (;;) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        pthread_t thread;
        ssize_t got = recvfrom(fd, text, sizeof text, 0, (void *)&from, &size);
        if (got != (ssize_t)strlen(wanted))
            continue;
        if (memcmp(text, wanted, (size_t)got) != 0)
            continue;
        struct task *task = malloc(sizeof *task);
        if (task == NULL)
            err(1, "malloc");
        task->fd = fd;
        task->to = from;
        memcpy(task->text, answer, sizeof task->text);
        if (pthread_create(&thread, NULL, answer_later, task) != 0)
            errx(1, "pthread_create");
        (void)pthread_detach(thread);
    }
}

static void check_name(const char *name) {
    size_t length = strlen(name);
    if (length == 0 || length > 63)
        errx(1, "no name");
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '-')
            errx(1, "no name");
    }
}

/* strtod would also accept "1e3" and "inf", so we check the characters first.
 */
static double parse_duration(const char *text) {
    char *rest;
    if (strspn(text, "0123456789.") != strlen(text))
        errx(1, "no number of seconds: %s", text);
    double duration = strtod(text, &rest);
    if (*rest != '\0')
        errx(1, "no number of seconds: %s", text);
    if (duration <= 0 || duration > SECONDS_A_DAY)
        errx(1, "no number of seconds: %s", text);
    return duration;
}

static struct sockaddr_in parse_group(const char *address,
                                      const char *port_text) {
    struct sockaddr_in group = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, address, &group.sin_addr) != 1)
        errx(1, "no group: %s", address);
    if (!IN_MULTICAST(ntohl(group.sin_addr.s_addr)))
        errx(1, "no group: %s", address);
    int port = parse_port(port_text, strlen(port_text));
    if (port < 0)
        errx(1, "no port: %s", port_text);
    group.sin_port = htons((in_port_t)port);
    return group;
}

int main(int argc, char **argv) {
    const char *interface = "lo";
    const char *time = NULL; /* there was no -t */
    if (argc < 2)
        usage();
    int is_asking = strcmp(argv[1], "ask") == 0;
    if (!is_asking && strcmp(argv[1], "offer") != 0)
        usage();
    optind = 2; /* the options begin behind the word "ask" or "offer" */
    for (;;) {
        int option = getopt(argc, argv, "i:t:");
        if (option == -1)
            break;
        if (option == 'i')
            interface = optarg;
        else if (option == 't' && is_asking)
            time = optarg;
        else
            usage();
    }
    int words = argc - optind;
    if (is_asking && words != 3)
        usage();
    if (is_asking && time == NULL)
        usage();
    if (!is_asking && words != 4)
        usage();

    const char *name = argv[optind + 2];
    struct sockaddr_in group = parse_group(argv[optind], argv[optind + 1]);
    check_name(name);
    unsigned index = if_nametoindex(interface);
    if (index == 0)
        err(1, "%s", interface);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (is_asking) {
        double duration = parse_duration(time);
        return ask(fd, &group, (int)index, name, duration);
    }
    const char *port = argv[optind + 3];
    int service = parse_port(port, strlen(port));
    if (service < 0)
        errx(1, "no port: %s", port);
    return offer(fd, &group, (int)index, name, service);
}
