/*
 * transcript: type the console transcripts of a text as a reader types them,
 * and compare what the terminals say with what the text says.
 *
 *     transcript [-n] [-s SECONDS] README
 *
 * A block that begins with ```console N belongs to terminal N. The paragraph
 * above the block names that terminal. Each terminal is one interactive bash on
 * a pseudo-terminal, from its first block to the end of the text. In a block
 *
 *     $ COMMAND      is typed at the prompt; after a line that ends in \, the
 *     > COMMAND      command goes on in the next line
 *     ^C  ^D  ^Z     alone on a line are keys
 *     WORDS⏎         is typed into the program that runs
 *     anything else  is output, where ... stands for what varies in a line, and
 *                    a line of only ... for any number of lines
 *
 * The last command of a block may go on running, unless the next block of its
 * terminal begins with a command, or there is none and ^C was typed. Everything
 * must have ended when the text ends.
 *
 * -n looks at the form of the text only, and types nothing. -s is a slow
 * reader, who waits that long before each line that she types. LIMIT_SECONDS in
 * the environment is how long a terminal may take to say what it should.
 *
 * Status: 0 when the text is true, 1 when it is not, 2 for wrong arguments,
 * 125 where the system makes no pseudo-terminal. A program that asks and reads
 * on the same line cannot be shown.
 */
#define _GNU_SOURCE

#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 2, FORBIDDEN = 125, CANNOT_RUN = 127 };
enum { TERMINALS = 16 };
enum { COLUMNS = 80, ROWS = 40 };
enum { LIMIT_MS = 20000 };
/* A person presses a key again when nothing seems to happen. */
enum { PRESS_AGAIN_MS = 1000 };
/* What nothing tells us, whether a process has started or ended, is looked at
 * that often. */
enum { LOOK_AGAIN_MS = 20, SLOW_START_MS = 1000 };
enum { CTRL_C = 'C' & 31, CTRL_Z = 'Z' & 31 };

/* The shell's two prompts: characters that nothing else says. */
enum { PROMPT = '\036', CONTINUATION_PROMPT = '\037' };

static const char FENCE[] = "```";
static const char CONSOLE[] = "```console";
static const char ENTER[] = "⏎";
static const char GAP[] = "...";

struct text {
    char *bytes; /* ends in a zero byte, unless nothing was ever appended */
    size_t length;
};

enum kind { COMMAND, CONTINUATION, KEY, INPUT, OUTPUT, BLOCK_END };

/* A line of a block. */
struct step {
    enum kind kind;
    int terminal;
    int line;
    char *text; /* without what marks its kind */
};

struct script {
    const char *path;
    struct step *steps;
    size_t count;
    int errors;
};

enum place { IN_TEXT, IN_CONSOLE, IN_OTHER_BLOCK };

/* Where we are in the text. */
struct reader {
    struct script *script;
    enum place place;
    int line;
    int terminal;          /* of the block that we are in */
    bool unfinished;       /* the last line of this block ended in \ */
    bool paragraph_ended;  /* the next line of text begins another one */
    struct text paragraph; /* the last one */
};

struct terminal {
    int number;
    int fd;
    pid_t shell;
    bool shell_ended;
    struct text said; /* since the last command was typed */
    bool prompted;    /* by PROMPT, since then */
    bool continued;   /* by CONTINUATION_PROMPT, since the last line */
    bool key_echoed;  /* just now */
    bool skipping;    /* the last command was not run */
    char key;         /* the last thing typed, if it was one; or 0 */
    long long pressed_ms;
    long long heard_ms;
    const struct step **expected; /* the last command, and all lines since */
    size_t expected_count;
};

struct desk {
    const struct script *script;
    struct terminal terminals[TERMINALS];
    size_t count;
    long long limit_ms;
    long long pause_ms;
    int commands;
};

/* What a terminal must have reached before the text goes on. */
enum goal { SAID_SO_FAR, ASKS_FOR_MORE, COMMAND_ENDED };

struct process {
    pid_t pid;
    pid_t parent;
    pid_t session;
    char state;
    char name[32];
};

static _Noreturn void usage(FILE *stream, int status) {
    fputs("usage: transcript [-n] [-s SECONDS] README\n", stream);
    exit(status);
}

