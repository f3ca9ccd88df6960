/*
 * A right answer with a table of names, with read and write, and with memory
 * from malloc. The version is read by sscanf.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 65536, VERSION = 0, BOUND, COMPRESS, UNCOMPRESS, COUNT };

static const char *const names[COUNT] = {"zlibVersion", "compressBound",
                                         "compress", "uncompress"};
static void *functions[COUNT];

typedef const char *version_function(void);
typedef unsigned long bound_function(unsigned long);
typedef int convert_function(unsigned char *, unsigned long *,
                             const unsigned char *, unsigned long);

static _Noreturn void die(const char *why) {
    fprintf(stderr, "13-optional-import: %s\n", why);
    exit(1);
}

static int is_good(const char *version) {
    unsigned parts[3] = {0, 0, 0};
    /* The number in zlib is a small one. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(version, "%u.%u.%u", &parts[0], &parts[1], &parts[2]) < 1)
        return 0;
    if (parts[0] != 1)
        return 0;
    if (parts[1] != 2)
        return parts[1] > 2;
    return parts[2] >= 11;
}

/* Returns NULL if zlib can be used, or else why not. */
static const char *load(void) {
    void *library = dlopen("libz.so.1", RTLD_LAZY);
    if (library == NULL)
        return dlerror();
    for (int i = 0; i < COUNT; i++) {
        functions[i] = dlsym(library, names[i]);
        if (functions[i] == NULL)
            return names[i];
    }
    version_function *get = (version_function *)functions[VERSION];
    const char *version = get();
    return is_good(version) ? NULL : version;
}

/* Reads all of standard input, up to most bytes and one more. */
static unsigned char *slurp(size_t most, size_t *length) {
    unsigned char *bytes = malloc(most + 1);
    if (bytes == NULL)
        die("no memory");
    *length = 0;
    while (*length <= most) {
        ssize_t got = read(0, bytes + *length, most + 1 - *length);
        if (got == 0)
            return bytes;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            die(strerror(errno));
    }
    die("more than 65536 bytes");
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(1, at, length);
        if (written < 0 && errno != EINTR)
            die(strerror(errno));
        if (written > 0) {
            at += written;
            length -= (size_t)written;
        }
    }
}

static void pack(void) {
    size_t length;
    unsigned char *input = slurp(MOST, &length);
    const char *why = load();
    char line[40];
    if (why != NULL) {
        fprintf(stderr, "no zlib: %s\n", why);
        put(line, (size_t)sprintf(line, "plain %zu\n", length));
        put(input, length);
        return;
    }
    unsigned long size = ((bound_function *)functions[BOUND])(length);
    unsigned char *output = malloc(size);
    if (output == NULL)
        die("no memory");
    if (((convert_function *)functions[COMPRESS])(output, &size, input,
                                                  length) != 0)
        die("compress has failed");
    put(line, (size_t)sprintf(line, "zlib %zu\n", length));
    put(output, size);
}

static void unpack(void) {
    size_t length;
    unsigned char *message = slurp(1000000, &length);
    unsigned char *newline = memchr(message, '\n', length);
    if (newline == NULL)
        die("no line");
    *newline = '\0';
    const char *line = (char *)message;
    size_t line_length = (size_t)(newline - message);
    const char *digits;
    if (strncmp(line, "zlib ", 5) == 0)
        digits = line + 5;
    else if (strncmp(line, "plain ", 6) == 0)
        digits = line + 6;
    else
        die("another line");
    size_t wanted = 0;
    for (const char *at = digits; at < line + line_length; at++) {
        if (*at < '0' || *at > '9')
            die("LENGTH is not in digits");
        wanted = wanted * 10 + (size_t)(*at - '0');
        if (wanted > MOST)
            die("LENGTH is too large");
    }
    if (digits == line + line_length)
        die("no LENGTH");

    size_t rest = length - line_length - 1;
    if (line[0] == 'p') {
        if (rest != wanted)
            die("not LENGTH bytes");
        put(newline + 1, rest);
        return;
    }
    const char *why = load();
    if (why != NULL) {
        fprintf(stderr, "no zlib: %s\n", why);
        exit(1);
    }
    unsigned long size = wanted;
    unsigned char *output = malloc(wanted + 1);
    if (output == NULL)
        die("no memory");
    if (((convert_function *)functions[UNCOMPRESS])(output, &size, newline + 1,
                                                    rest) != 0)
        die("uncompress has failed");
    if (size != wanted)
        die("other than LENGTH bytes came out");
    put(output, size);
}

int main(int argc, char **argv) {
    if (argc == 1) {
        pack();
    } else if (argc == 2 && strcmp(argv[1], "-d") == 0) {
        unpack();
    } else {
        fprintf(stderr, "usage: 13-optional-import [-d]\n");
        return 2;
    }
    return 0;
}
