/*
 * Feeds lesson 32's reply.c any bytes as the head of a request for a file,
 * whose length the first byte chooses. A part must lie inside of the file, and
 * a HEAD request never gets one.
 */
#define _GNU_SOURCE

#include "../../lessons/32-http-server/reply.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

static void try_head(const struct http_head *head, uint8_t choice) {
    static const off_t lengths[] = {0, 1, 10, 1000, INT64_MAX};
    struct stat status = {
        .st_size = lengths[choice % 5],
        .st_mtim = {.tv_sec = 784111777},
    };
    struct reply reply;
    memset(&reply, 0xff, sizeof reply);
    reply_for_file(&reply, head, &status);
    require(reply.total == (uint64_t)status.st_size);
    require(strlen(reply.etag) < sizeof reply.etag);
    switch (reply.status) {
    case 200:
        require(reply.first == 0 && reply.length == reply.total);
        break;
    case 206:
        require(reply.length > 0 && reply.length <= reply.total);
        require(reply.first <= reply.total - reply.length);
        require(http_text_is(&head->method, "GET"));
        break;
    case 304:
    case 412:
    case 416:
        require(reply.length == 0);
        break;
    default:
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct http_head head;
    const char *flaw;
    if (size == 0)
        return 0;
    char *copy = malloc(size);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes + 1, size - 1);
    if (http_parse_request(&head, copy, size - 1, &flaw) == HTTP_WHOLE)
        try_head(&head, bytes[0]);
    free(copy);
    return 0;
}
