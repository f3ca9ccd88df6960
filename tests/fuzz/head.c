/* head: the first lines of HTTP, whole, cut and damaged. */
#define _GNU_SOURCE

#include "../../lessons/36-xray/head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    bool is_head = head_write(out, data, size);
    (void)fclose(out);
    /* Three parts of 64 bytes at the most, each of which becomes four
     * characters at the most. */
    if (is_head != (length > 0) || length > 1000)
        abort();
    free(text);
    return 0;
}
