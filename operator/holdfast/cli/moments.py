"""Moments as text: RFC 3339 for objects and machines, the time of day for people. UTC throughout."""

from __future__ import annotations

import datetime as dt

NEVER = dt.datetime.fromtimestamp(0, tz=dt.UTC)


def stamp(seconds: float) -> str:
    """With milliseconds, as records carry it."""
    at = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def rounded(seconds: float) -> str:
    """To the second: nobody orders milliseconds."""
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(text: str) -> dt.datetime:
    """What an RFC 3339 text says; long ago when it is none."""
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, TypeError, OverflowError):
        return NEVER


def moment(until: str, *, now: str) -> str:
    """An end as people say it: the time of day, with the day where it is another."""
    then = at(until)
    if then == NEVER:
        return until
    return then.strftime("%H:%MZ" if then.date() == at(now).date() else "%Y-%m-%d %H:%MZ")
