#define _GNU_SOURCE

#include "control.h"

#include <string.h>
#include <sys/socket.h>

/* Keeps the descriptors of one part, whose data have length bytes. */
static void add_descriptors(struct control *control, const uint8_t *data,
                            size_t length) {
    size_t count = length / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        if (control->count < CONTROL_MOST)
            memcpy(&control->descriptors[control->count],
                   data + i * sizeof(int), sizeof(int));
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

/* Adds a part whose data have length bytes; with its header and what follows
 * it, there are `left` bytes. */
static void add_part(struct control *control, const struct cmsghdr *header,
                     const uint8_t *data, size_t length, size_t left) {
    size_t space = CMSG_SPACE(length);
    bool is_ours = header->cmsg_level == SOL_SOCKET;
    if (is_ours && header->cmsg_type == SCM_RIGHTS)
        add_descriptors(control, data, length);
    else if (is_ours && header->cmsg_type == SCM_CREDENTIALS)
        add_process(control, data, length);
    else if (space < left)
        control->other += space;
    else
        control->other += left;
}

void control_parse(struct control *control, const uint8_t *bytes,
                   size_t length) {
    *control = (struct control){0};
    while (length >= CMSG_LEN(0)) {
        struct cmsghdr header;
        memcpy(&header, bytes, sizeof header);
        size_t part = header.cmsg_len;
        if (part < CMSG_LEN(0) || part > length)
            return;
        add_part(control, &header, bytes + CMSG_LEN(0), part - CMSG_LEN(0),
                 length);
        /* The next part begins where a header may stand. */
        size_t step = CMSG_SPACE(part - CMSG_LEN(0));
        if (step > length)
            return;
        bytes += step;
        length -= step;
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
        (void)fprintf(out, " + descriptor%s ", control->count > 1 ? "s" : "");
        control_write_numbers(out, control);
    }
    if (control->has_process)
        (void)fprintf(out, " + process %d", (int)control->process);
    if (control->other > 0)
        (void)fprintf(out, " and %zu bytes of control", control->other);
}
