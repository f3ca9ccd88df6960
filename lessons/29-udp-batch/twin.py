"""The client of lesson 29 in Python: one call, three packets. In Python's
socket there is no sendmmsg and no recvmmsg, but an option is only a number."""
import socket
import sys
import time

UDP_SEGMENT = 103  # <linux/udp.h>; Python has no name for it
BYTES, PACKETS, DATA, END = 1000, 3, 0, 1

def packet(number, kind):
    return number.to_bytes(4, "big") + bytes([kind]) + bytes(BYTES - 5)

address = (sys.argv[-2], int(sys.argv[-1]))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(address)
    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, BYTES)
    s.send(b"".join(packet(number, DATA) for number in range(PACKETS)))
    print(f"packets    {PACKETS}\ncalls      1")
    time.sleep(0.1)  # the server empties its buffer
    s.send(packet(PACKETS, END))
