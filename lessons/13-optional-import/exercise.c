/*
 * 13 exercise: messages that are compressed if zlib can be used.
 *
 * A program stores messages. It makes them smaller with the library zlib, if
 * zlib is there. If it is not, the program works without it.
 *
 * You write this program. It is called as `13-optional-import`, and then it
 * packs: it reads standard input, and writes a message to standard output.
 * With `-d` it unpacks: it reads a message, and writes what was packed.
 *
 * A message begins with a line. The line `zlib LENGTH` means that the rest was
 * made by zlib's function `compress`. The line `plain LENGTH` means that the
 * rest is the input itself. LENGTH is the number of bytes of the input, in
 * decimal digits.
 *
 * Your program loads zlib while it runs. The library's name is `libz.so.1`.
 * You need four of its functions: `zlibVersion`, `compressBound`, `compress`
 * and `uncompress`. A comment in your file says what they do.
 *
 * 1. It packs its input with zlib, if zlib can be used. The message is the
 *    line `zlib LENGTH`, and then the bytes that `compress` made. The input
 *    may be empty, and it may arrive in many pieces. The status is 0.
 * 2. It packs its input as plain text if there is no zlib, and says why. The
 *    message is the line `plain LENGTH`, and then the input. Standard error
 *    gets a line that contains `no zlib: ` and the name of the file that
 *    could not be loaded. The status is 0, because this is not an error.
 * 3. It works without zlib if one of the four functions is missing. The line
 *    on standard error contains `no zlib: ` and the name of this function.
 * 4. It does not use a zlib that is too old, and uses one that is newer. zlib
 *    must be version 1.2.11 or newer, but not 2 or newer. Versions are
 *    compared number by number: 1.2.9 is older than 1.2.11, and 1.10.1 is
 *    newer. A number that is left out is 0, so 1.3 is newer too. What follows
 *    the third number does not matter. If the version is wrong, the line on
 *    standard error contains `no zlib: ` and the version.
 * 5. It reports an error of compress as an error, with status 1. It does not
 *    treat it as if there were no zlib. It prints nothing on standard output,
 *    and the reason on standard error.
 * 6. It unpacks both kinds of messages, with -d. For a plain message it needs
 *    no zlib.
 * 7. It refuses to unpack a zlib message if zlib cannot be used, with status
 *    1. It prints nothing on standard output. The line on standard error
 *    contains `no zlib: ` and the reason.
 * 8. It refuses an invalid message, with status 1. It prints nothing on
 *    standard output, and the reason on standard error. A message is invalid
 *    if it begins with another line, if LENGTH is not in digits alone or is
 *    more than 65536, if not exactly LENGTH bytes come out of it, or if
 *    `uncompress` reports an error. Note that a message may be a little longer
 *    than 65536 bytes. 131072 bytes are room enough for it.
 * 9. It packs up to 65536 bytes, and refuses more, with status 1. Then it
 *    prints nothing on standard output, and the reason on standard error.
 * 10. It builds without zlib's header, and still finds zlib. The header
 *     `zlib.h` may be missing where the program is built.
 * 11. It reports output that cannot be written, with status 1. An example is a
 *     full disk.
 * 12. It refuses wrong arguments, with status 2. It then prints a line that
 *     begins with `usage:` on standard error.
 *
 * What is here compiles, and packs as if there were no zlib anywhere. Your part
 * begins in find_zlib.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 65536 }; /* the longest input of a message */

/*
 * The four functions of zlib, with the types that zlib.h gives them.
 *
 *     const char *zlibVersion(void);
 *     unsigned long compressBound(unsigned long length);
 *     int compress(unsigned char *to, unsigned long *to_length,
 *                  const unsigned char *from, unsigned long length);
 *     int uncompress(unsigned char *to, unsigned long *to_length,
 *                    const unsigned char *from, unsigned long length);
 *
 * compress and uncompress read `length` bytes at `from`, and write to `to`.
 * Before the call, *to_length is how much room there is at `to`. After the
 * call, it is how many bytes were written. They return 0, or the number of an
 * error. compressBound returns how much room compress needs at most for so many
 * bytes. zlibVersion returns zlib's version as a text, such as "1.2.13".
 */
struct zlib {
    const char *(*version)(void);
    /* Add the other three here. */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-d]\n", out);
    exit(status);
}

/* Finds zlib and its functions. Returns 0. If zlib cannot be used, says why and
 * returns -1. */
static int find_zlib(struct zlib *zlib) {
    zlib->version = NULL;
    /* 1. Call dlopen, then dlsym for each function, then check the version. */
    return -1;
}

/* Reads all of standard input. Returns its length, which is at most size. */
static size_t read_all(unsigned char *bytes, size_t size) {
    size_t length = fread(bytes, 1, size, stdin);
    if (ferror(stdin))
        err(1, "standard input");
    if (getc(stdin) != EOF)
        errx(1, "more than %zu bytes", size);
    return length;
}

static void pack(void) {
    static unsigned char input[MOST_BYTES];
    struct zlib zlib;
    size_t length = read_all(input, sizeof input);
    if (find_zlib(&zlib) < 0) {
        printf("plain %zu\n", length);
        fwrite(input, 1, length, stdout);
        return;
    }
    /* 2. Call compress: here, and not in find_zlib. */
}

static void unpack(void) {
    /* 3. Which kind of message is it, and how long? Then call uncompress. */
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    if (argc == 1)
        pack();
    else if (argc == 2 && strcmp(argv[1], "-d") == 0)
        unpack();
    else
        usage(stderr, 2);
    return 0;
}
