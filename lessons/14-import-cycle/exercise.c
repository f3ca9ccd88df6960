/*
 * 14 exercise: three modules in a circle.
 *
 * usage: 14-import-cycle THREADS [SETTING...]
 *
 * THREADS threads log a line each, all at the same moment. A line has a time:
 * the setting `seconds=N`, and an hour more for each of `zone=N`. Any other
 * setting is unknown, and that is logged too. The README beside this file says
 * the rest.
 *
 *     log needs clock, for the time of a line
 *     clock needs config, for the settings
 *     config needs log, to say that a setting is unknown
 *
 * Each is a file of its own, or would be, and found by its name when the
 * program runs: `find`, at the end, stands for dlsym. Here a guard in each
 * `..._start` lets the circle end. On a good day it works: `1 seconds=1000
 * zone=2`.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_THREADS = 64, MOST_SETTINGS = 64 };

typedef void any_function(void);
static any_function *find(const char *name);

/* What each module's body begins with. A body takes its time. */
static void say_start(const char *module) {
    printf("%s starts\n", module);
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* A line of the log: that takes its time, too. */
static void put_line(long long time, const char *what, const char *text) {
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    printf("%lld %s%s\n", time, what, text);
}

/* ---- log ---- */
static void log_start(void) {
    static int started;
    if (started)
        return;
    started = 1;
    say_start("log");
}

static void log_line(const char *text) {
    /* clock_now's declaration, copied */
    typedef int now_function(void);
    now_function *now = (now_function *)find("clock_now");
    log_start();
    put_line(now(), "", text);
}

/* ---- clock ---- */
static long long clock_time;

static void clock_start(void) {
    /* config_get's declaration, copied */
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

/* ---- config ---- */
static char **config_arguments; /* main's: the settings, and a NULL */
static long long config_seconds;
static long long config_zone;

/* Reads `NAME=` and a number that is in the range. */
static int is_setting(const char *text, const char *name, long long smallest,
                      long long largest, long long *value) {
    size_t length = strlen(name);
    char *end;
    if (strncmp(text, name, length) != 0 || text[length] != '=')
        return 0;
    text += length + 1;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < smallest ||
        number > largest)
        return 0;
    *value = number;
    return 1;
}

static void config_start(void) {
    /* log_line's declaration, copied */
    typedef void line_function(const char *text);
    line_function *say = (line_function *)find("log_line");
    static int started;
    char line[256];
    if (started)
        return;
    started = 1;
    say_start("config");
    for (char **setting = config_arguments; *setting != NULL; setting++)
        if (!is_setting(*setting, "seconds", 0, 1000000000000,
                        &config_seconds) &&
            !is_setting(*setting, "zone", -12, 14, &config_zone)) {
            snprintf(line, sizeof line, "unknown setting: %s", *setting);
            say(line);
        }
}

static long long config_get(const char *name) {
    config_start();
    return strcmp(name, "zone") == 0 ? config_zone : config_seconds;
}

/* ---- who knows them all ---- */
static any_function *find(const char *name) {
    static const struct {
        const char *name;
        any_function *function;
    } known[] = {
        {"log_line", (any_function *)log_line},
        {"clock_now", (any_function *)clock_now},
        {"config_get", (any_function *)config_get},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].function;
    errx(1, "%s is in no module", name);
}

static pthread_barrier_t all_there;

static void *log_a_line(void *text) {
    (void)pthread_barrier_wait(&all_there); /* from here on, all at once */
    log_line(text);
    return NULL;
}

static void log_at_once(int count) {
    pthread_t threads[MOST_THREADS];
    char lines[MOST_THREADS][sizeof "line -2147483648"];
    errno = pthread_barrier_init(&all_there, NULL, (unsigned)count);
    if (errno != 0)
        err(1, "pthread_barrier_init");
    for (int i = 0; i < count; i++) {
        snprintf(lines[i], sizeof lines[i], "line %d", i + 1);
        errno = pthread_create(&threads[i], NULL, log_a_line, lines[i]);
        if (errno != 0)
            err(1, "pthread_create");
    }
    for (int i = 0; i < count; i++) {
        errno = pthread_join(threads[i], NULL);
        if (errno != 0)
            err(1, "pthread_join");
    }
}

int main(int argc, char **argv) {
    char *end;
    if (argc < 2 || argc > MOST_SETTINGS + 2) {
        fputs("usage: 14-import-cycle THREADS [SETTING...]\n", stderr);
        return 2;
    }
    long count = strtol(argv[1], &end, 10);
    if (end == argv[1] || *end != '\0' || count < 0 || count > MOST_THREADS)
        errx(1, "%s is not a number of threads: 0 to %d", argv[1],
             MOST_THREADS);
    config_arguments = argv + 2;
    if (count > 0)
        log_at_once((int)count);
    if (fflush(stdout) == EOF || ferror(stdout))
        err(1, "standard output");
    return 0;
}
