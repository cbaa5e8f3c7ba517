"""Which region of the zone carries a call's media, and which one the carrier asks next.

Pure. Candidates come from the zone's own list, so a region outside it cannot be chosen. The choice is stable: it hangs
on the call id and the weights alone, so a webhook that is asked twice names the same region twice.

    preference   serves   reachable   able   weight
    1            yes      yes         yes    > 0      by weight
    2            yes      yes         yes    0        a standby, only when there is no other
    3            any      yes         yes    any      cordoned but alive beats silence
    4            own region: it is answering this very request, so it is known to be alive
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_bridge.agent_config import AgentConfig
from holdfast_bridge.core.directive import Directive


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One region of the zone as this pod sees it now."""

    name: str
    host: str
    weight: int
    serving: bool
    reachable: bool
    able: bool


def candidates(
    config: AgentConfig, directive: Directive, *, unreachable: frozenset[str], own_able: bool
) -> tuple[Candidate, ...]:
    """`unreachable`: regions this pod itself cannot reach; `own_able`: false when no attempt can work here."""
    states = {state.name: state for state in directive.regions}
    lost = frozenset(directive.lost) | unreachable
    found: list[Candidate] = []
    for entry in config.regions:
        state = states.get(entry.name)
        own = entry.name == config.region
        found.append(
            Candidate(
                name=entry.name,
                host=entry.host,
                weight=entry.weight if state is None else state.weight,
                serving=state is None or state.serving,
                reachable=own or entry.name not in lost,
                able=own_able if own else True,
            )
        )
    return tuple(found)


def media_region(call: str, among: Sequence[Candidate], *, own: str, prefer_own: bool) -> Candidate:
    """The region whose bridges get the audio of this call."""
    own_candidate = next(candidate for candidate in among if candidate.name == own)
    fit = [candidate for candidate in among if candidate.reachable and candidate.able]
    serving = [candidate for candidate in fit if candidate.serving]
    if prefer_own and own_candidate in serving:
        return own_candidate
    for tier in ([c for c in serving if c.weight > 0], serving, fit):
        if tier:
            return _by_weight(call, tier)
    return own_candidate


def next_region(call: str, media: Candidate, among: Sequence[Candidate], *, own: str, buddy: str | None) -> Candidate:
    """The region the carrier is to ask when the stream in `media` ends.

    For a stream elsewhere that is this region, which is certainly alive. For a stream here it is the buddy, which has
    the journal; a buddy known to be gone is replaced by another living region, and in the end by this one.
    """
    own_candidate = next(candidate for candidate in among if candidate.name == own)
    if media.name != own:
        return own_candidate
    others = [candidate for candidate in among if candidate.name != own and candidate.reachable]
    named = next((candidate for candidate in others if candidate.name == buddy), None)
    if named is not None:
        return named
    serving = [candidate for candidate in others if candidate.serving]
    return _by_weight(call, serving or others) if others else own_candidate


def _by_weight(call: str, tier: Sequence[Candidate]) -> Candidate:
    """Weighted rendezvous hashing: a region that leaves moves only its own calls."""
    return max(tier, key=lambda candidate: (_score(call, candidate), candidate.name))


def _score(call: str, candidate: Candidate) -> float:
    digest = hashlib.sha256(f"{call}\0{candidate.name}".encode()).digest()
    fraction = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
    return -max(candidate.weight, 1) / math.log(fraction) if fraction < 1 else math.inf
