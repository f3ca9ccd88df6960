/*
 * Our program makes none of these calls. Here the calls are only text.
 * But tests/lessons/15-deprecated-api.bats compiles and runs every line of it,
 * and compares what the compiler and the linker say about it.
 *
 * Each note asks the old call and the new call the same question: for most, one
 * for which the old call has a wrong answer. The printed function say prints
 * the answers.
 */
#include "notes.h"

#include <stdio.h>
#include <string.h>

struct note {
    const char *name;
    const char *since;   /* since when the call is dead, and who says so */
    const char *why;     /* what is wrong with the call */
    const char *instead; /* what to call now */
    const char *header;  /* what it needs beyond the headers in `beginning` */
    const char *before;  /* declarations for old and new; may be empty */
    const char *old;     /* statements; NULL for a function of Python */
    const char *new;     /* statements; likewise */
};

static const struct note notes[] = {
    {
        .name = "gethostbyname",
        .since = "POSIX.1-2001: obsolescent; POSIX.1-2008: removed",
        .why = "it knows IPv4 only; all its answers are in one buffer",
        .instead = "getaddrinfo(3)",
        .header = "<netdb.h>",
        .before = "struct addrinfo *list;",
        .old = "if (gethostbyname(\"::1\") != NULL)\n"
               "    say(\"old\", \"::1 is an address\");\n"
               "else\n"
               "    say(\"old\", hstrerror(h_errno));",
        .new = "if (getaddrinfo(\"::1\", NULL, NULL, &list) == 0)\n"
               "    say(\"new\", \"::1 is an address\");",
    },
    {
        .name = "gethostbyaddr",
        .since = "POSIX.1-2001: obsolescent; POSIX.1-2008: removed",
        .why = "an address without a name is an error; one buffer for all",
        .instead = "getnameinfo(3)",
        .header = "<netdb.h>",
        .before = "struct sockaddr_in6 any = {.sin6_family = AF_INET6};",
        .old = "if (gethostbyaddr(&any.sin6_addr, 16, AF_INET6) != NULL)\n"
               "    say(\"old\", \"a name\");\n"
               "else\n"
               "    say(\"old\", hstrerror(h_errno));",
        .new = "if (getnameinfo((struct sockaddr *)&any, sizeof any, text,\n"
               "                sizeof text, NULL, 0, 0) == 0)\n"
               "    say(\"new\", text);",
    },
    {
        .name = "inet_addr",
        .since = "inet(3): to be avoided; still in POSIX.1-2008",
        .why = "its error, -1, is also an address; IPv4 only",
        .instead = "inet_pton(3)",
        .before = "struct in_addr at;",
        .old = "if (inet_addr(\"255.255.255.255\") == INADDR_NONE)\n"
               "    say(\"old\", \"no address\");",
        .new = "if (inet_pton(AF_INET, \"255.255.255.255\", &at) == 1)\n"
               "    say(\"new\", \"an address\");",
    },
    {
        .name = "inet_aton",
        .since = "inet(3): never in POSIX",
        .why = "it takes octal numbers, and text after a blank; IPv4 only",
        .instead = "inet_pton(3)",
        .before = "struct in_addr at = {0};",
        .old = "if (inet_aton(\"010.0.0.1 or so\", &at) != 0)\n"
               "    say(\"old\", inet_ntop(AF_INET, &at, text, sizeof text));",
        .new = "if (inet_pton(AF_INET, \"010.0.0.1 or so\", &at) != 1)\n"
               "    say(\"new\", \"no address\");",
    },
    {
        .name = "inet_ntoa",
        .since = "inet(3): deprecated; still in POSIX.1-2008",
        .why = "its second answer overwrites the first; IPv4 only",
        .instead = "inet_ntop(3)",
        .before = "struct in_addr a = {htonl(0x01020304)};\n"
                  "struct in_addr b = {htonl(0x05060708)};",
        .old = "char *first = inet_ntoa(a);\n"
               "inet_ntoa(b);\n"
               "say(\"old\", first);",
        .new = "char other[INET_ADDRSTRLEN];\n"
               "inet_ntop(AF_INET, &a, text, sizeof text);\n"
               "inet_ntop(AF_INET, &b, other, sizeof other);\n"
               "say(\"new\", text);",
    },
    {
        .name = "getservbyname",
        .since = "it is not dead: it is in POSIX.1-2008",
        .why = "its second answer overwrites the first",
        .instead = "getaddrinfo(3): its answer is yours until you free it",
        .header = "<netdb.h>",
        .before = "struct addrinfo *a;\n"
                  "struct addrinfo *b;",
        .old = "struct servent *first = getservbyname(\"http\", \"tcp\");\n"
               "getservbyname(\"ssh\", \"tcp\");\n"
               "if (first != NULL) {\n"
               "    snprintf(text, sizeof text, \"http: %d\",\n"
               "             ntohs((unsigned short)first->s_port));\n"
               "    say(\"old\", text);\n"
               "}",
        .new = "int a_error = getaddrinfo(NULL, \"http\", NULL, &a);\n"
               "int b_error = getaddrinfo(NULL, \"ssh\", NULL, &b);\n"
               "if (a_error == 0 && b_error == 0) {\n"
               "    getnameinfo(a->ai_addr, a->ai_addrlen, NULL, 0, text,\n"
               "                sizeof text, NI_NUMERICSERV);\n"
               "    printf(\"  new: http: %s\\n\", text);\n"
               "}",
    },
    {
        .name = "bzero",
        .since = "POSIX.1-2001: legacy; POSIX.1-2008: removed",
        .why = "memset does the same, on every system",
        .instead = "memset(3)",
        .header = "<strings.h>",
        .before = "char bytes[] = \"bytes\";",
        .old = "bzero(bytes, 1);\n"
               "if (bytes[0] == 0)\n"
               "    say(\"old\", \"one byte is 0\");",
        .new = "memset(bytes, 0, 1);\n"
               "if (bytes[0] == 0)\n"
               "    say(\"new\", \"one byte is 0\");",
    },
    {
        .name = "bcopy",
        .since = "POSIX.1-2001: legacy; POSIX.1-2008: removed",
        .why = "its arguments are in the other order than memmove's",
        .instead = "memmove(3)",
        .header = "<strings.h>",
        .before = "char to[] = \"nothing\";\n"
                  "char from[] = \"a copy\";",
        .old = "bcopy(to, from, 7);\n"
               "say(\"old\", to);",
        .new = "char here[8] = \"nothing\";\n"
               "char there[] = \"a copy\";\n"
               "memmove(here, there, 7);\n"
               "say(\"new\", here);",
    },
    {
        .name = "select",
        .since = "it is not dead, but select(2) says: use poll",
        .why = "its sets have room for descriptors 0 to 1023 only",
        .instead = "poll(2)",
        .header = "<poll.h>\n"
                  "#include <sys/resource.h>\n"
                  "#include <sys/select.h>",
        .before = "int fd = 1024;",
        .old = "snprintf(text, sizeof text, \"1024: byte %d of a set of %d\",\n"
               "         fd / 8, (int)sizeof(fd_set));\n"
               "say(\"old\", text);",
        .new = "struct rlimit most;\n"
               "getrlimit(RLIMIT_NOFILE, &most);\n"
               "most.rlim_cur = most.rlim_max;\n"
               "setrlimit(RLIMIT_NOFILE, &most);\n"
               "dup2(1, fd);\n"
               "struct pollfd waiting = {.fd = fd, .events = POLLOUT};\n"
               "if (poll(&waiting, 1, 0) == 1 && waiting.revents == POLLOUT)\n"
               "    say(\"new\", \"1024: ready\");",
    },
    {
        .name = "usleep",
        .since = "POSIX.1-2001: obsolete; POSIX.1-2008: removed",
        .why = "a number with more than 32 bits is cut, without a word",
        .instead = "nanosleep(2)",
        .header = "<time.h>",
        .before = "time_t began = time(NULL);\n"
                  "struct timespec too_much = {0, 1000000000};",
        .old = "usleep((useconds_t)4294967297);\n"
               "if (time(NULL) - began < 4000)\n"
               "    say(\"old\", \"71 minutes, over at once\");",
        .new = "if (nanosleep(&too_much, NULL) < 0)\n"
               "    say(\"new\", strerror(errno));",
    },
    {
        .name = "SSLv23_method",
        .since = "OpenSSL 1.1.0",
        .why = "it is only another name for TLS_method, and a wrong one",
        .instead = "TLS_client_method(3), TLS_server_method(3)",
        .header = "<openssl/ssl.h>",
        .before = "",
        .old = "if (dlsym(RTLD_DEFAULT, \"SSLv23_method\") == NULL)\n"
               "    say(\"old\", \"a macro\");",
        .new = "if (dlsym(RTLD_DEFAULT, \"TLS_method\") != NULL &&\n"
               "    SSLv23_method() == TLS_method())\n"
               "    say(\"new\", \"there\");",
    },
    {
        .name = "TLSv1_method",
        .since = "OpenSSL 1.1.0",
        .why = "it speaks TLS 1.0 and nothing else, for ever",
        .instead = "TLS_client_method(3), SSL_CTX_set_min_proto_version(3)",
        .header = "<openssl/ssl.h>",
        .before = "",
        .old = "SSL_CTX *one = SSL_CTX_new(TLSv1_method());\n"
               "if (one != NULL)\n"
               "    say(\"old\", SSL_get_version(SSL_new(one)));\n"
               "else\n"
               "    say(\"old\", \"not in this OpenSSL\");",
        .new = "SSL_CTX *all = SSL_CTX_new(TLS_method());\n"
               "if (all != NULL)\n"
               "    say(\"new\", SSL_get_version(SSL_new(all)));",
    },
    {
        .name = "SSL_library_init",
        .since = "OpenSSL 1.1.0, which needs no such call any more",
        .why = "it is a macro now, so a search for it at run time fails",
        .instead = "nothing at all",
        .header = "<openssl/ssl.h>",
        .before = "",
        .old = "SSL_library_init();\n"
               "if (dlsym(RTLD_DEFAULT, \"SSL_library_init\") == NULL)\n"
               "    say(\"old\", \"a macro\");",
        .new = "if (SSL_CTX_new(TLS_method()) != NULL)\n"
               "    say(\"new\", \"ready\");",
    },
    {
        .name = "RAND_pseudo_bytes",
        .since = "OpenSSL 1.1.0; Python 3.12",
        .why = "it may return bytes that are too weak for a key",
        .instead = "RAND_bytes(3)",
        .header = "<openssl/rand.h>",
        .before = "unsigned char bytes[8];",
        .old = "if (RAND_pseudo_bytes(bytes, 8) == 1)\n"
               "    say(\"old\", \"bytes\");\n"
               "else\n"
               "    say(\"old\", \"weak bytes\");",
        .new = "if (RAND_bytes(bytes, 8) == 1)\n"
               "    say(\"new\", \"bytes\");\n"
               "else\n"
               "    say(\"new\", \"none\");",
    },
    {
        .name = "RAND_egd",
        .since = "OpenSSL 1.1.0 is built without it; Python 3.10",
        .why = "it asks a daemon for what every kernel has (lesson 12)",
        .instead = "nothing: RAND_status(3) returns 1",
        .header = "<openssl/rand.h>",
        .before = "int RAND_egd(const char *path);",
        .old = "if (RAND_egd(\"/var/run/egd-pool\") < 0)\n"
               "    say(\"old\", \"none\");",
        .new = "if (RAND_status() == 1)\n"
               "    say(\"new\", \"seeded\");",
    },
    {
        .name = "ssl.wrap_socket",
        .since = "Python 3.7; 3.10 warns; 3.12 has removed it",
        .why = "it has no argument for the server's name",
        .instead = "ssl.create_default_context().wrap_socket(...)",
    },
    {
        .name = "socket.ssl",
        .since = "Python 2.6; never in Python 3",
        .why = "it asks for no proof, and has no argument for the name",
        .instead = "not ssl.wrap_socket, which it advises: see there",
    },
};

