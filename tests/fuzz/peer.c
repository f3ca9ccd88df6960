/* peer: the kernel's answer about a UNIX socket, whole, cut and damaged. */
#include <stdlib.h>

#include "../../lessons/36-xray/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t peer = 1;
    int result = peer_parse(data, size, &peer);
    if (result < 0 && peer != 0)
        abort();
    return 0;
}
