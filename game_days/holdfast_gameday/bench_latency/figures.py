"""What was heard, as figures: percentiles of each column, our share, and which promises are not kept. Pure.

Our share is the difference of two columns at the same percentile: both hear the same stages, on one clock, side by
side. The promises are those of the design.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_gameday.result import percentile

SHARE_P95_MAX_MS = 20
TURN_P50_MAX_MS = 500
TOOL_P50_MAX_MS = 1000
FIRST_TOKEN_P95_MAX_MS = 800
FIRST_AUDIO_P95_MAX_MS = 1400
ENOUGH = 20
"""Turns without which a p95 is one turn's luck."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One turn, in seconds. `voice_to_voice`: from the caller's last sound to the agent's first. `decided_after`: how
    long after the caller's last sound the ear was sure that the turn was over."""

    voice_to_voice: float
    decided_after: float
    tool: bool

    @property
    def turn(self) -> float:
        """From the end-of-turn decision."""
        return self.voice_to_voice - self.decided_after


@dataclass(frozen=True, slots=True)
class Row:
    """One table row: stages of so many milliseconds, with a tool or without. Milliseconds, p50 and p95."""

    stage_ms: int
    tool: bool
    turns: tuple[int, int]
    alone: tuple[float, float]
    through: tuple[float, float]
    turn: tuple[float, float]
    """Through the bridge, from the end-of-turn decision."""

    @property
    def share(self) -> tuple[float, float]:
        return (self.through[0] - self.alone[0], self.through[1] - self.alone[1])

    @property
    def name(self) -> str:
        return f"{self.stage_ms} ms, {'with a tool' if self.tool else 'no tool'}"


def row(stage_ms: int, *, tool: bool, alone: Sequence[Heard], through: Sequence[Heard]) -> Row:
    """Of one delay; only the turns of this kind count."""
    left, right = [each for each in alone if each.tool is tool], [each for each in through if each.tool is tool]
    return Row(
        stage_ms,
        tool,
        (len(left), len(right)),
        _both([each.voice_to_voice for each in left]),
        _both([each.voice_to_voice for each in right]),
        _both([each.turn for each in right]),
    )


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [
        "| each stage | turns | stages alone, ms: p50 / p95 | through the bridge | our share | from the decision |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for each in rows:
        cells = [f"{pair[0]:.0f} / {pair[1]:.0f}" for pair in (each.alone, each.through, each.share, each.turn)]
        lines.append(f"| {each.name} | {each.turns[0]} + {each.turns[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def broken(rows: Sequence[Row]) -> list[str]:
    """The promises that are not kept. The voice has its first words a stage before it is heard, the latest."""
    said = []
    for each in rows:
        if min(each.turns) < ENOUGH:
            said.append(f"{each.name}: {min(each.turns)} turns are too few, {ENOUGH} are needed")
            continue
        found = [("our share, p95", each.share[1], SHARE_P95_MAX_MS)]
        if each.stage_ms == 150:
            most = TOOL_P50_MAX_MS if each.tool else TURN_P50_MAX_MS
            found.append(("a turn from the decision, p50", each.turn[0], most))
        if each.stage_ms == 150 and not each.tool:
            found.append(("the first token, p95", each.turn[1] - each.stage_ms, FIRST_TOKEN_P95_MAX_MS))
            found.append(("the first audio, p95", each.through[1], FIRST_AUDIO_P95_MAX_MS))
        said += [f"{each.name}: {what} {took:.0f} ms of {most} ms" for what, took, most in found if took > most]
    return said


def both(values: Sequence[float]) -> str:
    """Seconds as milliseconds: p50 / p95."""
    p50, p95 = _both(values)
    return f"{p50:.0f} / {p95:.0f}"


def _both(values: Sequence[float]) -> tuple[float, float]:
    found = [percentile(list(values), share) or 0.0 for share in (0.5, 0.95)]
    return found[0] * 1000, found[1] * 1000
