"""Which pods Kubernetes would take when an agent is given one pod fewer, and whether any of them has a call.

A ReplicaSet sorts its pods and takes from the front:

    1. not assigned to a node    2. pending, then of unknown phase    3. not ready    4. lower pod-deletion-cost
    5. spread over nodes, age and others

A pod that is 90 % full is not ready, so the fullest would go before the idle ones, whatever they cost. Therefore a cost
alone protects nobody: one fewer is allowed only if each pod that might come first has no call by its own fresh word.
What the fifth rule says is not reckoned with: all that are equal up to the fourth might come first. And a pod is not
ready if it says so itself: the API server hears of it seconds later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.core import reasons
from holdfast.core.capacity import PodLoad
from holdfast.core.values import Reason

PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
BUSY_COST = 100
FRESH_S = 12.0  # a pod polls at least every 10 s, and a second after each change of its calls


@dataclass(frozen=True, slots=True)
class SeenPod:
    """One pod as the API server shows it. `leaving`: it is being deleted or has ended, and is no longer counted."""

    name: str
    assigned: bool = True
    phase: str = "Running"
    ready: bool = True
    cost: int = 0
    leaving: bool = False

    @property
    def rank(self) -> tuple[bool, int, bool, int]:
        """The first four rules; the lowest goes first."""
        return (self.assigned, PHASES.get(self.phase, 0), self.ready, self.cost)


def costs(pods: Sequence[SeenPod], loads: Mapping[str, PodLoad]) -> dict[str, int]:
    """What is to be written: pods with calls, and those of which nothing is known, cost more than idle ones."""
    wanted = {pod.name: 0 if _idle(pod.name, loads) else BUSY_COST for pod in pods if not pod.leaving}
    return {pod.name: wanted[pod.name] for pod in pods if not pod.leaving and pod.cost != wanted[pod.name]}


def next_to_go(pods: Sequence[SeenPod]) -> tuple[str, ...]:
    """The pods of which one would go next."""
    counted = [pod for pod in pods if not pod.leaving]
    first = min((pod.rank for pod in counted), default=None)
    return tuple([pod.name for pod in counted if pod.rank == first])


def refuse(
    pods: Sequence[SeenPod], loads: Mapping[str, PodLoad], *, replicas: int, now: float
) -> Reason | None:
    """Why no pod may be taken now, although fewer than `replicas` would do; None: one may."""
    counted = [pod for pod in pods if not pod.leaving]
    if len(counted) != replicas:
        return Reason(reasons.ROLLING_OUT, f"there are {len(counted)} pods and {replicas} are asked for")
    first = dict.fromkeys((*next_to_go(pods), *next_to_go([_as_told(pod, loads) for pod in pods])))
    if stale := [name for name in first if not _fresh(name, loads, now)]:
        return Reason(reasons.PODS_UNHEARD, f"not heard within {FRESH_S:.0f} s: {', '.join(stale)}")
    if busy := [name for name in first if not _idle(name, loads)]:
        return Reason(reasons.BUSY_POD_WOULD_GO, f"has calls, and Kubernetes would take it first: {', '.join(busy)}")
    return None


def _as_told(pod: SeenPod, loads: Mapping[str, PodLoad]) -> SeenPod:
    return replace(pod, ready=pod.ready and loads[pod.name].ready) if pod.name in loads else pod


def _idle(name: str, loads: Mapping[str, PodLoad]) -> bool:
    return name in loads and loads[name].calls == 0


def _fresh(name: str, loads: Mapping[str, PodLoad], now: float) -> bool:
    return name in loads and now - loads[name].heard_at <= FRESH_S
