"""What the simulated Gemini makes of the contents of its session: the dialogue that the shared mind answers.

As a model would, it reads what it is told as text: a conversation that was packed into one message, line by line, and
the account of a tool that was used. It remembers nothing; it knows no sockets and no time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast_gameday.world import openai_model
from holdfast_gameday.world.dialogue import Dialogue
from holdfast_gameday.world.gemini_wire import Content, Declaration, Part, Schema

_PACKED = re.compile(r"\A\[[^\]\n]*\]\n(?P<lines>(?:(?:Caller|You|Note): .*(?:\n|\Z))+)")
_NARRATED = re.compile(
    r"the tool (?P<name>\S+) was called with the arguments (?P<arguments>.*?),? and its result was: (?P<output>.*)",
    re.DOTALL,
)
_SIDES = {"Caller": "user", "You": "assistant"}


def answer(
    contents: Sequence[Content], declared: Sequence[Declaration], instructions: Content | None
) -> tuple[openai_model.Output, ...]:
    """The outputs of one turn, in order."""
    heard = _Reader()
    for part in instructions.parts if instructions is not None else ():
        if part.text and _PACKED.match(part.text):
            heard.part(part, "user")
    for content in contents:
        for part in content.parts:
            heard.part(part, "assistant" if content.role == "model" else "user")
    return heard.dialogue.answer([(each.name, _json_schema(each)) for each in declared])


class _Reader:
    def __init__(self) -> None:
        self.dialogue = Dialogue()
        self._narrated = 0

    def part(self, part: Part, role: str) -> None:
        if part.function_call is not None:
            call = part.function_call
            self.dialogue.called(str(call.get("id")), str(call.get("name")), json.dumps(call.get("args") or {}))
        elif part.function_response is not None:
            answered = part.function_response
            self.dialogue.returned(str(answered.get("id")), _output(answered.get("response") or {}))
        elif part.text and not part.thought:
            self._text(part.text, role)

    def _text(self, text: str, role: str) -> None:
        if packed := _PACKED.match(text):
            for line in packed["lines"].splitlines():
                side, _, said = line.partition(": ")
                self._said(said, _SIDES.get(side, "note"))
            text = text[packed.end() :]
        self._said(text, role)

    def _said(self, text: str, role: str) -> None:
        if role != "assistant" and (narrated := _NARRATED.search(text)):
            self._narrated += 1
            call = f"narrated{self._narrated}"
            self.dialogue.called(call, narrated["name"], narrated["arguments"])
            self.dialogue.returned(call, narrated["output"])
        elif role == "note":
            self.dialogue.told(text)
        elif text:
            self.dialogue.said(role, text)


def _output(response: Mapping[str, Any]) -> str:
    """The vendor takes what stands under `output` for the result, else the whole."""
    if set(response) == {"output"}:
        return str(response["output"])
    return json.dumps(response)


def _json_schema(declared: Declaration) -> Mapping[str, Any]:
    if declared.parameters_json_schema is not None:
        return declared.parameters_json_schema
    return _plain(declared.parameters) if declared.parameters is not None else {"type": "object", "properties": {}}


def _plain(schema: Schema) -> dict[str, Any]:
    return {
        "type": schema.type.lower(),
        "properties": {name: _plain(each) for name, each in (schema.properties or {}).items()},
        "required": schema.required or [],
    }
