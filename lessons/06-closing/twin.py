"""The half-close in Python: both sides, and the state that each is in."""

import socket
import sys

STATE = socket.IPPROTO_TCP, socket.TCP_INFO, 1  # the first byte is all we want

listener = socket.create_server(("127.0.0.1", int(sys.argv[-1])))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
listener.close()
client.sendall(b"hello")
client.shutdown(socket.SHUT_WR)
print("server recv", server.recv(64), server.recv(64))
server.sendall(b"hello")
print("client recv", client.recv(64))
print("states", client.getsockopt(*STATE)[0], server.getsockopt(*STATE)[0])
server.close()
print("client recv", client.recv(64), "state", client.getsockopt(*STATE)[0])
client.close()