static long long now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* fails for no real clock */
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *resize(void *memory, size_t size) {
    void *resized = realloc(memory, size);
    if (resized == NULL)
        err(EXIT_FAILURE, "realloc");
    return resized;
}

static void append(struct text *text, const char *bytes, size_t length) {
    text->bytes = resize(text->bytes, text->length + length + 1);
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void clear(struct text *text) {
    free(text->bytes);
    text->bytes = NULL;
    text->length = 0;
}

static bool begins_with(const char *line, const char *prefix) {
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

static bool ends_in(const char *line, const char *suffix) {
    size_t length = strlen(line);
    size_t suffix_length = strlen(suffix);
    if (length < suffix_length)
        return false;
    return strcmp(line + length - suffix_length, suffix) == 0;
}

/* The text: its lines become steps. */

static void complain(struct reader *reader, const char *problem) {
    fprintf(stderr, "%s:%d: %s\n", reader->script->path, reader->line, problem);
    reader->script->errors++;
}

/* Returns the number behind ```console, or 0 if there is none. */
static int terminal_number(const char *word) {
    char *end;
    if (word[0] != ' ' || !isdigit((unsigned char)word[1]))
        return 0;
    long number = strtol(word + 1, &end, 10);
    if (*end != '\0' || number > 99)
        return 0;
    return (int)number;
}

/* Says whether the paragraph has the words "terminal N". */
static bool names_terminal(const struct text *paragraph, int number) {
    char name[32];
    const char *found = paragraph->bytes;
    if (found == NULL)
        return false;
    int length = snprintf(name, sizeof name, "terminal %d", number);
    for (;;) {
        found = strcasestr(found, name);
        if (found == NULL)
            return false;
        found += length;
        if (!isdigit((unsigned char)*found))
            return true;
    }
}

/* Counts the pipes of a command; || is none, nor is what stands in quotes. */
static int count_pipes(const char *command) {
    int pipes = 0;
    char quote = '\0';
    for (const char *c = command; *c != '\0'; c++) {
        bool escaped = *c == '\\' && c[1] != '\0' && quote != '\'';
        if (escaped || (quote == '\0' && c[0] == '|' && c[1] == '|'))
            c++;
        else if (*c == quote)
            quote = '\0';
        else if (quote == '\0' && (*c == '\'' || *c == '"'))
            quote = *c;
        else if (quote == '\0' && *c == '|')
            pipes++;
    }
    return pipes;
}

static bool has_step(const struct script *script, int terminal) {
    for (size_t i = 0; i < script->count; i++) {
        if (script->steps[i].terminal == terminal)
            return true;
    }
    return false;
}

static void add_step(struct reader *reader, enum kind kind, const char *line,
                     size_t length) {
    struct script *script = reader->script;
    if (kind != COMMAND && !has_step(script, reader->terminal))
        complain(reader, "the first line of a terminal must be a command");
    struct step step = {
        .kind = kind, .terminal = reader->terminal, .line = reader->line};
    step.text = strndup(line, length);
    if (step.text == NULL)
        err(EXIT_FAILURE, "strndup");
    size_t size = (script->count + 1) * sizeof script->steps[0];
    script->steps = resize(script->steps, size);
    script->steps[script->count] = step;
    script->count++;
}

/* A line that begins with $ or >, and a blank. */
static void read_command(struct reader *reader, enum kind kind,
                         const char *line) {
    const char *command = line + 2;
    add_step(reader, kind, command, strlen(command));
    reader->unfinished = ends_in(command, "\\");
    if (count_pipes(command) > 1)
        complain(reader, "more than one pipe in a line that a reader types");
}

static void read_console_line(struct reader *reader, const char *line) {
    size_t length = strlen(line);
    if (reader->unfinished) {
        reader->unfinished = false;
        if (begins_with(line, "> ")) {
            read_command(reader, CONTINUATION, line);
            return;
        }
        complain(reader, "after \\, a command must go on in a line with >");
    }
    if (strcmp(line, FENCE) == 0) {
        add_step(reader, BLOCK_END, line, length);
        reader->place = IN_TEXT;
    } else if (begins_with(line, "$ ")) {
        read_command(reader, COMMAND, line);
    } else if (strcmp(line, "^C") == 0 || strcmp(line, "^D") == 0 ||
               strcmp(line, "^Z") == 0) {
        add_step(reader, KEY, line, length);
    } else if (ends_in(line, ENTER)) {
        add_step(reader, INPUT, line, length - strlen(ENTER));
    } else {
        add_step(reader, OUTPUT, line, length);
    }
}

static void begin_block(struct reader *reader, const char *line) {
    reader->paragraph_ended = true;
    reader->place = IN_OTHER_BLOCK;
    if (!begins_with(line, CONSOLE))
        return;
    reader->terminal = terminal_number(line + strlen(CONSOLE));
    if (reader->terminal == 0) {
        complain(reader, "a console block needs the number of its terminal");
        return;
    }
    reader->place = IN_CONSOLE;
    if (!names_terminal(&reader->paragraph, reader->terminal))
        complain(reader, "the paragraph above this block does not name its "
                         "terminal, as in \"terminal 1\"");
}

static void read_prose(struct reader *reader, const char *line) {
    const char *words = line + strspn(line, " \t");
    if (*words == '\0') {
        reader->paragraph_ended = true;
        return;
    }
    if (reader->paragraph_ended)
        clear(&reader->paragraph);
    reader->paragraph_ended = false;
    append(&reader->paragraph, words, strlen(words));
    append(&reader->paragraph, " ", 1);
}

static void read_line(struct reader *reader, const char *line) {
    switch (reader->place) {
    case IN_CONSOLE:
        read_console_line(reader, line);
        break;
    case IN_OTHER_BLOCK:
        if (strcmp(line, FENCE) == 0)
            reader->place = IN_TEXT;
        break;
    case IN_TEXT:
        if (begins_with(line, FENCE))
            begin_block(reader, line);
        else
            read_prose(reader, line);
        break;
    }
}

/* Reads the whole text, and complains about each fault of its form. */
static void read_script(struct script *script) {
    struct reader reader = {.script = script};
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen(script->path, "re");
    if (file == NULL)
        err(EXIT_FAILURE, "%s", script->path);
    for (;;) {
        ssize_t length = getline(&line, &size, file);
        if (length < 0)
            break;
        line[strcspn(line, "\n")] = '\0';
        reader.line++;
        read_line(&reader, line);
    }
    if (ferror(file))
        err(EXIT_FAILURE, "%s", script->path);
    if (reader.place != IN_TEXT)
        complain(&reader, "the last block has no end");
    (void)fclose(file); /* nothing was written */
    free(line);
    clear(&reader.paragraph);
}

static void free_script(struct script *script) {
    for (size_t i = 0; i < script->count; i++)
        free(script->steps[i].text);
    free(script->steps);
}

/* The terminals: what they say, and what the text expects. */

/* What the shells inherit from us. A shell would take PS1 and PS2 from a
 * reader's files, which nobody knows. */
static void prepare_environment(void) {
    static const char *const unwanted[] = {"COLUMNS", "LINES", "PROMPT_COMMAND",
                                           "TMOUT", "POSIXLY_CORRECT"};
    const char prompt[] = {PROMPT, '\0'};
    const char continuation_prompt[] = {CONTINUATION_PROMPT, '\0'};
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
        (void)unsetenv(unwanted[i]); /* its name is a good one */
    if (setenv("TERM", "dumb", 1) < 0 || setenv("PS1", prompt, 1) < 0 ||
        setenv("PS2", continuation_prompt, 1) < 0 ||
        /* Empty: no history is kept, and nobody looks for mail. */
        setenv("HISTFILE", "", 1) < 0 || setenv("MAILCHECK", "", 1) < 0)
        err(EXIT_FAILURE, "setenv");
}

static void set_up_terminal(int fd) {
    struct winsize size = {.ws_row = ROWS, .ws_col = COLUMNS};
    struct termios modes;
    if (ioctl(fd, TIOCSWINSZ, &size) < 0 || tcgetattr(fd, &modes) < 0)
        err(FORBIDDEN, "pseudo-terminal");
    /* A key is echoed as itself, not as ^C, so that we know it from what a
     * program says; and it does not throw away what we have not read yet. */
    modes.c_lflag &= ~(tcflag_t)ECHOCTL;
    modes.c_lflag |= NOFLSH;
    if (tcsetattr(fd, TCSANOW, &modes) < 0)
        err(FORBIDDEN, "pseudo-terminal");
}

static _Noreturn void become_shell(int fd) {
    static const int signals[] = {SIGINT,  SIGQUIT, SIGTSTP, SIGTTIN,
                                  SIGTTOU, SIGPIPE, SIGHUP,  SIGTERM};
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL); /* all of them are real */
    if (setsid() < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
        err(CANNOT_RUN, "controlling terminal");
    for (int standard = 0; standard <= 2; standard++) {
        if (dup2(fd, standard) < 0)
            err(CANNOT_RUN, "dup2");
    }
    /* A reader's shell has no others; but who started us may have some. */
    for (int other = 3; other < 256; other++)
        (void)close(other); /* most are not open */
    (void)execlp("bash", "bash", "--norc", "--noprofile", "--noediting", "-i",
                 (char *)NULL);
    err(CANNOT_RUN, "bash");
}

static struct terminal *open_terminal(struct desk *desk, int number) {
    if (desk->count == TERMINALS)
        errx(EXIT_FAILURE, "more than %d terminals", TERMINALS);
    struct terminal *terminal = &desk->terminals[desk->count];
    *terminal = (struct terminal){.number = number};
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0)
        err(FORBIDDEN, "pseudo-terminal");
    const char *name = ptsname(fd);
    if (name == NULL)
        err(FORBIDDEN, "ptsname");
    int shell_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (shell_fd < 0)
        err(FORBIDDEN, "%s", name);
    set_up_terminal(shell_fd);
    pid_t shell = fork();
    if (shell < 0)
        err(EXIT_FAILURE, "fork");
    if (shell == 0)
        become_shell(shell_fd);
    (void)close(shell_fd); /* nothing was written */
    terminal->fd = fd;
    terminal->shell = shell;
    desk->count++;
    return terminal;
}

/* Keeps what a reader sees of these bytes, but for prompts and keys. */
static void hear(struct terminal *terminal, const char *bytes, size_t length) {
    terminal->heard_ms = now_ms();
    for (size_t i = 0; i < length; i++) {
        char byte = bytes[i];
        if (byte == '\0' || byte == '\r')
            continue;
        /* After ^C the cursor stands behind these two characters. The end of
         * that line belongs to the key. */
        bool ends_line_of_key = terminal->key_echoed && byte == '\n';
        terminal->key_echoed = byte == CTRL_C || byte == CTRL_Z;
        if (byte == PROMPT)
            terminal->prompted = true;
        else if (byte == CONTINUATION_PROMPT)
            terminal->continued = true;
        else if (!ends_line_of_key && !terminal->key_echoed)
            append(&terminal->said, &byte, 1);
    }
}

/* Reads all that is there. */
static void read_terminal(struct terminal *terminal) {
    char bytes[4096];
    for (;;) {
        ssize_t count = read(terminal->fd, bytes, sizeof bytes);
        if (count > 0) {
            hear(terminal, bytes, (size_t)count);
        } else if (count < 0 && errno == EAGAIN) {
            return;
        } else if (count == 0 || errno != EINTR) {
            /* EIO: nobody has this terminal open any more. */
            terminal->shell_ended = true;
            return;
        }
    }
}

/* Waits until a terminal says something, or the time is up. All of them are
 * read, since a program stops when nobody reads what it says. */
static void read_terminals(struct desk *desk, long long timeout_ms) {
    struct pollfd polled[TERMINALS] = {0};
    for (size_t i = 0; i < desk->count; i++) {
        polled[i].fd = desk->terminals[i].fd;
        polled[i].events = POLLIN;
        if (desk->terminals[i].shell_ended)
            polled[i].fd = -1; /* poll passes over it */
    }
    if (timeout_ms < 0)
        timeout_ms = 0;
    int ready = poll(polled, desk->count, (int)timeout_ms);
    if (ready < 0 && errno != EINTR)
        err(EXIT_FAILURE, "poll");
    for (size_t i = 0; ready > 0 && i < desk->count; i++) {
        if (polled[i].revents != 0)
            read_terminal(&desk->terminals[i]);
    }
}

/* Compares a line of output, which ends before `end`, with one of the text. */
static bool fits(const char *pattern, const char *line, const char *end) {
    const char *after_gap = NULL;
    const char *gap_end = NULL;
    while (line < end || *pattern != '\0') {
        if (begins_with(pattern, GAP)) {
            pattern += strlen(GAP);
            after_gap = pattern;
            gap_end = line;
        } else if (line < end && *line == *pattern) {
            line++;
            pattern++;
        } else if (after_gap != NULL && gap_end < end) {
            gap_end++; /* the gap is longer */
            line = gap_end;
            pattern = after_gap;
        } else {
            return false;
        }
    }
    return true;
}

static bool is_gap(const struct step *step) {
    return step->kind == OUTPUT && strcmp(step->text, GAP) == 0;
}

static bool fits_step(const struct step *step, const char *line,
                      const char *end) {
    if (step->kind == OUTPUT)
        return fits(step->text, line, end);
    /* The terminal has echoed what was typed. */
    size_t length = strlen(step->text);
    return length == (size_t)(end - line) &&
           memcmp(step->text, line, length) == 0;
}

static const char *line_end(const char *line, const char *end) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    return newline == NULL ? end : newline;
}

