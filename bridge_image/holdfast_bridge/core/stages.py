"""What the stages of a cascade are asked and what they say: hearing (speech to text), thinking (a language model) and
speaking (text to speech). Values only; no vendor's words, no sockets, no clock.

A `line` is one unbroken thing that the agent says, under an identifier of the cascade's own. A `turn` is one unbroken
thing that the caller says. Audio is µ-law at 8 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

import msgspec

from holdfast_bridge.core.events import Seed

# --- hearing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """The caller has begun to speak."""


@dataclass(frozen=True, slots=True)
class Words:
    """All that was understood of the present turn so far; it replaces what was said of this turn before."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnLikelyOver:
    """Good enough to begin to think about; `TurnEnded` or `TurnGoesOn` follows."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnGoesOn:
    """The caller had not finished after all."""


@dataclass(frozen=True, slots=True)
class TurnEnded:
    text: str


# --- thinking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: Mapping[str, Any]
    """A JSON schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """One request to a language model."""

    instructions: str
    """Who the agent is: the same for the whole call."""
    history: tuple[Seed, ...]
    """What was said and done, in order. It may begin with the agent, and hold several texts of one side in a row."""
    asked: str | None = None
    """What this one reply has to do; None: answer the conversation as it stands."""
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 400


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP POST whose answer is a stream."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextPiece:
    text: str


@dataclass(frozen=True, slots=True)
class ToolAsked:
    """The model calls a tool; its arguments are whole."""

    id: str
    name: str
    arguments: str


class Ended(Enum):
    SAID = "said"
    TOOLS = "tools"
    TOO_LONG = "too-long"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply is whole. A stream that ends without one has failed."""

    how: Ended
    tokens_in: int = 0
    tokens_out: int = 0


# --- speaking --------------------------------------------------------------------------------------------------------


class Sound(msgspec.Struct, frozen=True, gc=False):
    line: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Aligned:
    """By `upto_ms` of the line's sound, the first `characters` of its text have been spoken."""

    line: str
    characters: int
    upto_ms: int


@dataclass(frozen=True, slots=True)
class LineDone:
    """All sound of the line has come."""

    line: str


# --- any stage -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StageReady:
    """The link may be used."""


@dataclass(frozen=True, slots=True)
class StageLost:
    """`word` is one of `core.failures`."""

    word: str
    retry_same: bool = True
    retry_after_s: float = 0.0


HearingEvent: TypeAlias = TurnBegan | Words | TurnLikelyOver | TurnGoesOn | TurnEnded | StageReady | StageLost
ThinkingEvent: TypeAlias = TextPiece | ToolAsked | ReplyEnded | StageLost
SpeakingEvent: TypeAlias = Sound | Aligned | LineDone | StageReady | StageLost
