"""Whether a soak was passed, from what was seen. Pure.

    memory    after a warm-up of 10 % of the time the rest is cut into ten parts; the median of each lies within 5 % of
              the median of the first
    counts    file descriptors and asyncio tasks, those of before the first call taken away, for each call that is
              carried: most of each tenth within 10 % of the first's median, or within 20 in all, because the pool of
              Redis keeps 16 connections; and when the last call has ended no more than 20 over those of before
    book      no pod ever has more calls than the world has open in it or ended in it within the last 10 s; none at last
    ends      the end of each call that was ended cleanly, or given up with an apology, was taken in once by the other
              pod, stands in both regions' Redis, nothing newer of that call came after it, and no other call was
              recorded as ended
    calls     none was lost and no caller missed the agent for more than 10 s, those apart that were in progress while
              both providers were down or within the 10 s after; nobody heard another call
    log       no line of level error, and none that is no line of a log
    world     its own clock was never over half a second behind: else callers and providers were ill themselves, on a
              machine that had other work, and whatever is broken besides says nothing of the bridge
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from holdfast_gameday.soak_calls.book import Call, Ended

WARM_UP = 0.1
PARTS = 10
RSS_WITHIN = 0.05
COUNT_WITHIN = 0.1
KEPT_MAX = 20
AFTER_DOWN_NS = 10_000_000_000
LATE_MS_MAX = 500.0
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Series:
    """What was sampled, with seconds since the run's begin, and the figure before the first call and after the last."""

    samples: tuple[tuple[float, float], ...]
    idle: float = 0.0
    afterwards: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """`taken`: how often each call's end was news to the other pod. `repeated`: deliveries that were none. `after`:
    records that came for an ended call. `stored`: calls that are ended in Redis, by region."""

    taken: Counter[str]
    repeated: int
    after: tuple[str, ...]
    stored: dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was judged. `seen`: in words; `wrong`: what speaks against it, none: passed."""

    name: str
    seen: str
    wrong: tuple[str, ...] = ()


def parts(series: Series, seconds: float) -> list[float]:
    """The median of each tenth after the warm-up; a tenth without samples is left out."""
    begin = seconds * WARM_UP
    length = (seconds - begin) / PARTS
    tenths: list[list[float]] = [[] for _ in range(PARTS)]
    for at, value in series.samples:
        if begin <= at < seconds:
            tenths[min(PARTS - 1, int((at - begin) / length))].append(value)
    return [median(values) for values in tenths if values]


def memory(series: Series, seconds: float) -> Finding:
    """Bytes."""
    medians = parts(series, seconds)
    if len(medians) < PARTS:
        return _too_few("memory", series, medians)
    first = medians[0]
    worst = max(medians, key=lambda value: abs(value - first))
    seen = f"first tenth {first / 1e6:.1f} MB, farthest {worst / 1e6:.1f} MB ({worst / first - 1:+.1%})"
    wrong = [
        f"tenth {place + 1}: {value / 1e6:.1f} MB, {value / first - 1:+.1%}"
        for place, value in enumerate(medians)
        if abs(value - first) > RSS_WITHIN * first
    ]
    return Finding("memory", f"{seen}, allowed ± {RSS_WITHIN:.0%}", tuple(wrong))


def beside(series: Series, live: Series) -> list[tuple[float, float, float]]:
    """Each sample without what is there anyway, and the calls at that moment; no calls, no sample."""
    moments = [at for at, _ in live.samples]
    found = []
    for at, value in series.samples:
        place = bisect_right(moments, at) - 1
        if place >= 0 and (calls := live.samples[place][1]):
            found.append((at, value - series.idle, calls))
    return found


def counts(name: str, series: Series, live: Series, seconds: float) -> Finding:
    """`live`: the calls that were carried."""
    told = beside(series, live)
    medians = parts(Series(tuple((at, value / calls) for at, value, calls in told)), seconds)
    if len(medians) < PARTS:
        return _too_few(name, series, medians)
    first = medians[0]
    # By as many as this a sample is out of its bounds, whatever number of calls it was taken with.
    over = Series(tuple(
        (at, abs(value - first * calls) - max(COUNT_WITHIN * first * calls, KEPT_MAX)) for at, value, calls in told
    ))  # fmt: skip
    wrong = [
        f"tenth {place + 1}: {each:.2f} a call, {each / first - 1:+.1%}"
        for place, (each, beyond) in enumerate(zip(medians, parts(over, seconds), strict=True))
        if beyond > 0
    ]
    if series.afterwards > series.idle + KEPT_MAX:
        wrong.append(f"{series.afterwards:.0f} after the last call, {series.idle:.0f} before the first")
    words = f"{min(medians):.2f} to {max(medians):.2f} a call, first tenth {first:.2f}"
    return Finding(name, f"{words}; before {series.idle:.0f}, after {series.afterwards:.0f}", tuple(wrong))


def _too_few(name: str, series: Series, medians: Sequence[float]) -> Finding:
    return Finding(name, f"{len(series.samples)} samples", (f"only {len(medians)} of {PARTS} tenths have any",))


def book(surplus: Sequence[str], left: dict[str, int], polls: int) -> Finding:
    """`surplus`: moments at which a pod had too many calls, in words. `left`: calls in each pod's book at last."""
    wrong = [*surplus[:SHOWN], *(f"{count} calls in {pod} at last" for pod, count in left.items() if count)]
    if not polls:
        wrong.append("no pod ever told its calls")
    told = f"{polls} looks, {len(surplus)} with too many calls, {sum(left.values())} at last"
    return Finding("book", told, tuple(wrong))


