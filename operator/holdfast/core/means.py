"""What a policy puts at a zone's disposal: levers, carriers, what tenants may use, and how providers are judged.

Frozen values, as in `values`. Secrets are named here and never held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Lever:
    """A place where routing is written. `secret` names a Secret of the operator's namespace.

    `weighted`: it takes a region's share in percent; others only know on and off. `edge`: carriers ask it by the
    zone's host. `points`: it has no origins; each number or application there names an address. `enforce`: what others
    change there is put back; else it is shown, and only calls to a region that is out are ended. `dry_run`: it is
    read and never written. `carrier` and `settings` are for whoever makes its driver.
    """

    name: str
    kind: str
    api_url: str
    account_id: str
    secret: str
    weighted: bool = False
    edge: bool = True
    points: bool = False
    enforce: bool = True
    dry_run: bool = False
    carrier: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Carrier:
    """A carrier account. `secret` names a Secret of the operator's namespace.

    `region` and `edge`: the half of the account, where a carrier has halves. `sip`: asked by OPTIONS, if any. `sort`:
    the sort of application that numbers are given to, where a carrier has several.
    """

    name: str
    kind: str
    account_sid: str
    api_url: str
    secret: str
    region: str = ""
    edge: str = ""
    sip: str = ""
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Tenant:
    """What some namespaces may use of a zone, all their agents together.

    `max_replicas`: bridge pods in each region. `max_calls`: calls in the whole zone. None: as many as there are.
    `tool_networks`: CIDRs beside the public addresses in which their tools' webhooks may lie.
    """

    namespaces: tuple[str, ...]
    carriers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    transfer_prefixes: tuple[str, ...] = ()
    max_replicas: int | None = None
    max_calls: int | None = None
    tool_networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderRule:
    """When a speech provider is taken for ill, in a policy's own words."""

    failures: int = 2
    window_s: float = 30.0
    on: tuple[str, ...] = ("5xx", "429", "timeout", "stall")
    cooldown_s: float = 60.0


@dataclass(frozen=True, slots=True)
class CanaryKey:
    """A key of the fleet's own at one provider. `secret` names a Secret of the operator's namespace."""

    name: str
    kind: str
    model: str
    base_url: str
    secret: str
    secret_key: str = "api-key"  # noqa: S105 - the name of an entry
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    interval_s: float = 60.0


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server of a region. `urls`: by transport (udp, tcp, tls). `issuer`: where credentials come from.

    `settings`: what its kind of issuer needs. `forbidden`: networks that it must not relay to, and `allowed` of them;
    None: it is not asked.
    """

    name: str
    jurisdiction: str
    urls: Mapping[str, str]
    issuer: str
    secret: str
    failure_domain: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    forbidden: tuple[str, ...] | None = None
    allowed: tuple[str, ...] = ()
