"""Reads what `doctor --pre` judges: clusters in which nothing of ours needs to be there yet."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from holdfast.cli import clusters
from holdfast.cli.clusters import Answered
from holdfast.cli.examine import CRDS, Asking
from holdfast.cli.fleet import items
from holdfast.cli.subjects import name_of, spec
from holdfast.core.claims import FIELDS
from holdfast.core.claims_before import Ground, Site

VERSION = "/version"
CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
DIGITS = re.compile(r"\d+")
# What `helm install` of the chart creates, and grants to the operator: one must hold what one grants.
NEEDED = (
    ("create", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("create", "rbac.authorization.k8s.io", "clusterroles"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("create", "", "namespaces"),
    ("create", "apps", "deployments"),
    ("create", "apps", "statefulsets"),
    ("create", "coordination.k8s.io", "leases"),
    ("create", "networking.k8s.io", "networkpolicies"),
    ("create", "", "secrets"),
)


def ground(asking: Asking) -> Ground:
    """The contexts that were named, else the current one."""
    options = asking.options
    config = asking.kubectl(asking.budget_s).config()
    there = clusters.contexts(config)
    wanted = options.contexts or (clusters.chosen(config, context=options.context),)
    found = [name for name in wanted if name in there]
    with ThreadPoolExecutor(max_workers=max(len(found), 1)) as pool:
        sites = tuple(pool.map(lambda name: _site(name, asking), found))
    missing = tuple(name for name in wanted if name not in there)
    return Ground(sites, options.operator_namespace, bool(options.contexts), missing)


def _site(context: str, asking: Asking) -> Site:
    namespace = f"/api/v1/namespaces/{asking.options.operator_namespace}"
    paths = (VERSION, namespace, CLASSES, *(f"{CRDS}/{name}" for name in FIELDS))
    kubectl = asking.kubectl(asking.budget_s)
    answers = dict(zip(paths, kubectl.get([(context, path) for path in paths]), strict=True))
    version, space, classes = answers[VERSION], answers[namespace], answers[CLASSES]
    if version.why:
        return Site(context, silent=version.why)
    crds = {name: answers[f"{CRDS}/{name}"] for name in FIELDS}
    metadata = space.content.get("metadata") or {}
    return Site(
        context,
        version=_version(version.content),
        denied=_denied(context, asking),
        crds=None if any(each.why for each in crds.values()) else _there(crds),
        exists=None if space.why else bool(space.content),
        labels=metadata.get("labels") or {},
        ending=bool(metadata.get("deletionTimestamp")),
        classes=None if classes.why else tuple(name_of(each) for each in items(classes)),
    )


def _there(crds: Mapping[str, Answered]) -> Mapping[str, Mapping[str, object]]:
    return {name: spec(each.content) for name, each in crds.items() if each.content}


def _version(content: Mapping[str, object]) -> tuple[int, int] | None:
    """Some providers write a minor version of 30+."""
    found = [DIGITS.match(str(content.get(part, ""))) for part in ("major", "minor")]
    return (int(found[0][0]), int(found[1][0])) if found[0] and found[1] else None


def _denied(context: str, asking: Asking) -> tuple[str, ...] | None:
    """What one may not do; None when not even that may be asked."""
    with ThreadPoolExecutor(max_workers=len(NEEDED)) as pool:
        told: Sequence[Answered] = list(pool.map(lambda each: _review(context, each, asking), NEEDED))
    if all(each.why for each in told):
        return None
    return tuple(
        f"{verb} {resource}"
        for (verb, _, resource), each in zip(NEEDED, told, strict=True)
        if not each.why and (each.content.get("status") or {}).get("allowed") is not True
    )


def _review(context: str, right: tuple[str, str, str], asking: Asking) -> Answered:
    verb, group, resource = right
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": asking.options.operator_namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    return asking.kubectl(asking.budget_s).send(context, ["create", "--raw", REVIEWS, "-f", "-"], review)
