"""The same server in Python: ForkingTCPServer calls fork for each client."""

import signal
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        print("%s:%d connected" % self.client_address, flush=True)
        while data := self.request.recv(16384):
            self.request.sendall(data)


signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
with socketserver.ForkingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    print("listening on %s:%d" % server.server_address, flush=True)
    server.serve_forever(poll_interval=60)
