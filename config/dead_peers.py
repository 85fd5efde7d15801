"""Clients that vanish: a phone that lost its network never says that it is gone, and the thread that waits for the
rest of its request would wait for ever.

The kernel can ask (TCP keep-alive), but Granian has no option for it. A connection takes the setting over from the
socket that it was accepted on, so it is enough to set it there. Linux only: elsewhere nothing is done.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from typing import Final

IDLE_SECONDS: Final = 30
INTERVAL_SECONDS: Final = 10
PROBES: Final = 3


def notice_dead_peers() -> int:
    """For all sockets that this process listens on; those accepted from now on are given up about a minute after
    their client vanished. Gives the number of sockets.
    """
    if not sys.platform.startswith("linux"):
        return 0
    return sum(_set_keep_alive(int(name)) for name in os.listdir("/proc/self/fd"))


def _set_keep_alive(descriptor: int) -> bool:
    """False where the descriptor is no socket that listens."""
    try:
        # Asked first: `socket.socket` raises for anything else, and leaves the copy open.
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        copy = os.dup(descriptor)
    except OSError:
        return False
    try:
        listener = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return False
    with listener:
        if listener.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_SECONDS)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    return True
