"""The mind of a simulated GPT-Live session: `openai_model` behind a voice that is told things and delegates.

    commentary                                 what it says
    "Say exactly: X" and its like              X
    … the caller has just said: "Q" …          the answer to Q
    an order (say, tell, answer, go on …)      the answer to what the caller said last; else "as I was saying"
    anything else                              the commentary itself

What it is told silently it knows, as it knows what was said, but answers nothing of. What it is told that a tool has
done counts as done by itself. It remembers nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast_gameday.world import openai_model
from holdfast_gameday.world.openai_model import Call, Item, Output, Say

_JUST_SAID = re.compile(r"""said:\s*["“](.+)["”]""", re.DOTALL)
_EXACTLY = re.compile(r"\b(Say exactly|Greet|nothing else):", re.IGNORECASE)
_DONE = re.compile(r"the tool (\S+) was called with the arguments (.*), and its result was: (.*)")
_ORDER = re.compile(r"\b(say|tell|answer|go on|greet|ask)\b", re.IGNORECASE)


class Mind:
    def __init__(self, history: Sequence[Mapping[str, Any]] = ()) -> None:
        self.items: list[dict[str, Any]] = [known for item in history for known in _understood(item)]
        self._notes: list[dict[str, Any]] = []

    def heard(self, text: str) -> None:
        self.items.append(text_item("user", text))

    def told(self, text: str) -> None:
        if done := _done(text):
            self.items += done
        else:
            self._notes.append(text_item("user", text))

    def said(self, text: str) -> dict[str, Any]:
        """The item of what is being said, so that it can be cut to what was said of it."""
        item = text_item("assistant", text)
        self.items.append(item)
        return item

    def answer(self, tools: Sequence[Mapping[str, Any]]) -> tuple[Output, ...]:
        """To what the caller said, or a tool returned."""
        return openai_model.answer(self._known(), instructions=None, tools=tools)

    def commented(self, text: str) -> tuple[Output, ...]:
        if _EXACTLY.search(text):
            return openai_model.answer(self._known(), instructions=text, tools=())
        if just := _JUST_SAID.search(text):
            return openai_model.answer([*self._known(), text_item("user", just[1])], instructions=None, tools=())
        if _ORDER.search(text):
            return openai_model.answer(self._known(), instructions=text, tools=())
        return (Say(text),)

    def _known(self) -> list[Item]:
        """Notes come first and count as dealt with, so that nobody answers them."""
        return [*self._notes, text_item("assistant", ""), *self.items] if self._notes else list(self.items)


def text_item(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _understood(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The item, unless it tells of what tools have done."""
    return _done(openai_model.text_of(item)) or [dict(item)]


def _done(text: str) -> list[dict[str, Any]]:
    """The tools that the text says were called, as if they had been called here."""
    items: list[dict[str, Any]] = []
    for name, arguments, output in _DONE.findall(text):
        call = f"told_{name}"
        items.append({"type": "function_call", "call_id": call, "name": name, "arguments": arguments})
        items.append({"type": "function_call_output", "call_id": call, "output": output})
    return items


def spoken(outputs: Sequence[Output]) -> list[Say]:
    return [output for output in outputs if isinstance(output, Say)]


def called(outputs: Sequence[Output]) -> list[Call]:
    return [output for output in outputs if isinstance(output, Call)]
