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

enum {
    MOST_BYTES = 65536,      /* the longest input of a message */
    MESSAGE_BYTES = 1000000, /* more than any message has */
    HEADER_BYTES = 40,       /* more than the first line has */
};

/* Where each function is in the table. */
enum {
    VERSION,
    BOUND,
    COMPRESS,
    UNCOMPRESS,
    FUNCTIONS,
};

static const char *const names[FUNCTIONS] = {"zlibVersion", "compressBound",
                                             "compress", "uncompress"};
static void *functions[FUNCTIONS];

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

/* Fills the table of functions. Returns NULL if zlib can be used. If not, it
 * returns the reason. */
static const char *load_zlib(void) {
    void *library = dlopen("libz.so.1", RTLD_LAZY);
    if (library == NULL)
        return dlerror();
    for (int i = 0; i < FUNCTIONS; i++) {
        functions[i] = dlsym(library, names[i]);
        if (functions[i] == NULL)
            return names[i];
    }
    version_function *get_version = (version_function *)functions[VERSION];
    const char *version = get_version();
    if (!is_good(version))
        return version;
    return NULL;
}

/* Reads all of standard input. Ends the program if that is more than most
 * bytes. So there has to be room for one more. */
static unsigned char *read_all(size_t most, size_t *length) {
    unsigned char *bytes = malloc(most + 1);
    if (bytes == NULL)
        die("no memory");
    size_t done = 0;
    while (done <= most) {
        ssize_t count = read(STDIN_FILENO, bytes + done, most + 1 - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            die(strerror(errno));
        if (count == 0) {
            *length = done;
            return bytes;
        }
        done += (size_t)count;
    }
    die("too many bytes");
}

static void write_all(const void *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        ssize_t written =
            write(STDOUT_FILENO, (const char *)bytes + done, length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            die(strerror(errno));
        done += (size_t)written;
    }
}

static void write_header(const char *kind, size_t length) {
    char line[HEADER_BYTES];
    int line_length = snprintf(line, sizeof line, "%s %zu\n", kind, length);
    write_all(line, (size_t)line_length);
}

static void pack(void) {
    size_t length;
    unsigned char *input = read_all(MOST_BYTES, &length);
    const char *reason = load_zlib();
    if (reason != NULL) {
        fprintf(stderr, "no zlib: %s\n", reason);
        write_header("plain", length);
        write_all(input, length);
        return;
    }
    bound_function *bound = (bound_function *)functions[BOUND];
    convert_function *compress = (convert_function *)functions[COMPRESS];
    unsigned long size = bound(length);
    unsigned char *output = malloc(size);
    if (output == NULL)
        die("no memory");
    if (compress(output, &size, input, length) != 0)
        die("compress has failed");
    write_header("zlib", length);
    write_all(output, size);
}

static size_t parse_length(const unsigned char *digits, size_t count) {
    size_t length = 0;
    if (count == 0)
        die("no LENGTH");
    for (size_t i = 0; i < count; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            die("LENGTH is not in digits");
        length = length * 10 + (size_t)(digits[i] - '0');
        if (length > MOST_BYTES)
            die("LENGTH is too large");
    }
    return length;
}

static void unpack_plain(const unsigned char *body, size_t length,
                         size_t wanted) {
    if (length != wanted)
        die("not LENGTH bytes");
    write_all(body, length);
}

static void unpack_with_zlib(const unsigned char *body, size_t length,
                             size_t wanted) {
    const char *reason = load_zlib();
    if (reason != NULL) {
        fprintf(stderr, "no zlib: %s\n", reason);
        exit(1);
    }
    convert_function *uncompress = (convert_function *)functions[UNCOMPRESS];
    unsigned long size = wanted;
    /* malloc may return NULL for 0 bytes, so we always ask for one more. */
    unsigned char *output = malloc(wanted + 1);
    if (output == NULL)
        die("no memory");
    if (uncompress(output, &size, body, length) != 0)
        die("uncompress has failed");
    if (size != wanted)
        die("other than LENGTH bytes came out");
    write_all(output, size);
}

static void unpack(void) {
    size_t length;
    unsigned char *message = read_all(MESSAGE_BYTES, &length);
    unsigned char *newline = memchr(message, '\n', length);
    if (newline == NULL)
        die("no line");
    size_t line_length = (size_t)(newline - message);
    const unsigned char *body = newline + 1;
    size_t body_length = length - line_length - 1;

    if (line_length >= 5 && memcmp(message, "zlib ", 5) == 0) {
        size_t wanted = parse_length(message + 5, line_length - 5);
        unpack_with_zlib(body, body_length, wanted);
    } else if (line_length >= 6 && memcmp(message, "plain ", 6) == 0) {
        size_t wanted = parse_length(message + 6, line_length - 6);
        unpack_plain(body, body_length, wanted);
    } else {
        die("another line");
    }
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
