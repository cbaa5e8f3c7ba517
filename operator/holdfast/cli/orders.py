"""`cordon`, `uncordon` and `drain`: a person's order, written into the Region of one cluster that can be reached.

One is enough: that cluster's heartbeat carries it to all others. A write that was not answered in time may have been
done, so it is read back before another cluster is tried. What is taken back is taken back wherever it stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.cli import foresee, orders_shown, standing
from holdfast.cli.clusters import REGIONS, Answered, Kubectl
from holdfast.cli.exits import PROGRAM, ExitStatus, Failure
from holdfast.cli.fleet import Fleet, Reader, Shown, items, known_region
from holdfast.cli.foresee import Foreseen
from holdfast.cli.moments import moment, rounded, stamp
from holdfast.cli.options import Options
from holdfast.cli.order import DONE, WOULD, Ordered, Wish, again
from holdfast.cli.overview import Unread
from holdfast.cli.status import Clock
from holdfast.cli.subjects import name_of, spec
from holdfast.cli.waiting import wait

FIELD_MANAGER = "kubectl-holdfast"
WRITE_S = 2.0
LONGEST_S = 30 * 86_400.0
REASON_CHARS_MAX = 256
WAIT_S = {"cordon": 60.0, "uncordon": 60.0, "drain": 900.0}


@dataclass(frozen=True, slots=True)
class How:
    """The flags of an order."""

    dry_run: bool = False
    wait: bool = False
    timeout_s: float | None = None
    error_unchanged: bool = False
    yes: bool = False
    output: str = "text"


def run(
    verb: str, region: str, *, length_s: float = 0.0, reason: str = "", how: How, options: Options,
    clock: Clock | None = None,
) -> ExitStatus:  # fmt: skip
    """Ask, show what would follow, write, and wait if that is wanted."""
    now = time.time()
    fleet = Reader(options).read()
    known_region(region, fleet, command=verb)
    until = rounded(now + length_s) if length_s else ""
    wish = Wish(verb, region, until, reason.strip(), length_s)
    _fits(wish)
    told = _carried_out(wish, fleet, how, options, now=stamp(now))
    if how.wait and told.outcome in ("written", "unchanged"):
        told = wait(
            told, lambda: standing.overview(Reader(options).read(), as_of=stamp(time.time())),
            timeout_s=WAIT_S[verb] if how.timeout_s is None else how.timeout_s, clock=clock or Clock(),
        )  # fmt: skip
    told = replace(told, next=told.next.replace(PROGRAM, options.program))
    orders_shown.show(told, options, output=how.output)
    return _status(told, how)


def _status(told: Ordered, how: How) -> ExitStatus:
    match told.outcome:
        case "refused":
            return ExitStatus.REFUSED
        case "timed-out":
            return ExitStatus.TIMED_OUT
        case "unchanged" if how.error_unchanged:
            return ExitStatus.UNCHANGED
        case "incomplete":
            return ExitStatus.FAILED
        case _:
            return ExitStatus.DONE


def _fits(wish: Wish) -> None:
    """What the API server would refuse is said before anything is asked of it."""
    if wish.verb == "uncordon":
        return
    example = f'kubectl holdfast {wish.verb} {wish.region} --for 30m --reason "kernel update"'
    if not 1 <= len(wish.reason) <= REASON_CHARS_MAX:
        said = f"the reason must have 1 to {REASON_CHARS_MAX} characters: it is what others read at night"
        raise Failure(said, next_command=example, status=ExitStatus.USAGE)
    if not 1.0 <= wish.length_s <= LONGEST_S:
        raise Failure("--for must lie between 1s and 30d", next_command=example, status=ExitStatus.USAGE)


def _carried_out(wish: Wish, fleet: Fleet, how: How, options: Options, *, now: str) -> Ordered:
    foreseen = tuple(_foreseen(wish, fleet))
    unread = tuple(Unread(what, why) for what, why in fleet.could_not_read.items())
    told = Ordered(
        wish.verb, wish.region, "unchanged", "", wish.until, wish.reason, foreseen=foreseen, unread=unread
    )
    standing_now = standing.ordered(wish.region, fleet, now=now)
    if wish.verb == "uncordon":
        return _taken_back(told, wish, standing_now, fleet, how, options)
    same = [(by, held) for by, held in standing_now if wish.stands(held)]
    if same:
        by, held = same[0]
        ends, why = moment(str(held["until"]), now=now), str(held.get("reason", ""))
        words = f"region/{wish.region} is {DONE[wish.verb]} until {ends} already (reason: {why}), said in {by}"
        return replace(
            told, words=words, until=str(held["until"]), reason=why, stands_in=(by,),
            next=f"kubectl holdfast uncordon {wish.region}",
        )  # fmt: skip
    targets = _preferred(wish.region, fleet, standing_now)
    if wish.verb == "drain":
        targets = _knowing_drain(wish, targets, options)
    if not how.dry_run:
        _confirmed(wish, foreseen, how, options)
    by = _written(wish, targets, options, dry_run=how.dry_run)
    ends = moment(wish.until, now=now)
    if how.dry_run:
        refused = [each for each in foreseen if each.allowed is False]
        words = f"region/{wish.region} {WOULD[wish.verb]} until {ends} (reason: {wish.reason}); {by} accepts it"
        more = f"kubectl holdfast explain region/{wish.region}" if refused else again(wish)
        return replace(told, outcome="refused" if refused else "dry-run", words=words, next=more)
    words = f"region/{wish.region} {DONE[wish.verb]} until {ends} (reason: {wish.reason}), written in {by}"
    follow = f"kubectl holdfast status --until {'drained' if wish.verb == 'drain' else 'cordoned'} --timeout 60s"
    if any(each.allowed is False for each in foreseen):
        words, follow = f"{words}; it waits for the guards", f"kubectl holdfast explain region/{wish.region}"
    return replace(told, outcome="written", words=words, written_in=(by,), stands_in=(by,), next=follow)


def _foreseen(wish: Wish, fleet: Fleet) -> Iterator[Foreseen]:
    for zone in foresee.zones_of(wish.region, fleet):
        if wish.verb == "uncordon":
            yield foresee.uncordon(wish.region, zone, fleet)
        else:
            yield foresee.cordon(wish.region, zone, fleet, length_s=wish.length_s, reason=wish.reason)


def _preferred(region: str, fleet: Fleet, held: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Shown]:
    """Where an order stands already; else where an operator lives, best not in the region that is to go."""
    there = {by for by, _ in held}

    def rank(shown: Shown) -> tuple[bool, bool, bool, str]:
        return shown.region not in there, not shown.beat.fresh, shown.region == region, shown.region

    return sorted((each for each in fleet.shown if region in each.regions), key=rank)


def _knowing_drain(wish: Wish, targets: Sequence[Shown], options: Options) -> list[Shown]:
    """The clusters whose CRD keeps the order to drain. An older one would drop it without a word."""
    knowing = []
    for shown in targets:
        answered = _patch(shown, wish, options, dry_run=True)
        kept = spec(answered.content).get("cordon") or {}
        if answered.why or kept.get("drain") is True:
            knowing.append(shown)
    if targets and not knowing:
        raise Failure(
            f"no Region keeps spec.cordon.drain in {', '.join(each.region for each in targets)}: the CRDs are older "
            "than this plugin; a cordon leaves calls in flight where they are",
            next_command=again(replace(wish, verb="cordon")),
        )
    return knowing


def _written(wish: Wish, targets: Sequence[Shown], options: Options, *, dry_run: bool) -> str:
    """The cluster that holds it; a Failure that names every refusal when none does."""
    failed = {}
    for shown in targets:
        answered = _patch(shown, wish, options, dry_run=dry_run)
        if answered.silent and not dry_run:
            answered = _read_back(shown, wish, options)
        if not answered.why:
            return shown.region
        failed[shown.region] = answered.why
    why = "; ".join(f"{region}: {said}" for region, said in failed.items()) or "no cluster shows it"
    silent = bool(failed) and all("silent" in said for said in failed.values())
    raise Failure(
        f"region/{wish.region} could not be written: {why}",
        next_command="kubectl auth can-i patch regions.holdfast.dev",
        status=ExitStatus.TIMED_OUT if silent else ExitStatus.FAILED,
    )


def _patch(shown: Shown, wish: Wish, options: Options, *, dry_run: bool = False) -> Answered:
    words = ["patch", "regions.holdfast.dev", wish.region, "--type=merge", "--patch-file=/dev/stdin",
             f"--field-manager={FIELD_MANAGER}", "-o", "json", *(["--dry-run=server"] if dry_run else [])]  # fmt: skip
    return _kubectl(options).send(shown.context, words, {"spec": {"cordon": wish.cordon}})


def _read_back(shown: Shown, wish: Wish, options: Options) -> Answered:
    """What became of a write that was not answered."""
    answered = _kubectl(options).get([(shown.context, REGIONS)])[0]
    if answered.why:
        return replace(answered, why=f"the outcome is unknown: {answered.why}")
    found = {name_of(each): each for each in items(answered)}
    held = spec(found.get(wish.region, {})).get("cordon") or {}
    if wish.cordon is None:
        return Answered(why="it was not taken back") if held else Answered()
    same = held.get("reason") == wish.reason and wish.stands(held)
    return Answered() if same else Answered(why="no answer in time, and read back it is not there")


def _taken_back(
    told: Ordered, wish: Wish, held: Sequence[tuple[str, Mapping[str, Any]]], fleet: Fleet, how: How, options: Options
) -> Ordered:
    # A cluster that cannot be read may hold an order, and does if that is whom the zones remember.
    elsewhere = {by: left_s for by, left_s in foresee.told_by(wish.region, fleet).items() if fleet.of(by) is None}
    more = f"kubectl holdfast explain region/{wish.region}"
    if not held and not elsewhere:
        words = f"region/{wish.region} is not cordoned by anybody"
        return replace(told, words=words, next=more)
    failed, done = {}, []
    for by, _ in held:
        shown = fleet.of(by)
        assert shown is not None
        answered = _patch(shown, wish, options, dry_run=how.dry_run)
        if answered.silent and not how.dry_run:
            answered = _read_back(shown, wish, options)
        if answered.why:
            failed[by] = answered.why
        else:
            done.append(by)
    failed |= {by: f"it cannot be read; the order there ends in {left_s:.0f} s" for by, left_s in elsewhere.items()}
    verb = f"{WOULD['uncordon']}, accepted by" if how.dry_run else f"{DONE['uncordon']}, taken back in"
    words = f"region/{wish.region} {verb} {', '.join(done) or 'no cluster'}"
    if failed:
        words += f"; still ordered in {'; '.join(f'{by} ({why})' for by, why in failed.items())}"
    outcome = "incomplete" if failed else "dry-run" if how.dry_run else "written"
    once_more = f"kubectl holdfast uncordon {wish.region}"
    return replace(
        told, outcome=outcome, words=words, written_in=tuple(done), stands_in=tuple(failed),
        next=once_more if failed or how.dry_run else "kubectl holdfast status --until healthy --timeout 60s",
    )  # fmt: skip


def _confirmed(wish: Wish, foreseen: Sequence[Foreseen], how: How, options: Options) -> None:
    """On a terminal one is asked, with what would follow in sight. A script is not: a prompt is never the only way."""
    if how.yes or how.output != "text" or not orders_shown.can_ask(options):
        return
    if not orders_shown.ask(wish, foreseen, options):
        raise Failure(
            "nothing was written",
            next_command=f"kubectl holdfast {wish.verb} {wish.region} --dry-run",
            status=ExitStatus.INTERRUPTED,
        )


def _kubectl(options: Options) -> Kubectl:
    """Each write has a deadline of its own."""
    return Kubectl(kubeconfig=options.kubeconfig, budget_s=options.within(WRITE_S))
