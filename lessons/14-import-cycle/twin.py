"""The same circle in Python: two files that import each other, three ways."""

import sys
import tempfile
from pathlib import Path

SSL = "from plain import Socket\nclass Ssl(Socket): pass\nprint('wrapped runs')"
AT_THE_TOP = "import wrapped\nclass Socket: pass"
INSIDE = "class Socket: pass\ndef ssl():\n import wrapped\n return wrapped.Ssl"

with tempfile.TemporaryDirectory() as folder:
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    Path(folder, "wrapped.py").write_text(SSL)
    Path(folder, "plain.py").write_text(AT_THE_TOP)
    try:
        import plain
    except ImportError as error:
        print(error.msg.split(" (/")[0])
    import wrapped  # the same two files, from the other end
    del sys.modules["plain"], sys.modules["wrapped"]
    Path(folder, "plain.py").write_text(INSIDE)
    import plain
    print("plain is there")
    print("ssl() returns the same twice:", plain.ssl() is plain.ssl())
