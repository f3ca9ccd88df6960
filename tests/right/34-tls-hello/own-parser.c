/* Without common/hello.h: takes the bytes out of the records by itself, and
 * reads the message with a cursor that remembers its first mistake. */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool *bad;
};

static unsigned take(struct cursor *c, int width) {
    unsigned number = 0;
    if (c->end - c->at < width) {
        *c->bad = true;
        c->at = c->end;
        return 0;
    }
    while (width-- > 0)
        number = number << 8 | *c->at++;
    return number;
}

static struct cursor sub(struct cursor *c, unsigned length) {
    struct cursor part = {c->at, c->end, c->bad};
    if ((size_t)(c->end - c->at) < length) {
        *c->bad = true;
        part.end = part.at;
        c->at = c->end;
        return part;
    }
    part.end = part.at + length;
    c->at += length;
    return part;
}

static struct cursor field(struct cursor *c, int width) {
    unsigned length = take(c, width);
    return sub(c, length);
}

struct set {
    size_t count;
    uint16_t numbers[32768];
};

static struct set suites, extensions, groups;

static void add(struct set *set, unsigned number) {
    for (unsigned i = 0; i < 16; i++)
        if (number == (i * 16 + 10) * 257)
            return;
    set->numbers[set->count++] = (uint16_t)number;
}

static void add_all(struct set *set, struct cursor c) {
    while (c.at < c.end)
        add(set, take(&c, 2));
}

static int by_value(const void *a, const void *b) {
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

static void write_set(FILE *out, struct set *set) {
    qsort(set->numbers, set->count, 2, by_value);
    for (size_t i = 0; i < set->count; i++)
        fprintf(out, "%d-", set->numbers[i]);
    fputc(',', out);
}

/* Returns what is wrong, or NULL. */
static const char *read_hello(const uint8_t *bytes, size_t length,
                              struct cursor *name) {
    static uint8_t message[1 << 20];
    size_t have = 0;
    size_t want = 4;
    bool bad = false;
    struct cursor file = {bytes, bytes + length, &bad};
    while (have < want) {
        if (file.at == file.end)
            return have == 0 ? "there is nothing in it" : "it is cut";
        if (*file.at != 22)
            return "this is no ClientHello";
        if (file.end - file.at < 5)
            return "it is cut";
        take(&file, 3);
        size_t record = take(&file, 2);
        for (; record > 0 && file.at < file.end && have < want; record--) {
            message[have++] = *file.at++;
            if (have == 1 && message[0] != 1)
                return "this is another message";
            if (have == 4)
                want = 4 + (size_t)(message[1] << 16 | message[2] << 8 |
                                    message[3]);
            if (want > sizeof message)
                return "it is too long";
        }
    }
    struct cursor c = {message + 4, message + have, &bad};
    sub(&c, 2 + 32);
    field(&c, 1);
    add_all(&suites, field(&c, 2));
    field(&c, 1);
    if (c.at < c.end) {
        struct cursor list = field(&c, 2);
        while (list.at < list.end) {
            unsigned type = take(&list, 2);
            struct cursor body = field(&list, 2);
            add(&extensions, type);
            if (type == 0) {
                struct cursor names = field(&body, 2);
                take(&names, 1);
                *name = field(&names, 2);
            } else if (type == 10)
                add_all(&groups, field(&body, 2));
        }
    }
    return bad ? "a length in it is wrong" : NULL;
}

static void print_line(struct cursor name) {
    char *text;
    size_t length;
    uint8_t digest[EVP_MAX_MD_SIZE];
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        err(1, "open_memstream");
    write_set(out, &suites);
    write_set(out, &extensions);
    write_set(out, &groups);
    fclose(out);
    if (EVP_Digest(text, length, digest, NULL, EVP_sha256(), NULL) != 1)
        errx(1, "EVP_Digest");
    free(text);
    for (int i = 0; i < 6; i++)
        printf("%02x", digest[i]);
    putchar(' ');
    if (name.at == name.end)
        putchar('-');
    for (; name.at < name.end; name.at++) {
        uint8_t c = *name.at;
        if (c >= 'A' && c <= 'Z')
            c |= 32;
        bool known = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-';
        if (!known)
            c = '?';
        putchar(c);
    }
    putchar('\n');
}

static int do_file(const char *path) {
    static uint8_t bytes[1 << 20];
    size_t length = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        warn("%s", path);
        return 1;
    }
    while ((got = read(fd, bytes + length, sizeof bytes - length)) > 0)
        length += (size_t)got;
    if (got < 0) {
        warn("%s", path);
        close(fd);
        return 1;
    }
    close(fd);
    struct cursor name = {0};
    suites.count = extensions.count = groups.count = 0;
    const char *problem = read_hello(bytes, length, &name);
    if (problem != NULL) {
        warnx("%s: %s", path, problem);
        return 1;
    }
    print_line(name);
    return 0;
}

int main(int argc, char **argv) {
    int status = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        status |= do_file(argv[i]);
    if (fflush(stdout) != 0 || ferror(stdout))
        err(1, "stdout");
    return status;
}
