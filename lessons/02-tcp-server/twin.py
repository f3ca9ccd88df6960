"""The same server in Python: every client gets back what it sends."""

import socket
import sys


class TcpServer:
    def __init__(self, port):
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(128)
        print("listening on %s:%d" % self.listener.getsockname(), flush=True)

    def serve(self):
        while True:
            connection, peer = self.listener.accept()
            print("%s:%d connected" % peer, flush=True)
            total = 0
            while piece := connection.recv(65536):
                connection.sendall(piece)
                total += len(piece)
            print("%s:%d closed after %d bytes" % (*peer, total), flush=True)
            connection.close()


TcpServer(int(sys.argv[1])).serve()
