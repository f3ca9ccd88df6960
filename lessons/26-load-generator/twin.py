"""The closed loop in Python: who has its reply sends the next request."""

import asyncio
import sys
import time

_, _, clients, _, size, _, seconds, host, port = sys.argv


async def client(end, latencies):
    reader, writer = await asyncio.open_connection(host, int(port))
    while (begun := time.monotonic()) < end:
        writer.write(b"x" * int(size))
        await reader.readexactly(int(size))
        latencies.append(time.monotonic() - begun)
    writer.close()


async def main():
    end, latencies = time.monotonic() + float(seconds), []
    await asyncio.gather(*(client(end, latencies) for _ in range(int(clients))))
    print(f"p99 {sorted(latencies)[len(latencies) * 99 // 100] * 1e6:.1f} us")


asyncio.run(main())
