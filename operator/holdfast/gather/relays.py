"""Watching a region's TURN servers: from single probes to the list that its callers are offered.

One target per relay and transport, however many agents use it, each probed by `turn_probe` and folded by
`core.relays`. Whether a relay reaches what it must not is asked seldom, and in every probe once it was found to. Where
the credentials come from is a name here; who is handed the list is not known.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.core import relays
from holdfast.core.evidence import History, Result
from holdfast.core.relays import Home, IceList, IceServer, Relay, Sight, Standing, Transport
from holdfast.core.values import Observation, Probe, Tier, Verdict
from holdfast.errors import DriverError
from holdfast.gather import turn_url
from holdfast.gather.turn_credentials import Issuer
from holdfast.gather.turn_end import Credential
from holdfast.gather.turn_forbidden import Forbidden
from holdfast.gather.turn_probe import Credentials, Outcome
from holdfast.gather.turn_url import TurnAddress
from holdfast.gather.watches import Manner, Watches

PROBE = Probe(interval_s=5.0, timeout_s=8.0, confirmations=2, confirm_every_s=0.4)
UNANSWERED_S = 1.0
AT_ONCE = 8
FORBIDDEN_EVERY_S = 300.0
PROBE_TTL_S = 600
USERS = 16

Key = tuple[str, Transport]


@dataclass(frozen=True, slots=True)
class WatchedRelay:
    """One TURN server of the region. `issuer` names where its credentials come from.

    `forbidden`: what it must not reach; None where that is never asked, as of a vendor's servers.
    """

    relay: Relay
    issuer: str
    forbidden: Forbidden | None = None
    probe: Probe = PROBE


@dataclass(frozen=True, slots=True)
class Target:
    """One relay over one transport."""

    watched: WatchedRelay
    transport: Transport

    @property
    def name(self) -> str:
        return f"{self.watched.relay.name} over {self.transport.value}"


@dataclass(frozen=True, slots=True)
class Offer:
    """One ICE server as a caller is given it."""

    server: IceServer
    credential: Credential


class Prober(Protocol):
    """What makes single probes: `TurnProbe`."""

    async def probe(
        self, address: TurnAddress, credentials: Credentials, *, forbidden: Forbidden | None = None
    ) -> Outcome:
        """One probe; it raises nothing."""
        ...

    async def settle(self) -> None:
        """Until everything is given back."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    target: Target
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Seen:
    target: Target
    standing: Standing
    last: Outcome
    forbidden_at: float


