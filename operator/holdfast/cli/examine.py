"""Reads the one picture that `doctor` judges: all clusters, their operators, CRDs, peers' tokens and clocks.

Secrets are read in one place only, the tokens for peers, to see whether they are valid: by their own words, and by the
peer's own judgement, to which the token goes by standard input. No value leaves this module.
"""

from __future__ import annotations

import base64
import binascii
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from holdfast.cli import beats
from holdfast.cli.clusters import Answered, Kubectl, Object
from holdfast.cli.fleet import AGENTS, Fleet, Reader, Shown, items
from holdfast.cli.options import Options
from holdfast.cli.status import Clock
from holdfast.cli.subjects import agent_name, spec
from holdfast.core.claim import Cluster, Picture, Token, Vote
from holdfast.core.claims import FIELDS

BUDGET_S = 10.0
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
LOOKS = 4
LOOK_EVERY_S = 0.4
BEAT_EVERY_S = 1.3  # a heartbeat a second, and what its writing takes
HOST_DEADLINE_S = 2.0
HTTPS = 443

Connect = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Asking:
    """How the clusters are asked. `kubectl` makes one with a budget; `wall`: seconds since 1970."""

    options: Options
    kubectl: Callable[[float], Kubectl]
    clock: Clock
    wall: Callable[[], float] = time.time

    @property
    def budget_s(self) -> float:
        return self.options.within(BUDGET_S)

    def path(self, group: str, kind: str, name: str) -> str:
        return f"{group}/namespaces/{self.options.operator_namespace}/{kind}/{name}"

    @property
    def deployment(self) -> str:
        return self.path("/apis/apps/v1", "deployments", "holdfast-operator")

    @property
    def settings(self) -> str:
        return self.path("/api/v1", "configmaps", "holdfast-operator")


def picture(asking: Asking, *, network: bool, connect: Connect | None = None) -> tuple[Picture, Fleet]:
    """Everything, once."""
    paths = (AGENTS, asking.deployment, asking.settings, *(f"{CRDS}/{name}" for name in FIELDS))
    fleet = Reader(asking.options, also=paths, kubectl=asking.kubectl(asking.budget_s), wall=asking.wall).read()
    contexts = {each.region: each.context for each in fleet.shown}
    with ThreadPoolExecutor(max_workers=len(fleet.shown) + 1) as pool:
        watching = pool.submit(_looks, asking, contexts)
        tokens = dict(zip(contexts, pool.map(lambda each: _tokens(each, contexts, asking), fleet.shown), strict=True))
        looks = watching.result()
    clusters = tuple(_cluster(each, tokens[each.region], looks[each.region], asking) for each in fleet.shown)
    hosts = _hosts(fleet, connect or reach) if network else None
    return Picture(clusters, fleet.regions, fleet.silent, hosts), fleet


def _cluster(shown: Shown, tokens: tuple[Token, ...] | None, looks: Sequence[Look], asking: Asking) -> Cluster:
    more, said = shown.more, shown.beat.said
    crds = {name: more[f"{CRDS}/{name}"] for name in FIELDS}
    agents, deployment = more[AGENTS], more[asking.deployment]
    parts = {
        "the agents": agents, "the operator's Deployment": deployment, "the operator's settings": more[asking.settings],
        "leases": more[beats.REGION_LEASE],
        "the CRDs": next((each for each in crds.values() if each.why), Answered()),
    }  # fmt: skip
    moved = len({look.renewed_at for look in looks if look.renewed_at is not None}) > 1
    return Cluster(
        region=shown.region,
        regions=shown.regions,
        policies=shown.policies,
        agents=None if agents.why else {agent_name(each): each for each in items(agents)},
        crds=None if parts["the CRDs"].why else {name: spec(each.content) for name, each in crds.items()},
        pods=None if deployment.why else _pods(deployment.content),
        active=bool(shown.beat.holder),
        alive=bool(shown.beat.holder) and said is not None and (moved or shown.beat.fresh),
        doubts=said is not None and said.self_doubt,
        paused=said.paused if said else "",
        votes={
            name.removeprefix(beats.VOTE_PREFIX): Vote(
                str(spec(lease).get("holderIdentity") or ""), beats.age_s(lease, read_at=shown.read_at)
            )
            for name, lease in shown.leases.items()
            if name.startswith(beats.VOTE_PREFIX)
        },
        tokens=tokens,
        peers=_peers(more[asking.settings]),
        clock=_ahead(looks) if moved else None,
        skew=said.skew if said else {},
        unread={what: each.why for what, each in parts.items() if each.why},
    )


def _pods(deployment: Object) -> tuple[int, int]:
    wanted = int(spec(deployment).get("replicas") or 0)
    return int((deployment.get("status") or {}).get("readyReplicas") or 0), wanted


def _peers(settings: Answered) -> tuple[str, ...] | None:
    try:
        told = json.loads((settings.content.get("data") or {})["settings.json"])
        return tuple(str(each["name"]) for each in told.get("peers") or ())
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


