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

struct zlib {
    void *library;
    const char *(*zlibVersion)(void);
    unsigned long (*compressBound)(unsigned long length);
    int (*compress)(unsigned char *to, unsigned long *to_length,
                    const unsigned char *from, unsigned long length);
    int (*uncompress)(unsigned char *to, unsigned long *to_length,
                      const unsigned char *from, unsigned long length);
};

static int is_old(const char *version) {
    static const long least[] = {1, 2, 11};
    for (int i = 0; i < 3; i++) {
        char *end;
        long number = strtol(version, &end, 10);
        if (i == 0 && number > 1)
            return 1;
        if (number != least[i])
            return number < least[i];
        version = end;
        if (*version == '.')
            version++;
        else
            version = "";
    }
    return 0;
}

/* Finds one function. It can be converted by way of a pointer to it. */
static int find(const struct zlib *zlib, const char *name, void *place) {
    dlerror();
    *(void **)place = dlsym(zlib->library, name);
    const char *error = dlerror();
    if (error != NULL)
        warnx("no zlib: %s", error);
    return error == NULL;
}

static int open_zlib(struct zlib *zlib) {
    zlib->library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (zlib->library == NULL) {
        warnx("no zlib: %s", dlerror());
        return 0;
    }
    if (!find(zlib, "zlibVersion", &zlib->zlibVersion) ||
        !find(zlib, "compressBound", &zlib->compressBound) ||
        !find(zlib, "compress", &zlib->compress) ||
        !find(zlib, "uncompress", &zlib->uncompress))
        goto fail;
    if (is_old(zlib->zlibVersion())) {
        warnx("no zlib: it is version %s", zlib->zlibVersion());
        goto fail;
    }
    return 1;
fail:
    dlclose(zlib->library);
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

static void pack(void) {
    size_t length;
    unsigned char *input = read_rest(&length);
    if (length > 65536)
        errx(1, "%zu bytes are too many", length);
    struct zlib zlib;
    if (open_zlib(&zlib)) {
        unsigned long size = zlib.compressBound(length);
        unsigned char *output = malloc(size);
        if (output == NULL)
            err(1, "malloc");
        int error = zlib.compress(output, &size, input, length);
        if (error != 0)
            errx(1, "compress: error %d", error);
        printf("zlib %zu\n", length);
        fwrite(output, size, 1, stdout);
        free(output);
        dlclose(zlib.library);
    } else {
        printf("plain %zu\n", length);
        fwrite(input, 1, length, stdout);
    }
    free(input);
}

static int unpack_zlib(const unsigned char *bytes, size_t length,
                       size_t wanted) {
    struct zlib zlib;
    if (!open_zlib(&zlib))
        return 1;
    int status = 1;
    unsigned long size = wanted + 1; /* one more would be too many */
    unsigned char *output = malloc(size);
    if (output == NULL) {
        warn("malloc");
        goto close;
    }
    int error = zlib.uncompress(output, &size, bytes, length);
    if (error != 0 || size != wanted) {
        warnx("uncompress: error %d, %lu bytes", error, size);
        goto release;
    }
    fwrite(output, 1, size, stdout);
    status = 0;
release:
    free(output);
close:
    dlclose(zlib.library);
    return status;
}

static int unpack(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t line_length = getline(&line, &room, stdin);
    if (line_length <= 0 || line[line_length - 1] != '\n')
        errx(1, "no whole line");
    line[line_length - 1] = '\0';
    char *blank = strchr(line, ' ');
    if (blank == NULL || strlen(line) != (size_t)line_length - 1)
        errx(1, "no such line");
    *blank = '\0';
    const char *digits = blank + 1;
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        errx(1, "no number: %s", digits);
    unsigned long wanted = strtoul(digits, NULL, 10);
    if (wanted > 65536)
        errx(1, "%s is too much", digits);

    size_t length;
    unsigned char *bytes = read_rest(&length);
    int status = 1;
    if (strcmp(line, "zlib") == 0) {
        status = unpack_zlib(bytes, length, wanted);
    } else if (strcmp(line, "plain") != 0) {
        warnx("%s: an unknown kind", line);
    } else if (length != wanted) {
        warnx("%zu bytes, not %lu", length, wanted);
    } else {
        fwrite(bytes, 1, length, stdout);
        status = 0;
    }
    free(bytes);
    free(line);
    return status;
}

int main(int argc, char *argv[]) {
    int status = 0;
    signal(SIGPIPE, SIG_IGN);
    if (argc == 1) {
        pack();
    } else if (argc == 2 && strcmp(argv[1], "-d") == 0) {
        status = unpack();
    } else {
        fprintf(stderr, "usage: %s [-d]\n", argv[0]);
        return 2;
    }
    if (fclose(stdout) == EOF)
        err(1, "standard output");
    return status;
}
