/*
 * 13 solution: messages that are compressed if zlib can be used, one good
 * answer of many.
 *
 * usage: 13-optional-import [-d]
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <err.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_BYTES = 65536,             /* the longest input of a message */
    MESSAGE_BYTES = 2 * MOST_BYTES, /* the longest message */
};

typedef unsigned char byte;

/* The functions that we use. Their types are those of zlib.h, which we don't
 * need for that. */
struct zlib {
    const char *(*version)(void);
    unsigned long (*bound)(unsigned long length);
    int (*compress)(byte *to, unsigned long *to_length, const byte *from,
                    unsigned long length);
    int (*uncompress)(byte *to, unsigned long *to_length, const byte *from,
                      unsigned long length);
};

/* Their names, and where in the struct each pointer is. */
static const struct symbol {
    const char *name;
    size_t offset;
} symbols[] = {
    {"zlibVersion", offsetof(struct zlib, version)},
    {"compressBound", offsetof(struct zlib, bound)},
    {"compress", offsetof(struct zlib, compress)},
    {"uncompress", offsetof(struct zlib, uncompress)},
};

enum { SYMBOLS = sizeof symbols / sizeof *symbols };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-d]\n", out);
    exit(status);
}

/* Compares number by number, because 1.2.11 is newer than 1.2.9. A number that
 * is left out counts as 0. */
static int is_new_enough(const char *version) {
    static const unsigned long wanted[] = {1, 2, 11};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        char *end;
        unsigned long number = strtoul(version, &end, 10);
        if (number != wanted[i])
            return i > 0 && number > wanted[i];
        if (*end == '.')
            version = end + 1;
        else
            version = "";
    }
    return 1;
}

/* Finds zlib and its functions. Returns 0, or -1 when zlib cannot be used; then
 * it has said why. dlerror must be called before the next call of its kind. */
static int find_zlib(struct zlib *zlib) {
    void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        warnx("no zlib: %s", dlerror());
        return -1;
    }
    for (size_t i = 0; i < SYMBOLS; i++) {
        void *function = dlsym(library, symbols[i].name);
        if (function == NULL) {
            warnx("no zlib: %s", dlerror());
            return -1;
        }
        memcpy((char *)zlib + symbols[i].offset, &function, sizeof function);
    }
    if (!is_new_enough(zlib->version())) {
        warnx("no zlib: it is version %s, not 1.2.11", zlib->version());
        return -1;
    }
    return 0;
}

/* Reads all of standard input. Returns its length, which is at most size. */
static size_t read_all(byte *bytes, size_t size) {
    size_t length = fread(bytes, 1, size, stdin);
    if (ferror(stdin))
        err(1, "standard input");
    if (getc(stdin) != EOF)
        errx(1, "more than %zu bytes", size);
    return length;
}

static void write_header(const char *kind, size_t length) {
    if (printf("%s %zu\n", kind, length) < 0)
        err(1, "standard output");
}

static void write_bytes(const byte *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length)
        err(1, "standard output");
    if (fflush(stdout) == EOF)
        err(1, "standard output");
}

/* Writes the input as a zlib message. From here on, whatever fails is an error,
 * and does not mean that there is no zlib. */
static void pack_with_zlib(const struct zlib *zlib, const byte *input,
                           size_t length) {
    unsigned long packed_length = zlib->bound(length);
    byte *packed = malloc(packed_length);
    if (packed == NULL)
        err(1, "malloc");
    int error = zlib->compress(packed, &packed_length, input, length);
    if (error != 0)
        errx(1, "compress: error %d", error);
    write_header("zlib", length);
    write_bytes(packed, packed_length);
    free(packed);
}

static void pack(void) {
    static byte input[MOST_BYTES];
    struct zlib zlib;
    size_t length = read_all(input, sizeof input);
    if (find_zlib(&zlib) == 0) {
        pack_with_zlib(&zlib, input, length);
        return;
    }
    write_header("plain", length);
    write_bytes(input, length);
}

/* Reads the digits up to end. Returns the number, or -1 when this is not a
 * number from 0 to MOST_BYTES. */
static long parse_length(const byte *digit, const byte *end) {
    long number = 0;
    if (digit == end)
        return -1;
    for (; digit < end; digit++) {
        if (*digit < '0' || *digit > '9')
            return -1;
        number = number * 10 + (*digit - '0');
        if (number > MOST_BYTES)
            return -1;
    }
    return number;
}

/* Reads the line "KIND LENGTH". Returns LENGTH, and in *body where the line
 * ends; or -1 when the message does not begin with such a line. */
static long parse_header(const byte *message, size_t length, const char *kind,
                         const byte **body) {
    size_t kind_length = strlen(kind);
    const byte *newline = memchr(message, '\n', length);
    if (newline == NULL)
        return -1;
    if ((size_t)(newline - message) < kind_length + 1)
        return -1;
    if (memcmp(message, kind, kind_length) != 0 || message[kind_length] != ' ')
        return -1;
    *body = newline + 1;
    return parse_length(message + kind_length + 1, newline);
}

/* Prints what is in the body of a zlib message. */
static void unpack_with_zlib(const byte *body, size_t length, size_t original) {
    static byte output[MOST_BYTES];
    struct zlib zlib;
    if (find_zlib(&zlib) < 0)
        exit(1);
    unsigned long unpacked = sizeof output;
    int error = zlib.uncompress(output, &unpacked, body, length);
    if (error != 0)
        errx(1, "uncompress: error %d", error);
    if (unpacked != original)
        errx(1, "%lu bytes came out, not %zu", unpacked, original);
    write_bytes(output, unpacked);
}

static void unpack(void) {
    static byte message[MESSAGE_BYTES];
    size_t length = read_all(message, sizeof message);
    const byte *end = message + length;
    const byte *body;

    long original = parse_header(message, length, "plain", &body);
    if (original >= 0) {
        if (end - body != original)
            errx(1, "the message has %td bytes, not %ld", end - body, original);
        write_bytes(body, (size_t)original);
        return;
    }
    original = parse_header(message, length, "zlib", &body);
    if (original < 0)
        errx(1, "this is not a message");
    unpack_with_zlib(body, (size_t)(end - body), (size_t)original);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc > 2)
        usage(stderr, 2);
    if (argc == 2 && strcmp(argv[1], "-d") != 0)
        usage(stderr, 2);
    (void)signal(SIGPIPE, SIG_IGN); /* write fails instead of killing us */
    if (argc == 2)
        unpack();
    else
        pack();
    return 0;
}