static const char *next_line(const char *line, const char *end) {
    const char *this_end = line_end(line, end);
    return this_end == end ? end : this_end + 1;
}

/* Says whether the terminal has said what the text expects: all of what it has
 * said if `whole`, or else its first lines. */
static bool has_said(const struct terminal *terminal, bool whole) {
    const char *line = terminal->said.bytes;
    if (line == NULL)
        line = "";
    const char *end = line + terminal->said.length;
    while (!whole && end > line && end[-1] != '\n')
        end--; /* the rest of this line is still to come */
    size_t i = 0;
    size_t after_gap = 0; /* 0: there was no gap; the command comes first */
    const char *gap_end = NULL;
    for (;;) {
        bool more = i < terminal->expected_count;
        if (!more && (!whole || line == end))
            return true;
        if (more && is_gap(terminal->expected[i])) {
            i++;
            after_gap = i;
            gap_end = line;
        } else if (more && line < end &&
                   fits_step(terminal->expected[i], line,
                             line_end(line, end))) {
            i++;
            line = next_line(line, end);
        } else if (after_gap != 0 && gap_end < end) {
            gap_end = next_line(gap_end, end); /* the gap is longer */
            line = gap_end;
            i = after_gap;
        } else {
            return false;
        }
    }
}

static bool has_reached(const struct terminal *terminal, enum goal goal) {
    switch (goal) {
    case COMMAND_ENDED:
        return terminal->prompted && has_said(terminal, true);
    case ASKS_FOR_MORE:
        return terminal->continued && has_said(terminal, false);
    case SAID_SO_FAR:
        break;
    }
    return has_said(terminal, false);
}

