"""What is known of a zone, a region or an agent, as conditions with the very reasons of the decisions.

Pure dicts out. What is not known is Unknown, never True.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.core import privacy, readiness, reasons, remedies, writes
from holdfast.core.agents import AgentSpec
from holdfast.core.evidence import History
from holdfast.core.fallback import Fallback
from holdfast.core.latency import Standing
from holdfast.core.plans import Plan, View
from holdfast.core.providers import Order
from holdfast.core.readiness import Loss
from holdfast.core.values import Reason, Tier, Verdict, Zone

READY = "Ready"
REACHABLE = "Reachable"
ACTION_HELD = "ActionHeld"
QUORUM_HELD = "QuorumHeld"
READY_FOR_LOSS = "ReadyForLoss"
LEVERS_AS_KEPT = "LeversAsKept"
ATTEMPTS_WELL = "AttemptsWell"
TOOLS_WELL = "ToolsWell"
VENDOR_STORAGE_OFF = "VendorStorageOff"
STAGES_IN_TIME = "StagesInTime"
ROUTE_IN_SYNC = "RouteInSync"
LEVER_REACHABLE = "LeverReachable"
FALLBACK_READY = "FallbackReady"

MESSAGE_CHARS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """`status` None: unknown."""

    type: str
    status: bool | None
    reason: Reason


def ready(view: View) -> Condition:
    """A zone is ready while a region that is meant to serve is seen up."""
    if able := view.able():
        return Condition(READY, True, Reason(reasons.READY, f"new calls go to {', '.join(able)}"))
    unseen = bool(view.serving()) and all(not view.tally(name).down for name in view.serving())
    message = f"no region of zone {view.zone.name} is both meant to serve and seen up"
    return Condition(READY, None if unseen else False, Reason(reasons.NO_REGION_SERVES, message))


def quorum(zone: Zone, *, leader: str | None) -> Condition:
    """`leader` names the region that leads, as the votes say; None: nobody does."""
    if len(zone.voters) == 2:
        message = f"{' and '.join(zone.voters)} have no majority without each other: name a witness"
        return Condition(QUORUM_HELD, False, Reason(reasons.NO_WITNESS, message))
    if leader is None:
        message = f"nobody holds {zone.majority} of {len(zone.voters)} votes; routing is held as it is"
        return Condition(QUORUM_HELD, False, Reason(reasons.NO_MAJORITY, message))
    return Condition(QUORUM_HELD, True, Reason(reasons.LEADER_ELECTED, f"{leader} leads zone {zone.name}"))


def ready_for_loss(found: Sequence[Loss]) -> Condition:
    """Whether any one thing may be lost now; else the worst gap, and what closes it."""
    if worst := readiness.gaps(found)[:1]:
        gap, others = worst[0], len(readiness.gaps(found)) - 1
        more = f" {others} more would not be survived." if others else ""
        message = f"{gap.reason.message}. {remedies.of(gap.reason.code)}{more}"
        return Condition(READY_FOR_LOSS, False, Reason(gap.reason.code, message))
    unknown = next((loss for loss in found if loss.survived is None), None)
    if unknown is not None:
        return Condition(READY_FOR_LOSS, None, unknown.reason)
    if not found:
        return Condition(READY_FOR_LOSS, False, Reason(reasons.NO_REGION_SERVES, "no region of the zone serves"))
    tiers = {loss.tier: None for loss in found}
    words = "; ".join(_any_of(tier, found) for tier in tiers)
    return Condition(READY_FOR_LOSS, True, Reason(reasons.READY_FOR_LOSS, f"any one may be lost now: {words}"))


def _any_of(tier: Tier, found: Sequence[Loss]) -> str:
    return f"{tier.value} {', '.join(loss.target for loss in found if loss.tier is tier)}"


def levers_reachable(zone: Zone, *, failing: Mapping[str, str]) -> Condition:
    """`failing`: what each lever that does not answer said last; never a credential."""
    bad = [f"{lever.name}: {failing[lever.name]}" for lever in zone.levers if lever.name in failing]
    if bad:
        return Condition(LEVER_REACHABLE, False, Reason(reasons.LEVER_UNREACHABLE, "; ".join(bad)))
    return Condition(LEVER_REACHABLE, True, Reason(reasons.LEVER_ANSWERS, "every lever answers"))


def region(name: str, view: View, *, plan: Plan) -> tuple[Condition, ...]:
    """A region as one zone sees it: does it serve, is it up, is it routed so, and what was held back and why."""
    return (_serves(name, view), _reachable(name, view), _in_sync(name, view), _held(name, plan))


def attempts_well(order: Order) -> Condition:
    """Whether an agent's attempts are tried here as its spec has them; what is not, is told one by one.

    That one is not meant for this region is as the spec has it, as long as another is.
    """
    unlike = [reason for reason in order.reasons if reason.code != reasons.ATTEMPT_NOT_HERE or not order.names]
    if not unlike:
        as_wished = Reason(reasons.ATTEMPTS_AS_WISHED, "attempts are tried as the spec has them")
        return Condition(ATTEMPTS_WELL, True, as_wished)
    told = "; ".join(reason.message for reason in unlike)
    return Condition(ATTEMPTS_WELL, False, Reason(unlike[0].code, told))


_REFUSES = "refuses our calls: its address or what it asks for is not as in the spec"
_NOT_ASKED = {
    "forbidden-address": "is not asked: it lies where tools may not go, see webhook.network and tenants[].toolNetworks",
    "unsigned": "is not asked: the secret that signs its requests is missing",
}


def tools_well(tools: Mapping[str, History]) -> Condition:
    """Whether an agent's tools answer in this region, the worst first. `tools`: all of its spec, by name."""
    ill = {name: each for name, each in tools.items() if each.verdict in (Verdict.DOWN, Verdict.DEGRADED)}
    if ill:
        told = "; ".join(f"{name}: {each.verdict.value} ({each.detail})" for name, each in sorted(ill.items()))
        return Condition(TOOLS_WELL, False, Reason(reasons.TOOL_ILL, told))
    refusing = sorted(name for name, each in tools.items() if each.verdict is Verdict.UNKNOWN and each.detail)
    if refusing:
        words = "; ".join(f"{name} {_NOT_ASKED.get(tools[name].detail, _REFUSES)}" for name in refusing)
        return Condition(TOOLS_WELL, False, Reason(reasons.TOOL_REFUSES, words))
    unheard = sorted(name for name, each in tools.items() if each.verdict is Verdict.UNKNOWN)
    if unheard:
        words = f"not called often enough here: {', '.join(unheard)}"
        return Condition(TOOLS_WELL, None, Reason(reasons.TOOL_UNHEARD, words))
    return Condition(TOOLS_WELL, True, Reason(reasons.TOOLS_ANSWER, f"well: {', '.join(sorted(tools))}"))


