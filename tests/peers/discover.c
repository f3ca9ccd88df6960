/*
 * discover: the other side of lesson 21's exercise, with bad manners.
 *
 *     discover [OPTION...] offer FACE GROUP
 *     discover [OPTION...] ask GROUP PORT NAME
 *
 * `offer` joins the group at the loopback, prints `listening on GROUP:PORT`,
 * and prints each datagram that the group is sent: `got "ask chat" from
 * 127.0.0.1:54321, TTL 1`. It answers a question as its FACE says. With -a it
 * writes into FILE what the asker should print, a line for each answer that
 * counts.
 *
 *     one      one answer
 *     several  six answers from six addresses, each of them twice, and some
 *              with zeros in front of the port the second time
 *     crowd    COUNT answers (-n), 150 if not set, the first 40 of them twice
 *     liar     one answer, and many datagrams that are none
 *     drip     an answer every 40 milliseconds, for a while
 *     late     an answer at once, and another after MILLISECONDS (-d)
 *     none     no answer
 *
 * `ask` asks COUNT times (-n), 1 if not set, one question after the other. It
 * prints each answer, `got "chat 8080" from 127.0.0.1:54321 after 57 ms`, or
 * `got nothing`, after MILLISECONDS (-d). With -l it waits for more answers
 * until then, with -m until it has MOST of them. With -z there is a NUL behind
 * the question, and then TAIL. In the end it says whether all answers to
 * several questions took the same time, or nearly. It also joins the group, and
 * says when something else than its question is sent there.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SEVERAL = 6,
    CROWD = 150,
    COPIES = 40,
    DRIPS = 100,
    DRIP_MS = 40,
    ALIKE_MS = 60,      /* pauses that differ by less are alike */
    LOWEST_PORT = 1024, /* so that a number has four digits, or five */
    PORTS = 64512,
    NAME_BYTES = 63,
    DATAGRAM_BYTES = 2000,
};

struct options {
    int port;
    int count;
    int milliseconds;
    int most;         /* answers that we wait for, after one question */
    const char *path; /* of the file for -a, or NULL */
    const char *tail; /* what stands behind a NUL in our question, or NULL */
};

/* The program that asked, and what it asked for. */
struct question {
    struct sockaddr_in asker;
    char name[DATAGRAM_BYTES];
};

static _Noreturn void usage(void) {
    fputs("usage: discover [-s SEED] [-p PORT] [-n COUNT] [-d MILLISECONDS] "
          "[-a FILE] offer FACE GROUP\n"
          "       discover [-l] [-m MOST] [-n COUNT] [-d MILLISECONDS] [-z "
          "TAIL] ask GROUP PORT NAME\n",
          stderr);
    exit(2);
}

static long long now_ms(void) {
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (long long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void pause_ms(int milliseconds) {
    (void)poll(NULL, 0, milliseconds);
}

static int draw_port(void) {
    return LOWEST_PORT + (int)(lrand48() % PORTS);
}

/* Returns a socket that is a member of the group at the loopback. Returns -1 if
 * another program does not share the port. */
static int join(struct sockaddr_in *group) {
    const int yes = 1;
    const int no = 0;
    socklen_t length = sizeof *group;
    struct ip_mreqn membership = {
        .imr_multiaddr = group->sin_addr,
        .imr_ifindex = (int)if_nametoindex("lo"),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(fd, (struct sockaddr *)group, sizeof *group) < 0) {
        if (errno != EADDRINUSE)
            err(1, "bind");
        (void)close(fd);
        return -1;
    }
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
                   sizeof membership) < 0)
        err(1, "setsockopt IP_ADD_MEMBERSHIP");
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof no) < 0)
        err(1, "setsockopt IP_MULTICAST_ALL");
    if (getsockname(fd, (struct sockaddr *)group, &length) < 0)
        err(1, "getsockname");
    return fd;
}

/* Returns a socket that sends from 127.0.0.LAST. */
static int sender_at(int last) {
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + (unsigned)last),
    };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        err(1, "bind 127.0.0.%d", last);
    return fd;
}

/* Sends a datagram to the asker. It may have gone: that is its affair. */
static void send_bytes(int fd, const struct question *question,
                       const char *bytes, size_t length) {
    (void)sendto(fd, bytes, length, 0,
                 (const struct sockaddr *)&question->asker,
                 sizeof question->asker);
}