/* Prints what was said as a list, without the echo of the command. */
static void print_said(const struct terminal *terminal, size_t skipped) {
    const char *line = terminal->said.bytes;
    if (line == NULL)
        return;
    const char *end = line + terminal->said.length;
    while (line < end) {
        int length = (int)(line_end(line, end) - line);
        if (skipped == 0)
            fprintf(stderr, "  %.*s\n", length, line);
        else
            skipped--;
        line = next_line(line, end);
    }
}

static void report_failure(const struct desk *desk,
                           const struct terminal *terminal, enum goal goal) {
    size_t typed = 0; /* lines of the command */
    if (terminal->shell_ended) {
        fprintf(stderr, "the shell has ended in terminal %d\n",
                terminal->number);
    } else if (goal == COMMAND_ENDED && has_said(terminal, true)) {
        fprintf(stderr, "still runs in ");
    }
    if (terminal->expected_count > 0) {
        const struct step *command = terminal->expected[0];
        fprintf(stderr, "terminal %d: $ %s\n", terminal->number, command->text);
    }
    fprintf(stderr, "should say:\n");
    for (size_t i = 0; i < terminal->expected_count; i++) {
        const struct step *step = terminal->expected[i];
        if (step->kind == COMMAND || step->kind == CONTINUATION)
            typed++;
        else
            fprintf(stderr, "  %s:%d: %s\n", desk->script->path, step->line,
                    step->text);
    }
    fprintf(stderr, "but said:\n");
    print_said(terminal, typed);
}

