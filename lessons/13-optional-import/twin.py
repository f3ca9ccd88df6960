"""The same client in Python: what _ssl is to it, a library is to ours."""

import socket
import sys

try:
    import _ssl
except ImportError as missing:
    _ssl = None
    print("no TLS:", missing, file=sys.stderr)
else:
    import ssl  # if this fails, then because something is broken

    print("TLS:", _ssl.OPENSSL_VERSION, file=sys.stderr)

*wants_tls, host, port = sys.argv[1:]
if wants_tls not in ([], ["-s"]):
    sys.exit("usage: twin.py [-s] HOST PORT")
if wants_tls == ["-s"] and _ssl is None:
    sys.exit("TLS was asked for, but there is none: not connecting")
connection = socket.create_connection((host, int(port)), timeout=10)
if wants_tls == ["-s"]:
    context = ssl.create_default_context()
    connection = context.wrap_socket(connection, server_hostname=host)
    print("verified: this is", host, file=sys.stderr)
else:
    print("plain text: nobody has proved who this is", file=sys.stderr)
while piece := connection.recv(16384):
    sys.stdout.buffer.write(piece)
connection.close()