def vendor_storage_off(spec: AgentSpec) -> Condition | None:
    """Whether every vendor is told to store nothing; the parts that none can be told for by name. None: nobody asks."""
    if spec.vendors_keep:
        return None
    said = []
    if bound := privacy.by_contract(spec.attempts):
        words = "there is no switch, and what the vendor keeps is a matter of the contract with it"
        said.append(Reason(reasons.BY_CONTRACT_ONLY, f"{', '.join(bound)}: {words}"))
    if left := privacy.left_on(spec.attempts):
        said.append(Reason(reasons.LEFT_ON, f"{', '.join(left)}: options.{privacy.SWITCH} says that it may be stored"))
    if said:
        told = "; ".join(each.message for each in said)
        return Condition(VENDOR_STORAGE_OFF, False, Reason(said[0].code, told))
    return Condition(VENDOR_STORAGE_OFF, True, Reason(reasons.VENDORS_TOLD, "every vendor is told to store nothing"))


def stages_in_time(parts: Mapping[str, tuple[Standing, int]]) -> Condition:
    """Whether an agent's stages keep their budgets here. `parts`: each that has one, with its standing and the budget.

    One of which too little is known is no reason for doubt while another is: one that is tried last has no turns.
    """
    slow = sorted((name, *each) for name, each in parts.items() if each[0].verdict is Verdict.DEGRADED)
    if slow:
        told = "; ".join(f"{name} took {each.p95_ms} ms (p95) of {budget_ms} ms" for name, each, budget_ms in slow)
        return Condition(STAGES_IN_TIME, False, Reason(reasons.BROWN_OUT, told))
    well = sorted(name for name, (each, _) in parts.items() if each.verdict is Verdict.UP)
    if not well:
        words = f"too few turns here to tell: {', '.join(sorted(parts))}"
        return Condition(STAGES_IN_TIME, None, Reason(reasons.LATENCY_UNHEARD, words))
    return Condition(STAGES_IN_TIME, True, Reason(reasons.IN_TIME, f"within their budgets: {', '.join(well)}"))