enum { NOTES = sizeof notes / sizeof *notes };

/* The printed program begins with this. Whoever compiles it for POSIX alone
 * gets POSIX alone. */
static const char beginning[] = "#ifndef _POSIX_C_SOURCE\n"
                                "#define _GNU_SOURCE\n"
                                "#endif\n"
                                "#include <arpa/inet.h>\n"
                                "#include <dlfcn.h>\n"
                                "#include <errno.h>\n"
                                "#include <stdio.h>\n"
                                "#include <string.h>\n"
                                "#include <unistd.h>\n";

static const char main_begins[] =
    "\nvoid say(const char *which, const char *what) {\n"
    "    printf(\"  %s: %s\\n\", which, what);\n"
    "}\n\n"
    "char text[64];\n\n"
    "int main(void) {\n";

static const char main_ends[] = "    return 0;\n}\n";

/* Prints each line of the text with eight blanks before it. */
static void print_lines(const char *text) {
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        printf("        %.*s\n", (int)length, text);
        text += length;
        if (*text == '\n')
            text++;
    }
}

static void print_header(const struct note *note) {
    if (note->header != NULL)
        printf("#include %s\n", note->header);
}

static void print_note(const struct note *note) {
    printf("    /* %s\n", note->name);
    printf("     *   since    %s\n", note->since);
    printf("     *   why      %s\n", note->why);
    printf("     *   instead  %s */\n", note->instead);
    if (note->old == NULL)
        return;
    printf("    puts(\"%s\");\n    {\n", note->name);
    print_lines(note->before);
    print_lines(note->old);
    print_lines(note->new);
    puts("    }");
}

/* Returns the note on that name, or NULL. */
static const struct note *find_note(const char *name) {
    for (int i = 0; i < NOTES; i++) {
        if (strcmp(notes[i].name, name) == 0)
            return &notes[i];
    }
    return NULL;
}

/* Calls print for each note that is wanted: for the notes on these names, in
 * this order. Without names, all notes are wanted. */
static void print_wanted(char *const *names,
                         void (*print)(const struct note *)) {
    int all_are_wanted = names[0] == NULL;
    if (all_are_wanted) {
        for (int i = 0; i < NOTES; i++)
            print(&notes[i]);
        return;
    }
    for (int i = 0; names[i] != NULL; i++) {
        const struct note *note = find_note(names[i]);
        if (note != NULL)
            print(note);
    }
}

const char *notes_print_program(char *const *names) {
    for (int i = 0; names[i] != NULL; i++) {
        if (find_note(names[i]) == NULL)
            return names[i];
    }

    printf("%s", beginning);
    print_wanted(names, print_header);
    printf("%s", main_begins);
    print_wanted(names, print_note);
    printf("%s", main_ends);
    return NULL;
}
