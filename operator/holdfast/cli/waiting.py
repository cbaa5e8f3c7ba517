"""Waiting until the fleet has done what was ordered, or says why not. Time is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from holdfast.cli.exits import Failure
from holdfast.cli.order import Ordered
from holdfast.cli.overview import Held, Overview
from holdfast.cli.status import Clock
from holdfast.core import reasons
from holdfast.core.status import ACTION_HELD

EVERY_S = 1.0
SETTLED_S = 4.0  # by then a leader has decided with the order before it; what is held back earlier may be older


def wait(told: Ordered, looked: Callable[[], Overview], *, timeout_s: float, clock: Clock) -> Ordered:
    """The same order with its outcome: done, refused or timed-out."""
    began = clock.now()
    saw = ""
    while True:
        passed_s = clock.now() - began
        try:
            seen = looked()
        except Failure as e:
            saw = str(e)
        else:
            if _reached(told, seen):
                return replace(told, outcome="done", words=f"{told.words}; {_state(told, seen)}")
            saw = _state(told, seen)
            refusal = _refusal(told, seen)
            if refusal is not None and passed_s >= SETTLED_S:
                return _refused(told, refusal)
        if passed_s >= timeout_s:
            words = f"{told.words}; not done after {timeout_s:.0f} s: {saw}"
            more = f"kubectl holdfast explain region/{told.region}"
            return replace(told, outcome="timed-out", words=words, next=more)
        clock.sleep(min(EVERY_S, max(timeout_s - passed_s, 0.01)))


def _refused(told: Ordered, refusal: Held) -> Ordered:
    """The order stands: it is carried out as soon as the guard allows, unless it is taken back."""
    stays = "" if told.verb == "uncordon" else "; the order stands and waits until it ends or is taken back"
    return replace(
        told, outcome="refused", words=f"refused: {refusal.reason}: {refusal.message}{stays}",
        next=f"kubectl holdfast explain region/{told.region}",
    )  # fmt: skip


def _reached(told: Ordered, seen: Overview) -> bool:
    row = next((row for row in seen.regions if row.name == told.region), None)
    if row is None:
        return False
    if told.verb == "uncordon":
        return row.serving is True
    return row.serving is False and (told.verb == "cordon" or row.calls == 0)


def _state(told: Ordered, seen: Overview) -> str:
    row = next((row for row in seen.regions if row.name == told.region), None)
    if row is None:
        return "nobody shows the region"
    calls = "an unknown number of" if row.calls is None else str(row.calls)
    return f"serving: {row.words}, {calls} calls in flight"


def _refusal(told: Ordered, seen: Overview) -> Held | None:
    """What holds back an action on the region; without a majority nothing is decided at all."""
    zones = next((row.zones for row in seen.regions if row.name == told.region), ())
    no_majority = (reasons.NO_MAJORITY, reasons.NO_WITNESS)
    for each in seen.held:
        held_back = each.about == told.region and each.kind == ACTION_HELD
        if held_back or (each.about in zones and each.reason in (*no_majority, reasons.PAUSED)):
            return each
    return None
