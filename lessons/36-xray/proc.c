#define _GNU_SOURCE

#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    LINE_BYTES = 512,
    PATH_BYTES = 64,
    WORD_DIGITS = 8, /* four bytes of an address, in hexadecimal */
    UDP_CONNECTED = TCP_ESTABLISHED,
    UNIX_LISTENS = 0x10000, /* a flag in /proc/net/unix */
    UNIX_CONNECTED = 3,     /* a state there */
};

/* ---- the files of TCP and UDP ---------------------------------------------*/

/* What a line of /proc/net/tcp, tcp6, udp or udp6 says. */
struct line {
    struct packet_end local;
    struct packet_end peer;
    unsigned state;
    unsigned unacknowledged;
    uint64_t inode;
};

/* Reads "0100007F:1F90": each four bytes of the address as one number of this
 * machine's, and the port. */
static void parse_end(const char *text, struct packet_end *end) {
    const char *colon = strchr(text, ':');
    size_t at = 0;
    *end = (struct packet_end){{0}, 0};
    if (colon == NULL)
        return;
    while (text + WORD_DIGITS <= colon && at < sizeof end->address) {
        char digits[WORD_DIGITS + 1] = "";
        memcpy(digits, text, WORD_DIGITS);
        uint32_t word = (uint32_t)strtoul(digits, NULL, 16);
        memcpy(end->address + at, &word, sizeof word);
        at += sizeof word;
        text += WORD_DIGITS;
    }
    end->port = (in_port_t)strtoul(colon + 1, NULL, 16);
}

/* Reads a line; returns whether it is one of a socket. The fields are: number,
 * local end, peer, state, bytes sent and received, timer, retries, user,
 * timeout, inode. */
static bool parse_line(const char *text, struct line *line) {
    char local[48];
    char peer[48];
    char state[8];
    char queues[24];
    char inode[24];
    if (sscanf(text, "%*s %47s %47s %7s %23s %*s %*s %*s %*s %23s", local, peer,
               state, queues, inode) != 5)
        return false;
    if (strchr(local, ':') == NULL)
        return false; /* the names of the columns */
    parse_end(local, &line->local);
    parse_end(peer, &line->peer);
    line->state = (unsigned)strtoul(state, NULL, 16);
    line->unacknowledged = (unsigned)strtoul(queues, NULL, 16);
    line->inode = strtoull(inode, NULL, 10);
    return true;
}

/* Which line is looked for: one of these is 0 or NULL. */
struct wanted {
    uint64_t inode;
    const struct endpoint *ends; /* a line with the same two ends */
};

static bool is_wanted(const struct line *line, const struct wanted *wanted) {
    if (wanted->ends == NULL)
        return line->inode == wanted->inode;
    return endpoint_same(&line->local, &wanted->ends->local) &&
           endpoint_same(&line->peer, &wanted->ends->peer);
}

/* Looks for a line in a file; returns whether it is there. *line is written
 * only then. */
static bool find_line(const char *path, const struct wanted *wanted,
                      struct line *line) {
    char text[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(text, sizeof text, file) != NULL) {
        struct line read;
        found = parse_line(text, &read) && is_wanted(&read, wanted);
        if (found)
            *line = read;
    }
    (void)fclose(file);
    return found;
}

unsigned proc_state(const struct endpoint *endpoint) {
    const char *path = "/proc/net/tcp";
    struct wanted wanted = {.ends = endpoint};
    struct line line;
    if (endpoint->family == AF_INET6)
        path = "/proc/net/tcp6";
    if (!find_line(path, &wanted, &line))
        return 0;
    return line.state;
}

/* ---- all kinds of sockets -------------------------------------------------*/

/* The protocols that we know something of, by the name that the kernel gives
 * them in the attribute system.sockprotoname. */
static const struct kind {
    const char *protocol;
    const char *file; /* below /proc/PID/net */
    int family;
    int type;
} kinds[] = {
    {"TCP", "tcp", AF_INET, SOCK_STREAM},
    {"TCPv6", "tcp6", AF_INET6, SOCK_STREAM},
    {"UDP", "udp", AF_INET, SOCK_DGRAM},
    {"UDPv6", "udp6", AF_INET6, SOCK_DGRAM},
    {"UNIX-STREAM", "unix", AF_UNIX, SOCK_STREAM},
    {"UNIX", "unix", AF_UNIX, SOCK_DGRAM},
    {"NETLINK", NULL, AF_NETLINK, SOCK_RAW},
    {"PACKET", NULL, AF_PACKET, SOCK_RAW},
};

