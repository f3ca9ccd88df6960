"""The same reader in Python, which keeps to itself how often it asked."""

import socket
import sys

host, port = sys.argv[-2:]

connection = socket.create_connection((host, int(port)))
for line in connection.makefile("rb"):
    sys.stdout.buffer.write(line)
    if not line.endswith(b"\n"):
        sys.exit(f"peer ended after {len(line)} bytes of a line")
connection.close()
