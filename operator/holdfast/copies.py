"""Pulls FailoverPolicies and VoiceAgents from the peers every three seconds, by the plan of `holdfast.core.copies`.

It writes only in the own cluster, and deletes a copy only for a tombstone. Peers that cannot be listed are left out: an
absence that nobody saw proves nothing. Tombstones of the own cluster lie in one ConfigMap, which peers may read; beside
them lies what was known to be ours, so that a deletion while no operator ran is noticed by the next one.

A copy is created, or replaced as it was read, and not applied: an apply would write over what somebody changed since,
and an API server cannot apply a map that is empty now and was not. What it answers says which generation that was.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from holdfast import errors, kube
from holdfast.core import copies, reasons
from holdfast.core.values import Reason
from holdfast.telemetry import Metrics

log = logging.getLogger(__name__)

PULL_EVERY_S = 3.0
LIST_DEADLINE_S = 1.5
TOMBSTONES = "holdfast-tombstones"
ORIGIN = "holdfast.dev/origin"
ORIGIN_UID = "holdfast.dev/origin-uid"
ORIGIN_GENERATION = "holdfast.dev/origin-generation"
ORIGIN_DIGEST = "holdfast.dev/origin-digest"
WRITTEN_GENERATION = "holdfast.dev/written-generation"
MARKS = (ORIGIN, ORIGIN_UID, ORIGIN_GENERATION, ORIGIN_DIGEST, WRITTEN_GENERATION)
KINDS: Mapping[str, kube.Resource] = {"FailoverPolicy": kube.POLICIES, "VoiceAgent": kube.AGENTS}
NO_NAMESPACE = "NoNamespace"

Heard = Mapping[str, tuple[copies.Peer, Mapping[copies.Key, kube.Object]]]
"""What each peer in reach listed: digested, and as it is."""


class Copies:
    """The copies of one cluster."""

    def __init__(
        self,
        *,
        region: str,
        own: kube.Kube,
        peers: Mapping[str, kube.Kube],
        namespace: str,
        wall_s: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._region = region
        self._own = own
        self._peers = dict(peers)
        self._namespace = namespace
        self._wall_s = wall_s
        self._metrics = metrics
        self._notes: dict[copies.Key, Reason] = {}
        self._tried: dict[copies.Key, copies.Origin] = {}
        self._cellar: _Cellar | None = None

    async def run(self) -> None:
        """Until cancelled; a round that failed is the next round's business."""
        while True:
            try:
                await self.pull()
            except errors.FleetError as e:
                log.warning("copies not pulled", extra={"why": str(e)})
                self._metrics.failures.labels("copies").inc()
            await asyncio.sleep(PULL_EVERY_S)

    def notes(self) -> Mapping[copies.Key, Reason]:
        """What is to be said of own objects: conflicts, orphans, missing namespaces."""
        return dict(self._notes)

    def stones(self) -> tuple[copies.Tombstone, ...]:
        """The tombstones of this cluster: of its own objects and of copies that were deleted here."""
        return self._cellar.stones() if self._cellar else ()

    async def pull(self) -> None:
        """One round."""
        bodies = await _list(self._own)
        objects = tuple(_object(key, body) for key, body in bodies.items())
        if self._cellar is None:
            self._cellar = await _Cellar.open(self._own, self._namespace, self._wall_s)
        cellar = self._cellar
        await cellar.bury(copies.deleted(before=cellar.known(), after=objects))
        heard = await self._listen()
        self._tried = {key: origin for key, origin in self._tried.items() if key in bodies}
        actions = copies.plan(
            region=self._region,
            objects=objects,
            peers=[peer for peer, _ in heard.values()],
            tombstones=cellar.stones(),
            tried=self._tried,
        )
        # Buried first: should we stop between the two, the copy is deleted by the next round, and never pulled again.
        await cellar.bury(copies.buried(actions, objects))
        self._notes, trouble = await self._carry_out(actions, bodies, heard)
        await cellar.know(held for held in objects if held.origin is None)
        if trouble is not None:
            raise trouble

    async def _carry_out(
        self, actions: Iterable[copies.Action], bodies: Mapping[copies.Key, kube.Object], heard: Heard
    ) -> tuple[dict[copies.Key, Reason], errors.ClusterUnreachable | None]:
        """What is to be said of objects, and what kept us from some of them, which the next round takes up."""
        notes: dict[copies.Key, Reason] = {}
        trouble = None
        for act in actions:
            try:
                reason = await self._do(act, bodies.get(act.key), heard)
            except errors.ClusterUnreachable as e:
                # One may be the object's own trouble, as with a webhook that fails; a second one is the cluster's.
                if trouble is not None:
                    break
                trouble = e
                continue
            if reason is not None:
                notes[act.key] = reason
        for key, reason in notes.items():
            if reason.code in {NO_NAMESPACE, reasons.COPY_REFUSED} and reason != self._notes.get(key):
                log.warning("no copy", extra={"object": str(key), "reason": reason.code, "why": reason.message})
        return notes, trouble

    async def _listen(self) -> Heard:
        async def one(name: str, client: kube.Kube) -> tuple[copies.Peer, Mapping[copies.Key, kube.Object]] | None:
            try:
                bodies = await _list(client)
                cellar = await _Cellar.open(client, self._namespace, self._wall_s)
            except errors.ClusterError as e:
                log.debug("peer not listed", extra={"peer": name, "why": str(e)})
                return None
            bodies = {key: body for key, body in bodies.items() if _concerns(self._region, key, bodies)}
            found = tuple(_object(key, body) for key, body in bodies.items())
            return copies.Peer(name, found, cellar.stones()), bodies

        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(one(name, client)) for name, client in self._peers.items()}
        return {name: heard for name, task in tasks.items() if (heard := task.result()) is not None}

    async def _do(self, act: copies.Action, held: kube.Object | None, heard: Heard) -> Reason | None:
        resource, namespace = KINDS[act.key.kind], act.key.namespace or None
        try:
            match act:
                case copies.Apply():
                    await self._write(act, held, heard[act.peer][1][act.key]["spec"])
                    log.info("copied", extra={"object": str(act.key), "from": act.peer})
                case copies.Delete():
                    await self._own.delete(resource, act.key.name, namespace=namespace, uid=act.uid)
                    log.info("copy deleted", extra={"object": str(act.key)})
                case copies.Adopt():
                    marks: kube.Object = {"metadata": {"annotations": dict.fromkeys(MARKS)}}
                    await self._own.patch(resource, act.key.name, marks, namespace=namespace)
                    log.info("adopted", extra={"object": str(act.key)})
                case copies.Note():
                    return act.reason
        except errors.NotFound:
            if held is None:
                return Reason(NO_NAMESPACE, f"namespace {act.key.namespace} does not exist in {self._region}")
        except errors.Conflict as e:
            # Somebody wrote since it was listed: the next round sees what.
            log.info("copy overtaken", extra={"object": str(act.key), "why": str(e)})
        except (errors.Rejected, errors.Forbidden) as e:
            return Reason(reasons.COPY_REFUSED, str(e))
        return None

    async def _write(self, act: copies.Apply, held: kube.Object | None, spec: Mapping[str, Any]) -> None:
        """The spec under our marks; the last mark once it is known. Nothing else of the original is ours to repeat.

        Peers were listed since our own cluster was, so that it is read again: a status may have been written meanwhile,
        which is nothing to us, or somebody's edit, which is a Conflict.
        """
        resource, namespace = KINDS[act.key.kind], act.key.namespace or None
        known: kube.Object = {"name": act.key.name}
        if held is not None:
            known = (await self._own.get(resource, act.key.name, namespace=namespace))["metadata"]
            if any(known[name] != held["metadata"][name] for name in ("uid", "generation")):
                raise errors.Conflict(self._own.name, f"{act.key} was changed since it was listed")
        body: kube.Object = {
            "apiVersion": resource.api_version,
            "kind": act.key.kind,
            "metadata": known | {"annotations": (known.get("annotations") or {}) | _marks(act.origin)},
            "spec": spec,
        }
        write = self._own.create if held is None else self._own.replace
        written = await write(resource, body, namespace=namespace)
        mark = {WRITTEN_GENERATION: str(written["metadata"]["generation"])}
        await self._own.patch(resource, act.key.name, {"metadata": {"annotations": mark}}, namespace=namespace)
        self._tried[act.key] = act.origin


