/*
 * private: run a command in a network of its own.
 *
 *     private COMMAND [ARGUMENT...]
 *
 * The command sees one interface, the loopback, and all ports are free: it can
 * use port 8080 whatever runs on this machine. An ordinary user gets the right
 * to do that from a user namespace (user_namespaces(7)); root needs none, and
 * inside a chroot could not have one. Where neither is allowed: status 125.
 */
#define _GNU_SOURCE

#include <err.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FORBIDDEN = 125, CANNOT_RUN = 126 };

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    if (file == NULL || fputs(text, file) == EOF || fclose(file) == EOF)
        err(FORBIDDEN, "%s", path);
}

/* In the new user namespace we stay who we are. */
static void keep_user(unsigned user, unsigned group) {
    char map[64];
    write_file("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "%u %u 1", user, user);
    write_file("/proc/self/uid_map", map);
    (void)snprintf(map, sizeof map, "%u %u 1", group, group);
    write_file("/proc/self/gid_map", map);
}

static void bring_loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        err(FORBIDDEN, "lo");
    (void)close(fd);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs("usage: private COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    unsigned user = geteuid();
    unsigned group = getegid();
    if (user == 0) {
        if (unshare(CLONE_NEWNET) < 0)
            err(FORBIDDEN, "unshare");
    } else {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
            err(FORBIDDEN, "unshare");
        keep_user(user, group);
    }
    bring_loopback_up();
    (void)execvp(argv[1], argv + 1);
    err(CANNOT_RUN, "%s", argv[1]);
}
