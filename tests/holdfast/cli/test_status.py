"""`status` as a person on call meets it: when a region is dead, above all."""

from __future__ import annotations

import io
import json
import time

import cli_picture
import cli_schemas
import jsonschema
import pytest
from cli_fleet import API, LEASES

from holdfast.cli import status as command
from holdfast.cli.exits import ExitStatus, Failure
from holdfast.cli.options import Options
from holdfast.cli.overview import Overview, RegionRow

AMPLE = "--request-timeout=20s"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(monkeypatch, columns: int = 100, **told) -> list[str]:
    """What a terminal of that width shows."""
    monkeypatch.setenv("COLUMNS", str(columns))
    options = Options(budget_s=20.0, out=Terminal(), color="never", environment={}, **told)
    command.run(options, policy="", output="text")
    return [line.rstrip() for line in options.out.getvalue().splitlines()]


def test_a_healthy_fleet_is_said_to_be_so_first_and_leaves_zero(sound, run):
    status, out, err = run("status", AMPLE)
    lines = out.splitlines()

    assert (status, err) == (ExitStatus.DONE, "")
    assert lines[0].startswith("✔ HEALTHY  2 of 2 regions take calls   as of ")
    assert lines[1].split() == ["ZONE", "STATE", "LEADER", "SERVING", "CORDONED", "READY-FOR-LOSS"]
    assert lines[2].split() == ["eu", "✔", "takes", "calls", "ams", "(epoch", "7)", "fra,ams", "<none>", "✔", "yes"]
    assert [line.split()[:5] for line in lines[4:7]] == [
        ["ams", "✔", "yes", "12/52", "2"], ["fra", "✔", "yes", "12/52", "2"],
        ["iad", "●", "witness", "<none>", "<none>"],
    ]  # fmt: skip
    assert lines[8].split() == ["edge", "eu", "✔", "answers", "fra,ams", "<none>", "<none>"]
    assert lines[9].startswith("Last decision  13:00:52Z  restore fra by ams (epoch 7): RegionRecovered: 2 of 2")
    assert lines[-1] == "next: kubectl holdfast calls"


def test_a_lost_region_is_a_row_of_what_the_others_know(fleet, run):
    cli_picture.lose_fra(fleet)
    fleet.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
    fleet.write()
    status, out, err = run("status", AMPLE)
    lines = out.splitlines()
    fra = next(line for line in lines if line.startswith("fra "))

    assert (status, err) == (ExitStatus.FAILED, "")
    assert lines[0].startswith("▲ DEGRADED  1 of 2 regions cordoned, 1 unread")
    assert fra.split()[:6] == ["fra", "✖", "cordoned", "<unknown>", "<unknown>", "▲"]
    assert fra.endswith("ago by ams")
    assert "Could not read fra: Unable to connect to the server: connection refused" in lines
    assert any(line.startswith("Last decision  14:00:52Z  cordon fra by ams (epoch 7): RegionLost: ") for line in lines)
    assert lines[-1] == "next: kubectl holdfast explain region/fra"


@pytest.mark.parametrize("current", ["ams", "fra"])
def test_a_dead_region_costs_no_more_than_the_budget_also_when_it_is_the_current_context(fleet, run, current):
    cli_picture.lose_fra(fleet)
    fleet.current = current
    fleet.write()
    began = time.monotonic()
    status, out, _ = run("status", "--request-timeout=4s")

    assert time.monotonic() - began < 20.0, "its kubectl would have waited for a minute"
    assert status == ExitStatus.FAILED
    assert "▲ DEGRADED" in out
    assert "Could not read fra: API server silent for 4.0 s (this alone moves no calls)" in out


def test_it_fits_a_screenshot(fleet, monkeypatch):
    cli_picture.lose_fra(fleet)
    fleet.breaks("fra", {"error": "Unable to connect to the server: dial tcp 10.0.0.1:6443: connection refused"})
    fleet.write()
    lines = screen(monkeypatch)

    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert all(max(map(len, line.split())) <= 60 for line in screen(monkeypatch, columns=60) if line)


def test_a_cluster_whose_operator_is_dead_does_not_speak_for_the_fleet(sound, run):
    """Its statuses are those of long ago."""
    old = cli_picture.objects(sound, "failoverpolicies", "eu")[0]
    old["status"]["epoch"] = 99
    cli_picture.turn(old, "Ready", "False", "NoRegionServes", "no region")
    sound.clusters["ams"][LEASES]["items"][0]["spec"]["ago"] = 900
    sound.write()
    out = run("status", AMPLE)[1]

    assert "eu    ✔ takes calls" in out
    assert next(line for line in out.splitlines() if line.startswith("ams ")).endswith("ago by fra")


