/*
 * 14 solution: three modules whose circle is cut, one good answer of many.
 *
 * config needs no other module now. It only keeps the unknown settings. log
 * asks for them when it starts, and logs them. So the arrow from config to log
 * has been turned round: log needs clock and config, and clock needs config.
 *
 * usage: 14-import-cycle THREADS [SETTING...]
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

/* What the modules know of each other. Each type is written down once, here. */
typedef long long now_function(void);
typedef long long get_function(const char *name);
typedef const char *unknown_function(size_t number);

/* These are declarations of functions, and not variables. The first one says
 * the same as `static long long clock_now(void);`. With them, the compiler
 * compares each function with its type. */
static now_function clock_now;
static get_function config_get;
static unknown_function config_unknown;

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
    now_function *now = (now_function *)find("clock_now");
    unknown_function *unknown = (unknown_function *)find("config_unknown");
    say_start("log");

    size_t number = 0;
    const char *setting = unknown(number);
    while (setting != NULL) {
        put_line(now(), "unknown setting: ", setting);
        number++;
        setting = unknown(number);
    }
}

static void log_line(const char *text) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    now_function *now = (now_function *)find("clock_now");
    (void)pthread_once(&once, log_start);
    put_line(now(), "", text);
}

/* ---- module clock ---- */

static long long clock_time;

static void clock_start(void) {
    get_function *get = (get_function *)find("config_get");
    say_start("clock");
    clock_time = get("seconds") + 3600 * get("zone");
}

static long long clock_now(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, clock_start);
    return clock_time;
}

/* ---- module config ---- */

static char **config_arguments; /* the settings, and a NULL; set by main */
static long long config_seconds;
static long long config_zone;
static const char *unknown_settings[MOST_SETTINGS + 1]; /* ends with a NULL */

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
    size_t count = 0;
    say_start("config");
    for (char **setting = config_arguments; *setting != NULL; setting++) {
        if (!read_setting(*setting)) {
            unknown_settings[count] = *setting;
            count++;
        }
    }
}

static void config_import(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, config_start);
}

static long long config_get(const char *name) {
    config_import();
    if (strcmp(name, "zone") == 0)
        return config_zone;
    return config_seconds;
}

/* Returns an unknown setting. The first has number 0. Behind the last one it
 * returns NULL. */
static const char *config_unknown(size_t number) {
    config_import();
    return unknown_settings[number];
}

/* ---- end of the modules ---- */

/* Returns the function of that name, as dlsym does (lesson 13). */
static any_function *find(const char *name) {
    static const struct {
        const char *name;
        any_function *function;
    } known[] = {
        {"clock_now", (any_function *)clock_now},
        {"config_get", (any_function *)config_get},
        {"config_unknown", (any_function *)config_unknown},
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
