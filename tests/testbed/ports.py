"""Ports of 127.0.0.1 for servers that are started later, and started again."""

import random
import socket
from collections.abc import Iterator

#: Below the ports that the system gives to clients (from 32768 on Linux): any connection could take one of those meanwhile.
_FIRST, _END, _BLOCK = 20_000, 32_000, 100
_marks: list[socket.socket] = []


def free_port() -> int:
    """A port at which nothing listens. No other call gives it, in no process of the machine, while this process lasts."""
    while True:
        port = next(_ours)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


def _ports() -> Iterator[int]:
    """The ports of blocks that are taken one after the other: whoever has the UDP port of the first number has the block."""
    for first in random.sample(range(_FIRST, _END, _BLOCK), (_END - _FIRST) // _BLOCK):
        mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", first))
        except OSError:
            mark.close()
            continue
        _marks.append(mark)
        yield from range(first, first + _BLOCK)


_ours = _ports()
