/*
 * zlib: a library that stands in for zlib, when it is found as libz.so.1.
 *
 *     ZLIB_IS=1.2.9        the version that it reports (default 1.2.13)
 *     ZLIB_KEY=7           this is added to each byte (default 1)
 *     ZLIB_MORE=32         what it writes is so many bytes longer (default 0)
 *     ZLIB_FAILS=compress  this function fails
 *
 *     LD_LIBRARY_PATH=FOLDER COMMAND, with a copy of it in FOLDER as libz.so.1
 *
 * It compresses nothing: it writes a z, and with ZLIB_MORE more of them, and
 * then each byte with the key added. Arguments and results are those of zlib's
 * manual. For example, compress fails if it is given less room than
 * compressBound says. compress and uncompress may write wherever they are told
 * that there is room, so first they fill all of it: a program that has less
 * room than it says crashes.
 */
#include "zlib.h"

#include <stdlib.h>
#include <string.h>

enum { OK = 0, DATA_ERROR = -3, MEMORY_ERROR = -4, BUFFER_ERROR = -5 };

static unsigned char key(void) {
    const char *text = getenv("ZLIB_KEY");
    if (text == NULL)
        return 1;
    return (unsigned char)strtol(text, NULL, 10);
}

/* How many bytes are at the beginning of what compress writes. */
static unsigned long beginning(void) {
    const char *text = getenv("ZLIB_MORE");
    if (text == NULL)
        return 1;
    return 1 + strtoul(text, NULL, 10);
}

static int fails(const char *function) {
    const char *chosen = getenv("ZLIB_FAILS");
    return chosen != NULL && strcmp(chosen, function) == 0;
}

const char *zlibVersion(void) {
    const char *version = getenv("ZLIB_IS");
    return version != NULL ? version : "1.2.13";
}

static unsigned long bound(unsigned long length) {
    return length + length / 8 + 64;
}

/* The other functions do not call this one, so that a test can rename it and
 * keep the other three. */
unsigned long compressBound(unsigned long length) {
    return bound(length);
}

int compress(unsigned char *to, unsigned long *to_length,
             const unsigned char *from, unsigned long length) {
    if (fails("compress"))
        return MEMORY_ERROR;
    if (*to_length < bound(length))
        return BUFFER_ERROR;
    const unsigned long start = beginning();
    memset(to, 'x', *to_length);
    memset(to, 'z', start);
    for (unsigned long i = 0; i < length; i++)
        to[start + i] = (unsigned char)(from[i] + key());
    *to_length = start + length;
    return OK;
}

int uncompress(unsigned char *to, unsigned long *to_length,
               const unsigned char *from, unsigned long length) {
    if (fails("uncompress"))
        return MEMORY_ERROR;
    const unsigned long start = beginning();
    if (length < start || *from != 'z')
        return DATA_ERROR;
    if (*to_length < length - start)
        return BUFFER_ERROR;
    memset(to, 'x', *to_length);
    for (unsigned long i = 0; i < length - start; i++)
        to[i] = (unsigned char)(from[start + i] - key());
    *to_length = length - start;
    return OK;
}
