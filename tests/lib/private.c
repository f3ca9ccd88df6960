/*
 * private: runs a command in a network of its own.
 *
 *     private [-4] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]
 *
 * The command sees only one interface, the loopback, and all its ports are
 * free. So it can use port 8080, whatever else runs on this machine. It may
 * also capture the packets there (CAP_NET_RAW), for which an ordinary user
 * elsewhere has no permission.
 *
 * With -e it sees the files of FOLDER in the place of the files in /etc with
 * the same names. Of these hosts, resolv.conf and nsswitch.conf decide what a
 * name means. No other process sees the change. We write nothing to /etc, so a
 * file that /etc does not have is left out.
 *
 * With -4 this network has no IPv6. With -m a packet on its loopback has at
 * most MTU bytes.
 *
 * A user namespace gives an ordinary user the permission for all this
 * (user_namespaces(7)). root needs none, and in a chroot root could not have
 * one. If the system allows neither, we exit with status 125.
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
    if (file == NULL)
        err(FORBIDDEN, "%s", path);
    if (fputs(text, file) == EOF || fclose(file) == EOF)
        err(FORBIDDEN, "%s", path);
}

/* Gives us the same user and group in the new user namespace. */
static void keep_user(unsigned user, unsigned group) {
    char map[64];
    write_file("/proc/self/setgroups", "deny");
    (void)snprintf(map, sizeof map, "%u %u 1", user, user);
    write_file("/proc/self/uid_map", map);
    (void)snprintf(map, sizeof map, "%u %u 1", group, group);
    write_file("/proc/self/gid_map", map);
}

/* The process that makes a user namespace has all capabilities in it, but loses
 * them at the next execve(2). One that is inheritable and ambient is kept:
 * capabilities(7). */
static void keep_net_raw(void) {
    /* From linux/capability.h. */
    enum { VERSION = 0x20080522, NET_RAW = 13 };
    enum { EFFECTIVE, PERMITTED, INHERITABLE, SETS };
    unsigned header[] = {VERSION, 0}; /* of this process */
    unsigned rights[2][SETS]; /* the first 32 capabilities, and the rest */
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
    if (fd < 0)
        err(FORBIDDEN, "socket");
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        err(FORBIDDEN, "lo");
    request.ifr_mtu = mtu;
    if (mtu != 0 && ioctl(fd, SIOCSIFMTU, &request) < 0)
        err(FORBIDDEN, "lo: a packet of %d bytes", mtu);
    (void)close(fd);
}

/* What we mount after this call is not seen outside. The call needs a mount
 * point, and the root of a chroot may be a mere directory. There it fails, and
 * -e cannot be used. */
static void keep_mounts_private(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        err(FORBIDDEN, "mount --make-rprivate /");
}

/* Mounts each file of the folder over the file in /etc with the same name. */
static void replace_etc(const char *folder) {
    DIR *files = opendir(folder);
    if (files == NULL)
        err(CANNOT_RUN, "%s", folder);
    for (;;) {
        const struct dirent *file = readdir(files);
        if (file == NULL)
            break;
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
    /* nscd, a daemon that caches names, would answer from the machine's own
     * files. So we hide its socket. */
    if (access("/var/run/nscd", F_OK) == 0 &&
        mount("none", "/var/run/nscd", "tmpfs", 0, NULL) < 0)
        err(FORBIDDEN, "mount /var/run/nscd");
}

static _Noreturn void usage(void) {
    fputs("usage: private [-4] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]\n",
          stderr);
    exit(2);
}

/* Which namespaces we need. */
static int namespaces(int has_own_etc, int is_root) {
    int flags = CLONE_NEWNET;
    if (has_own_etc)
        flags |= CLONE_NEWNS;
    if (!is_root)
        flags |= CLONE_NEWUSER;
    return flags;
}

int main(int argc, char **argv) {
    const char *folder = NULL;
    int mtu = 0;
    int without_ipv6 = 0;
    for (;;) {
        int option = getopt(argc, argv, "+4e:m:");
        if (option == -1)
            break;
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
    int is_root = user == 0;
    if (unshare(namespaces(folder != NULL, is_root)) < 0)
        err(FORBIDDEN, "unshare");
    if (!is_root)
        keep_user(user, group);
    bring_loopback_up(mtu);
    if (without_ipv6)
        write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    if (folder != NULL) {
        keep_mounts_private();
        replace_etc(folder);
    }
    if (!is_root)
        keep_net_raw();
    (void)execvp(argv[optind], argv + optind);
    err(CANNOT_RUN, "%s", argv[optind]);
}
