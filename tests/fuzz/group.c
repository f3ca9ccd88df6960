/* group: values of the options that join and leave groups, whole and cut. The
 * first byte chooses the level, the second one the option. */
#include <netinet/in.h>
#include <stdlib.h>

#include "../../lessons/36-xray/group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct group_change change;
    if (size < 2)
        return 0;
    int level = data[0] % 2 == 0 ? IPPROTO_IP : IPPROTO_IPV6;
    if (!group_parse(&change, level, data[1], data + 2, size - 2))
        return 0;
    FILE *out = fopen("/dev/null", "we");
    if (out == NULL)
        abort();
    group_write(out, &change);
    (void)fclose(out);
    return 0;
}
