/* number: reads a whole number from a command line. */
#define _GNU_SOURCE

#include "number.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static int fail(int error) {
    errno = error;
    return -1;
}

int number_parse(const char *text, unsigned long long least,
                 unsigned long long most, unsigned long long *number) {
    size_t length = strspn(text, "0123456789");
    if (length == 0 || text[length] != '\0')
        return fail(EINVAL);

    unsigned long long value = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        /* Would value * 10 + digit be larger than ULLONG_MAX? In this form the
         * question itself cannot overflow. */
        if (value > (ULLONG_MAX - digit) / 10)
            return fail(ERANGE);
        value = value * 10 + digit;
    }
    if (value < least || value > most)
        return fail(ERANGE);
    *number = value;
    return 0;
}
