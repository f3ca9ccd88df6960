/* One byte at a time, by one loop with states; read and write, and an alarm
 * instead of poll. The request keeps the connection, and may be answered in
 * HTTP/1.0. */
#define _GNU_SOURCE

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static char *part, *tagname, tag[600];
static char head[70000];
static long have;
static double patience = 10;
static int sock;

static void too_late(int s) {
    (void)s;
    static const char text[] = "31-http-client: the server is too slow\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(1); /* every byte has been written at once */
}

static void arm(double s) {
    struct itimerval t = {{0, 0},
                          {(time_t)s, (suseconds_t)((s - (int)s) * 1e6)}};
    setitimer(ITIMER_REAL, &t, NULL);
}

/* The next byte, or -1 at the end. */
static int next(void) {
    unsigned char c;
    arm(patience);
    ssize_t n = read(sock, &c, 1);
    arm(0);
    if (n < 0)
        err(1, "read");
    return n == 0 ? -1 : c;
}

/* The value of a field, in a buffer of its own for each name; or NULL. */
static char *field(const char *name) {
    static char value[2000];
    for (char *l = strchr(head, '\n'); l; l = strchr(l, '\n')) {
        l++;
        size_t n = strlen(name);
        if (strncasecmp(l, name, n) == 0 && l[n] == ':') {
            char *v = l + n + 1;
            while (*v == ' ' || *v == '\t')
                v++;
            size_t k = 0;
            while (v[k] && v[k] != '\r' && v[k] != '\n' && k < 1999) {
                value[k] = v[k];
                k++;
            }
            value[k] = 0;
            return value;
        }
    }
    return NULL;
}

static void dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int e = getaddrinfo(host, port, &hints, &list);
    if (e)
        errx(1, "%s", gai_strerror(e));
    arm(patience);
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        sock = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(sock, a->ai_addr, a->ai_addrlen) == 0)
            break;
        if (!a->ai_next)
            err(1, "connect");
        close(sock);
    }
    arm(0);
    freeaddrinfo(list);
}

static int get_head(void) {
    int status;
    do {
        size_t n = 0;
        for (;;) {
            int c = next();
            if (c < 0 || n + 1 == sizeof head)
                errx(1, "no good head");
            head[n++] = (char)c;
            head[n] = 0;
            if (n > 3 && !strcmp(head + n - 4, "\r\n\r\n"))
                break;
        }
        if (sscanf(head, "HTTP/1.%*d %d", &status) != 1)
            errx(1, "no HTTP");
    } while (status / 100 == 1);
    return status;
}

static void put(int fd, int c) {
    char b = (char)c;
    if (write(fd, &b, 1) != 1)
        err(1, "%s", part);
    have++;
}

/* Returns whether the body is whole. */
static int get_body(int fd) {
    char *v = field("Transfer-Encoding");
    int c;
    if (v) {
        enum { SIZE, EXTENSION, DATA, LF, TRAILER } state = SIZE;
        unsigned long size = 0;
        int column = 0;
        while ((c = next()) >= 0)
            switch (state) {
            case SIZE:
                if (isxdigit(c)) {
                    size = size * 16 +
                           (unsigned long)(isdigit(c) ? c - '0'
                                                      : tolower(c) - 'a' + 10);
                    break;
                }
                state = EXTENSION;
                /* fall through */
            case EXTENSION:
                if (c == '\n') {
                    state = size ? DATA : TRAILER;
                    column = 0;
                }
                break;
            case DATA:
                put(fd, c);
                if (--size == 0)
                    state = LF;
                break;
            case LF:
                if (c == '\n')
                    state = SIZE;
                break;
            case TRAILER:
                if (c == '\n') {
                    if (column == 0)
                        return 1;
                    column = 0;
                } else if (c != '\r') {
                    column++;
                }
            }
        return 0;
    }
    v = field("Content-Length");
    long length = v ? atol(v) : -1;
    while (length != 0) {
        c = next();
        if (c < 0)
            return length < 0;
        put(fd, c);
        if (length > 0)
            length--;
    }
    return 1;
}

int main(int argc, char **argv) {
    int i = 1, again = 0;
    if (argc > 2 && !strcmp(argv[1], "-t"))
        patience = atof(argv[2]), i = 3;
    if (argc > i && !strcmp(argv[i], "--"))
        i++;
    if (argc - i != 4 || !(patience > 0)) {
        fprintf(stderr,
                "usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n");
        return 2;
    }
    char **a = argv + i, *end;
    long port = strtol(a[1], &end, 10);
    if (!isdigit((unsigned char)a[1][0]) || *end || port < 1 || port > 65535)
        errx(1, "bad port");
    signal(SIGALRM, too_late);
    signal(SIGPIPE, SIG_IGN);
    if (asprintf(&part, "%s.part", a[3]) < 0 ||
        asprintf(&tagname, "%s.etag", a[3]) < 0)
        err(1, "asprintf");
    int fd = open(tagname, O_RDONLY);
    if (fd >= 0) {
        ssize_t n = read(fd, tag, sizeof tag - 1);
        tag[n > 0 ? n : 0] = 0;
        tag[strcspn(tag, "\n")] = 0;
        close(fd);
    }
    struct stat st;
    if (stat(part, &st) == 0)
        have = st.st_size;
ask:
    dial(a[0], a[1]);
    if (tag[0] && have && !again)
        dprintf(sock,
                "GET %s HTTP/1.1\r\nHost: %s:%s\r\nRange: bytes=%ld-\r\n"
                "If-Range: %s\r\n\r\n",
                a[2], a[0], a[1], have, tag);
    else
        dprintf(sock, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", a[2], a[0],
                a[1]);
    int status = get_head(), whole;
    char *v;
    long from, to, total = -1;
    switch (status) {
    case 416:
        if (again)
            errx(1, "416");
        v = field("Content-Range");
        if (v && sscanf(v, "bytes */%ld", &total) == 1 && total == have)
            break;
        again = 1;
        close(sock);
        goto ask;
    case 206:
        v = field("Content-Range");
        if (!v || sscanf(v, "bytes %ld-%ld/%ld", &from, &to, &total) != 3 ||
            from != have || to != total - 1)
            errx(1, "wrong range");
        fd = open(part, O_WRONLY | O_APPEND | O_CREAT, 0666);
        if (fd < 0)
            err(1, "%s", part);
        whole = get_body(fd);
        if (!whole || have != total)
            errx(1, "cut");
        break;
    case 200:
        fd = open(part, O_WRONLY | O_TRUNC | O_CREAT, 0666);
        if (fd < 0)
            err(1, "%s", part);
        have = 0;
        unlink(tagname);
        v = field("ETag");
        if (v && *v == '"') {
            int t = open(tagname, O_WRONLY | O_CREAT | O_TRUNC, 0666);
            if (t < 0 || dprintf(t, "%s\n", v) < 0 || close(t) < 0)
                err(1, "%s", tagname);
        }
        if (!get_body(fd))
            errx(1, "cut");
        break;
    default:
        errx(1, "the server says %d", status);
    }
    if (rename(part, a[3]) < 0)
        err(1, "%s", a[3]);
    unlink(tagname);
    return 0;
}
