/*
 * files: opens the files that a web server may serve, and no others. Built by
 * lesson 32.
 */
#ifndef HTTP_SERVER_FILES_H
#define HTTP_SERVER_FILES_H

#include "http.h"

#include <stddef.h>
#include <sys/stat.h>

enum { FILES_PATH_BYTES = 4096 };

/* What a target such as "/a%20b?c" leads to. */
enum files_result {
    FILES_FILE,   /* a file, which is open */
    FILES_FOLDER, /* a folder, which is open */
    FILES_MOVED,  /* a folder, but the slash at the end is missing */
    FILES_NONE,   /* nothing that we serve */
    FILES_BAD,    /* the target is not a path */
    FILES_FAILED, /* errno says why */
};

/*
 * Takes the path out of the target of a request, and replaces escapes by the
 * bytes that they mean. The path has no slash in front and no query behind it.
 * For "/" it is ".". path has FILES_PATH_BYTES.
 *
 * Returns FILES_FILE when this is a path that we may look for, FILES_NONE when
 * a part of it begins with a dot, and FILES_BAD when it has a NUL, a wrong
 * escape, an escaped slash or a "#", or is too long.
 */
enum files_result files_parse_target(const struct http_text *target,
                                     char *path);

/*
 * Opens what has this path in the folder root, a descriptor. No path leads out
 * of that folder, whatever stands in it: links are followed only as long as
 * they stay inside. In a folder, its index.html is opened, if there is one.
 *
 * With FILES_FILE and FILES_FOLDER, *fd is a descriptor, which the caller
 * closes, and *status is what fstat(2) says. What is neither a file nor a
 * folder is FILES_NONE.
 */
enum files_result files_open(int root, const char *path, int *fd,
                             struct stat *status);

/* Returns the media type of a file, from the ending of its name, such as
 * "text/html; charset=utf-8". For a folder, it is that of its index. It is a
 * constant. */
const char *files_type(const char *path);

/*
 * Makes a page that lists a folder, which is open as fd, as HTML. title is its
 * path, as people read it. Names that begin with a dot are left out. fd is
 * closed.
 *
 * Returns the page, which the caller frees, and its length in *length. Returns
 * NULL with errno when it cannot be made.
 */
char *files_list(int fd, const char *title, size_t *length);

#endif
