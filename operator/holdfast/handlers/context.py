"""What the handlers depend on, handed in as one value. Nothing here is global and nothing has a default for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast import clock
from holdfast.core.place import Release
from holdfast.core.plans import Plan, View
from holdfast.core.values import AgentRef
from holdfast.desired import Desired
from holdfast.handlers.events import Recorder
from holdfast.kube import Kube


class ReadsSecrets(Protocol):
    """The operator's own Secrets; raises a FleetError that names the Secret when it is not there."""

    async def read(self, name: str) -> Mapping[str, bytes]:
        """All keys of one Secret of the operator's namespace."""
        ...


class StoodDown(Exception):
    """This pod stopped being the active one in the middle of a piece of work; the active one does it."""


@dataclass(frozen=True, slots=True)
class Context:
    """`active` says whether this pod holds its region's lease now; `wall` gives RFC 3339 times for conditions.

    `looks`: each zone as its loop last saw it, and what it made of it. `attempts`: the order in which an agent's are
    tried while that is not the usual one; None: it is, or it is not known.
    """

    kube: Kube
    secrets: ReadsSecrets
    desired: Desired
    release: Release
    active: Callable[[], bool]
    events: Recorder
    wall: Callable[[], str]
    regions: tuple[Mapping[str, Any], ...] = ()  # the fleet as the chart's values tell it
    canary_pods: int = 1
    probe_secret: str = "holdfast-probe"  # noqa: S105 - the name of a Secret, not its value
    clock: Callable[[], float] = clock.now
    looks: Callable[[], Mapping[str, tuple[View, Plan]]] = dict
    attempts: Callable[[AgentRef], Sequence[str] | None] = lambda _: None

    def ensure_active(self) -> None:
        """Asked before each write: only the active pod acts."""
        if not self.active():
            raise StoodDown