async def _list(client: kube.Kube) -> dict[copies.Key, kube.Object]:
    """All policies and agents of a cluster, or an error: never some of them."""
    found: dict[copies.Key, kube.Object] = {}
    for kind, resource in KINDS.items():
        for body in await client.list(resource, deadline_s=LIST_DEADLINE_S):
            metadata = body["metadata"]
            if metadata.get("deletionTimestamp"):
                continue
            found[copies.Key(kind, str(metadata.get("namespace") or ""), str(metadata["name"]))] = body
    return found


def _concerns(region: str, key: copies.Key, bodies: Mapping[copies.Key, kube.Object]) -> bool:
    """A policy concerns its regions and witnesses; an agent the regions of its policy, and nobody else's cluster."""
    spec = bodies[key].get("spec") or {}
    if key.kind == "FailoverPolicy":
        return region in _members(spec) or region in (spec.get("witnesses") or ())
    policy = bodies.get(copies.Key("FailoverPolicy", "", str(spec.get("failoverPolicy", ""))))
    return policy is not None and region in _members(policy.get("spec") or {})


def _members(spec: Mapping[str, Any]) -> set[str]:
    return {str(entry.get("name")) for entry in spec.get("regions") or ()}


def _object(key: copies.Key, body: kube.Object) -> copies.Object:
    metadata = body["metadata"]
    marks = metadata.get("annotations") or {}
    origin = None
    generation = _generation(marks, ORIGIN_GENERATION)
    if marks.get(ORIGIN) and generation is not None:
        origin = copies.Origin(
            region=str(marks[ORIGIN]),
            uid=str(marks.get(ORIGIN_UID, "")),
            generation=generation,
            digest=str(marks.get(ORIGIN_DIGEST, "")),
        )
    return copies.Object(
        key=key,
        uid=str(metadata.get("uid", "")),
        generation=int(metadata.get("generation") or 0),
        digest=copies.digest(body.get("spec") or {}),
        origin=origin,
        written=_generation(marks, WRITTEN_GENERATION),
    )


