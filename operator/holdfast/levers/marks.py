"""Our mark on objects at a vendor: `holdfast:<zone>/<region>`, then the epoch of the last writer, then any words.

An object of the whole zone, as a load balancer, carries `holdfast:<zone>`. What lacks the mark is never touched. The
epoch makes the vendor's object itself a fence: a writer whose epoch is lower than the one it finds there has been
replaced and does not know it yet.
"""

from __future__ import annotations

from dataclasses import dataclass

EPOCH_DIGITS_MAX = 18


@dataclass(frozen=True, slots=True)
class Mark:
    """A parsed mark. `words` is the rest of the description, which belongs to the user and is kept."""

    epoch: int
    words: tuple[str, ...]


def subject(zone: str, region: str = "") -> str:
    """What a description must begin with to be ours: the mark of a region's own object, or of the zone's."""
    return f"holdfast:{zone}/{region}" if region else f"holdfast:{zone}"


def parse(description: str, zone: str, region: str = "") -> Mark | None:
    """The mark in a description, or None when this object is not ours for that zone and region."""
    first, *rest = description.split() or [""]
    if first != subject(zone, region):
        return None
    if rest and rest[0].startswith("epoch="):
        digits = rest[0].removeprefix("epoch=")
        known = digits.isdecimal() and len(digits) <= EPOCH_DIGITS_MAX
        return Mark(epoch=int(digits) if known else 0, words=tuple(rest[1:]))
    return Mark(epoch=0, words=tuple(rest))


def render(mark: Mark, zone: str, region: str = "") -> str:
    """The description that carries this mark."""
    return " ".join((subject(zone, region), f"epoch={mark.epoch}", *mark.words))
