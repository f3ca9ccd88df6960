/*
 * play: plays scenes with one actor of each under torture, and prints what that
 * actor did.
 *
 *     play FOLDER [LEAST SECONDS] <PLAN
 *
 * It plays the whole plan. With LEAST and SECONDS it plays the beginning of the
 * plan: at least LEAST lines, and then more until SECONDS have passed.
 *
 * A line of the plan is one run: a label, then KEY=VALUE fields, separated by
 * tabs:
 *
 *     scene=FILE     a scene, as lessons/README.md describes it
 *     target=NUMBER  the actor that is tortured: 1 is the first
 *     wrap=WORDS     these words come before the target's command
 *     env=NAME=VALUE the target has it in its environment; may be repeated
 *     in=FILE, out=FILE, err=FILE
 *                    the target's descriptors 0, 1 and 2; `-` closes one
 *     files=COUNT    the target may have so many descriptors
 *     cwd=FOLDER     the target's working directory
 *     first=COMMAND  replaces the command of the first actor
 *     peer=COMMAND   starts when the target is ready, before the other actors
 *     stay=1         the peer stays to the end. Without this we wait for it to
 *                    end, and kill it after a moment.
 *     rounds=COUNT   the actors after the target are played again so often
 *     patience=MS    the target does not count as hung before this time is over
 *     holds=COUNT    a server that has lost no descriptor has so many at the
 * end
 *
 * In a command, a file whose name ends in .socket is moved to FOLDER, so that
 * two runs at the same time do not share it.
 *
 * For each run we print one line. Its fields are separated by tabs:
 *
 *     the label
 *     how many faults were injected (lines with INJECTED in FOLDER/log) and, if
 *       the log says so, whose call was the first
 *     what the target did when it was ready: `listening`, `capturing` or `-`
 *     how it ended: `exit 1`, `signal 11` or `hung`
 *     `told` if it ended only because we sent SIGTERM, else `-`
 *     how many descriptors it had then
 *     its standard output
 *     its standard error
 *     what the other actors printed and how they ended; one field for each
 * round
 *
 * In a field, newline and tab are written as `\n` and `\t`, and the port of the
 * last listener as {port}.
 */
#define _GNU_SOURCE

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_ACTORS = 16,
    MOST_OPTIONS = 24,
    MOST_ROUNDS = 8,
    /* A target hangs if it has not ended after this time: 3 s, and half a
     * second to start. Its option -t is added. It also has this time to end
     * after a SIGTERM. */
    TARGET_MS = 3500,
    OTHER_MS =
        5000,      /* the same for other actors: they may wait for the target */
    PEER_MS = 100, /* a peer that is still there then is killed */
    SETTLE_MS =
        400, /* a server has this time to close what clients have left */
    SHOWN_BYTES = 2048,
    CANNOT_START = 126, /* the status of a child that cannot run its command */
};

struct actor {
    char name[32];
    char *command; /* {port} is not replaced yet */
    pid_t pid;
    int status;  /* as from waitpid(2), when it has ended */
    int started; /* since then `pid` is its process */
    int ready;
    int ended;
    int told;       /* we sent SIGTERM */
    int hung;       /* we had to kill it */
    char doing[16]; /* when it is ready: `listening` and so on */
    /* The paths of the files that have its output. */
    char out[512];
    char error[512];
};

struct play {
    const char *folder;
    struct actor actors[MOST_ACTORS];
    size_t count;
    struct actor *target;
    char *options[MOST_OPTIONS]; /* the fields of the plan's line */
    size_t option_count;
    char port[8];
    long descriptors;
    /* What the other actors printed, in each round. We free it. */
    char *rounds[MOST_ROUNDS + 1];
};

static long now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(void) {
    const struct timespec moment = {.tv_nsec = 1000000};
    (void)nanosleep(&moment, NULL);
}

/* Returns the value of this key, or NULL if the line does not have it. */
static const char *option(const struct play *play, const char *key) {
    size_t length = strlen(key);
    for (size_t i = 0; i < play->option_count; i++)
        if (strncmp(play->options[i], key, length) == 0 &&
            play->options[i][length] == '=')
            return play->options[i] + length + 1;
    return NULL;
}

