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
                                   after it has spoken: what is left of its answer, or "as I was saying"

The same but the story in German and in Japanese, each answered in its own language (`_TONGUES`).

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

_MORE = re.compile(r"\btell me more\b\W*(\S+)?", re.IGNORECASE)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tongue:
    """What is understood in one language, and how it is answered."""

    code_given: re.Pattern[str]
    code_asked: re.Pattern[str]
    book: re.Pattern[str]
    goodbye: re.Pattern[str]
    code_is: str = "your code is {}"
    code_unknown: str = "I do not know your code"
    booked: str = "booked {}"
    farewell: str = "goodbye"
    echo: str = "you said: {}"


def _said(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_ENGLISH = _Tongue(
    code_given=_said(r"\bmy code is\s+([\w-]+)"),
    code_asked=_said(r"\bwhat(?: is|'s) my code\b"),
    book=_said(r"\bbook\b\s*(.*)"),
    goodbye=_said(r"\bgood\s?bye\b"),
)
_TONGUES = (
    _ENGLISH,
    _Tongue(
        code_given=_said(r"\bmein Code ist\s+([\w-]+)"),
        code_asked=_said(r"\bwie lautet mein Code\b"),
        book=_said(r"\bbuchen Sie\b\s*(.*)"),
        goodbye=_said(r"\bauf Wiederhören\b"),
        code_is="Ihr Code ist {}",
        code_unknown="Ihren Code weiß ich nicht",
        booked="gebucht: {}",
        farewell="auf Wiederhören",
        echo="Sie sagten: {}",
    ),
    _Tongue(
        code_given=_said(r"私の番号は\s*([0-9A-Za-z-]+)"),
        code_asked=_said(r"私の番号は何"),
        book=_said(r"予約を(.*)"),
        goodbye=_said(r"さようなら"),
        code_is="番号は{}です",
        code_unknown="番号はわかりません",
        booked="予約しました、{}",
        farewell="さようなら",
        echo="こうおっしゃいました、{}",
    ),
)


def answer(
    items: Sequence[Item], *, instructions: str | None, tools: Sequence[Mapping[str, Any]]
) -> tuple[Output, ...]:
    """The outputs of one response, in order. `instructions` are those of this response, not of the session."""
    if exact := _EXACTLY.search(instructions or ""):
        words = _spoken(exact[1])
        rest = _rest(items, tools) if "finish the thought" in (instructions or "") else ""
        return (Say(rest if rest.startswith(words) else words),)
    if greeting := _GREET.search(instructions or ""):
        return (Say(_spoken(greeting[1])),)
    asked = _unanswered(items)
    if asked is None:
        goes_on = bool(instructions) and any(item.get("role") == "assistant" for item in items)
        return (Say(_rest(items, tools) or "as I was saying" if goes_on else "hello"),)
    if asked["type"] == "function_call_output":
        return (_told_result(items, asked),)
    return _to_user(text_of(asked), items, tools)


def _rest(items: Sequence[Item], tools: Sequence[Mapping[str, Any]]) -> str:
    """What is left of an answer that was cut, if what was heard of it is the last thing known."""
    heard = items[-1] if items and items[-1].get("role") == "assistant" else None
    asked = next((at for at in range(len(items) - 1, -1, -1) if items[at].get("role") == "user"), None)
    if heard is None or asked is None:
        return ""
    whole = _to_user(text_of(items[asked]), items[: asked + 1], tools)[0]
    said = text_of(heard).strip()
    if not isinstance(whole, Say) or not whole.text.startswith(said):
        return ""
    rest = whole.text[len(said) :]
    # A word that was cut is said again.
    begun = "" if rest.startswith(" ") or " " not in rest else said.rpartition(" ")[2]
    return (begun + rest).strip()


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
    tongue = _tongue(said)
    if tongue.code_asked.search(said):
        code = _last_code(items)
        return (Say(tongue.code_is.format(code) if code else tongue.code_unknown),)
    if more := _MORE.search(said):
        return (Say(_story(more[1] or ""), STORY_FRAMES),)
    if (wish := tongue.book.search(said)) and "book" in by_name:
        return (Call("book", json.dumps(_arguments(by_name["book"], wish[1].strip()))),)
    if tongue.goodbye.search(said):
        if "end_call" not in by_name:
            return (Say(tongue.farewell),)
        return (Say(tongue.farewell), Call("end_call", json.dumps(_arguments(by_name["end_call"], "goodbye"))))
    return (Say(tongue.echo.format(said) if said else "sorry, please say that again"),)


def echo(said: str) -> str:
    """What is answered to that which asks for nothing."""
    return _tongue(said).echo.format(said)


def _tongue(said: str) -> _Tongue:
    """The language of what was said: the first that understands any of it, or that its letters belong to."""
    for tongue in _TONGUES:
        if any(known.search(said) for known in (tongue.code_given, tongue.code_asked, tongue.book, tongue.goodbye)):
            return tongue
    if any("\u3040" <= letter <= "\u30ff" for letter in said):
        return _TONGUES[2]
    return _TONGUES[1] if any(word in said.lower().split() for word in ("bitte", "ich", "sie")) else _ENGLISH


def _last_code(items: Sequence[Item]) -> str | None:
    for item in reversed(items):
        if item.get("role") == "user":
            text = text_of(item)
            for tongue in _TONGUES:
                # Asking for the number begins like giving it, in languages that put the question word last.
                if (given := tongue.code_given.findall(text)) and not tongue.code_asked.search(text):
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
    said = next((text_of(item) for item in reversed(items) if item.get("role") == "user"), "")
    tongue = _tongue(said)
    if called is not None and called["name"] == "end_call":
        return Say(tongue.farewell)
    return Say(tongue.booked.format(_result(output["output"])))


def _result(output: str) -> str:
    """The booking number out of a JSON result; any other text as it is."""
    try:
        parsed = json.loads(output)
    except ValueError:
        return output
    if isinstance(parsed, dict):
        return str(parsed.get("booking") or parsed.get("result") or parsed.get("error") or output)
    return str(parsed)
