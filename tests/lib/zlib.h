/*
 * What zlib.h declares of the four functions that zlib.c stands in for. With it
 * nothing in the workbook needs zlib itself.
 */
#ifndef TESTS_ZLIB_H
#define TESTS_ZLIB_H

const char *zlibVersion(void);
unsigned long compressBound(unsigned long length);
int compress(unsigned char *to, unsigned long *to_length,
             const unsigned char *from, unsigned long length);
int uncompress(unsigned char *to, unsigned long *to_length,
               const unsigned char *from, unsigned long length);

#endif
