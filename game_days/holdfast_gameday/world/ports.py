"""Loopback ports for servers that have to be told theirs before they begin.

They are drawn from below the range that the kernel gives to connections and to whoever asks for port 0, so nobody takes
one between its drawing and its use; two runs of tests beside each other draw from thousands. It holds nothing open.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST = 10_000
KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int, *, host: str = "127.0.0.1") -> list[int]:
    """Ports that are free for TCP and UDP alike, none next to another. OSError: there are not so many."""
    drawn = list(range(LOWEST, int(KERNELS.read_text().split()[0]), 2))
    random.shuffle(drawn)
    found: list[int] = []
    for port in drawn:
        if len(found) == count:
            return found
        if _is_free(host, port):
            found.append(port)
    raise OSError(f"not even {count} ports of {host} are free below those of the kernel")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        try:
            tcp.bind((host, port))
            udp.bind((host, port))
        except OSError:
            return False
        return True
