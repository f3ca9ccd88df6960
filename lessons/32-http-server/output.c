/* output: bytes that are put together in memory. */
#include "output.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 20 }; /* the digits of UINT64_MAX */

void output_require(struct output *output, size_t length) {
    size_t needed = output->length + length;
    if (needed <= output->room)
        return;
    output->room = 2 * needed; /* more will follow */
    output->bytes = realloc(output->bytes, output->room);
    if (output->bytes == NULL)
        err(1, "realloc");
}

void output_add_bytes(struct output *output, const char *bytes, size_t length) {
    output_require(output, length);
    memcpy(output->bytes + output->length, bytes, length);
    output->length += length;
}

void output_add_text(struct output *output, const char *text) {
    output_add_bytes(output, text, strlen(text));
}

void output_add_number(struct output *output, uint64_t number) {
    char digits[LONGEST_NUMBER];
    size_t begin = sizeof digits; /* the last digit comes first */
    do {
        begin--;
        digits[begin] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    output_add_bytes(output, digits + begin, sizeof digits - begin);
}