# Clocks.


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a region's Lease: between which moments of our clock, and what its writer's clock said."""

    asked_at: float
    answered_at: float
    renewed_at: float | None


def _looks(asking: Asking, contexts: Mapping[str, str]) -> Mapping[str, tuple[Look, ...]]:
    """A few for each region, over more than a heartbeat."""
    path = asking.path("/apis/coordination.k8s.io/v1", "leases", beats.REGION_LEASE)
    found: dict[str, list[Look]] = {region: [] for region in contexts}

    def look(region: str) -> None:
        asked_at = asking.wall()
        answered = asking.kubectl(asking.budget_s).get([(contexts[region], path)])[0]
        found[region].append(Look(asked_at, asking.wall(), beats.renewed_at(answered.content)))

    with ThreadPoolExecutor(max_workers=max(len(contexts), 1)) as pool:
        for turn in range(LOOKS):
            if turn:
                asking.clock.sleep(LOOK_EVERY_S)
            list(pool.map(look, contexts))
    return {region: tuple(looks) for region, looks in found.items()}


def _ahead(looks: Sequence[Look]) -> tuple[float, float] | None:
    """The least and the most by which a clock can be ahead of ours. A beat is never younger than none, nor older than
    the time between two.
    """
    least = max(look.renewed_at - look.answered_at for look in looks if look.renewed_at is not None)
    most = min(look.renewed_at + BEAT_EVERY_S - look.asked_at for look in looks if look.renewed_at is not None)
    return (least, most) if least <= most else None


# Tokens.


def _tokens(shown: Shown, contexts: Mapping[str, str], asking: Asking) -> tuple[Token, ...] | None:
    """The token for each peer that the operator's pod is given, as its Deployment mounts them."""
    deployment = shown.more[asking.deployment]
    secrets = _mounted(deployment.content)
    if deployment.why:
        return None
    paths = {peer: asking.path("/api/v1", "secrets", name) for peer, name in secrets.items()}
    kubectl = asking.kubectl(asking.budget_s)
    answers = kubectl.get([(shown.context, path) for path in paths.values()]) if paths else []
    return tuple(
        _token(peer, answered, secrets[peer], contexts.get(peer, ""), asking)
        for peer, answered in zip(paths, answers, strict=True)
    )


def _mounted(deployment: Object) -> Mapping[str, str]:
    """The Secret of each peer's token."""
    pod = (spec(deployment).get("template") or {}).get("spec") or {}
    found = {}
    for volume in pod.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            secret = source.get("secret") or {}
            for item in secret.get("items") or ():
                head, _, rest = str(item.get("path", "")).partition("/")
                if head == "peers" and rest.endswith("/token"):
                    found[rest.removesuffix("/token")] = str(secret.get("name", ""))
    return found


def _token(peer: str, answered: Answered, secret: str, context: str, asking: Asking) -> Token:
    if answered.why:
        return Token(peer, "unread", f"Secret {secret}: {answered.why}")
    held = str((answered.content.get("data") or {}).get("token") or "")
    try:
        value = base64.b64decode(held, validate=True).decode().strip()
    except (binascii.Error, ValueError):
        value = ""
    if not value:
        return Token(peer, "missing", f"Secret {secret} has no key token")
    ended_s = _ended_s(value, now_s=asking.wall())
    if ended_s is not None:
        return Token(peer, "expired", f"Secret {secret}, since {ended_s / 3600:.1f} h")
    if not context:
        return Token(peer, "unread", "the peer's cluster could not be read")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": value}}
    told = asking.kubectl(asking.budget_s).send(context, ["create", "--raw", TOKEN_REVIEWS, "-f", "-"], review)
    if told.why:
        return Token(peer, "unread", f"{peer} was not asked about it: {told.why}")
    if (told.content.get("status") or {}).get("authenticated") is True:
        return Token(peer, "ok")
    return Token(peer, "refused", f"{peer} does not know it; its holdfast-peer-token is another")


def _ended_s(token: str, *, now_s: float) -> float | None:
    """Since when a token is no longer valid by its own words; None while it is, or when it does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        ends = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))).get("exp")
    except (binascii.Error, ValueError, AttributeError):
        return None
    return now_s - ends if isinstance(ends, int | float) and ends < now_s else None


# The network.


def _hosts(fleet: Fleet, connect: Connect) -> Mapping[str, str]:
    """Every public name of the fleet, from here."""
    objects: list[Mapping[str, Any]] = [
        found for shown in fleet.shown for found in (*shown.regions.values(), *shown.policies.values())
    ]
    names = sorted({str(spec(found)["host"]) for found in objects if spec(found).get("host")})
    with ThreadPoolExecutor(max_workers=max(len(names), 1)) as pool:
        return dict(zip(names, pool.map(connect, names), strict=True))


def reach(host: str, port: int = HTTPS) -> str:
    """Why nobody answers at a name; empty when somebody does."""
    try:
        with socket.create_connection((host, port), timeout=HOST_DEADLINE_S):
            return ""
    except socket.gaierror:
        return "the name does not resolve"
    except OSError as e:
        return f"port {port} does not answer: {e.strerror or 'timed out'}"
