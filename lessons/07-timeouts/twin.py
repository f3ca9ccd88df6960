"""The same client in Python: a line, before a point in time."""

import socket
import sys
import time

_, _, seconds, host, port = sys.argv
deadline = time.monotonic() + float(seconds)
connection = socket.create_connection((host, int(port)), float(seconds))
line = b""
while not line.endswith(b"\n"):
    left = deadline - time.monotonic()
    if left <= 0:
        sys.exit("deadline passed before the end of the line")
    connection.settimeout(left)
    byte = connection.recv(1)
    if not byte:
        sys.exit("peer closed before the end of the line")
    line += byte
sys.stdout.buffer.write(line)
connection.close()
