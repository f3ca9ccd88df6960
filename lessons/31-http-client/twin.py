"""The client of lesson 31 in Python: python3 twin.py URL"""
import http.client
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[-1])
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=300)
connection.request("GET", url.path, headers={"Accept-Encoding": "identity"})
reply = connection.getresponse()
sys.stdout.buffer.write(reply.read())
connection.close()
