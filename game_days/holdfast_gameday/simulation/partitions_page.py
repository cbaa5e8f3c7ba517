"""The tables of `docs/partitions.md`: one for each shape of a fleet, one row for each cut, all of it as it was played.

Times are told as bounds and in dwells, so that a row says what can be relied on and not what one run happened to take.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.core import reasons
from holdfast.core.writes import CODES
from holdfast_gameday.simulation import cuts, partitions
from holdfast_gameday.simulation.cuts import FRA
from holdfast_gameday.simulation.partitions import DWELL_S, Calls, Held, Out, Seen

BOUNDS_S = (10, 20, 30, 60, 120)
HEAD = ("the cut", "who leads", "who is taken out, and why", "new calls", "calls in flight", "when it heals")
DWELLS = ("at once", "after a dwell", "after two dwells")


def table(shape: str) -> str:
    """Every cut of one fleet."""
    lines = [_line(HEAD), _line("---" for _ in HEAD)]
    for words, group in cuts.groups(shape).items():
        lines.append(_line((f"**{words}**", *("" for _ in HEAD[1:]))))
        lines += [_line(row(shape, partitions.play(shape, cut))) for cut in group]
    return "\n".join(lines)


def row(shape: str, seen: Seen) -> tuple[str, ...]:
    """One cut, cell by cell."""
    voters = len(partitions.fleet(shape).zone.voters)
    new_calls, in_flight = _new_calls(shape, seen), _in_flight(seen.calls)
    return (seen.cut.words, _leads(seen, voters), _out(shape, seen), new_calls, in_flight, _heals(seen))


def _leads(seen: Seen, voters: int) -> str:
    if not seen.leads:
        return f"nobody: `{seen.condition.code}`"
    votes = f"({seen.votes} of {voters} votes)"
    if seen.leads == FRA:
        return f"fra {votes}"
    one = seen.leads if len(seen.cut.leads) == 1 else "one of the others"
    return f"{one} within {_bound(seen.led_after_s or 0.0)} s {votes}"


def _out(shape: str, seen: Seen) -> str:
    """Who is out, or what was wanted instead, and the words for it; then those to whom everything is refused."""
    if seen.cut.out is None:
        return f"some at first, never all: then `{reasons.EVERYTHING_ILL}` or `{reasons.OBSERVER_DOUBTS}`"
    told = [_how(shape, seen.out)] if seen.out else []
    led = [held for held in seen.held if held.operator == seen.leads]
    if led and not seen.out:
        told.append(f"nobody, {_words(led[0])}")
    alone = dict.fromkeys(held.operator for held in seen.held if held.operator != seen.leads)
    if alone:
        told += [] if told else ["nobody"]
        told.append(f"`{reasons.NO_QUORUM}` to {_and(alone)}")
    return "; ".join(told) or "nobody: nothing looks ill"


def _how(shape: str, out: tuple[Out, ...]) -> str:
    """When it took effect, and why. How many more than needed had seen it by then is chance."""
    known = [each.off_after_s for each in out if each.off_after_s is not None]
    when = f" within {_bound(max(known))} s" if len(known) == len(out) else ", though still on at the lever"
    observers = len(partitions.fleet(shape).zone.observers_of(out[0].region))
    needed = observers // 2 + 1
    seen_by = f"{needed} of {observers}" if needed == observers else f"{needed} or more of {observers}"
    return f"{_and(each.region for each in out)}{when}, `{CODES[out[0].cause]}`: {seen_by} observers see it down"


def _words(held: Held) -> str:
    return f"`{held.reason.code}`: {_short(held.reason.message)}"


def _new_calls(shape: str, seen: Seen) -> str:
    routed, deaf = seen.calls.routed, _and(seen.calls.deaf)
    if not routed:
        return "nobody answers"
    where = "as before" if routed == _usual(shape) else ", ".join(f"{name} {share} %" for name, share in routed.items())
    return f"{where}, by the carriers' fallback instead of {deaf}" if deaf else where


def _usual(shape: str) -> dict[str, int]:
    regions = partitions.fleet(shape).zone.regions
    total = sum(region.weight for region in regions)
    return {region.name: round(100 * region.weight / total) for region in regions}


def _in_flight(calls: Calls) -> str:
    if not calls.severed:
        return f"go on; those of {_and(calls.given_up)} may be fetched" if calls.given_up else "go on"
    if calls.carried >= calls.severed - 1:
        return f"{calls.severed} of {calls.live} are taken up elsewhere"
    return f"{calls.severed} of {calls.live} find nobody to take them up"


def _heals(seen: Seen) -> str:
    """Who leads then, and when the regions were back; the ramp that follows always lasts one dwell."""
    told = []
    if not seen.leads:
        told.append(f"a leader within {_bound(seen.healed.led_after_s)} s" if seen.healed.leads else "nobody leads")
    if seen.cut.out is None:
        told.append("who was out is back after a dwell or sooner")
    elif back := seen.healed.back_after_s:
        told.append(f"{_and(sorted(back))} back {DWELLS[round(max(back.values()) / DWELL_S)]}")
    return "; ".join(told) or "nothing to undo"


def _bound(seconds: float) -> int:
    return next(bound for bound in BOUNDS_S if seconds <= bound)


def _short(message: str) -> str:
    """The sentence without who said it, which is in `explain`."""
    return re.split(r" \(|;", message, maxsplit=1)[0]


def _and(names: Iterable[str]) -> str:
    listed = list(names)
    return f"{', '.join(listed[:-1])} and {listed[-1]}" if len(listed) > 1 else "".join(listed)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
