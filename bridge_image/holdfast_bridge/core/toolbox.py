"""The tools a call has running: which the model may call, and how a result is told when the provider has changed.

It runs nothing. `end_call` is not among them: it ends the call and belongs to `CallCore`.

A turn has TOOLS_PER_TURN of them. A model that wants more is refused and told to answer; one that goes on calling after
it was told so REMINDERS times gives no answer at all, and its provider is given up. A repeated question is not answered
from the first one: whoever asks whether something is done by now wants to know it anew, and `cacheSeconds` is for the
others.
"""

from __future__ import annotations

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.conversation import Conversation

TOOLS_PER_TURN = 8
REMINDERS = 2
CALLS_MAX = 32
"""For models that go on by themselves when a tool is refused."""
ANSWER_NOW = (
    "You have called as many tools as one turn may have. Call no tool now: answer the caller with what you know, and "
    "say so if something could not be found out."
)


class Toolbox:
    def __init__(self, names: frozenset[str], conversation: Conversation) -> None:
        self._names = names
        self._conversation = conversation
        self._open: dict[str, tuple[int, ev.ToolCall]] = {}
        self._this_turn = self._reminded = self._link = 0

    @property
    def busy(self) -> bool:
        return bool(self._open)

    @property
    def endless(self) -> bool:
        """The present provider was told to answer as often as one is, and called a tool again."""
        return self._reminded >= REMINDERS or self._this_turn >= CALLS_MAX

    def new_turn(self) -> None:
        self._this_turn = self._reminded = 0

    def go_on(self) -> str | None:
        """The instructions with which the model is now asked to go on."""
        if self._this_turn <= TOOLS_PER_TURN:
            return None
        self._reminded += 1
        return ANSWER_NOW

    def call(self, event: ev.ToolCall, *, key: str, link: int) -> ev.RunTool | ev.ToolOutput:
        """What the model asked for, or the answer that it may not."""
        if link != self._link:  # Another provider has not been told yet.
            self._link, self._reminded, self._this_turn = link, 0, min(self._this_turn, TOOLS_PER_TURN)
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
