/*
 * Feeds lesson 32's files.c any bytes as the target of a request. A path that
 * may be looked for must not begin with a slash, and none of its parts with a
 * dot, unless it is the root itself.
 */
#define _GNU_SOURCE

#include "../../lessons/32-http-server/files.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    char path[FILES_PATH_BYTES];
    char *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, bytes, size);
    const struct http_text target = {.bytes = copy, .length = size};
    enum files_result result = files_parse_target(&target, path);
    free(copy);
    require(result == FILES_FILE || result == FILES_NONE ||
            result == FILES_BAD);
    if (result != FILES_FILE)
        return 0;
    require(memchr(path, '\0', sizeof path) != NULL);
    (void)files_type(path);
    if (strcmp(path, ".") == 0)
        return 0;
    require(path[0] != '\0' && path[0] != '/' && path[0] != '.');
    require(strstr(path, "/.") == NULL);
    return 0;
}
