"""A web server as Python's standard library has it, for scripts/bench.

usage: files.py FOLDER PORT

It does what `python3 -m http.server -p HTTP/1.1` does, but Python before 3.11
doesn't know that option, without which each reply ends its connection.
"""

import functools
import http.server
import sys

folder, port = sys.argv[1], int(sys.argv[2])


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"


server = http.server.ThreadingHTTPServer(
    ("127.0.0.1", port), functools.partial(Handler, directory=folder)
)
server.serve_forever()
