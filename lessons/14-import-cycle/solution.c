/*
 * 14 solution: three modules in a circle that is cut, one good answer of many.
 *
 * usage: 14-import-cycle THREADS [SETTING...]
 *
 * config needs nobody now: it keeps what is unknown, and log, which needs
 * config already through clock, asks for it. So one arrow has been turned
 * round.
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

/* What the modules know of each other: each type stands here and nowhere else,
 * and the compiler holds the function that is meant against it. */
typedef long long now_function(void);
typedef long long get_function(const char *name);
typedef const char *unknown_function(size_t number);
static now_function clock_now;
static get_function config_get;
static unknown_function config_unknown;

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
    now_function *now = (now_function *)find("clock_now");
    unknown_function *unknown = (unknown_function *)find("config_unknown");
    const char *setting;
    say_start("log");
    for (size_t i = 0; (setting = unknown(i)) != NULL; i++)
        put_line(now(), "unknown setting: ", setting);
}

static void log_line(const char *text) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    now_function *now = (now_function *)find("clock_now");
    (void)pthread_once(&once, log_start);
    put_line(now(), "", text);
}

/* ---- clock ---- */
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

/* ---- config ---- */
static char **config_arguments; /* main's: the settings, and a NULL */
static long long config_seconds;
static long long config_zone;
static const char *config_strange[MOST_SETTINGS + 1]; /* and a NULL */

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
    size_t count = 0;
    say_start("config");
    for (char **setting = config_arguments; *setting != NULL; setting++)
        if (!is_setting(*setting, "seconds", 0, 1000000000000,
                        &config_seconds) &&
            !is_setting(*setting, "zone", -12, 14, &config_zone))
            config_strange[count++] = *setting;
}

static void config_import(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, config_start);
}

static long long config_get(const char *name) {
    config_import();
    return strcmp(name, "zone") == 0 ? config_zone : config_seconds;
}

/* The unknown settings, from 0 on; NULL after the last. */
static const char *config_unknown(size_t number) {
    config_import();
    return config_strange[number];
}

/* ---- who knows them all ---- */
static any_function *find(const char *name) {
    static const struct {
        const char *name;
        any_function *function;
    } known[] = {
        {"clock_now", (any_function *)clock_now},
        {"config_get", (any_function *)config_get},
        {"config_unknown", (any_function *)config_unknown},
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
