"""Good answers of tools' webhooks, kept for a while. Pure: the time is an argument, and a question is a value.

Bounded by number and by bytes; what was asked for longest ago makes room. What is worth keeping is decided elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ANSWERS_MAX = 512
BYTES_MAX = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """`arguments`: in one canonical text, so that the order of their names does not matter."""

    tool: str
    url: str
    arguments: bytes


class KeptAnswers:
    def __init__(self) -> None:
        self._kept: OrderedDict[Question, tuple[str, float]] = OrderedDict()
        self._bytes = 0

    def keep(self, question: Question, answer: str, *, until: float) -> None:
        self._drop(question)
        self._kept[question] = (answer, until)
        self._bytes += _bytes(question, answer)
        while len(self._kept) > ANSWERS_MAX or self._bytes > BYTES_MAX:
            self._drop(next(iter(self._kept)))

    def find(self, question: Question, *, now: float) -> str | None:
        found = self._kept.get(question)
        if found is None:
            return None
        answer, until = found
        if until <= now:
            self._drop(question)
            return None
        self._kept.move_to_end(question)
        return answer

    def _drop(self, question: Question) -> None:
        if (dropped := self._kept.pop(question, None)) is not None:
            self._bytes -= _bytes(question, dropped[0])


def _bytes(question: Question, answer: str) -> int:
    return len(question.arguments) + len(answer.encode())
