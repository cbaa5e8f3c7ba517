"""The simulated speech model: what it answers, decided from the conversation it was given.

It knows items, instructions and tools. It does not know sockets, audio, sessions or time, and it remembers nothing:
what it can tell of a call is what its conversation holds, so an answer proves what was carried over.

    user said                      answer
    what is my code                "your code is X", X from the last user item with "my code is X"
    tell me more N                 a sentence of 2.5 s with N in it
    book …                         calls `book` if there is such a tool, then "booked <result>"
    goodbye                        "goodbye", and calls `end_call` if there is such a tool
    anything else                  "you said: …"
    nothing new                    the text after "Greet:" in the response's instructions, or "hello"; told to go on
                                   after it has spoken: "as I was saying"

"Say exactly: X" in the response's instructions, or "Say this in the language 'de', and nothing else: X", goes before
all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]

STORY_FRAMES = 125

_CODE_GIVEN = re.compile(r"\bmy code is\s+([\w-]+)", re.IGNORECASE)
_CODE_ASKED = re.compile(r"\bwhat(?: is|'s) my code\b", re.IGNORECASE)
_MORE = re.compile(r"\btell me more\b\W*(\S+)?", re.IGNORECASE)
_BOOK = re.compile(r"\bbook\b\s*(.*)", re.IGNORECASE | re.DOTALL)
_GOODBYE = re.compile(r"\bgood\s?bye\b", re.IGNORECASE)
_EXACTLY = re.compile(r"Say (?:exactly|this in the language .*?, and nothing else):\s*(.+)", re.DOTALL)
_GREET = re.compile(r"Greet:\s*(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Say:
    text: str
    frames: int | None = None  # None: as many as the text takes


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: str


Output = Say | Call


def answer(
    items: Sequence[Item], *, instructions: str | None, tools: Sequence[Mapping[str, Any]]
) -> tuple[Output, ...]:
    """The outputs of one response, in order. `instructions` are those of this response, not of the session."""
    if exact := _EXACTLY.search(instructions or ""):
        return (Say(_spoken(exact[1])),)
    if greeting := _GREET.search(instructions or ""):
        return (Say(_spoken(greeting[1])),)
    asked = _unanswered(items)
    if asked is None:
        goes_on = bool(instructions) and any(item.get("role") == "assistant" for item in items)
        return (Say("as I was saying" if goes_on else "hello"),)
    if asked["type"] == "function_call_output":
        return (_told_result(items, asked),)
    return _to_user(text_of(asked), items, tools)


def text_of(item: Item) -> str:
    """All that was said or written in a message item."""
    parts = (part.get("text") or part.get("transcript") or "" for part in item.get("content", ()))
    return " ".join(part for part in parts if part)


def _spoken(text: str) -> str:
    return text.strip().strip('"').strip()


def _unanswered(items: Sequence[Item]) -> Item | None:
    """The last user message or tool result, unless the assistant has already spoken or acted after it."""
    for item in reversed(items):
        if item["type"] == "function_call_output":
            return item
        if item["type"] == "function_call" or item.get("role") == "assistant":
            return None
        if item.get("role") == "user":
            return item
    return None


def _to_user(said: str, items: Sequence[Item], tools: Sequence[Mapping[str, Any]]) -> tuple[Output, ...]:
    by_name = {tool.get("name"): tool for tool in tools if tool.get("type") == "function"}
    if _CODE_ASKED.search(said):
        code = _last_code(items)
        return (Say(f"your code is {code}" if code else "I do not know your code"),)
    if more := _MORE.search(said):
        return (Say(_story(more[1] or ""), STORY_FRAMES),)
    if (wish := _BOOK.search(said)) and "book" in by_name:
        return (Call("book", json.dumps(_arguments(by_name["book"], wish[1].strip()))),)
    if _GOODBYE.search(said):
        if "end_call" not in by_name:
            return (Say("goodbye"),)
        return (Say("goodbye"), Call("end_call", json.dumps(_arguments(by_name["end_call"], "goodbye"))))
    return (Say(f"you said: {said}" if said else "sorry, please say that again"),)


def _last_code(items: Sequence[Item]) -> str | None:
    for item in reversed(items):
        if item.get("role") == "user" and (given := _CODE_GIVEN.findall(text_of(item))):
            return str(given[-1])
    return None


def _story(number: str) -> str:
    return f"here is more, part {number}: the line stays open and the story goes on, one sentence after the other"


def _arguments(tool: Mapping[str, Any], wish: str) -> dict[str, object]:
    """Every required string of the tool's schema gets the wish, as does the first one when none is required."""
    schema = tool.get("parameters") or {}
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    strings = [name for name, kind in properties.items() if kind.get("type") == "string"]
    required = [name for name in schema.get("required") or () if name in strings]
    return dict.fromkeys(required or strings[:1] or (() if schema else ("request",)), wish)


def _told_result(items: Sequence[Item], output: Item) -> Say:
    called = next((i for i in items if i["type"] == "function_call" and i.get("call_id") == output["call_id"]), None)
    if called is not None and called["name"] == "end_call":
        return Say("goodbye")
    return Say(f"booked {_result(output['output'])}")


def _result(output: str) -> str:
    """The booking number out of a JSON result; any other text as it is."""
    try:
        parsed = json.loads(output)
    except ValueError:
        return output
    if isinstance(parsed, dict):
        return str(parsed.get("booking") or parsed.get("result") or parsed.get("error") or output)
    return str(parsed)
