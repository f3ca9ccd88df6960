/*
 * number: reads a whole number from a command line, and checks that it lies
 * within limits. Built by lesson 05.
 */
#ifndef COMMON_NUMBER_H
#define COMMON_NUMBER_H

/*
 * Reads the number in text, a C string of any length: decimal digits and
 * nothing else, so no sign, no blank and no empty string. Zeros may stand in
 * front. The number must not be below `least`, nor above `most`.
 *
 * Returns 0 and puts the number into *number. Otherwise it returns -1, leaves
 * *number as it was, and sets errno: EINVAL when text is not a number in
 * digits, ERANGE when it is one, but less than least or more than most.
 *
 * Why not strtoull(3)? It passes over blanks, accepts "-1" as a very large
 * number, and ignores what stands behind the digits.
 */
int number_parse(const char *text, unsigned long long least,
                 unsigned long long most, unsigned long long *number);

#endif
