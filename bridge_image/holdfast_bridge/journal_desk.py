"""The buddy's side: takes in the journals of another region's calls and says which of them have a newer owner.

Records go to this region's Redis, so that any pod here can take a call up; while Redis is away they stay in this pod.
It answers an intent only when it holds the record that names it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import WSMsgType, web

from holdfast_bridge.core import journal_wire
from holdfast_bridge.core.journal import CallRecord, bounded
from holdfast_bridge.core.journal_wire import Ack, Acked, Intent, IntentAck, Put, Stale
from holdfast_bridge.errors import StoreError
from holdfast_bridge.journal_store import MemoryStore, RedisStore

HEARTBEAT_S = 5.0
SEND_S = 2.0

log = logging.getLogger(__name__)


class JournalDesk:
    def __init__(
        self,
        *,
        agent: str,
        memory: MemoryStore,
        redis: RedisStore | None,
        on_newer: Callable[[str, int], None],
        unwritten: Callable[[CallRecord], None],
    ) -> None:
        self._agent = agent
        self._memory = memory
        self._redis = redis
        self._on_newer = on_newer
        """Told of every epoch heard, because the call may be one that this very pod still believes to own."""
        self._unwritten = unwritten
        """Given what Redis did not take: its owner was told that it is kept, and does not send it again."""
        self._sockets: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=journal_wire.MAX_MESSAGE_BYTES)
        try:
            await socket.prepare(request)
            self._sockets.add(socket)
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    await socket.close(code=1003, message=b"text expected")
                    break
                reply = await self.answer(message.data)
                if reply is None:
                    await socket.close(code=1007, message=b"not understood")
                    break
                async with asyncio.timeout(SEND_S):
                    await socket.send_str(reply)
        except (ConnectionError, TimeoutError) as error:
            log.info("journal of a peer ended", extra={"error": type(error).__name__})
        finally:
            self._sockets.discard(socket)
        return socket

    async def close(self) -> None:
        """Send the owners elsewhere: their links reconnect to another pod of this region."""
        for socket in list(self._sockets):
            await socket.close(code=1001, message=b"going away")

    async def answer(self, text: str) -> str | None:
        """The reply to one message of an owner, None when it was no message."""
        message = journal_wire.from_owner(text)
        if isinstance(message, Put):
            return journal_wire.encode(await self._take_in(message))
        if isinstance(message, Intent):
            return journal_wire.encode(self._confirm(message))
        return None

    async def _take_in(self, message: Put) -> Ack:
        records = [bounded(r) for r in message.records if self._ours(r)]
        epochs = [self._memory.put(record) for record in records]
        if self._redis is not None and records:
            try:
                stored = await self._redis.put_many(records)
                epochs = [max(pair) for pair in zip(epochs, stored, strict=True)]
            except StoreError:
                for record in records:
                    self._unwritten(record)
        acks: list[Acked] = []
        stale: list[Stale] = []
        for record, epoch in zip(records, epochs, strict=True):
            self._on_newer(record.call, epoch)
            if epoch > record.epoch:
                stale.append(Stale(call=record.call, epoch=epoch))
            else:
                acks.append(Acked(call=record.call, seq=record.seq))
        return Ack(acks=tuple(acks), stale=tuple(stale))

    def _confirm(self, message: Intent) -> IntentAck:
        record = self._memory.get(message.call)
        held = (
            record is not None
            and record.seq >= message.seq
            and any(tool.id == message.tool for tool in record.tools)
        )
        return IntentAck(call=message.call, tool=message.tool, seq=message.seq, ok=held)

    def _ours(self, record: CallRecord) -> bool:
        return record.agent == self._agent and 0 < len(record.call) <= journal_wire.CALL_CHARS
