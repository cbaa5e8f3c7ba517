"""Kamailio's dispatcher: a region is one or more destinations of one group, in or out at every proxy of a set.

Facts this rests on, each checked with Kamailio 5.6.3: only state `d` is a cordon, for the pinger brings `i` and `t`
back; it takes hold with the next INVITE, and calls in progress follow their Route set and are not touched; a
`dispatcher.reload` and a restart forget it, which `Reassert` puts right, and the flag in the list file prevents.

**The fence.** A destination has no place for an epoch. Where each proxy is given an htable (`fence_table`), the epoch
of the last writer is kept there: a reload keeps it, a restart loses it, and the highest of all proxies counts. Without
one, and after all proxies restarted, the fence is the timing of the leader's lease alone: a change begins at most
0.5 s after an acknowledged renewal and has 2 s, reading included, and nobody else leads before 3.3 s have passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from holdfast.levers import kamailio_list
from holdfast.levers.base import WRITE_DEADLINE_S, DriverError, OriginChange, OriginReading
from holdfast.levers.kamailio_file import ListFile
from holdfast.levers.kamailio_rpc import Look, Proxy

# A proxy that is silent must leave time to write at the others.
LOOK_DEADLINE_S = 0.8

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class KamailioDispatcher:
    """One group at every proxy of the set. `origins`: per region its addresses, with white space between them."""

    def __init__(
        self,
        *,
        name: str,
        zone: str,
        group: int,
        proxies: Sequence[Proxy],
        origins: Mapping[str, str],
        files: Sequence[ListFile] = (),
    ) -> None:
        self._name = name
        self._zone = zone
        self._group = group
        self._proxies = tuple(proxies)
        self._origins = {region: kamailio_list.origin(text) for region, text in origins.items()}
        self._files = tuple(files)
        self._applied: dict[str, OriginChange] = {}
        self._writing = asyncio.Lock()

    @property
    def name(self) -> str:
        """The lever's name in its policy."""
        return self._name

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The set, for who watches each of them."""
        return self._proxies

    def budget(self) -> None:
        """Nothing is counted."""

    def normalise(self, change: OriginChange) -> OriginReading:
        """The reading once the change is in force; without a place for epochs there is none in it."""
        fenced = any(proxy.fences for proxy in self._proxies)
        return OriginReading(region=change.region, enabled=change.enabled, epoch=change.epoch if fenced else 0)

    async def read(self, region: str) -> OriginReading:
        """On or off only when every proxy says so; while they differ, the reading is never what was last wanted.

        So nothing leans on a move that is half made, and it is made again. Who took over and has wanted nothing yet
        reads on, for somebody still sends calls there.
        """
        uris = self._uris(region)
        async with _deadline(f"lever {self._name}: read", _Sent()):
            sights = await _each(self._proxies, lambda proxy: self._sight(proxy, region, uris))
            said = [_known(each) for each in sights]
            epoch = max(each.epoch for each in said)
            offs = {destination.disabled for each in said for destination in each.ours}
            last = self._applied.get(region)
            # What we wanted before somebody with a higher epoch wrote there is no longer what is meant.
            wanted = last.enabled if last is not None and last.epoch >= epoch else None
            meant = offs == {False} if len(offs) == 1 else wanted is not False
            tail = "is meant" if wanted is not None else "elsewhere"
            drift = [words for each in said if (words := each.differs(enabled=meant, tail=tail))]
            drift += [words for file in self._files if (words := await _file_drift(file, region, uris, meant))]
        enabled = meant if len(offs) == 1 else wanted is not True
        return OriginReading(region=region, enabled=enabled, epoch=epoch, drift=tuple(drift))

    async def apply(self, change: OriginChange) -> None:
        """At every proxy and in every list file, all at once. What does not answer keeps nobody else from it."""
        uris = self._uris(change.region)
        sent = _Sent()
        async with _deadline(f"lever {self._name}: write", sent), self._writing:
            sights = await _each(self._proxies, lambda proxy: self._sight(proxy, change.region, uris))
            for sight in sights:
                if isinstance(sight, Sight):
                    self._refuse(change, sight)
            self._applied[change.region] = change
            # The file goes first: a reload in between then takes the new state, never the old one.
            written = await _each(self._files, lambda file: file.write(change.region, uris, enabled=change.enabled))
            done = await _each(sights, lambda sight: self._put(_known(sight), change, sent))
        for each in (*done, *written):
            _known(each)

    async def forgotten(self, proxy: Proxy, wanted: Mapping[str, OriginChange]) -> tuple[str, ...]:
        """The regions that one proxy holds otherwise than wanted, or not at all, by a single request."""
        look = await _look(proxy, {})
        return tuple(
            region
            for region, change in wanted.items()
            for uris in (self._origins.get(region, ()),)
            if sum(each.uri in uris and each.disabled is not change.enabled for each in look.destinations) < len(uris)
            or not uris
        )

    async def reassert(
        self,
        proxy: Proxy,
        region: str,
        *,
        wanted: Callable[[], OriginChange | None],
        may_write: Callable[[], Awaitable[bool]],
    ) -> bool:
        """Put one proxy back to what is decided, if it says anything else; whether it did and was.

        A change on its way goes first: it has read what is there, and what is wanted may be another thing after it.
        """
        uris = self._uris(region)
        sent = _Sent()
        async with _deadline(f"{proxy.who}: re-assertion", sent):
            sight = await self._sight(proxy, region, uris)
            change = wanted()
            if change is None or not sight.differs(enabled=change.enabled) or not await may_write():
                return False
            if self._writing.locked() or wanted() != change:
                return False
            async with self._writing:
                self._refuse(change, sight)
                await self._put(sight, change, sent)
        return True

    async def reassert_files(
        self, region: str, *, wanted: Callable[[], OriginChange | None], may_write: Callable[[], Awaitable[bool]]
    ) -> bool:
        """The same for the list files, which somebody may have rolled out anew; whether any was written."""
        uris = self._uris(region)
        async with _deadline(f"lever {self._name}: list files", _Sent()):
            change = wanted()
            if change is None:
                return False
            enabled = change.enabled
            wrong = [file for file in self._files if await file.differs(region, uris, enabled=enabled)]
            if not wrong or not await may_write() or self._writing.locked() or wanted() != change:
                return False
            async with self._writing:
                written = await _each(wrong, lambda file: file.write(region, uris, enabled=enabled))
        done = [_known(each) for each in written]
        return any(done)

    async def _sight(self, proxy: Proxy, region: str, uris: Sequence[str]) -> Sight:
        look = await _look(proxy, {region: self._key(region)})
        by_uri = {each.uri: each for each in look.destinations}
        ours = []
        for uri in uris:
            destination = by_uri.get(uri)
            if destination is None:
                raise DriverError(
                    "NoOrigin", f"{proxy.who}: group {self._group} has no destination {uri}", retryable=False
                )
            if not destination.marked(self._zone, region):
                raise DriverError(
                    "NotOurs",
                    f"{proxy.who}: {uri} lacks our mark; put mark=holdfast:{self._zone}/{region} "
                    f"among its attributes in the dispatcher's list",
                    retryable=False,
                )
            ours.append(destination)
        return Sight(proxy, region, tuple(ours), look)

    def _refuse(self, change: OriginChange, sight: Sight) -> None:
        if sight.epoch > change.epoch:
            raise DriverError(
                "Fenced",
                f"{sight.proxy.who}: {change.region} was written under epoch {sight.epoch}, ours is {change.epoch}",
                retryable=False,
            )
        if not change.enabled and sight.differs(enabled=False) and not sight.others_usable:
            raise DriverError(
                "LastDestination",
                f"{sight.proxy.who}: group {self._group} would have no destination left that takes calls",
                retryable=True,
            )

    async def _put(self, sight: Sight, change: OriginChange, sent: _Sent) -> None:
        wrong = [each for each in sight.ours if each.disabled is change.enabled]
        if not wrong and (sight.epoch == change.epoch or not sight.proxy.fences):
            return
        sent.any = True
        await sight.proxy.store_epoch(self._key(change.region), change.epoch)
        for each in wrong:
            await sight.proxy.put(each.uri, enabled=change.enabled)

    def _uris(self, region: str) -> tuple[str, ...]:
        uris = self._origins.get(region)
        if not uris:
            raise DriverError(
                "NoOrigin", f"lever {self._name}: Region {region} names no destination in spec.origins", retryable=False
            )
        return uris

    def _key(self, region: str) -> str:
        return f"{self._zone}/{region}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What one proxy says of one region."""

    proxy: Proxy
    region: str
    ours: tuple[kamailio_list.Destination, ...]
    look: Look

    @property
    def epoch(self) -> int:
        return self.look.epochs.get(self.region, 0)

    @property
    def others_usable(self) -> bool:
        """Whether calls have anywhere else to go at this proxy."""
        ours = {each.uri for each in self.ours}
        return any(each.usable for each in self.look.destinations if each.uri not in ours)

    def differs(self, *, enabled: bool, tail: str = "is meant") -> str:
        """What is not as it is meant to be, in words; empty when all is."""
        wrong = [each for each in self.ours if each.disabled is enabled]
        seen = ", ".join(f"{each.uri} is {each.state}" for each in wrong)
        return f"{self.proxy.who}: {seen}, {'in use' if enabled else 'D'} {tail}" if wrong else ""


