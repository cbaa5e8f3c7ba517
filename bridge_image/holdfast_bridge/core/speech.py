"""The agent's lines on their way from the provider to the caller's ear, and into the account of the call.

Joins `Playout` (what was sent and heard) to `Conversation` (what was said). It decides nothing of turns or providers.
"""

from __future__ import annotations

from collections import deque

from holdfast_bridge.core import events as ev
from holdfast_bridge.core.audio import Playout, pieces
from holdfast_bridge.core.conversation import Conversation

BYTES_PER_S = 1000 * ev.BYTES_PER_MS
CUT_MAX = 500
"""Cut lines of one response that are remembered, so that nothing more of them counts."""


class Speech:
    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._playout = Playout()
        self._cut: deque[str] = deque(maxlen=CUT_MAX)
        self._known = ""
        """The line that was opened last, if it was not cut."""
        self._disclosure = ""
        self.plays_until = 0.0
        """When the carrier will have played all that it was given, as far as can be reckoned."""

    def line(self, key: str, *, disclosure: bool) -> bool:
        """Open the line if it is new; False if it was cut, so that nothing more of it counts."""
        if key == self._known and not disclosure:
            return True
        if key in self._cut:
            return False
        self.conversation.agent_line(key)
        self._known = key
        if disclosure:
            self._disclosure = key
        return True

    def audio(self, key: str, payload: bytes, now: float) -> list[ev.Effect]:
        out: list[ev.Effect] = []
        self.plays_until = max(self.plays_until, now) + len(payload) / BYTES_PER_S
        for piece in pieces(payload):
            out.append(ev.SendAudio(piece))
            if (mark := self._playout.sent(key, len(piece))) is not None:
                out.append(ev.SendMark(mark))
        return out

    def flows(self, payload: bytes, now: float) -> str:
        """A piece of the line that was opened last; the mark to send behind it, empty when there is none."""
        nbytes = len(payload)
        until = self.plays_until
        self.plays_until = (now if until < now else until) + nbytes / BYTES_PER_S
        return self._playout.sent(self._known, nbytes) or ""

    def all_sent(self, key: str) -> list[ev.Effect]:
        mark = None if key in self._cut else self._playout.item_done(key)
        return [] if mark is None else [ev.SendMark(mark)]

    def mark_back(self, name: str) -> bool:
        return self._playout.mark_back(name) is not None

    def quiet(self) -> bool:
        return self._playout.quiet()

    @property
    def in_line(self) -> bool:
        """A line has begun to sound, and more of it is to come."""
        line = self._known
        return bool(line) and self._playout.sent_ms(line) > 0 and not self._playout.is_done(line)

    def is_in(self, key: str) -> bool:
        """It is this line."""
        return key == self._known and self.in_line

    def still_to_be_heard(self) -> tuple[str, bool]:
        """The words of the open lines that were not played yet, and whether nothing was to follow them."""
        self.measure()
        return self.conversation.rest()

    def interrupted(self, prefix: str) -> list[ev.Effect]:
        """The caller talks over the agent: silence the carrier, and let the provider know what was heard."""
        if self._playout.quiet():
            return []
        self.measure()
        out: list[ev.Effect] = [ev.ClearCarrier()]
        for key in list(self.conversation.open):
            heard, sent = self._playout.heard_ms(key), self._playout.sent_ms(key)
            words = self.conversation.cut(key)
            if sent > heard and key.startswith(prefix):
                out.append(ev.Truncate(key.removeprefix(prefix), heard, words))
            self._cut.append(key)
            self._known = ""
            self._playout.forget(key)
        self._playout.cleared()
        self.plays_until = 0.0
        return out

    def new_response(self) -> None:
        """A cut line belongs to an earlier response, whose audio can no longer come."""
        self._cut.clear()

    def played_ms(self) -> dict[str, int]:
        """How far the carrier will play each open line by itself, whatever becomes of the provider."""
        return {key: self._playout.sent_ms(key) for key in self.conversation.open}

    def settle(self) -> list[ev.Effect]:
        """No more will come of the open lines: they end where their sound ends."""
        out: list[ev.Effect] = []
        for key, sent_ms in self.played_ms().items():
            self.conversation.shorten(key, sent_ms)
            out += self.all_sent(key)
        return out

    def measure(self) -> None:
        """Carry into the conversation how far each open line was heard."""
        for key in list(self.conversation.open):
            self.conversation.measure(
                key,
                heard_ms=self._playout.heard_ms(key),
                sent_ms=self._playout.sent_ms(key),
                all_sent=self._playout.is_done(key),
            )
            if key not in self.conversation.open and key != self._disclosure:
                self._playout.forget(key)

    def past(self, repeatable: frozenset[str]) -> tuple[ev.Seed, ...]:
        """All that was said and done, each line as far as it was or will be heard."""
        return self.conversation.take_up(repeatable=repeatable, played_ms=self.played_ms()).seeds

    def disclosure_sent_ms(self) -> int | None:
        """How long the disclosure is, once all of it was sent."""
        done = bool(self._disclosure) and self._playout.is_done(self._disclosure)
        return self._playout.sent_ms(self._disclosure) if done else None

    def disclosure_heard(self) -> bool:
        sent = self.disclosure_sent_ms()
        return sent is not None and self._playout.heard_ms(self._disclosure) >= sent
