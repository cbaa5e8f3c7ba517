"""`status`: how the fleet stands, on one screen, and until something is so."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from holdfast.cli import console, jsonable, screen, standing
from holdfast.cli.exits import PROGRAM, ExitStatus, Failure
from holdfast.cli.fleet import Fleet, Reader
from holdfast.cli.moments import stamp
from holdfast.cli.options import Options
from holdfast.cli.overview import Overview

EVERY_S = 2.0
UNTIL: dict[str, Callable[[Overview], bool]] = {
    "healthy": lambda told: told.healthy,
    "cordoned": lambda told: told.cordoned,
    "drained": lambda told: told.drained,
}


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, handed in."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def look(options: Options, *, policy: str = "") -> Overview:
    """One reading of all clusters."""
    fleet = Reader(options).read()
    _known(policy, fleet)
    told = standing.overview(fleet, as_of=stamp(time.time()), policy=policy)
    return replace(told, next=told.next.replace(PROGRAM, options.program))


def run(options: Options, *, policy: str, output: str) -> ExitStatus:
    """Once."""
    told = look(options, policy=policy)
    show(told, options, output=output)
    return ExitStatus.DONE if told.healthy else ExitStatus.FAILED


def watch(
    looked: Callable[[], Overview],
    shown: Callable[[Overview], None],
    *,
    until: str,
    timeout_s: float | None,
    clock: Clock,
) -> ExitStatus:
    """Look again and again, until what is waited for is so or the time is over.

    Without an `until` the end of the time is no failure. A look that fails is one that saw nothing.
    """
    ends = None if timeout_s is None else clock.now() + timeout_s
    last: Overview | None = None
    while True:
        try:
            last = looked()
        except Failure as e:
            if e.status is ExitStatus.USAGE or (last is None and not until):
                raise
        else:
            shown(last)
            if until and UNTIL[until](last):
                return ExitStatus.DONE
        left_s = EVERY_S if ends is None else ends - clock.now()
        if left_s <= 0:
            break
        clock.sleep(min(EVERY_S, left_s))
    if until:
        return ExitStatus.TIMED_OUT
    return ExitStatus.DONE if last is not None and last.healthy else ExitStatus.FAILED


def run_watching(
    options: Options, *, policy: str, output: str, until: str, timeout_s: float | None, clock: Clock | None = None
) -> ExitStatus:
    """On a terminal one picture that is redrawn in place; off it one whenever something but time moved."""
    terminal = options.out.isatty() and output == "text"
    painter = _redrawn(options) if terminal else _changes(options, output)
    ended = watch(
        lambda: look(options, policy=policy), painter, until=until, timeout_s=timeout_s, clock=clock or Clock()
    )
    if ended is ExitStatus.TIMED_OUT:
        raise Failure(
            f"not {until} within {timeout_s:.0f} s",
            next_command=f"kubectl holdfast status{f' {policy}' if policy else ''} -v",
            status=ended,
        )
    return ended


def show(told: Overview, options: Options, *, output: str) -> None:
    if output == "json":
        options.out.write(jsonable.text(told))
        return
    made = console.make(options.out, color=options.color, environment=options.environment)
    screen.show(told, made, signs=console.signs(options.environment), verbose=options.verbose)


def _redrawn(options: Options) -> Callable[[Overview], None]:
    made = console.make(options.out, color=options.color, environment=options.environment)
    drawn = 0

    def paint(told: Overview) -> None:
        nonlocal drawn
        with made.capture() as captured:
            screen.show(told, made, signs=console.signs(options.environment), verbose=options.verbose)
        lines = captured.get().splitlines()
        most = max(made.height - 1, 2)
        # The top never scrolls away: what is too much is counted.
        if len(lines) > most:
            lines = [*lines[: most - 1], f"… {len(lines) - most + 1} more lines"]
        back = f"\x1b[{drawn}F\x1b[J" if drawn else ""
        options.out.write(back + "\n".join(lines) + "\n")
        options.out.flush()
        drawn = len(lines)

    return paint


def _changes(options: Options, output: str) -> Callable[[Overview], None]:
    before: list[Overview] = []

    def paint(told: Overview) -> None:
        if before and _timeless(before[-1]) == _timeless(told):
            return
        before[:] = [told]
        if output == "json":
            options.out.write(jsonable.text(told, indent=None))
        else:
            show(told, options, output=output)
        options.out.flush()

    return paint


def _timeless(told: Overview) -> Overview:
    return replace(told, as_of="", regions=tuple(replace(row, age_s=None) for row in told.regions))


def _known(policy: str, fleet: Fleet) -> None:
    """A zone that is not there has no standing."""
    names = sorted({name for shown in fleet.shown for name in shown.policies})
    if policy and policy not in names:
        near = difflib.get_close_matches(policy, names, n=1) or names[:1]
        raise Failure(
            f"no FailoverPolicy is named {policy}",
            next_command=f"kubectl holdfast status {near[0]}" if near else "kubectl get failoverpolicies",
            status=ExitStatus.USAGE,
        )