static long number(const struct play *play, const char *key, long otherwise) {
    const char *text = option(play, key);
    if (text == NULL)
        return otherwise;
    return strtol(text, NULL, 10);
}

/* How many milliseconds the target may take. The programs of this workbook take
 * their deadline as option -t, most in seconds and some in milliseconds: from
 * 100 on it must be milliseconds. */
static long patience(const struct play *play, const struct actor *actor) {
    const char *deadline = strstr(actor->command, " -t ");
    if (deadline == NULL) {
        long given = number(play, "patience", 0);
        return given > TARGET_MS ? given : TARGET_MS;
    }
    double seconds = strtod(deadline + strlen(" -t "), NULL);
    if (seconds >= 100)
        seconds /= 1000;
    if (seconds >= 10) /* a deadline that no run is to reach */
        return TARGET_MS;
    return TARGET_MS + (long)(seconds * 1000);
}

static long patience_with(const struct play *play, const struct actor *actor) {
    if (actor == play->target)
        return patience(play, actor);
    return OTHER_MS;
}

/* The first bytes of a file, as a string that the caller frees. A file that is
 * not there counts as empty. */
static char *contents(const char *path) {
    char *text = calloc(1, SHOWN_BYTES + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (text == NULL)
        err(1, "calloc");
    if (fd >= 0) {
        ssize_t got = read(fd, text, SHOWN_BYTES);
        for (ssize_t i = 0; i < got; i++)
            if (text[i] == '\0')
                text[i] = '?';
        (void)close(fd);
    }
    return text;
}

/* ---- starting -------------------------------------------------------------*/

/* Writes the words that come before the target's command: the wrapper, and env
 * with what it sets. */
static void write_prefix(FILE *out, const struct play *play) {
    if (option(play, "wrap") != NULL)
        fprintf(out, " %s", option(play, "wrap"));
    if (option(play, "env") != NULL)
        fputs(" env", out);
    for (size_t i = 0; i < play->option_count; i++)
        if (strncmp(play->options[i], "env=", 4) == 0)
            fprintf(out, " %s", play->options[i] + strlen("env="));
}

/* Writes the text, with the port in the place of {port}. */
static void write_with_port(FILE *out, const char *text, const char *port) {
    for (;;) {
        const char *place = strstr(text, "{port}");
        if (place == NULL)
            break;
        fprintf(out, "%.*s%s", (int)(place - text), text, port);
        text = place + strlen("{port}");
    }
    fputs(text, out);
}

/* The command line for the shell. The caller frees it. */
static char *shell_command(const struct play *play, const struct actor *actor) {
    char *all = NULL;
    size_t length;
    FILE *out = open_memstream(&all, &length);
    char *here = get_current_dir_name();
    if (out == NULL || here == NULL)
        err(CANNOT_START, "open_memstream");
    fputs("exec", out);
    if (actor == play->target)
        write_prefix(out, play);
    fputc(' ', out);
    /* The path of the program must be right from another directory, too. */
    if (actor == play->target && option(play, "cwd") != NULL)
        fprintf(out, "%s/", here);
    write_with_port(out, actor->command, play->port);
    free(here);
    if (fclose(out) != 0)
        err(CANNOT_START, "open_memstream");
    return all;
}

/* Makes a descriptor refer to the file, or closes it if the path is `-`. */
static void redirect(int fd, const char *path, int flags) {
    if (path[0] == '-') {
        (void)close(fd);
        return;
    }
    int opened = open(path, flags | O_CLOEXEC, 0600);
    if (opened < 0 || dup2(opened, fd) < 0)
        err(CANNOT_START, "%s", path);
}

/* Standard error comes last: until then it shows our own failures. */
static void set_up_torture(const struct play *play) {
    rlim_t files = (rlim_t)number(play, "files", 0);
    const struct rlimit limit = {.rlim_cur = files, .rlim_max = files};
    if (files != 0 && setrlimit(RLIMIT_NOFILE, &limit) < 0)
        err(CANNOT_START, "setrlimit");
    if (option(play, "in") != NULL)
        redirect(STDIN_FILENO, option(play, "in"), O_RDONLY);
    if (option(play, "out") != NULL)
        redirect(STDOUT_FILENO, option(play, "out"), O_WRONLY);
    const char *folder = option(play, "cwd");
    if (folder != NULL && chdir(folder) < 0)
        err(CANNOT_START, "%s", folder);
    if (option(play, "err") != NULL)
        redirect(STDERR_FILENO, option(play, "err"), O_WRONLY);
}

static _Noreturn void run_actor(const struct play *play,
                                const struct actor *actor) {
    char *command = shell_command(play, actor);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpgid(0, 0);
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, actor->out, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, actor->error, O_WRONLY | O_CREAT | O_TRUNC);
    if (actor == play->target)
        set_up_torture(play);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    err(CANNOT_START, "/bin/sh");
}

