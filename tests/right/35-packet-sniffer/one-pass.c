/*
 * A right answer that reads the file once, with read(2), and keeps only what
 * may still become a handshake: each SYN, and each SYN ACK that answers one.
 * The frame is in a buffer of its very size.
 */
#define _GNU_SOURCE

#include "packet.h"
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A SYN, and what has answered it so far. */
struct try {
    struct packet syn;
    int64_t at;
    struct answer *answers;      /* in their order in the file */
    const struct answer *answer; /* the one that got an ACK, or NULL */
    int64_t acknowledged;
    struct try *next;
};

struct answer {
    int place; /* among the answers to its SYN */
    uint32_t sequence;
    int64_t at;
    struct answer *next;
};

struct file {
    const char *path;
    int fd;
    int is_big_endian;
    int has_nanoseconds;
};

static void *allocate(size_t length) {
    void *memory = calloc(1, length == 0 ? 1 : length);
    if (memory == NULL)
        err(1, "calloc");
    return memory;
}

/* Returns how many bytes there were; fewer than length only at the end. */
static size_t read_fully(const struct file *file, uint8_t *bytes,
                         size_t length) {
    size_t got = 0;
    while (got < length) {
        ssize_t n = read(file->fd, bytes + got, length - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err(1, "%s", file->path);
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return got;
}

static uint32_t number(const struct file *file, const uint8_t *bytes) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int place = file->is_big_endian ? i : 3 - i;
        value = value << 8 | bytes[place];
    }
    return value;
}

static void read_file_header(struct file *file) {
    uint8_t header[24];
    if (read_fully(file, header, sizeof header) < sizeof header)
        errx(1, "%s: too few bytes for pcap", file->path);
    file->is_big_endian = header[0] == 0xa1;
    uint32_t magic = number(file, header);
    file->has_nanoseconds = magic == 0xa1b23c4d;
    if (magic != 0xa1b2c3d4 && !file->has_nanoseconds)
        errx(1, "%s: this is not pcap", file->path);
    uint32_t type = number(file, header + 20);
    if (type != 1)
        errx(1, "%s: unknown link type %u", file->path, type);
}

static int ends_match(const struct packet *one, const struct packet *other) {
    return one->family == other->family &&
           memcmp(one->from.address, other->from.address, 16) == 0 &&
           memcmp(one->to.address, other->to.address, 16) == 0 &&
           one->from.port == other->from.port && one->to.port == other->to.port;
}

static int ends_match_in_reverse(const struct packet *one,
                                 const struct packet *other) {
    struct packet turned = *other;
    turned.from = other->to;
    turned.to = other->from;
    return ends_match(one, &turned);
}

static void add_syn(struct try **list, const struct packet *packet,
                    int64_t time) {
    while (*list != NULL)
        list = &(*list)->next;
    *list = allocate(sizeof **list);
    (*list)->syn = *packet;
    (*list)->at = time;
}

static void add_answer(struct try *list, const struct packet *packet,
                       int64_t time) {
    for (struct try *try = list; try != NULL; try = try->next) {
        if (!ends_match_in_reverse(packet, &try->syn))
            continue;
        if (packet->acknowledgement - try->syn.sequence != 1)
            continue;
        struct answer **answer = &try->answers;
        int place = 0;
        while (*answer != NULL) {
            answer = &(*answer)->next;
            place++;
        }
        *answer = allocate(sizeof **answer);
        (*answer)->place = place;
        (*answer)->sequence = packet->sequence;
        (*answer)->at = time;
    }
}

/* An answer that was sent again counts as the first one of its number. If more
 * than one number was acknowledged, the one that was sent first counts. */
static void complete(struct try *try, const struct packet *packet,
                     int64_t time) {
    if (!ends_match(packet, &try->syn))
        return;
    if (packet->sequence - try->syn.sequence != 1)
        return;
    for (const struct answer *answer = try->answers; answer != NULL;
         answer = answer->next) {
        if (packet->acknowledgement - answer->sequence != 1)
            continue;
        if (try->answer != NULL && answer->place >= try->answer->place)
            return;
        try->answer = answer;
        try->acknowledged = time;
        return;
    }
}

static void take(struct try **list, const struct packet *packet, int64_t time) {
    if (packet->kind != PACKET_TCP)
        return;
    if ((packet->flags & PACKET_RST) != 0)
        return;
    int is_syn = (packet->flags & PACKET_SYN) != 0;
    int is_ack = (packet->flags & PACKET_ACK) != 0;
    if (is_syn && is_ack)
        add_answer(*list, packet, time);
    else if (is_syn)
        add_syn(list, packet, time);
    else if (is_ack)
        for (struct try *try = *list; try != NULL; try = try->next)
            complete(try, packet, time);
}

static int read_record(const struct file *file, struct try **list) {
    uint8_t header[16];
    size_t got = read_fully(file, header, sizeof header);
    if (got == 0)
        return 0;
    if (got < sizeof header)
        errx(1, "%s: cut within a record's header", file->path);
    int64_t time = (int64_t)number(file, header) * 1000000000;
    int64_t part = number(file, header + 4);
    time += file->has_nanoseconds ? part : 1000 * part;
    uint32_t captured = number(file, header + 8);
    if (captured > 262144)
        errx(1, "%s: impossible length %u", file->path, captured);
    uint8_t *frame = allocate(captured);
    if (read_fully(file, frame, captured) < captured)
        errx(1, "%s: cut within a packet", file->path);
    struct packet packet;
    if (packet_parse(&packet, frame, captured, number(file, header + 12)) == 0)
        take(list, &packet, time);
    free(frame);
    return 1;
}

static int print_line(const char *what, int64_t nanoseconds) {
    return printf("%s %lld.%06lld\n", what,
                  (long long)(nanoseconds / 1000000000),
                  (long long)(nanoseconds % 1000000000 / 1000));
}

static int print_try(const struct try *try) {
    char text[PACKET_TEXT_BYTES];
    (void)printf("%s", packet_format_end(&try->syn, &try->syn.from, text));
    (void)printf(" > %s\n", packet_format_end(&try->syn, &try->syn.to, text));
    (void)print_line("SYN", 0);
    (void)print_line("SYN ACK", try->answer->at - try->at);
    (void)print_line("ACK", try->acknowledged - try->at);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        warn("output");
        return 1;
    }
    return 0;
}

static void free_all(struct try *list) {
    while (list != NULL) {
        struct try *next = list->next;
        while (list->answers != NULL) {
            struct answer *answer = list->answers;
            list->answers = answer->next;
            free(answer);
        }
        free(list);
        list = next;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    struct file file = {.path = argv[1]};
    struct try *list = NULL;
    file.fd = open(file.path, O_RDONLY | O_CLOEXEC);
    if (file.fd < 0)
        err(1, "%s", file.path);
    read_file_header(&file);
    int more = 1;
    while (more)
        more = read_record(&file, &list);
    close(file.fd);

    const struct try *first = list;
    while (first != NULL && first->answer == NULL)
        first = first->next;
    int status = 1;
    if (first == NULL)
        warnx("%s: there is no handshake", file.path);
    else
        status = print_try(first);
    free_all(list);
    return status;
}
