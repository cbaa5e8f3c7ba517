"""The connection log: what was opened is on record, whoever opened it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from holdfast_gameday.world import connections
from holdfast_gameday.world.connections import ConnectionLog, Syn


def test_connections_are_found_by_address_and_by_name() -> None:
    log = ConnectionLog(names={"fra.test": "10.0.0.1", "eu.model": "10.0.0.9"}, clock=lambda: 5.0)
    log.record(source="10.0.0.1", address="10.0.0.9:443", kind="openai", path="/v1")
    log.record(source="10.0.0.2", address="10.0.0.9:443", kind="syn")
    assert [entry.path for entry in log.between("fra.test", "eu.model")] == ["/v1"]
    assert len(log.between({"10.0.0.1", "10.0.0.2"}, "10.0.0.9")) == 2
    assert len(log.between({"10.0.0.1", "10.0.0.2"}, "10.0.0.9", kind="syn")) == 1
    assert log.between("10.0.0.9", "10.0.0.1") == []
    assert log.entries[0].name == "eu.model"


def test_every_connection_is_a_line_of_the_file(tmp_path: Path) -> None:
    log = ConnectionLog(tmp_path / "log.jsonl", clock=lambda: 5.0, monotonic=lambda: 7.0)
    log.record(source="10.0.0.1", address="10.0.0.9:443", name="h", kind="openai", path="/v1")
    log.close()
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {
        "at": 5.0,
        "monotonic": 7.0,
        "source": "10.0.0.1",
        "name": "h",
        "address": "10.0.0.9:443",
        "kind": "openai",
        "path": "/v1",
    }


def packet(flags: int) -> bytes:
    ip = bytes.fromhex("45000028 0000 0000 4006 0000 ac1e000b ac1e0065")
    tcp = (40000).to_bytes(2) + (443).to_bytes(2) + (7).to_bytes(4) + bytes(4) + bytes([0x50, flags]) + bytes(6)
    return bytes(12) + b"\x08\x00" + ip + tcp


def test_a_syn_is_read_from_its_packet() -> None:
    assert connections.parse_syn(packet(0x02)) == Syn("172.30.0.11", 40000, "172.30.0.101", 443, 7)


@pytest.mark.parametrize("flags", [0x12, 0x10, 0x04, 0x01])
def test_other_packets_are_not_attempts(flags: int) -> None:
    assert connections.parse_syn(packet(flags)) is None
    assert connections.parse_syn(packet(0x02)[:40]) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="a packet socket needs root")
async def test_a_connection_that_nobody_reported_is_seen_on_the_wire_once() -> None:
    log = ConnectionLog()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with connections.sniffing(log, interface="lo"):
        async with server:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.sendto(b"\x02" * 60, ("127.0.0.1", port))
        udp.close()
    assert [entry.address for entry in log.between("127.0.0.1", "127.0.0.1") if entry.address.endswith(f":{port}")] == [
        f"127.0.0.1:{port}"
    ]
