"""The same client in Python: it has a certificate of its own, to be asked for."""

import socket
import ssl
import sys

_, _, host, port, roots, *own = sys.argv
context = ssl.create_default_context(cafile=roots)
if own:
    context.load_cert_chain(*own)  # certfile, keyfile: ours, both
connection = socket.create_connection((host, int(port)), timeout=10)
wrapped = context.wrap_socket(connection, server_hostname=host)
# The handshake is over, and whether the server takes us is not yet known.
print(wrapped.version(), file=sys.stderr)
answer = b""
while data := wrapped.recv(16384):
    answer += data
wrapped.unwrap()
sys.stdout.buffer.write(answer)
sys.exit(0 if answer else "it has closed, and accepted nobody")