/* The processes of the terminals. */

static bool read_process(const char *pid, struct process *process) {
    char path[64];
    char stat[512];
    (void)snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false; /* it has ended meanwhile */
    size_t length = fread(stat, 1, sizeof stat - 1, file);
    (void)fclose(file); /* nothing was written */
    stat[length] = '\0';
    /* proc_pid_stat(5): 12 (a name, which may have any character) S 1 12 12 */
    const char *name = strchr(stat, '(');
    const char *fields = strrchr(stat, ')');
    if (name == NULL || fields == NULL || fields < name || strlen(fields) < 4)
        return false;
    process->pid = (pid_t)strtol(pid, NULL, 10);
    (void)snprintf(process->name, sizeof process->name, "%.*s",
                   (int)(fields - name - 1), name + 1);
    process->state = fields[2];
    char *next;
    process->parent = (pid_t)strtol(fields + 3, &next, 10);
    (void)strtol(next, &next, 10); /* its process group */
    process->session = (pid_t)strtol(next, NULL, 10);
    return true;
}

/* Returns the terminal that a process came from; NULL if it is none of ours. A
 * process that has left its session comes to us when its parent ends; which
 * terminal that was, nobody knows any more: the first. */
static const struct terminal *origin(const struct desk *desk,
                                     const struct process *process) {
    if (process->state == 'Z' || process->state == 'X')
        return NULL;
    for (size_t i = 0; i < desk->count; i++) {
        if (process->session == desk->terminals[i].shell)
            return &desk->terminals[i];
    }
    if (process->parent == getpid())
        return &desk->terminals[0];
    return NULL;
}

