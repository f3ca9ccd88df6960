"""The same server in Python: ForkingTCPServer calls fork for each client."""

import os
import signal
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        name = "%s:%d" % self.client_address
        print(f"{name} connected: process {os.getpid()}", flush=True)
        total = 0
        while data := self.request.recv(16384):
            self.request.sendall(data)
            total += len(data)
        print(f"{name} closed after {total} bytes", flush=True)


signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
with socketserver.ForkingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo) as server:
    print("listening on %s:%d" % server.server_address, flush=True)
    server.serve_forever(poll_interval=60)
