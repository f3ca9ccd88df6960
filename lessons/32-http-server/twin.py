"""A web server in Python: python3 twin.py FOLDER PORT"""
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

folder, port = sys.argv[-2:]
handler = partial(SimpleHTTPRequestHandler, directory=folder)
handler.func.protocol_version = "HTTP/1.1"
with ThreadingHTTPServer(("127.0.0.1", int(port)), handler) as server:
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
