"""The same cycle in Python: two modules that import each other."""

import sys
import tempfile
from pathlib import Path

WRAPPED = """
from plain import Socket
class WrappedSocket(Socket): pass
print("the body of wrapped runs")
"""
PLAIN_AT_THE_TOP = """
import wrapped
class Socket: pass
"""
PLAIN_INSIDE = """
class Socket: pass
def ssl():
    import wrapped
    return wrapped.WrappedSocket
"""

with tempfile.TemporaryDirectory() as folder:
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    Path(folder, "wrapped.py").write_text(WRAPPED)
    Path(folder, "plain.py").write_text(PLAIN_AT_THE_TOP)
    print("import at the top, plain first:")
    try:
        import plain
    except ImportError as error:
        print(error.msg.split(" (")[0])
    print("import at the top, wrapped first:")
    import wrapped

    del sys.modules["plain"], sys.modules["wrapped"]
    Path(folder, "plain.py").write_text(PLAIN_INSIDE)
    print("import inside the function:")
    import plain
    print("plain is imported")
    print("ssl() returns the same class twice:", plain.ssl() is plain.ssl())
