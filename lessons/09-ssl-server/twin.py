"""The same server in Python: a process a client, and the handshake in it."""

import os
import signal
import socket
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[2:])
context.num_tickets = 0
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening on %s:%d" % listener.getsockname(), flush=True)
while True:
    connection, peer = listener.accept()
    if os.fork() == 0:
        client = context.wrap_socket(connection, server_side=True)
        print("%s:%d" % peer, client.version(), client.cipher()[0], flush=True)
        while data := client.recv(16384):
            client.sendall(data)
        client.unwrap().close()
        os._exit(0)
    connection.close()
