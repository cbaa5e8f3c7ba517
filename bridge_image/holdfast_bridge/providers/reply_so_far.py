"""One answer of a language model while it comes, in what is the same for all vendors. Pure; it knows no vendor's words.

It is bounded: an answer without an end is ended. One that cannot be read, or was cut before its first word, is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias, TypeVar

from holdfast_bridge.core import failures
from holdfast_bridge.core import stages as st
from holdfast_bridge.providers import tool_calls

MAX_TEXT = 32_768
Message = TypeVar("Message")
Said: TypeAlias = list[st.ThinkingEvent]


class ReplySoFar:
    """`ends`: how the reply ended, by the vendor's word for it; other words are ends in order."""

    def __init__(self, ids: tool_calls.CallIds, ends: Mapping[str, st.Ended]) -> None:
        self.calls = tool_calls.ToolCalls(ids)
        self.over = False
        self.stopped = ""
        """The vendor's word for why the model ended; empty while it has not."""
        self.tokens_in = 0
        self.tokens_out = 0
        self._ends = ends
        self._texts = 0
        self._characters = 0
        self._unreadable = 0

    @property
    def pieces(self) -> int:
        """How many pieces of text and of tool calls have come. While it stands still, the model has said nothing."""
        return self._texts + self.calls.pieces

    def said(self, text: str | None) -> Said:
        if not text:
            return []
        self._texts += 1
        self._characters += len(text)
        return [st.TextPiece(text)] if self._characters <= MAX_TEXT else self._whole(st.Ended.TOO_LONG)

    def read(
        self, messages: Iterable[Message], one: Callable[[Message], Said], *, broken: Callable[[], bool]
    ) -> Said:
        """What came in one chunk, each by `one`, up to the reply's end. `broken`: nothing more can be read of it."""
        out: Said = []
        for message in messages:
            if self.over:
                return out
            out += one(message)
        if broken() and not self.over:
            out += self.lost(st.StageLost("unreadable"))
        return out

    def unreadable(self) -> Said:
        """One message that cannot be read. One more or less is let pass."""
        self._unreadable += 1
        return self.lost(st.StageLost("unreadable")) if self._unreadable == failures.UNREADABLE_MAX else []

    def end(self) -> Said:
        """Nothing more comes. Some streams lack their last word, though the reply is whole."""
        if self.over:
            return []
        if not self.stopped:
            return self.lost(st.StageLost("cut"))
        return self._whole(self._ends.get(self.stopped, st.Ended.SAID))

    def lost(self, how: st.StageLost) -> Said:
        self.over = True
        return [how]

    def _whole(self, how: st.Ended) -> Said:
        self.over = True
        told = self.calls.finish(how, tokens_in=self.tokens_in, tokens_out=self.tokens_out)
        if self._texts or len(told) > 1:
            return told
        # Nobody must be left in silence because a filter took all of it, or because the model thought until the limit.
        match told:
            case [st.ReplyEnded(how=st.Ended.FILTERED)]:
                return self.lost(st.StageLost("content_filter", retry_same=False))
            case [st.ReplyEnded(how=st.Ended.TOO_LONG)]:
                return self.lost(st.StageLost("empty"))
        return told
