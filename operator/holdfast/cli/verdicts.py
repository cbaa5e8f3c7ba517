"""How an answer is found in what the clusters show. Pure: what was read goes in, one value comes out.

Every reason in it is the operators' own, word by word; what is added is which of them matters most, and what ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from holdfast.cli import subjects
from holdfast.cli.answer import Answer, Condition, Seen, Verdict
from holdfast.cli.clusters import Cluster
from holdfast.core import audit, reasons, remedies
from holdfast.core.audit import Record
from holdfast.core.explain import Kind, Subject
from holdfast.core.values import Reason

LATEST = "9999"  # A region's clock may be ahead of ours: of the present nothing is left out.


def given(
    subject: Subject,
    clusters: Sequence[Cluster],
    *,
    as_of: str,
    at: str = "",
    unread: Mapping[str, str] | None = None,
    context: str = "",
) -> Answer:
    """The answer. With `at` only the record speaks: objects show the present, which says nothing of the past."""
    zones = subjects.zones_of(subject, clusters)
    records = _records(subject, zones, clusters, until=at or LATEST)
    conditions = () if at else _conditions(subject, zones, clusters)
    decisions = tuple(record for record in reversed(records) if record.entry.done)
    refusals = tuple(record for record in reversed(records) if not record.entry.done)
    if at:
        told = audit.at({each.region: each.trail for each in clusters}, subject, at)
        verdict, seen = _recorded_verdict(subject, told or next(iter(decisions), None)), _recorded_seen(told)
    else:
        verdict, seen = _verdict(subject, zones, conditions, clusters, decisions), _seen(subject, clusters, records)
    return Answer(
        subject, zones, as_of, at, verdict,
        seen=seen, conditions=conditions, decisions=decisions, refusals=refusals,
        changes=_changes(verdict, conditions, decisions, refusals),
        read=tuple(each.region for each in clusters), unread=dict(unread or {}),
        next_command=_next(subject, zones, verdict, decisions, clusters, context=context),
    )  # fmt: skip


def _records(
    subject: Subject, zones: Sequence[str], clusters: Iterable[Cluster], *, until: str
) -> tuple[Record, ...]:
    """What was decided or refused about it; for an agent and a zone, everything of the zone."""
    whole = subject.kind in (Kind.AGENT, Kind.ZONE)
    return tuple(
        record
        for record in audit.merge({each.region: each.trail for each in clusters})
        if record.at <= until and _touches(record, subject, zones if whole else ())
    )


def _touches(record: Record, subject: Subject, zones: Sequence[str]) -> bool:
    if record.entry.concerns(subject):
        return True
    # What was decided about another agent of the zone says nothing about this one.
    return record.entry.zone in zones and (subject.kind is Kind.ZONE or record.entry.subject.kind is not Kind.AGENT)


def _conditions(subject: Subject, zones: Sequence[str], clusters: Sequence[Cluster]) -> tuple[Condition, ...]:
    """An agent's differ from region to region, so each region's are shown; of the others one view is enough."""
    objects = subjects.objects_of(subject, zones, clusters)
    shown = objects if subject.kind is Kind.AGENT else objects[:1]
    found = [_condition(by, each) for by, about in shown for each in subjects.status(about).get("conditions") or ()]
    return tuple(sorted(found, key=lambda each: (each.type != "Ready", each.good, each.type, each.by)))


def _condition(by: str, each: Mapping[str, Any]) -> Condition:
    return Condition(
        by, str(each.get("type", "")), str(each.get("status", "")), str(each.get("reason", "")),
        str(each.get("message", "")), str(each.get("lastTransitionTime", "")),
    )  # fmt: skip


# The verdict.


def _verdict(
    subject: Subject,
    zones: Sequence[str],
    conditions: Sequence[Condition],
    clusters: Sequence[Cluster],
    decisions: Sequence[Record],
) -> Verdict:
    """What is so now, by the condition that says most about this kind."""
    if subject.kind is Kind.LEVER or subject.kind is Kind.CARRIER:
        return _tool_verdict(subject, conditions, decisions)
    ready = [each for each in conditions if each.type == "Ready"]
    if not ready:
        return Verdict("unknown", f"nothing is known of {subject.name} yet")
    worst = min(ready, key=lambda each: ["False", "Unknown", "True"].index(each.status))
    sign = {"True": "ok", "False": "bad"}.get(worst.status, "unknown")
    words = {
        Kind.REGION: {"ok": "takes new calls", "bad": "takes no new calls"},
        Kind.ZONE: {"ok": "takes calls", "bad": "takes no calls"},
        Kind.AGENT: {"ok": "answers", "bad": f"does not answer in {worst.by}"},
    }[subject.kind].get(sign, "is in a state that nobody knows")
    if subject.kind is Kind.REGION:
        # The condition tells that it is out in the words of the decision; the decision knows the code.
        told = (record.entry.reason for record in decisions if record.entry.reason.message == worst.message)
        reason = next(told, Reason(worst.reason, worst.message))
        return Verdict(sign, f"{subject.name} {words}", reason.code, reason.message)
    if subject.kind is Kind.AGENT and sign == "ok":
        out = subjects.out_of(zones, clusters)
        words = f"answers in {', '.join(each.by for each in ready if each.by not in out) or 'no region'}"
    return Verdict(sign, f"{subject.name} {words}", worst.reason, worst.message)


def _tool_verdict(subject: Subject, conditions: Sequence[Condition], decisions: Sequence[Record]) -> Verdict:
    """A lever or a carrier: whether it answers, else what was last decided about it."""
    reachable = next((each for each in conditions if each.type == "LeverReachable"), None)
    named = reachable is not None and not reachable.good and f"{subject.name}:" in reachable.message
    if reachable is not None and named and subject.kind is Kind.LEVER:
        return Verdict("bad", f"{subject.name} does not answer", reachable.reason, reachable.message)
    if decisions:
        entry = decisions[0].entry
        return Verdict("info", f"{subject.name}: last, {entry.action}", entry.reason.code, entry.reason.message)
    return Verdict("ok", f"nothing was ever changed at {subject.name}")


def _recorded_verdict(subject: Subject, record: Record | None) -> Verdict:
    if record is None:
        return Verdict("unknown", f"nothing is recorded about {subject.name} up to then")
    entry = record.entry
    sign = "info" if entry.done else "warning"
    words = f"{subject.name}: {entry.outcome.value}: {entry.action}"
    return Verdict(sign, words, entry.reason.code, entry.reason.message)


def _seen(subject: Subject, clusters: Sequence[Cluster], records: Sequence[Record]) -> tuple[Seen, ...]:
    """Of a region what its observers say now; of anything else what stood behind the last record."""
    if subject.kind is not Kind.REGION:
        return _recorded_seen(records[-1] if records else None)
    for _, found in subjects.objects_of(subject, (), clusters)[:1]:
        return tuple(
            Seen(
                str(each.get("observer", "")), str(each.get("verdict", "")),
                since=str(each.get("since", "")), detail=str(each.get("detail", "")),
            )
            for each in subjects.status(found).get("observations") or ()
        )  # fmt: skip
    return ()


def _recorded_seen(record: Record | None) -> tuple[Seen, ...]:
    return tuple(
        Seen(said.observer, said.verdict, "", said.held_s, said.heard_age_s, said.doubt, said.detail)
        for said in (record.entry.evidence if record else ())
    )


def _changes(
    verdict: Verdict, conditions: Sequence[Condition], decisions: Sequence[Record], refusals: Sequence[Record]
) -> Mapping[str, str]:
    """What would have to change, by reason: the state's, what is held back now, and what was refused since."""
    codes = [] if verdict.sign == "ok" else [record.entry.reason.code for record in decisions[:1]] + [verdict.reason]
    codes += [each.reason for each in conditions if not each.good and each.reason != reasons.REGION_CORDONED]
    since = decisions[0].at if decisions else ""
    codes += [record.entry.reason.code for record in refusals if record.at >= since and verdict.sign != "ok"]
    if decisions:
        # That others could not decide, or that a guard was overridden, asks for nothing any more.
        codes = [code for code in codes if code not in (reasons.NO_QUORUM, decisions[0].entry.overrode)]
    known_codes = [code for code in dict.fromkeys(codes) if code in remedies.REMEDIES]
    return {code: remedies.of(code) for code in known_codes if remedies.of(code) != remedies.NOTHING}


def _next(
    subject: Subject,
    zones: Sequence[str],
    verdict: Verdict,
    decisions: Sequence[Record],
    clusters: Sequence[Cluster],
    *,
    context: str,
) -> str:
    """The command that shows more, with the same context."""
    kubectl = f"kubectl --context={context}" if context else "kubectl"
    flag = f" --context={context}" if context else ""
    out = subjects.out_of(zones, clusters)
    if subject.kind in (Kind.ZONE, Kind.AGENT) and out:
        return f"kubectl holdfast explain region/{out[0]}{flag}"
    match subject.kind:
        case Kind.REGION if decisions and verdict.sign == "bad":
            return f"kubectl holdfast explain region/{subject.name} --at {decisions[0].at}{flag}"
        case Kind.REGION:
            return f"{kubectl} describe region {subject.name}"
        case Kind.AGENT:
            namespace, _, name = subject.name.partition("/")
            return f"{kubectl} describe voiceagent {name} -n {namespace}"
        case _:
            return f"{kubectl} describe failoverpolicy {zones[0]}" if zones else f"{kubectl} get failoverpolicies"
