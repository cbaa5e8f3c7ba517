"""What vendors are told not to keep: `privacy.vendorStorage` as each kind's own switch, and who has none.

A switch is the option `noStore`, which the bridge's codecs send in the vendor's words: a parameter of the address, a
field of the request, or what is left out of it. What a vendor keeps besides, above all for some weeks against abuse, no
request can turn off; docs/providers.md says what a contract has to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from holdfast.core.agents import Attempt
from holdfast.core.kinds import KINDS

SWITCH = "noStore"
NEVER_STORED = frozenset({"gpt-live"})
"""Kinds whose sessions are begun with the vendor's switch always, for nothing that is stored would be of use."""


def switched(attempt: Attempt) -> Attempt:
    """The attempt with the switch of each of its parts thrown, but for a part that says itself what it wants."""
    if attempt.stages:
        return replace(attempt, stages=tuple(switched(stage) for stage in attempt.stages))
    if not _has_switch(attempt.kind) or SWITCH in attempt.options:
        return attempt
    return replace(attempt, options={**attempt.options, SWITCH: True})


def by_contract(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """The parts whose vendor has no switch, with their kinds."""
    return tuple(
        f"{part.name} ({part.kind})"
        for attempt in attempts
        for part in attempt.parts
        if not _has_switch(part.kind) and part.kind not in NEVER_STORED
    )


def left_on(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """The parts whose own options say that the switch stays as it is."""
    return tuple(
        f"{part.name} ({part.kind})"
        for attempt in attempts
        for part in attempt.parts
        if _has_switch(part.kind) and part.options.get(SWITCH) is not True
    )


def _has_switch(kind: str) -> bool:
    return kind in KINDS and SWITCH in KINDS[kind].options
