/*
 * names: a library to preload that answers in the place of getaddrinfo(3) and
 * getnameinfo(3).
 *
 *     NAMES=hal=127.0.0.2+::1   the addresses of this one name, in this order
 *     NAMES_ERROR=-3            getaddrinfo fails with this EAI_ error
 *     NAMES_ERRNO=13            and sets errno to this
 *     NAMES_LOCAL=1             this machine has no IPv6 address but ::1: with
 *                               AI_ADDRCONFIG, none of IPv6 is given out
 *     NAMES_LOG=FILE            a line for each list that getaddrinfo has given
 *                               out, and for each that was given back
 *
 *     LD_PRELOAD=build/tests/names.so NAMES=... COMMAND
 *
 * No file of the machine is read and no name server is asked. All other names
 * are unknown, and numeric addresses mean what they always mean. A hosts file
 * in a private namespace (see private.c) would be closer to the truth. But not
 * every system allows such a namespace, and the check of an exercise must run
 * on all.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LISTS = 64 };

struct answer {
    struct addrinfo info; /* first: freeaddrinfo gets its address */
    struct sockaddr_storage address;
};

/* The lists that have been given out, and not given back yet. */
static struct {
    struct addrinfo *list;
    int is_ours;
} given[LISTS];

/* Stores the real function of that name in *function. dlsym returns a pointer
 * to data, and C converts that to a pointer to a function only by memcpy. */
static void find(const char *name, void *function) {
    void *address = dlsym(RTLD_NEXT, name);
    memcpy(function, &address, sizeof address);
}

static void log_line(const char *line) {
    const char *path = getenv("NAMES_LOG");
    if (path == NULL)
        return;
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        return;
    fprintf(file, "%s\n", line);
    (void)fclose(file);
}

/* Gives out a list, and remembers it. */
static int give_out(struct addrinfo *list, int is_ours,
                    struct addrinfo **result) {
    for (size_t i = 0; i < LISTS; i++) {
        if (given[i].list != NULL)
            continue;
        given[i].list = list;
        given[i].is_ours = is_ours;
        log_line("given");
        *result = list;
        return 0;
    }
    return EAI_MEMORY; /* so many that were not given back must be a leak */
}

static int is_wanted(const struct addrinfo *hints, int family, int type,
                     int protocol) {
    if (family == AF_INET6 && (hints->ai_flags & AI_ADDRCONFIG) &&
        getenv("NAMES_LOCAL") != NULL)
        return 0;
    if (hints->ai_family != AF_UNSPEC && hints->ai_family != family)
        return 0;
    if (hints->ai_socktype != 0 && hints->ai_socktype != type)
        return 0;
    return hints->ai_protocol == 0 || hints->ai_protocol == protocol;
}

/* Fills in the address: one of IPv4 or IPv6, or "?" for an address of a family
 * that no name has. */
static int make_address(struct answer *answer, const char *text,
                        in_port_t port) {
    struct sockaddr_in *four = (struct sockaddr_in *)&answer->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&answer->address;
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = port;
        answer->info.ai_addrlen = sizeof *four;
    } else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = port;
        answer->info.ai_addrlen = sizeof *six;
    } else if (strcmp(text, "?") == 0) {
        answer->address.ss_family = AF_UNIX;
        answer->info.ai_addrlen = sizeof(sa_family_t);
    } else {
        return -1;
    }
    answer->info.ai_addr = (struct sockaddr *)&answer->address;
    answer->info.ai_family = answer->address.ss_family;
    return 0;
}

/* Appends the answers for one address: one for each socket type that the hints
 * allow. Returns where the next answer goes. */
static struct addrinfo **append(struct addrinfo **end, const char *text,
                                in_port_t port, const struct addrinfo *hints) {
    static const struct {
        int type;
        int protocol;
    } kinds[] = {
        {SOCK_STREAM, IPPROTO_TCP},
        {SOCK_DGRAM, IPPROTO_UDP},
        {SOCK_RAW, 0},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct answer *answer = calloc(1, sizeof *answer);
        if (answer == NULL || make_address(answer, text, port) < 0)
            abort(); /* we cannot do what the test asks for */
        answer->info.ai_socktype = kinds[i].type;
        answer->info.ai_protocol = kinds[i].protocol;
        if (!is_wanted(hints, answer->info.ai_family, kinds[i].type,
                       kinds[i].protocol)) {
            free(answer);
            continue;
        }
        *end = &answer->info;
        end = &answer->info.ai_next;
    }
    return end;
}

