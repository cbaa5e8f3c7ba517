"""Copies on a real API server, with the rights that the chart gives and no others. Their origin is simulated."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from api_objects import AGENT, POLICY, changed
from apiserver import ApiServer, until
from fleet_apiserver import FakeApiServer

from holdfast import kube, telemetry
from holdfast.copies import Copies

pytestmark = pytest.mark.cluster

HEADERS = "spec.attempts.0.realtime.headers"
CRD = "voiceagents.holdfast.dev"
NEW_FIELD = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rehearsed"


class Ams:
    """The real cluster, which copies from the simulated fra."""

    def __init__(self, api: ApiServer, own: kube.Kube) -> None:
        self.api = api
        self.origin = FakeApiServer("fra")
        self._at_origin = self.origin.client()
        self._own = own
        self.copies = self.operator()

    def operator(self) -> Copies:
        return Copies(
            region="ams", own=self._own, peers={"fra": self._at_origin}, namespace="holdfast-system",
            wall_s=time.time, metrics=telemetry.Metrics(),
        )  # fmt: skip

    async def apply(self, spec: kube.Object) -> None:
        """At the origin."""
        agents = await self._at_origin.list(kube.AGENTS)
        if agents:
            await self._at_origin.replace(kube.AGENTS, agents[0] | {"spec": spec}, namespace="clinic")
        else:
            await self._at_origin.create(kube.POLICIES, POLICY | {"spec": self.kept(POLICY)})
            await self._at_origin.create(kube.AGENTS, AGENT | {"spec": spec}, namespace="clinic")

    def kept(self, manifest: kube.Object) -> kube.Object:
        """The spec as an API server of this cluster's release keeps it: the simulated one knows no schema."""
        nameless = manifest | {"metadata": manifest["metadata"] | {"name": "nobody"}}
        tried = self.api.kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(nameless))
        assert tried.returncode == 0, tried.stderr
        spec: kube.Object = json.loads(tried.stdout)["spec"]
        return spec

    def agent(self) -> kube.Object:
        found = self.api.kubectl("get", "va", "front-desk", "-n", "clinic", "-o", "json")
        assert found.returncode == 0, found.stderr
        document: kube.Object = json.loads(found.stdout)
        return document

    async def reasons(self, rounds: int = 2) -> list[str]:
        for _ in range(rounds):
            await self.copies.pull()
        return [reason.code for reason in self.copies.notes().values()]


@pytest.fixture
async def ams(api, token_file) -> AsyncIterator[Ams]:
    api.kubectl("delete", "va,fop,configmaps", "--all", "-A", "--now")
    own = api.client("ams", token_file=token_file)
    yield Ams(api, own)
    await own.close()
    api.kubectl("delete", "va,fop", "--all", "-A", "--now")


async def test_a_map_that_is_emptied_at_the_origin_is_emptied_in_the_copy(ams):
    """Regression: an API server makes null of a map that is applied empty and was not, and refuses the copy for it."""
    await ams.apply(ams.kept(changed(AGENT, HEADERS, {"x-tenant": "clinic"})))
    assert await ams.reasons() == []
    assert ams.agent()["spec"]["attempts"][0]["realtime"]["headers"] == {"x-tenant": "clinic"}

    await ams.apply(ams.kept(changed(AGENT, HEADERS, {})))
    assert await ams.reasons() == []
    assert ams.agent()["spec"]["attempts"][0]["realtime"]["headers"] == {}

    await ams.apply(ams.kept(AGENT))
    assert await ams.reasons() == []
    assert "headers" not in ams.agent()["spec"]["attempts"][0]["realtime"]


async def test_a_second_look_writes_nothing(ams):
    await ams.apply(ams.kept(AGENT))
    assert await ams.reasons() == []
    before = ams.agent()["metadata"]["resourceVersion"]
    assert await ams.reasons() == []
    assert ams.agent()["metadata"]["resourceVersion"] == before


async def test_an_edit_of_a_copy_makes_its_cluster_the_origin(ams):
    await ams.apply(ams.kept(AGENT))
    assert await ams.reasons() == []
    edit = [{"op": "replace", "path": "/spec/persona/greeting", "value": "Good day."}]
    done = ams.api.kubectl("patch", "va", "front-desk", "-n", "clinic", "--type=json", "-p", json.dumps(edit))
    assert done.returncode == 0, done.stderr
    assert await ams.reasons() == ["SpecConflict"]
    held = ams.agent()
    assert held["spec"]["persona"]["greeting"] == "Good day."
    assert "annotations" not in held["metadata"]


@asynccontextmanager
async def newer_release(api: ApiServer, schema: kube.Object) -> AsyncIterator[None]:
    """This cluster's CRD knows one field more, by which its API server reads and writes as soon as this begins."""
    probe = json.dumps(changed(changed(AGENT, "metadata.name", "nobody"), "spec.rehearsed", True))

    def known() -> bool | None:
        words = ("create", "--dry-run=server", "--validate=ignore", "-o", "json", "-f", "-")
        tried = api.kubectl(*words, stdin=probe)
        return "rehearsed" in json.loads(tried.stdout)["spec"] if tried.returncode == 0 else None

    def patch(operation: kube.Object) -> None:
        done = api.kubectl("patch", "crd", CRD, "--type=json", "-p", json.dumps([operation]))
        assert done.returncode == 0, done.stderr

    patch({"op": "add", "path": NEW_FIELD, "value": schema})
    try:
        await until(lambda: known() is True)
        yield
    finally:
        patch({"op": "remove", "path": NEW_FIELD})
        await until(lambda: known() is False)


async def test_a_default_that_a_new_release_adds_makes_nobody_the_origin(ams):
    """Regression: it changed every copy, which was taken for a person's edit, and the origin was followed no more."""
    await ams.apply(ams.kept(AGENT))
    assert await ams.reasons() == []
    edited = ams.kept(changed(AGENT, "spec.persona.greeting", "Good day."))  # By the origin's older release.
    async with newer_release(ams.api, {"type": "boolean", "default": False}):
        assert await ams.reasons() == ["CopyDiffers"]
        assert ams.agent()["spec"]["rehearsed"] is False

        await ams.apply(edited)
        assert await ams.reasons() == ["CopyDiffers"]
        held = ams.agent()
        assert (held["spec"]["persona"]["greeting"], held["spec"]["rehearsed"]) == ("Good day.", False)
        assert held["metadata"]["annotations"]["holdfast.dev/origin"] == "fra"
    assert await ams.reasons() == []


async def test_a_field_that_the_older_release_drops_comes_with_the_newer_one(ams):
    """Regression: the API server refused to apply what it did not know, and every other object went uncopied too."""
    await ams.apply(ams.kept(AGENT) | {"rehearsed": True})
    assert await ams.reasons() == ["CopyDiffers"]
    assert "rehearsed" not in ams.agent()["spec"]
    async with newer_release(ams.api, {"type": "boolean"}):
        assert await ams.reasons() == ["CopyDiffers"]
        ams.copies = ams.operator()  # As the release brings it.
        assert await ams.reasons() == []
        assert ams.agent()["spec"]["rehearsed"] is True
