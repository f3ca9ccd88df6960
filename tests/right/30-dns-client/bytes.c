/* Without dns.h: all bytes by hand. Names in answers are pointers to the
 * question. The names of the file are kept as they are on the wire. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct name {
    unsigned char bytes[255];
    int length;
};

struct entry {
    struct entry *next;
    struct name name;
    struct name reverse;
    unsigned char address[16];
    int size;
};

static struct entry *first;
static struct entry **last = &first;

static void die(const char *what) {
    fprintf(stderr, "30-dns-client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int make_name(struct name *name, const char *text) {
    name->length = 0;
    while (*text) {
        int n = (int)strcspn(text, ".");
        if (n == 0 || n > 63 || name->length + n + 2 > 255)
            return 0;
        name->bytes[name->length++] = (unsigned char)n;
        memcpy(name->bytes + name->length, text, (size_t)n);
        name->length += n;
        text += n;
        if (*text == '.')
            text++;
    }
    name->bytes[name->length++] = 0;
    return 1;
}

static void make_reverse(struct entry *e) {
    char text[100] = "";
    if (e->size == 4) {
        sprintf(text, "%d.%d.%d.%d.in-addr.arpa", e->address[3], e->address[2],
                e->address[1], e->address[0]);
    } else {
        for (int i = 15; i >= 0; i--)
            sprintf(text + strlen(text), "%x.%x.", e->address[i] & 15,
                    e->address[i] >> 4);
        strcat(text, "ip6.arpa");
    }
    make_name(&e->reverse, text);
}

static void read_file(const char *path) {
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!f)
        die(path);
    while (getline(&line, &room, f) != -1) {
        struct entry e = {0};
        char *hash = strchr(line, '#');
        if (hash)
            *hash = 0;
        char *word = strtok(line, " \t\r\n");
        if (!word)
            continue;
        if (inet_pton(AF_INET, word, e.address) == 1)
            e.size = 4;
        else if (inet_pton(AF_INET6, word, e.address) == 1)
            e.size = 16;
        else
            continue;
        make_reverse(&e);
        while ((word = strtok(NULL, " \t\r\n")) != NULL) {
            if (!make_name(&e.name, word))
                continue;
            *last = malloc(sizeof e);
            if (!*last)
                die("malloc");
            **last = e;
            last = &(*last)->next;
        }
    }
    if (ferror(f))
        die(path);
    free(line);
    fclose(f);
}

static int small(int c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static int same(const struct name *n, const unsigned char *bytes, int length) {
    if (n->length != length)
        return 0;
    for (int i = 0; i < length; i++)
        if (small(n->bytes[i]) != small(bytes[i]))
            return 0;
    return 1;
}

static int add(unsigned char *reply, int at, int type,
               const unsigned char *data, int size) {
    const unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type,
                                    0,    1,  0, 0,
                                    0,    60, 0, (unsigned char)size};
    if (at + 12 + size > 512)
        return -1;
    memcpy(reply + at, head, 12);
    memcpy(reply + at + 12, data, (size_t)size);
    return at + 12 + size;
}

/* Returns the length of the reply; 0: none. */
static int answer(const unsigned char *in, int length, unsigned char *reply) {
    if (length < 12 || in[2] & 0x80)
        return 0;
    memset(reply, 0, 12);
    reply[0] = in[0];
    reply[1] = in[1];
    reply[2] = 0x80 | 0x04 | (in[2] & 0x79);
    if (in[2] & 0x78)
        return reply[3] = 4, 12;
    reply[3] = 1;
    if (in[4] != 0 || in[5] != 1)
        return 12;
    int at = 12;
    while (at < length && in[at] != 0) {
        if (in[at] > 63)
            return 12;
        at += in[at] + 1;
    }
    at++;
    if (at + 4 > length || at - 12 > 255)
        return 12;
    int name_length = at - 12;
    int type = in[at] << 8 | in[at + 1];
    int class = in[at + 2] << 8 | in[at + 3];
    at += 4;
    memcpy(reply + 12, in + 12, (size_t)at - 12);
    reply[5] = 1;
    reply[3] = 5;
    if (class != 1 || (type != 1 && type != 28 && type != 12))
        return at;
    reply[3] = 3;
    int end = at, count = 0;
    for (struct entry *e = first; e && end > 0; e = e->next) {
        int is_name = same(&e->name, in + 12, name_length);
        int is_reverse = same(&e->reverse, in + 12, name_length);
        if (is_name || is_reverse)
            reply[3] = 0;
        if (is_name &&
            ((type == 1 && e->size == 4) || (type == 28 && e->size == 16)))
            end = add(reply, end, type, e->address, e->size), count++;
        if (end > 0 && is_reverse && type == 12)
            end = add(reply, end, type, e->name.bytes, e->name.length), count++;
    }
    if (end < 0) {
        reply[2] |= 2;
        return at;
    }
    reply[6] = (unsigned char)(count >> 8);
    reply[7] = (unsigned char)count;
    return end;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: 30-dns-client HOSTS PORT\n");
        return 2;
    }
    size_t digits = strspn(argv[2], "0123456789");
    if (digits == 0 || argv[2][digits] || strtoul(argv[2], NULL, 10) > 65535) {
        fprintf(stderr, "30-dns-client: %s is no port\n", argv[2]);
        return 1;
    }
    read_file(argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((in_port_t)atoi(argv[2]))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof a;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        die("socket");
    if (printf("listening on 127.0.0.1:%d\n", ntohs(a.sin_port)) < 0 ||
        fflush(stdout) != 0)
        die("standard output");
    for (;;) {
        static unsigned char in[65536];
        unsigned char reply[600];
        size = sizeof a;
        ssize_t got =
            recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&a, &size);
        if (got < 0)
            continue;
        int n = answer(in, (int)got, reply);
        if (n > 0)
            sendto(fd, reply, (size_t)n, 0, (struct sockaddr *)&a, size);
    }
}
