/*
 * proc: what the files of /proc tell of another process's sockets (proc(5)).
 * Built by lesson 36, for systems that do not let us borrow a descriptor, and
 * for connections that have none any more.
 */
#ifndef XRAY_PROC_H
#define XRAY_PROC_H

#include <sys/types.h>

#include "endpoint.h"

/*
 * Reads what descriptor fd of a process is. Less is known than from the socket
 * itself: window and round_trip are 0, and a socket of a family that has no
 * file there has only its inode. Returns 0, or -1 if it is not a socket.
 */
int proc_read(pid_t process, int fd, struct endpoint *endpoint);

/* The number of the file that descriptor fd of a process is a socket of; 0 if
 * it is not a socket. */
uint64_t proc_inode(pid_t process, int fd);

/* Tries whether /proc tells what descriptors are, by one of our own. Returns 0,
 * or -1 and errno. */
int proc_try(void);

/* Whether the kernel does not let us see a process's descriptors. It hides
 * those of a program whose file we may not read, and of one that has asked for
 * that (PR_SET_DUMPABLE in prctl(2)), and its memory as well. */
bool proc_is_hidden(pid_t process);

/* What a descriptor of a process is that is not of a socket, in a word: "file"
 * or "pipe", or "" for anything else. */
const char *proc_describe(pid_t process, int fd);

/* Whether any descriptor of a process is the socket of that number. */
bool proc_holds(pid_t process, uint64_t inode);

/* The state of a TCP connection between the same two ends, also one that no
 * descriptor belongs to any more; 0 if there is none. */
unsigned proc_state(const struct endpoint *endpoint);

#endif
