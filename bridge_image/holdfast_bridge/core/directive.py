"""What the operator last said, as far as this bridge may believe it.

Pure. A directive can reorder and exclude what agent.json lists, never add to it: a region outside the zone is dropped
here, so that no mistake of an operator can send a call out of its jurisdiction.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from holdfast_bridge.agent_config import AgentConfig, Attempt

ALL_ILL = "AllAttemptsIll"
"""The operator's word for: nothing is well, so they are tried as the spec has them."""


class RegionState(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    host: str = ""
    weight: int = 0
    serving: bool = True


class DrainOrder(msgspec.Struct, frozen=True, rename="camel"):
    """Hand over every call; the order lapses by itself this many seconds after it came."""

    until_seconds: float


class Trial(msgspec.Struct, frozen=True, rename="camel"):
    """One probe of a key that this pod holds. A number is tried once, however often it is told."""

    attempt: str
    """The part that is asked, by the name under which its outcomes are counted: `cascade/thinking`."""
    number: int
    silent: bool = False
    """It is asked for because nothing was heard of the provider: a call that speaks meanwhile answers it, too."""


class IceServer(msgspec.Struct, frozen=True):
    """One TURN server over one transport, the best first. Credentials are no part of a directive."""

    relay: str
    transport: str
    url: str


class Cause(msgspec.Struct, frozen=True):
    """Why the attempts are not tried as the spec has them."""

    code: str = ""
    message: str = ""


class Directive(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One answer of the operator's long poll. With the operator gone the last one stays in force."""

    version: int = 0
    buddy: str | None = None
    regions: tuple[RegionState, ...] = ()
    attempts: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    """Attempts that may not be made here at all: outside the residency, not compliant, or not meant for this region."""
    ill: tuple[str, ...] = ()
    """Attempts that go behind all others, whatever their weight and whoever calls."""
    reasons: tuple[Cause, ...] = ()
    trials: tuple[Trial, ...] = ()
    drain: DrainOrder | None = None
    lost: tuple[str, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    siblings: int | None = None
    """Ready pods of this agent in this region beside the one that asks; None when the operator does not say."""


def initial(config: AgentConfig) -> Directive:
    """What holds before an operator was ever heard: the files, and every region presumed well."""
    return Directive(
        buddy=config.buddy,
        regions=tuple(RegionState(name=r.name, host=r.host, weight=r.weight) for r in config.regions),
        attempts=tuple(attempt.name for attempt in config.attempts),
    )


def decode(data: bytes) -> Directive | None:
    try:
        return msgspec.json.decode(data, type=Directive)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None


def in_order(
    config: AgentConfig, names: tuple[str, ...], barred: tuple[str, ...] = (), *, last: Collection[str] = ()
) -> AgentConfig:
    """The agent with its attempts in the order named; those not named come last, because last is better than never.

    What is barred is gone: where calls may go comes before whether they are answered. `last`: attempts that go behind
    all others, in the same order among themselves.
    """
    place = {name: index for index, name in enumerate(names)}
    allowed = [attempt for attempt in config.attempts if attempt.name not in barred]
    attempts = tuple(
        sorted(allowed, key=lambda attempt: (attempt.name in last, place.get(attempt.name, len(place))))
    )
    return config if attempts == config.attempts else msgspec.structs.replace(config, attempts=attempts)


def restored(config: AgentConfig, before: Directive, told: Directive) -> Attempt | None:
    """The attempt that the operator took for ill and puts first again: it was behind one that agent.json has behind it.

    Who is first only because all others are ill, or because all are, was not restored.
    """
    own = {attempt.name: index for index, attempt in enumerate(config.attempts)}
    first = told.attempts[0]
    if told.version == before.version or first not in before.attempts:
        return None
    if any(cause.code == ALL_ILL for cause in told.reasons):
        return None
    ahead = before.attempts[: before.attempts.index(first)]
    return config.attempts[own[first]] if any(own.get(name, -1) > own[first] for name in ahead) else None


def within_zone(directive: Directive, config: AgentConfig) -> Directive:
    """The directive with everything removed that agent.json does not list, and hosts as agent.json has them."""
    states = {state.name: state for state in directive.regions}
    regions = tuple(
        RegionState(
            name=entry.name,
            host=entry.host,
            weight=max(0, states[entry.name].weight) if entry.name in states else entry.weight,
            serving=states[entry.name].serving if entry.name in states else True,
        )
        for entry in config.regions
    )
    names = {entry.name for entry in config.regions}
    known = {attempt.name for attempt in config.attempts}
    parts = {part for attempt in config.attempts for part in attempt.parts}
    listed = tuple(name for name in directive.attempts if name in known)
    return msgspec.structs.replace(
        directive,
        regions=regions,
        buddy=directive.buddy if directive.buddy in names and directive.buddy != config.region else None,
        attempts=listed or tuple(attempt.name for attempt in config.attempts),
        barred=tuple(name for name in directive.barred if name in known),
        trials=tuple(trial for trial in directive.trials if trial.attempt in parts),
        lost=tuple(name for name in directive.lost if name in names and name != config.region),
    )
