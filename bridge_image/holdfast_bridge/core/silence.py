"""What a silence is filled with: a soft sound while the call owes the caller words, a sentence while a tool works, and
a question when it is the caller who says nothing.

It is told after whatever happens who is heard and what is owed, and forgets nothing between: no event has to be hooked.
It knows no providers and no carrier. Nothing that it fills with counts as speech of the agent, unless it was said as
such. Times are the call's clock, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from holdfast_bridge.core import tone

AFTER_LOSS_S = 0.2
"""With the frames under way this is less than the 300 ms after which a caller wonders."""
UNDERRUN_S = 0.25
"""The rest of a line is late. A speaker's pauses are in the sound itself: it is the provider that pauses here."""
BETWEEN_LINES_S = 0.6
"""One answer may have several lines, and a model that takes a breath between them is no silence."""
ANSWER_S = 1.4
"""The longest that a first word may take in a conversation that goes well."""
FIRST_TONE_MS, TONE_MS = 200, 100
"""The carrier is always given a tenth of a second more than it has played."""


class Owed(Enum):
    """What the call is to let the caller hear next."""

    NOTHING = "nothing"
    ANSWER = "answer"
    REST = "rest"
    """Of a line that has begun."""
    TOOL = "tool"
    """An answer, and a tool has to end before."""
    PROVIDER = "provider"
    """Words that nobody can say until another provider is there."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A piece of the sound, µ-law."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ToolWords:
    """Say the agent's words for a tool that takes its time."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Ask whether the caller is still there."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The caller was asked often enough."""


Filling = Tone | ToolWords | Prompt | GiveUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How an agent deals with silences; what has no words is not said."""

    tone: bool = True
    tool_words: str = ""
    tool_words_after_s: float = 1.2
    prompt: str = ""
    prompt_after_s: float = 10.0
    prompts_max: int = 2
    """After so many questions without a word of the caller the call is ended."""


class Silence:
    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._since: float | None = None
        self._owed, self._owed_at = Owed.NOTHING, 0.0
        self._due: float | None = None
        self._filled_bytes = 0
        """Of the sound that is being heard; 0: none."""
        self._words_said = False
        self._prompts = 0

    def look(self, now: float, *, agent: bool, caller: bool, owed: Owed, plays_until: float = 0.0) -> None:
        """Who is heard now, and what is owed. Within a line that is reckoned, by how long its sound so far lasts."""
        if owed is Owed.REST:
            agent = now < plays_until
        if owed is not self._owed:
            self._owed, self._owed_at = owed, now
            self._words_said = self._words_said and owed is Owed.TOOL
        if caller:
            self._prompts = 0
        if agent or caller:
            self._since, self._filled_bytes = None, 0
        elif self._since is None:
            self._since = plays_until if owed is Owed.REST else now
        if owed is Owed.NOTHING:
            self._filled_bytes = 0
        if not self._filled_bytes:
            self._due = self._next()

    @property
    def counts(self) -> bool:
        """A silence is being counted or filled: sound of the agent's ends it."""
        return self._due is not None

    def get_timer(self, plays_until: float = 0.0) -> float | None:
        if self._due is None and self._owed is Owed.REST and self._manners.tone:
            return plays_until + UNDERRUN_S
        return self._due

    def fill(self, now: float) -> Filling | None:
        """What to do at this moment; None: it is not time."""
        if self._due is None or now < self._due:
            return None
        if self._owed is Owed.NOTHING:
            self._since, self._prompts = now, self._prompts + 1
            self._due = None
            return Prompt() if self._prompts <= self._manners.prompts_max else GiveUp()
        if self._owed is Owed.TOOL and self._manners.tool_words and not self._words_said:
            self._words_said = True
            self._due = now + ANSWER_S if self._manners.tone else None
            return ToolWords()
        return self._tone(now, self._due)

    def _tone(self, now: float, due: float) -> Tone:
        length_ms = TONE_MS if self._filled_bytes else FIRST_TONE_MS
        piece = tone.piece(self._filled_bytes, length_ms)
        # By the sound that was given, not by when the timer fired: a late timer must not starve the carrier for good.
        self._due = max(now, (due if self._filled_bytes else now) + TONE_MS / 1000)
        self._filled_bytes += len(piece)
        return Tone(piece)

    def _next(self) -> float | None:
        if self._since is None:
            return None
        match self._owed:
            case Owed.NOTHING:
                asks = bool(self._manners.prompt) and self._prompts <= self._manners.prompts_max
                return self._since + self._manners.prompt_after_s if asks else None
            case Owed.TOOL if self._manners.tool_words and not self._words_said:
                return max(self._since, self._owed_at) + self._manners.tool_words_after_s
            case _ if not self._manners.tone:
                return None
            case Owed.PROVIDER:
                return max(self._since, self._owed_at) + AFTER_LOSS_S
            case Owed.REST:
                return self._since + UNDERRUN_S
            case _:
                return max(self._since + BETWEEN_LINES_S, self._owed_at + ANSWER_S)
