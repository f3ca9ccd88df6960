"""The same server in Python: asyncio's loop, and TLS in memory beneath it."""

import asyncio
import ssl
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
    context.num_tickets = 0
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        Echo, "127.0.0.1", int(sys.argv[1]), ssl=context)
    print("listening on %s:%d" % server.sockets[0].getsockname(), flush=True)
    await server.serve_forever()


asyncio.run(main())
