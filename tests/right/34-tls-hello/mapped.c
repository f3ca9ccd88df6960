/* Maps the file into memory, keeps each list sorted while it grows, and keeps
 * all lines until the end. */
#define _GNU_SOURCE

#include "hello.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct node {
    unsigned number;
    struct node *next;
};

static void insert(struct node **list, unsigned number) {
    if (hello_is_grease(number))
        return;
    while (*list != NULL && (*list)->number < number)
        list = &(*list)->next;
    struct node *node = malloc(sizeof *node);
    if (node == NULL)
        err(1, "malloc");
    node->number = number;
    node->next = *list;
    *list = node;
}

/* Writes the numbers, and frees the list. */
static void write_list(FILE *text, struct node *list) {
    while (list != NULL) {
        struct node *next = list->next;
        fprintf(text, "%u-", list->number);
        free(list);
        list = next;
    }
    putc(',', text);
}

static void write_line(FILE *lines, const struct hello *hello) {
    struct node *suites = NULL;
    struct node *extensions = NULL;
    struct node *groups = NULL;
    for (size_t i = 0; i < hello->suites.count; i++)
        insert(&suites, hello_number(&hello->suites, i));
    for (size_t i = 0; i < hello->extension_count; i++)
        insert(&extensions, hello->extensions[i]);
    for (size_t i = 0; i < hello->groups.count; i++)
        insert(&groups, hello_number(&hello->groups, i));
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    if (stream == NULL)
        err(1, "open_memstream");
    write_list(stream, suites);
    write_list(stream, extensions);
    write_list(stream, groups);
    if (fclose(stream) != 0)
        err(1, "open_memstream");
    unsigned char hash[32];
    unsigned size;
    if (EVP_Digest(text, length, hash, &size, EVP_sha256(), NULL) != 1)
        errx(1, "EVP_Digest");
    free(text);
    fprintf(lines, "%02x%02x%02x%02x%02x%02x ", hash[0], hash[1], hash[2],
            hash[3], hash[4], hash[5]);
    for (size_t i = 0; i < hello->name.length; i++) {
        unsigned char c = (unsigned char)tolower(hello->name.bytes[i]);
        bool is_ascii = c < 128;
        bool is_letter_or_digit = is_ascii && isalnum(c);
        if (!is_letter_or_digit && c != '.' && c != '-')
            c = '?';
        putc(c, lines);
    }
    fputs(hello->name.length == 0 ? "-\n" : "\n", lines);
}

/* Returns NULL, or why there is no line. */
static const char *read_file(FILE *lines, const char *path) {
    static uint8_t message[HELLO_MESSAGE_BYTES];
    struct hello hello;
    struct stat status;
    size_t length;
    const char *why = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &status) < 0)
        why = strerror(errno);
    else if (S_ISDIR(status.st_mode))
        why = strerror(EISDIR);
    else if (status.st_size == 0)
        why = "it is empty";
    if (why != NULL) {
        close(fd);
        return why;
    }
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return strerror(errno);
    switch (hello_collect(bytes, size, message, &length)) {
    case HELLO_WHOLE:
        if (hello_parse(&hello, message, length) == 0)
            write_line(lines, &hello);
        else
            why = "it is damaged";
        break;
    case HELLO_UNFINISHED:
        why = "it is cut";
        break;
    default:
        why = "this is no ClientHello";
    }
    munmap(bytes, size);
    return why;
}

int main(int argc, char **argv) {
    int result = EXIT_SUCCESS;
    char *all = NULL;
    size_t length = 0;
    if (argc < 2) {
        fputs("usage: 34-tls-hello FILE...\n", stderr);
        return 2;
    }
    FILE *lines = open_memstream(&all, &length);
    if (lines == NULL)
        err(1, "open_memstream");
    for (int i = 1; i < argc; i++) {
        const char *why = read_file(lines, argv[i]);
        if (why != NULL) {
            warnx("%s: %s", argv[i], why);
            result = EXIT_FAILURE;
        }
    }
    if (fclose(lines) != 0)
        err(1, "open_memstream");
    fwrite(all, 1, length, stdout);
    free(all);
    if (fclose(stdout) != 0)
        err(1, "standard output");
    return result;
}
