"""Addresses of TURN servers as they stand in a Region: `turn:host:port?transport=tcp`, `turns:host` (RFC 7065)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.core.relays import Transport

PORT = 3478
PORT_TLS = 5349
_FORM = re.compile(
    r"(?P<scheme>turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class TurnAddress:
    """Where a relay listens, and how it is spoken to."""

    host: str
    port: int
    transport: Transport


def parse(url: str) -> TurnAddress:
    """ValueError when it is no address of a TURN server. TURN over DTLS is not one that callers are offered."""
    found = _FORM.fullmatch(url)
    if found is None:
        raise ValueError(f"{url!r} is no TURN address: write turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT]")
    secure = found["scheme"] == "turns"
    transport = found["transport"] or ("tcp" if secure else "udp")
    if secure and transport == "udp":
        raise ValueError(f"{url!r} means TURN over DTLS, which is not supported: leave out ?transport=udp")
    port = int(found["port"] or (PORT_TLS if secure else PORT))
    if not 0 < port < 1 << 16:
        raise ValueError(f"{url!r} has a port that does not exist")
    return TurnAddress(found["host"].strip("[]"), port, Transport.TLS if secure else Transport(transport))
