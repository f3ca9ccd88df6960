/*
 * 14 exercise: three modules in a circle.
 *
 * A program writes a log, and each line begins with the time. It has three
 * modules. `log` needs `clock`, for the time. `clock` needs `config`, because
 * the user sets the time and the time zone. And `config` needs `log`, to log
 * each setting that it does not know.
 *
 * The starter has all three modules in one file. They find each other by name
 * while the program runs: the function `find` stands for `dlsym` (lesson 13).
 * The variable `started` in each module hides the circle. You cut the circle,
 * and may change everything but the functions `main`, `say_start` and
 * `put_line`.
 *
 * It is called as `14-import-cycle THREADS [SETTING...]`. It starts as many
 * threads as THREADS says, from 0 to 64, and each of them calls `log_line`
 * once, all at the same moment.
 *
 * 1. It logs one line for each thread, with the right time. The line of thread
 *    3 is `TIME line 3`, where TIME is the number in the setting `seconds=`,
 *    plus 3600 for each hour in the setting `zone=`. The zone is a number from
 *    -12 to 14; another one is an unknown setting. Each module says that it
 *    starts, as in `log starts`. In the end, the status is 0.
 * 2. It has the right time beyond the year 2038. `seconds=` may be as large as
 *    1000000000000.
 * 3. It logs each unknown setting, with the right time. The line is `TIME
 *    unknown setting: color=red`, with the whole setting, however long it is.
 *    The unknown setting may stand before the others, between them or behind
 *    them, and the TIME is always the same as in the other lines.
 * 4. It starts each module once, when many threads need it at the same moment.
 * 5. It lets no thread use a module before the module is ready. A module is
 *    ready when its body has ended. `put_line` belongs to no module, so a body
 *    may call it.
 * 6. It logs each unknown setting once, however many threads there are.
 * 7. It starts no module that is not needed. With 0 threads there is no line
 *    to log. So no module starts, and nothing is printed, even if there is an
 *    unknown setting.
 *
 * What is here compiles, and works for some arguments. Most of your part is
 * between the comments "module log" and "end of the modules", and in the table
 * in the function find.
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MOST_THREADS = 64,
    MOST_SETTINGS = 64,
    START_NANOSECONDS = 10 * 1000 * 1000,
    LINE_NANOSECONDS = 1000 * 1000,
    LINE_BYTES = sizeof "line -2147483648", /* room for any int */
};

/* A pointer to any function. It must be converted to the right type before it
 * is called. */
typedef void any_function(void);
static any_function *find(const char *name);

/* The body of each module begins with this call. A body takes its time. */
static void say_start(const char *module) {
    const struct timespec pause = {.tv_nsec = START_NANOSECONDS};
    printf("%s starts\n", module);
    (void)nanosleep(&pause, NULL); /* a signal may end this pause early */
}

/* Writes one line of the log. This takes its time too. */
static void put_line(long long time, const char *what, const char *text) {
    const struct timespec pause = {.tv_nsec = LINE_NANOSECONDS};
    (void)nanosleep(&pause, NULL); /* a signal may end this pause early */
    printf("%lld %s%s\n", time, what, text);
}

/* ---- module log ---- */

static void log_start(void) {
    static int started;
    if (started)
        return;
    started = 1;
    say_start("log");
}

static void log_line(const char *text) {
    /* a copy of the declaration of clock_now */
    typedef int now_function(void);
    now_function *now = (now_function *)find("clock_now");
    log_start();
    put_line(now(), "", text);
}

/* ---- module clock ---- */

static long long clock_time;

static void clock_start(void) {
    /* a copy of the declaration of config_get */
    typedef long long get_function(const char *name);
    get_function *get = (get_function *)find("config_get");
    static int started;
    if (started)
        return;
    started = 1;
    say_start("clock");
    clock_time = get("seconds") + 3600 * get("zone");
}

static long long clock_now(void) {
    clock_start();
    return clock_time;
}

/* ---- module config ---- */

static char **config_arguments; /* the settings, and a NULL; set by main */
static long long config_seconds;
static long long config_zone;

/* Reads `NAME=NUMBER`. The number must be at least least and at most most.
 * Returns 1 and puts the number into *value, or returns 0. */
static int read_number(const char *text, const char *name, long long least,
                       long long most, long long *value) {
    size_t length = strlen(name);
    if (strncmp(text, name, length) != 0 || text[length] != '=')
        return 0;

    const char *digits = text + length + 1;
    char *end;
    errno = 0;
    long long number = strtoll(digits, &end, 10);
    if (end == digits || *end != '\0')
        return 0; /* this is not a number */
    if (errno == ERANGE)
        return 0; /* the number does not fit into a long long */
    if (number < least || number > most)
        return 0;
    *value = number;
    return 1;
}

/* If text is a setting that we know, stores its number, and returns 1.
 * Otherwise returns 0. */
static int read_setting(const char *text) {
    if (read_number(text, "seconds", 0, 1000000000000, &config_seconds))
        return 1;
    return read_number(text, "zone", -12, 14, &config_zone);
}

static void config_start(void) {
    /* a copy of the declaration of log_line */
    typedef void line_function(const char *text);
    line_function *log = (line_function *)find("log_line");
    static int started;
    if (started)
        return;
    started = 1;
    say_start("config");
    for (char **setting = config_arguments; *setting != NULL; setting++) {
        if (!read_setting(*setting)) {
            char line[256];
            (void)snprintf(line, sizeof line, "unknown setting: %s", *setting);
            log(line);
        }
    }
}

static long long config_get(const char *name) {
    config_start();
    if (strcmp(name, "zone") == 0)
        return config_zone;
    return config_seconds;
}

/* ---- end of the modules ---- */

/* Returns the function of that name, as dlsym does (lesson 13). */
static any_function *find(const char *name) {
    static const struct {
        const char *name;
        any_function *function;
    } known[] = {
        {"log_line", (any_function *)log_line},
        {"clock_now", (any_function *)clock_now},
        {"config_get", (any_function *)config_get},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0)
            return known[i].function;
    }
    errx(1, "there is no function %s", name);
}

/* All threads wait here until the last one has come. */
static pthread_barrier_t all_threads;

static void *run_thread(void *text) {
    (void)pthread_barrier_wait(&all_threads);
    log_line(text);
    return NULL;
}

/* Starts count threads. They call log_line at the same moment. */
static void log_in_threads(int count) {
    pthread_t threads[MOST_THREADS];
    char lines[MOST_THREADS][LINE_BYTES];
    errno = pthread_barrier_init(&all_threads, NULL, (unsigned)count);
    if (errno != 0)
        err(1, "pthread_barrier_init");
    for (int i = 0; i < count; i++) {
        (void)snprintf(lines[i], sizeof lines[i], "line %d", i + 1);
        errno = pthread_create(&threads[i], NULL, run_thread, lines[i]);
        if (errno != 0)
            err(1, "pthread_create");
    }
    for (int i = 0; i < count; i++) {
        errno = pthread_join(threads[i], NULL);
        if (errno != 0)
            err(1, "pthread_join");
    }
}

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: 14-import-cycle THREADS [SETTING...]\n", out);
    exit(status);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "-h") == 0)
        usage(stdout, 0);
    if (argc < 2 || argc > MOST_SETTINGS + 2)
        usage(stderr, 2);
    unsigned long long count;
    if (number_parse(argv[1], 0, MOST_THREADS, &count) < 0)
        errx(1, "%s is not a number of threads: 0 to %d", argv[1],
             MOST_THREADS);

    config_arguments = argv + 2;
    if (count > 0)
        log_in_threads((int)count);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