static void start(const struct play *play, struct actor *actor) {
    (void)unlink(actor->out);
    actor->started = 1;
    actor->ready = 0;
    actor->ended = 0;
    actor->told = 0;
    actor->hung = 0;
    actor->pid = fork();
    if (actor->pid < 0)
        err(1, "fork");
    if (actor->pid == 0)
        run_actor(play, actor);
}

/* ---- waiting --------------------------------------------------------------*/

static int has_ended(struct actor *actor) {
    if (!actor->ended && actor->pid > 0 &&
        waitpid(actor->pid, &actor->status, WNOHANG) == actor->pid)
        actor->ended = 1;
    return actor->ended;
}

/* Understands the first line of a server: `listening on ADDRESS:PORT`, or
 * `capturing on ...`, `refusing on ...`, `swallowing on ...`. */
static void read_ready_line(struct play *play, struct actor *actor,
                            const char *line) {
    enum { LONGEST_VERB = 12 };
    const char *verb_end = strstr(line, "ing on ");
    if (verb_end == NULL || verb_end - line >= LONGEST_VERB)
        return;
    actor->ready = 1;
    int verb_length = (int)(verb_end - line + (long)strlen("ing"));
    (void)snprintf(actor->doing, sizeof actor->doing, "%.*s", verb_length,
                   line);
    const char *colon = strrchr(line, ':');
    if (colon == NULL || !isdigit((unsigned char)colon[1]))
        return;
    const char *port = colon + 1;
    if (strlen(port) < sizeof play->port)
        memcpy(play->port, port, strlen(port) + 1);
}

/* A line without its newline may not be complete, so we do not look at it. */
static int is_ready(struct play *play, struct actor *actor) {
    if (actor->ready)
        return 1;
    char *text = contents(actor->out);
    char *end = strchr(text, '\n');
    if (end != NULL) {
        *end = '\0';
        read_ready_line(play, actor, text);
    }
    free(text);
    return actor->ready;
}

/* Waits until the actor ends, and kills it when its time is over. */
static void finish(struct actor *actor, long milliseconds) {
    long end = now_ms() + milliseconds;
    while (!has_ended(actor)) {
        if (now_ms() >= end) {
            actor->hung = 1;
            (void)kill(actor->pid, SIGKILL);
            (void)waitpid(actor->pid, &actor->status, 0);
            actor->ended = 1;
        } else {
            pause_ms();
        }
    }
}

/* Waits until the actor is ready or has ended. If it does neither in time, it
 * is killed. */
static void wait_ready(struct play *play, struct actor *actor) {
    long end = now_ms() + patience_with(play, actor);
    while (!is_ready(play, actor) && !has_ended(actor)) {
        if (now_ms() >= end)
            finish(actor, 0);
        else
            pause_ms();
    }
}

static long count_descriptors(pid_t pid) {
    char path[64];
    long count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    for (;;) {
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        if (entry->d_name[0] != '.')
            count++;
    }
    (void)closedir(folder);
    return count;
}

/* How many descriptors it has, after it had time to close what it does not
 * need.
 */
