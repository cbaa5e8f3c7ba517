"""The conversation of one Realtime session: its items in order and what may be done to them.

Items are the vendor's JSON objects. A user's audio keeps what was said under `transcript`, as the model hears speech
itself; `public` leaves it out, as the vendor does. It knows no events and no sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holdfast_gameday.world.openai_errors import Refusal

Item = dict[str, Any]

_PARTS = {
    "user": ("input_text", "input_audio"),
    "assistant": ("output_text", "output_audio"),
    "system": ("input_text",),
}


class Conversation:
    __slots__ = ("audio_ms", "items")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.audio_ms: dict[str, int] = {}  # how much audio of an assistant item exists

    @property
    def last_id(self) -> str | None:
        return self.items[-1]["id"] if self.items else None

    def create(self, given: object, *, after: str | None, new_id: str) -> tuple[Item, str | None]:
        """Checks and adds a client's item; returns it with the id of the item before it."""
        item = {"id": new_id, **_checked(given), "object": "realtime.item", "status": "completed"}
        if any(known["id"] == item["id"] for known in self.items):
            message = f"Error adding item: an item with ID '{item['id']}' already exists."
            raise Refusal(message, "item_create_duplicate_id")
        if item["type"] == "function_call_output" and not self._has_call(item["call_id"]):
            raise Refusal(f"Tool call ID '{item['call_id']}' not found in conversation.", "invalid_tool_call_id")
        place = self._place(after)
        self.items.insert(place, item)
        return item, self.items[place - 1]["id"] if place else None

    def append(self, item: Item) -> str | None:
        previous = self.last_id
        self.items.append(item)
        return previous

    def retrieve(self, item_id: object) -> Item:
        return self._find(item_id, verb="retriev", code="item_retrieve_invalid_item_id")

    def delete(self, item_id: object) -> None:
        self.items.remove(self._find(item_id, verb="delet", code="item_delete_invalid_item_id"))

    def truncate(self, item_id: object, *, content_index: object, audio_end_ms: object) -> None:
        item = self._find(item_id, verb="truncat", code="item_truncate_invalid_item_id")
        if item.get("role") != "assistant" or item["id"] not in self.audio_ms or content_index != 0:
            raise Refusal("Only model output audio messages can be truncated")
        if not isinstance(audio_end_ms, int) or audio_end_ms < 0:
            raise Refusal("Invalid value for 'audio_end_ms': expected an integer.", "invalid_value", "audio_end_ms")
        length = self.audio_ms[item["id"]]
        if audio_end_ms > length:
            raise Refusal(f"Audio content of {length}ms is already shorter than {audio_end_ms}ms")
        self.audio_ms[item["id"]] = audio_end_ms
        # No text may stay in the context that the caller has not heard.
        item["content"] = [{"type": "output_audio"}]

    def _has_call(self, call_id: str) -> bool:
        return any(item["type"] == "function_call" and item.get("call_id") == call_id for item in self.items)

    def _place(self, after: str | None) -> int:
        if after is None:
            return len(self.items)
        if after == "root":
            return 0
        for index, item in enumerate(self.items):
            if item["id"] == after:
                return index + 1
        raise Refusal(
            f"Error adding item: the previous item with id '{after}' does not exist.",
            "item_create_invalid_previous_item_id",
            "previous_item_id",
        )

    def _find(self, item_id: object, *, verb: str, code: str) -> Item:
        for item in self.items:
            if item["id"] == item_id:
                return item
        raise Refusal(f"Error {verb}ing item: the item with id '{item_id}' does not exist.", code, "item_id")


def public(item: Mapping[str, Any]) -> Item:
    """The item as the vendor shows it: without what only the model heard."""
    shown = dict(item)
    if item.get("role") == "user":
        shown["content"] = [
            {"type": "input_audio"} if part["type"] == "input_audio" else part for part in item["content"]
        ]
    return shown


def _checked(given: object) -> Item:
    if not isinstance(given, dict):
        raise Refusal("Missing required parameter: 'item'.", "missing_required_parameter", "item")
    kind = given.get("type")
    if kind == "message":
        _check_message(given)
    elif kind == "function_call":
        _require(given, "name", "arguments")
    elif kind == "function_call_output":
        _require(given, "call_id", "output")
    else:
        raise Refusal(
            f"Invalid value: '{kind}'. Supported values are: 'message', 'function_call', 'function_call_output'.",
            "invalid_value",
            "item.type",
        )
    return {key: value for key, value in given.items() if value is not None}


def _check_message(given: Mapping[str, Any]) -> None:
    parts = _PARTS.get(str(given.get("role")))
    if parts is None:
        raise Refusal(f"Invalid value: '{given.get('role')}'.", "invalid_value", "item.role")
    content = given.get("content")
    if not isinstance(content, list) or not content:
        raise Refusal("Missing required parameter: 'item.content'.", "missing_required_parameter", "item.content")
    for index, part in enumerate(content):
        param = f"item.content[{index}].type"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in parts:
            named = ", ".join(f"'{name}'" for name in parts)
            raise Refusal(f"Invalid value: '{kind}'. Supported values are: {named}.", "invalid_value", param)
        if kind == "output_audio":
            raise Refusal("Assistant audio messages cannot be created by the client.", "invalid_value", param)
        if kind.endswith("_text") and not isinstance(part.get("text"), str):
            param = f"item.content[{index}].text"
            raise Refusal(f"Missing required parameter: '{param}'.", "missing_required_parameter", param)


def _require(given: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(given.get(name), str):
            raise Refusal(f"Missing required parameter: 'item.{name}'.", "missing_required_parameter", f"item.{name}")