static void send_text(int fd, const struct question *question,
                      const char *text) {
    send_bytes(fd, question, text, strlen(text));
}

static void print_wanted(const struct options *options, int last, int port) {
    if (options->path == NULL)
        return;
    FILE *file = fopen(options->path, "ae");
    if (file == NULL)
        err(1, "%s", options->path);
    fprintf(file, "127.0.0.%d:%d\n", last, port);
    if (fclose(file) == EOF)
        err(1, "%s", options->path);
}

/* Answers from 127.0.0.LAST with a port, which stands behind zeros, so many
 * times. */
static void answer_with_zeros(const struct question *question, int last,
                              const char *zeros, int port, int times) {
    char text[DATAGRAM_BYTES + 16];
    int fd = sender_at(last);
    (void)snprintf(text, sizeof text, "%s %s%d", question->name, zeros, port);
    for (int i = 0; i < times; i++)
        send_text(fd, question, text);
    (void)close(fd);
}

static void answer(const struct question *question, int last, int port,
                   int times) {
    answer_with_zeros(question, last, "", port, times);
}

static void answer_one(const struct options *options,
                       const struct question *question) {
    int port = draw_port();
    print_wanted(options, 1, port);
    answer(question, 1, port, 1);
}

static void answer_several(const struct options *options,
                           const struct question *question) {
    int first = 2 + (int)(lrand48() % 9);
    int ports[SEVERAL];
    /* The file is there before the first answer. */
    for (int i = 0; i < SEVERAL; i++) {
        ports[i] = draw_port();
        print_wanted(options, first + i, ports[i]);
    }
    for (int i = SEVERAL - 1; i >= 0; i--)
        answer(question, first + i, ports[i], 1);
    for (int i = 0; i < SEVERAL; i++)
        answer_with_zeros(question, first + i, i % 2 == 0 ? "" : "00", ports[i],
                          1);
}

static void answer_crowd(const struct options *options,
                         const struct question *question) {
    int first = draw_port() / 2;
    int count = options->count > 0 ? options->count : CROWD;
    for (int i = 0; i < count; i++)
        print_wanted(options, 2, first + i);
    for (int i = 0; i < count; i++)
        answer(question, 2, first + i, i < COPIES ? 2 : 1);
}

static void lie(const struct options *options,
                const struct question *question) {
    /* What stands before the name, and behind it. */
    static const char *const lies[][2] = {
        {"", ""},       {"", " "},           {"", " 0"},
        {"", " 65536"}, {"", " 80x"},        {"", " -1"},
        {"", " +80"},   {"", "  80"},        {"x", " 80"},
        {"", "x 80"},   {" ", " 80"},        {"", " 80\n"},
        {"", " 80 81"}, {"ask ", ""},        {"", "\t80"},
        {"", ":80"},    {"", " 4294967376"}, {"chat", " 80"},
        {"", " 0x50"},  {"", " 123456"},
    };
    char text[2 * DATAGRAM_BYTES];
    int fd = sender_at(1);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        (void)snprintf(text, sizeof text, "%s%s%s", lies[i][0], question->name,
                       lies[i][1]);
        send_text(fd, question, text);
    }
    /* A NUL at the end, and behind it. */
    int length = snprintf(text, sizeof text, "%s 80%c81", question->name, '\0');
    send_bytes(fd, question, text, (size_t)length - 2);
    send_bytes(fd, question, text, (size_t)length);
    send_text(fd, question, "");
    /* The name alone, without its last letter. */
    (void)snprintf(text, sizeof text, "%.*s 80",
                   (int)strlen(question->name) - 1, question->name);
    send_text(fd, question, text);
    /* Other names of the same length: they end, or begin, with another letter.
     */
    size_t last = strlen(question->name) - 1;
    (void)snprintf(text, sizeof text, "%s 80", question->name);
    text[last] = text[last] == 'x' ? 'y' : 'x';
    send_text(fd, question, text);
    (void)snprintf(text, sizeof text, "%s 80", question->name);
    text[0] = text[0] == 'x' ? 'y' : 'x';
    send_text(fd, question, text);
    /* An answer that is far too long. */
    memset(text, '9', sizeof text - 1);
    memcpy(text, question->name, strlen(question->name));
    text[strlen(question->name)] = ' ';
    text[sizeof text - 1] = '\0';
    send_text(fd, question, text);
    memset(text, 'x', sizeof text - 1);
    send_text(fd, question, text);
    /* Zeros in front of a port are no lie. */
    int port = draw_port();
    print_wanted(options, 1, port);
    (void)snprintf(text, sizeof text, "%s 0%d", question->name, port);
    send_text(fd, question, text);
    (void)close(fd);
    answer_one(options, question);
}

