/*
 * 21 solution: find a service by its name; one good answer of many.
 *
 * usage: 21-multicast ask [-i INTERFACE] -t SECONDS GROUP PORT NAME
 *        21-multicast offer [-i INTERFACE] GROUP PORT NAME SERVICE
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LARGEST_PORT = 65535,
    NAME_BYTES = 63,
    MOST_ANSWERS = 100,  /* that are printed */
    DATAGRAM_BYTES = 80, /* more than a question or an answer needs */
    LONGEST_PAUSE_MS = 200,
};

/* A group at one of our interfaces. */
struct group {
    struct sockaddr_in address;
    int interface;
};

/* One line of the output: "127.0.0.1:8080". */
struct answer {
    char text[ADDR_TEXT_BYTES];
};

struct answers {
    size_t count;
    struct answer list[MOST_ANSWERS];
};

/* Set by the signal handler: offer is to end. */
static volatile sig_atomic_t stopping;

static _Noreturn void usage(FILE *out, int status) {
    fputs(
        "usage: 21-multicast ask [-i INTERFACE] -t SECONDS GROUP PORT NAME"
        "\n       21-multicast offer [-i INTERFACE] GROUP PORT NAME SERVICE\n",
        out);
    exit(status);
}

static in_port_t parse_port(const char *text) {
    in_port_t port;
    if (addr_parse_port(text, strlen(text), 1, &port) < 0)
        errx(1, "%s is not a port: 1 to %d", text, LARGEST_PORT);
    return port;
}

static void parse_group(struct group *group, const char *interface,
                        const char *address, const char *port) {
    struct sockaddr_in *own = &group->address;
    *own = (struct sockaddr_in){.sin_family = AF_INET};
    own->sin_port = htons(parse_port(port));
    int is_address = inet_pton(AF_INET, address, &own->sin_addr) == 1;
    if (!is_address || !IN_MULTICAST(ntohl(own->sin_addr.s_addr)))
        errx(1, "%s is not a group: 224.0.0.0 to 239.255.255.255", address);

    group->interface = (int)if_nametoindex(interface);
    if (group->interface == 0)
        err(1, "interface %s", interface);
}

/* Whether the name has the right length, and no other characters than these. In
 * a question and in an answer, the name stands beside a blank, so no blank may
 * be in it. */
static int is_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-";
    size_t length = strlen(name);
    if (length < 1 || length > NAME_BYTES)
        return 0;
    return strspn(name, letters) == length;
}

static void check_name(const char *name) {
    if (!is_name(name))
        errx(1, "%s is not a name: 1 to %d letters, digits and hyphens", name,
             NAME_BYTES);
}

static int make_socket(void) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(1, "socket");
    return fd;
}

/* Asking. */

/* Sends the question to the group. A TTL of 1, the default, keeps it in this
 * network. */
static void send_question(int fd, const struct group *group, const char *name) {
    char question[DATAGRAM_BYTES];
    const struct ip_mreqn out = {.imr_ifindex = group->interface};
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
        err(1, "setsockopt IP_MULTICAST_IF");
    (void)snprintf(question, sizeof question, "ask %s", name);
    if (sendto(fd, question, strlen(question), 0,
               (const struct sockaddr *)&group->address,
               sizeof group->address) < 0)
        err(1, "sendto");
}

/* Reads an answer, which is "NAME SERVICE", from a datagram of length bytes.
 * Returns the port SERVICE, or 0 if the datagram is something else. */
static in_port_t parse_answer(const char *datagram, size_t length,
                              const char *name) {
    size_t name_length = strlen(name);
    if (length <= name_length)
        return 0; /* too short for the name and a blank */
    if (memcmp(datagram, name, name_length) != 0)
        return 0;
    if (datagram[name_length] != ' ')
        return 0;
    in_port_t port;
    size_t begin = name_length + 1; /* of the port, behind the blank */
    if (addr_parse_port(datagram + begin, length - begin, 1, &port) < 0)
        return 0;
    return port;
}

/* Adds the answer, unless we have it already, or have no room for it. */
static void add_answer(struct answers *answers, const char *text) {
    for (size_t i = 0; i < answers->count; i++) {
        if (strcmp(answers->list[i].text, text) == 0)
            return;
    }
    if (answers->count == MOST_ANSWERS)
        return;
    struct answer *answer = &answers->list[answers->count];
    (void)snprintf(answer->text, sizeof answer->text, "%s", text);
    answers->count++;
}

static void receive_answer(int fd, const char *name, struct answers *answers) {
    char datagram[DATAGRAM_BYTES];
    char text[ADDR_TEXT_BYTES];
    struct sockaddr_in sender = {0};
    socklen_t length = sizeof sender;
    ssize_t received = recvfrom(fd, datagram, sizeof datagram, MSG_DONTWAIT,
                                (struct sockaddr *)&sender, &length);
    if (received < 0) {
        if (errno != EAGAIN && errno != EINTR)
            warn("recvfrom");
        return;
    }
    in_port_t port = parse_answer(datagram, (size_t)received, name);
    if (port == 0)
        return;
    sender.sin_port = htons(port);
    addr_format((const struct sockaddr *)&sender, sizeof sender, text);
    add_answer(answers, text);
}

