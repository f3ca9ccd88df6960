/*
 * xray: plays a scene and draws what happened: the system calls of each actor,
 * the segments between them, and the TCP states, in one order of time.
 *
 * usage: 36-xray [-afl] [-s FILE.svg] [-o FILE] [-t SECONDS] SCENE
 *        36-xray [-afl] [-s FILE.svg] [-o FILE] [-t SECONDS] -c COMMAND...
 *
 * Only one process runs at a time, until it waits for something: so the same
 * scene gives the same picture each time. The times in it are real ones, but
 * longer than they would be without us. What the actors of a scene print is
 * seen in the picture only.
 *
 * The modules in this folder do the work: trace, schedule and wire see what
 * happens, record stores it, layout makes a picture of it, fold (with -f) folds
 * some of its rows, text and svg draw that picture.
 */
#define _GNU_SOURCE

#include <err.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "deadline.h"
#include "fold.h"
#include "foot.h"
#include "layout.h"
#include "picture.h"
#include "play.h"
#include "record.h"
#include "scene.h"
#include "svg.h"
#include "text.h"
#include "wire.h"

enum {
    TIME_LIMIT_MS = 20000,
    NARROWEST = 40, /* characters of a picture */
    WIDEST = 100,
    TIMED_OUT = 124, /* as timeout(1) has it */
};

struct options {
    bool all;           /* -a: all calls, not only those on sockets */
    bool fold;          /* -f: the drawings have fewer rows: see fold.h */
    bool list;          /* -l: a list instead of a picture */
    bool command;       /* -c: what follows is a command, not a scene */
    const char *image;  /* -s: the file for an image, or NULL */
    const char *output; /* -o: the file for the text, or NULL */
    int milliseconds;   /* -t */
    char **operands;    /* the scene, or the command and its arguments */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 36-xray [-afl] [-s FILE.svg] [-o FILE] [-t SECONDS] SCENE\n"
          "       36-xray [-afl] [-s FILE.svg] [-o FILE] [-t SECONDS]"
          " -c COMMAND...\n",
          out);
    if (fflush(out) == EOF || ferror(out))
        err(1, "standard output");
    exit(status);
}

/* ---- drawing --------------------------------------------------------------*/

/* How many columns the terminal of out has, or 0 if that is not known. If out
 * is no terminal, it may be a pipe to grep or less, which print on the terminal
 * of standard error. */
static size_t find_terminal_width(FILE *out) {
    struct winsize size = {0};
    int result = ioctl(fileno(out), TIOCGWINSZ, &size);
    if (result < 0)
        result = ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    if (result < 0)
        return 0;
    return size.ws_col;
}

/* How wide a picture may be: as wide as the terminal, or as COLUMNS says, but
 * within our limits. */
static size_t find_width(FILE *out) {
    const char *columns = getenv("COLUMNS");
    size_t width = find_terminal_width(out);
    if (width == 0) {
        width = WIDEST;
        if (columns != NULL)
            width = strtoul(columns, NULL, 10);
    }
    if (width > WIDEST)
        return WIDEST;
    if (width < NARROWEST)
        return NARROWEST;
    return width;
}

static enum text_characters find_characters(void) {
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return TEXT_UNICODE;
    return TEXT_ASCII;
}

/* Writes the list, or the picture in text with what stands below it. */
static void write_text(FILE *out, const struct options *options,
                       struct play *play, const struct picture *picture) {
    if (options->list) {
        picture_write_list(out, picture);
        return;
    }
    size_t width = find_width(out);
    if (text_draw(out, picture, width, find_characters()) < 0)
        play->record.no_memory = true;
    if (foot_write(out, &play->record, picture, play->ended_at, width) < 0)
        play->record.no_memory = true;
}

static void write_output(const struct options *options, struct play *play,
                         const struct picture *picture) {
    if (options->output == NULL) {
        write_text(stdout, options, play, picture);
        if (fflush(stdout) == EOF)
            err(1, "standard output");
        return;
    }
    FILE *out = fopen(options->output, "we");
    if (out == NULL)
        err(1, "%s", options->output);
    write_text(out, options, play, picture);
    if (fclose(out) == EOF)
        err(1, "%s", options->output);
}

static void write_image(const struct options *options, struct play *play,
                        const struct picture *picture) {
    FILE *out = fopen(options->image, "we");
    if (out == NULL)
        err(1, "%s", options->image);
    if (svg_draw(out, picture) < 0)
        play->record.no_memory = true;
    if (fclose(out) == EOF)
        err(1, "%s", options->image);
}