def test_when_every_operator_is_dead_nothing_is_said_to_be_well(sound, run):
    for cluster in sound.clusters.values():
        cluster[LEASES]["items"][0]["spec"]["ago"] = 900
    sound.write()
    status, out, _ = run("status", AMPLE)

    assert status == ExitStatus.FAILED
    assert out.startswith("? UNKNOWN  zone eu is not watched")
    assert "✔" not in out.split("LEVER")[0]
    assert "fra   ? <unknown>  <unknown>" in out


def test_without_the_right_to_read_leases_the_rest_is_shown(sound, run):
    forbidden = {"error": 'Error from server (Forbidden): leases.coordination.k8s.io is forbidden: User "ann"'}
    for cluster in sound.clusters.values():
        cluster[LEASES] = forbidden
    sound.write()
    status, out, _ = run("status", AMPLE)

    assert status == ExitStatus.FAILED
    assert "Could not read the heartbeat of ams: Error from server (Forbidden)" in out
    assert "eu    ? <unknown>" in out


@pytest.mark.parametrize(
    ("kind", "status", "reason", "words"),
    [
        ("LeverReachable", "False", "LeverUnreachable", "edge   eu    ✖ does not answer"),
        ("QuorumHeld", "False", "NoMajority", "zone eu has no majority"),
        ("ReadyForLoss", "False", "NotEnoughPods", "zone eu is not ready for a loss"),
        ("SecretsFound", "False", "MissingSecret", "a Secret of eu is missing"),
        ("Accepted", "False", "UnknownRegion", "policy eu is not followed"),
    ],
)
def test_what_is_wrong_with_a_zone_is_said_with_its_reason(sound, run, kind, status, reason, words):
    for each in cli_picture.objects(sound, "failoverpolicies", "eu"):
        cli_picture.turn(each, kind, status, reason, "edge: in these words")
    sound.write()
    found, out, _ = run("status", AMPLE)

    assert found == ExitStatus.FAILED
    assert words in out
    assert f"{reason}: edge: in these words" in out
    assert out.splitlines()[-1] == "next: kubectl holdfast explain eu"


def test_a_zone_of_one_region_is_not_blamed_for_it(sound, run):
    for each in cli_picture.objects(sound, "failoverpolicies", "eu"):
        cli_picture.turn(each, "ReadyForLoss", "False", "OneRegion", "its loss is survived at the carrier only")
    sound.write()

    assert run("status", AMPLE)[0] == ExitStatus.DONE


def test_other_tiers_have_a_column_once_an_operator_tells_of_them(sound, run):
    up = {"verdict": "up", "since": 9.0, "detail": ""}
    said = {
        "provider": {"api.openai.com": {**up, "verdict": "down", "detail": "503"}, "eu.azure.com": up},
        "carrier": {"twilio-eu": up},
    }
    sound.clusters["ams"][LEASES]["items"][0] = cli_picture.beat("ams", others=said)
    sound.write()
    status, out, _ = run("status", AMPLE)
    lines = out.splitlines()

    assert status == ExitStatus.FAILED
    assert lines[0].startswith("▲ DEGRADED  something is ill in ams")
    assert lines[3].split() == ["NAME", "SERVING", "CALLS", "PODS", "SEEN-UP", "PROVIDERS", "CARRIERS", "TOLD"]
    assert "✖ api.openai.com (+1 ok)  ✔ 1/1" in lines[4]
    assert "<unknown>" in lines[5]


def test_one_policy_shows_its_own_regions_only(sound, run):
    other = cli_picture.policy_eu(regions=[{"name": "iad", "weight": 1}], witnesses=[])
    other["metadata"]["name"] = "us"
    for cluster in sound.clusters.values():
        cluster[f"{API}/failoverpolicies"]["items"].append(other)
    sound.write()
    out = run("status", "us", AMPLE)[1]

    assert [line.split()[0] for line in out.splitlines()[2:5]] == ["us", "NAME", "iad"]


def test_a_policy_that_is_not_there_is_a_wrong_use(sound, run):
    assert run("status", "eux", AMPLE) == (
        ExitStatus.USAGE, "", "error: no FailoverPolicy is named eux\nnext: kubectl holdfast status eu\n"
    )  # fmt: skip


def test_when_nothing_can_be_read_the_reason_is_the_answer(sound, run):
    for name in cli_picture.REGIONS:
        sound.breaks(name, {"error": "Unable to connect to the server: connection refused"})
    sound.write()
    status, out, err = run("status", AMPLE)

    assert (status, out) == (ExitStatus.FAILED, "")
    assert "no region could be read: ams: Unable to connect" in err