static int compare_answers(const void *one, const void *other) {
    const struct answer *left = one;
    const struct answer *right = other;
    return strcmp(left->text, right->text);
}

static int ask(const struct group *group, const char *name, int milliseconds) {
    static struct answers answers;
    struct deadline deadline = deadline_after(milliseconds);
    int fd = make_socket();
    send_question(fd, group, name);
    while (deadline_wait(deadline, fd, POLLIN) == 0)
        receive_answer(fd, name, &answers);
    if (errno != ETIMEDOUT)
        err(1, "poll");
    if (close(fd) < 0)
        err(1, "close");

    qsort(answers.list, answers.count, sizeof answers.list[0], compare_answers);
    for (size_t i = 0; i < answers.count; i++) {
        if (puts(answers.list[i].text) == EOF)
            err(1, "standard output");
    }
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}

/* Offering. */

static void request_stop(int signal_number) {
    (void)signal_number;
    stopping = 1;
    (void)alarm(1);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = request_stop};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGALRM, &action, NULL);
}

/* Returns a socket that hears what is sent to this group, and nothing else. */
static int join(const struct group *group) {
    const int yes = 1;
    const int no = 0;
    const struct ip_mreqn membership = {
        .imr_multiaddr = group->address.sin_addr,
        .imr_ifindex = group->interface,
    };
    int fd = make_socket();
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0)
        err(1, "setsockopt SO_REUSEADDR");
    if (bind(fd, (const struct sockaddr *)&group->address,
             sizeof group->address) < 0)
        err(1, "bind");
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
                   sizeof membership) < 0)
        err(1, "setsockopt IP_ADD_MEMBERSHIP");
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof no) < 0)
        err(1, "setsockopt IP_MULTICAST_ALL");
    return fd;
}

/* If all programs sent their answers at the same moment, the receive buffer of
 * the program that asked could overflow, and answers would be lost. */
static void pause_at_random(void) {
    uint32_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        err(1, "getrandom");
    int milliseconds = (int)(number % (LONGEST_PAUSE_MS + 1));
    deadline_pause(milliseconds);
}

/* Receives one datagram. If it asks for our name, sends the answer to the
 * program that asked. */
static void answer_question(int fd, const char *question, const char *answer) {
    char datagram[DATAGRAM_BYTES];
    struct sockaddr_in asker = {0};
    socklen_t length = sizeof asker;
    ssize_t received = recvfrom(fd, datagram, sizeof datagram, 0,
                                (struct sockaddr *)&asker, &length);
    if (received < 0) {
        if (errno != EINTR)
            warn("recvfrom");
        return;
    }
    if ((size_t)received != strlen(question) ||
        memcmp(datagram, question, (size_t)received) != 0)
        return;
    pause_at_random();
    if (sendto(fd, answer, strlen(answer), 0, (const struct sockaddr *)&asker,
               length) < 0)
        warn("sendto");
}

static int offer(const struct group *group, const char *name, in_port_t port) {
    char question[DATAGRAM_BYTES];
    char answer[DATAGRAM_BYTES];
    char text[ADDR_TEXT_BYTES];
    (void)snprintf(question, sizeof question, "ask %s", name);
    (void)snprintf(answer, sizeof answer, "%s %d", name, port);

    catch_signals();
    int fd = join(group);
    addr_format((const struct sockaddr *)&group->address, sizeof group->address,
                text);
    if (printf("listening on %s\n", text) < 0)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    while (!stopping)
        answer_question(fd, question, answer);
    if (close(fd) < 0)
        err(1, "close");
    return 0;
}

/* Returns the milliseconds of this number of seconds, at least 1. */
static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

static int ask_main(int argc, char **argv) {
    const char *interface = "lo";
    int milliseconds = 0; /* 0: there was no -t */
    optind = 2;           /* the options begin behind the word "ask" */
    for (;;) {
        int option = getopt(argc, argv, "+i:t:");
        if (option == -1)
            break;
        if (option == 'i')
            interface = optarg;
        else if (option == 't')
            milliseconds = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 3 || milliseconds == 0)
        usage(stderr, 2);
    const char *name = argv[optind + 2];
    struct group group;
    parse_group(&group, interface, argv[optind], argv[optind + 1]);
    check_name(name);
    return ask(&group, name, milliseconds);
}

static int offer_main(int argc, char **argv) {
    const char *interface = "lo";
    optind = 2; /* the options begin behind the word "offer" */
    for (;;) {
        int option = getopt(argc, argv, "+i:");
        if (option == -1)
            break;
        if (option == 'i')
            interface = optarg;
        else
            usage(stderr, 2);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    const char *name = argv[optind + 2];
    struct group group;
    parse_group(&group, interface, argv[optind], argv[optind + 1]);
    check_name(name);
    in_port_t service = parse_port(argv[optind + 3]);
    return offer(&group, name, service);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2)
        usage(stderr, 2);
    if (strcmp(argv[1], "ask") == 0)
        return ask_main(argc, argv);
    if (strcmp(argv[1], "offer") == 0)
        return offer_main(argc, argv);
    usage(stderr, 2);
}
