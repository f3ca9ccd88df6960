"""The same in Python, for those errors that it can bring about with a
client, and bytes in place of a server: the exception is the instruction."""

import ssl
import sys

roots, chain = "build/certs/root.pem", "build/certs/good.pem"
for name in sys.argv[1:] or ["SSL", "WANT_READ", "ZERO_RETURN", "EOF"]:
    inwards, outwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=roots)
    client = context.wrap_bio(inwards, outwards, server_hostname="server.example")
    if name == "SSL":
        inwards.write(b"HTTP/1.0 400\r\n")
    elif name == "ZERO_RETURN":
        inwards.write(b"\x15\3\3\0\2\1\0")  # close_notify
    elif name == "EOF":
        inwards.write_eof()
    elif name != "WANT_READ":
        sys.exit(f"{name} is not one of these errors")
    try:
        client.do_handshake()
    except ssl.SSLError as error:
        print(f"SSL_ERROR_{name}: {error.errno} {type(error).__name__}")
