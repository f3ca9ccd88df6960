"""The same client in Python: one line out, one line back."""

import socket
import sys

_, address, port, message = sys.argv

connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
connection.connect((address, int(port)))
connection.sendall(message.encode() + b"\n")
line = connection.makefile("rb").readline()
sys.stdout.buffer.write(line)
connection.close()
if not line.endswith(b"\n"):
    sys.exit("peer closed before the end of the line")
