#!/usr/bin/env bats
# 14-import-cycle: two modules that need each other, and when; and three states
# of them in folders of their own, of which two don't compile.

load ../lib/common

# Its twin prints less of this, and more of Python's own: see the end.

cycle=$BUILD/14-import-cycle
folder=lessons/14-import-cycle
said='main: a socket; 8 threads call socket_ssl
ssl: my body runs
main: 8 have it wrapped\n'

@test "14-import-cycle runs ssl's body at the first call, and once for all" {
    local i
    for i in 1 2 3 4 5; do
        try "$cycle"
        expect_result 0 ""
        expect_output --text "$said"
    done
}

@test "14-import-cycle explains itself when asked, and when called wrongly" {
    local usage="usage: 14-import-cycle"
    try "$cycle" -h
    expect_result 0 ""
    expect_output --text "$usage\n"
    try "$cycle" more
    expect_result 2 "$usage"
    expect_output --text ''
    try "$cycle" -h more
    expect_result 2 "$usage"
}

# each_compiler FUNCTION: calls it with compiler set to each that there is, and
# here to a folder for what it builds.
each_compiler() {
    local compiler
    skip_unless gcc
    for compiler in gcc clang; do
        command -v "$compiler" >/dev/null || continue
        here=$BATS_TEST_TMPDIR/$compiler
        mkdir "$here"
        echo "with $compiler:" >&2
        "$1"
    done
}

# compile ARGUMENT...: every warning is an error.
compile() {
    "$compiler" -std=gnu17 -Wall -Wextra -Wpedantic -Werror "$@" 2>&1
}

# includes FOLDER HEADER...: compiles a file that includes these headers.
includes() {
    printf '#include "%s"\n' "${@:2}" >"$here/includes.c"
    compile -I"$1" -fsyntax-only "$here/includes.c"
}

headers() {
    local words header state
    for header in socket.h ssl.h; do
        ! words=$(includes "$folder/cycle" "$header") || false
        [[ $words == *nested* ]] || { echo "$words" >&2 && false; }
    done
    # With guards the first one decides.
    expect_equal "ssl.h first" "" "$(includes "$folder/guards" ssl.h socket.h)"
    for header in socket.h "socket.h ssl.h"; do
        # shellcheck disable=SC2086 # these are words
        ! words=$(includes "$folder/guards" $header) || false
        [[ $words == *"ssl.h:6:"*"error: field "*"incomplete type"* ]] ||
            { echo "$words" >&2 && false; }
    done
    for state in "$folder/linked" "$folder"; do
        for header in socket.h ssl.h "socket.h ssl.h" "ssl.h socket.h"; do
            # shellcheck disable=SC2086 # these are words
            expect_equal "$state, $header" "" "$(includes "$state" $header)"
        done
    done
}

@test "14-import-cycle's headers: a cycle, guards that hide it, a declaration" {
    each_compiler headers
}

linked() {
    local words
    compile -o "$here/linked" "$folder"/linked/*.c
    try "$here/linked"
    expect_result 0 ""
    expect_output --text 'ssl: my body runs
main: a socket; I call socket_ssl
main: I have it wrapped\n'
    ! words=$(compile -o "$here/linked" "$folder"/linked/{main,socket}.c) || false
    [[ $words == *"undefined reference to "*ssl_wrap* ]]
    # The linker does not compare what the two files say of a function.
    compile -I"$folder/linked" -o "$here/copied" "$folder/copied/socket.c" \
        "$folder"/linked/{main,ssl}.c
    try "$here/copied"
    expect_result 1 "copied: socket_ssl: Bad file descriptor"
}

called() {
    local words
    # The order in which the files are linked does not matter.
    compile -o "$here/called" "$folder"/{import-cycle,ssl,socket}.c
    try "$here/called"
    expect_result 0 ""
    expect_output --text "$said"
    # Without ssl, only socket_ssl fails.
    compile -o "$here/without" "$folder"/{import-cycle,socket}.c
    try "$here/without"
    expect_equal status 1 "$status"
    expect_equal errors 8 \
        "$(grep -c "^without: socket_ssl: Function not implemented$" \
            "$BATS_TEST_TMPDIR/err")"
    expect_output --text 'main: a socket; 8 threads call socket_ssl
main: 0 have it wrapped\n'
}

@test "14-import-cycle's modules: bound by the linker, or at the first call" {
    [[ $BUILD != *asan* ]] || skip "these are built without the sanitizers"
    each_compiler linked
    rm -r "$BATS_TEST_TMPDIR"/{gcc,clang} 2>/dev/null || true
    each_compiler called
}

# preload [CALL PARAMETERS]: a library of calls that fail, CALL always, the
# others where a variable says so; it tells of sleeping and of what is freed.
preload() {
    need_faults
    cat >"$BATS_TEST_TMPDIR/calls.c" <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int socket(int family, int type, int protocol) {
    if ((type & SOCK_CLOEXEC) == 0) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_socket, family,
                        getenv("DATAGRAM") ? SOCK_DGRAM : type, protocol);
}
int nanosleep(const struct timespec *time, struct timespec *left) {
    char text[] = "slept 0 ms\n";
    (void)left;
    text[6] = (char)('0' + time->tv_nsec / 10000000);
    return write(2, text, strlen(text)) < 0;
}
/* A block of four bytes is a wrapped socket: a descriptor of its own. */
static void *_Atomic blocks[64];
static atomic_int count;
void *__libc_malloc(size_t);
void __libc_free(void *);
void *malloc(size_t size) {
    if (size != sizeof(int))
        return __libc_malloc(size);
    if (getenv("NO_MEMORY")) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = __libc_malloc(size);
    *(int *)block = -1;
    return blocks[count++] = block;
}
void free(void *block) {
    for (int i = 0; i < count; i++)
        if (block != NULL && blocks[i] == block && fcntl(*(int *)block, F_GETFD) >= 0)
            blocks[i] = NULL;
    __libc_free(block);
}
__attribute__((destructor)) static void tell(void) {
    for (int i = 0; i < count; i++)
        if (blocks[i] != NULL)
            puts("a block was not freed, or had no descriptor in it");
}
END
    if [[ -n ${1-} ]]; then
        printf 'int %s(%s) { return EAGAIN; }\n' "$1" "$2" \
            >>"$BATS_TEST_TMPDIR/calls.c"
    fi
    cc -w -shared -fPIC -o "$BATS_TEST_TMPDIR/calls.so" "$BATS_TEST_TMPDIR/calls.c"
    faulty=(env "LD_PRELOAD=$BATS_TEST_TMPDIR/calls.so")
}

