/* A process for each question, which looks through the text of the file. */
#define _GNU_SOURCE
#include "dns.h"
#include "number.h"

#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *text; /* of the file */

/* A question, and the reply as far as it is made. */
struct work {
    struct dns_question q;
    struct dns_header header;
    struct dns_writer w;
    size_t without;
};

static void put(struct work *work, const void *data, size_t length) {
    if (work->header.is_cut)
        return;
    if (dns_write_record(&work->w, &work->q.name, work->q.type, DNS_IN, 60,
                         data, length) == 0) {
        work->header.answers++;
        return;
    }
    work->w.length = work->without;
    work->header.answers = 0;
    work->header.is_cut = true;
}

static void look_at(struct work *work, const char *address, const char *name) {
    struct dns_name forward, reverse;
    unsigned char bytes[16];
    int is4 = inet_pton(AF_INET, address, bytes) == 1;
    if (!is4 && inet_pton(AF_INET6, address, bytes) != 1)
        return;
    if (dns_name_parse(&forward, name) < 0 ||
        dns_name_reverse(&reverse, address) < 0)
        return;
    if (dns_name_equals(&forward, &work->q.name)) {
        work->header.status = DNS_NO_ERROR;
        if (is4 && work->q.type == DNS_A)
            put(work, bytes, 4);
        if (!is4 && work->q.type == DNS_AAAA)
            put(work, bytes, 16);
    }
    if (dns_name_equals(&reverse, &work->q.name)) {
        work->header.status = DNS_NO_ERROR;
        if (work->q.type == DNS_PTR)
            put(work, forward.bytes, forward.length);
    }
}

static void look(struct work *work) {
    char *copy = strdup(text), *rest = copy, *line;
    if (copy == NULL)
        err(1, "strdup");
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *data = strsep(&line, "#"), *address = NULL, *word;
        while ((word = strsep(&data, " \t\r")) != NULL) {
            if (*word == '\0')
                continue;
            if (address == NULL)
                address = word;
            else
                look_at(work, address, word);
        }
    }
    free(copy);
}

static size_t make(const unsigned char *bytes, size_t length,
                   unsigned char *reply) {
    struct dns_message m = {.bytes = bytes, .length = length};
    struct dns_header in;
    struct work work = {.w = {.bytes = reply, .size = 512}};
    if (dns_read_header(&m, &in) != 0 || in.is_reply)
        return 0;
    work.header = in;
    work.header.is_reply = work.header.is_authoritative = true;
    work.header.is_cut = false;
    work.header.questions = work.header.answers = 0;
    work.header.authorities = work.header.additions = 0;
    work.header.status = DNS_NO_SUCH_NAME;
    work.w.length = DNS_HEADER_BYTES;
    if (in.operation != 0) {
        work.header.status = DNS_NOT_IMPLEMENTED;
    } else if (in.questions != 1 || dns_read_question(&m, &work.q) != 0) {
        work.header.status = DNS_FORMAT_ERROR;
    } else {
        work.header.questions = 1;
        dns_write_question(&work.w, &work.q);
        work.without = work.w.length;
        if (work.q.class == DNS_IN &&
            (work.q.type == DNS_A || work.q.type == DNS_AAAA ||
             work.q.type == DNS_PTR))
            look(&work);
        else
            work.header.status = DNS_REFUSED;
    }
    struct dns_writer front = {.bytes = reply, .size = 512};
    dns_write_header(&front, &work.header);
    return work.w.length;
}

int main(int argc, char **argv) {
    unsigned long long port;
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOSTS PORT\n", "30-dns-client");
        exit(2);
    }
    if (number_parse(argv[2], 0, 65535, &port) < 0)
        errx(1, "no port: %s", argv[2]);
    FILE *f = fopen(argv[1], "r");
    size_t size = 0;
    if (f == NULL)
        err(1, "%s", argv[1]);
    /* A file has no NUL. */
    if (getdelim(&text, &size, '\0', f) < 0) {
        if (ferror(f))
            err(1, "%s", argv[1]);
        text = strdup("");
    }
    fclose(f);
    signal(SIGCHLD, SIG_IGN); /* so that no child has to be waited for */
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(0x7f000001)}};
    socklen_t n = sizeof a;
    if (bind(fd, (struct sockaddr *)&a, n) != 0)
        err(1, "bind");
    getsockname(fd, (struct sockaddr *)&a, &n);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (printf("listening on 127.0.0.1:%u\n", ntohs(a.sin_port)) < 0)
        err(1, "printf");
    for (;;) {
        static unsigned char bytes[65536], reply[512];
        n = sizeof a;
        ssize_t got =
            recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&a, &n);
        if (got < 0 || fork() != 0)
            continue;
        size_t length = make(bytes, (size_t)got, reply);
        if (length > 0)
            sendto(fd, reply, length, 0, (struct sockaddr *)&a, n);
        _exit(0);
    }
}
