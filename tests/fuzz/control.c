/* control: the control data of a message, whole, cut and damaged. */
#include <stdlib.h>

#include "../../lessons/36-xray/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct control control;
    control_parse(&control, data, size);
    if (control.count > size / sizeof(int) || control.other > size)
        abort();
    FILE *out = fopen("/dev/null", "we");
    if (out == NULL)
        abort();
    control_write(out, &control);
    (void)fclose(out);
    return 0;
}
