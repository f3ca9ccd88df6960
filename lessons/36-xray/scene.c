#define _GNU_SOURCE

#include "scene.h"

#include <err.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

/* It stands before each command, so that the shell becomes the command. Without
 * it, the shell would be one more process. */
static const char exec[] = "exec ";

static const char port_mark[] = "{port}";

enum { LINE_BYTES = 65536 }; /* room for a line and its NUL */

static bool is_blank_or_comment(const char *line) {
    size_t blanks = strspn(line, " \t");
    return line[blanks] == '\0' || line[0] == '#';
}

/* Adds the actor of a line, which loses its colon. */
static void add_actor(struct scene *scene, char *line, const char *path) {
    if (is_blank_or_comment(line))
        return;
    /* The colon becomes the end of the name, with which the line begins. */
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line) {
        char shown[SCENE_COMMAND_BYTES];
        (void)utf8_escape(line, shown, sizeof shown);
        errx(1, "%s: no NAME: COMMAND: %s", path, shown);
    }
    if (scene->count == SCENE_MOST_ACTORS)
        errx(1, "%s: more than %d actors", path, SCENE_MOST_ACTORS);
    *colon = '\0';
    const char *name = line;
    const char *command = colon + 1;
    command += strspn(command, " \t");
    struct scene_actor *actor = &scene->actors[scene->count];
    size_t command_length = strlen(exec) + strlen(command);
    char shown[SCENE_COMMAND_BYTES];
    size_t name_length = utf8_escape(name, shown, sizeof shown);
    if (name_length >= sizeof actor->name)
        errx(1, "%s: an actor has a name of more than %zu bytes: %s", path,
             sizeof actor->name - 1, shown);
    if (command_length >= sizeof actor->command)
        errx(1, "%s: the command of %s has more than %zu bytes", path, shown,
             sizeof actor->command - strlen(exec) - 1);
    memcpy(actor->name, shown, name_length + 1);
    (void)snprintf(actor->command, sizeof actor->command, "%s%s", exec,
                   command);
    scene->count++;
}

/* Reads a line without its end, which is a newline, or a carriage return and a
 * newline where another system has written the file. A file that is not text,
 * such as /dev/zero, may have no newline, and no end. Returns whether there was
 * a line. */
static bool read_line(FILE *file, char *line, const char *path) {
    size_t length = 0;
    int byte = getc(file);
    if (byte == EOF)
        return false;
    while (byte != EOF && byte != '\n') {
        if (byte == '\0')
            errx(1, "%s: it has a NUL byte, so it is not a text", path);
        if (length == LINE_BYTES - 1)
            errx(1, "%s: a line has more than %d bytes", path, LINE_BYTES - 1);
        line[length] = (char)byte;
        length++;
        byte = getc(file);
    }
    if (length > 0 && line[length - 1] == '\r')
        length--;
    line[length] = '\0';
    return true;
}

static void read_lines(struct scene *scene, FILE *file, const char *path) {
    char line[LINE_BYTES];
    while (read_line(file, line, path))
        add_actor(scene, line, path);
    if (ferror(file))
        err(1, "%s", path);
}

void scene_read(struct scene *scene, const char *path) {
    scene->count = 0;
    if (strcmp(path, "-") == 0) {
        read_lines(scene, stdin, path);
    } else {
        FILE *file = fopen(path, "re");
        if (file == NULL)
            err(1, "%s", path);
        read_lines(scene, file, path);
        (void)fclose(file);
    }
    if (scene->count == 0)
        errx(1, "%s: nobody in it", path);
}

bool scene_needs_port(const struct scene_actor *actor) {
    return strstr(actor->command, port_mark) != NULL;
}

/* A port is never longer than the mark, so the command does not grow. */
void scene_fill_in(const struct scene_actor *actor, const char *port,
                   char *out) {
    const char *next = actor->command;
    while (*next != '\0') {
        if (strncmp(next, port_mark, strlen(port_mark)) == 0) {
            memcpy(out, port, strlen(port));
            out += strlen(port);
            next += strlen(port_mark);
        } else {
            *out = *next;
            out++;
            next++;
        }
    }
    *out = '\0';
}
