/* users: the names and passwords of those who may use a proxy. */
#define _GNU_SOURCE

#include "users.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    USERS_BYTES = 65536, /* the longest file */
    TEXT_BYTES = 256,    /* a name, or a password, with a NUL behind it */
};

char *users_read(const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    char *users = malloc(USERS_BYTES + 1);
    if (users == NULL)
        err(1, "malloc");
    size_t length = fread(users, 1, USERS_BYTES + 1, file);
    if (ferror(file))
        err(1, "%s", path);
    if (length > USERS_BYTES)
        errx(1, "%s: longer than %d bytes", path, USERS_BYTES);
    (void)fclose(file); /* we have only read from it */
    users[length] = '\0';
    return users;
}

/* Compares two texts of the same length. It always looks at all their bytes, so
 * the time that it takes does not say how many of them are right. */
static bool is_same(const char *a, const char *b, size_t length) {
    unsigned difference = 0;
    for (size_t i = 0; i < length; i++)
        difference |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return difference == 0;
}

bool users_have(const char *users, const char *name, const char *password) {
    char wanted[2 * TEXT_BYTES];
    size_t length =
        (size_t)snprintf(wanted, sizeof wanted, "%s:%s", name, password);
    const char *line = users;
    bool found = false;
    while (*line != '\0') {
        size_t line_length = strcspn(line, "\n");
        size_t text_length = line_length;
        /* Where another system has written the file, a line ends with a
         * carriage return, too. */
        if (text_length > 0 && line[text_length - 1] == '\r')
            text_length--;
        if (text_length == length && is_same(line, wanted, length))
            found = true;
        line += line_length;
        if (*line == '\n')
            line++;
    }
    return found;
}
