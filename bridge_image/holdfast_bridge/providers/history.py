"""What was said and done, put into the shape that language models demand: turns of two sides that alternate.

The first turn is the caller's and the last one, too; a tool's call and its result stand side by side. Vendors differ
only in how such a turn is written down, which is in their own modules. It knows no vendor's words.

Ids of calls are made anew for each request, because a result may come from another vendor, whose ids this one would
refuse: nine letters and digits please even the strictest.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from holdfast_bridge.core import events as ev
from holdfast_bridge.core import stages as st
from holdfast_bridge.core.dialogue import END_CALL

_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
END_CALL_TOOL = st.Tool(
    name=END_CALL,
    description="End the phone call. Say goodbye first; call this only when the caller has nothing left to ask.",
    parameters=_NOTHING,
)
BEGAN = "(the call begins)"
GO_ON = "(the caller waits for you to go on)"
NOTED = "(noted)"
NO_OUTPUT = "(no output)"
REMARK = "[Not said by the caller, but an instruction to you]"
_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Said:
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Said by nobody: an instruction, or what the model has to know."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    id: str
    name: str
    arguments: str
    """An object, as JSON."""


@dataclass(frozen=True, slots=True)
class Returned:
    id: str
    output: str


Part: TypeAlias = Said | Note | Called | Returned


@dataclass(frozen=True, slots=True)
class Turn:
    caller: bool
    """False: the agent's. Notes and results of tools stand in the caller's turns."""
    parts: tuple[Part, ...]


def tools(thought: st.Thought) -> list[st.Tool]:
    """The tools that the model may call. The parameters of each are an object's, as every vendor wants them."""
    asked = [tool for tool in thought.tools if tool.name != END_CALL]
    return [st.Tool(tool.name, tool.description, _NOTHING | dict(tool.parameters)) for tool in (*asked, END_CALL_TOOL)]


def turns(thought: st.Thought) -> list[Turn]:
    """The history and what is asked now, never empty."""
    built: list[Turn] = []
    calls = 0
    for seed in thought.history:
        match seed:
            case ev.SeedText(role=role, text=text):
                if text := text.strip():
                    part: Part = Note(text) if role == "system" else Said(text)
                    _add(built, part, caller=role != "assistant")
            case ev.SeedTool(name=name, arguments=arguments, output=output):
                calls += 1
                call = f"call{calls:05d}"
                _add(built, Called(call, _name(name), _arguments(arguments)), caller=False)
                _add(built, Returned(call, output.strip() or NO_OUTPUT), caller=True)
    if thought.asked:
        _add(built, Note(thought.asked), caller=True)
    if not built or not built[0].caller:
        built.insert(0, Turn(True, (Said(BEGAN),)))
    elif isinstance(built[0].parts[0], Note):
        built[0] = Turn(True, (Said(BEGAN), *built[0].parts))
    if not built[-1].caller:
        built.append(Turn(True, (Said(GO_ON),)))
    return built


def apart(mixed: Sequence[Turn]) -> list[Turn]:
    """The same for models that refuse words beside calls or results in one turn: with a turn of fill between them."""
    parted: list[Turn] = []
    for turn in mixed:
        for count, (_, run) in enumerate(itertools.groupby(turn.parts, key=_of_tool)):
            if count:
                parted.append(Turn(not turn.caller, (Said(NOTED if turn.caller else GO_ON),)))
            parted.append(Turn(turn.caller, tuple(run)))
    return parted


def remark(note: Note) -> str:
    """A note for models that take nothing but the two sides' words."""
    return f"{REMARK}\n{note.text}"


def _add(built: list[Turn], part: Part, *, caller: bool) -> None:
    if built and built[-1].caller is caller:
        built[-1] = Turn(caller, (*built[-1].parts, part))
    else:
        built.append(Turn(caller, (part,)))


def _of_tool(part: Part) -> bool:
    return isinstance(part, Called | Returned)


def _name(name: str) -> str:
    """A model may have called a tool by a name that no vendor takes back."""
    return _UNFIT.sub("_", name)[:_MAX_NAME] or "tool"


def _arguments(text: str) -> str:
    """The JSON of an object, whatever a model wrote."""
    try:
        given = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        return msgspec.json.encode({"input": text}).decode()
    return (text or "{}") if isinstance(given, dict) else f'{{"input":{text}}}'
