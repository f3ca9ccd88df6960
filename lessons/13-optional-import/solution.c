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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_BYTES = 65536,             /* the longest input of a message */
    MESSAGE_BYTES = 2 * MOST_BYTES, /* the longest message */
};

typedef unsigned char byte;

/* The functions that we use, with the types that zlib.h gives them. We have
 * written the types down here, so we do not need zlib.h itself. */
struct zlib {
    const char *(*version)(void);
    unsigned long (*bound)(unsigned long length);
    int (*compress)(byte *to, unsigned long *to_length, const byte *from,
                    unsigned long length);
    int (*uncompress)(byte *to, unsigned long *to_length, const byte *from,
                      unsigned long length);
};

/* Three numbers, as in 1.2.11. */
struct version {
    unsigned long major;
    unsigned long minor;
    unsigned long patch;
};

/* The name of a function, and the member of the struct that shall point to the
 * function. */
struct symbol {
    const char *name;
    void *member;
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-d]\n", out);
    exit(status);
}

/* Reads a version, such as "1.2.11". A number that is left out is 0. */
static struct version parse_version(const char *text) {
    unsigned long numbers[3] = {0, 0, 0};
    for (size_t i = 0; i < 3; i++) {
        char *end;
        numbers[i] = strtoul(text, &end, 10);
        if (*end != '.')
            break;
        text = end + 1;
    }
    return (struct version){numbers[0], numbers[1], numbers[2]};
}

/* Returns whether this is version 1.2.11 or newer, but not 2 or newer. We
 * compare number by number, because 1.2.11 is newer than 1.2.9. */
static int is_new_enough(struct version version) {
    if (version.major != 1)
        return 0;
    if (version.minor != 2)
        return version.minor > 2;
    return version.patch >= 11;
}

/* Finds zlib and its functions. Returns 0. If zlib cannot be used, says why and
 * returns -1. dlerror is called right after the call that failed, because the
 * next call of dlopen or dlsym would overwrite the reason. */
static int find_zlib(struct zlib *zlib) {
    const struct symbol symbols[] = {
        {"zlibVersion", &zlib->version},
        {"compressBound", &zlib->bound},
        {"compress", &zlib->compress},
        {"uncompress", &zlib->uncompress},
    };
    enum { SYMBOLS = sizeof symbols / sizeof *symbols };
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
        /* C cannot convert a void * to a pointer to a function. But POSIX says
         * that both have the same form, so we copy it: dlsym(3). */
        memcpy(symbols[i].member, &function, sizeof function);
    }
    const char *version = zlib->version();
    if (!is_new_enough(parse_version(version))) {
        warnx("no zlib: it is version %s, not 1.2.11", version);
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

/* Reads a number from count digits. Returns the number, or -1 when this is not
 * a number from 0 to MOST_BYTES. */
static long parse_length(const byte *digits, size_t count) {
    long number = 0;
    if (count == 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -1;
        number = number * 10 + (digits[i] - '0');
        if (number > MOST_BYTES)
            return -1;
    }
    return number;
}

/* Reads the line "KIND LENGTH". Returns LENGTH, and lets *body point to the
 * first byte behind the line. If the message does not begin with such a line,
 * returns -1. */
static long parse_header(const byte *message, size_t length, const char *kind,
                         const byte **body) {
    const byte *newline = memchr(message, '\n', length);
    if (newline == NULL)
        return -1;
    size_t line_length = (size_t)(newline - message);
    size_t kind_length = strlen(kind);
    size_t before_digits = kind_length + 1; /* the kind and a blank */
    if (line_length < before_digits)
        return -1;
    if (memcmp(message, kind, kind_length) != 0 || message[kind_length] != ' ')
        return -1;
    *body = newline + 1;
    return parse_length(message + before_digits, line_length - before_digits);
}

/* Prints what is in the body of a zlib message. */
static void unpack_with_zlib(const byte *body, size_t length,
                             size_t original_length) {
    static byte output[MOST_BYTES];
    struct zlib zlib;
    if (find_zlib(&zlib) < 0)
        exit(1);
    unsigned long unpacked = sizeof output;
    int error = zlib.uncompress(output, &unpacked, body, length);
    if (error != 0)
        errx(1, "uncompress: error %d", error);
    if (unpacked != original_length)
        errx(1, "%lu bytes came out, not %zu", unpacked, original_length);
    write_bytes(output, unpacked);
}

static void unpack(void) {
    static byte message[MESSAGE_BYTES];
    size_t length = read_all(message, sizeof message);
    const byte *end = message + length;
    const byte *body; /* it goes on until end */

    long original_length = parse_header(message, length, "plain", &body);
    if (original_length >= 0) {
        if (end - body != original_length)
            errx(1, "the message has %td bytes, not %ld", end - body,
                 original_length);
        write_bytes(body, (size_t)original_length);
        return;
    }
    original_length = parse_header(message, length, "zlib", &body);
    if (original_length < 0)
        errx(1, "this is not a message");
    unpack_with_zlib(body, (size_t)(end - body), (size_t)original_length);
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
