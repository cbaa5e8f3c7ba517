"""Claims about what runs in a region, and about the table of names."""

import json
import os
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

from holdfast_gameday.lab import dns, names, plan

FRA = names.REGIONS["fra"]
TOKENS = {name: f"token-of-{name}" for name in (*plan.USERS, "kubelet")}


def test_every_address_lies_in_the_public_network() -> None:
    network = ip_network(f"{names.GATEWAY}/{names.PREFIX}", strict=False)
    assert all(ip_address(address) in network for address in names.HOSTS.values())


def test_region_names_resolve_to_the_region_and_policy_hosts_to_the_edge() -> None:
    assert {name: names.HOSTS[f"{name}.voice.example.com"] for name in ("fra", "ams", "iad", "eu", "us")} == {
        "fra": "172.30.0.11", "ams": "172.30.0.12", "iad": "172.30.0.13", "eu": "172.30.0.103", "us": "172.30.0.103"}


def test_pod_ranges_of_regions_do_not_overlap() -> None:
    ranges = [ip_network(each.pod_range) for each in names.REGIONS.values()]
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)


def test_no_path_inside_a_region_depends_on_where_the_project_lies() -> None:
    texts = plan.files(FRA, TOKENS)
    assert not any(str(Path.cwd()) in text for text in texts.values())


def test_socket_paths_fit_into_a_socket_address() -> None:
    longest = f"{plan.HOME}/kubelet/device-plugins/kubelet.sock"
    assert max(len(longest), len(plan.CONTAINERD_SOCKET)) < 108


def test_no_token_is_on_a_command_line() -> None:
    processes = plan.processes(FRA, binaries=Path("/bin"), python="python3")
    assert not any("token-of-" in word for process in processes for word in process.argv)


def test_the_kubelet_is_the_only_user_of_the_node_group() -> None:
    lines = plan.token_file(FRA, TOKENS).splitlines()
    nodes = [line for line in lines if "system:nodes" in line]
    assert nodes == ['token-of-kubelet,system:node:fra,system:node:fra,"system:nodes"']


def test_kubelet_and_network_settings_are_valid_json() -> None:
    assert json.loads(plan.kubelet_config(FRA))["clusterDNS"] == ["172.30.0.11"]
    assert json.loads(plan.cni_config(FRA))["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.101.0.0/16"}]]


def test_the_zone_names_every_host() -> None:
    zone = dns.zone(names.HOSTS)
    assert all(f"{name}. IN A {address}\n" in zone for name, address in names.HOSTS.items())


def test_labs_of_different_words_share_no_network_control_group_or_folder() -> None:
    def told(word: str) -> set[str]:
        asked = (
            "from holdfast_gameday.lab import cgroups, names, paths;"
            "print(names.WAN, names.REGIONS['fra'].netns, cgroups.ROOT, paths.state())"
        )
        environment = {**os.environ, "HOLDFAST_LAB": word}
        return set(subprocess.check_output([sys.executable, "-c", asked], env=environment, text=True).split())

    assert told("").isdisjoint(told("b"))
    assert len(told("b")) == 4
