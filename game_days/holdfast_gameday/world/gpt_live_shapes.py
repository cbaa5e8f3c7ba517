"""What a simulated GPT-Live session may be sent, and the refusal of anything else in the vendor's words.

The vendor rejects every field that it does not know. Beyond that this refuses what the practice range cannot do: any
audio but µ-law, the `decisions` delegation, tools of the vendor's own. Tokens are taken to be three bytes each, more
than the vendor would count. It knows no session.

https://learn.microsoft.com/azure/foundry/openai/gpt-live-reference
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from holdfast_gameday.world.openai_errors import Refusal

APPEND_TOKENS_MAX = 500
HISTORY_TOKENS_MAX = 8_192
HISTORY_MESSAGES_MAX = 128
INSTRUCTIONS_TOKENS_MAX = 16_384
RATE = 8_000
START = "session.start"
_OPTIONAL = frozenset({"type", "event_id"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "session.update": frozenset({"session"}),
    "session.input_audio.append": frozenset({"audio"}),
    "session.input_audio.mute": frozenset(),
    "session.input_audio.unmute": frozenset(),
    "session.instructions.append": frozenset({"content", "delegation_id"}),
    "session.thinking.append": frozenset({"content", "delegation_id"}),
    "session.commentary.append": frozenset({"content", "delegation_id"}),
    "response.item.create": frozenset({"item"}),
    "response.create": frozenset(),
    "session.close": frozenset(),
}


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["audio/pcmu", "audio/pcma", "audio/pcm"]
    rate: int


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    voice: str | dict[str, Any] | None = None


class _Audio(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None
    output: _Output | None = None


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    type: Literal["input_text", "output_text", "text"] = "input_text"


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["developer", "user", "assistant"]
    content: list[_Part]
    type: Literal["message"] = "message"
    id: str | None = None
    status: Literal["incomplete", "completed"] | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _BackendUpdate(msgspec.Struct, forbid_unknown_fields=True):
    model: str | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    service_tier: str | None = None
    text: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[_Tool] | None = None


class _Delegation(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["client", "responses"]
    responses: _BackendUpdate | None = None
    acknowledgement_delay_ms: int | None = None


class _Start(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    instructions: str | None = None
    input: list[_Message] = []
    audio: _Audio | None = None
    delegation: _Delegation | None = None
    store: bool = False
    safety_identifier: str | None = None


class _ForkAudio(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None


class _Fork(msgspec.Struct, forbid_unknown_fields=True):
    audio: _ForkAudio | None = None
    delegation: _Delegation | None = None
    store: bool | None = None


class _Update(msgspec.Struct, forbid_unknown_fields=True):
    delegation: _Delegation | None = None


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function_call_output", "message"]
    call_id: str | None = None
    output: str | None = None
    id: str | None = None
    status: str | None = None
    role: Literal["developer", "user", "assistant", "system"] | None = None
    content: str | list[_Part] | None = None


def decoded(data: bytes, *, binary: bool, starting: bool, started: bool) -> dict[str, Any]:
    """A client event with nothing in it that it may not have, at a time when it may come."""
    if binary:
        raise Refusal("Expected a text message.", "invalid_value")
    try:
        event = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise Refusal("We could not parse the JSON body of your message.", "invalid_json") from error
    if not isinstance(event, dict):
        raise Refusal("Invalid value: expected an object.", "invalid_value")
    kind = str(event.get("type"))
    if not started and kind != START:
        message = f"Send '{START}' first, and wait for session.started."
        raise Refusal(message, "session_not_started", "type")
    if starting and kind == START:
        raise Refusal("The session has already been started.", "session_already_started", "type")
    wanted = frozenset({"session"}) if kind == START else _FIELDS.get(kind)
    if wanted is None:
        named = ", ".join(f"'{name}'" for name in (START, *_FIELDS))
        raise Refusal(f"Invalid value: '{kind}'. Supported values are: {named}.", "invalid_value", "type")
    for name in event:
        if name not in wanted | _OPTIONAL:
            raise Refusal(f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    for name in sorted(wanted):
        if name not in event:
            raise Refusal(f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    return event


def check_start(given: object) -> dict[str, Any]:
    """The session that a client asks for, as it came."""
    session = _converted(given, _Start, "session")
    _check_format(session.audio.format if session.audio else None)
    if session.delegation is not None:
        _check_backend(session.delegation, whole=True)
    _check_tokens(session.instructions or "", INSTRUCTIONS_TOKENS_MAX, "session.instructions")
    if len(session.input) > HISTORY_MESSAGES_MAX:
        raise Refusal(
            f"Invalid 'session.input': at most {HISTORY_MESSAGES_MAX} messages.", "invalid_value", "session.input"
        )
    for index, message in enumerate(session.input):
        _check_message(message, f"session.input[{index}]")
    _check_tokens("".join(message.content[0].text for message in session.input), HISTORY_TOKENS_MAX, "session.input")
    assert isinstance(given, dict)
    return given


def check_fork(given: object, *, delegation: str) -> dict[str, Any]:
    """What a fork changes of the session that it goes on from: often nothing. `delegation`: the type that it has."""
    fork = _converted(given, _Fork, "session")
    if fork.audio is not None:
        _check_format(fork.audio.format)
    return _checked_change(given, fork.delegation, delegation)


def check_update(given: object, *, delegation: str) -> dict[str, Any]:
    """What is to change of the session."""
    return _checked_change(given, _converted(given, _Update, "session").delegation, delegation)


def check_append(event: Mapping[str, Any], *, delegation: str) -> str:
    content = event["content"]
    if not isinstance(content, str) or not content.strip():
        raise Refusal("Invalid value for 'content': expected a text.", "invalid_value", "content")
    if event["delegation_id"] is not None and delegation == "responses":
        raise Refusal(
            "'delegation_id' must be null with Responses delegation.", "invalid_value", "delegation_id"
        )
    _check_tokens(content, APPEND_TOKENS_MAX, "content")
    return content


def check_item(given: object) -> dict[str, Any]:
    item = _converted(given, _Item, "item")
    output = item.type == "function_call_output"
    for name in ("call_id", "output") if output else ("role", "content"):
        if getattr(item, name) is None:
            param = f"item.{name}"
            raise Refusal(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
    assert isinstance(given, dict)
    return given


def audio_of(event: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(event["audio"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Refusal("Invalid 'audio'. Expected base64-encoded audio.", "invalid_value", "audio") from error


def tokens(text: str) -> int:
    return -(-len(text.encode()) // 3)


def _check_tokens(text: str, most: int, param: str) -> None:
    if tokens(text) > most:
        raise Refusal(f"Invalid '{param}': more than {most} tokens.", "string_above_max_length", param)


def _check_format(audio: _Format | None) -> None:
    if audio is None or audio.type != "audio/pcmu":
        param = "session.audio.format.type"
        raise Refusal("The practice range speaks audio/pcmu only.", "invalid_value", param)
    if audio.rate != RATE:
        raise Refusal(f"Invalid value: {audio.rate}. Expected {RATE}.", "invalid_value", "session.audio.format.rate")


def _check_backend(delegation: _Delegation, *, whole: bool) -> None:
    if delegation.type == "client":
        if delegation.responses is not None:
            param = "session.delegation.responses"
            raise Refusal(f"Unknown parameter: '{param}'.", "unknown_parameter", param)
        return
    if whole and (delegation.responses is None or not delegation.responses.model):
        param = "session.delegation.responses.model"
        raise Refusal(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)


def _checked_change(given: object, change: _Delegation | None, delegation: str) -> dict[str, Any]:
    assert isinstance(given, dict)
    if change is not None:
        if change.type != delegation:
            raise Refusal("The delegation type cannot change.", "invalid_value", "session.delegation.type")
        _check_backend(change, whole=False)
    return given


def _check_message(message: _Message, where: str) -> None:
    if len(message.content) != 1:
        raise Refusal(f"Invalid '{where}.content': expected one part.", "invalid_value", f"{where}.content")
    spoken = message.content[0].type != "input_text"
    if spoken is not (message.role == "assistant"):
        param = f"{where}.content[0].type"
        raise Refusal(f"Invalid value: '{message.content[0].type}'.", "invalid_value", param)


def _converted(given: object, shape: type[Any], root: str) -> Any:
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), root) from error


def _refusal(said: str, root: str) -> Refusal:
    """msgspec names the place as `$.audio.format`; the vendor as `session.audio.format`."""
    what, _, place = said.partition(" - at `$")
    param = root + place.rstrip("`").replace("[...]", "")
    for sign, code, words in (
        ("unknown field", "unknown_parameter", "Unknown parameter"),
        ("missing required field", "missing_required_parameter", "Missing required parameter"),
    ):
        if sign in what:
            name = f"{param}.{what.split('`')[1]}"
            return Refusal(f"{words}: '{name}'.", code, name)
    return Refusal(f"Invalid value for '{param}': {what}.", "invalid_value", param)
