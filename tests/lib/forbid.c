/*
 * forbid: runs a command for which some system calls are forbidden, as the
 * seccomp profile of a container forbids them.
 *
 *     forbid CALL[,CALL...] COMMAND [ARGUMENT...]
 *
 * CALL is pidfd_getfd or process_vm_readv: for the command, and for all that it
 * starts, that call fails with EPERM. Ends with status 77 where the kernel does
 * not allow such a filter, and with 127 if the command cannot be run.
 */
#define _GNU_SOURCE

#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOT_ALLOWED = 77, CANNOT_RUN = 127 };

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"pidfd_getfd", SYS_pidfd_getfd},
    {"process_vm_readv", SYS_process_vm_readv},
};

static unsigned number_of(const char *name) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    errx(2, "no such call: %s", name);
}

/* Makes one call fail from now on. Several filters may be installed. */
static void forbid(unsigned number) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
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
