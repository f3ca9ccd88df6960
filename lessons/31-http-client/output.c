/* output: where the body goes. */
#define _GNU_SOURCE

#include "output.h"

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USUAL_MODE = 0666 }; /* of a new file, without what umask(2) forbids */

/* Returns whether there is something that is not a regular file. rename(2)
 * would replace a device such as /dev/null, and then others could not use it.
 */
static bool is_special(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && !S_ISREG(file.st_mode);
}

/* A new file has another name until it is whole. So nobody takes a part of it
 * for the whole, and an old file stays as it was when we fail. */
int output_open(struct output *output, const char *path) {
    output->path = path;
    if (path == NULL) {
        output->file = stdout;
        return 0;
    }
    if (is_special(path)) {
        warnx("%s: it is there, and is not a regular file", path);
        return -1;
    }
    int length = snprintf(output->part, sizeof output->part, "%s.XXXXXX", path);
    if ((size_t)length >= sizeof output->part) {
        warnx("%s: the name is too long", path);
        return -1;
    }
    int fd = mkostemp(output->part, O_CLOEXEC);
    if (fd < 0) {
        warn("%s", output->part);
        return -1;
    }
    output->file = fdopen(fd, "w");
    if (output->file == NULL)
        err(1, "fdopen");
    return 0;
}

int output_write(struct output *output, const char *bytes, size_t length) {
    if (output->file == NULL)
        return 0;
    if (fwrite(bytes, 1, length, output->file) == length)
        return 0;
    if (output->path != NULL)
        warn("%s", output->path);
    else
        warn("standard output");
    return -1;
}

/* Gives the file the mode that open(2) would have given it. mkostemp(3) lets
 * only its owner read it. */
static int set_mode(int fd) {
    mode_t forbidden = umask(0);
    (void)umask(forbidden);
    return fchmod(fd, USUAL_MODE & ~forbidden);
}

int output_finish(struct output *output) {
    if (output->path == NULL) {
        if (fflush(stdout) == 0)
            return 0;
        warn("standard output");
        return -1;
    }
    bool is_good =
        fflush(output->file) == 0 && set_mode(fileno(output->file)) == 0;
    if (fclose(output->file) == EOF)
        is_good = false;
    if (is_good && rename(output->part, output->path) == 0)
        return 0;
    warn("%s", output->path);
    (void)unlink(output->part);
    return -1;
}

void output_discard(struct output *output) {
    if (output->path != NULL && output->file != NULL) {
        (void)fclose(output->file);
        (void)unlink(output->part);
    }
}
