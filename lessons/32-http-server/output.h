/*
 * output: bytes that are put together in memory, to be sent or printed later.
 * Built by lesson 32.
 *
 * A server without memory for a reply cannot go on. So these functions end the
 * program when there is none.
 */
#ifndef HTTP_SERVER_OUTPUT_H
#define HTTP_SERVER_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

/* Set all of it to 0: then it is empty. */
struct output {
    char *bytes;
    size_t length;
    size_t room;
};

/* Makes room for so many bytes more: they may be written behind the others. */
void output_require(struct output *output, size_t length);

/* Each of these adds something at the end: length bytes, a text, or a number in
 * digits. */
void output_add_bytes(struct output *output, const char *bytes, size_t length);
void output_add_text(struct output *output, const char *text);
void output_add_number(struct output *output, uint64_t number);

#endif
