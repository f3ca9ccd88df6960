/*
 * private: run a command in a network of its own.
 *
 *     private [-4] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]
 *
 * The command sees one interface, the loopback, and all ports are free: it can
 * use port 8080 whatever runs on this machine. It may look at the packets there
 * (CAP_NET_RAW), which an ordinary user may not elsewhere. With -e it also sees
 * the files of FOLDER in the place of those of the same names in /etc: hosts,
 * resolv.conf and nsswitch.conf decide what a name means. Nobody else sees
 * that; and what /etc doesn't have is left out, for nothing is written there.
 * With -4 there is no IPv6 in that network, and -m says how long a packet may
 * be on its loopback.
 *
 * An ordinary user gets the right to do that from a user namespace
 * (user_namespaces(7)); root needs none, and inside a chroot could not have
 * one. Where neither is allowed: status 125.
 */
#define _GNU_SOURCE

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* Who makes a user namespace has all rights in it, until the next execve(2).
 * One that is inheritable and ambient stays: capabilities(7). */
static void keep_right_to_packets(void) {
    /* From linux/capability.h. */
    enum { VERSION = 0x20080522, NET_RAW = 13 };
    enum { EFFECTIVE, PERMITTED, INHERITABLE, SETS };
    unsigned header[] = {VERSION, 0}; /* of this process */
    unsigned rights[2][SETS];         /* the first 32, and others */
    if (syscall(SYS_capget, header, rights) < 0)
        err(FORBIDDEN, "capget");
    rights[0][INHERITABLE] |= 1U << NET_RAW;
    if (syscall(SYS_capset, header, rights) < 0)
        err(FORBIDDEN, "capset");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NET_RAW, 0, 0) < 0)
        err(FORBIDDEN, "prctl PR_CAP_AMBIENT");
}

static void bring_loopback_up(int mtu) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        err(FORBIDDEN, "lo");
    request.ifr_mtu = mtu;
    if (mtu != 0 && ioctl(fd, SIOCSIFMTU, &request) < 0)
        err(FORBIDDEN, "lo: a packet of %d bytes", mtu);
    (void)close(fd);
}

/* What is mounted from here on is seen by nobody outside. Only a mount can be
 * told so, and the root of a chroot may be a mere folder of one: there, -e is
 * as good as forbidden. */
static void keep_mounts_private(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        err(FORBIDDEN, "mount --make-rprivate /");
}

/* Each file of the folder in the place of its namesake in /etc. */
static void replace_etc(const char *folder) {
    DIR *files = opendir(folder);
    if (files == NULL)
        err(CANNOT_RUN, "%s", folder);
    const struct dirent *file;
    while ((file = readdir(files)) != NULL) {
        char ours[PATH_MAX];
        char theirs[PATH_MAX];
        if (file->d_name[0] == '.')
            continue;
        (void)snprintf(ours, sizeof ours, "%s/%s", folder, file->d_name);
        (void)snprintf(theirs, sizeof theirs, "/etc/%s", file->d_name);
        if (access(theirs, F_OK) < 0 && errno == ENOENT)
            continue;
        if (mount(ours, theirs, NULL, MS_BIND, NULL) < 0)
            err(FORBIDDEN, "mount --bind %s %s", ours, theirs);
    }
    (void)closedir(files);
    /* A daemon that keeps names would answer from the machine's own files. */
    if (access("/var/run/nscd", F_OK) == 0 &&
        mount("none", "/var/run/nscd", "tmpfs", 0, NULL) < 0)
        err(FORBIDDEN, "mount /var/run/nscd");
}

static _Noreturn void usage(void) {
    fputs("usage: private [-4] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]\n",
          stderr);
    exit(2);
}

int main(int argc, char **argv) {
    const char *folder = NULL;
    int option, mtu = 0, without_ipv6 = 0;
    while ((option = getopt(argc, argv, "+4e:m:")) != -1) {
        if (option == 'e')
            folder = optarg;
        else if (option == 'm')
            mtu = (int)strtol(optarg, NULL, 10);
        else if (option == '4')
            without_ipv6 = 1;
        else
            usage();
    }
    if (optind == argc)
        usage();
    unsigned user = geteuid();
    unsigned group = getegid();
    int spaces = CLONE_NEWNET | (folder != NULL ? CLONE_NEWNS : 0) |
                 (user != 0 ? CLONE_NEWUSER : 0);
    if (unshare(spaces) < 0)
        err(FORBIDDEN, "unshare");
    if (user != 0)
        keep_user(user, group);
    bring_loopback_up(mtu);
    if (without_ipv6)
        write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    if (folder != NULL) {
        keep_mounts_private();
        replace_etc(folder);
    }
    if (user != 0)
        keep_right_to_packets();
    (void)execvp(argv[optind], argv + optind);
    err(CANNOT_RUN, "%s", argv[optind]);
}
