/*
 * play: plays scenes, with one actor of each under torture, and tells how that
 * one came through.
 *
 *     play FOLDER [LEAST SECONDS] <PLAN
 *
 * All of the plan; or of its beginning so much as can be played in so many
 * seconds, and LEAST lines at least.
 *
 * A line of the plan is one run: a label, then KEY=VALUE, with tabs between.
 *
 *     scene=FILE     as in lessons/README.md
 *     target=NUMBER  which actor is tortured: 1 is the first
 *     wrap=WORDS     what goes before its command
 *     env=NAME=VALUE in its environment; may be there more than once
 *     in=FILE, out=FILE, err=FILE   its descriptors 0, 1 and 2; `-`: closed
 *     files=COUNT    so many descriptors may it have
 *     cwd=FOLDER     its working folder
 *     first=COMMAND  in the place of the first actor's
 *     peer=COMMAND   comes once the target is ready, before the others
 *     stay=1         and stays to the end, not only until it ends, or a moment
 *     rounds=COUNT   so often the actors after the target come again
 *     patience=MS    so long may it take at least before it is taken to hang
 *     holds=COUNT    descriptors that a server has in the end if none is lost
 *
 * A file that ends in .socket is each FOLDER's own, so that two can play.
 *
 * A line is printed for each, with tabs between: the label; how many faults
 * fired (lines with INJECTED in FOLDER/log), and whose, where that is told;
 * what the target was doing when it was ready (`listening`, `capturing`, or
 * `-`); how it ended (`exit 1`, `signal 11`, `hung`); whether it had to be told
 * to (`told`, or `-`); the descriptors it had then; its standard output and
 * error; then what the others printed, and how they ended, and the same for
 * each round. Newlines and tabs are `\n` and
 * `\t`, and a port that somebody listens on is {port}.
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
    TARGET_MS = 3500, /* 3 s, and what it takes to begin: then it hangs; so long
                         also to end when told to; and as much more as its own
                         option -t says */
    OTHER_MS = 5000,  /* for the others: they may wait for the target */
    PEER_MS = 100,    /* a peer that would stay is ended */
    SETTLE_MS = 400,  /* for a server to close what its last client left */
    SHOWN_BYTES = 2048,
};

struct actor {
    char name[32];
    char *command; /* with {port} in it */
    pid_t pid;     /* 0: not started, or not any more */
    int status;    /* as waitpid(2) has it, once it has ended */
    int started, ended, ready, told, hung;
    char doing[16];            /* once it is ready */
    char out[512], error[512]; /* files, in the folder */
};

struct play {
    const char *folder;
    struct actor actors[MOST_ACTORS];
    size_t count;
    struct actor *target;
    char *options[MOST_OPTIONS];
    size_t option_count;
    char port[8];
    long descriptors;
    char *rounds[MOST_ROUNDS + 1]; /* what the others came to: malloc(3)ed */
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
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

/* A program's deadline is its option -t, in this workbook: in seconds, or of a
 * hundred or more in milliseconds. */
static long patience(const struct play *play, const struct actor *actor) {
    const char *deadline = strstr(actor->command, " -t ");
    double seconds =
        deadline != NULL ? strtod(deadline + strlen(" -t "), NULL) : 0;
    if (seconds >= 100)
        seconds /= 1000;
    long otherwise = deadline != NULL ? 0 : number(play, "patience", 0);
    long allowed = TARGET_MS + (seconds < 10 ? (long)(seconds * 1000) : 0);
    return allowed > otherwise ? allowed : otherwise;
}

/* The first bytes of a file, as a string that the caller frees. */
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

/* What the shell is told: the wrapper, the environment, the command, with the
 * port; from another folder, its program is still found. */
static char *shell_command(const struct play *play, const struct actor *actor) {
    char *all = NULL;
    size_t length;
    FILE *out = open_memstream(&all, &length);
    char *here = get_current_dir_name();
    if (out == NULL || here == NULL)
        err(126, "open_memstream");
    fputs("exec", out);
    if (actor == play->target) {
        if (option(play, "wrap") != NULL)
            fprintf(out, " %s", option(play, "wrap"));
        if (option(play, "env") != NULL)
            fputs(" env", out);
        for (size_t i = 0; i < play->option_count; i++)
            if (strncmp(play->options[i], "env=", 4) == 0)
                fprintf(out, " %s", play->options[i] + 4);
    }
    fputc(' ', out);
    if (actor == play->target && option(play, "cwd") != NULL)
        fprintf(out, "%s/", here);
    const char *rest = actor->command;
    const char *place;
    while ((place = strstr(rest, "{port}")) != NULL) {
        fprintf(out, "%.*s%s", (int)(place - rest), rest, play->port);
        rest = place + strlen("{port}");
    }
    fputs(rest, out);
    free(here);
    if (fclose(out) != 0)
        err(126, "open_memstream");
    return all;
}

static void redirect(int fd, const char *path, int flags) {
    int opened = path[0] == '-' ? -1 : open(path, flags | O_CLOEXEC, 0600);
    if (path[0] == '-')
        (void)close(fd);
    else if (opened < 0 || dup2(opened, fd) < 0)
        err(126, "%s", path);
}

static void torture(const struct play *play) {
    struct rlimit files = {0};
    files.rlim_cur = files.rlim_max = (rlim_t)number(play, "files", 0);
    if (files.rlim_cur != 0 && setrlimit(RLIMIT_NOFILE, &files) < 0)
        err(126, "setrlimit");
    if (option(play, "in") != NULL)
        redirect(STDIN_FILENO, option(play, "in"), O_RDONLY);
    if (option(play, "out") != NULL)
        redirect(STDOUT_FILENO, option(play, "out"), O_WRONLY);
    const char *folder = option(play, "cwd");
    if (folder != NULL && chdir(folder) < 0)
        err(126, "%s", folder);
    if (option(play, "err") !=
        NULL) /* last: until here, it hears of failures */
        redirect(STDERR_FILENO, option(play, "err"), O_WRONLY);
}

static _Noreturn void become(const struct play *play,
                             const struct actor *actor) {
    char *command = shell_command(play, actor);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpgid(0, 0);
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, actor->out, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, actor->error, O_WRONLY | O_CREAT | O_TRUNC);
    if (actor == play->target)
        torture(play);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    err(126, "/bin/sh");
}

