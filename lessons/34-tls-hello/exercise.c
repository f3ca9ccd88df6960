/*
 * 34 exercise: a fingerprint that stays the same.
 *
 * A web site is visited by many scripts that say they are browsers. A
 * colleague has saved the first bytes of some connections, each in a file. You
 * write a program that prints a fingerprint for each file. It must be the same
 * for each connection of a browser. Chrome shuffles only its extensions, but
 * we sort all three lists: the cipher suites, the extensions and the groups.
 *
 * It is called as `34-tls-hello FILE...`. A file has the bytes that a client
 * has sent, from the first one on: TLS records, and perhaps more behind the
 * ClientHello. You may use `common/hello.h`, which reads the message.
 *
 * The fingerprint is made like this. Leave out GREASE. Sort the cipher suites
 * as numbers, so that 9 comes before 10. Write each of them in decimal digits
 * with a hyphen behind it. Then write a comma. Do the same with the types of
 * the extensions, and with the groups. For the suites 4866 and 4865, the
 * extensions 10 and 0, and the group 29, the text is `4865-4866-,0-10-,29-,`.
 * An empty list leaves only its comma: `4865-,,,`. The fingerprint is the
 * first six bytes of its SHA-256, in hexadecimal digits: here `f03f439f94ae`.
 *
 * 1. It prints a line for each file: the fingerprint, a blank, and the name.
 *    The lines come in the order of the arguments.
 * 2. It prints the name in small letters. In place of a byte that is not a
 *    letter, a digit, a dot or a hyphen, it prints `?`. (`report.c` also
 *    allows `_` and `/`. Your program does not.) If the client sends no name,
 *    it prints `-`. The client may send a name of thousands of bytes. Your
 *    program prints all of it.
 * 3. It makes the fingerprint as the text above says.
 * 4. It leaves out GREASE. These are the 16 numbers 0x0a0a, 0x1a1a, 0x2a2a,
 *    and so on, up to 0xfafa.
 * 5. It prints the same fingerprint when the lists are in another order. A
 *    suite or a group that stands in its list twice is written twice.
 * 6. It reads a ClientHello that is divided into several records. A record may
 *    have only one byte.
 * 7. It ignores what stands behind the ClientHello.
 * 8. It reports a file without a ClientHello. On standard error it says which
 *    file that is, and why, in one line. It then goes on with the other files,
 *    and the status at the end is 1.
 * 9. It reports a ClientHello that is cut or damaged. It does so as in 8: on
 *    standard error it says which file that is, and why. On standard output
 *    there is no line for such a file. Your program refuses what
 *    `hello_collect` and `hello_parse` refuse, and it needs no other checks.
 *    (A ClientHello is cut if its end is missing.) For example, they refuse a
 *    length that leads outside of the message, and an extension that comes
 *    twice. An empty file may count as cut, or as a file without a
 *    ClientHello. The words of the reasons are yours.
 * 10. It reports a file that it cannot read, in the same way. The reason is in
 *     words, such as "No such file or directory" or "Is a directory".
 * 11. It reports output that cannot be written, with status 1. The reason is
 *     in words, such as "No space left on device" for a full disk. Your
 *     program may then end at once, without the other files.
 * 12. It refuses to run without arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 *
 * What is here compiles, and says of each file whether there is a ClientHello
 * in it. Your part begins in print_file; for 8 to 11, main changes too.
 */
#define _GNU_SOURCE

#include "hello.h"

#include <err.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* We read no more of a file. A record with one byte of the message has six
 * bytes, so the longest message can have six times its length in records. */
enum { FILE_BYTES = 6 * HELLO_MESSAGE_BYTES };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 34-tls-hello FILE...\n", out);
    exit(status);
}

static void print_file(const char *path) {
    static uint8_t bytes[FILE_BYTES];
    static uint8_t message[HELLO_MESSAGE_BYTES];
    size_t message_length;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);

    /* Your part: the fingerprint and the name. EVP_sha256 is used as in
     * print_fingerprint of report.c. */
    if (hello_collect(bytes, length, message, &message_length) == HELLO_WHOLE)
        printf("%s: a ClientHello of %zu bytes\n", path, message_length);
    else
        printf("%s: no ClientHello\n", path);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2)
        usage(stderr, 2);
    for (int i = 1; i < argc; i++)
        print_file(argv[i]);
    return 0;
}