static long settled_descriptors(pid_t pid, long expected) {
    long end = now_ms() + SETTLE_MS;
    long least = count_descriptors(pid);
    while (least > expected && now_ms() < end) {
        long count = count_descriptors(pid);
        if (count < least)
            least = count;
        pause_ms();
    }
    return least;
}

/* ---- a scene --------------------------------------------------------------*/

static int is_socket(const char *name, size_t length) {
    static const char suffix[] = ".socket";
    size_t size = sizeof suffix - 1;
    return length > size && memcmp(name + length - size, suffix, size) == 0;
}

/* The command, with each socket file moved to our folder. The caller frees it.
 */
static char *own_command(const struct play *play, const char *command) {
    char *all = NULL;
    size_t size;
    FILE *out = open_memstream(&all, &size);
    if (out == NULL)
        err(1, "open_memstream");
    while (*command != '\0') {
        size_t length = strcspn(command, " ");
        const char *end = command + length;
        const char *slash = memrchr(command, '/', length);
        if (slash != NULL && is_socket(slash, (size_t)(end - slash)))
            fprintf(out, "%s%.*s", play->folder, (int)(end - slash), slash);
        else
            fprintf(out, "%.*s", (int)length, command);
        size_t blanks = strspn(end, " ");
        fprintf(out, "%.*s", (int)blanks, end);
        command = end + blanks;
    }
    if (fclose(out) != 0)
        err(1, "open_memstream");
    return all;
}

static void add_actor(struct play *play, const char *name,
                      const char *command) {
    struct actor *actor = &play->actors[play->count];
    (void)snprintf(actor->name, sizeof actor->name, "%.31s", name);
    (void)snprintf(actor->out, sizeof actor->out, "%s/%zu.out", play->folder,
                   play->count);
    (void)snprintf(actor->error, sizeof actor->error, "%s/%zu.err",
                   play->folder, play->count);
    if (play->count == 0 && option(play, "first") != NULL)
        command = option(play, "first");
    actor->command = own_command(play, command);
    play->count++;
}

static void read_scene(struct play *play) {
    char line[1024];
    const char *path = option(play, "scene");
    if (path == NULL)
        errx(1, "no scene");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        err(1, "%s", path);
    while (play->count < MOST_ACTORS &&
           fgets(line, sizeof line, file) != NULL) {
        /* An actor's line is `NAME: COMMAND`. */
        line[strcspn(line, "\n")] = '\0';
        char *colon = strstr(line, ": ");
        if (colon == NULL)
            continue;
        *colon = '\0';
        add_actor(play, line, colon + strlen(": "));
    }
    (void)fclose(file);
    size_t target = (size_t)number(play, "target", 1);
    if (target == 0 || target > play->count)
        errx(1, "%s: no actor %zu", path, target);
    play->target = &play->actors[target - 1];
}

static void write_result(FILE *out, const struct actor *actor) {
    const char *how = "exit";
    int value = WEXITSTATUS(actor->status);
    if (WIFSIGNALED(actor->status)) {
        how = "signal";
        value = WTERMSIG(actor->status);
    }
    if (actor->hung)
        how = "hung";
    char *text = contents(actor->out);
    fprintf(out, "%s %s %d: %s\n", actor->name, how, value, text);
    free(text);
}

/* What the actors from `first` on have printed, and how they ended, without the
 * target. The caller frees it. */
static char *results_from(const struct play *play, size_t first) {
    char *all = NULL;
    size_t length;
    FILE *memory = open_memstream(&all, &length);
    if (memory == NULL)
        err(1, "open_memstream");
    for (size_t i = first; i < play->count; i++) {
        const struct actor *actor = &play->actors[i];
        if (actor != play->target && actor->started)
            write_result(memory, actor);
    }
    (void)fclose(memory);
    return all;
}

/* Starts the rude peer, if there is one, and waits until it has done its part.
 */
