/*
 * forbid: runs a command for which some system calls are forbidden, as the
 * seccomp profile of a container forbids them.
 *
 *     forbid CALL[,CALL...] COMMAND [ARGUMENT...]
 *
 * CALL is one of the table below: for the command, and for all that it
 * starts, that call fails with EPERM. Ends with status 77 where the kernel does
 * not allow such a filter, and with 127 if the command cannot be run.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A C library older than the kernel doesn't know its number. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

enum { NOT_ALLOWED = 77, CANNOT_RUN = 127 };

/* One instruction for the kernel's filter of calls, and a program of them. They
 * are as in linux/filter.h, which not every C library comes with. */
struct instruction {
    // cppcheck-suppress unusedStructMember
    uint16_t code;
    // cppcheck-suppress unusedStructMember
    uint8_t if_true; /* how many instructions to skip */
    // cppcheck-suppress unusedStructMember
    uint8_t if_false; /* likewise */
    // cppcheck-suppress unusedStructMember
    uint32_t value;
};

struct program {
    // cppcheck-suppress unusedStructMember
    unsigned short length; /* in instructions */
    // cppcheck-suppress unusedStructMember
    const struct instruction *first;
};

/* From linux/filter.h and linux/seccomp.h. */
enum {
    LOAD_WORD = 0x20,
    JUMP_IF_EQUAL = 0x15,
    RETURN = 0x06,
    CALL_NUMBER = 0,   /* where it is in struct seccomp_data */
    FAIL = 0x00050000, /* SECCOMP_RET_ERRNO, with the errno in the low bits */
    ALLOW = 0x7fff0000,
    FILTER_MODE = 2, /* SECCOMP_MODE_FILTER */
};

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
#ifdef SYS_accept
    {"accept", SYS_accept},
#endif
    {"accept4", SYS_accept4},
    {"io_uring_setup", SYS_io_uring_setup},
    {"openat2", SYS_openat2},
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"process_vm_readv", SYS_process_vm_readv},
#ifdef SYS_readlink /* newer architectures have only readlinkat */
    {"readlink", SYS_readlink},
#endif
    {"readlinkat", SYS_readlinkat},
    {"recvfrom", SYS_recvfrom},
    {"recvmsg", SYS_recvmsg},
    {"sendmsg", SYS_sendmsg},
    {"sendto", SYS_sendto},
};

static unsigned number_of(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    errx(2, "no such call: %s", name);
}

/* Makes one call fail from now on. Several filters may be installed. */
static void forbid(unsigned number) {
    const struct instruction instructions[] = {
        {LOAD_WORD, 0, 0, CALL_NUMBER},
        {JUMP_IF_EQUAL, 0, 1, number},
        {RETURN, 0, 0, FAIL | EPERM},
        {RETURN, 0, 0, ALLOW},
    };
    struct program program = {sizeof instructions / sizeof instructions[0],
                              instructions};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, FILTER_MODE, &program, 0, 0) < 0)
        err(NOT_ALLOWED, "seccomp");
}

int main(int argc, char **argv) {
    if (argc < 3)
        errx(2, "usage: forbid CALL[,CALL...] COMMAND [ARGUMENT...]");
    char *name = strtok(argv[1], ",");
    while (name != NULL) {
        forbid(number_of(name));
        name = strtok(NULL, ",");
    }
    (void)execvp(argv[2], argv + 2);
    err(CANNOT_RUN, "%s", argv[2]);
}
