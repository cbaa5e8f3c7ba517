"""What would have to change, one sentence for every reason code. "It" is what the question was about.

A sentence says what ends a refusal or undoes a decision, by itself or by a person's hand. A code without one is a gap
in the answer of `explain`, so a test holds this table against `reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from holdfast.core import reasons

NOTHING = "Nothing: this is as it should be."
UNKNOWN_CODE = "This version knows no remedy for that code; a newer one may."
_BY_NAME = "or a person names this guard in the Region's spec.override"

REMEDIES: Mapping[str, str] = MappingProxyType({
    # Why a region was moved.
    reasons.REGION_LOST: "More than half of its observers see its public entry up again, for the dwell.",
    reasons.REGION_ABSENT: "It joins without waiting as soon as more than half of its observers see it up.",
    reasons.REGION_DEGRADED: "More than half of its observers find it reliable again, for the dwell.",
    reasons.REGION_WITHDRAWN: "Its own operator stops asking, because its pods and providers are well again.",
    reasons.REGION_RECOVERED: NOTHING,
    reasons.REGION_JOINED: NOTHING,
    reasons.REGION_RAISED: NOTHING,
    reasons.OUTSIDE_RESIDENCY: "The Region's jurisdiction equals the policy's residency; no override lifts this.",
    reasons.FOUND_OFF: "More than half of its observers see it up for the dwell, as if it had just been moved.",
    reasons.HUMAN_SHIFT: "The time of the Region's spec.cordon runs out, or a person removes it.",
    reasons.GAME_DAY_SHIFT: "The rehearsal ends by its own time, is stopped, or an incident takes its place.",
    reasons.SHIFT_ENDED: NOTHING,
    # What was done besides.
    reasons.CALLS_SHED: "More bridge pods become ready, or a region that is out comes back.",
    # Why an action was refused.
    reasons.NO_QUORUM: "This operator holds more than half of the votes; if another one leads, that one decides.",
    reasons.PAUSED: "A person ends the pause, in the policy or in the values of the fleet.",
    reasons.INCIDENT: "The incident in the zone is over; then rehearse again.",
    reasons.SEEN_ELSEWHERE: "The fault is seen in this region only; one that all regions share is not cured by moving.",
    reasons.ONLY_SOME_AGENTS: "Every agent of the region is affected; some agents have their own attempts to turn to.",
    reasons.STALE_EVIDENCE: "The observers it names are heard again within 3 s.",
    reasons.OBSERVER_DOUBTS: "The observers it names reach their reference targets outside the fleet again.",
    reasons.NOT_CONFIRMED: "More than half of all configured observers say the same.",
    reasons.TARGET_LOST: "Its public entry answers more than half of its observers before calls are sent there.",
    reasons.EVERYTHING_ILL: "At least one other region of the zone is seen up; until then everything stays as it is.",
    reasons.LAST_SERVING: "Another region of the zone takes calls first.",
    reasons.MIN_SERVING: f"As many others as guards.minServing asks for serve and are seen up, {_BY_NAME}.",
    reasons.NEVER_EMPTY: "The lever holds another origin that is on, and whose region is seen up.",
    reasons.MAX_CORDONED: f"A region that is out comes back, guards.maxCordoned is raised, {_BY_NAME}.",
    reasons.CAPACITY: f"The regions that would take the calls have room for them, {_BY_NAME}.",
    reasons.REWOUND_HISTORY: f"The memory in the Leases catches up with the marks at the levers, {_BY_NAME}.",
    reasons.UNKNOWN_HISTORY: f"A whole dwell passes, counted from now, {_BY_NAME}.",
    reasons.DWELL: f"It stays well, and where it is, until the dwell is over, {_BY_NAME}.",
    reasons.RAMP: f"It stays well at this step of its ramp until the step's time is over, {_BY_NAME}.",
    reasons.DRIFT: "It is put back at the vendor by hand, or the lever's drift is set to enforce.",
    reasons.DRY_RUN: "The lever's dryRun is taken away.",
    reasons.BUDGET: f"The lever's vendor takes requests from us again, {_BY_NAME}.",
    # What may be said in conditions.
    reasons.READY: NOTHING,
    reasons.NO_REGION_SERVES: "A region that is meant to serve is seen up.",
    reasons.NOTHING_HELD: NOTHING,
    reasons.REGION_CORDONED: "The cause of its cordon ends; the decisions say which one stands.",
    reasons.LEADER_ELECTED: NOTHING,
    reasons.NO_MAJORITY: "More than half of the zone's clusters can be reached by one operator.",
    reasons.NO_WITNESS: "The policy names a witness in a third cluster.",
    reasons.ENOUGH_PODS: NOTHING,
    reasons.NOT_ENOUGH_PODS: "More bridge pods are ready in the other regions.",
    reasons.ONE_REGION: "The policy names a second region.",
    reasons.READ_BACK: NOTHING,
    reasons.ROUTE_DIFFERS: "The leader writes it again and reads it back; if it stays so, somebody else writes there.",
    reasons.ROUTE_UNKNOWN: "The lever or carrier answers when it is read.",
    reasons.NO_ORIGIN: "The Region's spec.origins names its entry in a lever of the policy.",
    reasons.LEVER_ANSWERS: NOTHING,
    reasons.AS_KEPT: NOTHING,
    reasons.LEVER_UNREACHABLE: "The vendor answers again, or its credential is mended.",
    reasons.SEPARATE_REGION: NOTHING,
    reasons.NO_OTHER_REGION: "A second region of the zone serves.",
    reasons.SHARED_DOMAIN: "A region in another failure domain serves.",
    # Which way calls reach a zone.
    reasons.BY_EDGE: NOTHING,
    reasons.EDGE_BYPASSED: "The edge's lever reads as it is wanted again; then the addresses name the zone's host.",
    reasons.NO_EDGE: "The policy names a lever at the edge, behind which regions are moved in one write each.",
    # What may be said of a copy.
    reasons.ORPHANED: "Its origin is deleted by name, or it is applied anew in a region that lives.",
    reasons.SPEC_CONFLICT: "One of the two specs is applied in both regions.",
    reasons.LOWER_GENERATION: "The newer spec is applied where the older one was.",
    reasons.COPY_DIFFERS: "The clusters run the same release; its CRDs keep the same fields.",
    reasons.COPY_REFUSED: "The API server takes the newer spec: mostly when the cluster has the origin's release.",
    # An agent's attempts in a region.
    reasons.NO_ATTEMPT: "The agent names an attempt that this region, its compliance and the policy all allow.",
    reasons.ATTEMPT_ILL: "The provider answers again for the cooldown; until then the others are asked first.",
    reasons.ALL_ATTEMPTS_ILL: "One of the providers answers again; until then they are asked in the order of the spec.",
    reasons.ATTEMPT_NOT_HERE: "The attempt's regions name this one.",
    reasons.ATTEMPT_NOT_COMPLIANT: "The attempt declares what the agent's compliance asks for.",
    reasons.ATTEMPTS_AS_WISHED: NOTHING,
    reasons.HOST_NOT_GRANTED: "The policy's tenants grant the host to the agent's namespace.",
    # An agent's tools in a region.
    reasons.TOOLS_ANSWER: NOTHING,
    reasons.TOOL_ILL: "The tool's webhook answers two calls in a row; look at its own logs and at the way to it.",
    reasons.TOOL_REFUSES: "The webhook takes what the spec sends it: mend its address there, or what it asks for.",
    reasons.VENDORS_TOLD: NOTHING,
    reasons.BY_CONTRACT_ONLY: "Agree with the vendor what it keeps, declare that in the attempt and ask for it in "
    "spec.compliance; or use an attempt whose vendor has a switch.",
    reasons.LEFT_ON: "Take noStore: false out of the options of these parts, once the vendor's plan allows it.",
    reasons.TOOL_UNHEARD: "Callers have the agent use the tool twice in this region; nobody tries one without need.",
    # The time that an agent's stages take in a region.
    reasons.IN_TIME: NOTHING,
    reasons.BROWN_OUT: "At most a fiftieth of two minutes' turns is over the budget; or spec.latency allows more.",
    reasons.LATENCY_UNHEARD: "Callers have twenty turns in two minutes here; fewer say too little of a p95.",
    # A region's ICE servers.
    reasons.RELAYS_WELL: NOTHING,
    reasons.RELAY_ILL: "The relay answers its probe again; until then the others come first.",
    reasons.ALL_RELAYS_ILL: "One of the relays answers its probe again; until then the last good list is given out.",
    reasons.NO_RELAY: "The Region names a relay that lies in the zone's residency.",
    # Carriers.
    reasons.CARRIER_ILL: "More than half of the voters see the carrier answer again, for the dwell.",
    reasons.CARRIER_RECOVERED: NOTHING,
    reasons.EVERY_CARRIER_ILL: "At least one carrier answers; until then their order stays as it is.",
    # Withdrawals.
    reasons.PODS_NOT_READY: "The region's bridge pods are ready again.",
    reasons.NO_WORKING_ATTEMPT: "One of the agents' attempts works again from this region.",
    # The loss of one thing.
    reasons.READY_FOR_LOSS: NOTHING,
    reasons.LOAD_UNKNOWN: "The region's operator is heard, and tells the calls of its pods.",
    reasons.OTHER_ATTEMPT: NOTHING,
    reasons.NO_OTHER_ATTEMPT: "Their spec.attempts name another provider that is well and allowed there.",
    reasons.OTHER_RELAY: NOTHING,
    reasons.NO_OTHER_RELAY: "The Region's spec.turn names another relay that answers.",
    reasons.OTHER_CARRIER: NOTHING,
    reasons.NO_OTHER_CARRIER: "The policy's spec.carriers name a second one.",
    # How many pods an agent has.
    reasons.FOLLOWS_CALLS: NOTHING,
    reasons.AT_MAXIMUM: "spec.replicas.max or the tenant's maxReplicas is raised, or fewer calls come.",
    reasons.SCALED_BY_ANOTHER: "The autoscaler is deleted, and `kubectl scale` sets the replicas once by hand.",
    reasons.NOT_LOOKED: "The operator has looked at the zone once, a second after it became the active one.",
    reasons.PODS_UNHEARD: "Every pod has polled its operator; one that cannot start is mended or removed.",
    reasons.ROLLING_OUT: "The rollout of the Deployment ends.",
    reasons.BUSY_POD_WOULD_GO: "The pods that Kubernetes would remove first have no call.",
})  # fmt: skip


def of(code: str) -> str:
    """The sentence for a code; an honest one for a code of another version."""
    return REMEDIES.get(code, UNKNOWN_CODE)