static void play_peer(struct play *play, struct actor *peer) {
    memset(peer, 0, sizeof *peer);
    (void)snprintf(peer->name, sizeof peer->name, "peer");
    (void)snprintf(peer->out, sizeof peer->out, "%s/peer.out", play->folder);
    (void)snprintf(peer->error, sizeof peer->error, "%s/peer.err",
                   play->folder);
    if (option(play, "peer") == NULL || play->target->ended)
        return;
    peer->command = own_command(play, option(play, "peer"));
    start(play, peer);
    if (number(play, "stay", 0)) {
        /* {port} goes on to mean the target's port, not the peer's. */
        char port[sizeof play->port];
        memcpy(port, play->port, sizeof port);
        wait_ready(play, peer);
        memcpy(play->port, port, sizeof port);
    } else {
        finish(peer, PEER_MS);
    }
}

static void tell_to_end(struct actor *actor) {
    actor->told = 1;
    (void)kill(actor->pid, SIGTERM);
    finish(actor, TARGET_MS);
}

/* Plays the actors from `first` on, in order. */
static void play_actors(struct play *play, size_t first, struct actor *peer) {
    size_t last = play->count - 1;
    for (size_t i = first; i < play->count; i++) {
        struct actor *actor = &play->actors[i];
        if (actor->started && actor == play->target)
            continue;
        /* A server of the round before makes room for itself. */
        if (actor->started && !has_ended(actor))
            tell_to_end(actor);
        start(play, actor);
        if (i == last) {
            finish(actor, patience_with(play, actor));
            return;
        }
        wait_ready(play, actor);
        if (actor != play->target)
            continue;
        /* A target that ended early has no clients. */
        if (actor->ended && !actor->ready)
            return;
        play_peer(play, peer);
    }
}

static void play_rounds(struct play *play) {
    size_t next = (size_t)(play->target - play->actors) + 1;
    long rounds = number(play, "rounds", 0);
    play->rounds[0] = results_from(play, next);
    if (next == play->count)
        return; /* a target that comes last has no clients */
    for (long i = 1; i <= rounds && i <= MOST_ROUNDS; i++) {
        if (has_ended(play->target))
            return;
        struct actor no_peer;
        play_actors(play, next, &no_peer);
        play->rounds[i] = results_from(play, next);
    }
}

/* Waits for a while until all our children have ended: strace, which ends after
 * the program that it traces, and what the actors have left behind. Returns 1
 * if there is no child any more, else 0. */
static int wait_for_children(void) {
    long end = now_ms() + SETTLE_MS;
    while (now_ms() < end) {
        pid_t gone = waitpid(-1, NULL, WNOHANG);
        if (gone < 0)
            return 1;
        if (gone == 0)
            pause_ms();
    }
    return 0;
}

static void kill_children(const struct play *play) {
    for (size_t i = 0; i < play->count; i++)
        if (play->actors[i].started)
            (void)kill(-play->actors[i].pid, SIGKILL);
    pid_t gone;
    do {
        gone = waitpid(-1, NULL, 0);
    } while (gone >= 0);
}

static void end_scene(struct play *play, struct actor *peer) {
    struct actor *target = play->target;
    /* A peer that stayed goes now. A server that has all its clients in one
     * process must then close what the peer has left. After that we count its
     * descriptors. */
    if (peer->started && !peer->ended) {
        (void)kill(peer->pid, SIGKILL);
        finish(peer, 0);
    }
    if (target->started && !has_ended(target)) {
        play->descriptors =
            settled_descriptors(target->pid, number(play, "holds", 0));
        tell_to_end(target);
    }
    for (size_t i = 0; i < play->count; i++) {
        struct actor *actor = &play->actors[i];
        if (actor->started && !has_ended(actor))
            tell_to_end(actor);
    }
    if (!wait_for_children())
        kill_children(play);
}

/* ---- reporting ------------------------------------------------------------*/

static int starts_with_port(const char *text, const char *port) {
    size_t length = strlen(port);
    return length > 0 && strncmp(text, port, length) == 0 &&
           !isdigit((unsigned char)text[length]);
}