/* Looks for a process in a terminal other than its shell. */
static bool find_running(const struct desk *desk,
                         const struct terminal *terminal,
                         struct process *process) {
    bool found = false;
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        err(EXIT_FAILURE, "/proc");
    while (!found) {
        const struct dirent *entry = readdir(processes);
        if (entry == NULL)
            break;
        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_process(entry->d_name, process))
            found = process->pid != terminal->shell &&
                    origin(desk, process) == terminal;
    }
    (void)closedir(processes);
    return found;
}

static void kill_all(const struct desk *desk) {
    struct process process;
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        err(EXIT_FAILURE, "/proc");
    for (;;) {
        const struct dirent *entry = readdir(processes);
        if (entry == NULL)
            break;
        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_process(entry->d_name, &process) &&
            origin(desk, &process) != NULL)
            (void)kill(process.pid, SIGKILL); /* it may have ended */
    }
    (void)closedir(processes);
}

/* Ends everything, and waits for it. Whoever loses its parent by that is ours
 * then, as we are a subreaper: so when we have no child, nobody is left. */
static void close_terminals(struct desk *desk) {
    pid_t ended;
    do {
        kill_all(desk);
        ended = waitpid(-1, NULL, 0);
    } while (ended > 0 || errno == EINTR);
    for (size_t i = 0; i < desk->count; i++) {
        (void)close(desk->terminals[i].fd); /* nobody reads it any more */
        free(desk->terminals[i].expected);
        clear(&desk->terminals[i].said);
    }
}

/* The reader. */

