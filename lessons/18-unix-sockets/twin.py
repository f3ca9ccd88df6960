"""The client in Python."""

import socket
import struct
import sys

_, _, path, message = sys.argv
path = path.replace("@", "\0", 1) if path.startswith("@") else path

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
    server.settimeout(1)
    server.connect(path)
    credentials = server.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    print("connected to process %d, user %d, group %d" % struct.unpack("iII", credentials))
    server.sendall(message.encode() + b"\n")
    server.shutdown(socket.SHUT_WR)
    while piece := server.recv(4096):
        print(piece.decode(), end="")
