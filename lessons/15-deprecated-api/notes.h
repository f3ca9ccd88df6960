/*
 * notes: the dead calls of the world of sockets: since when each one is dead,
 * why, and what to call instead. They are printed as a program in C, which runs
 * most of the old calls beside the new ones.
 */
#ifndef NOTES_H
#define NOTES_H

/*
 * Prints the program on standard output. names is an array of the calls that it
 * shall contain, and ends with a NULL. An empty array means all calls.
 *
 * Returns NULL. If there is no note on one of the names, it prints nothing and
 * returns that name. The caller checks standard output for errors.
 */
const char *notes_print_program(char *const *names);

#endif