static const struct kind *find_kind(const char *path) {
    char protocol[32] = "";
    if (getxattr(path, "system.sockprotoname", protocol, sizeof protocol - 1) <
        0)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].protocol, protocol) == 0)
            return &kinds[i];
    return NULL;
}

static void read_internet(const char *path, struct endpoint *endpoint) {
    struct wanted wanted = {.inode = endpoint->inode};
    struct line line = {.state = TCP_CLOSE};
    /* A socket that is neither bound nor connected is in no file. */
    (void)find_line(path, &wanted, &line);
    endpoint->local = line.local;
    endpoint->peer = line.peer;
    if (endpoint->type == SOCK_DGRAM) {
        endpoint->connected = line.state == UDP_CONNECTED;
        return;
    }
    endpoint->state = line.state;
    endpoint->unacknowledged = line.unacknowledged;
    switch (line.state) {
    case TCP_LISTEN:
        endpoint->listening = true;
        endpoint->unacknowledged = 0;
        break;
    case TCP_CLOSE:
    case TCP_SYN_SENT:
        break;
    default:
        endpoint->connected = true;
        break;
    }
}

/* Keeps the path at the end of a line, which is a blank and the path. */
static void keep_path(const char *end, char *name) {
    size_t length = strcspn(end, "\n");
    if (*end != ' ' || length > ENDPOINT_NAME_BYTES)
        return;
    memcpy(name, end + 1, length - 1);
    name[length - 1] = '\0';
}

/* A line of /proc/net/unix: address, references, protocol, flags, type, state,
 * inode, and the path, if there is one. */
static void read_unix(const char *path, struct endpoint *endpoint) {
    char text[LINE_BYTES];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(text, sizeof text, file) != NULL) {
        char flags[16];
        char type[8];
        char state[8];
        char inode[24];
        int end = 0;
        if (sscanf(text, "%*s %*s %*s %15s %7s %7s %23s%n", flags, type, state,
                   inode, &end) != 4 ||
            strtoull(inode, NULL, 10) != endpoint->inode)
            continue;
        keep_path(text + end, endpoint->name);
        endpoint->type = (int)strtoul(type, NULL, 16);
        endpoint->listening = (strtoul(flags, NULL, 16) & UNIX_LISTENS) != 0;
        endpoint->connected = strtoul(state, NULL, 16) == UNIX_CONNECTED;
        break;
    }
    (void)fclose(file);
}

/* In /proc a descriptor is a link; that of a socket is "socket:[12345]". */
static const char socket_link[] = "socket:[";

uint64_t proc_inode(pid_t process, int fd) {
    char path[PATH_BYTES];
    char target[48] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    if (readlink(path, target, sizeof target - 1) < 0)
        return 0;
    if (strncmp(target, socket_link, strlen(socket_link)) != 0)
        return 0;
    return strtoull(target + strlen(socket_link), NULL, 10);
}

int proc_try(void) {
    char path[PATH_BYTES];
    char target[48];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* this says nothing of /proc */
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    int result = readlink(path, target, sizeof target) < 0 ? -1 : 0;
    int reason = errno;
    /* A /proc of other processes has their descriptors. */
    if (result == 0 && proc_inode(getpid(), fd) == 0) {
        reason = ENOENT;
        result = -1;
    }
    (void)close(fd);
    errno = reason;
    return result;
}

int proc_read(pid_t process, int fd, struct endpoint *endpoint) {
    char path[PATH_BYTES];
    *endpoint = (struct endpoint){.inode = proc_inode(process, fd)};
    if (endpoint->inode == 0)
        return -1;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    const struct kind *kind = find_kind(path);
    if (kind == NULL)
        return 0;
    endpoint->family = kind->family;
    endpoint->type = kind->type;
    if (kind->file == NULL)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%d/net/%s", (int)process,
                   kind->file);
    if (kind->family == AF_UNIX)
        read_unix(path, endpoint);
    else
        read_internet(path, endpoint);
    return 0;
}

const char *proc_describe(pid_t process, int fd) {
    char path[PATH_BYTES];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    if (stat(path, &status) < 0)
        return "";
    if (S_ISFIFO(status.st_mode))
        return "pipe";
    return S_ISREG(status.st_mode) ? "file" : "";
}

bool proc_holds(pid_t process, uint64_t inode) {
    char path[PATH_BYTES];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return false;
    const struct dirent *entry = readdir(folder);
    while (entry != NULL && !found) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        found = entry->d_name[0] != '.' && proc_inode(process, fd) == inode;
        entry = readdir(folder);
    }
    (void)closedir(folder);
    return found;
}
