"""Which TURN servers the callers of one region are offered, in which order.

A region's operator decides this alone, from its own allocations. A relay is judged for each transport by itself: where
UDP is blocked, its TLS entry stays. How it is probed, and who is told, is not known here.

    sight of it    by what a probe found                        folded as  offered
    WELL           an echo came back; 438 (a stale nonce)       UP         first
    UNSEEN         none was asked for yet                       UNKNOWN    next
    POOR           it allocates, but an echo needs several      DEGRADED   next: it carries calls, if badly
                   tries, or it refuses to be its own peer
    FULL           486, 508                                     UP         next: it still relays what it has
    OUR_FAULT      401, 441, no credentials to ask with         UNKNOWN    next: that is no word on the relay
    DRAINING       300, 403 to Allocate                         UP         last: it asks to be left alone
    ILL            anything else, or nothing                    DOWN       only if nothing above and no last good list
    EXPOSED        it relayed to an address it must not reach   DOWN       never, over no transport
    OPEN           it allocated without credentials             DOWN       never, over no transport

Through an open relay anybody can send, and through an exposed one any caller reaches what lies behind it: each is a
fault of the server, whichever transport showed it. What is folded as DOWN, UNKNOWN or DEGRADED is confirmed before it
counts; the rest counts at once, for it changes the order only.
Residency comes before all of it: a relay under another jurisdiction is not offered, not even as the last resort.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from holdfast.core import reasons
from holdfast.core.evidence import History
from holdfast.core.values import Reason, Verdict


class Transport(Enum):
    """How a caller reaches a relay, the best first."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class Sight(Enum):
    """What this region last made of a relay over one transport, in the order in which it is offered."""

    WELL = "well"
    UNSEEN = "unseen"
    POOR = "poor"
    FULL = "full"
    OUR_FAULT = "our-fault"
    DRAINING = "draining"
    ILL = "ill"
    EXPOSED = "exposed"
    OPEN = "open"

    @property
    def verdict(self) -> Verdict:
        """The same as a result to fold, so that a single bad answer is confirmed before it counts."""
        return _VERDICTS.get(self, Verdict.UP)


_VERDICTS = {
    Sight.UNSEEN: Verdict.UNKNOWN,
    Sight.POOR: Verdict.DEGRADED,
    Sight.OUR_FAULT: Verdict.UNKNOWN,
    Sight.ILL: Verdict.DOWN,
    Sight.EXPOSED: Verdict.DOWN,
    Sight.OPEN: Verdict.DOWN,
}
_BY_CODE = {
    300: Sight.DRAINING,
    401: Sight.OUR_FAULT,
    403: Sight.DRAINING,
    438: Sight.WELL,
    441: Sight.OUR_FAULT,
    486: Sight.FULL,
    508: Sight.FULL,
}
_NEVER_OFFERED = frozenset({Sight.EXPOSED, Sight.OPEN})
_PREFERENCE = {sight: rank for rank, sight in enumerate(Sight)}


def sight(code: int) -> Sight:
    """What the STUN error code of an answer to Allocate says of the relay."""
    return _BY_CODE.get(code, Sight.ILL)


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts of a relay over one transport: its history, and the sight that stands until another is confirmed."""

    history: History
    sight: Sight = Sight.UNSEEN


def standing(before: Standing, found: Sight, *, after: History) -> Standing:
    """`after` is the history with `found` folded in. An unconfirmed finding leaves the sight as it was."""
    if found.verdict is after.verdict:
        # Silence does not prove that a hole is closed.
        kept = found is Sight.ILL and before.sight in _NEVER_OFFERED
        return Standing(after, before.sight if kept else found)
    if after.verdict is before.history.verdict:
        return Standing(after, before.sight)
    # DEGRADED is taken by counting, whatever was found last. Any other verdict here is of a history that began anew.
    return Standing(after, Sight.POOR if after.verdict is Verdict.DEGRADED else Sight.UNSEEN)


@dataclass(frozen=True, slots=True)
class Relay:
    """One TURN server. `urls`: how it is offered over each transport that it has."""

    name: str
    jurisdiction: str
    urls: Mapping[Transport, str]
    failure_domain: str = ""


@dataclass(frozen=True, slots=True)
class IceServer:
    """One relay over one transport."""

    relay: str
    transport: Transport
    url: str


@dataclass(frozen=True, slots=True)
class IceList:
    """What callers are offered, and why it is this."""

    servers: tuple[IceServer, ...]
    reason: Reason


Sights = Mapping[tuple[str, Transport], Sight]


@dataclass(frozen=True, slots=True)
class Home:
    """The region whose callers are served: where its calls may be, and what fails together with it."""

    residency: str
    failure_domain: str = ""


def servers(relays: Iterable[Relay], sights: Sights, *, home: Home, last_good: Iterable[IceServer] = ()) -> IceList:
    """`last_good` is what was offered when last something answered."""
    unsafe = {name for (name, _), seen in sights.items() if seen in _NEVER_OFFERED}
    legal = [relay for relay in relays if relay.jurisdiction == home.residency and relay.name not in unsafe]
    allowed = _entries(legal, home)
    if not allowed:
        return IceList((), Reason(reasons.NO_RELAY, f"no relay may be offered under residency {home.residency}"))
    usable = [entry for entry in allowed if _seen(entry, sights) is not Sight.ILL]
    if not usable:
        return _held(allowed, last_good)
    usable.sort(key=lambda entry: _PREFERENCE[_seen(entry, sights)])
    return IceList(tuple(usable), _why(allowed, sights))


def _entries(relays: list[Relay], home: Home) -> list[IceServer]:
    """All that may be offered, as if all were well: what does not fail with the region comes first, and of it UDP."""
    together = [relay for relay in relays if relay.failure_domain and relay.failure_domain == home.failure_domain]
    apart = [relay for relay in relays if relay not in together]
    return [
        IceServer(relay.name, transport, relay.urls[transport])
        for group in (apart, together)
        for transport in Transport
        for relay in group
        if transport in relay.urls
    ]


def _seen(entry: IceServer, sights: Sights) -> Sight:
    return sights.get((entry.relay, entry.transport), Sight.UNSEEN)


def _held(allowed: list[IceServer], last_good: Iterable[IceServer]) -> IceList:
    """When nothing answers, the fault is as likely ours: offer what last worked and still may be offered."""
    kept = tuple(entry for entry in last_good if entry in allowed) or tuple(allowed)
    return IceList(kept, Reason(reasons.ALL_RELAYS_ILL, "no relay answers; what last worked is offered unchanged"))


def _why(allowed: list[IceServer], sights: Sights) -> Reason:
    behind = [entry for entry in allowed if _seen(entry, sights) not in (Sight.WELL, Sight.UNSEEN)]
    if not behind:
        return Reason(reasons.RELAYS_WELL, "every relay that may be offered is well")
    words = ", ".join(f"{entry.relay} over {entry.transport.value}: {_seen(entry, sights).value}" for entry in behind)
    return Reason(reasons.RELAY_ILL, f"set back or left out: {words}")
