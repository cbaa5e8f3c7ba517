"""What a bridge believes of a directive: it may reorder and exclude what agent.json lists, never add to it."""

from __future__ import annotations

import msgspec
from control_builders import built

from holdfast_bridge.core import directive
from holdfast_bridge.core.directive import Cause, Directive, Trial

AGENT = built(attempts=[{"name": name, "kind": "loopback"} for name in ("a", "b", "c")]).agent
STAGES = {role: {"kind": "x"} for role in ("hearing", "thinking", "speaking")}
CASCADED = built(attempts=[{"name": "a", "kind": "loopback"}, {"name": "c", "kind": "cascade", **STAGES}]).agent


def names(*order: str, barred: tuple[str, ...] = (), last: tuple[str, ...] = ()) -> list[str]:
    return [attempt.name for attempt in directive.in_order(AGENT, order, barred, last=last).attempts]


def restored(before: str, now: str, *causes: str, version: int = 2) -> str | None:
    """The orders are given as one letter each."""
    then = Directive(version=version, attempts=tuple(now), reasons=tuple(Cause(code) for code in causes))
    found = directive.restored(AGENT, Directive(version=1, attempts=tuple(before)), then)
    return None if found is None else found.name


def test_what_is_barred_is_gone_and_what_is_not_named_comes_last() -> None:
    assert names("c", barred=("a",)) == ["c", "b"]
    assert names("c", "a", barred=("c",)) == ["a", "b"]
    assert names(barred=("a", "b", "c")) == []


def test_what_this_pod_passes_by_goes_behind_and_is_not_dropped() -> None:
    assert names("a", "b", "c", last=("a",)) == ["b", "c", "a"]
    assert names("c", "b", "a", last=("b", "c")) == ["a", "c", "b"]
    assert names("b", "a", last=("a", "b", "c")) == ["b", "a", "c"]
    assert names("b", "a", "c", barred=("a",), last=("b",)) == ["c", "b"]
    assert directive.in_order(AGENT, ("a", "b", "c"), last=("c",)) is AGENT


def test_an_attempt_that_the_operator_puts_first_again_is_well() -> None:
    assert restored("bca", "abc") == "a"
    assert restored("cab", "abc") == "a"
    assert restored("cab", "bca", "AttemptIll") == "b"


def test_an_attempt_that_is_first_because_others_fell_ill_is_not_restored() -> None:
    assert restored("abc", "bca", "AttemptIll") is None
    assert restored("bac", "cab", "AttemptIll", "AttemptIll") is None
    assert restored("bca", "abc", "AllAttemptsIll") is None, "they are tried as the spec has them, for none is well"


def test_what_stays_or_was_not_there_is_not_restored() -> None:
    assert restored("abc", "abc") is None
    assert restored("bca", "abc", version=1) is None, "it is the same directive, and the files are others"
    assert restored("bc", "abc") is None, "it was barred, not ill"


def test_a_trial_names_a_part() -> None:
    trials = tuple(Trial(name, 1) for name in ("a", "c/thinking", "c", "c/nothing", "a/thinking"))
    within = directive.within_zone(Directive(version=1, trials=trials), CASCADED)
    assert [trial.attempt for trial in within.trials] == ["a", "c/thinking"]


def test_trials_and_bars_of_attempts_that_are_not_listed_are_dropped() -> None:
    told = Directive(version=1, barred=("b", "x"), trials=(Trial("a", 1), Trial("x", 2)))
    within = directive.within_zone(told, AGENT)
    assert (within.barred, within.trials) == (("b",), (Trial("a", 1),))


def test_an_operator_that_knows_nothing_of_bars_and_trials_is_understood() -> None:
    older = {"version": 3, "buddy": None, "regions": [], "attempts": ["b"], "drain": None, "lost": []}
    told = directive.decode(msgspec.json.encode(older))
    assert told is not None
    assert (told.attempts, told.barred, told.trials, told.reasons) == (("b",), (), (), ())
