"""The same client in Python: three tries, a second each."""

import socket
import sys

_, _, address, port, message = sys.argv

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(1)
client.connect((address, int(port)))
for _ in range(3):
    client.send(message.encode())
    try:
        answer = client.recv(65507)
    except socket.timeout:
        continue
    sys.stdout.buffer.write(answer + b"\n")
    client.close()
    sys.exit()
sys.exit(f"no answer from {address}:{port} in 3 tries")
