"""Reads a whole fleet at once: every region's cluster in parallel under one budget, so that a dead one costs no more.

The clusters are the contexts that were named; else the current one, which knows the Regions, and every context of a
Region's name. When the current one does not answer soon, every other context is asked who knows the fleet: the
command is needed most when the cluster that one happens to work with is the one that died.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from holdfast.cli import beats, clusters
from holdfast.cli.beats import Beat
from holdfast.cli.clusters import API, POLICIES, REGIONS, Answered, Kubectl, Object
from holdfast.cli.exits import ExitStatus, Failure
from holdfast.cli.options import Options
from holdfast.cli.subjects import name_of

BUDGET_S = 2.0
SOON = 0.25  # the part of the budget that the current context has for itself
ASKED_UNKNOWN_MAX = 16
NO_CONTEXT = "the kubeconfig has no context of that name"
AGENTS = f"{API}/voiceagents"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one region's cluster shows. `more`: what else was asked for, by its path."""

    region: str
    context: str
    regions: Mapping[str, Object] = field(default_factory=dict)
    policies: Mapping[str, Object] = field(default_factory=dict)
    leases: Mapping[str, Object] = field(default_factory=dict)
    beat: Beat = field(default_factory=lambda: Beat(None))
    more: Mapping[str, Answered] = field(default_factory=dict)
    read_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Everything that could be read, and why the rest could not. `regions`: every name that anybody knows."""

    shown: tuple[Shown, ...] = ()
    regions: tuple[str, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def could_not_read(self) -> Mapping[str, str]:
        return {**self.silent, **self.unread}

    def of(self, region: str) -> Shown | None:
        return next((each for each in self.shown if each.region == region), None)


def known_region(name: str, fleet: Fleet, *, command: str) -> None:
    """A Failure that offers the nearest name when no cluster knows this one."""
    if name in fleet.regions:
        return
    near = difflib.get_close_matches(name, fleet.regions, n=1) or list(fleet.regions[:1])
    raise Failure(
        f"no Region is named {name} in any cluster that could be read",
        next_command=f"kubectl holdfast {command} {near[0]}" if near else "kubectl get regions",
        status=ExitStatus.USAGE,
    )


class Reader:
    """Asks with one kubectl and one budget. `wall`: seconds since 1970. `also`: more paths to read in each cluster."""

    def __init__(
        self, options: Options, *, also: Iterable[str] = (), kubectl: Kubectl | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._options = options
        self._leases = f"/apis/coordination.k8s.io/v1/namespaces/{options.operator_namespace}/leases"
        self._paths = (REGIONS, POLICIES, self._leases, *also)
        self._wall = wall
        self.kubectl = kubectl or Kubectl(kubeconfig=options.kubeconfig, budget_s=options.within(BUDGET_S))

    def read(self) -> Fleet:
        """The fleet; a Failure when not one cluster could be read."""
        config = self.kubectl.config()
        there = clusters.contexts(config)
        if self._options.contexts:
            found = self._ask([name for name in self._options.contexts if name in there])
            wanted: Sequence[str] = self._options.contexts
        else:
            first = clusters.chosen(config, context=self._options.context)
            found = self._from(first, there)
            wanted = (first,)
        fleet = _joined(found, wanted=wanted, named=bool(self._options.contexts))
        if fleet.shown:
            return fleet
        told = fleet.could_not_read or {wanted[0]: "it holds no Region"}
        why = "; ".join(f"{what}: {reason}" for what, reason in told.items())
        all_silent = bool(found) and all(each.more[REGIONS].silent for each in found)
        raise Failure(
            f"no region could be read: {why}",
            next_command="kubectl config get-contexts",
            status=ExitStatus.TIMED_OUT if all_silent else ExitStatus.FAILED,
        )

    def _from(self, first: str, there: Sequence[str]) -> list[Shown]:
        """The first context, then those it names; if it does not answer soon, whoever else knows the fleet."""
        with ThreadPoolExecutor(max_workers=ASKED_UNKNOWN_MAX + 1) as pool:
            asked: dict[str, Future[Shown]] = {first: pool.submit(self._cluster, first)}
            wait(asked.values(), timeout=self.kubectl.budget_s * SOON)
            told = asked[first].result().regions if asked[first].done() else {}
            others = [name for name in there if name != first and (name in told or not told)]
            asked |= {name: pool.submit(self._cluster, name) for name in others[:ASKED_UNKNOWN_MAX]}
        return [each.result() for each in asked.values()]

    def _ask(self, contexts: Sequence[str]) -> list[Shown]:
        with ThreadPoolExecutor(max_workers=max(len(contexts), 1)) as pool:
            return list(pool.map(self._cluster, contexts))

    def _cluster(self, context: str) -> Shown:
        answers = self.kubectl.get([(context, path) for path in self._paths])
        more = dict(zip(self._paths, answers, strict=True))
        read_at = self._wall()
        leases = _named(more[self._leases])
        beat = beats.of(leases.get(beats.REGION_LEASE, {}), read_at=read_at)
        return Shown(
            region=beat.said.region if beat.said and beat.said.region else context,
            context=context,
            regions=_named(more[REGIONS]),
            policies=_named(more[POLICIES]),
            leases=leases,
            beat=beat,
            more={**more, beats.REGION_LEASE: more[self._leases]},
            read_at=read_at,
        )


def _named(answered: Answered) -> dict[str, Object]:
    return {name_of(each): each for each in items(answered)}


def items(answered: Answered) -> tuple[Any, ...]:
    return tuple(answered.content.get("items") or ())


def _joined(found: Sequence[Shown], *, wanted: Sequence[str], named: bool) -> Fleet:
    """One fleet of what each context shows. A context that nobody named and that holds no Region is none of it."""
    answered = [each for each in found if not (each.more[REGIONS].why or each.more[POLICIES].why)]
    # One cluster may be reached by two contexts.
    unique = {each.region: each for each in reversed(answered) if each.regions}
    shown = [unique[region] for region in sorted(unique)]
    regions = sorted({name for each in shown for name in each.regions})
    failed = {
        each.context: each.more[REGIONS].why or each.more[POLICIES].why for each in found if each not in answered
    }
    read = {each.region for each in shown}
    belonging = {*regions, *wanted}
    silent = {name: why for name, why in failed.items() if name in belonging and name not in read}
    missing = [name for name in (wanted if named else regions) if name not in {each.context for each in found}]
    silent |= {name: NO_CONTEXT for name in missing if name not in read}
    unread = {}
    for each in shown:
        if why := each.more[beats.REGION_LEASE].why:
            unread[f"the heartbeat of {each.region}"] = why
    return Fleet(tuple(shown), tuple(regions), dict(sorted(silent.items())), unread)
