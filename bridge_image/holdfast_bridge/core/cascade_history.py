"""What a cascade remembers of the call for its language model: texts and finished tools, in order.

A provider that hears and speaks by itself keeps such a list at the vendor; a cascade has to keep its own. Lines of the
agent can be shortened to what was heard of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdfast_bridge.core.events import Seed, SeedText, SeedTool

MAX_ENTRIES = 400
MAX_TEXT = 32_768
"""Of one entry: as much as a language model may say in one reply."""


@dataclass(frozen=True, slots=True)
class _Entry:
    seed: Seed
    line: str = ""


class History:
    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    @property
    def seeds(self) -> tuple[Seed, ...]:
        return tuple(entry.seed for entry in self._entries)

    def seed(self, seeds: tuple[Seed, ...]) -> None:
        for seed in seeds:
            self._add(_Entry(seed))

    def caller(self, text: str) -> None:
        self._add(_Entry(SeedText("user", text[:MAX_TEXT])))

    def agent(self, line: str, text: str) -> None:
        """What the agent says in this line, as far as it is known now."""
        text = text[:MAX_TEXT]
        for at in range(len(self._entries) - 1, -1, -1):
            entry = self._entries[at]
            if entry.line == line and isinstance(entry.seed, SeedText):
                if text:
                    self._entries[at] = replace(entry, seed=SeedText("assistant", text))
                else:
                    del self._entries[at]
                return
        if text:
            self._add(_Entry(SeedText("assistant", text), line))

    def tool(self, call: str, name: str, arguments: str, output: str) -> None:
        self._add(_Entry(SeedTool(call, name, arguments, output)))

    def _add(self, entry: _Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) > MAX_ENTRIES:
            del self._entries[: MAX_ENTRIES // 4]
