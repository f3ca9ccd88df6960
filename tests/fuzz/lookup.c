/* lookup: messages of DNS, whole, cut and damaged. */
#define _GNU_SOURCE

#include "../../lessons/36-xray/lookup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_words(const uint8_t *data, size_t size,
                          enum lookup_carrier carrier) {
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        abort();
    bool is_message = lookup_write(out, data, size, carrier);
    (void)fclose(out);
    if (is_message != (length > 0) || length > 500)
        abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    require_words(data, size, LOOKUP_DATAGRAM);
    require_words(data, size, LOOKUP_STREAM);
    return 0;
}
