"""The attempts of one call in its own order: what the files, the directive and the breakers say, and who is calling.

How they are weighed is decided in `core.choice`; here is what it has to know of the world, which is the time of day.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterable

from holdfast_bridge.agent_config import Attempt
from holdfast_bridge.core import choice
from holdfast_bridge.core.choice import Circumstances, Moment
from holdfast_bridge.core.journal import CallRecord
from holdfast_bridge.core.token import LIFE_S, Claim
from holdfast_bridge.settings import Settings


def for_call(settings: Settings, claim: Claim, known: CallRecord | None) -> tuple[Attempt, ...]:
    """`known`: what another bridge wrote of the call. The time that counts is the call's beginning, so that what it was
    meant for does not change while it lasts."""
    usable = settings.usable_attempts or settings.agent.attempts
    zones = {attempt.when.hours.zone for attempt in usable if attempt.when and attempt.when.hours}
    about = Circumstances(
        call=claim.call,
        facts=claim.facts,
        times=moments(zones, known.started_at if known else claim.expires - LIFE_S),
        in_use=known.attempt if known else "",
    )
    return choice.arranged(usable, about, ill=settings.ill)


def moments(zones: Iterable[str], at: float) -> dict[str, Moment]:
    """`at`: seconds since 1970. A zone that is not known here has no time: no rule keeps a call from being taken."""
    found: dict[str, Moment] = {}
    for name in zones:
        try:
            there = dt.datetime.fromtimestamp(at, zoneinfo.ZoneInfo(name))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
        found[name] = Moment(there.weekday(), there.hour * 60 + there.minute)
    return found
