/*
 * 21 exercise: find a service by its name.
 *
 * In a network at home, a program finds a printer although nobody has told it
 * an address. It asks a group: "who is a printer?", and each printer answers.
 * This is called discovery. You write both sides: a program that offers
 * something under a name, and one that asks who offers it.
 *
 * They are called as `21-multicast offer [-i INTERFACE] GROUP PORT NAME
 * SERVICE` and `21-multicast ask [-i INTERFACE] -t SECONDS GROUP PORT NAME`.
 * GROUP is an IPv4 group. SERVICE is the port at which the thing that is
 * offered can be reached. Without `-i`, the interface is `lo`.
 *
 * The question is a datagram to GROUP and PORT with the word `ask`, a blank
 * and the name, for example `ask chat`. The answer is a datagram to the
 * program that asked, with the name, a blank and SERVICE in decimal digits,
 * for example `chat 8001`. Neither has a newline or a NUL at its end.
 *
 * 1. It says that it listens when it can hear questions. `offer` prints the
 *    line `listening on GROUP:PORT`, and flushes it. It does so after it has
 *    joined the group. If it cannot join, it does not print this line.
 * 2. It answers a question for its name. The answer is one datagram, and goes
 *    to the address and the port from which the question came, not to the
 *    group. You may send it from the socket that is bound to GROUP: as the
 *    sender, the kernel then writes an address of your machine.
 * 3. It ignores every other datagram. The question with a NUL behind it is
 *    another datagram too. It goes on, and answers the next question.
 * 4. It shares its port with others that offer something. Each of them
 *    answers.
 * 5. It hears no other group. This is so even if a program on the same machine
 *    has joined that group, and has the same port.
 * 6. It pauses before it answers. Otherwise a thousand programs would answer
 *    at the same moment, and many answers would be lost. The pause is between
 *    0 and 200 milliseconds, and is drawn anew for each answer. Two programs
 *    that were started at the same moment draw different pauses. During the
 *    pause it need not receive anything, because the kernel keeps what comes.
 * 7. It stops offering at SIGINT or SIGTERM, with status 0.
 * 8. It asks once, with a TTL of 1. So the question does not leave the
 *    network.
 * 9. It prints who has answered, and ends with status 0. There is a line
 *    `ADDRESS:SERVICE` for each answer: the address from which the answer
 *    came, and the port that is in it. If nobody answers, nothing is printed,
 *    and the status is 0 too.
 * 10. It prints each line once, in the order of strcmp. `strcmp` compares
 *     texts byte by byte, so 127.0.0.1:90 is behind 127.0.0.1:8000.
 * 11. It takes nothing else for an answer. An answer has exactly the form
 *     above, with the name that was asked for and a port from 1 to 65535. A
 *     question is not an answer. The port may have zeros in front: `chat
 *     08001` means 8001, and 8001 is printed.
 * 12. It prints up to a hundred answers. If there are more different ones, it
 *     prints any hundred of them. An answer that comes again takes no place.
 * 13. It waits for SECONDS in all. Answers do not make this time longer, and
 *     what comes later is not printed.
 * 14. It uses the interface that it is told. `offer` joins the group there,
 *     and `ask` sends its question there.
 * 15. It reports output that cannot be written, with status 1. The reason is
 *     in words, such as "No space left on device" for a full disk.
 * 16. It refuses a wrong number of arguments, with status 2. The same is true
 *     for another first word than `ask` and `offer`, and for `ask` without
 *     `-t`. The first line on standard error then begins with `usage:`.
 * 17. It refuses invalid values, with status 1. GROUP must be an IPv4 group,
 *     PORT and SERVICE a number from 1 to 65535 in digits alone, INTERFACE the
 *     name of an interface, NAME 1 to 63 letters, digits and hyphens of ASCII,
 *     and SECONDS a decimal number such as 0.5, above 0 and up to 86400.
 *
 * What is here compiles, and checks its arguments. It asks nobody, and answers
 * nobody. Your part is at the ends of ask_main and
 * offer_main.
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
};

/* A group at one of our interfaces. */
struct group {
    struct sockaddr_in address;
    int interface;
};

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

    /* 1. Make a socket that sends through group.interface. */
    /* 2. Send the question. Receive answers until the time is over. */
    /* 3. Print them, sorted, each once. */
    return 0;
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

    (void)service; /* delete this line when you use the port */
    /* 4. Make a socket that hears only this group. Print that you listen. */
    /* 5. Answer each question for the name, after a pause. */
    return 0;
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