def levers_as_kept(drift: Mapping[str, Sequence[str]]) -> Condition:
    """Whether everything else at the levers is as we keep it; what others changed is told lever by lever."""
    if not drift:
        return Condition(LEVERS_AS_KEPT, True, Reason(reasons.AS_KEPT, "nobody has changed anything of ours"))
    told = "; ".join(f"{lever}: {', '.join(words)}" for lever, words in sorted(drift.items()))
    return Condition(LEVERS_AS_KEPT, False, Reason(reasons.DRIFT, told))


def fallback_ready(fallback: Fallback | None, *, read_back: bool | None) -> Condition:
    """Whether the carrier's own fallback stands. `read_back` tells if the carrier was read to say what we want."""
    if fallback is None:
        message = "no region of the zone may legally take calls, so there is nowhere to fall back to"
        return Condition(FALLBACK_READY, False, Reason(reasons.OUTSIDE_RESIDENCY, message))
    if read_back is None:
        return Condition(FALLBACK_READY, None, Reason(reasons.ROUTE_UNKNOWN, "the carrier was not read yet"))
    if not read_back:
        return Condition(FALLBACK_READY, False, Reason(reasons.ROUTE_DIFFERS, "the carrier's application differs"))
    return Condition(FALLBACK_READY, fallback.apart, fallback.reason)


def rendered(
    conditions: Sequence[Condition], *, before: Sequence[Mapping[str, Any]], generation: int, now: str
) -> list[dict[str, Any]]:
    """As the API wants them, by type. `now` is RFC 3339 text; it is used only where a status turned."""
    known = {str(each["type"]): each for each in before}
    written = []
    for condition in sorted(conditions, key=lambda each: each.type):
        old, status = known.get(condition.type), {True: "True", False: "False", None: "Unknown"}[condition.status]
        written.append({
            "type": condition.type,
            "status": status,
            "reason": condition.reason.code,
            "message": condition.reason.message[:MESSAGE_CHARS_MAX],
            "observedGeneration": generation,
            "lastTransitionTime": old["lastTransitionTime"] if old and old["status"] == status else now,
        })
    return written


def _serves(name: str, view: View) -> Condition:
    remembered = view.remembered(name)
    if name in view.serving():
        return Condition(READY, True, Reason(reasons.READY, remembered.reason or f"{name} takes calls"))
    return Condition(READY, False, Reason(reasons.REGION_CORDONED, remembered.reason or f"{name} takes no new calls"))


def _reachable(name: str, view: View) -> Condition:
    tally = view.tally(name)
    if tally.lost:
        return Condition(REACHABLE, False, Reason(reasons.REGION_LOST, tally.describe()))
    message = f"{len(tally.up)} of {tally.observers} observers see {name} up"
    return Condition(
        REACHABLE, True if tally.up else None, Reason(reasons.READY if tally.up else reasons.NOT_CONFIRMED, message)
    )


def _in_sync(name: str, view: View) -> Condition:
    """True only where every origin was read to be as it is wanted."""
    wanted = name in view.serving()
    states = {lever: view.enabled(lever, name) for lever in view.written_levers_of(name)}
    known = [lever for lever, state in states.items() if state is not None]
    differing = [lever for lever in known if not writes.as_wanted(name, lever, view, enabled=wanted)]
    unknown = [lever for lever, state in states.items() if state is None]
    if not states:
        return Condition(ROUTE_IN_SYNC, None, Reason(reasons.NO_ORIGIN, f"{name} has no origin at any lever"))
    if differing:
        word = f"on with {view.given(name)} %" if wanted and view.given(name) < 100 else "on" if wanted else "off"
        message = f"not yet {word} at {', '.join(differing)}"
        return Condition(ROUTE_IN_SYNC, False, Reason(reasons.ROUTE_DIFFERS, message))
    if unknown:
        return Condition(ROUTE_IN_SYNC, None, Reason(reasons.ROUTE_UNKNOWN, f"not read at {', '.join(unknown)}"))
    message = f"{'on' if wanted else 'off'} at {', '.join(states)}, read back"
    return Condition(ROUTE_IN_SYNC, True, Reason(reasons.READ_BACK, message))


def _held(name: str, plan: Plan) -> Condition:
    refusal = next((each for each in plan.refusals if getattr(each.action, "region", None) == name), None)
    if refusal is None:
        return Condition(ACTION_HELD, False, Reason(reasons.NOTHING_HELD, "no action on this region is held back"))
    return Condition(ACTION_HELD, True, refusal.reason)
