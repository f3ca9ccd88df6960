/* A table of records is made when the file is read; an answer is whatever in it
 * has the name and the type. The file is read by one read after the other. */
#include "addr.h"
#include "dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct record {
    struct dns_name name;
    uint16_t type;
    uint8_t data[DNS_NAME_BYTES];
    size_t length;
};

static struct record *table;
static size_t used, room;

static void add(const struct dns_name *name, uint16_t type, const void *data,
                size_t length) {
    if (used == room) {
        room = 2 * room + 16;
        table = realloc(table, room * sizeof *table);
        if (table == NULL)
            err(1, "realloc");
    }
    struct record *r = &table[used++];
    r->name = *name;
    r->type = type;
    memcpy(r->data, data, length);
    r->length = length;
}

static char *read_all(const char *path) {
    size_t size = 4096, length = 0;
    char *text = malloc(size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", path);
    for (;;) {
        if (length + 1 == size) {
            size *= 2;
            char *more = realloc(text, size);
            if (more == NULL)
                err(1, "realloc");
            text = more;
        }
        if (text == NULL)
            err(1, "malloc");
        ssize_t got = read(fd, text + length, size - length - 1);
        if (got < 0)
            err(1, "%s", path);
        if (got == 0)
            break;
        length += (size_t)got;
    }
    close(fd);
    text[length] = '\0';
    return text;
}

static void use_line(char *line) {
    uint8_t address[16];
    char *at = line, *words[2000];
    int count = 0;
    while (*at != '\0' && *at != '#' && count < 2000) {
        if (isspace((unsigned char)*at)) {
            *at++ = '\0';
            continue;
        }
        words[count++] = at;
        while (*at != '\0' && *at != '#' && !isspace((unsigned char)*at))
            at++;
    }
    *at = '\0';
    if (count == 0)
        return;
    uint16_t type = DNS_A;
    size_t size = 4;
    if (inet_pton(AF_INET, words[0], address) != 1) {
        if (inet_pton(AF_INET6, words[0], address) != 1)
            return;
        type = DNS_AAAA;
        size = 16;
    }
    struct dns_name reverse, name;
    dns_name_reverse(&reverse, words[0]);
    for (int i = 1; i < count; i++) {
        if (dns_name_parse(&name, words[i]) < 0)
            continue;
        add(&name, type, address, size);
        add(&reverse, DNS_PTR, name.bytes, name.length);
    }
}

static size_t status_only(uint8_t *reply, struct dns_header h,
                          unsigned status) {
    struct dns_writer w = {.bytes = reply, .size = 512};
    h.status = status;
    dns_write_header(&w, &h);
    return w.length;
}

static size_t reply_to(struct dns_message *m, uint8_t *reply) {
    struct dns_header in, out = {.is_reply = true, .is_authoritative = true};
    struct dns_question q;
    if (dns_read_header(m, &in) < 0 || in.is_reply)
        return 0;
    out.id = in.id;
    out.wants_recursion = in.wants_recursion;
    if (in.operation != 0)
        return status_only(reply, out, 4);
    if (in.questions != 1 || dns_read_question(m, &q) < 0)
        return status_only(reply, out, 1);
    out.questions = 1;
    struct dns_writer w = {.bytes = reply, .size = 512};
    dns_write_header(&w, &out);
    dns_write_question(&w, &q);
    size_t begin = w.length;
    if (q.class != 1 ||
        (q.type != DNS_A && q.type != DNS_AAAA && q.type != DNS_PTR)) {
        out.status = 5;
    } else {
        out.status = 3;
        for (size_t i = 0; i < used && !out.is_cut; i++) {
            if (!dns_name_equals(&table[i].name, &q.name))
                continue;
            out.status = 0;
            if (table[i].type != q.type)
                continue;
            out.answers++;
            if (dns_write_record(&w, &table[i].name, q.type, 1, 60,
                                 table[i].data, table[i].length) < 0)
                out.is_cut = true;
        }
    }
    if (out.is_cut) {
        out.answers = 0;
        w.length = begin;
    }
    struct dns_writer again = {.bytes = reply, .size = 512};
    dns_write_header(&again, &out);
    return w.length;
}

int main(int argc, char **argv) {
    in_port_t port;
    if (argc != 3) {
        fputs("usage: 30-dns-client HOSTS PORT\n", stderr);
        return 2;
    }
    if (addr_parse_port(argv[2], strlen(argv[2]), 0, &port) < 0)
        errx(1, "%s: not a port", argv[2]);
    char *text = read_all(argv[1]);
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        use_line(line);
    }
    free(text);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof own;
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, size) < 0)
        err(1, "cannot listen on port %s", argv[2]);
    getsockname(fd, (struct sockaddr *)&own, &size);
    char line[80];
    int length = snprintf(line, sizeof line, "listening on 127.0.0.1:%d\n",
                          ntohs(own.sin_port));
    if (write(1, line, (size_t)length) != length)
        err(1, "write");
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        static uint8_t bytes[65535];
        uint8_t reply[512];
        struct sockaddr_in client;
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr h = {.msg_name = &client,
                           .msg_namelen = sizeof client,
                           .msg_iov = &part,
                           .msg_iovlen = 1};
        poll(&p, 1, -1);
        ssize_t got = recvmsg(fd, &h, 0);
        if (got < 0)
            continue;
        struct dns_message m = {.bytes = bytes, .length = (size_t)got};
        part.iov_base = reply;
        part.iov_len = reply_to(&m, reply);
        if (part.iov_len > 0)
            sendmsg(fd, &h, 0);
    }
}
