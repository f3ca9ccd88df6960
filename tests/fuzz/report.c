/* report: frames with IGMP and MLD in them, whole, cut and damaged. */
#include <stdlib.h>

#include "../../lessons/36-xray/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct packet packet;
    struct report report;
    (void)packet_parse(&packet, data, size, size + size % 3);
    if (!report_parse(&report, &packet))
        return 0;
    if (report.name == NULL || report.count > size)
        abort();
    FILE *out = fopen("/dev/null", "we");
    if (out == NULL)
        abort();
    report_write(out, &report);
    (void)fclose(out);
    return 0;
}
