"""The shell of a vote: sends what `holdfast.core.lease` asks for, each call with its deadline, and tells the outcome.

One `VoteShell` drives one named Lease in one or more clusters. The region's Lease is a vote of one cluster, so which
pod is active and who leads a zone are one piece of code. No decision about time or holders is made here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from holdfast import errors
from holdfast.core import lease, memory
from holdfast.core.values import Fence
from holdfast.fleet_register import Record, Register

log = logging.getLogger(__name__)

EPOCH_ANNOTATION = "holdfast.dev/epoch"
MEMORY_ANNOTATION = "holdfast.dev/memory"
LEADER_ANNOTATION = "holdfast.dev/leader"
TICK_S = 0.1
RETRY_S = (0.1, 0.5)
STORE_DEADLINE_S = 1.5
CONFIRM_DEADLINE_S = 1.2  # with the 2 s of a write to a vendor it ends long before anybody else can lead
RELEASE_DEADLINE_S = 0.8


class VoteShell:
    """Runs one election. `annotations` gives what a renewal stores; `on_change` is called when leadership turns.

    `floor` gives the highest epoch known from elsewhere than the Leases.
    """

    def __init__(
        self,
        *,
        name: str,
        me: str,
        region: str,
        voters: Sequence[str],
        registers: Sequence[Register],
        annotations: Callable[[], Mapping[str, str]],
        on_change: Callable[[], None],
        clock: Callable[[], float],
        dice: random.Random,
        floor: Callable[[], int] = lambda: 0,
    ) -> None:
        self.name = name
        self._me = me
        self._region = region
        self._registers = {register.cluster: register for register in registers}
        self._annotations = annotations
        self._on_change = on_change
        self._clock = clock
        self._dice = dice
        self._floor = floor
        self._state = lease.Election(zone=name, me=me, voters=tuple(voters))
        self._records: dict[str, Record | None] = {}
        self._calls: asyncio.TaskGroup | None = None
        self._moved = asyncio.Event()
        self._store_wanted = 0
        self._stored: dict[str, int] = {}
        self._was_leading = False
        self._failed: dict[str, str] = {}

    async def run(self) -> None:
        """Take part in the election until cancelled; then give back what is held, as far as that is quickly done."""
        try:
            async with asyncio.TaskGroup() as calls:
                self._calls = calls
                while True:
                    self._feed(lease.Tick())
                    await asyncio.sleep(TICK_S)
        finally:
            self._calls = None
            await self._withdraw()

    def fence(self) -> Fence | None:
        """The right to act at this very moment."""
        return self._now().fence(self._clock())

    def last_ack_age_s(self) -> float:
        """Since before the last majority renewal was sent; infinite when there was none."""
        acked_at = self._state.majority_acked_at()
        return float("inf") if acked_at is None else self._clock() - acked_at

    def memories(self) -> tuple[tuple[str, float], ...]:
        """What the Leases remember, with the age of each on our clock."""
        return self._state.memories(self._clock())

    def epoch(self) -> int:
        """The highest epoch known, whoever leads."""
        return self._now().epoch_seen()

    def leader(self) -> str:
        """The region that a majority of Leases, changed lately, names as the leader's; empty when there is none."""
        if self.fence() is not None:
            return self._region
        now, counted = self._clock(), dict[str, int]()
        for cluster, record in self._records.items():
            vote = self._state.vote(cluster)
            if record and record.holder and now - vote.unchanged_since < lease.DURATION_S:
                named = record.annotations.get(LEADER_ANNOTATION, "")
                counted[named] = counted.get(named, 0) + 1
        return next((name for name, count in counted.items() if count >= self._state.majority), "")

    def failures(self) -> Mapping[str, str]:
        """Clusters whose Lease could not be read or written when last tried, and why."""
        return dict(self._failed)

    def renew(self) -> None:
        """Renew out of turn and do not wait: there is news in what a renewal carries."""
        self._feed(lease.RenewNow())

    async def confirm(self) -> bool:
        """Renew now; True once a majority acknowledged a renewal sent after this call."""
        asked_at = self._clock()
        self._feed(lease.RenewNow())

        def confirmed() -> bool:
            acked_at = self._state.majority_acked_at()
            return acked_at is not None and acked_at >= asked_at

        return await self._wait(confirmed, CONFIRM_DEADLINE_S)

    async def store(self) -> bool:
        """Renew now; True once a majority stored annotations taken after this call."""
        self._store_wanted += 1
        wanted = self._store_wanted
        self._feed(lease.RenewNow())

        def stored() -> bool:
            return sum(seq >= wanted for seq in self._stored.values()) >= self._state.majority

        return await self._wait(stored, STORE_DEADLINE_S)

    async def _wait(self, true: Callable[[], bool], deadline_s: float) -> bool:
        try:
            async with asyncio.timeout(deadline_s):
                while not true():
                    if self.fence() is None:
                        return False
                    await self._moved.wait()
        except TimeoutError:
            return False
        return self.fence() is not None

    def _feed(self, event: lease.Event) -> None:
        if self._calls is None:
            return
        retry_s = self._dice.uniform(*RETRY_S)
        self._state, commands = lease.step(self._now(), event, now=self._clock(), retry_s=retry_s)
        for command in commands:
            self._calls.create_task(self._send(command), name=f"{self.name}-{command.cluster}")
        self._moved.set()
        self._moved = asyncio.Event()
        self._tell()

    def _now(self) -> lease.Election:
        """The election, with what is known elsewhere at this very moment."""
        return replace(self._state, floor=self._floor())

    def _tell(self) -> None:
        leading = self.fence() is not None
        if leading is not self._was_leading:
            self._was_leading = leading
            if not leading:
                self._stored.clear()
            log.info("leadership turned", extra={"lease": self.name, "leading": leading, "epoch": self.epoch()})
            self._on_change()

    async def _send(self, command: lease.Command) -> None:
        """One command, one outcome, whatever the server does; a register answers or fails within its deadline."""
        sent_at, seq = self._clock(), self._store_wanted
        try:
            record = await self._perform(command)
        except errors.Conflict:
            self._feed(lease.Refused(command.cluster, await self._look(command.cluster)))
        except Exception as e:
            # An error that nobody thought of says as little about the Lease as silence does.
            if not isinstance(e, errors.ClusterError):
                log.exception("vote call failed", extra={"lease": self.name, "cluster": command.cluster})
            self._failed[command.cluster] = str(e)
            self._feed(lease.Failed(command.cluster))
        else:
            self._failed.pop(command.cluster, None)
            self._records[command.cluster] = record
            if isinstance(command, lease.Renew):
                self._stored[command.cluster] = seq
            self._feed(lease.Acked(command.cluster, sent_at, _view(record)))

    async def _perform(self, command: lease.Command) -> Record | None:
        register = self._registers.get(command.cluster)
        if register is None:
            raise errors.ClusterUnreachable(command.cluster, "no peer of this name is configured")
        if isinstance(command, lease.Read):
            return await register.read()
        seen = self._records.get(command.cluster)
        if (seen.version if seen else "") != command.stamp:
            raise errors.Conflict(command.cluster, "the Lease moved on since it was read")
        kept = dict(seen.annotations) if seen else {}
        match command:
            case lease.TryAcquire():
                marks = {EPOCH_ANNOTATION: memory.encode_epoch(command.epoch), LEADER_ANNOTATION: self._region}
                return await register.write(seen, holder=self._me, annotations=kept | marks)
            case lease.Renew():
                marks = {EPOCH_ANNOTATION: memory.encode_epoch(command.epoch), LEADER_ANNOTATION: self._region}
                return await register.write(seen, holder=self._me, annotations=kept | dict(self._annotations()) | marks)
            case lease.Release():
                return await register.write(seen, holder="", annotations=kept)
            case _:
                assert_never(command)

    async def _look(self, cluster: str) -> lease.LeaseView | None:
        """What the Lease is now, after a compare-and-set was refused."""
        try:
            record = await self._registers[cluster].read()
        except Exception as e:
            log.info("lease not read after a conflict", extra={"lease": self.name, "cluster": cluster, "why": str(e)})
            return None
        self._records[cluster] = record
        return _view(record)

    async def _withdraw(self) -> None:
        """Empty the holder wherever it is us, so that the next one need not wait for us to expire."""
        self._state, _ = lease.step(self._state, lease.Withdraw(), now=self._clock(), retry_s=RETRY_S[1])
        self._tell()

        try:
            async with asyncio.timeout(RELEASE_DEADLINE_S), asyncio.TaskGroup() as group:
                for cluster in self._registers:
                    group.create_task(self._release(cluster))
        except TimeoutError:
            log.info("leases not released in time", extra={"lease": self.name})

    async def _release(self, cluster: str) -> None:
        """Until it is not ours. A write of ours that was cut short may have been done: then the Lease is read again."""
        register, record = self._registers[cluster], self._records.get(cluster)
        try:
            if isinstance(self._state.vote(cluster).under_way, lease.TryAcquire | lease.Renew):
                record = await register.read()
            while record is not None and record.holder == self._me:
                try:
                    record = await register.write(record, holder="", annotations=record.annotations)
                except errors.Conflict:
                    record = await register.read()
        except Exception as e:
            log.info("lease not released", extra={"lease": self.name, "cluster": cluster, "why": str(e)})


def _view(record: Record | None) -> lease.LeaseView:
    if record is None:
        return lease.LeaseView()
    return lease.LeaseView(
        holder=record.holder,
        stamp=record.version,
        epoch=memory.decode_epoch(record.annotations.get(EPOCH_ANNOTATION, "")),
        memory=record.annotations.get(MEMORY_ANNOTATION, ""),
    )
