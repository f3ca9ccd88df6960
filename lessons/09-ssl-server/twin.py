"""The same server in Python: a process a client, and the handshake in it."""

import os
import signal
import socket
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[2:])
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening on %s:%d" % listener.getsockname())
while True:
    connection, (address, port) = listener.accept()
    if os.fork() == 0:
        connection.settimeout(10)
        with context.wrap_socket(connection, server_side=True) as client:
            print(f"{address}:{port} {client.version()} {client.cipher()[0]}")
            while data := client.recv(16384):
                client.sendall(data)
        os._exit(0)
    connection.close()
