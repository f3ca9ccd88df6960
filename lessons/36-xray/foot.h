/*
 * foot: what stands below a picture in text: what the kernel knows of each
 * connection, and who was waiting at the end. Built by lesson 36.
 */
#ifndef XRAY_FOOT_H
#define XRAY_FOOT_H

#include <stdint.h>
#include <stdio.h>

#include "picture.h"
#include "record.h"

/*
 * Writes the foot of a picture that layout_make has made of the record. If the
 * scene was ended before its time, ended_at says when (nanoseconds on
 * CLOCK_REALTIME); then each process that waits in a call is named, and since
 * when nothing has come to it. It is 0 for a scene that ended by itself. A line
 * is broken at blanks if it has more than width characters. Returns 0; or -1
 * and ENOMEM, and then nothing is written.
 */
int foot_write(FILE *out, const struct record *record,
               const struct picture *picture, int64_t ended_at, size_t width);

#endif
