"""What became of socket.ssl(sock, keyfile, certfile): Python's way today."""

import socket
import ssl
import sys

_, _, host, port, roots, *own = sys.argv
if not hasattr(socket, "ssl"):
    print("this Python has no socket.ssl", file=sys.stderr)
context = ssl.create_default_context(cafile=roots)
if own:
    keyfile, certfile = own
    context.load_cert_chain(certfile, keyfile)
sock = socket.create_connection((host, int(port)), timeout=10)
# The name is asked for: a socket knows where it leads, and not to whom.
wrapped = context.wrap_socket(
    sock, server_hostname=host, suppress_ragged_eofs=False
)
while data := wrapped.recv(8192):
    sys.stdout.buffer.write(data)
wrapped.unwrap()
