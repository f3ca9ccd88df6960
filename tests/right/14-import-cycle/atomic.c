/*
 * A right answer with an atomic state for each module: the thread that finds a
 * module new runs its body, and the others yield until it is ready. config is
 * told by log what to do with an unknown setting, so it knows no other module.
 */
#define _GNU_SOURCE

#include "number.h"

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
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

enum state {
    IS_NEW,
    IS_STARTING,
    IS_READY,
};

struct module {
    _Atomic enum state state;
    void (*body)(void);
};

/* Returns 1 to the first thread that asks, and 0 to all others. The call
 * compares the state with IS_NEW, and if it is equal, sets it to IS_STARTING.
 * No other thread can come between the two. */
static int is_first(struct module *module) {
    enum state expected = IS_NEW;
    return atomic_compare_exchange_strong(&module->state, &expected,
                                          IS_STARTING);
}

/* When this returns, the body of the module has run. */
static void import_module(struct module *module) {
    if (is_first(module)) {
        module->body();
        atomic_store(&module->state, IS_READY);
        return;
    }
    while (atomic_load(&module->state) != IS_READY)
        sched_yield();
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

static void config_body(void) {
    say_start("config");
    for (char **setting = config_arguments; *setting != NULL; setting++)
        (void)read_setting(*setting); /* config_visit finds the unknown ones */
}

static struct module config_module = {IS_NEW, config_body};

static int is_known(const char *setting) {
    long long ignored;
    if (read_number(setting, "seconds", 0, 1000000000000, &ignored))
        return 1;
    return read_number(setting, "zone", -12, 14, &ignored);
}

/* Calls the function `visit` with each setting that is not known. */
static void config_visit(void (*visit)(const char *setting)) {
    import_module(&config_module);
    for (char **setting = config_arguments; *setting != NULL; setting++) {
        if (!is_known(*setting))
            visit(*setting);
    }
}

/* ---- module clock ---- */

static long long clock_time;

static void clock_body(void) {
    import_module(&config_module);
    say_start("clock");
    clock_time = config_seconds + 3600 * config_zone;
}

static struct module clock_module = {IS_NEW, clock_body};

static long long clock_now(void) {
    import_module(&clock_module);
    return clock_time;
}

/* ---- module log ---- */

static void log_setting(const char *setting) {
    put_line(clock_now(), "unknown setting: ", setting);
}

static void log_body(void) {
    say_start("log");
    config_visit(log_setting);
}

static struct module log_module = {IS_NEW, log_body};

static void log_line(const char *text) {
    import_module(&log_module);
    put_line(clock_now(), "", text);
}

/* ---- end of the modules ---- */

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