def _generation(marks: Mapping[str, Any], mark: str) -> int | None:
    """None: the mark is not there, or says no number."""
    told = str(marks.get(mark, ""))
    return int(told) if told.isdecimal() else None


def _marks(origin: copies.Origin) -> dict[str, str]:
    """Which generation of the copy they belong to is not known before it is written."""
    return {
        ORIGIN: origin.region,
        ORIGIN_UID: origin.uid,
        ORIGIN_GENERATION: str(origin.generation),
        ORIGIN_DIGEST: origin.digest,
        WRITTEN_GENERATION: "",
    }


class _Cellar:
    """The ConfigMap with tombstones and the list of what is ours. Written only when it changes."""

    def __init__(self, client: kube.Kube, namespace: str, wall_s: Callable[[], float], data: Mapping[str, Any]) -> None:
        self._kube = client
        self._namespace = namespace
        self._wall_s = wall_s
        self._stones: dict[str, tuple[copies.Key, float]] = {
            str(entry["uid"]): (_key(entry), float(entry["deletedAt"])) for entry in _entries(data, "tombstones")
        }
        self._known: dict[str, copies.Key] = {str(entry["uid"]): _key(entry) for entry in _entries(data, "known")}

    @classmethod
    async def open(cls, client: kube.Kube, namespace: str, wall_s: Callable[[], float]) -> _Cellar:
        """As it is now in that cluster; empty when it was never written."""
        try:
            found = await client.get(
                kube.CONFIG_MAPS, TOMBSTONES, namespace=namespace, deadline_s=LIST_DEADLINE_S
            )
        except errors.NotFound:
            found = {}
        return cls(client, namespace, wall_s, found.get("data") or {})

    def stones(self) -> tuple[copies.Tombstone, ...]:
        """Those which still count."""
        now = self._wall_s()
        return copies.kept(
            copies.Tombstone(key, uid, age_s=max(0.0, now - at)) for uid, (key, at) in self._stones.items()
        )

    def known(self) -> tuple[copies.Object, ...]:
        """What was ours when last written down."""
        return tuple(copies.Object(key, uid, generation=0, digest="") for uid, key in self._known.items())

    async def bury(self, stones: Iterable[copies.Tombstone]) -> None:
        """Add tombstones and drop the ones that have had their time."""
        new = {stone.uid: stone for stone in stones if stone.uid not in self._stones}
        if not new:
            return
        now = self._wall_s()
        keep = {stone.uid for stone in self.stones()}
        self._stones = {uid: entry for uid, entry in self._stones.items() if uid in keep}
        self._stones |= {uid: (stone.key, now) for uid, stone in new.items()}
        for stone in new.values():
            self._known.pop(stone.uid, None)
            log.info("tombstone", extra={"object": str(stone.key)})
        await self._write()

    async def know(self, objects: Iterable[copies.Object]) -> None:
        """Write down what is ours, if that changed."""
        known = {held.uid: held.key for held in objects}
        if known != self._known:
            self._known = known
            await self._write()

    async def _write(self) -> None:
        stones = [_entry(key, uid) | {"deletedAt": round(at)} for uid, (key, at) in sorted(self._stones.items())]
        known = [_entry(key, uid) for uid, key in sorted(self._known.items())]
        body: kube.Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": TOMBSTONES, "namespace": self._namespace},
            "data": {"tombstones": json.dumps(stones), "known": json.dumps(known)},
        }
        await self._kube.apply(kube.CONFIG_MAPS, body, namespace=self._namespace)


def _entry(key: copies.Key, uid: str) -> dict[str, Any]:
    return {"kind": key.kind, "namespace": key.namespace, "name": key.name, "uid": uid}


def _key(entry: Mapping[str, Any]) -> copies.Key:
    return copies.Key(str(entry["kind"]), str(entry["namespace"]), str(entry["name"]))


def _entries(data: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """What a ConfigMap of ours or of a peer holds; anything unreadable is nothing."""
    try:
        parsed = json.loads(data.get(field) or "[]")
        return [e for e in parsed if {"kind", "namespace", "name", "uid"} <= set(e)]
    except (ValueError, TypeError):
        return []
