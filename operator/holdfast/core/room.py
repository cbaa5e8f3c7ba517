"""Whether calls would fit where a move sends them, with headroom kept for the unforeseen.

A region that tells nothing of itself has no room. This module does not know whether a move is wanted or allowed.
"""

from __future__ import annotations

from holdfast.core import reasons, weights
from holdfast.core.plans import Move, Turn, View
from holdfast.core.values import Cause, Reason


def elsewhere(move: Move, view: View) -> Reason | None:
    """What is missing in the others for all calls of the zone, were this region to go."""
    left = [name for name in view.able() if name != move.region]
    calls = sum(load.active_calls for name, load in view.loads.items() if name in view.zone.members)
    room = sum(_kept(name, view) for name in left)
    if room >= calls:
        return None
    words = f"without {move.region} the others have room for {room} of {calls} calls, headroom kept"
    return Reason(reasons.CAPACITY, words)


def here(move: Move, view: View, *, whole: bool = False) -> Reason | None:
    """What is missing in the region itself for the calls that it would get, at its next step or at its whole weight.

    One call at least must fit.
    """
    share = 100 if whole else _share_after(move, view)
    calls, room = weights.expected(move.region, view, share=share), _kept(move.region, view)
    if room >= max(calls, 1):
        return None
    return Reason(reasons.CAPACITY, f"at {share} % {move.region} would get {calls} calls and has room for {room}")


def _share_after(move: Move, view: View) -> int:
    """The percentage of its weight that the move gives a region; one that only now joins gets all of it."""
    if move.turn is Turn.BACK:
        return 100 if move.cause is Cause.ABSENT else view.zone.ramp[0]
    following = (view.remembered(move.region).step or 0) + 1
    return 100 if following >= len(view.zone.ramp) else view.zone.ramp[following]


def _kept(region: str, view: View) -> int:
    """Calls it may hold with the headroom kept."""
    load = view.loads.get(region)
    if load is None or load.ready_pods == 0:
        return 0
    return load.capacity * (100 - view.zone.guards.headroom_percent) // 100