static void write_bytes(const struct terminal *terminal, const char *bytes,
                        size_t length) {
    while (length > 0) {
        ssize_t count = write(terminal->fd, bytes, length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            err(EXIT_FAILURE, "type in terminal %d", terminal->number);
        bytes += count;
        length -= (size_t)count;
    }
}

static void press_key(struct terminal *terminal, char key) {
    write_bytes(terminal, &key, 1);
    terminal->key = key;
    terminal->pressed_ms = now_ms();
}

/* When the key should be pressed again, if nothing happens until then. */
static long long press_again_ms(const struct terminal *terminal) {
    long long since = terminal->pressed_ms;
    if (terminal->heard_ms > since)
        since = terminal->heard_ms;
    return since + PRESS_AGAIN_MS;
}

/* Waits for what the terminal should say; reports it if that does not come. */
static bool reach(struct desk *desk, struct terminal *terminal,
                  enum goal goal) {
    long long deadline = now_ms() + desk->limit_ms;
    bool nothing_runs = false;
    struct process process;
    while (!has_reached(terminal, goal)) {
        long long now = now_ms();
        if (nothing_runs || terminal->shell_ended || now >= deadline) {
            report_failure(desk, terminal, goal);
            return false;
        }
        long long wake = deadline;
        if ((terminal->key == CTRL_C || terminal->key == CTRL_Z) &&
            !terminal->prompted) {
            if (now >= press_again_ms(terminal))
                press_key(terminal, terminal->key);
            if (press_again_ms(terminal) < wake)
                wake = press_again_ms(terminal);
        }
        /* At a prompt, if nothing runs, only what we have not read yet can
         * still come. */
        nothing_runs =
            terminal->prompted && !find_running(desk, terminal, &process);
        if (nothing_runs)
            wake = now;
        read_terminals(desk, wake - now);
    }
    return true;
}

/* A slow reader waits before she types. */
static void pause_reader(struct desk *desk) {
    long long end = now_ms() + desk->pause_ms;
    for (;;) {
        long long left = end - now_ms();
        if (left <= 0)
            return;
        read_terminals(desk, left);
    }
}

static void add_expected(struct terminal *terminal, const struct step *step) {
    size_t size = (terminal->expected_count + 1) * sizeof(struct step *);
    terminal->expected = resize(terminal->expected, size);
    terminal->expected[terminal->expected_count] = step;
    terminal->expected_count++;
}

/* Types a line; the terminal will echo it. */
static void type_line(struct desk *desk, struct terminal *terminal,
                      const struct step *step) {
    pause_reader(desk);
    add_expected(terminal, step);
    terminal->key = '\0';
    terminal->continued = false;
    struct text line = {0};
    append(&line, step->text, strlen(step->text));
    append(&line, "\n", 1);
    write_bytes(terminal, line.bytes, line.length);
    clear(&line);
}

static bool has_python(void) {
    return system("command -v python3 >/dev/null") == 0; // NOLINT(cert-env33-c)
}

static bool run_command(struct desk *desk, struct terminal *terminal,
                        const struct step *step) {
    if (!reach(desk, terminal, COMMAND_ENDED))
        return false;
    terminal->skipping = begins_with(step->text, "python3") && !has_python();
    if (terminal->skipping) {
        printf("not run, because python3 is not installed: $ %s\n", step->text);
        return true;
    }
    desk->commands++;
    clear(&terminal->said);
    terminal->expected_count = 0;
    terminal->prompted = false;
    type_line(desk, terminal, step);
    return true;
}

/* Before a key or a line of input: what came before it must have been said, and
 * a program must be running. A shell that has read its command line and not yet
 * started the program would take the key for its own; a reader is never that
 * fast. A command of the shell itself, such as read, never has a process, so
 * we do not wait for that longer than a reader does. */
static bool reach_program(struct desk *desk, struct terminal *terminal,
                          const struct step *step) {
    if (!reach(desk, terminal, SAID_SO_FAR))
        return false;
    long long end = now_ms() + SLOW_START_MS;
    while (!terminal->prompted && now_ms() < end &&
           tcgetpgrp(terminal->fd) == terminal->shell)
        read_terminals(desk, LOOK_AGAIN_MS);
    if (!terminal->prompted)
        return true;
    fprintf(stderr, "%s:%d: nothing runs in terminal %d\n", desk->script->path,
            step->line, terminal->number);
    return false;
}

/* Whether the last thing that is typed in the block is ^C. */
static bool is_interrupted(const struct step *end) {
    do
        end--; /* at the latest, the block before ends there */
    while (end->kind == OUTPUT);
    return end->kind == KEY && (end->text[1] & 31) == CTRL_C;
}

/* Says what must be reached at the end of a block: the prompt, if the next
 * block of this terminal begins with a command. After its last block, what runs
 * has time until the end of the text; but what was interrupted ends at once, as
 * another terminal may show next that it has gone. */
static enum goal goal_of_block(const struct script *script,
                               const struct step *end) {
    const struct step *last = script->steps + script->count;
    for (const struct step *step = end + 1; step < last; step++) {
        if (step->terminal == end->terminal)
            return step->kind == COMMAND ? COMMAND_ENDED : SAID_SO_FAR;
    }
    return is_interrupted(end) ? COMMAND_ENDED : SAID_SO_FAR;
}

static struct terminal *find_terminal(struct desk *desk, int number) {
    for (size_t i = 0; i < desk->count; i++) {
        if (desk->terminals[i].number == number)
            return &desk->terminals[i];
    }
    return open_terminal(desk, number);
}

static bool run_step(struct desk *desk, const struct step *step) {
    struct terminal *terminal = find_terminal(desk, step->terminal);
    if (step->kind == COMMAND)
        return run_command(desk, terminal, step);
    if (terminal->skipping)
        return true;
    switch (step->kind) {
    case CONTINUATION:
        if (!reach(desk, terminal, ASKS_FOR_MORE))
            return false;
        type_line(desk, terminal, step);
        break;
    case KEY:
        if (!reach_program(desk, terminal, step))
            return false;
        pause_reader(desk);
        press_key(terminal, (char)(step->text[1] & 31));
        break;
    case INPUT:
        if (!reach_program(desk, terminal, step))
            return false;
        type_line(desk, terminal, step);
        break;
    case BLOCK_END:
        return reach(desk, terminal, goal_of_block(desk->script, step));
    case OUTPUT:
    case COMMAND:
        add_expected(terminal, step);
        break;
    }
    return true;
}

/* Waits for the last prompt of a terminal, and until nothing but its shell is
 * left there; which may have said something more. */
static bool finish_terminal(struct desk *desk, struct terminal *terminal) {
    struct process process;
    if (!reach(desk, terminal, COMMAND_ENDED))
        return false;
    long long deadline = now_ms() + desk->limit_ms;
    while (find_running(desk, terminal, &process)) {
        if (now_ms() >= deadline) {
            fprintf(stderr, "left running in terminal %d: %s\n",
                    terminal->number, process.name);
            return false;
        }
        read_terminals(desk, LOOK_AGAIN_MS);
    }
    read_terminals(desk, 0);
    return reach(desk, terminal, COMMAND_ENDED);
}

static bool run_script(struct desk *desk) {
    for (size_t i = 0; i < desk->script->count; i++) {
        if (!run_step(desk, &desk->script->steps[i]))
            return false;
    }
    for (size_t i = 0; i < desk->count; i++) {
        if (!finish_terminal(desk, &desk->terminals[i]))
            return false;
    }
    return true;
}

static long long parse_seconds(const char *text) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e6))
        usage(stderr, USAGE);
    return (long long)(seconds * 1000);
}

