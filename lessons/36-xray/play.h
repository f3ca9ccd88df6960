/*
 * play: runs the actors of a scene, one process at a time, and records what
 * they do. Built by lesson 36.
 *
 * What no play can go on without, such as ptrace(2) or memory, ends the program
 * with a message and status 1.
 */
#ifndef XRAY_PLAY_H
#define XRAY_PLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record.h"
#include "scene.h"
#include "schedule.h"

enum play_state {
    PLAY_NOT_STARTED,
    PLAY_STARTED, /* there is a process, but it is not yet the command */
    PLAY_RUNNING,
    PLAY_ENDED,
};

struct play_actor {
    enum play_state state;
    pid_t pid;
    bool ready;     /* the next actor may start */
    bool said_port; /* it has printed on which port it listens */
    bool is_bound; /* it has bound a socket for datagrams, and not sent on it */
    int bound;     /* that socket's descriptor */
    uint16_t bound_port; /* and its port, or 0 */
    bool listens;        /* it has called listen(2) */
    int status;          /* how it ended, as waitpid(2) has it */
};

/* Set it to zero, set the first four fields, and give it to play_free in the
 * end. */
struct play {
    const struct scene *scene;
    char *const *command; /* in the place of the only actor's command, with our
                             standard input and output; NULL for none */
    enum record_choice choice;
    int wire; /* of wire_open, or -1 for none */

    struct record record; /* what has happened */
    int64_t ended_at;     /* when we ended it, in nanoseconds on CLOCK_REALTIME;
                             0 if it ended by itself */

    struct play_actor actors[SCENE_MOST_ACTORS];
    size_t started;              /* how many actors have been started */
    char port[SCENE_PORT_BYTES]; /* where the last one of them listens, as it
                                    says or as the kernel says; "" before */
    struct schedule schedule;
    bool over;   /* the last actor has ended: nothing more is recorded */
    int signals; /* a descriptor for signals that we get: signalfd(2) */
    int nothing; /* a descriptor of /dev/null */
};

/*
 * Starts the actors in their order, each one when the one before it is ready:
 * when it has called listen(2), or bind(2) on a socket for datagrams on which
 * it does not send first; when it says on standard output that it is `listening
 * on` an address or `capturing on` an interface; or when it has ended. When the
 * last actor ends, the play is over, and the others get SIGTERM, and SIGKILL
 * after two seconds. If it is not over after so many milliseconds, all are
 * killed. If an actor needs {port}, and none before it has a port, says so and
 * ends the program with status 1.
 *
 * SIGINT or SIGTERM ends the program, and the kernel kills all actors; but a
 * play's command gets that signal in our place.
 */
void play_run(struct play *play, int milliseconds);

/* The status of the last actor as a shell has it: 128 and the number of the
 * signal that killed it, or else its exit status. */
int play_status(const struct play *play);

void play_free(struct play *play);

#endif
