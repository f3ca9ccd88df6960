"""Asks for the A records of a name: python3 twin.py -s SERVER -p PORT NAME"""
import secrets
import socket
import struct
import sys

_, server, _, port, name = sys.argv[1:]
ident = secrets.randbelow(65536)
query = struct.pack("!6H", ident, 0x0100, 1, 0, 0, 1)
for label in name.split("."):
    query += bytes([len(label)]) + label.encode()
query += b"\0" + struct.pack("!2H", 1, 1)
query += b"\0" + struct.pack("!2HIH", 41, 1232, 0, 0)  # the OPT record
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect((server, int(port)))
    s.send(query)
    s.settimeout(5)
    while (reply := s.recv(65535))[:2] != query[:2]:
        pass
print(int.from_bytes(reply[6:8]), "answers")
