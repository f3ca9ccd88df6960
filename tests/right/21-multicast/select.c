/*
 * A right answer that waits with select and the monotonic clock, joins by the
 * options of RFC 3678, and sorts while it inserts.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
}

static _Noreturn void usage(void) {
    fputs("usage: 21-multicast ask|offer ...\n", stderr);
    exit(2);
}

static int number(const char *text, size_t length) {
    long value = 0;
    if (length == 0)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return -1;
        value = value * 10 + text[i] - '0';
        if (value > 65535)
            return -1;
    }
    return value == 0 ? -1 : (int)value;
}

static double seconds(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int wait_until(double when, int fd) {
    for (;;) {
        double left = when - seconds();
        if (left <= 0)
            return 0;
        struct timeval time = {.tv_sec = (time_t)left};
        time.tv_usec = (suseconds_t)((left - (double)time.tv_sec) * 1e6);
        fd_set set;
        FD_ZERO(&set);
        if (fd >= 0)
            FD_SET(fd, &set);
        int ready = select(fd + 1, &set, NULL, NULL, &time);
        if (ready > 0)
            return 1;
    }
}

static void insert(char lines[][64], size_t *count, const char line[64]) {
    size_t at = 0;
    while (at < *count && strcmp(lines[at], line) < 0)
        at++;
    if (*count == 100 || (at < *count && strcmp(lines[at], line) == 0))
        return;
    memmove(lines[at + 1], lines[at], (*count - at) * sizeof lines[0]);
    memcpy(lines[at], line, sizeof lines[at]);
    ++*count;
}

static int ask(int fd, const struct sockaddr_in *group, int interface,
               const char *name, double duration) {
    static char lines[101][64];
    size_t count = 0;
    char text[200];
    char line[64] = "";
    double until = seconds() + duration;
    struct ip_mreqn out = {.imr_ifindex = interface};
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
        err(1, "IP_MULTICAST_IF");
    int length = sprintf(text, "ask %s", name);
    if (sendto(fd, text, (size_t)length, 0, (const void *)group,
               sizeof *group) < 0)
        err(1, "sendto");
    size_t skip = strlen(name) + 1;
    while (wait_until(until, fd)) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, text, sizeof text, 0, (void *)&from, &size);
        if (got < (ssize_t)skip || memcmp(text, name, skip - 1) != 0 ||
            text[skip - 1] != ' ')
            continue;
        int port = number(text + skip, (size_t)got - skip);
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
    struct sigaction action = {.sa_handler = end};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    srandom((unsigned)getpid() * 7919U + (unsigned)(seconds() * 1e6));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (const void *)group, sizeof *group) < 0 ||
        setsockopt(fd, IPPROTO_IP, MCAST_JOIN_GROUP, &join, sizeof join) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) < 0)
        err(1, "cannot listen");
    printf("listening on %s:%d\n", inet_ntoa(group->sin_addr),
           ntohs(group->sin_port));
    fflush(stdout);
    sprintf(wanted, "ask %s", name);
    sprintf(answer, "%s %d", name, service);
    while (!ended) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, text, sizeof text, 0, (void *)&from, &size);
        if (got != (ssize_t)strlen(wanted) ||
            memcmp(text, wanted, (size_t)got) != 0)
            continue;
        (void)wait_until(seconds() + (double)(random() % 200) / 1000, -1);
        (void)sendto(fd, answer, strlen(answer), 0, (void *)&from, size);
    }
    return 0;
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

static double parse_duration(const char *text) {
    char *rest;
    double duration = strtod(text, &rest);
    if (*rest != '\0' || strspn(text, "0123456789.") != strlen(text) ||
        duration <= 0 || duration > 86400)
        errx(1, "no number of seconds: %s", text);
    return duration;
}

int main(int argc, char **argv) {
    const char *interface = "lo";
    const char *time = NULL;
    int option;
    if (argc < 2)
        usage();
    int asks = strcmp(argv[1], "ask") == 0;
    if (!asks && strcmp(argv[1], "offer") != 0)
        usage();
    optind = 2;
    while ((option = getopt(argc, argv, "i:t:")) != -1) {
        if (option == 'i')
            interface = optarg;
        else if (option == 't' && asks)
            time = optarg;
        else
            usage();
    }
    argv += optind;
    if (argc - optind != (asks ? 3 : 4) || (asks && time == NULL))
        usage();
    struct sockaddr_in group = {.sin_family = AF_INET};
    int port = number(argv[1], strlen(argv[1]));
    if (inet_pton(AF_INET, argv[0], &group.sin_addr) != 1 ||
        (ntohl(group.sin_addr.s_addr) >> 28) != 14)
        errx(1, "no group: %s", argv[0]);
    if (port < 0)
        errx(1, "no port: %s", argv[1]);
    group.sin_port = htons((in_port_t)port);
    check_name(argv[2]);
    unsigned index = if_nametoindex(interface);
    if (index == 0)
        err(1, "%s", interface);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (asks) {
        double duration = parse_duration(time);
        return ask(fd, &group, (int)index, argv[2], duration);
    }
    int service = number(argv[3], strlen(argv[3]));
    if (service < 0)
        errx(1, "no port: %s", argv[3]);
    return offer(fd, &group, (int)index, argv[2], service);
}