static bool type_script(const struct script *script, long long pause_ms) {
    struct desk desk = {
        .script = script, .pause_ms = pause_ms, .limit_ms = LIMIT_MS};
    const char *limit = getenv("LIMIT_SECONDS");
    if (limit != NULL)
        desk.limit_ms = parse_seconds(limit);
    prepare_environment();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        err(EXIT_FAILURE, "prctl PR_SET_CHILD_SUBREAPER");
    bool true_text = run_script(&desk);
    close_terminals(&desk);
    if (true_text)
        printf("%d commands\n", desk.commands);
    return true_text;
}

int main(int argc, char **argv) {
    bool form_only = false;
    long long pause_ms = 0;
    for (;;) {
        int option = getopt(argc, argv, "hns:");
        if (option == -1)
            break;
        if (option == 'n')
            form_only = true;
        else if (option == 's')
            pause_ms = parse_seconds(optarg);
        else if (option == 'h')
            usage(stdout, EXIT_SUCCESS);
        else
            usage(stderr, USAGE);
    }
    if (argc - optind != 1)
        usage(stderr, USAGE);
    struct script script = {.path = argv[optind]};
    read_script(&script);
    bool good = script.errors == 0;
    if (good && !form_only)
        good = type_script(&script, pause_ms);
    free_script(&script);
    if (fflush(stdout) == EOF)
        err(EXIT_FAILURE, "stdout");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