static void start(const struct play *play, struct actor *actor) {
    (void)unlink(actor->out);
    actor->ended = actor->ready = actor->told = actor->hung = 0;
    actor->started = 1;
    actor->pid = fork();
    if (actor->pid < 0)
        err(1, "fork");
    if (actor->pid == 0)
        become(play, actor);
}

/* ---- waiting --------------------------------------------------------------*/

static int has_ended(struct actor *actor) {
    if (!actor->ended && actor->pid > 0 &&
        waitpid(actor->pid, &actor->status, WNOHANG) == actor->pid)
        actor->ended = 1;
    return actor->ended;
}

/* `listening on ADDRESS:PORT`, or capturing, refusing, swallowing: a first line
 * that ends is needed, so that the port is whole. */
static int is_ready(struct play *play, struct actor *actor) {
    char *text = contents(actor->out);
    char *end = strchr(text, '\n');
    if (!actor->ready && end != NULL) {
        *end = '\0';
        const char *said = strstr(text, "ing on ");
        const char *port = strrchr(text, ':');
        actor->ready = said != NULL && said - text < 12;
        if (actor->ready)
            (void)snprintf(actor->doing, sizeof actor->doing, "%.*s",
                           (int)(said - text) + 3, text);
        if (actor->ready && port != NULL && isdigit((unsigned char)port[1]) &&
            strlen(port + 1) < sizeof play->port)
            memcpy(play->port, port + 1, strlen(port + 1) + 1);
    }
    free(text);
    return actor->ready;
}

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

/* Until it is ready, or has ended; one that does neither is ended. */
static void wait_ready(struct play *play, struct actor *actor) {
    long end =
        now_ms() + (actor == play->target ? patience(play, actor) : OTHER_MS);
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
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count;
}

/* What it holds once it has had time to close what it need not hold. */
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

/* The command as it is to run here: for the caller to free. */
static char *own_command(const struct play *play, const char *command) {
    char *all = NULL;
    size_t length;
    FILE *out = open_memstream(&all, &length);
    if (out == NULL)
        err(1, "open_memstream");
    while (*command != '\0') {
        size_t word = strcspn(command, " ");
        const char *end = command + word;
        const char *name = memrchr(command, '/', word);
        if (name != NULL && end - name > 7 &&
            memcmp(end - 7, ".socket", 7) == 0)
            fprintf(out, "%s%.*s", play->folder, (int)(end - name), name);
        else
            fprintf(out, "%.*s", (int)word, command);
        for (command = end; *command == ' '; command++)
            fputc(' ', out);
    }
    if (fclose(out) != 0)
        err(1, "open_memstream");
    return all;
}

