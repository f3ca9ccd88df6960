"""The same in Python, for TCP over IPv4; and what Python cannot do: no filter
in the kernel, so each segment of every port comes here, and twice."""

import socket
import sys

names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
wire.bind(("lo", 3))  # ETH_P_ALL
print("capturing on lo", flush=True)
while True:
    frame, (_, _, direction, _, _) = wire.recvfrom(65535)
    tcp = 14 + (frame[14] & 15) * 4
    is_tcp = frame[12:14] == b"\x08\x00" and frame[23] == 6
    if direction != socket.PACKET_OUTGOING or not is_tcp:
        continue
    a, b = (socket.inet_ntoa(frame[i : i + 4]) for i in (26, 30))
    p, q = (int.from_bytes(frame[i : i + 2], "big") for i in (tcp, tcp + 2))
    flags = [names[i] for i in range(6) if frame[tcp + 13] >> i & 1]
    if int(sys.argv[2]) in (p, q):  # 35-packet-sniffer -p PORT
        print(f"{a}:{p} > {b}:{q} TCP {' '.join(flags)}", flush=True)
