"""An open loop in Python: each client has its share of what is due."""

import asyncio
import sys
import time

_, _, clients, _, rate, _, seconds, host, port = sys.argv


async def client(start, numbers, latencies):
    reader, writer = await asyncio.open_connection(host, int(port))
    for number in numbers:
        due = start + number / int(rate)
        await asyncio.sleep(due - time.monotonic())
        writer.write(bytes(64))
        await reader.readexactly(64)
        latencies.append(time.monotonic() - due)
    writer.close()


async def main():
    start, latencies, total = time.monotonic(), [], int(float(seconds) * int(rate))
    shares = [range(1 + i, 1 + total, int(clients)) for i in range(int(clients))]
    await asyncio.gather(*(client(start, share, latencies) for share in shares))
    if not latencies:
        sys.exit("no reply came: no request was due in so short a time")
    last_of_99_percent = (len(latencies) * 99 + 99) // 100 - 1
    print(f"p99 {sorted(latencies)[last_of_99_percent] * 1e6:.1f} us")


asyncio.run(main())
