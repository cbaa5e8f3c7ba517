"""Our mark on objects at a vendor: `holdfast:<zone>/<region>`, then the epoch of the last writer, then any words.

What lacks the mark is never touched. The epoch makes the vendor's object itself a fence: a writer whose epoch is lower
than the one it finds there has been replaced and does not know it yet.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A parsed mark. `words` is the rest of the description, which belongs to the user and is kept."""

    epoch: int
    words: tuple[str, ...]


def parse(description: str, zone: str, region: str) -> Mark | None:
    """The mark in a description, or None when this object is not ours for that zone and region."""
    first, *rest = description.split() or [""]
    if first != f"holdfast:{zone}/{region}":
        return None
    if rest and rest[0].startswith("epoch="):
        digits = rest[0].removeprefix("epoch=")
        return Mark(epoch=int(digits) if digits.isdecimal() else 0, words=tuple(rest[1:]))
    return Mark(epoch=0, words=tuple(rest))


def render(mark: Mark, zone: str, region: str) -> str:
    """The description that carries this mark."""
    return " ".join((f"holdfast:{zone}/{region}", f"epoch={mark.epoch}", *mark.words))
