/*
 * A right answer with stdio: the input is gathered by getchar into a stream in
 * memory, and the first line is read by getline. Its way out closes the
 * library.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 65536 }; /* the longest input of a message */

struct zlib {
    void *library;
    const char *(*zlibVersion)(void);
    unsigned long (*compressBound)(unsigned long length);
    int (*compress)(unsigned char *to, unsigned long *to_length,
                    const unsigned char *from, unsigned long length);
    int (*uncompress)(unsigned char *to, unsigned long *to_length,
                      const unsigned char *from, unsigned long length);
};

/* Version 2 and later ones are not good either. */
static int is_good(const char *version) {
    long numbers[3] = {0, 0, 0};
    const char *digits = version;
    for (int i = 0; i < 3; i++) {
        char *end;
        numbers[i] = strtol(digits, &end, 10);
        if (*end != '.')
            break;
        digits = end + 1;
    }
    if (numbers[0] != 1)
        return 0;
    if (numbers[1] != 2)
        return numbers[1] > 2;
    return numbers[2] >= 11;
}

/* Finds one function, and copies the pointer to it into *member, a member of
 * struct zlib. Returns 0, or -1 after it has said why. */
static int find_function(const struct zlib *zlib, const char *name,
                         void *member) {
    void *function = dlsym(zlib->library, name);
    if (function == NULL) {
        warnx("no zlib: %s", dlerror());
        return -1;
    }
    memcpy(member, &function, sizeof function);
    return 0;
}

static int find_functions(struct zlib *zlib) {
    if (find_function(zlib, "zlibVersion", &zlib->zlibVersion) < 0)
        return -1;
    if (find_function(zlib, "compressBound", &zlib->compressBound) < 0)
        return -1;
    if (find_function(zlib, "compress", &zlib->compress) < 0)
        return -1;
    if (find_function(zlib, "uncompress", &zlib->uncompress) < 0)
        return -1;
    if (!is_good(zlib->zlibVersion())) {
        warnx("no zlib: it is version %s", zlib->zlibVersion());
        return -1;
    }
    return 0;
}

/* Returns 0, or -1 if zlib cannot be used; then it has said why. */
static int open_zlib(struct zlib *zlib) {
    zlib->library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (zlib->library == NULL) {
        warnx("no zlib: %s", dlerror());
        return -1;
    }
    if (find_functions(zlib) < 0) {
        dlclose(zlib->library);
        return -1;
    }
    return 0;
}

/* Reads the rest of standard input, byte by byte. The caller frees it. */
static unsigned char *read_rest(size_t *length) {
    char *bytes = NULL;
    FILE *memory = open_memstream(&bytes, length);
    if (memory == NULL)
        err(1, "open_memstream");
    for (;;) {
        int byte = getchar();
        if (byte == EOF)
            break;
        if (putc(byte, memory) == EOF)
            err(1, "memory");
    }
    if (ferror(stdin))
        err(1, "standard input");
    if (fclose(memory) == EOF)
        err(1, "memory");
    return (unsigned char *)bytes;
}

static void pack_with_zlib(const struct zlib *zlib, const unsigned char *input,
                           size_t length) {
    unsigned long size = zlib->compressBound(length);
    unsigned char *output = malloc(size);
    if (output == NULL)
        err(1, "malloc");
    int error = zlib->compress(output, &size, input, length);
    if (error != 0)
        errx(1, "compress: error %d", error);
    printf("zlib %zu\n", length);
    fwrite(output, 1, size, stdout);
    free(output);
}

static void pack(void) {
    size_t length;
    unsigned char *input = read_rest(&length);
    if (length > MOST_BYTES)
        errx(1, "%zu bytes are too many", length);
    struct zlib zlib;
    if (open_zlib(&zlib) == 0) {
        pack_with_zlib(&zlib, input, length);
        dlclose(zlib.library);
    } else {
        printf("plain %zu\n", length);
        fwrite(input, 1, length, stdout);
    }
    free(input);
}

/* Ends the program unless exactly wanted bytes come out of the message. */
static void unpack_with_zlib(const unsigned char *bytes, size_t length,
                             size_t wanted) {
    struct zlib zlib;
    if (open_zlib(&zlib) < 0)
        exit(1);
    /* With room for one more byte, we notice if there are too many. */
    unsigned long size = wanted + 1;
    unsigned char *output = malloc(size);
    if (output == NULL)
        err(1, "malloc");
    int error = zlib.uncompress(output, &size, bytes, length);
    if (error != 0)
        errx(1, "uncompress: error %d", error);
    if (size != wanted)
        errx(1, "uncompress: %lu bytes, not %zu", size, wanted);
    fwrite(output, 1, size, stdout);
    free(output);
    dlclose(zlib.library);
}

static size_t parse_length(const char *digits) {
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
        errx(1, "no number: %s", digits);
    unsigned long length = strtoul(digits, NULL, 10);
    if (length > MOST_BYTES)
        errx(1, "%s is too much", digits);
    return length;
}

/* Reads the first line, without its newline. The caller frees it. */
static char *read_line(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length = getline(&line, &room, stdin);
    if (length <= 0 || line[length - 1] != '\n')
        errx(1, "no whole line");
    line[length - 1] = '\0';
    /* A NUL in the line would hide what is behind it. */
    if (strlen(line) != (size_t)length - 1)
        errx(1, "no such line");
    return line;
}

static void unpack(void) {
    char *line = read_line();
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        errx(1, "no such line");
    *blank = '\0'; /* now line is the kind alone */
    size_t wanted = parse_length(blank + 1);

    size_t length;
    unsigned char *bytes = read_rest(&length);
    if (strcmp(line, "zlib") == 0) {
        unpack_with_zlib(bytes, length, wanted);
    } else if (strcmp(line, "plain") == 0) {
        if (length != wanted)
            errx(1, "%zu bytes, not %zu", length, wanted);
        fwrite(bytes, 1, length, stdout);
    } else {
        errx(1, "%s: an unknown kind", line);
    }
    free(bytes);
    free(line);
}

int main(int argc, char *argv[]) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 1) {
        pack();
    } else if (argc == 2 && strcmp(argv[1], "-d") == 0) {
        unpack();
    } else {
        fprintf(stderr, "usage: %s [-d]\n", argv[0]);
        return 2;
    }
    if (fclose(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
