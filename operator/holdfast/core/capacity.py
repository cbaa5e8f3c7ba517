"""How many bridge pods an agent needs in one region, and when there may be one fewer.

    what is reckoned with           where it comes from
    calls of the agent here         its pods' own word
    calls that are about to come    the weights, as if every region that is on its way out were gone already
    calls of the next loss          the weights once more, without the other region whose loss brings most
    headroom, and spare slots       the policy; a pod that is 90 % full takes no new call
    slots that are none             the free ones of a pod whose event loop runs late with the calls that it has
    pods that are no use            unready for BROKEN_S though neither full nor late; as many more, while any is ready

    replicas     change                                           when
    rise         to all that is needed                            at once
    fall         by one pod, never below the pods with calls      nothing more was needed for STABLE_S, STEP_S after
                                                                  the last step, and nothing is wrong anywhere

Something wrong is an impairment of the zone (`impairment`) or a pod that has not been heard: both count as if all pods
were needed, so that a whole STABLE_S must pass after them. Which pod goes is not decided here, see `scale_down`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast.core import reasons, wants
from holdfast.core.evidence import HEARD_WITHIN_S
from holdfast.core.plans import Turn, View
from holdfast.core.values import NEVER_S, Cause, Load, Reason, Zone

FULL_PERCENT = 90  # of callsPerPod: from there on a pod is unready
SPARE_SLOTS = 2  # the last free one is still free when another pod is asked for
STABLE_S = 300.0
STEP_S = 60.0
BROKEN_S = 60.0  # longer than a pod needs to start
LATE_S = 0.05  # p99 of how late a pod's loop runs: from there on its bridge wants no new calls
LATE_FROM = 4  # a pod with less than this part of its calls is made late by its machine: more pods would not help
LAST_WORD_S = 300.0  # so long the calls of a region that tells nothing any more are taken to be as it last told

Told = Mapping[str, tuple[float, int]]
"""The calls that each region last told of, and when."""

Share = tuple[int, int]
"""A part of a whole: so many of so many."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the spec and the policy allow.

    `ceiling`: the pods that a tenant's share leaves for this agent here. `max_calls`: the tenant's calls in the zone;
    no pods are kept for more, but those that are there all the same have theirs.
    """

    min_pods: int
    max_pods: int
    calls_per_pod: int
    headroom_percent: int = 0
    ceiling: int | None = None
    max_calls: int | None = None

    @property
    def slots(self) -> int:
        """The calls that a pod takes before it is unready."""
        return -(-self.calls_per_pod * FULL_PERCENT // 100)

    @property
    def most(self) -> int:
        return self.max_pods if self.ceiling is None else max(min(self.max_pods, self.ceiling), 1)


@dataclass(frozen=True, slots=True)
class PodLoad:
    """What one pod last said, and when, on the reader's clock. `since`: when it first said so of its readiness.

    `late`: its event loop runs late, LATE_S or more.
    """

    calls: int
    ready: bool
    draining: bool = False
    late: bool = False
    heard_at: float = 0.0
    since: float = 0.0

    def after(self, before: PodLoad | None) -> PodLoad:
        """The same, with what was said before it taken into account."""
        unchanged = before is not None and before.ready == self.ready
        return replace(self, since=before.since if before and unchanged else self.heard_at)

    def same(self, other: PodLoad) -> bool:
        """Whether it says the same, whenever it said so."""
        return replace(self, heard_at=0.0, since=0.0) == replace(other, heard_at=0.0, since=0.0)

    def no_room(self, slots: int) -> int:
        """Free slots that are none, because it carries all that its core can carry."""
        burdened = self.late and not self.draining and self.calls * LATE_FROM >= slots
        return max(slots - self.calls, 0) if burdened else 0


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """What is known of an agent's pods here, by name."""

    pods: Mapping[str, PodLoad] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(pod.calls for pod in self.pods.values())

    @property
    def busy(self) -> int:
        return sum(pod.calls > 0 for pod in self.pods.values())

    @property
    def staying(self) -> int:
        """Pods that are not on their way out."""
        return sum(not pod.draining for pod in self.pods.values())

    def no_room(self, slots: int) -> int:
        return sum(pod.no_room(slots) for pod in self.pods.values())

    def broken(self, slots: int, now: float) -> int:
        """Pods that have been unready for long and not for what they carry; none, when that is true of all pods.

        What all have in common, such as a missing key, more of them would not mend.
        """
        staying = [pod for pod in self.pods.values() if not pod.draining]
        idle = [pod for pod in staying if not pod.ready and pod.calls < slots and not pod.no_room(slots)]
        if len(idle) == len(staying):
            return 0
        return sum(now - pod.since >= BROKEN_S for pod in idle)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What part of a zone's calls one region is to expect: now, and of each other region that might be lost next.

    `in_force`: by the weights that webhooks are answered with. `others`: each other region's own part.
    """

    region: str
    share: Share
    in_force: Share
    others: Mapping[str, Share]
    losses: Mapping[str, Share]


@dataclass(frozen=True, slots=True)
class Due:
    """Calls to have room for: `now`, and `after` the loss of the region `without` which brings most; `here`: held."""

    now: int
    after: int
    without: str = ""
    here: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """What is in force, and the needs of the last STABLE_S: each with when it was last felt, the greatest first.

    `short_at`: when last more was needed than is allowed.
    """

    replicas: int
    recent: tuple[tuple[float, int], ...]
    stepped_at: float
    short_at: float = -NEVER_S


@dataclass(frozen=True, slots=True)
class Wanted:
    """`replicas` are wanted now. `lower`: how many would do, if one can go without harm; None: none may go.

    `held`: why none may go although fewer are needed.
    """

    replicas: int
    reason: Reason
    lower: int | None = None
    held: Reason | None = None


def outlook(region: str, view: View, *, in_force: Mapping[str, int]) -> Outlook:
    """`in_force`: the plan's weights. The region itself is always reckoned with: it must be able before it serves."""
    leaving = _leaving(view)
    staying = [name for name in view.serving() if name not in leaving and name != region]
    everybody = (region, *staying)
    told = {name: weight for name, weight in in_force.items() if weight > 0}
    return Outlook(
        region=region,
        share=_share(region, everybody, view.zone),
        in_force=(told.get(region, 0), max(sum(told.values()), 1)),
        others={name: _share(name, everybody, view.zone) for name in staying},
        losses={name: _share(region, [each for each in everybody if each != name], view.zone) for name in staying},
    )


