"""What concerns one region alone: its providers, its relays, its pods, and what its own operator makes of them.

Driven are the production `providers`, `relays` and `withdrawals`. What a region decides for itself needs no quorum and
moves no region; it may only ask.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.core import providers, relays, withdrawals
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.providers import AttemptLine, Attempts, Breaker, Failure, Rule
from holdfast.core.relays import Home, IceServer, Relay, Sight, Transport
from holdfast.core.values import AgentRef, Reason, Tier, Verdict, Withdrawal
from holdfast.core.withdrawals import AgentHere, LocalView, Standing
from holdfast_gameday.invariants import Invariant
from holdfast_gameday.simulation.ears import Other

if TYPE_CHECKING:
    from holdfast_gameday.simulation.world import World

AGENTS = 4
PODS_WANTED = 2
PROVIDER = "realtime"
UP, DOWN = Verdict.UP, Verdict.DOWN
RULE = Rule()
TRANSPORTS = (Transport.UDP, Transport.TLS)


@dataclass(slots=True)
class _Region:
    """One region's dependencies as they are (counters, because faults overlap) and as its operator sees them."""

    provider_ill: int = 0
    relay_ill: int = 0
    pods_ill: int = 0
    breaker: Breaker = field(default_factory=Breaker)
    standing: Standing = field(default_factory=Standing)
    offered: tuple[IceServer, ...] = ()

    @property
    def quiet(self) -> bool:
        """Nothing is wrong, and nothing was lately."""
        ailing = self.provider_ill or self.relay_ill or self.pods_ill
        return not ailing and self.breaker.closed and not self.breaker.failures and self.standing == Standing()


class Local:
    """Every region's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._regions = {name: _Region() for name in world.zone.members}
        self._carriers: Counter[str] = Counter()
        self._carriers_since: dict[str, float] = {}
        second = (AttemptLine("cascade", "cascade"),) if world.topology.attempts > 1 else ()
        self._attempts = Attempts((AttemptLine("realtime", PROVIDER), *second))
        self._relays = (
            *(Relay(f"turn-{name}", world.zone.residency, _urls(name), name) for name in world.zone.members[:2]),
            Relay("turn-abroad", "us", _urls("abroad")),
        )

    def provider(self, region: str, *, ill: bool) -> None:
        self._regions[region].provider_ill += 1 if ill else -1

    def relay(self, region: str, *, ill: bool) -> None:
        self._regions[region].relay_ill += 1 if ill else -1

    def carrier(self, carrier: str, *, ill: bool) -> None:
        self._carriers[carrier] += 1 if ill else -1
        self._carriers_since[carrier] = self._world.engine.now
        for name in self._world.zone.voters:
            self._world.tell(name)

    def pods(self, region: str, *, ill: bool) -> None:
        self._regions[region].pods_ill += 1 if ill else -1

    def others(self, observer: str) -> tuple[Other, ...]:
        """What an operator tells of the other tiers."""
        carriers = (carrier.name for carrier in self._world.zone.carriers)
        told = [
            Other(name, Tier.CARRIER, DOWN if self._carriers[name] else UP, self._carriers_since.get(name, 0.0))
            for name in carriers
        ]
        if observer in self._regions:
            told.append(Other(PROVIDER, Tier.PROVIDER, self._regions[observer].breaker.verdict, 0.0))
        return tuple(told)

    def asked(self, region: str) -> Withdrawal | None:
        return self._regions[region].standing.told if region in self._regions else None

    def asks_for_s(self, region: str) -> float:
        """How long a region whose provider is well again may still ask: a breaker's cool-down, and its own calm."""
        here = self._regions[region]
        if here.standing.told is None:
            return 0.0
        return max(here.breaker.until - self._world.engine.now, 0.0) + withdrawals.CALM_S + RULE.window_s

    def advance(self) -> None:
        """A few seconds have passed in every region."""
        for name, here in self._regions.items():
            if not here.quiet and self._world.operators[name].awake():
                self._look(name, here)

    def _look(self, name: str, here: _Region) -> None:
        before = (here.breaker.verdict, here.standing.told)
        self._count(here)
        self._order(name, here)
        self._offer(name, here)
        self._wish(name, here)
        if before != (here.breaker.verdict, here.standing.told):
            self._world.tell(name)

    def _count(self, here: _Region) -> None:
        """Calls go on trying the provider, as far as its breaker lets them."""
        now = self._world.engine.now
        if providers.may_try(here.breaker, now):
            here.breaker = providers.tried(here.breaker, now)
            failure = Failure.ERROR if here.provider_ill else None
            here.breaker = providers.observe(here.breaker, failure, now=now, rule=RULE)
        if here.breaker.closed and not here.provider_ill:
            here.breaker = Breaker()

    def _order(self, name: str, here: _Region) -> None:
        sick = providers.ill({PROVIDER: here.breaker})
        order = providers.order(self._attempts, sick, region=name)
        if sorted(order.names) != sorted(line.name for line in self._attempts.lines):
            self._world.judge.breach(Invariant.NEVER_EMPTY, f"the attempts in {name} are {order.names}")
        if sick and len(order.names) > 1 and order.names[0] != "realtime":
            self._world.sometimes["provider order changed"] += 1
        elif sick:
            self._world.sometimes["every provider ill"] += 1

    def _offer(self, name: str, here: _Region) -> None:
        seen = Sight.ILL if here.relay_ill else Sight.WELL
        sights = {(relay.name, transport): seen for relay in self._relays for transport in TRANSPORTS}
        home = Home(self._world.zone.residency, name)
        offer = relays.servers(self._relays, sights, home=home, last_good=here.offered)
        if here.relay_ill:
            self._world.sometimes["relays held"] += 1
        else:
            here.offered = offer.servers
        if not offer.servers or any(server.relay == "turn-abroad" for server in offer.servers):
            self._world.judge.breach(Invariant.RESIDENCY, f"{name} offers {[server.url for server in offer.servers]}")

    def _wish(self, name: str, here: _Region) -> None:
        ready = 0 if here.pods_ill else PODS_WANTED
        agent = AgentHere(ready, PODS_WANTED, 1, self._attempts)
        agents = {AgentRef("clinic", f"agent-{number}"): agent for number in range(AGENTS)}
        view = LocalView(name, agents, providers.ill({PROVIDER: here.breaker}), self._elsewhere(name))
        wished = withdrawals.wish(view, asking=here.standing.told is not None)
        if isinstance(wished, Reason):
            self._world.sometimes[f"not asked {wished.code}"] += 1
        before = here.standing.told
        here.standing = withdrawals.standing(here.standing, wished, now=self._world.engine.now)
        if before is None and here.standing.told is not None:
            self._world.sometimes["withdrawal asked"] += 1
            self._world.story.tell(self._world.engine.now, name, f"asks: {here.standing.told.reason.message}")

    def _elsewhere(self, name: str) -> frozenset[str]:
        """The providers that any other region tells to be ill."""
        operator = self._world.operators[name]
        for peer in operator.peers:
            beat = operator.ears.beat(peer, self._world.mouths[peer])
            heard = beat is not None and operator.ears.age_s(peer) <= HEARD_WITHIN_S
            if heard and beat and any(each.name == PROVIDER and each.verdict is DOWN for each in beat.others):
                return frozenset({PROVIDER})
        return frozenset()


def _urls(name: str) -> dict[Transport, str]:
    return {Transport.UDP: f"turn:turn-{name}.example.com:3478", Transport.TLS: f"turns:turn-{name}.example.com:443"}
