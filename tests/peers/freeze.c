/*
 * freeze: run a command, and stop another process for a while meanwhile.
 *
 *     freeze PID AFTER LENGTH COMMAND [ARGUMENT...]
 *
 * AFTER milliseconds after the command was started, the process PID gets
 * SIGSTOP, and LENGTH milliseconds later SIGCONT, so it goes on. For a server,
 * that is as if its machine had stood still. Our exit status is the command's;
 * 128 + N if signal N ended it.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGEST_PID = 1 << 22, /* proc(5), /proc/sys/kernel/pid_max */
    LONGEST_MS = 60 * 1000,
    NS_PER_MS = 1000 * 1000,
    SIGNALLED = 128, /* as a shell has it */
};

static _Noreturn void usage(FILE *out, int status) {
    fputs("usage: freeze PID AFTER LENGTH COMMAND [ARGUMENT...]\n", out);
    exit(status);
}

static long parse_number(const char *text, long most) {
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    int begins_with_digit = *text >= '0' && *text <= '9';
    int is_all_number = begins_with_digit && *end == '\0';
    if (!is_all_number || errno != 0 || number < 1 || number > most)
        errx(1, "%s is not a number from 1 to %ld", text, most);
    return number;
}

static void wait_milliseconds(long milliseconds) {
    struct timespec left = {
        .tv_sec = milliseconds / 1000,
        .tv_nsec = milliseconds % 1000 * NS_PER_MS,
    };
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ; /* a signal came: wait for what is left */
}

int main(int argc, char **argv) {
    if (argc < 5)
        usage(stderr, 2);
    pid_t target = (pid_t)parse_number(argv[1], LARGEST_PID);
    long after = parse_number(argv[2], LONGEST_MS);
    long length = parse_number(argv[3], LONGEST_MS);

    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        (void)execvp(argv[4], argv + 4);
        err(1, "%s", argv[4]);
    }
    wait_milliseconds(after);
    if (kill(target, SIGSTOP) < 0)
        err(1, "process %s", argv[1]);
    wait_milliseconds(length);
    if (kill(target, SIGCONT) < 0)
        err(1, "process %s", argv[1]);

    int status;
    if (waitpid(child, &status, 0) < 0)
        err(1, "waitpid");
    if (WIFSIGNALED(status))
        return SIGNALLED + WTERMSIG(status);
    return WEXITSTATUS(status);
}
