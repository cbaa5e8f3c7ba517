"""Where the simulated Twilio sends a new call to a number: its trunk, else its application, else its own addresses.

A trunk tries its enabled entries in order; each that does not take the call is a warning 32011. When none takes it the
call is an error, 32010 where none was enabled, and goes to the trunk's disaster recovery URL if there is one. No SIP is
spoken: who takes a call is asked of `takes`, and a call that was taken just stays up until somebody ends it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from holdfast_gameday.world.twilio_call import EndedBy, Ending, Target
from holdfast_gameday.world.twilio_state import Account, Application, Number
from holdfast_gameday.world.twilio_trunks import Trunk

NO_ORIGINATION_URL = 32010
ORIGINATION_FAILED = 32011
_TAKEN = '<Response><Pause length="3600"/></Response>'


@dataclass(frozen=True, slots=True)
class Routed:
    """`errors` are code and detail of what went wrong on the way; `sip_url` is the entry that took the call."""

    first: Target
    application: Application | None = None
    sip_url: str = ""
    errors: tuple[tuple[int, str], ...] = ()
    refusal: Ending | None = None


def route(account: Account, number: Number, *, takes: Callable[[str], bool], draw: random.Random) -> Routed:
    trunk = account.trunks.get(number.trunk_sid)
    if trunk is not None:
        return _over(trunk, takes, draw)
    application = account.applications.get(number.voice_application_sid)
    chosen = application or number
    first = Target(chosen.voice_url, chosen.voice_method, chosen.voice_fallback_url, chosen.voice_fallback_method)
    return Routed(first, application)


def _over(trunk: Trunk, takes: Callable[[str], bool], draw: random.Random) -> Routed:
    errors: list[tuple[int, str]] = []
    for entry in trunk.order(draw):
        if takes(entry.sip_url):
            return Routed(Target("", document=_TAKEN), sip_url=entry.sip_url, errors=tuple(errors))
        errors.append((ORIGINATION_FAILED, f"{entry.sip_url} did not take the call"))
    if not errors:
        errors.append((NO_ORIGINATION_URL, f"trunk {trunk.sid} has no enabled OriginationUrl"))
    if trunk.disaster_recovery_url:
        first = Target(trunk.disaster_recovery_url, trunk.disaster_recovery_method)
        return Routed(first, errors=tuple(errors))
    return Routed(Target(""), errors=tuple(errors), refusal=Ending(EndedBy.TRUNK, str(errors[-1][0])))