static void read_scene(struct play *play) {
    char line[1024];
    const char *path = option(play, "scene");
    FILE *file = path != NULL ? fopen(path, "re") : NULL;
    if (file == NULL)
        err(1, "%s", path != NULL ? path : "no scene");
    while (play->count < MOST_ACTORS &&
           fgets(line, sizeof line, file) != NULL) {
        struct actor *actor = &play->actors[play->count];
        char *command = strstr(line, ": ");
        if (command == NULL)
            continue;
        *command = '\0';
        line[strcspn(line, "\n")] = '\0';
        command += 2;
        command[strcspn(command, "\n")] = '\0';
        (void)snprintf(actor->name, sizeof actor->name, "%.31s", line);
        (void)snprintf(actor->out, sizeof actor->out, "%s/%zu.out",
                       play->folder, play->count);
        (void)snprintf(actor->error, sizeof actor->error, "%s/%zu.err",
                       play->folder, play->count);
        if (play->count == 0 && option(play, "first") != NULL)
            actor->command = own_command(play, option(play, "first"));
        else
            actor->command = own_command(play, command);
        play->count++;
    }
    (void)fclose(file);
    size_t target = (size_t)number(play, "target", 1);
    if (target == 0 || target > play->count)
        errx(1, "%s: no actor %zu", path, target);
    play->target = &play->actors[target - 1];
}

/* What these came to, for the caller to free. */
static char *told_of(const struct play *play, size_t first) {
    char *all = NULL;
    size_t length;
    FILE *memory = open_memstream(&all, &length);
    if (memory == NULL)
        err(1, "open_memstream");
    for (size_t i = first; i < play->count; i++) {
        const struct actor *actor = &play->actors[i];
        if (actor == play->target || !actor->started)
            continue;
        char *text = contents(actor->out);
        fprintf(memory, "%s %s %d: %s\n", actor->name,
                actor->hung                  ? "hung"
                : WIFSIGNALED(actor->status) ? "signal"
                                             : "exit",
                WIFSIGNALED(actor->status) ? WTERMSIG(actor->status)
                                           : WEXITSTATUS(actor->status),
                text);
        free(text);
    }
    (void)fclose(memory);
    return all;
}

/* The rude one: it comes first, and is ended when it would not end. */
static void send_peer(struct play *play, struct actor *peer) {
    *peer = (struct actor){.name = "peer"};
    (void)snprintf(peer->out, sizeof peer->out, "%s/peer.out", play->folder);
    (void)snprintf(peer->error, sizeof peer->error, "%s/peer.err",
                   play->folder);
    if (option(play, "peer") == NULL || play->target->ended)
        return;
    peer->command = own_command(play, option(play, "peer"));
    start(play, peer);
    if (number(play, "stay", 0)) {
        char port[sizeof play->port];
        memcpy(port, play->port, sizeof port);
        wait_ready(play, peer);
        memcpy(play->port, port, sizeof port);
    } else {
        finish(peer, PEER_MS);
    }
}

/* The actors from `first` on, in order. */
static void play_actors(struct play *play, size_t first, struct actor *peer) {
    size_t last = play->count - 1;
    for (size_t i = first; i < play->count; i++) {
        struct actor *actor = &play->actors[i];
        if (actor->started && actor == play->target)
            continue;
        start(play, actor);
        if (i < last)
            wait_ready(play, actor);
        else
            finish(actor,
                   actor == play->target ? patience(play, actor) : OTHER_MS);
        if (actor == play->target && i < last) {
            if (actor->ended && !actor->ready)
                return; /* nobody has anybody to speak to */
            send_peer(play, peer);
        }
    }
}

static void play_rounds(struct play *play) {
    size_t next = (size_t)(play->target - play->actors) + 1;
    long rounds = number(play, "rounds", 0);
    play->rounds[0] = told_of(play, next);
    if (next == play->count)
        return; /* who comes last has no clients */
    for (long i = 1; i <= rounds && i <= MOST_ROUNDS; i++) {
        if (has_ended(play->target))
            return;
        struct actor nobody;
        play_actors(play, next, &nobody);
        play->rounds[i] = told_of(play, next);
    }
}

