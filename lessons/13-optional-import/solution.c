/*
 * 13 solution: messages, compressed where zlib is to be had; one good answer of
 * many.
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
    LARGEST = 1 << 16,           /* the longest input of a message, in bytes */
    MESSAGE_BYTES = 2 * LARGEST, /* and the longest message */
};

typedef unsigned char byte;

/* What zlib.h has of these; it is not needed, and need not be there. */
struct zlib {
    const char *(*version)(void);
    unsigned long (*bound)(unsigned long length);
    int (*compress)(byte *to, unsigned long *to_length, const byte *from,
                    unsigned long length);
    int (*uncompress)(byte *to, unsigned long *to_length, const byte *from,
                      unsigned long length);
};

static const struct {
    const char *name;
    size_t place;
} symbols[] = {
    {"zlibVersion", offsetof(struct zlib, version)},
    {"compressBound", offsetof(struct zlib, bound)},
    {"compress", offsetof(struct zlib, compress)},
    {"uncompress", offsetof(struct zlib, uncompress)},
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 13-optional-import [-d]\n", out);
    exit(status);
}

/* Number by number: 1.2.11 is newer than 1.2.9, and 1.3 is a whole version. */
static int is_new_enough(const char *version) {
    static const unsigned long wanted[] = {1, 2, 11};
    for (size_t i = 0; i < 3; i++) {
        char *end;
        unsigned long part = strtoul(version, &end, 10);
        if (part != wanted[i])
            return i > 0 && part > wanted[i];
        version = *end == '.' ? end + 1 : ""; /* nothing is 0 */
    }
    return 1;
}

/* Returns 1; or 0, and has said why. */
static int find_zlib(struct zlib *zlib) {
    void *library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        warnx("no zlib: %s", dlerror());
        return 0;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (symbol == NULL) {
            warnx("no zlib: %s", dlerror());
            return 0;
        }
        memcpy((char *)zlib + symbols[i].place, &symbol, sizeof symbol);
    }
    if (is_new_enough(zlib->version()))
        return 1;
    warnx("no zlib: its version is %s, and not 1.2.11", zlib->version());
    return 0;
}

/* Returns how many bytes there were; more than size are an error. */
static size_t read_all(byte *bytes, size_t size) {
    size_t length = fread(bytes, 1, size, stdin);
    if (ferror(stdin))
        err(1, "standard input");
    if (getc(stdin) != EOF)
        errx(1, "more than %zu bytes", size);
    return length;
}

static void write_message(const char *kind, size_t original, const byte *bytes,
                          size_t length) {
    if (kind != NULL && printf("%s %zu\n", kind, original) < 0)
        err(1, "standard output");
    if (fwrite(bytes, 1, length, stdout) != length || fflush(stdout) == EOF)
        err(1, "standard output");
}

static void pack(void) {
    static byte input[LARGEST];
    struct zlib zlib;
    size_t length = read_all(input, sizeof input);
    if (!find_zlib(&zlib)) {
        write_message("plain", length, input, length);
        return;
    }
    /* From here on nothing that fails means that there is no zlib. */
    unsigned long packed_length = zlib.bound(length);
    byte *packed = malloc(packed_length);
    if (packed == NULL)
        err(1, "malloc");
    int error = zlib.compress(packed, &packed_length, input, length);
    if (error != 0)
        errx(1, "compress: error %d", error);
    write_message("zlib", length, packed, packed_length);
    free(packed);
}

/* Reads "KIND LENGTH\n". Returns 1, and what follows is at *body. */
static int parse(const byte *message, size_t length, const char *kind,
                 unsigned long *original, const byte **body) {
    size_t start = strlen(kind);
    const byte *newline = memchr(message, '\n', length);
    if (newline == NULL || (size_t)(newline - message) <= start + 1 ||
        memcmp(message, kind, start) != 0 || message[start] != ' ')
        return 0;
    *original = 0;
    for (const byte *digit = message + start + 1; digit < newline; digit++) {
        if (*digit < '0' || *digit > '9' || *original > LARGEST)
            return 0;
        *original = *original * 10 + (*digit - '0');
    }
    *body = newline + 1;
    return *original <= LARGEST;
}

static void unpack(void) {
    static byte message[MESSAGE_BYTES], output[LARGEST];
    struct zlib zlib;
    unsigned long original;
    const byte *body;
    size_t length = read_all(message, sizeof message);
    if (parse(message, length, "plain", &original, &body)) {
        if (original != (size_t)(message + length - body))
            errx(1, "not of the length that it says");
        write_message(NULL, 0, body, original);
        return;
    }
    if (!parse(message, length, "zlib", &original, &body))
        errx(1, "not a message");
    if (!find_zlib(&zlib))
        exit(1);
    unsigned long got = sizeof output;
    int error =
        zlib.uncompress(output, &got, body, (size_t)(message + length - body));
    if (error != 0)
        errx(1, "uncompress: error %d", error);
    if (got != original)
        errx(1, "not of the length that it says");
    write_message(NULL, 0, output, got);
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
