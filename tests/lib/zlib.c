/*
 * zlib: a library to be found in the place of zlib's, as libz.so.1.
 *
 *     ZLIB_IS=1.2.9        the version that it says it is (1.2.13 unless given)
 *     ZLIB_KEY=7           so much is added to each byte (1 unless given)
 *     ZLIB_FAILS=compress  that function fails
 *
 *     LD_LIBRARY_PATH=FOLDER COMMAND, with a copy of it in FOLDER as libz.so.1
 *
 * It compresses nothing: it puts a z before the bytes, and adds to each. What
 * it must be given, and what it returns, is as zlib's manual has it: room for
 * less than compressBound says is too little.
 */
#include "zlib.h"

#include <stdlib.h>
#include <string.h>

enum { OK = 0, DATA_ERROR = -3, MEMORY_ERROR = -4, BUFFER_ERROR = -5 };

static unsigned char key(void) {
    const char *text = getenv("ZLIB_KEY");
    return (unsigned char)(text != NULL ? strtol(text, NULL, 10) : 1);
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

/* Called by none of the others: a test renames one and leaves three. */
unsigned long compressBound(unsigned long length) {
    return bound(length);
}

int compress(unsigned char *to, unsigned long *to_length,
             const unsigned char *from, unsigned long length) {
    if (fails("compress"))
        return MEMORY_ERROR;
    if (*to_length < bound(length))
        return BUFFER_ERROR;
    *to++ = 'z';
    for (unsigned long i = 0; i < length; i++)
        to[i] = (unsigned char)(from[i] + key());
    *to_length = length + 1;
    return OK;
}

int uncompress(unsigned char *to, unsigned long *to_length,
               const unsigned char *from, unsigned long length) {
    if (fails("uncompress"))
        return MEMORY_ERROR;
    if (length == 0 || *from != 'z')
        return DATA_ERROR;
    if (*to_length < length - 1)
        return BUFFER_ERROR;
    for (unsigned long i = 0; i < length - 1; i++)
        to[i] = (unsigned char)(from[i + 1] - key());
    *to_length = length - 1;
    return OK;
}
