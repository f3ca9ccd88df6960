"""The client's side of SOCKS 5: python3 twin.py PROXYPORT HOST PORT TEXT"""
import socket
import sys

proxy, host, port, text = sys.argv[-4:]
with socket.create_connection(("127.0.0.1", int(proxy))) as s:
    replies = s.makefile("rb")
    s.sendall(b"\5\1\0")
    assert replies.read(2) == b"\5\0"
    name = host.encode()
    request = b"\5\1\0\3" + bytes([len(name)]) + name
    s.sendall(request + int(port).to_bytes(2, "big"))
    assert replies.read(10)[1] == 0
    s.sendall(text.encode())
    s.shutdown(socket.SHUT_WR)
    print(replies.read().decode())
