"""What the loss of each region, provider, relay and carrier would do right now, and whether it would be survived.

    lost         what takes over                           survived when
    a region     those of the others that have a weight,   they are seen up and have room for its calls, and the votes
                 else the standby regions                  that are left are a majority
    a provider   each agent's next attempt, per region     every agent that uses it has one that is well
    a relay      the region's ICE servers without it       any is left
    a carrier    the others, in their order                any is left

It is reckoned from what is seen now, not from what is configured: a standby that is down takes nothing over. What is
not handed in is not judged. Nothing is decided here, and no game day is needed to know it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.core import reasons, remedies
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.plans import View
from holdfast.core.providers import AttemptLine, Attempts
from holdfast.core.relays import IceList
from holdfast.core.values import NEVER_S, AgentRef, Reason, Tier

NAMED = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that might be lost. `survived` None: that is not known. `instead`: what would take over."""

    tier: Tier
    target: str
    survived: bool | None
    instead: tuple[str, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Providers:
    """Every agent's attempts, and for each region the providers and keys that are ill there."""

    agents: Mapping[AgentRef, Attempts]
    sick_in: Mapping[str, frozenset[str]]


def losses(
    view: View,
    *,
    providers: Providers | None = None,
    relays: Mapping[str, IceList] | None = None,
    carriers: Sequence[str] | None = None,
) -> tuple[Loss, ...]:
    """The gravest tier first. `relays`: what callers of each region are offered; `carriers`: their order in force."""
    return (
        *_regions(view),
        *(_providers(providers) if providers else ()),
        *(_relays(relays) if relays else ()),
        *(_carriers(carriers) if carriers else ()),
    )


def gaps(found: Sequence[Loss]) -> tuple[Loss, ...]:
    """What would not be survived, the worst first."""
    return tuple([loss for loss in found if loss.survived is False])


def picture(found: Sequence[Loss]) -> list[dict[str, Any]]:
    """The same as plain data, for whoever shows it. What is not known is left out: no status takes a null."""
    return [_pictured(loss) for loss in found]


def _pictured(loss: Loss) -> dict[str, Any]:
    return {
        "tier": loss.tier.value,
        "target": loss.target,
        **({} if loss.survived is None else {"survived": loss.survived}),
        "instead": list(loss.instead),
        "reason": loss.reason.code,
        "message": loss.reason.message,
        "remedy": remedies.of(loss.reason.code),
    }


def _regions(view: View) -> Iterator[Loss]:
    legal = [name for name in view.zone.members if view.legal(name)]
    for name in filter(view.serving().__contains__, legal):
        if len(legal) == 1:
            words = "the zone has one region: its loss is survived at the carrier only"
            yield Loss(Tier.REGION, name, False, (), Reason(reasons.ONE_REGION, words))
        else:
            yield _region(name, view)


def _region(name: str, view: View) -> Loss:
    takers = _takers(name, view)
    if not takers:
        unseen = all(not view.tally(other).down for other in view.serving() if other != name)
        words = f"without {name} no other region serves that is seen up"
        survived = None if unseen and len(view.serving()) > 1 else False
        return Loss(Tier.REGION, name, survived, (), Reason(reasons.NO_OTHER_REGION, words))
    if name not in view.loads:
        return Loss(Tier.REGION, name, None, takers, Reason(reasons.LOAD_UNKNOWN, f"{name} does not tell its calls"))
    calls = view.loads[name].active_calls
    rooms = [view.loads[other].room for other in view.able() if other != name and _ready(other, view)]
    if not rooms or sum(rooms) < calls:
        words = f"without {name} the others have room for {_tenths(sum(rooms), calls)} of its calls"
        return Loss(Tier.REGION, name, False, takers, Reason(reasons.NOT_ENOUGH_PODS, words))
    if reason := _no_majority(name, view):
        return Loss(Tier.REGION, name, False, takers, reason)
    words = f"without {name} its calls have room in {', '.join(takers)}"
    return Loss(Tier.REGION, name, True, takers, Reason(reasons.ENOUGH_PODS, words))


def _takers(name: str, view: View) -> tuple[str, ...]:
    able = [other for other in view.able() if other != name]
    weighted = [region.name for region in view.zone.regions if region.weight > 0 and region.name in able]
    return tuple(weighted or able)


def _ready(name: str, view: View) -> bool:
    return name in view.loads and view.loads[name].ready_pods > 0


def _tenths(room: int, calls: int) -> str:
    """In steps of a tenth, or a condition would be written anew with each call."""
    return f"{room * 10 // calls * 10} %" if calls else "none"


def _no_majority(name: str, view: View) -> Reason | None:
    zone = view.zone
    if len(zone.voters) == 2:
        return Reason(reasons.NO_WITNESS, f"without {name} one vote of two is left, which is no majority")
    left = [voter for voter in zone.voters if voter != name and view.heard_ago_s.get(voter, NEVER_S) <= HEARD_WITHIN_S]
    if len(left) >= zone.majority:
        return None
    words = f"without {name} {len(left)} of {len(zone.voters)} votes are left and {zone.majority} are needed"
    return Reason(reasons.NO_MAJORITY, f"{words}: routing would be held as it is")


def _providers(told: Providers) -> Iterator[Loss]:
    """Equal lists are looked at once, however many agents have them."""
    having: dict[Attempts, list[AgentRef]] = defaultdict(list)
    for ref, attempts in told.agents.items():
        having[attempts].append(ref)
    following: dict[str, set[str]] = defaultdict(set)
    bare: dict[str, dict[AgentRef, str]] = defaultdict(dict)
    for region, sick in told.sick_in.items():
        for attempts, agents in having.items():
            well = [line for line in attempts.permitted(region) if not line.ailing(sick)]
            for provider in {part.provider for line in well for part in line.parts}:
                after = _next(provider, well)
                if after:
                    following[provider].add(after)
                else:
                    bare[provider].update(dict.fromkeys(agents, region))
    for provider in sorted(following.keys() | bare.keys(), key=lambda name: (-len(bare.get(name, ())), name)):
        yield _provider(provider, tuple(sorted(following[provider])), bare.get(provider, {}))


def _next(provider: str, well: Sequence[AttemptLine]) -> str:
    others = (line for line in well if all(part.provider != provider for part in line.parts))
    return next((line.name for line in others), "")


def _provider(provider: str, instead: tuple[str, ...], bare: Mapping[AgentRef, str]) -> Loss:
    if not bare:
        words = f"without {provider} calls go on with {', '.join(instead)}"
        return Loss(Tier.PROVIDER, provider, True, instead, Reason(reasons.OTHER_ATTEMPT, words))
    some = ", ".join(f"{ref} in {region}" for ref, region in sorted(bare.items())[:NAMED])
    more = f" and {len(bare) - NAMED} more" if len(bare) > NAMED else ""
    words = f"without {provider} no other attempt is well for {some}{more}"
    return Loss(Tier.PROVIDER, provider, False, instead, Reason(reasons.NO_OTHER_ATTEMPT, words))


def _relays(offered: Mapping[str, IceList]) -> Iterator[Loss]:
    names = sorted({server.relay for each in offered.values() for server in each.servers})
    for name in names:
        using = {region: each for region, each in offered.items() if name in {one.relay for one in each.servers}}
        left = {region: sorted({one.relay for one in each.servers} - {name}) for region, each in using.items()}
        instead = tuple(sorted({relay for others in left.values() for relay in others}))
        bare = sorted(region for region, others in left.items() if not others)
        if bare:
            words = f"without {name} callers of {', '.join(bare)} are offered no relay"
            yield Loss(Tier.RELAY, name, False, instead, Reason(reasons.NO_OTHER_RELAY, words))
        else:
            words = f"without {name} callers are offered {', '.join(instead)}"
            yield Loss(Tier.RELAY, name, True, instead, Reason(reasons.OTHER_RELAY, words))


def _carriers(order: Sequence[str]) -> Iterator[Loss]:
    for name in order:
        left = tuple(other for other in order if other != name)
        if left:
            words = f"without {name} the order is {', '.join(left)}; numbers that lie with it are out of reach"
            yield Loss(Tier.CARRIER, name, True, left, Reason(reasons.OTHER_CARRIER, words))
        else:
            words = f"{name} is the only carrier"
            yield Loss(Tier.CARRIER, name, False, (), Reason(reasons.NO_OTHER_CARRIER, words))
