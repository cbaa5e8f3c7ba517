"""Who connected to whom: the record by which residency is proved.

Two witnesses: each simulator records what it accepts and dials (with names and paths), and a sniffer records every TCP
SYN on the WAN, whoever sent it. Nothing is judged here; no payload is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import json
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SYN = "syn"

_ETH_P_ALL = 0x0003
_SO_ATTACH_FILTER = 26
_ETHERNET_OCTETS = 14
_SEEN_MAX = 8192


@dataclass(frozen=True, slots=True)
class Connection:
    at: float
    """Unix seconds."""
    monotonic: float
    """The same moment on the clock that the callers measure with."""
    source: str
    """An IP address."""
    name: str
    """The destination's name as far as it is known."""
    address: str
    """The destination as ip:port."""
    kind: str
    """`twilio-webhook`, `twilio-stream`, `twilio-api`, … or `syn`."""
    path: str

    @property
    def destination(self) -> str:
        return self.address.rpartition(":")[0]


class ConnectionLog:
    """Kept in memory and, when a file is given, one JSON object a line."""

    def __init__(
        self,
        file: Path | None = None,
        *,
        names: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.entries: list[Connection] = []
        self._names = {address: name for name, address in (names or {}).items()}
        self._clock = clock
        self._monotonic = monotonic
        self._file = file.open("a", encoding="utf-8", buffering=1) if file else None

    def record(self, *, source: str, address: str, kind: str, name: str = "", path: str = "") -> None:
        """`source` is an IP address, `address` ip:port; a missing name is looked up in the table of names."""
        host = address.rpartition(":")[0]
        entry = Connection(
            self._clock(), self._monotonic(), source, name or self._names.get(host, ""), address, kind, path
        )
        self.entries.append(entry)
        if self._file is not None:
            self._file.write(json.dumps(asdict(entry), separators=(",", ":")) + "\n")

    def between(
        self, sources: str | Collection[str], destinations: str | Collection[str], *, kind: str | None = None
    ) -> list[Connection]:
        """Connections opened by one of `sources` (IPs or names) to one of `destinations` (IPs or names)."""
        wanted_sources, wanted_destinations = _as_set(sources), _as_set(destinations)
        return [
            entry
            for entry in self.entries
            if (entry.source in wanted_sources or self._names.get(entry.source) in wanted_sources)
            and (entry.destination in wanted_destinations or entry.name in wanted_destinations)
            and (kind is None or entry.kind == kind)
        ]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _as_set(values: str | Collection[str]) -> set[str]:
    return {values} if isinstance(values, str) else set(values)


@dataclass(frozen=True, slots=True)
class Syn:
    source: str
    source_port: int
    destination: str
    port: int
    sequence: int


@contextlib.contextmanager
def sniffing(log: ConnectionLog, *, interface: str | None = None) -> Iterator[None]:
    """Records every new TCP connection attempt seen in this network namespace while the block lasts; needs CAP_NET_RAW.

    Without `interface` all of them are listened to, because a bridge does not show its own device what it forwards
    between its ports, and what one world address sends to another passes `lo`. One attempt is then seen several
    times, and again when it is retransmitted: it counts once.
    """
    with _packet_socket(interface) as sock:
        loop = asyncio.get_running_loop()
        seen: OrderedDict[Syn, None] = OrderedDict()
        loop.add_reader(sock, _drain, sock, log, seen)
        try:
            yield
        finally:
            # What is still queued was sent before the end of the block and belongs to it.
            _drain(sock, log, seen)
            loop.remove_reader(sock)


def _packet_socket(interface: str | None) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        _attach_filter(sock)
        if interface is not None:
            sock.bind((interface, _ETH_P_ALL))
    except BaseException:
        sock.close()
        raise
    return sock


_SYN_FILTER: tuple[tuple[int, int, int, int], ...] = (
    (0x28, 0, 0, 12),  # ldh [12]                 ethernet type
    (0x15, 0, 8, 0x0800),  # jeq IPv4, else drop
    (0x30, 0, 0, 23),  # ldb [23]                 protocol
    (0x15, 0, 6, 6),  # jeq TCP, else drop
    (0x28, 0, 0, 20),  # ldh [20]                 fragment
    (0x45, 4, 0, 0x1FFF),  # jset not the first, drop
    (0xB1, 0, 0, 14),  # ldxb 4*([14]&0xf)        length of the IP header
    (0x50, 0, 0, 27),  # ldb [x+27]               TCP flags
    (0x54, 0, 0, 0x12),  # and SYN|ACK
    (0x15, 1, 0, 0x02),  # jeq SYN alone, keep
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 128),  # keep 128 octets
)


def _attach_filter(sock: socket.socket) -> None:
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _SYN_FILTER)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HL", len(_SYN_FILTER), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)


def _drain(sock: socket.socket, log: ConnectionLog, seen: OrderedDict[Syn, None]) -> None:
    while True:
        try:
            packet = sock.recv(128)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # An interface went away (a region was taken down); the others are still heard.
            return
        syn = parse_syn(packet)
        if syn is None or syn in seen:
            continue
        seen[syn] = None
        if len(seen) > _SEEN_MAX:
            seen.popitem(last=False)
        log.record(source=syn.source, address=f"{syn.destination}:{syn.port}", kind=SYN)


def parse_syn(packet: bytes) -> Syn | None:
    """The packet with its Ethernet header, already known to be TCP over IPv4 unless it is cut short."""
    ip = packet[_ETHERNET_OCTETS:]
    if len(ip) < 20:
        return None
    tcp = ip[4 * (ip[0] & 0x0F) :]
    if len(tcp) < 14 or tcp[13] & 0x12 != 0x02:
        return None
    source_port, port, sequence = struct.unpack_from("!HHI", tcp)
    source, destination = ipaddress.IPv4Address(ip[12:16]), ipaddress.IPv4Address(ip[16:20])
    return Syn(str(source), source_port, str(destination), port, sequence)
