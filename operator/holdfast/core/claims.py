"""What must be so of a whole fleet: claims, each a pure check over one picture of all clusters, with a stable code.

The picture is read once, by whoever asks. A claim is judged by what was read: what could not be read is skipped and
says why, and is never taken for sound. What a cluster shows whose operator is dead is old: it is asked when none lives.

    failed    calls are, or will be, worse off for it
    warning   somebody should know; it may be meant
    skipped   it was not asked, or may not be read
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from holdfast.core import reasons
from holdfast.core.claim import Claim, Cluster, Outcome, Picture, Trouble, skipped, warning

Check = Callable[[Picture], Iterator[Trouble]]
SKEW_S = 1.0
VOTE_AGE_S = 15.0
ORIGIN_KINDS = frozenset(
    {"cloudflareLoadBalancer", "cloudflareTunnel", "kamailioDispatcher", "telnyxSipConnection", "twilioTrunk"}
)
OUTSIDE_ZONE = "OutsideZone"
# What the plugin reads and writes. An older CRD would drop it without a word.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "failoverpolicies.holdfast.dev": (
        "spec.guards.headroomPercent", "spec.levers", "spec.paused", "spec.regions", "spec.witnesses",
        "status.conditions", "status.cordoned", "status.epoch", "status.lastDecisions", "status.leader",
        "status.serving",
    ),
    "regions.holdfast.dev": (
        "spec.cordon.drain", "spec.cordon.reason", "spec.cordon.until", "spec.host", "spec.jurisdiction",
        "spec.origins", "spec.override.guard", "status.activeCalls", "status.conditions", "status.observations",
        "status.readyPods", "status.serving",
    ),
    "voiceagents.holdfast.dev": ("spec.failoverPolicy", "status.conditions", "status.pods"),
}  # fmt: skip


# Clusters.


def clusters_read(picture: Picture) -> Iterator[Trouble]:
    for region, why in picture.silent.items():
        yield Trouble(f"{region}: {why}")


def crd_fields(picture: Picture) -> Iterator[Trouble]:
    for each in picture.clusters:
        if each.crds is None:
            yield _unread(each, "the CRDs")
            continue
        for name, fields in FIELDS.items():
            missing = [path for path in fields if not has_field(each.crds.get(name, {}), path)]
            if missing:
                yield Trouble(f"{each.region}: {name} lacks {', '.join(missing)}")


def has_field(crd: Mapping[str, Any], path: str) -> bool:
    """Whether the schema that is served has a property."""
    versions = crd.get("versions") or [{}]
    at = (versions[0].get("schema") or {}).get("openAPIV3Schema") or {}
    for step in path.split("."):
        at = (at.get("properties") or {}).get(step)
        if at is None:
            return False
    return True


def crds_agree(picture: Picture) -> Iterator[Trouble]:
    read = [each for each in picture.clusters if each.crds is not None]
    for name in FIELDS:
        versions = {each.region: (each.crds or {}).get(name, {}).get("versions") for each in read}
        yield from _differing(f"CRD {name}", versions)


def clocks_agree(picture: Picture) -> Iterator[Trouble]:
    """Certain only where even the nearest that two clocks can be is too far, or where an operator measured it."""
    for each in picture.clusters:
        for peer, ahead_s in sorted(each.skew.items()):
            if abs(ahead_s) > SKEW_S:
                yield Trouble(f"{peer} is {_ahead(ahead_s)} {each.region}, as {each.region} measures it")
    for one, other in combinations([each for each in picture.clusters if each.clock], 2):
        assert one.clock is not None
        assert other.clock is not None
        least, most = one.clock[0] - other.clock[1], one.clock[1] - other.clock[0]
        if least > SKEW_S or most < -SKEW_S:
            middle, half = (least + most) / 2, (most - least) / 2
            yield Trouble(f"{one.region} is {_ahead(middle)} {other.region} (±{half:.1f} s, by their heartbeats)")


def _ahead(seconds: float) -> str:
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"


# Operators and peers.


def operators_run(picture: Picture) -> Iterator[Trouble]:
    for each in picture.clusters:
        if each.pods is None:
            yield _unread(each, "the operator's Deployment")
        elif each.pods[0] == 0:
            yield Trouble(f"{each.region}: 0 of {each.pods[1]} operator pods are ready")
        elif each.pods[0] < each.pods[1]:
            yield warning(f"{each.region}: {each.pods[0]} of {each.pods[1]} operator pods are ready")


def heartbeats_move(picture: Picture) -> Iterator[Trouble]:
    for each in picture.clusters:
        if "leases" in each.unread:
            yield skipped(f"{each.region}: the Leases could not be read: {each.unread['leases']}")
        elif not each.active:
            yield Trouble(f"{each.region}: no operator pod holds the Lease holdfast-region, so none is active")
        elif not each.alive:
            yield Trouble(f"{each.region}: the Lease holdfast-region is not renewed")


def observers_trust_themselves(picture: Picture) -> Iterator[Trouble]:
    for each in picture.clusters:
        if each.alive and each.doubts:
            yield warning(f"{each.region} reaches nothing else either, so its word does not count")


def peers_known(picture: Picture) -> Iterator[Trouble]:
    """An operator can hear, and vote with, only those it is configured with."""
    for each in picture.clusters:
        if each.peers is None:
            yield _unread(each, "the operator's settings")
            continue
        voting = [_voters(policy) for policy in each.policies.values() if each.region in _voters(policy)]
        missing = sorted({name for voters in voting for name in voters} - {each.region, *each.peers})
        if missing:
            yield Trouble(f"{each.region} has no peer {', '.join(missing)} in fleet.peers")


def _tokens(state: str) -> Check:
    def check(picture: Picture) -> Iterator[Trouble]:
        for each in picture.clusters:
            if each.tokens is None:
                yield _unread(each, "the peers' tokens")
            for token in each.tokens or ():
                if token.state == "unread":
                    yield skipped(f"{each.region}: the token for {token.peer}: {token.detail}")
                elif token.state == state:
                    yield Trouble(f"{each.region}: the token for {token.peer} is {state}: {token.detail}")

    return check


def votes_renewed(picture: Picture) -> Iterator[Trouble]:
    """A vote that its leader cannot renew stays with whoever had it: a refused token shows there, too."""
    alive = {each.region for each in picture.clusters if each.alive}
    for each in picture.clusters:
        for zone, policy in sorted(each.policies.items()):
            if each.region not in _voters(policy) or each.region not in alive or "leases" in each.unread:
                continue
            vote = each.votes.get(zone)
            if vote is None:
                yield Trouble(f"{each.region} has no Lease holdfast-fleet-{zone}: name {zone} in fleet.zones there")
            elif not vote.holder or vote.age_s is None or vote.age_s > VOTE_AGE_S:
                yield Trouble(f"{each.region}: nobody renews the vote of {zone}; its leader may not reach this cluster")


# Copies.


def regions_present(picture: Picture) -> Iterator[Trouble]:
    for each in picture.clusters:
        missing = [name for name in picture.regions if name not in each.regions]
        if missing:
            yield Trouble(f"{each.region} has no Region {', '.join(missing)}")


def regions_agree(picture: Picture) -> Iterator[Trouble]:
    """But for what people order: that may be written anywhere."""
    for name in picture.regions:
        specs = {
            each.region: {key: value for key, value in (each.regions[name].get("spec") or {}).items()
                          if key not in ("cordon", "override")}
            for each in picture.clusters if name in each.regions
        }  # fmt: skip
        yield from _differing(f"Region {name}", specs)


def policies_agree(picture: Picture) -> Iterator[Trouble]:
    for name in _policies(picture.clusters):
        specs = {each.region: each.policies[name].get("spec") for each in picture.clusters if name in each.policies}
        yield from _differing(f"FailoverPolicy {name}", specs)
        voters = _voters(next(each.policies[name] for each in picture.clusters if name in each.policies))
        for each in picture.clusters:
            if each.region in voters and name not in each.policies:
                yield Trouble(f"{each.region} has no FailoverPolicy {name}, in which it has a vote")


# Zones, levers and agents, as the operators' own conditions tell them.


def _policies_say(kind: str, bad: str, *, but: tuple[str, ...] = (), warn: tuple[str, ...] = ()) -> Check:
    def check(picture: Picture) -> Iterator[Trouble]:
        for each in picture.telling:
            for name, policy in sorted(each.policies.items()):
                said = condition(policy, kind)
                reason = said.get("reason", "")
                if said.get("status") == bad and reason not in but:
                    outcome = Outcome.WARNING if reason in warn else Outcome.FAILED
                    yield Trouble(f"zone {name}: {reason}: {said.get('message', '')}", outcome)

    return check


def witnesses_named(picture: Picture) -> Iterator[Trouble]:
    for name, policy in _first_policies(picture):
        voters = _voters(policy)
        if len(voters) == 2:
            yield Trouble(f"zone {name}: {' and '.join(voters)} have no majority without each other: name a witness")


def origins_named(picture: Picture) -> Iterator[Trouble]:
    for zone, policy in _first_policies(picture):
        for lever in (policy.get("spec") or {}).get("levers") or ():
            if not ORIGIN_KINDS & lever.keys():
                continue
            for region in _members(policy):
                found = next((each.regions[region] for each in picture.telling if region in each.regions), None)
                named = ((found or {}).get("spec") or {}).get("origins") or {}
                if found is not None and lever.get("name") not in named:
                    yield Trouble(f"zone {zone}: Region {region} has no spec.origins.{lever.get('name')}")


def routes_agree(picture: Picture) -> Iterator[Trouble]:
    for each in picture.telling:
        for name, region in sorted(each.regions.items()):
            said = condition(region, "RouteInSync")
            if said.get("status") == "False":
                yield Trouble(f"{name}: {said.get('reason', '')}: {said.get('message', '')}")


def _agents_say(kind: str, *, failed: Outcome, unknown: Outcome | None = None, but: tuple[str, ...] = ()) -> Check:
    def check(picture: Picture) -> Iterator[Trouble]:
        for each in picture.telling:
            if each.agents is None:
                yield _unread(each, "the agents")
                continue
            for name, agent in sorted(each.agents.items()):
                said = condition(agent, kind)
                outcome = {"False": failed, "Unknown": unknown}.get(str(said.get("status")))
                if outcome is not None and said.get("reason") not in but:
                    where = "" if kind == "FallbackReady" else f" in {each.region}"
                    yield Trouble(f"{name}{where}: {said.get('reason', '')}: {said.get('message', '')}", outcome)

    return check


def nobody_paused(picture: Picture) -> Iterator[Trouble]:
    for name, policy in _first_policies(picture):
        if (policy.get("spec") or {}).get("paused") is True:
            yield warning(f"zone {name}: spec.paused is true")
    for each in picture.clusters:
        if each.alive and each.paused:
            yield warning(f"the fleet: {each.paused} (said in {each.region})")


def hosts_answer(picture: Picture) -> Iterator[Trouble]:
    if picture.hosts is None:
        yield skipped("not asked; --network asks every public name from here")
    for host, why in sorted((picture.hosts or {}).items()):
        if why:
            yield Trouble(f"{host}: {why}")


# What the checks have in common.


def condition(found: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def _members(policy: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each["name"]) for each in (policy.get("spec") or {}).get("regions") or ())


def _voters(policy: Mapping[str, Any]) -> tuple[str, ...]:
    return (*_members(policy), *((policy.get("spec") or {}).get("witnesses") or ()))


def _policies(clusters: Iterable[Cluster]) -> list[str]:
    return sorted({name for each in clusters for name in each.policies})


def _first_policies(picture: Picture) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in _policies(picture.telling):
        yield name, next(each.policies[name] for each in picture.telling if name in each.policies)


def _differing(what: str, by_region: Mapping[str, object]) -> Iterator[Trouble]:
    """Compared with what most say; of a tie, the first."""
    said = list(by_region.values())
    common = max(said, key=said.count, default=None)
    others = sorted(region for region, value in by_region.items() if value != common)
    if others:
        same = sorted(region for region in by_region if region not in others)
        yield Trouble(f"{what} in {', '.join(others)} differs from that in {', '.join(same)}")


def _unread(cluster: Cluster, what: str) -> Trouble:
    return skipped(f"{cluster.region}: {what} could not be read: {cluster.unread.get(what, 'no right to')}")


# One provider, relay or carrier may be all that somebody wants. A fleet is sound with it, and could bear less.
CHOSEN = (reasons.NO_OTHER_ATTEMPT, reasons.NO_OTHER_RELAY, reasons.NO_OTHER_CARRIER)

CLAIMS: tuple[Claim, ...] = (
    Claim("ClusterUnread", "clusters", "every region's cluster can be read", clusters_read),
    Claim("CrdOutdated", "clusters", "the CRDs have every field that this plugin uses", crd_fields),
    Claim("CrdDiffers", "clusters", "the CRDs are the same in all clusters", crds_agree),
    Claim("ClockSkew", "clusters", f"the clusters' clocks agree within {SKEW_S:.0f} s", clocks_agree),
    Claim("OperatorDown", "operators", "the operator runs in every region", operators_run),
    Claim("HeartbeatStale", "operators", "each region's active operator renews its heartbeat", heartbeats_move),
    Claim("ObserverDoubts", "operators", "every operator trusts its own connection", observers_trust_themselves),
    Claim("PeerMissing", "peers", "every operator knows all voters of its zones", peers_known),
    Claim("PeerTokenMissing", "peers", "the token for every peer is there", _tokens("missing")),
    Claim("PeerTokenExpired", "peers", "no token for a peer has expired", _tokens("expired")),
    Claim("PeerTokenRefused", "peers", "every peer accepts its token", _tokens("refused")),
    Claim("VoteStale", "peers", "every vote of a zone is renewed by its leader", votes_renewed),
    Claim("RegionMissing", "copies", "every cluster has a copy of every Region", regions_present),
    Claim("RegionDiffers", "copies", "the copies of each Region are the same", regions_agree),
    Claim("PolicyDiffers", "copies", "the copies of each policy are there and the same", policies_agree),
    Claim("CopyConflict", "copies", "no copy has two origins", _policies_say("CopyInSync", "False")),
    Claim("PolicyRefused", "zones", "every policy is followed", _policies_say("Accepted", "False")),
    Claim("SecretMissing", "zones", "each Secret that a policy names is there", _policies_say("SecretsFound", "False")),
    Claim("NoWitness", "zones", "no zone has two voters only", witnesses_named),
    Claim(
        "NoMajority", "zones", "every zone is led by a majority",
        _policies_say("QuorumHeld", "False", but=(reasons.NO_WITNESS,)),
    ),
    Claim(
        "NotReadyForLoss", "zones", "every zone can bear the loss of any one thing",
        _policies_say("ReadyForLoss", "False", but=(reasons.ONE_REGION,), warn=CHOSEN),
    ),
    Claim("Paused", "zones", "nobody has paused anything", nobody_paused),
    Claim("LeverUnreachable", "levers", "every lever answers", _policies_say("LeverReachable", "False")),
    Claim("NoOrigin", "levers", "every region has an origin at every lever that needs one", origins_named),
    Claim("RouteDiffers", "levers", "every lever is as it is wanted", routes_agree),
    Claim(
        "FallbackWrong", "agents", "the carriers' own fallback points at another region",
        _agents_say("FallbackReady", failed=Outcome.FAILED, unknown=Outcome.WARNING, but=(reasons.ONE_REGION,)),
    ),
    Claim("AgentRefused", "agents", "every agent is followed", _agents_say("Accepted", failed=Outcome.FAILED)),
    Claim(
        "AgentNotReady", "agents", "every agent answers in all regions of its zone",
        _agents_say("Ready", failed=Outcome.WARNING, but=(OUTSIDE_ZONE,)),
    ),
    Claim("HostSilent", "network", "every public name resolves and answers", hosts_answer),
)  # fmt: skip
