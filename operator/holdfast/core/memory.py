"""Memory and epoch as the short texts that ride on the vote Leases, and back.

Text that cannot be read is not an error: it is unknown history. Ages are written as they are at that
moment and grow on the reader's clock, so that no two clocks are ever compared.

    {"epoch": 7, "seq": 12, "carriers": {}, "regions": {"fra": {"step": null, "stepped": 0.0, "cordons":
        {"lost": {"stands": true, "since": 12.5, "flaps": 1, "reason": "…"}}}}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.core.values import Cause, Cordon, RegionMemory

REASON_CHARS_MAX = 256
NAME_CHARS_MAX = 63
REGIONS_MAX = 32
CARRIERS_MAX = 32
AGE_MAX_S = 1e9
TEXT_CHARS_MAX = 131_072  # half of what an object's annotations may hold together
EPOCH_DIGITS_MAX = 15
FLOOR_MAX = 10 ** (EPOCH_DIGITS_MAX - 1)  # above it one could not count on for long, so no mark of ours says so much


@dataclass(frozen=True, slots=True)
class Record:
    """What one leader stored. The greater (epoch, seq) is the newer; `seq` counts within an epoch."""

    epoch: int = 0
    seq: int = 0
    regions: Mapping[str, RegionMemory] = field(default_factory=dict)
    carriers: Mapping[str, Cordon] = field(default_factory=dict)


def encode(record: Record) -> str:
    regions = {name: _region_out(remembered) for name, remembered in sorted(record.regions.items())}
    carriers = {name: _cordon_out(cordon) for name, cordon in sorted(record.carriers.items())}
    content = {"epoch": record.epoch, "seq": record.seq, "carriers": carriers, "regions": regions}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def decode(text: str, *, age_s: float) -> Record | None:
    """What a Lease remembers, grown by the time since we saw it change; None: unreadable. No text: nothing yet."""
    if not text:
        return Record()
    if len(text) > TEXT_CHARS_MAX:
        return None
    try:
        content = json.loads(text)
        regions, carriers = content["regions"], content["carriers"]
        if len(regions) > REGIONS_MAX or len(carriers) > CARRIERS_MAX:
            return None
        return Record(
            int(content["epoch"]),
            int(content["seq"]),
            {str(name): _region_in(entry, age_s) for name, entry in regions.items()},
            {str(name): _cordon_in(entry, age_s) for name, entry in carriers.items()},
        )
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
    return newest if len(readable) == len(seen) else of_unknown_age(newest, members=members)


def of_unknown_age(record: Record, *, members: Iterable[str]) -> Record:
    """The record of a memory that is not to be trusted with time: every region counts as moved just now."""
    known = {**{name: RegionMemory() for name in members}, **record.regions}
    return replace(
        record,
        regions={name: _undated(remembered) for name, remembered in known.items()},
        carriers={name: replace(cordon, changed_ago_s=None) for name, cordon in record.carriers.items()},
    )


def aged(record: Record, passed_s: float) -> Record:
    """The same record, that much later."""
    regions = {
        name: RegionMemory(
            {cause: _older(cordon, passed_s) for cause, cordon in remembered.cordons.items()},
            remembered.step,
            None if remembered.stepped_ago_s is None else remembered.stepped_ago_s + passed_s,
        )
        for name, remembered in record.regions.items()
    }
    return replace(
        record, regions=regions, carriers={name: _older(each, passed_s) for name, each in record.carriers.items()}
    )


def encode_epoch(epoch: int) -> str:
    return str(epoch)


def decode_epoch(text: str) -> int | None:
    """The epoch of a Lease: 0 when none was ever stored, None when it is unreadable, so that none is used twice."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdigit() and len(text) <= EPOCH_DIGITS_MAX else None


def _undated(remembered: RegionMemory) -> RegionMemory:
    # A region without any cordon may have had one that is forgotten: what found it off last counts as just now.
    cordons = remembered.cordons or {Cause.FOUND_OFF: Cordon(stands=False, changed_ago_s=None)}
    undated = {cause: replace(cordon, changed_ago_s=None) for cause, cordon in cordons.items()}
    return RegionMemory(undated, remembered.step, None)


def _older(cordon: Cordon, passed_s: float) -> Cordon:
    ago_s, remaining_s = cordon.changed_ago_s, cordon.remaining_s
    return replace(
        cordon,
        changed_ago_s=None if ago_s is None else ago_s + passed_s,
        remaining_s=None if remaining_s is None else remaining_s - passed_s,
    )


def _region_out(remembered: RegionMemory) -> dict[str, Any]:
    return {
        "step": remembered.step,
        "stepped": _age_out(remembered.stepped_ago_s),
        "cordons": {cause.value: _cordon_out(each) for cause, each in remembered.cordons.items()},
    }


def _cordon_out(cordon: Cordon) -> dict[str, Any]:
    written: dict[str, Any] = {
        "stands": cordon.stands,
        "since": _age_out(cordon.changed_ago_s),
        "flaps": cordon.flaps,
        "reason": cordon.reason[:REASON_CHARS_MAX],
    }
    if cordon.remaining_s is not None:
        written |= {"remaining": _age_out(cordon.remaining_s), "toldBy": cordon.told_by}
    return written


def _age_out(age_s: float | None) -> float | None:
    """Null is unknown. An age without end is written as the greatest number a reader takes."""
    return None if age_s is None else round(min(age_s, AGE_MAX_S), 1)


def _region_in(entry: Mapping[str, Any], age_s: float) -> RegionMemory:
    step = entry["step"]
    cordons = {Cause(name): _cordon_in(each, age_s) for name, each in entry["cordons"].items()}
    return RegionMemory(cordons, None if step is None else max(int(step), 0), _age_in(entry["stepped"], age_s))


def _cordon_in(entry: Mapping[str, Any], age_s: float) -> Cordon:
    remaining = entry.get("remaining")
    if not isinstance(entry["stands"], bool):
        raise TypeError(entry["stands"])
    return Cordon(
        stands=entry["stands"],
        changed_ago_s=_age_in(entry["since"], age_s),
        flaps=max(int(entry["flaps"]), 0),
        reason=str(entry.get("reason", ""))[:REASON_CHARS_MAX],
        remaining_s=None if remaining is None else _finite(remaining) - age_s,
        told_by=str(entry.get("toldBy", ""))[:NAME_CHARS_MAX],
    )


def _age_in(since: Any, age_s: float) -> float | None:
    if since is None:
        return None
    if _finite(since) < 0:
        raise ValueError(since)
    return float(since) + age_s


def _finite(number: Any) -> float:
    if not math.isfinite(float(number)):
        raise ValueError(number)
    return float(number)
