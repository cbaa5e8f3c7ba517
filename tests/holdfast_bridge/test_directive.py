"""What a bridge believes of a directive: it may reorder and exclude what agent.json lists, never add to it."""

from __future__ import annotations

import msgspec
from control_builders import built

from holdfast_bridge.core import directive
from holdfast_bridge.core.directive import Directive, Trial

AGENT = built(attempts=[{"name": name, "kind": "loopback"} for name in ("a", "b", "c")]).agent


def names(*order: str, barred: tuple[str, ...] = ()) -> list[str]:
    return [attempt.name for attempt in directive.in_order(AGENT, order, barred).attempts]


def test_what_is_barred_is_gone_and_what_is_not_named_comes_last() -> None:
    assert names("c", barred=("a",)) == ["c", "b"]
    assert names("c", "a", barred=("c",)) == ["a", "b"]
    assert names(barred=("a", "b", "c")) == []


def test_trials_and_bars_of_attempts_that_are_not_listed_are_dropped() -> None:
    told = Directive(version=1, barred=("b", "x"), trials=(Trial("a", 1), Trial("x", 2)))
    within = directive.within_zone(told, AGENT)
    assert (within.barred, within.trials) == (("b",), (Trial("a", 1),))


def test_an_operator_that_knows_nothing_of_bars_and_trials_is_understood() -> None:
    older = {"version": 3, "buddy": None, "regions": [], "attempts": ["b"], "drain": None, "lost": []}
    told = directive.decode(msgspec.json.encode(older))
    assert told is not None
    assert (told.attempts, told.barred, told.trials, told.reasons) == (("b",), (), (), ())
