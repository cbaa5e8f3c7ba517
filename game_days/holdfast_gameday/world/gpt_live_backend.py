"""The delegated model of a simulated GPT-Live session: what it says of its responses, and which calls it waits for.

Its events are those of the Responses API, each within a `response.event`. As at the vendor the snapshots are empty: a
call has to be read from its own `response.output_item.done`, before which a `reasoning` item comes. It decides nothing;
what it answers is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast_gameday.world.openai_errors import Refusal
from holdfast_gameday.world.openai_model import Call
from holdfast_gameday.world.vendor_faults import Fault

Event = dict[str, Any]
USAGE: Event = {
    "input_tokens": 40, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 52,
}  # fmt: skip


class Backend:
    def __init__(self, *, send: Callable[[Event], None], new_id: Callable[[str], str], created_at: int) -> None:
        self.delegation: str | None = None
        """The one whose response came last."""
        self._send = send
        self._new_id = new_id
        self._created_at = created_at
        self._open: set[str] = set()
        self._sequence = 0

    # --- what the client sends

    def returned(self, call: str) -> None:
        if call not in self._open:
            raise Refusal(
                f"No tool call found for function call output with call_id {call}.", "invalid_value", "item.call_id"
            )
        self._open.discard(call)

    def check_complete(self) -> None:
        if self._open:
            missing = ", ".join(sorted(self._open))
            raise Refusal(f"Function call outputs are required for: {missing}.", "function_call_outputs_required")

    # --- its responses

    def calls(self, model: str, response: str, calls: Sequence[Call]) -> list[Event]:
        """Tells of a response that calls these tools; returns the calls as items of a conversation."""
        self._begin(model, response)
        reasoning: Event = {"id": self._new_id("rs"), "type": "reasoning", "summary": []}
        self._tell("response.output_item.added", output_index=0, item=reasoning)
        self._tell("response.output_item.done", output_index=0, item=reasoning)
        items = [self._call(index, call) for index, call in enumerate(calls, start=1)]
        self._open.update(item["call_id"] for item in items)
        self._end("completed", model, response)
        return items

    def text(self, model: str, response: str, text: str) -> None:
        self._begin(model, response)
        item: Event = {
            "id": self._new_id("msg"), "type": "message", "role": "assistant", "status": "in_progress", "content": [],
        }  # fmt: skip
        where = {"output_index": 0, "item_id": item["id"], "content_index": 0}
        part: Event = {"type": "output_text", "text": text, "annotations": []}
        self._tell("response.output_item.added", output_index=0, item=item)
        self._tell("response.output_text.delta", **where, delta=text, logprobs=[])
        self._tell("response.output_text.done", **where, text=text, logprobs=[])
        done = {**item, "status": "completed", "content": [part]}
        self._tell("response.output_item.done", output_index=0, item=done)
        self._end("completed", model, response)

    def fail(self, model: str, response: str, fault: Fault) -> None:
        self._begin(model, response)
        error = {"code": fault.error_code, "message": "The server had an error on demand."}
        self._open.clear()
        self._end("failed", model, response, error=error)

    def _call(self, index: int, call: Call) -> Event:
        item: Event = {
            "id": self._new_id("fc"), "type": "function_call", "status": "in_progress",
            "call_id": self._new_id("call"), "name": call.name, "arguments": "",
        }  # fmt: skip
        self._tell("response.output_item.added", output_index=index, item=item)
        where = {"output_index": index, "item_id": item["id"]}
        self._tell("response.function_call_arguments.delta", **where, delta=call.arguments)
        self._tell("response.function_call_arguments.done", **where, arguments=call.arguments)
        done = {**item, "status": "completed", "arguments": call.arguments}
        self._tell("response.output_item.done", output_index=index, item=done)
        return done

    def _begin(self, model: str, response: str) -> None:
        self._sequence = 0
        snapshot = self._snapshot("in_progress", model, response)
        self._tell("response.created", response=snapshot)
        self._tell("response.in_progress", response=snapshot)

    def _end(self, status: str, model: str, response: str, *, error: Event | None = None) -> None:
        snapshot = {**self._snapshot(status, model, response), "error": error, "usage": USAGE}
        self._tell(f"response.{status}", response=snapshot)

    def _snapshot(self, status: str, model: str, response: str) -> Event:
        return {
            "id": response, "object": "response", "created_at": self._created_at, "status": status, "model": model,
            "instructions": None, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "output": [],
            "error": None, "incomplete_details": None,
        }  # fmt: skip

    def _tell(self, kind: str, **fields: Any) -> None:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        self._send({"type": "response.event", "delegation_id": self.delegation, "event": event})
