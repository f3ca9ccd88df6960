"""Echo over TLS as one usually writes it for asyncio, for scripts/bench.

usage: echo-tls.py PORT CERT KEY
"""

import asyncio
import ssl
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(port, cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.num_tickets = 0
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        Echo, "127.0.0.1", int(port), ssl=context, backlog=4096)
    print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