@test "14-import-cycle wraps a stream, and nothing else, and frees it" {
    local faulty fault
    preload
    try "${faulty[@]}" "$cycle"
    expect_result 0 "slept 2 ms" # tens of them, once
    expect_output --text "$said"
    for fault in "DATAGRAM:Protocol wrong type for socket" \
        "NO_MEMORY:Cannot allocate memory"; do
        try "${faulty[@]}" "${fault%:*}=1" "$cycle"
        expect_equal status 1 "$status"
        expect_equal "${fault%:*}" 8 "$(grep -c "^14-import-cycle: socket_ssl: \
${fault#*:}$" "$BATS_TEST_TMPDIR/err")"
        tail -n 1 "$OUT" | grep -qx "main: 0 have it wrapped"
    done
}

@test "14-import-cycle names the call that failed, and why" {
    local call faulty
    preload pthread_create 'pthread_t *a, const pthread_attr_t *b, void *(*c)(void *), void *d'
    try "${faulty[@]}" "$cycle"
    expect_result 1 \
        "14-import-cycle: pthread_create: Resource temporarily unavailable"
    preload pthread_join 'pthread_t a, void **b'
    try "${faulty[@]}" "$cycle"
    expect_equal status 1 "$status"
    [[ $errors == *"14-import-cycle: pthread_join: Resource temporarily"* ]] ||
        { echo "$errors" >&2 && false; }
    need_faults
    for call in socket close; do
        try "${faulty[@]}" FAULT_CALL="$call" FAULT_ERRNO=5 "$cycle"
        expect_result 1 "14-import-cycle: $call: Input/output error"
    done
    try "${faulty[@]}" FAULT_CALL=getsockopt FAULT_ERRNO=5 FAULT_TIMES=8 "$cycle"
    expect_equal status 1 "$status"
    expect_equal errors 8 \
        "$(grep -c "^14-import-cycle: socket_ssl: Input/output error$" \
            "$BATS_TEST_TMPDIR/err")"
}

@test "14-import-cycle says so when standard output is full, gone or closed" {
    run -1 --separate-stderr bounded bash -c 'exec "$@" >/dev/full' - "$cycle"
    expect_equal full \
        "14-import-cycle: standard output: No space left on device" \
        "$stderr"
    run -1 --separate-stderr bounded bash -c '
        exec 7> >(:)
        wait $!
        exec "$@" >&7' - "$cycle"
    expect_equal gone "14-import-cycle: standard output: Broken pipe" "$stderr"
    run -1 --separate-stderr bounded bash -c 'exec "$@" >&-' - "$cycle"
    expect_equal closed "14-import-cycle: descriptor 1: Bad file descriptor" \
        "$stderr"
    run -1 bounded bash -c 'exec "$@" 2>&-' - "$cycle"
}

@test "14-import-cycle's twin in Python meets a module that is half there" {
    skip_unless python3
    try python3 lessons/14-import-cycle/twin.py
    expect_result 0 ""
    expect_output --text "import at the top, plain first:
cannot import name 'Socket' from partially initialized module 'plain'
import at the top, wrapped first:
the body of wrapped runs
import inside the function:
plain is imported
the body of wrapped runs
ssl() returns the same class twice: True\n"
}

@test "Python runs a module once, when eight threads import it at the same moment" {
    skip_unless python3
    printf '%s\n' 'import time' 'print("body")' 'time.sleep(0.05)' 'ready = 1' \
        >"$BATS_TEST_TMPDIR/slow.py"
    try env PYTHONPATH="$BATS_TEST_TMPDIR" PYTHONDONTWRITEBYTECODE=1 python3 -c '
import threading
def use():
    import slow
    print(slow.ready)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()'
    expect_result 0 ""
    expect_output --text "body\n1\n1\n1\n1\n1\n1\n1\n1\n"
}

@test "Python's ssl needs socket, and its socket needs no ssl any more" {
    skip_unless python3
    try python3 -c '
import sys, socket
assert "ssl" not in sys.modules and not hasattr(socket, "ssl")
import inspect
assert "ssl" not in inspect.getsource(socket)
import ssl
assert issubclass(ssl.SSLSocket, socket.socket)'
    expect_result 0 ""
}
