/*
 * processes: list a process and its children.
 *
 *     processes [-m] [-w STATE] [-n COUNT] PID
 *
 * The kernel shows these facts in the folder /proc/PID: see proc(5). This
 * program prints them in words, first for the process itself, and then for its
 * children in the order of their numbers:
 *
 *     PROCESS  STATE     DESCRIPTORS
 *       48291  sleeping            4
 *       48302  zombie              -
 *
 * With -w it first waits until all children are in that state, sleeping or
 * zombie. With -n it waits until there are so many of them. With one of the
 * two, PID itself must have come to rest too. After 20 seconds it prints what
 * there is.
 *
 * With -m it prints the average of all children:
 *
 *     200 children; for each 84 KiB of its own, 56 KiB of page tables
 *
 * Memory of its own is what the child does not share with any other process. A
 * page table says where each page of the process is in the machine's memory.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_BYTES = 64,
    LINE_BYTES = 256,
    MOST_PROCESSES = 10000,
    LOOKS = 2000, /* one every LOOK_NANOSECONDS: 20 seconds */
    LOOK_NANOSECONDS = 10 * 1000 * 1000,
};

static _Noreturn void usage(void) {
    errx(2, "usage: processes [-m] [-w STATE] [-n COUNT] PID");
}

/* Opens /proc/PID/NAME. Returns NULL if that process has gone. */
static FILE *open_file(long pid, const char *name) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%ld/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL && errno != ENOENT && errno != ESRCH)
        err(1, "%s", path);
    return file;
}

/* Adds up the numbers of the lines of a file that begin with NAME. Returns -1
 * if there is no such line: a zombie has no memory any more. */
static long sum_of_lines(long pid, const char *file_name, const char *name) {
    char line[LINE_BYTES];
    long sum = -1;
    FILE *file = open_file(pid, file_name);
    if (file == NULL)
        return -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        if (sum < 0)
            sum = 0;
        const char *colon = strchr(line, ':');
        if (colon != NULL)
            sum += strtol(colon + 1, NULL, 10);
    }
    (void)fclose(file);
    return sum;
}

/* Returns the letter that stands for the state of a process. */
static char state_of(long pid) {
    char line[LINE_BYTES];
    char state = '?';
    FILE *file = open_file(pid, "status");
    if (file == NULL)
        return state;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "State: %c", &state) == 1)
            break;
    }
    (void)fclose(file);
    return state;
}

static const char *word_for(char state) {
    switch (state) {
    case 'R':
        return "running";
    case 'S':
    case 'D':
    case 'I':
        return "sleeping";
    case 'T':
    case 't':
        return "stopped";
    case 'Z':
        return "zombie";
    default:
        return "gone";
    }
}

/* Returns how many descriptors a process has, or -1 if it has ended. */
static int count_descriptors(long pid) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return -1;
    int count = 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count - 2; /* without . and .. */
}

static void print_process(long pid) {
    char state = state_of(pid);
    int descriptors = count_descriptors(pid);
    (void)printf("%7ld  %-8s  ", pid, word_for(state));
    if (state == 'Z' || descriptors < 0)
        (void)printf("%11s\n", "-");
    else
        (void)printf("%11d\n", descriptors);
}

static int compare(const void *one, const void *other) {
    long a = *(const long *)one;
    long b = *(const long *)other;
    if (a < b)
        return -1;
    return a > b;
}

/* Puts the numbers of the children into the array. Returns how many. */
static size_t list_children(long pid, long *children) {
    char name[PATH_BYTES];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "task/%ld/children", pid);
    FILE *file = open_file(pid, name);
    if (file == NULL)
        errx(1, "there is no process %ld", pid);
    char *line = NULL;
    size_t room = 0;
    if (getline(&line, &room, file) > 0) {
        const char *next = line;
        while (count < MOST_PROCESSES) {
            char *end;
            children[count] = strtol(next, &end, 10);
            if (end == next)
                break;
            next = end;
            count++;
        }
    }
    free(line);
    (void)fclose(file);
    qsort(children, count, sizeof *children, compare);
    return count;
}

static void print_memory(const long *children, size_t count) {
    long own = 0;
    long tables = 0;
    long measured = 0;
    for (size_t i = 0; i < count; i++) {
        long pages = sum_of_lines(children[i], "smaps_rollup", "Private_");
        long table = sum_of_lines(children[i], "status", "VmPTE");
        if (pages < 0 || table < 0)
            continue;
        own += pages;
        tables += table;
        measured++;
    }
    if (measured == 0)
        errx(1, "there are no children to measure");
    (void)printf("%ld children; for each %ld KiB of its own, %ld KiB of page "
                 "tables\n",
                 measured, own / measured, tables / measured);
}

/* What to wait for. */
struct condition {
    const char *state; /* of all children; NULL: any */
    long count;        /* how many children; -1: any number */
};

static int is_met(const struct condition *condition, long pid,
                  const long *children, size_t count) {
    if (condition->count >= 0 && count != (size_t)condition->count)
        return 0;
    int is_wanted = condition->count >= 0 || condition->state != NULL;
    if (is_wanted && state_of(pid) == 'R')
        return 0;
    if (condition->state == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word_for(state_of(children[i])), condition->state) != 0)
            return 0;
    }
    return 1;
}

/* Puts the children into the array when the condition is met, or when it has
 * taken too long. Returns how many there are. */
static size_t wait_until(const struct condition *condition, long pid,
                         long *children) {
    const struct timespec pause = {.tv_nsec = LOOK_NANOSECONDS};
    size_t count = list_children(pid, children);
    for (int i = 0; i < LOOKS && !is_met(condition, pid, children, count);
         i++) {
        (void)nanosleep(&pause, NULL);
        count = list_children(pid, children);
    }
    return count;
}

int main(int argc, char **argv) {
    static long children[MOST_PROCESSES];
    struct condition condition = {.count = -1};
    int wants_memory = 0;
    for (;;) {
        int option = getopt(argc, argv, "mn:w:");
        if (option == -1)
            break;
        if (option == 'm')
            wants_memory = 1;
        else if (option == 'n')
            condition.count = strtol(optarg, NULL, 10);
        else if (option == 'w')
            condition.state = optarg;
        else
            exit(2); /* getopt has said what is wrong */
    }
    if (optind != argc - 1)
        usage();
    long pid = strtol(argv[optind], NULL, 10);
    if (pid < 1)
        usage();

    size_t count = wait_until(&condition, pid, children);
    if (wants_memory) {
        print_memory(children, count);
        return 0;
    }
    (void)printf("PROCESS  STATE     DESCRIPTORS\n");
    print_process(pid);
    for (size_t i = 0; i < count; i++)
        print_process(children[i]);
    return 0;
}
