"""The same in Python, for one client at a time, and without reading lengths."""

import select
import socket
import sys

name, _, server_address = sys.argv[1].partition("=")
host, _, port = server_address.rpartition(":")
listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print("listening on %s:%d" % listener.getsockname(), flush=True)
while True:
    client, address = listener.accept()
    if name.encode() not in client.recv(32768, socket.MSG_PEEK):
        client.close()
        continue
    server = socket.create_connection((host, int(port)))
    who = "%s:%d" % address
    print(f"{who} asks for {name}: passed on to {server_address}", flush=True)
    other = {client: server, server: client}
    total = {client: 0, server: 0}
    while other:
        for source in select.select(list(other), [], [])[0]:
            data = source.recv(16384)
            total[source] += len(data)
            if data:
                other[source].sendall(data)
            elif source in other:
                other.pop(source).shutdown(socket.SHUT_WR)
    went, came = total[client], total[server]
    print(f"{who} closed: {went} bytes there, {came} back", flush=True)
