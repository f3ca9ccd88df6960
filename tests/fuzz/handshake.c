/* handshake: TLS records as they cross the wire, whole, cut and damaged. */
#include <stdlib.h>
#include <string.h>

#include "../../lessons/36-xray/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[HANDSHAKE_TEXT_BYTES];
    const char *told = handshake_describe(data, size, size + size % 3, text);
    if (told != NULL && strlen(told) >= sizeof text)
        abort();
    return 0;
}
