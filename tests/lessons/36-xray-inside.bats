#!/usr/bin/env bats
# 36-xray and the calls whose bytes never come into the program's memory.

load ../lib/common
load ../lib/xray

setup() {
    skip_unless python3
    python=$(python3 -c 'import sys; print(sys.executable)')
    printf %020000d 0 >"$BATS_TEST_TMPDIR/zeros"
    cat >"$BATS_TEST_TMPDIR/inside.py" <<'END'
import os
import socket
import sys

if sys.argv[1] == "serve":
    s = socket.create_server(("127.0.0.1", 0))
    print("listening on 127.0.0.1:%d" % s.getsockname()[1], flush=True)
    c, _ = s.accept()
    file = os.open(sys.argv[2], os.O_RDONLY)
    os.sendfile(c.fileno(), file, 5000, 4000)
    os.sendfile(c.fileno(), file, None, 3000)
    r, w = os.pipe()
    os.splice(file, w, 2000, offset_src=100)
    os.splice(r, c.fileno(), 2000)
    os.splice(c.fileno(), w, 100)
    try:
        os.sendfile(c.fileno(), r, None, 10)
    except OSError:
        pass
    c.close()
else:
    s = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    s.send(b"thanks")
    while s.recv(65536):
        pass
END
    cat >"$BATS_TEST_TMPDIR/two" <<END
server: $python $BATS_TEST_TMPDIR/inside.py serve $BATS_TEST_TMPDIR/zeros
client: $python $BATS_TEST_TMPDIR/inside.py get {port}
END
}

@test "36-xray shows from where to where sendfile and splice move bytes" {
    draw -l <"$BATS_TEST_TMPDIR/two"
    expect_result 0 ""
    listed | sed -nE 's/\t[A-Z_0-9]*$//
        s/^server\t((sendfile|splice)\()/\1/p' |
        sed -E 's/[0-9]+ (from|file|pipe)/N \1/g' >"$BATS_TEST_TMPDIR/calls"
    diff - "$BATS_TEST_TMPDIR/calls" <<'END' >&2
sendfile(N from :PORT, N file, offset 5000, 4000) = 4000 (in the kernel)
sendfile(N from :PORT, N file, 3000) = 3000 (in the kernel)
splice(N file, offset 100, N pipe, 2000) = 2000 (in the kernel)
splice(N pipe, N from :PORT, 2000) = 2000 (in the kernel)
splice(N from :PORT, N pipe, 100) = 6 (in the kernel)
sendfile(N from :PORT, N pipe, 10) = -1 EINVAL
END
    # The bytes are on the wire all the same, and the state is beside the call.
    has '"000000000000000000000000"... 4000 bytes'
    grep -q 'splice(.* (in the kernel).ESTABLISHED$' "$OUT"
}

@test "36-xray tells below its picture what \"in the kernel\" means" {
    draw <"$BATS_TEST_TMPDIR/two"
    expect_result 0 ""
    has 'Bytes that a call moves "in the kernel" never come into the memory of the program.'
    draw < <(hello)
    lacks 'in the kernel'
}

@test "36-xray draws what sendfile puts into a UNIX socket as a message" {
    cat >"$BATS_TEST_TMPDIR/pair.py" <<'END'
import os, socket, sys
a, b = socket.socketpair()
child = os.fork()
if child == 0:
    a.close()
    b.recv(5000, socket.MSG_WAITALL)
    os._exit(0)
b.close()
file = os.open(sys.argv[1], os.O_RDONLY)
os.sendfile(a.fileno(), file, 0, 3000)
r, w = os.pipe()
os.splice(file, w, 2000)
os.splice(r, a.fileno(), 2000)
os.waitpid(child, 0)
END
    draw -l -c "$python" "$BATS_TEST_TMPDIR/pair.py" "$BATS_TEST_TMPDIR/zeros"
    expect_result 0 ""
    expect_equal messages $'program > program 2\t3000 bytes
program > program 2\t2000 bytes' "$(grep ^message "$OUT" | cut -f 2-)"
}
