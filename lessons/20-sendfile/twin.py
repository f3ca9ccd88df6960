"""The same server in Python: it sends a file, without reading it."""

import os
import socket
import sys

with open(sys.argv[1], "rb") as file:
    with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as listener:
        print("listening on %s:%d" % listener.getsockname(), flush=True)
        while True:
            connection, peer = listener.accept()
            with connection:
                length = os.fstat(file.fileno()).st_size
                connection.sendall(b"%d\n" % length)
                connection.sendfile(file, 0, length or None)
