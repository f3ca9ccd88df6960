#define _GNU_SOURCE

#include "control.h"

#include <string.h>
#include <sys/socket.h>

/* Adds the descriptors of one part, whose data have length bytes. All are
 * counted, and the first ones stored. */
static void add_descriptors(struct control *control, const uint8_t *data,
                            size_t length) {
    size_t count = length / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int descriptor;
        memcpy(&descriptor, data + i * sizeof descriptor, sizeof descriptor);
        if (control->count < CONTROL_MOST)
            control->descriptors[control->count] = descriptor;
        control->count++;
    }
}

static void add_process(struct control *control, const uint8_t *data,
                        size_t length) {
    struct ucred credentials;
    if (length < sizeof credentials)
        return;
    memcpy(&credentials, data, sizeof credentials);
    control->has_process = true;
    control->process = credentials.pid;
}

/* Adds a part whose data have length bytes. With its header and padding, the
 * part has size bytes. */
static void add_part(struct control *control, const struct cmsghdr *header,
                     const uint8_t *data, size_t length, size_t size) {
    bool is_of_socket = header->cmsg_level == SOL_SOCKET;
    if (is_of_socket && header->cmsg_type == SCM_RIGHTS)
        add_descriptors(control, data, length);
    else if (is_of_socket && header->cmsg_type == SCM_CREDENTIALS)
        add_process(control, data, length);
    else
        control->other += size;
}

void control_parse(struct control *control, const uint8_t *bytes,
                   size_t length) {
    const size_t header_bytes = CMSG_LEN(0); /* with the padding behind it */
    *control = (struct control){0};
    while (length >= header_bytes) {
        struct cmsghdr header;
        memcpy(&header, bytes, sizeof header);
        if (header.cmsg_len < header_bytes || header.cmsg_len > length)
            return;
        size_t data_length = header.cmsg_len - header_bytes;
        /* The padding behind the last part may be missing. */
        size_t size = CMSG_SPACE(data_length);
        if (size > length)
            size = length;
        add_part(control, &header, bytes + header_bytes, data_length, size);
        bytes += size;
        length -= size;
    }
}

void control_write_numbers(FILE *out, const struct control *control) {
    const char *separator = "";
    for (size_t i = 0; i < control->count && i < CONTROL_MOST; i++) {
        (void)fprintf(out, "%s%d", separator, control->descriptors[i]);
        separator = ", ";
    }
    if (control->count > CONTROL_MOST)
        (void)fputs(" ...", out);
}

void control_write(FILE *out, const struct control *control) {
    if (control->count > 0) {
        const char *plural = "";
        if (control->count > 1)
            plural = "s";
        (void)fprintf(out, " + descriptor%s ", plural);
        control_write_numbers(out, control);
    }
    if (control->has_process)
        (void)fprintf(out, " + process %d", (int)control->process);
    if (control->other > 0)
        (void)fprintf(out, " and %zu bytes of control", control->other);
}
