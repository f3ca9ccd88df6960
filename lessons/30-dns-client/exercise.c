/*
 * 30 exercise: a name server for the hosts file.
 *
 * Your machine knows some names without any name server: those in
 * `/etc/hosts`. But our program does not look up names with
 * `getaddrinfo`: it asks a name server on its own. So it never looks into that
 * file. You write a name server that answers from such a file.
 *
 * 1. It says where it listens. It prints the line `listening on
 *    127.0.0.1:PORT`, and flushes it. If PORT is 0, the kernel chooses the
 *    port, and the line has the port that it has chosen.
 * 2. It answers a question for type A. The reply has the id and the question
 *    of the message to which it belongs, says that it is a reply, and has a
 *    record for each IPv4 address of the name. The bit "please ask others"
 *    (`wants_recursion` in dns.h) is copied. The reply says that it is
 *    authoritative: the file is the source, and no copy. If the file has the
 *    same name with the same address twice, you may send one record or two.
 * 3. It answers a question for type AAAA. There is a record for each IPv6
 *    address of the name.
 * 4. It answers a question for type PTR. The question is for a name such as
 *    `1.2.0.192.in-addr.arpa`, or one that ends with `ip6.arpa`. Such a name
 *    stands for an address, here 192.0.2.1. There is a record for each name
 *    that has this address in the file.
 * 5. It compares names without regard to case. `PRINTER` and `printer` are the
 *    same name. But the reply has the question exactly as it was asked. The
 *    records of the reply may have the name as it was asked, or as the file
 *    has it.
 * 6. It says so when a name has no record of the type that was asked for. If
 *    the type is A, AAAA or PTR, and the name exists, the status is 0, and
 *    there are no answers. A name exists if it stands in the file, or if it is
 *    the `in-addr.arpa` or `ip6.arpa` name of an address in the file.
 * 7. It says that there is no such name when the name does not exist. The
 *    status is 3, and the reply has the question. It says that it is
 *    authoritative, as every reply does whose status is 0 or 3.
 * 8. It refuses a question for another class than IN, or for another type than
 *    the three. The status is 5, also when the name does not exist, and the
 *    reply has the question.
 * 9. It refuses another kind of work. When the message has an operation other
 *    than 0, the status is 4, whatever else the message has. The reply may
 *    have the same operation, or 0, and it may leave out the question. (If the
 *    message is a reply, requirement 12 comes first.)
 * 10. It reports a message that it does not understand. When there is not
 *     exactly one question, or the question is cut, or its name has a pointer
 *     (`dns_read_question` refuses such a name), the status is 1. (You need
 *     not look at what follows the question.) The reply then has the id, and
 *     may leave out the question. A reply with the status 1, 4 or 5 may say
 *     that it is authoritative, or not.
 * 11. It sets the bit TC when the reply would have more than 512 bytes.
 *     (`dns_write_record` writes each name in full. If you write names as
 *     pointers, more answers fit, which is right, too.) This reply has the
 *     question and no answers, and its status is 0. An OPT record makes no
 *     difference: the limit is always 512.
 * 12. It does not answer a reply, or a message of fewer than 12 bytes.
 *     Otherwise two name servers could talk to each other for ever.
 * 13. It goes on after all of these. Whatever bytes a client sends, the next
 *     question is answered.
 * 14. It reports a file that cannot be read, with exit status 1. The message
 *     says why, such as "No such file or directory".
 * 15. It reports output that cannot be written, with exit status 1. The reason
 *     is in words, such as "No space left on device" for a full disk.
 * 16. It refuses a wrong number of arguments, with exit status 2. The first
 *     line on standard error then begins with `usage:`.
 * 17. It refuses an invalid port, with exit status 1. A port is a number from
 *     0 to 65535, in digits alone.
 *
 * You may use `common/dns.h`, which also writes messages. Its comments say
 * how. The header comes first, but it says how many answers follow. So you may
 * write the header twice. When all answers are written, write it over the
 * first one: use a second `struct dns_writer` whose `bytes` and `size` are
 * the same and whose `length` is 0.
 *
 * What is here compiles, checks its arguments, and answers nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 30-dns-client HOSTS PORT\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);
    const char *port = argv[2];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 0, &number) < 0)
        errx(1, "%s is not a port: 0 to 65535", port);

    /* Your part: read the names in argv[1], listen, and answer. */
    return 0;
}
