/*
 * notes: the dead calls of the sockets world, for deprecated-api.c, which
 * prints them as a program. No code of ours calls one: here they are text.
 *
 * The old and the new are asked the same, where the old one goes wrong; what
 * each makes of it goes to `say`. tests/lessons/15-deprecated-api.bats compiles
 * and runs every line, and keeps what compiler and linker have to say of it.
 */
#include <stdio.h>
#include <string.h>

struct note {
    const char *name;
    const char *since; /* when it died, and who says so */
    const char *why;
    const char *instead;
    const char *header; /* beyond those that all of them include; or NULL */
    const char *before; /* declarations for both */
    const char *old, *new;
};

static const struct note notes[] = {
    {"gethostbyname", "POSIX.1-2001: obsolescent; POSIX.1-2008: removed",
     "knows IPv4 only, and has one buffer for all its answers",
     "getaddrinfo(3)", "<netdb.h>", "struct addrinfo *list;",
     "say(\"old\", gethostbyname(\"::1\") ? \"::1 is an address\"\n"
     "                                  : hstrerror(h_errno));",
     "say(\"new\", getaddrinfo(\"::1\", NULL, NULL, &list) == 0\n"
     "               ? \"::1 is an address\"\n"
     "               : \"Unknown host\");"},
    {"gethostbyaddr", "POSIX.1-2001: obsolescent; POSIX.1-2008: removed",
     "no name, no answer; and one buffer for all of them", "getnameinfo(3)",
     "<netdb.h>", "struct sockaddr_in6 any = {.sin6_family = AF_INET6};",
     "say(\"old\", gethostbyaddr(&any.sin6_addr, 16, AF_INET6)\n"
     "               ? \"a name\"\n"
     "               : hstrerror(h_errno));",
     "getnameinfo((struct sockaddr *)&any, sizeof any, text, sizeof text,\n"
     "            NULL, 0, 0);\n"
     "say(\"new\", text);"},
    {"inet_addr", "inet(3): to be avoided; in POSIX.1-2008 still",
     "an address and an error are the same number, -1; IPv4 only",
     "inet_pton(3)", "<arpa/inet.h>", "struct in_addr at;",
     "say(\"old\", inet_addr(\"255.255.255.255\") == INADDR_NONE\n"
     "               ? \"no address\"\n"
     "               : \"an address\");",
     "say(\"new\", inet_pton(AF_INET, \"255.255.255.255\", &at) != 1\n"
     "               ? \"no address\"\n"
     "               : \"an address\");"},
    {"inet_aton", "never in POSIX: inet(3)",
     "takes octal numbers, and what follows an address; IPv4 only",
     "inet_pton(3)", "<arpa/inet.h>", "struct in_addr at = {0};",
     "if (inet_aton(\"010.0.0.1 or so\", &at))\n"
     "    say(\"old\", inet_ntop(AF_INET, &at, text, sizeof text));",
     "say(\"new\", inet_pton(AF_INET, \"010.0.0.1 or so\", &at) != 1\n"
     "               ? \"no address\"\n"
     "               : \"an address\");"},
    {"inet_ntoa", "inet(3): deprecated; in POSIX.1-2008 still",
     "its second answer overwrites the first; IPv4 only", "inet_ntop(3)",
     "<arpa/inet.h>",
     "struct in_addr a = {htonl(0x01020304)}, b = {htonl(0x05060708)};",
     "char *first = inet_ntoa(a);\n"
     "inet_ntoa(b);\n"
     "say(\"old\", first);",
     "char other[INET_ADDRSTRLEN];\n"
     "inet_ntop(AF_INET, &a, text, sizeof text);\n"
     "inet_ntop(AF_INET, &b, other, sizeof other);\n"
     "say(\"new\", text);"},
    {"getservbyname", "alive, in POSIX.1-2008",
     "its second answer overwrites the first",
     "getaddrinfo(3), whose answer is yours", "<netdb.h>",
     "struct addrinfo *a, *b;",
     "struct servent *first = getservbyname(\"http\", \"tcp\");\n"
     "getservbyname(\"ssh\", \"tcp\");\n"
     "snprintf(text, sizeof text, \"http: %d\",\n"
     "         first != NULL ? ntohs(first->s_port) : 0);\n"
     "say(\"old\", text);",
     "if (getaddrinfo(NULL, \"http\", NULL, &a) == 0 &&\n"
     "    getaddrinfo(NULL, \"ssh\", NULL, &b) == 0 &&\n"
     "    getnameinfo(a->ai_addr, a->ai_addrlen, NULL, 0, text, sizeof text,\n"
     "                NI_NUMERICSERV) == 0)\n"
     "    printf(\"  new: http: %s\\n\", text);"},
    {"bzero", "POSIX.1-2001: legacy; POSIX.1-2008: removed",
     "does what memset does, where it is there", "memset(3)", "<strings.h>",
     "char bytes[] = \"bytes\";",
     "bzero(bytes, 1);\n"
     "say(\"old\", bytes + 1);",
     "memset(bytes, 0, 1);\n"
     "say(\"new\", bytes + 1);"},
    {"bcopy", "POSIX.1-2001: legacy; POSIX.1-2008: removed",
     "has memmove's arguments the other way round", "memmove(3)", "<strings.h>",
     "char to[] = \"nothing\", from[] = \"a copy\";",
     "bcopy(to, from, 7);\n"
     "say(\"old\", to);",
     "char here[8] = \"nothing\", there[] = \"a copy\";\n"
     "memmove(here, there, 7);\n"
     "say(\"new\", here);"},
    {"select", "alive, in POSIX.1-2008; select(2): use poll",
     "its sets have room for descriptors 0 to 1023, and nothing checks that",
     "poll(2)", "<poll.h>\n#include <sys/resource.h>\n#include <sys/select.h>",
     "int fd = 1024;",
     "snprintf(text, sizeof text, \"1024: byte %d of a set of %d\", fd / 8,\n"
     "         (int)sizeof(fd_set));\n"
     "say(\"old\", text);",
     "struct rlimit most;\n"
     "getrlimit(RLIMIT_NOFILE, &most);\n"
     "most.rlim_cur = most.rlim_max;\n"
     "setrlimit(RLIMIT_NOFILE, &most);\n"
     "dup2(1, fd);\n"
     "if (poll(&(struct pollfd){fd, POLLOUT, 0}, 1, 0) == 1)\n"
     "    say(\"new\", \"1024: ready\");"},
    {"usleep", "POSIX.1-2001: obsolescent; POSIX.1-2008: removed",
     "what is too much for 32 bits it forgets, without a word", "nanosleep(2)",
     "<time.h>", "time_t began = time(NULL);",
     "usleep((useconds_t)4294967297);\n"
     "say(\"old\", time(NULL) - began < 4000 ? \"71 minutes, over at once\"\n"
     "                                     : \"71 minutes\");",
     "say(\"new\", nanosleep(&(struct timespec){0, 1000000000}, NULL) == 0\n"
     "               ? \"slept\"\n"
     "               : strerror(errno));"},
    {"SSLv23_method", "OpenSSL 1.1.0",
     "was named for SSL 2 and 3, and is TLS_method by another name",
     "TLS_client_method(3), TLS_server_method(3)", "<openssl/ssl.h>", "",
     "say(\"old\", dlsym(RTLD_DEFAULT, \"SSLv23_method\") ? \"there\" : \"a "
     "macro\");",
     "say(\"new\", dlsym(RTLD_DEFAULT, \"TLS_method\") ? \"there\" : \"not "
     "there\");\n"
     "if (SSLv23_method() != TLS_method())\n"
     "    say(\"new\", \"and another\");"},
    {"TLSv1_method", "OpenSSL 1.1.0",
     "speaks TLS 1.0 and nothing else, however old the program grows",
     "TLS_client_method(3), and SSL_CTX_set_min_proto_version(3)",
     "<openssl/ssl.h>", "",
     "say(\"old\", SSL_get_version(SSL_new(SSL_CTX_new(TLSv1_method()))));",
     "say(\"new\", SSL_get_version(SSL_new(SSL_CTX_new(TLS_method()))));"},
    {"SSL_library_init", "OpenSSL 1.1.0, which begins by itself",
     "is a macro now: who looks for it at run time finds no TLS",
     "nothing at all", "<openssl/ssl.h>", "",
     "SSL_library_init();\n"
     "say(\"old\", dlsym(RTLD_DEFAULT, \"SSL_library_init\") ? \"there\" : \"a "
     "macro\");",
     "say(\"new\", SSL_CTX_new(TLS_method()) ? \"ready\" : \"not ready\");"},
    {"RAND_pseudo_bytes", "OpenSSL 1.1.0; Python 3.12",
     "could return bytes too weak for a key, as 0, and nobody looked",
     "RAND_bytes(3)", "<openssl/rand.h>", "unsigned char bytes[8];",
     "say(\"old\", RAND_pseudo_bytes(bytes, 8) ? \"bytes\" : \"weak bytes\");",
     "say(\"new\", RAND_bytes(bytes, 8) == 1 ? \"bytes\" : \"none\");"},
    {"RAND_egd", "OpenSSL 1.1.0 is built without it; Python 3.10",
     "asked a daemon for what every kernel has: lesson 12",
     "nothing: RAND_status(3) is 1", "<openssl/rand.h>", "",
     "say(\"old\", RAND_egd(\"/var/run/egd-pool\") < 0 ? \"none\" : "
     "\"bytes\");",
     "say(\"new\", RAND_status() == 1 ? \"seeded\" : \"not seeded\");"},
    {"ssl.wrap_socket", "Python 3.7; 3.10 warns, 3.12 has removed it",
     "verifies no chain unless told to, and no name: it has no parameter for "
     "it",
     "ssl.create_default_context().wrap_socket(sock, server_hostname=name)",
     NULL, NULL, NULL, NULL},
    {"socket.ssl", "Python 2.6; never in Python 3",
     "verifies nothing: no chain, and no name, for which it has no parameter",
     "what it advised, ssl.wrap_socket, is dead too: see there", NULL, NULL,
     NULL, NULL},
};