static void drip(const struct question *question) {
    for (int i = 0; i < DRIPS; i++) {
        answer(question, 1, LOWEST_PORT + i, 1);
        pause_ms(DRIP_MS);
    }
}

static void answer_late(const struct options *options,
                        const struct question *question) {
    answer_one(options, question);
    pause_ms(options->milliseconds);
    answer(question, 1, draw_port(), 1);
}

static void answer_as(const char *face, const struct options *options,
                      const struct question *question) {
    if (strcmp(face, "one") == 0)
        answer_one(options, question);
    else if (strcmp(face, "several") == 0)
        answer_several(options, question);
    else if (strcmp(face, "crowd") == 0)
        answer_crowd(options, question);
    else if (strcmp(face, "liar") == 0)
        lie(options, question);
    else if (strcmp(face, "drip") == 0)
        drip(question);
    else if (strcmp(face, "late") == 0)
        answer_late(options, question);
    else if (strcmp(face, "none") != 0)
        usage();
}

static struct sockaddr_in parse_group(const char *text, int port) {
    struct sockaddr_in group = {
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)port),
    };
    if (inet_pton(AF_INET, text, &group.sin_addr) != 1)
        errx(2, "%s is not an IPv4 address", text);
    return group;
}

/* Receives a datagram and its TTL. Puts a NUL behind the datagram. Returns its
 * length. */
static size_t receive_with_ttl(int fd, char *text, struct sockaddr_in *sender,
                               int *ttl) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = text, .iov_len = DATAGRAM_BYTES - 1};
    struct msghdr message = {
        .msg_name = sender,
        .msg_namelen = sizeof *sender,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };
    ssize_t received = recvmsg(fd, &message, 0);
    if (received < 0)
        err(1, "recvmsg");
    text[received] = '\0';
    *ttl = -1;
    const struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first != NULL && first->cmsg_type == IP_TTL)
        memcpy(ttl, CMSG_DATA(first), sizeof *ttl);
    return (size_t)received;
}

/* Prints what was got, with each NUL as \0. */
static void print_got(const char *text, size_t length) {
    printf("got \"");
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0')
            printf("\\0");
        else
            putchar(text[i]);
    }
    printf("\" from ");
}

static void print_address(const struct sockaddr_in *address) {
    char text[INET_ADDRSTRLEN];
    (void)inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    printf("%s:%d", text, ntohs(address->sin_port));
}

static _Noreturn void offer_main(const struct options *options,
                                 const char *face, const char *address) {
    struct sockaddr_in group = parse_group(address, options->port);
    const int yes = 1;
    int fd = join(&group);
    if (fd < 0)
        errx(1, "the port is in use");
    if (setsockopt(fd, IPPROTO_IP, IP_RECVTTL, &yes, sizeof yes) < 0)
        err(1, "setsockopt IP_RECVTTL");
    printf("listening on ");
    print_address(&group);
    printf("\n");
    for (;;) {
        struct question question = {0};
        char text[DATAGRAM_BYTES];
        int ttl;
        size_t length = receive_with_ttl(fd, text, &question.asker, &ttl);
        print_got(text, length);
        print_address(&question.asker);
        printf(", TTL %d", ttl);
        printf("\n");
        if (strncmp(text, "ask ", strlen("ask ")) != 0)
            continue;
        (void)snprintf(question.name, sizeof question.name, "%s",
                       text + strlen("ask "));
        answer_as(face, options, &question);
    }
}

/* Says what else the group was sent than our question. */
static void look_at_group(int member, const char *asked) {
    char text[DATAGRAM_BYTES];
    ssize_t received = recv(member, text, sizeof text - 1, MSG_DONTWAIT);
    if (received < 0)
        return;
    text[received] = '\0';
    if (strcmp(text, asked) != 0)
        printf("the group got \"%s\"\n", text);
}

