/* files: opens the files that a web server may serve, and no others. */
#define _GNU_SOURCE

#include "files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OPEN_TRIES = 100 };

static const char index_name[] = "index.html";

static const struct {
    const char *ending;
    const char *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".htm", "text/html; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/markdown; charset=utf-8"},
    {".c", "text/plain; charset=utf-8"},
    {".h", "text/plain; charset=utf-8"},
    {".py", "text/plain; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},
    {".ico", "image/x-icon"},
    {".webp", "image/webp"},
    {".pdf", "application/pdf"},
    {".wasm", "application/wasm"},
    {".woff2", "font/woff2"},
};

/* ---- The path --------------------------------------------------------------
 */

static int digit_value(char character) {
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

/* Reads the escape at bytes, such as "%2e", of which length bytes are there.
 * Returns the byte that it means, or -1 when it is wrong. */
static int read_escape(const char *bytes, size_t length) {
    if (length < 3)
        return -1;
    int high = digit_value(bytes[1]);
    int low = digit_value(bytes[2]);
    if (high < 0 || low < 0)
        return -1;
    return high * 16 + low;
}

/* Copies a path without its escapes. Returns false when it is wrong. */
static bool unescape(const char *bytes, size_t length, char *path) {
    size_t written = 0;
    size_t i = 0;
    while (i < length) {
        int byte = (unsigned char)bytes[i];
        size_t used = 1;
        if (byte == '%') {
            byte = read_escape(bytes + i, length - i);
            used = 3;
            /* -1 is a wrong escape. A slash that is escaped is part of a name,
             * and no name of a file can have one. A NUL would end the path. */
            if (byte <= 0 || byte == '/')
                return false;
        }
        if (written == FILES_PATH_BYTES - 1)
            return false;
        path[written] = (char)byte;
        written++;
        i += used;
    }
    path[written] = '\0';
    return true;
}

/* Returns whether a part of the path begins with a dot: "." and ".." do, and
 * the files that are not meant to be seen. */
static bool has_dot(const char *path) {
    if (path[0] == '.')
        return true;
    return strstr(path, "/.") != NULL;
}

enum files_result files_parse_target(const struct http_text *target,
                                     char *path) {
    const char *bytes = target->bytes;
    size_t length = 0;
    while (length < target->length && bytes[length] != '?')
        length++;
    if (length == 0 || bytes[0] != '/')
        return FILES_BAD;
    /* What stands behind a # is for the browser, which must not send it. */
    if (memchr(target->bytes, '#', target->length) != NULL)
        return FILES_BAD;
    while (length > 0 && bytes[0] == '/') {
        bytes++;
        length--;
    }
    if (!unescape(bytes, length, path))
        return FILES_BAD;
    if (has_dot(path))
        return FILES_NONE;
    if (path[0] == '\0') { /* the root itself */
        path[0] = '.';
        path[1] = '\0';
    }
    return FILES_FILE;
}

/* ---- Opening ---------------------------------------------------------------
 */

/* Opens a path one part after the other, for kernels without openat2. Then no
 * link is followed at all. */
static int open_by_parts(int root, const char *path) {
    char part[FILES_PATH_BYTES];
    int fd = dup(root);
    while (fd >= 0 && *path != '\0') {
        size_t length = strcspn(path, "/");
        memcpy(part, path, length);
        part[length] = '\0';
        path += length;
        while (*path == '/')
            path++;
        int next =
            openat(fd, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        int error = errno;
        (void)close(fd);
        errno = error;
        fd = next;
    }
    return fd;
}

/* Opens a path beneath root. O_NONBLOCK, because to open a pipe would wait for
 * somebody who writes into it. If something is renamed at the same moment,
 * anywhere on this machine, the kernel may not be sure where a ".." in a link
 * leads. Then it says EAGAIN, and we try again: openat2(2). */
static int open_beneath(int root, const char *path) {
    struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = -1;
    errno = EAGAIN;
    for (int i = 0; i < OPEN_TRIES && fd < 0 && errno == EAGAIN; i++)
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return open_by_parts(root, path);
    return (int)fd;
}

/* Says what an error of opening means. */
static enum files_result result_of(int error) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case ELOOP: /* links that lead to each other */
    case EXDEV: /* it would lead out of the root */
    case ENAMETOOLONG:
    case ENXIO: /* a socket */
        return FILES_NONE;
    default:
        return FILES_FAILED; /* errno is still that error */
    }
}

/* Opens the index of a folder, which has this path beneath root. *fd is the
 * folder, and becomes the index. If there is none, the folder is listed: but
 * not if there is one that cannot be opened. */
