"""RAND_egd in Python, which had it as ssl.RAND_egd until 3.9."""

import socket
import ssl
import sys

path, count = sys.argv[-2:]

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
    daemon.settimeout(1)
    daemon.connect(path)
    daemon.sendall(bytes([1, int(count)]))
    reply = daemon.makefile("rb")
    random = reply.read(reply.read(1)[0])
if len(random) != int(count):
    sys.exit(f"{path} has not given {count} bytes")
ssl.RAND_add(random, len(random))
print(random.hex())
