"""Claims about the kind backend: what it asks of kind, and, where an engine is, that a cluster so made answers."""

import asyncio
import json
from pathlib import Path

import pytest

from holdfast_gameday.lab import backend, kind, names
from holdfast_gameday.lab.commands import LabError

FRA = names.REGIONS["fra"]


def test_the_api_server_is_valid_for_the_regions_address() -> None:
    patch = json.loads(json.loads(kind.cluster_config(FRA))["kubeadmConfigPatches"][0])
    assert "172.30.0.11" in patch["apiServer"]["certSANs"]


def test_the_clusters_dns_knows_the_labs_names_and_forwards_nothing() -> None:
    items = json.loads(kind.dns_objects())["items"]
    corefile = next(item for item in items if item["kind"] == "ConfigMap")["data"]["Corefile"]
    assert all(name in corefile for name in names.HOSTS)
    assert "forward" not in corefile


def test_the_entry_may_read_but_not_write() -> None:
    items = json.loads(kind.dns_objects())["items"]
    binding = next(item for item in items if item["kind"] == "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "view"


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_a_cluster_made_with_this_binary_answers(tmp_path: Path) -> None:
    facts = asyncio.run(backend.look())
    try:
        chosen = backend.choose(facts)
    except LabError as error:
        pytest.skip(str(error))
    if chosen.backend != "kind":
        pytest.skip(f"the lab uses the local backend here: {chosen.reason}")
    from pytest_kind import KindCluster

    cluster = KindCluster("holdfast-test", kubeconfig=tmp_path / "kubeconfig", image=backend.NODE_IMAGE,
                          kind_path=Path(facts.kind_binary))
    cluster.create()
    try:
        assert "control-plane" in cluster.kubectl("get", "nodes")
    finally:
        cluster.delete()
