"""Which host the numbers and applications of a zone name: the edge's, or a region's own when the edge cannot be moved.

Carriers ask the zone's host, behind which the edge picks a region. Where the policy also names a lever that points
(applications, numbers), that lever takes over from the edge: each address then names a region that serves.

    the zone has            the edge                                    the first address names
    an edge                 reads as wanted                             the zone's host
    an edge                 was refused, or is unknown, for HELD_S      the first region that is able
                            while a region that is out is still on
    no edge                                                             the first region that is able

Back to the edge goes a zone only when the edge reads as wanted again. The second address is `fallback`'s to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.core import reasons
from holdfast.core.means import Lever
from holdfast.core.plans import View
from holdfast.core.values import Reason

HELD_S = 3.0


@dataclass(frozen=True, slots=True)
class Pointing:
    """The host that the first address names, and why. `region` None: the edge's host, which is the zone's."""

    host: str
    region: str | None
    reason: Reason

    @property
    def direct(self) -> bool:
        return self.region is not None


def choose(view: View, held_s: Mapping[str, float]) -> Pointing:
    """`held_s`: for how long now each lever has been `stuck`."""
    edges = [lever for lever in view.zone.levers if lever.edge and not lever.points and not lever.dry_run]
    pointers = [lever for lever in view.zone.levers if lever.points and not lever.dry_run]
    to_edge = f"calls reach {view.zone.name} by {view.zone.host}"
    if not pointers:
        return Pointing(view.zone.host, None, Reason(reasons.BY_EDGE, to_edge))
    if edges:
        gone = [lever.name for lever in edges if held_s.get(lever.name, 0.0) >= HELD_S and stuck(lever, view)]
        if len(gone) < len(edges):
            return Pointing(view.zone.host, None, Reason(reasons.BY_EDGE, to_edge))
        why = f"lever {gone[0]} was refused or unknown for {held_s[gone[0]]:.0f} s"
        return _direct(view, Reason(reasons.EDGE_BYPASSED, why))
    return _direct(view, Reason(reasons.NO_EDGE, f"{view.zone.name} has no lever at the edge"))


def stuck(lever: Lever, view: View) -> bool:
    """Whether it sends calls where none may go, or may do so."""
    serving = view.serving()
    out = [name for name in view.zone.members if name not in serving and lever.name in view.levers_of(name)]
    return any(view.enabled(lever.name, name) is not False for name in out)


def _direct(view: View, why: Reason) -> Pointing:
    """Among the regions that may take calls; an empty zone names its own host, behind which nothing answers."""
    able = view.able() or view.serving()
    if not able:
        return Pointing(view.zone.host, None, Reason(why.code, f"{why.message}; no region serves"))
    first = able[0]
    words = f"{why.message}, so numbers and applications name {first} itself"
    return Pointing(view.regions[first].host, first, Reason(why.code, words))