enum { NOTES = sizeof notes / sizeof *notes };

static inline void print_lines(const char *lines) {
    while (*lines != '\0') {
        int length = (int)strcspn(lines, "\n");
        (void)printf("        %.*s\n", length, lines);
        lines += length + (lines[length] == '\n');
    }
}

static inline void print_note(const struct note *note) {
    (void)printf("    /* %s\n     *   since    %s\n     *   why      %s\n"
                 "     *   instead  %s */\n",
                 note->name, note->since, note->why, note->instead);
    if (note->old == NULL)
        return; /* that was Python's */
    (void)printf("    puts(\"%s\");\n    {\n", note->name);
    print_lines(note->before);
    print_lines(note->old);
    print_lines(note->new);
    (void)puts("    }");
}

/* NULL when there is none of that name. */
static inline const struct note *find_note(const char *name) {
    for (int i = 0; i < NOTES; i++)
        if (strcmp(notes[i].name, name) == 0)
            return &notes[i];
    return NULL;
}

/* The note that is asked for at place i; NULL after the last. */
static inline const struct note *note_at(char *const *wanted, int i) {
    if (wanted[0] == NULL)
        return i < NOTES ? &notes[i] : NULL;
    return wanted[i] != NULL ? find_note(wanted[i]) : NULL;
}

