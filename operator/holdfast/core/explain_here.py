"""What a region's operator decides alone, as entries: orders of attempts, ICE servers, and wishes to be withdrawn.

The reasons are those of the deciding modules, unchanged. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.core import explain, reasons
from holdfast.core.explain import Entry, Kind, Outcome, Said, Subject
from holdfast.core.providers import Attempts, Order
from holdfast.core.relays import IceList
from holdfast.core.values import AgentRef, Reason, Withdrawal

ASK = "ask to be taken out of service"


def attempts(
    agent: AgentRef, spec: Attempts, order: Order, *, zone: str, region: str, evidence: Iterable[Said] = ()
) -> tuple[Entry, ...]:
    """Why an agent's attempts are not tried as the spec has them; nothing where they are."""
    subject = Subject(Kind.AGENT, str(agent))
    left_out = [line.name for line in spec.lines if line.name not in order.names]
    refused, found = order.reasons[: len(left_out)], order.reasons[len(left_out) :]
    entries = [
        explain.own(Outcome.REFUSED, subject, zone=zone, region=region, action=f"try {name} in {region}", reason=reason)
        for name, reason in zip(left_out, refused, strict=True)
    ]
    for reason in found[:1]:
        none_left = reason.code == reasons.NO_ATTEMPT
        outcome = Outcome.REFUSED if none_left else Outcome.PREFERRED
        action = f"take calls in {region}" if none_left else f"try {', then '.join(order.names)}"
        entries.append(
            explain.own(outcome, subject, zone=zone, region=region, action=action, reason=reason, evidence=evidence)
        )
    return tuple(entries)


def relays(ice: IceList, *, zone: str, region: str) -> Entry:
    """Which ICE servers the callers of a region are offered."""
    names = ", then ".join(dict.fromkeys(f"{server.relay} over {server.transport.value}" for server in ice.servers))
    outcome = Outcome.PREFERRED if ice.servers else Outcome.REFUSED
    action = f"offer {names}" if ice.servers else "offer a relay"
    subject = Subject(Kind.REGION, region)
    return explain.own(outcome, subject, zone=zone, region=region, action=action, reason=ice.reason)


def withdrawal(wished: Withdrawal | Reason | None, *, zone: str, region: str) -> tuple[Entry, ...]:
    """A region asks, or does not although something is ill there."""
    if wished is None:
        return ()
    asks = isinstance(wished, Withdrawal)
    reason = wished.reason if isinstance(wished, Withdrawal) else wished
    outcome = Outcome.DECIDED if asks else Outcome.REFUSED
    subject = Subject(Kind.REGION, region)
    return (explain.own(outcome, subject, zone=zone, region=region, action=ASK, reason=reason),)
