/*
 * 31 exercise: a download that goes on where it was cut.
 *
 * A colleague downloads a large file over a connection that breaks every few
 * minutes. Each time she has to begin again. You write a program that goes on
 * where the last download was cut, and notices when the file has changed in
 * the meantime.
 *
 * It is called as `31-http-client [-t SECONDS] HOST PORT PATH FILE`, and
 * speaks HTTP without TLS. Each byte of the body that comes is written to
 * `FILE.part`. When the download is whole, `FILE.part` becomes `FILE`. If the
 * download is cut, `FILE.part` stays for the next run.
 *
 * A field in the reply, the ETag, tells whether the file on the server is
 * still the same. It looks like this: `ETag: "a7c3"`. The server changes the
 * ETag whenever the file changes. The program keeps it in `FILE.etag`, as one
 * line, with the quotes. A weak ETag begins with `W/`. It says only that two
 * files are similar, so it does not help us.
 *
 * 1. It downloads a file. The request is a GET for PATH in HTTP/1.1, with a
 *    Host field. FILE has exactly the bytes of the body, and the status is 0.
 *    Then there is no `FILE.part` and no `FILE.etag`.
 * 2. It reads a body with a Content-Length, one in chunks, and one that ends
 *    with the connection. The head may come in any pieces. Before it there may
 *    be another head, with a status from 100 to 199. Such a head is passed
 *    over. (101 does not come.)
 * 3. It reports a body that is cut, with status 1. A reset always means that
 *    the body is cut, even if it has no length and no chunks. The bytes that
 *    have come stay in `FILE.part`, and the ETag in `FILE.etag`. If there was
 *    a FILE before, it stays as it was. If there was none, there is none now.
 *    The reason is on standard error.
 * 4. It asks for the rest when there is a part and an ETag. The request then
 *    has the fields Range and If-Range. Without an ETag, or if the part is
 *    empty, it begins anew.
 * 5. It appends the body of a 206 to the part. When the part is as long as the
 *    whole file, it becomes FILE. (The length of the whole file is the number
 *    behind the slash of the Content-Range.) If the body ends before that, it
 *    was cut, as in requirement 3. A chunk that breaks the rules is like a cut,
 *    at a 200 too.
 * 6. It looks at the Content-Range of a 206. The bytes must begin where the
 *    part ends, and end where the file ends. Otherwise, or without this field,
 *    it is an error with status 1. The part and the ETag stay as they were. A
 *    206 to a request without Range is an error, as in 10. You need not
 *    compare the ETag of a 206. The body of a 206 is never longer than its
 *    Content-Range says.
 * 7. It begins anew at a 200. The old part is thrown away, and the new ETag is
 *    kept.
 * 8. It turns the part into FILE if a 416 says that the file is as long as the
 *    part. The 416 says how long the file is in its Content-Range, behind the
 *    slash. Your program sends no second request, and the status is 0.
 * 9. It begins anew at any other 416. It asks once more, without Range, and
 *    treats the second reply as the reply to a first request. You may delete
 *    the old part before that. The second request may use a new connection. If
 *    the second reply is a 416 too, that is an error with status 1. In that
 *    case you decide whether the part is deleted. A 416 to a first request
 *    without Range is an error, as in 10.
 * 10. It keeps the part when the server fails. If there is no reply, or one
 *     that is not HTTP, or one with any other status, such as 503, 404 or 301,
 *     it says so on standard error, with status 1. The part and the ETag stay,
 *     unless requirement 9 has deleted them. So the next run goes on there.
 * 11. It does not keep a weak ETag. Afterwards no weak ETag is in `FILE.etag`.
 *     If a 200 has a weak one, or none, and the download is cut, the next run
 *     begins anew, without Range.
 * 12. It can be cut again and again. Each run goes on where the last one
 *     ended. If a 206 has no ETag, `FILE.etag` stays as it was.
 * 13. It waits at most SECONDS for the server to send something. Then it ends
 *     with status 1, and keeps what has come. Without `-t`, SECONDS is 10.
 *     While bytes come, the whole download may take longer. Connecting has a
 *     limit of its own, which is also SECONDS.
 * 14. It reports a file that it cannot write, with status 1. The reason is in
 *     words, such as "No such file or directory".
 * 15. It refuses a wrong number of arguments, with status 2. The first line on
 *     standard error then begins with `usage:`.
 * 16. It refuses an invalid port, with status 1. A port is a number from 1 to
 *     65535, in digits alone.
 *
 * You may use the modules of `common/`, such as `http.h`, `dial.h` and
 * `deadline.h`. The file that you start with already reads the arguments.
 *
 * What is here compiles, checks its arguments, and fetches nothing. Your part
 * begins in main.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PATIENCE_MS = 10 * 1000 };

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 31-http-client [-t SECONDS] HOST PORT PATH FILE\n", out);
    exit(status);
}

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(1, "%s is not a number of seconds above 0, up to a day", text);
    return milliseconds;
}

int main(int argc, char **argv) {
    int patience_ms = DEFAULT_PATIENCE_MS;
    for (;;) {
        int option = getopt(argc, argv, "+ht:");
        if (option == -1)
            break;
        if (option == 'h')
            usage(stdout, 0);
        else if (option == 't')
            patience_ms = parse_seconds(optarg);
        else
            usage(stderr, 2);
    }
    if (argc - optind != 4)
        usage(stderr, 2);
    const char *port = argv[optind + 1];
    in_port_t number;
    if (addr_parse_port(port, strlen(port), 1, &number) < 0)
        errx(1, "%s is not a port: 1 to 65535", port);

    /* Your part: look at what you have, ask for the rest, and write it. */
    (void)patience_ms; /* wait so long for the next bytes */
    return 0;
}
