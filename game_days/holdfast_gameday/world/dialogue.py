"""What a simulated language model makes of the messages it was sent: the items that `openai_model` answers.

It knows no vendor and remembers nothing. As a model would, it takes a user's text that is wholly in round brackets for
an aside, which nobody said, and what follows a line in square brackets for an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast_gameday.world import openai_model

_ASIDE = re.compile(r"\([^()]*\)")
_DIRECTION = re.compile(r"(?:\A|\n)\[[^\]\n]*\]\n(.+)", re.DOTALL)
_WORDS = re.compile(r"\s*\S{1,10}|\s+")
_ARGUMENT_PIECES = 3


class Dialogue:
    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._wish: str | None = None

    def said(self, role: str, text: str) -> None:
        """By the user or the assistant."""
        if role == "user" and (direction := _DIRECTION.search(text)):
            self.said(role, text[: direction.start()])
            self.told(direction[1])
            return
        if not text.strip() or (role == "user" and _ASIDE.fullmatch(text.strip())):
            return
        kind = "output_text" if role == "assistant" else "input_text"
        self._add({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})

    def told(self, text: str) -> None:
        """An instruction. It counts for the reply only when nothing was said or done after it."""
        self._wish = text

    def called(self, call: str, name: str, arguments: str) -> None:
        self._add({"type": "function_call", "call_id": call, "name": name, "arguments": arguments})

    def returned(self, call: str, output: str) -> None:
        self._add({"type": "function_call_output", "call_id": call, "output": output})

    def answer(self, tools: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[openai_model.Output, ...]:
        """`tools`: names and the JSON schemas of their parameters."""
        known = [{"type": "function", "name": name, "parameters": schema} for name, schema in tools]
        return openai_model.answer(self.items, instructions=self._wish, tools=known)

    def _add(self, item: dict[str, Any]) -> None:
        self.items.append(item)
        self._wish = None


def words(text: str) -> list[str]:
    """The text in pieces of about a word, as tokens come. Together they are the text."""
    return _WORDS.findall(text)


def arguments(text: str) -> list[str]:
    """A tool's arguments in a few pieces, cut anywhere."""
    size = max(1, -(-len(text) // _ARGUMENT_PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)]


def tokens(items: Sequence[Mapping[str, Any]]) -> int:
    """A plausible count of what was read."""
    return sum(len(str(item.get("content") or item.get("output") or item.get("arguments"))) for item in items) // 4 + 10
