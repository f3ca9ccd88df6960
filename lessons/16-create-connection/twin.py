"""The same client in Python: whichever address answers, one after the other."""

import socket
import sys

_, host, port = sys.argv
connection = socket.create_connection((host, int(port)), timeout=5)
line = connection.makefile("rb").readline()
if not line.endswith(b"\n"):
    sys.exit("peer closed before the end of the line")
sys.stdout.buffer.write(line)
connection.close()
