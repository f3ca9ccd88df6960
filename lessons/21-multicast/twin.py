"""The same sender in Python."""

import socket
import struct
import sys

_, _, group, port, message = sys.argv

index = socket.if_nametoindex("lo")
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out = struct.pack("@4s4si", bytes(4), bytes(4), index)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, out)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
sender.sendto(message.encode(), (group, int(port)))
sender.close()
