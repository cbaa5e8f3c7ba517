"""The parts of `docs/decisions.md` that are the code's own words: its tables, its guards, its reasons, one decision."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import assert_never

from holdfast.core import evidence, explain, failover, guards, reasons, remedies, wants
from holdfast.core.guards import Guard
from holdfast.core.plans import Plan, ReadBack, SetOrigin, Step, StoreMemory, View
from holdfast.core.values import Fence, Observation, OriginState, RegionMemory, Tier, Verdict
from holdfast.core.writes import CODES
from holdfast_gameday.simulation import topology

MOVES = (*CODES.values(), reasons.CALLS_SHED, reasons.CARRIER_ILL, reasons.EVERY_CARRIER_ILL)
NEWLINE = "\n"
BY_HAND = ", or a person names this guard in the Region's spec.override."


def code_of(guard: Guard) -> str:
    """A guard is named for the reason that it gives."""
    code: str = getattr(reasons, guard.__name__.upper())
    return code


def guard_table() -> str:
    """Every guard in the order in which it is asked."""
    rows = (
        (
            f"`{code_of(guard)}`",
            _first_sentence(guard),
            _by_itself(code_of(guard)),
            "yes" if code_of(guard) in reasons.OVERRIDABLE else "",
        )
        for guard in guards.GUARDS
    )
    return _table(("refuses with", "because", "until", "a person may override it"), rows)


def reason_table() -> str:
    """Why something was done, and what would undo it."""
    rows = ((f"`{code}`", remedies.of(code)) for code in MOVES if remedies.of(code) != remedies.NOTHING)
    return _table(("reason", "until"), rows)


def drawn(module: ModuleType) -> str:
    """The table in a module's docstring, as it stands there."""
    indented = re.findall(r"(?:^    .*\n|^\n)+", f"{module.__doc__}\n", re.MULTILINE)
    return _fenced(max(indented, key=len))


def example() -> str:
    """fra is lost: what ams, which leads, is shown and what it answers."""
    return _fenced(told(_loss(Verdict.DOWN)))


def refused() -> str:
    """The same, were fra out of reach for ams alone."""
    return _fenced(told(_loss(Verdict.UP)))


def told(view: View) -> str:
    plan = failover.decide(view, now=0.0)
    return "\n".join((*_heading("seen", _seen(view)), *_heading("decided", _decided(plan, view)),
        *_heading("refused", _refused(plan, view)), *_heading("steps", map(_step, plan.steps)),
        *_heading("beside", _beside(plan))))  # fmt: skip


def _loss(word_of_iad: Verdict) -> View:
    """Two regions and a witness; for ams, the entry of fra has closed its sockets."""
    fleet = topology.build("2+witness", fullness=0.3)
    refused = "connection refused"
    of_iad = (0.7, refused) if word_of_iad is Verdict.DOWN else (3600.0, "")
    said = (
        Observation("ams", "fra", Verdict.DOWN, 0.0, held_s=0.9, detail=refused),
        Observation("iad", "fra", word_of_iad, 0.4, held_s=of_iad[0], detail=of_iad[1]),
        Observation("iad", "ams", Verdict.UP, 0.4, held_s=3600.0),
    )
    return View(
        zone=fleet.zone,
        regions=fleet.regions,
        observations=said,
        origins=tuple(OriginState("edge", name, True, 2.0, 100) for name in fleet.zone.members),
        memory=dict.fromkeys(fleet.zone.members, RegionMemory()),
        heard_ago_s={"ams": 0.0, "iad": 0.4, "fra": 9.0},
        fence=Fence(fleet.zone.name, 8, "ams-pod-1"),
        last_ack_age_s=0.2,
    )


def _seen(view: View) -> Iterable[str]:
    for name in view.zone.members:
        observers = view.zone.observers_of(name)
        for said in explain.testimony(view.observations, target=name, tier=Tier.REGION, observers=observers):
            if said.heard_age_s is None:
                yield f"{said.observer}: has fallen silent"
                continue
            detail = f" ({said.detail})" if said.detail else ""
            told_ago = f"told {said.heard_age_s:g} s ago"
            yield f"{said.observer}: {name} {said.verdict} for {said.held_s:g} s{detail}, {told_ago}"


def _decided(plan: Plan, view: View) -> Iterable[str]:
    for move in plan.moves:
        yield explain.words(move, view)
        yield f"  {move.reason.code}: {move.reason.message}"


def _refused(plan: Plan, view: View) -> Iterable[str]:
    for refusal in plan.refusals:
        yield explain.words(refusal.action, view)
        yield f"  {refusal.reason.code}: {refusal.reason.message}"


def _step(step: Step) -> str:
    match step:
        case StoreMemory():
            return f"store the memory in a majority, under epoch {step.fence.epoch}"
        case SetOrigin():
            return f"turn {step.region} {'on' if step.enabled else 'off'} at {step.lever}, as {step.key}"
        case ReadBack():
            return f"read {step.region} back at {step.lever}"
        case _ as never:
            assert_never(never)


def _beside(plan: Plan) -> Iterable[str]:
    yield "weights of new calls: " + ", ".join(f"{name} {weight}" for name, weight in plan.weights.items())


def _heading(word: str, lines: Iterable[str]) -> Iterable[str]:
    for number, line in enumerate(lines):
        yield f"{word if number == 0 else '':<9} {line}"


def _by_itself(code: str) -> str:
    """What would have to change without a person's word; whether that counts has a column of its own."""
    words = remedies.of(code)
    return f"{words.removesuffix(BY_HAND)}." if words.endswith(BY_HAND) else words


def _first_sentence(guard: Guard) -> str:
    words = " ".join((guard.__doc__ or "").split())
    return words if words.count(".") < 2 else words[: words.index(". ") + 1]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _fenced(text: str) -> str:
    return f"```\n{textwrap.dedent(text).strip(NEWLINE)}\n```"


PARTS: Mapping[str, Callable[[], str]] = {
    "evidence": lambda: drawn(evidence),
    "causes": lambda: drawn(wants),
    "gravity": lambda: drawn(guards),
    "guards": guard_table,
    "reasons": reason_table,
    "example": example,
    "refused": refused,
}
