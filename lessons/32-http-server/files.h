/*
 * files: opens the files that a web server may serve, and no others. Built by
 * lesson 32.
 */
#ifndef HTTP_SERVER_FILES_H
#define HTTP_SERVER_FILES_H

#include "http.h"
#include "output.h"

#include <stddef.h>
#include <sys/stat.h>

enum { FILES_PATH_BYTES = 4096 };

/* What a target such as "/a%20b?c" leads to. */
enum files_result {
    FILES_FILE,   /* a file */
    FILES_FOLDER, /* a folder, to be listed */
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
 * a part of it begins with a dot, and FILES_BAD when it begins with no slash,
 * has a NUL, a wrong escape, an escaped slash or a "#", or is too long.
 */
enum files_result files_parse_target(const struct http_text *target,
                                     char *path);

/* A file or a folder that is open. */
struct file {
    int fd;
    int users;          /* it is closed when there is none left */
    struct stat status; /* what fstat(2) said when it was opened */
    char path[];        /* by which it was found */
};

/*
 * Opens what has this path in the folder root, a descriptor. No path leads out
 * of that folder, whatever stands in it: links are followed only as long as
 * they stay inside. In a folder, its index.html is opened, if there is one.
 *
 * With FILES_FILE and FILES_FOLDER, *file has one user: the caller, who gives
 * it to files_release in the end. With all other results, *file stays as it
 * was. What is neither a file nor a folder is FILES_NONE.
 */
enum files_result files_open(int root, const char *path, struct file **file);

/* The file has one more user, who gives it to files_release in the end. */
void files_share(struct file *file);

/* The file, or NULL, has one user less. The last one closes it. */
void files_release(struct file *file);

/* Returns the media type of a file, from the ending of its name, such as
 * "text/html; charset=utf-8". For a folder, it is that of its index. It is a
 * constant. */
const char *files_type(const char *path);

/*
 * Adds a page that lists a folder, as HTML. title is its path, as people read
 * it. Names that begin with a dot are left out.
 *
 * Returns 0, or -1 with errno when the folder cannot be read. Then nothing has
 * been added.
 */
int files_list(const struct file *folder, const char *title,
               struct output *page);

#endif