/* Says of which processes no call on a socket is in the picture. */
static void report_hidden(const struct record *record) {
    for (size_t i = 0; i < record->process_count; i++) {
        const struct record_process *process = &record->processes[i];
        if (process->is_hidden)
            warnx("no calls on sockets of process %d (%s) will be seen: "
                  "/proc/%d/fd: Permission denied",
                  (int)process->pid, process->actor, (int)process->pid);
    }
}

/* Says what is missing in the picture: calls, messages, and actors. */
static void report_missing(const struct play *play) {
    report_hidden(&play->record);
    if (play->record.no_peers)
        warnx("no messages on UNIX sockets will be seen: the kernel does not "
              "tell their peers (sock_diag)");
    for (size_t i = 0; i < play->started; i++) {
        const char *name = play->scene->actors[i].name;
        if (!layout_is_drawn(&play->record, name))
            warnx("%s is not drawn: there is no column left for it", name);
    }
}

static void report_end(const struct play *play) {
    const struct scene_actor *actors = play->scene->actors;
    size_t next = play->started;
    warnx("the scene did not end in time, and was ended");
    if (next < play->scene->count)
        warnx(
            "%s was not started: %s has not called listen, nor bound a socket "
            "for datagrams, nor printed \"listening on\"",
            actors[next].name, actors[next - 1].name);
}

/* An image is drawn instead of a text, unless options ask for both. */
static void draw(const struct options *options, struct play *play) {
    struct picture picture = {0};
    bool wants_text =
        options->image == NULL || options->list || options->output != NULL;
    layout_make(&play->record, &picture);
    if (options->fold && !options->list) {
        if (fold_picture(&picture) < 0)
            play->record.no_memory = true;
    }
    if (wants_text)
        write_output(options, play, &picture);
    if (options->image != NULL)
        write_image(options, play, &picture);
    report_missing(play);
    picture_free(&picture);
}

/* ---- the program ----------------------------------------------------------*/

static int parse_seconds(const char *text) {
    int milliseconds;
    if (deadline_parse(text, strlen(text), &milliseconds) < 0)
        errx(2, "not a number of seconds: %s", text);
    return milliseconds;
}

/* Stores what one option says. */
static void parse_option(struct options *options, int option) {
    switch (option) {
    case 'a':
        options->all = true;
        break;
    case 'f':
        options->fold = true;
        break;
    case 'l':
        options->list = true;
        break;
    case 'c':
        options->command = true;
        break;
    case 's':
        options->image = optarg;
        break;
    case 'o':
        options->output = optarg;
        break;
    case 't':
        options->milliseconds = parse_seconds(optarg);
        break;
    default:
        usage(stderr, 2);
    }
}

static void parse_options(struct options *options, int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    for (;;) {
        /* The plus sign: options end at the first operand. What follows are
         * the options of the command. */
        int option = getopt(argc, argv, "+aflcs:o:t:");
        if (option == -1)
            break;
        parse_option(options, option);
    }
    options->operands = argv + optind;
    int count = argc - optind;
    bool too_many = count > 1 && !options->command;
    if (count == 0 || too_many)
        usage(stderr, 2);
}

/* Ends the program if standard output or standard error is closed: a file that
 * we open would get its number, and what we print would be written into that
 * file. But the command of -c gets these descriptors from us, closed or not.
 * With -o we write nothing to them, so that the command runs as it would
 * without us. */
static void require_output(const struct options *options) {
    if (options->command && options->output != NULL)
        return;
    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            err(1, "descriptor %d", fd);
    }
}

/* The scene of option -c has one actor, which play_run starts by its words. */
static void make_scene(struct scene *scene, const struct options *options) {
    if (options->command) {
        scene->count = 1;
        (void)snprintf(scene->actors[0].name, sizeof scene->actors[0].name,
                       "program");
    } else {
        scene_read(scene, options->operands[0]);
    }
}

int main(int argc, char **argv) {
    static struct scene scene;
    static struct play play;
    struct options options = {.milliseconds = TIME_LIMIT_MS};
    parse_options(&options, argc, argv);
    require_output(&options);
    (void)setlocale(LC_CTYPE, "");
    make_scene(&scene, &options);
    play.scene = &scene;
    if (options.command)
        play.command = options.operands;
    if (options.all)
        play.choice = RECORD_ALL_CALLS;
    play.wire = wire_open();
    if (play.wire < 0)
        warn("no segments will be seen: socket AF_PACKET");
    play_run(&play, options.milliseconds);
    draw(&options, &play);
    if (play.ended_at > 0)
        report_end(&play);
    if (play.record.no_memory)
        errx(1, "out of memory: not all that happened is shown");
    int status = play_status(&play);
    if (play.ended_at > 0)
        status = TIMED_OUT;
    play_free(&play);
    return status;
}
