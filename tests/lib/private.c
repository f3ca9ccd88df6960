/*
 * private: runs a command in a network of its own.
 *
 *     private [-46p] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]
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
 * most MTU bytes. With -6 the groups of IPv6 (multicast) have a route through
 * the loopback, as those of IPv4 always have.
 *
 * With -p this network has a second and a third interface, named `left` and
 * `right`. They are the two ends of one cable: what one sends, the other gets.
 * Their addresses are 10.21.0.1 and 10.21.0.2.
 *
 * A user namespace gives an ordinary user the permission for all this
 * (user_namespaces(7)). root needs none, and in a chroot root could not have
 * one. If the system allows neither, we exit with status 125.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
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

/* What follows is from linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and
 * linux/veth.h, which not every libc brings with it. */
enum {
    ROUTE = 0, /* NETLINK_ROUTE */
    NEW_LINK = 16,
    NEW_ROUTE = 24,
    /* NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL and NLM_F_CREATE. */
    CREATE = 0x1 | 0x4 | 0x200 | 0x400,
    LOCAL_TABLE = 255,
    STATIC = 4,
    LOCAL_ROUTE = 2,
    DESTINATION = 1,
    OUT_INTERFACE = 4,
    NAME = 3,
    LINK_INFO = 18,
    KIND = 1,
    DATA = 2,
    PEER = 1,
    ALIGNMENT = 4,
};

/* Its members are those of struct nlmsghdr; we need not set the last two. */
struct netlink_header {
    uint32_t length;
    // cppcheck-suppress unusedStructMember
    uint16_t type;
    // cppcheck-suppress unusedStructMember
    uint16_t flags;
    // cppcheck-suppress unusedStructMember
    uint32_t number;
    // cppcheck-suppress unusedStructMember
    uint32_t port;
};

struct attribute {
    // cppcheck-suppress unusedStructMember
    uint16_t length;
    // cppcheck-suppress unusedStructMember
    uint16_t type;
};

/* A message to the kernel, as rtnetlink(7) has it. */
struct request {
    struct netlink_header header;
    char bytes[256];
};

