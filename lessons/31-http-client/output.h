/*
 * output: where the body goes. A file gets its name only when it is whole.
 * Built by lesson 31.
 */
#ifndef HTTP_CLIENT_OUTPUT_H
#define HTTP_CLIENT_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

enum { OUTPUT_PATH_BYTES = 4096 };

/* Where the body goes. If all of it is 0, the bytes go nowhere; then it need
 * not be opened. */
struct output {
    FILE *file;                   /* or NULL: nowhere */
    const char *path;             /* of the file that we write, or NULL */
    char part[OUTPUT_PATH_BYTES]; /* its name until it is whole */
};

/* Those that return an int return 0, or -1 after they have reported the error.
 */

/* Opens a new file beside path, or takes standard output if path is NULL. What
 * is at path must be a regular file, or nothing, or a link to such: then the
 * link is replaced. The output keeps path. In the
 * end, the caller gives the output to output_finish or output_discard. Without
 * memory, the program ends. */
int output_open(struct output *output, const char *path);

/* Adds length bytes. */
int output_write(struct output *output, const char *bytes, size_t length);

/* The body is whole: the file is closed, and gets its name. What had this name
 * before is replaced: rename(2). If this fails, there is no new file. If the
 * body goes to standard output, that is flushed. */
int output_finish(struct output *output);

/* Closes and deletes the file. Nothing happens to standard output. */
void output_discard(struct output *output);

#endif
