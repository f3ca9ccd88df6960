/*
 * tell-response: what lesson 26's response.c makes of a reply.
 *
 *     tell-response <BYTES
 *
 * Prints `whole, 200`, with the status, or `unfinished`, or what is wrong. The
 * bytes are read all at once, and then again one by one. Both must give the
 * same.
 */
#define _GNU_SOURCE

#include "../../lessons/26-load-generator/response.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

/* Reads pieces of step bytes, and writes the result into told. */
static void tell(char *told, size_t room, const char *bytes, size_t length,
                 size_t step) {
    static struct response response;
    enum response_result result = RESPONSE_UNFINISHED;
    const char *flaw = NULL;
    response_begin(&response);
    for (size_t i = 0; i < length && result != RESPONSE_BAD; i += step) {
        size_t more = length - i;
        if (more > step)
            more = step;
        result = response_read(&response, bytes + i, more, &flaw);
    }
    if (result == RESPONSE_BAD)
        (void)snprintf(told, room, "%s", flaw);
    else if (result == RESPONSE_WHOLE)
        (void)snprintf(told, room, "whole, %u", response.status);
    else
        (void)snprintf(told, room, "unfinished");
}

int main(void) {
    static char bytes[1 << 20];
    char at_once[256];
    char one_by_one[256];
    size_t length = fread(bytes, 1, sizeof bytes, stdin);
    tell(at_once, sizeof at_once, bytes, length, sizeof bytes);
    tell(one_by_one, sizeof one_by_one, bytes, length, 1);
    if (strcmp(at_once, one_by_one) != 0)
        errx(1, "at once: %s; one by one: %s", at_once, one_by_one);
    puts(at_once);
    if (fflush(stdout) == EOF)
        err(1, "standard output");
    return 0;
}
