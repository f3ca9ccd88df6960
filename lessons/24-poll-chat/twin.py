"""The same chat in Python, as most are written: it sends in the loop."""

import selectors, socket, sys

loop = selectors.PollSelector()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
loop.register(listener, selectors.EVENT_READ)
print("listening on %s:%d" % listener.getsockname(), flush=True)


def tell(sender, line):
    for client, _, _, who in loop.get_map().values():
        if who and who[0] and who is not sender:
            client.sendall(line)


while True:
    for (client, _, _, me), _ in loop.select():
        if client is listener:
            loop.register(listener.accept()[0], selectors.EVENT_READ, [b"", b""])
        elif piece := client.recv(1024):
            *lines, me[1] = (me[1] + piece).split(b"\n")
            for line in lines:
                tell(me, me[0] + (b": " + line if me[0] else line + b" joined") + b"\n")
                me[0] = me[0] or line
        else:
            loop.unregister(client).fileobj.close()
            tell(me, me[0] + b" left\n")
