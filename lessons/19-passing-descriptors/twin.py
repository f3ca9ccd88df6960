"""The same server in Python, with one worker: send_fds and recv_fds."""

import os
import socket
import sys

parents_end, workers_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
if os.fork() == 0:
    parents_end.close()
    while True:
        data, fds, flags, address = socket.recv_fds(workers_end, 1, 1)
        if not data:
            sys.exit()
        with socket.socket(fileno=fds[0]) as connection:
            connection.getpeername()
            connection.sendall(b"hello from worker 1\n")
            while connection.recv(4096):
                pass
workers_end.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[-1])))
print("listening on %s:%d" % listener.getsockname(), flush=True)
while True:
    connection, peer = listener.accept()
    socket.send_fds(parents_end, [b"\0"], [connection.fileno()])
    connection.close()
