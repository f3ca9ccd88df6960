"""The client's side of SOCKS 5. It plays the server, too."""
# It plays the part of build/peers/socks.
import socket
import sys

proxy, host, _, text = sys.argv[1:]
with socket.create_server((host, 0)) as listener:
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", int(proxy))) as client:
        client.sendall(b"\5\1\0")
        assert client.recv(2) == b"\5\0"
        request = b"\5\1\0\1" + socket.inet_aton(host) + port.to_bytes(2, "big")
        client.sendall(request)
        assert client.recv(10)[:2] == b"\5\0"
        server, _ = listener.accept()
        client.sendall(text.encode())
        print("at the server   " + server.recv(len(text)).decode())
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        server.sendall(text.encode())
        print("from the server " + client.recv(len(text)).decode())
        server.close()
