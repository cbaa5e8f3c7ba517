"""How long a region or a carrier stays where it is before it is moved again, and how that grows when it flaps.

Lengths only. Whether a move has to wait at all is for the guards to say.
"""

from __future__ import annotations

from holdfast.core.plans import View
from holdfast.core.values import Cause, Cordon

DOUBLINGS_MAX = 3
FLAPS_FORGIVEN_AFTER_DWELLS = 12


def dwell_s(region: str, cause: Cause, view: View) -> float:
    """How long a cause keeps a region where it is."""
    return grown_s(view.remembered(region).cordons.get(cause), view)


def grown_s(cordon: Cordon | None, view: View) -> float:
    """The zone's dwell, doubled for each time that the cause of this cordon struck again soon after."""
    doublings = min(max((cordon.flaps if cordon else 0) - 1, 0), DOUBLINGS_MAX)
    return view.zone.dwell_s * float(2**doublings)


def flaps(before: Cordon, view: View) -> int:
    """How often a cause has struck, now that it strikes again. After a long calm it is counted anew."""
    forgiven = (before.changed_ago_s or 0.0) >= FLAPS_FORGIVEN_AFTER_DWELLS * view.zone.dwell_s
    return 1 if forgiven else before.flaps + 1


def ramp_step_s(view: View) -> float:
    """How long a region stays at one step of its ramp: the steps together last about one dwell."""
    return view.zone.dwell_s / max(len(view.zone.ramp) - 1, 1)