class Relays:
    """The sights of a region's relays. `on_change` is called when one changes, and on a first failure."""

    def __init__(
        self,
        *,
        probe: Prober,
        relays: Callable[[], Iterable[WatchedRelay]],
        issuer: Callable[[str], Issuer],
        user: str,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        dice: random.Random,
        at_once: int = AT_ONCE,
    ) -> None:
        self._probe = probe
        self._relays = relays
        self._issuer = issuer
        self._user = user
        self._probes = 0
        self._clock = clock
        self._on_change = on_change
        self._seen: dict[Key, _Seen] = {}
        self._last_good: tuple[IceServer, ...] = ()
        manner: Manner[Target, _Answer] = Manner(
            kind="relay",
            named=lambda target: target.name,
            ask=self._ask,
            result=lambda answer: Result(answer.outcome.sight.verdict, answer.outcome.detail),
            probe=lambda target: target.watched.probe,
            unanswered_s=UNANSWERED_S,
            at_once=at_once,
        )
        self._watches: Watches[Key, Target, _Answer] = Watches(
            manner, targets=self._targets, clock=clock, on_change=on_change, dice=dice, on_answer=self._fold
        )

    async def run(self) -> None:
        """Watch until cancelled; what was allocated then is given back first."""
        try:
            await self._watches.run()
        finally:
            await self._probe.settle()

    def stir(self, relay: str) -> None:
        """Something else looks wrong with this relay, such as calls without media: probe it now."""
        for name, transport in self._targets():
            if name == relay:
                self._watches.stir((name, transport))

    def _stir_others(self, key: Key) -> None:
        for other in self._targets():
            if other[0] == key[0] and other != key:
                self._watches.stir(other)

    def sights(self) -> Mapping[Key, Sight]:
        """What stands of each relay over each transport."""
        return {key: seen.standing.sight for key, seen in self._current().items()}

    def outcomes(self) -> Mapping[Key, Outcome]:
        """What the last probe of each found: stages, latency, warnings."""
        return {key: seen.last for key, seen in self._current().items()}

    def observations(self, observer: str, *, self_doubt: bool = False) -> list[Observation]:
        """What this region says of its relays. The target is "name over transport"."""
        now = self._clock()
        return [
            Observation(
                observer=observer,
                target=f"{name} over {transport.value}",
                verdict=seen.standing.history.verdict,
                heard_age_s=0.0,
                held_s=max(0.0, now - seen.standing.history.since),
                self_doubt=self_doubt,
                detail=seen.standing.history.detail or seen.standing.sight.value,
                tier=Tier.RELAY,
            )
            for (name, transport), seen in self._current().items()
        ]

    def ice_list(self, home: Home) -> IceList:
        """What callers of the home region are offered now; what last worked when nothing answers."""
        known = [watched.relay for watched in self._relays()]
        sights = self.sights()
        found = relays.servers(known, sights, home=home, last_good=self._last_good)
        offered = [sights.get((server.relay, server.transport), Sight.UNSEEN) for server in found.servers]
        if any(sight not in (Sight.ILL, Sight.UNSEEN) for sight in offered):
            self._last_good = found.servers
        return found

    async def offers(self, home: Home, *, user: str, ttl_s: int) -> tuple[list[Offer], list[DriverError]]:
        """The same list with a caller's credentials, and the issuers that gave none: their relays are left out.

        `ttl_s`: longer than the longest call, for some vendors end what is relayed when a credential ends.
        """
        issuers = {watched.relay.name: watched.issuer for watched in self._relays()}
        found = self.ice_list(home).servers
        issued: dict[str, Credential] = {}
        problems: list[DriverError] = []
        for name in dict.fromkeys(issuers[server.relay] for server in found):
            try:
                issued[name] = await self._issuer(name).issue(user, ttl_s=ttl_s)
            except DriverError as e:
                problems.append(e)
        offers = [Offer(each, issued[issuers[each.relay]]) for each in found if issuers[each.relay] in issued]
        return offers, problems

    def _targets(self) -> Mapping[Key, Target]:
        return {
            (watched.relay.name, transport): Target(watched, transport)
            for watched in self._relays()
            for transport in watched.relay.urls
        }

    def _current(self) -> Mapping[Key, _Seen]:
        """Of a relay that was taken away, or whose address changed, nothing is known any more."""
        wanted = self._targets()
        return {key: seen for key, seen in self._seen.items() if wanted.get(key) == seen.target}

    async def _ask(self, target: Target) -> _Answer:
        watched, transport = target.watched, target.transport
        try:
            address = turn_url.parse(watched.relay.urls[transport])
        except ValueError as e:
            return _Answer(target, Outcome(Sight.OUR_FAULT, "address", f"address: {e}"))
        if address.transport is not transport:
            said = f"address: {watched.relay.urls[transport]} is not {transport.value}"
            return _Answer(target, Outcome(Sight.OUR_FAULT, "address", said))
        credentials = _Credentials(self._issuer, watched.issuer, self._user_of(target))
        forbidden = watched.forbidden if self._forbidden_is_due(target) else None
        return _Answer(target, await self._probe.probe(address, credentials, forbidden=forbidden))

    def _user_of(self, target: Target) -> str:
        """Names of its own, in turn: quotas go by name, and coturn counts what was given back for a second more."""
        self._probes += 1
        return f"{self._user}-{target.transport.value}-{self._probes % USERS}"

    def _forbidden_is_due(self, target: Target) -> bool:
        seen = self._of(target)
        if seen is None or Sight.EXPOSED in (seen.last.sight, seen.standing.sight):
            return True
        return self._clock() - seen.forbidden_at >= FORBIDDEN_EVERY_S

    def _of(self, target: Target) -> _Seen | None:
        seen = self._seen.get((target.watched.relay.name, target.transport))
        return seen if seen is not None and seen.target == target else None

    def _fold(self, key: Key, answer: _Answer, after: History) -> None:
        target, outcome = answer.target, answer.outcome
        seen = self._of(target)
        before = seen.standing if seen is not None else Standing(History(since=after.since))
        standing = relays.standing(before, outcome.sight, after=after)
        forbidden_at = seen.forbidden_at if seen is not None else float("-inf")
        if "forbidden" in outcome.elapsed_s:
            forbidden_at = self._clock()
        self._seen[key] = _Seen(target, standing, outcome, forbidden_at)
        if outcome.sight.verdict is Verdict.DOWN and (seen is None or seen.last.sight.verdict is not Verdict.DOWN):
            # Most of what takes one transport away takes the others too.
            self._stir_others(key)
        if standing.sight is not before.sight and after.verdict is before.history.verdict:
            # The verdict did not turn, so that the watch rings no bell.
            self._on_change()


@dataclass(frozen=True, slots=True)
class _Credentials:
    """An issuer's credentials for one user of a prober. An issuer that is not known is a DriverError too."""

    issuers: Callable[[str], Issuer]
    name: str
    user: str

    async def issue(self) -> Credential:
        return await self.issuers(self.name).issue(self.user, ttl_s=PROBE_TTL_S)

    async def another(self, refused: Credential) -> Credential | None:
        return await self.issuers(self.name).another(refused, ttl_s=PROBE_TTL_S)
