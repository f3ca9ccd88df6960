/*
 * 13 exercise: messages, compressed where zlib is to be had.
 *
 * usage: 13-optional-import [-d]
 *
 * From standard input to standard output: packs a message, `zlib LENGTH` and
 * what zlib's compress makes of the input; or, where there is no zlib, `plain
 * LENGTH` and the input. With -d it unpacks one. The README beside this file
 * says the rest.
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

enum { LARGEST = 1 << 16 }; /* the longest input of a message, in bytes */

/*
 * Four functions of zlib's, as zlib.h has them. The two in the middle return
 * 0, or an error. *to_length is, before, how much room there is at `to`
 * (compressBound says how much compress wants); and after, how much was put
 * there.
 *
 *     const char *zlibVersion(void);
 *     int compress(unsigned char *to, unsigned long *to_length,
 *                  const unsigned char *from, unsigned long length);
 *     int uncompress(unsigned char *to, unsigned long *to_length,
 *                    const unsigned char *from, unsigned long length);
 *     unsigned long compressBound(unsigned long length);
 */
struct zlib {
    const char *(*version)(void);
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-d]\n", out);
    exit(status);
}

/* Returns 1; or 0, when zlib is not to be had, and has said why. */
static int find_zlib(struct zlib *zlib) {
    zlib->version = NULL;
    /* 1. dlopen, dlsym for each function, and the version. */
    return 0;
}

/* Returns how many bytes there were; more than size are an error. */
static size_t read_all(unsigned char *bytes, size_t size) {
    size_t length = fread(bytes, 1, size, stdin);
    if (ferror(stdin))
        err(1, "standard input");
    if (getc(stdin) != EOF)
        errx(1, "more than %zu bytes", size);
    return length;
}

static void pack(void) {
    static unsigned char input[LARGEST];
    struct zlib zlib;
    size_t length = read_all(input, sizeof input);
    if (!find_zlib(&zlib)) {
        printf("plain %zu\n", length);
        fwrite(input, 1, length, stdout);
        return;
    }
    /* 2. compress: here, and not in find_zlib. */
}

static void unpack(void) {
    /* 3. Which kind of message is it, and how long? Then uncompress. */
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "-d") != 0))
        usage(stderr, 2);
    (void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error */
    if (argc == 2)
        unpack();
    else
        pack();
    return 0;
}
