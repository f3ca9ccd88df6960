/* socks: what a client and a proxy say, whole, cut and damaged. The first byte
 * of the data is the step before. */
#define _GNU_SOURCE

#include "../../lessons/36-xray/socks.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = NULL;
    size_t length;
    if (size < 2) /* data that are empty are no segment's */
        return 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    enum socks_step before = data[0] % (SOCKS_OTHER + 1);
    enum socks_step step = socks_write(out, before, data + 1, size - 1);
    (void)fclose(out);
    if ((step == SOCKS_OTHER) != (length == 0) || length > 500)
        abort();
    free(text);
    return 0;
}