def ends(calls: Sequence[Call], seen: Ends) -> Finding:
    over = {call.call for call in calls if call.over_for_the_zone}
    wrong = []
    for words, found in (
        ("end not taken in", [call for call in over if seen.taken[call] == 0]),
        ("end taken in more than once", [call for call, count in seen.taken.items() if count > 1]),
        ("recorded as ended, and was not", [call for call in seen.taken if call not in over]),
        ("record after the end", list(seen.after)),
        *((f"not ended in Redis of {region}", list(over - stored)) for region, stored in seen.stored.items()),
    ):
        if found:
            wrong.append(f"{words}: {len(found)}, as {', '.join(sorted(found)[:SHOWN])}")
    if not over:
        wrong.append("no call was ended")
    told = f"{len(over)} calls ended, {sum(seen.taken.values())} ends taken in, {seen.repeated} repeated deliveries"
    return Finding("ends", told, tuple(wrong))


def both_down(first: Iterable[tuple[int, int]], second: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """When nobody could answer."""
    second = list(second)
    pairs = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return [(begin, end) for begin, end in pairs if begin < end]


def calls(calls: Sequence[Call], nobody: Sequence[tuple[int, int]]) -> Finding:
    """`nobody`: see `both_down`."""

    def excused(begin: int, end: int) -> bool:
        return any(begin < ends + AFTER_DOWN_NS and begins < end for begins, ends in nobody)

    lost = [each for each in calls if each.ended is Ended.LOST]
    bad = [each for each in lost if not excused(each.began, each.until)]
    mute = [each for each in calls if any(not excused(*gap) for gap in each.gaps)]
    wrong = [f"lost: {why}: {count}" for why, count in Counter(each.why for each in bad).most_common(SHOWN)]
    wrong += [f"{each.call} heard no agent for {each.longest_gap_ns / 1e9:.1f} s" for each in mute[:SHOWN]]
    wrong += [f"{each.call} heard {each.strange} frames of other calls" for each in calls if each.strange][:SHOWN]
    wrong += [f"{each.call} never ended" for each in calls if each.ended is None][:SHOWN]
    longest = max((each.longest_gap_ns for each in calls), default=0) / 1e9
    told = f"{len(calls)} calls, {len(bad)} lost, {len(lost) - len(bad)} excused, {len(mute)} with a gap over 10 s"
    return Finding("calls", f"{told}, the longest gap {longest:.1f} s", tuple(wrong))


def log(errors: Sequence[str]) -> Finding:
    """`errors`: lines that should not be there."""
    return Finding("log", f"{len(errors)} lines that should not be there", tuple(errors[:SHOWN]))


def world(late_ms: float) -> Finding:
    wrong = (f"{late_ms:.0f} ms behind: the machine had other work",) if late_ms > LATE_MS_MAX else ()
    return Finding("world", f"its clock was at most {late_ms:.0f} ms behind", wrong)


def table(findings: Sequence[Finding]) -> str:
    rows = [("what", "seen", ""), ("---", "---", "---")]
    rows += [(each.name, each.seen, "broken" if each.wrong else "kept") for each in findings]
    told = ["| " + " | ".join(row) + " |" for row in rows]
    told += [f"broken: {each.name}: {words}" for each in findings for words in each.wrong]
    return "\n".join(told)
