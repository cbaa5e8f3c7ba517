"""Which of the attempts a call begins with, and in which order it tries the others: by order, by weight, or by rule.

Pure. What is ill, what time it is where, and what is known of the call are arguments. It never adds an attempt and
never takes one away: last is better than never.

    goes first            why
    well                  a caller who hears somebody, before anything else
    in use before         a call that is handed over goes on with the provider that it has
    meant for this call   its rule (`when`) holds, or it has none
    drawn                 of those with a weight, in proportion to the weights; the same for the same caller
    weighted              the others with a weight, then those without
    the order in force    the operator's, and behind it the ill

A lot is one of ten thousand places on a line on which the weights lie one after another. Whose place falls to an
attempt that is ill is drawn again among the well, at the same part of that attempt's length: its share is spread in
proportion, and nobody else is moved.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast_bridge.agent_config import DAYS, Attempt, Hours, When

LOTS = 10_000
PREFIX_DIGITS = 3
"""No country code is longer, and more of a caller's number does not leave the place where the carrier told it."""
MINUTES_A_DAY = 1_440
_NUMBER = re.compile(r"\+[0-9]{4,15}")
_NOBODY = re.compile(r"|anonymous|blocked|private|restricted|unavailable|unknown|withheld", re.IGNORECASE)
_SPELLED = frozenset({"266696687", "2562533", "7378742833", "86282452253", "8656696"})
"""ANONYMOUS, BLOCKED, RESTRICTED, UNAVAILABLE and UNKNOWN on a telephone's keys: so Twilio writes a withheld number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a choice knows of a call; the caller's number is not among it."""

    lot: int = -1
    """Of the caller, below LOTS. -1: there is no number that he could be known by again."""
    called: str = field(default="", repr=False)
    """The number that was dialled."""
    prefix: str = field(default="", repr=False)
    """The first digits of the caller's number, which begin with his country."""


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Moment:
    """`weekday`: 0 is Monday. `minute`: of the day."""

    weekday: int
    minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """`call`: its id, from which a lot is drawn for who has none. `times`: by the names of time zones.

    `in_use`: the attempt that the call had before it came here; empty: none.
    """

    call: str
    facts: Facts = NO_FACTS
    times: Mapping[str, Moment] = field(default_factory=dict)
    in_use: str = ""


def facts(*, caller: str, called: str, agent: str, key: bytes) -> Facts:
    """`caller` and `called`: as the carrier names them. `key`: so that nobody can find a number by its lot."""
    caller = caller.strip()
    number = _NUMBER.fullmatch(caller) is not None and caller[1:] not in _SPELLED
    unknown = _NOBODY.fullmatch(caller) is not None or caller.lstrip("+") in _SPELLED
    mac = hmac.new(key, f"lot\0{agent}\0{caller}".encode(), hashlib.sha256).digest()
    return Facts(
        lot=-1 if unknown else int.from_bytes(mac[:8], "big") % LOTS,
        called=called if _NUMBER.fullmatch(called) else "",
        prefix=caller[1 : PREFIX_DIGITS + 1] if number else "",
    )


def arranged(attempts: Sequence[Attempt], about: Circumstances, *, ill: Collection[str] = ()) -> tuple[Attempt, ...]:
    """`attempts`: in the order in force. `ill`: by name."""
    meant = {attempt.name for attempt in attempts if holds(attempt.when, about)}
    group = [attempt for attempt in attempts if attempt.weight and attempt.name in meant]
    first = _drawn(group, ill, _lot(about))

    def rank(attempt: Attempt) -> tuple[bool, ...]:
        name = attempt.name
        if name in ill:
            return (True,)
        return (False, name != about.in_use, name not in meant, name != first, not attempt.weight)

    return tuple(sorted(attempts, key=rank))


def holds(when: When | None, about: Circumstances) -> bool:
    """Whether each part of a rule that is given is met. What is not known meets nothing."""
    if when is None:
        return True
    told = about.facts
    return (
        (not when.called or told.called in when.called)
        and (not when.callers or any(told.prefix.startswith(each.removeprefix("+")) for each in when.callers))
        and (when.hours is None or _within(when.hours, about.times.get(when.hours.zone)))
    )


def _within(hours: Hours, moment: Moment | None) -> bool:
    """Hours that end before they start go on until the next morning, and belong to the day on which they start."""
    if moment is None:
        return False
    start, end = _minute(hours.start), _minute(hours.end)
    days = {DAYS.index(day) for day in hours.days}
    if start < end:
        return moment.weekday in days and start <= moment.minute < end
    evening = moment.weekday in days and moment.minute >= start
    return evening or ((moment.weekday - 1) % len(DAYS) in days and moment.minute < end)


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _lot(about: Circumstances) -> int:
    if 0 <= about.facts.lot < LOTS:
        return about.facts.lot
    return int.from_bytes(hashlib.sha256(about.call.encode()).digest()[:8], "big") % LOTS


def _drawn(group: Sequence[Attempt], ill: Collection[str], lot: int) -> str:
    """The name of the one that the lot falls to; empty when there is none that is well."""
    line = sorted(group, key=lambda attempt: attempt.name)
    well = [attempt for attempt in line if attempt.name not in ill]
    if not well:
        return ""
    name, at, length = _at(line, lot, of=LOTS)
    return name if name not in ill else _at(well, at, of=length)[0]


def _at(line: Sequence[Attempt], place: int, *, of: int) -> tuple[str, int, int]:
    """Whose part of the line this place is, out of `of` equal ones; where in that part, out of how many."""
    at = place * sum(attempt.weight for attempt in line)
    parts = iter(line)
    part = next(parts)
    while at >= part.weight * of:
        at -= part.weight * of
        part = next(parts)
    return part.name, at, part.weight * of
