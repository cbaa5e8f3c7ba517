"""The one websocket of this pod to its buddy region, over which the journals of its calls travel.

It reconnects for ever, tells the whole state of the pod's calls on every connect, and afterwards only what moved. It
does not know what a record means; when the buddy says that a call has a newer owner, it says so and forgets the call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from holdfast_bridge.core import journal, journal_wire, token
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.journal_wire import Ack, Intent, IntentAck, Put

CONNECT_S = 2.0
SEND_S = 2.0
CLOSE_S = 0.5
BATCH_EVERY_S = 1.0
HEARTBEAT_S = 1.5
BACK_OFF_S = (0.2, 0.4, 0.8, 1.5)
UNREACHABLE_AFTER_S = 2.0
OPEN_INTENTS = 1_000

log = logging.getLogger(__name__)


class _Over(Exception):
    """The conversation with this buddy is over: closed, re-pointed, or nonsense was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """How to reach another region's journal, and how to prove that we are of its zone."""

    url: Callable[[str], str | None]
    """region -> websocket URL of its journal, None for a region outside the zone."""
    path: str
    key: Callable[[], bytes]


def _heed_cancellation() -> None:
    """Before Python 3.13 a task group that fails while it is being cancelled forgets the cancellation."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class BuddyLink:
    def __init__(
        self,
        peer: Peer,
        *,
        snapshot: Callable[[], list[CallRecord]],
        on_stale: Callable[[str, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peer = peer
        self._snapshot = snapshot
        self._on_stale = on_stale
        self._clock = clock
        self._region: str | None = None
        self._retarget = asyncio.Event()
        self._wake = asyncio.Event()
        self._dirty: dict[str, CallRecord] = {}
        self._unacked: dict[str, CallRecord] = {}
        self._intents: list[Intent] = []
        self._delivered: dict[str, list[tuple[int, asyncio.Future[bool]]]] = {}
        self._confirmed: dict[tuple[str, str], asyncio.Future[bool]] = {}
        self._up = False
        self._failed = False
        self._down_since = clock()

    @property
    def up(self) -> bool:
        return self._up

    @property
    def region(self) -> str | None:
        return self._region

    @property
    def waiting(self) -> int:
        """Records that the buddy has not acknowledged."""
        return len(self._dirty.keys() | self._unacked.keys())

    def unreachable(self) -> frozenset[str]:
        """The buddy, once it has been out of reach for two seconds and at least one attempt to reach it failed."""
        gone = self._failed and not self._up and self._clock() - self._down_since >= UNREACHABLE_AFTER_S
        return frozenset({self._region}) if gone and self._region is not None else frozenset()

    def point_at(self, region: str | None) -> None:
        if region == self._region:
            return
        self._region = region
        self._failed = False
        self._down_since = self._clock()
        self._retarget.set()

    def put(self, record: CallRecord, *, now: bool) -> None:
        if self._region is None:
            return
        journal.keep(self._dirty, record)
        if now:
            self._wake.set()

    async def deliver(self, record: CallRecord, *, timeout_s: float) -> bool:
        """True when the buddy acknowledged this record, or a later one of the call, in time."""
        self.put(record, now=True)
        if not self._up:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiters = self._delivered.setdefault(record.call, [])
        waiters.append((record.seq, done))
        try:
            async with asyncio.timeout(timeout_s):
                return await done
        except TimeoutError:
            return False
        finally:
            waiters.remove((record.seq, done))
            if not waiters and self._delivered.get(record.call) is waiters:
                del self._delivered[record.call]

    async def intent(self, record: CallRecord, tool: str, *, timeout_s: float) -> bool:
        """True when the buddy holds a record that names the tool's intent."""
        if not self._up or len(self._intents) >= OPEN_INTENTS:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._confirmed[(record.call, tool)] = done
        journal.keep(self._dirty, record)
        self._intents.append(Intent(call=record.call, tool=tool, seq=record.seq))
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await done
        except TimeoutError:
            return False
        finally:
            self._confirmed.pop((record.call, tool), None)

    async def run(self) -> None:
        failures = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as http:
            while True:
                self._retarget.clear()
                url = None if self._region is None else self._peer.url(self._region)
                if url is None:
                    await self._retarget.wait()
                    continue
                connected = await self._attempt(http, url)
                failures = 0 if connected else failures + 1
                await self._pause(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * random.uniform(0.5, 1.0)):  # noqa: S311  jitter, not a secret
                await self._retarget.wait()
        except TimeoutError:
            return

    async def _attempt(self, http: aiohttp.ClientSession, url: str) -> bool:
        """One connection from dial to loss; True when it was up at all."""
        headers = {
            "Authorization": token.authorization("GET", self._peer.path, key=self._peer.key(), now=time.time())
        }
        try:
            async with asyncio.timeout(CONNECT_S):
                socket = await http.ws_connect(
                    url,
                    headers=headers,
                    heartbeat=HEARTBEAT_S,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    max_msg_size=journal_wire.MAX_MESSAGE_BYTES,
                )
        except (aiohttp.ClientError, OSError) as error:
            if not self._failed:
                log.warning("buddy not reached", extra={"buddy": self._region, "error": type(error).__name__})
            self._failed = True
            return False
        try:
            async with socket:
                try:
                    await self._converse(socket)
                finally:
                    self._lost()
        except* (_Over, aiohttp.ClientError, OSError) as errors:
            log.info("buddy link ended", extra={"buddy": self._region, "error": type(errors.exceptions[0]).__name__})
        _heed_cancellation()
        return True

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._up, self._failed = True, False
        log.info("buddy link up", extra={"buddy": self._region})
        for record in [*self._unacked.values(), *self._snapshot()]:
            journal.keep(self._dirty, record)
        self._unacked.clear()
        self._wake.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(socket))
            group.create_task(self._until_repointed())
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise _Over
                self._heard(message.data)
            raise _Over

    def _lost(self) -> None:
        if self._up:
            self._down_since = self._clock()
        self._up, self._failed = False, True
        self._intents.clear()

    async def _until_repointed(self) -> None:
        await self._retarget.wait()
        raise _Over

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            try:
                async with asyncio.timeout(BATCH_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass  # the second is over: whatever gathered goes out
            self._wake.clear()
            intents, self._intents = self._intents, []
            while self._dirty:
                batch = [self._dirty.pop(call) for call in list(self._dirty)[: journal_wire.RECORDS_PER_PUT]]
                for record in batch:
                    journal.keep(self._unacked, record)
                await self._send(socket, Put(records=tuple(batch)))
                await asyncio.sleep(0)  # A socket that has room does not wait by itself, and sound must get between.
            for intent in intents:
                await self._send(socket, intent)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, message: Put | Intent) -> None:
        async with asyncio.timeout(SEND_S):
            await socket.send_str(journal_wire.encode(message))

    def _heard(self, text: str) -> None:
        message = journal_wire.from_buddy(text)
        if isinstance(message, Ack):
            for acked in message.acks:
                self._settle(acked.call, acked.seq)
            for stale in message.stale:
                self._dirty.pop(stale.call, None)
                self._unacked.pop(stale.call, None)
                self._on_stale(stale.call, stale.epoch)
        elif isinstance(message, IntentAck):
            waiter = self._confirmed.get((message.call, message.tool))
            if waiter is not None and not waiter.done():
                waiter.set_result(message.ok)
        else:
            raise _Over

    def _settle(self, call: str, seq: int) -> None:
        sent = self._unacked.get(call)
        if sent is not None and sent.seq <= seq:
            del self._unacked[call]
        for wanted, done in self._delivered.get(call, ()):
            if wanted <= seq and not done.done():
                done.set_result(True)
