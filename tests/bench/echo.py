"""Echo servers as one usually writes them in Python, for scripts/bench.

usage: echo.py streams|protocol|socketserver PORT
       echo.py streams|protocol PORT CERT KEY
"""

import asyncio
import socketserver
import ssl
import sys

kind, port = sys.argv[1], int(sys.argv[2])
context = None
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[3:])
    context.num_tickets = 0


async def serve_stream(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


async def serve():
    if kind == "streams":
        server = await asyncio.start_server(
            serve_stream, "127.0.0.1", port, ssl=context)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            Echo, "127.0.0.1", port, ssl=context)
    await server.serve_forever()


if kind == "socketserver":
    Server(("127.0.0.1", port), Handler).serve_forever()
else:
    asyncio.run(serve())