static int answer_for(const char *host, const char *addresses,
                      const char *service, const struct addrinfo *hints,
                      struct addrinfo **result) {
    unsigned long port = 0;
    if (service != NULL) {
        char *end;
        port = strtoul(service, &end, 10);
        if (*end != '\0')
            return EAI_SERVICE;
    }

    struct addrinfo *list = NULL;
    struct addrinfo **last = &list;
    char *copy = strdup(addresses);
    char *rest = copy;
    while (rest != NULL) {
        const char *text = strsep(&rest, "+");
        last = append(last, text, htons((in_port_t)port), hints);
    }
    free(copy);
    if (list == NULL)
        return EAI_NONAME;
    if (hints->ai_flags & AI_CANONNAME)
        list->ai_canonname = strdup(host);
    return give_out(list, 1, result);
}

/* Returns the addresses that NAMES has for this host, or NULL. */
static const char *addresses_of(const char *host) {
    const char *names = getenv("NAMES");
    if (names == NULL || host == NULL)
        return NULL;
    size_t length = strlen(host);
    if (length == 0 || strncmp(names, host, length) != 0 ||
        names[length] != '=')
        return NULL;
    return names + length + 1;
}

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict result) {
    const char *error = getenv("NAMES_ERROR");
    const char *number = getenv("NAMES_ERRNO");
    struct addrinfo wanted = {.ai_family = AF_UNSPEC};
    if (hints != NULL)
        wanted = *hints;
    if (number != NULL)
        errno = (int)strtol(number, NULL, 10);
    if (error != NULL)
        return (int)strtol(error, NULL, 10);
    const char *addresses = addresses_of(host);
    if (addresses != NULL && !(wanted.ai_flags & AI_NUMERICHOST))
        return answer_for(host, addresses, service, &wanted, result);

    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    find("getaddrinfo", &real);
    if (host != NULL)
        wanted.ai_flags |= AI_NUMERICHOST;
    struct addrinfo *list;
    int failed = real(host, service, &wanted, &list);
    if (failed != 0)
        return failed;
    return give_out(list, 0, result);
}

/* Frees a list that we have made, as append did it. */
static void free_answers(struct addrinfo *list) {
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list->ai_canonname);
        free(list);
        list = next;
    }
}

void freeaddrinfo(struct addrinfo *list) {
    void (*real)(struct addrinfo *);
    find("freeaddrinfo", &real);
    if (list == NULL) {
        log_line("NULL given back");
        return;
    }
    for (size_t i = 0; i < LISTS; i++) {
        if (given[i].list != list)
            continue;
        log_line("given back");
        given[i].list = NULL;
        if (given[i].is_ours)
            free_answers(list);
        else
            real(list);
        return;
    }
    log_line("not a list given back");
}

/* The other direction: every address has this one name. */
int getnameinfo(const struct sockaddr *restrict address, socklen_t length,
                char *restrict host, socklen_t host_size,
                char *restrict service, socklen_t service_size, int flags) {
    int (*real)(const struct sockaddr *, socklen_t, char *, socklen_t, char *,
                socklen_t, int);
    find("getnameinfo", &real);
    int failed = real(address, length, host, host_size, service, service_size,
                      (flags & ~NI_NAMEREQD) | NI_NUMERICHOST);
    if (failed != 0 || host == NULL || (flags & NI_NUMERICHOST))
        return failed;
    const char *names = getenv("NAMES");
    if (names != NULL)
        (void)snprintf(host, host_size, "%.*s", (int)strcspn(names, "="),
                       names);
    else if (flags & NI_NAMEREQD)
        return EAI_NONAME;
    return 0;
}

/* A program that uses this call of 1983 gets no answer: without us it would get
 * the machine's. */
struct hostent *gethostbyname(const char *host) {
    (void)host;
    h_errno = HOST_NOT_FOUND;
    return NULL;
}
