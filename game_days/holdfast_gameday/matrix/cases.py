"""What the matrix tries: eight kinds of provider, each by itself and each failing over to every other. Pure."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from enum import Enum

KINDS = ("openai", "gpt-live", "azure-openai", "azure-voice-live", "gemini", "cascade-a", "cascade-b", "cascade-c")
STAGES = ("hearing", "thinking", "speaking")


class Mode(Enum):
    """How the first provider fails while it speaks; the last one, while it waits for a tool."""

    REFUSE = "refuse"
    RATE = "429"
    SERVER = "5xx"
    AUTH = "auth"
    STALL = "stall"
    GARBAGE = "garbage"
    CLOSE = "close"
    TOOL = "tool"

    @property
    def silent(self) -> bool:
        """Nothing says that it failed: only a deadline finds out."""
        return self is Mode.STALL


class Tongue(Enum):
    """The caller's language, and the agent's."""

    ENGLISH = "en"
    GERMAN = "de"
    JAPANESE = "ja"


@dataclass(frozen=True, slots=True)
class Case:
    """`number` is its own within a run: keys, hosts and codes are made of it."""

    number: int
    first: str
    then: str = ""
    """Empty: a conversation with one provider that does not fail."""
    mode: Mode | None = None
    stage: str = ""
    """Of a cascade: the one that fails."""
    tongue: Tongue = Tongue.ENGLISH

    @property
    def name(self) -> str:
        if self.mode is None:
            return f"{self.first} alone ({self.tongue.value})"
        part = f"/{self.stage}" if self.stage else ""
        return f"{self.first}{part} → {self.then}, {self.mode.value}"

    @property
    def code(self) -> str:
        """The fact that the caller tells and asks for again."""
        return str(4000 + self.number)


def conversations() -> list[Case]:
    """Each kind by itself; two of them are not English."""
    tongues = {"gemini": Tongue.GERMAN, "cascade-a": Tongue.JAPANESE}
    return [
        Case(number, kind, tongue=tongues.get(kind, Tongue.ENGLISH)) for number, kind in enumerate(KINDS, start=1)
    ]


def switches(seed: int) -> list[Case]:
    """Every ordered pair under every mode. Which stage of a cascade fails is drawn, from the seed."""
    draw = random.Random(seed)  # noqa: S311 - to be replayed, not to be kept secret
    pairs = list(itertools.permutations(KINDS, 2))
    found = []
    for number, ((first, then), mode) in enumerate(itertools.product(pairs, Mode), start=len(KINDS) + 1):
        stage = draw.choice(_stages(mode)) if first.startswith("cascade") else ""
        found.append(Case(number, first, then, mode, stage))
    return found


def some(seed: int, count: int) -> list[Case]:
    """So many of the switches: in each eight of them every kind fails once and takes over once, by eight modes."""
    draw = random.Random(seed)  # noqa: S311 - likewise
    kinds, modes, shifts = list(KINDS), list(Mode), list(range(1, len(KINDS)))
    for each in (kinds, modes, shifts):
        draw.shuffle(each)
    known = {(case.first, case.then, case.mode): case for case in switches(seed)}
    chosen = []
    for number in range(count):
        lap, place = divmod(number, len(kinds))
        then = kinds[(place + shifts[lap % len(shifts)]) % len(kinds)]
        chosen.append(known[kinds[place], then, modes[(place + lap) % len(modes)]])
    return chosen


def _stages(mode: Mode) -> tuple[str, ...]:
    """Which of a cascade can fail in the middle of a sentence so that the sentence, or a tool, suffers.

    A language model has said all of it before; an ear that is silent is missed only when the caller speaks.
    """
    if mode is Mode.TOOL:
        return STAGES
    return ("speaking",) if mode in (Mode.STALL, Mode.GARBAGE) else ("hearing", "speaking")
