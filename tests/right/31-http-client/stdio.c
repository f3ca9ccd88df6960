/* stdio on the socket, with SO_RCVTIMEO, and no module of ours. */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static const char *host, *port, *path, *file;
static char part[5000], etagfile[5000], etag[1000];
static double seconds = 10;
static long long have;

/* What the head has said. */
static int status, chunked;
static long long length, first, last, total;
static int has_length, has_range, range_star;
static char newtag[1000];

static void die(const char *what) {
    fprintf(stderr, "31-http-client: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void say(const char *what) {
    fprintf(stderr, "31-http-client: %s\n", what);
    exit(1);
}

static FILE *dial(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
    struct timeval tv = {(time_t)seconds,
                         (suseconds_t)((seconds - (time_t)seconds) * 1e6)};
    int fd = -1;
    int e = getaddrinfo(host, port, &hints, &list);
    if (e)
        say(gai_strerror(e));
    for (a = list; a; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        die("connect");
    freeaddrinfo(list);
    FILE *f = fdopen(fd, "r+");
    if (!f)
        die("fdopen");
    return f;
}

static char *line(FILE *f) {
    static char *text;
    static size_t size;
    ssize_t n = getline(&text, &size, f);
    if (n <= 0 || text[n - 1] != '\n')
        return NULL;
    text[--n] = 0;
    if (n > 0 && text[n - 1] == '\r')
        text[--n] = 0;
    return text;
}

static void read_head(FILE *f) {
    do {
        char *l = line(f);
        status = chunked = has_length = has_range = range_star = 0;
        newtag[0] = 0;
        if (!l || sscanf(l, "HTTP/1.%*1d %d", &status) != 1)
            say("no reply");
        for (;;) {
            l = line(f);
            if (!l)
                say("the head is cut");
            if (!*l)
                break;
            char *v = strchr(l, ':');
            if (!v)
                say("a bad head");
            *v++ = 0;
            v += strspn(v, " \t");
            if (!strcasecmp(l, "content-length"))
                has_length = sscanf(v, "%lld", &length) == 1;
            else if (!strcasecmp(l, "transfer-encoding"))
                chunked = !strcasecmp(v, "chunked");
            else if (!strcasecmp(l, "etag") && v[0] == '"')
                snprintf(newtag, sizeof newtag, "%s", v);
            else if (!strcasecmp(l, "content-range")) {
                if (sscanf(v, "bytes %lld-%lld/%lld", &first, &last, &total) ==
                    3)
                    has_range = 1;
                else if (sscanf(v, "bytes */%lld", &total) == 1)
                    range_star = 1;
            }
        }
    } while (status < 200);
}

/* Returns whether all n bytes came; n < 0 is up to the end. */
static int copy(FILE *in, FILE *out, long long n) {
    for (; n; n--) {
        int c = getc(in);
        if (c == EOF && ferror(in)) {
            fflush(out);
            say("the server is too slow, or has reset");
        }
        if (c == EOF)
            return n < 0;
        if (putc(c, out) == EOF)
            die(part);
    }
    return 1;
}

static int copy_chunks(FILE *in, FILE *out) {
    for (;;) {
        char *l = line(in), *end;
        if (!l)
            return 0;
        long long n = strtoll(l, &end, 16);
        if (end == l || n < 0)
            return 0;
        if (n == 0)
            break;
        if (!copy(in, out, n) || !line(in))
            return 0;
    }
    for (;;) {
        char *l = line(in);
        if (!l)
            return 0;
        if (!*l)
            return 1;
    }
}

static void download(int with_range) {
    FILE *f = dial();
    fprintf(f, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n", path,
            host, port);
    if (with_range)
        fprintf(f, "Range: bytes=%lld-\r\nIf-Range: %s\r\n", have, etag);
    fprintf(f, "\r\n");
    if (fflush(f) == EOF)
        die("send");
    read_head(f);
    if (status == 416 && with_range) {
        fclose(f);
        if (!range_star || total != have)
            download(0);
        return;
    }
    if (status == 206 && with_range) {
        if (!has_range || first != have || last + 1 != total)
            say("a wrong Content-Range");
    } else if (status != 200) {
        fprintf(stderr, "31-http-client: the server says %d\n", status);
        exit(1);
    }
    FILE *out = fopen(part, status == 206 ? "a" : "w");
    if (!out)
        die(part);
    if (status == 200) {
        have = 0;
        FILE *t;
        if (!newtag[0])
            unlink(etagfile);
        else if (!(t = fopen(etagfile, "w")) ||
                 fprintf(t, "%s\n", newtag) < 0 || fclose(t) == EOF)
            die(etagfile);
    }
    int ok = chunked      ? copy_chunks(f, out)
             : has_length ? copy(f, out, length)
                          : copy(f, out, -1);
    if (fflush(out) == EOF)
        die(part);
    if (status == 206 && ftello(out) != total)
        ok = 0;
    if (fclose(out) == EOF)
        die(part);
    if (!ok)
        say("the body is cut");
    fclose(f);
}

int main(int argc, char **argv) {
    char *end;
    if (argc > 2 && !strcmp(argv[1], "-t")) {
        seconds = strtod(argv[2], &end);
        if (*end || !(seconds > 0))
            say("bad seconds");
        argv += 2, argc -= 2;
    }
    if (argc > 1 && !strcmp(argv[1], "--"))
        argv++, argc--;
    if (argc != 5) {
        fprintf(stderr, "usage: 31-http-client ...\n");
        return 2;
    }
    host = argv[1], port = argv[2], path = argv[3], file = argv[4];
    if (!*port || strlen(port) > 5 ||
        strspn(port, "0123456789") != strlen(port) || atoi(port) < 1 ||
        atoi(port) > 65535)
        say("bad port");
    signal(SIGPIPE, SIG_IGN);
    snprintf(part, sizeof part, "%s.part", file);
    snprintf(etagfile, sizeof etagfile, "%s.etag", file);
    struct stat st;
    FILE *t = fopen(etagfile, "r");
    if (t) {
        if (!fgets(etag, sizeof etag, t))
            etag[0] = 0;
        etag[strcspn(etag, "\n")] = 0;
        fclose(t);
    }
    if (stat(part, &st) == 0)
        have = st.st_size;
    download(have > 0 && etag[0]);
    if (rename(part, file) < 0)
        die(file);
    unlink(etagfile);
    return 0;
}
