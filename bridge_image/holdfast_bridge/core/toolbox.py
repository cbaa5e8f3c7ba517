"""The tools a call has running: which the model may call, and how a result is told when the provider has changed.

It runs nothing. `end_call` is not among them: it ends the call and belongs to `CallCore`.
"""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.conversation import Conversation

TOOLS_PER_TURN = 8


class Toolbox:
    def __init__(self, names: frozenset[str], conversation: Conversation) -> None:
        self._names = names
        self._conversation = conversation
        self._open: dict[str, tuple[int, ev.ToolCall]] = {}
        self._this_turn = 0

    @property
    def busy(self) -> bool:
        return bool(self._open)

    def new_turn(self) -> None:
        self._this_turn = 0

    def call(self, event: ev.ToolCall, *, key: str, link: int) -> ev.RunTool | ev.ToolOutput:
        """What the model asked for, or the answer that it may not."""
        self._this_turn += 1
        if event.name not in self._names:
            return ev.ToolOutput(event.id, '{"error":"no such tool"}')
        if self._this_turn > TOOLS_PER_TURN:
            return ev.ToolOutput(event.id, '{"error":"too many tools in one turn"}')
        self._conversation.tool_intent(key, event.name, event.arguments)
        self._open[key] = (link, event)
        return ev.RunTool(key, event.name, event.arguments)

    def result(self, event: ev.ToolResult, *, link: int) -> ev.ToolOutput | ev.SeedConversation | None:
        """How to tell the present provider; a provider that did not ask is told of the question, too."""
        opened = self._open.pop(event.id, None)
        if opened is None or not self._conversation.tool_done(event.id, event.output):
            return None
        asked_on, call = opened
        if asked_on == link:
            return ev.ToolOutput(call.id, event.output)
        return ev.SeedConversation((ev.SeedTool(event.id, call.name, call.arguments, event.output),))
