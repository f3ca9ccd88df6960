/*
 * scene: the actors of a play, as a file has them: one a line, `NAME: COMMAND`.
 * Built by lesson 36.
 */
#ifndef XRAY_SCENE_H
#define XRAY_SCENE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SCENE_MOST_ACTORS = 16,
    SCENE_NAME_BYTES = 256,
    SCENE_COMMAND_BYTES = 1024,
    SCENE_PORT_BYTES = 6, /* "65535" */
};

struct scene_actor {
    char name[SCENE_NAME_BYTES];       /* as utf8_escape writes it */
    char command[SCENE_COMMAND_BYTES]; /* for a shell; it may have {port} */
};

struct scene {
    struct scene_actor actors[SCENE_MOST_ACTORS];
    size_t count;
};

/* Reads a scene from a file, or from standard input if path is "-". If it is
 * not a scene, or cannot be read, says why and ends the program with status 1.
 */
void scene_read(struct scene *scene, const char *path);

/* Whether {port} stands in an actor's command. */
bool scene_needs_port(const struct scene_actor *actor);

/* Writes an actor's command to out, which has SCENE_COMMAND_BYTES, with port in
 * the place of each {port}. port is at most SCENE_PORT_BYTES - 1 long. */
void scene_fill_in(const struct scene_actor *actor, const char *port,
                   char *out);

#endif