def due(calls: Mapping[str, int], seen: Outlook) -> Due:
    """`calls`: by region, those of the agent or what is known of them. Calls are never lost, so no sum exceeds them."""
    total = sum(calls.values())
    now = max(calls.get(seen.region, 0), _part(total, seen.share), _part(total, seen.in_force))
    after = {
        name: min(total, now + _part(max(calls.get(name, 0), _part(total, seen.others[name])), share))
        for name, share in seen.losses.items()
    }
    worst = max(after, key=lambda name: after[name], default="")
    return Due(now, max(now, after.get(worst, 0)), worst, calls.get(seen.region, 0))


def last_told(before: Told, loads: Mapping[str, Load], now: float) -> Told:
    """A region that is lost tells nothing, and its calls are the very ones that are about to come."""
    kept = {name: said for name, said in before.items() if now - said[0] <= LAST_WORD_S}
    return {**kept, **{name: (now, load.active_calls) for name, load in loads.items()}}


def of_agent(here: int, region: str, totals: Mapping[str, int], *, agents: int) -> dict[str, int]:
    """An agent's calls by region, where only its own here and each region's sum are known.

    A region sends all its agents' calls by the same weights, so an agent's part is the same everywhere. Where it has
    few calls here that says little, and an even part is reckoned with if that is more.
    """
    own = totals.get(region, 0)
    parts = {
        name: max(_part(calls, (here, own)) if own else 0, _part(calls, (1, max(agents, 1))))
        for name, calls in totals.items()
        if name != region
    }
    return {**parts, region: here}


