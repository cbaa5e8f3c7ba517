"""The seams between a call in progress and the services around it.

Nothing is decided here. A session (one call) sees the rest of the bridge only through these Protocols, so that it can
be driven by fakes, and the services never reach into a call except through `LiveCall`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.latency import Sample
from holdfast_bridge.core.rescue import Answer
from holdfast_bridge.core.token import Claim, Refusal
from holdfast_bridge.settings import Settings
from holdfast_bridge.tools import ToolFailure


class LiveCall(Protocol):
    """What the rest of the bridge may know of and ask from a call that this pod is carrying."""

    @property
    def record(self) -> CallRecord: ...

    def silent(self) -> bool:
        """True while neither side is speaking: the moment at which a planned hand-over is not heard."""
        ...

    def fall_silent(self, epoch: int) -> None:
        """A higher owner epoch exists: say nothing more, start no tool, close the socket without hanging up."""
        ...

    def reorder(self) -> None:
        """The order of attempts may have changed: the next loss of a provider follows the one in force now."""
        ...

    def released(self) -> None:
        """The carrier was told to fetch `next` elsewhere: the coming `stop` is not the end of the call."""
        ...


class JournalPort(Protocol):
    def put(self, record: CallRecord, *, now: bool = False) -> None:
        """Keep the newest record of a call. Never waits; batched once a second unless `now`."""
        ...

    async def intent(self, call: str, tool: str, *, timeout_s: float = 0.3) -> bool:
        """True when the buddy acknowledged the tool's intent in time; False when it did not, or there is no buddy."""
        ...

    def has_buddy(self) -> bool:
        """False when no other region is named to keep this pod's calls: an intent then rests on our own record."""
        ...

    async def settle(self, record: CallRecord, *, timeout_s: float = 0.3) -> bool:
        """Keep what may not be lost, as a clean end; returns when the buddy has it (True) or when the time is up."""
        ...

    async def load(self, call: str, *, timeout_s: float = 0.3) -> CallRecord | None:
        """The newest record of a call known in this region or, failing that, in the zone."""
        ...


class CarrierPort(Protocol):
    async def hang_up(self, call: str) -> None: ...

    async def redirect(self, call: str, url: str) -> None:
        """Tell the carrier to fetch `url` for this call now (the push of a drain)."""
        ...


class PushPort(Protocol):
    """A carrier that asks us what to do with a call: it is told to ask now, and here."""

    async def push(self, call: str, url: str) -> Answer:
        """One attempt, never repeated here and never raised: what came of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """Where a carrier that is told its stream is to send a call's sound, and under which owner epoch."""

    url: str
    token: str = field(repr=False)
    epoch: int


class StreamPort(Protocol):
    """A carrier that does not ask, but is told where a call's stream goes."""

    async def restream(self, call: str, order: StreamOrder) -> Answer:
        """Take the stream from where it is and start it there; a repeat of one order is harmless."""
        ...


class CallBook(Protocol):
    """The calls this pod carries."""

    def add(self, call: LiveCall) -> None: ...

    def remove(self, call: LiveCall) -> None: ...

    def find(self, call: str) -> LiveCall | None: ...

    def __len__(self) -> int: ...

    def all(self) -> list[LiveCall]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a session needs, built once in `main`."""

    settings: Callable[[], Settings]
    journal: JournalPort
    carrier: CarrierPort
    calls: CallBook
    claim: Callable[[str], Claim | Refusal]
    """Verifies and spends a start token; a Refusal carries the reason that is counted."""
    accepting: Callable[[], bool]
    """False while draining, full or without a usable attempt: upgrades are answered 503."""
    provider_secret: Callable[[Attempt, Settings], str]
    """What an attempt's link is opened with. ProviderUnreachable while there is none."""
    provider_began: Callable[[Sequence[str]], None]
    """A call begins with these parts of an attempt."""
    provider_result: Callable[[str, bool, str, float], None]
    """(part of an attempt, ok, error class, seconds it asks us to wait) for the operator's passive evidence."""
    provider_spoke: Callable[[str], None]
    """A response of this part of an attempt came to its end: it is well, and need not be asked."""
    tool_result: Callable[[str, ToolFailure | None], None]
    """How a tool's webhook answered; None: well."""
    took: Callable[[Attempt, Sample], None] = lambda _attempt, _sample: None
    """How long something took in a call, and with which attempt."""
