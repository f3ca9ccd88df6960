/*
 * constant: the names that the headers of C have for numbers: AF_INET, EAGAIN,
 * MSG_PEEK. Built by lesson 36.
 */
#ifndef XRAY_CONSTANT_H
#define XRAY_CONSTANT_H

#include <stdio.h>

/* Which names: the same number means something else in each group. */
enum constant_group {
    CONSTANT_DOMAIN,        /* of socket(2): AF_INET */
    CONSTANT_TYPE,          /* SOCK_STREAM, without the flags beside it */
    CONSTANT_TYPE_FLAG,     /* SOCK_CLOEXEC and SOCK_NONBLOCK */
    CONSTANT_MESSAGE_FLAG,  /* of send(2) and recv(2): MSG_PEEK */
    CONSTANT_SPLICE_FLAG,   /* of splice(2): SPLICE_F_MOVE */
    CONSTANT_SHUTDOWN,      /* SHUT_WR */
    CONSTANT_LEVEL,         /* of setsockopt(2): IPPROTO_TCP */
    CONSTANT_SOCKET_OPTION, /* at the level SOL_SOCKET: SO_REUSEADDR */
    CONSTANT_TCP_OPTION,
    CONSTANT_IP_OPTION,
    CONSTANT_IPV6_OPTION,
    CONSTANT_PACKET_OPTION,
    CONSTANT_POLL_EVENT,    /* POLLIN */
    CONSTANT_EPOLL_EVENT,   /* EPOLLIN */
    CONSTANT_EPOLL_FLAG,    /* of epoll_create1(2): EPOLL_CLOEXEC */
    CONSTANT_EPOLL_COMMAND, /* EPOLL_CTL_ADD */
    CONSTANT_FCNTL_COMMAND, /* F_SETFL */
    CONSTANT_FILE_FLAG,     /* O_NONBLOCK */
    CONSTANT_IOCTL_REQUEST, /* FIONREAD */
    CONSTANT_ERROR,         /* of errno(3): EAGAIN */
};

/* Writes the name of value, or value as a decimal number if it has none. */
void constant_write(FILE *out, enum constant_group group, unsigned value);

/*
 * Writes the names of all flags that are set in value: before the first of them
 * the text `first`, before each other one "|". Flags without a name follow as
 * one hexadecimal number. Writes nothing, not even first, if value is 0.
 */
void constant_write_flags(FILE *out, enum constant_group group, unsigned value,
                          const char *first);

#endif
