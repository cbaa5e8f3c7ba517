"""`explain`: why a region, lever, agent, carrier or zone is as it is, now or at an earlier time."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.cli import clusters, console, render, subjects, verdicts
from holdfast.cli.answer import Answer
from holdfast.cli.clusters import Cluster, Kubectl, Source
from holdfast.cli.exits import PROGRAM, ExitStatus, Failure
from holdfast.cli.moments import stamp
from holdfast.cli.options import Options
from holdfast.core.explain import Kind, Subject

BUDGET_S = 2.0
AGO = re.compile(r"(\d+)([smhd])")
NO_CONTEXT = "the kubeconfig has no context of that name"
UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: a name, of which kind if that was said, and about when."""

    name: str
    kind: Kind | None = None
    at: str = ""


def question(words: Sequence[str], *, at: str, now: dt.datetime) -> Question:
    """`fra`, `region fra`, `region/fra`, `clinic/front-desk` and `agent/clinic/front-desk` are all understood."""
    first, _, rest = words[0].partition("/")
    kinds = {kind.value: kind for kind in Kind}
    if len(words) > 2 or (len(words) == 2 and words[0] not in kinds):
        raise Failure(
            f"the kind must be one of {', '.join(kinds)}",
            next_command=f"kubectl holdfast explain {words[-1]}",
            status=ExitStatus.USAGE,
        )
    if len(words) == 2:
        return Question(words[1], kinds[words[0]], moment(at, now=now))
    if first in kinds and rest:
        return Question(rest, kinds[first], moment(at, now=now))
    return Question(words[0], None, moment(at, now=now))


def moment(text: str, *, now: dt.datetime) -> str:
    """A time as the record has it: RFC 3339, UTC unless it says otherwise, or so long ago (90s, 10m, 2h, 1d)."""
    if not text:
        return ""
    if ago := AGO.fullmatch(text):
        return stamp((now - dt.timedelta(seconds=int(ago[1]) * UNITS_S[ago[2]])).timestamp())
    try:
        told = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Failure(
            f"{text} is neither a time such as 2026-11-21T14:05:00Z nor a duration such as 10m",
            next_command="kubectl holdfast explain -h",
            status=ExitStatus.USAGE,
        ) from None
    whole_second = told.microsecond == 0 and "." not in text
    # All of the second that was named is meant, not only its beginning.
    meant = told.replace(tzinfo=told.tzinfo or dt.UTC) + dt.timedelta(milliseconds=999 if whole_second else 0)
    return stamp(meant.timestamp())


def run(words: Sequence[str], *, at: str, output: str, options: Options) -> ExitStatus:
    """Ask the clusters and print the answer."""
    wall_s = time.time()
    now = dt.datetime.fromtimestamp(wall_s, tz=dt.UTC)
    asked = question(words, at=at, now=now)
    answer = _answer(asked, options, as_of=stamp(wall_s))
    if output == "json":
        options.out.write(json.dumps(answer.rendered(), indent=2, ensure_ascii=False) + "\n")
    else:
        made = console.make(options.out, color=options.color, environment=options.environment)
        render.show(answer, made, signs=console.signs(options.environment), verbose=options.verbose)
    return ExitStatus.DONE


def _answer(asked: Question, options: Options, *, as_of: str) -> Answer:
    kubectl = Kubectl(kubeconfig=options.kubeconfig, budget_s=options.within(BUDGET_S))
    config = kubectl.config()
    namespace = options.namespace or clusters.namespace(config, clusters.chosen(config, context=options.context))
    if asked.name.count("/") == 1:
        namespace = asked.name.partition("/")[0]
    found, unread = _read(asked, kubectl, config, options, namespace=namespace)
    if not found:
        why = "; ".join(f"{what}: {reason}" for what, reason in unread.items())
        raise Failure(
            f"no region could be read: {why}",
            next_command="kubectl config get-contexts",
            status=ExitStatus.TIMED_OUT if all("silent" in reason for reason in unread.values()) else ExitStatus.FAILED,
        )
    subject = _subject(asked, found, namespace=namespace)
    answer = verdicts.given(subject, found, as_of=as_of, at=asked.at, unread=unread, context=options.context)
    return replace(answer, next_command=answer.next_command.replace(PROGRAM, options.program))


def _read(
    asked: Question, kubectl: Kubectl, config: Mapping[str, object], options: Options, *, namespace: str
) -> tuple[tuple[Cluster, ...], dict[str, str]]:
    """The named contexts; else the current one, which knows the Regions, and every context named as one of them."""
    there, where = clusters.contexts(config), options.operator_namespace
    agents_of = namespace if asked.kind in (None, Kind.AGENT) else ""
    if options.contexts:
        missing = {name: NO_CONTEXT for name in options.contexts if name not in there}
        sources = [Source(name, name) for name in options.contexts if name in there]
        found, unread = clusters.read(kubectl, sources, operator_namespace=where, agents_of=agents_of)
        return found, missing | unread
    first = clusters.chosen(config, context=options.context)
    found, unread = clusters.read(kubectl, [Source(first, first)], operator_namespace=where, agents_of=agents_of)
    names = [subjects.name_of(each) for cluster in found for each in cluster.regions]
    others = [name for name in names if name not in {first, *(cluster.region for cluster in found)}]
    sources = [Source(name, name) for name in others if name in there]
    if any(each.kind is not Kind.AGENT for each in _meant(asked, found, namespace=namespace)):
        agents_of = ""
    more, unread_more = clusters.read(kubectl, sources, operator_namespace=where, agents_of=agents_of)
    return (*found, *more), unread | unread_more | {name: NO_CONTEXT for name in others if name not in there}


def _meant(asked: Question, found: Sequence[Cluster], *, namespace: str) -> tuple[Subject, ...]:
    return subjects.matching(subjects.known(found), name=asked.name, kind=asked.kind, namespace=namespace)


def _subject(asked: Question, found: Sequence[Cluster], *, namespace: str) -> Subject:
    """The one thing that is meant."""
    meant = _meant(asked, found, namespace=namespace)
    if len(meant) == 1:
        return meant[0]
    if meant:
        names = ", ".join(f"{each.kind.value}/{each.name}" for each in meant)
        raise Failure(
            f"{asked.name} may be {names}",
            next_command=f"kubectl holdfast explain {meant[0].kind.value}/{meant[0].name}",
            status=ExitStatus.USAGE,
        )
    wanted = asked.kind.value if asked.kind else "region, lever, agent, carrier or zone"
    perhaps = subjects.nearest([each for each in subjects.known(found) if asked.kind in (None, each.kind)], asked.name)
    raise Failure(
        f"no {wanted} is named {asked.name} (agents: of namespace {namespace})",
        next_command=f"kubectl holdfast explain {perhaps}" if perhaps else "kubectl get regions,failoverpolicies",
    )