/* Prints a program in C that runs the old and the new of each that is wanted,
 * up to a NULL; of all, if none is. Returns NULL; or a name that has no note,
 * and then nothing is printed. */
static inline const char *print_program(char *const *wanted) {
    const struct note *note;
    for (int i = 0; wanted[i] != NULL; i++)
        if (find_note(wanted[i]) == NULL)
            return wanted[i];
    (void)puts("#ifndef _POSIX_C_SOURCE\n"
               "#define _GNU_SOURCE\n"
               "#endif\n"
               "#include <arpa/inet.h>\n"
               "#include <dlfcn.h>\n"
               "#include <errno.h>\n"
               "#include <stdio.h>\n"
               "#include <string.h>\n"
               "#include <unistd.h>");
    for (int i = 0; (note = note_at(wanted, i)) != NULL; i++)
        if (note->header != NULL)
            (void)printf("#include %s\n", note->header);
    (void)puts("\nvoid say(const char *who, const char *what) {\n"
               "    printf(\"  %s: %s\\n\", who, what);\n"
               "}\n\n"
               "char text[64];\n\n"
               "int main(void) {");
    for (int i = 0; (note = note_at(wanted, i)) != NULL; i++)
        print_note(note);
    (void)puts("    return 0;\n}");
    return NULL;
}
