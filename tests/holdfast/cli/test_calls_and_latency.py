"""`calls` and `latency`: figures that operators tell, and what is shown where nobody tells them."""

from __future__ import annotations

import json

import cli_picture
import cli_schemas
import jsonschema
import pytest
from cli_fleet import API, LEASES

from holdfast.cli.exits import ExitStatus

AMPLE = "--request-timeout=20s"


def test_calls_are_counted_by_region_and_agent(sound, run):
    for name, cluster in sound.clusters.items():
        desk = cluster[f"{API}/voiceagents"]["items"][0]["status"]
        desk |= {"pods": "" if name == "iad" else "2/2"}
        desk |= {"activeCalls": 12, "callsByPod": {"front-desk-a": 5, "front-desk-b": 7}} if name == "ams" else {}
    sound.write()
    status, out, err = run("calls", AMPLE)
    lines = [line.split() for line in out.splitlines()]

    assert (status, err) == (ExitStatus.DONE, "")
    assert out.startswith("24 calls   as of ")
    assert lines[2:4] == [["ams", "12", "40", "2", "ams"], ["fra", "12", "40", "2", "fra"]]
    assert lines[5] == ["ams", "clinic/front-desk", "eu", "12", "2/2", "front-desk-b=7", "front-desk-a=5"]
    assert lines[6] == ["fra", "clinic/front-desk", "eu", "<unknown>", "2/2", "<unknown>"]
    assert lines[-1] == ["next:", "kubectl", "holdfast", "calls", "ams"]


def test_only_the_asked_region_is_counted(sound, run):
    out = run("calls", "fra", AMPLE)[1]

    assert out.startswith("12 calls")
    assert "ams" not in out
    assert out.splitlines()[-1] == "next: kubectl holdfast explain region/fra"
    assert run("calls", "frq", AMPLE) == (
        ExitStatus.USAGE, "",
        "error: no Region is named frq in any cluster that could be read\nnext: kubectl holdfast calls fra\n",
    )  # fmt: skip


def test_a_region_of_which_nobody_tells_makes_the_count_incomplete(fleet, run):
    cli_picture.lose_fra(fleet)
    fleet.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
    fleet.write()
    out = run("calls", AMPLE)[1]

    assert out.startswith("12 calls, and in some regions nobody knows how many")
    assert "fra     <unknown>  <unknown>  <unknown>" in out
    assert "Could not read fra: " in out
    assert out.splitlines()[-1] == "next: kubectl holdfast status"


def test_latency_is_a_table_of_regions_and_targets(sound, run):
    up = {"verdict": "up", "since": 9.0, "detail": ""}
    sound.clusters["ams"][LEASES]["items"][0] = cli_picture.beat(
        "ams", latencies={"region/fra": 31, "provider/api.openai.com": 210, "relay/turn-1/udp": 12},
        others={"provider": {"api.openai.com": {**up, "verdict": "down"}}}, skew={"fra": 2.5, "iad": -0.02},
    )  # fmt: skip
    sound.write()
    status, out, _ = run("latency", AMPLE)
    lines = [line.split() for line in out.splitlines()]

    assert status == ExitStatus.DONE
    assert lines[1] == ["TIER", "TARGET", "AMS", "FRA", "IAD"]
    assert ["ENTRY", "fra", "31", "<none>", "<unknown>"] in lines
    assert ["PROVIDER", "api.openai.com", "✖", "210", "down", "<unknown>", "<unknown>"] in lines
    assert ["TURN", "turn-1/udp", "12", "<unknown>", "<unknown>"] in lines
    assert ["fra", "ams", "✖", "+2.50s"] in lines
    assert ["iad", "ams", "✔", "-0.02s"] in lines
    assert lines[-1] == ["next:", "kubectl", "holdfast", "doctor"]


def test_an_old_heartbeat_has_measured_nothing(sound, run):
    for cluster in sound.clusters.values():
        cluster[LEASES]["items"][0]["spec"]["ago"] = 900
    sound.write()

    assert "No operator that could be read tells of any." in run("latency", AMPLE)[1]


@pytest.mark.parametrize("command", ["calls", "latency"])
def test_json_has_its_published_shape(sound, run, command):
    status, out, _ = run(command, "-o", "json", AMPLE)

    assert status == ExitStatus.DONE
    jsonschema.validate(json.loads(out), cli_schemas.schema(command))
