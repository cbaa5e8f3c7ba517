"""How new calls are spread over the regions of a zone, and what does not fit anywhere.

Weights are those of the policy, times the step of the ramp. Standby regions (weight 0) take calls only when no other
can, or when the others have no room. What would overfill a region flows to those with room, and what no region can
take is shed in words. This module does not know why a region serves or does not; it decides no move.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from holdfast.core import reasons
from holdfast.core.plans import Shed, View
from holdfast.core.values import Load, Reason

COARSE = 20  # Weights that follow the room are told in steps of a twentieth, or every call would change them.


def effective(view: View) -> tuple[dict[str, int], Shed | None]:
    """The weight of every region of the zone as the answer to a webhook should use it, and what must be turned away.

    A region keeps its weight until a quorum finds it down, and when all are found down each does: who cannot see, or is
    alone in what he sees, must not empty a route.
    """
    serving = [name for name in view.serving() if not view.tally(name).lost]
    weighted = _weighted(view, serving or view.serving())
    standby = [name for name in serving or view.serving() if name not in weighted]
    chosen = weighted or dict.fromkeys(_apart(standby, view), 1)
    calls = sum(load.active_calls for name, load in view.loads.items() if name in view.zone.members)
    room = _room({*chosen, *standby}, view.loads)
    if room is None:
        return _of_all(view, chosen), None
    placed = filled(calls, chosen, room)
    left = calls - sum(placed.values())
    if left == 0 and placed == proportional(calls, chosen):
        return _of_all(view, chosen), None
    if left > 0:
        placed |= filled(left, {name: 1 for name in standby if name not in placed}, room)
        left = calls - sum(placed.values())
    shed = None
    if left > 0:
        words = f"{left} of {calls} calls of zone {view.zone.name} have no room in {', '.join(placed) or 'any region'}"
        shed = Shed(left, Reason(reasons.CALLS_SHED, words))
    return _of_all(view, _coarse(placed)), shed


def expected(region: str, view: View, *, share: int) -> int:
    """The calls that a region would get at this share of its weight, once the others have their whole weight.

    Were the others counted at their present step, two regions that come back together would each wait for the other.
    """
    weights = {**_weighted(view, view.able(), share=100), **_weighted(view, (region,), share=share)}
    if region not in weights:
        return 0
    calls = sum(load.active_calls for name, load in view.loads.items() if name in view.zone.members)
    return -(-calls * weights[region] // sum(weights.values()))


def filled(calls: int, weights: Mapping[str, int], room: Mapping[str, int]) -> dict[str, int]:
    """Calls by region: by weight, but never above the room; what overflows goes on to those that have some left."""
    full: dict[str, int] = {}
    open_to = dict(weights)
    while True:
        ahead = proportional(calls - sum(full.values()), open_to)
        over = {name: room[name] for name, count in ahead.items() if count > room[name]}
        if not over:
            return {name: {**full, **ahead}[name] for name in weights}
        full |= over
        open_to = {name: weight for name, weight in open_to.items() if name not in over}


def proportional(calls: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole calls by weight; the remainder goes to the first, so that the sum is exact."""
    total = sum(weights.values())
    if total == 0:
        return dict.fromkeys(weights, 0)
    placed = {name: calls * weight // total for name, weight in weights.items()}
    for name in sorted(weights, key=lambda each: -(calls * weights[each] % total))[: calls - sum(placed.values())]:
        placed[name] += 1
    return placed


def _weighted(view: View, names: Iterable[str], *, share: int | None = None) -> dict[str, int]:
    """Policy weight times share, never below 1 where a share is due; standby regions are left out."""
    wanted = {region.name: region.weight for region in view.zone.regions}
    return {
        name: max(1, wanted[name] * (view.share(name) if share is None else share) // 100)
        for name in names
        if wanted[name] > 0
    }


def _apart(standby: list[str], view: View) -> list[str]:
    """Those that share no failure domain with a region that is out, if there are any. "" is shared with nobody."""
    able = view.able()
    out = [known for name, known in view.regions.items() if name in view.zone.members and name not in able]
    struck = {known.failure_domain for known in out} - {""}
    return [name for name in standby if view.regions[name].failure_domain not in struck] or standby


def _room(names: Collection[str], loads: Mapping[str, Load]) -> dict[str, int] | None:
    """None while the load of any of them is unknown, or they have no pods: then there is nothing to reckon with."""
    known = {name: loads[name] for name in names if name in loads}
    if len(known) < len(names) or (known and not any(load.ready_pods for load in known.values())):
        return None
    return {name: load.capacity if load.ready_pods else 0 for name, load in known.items()}


def _coarse(placed: Mapping[str, int]) -> dict[str, int]:
    total = max(sum(placed.values()), 1)
    return {name: -(-count * COARSE // total) for name, count in placed.items()}


def _of_all(view: View, weights: Mapping[str, int]) -> dict[str, int]:
    return {name: weights.get(name, 0) for name in view.zone.members}
