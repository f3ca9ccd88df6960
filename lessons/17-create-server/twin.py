"""The same server in Python: every client is told its own address."""

import ipaddress
import socket
import sys

port = int(sys.argv[1])
both = socket.has_dualstack_ipv6()
if both:
    listener = socket.create_server(
        ("::", port), family=socket.AF_INET6, backlog=4096, dualstack_ipv6=True
    )
else:
    listener = socket.create_server(("0.0.0.0", port), backlog=4096)
port = listener.getsockname()[1]
print(f"listening on {'[::]' if both else '0.0.0.0'}:{port}")
print("clients: IPv4", "and IPv6" if both else "only")
while True:
    connection, peer = listener.accept()
    address = ipaddress.ip_address(peer[0].split("%")[0])
    if address.version == 6 and address.ipv4_mapped:
        address = address.ipv4_mapped
    name = f"{address}:{peer[1]}" if address.version == 4 else f"[{address}]:{peer[1]}"
    connection.sendall(f"you are {name}\n".encode())
    print(f"{name} greeted")
    connection.close()
