"""The same server in Python: every client is told its own address."""

import ipaddress
import socket
import sys

port = int(sys.argv[1])
if socket.has_dualstack_ipv6():
    listener = socket.create_server(
        ("::", port), family=socket.AF_INET6, dualstack_ipv6=True
    )
else:
    listener = socket.create_server(("0.0.0.0", port))
print(f"listening on {listener.getsockname()[1]}", flush=True)
while True:
    connection, peer = listener.accept()
    address = ipaddress.ip_address(peer[0])
    address = getattr(address, "ipv4_mapped", None) or address
    connection.sendall(f"you are {address} port {peer[1]}\n".encode())
    connection.close()
