"""`explain` as a person on call meets it: through a real kubectl process, with a region that is silent."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path

import cli_stories
import jsonschema
import pytest
from cli_fleet import agent, condition, policy, region, trail

from holdfast.cli.app import main
from holdfast.cli.exits import ExitStatus, Failure
from holdfast.cli.explain import moment
from holdfast.core import reasons
from holdfast.core.explain import Entry, Kind, Outcome, Subject
from holdfast.core.values import Reason

SCHEMA = json.loads(Path("docs/explain.schema.json").read_text())
AMPLE = ("--request-timeout", "20s")


@pytest.fixture
def asked(fleet, capsys):
    """Ask; the status, what was printed, and what was said besides."""

    def ask(*words: str) -> tuple[int, str, str]:
        status = main(["explain", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return ask


@pytest.fixture
def calm(fleet):
    """Three regions that answer, one of which leads."""
    cli_stories.lost_region(fleet)
    fleet.clusters["fra"] = fleet.clusters["iad"] | {}
    fleet.clusters["fra"].pop("/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions")
    fleet.write()
    return fleet


def test_a_region_that_is_out_is_explained_verdict_first(calm, asked):
    status, out, err = asked("fra", *AMPLE)
    lines = out.splitlines()

    assert (status, err) == (ExitStatus.DONE, "")
    assert lines[0].startswith("✖ fra takes no new calls   RegionLost   zone eu   as of ")
    assert lines[1].strip() == cli_stories.LOST.message
    assert lines[2].split() == ["SEEN-BY", "VERDICT", "FOR", "DETAIL"]
    assert [line.split()[:3] for line in lines[3:5]] == [["ams", "✔", "up"], ["iad", "✔", "up"]]
    assert any(line.startswith("ActionHeld  ✖ True  Dwell   ams      fra was moved") for line in lines)
    assert "  2026-11-21T14:00:52Z  RegionLost  cordon fra (lost)  by ams (epoch 7)" in lines
    assert (
        "  2026-11-21T14:01:10Z  Dwell  lift the cordon of fra (lost)  by ams (epoch 7): fra was moved less than 300 s "
        "ago; wanted because 2 of 2 observers see fra up, 2 are needed"
    ) in lines
    assert "  Dwell: It stays well, and where it is, until the dwell is over, or a person names this guard" in out
    assert lines[-1] == "next: kubectl holdfast explain region/fra --at 2026-11-21T14:00:52.400Z"
    assert len(lines) <= 24


def test_that_a_follower_could_not_decide_is_only_said_on_request(calm, asked):
    assert "NoQuorum" not in asked("fra", *AMPLE)[1]
    assert "NoQuorum" in asked("fra", "-v", *AMPLE)[1]


def test_a_silent_region_is_named_and_waited_for_no_longer_than_the_budget(fleet, asked):
    """That is when it is asked. The command never waits for the slowest."""
    cli_stories.lost_region(fleet)
    began = time.monotonic()
    status, out, _ = asked("fra", "--request-timeout", "6s")

    assert time.monotonic() - began < 20.0, "its kubectl would have waited for a minute"
    assert status == ExitStatus.DONE
    assert "Could not read fra: API server silent for 6.0 s (this alone moves no calls)" in out
    assert "cordon fra (lost)  by ams (epoch 7)" in out


def test_every_context_is_asked_at_the_same_time_with_a_time_limit(calm, asked):
    asked("fra", *AMPLE)
    reads = [words for words in calm.asked() if "--raw" in words]

    assert {word for words in reads for word in words if word.startswith("--context")} == {
        "--context=ams", "--context=fra", "--context=iad",
    }  # fmt: skip
    assert all(any(word.startswith("--request-timeout=") and word.endswith("ms") for word in words) for words in reads)


def test_a_region_without_a_context_is_named_as_unread(calm, asked):
    calm.write(contexts=["ams", "iad"])

    assert "Could not read fra: the kubeconfig has no context of that name" in asked("fra", *AMPLE)[1]


def test_the_named_contexts_are_read_and_no_others(calm, asked, monkeypatch):
    monkeypatch.setenv("HOLDFAST_CONTEXTS", "iad,lhr")
    out = asked("fra", *AMPLE)[1]

    assert "Could not read lhr: the kubeconfig has no context of that name" in out
    assert not [words for words in calm.asked() if "--context=ams" in words]
    assert "Could not read ams" not in asked("fra", "--contexts=ams", *AMPLE)[1]


def test_a_context_of_another_name_is_known_by_the_region_that_its_record_names(calm, asked):
    calm.clusters["work"] = calm.clusters["ams"]
    calm.current = "work"
    calm.write(contexts=["work", "iad", "fra"])
    answer = json.loads(asked("fra", "-o", "json", *AMPLE)[1])

    assert answer["read"] == ["ams", "fra", "iad"]
    assert answer["unread"] == []


def test_a_lever_is_explained_by_its_last_write_and_who_had_seen_what(calm, asked):
    out = asked("lever", "edge", *AMPLE)[1]

    assert out.startswith("● edge: last, turn fra off at edge   RegionLost   zone eu")
    assert "ams      ✖ down   8.2s  0.0s   connect refused" in out
    assert "cordon fra" not in out


def test_a_lever_that_does_not_answer_says_so(calm, asked):
    silent = condition("LeverReachable", "False", "LeverUnreachable", "edge: Timeout: no answer within 2 s")
    calm.show("ams", regions=cli_stories.REGIONS, policies=[policy("eu", silent, levers=["edge", "dns"])])
    calm.write()

    assert asked("edge", *AMPLE)[1].startswith("✖ edge does not answer   LeverUnreachable   zone eu")
    assert asked("dns", *AMPLE)[1].startswith("✔ nothing was ever changed at dns")


def test_an_agent_is_explained_by_its_conditions_and_the_decisions_of_its_zone(calm, asked):
    elsewhere = Entry(
        Subject(Kind.AGENT, "dental/desk"), "eu", Outcome.PREFERRED, "try azure", Reason("AttemptIll", "x"), "fra"
    )  # fmt: skip
    told = trail(("2026-11-21T14:00:52.100Z", cli_stories.CORDON), ("2026-11-21T14:00:53.100Z", elsewhere))
    ill = agent("front-desk", condition("Ready", "False", "NotEnoughPods", "0 of 2 pods are ready"))
    calm.show("ams", regions=cli_stories.REGIONS, policies=[cli_stories.EU], agents=[ill], trail=told)
    calm.write()
    out = asked("clinic/front-desk", *AMPLE)[1]

    assert out.startswith("✖ clinic/front-desk does not answer in ams   NotEnoughPods   zone eu")
    assert "cordon fra (lost)" in out
    assert "dental/desk" not in out
    assert "try azure" not in out
    assert out.splitlines()[-1] == "next: kubectl holdfast explain region/fra"


def test_a_bare_name_of_an_agent_is_looked_for_in_the_namespace(calm, asked):
    calm.namespaces["ams"] = "clinic"
    calm.write()

    # fra is cordoned: the agent answers, but no new call reaches it there.
    assert asked("front-desk", *AMPLE)[1].startswith("✔ clinic/front-desk answers in ams, iad ")
    assert asked("front-desk", "-n", "dental", *AMPLE)[0] == ExitStatus.FAILED
    assert asked("agent/clinic/front-desk", *AMPLE)[0] == ExitStatus.DONE


def test_a_zone_and_a_carrier_are_explained_too(calm, asked):
    assert asked("eu", *AMPLE)[1].startswith("✔ eu takes calls   Ready   zone eu")
    assert asked("carrier", "twilio-eu", *AMPLE)[1].startswith("✔ nothing was ever changed at twilio-eu")


def test_a_region_of_which_nothing_is_known_yet(calm, asked):
    status, out, _ = asked("iad", *AMPLE)

    assert (status, out.splitlines()[0][:34]) == (ExitStatus.DONE, "? nothing is known of iad yet   zo")


# The record.


def test_an_earlier_time_is_answered_from_the_record_alone(calm, asked):
    out = asked("fra", "--at", "2026-11-21T14:00:52.200Z", *AMPLE)[1]

    assert out.startswith("● fra: decided: cordon fra (lost)   RegionLost   zone eu   at 2026-11-21T14:00:52Z")
    assert "iad      ✖ down   7.9s  0.4s   no audio" in out
    assert "Dwell" not in out
    assert "ActionHeld" not in out


def test_a_second_means_all_of_that_second(calm, asked):
    assert asked("edge", "--at", "2026-11-21T14:00:52Z", *AMPLE)[1].startswith("● edge: decided: turn fra off at edge")


def test_a_refusal_is_the_answer_when_it_was_the_last_word(calm, asked):
    out = asked("fra", "--at", "2026-11-21T15:01:10+01:00", *AMPLE)[1]

    assert out.startswith("▲ fra: refused: lift the cordon of fra (lost)   Dwell   zone eu")


def test_before_the_first_record_nothing_is_known(calm, asked):
    status, out, _ = asked("fra", "--at", "2026-11-20T00:00:00Z", *AMPLE)

    assert status == ExitStatus.DONE
    assert out.startswith("? nothing is recorded about fra up to then   zone eu")


NOW = dt.datetime(2026, 11, 21, 14, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ""),
        ("10m", "2026-11-21T13:55:00.000Z"),
        ("90s", "2026-11-21T14:03:30.000Z"),
        ("1d", "2026-11-20T14:05:00.000Z"),
        ("2026-11-21T14:00:00Z", "2026-11-21T14:00:00.999Z"),
        ("2026-11-21T14:00:00.000Z", "2026-11-21T14:00:00.000Z"),
        ("2026-11-21T14:00:00.25+01:00", "2026-11-21T13:00:00.250Z"),
        ("2026-11-21 14:00", "2026-11-21T14:00:00.999Z"),
    ],
)
def test_times_are_taken_as_people_write_them(text, meant):
    assert moment(text, now=NOW) == meant


def test_a_time_that_is_none_is_a_wrong_use():
    with pytest.raises(Failure, match="neither a time such as") as failed:
        moment("yesterday", now=NOW)
    assert failed.value.status is ExitStatus.USAGE


# What cannot be read.


def test_decisions_that_may_not_be_read_leave_the_rest_readable(calm, asked):
    forbidden = {"error": 'Error from server (Forbidden): configmaps "holdfast-decisions" is forbidden'}
    calm.clusters["ams"]["/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions"] = forbidden
    calm.write()
    status, out, _ = asked("fra", *AMPLE)

    assert status == ExitStatus.DONE
    assert "Could not read the decisions kept in ams: Error from server (Forbidden)" in out
    assert out.startswith("✖ fra takes no new calls   RegionCordoned")


def test_damaged_records_are_counted(calm, asked):
    path = "/api/v1/namespaces/holdfast-system/configmaps/holdfast-decisions"
    calm.clusters["ams"][path]["data"]["records"] += "\n{"
    calm.write()

    assert "Could not read 1 decisions kept in ams: the record is damaged" in asked("fra", *AMPLE)[1]


@pytest.mark.parametrize(
    ("how", "why", "status"),
    [
        ({"error": "Unable to connect to the server: dial tcp: connection refused"}, "connection refused", 1),
        ({"error": "Unable to connect to the server: net/http: TLS handshake: i/o timeout"}, "silent for 20.0 s", 5),
        ({"error": ""}, "kubectl failed without a word", 1),
        ("<html>", "the answer is not JSON", 1),
    ],
)
def test_when_nothing_can_be_read_the_reason_is_the_answer(fleet, asked, how, why, status):
    fleet.breaks("ams", how)
    fleet.write()
    found, out, err = asked("fra", *AMPLE)

    assert (found, out) == (status, "")
    assert why in err
    assert err.splitlines()[-1] == "next: kubectl config get-contexts"


def test_a_cluster_without_holdfast_holds_nothing(fleet, asked):
    fleet.clusters["ams"] = {}
    fleet.write()
    status, _, err = asked("fra", *AMPLE)

    assert status == ExitStatus.FAILED
    assert err.startswith("error: no region, lever, agent, carrier or zone is named fra")


def test_a_name_like_another_is_offered(calm, asked):
    assert asked("frq", *AMPLE)[2].splitlines()[-1] == "next: kubectl holdfast explain fra"
    assert asked("clinic/frontdesk", *AMPLE)[2].endswith("next: kubectl holdfast explain clinic/front-desk\n")
    assert asked("zone", "xyz", *AMPLE)[2] == (
        "error: no zone is named xyz (agents: of namespace default)\nnext: kubectl get regions,failoverpolicies\n"
    )


def test_a_name_of_two_things_asks_which(calm, asked):
    calm.show("ams", regions=[region("edge")], policies=[policy("eu", regions=["edge"])])
    calm.write()
    status, _, err = asked("edge", *AMPLE)

    assert status == ExitStatus.USAGE
    assert err == "error: edge may be region/edge, lever/edge\nnext: kubectl holdfast explain region/edge\n"


# As JSON.


@pytest.mark.parametrize(
    "words",
    [
        ("fra",), ("edge",), ("eu",), ("twilio-eu",), ("clinic/front-desk",), ("iad",),
        ("fra", "--at", "2026-11-21T14:00:53Z"), ("fra", "--at", "2026-11-20T14:00:53Z"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_json_has_its_documented_shape(calm, asked, words):
    status, out, _ = asked(*words, "-o", "json", *AMPLE)

    assert status == ExitStatus.DONE
    jsonschema.validate(json.loads(out), SCHEMA)


def test_text_and_json_say_the_same(calm, asked):
    answer = json.loads(asked("fra", "-o", "json", *AMPLE)[1])

    assert answer["verdict"] == {
        "sign": "bad", "words": "fra takes no new calls", "reason": "RegionLost", "message": cli_stories.LOST.message,
    }  # fmt: skip
    assert [each["action"] for each in answer["decisions"]] == ["turn fra off at edge", "cordon fra (lost)"]
    assert [each["guard"] for each in answer["refusals"]] == [reasons.DWELL, reasons.NO_QUORUM]
    assert [each["reason"] for each in answer["wouldHaveToChange"]] == [reasons.REGION_LOST, reasons.DWELL]
    assert answer["decisions"][0]["evidence"][1]["detail"] == "no audio"
