"""What the callers of the bench say, and what is made of what they heard: turns whose words are said once only.

A turn is heard when its first sound has come to the play-out, because a carrier's clock of 20 ms would hide what is
shorter than that. The caller hears it with the next tick: 10 ms later, and 20 ms for the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast_gameday.bench_latency.figures import Heard
from holdfast_gameday.bench_latency.stages import Stages
from holdfast_gameday.world.callers_script import Ask, Step, Tell, Turn

_TOOL = "book "
_DONE = "booked B1"
"""The model's word, and how the tool's numbers begin: a tool that was refused is heard to be."""


def turns(caller: str, count: int) -> list[Step]:
    """So many of each kind, in turn. `caller`: unlike any other's."""
    steps: list[Step] = []
    for number in range(count):
        steps += (Tell(f"hello {caller} {number}"), Ask(f"{_TOOL}{caller} {number}", _DONE))
    return steps


def heard(said: Sequence[Turn], sounds_at: Sequence[float], stages: Stages) -> list[Heard]:
    """The turns that were answered at the first time of asking. `sounds_at`: when sound came into a silence."""
    found = []
    for turn in said:
        decided_at = stages.decided_at.get(turn.question)
        if turn.answered_at is None or turn.attempts > 1 or decided_at is None:
            continue
        first = next((at for at in sounds_at if turn.asked_at < at < turn.answered_at), None)
        if first is not None:
            tool = turn.question.startswith(_TOOL)
            found.append(Heard(first - turn.asked_at, decided_at - turn.asked_at, tool))
    return found
