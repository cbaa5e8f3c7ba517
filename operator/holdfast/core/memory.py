"""Memory and epoch as the short texts that ride on the vote Leases, and back.

Text that cannot be read is not an error: it is unknown history. Ages are written as they are at that
moment and grow on the reader's clock, so that no two clocks are ever compared.

    {"epoch": 7, "seq": 12, "regions": {"fra": {"intent": "cordoned", "since": 12.5, "flaps": 1, "reason": "…"}}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.core.values import Intent, RegionMemory

REASON_CHARS_MAX = 256
REGIONS_MAX = 32
TEXT_CHARS_MAX = 65_536  # the largest memory fits, even if every character of its reasons is escaped
EPOCH_DIGITS_MAX = 15
FLOOR_MAX = 10 ** (EPOCH_DIGITS_MAX - 1)  # above it one could not count on for long, so no mark of ours says so much


@dataclass(frozen=True, slots=True)
class Record:
    """What one leader stored. The greater (epoch, seq) is the newer; `seq` counts within an epoch."""

    epoch: int = 0
    seq: int = 0
    regions: Mapping[str, RegionMemory] = field(default_factory=dict)


def encode(record: Record) -> str:
    regions = {name: _region_out(remembered) for name, remembered in sorted(record.regions.items())}
    content = {"epoch": record.epoch, "seq": record.seq, "regions": regions}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def decode(text: str, *, age_s: float) -> Record | None:
    """What a Lease remembers, grown by the time since we saw it change; None: unreadable. No text: nothing yet."""
    if not text:
        return Record()
    if len(text) > TEXT_CHARS_MAX:
        return None
    try:
        content = json.loads(text)
        regions = content["regions"]
        if len(regions) > REGIONS_MAX:
            return None
        known = {str(name): _region_in(entry, age_s) for name, entry in regions.items()}
        return Record(int(content["epoch"]), int(content["seq"]), known)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def latest(records: Iterable[Record | None], *, members: Iterable[str]) -> Record:
    """The newest of what a majority of Leases remembers.

    What was stored before a write is in a majority, so any majority holds it. If one of them is unreadable
    it may have been the newest: then the history of every region is unknown.
    """
    seen = list(records)
    readable = [record for record in seen if record is not None]
    newest = max(readable, key=lambda record: (record.epoch, record.seq), default=Record())
    if len(readable) == len(seen):
        return newest
    known = {**{name: RegionMemory(Intent.SERVING, None) for name in members}, **newest.regions}
    return replace(newest, regions={name: replace(entry, changed_ago_s=None) for name, entry in known.items()})


def encode_epoch(epoch: int) -> str:
    return str(epoch)


def decode_epoch(text: str) -> int | None:
    """The epoch of a Lease: 0 when none was ever stored, None when it is unreadable, so that none is used twice."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= EPOCH_DIGITS_MAX else None


def _region_out(remembered: RegionMemory) -> dict[str, Any]:
    since = remembered.changed_ago_s
    return {
        "intent": remembered.intent.value,
        "since": None if since is None else round(since, 1),
        "flaps": remembered.flaps,
        "reason": remembered.reason[:REASON_CHARS_MAX],
    }


def _region_in(entry: Mapping[str, Any], age_s: float) -> RegionMemory:
    since = entry["since"]
    if since is not None and not 0 <= float(since) < math.inf:
        raise ValueError(since)
    changed_ago_s = None if since is None else float(since) + age_s
    reason = str(entry.get("reason", ""))[:REASON_CHARS_MAX]
    return RegionMemory(Intent(entry["intent"]), changed_ago_s, max(int(entry["flaps"]), 0), reason)
