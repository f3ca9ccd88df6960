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
    WORD_DIGITS = 8,                 /* of four bytes, in hexadecimal */
    UDP_CONNECTED = TCP_ESTABLISHED, /* the same number in /proc/net/udp */
    UNIX_LISTENS = 0x10000,          /* a flag in /proc/net/unix */
    UNIX_CONNECTED = 3,              /* a state there */
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

/* Reads "0100007F:1F90": an address and a port. Each eight digits are a number.
 * In memory, as this machine stores it, the number is four bytes of the address
 * in their order. */
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
 * local end, peer, state, bytes that wait to be sent and to be read, timer,
 * retries, user, timeout, inode. */
static bool parse_line(const char *text, struct line *line) {
    char local[48];
    char peer[48];
    char state[8];
    char queues[24];
    char inode[24];
    int fields = sscanf(text, "%*s %47s %47s %7s %23s %*s %*s %*s %*s %23s",
                        local, peer, state, queues, inode);
    if (fields != 5)
        return false;
    if (strchr(local, ':') == NULL)
        return false; /* the names of the columns */
    parse_end(local, &line->local);
    parse_end(peer, &line->peer);
    line->state = (unsigned)strtoul(state, NULL, 16);
    /* queues is "00000006:00000000": strtoul reads up to the colon. */
    line->unacknowledged = (unsigned)strtoul(queues, NULL, 16);
    line->inode = strtoull(inode, NULL, 10);
    return true;
}

/* Which line is looked for: the one with this inode; or if ends is not NULL,
 * the one with the same two ends. */
struct wanted {
    uint64_t inode;
    const struct endpoint *ends;
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
        if (parse_line(text, &read) && is_wanted(&read, wanted)) {
            *line = read;
            found = true;
        }
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

/* What kind of socket the descriptor with that path in /proc is; NULL for one
 * that we do not know. */
static const struct kind *find_kind(const char *path) {
    char protocol[32] = ""; /* the NUL at its end stays */
    ssize_t length =
        getxattr(path, "system.sockprotoname", protocol, sizeof protocol - 1);
    if (length < 0)
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

/* Copies the path at the end of a line, which is a blank, the path and a
 * newline, to name. A line without a path, or with one that is too long, leaves
 * name as it is. */
static void copy_path(const char *end, char *name) {
    if (end[0] != ' ')
        return;
    const char *path = end + 1;
    size_t length = strcspn(path, "\n");
    if (length >= ENDPOINT_NAME_BYTES)
        return;
    memcpy(name, path, length);
    name[length] = '\0';
}

/* Reads a line of /proc/net/unix: address, references, protocol, flags, type,
 * state, inode, and the path, if there is one. Returns whether it is the line
 * of the endpoint's inode; otherwise *endpoint stays as it is. */
static bool parse_unix_line(const char *text, struct endpoint *endpoint) {
    char flags[16];
    char type[8];
    char state[8];
    char inode[24];
    int end = 0; /* %n stores here where the inode's field has ended */
    int fields = sscanf(text, "%*s %*s %*s %15s %7s %7s %23s%n", flags, type,
                        state, inode, &end);
    if (fields != 4)
        return false;
    if (strtoull(inode, NULL, 10) != endpoint->inode)
        return false;
    copy_path(text + end, endpoint->name);
    endpoint->type = (int)strtoul(type, NULL, 16);
    endpoint->listening = (strtoul(flags, NULL, 16) & UNIX_LISTENS) != 0;
    endpoint->connected = strtoul(state, NULL, 16) == UNIX_CONNECTED;
    return true;
}

static void read_unix(const char *path, struct endpoint *endpoint) {
    char text[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (!found && fgets(text, sizeof text, file) != NULL)
        found = parse_unix_line(text, endpoint);
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

/* Tries whether /proc tells that a descriptor of ours is a socket. Returns 0,
 * or -1 and errno. */
static int try_socket(int fd) {
    char path[PATH_BYTES];
    char target[48];
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
    if (readlink(path, target, sizeof target) < 0)
        return -1;
    /* Where /proc belongs to another PID namespace, our process number may be
     * that of another process. Then the link is there, but to something else.
     */
    if (proc_inode(getpid(), fd) == 0) {
        errno = ENOENT;
        return -1;
    }
    return 0;
}

int proc_try(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0; /* this says nothing of /proc */
    int result = try_socket(fd);
    int reason = errno;
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

bool proc_is_hidden(pid_t process) {
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    DIR *folder = opendir(path);
    if (folder == NULL)
        return errno == EACCES || errno == EPERM;
    (void)closedir(folder);
    return false;
}

const char *proc_describe(pid_t process, int fd) {
    char path[PATH_BYTES];
    struct stat status;
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    if (stat(path, &status) < 0)
        return "";
    if (S_ISFIFO(status.st_mode))
        return "pipe";
    if (S_ISREG(status.st_mode))
        return "file";
    return "";
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
        bool is_number = entry->d_name[0] != '.'; /* and not "." or ".." */
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (is_number && proc_inode(process, fd) == inode)
            found = true;
        entry = readdir(folder);
    }
    (void)closedir(folder);
    return found;
}