@pytest.mark.parametrize("story", ["sound", "lose_fra"])
def test_json_has_its_published_shape_and_says_what_the_text_says(fleet, run, story):
    getattr(cli_picture, story)(fleet)
    if story == "lose_fra":
        fleet.breaks("fra", {"error": "Unable to connect to the server: connection refused"})
        fleet.write()
    answer = json.loads(run("status", "-o", "json", AMPLE)[1])

    jsonschema.validate(answer, cli_schemas.schema("status"))
    assert answer["state"] == ("healthy" if story == "sound" else "degraded")
    fra = next(row for row in answer["regions"] if row["name"] == "fra")
    assert (fra["serving"], fra["calls"]) == ((True, 12) if story == "sound" else (False, None))


@pytest.mark.parametrize("name", sorted(cli_schemas.ANSWERS))
def test_the_published_schemas_are_fresh(name):
    assert cli_schemas.path(name).read_text() == cli_schemas.text(name), "run python tests/support/cli_schemas.py"


# Watching.


class VirtualClock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def told(state: str, *, serving: bool = True, calls: int | None = 3) -> Overview:
    row = RegionRow(
        "fra", ("eu",), witness=False, read=True, sign="ok", words="yes", serving=serving, calls=calls, room=1, pods=2,
        seen_up=2, observers=2, well={}, ill={}, ordered="", until="", shown_by="fra", age_s=0.4,
    )  # fmt: skip
    return Overview("2026-11-21T14:00:00.000Z", state, "", regions=(row,))


def watched(looks, *, until="", timeout_s=60.0) -> tuple[ExitStatus, list[Overview], float]:
    clock, shown, left = VirtualClock(), [], list(looks)

    def look() -> Overview:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Failure):
            raise found
        return found

    timed = command.Clock(clock.now, clock.sleep)
    return command.watch(look, shown.append, until=until, timeout_s=timeout_s, clock=timed), shown, clock.at


OUT, EMPTY = told("degraded", serving=False), told("degraded", serving=False, calls=0)
UNREAD = Failure("no region could be read", next_command="kubectl config get-contexts")


@pytest.mark.parametrize(
    ("until", "looks", "after_s"),
    [
        ("healthy", [told("down"), told("degraded"), told("healthy")], 4.0),
        ("cordoned", [told("healthy"), OUT], 2.0),
        ("drained", [told("healthy", calls=0), OUT, told("degraded", serving=False, calls=None), EMPTY], 6.0),
        ("healthy", [UNREAD, told("healthy")], 2.0),
    ],
)
def test_watching_ends_when_it_is_so(until, looks, after_s):
    ended, shown, at = watched(looks, until=until)

    assert (ended, at) == (ExitStatus.DONE, after_s)
    assert shown[-1] is looks[-1]


def test_watching_for_something_that_does_not_come_ends_with_its_own_status():
    assert watched([told("down")], until="healthy", timeout_s=7.0)[::2] == (ExitStatus.TIMED_OUT, 7.0)


def test_watching_for_nothing_ends_with_the_last_state():
    assert watched([told("healthy"), told("down")], timeout_s=5.0)[0] == ExitStatus.FAILED
    assert watched([told("down"), told("healthy")], timeout_s=5.0)[0] == ExitStatus.DONE


def test_a_wrong_use_is_not_watched():
    with pytest.raises(Failure):
        watched([Failure("no such policy", next_command="x", status=ExitStatus.USAGE)], until="healthy")
    with pytest.raises(Failure):
        watched([UNREAD])


def test_off_a_terminal_only_changes_are_printed(sound):
    clock, out = VirtualClock(), io.StringIO()
    options = Options(budget_s=20.0, out=out, environment={})
    ended = command.run_watching(
        options, policy="", output="json", until="", timeout_s=5.0, clock=command.Clock(clock.now, clock.sleep)
    )

    assert ended is ExitStatus.DONE
    assert len(out.getvalue().splitlines()) == 1
    jsonschema.validate(json.loads(out.getvalue()), cli_schemas.schema("status"))


def test_on_a_terminal_it_is_redrawn_in_place_and_its_top_never_scrolls_away(sound, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "8")
    clock, out = VirtualClock(), Terminal()
    options = Options(budget_s=20.0, out=out, color="never", environment={})
    command.run_watching(
        options, policy="", output="text", until="", timeout_s=2.0, clock=command.Clock(clock.now, clock.sleep)
    )
    first, second = out.getvalue().split("\x1b[7F\x1b[J")

    assert len(first.splitlines()) == len(second.splitlines()) == 7
    assert first.startswith("✔ HEALTHY")
    assert first.splitlines()[-1] == "… 6 more lines"


def test_in_time_is_said_when_it_is_not(sound, run):
    status, out, err = run("status", "--until", "cordoned", "--timeout", "1ms", AMPLE)

    assert status == ExitStatus.TIMED_OUT
    assert out.startswith("✔ HEALTHY")
    assert err == "error: not cordoned within 0 s\nnext: kubectl holdfast status -v\n"