@dataclass(slots=True)
class _Sent:
    """Whether anything was sent that may have been done although nobody says so."""

    any: bool = False


@asynccontextmanager
async def _deadline(what: str, sent: _Sent) -> AsyncIterator[None]:
    """One limit over all requests of a call. What was sent and not answered has an unknown outcome."""
    try:
        async with asyncio.timeout(WRITE_DEADLINE_S):
            yield
    except TimeoutError as e:
        message = f"{what}: no end within {WRITE_DEADLINE_S:.0f} s"
        raise DriverError("Timeout", message, retryable=True, outcome_unknown=sent.any) from e


async def _look(proxy: Proxy, keys: Mapping[str, str]) -> Look:
    try:
        async with asyncio.timeout(LOOK_DEADLINE_S):
            return await proxy.look(keys)
    except TimeoutError as e:
        raise DriverError("Timeout", f"{proxy.who}: no answer in {LOOK_DEADLINE_S} s", retryable=True) from e


async def _file_drift(file: ListFile, region: str, uris: Sequence[str], meant: bool) -> str:
    """A file that cannot be read routes nothing now: it is told, and the reading stands."""
    try:
        return await file.differs(region, uris, enabled=meant)
    except DriverError as e:
        return str(e)


async def _each(items: Sequence[Item], ask: Callable[[Item], Awaitable[Answer]]) -> list[Answer | DriverError]:
    """All of them at once; one's failure is its own answer."""

    async def one(item: Item) -> Answer | DriverError:
        try:
            return await ask(item)
        except DriverError as e:
            return e

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]


def _known(answer: Answer | DriverError) -> Answer:
    if isinstance(answer, DriverError):
        raise answer
    return answer
