"""Delivers the simulated Telnyx's events: signed, to the application's address and then to its failover address.

Events are not kept in order and may come twice, as at the vendor. It does not know what an event means.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """What is sent, and where it may go, in order."""

    body: Mapping[str, Any]
    addresses: tuple[str, ...]


class Deliverer:
    """Sends what is put into it while `run` is running. `times`: how often each event is sent."""

    def __init__(self, clock: Callable[[], float], *, times: int = 1) -> None:
        self.delivered: list[tuple[str, str]] = []
        """(address, event type) of each delivery that was accepted."""
        self.times = times
        self._clock = clock
        self._key = Ed25519PrivateKey.generate()
        self._queue: asyncio.Queue[Event] = asyncio.Queue()

    @property
    def public_key(self) -> str:
        """As the vendor's portal shows it: base64 of the 32 octets."""
        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def put(self, kind: str, payload: Mapping[str, Any], addresses: tuple[str, ...]) -> None:
        occurred = dt.datetime.fromtimestamp(self._clock(), dt.UTC).isoformat().replace("+00:00", "Z")
        data = {
            "record_type": "event", "event_type": kind, "id": str(uuid.uuid4()), "occurred_at": occurred,
            "payload": dict(payload),
        }  # fmt: skip
        for _ in range(self.times):
            self._queue.put_nowait(Event({"data": data}, tuple(filter(None, addresses))))

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE_S)) as http:
            while True:
                event = await self._queue.get()
                for address in event.addresses:
                    if await self._sent(http, address, event):
                        self.delivered.append((address, str(event.body["data"]["event_type"])))
                        break

    async def _sent(self, http: aiohttp.ClientSession, address: str, event: Event) -> bool:
        body = json.dumps(event.body).encode()
        stamp = str(int(self._clock()))
        signature = base64.b64encode(self._key.sign(f"{stamp}|".encode() + body)).decode()
        headers = {
            "telnyx-signature-ed25519": signature, "telnyx-timestamp": stamp, "content-type": "application/json",
        }  # fmt: skip
        try:
            async with http.post(address, data=body, headers=headers) as answer:
                return answer.status < 300
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
