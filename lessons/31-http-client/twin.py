"""The client of lesson 31 in Python: python3 twin.py URL"""
import http.client
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[-1])
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=300)
path = url.path
while path:
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.putheader("User-Agent", "31-http-client")
    connection.putheader("Accept", "*/*")
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    path = reply.headers["Location"]  # None if it has not moved
sys.stdout.buffer.write(body)
connection.close()
