"""Errors of the Realtime API in the vendor's words, and the check of `session.update`.

It refuses what the vendor refuses (a missing type, unknown parameters such as those of the retired beta) and, beyond
that, what the practice range cannot speak: any audio but µ-law.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

FORMATS = ("audio/pcmu",)


class Refusal(Exception):
    def __init__(self, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    rate: int | None = None


class _TurnDetection(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["server_vad", "semantic_vad"]
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None
    transcription: dict[str, Any] | None = None
    noise_reduction: dict[str, Any] | None = None
    turn_detection: _TurnDetection | None = None


class _OutputAudio(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None
    voice: str | dict[str, Any] | None = None
    speed: float | None = None


class _Audio(msgspec.Struct, forbid_unknown_fields=True):
    input: _Input | None = None
    output: _OutputAudio | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class _Session(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["realtime"]
    model: str | None = None
    output_modalities: list[Literal["audio", "text"]] | None = None
    instructions: str | None = None
    audio: _Audio | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    truncation: str | dict[str, Any] | None = None
    tracing: str | dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: list[str] | None = None


def check_session(patch: object) -> Mapping[str, Any]:
    """The patch as it came, or the refusal the vendor would send."""
    try:
        session = msgspec.convert(patch, _Session)
    except msgspec.ValidationError as error:
        raise unfitting(str(error)) from error
    assert isinstance(patch, Mapping)
    if session.output_modalities is not None and len(session.output_modalities) != 1:
        raise Refusal("Invalid modalities: use ['audio'] or ['text'].", "invalid_value", "session.output_modalities")
    if session.audio is not None:
        for side in ("input", "output"):
            _check_format(getattr(session.audio, side), f"session.audio.{side}.format.type")
    return patch


def _check_format(side: _Input | _OutputAudio | None, param: str) -> None:
    if side is not None and side.format is not None and side.format.type not in FORMATS:
        named = ", ".join(f"'{name}'" for name in FORMATS)
        raise Refusal(f"Invalid value: '{side.format.type}'. Supported values are: {named}.", "invalid_value", param)


def unfitting(said: str) -> Refusal:
    """Of what msgspec says: it names the place as `$.audio.input`, the vendor as `session.audio.input`."""
    what, _, place = said.partition(" - at `$")
    param = "session" + place.rstrip("`").partition("[")[0].replace("..", ".")
    if "unknown field" in what:
        name = f"{param}.{what.split('`')[1]}"
        return Refusal(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    if "missing required field" in what:
        name = f"{param}.{what.split('`')[1]}"
        return Refusal(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    return Refusal(f"Invalid value for '{param}': {what}.", "invalid_value", param)