def pods_for(calls: int, limits: Limits) -> int:
    """Pods that carry so many calls with headroom and a spare slot, whatever the spec's bounds."""
    with_headroom = -(-calls * 100 // (100 - limits.headroom_percent))
    return -(-max(calls + SPARE_SLOTS, with_headroom) // limits.slots)


def asked(expected: Due, limits: Limits, *, broken: int = 0, no_room: int = 0) -> int:
    """What the calls ask for, whatever the maximum. Broken pods are made up for, but at most by as many again."""
    calls = expected.after if limits.max_calls is None else max(expected.here, min(expected.after, limits.max_calls))
    sound = max(limits.min_pods, pods_for(calls + no_room, limits))
    return sound + min(broken, sound)


def needed(expected: Due, limits: Limits, *, broken: int = 0, no_room: int = 0) -> int:
    """The same within the bounds. A ceiling may lie below the minimum: the tenant's share binds first."""
    return min(asked(expected, limits, broken=broken, no_room=no_room), limits.most)


def wanted_replicas(
    load: AgentLoad,
    limits: Limits,
    expected: Due,
    *,
    live: int,
    memory: Memory | None,
    hold: Reason | None,
    now: float,
) -> tuple[Wanted, Memory]:
    """One look. `live`: what the Deployment says now. `hold`: what is wrong, if anything.

    Somebody who set more by hand is followed at first, and somebody who set fewer is not: pods with calls would go.
    """
    before = max(live, memory.replicas if memory else 0)
    broken, no_room = load.broken(limits.slots, now), load.no_room(limits.slots)
    need = needed(expected, limits, broken=broken, no_room=no_room)
    replicas = max(before, need)
    hold = hold or _incomplete(load, before)
    recent = _noted(memory.recent if memory else ((now, replicas),), now, replicas if hold else need)
    short_at = memory.short_at if memory else -NEVER_S
    if asked(expected, limits, broken=broken, no_room=no_room) > limits.most:
        short_at = now
    memory = Memory(replicas, recent, memory.stepped_at if memory else now, short_at)
    settled = max(count for _, count in recent)
    lower = replicas - 1 if settled < replicas > max(load.busy, 1) and now - memory.stepped_at >= STEP_S else None
    wanted = Wanted(replicas, _why(limits, short=now - short_at < STABLE_S), lower, hold if need < replicas else None)
    return wanted, memory


def lowered(memory: Memory, now: float) -> Memory:
    """One pod fewer is in force: the next may go only after a while."""
    return replace(memory, replicas=memory.replicas - 1, stepped_at=now)


def impairment(region: str, view: View | None) -> Reason | None:
    """What is wrong in the zone, as far as it speaks against removing a pod in this region.

    A region that has not joined yet, or lies outside the residency, carried no calls that others now carry.
    """
    if view is None:
        return Reason(reasons.NOT_LOOKED, "the zone was not looked at yet")
    if view.paused or view.zone.paused:
        return Reason(reasons.PAUSED, f"zone {view.zone.name} is paused: {view.paused or 'by its policy'}")
    if any(seen.self_doubt for seen in view.observations if seen.observer == region):
        return Reason(reasons.OBSERVER_DOUBTS, f"{region} doubts its own connection")
    leaving = _leaving(view)
    for name in view.zone.members:
        if words := _wrong_with(name, view, leaving) or _unheard(name, region, view):
            return Reason(reasons.INCIDENT, words)
    if back := [name for name, cordon in sorted(view.carriers.items()) if cordon.stands]:
        return Reason(reasons.INCIDENT, f"carriers are set back: {', '.join(back)}")
    return None


def reordered(order: Sequence[str]) -> Reason:
    """An agent whose attempts are not tried in their usual order has a provider in trouble."""
    tried = ", ".join(order) or "none"
    return Reason(reasons.INCIDENT, f"attempts are tried in another order than the spec's: {tried}")


def _leaving(view: View) -> frozenset[str]:
    """Regions that anything speaks against by now, whether or not they may go."""
    return frozenset([move.region for move in wants.moves(view) if move.turn is Turn.OUT])


def _wrong_with(name: str, view: View, leaving: frozenset[str]) -> str:
    remembered = view.remembered(name)
    if not _carried(name, view):
        return ""
    if remembered.standing:
        return f"{name} is cordoned"
    if remembered.step is not None:
        return f"{name} is on its ramp"
    return f"{name} is in trouble, or about to leave" if name in leaving else ""


def _unheard(name: str, region: str, view: View) -> str:
    if name == region or not _carried(name, view):
        return ""
    heard = name in view.loads and view.heard_ago_s.get(name, NEVER_S) <= HEARD_WITHIN_S
    return "" if heard else f"{name} is not heard"


def _carried(name: str, view: View) -> bool:
    """Whether calls of the zone were ever in the region."""
    return view.legal(name) and view.joined(name) and Cause.ABSENT not in view.remembered(name).standing


def _incomplete(load: AgentLoad, replicas: int) -> Reason | None:
    if load.staying >= replicas:
        return None
    return Reason(reasons.PODS_UNHEARD, f"only {load.staying} of {replicas} pods have told of their calls")


def _noted(recent: tuple[tuple[float, int], ...], now: float, need: int) -> tuple[tuple[float, int], ...]:
    """Needs that a later one outweighs are forgotten, and so are those of long ago."""
    kept = [(at, count) for at, count in recent if count > need and now - at < STABLE_S]
    return (*kept, (now, need))


def _why(limits: Limits, *, short: bool) -> Reason:
    """Being short is told for as long as pods are kept, so that a condition does not swing with each call."""
    if not short:
        return Reason(reasons.FOLLOWS_CALLS, "as many pods as calls, headroom and the next loss ask for")
    bound = "spec.replicas.max" if limits.most == limits.max_pods else "the tenant's maxReplicas"
    words = f"calls, headroom and the next loss ask for more pods than the {limits.most} of {bound}"
    return Reason(reasons.AT_MAXIMUM, words)


def _share(region: str, among: Sequence[str], zone: Zone) -> Share:
    """A region's part by the policy's weights; standby regions get a part only when no other is left."""
    weights = {each.name: each.weight for each in zone.regions if each.name in among and each.weight > 0}
    if not weights:
        return (1, len(among))
    return (weights.get(region, 0), sum(weights.values()))


def _part(calls: int, share: Share) -> int:
    return -(-calls * share[0] // share[1])
