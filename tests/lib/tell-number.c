/*
 * tell-number: what number_parse of common/number makes of a text.
 *
 *     tell-number LEAST MOST TEXT
 *
 * Prints the number, or the error in words. LEAST and MOST are numbers in
 * digits. It also says when number_parse breaks another promise: when it wrote
 * a number although it failed, or changed errno although it did not.
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNTOUCHED = 7 };

int main(int argc, char **argv) {
    if (argc != 4)
        errx(2, "usage: tell-number LEAST MOST TEXT");
    unsigned long long least = strtoull(argv[1], NULL, 10);
    unsigned long long most = strtoull(argv[2], NULL, 10);
    unsigned long long number = UNTOUCHED;

    errno = EXDEV; /* which number_parse has no reason to set */
    if (number_parse(argv[3], least, most, &number) == 0)
        printf("%llu%s\n", number, errno == EXDEV ? "" : ", and changed errno");
    else
        printf("%s%s\n", strerror(errno),
               number == UNTOUCHED ? "" : ", and wrote a number");
    return fflush(stdout) == EOF;
}