static enum files_result open_index(int root, const char *path, int *fd,
                                    struct stat *status) {
    struct stat index_status;
    char index_path[PATH_MAX];
    if (strcmp(path, ".") == 0)
        path = "";
    int length =
        snprintf(index_path, sizeof index_path, "%s%s", path, index_name);
    if ((size_t)length >= sizeof index_path)
        return FILES_FOLDER; /* no path can be so long */
    int index = open_beneath(root, index_path);
    if (index < 0 && errno == ENOENT)
        return FILES_FOLDER;
    if (index < 0) {
        int error = errno;
        (void)close(*fd);
        errno = error;
        return result_of(error);
    }
    if (fstat(index, &index_status) < 0 || !S_ISREG(index_status.st_mode)) {
        (void)close(index);
        return FILES_FOLDER;
    }
    (void)close(*fd);
    *fd = index;
    *status = index_status;
    return FILES_FILE;
}

/* Returns whether the path is that of a folder: of the root, or one with a
 * slash at its end. */
static bool is_folder_path(const char *path) {
    return strcmp(path, ".") == 0 || path[strlen(path) - 1] == '/';
}

static enum files_result open_path(int root, const char *path, int *fd,
                                   struct stat *status) {
    bool has_folder_path = is_folder_path(path);
    *fd = open_beneath(root, path);
    if (*fd < 0)
        return result_of(errno);
    if (fstat(*fd, status) < 0) {
        int error = errno;
        (void)close(*fd);
        errno = error;
        return FILES_FAILED;
    }
    bool is_folder = S_ISDIR(status->st_mode);
    if (is_folder && has_folder_path)
        return open_index(root, path, fd, status);
    if (S_ISREG(status->st_mode) && !has_folder_path)
        return FILES_FILE;
    (void)close(*fd);
    if (is_folder)
        return FILES_MOVED;
    return FILES_NONE;
}

enum files_result files_open(int root, const char *path, struct file **file) {
    int fd;
    struct stat status;
    size_t path_bytes = strlen(path) + 1;
    enum files_result result = open_path(root, path, &fd, &status);
    if (result != FILES_FILE && result != FILES_FOLDER)
        return result;
    struct file *opened = malloc(sizeof *opened + path_bytes);
    if (opened == NULL) {
        (void)close(fd);
        errno = ENOMEM;
        return FILES_FAILED;
    }
    opened->fd = fd;
    opened->users = 1;
    opened->status = status;
    memcpy(opened->path, path, path_bytes);
    *file = opened;
    return result;
}

void files_share(struct file *file) {
    file->users++;
}

void files_release(struct file *file) {
    if (file == NULL)
        return;
    file->users--;
    if (file->users > 0)
        return;
    (void)close(file->fd);
    free(file);
}

const char *files_type(const char *path) {
    if (is_folder_path(path))
        path = index_name;
    const char *ending = strrchr(path, '.');
    if (ending == NULL)
        return "application/octet-stream";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(types[i].ending, ending) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* ---- The list of a folder --------------------------------------------------
 */

/* Writes a text into HTML. What would be HTML itself is escaped: a name of a
 * file may have any character in it. */
static void write_html(struct output *page, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            output_add_text(page, "&amp;");
            break;
        case '<':
            output_add_text(page, "&lt;");
            break;
        case '>':
            output_add_text(page, "&gt;");
            break;
        case '"':
            output_add_text(page, "&quot;");
            break;
        default:
            output_add_bytes(page, text, 1);
        }
    }
}

/* Writes a name into a URL. */
static void write_url(struct output *page, const char *name) {
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        bool is_plain = byte < 128 && (isalnum(byte) || strchr("-._~", byte));
        if (is_plain) {
            output_add_bytes(page, name, 1);
        } else {
            char escape[sizeof "%00"];
            (void)snprintf(escape, sizeof escape, "%%%02X", byte);
            output_add_text(page, escape);
        }
    }
}

static void write_entry(struct output *page, const struct dirent *entry) {
    const char *slash = "";
    if (entry->d_type == DT_DIR)
        slash = "/";
    output_add_text(page, "<li><a href=\"");
    write_url(page, entry->d_name);
    output_add_text(page, slash);
    output_add_text(page, "\">");
    write_html(page, entry->d_name);
    output_add_text(page, slash);
    output_add_text(page, "</a></li>\n");
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int files_list(const struct file *folder, const char *title,
               struct output *page) {
    struct dirent **entries;
    int count = scandirat(folder->fd, ".", &entries, is_visible, alphasort);
    if (count < 0)
        return -1;
    output_add_text(page, "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>");
    write_html(page, title);
    output_add_text(page, "</title>\n<h1>");
    write_html(page, title);
    output_add_text(page, "</h1>\n<ul>\n<li><a href=\"../\">../</a></li>\n");
    for (int i = 0; i < count; i++) {
        write_entry(page, entries[i]);
        free(entries[i]);
    }
    output_add_text(page, "</ul>\n");
    free(entries);
    return 0;
}
