/*
 * A right answer with calls that block: a timer sends SIGALRM at the deadline,
 * and its handler ends the program.
 */
#define _GNU_SOURCE

#include "addr.h"
#include "deadline.h"

#include <err.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void give_up(int signal_number) {
    static const char text[] = "08-ssl-wrap: the deadline has passed\n";
    (void)signal_number;
    /* gcc wants the result of write to be used. But the program ends anyway. */
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    _exit(1);
}

static _Noreturn void usage(void) {
    fputs("usage: 08-ssl-wrap [-t SECONDS] CAFILE NAME HOST PORT\n", stderr);
    exit(2);
}

static _Noreturn void fail(const char *call) {
    ERR_print_errors_fp(stderr);
    errx(1, "%s failed", call);
}

static int connect_to(const char *host, const char *port) {
    struct addrinfo *list;
    int error = addr_resolve(host, port, AF_UNSPEC, SOCK_STREAM, &list);
    if (error != 0)
        errx(1, "%s: %s", host, gai_strerror(error));
    for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            err(1, "socket");
        if (connect(fd, at->ai_addr, at->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        warn("connect");
        close(fd);
    }
    exit(1);
}

static SSL *make_ssl(const char *ca_file, char *name) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        fail("SSL_CTX_new");
    if (SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1)
        fail(ca_file);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL *ssl = SSL_new(context);
    if (ssl == NULL)
        fail("SSL_new");
    /* An address is compared with the addresses in the certificate. */
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return ssl;
    if (name[0] == '\0' || name[0] == '.')
        errx(1, "'%s' is no name", name);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (SSL_set1_host(ssl, name) != 1)
        fail("SSL_set1_host");
    if (SSL_set_tlsext_host_name(ssl, name) != 1)
        fail("SSL_set_tlsext_host_name");
    return ssl;
}

static void send_all(SSL *ssl) {
    char bytes[10000];
    for (;;) {
        ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            return;
        if (SSL_write(ssl, bytes, (int)got) <= 0)
            fail("SSL_write");
    }
}

static void print_all(SSL *ssl) {
    char bytes[10000];
    for (;;) {
        int got = SSL_read(ssl, bytes, sizeof bytes);
        if (got <= 0) {
            if (SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN)
                return; /* close_notify has come */
            fail("SSL_read");
        }
        if (fwrite(bytes, (size_t)got, 1, stdout) != 1)
            err(1, "standard output");
        if (fflush(stdout) == EOF)
            err(1, "standard output");
    }
}

int main(int argc, char **argv) {
    int milliseconds = 10000;
    for (;;) {
        int option = getopt(argc, argv, "+t:");
        if (option == -1)
            break;
        if (option != 't')
            usage();
        if (deadline_parse(optarg, strlen(optarg), &milliseconds) < 0)
            errx(1, "%s: no number of seconds", optarg);
    }
    if (argc != optind + 4)
        usage();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, give_up);
    struct itimerval timer = {0};
    timer.it_value.tv_sec = milliseconds / 1000;
    timer.it_value.tv_usec = (milliseconds % 1000) * 1000L;
    setitimer(ITIMER_REAL, &timer, NULL);

    SSL *ssl = make_ssl(argv[optind], argv[optind + 1]);
    int fd = connect_to(argv[optind + 2], argv[optind + 3]);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        fail("SSL_connect");

    send_all(ssl);
    print_all(ssl);
    SSL_shutdown(ssl);
    close(fd);
    return 0;
}