static size_t aligned(size_t length) {
    return (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* Adds bytes behind those that the request has. Returns where they are. */
static size_t add_bytes(struct request *request, const void *bytes,
                        size_t length) {
    size_t at = request->header.length;
    memcpy((char *)request + at, bytes, length);
    request->header.length = (uint32_t)(at + aligned(length));
    return at;
}

/* Begins a request to make something, with these bytes behind its header. */
static void begin_request(struct request *request, uint16_t type,
                          const void *bytes, size_t length) {
    *request = (struct request){
        .header =
            {
                .length = sizeof request->header,
                .type = type,
                .flags = CREATE,
            },
    };
    (void)add_bytes(request, bytes, length);
}

/* Adds an attribute. Returns where it is. */
static size_t add_attribute(struct request *request, uint16_t type,
                            const void *bytes, size_t length) {
    const struct attribute head = {
        .length = (uint16_t)(sizeof head + length),
        .type = type,
    };
    size_t at = add_bytes(request, &head, sizeof head);
    (void)add_bytes(request, bytes, length);
    return at;
}

/* An attribute that has others in it is as long as all of them. */
static void end_attribute(struct request *request, size_t at) {
    uint16_t length = (uint16_t)(request->header.length - at);
    memcpy((char *)request + at + offsetof(struct attribute, length), &length,
           sizeof length);
}

/* Sends the request to the kernel. `what` is for the error message. */
static void send_request(const struct request *request, const char *what) {
    struct {
        // cppcheck-suppress unusedStructMember
        struct netlink_header header;
        int32_t error; /* as errno, but negative */
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, ROUTE);
    if (fd < 0)
        err(FORBIDDEN, "socket");
    if (send(fd, request, request->header.length, 0) < 0)
        err(FORBIDDEN, "send to the kernel");
    if (recv(fd, &answer, sizeof answer, 0) < (ssize_t)sizeof answer)
        err(FORBIDDEN, "recv from the kernel");
    errno = -answer.error;
    if (errno != 0)
        err(FORBIDDEN, "%s", what);
    (void)close(fd);
}

/* ip -6 route add local ff00::/8 dev lo. A route of another type than `local`
 * at the loopback would throw everything away. */
static void route_groups(void) {
    /* struct rtmsg: family, bits of the destination and of the source, service,
     * table, protocol, scope, type, and four bytes of flags. */
    const uint8_t route[12] = {AF_INET6,    8,      0, 0,
                               LOCAL_TABLE, STATIC, 0, LOCAL_ROUTE};
    const struct in6_addr groups = {.s6_addr = {0xff}};
    const unsigned loopback = if_nametoindex("lo");
    struct request request;
    begin_request(&request, NEW_ROUTE, &route, sizeof route);
    (void)add_attribute(&request, DESTINATION, &groups, sizeof groups);
    (void)add_attribute(&request, OUT_INTERFACE, &loopback, sizeof loopback);
    send_request(&request, "a route to ff00::/8");
}

static void set_up(const char *name, const char *address) {
    char path[128];
    struct ifreq request = {0};
    struct sockaddr_in own = {.sin_family = AF_INET};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    (void)inet_pton(AF_INET, address, &own.sin_addr);
    memcpy(&request.ifr_addr, &own, sizeof own);

    /* What comes from our other end has an address of our own, and would be
     * thrown away. Nor does anybody else have our IPv6 address. */
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/accept_local",
                   name);
    write_file(path, "1");
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter",
                   name);
    write_file(path, "0");
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_dad",
                   name);
    if (access(path, F_OK) == 0)
        write_file(path, "0");

    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        err(FORBIDDEN, "socket");
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        err(FORBIDDEN, "%s: %s", name, address);
    inet_pton(AF_INET, "255.255.255.0", &own.sin_addr);
    memcpy(&request.ifr_netmask, &own, sizeof own);
    if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
        err(FORBIDDEN, "%s: network mask", name);
    request.ifr_flags = IFF_UP | IFF_MULTICAST | IFF_BROADCAST;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        err(FORBIDDEN, "%s", name);
    (void)close(fd);
}

/* veth(4): a pair of interfaces, joined by a cable. */
static void add_pair(void) {
    const uint8_t unspecified[16] = {0}; /* struct ifinfomsg */
    struct request request;
    begin_request(&request, NEW_LINK, &unspecified, sizeof unspecified);
    (void)add_attribute(&request, NAME, "left", sizeof "left");
    size_t info = add_attribute(&request, LINK_INFO, "", 0);
    (void)add_attribute(&request, KIND, "veth", strlen("veth"));
    size_t data = add_attribute(&request, DATA, "", 0);
    size_t peer =
        add_attribute(&request, PEER, &unspecified, sizeof unspecified);
    (void)add_attribute(&request, NAME, "right", sizeof "right");
    end_attribute(&request, peer);
    end_attribute(&request, data);
    end_attribute(&request, info);
    send_request(&request, "a pair of interfaces");

    write_file("/proc/sys/net/ipv4/conf/all/accept_local", "1");
    write_file("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
    set_up("left", "10.21.0.1");
    set_up("right", "10.21.0.2");
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
    fputs("usage: private [-46p] [-m MTU] [-e FOLDER] COMMAND [ARGUMENT...]\n",
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
    int has_route = 0;
    int has_pair = 0;
    for (;;) {
        int option = getopt(argc, argv, "+46e:m:p");
        if (option == -1)
            break;
        if (option == 'e')
            folder = optarg;
        else if (option == 'm')
            mtu = (int)strtol(optarg, NULL, 10);
        else if (option == '4')
            without_ipv6 = 1;
        else if (option == '6')
            has_route = 1;
        else if (option == 'p')
            has_pair = 1;
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
    if (has_route)
        route_groups();
    if (has_pair)
        add_pair();
    if (folder != NULL) {
        keep_mounts_private();
        replace_etc(folder);
    }
    if (!is_root)
        keep_net_raw();
    (void)execvp(argv[optind], argv + optind);
    err(CANNOT_RUN, "%s", argv[optind]);
}
