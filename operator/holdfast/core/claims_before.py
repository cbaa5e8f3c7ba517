"""What must be so before Holdfast is installed in a cluster: claims over what its API server says of itself.

Nothing here asks for Holdfast; a cluster that has it already is judged by whether the installation could be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.core.claim import Claim, Trouble, skipped, warning
from holdfast.core.claims import FIELDS, has_field

VERSION_MIN = (1, 30)
ENFORCE = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True, slots=True)
class Site:
    """One cluster that is to get Holdfast. None: it could not be read, or was not asked.

    `denied`: what the person who asks may not do there. `crds`: those of ours that are there. `labels` of the
    namespace, empty when there is none; `ending`: it is being deleted. `classes`: the ingress classes.
    """

    context: str
    silent: str = ""
    version: tuple[int, int] | None = None
    denied: tuple[str, ...] | None = None
    crds: Mapping[str, Mapping[str, Any]] | None = None
    exists: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    ending: bool = False
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ground:
    """All clusters that are to get Holdfast. `missing`: regions that were named and have no context."""

    sites: tuple[Site, ...]
    namespace: str
    named: bool = False
    missing: tuple[str, ...] = ()


def contexts(ground: Ground) -> Iterator[Trouble]:
    if not ground.named:
        yield skipped("only the current context was asked; name those of all regions by --contexts")
    for name in ground.missing:
        yield Trouble(f"the kubeconfig has no context {name}")


def reachable(ground: Ground) -> Iterator[Trouble]:
    for site in ground.sites:
        if site.silent:
            yield Trouble(f"{site.context}: {site.silent}")


def new_enough(ground: Ground) -> Iterator[Trouble]:
    for site in ground.sites:
        if site.version is None:
            yield _unread(site, "the version")
        elif site.version < VERSION_MIN:
            found, wanted = (".".join(map(str, version)) for version in (site.version, VERSION_MIN))
            yield Trouble(f"{site.context} runs Kubernetes {found}, {wanted} is the least")


def allowed(ground: Ground) -> Iterator[Trouble]:
    for site in ground.sites:
        if site.denied is None:
            yield _unread(site, "your rights")
        elif site.denied:
            yield Trouble(f"{site.context}: you may not {', '.join(site.denied)}")


def crds_free(ground: Ground) -> Iterator[Trouble]:
    """Absent, or those of this version: others belong to an older release, which Helm would have to upgrade."""
    for site in ground.sites:
        if site.crds is None:
            yield _unread(site, "the CRDs")
            continue
        for name, crd in sorted(site.crds.items()):
            missing = [path for path in FIELDS.get(name, ()) if not has_field(crd, path)]
            if missing:
                yield warning(f"{site.context}: {name} is there and lacks {', '.join(missing)}; the chart brings them")


def namespace_fit(ground: Ground) -> Iterator[Trouble]:
    for site in ground.sites:
        if site.exists is None:
            yield _unread(site, f"namespace {ground.namespace}")
        elif site.ending:
            yield Trouble(f"{site.context}: namespace {ground.namespace} is being deleted")
        elif site.exists and site.labels.get(ENFORCE) is None:
            yield warning(f"{site.context}: namespace {ground.namespace} has no label {ENFORCE}; restricted fits")


def ingress_there(ground: Ground) -> Iterator[Trouble]:
    for site in ground.sites:
        if site.classes is None:
            yield _unread(site, "the ingress classes")
        elif not site.classes:
            yield Trouble(f"{site.context} has no IngressClass: no call could come in")


def _unread(site: Site, what: str) -> Trouble:
    return skipped(f"{site.context}: {what} could not be read")


CLAIMS_BEFORE: tuple[Claim, ...] = (
    Claim("ContextMissing", "before", "there is a context for every region", contexts),
    Claim("ClusterSilent", "before", "every cluster answers", reachable),
    Claim("KubernetesTooOld", "before", "every cluster is new enough", new_enough),
    Claim("RightsMissing", "before", "you may install in every cluster", allowed),
    Claim("CrdForeign", "before", "the CRDs are absent, or of this version", crds_free),
    Claim("NamespaceUnfit", "before", "the namespace is absent, or fit for the operator", namespace_fit),
    Claim("IngressClassMissing", "before", "every cluster has an ingress class", ingress_there),
)
