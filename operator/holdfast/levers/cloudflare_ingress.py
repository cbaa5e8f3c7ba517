"""The ingress rules of a tunnel's remote configuration, as far as they are ours. Values in, values out.

Rules are tried from the top and the first that matches a request answers it, so a region is taken out by a rule of our
own above all others, and comes back when that rule is gone. The rules of others are never changed, only kept.

    ingress
     ├── since-8.epoch-7.fra.eu.holdfast.invalid   http_status:404   our mark: matches nothing, for no name ends so
     ├── eu.voice.example.com  path .*             http_status:503   our cordon: only there while the region is out
     ├── eu.voice.example.com                      http://bridge     the user's, as they were
     └── (any)                                     http_status:404   the catch-all, which must be last

The mark lies in the document because the document is replaced as a whole: one write then fences and routes. The top
level `invalid` is reserved (RFC 2606): no request can carry it through Cloudflare. `epoch` is the last writer's;
`since` is the version of the document in which the region was last turned on or off, so that anybody can tell from a
connector's version whether it has heard of that. The cordon's path matches all paths; it keeps the cordon from being a
second rule for the same name and path. How rules match is read off cloudflared (ingress/ingress.go, rule.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Rule = Mapping[str, Any]

CORDON = "http_status:503"
EVERY_PATH = ".*"
PREFIX = re.compile(r"since-(\d{1,18})\.epoch-(\d{1,18})\.")


@dataclass(frozen=True, slots=True)
class Mark:
    """Who wrote last, and since which version of the document the region has been on, or off."""

    epoch: int = 0
    since: int = 0


def marker(zone: str, region: str) -> str:
    """The hostname of the rule that makes a tunnel ours, as a person writes it."""
    return f"{region}.{zone}.holdfast.invalid"


def mark(rules: Sequence[Rule], zone: str, region: str) -> Mark | None:
    """Our mark in the document, the highest if a race left two; None when the tunnel is not ours."""
    found = [_mark(rule, zone, region) for rule in rules]
    return max((each for each in found if each), key=lambda each: (each.epoch, each.since), default=None)


def cordoned(rules: Sequence[Rule], zone: str, region: str, host: str) -> bool:
    """Whether our cordon is in the document, wherever it stands."""
    return any(_mark(rule, zone, region) and _is_cordon(after, host) for rule, after in pairwise(rules))


def answers(rules: Sequence[Rule], host: str) -> bool:
    """Whether a request for this host comes to a service of the region, on any path at all."""
    for rule in rules:
        if not _matches(rule, host):
            continue
        if not str(rule.get("service") or "").startswith("http_status:"):
            return True
        if rule.get("path") in (None, "", EVERY_PATH):
            return False
    return False


def turned(rules: Sequence[Rule], zone: str, region: str, host: str, *, on: bool, to: Mark) -> list[Rule]:
    """The document's rules with the region on or off under this mark, and everybody else's as they were."""
    ours = next(rule for rule in rules if _mark(rule, zone, region))
    others: list[Rule] = []
    before: Rule = {}
    for rule in rules:
        if not _mark(rule, zone, region) and not (_mark(before, zone, region) and _is_cordon(rule, host)):
            others.append(rule)
        before = rule
    marked = {**ours, "hostname": f"since-{to.since}.epoch-{to.epoch}.{marker(zone, region)}"}
    cordon: list[Rule] = [] if on else [{"hostname": host, "path": EVERY_PATH, "service": CORDON}]
    return [marked, *cordon, *others]


def _mark(rule: Rule, zone: str, region: str) -> Mark | None:
    hostname, ours = str(rule.get("hostname") or ""), marker(zone, region)
    if hostname == ours:
        return Mark()
    prefix = PREFIX.fullmatch(hostname.removesuffix(ours)) if hostname.endswith(ours) else None
    return Mark(epoch=int(prefix[2]), since=int(prefix[1])) if prefix else None


def _is_cordon(rule: Rule, host: str) -> bool:
    return (rule.get("hostname"), rule.get("path"), rule.get("service")) == (host, EVERY_PATH, CORDON)


def _matches(rule: Rule, host: str) -> bool:
    named = str(rule.get("hostname") or "*").lower()
    return named in ("*", host) or (named.startswith("*.") and host.endswith(named[2:]))
