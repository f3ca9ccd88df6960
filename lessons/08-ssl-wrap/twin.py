"""The same client in Python: TLS, and only with whom we wanted to talk to."""

import socket
import ssl
import sys

_, _, roots, _, name, host, port = sys.argv
context = ssl.create_default_context(cafile=roots)
# On before Python 3.11.3: OpenSSL would take a cut connection for a normal end.
context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
connection = socket.create_connection((host, int(port)), timeout=10)
# Python takes an end without close_notify for an end, unless told otherwise.
wrapped = context.wrap_socket(
    connection, server_hostname=name, suppress_ragged_eofs=False
)
print(wrapped.version(), wrapped.cipher()[0], file=sys.stderr)
wrapped.sendall(b"" if sys.stdin.isatty() else sys.stdin.buffer.read())
while data := wrapped.recv(16384):
    sys.stdout.buffer.write(data)
wrapped.unwrap()
wrapped.close()
