"""The same questions in Python: what does a name mean, and the way back."""

import socket
import sys

host, *port = sys.argv[1:]

for family, kind, protocol, _, address in socket.getaddrinfo(host, *port or [0]):
    try:
        name, _ = socket.getnameinfo(address, socket.NI_NAMEREQD)
    except socket.gaierror as error:
        name = f"none ({error.strerror})"
    print(family.name, kind.name, protocol, *address, name)