/* Waits until the deadline for an answer, and prints it. Returns the
 * milliseconds that it took, or -1 if there is none. */
static long long print_answer(int fd, int member, const char *asked,
                              long long begin, long long deadline) {
    struct pollfd waiting[] = {{.fd = fd, .events = POLLIN},
                               {.fd = member, .events = POLLIN}};
    for (;;) {
        long long left = deadline - now_ms();
        if (left <= 0 || poll(waiting, 2, (int)left) == 0)
            return -1;
        if ((waiting[1].revents & POLLIN) != 0)
            look_at_group(member, asked);
        if ((waiting[0].revents & POLLIN) != 0)
            break;
    }
    char text[DATAGRAM_BYTES];
    struct sockaddr_in sender = {0};
    socklen_t length = sizeof sender;
    ssize_t received = recvfrom(fd, text, sizeof text - 1, 0,
                                (struct sockaddr *)&sender, &length);
    if (received < 0)
        err(1, "recvfrom");
    print_got(text, (size_t)received);
    print_address(&sender);
    long long took = now_ms() - begin;
    printf(" after %lld ms\n", took);
    return took;
}

/* Returns a socket with a port of its own, whose datagrams to a group go to the
 * loopback. */
static int open_for_question(void) {
    const struct ip_mreqn out = {.imr_ifindex = (int)if_nametoindex("lo")};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
        err(1, "setsockopt IP_MULTICAST_IF");
    return fd;
}

static int ask_main(const struct options *options, const char *address,
                    const char *port, const char *name) {
    char asked[DATAGRAM_BYTES];
    struct sockaddr_in group =
        parse_group(address, (int)strtol(port, NULL, 10));
    int member = join(&group); /* or -1, which poll(2) ignores */
    int count = options->count > 0 ? options->count : 1;
    long long longest = -1;
    long long shortest = options->milliseconds;
    int length = snprintf(asked, sizeof asked, "ask %s", name);
    if (options->tail != NULL)
        length = snprintf(asked, sizeof asked, "ask %s%c%s", name, '\0',
                          options->tail);
    if (length < 0 || length >= (int)sizeof asked)
        errx(2, "NAME is too long");
    for (int i = 0; i < count; i++) {
        int fd = open_for_question();
        long long begin = now_ms();
        if (sendto(fd, asked, (size_t)length, 0, (struct sockaddr *)&group,
                   sizeof group) < 0)
            err(1, "sendto");
        long long deadline = begin + options->milliseconds;
        long long took = print_answer(fd, member, asked, begin, deadline);
        if (took < 0)
            printf("got nothing\n");
        if (took > longest)
            longest = took;
        if (took < shortest)
            shortest = took;
        for (int got = 1; got < options->most && took >= 0; got++)
            took = print_answer(fd, member, asked, begin, deadline);
        (void)close(fd);
    }
    if (count > 1 && shortest >= 0 && longest - shortest < ALIKE_MS)
        printf("all answers took nearly the same time\n");
    return 0;
}

int main(int argc, char **argv) {
    struct options options = {.milliseconds = 1000, .most = 1};
    srand48(1);
    for (;;) {
        int option = getopt(argc, argv, "+a:d:lm:n:p:s:z:");
        if (option == -1)
            break;
        if (option == 'a')
            options.path = optarg;
        else if (option == 'd')
            options.milliseconds = (int)strtol(optarg, NULL, 10);
        else if (option == 'l')
            options.most = INT_MAX;
        else if (option == 'm')
            options.most = (int)strtol(optarg, NULL, 10);
        else if (option == 'n')
            options.count = (int)strtol(optarg, NULL, 10);
        else if (option == 'p')
            options.port = (int)strtol(optarg, NULL, 10);
        else if (option == 's')
            srand48(strtol(optarg, NULL, 10));
        else if (option == 'z')
            options.tail = optarg;
        else
            usage();
    }
    char **words = argv + optind;
    int count = argc - optind;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (count == 3 && strcmp(words[0], "offer") == 0)
        offer_main(&options, words[1], words[2]);
    if (count == 4 && strcmp(words[0], "ask") == 0)
        return ask_main(&options, words[1], words[2], words[3]);
    usage();
}
