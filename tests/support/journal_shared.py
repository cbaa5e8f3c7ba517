"""The region's Redis without a process: the same promises, kept in this one. `test_rescue.py` holds it to them.

For tests in which a simulated world fills the event loop, so that a real Redis would miss its short deadlines.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast_bridge.core import journal
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.journal_store import MemoryStore, RedisStore, Taken


class SharedStore(RedisStore):
    """What the pods of one region share. Nothing here waits."""

    def __init__(self) -> None:
        self.records: dict[str, CallRecord] = {}
        self._answers = MemoryStore()
        self._firsts: dict[tuple[str, str], str] = {}

    @property
    def resting(self) -> bool:
        return False

    async def get(self, call: str) -> CallRecord | None:
        return self.records.get(call)

    async def put_many(self, records: Sequence[CallRecord]) -> list[int]:
        for record in records:
            self.records[record.call] = journal.merge(self.records.get(record.call), record)
        return [self.records[record.call].epoch for record in records]

    async def take(self, record: CallRecord, *, hop: int, twiml: str) -> Taken:
        known = self.records.get(record.call)
        if known is not None and known.epoch >= record.epoch:
            return Taken(won=False, said=self._answers.said(record.call, hop, record.epoch))
        self.records[record.call] = record
        self._answers.say(record.call, hop, record.epoch, twiml)
        return Taken(won=True)

    async def said(self, call: str, hop: int, epoch: int) -> str:
        return self._answers.said(call, hop, epoch)

    async def first(self, purpose: str, call: str, *, by: str, life_s: int) -> bool:
        return self._firsts.setdefault((purpose, call), by) == by

    async def spend(self, nonces: Sequence[str], *, life_s: int) -> None:
        return None

    async def spent(self) -> list[str]:
        return []

    async def aclose(self) -> None:
        return None
