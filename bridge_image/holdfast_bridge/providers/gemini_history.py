"""What a Gemini Live session is told of the call's past: as the turns of two sides, or packed into one text. Pure.

What a tool did is narrated, because newer models take a call of a function only with the signature that they gave it,
and calls come from other vendors, too. It knows no sessions.

https://ai.google.dev/gemini-api/docs/live-api/session-management
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import history

ANSWER = "Answer the caller now, as the conversation stands."
PACKED = "[What was said in this call before, oldest first; it calls for no word by itself]"
PACKED_CHARACTERS = 24_000
"""The newest of the call that is packed; a small share of what a model can hold."""
_SAID = {"user": "Caller", "assistant": "You"}


def turns(seeds: Sequence[ev.Seed]) -> list[dict[str, Any]]:
    """The conversation as contents that alternate, the caller's first. It may end with the agent; never empty."""
    built = history.turns(st.Thought(instructions="", history=tuple(_narrated(seeds))))
    if len(built) > 1 and built[-1].parts == (history.Said(history.GO_ON),):
        built.pop()
    return [
        {"role": "user" if turn.caller else "model", "parts": [{"text": _text(part)} for part in turn.parts]}
        for turn in built
    ]


def packed(seeds: Iterable[ev.Seed]) -> str:
    """The conversation as one text, a line for each thing said or done; empty when there is none."""
    lines = [f"{_SAID.get(each.role, 'Note')}: {' '.join(each.text.split())}" for each in _narrated(seeds) if each.text]
    kept: list[str] = []
    left = PACKED_CHARACTERS
    for line in reversed(lines):
        left -= len(line)
        if left < 0 and kept:
            break
        kept.append(line[-PACKED_CHARACTERS:])
    return "\n".join((PACKED, *reversed(kept))) if kept else ""


def asked(instructions: str | None) -> str:
    """What the next reply has to do, marked as nothing that the caller said."""
    return history.remark(history.Note(instructions or ANSWER))


def content(*texts: str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": text} for text in texts]}


def _narrated(seeds: Iterable[ev.Seed]) -> list[ev.SeedText]:
    return [
        each
        if isinstance(each, ev.SeedText)
        else ev.SeedText(
            "system",
            f"Done already in this call: the tool {each.name} was called with the arguments {each.arguments}, "
            f"and its result was: {each.output}",
        )
        for each in seeds
    ]


def _text(part: history.Part) -> str:
    match part:
        case history.Said(text=text):
            return text
        case history.Note():
            return history.remark(part)
        case history.Called() | history.Returned():
            raise AssertionError("tools are narrated")
