/*
 * A right answer in the style of stdio: the socket is a FILE, and one byte is
 * read and written at a time.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns the port that the text names, or -1. */
static int parse_port(const char *text) {
    size_t digits = strspn(text, "0123456789");
    int is_number = digits > 0 && text[digits] == '\0';
    if (!is_number)
        return -1;
    long port = strtol(text, NULL, 10);
    if (port < 1 || port > 65535)
        return -1;
    return (int)port;
}

static FILE *open_connection(struct in_addr address, int port) {
    struct sockaddr_in server = {.sin_family = AF_INET};
    server.sin_addr = address;
    server.sin_port = htons((in_port_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        return NULL;
    return fdopen(fd, "r");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s ADDRESS PORT\n", argv[0]);
        return 2;
    }
    struct in_addr address;
    int is_address = inet_pton(AF_INET, argv[1], &address) == 1;
    int port = parse_port(argv[2]);
    if (!is_address || port < 0) {
        fputs("this is not an address and a port\n", stderr);
        return 1;
    }
    (void)signal(SIGPIPE, SIG_IGN);

    FILE *server = open_connection(address, port);
    if (server == NULL) {
        perror("no connection");
        return 1;
    }
    unsigned long count = 0;
    int byte = getc(server);
    while (byte != EOF) {
        count++;
        if (putchar(byte) == EOF) {
            perror("output");
            return 1;
        }
        byte = getc(server);
    }
    /* errno is still that of the last getc: no other call has failed since. */
    int error = 0;
    if (ferror(server))
        error = errno;
    if (fflush(stdout) == EOF) {
        perror("output");
        return 1;
    }
    if (error != 0) {
        fprintf(stderr, "reading: %s\n", strerror(error));
        return 1;
    }
    fprintf(stderr, "%lu bytes\n", count);
    (void)fclose(server); /* it was only read */
    return 0;
}