static void print_escaped(FILE *out, const char *text, const char *port) {
    while (*text != '\0') {
        if (starts_with_port(text, port)) {
            fputs("{port}", out);
            text += strlen(port);
            continue;
        }
        if (*text == '\n')
            fputs("\\n", out);
        else if (*text == '\t')
            fputs("\\t", out);
        else
            fputc(*text, out);
        text++;
    }
}

static void print_file(FILE *out, const char *path, const char *port) {
    char *text = contents(path);
    print_escaped(out, text, port);
    free(text);
}

/* Counts the faults. If memory.so made the first one, `whose` becomes the
 * function that called malloc. */
static long count_injected(const struct play *play, char whose[64]) {
    char path[512];
    long count = 0;
    char *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "%s/log", play->folder);
    FILE *log = fopen(path, "re");
    if (log == NULL)
        return 0;
    while (getline(&line, &room, log) > 0) {
        if (strstr(line, "INJECTED") == NULL)
            continue;
        if (count == 0)
            (void)sscanf(line, "INJECTED %*s %62s", whose);
        count++;
    }
    free(line);
    (void)fclose(log);
    return count;
}

static void report(const struct play *play) {
    const struct actor *target = play->target;
    FILE *out = stdout;
    char whose[64] = "";
    long injected = count_injected(play, whose);
    fprintf(out, "%s\t%ld", play->options[0], injected);
    if (*whose != '\0')
        fprintf(out, " %s", whose);
    fprintf(out, "\t%s\t", target->ready ? target->doing : "-");
    if (target->hung)
        fputs("hung", out);
    else if (WIFSIGNALED(target->status))
        fprintf(out, "signal %d", WTERMSIG(target->status));
    else
        fprintf(out, "exit %d", WEXITSTATUS(target->status));
    fprintf(out, "\t%s\t%ld\t", target->told ? "told" : "-", play->descriptors);
    print_file(out, target->out, play->port);
    fputc('\t', out);
    print_file(out, target->error, play->port);
    for (size_t i = 0; i <= MOST_ROUNDS && play->rounds[i] != NULL; i++) {
        fputc('\t', out);
        print_escaped(out, play->rounds[i], play->port);
        free(play->rounds[i]);
    }
    fputc('\n', out);
    (void)fflush(out);
}

/* A server that was killed could not remove its socket. */
static void remove_sockets(const char *path) {
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (;;) {
        const struct dirent *entry = readdir(folder);
        if (entry == NULL)
            break;
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".socket") == 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
}

/* ---- the plan -------------------------------------------------------------*/

static void split_line(struct play *play, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *word = strtok(line, "\t");
    while (word != NULL && play->option_count < MOST_OPTIONS) {
        play->options[play->option_count] = word;
        play->option_count++;
        word = strtok(NULL, "\t");
    }
}

static void run_line(const char *folder, char *line) {
    struct play play = {.folder = folder, .descriptors = -1};
    struct actor peer = {0};
    char log[512];
    split_line(&play, line);
    if (play.option_count == 0)
        return;
    (void)snprintf(log, sizeof log, "%s/log", folder);
    (void)unlink(log);
    remove_sockets(folder);
    read_scene(&play);
    play_actors(&play, 0, &peer);
    play_rounds(&play);
    end_scene(&play, &peer);
    report(&play);
    for (size_t i = 0; i < play.count; i++)
        free(play.actors[i].command);
    free(peer.command);
}

int main(int argc, char **argv) {
    char *line = NULL;
    size_t room = 0;
    long least = LONG_MAX; /* the whole plan */
    long end = 0;
    if (argc == 4) {
        least = strtol(argv[2], NULL, 10);
        end = now_ms() + strtol(argv[3], NULL, 10) * 1000;
    } else if (argc != 2) {
        fputs("usage: play FOLDER [LEAST SECONDS] <PLAN\n", stderr);
        return 2;
    }
    /* When an actor ends, its own children become ours, so we can wait for
     * them. strace is such a child. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (long played = 0; played < least || now_ms() < end; played++) {
        if (getline(&line, &room, stdin) <= 0)
            break;
        run_line(argv[1], line);
    }
    free(line);
    return 0;
}
