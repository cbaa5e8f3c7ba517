"""Cuts a model's text into clauses while it is still being written, so that speech can begin before the sentence ends.

Nothing is lost, added or trimmed: the clauses joined are the text. It knows no language beyond its punctuation.
"""

from __future__ import annotations

import re

FIRST_MIN = 10
LATER_MIN = 30
"""Characters. The first clause is short, so that the caller soon hears one; later ones give the voice a phrase."""
LONGEST = 160
_SENTENCE_END = frozenset(".!?…。！？")
_BOUNDARY = re.compile(r"[.!?…;:,–—]\s+|[。！？、，；：\n]")
"""A full stop within a number or a name is none: western marks count before white space only."""
_ENDS_AT_ONCE = frozenset("。！？、，；：\n")


class Clauses:
    def __init__(self) -> None:
        self._held = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """What may be spoken now."""
        self._held += text
        clauses: list[str] = []
        while (cut := self._cut()) > 0:
            clauses.append(self._held[:cut])
            self._held = self._held[cut:]
            self._first = False
        return clauses

    def rest(self) -> str:
        """The text is whole: what is left of it."""
        rest, self._held = self._held, ""
        return rest

    def _cut(self) -> int:
        """Where the next clause ends; 0: not yet."""
        least = FIRST_MIN if self._first else LATER_MIN
        for found in _BOUNDARY.finditer(self._held, 0, LONGEST):
            mark = self._held[found.start()]
            if mark not in _ENDS_AT_ONCE and found.end() == len(self._held):
                return 0  # Its white space may go on: it is cut when the next word has begun.
            if found.end() >= least or (mark in _SENTENCE_END and not self._first):
                return found.end()
        if len(self._held) <= LONGEST:
            return 0
        space = self._held.rfind(" ", 1, LONGEST)
        return space + 1 if space > 0 else LONGEST