static void end_scene(struct play *play, struct actor *peer) {
    struct actor *target = play->target;
    /* Who stayed goes now: a server that has all its clients in one process is
     * to close what they leave, and then its descriptors are counted. */
    if (peer->started && !peer->ended) {
        (void)kill(peer->pid, SIGKILL);
        finish(peer, 0);
    }
    if (target->started && !has_ended(target)) {
        play->descriptors =
            settled_descriptors(target->pid, number(play, "holds", 0));
        target->told = 1;
        (void)kill(target->pid, SIGTERM);
        finish(target, TARGET_MS);
    }
    for (size_t i = 0; i < play->count; i++) {
        struct actor *actor = &play->actors[i];
        if (!actor->started || has_ended(actor))
            continue;
        actor->told = 1;
        (void)kill(actor->pid, SIGTERM);
        finish(actor, TARGET_MS);
    }
    /* What they left behind, and strace, which ends when nobody is left. */
    long end = now_ms() + SETTLE_MS;
    pid_t gone;
    while ((gone = waitpid(-1, NULL, WNOHANG)) >= 0 && now_ms() < end)
        if (gone == 0)
            pause_ms();
    if (gone >= 0) {
        for (size_t i = 0; i < play->count; i++)
            if (play->actors[i].started)
                (void)kill(-play->actors[i].pid, SIGKILL);
        while (waitpid(-1, NULL, 0) >= 0)
            ;
    }
}

/* ---- telling --------------------------------------------------------------*/

static void print_escaped(FILE *out, const char *text, const char *port) {
    size_t length = strlen(port);
    for (; *text != '\0'; text++) {
        if (length > 0 && strncmp(text, port, length) == 0 &&
            !isdigit((unsigned char)text[length])) {
            fputs("{port}", out);
            text += length - 1;
        } else if (*text == '\n') {
            fputs("\\n", out);
        } else if (*text == '\t') {
            fputs("\\t", out);
        } else {
            fputc(*text, out);
        }
    }
}

/* Where the library memory.so made a fault, `whose` is who met it first. */
static long count_fired(const struct play *play, char whose[64]) {
    char path[512];
    long fired = 0;
    char *line = NULL;
    size_t room = 0;
    (void)snprintf(path, sizeof path, "%s/log", play->folder);
    FILE *log = fopen(path, "re");
    while (log != NULL && getline(&line, &room, log) > 0)
        if (strstr(line, "INJECTED") != NULL && fired++ == 0)
            (void)sscanf(line, "INJECTED %*s %62s", whose);
    free(line);
    if (log != NULL)
        (void)fclose(log);
    return fired;
}

static void report(const struct play *play) {
    const struct actor *target = play->target;
    FILE *out = stdout;
    char *text;
    char whose[64] = "";
    long fired = count_fired(play, whose);
    fprintf(out, "%s\t%ld%s%s\t%s\t", play->options[0], fired,
            *whose != '\0' ? " " : "", whose,
            target->ready ? target->doing : "-");
    if (target->hung)
        fputs("hung", out);
    else if (WIFSIGNALED(target->status))
        fprintf(out, "signal %d", WTERMSIG(target->status));
    else
        fprintf(out, "exit %d", WEXITSTATUS(target->status));
    fprintf(out, "\t%s\t%ld\t", target->told ? "told" : "-", play->descriptors);
    print_escaped(out, text = contents(target->out), play->port);
    free(text);
    fputc('\t', out);
    print_escaped(out, text = contents(target->error), play->port);
    free(text);
    for (size_t i = 0; i <= MOST_ROUNDS && play->rounds[i] != NULL; i++) {
        fputc('\t', out);
        print_escaped(out, play->rounds[i], play->port);
        free(play->rounds[i]);
    }
    fputc('\n', out);
    (void)fflush(out);
}

/* What a server that was ended could not remove. */
static void remove_sockets(const char *path) {
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".socket") == 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    if (folder != NULL)
        (void)closedir(folder);
}

static void run_line(const char *folder, char *line) {
    struct play play = {.folder = folder, .descriptors = -1};
    char log[512];
    struct actor peer = {0};
    line[strcspn(line, "\n")] = '\0';
    for (char *word = strtok(line, "\t");
         word != NULL && play.option_count < MOST_OPTIONS;
         word = strtok(NULL, "\t"))
        play.options[play.option_count++] = word;
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
    if (argc != 2 && argc != 4) {
        fputs("usage: play FOLDER [LEAST SECONDS] <PLAN\n", stderr);
        return 2;
    }
    long least = argc == 4 ? strtol(argv[2], NULL, 10) : LONG_MAX;
    long end = argc == 4 ? now_ms() + strtol(argv[3], NULL, 10) * 1000 : 0;
    /* strace, which is nobody's child, becomes ours. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (long played = 0; played < least || now_ms() < end; played++) {
        if (getline(&line, &room, stdin) <= 0)
            break;
        run_line(argv[1], line);
    }
    free(line);
    return 0;
}
