/*
 * 12 exercise: a fair die.
 *
 * You write a fair die, with as many sides as you like. It makes its rolls
 * from random bytes.
 *
 * The easy way is wrong. Suppose that your random numbers are 0, 1, 2 and 3,
 * and that the die has three sides. If you take the remainder by 3, and add 1,
 * then the numbers make the rolls 1, 2, 3 and 1. So the die shows a 1 twice as
 * often as a 2. This is called modulo bias. To avoid it, you throw the number
 * 3 away, and take the next number instead. In general, you throw away the
 * highest numbers: those that are left when all sides have got the same share.
 *
 * It is called as `12-randomness SIDES ROLLS`. It reads random bytes from
 * standard input, and prints as many rolls as ROLLS says.
 *
 * 1. It rolls what the bytes say. Each four bytes of standard input are a
 *    number from 0 to 4294967295, with the most significant byte first. The
 *    roll is the remainder of this number divided by SIDES, plus 1. Each roll
 *    is printed in digits, on a line of its own. After ROLLS rolls, it ends
 *    with status 0.
 * 2. It takes every byte as it is. A newline, a NUL and a byte of value 255
 *    are as random as any other byte.
 * 3. It throws away the numbers that would make some sides more likely. These
 *    are the number 4294967296 - 4294967296 % SIDES and all larger ones, where
 *    `%` is the remainder. It takes the next four bytes instead, which may
 *    have to be thrown away too.
 * 4. It throws away no other numbers. If SIDES divides 4294967296, no number
 *    is thrown away.
 * 5. It rolls a die of one side, and one of 4294967296 sides.
 * 6. It puts a number together when its bytes come one at a time.
 * 7. It reports an end of standard input before the last roll, with status 1.
 *    First it prints the rolls that it made from the bytes before the end.
 *    What it says on standard error contains the word "end". Fewer than four
 *    bytes make no roll.
 * 8. It makes 100000 rolls, and does not wait for the end of standard input.
 *    There may be no end. When the bytes for all rolls have come, it does not
 *    wait for more bytes.
 * 9. It says why standard input cannot be read, with status 1. The reason is
 *    in words, such as "Is a directory".
 * 10. It reports output that cannot be written, with status 1. An example is a
 *     full disk. The reason is in words, such as "No space left on device".
 * 11. It refuses numbers that are out of range or invalid, with status 1,
 *     before the first roll. SIDES is a number from 1 to 4294967296, and ROLLS
 *     a number from 1 to 100000, in digits alone. It says on standard error
 *     what is wrong.
 * 12. It refuses a wrong number of arguments, with status 2. It then prints a
 *     line that begins with `usage:` on standard error.
 *
 * What is here compiles, checks the number of its arguments, and makes no
 * rolls. Your part begins in main.
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 12-randomness SIDES ROLLS\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc != 3)
        usage(stderr, 2);

    /* 1. Read SIDES and ROLLS. number_parse of common/number.h does most. */
    /* 2. Write a function that returns the number in the next four bytes. */
    /* 3. Write a function that rolls once. Which numbers does it throw away? */
    /* 4. Print all the rolls, and check whether they could be written. */
    return 0;
}
